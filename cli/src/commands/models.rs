//! `rushes models`.

use super::Session;
use crate::args::{Import, ImportKind, Models, ModelsVerb};
use crate::output::{Status, complain, say};
use anyhow::Context;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rushes::render::text::FontShelf;
use rushes::text::plain;
use rushes_models::convert::{Converting, pth_to_safetensors, whisper_ggml};
use rushes_models::{
    Artefact, Catalogue, Hub, ModelsError, Progress, Settings, Store, Task, Token,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// One artefact, as programs read it.
#[derive(Serialize)]
struct Record<'a> {
    r#type: &'static str,
    name: &'a str,
    task: &'static str,
    about: &'a str,
    licence: &'a str,
    credit: &'a str,
    /// Bytes of its files, as far as they are known.
    bytes: u64,
    /// Whether the catalogue states size and digest of every file; otherwise the hub's are checked.
    pinned: bool,
    dims: Option<u32>,
    /// Estimated memory in MB, by device.
    memory_mb: &'a BTreeMap<String, u32>,
    fallback: Option<&'a str>,
    present: bool,
    /// What was asked for, where this is its fallback.
    instead_of: Option<&'a str>,
    paths: Vec<String>,
}

#[derive(Serialize)]
struct Failure<'a> {
    r#type: &'static str,
    input: &'a str,
    kind: &'static str,
    stage: &'static str,
    message: &'a str,
    hint: Option<&'a str>,
}

#[derive(Serialize)]
struct Removed<'a> {
    r#type: &'static str,
    name: &'a str,
    freed_bytes: u64,
}

#[derive(Serialize)]
struct Imported {
    r#type: &'static str,
    kind: &'static str,
    path: String,
    bytes: u64,
    note: Option<&'static str>,
}

pub fn run(session: &Session, args: &Models) -> anyhow::Result<Status> {
    let mut catalogue = Catalogue::embedded()?;
    if let ModelsVerb::Import(import) = &args.verb {
        return import_one(session, import);
    }
    let store = store(args.models_dir.as_deref())?;
    match &args.verb {
        ModelsVerb::List => {
            for artefact in catalogue.iter() {
                let paths = store.look(artefact).unwrap_or_default();
                let partly = paths.is_empty() && store.is_begun(artefact);
                let text = row(artefact, &paths, partly);
                session.output.data(&text, &record(artefact, None, &paths))?;
            }
            Ok(Status::Ok)
        }
        ModelsVerb::Pull { names } => {
            let names = read_manifests(&mut catalogue, names)?;
            each(session, &names, |name| {
                let pulled = fetch(session, &store, &catalogue, name)?;
                show(session, pulled.artefact, pulled.instead_of, &pulled.paths)
            })
        }
        ModelsVerb::Verify { names } if names.is_empty() => {
            let here: Vec<String> =
                catalogue.iter().filter(|a| store.is_begun(a)).map(|a| a.name.clone()).collect();
            if here.is_empty() {
                anyhow::bail!(
                    "nothing is here to verify; `rushes models list` shows what there is"
                );
            }
            each(session, &here, |name| verify(session, &store, &catalogue, name))
        }
        ModelsVerb::Verify { names } => {
            each(session, names, |name| verify(session, &store, &catalogue, name))
        }
        ModelsVerb::Path { name, file } => each(session, std::slice::from_ref(name), |name| {
            let found = store.resolve(&catalogue, name)?;
            let paths = match file {
                None => found.paths.clone(),
                Some(file) => match found.path(file) {
                    Some(path) => vec![path.to_owned()],
                    None => return Err(no_such_file(found.artefact, file).into()),
                },
            };
            if let Some(asked) = found.instead_of
                && !session.output.quiet
            {
                say(&format!("{} is not here; {} is", asked.name, found.artefact.name));
            }
            show(session, found.artefact, found.instead_of, &paths)
        }),
        ModelsVerb::Rm { names } => each(session, names, |name| {
            let artefact = catalogue.get(name)?;
            let freed_bytes = store.remove(artefact, |_| go_on(session))?;
            let text = format!("{}: {} freed", artefact.name, HumanBytes(freed_bytes));
            let removed = Removed { r#type: "model_removed", name: &artefact.name, freed_bytes };
            session.output.data(&text, &removed)
        }),
        ModelsVerb::Import(_) => Ok(Status::Ok),
    }
}

/// The most bytes of a manifest; the longest of ours has 3 kB.
const MAX_MANIFEST: u64 = 256 << 10;

/// Adds the manifests among `names`, files that end in `.toml`, to the catalogue; gives all as names.
pub fn read_manifests(catalogue: &mut Catalogue, names: &[String]) -> anyhow::Result<Vec<String>> {
    let mut read = |name: &String| -> anyhow::Result<String> {
        if !name.ends_with(".toml") {
            return Ok(name.clone());
        }
        let shown = plain(name).into_owned();
        // A mistake in the command line, not a failure of what is written.
        let unread = |e: io::Error| anyhow::anyhow!("{shown}: {e}");
        let file = std::fs::File::open(name).map_err(unread)?;
        let mut text = String::new();
        io::Read::read_to_string(&mut io::Read::take(file, MAX_MANIFEST), &mut text)
            .map_err(unread)?;
        Ok(catalogue.add(&text, &shown)?)
    };
    names.iter().map(&mut read).collect()
}

/// The fonts that were pulled, for texts to turn to. Where no store can be had there are none, which
/// only matters to a text that needs one, and that says so.
pub fn fonts(models_dir: Option<&Path>) -> anyhow::Result<FontShelf> {
    let catalogue = Catalogue::embedded()?;
    let mut shelf = FontShelf::default();
    if let Ok(store) = store(models_dir) {
        for artefact in catalogue.iter().filter(|artefact| artefact.task == Task::Font) {
            if let Ok(files) = store.ready(artefact) {
                shelf.put(&artefact.name, files);
            }
        }
    }
    Ok(shelf)
}

/// The store that the options and the environment name.
pub fn store(models_dir: Option<&Path>) -> anyhow::Result<Store> {
    let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let text = |name: &str| var(name).and_then(|value| value.into_string().ok());
    let cache = || {
        var("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| var("HOME").map(|home| PathBuf::from(home).join(".cache")))
    };
    let hub_home =
        var("HF_HOME").map(PathBuf::from).or_else(|| cache().map(|c| c.join("huggingface")));
    let mut settings = match models_dir {
        Some(folder) => Settings::new(folder),
        None => {
            let folder = cache().context("no home folder is known: give --models-dir")?;
            let mut settings = Settings::new(folder.join("rushes"));
            let shared = var("HF_HUB_CACHE")
                .map(PathBuf::from)
                .or_else(|| hub_home.as_ref().map(|home| home.join("hub")));
            if let Some(shared) = shared {
                settings.hub.cache = shared;
            }
            settings
        }
    };
    let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| Hub::ENDPOINT.into());
    settings.hub.endpoint = endpoint.trim_end_matches('/').into();
    settings.hub.offline = text("HF_HUB_OFFLINE").is_some_and(|value| is_true(&value));
    let token_file = || {
        let path = var("HF_TOKEN_PATH")
            .map(PathBuf::from)
            .or_else(|| hub_home.as_ref().map(|home| home.join("token")))?;
        std::fs::read_to_string(path).ok()
    };
    settings.hub.token = text("HF_TOKEN")
        .or_else(token_file)
        .map(|token| token.trim().to_owned())
        .filter(|token| !token.is_empty())
        .map(Token::new);
    settings.proxy = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .into_iter()
        .find_map(text)
        .filter(|_| {
            !bypasses(&settings.hub.endpoint, ["NO_PROXY", "no_proxy"].into_iter().find_map(text))
        });
    Ok(Store::with(settings))
}

/// What the hub's own tools take for yes.
fn is_true(value: &str) -> bool {
    matches!(value.trim().to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE")
}

/// Whether the host of `url` is on the list of those that are reached without a proxy.
fn bypasses(url: &str, list: Option<String>) -> bool {
    let host = url.split("://").nth(1).unwrap_or(url).split(['/', ':']).next().unwrap_or_default();
    list.unwrap_or_default().split(',').map(str::trim).any(|entry| {
        let entry = entry.trim_start_matches("*.").trim_start_matches('.');
        entry == "*"
            || (!entry.is_empty() && (host == entry || host.ends_with(&format!(".{entry}"))))
    })
}

/// Does `work` for every name; one that fails is told and does not stop the others.
fn each(
    session: &Session,
    names: &[String],
    mut work: impl FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<Status> {
    let (mut done, mut failed) = (false, None);
    for name in names {
        let error = match work(name) {
            Ok(()) => {
                done = true;
                continue;
            }
            Err(error) => error,
        };
        let Some(models) = error.downcast_ref::<ModelsError>() else { return Err(error) };
        if matches!(models, ModelsError::Cancelled) {
            return Ok(Status::Cancelled);
        }
        let status = fail(session, name, models)?;
        failed = Some(match failed {
            None => status,
            Some(earlier) if earlier == status => status,
            Some(_) => Status::SomeFailed,
        });
    }
    Ok(match failed {
        None => Status::Ok,
        Some(_) if done => Status::SomeFailed,
        Some(status) => status,
    })
}

fn fail(session: &Session, name: &str, error: &ModelsError) -> anyhow::Result<Status> {
    let message = error.to_string();
    complain(&plain(&message));
    let (status, kind) = match error {
        ModelsError::Unknown { .. } => (Status::Usage, "usage"),
        ModelsError::Io { source, .. } => match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                (Status::Resource, "resource")
            }
            _ => (Status::SomeFailed, "io"),
        },
        ModelsError::Format { .. } => (Status::SomeFailed, "input"),
        _ => (Status::Missing, "model"),
    };
    if session.output.json {
        let record = Failure {
            r#type: "error",
            input: name,
            kind,
            stage: "model",
            message: &message,
            hint: None,
        };
        session.output.data("", &record)?;
    }
    Ok(status)
}

fn fetch<'c>(
    session: &Session,
    store: &Store,
    catalogue: &'c Catalogue,
    name: &str,
) -> Result<rushes_models::Resolved<'c>, ModelsError> {
    let visible = !session.output.quiet && !session.output.json;
    let bar = bar(name, visible);
    let mut told: Option<String> = None;
    store.pull_or_fallback(catalogue, name, |progress| {
        match progress {
            Progress::Waiting => bar.set_message("waiting for another process"),
            Progress::Fetching { source, .. } => {
                let text = format!("fetching {name} from {source}");
                bar.set_message(format!("from {source}"));
                if !session.output.quiet && told.as_ref() != Some(&text) {
                    bar.suspend(|| say(&text));
                    told = Some(text);
                }
            }
            Progress::Downloading { file, done, total, .. } => {
                moved(&bar, &file.name, done, total);
            }
            Progress::Unpacking { file, done } => moved(&bar, &file.name, done, file.bytes),
            Progress::Converting { file, done, total } => {
                moved(&bar, &format!("making {}", file.name), done, Some(total));
            }
            Progress::FallingBack { from, to, because } if !session.output.quiet => {
                let why = format!("{} cannot be had: {}", from.name, plain(because));
                bar.suspend(|| say(&format!("{why}\ntaking {} instead", to.name)));
            }
            _ => {}
        }
        go_on(session)
    })
}

fn bar(name: &str, visible: bool) -> ProgressBar {
    let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(1), target);
    bar.set_prefix(name.to_owned());
    let template = "{prefix} {bar:24} {percent:>3}% {msg} {bytes}/{total_bytes} eta {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn moved(bar: &ProgressBar, what: &str, done: u64, total: Option<u64>) {
    if bar.message() != what {
        // Another file: its speed is its own.
        bar.reset();
        bar.set_message(what.to_owned());
    }
    bar.set_length(total.unwrap_or(done));
    bar.set_position(done);
}

fn go_on(session: &Session) -> ControlFlow<()> {
    if session.run.cancel.is_cancelled() {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

fn verify(
    session: &Session,
    store: &Store,
    catalogue: &Catalogue,
    name: &str,
) -> anyhow::Result<()> {
    let artefact = catalogue.get(name)?;
    let paths = store.verify(artefact)?;
    show(session, artefact, None, &paths)
}

/// A file that no artefact of this name has is as unknown as a model that none has.
fn no_such_file(artefact: &Artefact, file: &str) -> ModelsError {
    ModelsError::Unknown {
        name: format!("{}/{file}", artefact.name),
        known: artefact.files.iter().map(|f| format!("{}/{}", artefact.name, f.name)).collect(),
    }
}

/// A row of the listing.
fn row(artefact: &Artefact, paths: &[PathBuf], partly: bool) -> String {
    let mut notes = Vec::new();
    if !paths.is_empty() {
        notes.push("here".to_owned());
    } else if partly {
        notes.push("not whole".to_owned());
    }
    if !artefact.is_pinned() {
        notes.push("digest from the hub".to_owned());
    }
    if let Some(fallback) = &artefact.fallback {
        notes.push(format!("or {fallback}"));
    }
    let bytes = match artefact.bytes() {
        0 => "?".to_owned(),
        bytes => HumanBytes(bytes).to_string(),
    };
    format!(
        "{:<22} {:<20} {bytes:>10}  {:<26} {}",
        artefact.name,
        artefact.task.as_str(),
        artefact.licence,
        notes.join(", ")
    )
    .trim_end()
    .to_owned()
}

fn record<'a>(
    artefact: &'a Artefact,
    instead_of: Option<&'a Artefact>,
    paths: &[PathBuf],
) -> Record<'a> {
    Record {
        r#type: "model",
        name: &artefact.name,
        task: artefact.task.as_str(),
        about: &artefact.about,
        licence: &artefact.licence,
        credit: &artefact.credit,
        bytes: artefact.bytes(),
        pinned: artefact.is_pinned(),
        dims: artefact.dims,
        memory_mb: &artefact.memory,
        fallback: artefact.fallback.as_deref(),
        present: !paths.is_empty(),
        instead_of: instead_of.map(|a| a.name.as_str()),
        paths: paths.iter().map(|p| p.to_string_lossy().into_owned()).collect(),
    }
}

/// The paths, one a line.
fn show(
    session: &Session,
    artefact: &Artefact,
    instead_of: Option<&Artefact>,
    paths: &[PathBuf],
) -> anyhow::Result<()> {
    let text = paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join("\n");
    session.output.data(&text, &record(artefact, instead_of, paths))
}

fn import_one(session: &Session, args: &Import) -> anyhow::Result<Status> {
    let out = &args.output;
    if out.exists() && !session.run.force {
        anyhow::bail!("{} exists; --force replaces it", plain(&out.to_string_lossy()));
    }
    let name = [args.input.to_string_lossy().into_owned()];
    each(session, &name, |name| {
        let bar = bar(&plain(name), !session.output.quiet && !session.output.json);
        let progress = |at: Converting| {
            moved(&bar, "converting", at.done, Some(at.total));
            go_on(session)
        };
        let (kind, note) = match args.kind {
            ImportKind::WhisperOnnx => {
                let [encoder, decoder, config, vocabulary] = whisper_files(&args.input)?;
                not_itself(&[&encoder, &decoder, &config, &vocabulary], out)?;
                whisper_ggml(&encoder, &decoder, &config, &vocabulary, out, progress)?;
                ("ggml", Some("int8 weights: report them as q8"))
            }
            ImportKind::Pth => {
                not_itself(&[&args.input], out)?;
                pth_to_safetensors(&args.input, out, progress)?;
                ("safetensors", None)
            }
        };
        bar.finish_and_clear();
        if let Some(note) = note
            && !session.output.quiet
        {
            say(&format!("{}: {note}", plain(&out.to_string_lossy())));
        }
        let record = Imported {
            r#type: "model_imported",
            kind,
            path: out.to_string_lossy().into_owned(),
            bytes: std::fs::metadata(out)?.len(),
            note,
        };
        session.output.data(&out.display().to_string(), &record)
    })
}

/// The four files of an int8 ONNX Whisper, wherever its folder keeps them.
fn whisper_files(folder: &Path) -> anyhow::Result<[PathBuf; 4]> {
    let find =
        |names: &[&str]| {
            names.iter().map(|name| folder.join(name)).find(|path| path.is_file()).with_context(
                || format!("{} has no {}", plain(&folder.to_string_lossy()), names[0]),
            )
        };
    Ok([
        find(&[
            "onnx/encoder_model_quantized.onnx",
            "encoder_model_quantized.onnx",
            "encoder.onnx",
        ])?,
        find(&[
            "onnx/decoder_model_merged_quantized.onnx",
            "decoder_model_merged_quantized.onnx",
            "decoder.onnx",
        ])?,
        find(&["config.json"])?,
        find(&["vocab.json"])?,
    ])
}

/// Refuses to write over what is read.
fn not_itself(inputs: &[&Path], out: &Path) -> anyhow::Result<()> {
    let real = |path: &Path| path.canonicalize().ok();
    let target = real(out);
    anyhow::ensure!(
        target.is_none() || inputs.iter().all(|input| real(input) != target),
        "{} is what is read; name another file to write",
        plain(&out.to_string_lossy())
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_and_no_proxy() {
        assert!(is_true("1") && is_true("true") && is_true("Yes"));
        assert!(!is_true("0") && !is_true("false") && !is_true(""));
        let list = |text: &str| Some(text.to_owned());
        assert!(bypasses("http://127.0.0.1:80", list("a, 127.0.0.1")));
        assert!(bypasses("https://hub.corp.test", list(".corp.test")));
        assert!(bypasses("https://x", list("*")));
        assert!(!bypasses("https://notcorp.test", list("corp.test")));
        assert!(!bypasses("https://x", None) && !bypasses("https://x", list("")));
    }
}
