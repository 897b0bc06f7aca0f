//! Where events stand, and how those without a place of their own keep clear of each other.

use super::layout::{Canvas, Laid};
use super::look::{Along, Look};
use super::moment::Moment;
use super::script::Upright;
use crate::time::Timestamp;

/// Where a text lies on the canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    /// Of the left edge of its room, and of its first baseline.
    pub offset: (f64, f64),
    /// What it is turned about.
    pub centre: (f64, f64),
}

/// Places `laid`; `shift` is how far it keeps down from where it would be.
pub(super) fn place(moment: &Moment, laid: &Laid, canvas: &Canvas, shift: f64) -> Place {
    let (top, bottom) = (-laid.ascent, laid.height - laid.ascent);
    let base = (
        match moment.align.across() {
            Along::Start => laid.span.0,
            Along::Middle => (laid.span.0 + laid.span.1) / 2.0,
            Along::End => laid.span.1,
        },
        match moment.align.down() {
            Along::Start => top,
            Along::Middle => (top + bottom) / 2.0,
            Along::End => bottom,
        },
    );
    let (sx, sy) = canvas.scale;
    let offset = if let Some((x, y)) = moment.position {
        (x * sx - base.0, y * sy - base.1)
    } else {
        let margin = moment.margins[2] * sy;
        let at = |along: Along, y: f64| match along {
            Along::Start => y - top,
            Along::Middle => y - (top + bottom) / 2.0,
            Along::End => y - bottom,
        };
        let y = match (moment.upright, moment.align.down()) {
            (Some(Upright::At(along, y)), _) => {
                // A cue is moved into the picture if it fits.
                let lowest = (canvas.height - laid.height).max(0.0);
                at(Along::Start, (at(along, y * sy) + top).clamp(0.0, lowest))
            }
            (Some(Upright::Within { top, bottom, share }), _) => {
                let room = (bottom - top) * sy - laid.height;
                at(Along::Start, top * sy + room * share)
            }
            (Some(Upright::Line { top, bottom, line }), _) => {
                let (top, bottom) = (top * sy, bottom * sy);
                let from = if line < 0.0 { bottom } else { top };
                let y = from + line * laid.line_height;
                at(Along::Start, y.min(bottom - laid.height).max(top))
            }
            (None, Along::Start) => at(Along::Start, margin),
            (None, Along::Middle) => at(Along::Middle, canvas.height / 2.0),
            (None, Along::End) => at(Along::End, canvas.height - margin),
        };
        (moment.margins[0] * sx, y + shift)
    };
    // Nobody sees what is farther off, and numbers stay exact.
    let offset = (offset.0.clamp(-1e6, 1e6), offset.1.clamp(-1e6, 1e6));
    let centre = match moment.origin {
        Some((x, y)) => (x * sx, y * sy),
        None => (offset.0 + base.0, offset.1 + base.1),
    };
    Place { offset, centre }
}

/// An area that an event takes, from when to when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub layer: i32,
    pub end: Timestamp,
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

impl Taken {
    /// What `laid` takes at `place`.
    pub fn of(laid: &Laid, place: &Place, layer: i32, end: Timestamp) -> Self {
        let top = place.offset.1 - laid.ascent;
        Self {
            layer,
            end,
            left: place.offset.0 + laid.span.0,
            right: place.offset.0 + laid.span.1,
            top,
            bottom: top + laid.height,
        }
    }

    /// Makes room for the widest border, which lies outside of the lines.
    pub fn widen(&mut self, moment: &Moment, canvas: &Canvas) {
        let most =
            |of: fn(&Look) -> f64| moment.runs.iter().map(|r| of(&r.look)).fold(0.0, f64::max);
        let wide = most(|look| look.border.0) * canvas.border.0;
        let high = most(|look| look.border.1) * canvas.border.1;
        self.left -= wide;
        self.right += wide;
        self.top -= high;
        self.bottom += high;
    }

    fn meets(&self, other: &Self, shift: f64) -> bool {
        self.layer == other.layer
            && self.top + shift < other.bottom
            && self.bottom + shift > other.top
            && self.left < other.right
            && self.right > other.left
    }
}

/// How far `own` moves (down where positive) to keep clear of `others`, which were there before it.
pub(super) fn clear(own: &Taken, others: &[Taken], down: bool) -> f64 {
    let mut near: Vec<&Taken> = others.iter().filter(|other| other.layer == own.layer).collect();
    near.sort_by(|a, b| a.top.total_cmp(&b.top));
    if !down {
        near.reverse();
    }
    let mut shift = 0.0;
    // In this order each one is passed once, as in libass.
    for other in near {
        if own.meets(other, shift) {
            shift = if down { other.bottom - own.top } else { other.top - own.bottom };
        }
    }
    shift
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(layer: i32, top: f64, bottom: f64) -> Taken {
        Taken { layer, end: Timestamp::ZERO, left: 0.0, right: 10.0, top, bottom }
    }

    #[test]
    fn events_stack() {
        let others = [taken(0, 90.0, 100.0), taken(0, 80.0, 90.0), taken(1, 70.0, 80.0)];
        // Up past both of its own layer, and not past the other layer's.
        assert_eq!(clear(&taken(0, 85.0, 100.0), &others, false), -20.0);
        assert_eq!(clear(&taken(0, 80.0, 90.0), &others, true), 20.0);
        assert_eq!(clear(&taken(2, 80.0, 90.0), &others, true), 0.0);
        let beside = Taken { left: 10.0, right: 20.0, ..taken(0, 85.0, 100.0) };
        assert_eq!(clear(&beside, &others, false), 0.0);
        // A gap that is high enough is used.
        let others = [taken(0, 90.0, 100.0), taken(0, 60.0, 70.0)];
        assert_eq!(clear(&taken(0, 90.0, 100.0), &others, false), -10.0);
    }
}
