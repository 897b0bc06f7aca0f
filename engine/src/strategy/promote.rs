//! Whether a strategy may be looked at further: only what holds on prices it was not looked at with, by
//! thresholds that are data, and with the record of why.

use super::metrics::Metrics;
use super::prices::read_text;
use super::rules::{Missing, Strategy};
use super::walk::Walk;
use crate::error::{Error, ErrorKind, Result, Stage};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What stands under every decision.
pub const WARNING: &str = "This is research into what was said, on past or made-up prices. It is no \
                           advice, and the past does not tell the future.";

/// What a strategy must show out of sample; what is `None` is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// The fewest trades.
    pub min_trades: Option<usize>,
    /// The least total return, as a share.
    pub min_return: Option<f64>,
    /// The least Sharpe ratio.
    pub min_sharpe: Option<f64>,
    /// The least Sortino ratio.
    pub min_sortino: Option<f64>,
    /// The least profit factor.
    pub min_profit_factor: Option<f64>,
    /// The least share of trades that gain.
    pub min_win_rate: Option<f64>,
    /// The deepest drawdown, as a share.
    pub max_drawdown: Option<f64>,
    /// The least share of folds that gain.
    pub min_positive_folds: Option<f64>,
    /// The least part of the in-sample Sharpe ratio that must be left out of sample.
    pub min_kept_sharpe: Option<f64>,
    /// Whether its Sharpe ratio must be above that of holding.
    #[serde(default)]
    pub beats_holding: bool,
    /// How surely it must have been said.
    pub min_confidence: Option<f64>,
    /// Parts that must have been said.
    #[serde(default)]
    pub parts: Vec<Missing>,
}

impl Thresholds {
    /// Those that come along.
    ///
    /// # Errors
    /// None, unless the build is damaged.
    pub fn bundled() -> Result<Self> {
        Self::parse(include_str!("thresholds.toml"))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] that names the line; I/O failures.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&read_text(path, 1 << 20)?).map_err(|error| error.input(path))
    }

    /// Reads a file's text (TOML).
    ///
    /// # Errors
    /// As [`Thresholds::read`].
    pub fn parse(text: &str) -> Result<Self> {
        let found: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| {
                1 + text.get(..span.start).unwrap_or_default().matches('\n').count()
            });
            Error::new(
                ErrorKind::Input,
                Stage::Strategy,
                format!("line {line}: {}", error.message()),
            )
        })?;
        let numbers = [
            found.min_return,
            found.min_sharpe,
            found.min_sortino,
            found.min_profit_factor,
            found.min_win_rate,
            found.max_drawdown,
            found.min_positive_folds,
            found.min_kept_sharpe,
            found.min_confidence,
        ];
        match numbers.into_iter().flatten().find(|number| !number.is_finite()) {
            None => Ok(found),
            Some(_) => {
                let text = "a threshold is not finite: nothing could pass it, or everything";
                Err(Error::new(ErrorKind::Input, Stage::Strategy, text))
            }
        }
    }
}

/// One threshold and what was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// The threshold's name.
    pub name: &'static str,
    /// What was wanted.
    pub wanted: String,
    /// What was found.
    pub found: String,
    /// Whether that is enough.
    pub passed: bool,
}

/// A decision and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Promotion {
    /// The strategy's name.
    pub strategy: String,
    /// Whether all checks passed, and there was one at least.
    pub promoted: bool,
    /// The checks.
    pub checks: Vec<Check>,
    /// [`WARNING`].
    pub warning: &'static str,
}

/// Decides on a strategy by what it did in `walk`.
pub fn promote(strategy: &Strategy, walk: &Walk, thresholds: &Thresholds) -> Promotion {
    let Metrics { sharpe, sortino, .. } = walk.out_of_sample;
    let all = &walk.out_of_sample;
    let mut checks = Vec::new();
    let mut least = |name: &'static str, wanted: Option<f64>, found: Option<f64>| {
        let Some(wanted) = wanted else { return };
        checks.push(Check {
            name,
            wanted: format!("at least {wanted}"),
            found: figure(found),
            passed: found.is_some_and(|found| found >= wanted),
        });
    };
    least("trades", thresholds.min_trades.map(|n| n as f64), Some(all.trades as f64));
    least("return", thresholds.min_return, Some(all.total_return));
    least("sharpe", thresholds.min_sharpe, sharpe);
    least("sortino", thresholds.min_sortino, sortino);
    // Without a loser there is no factor, and nothing to hold against it.
    let factor = all.profit_factor.or((all.trades > 0).then_some(f64::INFINITY));
    least("profit factor", thresholds.min_profit_factor, factor);
    least("win rate", thresholds.min_win_rate, all.win_rate);
    let gained = walk.folds.iter().filter(|fold| fold.out_of_sample.total_return > 0.0).count();
    let folds = gained as f64 / walk.folds.len().max(1) as f64;
    least("positive folds", thresholds.min_positive_folds, Some(folds));
    // What lost already where it was looked at keeps nothing.
    let kept = match (sharpe, walk.in_sample.sharpe) {
        (Some(out), Some(seen)) if seen > 0.0 => Some(out / seen),
        _ => None,
    };
    least("kept sharpe", thresholds.min_kept_sharpe, kept);
    least("confidence", thresholds.min_confidence, Some(strategy.confidence));
    if let Some(wanted) = thresholds.max_drawdown {
        checks.push(Check {
            name: "drawdown",
            wanted: format!("at most {wanted}"),
            found: figure(Some(all.max_drawdown)),
            passed: all.max_drawdown <= wanted,
        });
    }
    if thresholds.beats_holding {
        checks.push(Check {
            name: "beats holding",
            wanted: format!("a Sharpe ratio above {}", figure(walk.hold.sharpe)),
            found: figure(sharpe),
            passed: matches!((sharpe, walk.hold.sharpe), (Some(s), Some(h)) if s > h),
        });
    }
    if !thresholds.parts.is_empty() {
        let missing = strategy.what_is_missing();
        let names = |parts: &[Missing]| {
            let names = parts.iter().filter_map(|part| serde_json::to_value(part).ok());
            let names: Vec<String> =
                names.map(|name| name.as_str().unwrap_or_default().to_owned()).collect();
            names.join(", ")
        };
        let passed = !thresholds.parts.iter().any(|part| missing.contains(part));
        let found = match missing.is_empty() {
            true => "all of it".to_owned(),
            false => format!("all but {}", names(&missing)),
        };
        checks.push(Check { name: "parts", wanted: names(&thresholds.parts), found, passed });
    }
    Promotion {
        strategy: strategy.name.clone(),
        promoted: !checks.is_empty() && checks.iter().all(|check| check.passed),
        checks,
        warning: WARNING,
    }
}

fn figure(value: Option<f64>) -> String {
    match value {
        None => "none".to_owned(),
        Some(value) if value.is_infinite() => "no losers".to_owned(),
        Some(value) => format!("{:.3}", value + 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::RuleBook;
    use super::*;

    fn strategy() -> Strategy {
        let text = r#"{"rules": 1, "strategies": [{"name": "s", "direction": {"value": "long"},
            "entry": [{"value": {"left": "volume", "is": "above", "right": {"number": 1}}}],
            "stop": {"value": {"percent": 2}}, "confidence": 0.8}]}"#;
        RuleBook::parse(text).unwrap().strategies.remove(0)
    }

    fn walk(seen: f64, unseen: f64) -> Walk {
        let of = |sharpe: f64| Metrics {
            total_return: sharpe / 10.0,
            sharpe: Some(sharpe),
            sortino: Some(sharpe),
            max_drawdown: 0.1,
            win_rate: Some(0.5),
            profit_factor: Some(1.5),
            trades: 40,
            ..Metrics::default()
        };
        let fold = super::super::Fold {
            seen: 0..10,
            unseen: 10..20,
            in_sample: of(seen),
            out_of_sample: of(unseen),
            hold: of(0.3),
        };
        Walk { folds: vec![fold], in_sample: of(seen), out_of_sample: of(unseen), hold: of(0.3) }
    }

    #[test]
    fn only_what_holds_out_of_sample_is_promoted() {
        let thresholds = Thresholds::bundled().unwrap();
        let good = promote(&strategy(), &walk(1.5, 1.2), &thresholds);
        assert!(good.promoted, "{good:?}");
        // splendid where it was looked at, and nothing behind
        let fitted = promote(&strategy(), &walk(4.0, 0.6), &thresholds);
        let failed: Vec<_> = fitted.checks.iter().filter(|c| !c.passed).map(|c| c.name).collect();
        assert_eq!((fitted.promoted, failed), (false, vec!["kept sharpe"]));
        let bad = promote(&strategy(), &walk(1.5, -0.2), &thresholds);
        let failed: Vec<_> = bad.checks.iter().filter(|c| !c.passed).map(|c| c.name).collect();
        assert_eq!(failed, ["return", "sharpe", "positive folds", "kept sharpe", "beats holding"]);
    }

    #[test]
    fn what_was_not_said_can_be_asked_for() {
        let thresholds = Thresholds::parse("parts = [\"exit\", \"stop\"]").unwrap();
        let found = promote(&strategy(), &walk(1.0, 1.0), &thresholds);
        assert!(!found.promoted);
        assert_eq!(found.checks[0].found, "all but exit, target, timeframe");
        // Nothing asked is nothing shown.
        assert!(!promote(&strategy(), &walk(1.0, 1.0), &Thresholds::default()).promoted);
    }

    #[test]
    fn bad_thresholds_name_their_line() {
        for (text, told) in [
            ("min_trades = 3\nmin_sharp = 1", "line 2: unknown field `min_sharp`"),
            ("\nmin_trades = -3", "line 2: "),
            ("min_sharpe = nan", "a threshold is not finite"),
            ("min_sharpe", "line 1: "),
        ] {
            let error = Thresholds::parse(text).unwrap_err();
            assert!(error.message().starts_with(told), "{error}");
        }
    }
}
