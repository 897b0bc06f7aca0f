//! The small values of a spec: times, rates, sizes, colours, and numbers that move.

use super::reader::{Node, Spec, kind, spec_struct, spec_words};
use crate::time::{Rounding, TimeBase, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::str::FromStr;

/// A time or a length of it as it is written: seconds, or frames of the canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// `"12.4s"`, `"1001/30000"`, `"00:01:02.5"`, `"500ms"`.
    Seconds(Timestamp),
    /// `"90f"`: frames at the canvas's rate.
    Frames(i64),
}

impl Time {
    /// The same on the media clock; frames are of `rate`.
    pub fn resolve(self, rate: Rate) -> Timestamp {
        match self {
            Self::Seconds(time) => time,
            Self::Frames(frames) => Timestamp::new(frames, rate.frame()),
        }
    }

    /// Reads it; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.strip_suffix('f') {
            Some(frames) => frames.trim().parse().ok().map(Self::Frames),
            None => Timestamp::from_str(text).ok().map(Self::Seconds),
        }
    }
}

impl From<Timestamp> for Time {
    fn from(time: Timestamp) -> Self {
        Self::Seconds(time)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Frames(frames) => serializer.collect_str(&format_args!("{frames}f")),
            Self::Seconds(time) => serializer.serialize_str(&seconds(*time)),
        }
    }
}

/// `12s` for whole seconds, else a fraction in lowest terms.
pub(super) fn seconds(time: Timestamp) -> String {
    let (num, den) = reduced(time);
    if den == 1 { format!("{num}s") } else { format!("{num}/{den}") }
}

/// A time as a fraction of seconds in lowest terms.
pub(super) fn reduced(time: Timestamp) -> (i128, i128) {
    let num = i128::from(time.ticks()) * i128::from(time.base().num());
    let den = i128::from(time.base().den());
    let (mut a, mut b) = (num.abs(), den);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let divisor = a.max(1);
    (num / divisor, den / divisor)
}

impl Spec for Time {
    fn read(node: Node<'_>) -> Option<Self> {
        const FORMS: &str =
            "a time in quotes: \"12.4s\", \"90f\" (frames), \"1001/30000\" or \"00:01:02.5\"";
        if node.value.is_number() {
            return node.wrong(format!("must be {FORMS}; a bare number is not exact"));
        }
        let text = node.text(FORMS)?;
        match Self::parse(text) {
            Some(time) => Some(time),
            None => node.wrong(format!("must be {FORMS}, not \"{text}\"")),
        }
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An exact time or length: seconds (\"12.4s\", \"500ms\", \"00:01:02.5\", \"1001/30000\") or frames of the canvas (\"90f\").",
            "type": "string",
            "pattern": "^\\s*-?([0-9]+f|[0-9]*\\.?[0-9]*(s|ms|m|h)?|[0-9]+/[0-9]+s?|([0-9]+:)?[0-9]+:[0-9]+(\\.[0-9]+)?)\\s*$"
        })
    }
}

/// Frames a second, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    num: u32,
    den: u32,
}

impl Rate {
    /// 24 frames a second.
    pub const FILM: Self = Self { num: 24, den: 1 };
    /// 25 frames a second.
    pub const PAL: Self = Self { num: 25, den: 1 };

    /// `num/den` frames a second, in lowest terms; `None` unless within 1/1000 to 1000.
    pub fn new(num: u32, den: u32) -> Option<Self> {
        if den == 0 || num == 0 {
            return None;
        }
        let (mut a, mut b) = (num, den);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let (num, den) = (num / a, den / a);
        let within = u64::from(num) <= 1000 * u64::from(den)
            && u64::from(den) <= 1000 * u64::from(num)
            && num <= 1_000_000
            && den <= 1_000_000;
        within.then_some(Self { num, den })
    }

    /// The numerator.
    pub fn num(self) -> u32 {
        self.num
    }

    /// The denominator.
    pub fn den(self) -> u32 {
        self.den
    }

    /// The time base whose tick is one frame.
    pub fn frame(self) -> TimeBase {
        TimeBase::from_parts(self.den, self.num).unwrap_or(TimeBase::MICROS)
    }

    /// The frame nearest to `time`.
    pub fn nearest(self, time: Timestamp) -> i64 {
        time.rescale(self.frame(), Rounding::Nearest).ticks()
    }

    /// When frame `n` is shown.
    pub fn time(self, n: i64) -> Timestamp {
        Timestamp::new(n, self.frame())
    }

    /// Reads `30`, `30000/1001` or `29.97` (taken as the fraction it stands for).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text {
            "23.976" | "23.98" => return Self::new(24000, 1001),
            "29.97" => return Self::new(30000, 1001),
            "59.94" => return Self::new(60000, 1001),
            "119.88" => return Self::new(120_000, 1001),
            _ => {}
        }
        if let Some((num, den)) = text.split_once('/') {
            return Self::new(num.trim().parse().ok()?, den.trim().parse().ok()?);
        }
        match text.split_once('.') {
            None => Self::new(text.parse().ok()?, 1),
            Some((whole, part)) if part.len() <= 3 && !part.is_empty() => {
                let den = 10_u32.pow(part.len() as u32);
                let part: u32 = part.parse().ok()?;
                Self::new(whole.parse::<u32>().ok()?.checked_mul(den)?.checked_add(part)?, den)
            }
            Some(_) => None,
        }
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.den {
            1 => write!(f, "{}", self.num),
            den => write!(f, "{}/{den}", self.num),
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Spec for Rate {
    fn read(node: Node<'_>) -> Option<Self> {
        let text = match node.value {
            serde_json::Value::Number(number) => number.to_string(),
            _ => node.text("frames a second: \"30\", \"30000/1001\"")?.to_owned(),
        };
        match Self::parse(&text) {
            Some(rate) => Some(rate),
            None => node.wrong(format!(
                "must be frames a second as \"30\" or \"30000/1001\" (1/1000 to 1000), not \"{text}\""
            )),
        }
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Frames a second: \"30\", \"30000/1001\"; 23.976, 29.97 and 59.94 are taken for the fractions they stand for.",
            "type": ["string", "number"]
        })
    }
}

/// A width and height in pixels, both even.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl Size {
    /// Reads `1080x1920`.
    pub fn parse(text: &str) -> Option<Self> {
        let (width, height) = text.trim().split_once(['x', '×'])?;
        let side = |text: &str| {
            text.trim().parse::<u32>().ok().filter(|n| (16..=16384).contains(n) && n % 2 == 0)
        };
        Some(Self { width: side(width)?, height: side(height)? })
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Spec for Size {
    fn read(node: Node<'_>) -> Option<Self> {
        const FORM: &str = "a size like \"1080x1920\", both sides even and from 16 to 16384";
        let text = node.text(FORM)?;
        match Self::parse(text) {
            Some(size) => Some(size),
            None => node.wrong(format!("must be {FORM}, not \"{text}\"")),
        }
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Width and height in pixels, both even, 16 to 16384.",
            "type": "string",
            "pattern": "^\\s*[0-9]+\\s*[x×]\\s*[0-9]+\\s*$"
        })
    }
}

/// An sRGB colour, `#rrggbb` or `#rrggbbaa`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rgb {
    /// Red, green, blue.
    pub rgb: [u8; 3],
    /// Opacity, 255 for solid.
    pub alpha: u8,
}

impl Rgb {
    /// Black.
    pub const BLACK: Self = Self { rgb: [0; 3], alpha: 255 };

    /// Reads `#rrggbb`, `#rrggbbaa`, `black` or `white`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "black" => return Some(Self::BLACK),
            "white" => return Some(Self { rgb: [255; 3], alpha: 255 }),
            _ => {}
        }
        let digits = text.strip_prefix('#')?;
        if !matches!(digits.len(), 6 | 8) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let byte = |i: usize| u8::from_str_radix(digits.get(i..i + 2)?, 16).ok();
        let alpha = if digits.len() == 8 { byte(6)? } else { 255 };
        Some(Self { rgb: [byte(0)?, byte(2)?, byte(4)?], alpha })
    }
}

impl Serialize for Rgb {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let [r, g, b] = self.rgb;
        match self.alpha {
            255 => serializer.collect_str(&format_args!("#{r:02x}{g:02x}{b:02x}")),
            a => serializer.collect_str(&format_args!("#{r:02x}{g:02x}{b:02x}{a:02x}")),
        }
    }
}

impl Spec for Rgb {
    fn read(node: Node<'_>) -> Option<Self> {
        const FORM: &str = "a colour: \"#rrggbb\", \"#rrggbbaa\", \"black\" or \"white\"";
        let text = node.text(FORM)?;
        match Self::parse(text) {
            Some(colour) => Some(colour),
            None => node.wrong(format!("must be {FORM}, not \"{text}\"")),
        }
    }
}

impl JsonSchema for Rgb {
    fn schema_name() -> Cow<'static, str> {
        "Rgb".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An sRGB colour: #rrggbb, #rrggbbaa, black or white.",
            "type": "string",
            "pattern": "^(#[0-9a-fA-F]{6}([0-9a-fA-F]{2})?|black|white)$"
        })
    }
}

spec_words! {
    /// How a value moves on from one keyframe to the next.
    #[derive(Default)]
    Ease {
        /// At an even pace.
        #[default]
        Linear = "linear",
        /// Slow at first (cubic).
        In = "in",
        /// Slow at last (cubic).
        Out = "out",
        /// Slow at both ends (cubic).
        InOut = "in-out",
        /// Stays until the next keyframe.
        Hold = "hold",
    }
}

impl Ease {
    /// The share of the way that is done at share `x` of the time.
    pub fn at(self, x: f64) -> f64 {
        match self {
            Self::Linear => x,
            Self::In => x * x * x,
            Self::Out => 1.0 - (1.0 - x).powi(3),
            Self::InOut if x < 0.5 => 4.0 * x * x * x,
            Self::InOut => 1.0 - (2.0 - 2.0 * x).powi(3) / 2.0,
            Self::Hold => 0.0,
        }
    }
}

spec_struct! {
    /// A value at a time.
    Keyframe {
        /// When, from the start of the item.
        at: Time,
        /// The value there.
        value: f64,
        /// How it moves on from here; `linear` if not said.
        ease: Option<Ease>,
    }
}

/// A number that stays, or moves over keyframes. Before the first and behind the last it stays.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Animated {
    /// Stays.
    Still(f64),
    /// Moves; in order of time, at least one.
    Moving(Vec<Keyframe>),
}

impl Animated {
    /// The value at `time` from the start of the item.
    pub fn at(&self, time: Timestamp, rate: Rate) -> f64 {
        let frames = match self {
            Self::Still(value) => return *value,
            Self::Moving(frames) => frames,
        };
        let when = |frame: &Keyframe| frame.at.resolve(rate);
        let next = frames.partition_point(|frame| when(frame) <= time);
        match (next.checked_sub(1).and_then(|i| frames.get(i)), frames.get(next)) {
            (Some(a), Some(b)) => {
                let length = when(b).minus(when(a)).as_secs_f64();
                let done = time.minus(when(a)).as_secs_f64();
                let share = if length > 0.0 { (done / length).clamp(0.0, 1.0) } else { 1.0 };
                a.value + (b.value - a.value) * a.ease.unwrap_or_default().at(share)
            }
            (Some(only), None) | (None, Some(only)) => only.value,
            (None, None) => 0.0,
        }
    }

    /// Whether it is `value` throughout.
    pub fn is_always(&self, value: f64) -> bool {
        match self {
            Self::Still(is) => *is == value,
            Self::Moving(frames) => frames.iter().all(|frame| frame.value == value),
        }
    }

    /// The values it is given.
    pub fn values(&self) -> impl Iterator<Item = f64> + '_ {
        let (still, moving) = match self {
            Self::Still(value) => (Some(*value), &[][..]),
            Self::Moving(frames) => (None, frames.as_slice()),
        };
        still.into_iter().chain(moving.iter().map(|frame| frame.value))
    }
}

impl Spec for Animated {
    fn read(node: Node<'_>) -> Option<Self> {
        match node.value {
            serde_json::Value::Number(_) => f64::read(node).map(Self::Still),
            serde_json::Value::Array(_) => {
                let frames = Vec::<Keyframe>::read(node.clone())?;
                if frames.is_empty() {
                    return node.wrong("must hold at least one keyframe");
                }
                Some(Self::Moving(frames))
            }
            other => node.wrong(format!(
                "must be a number or a list of keyframes {{at, value, ease}}, not {}",
                kind(other)
            )),
        }
    }
}

impl JsonSchema for Animated {
    fn schema_name() -> Cow<'static, str> {
        "Animated".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let keyframe = generator.subschema_for::<Keyframe>();
        json_schema!({
            "description": "A number, or keyframes in order of time between which it moves.",
            "anyOf": [{ "type": "number" }, { "type": "array", "items": keyframe, "minItems": 1 }]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_fractions() {
        let rate = |text| Rate::parse(text).map(|r| (r.num(), r.den()));
        assert_eq!(rate("30"), Some((30, 1)));
        assert_eq!(rate("29.97"), Some((30000, 1001)));
        assert_eq!(rate("12.5"), Some((25, 2)));
        assert_eq!(rate("60000/2002"), Some((30000, 1001)));
        for bad in ["", "0", "30/0", "1e9", "-25", "2000", "25fps", "1.2345"] {
            assert_eq!(rate(bad), None, "{bad}");
        }
    }

    #[test]
    fn frames_are_exact_over_hours() {
        let rate = Rate::parse("30000/1001").unwrap();
        for n in [0, 1, 29, 30, 107_892, 10_000_000] {
            assert_eq!(rate.nearest(rate.time(n)), n);
            assert_eq!(rate.nearest(Time::Frames(n).resolve(rate)), n);
        }
    }

    #[test]
    fn eased_values() {
        let rate = Rate::parse("25").unwrap();
        let frame = |at, value, ease| Keyframe { at: Time::parse(at).unwrap(), value, ease };
        let moving = Animated::Moving(vec![
            frame("1s", 0.0, None),
            frame("2s", 1.0, Some(Ease::Hold)),
            frame("75f", 4.0, None),
        ]);
        let at = |millis| moving.at(Timestamp::from_millis(millis), rate);
        assert_eq!(
            [at(0), at(1000), at(1250), at(2000), at(2999), at(3000), at(9000)],
            [0.0, 0.0, 0.25, 1.0, 1.0, 4.0, 4.0]
        );
        for (_, ease) in Ease::ALL {
            assert_eq!(ease.at(0.0), 0.0);
        }
        assert_eq!(Ease::InOut.at(0.5), 0.5);
    }

    #[test]
    fn times_are_written_as_they_are_read() {
        for text in ["90f", "62/5", "12s", "1001/30000", "-1s"] {
            let time = Time::parse(text).unwrap();
            assert_eq!(serde_json::to_value(time).unwrap(), text);
        }
    }
}
