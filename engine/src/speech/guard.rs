//! What a recogniser says is not always what was said: which pieces of text to drop, to cut or to
//! doubt.
//!
//! Nothing goes unseen: whatever is taken out comes back with its reason.

use super::fallback::is_silence;
use super::recogniser::{Piece, PieceWord, Recognised, SAMPLE_RATE, Wanted};
use super::transcript::Doubt;
use std::ops::Range;

/// A piece that stays.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The piece, cut where it looped.
    pub piece: Piece,
    /// Why not to rely on it.
    pub doubt: Option<Doubt>,
}

/// Text that was taken out.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    /// Where it was said to be, in samples from the chunk's start.
    pub samples: Range<u32>,
    /// The text.
    pub text: String,
    /// The reason.
    pub why: Doubt,
}

/// Looks at what was recognised of one chunk.
///
/// - A chunk that is silence by [`is_silence`], a piece that the recogniser takes for it, and text
///   that is no speech by its own account (`[Music]`, `♪`), is dropped.
/// - Where the same words follow each other again and again, once is kept. A chunk whose text
///   compresses too well after all temperatures, without such a place, is doubtful.
/// - Text that the model itself finds improbable is doubtful.
pub fn judge(found: Recognised, wanted: &Wanted) -> (Vec<Kept>, Vec<Cut>) {
    let (mut kept, mut cuts) = (Vec::new(), Vec::new());
    let silent = is_silence(wanted, mean_logprob(&found.pieces), found.no_speech_prob);
    let loops = found.compression_ratio > wanted.compression_threshold;
    let mut cut_some = false;
    let spaced = super::words::has_spaces(&found.language);
    let mut pieces = Vec::new();
    for piece in found.pieces {
        if piece.text.trim().is_empty() {
            continue;
        }
        if silent || piece.silent || is_no_speech(&piece.text) {
            cuts.push(Cut { samples: piece.samples, text: piece.text, why: Doubt::NoSpeech });
        } else {
            pieces.push(piece);
        }
    }
    let tokens: Vec<Vec<String>> = pieces.iter().map(|p| split(&p.text, spaced)).collect();
    let mut marks = repeated(&tokens.iter().flatten().map(|t| normal(t)).collect::<Vec<_>>());
    for (piece, tokens) in pieces.into_iter().zip(tokens) {
        let rest = marks.split_off(tokens.len().min(marks.len()));
        let marked = std::mem::replace(&mut marks, rest);
        if !marked.contains(&true) {
            let doubtful =
                piece.avg_logprob.is_nan() || piece.avg_logprob < wanted.logprob_threshold;
            kept.push(Kept { piece, doubt: doubtful.then_some(Doubt::LowProbability) });
            continue;
        }
        cut_some = true;
        let (piece, cut) = without(piece, &tokens, &marked, spaced);
        cuts.push(cut);
        kept.extend(piece.map(|piece| Kept { piece, doubt: None }));
    }
    if loops && !cut_some {
        for kept in &mut kept {
            kept.doubt = Some(Doubt::Loop);
        }
    }
    (kept, cuts)
}

/// The mean log probability of all tokens, but for those that are known to be of silence.
fn mean_logprob(pieces: &[Piece]) -> f32 {
    let heard = || pieces.iter().filter(|piece| !piece.silent);
    let weight = |piece: &Piece| piece.tokens.len().max(1) as f32;
    let all: f32 = heard().map(weight).sum();
    let sum: f32 = heard().map(|piece| piece.avg_logprob * weight(piece)).sum();
    if all > 0.0 { sum / all } else { f32::NEG_INFINITY }
}

/// Whether a text says itself that it is none: only notes, dots, or what is in brackets.
fn is_no_speech(text: &str) -> bool {
    let text = text.trim();
    let enclosed = [('[', ']'), ('(', ')'), ('*', '*'), ('（', '）'), ('【', '】')].iter().any(
        |(open, close)| {
            text.strip_prefix(*open)
                .and_then(|rest| rest.strip_suffix(*close))
                .is_some_and(|inside| !inside.contains([*open, *close]))
        },
    );
    let notes = text.contains(['♪', '♫', '♬', '🎵', '🎶'])
        && text.split(['♪', '♫', '♬', '🎵', '🎶']).all(|part| part.trim().is_empty());
    enclosed || notes || !text.chars().any(char::is_alphanumeric)
}

/// The words of a text, or its characters in a language without spaces.
fn split(text: &str, spaced: bool) -> Vec<String> {
    if spaced {
        text.split_whitespace().map(str::to_owned).collect()
    } else {
        text.chars().filter(|c| !c.is_whitespace()).map(String::from).collect()
    }
}

/// A word without case and punctuation.
pub(super) fn normal(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// How often a group of so many words follows itself before it is a loop. People do say "no, no,
/// no, no", and refrains come twice or three times.
fn most(words: usize) -> usize {
    match words {
        1 => 8,
        2 => 6,
        3..=7 => 4,
        _ => 3,
    }
}

/// The words that only repeat what stands before them: `true` for each that is to go.
fn repeated(words: &[String]) -> Vec<bool> {
    const LONGEST: usize = 40;
    let mut marks = vec![false; words.len()];
    let mut at = 0;
    while at < words.len() {
        // What was found with a short period would be found with its multiples too.
        let found = (1..=LONGEST.min((words.len() - at) / 2)).find_map(|period| {
            let same = words[at..]
                .iter()
                .zip(&words[at + period..])
                .take_while(|(a, b)| a == b && !a.is_empty())
                .count();
            let times = same / period + 1;
            (times >= most(period)).then_some((period, same))
        });
        match found {
            Some((period, same)) => {
                marks[at + period..at + period + same].fill(true);
                at += period + same;
            }
            None => at += 1,
        }
    }
    marks
}

/// A piece without the words that are marked, and what was taken out of it.
fn without(piece: Piece, tokens: &[String], marks: &[bool], spaced: bool) -> (Option<Piece>, Cut) {
    let joined = |marked: bool| {
        let chosen = tokens.iter().zip(marks).filter(|(_, mark)| **mark == marked);
        let chosen: Vec<&str> = chosen.map(|(token, _)| token.as_str()).collect();
        chosen.join(if spaced { " " } else { "" })
    };
    let text = joined(false);
    let mut cut = Cut { samples: piece.samples.clone(), text: joined(true), why: Doubt::Loop };
    if normal(&text).is_empty() {
        return (None, cut);
    }
    // Words are one to one with the text's in nearly all cases; else their times are not known.
    let matching = spaced && piece.words.len() == tokens.len();
    let (gone, words): (Vec<PieceWord>, Vec<PieceWord>) = if matching {
        let (gone, stay): (Vec<_>, Vec<_>) =
            piece.words.into_iter().zip(marks).partition(|(_, mark)| **mark);
        let words = |pairs: Vec<(PieceWord, &bool)>| pairs.into_iter().map(|(w, _)| w).collect();
        (words(gone), words(stay))
    } else {
        Default::default()
    };
    let mut samples = piece.samples;
    if let (Some(first), Some(last)) = (words.first(), words.last()) {
        samples = first.samples.start.max(samples.start)..last.samples.end.min(samples.end);
    } else if marks.last() == Some(&true) {
        // The loop is at the end: the text that stays takes its share of the time.
        let all: usize = tokens.iter().map(String::len).sum();
        let length = u64::from(samples.end.saturating_sub(samples.start));
        let share = length * text.len() as u64 / all.max(1) as u64;
        samples.end = samples.start + u32::try_from(share.min(length)).unwrap_or(0);
    }
    if let (Some(first), Some(last)) = (gone.first(), gone.last()) {
        cut.samples = first.samples.start..last.samples.end;
    }
    (Some(Piece { samples, text, words, ..piece }), cut)
}

/// Whether `text` repeats `before` where there is no room to say it: more than 30 characters a
/// second, twice the speed of speech.
pub fn is_duplicate(text: &str, before: &str, samples: u64) -> bool {
    let text = normal(text);
    if text.is_empty() || text != normal(before) {
        return false;
    }
    (text.chars().count() as u64) * u64::from(SAMPLE_RATE) > samples * 30
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &str, samples: Range<u32>) -> Piece {
        Piece {
            samples,
            text: text.into(),
            tokens: vec![1; 4],
            avg_logprob: -0.3,
            silent: false,
            words: vec![],
        }
    }

    fn found(pieces: Vec<Piece>) -> Recognised {
        Recognised {
            language: "en".into(),
            language_probability: 1.0,
            no_speech_prob: 0.1,
            temperature: 0.0,
            compression_ratio: 1.4,
            pieces,
        }
    }

    fn texts(kept: &[Kept]) -> Vec<&str> {
        kept.iter().map(|k| k.piece.text.trim()).collect()
    }

    #[test]
    fn good_text_stays_as_it_is() {
        let pieces = vec![piece(" No, no, no, no.", 0..100), piece(" Yes.", 100..200)];
        let (kept, cuts) = judge(found(pieces.clone()), &Wanted::default());
        assert_eq!(kept.iter().map(|k| k.piece.clone()).collect::<Vec<_>>(), pieces);
        assert!(kept.iter().all(|k| k.doubt.is_none()) && cuts.is_empty());
    }

    #[test]
    fn silence_and_notes_are_dropped() {
        let mut quiet = found(vec![piece(" Thank you.", 0..100)]);
        quiet.no_speech_prob = 0.9;
        quiet.pieces[0].avg_logprob = -1.5;
        let (kept, cuts) = judge(quiet.clone(), &Wanted::default());
        assert!(kept.is_empty());
        assert_eq!(cuts[0].why, Doubt::NoSpeech);
        // Probable text is not silence.
        quiet.pieces[0].avg_logprob = -0.2;
        assert_eq!(judge(quiet, &Wanted::default()).0.len(), 1);
        // What the recogniser itself takes for silence goes alone, and weighs on nothing else.
        let mut rest = found(vec![piece(" Good day.", 0..50), piece(" Thank you.", 50..100)]);
        rest.no_speech_prob = 0.9;
        (rest.pieces[1].silent, rest.pieces[1].avg_logprob) = (true, -9.0);
        let (kept, cuts) = judge(rest, &Wanted::default());
        assert_eq!(texts(&kept), ["Good day."]);
        assert_eq!(
            (cuts.len(), cuts[0].why, cuts[0].samples.clone()),
            (1, Doubt::NoSpeech, 50..100)
        );
        for text in [" [Music]", "(upbeat music)", " ♪", "♪ ♪♪", " ...", "*sigh*", "【音楽】"]
        {
            let (kept, cuts) = judge(found(vec![piece(text, 0..9)]), &Wanted::default());
            assert!(kept.is_empty() && cuts[0].why == Doubt::NoSpeech, "{text}");
        }
        for text in ["♪ La la ♪", "(no) and (yes)", "[a] b"] {
            assert_eq!(judge(found(vec![piece(text, 0..9)]), &Wanted::default()).0.len(), 1);
        }
    }

    #[test]
    fn a_loop_is_said_once() {
        let text = "He said ".to_owned() + &"thank you. ".repeat(9) + "Good bye";
        let (kept, cuts) = judge(found(vec![piece(&text, 0..16_000)]), &Wanted::default());
        assert_eq!(texts(&kept), ["He said thank you. Good bye"]);
        assert_eq!((cuts.len(), cuts[0].why), (1, Doubt::Loop));
        assert_eq!(cuts[0].text.matches("thank").count(), 8);
    }

    #[test]
    fn a_loop_over_pieces_leaves_the_first() {
        let pieces: Vec<_> =
            (0..6).map(|n| piece(" I am here now.", n * 10..n * 10 + 10)).collect();
        let (kept, cuts) = judge(found(pieces), &Wanted::default());
        assert_eq!(texts(&kept), ["I am here now."]);
        assert_eq!(kept[0].piece.samples, 0..10);
        assert_eq!(cuts.len(), 5);
        assert!(cuts.iter().all(|cut| cut.why == Doubt::Loop));
    }

    #[test]
    fn a_loop_without_spaces_is_found() {
        let mut japanese = found(vec![piece(&"ありがとう".repeat(6), 0..160)]);
        japanese.language = "ja".into();
        let (kept, _) = judge(japanese, &Wanted::default());
        assert_eq!(texts(&kept), ["ありがとう"]);
        assert!(kept[0].piece.samples.end < 40);
    }

    #[test]
    fn words_follow_the_cut() {
        let mut looped = piece(&"go ".repeat(10), 0..1000);
        looped.words = (0..10)
            .map(|n| PieceWord {
                samples: n * 100..n * 100 + 90,
                text: " go".into(),
                probability: 1.0,
            })
            .collect();
        let (kept, cuts) = judge(found(vec![looped]), &Wanted::default());
        assert_eq!(kept[0].piece.words.len(), 1);
        assert_eq!(kept[0].piece.samples, 0..90);
        assert_eq!(cuts[0].samples, 100..990);
    }

    #[test]
    fn what_is_improbable_or_compresses_too_well_is_doubtful() {
        let mut poor = found(vec![piece(" Hm.", 0..9), piece(" Well.", 9..18)]);
        poor.pieces[0].avg_logprob = f32::NAN;
        let (kept, _) = judge(poor.clone(), &Wanted::default());
        assert_eq!(kept[0].doubt, Some(Doubt::LowProbability));
        assert_eq!(kept[1].doubt, None);
        poor.compression_ratio = 3.0;
        let (kept, _) = judge(poor, &Wanted::default());
        assert!(kept.iter().all(|k| k.doubt == Some(Doubt::Loop)));
    }

    #[test]
    fn duplicates_need_room() {
        assert!(is_duplicate("Thank you.", " thank you", 1000));
        assert!(!is_duplicate("Thank you.", " thank you", 16_000));
        assert!(!is_duplicate("Thank you.", "No", 10));
        assert!(!is_duplicate("...", "!", 0));
    }
}
