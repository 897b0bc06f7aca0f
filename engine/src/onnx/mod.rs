//! ONNX Runtime for every module that runs a model by it: the library, loaded once per process,
//! and graphs written in memory from the weights of any file.

mod build;
pub(crate) mod graph;
pub mod runtime;

pub(crate) use build::Built;
pub use runtime::OnnxRuntime;
