//! Transitions on the device.

use super::machine::{Launch, Machine};
use super::mask::{Kernel, Mask};
use super::params::{self, Params};
use super::pass::up;
use super::picture::DevicePicture;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::render::compose::{Depth, convert};
use crate::render::transition::{Direction, TransitionKind};

/// Puts on `out` what is seen `progress` (0 to 1) of the way between two opaque canvases, as
/// [`mix`](crate::render::transition::mix) does: the same samples, but for a code value at soft edges.
/// The work is queued, not waited for.
///
/// # Errors
/// [`ErrorKind::Internal`] unless all three have the same shape, without coverage; the device's failures.
pub fn mix_on_device(
    machine: &dyn Machine,
    from: &DevicePicture,
    to: &DevicePicture,
    kind: TransitionKind,
    progress: f64,
    out: &mut DevicePicture,
) -> Result<()> {
    if !from.same_shape(to) || !from.same_shape(out) || from.has_alpha() {
        let what = "a transition needs three opaque pictures of one shape";
        return Err(Error::new(ErrorKind::Internal, Stage::Render, what));
    }
    let progress = if progress.is_finite() { progress.clamp(0.0, 1.0) } else { 0.0 } as f32;
    let three = |picture: &DevicePicture| {
        let [y, u, v, ..] = picture.planes;
        [y, u, v]
    };
    let mut params = params::Transition {
        a: three(from),
        b: three(to),
        out: three(out),
        up: up(out.depth()),
        progress,
        ..Default::default()
    };
    // Numbers of the kernel's enumerations.
    const ALL_A: i32 = 10;
    const ALL_B: i32 = 11;
    let toward = |direction| match direction {
        Direction::Left => 0,
        Direction::Right => 1,
        Direction::Up => 2,
        Direction::Down => 3,
    };
    let (kind, direction) = match kind {
        _ if progress <= 0.0 => (ALL_A, 0),
        _ if progress >= 1.0 => (ALL_B, 0),
        TransitionKind::Cut => (if progress >= 0.5 { ALL_B } else { ALL_A }, 0),
        TransitionKind::Dissolve => (0, 0),
        TransitionKind::Dip(rgb) => {
            let rgb = rgb.map(|c| f64::from(c) / 255.0);
            params.colour = convert::codes_of(rgb, out.tags, out.depth()).map(i32::from);
            (1, 0)
        }
        TransitionKind::Wipe(direction) => (2, toward(direction)),
        TransitionKind::Slide(direction) => (3, toward(direction)),
        TransitionKind::Push(direction) => (4, toward(direction)),
        TransitionKind::Zoom => (5, 0),
        TransitionKind::CircleOpen => (6, 0),
        TransitionKind::CircleClose => (7, 0),
        TransitionKind::BarnDoor => (8, 0),
        TransitionKind::Clock => (9, 0),
    };
    (params.kind, params.direction) = (kind, direction);
    let mask = if out.depth() == Depth::Ten { Mask::WIDE } else { Mask::default() };
    let samples = out.width() * out.height() / 2 * 3;
    let grid = [samples.div_ceil(Kernel::Transition.threads()), 1];
    let params = Params::Transition(Box::new(params));
    machine.launch(Launch { kernel: Kernel::Transition, mask, grid, params: &params })?;
    for keeper in [from, to].into_iter().filter_map(|picture| picture.keeper.as_ref()) {
        machine.hold(keeper.0.clone())?;
    }
    Ok(())
}
