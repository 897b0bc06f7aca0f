//! `rushes search`: moments of a library.

use super::embed::{Found, LookArgs};
use super::{Session, embed, speech};
use crate::args::moment;
use crate::output::{Status, say};
use clap::{Args, ValueEnum};
use rushes::embed::Embedders;
use rushes::library::catalogue::{Scope, Tag};
use rushes::library::{Catalogue, Library, StagedFile};
use rushes::search::{Asked, Hit, Reason, SearchQuery, Way, page, search};
use rushes::text::plain;
use rushes::time::Timestamp;
use rushes_models::ModelsError;
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub struct SearchArgs {
    /// What to look for, in your own words
    #[arg(required_unless_present_any = ["image", "like"])]
    pub query: Vec<String>,
    /// Look for what looks like this picture (JPEG, PNG, WebP or GIF)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["query", "like"])]
    pub image: Option<PathBuf>,
    /// Look for what is like a moment of a film in the library: part of its name, @, seconds
    #[arg(long, value_name = "FILM@TIME", conflicts_with = "query")]
    pub like: Option<String>,
    /// The library
    #[arg(long, default_value = "library", value_name = "DIR")]
    pub library: PathBuf,
    /// How many moments at most
    #[arg(long, default_value = "10", value_name = "N")]
    pub limit: NonZeroUsize,
    #[command(flatten)]
    pub among: AmongArgs,
    /// Also write the answer as a page with pictures
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Look for words only; no model is loaded
    #[arg(long)]
    pub words: bool,
    /// Folder of models [default: that of `rushes models`]
    #[arg(long, value_name = "DIR")]
    pub models_dir: Option<PathBuf>,
    #[command(flatten)]
    pub look: LookArgs,
}

/// Which part of the library is searched, and on which ways.
#[derive(Args, Debug)]
pub struct AmongArgs {
    /// Only where this language is spoken, e.g. en
    #[arg(long, value_name = "CODE")]
    pub language: Option<String>,
    /// Only in films with this in their name
    #[arg(long, value_name = "NAME")]
    pub film: Option<String>,
    /// Only in films with this tag (`rushes library tag`); with all of them, if given several times
    #[arg(long = "tag", value_name = "TAG", value_parser = tag, value_delimiter = ',')]
    pub tags: Vec<Tag>,
    /// Only at or after this time of a film
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub from: Option<Timestamp>,
    /// Only before this time of a film
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub to: Option<Timestamp>,
    /// Only what is found so [default: all of them]
    #[arg(long = "kind", value_enum, value_delimiter = ',', value_name = "KINDS")]
    pub kinds: Vec<WayChoice>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WayChoice {
    /// Its words are said
    Said,
    /// What is said means it
    Meant,
    /// Its words are to be read in the picture
    Written,
    /// It is shown
    Shown,
}

fn tag(text: &str) -> Result<Tag, String> {
    Tag::parse(text).map_err(|e| e.message().to_owned())
}

impl AmongArgs {
    /// The question, asked of that part of the library.
    pub fn query(&self, catalogue: &Catalogue, asked: Asked) -> anyhow::Result<SearchQuery> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && to <= from
        {
            anyhow::bail!("--to must be later than --from");
        }
        let way = |kind: &WayChoice| match kind {
            WayChoice::Said => Way::Said,
            WayChoice::Meant => Way::Meant,
            WayChoice::Written => Way::Written,
            WayChoice::Shown => Way::Shown,
        };
        Ok(SearchQuery {
            scope: Scope {
                media: self.film.as_deref().map(|part| films(catalogue, part)).transpose()?,
                language: self.language.clone(),
                from: self.from,
                to: self.to,
            },
            tags: self.tags.clone(),
            ways: self.kinds.iter().map(way).collect(),
            ..SearchQuery::of(asked)
        })
    }
}

#[derive(Serialize)]
struct Record<'a> {
    r#type: &'static str,
    rank: usize,
    #[serde(flatten)]
    hit: &'a Hit,
}

pub fn run(session: &Session, args: &SearchArgs) -> anyhow::Result<Status> {
    let library = Library::at(&args.library);
    let catalogue = match library.existing() {
        Ok(catalogue) => catalogue,
        Err(error) => return refuse(session, &error),
    };
    let embedders = if args.words {
        None
    } else {
        match models(session, args.models_dir.as_deref(), &args.look, &catalogue)? {
            Ok(embedders) => Some(embedders),
            Err(error) => return speech::refuse(session, &error),
        }
    };
    let (asked, title) = match asked(&catalogue, args)? {
        Ok(asked) => asked,
        Err(error) => return refuse(session, &error),
    };
    let query = SearchQuery { limit: args.limit, ..args.among.query(&catalogue, asked)? };
    let answer = match search(&catalogue, embedders.as_ref(), &query, &session.run.cancel) {
        Ok(answer) => answer,
        Err(error) => return refuse(session, &error),
    };
    if let Some(file) = &args.html {
        let mut staged = StagedFile::new(file)?;
        staged.write(page(&library, &title, &answer)?.as_bytes())?;
        staged.publish()?;
    }
    for note in answer.notes.iter().filter(|_| !session.output.quiet) {
        say(note);
    }
    for (at, hit) in answer.hits.iter().enumerate() {
        let record = Record { r#type: "hit", rank: at + 1, hit };
        session.output.data(&shown(at + 1, hit), &record)?;
    }
    if answer.hits.is_empty() && !session.output.quiet {
        say("nothing was found");
    }
    Ok(Status::Ok)
}

/// The models that understand questions, those that are here; it is told if there are few.
pub fn models(
    session: &Session,
    models_dir: Option<&Path>,
    look: &LookArgs,
    catalogue: &Catalogue,
) -> anyhow::Result<Result<Embedders, ModelsError>> {
    let Found { embedders, missing } =
        match embed::open(session, models_dir, look, Some(catalogue))? {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
    if let Some(error) = missing.first().filter(|_| !session.output.quiet) {
        say(&format!("only part of what is there is searched: {}", plain(&error.to_string())));
    }
    Ok(Ok(embedders))
}

/// The films with `part` in their name.
pub fn films(catalogue: &Catalogue, part: &str) -> anyhow::Result<Vec<i64>> {
    let all = catalogue.all_media()?;
    let media: Vec<i64> =
        all.iter().filter(|film| film.name.contains(part)).map(|film| film.id).collect();
    if media.is_empty() {
        anyhow::bail!("no film in the library has `{}` in its name", plain(part));
    }
    Ok(media)
}

/// What is asked, and how it reads.
fn asked(
    catalogue: &Catalogue,
    args: &SearchArgs,
) -> anyhow::Result<Result<(Asked, String), rushes::Error>> {
    if let Some(file) = &args.image {
        let picture = match rushes::stills::read_picture(file) {
            Ok(picture) => picture,
            Err(error) => return Ok(Err(error)),
        };
        return Ok(Ok((Asked::Picture(picture), file.to_string_lossy().into_owned())));
    }
    let Some(like) = &args.like else {
        let text = args.query.join(" ");
        return Ok(Ok((Asked::Text(text.clone()), text)));
    };
    let (film, time) = like
        .rsplit_once('@')
        .ok_or_else(|| anyhow::anyhow!("`{}` is not FILM@TIME, e.g. talk@12.5", plain(like)))?;
    let time = moment(time).map_err(|e| anyhow::anyhow!("{e}"))?;
    match films(catalogue, film)?[..] {
        [media] => Ok(Ok((Asked::Moment { media, time }, like.clone()))),
        ref many => anyhow::bail!("{} films have `{}` in their name", many.len(), plain(film)),
    }
}

fn refuse(session: &Session, error: &rushes::Error) -> anyhow::Result<Status> {
    session.output.failure(error)?;
    Ok(Status::Ok.and_failure(error, true))
}

/// A hit for people: place and film, then a line for each reason.
fn shown(rank: usize, hit: &Hit) -> String {
    let mut lines = vec![format!(
        "{rank:>2}. {} to {}  {}  (score {:.3})",
        clock(hit.span.start),
        clock(hit.span.end),
        hit.name,
        hit.score
    )];
    // A list may lead to a moment by several of its sentences: the first of each is enough here.
    let mut told = Vec::new();
    for reason in &hit.why {
        let kind = std::mem::discriminant(reason);
        if !told.contains(&kind) {
            told.push(kind);
            lines.push(format!("    {}", why(reason)));
        }
    }
    for also in &hit.also {
        lines.push(format!("    also in {} at {}", also.name, clock(also.span.start)));
    }
    lines.iter().map(|line| plain(line).into_owned()).collect::<Vec<_>>().join("\n")
}

fn why(reason: &Reason) -> String {
    match reason {
        Reason::Said { words, text } => format!("said ({}): {text}", words.join(", ")),
        Reason::Meant { likeness, text } => format!("meant ({likeness:.2}): {text}"),
        Reason::Written { words, text } => format!("written ({}): {text}", words.join(", ")),
        Reason::Shown { label, probability, .. } => {
            format!("shown: {label} ({:.0} %)", probability * 100.0)
        }
        Reason::Looks { likeness, .. } => format!("looks alike ({likeness:.2})"),
        _ => String::new(),
    }
}

/// `1:02:03.4`
fn clock(time: Timestamp) -> String {
    let tenths = time.as_millis() / 100;
    let (hours, minutes) = (tenths / 36_000, tenths / 600 % 60);
    let seconds = format!("{:02}.{}", tenths / 10 % 60, tenths % 10);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds}")
    } else {
        format!("{minutes}:{seconds}")
    }
}
