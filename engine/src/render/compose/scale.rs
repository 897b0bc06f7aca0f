//! Separable resize of one plane, in whole numbers: rows across, then rows down. The plain code and
//! the one with SIMD do the same sums, so they agree to the bit, whatever the machine and the
//! number of threads.

use super::axis::{Axis, Filter, Grid, LANES};
use super::kernel::{self, Sixteen};
use super::sample::Sample;
use pulp::bytemuck;
use rayon::prelude::*;

/// Output rows that a thread makes in one go: their input rows fit a second-level cache.
const BAND: usize = 32;
/// Below this many samples threads cost more than they bring.
const ALONE: usize = 1 << 16;

/// A part of a plane to write: rows `y..y + height`, of each the samples `x..x + width`.
pub(super) struct Window<'a, T> {
    pub data: &'a mut [T],
    pub stride: usize,
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

/// An input plane.
#[derive(Clone, Copy)]
pub(super) struct Source<'a, T> {
    pub data: &'a [T],
    pub width: usize,
    pub height: usize,
}

impl<T> Source<'_, T> {
    fn row(&self, y: usize) -> &[T] {
        let y = y.min(self.height.saturating_sub(1));
        &self.data[y * self.width..(y + 1) * self.width]
    }
}

/// Fills `out` with `source` as `x` and `y` lay it. Copies where nothing changes.
pub(super) fn scale<I: Sample, O: Sample>(
    source: Source<'_, I>,
    x: &Grid,
    y: &Grid,
    out: Window<'_, O>,
) {
    if out.width == 0 || out.height == 0 || source.width == 0 || source.height == 0 {
        return;
    }
    let Window { data, stride, x: left, y: top, width, height } = out;
    let rows = &mut data[top * stride..(top + height) * stride];
    let alone = width * height < ALONE;
    if let (Some(dx), Some(dy)) = (x.shift(), y.shift()) {
        let copy = |(i, row): (usize, &mut [O])| {
            let from = &source.row(dy + i)[dx..dx + width];
            kernel::copy(from, &mut row[left..left + width]);
        };
        // Memory, not arithmetic, is the limit here: threads do not help.
        rows.chunks_mut(stride).enumerate().for_each(copy);
        return;
    }
    let across = x
        .shift()
        .map_or_else(|| Across::Sum(Axis::new(x, source.width, LANES)), |by| Across::Copy { by });
    let down = Axis::new(y, source.height, 1);
    let band = |kept: &mut Vec<Sixteen>, (n, rows): (usize, &mut [O])| {
        let first = n * BAND;
        let count = rows.len() / stride;
        let from = (first..first + count).map(|i| down.start[i] as usize).min().unwrap_or(0);
        let to = (first..first + count).map(|i| down.start[i] as usize + down.taps).max();
        let to = to.unwrap_or(0).clamp(from + 1, source.height.max(from + 1));
        let padded = width.div_ceil(16);
        kept.resize((to - from) * padded, bytemuck::Zeroable::zeroed());
        for (line, kept) in kept.chunks_mut(padded).enumerate() {
            let row = source.row(from + line);
            let kept = bytemuck::cast_slice_mut::<_, i16>(kept);
            match &across {
                Across::Copy { by } => kernel::lift(&row[*by..*by + width], kept),
                Across::Sum(axis) => kernel::across(row, axis, kept),
            }
        }
        for (i, row) in rows.chunks_mut(stride).enumerate() {
            let skipped = down.start[first + i] as usize - from;
            kernel::down(
                &kept[skipped * padded..],
                padded,
                down.of(first + i),
                &mut row[left..left + width],
            );
        }
    };
    if alone || rayon::current_num_threads() == 1 {
        let mut kept = Vec::new();
        rows.chunks_mut(stride * BAND).enumerate().for_each(|part| band(&mut kept, part));
    } else {
        rows.par_chunks_mut(stride * BAND).enumerate().for_each_init(Vec::new, band);
    }
}

enum Across {
    Copy { by: usize },
    Sum(Axis),
}

/// A plane of the same size, smoothed by a normal distribution of `sigma` samples.
pub(crate) fn smooth<T: Sample>(
    plane: &super::picture::Plane<T>,
    sigma: f64,
) -> super::picture::Plane<T> {
    let grid = |count: usize| Grid {
        first: 0.0,
        step: 1.0,
        count,
        low: 0,
        high: count,
        filter: Filter::Gauss(sigma.max(0.01)),
    };
    let (width, height) = (plane.width, plane.height);
    let mut made = super::picture::Plane::new(width, height, T::ZERO);
    let window = Window { data: &mut made.data, stride: width, x: 0, y: 0, width, height };
    let source = Source { data: &plane.data, width, height };
    scale(source, &grid(width), &grid(height), window);
    made
}
