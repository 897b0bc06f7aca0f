//! From the model store to the engine's [`Embedders`].

use super::Session;
use super::models::store;
use rushes::embed::{EmbedModels, EmbedOptions, Embedders, LabelModel, TextModel};
use rushes_models::{Catalogue, ModelsError, Resolved, Store};
use std::path::{Path, PathBuf};

/// The embedders whose models are here, and the errors of those that are not.
pub fn open(
    session: &Session,
    models_dir: Option<&Path>,
) -> anyhow::Result<(Embedders, Vec<ModelsError>)> {
    let catalogue = Catalogue::embedded()?;
    let store = store(models_dir)?;
    let mut missing = Vec::new();
    let models = models(&catalogue, &store, &mut missing);
    let default = EmbedOptions::default();
    let threads = session.run.threads.unwrap_or(default.threads);
    let options = EmbedOptions { threads, compute: session.compute_models()?, ..default };
    Ok((Embedders::new(models, options), missing))
}

fn models(catalogue: &Catalogue, store: &Store, missing: &mut Vec<ModelsError>) -> EmbedModels {
    let mut find = |name: &str| match store.resolve(catalogue, name) {
        Ok(found) => Some(found),
        Err(error) => {
            missing.push(error);
            None
        }
    };
    let Some(runtime) = find("onnxruntime") else { return EmbedModels::default() };
    let text = find("all-minilm-l6-v2").map(|found| TextModel {
        name: found.artefact.name.clone(),
        digest: digest(&found, "model.safetensors"),
        weights: path(&found, "model.safetensors"),
        tokenizer: path(&found, "tokenizer.json"),
        config: path(&found, "config.json"),
    });
    let labels = find("efficientnet-lite0").map(|found| LabelModel {
        name: found.artefact.name.clone(),
        digest: digest(&found, "efficientnet-lite0.safetensors"),
        weights: path(&found, "efficientnet-lite0.safetensors"),
    });
    EmbedModels { runtime: runtime.paths.first().cloned(), text, labels, ..EmbedModels::default() }
}

fn path(found: &Resolved<'_>, name: &str) -> PathBuf {
    found.path(name).map(Path::to_path_buf).unwrap_or_default()
}

fn digest(found: &Resolved<'_>, name: &str) -> String {
    found.artefact.file(name).and_then(|file| file.sha256.clone()).unwrap_or_default()
}
