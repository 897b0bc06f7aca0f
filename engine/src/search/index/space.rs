//! What may be compared with what: vectors of one model and one length.

use crate::error::{Error, ErrorKind, Result, Stage};
use std::sync::Arc;

/// The most components a vector may have.
pub const MAX_DIM: usize = 8192;
/// The longest model name, in bytes: it lies in the frozen file's header.
pub(super) const MAX_MODEL: usize = 256;

/// The vectors of one model: its name and their number of components. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    model: Arc<str>,
    dim: usize,
}

impl Space {
    /// `model` names the model with everything that changes its vectors (revision, pooling); `dim`
    /// is the number of components, 1 to [`MAX_DIM`].
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] for a name that is empty or longer than 256 bytes, or a `dim` out of
    /// range.
    pub fn new(model: &str, dim: usize) -> Result<Self> {
        if model.is_empty() || model.len() > MAX_MODEL || dim == 0 || dim > MAX_DIM {
            return Err(Error::new(
                ErrorKind::Limit,
                Stage::Search,
                format!(
                    "vectors of {dim} components by a model whose name has {} bytes are beyond what an index holds",
                    model.len()
                ),
            ));
        }
        Ok(Self { model: model.into(), dim })
    }

    /// The model's name.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Components per vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// A vector of this space, scaled to length 1: then the dot product is the cosine.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] for another number of components, for one that is not finite, and for
    /// a vector without direction.
    pub fn vector(&self, components: &[f32]) -> Result<Vector> {
        let refuse = |message: String| Error::new(ErrorKind::Input, Stage::Search, message);
        if components.len() != self.dim {
            return Err(refuse(format!(
                "a vector of {} components where {} has {}",
                components.len(),
                self.model,
                self.dim
            )));
        }
        let length = components.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        if !length.is_finite() || length < 1e-30 {
            return Err(refuse("a vector without direction (all zero, or not finite)".into()));
        }
        let values = components.iter().map(|&x| (f64::from(x) / length) as f32).collect();
        Ok(Vector { space: self.clone(), values })
    }

    /// Refuses what belongs to another space.
    pub(super) fn expect(&self, other: &Self) -> Result<()> {
        if self == other {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Model,
            Stage::Search,
            format!(
                "holds vectors of {} ({} components), not of {} ({})",
                self.model, self.dim, other.model, other.dim
            ),
        )
        .hint("search with the model that the index was made with, or index again"))
    }
}

/// A vector of length 1 that knows its [`Space`].
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    space: Space,
    values: Box<[f32]>,
}

impl Vector {
    /// The space it belongs to.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// Its components, in the model's order.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

/// One item found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The number it was added under.
    pub id: u64,
    /// The cosine of the angle to what was asked for, -1 to 1; higher is nearer.
    pub score: f32,
}
