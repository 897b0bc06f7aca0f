//! What draws the eye in a small picture: what moves otherwise than the camera, and what stands out
//! from what is around it.

use super::path::Sight;

/// A picture of some hundred samples a side, all planes of the same size.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Small {
    pub width: usize,
    pub height: usize,
    /// Luma, Cb, Cr.
    pub planes: [Vec<u8>; 3],
}

/// How far the camera's own movement is looked for, in samples.
const PAN: i64 = 6;
/// Differences up to this are noise, in code values.
const NOISE: f64 = 6.0;
/// What stands out by less than this (squared code values, over the whole picture) stands out by
/// nothing.
const PLAIN: f64 = 25.0;
/// A mean difference above this, once the camera's movement is taken off, is another shot.
const CUT: f64 = 22.0;

/// What was seen in a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    pub x: Sight,
    pub y: Sight,
    /// Whether another shot begins here.
    pub cut: bool,
}

/// Where one would look in `now`, given what came before, if the part of it that can be shown is
/// `window` (shares of its width and height) large.
pub(super) fn look(before: Option<&Small>, now: &Small, window: (f64, f64)) -> Seen {
    let (moved, cut) = match before.filter(|b| (b.width, b.height) == (now.width, now.height)) {
        Some(before) => motion(before, now),
        None => (vec![0.0; now.width * now.height], false),
    };
    let moved = if cut { vec![0.0; moved.len()] } else { moved };
    let standing = standing_out(now);
    // What moves says more than what is merely bright; each counts by its own whole, so that a
    // large calm field does not outweigh a small thing that moves.
    let (total, still) = (moved.iter().sum::<f64>(), standing.iter().sum::<f64>());
    let share = |sum: f64| if sum > 0.0 { 1.0 / sum } else { 0.0 };
    // A few moving samples are a leaf, not a subject; nor is texture that is everywhere alike.
    let count = now.width.max(1) as f64 * now.height.max(1) as f64;
    let moving = (total / (count * NOISE) * 20.0).min(1.0);
    let standing_there = (still / (count * PLAIN)).min(1.0);
    let weights = (share(total) * 2.0 * moving, share(still) * (1.0 - 0.75 * moving));
    let strength = moving.max(standing_there);
    let mut columns = vec![0.0; now.width];
    let mut rows = vec![0.0; now.height];
    for (i, (moved, standing)) in moved.iter().zip(&standing).enumerate() {
        let weight = moved * weights.0 + standing * weights.1;
        columns[i % now.width] += weight;
        rows[i / now.width] += weight;
    }
    let sight = |weights: &[f64], window: f64| {
        let found = best(weights, window);
        Sight { sure: found.sure * strength, ..found }
    };
    Seen { x: sight(&columns, window.0), y: sight(&rows, window.1), cut }
}

/// The middle, as a share, of the window in which the weight lies most and most centrally.
fn best(weights: &[f64], window: f64) -> Sight {
    let n = weights.len();
    let total: f64 = weights.iter().sum();
    if n == 0 || total <= 0.0 {
        return Sight { place: 0.5, sure: 0.0 };
    }
    let half = (window * n as f64 / 2.0).max(1.0);
    let score = |middle: f64| -> f64 {
        let near = weights.iter().enumerate();
        near.map(|(i, w)| w * (1.0 - (i as f64 + 0.5 - middle).abs() / half).max(0.0)).sum()
    };
    let places = (0..=2 * n).map(|i| i as f64 / 2.0);
    let scores: Vec<(f64, f64)> = places.map(|at| (at, score(at))).collect();
    let most = scores.iter().fold(0.0f64, |most, (_, s)| most.max(*s));
    // The middle of all that are as good: a subject smaller than the window.
    let good = || scores.iter().filter(|(_, s)| *s >= most * 0.999);
    let count = good().count().max(1) as f64;
    let place = good().map(|(at, _)| at).sum::<f64>() / count / n as f64;
    // How much more lies there than would if it were spread evenly.
    let even = total * half / n as f64;
    Sight { place, sure: ((most / even - 1.0) / 2.0).clamp(0.0, 1.0) }
}

/// How much each sample changed other than by the camera's movement, and whether all of it did.
fn motion(before: &Small, now: &Small) -> (Vec<f64>, bool) {
    let (w, h) = (now.width as i64, now.height as i64);
    let (a, b) = (&before.planes[0], &now.planes[0]);
    // Every other sample is enough to find the movement of the whole.
    let apart = |dx: i64, dy: i64| -> f64 {
        let (mut sum, mut count) = (0.0, 0u32);
        for y in (dy.max(0)..h.min(h + dy)).step_by(2) {
            for x in (dx.max(0)..w.min(w + dx)).step_by(2) {
                let d = f64::from(b[(y * w + x) as usize])
                    - f64::from(a[((y - dy) * w + x - dx) as usize]);
                // Bounded, so that a large subject does not pass for the camera.
                sum += d.abs().min(40.0);
                count += 1;
            }
        }
        sum / f64::from(count.max(1))
    };
    let still = apart(0, 0);
    let mut pan = (0, 0, still);
    for dy in -PAN..=PAN {
        for dx in -PAN..=PAN {
            let found = apart(dx, dy);
            // Standing still unless moving explains clearly more.
            if found < pan.2 && found < still * 0.8 - 0.2 {
                pan = (dx, dy, found);
            }
        }
    }
    let (dx, dy, rest) = pan;
    let mut made = vec![0.0; (w * h) as usize];
    for y in dy.max(0)..h.min(h + dy) {
        for x in dx.max(0)..w.min(w + dx) {
            // The nearest match within one sample: the camera does not move by whole samples.
            let value = f64::from(b[(y * w + x) as usize]);
            let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
            for v in -1..=1 {
                for u in -1..=1 {
                    let (px, py) = ((x - dx + u).clamp(0, w - 1), (y - dy + v).clamp(0, h - 1));
                    let other = f64::from(a[(py * w + px) as usize]);
                    (low, high) = (low.min(other), high.max(other));
                }
            }
            let d = (low - value).max(value - high).max(0.0);
            made[(y * w + x) as usize] = (d - NOISE).max(0.0);
        }
    }
    (made, rest > CUT)
}

/// How much each sample differs from what is around it (a box of a third of the picture), in luma
/// and, counting more, in colour from the picture's mean.
fn standing_out(now: &Small) -> Vec<f64> {
    let (w, h) = (now.width, now.height);
    let sums = integral(&now.planes[0], w, h);
    let (rx, ry) = ((w / 6).max(1), (h / 6).max(1));
    let mean =
        |plane: &[u8]| plane.iter().map(|v| f64::from(*v)).sum::<f64>() / plane.len().max(1) as f64;
    let (cb, cr) = (mean(&now.planes[1]), mean(&now.planes[2]));
    let mut made = vec![0.0; w * h];
    for y in 0..h {
        let (top, bottom) = (y.saturating_sub(ry), (y + ry + 1).min(h));
        for x in 0..w {
            let (left, right) = (x.saturating_sub(rx), (x + rx + 1).min(w));
            let at = |x: usize, y: usize| sums[y * (w + 1) + x];
            let sum = at(right, bottom) + at(left, top) - at(left, bottom) - at(right, top);
            let around = sum as f64 / ((right - left) * (bottom - top)) as f64;
            let i = y * w + x;
            let luma = (f64::from(now.planes[0][i]) - around).abs();
            let (u, v) = (f64::from(now.planes[1][i]) - cb, f64::from(now.planes[2][i]) - cr);
            let all = luma + 1.5 * u.hypot(v);
            // Squared: texture everywhere is nothing in particular.
            made[i] = (all - 2.0 * NOISE).max(0.0).powi(2);
        }
    }
    made
}

fn integral(plane: &[u8], w: usize, h: usize) -> Vec<i64> {
    let mut sums = vec![0i64; (w + 1) * (h + 1)];
    for y in 0..h {
        let mut row = 0;
        for x in 0..w {
            row += i64::from(plane[y * w + x]);
            sums[(y + 1) * (w + 1) + x + 1] = sums[y * (w + 1) + x + 1] + row;
        }
    }
    sums
}
