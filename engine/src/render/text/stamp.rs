//! Coverage of shapes: drawn from outlines, softened, moved, joined and cut.

use crate::render::compose::MAX_SIDE;
use swash::zeno::{Command, Join, Mask, Placement, Stroke, Style, Transform};

/// Coverage of one shape.
#[derive(Clone)]
pub(crate) struct Stamp {
    pub(super) mask: Vec<u8>,
    pub(super) place: Placement,
}

/// Coverage of `path` moved by `to`, filled, or widened by `stroke` on both sides of its line.
pub(crate) fn stamp(path: &[Command], to: Transform, stroke: Option<f32>) -> Option<Stamp> {
    let mut mask = Mask::new(path);
    let mut pen = Stroke::new(2.0 * stroke.unwrap_or(0.0));
    pen.join(Join::Round);
    // The pen keeps its width whatever the path is scaled by.
    pen.scale(false);
    if stroke.is_some() {
        mask.style(Style::Stroke(pen));
    }
    let (mask, place) = mask.transform(Some(to)).render();
    let sane = place.width > 0 && place.height > 0 && place.width.max(place.height) <= 2 * MAX_SIDE;
    sane.then_some(Stamp { mask, place })
}

impl Stamp {
    /// The same, softened by `sigma` and moved.
    pub(super) fn softened(&self, sigma: f64, (dx, dy): (i32, i32)) -> Self {
        let mut place = self.place;
        place.left += dx;
        place.top += dy;
        if sigma < 0.2 {
            return Self { mask: self.mask.clone(), place };
        }
        if sigma > WIDE {
            return boxed(&Self { mask: self.mask.clone(), place }, sigma);
        }
        let reach = (3.0 * sigma).ceil().min(200.0) as usize;
        let weights: Vec<f32> = (0..=2 * reach)
            .map(|i| {
                let x = (i as f64 - reach as f64) / sigma;
                (-0.5 * x * x).exp() as f32
            })
            .collect();
        let sum: f32 = weights.iter().sum();
        let (w, h) = (place.width as usize, place.height as usize);
        let (wide, high) = (w + 2 * reach, h + 2 * reach);
        let mut across = vec![0.0f32; wide * h];
        for y in 0..h {
            for x in 0..w {
                let value = f32::from(self.mask[y * w + x]);
                if value > 0.0 {
                    for (k, weight) in weights.iter().enumerate() {
                        across[y * wide + x + k] += value * weight / sum;
                    }
                }
            }
        }
        let mut both = vec![0.0f32; wide * high];
        for y in 0..h {
            for (k, weight) in weights.iter().enumerate() {
                let (from, to) = (y * wide, (y + k) * wide);
                for x in 0..wide {
                    both[to + x] += across[from + x] * weight / sum;
                }
            }
        }
        place.left -= reach as i32;
        place.top -= reach as i32;
        place.width = wide as u32;
        place.height = high as u32;
        Self { mask: both.into_iter().map(|v| (v + 0.5) as u8).collect(), place }
    }

    /// Softened `times` by the weights 1, 2, 1 in both directions, which is what ASS's `\\be` is.
    pub(super) fn edge_softened(&self, times: u32) -> Self {
        let mut own = self.clone();
        for _ in 0..times {
            let (w, h) = (own.place.width as usize, own.place.height as usize);
            let (wide, high) = (w + 2, h + 2);
            let mut across = vec![0u16; wide * h];
            for y in 0..h {
                for x in 0..w {
                    let value = u16::from(own.mask[y * w + x]);
                    let at = y * wide + x;
                    across[at] += value;
                    across[at + 1] += 2 * value;
                    across[at + 2] += value;
                }
            }
            let row = |y: usize, x: usize| across.get(y * wide + x).copied().unwrap_or(0);
            let mut mask = vec![0u8; wide * high];
            for y in 0..high {
                for x in 0..wide {
                    let above = if y >= 2 { row(y - 2, x) } else { 0 };
                    let middle = if (1..=h).contains(&y) { row(y - 1, x) } else { 0 };
                    let below = if y < h { row(y, x) } else { 0 };
                    mask[y * wide + x] = ((above + 2 * middle + below + 8) / 16).min(255) as u8;
                }
            }
            let Placement { left, top, .. } = own.place;
            let place =
                Placement { left: left - 1, top: top - 1, width: wide as u32, height: high as u32 };
            own = Self { mask, place };
        }
        own
    }

    /// The same, moved by parts of samples.
    pub(super) fn moved(&self, dx: f64, dy: f64) -> Self {
        let (whole_x, whole_y) = (dx.floor(), dy.floor());
        let (part_x, part_y) = ((dx - whole_x) as f32, (dy - whole_y) as f32);
        let mut place = self.place;
        place.left = place.left.saturating_add(whole_x as i32);
        place.top = place.top.saturating_add(whole_y as i32);
        if part_x < 1.0 / 64.0 && part_y < 1.0 / 64.0 {
            return Self { mask: self.mask.clone(), place };
        }
        let (w, h) = (place.width as usize, place.height as usize);
        let mut mask = vec![0u8; (w + 1) * (h + 1)];
        let at = |x: usize, y: usize| -> f32 {
            if x < w && y < h { f32::from(self.mask[y * w + x]) } else { 0.0 }
        };
        for y in 0..=h {
            for x in 0..=w {
                // `wrapping_sub` gives a place that is outside, which is empty.
                let row = |y: usize| at(x, y) * (1.0 - part_x) + at(x.wrapping_sub(1), y) * part_x;
                let value = row(y) * (1.0 - part_y) + row(y.wrapping_sub(1)) * part_y;
                mask[y * (w + 1) + x] = (value + 0.5) as u8;
            }
        }
        place.width += 1;
        place.height += 1;
        Self { mask, place }
    }

    /// Coverage where it was, each sample multiplied by what `share` gives for its place (0 to 255).
    pub(super) fn times(mut self, share: impl Fn(i32, i32) -> u8) -> Self {
        let width = self.place.width.max(1) as usize;
        for (y, row) in self.mask.chunks_mut(width).enumerate() {
            for (x, value) in row.iter_mut().enumerate() {
                if *value > 0 {
                    let by = share(self.place.left + x as i32, self.place.top + y as i32);
                    *value = ((u16::from(*value) * u16::from(by) + 127) / 255) as u8;
                }
            }
        }
        self
    }

    /// Coverage at a place of the canvas.
    pub(super) fn at(&self, x: i32, y: i32) -> u8 {
        let (x, y) = (x - self.place.left, y - self.place.top);
        let inside = x >= 0 && y >= 0 && x < self.place.width as i32;
        let row = (y as usize).saturating_mul(self.place.width as usize);
        if inside { self.mask.get(row + x as usize).copied().unwrap_or(0) } else { 0 }
    }

    /// A border without what it surrounds, as libass cuts it (`ass_fix_outline`): half of the inner
    /// coverage goes at shared edges, so that no seam shows.
    pub(super) fn around(self, inner: &Self) -> Self {
        let mut own = self;
        let width = own.place.width.max(1) as usize;
        let (left, top) = (own.place.left, own.place.top);
        for (y, row) in own.mask.chunks_mut(width).enumerate() {
            for (x, value) in row.iter_mut().enumerate() {
                let inner = inner.at(left + x as i32, top + y as i32);
                *value = if *value > inner { *value - inner / 2 } else { 0 };
            }
        }
        own
    }

    /// Two shapes that touch, as one: what both cover in part is covered by more than either does.
    pub(super) fn united(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        let (a, b) = match (a, b) {
            (Some(a), Some(b)) => (a, b),
            (a, b) => return a.or(b),
        };
        let place = bounds([a.place, b.place].into_iter())?;
        let mut mask = Vec::with_capacity(place.width as usize * place.height as usize);
        for y in 0..place.height as i32 {
            for x in 0..place.width as i32 {
                let (x, y) = (place.left + x, place.top + y);
                let free = u16::from(255 - a.at(x, y)) * u16::from(255 - b.at(x, y));
                mask.push(255 - ((free + 127) / 255) as u8);
            }
        }
        Some(Self { mask, place })
    }

    /// Both together, the stronger one at each sample.
    pub(super) fn joined(stamps: &[Self]) -> Option<Self> {
        let place = bounds(stamps.iter().map(|s| s.place))?;
        let (w, h) = (place.width as usize, place.height as usize);
        let mut mask = vec![0u8; w * h];
        for stamp in stamps {
            let own = stamp.place.width as usize;
            let left = (stamp.place.left - place.left) as usize;
            let top = (stamp.place.top - place.top) as usize;
            for (y, row) in stamp.mask.chunks(own).enumerate() {
                let to = &mut mask[(top + y) * w + left..][..own];
                for (to, from) in to.iter_mut().zip(row) {
                    *to = (*to).max(*from);
                }
            }
        }
        Some(Self { mask, place })
    }
}

pub(super) fn bounds(places: impl Iterator<Item = Placement>) -> Option<Placement> {
    let mut all: Option<(i32, i32, i32, i32)> = None;
    for p in places {
        let own = (p.left, p.top, p.left + p.width as i32, p.top + p.height as i32);
        all = Some(match all {
            None => own,
            Some(a) => (a.0.min(own.0), a.1.min(own.1), a.2.max(own.2), a.3.max(own.3)),
        });
    }
    let (l, t, r, b) = all?;
    Some(Placement { left: l, top: t, width: (r - l) as u32, height: (b - t) as u32 })
}

/// Softer than this, three boxes are as good as the bell and cost the same however wide they are.
const WIDE: f64 = 8.0;

/// Three boxes in a row, in both directions, with the variance of a bell of `sigma`.
fn boxed(stamp: &Stamp, sigma: f64) -> Stamp {
    let width = (4.0 * sigma * sigma + 1.0).sqrt().min(400.0);
    let half = ((width - 1.0) / 2.0).round().max(1.0) as usize;
    let reach = 3 * half;
    let (w, h) = (stamp.place.width as usize, stamp.place.height as usize);
    let (wide, high) = (w + 2 * reach, h + 2 * reach);
    let mut all = vec![0.0f32; wide * high];
    for (y, row) in stamp.mask.chunks(w.max(1)).enumerate() {
        for (x, value) in row.iter().enumerate() {
            all[(y + reach) * wide + reach + x] = f32::from(*value);
        }
    }
    let mut line = vec![0.0f32; wide.max(high)];
    let mut pass = |start: usize, step: usize, length: usize, all: &mut [f32]| {
        let mut sum = 0.0f64;
        for i in 0..length + half {
            if i < length {
                sum += f64::from(all[start + i * step]);
            }
            if i > 2 * half {
                sum -= f64::from(all[start + (i - 2 * half - 1) * step]);
            }
            if i >= half {
                line[i - half] = (sum / (2 * half + 1) as f64) as f32;
            }
        }
        for (i, value) in line[..length].iter().enumerate() {
            all[start + i * step] = *value;
        }
    };
    for _ in 0..3 {
        for y in 0..high {
            pass(y * wide, 1, wide, &mut all);
        }
        for x in 0..wide {
            pass(x, wide, high, &mut all);
        }
    }
    let place = Placement {
        left: stamp.place.left - reach as i32,
        top: stamp.place.top - reach as i32,
        width: wide as u32,
        height: high as u32,
    };
    Stamp { mask: all.into_iter().map(|v| (v + 0.5) as u8).collect(), place }
}
