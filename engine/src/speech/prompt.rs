//! What a recogniser reads before a chunk: words to expect, and text in whose style and spelling it
//! goes on. One rule for every recogniser, whatever its tokens are.

use super::recogniser::Wanted;

/// Tokens at most: half of Whisper's context of 448, less the mark before them.
pub const MOST_TOKENS: usize = 223;

/// The tokens before a chunk, by `encode`, which spells a text that begins with a space or a comma.
///
/// Expected words come first, then the text: what is nearest to the chunk weighs most. Where both
/// are too long for [`MOST_TOKENS`], each has half for sure, and what the other leaves. Of the words
/// the first are kept, each whole; of the text the end.
///
/// # Errors
/// Those of `encode`.
pub fn before<T: Copy, E>(
    wanted: &Wanted,
    mut encode: impl FnMut(&str) -> Result<Vec<T>, E>,
) -> Result<Vec<T>, E> {
    let plain = |text: &str| text.replace('\0', " ").trim().to_owned();
    let text = plain(wanted.prompt.as_deref().unwrap_or(""));
    let text = if text.is_empty() { Vec::new() } else { encode(&format!(" {text}"))? };
    let room = MOST_TOKENS - text.len().min(MOST_TOKENS - MOST_TOKENS / 2);
    let mut all = Vec::new();
    for word in wanted.hotwords.iter().map(|word| plain(word)).filter(|word| !word.is_empty()) {
        let comma = if all.is_empty() { "" } else { "," };
        let word = encode(&format!("{comma} {word}"))?;
        if all.len() + word.len() <= room {
            all.extend(word);
        }
    }
    let from = text.len().saturating_sub(MOST_TOKENS - all.len());
    all.extend_from_slice(&text[from..]);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each character a token.
    fn said(hotwords: &[String], prompt: Option<&str>) -> String {
        let wanted = Wanted {
            hotwords: hotwords.to_vec(),
            prompt: prompt.map(str::to_owned),
            ..Wanted::default()
        };
        let found = before(&wanted, |text| Ok::<_, ()>(text.chars().collect::<Vec<char>>()));
        found.unwrap().into_iter().collect()
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn words_come_first_and_the_text_last() {
        assert_eq!(said(&[], None), "");
        assert_eq!(said(&words(&[" Rushes", "", "FFm\0peg "]), None), " Rushes, FFm peg");
        assert_eq!(said(&words(&["Rushes"]), Some(" Good day. ")), " Rushes Good day.");
        assert_eq!(said(&[], Some("\0 ")), "");
    }

    #[test]
    fn a_long_text_leaves_half_to_the_words() {
        let text = format!("{}the end", "on and ".repeat(100));
        let many: Vec<String> = (10..60).map(|n| format!("word{n}")).collect();
        let found = said(&many, Some(&text));
        assert_eq!(found.chars().count(), MOST_TOKENS);
        // Eight characters each, commas and spaces included, but seven for the first: 111 hold 14.
        assert!(found.starts_with(" word10, word11"), "{found}");
        assert!(found.contains(", word22") && !found.contains("word24"), "{found}");
        assert!(found.ends_with("the end"));
        // Few words leave more to the text, and a short text to the words.
        let found = said(&many[..1], Some(&text));
        assert_eq!(found.chars().count(), MOST_TOKENS);
        assert!(found.starts_with(" word10"));
        let found = said(&many, Some("Hm."));
        assert!(found.contains(", word36") && found.ends_with(" Hm."), "{found}");
    }

    #[test]
    fn a_word_that_does_not_fit_is_left_out_whole() {
        let endless = "e".repeat(500);
        assert_eq!(said(&[endless.clone(), "Rushes".into()], None), " Rushes");
        let found = said(&[], Some(&endless));
        assert_eq!(found.len(), MOST_TOKENS);
    }
}
