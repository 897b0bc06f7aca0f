//! The film at one glance: `sheet.jpg`.

use super::{NO_PICTURES, settings, write};
use crate::error::Result;
use crate::media::{FramePolicy, PictureSize, Precision};
use crate::pipeline::collect::Tiles;
use crate::pipeline::stage::{Begun, Film, FilmStage, Finished, ReadBy, StageWork, Wants};
use crate::stills::{PictureFormat, SheetLayout, contact_sheet};
use serde_json::{Value, json};

/// The sheet's name in the film's folder.
pub(in crate::pipeline) const FILE: &str = "sheet.jpg";

/// See the module.
pub(in crate::pipeline) struct Sheet<'s> {
    /// Layout of the tiles.
    pub layout: &'s SheetLayout,
    /// Whether interlaced pictures are made whole.
    pub deinterlace: bool,
}

impl FilmStage for Sheet<'_> {
    fn name(&self) -> &'static str {
        "sheet"
    }

    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Value {
        json!({ "layout": settings(self.layout), "deinterlace": self.deinterlace })
    }

    fn begin<'a>(&'a self, film: &Film<'a>) -> Result<Begun<'a>> {
        if !film.has_video() {
            return Ok(Begun::Nothing(NO_PICTURES));
        }
        let policy = match film.info.duration {
            Some(_) => FramePolicy::Count(self.layout.count()?),
            // Without a length the tiles cannot be spread evenly.
            None => FramePolicy::Keyframes,
        };
        let tiles = Tiles::new(PictureSize::Width(self.layout.tile_width));
        let Self { layout, deinterlace } = *self;
        Ok(Begun::Work(Box::new(Work { layout, deinterlace, policy, tiles })))
    }
}

struct Work<'a> {
    layout: &'a SheetLayout,
    deinterlace: bool,
    policy: FramePolicy,
    tiles: Tiles,
}

impl StageWork for Work<'_> {
    fn request<'w>(&'w mut self, wants: &mut Wants<'w>) -> Result<()> {
        wants.frames(self.policy.clone(), Precision::Exact, self.deinterlace, &self.tiles);
        Ok(())
    }

    fn finish(self: Box<Self>, film: &Film<'_>, _: &ReadBy<'_>) -> Result<Finished> {
        let mut tiles = self.tiles.into_tiles();
        tiles.truncate(self.layout.count()?.get() as usize);
        let summary = json!({ "tiles": tiles.len() });
        if tiles.is_empty() {
            let note = Some("no picture could be decoded".to_owned());
            return Ok(Finished { summary, note, ..Finished::default() });
        }
        let sheet = contact_sheet(&tiles, self.layout, &film.run.limits)?;
        let path = film.staged("sheet")?.join(FILE);
        write(&path, &PictureFormat::JPEG.encode(&sheet)?)?;
        Ok(Finished { summary, ..Finished::default() })
    }
}
