//! libav's decoder as a state machine: receive until it needs input, send one packet, and at the
//! end drain once. EAGAIN and EOF are states here, not errors.

use super::allow;
use super::hwaccel::HardwareDecoding;
use super::input::{libav_error, quiet};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::limits::Limits;
use crate::time::TimeBase;
use ffmpeg::codec::packet::Ref as _;
use ffmpeg::{Packet, codec, ffi, frame};
use ffmpeg_next as ffmpeg;
use std::num::NonZeroUsize;

/// What a decoder answers.
#[derive(Debug)]
pub(super) enum Step<F> {
    /// A frame came out; there may be more.
    Frame(F),
    /// Nothing more until another packet is sent.
    NeedInput,
    /// Drained: nothing more until a flush.
    Drained,
}

/// How much of what it is sent a video decoder works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// Every picture.
    Everything,
    /// Pictures that others refer to; the rest is parsed and dropped.
    ReferencesOnly,
}

/// Whether a decoder for `id` exists and is on the allow-list.
pub(super) fn is_allowed(id: codec::Id) -> bool {
    find(id).is_some()
}

fn find(id: codec::Id) -> Option<ffmpeg::Codec> {
    quiet();
    let found = codec::decoder::find(id)?;
    allow::DECODERS.split(',').any(|name| name == found.name()).then_some(found)
}

/// A decoder of one stream, giving frames of kind `F` ([`frame::Video`] or [`frame::Audio`]).
pub(super) struct Decoder {
    opened: codec::decoder::Opened,
    draining: bool,
    damaged: u64,
}

impl Decoder {
    /// Opens the decoder that `parameters` ask for, with exactly `threads` threads.
    pub(super) fn open(
        parameters: codec::Parameters,
        time_base: TimeBase,
        threads: NonZeroUsize,
        limits: &Limits,
    ) -> Result<Self> {
        Self::open_on(None, parameters, time_base, threads, limits)
    }

    /// As [`Decoder::open`], on a GPU where it can decode this.
    pub(super) fn open_on(
        hardware: Option<&HardwareDecoding>,
        parameters: codec::Parameters,
        time_base: TimeBase,
        threads: NonZeroUsize,
        limits: &Limits,
    ) -> Result<Self> {
        let id = parameters.id();
        let Some(codec) = find(id) else {
            let name = if id == codec::Id::None {
                "an unknown codec".into()
            } else {
                format!("codec {}", id.name())
            };
            return Err(Error::new(
                ErrorKind::Unsupported,
                Stage::Decode,
                format!("no allowed decoder for {name} in this FFmpeg"),
            )
            .hint("convert the file to H.264, HEVC, VP9 or AV1, or build against a newer FFmpeg"));
        };
        let mut context = codec::Context::from_parameters(parameters)
            .map_err(|e| libav_error(e, Stage::Decode))?;
        context.set_threading(codec::threading::Config {
            kind: codec::threading::Type::Frame,
            count: threads.get().min(64),
            ..Default::default()
        });
        // SAFETY: the context is ours and not opened yet; these are plain fields that the
        // documentation says the caller sets before opening.
        #[allow(unsafe_code)]
        unsafe {
            let raw = &mut *context.as_mut_ptr();
            raw.pkt_timebase = ffi::AVRational {
                num: time_base.num().cast_signed(),
                den: time_base.den().cast_signed(),
            };
            raw.max_pixels = i64::try_from(limits.pixels_per_frame).unwrap_or(i64::MAX);
        }
        if let Some(hardware) = hardware {
            hardware.attach(&mut context)?;
        }
        let opened = context.decoder().open_as(codec).map_err(|e| libav_error(e, Stage::Decode))?;
        Ok(Self { opened, draining: false, damaged: 0 })
    }

    /// Has pictures given that the decoder believes incomplete, marked as such. H.264 decoding
    /// that starts at a recovery point needs this: libavcodec up to 5.1 at least forgets, while it
    /// drains, that the point was reached, and drops the last pictures.
    pub(super) fn give_unrecovered(&mut self) {
        // SAFETY: the context is ours; the flag is read at each picture.
        #[allow(unsafe_code)]
        unsafe {
            (*self.opened.as_mut_ptr()).flags |= ffi::AV_CODEC_FLAG_OUTPUT_CORRUPT as i32;
        }
    }

    /// Chooses which of the following packets are worked on.
    pub(super) fn set_effort(&mut self, effort: Effort) {
        self.opened.skip_frame(match effort {
            Effort::Everything => codec::discard::Discard::Default,
            Effort::ReferencesOnly => codec::discard::Discard::NonReference,
        });
    }

    /// Whether pictures that are only looked at from afar go without the filter over the edges of
    /// their blocks (H.264 and HEVC): about a seventh of the work. What is predicted from such a
    /// picture drifts until the next keyframe.
    pub(super) fn set_rough(&mut self, rough: bool) {
        self.opened.skip_loop_filter(if rough {
            codec::discard::Discard::All
        } else {
            codec::discard::Discard::Default
        });
    }

    /// Sends one packet; to be called after [`Step::NeedInput`]. A packet that the decoder finds
    /// damaged is counted and dropped.
    pub(super) fn send(&mut self, packet: &Packet) -> Result<()> {
        // libav takes an empty packet for the end of the stream; containers do hold some.
        if packet.size() == 0 {
            return Ok(());
        }
        debug_assert!(!packet.as_ptr().is_null());
        match self.opened.send_packet(packet) {
            Ok(()) => Ok(()),
            Err(error) => self.tolerate(error),
        }
    }

    /// Says that no more packets come; the decoder gives what it still holds.
    pub(super) fn drain(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.draining, true) {
            return Ok(());
        }
        match self.opened.send_eof() {
            Ok(()) | Err(ffmpeg::Error::Eof) => Ok(()),
            Err(error) => self.tolerate(error),
        }
    }

    /// Forgets all pictures, ready for packets from another place in the stream.
    pub(super) fn flush(&mut self) {
        self.opened.flush();
        self.draining = false;
    }

    /// Receives a picture.
    pub(super) fn receive_video(&mut self) -> Result<Step<frame::Video>> {
        let mut frame = frame::Video::empty();
        Ok(match self.receive(&mut frame)? {
            Step::Frame(()) => Step::Frame(frame),
            Step::NeedInput => Step::NeedInput,
            Step::Drained => Step::Drained,
        })
    }

    /// Receives a stretch of samples.
    pub(super) fn receive_audio(&mut self) -> Result<Step<frame::Audio>> {
        let mut frame = frame::Audio::empty();
        Ok(match self.receive(&mut frame)? {
            Step::Frame(()) => Step::Frame(frame),
            Step::NeedInput => Step::NeedInput,
            Step::Drained => Step::Drained,
        })
    }

    fn receive(&mut self, frame: &mut frame::Frame) -> Result<Step<()>> {
        // Each failed receive consumes something inside; the bound only stops a broken decoder.
        for _ in 0..10_000 {
            match self.opened.receive_frame(frame) {
                Ok(()) => return Ok(Step::Frame(())),
                Err(ffmpeg::Error::Eof) => return Ok(Step::Drained),
                Err(ffmpeg::Error::Other { errno: ffmpeg::error::EAGAIN }) => {
                    return Ok(Step::NeedInput);
                }
                Err(error) => self.tolerate(error)?,
            }
        }
        Ok(if self.draining { Step::Drained } else { Step::NeedInput })
    }

    /// Packets and frames that could not be decoded so far.
    pub(super) fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Damage in the data is counted; a machine out of memory is an error.
    fn tolerate(&mut self, error: ffmpeg::Error) -> Result<()> {
        match error {
            ffmpeg::Error::Other { errno: ffmpeg::error::ENOMEM } => {
                Err(libav_error(error, Stage::Decode))
            }
            _ => {
                self.damaged += 1;
                Ok(())
            }
        }
    }
}
