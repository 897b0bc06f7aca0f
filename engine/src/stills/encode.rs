//! One picture into the bytes of a file.

use crate::error::{Error, ErrorKind, Result, Stage};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use jpeg_encoder::SamplingFactor;
use serde::Serialize;
use std::path::Path;

/// How a picture is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PictureFormat {
    /// JPEG, quality 1 to 100.
    Jpeg {
        /// 1 (small) to 100 (best).
        quality: u8,
    },
    /// PNG, lossless.
    Png,
    /// Lossy WebP, quality 0 to 100.
    WebP {
        /// 0 (small) to 100 (best).
        quality: u8,
    },
}

impl PictureFormat {
    /// JPEG of a quality that shows no flaws at a glance.
    pub const JPEG: Self = Self::Jpeg { quality: 87 };

    /// The format a file name's extension asks for, in its default quality.
    pub fn from_extension(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" => Some(Self::JPEG),
            "png" => Some(Self::Png),
            "webp" => Some(Self::WebP { quality: 80 }),
            _ => None,
        }
    }

    /// The usual extension, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg { .. } => "jpg",
            Self::Png => "png",
            Self::WebP { .. } => "webp",
        }
    }

    /// Compresses `picture`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if it is larger than the format holds (JPEG 65535 a side,
    /// WebP 16383).
    pub fn encode(self, picture: &RgbImage) -> Result<Vec<u8>> {
        let (width, height) = picture.dimensions();
        let too_large = |side: u32| {
            Error::new(
                ErrorKind::Unsupported,
                Stage::Encode,
                format!(
                    "{width}x{height} is too large for {}, which ends at {side}",
                    self.extension()
                ),
            )
            .hint("make it smaller, or use PNG")
        };
        let failed =
            |e: image::ImageError| Error::new(ErrorKind::Internal, Stage::Encode, e.to_string());
        let mut bytes = Vec::new();
        match self {
            Self::Jpeg { quality } => {
                // With SIMD: 0.6 CPU-s for 60 pictures of 1080p, where `image`'s own encoder took 2.3.
                let side = |length: u32| u16::try_from(length).map_err(|_| too_large(65_535));
                let (width, height) = (side(width)?, side(height)?);
                let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, quality.clamp(1, 100));
                encoder.set_sampling_factor(SamplingFactor::F_2_2);
                encoder
                    .encode(picture.as_raw(), width, height, jpeg_encoder::ColorType::Rgb)
                    .map_err(|e| Error::new(ErrorKind::Internal, Stage::Encode, e.to_string()))?;
            }
            Self::Png => {
                PngEncoder::new_with_quality(
                    &mut bytes,
                    CompressionType::Fast,
                    FilterType::Adaptive,
                )
                .write_image(picture.as_raw(), width, height, ExtendedColorType::Rgb8)
                .map_err(failed)?;
            }
            Self::WebP { quality } => {
                if width.max(height) > 16_383 {
                    return Err(too_large(16_383));
                }
                let encoder = webp::Encoder::from_rgb(picture.as_raw(), width, height);
                bytes = encoder
                    .encode_simple(false, f32::from(quality.min(100)))
                    .map_err(|e| {
                        Error::new(ErrorKind::Internal, Stage::Encode, format!("WebP: {e:?}"))
                    })?
                    .to_vec();
            }
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_what_it_says() {
        let picture = RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8 * 6, y as u8 * 8, 90]));
        let head = |f: PictureFormat| f.encode(&picture).unwrap();
        assert_eq!(head(PictureFormat::JPEG)[..2], [0xff, 0xd8]);
        assert_eq!(&head(PictureFormat::Png)[1..4], b"PNG");
        assert_eq!(&head(PictureFormat::WebP { quality: 80 })[8..12], b"WEBP");
        let back = image::load_from_memory(&head(PictureFormat::Png)).unwrap().to_rgb8();
        assert_eq!(back, picture);
    }

    #[test]
    fn too_large_for_the_format_is_an_error() {
        let wide = RgbImage::new(16_384, 1);
        assert!(PictureFormat::WebP { quality: 80 }.encode(&wide).is_err());
        assert!(PictureFormat::Jpeg { quality: 80 }.encode(&wide).is_ok());
    }
}
