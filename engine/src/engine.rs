//! The front door: a library folder and the jobs that fill it.

use crate::control::{Cancel, Progress};
use crate::embed::Embedders;
use crate::error::Result;
use crate::insight::Insight;
use crate::insight::clips::Purpose;
use crate::library::Library;
use crate::limits::Limits;
use crate::media::{FramePolicy, MediaInfo, PictureSize, Precision, probe};
use crate::pipeline::{Detector, Lesson, Made, Process, ProcessReport, Run, Stages, WithSpeech};
use crate::search::{Answer, Indexed, SearchQuery, index_library, search};
use crate::speech::setup::Speech;
use crate::speech::transcribe::TranscribeSettings;
use crate::stills::SheetLayout;
use crate::vision::ocr::Ocr;
use crate::vision::transnet::TransNet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An opened library folder. Cheap to clone; jobs on different threads may share it.
#[derive(Clone)]
pub struct Engine {
    library: Library,
    run: Run,
}

impl Engine {
    /// Opens the library in `folder`, made if missing.
    ///
    /// # Errors
    /// As [`crate::library::Catalogue::open`]; I/O failures.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        let library = Library::at(folder);
        library.make_catalogue()?;
        Ok(Self { library, run: Run::default() })
    }

    /// The library: what is in it, and keeping it in order.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// Sets what every job of this engine may spend.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.run.limits = limits;
        self
    }

    /// Searches the library; without `embedders` only for words.
    ///
    /// # Errors
    /// As [`crate::search::search`].
    pub fn search(&self, query: &SearchQuery, embedders: Option<&Embedders>) -> Result<Answer> {
        search(&*self.library.make_catalogue()?, embedders, query, &self.run.cancel)
    }

    /// Brings the library's indexes of vectors up to date, so that searches in large libraries are
    /// quick. Worth calling after a batch.
    ///
    /// # Errors
    /// As [`crate::search::index_library`].
    pub fn index(&self) -> Result<Indexed> {
        index_library(&self.library, &self.run.cancel)
    }

    /// What is looked for in this library's films: what comes with the engine, and the dictionaries and
    /// rules in the library's folders `dictionaries/` and `rules/`.
    ///
    /// # Errors
    /// As [`Insight::of_library`].
    pub fn insight(&self) -> Result<Insight> {
        Insight::of_library(self.library.folder())
    }

    /// What clips of this library may be wanted for: the engine's purposes, and those of the library's
    /// `scores.toml`.
    ///
    /// # Errors
    /// As [`Purpose::of_library`].
    pub fn purposes(&self) -> Result<Arc<[Purpose]>> {
        Ok(Purpose::of_library(self.library.folder())?.into())
    }

    /// Reads what `input` is made of.
    ///
    /// # Errors
    /// As [`probe()`].
    pub fn probe(&self, input: impl AsRef<Path>) -> Result<MediaInfo> {
        probe(input.as_ref(), &self.run.limits, &Cancel::new())
    }

    /// Sets up the main job on `input`; nothing runs before [`ProcessBuilder::run`].
    pub fn process(&self, input: impl Into<PathBuf>) -> ProcessBuilder<'_> {
        ProcessBuilder {
            engine: self,
            input: input.into(),
            job: Process::default(),
            run: self.run.clone(),
        }
    }
}

/// The main job, being set up.
pub struct ProcessBuilder<'a> {
    engine: &'a Engine,
    input: PathBuf,
    job: Process,
    run: Run,
}

impl ProcessBuilder<'_> {
    /// Chooses the frames that are kept.
    #[must_use]
    pub fn frames(mut self, policy: FramePolicy, precision: Precision) -> Self {
        self.job.frames.policy = policy;
        self.job.frames.precision = precision;
        self
    }

    /// Chooses their size.
    #[must_use]
    pub fn frame_size(mut self, size: PictureSize) -> Self {
        self.job.frames.size = size;
        self
    }

    /// Chooses the contact sheet's layout.
    #[must_use]
    pub fn sheet(mut self, layout: SheetLayout) -> Self {
        self.job.sheet = layout;
        self
    }

    /// Has a transcript made by `speech`, which many jobs may share.
    #[must_use]
    pub fn transcribe(mut self, speech: &Arc<Speech>, settings: TranscribeSettings) -> Self {
        self.job.transcript = Some(WithSpeech { speech: speech.clone(), settings });
        self
    }

    /// Has what is said and shown made into vectors by `embedders`, which many jobs may share.
    #[must_use]
    pub fn embed(mut self, embedders: &Arc<Embedders>) -> Self {
        self.job.embedders = Some(embedders.clone());
        self
    }

    /// Has text in pictures read by `ocr`, which many jobs may share.
    #[must_use]
    pub fn read_text(mut self, ocr: &Arc<Ocr>) -> Self {
        self.job.ocr = Some(ocr.clone());
        self
    }

    /// Has shots found by a network, which many jobs may share, instead of by differences.
    #[must_use]
    pub fn detect_by(mut self, net: &Arc<TransNet>) -> Self {
        self.job.shots.detector = Detector::TransNet;
        self.job.transnet = Some(net.clone());
        self
    }

    /// Has what matters found in what is said and written, by `insight`, which many jobs may share.
    #[must_use]
    pub fn insight(mut self, insight: &Arc<Insight>) -> Self {
        self.job.insight = Some(insight.clone());
        self
    }

    /// Has clips found that are worth something for `purposes`, measured and scored.
    #[must_use]
    pub fn clips(mut self, purposes: &Arc<[Purpose]>) -> Self {
        self.job.clips = Some(purposes.clone());
        self
    }

    /// Has trading rules found in the transcript and tested, as `lesson` says, which many jobs may share.
    #[must_use]
    pub fn lesson(mut self, lesson: &Arc<Lesson>) -> Self {
        self.job.lesson = Some(lesson.clone());
        self
    }

    /// Chooses what is made beside the transcript.
    #[must_use]
    pub fn stages(mut self, stages: Stages) -> Self {
        self.job.stages = stages;
        self
    }

    /// Has progress reported, about ten times a second.
    #[must_use]
    pub fn on_progress(mut self, callback: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.run.on_progress = Some(Arc::new(callback));
        self
    }

    /// Lets `cancel` stop the job.
    #[must_use]
    pub fn cancel(mut self, cancel: &Cancel) -> Self {
        self.run.cancel = cancel.clone();
        self
    }

    /// Runs the job, or finds that it was done before.
    ///
    /// # Errors
    /// As [`Process::run`].
    pub fn run(self) -> Result<Made<ProcessReport>> {
        self.job.run(&self.input, &self.engine.library, &self.run)
    }
}
