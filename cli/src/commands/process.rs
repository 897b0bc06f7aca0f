//! `rushes process`: the main job.

use super::{Session, Shown, speech};
use crate::args::{Process as Args, StageChoice};
use crate::output::{Status, say};
use rushes::media::{FramePolicy, Notice, PictureSize, Precision};
use rushes::pipeline::{ExtractFrames, Process, Spoken, Stages, WithSpeech};
use rushes::text::plain;
use serde::Serialize;
use std::num::NonZeroU32;

#[derive(Serialize)]
struct Record {
    r#type: &'static str,
    input: String,
    output: String,
    current: bool,
    frames: usize,
    sheet_tiles: usize,
    audio: bool,
    transcript: Option<Spoken>,
    notices: Vec<Notice>,
}

pub fn run(session: &Session, args: &Args) -> anyhow::Result<Status> {
    let default = Process::default();
    let all = args.stages.is_empty();
    let has = |stage| all || args.stages.contains(&stage);
    let transcript = if has(StageChoice::Transcribe) {
        match speech::open(session, &args.speech)? {
            Ok(speech) => Some(WithSpeech { speech, settings: speech::settings(&args.speech) }),
            Err(error) if !all => return speech::refuse(session, &error),
            Err(error) => {
                if !session.output.quiet {
                    say(&format!("no transcript is made: {}", plain(&error.to_string())));
                }
                None
            }
        }
    } else {
        None
    };
    let job = Process {
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
        },
        transcript,
        ..default
    };
    session.for_each(&args.inputs, |input, _, run| {
        let made = job.run(input, &args.library, run)?;
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
                text
            }
            None => format!("{shown}: up to date"),
        };
        let record = Record {
            r#type: "process",
            input: input.to_string_lossy().into_owned(),
            output: made.output.to_string_lossy().into_owned(),
            current: made.is_current(),
            frames: result.map_or(0, |r| r.frames.len()),
            sheet_tiles: result.map_or(0, |r| r.sheet_tiles),
            audio: result.is_some_and(|r| r.audio),
            transcript: result.and_then(|r| r.transcript.clone()),
            notices: made.notices.clone(),
        };
        Ok(Shown { text, record, notices: made.notices })
    })
}
