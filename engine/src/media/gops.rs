//! The groups of pictures of a stretch of film, by its packets alone, and those packets for
//! copying: what smart cuts are planned with and made of.

use super::avc::{self, ParameterSets};
use super::film_encode::{FilmCodec, FilmHeader, FilmPacket};
use super::gop::Coded as _;
use super::info::StreamKind;
use super::input::{Input, Want};
use super::nal::NalLayout;
use super::packet::PacketReader;
use super::select::StreamClock;
use super::{allow, cursor, probe};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::limits::Limits;
use crate::time::{Span, Timestamp};
use std::path::Path;

/// A picture of a stretch, in order of showing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodedMark {
    /// When it is shown, in the stream's ticks.
    pub tick: i64,
    /// Whether everything from here on can be decoded and shown without what stands before it: an
    /// IDR picture that nothing behind it comes before.
    pub clean: bool,
}

/// What copying needs to know of a stretch.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Its pictures in order of showing, from the keyframe at or before its start to the one at or
    /// behind its end.
    pub pictures: Vec<CodedMark>,
    /// Whether the last picture of the film is among them.
    pub whole_end: bool,
    /// What a decoder has to know.
    pub header: FilmHeader,
    /// H.264: its parameter sets.
    pub sets: Option<ParameterSets>,
    /// How many pictures a decoder holds back.
    pub reorder: u32,
    clock: StreamClock,
}

impl Survey {
    /// The stream's tick nearest to a media time.
    pub fn tick(&self, time: Timestamp) -> i64 {
        cursor::nearest(self.clock, time)
    }
}

struct Opened {
    input: Input,
    index: usize,
    clock: StreamClock,
    layout: NalLayout,
    reader: PacketReader,
}

fn open(path: &Path, limits: &Limits, cancel: &Cancel) -> Result<Option<(Opened, Survey)>> {
    let mut input = Input::open(path, limits, cancel)?;
    let info = probe::describe(&mut input);
    let Some(stream) = info.video() else { return Ok(None) };
    let StreamKind::Video(video) = &stream.kind else { return Ok(None) };
    // Transport streams have no index, and a clock that wraps: what a seek finds is not always what
    // reading on had found.
    let unplannable = allow::is_elementary(&info.container)
        || matches!(info.container.as_str(), "mpegts" | "mpeg" | "avi");
    let codec = FilmCodec::of_name(&stream.codec).filter(|codec| *codec == FilmCodec::H264);
    let (Some(codec), false, true) = (codec, unplannable, input.is_seekable()) else {
        return Ok(None);
    };
    let index = stream.index;
    let Some(parameters) = input.parameters(index) else { return Ok(None) };
    // SAFETY: `Parameters` holds a valid AVCodecParameters; extradata is null or a buffer of
    // `extradata_size` bytes.
    #[allow(unsafe_code)]
    let (extradata, pixel_format) = unsafe {
        let raw = &*parameters.as_ptr();
        let bytes = match usize::try_from(raw.extradata_size) {
            Ok(size) if !raw.extradata.is_null() => {
                std::slice::from_raw_parts(raw.extradata, size).to_vec()
            }
            _ => Vec::new(),
        };
        (bytes, raw.format)
    };
    let Some(sets) = ParameterSets::read(&extradata) else { return Ok(None) };
    let clock = StreamClock { base: input.time_base(index), origin: info.origin };
    let survey = Survey {
        pictures: Vec::new(),
        whole_end: false,
        header: FilmHeader {
            codec,
            extradata: sets.record(),
            width: video.width,
            height: video.height,
            tag: 0,
            pixel_format,
        },
        sets: Some(sets),
        reorder: video.reorder,
        clock,
    };
    let reader = PacketReader::new(&parameters, 1);
    input.want(|i| if i == index { Want::Everything } else { Want::Nothing });
    let layout = avc::layout_of(&extradata);
    Ok(Some((Opened { input, index, clock, layout, reader }, survey)))
}

impl Opened {
    /// Seeks to a keyframe at or before `tick`, the first of all if there is none, and gives it.
    fn seek(&mut self, tick: i64) -> Result<Option<super::packet::CodedPacket>> {
        // Demuxers seek by decode time, or roughly: from further back if that was too late.
        let second = i64::from(self.clock.base.den() / self.clock.base.num().max(1)).max(1);
        let starts = [0, 1, 4, 16, 64].map(|back| tick.saturating_sub(second * back));
        for target in starts.into_iter().chain([i64::MIN / 2]) {
            if !self.input.seek(self.index, target) {
                continue;
            }
            let last = target < 0;
            while let Some(packet) = self.next()? {
                if packet.is_key() && !packet.is_hidden() {
                    if last || packet.tick().is_some_and(|key| key <= tick) {
                        return Ok(Some(packet));
                    }
                    break;
                }
            }
        }
        Ok(None)
    }

    fn next(&mut self) -> Result<Option<super::packet::CodedPacket>> {
        while let Some(packet) = self.input.read()? {
            if packet.stream() == self.index {
                return Ok(Some(self.reader.read(packet)));
            }
        }
        Ok(None)
    }
}

/// Looks at the packets of `span` of a film's main video stream; `None` where nothing of it could
/// be copied (another codec than H.264, no times, no parameter sets, parameter sets that change).
///
/// # Errors
/// As [`probe()`](crate::media::probe()).
pub fn survey(path: &Path, span: Span, limits: &Limits, cancel: &Cancel) -> Result<Option<Survey>> {
    let Some((mut film, mut survey)) = open(path, limits, cancel)? else { return Ok(None) };
    let (from, to) =
        (cursor::nearest(film.clock, span.start), cursor::nearest(film.clock, span.end));
    let mut first = film.seek(from)?;
    let Some(sets) = survey.sets.clone() else { return Ok(None) };
    // In order of decoding; `Some(idr)` for keyframes.
    let mut seen: Vec<(i64, Option<bool>)> = Vec::new();
    let mut past = 0;
    survey.whole_end = true;
    while let Some(packet) = match first.take() {
        Some(packet) => Some(packet),
        None => film.next()?,
    } {
        let Some(tick) = packet.tick() else { return Ok(None) };
        if packet.is_hidden() {
            continue;
        }
        let (idr, strange) =
            avc::look(packet.packet().data().unwrap_or_default(), film.layout, &sets);
        if strange {
            return Ok(None);
        }
        // A keyframe behind the end, and enough behind it to see what is shown before it.
        if packet.is_key() && tick >= to || past > 0 {
            past += 1;
        }
        seen.push((tick, packet.is_key().then_some(idr)));
        if past > 20 {
            survey.whole_end = false;
            break;
        }
        if seen.len() as u64 > limits.frames_out {
            return Ok(None);
        }
    }
    // The least tick that comes at or behind each packet in order of decoding, and the greatest
    // before it: nothing may reach over a clean keyframe from either side.
    let mut least = i64::MAX;
    let mut clean = vec![false; seen.len()];
    for (i, (tick, key)) in seen.iter().enumerate().rev() {
        clean[i] = *key == Some(true) && least >= *tick;
        least = least.min(*tick);
    }
    let mut most = i64::MIN;
    for (i, (tick, _)) in seen.iter().enumerate() {
        clean[i] &= most < *tick;
        most = most.max(*tick);
    }
    survey.pictures =
        seen.iter().zip(clean).map(|((tick, _), clean)| CodedMark { tick: *tick, clean }).collect();
    survey.pictures.sort_by_key(|picture| picture.tick);
    let twice = survey.pictures.windows(2).any(|pair| pair[0].tick == pair[1].tick);
    Ok((!twice).then_some(survey))
}

/// The packets of the pictures that are shown from tick `from` up to, not including, tick `to`, in
/// order of decoding. Both are ticks of clean keyframes of a [`Survey`]; no `to` means the end.
///
/// # Errors
/// Read errors; [`ErrorKind::Input`] if the film is not as it was when it was surveyed.
pub fn copy_packets(
    path: &Path,
    (from, to): (i64, Option<i64>),
    limits: &Limits,
    cancel: &Cancel,
    take: &mut dyn FnMut(FilmPacket) -> Result<()>,
) -> Result<()> {
    let changed = || {
        Error::new(ErrorKind::Input, Stage::Demux, "is not what it was a moment ago")
            .input(path)
            .hint("do not change a film while it is rendered")
    };
    let (mut film, _) = open(path, limits, cancel)?.ok_or_else(changed)?;
    let mut first = film.seek(from)?;
    let mut begun = false;
    while let Some(packet) = match first.take() {
        Some(packet) => Some(packet),
        None => film.next()?,
    } {
        let tick = packet.tick().ok_or_else(changed)?;
        begun |= packet.is_key() && tick == from;
        if !begun || packet.is_hidden() {
            continue;
        }
        if packet.is_key() && to == Some(tick) {
            return Ok(());
        }
        if tick < from || to.is_some_and(|to| tick > to) {
            return Err(changed());
        }
        let data = avc::with_lengths(packet.packet().data().unwrap_or_default(), film.layout);
        take(FilmPacket { pts: tick, key: packet.is_key(), data })?;
    }
    if begun && to.is_none() { Ok(()) } else { Err(changed()) }
}

/// A packet as it lies in a file.
#[derive(Clone, Copy, Debug)]
pub struct FilePacket<'a> {
    /// When it is shown or heard, in ticks of the stream.
    pub tick: Option<i64>,
    /// Whether the container marks it as a keyframe.
    pub key: bool,
    /// Its bytes.
    pub data: &'a [u8],
}

/// Every packet of the main video stream, in order of decoding, as the demuxer gives it.
///
/// # Errors
/// As [`probe()`](crate::media::probe()); what `take` gives.
pub fn film_packets(
    path: &Path,
    limits: &Limits,
    cancel: &Cancel,
    take: &mut dyn FnMut(FilePacket<'_>) -> Result<()>,
) -> Result<()> {
    packets(path, limits, cancel, crate::media::MediaInfo::video, take)
}

/// Every packet of the main sound stream.
///
/// # Errors
/// As [`film_packets`].
pub fn sound_packets(
    path: &Path,
    limits: &Limits,
    cancel: &Cancel,
    take: &mut dyn FnMut(FilePacket<'_>) -> Result<()>,
) -> Result<()> {
    packets(path, limits, cancel, crate::media::MediaInfo::audio, take)
}

fn packets(
    path: &Path,
    limits: &Limits,
    cancel: &Cancel,
    stream: fn(&crate::media::MediaInfo) -> Option<&crate::media::StreamInfo>,
    take: &mut dyn FnMut(FilePacket<'_>) -> Result<()>,
) -> Result<()> {
    let mut input = Input::open(path, limits, cancel)?;
    let info = probe::describe(&mut input);
    let Some(index) = stream(&info).map(|stream| stream.index) else { return Ok(()) };
    input.want(|i| if i == index { Want::Everything } else { Want::Nothing });
    while let Some(packet) = input.read()? {
        if packet.stream() == index {
            let data = packet.data().unwrap_or_default();
            take(FilePacket { tick: packet.pts(), key: packet.is_key(), data })?;
        }
    }
    Ok(())
}
