//! Contact sheets: a film at one glance, each tile with its time.

use super::digits::{label_size, write_label};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::limits::Limits;
use crate::time::Timestamp;
use image::{Rgb, RgbImage, imageops};
use serde::Serialize;
use std::num::NonZeroU32;

/// How tiles are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SheetLayout {
    /// Tiles side by side.
    pub columns: NonZeroU32,
    /// Tiles one above the other.
    pub rows: NonZeroU32,
    /// Width of a tile in pixels; the height follows from the film.
    pub tile_width: NonZeroU32,
    /// Pixels between tiles and around them.
    pub gap: u32,
    /// Whether each tile shows its time.
    pub times: bool,
}

impl SheetLayout {
    /// Five by four tiles, 320 pixels wide.
    pub const DEFAULT: Self = {
        const fn positive(value: u32) -> NonZeroU32 {
            match NonZeroU32::new(value) {
                Some(value) => value,
                None => NonZeroU32::MIN,
            }
        }
        Self {
            columns: positive(5),
            rows: positive(4),
            tile_width: positive(320),
            gap: 4,
            times: true,
        }
    };

    /// Number of tiles; at most 10,000.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] beyond that.
    pub fn count(&self) -> Result<NonZeroU32> {
        self.columns.checked_mul(self.rows).filter(|n| n.get() <= 10_000).ok_or_else(|| {
            Error::new(ErrorKind::Limit, Stage::Encode, "a sheet has at most 10,000 tiles")
        })
    }
}

/// A picture on a sheet.
pub struct Tile {
    /// Already of the tile's width.
    pub picture: RgbImage,
    /// Shown in its corner.
    pub time: Timestamp,
}

/// Lays `tiles` out in rows, in order. All cells are as high as the highest tile; a sheet with
/// fewer tiles than places is as much shorter.
///
/// # Errors
/// [`ErrorKind::Input`] without tiles; [`ErrorKind::Limit`] if the sheet has too many pixels.
pub fn contact_sheet(tiles: &[Tile], layout: &SheetLayout, limits: &Limits) -> Result<RgbImage> {
    const BACKGROUND: Rgb<u8> = Rgb([24, 24, 24]);
    let tile_height = tiles
        .iter()
        .map(|t| t.picture.height())
        .max()
        .ok_or_else(|| Error::new(ErrorKind::Input, Stage::Encode, "no frames for a sheet"))?;
    let (columns, gap) = (u64::from(layout.columns.get()), u64::from(layout.gap));
    let rows = (tiles.len() as u64).div_ceil(columns);
    let (cell_width, cell_height) =
        (u64::from(layout.tile_width.get()) + gap, u64::from(tile_height) + gap);
    let side = |length: u64| u32::try_from(length).unwrap_or(u32::MAX);
    let (width, height) = (side(columns * cell_width + gap), side(rows * cell_height + gap));
    limits.check_picture(Stage::Encode, width, height)?;
    let mut sheet = RgbImage::from_pixel(width, height, BACKGROUND);
    for (i, tile) in tiles.iter().enumerate() {
        let (column, row) = (i as u64 % columns, i as u64 / columns);
        let (left, top) = (gap + column * cell_width, gap + row * cell_height);
        imageops::replace(&mut sheet, &tile.picture, left as i64, top as i64);
        if layout.times {
            let dot = (layout.tile_width.get() / 160).clamp(1, 8);
            let text = label(tile.time);
            let (label_width, label_height) = label_size(&text, dot);
            if label_width <= tile.picture.width() && label_height <= tile.picture.height() {
                let y = top as u32 + tile.picture.height() - label_height;
                write_label(&mut sheet, &text, left as u32, y, dot);
            }
        }
    }
    Ok(sheet)
}

/// `MM:SS.d`, with hours where there are some.
fn label(time: Timestamp) -> String {
    let full = time.to_string();
    let short = full.strip_prefix("00:").unwrap_or(&full);
    short[..short.len() - 2].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        assert_eq!(label(Timestamp::from_millis(62_540)), "01:02.5");
        assert_eq!(label(Timestamp::from_secs(3723)), "01:02:03.0");
    }

    #[test]
    fn tiles_land_in_their_cells() {
        let tile = |v: u8| Tile {
            picture: RgbImage::from_pixel(320, 180, Rgb([v; 3])),
            time: Timestamp::from_secs(v.into()),
        };
        let tiles: Vec<_> = (0..7).map(|i| tile(40 + i * 10)).collect();
        let sheet = contact_sheet(&tiles, &SheetLayout::DEFAULT, &Limits::default()).unwrap();
        assert_eq!(sheet.dimensions(), (5 * 324 + 4, 2 * 184 + 4));
        for i in 0..7u32 {
            let (x, y) = (4 + i % 5 * 324 + 300, 4 + i / 5 * 184 + 10);
            assert_eq!(sheet.get_pixel(x, y).0[0], 40 + i as u8 * 10);
        }
        // the label darkens and writes
        let corner: Vec<u8> = (4..84).map(|x| sheet.get_pixel(x, 4 + 170).0[0]).collect();
        assert!(corner.contains(&255) && corner.contains(&10));
    }

    #[test]
    fn nothing_and_too_much_are_errors() {
        assert!(contact_sheet(&[], &SheetLayout::DEFAULT, &Limits::default()).is_err());
        let layout = SheetLayout { columns: NonZeroU32::MAX, ..SheetLayout::DEFAULT };
        assert!(layout.count().is_err());
    }
}
