//! Dictionaries: the terms that matter in a field, as data.

mod bundled;
mod csv;
mod read;

pub use bundled::{BUNDLED, bundled};

use crate::error::{Error, ErrorKind, Result, Stage};
use serde::Serialize;
use std::path::Path;

/// The most terms that a dictionary may have, all forms counted.
pub const MAX_FORMS: usize = 200_000;
/// The most bytes of its file.
pub const MAX_BYTES: u64 = 32 << 20;
/// The most words of a form.
pub const MAX_WORDS: usize = 12;

/// How a form is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Matching {
    /// By the stems of its words: `trendline` finds `trendlines`.
    Stem,
    /// As it is written, but in any case.
    Exact,
    /// As it is written: `MA` is no part of a mother.
    Case,
}

/// One way to say a term.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Form {
    /// The text.
    pub text: String,
    /// How it is found.
    pub matching: Matching,
}

/// A term.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Term {
    /// What it is called, whatever form was found.
    pub term: String,
    /// The category that it belongs to.
    pub category: String,
    /// The dictionary that it is from.
    pub dictionary: String,
    /// The language of its forms (ISO 639-1); `None` for all.
    pub language: Option<String>,
    /// How much a mention of it counts, more than 0 and at most 100.
    pub weight: f64,
    /// The ways to say it; the first is its name.
    pub forms: Vec<Form>,
    /// The line of the dictionary's file that it stands on.
    #[serde(skip)]
    pub line: usize,
}

/// A dictionary.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dictionary {
    /// Its name.
    pub name: String,
    /// Its terms, in the order of its file.
    pub terms: Vec<Term>,
}

impl Dictionary {
    /// Reads `file`: TOML, or CSV where its name ends in `.csv`. `docs/insight.md` has both forms.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] that names the line; [`ErrorKind::Limit`] for one that is too large.
    pub fn read(file: &Path) -> Result<Self> {
        let text = read_text(file)?;
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_csv = file.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
        let made = if is_csv { Self::from_csv(&stem, &text) } else { Self::from_toml(&text) };
        made.map_err(|error| error.input(file))
    }

    /// Reads every `.toml` and `.csv` of `folder`, in the order of their names; none if it is missing.
    ///
    /// # Errors
    /// As [`Dictionary::read`]; I/O failures.
    pub fn read_folder(folder: &Path) -> Result<Vec<Self>> {
        files(folder, &["toml", "csv"])?.iter().map(|file| Self::read(file)).collect()
    }
}

/// The text of a data file within the limits.
pub(super) fn read_text(file: &Path) -> Result<String> {
    let io = |e| Error::io(Stage::Insight, file, e);
    let size = std::fs::metadata(file).map_err(io)?.len();
    if size > MAX_BYTES {
        let message = format!("is larger than {} MiB", MAX_BYTES >> 20);
        return Err(Error::new(ErrorKind::Limit, Stage::Insight, message).input(file));
    }
    let bytes = std::fs::read(file).map_err(io)?;
    String::from_utf8(bytes).map_err(|e| {
        let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        wrong(line, "is not UTF-8").input(file)
    })
}

/// The files in `folder` with one of `endings`, by name; none if there is no such folder.
pub(super) fn files(folder: &Path, endings: &[&str]) -> Result<Vec<std::path::PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|e| Error::io(Stage::Insight, folder, e))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Error::io(Stage::Insight, folder, e))?.path();
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if endings.iter().any(|known| known.eq_ignore_ascii_case(ending)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What is wrong on a line of a data file.
pub(super) fn wrong(line: usize, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Input, Stage::Insight, format!("line {line}: {what}"))
        .hint("docs/insight.md explains dictionaries, rules and scores")
}

/// The line, from 1, of a byte of `text`.
pub(super) fn line_of(text: &str, byte: usize) -> usize {
    let end = byte.min(text.len());
    text.as_bytes()[..end].iter().filter(|b| **b == b'\n').count() + 1
}

/// What TOML's reader says, with the line.
pub(super) fn toml_error(text: &str, error: &toml::de::Error) -> Error {
    let line = error.span().map_or(1, |span| line_of(text, span.start));
    wrong(line, error.message())
}
