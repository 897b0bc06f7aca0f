//! A decoded picture with its place in time and how it is to be shown.

use super::colour::{Colour, pixel_format};
use super::info::Rotation;
use super::probe::display_size;
use crate::time::Timestamp;
use ffmpeg_next as ffmpeg;
use ffmpeg::{Rational, frame};

/// What is the same for all pictures of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamLook {
    pub rotation: Rotation,
    pub mirrored: bool,
    /// The container's sample aspect, which wins over the frame's.
    pub aspect: Option<Rational>,
}

/// A decoded picture.
pub struct VideoFrame {
    pub(super) raw: frame::Video,
    pub(super) tick: i64,
    time: Timestamp,
    look: StreamLook,
}

impl VideoFrame {
    pub(super) fn new(raw: frame::Video, tick: i64, time: Timestamp, look: StreamLook) -> Self {
        Self { raw, tick, time, look }
    }

    /// When it is shown, on the media clock.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Its timestamp in the stream's own ticks, as the container stores it.
    pub fn pts(&self) -> i64 {
        self.tick
    }

    /// How long it is shown, in the stream's ticks, where the container says so.
    pub fn duration(&self) -> Option<i64> {
        Some(self.raw.packet().duration).filter(|ticks| *ticks > 0)
    }

    /// Whether decoding can start here.
    pub fn is_key(&self) -> bool {
        self.raw.is_key()
    }

    /// Whether it was coded as two fields.
    pub fn is_interlaced(&self) -> bool {
        self.raw.is_interlaced()
    }

    /// Whether the decoder marked it as damaged.
    pub fn is_damaged(&self) -> bool {
        self.raw.is_corrupt() || self.raw.has_decode_errors()
    }

    /// Coded width in pixels.
    pub fn width(&self) -> u32 {
        self.raw.width()
    }

    /// Coded height in pixels.
    pub fn height(&self) -> u32 {
        self.raw.height()
    }

    /// The clockwise turn that shows it upright.
    pub fn rotation(&self) -> Rotation {
        self.look.rotation
    }

    /// Whether it is mirrored left to right before the turn.
    pub fn is_mirrored(&self) -> bool {
        self.look.mirrored
    }

    /// Width and height in square pixels as shown, after aspect and rotation.
    pub fn display_size(&self) -> (u32, u32) {
        let own = self.raw.aspect_ratio();
        let own = (own.numerator() > 0 && own.denominator() > 0).then_some(own);
        let aspect = self.look.aspect.or(own).unwrap_or(Rational(1, 1));
        display_size(self.width(), self.height(), aspect, self.look.rotation)
    }

    /// How its code values are read.
    pub fn colour(&self) -> Colour {
        let name = self.pixel_format_name();
        Colour::resolve(
            self.raw.color_space(),
            self.raw.color_range(),
            name.as_deref().is_some_and(|n| n.starts_with("yuvj")),
            self.width(),
            self.height(),
        )
    }

    /// libav's name of the pixel format.
    pub fn pixel_format_name(&self) -> Option<String> {
        pixel_format(self.raw_format()).map(|format| format.name)
    }

    /// Whether transfer or primaries mark it as high dynamic range (PQ or HLG).
    pub fn is_hdr(&self) -> bool {
        use ffmpeg::color::TransferCharacteristic as Transfer;
        matches!(
            self.raw.color_transfer_characteristic(),
            Transfer::SMPTE2084 | Transfer::ARIB_STD_B67
        )
    }

    pub(super) fn raw_format(&self) -> i32 {
        // SAFETY: the frame is valid for as long as `self.raw` lives; a plain field is read.
        #[allow(unsafe_code)]
        unsafe {
            (*self.raw.as_ptr()).format
        }
    }

    /// Bytes its planes take, about.
    pub(super) fn bytes(&self) -> u64 {
        (0..self.raw.planes()).map(|i| self.raw.data(i).len() as u64).sum()
    }
}
