//! `rushes devices`: what this machine, or a described one, has to work with.

use super::Session;
use crate::output::{Status, say};
use clap::Args;
use rushes::device::{
    Gpu, Health, Inventory, Machine, MachineOptions, Mig, Simulated, Snapshot, Visible, show_bytes,
};
use rushes::text::plain;
use serde::Serialize;
use std::io::IsTerminal;
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
        show(session, &seen, args.watch)?;
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

fn show(session: &Session, seen: &Snapshot, again: bool) -> anyhow::Result<()> {
    let output = session.output;
    if output.json {
        output.data("", &Record { r#type: "host", what: &seen.host })?;
        seen.gpus
            .iter()
            .try_for_each(|gpu| output.data("", &Record { r#type: "gpu", what: gpu }))?;
        return seen
            .facts
            .iter()
            .try_for_each(|fact| output.data("", &Record { r#type: "fact", what: fact }));
    }
    let mut page = String::new();
    for line in table(seen) {
        page.push_str(&plain(&line));
        page.push('\n');
    }
    if again && std::io::stdout().is_terminal() {
        // Back to the top, and what was there is cleared.
        page.insert_str(0, "\x1b[H\x1b[2J");
    }
    output.bytes(page.as_bytes())?;
    if !output.quiet {
        seen.facts.iter().for_each(|fact| say(&plain(&fact.text)));
    }
    Ok(())
}

/// A line for each device, in columns.
fn table(seen: &Snapshot) -> Vec<String> {
    let host = &seen.host;
    let limit = host.group_limit.map_or("", |_| "limited by a control group");
    let mut rows = vec![
        ["", "name", "free", "of", "compute", "busy", "remarks"].map(str::to_owned),
        [
            "host".to_owned(),
            host.processor.clone().unwrap_or_default(),
            show_bytes(host.available),
            show_bytes(host.memory),
            format!("{} threads", host.threads),
            String::new(),
            limit.to_owned(),
        ],
    ];
    rows.extend(seen.gpus.iter().map(row));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..7).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            let width = *width;
            // Numbers stand to the right.
            if matches!(column, 2 | 3 | 5) {
                format!("{cell:>width$}")
            } else {
                format!("{cell:width$}")
            }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn row(gpu: &Gpu) -> [String; 7] {
    let mut remarks = Vec::new();
    if let Health::Lost(why) = &gpu.health {
        remarks.push(format!("LOST: {why}"));
    }
    match gpu.coders.encode_sessions {
        Some(0) => remarks.push("no video encoder".into()),
        Some(n) => remarks.push(format!("{n} encoding sessions")),
        None => {}
    }
    match &gpu.mig {
        Mig::No => {}
        Mig::Divided => remarks.push("divided (MIG)".into()),
        Mig::PartOf(parent) => remarks.push(format!("part of {parent}")),
    }
    for holder in &gpu.memory.holders {
        let bytes = holder.bytes.map_or("?".into(), show_bytes);
        let name = holder.name.as_deref().unwrap_or("?");
        remarks.push(format!("{bytes} held by {} ({name})", holder.pid));
    }
    remarks.push(gpu.id.clone());
    [
        format!("gpu {}", gpu.index),
        gpu.name.clone(),
        show_bytes(gpu.memory.free),
        show_bytes(gpu.memory.total),
        gpu.compute.map_or(String::new(), |(major, minor)| format!("{major}.{minor}")),
        gpu.busy_percent.map_or(String::new(), |busy| format!("{busy} %")),
        remarks.join("; "),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let text = "[[gpu]]\nname = 'A10'\nmemory = '24G'\ncompute = '8.6'\n[[gpu]]\n\
                    name = 'H100 with a long name'\nmemory = '80G'\nencode_sessions = 0\n";
        let seen = Simulated::parse(text).unwrap().look(Duration::ZERO).unwrap();
        let lines = table(&seen);
        assert_eq!(lines.len(), 4);
        let of = lines[0].find("  of").unwrap() + 4;
        for line in &lines[1..] {
            assert!(line[..of].ends_with("GiB"), "{line}");
        }
        assert!(lines[3].contains("no video encoder; SIM-1"), "{}", lines[3]);
    }
}
