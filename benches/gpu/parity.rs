//! The compositor's kernels on a GPU: held to the CPU's compositor on random input, and measured.
//!
//!     rushes-gpu [--device N] [--seed N] [--quick] [--only checks|speed]
//!
//! Prints a JSON object a line. Of type `parity`, one for each group of checks: `checks` (each with the
//! largest and the mean difference in code values and the PSNR), and the `error` that broke it off. Of
//! type `speed`: `copy_gb_s` (the measured bandwidth of copies on the device, read and written) and
//! `measured` (seconds a frame, bytes that have to move, and the share of the copy's bandwidth). Links
//! nothing of CUDA: without a driver it says so, and `gpu` is null. Ends with 1 if a check fails.
#![allow(clippy::print_stdout)]

mod checks;
mod pictures;
mod speed;

use anyhow::{Context, Result, bail};
use rushes::render::compose::cuda::driver::Gpu;
use serde_json::json;
use std::process::ExitCode;

fn main() -> Result<ExitCode> {
    let (mut device, mut seed, mut quick) = (0, 1, false);
    let (mut checked, mut timed) = (true, true);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--device" => device = value()?.parse()?,
            "--seed" => seed = value()?.parse()?,
            "--quick" => quick = true,
            "--only" => {
                let only = value()?;
                (checked, timed) = (only == "checks", only == "speed");
            }
            _ => bail!("rushes-gpu [--device N] [--seed N] [--quick] [--only checks|speed]"),
        }
    }
    let gpu = match Gpu::open(device) {
        Ok(gpu) => gpu,
        Err(error) => {
            let why = error.to_string();
            println!("{}", json!({ "type": "parity", "gpu": null, "why": why }));
            return Ok(ExitCode::SUCCESS);
        }
    };
    let (major, minor) = gpu.capability();
    let capability = format!("{major}.{minor}");
    let mut whole = true;
    let groups: &[(&str, checks::Group)] = if checked { &checks::GROUPS } else { &[] };
    for (name, group) in groups {
        let mut made = Vec::new();
        let error = group(&gpu, seed, &mut made).err().map(|error| format!("{error:#}"));
        let failed = made.iter().filter(|check| !check.is_close()).count();
        whole &= failed == 0 && error.is_none();
        let report = json!({
            "type": "parity",
            "gpu": gpu.name(),
            "capability": capability,
            "group": name,
            "seed": seed,
            "failed": failed,
            "error": error,
            "checks": made.iter().map(checks::Check::json).collect::<Vec<_>>(),
        });
        println!("{report}");
    }
    if timed {
        let copy = speed::copy(&gpu)?;
        let mut measured = Vec::new();
        let error = speed::all(&gpu, quick, copy, &mut measured).err();
        whole &= error.is_none();
        let report = json!({
            "type": "speed",
            "gpu": gpu.name(),
            "capability": capability,
            "copy_gb_s": copy / 1e9,
            "error": error.map(|error| format!("{error:#}")),
            "measured": measured,
        });
        println!("{report}");
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
