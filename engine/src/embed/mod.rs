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
mod efficientnet;
mod efficientnet_candle;
mod efficientnet_onnx;
mod embedder;
mod embedding;
mod image_encoder;
#[cfg(test)]
mod image_tests;
mod joint;
mod labels;
mod onnx_image;
mod picture;
mod setup;
mod text_encoder;
#[cfg(test)]
mod text_tests;
mod tokens;
mod weights;

pub use embedder::{EmbeddedText, ImageEmbedder, TextEmbedder};
pub use embedding::{Embedding, ModelId};
pub use labels::{Label, Labeller, Seen, imagenet_labels};
pub use onnx_image::{Layout, OnnxImageShape};
pub use picture::{Filter, Fit, Preparation};
pub use setup::{
    EmbedEngine, EmbedModels, EmbedOptions, Embedders, JointModel, LabelModel, OnnxImageModel,
    TextModel,
};
