//! Clips that did well, by lists; and what clips are worth.

use super::Catalogue;
use super::values::{columns, digest, span, vector_bytes};
use crate::error::Result;
use crate::library::ContentId;
use crate::time::Span;
use rusqlite::{Row, params};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a clip is worth for a purpose.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClipScoreRow {
    /// The clip: of rows that are written, its place among them; of stored ones, its number.
    pub clip: i64,
    /// The purpose.
    pub purpose: String,
    /// From 0 to 100.
    pub score: f64,
    /// Why, as JSON.
    pub reasons: String,
}

/// A clip that did well. It keeps what it was like, and outlives its film's results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WinnerRow {
    /// The list that it is on.
    pub list: String,
    /// The film's content.
    #[serde(skip)]
    pub content: ContentId,
    /// The film's name.
    pub film: String,
    /// The stretch.
    pub span: Span,
    /// What it is called.
    pub title: String,
    /// What a person wrote of it.
    pub note: String,
    /// When it was added, in milliseconds since 1970.
    pub added_ms: i64,
    /// Its features by name.
    pub features: BTreeMap<String, f64>,
    /// What it means; empty where nothing is said.
    #[serde(skip)]
    pub vector: Vec<f32>,
}

impl Catalogue {
    /// What the clips of a medium are worth, by clip and purpose.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn clip_scores_of(&self, media: i64) -> Result<Vec<ClipScoreRow>> {
        let sql = "SELECT s.clip_id, s.purpose, s.score, s.reasons FROM clip_scores s \
                   JOIN clips c ON c.id = s.clip_id WHERE c.media_id = ?1 ORDER BY s.clip_id, s.purpose";
        self.rows(sql, media, |row| {
            Ok(ClipScoreRow {
                clip: row.get(0)?,
                purpose: row.get(1)?,
                score: row.get(2)?,
                reasons: row.get(3)?,
            })
        })
    }

    /// Adds a winner; its number. The same stretch on the same list is replaced.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn add_winner(&self, row: &WinnerRow) -> Result<i64> {
        let ((start, start_base), (end, end_base)) =
            (columns(row.span.start), columns(row.span.end));
        let features = serde_json::to_string(&row.features).unwrap_or_default();
        self.write(|db| {
            db.prepare_cached(
                "INSERT OR REPLACE INTO winners VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
                 ?11, NULL, ?12)",
            )?
            .insert(params![
                row.list,
                row.content.as_bytes(),
                row.film,
                start,
                start_base,
                end,
                end_base,
                row.title,
                row.note,
                row.added_ms,
                features,
                vector_bytes(&row.vector)
            ])
        })
    }

    /// The winners of a list (of all without) with their numbers, in the order in which they were added.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn winners(&self, list: Option<&str>) -> Result<Vec<(i64, WinnerRow)>> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT id, list, content, film, start_ticks, start_base, end_ticks, end_base, title, note, \
                 added_ms, features, vector FROM winners WHERE ?1 IS NULL OR list = ?1 ORDER BY id",
            )?
            .query_map([list], |row| Ok((row.get(0)?, winner(row)?)))?
            .collect()
        })
    }

    /// Takes a winner off its list; whether it was there.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn remove_winner(&self, id: i64) -> Result<bool> {
        self.write(|db| Ok(db.execute("DELETE FROM winners WHERE id = ?1", [id])? > 0))
    }
}

fn winner(row: &Row<'_>) -> rusqlite::Result<WinnerRow> {
    let features: String = row.get(11)?;
    let vector: Option<Vec<u8>> = row.get(12)?;
    let bytes = vector.unwrap_or_default();
    let (values, _) = bytes.as_chunks::<4>();
    Ok(WinnerRow {
        list: row.get(1)?,
        content: ContentId::from_bytes(digest(row, 2)?),
        film: row.get(3)?,
        span: span(row, 4)?,
        title: row.get(8)?,
        note: row.get(9)?,
        added_ms: row.get(10)?,
        features: serde_json::from_str(&features).unwrap_or_default(),
        vector: values.iter().map(|value| f32::from_le_bytes(*value)).collect(),
    })
}
