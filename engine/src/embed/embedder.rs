//! What every embedder does: texts or pictures in, one vector for each out.

use super::embedding::{Embedding, ModelId};
use crate::control::Cancel;
use crate::error::Result;
use image::RgbImage;

/// Turns texts into vectors. Shared by any number of jobs; each call is worked off in batches, and
/// the batches of several callers take turns.
pub trait TextEmbedder: Send + Sync {
    /// The model in every vector.
    fn model(&self) -> &ModelId;

    /// The length of the vectors.
    fn dim(&self) -> usize;

    /// How many tokens of a text are read, the model's own marks included; the rest is cut off.
    fn max_tokens(&self) -> usize;

    /// What runs the model, for reports: `onnxruntime`, `onnxruntime-int8`, `candle`.
    fn engine(&self) -> &'static str;

    /// Embeds `texts`, one result for each in their order. Texts of like length are put into one
    /// batch, which is bounded by its tokens; an empty text has a vector too.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Cancelled`] between two batches; `Model` where the model fails.
    fn embed_texts(&self, texts: &[&str], cancel: &Cancel) -> Result<Vec<EmbeddedText>>;
}

/// A text's vector.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedText {
    /// The vector.
    pub embedding: Embedding,
    /// The tokens that were read.
    pub tokens: usize,
    /// Whether the text was longer than the model reads, so that its end is not in the vector.
    pub truncated: bool,
}

/// Turns pictures into vectors. Shared as a [`TextEmbedder`] is.
pub trait ImageEmbedder: Send + Sync {
    /// The model in every vector.
    fn model(&self) -> &ModelId;

    /// The length of the vectors.
    fn dim(&self) -> usize;

    /// The width and height that pictures are brought to. Larger ones cost time and win nothing.
    fn input_size(&self) -> (u32, u32);

    /// What runs the model, for reports.
    fn engine(&self) -> &'static str;

    /// Embeds `pictures`, one result for each in their order, in batches bounded by their pixels.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Cancelled`] between two batches; `Input` for a picture without
    /// area; `Model` where the model fails.
    fn embed_images(&self, pictures: &[&RgbImage], cancel: &Cancel) -> Result<Vec<Embedding>>;
}
