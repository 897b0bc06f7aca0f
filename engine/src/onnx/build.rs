//! What can go wrong while a graph is built.

use rushes_models::ModelsError;

/// Why a graph could not be built.
#[derive(Debug)]
pub(crate) enum BuildError {
    /// The weights are missing, damaged or of the wrong shape.
    Weights(ModelsError),
    /// ONNX Runtime refused the graph.
    Runtime(ort::Error),
}

impl From<ModelsError> for BuildError {
    fn from(error: ModelsError) -> Self {
        Self::Weights(error)
    }
}

impl From<ort::Error> for BuildError {
    fn from(error: ort::Error) -> Self {
        Self::Runtime(error)
    }
}

impl std::fmt::Display for BuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Weights(error) => error.fmt(f),
            Self::Runtime(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BuildError {}

/// A part of a graph, or why there is none.
pub(crate) type Built<T> = Result<T, BuildError>;
