//! Outlines to a picture with coverage, as large as its ink.

use super::shape::{Glyph, Laid};
use super::stamp::{Stamp, bounds, stamp};
use super::{Backdrop, Rgba, Shadow, TextStyle};
use crate::error::Result;
use crate::render::compose::{ColourTags, Layer, Picture};
use swash::zeno::{Command, PathBuilder, Transform};

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

/// Shapes in the order in which they are laid over each other.
#[derive(Default)]
pub(crate) struct Sheet {
    stamps: Vec<(Stamp, Rgba)>,
}

/// What shapes come to, with its place on the canvas.
pub(super) struct LaidInk {
    pub left: i32,
    pub top: i32,
    pub width: u32,
    pub height: u32,
    pub pixels: Vec<[f32; 4]>,
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
        let Some(laid) = self.laid(canvas) else { return Ok(None) };
        let picture = Picture::from_premultiplied(laid.width, laid.height, &laid.pixels, tags)?;
        Ok(Some(Ink { picture, x: laid.left, y: laid.top }))
    }

    /// The same as premultiplied R′G′B′ and coverage, 0 to 1.
    pub(super) fn laid(&self, canvas: (u32, u32)) -> Option<LaidInk> {
        let place = bounds(self.stamps.iter().map(|(s, _)| s.place))?;
        let cut = |from: i32, length: u32, most: u32| {
            let start = from.clamp(0, most as i32) & !1;
            let end = (from + length as i32).clamp(0, most as i32);
            (start, (end - start).max(0) as u32)
        };
        let (left, width) = cut(place.left, place.width, canvas.0);
        let (top, height) = cut(place.top, place.height, canvas.1);
        if width == 0 || height == 0 {
            return None;
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
        Some(LaidInk { left, top, width: w as u32, height: h as u32, pixels })
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
