//! How a picture of one shape fills a frame of another.

use super::Rect;

/// The ways to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fit {
    /// All of it, with the background showing at two sides.
    Contain,
    /// The whole frame, with two sides cut off.
    Cover,
    /// The whole frame, distorted.
    Stretch,
    /// As [`Fit::Contain`], with the same picture, covering and blurred, behind.
    BlurFill,
}

/// Turns by quarters, clockwise, as cameras mark them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Turn {
    /// As stored.
    #[default]
    None,
    /// By 90°.
    Quarter,
    /// By 180°.
    Half,
    /// By 270°.
    ThreeQuarters,
}

impl Turn {
    /// For [`super::Layer::rotation`].
    pub fn degrees(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Quarter => 90.0,
            Self::Half => 180.0,
            Self::ThreeQuarters => 270.0,
        }
    }

    fn swaps(self) -> bool {
        matches!(self, Self::Quarter | Self::ThreeQuarters)
    }
}

/// The picture to fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fitted {
    /// The part of it that counts, in its stored samples.
    pub crop: Rect,
    /// Width of a stored sample over its height.
    pub aspect: f64,
    /// How it has to be turned to stand upright.
    pub turn: Turn,
}

/// What a [`super::Layer`] needs to know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// Part of the picture, in stored samples.
    pub crop: Rect,
    /// Centre on the canvas.
    pub centre: (f64, f64),
    /// Width and height on the canvas before the turn.
    pub size: (f64, f64),
    /// Clockwise degrees.
    pub rotation: f64,
}

/// Where `picture` comes to lie in `frame` (on the canvas). `focus` (0 to 1 across and down of the
/// picture as shown) says what has to stay in view when [`Fit::Cover`] cuts. For [`Fit::BlurFill`] this
/// is the front; the back is that of `Cover` with [`blur_behind`].
pub fn place(fit: Fit, picture: Fitted, frame: Rect, focus: (f64, f64)) -> Placement {
    let Fitted { crop, aspect, turn } = picture;
    let stored = (crop.width * aspect, crop.height);
    let shown = if turn.swaps() { (stored.1, stored.0) } else { stored };
    let ratios = (frame.width / shown.0, frame.height / shown.1);
    let middle = (frame.x + frame.width / 2.0, frame.y + frame.height / 2.0);
    let own = |size: (f64, f64)| if turn.swaps() { (size.1, size.0) } else { size };
    match fit {
        Fit::Stretch => Placement {
            crop,
            centre: middle,
            size: own((frame.width, frame.height)),
            rotation: turn.degrees(),
        },
        Fit::Contain | Fit::BlurFill => {
            let by = ratios.0.min(ratios.1);
            // Whole chroma samples on both sides keep the edges sharp.
            let even = |v: f64, most: f64| ((v / 2.0).round() * 2.0).clamp(2.0, most.max(2.0));
            let size = (even(shown.0 * by, frame.width), even(shown.1 * by, frame.height));
            let start = |from: f64, room: f64, size: f64| {
                from + (((room - size) / 4.0).floor() * 2.0).max(0.0)
            };
            let left = start(frame.x, frame.width, size.0);
            let top = start(frame.y, frame.height, size.1);
            Placement {
                crop,
                centre: (left + size.0 / 2.0, top + size.1 / 2.0),
                size: own(size),
                rotation: turn.degrees(),
            }
        }
        Fit::Cover => {
            let span = window(picture, frame);
            let begin = |focus: f64, span: f64| (focus - span / 2.0).clamp(0.0, 1.0 - span);
            let (u, v) = (begin(focus.0, span.0), begin(focus.1, span.1));
            // Back to the stored picture's own directions.
            let (x, y, w, h) = match turn {
                Turn::None => (u, v, span.0, span.1),
                Turn::Quarter => (v, 1.0 - u - span.0, span.1, span.0),
                Turn::Half => (1.0 - u - span.0, 1.0 - v - span.1, span.0, span.1),
                Turn::ThreeQuarters => (1.0 - v - span.1, u, span.1, span.0),
            };
            Placement {
                crop: Rect {
                    x: crop.x + x * crop.width,
                    y: crop.y + y * crop.height,
                    width: w * crop.width,
                    height: h * crop.height,
                },
                centre: middle,
                size: own((frame.width, frame.height)),
                rotation: turn.degrees(),
            }
        }
    }
}

/// The part of `picture` that shows when it covers `frame`, as shares of its width and height as shown.
pub(crate) fn window(picture: Fitted, frame: Rect) -> (f64, f64) {
    let Fitted { crop, aspect, turn } = picture;
    let stored = (crop.width * aspect, crop.height);
    let shown = if turn.swaps() { (stored.1, stored.0) } else { stored };
    let by = (frame.width / shown.0).max(frame.height / shown.1);
    ((frame.width / by / shown.0).min(1.0), (frame.height / by / shown.1).min(1.0))
}

/// The blur for the back of [`Fit::BlurFill`]: standard deviation in canvas samples.
pub fn blur_behind(frame: Rect) -> f64 {
    frame.width.min(frame.height) / 40.0
}
