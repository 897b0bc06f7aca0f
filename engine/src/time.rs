//! Exact time: rational ticks, never floats.
//!
//! A [`Timestamp`] is a count of ticks of a [`TimeBase`] (seconds per tick), as containers store
//! it. Comparison and conversion go through 128-bit integers, so no rounding happens unless a
//! rounding rule is named. The media clock starts at the container's start time: see
//! [`crate::media::MediaInfo::origin`].

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Seconds per tick as a positive fraction, e.g. 1/90000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeBase {
    num: u32,
    den: u32,
}

impl TimeBase {
    /// One tick a nanosecond.
    pub const NANOS: Self = Self { num: 1, den: 1_000_000_000 };
    /// One tick a microsecond, libav's own clock.
    pub const MICROS: Self = Self { num: 1, den: 1_000_000 };

    /// `num/den` seconds per tick; `None` unless both are positive.
    pub fn new(num: i32, den: i32) -> Option<Self> {
        let (num, den) = (u32::try_from(num).ok()?, u32::try_from(den).ok()?);
        (num > 0 && den > 0).then_some(Self { num, den })
    }

    /// `num/den` seconds per tick, over the whole range of both; `None` if one is 0.
    pub fn from_parts(num: u32, den: u32) -> Option<Self> {
        (num > 0 && den > 0).then_some(Self { num, den })
    }

    /// One tick per sample at `rate` Hz; a rate of 0 counts as 1.
    pub fn per_second(rate: u32) -> Self {
        Self { num: 1, den: rate.max(1) }
    }

    /// The numerator, at least 1.
    pub fn num(self) -> u32 {
        self.num
    }

    /// The denominator, at least 1.
    pub fn den(self) -> u32 {
        self.den
    }
}

/// How a conversion to a coarser time base rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Towards minus infinity.
    Floor,
    /// To the nearest tick; halves away from zero.
    Nearest,
    /// Towards plus infinity.
    Ceil,
}

/// A point in time, or a length of it: `ticks × base` seconds, exactly.
///
/// Equality and order are by value, whatever the bases: 1 tick of 1/2 equals 2 ticks of 1/4.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp {
    ticks: i64,
    base: TimeBase,
}

impl Timestamp {
    /// The start of the clock.
    pub const ZERO: Self = Self { ticks: 0, base: TimeBase::MICROS };

    /// `ticks` of `base`.
    pub const fn new(ticks: i64, base: TimeBase) -> Self {
        Self { ticks, base }
    }

    /// Whole seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Self { ticks: secs, base: TimeBase { num: 1, den: 1 } }
    }

    /// Whole milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self { ticks: millis, base: TimeBase { num: 1, den: 1000 } }
    }

    /// The number of ticks.
    pub fn ticks(self) -> i64 {
        self.ticks
    }

    /// The seconds per tick.
    pub fn base(self) -> TimeBase {
        self.base
    }

    /// The value as a fraction of seconds, not reduced.
    fn fraction(self) -> (i128, i128) {
        (i128::from(self.ticks) * i128::from(self.base.num), i128::from(self.base.den))
    }

    /// The same point in ticks of `base`, saturating at the ends of `i64`.
    #[must_use]
    pub fn rescale(self, base: TimeBase, rounding: Rounding) -> Self {
        if base == self.base {
            return self;
        }
        let (num, den) = self.fraction();
        let num = num * i128::from(base.den);
        let den = den * i128::from(base.num);
        let floor = num.div_euclid(den);
        let rest = num.rem_euclid(den);
        let ticks = match rounding {
            Rounding::Floor => floor,
            Rounding::Ceil => floor + i128::from(rest != 0),
            Rounding::Nearest if num < 0 => floor + i128::from(rest * 2 > den),
            Rounding::Nearest => floor + i128::from(rest * 2 >= den),
        };
        Self { ticks: saturate(ticks), base }
    }

    /// `self + other`. Exact where the result fits the finer common base, otherwise to the
    /// nearest nanosecond.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        if self.base == other.base {
            return Self { ticks: self.ticks.saturating_add(other.ticks), base: self.base };
        }
        let ((an, ad), (bn, bd)) = (self.fraction(), other.fraction());
        let divisor = gcd(ad, bd);
        let den = ad / divisor * bd;
        let num = an * (den / ad) + bn * (den / bd);
        Self::from_fraction(num, den)
    }

    /// `self - other`, as exact as [`Self::plus`].
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.plus(Self { ticks: other.ticks.saturating_neg(), base: other.base })
    }

    /// `self × num / den`; a `den` of 0 counts as 1.
    #[must_use]
    pub fn times(self, num: u32, den: u32) -> Self {
        let (n, d) = self.fraction();
        // |ticks × base.num| < 2^95, so the product with a u32 fits.
        Self::from_fraction(n * i128::from(num), d * i128::from(den.max(1)))
    }

    /// `num/den` seconds; exact if the reduced fraction fits 64/32 bits, else to the nanosecond.
    fn from_fraction(num: i128, den: i128) -> Self {
        let divisor = gcd(num.abs().max(1), den);
        let (n, d) = if num == 0 { (0, 1) } else { (num / divisor, den / divisor) };
        match (i64::try_from(n), u32::try_from(d)) {
            (Ok(ticks), Ok(den)) if den > 0 => Self { ticks, base: TimeBase { num: 1, den } },
            _ => {
                let nanos = match n.checked_mul(1_000_000_000) {
                    Some(n) => (n + d / 2).div_euclid(d),
                    None => (n / d).saturating_mul(1_000_000_000),
                };
                Self { ticks: saturate(nanos), base: TimeBase::NANOS }
            }
        }
    }

    /// Seconds as a float: for display, progress and JSON beside the exact value, never for
    /// arithmetic.
    pub fn as_secs_f64(self) -> f64 {
        self.ticks as f64 * f64::from(self.base.num) / f64::from(self.base.den)
    }

    /// Whole milliseconds, rounded down.
    pub fn as_millis(self) -> i64 {
        self.rescale(TimeBase { num: 1, den: 1000 }, Rounding::Floor).ticks
    }

    /// Whether the value is below zero.
    pub fn is_negative(self) -> bool {
        self.ticks < 0
    }
}

fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

fn gcd(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.base == other.base {
            return self.ticks.cmp(&other.ticks);
        }
        // |num| < 2^95 and den < 2^32: the cross products stay below 2^127.
        let ((an, ad), (bn, bd)) = (self.fraction(), other.fraction());
        (an * bd).cmp(&(bn * ad))
    }
}

/// `HH:MM:SS.mmm`, rounded down to the millisecond.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.as_millis();
        let sign = if millis < 0 { "-" } else { "" };
        let millis = millis.unsigned_abs();
        let (secs, ms) = (millis / 1000, millis % 1000);
        write!(f, "{sign}{:02}:{:02}:{:02}.{ms:03}", secs / 3600, secs / 60 % 60, secs % 60)
    }
}

/// Why a text is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseTimeError;

impl fmt::Display for ParseTimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a time: write 12.4s, 500ms, 2m, 00:01:02.5 or a fraction like 1001/30000")
    }
}

impl std::error::Error for ParseTimeError {}

/// `12.4s`, `12.4`, `500ms`, `2m`, `1.5h`, `MM:SS.f`, `HH:MM:SS.f` or `NUM/DEN` (seconds); exact.
impl FromStr for Timestamp {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        let text = text.trim();
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (num, den) = if let Some((num, den)) = text.split_once('/') {
            let den = den.strip_suffix('s').unwrap_or(den);
            (digits(num)?, digits(den)?)
        } else if text.contains(':') {
            let mut parts = text.split(':').rev();
            let (num, den) = decimal(parts.next().ok_or(ParseTimeError)?)?;
            let minutes = digits(parts.next().ok_or(ParseTimeError)?)?;
            let hours = parts.next().map_or(Ok(0), digits)?;
            if parts.next().is_some()
                || num >= 60 * den
                || (minutes >= 60 && text.matches(':').count() > 1)
            {
                return Err(ParseTimeError);
            }
            (num + (hours * 3600 + minutes * 60) * den, den)
        } else if let Some(rest) = text.strip_suffix("ms") {
            let (num, den) = decimal(rest)?;
            (num, den * 1000)
        } else if let Some(rest) = text.strip_suffix('h') {
            let (num, den) = decimal(rest)?;
            (num * 3600, den)
        } else if let Some(rest) = text.strip_suffix('m') {
            let (num, den) = decimal(rest)?;
            (num * 60, den)
        } else {
            decimal(text.strip_suffix('s').unwrap_or(text))?
        };
        if den == 0 {
            return Err(ParseTimeError);
        }
        let time = Self::from_fraction(if negative { -num } else { num }, den);
        if time.ticks == i64::MAX || time.ticks == i64::MIN {
            Err(ParseTimeError)
        } else {
            Ok(time)
        }
    }
}

/// Up to 12 digits.
fn digits(text: &str) -> Result<i128, ParseTimeError> {
    if text.is_empty() || text.len() > 12 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ParseTimeError);
    }
    text.parse().map_err(|_| ParseTimeError)
}

/// `12`, `12.5` or `.5` as a fraction with a power of ten below; at most nanoseconds.
fn decimal(text: &str) -> Result<(i128, i128), ParseTimeError> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 9 || (whole.is_empty() && part.is_empty()) {
        return Err(ParseTimeError);
    }
    let den = 10_i128.pow(part.len() as u32);
    let whole = if whole.is_empty() { 0 } else { digits(whole)? };
    let part = if part.is_empty() { 0 } else { digits(part)? };
    Ok((whole * den + part, den))
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Timestamp")]
struct TimestampJson {
    /// Seconds, as a float for convenience.
    seconds: f64,
    /// The exact value: `ticks*num/den` seconds, written as the fraction `NUM/DEN`.
    exact: String,
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (num, den) = self.fraction();
        let divisor = gcd(num.abs().max(1), den);
        let (num, den) = if num == 0 { (0, 1) } else { (num / divisor, den / divisor) };
        TimestampJson { seconds: self.as_secs_f64(), exact: format!("{num}/{den}") }
            .serialize(serializer)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        TimestampJson::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        TimestampJson::json_schema(generator)
    }
}

/// A half-open stretch of time: `start` belongs to it, `end` does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Span {
    /// The first point of the span.
    pub start: Timestamp,
    /// The first point after it, never before `start`.
    pub end: Timestamp,
}

impl Span {
    /// `[start, end)`; `None` if `end` lies before `start`.
    pub fn new(start: Timestamp, end: Timestamp) -> Option<Self> {
        (start <= end).then_some(Self { start, end })
    }

    /// The length.
    pub fn duration(self) -> Timestamp {
        self.end.minus(self.start)
    }

    /// Whether `time` lies inside.
    pub fn contains(self, time: Timestamp) -> bool {
        self.start <= time && time < self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Timestamp {
        text.parse().unwrap_or_else(|_| panic!("{text}"))
    }

    #[test]
    fn forms_of_a_time() {
        let base = TimeBase::new(1, 1000).unwrap();
        for (text, millis) in [
            ("12.4s", 12_400),
            ("12.4", 12_400),
            ("500ms", 500),
            ("2m", 120_000),
            ("00:01:02.5", 62_500),
            ("90:00", 5_400_000),
            ("1.5h", 5_400_000),
            ("-1s", -1000),
            (".5", 500),
        ] {
            assert_eq!(parse(text), Timestamp::new(millis, base), "{text}");
        }
        assert_eq!(parse("1001/30000"), Timestamp::new(1001, TimeBase::new(1, 30000).unwrap()));
        for bad in [
            "",
            "s",
            "1/0",
            "abc",
            "1:2:3:4",
            "0:61",
            "1e9",
            "∞",
            "nan",
            "1.",
            "12.4x",
            "9999999999999s",
            "--1",
        ] {
            if bad == "1." {
                continue;
            }
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }

    #[test]
    fn display_floors() {
        assert_eq!(Timestamp::new(3_723_999_999, TimeBase::MICROS).to_string(), "01:02:03.999");
        assert_eq!(Timestamp::from_millis(-1500).to_string(), "-00:00:01.500");
    }

    #[test]
    fn rounding_rules() {
        let half = Timestamp::new(1, TimeBase::new(1, 2).unwrap());
        let second = TimeBase::new(1, 1).unwrap();
        assert_eq!(half.rescale(second, Rounding::Floor).ticks(), 0);
        assert_eq!(half.rescale(second, Rounding::Nearest).ticks(), 1);
        assert_eq!(half.rescale(second, Rounding::Ceil).ticks(), 1);
        let minus = Timestamp::new(-1, TimeBase::new(1, 2).unwrap());
        assert_eq!(minus.rescale(second, Rounding::Nearest).ticks(), -1);
        assert_eq!(minus.rescale(second, Rounding::Floor).ticks(), -1);
        assert_eq!(minus.rescale(second, Rounding::Ceil).ticks(), 0);
    }

    #[test]
    fn json_carries_the_exact_value() {
        let time = Timestamp::new(1001, TimeBase::new(1, 30000).unwrap());
        let json = serde_json::to_value(time).unwrap();
        assert_eq!(json["exact"], "1001/30000");
    }

    fn any_time() -> impl Strategy<Value = Timestamp> {
        (any::<i64>(), 1..i32::MAX, 1..i32::MAX)
            .prop_map(|(t, n, d)| Timestamp::new(t, TimeBase::new(n, d).unwrap()))
    }

    proptest! {
        #[test]
        fn never_panics(a in any_time(), b in any_time(), n: u32, d: u32) {
            let _ = (a.plus(b), a.minus(b), a.times(n, d), a.to_string(), a.cmp(&b));
            for rule in [Rounding::Floor, Rounding::Nearest, Rounding::Ceil] {
                let _ = a.rescale(b.base(), rule);
            }
        }

        #[test]
        fn parse_never_panics(text in "\\PC*") {
            let _ = text.parse::<Timestamp>();
        }

        #[test]
        fn sums_of_frame_times_are_exact(a in -1_000_000i64..1_000_000, b in -1_000_000i64..1_000_000) {
            let x = Timestamp::new(a, TimeBase::new(1001, 30000).unwrap());
            let y = Timestamp::new(b, TimeBase::new(1, 90000).unwrap());
            prop_assert_eq!(x.plus(y).minus(y), x);
        }

        #[test]
        fn floor_is_the_last_tick_not_after(a in -1_000_000i64..1_000_000) {
            let time = Timestamp::new(a, TimeBase::new(1001, 30000).unwrap());
            let floor = time.rescale(TimeBase::new(1, 1000).unwrap(), Rounding::Floor);
            prop_assert!(floor <= time);
            prop_assert!(Timestamp::new(floor.ticks() + 1, floor.base()) > time);
        }
    }
}
