//! Patterns over time as rules in data: what is said together, in order, again, in answer, or at all.

mod find;
mod read;

pub(crate) use find::is_question;
pub use find::{Evidence, Part, Pattern, find};
pub use read::Selector;

use super::dictionary::{files, read_text};
use crate::error::Result;
use crate::time::Timestamp;
use serde::Serialize;
use std::path::Path;

/// A rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rule {
    /// Its name; found patterns carry it.
    pub name: String,
    /// The dictionary that it needs; without it, it is not applied.
    pub dictionary: Option<String>,
    /// What it looks for.
    #[serde(flatten)]
    pub kind: RuleKind,
    /// The line of its file that it stands on.
    #[serde(skip)]
    pub line: usize,
}

/// A step of a rule: any of these.
pub type Step = Vec<Selector>;

/// What a rule looks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum RuleKind {
    /// All of these within so much time, in any order.
    Together {
        /// What must be there.
        of: Vec<Step>,
        /// From the first one's beginning to the last one's end at most.
        within: Timestamp,
    },
    /// These one after the other.
    Sequence {
        /// What follows what.
        steps: Vec<Step>,
        /// From the first one's beginning to the last one's beginning at most.
        within: Timestamp,
    },
    /// A sentence that comes back in much the same meaning.
    Repeat {
        /// The least cosine of two sentences, 0 to 1.
        likeness: f32,
        /// How often it must be said.
        least: usize,
        /// How far two of them must lie apart.
        apart: Timestamp,
    },
    /// A question and the sentence that follows it.
    Answer {
        /// How soon it must follow.
        within: Timestamp,
    },
    /// Any of these.
    Mention {
        /// What is mentioned.
        any: Step,
    },
}

impl RuleKind {
    /// The lower-case word used in files, tables and JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Together { .. } => "together",
            Self::Sequence { .. } => "sequence",
            Self::Repeat { .. } => "repeat",
            Self::Answer { .. } => "answer",
            Self::Mention { .. } => "mention",
        }
    }
}

impl Rule {
    /// Reads the rules of a TOML file. `docs/insight.md` explains them.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Input`] that names the line.
    pub fn read(file: &Path) -> Result<Vec<Self>> {
        read_text(file).and_then(|text| Self::from_toml(&text)).map_err(|error| error.input(file))
    }

    /// Reads every `.toml` of `folder`, by name; none if it is missing.
    ///
    /// # Errors
    /// As [`Rule::read`].
    pub fn read_folder(folder: &Path) -> Result<Vec<Self>> {
        let mut rules = Vec::new();
        for file in files(folder, &["toml"])? {
            rules.extend(Self::read(&file)?);
        }
        Ok(rules)
    }

    /// The rules that come with the engine.
    ///
    /// # Errors
    /// None: a test reads them.
    pub fn bundled() -> Result<Vec<Self>> {
        let mut rules = Vec::new();
        for text in
            [include_str!("../data/rules/talk.toml"), include_str!("../data/rules/trading.toml")]
        {
            rules.extend(Self::from_toml(text)?);
        }
        Ok(rules)
    }
}
