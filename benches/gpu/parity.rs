//! The compositor's kernels on a GPU: held to the CPU's compositor on random input, and measured.
//!
//!     rushes-gpu [--device N] [--seed N] [--quick]
//!
//! Prints one JSON object: `checks` (each with the largest and the mean difference in code values and
//! the PSNR), `copy_gb_s` (the measured bandwidth of copies on the device, read and written), and
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
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--device" => device = value()?.parse()?,
            "--seed" => seed = value()?.parse()?,
            "--quick" => quick = true,
            _ => bail!("rushes-gpu [--device N] [--seed N] [--quick]"),
        }
    }
    let gpu = match Gpu::open(device) {
        Ok(gpu) => gpu,
        Err(error) => {
            println!("{:#}", json!({ "gpu": null, "why": error.to_string() }));
            return Ok(ExitCode::SUCCESS);
        }
    };
    let checks = checks::all(&gpu, seed)?;
    let failed = checks.iter().filter(|check| !check.is_close()).count();
    let (copy, measured) = speed::all(&gpu, quick)?;
    let (major, minor) = gpu.capability();
    let report = json!({
        "gpu": gpu.name(),
        "capability": format!("{major}.{minor}"),
        "seed": seed,
        "failed": failed,
        "checks": checks.iter().map(checks::Check::json).collect::<Vec<_>>(),
        "copy_gb_s": copy / 1e9,
        "measured": measured,
    });
    println!("{report:#}");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
