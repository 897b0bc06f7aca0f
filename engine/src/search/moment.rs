//! What a question is answered with.

use crate::time::Span;
use serde::Serialize;

/// Why a moment answers a question.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "how", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Reason {
    /// Words of the question are said.
    Said {
        /// The words, as the transcript has them.
        words: Vec<String>,
        /// The text around them.
        text: String,
    },
    /// What is said means much the same.
    Meant {
        /// Cosine of both meanings, −1 to 1.
        likeness: f32,
        /// What is said.
        text: String,
    },
    /// Words of the question are to be read in the picture.
    Written {
        /// The words, as they are written.
        words: Vec<String>,
        /// The text in the picture.
        text: String,
    },
    /// What is shown is called much the same.
    Shown {
        /// What it is called.
        label: String,
        /// How likely it is shown, 0 to 1.
        probability: f64,
        /// Cosine of name and question.
        likeness: f32,
        /// The picture's path in the library, where it was kept.
        picture: Option<String>,
    },
    /// It looks much the same.
    Looks {
        /// Cosine of both pictures (or, with a joint model, of question and picture), −1 to 1.
        likeness: f32,
        /// The picture's path in the library, where it was kept.
        picture: Option<String>,
    },
}

/// A moment of a film.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hit {
    /// The film's number in the catalogue.
    pub media: i64,
    /// The name of its file.
    pub name: String,
    /// Where it was last seen; empty where no path is known any more.
    pub path: String,
    /// Its folder in the library.
    pub folder: String,
    /// When, half-open.
    pub span: Span,
    /// Higher is better; of use only beside the other hits of the same question.
    pub score: f64,
    /// Why, the weightiest reason first.
    pub why: Vec<Reason>,
}
