//! Animated previews: a film's frames in quick succession, as GIF or WebP.

use super::sheet::Tile;
use crate::error::{Error, ErrorKind, Result, Stage};
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, DynamicImage, Frame};
use serde::Serialize;
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
    let failed = |what: String| Error::new(ErrorKind::Internal, Stage::Encode, what);
    let (width, height) = tiles
        .first()
        .map(|t| t.picture.dimensions())
        .ok_or_else(|| Error::new(ErrorKind::Input, Stage::Encode, "no frames for a preview"))?;
    match format {
        AnimationFormat::Gif => {
            let mut bytes = Vec::new();
            {
                let mut encoder = GifEncoder::new_with_speed(&mut bytes, 10);
                encoder.set_repeat(Repeat::Infinite).map_err(|e| failed(e.to_string()))?;
                let delay = Delay::from_saturating_duration(each);
                for tile in tiles {
                    let picture = DynamicImage::ImageRgb8(tile.picture).into_rgba8();
                    encoder
                        .encode_frame(Frame::from_parts(picture, 0, 0, delay))
                        .map_err(|e| failed(e.to_string()))?;
                }
            }
            Ok(bytes)
        }
        AnimationFormat::WebP => {
            let mut config =
                webp::WebPConfig::new().map_err(|()| failed("WebP refuses its defaults".into()))?;
            config.quality = 70.0;
            let mut encoder = webp::AnimEncoder::new(width, height, &config);
            encoder.set_loop_count(0);
            let step = i32::try_from(each.as_millis()).unwrap_or(i32::MAX);
            for (i, tile) in tiles.iter().enumerate() {
                let at = step.saturating_mul(i32::try_from(i).unwrap_or(i32::MAX));
                encoder.add_frame(webp::AnimFrame::from_rgb(
                    tile.picture.as_raw(),
                    width,
                    height,
                    at,
                ));
            }
            let bytes = encoder.try_encode().map_err(|e| failed(format!("WebP: {e:?}")))?;
            Ok(bytes.to_vec())
        }
    }
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
