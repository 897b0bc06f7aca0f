//! The features of clips: their names, units and what they say. `docs/insight.md` has the same list.

use serde::Serialize;

/// A feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Feature {
    /// Its name, in the library and in scores.
    pub name: &'static str,
    /// Its unit; `share` is 0 to 1, `flag` 0 or 1.
    pub unit: &'static str,
    /// What it says.
    pub about: &'static str,
}

const fn f(name: &'static str, unit: &'static str, about: &'static str) -> Feature {
    Feature { name, unit, about }
}

/// All of them. Besides, `keywords:CATEGORY` holds the weight per 100 words of the terms of each category.
pub const FEATURES: [Feature; 66] = [
    // Place
    f("duration", "s", "how long it is"),
    f("position", "share", "where its middle lies in the film"),
    f("starts_sentence", "flag", "whether its first word begins a sentence"),
    f("ends_sentence", "flag", "whether its last word ends one"),
    f("starts_chapter", "flag", "whether a chapter begins within 3 s of its beginning"),
    // What is said
    f("words", "words", "words that are said"),
    f("speech_rate", "words/min", "words over its length"),
    f("articulation_rate", "words/min", "words over the time in which words are heard"),
    f("speech_share", "share", "of its time in which words are heard"),
    f("pauses", "count", "gaps of 0.3 s or more between words"),
    f("longest_pause", "s", "the longest of them; 0 without"),
    f("mean_pause", "s", "their mean; 0 without"),
    f("first_word", "s", "from its beginning to the first word"),
    f("sentences", "count", "sentences that begin in it"),
    f("sentence_words", "words", "words of a sentence on average"),
    f("different_words", "share", "of its words that differ (stems)"),
    f("word_letters", "letters", "letters of a word on average"),
    f("stop_words", "share", "of its words that say nothing by themselves"),
    f("fillers", "share", "of its words that fill time: um, uh, basically"),
    f("confidence", "share", "mean probability of its words, as recognised"),
    f("confidence_least", "share", "the least of them"),
    f("questions", "share", "of its sentences that ask"),
    f("exclamations", "share", "of its sentences that end in !"),
    f("you", "share", "of its words that speak to the listener"),
    f("i", "share", "of its words that speak of the speaker"),
    f("numbers", "per 100 words", "amounts, dates, percentages and other numbers"),
    f("sentiment", "-1 to 1", "feeling of its words by a lexicon"),
    f("sentiment_strength", "share", "how strong its words feel, whichever way, by word, over 3"),
    f("sentiment_change", "-2 to 2", "sentiment of its second half less that of its first"),
    // What it sounds like
    f("loudness", "LUFS", "mean momentary loudness, by power, of what is not silent"),
    f("loudness_range", "LU", "from its 10th to its 95th percentile"),
    f("loudness_relative", "LU", "against the film"),
    f("peak", "dBFS", "its highest sample"),
    f("crest", "dB", "peak over level: how much is punch"),
    f("energy_change", "dB", "level of its second half less that of its first"),
    f("opening_loudness", "LU", "its first 3 s against all of it"),
    f("silence_share", "share", "of its windows below -50 LUFS"),
    f("pitch", "Hz", "median pitch of voices"),
    f("pitch_range", "semitones", "from the 10th to the 90th percentile of pitch"),
    f("voiced_share", "share", "of its windows that have a pitch"),
    f("tone", "Hz", "centre of its spectrum"),
    f("noisiness", "share", "flatness of its spectrum: 1 for noise"),
    f("modulation", "dB", "how much the level moves within a quarter of a second"),
    f(
        "music_share",
        "share",
        "of its windows that are tonal, steady and without words (an estimate)",
    ),
    // What matters
    f("keywords", "per 100 words", "weight of the terms that are said"),
    f("keyword_categories", "count", "categories that its terms are of"),
    f("keywords_written", "count", "terms that are written in its pictures"),
    f("key_phrases", "per 100 words", "key phrases of the film that are said"),
    f("patterns", "count", "patterns that begin in it"),
    f("calls_to_action", "count", "of these, calls to action"),
    f("answers", "count", "of these, questions with an answer"),
    f("repeated_claims", "count", "claims in it that the film repeats"),
    // What it means
    f("novelty", "0 to 2", "1 less the cosine to all that is said before it"),
    f("centrality", "-1 to 1", "cosine to all that is said in the film"),
    f("coherence", "-1 to 1", "mean cosine of its sentences to their next"),
    // What it looks like
    f("shots", "count", "shots that are shown"),
    f("shot_rate", "per min", "cuts over its length"),
    f("longest_shot", "s", "the longest stretch without a cut"),
    f("motion", "0 to 1", "how much changes from sample to sample, by shots"),
    f("brightness", "0 to 1", "mean luma, by shots"),
    f("contrast", "0 to 1", "spread of luma, by shots"),
    f("colourfulness", "from 0", "by Hasler and Suesstrunk, by shots"),
    f("sharpness", "from 0", "variance of the Laplacian, by shots"),
    f("text_lines", "count", "different lines to be read"),
    f("text_letters", "letters/s", "letters to be read over its length"),
    f("text_area", "share", "of the picture that text takes, over its length"),
];

/// The feature of a name; those of categories have none.
pub fn feature(name: &str) -> Option<&'static Feature> {
    FEATURES.iter().find(|feature| feature.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_there_once_and_the_docs_have_them_all() {
        let names: BTreeSet<&str> = FEATURES.iter().map(|feature| feature.name).collect();
        assert_eq!(names.len(), FEATURES.len());
        let docs = include_str!("../../../../docs/insight.md");
        for Feature { name, unit, about } in FEATURES {
            let row = format!("| `{name}` | {unit} | {about} |");
            assert!(docs.contains(&row), "docs/insight.md lacks\n{row}");
        }
    }
}
