//! Dissolves: a stretch of frames each of which is a mix of the first and the last.
//!
//! For frames F between A and B, the share a(F) = <F - A, B - A> / |B - A|² goes from 0 to 1 while
//! F - A - a (B - A) stays small. Where things move instead, the rest is as large as B - A.

use super::difference::{contrast, correlation, difference};
use crate::media::SmallPicture;

/// A stretch must change by this much, in code values.
const LEAST_CHANGE: f32 = 10.0;
/// Its ends must be this unlike.
const MOST_CORRELATION: f32 = 0.7;
/// Its ends must show something: from and to nothing is a fade.
const LEAST_CONTRAST: f32 = 12.0;
/// What a mix cannot explain, relative to the change.
const MOST_REST: f32 = 0.5;

/// A dissolve in a stretch of frames, by their numbers in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mixed {
    /// The first frame that shows more of the new shot than of the old one.
    pub middle: usize,
    /// The first frame that is all of the new shot.
    pub end: usize,
    /// From 0 to 1.
    pub confidence: f32,
}

/// Looks for a dissolve that lies within `frames`, with a little of either shot around it; of a shot
/// that is known to be still `(before, behind)` them none is needed.
pub(super) fn mixed(frames: &[&SmallPicture], still_outside: (bool, bool)) -> Option<Mixed> {
    let (first, last) = (*frames.first()?, *frames.last()?);
    if frames.len() < 6 || difference(first, last) < LEAST_CHANGE {
        return None;
    }
    if correlation(first, last) > MOST_CORRELATION
        || contrast(first) < LEAST_CONTRAST
        || contrast(last) < LEAST_CONTRAST
    {
        return None;
    }
    let change: Vec<f32> = first
        .planes()
        .iter()
        .zip(last.planes())
        .map(|(a, b)| f32::from(*b) - f32::from(*a))
        .collect();
    let square: f32 = change.iter().map(|v| v * v).sum();
    let mut shares = Vec::with_capacity(frames.len());
    let mut most_rest = 0.0_f32;
    for frame in frames {
        let (mut along, mut own) = (0.0, 0.0);
        for ((value, a), change) in frame.planes().iter().zip(first.planes()).zip(&change) {
            let moved = f32::from(*value) - f32::from(*a);
            along += moved * change;
            own += moved * moved;
        }
        let share = along / square;
        let rest = (own / square - share * share).max(0.0).sqrt();
        most_rest = most_rest.max(rest);
        if most_rest > MOST_REST {
            return None;
        }
        shares.push(share);
    }
    // What changes is the picture, not a title in it.
    let cells = change.len() / 3;
    let moved = change.iter().take(cells).filter(|v| v.abs() > 10.0).count();
    if moved * 9 < cells * 5 {
        return None;
    }
    // It goes one way, and both ends are still.
    if shares.windows(2).any(|pair| pair[1] < pair[0] - 0.08) {
        return None;
    }
    let begin = shares.iter().position(|share| *share > 0.1)?;
    let middle = shares.iter().position(|share| *share >= 0.5)?;
    let end = shares.iter().position(|share| *share > 0.9)?;
    let steps = shares.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f32::max);
    let margin = (shares.len() / 8).max(1);
    let (before, behind) = still_outside;
    let still =
        (before || shares[margin] < 0.1) && (behind || shares[shares.len() - 1 - margin] > 0.9);
    // One step that does most of it is a cut.
    if !still || end - begin < 2 || steps > 0.6 {
        return None;
    }
    Some(Mixed { middle, end, confidence: 1.0 - most_rest })
}
