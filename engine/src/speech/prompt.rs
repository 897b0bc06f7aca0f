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

fn plain(text: &str) -> String {
    text.replace('\0', " ").trim().to_owned()
}

/// Whether `text` is nothing but what the decoder was given to read, four words of it or more: then
/// it is poor, however probable and however varied, until an attempt that has not read it says the
/// same. (tiny, five beams, a sentence 200 times over as the prompt: the sentence, not what is said.)
pub fn is_echoed(wanted: &Wanted, text: &str) -> bool {
    let text = text.trim();
    text.split_whitespace().count() >= 4
        && wanted.prompt.as_deref().is_some_and(|prompt| plain(prompt).contains(text))
}

/// Whether an attempt at this temperature reads what is expected. A chunk that comes out poor is tried
/// again without: what the decoder repeats may be what it was given to read, and that is probable at
/// any temperature. (OpenAI's `transcribe.py` and whisper.cpp forget it from 0.5 on.)
pub fn is_read_at(temperature: f32, wanted: &Wanted) -> bool {
    wanted.temperatures.first().is_none_or(|lowest| temperature <= *lowest)
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
    fn what_was_read_is_known_again() {
        let wanted = |prompt: &str| Wanted { prompt: Some(prompt.into()), ..Wanted::default() };
        let read = wanted("A speech by the President.\0".repeat(3).as_str());
        assert!(is_echoed(&read, " A speech by the President. A speech by the"));
        assert!(!is_echoed(&read, " A speech by a President."));
        // A few words may well be said again.
        assert!(!is_echoed(&read, " by the President") && !is_echoed(&read, ""));
        assert!(!is_echoed(&Wanted::default(), " A speech by the President."));
    }

    #[test]
    fn a_word_that_does_not_fit_is_left_out_whole() {
        let endless = "e".repeat(500);
        assert_eq!(said(&[endless.clone(), "Rushes".into()], None), " Rushes");
        let found = said(&[], Some(&endless));
        assert_eq!(found.len(), MOST_TOKENS);
    }
}
