//! Rows out.

use super::Catalogue;
use super::rows::{
    ClipRow, EmbeddingRow, FeatureRow, FrameRow, FrameTextRow, Owner, RowRef, SegmentRow, ShotRow,
    Stored, TranscriptRow, WordRow,
};
use super::values::{maybe_time, span, time, vector};
use crate::error::Result;
use crate::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::Value;
use std::collections::BTreeMap;

/// What probing found, as it is stored.
#[derive(Clone, Debug)]
pub struct ProbeRow {
    /// The container's short names.
    pub container: String,
    /// Its length, where it states one.
    pub duration: Option<Timestamp>,
    /// [`crate::media::MediaInfo`] as JSON.
    pub info: Value,
}

impl Catalogue {
    fn rows<T>(
        &self,
        sql: &str,
        media: i64,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        self.read(|db| db.prepare_cached(sql)?.query_map([media], row)?.collect())
    }

    /// What a medium is made of.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn probe_of(&self, media: i64) -> Result<Option<ProbeRow>> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT container, duration_ticks, duration_base, info FROM probes \
                 WHERE media_id = ?1",
            )?
            .query_row([media], |row| {
                let info = serde_json::from_str(row.get_ref(3)?.as_str()?).unwrap_or(Value::Null);
                Ok(ProbeRow { container: row.get(0)?, duration: maybe_time(row, 1)?, info })
            })
            .optional()
        })
    }

    /// What is said in a medium; a stored segment's number is that of [`Catalogue::segments_of`].
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn transcript_of(&self, media: i64) -> Result<Option<Stored<TranscriptRow>>> {
        let found = self.read(|db| {
            db.prepare_cached(
                "SELECT id, language, language_probability, translated, model, engine, coverage \
                 FROM transcripts WHERE media_id = ?1 ORDER BY id DESC LIMIT 1",
            )?
            .query_row([media], |row| {
                let transcript = TranscriptRow {
                    language: row.get(1)?,
                    language_probability: row.get(2)?,
                    translated: row.get(3)?,
                    model: row.get(4)?,
                    engine: row.get(5)?,
                    coverage: row.get(6)?,
                    segments: Vec::new(),
                };
                Ok(Stored { id: row.get(0)?, row: transcript })
            })
            .optional()
        })?;
        let Some(mut found) = found else { return Ok(None) };
        found.row.segments = self.segments_of(media)?.into_iter().map(|s| s.row).collect();
        Ok(Some(found))
    }

    /// The stretches of speech of a medium with their words, in order of time.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn segments_of(&self, media: i64) -> Result<Vec<Stored<SegmentRow>>> {
        self.read(|db| {
            let mut words = words(db, media)?;
            let sql = format!("SELECT {SEGMENT} FROM segments WHERE media_id = ?1 ORDER BY n");
            let mut all = db.prepare_cached(&sql)?;
            let rows = all.query_map([media], segment)?;
            rows.map(|stored| {
                let mut stored = stored?;
                stored.row.words = words.remove(&stored.id).unwrap_or_default();
                Ok(stored)
            })
            .collect()
        })
    }

    /// One stretch of speech and the medium it belongs to.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn segment(&self, id: i64) -> Result<Option<(i64, Stored<SegmentRow>)>> {
        self.read(|db| {
            let sql = format!("SELECT {SEGMENT}, media_id FROM segments WHERE id = ?1");
            let found = db
                .prepare_cached(&sql)?
                .query_row([id], |row| Ok((row.get::<_, i64>(10)?, segment(row)?)))
                .optional()?;
            let Some((media, mut stored)) = found else { return Ok(None) };
            let sql = format!("SELECT {WORD} FROM words WHERE segment_id = ?1 ORDER BY n");
            let mut all = db.prepare_cached(&sql)?;
            stored.row.words = all.query_map([id], word)?.collect::<rusqlite::Result<_>>()?;
            Ok(Some((media, stored)))
        })
    }

    /// The shots of a medium, in order of time.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn shots_of(&self, media: i64) -> Result<Vec<Stored<ShotRow>>> {
        let sql = "SELECT id, start_ticks, start_base, end_ticks, end_base, transition, confidence \
                   FROM shots WHERE media_id = ?1 ORDER BY run_id, n";
        self.rows(sql, media, |row| {
            let shot =
                ShotRow { span: span(row, 1)?, transition: row.get(5)?, confidence: row.get(6)? };
            Ok(Stored { id: row.get(0)?, row: shot })
        })
    }

    /// The frames that `stage` kept of a medium, in order of time; those of all stages without.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn frames_of(&self, media: i64, stage: Option<&str>) -> Result<Vec<Stored<FrameRow>>> {
        let sql = "SELECT f.id, time_ticks, time_base, wanted_ticks, wanted_base, pts, is_key, \
                   width, height, file, shot_id, stage FROM frames f JOIN runs r ON r.id = run_id \
                   WHERE f.media_id = ?1 ORDER BY run_id, n";
        let all = self.rows(sql, media, |row| {
            let frame = FrameRow {
                time: time(row, 1)?,
                wanted: maybe_time(row, 3)?,
                pts: row.get(5)?,
                key: row.get(6)?,
                width: row.get(7)?,
                height: row.get(8)?,
                file: row.get(9)?,
                shot: row.get::<_, Option<i64>>(10)?.map(RowRef::Known),
            };
            Ok((row.get::<_, String>(11)?, Stored { id: row.get(0)?, row: frame }))
        })?;
        let wanted = all.into_iter().filter(|(made_by, _)| stage.is_none_or(|s| s == made_by));
        Ok(wanted.map(|(_, frame)| frame).collect())
    }

    /// The text seen in a medium's frames.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn texts_of(&self, media: i64) -> Result<Vec<Stored<FrameTextRow>>> {
        let sql = "SELECT id, frame_id, text, confidence, x, y, width, height FROM frame_texts \
                   WHERE media_id = ?1 ORDER BY frame_id, id";
        self.rows(sql, media, |row| {
            let text = FrameTextRow {
                frame: RowRef::Known(row.get(1)?),
                text: row.get(2)?,
                confidence: row.get(3)?,
                bounds: [row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?],
            };
            Ok(Stored { id: row.get(0)?, row: text })
        })
    }

    /// The clips of a medium.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn clips_of(&self, media: i64) -> Result<Vec<Stored<ClipRow>>> {
        let sql = "SELECT id, start_ticks, start_base, end_ticks, end_base, title, score \
                   FROM clips WHERE media_id = ?1 ORDER BY id";
        self.rows(sql, media, |row| {
            let clip = ClipRow { span: span(row, 1)?, title: row.get(5)?, score: row.get(6)? };
            Ok(Stored { id: row.get(0)?, row: clip })
        })
    }

    /// The measured properties of a medium and its parts.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn features_of(&self, media: i64) -> Result<Vec<FeatureRow>> {
        let sql = "SELECT segment_id, shot_id, frame_id, clip_id, name, value FROM features \
                   WHERE media_id = ?1 ORDER BY id";
        self.rows(sql, media, |row| {
            Ok(FeatureRow { owner: owner(row, 0)?, name: row.get(4)?, value: row.get(5)? })
        })
    }

    /// Gives every vector of `model` (all models without) and the medium it belongs to to `take`,
    /// in order of their numbers, without holding them all.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn each_embedding(
        &self,
        model: Option<&str>,
        mut take: impl FnMut(i64, Stored<EmbeddingRow>),
    ) -> Result<()> {
        self.read(|db| {
            let mut all = db.prepare_cached(
                "SELECT segment_id, shot_id, frame_id, clip_id, model, kind, vector, id, media_id \
                 FROM embeddings WHERE ?1 IS NULL OR model = ?1 ORDER BY id",
            )?;
            let mut rows = all.query([model])?;
            while let Some(row) = rows.next()? {
                let embedding = EmbeddingRow {
                    owner: owner(row, 0)?,
                    model: row.get(4)?,
                    kind: row.get(5)?,
                    vector: vector(row, 6)?,
                };
                take(row.get(8)?, Stored { id: row.get(7)?, row: embedding });
            }
            Ok(())
        })
    }
}

const SEGMENT: &str = "id, start_ticks, start_base, end_ticks, end_base, text, language, \
                       avg_logprob, no_speech_prob, doubt";

fn segment(row: &Row<'_>) -> rusqlite::Result<Stored<SegmentRow>> {
    let segment = SegmentRow {
        span: span(row, 1)?,
        text: row.get(5)?,
        language: row.get(6)?,
        avg_logprob: row.get(7)?,
        no_speech_prob: row.get(8)?,
        doubt: row.get(9)?,
        words: Vec::new(),
    };
    Ok(Stored { id: row.get(0)?, row: segment })
}

const WORD: &str = "start_ticks, start_base, end_ticks, end_base, text, probability, spaced";

fn word(row: &Row<'_>) -> rusqlite::Result<WordRow> {
    Ok(WordRow {
        span: span(row, 0)?,
        text: row.get(4)?,
        probability: row.get(5)?,
        spaced: row.get(6)?,
    })
}

/// The words of a medium by segment.
fn words(db: &Connection, media: i64) -> rusqlite::Result<BTreeMap<i64, Vec<WordRow>>> {
    let sql = format!(
        "SELECT {WORD}, segment_id FROM words WHERE segment_id IN \
         (SELECT id FROM segments WHERE media_id = ?1) ORDER BY segment_id, words.n"
    );
    let mut all = db.prepare_cached(&sql)?;
    let mut rows = all.query([media])?;
    let mut words: BTreeMap<i64, Vec<WordRow>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        words.entry(row.get(7)?).or_default().push(word(row)?);
    }
    Ok(words)
}

fn owner(row: &Row<'_>, at: usize) -> rusqlite::Result<Owner> {
    let id = |offset| row.get::<_, Option<i64>>(at + offset);
    let (segment, shot, frame, clip) = (id(0)?, id(1)?, id(2)?, id(3)?);
    let known = RowRef::Known;
    Ok(match (segment, shot, frame, clip) {
        (Some(id), ..) => Owner::Segment(known(id)),
        (_, Some(id), ..) => Owner::Shot(known(id)),
        (_, _, Some(id), _) => Owner::Frame(known(id)),
        (.., Some(id)) => Owner::Clip(known(id)),
        _ => Owner::Media,
    })
}
