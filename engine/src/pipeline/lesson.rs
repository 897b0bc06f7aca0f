//! What is made of a film that teaches trading: rules, how they do on prices, what is decided.

use crate::error::Result;
use crate::strategy::extract::Patterns;
use crate::strategy::{Prices, Setup, Thresholds, WalkSplit};

/// The settings of the stages `strategy`, `backtest` and `promotion`.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// How rules are said.
    pub patterns: Patterns,
    /// What they are played through.
    pub prices: Prices,
    /// With what.
    pub setup: Setup,
    /// How prices are divided.
    pub split: WalkSplit,
    /// What must be shown.
    pub thresholds: Thresholds,
}

impl Lesson {
    /// English patterns, made-up prices and the thresholds that come along.
    ///
    /// # Errors
    /// None, unless the build is damaged.
    pub fn bundled() -> Result<Self> {
        Ok(Self {
            patterns: Patterns::bundled()?,
            prices: Prices::synthetic()?,
            setup: Setup::default(),
            split: WalkSplit::default(),
            thresholds: Thresholds::bundled()?,
        })
    }
}
