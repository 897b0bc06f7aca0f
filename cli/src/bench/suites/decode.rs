//! Every frame of a film, and one picture a second of it.

use super::{Bench, Found};
use crate::bench::film::{Film, RATE};
use crate::bench::turns::rate;
use rushes::media::{FrameSink, Notice, Picked, PictureConverter, Reading};
use rushes::{FramePolicy, Precision, Timestamp};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts frames, and adds up their times so that one left out or given twice shows.
#[derive(Default)]
struct Count {
    frames: AtomicU64,
    millis: AtomicU64,
}

impl FrameSink for Count {
    fn frame(&self, picked: Picked<'_>, _: &mut PictureConverter) -> rushes::Result<()> {
        self.frames.fetch_add(1, Ordering::Relaxed);
        let millis = u64::try_from(picked.frame.time().as_millis()).unwrap_or(0);
        self.millis.fetch_add(millis, Ordering::Relaxed);
        Ok(())
    }
}

pub fn run(bench: &Bench<'_>) -> anyhow::Result<Found> {
    let gpu = bench.session.compute()?.is_gpu();
    if gpu && bench.session.hardware()?.is_none() {
        return Ok(Found::nothing("the GPU does not decode here: `rushes doctor` tells more"));
    }
    // A short film is not given to a GPU at all.
    let film = Film::of(bench.quick && !gpu);
    let path = film.write(&bench.folder)?;
    let mut found = Found { media: Some(f64::from(film.seconds)), ..Found::default() };

    let all = film.frames();
    let (times, sum) =
        bench.turns.time(&bench.session.run.cancel, || read(bench, &path, FramePolicy::All))?;
    if sum.2 {
        return Ok(Found::nothing("the GPU cannot decode the film: libav did so in software"));
    }
    found.measures.push(rate("every frame", "frames/s", f64::from(all), &times));
    found.measures.push(rate("every frame, times real time", "x", f64::from(film.seconds), &times));
    let wanted: u64 = (0..u64::from(all)).map(|n| n * 1000 / u64::from(RATE)).sum();
    let once = (sum.0, sum.1) == (u64::from(all), wanted);
    found.check("every frame once", once, format!("{} frames", sum.0));

    let policy = FramePolicy::Every(Timestamp::from_secs(1));
    let (times, sum) =
        bench.turns.time(&bench.session.run.cancel, || read(bench, &path, policy.clone()))?;
    found.measures.push(rate("one a second", "frames/s", f64::from(film.seconds), &times));
    found.check(
        "one picture a second",
        sum.0 == u64::from(film.seconds),
        format!("{} pictures", sum.0),
    );
    Ok(found)
}

/// Frames, the sum of their times, and whether a GPU was to decode and did not.
fn read(bench: &Bench<'_>, path: &Path, policy: FramePolicy) -> anyhow::Result<(u64, u64, bool)> {
    let count = Count::default();
    let run = &bench.session.run;
    let mut reading = Reading::open(path, &run.limits, &run.cancel)?
        .hardware(bench.session.hardware()?)
        .frames(policy, Precision::Exact, &count);
    if let Some(threads) = run.threads {
        reading = reading.threads(threads);
    }
    let report = reading.run()?;
    let software = report.notices.iter().any(|notice| matches!(notice, Notice::SoftwareDecoding));
    Ok((count.frames.into_inner(), count.millis.into_inner(), software))
}
