//! Pictures as assets: PNG (and GIF's first picture), decoded once and kept.

use super::compose::{ColourTags, Picture};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::limits::Limits;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

fn reader(path: &Path) -> Result<image::ImageReader<BufReader<File>>> {
    let file = File::open(path).map_err(|e| Error::io(Stage::Open, path, e))?;
    let failed = |e: std::io::Error| Error::io(Stage::Open, path, e);
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(Error::new(ErrorKind::Input, Stage::Open, "is not a file").input(path));
    }
    image::ImageReader::new(BufReader::new(file)).with_guessed_format().map_err(failed)
}

fn refused(path: &Path, error: &image::ImageError) -> Error {
    Error::new(ErrorKind::Input, Stage::Open, format!("is not a picture that can be read: {error}"))
        .input(path)
        .hint("give a PNG file")
}

/// Refuses what is no picture, or too large.
pub(super) fn check(path: &Path, limits: &Limits) -> Result<()> {
    let (width, height) = reader(path)?.into_dimensions().map_err(|e| refused(path, &e))?;
    limits.check_picture(Stage::Open, width, height).map_err(|e| e.input(path))
}

/// The picture, in the canvas's colour space.
pub(super) fn read(path: &Path, tags: ColourTags, limits: &Limits) -> Result<Picture> {
    check(path, limits)?;
    let picture = reader(path)?.decode().map_err(|e| refused(path, &e))?.into_rgba8();
    Picture::from_rgba(picture.width(), picture.height(), picture.as_raw(), tags)
        .map_err(|e| e.input(path))
}
