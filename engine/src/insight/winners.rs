//! How near a clip is to clips that did well.

use super::sentences::cosine;
use crate::library::catalogue::winners::WinnerRow;
use serde::Serialize;
use std::collections::BTreeMap;

/// A winner and how near a clip is to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Near {
    /// The winner's number.
    pub id: i64,
    /// The winner.
    #[serde(flatten)]
    pub winner: WinnerRow,
    /// From 0 to 1: the mean of both below that can be told.
    pub similarity: f64,
    /// Of features, 1 / (1 + d): d is the root mean square of the differences, in deviations of the list.
    #[serde(rename = "likeness_of_features")]
    pub features: f64,
    /// Of meaning, (1 + cosine) / 2; `None` where one of both says nothing, or vectors are of two models.
    #[serde(rename = "likeness_of_meaning")]
    pub meaning: Option<f64>,
}

/// A feature over a list of winners.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The feature.
    pub feature: String,
    /// How many winners have it.
    pub count: usize,
    /// Its mean.
    pub mean: f64,
    /// Its standard deviation.
    pub deviation: f64,
}

/// The features over `winners`.
pub fn spreads(winners: &[(i64, WinnerRow)]) -> Vec<Spread> {
    let mut all: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (_, winner) in winners {
        for (name, value) in &winner.features {
            all.entry(name).or_default().push(*value);
        }
    }
    let spread = |(name, values): (&str, Vec<f64>)| {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
        Spread { feature: name.to_owned(), count: values.len(), mean, deviation }
    };
    all.into_iter().map(spread).collect()
}

/// The winners nearest to a clip with `features` and `vector`, the nearest first.
pub fn nearest(
    winners: Vec<(i64, WinnerRow)>,
    features: &BTreeMap<String, f64>,
    vector: &[f32],
    count: usize,
) -> Vec<Near> {
    // A list of one, or of equals, has no deviation: a tenth of the value, then.
    let scale: BTreeMap<String, f64> = spreads(&winners)
        .into_iter()
        .map(|spread| {
            let least = (spread.mean.abs() / 10.0).max(1e-3);
            (spread.feature, spread.deviation.max(least))
        })
        .collect();
    let near = |(id, winner): (i64, WinnerRow)| {
        let both = winner.features.iter().filter_map(|(name, value)| {
            Some(((features.get(name)? - value) / scale.get(name)?).powi(2))
        });
        let (sum, shared) =
            both.fold((0.0_f64, 0.0_f64), |(sum, count), square| (sum + square, count + 1.0));
        let alike = if shared > 0.0 { 1.0 / (1.0 + (sum / shared).sqrt()) } else { 0.0 };
        let told = !vector.is_empty() && vector.len() == winner.vector.len();
        let meaning = told.then(|| f64::from(1.0 + cosine(vector, &winner.vector)) / 2.0);
        let similarity = meaning.map_or(alike, |meaning| (alike + meaning) / 2.0);
        Near { id, winner, similarity, features: alike, meaning }
    };
    let mut all: Vec<Near> = winners.into_iter().map(near).collect();
    all.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.id.cmp(&b.id)));
    all.truncate(count);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::ContentId;
    use crate::time::{Span, Timestamp};

    fn winner(rate: f64, vector: &[f32]) -> WinnerRow {
        WinnerRow {
            list: "shorts".into(),
            content: ContentId::of(b"film"),
            film: "film".into(),
            span: Span { start: Timestamp::ZERO, end: Timestamp::from_secs(9) },
            title: String::new(),
            note: String::new(),
            added_ms: 0,
            features: BTreeMap::from([("speech_rate".into(), rate)]),
            vector: vector.to_vec(),
        }
    }

    #[test]
    fn the_nearest_is_alike_in_features_and_meaning() {
        let winners = vec![(1, winner(100.0, &[1.0, 0.0])), (2, winner(200.0, &[0.0, 1.0]))];
        let features =
            BTreeMap::from([("speech_rate".to_owned(), 150.0), ("other".to_owned(), 1.0)]);
        let near = nearest(winners.clone(), &features, &[0.0, 1.0], 5);
        // One deviation (50) from both; the meaning of the second.
        assert_eq!((near[0].id, near[0].features, near[0].meaning), (2, 0.5, Some(1.0)));
        assert_eq!((near[0].similarity, near[1].similarity), (0.75, 0.5));
        // Of another model, or nothing said: features alone.
        assert_eq!(nearest(winners, &features, &[1.0], 1)[0].meaning, None);
        assert!(nearest(Vec::new(), &features, &[], 3).is_empty());
    }

    #[test]
    fn spreads_are_means_and_deviations() {
        let winners = vec![(1, winner(100.0, &[])), (2, winner(200.0, &[]))];
        let made = spreads(&winners);
        assert_eq!((made[0].count, made[0].mean, made[0].deviation), (2, 150.0, 50.0));
    }
}
