//! Chapters: where the topic changes.
//!
//! TextTiling (Hearst, "TextTiling: Segmenting text into multi-paragraph subtopic passages", 1997) over
//! vectors of sentences: at each gap, the likeness of what is said before and behind; a chapter begins in
//! a valley that is deep against its hills.

use super::sentences::{Sentence, centre, cosine};
use crate::time::Timestamp;

/// How chapters are found.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct ChapterRules {
    /// Sentences on each side of a gap that are compared.
    pub block: usize,
    /// Shorter chapters are none.
    pub shortest: Timestamp,
    /// How deep a valley is, in standard deviations above the mean depth.
    pub deviations: f32,
}

impl Default for ChapterRules {
    fn default() -> Self {
        Self { block: 4, shortest: Timestamp::from_secs(20), deviations: 0.5 }
    }
}

/// The sentences that chapters begin with, the first one always; empty for no sentences.
pub fn chapters(sentences: &[Sentence], rules: &ChapterRules) -> Vec<usize> {
    if sentences.is_empty() {
        return Vec::new();
    }
    let likeness = likeness(sentences, rules.block.max(1));
    let depths = depths(&likeness);
    let count = depths.len() as f32;
    let mean = depths.iter().sum::<f32>() / count.max(1.0);
    let spread = (depths.iter().map(|d| (d - mean).powi(2)).sum::<f32>() / count.max(1.0)).sqrt();
    let deep = (mean + rules.deviations * spread).max(0.05);
    // The deepest first, each far enough from those taken.
    let mut gaps: Vec<usize> = (0..depths.len()).filter(|gap| depths[*gap] >= deep).collect();
    gaps.sort_by(|a, b| depths[*b].total_cmp(&depths[*a]).then(a.cmp(b)));
    let mut begins = vec![0];
    let end = sentences[sentences.len() - 1].span.end;
    for gap in gaps {
        let at = sentences[gap + 1].span.start;
        let clear = |other: Timestamp| {
            let far = if other > at { other.minus(at) } else { at.minus(other) };
            far >= rules.shortest
        };
        if clear(end) && begins.iter().all(|begin: &usize| clear(sentences[*begin].span.start)) {
            begins.push(gap + 1);
        }
    }
    begins.sort_unstable();
    begins
}

/// For the gap behind each sentence but the last: the cosine of the blocks on both sides.
fn likeness(sentences: &[Sentence], block: usize) -> Vec<f32> {
    let side = |range: std::ops::Range<usize>| centre(sentences[range].iter().map(|s| &s.vector));
    let gaps = 1..sentences.len();
    gaps.map(|gap| {
        let before = side(gap.saturating_sub(block)..gap);
        let behind = side(gap..(gap + block).min(sentences.len()));
        cosine(&before, &behind)
    })
    .collect()
}

/// How far each gap lies below the hills on both sides.
fn depths(likeness: &[f32]) -> Vec<f32> {
    let climb = |from: f32, way: &mut dyn Iterator<Item = &f32>| {
        let mut top = from;
        for next in way {
            if *next < top {
                break;
            }
            top = *next;
        }
        top - from
    };
    let depth = |(gap, at): (usize, &f32)| {
        climb(*at, &mut likeness[..gap].iter().rev()) + climb(*at, &mut likeness[gap + 1..].iter())
    };
    likeness.iter().enumerate().map(depth).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    fn sentence(n: usize, axis: usize) -> Sentence {
        let mut vector = vec![0.0; 6];
        vector[axis] = 1.0;
        vector[5] = 0.2 * (n % 3) as f32;
        crate::insight::sentences::unit(&mut vector);
        let at = |n: usize| Timestamp::from_secs(n as i64 * 10);
        let span = Span::new(at(n), at(n + 1)).unwrap();
        Sentence { passage: 0, tokens: n..n + 1, span, row: 0, text: String::new(), vector }
    }

    #[test]
    fn a_chapter_begins_where_the_topic_changes() {
        let all: Vec<Sentence> = (0..36).map(|n| sentence(n, n / 12)).collect();
        assert_eq!(chapters(&all, &ChapterRules::default()), [0, 12, 24]);
    }

    #[test]
    fn one_topic_is_one_chapter_and_short_ones_are_none() {
        let all: Vec<Sentence> = (0..20).map(|n| sentence(n, 1)).collect();
        assert_eq!(chapters(&all, &ChapterRules::default()), [0]);
        assert!(chapters(&[], &ChapterRules::default()).is_empty());
        let flip: Vec<Sentence> = (0..20).map(|n| sentence(n, n % 2)).collect();
        let rules = ChapterRules { shortest: Timestamp::from_secs(100), ..ChapterRules::default() };
        let begins = chapters(&flip, &rules);
        assert!(begins.len() <= 2, "{begins:?}");
    }
}
