//! `rushes process` on a film with speech: everything that models on disk allow.

use super::transcribe::narration;
use super::{Bench, Found};
use crate::args::{Cli, Command};
use crate::bench::film::Film;
use crate::bench::turns::{rate, seconds};
use crate::commands::process;
use clap::Parser;
use rushes::library::Library;
use rushes::media::{FilmContainer, join};
use rushes::pipeline::Run;

pub fn run(bench: &Bench<'_>) -> anyhow::Result<Found> {
    let film = Film::of(bench.quick);
    let pictures = film.write(&bench.folder)?;
    let run = &bench.session.run;
    let input = match narration(bench)? {
        None => pictures,
        Some(sound) => {
            let talk = bench.folder.join("talk.mp4");
            let target = std::fs::File::create(&talk)?;
            join(&pictures, &sound, target, FilmContainer::Mp4, &run.limits, &run.cancel)?;
            talk
        }
    };
    let library = bench.folder.join("library").to_string_lossy().into_owned();
    let path = input.to_string_lossy().into_owned();
    let mut words = vec!["rushes", "process", &path, "--library", &library];
    let dir = bench.models.map(|dir| dir.to_string_lossy().into_owned());
    if let Some(dir) = &dir {
        words.extend(["--models-dir", dir]);
    }
    let Command::Process(args) = Cli::try_parse_from(words)?.command else {
        return Ok(Found::nothing("no `process` in this build"));
    };
    let Ok(job) = process::job(bench.session, &args)? else {
        return Ok(Found::nothing("models are missing"));
    };
    let library = Library::at(&args.library);
    let anew = Run { force: true, ..run.clone() };
    let (times, made) = bench.turns.time(&run.cancel, || Ok(job.run(&input, &library, &anew)?))?;
    let length = f64::from(film.seconds);
    let mut found = Found { media: Some(length), ..Found::default() };
    let ran = made.result.as_ref().map(|report| report.ran.clone()).unwrap_or_default();
    found.measures.push(rate("process, times real time", "x", length, &times));
    found.measures.push(seconds(&format!("process: {}", ran.join(", ")), &times));
    let (times, again) = bench.turns.time(&run.cancel, || Ok(job.run(&input, &library, run)?))?;
    found.measures.push(seconds("again, with nothing to do", &times));
    found.check("a second run does nothing", again.is_current(), "nothing ran");
    Ok(found)
}
