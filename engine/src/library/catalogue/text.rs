//! Full text: what is said and what is written in the pictures, found by words.

use super::values::{maybe_span, maybe_time};
use super::{Catalogue, Scope};
use crate::error::Result;
use crate::time::Span;
use rusqlite::{Connection, named_params};
use std::num::NonZeroU32;

/// What to look for. Case and diacritics do not matter; words are runs of letters and digits
/// (SQLite's `unicode61`). Chinese, Japanese and Korean are found by any run of characters, since
/// nothing shows where their words end; Thai, Lao, Khmer and Burmese by whole runs only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextQuery {
    /// The words, as a person typed them; nothing in them is syntax.
    pub text: String,
    /// How they are to be found.
    pub matching: TextMatch,
    /// Whether the last word may be the beginning of one.
    pub prefix: bool,
    /// Where to look: speech, pictures or both.
    pub kinds: Vec<TextHitKind>,
    /// In which part of the library.
    pub scope: Scope,
    /// The most hits of each kind.
    pub limit: NonZeroU32,
}

impl TextQuery {
    /// The first 50 hits for any of the words in `text`, anywhere.
    pub fn any(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            matching: TextMatch::Any,
            prefix: false,
            kinds: vec![TextHitKind::Segment, TextHitKind::FrameText],
            scope: Scope::default(),
            limit: NonZeroU32::new(50).unwrap_or(NonZeroU32::MIN),
        }
    }
}

/// How words are to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextMatch {
    /// One of them is enough; more, and rarer ones, rank higher.
    Any,
    /// All of them, in any order.
    All,
    /// All of them, one after the other.
    Phrase,
}

/// What a text belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TextHitKind {
    /// A segment of a transcript.
    Segment,
    /// A text in a frame.
    FrameText,
}

/// A text that matches.
#[derive(Clone, Debug, PartialEq)]
pub struct TextHit {
    /// What it is.
    pub kind: TextHitKind,
    /// The number of the segment, or of the text in the frame.
    pub id: i64,
    /// The medium.
    pub media: i64,
    /// The frame, for a text in one.
    pub frame: Option<i64>,
    /// When it is heard; for a text in a frame, when it is to be read, where that is known.
    pub span: Option<Span>,
    /// Okapi BM25, higher is better; comparable within one kind.
    pub score: f64,
    /// The text.
    pub text: String,
    /// The words in it that matched, as they are written there, each once.
    pub matched: Vec<String>,
}

/// More words than this are left out: a query is a thought, not a book.
const MAX_TERMS: usize = 64;
/// A longer word is cut.
const MAX_TERM: usize = 256;
/// Put around what matched; no text of ours holds them, and if one does it is only cut oddly.
const MARKS: (char, char) = ('\u{2}', '\u{3}');

/// What the index puts behind a character that is a word of its own (schema-3.sql).
const BETWEEN: char = '\u{2063}';

/// Whether the index takes `c` for a word of its own: Han characters, kana, Hangul syllables. As in
/// schema-3.sql.
fn stands_alone(c: char) -> bool {
    matches!(c,
        '\u{3005}' | '\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3fffd}')
}

/// The words of `text` in FTS5's quotes, in which only `"` means something. A word without letters
/// and digits has nothing to be found by and is left out. Of characters that stand alone every two
/// neighbours are a term, where any term will do; otherwise all in a row are one.
fn terms(text: &str, any: bool) -> Vec<String> {
    let mut terms: Vec<String> = Vec::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        let letters: Vec<char> = word.chars().filter(|c| *c != '"').take(MAX_TERM).collect();
        let runs = letters.chunk_by(|a, b| !any || stands_alone(*a) == stands_alone(*b));
        for run in runs {
            let alone = any && run.first().is_some_and(|c| stands_alone(*c));
            let size = if alone && run.len() > 2 { 2 } else { run.len() };
            for part in run.windows(size.max(1)) {
                if !part.iter().any(|c| c.is_alphanumeric()) {
                    continue;
                }
                let quoted = format!("\"{}\"", spaced(part));
                if !terms.contains(&quoted) {
                    terms.push(quoted);
                }
                if terms.len() == MAX_TERMS {
                    return terms;
                }
            }
        }
    }
    terms
}

/// The characters as the index has them.
fn spaced(letters: &[char]) -> String {
    let mut out = String::with_capacity(letters.len());
    for (i, c) in letters.iter().enumerate() {
        let apart = |before: &char| stands_alone(*before) || stands_alone(*c);
        if i.checked_sub(1).and_then(|i| letters.get(i)).is_some_and(apart) {
            out.push(BETWEEN);
        }
        out.push(*c);
    }
    out
}

/// The query in FTS5's language (sqlite.org/fts5.html#full_text_query_syntax).
fn expression(query: &TextQuery) -> Option<String> {
    let mut terms = terms(&query.text, query.matching == TextMatch::Any);
    if query.prefix
        && let Some(last) = terms.last_mut()
    {
        last.push_str(" *");
    }
    let glue = match query.matching {
        TextMatch::Any => " OR ",
        TextMatch::All => " AND ",
        TextMatch::Phrase => " + ",
    };
    (!terms.is_empty()).then(|| terms.join(glue))
}

fn matched(marked: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for part in marked.split(MARKS.0).skip(1) {
        let word = part.split(MARKS.1).next().unwrap_or_default().replace(BETWEEN, "");
        if !word.is_empty() && !found.contains(&word) {
            found.push(word);
        }
    }
    found
}

impl Catalogue {
    /// The texts that match, those of each kind by score.
    ///
    /// # Errors
    /// As [`Catalogue::open`]; none for any text that a person may type.
    pub fn search_text(&self, query: &TextQuery) -> Result<Vec<TextHit>> {
        let Some(expression) = expression(query) else { return Ok(Vec::new()) };
        let mut kinds = query.kinds.clone();
        kinds.sort_unstable();
        kinds.dedup();
        self.read(|db| {
            let mut hits = Vec::new();
            for kind in kinds {
                hits.extend(search(db, query, kind, &expression)?);
            }
            Ok(hits)
        })
    }
}

fn search(
    db: &Connection,
    query: &TextQuery,
    kind: TextHitKind,
    expression: &str,
) -> rusqlite::Result<Vec<TextHit>> {
    // When it is heard or read, and when the frame is shown that it is in.
    let (table, frame, place, joined, language) = match kind {
        TextHitKind::Segment => (
            "segments",
            "NULL",
            "t.start_ticks, t.start_base, t.end_ticks, t.end_base, NULL, NULL",
            "",
            "t.language = :language",
        ),
        TextHitKind::FrameText => (
            "frame_texts",
            "t.frame_id",
            "coalesce(t.from_ticks, f.from_ticks), coalesce(t.from_base, f.from_base), \
             coalesce(t.until_ticks, f.until_ticks), coalesce(t.until_base, f.until_base), \
             f.time_ticks, f.time_base",
            "JOIN frames f ON f.id = t.frame_id",
            "EXISTS (SELECT 1 FROM transcripts s WHERE s.media_id = t.media_id \
             AND s.language = :language)",
        ),
    };
    let scope = &query.scope;
    let sql = format!(
        "SELECT t.id, t.media_id, {frame}, -bm25({table}_fts), t.text, \
         highlight({table}_fts, 0, :open, :close), {place} \
         FROM {table}_fts JOIN {table} t ON t.id = {table}_fts.rowid {joined} \
         WHERE {table}_fts MATCH :query \
         AND (:media IS NULL OR t.media_id IN (SELECT value FROM json_each(:media))) \
         AND (:language IS NULL OR {language}) \
         ORDER BY bm25({table}_fts), t.id LIMIT :limit"
    );
    let most = query.limit.get() as usize;
    // Exact times are compared here, so the rows are taken one after the other until it is enough.
    let limit = if scope.is_timed() { -1 } else { i64::from(query.limit.get()) };
    let mut find = db.prepare_cached(&sql)?;
    let mut rows = find.query(named_params! {
        ":open": MARKS.0.to_string(),
        ":close": MARKS.1.to_string(),
        ":query": expression,
        ":media": scope.media_list(),
        ":language": scope.language,
        ":limit": limit,
    })?;
    let mut hits = Vec::new();
    while let Some(row) = rows.next()? {
        let span = maybe_span(row, 6)?;
        let read = || -> rusqlite::Result<Option<Span>> {
            Ok(maybe_time(row, 10)?.map(|time| Span { start: time, end: time }))
        };
        let inside = match span {
            _ if !scope.is_timed() => true,
            Some(span) => scope.holds(span),
            None => read()?.is_some_and(|span| scope.holds(span)),
        };
        if !inside {
            continue;
        }
        hits.push(TextHit {
            kind,
            id: row.get(0)?,
            media: row.get(1)?,
            frame: row.get(2)?,
            span,
            score: row.get(3)?,
            text: row.get(4)?,
            matched: matched(row.get_ref(5)?.as_str()?),
        });
        if hits.len() == most {
            break;
        }
    }
    Ok(hits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_typed_is_syntax() {
        let terms = |text: &str| terms(text, true);
        assert_eq!(terms("it's a \"test\""), ["\"it's\"", "\"a\"", "\"test\""]);
        assert_eq!(
            terms("NEAR(a b) a*b col:x ^c"),
            ["\"NEAR(a\"", "\"b)\"", "\"a*b\"", "\"col:x\"", "\"^c\""]
        );
        assert!(terms("\" * \u{0} - 🎬 () ''").is_empty());
        assert_eq!(terms(&"x ".repeat(10_000)), ["\"x\""]);
        assert_eq!(terms(&"é".repeat(10_000))[0].chars().count(), MAX_TERM + 2);
        assert_eq!(matched("a \u{2}b\u{3} c \u{2}d\u{3} \u{2}b\u{3}"), ["b", "d"]);
    }
    #[test]
    fn characters_that_stand_alone_are_found_in_pairs_or_in_a_row() {
        let pairs = |text: &str| terms(text, true).join(" ").replace(BETWEEN, "|");
        assert_eq!(pairs("機械学習"), "\"機|械\" \"械|学\" \"学|習\"");
        assert_eq!(pairs("GPU加速 茶"), "\"GPU\" \"加|速\" \"茶\"");
        let rows = |text: &str| terms(text, false).join(" ").replace(BETWEEN, "|");
        assert_eq!(rows("GPU加速 タワー"), "\"GPU|加|速\" \"タ|ワ|ー\"");
        assert_eq!(matched("\u{2}机\u{2063}器\u{3}\u{2063}"), ["机器"]);
        assert_eq!(terms(&"学".repeat(10_000), false)[0].chars().count(), MAX_TERM * 2 + 1);
    }
}
