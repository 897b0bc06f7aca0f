//! A subtitle file as the renderer takes it, whatever its format was.

use super::look::{Along, Keypad, Look, Wrap};
use super::tags::Piece;
use crate::render::text::Backdrop;
use crate::time::Timestamp;

/// Everything that is shown, and what it is measured by.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// The picture that all lengths are for: they are scaled from it to the canvas.
    pub size: (f64, f64),
    /// The picture that the letters' proportions are for; `None` for the canvas.
    pub layout: Option<(f64, f64)>,
    /// Whether borders, shadows and softness are scaled as well.
    pub scaled_borders: bool,
    pub wrap: Wrap,
    pub breaks: Breaks,
    /// Whether letters are moved together as their font says.
    pub kerning: bool,
    pub styles: Vec<Named>,
    /// In the file's order.
    pub events: Vec<Event>,
}

/// Where lines may be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breaks {
    /// At spaces only, as ASS is rendered.
    Spaces,
    /// Where Unicode allows it, and anywhere in what is too long all the same.
    Unicode,
}

/// A style.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub name: String,
    pub look: Look,
    pub align: Keypad,
    /// Left, right, and from the edge that the text stands at.
    pub margins: [f64; 3],
    /// One box behind the whole text, in script units.
    pub backdrop: Option<Backdrop>,
}

/// A caption.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub start: Timestamp,
    pub end: Timestamp,
    pub layer: i32,
    /// Number of its style in [`Script::styles`].
    pub style: usize,
    /// Its own margins where they are not 0.
    pub margins: [f64; 3],
    /// A place that is not at an edge, from a WebVTT cue.
    pub upright: Option<Upright>,
    pub align: Option<Keypad>,
    pub pieces: Vec<Piece>,
}

/// Where a text stands between top and bottom, in script units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Upright {
    /// Its upper edge, its middle or its lower edge is here.
    At(Along, f64),
    /// Between two heights: 0 at the upper one, 1 at the lower one.
    Within { top: f64, bottom: f64, share: f64 },
    /// Its upper edge is so many lines below the upper height, or from the lower one where negative.
    Line { top: f64, bottom: f64, line: f64 },
}

impl Upright {
    /// Whether the text goes down to keep clear of others.
    pub fn is_high(self) -> bool {
        match self {
            Self::At(along, _) => along == Along::Start,
            Self::Within { share, .. } => share < 0.5,
            Self::Line { line, .. } => line >= 0.0,
        }
    }
}

impl Script {
    /// The number of the style of this name; the last of several counts.
    pub fn style(&self, name: &str) -> Option<usize> {
        let name = name.trim().trim_start_matches('*');
        self.styles.iter().rposition(|own| own.name == name).or_else(|| {
            let plain = name.eq_ignore_ascii_case("Default");
            let is_default = |own: &Named| own.name.eq_ignore_ascii_case("Default");
            plain.then(|| self.styles.iter().rposition(is_default)).flatten()
        })
    }
}
