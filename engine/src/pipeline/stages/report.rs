//! The account of all that is known of a film: `report.json`, and for people `report.html`.

use super::page::Page;
use super::{internal, write};
use crate::error::Result;
use crate::library::catalogue::RunRow;
use crate::library::{Catalogue, Identity};
use crate::pipeline::FrameFile;
use crate::pipeline::process::{ProcessReport, StageAccount};
use crate::pipeline::stage::{Begun, Film, FilmStage, Finished, ReadBy, StageInputs, StageWork};
use serde_json::Value;
use std::path::Path;

const NAME: &str = "report";

/// See the module.
pub(in crate::pipeline) struct Report;

impl FilmStage for Report {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        2
    }

    fn parameters(&self) -> Value {
        Value::Null
    }

    fn inputs(&self) -> StageInputs {
        StageInputs::All
    }

    fn begin<'a>(&'a self, _: &Film<'a>) -> Result<Begun<'a>> {
        Ok(Begun::Work(Box::new(Work)))
    }
}

struct Work;

impl StageWork for Work {
    fn finish(self: Box<Self>, film: &Film<'_>, _: &ReadBy<'_>) -> Result<Finished> {
        let (catalogue, media) = (film.catalogue()?, film.media()?);
        let report = of(&catalogue, media, film.input, film.identity)?;
        let json = serde_json::to_vec_pretty(&report).map_err(|e| internal(&e))?;
        let folder = film.staged(NAME)?;
        write(&folder.join("report.json"), &json)?;
        if let Some(row) = catalogue.by_id(media)? {
            let page = Page {
                catalogue: &catalogue,
                library: film.library,
                media: &row,
                report: &report,
                film: &film.identity.seen.path,
                duration: film.info.duration,
                has_video: film.has_video(),
            };
            write(&folder.join("report.html"), page.html()?.as_bytes())?;
        }
        Ok(Finished::default())
    }
}

/// What the catalogue knows of a film, in short.
pub(in crate::pipeline) fn of(
    catalogue: &Catalogue,
    media: i64,
    input: &Path,
    identity: &Identity,
) -> Result<ProcessReport> {
    let runs = catalogue.runs_of(media)?;
    let summary = |stage: &str| {
        let run = runs.iter().find(|run| run.done && run.parts.stage == stage);
        run.map_or(&Value::Null, |run| &run.summary["result"])
    };
    let frames = catalogue.frames_of(media, Some("frames"))?;
    let file = |(n, stored): (usize, crate::library::catalogue::rows::Stored<_>)| {
        let row: crate::library::catalogue::rows::FrameRow = stored.row;
        let file = row.file.as_deref().and_then(|file| file.rsplit('/').next());
        FrameFile {
            file: file.unwrap_or_default().to_owned(),
            n: n as u64,
            time: row.time,
            wanted: row.wanted,
            pts: row.pts,
            key: row.key,
            width: row.width,
            height: row.height,
        }
    };
    let mut notices: Vec<Value> = Vec::new();
    for notice in runs.iter().filter_map(|run| run.summary["notices"].as_array()).flatten() {
        if !notices.contains(notice) {
            notices.push(notice.clone());
        }
    }
    Ok(ProcessReport {
        input: input.to_string_lossy().into_owned(),
        content: identity.content.to_string(),
        media: catalogue.probe_of(media)?.map_or(Value::Null, |probe| probe.info),
        frames: frames.into_iter().enumerate().map(file).collect(),
        sheet_tiles: summary("sheet")["tiles"].as_u64().unwrap_or(0),
        audio: summary("audio")["samples"].as_u64().is_some_and(|samples| samples > 0),
        transcript: serde_json::from_value(summary("transcript").clone()).ok(),
        // Not this one: it would tell of the report before.
        stages: runs.iter().filter(|run| run.parts.stage != NAME).map(account).collect(),
        notices,
        ran: Vec::new(),
    })
}

fn account(run: &RunRow) -> StageAccount {
    StageAccount {
        stage: run.parts.stage.clone(),
        done: run.done,
        seconds: run.wall.as_secs_f64(),
        note: run.note.clone(),
        summary: run.summary["result"].clone(),
    }
}
