//! Texts and pictures as vectors, so that what means the same lies close together.
//!
//! [`Embedders`] loads models when they are first needed and gives them out as [`TextEmbedder`] and
//! [`ImageEmbedder`]. Every vector has length 1 and names its model.

mod batch;
mod bert;
mod bert_candle;
mod bert_graph;
mod bert_onnx;
mod candle_net;
mod embedder;
mod embedding;
mod owner;
mod setup;
mod text_encoder;
#[cfg(test)]
mod text_tests;
mod tokens;
mod weights;

pub use embedder::{EmbeddedText, ImageEmbedder, TextEmbedder};
pub use embedding::{Embedding, ModelId};
pub use setup::{EmbedEngine, EmbedModels, EmbedOptions, Embedders, TextModel};
