//! The stages of the main job, one file each. [`super::stage`] tells how to add one.

pub(super) mod audio;
pub(super) mod clips;
pub(super) mod features;
pub(super) mod frames;
pub(super) mod insight;
pub(super) mod looks;
pub(super) mod meaning;
pub(super) mod ocr;
mod page;
pub(super) mod probe;
pub(super) mod report;
mod representatives;
pub(super) mod sheet;
pub(super) mod shots;
pub(super) mod shown;
pub(super) mod sound;
pub(super) mod taught;
mod taught_page;
pub(super) mod transcript;

use crate::error::{Error, ErrorKind, Result, Stage};
use serde::Serialize;
use serde_json::Value;

/// Settings as JSON. They are plain structs, so this does not fail.
fn settings(settings: &impl Serialize) -> Value {
    serde_json::to_value(settings).unwrap_or(Value::Null)
}

/// Why there is nothing to do for a film without pictures, and without sound.
const NO_PICTURES: &str = "no pictures";
const NO_SOUND: &str = "no sound";

fn internal(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, Stage::Write, error.to_string())
}

fn write(path: &std::path::Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| Error::io(Stage::Write, path, e))
}
