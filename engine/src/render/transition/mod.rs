//! From one picture to the next: what a canvas shows while one item goes and another comes.
//!
//! A transition is a function of both pictures and of progress alone. Where ffmpeg's `xfade` has one of
//! the same shape, this draws the same frames (the tests compare them).

mod fade;
mod iris;
#[cfg(test)]
mod tests;
mod wipe;
mod zoom;

use super::compose::{Picture, Planes, Sample, Yuv};
use crate::error::{Error, ErrorKind, Result, Stage};

/// A direction on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Towards the left edge.
    Left,
    /// Towards the right edge.
    Right,
    /// Towards the upper edge.
    Up,
    /// Towards the lower edge.
    Down,
}

/// The ways from one picture to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransitionKind {
    /// At once, at half the time.
    Cut,
    /// One through the other.
    Dissolve,
    /// Through one colour (8-bit R′G′B′).
    Dip([u8; 3]),
    /// An edge moves across and uncovers the next picture; both stand still.
    Wipe(Direction),
    /// The next picture moves in over the one that stands.
    Slide(Direction),
    /// The next picture pushes the other out.
    Push(Direction),
    /// Into the middle of the first, then through to the next.
    Zoom,
    /// A circle opens from the middle, with a soft edge.
    CircleOpen,
    /// A circle closes on the middle, with a soft edge.
    CircleClose,
    /// A door opens from the middle line to both sides.
    BarnDoor,
    /// The hand of a clock uncovers the next picture.
    Clock,
}

impl TransitionKind {
    /// Every kind, with black for the dip.
    pub const ALL: [Self; 20] = {
        use Direction::{Down, Left, Right, Up};
        [
            Self::Cut,
            Self::Dissolve,
            Self::Dip([0; 3]),
            Self::Wipe(Left),
            Self::Wipe(Right),
            Self::Wipe(Up),
            Self::Wipe(Down),
            Self::Slide(Left),
            Self::Slide(Right),
            Self::Slide(Up),
            Self::Slide(Down),
            Self::Push(Left),
            Self::Push(Right),
            Self::Push(Up),
            Self::Push(Down),
            Self::Zoom,
            Self::CircleOpen,
            Self::CircleClose,
            Self::BarnDoor,
            Self::Clock,
        ]
    };

    /// The word for it in timelines.
    pub fn as_str(self) -> &'static str {
        use Direction::{Down, Left, Right, Up};
        match self {
            Self::Cut => "cut",
            Self::Dissolve => "dissolve",
            Self::Dip(_) => "dip",
            Self::Wipe(Left) => "wipe-left",
            Self::Wipe(Right) => "wipe-right",
            Self::Wipe(Up) => "wipe-up",
            Self::Wipe(Down) => "wipe-down",
            Self::Slide(Left) => "slide-left",
            Self::Slide(Right) => "slide-right",
            Self::Slide(Up) => "slide-up",
            Self::Slide(Down) => "slide-down",
            Self::Push(Left) => "push-left",
            Self::Push(Right) => "push-right",
            Self::Push(Up) => "push-up",
            Self::Push(Down) => "push-down",
            Self::Zoom => "zoom",
            Self::CircleOpen => "circle-open",
            Self::CircleClose => "circle-close",
            Self::BarnDoor => "barn-door",
            Self::Clock => "clock",
        }
    }
}

/// Puts on `out` what is seen `progress` (0 to 1) of the way between two opaque canvases: at 0 it is
/// `from`, at 1 `to`, in every kind.
///
/// # Errors
/// [`ErrorKind::Internal`] unless all three pictures have the same shape, without coverage.
pub fn mix(
    from: &Picture,
    to: &Picture,
    kind: TransitionKind,
    progress: f64,
    out: &mut Picture,
) -> Result<()> {
    if !from.same_shape(to) || !from.same_shape(out) || from.has_alpha() {
        let what = "a transition needs three opaque pictures of one shape";
        return Err(Error::new(ErrorKind::Internal, Stage::Render, what));
    }
    let progress = if progress.is_finite() { progress.clamp(0.0, 1.0) } else { 0.0 };
    let (tags, depth) = (out.tags, out.depth());
    let dip = match kind {
        TransitionKind::Dip(rgb) => {
            let rgb = rgb.map(|c| f64::from(c) / 255.0);
            super::compose::convert::codes_of(rgb, tags, depth)
        }
        _ => [0; 3],
    };
    match (&from.planes, &to.planes, &mut out.planes) {
        (Planes::Eight(a), Planes::Eight(b), Planes::Eight(out)) => {
            between(a, b, kind, progress as f32, dip, out);
        }
        (Planes::Ten(a), Planes::Ten(b), Planes::Ten(out)) => {
            between(a, b, kind, progress as f32, dip, out);
        }
        // Same shape means same depth.
        _ => {}
    }
    Ok(())
}

fn between<T: Sample>(
    a: &Yuv<T>,
    b: &Yuv<T>,
    kind: TransitionKind,
    progress: f32,
    dip: [u16; 3],
    out: &mut Yuv<T>,
) {
    for (i, colour) in dip.into_iter().enumerate() {
        let (a, b, out) = (&a.planes[i], &b.planes[i], &mut out.planes[i]);
        if progress <= 0.0 || progress >= 1.0 || kind == TransitionKind::Cut {
            let shown = if progress >= 1.0 || (kind == TransitionKind::Cut && progress >= 0.5) {
                b
            } else {
                a
            };
            out.data.copy_from_slice(&shown.data);
            continue;
        }
        match kind {
            TransitionKind::Cut => {}
            TransitionKind::Dissolve => fade::dissolve(a, b, progress, out),
            TransitionKind::Dip(_) => fade::dip(a, b, progress, i32::from(colour), out),
            TransitionKind::Wipe(direction) => wipe::wipe(a, b, progress, direction, out),
            TransitionKind::Slide(direction) => wipe::slide(a, b, progress, direction, out),
            TransitionKind::Push(direction) => wipe::push(a, b, progress, direction, out),
            TransitionKind::Zoom => zoom::zoom(a, b, progress, out),
            TransitionKind::CircleOpen => iris::circle(a, b, progress, false, out),
            TransitionKind::CircleClose => iris::circle(a, b, progress, true, out),
            TransitionKind::BarnDoor => iris::barn_door(a, b, progress, out),
            TransitionKind::Clock => iris::clock(a, b, progress, out),
        }
    }
}

/// 0 below `low`, 1 above `high`, smooth in between (Hermite).
fn smooth_step(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}
