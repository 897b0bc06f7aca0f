//! One file a verb. Here: what they share.

pub mod assets;
mod audio;
pub mod batch;
pub mod bench;
pub mod clips;
pub mod costs;
pub mod devices;
pub mod doctor;
pub mod embed;
mod frames;
mod gpu_checks;
pub mod insight;
pub mod jobs;
pub mod library;
pub mod models;
mod mux;
mod ocr;
pub mod pipeline;
mod probe;
pub mod process;
pub mod remix;
pub mod render;
pub mod search;
mod sheet;
mod shell;
mod shots;
pub mod speech;
pub mod strategy;
mod surroundings;
mod transcribe;
mod transnet;
pub mod variants;
pub mod watch;
mod why;
pub mod winners;
pub mod worker;

use crate::args::{Cli, Command, Common};
use crate::inputs::{self, Input};
use crate::output::{Output, Status, complain, say};
use crate::progress::{All, Bar};
use rushes::control::Cancel;
use rushes::device::{Chosen, Compute, ComputeChoice};
use rushes::media::{HardwareDecoding, Notice};
use rushes::pipeline::Run;
use serde::Serialize;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Runs a parsed command line.
pub fn run(cli: Cli) -> anyhow::Result<Status> {
    let session = Session::new(&cli.common)?;
    match &cli.command {
        Command::Probe(args) => probe::run(&session, args),
        Command::Frames(args) => frames::run(&session, args),
        Command::Sheet(args) => sheet::run(&session, args),
        Command::Shots(args) => shots::run(&session, args),
        Command::Audio(args) => audio::run(&session, args),
        Command::Transcribe(args) => transcribe::run(&session, args),
        Command::Process(args) => process::run(&session, args),
        Command::Why(args) => why::run(&session, args),
        Command::Insight(args) => insight::run(&session, args),
        Command::Keywords(args) => insight::keywords(&session, args),
        Command::Clips(args) => clips::run(&session, args),
        Command::Winners(args) => winners::run(&session, args),
        Command::Search(args) => search::run(&session, args),
        Command::Library(args) => library::run(&session, args),
        Command::Mux(args) => mux::run(&session, args),
        Command::Render(args) => render::render(&session, args),
        Command::Remix(args) => remix::run(&session, args),
        Command::Cut(args) => render::cut(&session, args),
        Command::Concat(args) => render::concat(&session, args),
        Command::Verify(args) => render::verify(&session, args),
        Command::Pipeline(args) => pipeline::run(&session, args),
        Command::Strategy(args) => strategy::run(&session, args),
        Command::Assets(args) => assets::run(&session, args),
        Command::Variants(args) => variants::run(&session, args),
        Command::Models(args) => models::run(&session, args),
        Command::Batch(args) => batch::run(&session, args),
        Command::Bench(args) => bench::run(&session, args),
        Command::Watch(args) => watch::run(&session, args),
        Command::Jobs(args) => jobs::run(&session, args),
        Command::Costs(args) => costs::run(&session, args),
        Command::Worker(args) => worker::run(&session, args),
        Command::Devices(args) => devices::run(&session, args),
        Command::Doctor(args) => doctor::run(&session, args),
        Command::Completions(args) => shell::completions(&session, args),
        Command::Man => shell::man(&session),
    }
}

/// What all verbs need: settings, the switch that Ctrl-C sets, and the way of speaking.
pub struct Session {
    pub output: Output,
    pub run: Run,
    device: ComputeChoice,
    chosen: OnceLock<Chosen>,
    hardware: OnceLock<Option<HardwareDecoding>>,
    /// The changes of limits as words, for processes that are begun.
    pub allow: Vec<String>,
}

impl Session {
    fn new(common: &Common) -> anyhow::Result<Self> {
        let cancel = Cancel::new();
        let signal = cancel.clone();
        ctrlc::set_handler(move || {
            if signal.is_cancelled() {
                // Asked twice: leave at once, whatever is half done.
                complain("stopped");
                std::process::exit(130);
            }
            signal.cancel();
        })?;
        let run = Run {
            limits: common.limits(),
            cancel,
            threads: common.threads,
            hardware: None,
            force: common.force,
            on_progress: None,
        };
        let output = Output { json: common.json, quiet: common.quiet };
        Ok(Self {
            output,
            run,
            allow: common.allowed(),
            device: common.device,
            chosen: OnceLock::new(),
            hardware: OnceLock::new(),
        })
    }

    /// Where models run.
    pub fn compute_models(&self) -> rushes::Result<Compute> {
        let found = self.compute()?;
        let models = found.for_models();
        if models != found && matches!(self.device, ComputeChoice::Only(_)) && !self.output.quiet {
            say("models run on the CPU: this build has none for GPUs (see `make cuda`)");
        }
        Ok(models)
    }

    /// Where kernels run and pictures are decoded. The first call tries the device, and tells where it
    /// falls back.
    pub fn compute(&self) -> rushes::Result<Compute> {
        if let Some(chosen) = self.chosen.get() {
            return Ok(chosen.compute);
        }
        let chosen = self.device.resolve()?;
        if let Some(why) = chosen.fell_back.as_deref().filter(|_| !self.output.quiet) {
            say(&format!("working on the CPU: {why}"));
        }
        Ok(self.chosen.get_or_init(|| chosen).compute)
    }

    /// The GPU that decodes, if models run on one. Where it has no decoder that is told once.
    pub fn hardware(&self) -> rushes::Result<Option<HardwareDecoding>> {
        let Compute::Cuda(number) = self.compute()? else { return Ok(None) };
        Ok(self
            .hardware
            .get_or_init(|| {
                HardwareDecoding::cuda(number)
                    .inspect_err(|error| {
                        if !self.output.quiet {
                            say(&format!("decoding on the CPU: {}", error.message()));
                        }
                    })
                    .ok()
            })
            .clone())
    }

    /// Does `work` on every input in turn; one that fails is told and does not stop the others.
    /// Gives each the name its outputs should have.
    pub fn for_each<T: Serialize>(
        &self,
        typed: &[PathBuf],
        mut work: impl FnMut(&Path, &OsStr, &Run) -> rushes::Result<Shown<T>>,
    ) -> anyhow::Result<Status> {
        let inputs: Vec<Input> = inputs::resolve(typed);
        let names = inputs::output_names(&inputs);
        let count = inputs.len();
        let visible = !self.output.quiet && !self.output.json;
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
        let sized = visible && count > 1;
        let mut all = sized.then(|| All::new(inputs.iter().flatten().map(|path| size(path)).sum()));
        let mut status = Status::Ok;
        for (i, (input, name)) in inputs.into_iter().zip(&names).enumerate() {
            let done = input.and_then(|path| {
                let bar = Bar::new(&path, i + 1, count, visible);
                if let Some(all) = &mut all {
                    all.begin(size(&path));
                }
                let on_progress = Some(bar.callback_among(all.clone()));
                let run = Run { on_progress, ..self.run.clone() };
                let shown = work(&path, name, &run);
                if let Some(all) = &mut all {
                    all.end();
                }
                drop(bar);
                shown.map(|shown| (path, shown))
            });
            match done {
                Ok((path, shown)) => {
                    self.output.notices(&path, &shown.notices);
                    self.output.data(&shown.text, &shown.record)?;
                    status = status.and_success();
                }
                Err(error) => {
                    self.output.failure(&error)?;
                    let alone = i == 0 || status != Status::Ok;
                    status = status.and_failure(&error, alone);
                }
            }
            if self.run.cancel.is_cancelled() {
                return Ok(Status::Cancelled);
            }
        }
        Ok(status)
    }
}

/// What a verb shows of one input.
pub struct Shown<T> {
    /// For people.
    pub text: String,
    /// For programs.
    pub record: T,
    /// What was not as it should be.
    pub notices: Vec<Notice>,
}

/// The path of one input's output file: `output` itself for a single input that names a file of
/// a known kind, else a file in the folder `output`.
pub fn output_file(
    output: &Path,
    name: &OsStr,
    extension: &str,
    single: bool,
    is_file: bool,
) -> PathBuf {
    if single && is_file && !output.is_dir() {
        return output.to_path_buf();
    }
    let mut file = name.to_os_string();
    file.push(".");
    file.push(extension);
    output.join(file)
}

/// Whether only one input was typed and it is no folder or pattern.
pub fn is_single(typed: &[PathBuf]) -> bool {
    matches!(typed, [one] if !one.is_dir() && (one.exists() || !one.to_string_lossy().contains(['*', '?', '['])))
}
