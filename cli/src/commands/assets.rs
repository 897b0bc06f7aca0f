//! `rushes assets`: the library of videos, sounds, pictures, fonts, colour tables and templates.

use super::Session;
use crate::output::{Status, say};
use clap::{Args, Subcommand, ValueEnum};
use rushes::Error;
use rushes::assets::{AssetKind, AssetQuery, AssetRecord, Assets, NewAsset, Remote, RemoteAt};
use rushes::device::show_bytes;
use rushes::text::plain;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub struct AssetsArgs {
    #[command(subcommand)]
    pub action: AssetsAction,
    /// The folder of the store
    #[arg(long, global = true, default_value = "assets", value_name = "DIR")]
    pub assets: PathBuf,
    /// A bucket beside it: s3://BUCKET/PREFIX, gs://..., az://... (credentials from the environment)
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub remote: Option<String>,
}

#[derive(Subcommand, Debug)]
pub enum AssetsAction {
    /// Add files
    #[command(
        after_help = "Examples:\n  rushes assets add intro.mp4 --category intro --tag brand --licence CC-BY-4.0\n  rushes assets add warm.cube --name warm --remote s3://studio/assets"
    )]
    Add(AddArgs),
    /// List what there is
    #[command(
        after_help = "Examples:\n  rushes assets list\n  rushes assets list --kind font --json | jq .name"
    )]
    List(Filter),
    /// Find assets by words in their names, tags, licences and facts
    #[command(
        after_help = "Examples:\n  rushes assets search piano\n  rushes assets search 1920 --kind video --tag brand"
    )]
    Search {
        /// Words that all must be there
        #[arg(required = true)]
        words: Vec<String>,
        #[command(flatten)]
        filter: Filter,
    },
    /// Show one asset, and where its file is (fetched from the bucket if it must be)
    #[command(
        after_help = "Examples:\n  rushes assets show intro\n  rushes assets show intro --json | jq -r .path"
    )]
    Show {
        /// Its name
        name: String,
    },
    /// Remove assets; a file goes with the last asset that has it
    #[command(
        after_help = "Examples:\n  rushes assets rm intro\n  rushes assets rm intro outro --json"
    )]
    Rm {
        /// Their names
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Send to the bucket what it lacks; what was stopped goes on
    #[command(
        after_help = "Examples:\n  rushes assets push --remote s3://studio/assets\n  rushes assets push --assets work/assets --remote gs://studio --json"
    )]
    Push,
}

#[derive(Args, Debug)]
pub struct AddArgs {
    /// Files
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// The name, for a single file [default: the file's]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// What they are [default: by the file's name]
    #[arg(long, value_enum, value_name = "KIND")]
    pub kind: Option<Kind>,
    /// What they are for
    #[arg(long, value_name = "WORD")]
    pub category: Option<String>,
    /// A word to find them by; may be given several times
    #[arg(long = "tag", value_name = "WORD")]
    pub tags: Vec<String>,
    /// Under which licence they may be used
    #[arg(long, value_name = "LICENCE")]
    pub licence: Option<String>,
    /// Where they come from
    #[arg(long, value_name = "TEXT")]
    pub source: Option<String>,
    /// Take the place of assets with these names
    #[arg(long)]
    pub replace: bool,
}

#[derive(Args, Debug)]
pub struct Filter {
    /// Only these
    #[arg(long, value_enum, value_name = "KIND")]
    pub kind: Option<Kind>,
    /// Only those for this
    #[arg(long, value_name = "WORD")]
    pub category: Option<String>,
    /// Only those with this tag; may be given several times
    #[arg(long = "tag", value_name = "WORD")]
    pub tags: Vec<String>,
    /// Only those under this licence
    #[arg(long, value_name = "LICENCE")]
    pub licence: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Video,
    Audio,
    Image,
    Font,
    Lut,
    Template,
}

impl From<Kind> for AssetKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Video => Self::Video,
            Kind::Audio => Self::Audio,
            Kind::Image => Self::Image,
            Kind::Font => Self::Font,
            Kind::Lut => Self::Lut,
            Kind::Template => Self::Template,
        }
    }
}

impl Filter {
    fn query(&self, words: &[String]) -> AssetQuery {
        AssetQuery {
            words: words.to_vec(),
            kind: self.kind.map(AssetKind::from),
            category: self.category.clone(),
            tags: self.tags.iter().cloned().collect(),
            licence: self.licence.clone(),
        }
    }
}

/// Opens the store; without credentials for the bucket it says so and works here.
pub fn open(session: &Session, folder: &Path, remote: Option<&str>) -> Result<Assets, Error> {
    let remote = match remote {
        None => None,
        Some(address) => {
            let known = ["AWS_", "GOOGLE_", "AZURE_"];
            let settings: BTreeMap<String, String> = std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .filter(|(name, _)| known.iter().any(|start| name.starts_with(start)))
                .collect();
            match Remote::open(address, &settings)? {
                RemoteAt::Open(remote) => Some(remote),
                RemoteAt::NoCredentials(what) => {
                    if !session.output.quiet {
                        say(&format!("{}; assets stay on this machine", plain(&what)));
                    }
                    None
                }
            }
        }
    };
    Assets::open(folder, remote)
}

#[derive(Serialize)]
struct Line<'a, T> {
    r#type: &'static str,
    #[serde(flatten)]
    value: &'a T,
}

#[derive(Serialize)]
struct Shown<'a> {
    r#type: &'static str,
    path: String,
    #[serde(flatten)]
    record: &'a AssetRecord,
}

pub fn run(session: &Session, args: &AssetsArgs) -> anyhow::Result<Status> {
    let assets = match open(session, &args.assets, args.remote.as_deref()) {
        Ok(assets) => assets,
        Err(error) => {
            session.output.failure(&error)?;
            return Ok(Status::Ok.and_failure(&error, true));
        }
    };
    match &args.action {
        AssetsAction::Add(args) => add(session, &assets, args),
        AssetsAction::Rm { names } => each(session, names, |name| {
            let done = assets.remove(name)?;
            let text = format!("{}: removed, {} became free", done.name, show_bytes(done.freed));
            let value = serde_json::to_value(Line { r#type: "removed", value: &done });
            Ok((text, value.unwrap_or_default()))
        }),
        AssetsAction::List(filter) => list(session, assets.list(&filter.query(&[]))),
        AssetsAction::Search { words, filter } => list(session, assets.list(&filter.query(words))),
        AssetsAction::Show { name } => each(session, std::slice::from_ref(name), |name| {
            let record = assets.get(name)?;
            let path = assets.path_of(name, &session.run.cancel)?;
            let path = path.to_string_lossy().into_owned();
            let facts = serde_json::to_string_pretty(&record.facts).unwrap_or_default();
            let text = format!("{}\n  {path}\n  {}", line(&record), facts.replace('\n', "\n  "));
            let shown = serde_json::to_value(Shown { r#type: "asset", path, record: &record });
            Ok((text, shown.unwrap_or_default()))
        }),
        AssetsAction::Push => match assets.push(&session.run.cancel) {
            Ok(done) => {
                for one in done {
                    let text = match one.parts {
                        0 => format!("{}: was there", one.name),
                        parts => {
                            format!("{}: {parts} parts sent, {} before", one.name, one.known_parts)
                        }
                    };
                    session.output.data(&plain(&text), &Line { r#type: "pushed", value: &one })?;
                }
                Ok(Status::Ok)
            }
            Err(error) => {
                session.output.failure(&error)?;
                Ok(Status::Ok.and_failure(&error, true))
            }
        },
    }
}

/// Does `work` on every name in turn; one that fails does not stop the others.
fn each<N: std::fmt::Debug, T: Serialize>(
    session: &Session,
    names: &[N],
    mut work: impl FnMut(&N) -> Result<(String, T), Error>,
) -> anyhow::Result<Status> {
    let mut status = Status::Ok;
    for (i, name) in names.iter().enumerate() {
        match work(name) {
            Ok((text, value)) => {
                let text = text.lines().map(plain).collect::<Vec<_>>().join("\n");
                session.output.data(&text, &value)?;
                status = status.and_success();
            }
            Err(error) => {
                session.output.failure(&error)?;
                status = status.and_failure(&error, i == 0 || status != Status::Ok);
            }
        }
    }
    Ok(status)
}

fn add(session: &Session, assets: &Assets, args: &AddArgs) -> anyhow::Result<Status> {
    if args.name.is_some() && args.files.len() > 1 {
        anyhow::bail!("--name is for a single file");
    }
    let new = NewAsset {
        name: args.name.clone(),
        kind: args.kind.map(AssetKind::from),
        category: args.category.clone(),
        tags: args.tags.iter().cloned().collect::<BTreeSet<_>>(),
        licence: args.licence.clone(),
        source: args.source.clone(),
        replace: args.replace,
    };
    each(session, &args.files, |file| {
        let done = assets.add(file, &new, &session.run.limits, &session.run.cancel)?;
        let known = if done.known { "  (the file was there)" } else { "" };
        let text = format!("{}{known}", line(&done.record));
        let value = serde_json::to_value(Line { r#type: "added", value: &done });
        Ok((text, value.unwrap_or_default()))
    })
}

fn list(session: &Session, found: Result<Vec<AssetRecord>, Error>) -> anyhow::Result<Status> {
    match found {
        Ok(all) => {
            for record in &all {
                session
                    .output
                    .data(&plain(&line(record)), &Line { r#type: "asset", value: record })?;
            }
            Ok(Status::Ok)
        }
        Err(error) => {
            session.output.failure(&error)?;
            Ok(Status::Ok.and_failure(&error, true))
        }
    }
}

fn line(record: &AssetRecord) -> String {
    let kind = serde_json::to_value(record.kind).unwrap_or_default();
    let mut line = format!(
        "{:24} {:8} {:>10}",
        record.name,
        kind.as_str().unwrap_or_default(),
        show_bytes(record.bytes)
    );
    for (what, value) in [("for", &record.category), ("licence", &record.licence)] {
        if let Some(value) = value {
            line.push_str(&format!("  {what} {value}"));
        }
    }
    if !record.tags.is_empty() {
        let tags: Vec<&str> = record.tags.iter().map(String::as_str).collect();
        line.push_str(&format!("  [{}]", tags.join(", ")));
    }
    line
}
