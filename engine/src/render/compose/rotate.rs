//! A layer at any angle: brought to its size upright (never larger than it is stored), then
//! sampled by the cubic at the places that the rotation gives, with soft edges.

use super::convert::wide;
use super::geometry::Area;
use super::layer::{Job, Rect};
use super::picture::{Plane, Yuv};
use super::sample::Sample;
use super::turn::Free;
use rayon::prelude::*;

/// See [`super::compose`].
pub(super) fn draw<I: Sample, O: Sample>(job: &Job<'_>, to: &mut Yuv<O>, from: &Yuv<I>) {
    let layer = job.layer;
    let (w, h) = layer.size;
    let picture = (layer.picture.width(), layer.picture.height());
    let crop = inside(layer.crop, picture);
    if !(w > 0.0 && h > 0.0 && crop.width > 0.0 && crop.height > 0.0) {
        return;
    }
    // Upright and no larger than stored: what enlarges is the sampling.
    let even = |v: f64| ((v / 2.0).ceil() * 2.0).max(2.0);
    let upright = (even(w.min(crop.width)), even(h.min(crop.height)));
    let canvas = (upright.0 as usize, upright.1 as usize);
    let middle = (upright.0 / 2.0, upright.1 / 2.0);
    let stored = (picture.0 as usize, picture.1 as usize);
    let Some(area) = Area::new(canvas, stored, middle, upright, crop) else { return };
    let theirs = layer.picture.tags.site.offset();
    let site = job.canvas.site;
    let grids = [&area.luma(), &area.chroma(site, theirs)];
    let made: Yuv<O> = job.finished(from, grids, canvas, (upright, (0.0, 0.0)));

    let (sin, cos) = layer.rotation.to_radians().sin_cos();
    // Canvas samples that it can touch.
    let reach =
        ((w * cos.abs() + h * sin.abs()) / 2.0 + 1.0, (w * sin.abs() + h * cos.abs()) / 2.0 + 1.0);
    let run = |centre: f64, reach: f64, most: usize| {
        let from = (centre - reach).floor().clamp(0.0, most as f64) as usize & !1;
        let to = ((centre + reach).ceil().clamp(0.0, most as f64) as usize).next_multiple_of(2);
        (from, to.min(most))
    };
    let (x0, x1) = run(layer.centre.0, reach.0, job.size.0);
    let (y0, y1) = run(layer.centre.1, reach.1, job.size.1);
    if x0 >= x1 || y0 >= y1 {
        return;
    }
    let shrink = (upright.0 / w, upright.1 / h);
    let offset = site.offset();
    for i in 0..3 {
        let half = usize::from(i > 0);
        let cell = (1 << half) as f64;
        let (ox, oy) = if half == 0 { (0.5, 0.5) } else { offset };
        // A target sample's place in the layer, in canvas lengths from its upper left corner.
        let within = |x: f64, y: f64| {
            let (dx, dy) = (x - layer.centre.0, y - layer.centre.1);
            (dx * cos + dy * sin + w / 2.0, -dx * sin + dy * cos + h / 2.0)
        };
        let first = within(x0 as f64 + ox, y0 as f64 + oy);
        // What a chroma sample covers are its four luma samples, wherever it lies among them.
        let middle = within(x0 as f64 + cell / 2.0, y0 as f64 + cell / 2.0);
        let on_plane =
            |(u, v): (f64, f64)| ((u * shrink.0 - ox) / cell, (v * shrink.1 - oy) / cell);
        let place = Free::new([
            on_plane(first),
            (cos * shrink.0, -sin * shrink.1),
            (sin * shrink.0, cos * shrink.1),
        ]);
        let own = made.alpha.as_ref().map(|a| if half == 0 { &a.luma } else { &a.chroma });
        let plane = &made.planes[i];
        let target = &mut to.planes[i];
        let stride = target.width;
        let (left, right) = (x0 >> half, x1 >> half);
        let rows = &mut target.data[(y0 >> half) * stride..(y1 >> half) * stride];
        let mut kept = to.alpha.as_mut().filter(|_| i < 2).map(|a| {
            let plane = if half == 0 { &mut a.luma } else { &mut a.chroma };
            plane.data[(y0 >> half) * stride..(y1 >> half) * stride].chunks_mut(stride)
        });
        let kept: Vec<Option<&mut [O]>> =
            (0..(y1 - y0) >> half).map(|_| kept.as_mut().and_then(Iterator::next)).collect();
        let lines = rows.par_chunks_mut(stride).zip(kept).enumerate().with_min_len(8);
        let strength =
            Strength { turn: (sin, cos), middle, cell, size: (w, h), all: layer.opacity };
        lines.for_each(|(y, (row, beneath))| {
            let row = &mut row[left..right];
            let beneath = beneath.map(|beneath| &mut beneath[left..right]);
            wide(Line { place: &place, plane, own, strength, y, row, beneath });
        });
    }
}

/// How much of a target sample the layer covers.
#[derive(Clone, Copy)]
struct Strength {
    /// Sine and cosine.
    turn: (f64, f64),
    /// The place of the first target sample's middle in the layer.
    middle: (f64, f64),
    /// Luma samples a target sample is wide.
    cell: f64,
    size: (f64, f64),
    all: f32,
}

impl Strength {
    #[inline(always)]
    fn at(&self, n: usize, y: usize) -> f32 {
        let ((sin, cos), cell) = (self.turn, self.cell);
        let soft = |d: f64, size: f64| {
            let inner = (d / cell + 0.5).min((size - d) / cell + 0.5);
            inner.clamp(0.0, size.min(1.0)) as f32
        };
        let (u, v) = (
            self.middle.0 + (cos * n as f64 + sin * y as f64) * cell,
            self.middle.1 + (cos * y as f64 - sin * n as f64) * cell,
        );
        soft(u, self.size.0) * soft(v, self.size.1) * self.all.min(1.0)
    }
}

/// A row of the target.
struct Line<'a, O> {
    place: &'a Free,
    plane: &'a Plane<O>,
    own: Option<&'a Plane<O>>,
    strength: Strength,
    y: usize,
    row: &'a mut [O],
    beneath: Option<&'a mut [O]>,
}

impl<O: Sample> pulp::WithSimd for Line<'_, O> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { place, plane, own, strength, y, row, mut beneath } = self;
        for (n, to) in row.iter_mut().enumerate() {
            let there = strength.at(n, y);
            if there <= 0.0 {
                continue;
            }
            let share = match own {
                Some(own) => there * (place.sample(own, n, y) / O::MAX as f32).clamp(0.0, 1.0),
                None => there,
            };
            let value = place.sample(plane, n, y) * there;
            let under = to.to_i32() as f32 * (1.0 - share);
            *to = O::from_i32((under + value + 0.5) as i32);
            if let Some(beneath) = beneath.as_mut().and_then(|beneath| beneath.get_mut(n)) {
                let grown = beneath.to_i32() as f32 * (1.0 - share);
                *beneath = O::from_i32((grown + share * O::MAX as f32 + 0.5) as i32);
            }
        }
    }
}

/// The part of `crop` that is on the picture.
pub(super) fn inside(crop: Rect, (w, h): (u32, u32)) -> Rect {
    let (x, y) = (crop.x.max(0.0), crop.y.max(0.0));
    Rect {
        x,
        y,
        width: (crop.x + crop.width).min(f64::from(w)) - x,
        height: (crop.y + crop.height).min(f64::from(h)) - y,
    }
}
