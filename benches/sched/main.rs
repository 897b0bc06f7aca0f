//! The scheduler, simulated: the same code that runs in production, beside simpler policies.
//!
//!     rushes-sim [--instances N] [--jobs N] [--gpus N] [--out STEM]
//!
//! Prints the tables; with `--out` writes `STEM.md` and `STEM.json` too. Time is simulated, chance
//! comes from fixed seeds: but for the cost of decisions, every run gives the same numbers.
#![allow(clippy::print_stdout)]

mod bounds;
mod chance;
mod simulate;
mod tables;

use anyhow::{Context, Result, bail};
use std::fmt::Write as _;

fn main() -> Result<()> {
    let (mut instances, mut jobs, mut gpus, mut out) = (1000, 1_000_000, 1000, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--instances" => instances = value()?.parse()?,
            "--jobs" => jobs = value()?.parse()?,
            "--gpus" => gpus = value()?.parse()?,
            "--out" => out = Some(value()?),
            _ => bail!("rushes-sim [--instances N] [--jobs N] [--gpus N] [--out STEM]"),
        }
    }
    let makespan = tables::makespan(instances);
    let exact = tables::exact(instances);
    let sharing = tables::sharing();
    let scale = tables::scale(gpus, jobs);
    let mut text = String::new();
    for table in [&makespan, &exact, &sharing, &scale] {
        writeln!(text, "## {}\n\n{}\n", table.title, table.about)?;
        writeln!(text, "| {} |", table.columns.join(" | "))?;
        writeln!(text, "|{}", "---|".repeat(table.columns.len()))?;
        for row in &table.rows {
            writeln!(text, "| {} |", row.join(" | "))?;
        }
        writeln!(text)?;
    }
    print!("{text}");
    if let Some(stem) = out {
        let json: Vec<_> = [&makespan, &exact, &sharing, &scale].map(|t| t.json()).into();
        std::fs::write(format!("{stem}.md"), text)?;
        std::fs::write(format!("{stem}.json"), serde_json::to_string_pretty(&json)? + "\n")?;
    }
    Ok(())
}
