//! What a row of clips is worth as a film: hook, pace, clarity, variety, length, captions.

use super::super::sentences::cosine;
use super::measure::Measured;
use super::score::{Curve, Purpose};
use serde::Serialize;
use std::collections::BTreeMap;

/// What is wanted of a storyboard.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Wanted {
    /// How long it should be, in seconds.
    pub length: f64,
    /// How far from that nothing is left.
    pub reach: f64,
}

impl Default for Wanted {
    /// A minute, give or take half of one.
    fn default() -> Self {
        Self { length: 60.0, reach: 45.0 }
    }
}

/// A clip of a storyboard: how it was measured, and how many letters of captions are over it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panel {
    /// Its features, text and meaning.
    pub measured: Measured,
    /// Letters to be read in captions and titles of the edit, beside what its pictures show.
    pub captions: usize,
}

/// One of the scores, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// `hook`, `pace`, `clarity`, `variety`, `length` or `captions`.
    pub name: &'static str,
    /// From 0 to 100; `None` where there is nothing to judge by.
    pub score: Option<f64>,
    /// Why, in words.
    pub why: Vec<String>,
}

/// The most letters a second that can be read in comfort: 17 (Netflix, "Timed text style guide: English",
/// adult programmes 20), and where it is too much.
const READ: Curve = Curve::Ramp { from: 25.0, to: 17.0 };

/// Judges `panels` in their order; `hook` is the purpose that the first one is measured by.
pub fn judge(panels: &[Panel], hook: &Purpose, wanted: Wanted) -> Vec<Judged> {
    vec![
        opening(panels, hook),
        pace(panels),
        clarity(panels),
        variety(panels),
        length(panels, wanted),
        captions(panels),
    ]
}

fn values<'p>(panels: &'p [Panel], name: &'p str) -> impl Iterator<Item = (f64, f64)> + 'p {
    panels.iter().filter_map(move |panel| {
        let values = &panel.measured.values;
        Some((*values.get(name)?, *values.get("duration")?))
    })
}

/// The mean of a feature, by length.
fn mean(panels: &[Panel], name: &str) -> Option<f64> {
    let (sum, time) = values(panels, name)
        .fold((0.0, 0.0), |(sum, all), (value, time)| (sum + value * time, all + time));
    (time > 0.0).then(|| sum / time)
}

fn total(panels: &[Panel]) -> f64 {
    values(panels, "duration").map(|(value, _)| value).sum()
}

fn opening(panels: &[Panel], hook: &Purpose) -> Judged {
    let Some(first) = panels.first() else {
        return Judged { name: "hook", score: None, why: vec!["there is no clip".to_owned()] };
    };
    let scored = hook.score(&first.measured.values);
    let best = scored.reasons.iter().take(2).filter(|r| r.worth > 0.0);
    let mut why: Vec<String> = best
        .map(|r| format!("the first clip's {} is {} (good)", r.feature, shown(r.value)))
        .collect();
    let mut missing: Vec<_> = scored.reasons.iter().filter(|r| r.worth < 0.5).collect();
    missing.sort_by(|a, b| ((1.0 - b.worth) * b.share).total_cmp(&((1.0 - a.worth) * a.share)));
    why.extend(missing.iter().take(2).map(|r| {
        format!(
            "its {} of {} costs {:.0} points",
            r.feature,
            shown(r.value),
            (1.0 - r.worth) * r.share * 100.0
        )
    }));
    Judged { name: "hook", score: Some(scored.score), why }
}

fn pace(panels: &[Panel]) -> Judged {
    let mut parts: Vec<(f64, String)> = Vec::new();
    let length = total(panels);
    if length > 0.0 {
        // Each clip is a cut too.
        let inner: f64 = values(panels, "shots").map(|(shots, _)| (shots - 1.0).max(0.0)).sum();
        let cuts = (panels.len().saturating_sub(1) as f64 + inner) * 60.0 / length;
        let worth = Curve::Peak { best: 18.0, reach: 18.0 }.worth(cuts.min(18.0));
        parts.push((worth, format!("{cuts:.1} cuts a minute")));
    }
    if let Some(rate) = mean(panels, "speech_rate") {
        let worth = Curve::Peak { best: 155.0, reach: 90.0 }.worth(rate);
        parts.push((worth, format!("{rate:.0} words a minute")));
    }
    if let Some(pause) = values(panels, "longest_pause").map(|(value, _)| value).reduce(f64::max) {
        let worth = Curve::Ramp { from: 4.0, to: 0.8 }.worth(pause);
        parts.push((worth, format!("the longest pause is {pause:.1} s")));
    }
    averaged("pace", parts)
}

fn clarity(panels: &[Panel]) -> Judged {
    let parts = [
        ("confidence", Curve::Ramp { from: 0.5, to: 0.9 }, "words are recognised with"),
        ("fillers", Curve::Ramp { from: 0.06, to: 0.0 }, "the share of fillers is"),
        ("starts_sentence", Curve::Ramp { from: 0.0, to: 1.0 }, "clips begin with a sentence:"),
        ("ends_sentence", Curve::Ramp { from: 0.0, to: 1.0 }, "clips end with one:"),
    ];
    let parts = parts.into_iter().filter_map(|(name, curve, words)| {
        let value = mean(panels, name)?;
        Some((curve.worth(value), format!("{words} {}", shown(value))))
    });
    averaged("clarity", parts.collect())
}

fn variety(panels: &[Panel]) -> Judged {
    let mut parts = Vec::new();
    let said: Vec<&[f32]> =
        panels.iter().map(|p| p.measured.vector.as_slice()).filter(|v| !v.is_empty()).collect();
    let near: Vec<f64> = said.windows(2).map(|two| f64::from(cosine(two[0], two[1]))).collect();
    if !near.is_empty() {
        let mean = near.iter().sum::<f64>() / near.len() as f64;
        let worth = Curve::Ramp { from: 0.95, to: 0.4 }.worth(mean);
        parts.push((worth, format!("neighbours mean the same by {mean:.2}")));
    }
    let texts: Vec<&str> =
        panels.iter().map(|p| p.measured.text.as_str()).filter(|t| !t.is_empty()).collect();
    let twice = (1..texts.len()).filter(|n| texts[..*n].contains(&texts[*n])).count();
    if texts.len() > 1 {
        let worth = 1.0 - twice as f64 / (texts.len() - 1) as f64;
        parts.push((worth, format!("{twice} clips say what another one says")));
    }
    for name in ["brightness", "motion"] {
        let all: Vec<f64> = values(panels, name).map(|(value, _)| value).collect();
        if all.len() > 1 {
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            let spread =
                (all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / all.len() as f64).sqrt();
            let reach = if name == "brightness" { 0.12 } else { 0.03 };
            let worth = Curve::Ramp { from: 0.0, to: reach }.worth(spread);
            parts.push((worth, format!("{name} differs by {spread:.2}")));
        }
    }
    averaged("variety", parts)
}

fn length(panels: &[Panel], wanted: Wanted) -> Judged {
    let length = total(panels);
    let worth = Curve::Peak { best: wanted.length, reach: wanted.reach.max(0.001) }.worth(length);
    let why = format!("{length:.1} s where {:.1} s are wanted", wanted.length);
    Judged { name: "length", score: (!panels.is_empty()).then_some(worth * 100.0), why: vec![why] }
}

fn captions(panels: &[Panel]) -> Judged {
    let loads = panels.iter().enumerate().filter_map(|(n, panel)| {
        let values: &BTreeMap<String, f64> = &panel.measured.values;
        let length = *values.get("duration")?;
        let shown = values.get("text_letters").copied().unwrap_or(0.0);
        (length > 0.0).then(|| (n, shown + panel.captions as f64 / length))
    });
    let loads: Vec<(usize, f64)> = loads.collect();
    let Some((n, most)) = loads.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1)) else {
        return Judged { name: "captions", score: None, why: vec!["there is no clip".to_owned()] };
    };
    let worth = loads.iter().map(|(_, load)| READ.worth(*load)).sum::<f64>() / loads.len() as f64;
    let why = format!("clip {} has the most to read: {most:.1} letters a second", n + 1);
    Judged { name: "captions", score: Some(worth * 100.0), why: vec![why] }
}

fn averaged(name: &'static str, parts: Vec<(f64, String)>) -> Judged {
    let count = parts.len() as f64;
    let score =
        (count > 0.0).then(|| 100.0 * parts.iter().map(|(worth, _)| worth).sum::<f64>() / count);
    let why = parts.into_iter().map(|(worth, why)| format!("{why} ({:.0})", worth * 100.0));
    Judged { name, score, why: why.collect() }
}

/// A value in few digits.
fn shown(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(values: &[(&str, f64)], vector: &[f32], text: &str) -> Panel {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let measured = Measured { values, text: text.to_owned(), vector: vector.to_vec() };
        Panel { measured, captions: 0 }
    }

    fn score(panels: &[Panel], name: &str) -> f64 {
        let hook = &Purpose::bundled().unwrap()[1];
        let all = judge(panels, hook, Wanted::default());
        let one = all.into_iter().find(|one| one.name == name).unwrap();
        assert!(!one.why.is_empty());
        one.score.unwrap()
    }

    #[test]
    fn each_score_is_known() {
        let good = [
            ("duration", 20.0),
            ("speech_rate", 155.0),
            ("longest_pause", 0.5),
            ("shots", 6.0),
            ("confidence", 0.95),
            ("fillers", 0.0),
            ("starts_sentence", 1.0),
            ("ends_sentence", 1.0),
            ("text_letters", 5.0),
        ];
        let panels = [
            panel(&good, &[1.0, 0.0], "a"),
            panel(&good, &[0.0, 1.0], "b"),
            panel(&good, &[1.0, 0.0], "c"),
        ];
        // 60 s; 2 + 15 cuts in a minute of 18; all else as well as can be.
        assert!((score(&panels, "pace") - 100.0 * (17.0 / 18.0 + 2.0) / 3.0).abs() < 1e-9);
        for name in ["clarity", "variety", "length", "captions"] {
            assert_eq!(score(&panels, name), 100.0, "{name}");
        }
        let mut wordy = panels[0].clone();
        // 5 and 16 letters a second, between 17 and 25.
        wordy.captions = 320;
        assert_eq!(score(&[wordy], "captions"), 50.0);
        let same = [panels[0].clone(), panels[0].clone()];
        assert_eq!(score(&same, "variety"), 0.0);
        assert!((score(&same, "length") - 100.0 * (1.0 - 20.0 / 45.0)).abs() < 1e-9);
        assert_eq!(
            score(&panels, "hook"),
            Purpose::bundled().unwrap()[1].score(&panels[0].measured.values).score
        );
    }

    #[test]
    fn nothing_is_judged_by_nothing() {
        let hook = &Purpose::bundled().unwrap()[1];
        assert!(judge(&[], hook, Wanted::default()).iter().all(|one| one.score.is_none()));
    }
}
