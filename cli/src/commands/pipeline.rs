//! `rushes pipeline`: a job of many steps by a recipe, in one command.

use super::process::{self, ProcessArgs};
use super::{Session, Shown, ocr};
use crate::output::{Status, say};
use clap::{Args, Subcommand};
use rushes::Error;
use rushes::library::Library;
use rushes::pipeline::recipe::{Recipe, StepReport, StepState};
use rushes::strategy::WARNING;
use rushes::text::plain;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Args, Debug)]
pub struct PipelineArgs {
    #[command(subcommand)]
    pub action: PipelineAction,
}

#[derive(Subcommand, Debug)]
pub enum PipelineAction {
    /// Run all steps of a recipe on films; what is there already is not made again
    #[command(
        after_help = "Examples:\n  rushes pipeline run lesson.mp4 --recipe trading\n  rushes pipeline run lesson.mp4 --recipe mine.toml --prices ohlcv.csv --json\n\nA run that was stopped goes on where it was. docs/pipeline.md shows one."
    )]
    Run(Box<RunArgs>),
    /// List the recipes that come along, with their steps
    #[command(
        after_help = "Examples:\n  rushes pipeline recipes\n  rushes pipeline recipes --json | jq .steps"
    )]
    Recipes,
}

#[derive(Args, Debug)]
pub struct RunArgs {
    /// A recipe that comes along, or a file (TOML)
    #[arg(long, default_value = "trading", value_name = "NAME|FILE")]
    pub recipe: String,
    /// Prices that rules are tested on (CSV) [default: the recipe's, or made-up ones]
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    #[command(flatten)]
    pub process: ProcessArgs,
}

#[derive(Serialize)]
struct Record {
    r#type: &'static str,
    input: String,
    output: String,
    recipe: String,
    /// Whether all steps have a result.
    complete: bool,
    steps: Vec<StepReport>,
}

pub fn run(session: &Session, args: &PipelineArgs) -> anyhow::Result<Status> {
    let args = match &args.action {
        PipelineAction::Run(args) => args,
        PipelineAction::Recipes => {
            recipes(session)?;
            return Ok(Status::Ok);
        }
    };
    let prepared = Recipe::named(&args.recipe).and_then(|(recipe, folder)| {
        let lesson = recipe.lesson(&folder, args.prices.as_deref())?;
        Ok((recipe, Arc::new(lesson)))
    });
    let (recipe, lesson) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return refuse(session, &error),
    };
    // Rules name the moment that says them: to the word.
    let mut wanted = args.process.clone();
    wanted.speech.words = true;
    let mut job = match process::job(session, &wanted)? {
        Ok(job) => job,
        Err(status) => return Ok(status),
    };
    if recipe.wants("ocr") && job.ocr.is_none() && args.process.stages.is_empty() {
        match ocr::open(session, args.process.speech.models_dir.as_deref())? {
            Ok(ocr) => job.ocr = Some(Arc::new(ocr)),
            Err(error) if !session.output.quiet => {
                say(&format!("no text is read in pictures: {}", plain(&error.to_string())));
            }
            Err(_) => {}
        }
    }
    if recipe.wants("strategy") {
        job.lesson = Some(lesson);
    }
    let library = Library::at(&args.process.library);
    let status = session.for_each(&args.process.inputs, |input, _, run| {
        let made = job.run(input, &library, run)?;
        let catalogue = library.existing()?;
        let ran = made.result.as_ref().map(|report| report.ran.clone()).unwrap_or_default();
        let folder = made.output.file_name().unwrap_or_default().to_string_lossy();
        let media = catalogue.by_folder(&folder)?.map_or(0, |media| media.id);
        let steps = recipe.report(&catalogue, media, &ran)?;
        let complete = steps.iter().all(|s| matches!(s.state, StepState::Ran | StepState::Current));
        let record = Record {
            r#type: "pipeline",
            input: input.to_string_lossy().into_owned(),
            output: made.output.to_string_lossy().into_owned(),
            recipe: recipe.name.clone(),
            complete,
            steps,
        };
        Ok(Shown { text: shown(&record), record, notices: made.notices })
    })?;
    if recipe.wants("promotion") && !session.output.quiet {
        say(WARNING);
    }
    process::index(session, &library)?;
    Ok(status)
}

fn refuse(session: &Session, error: &Error) -> anyhow::Result<Status> {
    session.output.failure(error)?;
    Ok(Status::Ok.and_failure(error, true))
}

fn shown(record: &Record) -> String {
    let mut lines = vec![record.output.clone()];
    for step in &record.steps {
        let state = match step.state {
            StepState::Ran => "done",
            StepState::Current => "was done",
            StepState::Failed => "failed",
            StepState::Absent => "left out",
        };
        let rows = step.rows.iter().map(|(table, rows)| format!("{rows} {table}"));
        let mut line = format!(
            "  {:2}  {:10}  {state:8}  {:6.1} s  {}",
            step.n,
            step.step,
            step.seconds,
            rows.collect::<Vec<_>>().join(", ")
        );
        for note in &step.notes {
            line.push_str(&format!("  ({note})"));
        }
        lines.push(line);
    }
    lines.iter().map(|line| plain(line).into_owned()).collect::<Vec<_>>().join("\n")
}

#[derive(Serialize)]
struct Listed<'a> {
    r#type: &'static str,
    recipe: &'a str,
    about: &'a str,
    steps: Vec<&'a str>,
}

fn recipes(session: &Session) -> anyhow::Result<()> {
    for name in Recipe::BUNDLED {
        let (recipe, _) = Recipe::named(name)?;
        let steps: Vec<&str> = recipe.steps.iter().map(|step| step.name.as_str()).collect();
        let text = format!("{}: {}\n  {}", recipe.name, recipe.about, steps.join(", "));
        let record = Listed { r#type: "recipe", recipe: &recipe.name, about: &recipe.about, steps };
        session.output.data(&text, &record)?;
    }
    Ok(())
}
