//! `rushes worker`, and what it shares with `rushes batch`: a queue, a machine, a pool.

use super::Session;
use super::devices::inventory;
use crate::batch::point;
use crate::batch::pool::{Ended, Pool, PoolOptions, Told};
use crate::batch::table::Table;
use crate::output::{Status, say};
use clap::Args;
use rushes::device::show_bytes;
use rushes::jobs::{
    Account, Action, Backoff, Can, Cost, Finish, JobRow, Queue, Rules, SqliteQueue, StageCost, Way,
};
use rushes::text::plain;
use serde::Serialize;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The usual name of a file of rules.
pub const RULES: &str = "rushes.toml";

#[derive(Args, Debug)]
pub struct WorkerArgs {
    /// The queue's file
    #[arg(long, default_value = "library/jobs.db", value_name = "FILE")]
    pub queue: PathBuf,
    /// Actions to take [default: all]
    #[arg(long, value_delimiter = ',', value_name = "ACTIONS", value_parser = clap::builder::PossibleValuesParser::new(Action::NAMES))]
    pub only: Vec<String>,
    /// End when no job is left that this worker could do
    #[arg(long)]
    pub until_empty: bool,
    #[command(flatten)]
    pub pool: PoolArgs,
}

/// How jobs are run.
#[derive(Args, Debug)]
pub struct PoolArgs {
    /// Threads for each job
    #[arg(long, default_value = "1", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads_each: u32,
    /// Where models lie
    #[arg(long, value_name = "DIR")]
    pub models_dir: Option<PathBuf>,
    /// Seconds of silence after which a worker's jobs are given to others
    #[arg(long, default_value = "30", value_name = "S", value_parser = clap::value_parser!(u64).range(2..=3600))]
    pub lease: u64,
    /// Prices, budgets and quotas [default: rushes.toml beside the queue, if it is there]
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// A machine described by a file: what there is to give out, and what befalls it meanwhile
    #[arg(long, value_name = "FILE")]
    pub devices: Option<PathBuf>,
    /// Seconds for which a job may do nothing at all before it is stopped and tried elsewhere
    #[arg(long, default_value = "120", value_name = "S", value_parser = clap::value_parser!(u64).range(2..=86_400))]
    pub silence: u64,
}

/// What is told of a job's end.
#[derive(Serialize)]
struct Record<'a> {
    r#type: &'static str,
    id: i64,
    media: String,
    action: &'static str,
    state: &'static str,
    kind: Option<&'a str>,
    message: Option<&'a str>,
    #[serde(flatten)]
    cost: Cost,
    stages: &'a [StageCost],
    way: Option<&'a Way>,
}

/// Opens the queue, with its folder.
pub fn open(file: &Path) -> rushes::Result<SqliteQueue> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|e| rushes::Error::io(rushes::error::Stage::Write, folder, e))?;
    }
    let queue = SqliteQueue::open(file, Backoff::default())?;
    point::at("opened");
    Ok(queue)
}

/// The rules for `queue`: of the file `named`, or of [`RULES`] beside the queue, or none.
pub fn rules(queue: &Path, named: Option<&Path>) -> rushes::Result<Rules> {
    let beside = queue.with_file_name(RULES);
    match named {
        Some(file) => Rules::read(file),
        None if beside.exists() => Rules::read(&beside),
        None => Ok(Rules::default()),
    }
}

/// Works on `queue` until nothing is left or a signal comes. `total` is how many there are to do.
pub fn work(
    session: &Session,
    queue: &SqliteQueue,
    can: Can,
    until_empty: bool,
    args: &PoolArgs,
    total: Option<u64>,
) -> anyhow::Result<Ended> {
    if queue.is_paused()? && !session.output.quiet {
        say("the queue is paused: nothing begins before `rushes jobs pause --off`");
    }
    let mut machine = inventory(args.devices.as_deref())?;
    let there = machine.look(Duration::ZERO)?.host.threads;
    let given = session.run.threads.and_then(|n| u32::try_from(n.get()).ok());
    let mut teller = Teller {
        session,
        table: Table::new(!session.output.quiet && !session.output.json, total),
        total,
    };
    let options = PoolOptions {
        can,
        until_empty,
        models_dir: args.models_dir.clone(),
        threads_each: args.threads_each,
        threads: given.unwrap_or(there).max(args.threads_each),
        lease: Duration::from_secs(args.lease),
        silence: Duration::from_secs(args.silence),
        rules: rules(queue.file(), args.rules.as_deref())?,
        watched: teller.table.drawn,
    };
    let mut pool = Pool::new(queue, options, machine)?;
    pool.run(&session.run.cancel, &mut |told: Told<'_>| teller.tell(told))
}

/// Tells what a pool does.
struct Teller<'a> {
    session: &'a Session,
    table: Table,
    total: Option<u64>,
}

impl Teller<'_> {
    fn tell(&mut self, told: Told<'_>) -> anyhow::Result<()> {
        match told {
            Told::Now(standing) => {
                self.table.show(standing);
                Ok(())
            }
            Told::Money(text) => self.note("budget", None, text),
            Told::Machine(text) => self.note("device", None, text),
            Told::Moved(job, text) => self.note("moved", Some(job), text),
            Told::Begun(job, way) => {
                let output = self.session.output;
                // The table shows it.
                if !output.quiet && !output.json && !self.table.drawn {
                    let on = match way.device.as_str() {
                        "cpu" => String::new(),
                        device => format!(" on {device}"),
                    };
                    let why = way.because.as_ref().map_or(String::new(), |why| format!(" ({why})"));
                    say(&plain(&format!("{} begins{on}{why}", name(job))));
                }
                Ok(())
            }
            Told::Over(job, how, account) => self.over(job, how, account),
        }
    }

    /// A line for people, or a record.
    fn note(&self, kind: &str, job: Option<&JobRow>, text: &str) -> anyhow::Result<()> {
        let output = self.session.output;
        if output.json {
            let record = json!({"type": kind, "id": job.map(|job| job.id), "message": text});
            return output.data("", &record);
        }
        let text = job.map_or(text.to_owned(), |job| format!("{}: {text}", name(job)));
        self.table.beside(|| say(&plain(&text)));
        Ok(())
    }

    fn over(&mut self, job: &JobRow, how: &Finish, account: &Account) -> anyhow::Result<()> {
        let over = if *how == Finish::PutBack { 0 } else { self.table.over() };
        let (state, kind, message) = match how {
            Finish::Done => ("done", None, None),
            Finish::Failed { kind, message, .. } => {
                ("failed", Some(kind.as_str()), Some(message.as_str()))
            }
            Finish::WorkerDied(message) => ("died", Some("worker"), Some(message.as_str())),
            Finish::Stalled(message) => ("stalled", Some("stalled"), Some(message.as_str())),
            Finish::Cancelled => ("cancelled", None, None),
            Finish::PutBack => ("put back", None, None),
        };
        let cost = account.cost;
        let place = self.total.map_or(String::new(), |total| format!("[{over}/{total}] "));
        let text = format!(
            "{place}{state} {}  {:.1} s, {:.1} CPU-s, {}{}",
            name(job),
            cost.wall_ms as f64 / 1e3,
            cost.cpu_ms as f64 / 1e3,
            show_bytes(cost.peak_bytes),
            message.map_or(String::new(), |message| format!("  {message}")),
        );
        let record = Record {
            r#type: "job",
            id: job.id,
            media: job.message.media.to_string_lossy().into_owned(),
            action: job.message.action.name(),
            state,
            kind,
            message,
            cost,
            stages: &account.stages,
            way: account.way.as_ref(),
        };
        self.table.beside(|| self.session.output.data(&plain(&text), &record))
    }
}

fn name(job: &JobRow) -> String {
    format!("{} {}", job.message.action.name(), job.message.media.to_string_lossy())
}

pub fn run(session: &Session, args: &WorkerArgs) -> anyhow::Result<Status> {
    let queue = match open(&args.queue) {
        Ok(queue) => queue,
        Err(error) => {
            session.output.failure(&error)?;
            return Ok(Status::Ok.and_failure(&error, true));
        }
    };
    let actions = Action::NAMES
        .into_iter()
        .filter(|name| args.only.is_empty() || args.only.iter().any(|only| only == name));
    let can = Can { actions: actions.collect(), ..Can::default() };
    Ok(match work(session, &queue, can, args.until_empty, &args.pool, None)? {
        Ended::NothingLeft => Status::Ok,
        Ended::Cancelled => Status::Cancelled,
        Ended::NotAllowed(_) => Status::Refused,
    })
}
