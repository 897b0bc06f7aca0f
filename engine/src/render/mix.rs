//! From one item to the next.

use super::compose::Picture;
use super::transition::{self, Direction, TransitionKind as Kind};
use crate::error::Result;
use crate::timeline::TransitionKind;

/// The picture at `progress` (0 to 1) of the way from `from` to `to`, which are canvases.
pub(super) fn mix(
    from: &Picture,
    to: &Picture,
    kind: TransitionKind,
    progress: f64,
) -> Result<Picture> {
    let mut out = from.clone();
    transition::mix(from, to, kind_of(kind), progress, &mut out)?;
    Ok(out)
}

fn kind_of(kind: TransitionKind) -> Kind {
    use TransitionKind as K;
    match kind {
        K::Dissolve => Kind::Dissolve,
        K::DipBlack => Kind::Dip([0; 3]),
        K::DipWhite => Kind::Dip([255; 3]),
        K::WipeLeft => Kind::Wipe(Direction::Left),
        K::WipeRight => Kind::Wipe(Direction::Right),
        K::WipeUp => Kind::Wipe(Direction::Up),
        K::WipeDown => Kind::Wipe(Direction::Down),
        K::SlideLeft => Kind::Slide(Direction::Left),
        K::SlideRight => Kind::Slide(Direction::Right),
        K::SlideUp => Kind::Slide(Direction::Up),
        K::SlideDown => Kind::Slide(Direction::Down),
        K::PushLeft => Kind::Push(Direction::Left),
        K::PushRight => Kind::Push(Direction::Right),
        K::PushUp => Kind::Push(Direction::Up),
        K::PushDown => Kind::Push(Direction::Down),
        K::Zoom => Kind::Zoom,
        K::CircleOpen => Kind::CircleOpen,
        K::CircleClose => Kind::CircleClose,
        K::BarnDoor => Kind::BarnDoor,
        K::Clock => Kind::Clock,
    }
}
