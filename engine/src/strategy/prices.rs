//! Price files: CSV with a bar a line, refused at the first line that cannot be relied on.

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::text::lines::Lines;
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest price file that is read.
const MOST_BYTES: u64 = 512 << 20;
/// The most bars that are read.
const MOST_BARS: usize = 5_000_000;
/// Markets close for weekends and holidays: what is shorter is never a gap.
const CLOSED_MS: i64 = 7 * 86_400_000;
/// Above the usual step by this factor, and longer than markets close for, is a gap.
const GAP_STEPS: i64 = 7;

/// A bar: what happened in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// When it begins, milliseconds since 1970 (UTC where the file states no offset).
    pub at_ms: i64,
    /// The first price.
    pub open: f64,
    /// The highest price.
    pub high: f64,
    /// The lowest price.
    pub low: f64,
    /// The last price.
    pub close: f64,
    /// What was traded; 0 where the file has no such column.
    pub volume: f64,
}

/// What a price file may be like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PriceRules {
    /// The longest stretch between two bars, in milliseconds. Without: a week, or seven usual steps
    /// where those are longer.
    pub most_gap_ms: Option<i64>,
}

/// Bars in order of time.
#[derive(Clone, Debug)]
pub struct Prices {
    bars: Vec<Bar>,
    has_volume: bool,
    digest: String,
}

/// Reads a text file of at most `most` bytes.
pub(super) fn read_text(path: &Path, most: u64) -> Result<String> {
    let failed = |e| Error::io(Stage::Strategy, path, e);
    let mut text = String::new();
    let read = File::open(path).map_err(failed)?.take(most + 1).read_to_string(&mut text);
    read.map_err(failed)?;
    if text.len() as u64 > most {
        let text = format!("is larger than {} MiB", most >> 20);
        return Err(Error::new(ErrorKind::Limit, Stage::Strategy, text).input(path));
    }
    Ok(text)
}

impl Prices {
    /// Reads a file: a line of names, then a bar a line. Columns are found by name in any order and
    /// case: `date` (or `time`, `datetime`, `timestamp`), `open`, `high`, `low`, `close`, and
    /// `volume`, which may be left out.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] that names the line: missing or doubled columns, lines of another length,
    /// what is no number or no time, NaN, infinite, negative or zero prices, prices outside of their
    /// bar's range, bars out of order or twice, gaps; [`ErrorKind::Limit`] above 512 MiB or five
    /// million bars; I/O failures.
    pub fn read(path: &Path, rules: PriceRules) -> Result<Self> {
        let text = read_text(path, MOST_BYTES)?;
        Self::parse(&text, rules).map_err(|error| error.input(path))
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// As [`Prices::read`].
    pub fn parse(text: &str, rules: PriceRules) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let mut lines = Lines::of(text);
        let mut columns = None;
        let mut bars: Vec<(u64, Bar)> = Vec::new();
        let mut record = csv::StringRecord::new();
        loop {
            let more = reader.read_record(&mut record).map_err(|error| {
                let line = error.position().map_or(0, |place| lines.at(place.byte()));
                bad(line, &format!("is no CSV: {error}"))
            })?;
            if !more {
                break;
            }
            let line = record.position().map_or(0, |place| lines.at(place.byte()));
            match &columns {
                None => columns = Some(Columns::of(&record, line)?),
                Some(columns) => {
                    if bars.len() == MOST_BARS {
                        let text = format!("holds more than {MOST_BARS} bars");
                        return Err(Error::new(ErrorKind::Limit, Stage::Strategy, text));
                    }
                    let bar = columns.bar(&record, line)?;
                    in_order(bars.last(), &bar, line)?;
                    bars.push((line, bar));
                }
            }
        }
        let Some(columns) = columns else { return Err(bad(1, "there is no line of names")) };
        if bars.len() < 2 {
            return Err(bad(1, "there are fewer than two bars"));
        }
        no_gaps(&bars, rules)?;
        let digest = blake3::hash(text.as_bytes()).to_hex().to_string();
        let bars = bars.into_iter().map(|(_, bar)| bar).collect();
        Ok(Self { bars, has_volume: columns.volume.is_some(), digest })
    }

    /// The synthetic prices that this program carries: made up, daily, for demonstrations and tests.
    ///
    /// # Errors
    /// None, unless the build is damaged.
    pub fn synthetic() -> Result<Self> {
        let text = include_str!("../../../fixtures/prices/synthetic.csv");
        Self::parse(text, PriceRules::default())
    }

    /// The bars, in order of time; two at least.
    pub fn bars(&self) -> &[Bar] {
        &self.bars
    }

    /// Whether the file tells volumes.
    pub fn has_volume(&self) -> bool {
        self.has_volume
    }

    /// BLAKE3 of the file, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The usual step from bar to bar (the median), in milliseconds.
    pub fn step_ms(&self) -> i64 {
        median_step(self.bars.windows(2).map(|pair| pair[1].at_ms - pair[0].at_ms).collect())
    }

    /// How many bars a year has: 252 for days and 52 for weeks; for shorter bars as many as there
    /// were on average.
    pub fn bars_per_year(&self) -> f64 {
        const YEAR_MS: f64 = 365.25 * 86_400_000.0;
        match self.step_ms() {
            86_400_000 => 252.0,
            604_800_000 => 52.0,
            _ => {
                let (first, last) = (self.bars[0].at_ms, self.bars[self.bars.len() - 1].at_ms);
                (self.bars.len() - 1) as f64 * YEAR_MS / (last - first) as f64
            }
        }
    }

    #[cfg(test)]
    pub(super) fn of(bars: Vec<Bar>) -> Self {
        Self { bars, has_volume: true, digest: String::new() }
    }
}

/// When a bar begins, for people: a date, with the time where there is one.
pub(super) fn show_time(at_ms: i64) -> String {
    let Some(time) = DateTime::from_timestamp_millis(at_ms) else { return at_ms.to_string() };
    let form = if at_ms % 86_400_000 == 0 { "%Y-%m-%d" } else { "%Y-%m-%dT%H:%M:%SZ" };
    time.format(form).to_string()
}

fn bad(line: u64, what: &str) -> Error {
    Error::new(ErrorKind::Input, Stage::Strategy, format!("line {line}: {what}"))
        .hint("a price file has the columns date, open, high, low, close, volume, oldest bar first")
}

/// Where the columns are.
struct Columns {
    time: usize,
    prices: [usize; 4],
    volume: Option<usize>,
    count: usize,
}

const PRICES: [&str; 4] = ["open", "high", "low", "close"];

impl Columns {
    fn of(names: &csv::StringRecord, line: u64) -> Result<Self> {
        let names: Vec<String> = names.iter().map(str::to_lowercase).collect();
        let find = |wanted: &[&str]| {
            let mut found = (0..names.len()).filter(|i| wanted.contains(&names[*i].as_str()));
            match (found.next(), found.next()) {
                (Some(_), Some(_)) => {
                    Err(bad(line, &format!("has the column {} twice", wanted[0])))
                }
                (found, _) => Ok(found),
            }
        };
        let must = |wanted: &[&str]| {
            find(wanted)?.ok_or_else(|| {
                let names = names.join(", ");
                bad(line, &format!("has no column {} among its names ({names})", wanted[0]))
            })
        };
        let time = must(&["date", "time", "datetime", "timestamp"])?;
        let mut prices = [0; 4];
        for (place, name) in prices.iter_mut().zip(PRICES) {
            *place = must(&[name])?;
        }
        Ok(Self { time, prices, volume: find(&["volume"])?, count: names.len() })
    }

    fn bar(&self, record: &csv::StringRecord, line: u64) -> Result<Bar> {
        if record.len() != self.count {
            let text = format!("has {} values for {} columns", record.len(), self.count);
            return Err(bad(line, &text));
        }
        let at_ms = time(&record[self.time]).ok_or_else(|| {
            bad(
                line,
                &format!(
                    "{:?} is no time such as 2026-01-05 or 2026-01-05T09:30:00Z",
                    &record[self.time]
                ),
            )
        })?;
        let mut prices = [0.0; 4];
        for ((price, at), name) in prices.iter_mut().zip(self.prices).zip(PRICES) {
            *price = number(&record[at], name, line)?;
            if *price <= 0.0 {
                return Err(bad(line, &format!("{name} is {price}; prices are above 0")));
            }
        }
        let [open, high, low, close] = prices;
        for (name, price) in [("open", open), ("close", close), ("low", low)] {
            if !(low..=high).contains(&price) {
                let text = format!("{name} {price} lies outside of the bar's {low} to {high}");
                return Err(bad(line, &text));
            }
        }
        let volume = match self.volume {
            None => 0.0,
            Some(at) => number(&record[at], "volume", line)?,
        };
        if volume < 0.0 {
            return Err(bad(line, &format!("volume is {volume}; it cannot be negative")));
        }
        Ok(Bar { at_ms, open, high, low, close, volume })
    }
}

fn number(text: &str, name: &str, line: u64) -> Result<f64> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(value) => Err(bad(line, &format!("{name} is {value}"))),
        Err(_) if text.is_empty() => Err(bad(line, &format!("{name} is missing"))),
        Err(_) => Err(bad(line, &format!("{name} is {text:?}, which is no number"))),
    }
}

/// A time as files write it; without an offset it is UTC.
fn time(text: &str) -> Option<i64> {
    const FORMS: [&str; 4] =
        ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"];
    const DAYS: [&str; 2] = ["%Y-%m-%d", "%Y/%m/%d"];
    if text.len() >= 9 && text.bytes().all(|b| b.is_ascii_digit()) {
        // Seconds until 2286 have ten digits, milliseconds from 2001 on thirteen.
        let number: i64 = text.parse().ok()?;
        return match text.len() {
            9..=10 => Some(number * 1000),
            12..=13 => Some(number),
            _ => None,
        };
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    let times = FORMS.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let days = || DAYS.iter().find_map(|form| NaiveDate::parse_from_str(text, form).ok());
    let time = times.or_else(|| days()?.and_hms_opt(0, 0, 0))?;
    Some(time.and_utc().timestamp_millis())
}

fn in_order(last: Option<&(u64, Bar)>, bar: &Bar, line: u64) -> Result<()> {
    let Some((before, last)) = last else { return Ok(()) };
    let (old, new) = (show_time(last.at_ms), show_time(bar.at_ms));
    match bar.at_ms.cmp(&last.at_ms) {
        std::cmp::Ordering::Greater => Ok(()),
        std::cmp::Ordering::Equal => {
            Err(bad(line, &format!("{new} is the time of line {before} too")))
        }
        std::cmp::Ordering::Less => {
            Err(bad(line, &format!("{new} lies before {old} in line {before}: not in order")))
        }
    }
}

fn median_step(mut steps: Vec<i64>) -> i64 {
    // Of two in the middle the shorter.
    let middle = (steps.len() - 1) / 2;
    *steps.select_nth_unstable(middle).1
}

fn no_gaps(bars: &[(u64, Bar)], rules: PriceRules) -> Result<()> {
    let step = |pair: &[(u64, Bar)]| pair[1].1.at_ms - pair[0].1.at_ms;
    let usual = median_step(bars.windows(2).map(step).collect());
    let most = rules.most_gap_ms.unwrap_or_else(|| CLOSED_MS.max(usual.saturating_mul(GAP_STEPS)));
    match bars.windows(2).find(|pair| step(pair) > most) {
        None => Ok(()),
        Some(pair) => {
            let days = |ms: i64| ms as f64 / 86_400_000.0;
            let text = format!(
                "a gap of {:.1} days after {}; at most {:.1} are expected",
                days(step(pair)),
                show_time(pair[0].1.at_ms),
                days(most)
            );
            Err(bad(pair[1].0, &text).hint("fill it, or say how long a gap may be: --max-gap 30"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Date,Open,High,Low,Close,Volume\n2026-01-05,10,12,9,11,100\n\
                        2026-01-06,11,12,10,12,0\n2026-01-07,12,13,11,11,5\n";

    fn error(text: &str) -> String {
        let error = Prices::parse(text, PriceRules::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{error}");
        error.message().to_owned()
    }

    #[test]
    fn sound_files_in_many_forms() {
        let prices = Prices::parse(GOOD, PriceRules::default()).unwrap();
        assert_eq!((prices.bars().len(), prices.has_volume()), (3, true));
        assert_eq!((prices.step_ms(), prices.bars_per_year()), (86_400_000, 252.0));
        let bar = prices.bars()[0];
        assert_eq!((bar.open, bar.high, bar.low, bar.close), (10.0, 12.0, 9.0, 11.0));
        assert_eq!(show_time(bar.at_ms), "2026-01-05");
        let other = "\u{feff}close, low ,high,open,timestamp\r\n11,9,12,10,1767571200\r\n\
                     \"12\",10,12,11,2026-01-05T01:00:00+01:00\r\n\
                     12,10,12,11,2026-01-05 00:05\r\n12,10,12,11,1767571800000\r\n";
        // the second line is the same time as the first
        assert!(error(other).starts_with("line 3: 2026-01-05 is the time of line 2 too"));
        let other = other.replace("01:00:00+01", "01:03:00+01");
        let prices = Prices::parse(&other, PriceRules::default()).unwrap();
        assert!(!prices.has_volume());
        assert_eq!(prices.bars()[3].at_ms - prices.bars()[0].at_ms, 600_000);
    }

    #[test]
    fn every_bad_line_is_named() {
        for (from, to, told) in [
            ("Close", "Clothes", "line 1: has no column close"),
            ("Close", "Open", "line 1: has the column open twice"),
            ("2026-01-06,11", "06.01.2026,11", "line 3: \"06.01.2026\" is no time"),
            (
                "2026-01-06,11",
                "2026-01-09,11",
                "line 4: 2026-01-07 lies before 2026-01-09 in line 3",
            ),
            ("2026-01-06,11", "2026-01-05,11", "line 3: 2026-01-05 is the time of line 2 too"),
            ("12,13,11,11,5", "12,13,11,NaN,5", "line 4: close is NaN"),
            ("12,13,11,11,5", "12,inf,11,11,5", "line 4: high is inf"),
            ("12,13,11,11,5", "12,13,-11,11,5", "line 4: low is -11; prices are above 0"),
            ("12,13,11,11,5", "12,13,11,11,-5", "line 4: volume is -5"),
            ("12,13,11,11,5", "12,13,11,,5", "line 4: close is missing"),
            ("12,13,11,11,5", "12,13,11,x,5", "line 4: close is \"x\", which is no number"),
            ("12,13,11,11,5", "12,13,11,11", "line 4: has 5 values for 6 columns"),
            (
                "12,13,11,11,5",
                "12,13,11,14,5",
                "line 4: close 14 lies outside of the bar's 11 to 13",
            ),
            ("12,13,11,11,5", "12,11,13,12,5", "line 4: open 12 lies outside"),
            ("2026-01-07", "2026-03-07", "line 4: a gap of 60.0 days after 2026-01-06"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD, "{from}");
            let found = error(&text);
            assert!(found.starts_with(told), "{told}: {found}");
        }
        // ends of lines as on Windows, and empty lines
        let text = GOOD.replace("12,13,11,11,5", "12,13,11,x,5").replace('\n', "\r\n\r\n");
        assert!(error(&text).starts_with("line 7: close is \"x\""), "{}", error(&text));
        assert!(error("").starts_with("line 1: there is no line of names"));
        assert!(error("date,open,high,low,close\n").contains("fewer than two bars"));
        let gap = GOOD.replace("2026-01-07", "2026-03-07");
        Prices::parse(&gap, PriceRules { most_gap_ms: Some(61 * 86_400_000) }).unwrap();
    }

    #[test]
    fn the_prices_that_come_along_are_sound() {
        let prices = Prices::synthetic().unwrap();
        assert_eq!((prices.bars().len(), prices.bars_per_year()), (1040, 252.0));
    }
}
