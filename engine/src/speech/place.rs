//! From pieces of a chunk to segments of the file: every word gets a time, and all times hold.

use super::clock::ChunkClock;
use super::guard::normal;
use super::recogniser::{Piece, PieceWord, SAMPLE_RATE};
use super::transcript::Word;
use super::words::{has_spaces, straighten};
use crate::time::{Span, TimeBase, Timestamp};
use std::ops::Range;

/// The time of a sample at 16 kHz.
pub(super) fn time(sample: u64) -> Timestamp {
    Timestamp::new(i64::try_from(sample).unwrap_or(i64::MAX), TimeBase::per_second(SAMPLE_RATE))
}

/// The span of a range of samples.
pub(super) fn span(samples: &Range<u64>) -> Span {
    Span { start: time(samples.start), end: time(samples.end.max(samples.start)) }
}

/// Puts `pieces` of one chunk in order: without overlap, none empty, all inside `length` samples,
/// and where `words` are wanted each word of the text with a time inside its piece.
pub(super) fn order(pieces: &mut [&mut Piece], length: u32, words: bool, language: &str) {
    // Pieces first, by the rule for words, because they bound what has no time of its own.
    let mut hulls: Vec<PieceWord> = pieces
        .iter()
        .map(|piece| PieceWord { samples: hull(piece), text: String::new(), probability: 0.0 })
        .collect();
    straighten(&mut hulls, length);
    for (piece, hull) in pieces.iter_mut().zip(hulls) {
        piece.samples = hull.samples;
        if words {
            complete(piece, language);
        } else {
            piece.words.clear();
        }
    }
}

/// From the first word to the last, or the piece's own times where it has none.
fn hull(piece: &Piece) -> Range<u32> {
    match (piece.words.first(), piece.words.last()) {
        (Some(first), Some(last)) => first.samples.start..last.samples.end,
        _ => piece.samples.clone(),
    }
}

/// Makes sure that the words of a piece are its text, all of it, with times inside it.
fn complete(piece: &mut Piece, language: &str) {
    let solid = |text: &str| text.split_whitespace().collect::<String>();
    let said: String = piece.words.iter().map(|word| solid(&word.text)).collect();
    if said != solid(&piece.text) {
        interpolate(piece, language);
    }
    let Range { start, end } = piece.samples;
    for word in &mut piece.words {
        word.samples.start = word.samples.start.clamp(start, end) - start;
        word.samples.end = word.samples.end.clamp(start, end) - start;
    }
    let all = piece.words.len();
    straighten(&mut piece.words, end - start);
    debug_assert!(all == piece.words.len() || all > (end - start) as usize);
    for word in &mut piece.words {
        word.samples.start += start;
        word.samples.end += start;
    }
}

/// The text's words: with the times of the model's where those are found among them, between their
/// neighbours in proportion to their length where not.
fn interpolate(piece: &mut Piece, language: &str) {
    const LOOK_AHEAD: usize = 4;
    let texts: Vec<String> = if has_spaces(language) {
        piece.text.split_whitespace().map(|word| format!(" {word}")).collect()
    } else {
        piece.text.chars().filter(|c| !c.is_whitespace()).map(String::from).collect()
    };
    let mut known = std::mem::take(&mut piece.words).into_iter().peekable();
    let mut words: Vec<(String, Option<PieceWord>)> = Vec::with_capacity(texts.len());
    for text in texts {
        let wanted = normal(&text);
        let ahead = known.clone().take(LOOK_AHEAD).position(|word| normal(&word.text) == wanted);
        let word = match ahead {
            Some(skip) if !wanted.is_empty() => known.nth(skip),
            _ => None,
        };
        words.push((text, word));
    }
    let mut from = piece.samples.start;
    let mut at = 0;
    while at < words.len() {
        if let Some(word) = words[at].1.take() {
            from = word.samples.end.max(from);
            let text = std::mem::take(&mut words[at].0);
            piece.words.push(PieceWord { text, ..word });
            at += 1;
            continue;
        }
        let next = (at..words.len()).find(|&i| words[i].1.is_some()).unwrap_or(words.len());
        let until = words.get(next).and_then(|w| w.1.as_ref()).map(|w| w.samples.start);
        let until = until.unwrap_or(piece.samples.end).max(from);
        let weight = |text: &str| text.chars().count().max(1) as u64;
        let all: u64 = words[at..next].iter().map(|w| weight(&w.0)).sum();
        let mut done = 0;
        for (text, _) in &mut words[at..next] {
            let place = |part: u64| from + (u64::from(until - from) * part / all.max(1)) as u32;
            let start = place(done);
            done += weight(text);
            piece.words.push(PieceWord {
                samples: start..place(done),
                text: std::mem::take(text),
                // The model named none for it alone.
                probability: piece.avg_logprob.exp().clamp(0.0, 1.0),
            });
        }
        from = until;
        at = next;
    }
    for word in &mut piece.words {
        if !word.probability.is_finite() {
            word.probability = 0.0;
        }
    }
}

/// The words of a piece on the file's clock, none over a stretch that the chunk left out.
pub(super) fn words(piece: &Piece, clock: &ChunkClock) -> Vec<Word> {
    let first = piece.words.first().map(|word| word.samples.start);
    piece
        .words
        .iter()
        .map(|word| Word {
            span: span(&within_one(clock, &word.samples)),
            text: word.text.trim().to_owned(),
            probability: word.probability,
            spaced: word.text.starts_with(char::is_whitespace) || first == Some(word.samples.start),
        })
        .collect()
}

/// Where a stretch of the chunk lies in the file; of one over a gap the longer part.
fn within_one(clock: &ChunkClock, samples: &Range<u32>) -> Range<u64> {
    let (start, end) = (u64::from(samples.start), u64::from(samples.end));
    let whole = clock.range(start..end);
    if whole.end - whole.start <= end - start {
        return whole;
    }
    let mut at = 0;
    let mut best = 0..0;
    for part in clock.pieces() {
        let length = part.end - part.start;
        let from = start.clamp(at, at + length) - at;
        let to = end.clamp(at, at + length) - at;
        if to - from > best.end - best.start {
            best = part.start + from..part.start + to;
        }
        at += length;
    }
    if best.is_empty() { whole } else { best }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn word(text: &str, samples: Range<u32>) -> PieceWord {
        PieceWord { samples, text: text.into(), probability: 0.9 }
    }

    fn piece(text: &str, samples: Range<u32>, words: Vec<PieceWord>) -> Piece {
        let (text, tokens) = (text.into(), Vec::new());
        Piece { samples, text, tokens, avg_logprob: -0.1, silent: false, words }
    }

    #[test]
    fn a_word_without_a_time_gets_one_between_its_neighbours() {
        let known = vec![word(" It", 0..100), word(" costs", 100..300), word(" today.", 900..1000)];
        let mut one = piece(" It costs $1,200 and 5% today.", 0..1000, known);
        order(&mut [&mut one], 1000, true, "en");
        let texts: Vec<_> = one.words.iter().map(|w| w.text.trim()).collect();
        assert_eq!(texts, ["It", "costs", "$1,200", "and", "5%", "today."]);
        assert_eq!(one.words[2].samples.start, 300);
        assert_eq!(one.words[4].samples.end, 900);
        assert_eq!(one.words[5].samples, 900..1000);
    }

    #[test]
    fn without_any_times_words_share_the_piece() {
        let mut one = piece(" ab cd", 100..200, vec![]);
        order(&mut [&mut one], 1000, true, "en");
        assert_eq!(
            one.words.iter().map(|w| w.samples.clone()).collect::<Vec<_>>(),
            [100..150, 150..200]
        );
        let mut one = piece("你好", 0..10, vec![]);
        order(&mut [&mut one], 1000, true, "zh");
        assert_eq!(one.words.len(), 2);
        assert!(!one.words[1].text.starts_with(' '));
    }

    #[test]
    fn a_word_over_a_gap_stays_on_one_side() {
        let mut clock = ChunkClock::straight(1000..1100);
        clock.append(50_000..50_100);
        assert_eq!(within_one(&clock, &(10..20)), 1010..1020);
        assert_eq!(within_one(&clock, &(90..130)), 50_000..50_030);
        assert_eq!(within_one(&clock, &(60..110)), 1060..1100);
    }

    proptest! {
        #[test]
        fn whatever_the_model_says_times_hold(
            spans in prop::collection::vec((0u32..2000, 0u32..2000, 0usize..6, any::<bool>()), 1..8),
            length in 500u32..1500,
        ) {
            let mut pieces: Vec<Piece> = spans
                .into_iter()
                .map(|(a, b, count, all)| {
                    let text = " word".repeat(count.max(1));
                    let known = if all { count.max(1) } else { count / 2 };
                    let words = (0..known as u32).map(|n| word(" word", a + n * 10..b)).collect();
                    piece(&text, a..b, words)
                })
                .collect();
            let mut all: Vec<&mut Piece> = pieces.iter_mut().collect();
            order(&mut all, length, true, "en");
            let mut from = 0;
            for piece in &pieces {
                prop_assert!(piece.samples.start >= from && piece.samples.end > piece.samples.start);
                let mut at = piece.samples.start;
                for word in &piece.words {
                    prop_assert!(word.samples.start >= at && word.samples.end > word.samples.start);
                    at = word.samples.end;
                }
                prop_assert!(at <= piece.samples.end);
                from = piece.samples.end;
            }
            prop_assert!(from <= length);
        }
    }
}
