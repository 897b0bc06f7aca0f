//! How a strategy did, in figures.

use super::backtest::{Backtest, Setup};
use super::prices::Prices;
use serde::{Deserialize, Serialize};

/// Figures of a backtest. Shares are 0.12 for 12 %; what cannot be worked out is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// What was gained in all, as a share of the capital.
    pub total_return: f64,
    /// Compound annual growth rate: the return a year that gives the same, by the calendar.
    pub cagr: Option<f64>,
    /// Standard deviation of the bars' returns (of the sample), a year.
    pub volatility: Option<f64>,
    /// Mean of the bars' returns over their standard deviation, a year; without a riskless rate.
    pub sharpe: Option<f64>,
    /// As Sharpe's, over the root mean square of losses alone.
    pub sortino: Option<f64>,
    /// The deepest fall below an earlier height, as a share of that height.
    pub max_drawdown: f64,
    /// The share of trades that gained.
    pub win_rate: Option<f64>,
    /// What winners gained over what losers lost; `None` without losers.
    pub profit_factor: Option<f64>,
    /// The share of bars in which something was held.
    pub exposure: f64,
    /// Trades.
    pub trades: usize,
}

/// The figures of `done`.
pub fn metrics(done: &Backtest, prices: &Prices, setup: &Setup) -> Metrics {
    let bars = &prices.bars()[done.bars.clone()];
    let days = match bars {
        [first, .., last] => (last.at_ms - first.at_ms) as f64 / 86_400_000.0,
        _ => 0.0,
    };
    let curve: Vec<f64> =
        std::iter::once(setup.capital).chain(done.equity.iter().copied()).collect();
    let figures = of_curve(&curve, days, prices.bars_per_year());
    let gains = done.trades.iter().map(|trade| trade.gain);
    let won: f64 = gains.clone().filter(|gain| *gain > 0.0).sum();
    let lost: f64 = gains.clone().filter(|gain| *gain < 0.0).sum();
    let winners = gains.filter(|gain| *gain > 0.0).count();
    let trades = done.trades.len();
    Metrics {
        win_rate: (trades > 0).then(|| winners as f64 / trades as f64),
        profit_factor: (lost < 0.0).then(|| won / -lost),
        exposure: done.bars_held as f64 / done.equity.len().max(1) as f64,
        trades,
        ..figures
    }
}

/// The figures that a curve of what is owned gives, its first value the capital.
pub(super) fn of_curve(curve: &[f64], days: f64, bars_per_year: f64) -> Metrics {
    let (Some(first), Some(last)) = (curve.first(), curve.last()) else {
        return Metrics::default();
    };
    let growth = last / first;
    let returns: Vec<f64> = curve
        .windows(2)
        .map(|pair| if pair[0] > 0.0 { pair[1] / pair[0] - 1.0 } else { 0.0 })
        .collect();
    let count = returns.len() as f64;
    let mean = returns.iter().sum::<f64>() / count;
    let square = returns.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let deviation = (square / (count - 1.0)).sqrt();
    let losses = returns.iter().map(|value| value.min(0.0).powi(2)).sum::<f64>();
    let downside = (losses / count).sqrt();
    let year = bars_per_year.sqrt();
    let finite = |value: f64| value.is_finite().then_some(value);
    Metrics {
        total_return: growth - 1.0,
        cagr: finite(growth.max(0.0).powf(365.25 / days) - 1.0).filter(|_| days > 0.0),
        volatility: finite(deviation * year),
        sharpe: finite(mean / deviation * year),
        sortino: finite(mean / downside * year),
        max_drawdown: drawdowns(curve).into_iter().fold(0.0, f64::max),
        ..Metrics::default()
    }
}

/// How far each value lies below the highest until then, as a share of that.
pub(super) fn drawdowns(curve: &[f64]) -> Vec<f64> {
    let mut top = f64::MIN;
    let below = |value: &f64| {
        top = top.max(*value);
        1.0 - value / top
    };
    curve.iter().map(below).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_curve_worked_out_by_hand() {
        // +10 %, -50 %, +100 %: over half a year of 4 bars a year
        let found = of_curve(&[100.0, 110.0, 55.0, 110.0], 365.25 / 2.0, 4.0);
        assert!((found.total_return - 0.1).abs() < 1e-12);
        assert!((found.cagr.unwrap() - 0.21).abs() < 1e-12);
        assert!((found.max_drawdown - 0.5).abs() < 1e-12);
        let deviation = (((0.1f64 - 0.2).powi(2) + 0.7f64.powi(2) + 0.8f64.powi(2)) / 2.0).sqrt();
        assert!((found.volatility.unwrap() - 2.0 * deviation).abs() < 1e-12);
        assert!((found.sharpe.unwrap() - 0.2 / deviation * 2.0).abs() < 1e-12);
        let downside = (0.25f64 / 3.0).sqrt();
        assert!((found.sortino.unwrap() - 0.2 / downside * 2.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_is_made_up_where_nothing_happened() {
        let still = of_curve(&[100.0, 100.0, 100.0], 2.0, 252.0);
        assert_eq!((still.sharpe, still.sortino, still.volatility), (None, None, Some(0.0)));
        assert_eq!(of_curve(&[100.0, 90.0], 0.0, 252.0).cagr, None);
        assert_eq!(of_curve(&[], 1.0, 252.0), Metrics::default());
    }
}
