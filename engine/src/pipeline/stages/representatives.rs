//! The pictures that stand for shots, for the stages that look at them: read from the library, not
//! from the film, so that another model needs no decoding.

use super::features::NAME as FEATURES;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::catalogue::rows::{FrameRow, Stored};
use crate::pipeline::stage::Film;
use image::{ImageFormat, RgbImage};
use std::collections::HashMap;

/// The pictures of a film, in order of time.
pub(super) struct Pictures(Vec<Picture>);

/// A picture, and the frames that it is of.
pub(super) struct Picture {
    file: String,
    /// In order of time, at least one; the others look like the first.
    pub frames: Vec<Stored<FrameRow>>,
}

impl Pictures {
    /// Those of `film`, in the `finish` of a stage that has the features among its inputs.
    pub(super) fn of(film: &Film<'_>) -> Result<Self> {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut pictures: Vec<Picture> = Vec::new();
        for frame in film.catalogue()?.frames_of(film.media()?, Some(FEATURES))? {
            let Some(file) = frame.row.file.clone() else { continue };
            let at = *places.entry(file.clone()).or_insert(pictures.len());
            if at == pictures.len() {
                pictures.push(Picture { file, frames: Vec::new() });
            }
            pictures[at].frames.push(frame);
        }
        Ok(Self(pictures))
    }

    pub(super) fn files(&self) -> &[Picture] {
        &self.0
    }
}

impl Picture {
    /// The picture itself.
    pub(super) fn open(&self, film: &Film<'_>) -> Result<RgbImage> {
        let path = film.library.place(&format!("{}/{}", film.folder, self.file))?;
        let bytes = std::fs::read(&path).map_err(|e| Error::io(Stage::Open, &path, e))?;
        let picture = image::load_from_memory_with_format(&bytes, ImageFormat::Jpeg);
        picture.map(image::DynamicImage::into_rgb8).map_err(|e| {
            Error::new(ErrorKind::Storage, Stage::Decode, format!("is no picture: {e}"))
                .input(&path)
                .hint("`rushes library verify` looks for damage")
        })
    }
}
