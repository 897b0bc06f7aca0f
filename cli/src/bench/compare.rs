//! Two reports side by side: ratios, and whether chance alone would make such a difference.

use super::report::{Measure, Report, Suite};
use serde::Serialize;

/// One figure in both reports.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its suite.
    pub suite: Suite,
    /// Where it ran: in the first report, in the second.
    pub devices: [String; 2],
    /// What.
    pub name: String,
    /// In what.
    pub unit: String,
    /// The medians.
    pub medians: [f64; 2],
    /// How many times better the second is; below 1 it is worse.
    pub better: f64,
    /// How often shuffled turns differ as much as these (two-sided, exact).
    pub chance: f64,
}

impl Row {
    /// Whether chance is ruled out at 5 %. Three turns against three can never be: 2 of 20 orders are
    /// as far apart.
    pub fn is_sure(&self) -> bool {
        self.chance <= 0.05
    }
}

/// What both reports measured. Suites on different devices are matched where each report ran the suite on
/// one device only, so that a CPU can be compared with a GPU.
pub fn compare(first: &Report, second: &Report) -> Vec<Row> {
    let mut rows = Vec::new();
    for a in &first.suites {
        let same = |b: &&super::report::SuiteReport| b.suite == a.suite;
        let alone = first.suites.iter().filter(same).count() == 1
            && second.suites.iter().filter(same).count() == 1;
        let Some(b) = second.suites.iter().filter(same).find(|b| alone || b.device == a.device)
        else {
            continue;
        };
        for one in &a.measures {
            let Some(other) = b.measures.iter().find(|m| m.name == one.name && m.unit == one.unit)
            else {
                continue;
            };
            let medians = [one.median(), other.median()];
            let ratio = medians[1] / medians[0];
            rows.push(Row {
                suite: a.suite,
                devices: [a.device.clone(), b.device.clone()],
                name: one.name.clone(),
                unit: one.unit.clone(),
                medians,
                better: if one.more_is_better { ratio } else { 1.0 / ratio },
                chance: chance(one, other),
            });
        }
    }
    rows
}

/// The exact permutation test of the difference of means (Fisher, 1935): the share of all ways to deal
/// the turns into two hands of these sizes that differ at least as much.
fn chance(one: &Measure, other: &Measure) -> f64 {
    /// Hands of ten and ten have 184756 ways.
    const MOST: usize = 20;
    let all: Vec<f64> = one.turns.iter().chain(&other.turns).copied().collect();
    let (n, k) = (all.len(), one.turns.len());
    if k == 0 || k == n || n > MOST {
        return 1.0;
    }
    let total: f64 = all.iter().sum();
    let far = |hand: f64| (hand / k as f64 - (total - hand) / (n - k) as f64).abs();
    let seen = far(one.turns.iter().sum());
    // Sums in another order differ in the last digits: of the sums, however small their difference.
    let least = seen - 1e-12 * all.iter().map(|turn| turn.abs()).sum::<f64>();
    let (mut ways, mut as_far) = (0_u64, 0_u64);
    for mask in 0_u32..1 << n {
        if mask.count_ones() as usize != k {
            continue;
        }
        let hand: f64 = (0..n).filter(|i| mask >> i & 1 == 1).map(|i| all[i]).sum();
        ways += 1;
        as_far += u64::from(far(hand) >= least);
    }
    as_far as f64 / ways.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::super::report::{MachineSeen, SuiteReport, VERSION};
    use super::*;

    fn measure(turns: &[f64], more: bool) -> Measure {
        Measure {
            name: "x".into(),
            unit: "u".into(),
            more_is_better: more,
            turns: turns.to_vec(),
            ceiling: None,
        }
    }

    fn report(device: &str, measure: Measure) -> Report {
        let suite = SuiteReport {
            suite: Suite::Decode,
            device: device.into(),
            skipped: None,
            checks: vec![],
            measures: vec![measure],
            effort: super::super::report::Effort::default(),
        };
        Report {
            r#type: "bench".into(),
            version: VERSION,
            rushes: "0".into(),
            optimised: true,
            quick: false,
            machine: MachineSeen::default(),
            suites: vec![suite],
        }
    }

    #[test]
    fn chance_is_counted_out() {
        let low = measure(&[1.0, 1.1, 0.9, 1.0, 1.05], true);
        let high = measure(&[2.0, 2.1, 1.9, 2.0, 2.05], true);
        // Only this dealing and its mirror of C(10,5) = 252 are as far apart.
        assert!((chance(&low, &high) - 2.0 / 252.0).abs() < 1e-12);
        assert_eq!(chance(&low, &low), 1.0);
        let three = measure(&[5.0, 6.0, 7.0], true);
        assert!((chance(&measure(&[1.0, 2.0, 3.0], true), &three) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn better_means_better_whichever_way_it_counts() {
        let rows = compare(
            &report("cpu", measure(&[1.0], true)),
            &report("cuda:0", measure(&[4.0], true)),
        );
        assert_eq!((rows[0].better, rows[0].devices[1].as_str()), (4.0, "cuda:0"));
        let rows =
            compare(&report("cpu", measure(&[1.0], false)), &report("cpu", measure(&[4.0], false)));
        assert_eq!(rows[0].better, 0.25);
    }
}
