//! Sums over a whole vocabulary, which are asked for at every token: 50 000 values each.

use pulp::{Arch, NullaryFnOnce};

/// Values looked at side by side: enough for two registers of the widest kind.
const LANES: usize = 16;

/// The greatest of `values`; negative infinity of none.
pub(super) fn greatest(values: &[f32]) -> f32 {
    struct Greatest<'a>(&'a [f32]);
    impl NullaryFnOnce for Greatest<'_> {
        type Output = f32;
        #[inline(always)]
        fn call(self) -> f32 {
            let mut most = [f32::NEG_INFINITY; LANES];
            let (whole, rest) = self.0.as_chunks::<LANES>();
            for values in whole {
                for (most, value) in most.iter_mut().zip(values) {
                    *most = if *value > *most { *value } else { *most };
                }
            }
            most.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
        }
    }
    Arch::new().dispatch(Greatest(values))
}

/// The sum of `exp(value - most)` over `values`, none of which is greater than `most`, to within
/// a few millionths of it.
pub(super) fn exp_sum(values: &[f32], most: f32) -> f32 {
    struct ExpSum<'a>(&'a [f32], f32);
    impl NullaryFnOnce for ExpSum<'_> {
        type Output = f32;
        #[inline(always)]
        fn call(self) -> f32 {
            let mut sums = [0.0_f32; LANES];
            let (whole, rest) = self.0.as_chunks::<LANES>();
            for values in whole {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += exp(value - self.1);
                }
            }
            sums.iter().sum::<f32>() + rest.iter().map(|value| exp(value - self.1)).sum::<f32>()
        }
    }
    Arch::new().dispatch(ExpSum(values, most))
}

/// Puts `exp(value - most)` in the place of each of `values`, none of which is greater than `most`,
/// and gives their sum.
pub(super) fn exp_all(values: &mut [f32], most: f32) -> f32 {
    struct ExpAll<'a>(&'a mut [f32], f32);
    impl NullaryFnOnce for ExpAll<'_> {
        type Output = f32;
        #[inline(always)]
        fn call(self) -> f32 {
            let mut sums = [0.0_f32; LANES];
            let (whole, rest) = self.0.as_chunks_mut::<LANES>();
            for values in whole {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *value = exp(*value - self.1);
                    *sum += *value;
                }
            }
            rest.iter_mut().for_each(|value| *value = exp(*value - self.1));
            sums.iter().chain(&*rest).sum()
        }
    }
    Arch::new().dispatch(ExpAll(values, most))
}

/// `exp` of what is not positive: the whole part of the base-2 exponent goes into a float's
/// exponent bits, the rest through the Taylor series of `2^x`.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Adding this leaves a value's whole part, plus a float's bias, in the lowest bits.
    const SHIFT: f32 = 12_582_912.0 + 127.0;
    let power = (x * std::f32::consts::LOG2_E).max(-126.0);
    let shifted = power + SHIFT;
    let rest = power - (shifted - SHIFT);
    let mut series = 1.525_273_4e-5_f32;
    for term in [1.540_353e-4, 1.333_355_8e-3, 9.618_129e-3, 5.550_411e-2, 0.240_226_5] {
        series = series * rest + term;
    }
    series = (series * rest + std::f32::consts::LN_2) * rest + 1.0;
    series * f32::from_bits(shifted.to_bits() << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_exact_exponential() {
        for i in 0..2000 {
            let x = -f32::from(i as u16) * 0.043;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs();
            // What is far below the greatest adds next to nothing, and may be less exact.
            let share = 1e-6 + f64::from(-x) * 1.2e-7;
            assert!(error <= exact * share + 1e-37, "{x}: {error}");
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn sums_and_greatest_look_at_every_value() {
        for length in [0, 1, 15, 16, 17, 100] {
            let values: Vec<f32> = (0..length).map(|i| -f32::from(i as u8) * 0.1).collect();
            let exact: f64 = values.iter().map(|v| f64::from(*v).exp()).sum();
            assert!((f64::from(exp_sum(&values, 0.0)) - exact).abs() <= exact * 1e-6);
            let mut powers = values.clone();
            assert!((f64::from(exp_all(&mut powers, 0.0)) - exact).abs() <= exact * 1e-6);
            assert!(powers.iter().zip(&values).all(|(power, value)| *power == exp(*value)));
            for at in 0..values.len() {
                let mut values = values.clone();
                values[at] = 7.0;
                assert_eq!(greatest(&values), 7.0);
            }
        }
        assert_eq!(greatest(&[]), f32::NEG_INFINITY);
    }
}
