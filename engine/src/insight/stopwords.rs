//! Words that say nothing by themselves, by language.

use super::words::fold;
use std::collections::HashSet;

/// The lists, written for the engine.
const LISTS: [(&str, &str); 4] = [
    ("de", include_str!("data/stopwords/de.txt")),
    ("en", include_str!("data/stopwords/en.txt")),
    ("es", include_str!("data/stopwords/es.txt")),
    ("fr", include_str!("data/stopwords/fr.txt")),
];

/// The folded stop words of a language (ISO 639-1); none for one without a list.
pub fn stopwords(language: &str) -> HashSet<String> {
    let list = LISTS.iter().find(|(code, _)| *code == language).map_or("", |(_, list)| list);
    list.split_ascii_whitespace().map(fold).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn lists_are_folded_like_texts() {
        assert!(super::stopwords("en").contains("don't"));
        assert!(super::stopwords("de").contains("fur"));
        assert!(super::stopwords("xx").is_empty());
    }
}
