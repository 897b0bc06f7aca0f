//! What the film sounds like in short windows, for the features of clips.

use super::NO_SOUND;
use crate::error::Result;
use crate::insight::sound::{FIELDS, RATE, STEP, SoundMeter};
use crate::library::catalogue::rows::Rows;
use crate::media::{Channels, SoundFormat};
use crate::pipeline::stage::{Begun, Film, FilmStage, Finished, ReadBy, StageWork, Wants};
use serde_json::{Value, json};
use std::num::NonZeroU32;

/// The name of the stage.
pub(in crate::pipeline) const NAME: &str = "sound";

/// See the module.
pub(in crate::pipeline) struct Sound;

impl FilmStage for Sound {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Value {
        json!({ "rate": RATE, "step_ms": STEP.as_millis(), "fields": FIELDS })
    }

    fn begin<'a>(&'a self, film: &Film<'a>) -> Result<Begun<'a>> {
        if !film.has_audio() {
            return Ok(Begun::Nothing(NO_SOUND));
        }
        Ok(Begun::Work(Box::new(Work(SoundMeter::new()?))))
    }
}

struct Work(SoundMeter);

impl StageWork for Work {
    fn request<'w>(&'w mut self, wants: &mut Wants<'w>) -> Result<()> {
        let format = SoundFormat { rate: NonZeroU32::new(RATE), channels: Channels::Mono };
        wants.sound(format, &mut self.0);
        Ok(())
    }

    fn finish(self: Box<Self>, _: &Film<'_>, _: &ReadBy<'_>) -> Result<Finished> {
        let sound = self.0.finish()?;
        let summary = json!({ "windows": sound.values.len() / FIELDS.len() });
        Ok(Finished {
            rows: Rows { sound: Some(sound), ..Rows::default() },
            summary,
            ..Finished::default()
        })
    }
}
