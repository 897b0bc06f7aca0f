//! Whisper through whisper.cpp: the weights once, a few states that decode with them.

mod file;
mod run;

use super::fallback::{agree, compression_ratio, is_poor, rank};
use super::prompt;
use super::recogniser::{
    Batch, Chunk, Recognised, Recogniser, SAMPLE_RATE, Wanted, finite, refuse,
};
use super::transcript::WordTimes;
use crate::control::Cancel;
use crate::device::Compute;
use crate::error::{Error, ErrorKind, Result, Stage};
use file::Header;
use run::{Attempt, Decoded, Models, has_gpu};
use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;
use whisper_rs::{
    DtwMode, DtwModelPreset, DtwParameters, WhisperContext, WhisperContextParameters, WhisperState,
};

/// Chunks are filled up with silence to this length: whisper.cpp reads 201 samples unasked, and
/// gives nothing for less than 100 ms.
const LEAST_SAMPLES: usize = SAMPLE_RATE as usize;

/// How whisper.cpp is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WhisperCppSettings {
    /// Threads for each chunk. They wait for each other by spinning, so `threads × states` is best
    /// no more than the number of cores; one thread a state costs the least CPU.
    pub threads: NonZeroUsize,
    /// Chunks recognised at a time, each with a state of its own: about 40 MB for tiny, 200 MB for
    /// small, besides the weights, which are held once. States are made when they are first needed.
    pub states: NonZeroUsize,
    /// Where the network runs.
    pub compute: Compute,
    /// Whether words are timed by alignment ([`WordTimes::Dtw`]) rather than by the model's own
    /// timestamps. It costs one more pass of the decoder over each text, words wanted or not, and
    /// excludes flash attention on a GPU.
    pub align_words: bool,
}

impl Default for WhisperCppSettings {
    /// One chunk at a time, one thread, no alignment.
    fn default() -> Self {
        Self {
            threads: NonZeroUsize::MIN,
            states: NonZeroUsize::MIN,
            compute: Compute::Cpu,
            align_words: false,
        }
    }
}

/// A Whisper model in whisper.cpp.
#[derive(Debug)]
pub struct WhisperCpp {
    name: String,
    models: Models,
    context: WhisperContext,
    settings: WhisperCppSettings,
    pool: Pool,
    /// The language last found: the first guess for the next chunk.
    guess: AtomicI32,
}

#[derive(Debug, Default)]
struct Pool {
    inside: Mutex<Inside>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Inside {
    idle: Vec<WhisperState>,
    /// States that exist, in use or not.
    made: usize,
}

impl WhisperCpp {
    /// Loads the ggml model at `path`, called `name` in reports (`whisper-tiny-q8`, say).
    ///
    /// # Errors
    /// [`ErrorKind::Model`] where the file is missing, cut off or no Whisper model.
    pub fn open(path: &Path, name: &str, settings: WhisperCppSettings) -> Result<Self> {
        // Without a hook whisper.cpp writes to stderr.
        whisper_rs::install_logging_hooks();
        let header = file::check(path)?;
        let preset = settings.align_words.then(|| alignment_heads(header, name)).flatten();
        let aligned = preset.is_some();
        let (use_gpu, gpu_device) = match settings.compute {
            Compute::Cpu => (false, 0),
            Compute::Cuda(number) if has_gpu() => (true, i32::try_from(number).unwrap_or(0)),
            // It would run on the CPU and say nothing.
            Compute::Cuda(number) => {
                let message = format!("whisper.cpp finds no GPU {number}");
                return Err(Error::new(ErrorKind::Resource, Stage::Model, message)
                    .hint("`rushes doctor` tells more; --device cpu works everywhere"));
            }
        };
        let parameters = WhisperContextParameters {
            use_gpu,
            // One excludes the other; whisper.cpp would drop alignment and only log it. On a CPU,
            // 1.8.3's flash attention is the slower (tiny, 33 s of prompts: 0.31 CPU-seconds per
            // second of sound with it, 0.24 without it although words were aligned besides).
            flash_attn: use_gpu && !aligned,
            gpu_device,
            dtw_parameters: DtwParameters {
                mode: preset
                    .map_or(DtwMode::None, |model_preset| DtwMode::ModelPreset { model_preset }),
                // Room for large-v2's 23 heads; pages that are not used are not touched.
                dtw_mem_size: 512 << 20,
            },
        };
        let context = WhisperContext::new_with_params(path, parameters).map_err(|error| {
            Error::new(
                ErrorKind::Model,
                Stage::Model,
                format!("whisper.cpp cannot load it: {error}"),
            )
            .input(path)
            .hint("`rushes models verify` tells whether the file is damaged")
        })?;
        let models = Models::new(&context, header, aligned, settings.threads);
        let english = whisper_rs::get_lang_id("en").unwrap_or(0);
        Ok(Self {
            name: name.to_owned(),
            models,
            context,
            settings,
            pool: Pool::default(),
            guess: AtomicI32::new(english),
        })
    }

    /// How words are timed where they are wanted.
    pub fn word_times(&self) -> WordTimes {
        if self.models.aligned { WordTimes::Dtw } else { WordTimes::Tokens }
    }

    /// Whether the model knows other languages than English.
    pub fn is_multilingual(&self) -> bool {
        self.models.header.multilingual()
    }

    /// whisper.cpp's number of `language`, a code (`de`) or an English name (`german`).
    fn language(&self, language: &str) -> Result<i32> {
        let plain = language.bytes().all(|b| b.is_ascii_alphabetic() || b == b' ');
        let id = if plain { whisper_rs::get_lang_id(&language.to_ascii_lowercase()) } else { None };
        let Some(id) = id else {
            let message = format!("language `{language}` is unknown");
            return Err(Error::new(ErrorKind::Unsupported, Stage::Transcribe, message)
                .hint("give an ISO 639 code such as `en` or `de`, or leave it out"));
        };
        let english = whisper_rs::get_lang_id("en");
        let known = if self.is_multilingual() {
            id < self.models.header.languages()
        } else {
            Some(id) == english
        };
        if known {
            Ok(id)
        } else {
            Err(self.misfit(format!("does not know language `{language}`")))
        }
    }

    fn misfit(&self, what: String) -> Error {
        Error::new(ErrorKind::Model, Stage::Transcribe, format!("model {} {what}", self.name))
            .hint("choose a multilingual model, such as whisper-small")
    }

    /// Takes a state from the pool, makes one, or waits for one.
    fn state(&self, cancel: &Cancel) -> Result<Lease<'_>> {
        loop {
            cancel.check(Stage::Transcribe)?;
            let mut inside = self.pool.inside.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(state) = inside.idle.pop() {
                return Ok(Lease { pool: &self.pool, state: Some(state) });
            }
            if inside.made < self.settings.states.get() {
                inside.made += 1;
                drop(inside);
                let mut lease = Lease { pool: &self.pool, state: None };
                // A failure drops the lease, which takes back the count.
                lease.state = Some(self.context.create_state().map_err(|_| {
                    Error::new(
                        ErrorKind::Resource,
                        Stage::Transcribe,
                        "not enough memory for the recogniser",
                    )
                    .hint("use a smaller model or fewer chunks at a time")
                })?);
                return Ok(lease);
            }
            let wait = Duration::from_millis(100);
            drop(
                self.pool.freed.wait_timeout(inside, wait).unwrap_or_else(PoisonError::into_inner),
            );
        }
    }

    fn chunk(&self, samples: &[f32], wanted: &Wanted, cancel: &Cancel) -> Result<Recognised> {
        let given = wanted.language.as_deref().map(|l| self.language(l)).transpose()?;
        if samples.is_empty() {
            return Ok(self.nothing(given));
        }
        let padded = pad(samples);
        let prompt = prompt::before(wanted, |text| {
            // A token is at least a byte, so there is always room.
            let found = self.context.tokenize(text, text.len() + 1);
            found.map_err(|error| run::failed(&format!("the prompt: {error}")))
        })?;
        let mut language =
            if self.is_multilingual() { given } else { whisper_rs::get_lang_id("en") };
        let mut probability = 1.0;
        let mut lease = self.state(cancel)?;
        let mut best: Option<Judged> = None;
        let temperatures =
            if wanted.temperatures.is_empty() { &[0.0][..] } else { &wanted.temperatures };
        let mut index = 0;
        while let Some(&temperature) = temperatures.get(index) {
            cancel.check(Stage::Transcribe)?;
            let attempt = Attempt {
                samples: &padded,
                language: language.unwrap_or_else(|| self.guess.load(Ordering::Relaxed)),
                find_language: language.is_none(),
                translate: wanted.translate,
                search: wanted.search,
                temperature,
                last: index + 1 == temperatures.len(),
                prompt: if prompt::is_read_at(temperature, wanted) { &prompt } else { &[] },
                words: wanted.words,
            };
            let outcome = self.models.decode(&mut lease.state, &attempt, cancel)?;
            if language.is_none() {
                let (id, sure) = self.choose(&outcome.languages, wanted)?;
                (language, probability) = (Some(id), sure);
                self.guess.store(id, Ordering::Relaxed);
                let broken_off = outcome.decoded.is_none() && !outcome.looped;
                if id != attempt.language || broken_off {
                    continue;
                }
            }
            index += 1;
            if temperature > 0.0 {
                // Its random numbers have moved on: no other chunk's text may depend on that.
                lease.spend(self)?;
            }
            let Some(decoded) = outcome.decoded else { continue };
            let judged = Judged::new(decoded, temperature);
            let poor = judged.is_poor(wanted);
            let again = temperature > 0.0
                && best
                    .as_ref()
                    .is_some_and(|best| agree(&judged.decoded.tokens(), &best.decoded.tokens()));
            if !poor || best.as_ref().is_none_or(|best| judged.is_better(best, wanted)) {
                best = Some(judged);
            }
            if !poor || again {
                break;
            }
        }
        drop(lease);
        let Some(best) = best else { return Ok(self.nothing(language)) };
        let code = language.and_then(whisper_rs::get_lang_str).unwrap_or("en").to_owned();
        let (no_speech_prob, temperature) = (best.decoded.no_speech_prob, best.temperature);
        Ok(Recognised {
            language_probability: probability,
            no_speech_prob,
            temperature,
            compression_ratio: best.compression_ratio,
            pieces: best.decoded.pieces(&code, samples, wanted.words),
            language: code,
        })
    }

    /// The language to decode in, from the probabilities found.
    fn choose(&self, found: &[f32], wanted: &Wanted) -> Result<(i32, f32)> {
        let top = found.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        let Some((id, &sure)) = top else {
            return Err(Error::new(
                ErrorKind::Internal,
                Stage::Transcribe,
                "whisper.cpp gave no languages",
            ));
        };
        if sure < wanted.language_threshold
            && let Some(fallback) = wanted.fallback_language.as_deref()
        {
            let id = self.language(fallback)?;
            return Ok((id, found.get(id as usize).copied().unwrap_or(0.0)));
        }
        Ok((id as i32, sure))
    }

    /// The result for no sound, or none that is text.
    fn nothing(&self, language: Option<i32>) -> Recognised {
        let id = language.unwrap_or_else(|| self.guess.load(Ordering::Relaxed));
        Recognised {
            language: whisper_rs::get_lang_str(id).unwrap_or("en").to_owned(),
            language_probability: if language.is_some() { 1.0 } else { 0.0 },
            no_speech_prob: 1.0,
            temperature: 0.0,
            compression_ratio: 0.0,
            pieces: Vec::new(),
        }
    }
}

impl Recogniser for WhisperCpp {
    fn model(&self) -> &str {
        &self.name
    }

    fn engine(&self) -> &'static str {
        "whisper.cpp"
    }

    fn batch(&self) -> Batch {
        Batch::ONE
    }

    fn callers(&self) -> usize {
        self.settings.states.get()
    }

    fn recognise(
        &self,
        chunks: &[Chunk<'_>],
        wanted: &Wanted,
        cancel: &Cancel,
        give: &mut dyn FnMut(usize, Recognised),
    ) -> Result<()> {
        if wanted.translate && !self.is_multilingual() {
            return Err(self.misfit("knows English only and cannot translate".into()));
        }
        refuse(chunks, wanted)?;
        for (at, chunk) in chunks.iter().enumerate() {
            give(at, self.chunk(chunk.samples, wanted, cancel)?);
        }
        Ok(())
    }
}

/// A decoded chunk with its measures.
struct Judged {
    decoded: Decoded,
    temperature: f32,
    compression_ratio: f32,
    avg_logprob: f32,
}

impl Judged {
    fn new(decoded: Decoded, temperature: f32) -> Self {
        let compression_ratio = compression_ratio(decoded.text().trim());
        let avg_logprob = decoded.avg_logprob();
        Self { decoded, temperature, compression_ratio, avg_logprob }
    }

    fn is_poor(&self, wanted: &Wanted) -> bool {
        let no_speech = self.decoded.no_speech_prob;
        is_poor(wanted, self.avg_logprob, self.compression_ratio, no_speech)
            || (prompt::is_read_at(self.temperature, wanted)
                && prompt::is_echoed(wanted, &self.decoded.text()))
    }

    /// Of two poor results, by [`rank`].
    fn is_better(&self, other: &Self, wanted: &Wanted) -> bool {
        let rank = |judged: &Self| rank(wanted, judged.avg_logprob, judged.compression_ratio);
        rank(self) > rank(other)
    }
}

/// A state in use, given back to the pool when it is dropped.
struct Lease<'a> {
    pool: &'a Pool,
    state: Option<WhisperState>,
}

impl Lease<'_> {
    /// Takes a new state in place of this one.
    fn spend(&mut self, model: &WhisperCpp) -> Result<()> {
        self.state = None;
        self.state = Some(model.context.create_state().map_err(|_| run::failed("no memory"))?);
        Ok(())
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut inside = self.pool.inside.lock().unwrap_or_else(PoisonError::into_inner);
        match self.state.take() {
            Some(state) => inside.idle.push(state),
            None => inside.made = inside.made.saturating_sub(1),
        }
        self.pool.freed.notify_one();
    }
}

/// Samples that whisper.cpp can take: long enough, all numbers.
fn pad(samples: &[f32]) -> Cow<'_, [f32]> {
    let mut padded = finite(samples);
    if padded.len() < LEAST_SAMPLES {
        padded.to_mut().resize(LEAST_SAMPLES, 0.0);
    }
    padded
}

/// The attention heads that align well, known for OpenAI's models only; they are told apart by
/// their shape, and the large ones by name where shape does not tell.
fn alignment_heads(header: Header, name: &str) -> Option<DtwModelPreset> {
    let english = !header.multilingual();
    Some(match (header.audio_layers, header.text_layers, english) {
        (4, 4, true) => DtwModelPreset::TinyEn,
        (4, 4, false) => DtwModelPreset::Tiny,
        (6, 6, true) => DtwModelPreset::BaseEn,
        (6, 6, false) => DtwModelPreset::Base,
        (12, 12, true) => DtwModelPreset::SmallEn,
        (12, 12, false) => DtwModelPreset::Small,
        (24, 24, true) => DtwModelPreset::MediumEn,
        (24, 24, false) => DtwModelPreset::Medium,
        (32, 4, false) => DtwModelPreset::LargeV3Turbo,
        (32, 32, false) if header.vocabulary == 51_866 => DtwModelPreset::LargeV3,
        (32, 32, false) if name.contains("v1") => DtwModelPreset::LargeV1,
        (32, 32, false) => DtwModelPreset::LargeV2,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
