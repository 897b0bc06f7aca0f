//! `rushes clips`: stretches that are worth something, ranked, cut, exported; and what a storyboard is
//! worth.

use super::Session;
use super::insight::{clock, current};
use crate::args::{moment, step};
use crate::output::Status;
use clap::{Args, Subcommand, ValueEnum};
use rushes::insight::Insight;
use rushes::insight::clips::storyboard::{Judged, Panel, Wanted, judge};
use rushes::insight::clips::{FilmData, Meter, Purpose, RankedClip, ranked, table};
use rushes::library::table::TableFormat;
use rushes::library::{Catalogue, Library, MediaRow, StagedFile};
use rushes::render::{Edit, Stretch};
use rushes::text::plain;
use rushes::time::{Span, Timestamp};
use rushes::timeline::{Shown, Values};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct ClipsArgs {
    #[command(subcommand)]
    pub verb: Option<ClipsVerb>,
    /// Films of the library: files, names, or folders as `rushes library ls` shows them
    #[arg(required = true, value_name = "FILM")]
    pub films: Vec<PathBuf>,
    /// The library
    #[arg(long, default_value = "library", value_name = "DIR")]
    pub library: PathBuf,
    /// What they are wanted for: highlight, hook, lesson, ad, or one of the library's scores.toml
    #[arg(long, default_value = "highlight", value_name = "NAME")]
    pub purpose: String,
    /// How many clips
    #[arg(long, default_value = "10", value_name = "N")]
    pub limit: usize,
    /// Cut them out into files; what need not be encoded is copied
    #[arg(long, requires = "output")]
    pub cut: bool,
    /// Write a table with all features and scores
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "cut")]
    pub export: Option<Export>,
    /// Folder for --cut, file for --export [default for csv and json: standard output]
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,
    /// Tell for each clip what its score is made of
    #[arg(long)]
    pub why: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Export {
    Csv,
    /// One object a line
    Json,
    Parquet,
}

#[derive(Subcommand, Debug)]
pub enum ClipsVerb {
    /// Judge a timeline, or a list of clips: hook, pace, clarity, variety, length, captions
    #[command(
        after_help = "Examples:\n  rushes clips score remix.json\n  rushes clips score clips.txt --length 30s --json\n\nA list has a clip a line: FILM@FROM-TO, e.g. talk@12s-20.5s. Films must be in the library."
    )]
    Score(ScoreArgs),
}

#[derive(Args, Debug)]
pub struct ScoreArgs {
    /// A spec for `rushes render`, or a list of clips (.txt)
    pub what: PathBuf,
    /// The library
    #[arg(long, default_value = "library", value_name = "DIR")]
    pub library: PathBuf,
    /// How long it should be
    #[arg(long, default_value = "1m", value_name = "TIME", value_parser = step)]
    pub length: Timestamp,
}

pub fn run(session: &Session, args: &ClipsArgs) -> anyhow::Result<Status> {
    let done = match &args.verb {
        Some(ClipsVerb::Score(args)) => score(session, args),
        None => clips(session, args),
    };
    refused(session, done)
}

/// How a run ends that failed as a whole.
pub fn refused(session: &Session, done: anyhow::Result<()>) -> anyhow::Result<Status> {
    match done {
        Ok(()) => Ok(Status::Ok),
        Err(error) => {
            let error = error.downcast::<rushes::Error>()?;
            session.output.failure(&error)?;
            Ok(Status::Ok.and_failure(&error, true))
        }
    }
}

/// A clip of the ranking, for programs.
#[derive(Serialize)]
struct Record<'a> {
    r#type: &'static str,
    rank: usize,
    purpose: &'a str,
    #[serde(flatten)]
    clip: &'a RankedClip,
    /// The file that it was cut into.
    output: Option<String>,
}

fn clips(session: &Session, args: &ClipsArgs) -> anyhow::Result<()> {
    let library = Library::at(&args.library);
    let catalogue = library.existing()?;
    let insight = Arc::new(Insight::of_library(&args.library)?);
    let purposes: Arc<[Purpose]> = Purpose::of_library(&args.library)?.into();
    let mut films: Vec<MediaRow> = Vec::new();
    for film in &args.films {
        let media = library.find(film)?;
        current(&session.run, &library, &catalogue, &insight, Some(&purposes), &media)?;
        if films.iter().all(|known| known.id != media.id) {
            films.push(media);
        }
    }
    let numbers: Vec<i64> = films.iter().map(|film| film.id).collect();
    let mut found = ranked(&catalogue, &numbers, &args.purpose)?;
    if let Some(format) = args.export {
        return export(session, args, &found, format);
    }
    found.truncate(args.limit);
    for (n, clip) in found.iter().enumerate() {
        let output = match args.output.as_ref().filter(|_| args.cut) {
            Some(folder) => Some(cut(session, &catalogue, clip, n + 1, folder)?),
            None => None,
        };
        show(session, args, clip, n + 1, output)?;
    }
    if found.is_empty() && !session.output.json {
        session.output.data("no clips: nothing that is long enough is said or shown", &())?;
    }
    Ok(())
}

fn show(
    session: &Session,
    args: &ClipsArgs,
    clip: &RankedClip,
    rank: usize,
    output: Option<String>,
) -> anyhow::Result<()> {
    let scored = clip.scores.get(&args.purpose);
    let score = scored.map_or(0.0, |scored| scored.score);
    let (start, end) = (clip.clip.span.start, clip.clip.span.end);
    let mut lines = vec![format!(
        "{rank:>2}. {score:>5.1}  {} to {}  {}  {}",
        clock(start),
        clock(end),
        clip.film,
        clip.clip.title
    )];
    for reason in
        scored.map_or(&[][..], |scored| scored.reasons.as_slice()).iter().filter(|_| args.why)
    {
        lines.push(format!(
            "           {:>4.1} of {:>4.1}  {} = {:.3}",
            reason.worth * reason.share * 100.0,
            reason.share * 100.0,
            reason.feature,
            reason.value
        ));
    }
    if let Some(output) = &output {
        lines.push(format!("           {output}"));
    }
    let lines: Vec<String> = lines.iter().map(|line| plain(line).into_owned()).collect();
    let purpose = args.purpose.as_str();
    let record = Record { r#type: "clip", rank, purpose, clip, output };
    session.output.data(&lines.join("\n"), &record)
}

fn export(
    session: &Session,
    args: &ClipsArgs,
    clips: &[RankedClip],
    format: Export,
) -> anyhow::Result<()> {
    let format = match format {
        Export::Csv => TableFormat::Csv,
        Export::Json => TableFormat::Ndjson,
        Export::Parquet => TableFormat::Parquet,
    };
    let mut bytes = Vec::new();
    table(clips).write(format, &mut bytes)?;
    match &args.output {
        Some(file) => {
            let mut staged = StagedFile::new(file)?;
            staged.write(&bytes)?;
            staged.publish()?;
            let output = file.to_string_lossy().into_owned();
            let text = format!("{}: {} clips", plain(&output), clips.len());
            let record =
                serde_json::json!({ "type": "written", "output": output, "clips": clips.len() });
            session.output.data(&text, &record)
        }
        None if format == TableFormat::Parquet => {
            anyhow::bail!("--export parquet needs a file: -o clips.parquet")
        }
        None => session.output.bytes(&bytes),
    }
}

/// Cuts a clip into a file in `folder`; its path.
fn cut(
    session: &Session,
    catalogue: &Catalogue,
    clip: &RankedClip,
    rank: usize,
    folder: &Path,
) -> anyhow::Result<String> {
    let film = file_of(catalogue, clip.media, &clip.film)?;
    std::fs::create_dir_all(folder)
        .map_err(|e| rushes::Error::io(rushes::error::Stage::Write, folder, e))?;
    let stem = Path::new(&clip.film).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let at = clip.clip.span.start.as_millis();
    let output = folder.join(format!("{rank:02}-{stem}-{at}ms.mp4"));
    let Span { start, end } = clip.clip.span;
    let stretch = Stretch { film, from: Some(start), to: Some(end) };
    super::render::cut_to(session, &[stretch], &output)?;
    Ok(output.to_string_lossy().into_owned())
}

/// A film of the library that is still where it was seen.
pub fn file_of(catalogue: &Catalogue, media: i64, name: &str) -> anyhow::Result<PathBuf> {
    let seen = catalogue.paths_of(media)?;
    seen.into_iter().map(|seen| seen.path).find(|path| path.is_file()).ok_or_else(|| {
        rushes::Error::new(
            rushes::ErrorKind::Input,
            rushes::error::Stage::Open,
            "is not where it was when it was processed",
        )
        .input(Path::new(name))
        .hint("put it back, or process it where it is")
        .into()
    })
}

/// `FILM@FROM-TO`
pub fn stretch(text: &str) -> anyhow::Result<(PathBuf, Span)> {
    let parts = || {
        let (film, span) = text.rsplit_once('@')?;
        let (from, to) = span.split_once('-')?;
        Some((PathBuf::from(film), Span::new(moment(from).ok()?, moment(to).ok()?)?))
    };
    parts().ok_or_else(|| {
        anyhow::anyhow!("`{}` is not FILM@FROM-TO, e.g. talk@12s-20.5s", plain(text))
    })
}

#[derive(Serialize)]
struct ScoreRecord<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    judged: &'a Judged,
}

fn score(session: &Session, args: &ScoreArgs) -> anyhow::Result<()> {
    let library = Library::at(&args.library);
    let catalogue = library.existing()?;
    let purposes = Purpose::of_library(&args.library)?;
    let hook = purposes
        .iter()
        .find(|purpose| purpose.name == "hook")
        .ok_or_else(|| anyhow::anyhow!("scores.toml has no `hook`"))?;
    let wishes = match args.what.extension().is_some_and(|e| e == "txt") {
        true => listed(&args.what)?,
        false => planned(session, &args.what)?,
    };
    let mut films: BTreeMap<i64, FilmData> = BTreeMap::new();
    let mut panels = Vec::new();
    for Wish { film, span, captioned, titles } in wishes {
        let media = library.find(&film)?;
        if !films.contains_key(&media.id) {
            films.insert(media.id, FilmData::of(&catalogue, media.id)?);
        }
        let Some(data) = films.get(&media.id) else { continue };
        let measured = Meter::new(data)?.measure(span);
        let said = if captioned { measured.text.chars().count() } else { 0 };
        panels.push(Panel { measured, captions: said + titles });
    }
    let wanted =
        Wanted { length: args.length.as_secs_f64(), reach: args.length.as_secs_f64() * 0.75 };
    for judged in &judge(&panels, hook, wanted) {
        let score = judged.score.map_or("   ?".to_owned(), |score| format!("{score:>4.0}"));
        let text = format!("{score}  {:<9} {}", judged.name, judged.why.join("; "));
        session.output.data(&plain(&text), &ScoreRecord { r#type: "score", judged })?;
    }
    Ok(())
}

/// The clips of a list.
fn listed(file: &Path) -> anyhow::Result<Vec<Wish>> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| rushes::Error::io(rushes::error::Stage::Open, file, e))?;
    let mut all = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (film, span) = stretch(line).map_err(|e| {
            rushes::Error::new(
                rushes::ErrorKind::Input,
                rushes::error::Stage::Insight,
                format!("line {}: {e}", n + 1),
            )
            .input(file)
        })?;
        all.push(Wish { film, span, captioned: false, titles: 0 });
    }
    Ok(all)
}

/// A clip of a storyboard: the film, the stretch, and whether what is said is written over it.
struct Wish {
    film: PathBuf,
    span: Span,
    captioned: bool,
    /// Letters of titles that are shown at the same time.
    titles: usize,
}

/// The clips of a timeline, in order of time; those of all its tracks.
fn planned(session: &Session, spec: &Path) -> anyhow::Result<Vec<Wish>> {
    let timeline = match super::render::read(session, spec)? {
        Ok(super::render::Read::Template(template)) => {
            template.fill(&Values::new()).map_err(rushes::Error::from)?
        }
        Ok(super::render::Read::Edit(edit)) => *edit,
        Err(faults) => return Err(rushes::Error::from(faults).input(spec).into()),
    };
    let folder = spec.parent().unwrap_or(Path::new(""));
    let edit = Edit::open(timeline, folder, &session.run.limits, &session.run.cancel)?;
    let clips: Vec<_> = edit.layout().video.iter().flatten().collect();
    let mut wishes: Vec<(i64, Wish)> = Vec::new();
    for clip in &clips {
        let Shown::Asset(name) = &clip.shown else { continue };
        let file = edit.timeline().assets.get(name).and_then(|asset| asset.file.as_ref());
        let (Some(file), Some(span)) = (file, Span::new(clip.from, clip.to)) else { continue };
        if span.duration() == Timestamp::ZERO {
            continue;
        }
        let over = clips.iter().filter(|other| other.start < clip.end && clip.start < other.end);
        let titles = over.filter_map(|other| other.item.title.as_ref());
        wishes.push((
            clip.start,
            Wish {
                film: folder.join(file),
                span,
                captioned: !edit.timeline().captions.is_empty(),
                titles: titles.map(|title| title.text.chars().count()).sum(),
            },
        ));
    }
    wishes.sort_by_key(|(start, _)| *start);
    Ok(wishes.into_iter().map(|(_, wish)| wish).collect())
}
