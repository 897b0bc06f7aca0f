//! The whole sound of an edit: every clip from its place, at its gain, encoded once for the whole
//! programme. Clips are placed by counts of samples from absolute times, so nothing adds up.
//!
//! Mixed block by block in bounded memory, however long it is: where a loudness is asked for, which
//! takes two passes and more, the mix lies in an unnamed file meanwhile (23 MB a minute).

use super::assets::Sources;
use super::inks::Inks;
use super::parts::{Footer, Part, Store};
use super::sound::{
    Ducking, LoudnessTarget, Mastering, Programme, Stereo, Stretcher, duck, measure,
};
use super::target::{OutputFormat, Target};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::limits::Limits;
use crate::media::{
    Channels, FilmFormat, FilmSound, SoundCodec, SoundCursor, SoundFormat, SoundPacket, SoundShape,
    copy_sound, copyable_sound,
};
use crate::time::{Rounding, TimeBase, Timestamp};
use crate::timeline::{Layout, NORMAL_SPEED, SoundClip, Timeline};
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::num::NonZeroU32;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

/// Samples a second of the mix.
pub(super) const RATE: u32 = super::sound::RATE;
const SHAPE: SoundShape = SoundShape { rate: RATE, channels: 2 };
const FORMAT: SoundFormat = SoundFormat { rate: NonZeroU32::new(RATE), channels: Channels::Stereo };

/// Samples mixed at once: half a second.
const BLOCK: u64 = 24_000;

/// Raised when the same edit gives other samples.
const VERSION: u32 = 2;

/// What the mix is made from.
pub(super) struct Heard<'a> {
    pub timeline: &'a Timeline,
    pub layout: &'a Layout,
    pub sources: &'a Sources,
    pub inks: &'a Inks,
    pub limits: &'a Limits,
    pub cancel: &'a Cancel,
}

impl Heard<'_> {
    /// Whether anything is heard at all.
    pub fn is_silent(&self) -> bool {
        self.layout.sound.is_empty()
    }

    /// Where one sound begins or ends without a fade, in rising order.
    pub fn seams(&self) -> Vec<u64> {
        let clips = self.layout.sound.iter();
        let ends = clips.flat_map(|clip| [(clip.start, clip.fade_in), (clip.end, clip.fade_out)]);
        let inside = ends.filter(|(at, fade)| *fade == 0 && *at > 0 && *at < self.layout.samples);
        let mut seams: Vec<u64> = inside.map(|(at, _)| at).collect();
        seams.sort_unstable();
        seams.dedup();
        seams
    }

    /// The one sound that is heard, if nothing at all is done to it and the target takes it as it was
    /// coded: then its packets can be copied.
    fn untouched(&self, target: &Target) -> Result<Option<&SoundClip>> {
        let [clip] = self.layout.sound.as_slice() else { return Ok(None) };
        let as_it_is = clip.start == 0
            && clip.end >= self.layout.samples
            && clip.speed == NORMAL_SPEED
            && clip.gain_db.is_always(0.0)
            && (clip.fade_in, clip.fade_out, clip.track) == (0, 0, None)
            && self.timeline.sound.is_none();
        let wanted = target.copy
            && target.sound == SoundCodec::Aac
            && target.sound_rate.is_none()
            && matches!(target.format, OutputFormat::Film(FilmFormat::Mp4 | FilmFormat::Mov));
        let Some(source) = self.sources.get(&clip.asset).filter(|_| as_it_is && wanted) else {
            return Ok(None);
        };
        let header = copyable_sound(&source.path, self.limits, self.cancel)?;
        Ok(header.map(|_| clip))
    }

    /// Stands for everything that decides the encoded sound.
    pub fn key(&self, target: &Target) -> Result<String> {
        if let Some(clip) = self.untouched(target)? {
            let source = self.sources.get(&clip.asset).map(|source| &source.identity);
            let all = json!([VERSION, "copied", source, clip.from, self.layout.samples]);
            return Ok(blake3::hash(all.to_string().as_bytes()).to_hex().to_string());
        }
        let (codec, bit_rate) = (target.sound, target.sound_rate);
        let clips: Vec<_> = self
            .layout
            .sound
            .iter()
            .map(|clip| {
                let identity = self.sources.get(&clip.asset).map(|source| &source.identity);
                json!({
                    "asset": identity, "start": clip.start, "end": clip.end, "from": clip.from,
                    "speed": clip.speed, "gain": clip.gain_db, "in": clip.fade_in,
                    "out": clip.fade_out, "pan": clip.pan, "track": clip.track,
                })
            })
            .collect();
        let tracks: Vec<_> =
            self.timeline.audio.iter().map(|track| json!([track.gain_db, track.duck])).collect();
        let ducked = self.timeline.audio.iter().any(|track| track.duck.is_some());
        let all = json!({
            "under": ducked.then(|| self.speech()),
            "version": VERSION, "samples": self.layout.samples, "clips": clips, "tracks": tracks,
            "sound": self.timeline.sound, "codec": codec, "rate": bit_rate,
            "frames": self.timeline.canvas.rate,
        });
        Ok(blake3::hash(all.to_string().as_bytes()).to_hex().to_string())
    }

    /// Copies packets into `store`; nothing where that cannot be done after all.
    fn copy(&self, store: &Store, key: &str, clip: &SoundClip) -> Result<Option<Part>> {
        let Some(source) = self.sources.get(&clip.asset) else { return Ok(None) };
        let length = i64::try_from(self.layout.samples).unwrap_or(i64::MAX);
        let to = clip.from.plus(Timestamp::new(length, TimeBase::per_second(RATE)));
        let mut writer = store.write(key)?;
        let mut take = |p: SoundPacket| writer.packet(p.pts, p.duration, true, &p.data);
        let span = (clip.from, to);
        match copy_sound(&source.path, span, self.limits, self.cancel, &mut take) {
            Ok(header) => {
                let footer = Footer { sound: Some(header), ..Footer::default() };
                writer.finish(footer).map(Some)
            }
            Err(error) if error.kind() == ErrorKind::Input => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Copies, or mixes and encodes the sound into `store`.
    pub fn encode(&self, store: &Store, key: &str, target: &Target) -> Result<Part> {
        if let Some(clip) = self.untouched(target)?
            && let Some(part) = self.copy(store, key, clip)?
        {
            return Ok(part);
        }
        let (codec, bit_rate) = (target.sound, target.sound_rate);
        let mut encoder = FilmSound::open(codec, SHAPE, bit_rate)?;
        let mut writer = store.write(key)?;
        let header = encoder.header().clone();
        let mut mixing = Mixing::new(self);
        let total = self.layout.samples;
        let mut take = |mixed: &Stereo| {
            let mixed = mixed.interleaved();
            encoder.push(&mixed, &mut |p| writer.packet(p.pts, p.duration, true, &p.data))
        };
        let mut mix = |take: &mut dyn FnMut(&Stereo) -> Result<()>| {
            (0..total).step_by(BLOCK as usize).try_for_each(|at| {
                self.cancel.check(Stage::Render)?;
                take(&mixing.block(at, BLOCK.min(total - at))?)
            })
        };
        if let Some(sound) = &self.timeline.sound {
            let mut whole = Scratch::new(store)?;
            mix(&mut |block| whole.push(block))?;
            whole.cancel = self.cancel.clone();
            let integrated = match sound.loudness {
                Some(loudness) => loudness,
                None => measure(&whole)?.integrated,
            };
            let way = if integrated.is_finite() {
                let true_peak = sound.true_peak.unwrap_or(-1.0);
                Mastering::find(&whole, &LoudnessTarget { integrated, true_peak })?.0
            } else {
                Mastering::NOTHING
            };
            way.apply(&whole, &mut take)?;
        } else {
            mix(&mut take)?;
        }
        encoder.finish(&mut |p| writer.packet(p.pts, p.duration, true, &p.data))?;
        writer.finish(Footer {
            film: None,
            sound: Some(header),
            packets: 0,
            pictures: None,
            coded: String::new(),
            reorder: 0,
        })
    }
}

/// A programme on disk, in a file without a name: interleaved floats in the machine's order.
struct Scratch {
    file: BufWriter<File>,
    folder: PathBuf,
    samples: usize,
    cancel: Cancel,
}

impl Scratch {
    fn new(store: &Store) -> Result<Self> {
        let (file, folder) = store.scratch()?;
        let file = BufWriter::with_capacity(1 << 20, file);
        Ok(Self { file, folder, samples: 0, cancel: Cancel::new() })
    }

    fn push(&mut self, block: &Stereo) -> Result<()> {
        let bytes: Vec<u8> = block.interleaved().iter().flat_map(|s| s.to_ne_bytes()).collect();
        let written = self.file.write_all(&bytes).and_then(|()| self.file.flush());
        written.map_err(|e| Error::io(Stage::Write, &self.folder, e))?;
        self.samples += block.len();
        Ok(())
    }
}

impl Programme for Scratch {
    fn samples(&self) -> usize {
        self.samples
    }

    fn read(&self, from: usize, to: usize) -> Result<Stereo> {
        const EACH: usize = 2 * size_of::<f32>();
        self.cancel.check(Stage::Render)?;
        let mut bytes = vec![0; (to - from) * EACH];
        let read = self.file.get_ref().read_exact_at(&mut bytes, (from * EACH) as u64);
        read.map_err(|e| Error::io(Stage::Write, &self.folder, e))?;
        let floats = bytes.chunks_exact(4).map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
        Ok(Stereo::from_interleaved(&floats.collect::<Vec<_>>(), 2))
    }
}

struct Mixing<'a> {
    heard: &'a Heard<'a>,
    /// The clips that are being heard.
    open: Vec<Option<Open>>,
    /// When somebody speaks, as far as is known.
    spans: Vec<(u64, u64)>,
}

/// A clip that is being heard.
enum Open {
    /// Read as it is wanted.
    Cursor(Box<SoundCursor>),
    /// The same at another pace.
    Stretched(Box<(SoundCursor, Stretcher)>),
}

impl<'a> Mixing<'a> {
    fn new(heard: &'a Heard<'a>) -> Self {
        let open = heard.layout.sound.iter().map(|_| None).collect();
        Self { heard, open, spans: heard.speech() }
    }

    /// `count` samples from sample `at` of the programme.
    fn block(&mut self, at: u64, count: u64) -> Result<Stereo> {
        let mut out = self.track(None, at, count)?;
        for (t, track) in self.heard.timeline.audio.iter().enumerate() {
            let mut mixed = self.track(Some(t), at, count)?;
            if let Some(wanted) = &track.duck {
                duck(&mut mixed, at, &self.spans, &self.ducking(wanted));
            }
            for (to, from) in out.channels.iter_mut().zip(&mixed.channels) {
                to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
            }
        }
        Ok(out)
    }

    fn ducking(&self, wanted: &crate::timeline::Duck) -> Ducking {
        let usual = Ducking::default();
        let samples = |time: Option<crate::timeline::Time>, usual: u32| {
            time.map_or(usual, |time| {
                let time = time.resolve(self.heard.timeline.canvas.rate);
                let ticks = time.rescale(TimeBase::per_second(RATE), Rounding::Nearest).ticks();
                u32::try_from(ticks).unwrap_or(usual)
            })
        };
        Ducking {
            depth: wanted.by_db.map_or(usual.depth, |by| -by),
            attack: samples(wanted.attack, usual.attack),
            release: samples(wanted.release, usual.release),
            hold: usual.hold,
        }
    }

    /// The clips of one audio track, or those that video items bring along.
    fn track(&mut self, track: Option<usize>, at: u64, count: u64) -> Result<Stereo> {
        let mut out = Stereo::silence(count as usize);
        let clips = &self.heard.layout.sound;
        for (clip, open) in clips.iter().zip(&mut self.open) {
            if clip.track != track || clip.start >= at + count {
                continue;
            }
            if clip.end <= at {
                *open = None;
                continue;
            }
            let first = clip.start.max(at);
            let behind = clip.end.min(at + count);
            let (skip, wanted) = (first - clip.start, (behind - first) as usize);
            let open = match open {
                Some(open) => open,
                None => open.insert(self.heard.open(clip, skip)?),
            };
            let samples = match open {
                Open::Cursor(cursor) => Stereo::from_interleaved(&cursor.read(wanted)?, 2),
                Open::Stretched(pair) => {
                    let (cursor, stretcher) = &mut **pair;
                    let mut read = |count| Ok(Stereo::from_interleaved(&cursor.read(count)?, 2));
                    stretcher.next(wanted, &mut read)?
                }
            };
            let gain = self.heard.gain(clip);
            let from = (first - at) as usize;
            for i in 0..samples.len() {
                let sides = gain.at(skip + i as u64);
                for (side, gain) in sides.into_iter().enumerate() {
                    out.channels[side][from + i] += samples.channels[side][i] * gain;
                }
            }
        }
        Ok(out)
    }
}

impl Heard<'_> {
    /// When somebody speaks in the items of video tracks, in samples of the programme: as their
    /// captions say, and all the time where none belong to them.
    fn speech(&self) -> Vec<(u64, u64)> {
        let samples = |time: Timestamp| {
            let ticks = time.rescale(TimeBase::per_second(RATE), Rounding::Nearest).ticks();
            u64::try_from(ticks).unwrap_or(0)
        };
        let mut spans = Vec::new();
        for clip in self.layout.sound.iter().filter(|clip| clip.track.is_none()) {
            match self.inks.said(&clip.asset) {
                None => spans.push((clip.start, clip.end)),
                Some(said) => {
                    let said = said.into_iter().map(|(from, to)| (samples(from), samples(to)));
                    let inside = said.map(|(from, to)| (from.max(clip.start), to.min(clip.end)));
                    spans.extend(inside.filter(|(from, to)| from < to));
                }
            }
        }
        spans.sort_unstable();
        spans
    }

    fn open(&self, clip: &SoundClip, skipped: u64) -> Result<Open> {
        let source = self
            .sources
            .get(&clip.asset)
            .ok_or_else(|| Error::new(ErrorKind::Internal, Stage::Render, "an asset went away"))?;
        if clip.speed != NORMAL_SPEED {
            let speed = f64::from(clip.speed) / f64::from(NORMAL_SPEED);
            let length = ((clip.end - clip.start) as f64 * speed).round() as usize;
            let (limits, cancel) = (self.limits, self.cancel);
            let cursor = SoundCursor::open(&source.path, clip.from, FORMAT, limits, cancel)?;
            return Ok(Open::Stretched(Box::new((cursor, Stretcher::new(length, speed)))));
        }
        let skipped = i64::try_from(skipped).unwrap_or(i64::MAX);
        let from = clip.from.plus(Timestamp::new(skipped, TimeBase::per_second(RATE)));
        SoundCursor::open(&source.path, from, FORMAT, self.limits, self.cancel)
            .map(|cursor| Open::Cursor(Box::new(cursor)))
    }

    fn gain<'a>(&'a self, clip: &'a SoundClip) -> Gain<'a> {
        let track = clip.track.and_then(|t| self.timeline.audio.get(t)).and_then(|t| t.gain_db);
        // Constant power: both sides at -3 dB in the middle would make it quieter than it came, so
        // the far side alone goes down.
        let pan = clip.pan as f32;
        let sides = [(1.0 - pan).min(1.0), (1.0 + pan).min(1.0)];
        Gain { clip, rate: self.timeline.canvas.rate, fixed: decibels(track.unwrap_or(0.0)), sides }
    }
}

/// How loud a clip is from sample to sample.
struct Gain<'a> {
    clip: &'a SoundClip,
    rate: crate::timeline::Rate,
    fixed: f32,
    sides: [f32; 2],
}

impl Gain<'_> {
    /// At sample `i` of the clip, left and right.
    fn at(&self, i: u64) -> [f32; 2] {
        let clip = self.clip;
        let length = clip.end - clip.start;
        let share =
            |done: u64, of: u64| if done < of { (done as f32 + 0.5) / of as f32 } else { 1.0 };
        // Equal power, so that a crossfade of unlike sounds stays as loud.
        let fade = |share: f32| (share * std::f32::consts::FRAC_PI_2).sin();
        let fades = fade(share(i, clip.fade_in)) * fade(share(length - 1 - i, clip.fade_out));
        let moving = match &clip.gain_db {
            crate::timeline::Animated::Still(gain) => *gain,
            moving => {
                let time = Timestamp::new(
                    i64::try_from(i).unwrap_or(i64::MAX),
                    TimeBase::per_second(RATE),
                );
                moving.at(time, self.rate)
            }
        };
        let gain = self.fixed * decibels(moving) * fades;
        self.sides.map(|side| side * gain)
    }
}

fn decibels(gain: f64) -> f32 {
    if gain == 0.0 { 1.0 } else { 10_f64.powf(gain / 20.0) as f32 }
}
