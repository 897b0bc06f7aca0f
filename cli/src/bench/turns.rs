//! The same work several times.

use super::report::Measure;
use rushes::control::Cancel;
use std::time::Instant;

/// How often.
#[derive(Clone, Copy, Debug)]
pub struct Turns {
    /// Turns that count; one more goes before, for caches and clocks to settle.
    pub counted: usize,
}

impl Turns {
    /// Three for a quick look, five otherwise: enough for a permutation test to tell 1 % by chance.
    pub fn of(quick: bool) -> Self {
        Self { counted: if quick { 3 } else { 5 } }
    }

    /// Does `work` and gives the seconds of each turn, with what the last one made.
    pub fn time<T>(
        self,
        cancel: &Cancel,
        mut work: impl FnMut() -> anyhow::Result<T>,
    ) -> anyhow::Result<(Vec<f64>, T)> {
        let mut made = work()?;
        let mut turns = Vec::with_capacity(self.counted);
        for _ in 0..self.counted {
            cancel.check(rushes::error::Stage::Process)?;
            let began = Instant::now();
            made = work()?;
            turns.push(began.elapsed().as_secs_f64());
        }
        Ok((turns, made))
    }
}

/// `amount` done in each of these times: a rate.
pub fn rate(name: &str, unit: &str, amount: f64, seconds: &[f64]) -> Measure {
    Measure {
        name: name.to_owned(),
        unit: unit.to_owned(),
        more_is_better: true,
        turns: seconds.iter().map(|s| amount / s.max(1e-9)).collect(),
        ceiling: None,
    }
}

/// The times themselves.
pub fn seconds(name: &str, seconds: &[f64]) -> Measure {
    Measure {
        name: name.to_owned(),
        unit: "s".to_owned(),
        more_is_better: false,
        turns: seconds.to_vec(),
        ceiling: None,
    }
}
