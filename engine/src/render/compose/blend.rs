//! One plane laid over another.

use super::convert::wide;
use super::sample::Sample;
use super::scale::Source;
use rayon::prelude::*;

/// What is laid over: samples from `(x, y)` on of `samples`, with coverage where there is some.
pub(super) struct Over<'a, T> {
    pub samples: Source<'a, T>,
    pub alpha: Option<&'a [T]>,
    pub x: usize,
    pub y: usize,
}

/// How strongly: a weight for each column and each row, and one for all.
pub(super) struct Strength<'a> {
    pub columns: &'a [f32],
    pub rows: &'a [f32],
    pub opacity: f32,
}

/// Lays `over` on the part of `data` (rows `stride` long) that begins at `left`, `top`. The canvas
/// is opaque, unless `beneath` is its coverage: then that grows too.
pub(super) fn blend<T: Sample>(
    data: &mut [T],
    stride: usize,
    (left, top): (usize, usize),
    over: &Over<'_, T>,
    strength: &Strength<'_>,
) {
    let (width, height) = (strength.columns.len(), strength.rows.len());
    let from = over.samples;
    let rows = &mut data[top * stride..(top + height) * stride];
    let plain = strength.columns.iter().all(|c| *c >= 1.0);
    let line = |(i, row): (usize, &mut [T])| {
        let at = (over.y + i) * from.width + over.x;
        let all = strength.rows[i] * strength.opacity;
        if all <= 0.0 {
            return;
        }
        let samples = &from.data[at..at + width];
        let row = &mut row[left..left + width];
        let columns = (!plain).then_some(strength.columns);
        match over.alpha.map(|a| &a[at..at + width]) {
            Some(alpha) => wide(Covered { row, samples, alpha, columns, all }),
            None => wide(Opaque { row, samples, columns, all }),
        }
    };
    if width * height < 1 << 16 {
        rows.chunks_mut(stride).enumerate().for_each(line);
    } else {
        rows.par_chunks_mut(stride).enumerate().with_min_len(32).for_each(line);
    }
}

/// Samples looked at together for whether there is anything to do.
const STRIP: usize = 32;

struct Covered<'a, T> {
    row: &'a mut [T],
    samples: &'a [T],
    alpha: &'a [T],
    columns: Option<&'a [f32]>,
    all: f32,
}

impl<T: Sample> pulp::WithSimd for Covered<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { row, samples, alpha, columns, all } = self;
        let share = all / T::MAX as f32;
        let one = |to: &mut T, from: T, alpha: T, column: f32| {
            let under = to.to_i32() as f32 * (1.0 - alpha.to_i32() as f32 * (share * column));
            let value = under + from.to_i32() as f32 * (all * column);
            *to = T::from_i32((value + 0.5) as i32);
        };
        let strips = row.chunks_mut(STRIP).zip(samples.chunks(STRIP)).zip(alpha.chunks(STRIP));
        for (n, ((row, samples), alpha)) in strips.enumerate() {
            // Ink is sparse: most strips of a caption hold nothing.
            if alpha.iter().fold(0, |any, a| any | a.to_i32()) == 0 {
                continue;
            }
            match columns {
                None => {
                    for ((to, from), a) in row.iter_mut().zip(samples).zip(alpha) {
                        one(to, *from, *a, 1.0);
                    }
                }
                Some(columns) => {
                    let columns = &columns[n * STRIP..];
                    for (((to, from), a), c) in row.iter_mut().zip(samples).zip(alpha).zip(columns)
                    {
                        one(to, *from, *a, *c);
                    }
                }
            }
        }
    }
}

struct Opaque<'a, T> {
    row: &'a mut [T],
    samples: &'a [T],
    columns: Option<&'a [f32]>,
    all: f32,
}

impl<T: Sample> pulp::WithSimd for Opaque<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { row, samples, columns, all } = self;
        let one = |to: &mut T, from: T, weight: f32| {
            let under = to.to_i32() as f32;
            let value = under + (from.to_i32() as f32 - under) * weight;
            *to = T::from_i32((value + 0.5) as i32);
        };
        match columns {
            None if all >= 1.0 => row.copy_from_slice(samples),
            None => {
                for (to, from) in row.iter_mut().zip(samples) {
                    one(to, *from, all);
                }
            }
            Some(columns) => {
                for ((to, from), c) in row.iter_mut().zip(samples).zip(columns) {
                    one(to, *from, all * c);
                }
            }
        }
    }
}
