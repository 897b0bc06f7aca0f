//! What the library knows of a film, as far as clips are concerned.

use super::super::analysis::Heard;
use super::super::passage::Passage;
use super::super::sentences::{Sentence, sentences};
use super::super::sound::Window;
use super::super::stopwords::stopwords;
use crate::error::Result;
use crate::library::Catalogue;
use crate::library::catalogue::insight::InsightRows;
use crate::library::catalogue::rows::{Owner, RowRef};
use crate::time::{Span, Timestamp};
use std::collections::HashMap;

/// A shot and what it looks like.
#[derive(Clone, Debug, PartialEq)]
pub struct ShotLook {
    /// When it is shown.
    pub span: Span,
    /// Measured properties by name.
    pub values: HashMap<String, f64>,
}

/// A line of text in pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// When it is to be read.
    pub span: Span,
    /// The text.
    pub text: String,
    /// The share of the picture that it takes, 0 to 1.
    pub area: f64,
}

/// A film.
#[derive(Clone, Debug)]
pub struct FilmData {
    /// How long it is.
    pub length: Timestamp,
    /// What is said and written.
    pub passages: Vec<Passage>,
    /// What is said, sentence by sentence.
    pub sentences: Vec<Sentence>,
    /// Terms, concepts, chapters, patterns.
    pub insight: InsightRows,
    /// Its shots.
    pub shots: Vec<ShotLook>,
    /// Text in its pictures.
    pub lines: Vec<Line>,
    /// Its sound in windows of [`super::super::sound::STEP`].
    pub sound: Vec<Window>,
}

impl FilmData {
    /// Out of a library.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn of(catalogue: &Catalogue, media: i64) -> Result<Self> {
        let Heard { passages, vectors, length } = Heard::of(catalogue, media)?;
        let sentences = sentences(&passages, &vectors, stopwords);
        let mut looks: HashMap<i64, HashMap<String, f64>> = HashMap::new();
        for row in catalogue.features_of(media)? {
            if let Owner::Shot(RowRef::Known(id)) = row.owner {
                looks.entry(id).or_default().insert(row.name, row.value);
            }
        }
        let shots = catalogue.shots_of(media)?.into_iter().map(|shot| ShotLook {
            span: shot.row.span,
            values: looks.remove(&shot.id).unwrap_or_default(),
        });
        let lines = catalogue.texts_of(media)?.into_iter().filter_map(|line| {
            let [_, _, width, height] = line.row.bounds.map(f64::from);
            Some(Line { span: line.row.span?, text: line.row.text, area: width * height })
        });
        let sound = catalogue.sound_of(media)?.map(|row| Window::of(&row)).unwrap_or_default();
        let shots: Vec<ShotLook> = shots.collect();
        let said = sentences.last().map(|s| s.span.end);
        let shown = shots.last().map(|s| s.span.end);
        let length = length.or(said.max(shown)).unwrap_or(Timestamp::ZERO);
        Ok(Self {
            length,
            passages,
            sentences,
            insight: InsightRows::of(catalogue, media)?,
            shots,
            lines: lines.collect(),
            sound,
        })
    }
}
