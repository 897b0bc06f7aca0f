//! A text that stands still.

use super::TextStyle;
use super::fonts::FontSet;
use super::paint::{Ink, WordLook, draw};
use super::shape::{Laid, lay};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::render::compose::ColourTags;

/// The part of a canvas that text keeps to, as shares of its width and height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SafeArea {
    /// Left free.
    pub left: f64,
    /// Left free.
    pub right: f64,
    /// Left free.
    pub top: f64,
    /// Left free.
    pub bottom: f64,
}

impl Default for SafeArea {
    /// A twentieth on each side, the title-safe area of EBU R 95.
    fn default() -> Self {
        Self { left: 0.05, right: 0.05, top: 0.05, bottom: 0.05 }
    }
}

impl SafeArea {
    /// For vertical films on phones, whose players lay their own things over the bottom and the
    /// right side.
    pub const PHONE: Self = Self { left: 0.06, right: 0.12, top: 0.12, bottom: 0.20 };

    /// Left, top, right and bottom edge on a canvas.
    fn edges(&self, (w, h): (u32, u32)) -> [f64; 4] {
        let (w, h) = (f64::from(w), f64::from(h));
        [w * self.left, h * self.top, w * (1.0 - self.right), h * (1.0 - self.bottom)]
    }
}

/// Where in the safe area a text stands: 0, 0 is its upper left corner, 1, 1 its lower right one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Anchor(pub f64, pub f64);

impl Anchor {
    /// In the middle, at the bottom.
    pub const BOTTOM: Self = Self(0.5, 1.0);
    /// In the middle.
    pub const MIDDLE: Self = Self(0.5, 0.5);
    /// In the middle, at the top.
    pub const TOP: Self = Self(0.5, 0.0);
}

/// A text with its place, shaped and ready to draw.
#[derive(Clone, Debug)]
pub struct TextBlock {
    pub(super) laid: Laid,
    pub(super) style: TextStyle,
    pub(super) corner: (f64, f64),
    pub(super) canvas: (u32, u32),
}

impl TextBlock {
    /// Shapes `text` for a canvas of `canvas` samples. `\n` breaks lines.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] for characters that no font has, for families that are not there, and
    /// for text that does not fit into the safe area.
    pub fn new(
        fonts: &mut FontSet,
        text: &str,
        style: &TextStyle,
        canvas: (u32, u32),
        safe: SafeArea,
        anchor: Anchor,
    ) -> Result<Self> {
        Self::of_words(fonts, &[text], style, canvas, safe, anchor)
    }

    pub(super) fn of_words(
        fonts: &mut FontSet,
        words: &[&str],
        style: &TextStyle,
        canvas: (u32, u32),
        safe: SafeArea,
        anchor: Anchor,
    ) -> Result<Self> {
        let [left, top, right, bottom] = safe.edges(canvas);
        let padding = style.backdrop.map_or(0.0, |b| b.padding);
        let border = style.outline.map_or(0.0, |(width, _)| width).max(padding);
        let room = (right - left - 2.0 * border, bottom - top - 2.0 * border);
        let laid = lay(fonts, words, style, room.0.max(1.0))?;
        let (w, h) = (f64::from(laid.width), f64::from(laid.height));
        // A glyph wider than the room cannot be wrapped.
        if w > room.0 + 1.0 || h > room.1 + 1.0 {
            let text: String = words.concat().chars().take(40).collect();
            let what = format!(
                "the text {text:?} needs {w:.0}×{h:.0} samples, the safe area has {:.0}×{:.0}",
                room.0, room.1
            );
            return Err(Error::new(ErrorKind::Input, Stage::Render, what)
                .hint("make it shorter or smaller, or split it"));
        }
        let corner = (
            left + border + (room.0 - w).max(0.0) * anchor.0.clamp(0.0, 1.0),
            top + border + (room.1 - h).max(0.0) * anchor.1.clamp(0.0, 1.0),
        );
        Ok(Self { laid, style: style.clone(), corner, canvas })
    }

    /// The text drawn; `None` where it has no ink.
    ///
    /// # Errors
    /// Where the picture cannot be made, which would be a defect.
    pub fn ink(&self, tags: ColourTags) -> Result<Option<Ink>> {
        let look = WordLook { colour: self.style.colour, scale: 1.0 };
        draw(&self.laid, &self.style, self.corner, |_| look).ink(self.canvas, tags)
    }
}
