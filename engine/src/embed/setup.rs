//! Which embedding models there are on this machine, and how they are run: each is loaded once,
//! when it is first asked for, and shared by all jobs.

use super::bert::BertShape;
use super::bert_candle::BertCandle;
use super::bert_onnx::BertOnnx;
use super::candle_net::ENGINE as CANDLE;
use super::efficientnet::{FEATURES, PREPARATION};
use super::efficientnet_candle::EfficientNetCandle;
use super::efficientnet_onnx::EfficientNetOnnx;
use super::embedder::{ImageEmbedder, TextEmbedder};
use super::embedding::ModelId;
use super::image_encoder::{ImageEncoder, ImageNet};
use super::joint::{Joint, JointShape};
use super::labels::Labeller;
use super::onnx_image::{OnnxImage, OnnxImageShape};
use super::text_encoder::{Rows, TextEncoder, TextNet};
use super::tokens::Tokens;
use crate::device::Compute;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::onnx::OnnxRuntime;
use crate::onnx::owner::Owner;
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The tokens of a text that MiniLM reads: sentence-transformers' setting for it. More positions
/// exist.
const MINILM_TOKENS: usize = 256;

/// A text embedder of BERT's kind with mean pooling, such as `all-minilm-l6-v2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextModel {
    /// The model's name in reports and in vectors.
    pub name: String,
    /// What tells its weights from any other, such as their sha256.
    pub digest: String,
    /// `model.safetensors`.
    pub weights: PathBuf,
    /// `tokenizer.json`.
    pub tokenizer: PathBuf,
    /// `config.json`.
    pub config: PathBuf,
}

/// A model of pictures and texts in one space: CLIP or SigLIP as Hugging Face publishes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JointModel {
    /// The model's name in reports and in vectors.
    pub name: String,
    /// What tells its weights from any other.
    pub digest: String,
    /// `model.safetensors`.
    pub weights: PathBuf,
    /// `tokenizer.json`.
    pub tokenizer: PathBuf,
    /// `config.json`.
    pub config: PathBuf,
}

/// EfficientNet-lite0, which knows ImageNet's labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelModel {
    /// The model's name in reports and in vectors.
    pub name: String,
    /// What tells its weights from any other.
    pub digest: String,
    /// `efficientnet-lite0.safetensors`.
    pub weights: PathBuf,
}

/// Any network for pictures in an ONNX file.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxImageModel {
    /// The model's name in reports and in vectors.
    pub name: String,
    /// What tells its file from any other.
    pub digest: String,
    /// The ONNX file.
    pub file: PathBuf,
    /// What it takes and gives.
    pub shape: OnnxImageShape,
}

/// The files that embedding needs. What is missing is simply not offered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbedModels {
    /// The library of ONNX Runtime.
    pub runtime: Option<PathBuf>,
    /// The text embedder.
    pub text: Option<TextModel>,
    /// The joint model of pictures and texts.
    pub joint: Option<JointModel>,
    /// The network that labels pictures.
    pub labels: Option<LabelModel>,
    /// Another network for pictures.
    pub image: Option<OnnxImageModel>,
}

/// Which program runs a model. CLIP and SigLIP are run by candle whatever is chosen, ONNX files by
/// ONNX Runtime; the network of labels is run in floats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EmbedEngine {
    /// ONNX Runtime in 32-bit floats.
    #[default]
    Onnx,
    /// ONNX Runtime with 8-bit products: 1.6 times as quick, and vectors that differ a little (a
    /// cosine of 0.988 at least to those of [`EmbedEngine::Onnx`] on the texts of the benchmark). They depend slightly on which texts are
    /// embedded together.
    OnnxInt8,
    /// candle: the reference, which needs no library besides.
    Candle,
}

impl EmbedEngine {
    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Onnx => "onnxruntime",
            Self::OnnxInt8 => "onnxruntime-int8",
            Self::Candle => CANDLE,
        }
    }
}

/// How the models are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbedOptions {
    /// What runs models that several programs can run.
    pub engine: EmbedEngine,
    /// Threads of one model.
    pub threads: NonZeroUsize,
    /// Where text embedders and joint models run. On a GPU it is candle that runs them, whatever the
    /// engine; the network of labels stays on the CPU.
    pub compute: Compute,
}

impl Default for EmbedOptions {
    /// ONNX Runtime in floats, on as many threads as there are cores.
    fn default() -> Self {
        Self {
            engine: EmbedEngine::default(),
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            compute: Compute::Cpu,
        }
    }
}

impl EmbedOptions {
    /// What runs the text embedder.
    fn text_engine(self) -> EmbedEngine {
        if self.compute.is_gpu() { EmbedEngine::Candle } else { self.engine }
    }
}

/// Embedders for any number of jobs.
pub struct Embedders {
    models: EmbedModels,
    options: EmbedOptions,
    text: Slot<dyn TextEmbedder>,
    joint: Mutex<Option<Pair>>,
    labels: Mutex<Option<Arc<ImageEncoder>>>,
    image: Slot<dyn ImageEmbedder>,
}

type Slot<T> = Mutex<Option<Arc<T>>>;

/// The two sides of a joint model.
type Pair = (Arc<dyn TextEmbedder>, Arc<dyn ImageEmbedder>);

impl std::fmt::Debug for Embedders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedders")
            .field("models", &self.models)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Embedders {
    /// Embedders of `models`, run by `options`. Nothing is loaded yet.
    pub fn new(models: EmbedModels, options: EmbedOptions) -> Self {
        Self {
            models,
            options,
            text: Mutex::default(),
            joint: Mutex::default(),
            labels: Mutex::default(),
            image: Mutex::default(),
        }
    }

    /// The files in use.
    pub fn models(&self) -> &EmbedModels {
        &self.models
    }

    /// The id in the vectors of [`Embedders::text`], without loading it: what results are kept
    /// under.
    pub fn text_id(&self) -> Option<ModelId> {
        self.models.text.as_ref().map(|model| text_id(model, self.options.text_engine()))
    }

    /// As [`Embedders::text_id`], for the vectors of both sides of [`Embedders::joint`].
    pub fn joint_id(&self) -> Option<ModelId> {
        self.models.joint.as_ref().map(|model| ModelId::new(&model.name, &model.digest))
    }

    /// As [`Embedders::text_id`], for those of the ONNX file of pictures.
    pub fn image_id(&self) -> Option<ModelId> {
        self.models.image.as_ref().map(|model| ModelId::new(&model.name, &model.digest))
    }

    /// As [`Embedders::text_id`], for those of [`Embedders::labeller`].
    pub fn labels_id(&self) -> Option<ModelId> {
        self.models.labels.as_ref().map(|model| ModelId::new(&model.name, &model.digest))
    }

    /// The text embedder.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] where there is none, or its files are damaged.
    pub fn text(&self) -> Result<Arc<dyn TextEmbedder>> {
        once(&self.text, || {
            let model = self.models.text.as_ref().ok_or_else(|| {
                missing("no text embedder is given", "run `rushes models pull all-minilm-l6-v2`")
            })?;
            self.open_text(model)
        })
    }

    /// The two sides of the joint model, whose vectors may be compared with each other.
    ///
    /// # Errors
    /// As [`Embedders::text`].
    pub fn joint(&self) -> Result<(Arc<dyn TextEmbedder>, Arc<dyn ImageEmbedder>)> {
        once(&self.joint, || {
            let model = self.models.joint.as_ref().ok_or_else(|| {
                missing(
                    "no joint model of pictures and texts is given",
                    "run `rushes models pull clip-vit-b-32`",
                )
            })?;
            self.open_joint(model)
        })
    }

    /// The network that gives pictures vectors and labels.
    ///
    /// # Errors
    /// As [`Embedders::text`].
    pub fn labeller(&self) -> Result<Labeller> {
        Ok(Labeller { encoder: self.label_encoder()? })
    }

    /// A picture embedder: the one of an ONNX file if it is given, else the labels' network.
    ///
    /// # Errors
    /// As [`Embedders::text`].
    pub fn image(&self) -> Result<Arc<dyn ImageEmbedder>> {
        let Some(model) = &self.models.image else { return Ok(self.label_encoder()?) };
        once(&self.image, || {
            let (runtime, threads) = (self.runtime()?, self.options.threads);
            let files = model.clone();
            let net = Owner::start(move || {
                let net = OnnxImage::open(&runtime, &files.file, files.shape, threads)?;
                Ok(Box::new(net) as Box<dyn ImageNet>)
            })?;
            Ok(Arc::new(ImageEncoder {
                id: ModelId::new(&model.name, &model.digest),
                dim: model.shape.dim,
                engine: EmbedEngine::Onnx.as_str(),
                preparation: model.shape.preparation,
                net,
            }) as Arc<dyn ImageEmbedder>)
        })
    }

    fn label_encoder(&self) -> Result<Arc<ImageEncoder>> {
        once(&self.labels, || {
            let model = self.models.labels.as_ref().ok_or_else(|| {
                missing(
                    "no network for pictures is given",
                    "run `rushes models pull efficientnet-lite0`",
                )
            })?;
            let threads = self.options.threads;
            let weights = model.weights.clone();
            let (net, engine) = match self.options.engine {
                EmbedEngine::Candle => {
                    let make = move || {
                        let net = EfficientNetCandle::open(&weights, threads)?;
                        Ok(Box::new(net) as Box<dyn ImageNet>)
                    };
                    (Owner::start(make)?, CANDLE)
                }
                EmbedEngine::Onnx | EmbedEngine::OnnxInt8 => {
                    let runtime = self.runtime()?;
                    let make = move || {
                        let net = EfficientNetOnnx::open(&runtime, &weights, threads)?;
                        Ok(Box::new(net) as Box<dyn ImageNet>)
                    };
                    (Owner::start(make)?, EmbedEngine::Onnx.as_str())
                }
            };
            Ok(Arc::new(ImageEncoder {
                id: ModelId::new(&model.name, &model.digest),
                dim: FEATURES,
                engine,
                preparation: PREPARATION,
                net,
            }))
        })
    }

    fn open_joint(&self, model: &JointModel) -> Result<Pair> {
        let shape = JointShape::open(&model.config)?;
        let tokens = Tokens::open(&model.tokenizer, shape.max_tokens)?;
        if tokens.vocabulary() > shape.vocabulary {
            return Err(super::weights::misfit(&model.tokenizer, "is of another model"));
        }
        let net =
            Joint::open(&model.weights, &model.config, self.options.compute, self.options.threads)?;
        let id = ModelId::new(&model.name, &model.digest);
        let side = net.clone();
        let text = TextEncoder {
            id: id.clone(),
            dim: shape.dim,
            engine: CANDLE,
            tokens,
            rows: shape.rows,
            net: Owner::start(move || Ok(Box::new(side) as Box<dyn TextNet>))?,
        };
        let image = ImageEncoder {
            id,
            dim: shape.dim,
            engine: CANDLE,
            preparation: shape.preparation,
            net: Owner::start(move || Ok(Box::new(net) as Box<dyn ImageNet>))?,
        };
        Ok((Arc::new(text), Arc::new(image)))
    }

    fn open_text(&self, model: &TextModel) -> Result<Arc<dyn TextEmbedder>> {
        let shape = BertShape::open(&model.config)?;
        let dim = shape.hidden_size;
        let vocabulary = shape.vocab_size;
        let longest = MINILM_TOKENS.min(shape.max_position_embeddings);
        let tokens = Tokens::open(&model.tokenizer, longest)?;
        if tokens.vocabulary() > vocabulary {
            return Err(super::weights::misfit(&model.tokenizer, "is of another model"));
        }
        let EmbedOptions { threads, compute, .. } = self.options;
        let engine = self.options.text_engine();
        let files = model.clone();
        let net = match engine {
            EmbedEngine::Candle => Owner::start(move || {
                let net = BertCandle::open(&files.weights, &files.config, compute, threads)?;
                Ok(Box::new(net) as Box<dyn TextNet>)
            })?,
            EmbedEngine::Onnx | EmbedEngine::OnnxInt8 => {
                let runtime = self.runtime()?;
                let bytes = engine == EmbedEngine::OnnxInt8;
                Owner::start(move || {
                    let net = BertOnnx::open(&runtime, &files.weights, &shape, threads, bytes)?;
                    Ok(Box::new(net) as Box<dyn TextNet>)
                })?
            }
        };
        Ok(Arc::new(TextEncoder {
            id: text_id(model, engine),
            dim,
            engine: engine.as_str(),
            tokens,
            rows: Rows { pad: 0, width: 0 },
            net,
        }))
    }

    fn runtime(&self) -> Result<OnnxRuntime> {
        let library = self.models.runtime.as_deref().ok_or_else(|| {
            missing(
                "no library of onnxruntime is given",
                "run `rushes models pull onnxruntime`, or embed with candle",
            )
        })?;
        OnnxRuntime::load(library)
    }
}

/// What is in `slot`, made by the first who asks.
fn once<T: Clone>(slot: &Mutex<Option<T>>, make: impl FnOnce() -> Result<T>) -> Result<T> {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = &*slot {
        return Ok(made.clone());
    }
    let made = make()?;
    *slot = Some(made.clone());
    Ok(made)
}

fn text_id(model: &TextModel, engine: EmbedEngine) -> ModelId {
    let id = ModelId::new(&model.name, &model.digest);
    match engine {
        // Their vectors are equal to six digits.
        EmbedEngine::Onnx | EmbedEngine::Candle => id,
        EmbedEngine::OnnxInt8 => id.with_arithmetic("int8"),
    }
}

fn missing(what: &'static str, hint: &'static str) -> Error {
    Error::new(ErrorKind::Model, Stage::Model, what).hint(hint)
}
