//! `rushes frames`.

use super::{Session, Shown};
use crate::args::{FrameChoice, Frames, Picture, PictureKind};
use crate::output::Status;
use rushes::media::{FramePolicy, Notice, PictureSize, Precision};
use rushes::pipeline::{ExtractFrames, FrameFile, Run};
use rushes::stills::PictureFormat;
use rushes::text::plain;
use rushes::time::Timestamp;
use serde::Serialize;
use std::num::NonZeroU32;

#[derive(Serialize)]
struct Record {
    r#type: &'static str,
    input: String,
    output: String,
    current: bool,
    frames: Vec<FrameFile>,
    notices: Vec<Notice>,
}

pub fn run(session: &Session, args: &Frames) -> anyhow::Result<Status> {
    let (policy, precision) = choice(&args.choice);
    let job = ExtractFrames {
        policy,
        precision,
        size: size(&args.picture),
        format: format(&args.picture),
        name: args.name.clone(),
        deinterlace: args.deinterlace,
    };
    session.for_each(&args.inputs, |input, name, run| {
        let run = Run { hardware: session.hardware()?, ..run.clone() };
        let made = job.run(input, &args.output.join(name), &run)?;
        let shown = plain(&made.output.to_string_lossy()).into_owned();
        let text = match &made.result {
            Some(frames) => format!("{shown}: {} frames", frames.len()),
            None => format!("{shown}: up to date"),
        };
        let record = Record {
            r#type: "frames",
            input: input.to_string_lossy().into_owned(),
            output: made.output.to_string_lossy().into_owned(),
            current: made.is_current(),
            frames: made.result.unwrap_or_default(),
            notices: made.notices.clone(),
        };
        Ok(Shown { text, record, notices: made.notices })
    })
}

fn choice(choice: &FrameChoice) -> (FramePolicy, Precision) {
    let p = &choice.policy;
    let policy = if let Some(step) = p.every {
        FramePolicy::Every(step)
    } else if let Some(count) = p.count {
        FramePolicy::Count(count)
    } else if let Some(times) = &p.at {
        FramePolicy::At(times.clone())
    } else if p.keyframes {
        FramePolicy::Keyframes
    } else if p.all {
        FramePolicy::All
    } else {
        FramePolicy::Every(Timestamp::from_secs(1))
    };
    (policy, if choice.snap { Precision::Snap } else { Precision::Exact })
}

fn size(picture: &Picture) -> PictureSize {
    let side = |px: Option<u32>| px.and_then(NonZeroU32::new);
    match (side(picture.width), side(picture.height)) {
        (Some(width), Some(height)) => PictureSize::Fit(width, height),
        (Some(width), None) => PictureSize::Width(width),
        (None, Some(height)) => PictureSize::Height(height),
        (None, None) => PictureSize::Native,
    }
}

fn format(picture: &Picture) -> PictureFormat {
    match picture.format {
        PictureKind::Jpg => PictureFormat::Jpeg { quality: picture.quality.unwrap_or(87) },
        PictureKind::Png => PictureFormat::Png,
        PictureKind::Webp => PictureFormat::WebP { quality: picture.quality.unwrap_or(80) },
    }
}
