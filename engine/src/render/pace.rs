//! How long a render is likely to take: by what the last one of the same output took, else by a table.

use super::manifest::Manifest;
use super::measured::nearest;
use super::target::Target;
use serde::Serialize;
use std::time::Duration;

/// What a prediction goes by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pace {
    /// Megapixels that one processor composes and encodes in a second.
    pub megapixels_per_second: f64,
    /// Whether the last render of this output was measured; otherwise it is from a table, and
    /// another machine.
    pub measured: bool,
}

impl Pace {
    /// For `target`, of which `before` was made.
    pub(super) fn of(target: &Target, before: Option<&Manifest>) -> Self {
        let measured = before
            .and_then(|made| made.pace.as_ref())
            .filter(|spent| spent.codec == target.film.codec && spent.preset == target.film.preset)
            .filter(|spent| spent.cpu_seconds > 0.0)
            .map(|spent| spent.megapixels / spent.cpu_seconds);
        Self {
            megapixels_per_second: measured
                .unwrap_or_else(|| nearest(target).megapixels_per_second),
            measured: measured.is_some(),
        }
    }

    /// Seconds of processors for so many megapixels.
    pub(super) fn seconds(&self, megapixels: f64) -> f64 {
        megapixels / self.megapixels_per_second.max(1e-6)
    }
}

/// Processor time of this thread so far, as Linux counts it; nothing where it does not say.
pub(super) fn thread_time() -> Duration {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent = said.split_whitespace().next().and_then(|word| word.parse().ok());
    Duration::from_nanos(spent.unwrap_or(0))
}
