//! A picture with a place, and how it gets there.

use super::axis::Grid;
use super::blend::{Over, Strength, blend};
use super::convert::{Codes, Conversion};
use super::geometry::Area;
use super::kernel;
use super::picture::{Alpha, Depth, Picture, Plane, Planes, Yuv};
use super::rotate;
use super::sample::Sample;
use super::scale::{Source, Window, scale};
use super::turn;
use crate::render::effect::{self, Effect, View};
use std::borrow::Cow;

/// A rectangle, in samples; `x` and `y` are its upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl Rect {
    /// All of a picture of this size.
    pub fn of_size(width: u32, height: u32) -> Self {
        Self { x: 0.0, y: 0.0, width: f64::from(width), height: f64::from(height) }
    }
}

/// A picture to lay on a canvas.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// The picture.
    pub picture: &'a Picture,
    /// The part of it to show, in its luma samples; what reaches past the picture is cut off.
    pub crop: Rect,
    /// Where the middle of that part lies on the canvas, in luma samples.
    pub centre: (f64, f64),
    /// Width and height of that part on the canvas before the rotation, in luma samples.
    pub size: (f64, f64),
    /// Degrees, clockwise, about `centre`.
    pub rotation: f64,
    /// 0 (nothing) to 1.
    pub opacity: f32,
    /// Looks, in order, applied at the size on the canvas.
    pub effects: &'a [Effect],
}

impl<'a> Layer<'a> {
    /// All of `picture` at its own size, upper left corner at (`x`, `y`).
    pub fn at(picture: &'a Picture, x: f64, y: f64) -> Self {
        let crop = Rect::of_size(picture.width(), picture.height());
        Self {
            picture,
            crop,
            centre: (x + crop.width / 2.0, y + crop.height / 2.0),
            size: (crop.width, crop.height),
            rotation: 0.0,
            opacity: 1.0,
            effects: &[],
        }
    }
}

/// Lays `layers` on `canvas`, the first one lowest. Uses the threads of rayon's current pool; the
/// result does not depend on how many there are. Layers that are nowhere (no size, not a number,
/// off the canvas) change nothing.
pub fn compose(canvas: &mut Picture, layers: &[Layer<'_>]) {
    for layer in layers {
        draw(canvas, layer);
    }
}

fn draw(canvas: &mut Picture, layer: &Layer<'_>) {
    let sane = [layer.size.0, layer.size.1, layer.centre.0, layer.centre.1, layer.rotation]
        .iter()
        .all(|v| v.is_finite());
    if !sane || layer.opacity.is_nan() || layer.opacity <= 0.0 {
        return;
    }
    if let [Effect::Blur { sigma }] = layer.effects
        && let Some(small) = effect::small_enough(*sigma)
    {
        return draw_blurred(canvas, layer, *sigma, small);
    }
    let size = (canvas.width() as usize, canvas.height() as usize);
    let tags = canvas.tags;
    let depth = canvas.depth();
    // Bits are given up last: PQ in 8 bit would show its steps.
    let own = layer.picture.depth();
    let work = if own == Depth::Ten { Depth::Ten } else { depth };
    let conversion = Conversion::new((layer.picture.tags, own), (tags, depth), work);
    let job = Job { layer, size, canvas: tags, depth, conversion };
    match (&mut canvas.planes, &layer.picture.planes) {
        (Planes::Eight(to), Planes::Eight(from)) => job.run(to, from),
        (Planes::Eight(to), Planes::Ten(from)) => job.run(to, from),
        (Planes::Ten(to), Planes::Eight(from)) => job.run(to, from),
        (Planes::Ten(to), Planes::Ten(from)) => job.run(to, from),
    }
}

/// A wide blur leaves nothing that a picture `by` times smaller could not hold.
fn draw_blurred(canvas: &mut Picture, layer: &Layer<'_>, sigma: f64, by: f64) {
    let even = |v: f64| ((v / by / 2.0).ceil() * 2.0).clamp(2.0, 4096.0) as u32;
    let (w, h) = (even(layer.size.0), even(layer.size.1));
    let alpha = layer.picture.has_alpha();
    let Ok(mut small) = Picture::new(w, h, canvas.depth(), canvas.tags, alpha) else { return };
    let scaled = Layer {
        centre: (f64::from(w) / 2.0, f64::from(h) / 2.0),
        size: (f64::from(w), f64::from(h)),
        rotation: 0.0,
        opacity: 1.0,
        effects: &[],
        ..*layer
    };
    draw(&mut small, &scaled);
    let by = layer.size.0 / f64::from(w);
    effect::blur(&mut small.planes, sigma / by);
    let large = Layer { picture: &small, crop: Rect::of_size(w, h), effects: &[], ..*layer };
    draw(canvas, &large);
}

pub(super) struct Job<'a> {
    pub layer: &'a Layer<'a>,
    /// Of the canvas.
    pub size: (usize, usize),
    pub canvas: super::ColourTags,
    pub depth: Depth,
    pub conversion: Conversion,
}

impl Job<'_> {
    fn run<I: Sample, O: Sample>(&self, to: &mut Yuv<O>, from: &Yuv<I>) {
        let layer = self.layer;
        let turns = (layer.rotation / 90.0).round();
        let rest = layer.rotation - turns * 90.0;
        let turns = turns.rem_euclid(4.0) as u8;
        let site = layer.picture.tags.site.offset();
        if rest.abs() > 1e-6 {
            return rotate::draw(self, to, from);
        }
        let picture = (layer.picture.width() as usize, layer.picture.height() as usize);
        let (from, site, picture, size, crop) = if turns == 0 {
            (Cow::Borrowed(from), site, picture, layer.size, layer.crop)
        } else {
            let (made, site) = turn::quarters(from, turns, site);
            let turned = (made.planes[0].width, made.planes[0].height);
            let size = if turns == 2 { layer.size } else { (layer.size.1, layer.size.0) };
            (Cow::Owned(made), site, turned, size, turned_crop(layer.crop, picture, turns))
        };
        let Some(area) = Area::new(self.size, picture, layer.centre, size, crop) else { return };
        self.lay(to, &from, &area, site);
    }

    fn lay<I: Sample, O: Sample>(
        &self,
        to: &mut Yuv<O>,
        from: &Yuv<I>,
        area: &Area,
        site: (f64, f64),
    ) {
        let plain = self.layer.effects.is_empty() && self.conversion.is_nothing();
        let opaque = from.alpha.is_none() && self.layer.opacity >= 1.0 && area.is_whole();
        let luma = area.luma();
        let chroma = area.chroma(self.canvas.site, site);
        let (left, top) = (area.x.from, area.y.from);
        let (width, height) = (area.x.count, area.y.count);
        if plain && opaque {
            for (i, (to, from)) in to.planes.iter_mut().zip(&from.planes).enumerate() {
                let half = usize::from(i > 0);
                let grid = if i == 0 { &luma } else { &chroma };
                let stride = to.width;
                let window = Window {
                    data: &mut to.data,
                    stride,
                    x: left >> half,
                    y: top >> half,
                    width: width >> half,
                    height: height >> half,
                };
                scale(source(from), &grid.0, &grid.1, window);
            }
            cover(to, area);
            return;
        }
        // Ink that already has its size and place is blended from where it lies.
        if plain && let Some(from) = same_type::<I, O>(from) {
            let shifts = [luma.0.shift(), luma.1.shift(), chroma.0.shift(), chroma.1.shift()];
            if let [Some(x), Some(y), Some(cx), Some(cy)] = shifts {
                return self.blend(to, from, area, [(x, y), (cx, cy)]);
            }
        }
        let (grids, size) = ([&luma, &chroma], (width, height));
        let origin = (
            left as f64 - (self.layer.centre.0 - self.layer.size.0 / 2.0),
            top as f64 - (self.layer.centre.1 - self.layer.size.1 / 2.0),
        );
        let made: Yuv<O> = self.finished(from, grids, size, (self.layer.size, origin));
        self.blend(to, &made, area, [(0, 0), (0, 0)]);
    }

    /// `from` scaled, with its effects, in the canvas's colour and depth; effects are told the layer's
    /// whole size and where in it the scaled part begins.
    pub(super) fn finished<I: Sample, O: Sample>(
        &self,
        from: &Yuv<I>,
        grids: [&(Grid, Grid); 2],
        size: (usize, usize),
        (layer, origin): ((f64, f64), (f64, f64)),
    ) -> Yuv<O> {
        let (tags, own) = (self.layer.picture.tags, self.layer.picture.depth());
        let work = if I::MAX > O::MAX { own } else { self.depth };
        let codes = Codes::moved(tags.full_range, own, work);
        let view = &View { tags, codes, layer, origin };
        if I::MAX > O::MAX {
            let mut made: Yuv<I> = scaled(from, grids, size);
            self.change(&mut made, view);
            narrowed(&made)
        } else {
            let mut made = scaled(from, grids, size);
            self.change(&mut made, view);
            made
        }
    }

    fn change<T: Sample>(&self, made: &mut Yuv<T>, view: &View) {
        for effect in self.layer.effects {
            effect::apply(effect, made, view, self.canvas.site);
        }
        self.conversion.apply(made, self.canvas.site);
    }

    /// Blends `from`, samples `at` on (luma, chroma), over `area`.
    pub(super) fn blend<O: Sample>(
        &self,
        to: &mut Yuv<O>,
        from: &Yuv<O>,
        area: &Area,
        at: [(usize, usize); 2],
    ) {
        for i in 0..3 {
            let half = usize::from(i > 0);
            let (columns, rows) = (area.x.coverage(1 << half), area.y.coverage(1 << half));
            let strength =
                Strength { columns: &columns, rows: &rows, opacity: self.layer.opacity.min(1.0) };
            let alpha = from.alpha.as_ref().map(|a| if i == 0 { &a.luma } else { &a.chroma });
            let (x, y) = at[half];
            let samples = source(&from.planes[i]);
            let over = Over { samples, alpha: alpha.map(|a| &a.data[..]), x, y };
            let place = (area.x.from >> half, area.y.from >> half);
            let plane = &mut to.planes[i];
            blend(&mut plane.data, plane.width, place, &over, &strength);
        }
        let Some(beneath) = &mut to.alpha else { return };
        for (half, (x, y)) in at.into_iter().enumerate() {
            let (columns, rows) = (area.x.coverage(1 << half), area.y.coverage(1 << half));
            let strength =
                Strength { columns: &columns, rows: &rows, opacity: self.layer.opacity.min(1.0) };
            let plane = if half == 0 { &mut beneath.luma } else { &mut beneath.chroma };
            let own = from.alpha.as_ref().map(|a| if half == 0 { &a.luma } else { &a.chroma });
            let place = (area.x.from >> half, area.y.from >> half);
            // Coverage grows as a premultiplied sample would that is full everywhere.
            let full;
            let (samples, alpha) = match own {
                Some(own) => (source(own), Some(&own.data[..])),
                None => {
                    let like = &from.planes[half];
                    full = Plane::new(like.width, like.height, O::from_i32(O::MAX));
                    (source(&full), None)
                }
            };
            let over = Over { samples, alpha, x, y };
            blend(&mut plane.data, plane.width, place, &over, &strength);
        }
    }
}

/// Marks `area` of a canvas with coverage as fully covered.
fn cover<T: Sample>(to: &mut Yuv<T>, area: &Area) {
    let Some(alpha) = &mut to.alpha else { return };
    for (half, plane) in [&mut alpha.luma, &mut alpha.chroma].into_iter().enumerate() {
        let columns = area.x.from >> half..(area.x.from + area.x.count) >> half;
        for y in area.y.from >> half..(area.y.from + area.y.count) >> half {
            plane.row_mut(y)[columns.clone()].fill(T::from_i32(T::MAX));
        }
    }
}

pub(super) fn source<T>(plane: &Plane<T>) -> Source<'_, T> {
    Source { data: &plane.data, width: plane.width, height: plane.height }
}

/// A picture scaled to `size`, as the grids for luma and chroma lay it.
pub(super) fn scaled<I: Sample, O: Sample>(
    from: &Yuv<I>,
    grids: [&(Grid, Grid); 2],
    (width, height): (usize, usize),
) -> Yuv<O> {
    let plane = |from: &Plane<I>, half: usize| {
        let (width, height) = (width >> half, height >> half);
        let mut made = Plane::new(width, height, O::ZERO);
        let window = Window { data: &mut made.data, stride: width, x: 0, y: 0, width, height };
        scale(source(from), &grids[half].0, &grids[half].1, window);
        made
    };
    let alpha =
        from.alpha.as_ref().map(|a| Alpha { luma: plane(&a.luma, 0), chroma: plane(&a.chroma, 1) });
    let [y, u, v] = &from.planes;
    let mut made = Yuv { planes: [plane(y, 0), plane(u, 1), plane(v, 1)], alpha };
    if I::MAX != O::MAX
        && let Some(alpha) = &mut made.alpha
    {
        // 255 times four is not 1023: coverage is stretched to stay whole.
        for a in alpha.luma.data.iter_mut().chain(&mut alpha.chroma.data) {
            let full = (I::MAX << I::UP) >> O::UP;
            *a = O::from_i32((a.to_i32() * O::MAX + full / 2) / full.max(1));
        }
    }
    made
}

/// The same picture in the other depth.
fn narrowed<I: Sample, O: Sample>(from: &Yuv<I>) -> Yuv<O> {
    let plane = |from: &Plane<I>| {
        let mut made = Plane::new(from.width, from.height, O::ZERO);
        kernel::copy(&from.data, &mut made.data);
        made
    };
    let alpha = from.alpha.as_ref();
    let alpha = alpha.map(|a| Alpha { luma: plane(&a.luma), chroma: plane(&a.chroma) });
    Yuv { planes: [0, 1, 2].map(|i| plane(&from.planes[i])), alpha }
}

fn same_type<I: Sample, O: Sample>(yuv: &Yuv<I>) -> Option<&Yuv<O>> {
    (yuv as &dyn std::any::Any).downcast_ref::<Yuv<O>>()
}

/// Where `crop` lies after the picture was turned.
pub(super) fn turned_crop(crop: Rect, (w, h): (usize, usize), turns: u8) -> Rect {
    let (w, h) = (w as f64, h as f64);
    let (right, bottom) = (w - crop.x - crop.width, h - crop.y - crop.height);
    match turns {
        1 => Rect { x: bottom, y: crop.x, width: crop.height, height: crop.width },
        2 => Rect { x: right, y: bottom, ..crop },
        _ => Rect { x: crop.y, y: right, width: crop.height, height: crop.width },
    }
}
