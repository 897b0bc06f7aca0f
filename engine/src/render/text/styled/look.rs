//! How a run of styled text looks: what styles name and tags change.

use crate::render::text::Rgba;
use std::sync::Arc;

/// What a size counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Measure {
    /// From the top to the bottom of the face's cells (OS/2 win metrics), as GDI, VSFilter and libass
    /// do; lines are as high as that.
    Cell,
    /// The em; lines are so many sizes high.
    Em(f64),
}

/// What is drawn around letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    /// A border of the width, outside the letters (BorderStyle 1).
    Border,
    /// A box behind each run, as much larger as the border is wide (BorderStyle 3).
    Box,
}

/// Numbers of [`Look::colours`].
pub(super) const PRIMARY: usize = 0;
pub(super) const SECONDARY: usize = 1;
pub(super) const OUTLINE: usize = 2;
pub(super) const BACK: usize = 3;

/// The look of a run. Lengths are in the script's units.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Look {
    pub family: Arc<str>,
    pub size: f64,
    pub measure: Measure,
    pub weight: u16,
    pub italic: bool,
    pub underline: bool,
    pub strike: bool,
    /// Letters; letters not yet sung; border; shadow.
    pub colours: [Rgba; 4],
    /// Shares of the usual width and height.
    pub scale: (f64, f64),
    /// Added behind each character.
    pub spacing: f64,
    /// Degrees about x, y and z.
    pub angle: [f64; 3],
    pub shear: (f64, f64),
    pub border: (f64, f64),
    pub edge: Edge,
    pub shadow: (f64, f64),
    /// Standard deviation of the shadow's own softness.
    pub shadow_soft: f64,
    /// ASS's measures of softness: `\blur`, and how often `\be` softens.
    pub blur: f64,
    pub edge_blur: f64,
    /// How far below the baseline drawings begin.
    pub drawing_offset: f64,
}

impl Default for Look {
    /// ASS's own defaults.
    fn default() -> Self {
        Self {
            family: Arc::from("Arial"),
            size: 18.0,
            measure: Measure::Cell,
            weight: 400,
            italic: false,
            underline: false,
            strike: false,
            colours: [[255; 4], [0, 255, 255, 255], [0, 0, 0, 255], [0, 0, 0, 128]],
            scale: (1.0, 1.0),
            spacing: 0.0,
            angle: [0.0; 3],
            shear: (0.0, 0.0),
            border: (2.0, 2.0),
            edge: Edge::Border,
            shadow: (2.0, 2.0),
            shadow_soft: 0.0,
            blur: 0.0,
            edge_blur: 0.0,
            drawing_offset: 0.0,
        }
    }
}

/// Where lines stand in the picture and to each other: a number as on the keypad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keypad(u8);

/// Where on an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Along {
    Start,
    Middle,
    End,
}

impl Keypad {
    /// In the middle, at the bottom.
    pub const BOTTOM: Self = Self(2);

    /// 1 to 9.
    pub fn new(number: u8) -> Option<Self> {
        (1..=9).contains(&number).then_some(Self(number))
    }

    /// From `across` and `down`.
    pub fn of(across: Along, down: Along) -> Self {
        let column = match across {
            Along::Start => 1,
            Along::Middle => 2,
            Along::End => 3,
        };
        let row = match down {
            Along::Start => 6,
            Along::Middle => 3,
            Along::End => 0,
        };
        Self(column + row)
    }

    /// SSA's numbers: 1 to 3 at the bottom, with 4 at the top, with 8 in the middle.
    pub fn of_ssa(number: u8) -> Option<Self> {
        let column = number & 3;
        let row = match number & 12 {
            0 => 0,
            4 => 6,
            8 => 3,
            _ => return None,
        };
        (column > 0).then_some(Self(column + row))
    }

    pub fn across(self) -> Along {
        match self.0 % 3 {
            1 => Along::Start,
            2 => Along::Middle,
            _ => Along::End,
        }
    }

    pub fn down(self) -> Along {
        match self.0 {
            7..=9 => Along::Start,
            4..=6 => Along::Middle,
            _ => Along::End,
        }
    }
}

/// How lines are broken besides where the text says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrap {
    /// Where they must be, then so that they are about as long (ASS's 0 and 3).
    Even,
    /// Where they must be (ASS's 1).
    Greedy,
    /// Not at all (ASS's 2).
    Never,
}

impl Wrap {
    /// ASS's WrapStyle and `\q`.
    pub fn of_ass(number: i64) -> Self {
        match number {
            1 => Self::Greedy,
            2 => Self::Never,
            _ => Self::Even,
        }
    }
}
