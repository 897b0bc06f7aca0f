//! Keeps sound on the media clock: sample i of the output is at media time i / rate, always.
//!
//! Containers stamp stretches of samples. Where a stamp and the count of samples part, the
//! difference is a late start, a gap, an overlap, or clock drift; silence is put in or samples
//! are left out so that they meet again, and every such place is reported. Stamps jitter (a
//! millisecond clock cannot say 1024/44100), so small differences are left alone: the error of
//! the map is never more than [`TOLERANCE`].

use crate::time::{Rounding, TimeBase, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

/// Difference between stamp and count that is left alone: 20 ms, half a film frame, less than
/// one AAC frame, more than the rounding of any container's clock.
pub const TOLERANCE: Timestamp = Timestamp::from_millis(20);

/// A place where the stamps and the count of samples did not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Splice {
    /// Where, on the media clock.
    pub at: Timestamp,
    /// What was done.
    pub kind: SpliceKind,
    /// Number of samples of one channel, at the source's rate.
    pub samples: u64,
}

/// How sound was brought back to the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpliceKind {
    /// Silence before the first sample: the sound starts late.
    LateStart,
    /// Silence for samples that are missing.
    Gap,
    /// Samples left out that lie before media time 0.
    EarlyStart,
    /// Samples left out that overlap earlier ones.
    Overlap,
}

/// What to do with the next stretch of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Placement {
    /// Samples of silence to put before it.
    pub silence: u64,
    /// Samples to leave out at its beginning.
    pub skip: u64,
}

/// Counts samples at one rate and places stretches by their stamps.
#[derive(Debug)]
pub(super) struct SampleClock {
    rate: u32,
    /// Samples placed so far: the next one is at media time `count / rate`.
    count: u64,
    started: bool,
    splices: Vec<Splice>,
}

/// Splices kept for the report; a file that jitters more is told so by the count.
const MAX_SPLICES: usize = 10_000;

/// Silence put in at one place at most, so that a wild stamp cannot ask for days of it.
const MAX_SILENCE_SECS: u64 = 12 * 3600;

impl SampleClock {
    pub(super) fn new(rate: u32) -> Self {
        Self { rate: rate.max(1), count: 0, started: false, splices: Vec::new() }
    }

    /// The same place on the clock, counted at another rate from here on.
    pub(super) fn at_rate(&mut self, rate: u32) -> Self {
        let now = self.now().rescale(TimeBase::per_second(rate), Rounding::Nearest);
        Self {
            rate: rate.max(1),
            count: now.ticks().unsigned_abs(),
            started: self.started,
            splices: std::mem::take(&mut self.splices),
        }
    }

    /// Where the next sample lies on the media clock.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::new(
            i64::try_from(self.count).unwrap_or(i64::MAX),
            TimeBase::per_second(self.rate),
        )
    }

    pub(super) fn splices(&self) -> &[Splice] {
        &self.splices
    }

    /// Places a stretch of `samples` stamped `stamp` (media clock; `None` continues).
    pub(super) fn place(&mut self, stamp: Option<Timestamp>, samples: u64) -> Placement {
        let started = std::mem::replace(&mut self.started, true);
        let mut placement = Placement::default();
        if let Some(stamp) = stamp {
            let difference = stamp.minus(self.now());
            // The very first stretch is placed to the sample; later ones when they stray.
            let strayed = difference > TOLERANCE || difference < negative(TOLERANCE);
            if strayed || !started {
                let ticks =
                    difference.rescale(TimeBase::per_second(self.rate), Rounding::Nearest).ticks();
                if ticks > 0 {
                    let most = MAX_SILENCE_SECS * u64::from(self.rate);
                    placement.silence = ticks.unsigned_abs().min(most);
                    let kind = if started { SpliceKind::Gap } else { SpliceKind::LateStart };
                    self.record(kind, placement.silence);
                } else if ticks < 0 {
                    placement.skip = ticks.unsigned_abs().min(samples);
                    let kind = if started { SpliceKind::Overlap } else { SpliceKind::EarlyStart };
                    self.record(kind, placement.skip);
                    // Still before the start: the next stretch is placed to the sample as well.
                    self.started = started || placement.skip < samples;
                }
            }
        }
        self.count += placement.silence + samples - placement.skip;
        placement
    }

    fn record(&mut self, kind: SpliceKind, samples: u64) {
        if self.splices.len() < MAX_SPLICES {
            self.splices.push(Splice { at: self.now(), kind, samples });
        }
    }
}

fn negative(time: Timestamp) -> Timestamp {
    Timestamp::ZERO.minus(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(samples: i64) -> Option<Timestamp> {
        Some(Timestamp::new(samples, TimeBase::per_second(48_000)))
    }

    #[test]
    fn late_start_gap_overlap_and_jitter() {
        let mut clock = SampleClock::new(48_000);
        assert_eq!(clock.place(at(72_000), 1000).silence, 72_000);
        assert_eq!(clock.place(at(73_030), 1000), Placement::default());
        assert_eq!(clock.place(at(84_000), 1000).silence, 10_000);
        assert_eq!(clock.place(at(80_000), 9000).skip, 5000);
        assert_eq!(clock.place(None, 1000), Placement::default());
        let kinds: Vec<_> = clock.splices().iter().map(|s| s.kind).collect();
        assert_eq!(kinds, [SpliceKind::LateStart, SpliceKind::Gap, SpliceKind::Overlap]);
    }

    #[test]
    fn samples_before_zero_are_left_out() {
        let mut clock = SampleClock::new(48_000);
        assert_eq!(clock.place(at(-1500), 1024).skip, 1024);
        assert_eq!(clock.place(at(-476), 1024).skip, 476);
        assert_eq!(clock.now(), Timestamp::new(548, TimeBase::per_second(48_000)));
    }

    #[test]
    fn drift_is_caught_up() {
        // 0.1 % fast: 60 s of stamps hold 60.06 s of samples
        let mut clock = SampleClock::new(48_000);
        for i in 0..3000i64 {
            clock.place(at(i * 960), 961);
        }
        let error = clock.now().minus(Timestamp::from_secs(60)).as_secs_f64();
        assert!(error.abs() <= 0.02 + 1.0 / 48_000.0, "{error}");
        assert!(!clock.splices().is_empty());
    }

    proptest! {
        #[test]
        fn the_map_never_strays(stretches in prop::collection::vec((0i64..5000, 1u64..3000), 1..60)) {
            let mut clock = SampleClock::new(16_000);
            let mut stamp = 0i64;
            for (step, samples) in stretches {
                stamp += step;
                let placement = clock.place(Some(Timestamp::new(stamp, TimeBase::per_second(16_000))), samples);
                prop_assert!(placement.skip <= samples);
                if placement.skip < samples {
                    let begin = clock.count - (samples - placement.skip);
                    let truth = stamp.unsigned_abs() + placement.skip;
                    prop_assert!(begin.abs_diff(truth) <= 320, "{begin} {truth}");
                }
            }
        }
    }
}
