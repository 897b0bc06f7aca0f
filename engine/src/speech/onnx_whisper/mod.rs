//! Whisper in ONNX Runtime, many chunks at a time.
//!
//! The same ggml file that whisper.cpp reads is made into three graphs in memory: an encoder that
//! does not work on silence, a decoder that writes one token for each of a batch of chunks, and an
//! aligner that times words. The search, its rules and its fallback are OpenAI's.

mod align;
mod cross;
mod decoder;
mod encoder;
mod heard;
mod int8;
mod logits;
mod mel;
mod rules;
mod runs;
mod search;
mod tokens;
mod weights;

use super::fallback::{agree, compression_ratio, is_poor, is_silence, rank};
use super::recogniser::{
    Batch, Chunk, MAX_CHUNK_SAMPLES, Piece, Recognised, Recogniser, Search, Wanted, finite, refuse,
};
use super::{languages, prompt};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::onnx::runtime::{OnnxRuntime, run_failed};
use align::Aligner;
use decoder::{Decoder, Embedding, Memory};
use encoder::Encoder;
use heard::Heard;
use ort::session::RunOptions;
use runs::Runs;
use rushes_models::convert::{Ggml, WhisperShape};
use search::{Begun, Choice, Found, search};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokens::{TICK_SAMPLES, Tokens};

/// Chunks decoded together at most.
const BATCH: usize = 8;
/// Samples of them together with tiny, 2 min. What was heard takes memory, 9 MB for 30 s, and is
/// lost where the process is killed: two to four seconds of work.
const BATCH_SAMPLES: usize = 120 * 16_000;

/// Hypotheses drawn at temperatures above 0, as OpenAI's `best_of`.
const DRAWN: usize = 5;

/// Sound behind the last timestamp that is asked about again, 1 s: pauses are shorter in chunks
/// that were cut by voice detection.
const LEAST_REST: usize = 16_000;
/// What a text must have covered for that, so that it comes to an end: 0.5 s.
const LEAST_PROGRESS: usize = 8_000;

/// What an attempt at a chunk came to.
#[derive(Clone, Debug, Default)]
struct Tried {
    found: Found,
    /// Its compression ratio.
    ratio: f32,
    temperature: f32,
}

impl Tried {
    /// Of two poor results: one that came to its end, and then by [`rank`].
    fn is_better_than(&self, before: &Self, wanted: &Wanted) -> bool {
        let rank = |t: &Self| (t.found.ended, rank(wanted, t.found.mean(), t.ratio));
        rank(self) > rank(before)
    }
}

/// Languages are found by the decoder's first token.
#[derive(Clone, Debug)]
struct Spoken {
    token: u32,
    probability: f32,
}

/// A Whisper model in ONNX Runtime.
pub struct OnnxWhisper {
    name: String,
    path: PathBuf,
    tokens: Tokens,
    shape: WhisperShape,
    runtime: OnnxRuntime,
    threads: NonZeroUsize,
    engine: Mutex<Graphs>,
}

struct Graphs {
    encoder: Encoder,
    decoder: Decoder,
    /// Made when words are first wanted.
    aligner: Option<Aligner>,
    embedding: Embedding,
}

impl std::fmt::Debug for OnnxWhisper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnnxWhisper").field("name", &self.name).finish_non_exhaustive()
    }
}

impl OnnxWhisper {
    /// Loads the ggml model at `path`, called `name` in reports, to be run with `threads` threads.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] where the file is missing, damaged or no Whisper model.
    pub fn open(
        runtime: &OnnxRuntime,
        path: &Path,
        name: &str,
        threads: NonZeroUsize,
    ) -> Result<Self> {
        rushes_models::convert::check_ggml(path).map_err(|e| cannot_load(&e, path))?;
        let model = Arc::new(Ggml::open(path).map_err(|e| cannot_load(&e, path))?);
        let options = runtime.options(threads).map_err(|e| cannot_load(&e, path))?;
        let build = || -> crate::onnx::Built<Graphs> {
            let encoder = Encoder::new(&model, &options)?;
            let embedding = Embedding::new(model.clone())?;
            let decoder = Decoder::new(&model, &embedding, &options)?;
            Ok(Graphs { encoder, decoder, aligner: None, embedding })
        };
        let graphs = build().map_err(|e| cannot_load(&e, path))?;
        Ok(Self {
            name: name.to_owned(),
            path: path.to_owned(),
            tokens: Tokens::new(model.vocabulary(), model.shape().vocabulary as usize),
            shape: *model.shape(),
            runtime: runtime.clone(),
            threads,
            engine: Mutex::new(graphs),
        })
    }

    /// What stands before the start: words to expect and text to go on from.
    fn before(&self, wanted: &Wanted) -> Vec<u32> {
        let spell = |text: &str| Ok::<_, std::convert::Infallible>(self.tokens.encode(text));
        let Ok(tokens) = prompt::before(wanted, spell);
        if tokens.is_empty() { tokens } else { [&[self.tokens.previous()], &*tokens].concat() }
    }

    /// The token of the language that is given, if it and the task are for this model.
    fn check(&self, wanted: &Wanted) -> Result<Option<u32>> {
        let misfit = |what: String| {
            let message = format!("model {} {what}", self.name);
            Error::new(ErrorKind::Model, Stage::Transcribe, message)
                .hint("choose a multilingual model, such as whisper-small")
        };
        if wanted.translate && !self.tokens.is_multilingual() {
            return Err(misfit("knows English only and cannot translate".into()));
        }
        let Some(language) = &wanted.language else { return Ok(None) };
        let code = languages::code(language).ok_or_else(|| {
            let message = format!("language `{language}` is unknown");
            Error::new(ErrorKind::Unsupported, Stage::Transcribe, message)
                .hint("give an ISO 639 code such as `en` or `de`, or leave it out")
        })?;
        let token = self.tokens.language(code);
        match token.filter(|_| self.tokens.is_multilingual() || code == "en") {
            Some(token) => Ok(Some(token)),
            None => Err(misfit(format!("does not know language `{language}`"))),
        }
    }

    /// Recognises all of `chunks`. Where a text ends well before its chunk does, the model has left
    /// speech out: it is asked again for the rest, as OpenAI's `transcribe.py` does by seeking to
    /// the last timestamp. (With tiny and 750 s of prompts in a row: 67 words wrong instead of 162.)
    fn recognise_all(
        &self,
        graphs: &mut Graphs,
        chunks: &[Chunk<'_>],
        wanted: &Wanted,
        language: Option<u32>,
        runs: &Runs<'_>,
        give: &mut dyn FnMut(usize, Recognised),
    ) -> ort::Result<()> {
        let mut begun: Vec<Option<Recognised>> = vec![None; chunks.len()];
        let mut waiting: Vec<(usize, usize)> = (0..chunks.len()).map(|at| (at, 0)).collect();
        while !waiting.is_empty() {
            let mut left = Vec::new();
            for batch in
                batches(&waiting, self.batch(), |(at, from)| chunks[at].samples.len() - from)
            {
                let parts: Vec<Chunk<'_>> = batch
                    .iter()
                    .map(|&(at, from)| Chunk { samples: &chunks[at].samples[from..] })
                    .collect();
                let mut take = |part: usize, found: Recognised| {
                    let (at, from) = batch[part];
                    // Nothing more is asked of what is silent.
                    let last = found.pieces.last().filter(|piece| !piece.silent);
                    let rest = last.map(|piece| piece.samples.end as usize).filter(|end| {
                        *end >= LEAST_PROGRESS
                            && chunks[at].samples.len() - from - end >= LEAST_REST
                    });
                    let whole = match begun[at].take() {
                        Some(mut whole) => {
                            append(&mut whole, found, from);
                            whole
                        }
                        None => found,
                    };
                    match rest {
                        Some(end) => {
                            left.push((at, from + end));
                            begun[at] = Some(whole);
                        }
                        None => give(at, whole),
                    }
                };
                self.recognise_with(graphs, &parts, wanted, language, runs, &mut take)?;
            }
            // In the chunks' order, whichever was finished first.
            left.sort_unstable();
            waiting = left;
        }
        Ok(())
    }

    fn recognise_with(
        &self,
        graphs: &mut Graphs,
        chunks: &[Chunk<'_>],
        wanted: &Wanted,
        language: Option<u32>,
        runs: &Runs<'_>,
        give: &mut dyn FnMut(usize, Recognised),
    ) -> ort::Result<()> {
        let Graphs { encoder, decoder, aligner, .. } = graphs;
        let mut heard = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            heard.push(Arc::new(encoder.encode(chunk.samples, false, runs.encoder)?));
        }
        let (spoken, no_speech, memory) = self.listen(decoder, &heard, wanted, language, runs)?;
        let before = self.before(wanted);
        // Where a prompt begins with what was written to listen, it goes on from there.
        let mut listened = before.is_empty().then_some(memory);
        let prompts: Vec<Vec<u32>> =
            spoken.iter().map(|spoken| self.prompt(&before, spoken, wanted)).collect();
        let first = match wanted.search {
            Search::Greedy => Choice::Best,
            Search::Beam(beams) => Choice::Beams(usize::from(beams)),
        };
        let mut finish = |at: usize, heard: &Arc<Heard>, tried: Tried| -> ort::Result<()> {
            let samples = chunks[at].samples;
            let silent = is_silence(wanted, tried.found.mean(), no_speech[at]);
            let mut pieces = self.pieces(&tried.found, samples.len(), silent);
            let language = self.tokens.language_code(spoken[at].token);
            if let (true, false, Some(aligner)) = (wanted.words, silent, aligner.as_mut()) {
                let text: Vec<(u32, f32)> =
                    pieces.iter().flat_map(|(_, text)| text.iter().copied()).collect();
                let start = &prompts[at][before.len()..];
                let timed = aligner.align(&self.tokens, heard, start, &text, runs)?;
                align::give_words(&mut pieces, timed, language, samples);
            }
            let recognised = Recognised {
                language: language.to_owned(),
                language_probability: spoken[at].probability,
                no_speech_prob: no_speech[at],
                temperature: tried.temperature,
                compression_ratio: tried.ratio,
                pieces: pieces.into_iter().map(|(piece, _)| piece).collect(),
            };
            give(at, recognised);
            Ok(())
        };

        let mut best: Vec<Option<Tried>> = vec![None; chunks.len()];
        let mut waiting: Vec<usize> = (0..chunks.len()).collect();
        // A poor result is tried again with the whole window before chance is given a hand.
        let mut temperatures = wanted.temperatures.iter().copied();
        let lowest = (temperatures.next().unwrap_or(0.0), false);
        let attempts = [lowest, (lowest.0, true)].into_iter();
        for (temperature, whole) in attempts.chain(temperatures.map(|t| (t, false))) {
            let (now, mut poor): (Vec<usize>, Vec<usize>) =
                waiting.iter().partition(|&&at| !whole || heard[at].is_part());
            if now.is_empty() {
                continue;
            }
            if whole {
                for &at in &now {
                    heard[at] = Arc::new(encoder.encode(chunks[at].samples, true, runs.encoder)?);
                }
            }
            let choice =
                if temperature > 0.0 { Choice::Drawn { temperature, of: DRAWN } } else { first };
            let reads = prompt::is_read_at(temperature, wanted);
            let from = if reads { 0 } else { before.len() };
            let begin = |&at: &usize| Begun { heard: &heard[at], prompt: &prompts[at][from..] };
            let begun: Vec<Begun<'_>> = now.iter().map(begin).collect();
            let mut judge = |row: usize, found: Found| -> ort::Result<()> {
                let at = now[row];
                let text = self.tokens.text(&found.tokens);
                let ratio = compression_ratio(&text);
                let tried = Tried { found, ratio, temperature };
                let bad = !tried.found.ended
                    || is_poor(wanted, tried.found.mean(), ratio, no_speech[at])
                    || (reads && prompt::is_echoed(wanted, &text));
                let before = best[at].as_ref();
                let again = temperature > 0.0
                    && tried.found.ended
                    && before
                        .is_some_and(|before| agree(&tried.found.tokens, &before.found.tokens));
                if !bad || before.is_none_or(|before| tried.is_better_than(before, wanted)) {
                    best[at] = Some(tried);
                }
                if bad && !again {
                    poor.push(at);
                    return Ok(());
                }
                finish(at, &heard[at], best[at].take().unwrap_or_default())
            };
            search(decoder, &self.tokens, &begun, listened.take(), choice, runs, &mut judge)?;
            poor.sort_unstable();
            waiting = poor;
            if waiting.is_empty() {
                break;
            }
        }
        for at in waiting {
            finish(at, &heard[at], best[at].take().unwrap_or_default())?;
        }
        Ok(())
    }

    /// What language each chunk is in, how likely nobody speaks in it, and the decoder's memory with
    /// the start written.
    fn listen(
        &self,
        decoder: &mut Decoder,
        heard: &[Arc<Heard>],
        wanted: &Wanted,
        language: Option<u32>,
        runs: &Runs<'_>,
    ) -> ort::Result<(Vec<Spoken>, Vec<f32>, Memory)> {
        let tokens = &self.tokens;
        let mut memory = decoder.begin(heard.into())?;
        let starts = vec![i64::from(tokens.start); heard.len()];
        let logits = decoder.write(&mut memory, &starts, &[0], runs)?;
        let mut spoken = Vec::with_capacity(heard.len());
        let mut no_speech = Vec::with_capacity(heard.len());
        for logits in logits.try_extract_tensor::<f32>()?.1.chunks_exact(tokens.count) {
            let total = rules::log_sum(logits);
            no_speech.push((logits[tokens.no_speech() as usize] - total).exp());
            let languages = tokens.languages();
            let first = languages.start;
            let among = &logits[languages.start as usize..languages.end as usize];
            let english = tokens.language("en").unwrap_or(first);
            spoken.push(match language {
                Some(token) => Spoken { token, probability: 1.0 },
                None if !tokens.is_multilingual() => Spoken { token: english, probability: 1.0 },
                None => {
                    let best = rules::best(among);
                    let probability = (among[best as usize] - rules::log_sum(among)).exp();
                    let fallback =
                        wanted.fallback_language.as_deref().and_then(|code| tokens.language(code));
                    match fallback {
                        Some(token) if probability < wanted.language_threshold => {
                            let at = (token - first) as usize;
                            let probability = (among[at] - rules::log_sum(among)).exp();
                            Spoken { token, probability }
                        }
                        _ => Spoken { token: first + best, probability },
                    }
                }
            });
        }
        Ok((spoken, no_speech, memory))
    }

    fn prompt(&self, before: &[u32], spoken: &Spoken, wanted: &Wanted) -> Vec<u32> {
        let mut prompt = before.to_vec();
        prompt.push(self.tokens.start);
        if self.tokens.is_multilingual() {
            prompt.push(spoken.token);
            prompt.push(if wanted.translate {
                self.tokens.translate()
            } else {
                self.tokens.transcribe()
            });
        }
        prompt
    }

    /// What was found, cut at its timestamps, with the text tokens of each piece and their
    /// probabilities.
    fn pieces(&self, found: &Found, samples: usize, silent: bool) -> Vec<(Piece, Vec<(u32, f32)>)> {
        let stamps = self.tokens.timestamps();
        let end = u32::try_from(samples).unwrap_or(u32::MAX);
        let mut pieces = Vec::new();
        let mut start = 0;
        let mut tokens = Vec::new();
        let mut logprobs: Vec<f32> = Vec::new();
        let mut close = |start: u32, stop: u32, tokens: &mut Vec<u32>, logprobs: &mut Vec<f32>| {
            let text: Vec<(u32, f32)> = tokens
                .iter()
                .zip(logprobs.iter())
                .filter(|(token, _)| self.tokens.is_text(**token))
                .map(|(token, logprob)| (*token, logprob.exp()))
                .collect();
            let words = self.tokens.text(tokens);
            if !words.trim().is_empty() {
                let mean = logprobs.iter().sum::<f32>() / logprobs.len().max(1) as f32;
                let samples = start.min(end)..stop.min(end).max(start.min(end));
                let tokens = std::mem::take(tokens);
                let piece = Piece {
                    samples,
                    text: words,
                    tokens,
                    avg_logprob: mean,
                    silent,
                    words: Vec::new(),
                };
                pieces.push((piece, text));
            }
            tokens.clear();
            logprobs.clear();
        };
        for (&token, &logprob) in found.tokens.iter().zip(&found.logprobs) {
            tokens.push(token);
            logprobs.push(logprob);
            if token >= stamps {
                let at = (token - stamps) * TICK_SAMPLES;
                if tokens.len() > 1 {
                    close(start, at, &mut tokens, &mut logprobs);
                }
                start = at;
            }
        }
        close(start, end, &mut tokens, &mut logprobs);
        pieces
    }
}

impl Recogniser for OnnxWhisper {
    fn model(&self) -> &str {
        &self.name
    }

    fn engine(&self) -> &'static str {
        "onnxruntime"
    }

    fn batch(&self) -> Batch {
        batch_of(&self.shape)
    }

    fn callers(&self) -> usize {
        1
    }

    fn recognise(
        &self,
        chunks: &[Chunk<'_>],
        wanted: &Wanted,
        cancel: &Cancel,
        give: &mut dyn FnMut(usize, Recognised),
    ) -> Result<()> {
        refuse(chunks, wanted)?;
        let language = self.check(wanted)?;
        let numbers: Vec<_> = chunks.iter().map(|chunk| finite(chunk.samples)).collect();
        let chunks: Vec<Chunk<'_>> = numbers.iter().map(|samples| Chunk { samples }).collect();
        let mut graphs = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        cancel.check(Stage::Transcribe)?;
        if wanted.words && graphs.aligner.is_none() {
            let model = Ggml::open(&self.path).map_err(|e| cannot_load(&e, &self.path))?;
            let options =
                self.runtime.options(self.threads).map_err(|e| cannot_load(&e, &self.path))?;
            let aligner = Aligner::new(&model, &graphs.embedding, &options)
                .map_err(|e| cannot_load(&e, &self.path))?;
            graphs.aligner = Some(aligner);
        }
        let run = RunOptions::new().map_err(|e| run_failed(&e, &self.path))?;
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Also where `give` panics: the scope waits for the thread below.
            let _over = Over(&over);
            // A run of a large model takes longer than anyone waits for Ctrl-C.
            scope.spawn(|| {
                while !over.load(Ordering::Acquire) {
                    if cancel.is_cancelled() {
                        let _ = run.terminate();
                        break;
                    }
                    std::thread::park_timeout(Duration::from_millis(50));
                }
            });
            let done = Runs::new(&run, &self.shape, cancel).and_then(|runs| {
                self.recognise_all(&mut graphs, &chunks, wanted, language, &runs, give)
            });
            // What is done is done, also where somebody lost patience at the last moment.
            if done.is_ok() {
                return Ok(());
            }
            cancel.check(Stage::Transcribe)?;
            done.map_err(|error| run_failed(&error, &self.path))
        })
    }
}

/// Says that it is over when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// What a model of `shape` works on at once: as much sound as takes it about as long as tiny takes
/// for 2 min, but for one chunk, so that what a kill loses stays a matter of seconds.
fn batch_of(shape: &WhisperShape) -> Batch {
    // Work goes with the blocks and the square of their width.
    let work = |layers: u32, state: u32| u64::from(layers) * u64::from(state) * u64::from(state);
    let all =
        work(shape.audio_layers, shape.audio_state) + work(shape.text_layers, shape.text_state);
    let tiny = 2 * work(4, 384);
    let samples = BATCH_SAMPLES as u64 * tiny / all.max(tiny);
    Batch { chunks: BATCH, samples: (samples as usize).max(MAX_CHUNK_SAMPLES) }
}

/// Cuts `waiting` into batches of at most the size of `most` (or of one).
fn batches<T: Copy>(mut waiting: &[T], most: Batch, samples: impl Fn(T) -> usize) -> Vec<&[T]> {
    let mut batches = Vec::new();
    while !waiting.is_empty() {
        let mut sum = 0;
        let fit = waiting.iter().take(most.chunks).take_while(|one| {
            sum += samples(**one);
            sum <= most.samples
        });
        let (batch, rest) = waiting.split_at(fit.count().max(1));
        batches.push(batch);
        waiting = rest;
    }
    batches
}

/// Adds what the rest of a chunk says, from sample `from` on.
fn append(whole: &mut Recognised, mut rest: Recognised, from: usize) {
    let from = u32::try_from(from).unwrap_or(u32::MAX);
    let later =
        |samples: &Range<u32>| samples.start.saturating_add(from)..samples.end.saturating_add(from);
    for piece in &mut rest.pieces {
        piece.samples = later(&piece.samples);
        for word in &mut piece.words {
            word.samples = later(&word.samples);
        }
    }
    whole.pieces.append(&mut rest.pieces);
    whole.temperature = whole.temperature.max(rest.temperature);
    whole.compression_ratio = whole.compression_ratio.max(rest.compression_ratio);
}

fn cannot_load(error: &dyn std::fmt::Display, path: &Path) -> Error {
    Error::new(ErrorKind::Model, Stage::Model, format!("cannot be loaded: {error}"))
        .input(path)
        .hint("`rushes models verify` tells whether the file is damaged")
}
