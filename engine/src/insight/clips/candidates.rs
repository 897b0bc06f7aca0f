//! Where clips may lie: sentences, shots, chapters, and what lies between silences.

use super::super::sentences::Sentence;
use crate::time::{Span, Timestamp};
use serde::Serialize;

/// What a clip was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CandidateKind {
    /// Whole sentences.
    Sentences,
    /// A chapter.
    Chapter,
    /// What is said between two long silences.
    Silence,
    /// A shot, or a few in a row.
    Shots,
}

impl CandidateKind {
    /// The lower-case word used in tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sentences => "sentences",
            Self::Chapter => "chapter",
            Self::Silence => "silence",
            Self::Shots => "shots",
        }
    }
}

/// How long clips are, and how far apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bounds {
    /// Shorter ones are none.
    pub shortest: Timestamp,
    /// The length that is best.
    pub best: Timestamp,
    /// Longer ones are cut.
    pub longest: Timestamp,
    /// What is silent for so long ends a stretch.
    pub silence: Timestamp,
    /// The most candidates of a film.
    pub most: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            shortest: Timestamp::from_secs(6),
            best: Timestamp::from_secs(20),
            longest: Timestamp::from_secs(60),
            silence: Timestamp::from_millis(1200),
            most: 2000,
        }
    }
}

/// A stretch that may be a clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// What it is made from.
    pub kind: CandidateKind,
    /// When; its edges are those of sentences, shots or chapters, without room around them.
    pub span: Span,
}

/// The candidates of a film, by time; none is there twice.
pub fn candidates(
    sentences: &[Sentence],
    shots: &[Span],
    chapters: &[Span],
    bounds: &Bounds,
) -> Vec<Candidate> {
    let spans: Vec<Span> = sentences.iter().map(|s| s.span).collect();
    let mut all = Vec::new();
    let mut add = |kind, spans: Vec<Span>| {
        all.extend(spans.into_iter().map(|span| Candidate { kind, span }));
    };
    add(CandidateKind::Sentences, runs(&spans, bounds));
    add(
        CandidateKind::Chapter,
        chapters.iter().filter_map(|c| within(*c, &spans, bounds)).collect(),
    );
    add(CandidateKind::Silence, between(&spans, bounds));
    add(CandidateKind::Shots, runs(shots, bounds));
    all.sort_by_key(|clip| (clip.span.start, clip.span.end, clip.kind));
    all.dedup_by(|a, b| a.span == b.span);
    if all.len() > bounds.most {
        // Evenly over the film, so that its end is not left out.
        let count = all.len();
        let keep = |n: &usize| n * bounds.most / count != (n + 1) * bounds.most / count;
        all = (0..count).filter(keep).map(|n| all[n]).collect();
    }
    all
}

/// From the beginning of each of `spans` to the end of one behind it, whichever makes the length that is
/// nearest to the best one.
fn runs(spans: &[Span], bounds: &Bounds) -> Vec<Span> {
    let mut found = Vec::new();
    for (n, first) in spans.iter().enumerate() {
        let lengths = spans[n..]
            .iter()
            .map(|last| Span { start: first.start, end: last.end.max(first.start) })
            .take_while(|span| span.duration() <= bounds.longest)
            .filter(|span| span.duration() >= bounds.shortest);
        let off = |span: &Span| {
            let length = span.duration();
            if length > bounds.best { length.minus(bounds.best) } else { bounds.best.minus(length) }
        };
        found.extend(lengths.min_by_key(off));
    }
    found
}

/// A chapter, or as many of its sentences from its beginning as a clip may have.
fn within(chapter: Span, sentences: &[Span], bounds: &Bounds) -> Option<Span> {
    let own = sentences.iter().filter(|s| chapter.start <= s.start && s.end <= chapter.end);
    let own: Vec<&Span> = own.collect();
    let start = own.first()?.start;
    let end = own.iter().map(|s| s.end).filter(|end| end.minus(start) <= bounds.longest).max()?;
    let span = Span::new(start, end)?;
    (span.duration() >= bounds.shortest).then_some(span)
}

/// What is said between silences.
fn between(sentences: &[Span], bounds: &Bounds) -> Vec<Span> {
    let groups = sentences.chunk_by(|a, b| b.start.minus(a.end) < bounds.silence);
    let spans = groups.filter_map(|group| {
        let (first, last) = (group.first()?, group.last()?);
        Span::new(first.start, last.end)
    });
    spans
        .filter(|span| {
            let length = span.duration();
            length >= bounds.shortest && length <= bounds.longest
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn span(a: i64, b: i64) -> Span {
        Span::new(Timestamp::from_secs(a), Timestamp::from_secs(b)).unwrap()
    }

    fn sentence(span: Span) -> Sentence {
        Sentence { passage: 0, tokens: 0..1, span, row: 0, text: String::new(), vector: Vec::new() }
    }

    fn found(
        sentences: &[(i64, i64)],
        shots: &[Span],
        chapters: &[Span],
    ) -> Vec<(CandidateKind, Span)> {
        let sentences: Vec<Sentence> =
            sentences.iter().map(|(a, b)| sentence(span(*a, *b))).collect();
        let all = candidates(&sentences, shots, chapters, &Bounds::default());
        all.into_iter().map(|c| (c.kind, c.span)).collect()
    }

    #[test]
    fn clips_are_as_long_as_is_best() {
        let sentences: Vec<(i64, i64)> = (0..5).map(|n| (n * 10, n * 10 + 9)).collect();
        let all = found(&sentences, &[], &[]);
        // 19 s is nearer to 20 s than 29 s; the last one has 9 s.
        assert!(all.contains(&(CandidateKind::Sentences, span(0, 19))));
        assert!(all.contains(&(CandidateKind::Sentences, span(40, 49))));
        // All of it lies between two silences, 49 s.
        assert!(all.contains(&(CandidateKind::Silence, span(0, 49))));
    }

    #[test]
    fn chapters_and_shots_are_clips_too() {
        let sentences = [(1, 10), (11, 30), (40, 70)];
        let all = found(&sentences, &[span(0, 4), span(4, 22)], &[span(0, 35)]);
        assert!(all.contains(&(CandidateKind::Shots, span(0, 22))));
        assert!(all.contains(&(CandidateKind::Sentences, span(11, 30))));
        assert!(all.iter().any(|(_, clip)| *clip == span(1, 30)));
        assert!(found(&[(0, 3)], &[span(0, 4)], &[]).is_empty());
    }

    proptest! {
        #[test]
        fn no_clip_is_too_short_or_too_long(
            pieces in prop::collection::vec((0_i64..4, 1_i64..30), 0..60), most in 1_usize..40,
        ) {
            let (mut at, mut spans) = (0, Vec::new());
            for (gap, long) in pieces {
                spans.push(span(at + gap, at + gap + long));
                at += gap + long;
            }
            let sentences: Vec<Sentence> = spans.iter().map(|s| sentence(*s)).collect();
            let bounds = Bounds { most, ..Bounds::default() };
            let all = candidates(&sentences, &spans, &[span(0, at)], &bounds);
            prop_assert!(all.len() <= most);
            for clip in all {
                let length = clip.span.duration();
                prop_assert!(bounds.shortest <= length && length <= bounds.longest);
            }
        }
    }
}
