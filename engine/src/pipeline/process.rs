//! The main job: one reading of a film feeds its frames, its contact sheet and its sound.

use super::collect::Tiles;
use super::frames::FrameWriter;
use super::transcribe::{Pace, Transcribe, journal_path};
use super::{ExtractAudio, ExtractFrames, FrameFile, Made, Run, is_current};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::{MANIFEST, Recipe, Record, StagedDir, content_id};
use crate::media::{
    FramePolicy, MediaInfo, PictureSize, Precision, ReadReport, SoundContainer, SoundFile,
    SoundFormat,
};
use crate::speech::journal::Journal;
use crate::speech::setup::Speech;
use crate::speech::subtitles::{LineRules, SubtitleFormat, write};
use crate::speech::transcribe::{TranscribeCounts, TranscribeSettings, Transcriber};
use crate::speech::transcript::Transcript;
use crate::stills::{PictureFormat, SheetLayout, contact_sheet};
use crate::time::Timestamp;
use serde::Serialize;
use std::fs::{self, File};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

/// Decodes a film once and puts what comes of it into a folder of the library, named for the film
/// and its content: `frames/`, `sheet.jpg`, `audio.flac`, `transcript.json` (`.srt`, `.vtt`),
/// `report.json`. What the film does not have (sound, pictures) is left out.
#[derive(Clone, Debug)]
pub struct Process {
    /// Frames to write; their sound-only or picture-less inputs simply have none.
    pub frames: ExtractFrames,
    /// Layout of the contact sheet.
    pub sheet: SheetLayout,
    /// The sound file.
    pub audio: ExtractAudio,
    /// Which of them are made.
    pub stages: Stages,
    /// What makes the transcript; none is made without.
    pub transcript: Option<WithSpeech>,
}

/// Which parts of [`Process`] run, beside the transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stages {
    /// `frames/`.
    pub frames: bool,
    /// `sheet.jpg`.
    pub sheet: bool,
    /// `audio.flac`.
    pub audio: bool,
}

impl Stages {
    /// All of them.
    pub const ALL: Self = Self { frames: true, sheet: true, audio: true };
    /// None of them.
    pub const NONE: Self = Self { frames: false, sheet: false, audio: false };
}

/// Speech recognition as part of [`Process`].
#[derive(Clone, Debug)]
pub struct WithSpeech {
    /// The models; many jobs may share them.
    pub speech: Arc<Speech>,
    /// What decides the text.
    pub settings: TranscribeSettings,
}

impl WithSpeech {
    fn job(&self) -> Transcribe {
        Transcribe { settings: self.settings.clone(), formats: FORMATS.to_vec() }
    }
}

/// The forms of the transcript in a library folder.
const FORMATS: [SubtitleFormat; 3] =
    [SubtitleFormat::Json, SubtitleFormat::Srt, SubtitleFormat::WebVtt];

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
            stages: Stages::ALL,
            transcript: None,
        }
    }
}

/// What [`Process`] found and made; also stored as `report.json`.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessReport {
    /// The input as it was named.
    pub input: String,
    /// BLAKE3 of its bytes.
    pub content: String,
    /// What it is made of.
    pub media: MediaInfo,
    /// The account of the reading.
    pub reading: ReadReport,
    /// Frames in `frames/`.
    pub frames: Vec<FrameFile>,
    /// Tiles on `sheet.jpg`; 0 if there is none.
    pub sheet_tiles: usize,
    /// Whether there is an `audio.flac`.
    pub audio: bool,
    /// What `transcript.json` holds, if there is one.
    pub transcript: Option<Spoken>,
}

/// A transcript in short.
#[derive(Clone, Debug, Serialize)]
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
    const VERSION: u32 = 2;

    fn recipe(&self, inputs: [&str; 3]) -> Recipe {
        Recipe::new("process", Self::VERSION, &(&self.sheet, self.stages, inputs))
    }

    /// Processes `input` into a folder of `library`.
    ///
    /// # Errors
    /// As [`crate::media::Reading::run`]; [`ErrorKind::Unsupported`] for a pipe. Nothing is left
    /// behind then.
    pub fn run(&self, input: &Path, library: &Path, run: &Run) -> Result<Made<ProcessReport>> {
        let content = content_id(input, &run.cancel)?;
        let parts = [self.frames.recipe().key(&content), self.audio.recipe().key(&content)];
        let spoken = self.transcript.as_ref().map(|with| with.job().key(&with.speech));
        let recipe = self.recipe([&parts[0], &parts[1], &spoken.unwrap_or_default()]);
        let stem = input.file_stem().unwrap_or_default().to_string_lossy();
        // A name of at most 255 bytes, hash and temporary endings included.
        let stem: String = stem.chars().filter(|c| !c.is_control()).take(48).collect();
        let output = library.join(format!("{stem}-{}", content.short()));
        let record = Record::read(&output.join(MANIFEST));
        if !run.force && is_current(record, &recipe, Some(&content), &output) {
            return Ok(Made::current(output));
        }

        let staged = StagedDir::new(&output)?;
        let frames_dir = staged.path().join("frames");
        let writer = FrameWriter::new(&self.frames, frames_dir.clone());
        let tiles = Tiles::new(PictureSize::Width(self.sheet.tile_width));
        let audio_path = staged.path().join("audio.flac");
        let mut sound = None;

        let mut reading = run.open_quiet(input)?;
        let media = reading.info().clone();
        let has_video = media.video().is_some_and(|v| v.decodable);
        let has_audio = media.audio().is_some_and(|a| a.decodable);
        if !has_video && !has_audio {
            return Err(Error::new(
                ErrorKind::Unsupported,
                Stage::Process,
                "holds neither pictures nor sound that this build can decode",
            )
            .input(input)
            .hint("`rushes probe` shows what it holds"));
        }
        let pace = Arc::new(Pace::new(run.on_progress.clone(), media.duration));
        let (mut journal, mut transcriber) = (None, None);
        if let Some(with) = self.transcript.as_ref().filter(|_| has_audio) {
            let path = journal_path(library, output.file_name().unwrap_or_default());
            let key = with.job().journal_key(&with.speech);
            journal = Journal::open(&path, &key).map(Arc::new);
            let sink =
                Transcriber::new(&with.speech, &with.settings, journal.clone(), &run.cancel)?;
            transcriber = Some(sink.on_place(pace.on_place()));
            reading = reading.on_progress(pace.on_progress());
        } else if let Some(on_progress) = &run.on_progress {
            reading = reading.on_progress(on_progress.clone());
        }
        if has_video && self.stages.sheet {
            let sheet_policy = match media.duration {
                Some(_) => FramePolicy::Count(self.sheet.count()?),
                // Without a length the tiles cannot be spread evenly.
                None => FramePolicy::Keyframes,
            };
            reading = reading.frames(sheet_policy, Precision::Exact, &tiles);
        }
        if has_video && self.stages.frames {
            fs::create_dir(&frames_dir).map_err(|e| Error::io(Stage::Write, &frames_dir, e))?;
            reading = reading.deinterlace(self.frames.deinterlace).frames(
                self.frames.policy.clone(),
                self.frames.precision,
                &writer,
            );
        }
        if has_audio && self.stages.audio {
            let file =
                File::create(&audio_path).map_err(|e| Error::io(Stage::Write, &audio_path, e))?;
            let sink = sound.insert(SoundFile::new(file, self.audio.container));
            reading = reading.sound(self.audio.format, sink);
        }
        if let Some(sink) = &mut transcriber {
            reading = reading.sound(SoundFormat::SPEECH, sink);
        }
        let report = reading.run()?;

        let audio = self.stages.audio && report.sound.iter().any(|s| s.samples > 0);
        match sound {
            Some(sound) if audio => sound.finish().map_err(|e| e.input(input))?,
            Some(sound) => {
                drop(sound);
                fs::remove_file(&audio_path)
                    .map_err(|e| Error::io(Stage::Write, &audio_path, e))?;
            }
            None => {}
        }
        let mut tiles = tiles.into_tiles();
        tiles.truncate(self.sheet.count()?.get() as usize);
        if !tiles.is_empty() {
            let sheet = contact_sheet(&tiles, &self.sheet, &run.limits)?;
            let path = staged.path().join("sheet.jpg");
            fs::write(&path, PictureFormat::JPEG.encode(&sheet)?)
                .map_err(|e| Error::io(Stage::Write, &path, e))?;
        }
        let transcript = match transcriber {
            Some(sink) => {
                let (transcript, counts) = sink.finish().map_err(|e| e.input(input))?;
                Some(write_transcript(&transcript, counts, staged.path())?)
            }
            None => None,
        };
        let notices = report.notices.clone();
        let made = ProcessReport {
            input: input.to_string_lossy().into_owned(),
            content: content.to_string(),
            media,
            reading: report,
            frames: writer.into_files(),
            sheet_tiles: tiles.len(),
            audio,
            transcript,
        };
        let path = staged.path().join("report.json");
        let json = serde_json::to_vec_pretty(&made)
            .map_err(|e| Error::new(ErrorKind::Internal, Stage::Write, e.to_string()))?;
        fs::write(&path, json).map_err(|e| Error::io(Stage::Write, &path, e))?;
        let record = Record::of_dir(&recipe.key(&content), staged.path())?;
        let path = staged.path().join(MANIFEST);
        fs::write(&path, record.to_json()).map_err(|e| Error::io(Stage::Write, &path, e))?;
        run.cancel.check(Stage::Write)?;
        staged.publish()?;
        if let Some(journal) = journal {
            journal.remove();
        }
        Ok(Made { output, result: Some(made), notices })
    }
}

/// Writes a transcript in its forms into `folder`.
fn write_transcript(
    transcript: &Transcript,
    counts: TranscribeCounts,
    folder: &Path,
) -> Result<Spoken> {
    let rules = LineRules::for_language(&transcript.language);
    for format in FORMATS {
        let path = folder.join("transcript").with_extension(format.extension());
        let text = write(transcript, format, &rules)?;
        fs::write(&path, text).map_err(|e| Error::io(Stage::Write, &path, e))?;
    }
    Ok(Spoken {
        language: transcript.language.clone(),
        model: transcript.model.clone(),
        segments: transcript.segments.len(),
        dropped: transcript.dropped.len(),
        coverage: transcript.coverage.share(),
        counts,
    })
}
