//! What matters: terms, concepts, chapters and patterns of what is said and written.

use crate::error::Result;
use crate::insight::{Heard, Insight};
use crate::library::catalogue::rows::Rows;
use crate::pipeline::stage::{Begun, Film, FilmStage, Finished, ReadBy, StageInputs, StageWork};
use serde_json::{Value, json};

/// The name of the stage.
pub(in crate::pipeline) const NAME: &str = "insight";

/// See the module.
pub(in crate::pipeline) struct Find<'i>(pub &'i Insight);

impl FilmStage for Find<'_> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Value {
        json!({ "dictionaries": self.0.dictionaries(), "data": self.0.digest() })
    }

    fn inputs(&self) -> StageInputs {
        StageInputs::Of(&["transcript", "meaning", "ocr"])
    }

    fn begin<'a>(&'a self, _: &Film<'a>) -> Result<Begun<'a>> {
        Ok(Begun::Work(Box::new(Work(self.0))))
    }
}

struct Work<'i>(&'i Insight);

impl StageWork for Work<'_> {
    fn finish(self: Box<Self>, film: &Film<'_>, _: &ReadBy<'_>) -> Result<Finished> {
        let heard = Heard::of(&*film.catalogue()?, film.media()?)?;
        if heard.passages.is_empty() {
            let note = Some("nothing is said or written".to_owned());
            return Ok(Finished { summary: json!({ "keywords": 0 }), note, ..Finished::default() });
        }
        let findings = self.0.find(&heard, &film.run.cancel)?;
        let insight = self.0.rows(&heard, &findings);
        let summary = json!({
            "keywords": insight.keywords.len(),
            "concepts": insight.concepts.len(),
            "chapters": insight.chapters.len(),
            "patterns": insight.patterns.len(),
            "topics": findings.topics.count,
        });
        Ok(Finished { rows: Rows { insight, ..Rows::default() }, summary, ..Finished::default() })
    }
}
