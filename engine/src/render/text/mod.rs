//! Text as ink: shaped, wrapped and drawn from fonts that come along, never from the system's.
//!
//! All shaping is done before the first frame ([`TextBlock::new`], [`CaptionTrack::new`]), where a
//! character that no font has is an error. What is left for a frame is filling outlines, and that only
//! where the text changes: an [`Ink`] is as large as its text and is kept until the next one.

mod block;
mod captions;
mod fonts;
mod paint;
#[cfg(test)]
mod script_tests;
mod shape;
mod shelf;
mod stamp;
mod styled;
#[cfg(test)]
mod tests;

pub use block::{Anchor, SafeArea, TextBlock};
pub use captions::{CaptionStyle, CaptionTrack, CaptionWord, TimedCaption};
pub use fonts::FontSet;
pub use paint::Ink;
pub use shelf::FontShelf;
pub use styled::{StyledTrack, is_styled};

/// A colour with coverage: R′G′B′ of 8 bit, straight alpha.
pub type Rgba = [u8; 4];

/// Where lines of a text stand to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TextAlign {
    /// At the left.
    Left,
    /// In the middle.
    #[default]
    Centre,
    /// At the right.
    Right,
}

/// A shadow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shadow {
    /// How far it lies to the right and down, in canvas samples.
    pub offset: (f64, f64),
    /// Standard deviation of its softness, in canvas samples.
    pub blur: f64,
    /// Its colour.
    pub colour: Rgba,
}

/// A box behind a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backdrop {
    /// How far it reaches past the text, in canvas samples.
    pub padding: f64,
    /// Radius of its corners.
    pub radius: f64,
    /// Its colour.
    pub colour: Rgba,
}

/// How a text looks.
#[derive(Clone, Debug, PartialEq)]
pub struct TextStyle {
    /// The family to take first; `None` for the default one. Others are asked for what it lacks.
    pub family: Option<String>,
    /// Size of the em in canvas samples.
    pub size: f64,
    /// 100 to 900; 400 is regular, 700 bold.
    pub weight: u16,
    /// Whether it leans; families without such faces are slanted.
    pub italic: bool,
    /// Of the letters.
    pub colour: Rgba,
    /// Width (outside the letters) and colour of an outline.
    pub outline: Option<(f64, Rgba)>,
    /// A shadow of letters and outline.
    pub shadow: Option<Shadow>,
    /// A box behind all of it.
    pub backdrop: Option<Backdrop>,
    /// Of the lines to each other.
    pub align: TextAlign,
    /// From one baseline to the next, in sizes.
    pub line_height: f64,
}

impl Default for TextStyle {
    /// White, bold, 64 samples, with a black outline of 4.
    fn default() -> Self {
        Self {
            family: None,
            size: 64.0,
            weight: 700,
            italic: false,
            colour: [255; 4],
            outline: Some((4.0, [0, 0, 0, 255])),
            shadow: None,
            backdrop: None,
            align: TextAlign::Centre,
            line_height: 1.2,
        }
    }
}
