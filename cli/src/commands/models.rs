//! `rushes models`.

use super::Session;
use crate::args::{Models, ModelsVerb};
use crate::output::{Status, complain};
use anyhow::Context;
use rushes_models::{Artefact, Catalogue, ModelsError, Progress, Store};
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::PathBuf;

#[derive(Serialize)]
struct Record<'a> {
    r#type: &'static str,
    name: &'a str,
    task: &'static str,
    licence: &'a str,
    bytes: u64,
    present: bool,
    paths: Vec<String>,
}

pub fn run(session: &Session, args: &Models) -> anyhow::Result<Status> {
    let catalogue = Catalogue::embedded()?;
    let store = Store::new(folder(args)?);
    let (names, pull) = match &args.verb {
        ModelsVerb::List => {
            for artefact in catalogue.iter() {
                let paths = store.verify(artefact).unwrap_or_default();
                show(session, artefact, &paths, true)?;
            }
            return Ok(Status::Ok);
        }
        ModelsVerb::Pull { names } => (names, true),
        ModelsVerb::Verify { names } => (names, false),
    };
    if names.is_empty() {
        anyhow::bail!("name what is wanted; `rushes models list` shows what there is");
    }
    let mut status = Status::Ok;
    for name in names {
        let done = catalogue.get(name).and_then(|artefact| {
            let paths =
                if pull { fetch(session, &store, artefact) } else { store.verify(artefact) };
            paths.map(|paths| (artefact, paths))
        });
        match done {
            Ok((artefact, paths)) => show(session, artefact, &paths, false)?,
            Err(ModelsError::Cancelled) => return Ok(Status::Cancelled),
            Err(error) => {
                complain(&error.to_string());
                status = match error {
                    ModelsError::Unknown { .. } => Status::Usage,
                    _ => Status::Missing,
                };
            }
        }
    }
    Ok(status)
}

fn fetch(
    session: &Session,
    store: &Store,
    artefact: &Artefact,
) -> Result<Vec<PathBuf>, ModelsError> {
    let mut told = false;
    store.pull(artefact, |progress| {
        if let Progress::Fetching { source, .. } = progress
            && !std::mem::replace(&mut told, true)
            && !session.output.quiet
        {
            crate::output::say(&format!("fetching {} from {source}", artefact.name));
        }
        if session.run.cancel.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })
}

/// A listing shows a table row; otherwise the paths, one a line.
fn show(
    session: &Session,
    artefact: &Artefact,
    paths: &[PathBuf],
    listing: bool,
) -> anyhow::Result<()> {
    let bytes = artefact.files.iter().map(|f| f.bytes).sum();
    let text = if listing {
        let here = if paths.is_empty() { "-" } else { "here" };
        format!(
            "{:<24} {:<10} {:>11} {:<16} {here}",
            artefact.name,
            artefact.task.as_str(),
            bytes,
            artefact.licence
        )
    } else {
        paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join("\n")
    };
    let record = Record {
        r#type: "model",
        name: &artefact.name,
        task: artefact.task.as_str(),
        licence: &artefact.licence,
        bytes,
        present: !paths.is_empty(),
        paths: paths.iter().map(|p| p.to_string_lossy().into_owned()).collect(),
    };
    session.output.data(&text, &record)
}

fn folder(args: &Models) -> anyhow::Result<PathBuf> {
    if let Some(folder) = &args.models_dir {
        return Ok(folder.clone());
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    Ok(cache.context("no home folder is known: give --models-dir")?.join("rushes"))
}
