//! Feeds a detector from a reading, in order, and leaves out groups of pictures in which nothing
//! changes.

use super::survey::{SkipSettings, Survey, Verdict, judge, one_scene};
use super::{Boundary, ShotDetector, SmallFrame};
use crate::error::Result;
use crate::media::{CodedGroup, GroupJudge, PictureConverter, SmallPicture, VideoFrame};
use crate::time::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Frames that wait for the groups before them; with more, their thread waits instead.
const WAITING: usize = 256;
/// Keyframes remembered for the group before or behind them.
const KEYS: usize = 64;

/// A consumer of one reading that finds its shots.
pub struct ShotFinder<'a> {
    skip: Option<SkipSettings>,
    state: Mutex<State<'a>>,
    turned: Condvar,
}

/// How much work it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FinderReport {
    /// Frames that the detector saw.
    pub frames_seen: u64,
    /// Groups of pictures.
    pub groups: u64,
    /// Groups of which only the keyframe was decoded.
    pub groups_left_out: u64,
}

struct State<'a> {
    detector: Box<dyn ShotDetector + 'a>,
    /// The group or frame whose turn it is.
    next: u64,
    waiting: BTreeMap<u64, Stretch>,
    keys: HashMap<i64, Key>,
    recent: VecDeque<i64>,
    /// Whether the next frame was announced as a new shot's.
    announced: bool,
    report: FinderReport,
    /// Times of the first and last frame, and the step between the last two.
    first: Option<Timestamp>,
    last: Option<(Timestamp, Timestamp)>,
}

#[derive(Clone)]
enum Key {
    /// Somebody decodes it.
    Claimed,
    /// What it shows; `None` where it could not be decoded.
    Done(Option<SmallPicture>),
}

/// What came of a group.
#[derive(Default)]
struct Stretch {
    frames: Vec<SmallFrame>,
    left_out: Vec<Timestamp>,
    then_cut: bool,
}

impl<'a> ShotFinder<'a> {
    /// Feeds `detector`; with `skip` and a detector that allows it, leaves groups out.
    pub fn new(detector: impl ShotDetector + 'a, skip: Option<SkipSettings>) -> Self {
        let skip = skip.filter(|_| detector.may_skip());
        let state = State {
            detector: Box::new(detector),
            next: 0,
            waiting: BTreeMap::new(),
            keys: HashMap::new(),
            recent: VecDeque::new(),
            announced: false,
            report: FinderReport::default(),
            first: None,
            last: None,
        };
        Self { skip, state: Mutex::new(state), turned: Condvar::new() }
    }

    /// The boundaries, the time of the first frame, the end of the last, and the account.
    ///
    /// # Errors
    /// Those of the detector.
    pub fn finish(self) -> Result<(Vec<Boundary>, Timestamp, Timestamp, FinderReport)> {
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        for stretch in std::mem::take(&mut state.waiting).into_values() {
            state.feed(stretch)?;
        }
        let boundaries = state.detector.finish()?;
        let first = state.first.unwrap_or(Timestamp::ZERO);
        let end = state.last.map_or(first, |(last, step)| last.plus(step));
        Ok((boundaries, first, end, state.report))
    }

    fn lock(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over what came of group `number`, and what waited for it.
    fn complete(&self, number: u64, stretch: Stretch) -> Result<()> {
        let mut state = self.lock();
        state.waiting.insert(number, stretch);
        let fed = state.feed_waiting();
        drop(state);
        self.turned.notify_all();
        fed
    }

    /// A keyframe as a small picture: decoded by whoever comes first, waited for by the other.
    fn key(&self, group: &mut CodedGroup<'_, '_>, next: bool) -> Result<Option<SmallPicture>> {
        let tick = if next { group.next_key() } else { group.key() };
        let Some(tick) = tick else { return Ok(None) };
        let mut state = self.lock();
        loop {
            match state.keys.get(&tick) {
                Some(Key::Done(picture)) => return Ok(picture.clone()),
                None => break,
                Some(Key::Claimed) => {
                    let wait = self.turned.wait_timeout(state, Duration::from_millis(100));
                    state = wait.unwrap_or_else(PoisonError::into_inner).0;
                    group.check()?;
                }
            }
        }
        state.keys.insert(tick, Key::Claimed);
        state.recent.push_back(tick);
        if state.recent.len() > KEYS
            && let Some(old) = state.recent.pop_front()
        {
            state.keys.remove(&old);
        }
        drop(state);
        let mut picture = None;
        let see = &mut |frame: &VideoFrame, converter: &mut PictureConverter| {
            picture = Some(converter.small(frame)?);
            Ok(false)
        };
        let decoded = if next { group.decode_next_key(see) } else { group.decode_key(see) };
        self.lock().keys.insert(tick, Key::Done(picture.clone()));
        self.turned.notify_all();
        decoded?;
        Ok(picture)
    }

    /// What can be said without decoding.
    fn survey(&self, group: &mut CodedGroup<'_, '_>) -> Result<Found> {
        let Some(settings) = self.skip.filter(|_| group.is_whole()) else {
            return Ok(Found::Nothing);
        };
        let mut pictures = group.pictures();
        if pictures.iter().any(|picture| picture.pts.is_none()) {
            return Ok(Found::Nothing);
        }
        pictures.sort_by_key(|picture| picture.pts);
        let (Some(own), Some(next)) = (self.key(group, false)?, self.key(group, true)?) else {
            return Ok(Found::Nothing);
        };
        let key = group.key();
        // Pictures shown before their keyframe are there at the very start only.
        if pictures.first().map(|picture| picture.pts) != Some(key) {
            return Ok(Found::Nothing);
        }
        let rest = pictures.get(1..).unwrap_or_default();
        let sizes: Vec<u64> = rest.iter().map(|picture| picture.bytes).collect();
        let (own_bytes, next_bytes) = group.key_bytes();
        let survey = Survey {
            ends: (&own, &next),
            key_bytes: own_bytes.min(next_bytes.unwrap_or(own_bytes)),
            sizes: &sizes,
            longest: group.longest(),
        };
        let verdict = judge(&survey, &settings);
        if let Verdict::Open { calm_from } = verdict {
            let times = pictures.iter().map(|p| group.time(p.pts.unwrap_or_default()));
            return Ok(match calm_from < pictures.len() {
                true => Found::Calm { calm_from, next, times: times.collect(), settings },
                false => Found::Nothing,
            });
        }
        let time = |tick: Option<i64>| group.time(tick.unwrap_or_default());
        Ok(Found::Still(Stretch {
            frames: vec![SmallFrame { time: time(key), picture: own, announced: false }],
            left_out: rest.iter().map(|picture| time(picture.pts)).collect(),
            then_cut: verdict == Verdict::StillThenCut,
        }))
    }
}

/// What a survey has found.
enum Found {
    /// Nothing changes: this is all there is to see.
    Still(Stretch),
    /// Once a frame behind the first `calm_from` looks like `next`, the rest can be left out;
    /// `times` are those of all.
    Calm { calm_from: usize, next: SmallPicture, times: Vec<Timestamp>, settings: SkipSettings },
    /// Everything must be seen.
    Nothing,
}

impl State<'_> {
    fn feed_waiting(&mut self) -> Result<()> {
        while let Some(stretch) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.feed(stretch)?;
        }
        Ok(())
    }

    fn feed(&mut self, stretch: Stretch) -> Result<()> {
        for frame in stretch.frames {
            self.see(frame)?;
        }
        if let [.., last] = stretch.left_out[..] {
            let step = match stretch.left_out[..] {
                [.., before, last] => last.minus(before),
                _ => self.last.map_or(Timestamp::ZERO, |(_, step)| step),
            };
            self.last = Some((last, step));
            self.detector.left_out(&stretch.left_out);
        }
        self.announced |= stretch.then_cut;
        Ok(())
    }

    fn see(&mut self, mut frame: SmallFrame) -> Result<()> {
        frame.announced = std::mem::take(&mut self.announced);
        self.first.get_or_insert(frame.time);
        let step = self.last.map_or(Timestamp::ZERO, |(last, _)| frame.time.minus(last));
        self.last = Some((frame.time, step));
        self.report.frames_seen += 1;
        self.detector.frame(frame)
    }
}

impl GroupJudge for ShotFinder<'_> {
    fn group(&self, group: &mut CodedGroup<'_, '_>) -> Result<()> {
        let number = group.number();
        let found = self.survey(group)?;
        let mut state = self.lock();
        state.report.groups += 1;
        state.report.groups_left_out += u64::from(matches!(found, Found::Still(_)));
        drop(state);
        let calm = match found {
            Found::Still(stretch) => return self.complete(number, stretch),
            Found::Calm { calm_from, next, times, settings } => {
                Some((calm_from, next, times, settings))
            }
            Found::Nothing => None,
        };
        let mut frames = Vec::new();
        let watch = group.watch();
        let mut seen = 0;
        group.decode(&|_| true, &mut |frame, converter| {
            let picture = converter.small(frame)?;
            seen += 1;
            let done = calm.as_ref().is_some_and(|(from, next, times, settings)| {
                seen > *from && seen < times.len() && one_scene(&picture, next, settings)
            });
            frames.push(SmallFrame { time: frame.time(), picture, announced: false });
            if frames.len() >= WAITING {
                let mut state = self.lock();
                // The groups before are being worked on by others: this one waits for its turn.
                while state.next != number {
                    let wait = self.turned.wait_timeout(state, Duration::from_millis(100));
                    state = wait.unwrap_or_else(PoisonError::into_inner).0;
                    watch()?;
                }
                for frame in frames.drain(..) {
                    state.see(frame)?;
                }
            }
            Ok(!done)
        })?;
        let last = frames.last().map(|frame| frame.time);
        let left_out = match (calm, last) {
            (Some((_, _, times, _)), Some(last)) => {
                times.into_iter().filter(|time| *time > last).collect()
            }
            _ => Vec::new(),
        };
        self.complete(number, Stretch { frames, left_out, then_cut: false })
    }

    fn frame(&self, n: u64, frame: &VideoFrame, converter: &mut PictureConverter) -> Result<()> {
        let picture = converter.small(frame)?;
        let frame = SmallFrame { time: frame.time(), picture, announced: false };
        self.complete(n, Stretch { frames: vec![frame], ..Stretch::default() })
    }
}
