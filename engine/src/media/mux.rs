//! Containers out: sound files, and a film's pictures joined with another file's sound without
//! encoding the pictures again.

use super::encode::{SoundCodec, SoundEncoder};
use super::failure::Failure;
use super::input::{Input, Want, libav_error};
use super::queue::{AbortOnDrop, ByteQueue, CloseOnDrop};
use super::reading::Reading;
use super::sound::{AudioChunk, SoundFormat, SoundShape, SoundSink};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::limits::Limits;
use ffmpeg::format::context::{Output, StreamIo};
use ffmpeg::{Dictionary, Packet, Rational, codec, format};
use ffmpeg_next as ffmpeg;
use std::fs::File;
use std::path::Path;

const IO_BUFFER: usize = 256 << 10;

/// A sound container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SoundContainer {
    /// 16-bit PCM in WAV (RF64 past 4 GiB).
    Wav,
    /// FLAC.
    Flac,
    /// AAC in MP4.
    M4a,
}

impl SoundContainer {
    /// The usual file extension, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Flac => "flac",
            Self::M4a => "m4a",
        }
    }

    /// The container a file name's extension asks for.
    pub fn from_extension(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "wav" => Some(Self::Wav),
            "flac" => Some(Self::Flac),
            "m4a" | "mp4" => Some(Self::M4a),
            _ => None,
        }
    }

    fn codec(self) -> SoundCodec {
        match self {
            Self::Wav => SoundCodec::Pcm16,
            Self::Flac => SoundCodec::Flac,
            Self::M4a => SoundCodec::Aac,
        }
    }

    fn muxer(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Flac => "flac",
            Self::M4a => "mp4",
        }
    }
}

pub(super) fn open_output(file: File, muxer: &str) -> Result<Output> {
    super::input::quiet();
    let io = StreamIo::from_write_seek_with_capacity(file, IO_BUFFER).map_err(mux_error)?;
    format::output_to_stream(io, None, Some(muxer)).map_err(mux_error)
}

pub(super) fn mux_error(error: ffmpeg::Error) -> Error {
    let full = matches!(error, ffmpeg::Error::Other { errno: ffmpeg::error::ENOSPC });
    let made = libav_error(error, Stage::Mux);
    if full { made.hint("free some space and run it again") } else { made }
}

/// Writes a sound stream into a file of its own; finish with [`SoundFile::finish`].
pub struct SoundFile {
    container: SoundContainer,
    file: Option<File>,
    open: Option<(Output, SoundEncoder, Rational)>,
}

impl SoundFile {
    /// Will write into `file`, from its start.
    pub fn new(file: File, container: SoundContainer) -> Self {
        Self { container, file: Some(file), open: None }
    }

    fn open(&mut self, shape: SoundShape) -> Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let mut output = open_output(file, self.container.muxer())?;
        let global = output.format().flags().contains(format::Flags::GLOBAL_HEADER);
        let encoder = SoundEncoder::open(self.container.codec(), shape, global)?;
        let parameters = codec::Parameters::from(encoder.encoder());
        let mut stream = output.add_stream(codec::Id::None).map_err(mux_error)?;
        stream.set_parameters(parameters);
        stream.set_time_base(Rational(1, i32::try_from(shape.rate).unwrap_or(i32::MAX)));
        let mut options = Dictionary::new();
        if self.container == SoundContainer::Wav {
            options.set("rf64", "auto");
        }
        drop(output.write_header_with(options).map_err(mux_error)?);
        // The muxer may have chosen another time base while it wrote the header.
        let base = output.stream(0).map_or(Rational(1, 1), |s| s.time_base());
        self.open = Some((output, encoder, base));
        Ok(())
    }

    /// Writes what is left and the trailer. The caller syncs and publishes the file.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if no samples ever came; write errors.
    pub fn finish(mut self) -> Result<()> {
        let Some((mut output, mut encoder, base)) = self.open.take() else {
            return Err(Error::new(ErrorKind::Input, Stage::Encode, "there was no sound to write"));
        };
        let from = sample_base(&encoder);
        encoder.finish(&mut |packet| write(&mut output, packet, 0, from, base))?;
        output.write_trailer().map_err(mux_error)
    }
}

impl SoundSink for SoundFile {
    fn chunk(&mut self, chunk: AudioChunk<'_>) -> Result<()> {
        self.open(chunk.shape)?;
        let Some((output, encoder, base)) = &mut self.open else { return Ok(()) };
        let from = sample_base(encoder);
        encoder.push(chunk.samples, &mut |packet| write(output, packet, 0, from, *base))
    }
}

fn sample_base(encoder: &SoundEncoder) -> Rational {
    Rational(1, i32::try_from(encoder.encoder().rate()).unwrap_or(i32::MAX).max(1))
}

fn write(
    output: &mut Output,
    mut packet: Packet,
    stream: usize,
    from: Rational,
    to: Rational,
) -> Result<()> {
    packet.set_stream(stream);
    packet.set_position(-1);
    packet.rescale_ts(from, to);
    packet.write_interleaved(output).map_err(mux_error)
}

/// The container of a joined film.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilmContainer {
    /// MP4, its index in front.
    Mp4,
    /// Matroska.
    Matroska,
}

impl FilmContainer {
    /// The container a file name's extension asks for.
    pub fn from_extension(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "mp4" | "m4v" | "mov" => Some(Self::Mp4),
            "mkv" => Some(Self::Matroska),
            _ => None,
        }
    }
}

/// What [`join`] wrote.
#[derive(Clone, Copy, Debug)]
pub struct Joined {
    /// Video packets copied.
    pub video_packets: u64,
    /// Samples of each channel encoded.
    pub samples: u64,
}

/// Copies the pictures of `film` as they are, and gives them the sound of `sound` (as AAC) from
/// media time 0 on. Neither is cut: the longer one decides the length.
///
/// # Errors
/// As [`Reading::run`]; [`ErrorKind::Unsupported`] if the container cannot hold the codec.
pub fn join(
    film: &Path,
    sound: &Path,
    target: File,
    container: FilmContainer,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<Joined> {
    let mut input = Input::open(film, limits, cancel)?;
    let info = super::probe::describe(&mut input);
    let video = info.video().map(|v| v.index).ok_or_else(|| {
        Error::new(ErrorKind::Input, Stage::Mux, "holds no moving pictures").input(film)
    })?;
    let queue = ByteQueue::new(limits.in_flight_bytes / 4);
    let failure = Failure::new(cancel, input.deadline());
    let joined = std::thread::scope(|scope| {
        scope.spawn(|| {
            let _close = CloseOnDrop(&queue);
            failure.catch(|| {
                let mut sink = EncodeToQueue { encoder: None, queue: &queue };
                let reading = Reading::open(sound, limits, cancel)?;
                let report = reading.sound(SoundFormat::SOURCE, &mut sink).run()?;
                sink.finish()?;
                Ok(report)
            })
        });
        let _abort = AbortOnDrop(&queue);
        failure.catch(|| {
            input.want(|index| if index == video { Want::Everything } else { Want::Nothing });
            interleave(&mut input, video, info.origin, &queue, target, container, &failure)
        })
    });
    failure.into_result()?;
    joined.ok_or_else(|| Error::new(ErrorKind::Internal, Stage::Mux, "nothing was written"))
}

/// A message of the sound thread: the stream's header once, then its packets.
enum Sound {
    Header(codec::Parameters, Rational),
    Packet(Packet),
}

struct EncodeToQueue<'a> {
    encoder: Option<SoundEncoder>,
    queue: &'a ByteQueue<Sound>,
}

impl EncodeToQueue<'_> {
    fn finish(&mut self) -> Result<()> {
        let queue = self.queue;
        match &mut self.encoder {
            Some(encoder) => encoder.finish(&mut |packet| send(queue, packet)),
            None => Ok(()),
        }
    }
}

fn send(queue: &ByteQueue<Sound>, packet: Packet) -> Result<()> {
    let size = packet.size() as u64 + 256;
    queue.push(size, Sound::Packet(packet)).map_err(|_| Error::cancelled(Stage::Mux))
}

impl SoundSink for EncodeToQueue<'_> {
    fn chunk(&mut self, chunk: AudioChunk<'_>) -> Result<()> {
        let queue = self.queue;
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            None => {
                let encoder = SoundEncoder::open(SoundCodec::Aac, chunk.shape, true)?;
                let header = Sound::Header(
                    codec::Parameters::from(encoder.encoder()),
                    sample_base(&encoder),
                );
                queue.push(1, header).map_err(|_| Error::cancelled(Stage::Mux))?;
                self.encoder.insert(encoder)
            }
        };
        encoder.push(chunk.samples, &mut |packet| send(queue, packet))
    }
}

/// Writes both streams in order of decode time.
fn interleave(
    input: &mut Input,
    video: usize,
    origin: crate::time::Timestamp,
    queue: &ByteQueue<Sound>,
    target: File,
    container: FilmContainer,
    failure: &Failure,
) -> Result<Joined> {
    let Some(Sound::Header(sound_parameters, sound_base)) = queue.pop() else {
        failure.check()?;
        return Err(Error::new(ErrorKind::Input, Stage::Mux, "there was no sound to join"));
    };
    let (muxer, mut options) = match container {
        FilmContainer::Mp4 => ("mp4", Dictionary::new()),
        FilmContainer::Matroska => ("matroska", Dictionary::new()),
    };
    if container == FilmContainer::Mp4 {
        // `+faststart` would have libav open the file anew by name, which this module never does.
        options.set("movflags", "+write_colr");
    }
    let mut output = open_output(target, muxer)?;
    let source = input.context().stream(video).map(|s| (s.time_base(), s.avg_frame_rate()));
    let parameters = input.parameters(video);
    let (Some((video_base, rate)), Some(mut parameters)) = (source, parameters) else {
        return Err(Error::new(ErrorKind::Internal, Stage::Mux, "the video stream went away"));
    };
    // SAFETY: the parameters are ours; the source container's codec tag means nothing in another.
    #[allow(unsafe_code)]
    unsafe {
        (*parameters.as_mut_ptr()).codec_tag = 0;
    }
    {
        let mut stream = output.add_stream(codec::Id::None).map_err(mux_error)?;
        stream.set_parameters(parameters);
        stream.set_time_base(video_base);
        stream.set_avg_frame_rate(rate);
    }
    {
        let mut stream = output.add_stream(codec::Id::None).map_err(mux_error)?;
        stream.set_parameters(sound_parameters);
        stream.set_time_base(sound_base);
    }
    drop(output.write_header_with(options).map_err(mux_error)?);
    let base =
        |output: &Output, index| output.stream(index).map_or(Rational(1, 1), |s| s.time_base());
    let (video_out, sound_out) = (base(&output, 0), base(&output, 1));

    let shift = super::select::StreamClock { base: input.time_base(video), origin }
        .tick(crate::time::Timestamp::ZERO);
    let mut joined = Joined { video_packets: 0, samples: 0 };
    let mut sound_at = f64::NEG_INFINITY;
    let mut sound_left = true;
    let seconds = |tick: i64, base: Rational| tick as f64 * f64::from(base);
    while let Some(mut packet) = input.read()? {
        failure.check()?;
        if packet.stream() != video {
            continue;
        }
        packet.set_pts(packet.pts().map(|tick| tick.saturating_sub(shift)));
        packet.set_dts(packet.dts().map(|tick| tick.saturating_sub(shift)));
        let video_at = seconds(packet.dts().or(packet.pts()).unwrap_or(0), video_base);
        while sound_left && sound_at < video_at {
            match queue.pop() {
                Some(Sound::Packet(packet)) => {
                    sound_at = seconds(packet.dts().unwrap_or(0), sound_base);
                    joined.samples += packet.duration().max(0).unsigned_abs();
                    write(&mut output, packet, 1, sound_base, sound_out)?;
                }
                _ => sound_left = false,
            }
        }
        joined.video_packets += 1;
        write(&mut output, packet, 0, video_base, video_out)?;
    }
    while let Some(Sound::Packet(packet)) = queue.pop() {
        joined.samples += packet.duration().max(0).unsigned_abs();
        write(&mut output, packet, 1, sound_base, sound_out)?;
    }
    failure.check()?;
    output.write_trailer().map_err(mux_error)?;
    Ok(joined)
}
