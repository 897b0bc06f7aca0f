//! ONNX Runtime for every module that runs a model by it: the library, loaded once per process,
//! graphs written in memory from the weights of any file, and threads that own models.

mod build;
pub(crate) mod graph;
pub(crate) mod owner;
pub mod runtime;

pub(crate) use build::{BuildError, Built};
pub use runtime::OnnxRuntime;
