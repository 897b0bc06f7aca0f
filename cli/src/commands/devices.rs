//! `rushes devices`: what this machine, or a described one, has to work with.

use super::Session;
use crate::output::{Status, say};
use clap::Args;
use rushes::device::{
    Gpu, Health, Inventory, Machine, MachineOptions, Mig, Simulated, Snapshot, Visible, show_bytes,
};
use rushes::text::plain;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Args, Debug)]
pub struct DevicesArgs {
    /// Look again every two seconds until stopped
    #[arg(long)]
    pub watch: bool,
    /// A machine described by a file instead of this one
    #[arg(long, value_name = "FILE")]
    pub devices: Option<PathBuf>,
}

/// This machine, or the one that `described` describes.
pub fn inventory(described: Option<&Path>) -> rushes::Result<Box<dyn Inventory>> {
    Ok(match described {
        Some(file) => Box::new(Simulated::read(file)?),
        None => {
            let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
            let visible = Visible::of(visible.as_deref());
            Box::new(Machine::open(MachineOptions { visible, nvml: None }))
        }
    })
}

#[derive(Serialize)]
struct Record<'a, T> {
    r#type: &'static str,
    #[serde(flatten)]
    what: &'a T,
}

pub fn run(session: &Session, args: &DevicesArgs) -> anyhow::Result<Status> {
    let began = Instant::now();
    let mut inventory = match inventory(args.devices.as_deref()) {
        Ok(inventory) => inventory,
        Err(error) => {
            session.output.failure(&error)?;
            return Ok(Status::Ok.and_failure(&error, true));
        }
    };
    loop {
        let seen = match inventory.look(began.elapsed()) {
            Ok(seen) => seen,
            Err(error) => {
                session.output.failure(&error)?;
                return Ok(Status::Ok.and_failure(&error, true));
            }
        };
        show(session, &seen)?;
        if !args.watch {
            return Ok(Status::Ok);
        }
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            if session.run.cancel.is_cancelled() {
                return Ok(Status::Cancelled);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn show(session: &Session, seen: &Snapshot) -> anyhow::Result<()> {
    let host = &seen.host;
    let limit = host.group_limit.map_or("", |_| " (limited by a control group)");
    let text = format!(
        "host  {} threads  {} of {} free{limit}  {}",
        host.threads,
        show_bytes(host.available),
        show_bytes(host.memory),
        host.processor.as_deref().unwrap_or_default(),
    );
    session.output.data(plain(text.trim_end()).as_ref(), &Record { r#type: "host", what: host })?;
    for gpu in &seen.gpus {
        session.output.data(&plain(&line(gpu)), &Record { r#type: "gpu", what: gpu })?;
    }
    for fact in &seen.facts {
        if session.output.json {
            session.output.data("", &Record { r#type: "fact", what: fact })?;
        } else if !session.output.quiet {
            say(&plain(&fact.text));
        }
    }
    Ok(())
}

fn line(gpu: &Gpu) -> String {
    let mut text = format!(
        "gpu {}  {}  {} of {} free",
        gpu.index,
        gpu.name,
        show_bytes(gpu.memory.free),
        show_bytes(gpu.memory.total)
    );
    let mut add = |part: String| {
        text.push_str("  ");
        text.push_str(&part);
    };
    if let Some((major, minor)) = gpu.compute {
        add(format!("compute {major}.{minor}"));
    }
    if let Some(busy) = gpu.busy_percent {
        add(format!("{busy} % busy"));
    }
    match gpu.coders.encode_sessions {
        Some(0) => add("no video encoder".into()),
        Some(n) => add(format!("{n} encoding sessions")),
        None => {}
    }
    match &gpu.mig {
        Mig::No => {}
        Mig::Divided => add("divided (MIG)".into()),
        Mig::PartOf(parent) => add(format!("part of {parent}")),
    }
    if let Health::Lost(why) = &gpu.health {
        add(format!("LOST: {why}"));
    }
    for holder in &gpu.memory.holders {
        let bytes = holder.bytes.map_or("?".into(), show_bytes);
        let name = holder.name.as_deref().unwrap_or("?");
        add(format!("{bytes} held by {} ({name})", holder.pid));
    }
    add(gpu.id.clone());
    text
}
