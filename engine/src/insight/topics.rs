//! Topics: sentences grouped by meaning.
//!
//! Spherical k-means (Dhillon and Modha, 2001) from far-apart seeds, for a few numbers of groups; the
//! one whose groups stand apart best (mean simplified silhouette) is taken.

use super::sentences::{centre, cosine};

/// Groups of vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// For each vector, the number of its group.
    pub of: Vec<usize>,
    /// How many groups there are.
    pub count: usize,
    /// How well they stand apart: the mean over all vectors of (a − b) / max(1 − b, 1 − a) with a the cosine to
    /// its own centre and b to the next one; 0 for a single group.
    pub silhouette: f32,
}

/// The most topics of a film.
const MOST: usize = 8;
/// Fewer sentences to a topic are none.
const LEAST: usize = 3;
/// Groups that stand apart less are one.
const APART: f32 = 0.08;
const ROUNDS: usize = 30;

/// Groups `vectors` of length 1. The same vectors always give the same groups.
pub fn clusters(vectors: &[&[f32]]) -> Clusters {
    let one = Clusters {
        of: vec![0; vectors.len()],
        count: usize::from(!vectors.is_empty()),
        silhouette: 0.0,
    };
    let most = MOST.min(vectors.len() / LEAST);
    let mut best = one;
    for count in 2..=most {
        let made = k_means(vectors, count);
        if made.silhouette > best.silhouette.max(APART) {
            best = made;
        }
    }
    best
}

fn k_means(vectors: &[&[f32]], count: usize) -> Clusters {
    let mut centres = seeds(vectors, count);
    let mut of = vec![usize::MAX; vectors.len()];
    for _ in 0..ROUNDS {
        let nearest: Vec<usize> = vectors.iter().map(|v| two_nearest(v, &centres).0).collect();
        if nearest == of {
            break;
        }
        of = nearest;
        for (group, at) in centres.iter_mut().enumerate() {
            let own: Vec<Vec<f32>> = vectors
                .iter()
                .zip(&of)
                .filter(|(_, of)| **of == group)
                .map(|(vector, _)| vector.to_vec())
                .collect();
            if !own.is_empty() {
                *at = centre(own.iter());
            }
        }
    }
    let mut apart = 0.0;
    for vector in vectors {
        let (_, own, next) = two_nearest(vector, &centres);
        let widest = (1.0 - own).max(1.0 - next);
        apart += if widest > 0.0 { (own - next) / widest } else { 0.0 };
    }
    // Groups by when they are first met, without empty ones.
    let mut numbers: Vec<Option<usize>> = vec![None; count];
    let mut used = 0;
    for group in &mut of {
        let number = *numbers[*group].get_or_insert_with(|| {
            used += 1;
            used - 1
        });
        *group = number;
    }
    Clusters { of, count: used, silhouette: apart / vectors.len().max(1) as f32 }
}

/// The vector nearest to the middle of all, then always the one farthest from those taken.
fn seeds(vectors: &[&[f32]], count: usize) -> Vec<Vec<f32>> {
    let all: Vec<Vec<f32>> = vectors.iter().map(|v| v.to_vec()).collect();
    let middle = centre(all.iter());
    let mut seeds: Vec<Vec<f32>> = Vec::with_capacity(count);
    while seeds.len() < count {
        let score = |vector: &[f32]| match seeds.is_empty() {
            true => cosine(vector, &middle),
            false => -seeds.iter().map(|s| cosine(vector, s)).fold(f32::MIN, f32::max),
        };
        let Some(next) = vectors.iter().max_by(|a, b| score(a).total_cmp(&score(b))) else { break };
        seeds.push(next.to_vec());
    }
    seeds
}

/// The nearest centre, the cosine to it and to the second nearest.
fn two_nearest(vector: &[f32], centres: &[Vec<f32>]) -> (usize, f32, f32) {
    let mut best = (0, f32::MIN, f32::MIN);
    for (n, centre) in centres.iter().enumerate() {
        let near = cosine(vector, centre);
        if near > best.1 {
            best = (n, near, best.1);
        } else if near > best.2 {
            best.2 = near;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(axis: usize, n: usize) -> Vec<f32> {
        let mut vector = vec![0.0; 8];
        vector[axis] = 1.0;
        vector[7] = 0.05 * (n % 5) as f32;
        crate::insight::sentences::unit(&mut vector);
        vector
    }

    #[test]
    fn groups_that_are_there_are_found() {
        let all: Vec<Vec<f32>> = (0..30).map(|n| around(n / 10, n)).collect();
        let refs: Vec<&[f32]> = all.iter().map(Vec::as_slice).collect();
        let made = clusters(&refs);
        assert_eq!(made.count, 3);
        let wanted: Vec<usize> = (0..30).map(|n| n / 10).collect();
        assert_eq!(made.of, wanted);
        assert!(made.silhouette > 0.9, "{}", made.silhouette);
    }

    #[test]
    fn what_is_alike_is_one_group() {
        let all: Vec<Vec<f32>> = (0..20).map(|_| around(1, 0)).collect();
        let refs: Vec<&[f32]> = all.iter().map(Vec::as_slice).collect();
        assert_eq!(clusters(&refs).count, 1);
        assert_eq!(clusters(&[]).count, 0);
        assert_eq!(clusters(&refs[..2]).of, [0, 0]);
    }
}
