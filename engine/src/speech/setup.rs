//! Where models are and how they are run: loaded once, when first needed, and shared by all
//! inputs.

use super::chunks::{ChunkOptions, Chunker};
use super::desk::Desk;
use super::onnx_whisper::OnnxWhisper;
use super::recogniser::Recogniser;
use super::transcribe::TranscribeSettings;
use super::transcript::WordTimes;
use super::vad::Vad;
use super::whisper_cpp::{WhisperCpp, WhisperCppSettings};
use crate::device::Compute;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::onnx::OnnxRuntime;
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A file of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFile {
    /// The model's name in reports.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What tells its content from any other, such as its sha256: results are kept under it.
    pub digest: String,
}

/// The files that speech recognition needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeechModels {
    /// The library of ONNX Runtime. Voice detection needs it, and the recogniser of that name.
    pub runtime: Option<PathBuf>,
    /// Silero VAD. Transcribing without voice detection needs none.
    pub vad: Option<ModelFile>,
    /// Whisper's weights in ggml's format.
    pub whisper: ModelFile,
}

/// Which program runs the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SpeechEngine {
    /// whisper.cpp, chunk by chunk.
    WhisperCpp,
    /// ONNX Runtime, in batches.
    OnnxRuntime,
}

impl SpeechEngine {
    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WhisperCpp => "whisper.cpp",
            Self::OnnxRuntime => "onnxruntime",
        }
    }

    /// How speech is best cut for it. whisper.cpp pays for 30 s of encoder whatever a chunk's length,
    /// so its chunks are filled up across pauses of any length.
    pub fn chunks(self) -> ChunkOptions {
        match self {
            Self::WhisperCpp => ChunkOptions { break_gap_ms: 30_000, ..ChunkOptions::default() },
            Self::OnnxRuntime => ChunkOptions::default(),
        }
    }
}

/// How the models are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpeechOptions {
    /// The recogniser.
    pub engine: SpeechEngine,
    /// Threads that recognise.
    pub threads: NonZeroUsize,
    /// Where the recogniser runs. Only whisper.cpp runs on a GPU.
    pub compute: Compute,
    /// Whether words are timed by alignment: it takes memory and time, words wanted or not.
    pub align_words: bool,
}

impl Default for SpeechOptions {
    /// whisper.cpp on as many threads as there are cores, without alignment.
    fn default() -> Self {
        Self {
            engine: SpeechEngine::WhisperCpp,
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            compute: Compute::Cpu,
            align_words: false,
        }
    }
}

/// Chunks that whisper.cpp recognises at a time on a GPU. Decoding token by token is bound by
/// launches, so several at once fill it; each has a state of its own there.
const GPU_STATES: NonZeroUsize = NonZeroUsize::new(8).unwrap();

impl SpeechOptions {
    /// How many chunks whisper.cpp recognises at a time.
    fn states(self) -> NonZeroUsize {
        if self.compute.is_gpu() { GPU_STATES } else { self.threads }
    }
}

/// Speech recognition for any number of inputs. Nothing is loaded before it is needed, so that a
/// run that finds everything done costs nothing.
pub struct Speech {
    models: SpeechModels,
    options: SpeechOptions,
    loaded: Mutex<Option<Loaded>>,
    runtime: Mutex<Option<OnnxRuntime>>,
}

#[derive(Clone)]
struct Loaded {
    desk: Arc<Desk>,
    word_times: WordTimes,
}

impl std::fmt::Debug for Speech {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Speech")
            .field("models", &self.models)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Speech {
    /// Speech recognition with `models`, run by `options`.
    pub fn new(models: SpeechModels, options: SpeechOptions) -> Self {
        Self { models, options, loaded: Mutex::default(), runtime: Mutex::default() }
    }

    /// The files in use.
    pub fn models(&self) -> &SpeechModels {
        &self.models
    }

    /// The recogniser that is run.
    pub fn engine(&self) -> SpeechEngine {
        self.options.engine
    }

    /// What of the models and the way they are run decides a transcript.
    pub(crate) fn identity(&self, settings: &TranscribeSettings) -> impl Serialize + use<> {
        #[derive(Serialize)]
        struct Identity {
            whisper: [String; 2],
            vad: Option<String>,
            engine: SpeechEngine,
            align_words: bool,
            settings: TranscribeSettings,
        }
        Identity {
            whisper: [self.models.whisper.name.clone(), self.models.whisper.digest.clone()],
            vad: settings.vad.and_then(|_| self.models.vad.as_ref().map(|vad| vad.digest.clone())),
            engine: self.options.engine,
            align_words: self.options.align_words,
            settings: settings.clone(),
        }
    }

    /// The desk of the recogniser, which is loaded by the first call.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] where a model is missing, damaged or of another kind;
    /// [`ErrorKind::Resource`].
    pub fn desk(&self) -> Result<Arc<Desk>> {
        Ok(self.load()?.desk)
    }

    /// How words are timed where they are wanted.
    ///
    /// # Errors
    /// As [`Speech::desk`].
    pub fn word_times(&self) -> Result<WordTimes> {
        Ok(self.load()?.word_times)
    }

    fn load(&self) -> Result<Loaded> {
        let mut slot = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = &*slot {
            return Ok(loaded.clone());
        }
        let whisper = &self.models.whisper;
        let (recogniser, word_times): (Arc<dyn Recogniser>, WordTimes) = match self.options.engine {
            SpeechEngine::WhisperCpp => {
                // One thread a state costs the least CPU: whisper.cpp's threads spin while they
                // wait for each other.
                let settings = WhisperCppSettings {
                    threads: NonZeroUsize::MIN,
                    states: self.options.states(),
                    compute: self.options.compute,
                    align_words: self.options.align_words,
                };
                let opened = WhisperCpp::open(&whisper.path, &whisper.name, settings)?;
                let times = opened.word_times();
                (Arc::new(opened), times)
            }
            SpeechEngine::OnnxRuntime => {
                let opened = OnnxWhisper::open(
                    &self.runtime()?,
                    &whisper.path,
                    &whisper.name,
                    self.options.threads,
                )?;
                (Arc::new(opened), WordTimes::Dtw)
            }
        };
        let loaded = Loaded { desk: Arc::new(Desk::new(recogniser)?), word_times };
        *slot = Some(loaded.clone());
        Ok(loaded)
    }

    /// How many inputs at a time keep the recogniser busy, even where each is one short chunk.
    pub fn lanes(&self) -> usize {
        // More than a batch, so that the next one is ready when it is done.
        match self.options.engine {
            SpeechEngine::WhisperCpp => self.options.states().get() + 1,
            SpeechEngine::OnnxRuntime => 12,
        }
    }

    /// A chunker for one input.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] where voice detection is wanted and its files are missing or damaged.
    pub fn chunker(&self, settings: &TranscribeSettings) -> Result<Chunker> {
        let Some(regions) = settings.vad else { return Ok(Chunker::without_vad(settings.chunks)) };
        let model =
            self.models.vad.as_ref().ok_or_else(|| missing("no voice detector is given"))?;
        let vad = Vad::open(&self.runtime()?, &model.path)?;
        Ok(Chunker::new(vad, regions, settings.chunks))
    }

    fn runtime(&self) -> Result<OnnxRuntime> {
        let mut slot = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*slot {
            return Ok(runtime.clone());
        }
        let library: Option<&Path> = self.models.runtime.as_deref();
        let library = library.ok_or_else(|| missing("no library of onnxruntime is given"))?;
        let runtime = OnnxRuntime::load(library)?;
        *slot = Some(runtime.clone());
        Ok(runtime)
    }
}

fn missing(what: &'static str) -> Error {
    Error::new(ErrorKind::Model, Stage::Model, what)
        .hint("run `rushes models pull silero-vad onnxruntime`, or transcribe without it")
}
