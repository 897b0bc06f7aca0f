//! `rushes costs`: what was spent, added up.

use super::Session;
use super::batch::told;
use super::jobs::missing;
use super::worker::{open, rules};
use crate::batch::now;
use crate::output::Status;
use clap::{Args, ValueEnum};
use rushes::device::show_bytes;
use rushes::jobs::{By, Effort, Queue, Rules, Standing, day_began};
use rushes::text::plain;
use serde::Serialize;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct CostsArgs {
    /// The queue's file
    #[arg(long, default_value = "library/jobs.db", value_name = "FILE")]
    pub queue: PathBuf,
    /// What is added up together
    #[arg(long, value_enum, default_value = "batch")]
    pub by: ByChoice,
    /// Only of this batch
    #[arg(long, value_name = "NAME")]
    pub batch: Option<String>,
    /// Only what was spent today (UTC)
    #[arg(long)]
    pub today: bool,
    /// Prices, budgets and quotas [default: rushes.toml beside the queue, if it is there]
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ByChoice {
    Batch,
    Tenant,
    Day,
    Action,
    /// Time only: stages share the processors of their process
    Stage,
}

#[derive(Serialize)]
struct Record<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    effort: &'a Effort,
    money: f64,
    currency: &'a str,
}

pub fn run(session: &Session, args: &CostsArgs) -> anyhow::Result<Status> {
    told(session, || show(session, args).map(|()| Status::Ok))
}

fn show(session: &Session, args: &CostsArgs) -> anyhow::Result<()> {
    if !args.queue.exists() {
        return Err(missing(&args.queue).into());
    }
    let queue = open(&args.queue)?;
    let rules = rules(&args.queue, args.rules.as_deref())?;
    let today = day_began(now());
    let since = if args.today { today } else { 0 };
    let by = match args.by {
        ByChoice::Batch => By::Batch,
        ByChoice::Tenant => By::Tenant,
        ByChoice::Day => By::Day,
        ByChoice::Action => By::Action,
        ByChoice::Stage => By::Stage,
    };
    let batch = args.batch.as_deref();
    let mut efforts = queue.efforts(by, batch, since)?;
    let mut all = queue.efforts(By::All, batch, since)?;
    for effort in efforts.drain(..) {
        if by == By::Stage {
            // Nothing else is known of stages.
            let (name, times) = (&effort.name, effort.attempts);
            let wall_s = effort.cost.wall_ms as f64 / 1e3;
            let text = format!("{name:24}  {times:6} times     {wall_s:10.1} s");
            let record = json!({"type": "stage", "name": name, "times": times, "wall_s": wall_s});
            session.output.data(&plain(&text), &record)?;
            continue;
        }
        one(session, &rules, "cost", &effort)?;
    }
    if let Some(mut all) = all.pop() {
        all.name = "all".to_owned();
        one(session, &rules, "total", &all)?;
    }
    let spent = queue.efforts(By::All, None, today)?;
    let spent = spent.first().map(|effort| effort.cost).unwrap_or_default();
    if let Standing::Warn(text) | Standing::Spent(text) =
        rules.standing(&spent, &Default::default())
        && !session.output.quiet
    {
        crate::output::say(&plain(&text));
    }
    Ok(())
}

fn one(
    session: &Session,
    rules: &Rules,
    kind: &'static str,
    effort: &Effort,
) -> anyhow::Result<()> {
    let cost = &effort.cost;
    let money = rules.prices.of(cost);
    let name = if effort.name.is_empty() { "-" } else { &effort.name };
    let text = format!(
        "{:24}  {:6} attempts  {:10.1} s  {:10.1} CPU-s  {:8.1} GPU-s  at most {:>10}  {:>10} in  \
         {:>10} out  {}{}",
        name,
        effort.attempts,
        cost.wall_ms as f64 / 1e3,
        cost.cpu_ms as f64 / 1e3,
        cost.gpu_ms as f64 / 1e3,
        show_bytes(cost.peak_bytes),
        show_bytes(cost.bytes_in),
        show_bytes(cost.bytes_out),
        match cost.energy_mj {
            0 => String::new(),
            energy => format!("{:.1} J  ", energy as f64 / 1e3),
        },
        rules.prices.show(money),
    );
    let record = Record { r#type: kind, effort, money, currency: &rules.prices.currency };
    session.output.data(&plain(&text), &record)
}
