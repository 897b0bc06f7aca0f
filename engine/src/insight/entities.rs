//! Things that have a form by which they are known: money, percentages, tickers, dates, durations,
//! addresses of pages, other numbers.

use super::numerals::{Numeral, numerals};
use super::passage::Passage;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::time::Span;
use regex::Regex;
use serde::Serialize;
use std::ops::Range;

/// What kind of thing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EntityKind {
    /// An address: `example.com/start`.
    Url,
    /// What is traded, by its short name: `$AAPL`, `NYSE: IBM`, `EUR/USD`.
    Ticker,
    /// An amount: `$1,200`, `five dollars`.
    Money,
    /// A share: `5 %`, `five percent`, `25 basis points`.
    Percent,
    /// A day: `March 3, 2024`, `2024-03-03`.
    Date,
    /// A length of time: `five minutes`.
    Duration,
    /// Another number.
    Number,
}

impl EntityKind {
    /// The lower-case word used in rules, tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Ticker => "ticker",
            Self::Money => "money",
            Self::Percent => "percent",
            Self::Date => "date",
            Self::Duration => "duration",
            Self::Number => "number",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::Url,
            Self::Ticker,
            Self::Money,
            Self::Percent,
            Self::Date,
            Self::Duration,
            Self::Number,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == name)
    }
}

/// A thing found in a passage.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    /// What it is.
    pub kind: EntityKind,
    /// As it was said or written.
    pub text: String,
    /// The same for all ways to say it: `1200.5 USD`, `5 %`, `2024-03-03` (`--03-03` without a year),
    /// `PT5M` (ISO 8601), `AAPL`.
    pub value: String,
    /// The passage's tokens that it takes.
    pub tokens: Range<usize>,
    /// When it is heard or read.
    pub span: Span,
}

/// The patterns, ready to be found.
pub struct Patterns {
    url: Regex,
    spoken_url: Regex,
    ticker: Regex,
    iso: Regex,
    slashed: Regex,
    day_first: Regex,
    month_first: Regex,
    behind: Regex,
    before: Regex,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const MONTH: &str = "(January|February|March|April|May|June|July|August|September|October|November|December\
                     |Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)";
const CURRENCIES: &str = "USD|EUR|GBP|JPY|CHF|AUD|CAD|NZD|CNY|SEK|NOK";

impl Patterns {
    /// Compiles them.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`], which would be a defect.
    pub fn new() -> Result<Self> {
        let make = |pattern: &str| {
            Regex::new(pattern)
                .map_err(|e| Error::new(ErrorKind::Internal, Stage::Insight, e.to_string()))
        };
        let ordinal = "(?:st|nd|rd|th)?";
        Ok(Self {
            url: make(
                r"(?i)\b(?:https?://[^\s<>]+|(?:www\.)?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)*\.(?:com|org|net|io|co\.uk|de|tv|edu|gov|ai|app)\b(?:/[^\s<>]*)?)",
            )?,
            spoken_url: make(
                r"(?i)\b(?:www dot )?([a-z0-9-]+) dot (com|org|net|io|tv|edu|gov|ai|app)(?: slash ([a-z0-9-]+))?\b",
            )?,
            ticker: make(&format!(
                r"\$([A-Z]{{1,5}})\b|\b(?:NASDAQ|Nasdaq|NYSE|LSE|AMEX|XETRA):\s?([A-Z]{{1,6}})\b|\b((?:{CURRENCIES})/(?:{CURRENCIES}))\b|\b((?:{CURRENCIES})(?:{CURRENCIES}))\b"
            ))?,
            iso: make(r"\b(\d{4})-(\d{2})-(\d{2})\b")?,
            slashed: make(r"\b(\d{1,2})/(\d{1,2})/(\d{4})\b")?,
            day_first: make(&format!(
                r"(?i)\b(?:the )?(\d{{1,2}}){ordinal} (?:of )?{MONTH}\b\.?(?:,? (\d{{4}})\b)?"
            ))?,
            month_first: make(&format!(
                r"(?i)\b{MONTH}\.? (?:the )?(\d{{1,2}}){ordinal}\b(?:,? (\d{{4}})\b)?"
            ))?,
            behind: make(
                r"(?i)^[\s-]*(?:(%|percent\b|per cent\b|percentage points?\b|basis points?\b|bps\b)|(dollars?|bucks?|USD|euros?|EUR|pounds?|GBP|quid|yen|JPY|francs?|CHF|cents?)\b|(milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|years?)\b)",
            )?,
            before: make(r"([$€£¥]|\b(?:USD|EUR|GBP|JPY|CHF)) ?$")?,
        })
    }

    /// The things in `passage`, in order, none overlapping another.
    pub fn find(&self, passage: &Passage) -> Vec<Entity> {
        let mut taken: Vec<(Range<usize>, EntityKind, String)> = Vec::new();
        let text = passage.text.as_str();
        let mut take = |at: Range<usize>, kind, value: String| {
            if taken.iter().all(|(other, ..)| at.end <= other.start || other.end <= at.start) {
                taken.push((at, kind, value));
            }
        };
        for found in self.url.find_iter(text) {
            let address = found.as_str().trim_end_matches(['.', ',', '!', '?', ')', ';', ':']);
            let bare = address.split_once("://").map_or(address, |(_, rest)| rest);
            let at = found.start()..found.start() + address.len();
            take(at, EntityKind::Url, bare.to_lowercase());
        }
        for found in self.spoken_url.captures_iter(text) {
            let (name, end) = (&found[1], &found[2]);
            let path = found.get(3).map_or(String::new(), |path| format!("/{}", path.as_str()));
            let value = format!("{name}.{end}{path}").to_lowercase();
            take(range(&found), EntityKind::Url, value);
        }
        for found in self.ticker.captures_iter(text) {
            let name = found.iter().skip(1).flatten().next().map_or("", |name| name.as_str());
            take(range(&found), EntityKind::Ticker, name.replace('/', ""));
        }
        for (at, value) in self.dates(text) {
            take(at, EntityKind::Date, value);
        }
        for Numeral { value, at } in numerals(passage) {
            let (at, kind, value) = self.quantity(text, value, at);
            take(at, kind, value);
        }
        taken.sort_by_key(|(at, ..)| at.start);
        let entities = taken.into_iter().filter_map(|(at, kind, value)| {
            let tokens = passage.tokens_in(&at);
            let span = passage.span_of(&tokens).filter(|_| !tokens.is_empty())?;
            Some(Entity { kind, text: text[at].to_owned(), value, tokens, span })
        });
        entities.collect()
    }

    fn dates(&self, text: &str) -> Vec<(Range<usize>, String)> {
        let mut dates = Vec::new();
        for found in self.iso.captures_iter(text) {
            dates.extend(date(&found[1], &found[2], &found[3]).map(|date| (range(&found), date)));
        }
        for found in self.slashed.captures_iter(text) {
            // Month first, as in the United States, unless that cannot be.
            let made = date(&found[3], &found[1], &found[2])
                .or_else(|| date(&found[3], &found[2], &found[1]));
            dates.extend(made.map(|date| (range(&found), date)));
        }
        for (pattern, day, month) in [(&self.day_first, 1, 2), (&self.month_first, 2, 1)] {
            for found in pattern.captures_iter(text) {
                let month = month_number(&found[month]);
                let year = found.get(3).map_or("", |year| year.as_str());
                dates.extend(date(year, &month, &found[day]).map(|date| (range(&found), date)));
            }
        }
        dates
    }

    /// What a number counts, by what stands beside it.
    fn quantity(
        &self,
        text: &str,
        value: f64,
        at: Range<usize>,
    ) -> (Range<usize>, EntityKind, String) {
        let mut at = at;
        let sign = self.before.captures(&text[..at.start]);
        let unit = self.behind.captures(&text[at.end..]);
        if let Some(sign) = sign {
            at.start -= sign[0].len();
            let currency = match &sign[1] {
                "$" => "USD",
                "€" => "EUR",
                "£" => "GBP",
                "¥" => "JPY",
                code => code,
            };
            return (at, EntityKind::Money, format!("{value} {currency}"));
        }
        let Some(unit) = unit else { return (at, EntityKind::Number, format!("{value}")) };
        let end = at.end + unit[0].len();
        if let Some(share) = unit.get(1) {
            let points = share.as_str().to_lowercase();
            let value = if points.starts_with('b') { value / 100.0 } else { value };
            return (at.start..end, EntityKind::Percent, format!("{value} %"));
        }
        if let Some(currency) = unit.get(2) {
            let name = currency.as_str().to_lowercase();
            let (value, code) = match name.trim_end_matches('s') {
                "dollar" | "buck" | "usd" => (value, "USD"),
                "euro" | "eur" => (value, "EUR"),
                "pound" | "gbp" | "quid" => (value, "GBP"),
                "yen" | "jpy" => (value, "JPY"),
                "franc" | "chf" => (value, "CHF"),
                _ => (value / 100.0, "USD"),
            };
            return (at.start..end, EntityKind::Money, format!("{value} {code}"));
        }
        let name = unit.get(3).map_or(String::new(), |unit| unit.as_str().to_lowercase());
        let written = match name.as_str() {
            "ms" | "millisecond" | "milliseconds" => format!("PT{}S", value / 1000.0),
            name if name.starts_with('s') => format!("PT{value}S"),
            name if name.starts_with("mo") => format!("P{value}M"),
            name if name.starts_with('m') => format!("PT{value}M"),
            name if name.starts_with('h') => format!("PT{value}H"),
            name if name.starts_with('d') => format!("P{value}D"),
            name if name.starts_with('w') => format!("P{value}W"),
            _ => format!("P{value}Y"),
        };
        (at.start..end, EntityKind::Duration, written)
    }
}

fn range(found: &regex::Captures<'_>) -> Range<usize> {
    found.get(0).map_or(0..0, |whole| whole.range())
}

fn month_number(name: &str) -> String {
    let begin: String = name.to_lowercase().chars().take(3).collect();
    let at = MONTHS.iter().position(|month| month.starts_with(&begin));
    at.map_or(String::new(), |at| (at + 1).to_string())
}

/// The day in ISO form, if there is such a day; `--MM-DD` without a year.
fn date(year: &str, month: &str, day: &str) -> Option<String> {
    let (month, day): (u32, u32) = (month.parse().ok()?, day.parse().ok()?);
    let leap = match year.parse::<u32>() {
        Ok(year) => year % 4 == 0 && (year % 100 != 0 || year % 400 == 0),
        Err(_) => true,
    };
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => 0,
    };
    let year = if year.is_empty() { "-" } else { year };
    (1..=days).contains(&day).then(|| format!("{year}-{month:02}-{day:02}"))
}

#[cfg(test)]
mod tests {
    use super::super::passage::untimed;
    use super::*;

    fn all(text: &str) -> Vec<(&'static str, String, String)> {
        let passage = untimed(text, "en", 1);
        let found = Patterns::new().unwrap().find(&passage);
        found.into_iter().map(|e| (e.kind.as_str(), e.text, e.value)).collect()
    }

    #[test]
    fn each_kind_has_its_forms_and_one_value() {
        let cases = [
            ("$1,200.50", "money", "1200.5 USD"),
            ("five dollars", "money", "5 USD"),
            ("€3 million", "money", "3000000 EUR"),
            ("20 cents", "money", "0.2 USD"),
            ("£50k", "money", "50000 GBP"),
            ("5%", "percent", "5 %"),
            ("twenty five percent", "percent", "25 %"),
            ("25 basis points", "percent", "0.25 %"),
            ("$AAPL", "ticker", "AAPL"),
            ("NYSE: IBM", "ticker", "IBM"),
            ("EUR/USD", "ticker", "EURUSD"),
            ("GBPJPY", "ticker", "GBPJPY"),
            ("March 3rd, 2024", "date", "2024-03-03"),
            ("3 March 2024", "date", "2024-03-03"),
            ("the 3rd of March", "date", "--03-03"),
            ("2024-03-03", "date", "2024-03-03"),
            ("03/04/2024", "date", "2024-03-04"),
            ("25/04/2024", "date", "2024-04-25"),
            ("Sept. 9", "date", "--09-09"),
            ("five minutes", "duration", "PT5M"),
            ("60-second", "duration", "PT60S"),
            ("two weeks", "duration", "P2W"),
            ("3 months", "duration", "P3M"),
            ("https://example.com/a?b=1", "url", "example.com/a?b=1"),
            ("www.example.org", "url", "www.example.org"),
            ("example dot com slash start", "url", "example.com/start"),
            ("forty two", "number", "42"),
            ("1.5", "number", "1.5"),
        ];
        for (text, kind, value) in cases {
            assert_eq!(all(text), [(kind, text.to_owned(), value.to_owned())], "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for text in ["USD", "in May we", "the second time", "eg. com", "HELLO", "$", "one"] {
            assert!(all(text).is_empty(), "{text}: {:?}", all(text));
        }
        // There is no such day: two numbers.
        assert!(all("2023-02-30").iter().all(|(kind, ..)| *kind == "number"));
        assert_eq!(all("go to example.com. Then").len(), 1);
    }

    #[test]
    fn hostile_text_is_no_trouble() {
        for text in ["$".repeat(1000), "1,".repeat(1000), "a.".repeat(1000), "١٢٣ %".to_owned()]
        {
            all(&text);
        }
    }
}
