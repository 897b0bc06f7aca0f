//! Words as they are compared: cut at Unicode's letters and digits, folded, stemmed.

use rust_stemmers::{Algorithm, Stemmer};
use std::collections::HashMap;
use std::ops::Range;
use unicode_normalization::UnicodeNormalization;
use unicode_script::{Script, UnicodeScript};

/// Where the words of `text` lie in it, in bytes. A word is a run of letters and digits, with the
/// marks on them; an apostrophe between letters belongs to it, a hyphen does not. In scripts that
/// put no spaces between words every letter is one: a term is a run of them, as in the library's
/// full text.
pub fn split(text: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut open: Option<usize> = None;
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        if letter.is_ascii() {
            let inside = letter.is_ascii_alphanumeric()
                || (letter == '\'' && open.is_some() && next_is_letter(letters.peek()));
            match (inside, open) {
                (true, None) => open = Some(at),
                (false, Some(from)) => {
                    words.push(from..at);
                    open = None;
                }
                _ => {}
            }
            continue;
        }
        if is_unspaced(letter) {
            if let Some(from) = open.take() {
                words.push(from..at);
            }
            words.push(at..at + letter.len_utf8());
        } else if letter.is_alphanumeric()
            // What only changes the letter before begins no word.
            || (open.is_some()
                && (is_mark(letter) || (letter == '’' && next_is_letter(letters.peek()))))
        {
            open.get_or_insert(at);
        } else if let Some(from) = open.take() {
            words.push(from..at);
        }
    }
    if let Some(from) = open {
        words.push(from..text.len());
    }
    words
}

fn next_is_letter(next: Option<&(usize, char)>) -> bool {
    next.is_some_and(|(_, letter)| letter.is_alphabetic())
}

/// Marks that change the letter before: not letters themselves, yet no edge of a word.
fn is_mark(letter: char) -> bool {
    letter.script() == Script::Inherited || unicode_normalization::char::is_combining_mark(letter)
}

fn is_unspaced(letter: char) -> bool {
    use Script::{Han, Hiragana, Katakana, Khmer, Lao, Myanmar, Thai};
    letter.is_alphabetic()
        && matches!(letter.script(), Han | Hiragana | Katakana | Thai | Lao | Khmer | Myanmar)
}

/// `word` in the form in which words are compared: lower case, compatible forms as one (NFKD),
/// without accents and without an English possessive.
pub fn fold(word: &str) -> String {
    let mut folded = if word.is_ascii() {
        word.to_ascii_lowercase()
    } else {
        let decomposed = word.nfkd().filter(|c| !matches!(c, '\u{300}'..='\u{36f}'));
        decomposed.flat_map(char::to_lowercase).map(|c| if c == '’' { '\'' } else { c }).collect()
    };
    if folded.ends_with("'s") {
        folded.truncate(folded.len() - 2);
    }
    folded
}

/// Cuts words to their stems by Snowball's rules for a language; remembers what it has done, since
/// a text has far fewer different words than words.
pub struct Stems {
    stemmer: Option<Stemmer>,
    known: HashMap<String, String>,
}

impl Stems {
    /// For a language (ISO 639-1). Words of one without rules are their own stems.
    pub fn of(language: &str) -> Self {
        use Algorithm::*;
        let algorithm = match language {
            "ar" => Some(Arabic),
            "da" => Some(Danish),
            "nl" => Some(Dutch),
            "en" => Some(English),
            "fi" => Some(Finnish),
            "fr" => Some(French),
            "de" => Some(German),
            "el" => Some(Greek),
            "hu" => Some(Hungarian),
            "it" => Some(Italian),
            "no" | "nb" | "nn" => Some(Norwegian),
            "pt" => Some(Portuguese),
            "ro" => Some(Romanian),
            "ru" => Some(Russian),
            "es" => Some(Spanish),
            "sv" => Some(Swedish),
            "ta" => Some(Tamil),
            "tr" => Some(Turkish),
            _ => None,
        };
        Self { stemmer: algorithm.map(Stemmer::create), known: HashMap::new() }
    }

    /// The stem of a folded word.
    pub fn stem(&mut self, folded: &str) -> &str {
        let Some(stemmer) = &self.stemmer else {
            return self.known.entry(folded.to_owned()).or_insert_with(|| folded.to_owned());
        };
        // Looked up first: the entry's key would be a copy each time.
        if !self.known.contains_key(folded) {
            let stem = match folded.bytes().any(|b| b.is_ascii_digit()) {
                true => folded.to_owned(),
                false => stemmer.stem(folded).into_owned(),
            };
            self.known.insert(folded.to_owned(), stem);
        }
        self.known.get(folded).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        split(text).into_iter().map(|range| fold(&text[range])).collect()
    }

    #[test]
    fn words_end_where_letters_do() {
        assert_eq!(
            words("Stop-loss, the trader's S&P 500."),
            ["stop", "loss", "the", "trader", "s", "p", "500"]
        );
        assert_eq!(words("don't 'quote' it’s"), ["don't", "quote", "it"]);
        assert_eq!(
            words("Crème brûlée ﬁne NAÏVE Straße"),
            ["creme", "brulee", "fine", "naive", "straße"]
        );
        assert_eq!(words("e\u{301}tude नमस्ते"), ["etude", "नमस्ते"]);
        assert_eq!(words("止损 stop ราคา"), ["止", "损", "stop", "ร", "า", "ค", "า"]);
        assert!(words(" ... — '' ❤\u{fe0f}").is_empty());
    }

    #[test]
    fn stems_are_those_of_the_language() {
        let mut english = Stems::of("en");
        assert_eq!(english.stem("trading"), "trade");
        assert_eq!(english.stem("breakouts"), "breakout");
        assert_eq!(english.stem("200s"), "200s");
        assert_eq!(Stems::of("de").stem("kurse"), "kurs");
        assert_eq!(Stems::of("xx").stem("trading"), "trading");
    }
}
