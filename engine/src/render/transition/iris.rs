//! Soft edges of a shape that grows or shrinks.

use super::smooth_step;
use crate::render::compose::{Plane, Sample};
use rayon::prelude::*;

/// `out` is `b` where `share` is 1 and `a` where it is 0.
fn shaped<T: Sample>(
    a: &Plane<T>,
    b: &Plane<T>,
    out: &mut Plane<T>,
    share: impl Fn(f32, f32) -> f32 + Sync,
) {
    let width = a.width;
    let rows = out.data.par_chunks_mut(width).zip(a.data.par_chunks(width));
    let rows = rows.zip(b.data.par_chunks(width)).enumerate().with_min_len(16);
    rows.for_each(|(y, ((out, a), b))| {
        for (x, ((out, a), b)) in out.iter_mut().zip(a).zip(b).enumerate() {
            let share = share(x as f32, y as f32);
            let (a, b) = (a.to_i32() as f32, b.to_i32() as f32);
            *out = T::from_i32((a + (b - a) * share + 0.5) as i32);
        }
    });
}

/// A circle about the middle; `closes` shrinks `a` instead of growing `b`. The shape of `xfade`'s
/// `circleopen` and `circleclose`.
pub(super) fn circle<T: Sample>(
    a: &Plane<T>,
    b: &Plane<T>,
    progress: f32,
    closes: bool,
    out: &mut Plane<T>,
) {
    // In whole samples, as `xfade` counts.
    let middle = ((a.width / 2) as f32, (a.height / 2) as f32);
    let far = middle.0.hypot(middle.1);
    let grown = (0.5 - if closes { 1.0 - progress } else { progress }) * 3.0;
    shaped(a, b, out, |x, y| {
        let at = (x - middle.0).hypot(y - middle.1) / far + grown;
        let outside = smooth_step(0.0, 1.0, at);
        if closes { outside } else { 1.0 - outside }
    });
}

/// Two halves that open from the middle column; the shape of `xfade`'s `vertopen`.
pub(super) fn barn_door<T: Sample>(a: &Plane<T>, b: &Plane<T>, progress: f32, out: &mut Plane<T>) {
    let middle = (a.width / 2) as f32;
    shaped(a, b, out, |x, _| {
        let at = 2.0 - ((x - middle) / middle).abs() - (1.0 - progress) * 2.0;
        smooth_step(0.0, 1.0, at)
    });
}

/// A hand that turns clockwise from twelve, with a soft edge of a twentieth of a turn.
pub(super) fn clock<T: Sample>(a: &Plane<T>, b: &Plane<T>, progress: f32, out: &mut Plane<T>) {
    const SOFT: f32 = 0.05;
    let middle = ((a.width as f32 - 1.0) / 2.0, (a.height as f32 - 1.0) / 2.0);
    // Chroma's plane has another shape only where its samples are not square; it has not.
    let hand = progress * (1.0 + SOFT);
    shaped(a, b, out, |x, y| {
        let turn = (x - middle.0).atan2(middle.1 - y) / std::f32::consts::TAU;
        let turn = if turn < 0.0 { turn + 1.0 } else { turn };
        smooth_step(0.0, SOFT, hand - turn)
    });
}
