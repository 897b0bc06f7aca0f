//! The picture shown at a time, and then at a later one: a film pulled along by whoever composes,
//! with one decoder thread. [`super::Reading`] pushes and serves many; this serves one, who knows
//! only from frame to frame what it wants next.

use super::decoder::{Decoder, Effort, Step};
use super::deinterlace::Deinterlacer;
use super::frame::{StreamLook, VideoFrame};
use super::info::{MediaInfo, Scan, StreamKind};
use super::input::{Input, Want};
use super::packet::PacketReader;
use super::select::StreamClock;
use super::{allow, gop::Coded as _, probe};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::limits::Limits;
use crate::time::{Rounding, TimeBase, Timestamp};
use ffmpeg::Rational;
use ffmpeg_next as ffmpeg;
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

/// A film opened at its main video stream.
pub struct FilmCursor {
    input: Input,
    info: MediaInfo,
    index: usize,
    clock: StreamClock,
    look: StreamLook,
    limits: Limits,
    decoder: Decoder,
    reader: PacketReader,
    config: Option<Arc<[u8]>>,
    /// Ticks from one picture to the next at the stated rate.
    step: i64,
    /// Whether pictures can only be read from the start, by their order.
    untimed: bool,
    /// Whether its pictures are made whole (bwdif): it says that it is interlaced, or one of them was.
    interlaced: bool,
    /// Whether pictures came as evenly as the stated rate says, so far.
    even: bool,
    late: Option<i64>,
    /// The tick of the first picture of all, once it was seen.
    first: Option<i64>,
    state: State,
    pixels: u64,
}

/// Where the reading is.
#[derive(Default)]
struct State {
    /// The last picture that was asked for, and the one behind it.
    shown: Option<Arc<VideoFrame>>,
    next: Option<Arc<VideoFrame>>,
    /// The tick of the last picture that came out.
    last: Option<i64>,
    /// The keyframe that decoding began at: what is shown before it lacks what it refers to.
    key: Option<i64>,
    /// Pictures before this tick only lead up to the one that was asked for: those that no other refers
    /// to are left out.
    leads_to: Option<i64>,
    /// The latest tick that was read so.
    hurried: Option<i64>,
    /// Makes fields whole, once there are any.
    fields: Option<Deinterlacer>,
    /// Pictures that are ready.
    ready: VecDeque<ffmpeg::frame::Video>,
    /// Whether the first interlaced picture came unforeseen: what stands before it has to be seen too.
    surprised: bool,
    /// Packets before the first keyframe cannot be decoded.
    started: bool,
    ended: bool,
}

impl State {
    fn new(interlaced: bool, base: TimeBase) -> Self {
        let fields = interlaced.then(|| Deinterlacer::new(base));
        Self { fields, ..Self::default() }
    }
}

impl FilmCursor {
    /// Opens the main video stream of `path`.
    ///
    /// # Errors
    /// As [`probe()`](crate::media::probe()); [`ErrorKind::Input`] if it holds no moving pictures.
    pub fn open(path: &Path, limits: &Limits, cancel: &Cancel) -> Result<Self> {
        let mut input = Input::open(path, limits, cancel)?;
        let info = probe::describe(&mut input);
        let missing =
            || Error::new(ErrorKind::Input, Stage::Decode, "holds no moving pictures").input(path);
        let stream = info.video().ok_or_else(missing)?;
        let StreamKind::Video(video) = &stream.kind else { return Err(missing()) };
        let index = stream.index;
        let parameters = input.parameters(index).ok_or_else(missing)?;
        let base = input.time_base(index);
        let rate = input.context().stream(index).map(|s| s.avg_frame_rate());
        let rate = rate.map(f64::from).filter(|rate| *rate > 0.0).unwrap_or(25.0);
        let step = (f64::from(base.den()) / f64::from(base.num()) / rate).round().max(1.0) as i64;
        let aspect = video
            .sample_aspect
            .split_once(':')
            .and_then(|(n, d)| Some(Rational(n.parse().ok()?, d.parse().ok()?)));
        let format = &info.container;
        let untimed = allow::is_elementary(format) || (format == "avi" && video.reorder > 0);
        let interlaced = matches!(video.scan, Scan::TopFirst | Scan::BottomFirst);
        let look = StreamLook {
            rotation: video.rotation,
            mirrored: video.mirrored,
            aspect: aspect.filter(|a| *a != Rational(1, 1)),
        };
        let reader = PacketReader::new(&parameters, step);
        let mut decoder = Decoder::open(parameters, base, NonZeroUsize::MIN, limits)?;
        decoder.give_unrecovered();
        input.want(|i| if i == index { Want::Everything } else { Want::Nothing });
        Ok(Self {
            clock: StreamClock { base, origin: info.origin },
            input,
            index,
            look,
            limits: limits.clone(),
            decoder,
            reader,
            config: None,
            step,
            untimed,
            interlaced,
            even: true,
            late: None,
            first: None,
            state: State::new(interlaced, base),
            pixels: 0,
            info,
        })
    }

    /// What the film is made of.
    pub fn info(&self) -> &MediaInfo {
        &self.info
    }

    /// The tick of the stream nearest to a media time. Containers round the times of pictures to
    /// their own ticks, so the time of a picture is found again only if it is rounded likewise.
    pub fn tick(&self, time: Timestamp) -> i64 {
        nearest(self.clock, time)
    }

    /// The media time of a tick.
    pub fn time(&self, tick: i64) -> Timestamp {
        self.clock.time(tick)
    }

    /// The picture shown at `time`: the last one that starts by then, the first one before that.
    /// Asking for rising times reads on; an earlier one seeks.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if nothing can be decoded; limits; cancelling.
    pub fn frame_at(&mut self, time: Timestamp) -> Result<Arc<VideoFrame>> {
        let tick = self.tick(time);
        self.find(tick).map_err(|e| e.input(self.input.path()))
    }

    /// The tick at which the picture that was given last gives way to the next; `None` at the end.
    pub fn gives_way(&self) -> Option<i64> {
        self.state.next.as_ref().map(|next| next.pts())
    }

    fn find(&mut self, tick: i64) -> Result<Arc<VideoFrame>> {
        if self.must_seek(tick) {
            self.seek(tick)?;
            // The picture that is shown at `tick` starts within a step of it, where they come evenly.
            if self.even && !self.interlaced && !self.untimed {
                self.state.leads_to = Some(tick.saturating_sub(2 * self.step));
            }
        }
        loop {
            let there = match (&self.state.shown, &self.state.next) {
                (_, Some(next)) if next.pts() > tick => self.state.shown.is_some(),
                (_, next) => next.is_none() && self.state.ended,
            };
            if there {
                let shown = self.state.shown.clone();
                let at = shown.as_ref().map(|shown| shown.pts());
                if self.state.hurried.is_none_or(|hurried| at.is_some_and(|at| at >= hurried)) {
                    return shown.ok_or_else(|| {
                        Error::new(ErrorKind::Input, Stage::Decode, "no picture could be decoded")
                            .hint("the file is damaged, cut off before its first keyframe, or encrypted")
                    });
                }
                // They come unevenly: the one to be shown may have been left out.
                self.even = false;
                (self.state.leads_to, self.state.hurried) = (None, None);
                self.seek(tick)?;
            } else if self.state.next.is_some() {
                self.state.shown = self.state.next.take();
            }
            if self.state.next.is_none() {
                self.state.next = self.decode()?;
                if std::mem::take(&mut self.state.surprised) {
                    self.seek(tick)?;
                }
            }
        }
    }

    /// Whether another place in the file is nearer to `tick` than reading on.
    fn must_seek(&mut self, tick: i64) -> bool {
        let Some(shown) = &self.state.shown else {
            return self.state.next.is_none() && !self.untimed && self.input.is_seekable();
        };
        if tick < shown.pts() {
            // Before the first picture there is nothing to find.
            return self.first != Some(shown.pts());
        }
        // Reading on over a group or two costs less than to seek and find the keyframe again.
        let at = self.state.last.unwrap_or(shown.pts());
        let ahead = self.clock.time(tick).minus(self.clock.time(at));
        !self.untimed && self.input.is_seekable() && ahead > Timestamp::from_secs(3)
    }

    /// Goes to the keyframe that `tick` can be decoded from.
    fn seek(&mut self, tick: i64) -> Result<()> {
        let backward = self.state.last.is_some_and(|last| last > tick) || self.state.ended;
        if self.untimed || !self.input.is_seekable() {
            return self.reopen();
        }
        // What a picture is made of fields with stands before and behind it: whichever way one comes
        // there, it has to be seen, or the same picture would not look the same.
        let tick = if self.interlaced { tick.saturating_sub(2 * self.step) } else { tick };
        // Demuxers seek by decode time, or roughly: if the first keyframe lies too late, from
        // further back.
        let mut back = 0;
        for attempt in 0..8 {
            if !self.input.seek(self.index, tick.saturating_sub(back)) {
                break;
            }
            if let Some(key) = self.restart()? {
                if key <= tick {
                    return Ok(());
                }
                back = back.max(self.step.saturating_mul(16)).saturating_mul(4);
            } else if attempt > 0 {
                break;
            } else {
                back = self.step.saturating_mul(64);
            }
        }
        // Nothing before it can be sought: from the start.
        if backward || self.state.started { self.reopen() } else { Ok(()) }
    }

    /// Forgets what was decoded and reads up to the next keyframe; gives its tick.
    fn restart(&mut self) -> Result<Option<i64>> {
        self.decoder.flush();
        self.state = State::new(self.interlaced, self.clock.base);
        while let Some(packet) = self.input.read()? {
            if packet.stream() != self.index {
                continue;
            }
            let packet = self.reader.read(packet);
            if packet.is_key() && packet.tick().is_some() {
                self.state.key = packet.tick();
                self.state.started = true;
                self.send(&packet)?;
                return Ok(self.state.key);
            }
        }
        Ok(None)
    }

    fn reopen(&mut self) -> Result<()> {
        let path = self.input.path().to_path_buf();
        let again = Self::open(&path, &self.limits, self.input.cancel())?;
        let (pixels, interlaced, even) = (self.pixels, self.interlaced, self.even);
        *self = again;
        self.pixels = pixels;
        self.interlaced = interlaced;
        self.even = even;
        self.state = State::new(interlaced, self.clock.base);
        // As a stream that is read from its start needs no seek.
        self.state.started = false;
        self.prime()
    }

    /// Decodes the first picture, so that nobody seeks to find it.
    fn prime(&mut self) -> Result<()> {
        self.state.next = self.decode()?;
        self.first = self.state.next.as_ref().map(|first| first.pts());
        Ok(())
    }

    fn send(&mut self, packet: &super::packet::CodedPacket) -> Result<()> {
        match packet.for_decoder(&mut self.config) {
            Some(configured) => self.decoder.send(&configured),
            None => self.decoder.send(packet.packet()),
        }
    }

    /// The next picture in order of time; `None` at the end.
    fn decode(&mut self) -> Result<Option<Arc<VideoFrame>>> {
        loop {
            if let Some(raw) = self.state.ready.pop_front() {
                let tick = self.placed(raw.timestamp());
                if self.leads(Some(tick)) {
                    continue;
                }
                self.state.last = Some(tick);
                let time = self.clock.time(tick);
                return Ok(Some(Arc::new(VideoFrame::new(raw, tick, time, self.look))));
            }
            match self.decoder.receive_video()? {
                Step::Frame(raw) => {
                    self.limits.check_picture(Stage::Decode, raw.width(), raw.height())?;
                    self.pixels += u64::from(raw.width()) * u64::from(raw.height());
                    let bytes =
                        self.info.bytes.unwrap_or(u64::MAX / self.limits.pixels_per_byte.max(1));
                    self.limits.check_decoded(self.pixels, bytes)?;
                    if self.leads(raw.timestamp()) {
                        continue;
                    }
                    if raw.is_interlaced() && !self.interlaced {
                        self.interlaced = true;
                        self.state.surprised = true;
                        self.state.fields = Some(Deinterlacer::new(self.clock.base));
                    }
                    match &mut self.state.fields {
                        None => self.state.ready.push_back(raw),
                        Some(fields) => self.state.ready.extend(fields.push(raw)?),
                    }
                }
                Step::Drained => {
                    let held = match &mut self.state.fields {
                        Some(fields) => fields.finish()?,
                        None => Vec::new(),
                    };
                    if held.is_empty() {
                        self.state.ended = true;
                        return Ok(None);
                    }
                    self.state.ready.extend(held);
                }
                Step::NeedInput => match self.next_packet()? {
                    Some(packet) => {
                        let leads = packet.packet().pts().zip(self.state.leads_to);
                        let leads = leads.filter(|(tick, to)| tick < to).map(|(tick, _)| tick);
                        self.state.hurried = self.state.hurried.max(leads);
                        self.decoder.set_effort(match leads {
                            Some(_) => Effort::ReferencesOnly,
                            None => Effort::Everything,
                        });
                        self.send(&packet)?;
                    }
                    None => self.decoder.drain()?,
                },
            }
        }
    }

    /// Whether a picture leads an open group: it refers to what was not decoded.
    fn leads(&self, tick: Option<i64>) -> bool {
        !self.untimed && tick.zip(self.state.key).is_some_and(|(tick, key)| tick < key)
    }

    fn next_packet(&mut self) -> Result<Option<super::packet::CodedPacket>> {
        while let Some(packet) = self.input.read()? {
            if packet.stream() != self.index {
                continue;
            }
            let packet = self.reader.read(packet);
            if self.state.started || packet.is_key() {
                self.state.started = true;
                return Ok(Some(packet));
            }
        }
        Ok(None)
    }

    /// A tick for every picture, each later than the one before.
    fn placed(&mut self, stamped: Option<i64>) -> i64 {
        let stamped = if self.untimed {
            let start = self.clock.tick(Timestamp::ZERO);
            stamped.map(|tick| {
                tick.saturating_sub(*self.late.get_or_insert(tick.saturating_sub(start)))
            })
        } else {
            stamped
        };
        match (stamped, self.state.last) {
            (Some(tick), None) => tick,
            (Some(tick), Some(last)) if tick > last => tick,
            (None, None) => self.clock.tick(Timestamp::ZERO),
            (_, Some(last)) => last.saturating_add(if stamped.is_some() { 1 } else { self.step }),
        }
    }
}

/// The tick nearest to a media time.
pub(super) fn nearest(clock: StreamClock, time: Timestamp) -> i64 {
    time.plus(clock.origin).rescale(clock.base, Rounding::Nearest).ticks()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rushes_fixtures::{Film, Sound, Variant, numbered};

    fn open(film: &Path) -> FilmCursor {
        FilmCursor::open(film, &Limits::default(), &Cancel::new()).unwrap()
    }

    #[test]
    fn a_time_shows_one_picture_whichever_way_one_comes_to_it() {
        // With B frames; open groups; pictures that stay for different times, at last some that stay for many
        // times as long as most, and that no other refers to.
        let holds = Film {
            name: "holds",
            millis: 12_000,
            filter: "select='not(between(mod(n,17),5,12))'",
            sound: Sound::None,
            extra: "-fps_mode vfr",
            ..Film::default()
        };
        let numbered = [
            Variant::ClosedGop,
            Variant::OpenGop,
            Variant::LongGop,
            Variant::Vfr,
            Variant::VfrMp4,
            Variant::Vp9,
            Variant::Mpeg2,
        ]
        .map(|variant| numbered(variant).path);
        for film in numbered.into_iter().chain([holds.make()]) {
            let mut along = open(&film);
            let at = |n: i64| Timestamp::from_millis(17 + n * 31);
            let duration = along.info().duration.map_or(4.0, |d| d.as_secs_f64());
            let count = (duration / 0.031) as i64 + 3;
            let picture = |cursor: &mut FilmCursor, n| {
                let shown = cursor.frame_at(at(n)).unwrap();
                let mut planes = Vec::new();
                shown.copy_planes(&mut planes).unwrap();
                (shown.pts(), planes)
            };
            let seen: Vec<_> = (0..count).map(|n| picture(&mut along, n)).collect();
            // Backwards with a cursor that has seen what follows, and with a new one for each time.
            for n in (0..count).rev().step_by(7) {
                let (there, back) = (picture(&mut open(&film), n), picture(&mut along, n));
                let (pts, planes) = &seen[n as usize];
                assert_eq!((there.0, back.0), (*pts, *pts), "{} at {n}", film.display());
                assert!(there.1 == *planes && back.1 == *planes, "{} at {n}", film.display());
            }
        }
    }
}
