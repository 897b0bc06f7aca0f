//! What is said as vectors, so that it is found by its meaning.

use crate::embed::Embedders;
use crate::error::Result;
use crate::library::catalogue::rows::{EmbeddingRow, Owner, RowRef, Rows};
use crate::pipeline::stage::{Begun, Film, FilmStage, Finished, ReadBy, StageInputs, StageWork};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// See the module.
pub(in crate::pipeline) struct Meaning<'s>(pub &'s Embedders);

impl FilmStage for Meaning<'_> {
    fn name(&self) -> &'static str {
        "meaning"
    }

    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Value {
        json!({})
    }

    fn models(&self) -> BTreeMap<String, String> {
        let id = self.0.text_id().map(|id| ("text".to_owned(), id.as_str().to_owned()));
        id.into_iter().collect()
    }

    fn inputs(&self) -> StageInputs {
        StageInputs::Of(&["transcript"])
    }

    fn begin<'a>(&'a self, _: &Film<'a>) -> Result<Begun<'a>> {
        Ok(Begun::Work(Box::new(Work(self.0))))
    }
}

struct Work<'a>(&'a Embedders);

impl StageWork for Work<'_> {
    fn finish(self: Box<Self>, film: &Film<'_>, _: &ReadBy<'_>) -> Result<Finished> {
        let segments = film.catalogue()?.segments_of(film.media()?)?;
        let said: Vec<(i64, &str)> = segments
            .iter()
            .map(|segment| (segment.id, segment.row.text.trim()))
            .filter(|(_, text)| !text.is_empty())
            .collect();
        if said.is_empty() {
            let note = Some("nothing is said".to_owned());
            return Ok(Finished { summary: json!({ "texts": 0 }), note, ..Finished::default() });
        }
        let texts: Vec<&str> = said.iter().map(|(_, text)| *text).collect();
        let made = self.0.text()?.embed_texts(&texts, &film.run.cancel)?;
        let truncated = made.iter().filter(|made| made.truncated).count();
        let embeddings = said
            .iter()
            .zip(made)
            .map(|((segment, _), made)| EmbeddingRow {
                owner: Owner::Segment(RowRef::Known(*segment)),
                model: made.embedding.model().as_str().to_owned(),
                kind: "text".to_owned(),
                vector: made.embedding.into_vector(),
            })
            .collect();
        let summary = json!({ "texts": said.len(), "truncated": truncated });
        let rows = Rows { embeddings, ..Rows::default() };
        Ok(Finished { rows, summary, ..Finished::default() })
    }
}
