//! English text the way OpenAI's Whisper compares it.
//!
//! Word error rates of Whisper models are quoted on text that went through the `EnglishTextNormalizer`
//! of OpenAI's package, so these are too. This does what that does (its oddities included, since a
//! figure compares only with figures made alike; the original is MIT, copyright 2022 OpenAI).
//! `benches/speech.py` checks it against the PyPI package `whisper-normalizer` on every text that it
//! scores. The table of British and American spellings is not kept here: the caller reads it from
//! that package.

use std::collections::HashMap;

use regex::Regex;
use unicode_normalization::UnicodeNormalization;

use crate::wer::numbers::Numbers;

/// What is written out before symbols go, in this order.
const CONTRACTIONS: &[(&str, &str)] = &[
    (r"\bwon't\b", "will not"),
    (r"\bcan't\b", "can not"),
    (r"\blet's\b", "let us"),
    (r"\bain't\b", "aint"),
    (r"\by'all\b", "you all"),
    (r"\bwanna\b", "want to"),
    (r"\bkinda\b", "kind of"),
    (r"\bsorta\b", "sort of"),
    (r"\bdunno\b", "do not know"),
    (r"\bgotta\b", "got to"),
    (r"\bgonna\b", "going to"),
    (r"\bi'ma\b", "i am going to"),
    (r"\bimma\b", "i am going to"),
    (r"\bwoulda\b", "would have"),
    (r"\bcoulda\b", "could have"),
    (r"\bshoulda\b", "should have"),
    (r"\bcause\b", "because"),
    (r"\bma'am\b", "madam"),
    (r"\bmr\b", "mister "),
    (r"\bmrs\b", "missus "),
    (r"\bst\b", "saint "),
    (r"\bdr\b", "doctor "),
    (r"\bprof\b", "professor "),
    (r"\bcapt\b", "captain "),
    (r"\bgov\b", "governor "),
    (r"\bald\b", "alderman "),
    (r"\bgen\b", "general "),
    (r"\bsen\b", "senator "),
    (r"\brep\b", "representative "),
    (r"\bpres\b", "president "),
    (r"\brev\b", "reverend "),
    (r"\bhon\b", "honorable "),
    (r"\basst\b", "assistant "),
    (r"\bassoc\b", "associate "),
    (r"\blt\b", "lieutenant "),
    (r"\bcol\b", "colonel "),
    (r"\bjr\b", "junior "),
    (r"\bsr\b", "senior "),
    (r"\besq\b", "esquire "),
    (r"'d been\b", " had been"),
    (r"'s been\b", " has been"),
    (r"'d gone\b", " had gone"),
    (r"'s gone\b", " has gone"),
    (r"'d done\b", " had done"),
    (r"'s got\b", " has got"),
    (r"n't\b", " not"),
    (r"'re\b", " are"),
    (r"'s\b", " is"),
    (r"'d\b", " would"),
    (r"'ll\b", " will"),
    (r"'t\b", " not"),
    (r"'ve\b", " have"),
    (r"'m\b", " am"),
];

/// Letters that NFKD leaves whole.
const WHOLE_LETTERS: &[(char, &str)] = &[
    ('œ', "oe"),
    ('Œ', "OE"),
    ('ø', "o"),
    ('Ø', "O"),
    ('æ', "ae"),
    ('Æ', "AE"),
    ('ß', "ss"),
    ('ẞ', "SS"),
    ('đ', "d"),
    ('Đ', "D"),
    ('ð', "d"),
    ('Ð', "D"),
    ('þ', "th"),
    ('Þ', "th"),
    ('ł', "l"),
    ('Ł', "L"),
];

/// What may still be part of a number after symbols have gone.
const OF_NUMBERS: &str = ".%$¢€£";

/// A pattern and what takes its place.
struct Rule(Regex, &'static str);

impl Rule {
    fn new(pattern: &str, by: &'static str) -> Result<Self, regex::Error> {
        Ok(Self(Regex::new(pattern)?, by))
    }

    fn all(rules: &[(&str, &'static str)]) -> Result<Vec<Self>, regex::Error> {
        rules.iter().map(|(pattern, by)| Self::new(pattern, by)).collect()
    }
}

fn apply(rules: &[Rule], mut text: String) -> String {
    for Rule(pattern, by) in rules {
        if pattern.is_match(&text) {
            text = pattern.replace_all(&text, *by).into_owned();
        }
    }
    text
}

/// The normaliser, with its rules compiled.
pub struct English {
    before: Vec<Rule>,
    marks: Regex,
    symbols: Regex,
    numbers: Numbers,
    spellings: HashMap<String, String>,
    after: Vec<Rule>,
}

impl English {
    /// With a table that maps spellings to the ones to compare by.
    ///
    /// # Errors
    ///
    /// When a rule is no valid pattern, which a test rules out.
    pub fn new(spellings: HashMap<String, String>) -> Result<Self, regex::Error> {
        let mut before = Rule::all(&[
            (r"[<\[][^>\]]*[>\]]", ""),
            (r"\(([^)]+?)\)", ""),
            (r"\b(hmm|mm|mhm|mmm|uh|um)\b", ""),
            (r"\s+'", "'"),
        ])?;
        before.extend(Rule::all(CONTRACTIONS)?);
        before
            .extend(Rule::all(&[(r"(\p{Nd}),(\p{Nd})", "${1}${2}"), (r"\.([^0-9]|$)", " ${1}")])?);
        Ok(Self {
            before,
            marks: Regex::new(r"^\p{Mn}$")?,
            symbols: Regex::new(r"^[\p{M}\p{S}\p{P}]$")?,
            numbers: Numbers::new()?,
            spellings,
            after: Rule::all(&[
                (r"[.$¢€£]([^0-9])", " ${1}"),
                (r"([^0-9])%", "${1} "),
                (r"\s+", " "),
            ])?,
        })
    }

    /// The text in the form in which words are compared: separated by single spaces, and with one
    /// at either end where the original leaves one.
    #[must_use]
    pub fn normalise(&self, text: &str) -> String {
        let text = apply(&self.before, text.to_lowercase());
        let text = self.plain(&text);
        let text = self.numbers.to_digits(&text);
        let words: Vec<&str> = text
            .split_whitespace()
            .map(|word| self.spellings.get(word).map_or(word, String::as_str))
            .collect();
        apply(&self.after, words.join(" "))
    }

    /// Without diacritics, and with a space for every symbol that cannot be part of a number.
    fn plain(&self, text: &str) -> String {
        let mut plain = String::with_capacity(text.len());
        let mut buffer = [0; 4];
        for letter in text.nfkd() {
            if letter.is_ascii_alphanumeric() || letter == ' ' || OF_NUMBERS.contains(letter) {
                plain.push(letter);
            } else if let Some((_, by)) = WHOLE_LETTERS.iter().find(|(whole, _)| *whole == letter) {
                plain.push_str(by);
            } else {
                let one: &str = letter.encode_utf8(&mut buffer);
                if self.marks.is_match(one) {
                    continue;
                }
                plain.push(if self.symbols.is_match(one) { ' ' } else { letter });
            }
        }
        plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PyPI `whisper-normalizer` 0.1.15 gave, trimmed.
    #[test]
    fn as_the_reference_has_it() {
        let spellings = HashMap::from([("colour".to_owned(), "color".to_owned())]);
        let english = English::new(spellings).unwrap();
        for (text, normal) in [
            ("Mr. Quilter, isn't he?", "mister quilter is not he"),
            ("The colour [noise] of (laughs) Zoë's œuvre", "the color of zoe is oeuvre"),
            ("twenty-one point five percent", "21.5%"),
            ("$20 million, then fifty cents", "$20000000 then ¢50"),
            // "and" after a multiplier joins, whatever follows.
            ("$20 million and fifty cents", "¢20000050"),
            ("two dollars and seven cents", "$2.07"),
            ("the nineteen sixties", "the 1960s"),
            ("one oh one, the first of them", "101 the 1st of them"),
            ("two and a half thousand", "2500"),
            ("double oh seven", "007"),
            ("um, one by one", "one by one"),
            ("a hundred and three thousand", "a 103000"),
            ("1,234,567 people", "1234567 people"),
            ("", ""),
        ] {
            assert_eq!(english.normalise(text).trim(), normal, "{text}");
        }
    }
}
