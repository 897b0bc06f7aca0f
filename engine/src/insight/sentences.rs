//! Sentences with their vectors: what topics, chapters, repetitions and clips are made of.

use super::passage::{Passage, Source};
use super::words::Stems;
use crate::time::{Span, Timestamp};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// A sentence that is said.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentence {
    /// The passage that it is from.
    pub passage: usize,
    /// Its tokens.
    pub tokens: Range<usize>,
    /// When it is heard.
    pub span: Span,
    /// The segment that it begins in.
    pub row: i64,
    /// Its text.
    pub text: String,
    /// What it means, of length 1; all zeros where nothing is known of it.
    pub vector: Vec<f32>,
}

/// A pause that ends a sentence which has no full stop.
const PAUSE: Timestamp = Timestamp::from_millis(800);
/// The most words of a sentence.
const MOST: usize = 60;
/// The components of vectors made of words alone.
const WIDTH: usize = 256;

/// The sentences of what is said in `passages`. `vectors` are those of segments by their numbers; where
/// they are missing, vectors are made of the words ([`lexical`]).
pub fn sentences(
    passages: &[Passage],
    vectors: &HashMap<i64, Vec<f32>>,
    stop: impl Fn(&str) -> HashSet<String>,
) -> Vec<Sentence> {
    let mut all = Vec::new();
    for (number, passage) in passages.iter().enumerate().filter(|(_, p)| p.source == Source::Said) {
        let mut from = 0;
        for n in 1..=passage.tokens.len() {
            let ends = match (passage.tokens.get(n), &passage.tokens[n - 1]) {
                (None, _) => true,
                (Some(next), last) => {
                    next.begins
                        || n - from >= MOST
                        || (next.row != last.row && next.span.start.minus(last.span.end) >= PAUSE)
                }
            };
            if !ends {
                continue;
            }
            let tokens = from..n;
            from = n;
            let Some(span) = passage.span_of(&tokens) else { continue };
            let next = passage.tokens.get(n).map_or(passage.text.len(), |next| next.at.start);
            let begin = passage.tokens[tokens.start].at.start;
            let text = passage.text.get(begin..next).unwrap_or("").trim().to_owned();
            let row = passage.tokens[tokens.start].row;
            let vector = mean(passage, &tokens, vectors);
            all.push(Sentence { passage: number, tokens, span, row, text, vector });
        }
    }
    if all.iter().any(|sentence| sentence.vector.is_empty()) {
        let made = lexical(passages, &all, stop);
        all.iter_mut().zip(made).for_each(|(sentence, vector)| sentence.vector = vector);
    }
    all
}

/// The mean of the vectors of the segments that a sentence lies in; empty where there is none.
fn mean(passage: &Passage, tokens: &Range<usize>, vectors: &HashMap<i64, Vec<f32>>) -> Vec<f32> {
    let mut sum: Vec<f32> = Vec::new();
    let mut last = None;
    for token in &passage.tokens[tokens.clone()] {
        if last == Some(token.row) {
            continue;
        }
        last = Some(token.row);
        let Some(vector) = vectors.get(&token.row) else { continue };
        sum.resize(vector.len(), 0.0);
        sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
    }
    unit(&mut sum);
    sum
}

/// Vectors of what words sentences have: stems without stop words, weighted by tf·idf and hashed into
/// [`WIDTH`] components (Weinberger et al., "Feature hashing", 2009).
pub fn lexical(
    passages: &[Passage],
    sentences: &[Sentence],
    stop: impl Fn(&str) -> HashSet<String>,
) -> Vec<Vec<f32>> {
    let mut lists: HashMap<&str, (HashSet<String>, Stems)> = HashMap::new();
    let mut bags: Vec<HashMap<String, f32>> = Vec::with_capacity(sentences.len());
    let mut documents: HashMap<String, f32> = HashMap::new();
    for sentence in sentences {
        let passage = &passages[sentence.passage];
        let (list, stems) = lists
            .entry(&passage.language)
            .or_insert_with(|| (stop(&passage.language), Stems::of(&passage.language)));
        let mut bag: HashMap<String, f32> = HashMap::new();
        for token in &passage.tokens[sentence.tokens.clone()] {
            if !list.contains(&*token.folded) {
                *bag.entry(stems.stem(&token.folded).to_owned()).or_default() += 1.0;
            }
        }
        for stem in bag.keys() {
            *documents.entry(stem.clone()).or_default() += 1.0;
        }
        bags.push(bag);
    }
    let count = sentences.len() as f32;
    let vectors = bags.into_iter().map(|bag| {
        let mut vector = vec![0.0; WIDTH];
        // In one order, so that sums come out the same to the last bit.
        let mut bag: Vec<(String, f32)> = bag.into_iter().collect();
        bag.sort_by(|a, b| a.0.cmp(&b.0));
        for (stem, times) in bag {
            let idf =
                ((1.0 + count) / (1.0 + documents.get(&stem).copied().unwrap_or(0.0))).ln() + 1.0;
            let hash = blake3::hash(stem.as_bytes());
            let [place, sign, ..] = *hash.as_bytes();
            vector[usize::from(place)] += if sign & 1 == 0 { times * idf } else { -times * idf };
        }
        unit(&mut vector);
        vector
    });
    vectors.collect()
}

/// Scales `vector` to length 1; one of length 0 stays.
pub fn unit(vector: &mut [f32]) {
    let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
    if length > 0.0 && length.is_finite() {
        vector.iter_mut().for_each(|v| *v /= length);
    }
}

/// The cosine of two vectors of length 1; 0 where they cannot be compared.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return 0.0;
    }
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The sum of vectors, of length 1.
pub fn centre<'v>(vectors: impl IntoIterator<Item = &'v Vec<f32>>) -> Vec<f32> {
    let mut sum: Vec<f32> = Vec::new();
    for vector in vectors {
        sum.resize(vector.len().max(sum.len()), 0.0);
        sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
    }
    unit(&mut sum);
    sum
}

#[cfg(test)]
mod tests {
    use super::super::passage::untimed;
    use super::super::stopwords::stopwords;
    use super::*;

    #[test]
    fn sentences_end_at_full_stops_and_know_their_text() {
        let passage = untimed("Buy the dip. Is it risky? Set a stop", "en", 10);
        let all = sentences(&[passage], &HashMap::new(), stopwords);
        let texts: Vec<&str> = all.iter().map(|s| s.text.as_str()).collect();
        assert_eq!(texts, ["Buy the dip.", "Is it risky?", "Set a stop"]);
        assert_eq!(all[1].span.start, Timestamp::from_millis(130));
        assert!(all.iter().all(|s| (cosine(&s.vector, &s.vector) - 1.0).abs() < 1e-5));
    }

    #[test]
    fn vectors_of_segments_are_taken_where_they_are() {
        let passage = untimed("Buy it. Sell it", "en", 10);
        let known = HashMap::from([(0, vec![3.0, 4.0])]);
        let all = sentences(&[passage], &known, stopwords);
        assert_eq!(all[0].vector, [0.6, 0.8]);
    }

    #[test]
    fn sentences_of_the_same_words_are_near() {
        let passage =
            untimed("The market rises. Markets are rising. A cat sleeps on a sofa", "en", 10);
        let all = sentences(&[passage], &HashMap::new(), stopwords);
        assert!(cosine(&all[0].vector, &all[1].vector) > 0.99);
        assert!(cosine(&all[0].vector, &all[2].vector).abs() < 0.3);
    }
}
