//! The main job: one reading of a film feeds its frames, its contact sheet, its sound and its
//! transcript, and a library keeps them.

use super::plan::{Known, Planned, plan};
use super::stage::FilmStage;
use super::stages::looks::Eye;
use super::stages::{
    audio, clips, features, frames, insight, looks, meaning, ocr, probe, report, sheet, shots,
    shown, sound, taught, transcript,
};
use super::{ExtractAudio, ExtractFrames, FrameFile, Lesson, Made, Run, ShotSettings, runner};
use crate::embed::Embedders;
use crate::error::Result;
use crate::insight::Insight;
use crate::insight::clips::Purpose;
use crate::library::{Catalogue, Claim, Identity, Library, Trust};
use crate::media::{FramePolicy, PictureSize, SoundContainer, SoundFormat};
use crate::speech::setup::Speech;
use crate::speech::transcribe::{TranscribeCounts, TranscribeSettings};
use crate::stills::SheetLayout;
use crate::time::Timestamp;
use crate::vision::ocr::Ocr;
use crate::vision::transnet::TransNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

/// Decodes a film once and puts what comes of it into a library: rows into its catalogue, and files
/// into a folder named for the film and its content: `frames/`, `shots/`, `sheet.jpg`, `audio.flac`,
/// `transcript.json` (`.srt`, `.vtt`), `report.html`, `report.json`. What the film does not have (sound, pictures)
/// is left out. Each part is a stage with a key of its own: only those run whose result is not
/// there.
#[derive(Clone, Debug)]
pub struct Process {
    /// Frames to write; their sound-only or picture-less inputs simply have none.
    pub frames: ExtractFrames,
    /// Layout of the contact sheet.
    pub sheet: SheetLayout,
    /// The sound file.
    pub audio: ExtractAudio,
    /// What is a shot.
    pub shots: ShotSettings,
    /// The network that finds shots, where the settings ask for it; many jobs may share it.
    pub transnet: Option<Arc<TransNet>>,
    /// Which of them are made.
    pub stages: Stages,
    /// What makes the transcript; none is made without.
    pub transcript: Option<WithSpeech>,
    /// What makes vectors of what is said and shown, and names what is shown; many jobs may share
    /// it. Models that it does not have are done without.
    pub embedders: Option<Arc<Embedders>>,
    /// What reads text in the pictures that stand for shots, which are made for it; none is read
    /// without. Many jobs may share it.
    pub ocr: Option<Arc<Ocr>>,
    /// Why stages that were wanted are not run, by their names: a model is missing, say. For reports.
    pub unable: BTreeMap<String, String>,
    /// What is looked for in what is said and written: terms, concepts, chapters, patterns; nothing
    /// without. Many jobs may share it.
    pub insight: Option<Arc<Insight>>,
    /// What clips are wanted for: the best of the film for each are kept, with their features, for
    /// which the sound is measured too; none without.
    pub clips: Option<Arc<[Purpose]>>,
    /// How trading rules in the transcript are found and tested; none are looked for without.
    pub lesson: Option<Arc<Lesson>>,
    /// Whether files that look untouched are believed to be.
    pub trust: Trust,
}

/// Which parts of [`Process`] run, beside the transcript. What an earlier run made of the others
/// stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stages {
    /// `frames/`.
    pub frames: bool,
    /// `sheet.jpg`.
    pub sheet: bool,
    /// `audio.flac`.
    pub audio: bool,
    /// The shots, in the catalogue.
    pub shots: bool,
    /// What shots look like, in the catalogue, and `shots/`: the frames that stand for them. Finds
    /// the shots too.
    pub features: bool,
}

impl Stages {
    /// All of them.
    pub const ALL: Self =
        Self { frames: true, sheet: true, audio: true, shots: true, features: true };
    /// None of them.
    pub const NONE: Self =
        Self { frames: false, sheet: false, audio: false, shots: false, features: false };
}

/// Speech recognition as part of [`Process`].
#[derive(Clone, Debug)]
pub struct WithSpeech {
    /// The models; many jobs may share them.
    pub speech: Arc<Speech>,
    /// What decides the text.
    pub settings: TranscribeSettings,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            frames: ExtractFrames {
                policy: FramePolicy::Every(Timestamp::from_secs(5)),
                size: NonZeroU32::new(640).map_or(PictureSize::Native, PictureSize::Width),
                ..ExtractFrames::default()
            },
            sheet: SheetLayout::DEFAULT,
            audio: ExtractAudio { format: SoundFormat::SOURCE, container: SoundContainer::Flac },
            shots: ShotSettings::default(),
            transnet: None,
            stages: Stages::ALL,
            transcript: None,
            embedders: None,
            ocr: None,
            unable: BTreeMap::new(),
            insight: None,
            clips: None,
            lesson: None,
            trust: Trust::Stamp,
        }
    }
}

/// What a library knows of a film; also stored as `report.json`.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessReport {
    /// The input as it was named.
    pub input: String,
    /// BLAKE3 of its bytes.
    pub content: String,
    /// What it is made of: [`crate::media::MediaInfo`] as JSON.
    pub media: Value,
    /// Frames in `frames/`.
    pub frames: Vec<FrameFile>,
    /// Tiles on `sheet.jpg`; 0 if there is none.
    pub sheet_tiles: u64,
    /// Whether there is an `audio.flac`.
    pub audio: bool,
    /// What `transcript.json` holds, if there is one.
    pub transcript: Option<Spoken>,
    /// What each stage did, when it last ran.
    pub stages: Vec<StageAccount>,
    /// The stages of which there is no result, and why.
    pub left_out: Vec<LeftOut>,
    /// What was not as it should be: [`crate::media::Notice`] as JSON, with its `text`.
    pub notices: Vec<Value>,
    /// The stages that ran this time.
    #[serde(skip)]
    pub ran: Vec<&'static str>,
}

/// What a stage did.
#[derive(Clone, Debug, Serialize)]
pub struct StageAccount {
    /// Its name.
    pub stage: String,
    /// Whether there is a result; otherwise it failed, as `note` tells.
    pub done: bool,
    /// How long its own work took behind the reading.
    pub seconds: f64,
    /// How long the reading took that it shared with the other stages of its run; most of what such
    /// a stage does is done meanwhile. None where it did not read.
    pub reading: Option<f64>,
    /// When the run began that it was part of, milliseconds since 1970.
    pub began_ms: i64,
    /// Why there is less than one might expect.
    pub note: Option<String>,
    /// Its result in short.
    pub summary: Value,
}

/// A stage that did not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its name.
    pub stage: String,
    /// Why.
    pub why: String,
}

/// All stages that a run may have, for what is left out of it.
const ALL_STAGES: [&str; 11] = [
    "frames",
    "sheet",
    "audio",
    "shots",
    "features",
    "shown",
    "joint",
    "looks",
    "ocr",
    "transcript",
    "meaning",
];

/// A transcript in short.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spoken {
    /// The language of most of the text.
    pub language: String,
    /// The model.
    pub model: String,
    /// Segments.
    pub segments: usize,
    /// Pieces of text that were taken out.
    pub dropped: usize,
    /// The share of detected speech that has text.
    pub coverage: f64,
    /// How much work it was.
    pub counts: TranscribeCounts,
}

impl Process {
    /// The stages that are wanted, inputs first.
    fn stages(&self) -> Vec<Box<dyn FilmStage + '_>> {
        let mut stages: Vec<Box<dyn FilmStage + '_>> = vec![Box::new(probe::Probe)];
        if self.stages.frames {
            stages.push(Box::new(frames::Frames(&self.frames)));
        }
        if self.stages.sheet {
            let deinterlace = self.frames.deinterlace;
            stages.push(Box::new(sheet::Sheet { layout: &self.sheet, deinterlace }));
        }
        if self.stages.audio {
            stages.push(Box::new(audio::Audio(&self.audio)));
        }
        if self.clips.is_some() {
            stages.push(Box::new(sound::Sound));
        }
        let features = self.stages.features || self.ocr.is_some();
        if self.stages.shots || features {
            let net = self.transnet.as_deref();
            stages.push(Box::new(shots::Shots { settings: &self.shots, net }));
        }
        if features {
            let deinterlace = self.frames.deinterlace;
            stages.push(Box::new(features::Features { deinterlace }));
        }
        let models = self.embedders.as_deref().map(|embedders| (embedders, embedders.models()));
        if let Some((embedders, models)) = models.filter(|_| features) {
            if models.labels.is_some() {
                stages.push(Box::new(shown::Shown(embedders)));
            }
            for (eye, is_here) in
                [(Eye::Joint, models.joint.is_some()), (Eye::Image, models.image.is_some())]
            {
                if is_here {
                    stages.push(Box::new(looks::Looks { embedders, eye }));
                }
            }
        }
        if let Some(ocr) = &self.ocr {
            stages.push(Box::new(ocr::Writing(ocr)));
        }
        if let Some(with) = &self.transcript {
            stages.push(Box::new(transcript::Transcription(with)));
            if let Some((embedders, _)) = models.filter(|(_, models)| models.text.is_some()) {
                stages.push(Box::new(meaning::Meaning(embedders)));
            }
        }
        if let Some(insight) = &self.insight {
            stages.push(Box::new(insight::Find(insight)));
        }
        if let Some(purposes) = &self.clips {
            stages.push(Box::new(clips::Clips(purposes)));
        }
        if let Some(lesson) = self.lesson.as_deref().filter(|_| self.transcript.is_some()) {
            stages.push(Box::new(taught::Strategies(lesson)));
            stages.push(Box::new(taught::Backtests(lesson)));
            stages.push(Box::new(taught::Promotions(lesson)));
        }
        let left_out = self.left_out(&stages);
        stages.push(Box::new(report::Report { left_out }));
        stages
    }

    /// What is not among `stages`, and why.
    fn left_out(&self, stages: &[Box<dyn FilmStage + '_>]) -> Vec<LeftOut> {
        let missing = ALL_STAGES.iter().filter(|n| stages.iter().all(|stage| stage.name() != **n));
        let told = |stage: &&str| LeftOut {
            stage: (*stage).to_owned(),
            why: self.unable.get(*stage).cloned().unwrap_or_else(|| "not asked for".to_owned()),
        };
        missing.map(told).collect()
    }

    /// Processes `input` into `library`; what is there already is not made again.
    ///
    /// # Errors
    /// As [`crate::media::Reading::run`] and [`Library::store`];
    /// [`crate::error::ErrorKind::Unsupported`] for a pipe. Results of stages that did not fail are
    /// kept; nothing else is left behind.
    pub fn run(&self, input: &Path, library: &Library, run: &Run) -> Result<Made<ProcessReport>> {
        let stages = self.stages();
        let (mut identity, mut planned) = self.look(&stages, input, library, run)?;
        let mut claim = None;
        if planned.iter().any(Planned::runs) {
            claim = Some(Claim::wait(library.folder(), &identity.content, &run.cancel)?);
            // Another worker may have come first with a copy of this film.
            let catalogue = library.catalogue()?;
            if let Some(catalogue) = &catalogue {
                identity.media = catalogue.by_content(&identity.content)?;
            }
            planned = self.plan(&stages, &identity, library, catalogue.as_deref(), run)?;
        }
        let folder = match &identity.media {
            Some(media) => media.folder.clone(),
            None => library.folder_name(input, &identity.content)?,
        };
        let output = library.folder().join(&folder);
        if planned.iter().all(|planned| !planned.runs()) {
            if let (true, Some(media), Some(catalogue)) =
                (identity.was_read, &identity.media, library.catalogue()?)
            {
                catalogue.see(media.id, &identity.seen)?;
            }
            return Ok(Made::current(output));
        }
        let outcome = runner::run(&stages, &planned, input, &identity, library, &folder, run)?;
        let notices = outcome.reading.map(|reading| reading.notices).unwrap_or_default();
        let result = match outcome.media {
            Some(media) => {
                let ran = stages.iter().zip(&planned).filter(|(_, planned)| planned.runs());
                let ran = ran.map(|(stage, _)| stage.name()).collect();
                let known = report::of(
                    &*library.existing()?,
                    media,
                    input,
                    &identity,
                    self.left_out(&stages),
                )?;
                Some(ProcessReport { ran, ..known })
            }
            None => None,
        };
        drop(claim);
        Ok(Made { output, result, notices })
    }

    /// What [`Process::run`] would do with `input`, stage by stage.
    ///
    /// # Errors
    /// As [`Identity::find`].
    pub fn why(&self, input: &Path, library: &Library, run: &Run) -> Result<Vec<Planned>> {
        Ok(self.look(&self.stages(), input, library, run)?.1)
    }

    fn look(
        &self,
        stages: &[Box<dyn FilmStage + '_>],
        input: &Path,
        library: &Library,
        run: &Run,
    ) -> Result<(Identity, Vec<Planned>)> {
        let catalogue = library.catalogue()?;
        let trust = if run.force { Trust::Nothing } else { self.trust };
        let identity = Identity::find(input, catalogue.as_ref(), trust, &run.cancel)?;
        let planned = self.plan(stages, &identity, library, catalogue.as_deref(), run)?;
        Ok((identity, planned))
    }

    fn plan(
        &self,
        stages: &[Box<dyn FilmStage + '_>],
        identity: &Identity,
        library: &Library,
        catalogue: Option<&Catalogue>,
        run: &Run,
    ) -> Result<Vec<Planned>> {
        let known = Known::look(library, catalogue, identity, self.trust, &run.cancel)?;
        Ok(plan(stages, &identity.content, &known, run.force))
    }
}
