//! Names for chapters and topics: what is said there and not everywhere.

use super::analysis::Findings;
use super::dictionary::Term;
use std::collections::BTreeMap;
use std::ops::Range;

/// Candidates for titles with their places.
pub(super) struct Titles {
    /// Text, how much it is worth, and the sentences that say it, in order.
    names: Vec<(String, f64, Vec<usize>)>,
}

/// What a term of a dictionary is worth against a phrase of RAKE's score 1.
const TERM: f64 = 4.0;
/// The most names of a chapter.
const NAMES: usize = 4;

impl Titles {
    pub(super) fn new(findings: &Findings, terms: &[Term]) -> Self {
        let mut names: BTreeMap<String, (f64, Vec<usize>)> = BTreeMap::new();
        let sentence_at = |passage: usize, token: usize| {
            let at = findings
                .sentences
                .partition_point(|s| (s.passage, s.tokens.end) <= (passage, token));
            findings
                .sentences
                .get(at)
                .filter(|s| s.passage == passage && s.tokens.contains(&token))?;
            Some(at)
        };
        for phrase in &findings.phrases {
            let places =
                phrase.places.iter().filter_map(|(p, tokens, _)| sentence_at(*p, tokens.start));
            let entry = names.entry(phrase.text.clone()).or_insert((phrase.rake, Vec::new()));
            entry.1.extend(places);
        }
        for (passage, found) in findings.keywords.iter().enumerate() {
            for one in found {
                let Some(at) = sentence_at(passage, one.tokens.start) else { continue };
                let term = &terms[one.term];
                let entry = names.entry(term.term.to_lowercase()).or_insert((0.0, Vec::new()));
                entry.0 = entry.0.max(TERM * term.weight);
                if !entry.1.contains(&at) {
                    entry.1.push(at);
                }
            }
        }
        let names = names.into_iter().map(|(text, (worth, mut at))| {
            at.sort_unstable();
            (text, worth, at)
        });
        Self { names: names.collect() }
    }

    /// The best names of the sentences `within`, none of `used` and none that says the same.
    pub(super) fn of(
        &self,
        within: &Range<usize>,
        findings: &Findings,
        used: &[String],
    ) -> Vec<String> {
        let total = findings.sentences.len().max(1) as f64;
        let share = within.len() as f64 / total;
        let mut scored: Vec<(f64, &str)> = self
            .names
            .iter()
            .filter_map(|(text, worth, at)| {
                let here = at.iter().filter(|n| within.contains(n)).count() as f64;
                // More often here than by chance, and more than once.
                let special = here / (at.len().max(1) as f64);
                let score = worth * (1.0 + here).ln() * (0.2 + special - share * 0.2);
                (here > 0.0).then_some((score, text.as_str()))
            })
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        let mut names: Vec<String> = Vec::new();
        for (_, text) in scored {
            let known = |other: &String| other.contains(text) || text.contains(other.as_str());
            let taken =
                if names.is_empty() { used.iter().any(known) } else { names.iter().any(known) };
            if !taken {
                names.push(text.to_owned());
            }
            if names.len() == NAMES {
                break;
            }
        }
        names
    }
}

/// The names of topics: their `count` best phrases, each.
pub(super) fn topics(findings: &Findings, count: usize) -> Vec<String> {
    let mut scores: Vec<BTreeMap<&str, f64>> = vec![BTreeMap::new(); findings.topics.count];
    for phrase in &findings.phrases {
        for (passage, tokens, _) in &phrase.places {
            let at = findings
                .sentences
                .partition_point(|s| (s.passage, s.tokens.end) <= (*passage, tokens.start));
            let own = findings.sentences.get(at).filter(|s| s.passage == *passage);
            if let (Some(_), Some(topic)) = (own, findings.topics.of.get(at)) {
                // A phrase that all topics share names none of them.
                let share = 1.0 / phrase.places.len() as f64;
                let score = scores[*topic].entry(&phrase.text).or_default();
                *score += phrase.score * share;
            }
        }
    }
    let best = |scores: BTreeMap<&str, f64>| {
        let mut all: Vec<(&str, f64)> = scores.into_iter().collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        all.iter().take(count).map(|(text, _)| *text).collect::<Vec<_>>().join(", ")
    };
    scores.into_iter().map(best).collect()
}

/// `text` with a capital first letter.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}
