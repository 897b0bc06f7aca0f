//! Indicators, each a value a bar: NaN until there are bars enough. A value depends on its bar and on
//! earlier ones only. They agree with TA-Lib's, which `golden_tests` compares them with.

use super::prices::Bar;

/// The mean of each `period` values in a row. Summed anew for each: running sums drift.
pub fn sma(values: &[f64], period: usize) -> Vec<f64> {
    windows(values, period, |window| window.iter().sum::<f64>() / period as f64)
}

/// Bollinger's bands, `deviations` (of the population) around the mean: lower, middle, upper.
pub fn bollinger(values: &[f64], period: usize, deviations: f64) -> [Vec<f64>; 3] {
    let middle = sma(values, period);
    let spread = windows(values, period, |window| {
        let mean = window.iter().sum::<f64>() / period as f64;
        let square = window.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        deviations * (square / period as f64).sqrt()
    });
    let edge = |sign: f64| middle.iter().zip(&spread).map(|(m, s)| m + sign * s).collect();
    [edge(-1.0), middle.clone(), edge(1.0)]
}

fn windows(values: &[f64], period: usize, of: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut out = vec![f64::NAN; values.len()];
    if period > 0 {
        for (out, window) in out.iter_mut().skip(period - 1).zip(values.windows(period)) {
            *out = of(window);
        }
    }
    out
}

/// The exponential mean with weight 2 / (period + 1), begun with the mean of the first `period`
/// values; NaN at the beginning of `values` is passed over.
pub fn ema(values: &[f64], period: usize) -> Vec<f64> {
    smoothed(values, period, 2.0 / (period as f64 + 1.0))
}

/// Wilder's smoothing: as [`ema`] with weight 1 / period.
fn wilder(values: &[f64], period: usize) -> Vec<f64> {
    smoothed(values, period, 1.0 / period as f64)
}

fn smoothed(values: &[f64], period: usize, weight: f64) -> Vec<f64> {
    let mut out = vec![f64::NAN; values.len()];
    let start = values.iter().take_while(|value| value.is_nan()).count();
    let Some(seed) = values.get(start..start + period).filter(|seed| !seed.is_empty()) else {
        return out;
    };
    let mut last = seed.iter().sum::<f64>() / period as f64;
    out[start + period - 1] = last;
    for (out, value) in out.iter_mut().zip(values).skip(start + period) {
        last += weight * (value - last);
        *out = last;
    }
    out
}

/// The relative strength index: how much of the last changes were rises, 0 to 100. Where nothing
/// changed at all it is 50 (TA-Lib says 0, which would read as the deepest fall).
pub fn rsi(values: &[f64], period: usize) -> Vec<f64> {
    let change = |pair: &[f64]| pair[1] - pair[0];
    let with = |sign: f64| -> Vec<f64> {
        let changes = values.windows(2).map(|pair| (sign * change(pair)).max(0.0));
        std::iter::once(f64::NAN).chain(changes).collect()
    };
    let (up, down) = (wilder(&with(1.0), period), wilder(&with(-1.0), period));
    let index = |(up, down): (&f64, &f64)| match up + down {
        0.0 => 50.0,
        all => 100.0 * up / all,
    };
    let mut out: Vec<f64> = up.iter().zip(&down).map(index).collect();
    out.truncate(values.len());
    out
}

/// The MACD: its line, its signal, and the first less the second. As in TA-Lib the fast average is
/// begun so late that both averages have their first value at the same bar, and none of the three
/// lines has a value before the signal has.
pub fn macd(values: &[f64], fast: usize, slow: usize, signal: usize) -> [Vec<f64>; 3] {
    let late: Vec<f64> = values
        .iter()
        .enumerate()
        .map(|(i, value)| if i + fast < slow { f64::NAN } else { *value })
        .collect();
    let (quick, calm) = (ema(&late, fast), ema(values, slow));
    let mut line: Vec<f64> = quick.iter().zip(&calm).map(|(q, c)| q - c).collect();
    let signal = ema(&line, signal);
    for (line, signal) in line.iter_mut().zip(&signal) {
        if signal.is_nan() {
            *line = f64::NAN;
        }
    }
    let histogram = line.iter().zip(&signal).map(|(l, s)| l - s).collect();
    [line, signal, histogram]
}

/// The average true range: how far prices move in a bar, the step from the last close included.
pub fn atr(bars: &[Bar], period: usize) -> Vec<f64> {
    let range = |pair: &[Bar]| {
        let (last, bar) = (pair[0].close, pair[1]);
        bar.high.max(last) - bar.low.min(last)
    };
    // The first bar has no close before it.
    let ranges: Vec<f64> =
        std::iter::once(f64::NAN).chain(bars.windows(2).map(range)).take(bars.len()).collect();
    wilder(&ranges, period)
}

/// The greatest of the `period` values before each.
pub fn highest_before(values: &[f64], period: usize) -> Vec<f64> {
    before(windows(values, period, |window| window.iter().copied().fold(f64::MIN, f64::max)))
}

/// The least of the `period` values before each.
pub fn lowest_before(values: &[f64], period: usize) -> Vec<f64> {
    before(windows(values, period, |window| window.iter().copied().fold(f64::MAX, f64::min)))
}

fn before(values: Vec<f64>) -> Vec<f64> {
    let count = values.len();
    std::iter::once(f64::NAN).chain(values).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_series_worked_out_by_hand() {
        assert_eq!(sma(&[1.0, 2.0, 3.0, 4.0], 3)[2..], [2.0, 3.0]);
        // seed (1 + 2) / 2, then + 2/3 (3 - 1.5), then + 2/3 (6 - 2.5)
        let found = ema(&[1.0, 2.0, 3.0, 6.0], 2);
        assert!((found[2] - 2.5).abs() < 1e-12 && (found[3] - 29.0 / 6.0).abs() < 1e-12);
        assert_eq!(rsi(&[1.0, 2.0, 3.0], 2)[2], 100.0);
        assert_eq!(rsi(&[3.0, 2.0, 1.0], 2)[2], 0.0);
        assert_eq!(rsi(&[2.0, 2.0, 2.0], 2)[2], 50.0);
        assert_eq!(highest_before(&[1.0, 5.0, 2.0, 3.0], 2)[2..], [5.0, 5.0]);
        assert_eq!(lowest_before(&[1.0, 5.0, 2.0, 3.0], 2)[2..], [1.0, 2.0]);
        let [lower, middle, upper] = bollinger(&[1.0, 3.0], 2, 2.0);
        assert_eq!((lower[1], middle[1], upper[1]), (0.0, 2.0, 4.0));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_lengths_stay(values in prop::collection::vec(0.1..1e6f64, 0..60), period in 1usize..70) {
            for found in [sma(&values, period), ema(&values, period), rsi(&values, period),
                highest_before(&values, period), lowest_before(&values, period)] {
                prop_assert_eq!(found.len(), values.len());
            }
            for found in bollinger(&values, period, 2.0).iter().chain(&macd(&values, period, period + 5, 3)) {
                prop_assert_eq!(found.len(), values.len());
            }
        }

        #[test]
        fn a_value_never_changes_by_what_comes_later(values in prop::collection::vec(0.1..1e3f64, 40..80), cut in 1usize..39) {
            let (all, part) = (&values[..], &values[..cut]);
            let same = |a: Vec<f64>, b: Vec<f64>| {
                a.iter().zip(&b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
            };
            prop_assert!(same(sma(all, 5), sma(part, 5)) && same(ema(all, 5), ema(part, 5)));
            prop_assert!(same(rsi(all, 5), rsi(part, 5)));
            for (a, b) in macd(all, 3, 6, 2).into_iter().zip(macd(part, 3, 6, 2)) {
                prop_assert!(same(a, b));
            }
            for (a, b) in bollinger(all, 5, 2.0).into_iter().zip(bollinger(part, 5, 2.0)) {
                prop_assert!(same(a, b));
            }
        }
    }
}
