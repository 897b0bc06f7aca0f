//! Feeling by a lexicon: words with a value, turned round by a negation before them, made stronger or
//! weaker by a word of degree (after Hutto and Gilbert, "VADER", 2014, whose factors these are; the words
//! are our own).

use super::dictionary::wrong;
use super::passage::Token;
use super::words::{Stems, fold};
use crate::error::Result;
use std::collections::HashMap;

/// A lexicon of one language.
pub struct Lexicon {
    values: HashMap<String, f64>,
    language: String,
}

/// The feeling of a run of words.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Feeling {
    /// The sum of all values.
    pub sum: f64,
    /// The words that have one.
    pub words: usize,
    /// The sum of how strong they are, whichever way.
    pub strength: f64,
}

impl Feeling {
    /// From −1 to 1: the sum, pressed into that range as by VADER (s / √(s² + 15)).
    pub fn score(self) -> f64 {
        self.sum / (self.sum * self.sum + 15.0).sqrt()
    }
}

/// How far before a word a negation counts, and by how much it turns it round.
const REACH: usize = 3;
const TURN: f64 = -0.74;
/// What a word of degree right before adds.
const DEGREE: f64 = 0.293;

const NOT: [&str; 18] = [
    "not", "no", "never", "none", "nobody", "nothing", "neither", "nor", "without", "hardly",
    "don't", "doesn't", "didn't", "isn't", "wasn't", "won't", "can't", "aren't",
];
const MORE: [&str; 9] =
    ["very", "really", "extremely", "so", "absolutely", "incredibly", "totally", "truly", "most"];
const LESS: [&str; 6] = ["slightly", "somewhat", "barely", "little", "kinda", "fairly"];

impl Lexicon {
    /// The lexicon of a language (ISO 639-1) that comes with the engine; `None` where there is none.
    ///
    /// # Errors
    /// None: a test reads it.
    pub fn bundled(language: &str) -> Result<Option<Self>> {
        match language {
            "en" => Self::parse(include_str!("data/sentiment/en.txt"), language).map(Some),
            _ => Ok(None),
        }
    }

    /// Reads a lexicon: lines of a value from −3 to 3 and the words that have it; `#` begins a comment.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Input`] that names the line.
    pub fn parse(text: &str, language: &str) -> Result<Self> {
        let mut stems = Stems::of(language);
        let mut values = HashMap::new();
        for (n, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or("").trim();
            let mut words = line.split_ascii_whitespace();
            let Some(value) = words.next() else { continue };
            let number = value.parse().ok().filter(|value: &f64| (-3.0..=3.0).contains(value));
            let number = number
                .ok_or_else(|| wrong(n + 1, format!("`{value}` is no value from -3 to 3")))?;
            for word in words {
                // What stands twice has its first value.
                values.entry(stems.stem(&fold(word)).to_owned()).or_insert(number);
            }
        }
        Ok(Self { values, language: language.to_owned() })
    }

    /// The feeling of `tokens`.
    pub fn feeling(&self, tokens: &[Token]) -> Feeling {
        let mut stems = Stems::of(&self.language);
        let mut feeling = Feeling::default();
        for (n, token) in tokens.iter().enumerate() {
            let Some(value) = self.values.get(stems.stem(&token.folded)) else { continue };
            let before = &tokens[n.saturating_sub(REACH)..n];
            // Nothing counts over the edge of a sentence.
            let from = match token.begins {
                true => before.len(),
                false => before.iter().rposition(|t| t.begins).unwrap_or(0),
            };
            let before = &before[from..];
            let mut value = *value;
            if let Some(last) = before.last() {
                let degree = match &*last.folded {
                    word if MORE.contains(&word) => DEGREE,
                    word if LESS.contains(&word) => -DEGREE,
                    _ => 0.0,
                };
                value += degree * value.signum();
            }
            if before.iter().any(|t| NOT.contains(&&*t.folded)) {
                value *= TURN;
            }
            feeling.sum += value;
            feeling.words += 1;
            feeling.strength += value.abs();
        }
        feeling
    }
}

#[cfg(test)]
mod tests {
    use super::super::passage::untimed;
    use super::*;

    fn sum(text: &str) -> f64 {
        let lexicon = Lexicon::bundled("en").unwrap().unwrap();
        let sum = lexicon.feeling(&untimed(text, "en", 1).tokens).sum;
        (sum * 1000.0).round() / 1000.0
    }

    #[test]
    fn words_degrees_and_negations_count() {
        assert_eq!(sum("a good day"), 1.5);
        assert_eq!(sum("a very good day"), 1.793);
        assert_eq!(sum("not a good day"), -1.11);
        assert_eq!(sum("it was not. Good"), 1.5);
        assert_eq!(sum("terrible losses"), -4.5);
        assert_eq!(sum("a table"), 0.0);
        let feeling = Feeling { sum: 1.0, words: 1, strength: 1.0 };
        assert_eq!(feeling.score(), 0.25);
        assert!(Lexicon::bundled("xx").unwrap().is_none());
    }

    #[test]
    fn a_bad_lexicon_names_its_line() {
        let told =
            |text| Lexicon::parse(text, "en").err().map(|e| e.to_string()).unwrap_or_default();
        assert!(told("# a\n1 good\nbad worse\n").contains("line 3"));
        assert!(told("4 good").contains("line 1") && told("nan good").contains("line 1"));
    }
}
