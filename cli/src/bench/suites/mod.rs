//! One file a suite: what is measured, and what must hold for it to count.

mod compose;
mod decode;
mod e2e;
mod embed;
mod encode;
mod index;
mod shots;
mod transcribe;

use super::report::{Check, Measure, Suite};
use super::turns::Turns;
use crate::commands::Session;
use std::path::{Path, PathBuf};

/// What a suite works with.
pub struct Bench<'a> {
    /// Settings, device, Ctrl-C.
    pub session: &'a Session,
    /// Where models are; the usual place if `None`.
    pub models: Option<&'a Path>,
    /// A folder for inputs and outputs, removed afterwards.
    pub folder: PathBuf,
    /// Whether inputs are small.
    pub quick: bool,
    /// How often.
    pub turns: Turns,
}

/// What came of it.
#[derive(Default)]
pub struct Found {
    /// Why nothing was measured, if nothing was.
    pub skipped: Option<String>,
    /// What was checked.
    pub checks: Vec<Check>,
    /// What was measured.
    pub measures: Vec<Measure>,
    /// Seconds of media that a turn of the suite's main measure works through.
    pub media: Option<f64>,
}

impl Found {
    /// Nothing, and why.
    pub fn nothing(why: impl Into<String>) -> Self {
        Self { skipped: Some(why.into()), ..Self::default() }
    }

    /// Notes whether something holds.
    pub fn check(&mut self, name: &str, holds: bool, seen: impl std::fmt::Display) {
        self.checks.push(Check { name: name.to_owned(), holds, seen: seen.to_string() });
    }
}

/// Runs one suite here.
pub fn run(suite: Suite, bench: &Bench<'_>) -> anyhow::Result<Found> {
    let device = bench.session.compute()?;
    if matches!(suite, Suite::Transcribe | Suite::Embed) && device.for_models() != device {
        return Ok(Found::nothing("this build has no models for GPUs: see `make cuda`"));
    }
    match suite {
        Suite::Decode => decode::run(bench),
        Suite::Shots => shots::run(bench),
        Suite::Transcribe => transcribe::run(bench),
        Suite::Embed => embed::run(bench),
        Suite::Index => index::run(bench),
        Suite::Compose => compose::run(bench),
        Suite::Encode => encode::run(bench),
        Suite::E2e => e2e::run(bench),
    }
}
