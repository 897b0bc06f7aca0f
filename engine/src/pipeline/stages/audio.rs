//! The main sound stream on the media clock: `audio.flac`.

use super::{NO_SOUND, settings};
use crate::error::{Error, Result, Stage};
use crate::media::{SoundContainer, SoundFile};
use crate::pipeline::ExtractAudio;
use crate::pipeline::stage::{Begun, Film, FilmStage, Finished, ReadBy, StageWork, Wants};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::PathBuf;

/// See the module.
pub(in crate::pipeline) struct Audio<'s>(pub &'s ExtractAudio);

/// The name of the sound file in the film's folder.
fn file_name(container: SoundContainer) -> String {
    format!("audio.{}", container.extension())
}

impl FilmStage for Audio<'_> {
    fn name(&self) -> &'static str {
        "audio"
    }

    fn version(&self) -> u32 {
        ExtractAudio::VERSION
    }

    fn parameters(&self) -> Value {
        settings(self.0)
    }

    fn begin<'a>(&'a self, film: &Film<'a>) -> Result<Begun<'a>> {
        if !film.has_audio() {
            return Ok(Begun::Nothing(NO_SOUND));
        }
        let path = film.staged(self.name())?.join(file_name(self.0.container));
        let file = File::create(&path).map_err(|e| Error::io(Stage::Write, &path, e))?;
        let sound = SoundFile::new(file, self.0.container);
        Ok(Begun::Work(Box::new(Work { job: self.0, path, sound })))
    }
}

struct Work<'a> {
    job: &'a ExtractAudio,
    path: PathBuf,
    sound: SoundFile,
}

impl StageWork for Work<'_> {
    fn request<'w>(&'w mut self, wants: &mut Wants<'w>) -> Result<()> {
        wants.sound(self.job.format, &mut self.sound);
        Ok(())
    }

    fn finish(self: Box<Self>, _: &Film<'_>, read: &ReadBy<'_>) -> Result<Finished> {
        let samples = read.sound.first().map_or(0, |sound| sound.samples);
        let summary = json!({ "samples": samples });
        if samples == 0 {
            drop(self.sound);
            fs::remove_file(&self.path).map_err(|e| Error::io(Stage::Write, &self.path, e))?;
            let note = Some("no sound could be decoded".to_owned());
            return Ok(Finished { summary, note, ..Finished::default() });
        }
        self.sound.finish()?;
        Ok(Finished { summary, ..Finished::default() })
    }
}
