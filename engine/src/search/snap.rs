//! Where a clip begins and ends, given what is wanted of a film. Pure.
//!
//! What is said decides first: a clip never begins or ends within a word, holds whole sentences
//! where there is room, and a breath before and behind. A shot's edge near by is better still, since
//! a few frames of another shot look like a mistake. Where nobody speaks, shots decide.

use crate::time::{Span, Timestamp};
use serde::Serialize;

/// What is known of a film.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// What is said, a sentence or so each, in order of time.
    pub said: Vec<Said>,
    /// Shots, in order of time.
    pub shots: Vec<Span>,
    /// How long it is; what lies past it is cut off.
    pub length: Option<Timestamp>,
}

/// A sentence or so.
#[derive(Clone, Debug)]
pub struct Said {
    /// When it is heard.
    pub span: Span,
    /// Its words with their times, in order; without any, it is one word.
    pub words: Vec<(Span, String)>,
}

/// Why a clip begins or ends where it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "at")]
pub enum Edge {
    /// At a word, with a breath of silence where there is one.
    Word {
        /// The word.
        text: String,
    },
    /// Where a shot begins or ends.
    Shot,
    /// Where the film begins or ends.
    Film,
    /// Where it was wanted: nothing near by is better.
    Wanted,
    /// As far as a clip may be long.
    Limit,
}

/// A clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapped {
    /// What it shows.
    pub span: Span,
    /// Why it begins there.
    pub start: Edge,
    /// Why it ends there.
    pub end: Edge,
}

/// The breath before the first word and behind the last; half of the silence where that is less.
const BREATH: Timestamp = Timestamp::from_millis(150);
/// How far a cut moves to a shot's edge.
const NEAR: Timestamp = Timestamp::from_millis(400);
/// Shorter clips are not seen as shots.
const LEAST: Timestamp = Timestamp::from_millis(500);

/// The clip for `wanted`, at most `longest` long. `None` if nothing of the film is wanted, or hardly
/// anything: sound may go on where the pictures end.
pub fn snap(wanted: Span, marks: &Marks, longest: Timestamp) -> Option<Snapped> {
    let end = marks.length.map_or(wanted.end, |length| wanted.end.min(length));
    let there = Span::new(wanted.start.max(Timestamp::ZERO), end)?;
    if there.duration() == Timestamp::ZERO || there.duration() < wanted.duration().min(LEAST) {
        return None;
    }
    let words = words(marks);
    by_words(there, &words, marks, longest).or_else(|| by_shots(there, &words, marks, longest))
}

/// A word: when, what, and the number of its sentence.
struct Word<'a> {
    span: Span,
    text: &'a str,
    of: usize,
}

fn words(marks: &Marks) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    for (of, said) in marks.said.iter().enumerate() {
        if said.words.is_empty() {
            words.push(Word { span: said.span, text: "", of });
        }
        words.extend(said.words.iter().map(|(span, text)| Word { span: *span, text, of }));
    }
    words.sort_by_key(|word| word.span.start);
    words
}

fn middle(span: Span) -> Timestamp {
    span.start.plus(span.duration().times(1, 2))
}

fn by_words(
    wanted: Span,
    words: &[Word<'_>],
    marks: &Marks,
    longest: Timestamp,
) -> Option<Snapped> {
    let inside = |word: &Word<'_>| wanted.contains(middle(word.span));
    let first = words.iter().position(inside)?;
    let last = words.iter().rposition(inside)?;
    let length = |a: usize, b: usize| words[b].span.end.minus(words[a].span.start);
    // Whole sentences if there is room for them; at least one from its beginning.
    let from = words.iter().position(|word| word.of == words[first].of).unwrap_or(first);
    let to = words.iter().rposition(|word| word.of == words[last].of).unwrap_or(last);
    let (first, mut last) = if length(from, to) <= longest {
        (from, to)
    } else if length(from, last) <= longest {
        (from, last)
    } else {
        (first, last)
    };
    let mut cut_short = false;
    if length(first, last) > longest {
        cut_short = true;
        let fits = |i: &usize| length(first, *i) <= longest;
        // Best behind the end of a sentence, else of a part of one, else of a word.
        let ends = |marks: &'static [char]| {
            move |i: &usize| words[*i].text.trim_end_matches(['"', '”', '»', ')']).ends_with(marks)
        };
        let upto = || (first..=last).rev().filter(fits);
        last = upto()
            .find(ends(&['.', '!', '?', '…', '。']))
            .or_else(|| upto().find(ends(&[',', ';', ':', '—', '、'])))
            .or_else(|| upto().next())
            // A sentence without word times that is too long by itself.
            .unwrap_or(first);
    }
    let breath = |gap: Option<Timestamp>| {
        gap.map_or(BREATH, |gap| BREATH.min(gap.max(Timestamp::ZERO).times(1, 2)))
    };
    let before = first.checked_sub(1).map(|i| words[i].span.end);
    let behind = words.get(last + 1).map(|word| word.span.start);
    let head = words[first].span.start;
    let tail = words[last].span.end.min(head.plus(longest));
    let start = head.minus(breath(before.map(|end| head.minus(end)))).max(Timestamp::ZERO);
    let mut end = tail.plus(breath(behind.map(|next| next.minus(tail))));
    let mut why = (
        Edge::Word { text: words[first].text.to_owned() },
        Edge::Word { text: words[last].text.to_owned() },
    );
    if marks.length.is_some_and(|length| end >= length) {
        end = marks.length.unwrap_or(end);
        why.1 = Edge::Film;
    }
    let mut start = start;
    if start == Timestamp::ZERO {
        why.0 = Edge::Film;
    }
    // A shot's edge in the silence before or behind.
    let edges: Vec<Timestamp> =
        marks.shots.iter().flat_map(|shot| [shot.start, shot.end]).collect();
    let near = |at: Timestamp, low: Timestamp, high: Timestamp| {
        let far = |edge: &Timestamp| if *edge > at { edge.minus(at) } else { at.minus(*edge) };
        let fits = |edge: &&Timestamp| (low..=high).contains(*edge) && far(edge) <= NEAR;
        edges.iter().filter(fits).min_by_key(|edge| far(edge)).copied()
    };
    if let Some(edge) = near(start, before.unwrap_or(Timestamp::ZERO), head) {
        (start, why.0) = (edge, Edge::Shot);
    }
    let most = marks.length.unwrap_or(Timestamp::from_secs(i64::from(i32::MAX)));
    if let Some(edge) = near(end, tail, behind.unwrap_or(most)) {
        (end, why.1) = (edge, Edge::Shot);
    } else if cut_short && !matches!(why.1, Edge::Film) {
        why.1 = Edge::Limit;
    }
    let span = Span::new(start, end).filter(|span| span.duration() >= LEAST)?;
    Some(Snapped { span, start: why.0, end: why.1 })
}

fn by_shots(
    wanted: Span,
    words: &[Word<'_>],
    marks: &Marks,
    longest: Timestamp,
) -> Option<Snapped> {
    let at = middle(wanted);
    let shot = marks.shots.iter().find(|shot| shot.contains(at)).copied();
    let (low, high) = match shot {
        Some(shot) => (shot.start, marks.length.map_or(shot.end, |length| shot.end.min(length))),
        None => (Timestamp::ZERO, marks.length.unwrap_or(wanted.end)),
    };
    // All of the shot, or as much of it about the middle of what is wanted as a clip may have: of a
    // shot too long for that, what is wanted and no more where it fills a clip well enough.
    let fills = wanted.duration() <= longest && wanted.duration().times(2, 1) >= longest;
    let kept = wanted.start >= low && wanted.end <= high && fills;
    let whole = match shot {
        Some(_) if kept && high.minus(low) > longest => wanted,
        Some(_) => Span::new(low, high)?,
        None => wanted,
    };
    let (mut start, mut end) = (whole.start, whole.end);
    if whole.duration() > longest {
        start = at.minus(longest.times(1, 2)).max(low);
        end = start.plus(longest);
        if end > high {
            (start, end) = (high.minus(longest).max(low), high);
        }
    }
    let why = |edge: Timestamp, of_shot: Option<Timestamp>| {
        if of_shot == Some(edge) {
            Edge::Shot
        } else if edge == Timestamp::ZERO || marks.length == Some(edge) {
            Edge::Film
        } else if whole.duration() > longest {
            Edge::Limit
        } else {
            Edge::Wanted
        }
    };
    let mut edges = (why(start, shot.map(|shot| shot.start)), why(end, shot.map(|shot| shot.end)));
    // Somebody may speak over the edge of a shot: the clip keeps out of that word.
    let cut = |at: Timestamp| words.iter().find(|w| w.span.start < at && at < w.span.end);
    while let Some(word) = cut(start) {
        (start, edges.0) = (word.span.end, Edge::Word { text: word.text.to_owned() });
    }
    while let Some(word) = cut(end) {
        (end, edges.1) = (word.span.start, Edge::Word { text: word.text.to_owned() });
    }
    let span = Span::new(start, end).filter(|span| span.duration() >= LEAST)?;
    Some(Snapped { span, start: edges.0, end: edges.1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(n: i64) -> Timestamp {
        Timestamp::from_millis(n)
    }

    fn span(a: i64, b: i64) -> Span {
        Span::new(ms(a), ms(b)).unwrap()
    }

    /// Sentences of words that last 300 ms each, 100 ms apart, from `at` on.
    fn said(at: i64, text: &str) -> Said {
        let words: Vec<_> = text
            .split(' ')
            .enumerate()
            .map(|(i, word)| {
                let start = at + i as i64 * 400;
                (span(start, start + 300), word.to_owned())
            })
            .collect();
        Said { span: Span::new(words[0].0.start, words[words.len() - 1].0.end).unwrap(), words }
    }

    fn film() -> Marks {
        Marks {
            said: vec![
                said(1000, "It was the best of times,"),
                said(5000, "it was the worst of times."),
            ],
            shots: vec![span(0, 800), span(800, 3600), span(3600, 20_000)],
            length: Some(ms(20_000)),
        }
    }

    #[test]
    fn a_word_brings_its_sentence_and_the_edges_of_shots_near_by() {
        // "best" of the first sentence: 1000 to 3300.
        let made = snap(span(2200, 2500), &film(), ms(8000)).unwrap();
        assert_eq!((made.span, made.start, made.end), (span(800, 3600), Edge::Shot, Edge::Shot));
        // The second: no shot's edge near by, a breath on both sides.
        let made = snap(span(5500, 6000), &film(), ms(8000)).unwrap();
        assert_eq!(made.span, span(4850, 7450));
        assert_eq!(made.start, Edge::Word { text: "it".into() });
        assert_eq!(made.end, Edge::Word { text: "times.".into() });
    }

    #[test]
    fn what_is_too_long_ends_behind_a_word_that_fits() {
        let made = snap(span(900, 7600), &film(), ms(3000)).unwrap();
        assert_eq!(made.end, Edge::Shot);
        assert_eq!(made.span, span(800, 3600));
        let mut film = film();
        film.shots.clear();
        let one = Said { span: span(0, 9000), words: vec![(span(0, 9000), "All of it.".into())] };
        let untimed = Marks { said: vec![one], ..Marks::default() };
        assert_eq!(snap(span(1000, 8000), &untimed, ms(3000)).unwrap().end, Edge::Limit);
        let made = snap(span(5400, 7600), &film, ms(1000)).unwrap();
        // "was the" of the second sentence: nothing in it ends a part.
        assert_eq!((made.span.start, &made.end), (ms(5350), &Edge::Limit));
        assert!(made.span.end >= ms(6100) && made.span.end <= ms(6200), "{made:?}");
    }

    #[test]
    fn where_nobody_speaks_shots_decide() {
        let made = snap(span(12_000, 13_000), &film(), ms(4000)).unwrap();
        assert_eq!(made.span, span(10_500, 14_500));
        assert_eq!((made.start, made.end), (Edge::Limit, Edge::Limit));
        // What fills a clip is not made longer: another slide may follow within the shot.
        let made = snap(span(12_000, 14_500), &film(), ms(4000)).unwrap();
        assert_eq!(made.span, span(12_000, 14_500));
        assert_eq!((made.start, made.end), (Edge::Wanted, Edge::Wanted));
        let made = snap(span(19_500, 25_000), &film(), ms(30_000)).unwrap();
        assert_eq!((made.span, made.end), (span(3600, 20_000), Edge::Shot));
        let bare = Marks { length: Some(ms(5000)), ..Marks::default() };
        let made = snap(span(4000, 9000), &bare, ms(8000)).unwrap();
        assert_eq!((made.span, made.start, made.end), (span(4000, 5000), Edge::Wanted, Edge::Film));
        assert_eq!(snap(span(6000, 9000), &bare, ms(8000)), None);
        // The sound goes on where the pictures end: their last tenth of a second is not what is wanted.
        assert_eq!(snap(span(4900, 9000), &bare, ms(8000)), None);
    }

    #[test]
    fn a_word_spoken_over_the_edge_of_a_shot_is_left_whole() {
        let mut film = film();
        film.said.push(said(19_900, "over"));
        film.shots = vec![span(9000, 20_000), span(20_000, 30_000)];
        film.length = Some(ms(30_000));
        let made = snap(span(12_000, 13_000), &film, ms(30_000)).unwrap();
        assert_eq!((made.span, made.start), (span(9000, 19_900), Edge::Shot));
        assert_eq!(made.end, Edge::Word { text: "over".into() });
    }

    proptest! {
        #[test]
        fn no_word_is_cut_and_nothing_lies_outside(
            starts in prop::collection::vec((0_i64..900, 50_i64..600), 0..60),
            shots in prop::collection::vec(200_i64..6000, 0..12),
            from in 0_i64..40_000, length in 1_i64..9000, longest in 1000_i64..12_000,
        ) {
            let (mut at, mut words) = (0, Vec::new());
            for (gap, long) in starts {
                words.push((span(at + gap, at + gap + long), "word".to_owned()));
                at += gap + long;
            }
            let film = ms(at.max(1000) + 500);
            let said = words.chunks(7).map(|words| Said {
                span: Span::new(words[0].0.start, words[words.len() - 1].0.end).unwrap(),
                words: words.to_vec(),
            });
            let mut edge = 0;
            let shots = shots.iter().map(|long| { edge += long; span(edge - long, edge) });
            let marks = Marks { said: said.collect(), shots: shots.collect(), length: Some(film) };
            let Some(made) = snap(span(from, from + length), &marks, ms(longest)) else {
                return Ok(());
            };
            prop_assert!(made.span.start >= Timestamp::ZERO && made.span.end <= film);
            // Two breaths, or two steps to a shot's edge, more than the words at most.
            prop_assert!(made.span.duration() <= ms(longest + 2 * 550), "{made:?}");
            for (word, _) in &words {
                for edge in [made.span.start, made.span.end] {
                    prop_assert!(!(word.start < edge && edge < word.end), "{made:?} cuts {word:?}");
                }
            }
        }
    }
}
