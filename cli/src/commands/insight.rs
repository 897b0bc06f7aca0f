//! `rushes insight` and `rushes keywords`: what matters in films of a library.

use super::Session;
use crate::output::Status;
use clap::Args;
use rushes::insight::Insight;
use rushes::insight::clips::Purpose;
use rushes::library::catalogue::insight::{
    ChapterRow, ConceptRow, InsightRows, KeywordRow, PatternRow,
};
use rushes::library::table::{Column, Table, TableFormat};
use rushes::library::{Catalogue, Library, MediaRow};
use rushes::pipeline::{Process, Run, Stages};
use rushes::text::plain;
use rushes::time::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Args, Debug)]
pub struct InsightArgs {
    #[command(flatten)]
    pub what: What,
    /// How many terms, phrases and patterns are shown at most
    #[arg(long, default_value = "12", value_name = "N")]
    pub limit: usize,
}

#[derive(Args, Debug)]
pub struct KeywordsArgs {
    #[command(flatten)]
    pub what: What,
    /// Only this category; may be given several times
    #[arg(long, value_name = "NAME")]
    pub category: Vec<String>,
    /// Only this term; may be given several times
    #[arg(long, value_name = "TERM")]
    pub term: Vec<String>,
    /// Every mention with its time, not how often each term is there
    #[arg(long)]
    pub all: bool,
    /// Comma-separated values
    #[arg(long)]
    pub csv: bool,
}

/// Which films, and what is looked for in them.
#[derive(Args, Debug)]
pub struct What {
    /// Films of the library: files, names, or folders as `rushes library ls` shows them
    #[arg(required = true, value_name = "FILM")]
    pub films: Vec<PathBuf>,
    /// The library
    #[arg(long, default_value = "library", value_name = "DIR")]
    pub library: PathBuf,
    /// A dictionary (TOML or CSV) to look for as well, this time; may be given several times
    #[arg(long, value_name = "FILE")]
    pub dictionary: Vec<PathBuf>,
    /// Rules (TOML) to follow as well, this time; may be given several times
    #[arg(long, value_name = "FILE")]
    pub rules: Vec<PathBuf>,
}

impl What {
    /// Does `work` on what was found in each film.
    fn each(
        &self,
        session: &Session,
        mut work: impl FnMut(&MediaRow, &InsightRows) -> anyhow::Result<()>,
    ) -> anyhow::Result<Status> {
        let mut status = Status::Ok;
        let library = Library::at(&self.library);
        let opened = library.existing().and_then(|catalogue| {
            let insight = Insight::with(&self.library, &self.dictionary, &self.rules)?;
            Ok((catalogue, Arc::new(insight)))
        });
        let (catalogue, insight) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                session.output.failure(&error)?;
                return Ok(status.and_failure(&error, true));
            }
        };
        // What was asked for this time only is not kept.
        let keep = self.dictionary.is_empty() && self.rules.is_empty();
        for (n, film) in self.films.iter().enumerate() {
            match find(session, &library, &catalogue, &insight, film, keep) {
                Ok((media, rows)) => {
                    work(&media, &rows)?;
                    status = status.and_success();
                }
                Err(error) => {
                    session.output.failure(&error)?;
                    status = status.and_failure(&error, n == 0 || status != Status::Ok);
                }
            }
        }
        Ok(status)
    }
}

/// What matters in `film`: out of the library, brought up to date if the film is still there.
fn find(
    session: &Session,
    library: &Library,
    catalogue: &Catalogue,
    insight: &Arc<Insight>,
    film: &Path,
    keep: bool,
) -> rushes::Result<(MediaRow, InsightRows)> {
    let media = library.find(film)?;
    if keep {
        current(&session.run, library, catalogue, insight, None, &media)?;
        return Ok((media.clone(), InsightRows::of(catalogue, media.id)?));
    }
    let heard = rushes::insight::Heard::of(catalogue, media.id)?;
    let findings = insight.find(&heard, &session.run.cancel)?;
    Ok((media, insight.rows(&heard, &findings)))
}

/// Runs the stage `insight` on a film of the library, and with `purposes` that of clips, if its file is
/// where it was seen. Nothing is decoded for it, but the sound once if it was never measured.
pub fn current(
    run: &Run,
    library: &Library,
    catalogue: &Catalogue,
    insight: &Arc<Insight>,
    purposes: Option<&Arc<[Purpose]>>,
    media: &MediaRow,
) -> rushes::Result<()> {
    let seen = catalogue.paths_of(media.id)?;
    let Some(seen) = seen.iter().find(|seen| seen.path.is_file()) else { return Ok(()) };
    let job = Process {
        stages: Stages::NONE,
        insight: Some(insight.clone()),
        clips: purposes.cloned(),
        ..Process::default()
    };
    job.run(&seen.path, library, run).map(|_| ())
}

#[derive(Serialize)]
struct Record<'a, T: Serialize> {
    r#type: &'static str,
    film: &'a str,
    #[serde(flatten)]
    row: &'a T,
}

pub fn run(session: &Session, args: &InsightArgs) -> anyhow::Result<Status> {
    args.what.each(session, |media, rows| {
        if session.output.json {
            let film = media.name.as_str();
            for row in &rows.chapters {
                session.output.data("", &Record { r#type: "chapter", film, row })?;
            }
            for row in &rows.keywords {
                session.output.data("", &Record { r#type: "keyword", film, row })?;
            }
            for row in &rows.concepts {
                session.output.data("", &Record { r#type: "concept", film, row })?;
            }
            for row in &rows.patterns {
                session.output.data("", &Record { r#type: "pattern", film, row })?;
            }
            return Ok(());
        }
        let mut lines = vec![media.name.clone()];
        lines.extend(chapters(&rows.chapters));
        lines.extend(terms(&rows.keywords, args.limit));
        lines.extend(concepts(&rows.concepts, args.limit));
        lines.extend(patterns(&rows.patterns, args.limit));
        if lines.len() == 1 {
            lines.push("  nothing is said or written that is known here".to_owned());
        }
        let lines: Vec<String> = lines.iter().map(|line| plain(line).into_owned()).collect();
        session.output.data(&lines.join("\n"), &())
    })
}

fn chapters(rows: &[ChapterRow]) -> Vec<String> {
    let row = |row: &ChapterRow| {
        let about = if row.about.is_empty() { String::new() } else { format!("  ({})", row.about) };
        format!("  {}  {}{about}", clock(row.span.start), row.title)
    };
    titled("Chapters", rows.iter().map(row).collect())
}

/// A term of a film in short.
struct Count<'a> {
    row: &'a KeywordRow,
    times: usize,
    weight: f64,
}

/// The terms, the weightiest first.
fn counts(rows: &[KeywordRow]) -> Vec<Count<'_>> {
    let mut counts: BTreeMap<(&str, &str), Count<'_>> = BTreeMap::new();
    for row in rows {
        let key = (row.dictionary.as_str(), row.term.as_str());
        let count = counts.entry(key).or_insert(Count { row, times: 0, weight: 0.0 });
        count.times += 1;
        count.weight += row.weight;
    }
    let mut counts: Vec<Count<'_>> = counts.into_values().collect();
    counts.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.row.term.cmp(&b.row.term)));
    counts
}

fn terms(rows: &[KeywordRow], limit: usize) -> Vec<String> {
    let line = |count: &Count<'_>| {
        let Count { row, times, .. } = count;
        format!("  {times:>4} × {:<28} {:<16} {}", row.term, row.category, clock(row.span.start))
    };
    titled("Terms", counts(rows).iter().take(limit).map(line).collect())
}

fn concepts(rows: &[ConceptRow], limit: usize) -> Vec<String> {
    let mut phrases: Vec<(&ConceptRow, usize)> = Vec::new();
    let mut things = Vec::new();
    let mut topics: BTreeMap<&str, &ConceptRow> = BTreeMap::new();
    for row in rows {
        match row.kind.as_str() {
            "phrase" => match phrases.iter_mut().find(|(known, _)| known.text == row.text) {
                Some((_, times)) => *times += 1,
                None => phrases.push((row, 1)),
            },
            "topic" => drop(topics.entry(row.value.as_deref().unwrap_or("")).or_insert(row)),
            kind => {
                let value = row.value.as_deref().unwrap_or("");
                things.push(format!(
                    "  {}  {kind:<9} {}  = {value}",
                    clock(row.span.start),
                    row.text
                ));
            }
        }
    }
    phrases.sort_by(|a, b| b.0.score.total_cmp(&a.0.score).then(a.0.text.cmp(&b.0.text)));
    let phrase = |(row, times): &(&ConceptRow, usize)| format!("  {times:>4} × {}", row.text);
    let topic = |row: &&ConceptRow| format!("  {:>3.0} %  {}", row.score * 100.0, row.text);
    things.truncate(limit);
    let mut lines = titled("Key phrases", phrases.iter().take(limit).map(phrase).collect());
    lines.extend(titled("Topics", topics.values().map(topic).collect()));
    lines.extend(titled("Amounts, dates, names by form", things));
    lines
}

fn patterns(rows: &[PatternRow], limit: usize) -> Vec<String> {
    let line = |row: &PatternRow| {
        let parts: Vec<String> = row.parts.iter().map(|part| short(&part.text)).collect();
        format!("  {}  {:<24} {}", clock(row.span.start), row.rule, parts.join(" → "))
    };
    titled("Patterns", rows.iter().take(limit).map(line).collect())
}

fn titled(title: &str, lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() { lines } else { std::iter::once(title.to_owned()).chain(lines).collect() }
}

/// At most 48 letters.
fn short(text: &str) -> String {
    match text.char_indices().nth(48) {
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
        None => text.to_owned(),
    }
}

/// `1:02:03.4` or `02:03.4`.
pub fn clock(time: Timestamp) -> String {
    let tenths = time.as_millis() / 100;
    let (hours, minutes) = (tenths / 36_000, tenths / 600 % 60);
    let seconds = format!("{:02}.{}", tenths / 10 % 60, tenths % 10);
    match hours {
        0 => format!("{minutes:02}:{seconds}"),
        hours => format!("{hours}:{minutes:02}:{seconds}"),
    }
}

pub fn keywords(session: &Session, args: &KeywordsArgs) -> anyhow::Result<Status> {
    let mut kept: Vec<(String, KeywordRow)> = Vec::new();
    let status = args.what.each(session, |media, rows| {
        let same = |list: &[String], is: &str| {
            list.is_empty() || list.iter().any(|one| one.eq_ignore_ascii_case(is))
        };
        let wanted: Vec<&KeywordRow> = rows
            .keywords
            .iter()
            .filter(|row| same(&args.category, &row.category) && same(&args.term, &row.term))
            .collect();
        if args.csv {
            kept.extend(wanted.into_iter().map(|row| (media.name.clone(), row.clone())));
            return Ok(());
        }
        if args.all || session.output.json {
            for row in wanted {
                let text = format!(
                    "{}  {:<28} {:<16} {:<9} {}",
                    clock(row.span.start),
                    row.term,
                    row.category,
                    row.how,
                    row.found
                );
                let film = media.name.as_str();
                session.output.data(&plain(&text), &Record { r#type: "keyword", film, row })?;
            }
            return Ok(());
        }
        let wanted: Vec<KeywordRow> = wanted.into_iter().cloned().collect();
        let mut lines = vec![media.name.clone()];
        lines.extend(terms(&wanted, usize::MAX));
        let lines: Vec<String> = lines.iter().map(|line| plain(line).into_owned()).collect();
        session.output.data(&lines.join("\n"), &())
    })?;
    if args.csv && status != Status::Cancelled {
        let mut bytes = Vec::new();
        table(&kept).write(TableFormat::Csv, &mut bytes)?;
        session.output.bytes(&bytes)?;
    }
    Ok(status)
}

fn table(rows: &[(String, KeywordRow)]) -> Table {
    let text = |of: &dyn Fn(&(String, KeywordRow)) -> String| {
        Column::Text(rows.iter().map(|row| Some(of(row))).collect())
    };
    let number = |of: &dyn Fn(&KeywordRow) -> f64| {
        Column::Number(rows.iter().map(|(_, row)| Some(of(row))).collect())
    };
    let mut table = Table::new();
    table.column("film", text(&|(film, _)| film.clone()));
    table.column("start_s", number(&|row| row.span.start.as_secs_f64()));
    table.column("end_s", number(&|row| row.span.end.as_secs_f64()));
    table.column("term", text(&|(_, row)| row.term.clone()));
    table.column("category", text(&|(_, row)| row.category.clone()));
    table.column("dictionary", text(&|(_, row)| row.dictionary.clone()));
    table.column("found", text(&|(_, row)| row.found.clone()));
    table.column("how", text(&|(_, row)| row.how.clone()));
    table.column("weight", number(&|row| row.weight));
    table
}
