//! Which texts are run together: of like length, so that little is padded, and not too many tokens.

use std::ops::Range;

/// Runs of `order`, each a batch whose padded size is at most `budget` tokens (or a single text).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Texts by their place in the caller's list, short to long.
    pub(super) order: Vec<usize>,
    /// Batches, as ranges of `order`.
    pub(super) batches: Vec<Range<usize>>,
}

/// Plans texts of `lengths` tokens. Equal lengths keep their order, so a plan is always the same.
pub(super) fn plan(lengths: &[usize], budget: usize) -> Plan {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&at| lengths[at]);
    let mut batches = Vec::new();
    let mut from = 0;
    for (at, &text) in order.iter().enumerate() {
        // The text at hand is the longest so far: it decides what all of them are padded to.
        if at > from && lengths[text].saturating_mul(at - from + 1) > budget {
            batches.push(from..at);
            from = at;
        }
    }
    if from < order.len() {
        batches.push(from..order.len());
    }
    Plan { order, batches }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_ones_go_together() {
        let plan = plan(&[9, 2, 3, 9, 2], 10);
        assert_eq!(plan.order, [1, 4, 2, 0, 3]);
        assert_eq!(plan.batches, [0..3, 3..4, 4..5]);
        assert!(super::plan(&[], 10).batches.is_empty());
        assert_eq!(super::plan(&[50], 10).batches, vec![0..1; 1]);
    }

    proptest! {
        #[test]
        fn every_text_is_run_once_and_batches_are_bounded(
            lengths in prop::collection::vec(0_usize..300, 0..200),
            budget in 0_usize..2000,
        ) {
            let plan = plan(&lengths, budget);
            let mut seen: Vec<usize> = Vec::new();
            for batch in &plan.batches {
                let members = &plan.order[batch.clone()];
                prop_assert!(!members.is_empty());
                let longest = members.iter().map(|&at| lengths[at]).max().unwrap_or(0);
                prop_assert!(members.len() == 1 || longest * members.len() <= budget);
                seen.extend(members);
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
        }
    }
}
