//! The language of rules: what it can say, how it is read, and everything that is wrong with a file.

use super::Moment;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::timeline::{Faults, step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// The version of the file's form.
const VERSION: u32 = 1;
/// The longest look back of an indicator, in bars.
const LONGEST: u32 = 10_000;
/// The most strategies and conditions of each that are read.
const MOST: usize = 256;
/// The largest file that is read.
const MOST_BYTES: u64 = 16 << 20;

/// A file of rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleBook {
    /// The version of this form: 1.
    pub rules: u32,
    /// The strategies.
    pub strategies: Vec<Strategy>,
}

/// When to get in, when to get out, and how much to lose before admitting it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Strategy {
    /// Its name, once in a file: lower-case letters, digits and `-`.
    pub name: String,
    /// Which way it bets.
    pub direction: Told<Direction>,
    /// What a bar stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeframe: Option<Told<Timeframe>>,
    /// It gets in when all of these hold.
    #[serde(default)]
    pub entry: Vec<Told<Condition>>,
    /// It gets out when any of these holds.
    #[serde(default)]
    pub exit: Vec<Told<Condition>>,
    /// Where it admits to be wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Told<Stop>>,
    /// Where it is content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Told<Target>>,
    /// How far what was said can be relied on, 0 to 1; 1 for rules written by hand.
    #[serde(default = "sure")]
    pub confidence: f64,
    /// What was not said. Worked out anew when a file is read.
    #[serde(default)]
    pub missing: Vec<Missing>,
}

fn sure() -> f64 {
    1.0
}

/// A part of a rule and the moment that says it; none for what was written by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Told<T> {
    /// The part.
    pub value: T,
    /// The moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<Moment>,
}

impl<T> Told<T> {
    /// A part that nobody said.
    pub fn written(value: T) -> Self {
        Self { value, said: None }
    }
}

/// Which way a strategy bets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// It gains when prices rise.
    Long,
    /// It gains when prices fall.
    Short,
}

impl Direction {
    /// 1 for long, -1 for short.
    pub(super) fn side(self) -> f64 {
        match self {
            Self::Long => 1.0,
            Self::Short => -1.0,
        }
    }
}

/// What a bar stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Timeframe {
    /// A minute.
    #[serde(rename = "1m")]
    Minute,
    /// Five minutes.
    #[serde(rename = "5m")]
    Minutes5,
    /// A quarter of an hour.
    #[serde(rename = "15m")]
    Minutes15,
    /// Half an hour.
    #[serde(rename = "30m")]
    Minutes30,
    /// An hour.
    #[serde(rename = "1h")]
    Hour,
    /// Four hours.
    #[serde(rename = "4h")]
    Hours4,
    /// A day.
    #[serde(rename = "1d")]
    Day,
    /// A week.
    #[serde(rename = "1w")]
    Week,
}

impl Timeframe {
    /// Its length in seconds.
    pub fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Minutes5 => 300,
            Self::Minutes15 => 900,
            Self::Minutes30 => 1800,
            Self::Hour => 3600,
            Self::Hours4 => 14_400,
            Self::Day => 86_400,
            Self::Week => 604_800,
        }
    }
}

/// A comparison of two values at the close of a bar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// What is compared.
    pub left: Operand,
    /// How.
    pub is: Comparison,
    /// With what: another value or a threshold.
    pub right: Operand,
}

/// How two values stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// Greater at this bar.
    Above,
    /// Less at this bar.
    Below,
    /// Greater at this bar, and not at the one before.
    CrossesAbove,
    /// Less at this bar, and not at the one before.
    CrossesBelow,
}

/// A value that every bar has, from the first on for which it can be worked out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Operand {
    /// The same at every bar.
    Number(f64),
    /// A price of the bar.
    Price(PriceField),
    /// The bar's volume.
    Volume,
    /// Simple moving average of closes.
    Sma {
        /// Bars.
        period: u32,
    },
    /// Exponential moving average of closes, begun with the simple one.
    Ema {
        /// Bars.
        period: u32,
    },
    /// Relative strength index of closes, 0 to 100, smoothed as Wilder does.
    Rsi {
        /// Bars.
        period: u32,
    },
    /// Moving average convergence and divergence of closes.
    Macd {
        /// Bars of the fast average.
        fast: u32,
        /// Bars of the slow average.
        slow: u32,
        /// Bars of the signal's average.
        signal: u32,
        /// Which of its lines.
        line: MacdLine,
    },
    /// Bollinger's bands around the simple average of closes.
    Bollinger {
        /// Bars.
        period: u32,
        /// Standard deviations between the middle and a band.
        deviations: f64,
        /// Which band.
        band: BollingerBand,
    },
    /// Average true range, smoothed as Wilder does.
    Atr {
        /// Bars.
        period: u32,
    },
    /// Simple average of volumes.
    VolumeAverage {
        /// Bars.
        period: u32,
    },
    /// The highest high of the bars before this one.
    Highest {
        /// Bars.
        period: u32,
    },
    /// The lowest low of the bars before this one.
    Lowest {
        /// Bars.
        period: u32,
    },
    /// Another value times a number.
    Scaled {
        /// The other value.
        of: Box<Operand>,
        /// The number.
        by: f64,
    },
}

/// Which price of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PriceField {
    /// The first.
    Open,
    /// The highest.
    High,
    /// The lowest.
    Low,
    /// The last.
    Close,
}

/// A line of the MACD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MacdLine {
    /// The fast average less the slow one.
    Macd,
    /// Its average.
    Signal,
    /// The first less the second.
    Histogram,
}

/// One of Bollinger's bands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BollingerBand {
    /// The one above.
    Upper,
    /// The average.
    Middle,
    /// The one below.
    Lower,
}

/// How far from the price paid a stop lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Stop {
    /// Per cent of that price.
    Percent(f64),
    /// A multiple of the average true range at the bar of the decision.
    Atr {
        /// Bars of the average true range.
        period: u32,
        /// The multiple.
        times: f64,
    },
}

/// How far from the price paid a target lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Target {
    /// Per cent of that price.
    Percent(f64),
    /// A multiple of the distance to the stop.
    Reward(f64),
}

/// A part of a strategy that was not said.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// When to get in: it cannot be tested without.
    Entry,
    /// When to get out, other than by stop or target.
    Exit,
    /// Where it admits to be wrong.
    Stop,
    /// Where it is content.
    Target,
    /// What a bar stands for.
    Timeframe,
}

impl RuleBook {
    /// A file of these strategies.
    pub fn of(strategies: Vec<Strategy>) -> Self {
        Self { rules: VERSION, strategies }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// As [`RuleBook::parse`]; [`ErrorKind::Limit`] above 16 MiB; I/O failures.
    pub fn read(path: &std::path::Path) -> Result<Self> {
        let text = super::prices::read_text(path, MOST_BYTES)?;
        Self::parse(&text).map_err(|error| error.input(path))
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] that tells with a JSON pointer what is wrong: the first thing that is no
    /// rule, or, where all can be read, everything that makes no sense.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |text: String| {
            Error::new(ErrorKind::Input, Stage::Strategy, text)
                .hint("`rushes strategy schema` prints the form")
        };
        let mut reader = serde_json::Deserializer::from_str(text);
        let mut book: Self = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let place = pointer(error.path());
            wrong(format!("{}: {}", if place.is_empty() { "/" } else { &place }, error.inner()))
        })?;
        reader.end().map_err(|error| wrong(error.to_string()))?;
        let faults = book.faults();
        if !faults.is_empty() {
            return Err(wrong(faults.to_string()));
        }
        for strategy in &mut book.strategies {
            strategy.missing = strategy.what_is_missing();
        }
        Ok(book)
    }

    /// The JSON schema of a file.
    pub fn schema() -> serde_json::Value {
        serde_json::to_value(schemars::schema_for!(RuleBook)).unwrap_or_default()
    }

    /// Everything that makes no sense.
    fn faults(&self) -> Faults {
        let mut faults = Faults::default();
        if self.rules != VERSION {
            faults.add("/rules", format!("version {}; this program knows {VERSION}", self.rules));
        }
        if self.strategies.len() > MOST {
            faults.add("/strategies", format!("more than {MOST} strategies"));
            return faults;
        }
        let mut names = BTreeSet::new();
        for (i, strategy) in self.strategies.iter().enumerate() {
            let place = format!("/strategies/{i}");
            if !names.insert(&strategy.name) {
                faults.add(step(&place, "name"), "is the name of another strategy too");
            }
            strategy.faults(&place, &mut faults);
        }
        faults
    }
}

impl Strategy {
    /// What was not said.
    pub fn what_is_missing(&self) -> Vec<Missing> {
        let parts = [
            (self.entry.is_empty(), Missing::Entry),
            (self.exit.is_empty(), Missing::Exit),
            (self.stop.is_none(), Missing::Stop),
            (self.target.is_none(), Missing::Target),
            (self.timeframe.is_none(), Missing::Timeframe),
        ];
        parts.into_iter().filter_map(|(missing, part)| missing.then_some(part)).collect()
    }

    /// All moments that it was heard at.
    pub fn moments(&self) -> impl Iterator<Item = &Moment> {
        let conditions = self.entry.iter().chain(&self.exit).filter_map(|c| c.said.as_ref());
        let direction = self.direction.said.iter();
        let timeframe = self.timeframe.iter().filter_map(|t| t.said.as_ref());
        let stop = self.stop.iter().filter_map(|s| s.said.as_ref());
        let target = self.target.iter().filter_map(|t| t.said.as_ref());
        direction.chain(timeframe).chain(conditions).chain(stop).chain(target)
    }

    fn faults(&self, place: &str, faults: &mut Faults) {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > 80 || !self.name.chars().all(good) {
            let text = "is 1 to 80 lower-case letters, digits and -";
            faults.add(step(place, "name"), text);
        }
        if !(0.0..=1.0).contains(&self.confidence) {
            faults.add(step(place, "confidence"), "is 0 to 1");
        }
        for (list, conditions) in [("entry", &self.entry), ("exit", &self.exit)] {
            let place = step(place, list);
            if conditions.len() > MOST {
                faults.add(&place, format!("more than {MOST} conditions"));
                continue;
            }
            for (i, condition) in conditions.iter().enumerate() {
                condition.value.faults(&format!("{place}/{i}/value"), faults);
            }
        }
        self.part_faults(place, faults);
    }

    /// What is wrong with stop and target.
    pub(super) fn part_faults(&self, place: &str, faults: &mut Faults) {
        let place_of = |part: &str| format!("{place}/{part}/value");
        match self.stop.as_ref().map(|told| told.value) {
            Some(Stop::Percent(percent)) => share(percent, 100.0, &place_of("stop"), faults),
            Some(Stop::Atr { period, times }) => {
                bars(period, &place_of("stop/atr"), "period", faults);
                share(times, 1000.0, &step(&place_of("stop/atr"), "times"), faults);
            }
            None => {}
        }
        match self.target.as_ref().map(|told| told.value) {
            Some(Target::Percent(percent)) => {
                share(percent, 100_000.0, &place_of("target"), faults);
                if self.direction.value == Direction::Short && percent >= 100.0 {
                    faults.add(place_of("target"), "a price cannot fall by 100 per cent or more");
                }
            }
            Some(Target::Reward(times)) => {
                share(times, 1000.0, &place_of("target"), faults);
                if self.stop.is_none() {
                    faults.add(place_of("target"), "is a multiple of the stop, and there is none");
                }
            }
            None => {}
        }
    }
}

impl Condition {
    /// Everything that makes no sense.
    pub(super) fn faults(&self, place: &str, faults: &mut Faults) {
        self.left.faults(&step(place, "left"), 0, faults);
        self.right.faults(&step(place, "right"), 0, faults);
        if let (Operand::Number(_), Operand::Number(_)) = (&self.left, &self.right) {
            faults.add(place, "compares two numbers, which never change");
        }
    }
}

/// A distance must be above 0 and below `most`.
fn share(value: f64, most: f64, place: &str, faults: &mut Faults) {
    if !(value > 0.0 && value < most) {
        faults.add(place, format!("is above 0 and below {most}"));
    }
}

fn bars(period: u32, place: &str, name: &str, faults: &mut Faults) {
    if !(1..=LONGEST).contains(&period) {
        faults.add(step(place, name), format!("is 1 to {LONGEST} bars"));
    }
}

impl Operand {
    fn faults(&self, place: &str, depth: usize, faults: &mut Faults) {
        let of = |name: &str| step(place, name);
        match self {
            Self::Number(value) if !value.is_finite() => faults.add(of("number"), "is not finite"),
            Self::Number(_) | Self::Price(_) | Self::Volume => {}
            Self::Sma { period } => bars(*period, &of("sma"), "period", faults),
            Self::Ema { period } => bars(*period, &of("ema"), "period", faults),
            Self::Rsi { period } => bars(*period, &of("rsi"), "period", faults),
            Self::Atr { period } => bars(*period, &of("atr"), "period", faults),
            Self::VolumeAverage { period } => {
                bars(*period, &of("volume_average"), "period", faults);
            }
            Self::Highest { period } => bars(*period, &of("highest"), "period", faults),
            Self::Lowest { period } => bars(*period, &of("lowest"), "period", faults),
            Self::Bollinger { period, deviations, .. } => {
                bars(*period, &of("bollinger"), "period", faults);
                share(*deviations, 100.0, &of("bollinger/deviations"), faults);
            }
            Self::Macd { fast, slow, signal, .. } => {
                for (name, period) in [("fast", fast), ("slow", slow), ("signal", signal)] {
                    bars(*period, &of("macd"), name, faults);
                }
                if fast >= slow {
                    faults.add(of("macd"), "the fast average has fewer bars than the slow one");
                }
            }
            Self::Scaled { of: inner, by } => {
                if !by.is_finite() {
                    faults.add(of("scaled/by"), "is not finite");
                }
                if depth > 3 {
                    faults.add(place, "is scaled too many times");
                    return;
                }
                inner.faults(&of("scaled/of"), depth + 1, faults);
            }
        }
    }
}

/// A place in serde's words as a JSON pointer.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut out = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => out.push_str(&format!("/{index}")),
            Segment::Map { key } => out = step(&out, key),
            Segment::Enum { variant } => out = step(&out, variant),
            Segment::Unknown => {}
        }
    }
    out
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) => write!(f, "{value}"),
            Self::Price(PriceField::Open) => f.write_str("open"),
            Self::Price(PriceField::High) => f.write_str("high"),
            Self::Price(PriceField::Low) => f.write_str("low"),
            Self::Price(PriceField::Close) => f.write_str("close"),
            Self::Volume => f.write_str("volume"),
            Self::Sma { period } => write!(f, "SMA({period})"),
            Self::Ema { period } => write!(f, "EMA({period})"),
            Self::Rsi { period } => write!(f, "RSI({period})"),
            Self::Macd { fast, slow, signal, line } => {
                let line = match line {
                    MacdLine::Macd => "MACD",
                    MacdLine::Signal => "MACD signal",
                    MacdLine::Histogram => "MACD histogram",
                };
                write!(f, "{line}({fast}, {slow}, {signal})")
            }
            Self::Bollinger { period, deviations, band } => {
                let band = match band {
                    BollingerBand::Upper => "upper",
                    BollingerBand::Middle => "middle",
                    BollingerBand::Lower => "lower",
                };
                write!(f, "{band} Bollinger({period}, {deviations})")
            }
            Self::Atr { period } => write!(f, "ATR({period})"),
            Self::VolumeAverage { period } => write!(f, "average volume({period})"),
            Self::Highest { period } => write!(f, "highest({period})"),
            Self::Lowest { period } => write!(f, "lowest({period})"),
            Self::Scaled { of, by } => write!(f, "{by} x {of}"),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.is {
            Comparison::Above => "is above",
            Comparison::Below => "is below",
            Comparison::CrossesAbove => "crosses above",
            Comparison::CrossesBelow => "crosses below",
        };
        write!(f, "{} {how} {}", self.left, self.right)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent} %"),
            Self::Atr { period, times } => write!(f, "{times} x ATR({period})"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent} %"),
            Self::Reward(times) => write!(f, "{times} x the stop"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"rules": 1, "strategies": [{
        "name": "rsi", "direction": {"value": "long"}, "timeframe": {"value": "1d"},
        "entry": [{"value": {"left": {"rsi": {"period": 14}}, "is": "crosses_above",
                             "right": {"number": 30}}}],
        "exit": [{"value": {"left": "volume", "is": "above", "right":
                  {"scaled": {"of": {"volume_average": {"period": 20}}, "by": 2}}}}],
        "stop": {"value": {"percent": 2}}, "target": {"value": {"reward": 2}}}]}"#;

    #[test]
    fn a_file_survives_writing_and_reading() {
        let book = RuleBook::parse(GOOD).unwrap();
        assert!(book.strategies[0].missing.is_empty());
        assert_eq!(book.strategies[0].entry[0].value.to_string(), "RSI(14) crosses above 30");
        let text = serde_json::to_string(&book).unwrap();
        assert_eq!(RuleBook::parse(&text).unwrap(), book);
    }

    #[test]
    fn every_fault_has_its_pointer() {
        for (from, to, told) in [
            ("\"long\"", "\"up\"", "/strategies/0/direction/value: unknown variant `up`"),
            ("\"period\": 14", "\"period\": -1", "/strategies/0/entry/0/value/left/rsi/period: "),
            ("\"period\": 14", "\"bars\": 14", "/strategies/0/entry/0/value/left/rsi/bars: "),
            (
                "\"period\": 14",
                "\"period\": 0",
                "/strategies/0/entry/0/value/left/rsi/period: is 1",
            ),
            ("\"rsi\", \"dir", "\"RSI!\", \"dir", "/strategies/0/name: is 1 to 80"),
            ("\"percent\": 2", "\"percent\": 100", "/strategies/0/stop/value: is above 0"),
            ("\"rules\": 1", "\"rules\": 9", "/rules: version 9"),
            ("\"stop\"", "\"halt\"", "/strategies/0/halt: unknown field"),
            ("\"number\": 30", "\"number\": \"x\"", "/strategies/0/entry/0/value/right/number: "),
            ("{\"rsi\": {\"period\": 14}}", "{\"number\": 3}", "/0/value: compares two numbers"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD);
            let error = RuleBook::parse(&text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Input);
            assert!(error.message().contains(told), "{told}: {error}");
        }
        let many =
            GOOD.replace("\"period\": 14", "\"period\": 0").replace("\"by\": 2", "\"by\": 1e999");
        assert!(RuleBook::parse(&many).is_err());
        assert!(RuleBook::parse("{}").unwrap_err().message().contains("missing field"));
        assert!(RuleBook::parse(&format!("{GOOD} x")).is_err());
    }

    #[test]
    fn all_that_makes_no_sense_is_told_together() {
        let text = GOOD
            .replace("\"period\": 14", "\"period\": 0")
            .replace("\"percent\": 2", "\"percent\": 0");
        let error = RuleBook::parse(&text).unwrap_err();
        assert!(
            error.message().contains("rsi/period") && error.message().contains("stop/value"),
            "{error}"
        );
    }

    #[test]
    fn a_reward_needs_a_stop() {
        let text = GOOD.replace("\"stop\": {\"value\": {\"percent\": 2}}, ", "");
        assert!(RuleBook::parse(&text).unwrap_err().message().contains("there is none"));
    }

    #[test]
    fn the_schema_knows_the_parts() {
        let schema = RuleBook::schema().to_string();
        for name in ["crosses_above", "bollinger", "reward", "timeframe", "confidence"] {
            assert!(schema.contains(name), "{name}");
        }
    }
}
