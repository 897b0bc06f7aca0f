//! How much of what was heard has text.

use super::transcript::Coverage;
use std::ops::Range;

/// Adds up detected speech, and what of it lies inside segments. Both are given in order of time.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    speech: u64,
    with_text: u64,
}

impl Tally {
    /// Takes the speech of a stretch of the file and the segments that lie in it, in samples.
    pub fn add(&mut self, speech: &[Range<u64>], segments: &[Range<u64>]) {
        let mut segments = segments.iter().peekable();
        for stretch in speech {
            self.speech += stretch.end.saturating_sub(stretch.start);
            while let Some(segment) = segments.peek() {
                let start = segment.start.max(stretch.start);
                self.with_text += segment.end.min(stretch.end).saturating_sub(start);
                if segment.end > stretch.end {
                    break;
                }
                segments.next();
            }
        }
    }

    /// The figure for a transcript.
    pub fn coverage(&self) -> Coverage {
        Coverage {
            speech: super::place::time(self.speech),
            with_text: super::place::time(self.with_text),
        }
    }
}

#[cfg(test)]
// Regions are ranges, also where there is one.
#[allow(clippy::single_range_in_vec_init)]
mod tests {
    use super::*;

    #[test]
    fn counts_speech_inside_segments() {
        let mut tally = Tally::default();
        assert!((tally.coverage().share() - 1.0).abs() < 1e-9);
        tally.add(&[0..100, 200..300], &[50..220, 230..240, 290..400]);
        assert_eq!((tally.speech, tally.with_text), (200, 50 + 20 + 10 + 10));
        tally.add(&[], &[1000..1001]);
        tally.add(std::slice::from_ref(&(500..600)), &[]);
        assert!((tally.coverage().share() - 0.3).abs() < 1e-9);
    }
}
