//! Where shots begin and end.

use super::{NO_PICTURES, settings};
use crate::error::Result;
use crate::library::catalogue::rows::{Rows, ShotRow};
use crate::pipeline::ShotSettings;
use crate::pipeline::stage::{Begun, Film, FilmStage, Finished, ReadBy, StageWork, Wants};
use crate::time::Span;
use crate::vision::shots::ShotFinder;
use serde_json::{Value, json};

/// See the module. The fast detector: a network has a job of its own.
pub(in crate::pipeline) struct Shots<'s>(pub &'s ShotSettings);

impl FilmStage for Shots<'_> {
    fn name(&self) -> &'static str {
        "shots"
    }

    fn version(&self) -> u32 {
        ShotSettings::VERSION
    }

    fn parameters(&self) -> Value {
        settings(self.0)
    }

    fn begin<'a>(&'a self, film: &Film<'a>) -> Result<Begun<'a>> {
        if !film.has_video() {
            return Ok(Begun::Nothing(NO_PICTURES));
        }
        let finder = self.0.finder(None)?;
        Ok(Begun::Work(Box::new(Work { settings: self.0, finder })))
    }
}

struct Work<'a> {
    settings: &'a ShotSettings,
    finder: ShotFinder<'a>,
}

impl StageWork for Work<'_> {
    fn request<'w>(&'w mut self, wants: &mut Wants<'w>) -> Result<()> {
        wants.judge(&self.finder);
        Ok(())
    }

    fn finish(self: Box<Self>, film: &Film<'_>, _: &ReadBy<'_>) -> Result<Finished> {
        let name = film.input.file_name().unwrap_or_default().to_string_lossy();
        let list = self.settings.list(self.finder, &name, film.info)?;
        let shots = list.shots.iter().filter_map(|shot| {
            Some(ShotRow {
                span: Span::new(shot.start, shot.end)?,
                transition: shot.entered_by.as_str().to_owned(),
                confidence: shot.confidence,
            })
        });
        let rows = Rows { shots: shots.collect(), ..Rows::default() };
        let summary = json!({ "shots": rows.shots.len(), "work": settings(&list.work) });
        Ok(Finished { rows, summary, ..Finished::default() })
    }
}
