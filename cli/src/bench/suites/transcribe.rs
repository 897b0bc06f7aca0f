//! Speech to text: a narration of 44 s, from the catalogue.

use super::{Bench, Found};
use crate::args::{Cli, Command};
use crate::bench::turns::{rate, seconds};
use crate::commands::{models, speech};
use clap::Parser;
use rushes::pipeline::Transcribe;
use rushes_models::Catalogue;
use std::path::PathBuf;

/// What is read out: the beginning of Dickens' "A Tale of Two Cities" (1859).
const TEXT: &str = "It was the best of times, it was the worst of times, it was the age of wisdom, it \
was the age of foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the \
season of light, it was the season of darkness, it was the spring of hope, it was the winter of \
despair, we had everything before us, we had nothing before us, we were all going direct to heaven, \
we were all going direct the other way";
/// Films at once: what a folder is.
const FOLDER: usize = 8;

pub fn run(bench: &Bench<'_>) -> anyhow::Result<Found> {
    let Some(narration) = narration(bench)? else {
        return Ok(Found::nothing("no narration: run `rushes models pull two-cities`"));
    };
    let mut words = vec!["rushes", "transcribe", "x", "--language", "en"];
    let dir = bench.models.map(|dir| dir.to_string_lossy().into_owned());
    if let Some(dir) = &dir {
        words.extend(["--models-dir", dir]);
    }
    let Command::Transcribe(args) = Cli::try_parse_from(words)?.command else {
        return Ok(Found::nothing("no transcription in this build"));
    };
    let speech = match speech::open(bench.session, &args.speech)? {
        Ok(speech) => speech,
        Err(error) => return Ok(Found::nothing(error.to_string())),
    };
    let job =
        Transcribe { settings: speech::settings(&args.speech, &speech), ..Transcribe::default() };
    let run = &bench.session.run;
    let (times, made) =
        bench.turns.time(&run.cancel, || Ok(job.transcript(&narration, &speech, run)?))?;
    let length = made.transcript.duration.as_secs_f64();
    let mut found = Found { media: Some(length), ..Found::default() };
    let name = format!("{} by {}", made.transcript.model, made.transcript.engine);
    found.measures.push(rate(&format!("{name}, times real time"), "x", length, &times));
    found.measures.push(seconds(&name, &times));

    let count = if bench.quick { 2 } else { FOLDER };
    let (times, _) = bench.turns.time(&run.cancel, || {
        std::thread::scope(|scope| {
            let work = || job.transcript(&narration, &speech, run);
            let all: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
            for one in all {
                one.join().map_err(|_| anyhow::anyhow!("a transcription panicked"))??;
            }
            Ok(())
        })
    })?;
    let name = format!("{count} files at once, times real time");
    found.measures.push(rate(&name, "x", length * count as f64, &times));

    let said: Vec<String> = made.transcript.segments.iter().map(|s| s.text.clone()).collect();
    let share = in_order(&plain_words(TEXT), &plain_words(&said.join(" ")));
    found.check("words understood", share >= 0.9, format!("{:.1} %", share * 100.0));
    Ok(found)
}

/// The narration's file, if it is there.
pub fn narration(bench: &Bench<'_>) -> anyhow::Result<Option<PathBuf>> {
    let catalogue = Catalogue::embedded()?;
    let store = models::store(bench.models)?;
    Ok(store.resolve(&catalogue, "two-cities").ok().and_then(|found| found.paths.first().cloned()))
}

fn plain_words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// The share of `wanted` that `heard` holds in this order (longest common subsequence).
fn in_order(wanted: &[String], heard: &[String]) -> f64 {
    let mut best = vec![0_usize; heard.len() + 1];
    for word in wanted {
        let mut before = 0;
        for (at, other) in heard.iter().enumerate() {
            let above = best[at + 1];
            best[at + 1] = if word == other { before + 1 } else { above.max(best[at]) };
            before = above;
        }
    }
    *best.last().unwrap_or(&0) as f64 / wanted.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_count_in_their_order() {
        let words = plain_words;
        assert_eq!(words("It was, the BEST."), ["it", "was", "the", "best"]);
        assert_eq!(in_order(&words("a b c d"), &words("a b c d")), 1.0);
        assert_eq!(in_order(&words("a b c d"), &words("x a y c z d")), 0.75);
        assert_eq!(in_order(&words("a b"), &words("b a")), 0.5);
        assert_eq!(in_order(&words("a b"), &[]), 0.0);
    }
}
