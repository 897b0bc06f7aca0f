//! `rushes why`: what `rushes process` would do, and because of what.

use super::process::{ProcessArgs, job};
use super::{Session, Shown};
use crate::output::Status;
use rushes::library::Library;
use rushes::pipeline::Why;
use rushes::text::plain;
use serde::Serialize;

#[derive(Serialize)]
struct Record {
    r#type: &'static str,
    input: String,
    stages: Vec<StageRecord>,
}

#[derive(Serialize)]
struct StageRecord {
    stage: String,
    runs: bool,
    #[serde(flatten)]
    why: Why,
    key: String,
}

pub fn run(session: &Session, args: &ProcessArgs) -> anyhow::Result<Status> {
    let job = match job(session, args)? {
        Ok(job) => job,
        Err(status) => return Ok(status),
    };
    let library = Library::at(&args.library);
    session.for_each(&args.inputs, |input, _, run| {
        let planned = job.why(input, &library, run)?;
        let mut lines = vec![format!("{}:", input.display())];
        for planned in &planned {
            let verb = if planned.runs() { "runs" } else { "skips" };
            lines.push(format!("  {verb:<6}{:<12}{}", planned.parts.stage, planned.why));
        }
        let record = Record {
            r#type: "why",
            input: input.to_string_lossy().into_owned(),
            stages: planned
                .into_iter()
                .map(|planned| StageRecord {
                    runs: planned.runs(),
                    key: planned.parts.key().to_string(),
                    stage: planned.parts.stage,
                    why: planned.why,
                })
                .collect(),
        };
        let lines: Vec<String> = lines.iter().map(|line| plain(line).into_owned()).collect();
        Ok(Shown { text: lines.join("\n"), record, notices: Vec::new() })
    })
}
