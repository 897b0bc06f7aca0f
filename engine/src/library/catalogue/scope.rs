//! Which part of a library is asked about.

use super::values::{maybe_span, maybe_time};
use crate::time::{Span, Timestamp};
use rusqlite::Row;

/// Which part of a library is asked about; all of it by default. What is outside is left out before
/// anything is counted, so that a limit is met as long as there is enough inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only these films; all of them with `None`, none of them with an empty list.
    pub media: Option<Vec<i64>>,
    /// Only what is said in this language (ISO 639); of what is shown, only what is in films where
    /// mostly this language is spoken.
    pub language: Option<String>,
    /// Only what goes on at or after this time of its film.
    pub from: Option<Timestamp>,
    /// Only what has begun before this time of its film.
    pub to: Option<Timestamp>,
}

impl Scope {
    /// Only these films.
    pub fn films(media: impl Into<Vec<i64>>) -> Self {
        Self { media: Some(media.into()), ..Self::default() }
    }

    /// Whether nothing is outside.
    pub fn is_all(&self) -> bool {
        self.media.is_none() && self.language.is_none() && !self.is_timed()
    }

    /// Whether times matter.
    pub fn is_timed(&self) -> bool {
        self.from.is_some() || self.to.is_some()
    }

    /// Whether any of `span` lies inside; a moment without length does if it is inside itself.
    pub fn holds(&self, span: Span) -> bool {
        let ends = self.from.is_none_or(|from| span.end > from || span.start >= from);
        ends && self.to.is_none_or(|to| span.start < to)
    }

    /// The part of `span` that lies inside, for one that [`Scope::holds`].
    pub fn cut(&self, span: Span) -> Span {
        let start = self.from.map_or(span.start, |from| span.start.max(from));
        let end = self.to.map_or(span.end, |to| span.end.min(to));
        Span::new(start, end).unwrap_or(span)
    }

    /// The films as a list in JSON, which keeps a statement the same for any number of them.
    pub(super) fn media_list(&self) -> Option<String> {
        self.media.as_ref().and_then(|media| serde_json::to_string(media).ok())
    }

    /// Whether a frame is inside: its time, then the span that it stands for, from column `at` on.
    pub(super) fn holds_frame(&self, row: &Row<'_>, at: usize) -> rusqlite::Result<bool> {
        let span = maybe_span(row, at + 2)?;
        let time = || maybe_time(row, at);
        Ok(match span {
            Some(span) => self.holds(span),
            None => time()?.is_some_and(|time| self.holds(Span { start: time, end: time })),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(a: i64, b: i64) -> Span {
        Span { start: Timestamp::from_secs(a), end: Timestamp::from_secs(b) }
    }

    #[test]
    fn spans_that_touch_the_edges_are_outside() {
        let scope = Scope {
            from: Some(Timestamp::from_secs(10)),
            to: Some(Timestamp::from_secs(20)),
            ..Scope::default()
        };
        for (a, b, inside) in [
            (0, 10, false),
            (0, 11, true),
            (10, 10, true),
            (12, 14, true),
            (19, 30, true),
            (20, 30, false),
            (20, 20, false),
            (9, 9, false),
        ] {
            assert_eq!(scope.holds(span(a, b)), inside, "{a} {b}");
        }
        assert_eq!(scope.cut(span(0, 40)), span(10, 20));
        assert_eq!(scope.cut(span(12, 40)), span(12, 20));
        assert!(Scope::default().is_all() && !scope.is_all() && !Scope::films([]).is_all());
    }
}
