//! How much memory a render is likely to need: pictures held, by the size of the canvas and of the
//! sources that are seen at once, and what encoders hold.

use super::edit::Edit;
use super::measured::nearest;
use super::target::Target;
use crate::timeline::{Clip, Shown};
use serde::Serialize;
use std::num::NonZeroUsize;

/// Bytes of the program itself, its libraries, fonts, and the mixing of sound.
const PROGRAM: u64 = 70 << 20;

/// Pictures of a film that are at hand: what a decoder keeps for others to refer to and to show
/// later (at most 16, seldom more than six), the one before and the next, and two converted.
const OF_FILM: u64 = 10;

/// Pictures of the canvas that are at hand while a frame is composed: the canvas, two for a
/// transition, what is laid over, and the one that the encoder was given.
const OF_CANVAS: u64 = 6;

/// What a render is likely to need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Bytes whatever the number of jobs.
    pub base: u64,
    /// Bytes for each segment that is worked on.
    pub each: u64,
}

impl Memory {
    pub(super) fn of(edit: &Edit, target: &Target) -> Self {
        let film = &target.film;
        let picture = |width: u32, height: u32, deep: bool| {
            let samples = u64::from(width) * u64::from(height) * 3 / 2;
            if deep { samples * 2 } else { samples }
        };
        let canvas = picture(film.width, film.height, film.depth == 10);
        let sources = seen_at_once(edit, &|name| {
            let video = edit.sources.get(name)?.video()?;
            let deep = video.bit_depth.is_some_and(|bits| bits > 8);
            Some(picture(video.width, video.height, deep) * OF_FILM)
        });
        Self { base: PROGRAM, each: canvas * (OF_CANVAS + nearest(target).pictures_held) + sources }
    }

    /// As many jobs as fit into `limit`, at least one, at most `wanted`.
    pub fn jobs(&self, wanted: NonZeroUsize, limit: Option<u64>) -> NonZeroUsize {
        let Some(limit) = limit else { return wanted };
        let room = limit.saturating_sub(self.base) / self.each.max(1);
        let room = usize::try_from(room).ok().and_then(NonZeroUsize::new);
        room.map_or(NonZeroUsize::MIN, |room| room.min(wanted))
    }
}

/// The most that is seen at one time, by what each film costs.
fn seen_at_once(edit: &Edit, cost: &dyn Fn(&str) -> Option<u64>) -> u64 {
    let clips: Vec<(&Clip, u64)> = edit
        .layout
        .video
        .iter()
        .flatten()
        .filter_map(|clip| match &clip.shown {
            Shown::Asset(name) => Some((clip, cost(name)?)),
            Shown::Colour(_) | Shown::Title => None,
        })
        .collect();
    // The sum can be largest only where a clip begins.
    let mut events: Vec<(i64, bool, u64)> = Vec::new();
    for (clip, cost) in clips {
        events.push((clip.start, true, cost));
        events.push((clip.end, false, cost));
    }
    events.sort_unstable();
    let (mut now, mut most) = (0u64, 0);
    for (_, begins, cost) in events {
        now = if begins { now + cost } else { now.saturating_sub(cost) };
        most = most.max(now);
    }
    most
}
