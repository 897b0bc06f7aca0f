//! What variants did, window by window, and what was shared out: kept in one JSON file.

use super::Allocation;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::StagedFile;
use crate::text::lines::Lines;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;
const MOST_BYTES: u64 = 64 << 20;
/// More variants than this are no test.
const MOST_VARIANTS: usize = 1000;
const MOST_NAME: usize = 200;

/// What a variant did in a window of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// How often it was shown.
    pub views: u64,
    /// How often somebody followed it; never more than the views.
    pub clicks: u64,
    /// What showing it cost.
    pub spend: f64,
    /// What it brought.
    pub revenue: f64,
}

/// A day, and what each variant did from then on until the next window.
pub type Window = (NaiveDate, BTreeMap<String, Account>);

/// All results and decisions so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// The version of this form: 1.
    pub variants: u32,
    /// Windows by the day on which they begin.
    pub windows: BTreeMap<NaiveDate, BTreeMap<String, Account>>,
    /// What was shared out, the last one last.
    #[serde(default)]
    pub allocations: Vec<Allocation>,
}

/// What an import changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Results that are new.
    pub added: usize,
    /// Results that were known with other figures, and now have these.
    pub changed: usize,
    /// Results that were known.
    pub known: usize,
}

fn wrong(what: String) -> Error {
    Error::new(ErrorKind::Input, Stage::Variants, what)
}

fn bad(line: u64, what: &str) -> Error {
    wrong(format!("line {line}: {what}"))
        .hint("results have the columns window (a day), variant, views, clicks, spend, revenue")
}

fn read_text(path: &Path) -> Result<String> {
    let failed = |e| Error::io(Stage::Variants, path, e);
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MOST_BYTES {
        let what = format!("is larger than {} MiB", MOST_BYTES >> 20);
        return Err(Error::new(ErrorKind::Limit, Stage::Variants, what).input(path));
    }
    Ok(text)
}

impl Results {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { variants: VERSION, ..Self::default() }
    }

    /// Reads the file, if it is there.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] where it is no such file; [`ErrorKind::Unsupported`] where a newer rushes
    /// wrote it; I/O failures.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let text = read_text(path)?;
        let found: Self = serde_json::from_str(&text)
            .map_err(|e| wrong(format!("is no file of results: {e}")).input(path))?;
        if found.variants != VERSION {
            let what = format!("has version {}; this program knows {VERSION}", found.variants);
            let error = Error::new(ErrorKind::Unsupported, Stage::Variants, what);
            return Err(error.input(path));
        }
        for account in found.windows.values().flat_map(BTreeMap::values) {
            account.check().map_err(|what| wrong(what.to_owned()).input(path))?;
        }
        Ok(Some(found))
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// I/O failures.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|e| {
            Error::new(ErrorKind::Internal, Stage::Variants, format!("results: {e}"))
        })?;
        let mut file = StagedFile::new(path)?;
        file.write(text.as_bytes())?;
        file.write(b"\n")?;
        file.publish()
    }

    /// Holds the file for as long as the returned handle lives, so that two programs cannot each
    /// write without what the other did.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] where another program holds it; I/O failures.
    pub fn lock(path: &Path) -> Result<File> {
        let mut name = path.as_os_str().to_os_string();
        name.push(".lock");
        let lock = PathBuf::from(name);
        let failed = |e| Error::io(Stage::Write, &lock, e);
        if let Some(folder) = lock.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let file = File::options().create(true).append(true).open(&lock).map_err(failed)?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(
            |_| {
                Error::new(ErrorKind::Resource, Stage::Variants, "another program is writing to it")
                    .input(path)
                    .hint("run it again")
            },
        )?;
        Ok(file)
    }

    /// Takes in results from CSV, a variant in a window a line. What is known is not counted twice; other
    /// figures for a known window and variant take the place of the old ones.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] that names the line; nothing is taken in then.
    pub fn import(&mut self, text: &str) -> Result<Imported> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let mut lines = Lines::of(text);
        let mut columns = None;
        let mut new: BTreeMap<(NaiveDate, String), (u64, Account)> = BTreeMap::new();
        for record in reader.records() {
            let record = record.map_err(|error| {
                let line = error.position().map_or(0, |place| lines.at(place.byte()));
                bad(line, &format!("is no CSV: {error}"))
            })?;
            let line = record.position().map_or(0, |place| lines.at(place.byte()));
            let Some(places) = &columns else {
                columns = Some(places(&record, line)?);
                continue;
            };
            let (day, name, account) = row(&record, places, line)?;
            if let Some((before, _)) = new.insert((day, name.clone()), (line, account)) {
                return Err(bad(line, &format!("{name} on {day} stands in line {before} too")));
            }
        }
        if columns.is_none() {
            return Err(bad(1, "there is no line of names"));
        }
        let mut next = self.windows.clone();
        let mut done = Imported::default();
        for ((day, name), (_, account)) in new {
            match next.entry(day).or_default().insert(name, account) {
                None => done.added += 1,
                Some(old) if old == account => done.known += 1,
                Some(_) => done.changed += 1,
            }
        }
        let names: std::collections::BTreeSet<&String> =
            next.values().flat_map(BTreeMap::keys).collect();
        if names.len() > MOST_VARIANTS {
            let what = format!("{} variants; at most {MOST_VARIANTS} are compared", names.len());
            return Err(Error::new(ErrorKind::Limit, Stage::Variants, what));
        }
        self.windows = next;
        Ok(done)
    }
}

impl Account {
    fn check(&self) -> std::result::Result<(), &'static str> {
        let sound = |value: f64| value >= 0.0 && value.is_finite();
        match () {
            () if self.clicks > self.views => Err("there are more clicks than views"),
            () if !sound(self.spend) => Err("spend is not a number from 0 on"),
            () if !sound(self.revenue) => Err("revenue is not a number from 0 on"),
            () => Ok(()),
        }
    }
}

const NAMES: [&str; 6] = ["window", "variant", "views", "clicks", "spend", "revenue"];

/// Where the columns are.
fn places(names: &csv::StringRecord, line: u64) -> Result<[usize; 6]> {
    let mut places = [0; 6];
    for (place, name) in places.iter_mut().zip(NAMES) {
        let mut found = (0..names.len()).filter(|n| names[*n].eq_ignore_ascii_case(name));
        *place = match (found.next(), found.next()) {
            (Some(n), None) => n,
            (None, _) => return Err(bad(line, &format!("has no column {name}"))),
            _ => return Err(bad(line, &format!("has the column {name} twice"))),
        };
    }
    Ok(places)
}

fn row(
    record: &csv::StringRecord,
    places: &[usize; 6],
    line: u64,
) -> Result<(NaiveDate, String, Account)> {
    let cell = |n: usize| {
        let missing = || bad(line, &format!("{} is missing", NAMES[n]));
        record.get(places[n]).filter(|cell| !cell.is_empty()).ok_or_else(missing)
    };
    fn number<T: std::str::FromStr>(cell: &str, name: &str, line: u64) -> Result<T> {
        cell.parse().map_err(|_| bad(line, &format!("{name} is {cell:?}, which is no such number")))
    }
    let day = cell(0)?.parse().map_err(|_| {
        bad(
            line,
            &format!("window is {:?}, which is no day such as 2026-01-05", &record[places[0]]),
        )
    })?;
    let name = cell(1)?.to_owned();
    if name.len() > MOST_NAME {
        return Err(bad(line, &format!("a name of more than {MOST_NAME} bytes")));
    }
    let account = Account {
        views: number(cell(2)?, NAMES[2], line)?,
        clicks: number(cell(3)?, NAMES[3], line)?,
        spend: number(cell(4)?, NAMES[4], line)?,
        revenue: number(cell(5)?, NAMES[5], line)?,
    };
    account.check().map_err(|what| bad(line, what))?;
    Ok((day, name, account))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub const GOOD: &str = "window,variant,views,clicks,spend,revenue\n2026-01-05,a,1000,50,10,80\n\
                            2026-01-05,b,1000,30,10,60.5\n2026-01-12,a,900,40,9,70\n";

    #[test]
    fn importing_twice_counts_once_and_new_figures_replace() {
        let mut results = Results::new();
        assert_eq!(results.import(GOOD).unwrap(), Imported { added: 3, ..Imported::default() });
        assert_eq!(results.import(GOOD).unwrap(), Imported { known: 3, ..Imported::default() });
        let changed = GOOD.replace("900,40", "900,41");
        let done = results.import(&changed).unwrap();
        assert_eq!((done.changed, done.known), (1, 2));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/v.json");
        let lock = Results::lock(&path).unwrap();
        assert_eq!(Results::lock(&path).unwrap_err().kind(), ErrorKind::Resource);
        drop(lock);
        results.save(&path).unwrap();
        assert_eq!(Results::open(&path).unwrap(), Some(results));
        assert_eq!(Results::open(&dir.path().join("none")).unwrap(), None);
    }

    #[test]
    fn bad_lines_are_named_and_change_nothing() {
        for (from, to, told) in [
            ("clicks", "clocks", "line 1: has no column clicks"),
            ("spend", "views", "line 1: has the column views twice"),
            ("1000,30", "1000,1001", "line 3: there are more clicks than views"),
            ("60.5", "NaN", "line 3: revenue is not a number from 0 on"),
            ("60.5", "-1", "line 3: revenue is not a number from 0 on"),
            ("60.5", "", "line 3: revenue is missing"),
            ("2026-01-12", "12.1.2026", "line 4: window is \"12.1.2026\""),
            ("2026-01-12", "2026-01-05", "line 4: a on 2026-01-05 stands in line 2 too"),
            ("1000,50", "-5,50", "line 2: views is \"-5\""),
        ] {
            let mut results = Results::new();
            let error = results.import(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(error.message().starts_with(told), "{told}: {error}");
            assert_eq!(results, Results::new());
        }
        assert!(Results::new().import("").is_err());
    }
}
