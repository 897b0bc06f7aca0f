//! Where shots begin and end.

use super::{NO_PICTURES, settings};
use crate::error::Result;
use crate::library::catalogue::rows::{Rows, ShotRow};
use crate::pipeline::stage::{Begun, Film, FilmStage, Finished, ReadBy, StageWork, Wants};
use crate::pipeline::{Detector, ShotSettings};
use crate::time::Span;
use crate::vision::shots::ShotFinder;
use crate::vision::transnet::TransNet;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// See the module.
pub(in crate::pipeline) struct Shots<'s> {
    pub settings: &'s ShotSettings,
    /// For [`Detector::TransNet`].
    pub net: Option<&'s TransNet>,
}

impl FilmStage for Shots<'_> {
    fn name(&self) -> &'static str {
        "shots"
    }

    fn version(&self) -> u32 {
        ShotSettings::VERSION
    }

    fn parameters(&self) -> Value {
        settings(self.settings)
    }

    fn models(&self) -> BTreeMap<String, String> {
        let net = self.net.filter(|_| self.settings.detector == Detector::TransNet);
        let named = net.map(TransNet::model).map(|m| format!("{} {}", m.name, m.digest));
        named.into_iter().map(|named| ("detector".to_owned(), named)).collect()
    }

    fn begin<'a>(&'a self, film: &Film<'a>) -> Result<Begun<'a>> {
        if !film.has_video() {
            return Ok(Begun::Nothing(NO_PICTURES));
        }
        let finder = self.settings.finder(self.net)?;
        Ok(Begun::Work(Box::new(Work { settings: self.settings, finder })))
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
