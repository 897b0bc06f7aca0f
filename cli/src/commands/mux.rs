//! `rushes mux`.

use super::{Session, Shown};
use crate::args::Mux;
use crate::output::Status;
use rushes::error::{Error, ErrorKind, Stage};
use rushes::library::{StagedFile, refuse_same_file};
use rushes::media::{FilmContainer, join};
use rushes::text::plain;
use serde::Serialize;

#[derive(Serialize)]
struct Record {
    r#type: &'static str,
    input: String,
    output: String,
    video_packets: u64,
    audio_samples: u64,
}

pub fn run(session: &Session, args: &Mux) -> anyhow::Result<Status> {
    let container = FilmContainer::from_extension(&args.output)
        .ok_or_else(|| anyhow::anyhow!("{}: name it .mp4 or .mkv", args.output.display()))?;
    session.for_each(std::slice::from_ref(&args.film), |film, _, run| {
        if !args.audio.exists() {
            return Err(
                Error::new(ErrorKind::Input, Stage::Open, "no such file").input(&args.audio)
            );
        }
        refuse_same_file(film, &args.output)?;
        refuse_same_file(&args.audio, &args.output)?;
        let staged = StagedFile::new(&args.output)?;
        let joined =
            join(film, &args.audio, staged.handle()?, container, &run.limits, &run.cancel)?;
        run.cancel.check(Stage::Write)?;
        staged.publish()?;
        let record = Record {
            r#type: "mux",
            input: film.to_string_lossy().into_owned(),
            output: args.output.to_string_lossy().into_owned(),
            video_packets: joined.video_packets,
            audio_samples: joined.samples,
        };
        let shown = plain(&record.output).into_owned();
        let text = format!(
            "{shown}: {} pictures copied, {} samples of sound",
            joined.video_packets, joined.samples
        );
        Ok(Shown { text, record, notices: Vec::new() })
    })
}
