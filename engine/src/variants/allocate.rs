//! The next shares: as likely as a variant is the best, so much of the audience, within limits.

use super::results::Results;
use super::score::{Policy, Ranked, rank, weighed};
use crate::error::Result;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was shared out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allocation {
    /// The last window that was known.
    pub after: NaiveDate,
    /// The seed of the draws.
    pub seed: u64,
    /// The shares by variant; together 1.
    pub shares: BTreeMap<String, f64>,
}

/// One variant's next share, and why it is that.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// Where it stands.
    #[serde(flatten)]
    pub ranked: Ranked,
    /// Its share until now.
    pub before: f64,
    /// Its next share.
    pub share: f64,
    /// Whether it was shown too rarely to be judged, and so keeps an equal share.
    pub learning: bool,
    /// Whether it would have changed more, had it been allowed to.
    pub held: bool,
}

/// The next shares of all variants, in order of rank. Nothing is recorded: add `Allocation` to
/// [`Results::allocations`] for that. Shares change from those of the last allocation (equal ones without)
/// by no more than the policy allows; that comes before the equal share of variants still learning, and
/// that before the least share.
///
/// # Errors
/// As [`rank`].
pub fn allocate(results: &Results, policy: &Policy, seed: u64) -> Result<(Allocation, Vec<Share>)> {
    let ranked = rank(results, policy, seed)?;
    let equal = 1.0 / ranked.len() as f64;
    let seen = weighed(results, policy);
    // Allocating twice for one window changes no more than once.
    let after = results.windows.keys().next_back().copied().unwrap_or_default();
    let last = results.allocations.iter().rev().find(|one| one.after < after);
    let of_last = |name: &str| last.and_then(|last| last.shares.get(name)).copied();
    let known: f64 = ranked.iter().filter_map(|one| of_last(&one.variant)).sum();
    let before: Vec<f64> = ranked
        .iter()
        .map(|one| match known > 0.0 {
            true => of_last(&one.variant).unwrap_or(0.0) / known,
            false => equal,
        })
        .collect();
    let learning: Vec<bool> = ranked
        .iter()
        .map(|one| seen.get(&one.variant).is_none_or(|one| one.seen < policy.min_views))
        .collect();
    let wanted: Vec<f64> = ranked.iter().map(|one| one.best).collect();
    let limits = Limits { before: &before, learning: &learning, policy };
    let shares = limits.share(&wanted);
    let list = ranked.into_iter().enumerate().map(|(n, ranked)| Share {
        held: (shares[n] - before[n]).abs() > policy.most_change - 1e-9
            && (wanted[n] - before[n]).abs() > policy.most_change + 1e-9,
        ranked,
        before: before[n],
        share: shares[n],
        learning: learning[n],
    });
    let list: Vec<Share> = list.collect();
    let shares = list.iter().map(|one| (one.ranked.variant.clone(), one.share)).collect();
    Ok((Allocation { after, seed, shares }, list))
}

struct Limits<'a> {
    before: &'a [f64],
    learning: &'a [bool],
    policy: &'a Policy,
}

impl Limits<'_> {
    /// The shares nearest to `wanted` within the limits; together 1.
    fn share(&self, wanted: &[f64]) -> Vec<f64> {
        let equal = 1.0 / wanted.len() as f64;
        let change = self.policy.most_change;
        let high: Vec<f64> = self.before.iter().map(|share| (share + change).min(1.0)).collect();
        let low = |least: &dyn Fn(usize) -> f64| -> Vec<f64> {
            let bound =
                |(n, share): (usize, &f64)| (share - change).max(least(n)).max(0.0).min(high[n]);
            self.before.iter().enumerate().map(bound).collect()
        };
        let floor = self.policy.least_share.min(equal);
        let learn = |n: usize| if self.learning[n] { equal } else { floor };
        // What cannot all be kept is given up in this order. The last can: `before` lies within it.
        let tries = [low(&learn), low(&|_| floor), low(&|_| 0.0)];
        let fits = |low: &&Vec<f64>| low.iter().sum::<f64>() <= 1.0 + 1e-12;
        let low = tries.iter().find(fits).unwrap_or(&tries[2]);
        shifted(wanted, low, &high)
    }
}

/// `wanted` shifted by one number and cut to the bounds so that it sums to 1: the nearest such point
/// (the projection onto a capped simplex; Wang and Lu 2015). The number is found by halving.
fn shifted(wanted: &[f64], low: &[f64], high: &[f64]) -> Vec<f64> {
    let at = |shift: f64| -> Vec<f64> {
        let one = |((want, low), high): ((&f64, &f64), &f64)| (want + shift).max(*low).min(*high);
        wanted.iter().zip(low).zip(high).map(one).collect()
    };
    let (mut least, mut most) = (-2.0, 2.0);
    for _ in 0..100 {
        let middle = (least + most) / 2.0;
        match at(middle).iter().sum::<f64>() < 1.0 {
            true => least = middle,
            false => most = middle,
        }
    }
    at(most)
}

#[cfg(test)]
mod tests {
    use super::super::{Account, Blend};
    use super::*;
    use proptest::prelude::*;

    fn results(all: &[(&str, u64, u64)]) -> Results {
        let mut results = Results::new();
        let day = NaiveDate::from_ymd_opt(2026, 1, 5).unwrap();
        for (name, views, clicks) in all {
            let account = Account { views: *views, clicks: *clicks, spend: 0.0, revenue: 0.0 };
            results.windows.entry(day).or_default().insert((*name).to_owned(), account);
        }
        results
    }

    fn policy() -> Policy {
        let blend = Blend { clicks: 1.0, revenue: 0.0, spend: 0.0 };
        Policy { blend, min_views: 100, draws: 5000, ..Policy::default() }
    }

    fn share(list: &[Share], name: &str) -> f64 {
        list.iter().find(|one| one.ranked.variant == name).unwrap().share
    }

    #[test]
    fn a_clear_winner_takes_over_step_by_step() {
        let mut results = results(&[("a", 5000, 500), ("b", 5000, 50)]);
        let mut so_far = vec![];
        for week in 1..5 {
            let (allocation, list) = allocate(&results, &policy(), 9).unwrap();
            // For the same window it is the same again, recorded or not.
            results.allocations.push(allocation.clone());
            assert_eq!(allocate(&results, &policy(), 9).unwrap().0, allocation);
            so_far.push((share(&list, "a") * 1000.0).round() / 1000.0);
            let day = NaiveDate::from_ymd_opt(2026, 1, 5).unwrap() + chrono::Days::new(7 * week);
            let last = results.windows.values().next().unwrap().clone();
            results.windows.insert(day, last);
        }
        assert_eq!(so_far, [0.7, 0.9, 0.98, 0.98]);
    }

    #[test]
    fn who_was_hardly_shown_keeps_an_equal_share() {
        let results = results(&[("a", 5000, 500), ("b", 5000, 50), ("new", 10, 0)]);
        let (_, list) = allocate(&results, &policy(), 9).unwrap();
        let new = list.iter().find(|one| one.ranked.variant == "new").unwrap();
        assert!(new.learning && new.share >= 1.0 / 3.0 - 1e-9, "{list:?}");
        let a = list.iter().find(|one| one.ranked.variant == "a").unwrap();
        assert!(a.share > 0.5 && a.held, "{list:?}");
    }

    #[test]
    fn a_variant_that_is_new_comes_in_within_the_limit() {
        let mut results = results(&[("a", 5000, 500), ("b", 5000, 490)]);
        let day = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
        let shares = BTreeMap::from([("a".to_owned(), 0.5), ("b".to_owned(), 0.5)]);
        results.allocations.push(Allocation { after: day, seed: 1, shares });
        let day = *results.windows.keys().next().unwrap();
        results.windows.get_mut(&day).unwrap().insert("c".into(), Account::default());
        let (_, list) = allocate(&results, &policy(), 9).unwrap();
        assert!((share(&list, "c") - 0.2).abs() < 1e-9, "{list:?}");
    }

    proptest! {
        #[test]
        fn shares_sum_to_one_and_never_change_too_much(
            raw in prop::collection::vec((0.0..1.0f64, 0.0..1.0f64, any::<bool>()), 1..12),
            most_change in 0.01..1.0f64,
            least_share in 0.0..0.3f64,
        ) {
            let sums = raw.iter().fold((1e-9, 1e-9), |s, r| (s.0 + r.0, s.1 + r.1));
            let before: Vec<f64> = raw.iter().map(|r| (r.0 + 1e-9 / raw.len() as f64) / sums.0).collect();
            let wanted: Vec<f64> = raw.iter().map(|r| (r.1 + 1e-9 / raw.len() as f64) / sums.1).collect();
            let learning: Vec<bool> = raw.iter().map(|r| r.2).collect();
            let policy = Policy { most_change, least_share, ..Policy::default() };
            let shares = Limits { before: &before, learning: &learning, policy: &policy }.share(&wanted);
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{:?}", shares);
            for (share, before) in shares.iter().zip(&before) {
                prop_assert!(*share >= 0.0 && (share - before).abs() <= most_change + 1e-9);
            }
        }
    }
}
