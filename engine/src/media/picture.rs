//! From a decoded frame to an upright RGB picture of a wanted size.
//!
//! Pixel format, matrix and range by libswscale at the coded size; then one resize to square
//! pixels and the wanted size (`fast_image_resize`, convolution filters with SIMD); then the turn.

use super::colour::Colour;
use super::frame::VideoFrame;
use super::info::Rotation;
use super::input::libav_error;
use super::resize::{ResizeFilter, Resizer, resize_rgb};
use crate::error::{Error, ErrorKind, Result, Stage};
use ffmpeg::ffi;
use ffmpeg::software::scaling;
use ffmpeg_next as ffmpeg;
use image::RgbImage;
use std::num::NonZeroU32;
use std::ptr;

/// The wanted size of a picture, in square pixels as shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PictureSize {
    /// As shown by a player: coded size, corrected for sample aspect.
    #[default]
    Native,
    /// This width; the height follows.
    Width(NonZeroU32),
    /// This height; the width follows.
    Height(NonZeroU32),
    /// As large as fits into width × height.
    Fit(NonZeroU32, NonZeroU32),
}

impl PictureSize {
    /// The size for a picture that is `width` × `height` as shown; each side at least 1.
    pub fn of(self, width: u32, height: u32) -> (u32, u32) {
        let (w, h) = (u64::from(width.max(1)), u64::from(height.max(1)));
        let scale =
            |side: u64, by: u64, of: u64| ((side * by + of / 2) / of).clamp(1, 1 << 16) as u32;
        match self {
            Self::Native => (width.max(1), height.max(1)),
            Self::Width(to) => (to.get(), scale(h, to.get().into(), w)),
            Self::Height(to) => (scale(w, to.get().into(), h), to.get()),
            Self::Fit(tw, th) => {
                if u64::from(tw.get()) * h <= u64::from(th.get()) * w {
                    (tw.get(), scale(h, tw.get().into(), w).min(th.get()))
                } else {
                    (scale(w, th.get().into(), h).min(tw.get()), th.get())
                }
            }
        }
    }
}

/// Converts frames to pictures; keeps its tables and buffers between frames of one shape. One
/// per thread.
#[derive(Default)]
pub struct PictureConverter {
    scaler: Option<Scaler>,
    resizer: Resizer,
    rgb: Vec<u8>,
}

impl PictureConverter {
    /// The frame as an upright picture of `size`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a pixel format that cannot be converted.
    pub fn convert(&mut self, frame: &VideoFrame, size: PictureSize) -> Result<RgbImage> {
        let (coded_width, coded_height) = (frame.width(), frame.height());
        let (shown_width, shown_height) = frame.display_size();
        let (mut width, mut height) = size.of(shown_width, shown_height);
        if frame.rotation().swaps_axes() {
            (width, height) = (height, width);
        }
        self.fill_rgb(frame)?;
        let same = (width, height) == (coded_width, coded_height);
        let pixels = if same {
            std::mem::take(&mut self.rgb)
        } else {
            self.resize(coded_width, coded_height, width, height)?
        };
        let picture = RgbImage::from_raw(width, height, pixels).ok_or_else(|| {
            Error::new(ErrorKind::Internal, Stage::Convert, "picture buffer has the wrong size")
        })?;
        Ok(upright(picture, frame.rotation(), frame.is_mirrored()))
    }

    /// Packed RGB of exactly this size, neither turned nor corrected for aspect.
    pub(super) fn rgb_of(
        &mut self,
        frame: &VideoFrame,
        width: u32,
        height: u32,
    ) -> Result<Vec<u8>> {
        self.fill_rgb(frame)?;
        if (width, height) == (frame.width(), frame.height()) {
            return Ok(std::mem::take(&mut self.rgb));
        }
        self.resize(frame.width(), frame.height(), width, height)
    }

    /// Fills `self.rgb` with packed RGB at the coded size.
    fn fill_rgb(&mut self, frame: &VideoFrame) -> Result<()> {
        let shape = Shape {
            width: frame.width(),
            height: frame.height(),
            format: frame.raw_format(),
            colour: frame.colour(),
        };
        if self.scaler.as_ref().is_none_or(|s| s.shape != shape) {
            self.scaler = Some(Scaler::new(shape)?);
        }
        let scaler = self
            .scaler
            .as_mut()
            .ok_or_else(|| Error::new(ErrorKind::Internal, Stage::Convert, "no scaler"))?;
        let (width, height) = (shape.width as usize, shape.height as usize);
        // libswscale writes whole vectors of eight pixels: where a row has no room for the last
        // one it leaves the right edge out, and some of its paths write past the end.
        let (row, stride) = (width * 3, (width.next_multiple_of(8) * 3).next_multiple_of(64));
        self.rgb.resize(stride * height + 64, 0);
        scaler.run(&frame.raw, &mut self.rgb, stride)?;
        if stride != row {
            for y in 1..height {
                self.rgb.copy_within(y * stride..y * stride + row, y * row);
            }
        }
        self.rgb.truncate(row * height);
        Ok(())
    }

    fn resize(&mut self, from_w: u32, from_h: u32, width: u32, height: u32) -> Result<Vec<u8>> {
        // Bilinear convolution spans all source pixels when shrinking (an area filter with soft
        // edges) and does not ring; Catmull-Rom keeps edges crisp when enlarging.
        let filter = if width < from_w { ResizeFilter::Bilinear } else { ResizeFilter::CatmullRom };
        resize_rgb(&mut self.resizer, &self.rgb, (from_w, from_h), (width, height), filter)
    }
}

fn upright(picture: RgbImage, rotation: Rotation, mirrored: bool) -> RgbImage {
    use image::imageops;
    let mut picture = picture;
    if mirrored {
        imageops::flip_horizontal_in_place(&mut picture);
    }
    match rotation {
        Rotation::None => picture,
        Rotation::Quarter => imageops::rotate90(&picture),
        Rotation::Half => {
            imageops::rotate180_in_place(&mut picture);
            picture
        }
        Rotation::ThreeQuarters => imageops::rotate270(&picture),
    }
}

/// Size, format and colour that a [`Scaler`] is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    width: u32,
    height: u32,
    format: i32,
    colour: Colour,
}

/// libswscale, set up for one shape, from any pixel format to packed RGB of the same size.
struct Scaler {
    context: ptr::NonNull<ffi::SwsContext>,
    shape: Shape,
}

// SAFETY: a SwsContext is not tied to a thread; it is only used through `&mut self`.
#[allow(unsafe_code)]
unsafe impl Send for Scaler {}

impl Scaler {
    fn new(shape: Shape) -> Result<Self> {
        let unsupported = || {
            let name =
                super::colour::pixel_format(shape.format).map_or("unknown".into(), |f| f.name);
            Error::new(
                ErrorKind::Unsupported,
                Stage::Convert,
                format!("pixel format {name} cannot be shown"),
            )
        };
        let described = super::colour::pixel_format(shape.format).ok_or_else(unsupported)?;
        let (width, height) = match (i32::try_from(shape.width), i32::try_from(shape.height)) {
            (Ok(w), Ok(h)) if w > 0 && h > 0 => (w, h),
            _ => return Err(unsupported()),
        };
        // SAFETY: the format number was checked by `pixel_format`; sizes are positive; the
        // coefficient tables are static; null is checked before use.
        #[allow(unsafe_code)]
        unsafe {
            let format = std::mem::transmute::<i32, ffi::AVPixelFormat>(shape.format);
            if ffi::sws_isSupportedInput(format) <= 0 {
                return Err(unsupported());
            }
            let context = ffi::sws_getContext(
                width,
                height,
                format,
                width,
                height,
                ffi::AVPixelFormat::AV_PIX_FMT_RGB24,
                (scaling::Flags::BICUBIC | scaling::Flags::FULL_CHR_H_INT).bits(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null(),
            );
            let context = ptr::NonNull::new(context).ok_or_else(unsupported)?;
            let scaler = Self { context, shape };
            if !described.rgb {
                let table = ffi::sws_getCoefficients(shape.colour.matrix.sws());
                let out = ffi::sws_getCoefficients(ffi::SWS_CS_DEFAULT as i32);
                // Fails only for formats without a matrix (grey), which need none.
                ffi::sws_setColorspaceDetails(
                    scaler.context.as_ptr(),
                    table,
                    i32::from(shape.colour.full_range),
                    out,
                    1,
                    0,
                    1 << 16,
                    1 << 16,
                );
            }
            Ok(scaler)
        }
    }

    fn run(&mut self, frame: &ffmpeg::frame::Video, rgb: &mut [u8], stride: usize) -> Result<()> {
        debug_assert!(rgb.len() >= stride * self.shape.height as usize);
        // SAFETY: the frame has the shape the context was made for (the caller compared them), so
        // its planes hold that many rows; the target holds `height` rows of `stride` bytes, each
        // at least 3 × width.
        #[allow(unsafe_code)]
        let rows = unsafe {
            let raw = &*frame.as_ptr();
            let planes: [*const u8; 4] = std::array::from_fn(|i| raw.data[i].cast_const());
            let strides: [i32; 4] = std::array::from_fn(|i| raw.linesize[i]);
            let target = [rgb.as_mut_ptr(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut()];
            let target_strides = [stride as i32, 0, 0, 0];
            ffi::sws_scale(
                self.context.as_ptr(),
                planes.as_ptr(),
                strides.as_ptr(),
                0,
                raw.height,
                target.as_ptr(),
                target_strides.as_ptr(),
            )
        };
        if rows < 0 {
            return Err(libav_error(ffmpeg::Error::from(rows), Stage::Convert));
        }
        Ok(())
    }
}

impl Drop for Scaler {
    fn drop(&mut self) {
        // SAFETY: the context was made by `sws_getContext` and is freed once.
        #[allow(unsafe_code)]
        unsafe {
            ffi::sws_freeContext(self.context.as_ptr());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_the_shape() {
        let n = |v| NonZeroU32::new(v).unwrap();
        assert_eq!(PictureSize::Width(n(320)).of(1920, 1080), (320, 180));
        assert_eq!(PictureSize::Height(n(180)).of(1920, 1080), (320, 180));
        assert_eq!(PictureSize::Fit(n(320), n(320)).of(1080, 1920), (180, 320));
        assert_eq!(PictureSize::Fit(n(100), n(10)).of(1000, 1), (100, 1));
        assert_eq!(PictureSize::Native.of(0, 0), (1, 1));
    }
}
