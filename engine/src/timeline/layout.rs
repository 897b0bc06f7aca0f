//! A spec on the clock: which frames of the canvas each item covers, which samples each sound, and
//! what is wrong with that.

use super::fault::{Faults, step};
use super::spec::*;
use super::value::{Animated, Rate, Rgb, Time, seconds};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// What is known of an asset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AssetFacts {
    /// How long its pictures last, if it has moving ones.
    pub pictures: Option<Timestamp>,
    /// How long its sound lasts, if it has any.
    pub sound: Option<Timestamp>,
    /// Whether it is a single picture.
    pub still: bool,
    /// Why it cannot be used, if it cannot.
    pub broken: Option<String>,
}

/// What is known of the assets, by name.
pub type Facts = BTreeMap<String, AssetFacts>;

/// What an item shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// An asset, by name.
    Asset(String),
    /// A colour.
    Colour(Rgb),
    /// A text; [`Clip::item`] has it.
    Title,
}

/// A transition on the canvas's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wipe {
    /// Which.
    pub kind: TransitionKind,
    /// How many frames it takes, at least one.
    pub frames: i64,
    /// Whether it leads from the item before (else from or to nothing).
    pub joined: bool,
}

/// An item of a video track on the clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// Its place in the spec.
    pub pointer: String,
    /// What it shows.
    pub shown: Shown,
    /// The first frame of the canvas that it covers.
    pub start: i64,
    /// The first frame behind it.
    pub end: i64,
    /// Where in the asset it starts.
    pub from: Timestamp,
    /// Where in the asset it ends; the same as `from` for a still.
    pub to: Timestamp,
    /// How fast the asset runs, in millionths; 0 for a still.
    pub speed: u32,
    /// Whether the asset runs backwards, from `to` to `from`.
    pub reverse: bool,
    /// How it comes in.
    pub enter: Option<Wipe>,
    /// How it goes.
    pub exit: Option<Wipe>,
    /// The rest of what the spec says of it.
    pub item: VideoItem,
}

impl Clip {
    /// The time in the asset that is shown at frame `n` of the canvas.
    pub fn source_time(&self, n: i64, rate: Rate) -> Timestamp {
        let run = rate.time(n - self.start).times(self.speed, SPEED);
        // Backwards, the last frame is the one before `to`.
        if self.reverse {
            self.to.minus(rate.time(1)).minus(run).max(self.from)
        } else {
            self.from.plus(run)
        }
    }

    /// Whether it only shows the asset as it is, so that its pictures could be copied: the caller
    /// still has to compare sizes, rates and codecs.
    pub fn is_plain(&self) -> bool {
        let item = &self.item;
        let always = |value: &Option<Animated>, wanted: f64| {
            value.as_ref().is_none_or(|value| value.is_always(wanted))
        };
        matches!(self.shown, Shown::Asset(_))
            && self.speed == SPEED
            && !self.reverse
            && item.blend != Some(true)
            && item.crop.is_none()
            && item.effects.is_empty()
            && always(&item.opacity, 1.0)
            && item.place.as_ref().is_none_or(|place| {
                always(&place.x, 0.5)
                    && always(&place.y, 0.5)
                    && always(&place.scale, 1.0)
                    && always(&place.rotate, 0.0)
            })
    }
}

/// Speed 1, in millionths.
pub(crate) const NORMAL_SPEED: u32 = 1_000_000;
const SPEED: u32 = NORMAL_SPEED;

/// Samples a second of the mix.
pub(crate) const SAMPLES: u32 = 48_000;

/// A sound on the clock, in samples at 48 kHz from the start of the programme.
#[derive(Clone, Debug, PartialEq)]
pub struct SoundClip {
    /// Its place in the spec.
    pub pointer: String,
    /// The asset, by name.
    pub asset: String,
    /// The first sample it covers.
    pub start: u64,
    /// The first sample behind it.
    pub end: u64,
    /// Where in the asset it starts.
    pub from: Timestamp,
    /// How fast the asset runs, in millionths.
    pub speed: u32,
    /// How much louder it is, in decibels, over its time.
    pub gain_db: Animated,
    /// Samples it takes to come up.
    pub fade_in: u64,
    /// Samples it takes to go away.
    pub fade_out: u64,
    /// From -1 for left to 1 for right.
    pub pan: f64,
    /// The audio track it is on; `None` for the sound of a video item.
    pub track: Option<usize>,
}

/// A spec on the clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Frames of the whole.
    pub frames: i64,
    /// Samples of the whole.
    pub samples: u64,
    /// The clips of each video track, in order of time.
    pub video: Vec<Vec<Clip>>,
    /// Every sound.
    pub sound: Vec<SoundClip>,
}

/// A gap that an edit may have, and a length it may reach: 48 hours, as the default limits say.
pub(super) const MAX_SECONDS: i64 = 48 * 3600;

impl Timeline {
    /// Lays the edit out.
    ///
    /// # Errors
    /// Everything that does not fit: unknown and broken assets, spans past the end, overlaps,
    /// transitions longer than their items.
    pub fn layout(&self, facts: &Facts) -> Result<Layout, Faults> {
        let (layout, faults) = self.lay_out(facts);
        faults.or(Some(layout))
    }

    /// As [`Self::layout`], with what can be laid out in spite of faults.
    pub fn lay_out(&self, facts: &Facts) -> (Layout, Faults) {
        let mut faults = Faults::default();
        for name in self.assets.keys() {
            if let Some(why) = facts.get(name).and_then(|facts| facts.broken.as_ref()) {
                faults.add(step("/assets", name), why.clone());
            }
        }
        let mut maker = Maker { facts, rate: self.canvas.rate, faults, sound: Vec::new() };
        let video: Vec<Vec<Clip>> =
            self.video.iter().enumerate().map(|(t, track)| maker.video_track(t, track)).collect();
        for (t, track) in self.audio.iter().enumerate() {
            maker.audio_track(t, track);
        }
        let Maker { faults, sound, rate, .. } = maker;
        let frames = video.iter().flatten().map(|clip| clip.end).max().unwrap_or(0);
        let heard = sound.iter().map(|clip| clip.end).max().unwrap_or(0);
        // Sound that goes on behind the last picture is heard over the background.
        let heard = Timestamp::new(i64::try_from(heard).unwrap_or(i64::MAX), samples_base());
        let frames = frames.max(heard.rescale(rate.frame(), crate::time::Rounding::Ceil).ticks());
        let samples = samples(rate.time(frames));
        (Layout { frames, samples, video, sound }, faults)
    }
}

fn samples_base() -> crate::time::TimeBase {
    crate::time::TimeBase::per_second(SAMPLES)
}

/// The sample at a time of the programme.
fn samples(time: Timestamp) -> u64 {
    time.rescale(samples_base(), crate::time::Rounding::Nearest).ticks().max(0).unsigned_abs()
}

struct Maker<'a> {
    facts: &'a Facts,
    rate: Rate,
    faults: Faults,
    sound: Vec<SoundClip>,
}

/// What an item takes of its asset.
struct Taken {
    from: Timestamp,
    to: Timestamp,
    /// On the canvas.
    length: Timestamp,
}

impl Maker<'_> {
    fn time(&self, time: Option<Time>) -> Option<Timestamp> {
        time.map(|time| time.resolve(self.rate))
    }

    fn video_track(&mut self, t: usize, track: &VideoTrack) -> Vec<Clip> {
        let mut clips: Vec<Clip> = Vec::new();
        // Where the item before ends, exactly.
        let mut end = Timestamp::ZERO;
        for (i, item) in track.items.iter().enumerate() {
            let at = format!("/video/{t}/items/{i}");
            let speed = item.speed.map_or(SPEED, |speed| (speed * f64::from(SPEED)).round() as u32);
            let Some((taken, still)) = self.taken(&at, item, speed) else { continue };
            let enter = item.enter.as_ref().map(|wipe| wipe.length.resolve(self.rate));
            let start = match (self.time(item.at), self.time(item.after)) {
                (Some(at), _) => at,
                (None, Some(after)) => end.plus(after),
                // Behind another item the transition is shared by both.
                (None, None) if !clips.is_empty() => {
                    end.minus(enter.unwrap_or(Timestamp::ZERO)).max(Timestamp::ZERO)
                }
                (None, None) => end,
            };
            let finish = start.plus(taken.length);
            let (first, behind) = (self.rate.nearest(start), self.rate.nearest(finish));
            if behind <= first {
                self.faults.add(at, "is shorter than one frame of the canvas");
                continue;
            }
            if finish > Timestamp::from_secs(MAX_SECONDS) {
                self.faults.add(at, format!("ends behind {} h", MAX_SECONDS / 3600));
                continue;
            }
            let overlap = clips.last().map_or(0, |last: &Clip| last.end - first);
            let frames = |time: Timestamp| self.rate.nearest(time).max(1);
            let wipe = |wipe: &Option<Transition>, joined| {
                wipe.as_ref().map(|w| Wipe {
                    kind: w.kind,
                    frames: frames(w.length.resolve(self.rate)),
                    joined,
                })
            };
            let mut enter = wipe(&item.enter, overlap > 0);
            let implied = item.at.is_none() && item.after.is_none();
            if let Some(enter) = enter.as_mut().filter(|_| implied && overlap > 0) {
                if start == Timestamp::ZERO && enter.frames > overlap {
                    let longer = "is longer than what stands before it";
                    self.faults.add(format!("{at}/enter/length"), longer);
                    continue;
                }
                // Both ends are rounded to frames; what is shared is what there is.
                enter.frames = overlap;
            }
            let exit = wipe(&item.exit, false);
            if overlap > 0 && enter.is_none_or(|enter| enter.frames != overlap) {
                let last = clips.last().map(|last| last.pointer.clone()).unwrap_or_default();
                self.faults.add(&at, format!(
                    "overlaps {last} by {}: on one track only an \"enter\" transition of that length may",
                    seconds(self.rate.time(overlap))
                ));
                continue;
            }
            if let Some(last) = clips.last()
                && overlap > 0
            {
                if last.exit.is_some() {
                    self.faults.add(
                        format!("{}/exit", last.pointer),
                        format!("cannot be: {at} enters over it"),
                    );
                }
                if last.enter.map_or(0, |enter| enter.frames) + overlap > last.end - last.start {
                    self.faults.add(
                        format!("{at}/enter/length"),
                        format!("{} is too short for its transitions", last.pointer),
                    );
                }
            }
            let both = enter.map_or(0, |w| w.frames) + exit.map_or(0, |w| w.frames);
            if both > behind - first {
                self.faults.add(&at, "is shorter than its transitions");
            }
            let shown = match (&item.asset, &item.colour) {
                (Some(name), _) => Shown::Asset(name.clone()),
                (None, Some(colour)) => Shown::Colour(*colour),
                (None, None) => Shown::Title,
            };
            let clip = Clip {
                pointer: at,
                shown,
                start: first,
                end: behind,
                from: taken.from,
                to: taken.to,
                speed: if still { 0 } else { speed },
                reverse: item.reverse == Some(true),
                enter,
                exit,
                item: item.clone(),
            };
            self.sound_of(&clip, clips.last());
            clips.push(clip);
            end = finish;
        }
        clips
    }

    /// The sound that a video item brings along.
    fn sound_of(&mut self, clip: &Clip, last: Option<&Clip>) {
        let Shown::Asset(name) = &clip.shown else { return };
        let heard = self.facts.get(name).is_some_and(|facts| facts.sound.is_some());
        if !heard || clip.item.mute == Some(true) || clip.speed == 0 || clip.reverse {
            return;
        }
        let at = |frame: i64| samples(self.rate.time(frame));
        let length = |wipe: Option<Wipe>| wipe.map_or(0, |wipe| at(wipe.frames));
        // Through a transition one sound goes as the other comes.
        if let Some(enter) = clip.enter.filter(|enter| enter.joined)
            && let Some(last) = last
            && let Some(sound) =
                self.sound.iter_mut().rev().find(|sound| sound.pointer == last.pointer)
        {
            sound.fade_out = samples(self.rate.time(enter.frames));
        }
        let made = SoundClip {
            pointer: clip.pointer.clone(),
            asset: name.clone(),
            start: at(clip.start),
            end: at(clip.end),
            from: clip.from,
            speed: clip.speed,
            gain_db: clip.item.gain_db.clone().unwrap_or(Animated::Still(0.0)),
            fade_in: length(clip.enter),
            fade_out: length(clip.exit),
            pan: 0.0,
            track: None,
        };
        self.sound.push(made);
    }

    /// What an item takes of its asset, and whether that is a single picture.
    fn taken(&mut self, at: &str, item: &VideoItem, speed: u32) -> Option<(Taken, bool)> {
        let length = self.time(item.length);
        let Some(name) = &item.asset else {
            let length = length?;
            return Some((Taken { from: Timestamp::ZERO, to: Timestamp::ZERO, length }, true));
        };
        let facts = self.facts.get(name)?;
        if facts.broken.is_some() {
            return None;
        }
        let from = self.time(item.from).unwrap_or(Timestamp::ZERO);
        if facts.still || item.freeze == Some(true) {
            let Some(length) = length else {
                self.faults.add(at, "a picture needs \"length\"");
                return None;
            };
            let pictures = facts.pictures.filter(|_| !facts.still);
            if pictures.is_some_and(|end| from >= end) {
                self.past_the_end(&format!("{at}/from"), name, pictures);
                return None;
            }
            return Some((Taken { from, to: from, length }, true));
        }
        let Some(end) = facts.pictures else {
            self.faults.add(format!("{at}/asset"), format!("\"{name}\" holds no moving pictures"));
            return None;
        };
        Some((self.span(at, name, from, self.time(item.to), length, end, speed)?, false))
    }

    #[allow(clippy::too_many_arguments)] // the parts of one span, used twice
    fn span(
        &mut self,
        at: &str,
        name: &str,
        from: Timestamp,
        to: Option<Timestamp>,
        length: Option<Timestamp>,
        end: Timestamp,
        speed: u32,
    ) -> Option<Taken> {
        let (to, which) = match (to, length) {
            (Some(to), _) => (to, "to"),
            (None, Some(length)) => (from.plus(length.times(speed, SPEED)), "length"),
            (None, None) => (end, "from"),
        };
        // A frame's worth: what a container says of its length is rounded.
        if to > end.plus(self.rate.time(1)) || from >= end {
            let which = if from >= end { "from" } else { which };
            self.past_the_end(&format!("{at}/{which}"), name, Some(end));
            return None;
        }
        if to <= from {
            self.faults.add(format!("{at}/{which}"), "must lie behind \"from\"");
            return None;
        }
        Some(Taken { from, to, length: to.minus(from).times(SPEED, speed) })
    }

    fn past_the_end(&mut self, pointer: &str, name: &str, end: Option<Timestamp>) {
        let end = end.unwrap_or(Timestamp::ZERO);
        self.faults.add(pointer, format!("lies past the end of \"{name}\", which is {end} long"));
    }

    fn audio_track(&mut self, t: usize, track: &AudioTrack) {
        let mut end = Timestamp::ZERO;
        let mut last: Option<String> = None;
        for (i, item) in track.items.iter().enumerate() {
            let at = format!("/audio/{t}/items/{i}");
            let Some(facts) = self.facts.get(&item.asset).filter(|facts| facts.broken.is_none())
            else {
                continue;
            };
            let Some(sound) = facts.sound else {
                self.faults
                    .add(format!("{at}/asset"), format!("\"{}\" holds no sound", item.asset));
                continue;
            };
            let from = self.time(item.from).unwrap_or(Timestamp::ZERO);
            let (to, length) = (self.time(item.to), self.time(item.length));
            let Some(taken) = self.span(&at, &item.asset, from, to, length, sound, SPEED) else {
                continue;
            };
            let start = match (self.time(item.at), self.time(item.after)) {
                (Some(at), _) => at,
                (None, after) => end.plus(after.unwrap_or(Timestamp::ZERO)),
            };
            if start < end {
                let last = last.unwrap_or_default();
                self.faults.add(&at, format!("overlaps {last}; put it on another track"));
            }
            end = start.plus(taken.length);
            if end > Timestamp::from_secs(MAX_SECONDS) {
                self.faults.add(&at, format!("ends behind {} h", MAX_SECONDS / 3600));
            }
            let (fade_in, fade_out) = (self.time(item.fade_in), self.time(item.fade_out));
            let fades =
                fade_in.unwrap_or(Timestamp::ZERO).plus(fade_out.unwrap_or(Timestamp::ZERO));
            if fades > taken.length {
                self.faults.add(&at, "is shorter than its fades");
            }
            self.sound.push(SoundClip {
                pointer: at.clone(),
                asset: item.asset.clone(),
                start: samples(start),
                end: samples(end),
                from: taken.from,
                speed: SPEED,
                gain_db: match &item.gain_db {
                    Some(gain) => gain.clone(),
                    None => Animated::Still(0.0),
                },
                fade_in: fade_in.map_or(0, samples),
                fade_out: fade_out.map_or(0, samples),
                pan: item.pan.unwrap_or(0.0),
                track: Some(t),
            });
            last = Some(at);
        }
    }
}
