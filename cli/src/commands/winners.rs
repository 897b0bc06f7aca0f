//! `rushes winners`: clips that did well, and how near others are to them.

use super::Session;
use super::clips::{refused, stretch};
use super::insight::clock;
use crate::output::Status;
use clap::{Args, Subcommand};
use rushes::insight::clips::{FilmData, Measured, Meter};
use rushes::insight::winners::{Near, nearest, spreads};
use rushes::library::catalogue::winners::WinnerRow;
use rushes::library::{Catalogue, Library, MediaRow};
use rushes::text::plain;
use rushes::time::Span;
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Args, Debug)]
pub struct WinnersArgs {
    #[command(subcommand)]
    pub verb: WinnersVerb,
    /// The library
    #[arg(long, global = true, default_value = "library", value_name = "DIR")]
    pub library: PathBuf,
}

#[derive(Subcommand, Debug)]
pub enum WinnersVerb {
    /// Put a stretch of a film on a list
    #[command(
        after_help = "Examples:\n  rushes winners add talk@12s-30s\n  rushes winners add talk.mp4@1:02-1:20 --list shorts --note \"80k views\""
    )]
    Add {
        /// The stretch: a film of the library, @, from-to
        #[arg(value_name = "FILM@FROM-TO")]
        clip: String,
        /// The list
        #[arg(long, default_value = "winners", value_name = "NAME")]
        list: String,
        /// What it is called [default: its first words]
        #[arg(long, value_name = "TEXT")]
        title: Option<String>,
        /// How well it did, or anything else
        #[arg(long, default_value = "", value_name = "TEXT")]
        note: String,
    },
    /// Show lists
    #[command(
        after_help = "Examples:\n  rushes winners list\n  rushes winners list --list shorts --json"
    )]
    List {
        /// Only this list
        #[arg(long, value_name = "NAME")]
        list: Option<String>,
    },
    /// Take clips off their lists
    #[command(
        after_help = "Examples:\n  rushes winners rm 3\n  rushes winners rm 3 5 --library archive"
    )]
    Rm {
        /// Their numbers, as `rushes winners list` shows them
        #[arg(required = true, value_name = "NUMBER")]
        ids: Vec<i64>,
    },
    /// Show what a list has in common: mean and deviation of each feature
    #[command(
        after_help = "Examples:\n  rushes winners stats\n  rushes winners stats --list shorts --json"
    )]
    Stats {
        /// The list
        #[arg(long, default_value = "winners", value_name = "NAME")]
        list: String,
    },
    /// Tell how near a clip is to those of a list
    #[command(
        after_help = "Examples:\n  rushes winners near talk@40s-1:00\n  rushes winners near talk@40s-1:00 --list shorts --limit 3"
    )]
    Near {
        /// The stretch: a film of the library, @, from-to
        #[arg(value_name = "FILM@FROM-TO")]
        clip: String,
        /// The list
        #[arg(long, default_value = "winners", value_name = "NAME")]
        list: String,
        /// How many winners
        #[arg(long, default_value = "5", value_name = "N")]
        limit: NonZeroUsize,
    },
}

#[derive(Serialize)]
struct Record<'a, T: Serialize> {
    r#type: &'static str,
    #[serde(flatten)]
    row: &'a T,
}

#[derive(Serialize)]
struct Numbered<'a> {
    r#type: &'static str,
    id: i64,
    #[serde(flatten)]
    row: &'a WinnerRow,
}

pub fn run(session: &Session, args: &WinnersArgs) -> anyhow::Result<Status> {
    refused(session, work(session, args))
}

fn work(session: &Session, args: &WinnersArgs) -> anyhow::Result<()> {
    let library = Library::at(&args.library);
    let catalogue = library.existing()?;
    match &args.verb {
        WinnersVerb::Add { clip, list, title, note } => {
            let (media, span, measured) = measured(&library, &catalogue, clip)?;
            let first = || measured.text.split_whitespace().take(8).collect::<Vec<_>>().join(" ");
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let row = WinnerRow {
                list: list.clone(),
                content: media.content,
                film: media.name,
                span,
                title: title.clone().unwrap_or_else(first),
                note: note.clone(),
                added_ms: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
                features: measured.values,
                vector: measured.vector,
            };
            let id = catalogue.add_winner(&row)?;
            session.output.data(&shown(id, &row), &Numbered { r#type: "winner", id, row: &row })
        }
        WinnersVerb::List { list } => {
            for (id, row) in &catalogue.winners(list.as_deref())? {
                session
                    .output
                    .data(&shown(*id, row), &Numbered { r#type: "winner", id: *id, row })?;
            }
            Ok(())
        }
        WinnersVerb::Rm { ids } => {
            for id in ids {
                if !catalogue.remove_winner(*id)? {
                    return Err(rushes::Error::new(
                        rushes::ErrorKind::Input,
                        rushes::error::Stage::Insight,
                        format!("there is no winner {id}"),
                    )
                    .hint("`rushes winners list` shows them")
                    .into());
                }
                let record = serde_json::json!({ "type": "removed", "id": id });
                session.output.data(&format!("removed {id}"), &record)?;
            }
            Ok(())
        }
        WinnersVerb::Stats { list } => {
            let winners = catalogue.winners(Some(list))?;
            if !session.output.json {
                session.output.data(&format!("{}: {} winners", plain(list), winners.len()), &())?;
            }
            for row in &spreads(&winners) {
                let text = format!(
                    "  {:<22} {:>10.3} ± {:<10.3} ({})",
                    row.feature, row.mean, row.deviation, row.count
                );
                session.output.data(&plain(&text), &Record { r#type: "spread", row })?;
            }
            Ok(())
        }
        WinnersVerb::Near { clip, list, limit } => {
            let (_, _, measured) = measured(&library, &catalogue, clip)?;
            let winners = catalogue.winners(Some(list))?;
            for row in &nearest(winners, &measured.values, &measured.vector, limit.get()) {
                let Near { id, winner, similarity, features, meaning } = row;
                let meaning = meaning.map_or("?".to_owned(), |meaning| format!("{meaning:.2}"));
                let text = format!(
                    "{similarity:.2}  (features {features:.2}, meaning {meaning})  {}",
                    shown(*id, winner)
                );
                session.output.data(&text, &Record { r#type: "near", row })?;
            }
            Ok(())
        }
    }
}

fn shown(id: i64, row: &WinnerRow) -> String {
    let note = if row.note.is_empty() { String::new() } else { format!("  ({})", row.note) };
    let (start, end) = (clock(row.span.start), clock(row.span.end));
    let text =
        format!("{id:>3}  {}  {}  {start} to {end}  {}{note}", row.list, row.film, row.title);
    plain(&text).into_owned()
}

/// A stretch of a film of the library, and what it is like.
fn measured(
    library: &Library,
    catalogue: &Catalogue,
    text: &str,
) -> anyhow::Result<(MediaRow, Span, Measured)> {
    let (film, span) = stretch(text)?;
    let media = library.find(&film)?;
    let data = FilmData::of(catalogue, media.id)?;
    let span = Span { start: span.start, end: span.end.min(data.length).max(span.start) };
    let measured = Meter::new(&data)?.measure(span);
    Ok((media, span, measured))
}
