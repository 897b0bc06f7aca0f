//! Decoded pictures as planar YUV 4:2:0 for composing, and back for encoders: no RGB in between.

use super::colour::{Colour, pixel_format};
use super::frame::{VideoFrame, planar8};
use super::input::libav_error;
use crate::error::{Error, ErrorKind, Result, Stage};
use ffmpeg::format::Pixel;
use ffmpeg::software::scaling;
use ffmpeg::{ffi, frame};
use ffmpeg_next as ffmpeg;

/// The samples of a picture: luma, then both colour differences at half its width and height, rows
/// packed tightly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanarSamples {
    /// 8 bits.
    Eight([Vec<u8>; 3]),
    /// 10 bits in the lower part of 16.
    Ten([Vec<u16>; 3]),
}

/// A picture in planar YUV 4:2:0; width and height are even.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanarPicture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Its samples.
    pub samples: PlanarSamples,
    /// How they are read.
    pub colour: Colour,
}

/// Converts decoded pictures of any format; keeps its tables between pictures of one shape.
#[derive(Default)]
pub struct PlanarConverter {
    scaler: Option<(Key, scaling::Context)>,
}

type Key = (u32, u32, i32, Pixel);

impl PlanarConverter {
    /// The picture at its coded size, in 10 bits if it has more than 8. An odd last row or column
    /// is left out.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a pixel format that cannot be converted.
    pub fn convert(&mut self, frame: &VideoFrame) -> Result<PlanarPicture> {
        let (width, height) = (frame.width() & !1, frame.height() & !1);
        if width == 0 || height == 0 {
            return Err(Error::new(ErrorKind::Unsupported, Stage::Convert, "is a single line"));
        }
        let colour = frame.colour();
        let format = pixel_format(frame.raw_format());
        let name = format.as_ref().map(|f| f.name.as_str()).unwrap_or_default();
        if matches!(name, "yuv420p" | "yuvj420p")
            && let Some(planes) = planar8(&frame.raw)
        {
            let mut out = [Vec::new(), Vec::new(), Vec::new()];
            for (i, (plane, out)) in planes.iter().zip(&mut out).enumerate() {
                let half = u32::from(i > 0);
                let (w, h) = ((width >> half) as usize, (height >> half) as usize);
                out.reserve_exact(w * h);
                for y in 0..h {
                    out.extend_from_slice(&plane.row(y)[..w]);
                }
            }
            return Ok(PlanarPicture { width, height, samples: PlanarSamples::Eight(out), colour });
        }
        let deep = format.as_ref().is_some_and(|f| f.depth > 8);
        let target = if deep { Pixel::YUV420P10LE } else { Pixel::YUV420P };
        let key = (frame.width(), frame.height(), frame.raw_format(), target);
        if self.scaler.as_ref().is_none_or(|(known, _)| *known != key) {
            let scaler = scaling::Context::get(
                frame.raw.format(),
                frame.width(),
                frame.height(),
                target,
                frame.width(),
                frame.height(),
                scaling::Flags::BILINEAR
                    | scaling::Flags::ACCURATE_RND
                    | scaling::Flags::FULL_CHR_H_INP,
            )
            .map_err(|e| libav_error(e, Stage::Convert))?;
            let mut scaler = scaler;
            keep_colour(&mut scaler, colour);
            self.scaler = Some((key, scaler));
        }
        let Some((_, scaler)) = &mut self.scaler else {
            return Err(Error::new(ErrorKind::Internal, Stage::Convert, "no scaler"));
        };
        let mut made = frame::Video::empty();
        scaler.run(&frame.raw, &mut made).map_err(|e| libav_error(e, Stage::Convert))?;
        let samples = if deep {
            PlanarSamples::Ten(rows(&made, width, height, 2, |bytes, out: &mut Vec<u16>| {
                out.extend(bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])));
            }))
        } else {
            PlanarSamples::Eight(rows(&made, width, height, 1, |bytes, out: &mut Vec<u8>| {
                out.extend_from_slice(bytes);
            }))
        };
        Ok(PlanarPicture { width, height, samples, colour })
    }
}

/// Has libswscale keep matrix and range, which it would else take for BT.601's.
fn keep_colour(scaler: &mut scaling::Context, colour: Colour) {
    let range = i32::from(colour.full_range);
    // SAFETY: the context is valid; the coefficient tables are static arrays of four numbers, which
    // are copied.
    #[allow(unsafe_code)]
    unsafe {
        let table = ffi::sws_getCoefficients(colour.matrix.sws());
        ffi::sws_setColorspaceDetails(
            scaler.as_mut_ptr(),
            table,
            range,
            table,
            range,
            0,
            1 << 16,
            1 << 16,
        );
    }
}

fn rows<T>(
    made: &frame::Video,
    width: u32,
    height: u32,
    bytes: usize,
    take: impl Fn(&[u8], &mut Vec<T>),
) -> [Vec<T>; 3] {
    let plane = |i: usize| {
        let half = u32::from(i > 0);
        let (w, h) = ((width >> half) as usize, (height >> half) as usize);
        let mut out = Vec::with_capacity(w * h);
        for row in made.data(i).chunks(made.stride(i)).take(h) {
            take(&row[..w * bytes], &mut out);
        }
        out
    };
    [plane(0), plane(1), plane(2)]
}

/// A borrowed picture, as composing leaves it.
#[derive(Clone, Copy)]
pub enum PlanarRef<'a> {
    /// 8 bits.
    Eight([&'a [u8]; 3]),
    /// 10 bits in the lower part of 16.
    Ten([&'a [u16]; 3]),
}

/// Fills a new libav picture of this size.
pub(super) fn to_frame(picture: PlanarRef<'_>, width: u32, height: u32) -> Result<frame::Video> {
    let (format, sizes) = match picture {
        PlanarRef::Eight(planes) => (Pixel::YUV420P, planes.map(<[u8]>::len)),
        PlanarRef::Ten(planes) => (Pixel::YUV420P10LE, planes.map(<[u16]>::len)),
    };
    let luma = width as usize * height as usize;
    if sizes != [luma, luma / 4, luma / 4] || !width.is_multiple_of(2) || !height.is_multiple_of(2)
    {
        let what = format!("planes of {sizes:?} samples are no {width}x{height} picture");
        return Err(Error::new(ErrorKind::Internal, Stage::Encode, what));
    }
    let mut made = frame::Video::new(format, width, height);
    for i in 0..3 {
        let w = width as usize >> usize::from(i > 0);
        let stride = made.stride(i);
        let rows = made.data_mut(i).chunks_mut(stride);
        match picture {
            PlanarRef::Eight(planes) => {
                for (row, from) in rows.zip(planes[i].chunks_exact(w)) {
                    row[..w].copy_from_slice(from);
                }
            }
            PlanarRef::Ten(planes) => {
                for (row, from) in rows.zip(planes[i].chunks_exact(w)) {
                    for (bytes, sample) in row.chunks_exact_mut(2).zip(from) {
                        bytes.copy_from_slice(&sample.to_le_bytes());
                    }
                }
            }
        }
    }
    Ok(made)
}

/// A composed picture (limited range, of this matrix) for showing.
///
/// # Errors
/// [`ErrorKind::Internal`] for planes of another size.
pub fn planar_to_rgb(
    picture: PlanarRef<'_>,
    (width, height): (u32, u32),
    matrix: super::colour::Matrix,
) -> Result<image::RgbImage> {
    let made = to_frame(picture, width, height)?;
    let flags =
        scaling::Flags::BICUBIC | scaling::Flags::ACCURATE_RND | scaling::Flags::FULL_CHR_H_INT;
    // libav's own buffer has room for whole vectors, which libswscale writes.
    let mut scaler =
        scaling::Context::get(made.format(), width, height, Pixel::RGB24, width, height, flags)
            .map_err(|e| libav_error(e, Stage::Convert))?;
    keep_colour(&mut scaler, Colour { matrix, full_range: false, matrix_marked: true });
    let mut rgb = frame::Video::empty();
    scaler.run(&made, &mut rgb).map_err(|e| libav_error(e, Stage::Convert))?;
    let mut out = Vec::with_capacity(width as usize * height as usize * 3);
    for row in rgb.data(0).chunks(rgb.stride(0)).take(height as usize) {
        out.extend_from_slice(&row[..width as usize * 3]);
    }
    image::RgbImage::from_raw(width, height, out)
        .ok_or_else(|| Error::new(ErrorKind::Internal, Stage::Convert, "a picture of another size"))
}
