//! Model files: checked before anything loads them, and turned into formats that can be loaded.
//!
//! Only three formats are ever loaded: ggml, safetensors and ONNX. Each has a check
//! ([`check_ggml`], [`check_safetensors`], [`check_onnx`]) that reads no more than the headers and
//! allocates little, whatever the file claims. Two converters make such files from what package
//! registries carry: [`whisper_ggml`] from int8 ONNX, [`pth_to_safetensors`] from a PyTorch pickle,
//! which is read as data and never executed.
//!
//! A converter's output is the same bytes for the same input, so a digest can be pinned.

mod ggml;
mod input;
mod mel;
mod onnx;
mod output;
mod pickle;
mod pth;
mod safetensors;
mod whisper;
mod zipped;

pub use ggml::{Ggml, GgmlTensor, GgmlType, MelFilters, Tensor, WhisperShape, check_ggml};
pub use mel::mel_filters;
pub use onnx::{check_onnx, onnx_weights};
pub use pth::pth_to_safetensors;
pub use safetensors::check_safetensors;
pub use whisper::whisper_ggml;

/// How far a conversion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Converting {
    /// Bytes of weights written.
    pub done: u64,
    /// Bytes of weights to write.
    pub total: u64,
}
