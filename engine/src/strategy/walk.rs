//! Walking forward: a strategy is looked at in one stretch of prices and judged in the next, which was
//! not looked at. And what simply holding would have given.

use super::backtest::{Backtest, Setup, backtest};
use super::metrics::{Metrics, metrics, of_curve};
use super::prices::Prices;
use super::rules::Strategy;
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// How prices are divided.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalkSplit {
    /// Pairs of stretches, 1 to 100.
    pub folds: u32,
    /// The share of a pair that is looked at first, above 0 and below 1.
    pub in_sample: f64,
}

impl Default for WalkSplit {
    /// Four folds, of which 60 % are looked at first.
    fn default() -> Self {
        Self { folds: 4, in_sample: 0.6 }
    }
}

/// One pair of stretches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fold {
    /// The bars that are looked at first.
    pub seen: Range<usize>,
    /// The bars behind them, in which the strategy is judged.
    pub unseen: Range<usize>,
    /// Figures of the first.
    pub in_sample: Metrics,
    /// Figures of the second.
    pub out_of_sample: Metrics,
    /// What holding gave in the second.
    pub hold: Metrics,
}

/// A walk through all folds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Walk {
    /// The folds, in order of time.
    pub folds: Vec<Fold>,
    /// Figures of all bars that were looked at first, put one behind the other. They may overlap.
    pub in_sample: Metrics,
    /// Figures of all stretches that were not looked at, put one behind the other: no two overlap.
    pub out_of_sample: Metrics,
    /// What holding gave in these.
    pub hold: Metrics,
}

impl WalkSplit {
    /// The stretches: unseen ones are of one length and follow each other to the end of the prices.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] where the split makes no sense or there are too few bars for it.
    pub fn ranges(&self, bars: usize) -> Result<Vec<(Range<usize>, Range<usize>)>> {
        let wrong = |what: String| Err(Error::new(ErrorKind::Input, Stage::Strategy, what));
        let share = self.in_sample;
        if !((1..=100).contains(&self.folds) && share > 0.0 && share < 1.0) {
            return wrong("a split has 1 to 100 folds, and a share between 0 and 1 is seen".into());
        }
        let folds = self.folds as usize;
        // seen + folds × unseen = bars, and seen / (seen + unseen) is the share
        let unseen = bars as f64 / (self.in_sample / (1.0 - self.in_sample) + folds as f64);
        let unseen = unseen as usize;
        let seen = bars - (unseen * folds).min(bars);
        if unseen < 20 || seen < 20 {
            let text = format!("{bars} bars are too few for {folds} folds: each part needs 20");
            return wrong(text);
        }
        let pair = |n: usize| {
            let start = n * unseen;
            (start..start + seen, start + seen..start + seen + unseen)
        };
        Ok((0..folds).map(pair).collect())
    }
}

/// What holding from the first bar to the last would have given, the costs of one trade taken off.
pub fn buy_and_hold(prices: &Prices, range: Range<usize>, setup: &Setup) -> (Vec<f64>, Metrics) {
    let bars = &prices.bars()[range];
    let (slip, rate) = (setup.costs.slippage_bps / 1e4, setup.costs.commission_bps / 1e4);
    let fill = bars[0].open * (1.0 + slip);
    let units = (setup.capital - setup.costs.fixed).max(0.0) / (fill * (1.0 + rate));
    let mut curve: Vec<f64> = bars.iter().map(|bar| units * bar.close).collect();
    if let Some(last) = curve.last_mut() {
        *last = *last * (1.0 - slip) * (1.0 - rate) - setup.costs.fixed;
    }
    let days = (bars[bars.len() - 1].at_ms - bars[0].at_ms) as f64 / 86_400_000.0;
    let all: Vec<f64> = std::iter::once(setup.capital).chain(curve.iter().copied()).collect();
    let figures = of_curve(&all, days, prices.bars_per_year());
    (curve, Metrics { exposure: 1.0, trades: 1, ..figures })
}

/// Plays the strategy through each stretch, always with the capital that the setup names. Indicators
/// see the bars before a stretch; positions never reach from one into another.
///
/// # Errors
/// As [`backtest`] and [`WalkSplit::ranges`].
pub fn walk_forward(
    strategy: &Strategy,
    prices: &Prices,
    split: &WalkSplit,
    setup: &Setup,
    cancel: &Cancel,
) -> Result<Walk> {
    let mut folds = Vec::new();
    let mut done: [Vec<Backtest>; 2] = Default::default();
    let mut held = Vec::new();
    for (seen, unseen) in split.ranges(prices.bars().len())? {
        let mut figures = Vec::new();
        for (all, range) in done.iter_mut().zip([&seen, &unseen]) {
            let played = backtest(strategy, prices, range.clone(), setup, cancel)?;
            figures.push(metrics(&played, prices, setup));
            all.push(played);
        }
        let (curve, hold) = buy_and_hold(prices, unseen.clone(), setup);
        held.push(curve);
        let (Some(out_of_sample), Some(in_sample)) = (figures.pop(), figures.pop()) else {
            continue;
        };
        folds.push(Fold { seen, unseen, in_sample, out_of_sample, hold });
    }
    let [seen, unseen] = done;
    let hold =
        joined(held.iter().map(|c| &c[..]), prices, unseen.iter().map(|b| b.bars.clone()), setup);
    Ok(Walk {
        folds,
        in_sample: together(&seen, prices, setup),
        out_of_sample: together(&unseen, prices, setup),
        hold: Metrics { exposure: 1.0, trades: unseen.len(), ..hold },
    })
}

/// The figures of several backtests as if each had gone on with what the one before had left.
fn together(all: &[Backtest], prices: &Prices, setup: &Setup) -> Metrics {
    let curves = all.iter().map(|done| &done.equity[..]);
    let figures = joined(curves, prices, all.iter().map(|done| done.bars.clone()), setup);
    let whole = Backtest {
        bars: 0..0,
        trades: all.iter().flat_map(|done| done.trades.clone()).collect(),
        equity: all.iter().flat_map(|done| done.equity.clone()).collect(),
        bars_held: all.iter().map(|done| done.bars_held).sum(),
    };
    let of_trades = metrics(&whole, prices, setup);
    Metrics {
        win_rate: of_trades.win_rate,
        profit_factor: of_trades.profit_factor,
        exposure: of_trades.exposure,
        trades: of_trades.trades,
        ..figures
    }
}

/// Curves put one behind the other, each scaled to begin with what the one before had left.
fn joined<'a>(
    curves: impl Iterator<Item = &'a [f64]>,
    prices: &Prices,
    ranges: impl Iterator<Item = Range<usize>>,
    setup: &Setup,
) -> Metrics {
    let mut whole = vec![setup.capital];
    for curve in curves {
        let scale = whole[whole.len() - 1] / setup.capital;
        whole.extend(curve.iter().map(|value| value * scale));
    }
    let days = ranges.map(|range| {
        let bars = &prices.bars()[range];
        (bars[bars.len() - 1].at_ms - bars[0].at_ms) as f64 / 86_400_000.0
    });
    of_curve(&whole, days.sum(), prices.bars_per_year())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unseen_stretches_follow_each_other_to_the_end() {
        for (bars, folds, share) in [(1040, 4, 0.6), (500, 1, 0.7), (777, 7, 0.5)] {
            let ranges = WalkSplit { folds, in_sample: share }.ranges(bars).unwrap();
            assert_eq!(ranges.len(), folds as usize);
            for (seen, unseen) in &ranges {
                assert_eq!(seen.end, unseen.start);
                let part = seen.len() as f64 / (seen.len() + unseen.len()) as f64;
                assert!((part - share).abs() < 0.03, "{part}");
            }
            assert!(ranges.windows(2).all(|pair| pair[0].1.end == pair[1].1.start));
            assert_eq!(ranges[ranges.len() - 1].1.end, bars);
        }
        for (bars, folds, share) in
            [(60, 4, 0.6), (1000, 0, 0.5), (1000, 2, 1.0), (1000, 2, f64::NAN)]
        {
            assert!(WalkSplit { folds, in_sample: share }.ranges(bars).is_err());
        }
    }

    #[test]
    fn holding_gains_what_the_price_gained_less_its_costs() {
        let prices = Prices::synthetic().unwrap();
        let free = Setup {
            costs: super::super::Costs { commission_bps: 0.0, fixed: 0.0, slippage_bps: 0.0 },
            ..Setup::default()
        };
        let bars = prices.bars();
        let (_, figures) = buy_and_hold(&prices, 0..bars.len(), &free);
        let gain = bars[bars.len() - 1].close / bars[0].open - 1.0;
        assert!((figures.total_return - gain).abs() < 1e-9);
        let (_, dear) = buy_and_hold(&prices, 0..bars.len(), &Setup::default());
        assert!(dear.total_return < figures.total_return);
    }
}
