//! `rushes library`: what is in a library, and keeping it in order.

use super::Session;
use crate::output::{Status, say};
use clap::{Args, Subcommand, ValueEnum};
use rushes::library::catalogue::rows::{FeatureRow, FrameRow, Owner, RowRef, ShotRow, Stored};
use rushes::library::catalogue::{ExportFormat, MediaRow, RunRow, TABLES, Tag};
use rushes::library::{Catalogue, Library, StagedFile};
use rushes::search::verify_library;
use rushes::text::plain;
use rushes::{Error, ErrorKind, Timestamp};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub struct LibraryArgs {
    #[command(subcommand)]
    pub verb: LibraryVerb,
    /// The library's folder
    #[arg(long, global = true, default_value = "library", value_name = "DIR")]
    pub library: PathBuf,
}

#[derive(Subcommand, Debug)]
pub enum LibraryVerb {
    /// List what is in the library
    #[command(
        after_help = "Examples:\n  rushes library ls\n  rushes library ls --json | jq -r .folder"
    )]
    Ls,
    /// Show what is known of a film: its files, stages, shots and what they look like, transcript,
    /// texts in its pictures
    #[command(
        after_help = "Examples:\n  rushes library show talk.mp4\n  rushes library show 3fa9c1d2 --json | jq .stages"
    )]
    Show {
        /// A path, a folder's name, a file's name, or the beginning of a digest
        what: PathBuf,
    },
    /// Remove films from the library: rows and files, never the films themselves
    #[command(
        after_help = "Examples:\n  rushes library rm talk.mp4\n  rushes library rm talk-3fa9c1d2 --library archive"
    )]
    Rm {
        /// Paths, folders' names, files' names, or beginnings of digests
        #[arg(required = true)]
        what: Vec<PathBuf>,
    },
    /// Put words on a film, or take them off, to search only among some; without any, show them
    #[command(
        after_help = "Examples:\n  rushes library tag talk.mp4 +interview +day-2 -draft\n  rushes search \"the price\" --tag interview\n\nOptions go before the film."
    )]
    Tag {
        /// A path, a folder's name, a file's name, or the beginning of a digest
        what: PathBuf,
        /// +TAG puts it on, -TAG takes it off
        #[arg(allow_hyphen_values = true, trailing_var_arg = true, value_name = "+TAG|-TAG")]
        changes: Vec<String>,
    },
    /// Read everything again and look for damage; restore what can be, mark the rest to be made anew
    #[command(
        after_help = "Examples:\n  rushes library verify\n  rushes library verify --library archive --json\n\nA damaged index of vectors is made anew at once. Exit code 1 if something is damaged and could not be restored; `rushes process` makes that anew."
    )]
    Verify,
    /// Remove what belongs to nothing, such as the work of runs that were killed
    #[command(
        after_help = "Examples:\n  rushes library gc --dry-run\n  rushes library gc --library archive"
    )]
    Gc {
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
    },
    /// Write the catalogue's rows as JSON lines or CSV
    #[command(
        after_help = "Examples:\n  rushes library export -o library.ndjson\n  rushes library export --format csv --table segments -o segments.csv\n\nTimes are exact fractions of seconds (NUM/DEN), vectors lists of numbers."
    )]
    Export {
        /// How rows are written
        #[arg(long, value_enum, default_value = "ndjson")]
        format: Format,
        /// Tables to write [default: all; CSV takes one]
        #[arg(long = "table", value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(TABLES), value_name = "TABLES")]
        tables: Vec<String>,
        /// File to write [default: standard output]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[value(alias = "json")]
    Ndjson,
    Csv,
}

#[derive(Serialize)]
struct Entry<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    media: &'a MediaRow,
    tags: Vec<Tag>,
    paths: Vec<String>,
    duration: Option<Timestamp>,
    stages: Vec<StageEntry>,
}

#[derive(Serialize)]
struct StageEntry {
    stage: String,
    done: bool,
    key: String,
    seconds: f64,
    note: Option<String>,
    damage: Option<String>,
    summary: Value,
}

pub fn run(session: &Session, args: &LibraryArgs) -> anyhow::Result<Status> {
    let library = Library::at(&args.library);
    let done = match &args.verb {
        LibraryVerb::Ls => ls(session, &library),
        LibraryVerb::Show { what } => show(session, &library, what),
        LibraryVerb::Rm { what } => return rm(session, &library, what),
        LibraryVerb::Tag { what, changes } => tag(session, &library, what, changes),
        LibraryVerb::Verify => verify(session, &library),
        LibraryVerb::Gc { dry_run } => gc(session, &library, *dry_run),
        LibraryVerb::Export { format, tables, output } => {
            if *format == Format::Csv && tables.len() != 1 {
                anyhow::bail!("CSV holds one table: give one with --table");
            }
            export(&library, *format, tables, output.as_deref())
        }
    };
    match done {
        Ok(told) => told,
        Err(error) => {
            session.output.failure(&error)?;
            Ok(Status::Ok.and_failure(&error, true))
        }
    }
}

/// An engine's error ends the verb; one of standard output ends the program.
type Told = rushes::Result<anyhow::Result<Status>>;

fn entry<'a>(catalogue: &Catalogue, media: &'a MediaRow) -> rushes::Result<Entry<'a>> {
    let stage = |run: RunRow| StageEntry {
        stage: run.parts.stage.clone(),
        done: run.done,
        key: run.key.to_string(),
        seconds: run.wall.as_secs_f64(),
        note: run.note,
        damage: run.damage,
        summary: run.summary["result"].clone(),
    };
    let paths = catalogue.paths_of(media.id)?;
    Ok(Entry {
        r#type: "library",
        media,
        tags: catalogue.tags_of(media.id)?,
        paths: paths.iter().map(|seen| seen.path.to_string_lossy().into_owned()).collect(),
        duration: catalogue.probe_of(media.id)?.and_then(|probe| probe.duration),
        stages: catalogue.runs_of(media.id)?.into_iter().map(stage).collect(),
    })
}

fn length(duration: Option<Timestamp>) -> String {
    duration.map_or_else(|| "unknown length".to_owned(), |duration| duration.to_string())
}

fn ls(session: &Session, library: &Library) -> Told {
    let catalogue = library.existing()?;
    for media in catalogue.all_media()? {
        let entry = entry(&catalogue, &media)?;
        let stages: Vec<String> = entry
            .stages
            .iter()
            .filter(|stage| stage.stage != "report")
            .map(|stage| match (&stage.damage, stage.done) {
                (_, false) => format!("{} failed", stage.stage),
                (Some(_), _) => format!("{} damaged", stage.stage),
                _ => stage.stage.clone(),
            })
            .collect();
        let tags = match entry.tags.as_slice() {
            [] => String::new(),
            tags => format!(" [{}]", words(tags)),
        };
        let (length, stages) = (length(entry.duration), stages.join(", "));
        let text = format!("{}{tags}: {length}, {stages}", media.folder);
        if let Err(error) = session.output.data(&plain(&text), &entry) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(Status::Ok))
}

fn show(session: &Session, library: &Library, what: &Path) -> Told {
    let catalogue = library.existing()?;
    let media = library.find(what)?;
    let entry = entry(&catalogue, &media)?;
    let mut lines = vec![
        format!("{}  {}, {} bytes", media.folder, length(entry.duration), media.bytes),
        format!("  content  {}", media.content),
    ];
    if !entry.tags.is_empty() {
        lines.push(format!("  tags     {}", words(&entry.tags)));
    }
    for path in &entry.paths {
        let here = if Path::new(path).exists() { "" } else { " (not there now)" };
        lines.push(format!("  file     {path}{here}"));
    }
    for stage in &entry.stages {
        let mut line = format!("  {:<11}{:.2} s", stage.stage, stage.seconds);
        if !stage.summary.is_null() {
            let summary = stage.summary.to_string();
            line.push_str(&format!("  {}", summary.chars().take(160).collect::<String>()));
        }
        for text in [&stage.note, &stage.damage].into_iter().flatten() {
            line.push_str(&format!("  {text}"));
        }
        lines.push(line);
    }
    let looks = Looks::of(&catalogue, media.id)?;
    for shot in &looks.shots {
        let span = shot.row.span;
        lines.push(format!(
            "  shot     {} - {}  {}{}",
            span.start,
            span.end,
            shot.row.transition,
            told(looks.of_shot.get(&shot.id))
        ));
        let own = |frame: &&Stored<FrameRow>| frame.row.shot == Some(RowRef::Known(shot.id));
        for frame in looks.frames.iter().filter(own) {
            let file = frame.row.file.as_deref().unwrap_or_default();
            lines.push(format!("    {}  {file}", frame.row.time));
        }
    }
    for text in catalogue.texts_of(media.id)? {
        let frame = looks.frames.iter().find(|frame| text.row.frame == RowRef::Known(frame.id));
        let from = text.row.span.map(|span| span.start).or(frame.map(|frame| frame.row.time));
        lines.push(format!("  written  {}  {}", from.unwrap_or(Timestamp::ZERO), text.row.text));
    }
    for segment in catalogue.segments_of(media.id)? {
        let span = segment.row.span;
        lines.push(format!("  {} - {}  {}", span.start, span.end, segment.row.text));
    }
    let lines: Vec<String> = lines.iter().map(|line| plain(line).into_owned()).collect();
    let mut record = serde_json::to_value(&entry).unwrap_or_default();
    record["shots"] = looks.record();
    Ok(session.output.data(&lines.join("\n"), &record).map(|()| Status::Ok))
}

/// The shots of a film, the frames that stand for them, and what both look like.
struct Looks {
    shots: Vec<Stored<ShotRow>>,
    frames: Vec<Stored<FrameRow>>,
    of_shot: BTreeMap<i64, Vec<FeatureRow>>,
    of_frame: BTreeMap<i64, Vec<FeatureRow>>,
}

impl Looks {
    fn of(catalogue: &Catalogue, media: i64) -> rushes::Result<Self> {
        let mut looks = Self {
            shots: catalogue.shots_of(media)?,
            frames: catalogue.frames_of(media, Some("features"))?,
            of_shot: BTreeMap::new(),
            of_frame: BTreeMap::new(),
        };
        for feature in catalogue.features_of(media)? {
            let (list, id) = match feature.owner {
                Owner::Shot(RowRef::Known(id)) => (&mut looks.of_shot, id),
                Owner::Frame(RowRef::Known(id)) => (&mut looks.of_frame, id),
                _ => continue,
            };
            list.entry(id).or_default().push(feature);
        }
        Ok(looks)
    }

    fn record(&self) -> Value {
        let values = |features: Option<&Vec<FeatureRow>>| -> serde_json::Map<String, Value> {
            let features = features.into_iter().flatten();
            features.map(|feature| (feature.name.clone(), feature.value.into())).collect()
        };
        let shots = self.shots.iter().map(|shot| {
            let own = |frame: &&Stored<FrameRow>| frame.row.shot == Some(RowRef::Known(shot.id));
            let frames = self.frames.iter().filter(own).map(|frame| {
                let mut record = serde_json::to_value(&frame.row).unwrap_or_default();
                record["features"] = values(self.of_frame.get(&frame.id)).into();
                record
            });
            let mut record = serde_json::to_value(&shot.row).unwrap_or_default();
            record["frames"] = frames.collect();
            record["features"] = values(self.of_shot.get(&shot.id)).into();
            record
        });
        shots.collect()
    }
}

/// What a shot looks like, for people.
fn told(features: Option<&Vec<FeatureRow>>) -> String {
    let told = features.into_iter().flatten().filter_map(|feature| {
        let (name, value) = (feature.name.as_str(), feature.value);
        match name {
            "sharpness" | "colourfulness" => Some(format!("{name} {value:.0}")),
            "brightness" | "contrast" => Some(format!("{name} {value:.2}")),
            "motion" => Some(format!("{name} {value:.3}")),
            "black" | "frozen" | "letterbox" | "pillarbox" if value >= 0.005 => {
                Some(format!("{name} {:.0} %", value * 100.0))
            }
            _ => None,
        }
    });
    told.fold(String::new(), |line, one| {
        if line.is_empty() { format!("  {one}") } else { format!("{line}, {one}") }
    })
}

fn rm(session: &Session, library: &Library, what: &[PathBuf]) -> anyhow::Result<Status> {
    let mut status = Status::Ok;
    for (n, what) in what.iter().enumerate() {
        match library.find(what).and_then(|media| library.remove(&media)) {
            Ok(removed) => {
                let text = format!(
                    "{}: removed, {} files, {} bytes",
                    removed.media.folder, removed.files, removed.bytes
                );
                let record = serde_json::json!({
                    "type": "removed", "folder": removed.media.folder,
                    "files": removed.files, "bytes": removed.bytes,
                });
                session.output.data(&plain(&text), &record)?;
                status = status.and_success();
            }
            Err(error) => {
                session.output.failure(&error)?;
                let alone = n == 0 || status != Status::Ok;
                status = status.and_failure(&error, alone);
            }
        }
    }
    Ok(status)
}

fn words(tags: &[Tag]) -> String {
    tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(", ")
}

fn tag(session: &Session, library: &Library, what: &Path, changes: &[String]) -> Told {
    let (mut new, mut gone) = (Vec::new(), Vec::new());
    for change in changes {
        match change.split_at_checked(1) {
            Some(("+", tag)) => new.push(Tag::parse(tag)?),
            Some(("-", tag)) => gone.push(Tag::parse(tag)?),
            _ => {
                let what = format!("`{}` is neither +TAG nor -TAG", plain(change));
                return Err(Error::new(ErrorKind::Input, rushes::error::Stage::Process, what));
            }
        }
    }
    let catalogue = library.existing()?;
    let media = library.find(what)?;
    catalogue.change_tags(media.id, &new, &gone)?;
    let tags = catalogue.tags_of(media.id)?;
    let text = match tags.as_slice() {
        [] => format!("{}: no tags", media.folder),
        tags => format!("{}: {}", media.folder, words(tags)),
    };
    let record = serde_json::json!({ "type": "tags", "folder": media.folder, "tags": tags });
    Ok(session.output.data(&plain(&text), &record).map(|()| Status::Ok))
}

fn verify(session: &Session, library: &Library) -> Told {
    let found = library.verify(&session.run.cancel)?;
    let indexes = verify_library(library, &session.run.cancel)?;
    if !session.output.quiet {
        for text in &found.catalogue {
            say(&format!("catalogue: {}", plain(text)));
        }
        for file in &found.damaged {
            let then = if file.restored { "restored" } else { "its stage runs again" };
            say(&plain(&format!("{}: {} ({}): {then}", file.path, file.what, file.stage)));
        }
        for index in &indexes {
            say(&plain(&format!("{}: {}: made anew", index.path, index.what)));
        }
    }
    let text = format!(
        "{} files of {} films, {} bytes: {} damaged, {} of them restored",
        found.files,
        found.media,
        found.bytes,
        found.damaged.len(),
        found.damaged.iter().filter(|file| file.restored).count()
    );
    let sound = found.damaged.iter().all(|file| file.restored) && found.catalogue.is_empty();
    let mut record = serde_json::to_value(&found).unwrap_or_default();
    record["type"] = "verify".into();
    record["indexes"] = serde_json::to_value(&indexes).unwrap_or_default();
    let told = session.output.data(&text, &record);
    Ok(told.map(|()| if sound { Status::Ok } else { Status::SomeFailed }))
}

fn gc(session: &Session, library: &Library, dry_run: bool) -> Told {
    let collected = library.collect(dry_run, &session.run.cancel)?;
    let text = format!(
        "{}{} files ({} bytes) and {} unfinished folders; the catalogue shrank by {} bytes",
        if dry_run { "would remove " } else { "removed " },
        collected.files,
        collected.bytes,
        collected.stale,
        collected.compacted
    );
    let mut record = serde_json::to_value(&collected).unwrap_or_default();
    record["type"] = "gc".into();
    Ok(session.output.data(&text, &record).map(|()| Status::Ok))
}

fn export(library: &Library, format: Format, tables: &[String], output: Option<&Path>) -> Told {
    let catalogue = library.existing()?;
    let tables: Vec<&str> = match tables {
        [] => TABLES.to_vec(),
        tables => tables.iter().map(String::as_str).collect(),
    };
    let format = match format {
        Format::Ndjson => ExportFormat::Ndjson,
        Format::Csv => ExportFormat::Csv,
    };
    let Some(path) = output else {
        // A reader that leaves is told as what it is, an error of standard output.
        let mut out = Told::Ok(Ok(Status::Ok));
        let mut writer = Reporting { out: BufWriter::new(io::stdout().lock()), failed: None };
        let exported = catalogue.export(&tables, format, &mut writer);
        let flushed = writer.flush();
        match (writer.failed, exported, flushed) {
            (Some(error), ..) | (None, Ok(()), Err(error)) => out = Ok(Err(error.into())),
            (None, Err(error), _) => out = Err(error),
            (None, Ok(()), Ok(())) => {}
        }
        return out;
    };
    let file = StagedFile::new(path)?;
    let mut out = BufWriter::new(file.handle()?);
    catalogue.export(&tables, format, &mut out)?;
    let flushed = out.into_inner().map_err(io::IntoInnerError::into_error);
    flushed.map_err(|e| Error::io(rushes::error::Stage::Write, path, e))?;
    file.publish()?;
    Ok(Ok(Status::Ok))
}

/// Keeps the failure of standard output apart from those of the catalogue.
struct Reporting<W> {
    out: W,
    failed: Option<io::Error>,
}

impl<W: Write> Write for Reporting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes).inspect_err(|e| {
            self.failed.get_or_insert_with(|| e.kind().into());
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
