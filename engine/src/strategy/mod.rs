//! From what is taught to what can be tested: trading rules in a small typed language, found in what is
//! said, run against prices, and promoted only where they hold on prices they were not looked at with.
//!
//! Pure: texts, rules and prices go in; rules, trades and figures come out. This is research into what
//! was said. It is no advice, and nothing here trades.

mod backtest;
pub mod extract;
mod indicators;
mod metrics;
mod moment;
mod plot;
mod prices;
mod promote;
mod rules;
mod series;
mod study;
mod walk;

pub use backtest::{Backtest, Costs, Leave, Setup, Sizing, Trade, backtest};
pub use metrics::{Metrics, metrics};
pub use moment::Moment;
pub use plot::equity_svg;
pub use prices::{Bar, PriceRules, Prices};
pub use promote::{Check, Promotion, Thresholds, WARNING, promote};
pub use rules::{
    BollingerBand, Comparison, Condition, Direction, MacdLine, Missing, Operand, PriceField,
    RuleBook, Stop, Strategy, Target, Timeframe, Told,
};
pub use study::{Study, study, testable};
pub use walk::{Fold, Walk, WalkSplit, buy_and_hold, walk_forward};

#[cfg(test)]
mod golden_tests;
