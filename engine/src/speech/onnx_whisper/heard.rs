//! What was heard: keys and values of the encoder's last layer for each block of the decoder, and
//! the decoder's attention over them.
//!
//! They are kept in 16-bit integers with a scale for each key's and value's dimension: a decoder
//! that writes one token at a time reads all of them for each, so that its speed is that of memory.
//! (A range of 32767 steps is finer than half precision for all that matters, and turning integers
//! into floats is one instruction on any CPU.) Pure silence, which stands behind every sound, is
//! kept once and read where it is.

use super::logits::{exp_all, greatest};
use half::f16;
use half::slice::HalfFloatSliceExt;
use pulp::{Arch, NullaryFnOnce};
use std::sync::Arc;

/// Steps on each side of zero.
const STEPS: f32 = i16::MAX as f32;

/// What the decoder attends to.
pub(super) struct Heard {
    /// What was encoded; silence takes the place of the window's rest.
    pub(super) own: CrossMemory,
    /// The whole window of silence.
    pub(super) silence: Option<Arc<CrossMemory>>,
    /// Positions, 20 ms each, that the sound itself takes.
    pub(super) positions: usize,
    /// Positions of the whole window.
    pub(super) context: usize,
}

/// Keys and values of some positions for each block.
pub(super) struct CrossMemory {
    blocks: Vec<Block>,
    length: usize,
    heads: usize,
    size: usize,
}

struct Block {
    /// `[heads, tiles, size, TILE]`, the last tile filled up with zeros, and the step of each of
    /// `[heads, size]`.
    keys: Vec<i16>,
    key_steps: Vec<f32>,
    /// `[heads, length, size]`, and the same.
    values: Vec<i16>,
    value_steps: Vec<f32>,
}

impl CrossMemory {
    /// Takes `length` positions: for each block keys, `[heads, size, length]`, then values,
    /// `[heads, length, size]`. None where they are of another size.
    pub(super) fn new(both: &[&[f16]], length: usize, heads: usize, size: usize) -> Option<Self> {
        let mut blocks = Vec::with_capacity(both.len() / 2);
        for pair in both.chunks_exact(2) {
            let count = heads * size * length;
            if count == 0 || pair.iter().any(|part| part.len() != count) {
                return None;
            }
            let (keys, values) = (pair[0], pair[1]);
            let tiles = length.div_ceil(TILE);
            let mut block = Block {
                keys: vec![0; heads * tiles * size * TILE],
                key_steps: Vec::with_capacity(heads * size),
                values: vec![0; values.len()],
                value_steps: Vec::with_capacity(heads * size),
            };
            let mut line = vec![0.0_f32; length.max(size)];
            for (at, halves) in keys.chunks_exact(length).enumerate() {
                let line = &mut line[..length];
                halves.convert_to_f32_slice(line);
                let most = line.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
                let (head, dimension) = (at / size, at % size);
                for (tile, line) in line.chunks(TILE).enumerate() {
                    let from = ((head * tiles + tile) * size + dimension) * TILE;
                    round(line, Steps::One(per_step(most)), &mut block.keys[from..]);
                }
                block.key_steps.push(most / STEPS);
            }
            let row = &mut line[..size];
            let each = size * length;
            for (head, out) in values.chunks_exact(each).zip(block.values.chunks_exact_mut(each)) {
                let mut most = vec![0.0_f32; size];
                for halves in head.chunks_exact(size) {
                    halves.convert_to_f32_slice(row);
                    most.iter_mut().zip(&*row).for_each(|(most, v)| *most = most.max(v.abs()));
                }
                let per_step: Vec<f32> = most.iter().copied().map(per_step).collect();
                for (halves, out) in head.chunks_exact(size).zip(out.chunks_exact_mut(size)) {
                    halves.convert_to_f32_slice(row);
                    round(row, Steps::Each(&per_step), out);
                }
                block.value_steps.extend(most.iter().map(|most| most / STEPS));
            }
            blocks.push(block);
        }
        Some(Self { blocks, length, heads, size })
    }
}

impl Heard {
    /// Whether silence took the place of a part of the window.
    pub(super) fn is_part(&self) -> bool {
        self.silence.is_some()
    }

    /// How many positions the decoder looks at: the whole window. (With 14 s of silence behind the
    /// sound it made 84 to 86 errors in 1715 words of the clips, with all of it 81, at the same cost.)
    pub(super) fn seen(&self) -> usize {
        if self.silence.is_some() { self.context } else { self.own.length }
    }

    /// Heads of each block.
    pub(super) fn heads(&self) -> usize {
        self.own.heads
    }

    /// Whether there is a block `block` with heads for queries of `state`.
    pub(super) fn fits(&self, block: usize, state: usize) -> bool {
        let fits = |m: &CrossMemory| block < m.blocks.len() && m.heads * m.size == state;
        fits(&self.own) && self.silence.as_deref().is_none_or(fits)
    }

    /// How much `query`, that of one head, has to do with each of the first `scores.len()`
    /// positions: the dot product with its key over the root of the head's size.
    pub(super) fn score(&self, block: usize, head: usize, query: &[f32], scores: &mut [f32]) {
        let encoded = self.own.length.min(scores.len());
        let (sound, rest) = scores.split_at_mut(encoded);
        self.own.score(block, head, query, 0, sound);
        if let (Some(silence), false) = (&self.silence, rest.is_empty()) {
            silence.score(block, head, query, encoded, rest);
        }
    }

    /// What one head finds for `query`: the values of the positions it sees, weighed by the softmax
    /// of their scores. `scores` is room to work in.
    pub(super) fn attend(
        &self,
        block: usize,
        head: usize,
        query: &[f32],
        scores: &mut Vec<f32>,
        found: &mut [f32],
    ) {
        scores.resize(self.seen(), 0.0);
        self.score(block, head, query, scores);
        let most = greatest(scores);
        let sum = exp_all(scores, most);
        let (sound, rest) = scores.split_at(self.own.length.min(scores.len()));
        found.fill(0.0);
        self.own.weigh(block, head, sound, 0, found);
        if let (Some(silence), false) = (&self.silence, rest.is_empty()) {
            silence.weigh(block, head, rest, sound.len(), found);
        }
        found.iter_mut().for_each(|value| *value /= sum);
    }
}

impl CrossMemory {
    /// The scores of the positions from `from` on.
    fn score(&self, block: usize, head: usize, query: &[f32], from: usize, scores: &mut [f32]) {
        let block = &self.blocks[block];
        let scale = (self.size as f32).sqrt().recip();
        let steps = block.key_steps[head * self.size..(head + 1) * self.size].iter();
        let query: Vec<f32> = query.iter().zip(steps).map(|(q, step)| q * step * scale).collect();
        let (first, last) = (from / TILE, (from + scores.len()).div_ceil(TILE));
        let tile = self.size * TILE;
        let tiles = head * self.length.div_ceil(TILE);
        let keys = &block.keys[(tiles + first) * tile..(tiles + last) * tile];
        Arch::new().dispatch(Score { query: &query, keys, skipped: from % TILE, scores });
    }

    /// Adds the values of the positions from `from` on, by their `shares`.
    fn weigh(&self, block: usize, head: usize, shares: &[f32], from: usize, found: &mut [f32]) {
        let block = &self.blocks[block];
        let size = self.size;
        let values = &block.values[head * self.length * size..(head + 1) * self.length * size];
        let values = &values[from * size..(from + shares.len()) * size];
        let steps = &block.value_steps[head * size..(head + 1) * size];
        Arch::new().dispatch(Weigh { shares, values, steps, size, found });
    }
}

/// Steps for one of what is at most `most`.
fn per_step(most: f32) -> f32 {
    if most > 0.0 { STEPS / most } else { 0.0 }
}

/// How many steps of values that lie side by side make one.
#[derive(Clone, Copy)]
enum Steps<'a> {
    One(f32),
    Each(&'a [f32]),
}

/// Puts `values` into the front of `out` as whole steps.
fn round(values: &[f32], per_step: Steps<'_>, out: &mut [i16]) {
    struct Round<'a>(&'a [f32], Steps<'a>, &'a mut [i16]);
    impl NullaryFnOnce for Round<'_> {
        type Output = ();
        #[inline(always)]
        fn call(self) {
            // A cast keeps to the type's range, and makes nothing of what is no number.
            let whole = |steps: f32| steps.round_ties_even() as i32 as i16;
            let pairs = self.2.iter_mut().zip(self.0);
            match self.1 {
                Steps::One(per_step) => pairs.for_each(|(out, v)| *out = whole(v * per_step)),
                Steps::Each(per_step) => {
                    pairs.zip(per_step).for_each(|((out, v), per_step)| *out = whole(v * per_step));
                }
            }
        }
    }
    Arch::new().dispatch(Round(values, per_step, out));
}

/// Positions whose sums stay in registers, and whose keys lie together: memory is read from one end
/// to the other.
const TILE: usize = 32;

struct Score<'a> {
    query: &'a [f32],
    keys: &'a [i16],
    /// Positions of the first tile to leave out.
    skipped: usize,
    scores: &'a mut [f32],
}

impl NullaryFnOnce for Score<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { query, keys, mut skipped, mut scores } = self;
        for tile in keys.chunks_exact(query.len() * TILE) {
            let mut sums = [0.0_f32; TILE];
            for (weight, keys) in query.iter().zip(tile.as_chunks::<TILE>().0) {
                for (sum, key) in sums.iter_mut().zip(keys) {
                    *sum = weight.mul_add(f32::from(*key), *sum);
                }
            }
            let (now, rest) = scores.split_at_mut(scores.len().min(TILE - skipped));
            now.iter_mut().zip(&sums[skipped..]).for_each(|(score, sum)| *score = *sum);
            (scores, skipped) = (rest, 0);
        }
    }
}

/// Dimensions whose sums stay in registers: a head of every published Whisper.
const LANES: usize = 64;

struct Weigh<'a> {
    shares: &'a [f32],
    values: &'a [i16],
    steps: &'a [f32],
    size: usize,
    found: &'a mut [f32],
}

impl NullaryFnOnce for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { shares, values, steps, size, found } = self;
        if size == LANES {
            let mut sums = [0.0_f32; LANES];
            for (share, values) in shares.iter().zip(values.as_chunks::<LANES>().0) {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = share.mul_add(f32::from(*value), *sum);
                }
            }
            for ((found, sum), step) in found.iter_mut().zip(sums).zip(steps) {
                *found += sum * step;
            }
            return;
        }
        for (share, values) in shares.iter().zip(values.chunks_exact(size)) {
            for ((found, value), step) in found.iter_mut().zip(values).zip(steps) {
                *found += share * f32::from(*value) * step;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halves(numbers: &[f32]) -> Vec<f16> {
        numbers.iter().copied().map(f16::from_f32).collect()
    }

    fn numbers(count: usize, seed: u32, spread: f32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) as f32 / 8_388_608.0 - 1.0) * spread
        };
        (0..count).map(|_| f16::from_f32(next()).to_f32()).collect()
    }

    /// Attention as it is defined, in 64 bits.
    fn exact(query: &[f32], keys: &[Vec<f32>], values: &[Vec<f32>]) -> Vec<f64> {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let scale = (query.len() as f64).sqrt();
        let scores: Vec<f64> = keys.iter().map(|key| dot(query, key) / scale).collect();
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shares: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
        let sum: f64 = shares.iter().sum();
        (0..query.len())
            .map(|d| shares.iter().zip(values).map(|(s, v)| s * f64::from(v[d])).sum::<f64>() / sum)
            .collect()
    }

    #[test]
    fn attends_to_the_sound_and_the_silence_behind_it() {
        for (heads, size, encoded, context) in [(2, 64, 77, 901), (3, 6, 51, 60), (1, 64, 60, 60)] {
            let make = |length: usize, seed: u32| {
                let keys = numbers(heads * size * length, seed, 9.0);
                (keys, numbers(heads * size * length, seed + 1, 3.0))
            };
            let (own, tail) = (make(encoded, 1), make(context, 5));
            let kept = |(keys, values): &(Vec<f32>, Vec<f32>), length| {
                CrossMemory::new(&[&halves(keys), &halves(values)], length, heads, size).unwrap()
            };
            let silence = (encoded < context).then(|| Arc::new(kept(&tail, context)));
            let heard = Heard { own: kept(&own, encoded), silence, positions: 50, context };
            assert_eq!(heard.seen(), context);
            assert!(heard.fits(0, heads * size) && !heard.fits(1, heads * size));
            for head in 0..heads {
                let query = numbers(size, 77, 2.0);
                let at = |(keys, values): &(Vec<f32>, Vec<f32>), length: usize, p: usize| {
                    let key = (0..size).map(|d| keys[(head * size + d) * length + p]).collect();
                    let from = (head * length + p) * size;
                    (key, values[from..from + size].to_vec())
                };
                let (keys, values): (Vec<Vec<f32>>, Vec<Vec<f32>>) = (0..heard.seen())
                    .map(|p| if p < encoded { at(&own, encoded, p) } else { at(&tail, context, p) })
                    .unzip();
                let exact = exact(&query, &keys, &values);
                let mut found = vec![f32::NAN; size];
                heard.attend(0, head, &query, &mut Vec::new(), &mut found);
                for (found, exact) in found.iter().zip(exact) {
                    assert!((f64::from(*found) - exact).abs() < 2e-3, "{found} {exact}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let good = vec![f16::ONE; 8 * 5];
        assert!(CrossMemory::new(&[&good, &good], 5, 2, 4).is_some());
        assert!(CrossMemory::new(&[&good, &good[1..]], 5, 2, 4).is_none());
        assert!(CrossMemory::new(&[&[], &[]], 0, 2, 4).is_none());
        // Nothing but zeros has no step.
        let zero = vec![f16::ZERO; 8 * 5];
        let zero = CrossMemory::new(&[&zero, &zero], 5, 2, 4).unwrap();
        let heard = Heard { own: zero, silence: None, positions: 5, context: 5 };
        let mut found = [1.0; 4];
        heard.attend(0, 1, &[1.0; 4], &mut Vec::new(), &mut found);
        assert_eq!(found, [0.0; 4]);
    }
}
