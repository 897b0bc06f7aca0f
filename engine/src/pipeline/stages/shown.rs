//! What is shown in the frames that are kept: its names and their probabilities, and a vector of
//! each frame, so that pictures that look alike are found.

use super::NO_PICTURES;
use crate::control::Cancel;
use crate::embed::{Embedders, Labeller, Seen};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::catalogue::rows::{EmbeddingRow, FeatureRow, Owner, RowRef, Rows};
use crate::media::{FrameSink, Picked, PictureConverter, PictureSize};
use crate::pipeline::ExtractFrames;
use crate::pipeline::stage::{
    Begun, Film, FilmStage, Finished, ReadBy, StageInputs, StageWork, Wants,
};
use image::RgbImage;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

/// Names that are kept of a frame.
const LABELS: usize = 5;

/// Pictures that are looked at together, and held until then.
const BATCH: usize = 16;

/// Width of the pictures: the network's own is 224.
const WIDTH: u32 = 320;

/// See the module.
pub(in crate::pipeline) struct Shown<'s> {
    /// Which frames: those of the stage `frames`.
    pub frames: &'s ExtractFrames,
    /// With a network that gives names.
    pub embedders: &'s Embedders,
}

impl FilmStage for Shown<'_> {
    fn name(&self) -> &'static str {
        "shown"
    }

    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Value {
        json!({ "labels": LABELS, "width": WIDTH })
    }

    fn models(&self) -> BTreeMap<String, String> {
        let model = self.embedders.models().labels.as_ref();
        let named = model.map(|m| ("labels".to_owned(), format!("{} {}", m.name, m.digest)));
        named.into_iter().collect()
    }

    fn inputs(&self) -> StageInputs {
        // Whose rows the names are given to, and whose key holds which frames these are.
        StageInputs::Of(&["frames"])
    }

    fn begin<'a>(&'a self, film: &Film<'a>) -> Result<Begun<'a>> {
        if !film.has_video() {
            return Ok(Begun::Nothing(NO_PICTURES));
        }
        let labeller = self.embedders.labeller()?;
        let eye = Eye { labeller, cancel: film.run.cancel.clone(), state: Mutex::default() };
        Ok(Begun::Work(Box::new(Work { frames: self.frames, eye })))
    }
}

struct Work<'a> {
    frames: &'a ExtractFrames,
    eye: Eye,
}

/// Looks at frames while the film is read.
struct Eye {
    labeller: Labeller,
    cancel: Cancel,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Vec<(i64, RgbImage)>,
    /// By the frame's timestamp.
    seen: Vec<(i64, Seen)>,
}

impl Eye {
    /// Looks at what waits. Threads that bring more wait meanwhile: the network is not quicker for
    /// more of them.
    fn look(&self, state: &mut State) -> Result<()> {
        let waiting = std::mem::take(&mut state.waiting);
        let pictures: Vec<&RgbImage> = waiting.iter().map(|(_, picture)| picture).collect();
        let seen = self.labeller.see(&pictures, LABELS, &self.cancel)?;
        state.seen.extend(waiting.iter().map(|(pts, _)| *pts).zip(seen));
        Ok(())
    }
}

impl FrameSink for Eye {
    fn frame(&self, picked: Picked<'_>, converter: &mut PictureConverter) -> Result<()> {
        let size = NonZeroU32::new(WIDTH).map_or(PictureSize::Native, PictureSize::Width);
        let picture = converter.convert(picked.frame, size)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.push((picked.frame.pts(), picture));
        if state.waiting.len() >= BATCH { self.look(&mut state) } else { Ok(()) }
    }
}

impl StageWork for Work<'_> {
    fn request<'w>(&'w mut self, wants: &mut Wants<'w>) -> Result<()> {
        let frames = self.frames;
        wants.frames(frames.policy.clone(), frames.precision, frames.deinterlace, &self.eye);
        Ok(())
    }

    fn finish(self: Box<Self>, film: &Film<'_>, _: &ReadBy<'_>) -> Result<Finished> {
        let mut state =
            std::mem::take(&mut *self.eye.state.lock().unwrap_or_else(PoisonError::into_inner));
        if !state.waiting.is_empty() {
            self.eye.look(&mut state)?;
        }
        let kept = film.catalogue()?.frames_of(film.media()?, Some("frames"))?;
        let seen: HashMap<i64, Seen> = state.seen.into_iter().collect();
        let mut rows = Rows::default();
        for frame in &kept {
            let Some(seen) = seen.get(&frame.row.pts) else {
                return Err(Error::new(
                    ErrorKind::Internal,
                    Stage::Process,
                    "a kept frame was not seen again",
                ));
            };
            let owner = Owner::Frame(RowRef::Known(frame.id));
            rows.features.extend(seen.labels.iter().map(|label| FeatureRow {
                owner,
                name: format!("label:{}", label.name),
                value: f64::from(label.probability),
            }));
            rows.embeddings.push(EmbeddingRow {
                owner,
                model: seen.embedding.model().as_str().to_owned(),
                kind: "image".to_owned(),
                vector: seen.embedding.vector().to_vec(),
            });
        }
        let summary = json!({ "frames": kept.len() });
        Ok(Finished { rows, summary, ..Finished::default() })
    }
}
