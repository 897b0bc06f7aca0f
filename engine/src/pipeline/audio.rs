//! The sound of a film as a file.

use super::{Made, Run, is_current_file};
use crate::error::{Result, Stage};
use crate::library::{Recipe, Record, StagedFile, refuse_same_file, sidecar};
use crate::media::{SoundContainer, SoundFile, SoundFormat, SoundReport};
use serde::Serialize;
use std::path::Path;

/// Writes the main sound stream into a file, aligned to the media clock: sample i is at i / rate,
/// with silence where the stream starts late or has gaps.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ExtractAudio {
    /// Rate and channels.
    pub format: SoundFormat,
    /// How it is stored.
    pub container: SoundContainer,
}

impl ExtractAudio {
    pub(super) const VERSION: u32 = 1;

    fn recipe(&self) -> Recipe {
        Recipe::new("audio", Self::VERSION, self)
    }

    /// Writes the sound of `input` to `output`.
    ///
    /// # Errors
    /// As [`crate::media::Reading::run`]; storage errors. Nothing is left behind then.
    pub fn run(&self, input: &Path, output: &Path, run: &Run) -> Result<Made<SoundReport>> {
        refuse_same_file(input, output)?;
        let recipe = self.recipe();
        let record = Record::read(&sidecar(output));
        let content = run.identity_to_compare(input, record.is_some())?;
        if is_current_file(record, &recipe, content.as_ref(), output) {
            return Ok(Made::current(output.to_path_buf()));
        }
        let staged = StagedFile::new(output)?;
        let mut file = SoundFile::new(staged.handle()?, self.container);
        let (mut report, content) = run.with_identity(input, content, || {
            run.open(input)?.sound(self.format, &mut file).run()
        })?;
        file.finish().map_err(|e| e.input(output))?;
        run.cancel.check(Stage::Write)?;
        staged.publish()?;
        let key = content.map(|content| recipe.key(&content)).unwrap_or_default();
        super::sheet::publish_record(output, &key)?;
        let result = report.sound.pop();
        Ok(Made { output: output.to_path_buf(), result, notices: report.notices })
    }
}
