//! Key phrases by RAKE (Rose, Engel, Cramer and Cowley, "Automatic keyword extraction from individual
//! documents", 2010): runs of words without stop words and punctuation; a word's score is its degree in
//! them over how often it is there, a phrase's the sum of its words'.

use super::passage::Passage;
use super::words::Stems;
use crate::time::Span;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

/// A key phrase.
#[derive(Clone, Debug, PartialEq)]
pub struct Phrase {
    /// As it was first said, folded.
    pub text: String,
    /// RAKE's score of its words.
    pub rake: f64,
    /// [`Phrase::rake`] × (1 + ln of how often it is said): what is said once in a long talk may be long
    /// by chance.
    pub score: f64,
    /// Where it is said: passage, tokens and time.
    pub places: Vec<(usize, Range<usize>, Span)>,
}

/// The most words of a phrase: longer runs are lists.
const MAX_WORDS: usize = 4;

/// The key phrases of `passages`, the best first. Phrases of the same stems are one.
pub fn phrases(passages: &[Passage], stop: impl Fn(&str) -> HashSet<String>) -> Vec<Phrase> {
    let mut lists: HashMap<&str, HashSet<String>> = HashMap::new();
    let mut runs: Vec<(usize, Range<usize>)> = Vec::new();
    for (n, passage) in passages.iter().enumerate() {
        let list = lists.entry(&passage.language).or_insert_with(|| stop(&passage.language));
        runs.extend(candidates(passage, list).into_iter().map(|run| (n, run)));
    }
    // Words are counted by their stems.
    let mut stems: HashMap<&str, Stems> = HashMap::new();
    let mut keys: Vec<Vec<String>> = Vec::with_capacity(runs.len());
    for (n, run) in &runs {
        let passage = &passages[*n];
        let stems = stems.entry(&passage.language).or_insert_with(|| Stems::of(&passage.language));
        let words = passage.tokens[run.clone()].iter();
        keys.push(words.map(|token| stems.stem(&token.folded).to_owned()).collect());
    }
    let mut counts: HashMap<&str, (f64, f64)> = HashMap::new();
    for key in &keys {
        for stem in key {
            let (degree, frequency) = counts.entry(stem).or_default();
            *degree += key.len() as f64;
            *frequency += 1.0;
        }
    }
    let mut found: BTreeMap<&[String], Phrase> = BTreeMap::new();
    for ((n, run), key) in runs.iter().zip(&keys) {
        let passage = &passages[*n];
        let Some(span) = passage.span_of(run) else { continue };
        let phrase = found.entry(key.as_slice()).or_insert_with(|| {
            let words: Vec<&str> = passage.tokens[run.clone()].iter().map(|t| &*t.folded).collect();
            let rake =
                key.iter().filter_map(|stem| counts.get(stem.as_str())).map(|(d, f)| d / f).sum();
            Phrase { text: words.join(" "), rake, score: 0.0, places: Vec::new() }
        });
        phrase.places.push((*n, run.clone(), span));
    }
    let mut all: Vec<Phrase> = found.into_values().collect();
    for phrase in &mut all {
        phrase.score = phrase.rake * (1.0 + (phrase.places.len() as f64).ln());
    }
    all.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.text.cmp(&b.text)));
    all
}

/// Runs of words that may be phrases: between stop words, punctuation and edges of segments.
fn candidates(passage: &Passage, stop: &HashSet<String>) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut open: Option<usize> = None;
    let mut close = |open: &mut Option<usize>, to: usize| {
        if let Some(from) = open.take()
            && to - from <= MAX_WORDS
        {
            runs.push(from..to);
        }
    };
    for (n, token) in passage.tokens.iter().enumerate() {
        let before = n.checked_sub(1).map(|n| passage.tokens[n].at.end);
        let between = before.and_then(|end| passage.text.get(end..token.at.start)).unwrap_or("");
        if token.begins || !between.chars().all(|c| c.is_whitespace() || c == '-' || c == '\'') {
            close(&mut open, n);
        }
        let is_word =
            token.folded.chars().any(char::is_alphabetic) && token.folded.chars().count() > 1;
        if stop.contains(&*token.folded) || !is_word {
            close(&mut open, n);
        } else {
            open.get_or_insert(n);
        }
    }
    close(&mut open, passage.tokens.len());
    runs
}

#[cfg(test)]
mod tests {
    use super::super::passage::untimed;
    use super::*;

    /// The example of RAKE's paper, with the stop words that its table of candidates shows.
    const PAPER: &str = "Compatibility of systems of linear constraints over the set of natural \
        numbers. Criteria of compatibility of a system of linear Diophantine equations, strict \
        inequations, and nonstrict inequations are considered. Upper bounds for components of a \
        minimal set of solutions and algorithms of construction of minimal generating sets of \
        solutions for all types of systems are given. These criteria and the corresponding algorithms \
        for constructing a minimal supporting set of solutions can be used in solving all the \
        considered types of systems and systems of mixed types.";
    const STOP: &str =
        "of over the a and are for all these can be used in solving considered given";

    #[test]
    fn scores_are_those_of_the_paper() {
        // The paper does not stem: in a language without rules, words are their own stems.
        let passage = untimed(PAPER, "xx", 1);
        let stop: HashSet<String> = STOP.split(' ').map(str::to_owned).collect();
        let found = phrases(&[passage], |_| stop.clone());
        let rake = |text: &str| found.iter().find(|p| p.text == text).map(|p| p.rake);
        // Degrees over frequencies of Figure 1.3: minimal 8/3, generating 3/1, sets 3/1; linear 5/2,
        // diophantine and equations 3/1; supporting 3, set 6/3; natural numbers 2 + 2.
        let near = |text: &str, score: f64| {
            let found = rake(text).unwrap_or_else(|| panic!("{text}"));
            assert!((found - score).abs() < 0.05, "{text}: {found}");
        };
        near("minimal generating sets", 8.7);
        near("linear diophantine equations", 8.5);
        near("minimal supporting set", 7.7);
        near("minimal set", 4.7);
        near("linear constraints", 4.5);
        near("natural numbers", 4.0);
        near("strict inequations", 4.0);
        near("nonstrict inequations", 4.0);
        near("upper bounds", 4.0);
        assert_eq!(found.iter().find(|p| p.text == "systems").unwrap().places.len(), 4);
    }

    #[test]
    fn inflections_are_one_phrase_with_all_its_places() {
        let passage = untimed("The moving average. Two moving averages! A MOVING AVERAGE", "en", 1);
        let found = phrases(&[passage], super::super::stopwords::stopwords);
        assert_eq!((found[0].text.as_str(), found[0].places.len()), ("moving average", 3));
        assert!(
            phrases(&[untimed("and so on, the 5", "en", 1)], super::super::stopwords::stopwords)
                .is_empty()
        );
    }
}
