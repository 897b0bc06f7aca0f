//! A film at one glance: contact sheet, sprite sheet with track, or animated preview.

use super::collect::Tiles;
use super::{Made, Run, is_current, is_current_file, length};
use crate::error::{Error, Result, Stage};
use crate::library::{MANIFEST, Recipe, Record, StagedDir, StagedFile, refuse_same_file, sidecar};
use crate::media::{FramePolicy, PictureSize, Precision};
use crate::stills::{
    AnimationFormat, PictureFormat, SheetLayout, SpriteLayout, Tile, animate, contact_sheet,
    sprites,
};
use crate::time::Timestamp;
use serde::Serialize;
use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

/// What is made of the film.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SheetKind {
    /// One picture of evenly spaced tiles; the output is a picture file.
    Contact {
        /// How they are laid out.
        layout: SheetLayout,
        /// How the sheet is stored.
        format: PictureFormat,
    },
    /// Thumbnails at a fixed step for players; the output is a folder with `sprite-NNN.*` and
    /// `thumbnails.vtt`.
    Sprites {
        /// How they are packed.
        layout: SpriteLayout,
        /// Width of a thumbnail.
        width: NonZeroU32,
        /// Time from one to the next.
        every: Timestamp,
    },
    /// Evenly spaced frames in quick succession; the output is an animation file.
    Preview {
        /// Number of frames.
        count: NonZeroU32,
        /// Width in pixels.
        width: NonZeroU32,
        /// How long each is shown.
        each: Duration,
        /// How it is stored.
        format: AnimationFormat,
    },
}

/// Makes one of the [`SheetKind`]s.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MakeSheet {
    /// What to make.
    pub kind: SheetKind,
    /// Whether frames are exact or their keyframes. Snapping decodes one picture a tile; where
    /// several tiles would show the same keyframe the sheet has that much fewer.
    pub precision: Precision,
}

impl MakeSheet {
    const VERSION: u32 = 1;

    fn policy(&self) -> Result<FramePolicy> {
        Ok(match &self.kind {
            SheetKind::Contact { layout, .. } => FramePolicy::Count(layout.count()?),
            SheetKind::Sprites { every, .. } => FramePolicy::Every(*every),
            SheetKind::Preview { count, .. } => FramePolicy::Count(*count),
        })
    }

    fn tile_width(&self) -> NonZeroU32 {
        match &self.kind {
            SheetKind::Contact { layout, .. } => layout.tile_width,
            SheetKind::Sprites { width, .. } | SheetKind::Preview { width, .. } => *width,
        }
    }

    /// Makes the sheet of `input` at `output`; gives the number of tiles.
    ///
    /// # Errors
    /// As [`crate::media::Reading::run`]; storage errors. Nothing is left behind then.
    pub fn run(&self, input: &Path, output: &Path, run: &Run) -> Result<Made<usize>> {
        refuse_same_file(input, output)?;
        let recipe = Recipe::new("sheet", Self::VERSION, self);
        let folder = matches!(self.kind, SheetKind::Sprites { .. });
        let record_path = if folder { output.join(MANIFEST) } else { sidecar(output) };
        let record = Record::read(&record_path);
        let content = run.identity_to_compare(input, record.is_some())?;
        let current = if folder { is_current } else { is_current_file };
        if current(record, &recipe, content.as_ref(), output) {
            return Ok(Made::current(output.to_path_buf()));
        }
        let tiles = Tiles::new(PictureSize::Width(self.tile_width()));
        let ((end, report), content) = run.with_identity(input, content, || {
            let reading = run.open(input)?;
            let end = length(reading.info());
            Ok((end, reading.frames(self.policy()?, self.precision, &tiles).run()?))
        })?;
        let tiles = tiles.into_tiles();
        let count = tiles.len();
        let key = content.map(|content| recipe.key(&content)).unwrap_or_default();
        run.cancel.check(Stage::Write)?;
        match &self.kind {
            SheetKind::Sprites { layout, .. } => {
                let staged = StagedDir::new(output)?;
                let made = sprites(&one_size(tiles), layout, end)?;
                let track = ("thumbnails.vtt".to_owned(), made.track.into_bytes());
                for (name, bytes) in made.sheets.into_iter().chain([track]) {
                    let path = staged.path().join(name);
                    fs::write(&path, bytes).map_err(|e| Error::io(Stage::Write, &path, e))?;
                }
                let record = Record::of_dir(&key, staged.path())?;
                let path = staged.path().join(MANIFEST);
                fs::write(&path, record.to_json())
                    .map_err(|e| Error::io(Stage::Write, &path, e))?;
                staged.publish()?;
            }
            SheetKind::Contact { layout, format } => {
                let sheet = contact_sheet(&tiles, layout, &run.limits)?;
                publish_file(output, &format.encode(&sheet)?, &key)?;
            }
            SheetKind::Preview { each, format, .. } => {
                publish_file(output, &animate(one_size(tiles), *each, *format)?, &key)?;
            }
        }
        Ok(Made { output: output.to_path_buf(), result: Some(count), notices: report.notices })
    }
}

/// Tiles of the first one's size: a film that changes shape mid-way gets the others fitted.
fn one_size(mut tiles: Vec<Tile>) -> Vec<Tile> {
    if let Some((width, height)) = tiles.first().map(|t| t.picture.dimensions()) {
        for tile in tiles.iter_mut().filter(|t| t.picture.dimensions() != (width, height)) {
            tile.picture = image::imageops::resize(
                &tile.picture,
                width,
                height,
                image::imageops::FilterType::Triangle,
            );
        }
    }
    tiles
}

/// Publishes a single file and the record beside it.
pub(super) fn publish_file(output: &Path, bytes: &[u8], key: &str) -> Result<()> {
    let mut staged = StagedFile::new(output)?;
    staged.write(bytes)?;
    staged.publish()?;
    publish_record(output, key)
}

/// Records an output file that was just published. Without an identity (pipes) there is none.
pub(super) fn publish_record(output: &Path, key: &str) -> Result<()> {
    if key.is_empty() {
        return Ok(());
    }
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let mut record = StagedFile::new(&sidecar(output))?;
    record.write(Record::of_file(key, output, &name)?.to_json().as_bytes())?;
    record.publish()
}
