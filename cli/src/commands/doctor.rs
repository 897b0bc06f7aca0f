//! `rushes doctor`: whether everything is here and in order, and what to do where it is not.

use super::Session;
use super::devices::inventory;
use super::gpu_checks;
use super::models::store;
use super::surroundings;
use crate::output::Status;
use clap::Args;
use rushes::device::{Health, Mig, show_bytes};
use rushes::library::refuse_network;
use rushes::media::libraries;
use rushes::text::plain;
use rushes_models::Catalogue;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// The library whose disk is looked at
    #[arg(long, default_value = "library", value_name = "DIR")]
    pub library: PathBuf,
    /// Where models lie
    #[arg(long, value_name = "DIR")]
    pub models_dir: Option<PathBuf>,
    /// A machine described by a file instead of this one
    #[arg(long, value_name = "FILE")]
    pub devices: Option<PathBuf>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing: something is slower or cannot be done.
    Note,
    /// Something that is needed is missing.
    Missing,
}

#[derive(Serialize)]
struct Finding {
    r#type: &'static str,
    level: Level,
    what: &'static str,
    text: String,
    /// What to do.
    hint: Option<String>,
}

/// Less free memory than a job takes.
const LITTLE_MEMORY: u64 = 2 << 30;
/// Less free disk than a film's results take.
const LITTLE_DISK: u64 = 5 << 30;

pub fn run(session: &Session, args: &DoctorArgs) -> anyhow::Result<Status> {
    let mut findings = Vec::new();
    let mut find = |level, what, text: String, hint: Option<&str>| {
        let hint = hint.map(str::to_owned);
        findings.push(Finding { r#type: "finding", level, what, text, hint });
    };
    devices(args, &mut find)?;
    media(&mut find);
    models(args, &mut find)?;
    disk(&args.library, &mut find);
    for around in surroundings::look() {
        let level = if around.hint.is_some() { Level::Note } else { Level::Ok };
        find(level, around.what, around.text, around.hint);
    }
    let mut status = Status::Ok;
    for finding in &findings {
        let mark = match finding.level {
            Level::Ok => "ok     ",
            Level::Note => "note   ",
            Level::Missing => {
                status = Status::Missing;
                "MISSING"
            }
        };
        let hint =
            finding.hint.as_ref().map_or(String::new(), |hint| format!("\n          -> {hint}"));
        let text = format!("{mark}  {}: {}", finding.what, plain(&finding.text));
        session.output.data(&format!("{text}{hint}"), finding)?;
    }
    Ok(status)
}

type Find<'a> = &'a mut dyn FnMut(Level, &'static str, String, Option<&str>);

fn devices(args: &DoctorArgs, find: Find<'_>) -> anyhow::Result<()> {
    let seen = inventory(args.devices.as_deref())?.look(Duration::ZERO)?;
    let host = &seen.host;
    let text = format!("{} threads", host.threads);
    find(Level::Ok, "processor", text, None);
    let text = format!("{} of {} free", show_bytes(host.available), show_bytes(host.memory));
    if host.available < LITTLE_MEMORY {
        find(Level::Note, "memory", text, Some("close other programs; large models will not fit"));
    } else {
        find(Level::Ok, "memory", text, None);
    }
    if seen.gpus.is_empty() {
        let why = seen.facts.iter().find(|fact| fact.code != "simulated");
        let why = why.map_or("none".to_owned(), |fact| fact.text.clone());
        find(Level::Note, "gpu", why, Some("everything runs on the processor"));
    }
    let simulated = seen.fact("simulated").is_some();
    let driver = seen.fact("driver").map_or("", |fact| &fact.text);
    if !seen.gpus.is_empty() && !simulated {
        cuda_libraries(find);
    }
    for (place, gpu) in (0..).zip(&seen.gpus) {
        let memory = &gpu.memory;
        let mut text = format!(
            "{}: {} of {} free",
            gpu.name,
            show_bytes(memory.free),
            show_bytes(memory.total)
        );
        for holder in &memory.holders {
            let bytes = holder.bytes.map_or("some".into(), show_bytes);
            let name = holder.name.as_ref().map_or(String::new(), |name| format!(" ({name})"));
            text.push_str(&format!(", {bytes} held by process {}{name}", holder.pid));
        }
        match &gpu.health {
            Health::Good => find(Level::Ok, "gpu", text, None),
            Health::Lost(why) => {
                let hint = "nvidia-smi tells more; most Xid errors need a reset or a new start";
                find(Level::Missing, "gpu", format!("{text}; {why}"), Some(hint));
            }
        }
        if gpu.health == Health::Good && !simulated && gpu.mig != Mig::Divided {
            let cache = gpu_checks::cache_file();
            let facts = gpu_checks::codecs(gpu, place, driver, cache.as_deref());
            let (can, fault) = gpu_checks::in_words(&facts);
            let text = format!("{}: {can}", gpu.name);
            match fault {
                None => find(Level::Ok, "video coders", text, None),
                Some(fault) => {
                    let hint = "the rest is decoded and encoded on the processor";
                    find(Level::Note, "video coders", format!("{text} ({fault})"), Some(hint));
                }
            }
        }
    }
    for fact in seen.facts.iter().filter(|fact| fact.code.starts_with("visible")) {
        find(Level::Note, "gpu", fact.text.clone(), Some("mend CUDA_VISIBLE_DEVICES"));
    }
    Ok(())
}

fn cuda_libraries(find: Find<'_>) {
    let (found, missing) = gpu_checks::libraries();
    if missing.is_empty() {
        find(Level::Ok, "cuda", found.join(", "), None);
        return;
    }
    let hint = "install the CUDA toolkit's libraries, or name their folder in LD_LIBRARY_PATH";
    let text = format!("not found: {}", missing.join(", "));
    find(Level::Note, "cuda", text, Some(hint));
}

fn media(find: Find<'_>) {
    let found = libraries();
    let (major, minor, micro) = found.codec;
    let text = format!("libavcodec {major}.{minor}.{micro}, {}", found.configured);
    find(Level::Ok, "ffmpeg", text, None);
    for (needed, names) in [(true, found.missing_needed), (false, found.missing_wished)] {
        if names.is_empty() {
            continue;
        }
        let level = if needed { Level::Missing } else { Level::Note };
        let hint = "install an FFmpeg that has them; such media is refused until then";
        find(level, "ffmpeg", format!("cannot decode or encode {}", names.join(", ")), Some(hint));
    }
}

fn models(args: &DoctorArgs, find: Find<'_>) -> anyhow::Result<()> {
    let catalogue = Catalogue::embedded()?;
    let store = store(args.models_dir.as_deref())?;
    for (name, what) in [
        ("onnxruntime", "transcripts and searching by meaning"),
        ("silero-vad", "transcripts"),
        ("tiny", "transcripts"),
        ("all-minilm-l6-v2", "searching by meaning"),
        ("efficientnet-lite0", "searching by what is shown"),
    ] {
        let asked = catalogue.names().find(|known| *known == name);
        let Some(asked) = asked else { continue };
        match store.resolve(&catalogue, asked) {
            Ok(found) => {
                let instead = found
                    .instead_of
                    .map_or(String::new(), |_| format!(" ({} in its place)", found.artefact.name));
                find(Level::Ok, "model", format!("{asked}{instead}"), None);
            }
            Err(error) => {
                let hint = format!("rushes models pull {asked}");
                let text = format!("{error}; needed for {what}");
                find(Level::Missing, "model", text, Some(&hint));
            }
        }
    }
    Ok(())
}

fn disk(library: &Path, find: Find<'_>) {
    // The nearest folder that is there: the library may be made later.
    let at = std::path::absolute(library).unwrap_or_else(|_| library.to_path_buf());
    let Some(folder) = at.ancestors().find(|folder| folder.is_dir()) else { return };
    match rustix::fs::statvfs(folder) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let text = format!("{} free in {}", show_bytes(free), folder.display());
            let little = (free < LITTLE_DISK).then_some("free some space");
            find(if little.is_some() { Level::Note } else { Level::Ok }, "disk", text, little);
        }
        Err(error) => {
            find(Level::Note, "disk", error.to_string(), Some("check the library's folder"));
        }
    }
    if let Err(error) = refuse_network(folder) {
        let text = format!("{}: {}", folder.display(), error.message());
        find(Level::Missing, "library", text, error.what_to_do());
    }
    // Whether it can be written to shows only by doing it.
    match tempfile::tempfile_in(folder) {
        Ok(_) => {
            find(Level::Ok, "library", format!("{} can be written to", folder.display()), None)
        }
        Err(error) => {
            let text = format!("{} cannot be written to: {error}", folder.display());
            find(Level::Missing, "library", text, Some("choose another --library"));
        }
    }
}
