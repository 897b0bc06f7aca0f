//! What a stage of processing is.
//!
//! A stage turns a film into rows of the catalogue and files in the film's folder. The runner
//! ([`super::runner`]) decides which stages must run, gives all of them one reading of the film,
//! and stores what they make. To add one:
//!
//! 1. Write a struct with its settings in `stages/NAME.rs` and implement [`FilmStage`] for it:
//!    `name` (stays for ever: results are found by it), `version` (raise it when the same settings
//!    give other results), `parameters` (all settings that decide the result, and nothing else:
//!    not threads, not paths), `models` (name and digest by role).
//! 2. If it reads what other stages made, name them in `inputs`: their keys become part of its key,
//!    it runs after them, and when their result is replaced, its own goes with it.
//! 3. `begin` looks at the film. Where there is nothing to do (no pictures, no sound), it says why
//!    with [`Begun::Nothing`]: that is a result too, and is not tried again.
//! 4. Otherwise it gives a [`StageWork`]. Its `request` asks for frames or sound with [`Wants`];
//!    all requests of all stages are served by one decode. A stage that asks for nothing is only
//!    finished; if no stage asks, the film is not read.
//! 5. `finish` comes after the reading. It writes files below [`Film::staged`] (they appear in the
//!    film's folder under the same names, replacing its earlier ones) and gives [`Finished`]: rows
//!    ([`crate::library::catalogue::rows::Rows`]) and a summary. By then the results of its inputs
//!    are stored: [`Film::catalogue`] and [`Film::media`] lead to them, e.g. `shots_of(media)`.
//! 6. If `finish` takes long, give `is_long`: what other stages made is stored before.
//! 7. Add it to [`super::Process::stages`], behind its inputs, and a switch for it to
//!    [`super::Stages`] and to the command line's `--stages`.
//!
//! Results are kept under a key of all these parts ([`crate::library::KeyParts`]), so nothing has to
//! be done for a second run to do nothing.

use super::Run;
use super::transcribe::Pace;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::catalogue::rows::Rows;
use crate::library::{Catalogue, Identity, Library, Staging};
use crate::media::{
    FramePolicy, FrameSink, GroupJudge, MediaInfo, Precision, ReadReport, SoundFormat, SoundReport,
    SoundSink,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a stage reads of other stages' results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageInputs {
    /// Nothing: only the film.
    Film,
    /// The results of these, which are run before it.
    Of(&'static [&'static str]),
    /// All there is, as a report does.
    All,
}

/// A stage with its settings. See the module for how to write one.
pub trait FilmStage: Send + Sync {
    /// Its name, one word in lower case.
    fn name(&self) -> &'static str;

    /// Raised when the same settings give other results.
    fn version(&self) -> u32;

    /// The settings that decide its result.
    fn parameters(&self) -> Value;

    /// The models that decide its result: name and digest by role.
    fn models(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// Whose results it reads.
    fn inputs(&self) -> StageInputs {
        StageInputs::Film
    }

    /// Whether its `finish` takes long.
    fn is_long(&self) -> bool {
        false
    }

    /// Begins work on a film.
    ///
    /// # Errors
    /// An error ends the processing of this film.
    fn begin<'a>(&'a self, film: &Film<'a>) -> Result<Begun<'a>>;
}

/// Whether there is something to do.
pub enum Begun<'a> {
    /// There is.
    Work(Box<dyn StageWork + 'a>),
    /// There is not, for this reason, e.g. `no sound`.
    Nothing(&'static str),
}

/// A stage at work on one film.
pub trait StageWork {
    /// Says what it wants of the reading.
    ///
    /// # Errors
    /// An error ends the processing of this film.
    fn request<'w>(&'w mut self, wants: &mut Wants<'w>) -> Result<()> {
        let _ = wants;
        Ok(())
    }

    /// Ends the work; `read` is the account of the reading.
    ///
    /// # Errors
    /// An error fails this stage and those that read its result; others are stored.
    fn finish(self: Box<Self>, film: &Film<'_>, read: &ReadBy<'_>) -> Result<Finished>;
}

/// What the stages of one film want of its one reading.
#[derive(Default)]
pub struct Wants<'w> {
    pub(super) frames: Vec<(FramePolicy, Precision, &'w dyn FrameSink)>,
    pub(super) sound: Vec<(SoundFormat, &'w mut dyn SoundSink)>,
    pub(super) judge: Option<&'w dyn GroupJudge>,
    pub(super) deinterlace: bool,
    pub(super) paced: bool,
}

impl<'w> Wants<'w> {
    /// Asks for frames, whole ones of interlaced pictures if `deinterlace`. That holds for the
    /// reading as a whole, so every stage that asks for frames has it among its parameters.
    pub fn frames(
        &mut self,
        policy: FramePolicy,
        precision: Precision,
        deinterlace: bool,
        sink: &'w dyn FrameSink,
    ) {
        self.deinterlace |= deinterlace;
        self.frames.push((policy, precision, sink));
    }

    /// Has `judge` choose what it needs of the pictures. A reading has one judge: the last stays.
    pub fn judge(&mut self, judge: &'w dyn GroupJudge) {
        self.judge = Some(judge);
    }

    /// Asks for the sound of the main stream.
    pub fn sound(&mut self, format: SoundFormat, sink: &'w mut dyn SoundSink) {
        self.sound.push((format, sink));
    }

    /// Says that this stage reports progress itself, through [`Film::pace`].
    pub(super) fn paced(&mut self) {
        self.paced = true;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.sound.is_empty() && self.judge.is_none()
    }
}

/// The account of a reading, as one stage sees it.
pub struct ReadBy<'a> {
    /// The reading; empty where no stage asked for anything.
    pub report: &'a ReadReport,
    /// What the stage's own requests for sound got, in their order.
    pub sound: &'a [SoundReport],
}

/// What a stage made.
#[derive(Default)]
pub struct Finished {
    /// Rows for the catalogue.
    pub rows: Rows,
    /// The result in short, for reports and for `rushes library show`.
    pub summary: Value,
    /// Why there is less than one might expect.
    pub note: Option<String>,
    /// Done once all that is stored.
    pub then: Option<Box<dyn FnOnce()>>,
}

/// A film being processed.
pub struct Film<'a> {
    /// The input as it was named.
    pub input: &'a Path,
    /// What it is made of.
    pub info: &'a MediaInfo,
    /// Its content.
    pub identity: &'a Identity,
    /// Limits, threads, cancel.
    pub run: &'a Run,
    /// The library.
    pub library: &'a Library,
    /// The name of its folder in the library.
    pub folder: &'a str,
    pub(super) staging: &'a Staging,
    pub(super) pace: Arc<Pace>,
    pub(super) media: std::cell::Cell<Option<i64>>,
}

impl Film<'_> {
    /// Whether it has pictures that can be decoded.
    pub fn has_video(&self) -> bool {
        self.info.video().is_some_and(|stream| stream.decodable)
    }

    /// Whether it has sound that can be decoded.
    pub fn has_audio(&self) -> bool {
        self.info.audio().is_some_and(|stream| stream.decodable)
    }

    /// The folder in which the files of `stage` are made, named as they will be in the film's
    /// folder.
    ///
    /// # Errors
    /// I/O failures.
    pub fn staged(&self, stage: &str) -> Result<PathBuf> {
        Ok(self.staging.stage(stage)?.folder)
    }

    /// The library's catalogue; for a stage with inputs, in its `finish`.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn catalogue(&self) -> Result<Arc<Catalogue>> {
        self.library.existing()
    }

    /// The film's number in the catalogue; for a stage with inputs, in its `finish`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where nothing is stored of it, which would be a defect.
    pub fn media(&self) -> Result<i64> {
        self.media.get().ok_or_else(|| {
            Error::new(ErrorKind::Internal, Stage::Process, "a stage without inputs reads results")
        })
    }
}
