//! A decoded picture with its place in time and how it is to be shown.

use super::colour::{Colour, pixel_format};
use super::hwaccel;
use super::info::Rotation;
use super::probe::display_size;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::time::Timestamp;
use ffmpeg::{Rational, ffi, frame};
use ffmpeg_next as ffmpeg;

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

    /// The same picture in main memory, where it lies in a GPU's.
    pub(super) fn fetched(&self) -> Result<Option<Self>> {
        if !hwaccel::is_on_gpu(&self.raw) {
            return Ok(None);
        }
        let raw = hwaccel::fetch(&self.raw)?;
        Ok(Some(Self { raw, tick: self.tick, time: self.time, look: self.look }))
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

    /// Whether its components are luma and colour differences, or luma alone.
    pub(super) fn is_yuv(&self) -> bool {
        pixel_format(self.raw_format()).is_some_and(|format| !format.rgb)
    }

    /// Appends its code values as they were decoded to `out`: plane after plane (luma, both chroma,
    /// alpha where there is one), rows packed tightly.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for formats that are not planar with 8 bits a component.
    pub fn copy_planes(&self, out: &mut Vec<u8>) -> Result<()> {
        for plane in planar8(&self.raw).ok_or_else(|| self.not_planar())? {
            for y in 0..plane.height {
                out.extend_from_slice(plane.row(y));
            }
        }
        Ok(())
    }

    fn not_planar(&self) -> Error {
        let name = self.pixel_format_name().unwrap_or_else(|| "unknown".into());
        let what = format!("pixel format {name} is not planar with 8 bits");
        Error::new(ErrorKind::Unsupported, Stage::Convert, what)
    }

    /// Whether transfer or primaries mark it as high dynamic range (PQ or HLG).
    pub fn is_hdr(&self) -> bool {
        use ffmpeg::color::TransferCharacteristic as Transfer;
        matches!(
            self.raw.color_transfer_characteristic(),
            Transfer::SMPTE2084 | Transfer::ARIB_STD_B67
        )
    }

    /// Whether it is marked as PQ (`true`), as HLG (`false`), or as neither.
    pub fn hdr_transfer(&self) -> Option<bool> {
        use ffmpeg::color::TransferCharacteristic as Transfer;
        match self.raw.color_transfer_characteristic() {
            Transfer::SMPTE2084 => Some(true),
            Transfer::ARIB_STD_B67 => Some(false),
            _ => None,
        }
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
        // SAFETY: the frame is valid for as long as `self.raw` lives; plain fields are read. Not
        // by `data()` of ffmpeg-next, which takes a negative stride (bottom-up rows) for a huge
        // one.
        #[allow(unsafe_code)]
        let strides = unsafe { (*self.raw.as_ptr()).linesize };
        strides.iter().map(|s| u64::from(s.unsigned_abs()) * u64::from(self.height())).sum()
    }
}

/// One plane of a picture, a byte to a sample.
pub(super) struct Plane<'a> {
    data: *const u8,
    stride: isize,
    pub width: usize,
    pub height: usize,
    frame: std::marker::PhantomData<&'a frame::Video>,
}

impl Plane<'_> {
    /// Row `y`; the last one for what lies beyond.
    pub(super) fn row(&self, y: usize) -> &[u8] {
        let y = y.min(self.height.saturating_sub(1));
        // SAFETY: `planar8` gives planes of a frame that is borrowed for as long: `height` rows
        // (at least one), `stride` bytes from one to the next (backward where negative), each of
        // at least `width` bytes.
        #[allow(unsafe_code)]
        unsafe {
            let start = self.data.offset(y as isize * self.stride);
            std::slice::from_raw_parts(start, self.width)
        }
    }
}

/// The planes of a picture that has one 8-bit component in each; `None` for any other.
pub(super) fn planar8(raw: &frame::Video) -> Option<Vec<Plane<'_>>> {
    const SPECIAL: u64 = (ffi::AV_PIX_FMT_FLAG_PAL
        | ffi::AV_PIX_FMT_FLAG_BITSTREAM
        | ffi::AV_PIX_FMT_FLAG_HWACCEL
        | ffi::AV_PIX_FMT_FLAG_BAYER) as u64;
    // SAFETY: the frame is valid while borrowed and its format one of libav's, whose descriptor is
    // a static table entry or null; plain fields are read.
    #[allow(unsafe_code)]
    let (frame, described) = unsafe {
        let frame = &*raw.as_ptr();
        let format = super::colour::known_format(frame.format)?;
        (frame, ffi::av_pix_fmt_desc_get(format).as_ref()?)
    };
    if described.flags & SPECIAL != 0 {
        return None;
    }
    let components = described.comp.iter().take(usize::from(described.nb_components)).enumerate();
    components
        .map(|(i, component)| {
            let plane = usize::try_from(component.plane).ok().filter(|plane| *plane == i)?;
            let plain = component.depth == 8 && component.step == 1 && component.offset == 0;
            let (w, h) = match i {
                1 | 2 => (described.log2_chroma_w, described.log2_chroma_h),
                _ => (0, 0),
            };
            let (width, height) = (raw.width().div_ceil(1 << w), raw.height().div_ceil(1 << h));
            let stride = isize::try_from(frame.linesize[plane]).ok()?;
            let data = frame.data[plane].cast_const();
            let whole = width > 0
                && height > 0
                && !data.is_null()
                && stride.unsigned_abs() >= width as usize;
            (plain && whole).then_some(Plane {
                data,
                stride,
                width: width as usize,
                height: height as usize,
                frame: std::marker::PhantomData,
            })
        })
        .collect()
}
