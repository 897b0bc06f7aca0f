//! From the model store to the engine's [`Embedders`].

use super::Session;
use super::models::{read_manifests, store};
use clap::Args;
use rushes::embed::{
    EmbedModels, EmbedOptions, Embedders, JointModel, LabelModel, ModelId, OnnxImageModel,
    OnnxImageShape, TextModel,
};
use rushes::library::Catalogue as Library;
use rushes_models::{Catalogue, ModelsError, Resolved, Store};
use std::path::{Path, PathBuf};

/// Joint models, the better one first.
const JOINT: [&str; 2] = ["siglip-b-16", "clip-vit-b-32"];
const WEIGHTS: &str = "model.safetensors";

/// Which models look at pictures, beside the one that names what is shown.
#[derive(Args, Clone, Debug, Default)]
pub struct LookArgs {
    /// Joint model of pictures and texts: a name from `rushes models list`, or a manifest (.toml)
    /// [default: siglip-b-16 or clip-vit-b-32, where one is here]
    #[arg(long, value_name = "MODEL")]
    pub joint: Option<String>,
    /// Another model of pictures, an ONNX file that its manifest (.toml) describes in [pictures]
    #[arg(long, value_name = "MODEL")]
    pub image_model: Option<String>,
}

/// What was found of the models.
pub struct Found {
    /// The embedders whose models are here.
    pub embedders: Embedders,
    /// The errors of those that are not.
    pub missing: Vec<ModelsError>,
}

/// The embedders whose models are here; or the error of one that was named and is not. Of joint models
/// the one is taken that has looked at `library`.
pub fn open(
    session: &Session,
    models_dir: Option<&Path>,
    look: &LookArgs,
    library: Option<&Library>,
) -> anyhow::Result<Result<Found, ModelsError>> {
    let mut catalogue = Catalogue::embedded()?;
    let mut named = [look.joint.clone(), look.image_model.clone()];
    for name in named.iter_mut().flatten() {
        *name = read_manifests(&mut catalogue, std::slice::from_ref(name))?.concat();
    }
    let [joint, image] = named;
    let store = store(models_dir)?;
    let mut missing = Vec::new();
    let mut models = common(&catalogue, &store, &mut missing);
    models.joint = match joint {
        Some(name) => match store.resolve(&catalogue, &name) {
            Ok(found) => Some(joint_model(&found)?),
            Err(error) => return Ok(Err(error)),
        },
        None => any_joint(&catalogue, &store, library)?,
    };
    if let Some(name) = image {
        models.image = match store.resolve(&catalogue, &name) {
            Ok(found) => Some(image_model(&found)?),
            Err(error) => return Ok(Err(error)),
        };
    }
    let default = EmbedOptions::default();
    let threads = session.run.threads.unwrap_or(default.threads);
    let options = EmbedOptions { threads, compute: session.compute_models()?, ..default };
    let embedders = Embedders::new(models, options);
    Ok(Ok(Found { embedders, missing }))
}

/// The models that need no choice.
fn common(catalogue: &Catalogue, store: &Store, missing: &mut Vec<ModelsError>) -> EmbedModels {
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
        digest: digest(&found, WEIGHTS),
        weights: path(&found, WEIGHTS),
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

/// A joint model that is here, best one that has looked at the library's pictures.
fn any_joint(
    catalogue: &Catalogue,
    store: &Store,
    library: Option<&Library>,
) -> anyhow::Result<Option<JointModel>> {
    let here = JOINT.iter().filter_map(|name| store.resolve(catalogue, name).ok());
    let mut here = here.map(|found| joint_model(&found)).collect::<anyhow::Result<Vec<_>>>()?;
    if here.len() > 1
        && let Some(library) = library
    {
        let known = library.embedding_models()?;
        let has_looked = |model: &JointModel| {
            let id = ModelId::new(&model.name, &model.digest);
            known.iter().any(|(model, ..)| model == id.as_str())
        };
        here.sort_by_key(|model| !has_looked(model));
    }
    Ok(here.into_iter().next())
}

fn joint_model(found: &Resolved<'_>) -> anyhow::Result<JointModel> {
    let name = found.artefact.name.clone();
    if [WEIGHTS, "tokenizer.json", "config.json"].iter().any(|file| found.path(file).is_none()) {
        anyhow::bail!("{name} is no joint model: it needs {WEIGHTS}, tokenizer.json, config.json");
    }
    Ok(JointModel {
        name,
        digest: digest(found, WEIGHTS),
        weights: path(found, WEIGHTS),
        tokenizer: path(found, "tokenizer.json"),
        config: path(found, "config.json"),
    })
}

fn image_model(found: &Resolved<'_>) -> anyhow::Result<OnnxImageModel> {
    let name = found.artefact.name.clone();
    let (Some(shape), [file]) =
        (OnnxImageShape::of(found.artefact), found.artefact.files.as_slice())
    else {
        anyhow::bail!(
            "{name} is no ONNX model of pictures: its manifest needs [pictures], dims, and one file"
        );
    };
    Ok(OnnxImageModel {
        name,
        digest: digest(found, &file.name),
        file: path(found, &file.name),
        shape,
    })
}

fn path(found: &Resolved<'_>, name: &str) -> PathBuf {
    found.path(name).map(Path::to_path_buf).unwrap_or_default()
}

fn digest(found: &Resolved<'_>, name: &str) -> String {
    found.digest(name).unwrap_or_default()
}
