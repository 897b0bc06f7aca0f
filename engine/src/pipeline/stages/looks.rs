//! Vectors of the pictures that stand for shots, by a model that gives nothing else: a joint one of
//! pictures and texts, so that what is shown is found in words, or any ONNX file of pictures, so that
//! what looks alike is found.

use super::NO_PICTURES;
use super::features::NAME as FEATURES;
use super::representatives::{Picture, look_at};
use crate::embed::{Embedders, Embedding, ImageEmbedder};
use crate::error::Result;
use crate::library::catalogue::rows::{EmbeddingRow, Owner, RowRef, Rows};
use crate::pipeline::stage::{Begun, Film, FilmStage, Finished, ReadBy, StageInputs, StageWork};
use image::RgbImage;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Pictures that are looked at together, and held until then.
const BATCH: usize = 16;

/// Which model looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) enum Eye {
    /// [`Embedders::joint`].
    Joint,
    /// [`Embedders::image`], where an ONNX file is given.
    Image,
}

impl Eye {
    /// The stage, and the kind of its vectors.
    fn name(self) -> &'static str {
        match self {
            Self::Joint => "joint",
            Self::Image => "looks",
        }
    }

    fn open(self, embedders: &Embedders) -> Result<Arc<dyn ImageEmbedder>> {
        match self {
            Self::Joint => Ok(embedders.joint()?.1),
            Self::Image => embedders.image(),
        }
    }
}

/// See the module.
pub(in crate::pipeline) struct Looks<'s> {
    pub embedders: &'s Embedders,
    pub eye: Eye,
}

impl FilmStage for Looks<'_> {
    fn name(&self) -> &'static str {
        self.eye.name()
    }

    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Value {
        // How an ONNX file is fed decides its vectors as well, and is no part of the file.
        match (self.eye, &self.embedders.models().image) {
            (Eye::Image, Some(model)) => json!({ "shape": format!("{:?}", model.shape) }),
            _ => json!({}),
        }
    }

    fn models(&self) -> BTreeMap<String, String> {
        let id = match self.eye {
            Eye::Joint => self.embedders.joint_id(),
            Eye::Image => self.embedders.image_id(),
        };
        id.into_iter().map(|id| ("pictures".to_owned(), id.as_str().to_owned())).collect()
    }

    fn inputs(&self) -> StageInputs {
        StageInputs::Of(&[FEATURES])
    }

    fn is_long(&self) -> bool {
        true
    }

    fn begin<'a>(&'a self, film: &Film<'a>) -> Result<Begun<'a>> {
        if !film.has_video() {
            return Ok(Begun::Nothing(NO_PICTURES));
        }
        Ok(Begun::Work(Box::new(Work(self))))
    }
}

struct Work<'a>(&'a Looks<'a>);

impl StageWork for Work<'_> {
    fn finish(self: Box<Self>, film: &Film<'_>, _: &ReadBy<'_>) -> Result<Finished> {
        let Looks { embedders, eye } = *self.0;
        let looked = look_at(film, self.0, BATCH, |pictures| {
            // Nothing is loaded for a film without pictures, or for one that was all looked at.
            let pictures: Vec<&RgbImage> = pictures.iter().collect();
            let made = eye.open(embedders)?.embed_images(&pictures, &film.run.cancel)?;
            Ok(made.into_iter().map(Embedding::into_vector).collect())
        })?;
        let model = self.0.models().into_values().next().unwrap_or_default();
        let summary = json!({ "pictures": looked.pictures.len() });
        // One vector a picture: the same one again would only crowd an answer.
        let row = |Picture { frames, found }: Picture<Vec<f32>>| {
            Some(EmbeddingRow {
                owner: Owner::Frame(RowRef::Known(frames.first()?.id)),
                model: model.clone(),
                kind: eye.name().to_owned(),
                vector: found,
            })
        };
        let embeddings = looked.pictures.into_iter().filter_map(row).collect();
        let rows = Rows { embeddings, ..Rows::default() };
        Ok(Finished { rows, summary, then: looked.then, ..Finished::default() })
    }
}
