//! Outlines to a picture with coverage, as large as its ink.

use super::shape::{Glyph, Laid};
use super::{Backdrop, Rgba, Shadow, TextStyle};
use crate::error::Result;
use crate::render::compose::{ColourTags, Layer, MAX_SIDE, Picture};
use swash::zeno::{Command, Join, Mask, PathBuilder, Placement, Stroke, Style, Transform};

/// A picture of text with its place on the canvas; both even, so that it lies on whole chroma
/// samples and is blended from where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Ink {
    /// The text; premultiplied.
    pub picture: Picture,
    /// Left edge on the canvas.
    pub x: i32,
    /// Upper edge on the canvas.
    pub y: i32,
}

impl Ink {
    /// To lay on a canvas.
    pub fn layer(&self) -> Layer<'_> {
        Layer::at(&self.picture, f64::from(self.x), f64::from(self.y))
    }
}

/// Coverage of one shape.
#[derive(Clone)]
pub(crate) struct Stamp {
    mask: Vec<u8>,
    place: Placement,
}

/// Shapes in the order in which they are laid over each other.
#[derive(Default)]
pub(crate) struct Sheet {
    stamps: Vec<(Stamp, Rgba)>,
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
    fn softened(&self, sigma: f64, (dx, dy): (i32, i32)) -> Self {
        let mut place = self.place;
        place.left += dx;
        place.top += dy;
        if sigma < 0.2 {
            return Self { mask: self.mask.clone(), place };
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

    /// Both together, the stronger one at each sample.
    fn joined(stamps: &[Self]) -> Option<Self> {
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

fn bounds(places: impl Iterator<Item = Placement>) -> Option<Placement> {
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

impl Sheet {
    /// Lays a shape on top.
    pub(crate) fn add(&mut self, stamp: Option<Stamp>, colour: Rgba) {
        if let Some(stamp) = stamp
            && colour[3] > 0
        {
            self.stamps.push((stamp, colour));
        }
    }

    /// Lays the shadow of `stamps`, all as one.
    pub(crate) fn add_shadow(&mut self, stamps: &[Stamp], shadow: &Shadow) {
        let by = (shadow.offset.0.round() as i32, shadow.offset.1.round() as i32);
        let one = Stamp::joined(stamps).map(|s| s.softened(shadow.blur, by));
        self.add(one, shadow.colour);
    }

    /// Lays `stamps`, all as one, so that a colour that shines through does not do so twice where they
    /// overlap.
    pub(crate) fn add_joined(&mut self, stamps: &[Stamp], colour: Rgba) {
        self.add(Stamp::joined(stamps), colour);
    }

    /// What was laid, within a canvas of `canvas` samples; `None` where there is nothing.
    ///
    /// # Errors
    /// Where the picture cannot be made, which would be a defect.
    pub(crate) fn ink(&self, canvas: (u32, u32), tags: ColourTags) -> Result<Option<Ink>> {
        let Some(place) = bounds(self.stamps.iter().map(|(s, _)| s.place)) else { return Ok(None) };
        let cut = |from: i32, length: u32, most: u32| {
            let start = from.clamp(0, most as i32) & !1;
            let end = (from + length as i32).clamp(0, most as i32);
            (start, (end - start).max(0) as u32)
        };
        let (left, width) = cut(place.left, place.width, canvas.0);
        let (top, height) = cut(place.top, place.height, canvas.1);
        if width == 0 || height == 0 {
            return Ok(None);
        }
        let (w, h) = (width.next_multiple_of(2) as usize, height.next_multiple_of(2) as usize);
        let mut pixels = vec![[0.0f32; 4]; w * h];
        for (stamp, colour) in &self.stamps {
            let [r, g, b, a] = colour.map(|c| f32::from(c) / 255.0);
            let own = stamp.place.width as usize;
            for (y, row) in stamp.mask.chunks(own).enumerate() {
                let y = stamp.place.top + y as i32 - top;
                if y < 0 || y as usize >= h {
                    continue;
                }
                for (x, covered) in row.iter().enumerate() {
                    let x = stamp.place.left + x as i32 - left;
                    if *covered == 0 || x < 0 || x as usize >= w {
                        continue;
                    }
                    let share = a * f32::from(*covered) / 255.0;
                    let under = &mut pixels[y as usize * w + x as usize];
                    for (under, over) in under.iter_mut().zip([r, g, b, 1.0]) {
                        *under = *under * (1.0 - share) + over * share;
                    }
                }
            }
        }
        let picture = Picture::from_premultiplied(w as u32, h as u32, &pixels, tags)?;
        Ok(Some(Ink { picture, x: left, y: top }))
    }
}

/// How a word is drawn differently from the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct WordLook {
    pub colour: Rgba,
    pub scale: f32,
}

/// Draws a text whose upper left corner lies at `corner` of the canvas.
pub(super) fn draw(
    laid: &Laid,
    style: &TextStyle,
    corner: (f64, f64),
    look: impl Fn(usize) -> WordLook,
) -> Sheet {
    let mut sheet = Sheet::default();
    if let Some(Backdrop { padding, radius, colour }) = style.backdrop
        && laid.width > 0.0
    {
        let mut path: Vec<Command> = Vec::new();
        let (x, y) = ((corner.0 - padding) as f32, (corner.1 - padding) as f32);
        let (w, h) = (laid.width + 2.0 * padding as f32, laid.height + 2.0 * padding as f32);
        let radius = (radius as f32).min(w / 2.0).min(h / 2.0).max(0.0);
        path.add_round_rect((x, y), w, h, radius, radius);
        sheet.add(stamp(&path, Transform::IDENTITY, None), colour);
    }
    let place = |glyph: &Glyph| {
        let scale = look(glyph.word).scale;
        let pen = (corner.0 as f32 + glyph.pen.0, corner.1 as f32 + glyph.pen.1);
        let to = Transform::translation(pen.0, pen.1);
        let Some(word) = laid.words.get(glyph.word).copied().flatten() else { return to };
        if scale == 1.0 {
            return to;
        }
        // About the middle of the word, a third of an em above its baseline.
        let middle = (
            corner.0 as f32 + (word.left + word.right) / 2.0,
            corner.1 as f32 + word.baseline - style.size as f32 * 0.35,
        );
        to.then(&Transform::translation(-middle.0, -middle.1))
            .then(&Transform::scale(scale, scale))
            .then(&Transform::translation(middle.0, middle.1))
    };
    let outline = style.outline.filter(|(width, _)| *width > 0.0);
    let lines: Vec<Stamp> = outline.map_or(Vec::new(), |(width, _)| {
        let stamps = laid.glyphs.iter().flat_map(|glyph| {
            let to = place(glyph);
            glyph.layers.iter().filter_map(move |(path, _)| stamp(path, to, Some(width as f32)))
        });
        stamps.collect()
    });
    let fills: Vec<(Stamp, Rgba)> = laid
        .glyphs
        .iter()
        .flat_map(|glyph| {
            let (to, own) = (place(glyph), look(glyph.word).colour);
            glyph.layers.iter().filter_map(move |(path, colour)| {
                Some((stamp(path, to, None)?, colour.unwrap_or(own)))
            })
        })
        .collect();
    if let Some(shadow) = &style.shadow {
        let all: Vec<Stamp> = lines.iter().chain(fills.iter().map(|(s, _)| s)).cloned().collect();
        sheet.add_shadow(&all, shadow);
    }
    if let Some((_, colour)) = outline {
        sheet.add_joined(&lines, colour);
    }
    for (stamp, colour) in fills {
        sheet.add(Some(stamp), colour);
    }
    sheet
}
