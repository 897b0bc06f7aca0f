//! An opened container: streams, packets, seeking. The one place where libav reads input.

use super::allow;
use super::source::{Source, SourceFacts, wall_time_over};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::limits::Limits;
use crate::time::{TimeBase, Timestamp};
use ffmpeg::{Dictionary, Packet, codec, ffi, format, media};
use ffmpeg_next as ffmpeg;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Read size of the byte stream under libav.
const IO_BUFFER: usize = 128 << 10;

/// Silences libav's own log once per process: the library never writes to the terminal.
pub(super) fn quiet() {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| ffmpeg::log::set_level(ffmpeg::log::Level::Quiet));
}

/// An opened container.
pub(super) struct Input {
    context: format::context::Input,
    path: PathBuf,
    facts: SourceFacts,
    cancel: Cancel,
    deadline: Instant,
    seekable: bool,
    damaged_packets: u64,
}

impl Input {
    /// Opens `path` and reads its stream descriptions.
    pub(super) fn open(path: &Path, limits: &Limits, cancel: &Cancel) -> Result<Self> {
        quiet();
        let deadline = Instant::now() + limits.wall;
        let source = Source::open(path, limits, cancel, deadline)?;
        let facts = source.facts();
        let seekable = !source.is_pipe();
        let io = if seekable {
            format::context::StreamIo::from_read_seek_with_capacity(source, IO_BUFFER)
        } else {
            format::context::StreamIo::from_read_with_capacity(source, IO_BUFFER)
        }
        .map_err(|e| libav_error(e, Stage::Open).input(path))?;
        let mut options = Dictionary::new();
        options.set("format_whitelist", allow::DEMUXERS);
        options.set("codec_whitelist", allow::DECODERS);
        // No protocol has this name: nothing a file refers to can be opened.
        options.set("protocol_whitelist", "none");
        // One more than allowed, so that our own check below can tell.
        options.set("max_streams", &limits.streams.saturating_add(1).to_string());
        let stop = cancel.clone();
        let interrupt = move || stop.is_cancelled() || Instant::now() > deadline;
        let opened = format::input_from_stream_with_interrupt(io, None, Some(options), interrupt);
        let context = match opened {
            Ok(context) => context,
            Err(error) => return Err(open_error(error, &facts, cancel, deadline).input(path)),
        };
        let input = Self {
            context,
            path: path.to_path_buf(),
            facts,
            cancel: cancel.clone(),
            deadline,
            seekable,
            damaged_packets: 0,
        };
        input.check(limits).map_err(|e| e.input(path))?;
        Ok(input)
    }

    /// The limits that headers can break, checked before any decoder is opened.
    fn check(&self, limits: &Limits) -> Result<()> {
        let count = self.context.nb_streams();
        if count > limits.streams {
            return Err(Limits::exceeded(
                Stage::Open,
                format!("{count} streams or more"),
                limits.streams.to_string(),
            ));
        }
        if count == 0 {
            return Err(Error::new(ErrorKind::Input, Stage::Open, "holds no streams")
                .hint("the file is cut off or is not media"));
        }
        for stream in self.context.streams() {
            let parameters = stream.parameters();
            if parameters.medium() == media::Type::Video {
                let (width, height) = picture_size(&parameters);
                limits.check_picture(Stage::Open, width, height)?;
            }
        }
        let duration = Timestamp::new(self.context.duration().max(0), TimeBase::MICROS);
        limits.check_duration(Stage::Open, duration)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn facts(&self) -> &SourceFacts {
        &self.facts
    }

    /// The switch that stops reading.
    pub(super) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// When this input's time is over ([`Limits::wall`]).
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the source can seek at all (a pipe cannot).
    pub(super) fn is_seekable(&self) -> bool {
        self.seekable
    }

    pub(super) fn context(&self) -> &format::context::Input {
        &self.context
    }

    /// The demuxer's short names, comma-separated.
    pub(super) fn format_name(&self) -> String {
        self.context.format().name().to_owned()
    }

    /// Packets the demuxer could not read and stepped over.
    pub(super) fn damaged_packets(&self) -> u64 {
        self.damaged_packets
    }

    /// The parameters a decoder of stream `index` opens with.
    pub(super) fn parameters(&self, index: usize) -> Option<codec::Parameters> {
        self.context.stream(index).map(|stream| stream.parameters())
    }

    /// The time base of stream `index`.
    pub(super) fn time_base(&self, index: usize) -> TimeBase {
        self.context
            .stream(index)
            .and_then(|s| TimeBase::new(s.time_base().numerator(), s.time_base().denominator()))
            .unwrap_or(TimeBase::MICROS)
    }

    /// Tells the demuxer which streams are wanted, and whether only keyframes of them.
    pub(super) fn want(&mut self, wanted: impl Fn(usize) -> Want) {
        for mut stream in self.context.streams_mut().collect::<Vec<_>>() {
            let discard = match wanted(stream.index()) {
                Want::Nothing => ffi::AVDiscard::AVDISCARD_ALL,
                Want::Keyframes => ffi::AVDiscard::AVDISCARD_NONKEY,
                Want::Everything => ffi::AVDiscard::AVDISCARD_DEFAULT,
            };
            // SAFETY: the stream belongs to `self.context`, borrowed mutably here; `discard` is
            // documented as set by the caller before and between reads.
            #[allow(unsafe_code)]
            unsafe {
                (*stream.as_mut_ptr()).discard = discard;
            }
        }
    }

    /// The next packet; `None` at the end. A damaged packet is stepped over and counted.
    pub(super) fn read(&mut self) -> Result<Option<Packet>> {
        // A demuxer that only fails to read makes no progress; stop after this many in a row.
        const PATIENCE: u32 = 1000;
        for _ in 0..PATIENCE {
            self.cancel.check(Stage::Demux).map_err(|e| e.input(&self.path))?;
            if Instant::now() > self.deadline {
                return Err(wall_time_over().input(&self.path));
            }
            let mut packet = Packet::empty();
            match packet.read(&mut self.context) {
                Ok(()) => {
                    if packet.is_corrupt() {
                        self.damaged_packets += 1;
                    }
                    return Ok(Some(packet));
                }
                Err(ffmpeg::Error::Eof) => return self.refused().map_or(Ok(None), Err),
                Err(error) => {
                    if let Some(refusal) = self.refused() {
                        return Err(refusal);
                    }
                    match error {
                        ffmpeg::Error::InvalidData => self.damaged_packets += 1,
                        ffmpeg::Error::Exit => {
                            return Err(Error::cancelled(Stage::Demux).input(&self.path));
                        }
                        // A read that fails at a cut or bad spot ends the file there; what was
                        // read so far stays good, and the damage is reported.
                        _ => {
                            self.damaged_packets += 1;
                            return Ok(None);
                        }
                    }
                }
            }
        }
        Ok(None)
    }

    fn refused(&self) -> Option<Error> {
        let error = self.facts.refusal.lock().ok()?.take()?;
        Some(error.input(&self.path))
    }

    /// Seeks so that the next packets of stream `index` start at a keyframe at or before `tick`.
    /// `false` when the container cannot.
    pub(super) fn seek(&mut self, index: usize, tick: i64) -> bool {
        let Ok(index) = i32::try_from(index) else { return false };
        // SAFETY: the context is valid and borrowed mutably; `index` names one of its streams.
        #[allow(unsafe_code)]
        let code = unsafe {
            ffi::avformat_seek_file(self.context.as_mut_ptr(), index, i64::MIN, tick, tick, 0)
        };
        code >= 0
    }

    /// Entries of the container's index for stream `index`, as far as it is loaded:
    /// (timestamp in stream ticks, byte position, keyframe).
    pub(super) fn index_entries(&mut self, index: usize) -> Vec<IndexEntry> {
        let Some(stream) = self.context.stream(index) else { return Vec::new() };
        // SAFETY: the stream pointer is valid while `self.context` is borrowed; entries are
        // copied out before anything can change the index, and null is checked.
        #[allow(unsafe_code)]
        unsafe {
            let stream = stream.as_ptr().cast_mut();
            let count = ffi::avformat_index_get_entries_count(stream);
            (0..count)
                .filter_map(|i| {
                    let entry = ffi::avformat_index_get_entry(stream, i);
                    entry.as_ref().map(|entry| IndexEntry {
                        tick: entry.timestamp,
                        position: entry.pos,
                        key: entry.flags() & ffi::AVINDEX_KEYFRAME as i32 != 0,
                    })
                })
                .collect()
        }
    }

    /// Bytes read from the source so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.facts.read.load(Ordering::Relaxed)
    }
}

/// What a consumer wants of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Nothing,
    Keyframes,
    Everything,
}

/// One entry of a container's index.
#[derive(Clone, Copy, Debug)]
pub(super) struct IndexEntry {
    pub tick: i64,
    pub position: i64,
    pub key: bool,
}

/// Width and height of a video stream's parameters, 0 where unknown.
pub(super) fn picture_size(parameters: &codec::Parameters) -> (u32, u32) {
    // SAFETY: `Parameters` always holds a valid AVCodecParameters.
    #[allow(unsafe_code)]
    let (width, height) = unsafe { ((*parameters.as_ptr()).width, (*parameters.as_ptr()).height) };
    (width.max(0).unsigned_abs(), height.max(0).unsigned_abs())
}

fn open_error(
    error: ffmpeg::Error,
    facts: &SourceFacts,
    cancel: &Cancel,
    deadline: Instant,
) -> Error {
    if let Some(refusal) = facts.refusal.lock().ok().and_then(|mut slot| slot.take()) {
        return refusal;
    }
    if cancel.is_cancelled() {
        return Error::cancelled(Stage::Open);
    }
    if Instant::now() > deadline {
        return wall_time_over();
    }
    match error {
        ffmpeg::Error::InvalidData => {
            Error::new(ErrorKind::Input, Stage::Open, "is not media that can be read: no known container, or its header is damaged or cut off")
                .hint("check that the file is complete and is a video or sound file")
        }
        ffmpeg::Error::Eof => Error::new(ErrorKind::Input, Stage::Open, "ends before its header does")
            .hint("the file is cut off: copy or record it again"),
        // Opening takes little memory, unless a header makes claims: to try again is no use.
        ffmpeg::Error::Other { errno: ffmpeg::error::ENOMEM } => {
            Error::new(ErrorKind::Input, Stage::Open, "its header asks for more memory than there is")
                .hint("the file is damaged or made to do harm: get it anew from where it came")
        }
        // What libav says of a container that is not on our list.
        ffmpeg::Error::Other { errno: ffmpeg::error::EINVAL } => {
            Error::new(ErrorKind::Unsupported, Stage::Open, "is of a kind that is not read here: a playlist, script or picture, or a rare container")
                .hint("give the film itself, or convert it to MP4 or Matroska")
        }
        other => libav_error(other, Stage::Open),
    }
}

/// A libav error as ours, without an input name.
pub(super) fn libav_error(error: ffmpeg::Error, stage: Stage) -> Error {
    use ffmpeg::Error as E;
    let kind = match &error {
        E::Other { errno }
            if matches!(
                *errno,
                ffmpeg::error::ENOMEM | ffmpeg::error::EMFILE | ffmpeg::error::ENOSPC
            ) =>
        {
            ErrorKind::Resource
        }
        E::DecoderNotFound
        | E::DemuxerNotFound
        | E::EncoderNotFound
        | E::MuxerNotFound
        | E::PatchWelcome => ErrorKind::Unsupported,
        E::Exit => ErrorKind::Cancelled,
        E::Bug | E::Bug2 | E::OptionNotFound | E::FilterNotFound => ErrorKind::Internal,
        _ => ErrorKind::Input,
    };
    let hint = match kind {
        ErrorKind::Resource => "close other programs or raise the limit, then retry",
        ErrorKind::Unsupported => "convert it to MP4 or Matroska first",
        ErrorKind::Internal => "report this, with the file if you can",
        _ => "check that the file is complete and is a video or sound file",
    };
    Error::new(kind, stage, error.to_string()).source(error).hint(hint)
}
