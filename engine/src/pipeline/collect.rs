//! Consumers that keep small pictures in memory until they can be laid out together.

use crate::error::Result;
use crate::media::{FrameSink, Picked, PictureConverter, PictureSize};
use crate::stills::Tile;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Converts each frame to a tile and keeps it.
pub(super) struct Tiles {
    size: PictureSize,
    tiles: Mutex<BTreeMap<u64, Tile>>,
}

impl Tiles {
    pub(super) fn new(size: PictureSize) -> Self {
        Self { size, tiles: Mutex::default() }
    }

    /// The tiles in order of time.
    pub(super) fn into_tiles(self) -> Vec<Tile> {
        self.tiles.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
    }
}

impl FrameSink for Tiles {
    fn frame(&self, picked: Picked<'_>, converter: &mut PictureConverter) -> Result<()> {
        let tile = Tile {
            picture: converter.convert(picked.frame, self.size)?,
            time: picked.frame.time(),
        };
        self.tiles.lock().unwrap_or_else(PoisonError::into_inner).insert(picked.n, tile);
        Ok(())
    }
}
