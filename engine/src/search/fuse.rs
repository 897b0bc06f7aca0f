//! Several lists of places in films made one list of moments.
//!
//! Scores of different ways cannot be compared; ranks can. Reciprocal rank fusion (Cormack, Clarke
//! and Büttcher, SIGIR 2009) adds `weight / (60 + rank)` over the lists that a moment is on.

use crate::time::{Span, Timestamp};
use std::collections::HashMap;

/// The constant of the paper: how little the first ranks differ.
const RANKS: f64 = 60.0;

/// What lies at most this far apart belongs to one moment.
const GAP: Timestamp = Timestamp::from_secs(1);

/// No moment grows longer than this by taking in others.
const LONGEST: Timestamp = Timestamp::from_secs(40);

/// One entry of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Place<R> {
    /// The film.
    pub media: i64,
    /// Where in it.
    pub span: Span,
    /// Why it is on the list.
    pub reason: R,
}

/// Places that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment<R> {
    /// The film.
    pub media: i64,
    /// The places together.
    pub span: Span,
    /// Higher is better: the sum over the lists that it is on.
    pub score: f64,
    /// The reasons, the weightiest first.
    pub reasons: Vec<R>,
}

struct Ranked<R> {
    place: Place<R>,
    list: usize,
    share: f64,
}

/// Fuses `lists`, each with its weight and its places, best first. Of each list only the best place
/// of a moment counts. Best moments come first; equal ones in order of film and time.
pub fn fuse<R>(lists: Vec<(f64, Vec<Place<R>>)>) -> Vec<Moment<R>> {
    let mut all: Vec<Ranked<R>> = Vec::new();
    for (list, (weight, places)) in lists.into_iter().enumerate() {
        let ranked = places.into_iter().enumerate().map(|(rank, place)| Ranked {
            place,
            list,
            share: weight / (RANKS + rank as f64 + 1.0),
        });
        all.extend(ranked);
    }
    // Around the best place first, so that a moment is about that and not about what lies between.
    all.sort_by(|a, b| {
        let by_place = || {
            (a.place.media, a.place.span.start, a.place.span.end).cmp(&(
                b.place.media,
                b.place.span.start,
                b.place.span.end,
            ))
        };
        b.share.total_cmp(&a.share).then_with(by_place)
    });
    /// What lies together in a film, and where.
    type Groups<R> = Vec<(Span, Vec<Ranked<R>>)>;
    let mut films: HashMap<i64, Groups<R>> = HashMap::new();
    for ranked in all {
        let Place { media, span, .. } = ranked.place;
        let groups = films.entry(media).or_default();
        let near = groups
            .iter_mut()
            .find_map(|(whole, group)| Some((joined(*whole, span)?, whole, group)));
        match near {
            Some((both, whole, group)) => {
                *whole = both;
                group.push(ranked);
            }
            None => groups.push((span, vec![ranked])),
        }
    }
    let groups = films.into_iter().flat_map(|(media, groups)| {
        groups.into_iter().map(move |(span, group)| (media, span, group))
    });
    let mut moments: Vec<Moment<R>> = groups
        .map(|(media, span, group)| {
            let mut counted = Vec::new();
            let mut score = 0.0;
            for ranked in &group {
                if !counted.contains(&ranked.list) {
                    counted.push(ranked.list);
                    score += ranked.share;
                }
            }
            let reasons = group.into_iter().map(|ranked| ranked.place.reason).collect();
            Moment { media, span, score, reasons }
        })
        .collect();
    moments.sort_by(|a, b| {
        let by_place = || (a.media, a.span.start).cmp(&(b.media, b.span.start));
        b.score.total_cmp(&a.score).then_with(by_place)
    });
    moments
}

/// Both as one, if they lie together and the whole is not too long.
fn joined(a: Span, b: Span) -> Option<Span> {
    let apart = a.start.max(b.start) > a.end.min(b.end).plus(GAP);
    let whole = Span::new(a.start.min(b.start), a.end.max(b.end))?;
    let inside = whole == a;
    (!apart && (inside || whole.duration() <= LONGEST)).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(media: i64, from: i64, to: i64, reason: &'static str) -> Place<&'static str> {
        let span = Span::new(Timestamp::from_secs(from), Timestamp::from_secs(to)).unwrap();
        Place { media, span, reason }
    }

    #[test]
    fn what_is_on_two_lists_comes_first() {
        let said = vec![place(1, 0, 4, "a"), place(2, 10, 14, "b")];
        let meant = vec![place(1, 50, 54, "c"), place(2, 11, 15, "d")];
        let moments = fuse(vec![(1.0, said), (1.0, meant)]);
        assert_eq!(moments.len(), 3);
        assert_eq!((moments[0].media, moments[0].reasons.len()), (2, 2));
        assert_eq!(moments[0].span, place(2, 10, 15, "").span);
        assert!(moments[0].score > moments[1].score);
        // Equal scores: by place.
        assert_eq!(
            (moments[1].span.start, moments[2].span.start.as_millis()),
            (Timestamp::ZERO, 50_000)
        );
    }

    #[test]
    fn one_list_counts_once_however_often() {
        let once = fuse(vec![(1.0, vec![place(1, 0, 4, "a")])]);
        let often = fuse(vec![(1.0, vec![place(1, 0, 4, "a"), place(1, 2, 5, "b")])]);
        assert!((once[0].score - often[0].score).abs() < 1e-12);
        assert_eq!(often[0].reasons, ["a", "b"]);
    }

    #[test]
    fn films_are_kept_apart_and_moments_stay_short() {
        let places: Vec<_> = (0..100).map(|i| place(1, i, i + 2, "x")).collect();
        let moments = fuse(vec![(1.0, places), (1.0, vec![place(2, 0, 2, "y")])]);
        assert!(moments.iter().all(|m| m.span.duration() <= LONGEST));
        assert!(moments.iter().any(|m| m.media == 2));
        // A single place may be longer.
        assert_eq!(fuse(vec![(1.0, vec![place(1, 0, 90, "x")])]).len(), 1);
        assert!(fuse::<()>(vec![(1.0, vec![])]).is_empty());
    }
}
