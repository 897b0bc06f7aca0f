//! One pass of whisper.cpp over one chunk, watched from its callbacks.

use super::super::edges::draw_in;
use super::super::fallback::is_loop;
use super::super::recogniser::{Piece, PieceWord, SAMPLE_RATE, Search};
use super::super::words::{TimedToken, group, shorten_beside_pauses, straighten};
use super::file::Header;
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use std::ffi::{c_int, c_void};
use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use whisper_rs::{
    FullParams, SamplingStrategy, WhisperContext, WhisperError, WhisperState, WhisperSysContext,
    WhisperSysState, WhisperTokenData, whisper_rs_sys,
};

/// Samples in a hundredth of a second, whisper.cpp's unit of time.
const PER_CENTISECOND: i64 = SAMPLE_RATE as i64 / 100;

/// whisper.cpp moves on in a chunk by the last timestamp it wrote. This many steps are enough for
/// 30 s; more mean that it moves by hundredths of a second, an encoder run each.
const MOST_WINDOWS: u32 = 8;

/// What is left of a chunk is not looked at again if it is shorter, in hundredths of a second. It
/// also keeps alignment from running on less than 16, where whisper.cpp ends the process.
const LEAST_REST: i32 = 50;

/// Timestamps before this, in steps of 20 ms, are not used (but 0 is) where words are aligned:
/// alignment of less than 16 hundredths ends the process.
const LEAST_ALIGNED: i32 = 8;

/// Marks that are not said (`non_speech_tokens` of OpenAI's `tokenizer.py` and of whisper.cpp).
const NOT_SPOKEN: &str = "\" # ( ) * + / : ; < = > @ [ \\ ] ^ _ ` { | } ~ 「 」 『 』 << >> <<< >>> -- \
                          --- -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪ ♩ ♪ ♫ ♬ ♭ ♮ ♯";

/// What is known of the loaded model.
#[derive(Debug)]
pub(super) struct Models {
    pub(super) header: Header,
    /// Whether words are timed by alignment.
    pub(super) aligned: bool,
    threads: c_int,
    end_of_text: i32,
    start: i32,
    no_speech: i32,
    first_timestamp: i32,
    not_spoken: Vec<i32>,
}

/// What to decode, and how.
pub(super) struct Attempt<'a> {
    pub(super) samples: &'a [f32],
    pub(super) language: i32,
    /// Whether `language` is only a guess.
    pub(super) find_language: bool,
    pub(super) translate: bool,
    pub(super) search: Search,
    pub(super) temperature: f32,
    /// Whether no other temperature follows.
    pub(super) last: bool,
    pub(super) prompt: &'a [i32],
    pub(super) words: bool,
}

/// What whisper.cpp gave.
pub(super) struct Decoded {
    segments: Vec<Segment>,
    pub(super) no_speech_prob: f32,
    end_of_text: i32,
    aligned: bool,
}

struct Segment {
    /// In hundredths of a second.
    from: i64,
    to: i64,
    tokens: Vec<(WhisperTokenData, Vec<u8>)>,
}

/// What one attempt came to.
pub(super) struct Outcome {
    /// The text; `None` where the attempt was broken off.
    pub(super) decoded: Option<Decoded>,
    /// Whether it was broken off because the decoder was in a loop.
    pub(super) looped: bool,
    /// Probabilities of the languages; none for a model that knows only one.
    pub(super) languages: Vec<f32>,
}

/// What the model makes of a chunk's first window before it writes a word.
struct Impression {
    languages: Vec<f32>,
    no_speech_prob: f32,
}

/// What the callbacks see and say.
struct Watch<'a> {
    models: &'a Models,
    cancel: &'a Cancel,
    find_language: bool,
    language: i32,
    last: bool,
    /// Hundredths of a second in the chunk.
    length: i32,
    /// How far whisper.cpp is, in percent.
    progress: AtomicI32,
    windows: AtomicU32,
    looped: AtomicBool,
    impression: OnceLock<Impression>,
    /// The guessed language was wrong.
    misguessed: AtomicBool,
}

pub(super) fn failed(what: &str) -> Error {
    Error::new(ErrorKind::Resource, Stage::Transcribe, format!("whisper.cpp failed: {what}"))
        .hint("use a smaller model or fewer chunks at a time")
}

impl Models {
    pub(super) fn new(
        context: &WhisperContext,
        header: Header,
        aligned: bool,
        threads: NonZeroUsize,
    ) -> Self {
        let end_of_text = context.token_eot();
        let marks: Vec<String> =
            NOT_SPOKEN.split(' ').flat_map(|mark| [mark.to_owned(), format!(" {mark}")]).collect();
        let is_mark = |bytes: &[u8]| {
            // A hyphen and an apostrophe stand within words, but begin none.
            marks.iter().any(|mark| mark.as_bytes() == bytes) || matches!(bytes, b" -" | b" '")
        };
        let not_spoken =
            (0..end_of_text).filter(|id| context.token_to_bytes(*id).is_ok_and(is_mark)).collect();
        Self {
            header,
            aligned,
            threads: c_int::try_from(threads.get()).unwrap_or(c_int::MAX),
            end_of_text,
            start: context.token_sot(),
            no_speech: context.token_nosp(),
            first_timestamp: context.token_beg(),
            not_spoken,
        }
    }

    /// Decodes once, unless the decoder is in a loop or the guessed language turns out wrong.
    ///
    /// The state is taken away where whisper.cpp has freed it.
    pub(super) fn decode(
        &self,
        state: &mut Option<WhisperState>,
        attempt: &Attempt<'_>,
        cancel: &Cancel,
    ) -> Result<Outcome> {
        let Some(inside) = state else { return Err(failed("no state")) };
        let watch = Watch {
            models: self,
            cancel,
            find_language: attempt.find_language,
            language: attempt.language,
            last: attempt.last,
            length: (attempt.samples.len() as i64 / PER_CENTISECOND) as i32,
            progress: AtomicI32::new(0),
            windows: AtomicU32::new(0),
            looped: AtomicBool::new(false),
            impression: OnceLock::new(),
            misguessed: AtomicBool::new(false),
        };
        let mut params = self.params(attempt);
        let data = (&raw const watch).cast_mut().cast::<c_void>();
        // SAFETY: each callback is given with `data`, which points to `watch`, and reads it as what
        // it is, shared and never written but through its atomics. whisper.cpp calls back only
        // from within `full` below, which `watch` outlives.
        #[allow(unsafe_code)]
        unsafe {
            params.set_abort_callback(Some(on_abort));
            params.set_abort_callback_user_data(data);
            params.set_progress_callback(Some(on_progress));
            params.set_progress_callback_user_data(data);
            params.set_start_encoder_callback(Some(on_window));
            params.set_start_encoder_callback_user_data(data);
            params.set_filter_logits_callback(Some(on_logits));
            params.set_filter_logits_callback_user_data(data);
        }
        let ran = inside.full(params, attempt.samples);
        cancel.check(Stage::Transcribe)?;
        let looped = watch.looped.load(Ordering::Relaxed) && !attempt.last;
        match ran {
            Ok(()) => {}
            Err(_) if looped => {}
            Err(error) => {
                if matches!(error, WhisperError::GenericError(-7)) {
                    // Out of memory: whisper.cpp has freed the state itself.
                    std::mem::forget(state.take());
                }
                return Err(failed(&error.to_string()));
            }
        }
        let impression = match watch.impression.into_inner() {
            Some(impression) => impression,
            // The encoder's output is still that of the first window.
            None => inside
                .decode(&[self.start], 0, self.threads as usize)
                .and_then(|()| inside.get_logits().map(|logits| self.impression(logits)))
                .map_err(|error| failed(&error.to_string()))?,
        };
        let decoded = if looped || watch.misguessed.into_inner() {
            None
        } else {
            Some(self.read(inside, attempt, impression.no_speech_prob)?)
        };
        Ok(Outcome { decoded, looped, languages: impression.languages })
    }

    fn params<'a>(&self, attempt: &Attempt<'a>) -> FullParams<'a, 'a> {
        let mut params = FullParams::new(match attempt.search {
            Search::Beam(width) if attempt.temperature <= 0.0 => {
                SamplingStrategy::BeamSearch { beam_size: c_int::from(width), patience: -1.0 }
            }
            _ => SamplingStrategy::Greedy { best_of: 1 },
        });
        params.set_n_threads(self.threads);
        // whisper-rs leaks the few bytes of this string.
        params.set_language(whisper_rs::get_lang_str(attempt.language));
        params.set_translate(attempt.translate);
        params.set_no_context(true);
        params.set_tokens(attempt.prompt);
        params.set_suppress_blank(true);
        // Done in `on_logits`: whisper.cpp looks 200 strings up for every token.
        params.set_suppress_nst(false);
        params.set_token_timestamps(attempt.words && !self.aligned);
        params.set_print_progress(false);
        params.set_print_realtime(false);
        params.set_print_special(false);
        params.set_print_timestamps(false);
        // One temperature a pass, judged here: whisper.cpp knows no compression ratio.
        params.set_temperature(attempt.temperature);
        params.set_temperature_inc(0.0);
        params.set_entropy_thold(-1.0);
        params.set_logprob_thold(f32::NEG_INFINITY);
        // It would drop the text without a word.
        params.set_no_speech_thold(2.0);
        params
    }

    /// Reads the logits behind the start token, as OpenAI's `decoding.py` does. (whisper.cpp's own
    /// no-speech probability is of no use: it reads logits that were not computed, and gives what
    /// an earlier pass left there, or 1 / 51865.)
    fn impression(&self, logits: &[f32]) -> Impression {
        let softmax = |logits: &[f32]| -> Vec<f32> {
            let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let powers: Vec<f32> = logits.iter().map(|logit| (logit - most).exp()).collect();
            let sum: f32 = powers.iter().sum();
            powers.iter().map(|power| power / sum).collect()
        };
        let first = self.start as usize + 1;
        let languages = logits.get(first..first + self.header.languages() as usize);
        let all = softmax(logits);
        Impression {
            languages: softmax(languages.unwrap_or(&[])),
            no_speech_prob: all.get(self.no_speech as usize).copied().unwrap_or(0.0),
        }
    }

    fn read(
        &self,
        state: &WhisperState,
        attempt: &Attempt<'_>,
        no_speech_prob: f32,
    ) -> Result<Decoded> {
        let mut segments = Vec::new();
        for segment in state.as_iter() {
            let tokens = (0..segment.n_tokens())
                .filter_map(|index| segment.get_token(index))
                .map(|token| {
                    let bytes = token.to_bytes().unwrap_or_default();
                    (token.token_data(), bytes.to_vec())
                })
                .collect();
            let (from, to) = (segment.start_timestamp(), segment.end_timestamp());
            segments.push(Segment { from, to, tokens });
        }
        let texts =
            || segments.iter().flat_map(|s| &s.tokens).filter(|t| t.0.id < self.end_of_text);
        if self.aligned && attempt.words && texts().any(|(token, _)| token.t_dtw < 0) {
            return Err(Error::new(
                ErrorKind::Internal,
                Stage::Transcribe,
                "whisper.cpp gave no word times although it was asked to align words",
            ));
        }
        Ok(Decoded {
            segments,
            no_speech_prob,
            end_of_text: self.end_of_text,
            aligned: self.aligned,
        })
    }
}

impl Decoded {
    fn is_text(&self, token: &WhisperTokenData) -> bool {
        token.id < self.end_of_text
    }

    fn text_of(&self, segment: &Segment) -> String {
        let tokens = segment.tokens.iter().filter(|(token, _)| self.is_text(token));
        let bytes: Vec<u8> = tokens.flat_map(|(_, bytes)| bytes).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// All of the text.
    pub(super) fn text(&self) -> String {
        self.segments.iter().map(|segment| self.text_of(segment)).collect()
    }

    /// All of its tokens.
    pub(super) fn tokens(&self) -> Vec<i32> {
        let tokens = self.segments.iter().flat_map(|segment| &segment.tokens);
        tokens.map(|(token, _)| token.id).collect()
    }

    /// Mean log probability of all tokens; 0 where there are none.
    pub(super) fn avg_logprob(&self) -> f32 {
        mean(self.segments.iter().flat_map(|segment| &segment.tokens).map(|(token, _)| token.plog))
    }

    /// The text in pieces of the chunk `samples`.
    pub(super) fn pieces(&self, language: &str, samples: &[f32], words: bool) -> Vec<Piece> {
        let length = u32::try_from(samples.len()).unwrap_or(u32::MAX);
        let place = |centiseconds: i64| {
            u32::try_from(centiseconds.saturating_mul(PER_CENTISECOND).max(0))
                .unwrap_or(u32::MAX)
                .min(length)
        };
        let mut from = 0;
        // Each word with the number of its piece.
        let mut spoken: Vec<PieceWord> = Vec::new();
        let mut counts = Vec::new();
        let mut pieces = Vec::new();
        // Where the token before ended, by alignment.
        let mut before = 0;
        for segment in &self.segments {
            let text = self.text_of(segment);
            if words {
                let tokens = segment.tokens.iter().filter(|(token, _)| self.is_text(token));
                let timed: Vec<TimedToken> = tokens
                    .map(|(token, bytes)| {
                        // whisper.cpp's alignment gives the moment a token is over.
                        let (start, end) = if self.aligned {
                            (std::mem::replace(&mut before, token.t_dtw), token.t_dtw)
                        } else {
                            (token.t0, token.t1)
                        };
                        TimedToken {
                            bytes: bytes.clone(),
                            samples: place(start)..place(end),
                            probability: token.p,
                        }
                    })
                    .collect();
                let found =
                    if text.trim().is_empty() { Vec::new() } else { group(&timed, language) };
                counts.push(found.len());
                spoken.extend(found);
            }
            let start = place(segment.from).max(from);
            let end = place(segment.to).max(start);
            from = end;
            pieces.push(Piece {
                samples: start..end,
                text,
                tokens: segment.tokens.iter().map(|(token, _)| token.id as u32).collect(),
                avg_logprob: mean(segment.tokens.iter().map(|(token, _)| token.plog)),
                silent: false,
                words: Vec::new(),
            });
        }
        if words {
            if self.aligned {
                shorten_beside_pauses(&mut spoken);
            }
            straighten(&mut spoken, length);
            draw_in(&mut spoken, samples);
            let mut spoken = spoken.into_iter();
            for (piece, count) in pieces.iter_mut().zip(counts) {
                piece.words = spoken.by_ref().take(count).collect();
                if let (Some(first), Some(last)) = (piece.words.first(), piece.words.last()) {
                    piece.samples = first.samples.start..last.samples.end;
                }
            }
        }
        pieces.retain(|piece| !piece.text.trim().is_empty());
        pieces
    }
}

fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 0.0 } else { sum / count as f32 }
}

impl Watch<'_> {
    /// Whether to stop at once.
    fn stop(&self) -> bool {
        self.cancel.is_cancelled() || (!self.last && self.looped.load(Ordering::Relaxed))
    }

    /// Takes the first impression; whether to go on in the language that was guessed.
    fn heard(&self, logits: &[f32]) -> bool {
        let impression = self.impression.get_or_init(|| self.models.impression(logits));
        let top = impression.languages.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        let right = !self.find_language || top.is_some_and(|(id, _)| id as i32 == self.language);
        self.misguessed.store(!right, Ordering::Relaxed);
        right
    }

    /// Hundredths of a second that are surely left at most.
    fn rest(&self) -> i32 {
        // Progress is rounded down, so that up to a hundredth part more may be done.
        (100 - self.progress.load(Ordering::Relaxed)) * self.length / 100
    }

    /// Filters the logits of the next token.
    fn filter(&self, tokens: &[WhisperTokenData], logits: &mut [f32]) {
        let models = self.models;
        for id in &models.not_spoken {
            if let Some(logit) = logits.get_mut(*id as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
        if models.aligned {
            let first = models.first_timestamp as usize + 1;
            let early = logits.get_mut(first..first + LEAST_ALIGNED as usize - 1);
            early.into_iter().flatten().for_each(|logit| *logit = f32::NEG_INFINITY);
        }
        if tokens.len() >= 40
            && tokens.len().is_multiple_of(8)
            && !self.looped.load(Ordering::Relaxed)
        {
            let ids: Vec<i32> =
                tokens.iter().map(|t| t.id).filter(|id| *id < models.end_of_text).collect();
            self.looped.store(is_loop(&ids), Ordering::Relaxed);
        }
        if self.last && self.looped.load(Ordering::Relaxed) {
            // There is nothing better to be had: the text ends here.
            for (id, logit) in logits.iter_mut().enumerate() {
                if id as i32 != models.end_of_text {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
    }
}

/// The watch behind a callback's data.
///
/// # Safety
/// `data` is what [`Models::decode`] gave with the callback, during its call of `full`.
#[allow(unsafe_code)]
unsafe fn watch<'a>(data: *mut c_void) -> &'a Watch<'a> {
    // SAFETY: by the caller's promise it points to a `Watch` that lives and is only shared.
    unsafe { &*data.cast::<Watch<'a>>() }
}

/// Asked between the parts of a computation.
#[allow(unsafe_code)]
unsafe extern "C" fn on_abort(data: *mut c_void) -> bool {
    // SAFETY: whisper.cpp passes on the data that came with this callback.
    unsafe { watch(data) }.stop()
}

#[allow(unsafe_code)]
unsafe extern "C" fn on_progress(
    _: *mut WhisperSysContext,
    _: *mut WhisperSysState,
    percent: c_int,
    data: *mut c_void,
) {
    // SAFETY: whisper.cpp passes on the data that came with this callback.
    unsafe { watch(data) }.progress.store(percent, Ordering::Relaxed);
}

/// Asked before each window of a chunk; the state is at rest then, and holds what the encoder gave
/// for the window before.
#[allow(unsafe_code)]
unsafe extern "C" fn on_window(
    context: *mut WhisperSysContext,
    state: *mut WhisperSysState,
    data: *mut c_void,
) -> bool {
    // SAFETY: whisper.cpp passes on the data that came with this callback.
    let watch = unsafe { watch(data) };
    let before = watch.windows.fetch_add(1, Ordering::Relaxed);
    if before == 0 {
        return true;
    }
    if watch.stop() || before >= MOST_WINDOWS || watch.rest() < LEAST_REST {
        return false;
    }
    if before > 1 {
        return true;
    }
    let start = [watch.models.start];
    // SAFETY: context and state are those that `full` runs on, on this thread, between two windows:
    // it clears the decoder's cache and writes the batch and logits anew before it reads them. The
    // logits of one token are `vocabulary` numbers that stay where they are until the next decode.
    let logits = unsafe {
        let (tokens, threads) = (start.as_ptr(), watch.models.threads);
        if whisper_rs_sys::whisper_decode_with_state(context, state, tokens, 1, 0, threads) != 0 {
            return false;
        }
        let logits = whisper_rs_sys::whisper_get_logits_from_state(state);
        if logits.is_null() {
            return false;
        }
        std::slice::from_raw_parts(logits, watch.models.header.vocabulary as usize)
    };
    watch.heard(logits)
}

#[allow(unsafe_code)]
unsafe extern "C" fn on_logits(
    _: *mut WhisperSysContext,
    _: *mut WhisperSysState,
    tokens: *const WhisperTokenData,
    count: c_int,
    logits: *mut f32,
    data: *mut c_void,
) {
    // SAFETY: whisper.cpp passes on the data that came with this callback.
    let watch = unsafe { watch(data) };
    let count = usize::try_from(count).unwrap_or(0);
    let tokens = if count == 0 || tokens.is_null() {
        &[]
    } else {
        // SAFETY: a vector's data and its length.
        unsafe { std::slice::from_raw_parts(tokens, count) }
    };
    // SAFETY: one number for each token of the vocabulary, this decoder's own; nothing else looks
    // at it before this returns.
    let logits =
        unsafe { std::slice::from_raw_parts_mut(logits, watch.models.header.vocabulary as usize) };
    watch.filter(tokens, logits);
}

/// Whether whisper.cpp was built for a GPU and sees one.
#[allow(unsafe_code)]
pub(super) fn has_gpu() -> bool {
    let gpu = whisper_rs_sys::ggml_backend_dev_type_GGML_BACKEND_DEVICE_TYPE_GPU;
    // SAFETY: takes a plain number; gives a pointer into ggml's own list of devices, or null. It is
    // only compared.
    unsafe { !whisper_rs_sys::ggml_backend_dev_by_type(gpu).is_null() }
}
