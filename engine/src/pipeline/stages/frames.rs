//! Frames by a policy, as pictures in `frames/`.

use super::NO_PICTURES;
use crate::error::{Error, Result, Stage};
use crate::library::catalogue::rows::{FrameRow, Rows};
use crate::pipeline::ExtractFrames;
use crate::pipeline::frames::FrameWriter;
use crate::pipeline::stage::{Begun, Film, FilmStage, Finished, ReadBy, StageWork, Wants};
use serde_json::{Value, json};
use std::fs;

/// The folder of the pictures in the film's.
pub(in crate::pipeline) const FOLDER: &str = "frames";

/// See the module.
pub(in crate::pipeline) struct Frames<'s>(pub &'s ExtractFrames);

impl FilmStage for Frames<'_> {
    fn name(&self) -> &'static str {
        "frames"
    }

    fn version(&self) -> u32 {
        ExtractFrames::VERSION
    }

    fn parameters(&self) -> Value {
        self.0.parameters()
    }

    fn begin<'a>(&'a self, film: &Film<'a>) -> Result<Begun<'a>> {
        if !film.has_video() {
            return Ok(Begun::Nothing(NO_PICTURES));
        }
        let folder = film.staged(self.name())?.join(FOLDER);
        fs::create_dir(&folder).map_err(|e| Error::io(Stage::Write, &folder, e))?;
        let writer = FrameWriter::new(self.0, folder);
        Ok(Begun::Work(Box::new(Work { settings: self.0, writer })))
    }
}

struct Work<'a> {
    settings: &'a ExtractFrames,
    writer: FrameWriter<'a>,
}

impl StageWork for Work<'_> {
    fn request<'w>(&'w mut self, wants: &mut Wants<'w>) -> Result<()> {
        let ExtractFrames { policy, precision, deinterlace, .. } = self.settings;
        wants.frames(policy.clone(), *precision, *deinterlace, &self.writer);
        Ok(())
    }

    fn finish(self: Box<Self>, _: &Film<'_>, _: &ReadBy<'_>) -> Result<Finished> {
        let files = self.writer.into_files();
        let row = |file: crate::pipeline::FrameFile| FrameRow {
            time: file.time,
            wanted: file.wanted,
            pts: file.pts,
            key: file.key,
            width: file.width,
            height: file.height,
            file: Some(format!("{FOLDER}/{}", file.file)),
            shot: None,
            span: None,
        };
        let frames: Vec<FrameRow> = files.into_iter().map(row).collect();
        let summary = json!({ "frames": frames.len() });
        let rows = Rows { frames, ..Rows::default() };
        Ok(Finished { rows, summary, ..Finished::default() })
    }
}
