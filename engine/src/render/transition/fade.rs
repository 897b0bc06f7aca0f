//! Weighted sums of whole pictures.

use super::smooth_step;
use crate::render::compose::{Plane, Sample, convert::wide};
use rayon::prelude::*;

/// `out = a + (b − a) × share + shift`, sample by sample, in whole numbers.
struct Sum<'a, T> {
    a: &'a [T],
    b: &'a [T],
    /// In 2¹⁴ths.
    weights: [i32; 2],
    shift: i32,
    out: &'a mut [T],
}

impl<T: Sample> pulp::WithSimd for Sum<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { a, b, weights: [wa, wb], shift, out } = self;
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            *out = T::from_i32((a.to_i32() * wa + b.to_i32() * wb + shift) >> 14);
        }
    }
}

/// `a × weights[0] + b × weights[1] + colour × the rest`.
fn sum<T: Sample>(a: &Plane<T>, b: &Plane<T>, weights: [f32; 2], colour: i32, out: &mut Plane<T>) {
    const ONE: i32 = 1 << 14;
    let weights = weights.map(|w| (w * ONE as f32).round() as i32);
    let rest = (ONE - weights[0] - weights[1]).max(0);
    let shift = colour * rest + ONE / 2;
    let part = 1 << 16;
    let parts = out.data.par_chunks_mut(part).zip(a.data.par_chunks(part));
    parts.zip(b.data.par_chunks(part)).for_each(|((out, a), b)| {
        wide(Sum { a, b, weights, shift, out });
    });
}

/// One through the other.
pub(super) fn dissolve<T: Sample>(a: &Plane<T>, b: &Plane<T>, progress: f32, out: &mut Plane<T>) {
    sum(a, b, [1.0 - progress, progress], 0, out);
}

/// Through one colour, each picture's part overlapping the other's by a little, as `xfade`'s
/// `fadeblack` has it.
pub(super) fn dip<T: Sample>(
    a: &Plane<T>,
    b: &Plane<T>,
    progress: f32,
    colour: i32,
    out: &mut Plane<T>,
) {
    const PHASE: f32 = 0.2;
    let left = 1.0 - progress;
    let first = smooth_step(1.0 - PHASE, 1.0, left) * left;
    let second = (1.0 - smooth_step(PHASE, 1.0, left)) * progress;
    sum(a, b, [first, second], colour, out);
}
