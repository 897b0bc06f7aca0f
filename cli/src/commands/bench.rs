//! `rushes bench`.

use super::Session;
use super::devices::inventory;
use crate::batch::who;
use crate::bench::compare::{Row, compare};
use crate::bench::page;
use crate::bench::report::{Effort, MachineSeen, Report, Suite, SuiteReport, VERSION};
use crate::bench::suites::{self, Bench};
use crate::bench::turns::Turns;
use crate::output::{Status, complain, say};
use anyhow::Context;
use clap::{Args, Subcommand};
use rushes::device::{Compute, ComputeChoice};
use rushes::text::plain;
use serde::Serialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    #[command(subcommand)]
    pub verb: Option<BenchVerb>,
    /// Small inputs and three turns: a look, not a measurement
    #[arg(long)]
    pub quick: bool,
    /// What is measured [default: everything]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SUITES")]
    pub suite: Vec<Suite>,
    /// On the CPU and on the GPU, one after the other, whatever --device says
    #[arg(long)]
    pub all_devices: bool,
    /// Write the results to this file, for `rushes bench compare`
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write them as a page with plots
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Money for an hour of one processor, for the price of an hour of media
    #[arg(long, value_name = "PRICE")]
    pub cpu_hour: Option<f64>,
    /// Money for an hour of one GPU
    #[arg(long, value_name = "PRICE")]
    pub gpu_hour: Option<f64>,
    /// Folder of models [default: as `rushes models`]
    #[arg(long, value_name = "DIR")]
    pub models_dir: Option<PathBuf>,
    /// One suite, here, its result on standard output: what `bench` starts for each
    #[arg(long, hide = true, requires = "suite")]
    pub alone: bool,
}

#[derive(Subcommand, Debug)]
pub enum BenchVerb {
    /// Set two results side by side
    #[command(
        after_help = "Examples:\n  rushes bench compare laptop.json server.json\n  rushes bench compare before.json after.json --html change.html\n\nThe chance is that of an exact permutation test over the turns: how often turns dealt at random\ndiffer as much. Three turns against three can never rule it out."
    )]
    Compare {
        /// What is compared with
        first: PathBuf,
        /// What is compared
        second: PathBuf,
        /// Write a page with plots
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
}

pub fn run(session: &Session, args: &BenchArgs) -> anyhow::Result<Status> {
    match &args.verb {
        Some(BenchVerb::Compare { first, second, html }) => {
            return side_by_side(session, first, second, html.as_deref());
        }
        None if args.alone => return alone(session, args),
        None => {}
    }
    let mut report = Report {
        r#type: "bench".to_owned(),
        version: VERSION,
        rushes: env!("CARGO_PKG_VERSION").to_owned(),
        optimised: !cfg!(debug_assertions),
        quick: args.quick,
        machine: machine()?,
        suites: Vec::new(),
    };
    if !session.output.quiet {
        if let Some(busy) = report.machine.busy.filter(|busy| *busy > 0.15) {
            say(&format!("others use {:.0} % of this machine: figures will be low", busy * 100.0));
        }
        if !report.optimised {
            say("this build is not optimised: build with --release for figures to quote");
        }
    }
    let wanted: Vec<Suite> =
        if args.suite.is_empty() { Suite::ALL.to_vec() } else { args.suite.clone() };
    let mut status = Status::Ok;
    for device in devices(session, args)? {
        for suite in &wanted {
            if session.run.cancel.is_cancelled() {
                return Ok(Status::Cancelled);
            }
            if device.is_gpu() && !suite.uses_gpu() && args.all_devices {
                continue;
            }
            if !session.output.quiet {
                say(&format!("{} on {device}", suite.as_str()));
            }
            let done = child(session, args, *suite, device)?;
            if done.checks.iter().any(|check| !check.holds) {
                status = Status::SomeFailed;
            }
            show(session, &done)?;
            report.suites.push(done);
        }
    }
    if let Some(path) = &args.output {
        write(path, &(serde_json::to_string_pretty(&report)? + "\n"))?;
    }
    if let Some(path) = &args.html {
        write(path, &page::of_report(&report))?;
    }
    if session.output.json {
        session.output.data("", &report)?;
    }
    Ok(status)
}

/// Where suites run.
fn devices(session: &Session, args: &BenchArgs) -> anyhow::Result<Vec<Compute>> {
    if !args.all_devices {
        return Ok(vec![session.compute()?]);
    }
    let mut all = vec![Compute::Cpu];
    all.extend(Some(ComputeChoice::Auto.resolve()?.compute).filter(|found| found.is_gpu()));
    Ok(all)
}

/// Runs one suite in a process of its own, so that its memory and processor time are its own.
fn child(
    session: &Session,
    args: &BenchArgs,
    suite: Suite,
    device: Compute,
) -> anyhow::Result<SuiteReport> {
    let mut words: Vec<OsString> =
        ["bench", "--alone", "--suite", suite.as_str(), "--device"].map(OsString::from).to_vec();
    words.push(device.to_string().into());
    if args.quick {
        words.push("--quick".into());
    }
    if let Some(threads) = session.run.threads {
        words.extend(["--threads".into(), threads.to_string().into()]);
    }
    if let Some(dir) = &args.models_dir {
        words.extend(["--models-dir".into(), dir.clone().into()]);
    }
    let program = std::env::current_exe().context("this program's own path is not known")?;
    let before = joules(device);
    let began = Instant::now();
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("a process for the suite cannot be begun")?;
    let pid = child.id();
    let out = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut out) = out {
            let _ = std::io::Read::read_to_string(&mut out, &mut text);
        }
        text
    });
    let mut effort = Effort::default();
    let ended = loop {
        if let Some(used) = who::usage(pid) {
            effort.cpu = effort.cpu.max(used.cpu_ms as f64 / 1e3);
            effort.peak_bytes = effort.peak_bytes.max(used.peak_bytes);
        }
        match child.try_wait()? {
            Some(status) => break status,
            // Ctrl-C reaches the child as well, which leaves nothing behind.
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    effort.wall = began.elapsed().as_secs_f64();
    effort.joules = before.zip(joules(device)).map(|(before, after)| after - before);
    let text = reader.join().unwrap_or_default();
    let line = text.lines().rev().find(|line| line.starts_with('{')).unwrap_or_default();
    let Ok(Alone { mut done, media }) = serde_json::from_str(line) else {
        return Ok(SuiteReport {
            suite,
            device: device.to_string(),
            skipped: Some(format!("its process ended with {ended}")),
            checks: Vec::new(),
            measures: Vec::new(),
            effort,
        });
    };
    effort.price_of_hour = price(args, &done, media, &effort, device);
    done.effort = effort;
    Ok(done)
}

/// What one suite tells the process that started it.
#[derive(Serialize, serde::Deserialize)]
struct Alone {
    done: SuiteReport,
    media: Option<f64>,
}

fn alone(session: &Session, args: &BenchArgs) -> anyhow::Result<Status> {
    let suite = args.suite[0];
    let folder = tempfile::Builder::new().prefix("rushes-bench-").tempdir()?;
    let bench = Bench {
        session,
        models: args.models_dir.as_deref(),
        folder: folder.path().to_path_buf(),
        quick: args.quick,
        turns: Turns::of(args.quick),
    };
    let device = session.compute()?.to_string();
    let found = suites::run(suite, &bench)?;
    let done = SuiteReport {
        suite,
        device,
        skipped: found.skipped,
        checks: found.checks,
        measures: found.measures,
        effort: Effort::default(),
    };
    let line = serde_json::to_string(&Alone { done, media: found.media })?;
    session.output.data(&line, &serde_json::from_str::<serde_json::Value>(&line)?)?;
    Ok(Status::Ok)
}

/// What an hour of media costs: processor time and device time of one turn of the main measure, by the
/// prices given.
fn price(
    args: &BenchArgs,
    done: &SuiteReport,
    media: Option<f64>,
    effort: &Effort,
    device: Compute,
) -> Option<f64> {
    let media = media?;
    if args.cpu_hour.is_none() && args.gpu_hour.is_none() {
        return None;
    }
    let speed = done.measures.iter().find(|measure| measure.unit == "x")?.median();
    // Processors in use while it ran, over the whole suite.
    let busy = effort.cpu / effort.wall.max(1e-9);
    let hours = 1.0 / speed;
    let gpu = if device.is_gpu() { args.gpu_hour.unwrap_or(0.0) } else { 0.0 };
    (media > 0.0).then_some(hours * (busy * args.cpu_hour.unwrap_or(0.0) + gpu))
}

/// What the GPU has used since the driver was loaded.
fn joules(device: Compute) -> Option<f64> {
    let Compute::Cuda(number) = device else { return None };
    let seen = inventory(None).ok()?.look(Duration::ZERO).ok()?;
    seen.gpus.get(number as usize)?.energy
}

fn machine() -> anyhow::Result<MachineSeen> {
    let seen = inventory(None)?.look(Duration::ZERO)?;
    Ok(MachineSeen {
        processor: seen.host.processor.clone(),
        threads: seen.host.threads as usize,
        memory: seen.host.memory,
        gpus: seen.gpus.iter().map(|gpu| gpu.name.clone()).collect(),
        facts: seen.facts.iter().map(|fact| fact.text.clone()).collect(),
        busy: busy(),
    })
}

/// The share of all processors in use over a fifth of a second, before anything of ours runs.
fn busy() -> Option<f64> {
    let read = || -> Option<(u64, u64)> {
        let text = std::fs::read_to_string("/proc/stat").ok()?;
        let fields = text.lines().next()?.split_ascii_whitespace().skip(1);
        let times: Vec<u64> = fields.filter_map(|field| field.parse().ok()).collect();
        // Idle, and waiting for a disk.
        Some((times.iter().sum(), times.get(3)? + times.get(4)?))
    };
    let (all, idle) = read()?;
    std::thread::sleep(Duration::from_millis(200));
    let (all_now, idle_now) = read()?;
    let all = all_now.checked_sub(all).filter(|ticks| *ticks > 0)?;
    Some(1.0 - idle_now.saturating_sub(idle) as f64 / all as f64)
}

fn show(session: &Session, done: &SuiteReport) -> anyhow::Result<()> {
    if session.output.json {
        return Ok(());
    }
    let mut text = String::new();
    if let Some(why) = &done.skipped {
        text.push_str(&format!("  not measured: {}\n", plain(why)));
    }
    for measure in &done.measures {
        let bound = measure.ceiling.map_or_else(String::new, |bound| {
            format!(
                "  {:.0} % of {} {}",
                measure.median() / bound * 100.0,
                page::number(bound),
                measure.unit
            )
        });
        text.push_str(&format!(
            "  {:<52} {:>8} {:<9} ± {:.1} %{bound}\n",
            plain(&measure.name),
            page::number(measure.median()),
            measure.unit,
            measure.spread() * 100.0,
        ));
    }
    for check in done.checks.iter().filter(|check| !check.holds) {
        complain(&format!("{}: {} does not hold: {}", done.suite.as_str(), check.name, check.seen));
    }
    session.output.data(text.trim_end_matches('\n'), &serde_json::Value::Null)
}

fn read(path: &Path) -> anyhow::Result<Report> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let report: Report = serde_json::from_str(&text)
        .with_context(|| format!("{} holds no results of `rushes bench`", path.display()))?;
    anyhow::ensure!(
        report.r#type == "bench" && report.version <= VERSION,
        "{} is of a newer form ({}) than this build reads ({VERSION})",
        path.display(),
        report.version
    );
    Ok(report)
}

fn side_by_side(
    session: &Session,
    first: &Path,
    second: &Path,
    html: Option<&Path>,
) -> anyhow::Result<Status> {
    let reports = read(first).and_then(|first| Ok((first, read(second)?)));
    let (one, other) = match reports {
        Ok(reports) => reports,
        Err(error) => {
            complain(&plain(&format!("{error:#}")));
            return Ok(Status::Usage);
        }
    };
    if one.quick != other.quick && !session.output.quiet {
        say("one of them is a quick look: its inputs were smaller");
    }
    let rows = compare(&one, &other);
    for row in &rows {
        session.output.data(&line(row), row)?;
    }
    if let Some(path) = html {
        write(path, &page::of_rows(&one, &other, &rows))?;
    }
    Ok(Status::Ok)
}

fn line(row: &Row) -> String {
    let sure = if row.is_sure() { "" } else { "  (may be chance)" };
    let text = format!(
        "{:<10} {:<52} {:>8} {:>8} {:<9} {:>6.2} times{sure}",
        row.suite.as_str(),
        row.name,
        page::number(row.medians[0]),
        page::number(row.medians[1]),
        row.unit,
        row.better,
    );
    plain(&text).into_owned()
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| path.display().to_string())
}
