//! Pictures from files.

use crate::error::{Error, ErrorKind, Result, Stage};
use image::{ImageReader, Limits, RgbImage};
use std::path::Path;

/// Bytes that a picture may take while it is read: 16384 × 8192 in three colours, and again.
const MAX_BYTES: u64 = 800 << 20;
const MAX_SIDE: u32 = 16_384;

/// Reads the picture in the file `path`: JPEG, PNG, WebP or GIF (its first frame), whatever its name
/// says. Transparency is dropped.
///
/// # Errors
/// [`ErrorKind::Input`] for a file that is missing, damaged or none of these; [`ErrorKind::Limit`]
/// for a picture that is wider or higher than 16384 pixels.
pub fn read_picture(path: &Path) -> Result<RgbImage> {
    let io = |error| Error::io(Stage::Open, path, error);
    let mut reader =
        ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(io)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let picture = reader.decode().map_err(|error| {
        let (kind, hint) = match &error {
            image::ImageError::Limits(_) => (ErrorKind::Limit, "make it smaller"),
            image::ImageError::Unsupported(_) => {
                (ErrorKind::Input, "give a JPEG, PNG, WebP or GIF")
            }
            _ => (ErrorKind::Input, "the file is damaged, or not a picture"),
        };
        Error::new(kind, Stage::Decode, error.to_string()).input(path).hint(hint)
    })?;
    Ok(picture.into_rgb8())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stills::PictureFormat;

    #[test]
    fn reads_what_is_in_the_file_whatever_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture.txt");
        let picture = RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8 * 6, y as u8 * 8, 90]));
        for format in [PictureFormat::Png, PictureFormat::JPEG] {
            std::fs::write(&path, format.encode(&picture).unwrap()).unwrap();
            let read = read_picture(&path).unwrap();
            assert_eq!(read.dimensions(), (40, 30));
            let off = read.as_raw().iter().zip(picture.as_raw()).map(|(a, b)| a.abs_diff(*b));
            assert!(off.max().unwrap() < 24);
        }
    }

    #[test]
    fn refuses_what_is_no_picture_or_too_large() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture.png");
        assert_eq!(read_picture(&path).unwrap_err().kind(), ErrorKind::Input);
        std::fs::write(&path, b"no picture").unwrap();
        assert_eq!(read_picture(&path).unwrap_err().kind(), ErrorKind::Input);
        // A header that claims 60000 x 60000 pixels, and nothing behind it.
        let small = PictureFormat::Png.encode(&RgbImage::new(2, 2)).unwrap();
        let mut large = small;
        large[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
        large[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
        std::fs::write(&path, large).unwrap();
        let kind = read_picture(&path).unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::Limit | ErrorKind::Input), "{kind:?}");
    }
}
