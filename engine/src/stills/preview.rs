//! Animated previews: a film's frames in quick succession, as GIF or WebP.

use super::sheet::Tile;
use crate::error::{Error, ErrorKind, Result, Stage};
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, DynamicImage, Frame, RgbImage};
use serde::Serialize;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// How an animation is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AnimationFormat {
    /// GIF, 256 colours a frame.
    Gif,
    /// Lossy WebP: a fraction of the size.
    WebP,
}

impl AnimationFormat {
    /// The format a file name's extension asks for.
    pub fn from_extension(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "gif" => Some(Self::Gif),
            "webp" => Some(Self::WebP),
            _ => None,
        }
    }
}

/// Shows each of `tiles` (all of one size) for `each`, over and over.
///
/// # Errors
/// [`ErrorKind::Input`] without tiles; encoding errors.
pub fn animate(tiles: Vec<Tile>, each: Duration, format: AnimationFormat) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut animation = Animation::new(&mut bytes, format)?;
    let mut until = Duration::ZERO;
    for tile in tiles {
        until += each;
        animation.push(tile.picture, until)?;
    }
    animation.finish()?;
    Ok(bytes)
}

/// An animation that is being written.
pub struct Animation<W: Write> {
    coder: Coder<W>,
    size: Option<(u32, u32)>,
    /// When the last picture that was given goes, as the format counts it.
    until: u64,
}

enum Coder<W: Write> {
    Gif(Box<GifEncoder<W>>),
    /// libwebp is given everything at the end: pictures with the time of each in milliseconds.
    WebP {
        out: W,
        pictures: Vec<(RgbImage, i32)>,
        bytes: u64,
    },
}

/// Bytes of pictures that are held for a WebP: half a minute at 640 x 360.
const MAX_HELD: u64 = 512 << 20;

fn failed(what: impl ToString) -> Error {
    Error::new(ErrorKind::Internal, Stage::Encode, what.to_string())
}

impl<W: Write> Animation<W> {
    /// Begins one that is shown over and over.
    ///
    /// # Errors
    /// Write errors.
    pub fn new(out: W, format: AnimationFormat) -> Result<Self> {
        let coder = match format {
            AnimationFormat::Gif => {
                let mut encoder = GifEncoder::new_with_speed(out, 10);
                encoder.set_repeat(Repeat::Infinite).map_err(refused)?;
                Coder::Gif(Box::new(encoder))
            }
            AnimationFormat::WebP => Coder::WebP { out, pictures: Vec::new(), bytes: 0 },
        };
        Ok(Self { coder, size: None, until: 0 })
    }

    /// The next picture, shown up to `until` from the start of all. Pictures are shown for whole
    /// hundredths (GIF) or thousandths (WebP) of a second; ends are rounded, so nothing adds up.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] for a picture of another size; [`ErrorKind::Limit`] for a WebP that
    /// cannot be held; write errors.
    pub fn push(&mut self, picture: RgbImage, until: Duration) -> Result<()> {
        if *self.size.get_or_insert(picture.dimensions()) != picture.dimensions() {
            let what = "pictures of an animation have one size";
            return Err(Error::new(ErrorKind::Input, Stage::Encode, what));
        }
        let ticks = |each: u128| u64::try_from((until.as_nanos() + each / 2) / each).unwrap_or(0);
        match &mut self.coder {
            Coder::Gif(encoder) => {
                let end = ticks(10_000_000);
                let shown = u32::try_from(end.saturating_sub(self.until)).unwrap_or(u32::MAX);
                let delay = Delay::from_numer_denom_ms(shown.saturating_mul(10), 1);
                self.until = end;
                let picture = DynamicImage::ImageRgb8(picture).into_rgba8();
                encoder.encode_frame(Frame::from_parts(picture, 0, 0, delay)).map_err(refused)
            }
            Coder::WebP { pictures, bytes, .. } => {
                *bytes += picture.as_raw().len() as u64;
                if *bytes > MAX_HELD {
                    let what = format!(
                        "an animated WebP of more than {} MiB of pictures cannot be made",
                        MAX_HELD >> 20
                    );
                    return Err(Error::new(ErrorKind::Limit, Stage::Encode, what)
                        .hint("make it smaller or shorter, or a GIF"));
                }
                pictures.push((picture, i32::try_from(self.until).unwrap_or(i32::MAX)));
                self.until = ticks(1_000_000);
                Ok(())
            }
        }
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] without pictures; write errors.
    pub fn finish(self) -> Result<()> {
        let Some((width, height)) = self.size else {
            let what = "no pictures for an animation";
            return Err(Error::new(ErrorKind::Input, Stage::Encode, what));
        };
        let Coder::WebP { mut out, pictures, .. } = self.coder else { return Ok(()) };
        let mut config =
            webp::WebPConfig::new().map_err(|()| failed("WebP refuses its defaults"))?;
        config.quality = 70.0;
        let mut encoder = webp::AnimEncoder::new(width, height, &config);
        encoder.set_loop_count(0);
        for (picture, at) in &pictures {
            encoder.add_frame(webp::AnimFrame::from_rgb(picture.as_raw(), width, height, *at));
        }
        let made = encoder.try_encode().map_err(|e| failed(format!("WebP: {e:?}")))?;
        out.write_all(&made).and_then(|()| out.flush()).map_err(written)
    }
}

fn refused(error: image::ImageError) -> Error {
    match error {
        image::ImageError::IoError(error) => written(error),
        other => failed(other),
    }
}

fn written(error: std::io::Error) -> Error {
    Error::io(Stage::Write, Path::new("animation"), error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    use image::{AnimationDecoder, Rgb, RgbImage};

    #[test]
    fn both_formats_hold_all_frames() {
        let tiles = || {
            (0..4u8)
                .map(|i| Tile {
                    picture: RgbImage::from_pixel(32, 20, Rgb([i * 60; 3])),
                    time: Timestamp::ZERO,
                })
                .collect()
        };
        let each = Duration::from_millis(400);
        let gif = animate(tiles(), each, AnimationFormat::Gif).unwrap();
        let frames =
            image::codecs::gif::GifDecoder::new(std::io::Cursor::new(gif)).unwrap().into_frames();
        assert_eq!(frames.count(), 4);
        let webp = animate(tiles(), each, AnimationFormat::WebP).unwrap();
        assert_eq!(webp.windows(4).filter(|w| w == b"ANMF").count(), 4);
    }
}
