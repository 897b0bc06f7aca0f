//! Code values through a cube of sampled conversions: for the smooth ways into HDR and within it.

use super::convert::Codes;
use super::hdr::exact;
use super::light::Kind;
use super::picture::Depth;
use rayon::prelude::*;

/// Points a side of the table.
const SIDE: usize = 65;

/// Code values to code values, sampled, for tetrahedral interpolation.
pub(super) struct Table {
    /// Triples, luma slowest.
    points: Vec<[f32; 3]>,
    /// From a code value to a place in the table.
    step: f32,
}

impl Table {
    pub(super) fn new(from: Kind, to: Kind, depth: Depth) -> Self {
        let top = f64::from((1u32 << depth.bits()) - 1);
        let step = (SIDE - 1) as f64 / top;
        let source = Codes::moved(from.0.full_range, from.1, depth);
        let target = Codes::moved(to.0.full_range, to.1, depth);
        let (from, to) = (from.0, to.0);
        let points = (0..SIDE * SIDE * SIDE)
            .into_par_iter()
            .map(|i| {
                let at = [i / (SIDE * SIDE), i / SIDE % SIDE, i % SIDE];
                exact(at.map(|v| v as f64 / step), (from, source), (to, target)).map(|v| v as f32)
            })
            .collect();
        Self { points, step: step as f32 }
    }

    /// Its colours, luma slowest.
    #[cfg(any(test, feature = "cuda-kernels"))]
    pub(super) fn points(&self) -> &[[f32; 3]] {
        &self.points
    }

    /// Points a side, and from a code value to a place among them.
    #[cfg(any(test, feature = "cuda-kernels"))]
    pub(super) fn scale(&self) -> (usize, f32) {
        (SIDE, self.step)
    }

    /// Tetrahedral interpolation (Kasson, Plouffe, Nin 1993) at code values.
    pub(super) fn at(&self, codes: [f32; 3]) -> [f32; 3] {
        let place = codes.map(|v| (v * self.step).clamp(0.0, (SIDE - 1) as f32));
        let cell = place.map(|v| (v as usize).min(SIDE - 2));
        let part = [0, 1, 2].map(|i| place[i] - cell[i] as f32);
        crate::render::lut::tetrahedral(&self.points, SIDE, cell, part)
    }
}
