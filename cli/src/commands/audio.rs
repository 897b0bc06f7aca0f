//! `rushes audio`.

use super::{Session, Shown, is_single, output_file};
use crate::args::{Audio, SoundKind};
use crate::output::Status;
use rushes::media::{Notice, SoundContainer, SoundFormat, SoundReport};
use rushes::pipeline::ExtractAudio;
use rushes::text::plain;
use serde::Serialize;

#[derive(Serialize)]
struct Record {
    r#type: &'static str,
    input: String,
    output: String,
    current: bool,
    sound: Option<SoundReport>,
    notices: Vec<Notice>,
}

pub fn run(session: &Session, args: &Audio) -> anyhow::Result<Status> {
    let named = SoundContainer::from_extension(&args.output);
    let (container, extension) = match (args.format, named) {
        (Some(SoundKind::Wav), _) => (SoundContainer::Wav, "wav"),
        (Some(SoundKind::Flac), _) => (SoundContainer::Flac, "flac"),
        (Some(SoundKind::M4a), _) => (SoundContainer::M4a, "m4a"),
        (None, Some(container)) => (container, ""),
        (None, None) => (SoundContainer::Flac, "flac"),
    };
    let extension = match (extension, container) {
        ("", SoundContainer::Wav) => "wav",
        ("", SoundContainer::M4a) => "m4a",
        ("", SoundContainer::Flac) => "flac",
        (extension, _) => extension,
    };
    let job = ExtractAudio {
        format: SoundFormat { rate: args.rate, channels: args.channels() },
        container,
    };
    let single = is_single(&args.inputs);
    session.for_each(&args.inputs, |input, name, run| {
        let output = output_file(&args.output, name, extension, single, named.is_some());
        let made = job.run(input, &output, run)?;
        let shown = plain(&made.output.to_string_lossy()).into_owned();
        let text = match made.result.as_ref().map(|sound| (sound, sound.shape)) {
            Some((sound, Some(shape))) => format!(
                "{shown}: {:.3} s, {} Hz, {} ch, {} splices",
                sound.samples as f64 / f64::from(shape.rate),
                shape.rate,
                shape.channels,
                sound.splices.len()
            ),
            _ => format!("{shown}: up to date"),
        };
        let record = Record {
            r#type: "audio",
            input: input.to_string_lossy().into_owned(),
            output: made.output.to_string_lossy().into_owned(),
            current: made.is_current(),
            sound: made.result,
            notices: made.notices.clone(),
        };
        Ok(Shown { text, record, notices: made.notices })
    })
}
