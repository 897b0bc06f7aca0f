//! What is written in the frames that stand for shots, so that slides and signs are found.
//!
//! A line that is there in consecutive frames, give or take a character that was misread, is one
//! text with one span.

use super::NO_PICTURES;
use super::features::NAME as FEATURES;
use super::representatives::{Picture, look_at};
use crate::error::Result;
use crate::library::catalogue::rows::{FrameTextRow, RowRef, Rows};
use crate::pipeline::stage::{Begun, Film, FilmStage, Finished, ReadBy, StageInputs, StageWork};
use crate::time::Span;
use crate::vision::ocr::{Ocr, TextLine};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// See the module.
pub(in crate::pipeline) struct Writing<'s>(pub &'s Ocr);

impl FilmStage for Writing<'_> {
    fn name(&self) -> &'static str {
        "ocr"
    }

    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Value {
        json!({})
    }

    fn models(&self) -> BTreeMap<String, String> {
        let models = self.0.models();
        let roles = [("detector", &models.detector), ("recogniser", &models.recogniser)];
        let named = roles.map(|(role, m)| (role.to_owned(), format!("{} {}", m.name, m.digest)));
        named.into_iter().collect()
    }

    fn inputs(&self) -> StageInputs {
        StageInputs::Of(&[FEATURES])
    }

    fn is_long(&self) -> bool {
        true
    }

    fn begin<'a>(&'a self, film: &Film<'a>) -> Result<Begun<'a>> {
        if !film.has_video() {
            return Ok(Begun::Nothing(NO_PICTURES));
        }
        Ok(Begun::Work(Box::new(Work(self))))
    }
}

struct Work<'a>(&'a Writing<'a>);

impl StageWork for Work<'_> {
    fn finish(self: Box<Self>, film: &Film<'_>, _: &ReadBy<'_>) -> Result<Finished> {
        // One at a time: a picture of many lines takes a second.
        let looked = look_at(film, self.0, 1, |pictures| {
            pictures
                .into_iter()
                .map(|picture| {
                    let (width, height) = picture.dimensions();
                    let lines = self.0.0.read(picture, &film.run.cancel)?;
                    Ok(lines.into_iter().map(|line| Line::of(line, width, height)).collect())
                })
                .collect::<Result<Vec<Vec<Line>>>>()
        })?;
        let pictures = looked.pictures.len();
        let mut seen = Vec::new();
        for Picture { frames, found } in looked.pictures {
            for frame in &frames {
                let span =
                    frame.row.span.unwrap_or(Span { start: frame.row.time, end: frame.row.time });
                seen.extend(found.iter().map(|line| FrameTextRow {
                    frame: RowRef::Known(frame.id),
                    text: line.text.clone(),
                    confidence: line.confidence,
                    bounds: line.bounds,
                    span: Some(span),
                }));
            }
        }
        let lines = seen.len();
        let texts = joined(seen);
        let note = texts.is_empty().then(|| "nothing is written".to_owned());
        let summary = json!({
            "pictures": pictures, "lines": lines, "texts": texts.len(),
        });
        Ok(Finished { rows: Rows { texts, ..Rows::default() }, summary, note, then: looked.then })
    }
}

/// A line of text in a picture: text, how sure it is, and its bounds as shares of the picture.
#[derive(Clone, Serialize, Deserialize)]
struct Line {
    text: String,
    confidence: f32,
    bounds: [f32; 4],
}

impl Line {
    fn of(line: TextLine, width: u32, height: u32) -> Self {
        let bounds = line.quad.bounds(width, height);
        Self { text: line.text, confidence: line.probability, bounds }
    }
}

/// Joins texts of spans that touch: of the same words the surest one stays.
fn joined(mut seen: Vec<FrameTextRow>) -> Vec<FrameTextRow> {
    // Stable: lines of one frame stay in the order in which they are read.
    seen.sort_by_key(|text| text.span.map(|span| span.start));
    let mut texts: Vec<FrameTextRow> = Vec::new();
    // Those of which the last span may go on.
    let mut open: Vec<usize> = Vec::new();
    for text in seen {
        let Some(span) = text.span else { continue };
        open.retain(|i| texts[*i].span.is_some_and(|known| known.end >= span.start));
        let goes_on = open.iter().copied().find(|i| {
            let known = &texts[*i];
            known.span.is_some_and(|known| known.start < span.start && known.end == span.start)
                && nearly_equal(&known.text, &text.text)
        });
        match goes_on {
            Some(i) => {
                let from = texts[i].span.map_or(span.start, |known| known.start);
                let whole = Span::new(from, span.end);
                if text.confidence > texts[i].confidence {
                    texts[i] = text;
                }
                texts[i].span = whole;
            }
            None => {
                open.push(texts.len());
                texts.push(text);
            }
        }
    }
    texts
}

/// Whether two texts differ in at most a tenth of their characters (Levenshtein's distance), but
/// for case and spaces. Digits count: 10 and 11 are not nearly the same.
fn nearly_equal(a: &str, b: &str) -> bool {
    let plain = |text: &str| -> Vec<char> {
        text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
    };
    let digits =
        |text: &[char]| text.iter().copied().filter(|c| c.is_numeric()).collect::<Vec<_>>();
    let (a, b) = (plain(a), plain(b));
    let most = a.len().max(b.len()) / 10;
    if digits(&a) != digits(&b) || a.len().abs_diff(b.len()) > most {
        return false;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().is_some_and(|distance| *distance <= most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn text(frame: i64, from: i64, to: i64, text: &str, confidence: f32) -> FrameTextRow {
        FrameTextRow {
            frame: RowRef::Known(frame),
            text: text.to_owned(),
            confidence,
            bounds: [0.0; 4],
            span: Span::new(Timestamp::from_secs(from), Timestamp::from_secs(to)),
        }
    }

    #[test]
    fn a_line_that_stays_is_one_text() {
        let seen = vec![
            text(1, 0, 10, "Annual results", 0.9),
            text(1, 0, 10, "one", 0.9),
            text(2, 10, 20, "Annual resu1ts", 0.8),
            text(2, 10, 20, "Annuaal results", 0.95),
            text(2, 10, 20, "two", 0.9),
            text(3, 20, 30, "annual results", 0.7),
            text(4, 40, 50, "Annual results", 0.9),
        ];
        let texts = joined(seen);
        let told: Vec<_> = texts
            .iter()
            .map(|t| {
                (
                    t.text.as_str(),
                    t.span.unwrap().start.as_millis() / 1000,
                    t.span.unwrap().end.as_millis() / 1000,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("Annuaal results", 0, 30),
                ("one", 0, 10),
                ("Annual resu1ts", 10, 20),
                ("two", 10, 20),
                ("Annual results", 40, 50),
            ]
        );
    }

    #[test]
    fn digits_and_short_words_must_be_equal() {
        assert!(!nearly_equal("Quarterly report", "Quarterly  Rep0rt"));
        assert!(nearly_equal("Quarterly report", "quarterlyrepord"));
        for (a, b) in [("Chapter ten, page 10", "Chapter ten, page 11"), ("cat", "car"), ("", "a")]
        {
            assert!(!nearly_equal(a, b), "{a} {b}");
        }
        assert!(nearly_equal("", ""));
    }
}
