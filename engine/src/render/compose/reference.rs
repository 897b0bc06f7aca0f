//! The oracle: what [`super::compose`] should give, sample by sample, in floating point, written
//! for plainness and not for speed.

use super::axis::{Filter, Grid, exact};
use super::convert::{Codes, to_rgb, to_ycc};
use super::geometry::Area;
use super::{ColourTags, Layer, Picture, Planes, hdr};

/// A picture as numbers: luma, Cb, Cr, coverage for luma and for chroma.
#[derive(Clone)]
pub(super) struct Exact {
    pub width: usize,
    pub height: usize,
    pub planes: [Vec<f64>; 3],
    pub alpha: Option<[Vec<f64>; 2]>,
}

impl Exact {
    pub(super) fn of(picture: &Picture) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let (planes, alpha) = match &picture.planes {
            Planes::Eight(yuv) => (
                [0, 1, 2].map(|i| numbers(&yuv.planes[i].data, 1.0)),
                yuv.alpha.as_ref().map(|a| [&a.luma, &a.chroma].map(|p| numbers(&p.data, 255.0))),
            ),
            Planes::Ten(yuv) => (
                [0, 1, 2].map(|i| numbers(&yuv.planes[i].data, 1.0)),
                yuv.alpha.as_ref().map(|a| [&a.luma, &a.chroma].map(|p| numbers(&p.data, 1023.0))),
            ),
        };
        Self { width, height, planes, alpha }
    }
}

fn numbers<T: Copy + Into<f64>>(data: &[T], unit: f64) -> Vec<f64> {
    data.iter().map(|v| (*v).into() / unit).collect()
}

/// The value of `plane` (rows of `width`) where column `i` of `x` and row `j` of `y` lie.
pub(super) fn resampled(
    plane: &[f64],
    width: usize,
    x: &Grid,
    i: usize,
    y: &Grid,
    j: usize,
) -> f64 {
    let (mut across, mut down) = (Vec::new(), Vec::new());
    let (first, top) = (exact(x, i, &mut across), exact(y, j, &mut down));
    let mut sum = 0.0;
    for (k, wy) in down.iter().enumerate() {
        for (l, wx) in across.iter().enumerate() {
            sum += wx * wy * plane[(top + k) * width + first + l];
        }
    }
    sum
}

/// Chroma at luma sample `(x, y)`, between the nearest four.
fn chroma_at(plane: &[f64], (w, h): (usize, usize), x: usize, y: usize, site: (f64, f64)) -> f64 {
    let at = |v: usize, offset: f64| (v as f64 + 0.5 - offset) / 2.0;
    let (px, py) = (at(x, site.0), at(y, site.1));
    let pick = |x: f64, y: f64| {
        plane[(y.clamp(0.0, h as f64 - 1.0) as usize) * w + x.clamp(0.0, w as f64 - 1.0) as usize]
    };
    let (fx, fy) = (px.floor(), py.floor());
    let mix = |a: f64, b: f64, t: f64| a + (b - a) * t;
    mix(
        mix(pick(fx, fy), pick(fx + 1.0, fy), px - fx),
        mix(pick(fx, fy + 1.0), pick(fx + 1.0, fy + 1.0), px - fx),
        py - fy,
    )
}

/// `codes` of `from` (with `own` codes) as codes of `to`, by matrix and range or through light.
pub(super) fn converted(
    codes: [f64; 3],
    from: (ColourTags, Codes),
    to: (ColourTags, Codes),
) -> [f64; 3] {
    if from.0.transfer != to.0.transfer {
        return hdr::exact(codes, from, to);
    }
    let read = |(zero, span): (f64, f64), v: f64| (v - zero) / span;
    let write = |(zero, span): (f64, f64), v: f64| zero + span * v;
    let ycc =
        [read(from.1.luma, codes[0]), read(from.1.chroma, codes[1]), read(from.1.chroma, codes[2])];
    let [y, cb, cr] = to_ycc(to_rgb(ycc, from.0.matrix), to.0.matrix);
    [write(to.1.luma, y), write(to.1.chroma, cb), write(to.1.chroma, cr)]
}

/// Lays `layer` (not rotated, without effects) on `canvas`.
pub(super) fn draw(canvas: &mut Exact, tags: ColourTags, depth: super::Depth, layer: &Layer<'_>) {
    let picture = Exact::of(layer.picture);
    let size = (canvas.width, canvas.height);
    let stored = (picture.width, picture.height);
    let Some(area) = Area::new(size, stored, layer.centre, layer.size, layer.crop) else { return };
    let theirs = layer.picture.tags.site.offset();
    let (luma, chroma) = (area.luma(), area.chroma(tags.site, theirs));
    let own = Codes::of(layer.picture.tags.full_range, layer.picture.depth());
    let target = Codes::of(tags.full_range, depth);
    let (w, h) = (area.x.count, area.y.count);
    let top = f64::from((1u32 << depth.bits()) - 1);
    assert_eq!(luma.0.filter, Filter::Cubic);
    // Scaled, in the layer's own codes.
    let plane = |data: &[f64], half: usize| -> Vec<f64> {
        let grid = if half == 0 { &luma } else { &chroma };
        let mut made = Vec::new();
        for j in 0..h >> half {
            for i in 0..w >> half {
                made.push(resampled(data, stored.0 >> half, &grid.0, i, &grid.1, j));
            }
        }
        made
    };
    let scaled: Vec<Vec<f64>> =
        (0..3).map(|i| plane(&picture.planes[i], usize::from(i > 0))).collect();
    let alpha: Option<Vec<Vec<f64>>> =
        picture.alpha.as_ref().map(|a| (0..2).map(|half| plane(&a[half], half)).collect());
    let site = tags.site.offset();
    for half in 0..2 {
        let (cw, ch) = (w >> half, h >> half);
        let (columns, rows) = (area.x.coverage(1 << half), area.y.coverage(1 << half));
        #[allow(clippy::needless_range_loop)]
        for j in 0..ch {
            for i in 0..cw {
                let at = j * cw + i;
                let a = alpha.as_ref().map_or(1.0, |a| a[half][at]).clamp(0.0, 1.0);
                let straight = |v: f64| if a > 1e-6 { v / a } else { 0.0 };
                let codes = if half == 0 {
                    let near =
                        |p: usize| straight(chroma_at(&scaled[p], (w / 2, h / 2), i, j, site));
                    [straight(scaled[0][at]), near(1), near(2)]
                } else {
                    let near = |y: usize| scaled[0][y * w + 2 * i];
                    let l = (near(2 * j) + near(2 * j + 1)) / 2.0;
                    [straight(l), straight(scaled[1][at]), straight(scaled[2][at])]
                };
                let made = converted(codes, (layer.picture.tags, own), (tags, target));
                let there = f64::from(columns[i] * rows[j] * layer.opacity.min(1.0));
                let stride = canvas.width >> half;
                let place = ((area.y.from >> half) + j) * stride + (area.x.from >> half) + i;
                for p in if half == 0 { 0..1 } else { 1..3 } {
                    let under = canvas.planes[p][place];
                    let over = made[p].clamp(0.0, top) * a;
                    canvas.planes[p][place] = under * (1.0 - a * there) + over * there;
                }
            }
        }
    }
}
