//! `rushes batch`: many inputs, each a job in a queue on disk, done until all are over.

use super::Session;
use super::worker::{PoolArgs, open, rules, work};
use crate::args::{side, step};
use crate::batch::manifest::{Defaults, Item, is_manifest, read, with_defaults};
use crate::batch::point;
use crate::batch::pool::Ended;
use crate::batch::report::Report;
use crate::batch::submit::{Common, Planning, absolute, admit, digest, is_bad, jobs, submit};
use crate::inputs;
use crate::output::{Status, say};
use clap::{Args, ValueEnum};
use rushes::device::show_bytes;
use rushes::error::Stage;
use rushes::jobs::{
    Action, By, Can, Cost, JobRow, JobState, On, Prices, Priority, QUEUE, Queue, Rules, Which,
};
use rushes::text::plain;
use rushes::{Error, ErrorKind, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub struct BatchArgs {
    /// Files, folders, globs, or lists of jobs (.jsonl, .csv, .toml)
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    #[command(flatten)]
    pub what: WhatArgs,
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

/// What is done with inputs, whose it is, and where the jobs are kept.
#[derive(Args, Debug)]
pub struct WhatArgs {
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
    /// Where jobs may run: on a GPU if that is better or sooner, on the processors, on a GPU or not at all
    #[arg(long, value_enum, default_value = "any")]
    pub on: OnChoice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnChoice {
    Any,
    Cpu,
    Gpu,
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
    /// Jobs that were not done in the best way, by the reason.
    fell_back: BTreeMap<String, usize>,
    cpu_s: f64,
    gpu_s: f64,
    energy_j: f64,
    money: f64,
    currency: String,
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
    /// Bytes that will be written, by the same.
    estimate_bytes_out: Option<u64>,
    /// What that costs, by the prices beside the queue.
    estimate_money: Option<f64>,
    state: &'static str,
}

pub fn run(session: &Session, args: &BatchArgs) -> anyhow::Result<Status> {
    let what = &args.what;
    what.check()?;
    let mut status = Status::Ok;
    let items = items(session, &args.inputs, what, &mut status)?;
    if items.is_empty() {
        // Nothing is made for nothing.
        return Ok(status);
    }
    let batch = what.batch(&args.inputs);
    let file = what.queue_file();
    let jobs = jobs(&what.common(session, &batch), items)?;
    // The queue's failures are the engine's: told as such, with their own exit codes.
    told(session, || {
        let rules = rules(&file, args.pool.rules.as_deref())?;
        if args.dry_run {
            dry_run(session, &file, &jobs, &rules)?;
            return Ok(status);
        }
        let queue = open(&file)?;
        admit(&queue, &batch, &jobs, &rules)?;
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
        let cancelled = session.run.cancel.is_cancelled();
        if !cancelled && not_begun.is_none() && after.iter().any(|job| !job.state.is_over()) {
            not_begun = Some("they need a GPU or more memory than this machine has".to_owned());
        }
        let wall_s = began.elapsed().as_secs_f64();
        if let Some(page) = &args.report {
            let report = Report {
                batch: &batch,
                jobs: &after,
                by_tenant: &queue.efforts(By::Tenant, Some(&batch), 0)?,
                by_stage: &queue.efforts(By::Stage, Some(&batch), 0)?,
                prices: &rules.prices,
                not_begun: not_begun.as_deref(),
                wall_s,
            };
            std::fs::write(page, report.page()).map_err(|e| Error::io(Stage::Write, page, e))?;
        }
        let was_done = before.iter().filter(|job| job.state == JobState::Done).count();
        let shut_out = not_begun.is_some();
        let end = End { file: &file, batch: &batch, prices: &rules.prices, was_done, wall_s };
        summary(session, &end, &after, not_begun)?;
        if cancelled {
            return Ok(Status::Cancelled);
        }
        Ok(match (after.iter().any(|job| is_bad(job.state)), shut_out) {
            (true, _) => Status::SomeFailed,
            (false, true) => Status::Refused,
            (false, false) => status,
        })
    })
}

/// Does `work`; failures of the engine are told as such and become exit codes.
pub fn told(
    session: &Session,
    work: impl FnOnce() -> anyhow::Result<Status>,
) -> anyhow::Result<Status> {
    work().or_else(|error| match error.downcast::<Error>() {
        Ok(error) => {
            session.output.failure(&error)?;
            Ok(Status::Ok.and_failure(&error, true))
        }
        Err(other) => Err(other),
    })
}

impl WhatArgs {
    /// Refuses what every single job would fail of.
    pub fn check(&self) -> anyhow::Result<()> {
        if let Some(every) = &self.every {
            let _: Timestamp = step(every).map_err(anyhow::Error::msg)?;
        }
        Ok(())
    }

    /// The batch's name: as given, or by what was typed.
    pub fn batch(&self, inputs: &[PathBuf]) -> String {
        self.name.clone().unwrap_or_else(|| {
            let inputs: Vec<_> = inputs.iter().map(|path| absolute(path)).collect();
            let typed = format!("{inputs:?} {}", Value::from(params(self)));
            format!("batch-{}", &digest(&[&json!(self.action).to_string(), &typed])[..8])
        })
    }

    /// What its jobs have in common.
    pub fn common<'a>(&self, session: &'a Session, batch: &'a str) -> Common<'a> {
        let (attempts, force) = (self.attempts, session.run.force);
        Common { batch, attempts, force, allow: &session.allow }
    }

    /// Where the jobs are kept.
    pub fn queue_file(&self) -> PathBuf {
        self.queue.clone().unwrap_or_else(|| {
            let folder = match self.action.as_str() {
                "transcribe" | "frames" | "render" => self.output.as_deref(),
                _ => None,
            };
            folder.unwrap_or(&self.library).join(QUEUE)
        })
    }

    fn priority(&self) -> Priority {
        match self.priority {
            Urgency::Low => Priority::Low,
            Urgency::Normal => Priority::Normal,
            Urgency::High => Priority::High,
        }
    }

    fn on(&self) -> On {
        match self.on {
            OnChoice::Any => On::Any,
            OnChoice::Cpu => On::Cpu,
            OnChoice::Gpu => On::Gpu,
        }
    }

    /// The item of an input that was typed or found.
    pub fn item(&self, media: PathBuf) -> anyhow::Result<Item> {
        Ok(Item {
            media,
            action: with_defaults(&self.action, Map::new(), &params(self))?,
            priority: self.priority(),
            tenant: self.tenant.clone(),
            key: None,
            needs: Vec::new(),
            on: self.on(),
        })
    }
}

fn params(args: &WhatArgs) -> Map<String, Value> {
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

/// All items: of lists, and one for each input.
fn items(
    session: &Session,
    inputs: &[PathBuf],
    args: &WhatArgs,
    status: &mut Status,
) -> anyhow::Result<Vec<Item>> {
    let defaults = Defaults {
        action: args.action.clone(),
        priority: args.priority(),
        on: args.on(),
        params: params(args),
    };
    let mut items = Vec::new();
    let (lists, plain): (Vec<&PathBuf>, Vec<&PathBuf>) =
        inputs.iter().partition(|path| is_manifest(path));
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
            Ok(media) => items.push(args.item(media)?),
            Err(error) => {
                session.output.failure(&error)?;
                *status = Status::SomeFailed;
            }
        }
    }
    apart(&mut items);
    Ok(items)
}

/// Outputs of films that share a name must not share a folder.
fn apart(items: &mut [Item]) {
    let media: Vec<inputs::Input> = items.iter().map(|item| Ok(item.media.clone())).collect();
    let names = inputs::output_names(&media);
    for (item, name) in items.iter_mut().zip(names) {
        name_output(item, name);
    }
}

/// Has an item whose outputs are to be called `name` write into a folder of that name, where they would be
/// called otherwise.
pub fn name_output(item: &mut Item, name: OsString) {
    if item.media.file_stem() == Some(&*name) {
        return;
    }
    match &mut item.action {
        Action::Frames(frames) => frames.output.push(name),
        Action::Transcribe(transcribe) => transcribe.output.push(name),
        Action::Render(render) => render.output.push(name),
        // A library tells films apart by their content; steps say themselves where they write.
        Action::Process(_) | Action::Embed(_) | Action::Pipeline(_) => {}
    }
}

fn states(queue: &dyn Queue, ids: &[i64]) -> rushes::Result<Vec<JobRow>> {
    if ids.is_empty() {
        // To the queue, no numbers mean all.
        return Ok(Vec::new());
    }
    queue.list(&Which { ids: ids.to_vec(), ..Which::default() })
}

/// What a job of an action costs for each byte that it reads, by those that were done.
fn rates(known: &[JobRow]) -> BTreeMap<&'static str, Cost> {
    let mut rates: BTreeMap<&'static str, Cost> = BTreeMap::new();
    for job in known.iter().filter(|job| job.state == JobState::Done && job.cost.bytes_in > 0) {
        let rate = rates.entry(job.message.action.name()).or_default();
        *rate = rate.plus(&job.cost);
    }
    rates
}

fn dry_run(session: &Session, file: &Path, jobs: &[Planning], rules: &Rules) -> anyhow::Result<()> {
    // What is known from before; nothing is made for it.
    let known = match file.exists() {
        true => open(file)?.list(&Which::default())?,
        false => Vec::new(),
    };
    let rates = rates(&known);
    let (mut bytes, mut all, mut left) = (0, Some(Cost::default()), 0);
    for Planning { job, .. } in jobs {
        let before = known.iter().find(|row| {
            row.batch == job.batch
                && row.message.media == job.message.media
                && row.message.action == job.message.action
        });
        let state = before.map_or("new", |row| row.state.as_str());
        let action = job.message.action.name();
        let estimate = rates.get(action).map(|rate| {
            let part = job.bytes as f64 / rate.bytes_in as f64;
            let scaled = |amount: u64| (amount as f64 * part) as u64;
            Cost {
                cpu_ms: scaled(rate.cpu_ms),
                gpu_ms: scaled(rate.gpu_ms),
                bytes_out: scaled(rate.bytes_out),
                bytes_in: job.bytes,
                ..Cost::default()
            }
        });
        if before.is_none_or(|row| !row.state.is_over()) {
            left += 1;
            bytes += job.bytes;
            all = all.zip(estimate).map(|(sum, one)| sum.plus(&one));
        }
        let record = Planned {
            r#type: "planned",
            media: job.message.media.to_string_lossy().into_owned(),
            action,
            bytes: job.bytes,
            estimate_cpu_s: estimate.map(|cost| cost.cpu_ms as f64 / 1e3),
            estimate_bytes_out: estimate.map(|cost| cost.bytes_out),
            estimate_money: estimate.map(|cost| rules.prices.of(&cost)),
            state,
        };
        let text = format!("{state:9}  {action}  {}  {}", show_bytes(job.bytes), record.media);
        session.output.data(&plain(&text), &record)?;
    }
    if !session.output.quiet {
        let estimate = all.filter(|_| left > 0).map_or(
            "time not known before some are done".to_owned(),
            |cost| {
                let money = match rules.prices == Prices::default() {
                    true => String::new(),
                    false => format!(", {}", rules.prices.show(rules.prices.of(&cost))),
                };
                let (cpu_s, out) = (cost.cpu_ms as f64 / 1e3, show_bytes(cost.bytes_out));
                format!("about {cpu_s:.0} CPU-s, {out} of disk{money}")
            },
        );
        say(&format!("{left} of {} to do, {}, {estimate}", jobs.len(), show_bytes(bytes)));
    }
    Ok(())
}

/// What is told of a batch that is over, beside its jobs.
struct End<'a> {
    file: &'a Path,
    batch: &'a str,
    prices: &'a Prices,
    /// Done before this run.
    was_done: usize,
    wall_s: f64,
}

fn summary(
    session: &Session,
    end: &End<'_>,
    jobs: &[JobRow],
    not_begun: Option<String>,
) -> anyhow::Result<()> {
    let mut states: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut fell_back: BTreeMap<String, usize> = BTreeMap::new();
    let mut cost = Cost::default();
    for job in jobs {
        *states.entry(job.state.as_str()).or_default() += 1;
        cost = cost.plus(&job.cost);
        if let Some(because) = job.way.as_ref().and_then(|way| way.because.clone()) {
            *fell_back.entry(because).or_default() += 1;
        }
    }
    let (cpu_s, gpu_s) = (cost.cpu_ms as f64 / 1e3, cost.gpu_ms as f64 / 1e3);
    let money = end.prices.of(&cost);
    let done = states.get("done").copied().unwrap_or(0);
    let counted: Vec<String> = states.iter().map(|(state, n)| format!("{n} {state}")).collect();
    let (was_done, wall_s) = (end.was_done, end.wall_s);
    let mut text = format!(
        "{} jobs: {} ({was_done} before this run); {wall_s:.1} s, {cpu_s:.1} CPU-s in all",
        jobs.len(),
        counted.join(", "),
    );
    if cost.gpu_ms > 0 {
        text.push_str(&format!(", {gpu_s:.1} GPU-s"));
    }
    if *end.prices != Prices::default() {
        text.push_str(&format!(", {}", end.prices.show(money)));
    }
    let bad: Vec<&JobRow> = jobs.iter().filter(|job| is_bad(job.state)).collect();
    for job in &bad {
        text.push_str(&format!(
            "\n  {} {}: {}",
            job.state.as_str(),
            plain(&job.message.media.to_string_lossy()),
            plain(job.error.as_deref().unwrap_or_default())
        ));
    }
    for (because, n) in &fell_back {
        text.push_str(&format!("\n  {n} {}", plain(because)));
    }
    if let Some(why) = &not_begun {
        let left = states.get("ready").copied().unwrap_or(0);
        text.push_str(&format!("\n  {left} not begun: {}", plain(why)));
    }
    if !bad.is_empty() && !session.output.quiet {
        let queue = end.file.to_string_lossy();
        say(&format!("try them again: rushes jobs retry --queue {}", plain(&queue)));
    }
    let record = Summary {
        r#type: "summary",
        batch: end.batch.to_owned(),
        queue: end.file.to_string_lossy().into_owned(),
        jobs: jobs.len(),
        done_now: done.saturating_sub(was_done),
        states,
        not_begun,
        fell_back,
        cpu_s,
        gpu_s,
        energy_j: cost.energy_mj as f64 / 1e3,
        money,
        currency: end.prices.currency.clone(),
        wall_s,
    };
    session.output.data(&text, &record)
}
