//! Patterns found by rules.

use super::super::dictionary::Term;
use super::super::entities::Entity;
use super::super::matcher::Found;
use super::super::passage::Passage;
use super::super::sentences::{Sentence, cosine};
use super::super::words::Stems;
use super::{Rule, RuleKind, Selector};
use crate::control::Cancel;
use crate::error::{Error, Result, Stage};
use crate::time::{Span, Timestamp};
use serde::Serialize;
use std::collections::HashMap;

/// What rules look at.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// What is said and written.
    pub passages: &'a [Passage],
    /// The terms of the dictionaries.
    pub terms: &'a [Term],
    /// Which of them were found, by passage.
    pub keywords: &'a [Vec<Found>],
    /// Things found, by passage.
    pub entities: &'a [Vec<Entity>],
    /// What is said, sentence by sentence.
    pub sentences: &'a [Sentence],
}

/// A pattern found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pattern {
    /// The rule's name.
    pub rule: String,
    /// Its kind.
    pub kind: &'static str,
    /// From its first part to its last; of a sentence that is repeated, the first time.
    pub span: Span,
    /// Its parts, in order of time.
    pub parts: Vec<Part>,
}

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// When it is.
    pub span: Span,
    /// What is said or written.
    pub text: String,
}

/// How many sentences back a repetition is looked for.
const BACK: usize = 2000;
/// Sentences of fewer words say too little to be a claim.
const CLAIM: usize = 5;
/// The most patterns of one rule.
const MOST: usize = 10_000;

/// The patterns that `rules` find, by time. Rules whose dictionary is not among `dictionaries` are left out.
///
/// # Errors
/// [`crate::error::ErrorKind::Cancelled`].
pub fn find(
    rules: &[Rule],
    dictionaries: &[&str],
    evidence: Evidence<'_>,
    cancel: &Cancel,
) -> Result<Vec<Pattern>> {
    let mut all = Vec::new();
    let applies =
        |rule: &&Rule| rule.dictionary.as_deref().is_none_or(|name| dictionaries.contains(&name));
    for rule in rules.iter().filter(applies) {
        if cancel.is_cancelled() {
            return Err(Error::cancelled(Stage::Insight));
        }
        let groups = match &rule.kind {
            RuleKind::Together { of, within } => {
                together(&of.iter().map(|step| parts(step, evidence)).collect::<Vec<_>>(), *within)
            }
            RuleKind::Sequence { steps, within } => sequence(
                &steps.iter().map(|step| parts(step, evidence)).collect::<Vec<_>>(),
                *within,
            ),
            RuleKind::Repeat { likeness, least, apart } => {
                repeats(evidence.sentences, *likeness, *least, *apart)
            }
            RuleKind::Answer { within } => answers(evidence.sentences, *within),
            RuleKind::Mention { any } => {
                parts(any, evidence).into_iter().map(|part| vec![part]).collect()
            }
        };
        for parts in groups.into_iter().take(MOST) {
            let (Some(first), Some(end)) = (parts.first(), parts.iter().map(|p| p.span.end).max())
            else {
                continue;
            };
            let repeated = matches!(rule.kind, RuleKind::Repeat { .. });
            let end = if repeated { first.span.end } else { end };
            let span = Span { start: first.span.start, end };
            all.push(Pattern { rule: rule.name.clone(), kind: rule.kind.as_str(), span, parts });
        }
    }
    all.sort_by(|a, b| a.span.start.cmp(&b.span.start).then(a.rule.cmp(&b.rule)));
    Ok(all)
}

/// Whether a sentence asks.
pub(crate) fn is_question(text: &str) -> bool {
    text.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '”' | ')' | '»'))
        .ends_with(['?', '？', '؟'])
}

/// Everything that a step selects, by time, without two of the same place.
fn parts(step: &[Selector], evidence: Evidence<'_>) -> Vec<Part> {
    let mut all: Vec<Part> = Vec::new();
    for selector in step {
        if *selector == Selector::Question {
            let asked = evidence.sentences.iter().filter(|s| is_question(&s.text));
            all.extend(asked.map(|s| Part { span: s.span, text: s.text.clone() }));
            continue;
        }
        for (n, passage) in evidence.passages.iter().enumerate() {
            let part = |tokens: &std::ops::Range<usize>, span: Span| Part {
                span,
                text: passage.text_of(tokens).to_owned(),
            };
            match selector {
                Selector::Term(name) => {
                    let own = evidence.keywords.get(n).into_iter().flatten();
                    let own =
                        own.filter(|f| evidence.terms[f.term].term.eq_ignore_ascii_case(name));
                    all.extend(own.map(|f| part(&f.tokens, f.span)));
                }
                Selector::Category(name) => {
                    let own = evidence.keywords.get(n).into_iter().flatten();
                    let own = own.filter(|f| evidence.terms[f.term].category == *name);
                    all.extend(own.map(|f| part(&f.tokens, f.span)));
                }
                Selector::Entity(kind) => {
                    let own = evidence.entities.get(n).into_iter().flatten();
                    let own = own.filter(|e| e.kind == *kind);
                    all.extend(own.map(|e| Part { span: e.span, text: e.text.clone() }));
                }
                Selector::Words(words) => {
                    let mut stems = Stems::of(&passage.language);
                    let wanted: Vec<String> =
                        words.iter().map(|word| stems.stem(word).to_owned()).collect();
                    let said: Vec<String> =
                        passage.tokens.iter().map(|t| stems.stem(&t.folded).to_owned()).collect();
                    for (from, run) in said.windows(wanted.len()).enumerate() {
                        let tokens = from..from + wanted.len();
                        let begun = passage.tokens[from + 1..tokens.end].iter().any(|t| t.begins);
                        if run == wanted
                            && !begun
                            && let Some(span) = passage.span_of(&tokens)
                        {
                            all.push(part(&tokens, span));
                        }
                    }
                }
                Selector::Question => {}
            }
        }
    }
    all.sort_by_key(|part| (part.span.start, part.span.end));
    all.dedup();
    all
}

/// Shortest stretches that hold one of each list, none overlapping another.
fn together(lists: &[Vec<Part>], within: Timestamp) -> Vec<Vec<Part>> {
    let mut order: Vec<(usize, &Part)> =
        lists.iter().enumerate().flat_map(|(n, list)| list.iter().map(move |p| (n, p))).collect();
    order.sort_by_key(|(n, part)| (part.span.start, *n));
    let mut found = Vec::new();
    let mut last: HashMap<usize, &Part> = HashMap::new();
    for (n, part) in order {
        last.insert(n, part);
        let (Some(start), Some(end)) =
            (last.values().map(|p| p.span.start).min(), last.values().map(|p| p.span.end).max())
        else {
            continue;
        };
        if last.len() == lists.len() && end.minus(start) <= within {
            let mut group: Vec<Part> = last.values().map(|part| (*part).clone()).collect();
            group.sort_by_key(|part| part.span.start);
            // One thing that two steps select is no pair.
            let distinct = group.windows(2).all(|two| two[0].span != two[1].span);
            if distinct {
                found.push(group);
                last.clear();
            }
        }
    }
    found
}

/// One of each list in their order; the closest to each other, none used twice.
fn sequence(lists: &[Vec<Part>], within: Timestamp) -> Vec<Vec<Part>> {
    let Some((first, rest)) = lists.split_first() else { return Vec::new() };
    let mut found: Vec<Vec<Part>> = Vec::new();
    let mut free = Timestamp::new(i64::MIN, crate::time::TimeBase::NANOS);
    for (n, begin) in first.iter().enumerate() {
        if begin.span.start < free {
            continue;
        }
        let mut group = vec![begin.clone()];
        for list in rest {
            let after = group.last().map_or(begin.span.end, |part| part.span.end);
            let at = list.partition_point(|part| part.span.start < after);
            match list.get(at).filter(|p| p.span.start.minus(begin.span.start) <= within) {
                Some(next) => group.push(next.clone()),
                None => break,
            }
        }
        if group.len() != lists.len() {
            continue;
        }
        // A later beginning of the same sequence is closer.
        let second = group[1].span.start;
        if first.get(n + 1).is_some_and(|next| next.span.end <= second) {
            continue;
        }
        free = group.last().map_or(free, |part| part.span.end);
        found.push(group);
    }
    found
}

/// Sentences that come back.
fn repeats(
    sentences: &[Sentence],
    likeness: f32,
    least: usize,
    apart: Timestamp,
) -> Vec<Vec<Part>> {
    let claims: Vec<&Sentence> =
        sentences.iter().filter(|s| s.tokens.len() >= CLAIM && !is_question(&s.text)).collect();
    let mut group_of: Vec<Option<usize>> = vec![None; claims.len()];
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for n in 0..claims.len() {
        let far = |m: &usize| claims[n].span.start.minus(claims[*m].span.end) >= apart;
        let near = (n.saturating_sub(BACK)..n)
            .filter(far)
            .map(|m| (m, cosine(&claims[n].vector, &claims[m].vector)))
            .filter(|(_, cosine)| *cosine >= likeness)
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((m, _)) = near else { continue };
        let group = *group_of[m].get_or_insert_with(|| {
            groups.push(vec![m]);
            groups.len() - 1
        });
        group_of[n] = Some(group);
        groups[group].push(n);
    }
    let said = |n: &usize| Part { span: claims[*n].span, text: claims[*n].text.clone() };
    let often = groups.into_iter().filter(|group| group.len() >= least);
    often.map(|group| group.iter().map(said).collect()).collect()
}

/// Questions and what follows them.
fn answers(sentences: &[Sentence], within: Timestamp) -> Vec<Vec<Part>> {
    let pairs = sentences.windows(2).filter(|pair| {
        let soon = pair[1].span.start.minus(pair[0].span.end) <= within;
        is_question(&pair[0].text) && !is_question(&pair[1].text) && soon
    });
    pairs
        .map(|pair| pair.iter().map(|s| Part { span: s.span, text: s.text.clone() }).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::dictionary::bundled;
    use super::super::super::entities::Patterns;
    use super::super::super::matcher::Matcher;
    use super::super::super::passage::untimed;
    use super::super::super::sentences::sentences;
    use super::super::super::stopwords::stopwords;
    use super::*;

    /// The patterns that `rules` find in `text`, 100 ms a letter: rule, and texts of the parts.
    fn found(rules: &str, text: &str) -> Vec<(String, Vec<String>)> {
        let rules = Rule::from_toml(rules).unwrap();
        let matcher = Matcher::new(&bundled().unwrap(), None).unwrap();
        let passages = [untimed(text, "en", 100)];
        let cancel = Cancel::new();
        let keywords = [matcher.find(&passages[0], &cancel).unwrap()];
        let entities = [Patterns::new().unwrap().find(&passages[0])];
        let sentences = sentences(&passages, &HashMap::new(), stopwords);
        let evidence = Evidence {
            passages: &passages,
            terms: matcher.terms(),
            keywords: &keywords,
            entities: &entities,
            sentences: &sentences,
        };
        let all = find(&rules, &["trading", "advertising"], evidence, &cancel).unwrap();
        let texts = |p: Pattern| (p.rule, p.parts.into_iter().map(|part| part.text).collect());
        all.into_iter().map(texts).collect()
    }

    fn texts(rules: &str, text: &str) -> Vec<Vec<String>> {
        found(rules, text).into_iter().map(|(_, parts)| parts).collect()
    }

    const SEQUENCE: &str = "[[rule]]\nname = \"s\"\nkind = \"sequence\"\n\
        steps = [\"term:breakout\", \"term:stop loss\"]\nwithin = \"6s\"";

    #[test]
    fn a_sequence_has_an_order_and_an_end() {
        assert_eq!(texts(SEQUENCE, "A breakout, so a stop loss"), [["breakout", "stop loss"]]);
        assert!(texts(SEQUENCE, "A stop loss before a breakout").is_empty());
        // More than 60 letters between them, at 100 ms each.
        let far = format!("A breakout {} stop loss", "is a thing that we wait for ".repeat(3));
        assert!(texts(SEQUENCE, &far).is_empty());
        // The closest of two, and each once.
        let two = "breakout or breakout then stop loss and stop loss";
        assert_eq!(texts(SEQUENCE, two), [["breakout", "stop loss"]]);
    }

    #[test]
    fn together_means_in_any_order() {
        let rule = "[[rule]]\nname = \"t\"\nkind = \"together\"\n\
            of = [\"category:risk | term:stop loss\", \"entity:percent\"]\nwithin = \"5s\"";
        assert_eq!(texts(rule, "Only 2% drawdown"), [["2%", "drawdown"]]);
        assert_eq!(texts(rule, "A stop loss at 2 percent"), [["stop loss", "2 percent"]]);
        assert!(texts(rule, "A stop loss").is_empty());
    }

    #[test]
    fn questions_have_answers() {
        let rule = "[[rule]]\nname = \"q\"\nkind = \"answer\"\nwithin = \"3s\"";
        let text = "So when? When do we sell? We sell at the top. Fine";
        assert_eq!(texts(rule, text), [["When do we sell?", "We sell at the top."]]);
    }

    #[test]
    fn claims_that_come_back_are_one_pattern() {
        let rule = "[[rule]]\nname = \"r\"\nkind = \"repeat\"\nlikeness = 0.9\napart = \"1s\"";
        let text = "The trend is your friend always. Cats sleep on warm sofas today. \
            Always the trend is your friend. And so the trends are always your friends.";
        let made = texts(rule, text);
        assert_eq!((made.len(), made[0].len()), (1, 3), "{made:?}");
    }

    #[test]
    fn words_are_mentioned_in_any_inflection_but_not_over_a_full_stop() {
        let rule =
            "[[rule]]\nname = \"m\"\nkind = \"mention\"\nany = [\"words:sign up\", \"question\"]";
        assert_eq!(
            texts(rule, "We are signing up. Sign. Up we go. Why?"),
            [["signing up"], ["Why?"]]
        );
    }

    #[test]
    fn rules_of_a_missing_dictionary_are_left_out() {
        let rule = format!("dictionary = \"cooking\"\n{SEQUENCE}");
        assert!(texts(&rule, "A breakout, so a stop loss").is_empty());
    }
}
