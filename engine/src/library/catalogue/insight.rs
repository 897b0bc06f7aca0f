//! Rows of what matters in a film, in and out.

use super::Catalogue;
use super::values::{columns, span, time, vector, vector_bytes};
use crate::error::Result;
use crate::time::{Span, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

/// What the stage `insight` found.
#[derive(Clone, Debug, Default)]
pub struct InsightRows {
    /// Terms of dictionaries.
    pub keywords: Vec<KeywordRow>,
    /// Key phrases, things known by their form, topics.
    pub concepts: Vec<ConceptRow>,
    /// Chapters, in order of time.
    pub chapters: Vec<ChapterRow>,
    /// What rules found.
    pub patterns: Vec<PatternRow>,
}

impl InsightRows {
    /// What is stored of a medium.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn of(catalogue: &Catalogue, media: i64) -> Result<Self> {
        Ok(Self {
            keywords: catalogue.keywords_of(media)?,
            concepts: catalogue.concepts_of(media)?,
            chapters: catalogue.chapters_of(media)?,
            patterns: catalogue.patterns_of(media)?,
        })
    }
}

/// Where something was said or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SeenIn {
    /// In this segment of the transcript.
    Segment(i64),
    /// In this line of text in a picture.
    Text(i64),
}

impl SeenIn {
    fn columns(self) -> (Option<i64>, Option<i64>) {
        match self {
            Self::Segment(id) => (Some(id), None),
            Self::Text(id) => (None, Some(id)),
        }
    }

    fn of(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Self>> {
        let segment = row.get::<_, Option<i64>>(at)?.map(Self::Segment);
        Ok(segment.or(row.get::<_, Option<i64>>(at + 1)?.map(Self::Text)))
    }
}

/// A term of a dictionary, said or written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeywordRow {
    /// When.
    pub span: Span,
    /// Where.
    pub seen: SeenIn,
    /// The term's name.
    pub term: String,
    /// Its category.
    pub category: String,
    /// Its dictionary.
    pub dictionary: String,
    /// What was said or written.
    pub found: String,
    /// How it was found: `exact`, `inflected` or `fuzzy`.
    pub how: String,
    /// What the mention counts.
    pub weight: f64,
}

/// A concept at one of its places.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConceptRow {
    /// `phrase`, `topic`, or a kind of thing: `money`, `date` and so on.
    pub kind: String,
    /// What was said; of a topic, its name.
    pub text: String,
    /// The same for all ways to say it; of a topic, its number.
    pub value: Option<String>,
    /// When.
    pub span: Span,
    /// How much it says about the film.
    pub score: f64,
    /// Where.
    pub seen: Option<SeenIn>,
}

/// A chapter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChapterRow {
    /// From its first sentence to the next chapter.
    pub span: Span,
    /// Its title.
    pub title: String,
    /// What it is about, the most telling first, separated by commas.
    pub about: String,
}

/// A pattern that a rule found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PatternRow {
    /// The rule's name.
    pub rule: String,
    /// Its kind.
    pub kind: String,
    /// When.
    pub span: Span,
    /// Its parts, in order of time.
    pub parts: Vec<PatternPart>,
}

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PatternPart {
    /// When.
    pub span: Span,
    /// What is said or written.
    pub text: String,
}

/// A film's sound, measured in windows.
#[derive(Clone, Debug, PartialEq)]
pub struct SoundRow {
    /// The length of a window; window `i` begins at `i` times it.
    pub step: Timestamp,
    /// What is measured, in the order of the numbers.
    pub fields: Vec<String>,
    /// The numbers, window after window.
    pub values: Vec<f32>,
}

/// Writes what a run found.
pub(super) fn write(
    db: &Connection,
    media: i64,
    run: i64,
    rows: &InsightRows,
) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached(
        "INSERT INTO keywords VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    for row in &rows.keywords {
        let (segment, text) = row.seen.columns();
        let ((start, start_base), (end, end_base)) = edges(row.span);
        insert.execute(params![
            run,
            media,
            segment,
            text,
            start,
            start_base,
            end,
            end_base,
            row.term,
            row.category,
            row.dictionary,
            row.found,
            row.how,
            row.weight
        ])?;
    }
    let mut insert = db.prepare_cached(
        "INSERT INTO concepts VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    for row in &rows.concepts {
        let (segment, text) = row.seen.map_or((None, None), SeenIn::columns);
        let ((start, start_base), (end, end_base)) = edges(row.span);
        insert.execute(params![
            run, media, segment, text, start, start_base, end, end_base, row.kind, row.text,
            row.value, row.score
        ])?;
    }
    let mut insert = db
        .prepare_cached("INSERT INTO chapters VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    for (n, row) in rows.chapters.iter().enumerate() {
        let ((start, start_base), (end, end_base)) = edges(row.span);
        insert.execute(params![
            run, media, n as i64, start, start_base, end, end_base, row.title, row.about
        ])?;
    }
    let mut insert =
        db.prepare_cached("INSERT INTO patterns VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    let mut part =
        db.prepare_cached("INSERT INTO pattern_parts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for row in &rows.patterns {
        let ((start, start_base), (end, end_base)) = edges(row.span);
        let id = insert
            .insert(params![run, media, row.rule, row.kind, start, start_base, end, end_base])?;
        for (n, row) in row.parts.iter().enumerate() {
            let ((start, start_base), (end, end_base)) = edges(row.span);
            part.execute(params![id, n as i64, start, start_base, end, end_base, row.text])?;
        }
    }
    Ok(())
}

/// Writes measurements of sound.
pub(super) fn write_sound(
    db: &Connection,
    media: i64,
    run: i64,
    row: &SoundRow,
) -> rusqlite::Result<()> {
    let (step, base) = columns(row.step);
    let width = row.fields.len() as i64;
    let fields = row.fields.join(",");
    db.prepare_cached("INSERT INTO sounds VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![run, media, step, base, fields, width, vector_bytes(&row.values)])?;
    Ok(())
}

fn edges(span: Span) -> ((i64, i64), (i64, i64)) {
    (columns(span.start), columns(span.end))
}

impl Catalogue {
    /// The terms of dictionaries in a medium, in order of time.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn keywords_of(&self, media: i64) -> Result<Vec<KeywordRow>> {
        let sql = "SELECT start_ticks, start_base, end_ticks, end_base, segment_id, text_id, term, \
                   category, dictionary, found, how, weight FROM keywords \
                   WHERE media_id = ?1 ORDER BY id";
        self.rows(sql, media, |row| {
            Ok(KeywordRow {
                span: span(row, 0)?,
                seen: SeenIn::of(row, 4)?.unwrap_or(SeenIn::Segment(0)),
                term: row.get(6)?,
                category: row.get(7)?,
                dictionary: row.get(8)?,
                found: row.get(9)?,
                how: row.get(10)?,
                weight: row.get(11)?,
            })
        })
    }

    /// The concepts of a medium at all their places, in order of time.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn concepts_of(&self, media: i64) -> Result<Vec<ConceptRow>> {
        let sql = "SELECT start_ticks, start_base, end_ticks, end_base, segment_id, text_id, kind, \
                   text, value, score FROM concepts WHERE media_id = ?1 ORDER BY id";
        self.rows(sql, media, |row| {
            Ok(ConceptRow {
                span: span(row, 0)?,
                seen: SeenIn::of(row, 4)?,
                kind: row.get(6)?,
                text: row.get(7)?,
                value: row.get(8)?,
                score: row.get(9)?,
            })
        })
    }

    /// The chapters of a medium, in order of time.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn chapters_of(&self, media: i64) -> Result<Vec<ChapterRow>> {
        let sql = "SELECT start_ticks, start_base, end_ticks, end_base, title, about FROM chapters \
                   WHERE media_id = ?1 ORDER BY n";
        self.rows(sql, media, |row| {
            Ok(ChapterRow { span: span(row, 0)?, title: row.get(4)?, about: row.get(5)? })
        })
    }

    /// The patterns in a medium, in order of time.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn patterns_of(&self, media: i64) -> Result<Vec<PatternRow>> {
        let sql = "SELECT p.start_ticks, p.start_base, p.end_ticks, p.end_base, p.rule, p.kind, p.id, \
                   q.start_ticks, q.start_base, q.end_ticks, q.end_base, q.text \
                   FROM patterns p JOIN pattern_parts q ON q.pattern_id = p.id \
                   WHERE p.media_id = ?1 ORDER BY p.id, q.n";
        let parts = self.rows(sql, media, |row| {
            let part = PatternPart { span: span(row, 7)?, text: row.get(11)? };
            let (rule, kind, id) = (row.get(4)?, row.get(5)?, row.get::<_, i64>(6)?);
            Ok((id, PatternRow { rule, kind, span: span(row, 0)?, parts: vec![part] }))
        })?;
        let mut patterns: Vec<(i64, PatternRow)> = Vec::new();
        for (id, mut row) in parts {
            match patterns.last_mut().filter(|(last, _)| *last == id) {
                Some((_, known)) => known.parts.append(&mut row.parts),
                None => patterns.push((id, row)),
            }
        }
        Ok(patterns.into_iter().map(|(_, row)| row).collect())
    }

    /// The measurements of a medium's sound.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn sound_of(&self, media: i64) -> Result<Option<SoundRow>> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT step_ticks, step_base, fields, windows FROM sounds WHERE media_id = ?1",
            )?
            .query_row([media], |row| {
                let fields = row.get_ref(2)?.as_str()?.split(',').map(str::to_owned).collect();
                Ok(SoundRow { step: time(row, 0)?, fields, values: vector(row, 3)? })
            })
            .optional()
        })
    }
}
