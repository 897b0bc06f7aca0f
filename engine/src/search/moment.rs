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

/// A way from a question to a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Its words are said.
    Said,
    /// What is said means much the same.
    Meant,
    /// Its words are to be read in the picture.
    Written,
    /// What is shown is called so, or looks so.
    Shown,
}

/// The same moment in another film of the library: a copy that was cut or encoded anew.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Also {
    /// The film's number in the catalogue.
    pub media: i64,
    /// The name of its file.
    pub name: String,
    /// Where it was last seen; empty where no path is known any more.
    pub path: String,
    /// When, half-open.
    pub span: Span,
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
    /// When, half-open: it begins and ends where words and shots do.
    pub span: Span,
    /// Higher is better; of use only beside the other hits of the same question.
    pub score: f64,
    /// Why, the weightiest reason first.
    pub why: Vec<Reason>,
    /// Where the same is said and shown in other films, which are no hits of their own.
    pub also: Vec<Also>,
}
