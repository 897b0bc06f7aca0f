//! What a clip is worth for a purpose, and why: weighted features, as data.

use super::super::dictionary::{line_of, read_text, toml_error, wrong};
use super::features::{FEATURES, feature};
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use toml::Spanned;

/// How a value becomes a worth of 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", tag = "curve")]
pub enum Curve {
    /// 0 at `from` and beyond, 1 at `to` and beyond, even between; `from` above `to` where less is better.
    Ramp {
        /// Worth nothing.
        from: f64,
        /// Worth all.
        to: f64,
    },
    /// 1 at `best`, 0 at `reach` from it and farther.
    Peak {
        /// Worth all.
        best: f64,
        /// How far from it nothing is left.
        reach: f64,
    },
}

impl Curve {
    /// The worth of `value`, 0 to 1.
    pub fn worth(self, value: f64) -> f64 {
        let worth = match self {
            Self::Ramp { from, to } => (value - from) / (to - from),
            Self::Peak { best, reach } => 1.0 - (value - best).abs() / reach,
        };
        worth.clamp(0.0, 1.0)
    }
}

/// One feature of a purpose.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// The feature's name.
    pub feature: String,
    /// How much it counts, more than 0.
    pub weight: f64,
    /// What its value is worth.
    #[serde(flatten)]
    pub curve: Curve,
    /// What is taken where it cannot be told; the part is left out without.
    pub otherwise: Option<f64>,
}

/// What clips may be wanted for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Purpose {
    /// Its name.
    pub name: String,
    /// What it means.
    pub about: String,
    /// What counts.
    pub parts: Vec<Part>,
}

/// Why a score is what it is: one feature's share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// The feature.
    pub feature: String,
    /// Its value.
    pub value: f64,
    /// What the value is worth, 0 to 1.
    pub worth: f64,
    /// Its part of the weight, 0 to 1: `worth` × `share` × 100 is what it gives to the score.
    pub share: f64,
}

/// A score and its reasons.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scored {
    /// From 0 to 100.
    pub score: f64,
    /// What counted, what gave most first.
    pub reasons: Vec<Reason>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileToml {
    purpose: Vec<Spanned<PurposeToml>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PurposeToml {
    name: String,
    #[serde(default)]
    about: String,
    parts: Vec<Spanned<PartToml>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartToml {
    feature: String,
    weight: f64,
    #[serde(default)]
    from: Option<f64>,
    #[serde(default)]
    to: Option<f64>,
    #[serde(default)]
    best: Option<f64>,
    #[serde(default)]
    reach: Option<f64>,
    #[serde(default)]
    otherwise: Option<f64>,
}

impl Purpose {
    /// Those that come with the engine: `highlight`, `hook`, `lesson`, `ad`.
    ///
    /// # Errors
    /// None: a test reads them.
    pub fn bundled() -> Result<Vec<Self>> {
        Self::from_toml(include_str!("../data/scores/purposes.toml"))
    }

    /// Those of the engine, and of `scores.toml` in a library's folder, which replace them by name.
    ///
    /// # Errors
    /// As [`Purpose::from_toml`].
    pub fn of_library(library: &Path) -> Result<Vec<Self>> {
        let mut all = Self::bundled()?;
        let own = library.join("scores.toml");
        if own.is_file() {
            let text = read_text(&own)?;
            for purpose in Self::from_toml(&text).map_err(|error| error.input(&own))? {
                all.retain(|known| known.name != purpose.name);
                all.push(purpose);
            }
        }
        Ok(all)
    }

    /// Reads purposes in TOML; `docs/insight.md` explains the form.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Input`] that names the line.
    pub fn from_toml(text: &str) -> Result<Vec<Self>> {
        let file: FileToml = toml::from_str(text).map_err(|e| toml_error(text, &e))?;
        let mut all: Vec<Self> = Vec::new();
        for purpose in file.purpose {
            let line = line_of(text, purpose.span().start);
            let purpose = purpose.into_inner();
            if purpose.name.trim().is_empty() || purpose.parts.is_empty() {
                return Err(wrong(line, "a purpose needs a name and parts"));
            }
            if all.iter().any(|known| known.name == purpose.name) {
                return Err(wrong(line, format!("the purpose `{}` stands twice", purpose.name)));
            }
            let mut parts: Vec<Part> = Vec::new();
            for part in purpose.parts {
                let line = line_of(text, part.span().start);
                let part = self::part(part.into_inner(), line)?;
                if parts.iter().any(|known| known.feature == part.feature) {
                    return Err(wrong(line, format!("`{}` stands twice", part.feature)));
                }
                parts.push(part);
            }
            all.push(Self { name: purpose.name, about: purpose.about, parts });
        }
        Ok(all)
    }

    /// What features are worth; 0 where none of the parts can be told.
    pub fn score(&self, values: &BTreeMap<String, f64>) -> Scored {
        let told = self.parts.iter().filter_map(|part| {
            let value = values.get(&part.feature).copied().or(part.otherwise)?;
            Some((part, value, part.curve.worth(value)))
        });
        let told: Vec<_> = told.collect();
        let all: f64 = told.iter().map(|(part, ..)| part.weight).sum();
        let mut scored = Scored { score: 0.0, reasons: Vec::with_capacity(told.len()) };
        for (part, value, worth) in told {
            let share = part.weight / all;
            scored.score += 100.0 * share * worth;
            scored.reasons.push(Reason { feature: part.feature.clone(), value, worth, share });
        }
        scored.reasons.sort_by(|a, b| {
            (b.worth * b.share).total_cmp(&(a.worth * a.share)).then(a.feature.cmp(&b.feature))
        });
        scored
    }
}

fn part(part: PartToml, line: usize) -> Result<Part> {
    let PartToml { feature: name, weight, from, to, best, reach, otherwise } = part;
    if feature(&name).is_none() && !name.starts_with("keywords:") {
        let begin: String = name.chars().take(4).collect();
        let near = FEATURES.iter().find(|known| known.name.starts_with(&begin));
        let hint = near.map_or(String::new(), |near| format!("; perhaps `{}`", near.name));
        return Err(wrong(line, format!("`{name}` is no feature{hint}")));
    }
    if !(weight > 0.0 && weight.is_finite()) {
        return Err(wrong(line, format!("the weight of `{name}` is not above 0")));
    }
    let finite = [from, to, best, reach, otherwise].into_iter().flatten().all(f64::is_finite);
    let curve = match (from, to, best, reach) {
        (Some(from), Some(to), None, None) if from != to => Curve::Ramp { from, to },
        (None, None, Some(best), Some(reach)) if reach > 0.0 => Curve::Peak { best, reach },
        _ => {
            let what = "needs `from` and `to`, which differ, or `best` and a `reach` above 0";
            return Err(wrong(line, format!("`{name}` {what}")));
        }
    };
    if !finite {
        return Err(wrong(line, format!("`{name}` has a number that is none")));
    }
    Ok(Part { feature: name, weight, curve, otherwise })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"[[purpose]]
name = "quick"
parts = [
    { feature = "speech_rate", weight = 3, from = 100, to = 200 },
    { feature = "duration", weight = 1, best = 20, reach = 10 },
    { feature = "loudness", weight = 4, from = -40, to = -10 },
]
"#;

    #[test]
    fn a_score_is_the_weighted_worth_of_what_can_be_told() {
        let purpose = &Purpose::from_toml(GOOD).unwrap()[0];
        let values = BTreeMap::from([("speech_rate".into(), 150.0), ("duration".into(), 25.0)]);
        let scored = purpose.score(&values);
        // 3/4 × 0.5 + 1/4 × 0.5; nobody knows how loud it is.
        assert_eq!(scored.score, 50.0);
        assert_eq!(
            scored.reasons[0],
            Reason { feature: "speech_rate".into(), value: 150.0, worth: 0.5, share: 0.75 }
        );
        let sum: f64 = scored.reasons.iter().map(|r| r.worth * r.share * 100.0).sum();
        assert!((sum - scored.score).abs() < 1e-9);
        assert_eq!(purpose.score(&BTreeMap::new()), Scored { score: 0.0, reasons: vec![] });
    }

    #[test]
    fn curves_have_ends() {
        let down = Curve::Ramp { from: 10.0, to: 0.0 };
        assert_eq!([20.0, 10.0, 5.0, 0.0, -5.0].map(|v| down.worth(v)), [0.0, 0.0, 0.5, 1.0, 1.0]);
        let peak = Curve::Peak { best: 5.0, reach: 2.0 };
        assert_eq!([3.0, 4.0, 5.0, 6.0, 9.0].map(|v| peak.worth(v)), [0.0, 0.5, 1.0, 0.5, 0.0]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let cases = [
            (GOOD.replace("speech_rate", "speech_rates"), 4, "perhaps `speech_rate`"),
            (GOOD.replace("weight = 3", "weight = 0"), 4, "weight"),
            (GOOD.replace("reach = 10", "reach = 0"), 5, "reach"),
            (GOOD.replace("from = 100, ", ""), 4, "from"),
            (GOOD.replace("best = 20", "best = nan"), 5, "number"),
            (GOOD.replace("duration", "speech_rate"), 5, "twice"),
            (GOOD.replace("name = \"quick\"", "name = \"\""), 1, "name"),
            (GOOD.replace("to = 200", "upto = 200"), 4, "upto"),
        ];
        for (text, line, what) in cases {
            let told = Purpose::from_toml(&text).unwrap_err().to_string();
            assert!(told.contains(&format!("line {line}:")) && told.contains(what), "{told}");
        }
    }

    #[test]
    fn the_bundled_ones_are_sound() {
        let names: Vec<String> = Purpose::bundled().unwrap().into_iter().map(|p| p.name).collect();
        assert_eq!(names, ["highlight", "hook", "lesson", "ad"]);
    }
}
