//! Which frames are wanted: policies people ask for, and the schedule of exact targets made of
//! them. A frame is found by its timestamp: the frame shown at time t is the one with the
//! greatest pts not after t. Nothing here knows of libav.

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::time::{Rounding, TimeBase, Timestamp};
use serde::Serialize;
use std::num::NonZeroU32;

/// Which frames of a film are wanted. Times are on the media clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FramePolicy {
    /// Every frame.
    All,
    /// The frame shown at 0, at this step, at twice this step and so on. The step is positive.
    Every(Timestamp),
    /// This many frames, each shown at the middle of one of as many equal parts of the film.
    Count(NonZeroU32),
    /// The frames shown at these times; a time past the end is an error.
    At(Vec<Timestamp>),
    /// Every frame that decoding can start at.
    Keyframes,
}

/// What a time means when it falls between keyframes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// The very frame shown at that time.
    #[default]
    Exact,
    /// The last keyframe at or before it: decodes one picture for each frame given. Several times
    /// between two keyframes give one frame.
    Snap,
}

/// Whether the wanted frame is the one at a tick or its keyframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pick {
    /// The frame with the greatest tick not after this.
    Shown(i64),
    /// The keyframe that decoding started from.
    Key,
}

/// One wanted frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Which of the requests wants it.
    pub request: usize,
    /// Its number within the request, from 0.
    pub n: u64,
    /// The time asked for; absent where none was (all frames, keyframes).
    pub wanted: Option<Timestamp>,
    pub pick: Pick,
}

/// How ticks of a stream relate to the media clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamClock {
    pub base: TimeBase,
    pub origin: Timestamp,
}

impl StreamClock {
    /// A stream tick on the media clock, exact where the bases allow.
    pub(super) fn time(self, tick: i64) -> Timestamp {
        Timestamp::new(tick, self.base).minus(self.origin)
    }

    /// The last tick not after a media time.
    pub(super) fn tick(self, time: Timestamp) -> i64 {
        time.plus(self.origin).rescale(self.base, Rounding::Floor).ticks()
    }
}

/// The targets of several requests, given out in order of time.
pub(super) struct Schedule {
    lanes: Vec<Lane>,
}

struct Lane {
    n: u64,
    kind: LaneKind,
}

enum LaneKind {
    All,
    Keys,
    Times {
        times: Times,
        next: Option<(Timestamp, i64)>,
        clock: StreamClock,
        snap: bool,
        snapped: Option<i64>,
    },
}

enum Times {
    /// Multiples of a step, without end.
    Every { step: Timestamp, k: u32 },
    /// A sorted list, the nearest last; `named` where the caller named each time, so that one
    /// beyond the end is a mistake to be told. Times we chose ourselves by the container's word
    /// may lie beyond the end of a file that was cut off.
    List { times: Vec<Timestamp>, named: bool },
}

impl Times {
    fn next(&mut self) -> Option<Timestamp> {
        match self {
            Self::Every { step, k } => {
                let time = step.times(*k, 1);
                *k = k.checked_add(1)?;
                Some(time)
            }
            Self::List { times, .. } => times.pop(),
        }
    }

    /// Passes over the times of a step that lie before tick `end`; gives how many. At once: after
    /// a damaged timestamp they are billions.
    fn pass(&mut self, end: i64, clock: StreamClock) -> u64 {
        let Self::Every { step, k } = self else { return 0 };
        let from = *k;
        let (mut low, mut high) = (from, u32::MAX);
        while low < high {
            let middle = low + (high - low) / 2;
            if clock.tick(step.times(middle, 1)) < end { low = middle + 1 } else { high = middle }
        }
        *k = low;
        u64::from(low - from)
    }
}

impl Schedule {
    /// A schedule of `requests` for a stream that runs from `start` for `length` (absent where
    /// nobody knows) on the media clock.
    pub(super) fn new<'a>(
        requests: impl IntoIterator<Item = (&'a FramePolicy, Precision)>,
        clock: StreamClock,
        start: Timestamp,
        length: Option<Timestamp>,
    ) -> Result<Self> {
        let lanes = requests
            .into_iter()
            .map(|(policy, precision)| {
                let times = match policy {
                    FramePolicy::All => return Ok(Lane { n: 0, kind: LaneKind::All }),
                    FramePolicy::Keyframes => return Ok(Lane { n: 0, kind: LaneKind::Keys }),
                    FramePolicy::Every(step) if *step <= Timestamp::ZERO => {
                        return Err(Error::new(
                            ErrorKind::Input,
                            Stage::Decode,
                            "the step between frames must be positive",
                        ));
                    }
                    FramePolicy::Every(step) => Times::Every { step: *step, k: 0 },
                    FramePolicy::Count(count) => {
                        let length = length.filter(|l| *l > Timestamp::ZERO).ok_or_else(|| {
                            Error::new(
                                ErrorKind::Unsupported,
                                Stage::Decode,
                                "evenly spaced frames need a known length, and this input has none",
                            )
                            .hint("ask for a frame every so many seconds instead")
                        })?;
                        let middle = |i: u32| {
                            start.plus(length.times(2 * i + 1, count.get().saturating_mul(2)))
                        };
                        if count.get() > u32::MAX / 4 {
                            return Err(Error::new(
                                ErrorKind::Limit,
                                Stage::Decode,
                                "too many frames asked for",
                            ));
                        }
                        Times::List {
                            times: (0..count.get()).rev().map(middle).collect(),
                            named: false,
                        }
                    }
                    FramePolicy::At(times) => {
                        let mut times = times.clone();
                        times.sort_unstable_by(|a, b| b.cmp(a));
                        Times::List { times, named: true }
                    }
                };
                let mut lane = Lane {
                    n: 0,
                    kind: LaneKind::Times {
                        times,
                        next: None,
                        clock,
                        snap: precision == Precision::Snap,
                        snapped: None,
                    },
                };
                lane.advance();
                Ok(lane)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { lanes })
    }

    /// Adds a request for every frame behind the others.
    pub(super) fn add_all(&mut self) {
        self.lanes.push(Lane { n: 0, kind: LaneKind::All });
    }

    /// Whether some request wants every frame.
    pub(super) fn wants_all(&self) -> bool {
        self.lanes.iter().any(|lane| matches!(lane.kind, LaneKind::All))
    }

    /// Whether keyframes are all that anybody wants.
    pub(super) fn keys_suffice(&self) -> bool {
        self.lanes
            .iter()
            .all(|lane| matches!(lane.kind, LaneKind::Keys | LaneKind::Times { snap: true, .. }))
    }

    /// The nearest tick that is still wanted; `None` when every list is used up. Requests for all
    /// frames or keyframes want the very next one.
    pub(super) fn next_tick(&self) -> Option<i64> {
        self.lanes
            .iter()
            .filter_map(|lane| match &lane.kind {
                LaneKind::All | LaneKind::Keys => Some(i64::MIN),
                LaneKind::Times { next, .. } => next.map(|(_, tick)| tick),
            })
            .min()
    }

    /// Takes the targets of requests for keyframes, on meeting one.
    pub(super) fn take_keyframe(&mut self) -> Vec<Target> {
        self.take_numbered(|kind| matches!(kind, LaneKind::Keys), Pick::Key)
    }

    /// Takes the targets of requests for all frames, on meeting the frame at `tick`.
    pub(super) fn take_frame(&mut self, tick: i64) -> Vec<Target> {
        self.take_numbered(|kind| matches!(kind, LaneKind::All), Pick::Shown(tick))
    }

    fn take_numbered(&mut self, which: impl Fn(&LaneKind) -> bool, pick: Pick) -> Vec<Target> {
        let wanting = self.lanes.iter_mut().enumerate().filter(|(_, lane)| which(&lane.kind));
        wanting
            .map(|(request, lane)| {
                lane.n += 1;
                Target { request, n: lane.n - 1, wanted: None, pick }
            })
            .collect()
    }

    /// Takes every target before tick `end`, in order of time; `key` is the tick of the keyframe
    /// they are decoded from.
    pub(super) fn take_until(&mut self, key: i64, end: i64) -> Vec<Target> {
        // More than `Limits::frames_out` admits by default: a gap of days in the timestamps is
        // refused by that limit before it fills the memory with targets.
        const MOST: usize = 1 << 20;
        let mut taken = Vec::new();
        for (request, lane) in self.lanes.iter_mut().enumerate() {
            while let LaneKind::Times { times, next: Some((wanted, tick)), clock, snap, snapped } =
                &mut lane.kind
            {
                if *tick >= end || taken.len() >= MOST {
                    break;
                }
                let target = Target {
                    request,
                    n: lane.n,
                    wanted: Some(*wanted),
                    pick: if *snap { Pick::Key } else { Pick::Shown(*tick) },
                };
                // One keyframe for all times that snap to it.
                if !*snap || snapped.replace(key) != Some(key) {
                    taken.push(target);
                }
                if *snap {
                    lane.n += times.pass(end, *clock);
                }
                lane.n += 1;
                lane.advance();
            }
        }
        taken.sort_by_key(|target| match target.pick {
            Pick::Key => (0, i64::MIN),
            Pick::Shown(tick) => (1, tick),
        });
        taken
    }

    /// The first time asked for by name that was never reached.
    pub(super) fn unreached(&self) -> Option<Timestamp> {
        self.lanes.iter().find_map(|lane| match &lane.kind {
            LaneKind::Times {
                times: Times::List { named: true, .. },
                next: Some((wanted, _)),
                ..
            } => Some(*wanted),
            _ => None,
        })
    }
}

impl Lane {
    fn advance(&mut self) {
        if let LaneKind::Times { times, next, clock, .. } = &mut self.kind {
            *next = times.next().map(|time| (time, clock.tick(time)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> StreamClock {
        StreamClock { base: TimeBase::new(1, 1000).unwrap(), origin: Timestamp::from_secs(1) }
    }

    fn schedule(policy: FramePolicy, precision: Precision, length: Option<i64>) -> Schedule {
        let length = length.map(Timestamp::from_secs);
        Schedule::new([(&policy, precision)], clock(), Timestamp::ZERO, length).unwrap()
    }

    fn ticks(targets: &[Target]) -> Vec<i64> {
        targets
            .iter()
            .map(|t| match t.pick {
                Pick::Shown(tick) => tick,
                Pick::Key => -1,
            })
            .collect()
    }

    #[test]
    fn every_second_from_the_origin() {
        let mut every =
            schedule(FramePolicy::Every(Timestamp::from_secs(1)), Precision::Exact, None);
        assert_eq!(ticks(&every.take_until(1000, 3500)), [1000, 2000, 3000]);
        assert_eq!(every.next_tick(), Some(4000));
        assert_eq!(every.unreached(), None);
    }

    #[test]
    fn count_takes_the_middles() {
        let mut count =
            schedule(FramePolicy::Count(NonZeroU32::new(4).unwrap()), Precision::Exact, Some(8));
        assert_eq!(ticks(&count.take_until(0, i64::MAX)), [2000, 4000, 6000, 8000]);
        assert_eq!(count.next_tick(), None);
    }

    #[test]
    fn only_times_asked_for_by_name_have_to_be_reached() {
        // A film cut off after one of its eight seconds still has a first part to show.
        let mut count =
            schedule(FramePolicy::Count(NonZeroU32::new(4).unwrap()), Precision::Exact, Some(8));
        assert_eq!(ticks(&count.take_until(0, 2001)), [2000]);
        assert_eq!(count.unreached(), None);
    }

    #[test]
    fn snap_gives_each_keyframe_once() {
        let times =
            vec![Timestamp::from_millis(500), Timestamp::from_millis(100), Timestamp::from_secs(9)];
        let mut at = schedule(FramePolicy::At(times), Precision::Snap, None);
        assert_eq!(at.take_until(1000, 2000).len(), 1);
        assert_eq!(at.unreached(), Some(Timestamp::from_secs(9)));
        assert!(at.keys_suffice());
    }

    #[test]
    fn a_gap_of_ages_is_passed_over_at_once() {
        let every = FramePolicy::Every(Timestamp::from_millis(500));
        let mut every = schedule(every, Precision::Snap, None);
        assert_eq!(every.take_until(1000, 3000).len(), 1);
        assert_eq!(every.next_tick(), Some(3000));
        let taken = every.take_until(3000, 1 << 50);
        assert_eq!(taken.iter().map(|t| t.n).collect::<Vec<_>>(), [4]);
        assert!(every.next_tick().is_none_or(|tick| tick >= 1 << 40));
    }

    #[test]
    fn count_needs_a_length_and_every_a_step() {
        let count = FramePolicy::Count(NonZeroU32::MIN);
        assert!(
            Schedule::new([(&count, Precision::Exact)], clock(), Timestamp::ZERO, None).is_err()
        );
        let every = FramePolicy::Every(Timestamp::ZERO);
        assert!(
            Schedule::new([(&every, Precision::Exact)], clock(), Timestamp::ZERO, None).is_err()
        );
    }
}
