//! What matters in a film: terms, concepts, chapters and patterns out of what is said and written.
//!
//! All of it works on rows of the library and on data (dictionaries, rules); nothing here reads media.
//! [`Insight`] is the way in; the stage `insight` of the pipeline stores what it finds.

mod analysis;
pub mod chapters;
pub mod dictionary;
pub mod entities;
pub mod fuzzy;
pub mod matcher;
pub mod numerals;
pub mod passage;
pub mod phrases;
pub mod rules;
pub mod sentences;
mod stopwords;
mod title;
pub mod topics;
pub mod words;

pub use analysis::{DICTIONARIES, Findings, Heard, Insight, RULES};
pub use stopwords::stopwords;
