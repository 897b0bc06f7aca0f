//! Whole jobs on one input: read once, feed every consumer, publish what comes of it.
//!
//! Each job is a plain struct of typed settings with a `run`. A job that finds its output already
//! made from the same content by the same settings does nothing.

mod audio;
mod collect;
mod frames;
mod lesson;
mod plan;
mod process;
pub mod recipe;
mod run_page;
mod runner;
mod sheet;
mod shots;
pub mod stage;
mod stages;
#[cfg(test)]
mod tests;
mod transcribe;

pub use audio::ExtractAudio;
pub use frames::{ExtractFrames, FrameFile};
pub use lesson::Lesson;
pub use plan::{Planned, Why};
pub use process::{LeftOut, Process, ProcessReport, Spoken, StageAccount, Stages, WithSpeech};
pub use run_page::RunPage;
pub use sheet::{MakeSheet, SheetKind};
pub use shots::{Detector, FindShots, ShotSettings};
pub use transcribe::{Transcribe, Transcribed};

use crate::control::{Cancel, OnProgress};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::{ContentId, Recipe, Record, content_id};
use crate::limits::Limits;
use crate::media::{HardwareDecoding, MediaInfo, Notice, Reading};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// What is the same for every job: how much it may spend and how it is watched.
#[derive(Clone)]
pub struct Run {
    /// What is refused.
    pub limits: Limits,
    /// How the caller stops it.
    pub cancel: Cancel,
    /// Threads that decode pictures; `None` for one per core.
    pub threads: Option<NonZeroUsize>,
    /// A GPU that decodes, where that is worth its start.
    pub hardware: Option<HardwareDecoding>,
    /// Whether an output is made anew even if it is current.
    pub force: bool,
    /// Receives progress.
    pub on_progress: Option<OnProgress>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            cancel: Cancel::new(),
            threads: None,
            hardware: None,
            force: false,
            on_progress: None,
        }
    }
}

impl Run {
    /// Opens `input` for reading under these settings.
    fn open<'a>(&self, input: &Path) -> Result<Reading<'a>> {
        let mut reading = self.open_quiet(input)?;
        if let Some(on_progress) = &self.on_progress {
            reading = reading.on_progress(on_progress.clone());
        }
        Ok(reading)
    }

    /// As [`Run::open`], for a job that reports progress itself.
    fn open_quiet<'a>(&self, input: &Path) -> Result<Reading<'a>> {
        let reading =
            Reading::open(input, &self.limits, &self.cancel)?.hardware(self.hardware.clone());
        Ok(match self.threads {
            Some(threads) => reading.threads(threads),
            None => reading,
        })
    }

    /// Runs `work` while another thread reads the whole input for its identity, so that the disk
    /// is read once. `known` is an identity that was needed earlier.
    fn with_identity<T>(
        &self,
        input: &Path,
        known: Option<ContentId>,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<(T, Option<ContentId>)> {
        if known.is_some() || !is_file(input) {
            return Ok((work()?, known));
        }
        let stop = Cancel::new();
        std::thread::scope(|scope| {
            let identity = scope.spawn(|| content_id(input, &stop));
            let worked = work();
            if worked.is_err() || self.cancel.is_cancelled() {
                stop.cancel();
            }
            let identity = identity.join().map_err(|_| {
                Error::new(ErrorKind::Internal, Stage::Process, "the hashing thread panicked")
            })?;
            Ok((worked?, Some(identity?)))
        })
    }

    /// The input's identity if an output may be current (`recorded`), so that it must be compared.
    fn identity_to_compare(&self, input: &Path, recorded: bool) -> Result<Option<ContentId>> {
        if self.force || !recorded || !is_file(input) {
            return Ok(None);
        }
        content_id(input, &self.cancel).map(Some)
    }
}

fn is_file(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file())
}

/// What came of a job.
#[derive(Clone, Debug)]
pub struct Made<T> {
    /// The output file or folder.
    pub output: PathBuf,
    /// What is in it; `None` when it was current and nothing was done.
    pub result: Option<T>,
    /// What was not as it should be with the input.
    pub notices: Vec<Notice>,
}

impl<T> Made<T> {
    fn current(output: PathBuf) -> Self {
        Self { output, result: None, notices: Vec::new() }
    }

    /// Whether the output was current already.
    pub fn is_current(&self) -> bool {
        self.result.is_none()
    }
}

/// Length of the film for cues and counts; the end of what was seen where nobody states one.
fn length(info: &MediaInfo) -> crate::time::Timestamp {
    info.duration.unwrap_or(crate::time::Timestamp::ZERO)
}

/// Current means: the record lies there, was made by `recipe` from `content`, and what it lists
/// is unharmed.
fn is_current(
    record: Option<Record>,
    recipe: &Recipe,
    content: Option<&ContentId>,
    dir: &Path,
) -> bool {
    match (record, content) {
        (Some(record), Some(content)) => record.is_current(&recipe.key(content), dir),
        _ => false,
    }
}

/// As [`is_current`], for a single output file.
fn is_current_file(
    record: Option<Record>,
    recipe: &Recipe,
    content: Option<&ContentId>,
    file: &Path,
) -> bool {
    match (record, content) {
        (Some(record), Some(content)) => record.is_current_file(&recipe.key(content), file),
        _ => false,
    }
}
