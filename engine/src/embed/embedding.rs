//! A vector and the model it belongs to.

use crate::error::{Error, ErrorKind, Result, Stage};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Which model made a vector: its name in the catalogue, the beginning of its weights' digest, and
/// the arithmetic where that moves the vectors. Vectors are compared only where all of it agrees.
///
/// Written `NAME#DIGEST`, `all-minilm-l6-v2#53aa51172d14`, with `/int8` behind it for 8-bit
/// arithmetic. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct ModelId(Arc<str>);

impl ModelId {
    /// The id of the model `name` whose weights have this digest.
    pub fn new(name: &str, digest: &str) -> Self {
        let short: String = digest.chars().take(12).collect();
        Self(format!("{name}#{short}").into())
    }

    /// The id of the same model run in another arithmetic.
    #[must_use]
    pub fn with_arithmetic(&self, arithmetic: &str) -> Self {
        Self(format!("{}/{arithmetic}", self.0).into())
    }

    /// The id as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The model's name in the catalogue.
    pub fn name(&self) -> &str {
        self.0.split('#').next().unwrap_or_default()
    }
}

impl From<String> for ModelId {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<ModelId> for String {
    fn from(id: ModelId) -> Self {
        id.as_str().to_owned()
    }
}

impl From<&str> for ModelId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a model makes of a text or picture: a direction in its space, of length 1.
///
/// `dim` is kept beside the vector in what is stored, so that a reader can check it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Embedding {
    model: ModelId,
    dim: usize,
    vector: Vec<f32>,
}

impl Embedding {
    /// The vector of `model` with this direction, scaled to length 1.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] where the direction is none: empty, all zero, or not finite.
    pub fn new(model: ModelId, mut vector: Vec<f32>) -> Result<Self> {
        let length = vector.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
        if !(length.is_finite() && length > 0.0) {
            let message = format!("{model} made a vector without a direction");
            return Err(Error::new(ErrorKind::Model, Stage::Embed, message)
                .hint("`rushes models verify` tells whether the model's files are damaged"));
        }
        for value in &mut vector {
            *value = (f64::from(*value) / length) as f32;
        }
        Ok(Self { model, dim: vector.len(), vector })
    }

    /// The model it belongs to.
    pub fn model(&self) -> &ModelId {
        &self.model
    }

    /// How many numbers it has.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The numbers; the sum of their squares is 1.
    pub fn vector(&self) -> &[f32] {
        &self.vector
    }

    /// The numbers.
    pub fn into_vector(self) -> Vec<f32> {
        self.vector
    }

    /// The cosine of the angle between two vectors of one model, −1 to 1.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where they are of different models.
    pub fn cosine(&self, other: &Self) -> Result<f32> {
        if self.model != other.model || self.dim != other.dim {
            let message = format!(
                "vectors of {} ({}) and {} ({}) cannot be compared",
                self.model, self.dim, other.model, other.dim
            );
            return Err(Error::new(ErrorKind::Unsupported, Stage::Embed, message)
                .hint("embed both with the same model"));
        }
        let sum: f64 =
            self.vector.iter().zip(&other.vector).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        Ok(sum as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_length_one_and_models_are_not_mixed() {
        let id = ModelId::new("all-minilm-l6-v2", "53aa51172d142c89");
        assert_eq!(id.as_str(), "all-minilm-l6-v2#53aa51172d14");
        assert_eq!(id.name(), "all-minilm-l6-v2");
        let a = Embedding::new(id.clone(), vec![3.0, 4.0]).unwrap();
        assert_eq!(a.vector(), [0.6, 0.8]);
        assert_eq!(a.dim(), 2);
        let b = Embedding::new(id.clone(), vec![-8.0, 6.0]).unwrap();
        assert!(a.cosine(&b).unwrap().abs() < 1e-7);
        let other = Embedding::new(id.with_arithmetic("int8"), vec![1.0, 0.0]).unwrap();
        assert_eq!(a.cosine(&other).unwrap_err().kind(), ErrorKind::Unsupported);
        for bad in [vec![], vec![0.0; 3], vec![f32::NAN, 1.0], vec![f32::INFINITY]] {
            assert_eq!(Embedding::new(id.clone(), bad).unwrap_err().kind(), ErrorKind::Model);
        }
        let text = serde_json::to_string(&a).unwrap();
        assert!(
            text.starts_with(r#"{"model":"all-minilm-l6-v2#53aa51172d14","dim":2,"vector":[0.6"#)
        );
    }
}
