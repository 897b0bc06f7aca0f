//! Rules applied to prices: the value of an operand and the truth of a condition at every bar.

use super::indicators::{atr, bollinger, ema, highest_before, lowest_before, macd, rsi, sma};
use super::prices::Bar;
use super::rules::{BollingerBand, Comparison, Condition, MacdLine, Operand, PriceField};

/// An operand's value at each bar; NaN where it cannot be worked out yet.
pub fn values(operand: &Operand, bars: &[Bar]) -> Vec<f64> {
    let of = |field: fn(&Bar) -> f64| -> Vec<f64> { bars.iter().map(field).collect() };
    let closes = || of(|bar| bar.close);
    let pick =
        |lines: [Vec<f64>; 3], which: usize| lines.into_iter().nth(which).unwrap_or_default();
    match operand {
        Operand::Number(value) => vec![*value; bars.len()],
        Operand::Price(PriceField::Open) => of(|bar| bar.open),
        Operand::Price(PriceField::High) => of(|bar| bar.high),
        Operand::Price(PriceField::Low) => of(|bar| bar.low),
        Operand::Price(PriceField::Close) => closes(),
        Operand::Volume => of(|bar| bar.volume),
        Operand::Sma { period } => sma(&closes(), *period as usize),
        Operand::Ema { period } => ema(&closes(), *period as usize),
        Operand::Rsi { period } => rsi(&closes(), *period as usize),
        Operand::Macd { fast, slow, signal, line } => {
            let lines = macd(&closes(), *fast as usize, *slow as usize, *signal as usize);
            let which = match line {
                MacdLine::Macd => 0,
                MacdLine::Signal => 1,
                MacdLine::Histogram => 2,
            };
            pick(lines, which)
        }
        Operand::Bollinger { period, deviations, band } => {
            let which = match band {
                BollingerBand::Lower => 0,
                BollingerBand::Middle => 1,
                BollingerBand::Upper => 2,
            };
            pick(bollinger(&closes(), *period as usize, *deviations), which)
        }
        Operand::Atr { period } => atr(bars, *period as usize),
        Operand::VolumeAverage { period } => sma(&of(|bar| bar.volume), *period as usize),
        Operand::Highest { period } => highest_before(&of(|bar| bar.high), *period as usize),
        Operand::Lowest { period } => lowest_before(&of(|bar| bar.low), *period as usize),
        Operand::Scaled { of, by } => values(of, bars).iter().map(|value| value * by).collect(),
    }
}

/// Whether the condition holds at the close of each bar; never where a value is not known.
pub fn holds(condition: &Condition, bars: &[Bar]) -> Vec<bool> {
    let (left, right) = (values(&condition.left, bars), values(&condition.right, bars));
    let at = |i: usize| {
        let (a, b) = (left[i], right[i]);
        let crossed = |was: fn(f64, f64) -> bool| i > 0 && was(left[i - 1], right[i - 1]);
        match condition.is {
            Comparison::Above => a > b,
            Comparison::Below => a < b,
            Comparison::CrossesAbove => a > b && crossed(|a, b| a <= b),
            Comparison::CrossesBelow => a < b && crossed(|a, b| a >= b),
        }
    };
    (0..bars.len()).map(at).collect()
}

/// Whether the operand, or what it is scaled from, needs volumes.
pub fn needs_volume(operand: &Operand) -> bool {
    match operand {
        Operand::Volume | Operand::VolumeAverage { .. } => true,
        Operand::Scaled { of, .. } => needs_volume(of),
        _ => false,
    }
}
