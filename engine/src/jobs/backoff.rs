//! How long to wait before trying again.

use std::time::Duration;

/// Twice as long each time, up to a limit, with jitter: "decorrelated" retries of many jobs that failed
/// together must not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Before the second attempt.
    pub first: Duration,
    /// At most.
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_secs(2), most: Duration::from_secs(300) }
    }
}

impl Backoff {
    /// The wait after `attempts` failed ones: between half of the step and the whole of it. Chance
    /// comes from `seed`, so that the same job gives the same wait.
    pub fn after(self, attempts: u32, seed: u64) -> Duration {
        let step =
            self.first.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(self.most);
        let mixed = (seed ^ u64::from(attempts) << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let half = step / 2;
        half + half.mul_f64(((mixed >> 11) as f64) / (1u64 << 53) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_are_capped_and_spread() {
        let backoff = Backoff::default();
        for seed in 0..100 {
            for (attempts, step) in [(1, 2), (2, 4), (3, 8), (8, 256), (9, 300), (u32::MAX, 300)] {
                let wait = backoff.after(attempts, seed);
                let step = Duration::from_secs(step);
                assert!(wait >= step / 2 && wait <= step, "{attempts} {wait:?}");
            }
        }
        let waits: std::collections::BTreeSet<_> = (0..100).map(|s| backoff.after(1, s)).collect();
        assert!(waits.len() > 90);
    }
}
