//! From the model store to the engine's [`Ocr`].

use super::Session;
use super::models::store;
use rushes::vision::ocr::{Ocr, OcrFile, OcrModels};
use rushes_models::{Catalogue, ModelsError, Store};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// What reads text in pictures; or which of its models is missing.
pub fn open(
    session: &Session,
    models_dir: Option<&Path>,
) -> anyhow::Result<Result<Ocr, ModelsError>> {
    let catalogue = Catalogue::embedded()?;
    let store = store(models_dir)?;
    let default = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let threads = session.run.threads.unwrap_or_else(default);
    Ok(models(&catalogue, &store).map(|models| Ocr::new(models, threads)))
}

fn models(catalogue: &Catalogue, store: &Store) -> Result<OcrModels, ModelsError> {
    let file = |name: &str| {
        let found = store.resolve(catalogue, name)?;
        let file = found.artefact.files.first();
        Ok(OcrFile {
            name: found.artefact.name.clone(),
            digest: file.and_then(|file| file.sha256.clone()).unwrap_or_default(),
            path: found.paths.first().cloned().unwrap_or_default(),
        })
    };
    let runtime: PathBuf =
        store.resolve(catalogue, "onnxruntime")?.paths.first().cloned().unwrap_or_default();
    Ok(OcrModels { runtime, detector: file("pp-ocr-det")?, recogniser: file("pp-ocr-rec")? })
}
