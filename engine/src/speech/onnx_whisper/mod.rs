//! Whisper in ONNX Runtime, many chunks at a time.
//!
//! The same ggml file that whisper.cpp reads is made into three graphs in memory: an encoder that
//! does not work on silence, a decoder that writes one token for each of a batch of chunks, and an
//! aligner that times words. The search, its rules and its fallback are OpenAI's.

mod align;
mod decoder;
mod encoder;
mod mel;
mod rules;
mod search;
mod tokens;
mod weights;

use super::fallback::{compression_ratio, is_poor, is_silence};
use super::recogniser::{Chunk, MAX_CHUNK_SAMPLES, Piece, Recognised, Recogniser, Search, Wanted};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::onnx::runtime::{OnnxRuntime, run_failed};
use align::Aligner;
use decoder::Decoder;
use encoder::{Encoder, Heard};
use ort::session::RunOptions;
use rushes_models::convert::Ggml;
use search::{Begun, Choice, Found, search};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokens::{TICK_SAMPLES, Tokens};

/// Chunks decoded together. Twice as many gained 5% and cost twice the memory (tiny, 2 cores).
const BATCH: usize = 8;

/// Tokens of a prompt at most: half of the decoder's context.
const MOST_PROMPT: usize = 223;

/// Hypotheses drawn at temperatures above 0, as OpenAI's `best_of`.
const DRAWN: usize = 5;

/// Sound behind the last timestamp that is asked about again, 1 s: pauses are shorter in chunks
/// that were cut by voice detection.
const LEAST_REST: usize = 16_000;
/// What a text must have covered for that, so that it comes to an end: 0.5 s.
const LEAST_PROGRESS: usize = 8_000;

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
    runtime: OnnxRuntime,
    threads: NonZeroUsize,
    engine: Mutex<Graphs>,
}

struct Graphs {
    encoder: Encoder,
    decoder: Decoder,
    /// Made when words are first wanted.
    aligner: Option<Aligner>,
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
        let model = Ggml::open(path).map_err(|e| cannot_load(&e, path))?;
        let options = runtime.options(threads).map_err(|e| cannot_load(&e, path))?;
        let build = || -> crate::onnx::Built<Graphs> {
            let encoder = Encoder::new(&model, &options)?;
            let decoder = Decoder::new(&model, &options)?;
            Ok(Graphs { encoder, decoder, aligner: None })
        };
        let graphs = build().map_err(|e| cannot_load(&e, path))?;
        Ok(Self {
            name: name.to_owned(),
            path: path.to_owned(),
            tokens: Tokens::new(model.vocabulary(), model.shape().vocabulary as usize),
            runtime: runtime.clone(),
            threads,
            engine: Mutex::new(graphs),
        })
    }

    /// The prompt's tokens: what was said before, and words to expect.
    fn before(&self, wanted: &Wanted) -> Vec<u32> {
        let mut text = wanted.hotwords.join(", ");
        if let Some(prompt) = &wanted.prompt {
            text.push(' ');
            text.push_str(prompt.trim());
        }
        let text = text.trim();
        if text.is_empty() {
            return Vec::new();
        }
        let tokens = self.tokens.encode(&format!(" {text}"));
        let from = tokens.len().saturating_sub(MOST_PROMPT);
        [&[self.tokens.previous()], &tokens[from..]].concat()
    }

    fn check(&self, wanted: &Wanted) -> Result<Option<u32>> {
        let unsupported = |message: String, hint: &'static str| {
            Error::new(ErrorKind::Unsupported, Stage::Transcribe, message).hint(hint)
        };
        if wanted.translate && !self.tokens.is_multilingual() {
            return Err(unsupported(
                format!("{} knows English only and cannot translate", self.name),
                "use a model without `.en`",
            ));
        }
        let Some(code) = &wanted.language else { return Ok(None) };
        let token = self.tokens.language(code).ok_or_else(|| {
            unsupported(
                format!("{} does not know the language `{code}`", self.name),
                "give an ISO 639 code such as `en` or `de`, or leave it out",
            )
        })?;
        if !self.tokens.is_multilingual() && code != "en" {
            return Err(unsupported(
                format!("{} knows English only", self.name),
                "use a model without `.en`",
            ));
        }
        Ok(Some(token))
    }

    /// Recognises all of `chunks`. Where a text ends well before its chunk does, the model has left
    /// speech out: it is asked again for the rest, as OpenAI's `transcribe.py` does by seeking to
    /// the last timestamp. (With tiny and 750 s of prompts in a row this found a third of the
    /// words that were missing or wrong.)
    fn recognise_all(
        &self,
        graphs: &mut Graphs,
        chunks: &[Chunk<'_>],
        wanted: &Wanted,
        language: Option<u32>,
        run: &RunOptions,
    ) -> ort::Result<Vec<Recognised>> {
        let mut whole: Vec<Option<Recognised>> = vec![None; chunks.len()];
        let mut waiting: Vec<(usize, usize)> = (0..chunks.len()).map(|at| (at, 0)).collect();
        while !waiting.is_empty() {
            let mut left = Vec::new();
            for batch in waiting.chunks(BATCH) {
                let parts: Vec<Chunk<'_>> = batch
                    .iter()
                    .map(|&(at, from)| Chunk { samples: &chunks[at].samples[from..] })
                    .collect();
                let parts = self.recognise_with(graphs, &parts, wanted, language, run)?;
                for (&(at, from), part) in batch.iter().zip(parts) {
                    let end = part.pieces.last().map(|piece| piece.samples.end as usize);
                    if let Some(end) = end
                        && end >= LEAST_PROGRESS
                        && chunks[at].samples.len() - from - end >= LEAST_REST
                    {
                        left.push((at, from + end));
                    }
                    match &mut whole[at] {
                        Some(whole) => append(whole, part, from),
                        none => *none = Some(part),
                    }
                }
            }
            waiting = left;
        }
        Ok(whole.into_iter().flatten().collect())
    }

    fn recognise_with(
        &self,
        graphs: &mut Graphs,
        chunks: &[Chunk<'_>],
        wanted: &Wanted,
        language: Option<u32>,
        run: &RunOptions,
    ) -> ort::Result<Vec<Recognised>> {
        let Graphs { encoder, decoder, aligner } = graphs;
        let mut heard = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            heard.push(encoder.encode(chunk.samples, false, run)?);
        }
        let (spoken, no_speech) = self.listen(decoder, &heard, wanted, language, run)?;
        let before = self.before(wanted);
        let prompts: Vec<Vec<u32>> =
            spoken.iter().map(|spoken| self.prompt(&before, spoken, wanted)).collect();
        let first = match wanted.search {
            Search::Greedy => Choice::Best,
            Search::Beam(beams) => Choice::Beams(usize::from(beams.clamp(1, 8))),
        };
        let mut results: Vec<Option<(Found, f32, f32)>> = vec![None; chunks.len()];
        let mut waiting: Vec<usize> = (0..chunks.len()).collect();
        let mut temperatures = wanted.temperatures.iter().copied();
        // A poor result is tried again with the full window before chance is given a hand.
        let mut widened = false;
        let mut temperature = temperatures.next().unwrap_or(0.0);
        while !waiting.is_empty() {
            let choice =
                if temperature > 0.0 { Choice::Drawn { temperature, of: DRAWN } } else { first };
            let begun: Vec<Begun<'_>> = waiting
                .iter()
                .map(|&at| Begun { heard: &heard[at], prompt: &prompts[at] })
                .collect();
            let found = search(decoder, &self.tokens, &begun, choice, run)?;
            let mut poor = Vec::new();
            for (&at, found) in waiting.iter().zip(found) {
                let ratio = compression_ratio(&self.tokens.text(&found.tokens));
                let bad = !found.ended || is_poor(wanted, found.mean(), ratio, no_speech[at]);
                if bad {
                    poor.push(at);
                }
                let better = results[at].as_ref().is_none_or(|(before, ratio_before, _)| {
                    !bad || (ratio, -found.mean()) < (*ratio_before, -before.mean())
                });
                if better {
                    results[at] = Some((found, ratio, temperature));
                }
            }
            waiting = poor;
            if waiting.is_empty() {
                break;
            }
            if widened || temperature > 0.0 {
                match temperatures.next() {
                    Some(next) => temperature = next,
                    None => break,
                }
            } else {
                widened = true;
                for &at in &waiting {
                    heard[at] = encoder.encode(chunks[at].samples, true, run)?;
                }
            }
        }

        let mut recognised = Vec::with_capacity(chunks.len());
        for (at, chunk) in chunks.iter().enumerate() {
            let (found, ratio, temperature) = results[at].take().unwrap_or_default();
            let silent = is_silence(wanted, found.mean(), no_speech[at]);
            let mut pieces =
                if silent { Vec::new() } else { self.pieces(&found, chunk.samples.len()) };
            let language = self.tokens.language_code(spoken[at].token);
            if let (true, Some(aligner)) = (wanted.words, aligner.as_mut()) {
                let text: Vec<(u32, f32)> =
                    pieces.iter().flat_map(|(_, text)| text.iter().copied()).collect();
                let start = &prompts[at][before.len()..];
                let timed = aligner.align(&self.tokens, &heard[at], start, &text, run)?;
                align::give_words(&mut pieces, timed, language, chunk.samples.len());
            }
            recognised.push(Recognised {
                language: language.to_owned(),
                language_probability: spoken[at].probability,
                no_speech_prob: no_speech[at],
                temperature,
                compression_ratio: ratio,
                pieces: pieces.into_iter().map(|(piece, _)| piece).collect(),
            });
        }
        Ok(recognised)
    }

    /// What language each chunk is in, and how likely nobody speaks in it.
    fn listen(
        &self,
        decoder: &mut Decoder,
        heard: &[Heard],
        wanted: &Wanted,
        language: Option<u32>,
        run: &RunOptions,
    ) -> ort::Result<(Vec<Spoken>, Vec<f32>)> {
        let tokens = &self.tokens;
        let mut memory = decoder.begin(&heard.iter().collect::<Vec<_>>())?;
        let starts = vec![i64::from(tokens.start); heard.len()];
        let logits = decoder.write(&mut memory, &starts, &[0], run)?;
        let mut spoken = Vec::with_capacity(heard.len());
        let mut no_speech = Vec::with_capacity(heard.len());
        for logits in logits.chunks_exact(tokens.count) {
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
        Ok((spoken, no_speech))
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
    fn pieces(&self, found: &Found, samples: usize) -> Vec<(Piece, Vec<(u32, f32)>)> {
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
                let piece =
                    Piece { samples, text: words, tokens, avg_logprob: mean, words: Vec::new() };
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

    fn batch(&self) -> usize {
        BATCH
    }

    fn callers(&self) -> usize {
        1
    }

    fn recognise(
        &self,
        chunks: &[Chunk<'_>],
        wanted: &Wanted,
        cancel: &Cancel,
    ) -> Result<Vec<Recognised>> {
        let language = self.check(wanted)?;
        if chunks.iter().any(|chunk| chunk.samples.len() > MAX_CHUNK_SAMPLES) {
            return Err(Error::new(
                ErrorKind::Limit,
                Stage::Transcribe,
                "a chunk is longer than 30 s",
            ));
        }
        let mut graphs = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        cancel.check(Stage::Transcribe)?;
        if wanted.words && graphs.aligner.is_none() {
            let model = Ggml::open(&self.path).map_err(|e| cannot_load(&e, &self.path))?;
            let options =
                self.runtime.options(self.threads).map_err(|e| cannot_load(&e, &self.path))?;
            let aligner =
                Aligner::new(&model, &options).map_err(|e| cannot_load(&e, &self.path))?;
            graphs.aligner = Some(aligner);
        }
        let run = RunOptions::new().map_err(|e| run_failed(&e, &self.path))?;
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
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
            let recognised = self.recognise_all(&mut graphs, chunks, wanted, language, &run);
            over.store(true, Ordering::Release);
            cancel.check(Stage::Transcribe)?;
            recognised.map_err(|error| run_failed(&error, &self.path))
        })
    }
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
