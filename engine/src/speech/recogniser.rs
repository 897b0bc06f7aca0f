//! What every recogniser does: a batch of chunks in, text with times out.

use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::Range;

/// Samples per second of all sound in `speech`: mono, −1 to 1.
pub const SAMPLE_RATE: u32 = 16_000;

/// The longest chunk a recogniser takes: Whisper's window of 30 s.
pub const MAX_CHUNK_SAMPLES: usize = 30 * SAMPLE_RATE as usize;

/// The best size of a batch. What a killed run loses is what it was working on: at most one of
/// these, less the chunks whose text was given already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Chunks at most.
    pub chunks: usize,
    /// Samples of them together at most; one chunk may be longer.
    pub samples: usize,
}

impl Batch {
    /// One chunk at a time.
    pub const ONE: Self = Self { chunks: 1, samples: usize::MAX };
}

/// Turns chunks of speech into text. One recogniser holds the weights once and serves any number
/// of inputs and threads.
pub trait Recogniser: Send + Sync {
    /// The model's name in the catalogue.
    fn model(&self) -> &str;

    /// The engine's name, for reports.
    fn engine(&self) -> &'static str;

    /// What it works on at once when given as much.
    fn batch(&self) -> Batch;

    /// How many threads may usefully call [`Recogniser::recognise`] at a time.
    fn callers(&self) -> usize;

    /// Recognises `chunks`. What each says goes to `give`, once, with its place among them, as soon
    /// as it is known and so in any order.
    ///
    /// # Errors
    /// What was given before one is not touched by it.
    ///
    /// [`ErrorKind::Cancelled`] within a second of `cancel`; [`ErrorKind::Model`] where the weights
    /// do not fit the request (translation by an English-only model, say);
    /// [`ErrorKind::Unsupported`] for a language that there is not and a beam that is too wide;
    /// [`ErrorKind::Limit`] for a chunk longer than [`MAX_CHUNK_SAMPLES`].
    fn recognise(
        &self,
        chunks: &[Chunk<'_>],
        wanted: &Wanted,
        cancel: &Cancel,
        give: &mut dyn FnMut(usize, Recognised),
    ) -> Result<()>;
}

/// Refuses what no recogniser takes.
pub(super) fn refuse(chunks: &[Chunk<'_>], wanted: &Wanted) -> Result<()> {
    if let Search::Beam(width) = wanted.search
        && !(2..=8).contains(&width)
    {
        let message = format!("a beam of {width}");
        return Err(Error::new(ErrorKind::Unsupported, Stage::Transcribe, message)
            .hint("give a width from 2 to 8"));
    }
    match chunks.iter().find(|chunk| chunk.samples.len() > MAX_CHUNK_SAMPLES) {
        None => Ok(()),
        Some(chunk) => {
            let message = format!("a chunk of {} samples: 30 s is the most", chunk.samples.len());
            Err(Error::new(ErrorKind::Limit, Stage::Transcribe, message))
        }
    }
}

/// `samples` with silence in the place of what is no number: one infinity, and all else is nothing
/// beside it.
pub(super) fn finite(samples: &[f32]) -> Cow<'_, [f32]> {
    if samples.iter().all(|sample| sample.is_finite()) {
        return Cow::Borrowed(samples);
    }
    samples.iter().map(|sample| if sample.is_finite() { *sample } else { 0.0 }).collect()
}

/// One stretch of speech, at most [`MAX_CHUNK_SAMPLES`] long.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// 16 kHz mono samples.
    pub samples: &'a [f32],
}

/// What to recognise and how hard to try.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Wanted {
    /// The language, or `None` to find it for each chunk.
    pub language: Option<String>,
    /// The language of a chunk whose own is less sure than [`Wanted::language_threshold`].
    pub fallback_language: Option<String>,
    /// Below this probability a found language is not believed.
    pub language_threshold: f32,
    /// Whether to translate into English.
    pub translate: bool,
    /// How the decoder searches at temperature 0.
    pub search: Search,
    /// Temperatures to try in turn while a result fails the thresholds below.
    pub temperatures: Vec<f32>,
    /// A result whose mean log probability is lower is tried again.
    pub logprob_threshold: f32,
    /// A result that compresses better (text length over zlib length) is tried again.
    pub compression_threshold: f32,
    /// A chunk with a higher no-speech probability and a low mean log probability is silence.
    pub no_speech_threshold: f32,
    /// Text that comes before, in style and spelling: names, terms.
    pub prompt: Option<String>,
    /// Words to expect.
    pub hotwords: Vec<String>,
    /// Whether to time words.
    pub words: bool,
}

impl Default for Wanted {
    /// OpenAI's defaults, greedy.
    fn default() -> Self {
        Self {
            language: None,
            fallback_language: None,
            language_threshold: 0.5,
            translate: false,
            search: Search::Greedy,
            temperatures: vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            logprob_threshold: -1.0,
            compression_threshold: 2.4,
            no_speech_threshold: 0.6,
            prompt: None,
            hotwords: Vec::new(),
            words: false,
        }
    }
}

/// How the decoder searches at temperature 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Search {
    /// The most probable token each time.
    Greedy,
    /// The best of so many hypotheses, 2 to 8.
    Beam(u8),
}

/// What one chunk says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recognised {
    /// The language it was decoded as (ISO 639).
    pub language: String,
    /// The probability of that language; 1 where it was given.
    pub language_probability: f32,
    /// Probability that nobody speaks.
    pub no_speech_prob: f32,
    /// The temperature of the result.
    pub temperature: f32,
    /// Text length over its zlib-compressed length.
    pub compression_ratio: f32,
    /// The text in pieces, in order of time.
    pub pieces: Vec<Piece>,
}

/// A stretch of text between two timestamps of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Piece {
    /// Where it is heard, in samples from the chunk's start.
    pub samples: Range<u32>,
    /// Its text, as the tokens give it (with a leading space where the model wrote one).
    pub text: String,
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// Mean natural-log probability of its tokens.
    pub avg_logprob: f32,
    /// Whether the recogniser takes the stretch that it comes from for silence
    /// ([`super::fallback::is_silence`]): what it wrote there is to be told, and not to be believed.
    pub silent: bool,
    /// Its words, where asked for.
    pub words: Vec<PieceWord>,
}

/// A word of a [`Piece`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PieceWord {
    /// Where it is heard, in samples from the chunk's start.
    pub samples: Range<u32>,
    /// Its text, punctuation and a leading space included.
    pub text: String,
    /// Mean probability of its tokens, 0 to 1.
    pub probability: f32,
}

#[cfg(test)]
pub(super) mod tests;
