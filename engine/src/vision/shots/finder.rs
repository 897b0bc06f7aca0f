//! Feeds a detector from a reading, in order, and leaves out groups of pictures in which nothing
//! changes.

use super::survey::{Closely, SkipSettings, Survey, Verdict, judge, one_scene};
use super::{Boundary, FastDetector, ShotDetector, SmallFrame};
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
    /// From its last frame but one to its last one, where not all were seen.
    step: Option<Timestamp>,
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

    /// The frames of a group with their ticks: those that are to be seen `closely` and those that
    /// others build on, up to where nothing more happens. Of a group whose length is not known, what
    /// is too much to hold goes to the detector.
    fn see(
        &self,
        group: &mut CodedGroup<'_, '_>,
        look: Option<&Look>,
        closely: &Closely,
    ) -> Result<Vec<(i64, SmallFrame)>> {
        let number = group.number();
        let watch = group.watch();
        let mut frames: Vec<(i64, SmallFrame)> = Vec::new();
        let wanted = |tick| look.is_none_or(|look| closely.sees(look.place(tick)));
        group.decode(&wanted, &mut |frame, converter| {
            let picture = converter.small(frame)?;
            let done = look.is_some_and(|look| look.is_over(frame.pts(), &picture));
            frames
                .push((frame.pts(), SmallFrame { time: frame.time(), picture, announced: false }));
            if look.is_none() && frames.len() >= WAITING {
                let mut state = self.lock();
                // The groups before are being worked on by others: this one waits for its turn.
                while state.next != number {
                    let wait = self.turned.wait_timeout(state, Duration::from_millis(100));
                    state = wait.unwrap_or_else(PoisonError::into_inner).0;
                    watch()?;
                }
                for (_, frame) in frames.drain(..) {
                    state.see(frame)?;
                }
            }
            Ok(!done)
        })?;
        Ok(frames)
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
        let (own, next) = (self.key(group, false)?, self.key(group, true)?);
        // What cannot be seen of the next group is no reason to look less closely at this one.
        let Some(own) = own.filter(|_| next.is_some() || group.next_key().is_none()) else {
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
            ends: (&own, next.as_ref()),
            key_bytes: own_bytes.min(next_bytes.unwrap_or(own_bytes)),
            sizes: &sizes,
            longest: group.longest(),
        };
        let ticks = || pictures.iter().filter_map(|picture| picture.pts).collect();
        let then_cut = match judge(&survey, &settings) {
            Verdict::Still => false,
            Verdict::StillThenCut => true,
            Verdict::Open { calm_from, closely } => {
                let look = Look { calm_from, closely, own: None, next, ticks: ticks(), settings };
                return Ok(Found::Open(look));
            }
            Verdict::Drifts => {
                let (closely, own) = (Closely::Around(Vec::new()), Some(own));
                let look = Look { calm_from: 1, closely, own, next, ticks: ticks(), settings };
                return Ok(Found::Open(look));
            }
        };
        let time = |tick: Option<i64>| group.time(tick.unwrap_or_default());
        Ok(Found::Still(Stretch {
            frames: vec![SmallFrame { time: time(key), picture: own, announced: false }],
            left_out: rest.iter().map(|picture| time(picture.pts)).collect(),
            then_cut,
            step: None,
        }))
    }
}

/// What a survey has found.
enum Found {
    /// Nothing changes: this is all there is to see.
    Still(Stretch),
    /// This is how it is to be looked at.
    Open(Look),
    /// Everything must be seen.
    Nothing,
}

/// How a group is looked at.
struct Look {
    /// Once a frame from here on looks like `next`, the rest can be left out.
    calm_from: usize,
    closely: Closely,
    /// Its keyframe, if the frame has to look like that as well.
    own: Option<SmallPicture>,
    next: Option<SmallPicture>,
    /// When its pictures are shown, in order.
    ticks: Vec<i64>,
    settings: SkipSettings,
}

impl Look {
    /// The place of a picture in order of time.
    fn place(&self, tick: i64) -> usize {
        self.ticks.partition_point(|other| *other < tick)
    }

    /// Whether `picture`, shown at `tick`, says that nothing more happens.
    fn is_over(&self, tick: i64, picture: &SmallPicture) -> bool {
        let place = self.place(tick);
        place >= self.calm_from
            && place + 1 < self.ticks.len()
            && self.next.as_ref().is_some_and(|next| one_scene(picture, next, &self.settings))
            && self.own.as_ref().is_none_or(|own| one_scene(own, picture, &self.settings))
    }

    /// Whether there is something in what was seen of the group that was not seen closely.
    fn missed(&self, frames: &[(i64, SmallFrame)]) -> Result<bool> {
        if self.closely == Closely::All {
            return Ok(false);
        }
        let mut detector = FastDetector::default();
        for (_, frame) in frames {
            detector.frame(frame.clone())?;
        }
        let seen: Vec<Timestamp> = frames
            .iter()
            .filter(|(tick, _)| self.closely.sees(self.place(*tick)))
            .map(|(_, frame)| frame.time)
            .collect();
        Ok(detector.finish()?.iter().any(|found| !seen.contains(&found.at)))
    }
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
        // Frames between those that were seen may have been passed over.
        if let (Some((_, step)), Some(own)) = (&mut self.last, stretch.step) {
            *step = own;
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
        let look = match found {
            Found::Still(stretch) => return self.complete(number, stretch),
            Found::Open(look) => Some(look),
            Found::Nothing => None,
        };
        let closely = look.as_ref().map_or(&Closely::All, |look| &look.closely);
        let mut frames = self.see(group, look.as_ref(), closely)?;
        if let Some(look) = &look
            && look.missed(&frames)?
        {
            frames = self.see(group, Some(look), &Closely::All)?;
        }
        let last = frames.last().map(|(_, frame)| frame.time);
        let step = look.as_ref().and_then(|look| match look.ticks[..] {
            [.., before, last] => Some(group.time(last).minus(group.time(before))),
            _ => None,
        });
        let left_out = match (look, last) {
            (Some(look), Some(last)) => {
                let times = look.ticks.iter().map(|tick| group.time(*tick));
                times.filter(|time| *time > last).collect()
            }
            _ => Vec::new(),
        };
        let frames = frames.into_iter().map(|(_, frame)| frame).collect();
        self.complete(number, Stretch { frames, left_out, then_cut: false, step })
    }

    fn frame(&self, n: u64, frame: &VideoFrame, converter: &mut PictureConverter) -> Result<()> {
        let picture = converter.small(frame)?;
        let frame = SmallFrame { time: frame.time(), picture, announced: false };
        self.complete(n, Stretch { frames: vec![frame], ..Stretch::default() })
    }
}
