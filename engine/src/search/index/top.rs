//! The best of many.

use super::space::Hit;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A value with its score. Ordered by score, then with smaller values first.
#[derive(Clone, Copy, PartialEq)]
struct Scored(f32, u64);

impl Eq for Scored {}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(other.1.cmp(&self.1))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The `k` values with the highest scores seen so far.
pub(super) struct Top {
    k: usize,
    held: BinaryHeap<Reverse<Scored>>,
}

impl Top {
    pub fn new(k: usize) -> Self {
        Self { k, held: BinaryHeap::new() }
    }

    /// What a score must reach to be among the best.
    #[inline]
    pub fn bar(&self) -> f32 {
        match self.held.peek() {
            Some(Reverse(worst)) if self.held.len() >= self.k => worst.0,
            _ => f32::NEG_INFINITY,
        }
    }

    #[inline]
    pub fn push(&mut self, score: f32, value: u64) {
        // Only a damaged file gives such scores.
        if !score.is_finite() {
            return;
        }
        let new = Scored(score, value);
        if self.held.len() < self.k {
            self.held.push(Reverse(new));
        } else if let Some(mut worst) = self.held.peek_mut()
            && new > worst.0
        {
            *worst = Reverse(new);
        }
    }

    pub fn into_hits(self) -> Vec<Hit> {
        let best_first = self.held.into_sorted_vec();
        best_first.into_iter().map(|Reverse(Scored(score, id))| Hit { id, score }).collect()
    }
}
