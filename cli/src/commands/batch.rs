//! `rushes batch`: many inputs, each a job in a queue on disk, done until all are over.

use super::Session;
use super::worker::{PoolArgs, open, rules, work};
use crate::args::{side, step};
use crate::batch::manifest::{Defaults, Item, is_manifest, read, with_defaults};
use crate::batch::pool::Ended;
use crate::batch::report::Report;
use crate::batch::{now, point};
use crate::inputs;
use crate::output::{Status, say};
use clap::{Args, ValueEnum};
use rushes::device::show_bytes;
use rushes::error::Stage;
use rushes::jobs::{
    Action, By, Can, JobRow, JobState, Message, NewJob, Priority, QUEUE, Queue, Which,
};
use rushes::text::plain;
use rushes::{Error, ErrorKind, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub struct BatchArgs {
    /// Files, folders, globs, or lists of jobs (.jsonl, .csv, .toml)
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// What to do with each
    #[arg(long, default_value = "process", value_parser = clap::builder::PossibleValuesParser::new(Action::NAMES))]
    pub action: String,
    /// The library, for process and embed
    #[arg(long, default_value = "library", value_name = "DIR")]
    pub library: PathBuf,
    /// The folder to write to, for transcribe, frames and render (whose inputs are specs)
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// A frame every so much time
    #[arg(long, value_name = "TIME")]
    pub every: Option<String>,
    /// Width of frames in pixels
    #[arg(long, value_name = "PX", value_parser = side())]
    pub width: Option<u32>,
    /// What process makes
    #[arg(long, value_delimiter = ',', value_name = "STAGES")]
    pub stages: Vec<String>,
    /// Formats of subtitles
    #[arg(long, value_delimiter = ',', value_name = "FORMATS")]
    pub format: Vec<String>,
    /// The speech model
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Whose jobs they are: each tenant gets a fair share, and has quotas of its own
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    pub tenant: String,
    /// How urgent the jobs are
    #[arg(long, value_enum, default_value = "normal")]
    pub priority: Urgency,
    /// How often a job is tried that fails for want of memory or disk
    #[arg(long, default_value = "3", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub attempts: u32,
    /// Where the jobs are kept [default: jobs.db in the library or output folder]
    #[arg(long, value_name = "FILE")]
    pub queue: Option<PathBuf>,
    /// The batch's name [default: by what was asked for, so that the same command goes on with it]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Write a page (HTML) about the batch when it ends
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Only put the jobs into the queue, for workers to do
    #[arg(long, conflicts_with = "dry_run")]
    pub submit: bool,
    #[command(flatten)]
    pub pool: PoolArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Urgency {
    Low,
    Normal,
    High,
}

/// The end of a batch.
#[derive(Serialize)]
struct Summary {
    r#type: &'static str,
    batch: String,
    queue: String,
    jobs: usize,
    /// Done in this run.
    done_now: usize,
    states: BTreeMap<&'static str, usize>,
    /// Why what is left was not begun.
    not_begun: Option<String>,
    cpu_s: f64,
    wall_s: f64,
}

#[derive(Serialize)]
struct Planned {
    r#type: &'static str,
    media: String,
    action: &'static str,
    bytes: u64,
    /// Processor seconds, by what jobs of this action cost so far.
    estimate_cpu_s: Option<f64>,
    state: &'static str,
}

pub fn run(session: &Session, args: &BatchArgs) -> anyhow::Result<Status> {
    if let Some(every) = &args.every {
        // Told here, before a thousand jobs fail of it.
        let _: Timestamp = step(every).map_err(anyhow::Error::msg)?;
    }
    let mut status = Status::Ok;
    let items = items(session, args, &mut status)?;
    if items.is_empty() {
        // Nothing is made for nothing.
        return Ok(status);
    }
    let batch = match &args.name {
        Some(name) => name.clone(),
        None => format!("batch-{}", &digest(&[&json!(args.action).to_string(), &typed(args)])[..8]),
    };
    let file = queue_file(args);
    let jobs = jobs(args, &batch, items)?;
    if args.dry_run {
        dry_run(session, &file, &jobs)?;
        return Ok(status);
    }
    let done = (|| -> anyhow::Result<Status> {
        let queue = open(&file)?;
        admit(&queue, &batch, &jobs, args)?;
        let ids = submit(&queue, jobs)?;
        point::at("submitted");
        if args.submit {
            let text = format!("{} jobs in {}", ids.len(), file.display());
            let record = json!({"type": "submitted", "batch": batch, "jobs": ids});
            session.output.data(&plain(&text), &record)?;
            return Ok(status);
        }
        let before = states(&queue, &ids)?;
        let left = before.iter().filter(|job| !job.state.is_over()).count();
        let can =
            Can { actions: Action::NAMES.to_vec(), batch: Some(batch.clone()), ..Can::default() };
        let began = std::time::Instant::now();
        let mut not_begun = None;
        if left > 0
            && let Ended::NotAllowed(why) =
                work(session, &queue, can, true, &args.pool, Some(left as u64))?
        {
            not_begun = Some(why);
        }
        let after = states(&queue, &ids)?;
        let was_done = before.iter().filter(|job| job.state == JobState::Done).count();
        let wall_s = began.elapsed().as_secs_f64();
        let shut_out = not_begun.is_some();
        if let Some(page) = &args.report {
            let rules = rules(&file, args.pool.rules.as_deref())?;
            let report = Report {
                batch: &batch,
                jobs: &after,
                by_tenant: &queue.efforts(By::Tenant, Some(&batch), 0)?,
                prices: &rules.prices,
                not_begun: not_begun.as_deref(),
                wall_s,
            };
            std::fs::write(page, report.page()).map_err(|e| Error::io(Stage::Write, page, e))?;
        }
        summary(session, &file, &batch, &after, was_done, not_begun, wall_s)?;
        let over = |state| after.iter().any(|job| job.state == state);
        if session.run.cancel.is_cancelled() {
            return Ok(Status::Cancelled);
        }
        let failed = over(JobState::Failed) || over(JobState::Dead) || over(JobState::Cancelled);
        Ok(match (failed, shut_out) {
            (true, _) => Status::SomeFailed,
            (false, true) => Status::Refused,
            (false, false) => status,
        })
    })();
    // The queue's failures are the engine's: told as such, with their own exit codes.
    done.or_else(|error| match error.downcast::<Error>() {
        Ok(error) => {
            session.output.failure(&error)?;
            Ok(Status::Ok.and_failure(&error, true))
        }
        Err(other) => Err(other),
    })
}

/// What was typed, as far as it decides what is done.
fn typed(args: &BatchArgs) -> String {
    let inputs: Vec<_> = args.inputs.iter().map(|path| absolute(path)).collect();
    let params = Value::from(params(args));
    format!("{inputs:?} {params}")
}

fn params(args: &BatchArgs) -> Map<String, Value> {
    let path = |path: &Path| Value::from(absolute(path).to_string_lossy());
    let mut params = Map::new();
    params.insert("library".into(), path(&args.library));
    params.extend(args.output.as_deref().map(|output| ("output".into(), path(output))));
    params.extend(args.every.clone().map(|every| ("every".into(), every.into())));
    params.extend(args.width.map(|width| ("width".into(), width.into())));
    params.extend(args.model.clone().map(|model| ("model".into(), model.into())));
    for (name, list) in [("stages", &args.stages), ("format", &args.format)] {
        if !list.is_empty() {
            params.insert(name.into(), list.clone().into());
        }
    }
    params
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// All items: of lists, and one for each input.
fn items(session: &Session, args: &BatchArgs, status: &mut Status) -> anyhow::Result<Vec<Item>> {
    let priority = match args.priority {
        Urgency::Low => Priority::Low,
        Urgency::Normal => Priority::Normal,
        Urgency::High => Priority::High,
    };
    let defaults = Defaults { action: args.action.clone(), priority, params: params(args) };
    let mut items = Vec::new();
    let (lists, plain): (Vec<&PathBuf>, Vec<&PathBuf>) =
        args.inputs.iter().partition(|path| is_manifest(path));
    for list in lists {
        let read = read(list, &defaults)?;
        items.extend(read.into_iter().map(|item| match item.tenant.is_empty() {
            true => Item { tenant: args.tenant.clone(), ..item },
            false => item,
        }));
    }
    let plain: Vec<PathBuf> = plain.into_iter().cloned().collect();
    for input in inputs::resolve(&plain) {
        // What was typed is there, or it was mistyped; what a list names may come later.
        let input = input.and_then(|media| match media.try_exists() {
            Ok(true) => Ok(media),
            Ok(false) => {
                let error = Error::new(ErrorKind::Input, Stage::Open, "no such file or folder");
                Err(error.input(&media))
            }
            Err(error) => Err(Error::io(Stage::Open, &media, error)),
        });
        match input {
            Ok(media) => items.push(Item {
                media,
                action: with_defaults(&args.action, Map::new(), &defaults.params)?,
                priority,
                tenant: args.tenant.clone(),
                key: None,
                needs: Vec::new(),
            }),
            Err(error) => {
                session.output.failure(&error)?;
                *status = Status::SomeFailed;
            }
        }
    }
    // Outputs of films that share a name must not share a folder.
    let media: Vec<inputs::Input> = items.iter().map(|item| Ok(item.media.clone())).collect();
    let names = inputs::output_names(&media);
    for (item, name) in items.iter_mut().zip(names) {
        if item.media.file_stem() != Some(&*name) {
            match &mut item.action {
                Action::Frames(frames) => frames.output.push(name),
                Action::Transcribe(transcribe) => transcribe.output.push(name),
                Action::Render(render) => render.output.push(name),
                Action::Process(_) | Action::Embed(_) => {}
            }
        }
    }
    Ok(items)
}

fn digest(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// The jobs, in an order in which each comes after those that it needs; `needs` are places in the list.
struct Planning {
    job: NewJob,
    needs: Vec<usize>,
}

fn jobs(args: &BatchArgs, batch: &str, items: Vec<Item>) -> anyhow::Result<Vec<Planning>> {
    let mut by_key = BTreeMap::new();
    let mut jobs = Vec::with_capacity(items.len());
    for (at, item) in items.into_iter().enumerate() {
        let needs = item.needs.iter().map(|need| {
            by_key.get(need).copied().ok_or_else(|| {
                anyhow::anyhow!(
                    "`{need}` is needed by {}, but no item before has that key",
                    item.media.display()
                )
            })
        });
        let needs = needs.collect::<anyhow::Result<Vec<usize>>>()?;
        if let Some(key) = item.key.clone()
            && by_key.insert(key.clone(), at).is_some()
        {
            anyhow::bail!("two items have the key `{key}`");
        }
        let media = absolute(&item.media);
        let meta = std::fs::metadata(&media).ok();
        let changed = meta.as_ref().and_then(|meta| meta.modified().ok());
        let bytes = meta.map_or(0, |meta| meta.len());
        // A file that has changed since is another job.
        let key = digest(&[
            batch,
            item.action.name(),
            &item.action.params().to_string(),
            &blake3::hash(media.as_os_str().as_bytes()).to_hex(),
            &format!("{bytes} {changed:?}"),
        ]);
        let id = item.key.unwrap_or_else(|| key[..12].to_owned());
        let message = Message {
            id,
            media,
            action: item.action,
            priority: item.priority,
            tenant: item.tenant,
            timestamp: now(),
        };
        let job = NewJob {
            message,
            key,
            batch: batch.to_owned(),
            bytes,
            needs: Vec::new(),
            attempts: args.attempts,
        };
        jobs.push(Planning { job, needs });
    }
    Ok(jobs)
}

/// Refuses what would be more jobs than their tenants may have waiting; those that are there already
/// are not counted twice.
fn admit(
    queue: &dyn Queue,
    batch: &str,
    jobs: &[Planning],
    args: &BatchArgs,
) -> rushes::Result<()> {
    let file = queue_file(args);
    let rules = rules(&file, args.pool.rules.as_deref())?;
    if rules.quota.is_empty() {
        return Ok(());
    }
    let known = queue.list(&Which { batch: Some(batch.to_owned()), ..Which::default() })?;
    let known: BTreeSet<(String, PathBuf)> =
        known.into_iter().map(|row| (row.message.id, row.message.media)).collect();
    let mut more: BTreeMap<String, u64> = BTreeMap::new();
    for Planning { job, .. } in jobs {
        if !known.contains(&(job.message.id.clone(), job.message.media.clone())) {
            *more.entry(job.message.tenant.clone()).or_default() += 1;
        }
    }
    rules.admit(&queue.waiting()?, &more)
}

/// Where the jobs are kept.
fn queue_file(args: &BatchArgs) -> PathBuf {
    args.queue.clone().unwrap_or_else(|| {
        let folder = match args.action.as_str() {
            "transcribe" | "frames" | "render" => args.output.as_deref(),
            _ => None,
        };
        folder.unwrap_or(&args.library).join(QUEUE)
    })
}

/// Puts the jobs into the queue, in parts; gives their numbers.
fn submit(queue: &dyn Queue, jobs: Vec<Planning>) -> rushes::Result<Vec<i64>> {
    const PART: usize = 500;
    let mut ids: Vec<i64> = Vec::with_capacity(jobs.len());
    let mut part: Vec<NewJob> = Vec::new();
    for Planning { mut job, needs } in jobs {
        // What is needed must have its number.
        if part.len() >= PART || needs.iter().any(|need| *need >= ids.len()) {
            ids.extend(queue.submit(&std::mem::take(&mut part), now())?.iter().map(|made| made.id));
        }
        job.needs = needs.iter().filter_map(|need| ids.get(*need).copied()).collect();
        part.push(job);
    }
    ids.extend(queue.submit(&part, now())?.iter().map(|made| made.id));
    Ok(ids)
}

fn states(queue: &dyn Queue, ids: &[i64]) -> rushes::Result<Vec<JobRow>> {
    if ids.is_empty() {
        // To the queue, no numbers mean all.
        return Ok(Vec::new());
    }
    queue.list(&Which { ids: ids.to_vec(), ..Which::default() })
}

fn dry_run(session: &Session, file: &Path, jobs: &[Planning]) -> anyhow::Result<()> {
    // What is known from before; nothing is made for it.
    let known = match file.exists() {
        true => open(file)?.list(&Which::default())?,
        false => Vec::new(),
    };
    let mut rates: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for job in known.iter().filter(|job| job.state == JobState::Done) {
        let rate = rates.entry(job.message.action.name()).or_default();
        rate.0 += job.cost.cpu_ms;
        rate.1 += job.cost.bytes_in;
    }
    let (mut bytes, mut cpu_s, mut left) = (0, Some(0.0), 0);
    for Planning { job, .. } in jobs {
        let before = known.iter().find(|row| {
            row.batch == job.batch
                && row.message.media == job.message.media
                && row.message.action == job.message.action
        });
        let state = before.map_or("new", |row| row.state.as_str());
        let action = job.message.action.name();
        let estimate = rates
            .get(action)
            .filter(|(_, bytes)| *bytes > 0)
            .map(|(ms, seen)| *ms as f64 / 1e3 * job.bytes as f64 / *seen as f64);
        if before.is_none_or(|row| !row.state.is_over()) {
            left += 1;
            bytes += job.bytes;
            cpu_s = cpu_s.zip(estimate).map(|(sum, one)| sum + one);
        }
        let record = Planned {
            r#type: "planned",
            media: job.message.media.to_string_lossy().into_owned(),
            action,
            bytes: job.bytes,
            estimate_cpu_s: estimate,
            state,
        };
        let text = format!("{state:9}  {action}  {}  {}", show_bytes(job.bytes), record.media);
        session.output.data(&plain(&text), &record)?;
    }
    if !session.output.quiet {
        let estimate = cpu_s.filter(|_| left > 0);
        let estimate = estimate.map_or("time not known before some are done".to_owned(), |s| {
            format!("about {s:.0} CPU-s")
        });
        say(&format!("{left} of {} to do, {}, {estimate}", jobs.len(), show_bytes(bytes)));
    }
    Ok(())
}

fn summary(
    session: &Session,
    file: &Path,
    batch: &str,
    jobs: &[JobRow],
    was_done: usize,
    not_begun: Option<String>,
    wall_s: f64,
) -> anyhow::Result<()> {
    let mut states: BTreeMap<&'static str, usize> = BTreeMap::new();
    for job in jobs {
        *states.entry(job.state.as_str()).or_default() += 1;
    }
    let cpu_s = jobs.iter().map(|job| job.cost.cpu_ms as f64 / 1e3).sum();
    let done = states.get("done").copied().unwrap_or(0);
    let counted: Vec<String> = states.iter().map(|(state, n)| format!("{n} {state}")).collect();
    let mut text = format!(
        "{} jobs: {} ({was_done} before this run); {wall_s:.1} s, {cpu_s:.1} CPU-s in all",
        jobs.len(),
        counted.join(", "),
    );
    let bad: Vec<&JobRow> =
        jobs.iter().filter(|job| job.state.is_over() && job.state != JobState::Done).collect();
    for job in &bad {
        text.push_str(&format!(
            "\n  {} {}: {}",
            job.state.as_str(),
            plain(&job.message.media.to_string_lossy()),
            plain(job.error.as_deref().unwrap_or_default())
        ));
    }
    if let Some(why) = &not_begun {
        let left = states.get("ready").copied().unwrap_or(0);
        text.push_str(&format!("\n  {left} not begun: {}", plain(why)));
    }
    if !bad.is_empty() && !session.output.quiet {
        say(&format!(
            "try them again: rushes jobs retry --queue {}",
            plain(&file.to_string_lossy())
        ));
    }
    let record = Summary {
        r#type: "summary",
        batch: batch.to_owned(),
        queue: file.to_string_lossy().into_owned(),
        jobs: jobs.len(),
        done_now: done.saturating_sub(was_done),
        states,
        not_begun,
        cpu_s,
        wall_s,
    };
    session.output.data(&text, &record)
}
