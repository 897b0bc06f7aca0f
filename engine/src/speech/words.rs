//! From timed tokens to timed words: what belongs together, and times that hold.
//!
//! After OpenAI's `tokenizer.py` (`split_to_word_tokens`) and `timing.py` (`merge_punctuations`,
//! and the truncation of words that seem too long beside a pause).

use super::recogniser::{PieceWord, SAMPLE_RATE};
use std::ops::Range;

/// A token with the stretch in which it is heard.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedToken {
    /// Its bytes; a character may lie across tokens.
    pub bytes: Vec<u8>,
    /// Where it is heard, in samples from the chunk's start.
    pub samples: Range<u32>,
    /// Its probability, 0 to 1.
    pub probability: f32,
}

/// Languages that put no spaces between words.
const WITHOUT_SPACES: [&str; 6] = ["zh", "ja", "th", "lo", "my", "yue"];

/// Whether a language puts spaces between words.
pub fn has_spaces(language: &str) -> bool {
    !WITHOUT_SPACES.contains(&language)
}

/// Punctuation that belongs to the word behind it.
const PREPENDED: &str = "\"'“¿([{-";

/// Punctuation that belongs to the word before it.
const APPENDED: &str = "\"'.。,，!！?？:：”)]}、";

/// What ends a sentence.
const SENTENCE_ENDS: [&str; 6] = [".", "。", "!", "！", "?", "？"];

/// Tokens of one text put together to words, punctuation with its neighbour.
pub fn group(tokens: &[TimedToken], language: &str) -> Vec<PieceWord> {
    let characters = whole_characters(tokens);
    let words = if WITHOUT_SPACES.contains(&language) {
        characters
    } else {
        let mut words: Vec<Gathered> = Vec::new();
        for part in characters {
            let begins = part.text.starts_with(char::is_whitespace);
            let mark = part.text.trim();
            let punctuation = mark.chars().count() == 1 && mark.chars().all(is_punctuation);
            match words.last_mut() {
                Some(word) if !begins && !punctuation => word.take(part),
                _ => words.push(part),
            }
        }
        words
    };
    merge_punctuation(words)
        .into_iter()
        .filter(|word| !word.text.trim().is_empty())
        .map(|word| PieceWord {
            samples: word.samples,
            text: word.text,
            probability: (word.probability / word.tokens.max(1) as f32).clamp(0.0, 1.0),
        })
        .collect()
}

/// The marks of Python's `string.punctuation`.
fn is_punctuation(mark: char) -> bool {
    mark.is_ascii_punctuation()
}

/// A word in the making.
struct Gathered {
    text: String,
    samples: Range<u32>,
    /// Sum of its tokens' probabilities.
    probability: f32,
    tokens: u32,
}

impl Gathered {
    fn take(&mut self, next: Self) {
        self.text.push_str(&next.text);
        // A mark has hardly a sound: times stay those of the letters.
        self.samples.end = next.samples.end.max(self.samples.end);
        self.probability += next.probability;
        self.tokens += next.tokens;
    }
}

/// Tokens joined until they are whole characters.
fn whole_characters(tokens: &[TimedToken]) -> Vec<Gathered> {
    let mut out = Vec::new();
    let mut held: Option<(Vec<u8>, Gathered)> = None;
    let mut tokens = tokens.iter().peekable();
    while let Some(token) = tokens.next() {
        let (mut bytes, mut word) = held.take().unwrap_or_else(|| {
            let samples = token.samples.clone();
            (Vec::new(), Gathered { text: String::new(), samples, probability: 0.0, tokens: 0 })
        });
        bytes.extend_from_slice(&token.bytes);
        word.samples.end = token.samples.end.max(word.samples.end);
        word.probability += token.probability;
        word.tokens += 1;
        // Cut off in the middle of a character: it goes on with the next token.
        let open = std::str::from_utf8(&bytes).is_err_and(|error| error.error_len().is_none());
        if open && tokens.peek().is_some() {
            held = Some((bytes, word));
        } else {
            word.text = String::from_utf8_lossy(&bytes).into_owned();
            if !word.text.is_empty() {
                out.push(word);
            }
        }
    }
    out
}

/// Joins punctuation to the word behind (`PREPENDED`, after a space) or before (`APPENDED`).
fn merge_punctuation(words: Vec<Gathered>) -> Vec<Gathered> {
    let mut joined: Vec<Gathered> = Vec::new();
    for mut word in words.into_iter().rev() {
        // Here the last of `joined` is the word behind.
        let opens =
            word.text.starts_with(char::is_whitespace) && contains(PREPENDED, word.text.trim());
        match joined.pop() {
            Some(behind) if opens => {
                let samples = behind.samples.clone();
                word.take(behind);
                word.samples = samples;
                joined.push(word);
            }
            behind => {
                joined.extend(behind);
                joined.push(word);
            }
        }
    }
    let mut out: Vec<Gathered> = Vec::new();
    for word in joined.into_iter().rev() {
        match out.last_mut() {
            Some(before)
                if !before.text.ends_with(char::is_whitespace)
                    && contains(APPENDED, &word.text) =>
            {
                let end = before.samples.end;
                before.take(word);
                before.samples.end = end;
            }
            _ => out.push(word),
        }
    }
    out
}

/// Whether `mark` is one of the marks, and not a text with several.
fn contains(marks: &str, mark: &str) -> bool {
    let mut characters = mark.chars();
    characters.next().is_some_and(|c| marks.contains(c)) && characters.next().is_none()
}

/// Shortens words that seem to fill a pause: alignment gives a pause to the word beside it. A word
/// at a sentence's end or start, and the first of all, is at most twice as long as the median word
/// (itself taken as at most 0.7 s).
pub fn shorten_beside_pauses(words: &mut [PieceWord]) {
    let mut lengths: Vec<u32> = words
        .iter()
        .map(|w| w.samples.end.saturating_sub(w.samples.start))
        .filter(|l| *l > 0)
        .collect();
    if lengths.is_empty() {
        return;
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2].min(SAMPLE_RATE * 7 / 10);
    let longest = median * 2;
    let ends = |text: &str| SENTENCE_ENDS.iter().any(|mark| text.trim_end().ends_with(mark));
    for index in 0..words.len() {
        let after_end = index == 0 || ends(&words[index - 1].text);
        let word = &mut words[index];
        let Range { start, end } = word.samples;
        if end.saturating_sub(start) <= longest {
            continue;
        }
        if after_end {
            word.samples.start = end - longest;
        } else if ends(&word.text) {
            word.samples.end = start + longest;
        }
    }
}

/// Makes times hold: in order, without overlap, none empty, all inside `length` samples. Where
/// there are more words than samples the last are left out.
pub fn straighten(words: &mut Vec<PieceWord>, length: u32) {
    words.truncate(length as usize);
    let mut from = 0;
    for word in words.iter_mut() {
        word.samples.start = word.samples.start.max(from);
        word.samples.end = word.samples.end.max(word.samples.start + 1);
        from = word.samples.end;
    }
    let mut until = length;
    for word in words.iter_mut().rev() {
        word.samples.end = word.samples.end.min(until);
        word.samples.start = word.samples.start.min(word.samples.end - 1);
        until = word.samples.start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(parts: &[&[u8]]) -> Vec<TimedToken> {
        let token = |(n, bytes): (usize, &&[u8])| TimedToken {
            bytes: bytes.to_vec(),
            samples: n as u32 * 100..(n as u32 + 1) * 100,
            probability: 0.5,
        };
        parts.iter().enumerate().map(token).collect()
    }

    fn texts(words: &[PieceWord]) -> Vec<&str> {
        words.iter().map(|w| w.text.as_str()).collect()
    }

    #[test]
    fn words_begin_with_spaces_and_take_their_punctuation() {
        let parts: [&[u8]; 9] = [b" My", b" coun", b"try", b",", b" \"", b"ask", b" $", b"5", b"!"];
        let words = group(&tokens(&parts), "en");
        assert_eq!(texts(&words), [" My", " country,", " \"ask", " $5!"]);
        assert_eq!(words[1].samples, 100..300);
        assert_eq!(words[2].samples, 400..600);
        assert!((words[1].probability - 0.5).abs() < 1e-6);
    }

    #[test]
    fn characters_across_tokens_are_joined() {
        let parts: [&[u8]; 4] = [&[0xe4, 0xbd], &[0xa0], "好".as_bytes(), "。".as_bytes()];
        assert_eq!(texts(&group(&tokens(&parts), "zh")), ["你", "好。"]);
        let broken: [&[u8]; 2] = [b" a", &[0xe4]];
        assert_eq!(texts(&group(&tokens(&broken), "en")), [" a\u{fffd}"]);
    }

    #[test]
    fn a_dash_within_a_word_stays_in_it() {
        let parts: [&[u8]; 4] = [b" well", b"-", b"known", b" fact"];
        // As OpenAI's: the dash is a word for the moment, and is joined to neither.
        assert_eq!(texts(&group(&tokens(&parts), "en")), [" well", "-known", " fact"]);
    }

    #[test]
    fn pauses_are_not_words() {
        let word = |text: &str, samples: Range<u32>| PieceWord {
            samples,
            text: text.into(),
            probability: 1.0,
        };
        let mut words = vec![
            word(" So", 0..30_000),
            word(" it", 30_000..34_000),
            word(" ends.", 34_000..60_000),
            word(" Then", 60_000..64_000),
            word(" more", 64_000..68_000),
        ];
        shorten_beside_pauses(&mut words);
        assert_eq!(words[0].samples, 22_000..30_000);
        assert_eq!(words[2].samples, 34_000..42_000);
        assert_eq!(words[3].samples, 60_000..64_000);
    }

    proptest! {
        #[test]
        fn times_hold(
            times in prop::collection::vec((0u32..2_000, 0u32..2_000), 0..30),
            length in 0u32..1_500,
        ) {
            let mut words: Vec<_> = times
                .into_iter()
                .map(|(start, end)| PieceWord {
                    samples: start..end,
                    text: " a".into(),
                    probability: 1.0,
                })
                .collect();
            let wanted = words.len().min(length as usize);
            shorten_beside_pauses(&mut words);
            straighten(&mut words, length);
            prop_assert_eq!(words.len(), wanted);
            let mut from = 0;
            for word in &words {
                prop_assert!(word.samples.start >= from && word.samples.end > word.samples.start);
                from = word.samples.end;
            }
            prop_assert!(from <= length);
        }
    }
}
