//! A strategy played through prices, bar by bar.
//!
//! What is decided at the close of a bar is done at the open of the next one, so nothing is known that
//! could not have been known. Stops and targets stand in the market from the moment of entry: within a
//! bar that reaches both, the stop is taken to be first; where a bar opens beyond one, the opening price
//! is paid. A target is a limit order, which does not slip. What is still held at the end is closed at
//! the last price.

use super::indicators::atr;
use super::prices::{Bar, Prices};
use super::rules::{Direction, Missing, Stop, Strategy, Target};
use super::series::{holds, needs_volume};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What trading costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// Of an order's value, in basis points (hundredths of a per cent).
    pub commission_bps: f64,
    /// For each order, in the prices' currency.
    pub fixed: f64,
    /// How much worse than seen a price is paid, in basis points.
    pub slippage_bps: f64,
}

impl Default for Costs {
    /// 5 basis points of commission and 5 of slippage.
    fn default() -> Self {
        Self { commission_bps: 5.0, fixed: 0.0, slippage_bps: 5.0 }
    }
}

/// How much is bet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sizing {
    /// This share of what is owned, 0 to 1.
    Fraction(f64),
    /// So much that a stop costs this share of what is owned, and never more than is owned.
    Risk(f64),
}

/// With what a strategy is played through.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// What is owned at the beginning, in the prices' currency.
    pub capital: f64,
    /// What trading costs.
    pub costs: Costs,
    /// How much is bet.
    pub sizing: Sizing,
}

impl Default for Setup {
    /// 10,000; the default costs; all of it is bet.
    fn default() -> Self {
        Self { capital: 10_000.0, costs: Costs::default(), sizing: Sizing::Fraction(1.0) }
    }
}

impl Setup {
    fn check(&self) -> Result<()> {
        let Costs { commission_bps, fixed, slippage_bps } = self.costs;
        let rates = [commission_bps, slippage_bps];
        let (Sizing::Fraction(share) | Sizing::Risk(share)) = self.sizing;
        let wrong = |what: &'static str| Err(Error::new(ErrorKind::Input, Stage::Strategy, what));
        if !(self.capital > 0.0 && self.capital.is_finite()) {
            return wrong("the capital must be above 0");
        }
        if !rates.iter().all(|rate| (0.0..10_000.0).contains(rate)) {
            return wrong("commission and slippage are 0 to 10,000 basis points");
        }
        if !(fixed >= 0.0 && fixed.is_finite()) {
            return wrong("what an order costs cannot be negative");
        }
        if !(share > 0.0 && share <= 1.0) {
            return wrong("the share that is bet or risked is above 0 and at most 1");
        }
        Ok(())
    }
}

/// Why a position was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Leave {
    /// An exit condition held.
    Signal,
    /// The stop was reached.
    Stop,
    /// The target was reached.
    Target,
    /// The prices ended.
    End,
}

/// A position from entry to exit. Bars are numbered as in the prices.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trade {
    /// The bar of the entry.
    pub entered: usize,
    /// The bar of the exit.
    pub left: usize,
    /// Which way it bet.
    pub direction: Direction,
    /// How many units.
    pub units: f64,
    /// The price paid, slippage included.
    pub entry: f64,
    /// The price at which it was left, slippage included.
    pub exit: f64,
    /// Why.
    pub why: Leave,
    /// What was gained, all costs taken off, in the prices' currency.
    pub gain: f64,
}

/// What came of a strategy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Backtest {
    /// The bars that were traded in.
    pub bars: Range<usize>,
    /// Its trades.
    pub trades: Vec<Trade>,
    /// What was owned at the close of each bar.
    pub equity: Vec<f64>,
    /// In how many bars something was held.
    pub bars_held: usize,
}

/// An open position.
struct Held {
    entered: usize,
    units: f64,
    entry: f64,
    fee: f64,
    stop: Option<f64>,
    target: Option<f64>,
}

/// An order for the next bar's open.
#[derive(Clone, Copy)]
enum Order {
    Enter { atr: f64 },
    Leave,
}

struct Player<'a> {
    strategy: &'a Strategy,
    costs: Costs,
    sizing: Sizing,
    side: f64,
    cash: f64,
    held: Option<Held>,
    trades: Vec<Trade>,
}

/// Plays `strategy` through the bars `range` of `prices`. Indicators see the bars before as well, and
/// none behind.
///
/// # Errors
/// [`ErrorKind::Input`] where the strategy has no entry, the prices lack the volumes it needs, the range
/// is not within them, or the setup makes no sense; [`ErrorKind::Cancelled`].
pub fn backtest(
    strategy: &Strategy,
    prices: &Prices,
    range: Range<usize>,
    setup: &Setup,
    cancel: &Cancel,
) -> Result<Backtest> {
    setup.check()?;
    let wrong = |what: String| {
        let what = format!("strategy {}: {what}", strategy.name);
        Err(Error::new(ErrorKind::Input, Stage::Strategy, what))
    };
    if strategy.what_is_missing().contains(&Missing::Entry) {
        return wrong("says nowhere when to get in".to_owned());
    }
    let conditions = || strategy.entry.iter().chain(&strategy.exit).map(|told| &told.value);
    let volume = conditions().any(|c| needs_volume(&c.left) || needs_volume(&c.right));
    if volume && !prices.has_volume() {
        return wrong("needs volumes, and the prices have none".to_owned());
    }
    if matches!(setup.sizing, Sizing::Risk(_)) && strategy.stop.is_none() {
        return wrong("has no stop to size a risk by".to_owned());
    }
    if range.is_empty() || range.end > prices.bars().len() {
        let text = format!("bars {range:?} are not among the {} there are", prices.bars().len());
        return wrong(text);
    }
    let bars = &prices.bars()[..range.end];
    let mut enter = vec![true; bars.len()];
    let mut leave = vec![false; bars.len()];
    for told in &strategy.entry {
        cancel.check(Stage::Strategy)?;
        let now = holds(&told.value, bars);
        enter.iter_mut().zip(now).for_each(|(all, now)| *all &= now);
    }
    for told in &strategy.exit {
        cancel.check(Stage::Strategy)?;
        let now = holds(&told.value, bars);
        leave.iter_mut().zip(now).for_each(|(any, now)| *any |= now);
    }
    let ranges = match strategy.stop.as_ref().map(|told| told.value) {
        Some(Stop::Atr { period, .. }) => atr(bars, period as usize),
        _ => Vec::new(),
    };
    let mut player = Player {
        strategy,
        costs: setup.costs,
        sizing: setup.sizing,
        side: strategy.direction.value.side(),
        cash: setup.capital,
        held: None,
        trades: Vec::new(),
    };
    let mut equity = Vec::with_capacity(range.len());
    let (mut bars_held, mut order) = (0, None);
    for i in range.clone() {
        let bar = &bars[i];
        match order.take() {
            Some(Order::Leave) => player.leave(i, bar.open, true, Leave::Signal),
            Some(Order::Enter { atr }) => player.enter(i, bar.open, atr),
            None => {}
        }
        bars_held += usize::from(player.held.is_some());
        player.reach(i, bar);
        if i + 1 == range.end {
            player.leave(i, bar.close, true, Leave::End);
        }
        let owned = player.owned(bar.close);
        equity.push(owned);
        order = match &player.held {
            Some(_) if leave[i] => Some(Order::Leave),
            // Who owns nothing any more bets no more.
            None if enter[i] && owned > 0.0 => {
                Some(Order::Enter { atr: ranges.get(i).copied().unwrap_or(f64::NAN) })
            }
            _ => None,
        };
    }
    Ok(Backtest { bars: range, trades: player.trades, equity, bars_held })
}

impl Player<'_> {
    /// What is owned with the position at `price`.
    fn owned(&self, price: f64) -> f64 {
        self.cash + self.held.as_ref().map_or(0.0, |held| self.side * held.units * price)
    }

    fn fee(&self, units: f64, price: f64) -> f64 {
        units * price * self.costs.commission_bps / 1e4 + self.costs.fixed
    }

    fn enter(&mut self, i: usize, open: f64, atr: f64) {
        let fill = open * (1.0 + self.side * self.costs.slippage_bps / 1e4);
        let stop = self.strategy.stop.as_ref().map(|told| match told.value {
            Stop::Percent(percent) => fill * percent / 100.0,
            Stop::Atr { times, .. } => times * atr,
        });
        // A range that is not known, or none: where the stop would lie cannot be told.
        if stop.is_some_and(|away| !(away > 0.0 && away.is_finite())) {
            return;
        }
        let target = self.strategy.target.as_ref().and_then(|told| match told.value {
            Target::Percent(percent) => Some(fill * percent / 100.0),
            Target::Reward(times) => stop.map(|away| away * times),
        });
        let room =
            (self.cash - self.costs.fixed) / (fill * (1.0 + self.costs.commission_bps / 1e4));
        let units = match (self.sizing, stop) {
            (Sizing::Fraction(share), _) => room * share,
            (Sizing::Risk(share), Some(away)) => room.min(self.cash * share / away),
            (Sizing::Risk(_), None) => 0.0,
        };
        if !(units > 0.0 && units.is_finite()) {
            return;
        }
        let fee = self.fee(units, fill);
        self.cash -= self.side * units * fill + fee;
        self.held = Some(Held {
            entered: i,
            units,
            entry: fill,
            fee,
            stop: stop.map(|away| fill - self.side * away),
            target: target.map(|away| fill + self.side * away),
        });
    }

    /// Leaves what is held, if something is.
    fn leave(&mut self, i: usize, price: f64, slips: bool, why: Leave) {
        let Some(held) = self.held.take() else { return };
        let slip = if slips { self.side * self.costs.slippage_bps / 1e4 } else { 0.0 };
        let fill = price * (1.0 - slip);
        let fee = self.fee(held.units, fill);
        self.cash += self.side * held.units * fill - fee;
        self.trades.push(Trade {
            entered: held.entered,
            left: i,
            direction: self.strategy.direction.value,
            units: held.units,
            entry: held.entry,
            exit: fill,
            why,
            gain: self.side * held.units * (fill - held.entry) - fee - held.fee,
        });
    }

    /// Leaves where the bar reaches the stop or the target.
    fn reach(&mut self, i: usize, bar: &Bar) {
        let Some(held) = &self.held else { return };
        let (worst, best) = if self.side > 0.0 { (bar.low, bar.high) } else { (bar.high, bar.low) };
        // How far beyond `price` another lies, in the direction of a gain.
        let past = |price: f64, other: f64| self.side * (other - price);
        match (held.stop, held.target) {
            (Some(stop), _) if past(stop, worst) <= 0.0 => {
                let price = if past(stop, bar.open) > 0.0 { stop } else { bar.open };
                self.leave(i, price, true, Leave::Stop);
            }
            (_, Some(target)) if past(target, best) >= 0.0 => {
                let price = if past(target, bar.open) < 0.0 { target } else { bar.open };
                self.leave(i, price, false, Leave::Target);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    // Named, since proptest has a `Strategy` too.
    use super::super::rules::{Comparison, Condition, Operand, PriceField, Strategy, Told};
    use super::*;
    use proptest::prelude::*;
    use proptest::strategy::Strategy as _;

    fn when(left: Operand, is: Comparison, right: Operand) -> Vec<Told<Condition>> {
        vec![Told::written(Condition { left, is, right })]
    }

    fn strategy(direction: Direction) -> Strategy {
        let close = Operand::Price(PriceField::Close);
        Strategy {
            name: "s".into(),
            direction: Told::written(direction),
            timeframe: None,
            entry: when(close.clone(), Comparison::Above, Operand::Number(10.0)),
            exit: when(close, Comparison::Below, Operand::Number(8.0)),
            stop: None,
            target: None,
            confidence: 1.0,
            missing: Vec::new(),
        }
    }

    fn prices(bars: &[[f64; 4]]) -> Prices {
        let bars = bars.iter().enumerate().map(|(i, [open, high, low, close])| Bar {
            at_ms: i as i64 * 86_400_000,
            open: *open,
            high: *high,
            low: *low,
            close: *close,
            volume: 1.0,
        });
        Prices::of(bars.collect())
    }

    fn free() -> Setup {
        let costs = Costs { commission_bps: 0.0, fixed: 0.0, slippage_bps: 0.0 };
        Setup { capital: 1000.0, costs, sizing: Sizing::Fraction(1.0) }
    }

    fn play(strategy: &Strategy, prices: &Prices, setup: &Setup) -> Backtest {
        backtest(strategy, prices, 0..prices.bars().len(), setup, &Cancel::new()).unwrap()
    }

    const BARS: [[f64; 4]; 6] = [
        [9.0, 12.0, 9.0, 11.0],
        [20.0, 21.0, 19.0, 20.0],
        [20.0, 22.0, 7.0, 7.5],
        [10.0, 11.0, 9.0, 9.0],
        [9.0, 9.0, 9.0, 9.0],
        [9.0, 9.0, 9.0, 9.0],
    ];

    #[test]
    fn what_is_decided_at_a_close_is_done_at_the_next_open() {
        let done = play(&strategy(Direction::Long), &prices(&BARS), &free());
        let [trade] = &done.trades[..] else { panic!("{done:?}") };
        assert_eq!((trade.entered, trade.entry, trade.left, trade.exit), (1, 20.0, 3, 10.0));
        assert_eq!((trade.units, trade.gain, trade.why), (50.0, -500.0, Leave::Signal));
        assert_eq!(done.equity, [1000.0, 1000.0, 375.0, 500.0, 500.0, 500.0]);
        assert_eq!(done.bars_held, 2);
    }

    #[test]
    fn a_stop_comes_before_a_target_and_gaps_are_paid_at_the_open() {
        let mut both = strategy(Direction::Long);
        both.stop = Some(Told::written(Stop::Percent(10.0)));
        both.target = Some(Told::written(Target::Percent(10.0)));
        let done = play(&both, &prices(&BARS), &free());
        // bar 1 stays between 18 and 22; bar 2 reaches both
        assert_eq!(
            (done.trades[0].left, done.trades[0].exit, done.trades[0].why),
            (2, 18.0, Leave::Stop)
        );
        let gap = [
            [9.0, 12.0, 9.0, 11.0],
            [20.0, 21.0, 19.0, 20.0],
            [15.0, 16.0, 15.0, 15.0],
            [5.0, 5.0, 5.0, 5.0],
        ];
        let done = play(&both, &prices(&gap), &free());
        assert_eq!((done.trades[0].exit, done.trades[0].why), (15.0, Leave::Stop));
        let up = [
            [9.0, 12.0, 9.0, 11.0],
            [20.0, 21.0, 19.0, 20.0],
            [25.0, 26.0, 24.0, 25.0],
            [5.0, 5.0, 5.0, 5.0],
        ];
        let done = play(&both, &prices(&up), &free());
        assert_eq!((done.trades[0].exit, done.trades[0].why), (25.0, Leave::Target));
        let mut short = both.clone();
        short.direction = Told::written(Direction::Short);
        let done = play(&short, &prices(&gap), &free());
        assert_eq!((done.trades[0].exit, done.trades[0].why), (15.0, Leave::Target));
        assert_eq!(done.trades[0].gain, 250.0);
    }

    #[test]
    fn costs_and_slippage_are_taken_off() {
        let costs = Costs { commission_bps: 100.0, fixed: 1.0, slippage_bps: 100.0 };
        let done = play(&strategy(Direction::Long), &prices(&BARS), &Setup { costs, ..free() });
        let trade = &done.trades[0];
        // 20 with 1 % on top, 10 with 1 % off
        assert!((trade.entry - 20.2).abs() < 1e-12 && (trade.exit - 9.9).abs() < 1e-12);
        let units = 999.0 / (20.2 * 1.01);
        assert!((trade.units - units).abs() < 1e-9);
        let left = units * 9.9 * 0.99 - 1.0;
        assert!((done.equity[5] - left).abs() < 1e-9, "{done:?}");
        assert!((trade.gain - (left - 1000.0)).abs() < 1e-9);
    }

    #[test]
    fn a_risk_is_what_a_stop_costs() {
        let mut risky = strategy(Direction::Long);
        risky.stop = Some(Told::written(Stop::Percent(10.0)));
        let done = play(&risky, &prices(&BARS), &Setup { sizing: Sizing::Risk(0.01), ..free() });
        assert!((done.trades[0].gain + 10.0).abs() < 1e-9, "{done:?}");
        let error = backtest(
            &strategy(Direction::Long),
            &prices(&BARS),
            0..6,
            &Setup { sizing: Sizing::Risk(0.01), ..free() },
            &Cancel::new(),
        )
        .unwrap_err();
        assert!(error.message().contains("no stop"), "{error}");
    }

    #[test]
    fn a_strategy_without_an_entry_is_refused() {
        let mut none = strategy(Direction::Long);
        none.entry.clear();
        let error = backtest(&none, &prices(&BARS), 0..6, &free(), &Cancel::new()).unwrap_err();
        assert!(error.message().contains("when to get in"), "{error}");
        for range in [0..7, 3..3] {
            let all = strategy(Direction::Long);
            assert!(backtest(&all, &prices(&BARS), range, &free(), &Cancel::new()).is_err());
        }
    }

    fn taught(which: usize) -> Strategy {
        let mut made =
            strategy(if which.is_multiple_of(2) { Direction::Long } else { Direction::Short });
        let close = || Operand::Price(PriceField::Close);
        let (entry, exit) = match which % 3 {
            0 => (Operand::Sma { period: 5 }, Operand::Ema { period: 7 }),
            1 => (Operand::Highest { period: 4 }, Operand::Lowest { period: 4 }),
            _ => (
                Operand::Bollinger {
                    period: 6,
                    deviations: 1.0,
                    band: super::super::rules::BollingerBand::Upper,
                },
                Operand::Scaled { of: Box::new(Operand::Sma { period: 3 }), by: 0.99 },
            ),
        };
        made.entry = when(close(), Comparison::CrossesAbove, entry);
        made.exit = when(close(), Comparison::CrossesBelow, exit);
        made.stop = Some(Told::written(Stop::Atr { period: 5, times: 1.5 }));
        made.target = Some(Told::written(Target::Reward(2.0)));
        made
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn shuffling_the_future_changes_nothing_before(
            steps in prop::collection::vec((-0.05..0.05f64, 0.0..0.02f64, 0.0..0.02f64), 60..90),
            cut in 15usize..50,
            order in Just((0..100usize).collect::<Vec<_>>()).prop_shuffle(),
            which in 0usize..6,
        ) {
            let mut last = 100.0f64;
            let bars: Vec<[f64; 4]> = steps.iter().map(|(step, up, down)| {
                let (open, close) = (last, last * (1.0 + step));
                last = close;
                [open, open.max(close) * (1.0 + up), open.min(close) * (1.0 - down), close]
            }).collect();
            let mut shuffled = bars.clone();
            let future: Vec<[f64; 4]> = order.iter().filter(|n| **n < bars.len() - cut).map(|n| bars[cut + n]).collect();
            shuffled[cut..].copy_from_slice(&future);
            let made = taught(which);
            let (a, b) = (play(&made, &prices(&bars), &Setup::default()), play(&made, &prices(&shuffled), &Setup::default()));
            prop_assert_eq!(&a.equity[..cut], &b.equity[..cut]);
            let past = |done: &Backtest| done.trades.iter().filter(|t| t.left < cut).cloned().collect::<Vec<_>>();
            prop_assert_eq!(past(&a), past(&b));
            // What is decided at the last known close is done at the next open, whatever that is.
            let entered = |done: &Backtest| done.trades.iter().map(|t| t.entered).filter(|n| *n <= cut).collect::<Vec<_>>();
            prop_assert_eq!(entered(&a), entered(&b));
        }

        #[test]
        fn what_is_owned_is_the_capital_and_all_gains(which in 0usize..6, steps in prop::collection::vec(-0.05..0.05f64, 30..80)) {
            let mut last = 100.0f64;
            let bars: Vec<[f64; 4]> = steps.iter().map(|step| {
                let (open, close) = (last, last * (1.0 + step));
                last = close;
                [open, open.max(close), open.min(close), close]
            }).collect();
            let done = play(&taught(which), &prices(&bars), &Setup::default());
            let gains: f64 = done.trades.iter().map(|trade| trade.gain).sum();
            prop_assert!((done.equity[done.equity.len() - 1] - 10_000.0 - gains).abs() < 1e-6);
        }
    }
}
