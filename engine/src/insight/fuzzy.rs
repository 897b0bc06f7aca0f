//! Words within one edit of known ones, for what a recogniser misheard or misread.
//!
//! An edit is a letter put in, left out, replaced, or two neighbours exchanged (Damerau). Candidates are
//! looked up by deletions on both sides (Garbe's symmetric delete), so the time does not depend on how
//! many words are known.

use std::collections::HashMap;

/// Shorter words have too many neighbours.
pub const LEAST_LETTERS: usize = 5;

/// Known words, to be found within one edit.
#[derive(Debug, Default)]
pub struct NearWords {
    words: Vec<Box<str>>,
    by_deletion: HashMap<Box<str>, Vec<u32>>,
}

impl NearWords {
    /// Takes the words that are long enough, without digits; the first letter must be heard right.
    pub fn new<'w>(words: impl IntoIterator<Item = &'w str>) -> Self {
        let mut near = Self::default();
        for word in words {
            if word.chars().count() < LEAST_LETTERS || word.chars().any(|c| !c.is_alphabetic()) {
                continue;
            }
            let Ok(number) = u32::try_from(near.words.len()) else { break };
            near.words.push(word.into());
            for key in deletions(word).chain([word.to_owned()]) {
                let list = near.by_deletion.entry(key.into_boxed_str()).or_default();
                if list.last() != Some(&number) {
                    list.push(number);
                }
            }
        }
        near
    }

    /// The known word within one edit of `heard`; `None` for several, for none, and for a known one.
    pub fn find(&self, heard: &str) -> Option<&str> {
        if heard.chars().count() < LEAST_LETTERS || heard.chars().any(|c| !c.is_alphabetic()) {
            return None;
        }
        let first = heard.chars().next();
        let mut found: Option<&str> = None;
        for key in deletions(heard).chain([heard.to_owned()]) {
            for number in self.by_deletion.get(key.as_str()).into_iter().flatten() {
                let word = self.words.get(*number as usize).map_or("", |word| word);
                if found == Some(word) || word.chars().next() != first || !is_one_edit(heard, word)
                {
                    continue;
                }
                if found.is_some() {
                    return None;
                }
                found = Some(word);
            }
        }
        found
    }
}

/// `word` with each of its letters left out in turn.
fn deletions(word: &str) -> impl Iterator<Item = String> + '_ {
    word.char_indices().map(|(at, letter)| {
        let mut shorter = String::with_capacity(word.len());
        shorter.push_str(&word[..at]);
        shorter.push_str(&word[at + letter.len_utf8()..]);
        shorter
    })
}

/// Whether exactly one edit lies between `a` and `b`.
pub fn is_one_edit(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a == b || a.len().abs_diff(b.len()) > 1 {
        return false;
    }
    let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let (rest_a, rest_b) = (&a[same..], &b[same..]);
    let swapped = rest_a.len() >= 2
        && rest_b.len() == rest_a.len()
        && (rest_a[0], rest_a[1]) == (rest_b[1], rest_b[0])
        && rest_a[2..] == rest_b[2..];
    match a.len().cmp(&b.len()) {
        std::cmp::Ordering::Equal => rest_a[1..] == rest_b[1..] || swapped,
        std::cmp::Ordering::Less => *rest_a == rest_b[1..],
        std::cmp::Ordering::Greater => rest_a[1..] == *rest_b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_edit_and_no_more() {
        for (a, b) in
            [("abcd", "abd"), ("abd", "abcd"), ("abcd", "axcd"), ("abcd", "bacd"), ("é", "")]
        {
            assert!(is_one_edit(a, b) && is_one_edit(b, a), "{a} {b}");
        }
        for (a, b) in
            [("abcd", "abcd"), ("abcd", "badc"), ("abcd", "ab"), ("abcd", "axyd"), ("", "")]
        {
            assert!(!is_one_edit(a, b) && !is_one_edit(b, a), "{a} {b}");
        }
    }

    #[test]
    fn a_misheard_word_is_found_if_there_is_no_doubt() {
        let near =
            NearWords::new(["support", "resistance", "signal", "signals", "stop", "option2"]);
        assert_eq!(near.find("suport"), Some("support"));
        assert_eq!(near.find("resistence"), Some("resistance"));
        assert_eq!(near.find("resitsance"), Some("resistance"));
        assert_eq!(near.find("zupport"), None);
        assert_eq!(near.find("support"), None);
        // Between two, and too short.
        assert_eq!(near.find("signale"), None);
        assert_eq!(near.find("stob"), None);
    }

    proptest! {
        #[test]
        fn every_edit_behind_the_first_letter_is_found(word in "[a-f]{6,12}", at in 1_usize..12, with in "[g-z]") {
            let near = NearWords::new([word.as_str()]);
            let at = at.min(word.len() - 1);
            let replaced = format!("{}{with}{}", &word[..at], &word[at + 1..]);
            prop_assert_eq!(near.find(&replaced), Some(word.as_str()));
            let added = format!("{}{with}{}", &word[..at], &word[at..]);
            prop_assert_eq!(near.find(&added), Some(word.as_str()));
            let left_out = format!("{}{}", &word[..at], &word[at + 1..]);
            prop_assert_eq!(near.find(&left_out), Some(word.as_str()));
        }
    }
}
