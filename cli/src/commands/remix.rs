//! `rushes remix`: an edit out of a library.

use super::Session;
use super::embed::LookArgs;
use super::render::preset;
use super::search::{AmongArgs, films, models};
use crate::args::{moment, step};
use crate::output::Status;
use clap::{Args, ValueEnum};
use rushes::library::{Catalogue, Library, StagedFile};
use rushes::remix::{Choice, Edge, LeftOut, Order, Rules, Why, Wish, remix};
use rushes::search::{Asked, Reason, SearchQuery, search};
use rushes::text::plain;
use rushes::time::{Span, Timestamp};
use rushes::timeline::Size;
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct RemixArgs {
    /// What the clips are to answer, in your own words
    #[arg(required_unless_present_any = ["shots", "spans"])]
    pub query: Vec<String>,
    /// Take the shots of this film instead: a part of its name
    #[arg(long, value_name = "FILM", conflicts_with = "query")]
    pub shots: Option<String>,
    /// Take this stretch, snapped to the words said there: part of a film's name, @, from-to;
    /// may be given several times
    #[arg(long = "span", value_name = "FILM@FROM-TO", conflicts_with_all = ["query", "shots"])]
    pub spans: Vec<String>,
    /// The spec to write, for `rushes render`
    #[arg(short, long, value_name = "SPEC", default_value = "remix.json")]
    pub output: PathBuf,
    /// The library
    #[arg(long, default_value = "library", value_name = "DIR")]
    pub library: PathBuf,
    /// How long the edit may be
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = step)]
    pub length: Timestamp,
    /// How long a clip may be, breath before and behind not counted
    #[arg(long, value_name = "TIME", default_value = "8s", value_parser = step)]
    pub clip: Timestamp,
    /// In which order the clips follow each other
    #[arg(long, value_enum, default_value = "rank", value_name = "ORDER")]
    pub order: OrderChoice,
    /// The size of the film, e.g. 1080x1920 [default: as the first one]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub size: Option<Size>,
    /// Make it for a destination: vertical-short, square, 1080p, 4k
    #[arg(long, value_name = "NAME", conflicts_with = "size", value_parser = preset)]
    pub preset: Option<String>,
    /// Write what is said, the word that is being said lit up
    #[arg(long)]
    pub captions: bool,
    /// How many moments are looked at
    #[arg(long, default_value = "20", value_name = "N")]
    pub limit: NonZeroUsize,
    #[command(flatten)]
    pub among: AmongArgs,
    /// Look for words only; no model is loaded
    #[arg(long)]
    pub words: bool,
    /// Folder of models [default: that of `rushes models`]
    #[arg(long, value_name = "DIR")]
    pub models_dir: Option<PathBuf>,
    #[command(flatten)]
    pub look: LookArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OrderChoice {
    /// The best first
    Rank,
    /// As in their films
    Time,
}

fn size(text: &str) -> Result<Size, String> {
    Size::parse(text).ok_or_else(|| "write WIDTHxHEIGHT, both even, e.g. 1080x1920".to_owned())
}

#[derive(Serialize)]
struct Chosen<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    choice: &'a Choice,
}

#[derive(Serialize)]
struct Left<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    left: &'a LeftOut,
}

#[derive(Serialize)]
struct Written {
    r#type: &'static str,
    output: String,
    clips: usize,
    seconds: f64,
}

pub fn run(session: &Session, args: &RemixArgs) -> anyhow::Result<Status> {
    match work(session, args) {
        Ok(()) => Ok(Status::Ok),
        Err(error) => {
            let error = error.downcast::<rushes::Error>()?;
            session.output.failure(&error)?;
            Ok(Status::Ok.and_failure(&error, true))
        }
    }
}

fn work(session: &Session, args: &RemixArgs) -> anyhow::Result<()> {
    let library = Library::at(&args.library);
    let catalogue = library.existing()?;
    let wishes = wishes(session, &catalogue, args)?;
    let rules = Rules {
        clip: args.clip,
        length: args.length,
        order: match args.order {
            OrderChoice::Rank => Order::Rank,
            OrderChoice::Time => Order::Time,
        },
        size: args.size,
        preset: args.preset.clone(),
        captions: args.captions,
    };
    let made = remix(&library, &catalogue, &wishes, &rules)?;
    let mut staged = StagedFile::new(&args.output)?;
    staged.write(serde_json::to_string_pretty(&made.timeline.to_json())?.as_bytes())?;
    staged.write(b"\n")?;
    staged.publish()?;
    for (i, choice) in made.choices.iter().enumerate() {
        session.output.data(&shown(i + 1, choice), &Chosen { r#type: "choice", choice })?;
    }
    for left in made.left_out.iter().filter(|_| session.output.json) {
        session.output.data("", &Left { r#type: "left_out", left })?;
    }
    let total = made.choices.iter().map(|choice| choice.span.duration());
    let seconds = total.fold(Timestamp::ZERO, Timestamp::plus).as_secs_f64();
    let output = args.output.to_string_lossy().into_owned();
    let clips = made.choices.len();
    let text = format!("{}: {clips} clips, {seconds:.1} s", plain(&output));
    session.output.data(&text, &Written { r#type: "written", output, clips, seconds })
}

fn wishes(session: &Session, catalogue: &Catalogue, args: &RemixArgs) -> anyhow::Result<Vec<Wish>> {
    if let Some(film) = &args.shots {
        return Ok(Wish::of_shots(catalogue, one(catalogue, film)?)?);
    }
    if !args.spans.is_empty() {
        return args.spans.iter().map(|text| named(catalogue, text)).collect();
    }
    let question = args.query.join(" ");
    let embedders = match args.words {
        true => None,
        false => {
            let models_dir = args.models_dir.as_deref();
            Some(models(session, models_dir, &args.look, catalogue)??)
        }
    };
    let asked = Asked::Text(question.clone());
    let query = SearchQuery { limit: args.limit, ..args.among.query(catalogue, asked)? };
    let answer = search(catalogue, embedders.as_ref(), &query, &session.run.cancel)?;
    Ok(Wish::of_hits(&question, &answer.hits))
}

/// The only film with `part` in its name.
fn one(catalogue: &Catalogue, part: &str) -> anyhow::Result<i64> {
    match films(catalogue, part)?[..] {
        [media] => Ok(media),
        ref many => anyhow::bail!("{} films have `{}` in their name", many.len(), plain(part)),
    }
}

/// `FILM@FROM-TO`
fn named(catalogue: &Catalogue, text: &str) -> anyhow::Result<Wish> {
    let span = || {
        let (film, span) = text.rsplit_once('@')?;
        let (from, to) = span.split_once('-')?;
        Some((film, Span::new(moment(from).ok()?, moment(to).ok()?)?))
    };
    let (film, span) = span().ok_or_else(|| {
        anyhow::anyhow!("`{}` is not FILM@FROM-TO, e.g. talk@12s-20.5s", plain(text))
    })?;
    Ok(Wish { media: one(catalogue, film)?, span, why: Why::Named })
}

/// A clip for people: its place and edges, then why.
fn shown(number: usize, choice: &Choice) -> String {
    let name = choice.film.file_name().unwrap_or_default().to_string_lossy();
    let (from, to) = (choice.span.start.as_secs_f64(), choice.span.end.as_secs_f64());
    let mut lines = vec![format!(
        "{number:>2}. {from:.2} s ({}) to {to:.2} s ({})  {name}",
        edge(&choice.start),
        edge(&choice.end)
    )];
    if !choice.said.is_empty() {
        lines.push(format!("    \"{}\"", choice.said));
    }
    lines.push(match &choice.why {
        Why::Answer { rank, reasons, .. } => {
            let how = match reasons.first() {
                Some(Reason::Said { words, .. }) => format!("said: {}", words.join(", ")),
                Some(Reason::Meant { likeness, .. }) => format!("meant ({likeness:.2})"),
                Some(Reason::Written { words, .. }) => format!("written: {}", words.join(", ")),
                Some(Reason::Shown { label, .. }) => format!("shown: {label}"),
                _ => "looks alike".to_owned(),
            };
            format!("    answer {rank}, {how}")
        }
        Why::Shot { number } => format!("    shot {number}"),
        _ => "    as it was named".to_owned(),
    });
    lines.iter().map(|line| plain(line).into_owned()).collect::<Vec<_>>().join("\n")
}

fn edge(edge: &Edge) -> &'static str {
    match edge {
        Edge::Word { .. } => "a word",
        Edge::Shot => "a shot's edge",
        Edge::Film => "the film's edge",
        Edge::Limit => "as long as may be",
        _ => "as wanted",
    }
}
