//! Straight edges that move: pieces of rows are copied, nothing is computed.

use super::Direction;
use crate::render::compose::{Plane, Sample};

/// Samples of a side of `length` that the next picture has after `progress`; what is left of the
/// first is rounded down, as `xfade` does it.
fn moved(length: usize, progress: f32) -> usize {
    length - ((length as f32 * (1.0 - progress)) as usize).min(length)
}

/// Copies columns `from` on of `source` to columns `to` on, `count` of them, in row `y`.
fn piece<T: Sample>(
    source: &Plane<T>,
    (from, from_y): (usize, usize),
    out: &mut Plane<T>,
    (to, to_y): (usize, usize),
    count: usize,
) {
    out.row_mut(to_y)[to..to + count].copy_from_slice(&source.row(from_y)[from..from + count]);
}

/// Both stand still, the edge moves in `direction`.
pub(super) fn wipe<T: Sample>(
    a: &Plane<T>,
    b: &Plane<T>,
    progress: f32,
    direction: Direction,
    out: &mut Plane<T>,
) {
    let (w, h) = (a.width, a.height);
    for y in 0..h {
        // Columns that `b` has in this row.
        let (from, to) = match direction {
            Direction::Left => (w - moved(w, progress), w),
            Direction::Right => (0, moved(w, progress)),
            Direction::Up if y >= h - moved(h, progress) => (0, w),
            Direction::Down if y < moved(h, progress) => (0, w),
            Direction::Up | Direction::Down => (0, 0),
        };
        piece(a, (0, y), out, (0, y), from);
        piece(b, (from, y), out, (from, y), to - from);
        piece(a, (to, y), out, (to, y), w - to);
    }
}

/// `b` comes in over `a`, which stands.
pub(super) fn slide<T: Sample>(
    a: &Plane<T>,
    b: &Plane<T>,
    progress: f32,
    direction: Direction,
    out: &mut Plane<T>,
) {
    both(a, b, progress, direction, false, out);
}

/// `b` comes in and pushes `a` out.
pub(super) fn push<T: Sample>(
    a: &Plane<T>,
    b: &Plane<T>,
    progress: f32,
    direction: Direction,
    out: &mut Plane<T>,
) {
    both(a, b, progress, direction, true, out);
}

fn both<T: Sample>(
    a: &Plane<T>,
    b: &Plane<T>,
    progress: f32,
    direction: Direction,
    pushes: bool,
    out: &mut Plane<T>,
) {
    let (w, h) = (a.width, a.height);
    let (across, down) = (moved(w, progress), moved(h, progress));
    let shift = |by: usize| if pushes { by } else { 0 };
    for y in 0..h {
        match direction {
            Direction::Left => {
                piece(a, (shift(across), y), out, (0, y), w - across);
                piece(b, (0, y), out, (w - across, y), across);
            }
            Direction::Right => {
                piece(b, (w - across, y), out, (0, y), across);
                piece(a, (across - shift(across), y), out, (across, y), w - across);
            }
            Direction::Up if y < h - down => piece(a, (0, y + shift(down)), out, (0, y), w),
            Direction::Up => piece(b, (0, y + down - h), out, (0, y), w),
            Direction::Down if y >= down => piece(a, (0, y - shift(down)), out, (0, y), w),
            Direction::Down => piece(b, (0, y + h - down), out, (0, y), w),
        }
    }
}
