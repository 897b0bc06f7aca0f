//! The speech of an input as text.

use super::sheet::publish_file;
use super::{Made, Run, is_current_file};
use crate::control::{OnProgress, Progress};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::{ContentId, Recipe, Record, refuse_same_file, sidecar};
use crate::media::{Notice, SoundFormat};
use crate::speech::journal::Journal;
use crate::speech::setup::Speech;
use crate::speech::subtitles::{LineRules, LineWishes, SubtitleFormat, read_json, write};
use crate::speech::transcribe::{OnPlace, TranscribeCounts, TranscribeSettings, Transcriber};
use crate::speech::transcript::Transcript;
use crate::time::Timestamp;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Writes down what is said in the main sound stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcribe {
    /// What decides the text.
    pub settings: TranscribeSettings,
    /// The formats to write, each as `NAME.EXTENSION`.
    pub formats: Vec<SubtitleFormat>,
    /// What is wanted of their lines.
    pub lines: LineWishes,
}

impl Default for Transcribe {
    fn default() -> Self {
        Self {
            settings: TranscribeSettings::default(),
            formats: vec![SubtitleFormat::Srt],
            lines: LineWishes::default(),
        }
    }
}

/// What came of [`Transcribe`].
#[derive(Clone, Debug, PartialEq)]
pub struct Transcribed {
    /// The text.
    pub transcript: Transcript,
    /// How much work it was; nothing where it was read from an earlier run's JSON.
    pub counts: TranscribeCounts,
    /// What was not as it should be with the input.
    pub notices: Vec<Notice>,
}

impl Transcribe {
    pub(super) const VERSION: u32 = 2;

    fn recipe(&self, speech: &Speech, format: SubtitleFormat) -> Recipe {
        let identity = speech.identity(&self.settings);
        // Text that knows no lines stays as it is whatever is wanted of them.
        let lines = format.has_lines().then_some(self.lines);
        Recipe::new("transcribe", Self::VERSION, &(identity, format.as_str(), lines))
    }

    /// `transcript` in `format`, by the rules for its language and what is wanted of its lines.
    ///
    /// # Errors
    /// As [`write`].
    pub fn text(&self, transcript: &Transcript, format: SubtitleFormat) -> Result<String> {
        write(transcript, format, &LineRules::for_language(&transcript.language).with(&self.lines))
    }

    /// The files that [`Transcribe::run`] writes.
    pub fn files(&self, folder: &Path, name: &OsStr) -> Vec<PathBuf> {
        self.formats.iter().map(|format| file(folder, name, *format)).collect()
    }

    /// Transcribes `input` into files called `name` in `folder`. Where another format is all that
    /// is new, it is made from the JSON of the earlier run.
    ///
    /// What is recognised is kept in a hidden journal in `folder` until the files are there: a run
    /// that was killed or cancelled goes on where it was.
    ///
    /// # Errors
    /// As [`Reading::run`] and [`Speech::desk`]; storage errors.
    pub fn run(
        &self,
        input: &Path,
        folder: &Path,
        name: &OsStr,
        speech: &Speech,
        run: &Run,
    ) -> Result<Made<Transcribed>> {
        let outputs = self.files(folder, name);
        for output in &outputs {
            refuse_same_file(input, output)?;
        }
        let first = outputs.first().cloned().unwrap_or_else(|| folder.to_path_buf());
        let json = file(folder, name, SubtitleFormat::Json);
        let recorded =
            outputs.iter().chain([&json]).any(|output| Record::read(&sidecar(output)).is_some());
        let content = run.identity_to_compare(input, recorded)?;
        let is_current = |format| {
            let output = file(folder, name, format);
            let record = Record::read(&sidecar(&output));
            is_current_file(record, &self.recipe(speech, format), content.as_ref(), &output)
        };
        let missing: Vec<_> =
            self.formats.iter().copied().filter(|format| !is_current(*format)).collect();
        if missing.is_empty() {
            return Ok(Made::current(first));
        }
        if is_current(SubtitleFormat::Json)
            && let Some(transcript) = fs::read(&json).ok().and_then(|b| read_json(&b).ok())
        {
            self.publish(&missing, &transcript, folder, name, content.as_ref(), speech)?;
            let counts = TranscribeCounts::default();
            let done = Transcribed { transcript, counts, notices: Vec::new() };
            return Ok(Made { output: first, result: Some(done), notices: Vec::new() });
        }

        let keep = Some((folder, name));
        let ((done, journal), content) =
            run.with_identity(input, content, || self.read(input, speech, keep, run))?;
        run.cancel.check(Stage::Write)?;
        self.publish(&self.formats, &done.transcript, folder, name, content.as_ref(), speech)?;
        if let Some(journal) = journal {
            journal.remove();
        }
        let notices = done.notices.clone();
        Ok(Made { output: first, result: Some(done), notices })
    }

    /// The transcript of `input` alone; nothing is written.
    ///
    /// # Errors
    /// As [`Reading::run`] and [`Speech::desk`].
    pub fn transcript(&self, input: &Path, speech: &Speech, run: &Run) -> Result<Transcribed> {
        Ok(self.read(input, speech, None, run)?.0)
    }

    /// Reads and recognises, with a journal in the folder `keep` for outputs of that name.
    fn read(
        &self,
        input: &Path,
        speech: &Speech,
        keep: Option<(&Path, &OsStr)>,
        run: &Run,
    ) -> Result<(Transcribed, Option<Arc<Journal>>)> {
        let mut sink;
        let reading = run.open_quiet(input)?;
        if reading.info().audio().is_none() {
            // Says so before anything is loaded or made.
            return Err(Error::new(ErrorKind::Input, Stage::Decode, "holds no sound")
                .input(input)
                .hint("give a file with sound"));
        }
        let journal = match keep {
            Some((folder, name)) => {
                fs::create_dir_all(folder).map_err(|e| Error::io(Stage::Write, folder, e))?;
                Journal::open(&journal_path(folder, name), &self.journal_key(speech))
            }
            None => None,
        };
        let journal = journal.map(Arc::new);
        let pace = Arc::new(Pace::new(run.on_progress.clone(), reading.info().duration));
        sink = Transcriber::new(speech, &self.settings, journal.clone(), &run.cancel)?
            .on_place(pace.on_place());
        let report = reading.sound(SoundFormat::SPEECH, &mut sink).run()?;
        let (transcript, counts) = sink.finish().map_err(|e| e.input(input))?;
        Ok((Transcribed { transcript, counts, notices: report.notices }, journal))
    }

    fn publish(
        &self,
        formats: &[SubtitleFormat],
        transcript: &Transcript,
        folder: &Path,
        name: &OsStr,
        content: Option<&ContentId>,
        speech: &Speech,
    ) -> Result<()> {
        for format in formats {
            let key = content.map(|content| self.recipe(speech, *format).key(content));
            let text = self.text(transcript, *format)?;
            publish_file(&file(folder, name, *format), text.as_bytes(), &key.unwrap_or_default())?;
        }
        Ok(())
    }

    /// What the lines of a journal are valid for, whatever the formats.
    pub(super) fn journal_key(&self, speech: &Speech) -> String {
        let identity = serde_json::to_string(&speech.identity(&self.settings)).unwrap_or_default();
        blake3::hash(identity.as_bytes()).to_hex().to_string()
    }
}

fn file(folder: &Path, name: &OsStr, format: SubtitleFormat) -> PathBuf {
    let mut file = name.to_os_string();
    file.push(".");
    file.push(format.extension());
    folder.join(file)
}

/// Where what is unfinished is kept.
pub(super) fn journal_path(folder: &Path, name: &OsStr) -> PathBuf {
    let mut file = std::ffi::OsString::from(".rushes-");
    file.push(name);
    file.push(".journal");
    folder.join(file)
}

/// Progress by what is recognised: the sound is read long before.
pub(super) struct Pace {
    callback: Option<OnProgress>,
    state: Mutex<PaceState>,
}

struct PaceState {
    read: Progress,
    recognised: Timestamp,
    told: Instant,
}

impl Pace {
    pub(super) fn new(callback: Option<OnProgress>, total: Option<Timestamp>) -> Self {
        let read = Progress { at: Timestamp::ZERO, total, frames: 0, bytes: 0 };
        let state = PaceState { read, recognised: Timestamp::ZERO, told: Instant::now() };
        Self { callback, state: Mutex::new(state) }
    }

    fn tell(&self, change: impl FnOnce(&mut PaceState)) {
        const STEP: Duration = Duration::from_millis(100);
        let Some(callback) = &self.callback else { return };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        if state.told.elapsed() >= STEP {
            state.told = Instant::now();
            let progress = Progress { at: state.recognised, ..state.read };
            drop(state);
            callback(progress);
        }
    }

    /// What the transcriber calls.
    pub(super) fn on_place(self: &Arc<Self>) -> OnPlace {
        let pace = self.clone();
        Arc::new(move |place| pace.tell(|state| state.recognised = place))
    }

    /// What a reading calls that serves others too.
    pub(super) fn on_progress(self: &Arc<Self>) -> OnProgress {
        let pace = self.clone();
        Arc::new(move |read| {
            pace.tell(|state| {
                state.read = Progress { total: state.read.total.or(read.total), ..read }
            });
        })
    }
}
