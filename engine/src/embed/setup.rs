//! Which embedding models there are on this machine, and how they are run: each is loaded once,
//! when it is first asked for, and shared by all jobs.

use super::bert::BertShape;
use super::bert_candle::BertCandle;
use super::bert_onnx::BertOnnx;
use super::embedder::TextEmbedder;
use super::embedding::ModelId;
use super::owner::Owner;
use super::text_encoder::{Rows, TextEncoder, TextNet};
use super::tokens::Tokens;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::onnx::OnnxRuntime;
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The tokens of a text that MiniLM reads: sentence-transformers' setting for it. More positions
/// exist, but the model was trained on 128 and evaluated with 256.
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

/// The files that embedding needs. What is missing is simply not offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmbedModels {
    /// The library of ONNX Runtime.
    pub runtime: Option<PathBuf>,
    /// The text embedder.
    pub text: Option<TextModel>,
}

/// Which program runs a text embedder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EmbedEngine {
    /// ONNX Runtime in 32-bit floats.
    #[default]
    Onnx,
    /// ONNX Runtime with 8-bit products: quicker, and vectors that differ a little (a cosine of
    /// 0.99 and more to those of [`EmbedEngine::Onnx`]). They depend slightly on which texts are
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
            Self::Candle => super::candle_net::ENGINE,
        }
    }
}

/// How the models are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbedOptions {
    /// What runs text embedders.
    pub engine: EmbedEngine,
    /// Threads of one model.
    pub threads: NonZeroUsize,
}

impl Default for EmbedOptions {
    /// ONNX Runtime in floats, on as many threads as there are cores.
    fn default() -> Self {
        Self {
            engine: EmbedEngine::default(),
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        }
    }
}

/// Embedders for any number of jobs.
pub struct Embedders {
    models: EmbedModels,
    options: EmbedOptions,
    text: Mutex<Option<Arc<dyn TextEmbedder>>>,
}

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
        Self { models, options, text: Mutex::default() }
    }

    /// The files in use.
    pub fn models(&self) -> &EmbedModels {
        &self.models
    }

    /// The id in the vectors of [`Embedders::text`], without loading it: what results are kept
    /// under.
    pub fn text_id(&self) -> Option<ModelId> {
        self.models.text.as_ref().map(|model| text_id(model, self.options.engine))
    }

    /// The text embedder.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] where there is none, or its files are damaged.
    pub fn text(&self) -> Result<Arc<dyn TextEmbedder>> {
        let mut slot = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = &*slot {
            return Ok(loaded.clone());
        }
        let model = self.models.text.as_ref().ok_or_else(|| {
            missing("no text embedder is given", "run `rushes models pull all-minilm-l6-v2`")
        })?;
        let loaded = self.open_text(model)?;
        *slot = Some(loaded.clone());
        Ok(loaded)
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
        let EmbedOptions { engine, threads } = self.options;
        let files = model.clone();
        let net = match engine {
            EmbedEngine::Candle => Owner::start(move || {
                let net = BertCandle::open(&files.weights, &files.config, threads)?;
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
