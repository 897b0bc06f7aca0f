//! Sound in, chunks for a recogniser out: regions of speech packed together up to 30 s, cut where
//! it is quiet.
//!
//! A recogniser pays for every chunk, however short, so regions are put together until a chunk is
//! full. Short gaps between them stay as they are, because a recogniser reads them as pauses;
//! longer ones are shortened, and [`ChunkClock`] keeps what that does to time. Speech without a
//! pause is cut where speech is least likely, and there at the quietest place.

use super::clock::ChunkClock;
use super::recogniser::{MAX_CHUNK_SAMPLES, SAMPLE_RATE};
use super::regions::{RegionOptions, Regions};
use super::vad::{Vad, WINDOW};
use crate::error::Result;
use std::collections::VecDeque;
use std::ops::Range;

/// Samples per millisecond.
const PER_MS: u64 = SAMPLE_RATE as u64 / 1000;

/// The steps in which the quietest place is looked for: 10 ms.
const HOP: usize = 160;

/// How chunks are put together. All lengths are in milliseconds of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ChunkOptions {
    /// Longest chunk. Default and most 30,000; at least 1,000.
    pub max_ms: u32,
    /// A chunk this long is not filled up with part of a region: it ends before it. Default
    /// 20,000; less makes more chunks, and fewer cuts inside of speech.
    pub fill_ms: u32,
    /// What is kept of the silence before and after speech at a chunk's ends. Default 200.
    pub pad_ms: u32,
    /// Gaps up to this length stay as they are. Default 1,000.
    pub keep_gap_ms: u32,
    /// What is left of a longer gap. Default 600; at most `keep_gap_ms`.
    pub short_gap_ms: u32,
    /// A gap longer than this ends the chunk. Default 5,000; most 30,000.
    pub break_gap_ms: u32,
}

impl Default for ChunkOptions {
    fn default() -> Self {
        Self {
            max_ms: 30_000,
            fill_ms: 20_000,
            pad_ms: 200,
            keep_gap_ms: 1_000,
            short_gap_ms: 600,
            break_gap_ms: 5_000,
        }
    }
}

/// Part of the sound, ready for a recogniser.
#[derive(Clone, Debug, PartialEq)]
pub struct SpokenChunk {
    /// 16 kHz mono samples, at most 30 s.
    pub samples: Vec<f32>,
    /// Where they come from.
    pub clock: ChunkClock,
    /// The stretches of the file in which speech was detected, in its samples.
    pub speech: Vec<Range<u64>>,
}

/// Cuts a stream of sound into chunks. Holds less than 95 s of sound (6 MB) with any options, 70 s
/// with the default ones, however long the stream is.
#[derive(Debug)]
pub struct Chunker {
    vad: Option<Vad>,
    regions: Regions,
    packer: Packer,
    decided: Vec<f32>,
}

impl Chunker {
    /// Chunks of what `vad` takes for speech.
    pub fn new(vad: Vad, regions: RegionOptions, chunks: ChunkOptions) -> Self {
        Self {
            vad: Some(vad),
            regions: Regions::new(regions),
            packer: Packer::new(chunks),
            decided: Vec::new(),
        }
    }

    /// Chunks of all the sound, cut at the quietest places; all of it counts as speech.
    pub fn without_vad(chunks: ChunkOptions) -> Self {
        Self {
            vad: None,
            regions: Regions::new(RegionOptions::default()),
            packer: Packer::new(chunks),
            decided: Vec::new(),
        }
    }

    /// Takes the next samples (16 kHz, mono) and gives the chunks that are complete.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`] where voice detection fails.
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<SpokenChunk>> {
        let mut done = Vec::new();
        // In small steps, so that a caller who gives an hour at once gets no larger buffer.
        for piece in samples.chunks(SAMPLE_RATE as usize) {
            self.packer.samples(piece);
            if let Some(vad) = &mut self.vad {
                vad.push(piece, &mut self.decided)?;
                self.windows(&mut done);
            } else {
                let heard = self.packer.heard();
                self.packer.going_on(0, heard, &mut done);
            }
        }
        Ok(done)
    }

    /// Gives what is left once the sound is over.
    ///
    /// # Errors
    /// As [`Chunker::push`].
    pub fn finish(&mut self) -> Result<Vec<SpokenChunk>> {
        let mut done = Vec::new();
        let last = if let Some(vad) = &mut self.vad {
            vad.finish(&mut self.decided)?;
            self.windows(&mut done);
            self.regions.finish()
        } else {
            Some(0..self.packer.heard())
        };
        if let Some(region) = last {
            self.packer.region(region, &mut done);
        }
        self.packer.end_chunk(None, &mut done);
        Ok(done)
    }

    fn windows(&mut self, done: &mut Vec<SpokenChunk>) {
        for probability in self.decided.drain(..) {
            self.packer.window(probability, &mut self.regions, done);
        }
    }
}

/// Puts regions together. It knows nothing of models: it takes samples, probabilities and regions.
#[derive(Debug)]
struct Packer {
    max: u64,
    fill: u64,
    pad: u64,
    keep_gap: u64,
    short_gap: u64,
    break_gap: u64,
    /// Samples that may still be needed, from sample `base` of the file on.
    sound: VecDeque<f32>,
    base: u64,
    /// Probabilities that belong to them, from window `base_window` on.
    probabilities: VecDeque<f32>,
    base_window: u64,
    /// End of the last region, or part of one, that was taken.
    taken: u64,
    /// End of what the last chunk holds.
    given: u64,
    building: Option<SpokenChunk>,
}

impl Packer {
    fn new(options: ChunkOptions) -> Self {
        let samples = |ms: u32| u64::from(ms) * PER_MS;
        let max = samples(options.max_ms).clamp(u64::from(SAMPLE_RATE), MAX_CHUNK_SAMPLES as u64);
        let keep_gap = samples(options.keep_gap_ms).min(max);
        Self {
            max,
            fill: samples(options.fill_ms).min(max),
            pad: samples(options.pad_ms).min(max / 8),
            keep_gap,
            short_gap: samples(options.short_gap_ms).min(keep_gap),
            break_gap: samples(options.break_gap_ms).min(MAX_CHUNK_SAMPLES as u64).max(keep_gap),
            sound: VecDeque::new(),
            base: 0,
            probabilities: VecDeque::new(),
            base_window: 0,
            taken: 0,
            given: 0,
            building: None,
        }
    }

    /// Samples heard so far.
    fn heard(&self) -> u64 {
        self.base + self.sound.len() as u64
    }

    fn samples(&mut self, samples: &[f32]) {
        self.sound.extend(samples);
    }

    /// Takes the probability of the next window, by which `regions` are found.
    fn window(&mut self, probability: f32, regions: &mut Regions, done: &mut Vec<SpokenChunk>) {
        self.probabilities.push_back(probability);
        if let Some(region) = regions.push(probability) {
            self.region(region, done);
        } else if let (Some(start), Some(end)) = (regions.begun(), regions.spoken_to()) {
            // The file's last window is filled up with silence that is not there.
            self.going_on(start, end.min(self.heard()), done);
            if self.taken > start {
                regions.split(self.taken);
            }
        } else {
            self.silence(done);
        }
    }

    /// The window that was last given a probability holds no speech, and no region has begun.
    fn silence(&mut self, done: &mut Vec<SpokenChunk>) {
        let now = (self.base_window + self.probabilities.len() as u64) * WINDOW as u64;
        if self.building.is_some() && now > self.taken + self.break_gap + self.pad {
            self.end_chunk(Some(now), done);
        }
        if self.building.is_none() {
            self.drop_before(now.saturating_sub(self.pad));
        }
    }

    /// A region from `start` is not over and reaches `end` so far: what is too long is cut off.
    fn going_on(&mut self, start: u64, end: u64, done: &mut Vec<SpokenChunk>) {
        let mut start = start.max(self.taken);
        while end > start && self.length_with(start, end) > self.max {
            start = self.overflow(start..end, done);
        }
    }

    /// Takes a region that is over.
    fn region(&mut self, region: Range<u64>, done: &mut Vec<SpokenChunk>) {
        let region = region.start.max(self.taken)..region.end.min(self.heard());
        if region.is_empty() {
            return;
        }
        self.going_on(region.start, region.end, done);
        self.add(region.start.max(self.taken)..region.end, done);
        self.drop_before(self.taken);
    }

    /// Samples that the chunk would have with speech from `start` to `end` and its padding.
    fn length_with(&self, start: u64, end: u64) -> u64 {
        match &self.building {
            Some(chunk) => chunk.clock.len() + self.kept_of_gap(start) + (end - start) + self.pad,
            None => (start - self.start_of(start)) + (end - start) + self.pad,
        }
    }

    /// Where a chunk begins whose speech begins at `start`.
    fn start_of(&self, start: u64) -> u64 {
        start.saturating_sub(self.pad).max(self.given).max(self.base)
    }

    /// Samples kept of the gap before `start`.
    fn kept_of_gap(&self, start: u64) -> u64 {
        let gap = start - self.taken;
        if gap <= self.keep_gap { gap } else { self.short_gap }
    }

    /// Speech does not fit into the chunk: the chunk ends before it, or takes part of it. Gives
    /// where what is left of the speech begins.
    fn overflow(&mut self, speech: Range<u64>, done: &mut Vec<SpokenChunk>) -> u64 {
        let ahead = self.length_with(speech.start, speech.start) - self.pad;
        let gap = speech.start - self.taken;
        if self.building.is_some() && (ahead >= self.fill || gap > self.break_gap) {
            self.end_chunk(Some(speech.start), done);
            return speech.start;
        }
        // The cut falls into the last third of the chunk. The padding behind is not needed there.
        let room = self.max - ahead.min(self.max);
        let least = (self.max * 2 / 3).saturating_sub(ahead).max(HOP as u64).min(room);
        let cut = self.quietest(speech.start + least..(speech.start + room).min(speech.end));
        self.add(speech.start..cut, done);
        self.end_chunk(Some(cut), done);
        self.drop_before(cut);
        cut
    }

    /// Adds speech to the chunk, or begins one with it; it is known to fit unless the gap before
    /// it is too long.
    fn add(&mut self, speech: Range<u64>, done: &mut Vec<SpokenChunk>) {
        if speech.is_empty() {
            return;
        }
        if self.building.is_some() && speech.start - self.taken > self.break_gap {
            self.end_chunk(Some(speech.start), done);
        }
        let from = self.start_of(speech.start);
        let kept = self.kept_of_gap(speech.start);
        let taken = self.taken;
        let mut chunk = self.building.take().unwrap_or_else(|| SpokenChunk {
            samples: Vec::new(),
            clock: ChunkClock::new(),
            speech: Vec::new(),
        });
        if chunk.clock.is_empty() {
            self.copy(from..speech.end, &mut chunk);
        } else if kept == speech.start - taken {
            self.copy(taken..speech.end, &mut chunk);
        } else {
            self.copy(taken..taken + kept / 2, &mut chunk);
            self.copy(speech.start - (kept - kept / 2)..speech.end, &mut chunk);
        }
        self.taken = speech.end;
        match chunk.speech.last_mut() {
            Some(last) if last.end == speech.start => last.end = speech.end,
            _ => chunk.speech.push(speech),
        }
        self.building = Some(chunk);
    }

    /// Ends the chunk, with padding that leaves as much of the gap before `next` to the next one.
    fn end_chunk(&mut self, next: Option<u64>, done: &mut Vec<SpokenChunk>) {
        let Some(mut chunk) = self.building.take() else { return };
        let gap = match next {
            Some(next) => next.saturating_sub(self.taken) / 2,
            None => self.heard().saturating_sub(self.taken),
        };
        let room = self.max.saturating_sub(chunk.clock.len());
        self.copy(self.taken..self.taken + gap.min(self.pad).min(room), &mut chunk);
        self.given = chunk.clock.span().end;
        // It may wait for a while, beside others.
        chunk.samples.shrink_to_fit();
        done.push(chunk);
    }

    /// Copies a stretch of the file that is still held to the chunk's end.
    fn copy(&self, file: Range<u64>, chunk: &mut SpokenChunk) {
        let held = |at: u64| (at.max(self.base) - self.base).min(self.sound.len() as u64) as usize;
        let range = held(file.start)..held(file.end.max(file.start));
        chunk.clock.append(self.base + range.start as u64..self.base + range.end as u64);
        chunk.samples.extend(self.sound.range(range));
    }

    /// Lets go of what lies before sample `at`.
    fn drop_before(&mut self, at: u64) {
        let at = at.min(self.heard());
        if at > self.base {
            self.sound.drain(..(at - self.base) as usize);
            self.base = at;
        }
        let window = self.base / WINDOW as u64;
        let old = window.saturating_sub(self.base_window).min(self.probabilities.len() as u64);
        self.probabilities.drain(..old as usize);
        self.base_window += old;
    }

    /// The best place for a cut in `within`: in the window where speech is least likely (to a
    /// tenth), and there the middle of the quietest 30 ms.
    fn quietest(&self, within: Range<u64>) -> u64 {
        let mut best = (f32::INFINITY, f32::INFINITY, within.end);
        let mut at = within.start;
        while at + HOP as u64 <= within.end {
            let window = (at + HOP as u64 / 2) / WINDOW as u64;
            let probability = window
                .checked_sub(self.base_window)
                .and_then(|index| self.probabilities.get(index as usize))
                .map_or(1.0, |p| (p * 10.0).floor());
            let around = (at.saturating_sub(HOP as u64), at + 2 * HOP as u64);
            let held = |at: u64| (at.max(self.base) - self.base).min(self.sound.len() as u64);
            let heard = self.sound.range(held(around.0) as usize..held(around.1) as usize);
            let energy: f32 = heard.map(|sample| sample * sample).sum();
            if (probability, energy) < (best.0, best.1) {
                best = (probability, energy, at + HOP as u64 / 2);
            }
            at += HOP as u64;
        }
        best.2
    }
}

#[cfg(test)]
mod tests;
