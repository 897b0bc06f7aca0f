//! What was heard, word by word, in the form that patterns are matched with: lower case, without
//! punctuation, numbers as numbers however they were said.

use crate::library::catalogue::rows::SegmentRow;
use crate::text::number_words::{ones, tens};
use crate::time::{Span, Timestamp};

/// A word, a part of one, or a number of several.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// The word; for a number its digits.
    pub text: String,
    /// Its value, if it is a number.
    pub number: Option<f64>,
    /// When it is heard.
    pub span: Span,
    /// How sure the recogniser is, 0 to 1.
    pub sure: f64,
    /// The number of its sentence.
    pub sentence: u32,
    /// The first and the last word that it is made of, by their numbers in [`Heard::words`].
    pub words: (usize, usize),
}

/// All that was heard in a film.
#[derive(Debug, Default)]
pub struct Heard {
    /// The tokens, in order.
    pub tokens: Vec<Token>,
    /// The words as the recogniser wrote them.
    pub words: Vec<String>,
}

/// A segment that the recogniser itself doubts counts for less.
const DOUBTED: f64 = 0.8;

impl Heard {
    /// Takes a transcript apart. Segments without word times give each word the whole segment's.
    pub fn of<'a>(segments: impl IntoIterator<Item = &'a SegmentRow>) -> Self {
        let mut heard = Self::default();
        let mut sentence = 0;
        for segment in segments {
            let doubt = if segment.doubt.is_some() { DOUBTED } else { 1.0 };
            if segment.words.is_empty() {
                // The mean probability of its tokens is all there is.
                let sure = f64::from(segment.avg_logprob).exp().clamp(0.0, 1.0) * doubt;
                for word in segment.text.split_whitespace() {
                    heard.word(word, segment.span, sure, &mut sentence);
                }
            }
            for word in &segment.words {
                let sure = f64::from(word.probability).clamp(0.0, 1.0) * doubt;
                heard.word(word.text.trim(), word.span, sure, &mut sentence);
            }
        }
        heard.tokens = numbers(heard.tokens);
        heard
    }

    fn word(&mut self, word: &str, span: Span, sure: f64, sentence: &mut u32) {
        let n = self.words.len();
        self.words.push(word.to_owned());
        for text in parts(word) {
            let number =
                text.parse().ok().filter(|_| text.starts_with(|c: char| c.is_ascii_digit()));
            let sentence = *sentence;
            self.tokens.push(Token { text, number, span, sure, sentence, words: (n, n) });
        }
        if word.trim_end_matches(['"', '\'', ')', '”', '’']).ends_with(['.', '?', '!', '…']) {
            *sentence += 1;
        }
    }

    /// What was heard from the first to the last of these tokens.
    pub fn text(&self, from: usize, to: usize) -> String {
        match (self.tokens.get(from), self.tokens.get(to)) {
            (Some(first), Some(last)) => self.words[first.words.0..=last.words.1].join(" "),
            _ => String::new(),
        }
    }

    /// The stretch from the first to the last of these tokens.
    pub fn span(&self, from: usize, to: usize) -> Option<Span> {
        let (start, end) = (self.tokens.get(from)?.span.start, self.tokens.get(to)?.span.end);
        Span::new(start, end).or_else(|| Span::new(start, start))
    }

    /// How sure the recogniser is of these tokens together: their mean.
    pub fn sure(&self, from: usize, to: usize) -> f64 {
        let tokens = self.tokens.get(from..=to).unwrap_or_default();
        tokens.iter().map(|token| token.sure).sum::<f64>() / tokens.len().max(1) as f64
    }

    /// When a token is heard.
    pub fn at(&self, token: usize) -> Timestamp {
        self.tokens.get(token).map_or(Timestamp::ZERO, |token| token.span.start)
    }
}

/// The parts of a written word: `50-day` gives two, `2%` gives `2` and `percent`.
fn parts(word: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let letters: Vec<char> = word.to_lowercase().chars().collect();
    for (i, c) in letters.iter().enumerate() {
        let near =
            |n: Option<usize>| n.and_then(|n| letters.get(n)).is_some_and(char::is_ascii_digit);
        let between = near(i.checked_sub(1)) && near(Some(i + 1));
        let last_is_digit = near(i.checked_sub(1));
        match c {
            '.' if between => push(&mut out, *c),
            // Thousands: 10,000.
            ',' if between => {}
            '%' => out.extend(["percent".to_owned(), String::new()]),
            '\'' | '’' | '.' => {}
            c if c.is_alphanumeric() => {
                let was_letter = i > 0 && letters[i - 1].is_alphabetic();
                if (last_is_digit && c.is_alphabetic()) || (was_letter && c.is_ascii_digit()) {
                    out.push(String::new());
                }
                push(&mut out, *c);
            }
            _ => out.push(String::new()),
        }
    }
    out.retain(|part| !part.is_empty());
    out
}

fn push(out: &mut [String], c: char) {
    if let Some(last) = out.last_mut() {
        last.push(c);
    }
}

/// What a word counts: a value, or a factor for what was said before.
enum Count {
    Value(f64),
    Factor(f64),
}

fn count(text: &str) -> Option<Count> {
    match text {
        "hundred" => Some(Count::Factor(100.0)),
        "thousand" => Some(Count::Factor(1000.0)),
        _ => ones(text).or_else(|| tens(text)).map(Count::Value),
    }
}

/// Joins numbers that are said in several words: `two hundred`, `thirty five`, `one point five`,
/// `two and a half`, `half a`.
fn numbers(tokens: Vec<Token>) -> Vec<Token> {
    let mut out: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let (value, used) = match number_at(&tokens[at..]) {
            Some(found) => found,
            None => {
                out.push(tokens[at].clone());
                at += 1;
                continue;
            }
        };
        let (first, last) = (&tokens[at], &tokens[at + used - 1]);
        let sure = tokens[at..at + used].iter().map(|t| t.sure).sum::<f64>() / used as f64;
        out.push(Token {
            text: value.to_string(),
            number: Some(value),
            span: Span::new(first.span.start, last.span.end).unwrap_or(first.span),
            sure,
            sentence: first.sentence,
            words: (first.words.0, last.words.1),
        });
        at += used;
    }
    out
}

/// The number that begins here, and how many tokens it takes.
fn number_at(tokens: &[Token]) -> Option<(f64, usize)> {
    let sentence = tokens.first()?.sentence;
    let text = |n: usize| {
        tokens.get(n).filter(|token| token.sentence == sentence).map(|token| token.text.as_str())
    };
    if text(0) == Some("half") {
        let used = if text(1) == Some("a") { 2 } else { 1 };
        return Some((0.5, used));
    }
    let (mut value, mut used) = match (tokens[0].number, count(text(0)?)) {
        (Some(value), _) | (_, Some(Count::Value(value) | Count::Factor(value))) => (value, 1),
        _ => return None,
    };
    while let Some(next) = text(used).and_then(count) {
        match next {
            Count::Factor(factor) if value < factor => value *= factor,
            // `thirty five`, `two hundred fifty`, never `nine twenty`.
            Count::Value(more)
                if more > 0.0
                    && ((value >= 100.0 && value % 100.0 == 0.0 && more < 100.0)
                        || (value >= 20.0 && value % 10.0 == 0.0 && more < 10.0)) =>
            {
                value += more;
            }
            _ => break,
        }
        used += 1;
    }
    if text(used) == Some("point") {
        let mut scale = 0.1;
        let mut next = used + 1;
        while let Some(digit) = text(next).and_then(digit) {
            value += digit * scale;
            scale /= 10.0;
            next += 1;
        }
        if next > used + 1 {
            // What ten-thousandths cannot hold is noise of the sum.
            value = (value * 1e6).round() / 1e6;
            used = next;
        }
    } else if (text(used), text(used + 1), text(used + 2)) == (Some("and"), Some("a"), Some("half"))
    {
        (value, used) = (value + 0.5, used + 3);
    }
    Some((value, used))
}

fn digit(text: &str) -> Option<f64> {
    ones(text).or_else(|| text.parse().ok()).filter(|n| (0.0..10.0).contains(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn heard(text: &str) -> Heard {
        let words = text.split_whitespace();
        let span = Span::new(Timestamp::ZERO, Timestamp::from_secs(1)).unwrap();
        let words = words.map(|word| crate::library::catalogue::rows::WordRow {
            span,
            text: word.to_owned(),
            probability: 1.0,
            spaced: true,
        });
        Heard::of([&SegmentRow {
            span,
            text: text.to_owned(),
            language: "en".into(),
            language_probability: None,
            avg_logprob: 0.0,
            no_speech_prob: 0.0,
            doubt: None,
            words: words.collect(),
        }])
    }

    fn said(text: &str) -> String {
        heard(text).tokens.iter().map(|token| token.text.clone()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_and_numbers_in_many_forms() {
        for (text, wanted) in [
            ("The 50-day average, R.S.I. at 30.", "the 50 day average rsi at 30"),
            ("It's 2% or 1.5 %!", "its 2 percent or 1.5 percent"),
            ("thirty five and two hundred fifty", "35 and 250"),
            ("two hundred day", "200 day"),
            ("nine twenty one", "9 21"),
            ("one point two five percent", "1.25 percent"),
            ("two and a half percent, half a percent", "2.5 percent 0.5 percent"),
            ("10,000 dollars 2x rsi14 4h", "10000 dollars 2 x rsi 14 4 h"),
            ("a hundred, 3 thousand. Five", "a 100 3000 5"),
            ("twenty. five", "20 5"),
            ("", ""),
            ("… % , ' 50.", "percent 50"),
        ] {
            assert_eq!(said(text), wanted, "{text}");
        }
    }

    #[test]
    fn the_words_of_a_number_are_found_again() {
        let heard = heard("above the two hundred day, then Thirty-five.");
        assert_eq!(heard.text(2, 3), "two hundred day,");
        assert_eq!(heard.text(5, 5), "Thirty-five.");
        let sentences: Vec<u32> =
            super::tests::heard("a. b? c").tokens.iter().map(|t| t.sentence).collect();
        assert_eq!(sentences, [0, 1, 2]);
    }
}
