//! Stretches of black and white: one boundary in the middle of each that divides two shots.

use super::difference::{contrast, difference};
use super::{Boundary, SmallFrame, Transition};
use crate::media::SmallPicture;
use crate::time::Timestamp;

/// A frame is black below this mean luma.
const BLACK: f32 = 12.0;
/// A frame is white above this mean luma.
const WHITE: f32 = 243.0;
/// A frame that shows something has at least this contrast.
const TEXTURE: f32 = 10.0;
/// Times kept of one stretch; a longer one is thinned out.
const MOST_TIMES: usize = 1 << 16;

/// What a frame is, if it shows nothing.
pub(super) fn blank(picture: &SmallPicture) -> Option<Transition> {
    let mean = picture.mean_luma();
    if mean < BLACK {
        Some(Transition::Black)
    } else if mean > WHITE && contrast(picture) < TEXTURE {
        Some(Transition::White)
    } else {
        None
    }
}

/// Follows blank stretches.
pub(super) struct Fades {
    /// A stretch so short is a flash where the same picture comes back.
    flash: Timestamp,
    /// The stretch that goes on: what it is and its times.
    open: Option<(Transition, Vec<Timestamp>)>,
    /// The last picture that was not blank.
    before: Option<SmallPicture>,
    /// Whether a picture was seen that shows something since the last boundary.
    textured: bool,
    /// A boundary in white, until something is seen behind it.
    pending: Option<Boundary>,
    found: Vec<Boundary>,
}

impl Fades {
    pub(super) fn new(flash: Timestamp) -> Self {
        Self { flash, open: None, before: None, textured: false, pending: None, found: Vec::new() }
    }

    /// The next frame; `kind` is what [`blank`] says of it.
    pub(super) fn frame(&mut self, frame: &SmallFrame, kind: Option<Transition>) {
        if self.open.as_ref().is_some_and(|(open, _)| Some(*open) != kind) {
            self.close(frame);
        }
        match (kind, &mut self.open) {
            (Some(_), Some((_, times))) => {
                times.push(frame.time);
                thin(times);
            }
            (Some(kind), open) => *open = Some((kind, vec![frame.time])),
            (None, _) => {
                if contrast(&frame.picture) >= TEXTURE {
                    self.textured = true;
                    self.found.extend(self.pending.take());
                }
                self.before = Some(frame.picture.clone());
            }
        }
    }

    /// Frames like the last one follow, at these times.
    pub(super) fn left_out(&mut self, times: &[Timestamp]) {
        if let Some((_, open)) = &mut self.open {
            open.extend_from_slice(times);
            thin(open);
        }
    }

    fn close(&mut self, next: &SmallFrame) {
        let Some((kind, times)) = self.open.take() else { return };
        let (Some(first), Some(middle)) =
            (times.first(), times.get(times.len().div_ceil(2).min(times.len() - 1)))
        else {
            return;
        };
        let short = next.time.minus(*first) < self.flash;
        let back = |before: &SmallPicture| {
            let mean = before.mean_luma();
            let gap = if kind == Transition::White { 255.0 - mean } else { mean };
            difference(before, &next.picture) < (0.35 * gap).max(8.0)
        };
        self.pending = None;
        if short && self.before.as_ref().is_some_and(back) {
            return;
        }
        let boundary = Boundary { at: *middle, kind, confidence: 0.9 };
        match kind {
            // A grey film that becomes white has not faded out of anything.
            Transition::White if !self.textured => {}
            Transition::White => self.pending = Some(boundary),
            _ => self.found.push(boundary),
        }
        self.textured = false;
    }

    /// The boundaries. A stretch that lasts to the end divides nothing.
    pub(super) fn finish(&mut self) -> Vec<Boundary> {
        std::mem::take(&mut self.found)
    }
}

fn thin(times: &mut Vec<Timestamp>) {
    if times.len() > MOST_TIMES {
        let mut keep = false;
        times.retain(|_| {
            keep = !keep;
            keep
        });
    }
}
