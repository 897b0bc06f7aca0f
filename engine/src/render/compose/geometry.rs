//! Where a layer's samples come to lie on the canvas.

use super::Rect;
use super::axis::{Filter, Grid};
use super::picture::ChromaSite;

/// A run of canvas columns (or rows) that a layer touches, and how they lie on its picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    /// First canvas sample, even.
    pub from: usize,
    /// Canvas samples, even.
    pub count: usize,
    /// Where the layer begins and ends on the canvas.
    edges: (f64, f64),
    /// The picture's part that is shown: its begin, and its samples for one of the canvas.
    begin: f64,
    step: f64,
    /// Samples of the picture that may be used.
    low: usize,
    high: usize,
}

impl Run {
    /// `None` where nothing of the layer is on the canvas.
    pub(super) fn new(
        (canvas, picture): (usize, usize),
        centre: f64,
        size: f64,
        (begin, length): (f64, f64),
    ) -> Option<Self> {
        // What lies within a ten-thousandth of a sample's edge is meant to lie on it.
        let snap = |v: f64| if (v - v.round()).abs() < 1e-4 { v.round() } else { v };
        let edges = (snap(centre - size / 2.0), snap(centre + size / 2.0));
        let end = (begin + length).min(picture as f64);
        let begin = begin.max(0.0);
        let sane = edges.0.is_finite() && edges.1.is_finite() && end - begin > 1e-6;
        let from = edges.0.floor().clamp(0.0, canvas as f64) as usize & !1;
        let to = (edges.1.ceil().clamp(0.0, canvas as f64) as usize).next_multiple_of(2);
        if !sane || edges.1 - edges.0 < 1e-6 || to.min(canvas) <= from {
            return None;
        }
        Some(Self {
            from,
            count: to.min(canvas) - from,
            edges,
            begin,
            step: (end - begin) / (edges.1 - edges.0),
            low: (begin + 1e-4).floor() as usize,
            high: ((end - 1e-4).ceil() as usize).clamp(1, picture),
        })
    }

    /// Luma: canvas samples on picture samples.
    pub(super) fn luma(&self) -> Grid {
        let place = self.begin + (self.from as f64 + 0.5 - self.edges.0) * self.step;
        Grid {
            first: place - 0.5,
            step: self.step,
            count: self.count,
            low: self.low,
            high: self.high,
            filter: Filter::Cubic,
        }
    }

    /// Chroma, whose first sample lies at `own` on the canvas and at `theirs` on the picture, in
    /// luma samples from the edge.
    pub(super) fn chroma(&self, own: f64, theirs: f64) -> Grid {
        let place = self.begin + (self.from as f64 + own - self.edges.0) * self.step;
        let low = (self.low / 2).min(self.high.div_ceil(2) - 1);
        Grid {
            first: (place - theirs) / 2.0,
            step: self.step,
            count: self.count / 2,
            low,
            high: self.high.div_ceil(2),
            filter: Filter::Cubic,
        }
    }

    /// How much of each canvas sample the layer covers, `cell` luma samples wide each.
    pub(super) fn coverage(&self, cell: usize) -> Vec<f32> {
        let covered = |i: usize| {
            let left = (self.from + i * cell) as f64;
            let shared = self.edges.1.min(left + cell as f64) - self.edges.0.max(left);
            (shared / cell as f64).clamp(0.0, 1.0) as f32
        };
        (0..self.count / cell).map(covered).collect()
    }

    /// How far behind `from` it begins, and how far behind the last sample it ends.
    #[cfg(any(test, feature = "cuda-kernels"))]
    pub(super) fn ends(&self) -> [f32; 2] {
        let (from, to) = (self.from as f64, (self.from + self.count) as f64);
        [(self.edges.0 - from) as f32, (self.edges.1 - to) as f32]
    }

    /// Whether every sample that it touches is covered wholly.
    pub(super) fn is_whole(&self) -> bool {
        self.edges.0 <= self.from as f64 && self.edges.1 >= (self.from + self.count) as f64
    }
}

/// Both directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub x: Run,
    pub y: Run,
}

impl Area {
    pub(super) fn new(
        canvas: (usize, usize),
        picture: (usize, usize),
        centre: (f64, f64),
        size: (f64, f64),
        crop: Rect,
    ) -> Option<Self> {
        Some(Self {
            x: Run::new((canvas.0, picture.0), centre.0, size.0, (crop.x, crop.width))?,
            y: Run::new((canvas.1, picture.1), centre.1, size.1, (crop.y, crop.height))?,
        })
    }

    pub(super) fn luma(&self) -> (Grid, Grid) {
        (self.x.luma(), self.y.luma())
    }

    pub(super) fn chroma(&self, own: ChromaSite, theirs: (f64, f64)) -> (Grid, Grid) {
        let own = own.offset();
        (self.x.chroma(own.0, theirs.0), self.y.chroma(own.1, theirs.1))
    }

    pub(super) fn is_whole(&self) -> bool {
        self.x.is_whole() && self.y.is_whole()
    }
}
