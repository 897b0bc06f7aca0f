//! What the file is made of.

use crate::error::Result;
use crate::library::catalogue::rows::Rows;
use crate::pipeline::stage::{Begun, Film, FilmStage, Finished, ReadBy, StageWork};
use serde_json::Value;

/// Keeps what opening the file told.
pub(in crate::pipeline) struct Probe;

impl FilmStage for Probe {
    fn name(&self) -> &'static str {
        "probe"
    }

    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Value {
        Value::Null
    }

    fn begin<'a>(&'a self, _: &Film<'a>) -> Result<Begun<'a>> {
        Ok(Begun::Work(Box::new(Work)))
    }
}

struct Work;

impl StageWork for Work {
    fn finish(self: Box<Self>, film: &Film<'_>, _: &ReadBy<'_>) -> Result<Finished> {
        let rows = Rows { probe: Some(film.info.clone()), ..Rows::default() };
        Ok(Finished { rows, ..Finished::default() })
    }
}
