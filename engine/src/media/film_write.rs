//! Films out: packets of pictures and sound into MP4, MOV, Matroska or WebM.
//!
//! Times are given in the streams' own bases and rescaled to what the muxer chose while it wrote
//! the header. Decode times are made here, from the order of packets and how far pictures are
//! shown out of it, so that stretches of several encoders follow each other without a seam.

use super::encode::{SoundCodec, SoundEncoder};
use super::film_encode::{FilmColour, FilmHeader, FilmPacket};
use super::input::libav_error;
use super::mux::{mux_error, open_output};
use super::sound::SoundShape;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::time::TimeBase;
use ffmpeg::format::context::Output;
use ffmpeg::{Dictionary, Packet, Rational, codec, ffi};
use ffmpeg_next as ffmpeg;
use std::collections::VecDeque;
use std::fs::File;

/// A film container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FilmFormat {
    /// MP4 with its index at the front.
    Mp4,
    /// QuickTime with its index at the front.
    Mov,
    /// Matroska.
    Mkv,
    /// WebM.
    Webm,
}

impl FilmFormat {
    fn muxer(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Mov => "mov",
            Self::Mkv => "matroska",
            Self::Webm => "webm",
        }
    }

    /// The usual file ending.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Mov => "mov",
            Self::Mkv => "mkv",
            Self::Webm => "webm",
        }
    }
}

/// A compressed stretch of sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundPacket {
    /// When it is heard, in samples; the first may lie before 0 (what the codec needs to start).
    pub pts: i64,
    /// Samples it holds.
    pub duration: i64,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// What a decoder has to know of a sound stream.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SoundHeader {
    /// libav's number of the codec.
    codec: u32,
    extradata: Vec<u8>,
    rate: u32,
    channels: u16,
    frame: i32,
    padding: i32,
    bit_rate: i64,
    format: i32,
}

impl SoundHeader {
    /// Samples a second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Samples of a packet.
    pub(super) fn frame(&self) -> i64 {
        i64::from(self.frame)
    }

    /// Sets how many samples a packet holds.
    pub(super) fn set_frame(&mut self, samples: i64) {
        self.frame = i32::try_from(samples).unwrap_or(0);
    }

    /// How many samples are decoded before the first that is heard.
    pub(super) fn set_padding(&mut self, samples: i64) {
        self.padding = i32::try_from(samples).unwrap_or(0);
    }

    /// That of a stream as it was coded; `None` where something of it is not said.
    pub(super) fn of_parameters(parameters: &codec::Parameters) -> Option<Self> {
        // SAFETY: `Parameters` holds a valid AVCodecParameters; extradata is null or a buffer of
        // `extradata_size` bytes; plain fields are read.
        #[allow(unsafe_code)]
        unsafe {
            let raw = &*parameters.as_ptr();
            let size = usize::try_from(raw.extradata_size).ok().filter(|size| *size > 0)?;
            if raw.extradata.is_null() {
                return None;
            }
            Some(Self {
                codec: raw.codec_id as u32,
                extradata: std::slice::from_raw_parts(raw.extradata, size).to_vec(),
                rate: u32::try_from(raw.sample_rate).ok().filter(|rate| *rate > 0)?,
                channels: u16::try_from(raw.ch_layout.nb_channels).ok()?,
                frame: raw.frame_size,
                padding: 0,
                bit_rate: raw.bit_rate,
                format: raw.format,
            })
        }
    }
}

/// An encoder of interleaved float samples.
pub struct FilmSound {
    encoder: SoundEncoder,
    header: SoundHeader,
}

impl FilmSound {
    /// Opens it; `bit_rate` is of all channels together.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if this FFmpeg cannot.
    pub fn open(codec: SoundCodec, shape: SoundShape, bit_rate: Option<u32>) -> Result<Self> {
        let encoder = SoundEncoder::open_at(codec, shape, bit_rate, true)?;
        // SAFETY: the encoder is open; extradata is null or a buffer of `extradata_size` bytes.
        #[allow(unsafe_code)]
        let header = unsafe {
            let raw = &*encoder.encoder().as_ptr();
            let extradata = match usize::try_from(raw.extradata_size) {
                Ok(size) if !raw.extradata.is_null() => {
                    std::slice::from_raw_parts(raw.extradata, size).to_vec()
                }
                _ => Vec::new(),
            };
            SoundHeader {
                codec: raw.codec_id as u32,
                extradata,
                rate: shape.rate,
                channels: shape.channels,
                frame: raw.frame_size,
                padding: raw.initial_padding,
                bit_rate: raw.bit_rate,
                format: raw.sample_fmt as i32,
            }
        };
        Ok(Self { encoder, header })
    }

    /// What a decoder has to know.
    pub fn header(&self) -> &SoundHeader {
        &self.header
    }

    /// Encodes interleaved samples.
    ///
    /// # Errors
    /// What libav says.
    pub fn push(
        &mut self,
        samples: &[f32],
        take: &mut dyn FnMut(SoundPacket) -> Result<()>,
    ) -> Result<()> {
        self.encoder.push(samples, &mut |packet| give(&packet, take))
    }

    /// Gives what is still held.
    ///
    /// # Errors
    /// What libav says.
    pub fn finish(mut self, take: &mut dyn FnMut(SoundPacket) -> Result<()>) -> Result<()> {
        self.encoder.finish(&mut |packet| give(&packet, take))
    }
}

fn give(packet: &Packet, take: &mut dyn FnMut(SoundPacket) -> Result<()>) -> Result<()> {
    let data = packet.data().unwrap_or_default().to_vec();
    // At its end the FLAC encoder gives a packet of nothing but a new header.
    if data.is_empty() {
        return Ok(());
    }
    take(SoundPacket { pts: packet.pts().unwrap_or(0), duration: packet.duration().max(0), data })
}

/// The video stream of a film to write.
#[derive(Clone, Debug)]
pub struct FilmTrack {
    /// What a decoder has to know.
    pub header: FilmHeader,
    /// Ticks in which pictures are stamped.
    pub base: TimeBase,
    /// Frames a second.
    pub rate: (u32, u32),
    /// Tags.
    pub colour: FilmColour,
    /// Pictures that a decoder holds back at most, over all stretches.
    pub reorder: usize,
    /// How many pictures will come: the room for the index is made by it.
    pub pictures: u64,
}

/// A film being written.
pub struct FilmWriter {
    output: Output,
    video: Stream,
    sound: Option<Stream>,
    delay: Delay,
}

struct Stream {
    from: Rational,
    to: Rational,
}

impl FilmWriter {
    /// Writes the header into `file`. `sound` comes with the number of its packets.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the container cannot hold these streams; write errors.
    pub fn create(
        file: File,
        format: FilmFormat,
        track: &FilmTrack,
        sound: Option<(&SoundHeader, u64)>,
    ) -> Result<Self> {
        let mut output = open_output(file, format.muxer())?;
        let base = rational(track.base);
        {
            let mut stream = output.add_stream(codec::Id::None).map_err(mux_error)?;
            stream.set_parameters(video_parameters(track)?);
            stream.set_time_base(base);
            let rate = Rational(track.rate.0.cast_signed(), track.rate.1.cast_signed());
            stream.set_avg_frame_rate(rate);
            stream.set_rate(rate);
        }
        if let Some((header, _)) = sound {
            let mut stream = output.add_stream(codec::Id::None).map_err(mux_error)?;
            stream.set_parameters(sound_parameters(header)?);
            stream.set_time_base(Rational(1, header.rate.cast_signed().max(1)));
        }
        let mut options = Dictionary::new();
        if matches!(format, FilmFormat::Mp4 | FilmFormat::Mov) {
            options.set("movflags", "+write_colr");
            // `+faststart` would have libav open the file anew by name, which this module never
            // does. Room is left at the front instead: for each sample its size, time, offset,
            // place in a chunk and keyframe flag at most.
            let packets = track.pictures + sound.map_or(0, |(_, packets)| packets);
            options.set("moov_size", &(packets * 40 + 32_768).to_string());
        }
        let refused = |e: ffmpeg::Error| match e {
            ffmpeg::Error::InvalidData | ffmpeg::Error::Other { errno: ffmpeg::error::EINVAL } => {
                let what = format!("{} cannot hold these streams", format.muxer());
                Error::new(ErrorKind::Unsupported, Stage::Mux, what)
                    .hint("choose another container, or other codecs")
            }
            other => mux_error(other),
        };
        drop(output.write_header_with(options).map_err(refused)?);
        // The muxer may have chosen other time bases while it wrote the header.
        let chosen = |i: usize| output.stream(i).map_or(Rational(1, 1), |s| s.time_base());
        let (video_to, sound_to) = (chosen(0), chosen(1));
        Ok(Self {
            video: Stream { from: base, to: video_to },
            sound: sound.map(|(header, _)| Stream {
                from: Rational(1, header.rate.cast_signed().max(1)),
                to: sound_to,
            }),
            output,
            delay: Delay::new(track.reorder),
        })
    }

    /// The next picture in order of decoding, shown for `duration` ticks.
    ///
    /// # Errors
    /// Write errors.
    pub fn picture(&mut self, packet: FilmPacket, duration: i64) -> Result<()> {
        for (packet, dts, duration) in self.delay.push(packet, duration) {
            write(
                &mut self.output,
                &self.video,
                0,
                &packet.data,
                (packet.pts, dts, duration, packet.key),
            )?;
        }
        Ok(())
    }

    /// The next stretch of sound.
    ///
    /// # Errors
    /// Write errors.
    pub fn sound(&mut self, packet: &SoundPacket) -> Result<()> {
        let Some(stream) = &self.sound else { return Ok(()) };
        write(
            &mut self.output,
            stream,
            1,
            &packet.data,
            (packet.pts, packet.pts, packet.duration, true),
        )
    }

    /// Writes what is left and the index. The caller syncs and publishes the file.
    ///
    /// # Errors
    /// Write errors.
    pub fn finish(mut self) -> Result<()> {
        for (packet, dts, duration) in self.delay.finish() {
            write(
                &mut self.output,
                &self.video,
                0,
                &packet.data,
                (packet.pts, dts, duration, packet.key),
            )?;
        }
        self.output.write_trailer().map_err(mux_error)
    }
}

/// Gives packets their decode times: the sorted times of showing, moved back by as many pictures
/// as are held back. They rise, and none lies behind its own time of showing.
struct Delay {
    reorder: usize,
    /// Packets that wait for their decode time, in order of decoding.
    waiting: VecDeque<(FilmPacket, i64)>,
    /// Times of showing that were not given out as decode times yet, rising.
    times: std::collections::BTreeSet<i64>,
    /// Decode times that may be given.
    ready: VecDeque<i64>,
    started: bool,
    step: i64,
}

impl Delay {
    fn new(reorder: usize) -> Self {
        Self {
            reorder,
            waiting: VecDeque::new(),
            times: std::collections::BTreeSet::new(),
            ready: VecDeque::new(),
            started: false,
            step: 1,
        }
    }

    fn push(&mut self, packet: FilmPacket, duration: i64) -> Vec<(FilmPacket, i64, i64)> {
        if !self.started {
            self.started = true;
            self.step = duration.max(1);
            for i in (1..=self.reorder as i64).rev() {
                self.ready.push_back(packet.pts - i * self.step);
            }
        }
        self.times.insert(packet.pts);
        self.waiting.push_back((packet, duration));
        // The least time is known once as many more have come as can overtake it.
        while self.times.len() > self.reorder {
            self.ready.extend(self.times.pop_first());
        }
        self.out()
    }

    fn out(&mut self) -> Vec<(FilmPacket, i64, i64)> {
        let mut out = Vec::new();
        while !self.waiting.is_empty()
            && let Some(dts) = self.ready.pop_front()
            && let Some((packet, duration)) = self.waiting.pop_front()
        {
            out.push((packet, dts, duration));
        }
        out
    }

    fn finish(&mut self) -> Vec<(FilmPacket, i64, i64)> {
        let rest = std::mem::take(&mut self.times);
        self.ready.extend(rest);
        self.out()
    }
}

fn write(
    output: &mut Output,
    stream: &Stream,
    index: usize,
    data: &[u8],
    (pts, dts, duration, key): (i64, i64, i64, bool),
) -> Result<()> {
    let mut packet = Packet::copy(data);
    packet.set_stream(index);
    packet.set_pts(Some(pts));
    packet.set_dts(Some(dts));
    packet.set_duration(duration);
    packet.set_position(-1);
    if key {
        packet.set_flags(codec::packet::Flags::KEY);
    }
    packet.rescale_ts(stream.from, stream.to);
    packet.write_interleaved(output).map_err(mux_error)
}

fn rational(base: TimeBase) -> Rational {
    Rational(base.num().cast_signed(), base.den().cast_signed())
}

/// New parameters with a copy of `extradata`.
fn parameters(extradata: &[u8]) -> Result<codec::Parameters> {
    let mut made = codec::Parameters::new();
    let padding = ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;
    // SAFETY: the parameters are ours; libav frees extradata with them, so it is allocated by
    // libav, zeroed, with the padding that libav asks for.
    #[allow(unsafe_code)]
    unsafe {
        let raw = &mut *made.as_mut_ptr();
        if !extradata.is_empty() {
            let room = ffi::av_mallocz(extradata.len() + padding).cast::<u8>();
            if room.is_null() {
                return Err(libav_error(
                    ffmpeg::Error::Other { errno: ffmpeg::error::ENOMEM },
                    Stage::Mux,
                ));
            }
            std::ptr::copy_nonoverlapping(extradata.as_ptr(), room, extradata.len());
            raw.extradata = room;
            raw.extradata_size = i32::try_from(extradata.len()).unwrap_or(0);
        }
    }
    Ok(made)
}

fn video_parameters(track: &FilmTrack) -> Result<codec::Parameters> {
    let header = &track.header;
    let mut made = parameters(&header.extradata)?;
    let (primaries, transfer, matrix) = track.colour.tags();
    // SAFETY: the parameters are ours; plain fields are set.
    #[allow(unsafe_code)]
    unsafe {
        let raw = &mut *made.as_mut_ptr();
        raw.codec_type = ffi::AVMediaType::AVMEDIA_TYPE_VIDEO;
        raw.codec_id = header.codec.id().into();
        raw.codec_tag = header.tag;
        raw.format = header.pixel_format;
        raw.width = header.width.cast_signed();
        raw.height = header.height.cast_signed();
        raw.sample_aspect_ratio = ffi::AVRational { num: 1, den: 1 };
        raw.field_order = ffi::AVFieldOrder::AV_FIELD_PROGRESSIVE;
        raw.color_primaries = primaries;
        raw.color_trc = transfer;
        raw.color_space = matrix;
        raw.color_range = ffi::AVColorRange::AVCOL_RANGE_MPEG;
        raw.chroma_location = ffi::AVChromaLocation::AVCHROMA_LOC_LEFT;
        raw.video_delay = i32::try_from(track.reorder).unwrap_or(0);
    }
    Ok(made)
}

fn sound_parameters(header: &SoundHeader) -> Result<codec::Parameters> {
    let mut made = parameters(&header.extradata)?;
    let id = [SoundCodec::Pcm16, SoundCodec::Flac, SoundCodec::Aac, SoundCodec::Opus]
        .into_iter()
        .map(|codec| ffi::AVCodecID::from(codec.id()))
        .find(|id| *id as u32 == header.codec)
        .ok_or_else(|| Error::new(ErrorKind::Internal, Stage::Mux, "an unknown sound codec"))?;
    // SAFETY: the parameters are ours; plain fields are set, the layout by libav's own function.
    #[allow(unsafe_code)]
    unsafe {
        let raw = &mut *made.as_mut_ptr();
        raw.codec_type = ffi::AVMediaType::AVMEDIA_TYPE_AUDIO;
        raw.codec_id = id;
        raw.format = header.format;
        raw.sample_rate = header.rate.cast_signed();
        raw.frame_size = header.frame;
        raw.initial_padding = header.padding;
        raw.bit_rate = header.bit_rate;
        ffi::av_channel_layout_default(&raw mut raw.ch_layout, i32::from(header.channels));
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Groups of pictures out of order by at most `depth`: decode times rise and come first.
        #[test]
        fn decode_times_rise_and_come_first(
            shape in prop::collection::vec(0usize..4, 1..30),
            step in 1i64..5,
        ) {
            // The keyframe that a film begins with is shown first.
            let mut pts = vec![0];
            let mut next = 1;
            // Each group: one picture ahead of `b` that are shown before it.
            for b in shape {
                pts.push(next + b as i64);
                pts.extend((0..b as i64).map(|i| next + i));
                next += b as i64 + 1;
            }
            let mut delay = Delay::new(1);
            let mut out = Vec::new();
            for p in &pts {
                let packet = FilmPacket { pts: p * step, key: false, data: Vec::new() };
                out.extend(delay.push(packet, step));
            }
            out.extend(delay.finish());
            prop_assert_eq!(out.len(), pts.len());
            for pair in out.windows(2) {
                prop_assert!(pair[0].1 < pair[1].1);
            }
            for (packet, dts, _) in out {
                prop_assert!(dts <= packet.pts, "{} {}", dts, packet.pts);
            }
        }
    }
}
