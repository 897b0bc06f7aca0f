//! What a benchmark writes down: versioned, so that results can be shared and compared.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The form of the file. A reader refuses a newer one.
pub const VERSION: u32 = 1;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Suite {
    /// Every frame of a film, and a picture a second of it
    Decode,
    /// Where its shots begin
    Shots,
    /// Speech to text
    Transcribe,
    /// Texts and pictures as vectors
    Embed,
    /// Nearest vectors among many
    Index,
    /// Pictures laid over each other
    Compose,
    /// A film encoded
    Encode,
    /// `rushes process`, all of it
    E2e,
}

impl Suite {
    /// All of them, in the order in which they run.
    pub const ALL: [Self; 8] = [
        Self::Decode,
        Self::Shots,
        Self::Transcribe,
        Self::Embed,
        Self::Index,
        Self::Compose,
        Self::Encode,
        Self::E2e,
    ];

    /// Its name on the command line and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Shots => "shots",
            Self::Transcribe => "transcribe",
            Self::Embed => "embed",
            Self::Index => "index",
            Self::Compose => "compose",
            Self::Encode => "encode",
            Self::E2e => "e2e",
        }
    }

    /// Whether a GPU does any of its work.
    pub fn uses_gpu(self) -> bool {
        matches!(self, Self::Decode | Self::Transcribe | Self::Embed | Self::Compose | Self::E2e)
    }
}

/// A whole run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// `bench`.
    pub r#type: String,
    /// [`VERSION`].
    pub version: u32,
    /// The program's version.
    pub rushes: String,
    /// Whether it was optimised.
    pub optimised: bool,
    /// Whether inputs were small and turns few.
    pub quick: bool,
    /// What it ran on.
    pub machine: MachineSeen,
    /// What was measured.
    pub suites: Vec<SuiteReport>,
}

/// The machine in a few words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MachineSeen {
    /// The processor's name.
    pub processor: Option<String>,
    /// Threads that may be used.
    pub threads: usize,
    /// Bytes of main memory.
    pub memory: u64,
    /// The GPUs' names.
    pub gpus: Vec<String>,
    /// Driver and what else is known.
    pub facts: Vec<String>,
    /// Share of the processors that others used just before, 0 to 1.
    pub busy: Option<f64>,
}

/// One suite on one device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SuiteReport {
    /// Which.
    pub suite: Suite,
    /// `cpu`, `cuda:0`.
    pub device: String,
    /// Why nothing was measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub skipped: Option<String>,
    /// What was checked.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// What was measured.
    #[serde(default)]
    pub measures: Vec<Measure>,
    /// What all of the suite took.
    #[serde(default)]
    pub effort: Effort,
}

/// A condition that must hold for the figures to mean anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it holds.
    pub holds: bool,
    /// What was seen.
    pub seen: String,
}

/// What a suite took, with the making of its inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Effort {
    /// Seconds.
    pub wall: f64,
    /// Processor seconds.
    pub cpu: f64,
    /// The most main memory at once, in bytes.
    pub peak_bytes: u64,
    /// What the GPUs used, in joules, where the driver tells.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub joules: Option<f64>,
    /// Money for an hour of media, by the prices given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub price_of_hour: Option<f64>,
}

/// One figure, taken several times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// What.
    pub name: String,
    /// In what.
    pub unit: String,
    /// Whether more is better.
    pub more_is_better: bool,
    /// Each turn's value, in order.
    pub turns: Vec<f64>,
    /// The machine's own bound, measured in the same run, in the same unit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ceiling: Option<f64>,
}

impl Measure {
    /// The middle value; `NaN` without any.
    pub fn median(&self) -> f64 {
        let mut turns = self.turns.clone();
        turns.sort_by(f64::total_cmp);
        match turns.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => turns[n / 2],
            n => f64::midpoint(turns[n / 2 - 1], turns[n / 2]),
        }
    }

    /// The median distance from the median, as a share of it.
    pub fn spread(&self) -> f64 {
        let median = self.median();
        let far = self.turns.iter().map(|turn| (turn - median).abs()).collect();
        let far = Self { turns: far, ..self.clone() };
        far.median() / median.abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(turns: &[f64]) -> Measure {
        Measure {
            name: "x".into(),
            unit: "s".into(),
            more_is_better: false,
            turns: turns.to_vec(),
            ceiling: None,
        }
    }

    #[test]
    fn the_middle_and_how_far_the_others_are() {
        assert_eq!(measure(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(measure(&[4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert!(measure(&[]).median().is_nan());
        // Distances from 10: 1, 0, 2, 0, 90.
        assert_eq!(measure(&[9.0, 10.0, 12.0, 10.0, 100.0]).spread(), 0.1);
    }

    #[test]
    fn suites_are_called_the_same_everywhere() {
        for suite in Suite::ALL {
            let name = serde_json::to_value(suite).unwrap();
            assert_eq!(name, suite.as_str());
            assert_eq!(suite.to_possible_value().unwrap().get_name(), suite.as_str());
        }
    }
}
