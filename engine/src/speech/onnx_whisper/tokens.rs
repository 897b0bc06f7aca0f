//! Whisper's vocabulary: which numbers are text, timestamps, languages and commands.

use super::super::languages::LANGUAGES;
use std::collections::HashMap;

/// Samples between two timestamp tokens: 20 ms.
pub(super) const TICK_SAMPLES: u32 = 320;

/// Marks that are not spoken (OpenAI's `non_speech_tokens`): never written, so that the decoder
/// does not describe sounds or credit subtitlers.
const UNSPOKEN: [&str; 46] = [
    "\"", "#", "(", ")", "*", "+", "/", ":", ";", "<", "=", ">", "@", "[", "\\", "]", "^", "_",
    "`", "{", "|", "}", "~", "「", "」", "『", "』", "<<", ">>", "<<<", ">>>", "--", "---", "-(",
    "-[", "('", "(\"", "((", "))", "(((", ")))", "[[", "]]", "{{", "}}", "♪♪",
];
/// Musical marks: their first token is barred even where they are several.
const MUSICAL: [&str; 8] = ["♩", "♪", "♫", "♬", "♭", "♮", "♯", "♪♪♪"];

/// The vocabulary of one model.
pub(super) struct Tokens {
    spelled: Vec<Vec<u8>>,
    by_spelling: HashMap<Vec<u8>, u32>,
    longest: usize,
    /// All tokens.
    pub(super) count: usize,
    /// End of text: the first that is no text.
    pub(super) end: u32,
    /// Start of transcript.
    pub(super) start: u32,
    languages: u32,
    multilingual: bool,
    /// Never written.
    pub(super) suppressed: Vec<u32>,
    /// Never written first.
    pub(super) suppressed_first: Vec<u32>,
}

impl Tokens {
    pub(super) fn new(vocabulary: &[Vec<u8>], count: usize) -> Self {
        // The layout of the three vocabularies there are: English only, 99 and 100 languages.
        let multilingual = count >= 51_865;
        let end = if multilingual { 50_257 } else { 50_256 };
        let languages = count.saturating_sub(51_765 + usize::from(multilingual)).min(100) as u32;
        let spelled: Vec<Vec<u8>> = vocabulary.iter().take(end as usize).cloned().collect();
        let by_spelling: HashMap<Vec<u8>, u32> =
            spelled.iter().enumerate().map(|(i, bytes)| (bytes.clone(), i as u32)).collect();
        let longest = spelled.iter().map(Vec::len).max().unwrap_or(0);
        let mut tokens = Self {
            spelled,
            by_spelling,
            longest,
            count,
            end,
            start: end + 1,
            languages,
            multilingual,
            suppressed: Vec::new(),
            suppressed_first: Vec::new(),
        };
        let mut suppressed = Vec::new();
        suppressed.extend(tokens.single(" -"));
        suppressed.extend(tokens.single(" '"));
        for mark in UNSPOKEN {
            suppressed.extend(tokens.single(mark));
            suppressed.extend(tokens.single(&format!(" {mark}")));
        }
        for mark in MUSICAL {
            suppressed.extend(tokens.encode(mark).first());
            suppressed.extend(tokens.encode(&format!(" {mark}")).first());
        }
        // Commands: all between the end of text and the timestamps.
        suppressed.extend(tokens.start..tokens.timestamps());
        suppressed.sort_unstable();
        suppressed.dedup();
        tokens.suppressed = suppressed;
        tokens.suppressed_first = tokens.single(" ").into_iter().chain([end]).collect();
        tokens
    }

    fn single(&self, text: &str) -> Option<u32> {
        self.by_spelling.get(text.as_bytes()).copied()
    }

    pub(super) fn is_multilingual(&self) -> bool {
        self.multilingual
    }

    /// The tokens of all languages, in order.
    pub(super) fn languages(&self) -> std::ops::Range<u32> {
        self.start + 1..self.start + 1 + self.languages
    }

    /// The token of the language `code`.
    pub(super) fn language(&self, code: &str) -> Option<u32> {
        let at =
            LANGUAGES.iter().take(self.languages as usize).position(|(known, _)| *known == code)?;
        Some(self.start + 1 + at as u32)
    }

    /// The code of a language's token.
    pub(super) fn language_code(&self, token: u32) -> &'static str {
        let at = token.wrapping_sub(self.start + 1) as usize;
        LANGUAGES.get(at).map_or("en", |(code, _)| code)
    }

    pub(super) fn translate(&self) -> u32 {
        self.start + 1 + self.languages
    }

    pub(super) fn transcribe(&self) -> u32 {
        self.translate() + 1
    }

    /// Text before what is to be recognised follows.
    pub(super) fn previous(&self) -> u32 {
        self.translate() + 3
    }

    pub(super) fn no_speech(&self) -> u32 {
        self.translate() + 4
    }

    pub(super) fn no_timestamps(&self) -> u32 {
        self.translate() + 5
    }

    /// The first timestamp, 0 s; one every 20 ms from there to 30 s.
    pub(super) fn timestamps(&self) -> u32 {
        self.translate() + 6
    }

    /// Whether `token` is text.
    pub(super) fn is_text(&self, token: u32) -> bool {
        token < self.end
    }

    /// The bytes of a text token; nothing for others.
    pub(super) fn bytes(&self, token: u32) -> &[u8] {
        self.spelled.get(token as usize).map_or(&[], Vec::as_slice)
    }

    /// The text of `tokens`.
    pub(super) fn text(&self, tokens: &[u32]) -> String {
        let bytes: Vec<u8> = tokens.iter().flat_map(|t| self.bytes(*t)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Tokens that spell `text`, the longest that fits each time. Not always the tokens that the
    /// byte-pair merges would give (the model file has no merges), but always the same text.
    pub(super) fn encode(&self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        // A token never runs on past the end of a word.
        for word in text.split_inclusive(char::is_whitespace).fold(Vec::new(), respace) {
            let mut rest = word.as_bytes();
            while !rest.is_empty() {
                let fits = (1..=rest.len().min(self.longest))
                    .rev()
                    .find_map(|n| Some((n, *self.by_spelling.get(&rest[..n])?)));
                let Some((length, token)) = fits else {
                    rest = &rest[1..];
                    continue;
                };
                tokens.push(token);
                rest = &rest[length..];
            }
        }
        tokens
    }
}

/// Moves the space behind each word to the front of the next, where tokens have it.
fn respace(mut words: Vec<String>, part: &str) -> Vec<String> {
    let word = part.trim_end();
    let space = part.len() > word.len();
    match words.last_mut() {
        Some(last) if last == " " => last.push_str(word),
        _ => words.push(word.to_owned()),
    }
    if space {
        words.push(" ".to_owned());
    }
    words
}
