//! Clips of a library, ranked for a purpose, and as a table.

use super::features::FEATURES;
use super::score::{Reason, Scored};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::Catalogue;
use crate::library::catalogue::rows::{ClipRow, Owner, RowRef};
use crate::library::table::{Column, Table};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A stored clip with all that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RankedClip {
    /// The film's number in the catalogue.
    pub media: i64,
    /// The film's name.
    pub film: String,
    /// Its number.
    pub id: i64,
    /// When, what it is called, what is said; its score is the one that it is ranked by.
    #[serde(flatten)]
    pub clip: ClipRow,
    /// What it is worth, by purpose.
    pub scores: BTreeMap<String, Scored>,
    /// Its features by name.
    pub features: BTreeMap<String, f64>,
}

/// The clips of `media` (numbers), the best for `purpose` first.
///
/// # Errors
/// [`ErrorKind::Input`] where there are clips and none has a score for `purpose`; as
/// [`Catalogue::open`].
pub fn ranked(catalogue: &Catalogue, media: &[i64], purpose: &str) -> Result<Vec<RankedClip>> {
    let mut all = Vec::new();
    for media in media {
        let Some(row) = catalogue.by_id(*media)? else { continue };
        let mut features: HashMap<i64, BTreeMap<String, f64>> = HashMap::new();
        for row in catalogue.features_of(*media)? {
            if let Owner::Clip(RowRef::Known(id)) = row.owner {
                features.entry(id).or_default().insert(row.name, row.value);
            }
        }
        let mut scores: HashMap<i64, BTreeMap<String, Scored>> = HashMap::new();
        for row in catalogue.clip_scores_of(*media)? {
            let reasons: Vec<Reason> = serde_json::from_str(&row.reasons).unwrap_or_default();
            let scored = Scored { score: row.score, reasons };
            scores.entry(row.clip).or_default().insert(row.purpose, scored);
        }
        all.extend(catalogue.clips_of(*media)?.into_iter().map(|stored| RankedClip {
            media: *media,
            film: row.name.clone(),
            id: stored.id,
            clip: stored.row,
            scores: scores.remove(&stored.id).unwrap_or_default(),
            features: features.remove(&stored.id).unwrap_or_default(),
        }));
    }
    let known: BTreeSet<&str> =
        all.iter().flat_map(|clip| clip.scores.keys().map(String::as_str)).collect();
    if !known.is_empty() && !known.contains(purpose) {
        let known: Vec<&str> = known.into_iter().collect();
        let what = format!("clips are not scored for `{purpose}`, but for {}", known.join(", "));
        return Err(Error::new(ErrorKind::Input, Stage::Insight, what)
            .hint("add it to scores.toml in the library and run `rushes clips` again"));
    }
    let score = |clip: &RankedClip| clip.clip.score.unwrap_or(0.0);
    for clip in &mut all {
        clip.clip.score = clip.scores.get(purpose).map(|scored| scored.score);
    }
    all.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a.id.cmp(&b.id)));
    Ok(all)
}

/// The clips as a table: a row each, with every feature and score as a column. `score:NAME` is what
/// it is worth for a purpose.
pub fn table(clips: &[RankedClip]) -> Table {
    let text =
        |of: &dyn Fn(&RankedClip) -> Option<String>| Column::Text(clips.iter().map(of).collect());
    let number =
        |of: &dyn Fn(&RankedClip) -> Option<f64>| Column::Number(clips.iter().map(of).collect());
    let mut table = Table::new();
    table.column("film", text(&|clip| Some(clip.film.clone())));
    table.column("clip", Column::Whole(clips.iter().map(|clip| Some(clip.id)).collect()));
    table.column("start_s", number(&|clip| Some(clip.clip.span.start.as_secs_f64())));
    table.column("end_s", number(&|clip| Some(clip.clip.span.end.as_secs_f64())));
    table.column("kind", text(&|clip| clip.clip.kind.clone()));
    table.column("title", text(&|clip| Some(clip.clip.title.clone())));
    table.column("text", text(&|clip| clip.clip.text.clone()));
    let purposes: BTreeSet<&String> = clips.iter().flat_map(|clip| clip.scores.keys()).collect();
    for purpose in purposes {
        let score = |clip: &RankedClip| clip.scores.get(purpose).map(|scored| scored.score);
        table.column(format!("score:{purpose}"), number(&score));
    }
    let named = FEATURES.iter().map(|feature| feature.name.to_owned());
    let more: BTreeSet<String> = clips
        .iter()
        .flat_map(|clip| clip.features.keys())
        .filter(|name| name.starts_with("keywords:"))
        .cloned()
        .collect();
    for name in named.chain(more) {
        table.column(name.clone(), number(&|clip| clip.features.get(&name).copied()));
    }
    table
}
