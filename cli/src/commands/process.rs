//! `rushes process`: the main job.

use super::embed::{Found, LookArgs};
use super::{Session, Shown, embed, ocr, speech, transnet};
use crate::args::{DetectorChoice, SpeechArgs, side, step};
use crate::batch::child::PARENT;
use crate::output::{Status, say};
use clap::{Args, ValueEnum};
use rushes::insight::Insight;
use rushes::insight::clips::Purpose;
use rushes::library::{Library, StagedFile, Trust};
use rushes::media::{FramePolicy, Notice, PictureSize, Precision};
use rushes::pipeline::{
    ExtractFrames, Lesson, Process, ProcessReport, RunPage, ShotSettings, Spoken, Stages,
    WithSpeech,
};
use rushes::search::index_library;
use rushes::text::plain;
use rushes::time::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

#[derive(Args, Clone, Debug)]
pub struct ProcessArgs {
    /// Files, folders or globs
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// Folder that collects what is made
    #[arg(long, default_value = "library", value_name = "DIR")]
    pub library: PathBuf,
    /// A frame every so much time
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = step)]
    pub every: Timestamp,
    /// The last keyframe before each time: far less to decode
    #[arg(long)]
    pub snap: bool,
    /// Width of the frames in pixels
    #[arg(long, default_value = "640", value_name = "PX", value_parser = side())]
    pub width: u32,
    /// Make whole pictures of interlaced ones (reads every picture)
    #[arg(long)]
    pub deinterlace: bool,
    /// What to make [default: all; the transcript only if its models are here]. `all,ocr,strategy` adds
    /// these two
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STAGES")]
    pub stages: Vec<StageChoice>,
    /// How shots are found: by differences, or by a neural network (TransNetV2) that sees every frame
    #[arg(long, value_enum, default_value = "fast")]
    pub detector: DetectorChoice,
    /// Read inputs and outputs again even if they look untouched
    #[arg(long)]
    pub verify: bool,
    /// Where the page about this run goes [default: report.html in the library]
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub look: LookArgs,
    #[command(flatten)]
    pub speech: SpeechArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StageChoice {
    Transcribe,
    Frames,
    Sheet,
    Audio,
    /// Where shots begin and end
    Shots,
    /// What shots look like, and the frames that stand for them, in shots/; finds the shots too
    Features,
    /// What is written in pictures, for searching (not in all; needs pp-ocr-det and pp-ocr-rec)
    Ocr,
    /// What matters in what is said and written: terms, concepts, chapters, patterns
    Insight,
    /// Stretches that are worth something, with their features and scores; measures the sound too
    Clips,
    /// Trading rules in what is said (with transcribe), and how they do on made-up prices (not in all;
    /// `rushes pipeline run` takes prices and thresholds)
    Strategy,
    /// All but ocr and strategy
    All,
    /// What is said (with transcribe) and shown (with features) as vectors and names, for searching
    Embed,
}

#[derive(Serialize)]
struct Record {
    r#type: &'static str,
    input: String,
    output: String,
    current: bool,
    /// The stages that ran.
    ran: Vec<&'static str>,
    /// How long each of them took.
    took: Vec<Took>,
    frames: usize,
    sheet_tiles: u64,
    audio: bool,
    transcript: Option<Spoken>,
    notices: Vec<Notice>,
}

#[derive(Serialize)]
struct Took {
    stage: String,
    seconds: f64,
}

/// The job by the options; or how the run ends, where a model is missing.
pub fn job(session: &Session, args: &ProcessArgs) -> anyhow::Result<Result<Process, Status>> {
    let default = Process::default();
    let mut unable = BTreeMap::new();
    let models_dir = args.speech.models_dir.as_deref();
    let all = args.stages.is_empty() || args.stages.contains(&StageChoice::All);
    let has = |stage| all || args.stages.contains(&stage);
    let transcript = if has(StageChoice::Transcribe) {
        match speech::open(session, &args.speech)? {
            Ok(speech) => {
                let settings = speech::settings(&args.speech, &speech);
                Some(WithSpeech { speech, settings })
            }
            Err(error) if !all => return speech::refuse(session, &error).map(Err),
            Err(error) => {
                if !session.output.quiet {
                    say(&format!("no transcript is made: {}", plain(&error.to_string())));
                }
                unable.insert("transcript".to_owned(), error.to_string());
                unable.insert("meaning".to_owned(), "there is no transcript".to_owned());
                None
            }
        }
    } else {
        None
    };
    let embedders = if has(StageChoice::Embed) {
        let Found { embedders, missing } = match embed::open(session, models_dir, &args.look, None)?
        {
            Ok(found) => found,
            Err(error) => return speech::refuse(session, &error).map(Err),
        };
        let models = embedders.models();
        for (stage, is_here) in [
            ("meaning", models.text.is_some()),
            ("shown", models.labels.is_some()),
            ("joint", models.joint.is_some()),
        ] {
            let name = match stage {
                "meaning" => "all-minilm-l6-v2",
                "shown" => "efficientnet-lite0",
                _ => "clip-vit-b-32",
            };
            if !is_here {
                let why = format!("no model: `rushes models pull {name}`");
                unable.entry(stage.to_owned()).or_insert(why);
            }
        }
        match missing.into_iter().next() {
            Some(error) if !all => return speech::refuse(session, &error).map(Err),
            Some(error) if !session.output.quiet => {
                say(&format!("less will be found by searching: {}", plain(&error.to_string())));
            }
            _ => {}
        }
        Some(Arc::new(embedders))
    } else {
        None
    };
    let ocr = if args.stages.contains(&StageChoice::Ocr) {
        match ocr::open(session, models_dir)? {
            Ok(ocr) => Some(Arc::new(ocr)),
            Err(error) => return speech::refuse(session, &error).map(Err),
        }
    } else {
        None
    };
    let transnet = match args.detector {
        DetectorChoice::Fast => None,
        DetectorChoice::Transnet => match transnet::open(session, models_dir)? {
            Ok(net) => Some(Arc::new(net)),
            Err(error) => return speech::refuse(session, &error).map(Err),
        },
    };
    let looked_for = || -> rushes::Result<_> {
        let insight = has(StageChoice::Insight).then(|| Insight::of_library(&args.library));
        let clips = has(StageChoice::Clips).then(|| Purpose::of_library(&args.library));
        let lesson = args.stages.contains(&StageChoice::Strategy).then(Lesson::bundled);
        Ok((
            insight.transpose()?.map(Arc::new),
            clips.transpose()?.map(Arc::<[Purpose]>::from),
            lesson.transpose()?.map(Arc::new),
        ))
    };
    let (insight, clips, lesson) = match looked_for() {
        Ok(looked_for) => looked_for,
        Err(error) => {
            session.output.failure(&error)?;
            return Ok(Err(Status::Ok.and_failure(&error, true)));
        }
    };
    Ok(Ok(Process {
        shots: ShotSettings { detector: args.detector.into(), ..default.shots },
        transnet,
        unable,
        frames: ExtractFrames {
            policy: FramePolicy::Every(args.every),
            precision: if args.snap { Precision::Snap } else { Precision::Exact },
            size: NonZeroU32::new(args.width).map_or(PictureSize::Native, PictureSize::Width),
            deinterlace: args.deinterlace,
            ..default.frames
        },
        stages: Stages {
            frames: has(StageChoice::Frames),
            sheet: has(StageChoice::Sheet),
            audio: has(StageChoice::Audio),
            shots: has(StageChoice::Shots),
            features: has(StageChoice::Features),
        },
        transcript,
        embedders,
        ocr,
        insight,
        clips,
        lesson,
        trust: if args.verify { Trust::Nothing } else { Trust::Stamp },
        ..default
    }))
}

pub fn run(session: &Session, args: &ProcessArgs) -> anyhow::Result<Status> {
    let job = match job(session, args)? {
        Ok(job) => job,
        Err(status) => return Ok(status),
    };
    let library = Library::at(&args.library);
    let mut page = RunPage::default();
    let status = session.for_each(&args.inputs, |input, _, run| {
        let began = Instant::now();
        let made = job.run(input, &library, run);
        page.add(input, &made, began.elapsed());
        let made = made?;
        let shown = plain(&made.output.to_string_lossy()).into_owned();
        let result = made.result.as_ref();
        let text = match result {
            Some(report) => {
                let mut text = format!(
                    "{shown}: {} frames, sheet of {} tiles, {}",
                    report.frames.len(),
                    report.sheet_tiles,
                    if report.audio { "audio.flac" } else { "no sound" }
                );
                if let Some(spoken) = &report.transcript {
                    text.push_str(&format!(
                        ", transcript of {} segments ({})",
                        spoken.segments, spoken.language
                    ));
                }
                if report.ran.len() <= report.stages.len() {
                    text.push_str(&format!("; only {} ran", report.ran.join(", ")));
                }
                text
            }
            None => format!("{shown}: up to date"),
        };
        let record = Record {
            r#type: "process",
            input: input.to_string_lossy().into_owned(),
            output: made.output.to_string_lossy().into_owned(),
            current: made.is_current(),
            ran: result.map(|r| r.ran.clone()).unwrap_or_default(),
            took: result.map(took).unwrap_or_default(),
            frames: result.map_or(0, |r| r.frames.len()),
            sheet_tiles: result.map_or(0, |r| r.sheet_tiles),
            audio: result.is_some_and(|r| r.audio),
            transcript: result.and_then(|r| r.transcript.clone()),
            notices: made.notices.clone(),
        };
        Ok(Shown { text, record, notices: made.notices })
    })?;
    index(session, &library)?;
    write_page(session, args, &library, &page)?;
    Ok(status)
}

/// The page about the run. A job of a batch is part of a larger run, which has an account of its own.
fn write_page(
    session: &Session,
    args: &ProcessArgs,
    library: &Library,
    page: &RunPage,
) -> anyhow::Result<()> {
    let is_job = std::env::var_os(PARENT).is_some();
    let path = match &args.report {
        Some(path) => path.clone(),
        None if is_job || page.is_empty() || !library.folder().is_dir() => return Ok(()),
        None => library.folder().join("report.html"),
    };
    let written = || -> rushes::Result<()> {
        let html = page.html(library)?;
        let mut staged = StagedFile::new(&path)?;
        staged.write(html.as_bytes())?;
        staged.publish()
    };
    if let Err(error) = written() {
        // The films are processed all the same.
        if args.report.is_some() {
            return Err(error.into());
        }
        if !session.output.quiet {
            say(&plain(&error.to_string()));
        }
    }
    Ok(())
}

/// How long the stages took that ran.
fn took(report: &ProcessReport) -> Vec<Took> {
    let ran = report.stages.iter().filter(|account| report.ran.contains(&account.stage.as_str()));
    ran.map(|account| Took { stage: account.stage.clone(), seconds: account.seconds }).collect()
}

/// Searches in large libraries are quick where what is new is in their index.
pub fn index(session: &Session, library: &Library) -> anyhow::Result<()> {
    if session.run.cancel.is_cancelled() {
        return Ok(());
    }
    match index_library(library, &session.run.cancel) {
        Ok(done) if done.rebuilt > 0 && !session.output.quiet => {
            say(&format!("{} vectors were indexed", done.added));
        }
        // The films are processed; the next run indexes, and searches are right without.
        Err(error) if !session.output.quiet => say(&plain(&error.to_string())),
        _ => {}
    }
    Ok(())
}
