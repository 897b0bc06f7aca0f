//! `rushes jobs`: what is in a queue, and changing it.

use super::Session;
use super::batch::told;
use super::worker::{open, rules};
use crate::batch::now;
use crate::batch::submit::{self, Common, Planning, absolute, admit, digest, submit};
use crate::output::Status;
use clap::{Args, Subcommand, ValueEnum};
use rushes::device::show_bytes;
use rushes::error::{Error, ErrorKind, Stage};
use rushes::jobs::{JobRow, JobState, Message, Prices, Queue, SqliteQueue, Which};
use rushes::text::plain;
use serde::Serialize;
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub struct JobsArgs {
    #[command(subcommand)]
    pub verb: JobsVerb,
    /// The queue's file
    #[arg(long, global = true, default_value = "library/jobs.db", value_name = "FILE")]
    pub queue: PathBuf,
}

#[derive(Subcommand, Debug)]
pub enum JobsVerb {
    /// Put jobs into the queue as messages, a JSON object a line (docs/batches.md)
    #[command(
        after_help = "Examples:\n  rushes jobs submit messages.jsonl --queue jobs.db\n  make-messages | rushes jobs submit - --batch tonight --json\n\nA message whose id is in the queue already is the same job."
    )]
    Submit {
        /// Files of messages, or - for standard input
        #[arg(required_unless_present = "schema")]
        files: Vec<PathBuf>,
        /// The batch that they belong to
        #[arg(long, default_value = "messages", value_name = "NAME")]
        batch: String,
        /// How often a job is tried that fails for want of memory or disk
        #[arg(long, default_value = "3", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
        attempts: u32,
        /// Prices, budgets and quotas [default: rushes.toml beside the queue, if it is there]
        #[arg(long, value_name = "FILE")]
        rules: Option<PathBuf>,
        /// Print the JSON schema of messages instead
        #[arg(long)]
        schema: bool,
    },
    /// List jobs
    #[command(
        after_help = "Examples:\n  rushes jobs list\n  rushes jobs list --state failed,dead --json | jq .message.media"
    )]
    List(Chosen),
    /// Show all that is known of a job
    #[command(
        after_help = "Examples:\n  rushes jobs show 7\n  rushes jobs show 7 --json | jq .cost"
    )]
    Show {
        /// The job's number
        id: i64,
    },
    /// Show what happened to a job, and the last of what its process said
    #[command(after_help = "Examples:\n  rushes jobs logs 7\n  rushes jobs logs 7 --json")]
    Logs {
        /// The job's number
        id: i64,
    },
    /// Cancel jobs: those that wait at once, those that run within seconds
    #[command(
        after_help = "Examples:\n  rushes jobs cancel 7 8\n  rushes jobs cancel --batch batch-3fa9c1d2\n  rushes jobs cancel --all"
    )]
    Cancel {
        #[command(flatten)]
        chosen: Chosen,
        /// All that wait or run
        #[arg(long, conflicts_with_all = ["ids", "batch", "state"])]
        all: bool,
    },
    /// Have failed, dead and cancelled jobs tried anew
    #[command(after_help = "Examples:\n  rushes jobs retry\n  rushes jobs retry 7")]
    Retry(Chosen),
    /// Have workers begin nothing more, until `pause --off`
    #[command(after_help = "Examples:\n  rushes jobs pause\n  rushes jobs pause --off")]
    Pause {
        /// Go on
        #[arg(long)]
        off: bool,
    },
    /// Forget jobs that are over; what they made stays
    #[command(after_help = "Examples:\n  rushes jobs clear\n  rushes jobs clear --state done")]
    Clear(Chosen),
}

/// Which jobs are meant; all if nothing is said, but for `cancel`.
#[derive(Args, Debug)]
pub struct Chosen {
    /// Their numbers
    pub ids: Vec<i64>,
    /// Of this batch
    #[arg(long, value_name = "NAME")]
    pub batch: Option<String>,
    /// In these states
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STATES")]
    pub state: Vec<StateChoice>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StateChoice {
    Ready,
    Running,
    Done,
    Failed,
    Dead,
    Cancelled,
}

impl Chosen {
    fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.batch.is_none() && self.state.is_empty()
    }

    fn which(&self) -> Which {
        let state = |choice: &StateChoice| match choice {
            StateChoice::Ready => JobState::Ready,
            StateChoice::Running => JobState::Running,
            StateChoice::Done => JobState::Done,
            StateChoice::Failed => JobState::Failed,
            StateChoice::Dead => JobState::Dead,
            StateChoice::Cancelled => JobState::Cancelled,
        };
        Which {
            ids: self.ids.clone(),
            batch: self.batch.clone(),
            states: self.state.iter().map(state).collect(),
        }
    }
}

#[derive(Serialize)]
struct Record<'a, T> {
    r#type: &'static str,
    #[serde(flatten)]
    what: &'a T,
}

/// A job, with what it cost by the prices beside the queue.
#[derive(Serialize)]
struct Priced<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    job: &'a JobRow,
    money: f64,
    currency: &'a str,
}

pub fn run(session: &Session, args: &JobsArgs) -> anyhow::Result<Status> {
    if let JobsVerb::Submit { schema: true, .. } = &args.verb {
        let schema = serde_json::to_string_pretty(&rushes::jobs::message_schema())? + "\n";
        session.output.bytes(schema.as_bytes())?;
        return Ok(Status::Ok);
    }
    told(session, || {
        // Whoever submits makes the queue; for all else there must be one.
        if !args.queue.exists() && !matches!(args.verb, JobsVerb::Submit { .. }) {
            return Err(missing(&args.queue).into());
        }
        act(session, &open(&args.queue)?, &args.verb)?;
        Ok(Status::Ok)
    })
}

/// There is no queue where one was named.
pub fn missing(queue: &Path) -> Error {
    let error = Error::new(ErrorKind::Input, Stage::Open, "no such queue");
    error.input(queue).hint("name it with --queue")
}

fn act(session: &Session, queue: &SqliteQueue, verb: &JobsVerb) -> anyhow::Result<()> {
    let changed = |what: &str, n: u64| {
        let record = json!({"type": "changed", "what": what, "jobs": n});
        session.output.data(&format!("{n} jobs {what}"), &record)
    };
    match verb {
        JobsVerb::Submit { files, batch, attempts, rules: named, .. } => {
            let rules = rules(queue.file(), named.as_deref())?;
            let jobs = messages(files, batch, *attempts)?;
            admit(queue, batch, &jobs, &rules)?;
            let ids = submit(queue, jobs)?;
            let text = format!("{} jobs in {}", ids.len(), queue.file().display());
            let record = json!({"type": "submitted", "batch": batch, "jobs": ids});
            session.output.data(&plain(&text), &record)
        }
        JobsVerb::List(chosen) => {
            for job in queue.list(&chosen.which())? {
                session.output.data(&plain(&line(&job)), &Record { r#type: "job", what: &job })?;
            }
            Ok(())
        }
        JobsVerb::Show { id } => {
            let job = one(queue, *id)?;
            let prices = rules(queue.file(), None)?.prices;
            let money = prices.of(&job.cost);
            let priced = Priced { r#type: "job", job: &job, money, currency: &prices.currency };
            session.output.data(&shown(&job, &prices)?, &priced)
        }
        JobsVerb::Logs { id } => {
            one(queue, *id)?;
            for line in queue.logs(*id)? {
                let text = if line.said {
                    let said = line.text.lines().map(|text| format!("    | {}", plain(text)));
                    said.collect::<Vec<_>>().join("\n")
                } else {
                    format!("{}  {}", when(line.at), plain(&line.text))
                };
                session.output.data(&text, &Record { r#type: "log", what: &line })?;
            }
            Ok(())
        }
        JobsVerb::Cancel { chosen, all } => {
            if !all && chosen.is_empty() {
                anyhow::bail!("which jobs? Give their numbers, --batch, --state, or --all");
            }
            changed("cancelled", queue.cancel(&chosen.which(), now())?)
        }
        JobsVerb::Retry(chosen) => {
            changed("to be tried again", queue.retry(&chosen.which(), now())?)
        }
        JobsVerb::Pause { off } => {
            queue.pause(!off)?;
            let text = if *off { "goes on" } else { "paused" };
            session.output.data(text, &json!({"type": "changed", "what": text}))
        }
        JobsVerb::Clear(chosen) => changed("forgotten", queue.clear(&chosen.which())?),
    }
}

/// The jobs of messages; the first that is none, or whose file cannot be read, stops them all.
fn messages(files: &[PathBuf], batch: &str, attempts: u32) -> anyhow::Result<Vec<Planning>> {
    /// Messages of one file.
    const MOST_BYTES: u64 = 256 << 20;
    let common = Common { batch, attempts, force: false, allow: &[] };
    let mut jobs = Vec::new();
    for file in files {
        let mut text = String::new();
        let read = if file == Path::new("-") {
            std::io::stdin().lock().take(MOST_BYTES).read_to_string(&mut text)
        } else {
            std::fs::File::open(file).and_then(|f| f.take(MOST_BYTES).read_to_string(&mut text))
        };
        if read.map_err(|e| Error::io(Stage::Open, file, e))? as u64 == MOST_BYTES {
            let error = Error::new(ErrorKind::Limit, Stage::Open, "256 MiB of messages or more");
            return Err(error.input(file).into());
        }
        for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let told = |error: Error| {
                let what = format!("line {}: {}", n + 1, error.message());
                Error::new(error.kind(), error.stage(), what).input(file)
            };
            let mut message = Message::parse(line).map_err(told)?;
            message.media = absolute(&message.media);
            let bytes = std::fs::metadata(&message.media).map_or(0, |meta| meta.len());
            // Without a name only the same message is the same job.
            let key = match message.id.is_empty() {
                true => digest(&["message", line]),
                false => digest(&["id", &message.id]),
            };
            let job = submit::job(&common, message, key, bytes);
            jobs.push(Planning { job, needs: Vec::new() });
        }
    }
    Ok(jobs)
}

fn one(queue: &SqliteQueue, id: i64) -> rushes::Result<JobRow> {
    let found = queue.list(&Which { ids: vec![id], ..Which::default() })?;
    found.into_iter().next().ok_or_else(|| {
        let error = Error::new(ErrorKind::Input, Stage::Open, format!("has no job {id}"));
        error.input(queue.file()).hint("`rushes jobs list` shows them")
    })
}

fn line(job: &JobRow) -> String {
    let error = job.error.as_deref().map_or(String::new(), |error| format!("  {error}"));
    format!(
        "{:6}  {:9}  {:10}  {}{error}",
        job.id,
        job.state.as_str(),
        job.message.action.name(),
        job.message.media.to_string_lossy()
    )
}

fn shown(job: &JobRow, prices: &Prices) -> anyhow::Result<String> {
    let cost = &job.cost;
    let mut text = plain(&line(job)).into_owned();
    let mut add = |line: String| {
        text.push_str("\n  ");
        text.push_str(&plain(&line));
    };
    add(format!(
        "batch {}, attempt {} of {}, submitted {}",
        job.batch,
        job.attempts,
        job.attempts_most,
        when(job.created_at)
    ));
    if let Some(worker) = &job.worker {
        add(format!("worker {worker}"));
    }
    if let Some(way) = &job.way {
        let because = way.because.as_ref().map_or(String::new(), |why| format!(": {why}"));
        add(format!("{} on {}{because}", way.name, way.device));
    }
    add(format!(
        "{:.1} s, {:.1} CPU-s, {:.1} GPU-s, at most {}, {} read, {} written",
        cost.wall_ms as f64 / 1e3,
        cost.cpu_ms as f64 / 1e3,
        cost.gpu_ms as f64 / 1e3,
        show_bytes(cost.peak_bytes),
        show_bytes(cost.bytes_in),
        show_bytes(cost.bytes_out)
    ));
    if cost.energy_mj > 0 {
        add(format!("{:.1} J", cost.energy_mj as f64 / 1e3));
    }
    if *prices != Prices::default() {
        add(prices.show(prices.of(cost)));
    }
    for stage in &job.stages {
        add(format!("{:12} {:.1} s", stage.stage, stage.wall_ms as f64 / 1e3));
    }
    add(serde_json::to_string(&job.message)?);
    Ok(text)
}

/// Date and time of day (UTC), by the civil calendar (Hinnant, "chrono-compatible date algorithms").
fn when(at: i64) -> String {
    let secs = at.div_euclid(1000);
    let (days, second) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02}Z", second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(when(0), "1970-01-01 00:00:00Z");
        assert_eq!(when(951_782_399_999), "2000-02-28 23:59:59Z");
        assert_eq!(when(951_782_400_000), "2000-02-29 00:00:00Z");
        assert_eq!(when(1_795_000_000_000), "2026-11-18 11:06:40Z");
    }
}
