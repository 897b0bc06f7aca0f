//! Rows out.

use super::rows::{
    ClipRow, EmbeddingRow, FeatureRow, FrameRow, FrameTextRow, Owner, RowRef, SegmentRow, ShotRow,
    Stored, TranscriptRow, WordRow,
};
use super::values::{maybe_span, maybe_time, span, time, vector};
use super::{Catalogue, Scope};
use crate::error::Result;
use crate::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

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
    pub(super) fn rows<T>(
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
                .query_row([id], |row| Ok((row.get::<_, i64>(11)?, segment(row)?)))
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
                   width, height, file, shot_id, stage, from_ticks, from_base, until_ticks, \
                   until_base FROM frames f JOIN runs r ON r.id = run_id \
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
                span: maybe_span(row, 12)?,
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
        let sql = "SELECT id, frame_id, text, confidence, x, y, width, height, from_ticks, from_base, \
                   until_ticks, until_base FROM frame_texts \
                   WHERE media_id = ?1 ORDER BY frame_id, id";
        self.rows(sql, media, |row| {
            let text = FrameTextRow {
                frame: RowRef::Known(row.get(1)?),
                text: row.get(2)?,
                confidence: row.get(3)?,
                bounds: [row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?],
                span: maybe_span(row, 8)?,
            };
            Ok(Stored { id: row.get(0)?, row: text })
        })
    }

    /// The clips of a medium.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn clips_of(&self, media: i64) -> Result<Vec<Stored<ClipRow>>> {
        let sql = "SELECT id, start_ticks, start_base, end_ticks, end_base, title, score, kind, \
                   text FROM clips WHERE media_id = ?1 ORDER BY id";
        self.rows(sql, media, |row| {
            let clip = ClipRow {
                span: span(row, 1)?,
                title: row.get(5)?,
                score: row.get(6)?,
                kind: row.get(7)?,
                text: row.get(8)?,
            };
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
            let mut all = db.prepare_cached(&format!(
                "{EMBEDDING} WHERE ?1 IS NULL OR model = ?1 ORDER BY id"
            ))?;
            let mut rows = all.query([model])?;
            while let Some(row) = rows.next()? {
                take(row.get(8)?, embedding(row)?);
            }
            Ok(())
        })
    }

    /// Gives every vector of a medium to `take`, in order of their numbers.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn each_embedding_of(
        &self,
        media: i64,
        mut take: impl FnMut(Stored<EmbeddingRow>),
    ) -> Result<()> {
        self.read(|db| {
            let mut all =
                db.prepare_cached(&format!("{EMBEDDING} WHERE media_id = ?1 ORDER BY id"))?;
            let mut rows = all.query([media])?;
            while let Some(row) = rows.next()? {
                take(embedding(row)?);
            }
            Ok(())
        })
    }

    /// The models that made the embeddings: name, components, and how many vectors.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn embedding_models(&self) -> Result<Vec<(String, usize, usize)>> {
        self.read(|db| {
            let mut models = db.prepare_cached(
                "SELECT model, min(id), count(*) FROM embeddings GROUP BY model ORDER BY model",
            )?;
            let mut dim = db.prepare_cached("SELECT dim FROM embeddings WHERE id = ?1")?;
            let mut rows = models.query([])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                let dim: u32 = dim.query_row([row.get::<_, i64>(1)?], |row| row.get(0))?;
                all.push((row.get(0)?, dim as usize, row.get::<_, u32>(2)? as usize));
            }
            Ok(all)
        })
    }

    /// The numbers of the embeddings by `model`, in order, of what lies in `scope`. A picture lies in
    /// it where any of the frames does that it stands for.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn embeddings_by(&self, model: &str, scope: &Scope) -> Result<Vec<i64>> {
        let media = scope.media_list();
        // All are in an index with their numbers; those of some films are looked up by these.
        let of = match &media {
            None => "e.model = :model AND :media IS NULL",
            Some(_) => "e.media_id IN (SELECT value FROM json_each(:media)) AND +e.model = :model",
        };
        let language = match &scope.language {
            None => ":language IS NULL",
            Some(_) => {
                "CASE WHEN e.segment_id IS NULL THEN EXISTS (SELECT 1 FROM transcripts t \
                 WHERE t.media_id = e.media_id AND t.language = :language) \
                 ELSE EXISTS (SELECT 1 FROM segments t \
                 WHERE t.id = e.segment_id AND t.language = :language) END"
            }
        };
        let (columns, joined) = if scope.is_timed() {
            (
                "e.id, s.start_ticks, s.start_base, s.end_ticks, s.end_base, f.time_ticks, \
                 f.time_base, f.from_ticks, f.from_base, f.until_ticks, f.until_base, f.file, \
                 e.media_id",
                "LEFT JOIN segments s ON s.id = e.segment_id LEFT JOIN frames f ON f.id = e.frame_id",
            )
        } else {
            ("e.id", "")
        };
        let sql = format!("SELECT {columns} FROM embeddings e {joined} WHERE {of} AND {language}");
        let mut ids = self.read(|db| {
            let pictures = if scope.is_timed() { pictures_in(db, scope)? } else { BTreeSet::new() };
            let mut all = db.prepare_cached(&sql)?;
            let mut rows = all.query(named_params! {
                ":model": model, ":media": media, ":language": scope.language,
            })?;
            let mut ids = Vec::new();
            while let Some(row) = rows.next()? {
                let inside = !scope.is_timed()
                    || match maybe_span(row, 1)? {
                        Some(said) => scope.holds(said),
                        None => {
                            let file: Option<String> = row.get(11)?;
                            let media: i64 = row.get(12)?;
                            scope.holds_frame(row, 5)?
                                || file.is_some_and(|file| pictures.contains(&(media, file)))
                        }
                    };
                if inside {
                    ids.push(row.get::<_, i64>(0)?);
                }
            }
            Ok(ids)
        })?;
        ids.sort_unstable();
        Ok(ids)
    }

    /// What networks called frames in `scope`, where they were at least so sure: `label:` features.
    /// The medium, the frame, the name and how likely it is shown.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn labels(&self, least: f64, scope: &Scope) -> Result<Vec<(i64, i64, String, f64)>> {
        self.read(|db| {
            let mut all = db.prepare_cached(
                "SELECT l.media_id, l.frame_id, substr(l.name, 7), l.value, f.time_ticks, \
                 f.time_base, f.from_ticks, f.from_base, f.until_ticks, f.until_base \
                 FROM features l JOIN frames f ON f.id = l.frame_id \
                 WHERE l.name >= 'label:' AND l.name < 'label;' AND l.value >= :least \
                 AND (:media IS NULL OR l.media_id IN (SELECT value FROM json_each(:media))) \
                 AND (:language IS NULL OR EXISTS (SELECT 1 FROM transcripts t \
                 WHERE t.media_id = l.media_id AND t.language = :language)) ORDER BY l.id",
            )?;
            let mut rows = all.query(named_params! {
                ":least": least, ":media": scope.media_list(), ":language": scope.language,
            })?;
            let mut labels = Vec::new();
            while let Some(row) = rows.next()? {
                if !scope.is_timed() || scope.holds_frame(row, 4)? {
                    labels.push((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
                }
            }
            Ok(labels)
        })
    }

    /// Walks over the embeddings `ids`, those that there are, in their order: the medium, then the
    /// embedding.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn embeddings(
        &self,
        ids: &[i64],
        mut take: impl FnMut(i64, Stored<EmbeddingRow>),
    ) -> Result<()> {
        self.read(|db| {
            let mut one = db.prepare_cached(&format!("{EMBEDDING} WHERE id = ?1"))?;
            for id in ids {
                let mut rows = one.query([id])?;
                if let Some(row) = rows.next()? {
                    take(row.get(8)?, embedding(row)?);
                }
            }
            Ok(())
        })
    }
}

const EMBEDDING: &str = "SELECT segment_id, shot_id, frame_id, clip_id, model, kind, vector, id, \
                         media_id FROM embeddings";

fn embedding(row: &Row<'_>) -> rusqlite::Result<Stored<EmbeddingRow>> {
    let embedding = EmbeddingRow {
        owner: owner(row, 0)?,
        model: row.get(4)?,
        kind: row.get(5)?,
        vector: vector(row, 6)?,
    };
    Ok(Stored { id: row.get(7)?, row: embedding })
}

const SEGMENT: &str = "id, start_ticks, start_base, end_ticks, end_base, text, language, \
                       avg_logprob, no_speech_prob, doubt, language_probability";

fn segment(row: &Row<'_>) -> rusqlite::Result<Stored<SegmentRow>> {
    let segment = SegmentRow {
        span: span(row, 1)?,
        text: row.get(5)?,
        language: row.get(6)?,
        language_probability: row.get(10)?,
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

/// The pictures of which a frame lies in `scope`: medium and file.
fn pictures_in(db: &Connection, scope: &Scope) -> rusqlite::Result<BTreeSet<(i64, String)>> {
    let mut all = db.prepare_cached(
        "SELECT media_id, file, time_ticks, time_base, from_ticks, from_base, until_ticks, until_base \
         FROM frames WHERE file IS NOT NULL \
         AND (?1 IS NULL OR media_id IN (SELECT value FROM json_each(?1)))",
    )?;
    let mut rows = all.query([scope.media_list()])?;
    let mut pictures = BTreeSet::new();
    while let Some(row) = rows.next()? {
        if scope.holds_frame(row, 2)? {
            pictures.insert((row.get(0)?, row.get(1)?));
        }
    }
    Ok(pictures)
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
