//! A consumer of sound that turns it into a [`Transcript`]: voice detection, chunks, the desk of
//! a recogniser, guards, and times on the file's clock.
//!
//! It runs on the sound thread of a reading. What it holds is bounded however long the input is:
//! the chunker's buffer, and as many chunks as the desk has room for.

use super::chunks::{ChunkOptions, Chunker, SpokenChunk};
use super::clock::ChunkClock;
use super::coverage::Tally;
use super::desk::Seat;
use super::guard::{is_duplicate, judge};
use super::journal::{ChunkKey, Journal};
use super::place;
use super::recogniser::{Recognised, SAMPLE_RATE, Wanted};
use super::regions::RegionOptions;
use super::setup::Speech;
use super::transcript::{Doubt, Dropped, Segment, Transcript, WordTimes};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::media::{AudioChunk, SoundSink};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// What decides a transcript, beside the sound and the model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TranscribeSettings {
    /// What to recognise and how hard to try.
    pub wanted: Wanted,
    /// How speech is told from the rest; `None` takes everything for speech.
    pub vad: Option<RegionOptions>,
    /// How it is cut.
    pub chunks: ChunkOptions,
}

impl Default for TranscribeSettings {
    fn default() -> Self {
        Self {
            wanted: Wanted::default(),
            vad: Some(RegionOptions::default()),
            chunks: ChunkOptions::default(),
        }
    }
}

/// How the work went, beside the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranscribeCounts {
    /// Chunks that speech was put into.
    pub chunks: u64,
    /// Those of them that an earlier run had recognised already.
    pub reused: u64,
    /// Those that were decoded again, because their own language was not sure.
    pub repeated: u64,
}

/// Called with the place up to which all sound is recognised.
pub type OnPlace = Arc<dyn Fn(Timestamp) + Send + Sync>;

/// See the module.
pub struct Transcriber {
    wanted: Arc<Wanted>,
    chunker: Chunker,
    seat: Seat,
    journal: Option<Arc<Journal>>,
    slots: VecDeque<Slot>,
    text: Text,
    heard: u64,
    counts: TranscribeCounts,
    on_place: Option<OnPlace>,
}

/// A chunk on its way.
struct Slot {
    chunk: SpokenChunk,
    samples: Arc<Vec<f32>>,
    /// Whether it was decoded with a language to fall back to.
    repeated: bool,
    state: Stand,
}

enum Stand {
    Open(u64),
    Done(Recognised),
}

impl Transcriber {
    /// A transcriber with a place of its own at the desk of `speech`, which is loaded now if it was
    /// not before.
    ///
    /// # Errors
    /// As [`Speech::desk`] and [`Speech::chunker`]; [`ErrorKind::Unsupported`] for a language that
    /// no model knows.
    pub fn new(
        speech: &Speech,
        settings: &TranscribeSettings,
        journal: Option<Arc<Journal>>,
        cancel: &Cancel,
    ) -> Result<Self> {
        let desk = speech.desk()?;
        let mut wanted = settings.wanted.clone();
        if let Some(language) = &wanted.language {
            wanted.language =
                Some(super::languages::code(language).map(str::to_owned).ok_or_else(|| {
                    let message = format!("language `{language}` is unknown");
                    Error::new(ErrorKind::Unsupported, Stage::Transcribe, message)
                        .hint("give an ISO 639 code such as `en` or `de`, or leave it out")
                })?);
        }
        let times = if wanted.words { speech.word_times()? } else { WordTimes::None };
        Ok(Self {
            text: Text::new(&wanted, desk.recogniser().model(), desk.recogniser().engine(), times),
            wanted: Arc::new(wanted),
            chunker: speech.chunker(settings)?,
            seat: desk.seat(journal.clone(), cancel),
            journal,
            slots: VecDeque::new(),
            heard: 0,
            counts: TranscribeCounts::default(),
            on_place: None,
        })
    }

    /// Has `callback` told how far recognition has come.
    #[must_use]
    pub fn on_place(mut self, callback: OnPlace) -> Self {
        self.on_place = Some(callback);
        self
    }

    /// Waits for what is still open and gives the transcript.
    ///
    /// # Errors
    /// As [`SoundSink::chunk`].
    pub fn finish(mut self) -> Result<(Transcript, TranscribeCounts)> {
        for chunk in self.chunker.finish()? {
            self.take(chunk)?;
        }
        while !self.slots.is_empty() {
            let answers = self.seat.wait()?;
            if answers.is_empty()
                && matches!(self.slots.front(), Some(Slot { state: Stand::Open(_), .. }))
            {
                return Err(lost());
            }
            self.settle(answers)?;
        }
        self.tell();
        Ok((self.text.finish(self.heard), self.counts))
    }

    /// Submits a chunk, or finds it in the journal.
    fn take(&mut self, mut chunk: SpokenChunk) -> Result<()> {
        let samples = Arc::new(std::mem::take(&mut chunk.samples));
        self.counts.chunks += 1;
        let state = self.ask(&samples, self.wanted.clone())?;
        self.slots.push_back(Slot { chunk, samples, repeated: false, state });
        while self.slots.len() > self.seat.room() {
            let answers = self.seat.wait()?;
            if answers.is_empty() {
                self.settle(answers)?;
                if self.slots.len() > self.seat.room() {
                    return Err(lost());
                }
            } else {
                self.settle(answers)?;
            }
        }
        Ok(())
    }

    fn ask(&mut self, samples: &Arc<Vec<f32>>, wanted: Arc<Wanted>) -> Result<Stand> {
        let key = ChunkKey::new(samples, wanted.fallback_language.as_deref());
        let known = self.journal.as_ref().and_then(|journal| journal.find(&key));
        if let Some(found) = known {
            self.counts.reused += 1;
            return Ok(Stand::Done(found.clone()));
        }
        Ok(Stand::Open(self.seat.submit(samples.clone(), wanted, key)?))
    }

    /// Takes answers, and turns what is complete into text, in order.
    fn settle(&mut self, answers: Vec<(u64, Result<Recognised>)>) -> Result<()> {
        for (ticket, answer) in answers {
            let found = answer?;
            let slot =
                self.slots.iter_mut().find(|s| matches!(s.state, Stand::Open(t) if t == ticket));
            if let Some(slot) = slot {
                slot.state = Stand::Done(found);
            }
        }
        while let Some(Slot { state: Stand::Done(found), repeated, samples, .. }) =
            self.slots.front()
        {
            // By what comes before in the file, not by what happens to be recognised already: the
            // same sound gives the same text.
            let unsure = self.wanted.language.is_none()
                && !repeated
                && found.language_probability < self.wanted.language_threshold;
            let other = self.text.majority().filter(|most| unsure && *most != found.language);
            if let Some(language) = other {
                let wanted = Wanted {
                    fallback_language: Some(language.to_owned()),
                    ..(*self.wanted).clone()
                };
                let samples = samples.clone();
                self.counts.repeated += 1;
                let state = self.ask(&samples, Arc::new(wanted))?;
                if let Some(slot) = self.slots.front_mut() {
                    (slot.state, slot.repeated) = (state, true);
                }
                continue;
            }
            if let Some(Slot { chunk, state: Stand::Done(found), .. }) = self.slots.pop_front() {
                self.text.add(&chunk, found, &self.wanted);
            }
        }
        Ok(())
    }

    /// Says how far everything is recognised.
    fn tell(&self) {
        if let Some(on_place) = &self.on_place {
            let open = self.slots.front().map(|slot| slot.chunk.clock.span().start);
            on_place(place::time(open.unwrap_or(self.heard)));
        }
    }
}

impl SoundSink for Transcriber {
    fn chunk(&mut self, chunk: AudioChunk<'_>) -> Result<()> {
        if chunk.shape.rate != SAMPLE_RATE || chunk.shape.channels != 1 {
            return Err(Error::new(
                ErrorKind::Internal,
                Stage::Transcribe,
                "speech was not given as 16 kHz mono",
            ));
        }
        self.heard += chunk.samples.len() as u64;
        for spoken in self.chunker.push(chunk.samples)? {
            self.take(spoken)?;
        }
        let answers = self.seat.take();
        self.settle(answers)?;
        self.tell();
        Ok(())
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Internal, Stage::Transcribe, "a chunk was lost")
        .hint("report this, with the file if you can")
}

/// The transcript in the making.
struct Text {
    transcript: Transcript,
    tally: Tally,
    /// Characters of text, and those times the language's probability, by language.
    languages: BTreeMap<String, (u64, f64)>,
    /// End of the last segment, and samples that it lasts.
    last: Option<Range<u64>>,
    given: Option<String>,
}

impl Text {
    fn new(wanted: &Wanted, model: &str, engine: &str, word_times: WordTimes) -> Self {
        let transcript = Transcript {
            language: String::new(),
            language_probability: 0.0,
            translated: wanted.translate,
            duration: Timestamp::ZERO,
            model: model.to_owned(),
            engine: engine.to_owned(),
            word_times,
            segments: Vec::new(),
            dropped: Vec::new(),
            coverage: Tally::default().coverage(),
        };
        Self {
            transcript,
            tally: Tally::default(),
            languages: BTreeMap::new(),
            last: None,
            given: wanted.language.clone(),
        }
    }

    /// The language of most of the text so far.
    fn majority(&self) -> Option<&str> {
        let most = self.languages.iter().max_by_key(|(_, (characters, _))| *characters)?;
        Some(most.0)
    }

    /// Adds what was recognised of the next chunk.
    fn add(&mut self, chunk: &SpokenChunk, found: Recognised, wanted: &Wanted) {
        let clock: &ChunkClock = &chunk.clock;
        let seek = place::time(clock.span().start);
        let length = u32::try_from(clock.len()).unwrap_or(u32::MAX);
        let (language, sure) = (found.language.clone(), f64::from(found.language_probability));
        let (no_speech_prob, compression_ratio, temperature) =
            (found.no_speech_prob, found.compression_ratio, found.temperature);
        let (mut kept, cuts) = judge(found, wanted);
        let mut pieces: Vec<_> = kept.iter_mut().map(|kept| &mut kept.piece).collect();
        place::order(&mut pieces, length, wanted.words, &language);
        let file =
            |samples: &Range<u32>| clock.range(u64::from(samples.start)..u64::from(samples.end));
        for cut in cuts {
            let span = place::span(&file(&cut.samples));
            self.drop_text(span, cut.text, cut.why);
        }
        let mut segments = Vec::with_capacity(kept.len());
        for kept in kept {
            let words = place::words(&kept.piece, clock);
            let mut samples = file(&kept.piece.samples);
            samples.start = samples.start.max(self.last.as_ref().map_or(0, |last| last.end));
            let text = kept.piece.text.trim().to_owned();
            let before = self.transcript.segments.last();
            let duplicate = before.is_some_and(|before| {
                is_duplicate(&text, &before.text, samples.end.saturating_sub(samples.start))
            });
            if samples.is_empty() || duplicate {
                self.drop_text(place::span(&samples), text, Doubt::Duplicate);
                continue;
            }
            let characters = text.chars().count() as u64;
            let entry = self.languages.entry(language.clone()).or_default();
            entry.0 += characters;
            entry.1 += characters as f64 * sure;
            self.transcript.segments.push(Segment {
                span: place::span(&samples),
                text,
                language: language.clone(),
                language_probability: sure as f32,
                words,
                tokens: kept.piece.tokens,
                avg_logprob: kept.piece.avg_logprob,
                no_speech_prob,
                compression_ratio,
                temperature,
                seek,
                doubt: kept.doubt,
            });
            self.last = Some(samples.clone());
            segments.push(samples);
        }
        self.tally.add(&chunk.speech, &segments);
    }

    fn drop_text(&mut self, span: crate::time::Span, text: String, why: Doubt) {
        self.transcript.dropped.push(Dropped { span, text: text.trim().to_owned(), why });
    }

    fn finish(mut self, heard: u64) -> Transcript {
        let (language, sure) = match (&self.given, self.majority()) {
            (Some(language), _) => (language.clone(), 1.0),
            (None, Some(language)) => {
                let (characters, sum) = self.languages.get(language).copied().unwrap_or_default();
                (language.to_owned(), sum / characters.max(1) as f64)
            }
            // ISO 639's word for a language that cannot be told.
            (None, None) => ("und".to_owned(), 0.0),
        };
        self.transcript.language = language;
        self.transcript.language_probability = sure as f32;
        self.transcript.duration = place::time(heard);
        self.transcript.coverage = self.tally.coverage();
        self.transcript.dropped.sort_by_key(|dropped| dropped.span.start);
        self.transcript
    }
}

#[cfg(test)]
mod tests;
