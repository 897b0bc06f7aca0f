//! The shots of a film as lists.

use super::sheet::publish_file;
use super::{Made, Run, is_current_file};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::{ContentId, Recipe, Record, refuse_same_file, sidecar};
use crate::media::{MediaInfo, Notice, StreamKind};
use crate::time::Timestamp;
use crate::vision::shots::{
    FastDetector, FastSettings, ShotFinder, ShotFormat, ShotList, SkipSettings, shots,
};
use crate::vision::transnet::{TransNet, TransNetDetector};
use serde::Serialize;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Finds the shots of a film and writes them down.
#[derive(Clone, Debug, PartialEq)]
pub struct FindShots {
    /// What decides the shots.
    pub settings: ShotSettings,
    /// The formats to write, each as `NAME.shots.EXTENSION`.
    pub formats: Vec<ShotFormat>,
}

/// Who finds the shots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Detector {
    /// [`FastDetector`].
    #[default]
    Fast,
    /// [`TransNetDetector`], with the model of the catalogue's `transnetv2`.
    TransNet,
}

/// What decides the shots.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ShotSettings {
    /// Who finds them.
    pub detector: Detector,
    /// What is a cut.
    pub fast: FastSettings,
    /// When groups of pictures are left out; `None` to decode everything.
    pub skip: Option<SkipSettings>,
    /// A shot is at least this long.
    pub shortest: Timestamp,
}

impl Default for ShotSettings {
    fn default() -> Self {
        Self {
            detector: Detector::default(),
            fast: FastSettings::default(),
            skip: Some(SkipSettings::default()),
            shortest: Timestamp::from_millis(500),
        }
    }
}

impl Default for FindShots {
    fn default() -> Self {
        Self { settings: ShotSettings::default(), formats: vec![ShotFormat::Json] }
    }
}

impl ShotSettings {
    pub(super) const VERSION: u32 = 2;

    /// A consumer for [`crate::media::Reading::judge`]; `net` is for [`Detector::TransNet`].
    ///
    /// # Errors
    /// [`ErrorKind::Model`] where a network is wanted and none given.
    pub fn finder<'a>(&self, net: Option<&'a TransNet>) -> Result<ShotFinder<'a>> {
        /// The authors' threshold.
        const THRESHOLD: f32 = 0.5;
        Ok(match (self.detector, net) {
            (Detector::Fast, _) => ShotFinder::new(FastDetector::new(self.fast), self.skip),
            (Detector::TransNet, Some(net)) => {
                ShotFinder::new(TransNetDetector::new(net, THRESHOLD), None)
            }
            (Detector::TransNet, None) => {
                return Err(Error::new(ErrorKind::Model, Stage::Model, "no TransNetV2 was loaded")
                    .hint("run `rushes models pull transnetv2`"));
            }
        })
    }

    /// The shots that `finder` found in a film called `name`.
    ///
    /// # Errors
    /// Those of the detector.
    pub fn list(&self, finder: ShotFinder<'_>, name: &str, info: &MediaInfo) -> Result<ShotList> {
        let (boundaries, start, end, work) = finder.finish()?;
        let shots = shots(boundaries, start, end, self.shortest);
        Ok(ShotList { name: name.to_owned(), rate: rate(info), shots, work })
    }
}

impl FindShots {
    fn recipe(&self, format: ShotFormat) -> Recipe {
        Recipe::new("shots", ShotSettings::VERSION, &(self.settings, format.as_str()))
    }

    /// The files that [`FindShots::run`] writes.
    pub fn files(&self, folder: &Path, name: &OsStr) -> Vec<PathBuf> {
        self.formats.iter().map(|format| file(folder, name, *format)).collect()
    }

    /// Writes the shots of `input` into files called `name` in `folder`.
    ///
    /// # Errors
    /// As [`crate::media::Reading::run`]; storage errors.
    pub fn run(
        &self,
        input: &Path,
        folder: &Path,
        name: &OsStr,
        net: Option<&TransNet>,
        run: &Run,
    ) -> Result<Made<ShotList>> {
        let outputs = self.files(folder, name);
        for output in &outputs {
            refuse_same_file(input, output)?;
        }
        let first = outputs.first().cloned().unwrap_or_else(|| folder.to_path_buf());
        let recorded = outputs.iter().any(|output| Record::read(&sidecar(output)).is_some());
        let content = run.identity_to_compare(input, recorded)?;
        let is_current = |format: &ShotFormat| {
            let output = file(folder, name, *format);
            let record = Record::read(&sidecar(&output));
            is_current_file(record, &self.recipe(*format), content.as_ref(), &output)
        };
        if !self.formats.is_empty() && self.formats.iter().all(is_current) {
            return Ok(Made::current(first));
        }
        let ((list, notices), content) =
            run.with_identity(input, content, || self.read(input, net, run))?;
        run.cancel.check(Stage::Write)?;
        std::fs::create_dir_all(folder).map_err(|e| Error::io(Stage::Write, folder, e))?;
        for format in &self.formats {
            self.publish(*format, &list, &file(folder, name, *format), content.as_ref())?;
        }
        Ok(Made { output: first, result: Some(list), notices })
    }

    /// The shots of `input` alone; nothing is written.
    ///
    /// # Errors
    /// As [`crate::media::Reading::run`].
    pub fn shots(
        &self,
        input: &Path,
        net: Option<&TransNet>,
        run: &Run,
    ) -> Result<(ShotList, Vec<Notice>)> {
        self.read(input, net, run)
    }

    fn read(
        &self,
        input: &Path,
        net: Option<&TransNet>,
        run: &Run,
    ) -> Result<(ShotList, Vec<Notice>)> {
        let finder = self.settings.finder(net)?;
        let reading = run.open(input)?;
        let info = reading.info().clone();
        let report = reading.judge(&finder).run()?;
        let name = input.file_name().unwrap_or_default().to_string_lossy();
        let list = self.settings.list(finder, &name, &info).map_err(|e| e.input(input))?;
        Ok((list, report.notices))
    }

    fn publish(
        &self,
        format: ShotFormat,
        list: &ShotList,
        output: &Path,
        content: Option<&ContentId>,
    ) -> Result<()> {
        let key = content.map(|content| self.recipe(format).key(content)).unwrap_or_default();
        publish_file(output, list.write(format)?.as_bytes(), &key)
    }
}

/// Frames a second of the main video stream.
fn rate(info: &MediaInfo) -> (u32, u32) {
    let rate = info.video().and_then(|stream| match &stream.kind {
        StreamKind::Video(video) => {
            let (num, den) = video.frame_rate.as_deref()?.split_once('/')?;
            Some((num.parse().ok()?, den.parse().ok()?))
        }
        _ => None,
    });
    rate.filter(|(num, den)| *num > 0 && *den > 0).unwrap_or((25, 1))
}

fn file(folder: &Path, name: &OsStr, format: ShotFormat) -> PathBuf {
    let mut file = name.to_os_string();
    file.push(".shots.");
    file.push(format.as_str());
    folder.join(file)
}
