//! Frames of a film as picture files.

use super::{Made, Run, is_current};
use crate::error::{Error, Result, Stage};
use crate::library::{MANIFEST, Recipe, Record, StagedDir, refuse_same_file};
use crate::media::{
    FramePolicy, FrameSink, Picked, PictureConverter, PictureSize, Precision, ReadReport,
};
use crate::stills::{NameTemplate, PictureFormat};
use crate::time::Timestamp;
use serde::Serialize;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Writes chosen frames of a film into a folder, with a `manifest.json` that tells each one's
/// exact time.
#[derive(Clone, Debug)]
pub struct ExtractFrames {
    /// Which frames.
    pub policy: FramePolicy,
    /// What a time between keyframes means.
    pub precision: Precision,
    /// How large.
    pub size: PictureSize,
    /// How they are stored.
    pub format: PictureFormat,
    /// How they are named.
    pub name: NameTemplate,
    /// Whether interlaced pictures are made whole.
    pub deinterlace: bool,
}

impl Default for ExtractFrames {
    fn default() -> Self {
        Self {
            policy: FramePolicy::Every(Timestamp::from_secs(1)),
            precision: Precision::Exact,
            size: PictureSize::Native,
            format: PictureFormat::JPEG,
            name: NameTemplate::default(),
            deinterlace: false,
        }
    }
}

/// One frame that was written.
#[derive(Clone, Debug, Serialize)]
pub struct FrameFile {
    /// Its name in the folder.
    pub file: String,
    /// Its number, from 0, in order of time.
    pub n: u64,
    /// When it is shown, on the media clock.
    pub time: Timestamp,
    /// The time that was asked for, where one was.
    pub wanted: Option<Timestamp>,
    /// Its timestamp as the container stores it.
    pub pts: i64,
    /// Whether it is a keyframe.
    pub key: bool,
    /// Width of the written picture.
    pub width: u32,
    /// Height of the written picture.
    pub height: u32,
}

/// The settings as they go into the key.
#[derive(Serialize)]
struct Settings<'a> {
    policy: &'a FramePolicy,
    precision: Precision,
    size: String,
    format: PictureFormat,
    name: &'a NameTemplate,
    deinterlace: bool,
}

impl ExtractFrames {
    /// Raised when the same settings give other pictures.
    pub(super) const VERSION: u32 = 1;

    pub(super) fn recipe(&self) -> Recipe {
        Recipe::new("frames", Self::VERSION, &self.settings())
    }

    /// What decides the pictures, as JSON.
    pub(super) fn parameters(&self) -> serde_json::Value {
        serde_json::to_value(self.settings()).unwrap_or_default()
    }

    fn settings(&self) -> Settings<'_> {
        Settings {
            policy: &self.policy,
            precision: self.precision,
            size: format!("{:?}", self.size),
            format: self.format,
            name: &self.name,
            deinterlace: self.deinterlace,
        }
    }

    /// Writes the frames of `input` into the folder `output`.
    ///
    /// # Errors
    /// As [`crate::media::Reading::run`]; [`crate::error::ErrorKind::Storage`] if `output` holds
    /// foreign files. Nothing is left behind then.
    pub fn run(&self, input: &Path, output: &Path, run: &Run) -> Result<Made<Vec<FrameFile>>> {
        refuse_same_file(input, output)?;
        let recipe = self.recipe();
        let record = Record::read(&output.join(MANIFEST));
        let content = run.identity_to_compare(input, record.is_some())?;
        if is_current(record, &recipe, content.as_ref(), output) {
            return Ok(Made::current(output.to_path_buf()));
        }
        let staged = StagedDir::new(output)?;
        let writer = FrameWriter::new(self, staged.path().to_path_buf());
        let (report, content) = run.with_identity(input, content, || {
            run.open(input)?
                .deinterlace(self.deinterlace)
                .frames(self.policy.clone(), self.precision, &writer)
                .run()
        })?;
        let files = writer.into_files();
        let key = content.map(|content| recipe.key(&content)).unwrap_or_default();
        let record = Record::of_dir(&key, staged.path())?;
        write_manifest(staged.path(), input, &record, &files, &report)?;
        run.cancel.check(Stage::Write)?;
        staged.publish()?;
        Ok(Made { output: output.to_path_buf(), result: Some(files), notices: report.notices })
    }
}

fn write_manifest(
    dir: &Path,
    input: &Path,
    record: &Record,
    files: &[FrameFile],
    report: &ReadReport,
) -> Result<()> {
    #[derive(Serialize)]
    struct Manifest<'a> {
        input: String,
        frames: &'a [FrameFile],
        report: &'a ReadReport,
        record: &'a Record,
    }
    let manifest =
        Manifest { input: input.to_string_lossy().into_owned(), frames: files, report, record };
    let path = dir.join(MANIFEST);
    let json = serde_json::to_vec_pretty(&manifest)
        .map_err(|e| Error::new(crate::error::ErrorKind::Internal, Stage::Write, e.to_string()))?;
    fs::write(&path, json).map_err(|e| Error::io(Stage::Write, &path, e))
}

/// The consumer: converts, compresses and writes on the decoding threads.
pub(super) struct FrameWriter<'a> {
    settings: &'a ExtractFrames,
    dir: PathBuf,
    files: Mutex<Vec<FrameFile>>,
}

impl<'a> FrameWriter<'a> {
    pub(super) fn new(settings: &'a ExtractFrames, dir: PathBuf) -> Self {
        Self { settings, dir, files: Mutex::default() }
    }

    /// What was written, in order of time.
    pub(super) fn into_files(self) -> Vec<FrameFile> {
        let mut files = self.files.into_inner().unwrap_or_else(PoisonError::into_inner);
        files.sort_by_key(|file| file.n);
        files
    }

    /// Writes a picture under `name`; with its number behind where that is taken, as when one
    /// picture was wanted for two times or the stream uses a timestamp twice.
    fn write_new(&self, name: &str, n: u64, bytes: &[u8]) -> Result<String> {
        let extension = self.settings.format.extension();
        let write = |file: &str| {
            File::create_new(self.dir.join(file)).and_then(|mut out| out.write_all(bytes))
        };
        let file = format!("{name}.{extension}");
        let (file, written) = match write(&file) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                let file = format!("{name}-{n}.{extension}");
                let written = write(&file);
                (file, written)
            }
            written => (file, written),
        };
        written.map_err(|e| Error::io(Stage::Write, &self.dir.join(&file), e))?;
        Ok(file)
    }
}

impl FrameSink for FrameWriter<'_> {
    fn frame(&self, picked: Picked<'_>, converter: &mut PictureConverter) -> Result<()> {
        let settings = self.settings;
        let picture = converter.convert(picked.frame, settings.size)?;
        let (time, pts) = (picked.frame.time(), picked.frame.pts());
        let name = settings.name.name(picked.n, time, pts);
        let bytes = settings.format.encode(&picture)?;
        let file = self.write_new(&name, picked.n, &bytes)?;
        let (width, height) = picture.dimensions();
        let written = FrameFile {
            file,
            n: picked.n,
            time,
            wanted: picked.wanted,
            pts,
            key: picked.frame.is_key(),
            width,
            height,
        };
        self.files.lock().unwrap_or_else(PoisonError::into_inner).push(written);
        Ok(())
    }
}
