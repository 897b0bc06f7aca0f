//! A run of text with the time of each of its words: what dictionaries, patterns and rules read.

use super::words::{fold, split};
use crate::library::catalogue::rows::{FrameTextRow, SegmentRow, Stored};
use crate::time::{Span, Timestamp};
use std::ops::Range;

/// Where a passage comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// It is said.
    Said,
    /// It is written in a picture.
    Written,
}

impl Source {
    /// The lower-case word used in tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Said => "said",
            Self::Written => "written",
        }
    }
}

/// A word of a passage.
#[derive(Clone, Debug)]
pub struct Token {
    /// As it is compared: [`fold`].
    pub folded: Box<str>,
    /// Where it lies in the passage's text, in bytes.
    pub at: Range<usize>,
    /// When it is heard or to be read.
    pub span: Span,
    /// How sure whoever recognised it is, 0 to 1.
    pub probability: f32,
    /// The segment or line in the library that it belongs to.
    pub row: i64,
    /// Whether a sentence begins with it.
    pub begins: bool,
}

/// A run of text in one language.
#[derive(Clone, Debug)]
pub struct Passage {
    /// Where it comes from.
    pub source: Source,
    /// Its language (ISO 639-1); empty where nobody knows.
    pub language: String,
    /// The text as it was recognised.
    pub text: String,
    /// Its words, in order.
    pub tokens: Vec<Token>,
}

impl Passage {
    /// An empty passage.
    pub fn new(source: Source, language: &str) -> Self {
        Self { source, language: language.to_owned(), text: String::new(), tokens: Vec::new() }
    }

    /// What is said: one passage for each run of segments in one language.
    pub fn said(segments: &[Stored<SegmentRow>]) -> Vec<Self> {
        let mut passages: Vec<Self> = Vec::new();
        for Stored { id, row } in segments {
            if passages.last().is_none_or(|last| last.language != row.language) {
                passages.push(Self::new(Source::Said, &row.language));
            }
            let Some(passage) = passages.last_mut() else { continue };
            if row.words.is_empty() {
                // No model's probability for words; that of the segment's tokens is near.
                let probability = row.avg_logprob.exp().clamp(0.0, 1.0);
                passage.push(row.text.trim(), row.span, probability, *id, true);
            }
            for (n, word) in row.words.iter().enumerate() {
                let spaced = word.spaced || n == 0;
                passage.push(word.text.trim(), word.span, word.probability, *id, spaced);
            }
        }
        passages
    }

    /// What is written: one passage a line, in `language` where it is known.
    pub fn written(lines: &[(Stored<FrameTextRow>, Span)], language: &str) -> Vec<Self> {
        let passages = lines.iter().map(|(line, span)| {
            let mut passage = Self::new(Source::Written, language);
            let row = &line.row;
            let span = row.span.unwrap_or(*span);
            passage.push(&row.text, span, row.confidence, line.id, true);
            // A line is to be read as a whole.
            passage.tokens.iter_mut().for_each(|token| token.span = span);
            passage
        });
        passages.filter(|passage| !passage.tokens.is_empty()).collect()
    }

    /// Adds a piece of text that lasts for `span`; words within it get shares of its time by their
    /// letters.
    pub fn push(&mut self, piece: &str, span: Span, probability: f32, row: i64, spaced: bool) {
        if spaced && !self.text.is_empty() {
            self.text.push(' ');
        }
        let base = self.text.len();
        self.text.push_str(piece);
        let words = split(piece);
        let whole = words.len() == 1;
        for at in words {
            let span = if whole { span } else { share(span, &at, piece.len()) };
            let folded = fold(&piece[at.clone()]).into_boxed_str();
            let at = base + at.start..base + at.end;
            let begins = match self.tokens.last() {
                Some(last) => ends_sentence(&self.text, last, at.start),
                None => true,
            };
            self.tokens.push(Token { folded, at, span, probability, row, begins });
        }
    }

    /// The text of a run of tokens, as it was recognised.
    pub fn text_of(&self, tokens: &Range<usize>) -> &str {
        let (Some(first), Some(last)) =
            (self.tokens.get(tokens.start), self.tokens.get(tokens.end.wrapping_sub(1)))
        else {
            return "";
        };
        self.text.get(first.at.start..last.at.end).unwrap_or("")
    }

    /// When a run of tokens, which is not empty, is heard or read.
    pub fn span_of(&self, tokens: &Range<usize>) -> Option<Span> {
        let first = self.tokens.get(tokens.start)?;
        let last = self.tokens.get(tokens.end.checked_sub(1)?)?;
        Span::new(first.span.start, last.span.end.max(first.span.start))
    }

    /// The tokens that overlap a stretch of the text in bytes.
    pub fn tokens_in(&self, at: &Range<usize>) -> Range<usize> {
        let from = self.tokens.partition_point(|token| token.at.end <= at.start);
        let to = self.tokens.partition_point(|token| token.at.start < at.end);
        from..to.max(from)
    }
}

/// The part of `span` that the bytes `at` of `length` take.
fn share(span: Span, at: &Range<usize>, length: usize) -> Span {
    let of = |n: usize| -> Timestamp {
        let (n, length) = (u32::try_from(n), u32::try_from(length));
        match (n, length) {
            (Ok(n), Ok(length)) => span.start.plus(span.duration().times(n, length)),
            _ => span.start,
        }
    };
    let (start, end) = (of(at.start), of(at.end));
    Span { start, end: end.max(start) }
}

/// Whether a sentence ended between `last` and the byte `next`, where the next word begins. A full stop
/// behind a single letter ("U.S. dollar") ends none.
fn ends_sentence(text: &str, last: &Token, next: usize) -> bool {
    let between = text.get(last.at.end..next).unwrap_or("");
    between.char_indices().any(|(at, mark)| match mark {
        '!' | '?' | '…' | '。' | '！' | '？' | '।' => true,
        '.' => {
            last.folded.chars().count() > 1
                && between[at + 1..].starts_with(|c: char| c.is_whitespace() || c == '"')
        }
        _ => false,
    })
}

/// Text without a film, timed by letters, for tests and examples: `letter_ms` for each.
pub fn untimed(text: &str, language: &str, letter_ms: i64) -> Passage {
    let mut passage = Passage::new(Source::Said, language);
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let end = Timestamp::from_millis(length.saturating_mul(letter_ms));
    passage.push(text, Span { start: Timestamp::ZERO, end }, 1.0, 0, true);
    passage
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::catalogue::rows::WordRow;

    fn ms(n: i64) -> Timestamp {
        Timestamp::from_millis(n)
    }

    fn span(a: i64, b: i64) -> Span {
        Span::new(ms(a), ms(b)).unwrap()
    }

    fn segment(text: &str, words: &[(&str, i64, i64)]) -> SegmentRow {
        let words = words.iter().map(|(text, a, b)| WordRow {
            span: span(*a, *b),
            text: (*text).to_owned(),
            probability: 0.5,
            spaced: !text.starts_with('-'),
        });
        SegmentRow {
            span: span(1000, 3000),
            text: text.to_owned(),
            language: "en".to_owned(),
            language_probability: None,
            avg_logprob: -0.5,
            no_speech_prob: 0.0,
            doubt: None,
            words: words.collect(),
        }
    }

    #[test]
    fn words_keep_their_own_times_and_share_those_of_a_piece() {
        let rows = [
            Stored {
                id: 7,
                row: segment(
                    "",
                    &[("A", 1000, 1100), ("stop", 1200, 1500), ("-loss.", 1500, 1900)],
                ),
            },
            Stored { id: 8, row: segment("It holds", &[]) },
        ];
        let passages = Passage::said(&rows);
        assert_eq!(passages.len(), 1);
        let passage = &passages[0];
        assert_eq!(passage.text, "A stop-loss. It holds");
        let tokens: Vec<_> =
            passage.tokens.iter().map(|t| (&*t.folded, t.span, t.row, t.begins)).collect();
        assert_eq!(
            tokens[..3],
            [
                ("a", span(1000, 1100), 7, true),
                ("stop", span(1200, 1500), 7, false),
                ("loss", span(1500, 1900), 7, false)
            ]
        );
        // "It holds" lasts 2 s: 2 of 8 letters, then from the third on.
        assert_eq!(tokens[3], ("it", span(1000, 1500), 8, true));
        assert_eq!(tokens[4], ("holds", span(1750, 3000), 8, false));
        assert_eq!(passage.text_of(&(1..3)), "stop-loss");
        assert_eq!(passage.span_of(&(1..3)), Some(span(1200, 1900)));
        assert_eq!(passage.tokens_in(&(3..5)), 1..2);
    }

    #[test]
    fn initials_end_no_sentence() {
        let begins = |text| {
            let passage = untimed(text, "en", 10);
            passage
                .tokens
                .iter()
                .filter(|t| t.begins)
                .map(|t| t.folded.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            begins("The U.S. dollar fell 1.5 points. It rose? Yes! And"),
            ["the", "it", "yes", "and"]
        );
    }
}
