//! Decoded sound as a steady stream of 32-bit float samples on the media clock.

use super::clock::{SampleClock, Splice};
use super::input::libav_error;
use super::select::StreamClock;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::time::{TimeBase, Timestamp};
use ffmpeg::{ffi, frame};
use ffmpeg_next as ffmpeg;
use std::num::NonZeroU32;
use std::ptr;

/// Channels wanted of a sound stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// As the source has them.
    Source,
    /// One: downmixed by ITU-R BS.775 coefficients (centre and surrounds at −3 dB), normalised.
    Mono,
    /// Two: downmixed likewise.
    Stereo,
}

/// The sound a consumer wants: 32-bit floats, interleaved, starting at media time 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub struct SoundFormat {
    /// Samples a second; `None` for the source's rate.
    pub rate: Option<NonZeroU32>,
    /// Channels.
    pub channels: Channels,
}

impl SoundFormat {
    /// 16 kHz mono, what speech recognisers take.
    pub const SPEECH: Self = Self { rate: NonZeroU32::new(16_000), channels: Channels::Mono };
    /// The source's rate and channels, for rendering.
    pub const SOURCE: Self = Self { rate: None, channels: Channels::Source };
}

/// Rate and channel count in force, known once the first samples are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SoundShape {
    /// Samples a second.
    pub rate: u32,
    /// Interleaved channels.
    pub channels: u16,
}

/// A stretch of samples. Stretches follow each other without a gap: sample `i` of the whole
/// stream is at media time `i / rate`.
#[derive(Clone, Copy, Debug)]
pub struct AudioChunk<'a> {
    /// Index of its first sample (of each channel) in the stream.
    pub start: u64,
    /// Interleaved samples, finite, nominally within −1 to 1.
    pub samples: &'a [f32],
    /// Rate and channels; the same for all chunks of a stream.
    pub shape: SoundShape,
}

impl AudioChunk<'_> {
    /// When its first sample is heard, on the media clock.
    pub fn time(&self) -> Timestamp {
        let base = TimeBase::per_second(self.shape.rate);
        Timestamp::new(i64::try_from(self.start).unwrap_or(i64::MAX), base)
    }
}

/// Takes the sound of one stream, in order, on the audio thread.
pub trait SoundSink: Send {
    /// The next stretch.
    ///
    /// # Errors
    /// An error ends the whole reading.
    fn chunk(&mut self, chunk: AudioChunk<'_>) -> Result<()>;
}

/// Turns decoded frames into the wanted stream: aligned to the clock at the source's rate, then
/// resampled and mixed by libswresample.
pub(super) struct SoundPath {
    wanted: SoundFormat,
    stream: StreamClock,
    source: Option<SourceShape>,
    clock: Option<SampleClock>,
    resampler: Option<Resampler>,
    shape: Option<SoundShape>,
    written: u64,
    out: Vec<f32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SourceShape {
    rate: u32,
    channels: i32,
    /// The channel mask; 0 where only the count is known.
    mask: u64,
    format: i32,
}

/// Rates and channel counts that a file may claim and be believed.
const MAX_RATE: u32 = 768_000;
const MAX_CHANNELS: i32 = 64;

impl SoundPath {
    pub(super) fn new(wanted: SoundFormat, stream: StreamClock) -> Self {
        Self {
            wanted,
            stream,
            source: None,
            clock: None,
            resampler: None,
            shape: None,
            written: 0,
            out: Vec::new(),
        }
    }

    pub(super) fn shape(&self) -> Option<SoundShape> {
        self.shape
    }

    /// Samples of each channel given so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn splices(&self) -> &[Splice] {
        self.clock.as_ref().map_or(&[], SampleClock::splices)
    }

    /// Takes a decoded frame and gives what comes of it to `sink`.
    pub(super) fn frame(&mut self, frame: &frame::Audio, sink: &mut dyn SoundSink) -> Result<()> {
        let samples = frame.samples() as u64;
        if samples == 0 {
            return Ok(());
        }
        let source = source_shape(frame)?;
        if self.source != Some(source) {
            self.change_source(source, sink)?;
        }
        let stamp = frame.timestamp().map(|tick| self.stream.time(tick));
        let Some(clock) = &mut self.clock else { return Ok(()) };
        let placement = clock.place(stamp, samples);
        self.silence(placement.silence, source, sink)?;
        self.convert(Some((frame, placement.skip as usize)), sink)
    }

    /// Gives the samples still held by the resampler.
    pub(super) fn finish(&mut self, sink: &mut dyn SoundSink) -> Result<()> {
        if self.resampler.is_some() { self.convert(None, sink) } else { Ok(()) }
    }

    /// A new rate, layout or sample format: the resampler is emptied and made anew; the output
    /// keeps its shape.
    fn change_source(&mut self, source: SourceShape, sink: &mut dyn SoundSink) -> Result<()> {
        self.finish(sink)?;
        let shape = *self.shape.get_or_insert(SoundShape {
            rate: self.wanted.rate.map_or(source.rate, NonZeroU32::get),
            channels: match self.wanted.channels {
                Channels::Source => source.channels.unsigned_abs() as u16,
                Channels::Mono => 1,
                Channels::Stereo => 2,
            },
        });
        self.resampler = Some(Resampler::new(source, shape)?);
        match (&mut self.clock, self.source) {
            (Some(_), Some(old)) if old.rate == source.rate => {}
            (Some(clock), _) => *clock = clock.at_rate(source.rate),
            (None, _) => self.clock = Some(SampleClock::new(source.rate)),
        }
        self.source = Some(source);
        Ok(())
    }

    /// Feeds `count` samples of silence, in small pieces: memory stays bounded.
    fn silence(
        &mut self,
        mut count: u64,
        source: SourceShape,
        sink: &mut dyn SoundSink,
    ) -> Result<()> {
        const PIECE: u64 = 16_384;
        let Some(blank) = (count > 0).then(|| Silence::new(source, count.min(PIECE) as i32)) else {
            return Ok(());
        };
        let blank = blank?;
        while count > 0 {
            let piece = count.min(PIECE);
            self.feed(blank.planes(), piece as i32, sink)?;
            count -= piece;
        }
        Ok(())
    }

    fn convert(
        &mut self,
        input: Option<(&frame::Audio, usize)>,
        sink: &mut dyn SoundSink,
    ) -> Result<()> {
        let Some((frame, skip)) = input else {
            return self.feed(ptr::null(), 0, sink);
        };
        let planes = frame_planes(frame, skip);
        self.feed(planes.as_ptr(), frame.samples().saturating_sub(skip) as i32, sink)
    }

    /// Runs the resampler over `count` samples; `planes` null empties it.
    fn feed(
        &mut self,
        planes: *const *const u8,
        count: i32,
        sink: &mut dyn SoundSink,
    ) -> Result<()> {
        let (Some(resampler), Some(shape)) = (&mut self.resampler, self.shape) else {
            return Ok(());
        };
        resampler.run(planes, count, &mut self.out)?;
        if self.out.is_empty() {
            return Ok(());
        }
        // A file may carry NaN or infinities; no consumer shall meet them.
        for sample in &mut self.out {
            if !sample.is_finite() {
                *sample = 0.0;
            }
        }
        let start = self.written;
        self.written += (self.out.len() / usize::from(shape.channels)) as u64;
        sink.chunk(AudioChunk { start, samples: &self.out, shape })
    }
}

fn source_shape(frame: &frame::Audio) -> Result<SourceShape> {
    // SAFETY: the frame is valid while borrowed; plain fields are read, the mask only where the
    // layout's order says that it is one.
    #[allow(unsafe_code)]
    let (rate, channels, mask, format) = unsafe {
        let raw = &*frame.as_ptr();
        let native = raw.ch_layout.order == ffi::AVChannelOrder::AV_CHANNEL_ORDER_NATIVE;
        let mask = if native { raw.ch_layout.u.mask } else { 0 };
        (raw.sample_rate, raw.ch_layout.nb_channels, mask, raw.format)
    };
    let refuse = |what: String| {
        Err(Error::new(ErrorKind::Limit, Stage::Decode, what)
            .hint("the file's sound header is damaged or made up"))
    };
    match u32::try_from(rate) {
        Ok(rate @ 1..=MAX_RATE) if (1..=MAX_CHANNELS).contains(&channels) => {
            Ok(SourceShape { rate, channels, mask, format })
        }
        Ok(_) if !(1..=MAX_CHANNELS).contains(&channels) => {
            refuse(format!("{channels} sound channels"))
        }
        _ => refuse(format!("a sample rate of {rate} Hz")),
    }
}

/// Pointers to the frame's planes, `skip` samples in.
fn frame_planes(frame: &frame::Audio, skip: usize) -> Vec<*const u8> {
    // SAFETY: `extended_data` holds one pointer per plane, and each plane `samples` samples of the
    // format's size; `skip` is at most `samples`, so the offset stays inside the plane or at its
    // end.
    #[allow(unsafe_code)]
    unsafe {
        let raw = &*frame.as_ptr();
        let format = std::mem::transmute::<i32, ffi::AVSampleFormat>(raw.format);
        let bytes = ffi::av_get_bytes_per_sample(format).max(0) as usize;
        let planar = ffi::av_sample_fmt_is_planar(format) != 0;
        let channels = raw.ch_layout.nb_channels.max(0) as usize;
        let (planes, step) = if planar { (channels, bytes) } else { (1, bytes * channels) };
        let skip = skip.min(frame.samples());
        (0..planes).map(|i| (*raw.extended_data.add(i)).cast_const().add(skip * step)).collect()
    }
}

/// Silent samples in a source's format (unsigned formats are not zero when silent).
struct Silence {
    planes: Vec<*mut u8>,
}

impl Silence {
    fn new(source: SourceShape, samples: i32) -> Result<Self> {
        let mut planes = vec![ptr::null_mut(); source.channels.max(1) as usize];
        // SAFETY: the format number came from a decoded frame; the array has room for a pointer
        // per channel, the most that is written; the samples are freed in `drop`.
        #[allow(unsafe_code)]
        let code = unsafe {
            let format = std::mem::transmute::<i32, ffi::AVSampleFormat>(source.format);
            let mut line = 0;
            // Sets the samples to silence as well.
            ffi::av_samples_alloc(
                planes.as_mut_ptr(),
                &raw mut line,
                source.channels,
                samples,
                format,
                0,
            )
        };
        if code < 0 {
            return Err(libav_error(ffmpeg::Error::from(code), Stage::Convert));
        }
        Ok(Self { planes })
    }

    fn planes(&self) -> *const *const u8 {
        self.planes.as_ptr().cast()
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // SAFETY: all planes are one allocation made by `av_samples_alloc`, whose start is the
        // first pointer.
        #[allow(unsafe_code)]
        unsafe {
            ffi::av_free(self.planes[0].cast());
        }
    }
}

/// libswresample from one shape to interleaved 32-bit floats of another.
struct Resampler {
    context: ptr::NonNull<ffi::SwrContext>,
    channels: usize,
}

// SAFETY: a SwrContext is not tied to a thread; it is only used through `&mut self`.
#[allow(unsafe_code)]
unsafe impl Send for Resampler {}

impl Resampler {
    fn new(source: SourceShape, shape: SoundShape) -> Result<Self> {
        let rates = (i32::try_from(shape.rate), i32::try_from(source.rate));
        let (Ok(out_rate), Ok(in_rate)) = rates else {
            return Err(Error::new(ErrorKind::Limit, Stage::Convert, "sample rate too high"));
        };
        // SAFETY: layouts are plain values filled by libav's own functions (a native-order layout
        // owns no memory); the context is checked for null and freed by `drop`.
        #[allow(unsafe_code)]
        unsafe {
            let mut input: ffi::AVChannelLayout = std::mem::zeroed();
            let masked = source.mask != 0
                && ffi::av_channel_layout_from_mask(&raw mut input, source.mask) == 0
                && input.nb_channels == source.channels;
            if !masked {
                ffi::av_channel_layout_default(&raw mut input, source.channels);
            }
            let mut output: ffi::AVChannelLayout = std::mem::zeroed();
            if i32::from(shape.channels) == source.channels {
                output = input;
            } else {
                ffi::av_channel_layout_default(&raw mut output, i32::from(shape.channels));
            }
            let mut context = ptr::null_mut();
            let format = std::mem::transmute::<i32, ffi::AVSampleFormat>(source.format);
            let code = ffi::swr_alloc_set_opts2(
                &raw mut context,
                &raw mut output,
                ffi::AVSampleFormat::AV_SAMPLE_FMT_FLT,
                out_rate,
                &raw mut input,
                format,
                in_rate,
                0,
                ptr::null_mut(),
            );
            let failed = |code: i32| libav_error(ffmpeg::Error::from(code), Stage::Convert);
            let Some(context) = ptr::NonNull::new(context) else { return Err(failed(code)) };
            let resampler = Self { context, channels: usize::from(shape.channels) };
            // A row of the mixing matrix sums up to at most 1, so that nothing clips when it is
            // written; for floats libswresample would leave it at up to 3.4.
            let limit = c"rematrix_maxval".as_ptr();
            let code = if code < 0 {
                code
            } else {
                ffi::av_opt_set_double(context.as_ptr().cast(), limit, 1.0, 0)
            };
            let code = if code < 0 { code } else { ffi::swr_init(context.as_ptr()) };
            if code < 0 { Err(failed(code)) } else { Ok(resampler) }
        }
    }

    /// Converts `count` samples from `planes` (null: what is held back) into `out`.
    fn run(&mut self, planes: *const *const u8, count: i32, out: &mut Vec<f32>) -> Result<()> {
        // SAFETY: `planes` is null or points to one valid pointer per plane with `count` samples
        // each (built by `frame_planes` or `Silence`); the output has room for as many samples as
        // libswresample says it can give, and its length is set to what was written.
        #[allow(unsafe_code)]
        unsafe {
            let room = ffi::swr_get_out_samples(self.context.as_ptr(), count).max(0);
            out.clear();
            out.resize(room as usize * self.channels, 0.0);
            let mut target = out.as_mut_ptr().cast::<u8>();
            let given = ffi::swr_convert(
                self.context.as_ptr(),
                (&raw mut target).cast(),
                room,
                planes.cast_mut().cast(),
                count,
            );
            if given < 0 {
                out.clear();
                return Err(libav_error(ffmpeg::Error::from(given), Stage::Convert));
            }
            out.truncate(given as usize * self.channels);
        }
        Ok(())
    }
}

impl Drop for Resampler {
    fn drop(&mut self) {
        let mut context = self.context.as_ptr();
        // SAFETY: made by `swr_alloc_set_opts2`, freed once.
        #[allow(unsafe_code)]
        unsafe {
            ffi::swr_free(&raw mut context);
        }
    }
}
