//! What stages put into the catalogue, and what comes out of it again.

use super::insight::{InsightRows, SoundRow};
use super::taught::TaughtRows;
use super::winners::ClipScoreRow;
use crate::media::MediaInfo;
use crate::time::{Span, Timestamp};
use serde::Serialize;

/// All that one stage found out about one medium.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// What the file is made of.
    pub probe: Option<MediaInfo>,
    /// What is said.
    pub transcript: Option<TranscriptRow>,
    /// Shots, in order of time.
    pub shots: Vec<ShotRow>,
    /// Frames that were kept, in order of time.
    pub frames: Vec<FrameRow>,
    /// Text seen in frames.
    pub texts: Vec<FrameTextRow>,
    /// What matters: terms, concepts, chapters, patterns.
    pub insight: InsightRows,
    /// Measurements of the sound.
    pub sound: Option<SoundRow>,
    /// Clips that a stage proposes.
    pub clips: Vec<ClipRow>,
    /// What they are worth.
    pub clip_scores: Vec<ClipScoreRow>,
    /// Measured properties.
    pub features: Vec<FeatureRow>,
    /// Vectors.
    pub embeddings: Vec<EmbeddingRow>,
    /// Rules that are taught, how they did, what was decided.
    pub taught: TaughtRows,
}

/// A row with its number in the catalogue.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stored<T> {
    /// Its number: never used twice in one library.
    pub id: i64,
    /// The row.
    #[serde(flatten)]
    pub row: T,
}

/// A transcript.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TranscriptRow {
    /// The language of most of it (ISO 639).
    pub language: String,
    /// How sure that is, 0 to 1.
    pub language_probability: f32,
    /// Whether it is a translation into English.
    pub translated: bool,
    /// The model.
    pub model: String,
    /// What ran it.
    pub engine: String,
    /// The share of detected speech that has text, 0 to 1.
    pub coverage: f64,
    /// Its segments, in order of time.
    pub segments: Vec<SegmentRow>,
}

/// A stretch of speech.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SegmentRow {
    /// When it is heard.
    pub span: Span,
    /// Its text.
    pub text: String,
    /// Its language (ISO 639).
    pub language: String,
    /// How sure that is, 0 to 1; unknown where it was stored before this was kept.
    pub language_probability: Option<f32>,
    /// Mean natural-log probability of its tokens.
    pub avg_logprob: f32,
    /// Probability that nobody speaks there.
    pub no_speech_prob: f32,
    /// Why not to rely on it.
    pub doubt: Option<String>,
    /// Its words, in order of time; empty where none were asked for.
    pub words: Vec<WordRow>,
}

/// A word.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WordRow {
    /// When it is heard.
    pub span: Span,
    /// Its text with its punctuation.
    pub text: String,
    /// The model's probability for it, 0 to 1.
    pub probability: f32,
    /// Whether a space separates it from the word before.
    pub spaced: bool,
}

/// A shot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShotRow {
    /// When it is shown.
    pub span: Span,
    /// How it begins, e.g. `cut` or `dissolve`.
    pub transition: String,
    /// How sure its beginning is, 0 to 1.
    pub confidence: f32,
}

/// A frame that was kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FrameRow {
    /// When it is shown.
    pub time: Timestamp,
    /// The time that was asked for, where one was.
    pub wanted: Option<Timestamp>,
    /// Its timestamp as the container stores it.
    pub pts: i64,
    /// Whether it is a keyframe.
    pub key: bool,
    /// Width of the kept picture.
    pub width: u32,
    /// Height of the kept picture.
    pub height: u32,
    /// The picture's path in the medium's folder, where there is one.
    pub file: Option<String>,
    /// The shot that it stands for.
    #[serde(skip)]
    pub shot: Option<RowRef>,
    /// The part of the shot that it stands for.
    pub span: Option<Span>,
}

/// Text in a frame.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FrameTextRow {
    /// The frame.
    #[serde(skip)]
    pub frame: RowRef,
    /// One line of text.
    pub text: String,
    /// How sure its characters are, 0 to 1.
    pub confidence: f32,
    /// Left edge, top edge, width and height as shares of the picture's, 0 to 1.
    pub bounds: [f32; 4],
    /// When it is to be read, where that is known to be longer than the frame is shown.
    pub span: Option<Span>,
}

/// A stretch of a film that is worth something.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClipRow {
    /// When it plays.
    pub span: Span,
    /// What it is called.
    pub title: String,
    /// How much it is worth, higher is more.
    pub score: Option<f64>,
    /// What it was made from: `sentences`, `shot`, `chapter`.
    pub kind: Option<String>,
    /// What is said in it.
    pub text: Option<String>,
}

/// A measured property, e.g. `sharpness`, or `label:beach` with a probability.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeatureRow {
    /// What it is a property of.
    pub owner: Owner,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: f64,
}

/// A vector, and what it stands for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EmbeddingRow {
    /// What it was made from.
    pub owner: Owner,
    /// The model, digest included: only vectors of one model can be compared.
    pub model: String,
    /// What kind of vector, e.g. `text` or `image`.
    pub kind: String,
    /// Its components; their number is the dimension.
    pub vector: Vec<f32>,
}

/// A row that another one refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RowRef {
    /// The row at this place in the same [`Rows`], from 0.
    New(usize),
    /// The row with this number, stored by an earlier stage. With that stage's result it goes.
    Known(i64),
}

/// What a feature or an embedding belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// The medium as a whole.
    Media,
    /// A segment of the transcript.
    Segment(RowRef),
    /// A shot.
    Shot(RowRef),
    /// A frame.
    Frame(RowRef),
    /// A clip.
    Clip(RowRef),
}
