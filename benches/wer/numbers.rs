//! Numbers in words become digits, with their currency or percent sign.

use std::collections::HashMap;

use regex::{Captures, Regex};

/// With the ordinal of each. "second" and "zeroth" are apart; "nineth" is what the original's rule
/// makes of nine, so that "ninth" stays a word.
const ONES: &[(&str, &str)] = &[
    ("one", "first"),
    ("two", ""),
    ("three", "third"),
    ("four", "fourth"),
    ("five", "fifth"),
    ("six", "sixth"),
    ("seven", "seventh"),
    ("eight", "eighth"),
    ("nine", "nineth"),
    ("ten", "tenth"),
    ("eleven", "eleventh"),
    ("twelve", "twelfth"),
    ("thirteen", "thirteenth"),
    ("fourteen", "fourteenth"),
    ("fifteen", "fifteenth"),
    ("sixteen", "sixteenth"),
    ("seventeen", "seventeenth"),
    ("eighteen", "eighteenth"),
    ("nineteen", "nineteenth"),
];

const TENS: &[(&str, u32)] = &[
    ("twenty", 20),
    ("thirty", 30),
    ("forty", 40),
    ("fifty", 50),
    ("sixty", 60),
    ("seventy", 70),
    ("eighty", 80),
    ("ninety", 90),
];

/// The powers of ten.
const MULTIPLIERS: &[(&str, usize)] = &[
    ("hundred", 2),
    ("thousand", 3),
    ("million", 6),
    ("billion", 9),
    ("trillion", 12),
    ("quadrillion", 15),
    ("quintillion", 18),
    ("sextillion", 21),
    ("septillion", 24),
    ("octillion", 27),
    ("nonillion", 30),
    ("decillion", 33),
];

/// What a word can be in a number.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Word {
    Zero,
    One(u32),
    /// "first", "ones": ends a number.
    OneSuffixed(u32, &'static str),
    Ten(u32),
    TenSuffixed(u32, &'static str),
    Multiplier(usize),
    MultiplierSuffixed(usize, &'static str),
    /// "minus": stands before its number.
    Sign(char),
    /// "dollars": stands after its number, and its sign before.
    Currency(char),
    Per,
    Percent,
    And,
    /// "double", "triple".
    Repeat(usize),
    Point,
}

/// What has been read of a number. The two differ in how more digits join: a whole number adds up
/// ("twenty" "one"), anything else is read out digit by digit.
#[derive(Clone, Debug)]
enum Value {
    /// Decimal digits without leading zeros.
    Whole(String),
    Text(String),
}

impl Value {
    fn text(&self) -> &str {
        match self {
            Self::Whole(text) | Self::Text(text) => text,
        }
    }
}

/// The digits without leading zeros, "0" if nothing is left.
fn trimmed(digits: &str) -> String {
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() { "0" } else { digits }.to_owned()
}

fn whole(number: u32) -> Value {
    Value::Whole(number.to_string())
}

/// The sum of two decimal numbers of any length.
fn sum(a: &str, b: &str) -> String {
    let (mut a, mut b) = (a.bytes().rev(), b.bytes().rev());
    let mut digits = Vec::new();
    let mut carry = 0;
    loop {
        let (x, y) = (a.next(), b.next());
        if x.is_none() && y.is_none() {
            break;
        }
        let digit = x.map_or(0, |x| x - b'0') + y.map_or(0, |y| y - b'0') + carry;
        digits.push(char::from(b'0' + digit % 10));
        carry = digit / 10;
    }
    if carry > 0 {
        digits.push('1');
    }
    trimmed(&digits.into_iter().rev().collect::<String>())
}

/// Whether a whole number ends in that many zeros (zero itself does).
fn ends_in_zeros(digits: &str, zeros: usize) -> bool {
    digits == "0" || (digits.len() > zeros && digits.bytes().rev().take(zeros).all(|d| d == b'0'))
}

/// The last three digits times a power of ten, and what stands before them as it is: "two thousand
/// three" "hundred" is 2300.
fn multiplied(digits: &str, power: usize) -> String {
    let (before, residual) = digits.split_at(digits.len().saturating_sub(3));
    let before = format!("{before}000");
    let residual = format!("{residual}{}", "0".repeat(power));
    sum(&trimmed(&before), &trimmed(&residual))
}

/// A decimal fraction times a power of ten, if that is a whole number. None too for what is no
/// decimal fraction.
fn scaled(text: &str, power: usize) -> Option<String> {
    let (before, after) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(before) || !digits(after) || (before.is_empty() && after.is_empty()) {
        return None;
    }
    let after = after.trim_end_matches('0');
    if after.len() > power {
        return None;
    }
    let zeros = "0".repeat(power - after.len());
    Some(trimmed(&format!("{before}{after}{zeros}")))
}

/// `12` or `12.5`.
fn is_numeric(word: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match word.split_once('.') {
        Some((before, after)) => digits(before) && digits(after),
        None => digits(word),
    }
}

/// Turns numbers in words into digits.
pub(super) struct Numbers {
    words: HashMap<String, Word>,
    half: Regex,
    letter_digit: Regex,
    digit_letter: Regex,
    suffix: Regex,
    cents: Regex,
    only_cents: Regex,
    one: Regex,
}

impl Numbers {
    pub(super) fn new() -> Result<Self, regex::Error> {
        Ok(Self {
            words: words(),
            half: Regex::new(r"\band\s+a\s+half\b")?,
            letter_digit: Regex::new(r"([a-z])([0-9])")?,
            digit_letter: Regex::new(r"([0-9])([a-z])")?,
            suffix: Regex::new(r"([0-9])\s+(st|nd|rd|th|s)\b")?,
            cents: Regex::new(r"([€£$])([0-9]+) (?:and )?¢([0-9]{1,2})\b")?,
            // Any character between, as in the original.
            only_cents: Regex::new(r"[€£$]0.([0-9]{1,2})\b")?,
            one: Regex::new(r"\b1(s?)\b")?,
        })
    }

    pub(super) fn to_digits(&self, text: &str) -> String {
        let text = self.prepared(text);
        let words: Vec<&str> = text.split_whitespace().collect();
        let text = self.read(&words).join(" ");

        let cents = |found: &Captures<'_>| format!("{}{}.{:0>2}", &found[1], &found[2], &found[3]);
        let text = self.cents.replace_all(&text, cents);
        let only = |found: &Captures<'_>| format!("¢{}", trimmed(&found[1]));
        let text = self.only_cents.replace_all(&text, only);
        // "1" alone reads better as "one", and so does "1s".
        self.one.replace_all(&text, "one${1}").into_owned()
    }

    /// "and a half" after a number becomes "point five"; digits and letters part, but for "21st".
    fn prepared(&self, text: &str) -> String {
        let mut parts = Vec::new();
        let segments: Vec<&str> = self.half.split(text).collect();
        for (number, segment) in segments.iter().enumerate() {
            let Some(last) = segment.split_whitespace().next_back() else { continue };
            parts.push(*segment);
            if number + 1 < segments.len() {
                let counts = match self.words.get(last) {
                    Some(Word::Multiplier(_)) => true,
                    word => Self::is_decimal(word.copied()),
                };
                parts.push(if counts { "point five" } else { "and a half" });
            }
        }
        let text = parts.join(" ");
        let text = self.letter_digit.replace_all(&text, "${1} ${2}");
        let text = self.digit_letter.replace_all(&text, "${1} ${2}");
        self.suffix.replace_all(&text, "${1}${2}").into_owned()
    }

    fn is_decimal(word: Option<Word>) -> bool {
        matches!(word, Some(Word::Zero | Word::One(_) | Word::Ten(_)))
    }

    fn read(&self, words: &[&str]) -> Vec<String> {
        let mut reader = Reader::default();
        let mut skip = false;
        for (at, current) in words.iter().enumerate() {
            if skip {
                skip = false;
                continue;
            }
            let previous = at.checked_sub(1).and_then(|at| self.words.get(words[at])).copied();
            let next_word = words.get(at + 1).copied();
            let next = next_word.and_then(|word| self.words.get(word)).copied();
            let numeric_next = next_word.is_some_and(is_numeric);

            let sign = current.chars().next().filter(|sign| "-+£€$¢".contains(*sign));
            let bare = sign.map_or(*current, |sign| &current[sign.len_utf8()..]);
            if is_numeric(bare) {
                reader.digits(current, sign, bare);
                continue;
            }
            let Some(word) = self.words.get(*current).copied() else {
                reader.flush();
                reader.put(current);
                continue;
            };
            match word {
                Word::Zero => reader.append("0"),
                Word::One(one) => reader.value = Some(reader.with_one(one, previous)),
                Word::OneSuffixed(one, suffix) => {
                    let value = reader.with_one(one, previous);
                    reader.put(&format!("{}{suffix}", value.text()));
                }
                Word::Ten(ten) => reader.value = Some(reader.with_ten(ten)),
                Word::TenSuffixed(ten, suffix) => {
                    let value = reader.with_ten(ten);
                    reader.put(&format!("{}{suffix}", value.text()));
                }
                Word::Multiplier(power) => reader.multiply(power),
                Word::MultiplierSuffixed(power, suffix) => {
                    // Unlike the plain one, this does not look into a whole zero.
                    if let Some(Value::Whole(digits)) = &reader.value {
                        reader.value = Some(Value::Whole(multiplied(digits, power)));
                    } else {
                        reader.multiply(power);
                    }
                    reader.suffix(suffix);
                }
                Word::Sign(sign) => {
                    reader.flush();
                    if next.is_some() || numeric_next {
                        reader.prefix = Some(sign);
                    } else {
                        reader.put(current);
                    }
                }
                Word::Currency(sign) => {
                    if reader.value.is_some() {
                        reader.prefix = Some(sign);
                        reader.flush();
                    } else {
                        reader.put(current);
                    }
                }
                Word::Percent if reader.value.is_some() => reader.suffix("%"),
                Word::Per if reader.value.is_some() && next_word == Some("cent") => {
                    reader.suffix("%");
                    skip = true;
                }
                Word::Percent | Word::Per => {
                    reader.flush();
                    reader.put(current);
                }
                // The rest counts only before what can be a number.
                _ if next.is_none() && !numeric_next => {
                    reader.flush();
                    reader.put(current);
                }
                Word::And if matches!(previous, Some(Word::Multiplier(_))) => {}
                Word::And => {
                    reader.flush();
                    reader.put(current);
                }
                Word::Repeat(times) => match next {
                    Some(Word::One(digit)) => {
                        reader.append(&digit.to_string().repeat(times));
                        skip = true;
                    }
                    Some(Word::Zero) => {
                        reader.append(&"0".repeat(times));
                        skip = true;
                    }
                    _ => {
                        reader.flush();
                        reader.put(current);
                    }
                },
                // A "point" before what is no digit vanishes, as in the original.
                Word::Point if Self::is_decimal(next) || numeric_next => reader.append("."),
                Word::Point => {}
            }
        }
        reader.flush();
        reader.out
    }
}

/// The state while words are read.
#[derive(Default)]
struct Reader {
    prefix: Option<char>,
    value: Option<Value>,
    out: Vec<String>,
}

impl Reader {
    /// A word of the result, behind the sign that waits for one.
    fn put(&mut self, text: &str) {
        self.value = None;
        self.out.push(match self.prefix.take() {
            Some(sign) => format!("{sign}{text}"),
            None => text.to_owned(),
        });
    }

    fn flush(&mut self) {
        self.suffix("");
    }

    /// The number that has been read, if there is one, ended by a suffix.
    fn suffix(&mut self, suffix: &str) {
        if let Some(value) = self.value.take() {
            self.put(&format!("{}{suffix}", value.text()));
        }
    }

    /// More digits, read out one by one. A whole zero before them is no digit yet.
    fn append(&mut self, more: &str) {
        let before = match &self.value {
            None => "",
            Some(Value::Whole(digits)) if digits == "0" => "",
            Some(value) => value.text(),
        };
        self.value = Some(Value::Text(format!("{before}{more}")));
    }

    /// A number that stood in digits.
    fn digits(&mut self, current: &str, sign: Option<char>, bare: &str) {
        if let Some(Value::Text(text)) = &mut self.value
            && text.ends_with('.')
        {
            text.push_str(current);
            return;
        }
        self.flush();
        self.prefix = sign.or(self.prefix);
        self.value = Some(match scaled(bare, 0) {
            Some(digits) => Value::Whole(digits),
            None => Value::Text(bare.to_owned()),
        });
    }

    fn with_one(&self, one: u32, previous: Option<Word>) -> Value {
        let Some(value) = &self.value else { return whole(one) };
        let read_out = |text: &str| Value::Text(format!("{text}{one}"));
        match value {
            Value::Text(text) if one < 10 && matches!(previous, Some(Word::Ten(_))) => {
                // The ten's zero gives way.
                read_out(text.strip_suffix('0').unwrap_or(text))
            }
            Value::Text(text) => read_out(text),
            Value::Whole(digits) => {
                let room = ends_in_zeros(digits, if one < 10 { 1 } else { 2 });
                if room && !matches!(previous, Some(Word::One(_))) {
                    Value::Whole(sum(digits, &one.to_string()))
                } else {
                    read_out(digits)
                }
            }
        }
    }

    fn with_ten(&self, ten: u32) -> Value {
        match &self.value {
            None => whole(ten),
            Some(Value::Whole(digits)) if ends_in_zeros(digits, 2) => {
                Value::Whole(sum(digits, &ten.to_string()))
            }
            Some(value) => Value::Text(format!("{}{ten}", value.text())),
        }
    }

    fn multiply(&mut self, power: usize) {
        let alone = || Value::Whole(format!("1{}", "0".repeat(power)));
        self.value = Some(match &self.value {
            None => alone(),
            Some(Value::Whole(digits)) if digits != "0" => Value::Whole(multiplied(digits, power)),
            Some(value) => match scaled(value.text(), power) {
                Some(digits) => Value::Whole(digits),
                None => {
                    self.flush();
                    alone()
                }
            },
        });
    }
}

fn words() -> HashMap<String, Word> {
    let mut words = HashMap::new();
    let mut put = |name: &str, word| {
        words.insert(name.to_owned(), word);
    };
    for zero in ["o", "oh", "zero"] {
        put(zero, Word::Zero);
    }
    put("zeroth", Word::OneSuffixed(0, "th"));
    put("second", Word::OneSuffixed(2, "nd"));
    for (value, (name, ordinal)) in (1..).zip(ONES) {
        put(name, Word::One(value));
        let plural = if *name == "six" { "sixes".to_owned() } else { format!("{name}s") };
        put(&plural, Word::OneSuffixed(value, "s"));
        let suffix = match value {
            1 => "st",
            3 => "rd",
            _ => "th",
        };
        if !ordinal.is_empty() {
            put(ordinal, Word::OneSuffixed(value, suffix));
        }
    }
    for (name, value) in TENS {
        put(name, Word::Ten(*value));
        put(&name.replace('y', "ies"), Word::TenSuffixed(*value, "s"));
        put(&name.replace('y', "ieth"), Word::TenSuffixed(*value, "th"));
    }
    for (name, power) in MULTIPLIERS {
        put(name, Word::Multiplier(*power));
        put(&format!("{name}s"), Word::MultiplierSuffixed(*power, "s"));
        put(&format!("{name}th"), Word::MultiplierSuffixed(*power, "th"));
    }
    for (name, sign) in [("minus", '-'), ("negative", '-'), ("plus", '+'), ("positive", '+')] {
        put(name, Word::Sign(sign));
    }
    for (name, sign) in [("pound", '£'), ("euro", '€'), ("dollar", '$'), ("cent", '¢')] {
        put(name, Word::Currency(sign));
        put(&format!("{name}s"), Word::Currency(sign));
    }
    put("per", Word::Per);
    put("percent", Word::Percent);
    put("and", Word::And);
    put("double", Word::Repeat(2));
    put("triple", Word::Repeat(3));
    put("point", Word::Point);
    words
}
