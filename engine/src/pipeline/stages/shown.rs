//! What is shown in the frames that stand for shots: its names and their probabilities, and a
//! vector of each picture, so that pictures that look alike are found.

use super::NO_PICTURES;
use super::features::NAME as FEATURES;
use super::representatives::{Picture, look_at};
use crate::embed::{Embedders, Seen};
use crate::error::Result;
use crate::library::catalogue::rows::{EmbeddingRow, FeatureRow, Owner, RowRef, Rows};
use crate::pipeline::stage::{Begun, Film, FilmStage, Finished, ReadBy, StageInputs, StageWork};
use image::RgbImage;
use image::imageops::FilterType;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Names that are kept of a frame.
const LABELS: usize = 8;
/// Names that are taken from each view of it.
const LABELS_SEEN: usize = 30;

/// Width of the coarse view. A network of 224 pixels is unsure of what it sees at the edge of its
/// knowledge (drawn animals, say), and a picture without its finest detail is another opinion.
const COARSE: u32 = 320;

/// Pictures that are looked at together, and held until then.
const BATCH: usize = 16;

/// See the module. With a network that gives names.
pub(in crate::pipeline) struct Shown<'s>(pub &'s Embedders);

impl FilmStage for Shown<'_> {
    fn name(&self) -> &'static str {
        "shown"
    }

    fn version(&self) -> u32 {
        3
    }

    fn parameters(&self) -> Value {
        json!({ "labels": LABELS })
    }

    fn models(&self) -> BTreeMap<String, String> {
        let model = self.0.models().labels.as_ref();
        let named = model.map(|m| ("labels".to_owned(), format!("{} {}", m.name, m.digest)));
        named.into_iter().collect()
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

struct Work<'a>(&'a Shown<'a>);

impl StageWork for Work<'_> {
    fn finish(self: Box<Self>, film: &Film<'_>, _: &ReadBy<'_>) -> Result<Finished> {
        let looked = look_at(film, self.0, BATCH, |opened| {
            let labeller = self.0.0.labeller()?;
            let views: Vec<RgbImage> = opened.iter().map(coarse).collect();
            let views: Vec<&RgbImage> = opened.iter().chain(&views).collect();
            let mut seen = labeller.see(&views, LABELS_SEEN, &film.run.cancel)?;
            let coarse = seen.split_off(opened.len());
            let both = seen.into_iter().zip(coarse);
            Ok(both.map(|(seen, coarse)| Found::of(seen, &coarse)).collect())
        })?;
        let model = self.0.0.labels_id();
        let mut rows = Rows::default();
        let pictures = looked.pictures.len();
        for Picture { frames, found } in looked.pictures {
            for frame in &frames {
                let owner = Owner::Frame(RowRef::Known(frame.id));
                rows.features.extend(found.names.iter().map(|(name, value)| FeatureRow {
                    owner,
                    name: format!("label:{name}"),
                    value: *value,
                }));
            }
            // One vector a picture: the same one again would only crowd an answer.
            if let (Some(first), Some(model)) = (frames.first(), &model) {
                rows.embeddings.push(EmbeddingRow {
                    owner: Owner::Frame(RowRef::Known(first.id)),
                    model: model.as_str().to_owned(),
                    kind: "image".to_owned(),
                    vector: found.vector,
                });
            }
        }
        let summary = json!({ "pictures": pictures });
        Ok(Finished { rows, summary, then: looked.then, ..Finished::default() })
    }
}

/// What is shown in a picture: names, likeliest first, with probabilities, and a vector.
#[derive(Clone, Serialize, Deserialize)]
struct Found {
    names: Vec<(String, f64)>,
    vector: Vec<f32>,
}

impl Found {
    fn of(seen: Seen, coarse: &Seen) -> Self {
        let names = names(&seen, coarse).into_iter();
        let names = names.map(|(name, chance)| (name.to_owned(), chance)).collect();
        Self { names, vector: seen.embedding.into_vector() }
    }
}

/// A picture without its finest detail.
fn coarse(picture: &RgbImage) -> RgbImage {
    let (width, height) = picture.dimensions();
    let height = u64::from(height) * u64::from(COARSE) / u64::from(width.max(1));
    let height = u32::try_from(height).unwrap_or(u32::MAX).clamp(1, COARSE * 8);
    image::imageops::resize(picture, COARSE, height, FilterType::Triangle)
}

/// What two views are called, likeliest first: each name with the mean of its probabilities.
fn names(one: &Seen, other: &Seen) -> Vec<(&'static str, f64)> {
    let mut names: BTreeMap<&'static str, f64> = BTreeMap::new();
    for label in one.labels.iter().chain(&other.labels) {
        *names.entry(label.name).or_default() += f64::from(label.probability) / 2.0;
    }
    let mut names: Vec<(&str, f64)> = names.into_iter().collect();
    names.sort_by(|a, b| b.1.total_cmp(&a.1));
    names.truncate(LABELS);
    names
}
