//! Into the middle of the first picture, then through to the next.

use super::smooth_step;
use crate::render::compose::{Plane, Sample};
use rayon::prelude::*;

/// The times of `xfade`'s `zoomin`: the first half enlarges, the second dissolves. Enlarged linearly
/// between samples, where `xfade` takes the nearest.
pub(super) fn zoom<T: Sample>(a: &Plane<T>, b: &Plane<T>, progress: f32, out: &mut Plane<T>) {
    let left = 1.0 - progress;
    let size = smooth_step(0.5, 1.0, left);
    let first = smooth_step(0.0, 0.5, left);
    let (width, last) = (a.width, a.height - 1);
    let place = |v: usize, length: usize| {
        let middle = (length as f32 - 1.0) / 2.0;
        (middle + (v as f32 - middle) * size).clamp(0.0, length as f32 - 1.0)
    };
    let columns: Vec<(usize, usize, f32)> = (0..width)
        .map(|x| {
            let at = place(x, width);
            (at as usize, (at as usize + 1).min(width - 1), at.fract())
        })
        .collect();
    let rows = out.data.par_chunks_mut(width).enumerate().with_min_len(16);
    rows.for_each(|(y, out)| {
        let at = place(y, last + 1);
        let (upper, lower) = (a.row(at as usize), a.row((at as usize + 1).min(last)));
        let part = at.fract();
        for ((out, b), (l, r, side)) in out.iter_mut().zip(b.row(y)).zip(&columns) {
            let across = |row: &[T]| {
                let (l, r) = (row[*l].to_i32() as f32, row[*r].to_i32() as f32);
                l + (r - l) * side
            };
            let (u, d) = (across(upper), across(lower));
            let zoomed = u + (d - u) * part;
            let b = b.to_i32() as f32;
            *out = T::from_i32((b + (zoomed - b) * first + 0.5) as i32);
        }
    });
}
