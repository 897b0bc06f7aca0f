//! From probabilities of speech to stretches of it, by hysteresis.

use super::vad::WINDOW;
use std::ops::Range;

/// How probabilities become regions. All lengths are in milliseconds and are rounded up to whole
/// windows of 32 ms.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct RegionOptions {
    /// Speech begins with a window of at least this probability. Default 0.5.
    pub threshold: f32,
    /// Silence begins with a window below this probability. Default 0.35; no higher than
    /// `threshold`.
    pub negative_threshold: f32,
    /// Shorter speech is passed over. Default 100 ms.
    pub min_speech_ms: u32,
    /// Speech goes on over shorter silence. Default 160 ms: regions end at every breath, and
    /// chunks are put together from them.
    pub min_silence_ms: u32,
}

impl Default for RegionOptions {
    fn default() -> Self {
        Self { threshold: 0.5, negative_threshold: 0.35, min_speech_ms: 100, min_silence_ms: 160 }
    }
}

/// Finds regions of speech in a stream of probabilities; holds no more than the state of one.
///
/// The rule is that of Silero's `get_speech_timestamps`, without its padding (chunks are padded
/// where they are cut, see [`super::chunks`]) and its greatest length.
#[derive(Clone, Debug)]
pub struct Regions {
    threshold: f32,
    negative: f32,
    min_speech: u64,
    min_silence: u64,
    /// Windows seen.
    seen: u64,
    /// First window of the region that is not yet over.
    start: Option<u64>,
    /// First window of the silence within it.
    quiet: Option<u64>,
    /// Whether the region goes on from a part that was taken, so that no length is too short.
    continued: bool,
}

impl Regions {
    /// A stream that begins with window 0.
    pub fn new(options: RegionOptions) -> Self {
        let windows = |ms: u32| (u64::from(ms) * 16).div_ceil(WINDOW as u64);
        Self {
            threshold: options.threshold,
            negative: options.negative_threshold.min(options.threshold),
            min_speech: windows(options.min_speech_ms),
            min_silence: windows(options.min_silence_ms).max(1),
            seen: 0,
            start: None,
            quiet: None,
            continued: false,
        }
    }

    /// Takes the probability of the next window; gives the region that ends by it, in samples.
    pub fn push(&mut self, probability: f32) -> Option<Range<u64>> {
        let window = self.seen;
        self.seen += 1;
        let Some(start) = self.start else {
            if probability >= self.threshold {
                self.start = Some(window);
            }
            return None;
        };
        if probability >= self.threshold {
            self.quiet = None;
            return None;
        }
        if self.quiet.is_none() && probability < self.negative {
            self.quiet = Some(window);
        }
        // Between the thresholds a silence that has begun goes on.
        let quiet = self.quiet?;
        if window + 1 - quiet < self.min_silence {
            return None;
        }
        (self.start, self.quiet) = (None, None);
        self.region(start, quiet)
    }

    /// The region that the stream's end cuts off.
    pub fn finish(&mut self) -> Option<Range<u64>> {
        let start = self.start.take()?;
        let end = self.quiet.take().unwrap_or(self.seen);
        self.region(start, end)
    }

    /// First sample of a region that has begun and is not over: it may still turn out too short.
    pub fn begun(&self) -> Option<u64> {
        self.start.map(|window| window * WINDOW as u64)
    }

    /// End, in samples, of the speech of the region that is not over.
    pub fn spoken_to(&self) -> Option<u64> {
        self.start?;
        Some(self.quiet.unwrap_or(self.seen) * WINDOW as u64)
    }

    /// Lets the region that is not over begin at `sample` (rounded to windows), because what lies
    /// before has been taken.
    pub fn split(&mut self, sample: u64) {
        let window = sample / WINDOW as u64;
        if let Some(start) = &mut self.start {
            *start = (*start).max(window);
            self.continued = true;
        }
    }

    fn region(&mut self, start: u64, end: u64) -> Option<Range<u64>> {
        let samples = |window: u64| window * WINDOW as u64;
        let least = if std::mem::take(&mut self.continued) { 1 } else { self.min_speech.max(1) };
        (end >= start + least).then(|| samples(start)..samples(end))
    }
}

#[cfg(test)]
// Regions are ranges, also where there is one.
#[allow(clippy::single_range_in_vec_init)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(options: RegionOptions, probabilities: &[f32]) -> Vec<Range<u64>> {
        let mut regions = Regions::new(options);
        let mut found: Vec<_> = probabilities.iter().filter_map(|p| regions.push(*p)).collect();
        found.extend(regions.finish());
        found.into_iter().map(|r| r.start / 512..r.end / 512).collect()
    }

    const PLAIN: RegionOptions = RegionOptions {
        threshold: 0.5,
        negative_threshold: 0.35,
        min_speech_ms: 64,
        min_silence_ms: 96,
    };

    fn windows(pattern: &str) -> Vec<f32> {
        pattern.chars().map(|c| c.to_digit(10).unwrap() as f32 / 10.0).collect()
    }

    #[test]
    fn begins_above_one_threshold_and_ends_below_the_other() {
        assert_eq!(all(PLAIN, &windows("0459444440000")), [2..9]);
        assert_eq!(all(PLAIN, &windows("0499")), [2..4]);
        assert_eq!(all(PLAIN, &windows("0444444")), []);
    }

    #[test]
    fn short_silence_does_not_end_it_and_short_speech_is_none() {
        assert_eq!(all(PLAIN, &windows("99009900099")), [0..6, 9..11]);
        assert_eq!(all(PLAIN, &windows("000900000")), []);
        // A silence that has begun goes on between the thresholds, as Silero's rule has it.
        assert_eq!(all(PLAIN, &windows("9904400")), [0..2]);
    }

    #[test]
    fn the_end_cuts_a_region_off() {
        assert_eq!(all(PLAIN, &windows("9990")), [0..3]);
        assert_eq!(all(PLAIN, &[]), []);
    }

    #[test]
    fn a_region_can_be_taken_in_parts() {
        let mut regions = Regions::new(PLAIN);
        for _ in 0..100 {
            assert_eq!(regions.push(0.9), None);
        }
        assert_eq!(regions.begun(), Some(0));
        regions.split(60 * 512);
        assert_eq!(regions.begun(), Some(60 * 512));
        assert_eq!(regions.finish(), Some(60 * 512..100 * 512));
    }

    proptest! {
        #[test]
        fn are_ordered_apart_and_long_enough(probabilities in prop::collection::vec(0f32..1.0, 0..400)) {
            let found = all(PLAIN, &probabilities);
            for region in &found {
                prop_assert!(region.end - region.start >= 2);
                prop_assert!(probabilities[region.start as usize] >= 0.5);
            }
            for pair in found.windows(2) {
                prop_assert!(pair[1].start >= pair[0].end + 3);
            }
        }
    }
}
