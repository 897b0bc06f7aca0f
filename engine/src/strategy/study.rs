//! All that is asked of one strategy at once: how it did, what holding did, and how it does where it was
//! not looked at.

use super::backtest::{Backtest, Setup, backtest};
use super::metrics::{Metrics, metrics};
use super::plot::equity_svg;
use super::prices::Prices;
use super::rules::{Missing, RuleBook, Strategy};
use super::walk::{Walk, WalkSplit, buy_and_hold, walk_forward};
use crate::control::Cancel;
use crate::error::Result;
use serde::Serialize;

/// A strategy that was played through all prices and through the stretches of a walk.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Study {
    /// Its name.
    pub strategy: String,
    /// BLAKE3 of the price file, in hexadecimal.
    pub prices: String,
    /// Figures over all prices.
    pub metrics: Metrics,
    /// What holding over all prices gives.
    pub hold: Metrics,
    /// The walk.
    pub walk: Walk,
    /// What to know of these figures.
    pub notes: Vec<String>,
    /// The backtest over all prices.
    #[serde(skip)]
    pub backtest: Backtest,
    /// What holding owned at each bar.
    #[serde(skip)]
    pub held: Vec<f64>,
}

/// Plays `strategy` through `prices`.
///
/// # Errors
/// As [`backtest`] and [`walk_forward`].
pub fn study(
    strategy: &Strategy,
    prices: &Prices,
    setup: &Setup,
    split: &WalkSplit,
    cancel: &Cancel,
) -> Result<Study> {
    let all = 0..prices.bars().len();
    let done = backtest(strategy, prices, all.clone(), setup, cancel)?;
    let (held, hold) = buy_and_hold(prices, all, setup);
    Ok(Study {
        strategy: strategy.name.clone(),
        prices: prices.digest().to_owned(),
        metrics: metrics(&done, prices, setup),
        hold,
        walk: walk_forward(strategy, prices, split, setup, cancel)?,
        notes: notes(strategy, prices),
        backtest: done,
        held,
    })
}

impl Study {
    /// What was owned over time, as an SVG picture.
    pub fn svg(&self, prices: &Prices, setup: &Setup) -> String {
        let equity = &self.backtest.equity;
        equity_svg(&self.strategy, prices.bars(), setup.capital, equity, &self.held)
    }
}

/// The strategies of `book` that say when to get in, and the names of those that do not.
pub fn testable(book: &RuleBook) -> (Vec<&Strategy>, Vec<&str>) {
    let (whole, rest): (Vec<&Strategy>, Vec<&Strategy>) = book
        .strategies
        .iter()
        .partition(|strategy| !strategy.what_is_missing().contains(&Missing::Entry));
    (whole, rest.into_iter().map(|strategy| strategy.name.as_str()).collect())
}

fn notes(strategy: &Strategy, prices: &Prices) -> Vec<String> {
    let mut notes = Vec::new();
    let step = prices.step_ms() / 1000;
    if let Some(frame) = strategy.timeframe.as_ref().filter(|told| told.value.seconds() != step) {
        let said = frame.value.seconds();
        notes.push(format!("it was said for bars of {said} s; the prices have one every {step} s"));
    }
    let missing = strategy.what_is_missing();
    let never = [Missing::Exit, Missing::Stop, Missing::Target];
    if never.iter().all(|part| missing.contains(part)) {
        notes.push("nothing says when to get out: it holds to the end".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_know_is_told() {
        let text = r#"{"rules": 1, "strategies": [
            {"name": "s", "direction": {"value": "long"}, "timeframe": {"value": "5m"},
             "entry": [{"value": {"left": {"price": "close"}, "is": "above", "right": {"number": 1}}}]},
            {"name": "t", "direction": {"value": "long"},
             "exit": [{"value": {"left": {"price": "close"}, "is": "above", "right": {"number": 1}}}]}]}"#;
        let book = RuleBook::parse(text).unwrap();
        let (whole, rest) = testable(&book);
        assert_eq!((whole.len(), rest), (1, vec!["t"]));
        let prices = Prices::synthetic().unwrap();
        let (setup, split) = (Setup::default(), WalkSplit::default());
        let found = study(whole[0], &prices, &setup, &split, &Cancel::new()).unwrap();
        assert_eq!(found.notes.len(), 2, "{:?}", found.notes);
        // It gets in once, at the second open, and holds; holding begins at the first.
        assert_eq!((found.metrics.trades, found.walk.folds.len()), (1, 4));
        let bars = prices.bars();
        let (own, hold) = (1.0 + found.metrics.total_return, 1.0 + found.hold.total_return);
        assert!((own * bars[1].open - hold * bars[0].open).abs() < 1e-9 * hold * bars[0].open);
        assert!(found.svg(&prices, &setup).ends_with("</svg>\n"));
    }
}
