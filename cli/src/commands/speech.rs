//! From options and the model store to the engine's [`Speech`].

use super::Session;
use super::models::store;
use crate::args::{EngineChoice, SpeechArgs, SpeechTask};
use crate::output::{Status, complain, say};
use rushes::control::Cancel;
use rushes::device::Compute;
use rushes::speech::recogniser::{Search, Wanted};
use rushes::speech::{
    ModelFile, Speech, SpeechEngine, SpeechModels, SpeechOptions, TranscribeSettings,
};
use rushes::text::plain;
use rushes_models::{Catalogue, ModelsError, Resolved, Store};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

/// The voice detector's graph that works through many windows at a time.
const VAD_FILE: &str = "silero_vad_16k_sequence.onnx";
const RUNTIME_FILE: &str = "libonnxruntime.so";

/// Speech recognition by the options.
///
/// `Ok(Err(_))` where a model is missing or damaged: the error that says so.
pub fn open(
    session: &Session,
    args: &SpeechArgs,
) -> anyhow::Result<Result<Arc<Speech>, ModelsError>> {
    let catalogue = Catalogue::embedded()?;
    let store = store(args.models_dir.as_deref())?;
    Ok(resolve(session, args, session.compute_models()?, &catalogue, &store))
}

fn resolve(
    session: &Session,
    args: &SpeechArgs,
    compute: Compute,
    catalogue: &Catalogue,
    store: &Store,
) -> Result<Arc<Speech>, ModelsError> {
    let whisper = store.resolve(catalogue, &args.model)?;
    if let Some(asked) = whisper.instead_of
        && !session.output.quiet
    {
        say(&format!("{} is not here; using {}", asked.name, whisper.artefact.name));
    }
    let engine = engine(args, compute);
    let vad = (!args.no_vad).then(|| store.resolve(catalogue, "silero-vad")).transpose()?;
    let needs_runtime = vad.is_some() || engine == SpeechEngine::OnnxRuntime;
    let runtime = needs_runtime.then(|| store.resolve(catalogue, "onnxruntime")).transpose()?;
    let models = SpeechModels {
        runtime: runtime.map(|found| path(&found, RUNTIME_FILE)),
        vad: vad.map(|found| file(&found, VAD_FILE)),
        whisper: {
            let name = whisper.artefact.files.first().map_or("", |f| f.name.as_str()).to_owned();
            file(&whisper, &name)
        },
    };
    let default = SpeechOptions::default();
    let options = SpeechOptions {
        engine,
        threads: session.run.threads.unwrap_or(default.threads),
        compute,
        align_words: args.words,
    };
    Ok(Arc::new(Speech::new(models, options)))
}

/// The recogniser that is chosen: on a GPU only whisper.cpp runs.
fn engine(args: &SpeechArgs, compute: Compute) -> SpeechEngine {
    match args.engine {
        EngineChoice::Auto if compute.is_gpu() => SpeechEngine::WhisperCpp,
        EngineChoice::Auto | EngineChoice::OnnxRuntime => SpeechEngine::OnnxRuntime,
        EngineChoice::WhisperCpp => SpeechEngine::WhisperCpp,
    }
}

/// What decides the text, by the options and the recogniser that was chosen.
pub fn settings(args: &SpeechArgs, speech: &Speech) -> TranscribeSettings {
    let default = TranscribeSettings::default();
    let wanted = Wanted {
        language: args.language.code().map(str::to_owned),
        language_threshold: args.language_threshold.unwrap_or(default.wanted.language_threshold),
        translate: args.task == SpeechTask::Translate,
        search: args.beam.map_or(Search::Greedy, Search::Beam),
        prompt: args.prompt.clone(),
        hotwords: args.hotwords.clone(),
        words: args.words,
        ..default.wanted
    };
    let vad = default.vad.filter(|_| !args.no_vad);
    TranscribeSettings { wanted, vad, chunks: speech.engine().chunks() }
}

/// Tells of a model that is missing or damaged.
pub fn refuse(session: &Session, error: &ModelsError) -> anyhow::Result<Status> {
    let message = error.to_string();
    complain(&plain(&message));
    if session.output.json {
        let record = serde_json::json!({
            "type": "error", "kind": "model", "stage": "model", "message": message,
        });
        session.output.data("", &record)?;
    }
    Ok(match error {
        ModelsError::Unknown { .. } => Status::Usage,
        ModelsError::Cancelled => Status::Cancelled,
        _ => Status::Missing,
    })
}

fn path(found: &Resolved<'_>, name: &str) -> PathBuf {
    found.path(name).map_or_else(
        || found.paths.first().map(|p| p.with_file_name(name)).unwrap_or_default(),
        std::path::Path::to_path_buf,
    )
}

fn file(found: &Resolved<'_>, name: &str) -> ModelFile {
    let pinned = found.artefact.file(name).and_then(|file| file.sha256.clone());
    let path = path(found, name);
    let digest = pinned.unwrap_or_else(|| {
        // Not pinned by this build: what is there is what counts.
        rushes::library::content_id(&path, &Cancel::new())
            .map_or_else(|_| String::new(), |id| id.to_string())
    });
    ModelFile { name: found.artefact.name.clone(), path, digest }
}

/// How many inputs are worked on at a time.
pub fn lanes(speech: &Speech, inputs: usize) -> NonZeroUsize {
    let most = speech.lanes().min(inputs);
    NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN)
}
