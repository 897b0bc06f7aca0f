//! `rushes variants`: which variant of a film to show how often next.

use super::Session;
use crate::output::{Status, say};
use clap::{Args, Subcommand};
use rushes::error::Stage;
use rushes::text::plain;
use rushes::variants::{Policy, Ranked, Results, allocate, rank};
use rushes::{Error, ErrorKind};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub struct VariantsArgs {
    #[command(subcommand)]
    pub action: VariantsAction,
}

#[derive(Subcommand, Debug)]
pub enum VariantsAction {
    /// Take in results: CSV with the columns window, variant, views, clicks, spend, revenue
    #[command(
        after_help = "Examples:\n  rushes variants import week.csv\n  rushes variants import week-1.csv week-2.csv --state ads.json --json\n\nA window is the day on which it begins. What is known is not counted twice."
    )]
    Import {
        /// Files of results
        #[arg(required = true)]
        results: Vec<PathBuf>,
        #[command(flatten)]
        state: State,
    },
    /// Rank the variants: how likely each is the best, and its score
    #[command(
        after_help = "Examples:\n  rushes variants rank\n  rushes variants rank --state ads.json --policy policy.toml --json"
    )]
    Rank {
        #[command(flatten)]
        state: State,
        #[command(flatten)]
        how: How,
    },
    /// Share out the next window, within limits, and note it down
    #[command(
        after_help = "Examples:\n  rushes variants allocate\n  rushes variants allocate --seed 7 --dry-run --json\n\nA policy (TOML) may set half_life_days, most_change, least_share, min_views, draws, and in [blend] clicks,\nrevenue, spend."
    )]
    Allocate {
        #[command(flatten)]
        state: State,
        #[command(flatten)]
        how: How,
        /// Note nothing down
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Args, Debug)]
pub struct State {
    /// The file that keeps results and shares
    #[arg(long, default_value = "variants.json", value_name = "FILE")]
    pub state: PathBuf,
}

#[derive(Args, Debug)]
pub struct How {
    /// How results are weighed and shared out by (TOML)
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// The seed of the draws: the same seed gives the same answer
    #[arg(long, default_value = "1", value_name = "N")]
    pub seed: u64,
}

impl How {
    fn policy(&self) -> Result<Policy, Error> {
        match &self.policy {
            None => Ok(Policy::default()),
            Some(file) => Policy::parse(&text_of(file)?).map_err(|error| error.input(file)),
        }
    }
}

fn text_of(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file).map_err(|e| Error::io(Stage::Variants, file, e))
}

pub fn run(session: &Session, args: &VariantsArgs) -> anyhow::Result<Status> {
    match work(session, &args.action).map_err(anyhow::Error::downcast::<Error>) {
        Ok(()) => Ok(Status::Ok),
        Err(Ok(error)) => {
            session.output.failure(&error)?;
            Ok(Status::Ok.and_failure(&error, true))
        }
        Err(Err(other)) => Err(other),
    }
}

#[derive(Serialize)]
struct Line<'a, T> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    #[serde(flatten)]
    value: &'a T,
}

fn work(session: &Session, action: &VariantsAction) -> anyhow::Result<()> {
    match action {
        VariantsAction::Import { results, state } => {
            let _held = Results::lock(&state.state)?;
            let mut known = Results::open(&state.state)?.unwrap_or_else(Results::new);
            let mut told = Vec::new();
            for file in results {
                let done = known.import(&text_of(file)?).map_err(|error| error.input(file))?;
                told.push((file.to_string_lossy().into_owned(), done));
            }
            // All files or none.
            known.save(&state.state)?;
            for (input, done) in told {
                let text = format!(
                    "{input}: {} new, {} changed, {} known",
                    done.added, done.changed, done.known
                );
                let line = Line { r#type: "imported", input: Some(input), value: &done };
                session.output.data(&plain(&text), &line)?;
            }
        }
        VariantsAction::Rank { state, how } => {
            for one in rank(&known(&state.state)?, &how.policy()?, how.seed)? {
                let line = Line { r#type: "variant", input: None, value: &one };
                session.output.data(&plain(&ranked(&one)), &line)?;
            }
        }
        VariantsAction::Allocate { state, how, dry_run } => {
            let _held = Results::lock(&state.state)?;
            let mut known = known(&state.state)?;
            let (allocation, list) = allocate(&known, &how.policy()?, how.seed)?;
            for one in &list {
                let why = match (one.learning, one.held) {
                    (true, _) => "  still learning",
                    (false, true) => "  held back by the limit on change",
                    _ => "",
                };
                let (before, share) = (one.before * 100.0, one.share * 100.0);
                let text = format!("{before:5.1} % -> {share:5.1} %  {}{why}", ranked(&one.ranked));
                let line = Line { r#type: "share", input: None, value: one };
                session.output.data(&plain(&text), &line)?;
            }
            if !dry_run {
                known.allocations.retain(|one| one.after != allocation.after);
                known.allocations.push(allocation);
                known.save(&state.state)?;
            } else if !session.output.quiet {
                say("nothing is noted down");
            }
        }
    }
    Ok(())
}

fn known(state: &Path) -> Result<Results, Error> {
    Results::open(state)?.ok_or_else(|| {
        Error::new(ErrorKind::Input, Stage::Variants, "there are no results")
            .input(state)
            .hint("take some in: rushes variants import results.csv")
    })
}

fn ranked(one: &Ranked) -> String {
    let spend = one.return_on_spend.map_or(String::new(), |of| format!("  {of:.2} a coin spent"));
    format!(
        "{:20} best {:5.1} %  score {:.3} ({:.3} to {:.3})  {} views  {:.2} % clicks{spend}",
        one.variant,
        one.best * 100.0,
        one.score,
        one.between.0,
        one.between.1,
        one.views,
        one.click_rate * 100.0
    )
}
