//! What is believed of each variant, and one score out of it.
//!
//! Older windows count less: a window of age t counts by half for each half-life. On the decayed counts:
//! the click rate is Beta(1 + clicks, 1 + views - clicks); the revenue of a click is taken to be
//! exponential, so that its rate is Gamma(1 + clicks, m + revenue) with m the mean of all variants, which
//! counts as one click. The score blends the click rate, the revenue of a view and the revenue of what was
//! spent, each over the mean of all variants: 1 is as good as all together.

use super::results::{Account, Results};
use crate::error::{Error, ErrorKind, Result, Stage};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Beta, Distribution, Gamma};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What counts how much in a score; 0 leaves a part out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Blend {
    /// Of the click rate.
    pub clicks: f64,
    /// Of the revenue of a view.
    pub revenue: f64,
    /// Of the revenue of what was spent.
    pub spend: f64,
}

impl Default for Blend {
    fn default() -> Self {
        Self { clicks: 0.4, revenue: 0.4, spend: 0.2 }
    }
}

/// How results are weighed and shared out by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// After how many days a result counts for half.
    pub half_life_days: f64,
    /// What counts how much.
    pub blend: Blend,
    /// By how much a share may change from one allocation to the next, 0 to 1.
    pub most_change: f64,
    /// The least share of a variant that is still shown, 0 to 1.
    pub least_share: f64,
    /// Until it was shown so often, a variant keeps an equal share at least.
    pub min_views: u64,
    /// Draws, 100 to 1,000,000.
    pub draws: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            half_life_days: 14.0,
            blend: Blend::default(),
            most_change: 0.2,
            least_share: 0.02,
            min_views: 500,
            draws: 20_000,
        }
    }
}

impl Policy {
    /// Reads a policy (TOML); what is left out stays as it is by default.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] that names the line or the field.
    pub fn parse(text: &str) -> Result<Self> {
        let policy: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = 1 + text.get(..at).unwrap_or_default().matches('\n').count();
            let what = format!("line {line}: {}", error.message());
            Error::new(ErrorKind::Input, Stage::Variants, what)
        })?;
        policy.check()?;
        Ok(policy)
    }

    fn check(&self) -> Result<()> {
        let Blend { clicks, revenue, spend } = self.blend;
        let parts = [clicks, revenue, spend];
        let wrong = |what: &'static str| Err(Error::new(ErrorKind::Input, Stage::Variants, what));
        if self.half_life_days.is_nan() || self.half_life_days <= 0.0 {
            return wrong("half_life_days is above 0");
        }
        if !parts.iter().all(|part| *part >= 0.0 && part.is_finite()) || parts == [0.0; 3] {
            return wrong("the parts of blend are 0 or above, and one is above 0");
        }
        if !(self.most_change > 0.0 && self.most_change <= 1.0) {
            return wrong("most_change is above 0 and at most 1");
        }
        if !(0.0..1.0).contains(&self.least_share) {
            return wrong("least_share is 0 or above, and below 1");
        }
        if !(100..=1_000_000).contains(&self.draws) {
            return wrong("draws is 100 to 1,000,000");
        }
        Ok(())
    }
}

/// A variant in its place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranked {
    /// Its name.
    pub variant: String,
    /// The chance that it is the best: the share of draws that it wins.
    pub best: f64,
    /// Its score: the mean of the draws.
    pub score: f64,
    /// Between these nine of ten draws lie.
    pub between: (f64, f64),
    /// How often it was shown, all windows counted in full.
    pub views: u64,
    /// Its click rate, older windows counted less.
    pub click_rate: f64,
    /// The revenue of a view, older windows counted less.
    pub revenue_per_view: f64,
    /// The revenue of what was spent, older windows counted less; `None` where nothing was.
    pub return_on_spend: Option<f64>,
}

/// Counts with their age taken off.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weighed {
    views: f64,
    clicks: f64,
    spend: f64,
    revenue: f64,
    /// Not weighed.
    pub seen: u64,
}

impl Weighed {
    fn add(&mut self, account: &Account, weight: f64) {
        self.views += weight * account.views as f64;
        self.clicks += weight * account.clicks as f64;
        self.spend += weight * account.spend;
        self.revenue += weight * account.revenue;
        self.seen = self.seen.saturating_add(account.views);
    }
}

/// Each variant's counts, weighed by their age at the last window.
pub(super) fn weighed(results: &Results, policy: &Policy) -> BTreeMap<String, Weighed> {
    let mut all: BTreeMap<String, Weighed> = BTreeMap::new();
    let Some(now) = results.windows.keys().next_back() else { return all };
    for (day, accounts) in &results.windows {
        let age = (*now - *day).num_days() as f64;
        let weight = 0.5f64.powf(age / policy.half_life_days);
        for (name, account) in accounts {
            all.entry(name.clone()).or_default().add(account, weight);
        }
    }
    all
}

/// Ranks the variants, the likeliest best first; the same `seed` gives the same ranks.
///
/// # Errors
/// [`ErrorKind::Input`] where there are no results, or the policy makes no sense.
pub fn rank(results: &Results, policy: &Policy, seed: u64) -> Result<Vec<Ranked>> {
    policy.check()?;
    let all = weighed(results, policy);
    if all.is_empty() {
        let error = Error::new(ErrorKind::Input, Stage::Variants, "there are no results");
        return Err(error.hint("take some in: rushes variants import results.csv"));
    }
    let mut total = Weighed::default();
    for one in all.values() {
        total.views += one.views;
        total.clicks += one.clicks;
        total.spend += one.spend;
        total.revenue += one.revenue;
    }
    let mean = Mean {
        rate: (1.0 + total.clicks) / (2.0 + total.views),
        of_click: if total.clicks > 0.0 { total.revenue / total.clicks } else { 0.0 },
        of_spend: if total.spend > 0.0 { total.revenue / total.spend } else { 0.0 },
    };
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let draws = policy.draws as usize;
    let beliefs = all
        .values()
        .map(|one| Belief::of(one, &mean, &policy.blend))
        .collect::<Result<Vec<_>>>()?;
    let mut drawn = vec![Vec::with_capacity(draws); beliefs.len()];
    let mut wins = vec![0u32; beliefs.len()];
    for _ in 0..draws {
        let mut best = (0, f64::MIN);
        for (n, belief) in beliefs.iter().enumerate() {
            let score = belief.draw(&mut chance);
            drawn[n].push(score);
            if score > best.1 {
                best = (n, score);
            }
        }
        wins[best.0] += 1;
    }
    let of = |sum: f64, by: f64| if by > 0.0 { sum / by } else { 0.0 };
    let mut ranked: Vec<Ranked> = all
        .iter()
        .zip(drawn)
        .zip(wins)
        .map(|(((name, one), mut drawn), wins)| {
            drawn.sort_by(f64::total_cmp);
            Ranked {
                variant: name.clone(),
                best: f64::from(wins) / draws as f64,
                score: drawn.iter().sum::<f64>() / draws as f64,
                between: (drawn[draws / 20], drawn[draws - 1 - draws / 20]),
                views: one.seen,
                click_rate: of(one.clicks, one.views),
                revenue_per_view: of(one.revenue, one.views),
                return_on_spend: (one.spend > 0.0).then(|| one.revenue / one.spend),
            }
        })
        .collect();
    ranked.sort_by(|a, b| b.best.total_cmp(&a.best).then(b.score.total_cmp(&a.score)));
    Ok(ranked)
}

/// All variants together.
struct Mean {
    rate: f64,
    of_click: f64,
    of_spend: f64,
}

/// What is believed of a variant, in units of the mean.
struct Belief {
    rate: Beta<f64>,
    /// The rate of the revenue of a click; `None` where nobody brought any.
    revenue: Option<Gamma<f64>>,
    /// What a view costs.
    cost: f64,
    mean: [f64; 3],
    blend: [f64; 3],
}

impl Belief {
    fn of(one: &Weighed, mean: &Mean, blend: &Blend) -> Result<Self> {
        let strange = |e: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Internal, Stage::Variants, format!("no such distribution: {e}"))
        };
        let missed = (one.views - one.clicks).max(0.0);
        let rate = Beta::new(1.0 + one.clicks, 1.0 + missed).map_err(|e| strange(&e))?;
        let revenue = match mean.of_click > 0.0 {
            true => Some(
                Gamma::new(1.0 + one.clicks, 1.0 / (mean.of_click + one.revenue))
                    .map_err(|e| strange(&e))?,
            ),
            false => None,
        };
        let spent = mean.of_spend > 0.0 && one.spend > 0.0;
        let blend = [
            blend.clicks,
            if revenue.is_some() { blend.revenue } else { 0.0 },
            if spent { blend.spend } else { 0.0 },
        ];
        // Where a part is not known it takes no weight; where nothing is, clicks tell.
        let sum: f64 = blend.iter().sum();
        let blend = if sum > 0.0 { blend.map(|part| part / sum) } else { [1.0, 0.0, 0.0] };
        Ok(Self {
            rate,
            revenue,
            cost: if one.views > 0.0 { one.spend / one.views } else { 0.0 },
            mean: [mean.rate, mean.rate * mean.of_click, mean.of_spend],
            blend,
        })
    }

    fn draw(&self, chance: &mut ChaCha8Rng) -> f64 {
        let rate = self.rate.sample(chance);
        let mut score = self.blend[0] * rate / self.mean[0];
        if let Some(gamma) = &self.revenue {
            let of_view = rate / gamma.sample(chance).max(f64::MIN_POSITIVE);
            score += self.blend[1] * of_view / self.mean[1];
            if self.blend[2] > 0.0 && self.cost > 0.0 {
                score += self.blend[2] * (of_view / self.cost) / self.mean[2];
            }
        }
        score
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDate;

    fn clicks_only() -> Policy {
        let blend = Blend { clicks: 1.0, revenue: 0.0, spend: 0.0 };
        Policy { blend, draws: 50_000, ..Policy::default() }
    }

    fn results(all: &[(&str, u32, u64, u64)]) -> Results {
        let mut results = Results::new();
        for (name, day, views, clicks) in all {
            let day = NaiveDate::from_ymd_opt(2026, 1, *day).unwrap();
            let account = Account { views: *views, clicks: *clicks, spend: 0.0, revenue: 0.0 };
            results.windows.entry(day).or_default().insert((*name).to_owned(), account);
        }
        results
    }

    /// ln B(a, b) for whole numbers.
    fn ln_beta(a: u64, b: u64) -> f64 {
        let ln_factorial = |n: u64| (2..=n).map(|k| (k as f64).ln()).sum::<f64>();
        ln_factorial(a - 1) + ln_factorial(b - 1) - ln_factorial(a + b - 1)
    }

    /// P(B > A) for A ~ Beta(a, b), B ~ Beta(c, d), in closed form (Miller, "Formulas for Bayesian
    /// A/B testing").
    fn exceeds((a, b): (u64, u64), (c, d): (u64, u64)) -> f64 {
        (0..c)
            .map(|i| {
                let ln = ln_beta(a + i, b + d) - ln_beta(1 + i, d) - ln_beta(a, b);
                ln.exp() / (d + i) as f64
            })
            .sum()
    }

    fn best(ranked: &[Ranked], name: &str) -> f64 {
        ranked.iter().find(|one| one.variant == name).unwrap().best
    }

    #[test]
    fn the_chance_to_be_best_is_that_of_the_posteriors() {
        for ((av, ac), (bv, bc)) in [
            ((100, 10), (100, 12)),
            ((1000, 50), (1000, 30)),
            ((10, 0), (10, 0)),
            ((50, 25), (20, 9)),
            ((0, 0), (40, 8)),
        ] {
            let results = results(&[("a", 5, av, ac), ("b", 5, bv, bc)]);
            let ranked = rank(&results, &clicks_only(), 7).unwrap();
            let wanted = exceeds((1 + ac, 1 + av - ac), (1 + bc, 1 + bv - bc));
            // Five standard deviations of a share of 50,000 draws.
            let off = (best(&ranked, "b") - wanted).abs();
            assert!(off < 5.0 * 0.5 / 50_000f64.sqrt(), "{av} {ac} {bv} {bc}: {off}");
        }
        assert!((exceeds((1, 1), (1, 1)) - 0.5).abs() < 1e-12);
        // Beta(2, 1) against Beta(1, 1): 2/3
        assert!((exceeds((1, 1), (2, 1)) - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn the_mean_score_is_that_of_the_posterior() {
        let results = results(&[("a", 5, 100, 9), ("b", 5, 100, 39)]);
        let ranked = rank(&results, &clicks_only(), 1).unwrap();
        let mean = 49.0 / 202.0;
        let of = |name: &str| ranked.iter().find(|one| one.variant == name).unwrap().score;
        assert!((of("a") - (10.0 / 102.0) / mean).abs() < 0.003);
        assert!((of("b") - (40.0 / 102.0) / mean).abs() < 0.003);
    }

    #[test]
    fn a_seed_repeats_and_another_differs() {
        let results = results(&[("a", 5, 100, 10), ("b", 5, 100, 12)]);
        let policy = Policy { draws: 1000, ..clicks_only() };
        assert_eq!(rank(&results, &policy, 1).unwrap(), rank(&results, &policy, 1).unwrap());
        assert_ne!(rank(&results, &policy, 1).unwrap(), rank(&results, &policy, 2).unwrap());
    }

    #[test]
    fn what_is_old_counts_less() {
        // a was good, b is good
        let turned = results(&[
            ("a", 1, 1000, 100),
            ("b", 1, 1000, 20),
            ("a", 29, 1000, 20),
            ("b", 29, 1000, 90),
        ]);
        let short = Policy { half_life_days: 3.0, ..clicks_only() };
        let long = Policy { half_life_days: 1e6, ..clicks_only() };
        assert!(best(&rank(&turned, &short, 1).unwrap(), "b") > 0.99);
        assert!(best(&rank(&turned, &long, 1).unwrap(), "b") < 0.3);
        let weighed = weighed(&turned, &Policy { half_life_days: 14.0, ..short });
        assert!((weighed["a"].clicks - (100.0 * 0.25 + 20.0)).abs() < 1e-9);
        assert_eq!(weighed["a"].seen, 2000);
    }

    #[test]
    fn revenue_and_spend_tell_where_clicks_are_alike() {
        let mut results = Results::new();
        let text = "window,variant,views,clicks,spend,revenue\n2026-01-05,cheap,5000,250,20,500\n\
                    2026-01-05,dear,5000,250,80,500\n2026-01-05,rich,5000,250,80,2000\n";
        results.import(text).unwrap();
        let only = |clicks, revenue, spend| {
            let policy = Policy { blend: Blend { clicks, revenue, spend }, ..Policy::default() };
            rank(&results, &policy, 3).unwrap()
        };
        assert_eq!(only(0.0, 1.0, 0.0)[0].variant, "rich");
        // 500 for 20 and 2000 for 80 are alike; 500 for 80 is not
        let by_spend = only(0.0, 0.0, 1.0);
        assert_eq!(by_spend[2].variant, "dear");
        assert!(by_spend[2].best < 0.001 && (by_spend[0].best - 0.5).abs() < 0.15);
        assert_eq!(
            by_spend.iter().map(|one| one.return_on_spend).max_by(|a, b| a.partial_cmp(b).unwrap()),
            Some(Some(25.0))
        );
    }

    #[test]
    fn policies_are_checked() {
        assert_eq!(Policy::parse("").unwrap(), Policy::default());
        let some = Policy::parse("min_views = 9\n[blend]\nclicks = 1.0").unwrap();
        assert_eq!((some.min_views, some.blend.clicks, some.blend.revenue), (9, 1.0, 0.4));
        for (text, told) in [
            ("half_life = 3", "line 1: unknown field `half_life`"),
            ("\nhalf_life_days = \"x\"", "line 2: "),
            ("half_life_days = 0.0", "half_life_days is above 0"),
            ("most_change = nan", "most_change is above 0"),
            ("draws = 3", "draws is 100"),
            ("[blend]\nclicks=0.0\nrevenue=0.0\nspend=0.0", "the parts of blend"),
        ] {
            let error = Policy::parse(text).unwrap_err();
            assert!(error.message().starts_with(told), "{error}");
        }
        assert!(rank(&Results::new(), &Policy::default(), 1).is_err());
    }
}
