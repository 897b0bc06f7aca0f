//! Looks for the most probable text of a batch of chunks: greedily, by sampling, or with beams.

use super::decoder::{Decoder, Memory};
use super::heard::Heard;
use super::rules;
use super::runs::Runs;
use super::tokens::Tokens;
use crate::speech::fallback::is_loop;
use std::sync::Arc;

/// Tokens that a chunk of 30 s may have.
pub(super) const MOST_TOKENS: usize = 224;

/// A text that was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// Tokens without the prompt and the end.
    pub(super) tokens: Vec<u32>,
    /// Natural-log probability of each.
    pub(super) logprobs: Vec<f32>,
    /// Sum of them and of the end's.
    pub(super) sum: f32,
    /// Whether it came to an end by itself.
    pub(super) ended: bool,
}

impl Found {
    /// Mean natural-log probability, the end included.
    pub(super) fn mean(&self) -> f32 {
        self.sum / (self.tokens.len() + 1) as f32
    }
}

/// How tokens are chosen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    Best,
    /// The best of so many drawn at a temperature.
    Drawn {
        temperature: f32,
        of: usize,
    },
    Beams(usize),
}

/// One chunk and how it is begun.
pub(super) struct Begun<'a> {
    pub(super) heard: &'a Arc<Heard>,
    pub(super) prompt: &'a [u32],
}

/// A row of the batch.
#[derive(Clone)]
struct Row {
    chunk: usize,
    found: Found,
}

/// Finds the most probable text of each chunk, and tells `finish` as soon as it is found. All prompts
/// are of one length; `listened` remembers the beginning of them, if it was written before.
pub(super) fn search(
    decoder: &mut Decoder,
    tokens: &Tokens,
    chunks: &[Begun<'_>],
    listened: Option<Memory>,
    choice: Choice,
    runs: &Runs<'_>,
    finish: &mut dyn FnMut(usize, Found) -> ort::Result<()>,
) -> ort::Result<()> {
    let width = match choice {
        Choice::Best => 1,
        Choice::Drawn { of, .. } => of.max(1),
        Choice::Beams(beams) => beams.max(1),
    };
    let length = chunks.first().map_or(0, |c| c.prompt.len());
    let mut memory = match listened.filter(|memory| memory.written < length) {
        Some(memory) => memory,
        None => decoder.begin(chunks.iter().map(|c| c.heard.clone()).collect())?,
    };
    let unwritten = chunks.iter().flat_map(|c| &c.prompt[memory.written..]);
    let prompts: Vec<i64> = unwritten.map(|t| i64::from(*t)).collect();
    let last = (length - memory.written).saturating_sub(1) as i64;
    let mut logits = decoder.write(&mut memory, &prompts, &[last], runs)?;
    // From here each chunk has as many rows as it has hypotheses; at first all are the same.
    let mut rows: Vec<Row> =
        (0..chunks.len()).map(|chunk| Row { chunk, found: Found::default() }).collect();
    let mut done: Vec<Vec<Found>> = vec![Vec::new(); chunks.len()];
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let room = decoder.room(length).min(MOST_TOKENS);
    let mut first = true;
    while !rows.is_empty() {
        let (_, logits_now) = logits.try_extract_tensor_mut::<f32>()?;
        let count = logits_now.len() / rows.len();
        let mut next: Vec<(usize, Row)> = Vec::with_capacity(rows.len() * width);
        for (at, (row, logits)) in rows.iter().zip(logits_now.chunks_exact_mut(count)).enumerate() {
            let total = {
                let barred = &row.found.tokens;
                let total = rules::log_sum(logits);
                rules::apply(tokens, barred, logits);
                total
            };
            let picks = match choice {
                Choice::Best => vec![rules::best(logits)],
                Choice::Drawn { temperature, .. } => (0..if first { width } else { 1 })
                    .map(|_| rules::draw(logits, temperature, random.uniform()))
                    .collect(),
                Choice::Beams(_) => rules::top(logits, width + 1),
            };
            for token in picks {
                let mut row = row.clone();
                let logprob = logits[token as usize] - total;
                row.found.sum += logprob;
                row.found.tokens.push(token);
                row.found.logprobs.push(logprob);
                next.push((at, row));
            }
        }
        first = false;
        if let Choice::Beams(_) = choice {
            // The best of each chunk's continuations: rows of a chunk lie together.
            next.sort_by(|a, b| {
                a.1.chunk.cmp(&b.1.chunk).then(b.1.found.sum.total_cmp(&a.1.found.sum))
            });
        }
        let mut kept: Vec<usize> = Vec::with_capacity(next.len());
        rows.clear();
        for (at, mut row) in next {
            let chunk = row.chunk;
            let going = rows.iter().rev().take_while(|r| r.chunk == chunk).count();
            if matches!(choice, Choice::Beams(_)) && (going == width || done[chunk].len() >= width)
            {
                continue;
            }
            let ended = row.found.tokens.last() == Some(&tokens.end);
            if ended {
                row.found.tokens.pop();
                row.found.logprobs.pop();
                row.found.ended = true;
            }
            let written = row.found.tokens.len();
            let stuck = written >= room.min(most(&done[chunk])) || is_looping(&row.found.tokens);
            if ended || stuck {
                done[chunk].push(row.found);
            } else {
                kept.push(at);
                rows.push(row);
            }
        }
        if matches!(choice, Choice::Beams(_)) {
            let full: Vec<bool> = done.iter().map(|d| d.len() >= width).collect();
            let mut keep = rows.iter().map(|row| !full[row.chunk]).collect::<Vec<_>>().into_iter();
            kept.retain(|_| keep.next().unwrap_or(false));
            rows.retain(|row| !full[row.chunk]);
        }
        for (chunk, done) in done.iter_mut().enumerate() {
            if !done.is_empty() && rows.iter().all(|row| row.chunk != chunk) {
                let found = std::mem::take(done).into_iter();
                let best = found.max_by(|a, b| a.mean().total_cmp(&b.mean()));
                finish(chunk, best.unwrap_or_default())?;
            }
        }
        if rows.is_empty() {
            break;
        }
        memory.keep(&kept)?;
        let last: Vec<i64> =
            rows.iter().map(|r| r.found.tokens.last().copied().map_or(0, i64::from)).collect();
        logits = decoder.write(&mut memory, &last, &[0], runs)?;
    }
    Ok(())
}

/// Tokens that a hypothesis may have where others of its chunk, `done`, came to their end: one that
/// goes on for half as long again has lost its way, and would do so for 224 tokens.
fn most(done: &[Found]) -> usize {
    let ended = done.iter().filter(|found| found.ended).map(|found| found.tokens.len()).max();
    ended.map_or(usize::MAX, |longest| longest + longest / 2 + 16)
}

fn is_looping(tokens: &[u32]) -> bool {
    // Looked at now and then: it costs a walk over the text.
    tokens.len().is_multiple_of(16)
        && is_loop(
            &tokens.iter().map(|t| i32::try_from(*t).unwrap_or(i32::MAX)).collect::<Vec<_>>(),
        )
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same draws for the same batch, every time.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1_u64 << 24) as f32
    }
}
