//! Quarter turns, without loss, and free rotation.

use super::axis::cubic;
use super::picture::{Alpha, Plane, Yuv};
use super::sample::Sample;
use rayon::prelude::*;

/// A picture turned clockwise by so many quarters, and where its chroma lies then.
pub(super) fn quarters<T: Sample>(
    yuv: &Yuv<T>,
    turns: u8,
    (sx, sy): (f64, f64),
) -> (Yuv<T>, (f64, f64)) {
    // Chroma cells are two luma samples wide: what lay `s` from one edge lies `2 − s` from the other.
    let site = match turns {
        1 => (2.0 - sy, sx),
        2 => (2.0 - sx, 2.0 - sy),
        3 => (sy, 2.0 - sx),
        _ => (sx, sy),
    };
    let planes = [0, 1, 2].map(|i| plane(&yuv.planes[i], turns));
    let alpha = yuv.alpha.as_ref().map(|alpha| Alpha {
        luma: plane(&alpha.luma, turns),
        chroma: plane(&alpha.chroma, turns),
    });
    (Yuv { planes, alpha }, site)
}

fn plane<T: Sample>(from: &Plane<T>, turns: u8) -> Plane<T> {
    let (w, h) = (from.width, from.height);
    if turns == 2 {
        return Plane { width: w, height: h, data: from.data.iter().rev().copied().collect() };
    }
    let mut to = Plane::new(h, w, T::ZERO);
    // Rows and columns in blocks, so that what is read and what is written both stay in the cache.
    const BLOCK: usize = 32;
    to.data.par_chunks_mut(h * BLOCK).enumerate().for_each(|(n, rows)| {
        for block in (0..h).step_by(BLOCK) {
            for (i, row) in rows.chunks_mut(h).enumerate() {
                let y = n * BLOCK + i;
                for (x, to) in row.iter_mut().enumerate().skip(block).take(BLOCK) {
                    let at = if turns == 1 { (h - 1 - x) * w + y } else { x * w + (w - 1 - y) };
                    *to = from.data[at];
                }
            }
        }
    });
    to
}

/// A plane turned freely: `at` gives the place on the plane (in samples, centre of the first at 0)
/// and the coverage for each sample of the target; all are affine.
pub(super) struct Free {
    /// Place on the plane of target sample (0, 0), its change with x, and with y.
    pub place: [(f64, f64); 3],
    /// Steps between the phases of the filter.
    phases: Vec<[f32; 4]>,
}

const PHASES: usize = 256;

/// The cubic's weights of the samples from one before to two behind, at each place between two.
pub(super) fn phases() -> Vec<[f32; 4]> {
    let at = |i: usize| {
        let part = i as f64 / PHASES as f64;
        [-1.0, 0.0, 1.0, 2.0].map(|k: f64| cubic(k - part) as f32)
    };
    (0..=PHASES).map(at).collect()
}

impl Free {
    pub(super) fn new(place: [(f64, f64); 3]) -> Self {
        Self { place, phases: phases() }
    }

    /// The place on the plane of target sample `(x, y)`.
    #[inline(always)]
    fn at(&self, x: usize, y: usize) -> (f64, f64) {
        let [o, dx, dy] = self.place;
        (o.0 + dx.0 * x as f64 + dy.0 * y as f64, o.1 + dx.1 * x as f64 + dy.1 * y as f64)
    }

    /// The value there, by the cubic; beyond the edge the edge goes on. Inlined into what has the
    /// instructions to round: otherwise each rounding is a call.
    #[inline(always)]
    pub(super) fn sample<T: Sample>(&self, plane: &Plane<T>, x: usize, y: usize) -> f32 {
        let (px, py) = self.at(x, y);
        let (fx, fy) = (px.floor(), py.floor());
        let phase = |part: f64| &self.phases[((part * PHASES as f64 + 0.5) as usize).min(PHASES)];
        let (wx, wy) = (phase(px - fx), phase(py - fy));
        let (fx, fy) = (fx as i64, fy as i64);
        let (w, h) = (plane.width as i64, plane.height as i64);
        let mut sum = 0.0;
        if fx >= 1 && fy >= 1 && fx + 2 < w && fy + 2 < h {
            let first = (fy - 1) as usize * plane.width + (fx - 1) as usize;
            let inner = &plane.data[first..first + 3 * plane.width + 4];
            for (j, wy) in wy.iter().enumerate() {
                let four = &inner[j * plane.width..j * plane.width + 4];
                let across: f32 = four.iter().zip(wx).map(|(s, w)| s.to_i32() as f32 * w).sum();
                sum += across * wy;
            }
            return sum;
        }
        for (j, wy) in wy.iter().enumerate() {
            let row = plane.row((fy + j as i64 - 1).clamp(0, h - 1) as usize);
            let four = [0, 1, 2, 3].map(|i| row[(fx + i - 1).clamp(0, w - 1) as usize]);
            let across: f32 = four.iter().zip(wx).map(|(s, w)| s.to_i32() as f32 * w).sum();
            sum += across * wy;
        }
        sum
    }
}
