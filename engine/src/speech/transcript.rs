//! What was said, by whom it was recognised, and how far to believe it.

use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// The text of one input's sound. Segments follow each other in time, inside the input, without
/// overlap; so do the words of a segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcript {
    /// The language most of the text is in, as a two- or three-letter code (ISO 639).
    pub language: String,
    /// How sure that is, 0 to 1; 1 where the caller named the language.
    pub language_probability: f32,
    /// Whether the text is a translation into English.
    pub translated: bool,
    /// Length of the sound.
    pub duration: Timestamp,
    /// The model's name in the catalogue; ends in `-q8` for weights that went through int8.
    pub model: String,
    /// The recogniser that ran it, `whisper.cpp` or `onnxruntime`.
    pub engine: String,
    /// How word times were found.
    pub word_times: WordTimes,
    /// What was said.
    pub segments: Vec<Segment>,
    /// What the recogniser said and the guards took out.
    pub dropped: Vec<Dropped>,
    /// How much of the detected speech has text.
    pub coverage: Coverage,
}

/// A stretch of text, about a sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// When it is heard.
    pub span: Span,
    /// Its text, trimmed.
    pub text: String,
    /// Its language, as [`Transcript::language`].
    pub language: String,
    /// How sure that is, 0 to 1: the model's probability for it in the segment's chunk; 1 where the
    /// caller named it.
    pub language_probability: f32,
    /// Its words in order; empty where none were asked for.
    pub words: Vec<Word>,
    /// The model's tokens, timestamp tokens included.
    pub tokens: Vec<u32>,
    /// Mean natural-log probability of its tokens.
    pub avg_logprob: f32,
    /// Probability that there is no speech in the chunk it comes from.
    pub no_speech_prob: f32,
    /// Length of its chunk's text over its zlib-compressed length; above 2.4 suggests a loop.
    pub compression_ratio: f32,
    /// The sampling temperature that gave it.
    pub temperature: f32,
    /// Where its chunk starts in the input.
    pub seek: Timestamp,
    /// Why not to rely on it.
    pub doubt: Option<Doubt>,
}

/// A word with its punctuation, without surrounding spaces.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// When it is heard; never empty.
    pub span: Span,
    /// Its text.
    pub text: String,
    /// The model's probability for it, 0 to 1.
    pub probability: f32,
    /// Whether a space separates it from the word before (not so in Chinese or Japanese).
    pub spaced: bool,
}

/// How the times of words were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum WordTimes {
    /// No words were asked for.
    None,
    /// Dynamic time warping over the decoder's cross-attention (OpenAI's `timing.py`).
    Dtw,
    /// The recogniser's own estimate from its timestamp tokens.
    Tokens,
}

/// Why a segment is doubtful, or was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Doubt {
    /// The recogniser thinks that nobody speaks there.
    NoSpeech,
    /// The recogniser finds its own text improbable.
    LowProbability,
    /// The same words again and again.
    Loop,
    /// The text of the segment before, again, where there is no room for it.
    Duplicate,
}

/// Text that was taken out, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropped {
    /// Where it was said to be.
    pub span: Span,
    /// The text.
    pub text: String,
    /// The reason.
    pub why: Doubt,
}

/// How much of the detected speech has text: a low share means that something was missed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coverage {
    /// Total length of the stretches in which a voice was detected.
    pub speech: Timestamp,
    /// Total length of those stretches that lies inside segments.
    pub with_text: Timestamp,
}

impl Coverage {
    /// The share of detected speech that has text, 0 to 1; 1 where there is no speech.
    pub fn share(&self) -> f64 {
        let speech = self.speech.as_secs_f64();
        if speech > 0.0 { (self.with_text.as_secs_f64() / speech).clamp(0.0, 1.0) } else { 1.0 }
    }
}
