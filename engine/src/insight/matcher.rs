//! Terms of dictionaries found in passages.
//!
//! Words become numbers: a passage is a row of 4-byte numbers, and so is every form of a term, so one
//! Aho-Corasick automaton finds all forms in one pass, whatever their number, and only at edges of words.
//! There are two passes: over words as they are said, and over their stems. A word that no term knows is
//! number 0, and so is the edge of a sentence: no term reaches over it.

use super::dictionary::{Dictionary, Matching, Term};
use super::fuzzy::NearWords;
use super::passage::Passage;
use super::words::{Stems, fold, split};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::time::Span;
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

/// How a term was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Word by word.
    Exact,
    /// By the stems of its words.
    Inflected,
    /// With a word that was misheard or misread by one letter.
    Fuzzy,
}

impl How {
    /// The lower-case word used in tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Inflected => "inflected",
            Self::Fuzzy => "fuzzy",
        }
    }
}

/// A term found in a passage.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its number in [`Matcher::terms`].
    pub term: usize,
    /// The passage's tokens that it takes.
    pub tokens: Range<usize>,
    /// When it is heard or read.
    pub span: Span,
    /// How it was found.
    pub how: How,
    /// What a mention counts: the term's weight, half of it where it was misheard.
    pub weight: f64,
}

/// When misheard words are taken for known ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FuzzyRules {
    /// A word that was recognised with this probability or more is what it is, unless it is one of
    /// several words of a term.
    pub sure: f32,
    /// The least letters of a word that is a term by itself.
    pub letters: usize,
}

impl Default for FuzzyRules {
    fn default() -> Self {
        Self { sure: 0.8, letters: 7 }
    }
}

/// Dictionaries, ready to be found.
#[derive(Debug)]
pub struct Matcher {
    terms: Vec<Term>,
    fuzzy: Option<FuzzyRules>,
    /// By language; what holds for all languages is in each, and alone under the empty name.
    languages: BTreeMap<String, Automata>,
}

/// The forms of one language.
#[derive(Debug)]
struct Automata {
    language: String,
    words: HashMap<String, u32>,
    stems: HashMap<String, u32>,
    exact: Option<Automaton>,
    stemmed: Option<Automaton>,
    near: NearWords,
}

#[derive(Debug)]
struct Automaton {
    automaton: AhoCorasick,
    /// By pattern: the term, and whether its letters' case must agree.
    forms: Vec<(usize, Option<String>)>,
}

impl Matcher {
    /// Prepares `dictionaries`; without `fuzzy`, misheard words are not looked for.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] where the automaton would be too large.
    pub fn new(dictionaries: &[Dictionary], fuzzy: Option<FuzzyRules>) -> Result<Self> {
        let terms: Vec<Term> = dictionaries.iter().flat_map(|d| d.terms.iter().cloned()).collect();
        let codes: BTreeSet<&str> = terms.iter().filter_map(|t| t.language.as_deref()).collect();
        let mut languages = BTreeMap::new();
        for language in codes.into_iter().chain([""]) {
            languages
                .insert(language.to_owned(), Automata::new(language, &terms, fuzzy.is_some())?);
        }
        Ok(Self { terms, fuzzy, languages })
    }

    /// The terms of all dictionaries, in their order.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The terms in `passage`, in order; where two overlap, the one of more words, then of more weight,
    /// then the one found more exactly.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`].
    pub fn find(&self, passage: &Passage, cancel: &Cancel) -> Result<Vec<Found>> {
        if cancel.is_cancelled() {
            return Err(Error::cancelled(Stage::Insight));
        }
        // Where nobody knows the language, the dictionaries of all are asked.
        let asked: Vec<&Automata> = match passage.language.as_str() {
            "" => self.languages.values().collect(),
            language => {
                let own = self.languages.get(language).or_else(|| self.languages.get(""));
                own.into_iter().collect()
            }
        };
        let mut all = Vec::new();
        for automata in asked {
            automata.find(self, passage, &mut all);
        }
        Ok(resolve(all, passage.tokens.len()))
    }
}

impl Automata {
    fn new(language: &str, terms: &[Term], fuzzy: bool) -> Result<Self> {
        let mut made = Self {
            language: language.to_owned(),
            words: HashMap::new(),
            stems: HashMap::new(),
            exact: None,
            stemmed: None,
            near: NearWords::default(),
        };
        let mut stems = Stems::of(language);
        let (mut exact, mut stemmed) = (Vec::new(), Vec::new());
        let own = terms
            .iter()
            .enumerate()
            .filter(|(_, term)| term.language.as_deref().is_none_or(|code| code == language));
        for (n, term) in own {
            for form in &term.forms {
                let folded: Vec<String> =
                    split(&form.text).into_iter().map(|at| fold(&form.text[at])).collect();
                let case = (form.matching == Matching::Case).then(|| form.text.clone());
                let key =
                    folded.iter().flat_map(|word| number(&mut made.words, word).to_be_bytes());
                exact.push((key.collect::<Vec<u8>>(), (n, case)));
                if form.matching == Matching::Stem {
                    let key = folded
                        .iter()
                        .flat_map(|word| number(&mut made.stems, stems.stem(word)).to_be_bytes());
                    stemmed.push((key.collect::<Vec<u8>>(), (n, None)));
                }
            }
        }
        if fuzzy {
            made.near = NearWords::new(made.words.keys().map(String::as_str));
        }
        made.exact = Automaton::new(exact)?;
        made.stemmed = Automaton::new(stemmed)?;
        Ok(made)
    }

    fn find(&self, matcher: &Matcher, passage: &Passage, found: &mut Vec<Found>) {
        let language = match passage.language.as_str() {
            "" => self.language.as_str(),
            language => language,
        };
        let mut stems = Stems::of(language);
        // Each sentence's edge takes a place, so that no term reaches over it.
        let places = passage.tokens.len() * 2;
        let (mut exact, mut stemmed) =
            (Vec::with_capacity(places * 4), Vec::with_capacity(places * 4));
        let mut token_at = Vec::with_capacity(places);
        let mut misheard = vec![false; passage.tokens.len()];
        for (n, token) in passage.tokens.iter().enumerate() {
            if token.begins {
                exact.extend([0; 4]);
                stemmed.extend([0; 4]);
                token_at.push(n);
            }
            let mut word = self.words.get(&*token.folded).copied().unwrap_or(0);
            let mut stem = self.stems.get(stems.stem(&token.folded)).copied().unwrap_or(0);
            if word == 0
                && stem == 0
                && matcher.fuzzy.is_some()
                && let Some(near) = self.near.find(&token.folded)
            {
                word = self.words.get(near).copied().unwrap_or(0);
                stem = self.stems.get(stems.stem(near)).copied().unwrap_or(0);
                misheard[n] = true;
            }
            exact.extend(word.to_be_bytes());
            stemmed.extend(stem.to_be_bytes());
            token_at.push(n);
        }
        for (automaton, haystack, how) in
            [(&self.exact, &exact, How::Exact), (&self.stemmed, &stemmed, How::Inflected)]
        {
            let Some(automaton) = automaton else { continue };
            for one in automaton.automaton.find_overlapping_iter(haystack) {
                // Numbers begin at every fourth byte; elsewhere the parts of two look like a third.
                if one.start() % 4 != 0 {
                    continue;
                }
                let (from, to) = (token_at[one.start() / 4], token_at[one.end() / 4 - 1] + 1);
                let Some((term, case)) = automaton.forms.get(one.pattern().as_usize()) else {
                    continue;
                };
                let tokens = from..to;
                if case.as_ref().is_some_and(|form| passage.text_of(&tokens) != form) {
                    continue;
                }
                let wrong = misheard[tokens.clone()].iter().filter(|is| **is).count();
                if wrong > 0 && !self.believes(matcher, passage, &tokens, wrong) {
                    continue;
                }
                let Some(span) = passage.span_of(&tokens) else { continue };
                let weight = matcher.terms[*term].weight;
                let (how, weight) =
                    if wrong > 0 { (How::Fuzzy, weight / 2.0) } else { (how, weight) };
                found.push(Found { term: *term, tokens, span, how, weight });
            }
        }
    }

    /// Whether a term with misheard words is believed: one beside words that were heard right, or a
    /// long word that the recogniser was not sure of.
    fn believes(
        &self,
        matcher: &Matcher,
        passage: &Passage,
        tokens: &Range<usize>,
        wrong: usize,
    ) -> bool {
        let Some(rules) = matcher.fuzzy else { return false };
        if wrong < tokens.len() {
            return wrong == 1;
        }
        wrong == 1
            && passage.tokens[tokens.clone()].iter().all(|token| {
                token.probability < rules.sure && token.folded.chars().count() >= rules.letters
            })
    }
}

/// The number of a word, from 1.
fn number(numbers: &mut HashMap<String, u32>, word: &str) -> u32 {
    if let Some(number) = numbers.get(word) {
        return *number;
    }
    let number = u32::try_from(numbers.len() + 1).unwrap_or(u32::MAX);
    numbers.insert(word.to_owned(), number);
    number
}

/// A term's number, and its form where it counts only as written.
type Form = (usize, Option<String>);

impl Automaton {
    fn new(patterns: Vec<(Vec<u8>, Form)>) -> Result<Option<Self>> {
        if patterns.is_empty() {
            return Ok(None);
        }
        let (keys, forms): (Vec<_>, Vec<_>) = patterns.into_iter().unzip();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(keys)
            .map_err(|e| {
                Error::new(ErrorKind::Limit, Stage::Insight, format!("too many terms: {e}"))
                    .hint("leave some dictionaries out")
            })?;
        Ok(Some(Self { automaton, forms }))
    }
}

/// Leaves no two that overlap.
fn resolve(mut all: Vec<Found>, tokens: usize) -> Vec<Found> {
    all.sort_by(|a, b| {
        let words = b.tokens.len().cmp(&a.tokens.len());
        let weight = b.weight.total_cmp(&a.weight);
        words
            .then(weight)
            .then(a.how.cmp(&b.how))
            .then(a.tokens.start.cmp(&b.tokens.start))
            .then(a.term.cmp(&b.term))
    });
    let mut taken = vec![false; tokens];
    all.retain(|one| {
        let free = taken[one.tokens.clone()].iter().all(|taken| !taken);
        if free {
            taken[one.tokens.clone()].fill(true);
        }
        free
    });
    all.sort_by_key(|one| one.tokens.start);
    all
}

#[cfg(test)]
mod tests {
    use super::super::passage::untimed;
    use super::*;
    use crate::time::Timestamp;

    const TERMS: &str = r#"name = "t"
language = "en"
[categories.a]
terms = [
    { term = "stop loss", inflections = ["stopped out"] },
    { term = "trailing stop" },
    { term = "stop" , weight = 0.5 },
    { term = "moving average", variants = ["MA"] },
    { term = "exponential moving average", variants = ["EMA"] },
    { term = "resistance" },
    { term = "IT sector", match = "exact" },
    { term = "IT", match = "case" },
]
[categories.b]
terms = [
    { term = "Aktie", language = "de" },
    { term = "止损", language = "*" },
    { term = "Börse", language = "de" },
]
"#;

    fn matcher() -> Matcher {
        Matcher::new(&[Dictionary::from_toml(TERMS).unwrap()], Some(FuzzyRules::default())).unwrap()
    }

    fn found_in(passage: &Passage) -> Vec<(String, How, String)> {
        let matcher = matcher();
        let all = matcher.find(passage, &Cancel::new()).unwrap();
        let shown = |one: &Found| {
            let term = matcher.terms()[one.term].term.clone();
            (term, one.how, passage.text_of(&one.tokens).to_owned())
        };
        all.iter().map(shown).collect()
    }

    fn found(text: &str, language: &str) -> Vec<(String, How, String)> {
        found_in(&untimed(text, language, 10))
    }

    fn terms(text: &str, language: &str) -> Vec<String> {
        found(text, language).into_iter().map(|(term, ..)| term).collect()
    }

    #[test]
    fn words_stems_and_misheard_words_are_found() {
        assert_eq!(
            found("My Stop-Losses, his moving averages", "en"),
            [
                ("stop loss".into(), How::Inflected, "Stop-Losses".into()),
                ("moving average".into(), How::Inflected, "moving averages".into()),
            ]
        );
        assert_eq!(
            found("I was stopped out at a movong average", "en"),
            [
                ("stop loss".into(), How::Exact, "stopped out".into()),
                ("moving average".into(), How::Fuzzy, "movong average".into()),
            ]
        );
        // Heard with certainty, it is another word.
        assert!(found("resiztance", "en").is_empty());
        let mut unsure = untimed("resiztance", "en", 10);
        unsure.tokens[0].probability = 0.5;
        assert_eq!(found_in(&unsure)[0].1, How::Fuzzy);
    }

    #[test]
    fn the_longest_wins_then_the_heavier() {
        assert_eq!(terms("the exponential moving average", "en"), ["exponential moving average"]);
        assert_eq!(terms("a trailing stop loss", "en").len(), 1);
        assert_eq!(terms("a trailing stop, then loss", "en"), ["trailing stop"]);
        assert_eq!(terms("EMA and MA", "en"), ["exponential moving average", "moving average"]);
    }

    #[test]
    fn no_term_lies_within_a_word_or_over_a_sentence() {
        assert!(terms("nonstop stopgap mama", "en").is_empty());
        assert_eq!(terms("He will stop. Loss is a part of it", "en"), ["stop"]);
        assert_eq!(terms("It is it, IT. The it sector", "en"), ["IT", "IT sector"]);
    }

    #[test]
    fn each_language_has_its_own_dictionary() {
        assert_eq!(terms("Die Aktien der Börsen stop 止损了", "de"), ["Aktie", "Börse", "止损"]);
        assert!(terms("Aktie", "en").is_empty() && terms("stop", "fr").is_empty());
        assert_eq!(terms("Aktie stop 止损", ""), ["Aktie", "stop", "止损"]);
    }

    #[test]
    fn times_are_those_of_the_words() {
        let passage = untimed("a stop loss", "en", 10);
        let found = matcher().find(&passage, &Cancel::new()).unwrap();
        assert_eq!(found[0].span.start, Timestamp::from_millis(20));
        assert_eq!(found[0].span.end, Timestamp::from_millis(110));
        let cancel = Cancel::new();
        cancel.cancel();
        assert!(matcher().find(&passage, &cancel).is_err());
    }
}
