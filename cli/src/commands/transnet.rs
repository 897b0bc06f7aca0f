//! From the model store to the engine's [`TransNet`].

use super::Session;
use super::models::store;
use rushes::vision::transnet::{TransNet, TransNetModel};
use rushes_models::{Catalogue, ModelsError};
use std::num::NonZeroUsize;
use std::path::Path;

/// The network that finds shots; or which of its files is missing.
pub fn open(
    session: &Session,
    models_dir: Option<&Path>,
) -> anyhow::Result<Result<TransNet, ModelsError>> {
    let catalogue = Catalogue::embedded()?;
    let store = store(models_dir)?;
    let (runtime, found) =
        match (store.resolve(&catalogue, "onnxruntime"), store.resolve(&catalogue, "transnetv2")) {
            (Ok(runtime), Ok(found)) => (runtime, found),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
        };
    let weights = found.artefact.files.first().map_or("", |file| file.name.as_str());
    let model = TransNetModel {
        runtime: runtime.paths.into_iter().next().unwrap_or_default(),
        name: found.artefact.name.clone(),
        digest: found.digest(weights).unwrap_or_default(),
        weights: found.path(weights).map(Path::to_path_buf).unwrap_or_default(),
    };
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    Ok(Ok(TransNet::new(model, session.run.threads.unwrap_or(cores))))
}
