//! Sprite sheets with a WebVTT thumbnails track, as web players show while one seeks: cues whose
//! text is `FILE#xywh=x,y,w,h` (W3C Media Fragments).

use super::encode::PictureFormat;
use super::sheet::Tile;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::time::Timestamp;
use image::{RgbImage, imageops};
use serde::Serialize;
use std::fmt::Write as _;
use std::num::NonZeroU32;

/// How thumbnails are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SpriteLayout {
    /// Thumbnails side by side.
    pub columns: NonZeroU32,
    /// Rows of one sheet; more thumbnails begin another sheet.
    pub rows: NonZeroU32,
    /// Format of the sheets.
    pub format: PictureFormat,
}

/// Packed thumbnails.
pub struct Sprites {
    /// File name and bytes of each sheet.
    pub sheets: Vec<(String, Vec<u8>)>,
    /// The WebVTT track.
    pub track: String,
}

/// Packs `tiles` (in order of time) into sheets and writes the track; the last cue ends at `end`.
///
/// # Errors
/// [`ErrorKind::Input`] without tiles; encoding errors.
pub fn sprites(tiles: &[Tile], layout: &SpriteLayout, end: Timestamp) -> Result<Sprites> {
    let (width, height) = tiles
        .first()
        .map(|t| t.picture.dimensions())
        .ok_or_else(|| Error::new(ErrorKind::Input, Stage::Encode, "no frames for sprites"))?;
    let columns = layout.columns.get().min(tiles.len() as u32);
    let per_sheet = (columns as usize).saturating_mul(layout.rows.get() as usize);
    let mut made = Sprites { sheets: Vec::new(), track: "WEBVTT\n".into() };
    for (s, sheet_tiles) in tiles.chunks(per_sheet).enumerate() {
        let rows = (sheet_tiles.len() as u32).div_ceil(columns);
        let mut sheet = RgbImage::new(columns * width, rows * height);
        let name = format!("sprite-{s:03}.{}", layout.format.extension());
        for (i, tile) in sheet_tiles.iter().enumerate() {
            let (x, y) = (i as u32 % columns * width, i as u32 / columns * height);
            imageops::replace(&mut sheet, &tile.picture, x.into(), y.into());
            let next = tiles.get(s * per_sheet + i + 1).map_or(end.max(tile.time), |t| t.time);
            // The first thumbnail also stands for what comes before it.
            let from = if s + i == 0 { Timestamp::ZERO } else { tile.time };
            // Writing to a String cannot fail.
            let _ =
                write!(made.track, "\n{from} --> {next}\n{name}#xywh={x},{y},{width},{height}\n");
        }
        made.sheets.push((name, layout.format.encode(&sheet)?));
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cues_cover_the_film_and_name_their_tiles() {
        let tile = |s: i64| Tile { picture: RgbImage::new(16, 9), time: Timestamp::from_secs(s) };
        let two = NonZeroU32::new(2).unwrap();
        let layout = SpriteLayout { columns: two, rows: two, format: PictureFormat::Png };
        let tiles: Vec<_> = [1, 2, 4, 6, 8].map(tile).into();
        let made = sprites(&tiles, &layout, Timestamp::from_secs(10)).unwrap();
        assert_eq!(made.sheets.len(), 2);
        let cues: Vec<_> = made.track.split("\n\n").skip(1).collect();
        assert_eq!(cues[0], "00:00:00.000 --> 00:00:02.000\nsprite-000.png#xywh=0,0,16,9");
        assert_eq!(cues[3], "00:00:06.000 --> 00:00:08.000\nsprite-000.png#xywh=16,9,16,9");
        assert_eq!(cues[4], "00:00:08.000 --> 00:00:10.000\nsprite-001.png#xywh=0,0,16,9\n");
    }
}
