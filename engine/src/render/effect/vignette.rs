//! Darker towards the corners.

use super::View;
use crate::render::compose::{Plane, Sample, Yuv};
use rayon::prelude::*;

/// A vignette: an ellipse of the layer's shape keeps its light, the corners lose it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vignette {
    /// Share of the code value that the corners lose; 0 to 1.
    pub amount: f64,
    /// Where it begins, as a share of the way from the middle to a corner.
    pub radius: f64,
}

impl Vignette {
    /// What is left at a place in the layer (0 to 1 across and down): 1 within the radius, then a
    /// smooth fall to the corners.
    pub(super) fn left_at(&self, u: f64, v: f64) -> f64 {
        let far = ((u - 0.5).powi(2) + (v - 0.5).powi(2)).sqrt() / 0.5f64.sqrt();
        let radius = self.radius.clamp(0.0, 0.99);
        let t = ((far - radius) / (1.0 - radius)).clamp(0.0, 1.0);
        1.0 - self.amount.clamp(0.0, 1.0) * t * t * (3.0 - 2.0 * t)
    }

    pub(super) fn apply<T: Sample>(&self, yuv: &mut Yuv<T>, view: &View) {
        let alpha = yuv.alpha.as_ref();
        for (i, plane) in yuv.planes.iter_mut().enumerate() {
            let (zero, cell) =
                if i == 0 { (view.codes.luma.0, 1.0) } else { (view.codes.chroma.0, 2.0) };
            let covered = alpha.map(|a| if i == 0 { &a.luma } else { &a.chroma });
            self.plane(plane, covered, zero, cell, view);
        }
    }

    fn plane<T: Sample>(
        &self,
        plane: &mut Plane<T>,
        covered: Option<&Plane<T>>,
        zero: f64,
        cell: f64,
        view: &View,
    ) {
        let width = plane.width;
        let (w, h) = (view.layer.0.max(1.0), view.layer.1.max(1.0));
        plane.data.par_chunks_mut(width).enumerate().with_min_len(16).for_each(|(y, row)| {
            let v = (view.origin.1 + (y as f64 + 0.5) * cell) / h;
            for (x, value) in row.iter_mut().enumerate() {
                let u = (view.origin.0 + (x as f64 + 0.5) * cell) / w;
                let share =
                    covered.map_or(1.0, |c| f64::from(c.row(y)[x].to_i32()) / f64::from(T::MAX));
                let black = zero * share;
                let lit = black + (f64::from(value.to_i32()) - black) * self.left_at(u, v);
                *value = T::from_i32((lit + 0.5) as i32);
            }
        });
    }
}
