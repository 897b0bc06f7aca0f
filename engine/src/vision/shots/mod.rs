//! Shots: where one ends and the next begins.
//!
//! A [`ShotDetector`] takes very small pictures in order of time. [`FastDetector`] needs nothing
//! else; [`ShotFinder`] feeds a detector from a reading, and may leave out what cannot matter.

mod difference;
mod fade;
mod fast;
mod finder;
mod mix;
mod survey;
mod write;

pub use fast::{FastDetector, FastSettings};
pub use finder::{FinderReport, ShotFinder};
pub use survey::SkipSettings;
pub use write::{ShotFormat, ShotList};

use crate::error::Result;
use crate::media::SmallPicture;
use crate::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// How a shot begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Transition {
    /// It is the film's first.
    Start,
    /// From one frame to the next.
    Cut,
    /// The shot before fades over into it.
    Dissolve,
    /// By way of black, faded or cut.
    Black,
    /// By way of white.
    White,
    /// In some gradual way.
    Gradual,
}

impl Transition {
    /// Its name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Cut => "cut",
            Self::Dissolve => "dissolve",
            Self::Black => "black",
            Self::White => "white",
            Self::Gradual => "gradual",
        }
    }
}

/// A stretch of film taken in one go.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Shot {
    /// When its first frame is shown, on the media clock. A gradual transition is divided in the
    /// middle.
    pub start: Timestamp,
    /// When the next shot's first frame is shown, or the film ends.
    pub end: Timestamp,
    /// How it begins.
    pub entered_by: Transition,
    /// How sure the detector is of its beginning, from 0 to 1.
    pub confidence: f32,
}

/// Where one shot gives way to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Boundary {
    /// First frame of the new shot.
    pub at: Timestamp,
    /// How.
    pub kind: Transition,
    /// From 0 to 1.
    pub confidence: f32,
}

/// A frame for a detector.
#[derive(Clone, Debug)]
pub struct SmallFrame {
    /// When it is shown.
    pub time: Timestamp,
    /// What it shows.
    pub picture: SmallPicture,
    /// Whether the encoder saw a new shot begin here and nothing speaks against it, though the
    /// frames before were not decoded.
    pub announced: bool,
}

/// Finds shots in a film of which it sees very small pictures.
pub trait ShotDetector: Send {
    /// Whether it can do without frames among which nothing changes.
    fn may_skip(&self) -> bool;

    /// The next frame in order of time.
    ///
    /// # Errors
    /// Those of a model that runs.
    fn frame(&mut self, frame: SmallFrame) -> Result<()>;

    /// Frames at these times are left out; they look like those around them.
    fn left_out(&mut self, times: &[Timestamp]);

    /// The film ends: all boundaries, in order of time.
    ///
    /// # Errors
    /// Those of a model that runs.
    fn finish(&mut self) -> Result<Vec<Boundary>>;
}

/// The shots of a film from `start` to `end` that is divided at `boundaries`, none of them shorter
/// than `shortest` but perhaps the last.
pub fn shots(
    mut boundaries: Vec<Boundary>,
    start: Timestamp,
    end: Timestamp,
    shortest: Timestamp,
) -> Vec<Shot> {
    boundaries.sort_by_key(|boundary| boundary.at);
    let mut shots: Vec<Shot> = Vec::new();
    let mut open = Boundary { at: start, kind: Transition::Start, confidence: 1.0 };
    let close = |open: Boundary, end| Shot {
        start: open.at,
        end,
        entered_by: open.kind,
        confidence: open.confidence,
    };
    for boundary in boundaries {
        if boundary.at < open.at.plus(shortest) || boundary.at >= end {
            continue;
        }
        shots.push(close(open, boundary.at));
        open = boundary;
    }
    if end > open.at {
        shots.push(close(open, end));
    }
    shots
}
