//! What matters in a film: terms, concepts, chapters and patterns out of what is said and written; clips,
//! what they are like, and what that is worth.
//!
//! All of it works on rows of the library and on data (dictionaries, rules, scores); nothing here reads
//! media, but [`sound::SoundMeter`] listens while the pipeline does.
//! [`Insight`] is the way in; the stage `insight` of the pipeline stores what it finds.

mod analysis;
pub mod chapters;
pub mod clips;
pub mod dictionary;
pub mod entities;
pub mod fuzzy;
pub mod matcher;
pub mod numerals;
pub mod passage;
pub mod phrases;
pub mod rules;
pub mod sentences;
pub mod sentiment;
pub mod sound;
mod stopwords;
mod title;
pub mod topics;
pub mod winners;
pub mod words;

pub use analysis::{DICTIONARIES, Findings, Heard, Insight, RULES};
pub use stopwords::stopwords;

#[cfg(test)]
mod golden_tests;
