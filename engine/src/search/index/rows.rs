//! Vectors in rows, each twice: in bytes to look through, in floats to be exact about the best.
//!
//! A row of bytes times its scale is nearly the row of floats; how far off it is at most (the length
//! of the difference) is kept beside the scale, so a search knows which rows it may leave out.

use super::simd::{self, BLOCK};
use pulp::Simd;

/// Bytes that one 8-bit row takes: `dim` filled up to whole blocks.
pub(super) fn stride(dim: usize) -> usize {
    dim.div_ceil(BLOCK) * BLOCK
}

/// Rows that lie somewhere else. Row `i` exists for all four slices or for none.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub dim: usize,
    pub ids: &'a [u64],
    /// Per row: the scale, and the length of what the bytes leave out.
    pub scales: &'a [[f32; 2]],
    pub bytes: &'a [i8],
    pub floats: &'a [f32],
}

impl<'a> Rows<'a> {
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn floats(&self, row: usize) -> &'a [f32] {
        self.floats.get(row * self.dim..(row + 1) * self.dim).unwrap_or_default()
    }

    #[inline(always)]
    pub fn bytes(&self, row: usize) -> &'a [i8] {
        let stride = stride(self.dim);
        self.bytes.get(row * stride..(row + 1) * stride).unwrap_or_default()
    }

    /// The cosine of a row as its bytes give it.
    #[inline(always)]
    pub fn near(&self, query: &Query<'_>, row: usize) -> f32 {
        self.scaled(query, row, simd::dot_bytes(&query.words, self.bytes(row)))
    }

    /// [`Self::near`] of four rows.
    #[inline(always)]
    pub fn near_4(&self, query: &Query<'_>, rows: [u32; 4]) -> [f32; 4] {
        let rows = rows.map(|row| row as usize);
        let dots = simd::dot_bytes_4(&query.words, rows.map(|row| self.bytes(row)));
        std::array::from_fn(|i| self.scaled(query, rows[i], dots[i]))
    }

    #[inline(always)]
    fn scaled(&self, query: &Query<'_>, row: usize, dot: i32) -> f32 {
        let scale = self.scales.get(row).map_or(0.0, |s| s[0]);
        dot as f32 * (query.scale * scale)
    }

    /// How far [`Self::near`] can be from [`Self::exact`].
    #[inline(always)]
    pub fn doubt(&self, query: &Query<'_>, row: usize) -> f32 {
        // Rounding of the sums themselves, generously.
        const ROUNDING: f32 = 4e-6;
        let left_out = self.scales.get(row).map_or(0.0, |s| s[1]);
        left_out + query.left_out * (1.0 + left_out) + ROUNDING
    }

    /// The cosine of a row.
    #[inline(always)]
    pub fn exact<S: Simd>(&self, simd: S, query: &Query<'_>, row: usize) -> f32 {
        simd::dot_floats(simd, query.floats, self.floats(row))
    }
}

/// What is searched for: as floats, and as 16-bit words to be multiplied with bytes.
pub(super) struct Query<'a> {
    floats: &'a [f32],
    words: Vec<i16>,
    scale: f32,
    left_out: f32,
}

impl<'a> Query<'a> {
    pub fn new(floats: &'a [f32]) -> Self {
        let blocks = floats.len().div_ceil(BLOCK).max(1);
        // The sum over a row stays within 32 bits.
        let widest = i32::MAX / (127 * (blocks * BLOCK) as i32);
        let widest = widest.min(i32::from(i16::MAX)) as f32;
        let scale = largest(floats) / widest;
        let mut words = vec![0i16; blocks * BLOCK];
        let mut left_out = 0.0f32;
        for (word, &x) in words.iter_mut().zip(floats) {
            *word = (x / scale).round() as i16;
            left_out += (x - f32::from(*word) * scale).powi(2);
        }
        Self { floats, words, scale, left_out: left_out.sqrt() }
    }
}

fn largest(floats: &[f32]) -> f32 {
    floats.iter().fold(f32::MIN_POSITIVE, |most, x| most.max(x.abs()))
}

/// Rows held in memory.
#[derive(Clone, Default)]
pub(super) struct OwnedRows {
    dim: usize,
    ids: Vec<u64>,
    scales: Vec<[f32; 2]>,
    bytes: Vec<i8>,
    floats: Vec<f32>,
}

impl OwnedRows {
    pub fn new(dim: usize) -> Self {
        Self { dim, ..Self::default() }
    }

    /// Adds a row; `floats` has `dim` finite components.
    pub fn push(&mut self, id: u64, floats: &[f32]) {
        let scale = largest(floats) / 127.0;
        let mut left_out = 0.0f32;
        self.bytes.extend(floats.iter().map(|&x| {
            let byte = (x / scale).round() as i8;
            left_out += (x - f32::from(byte) * scale).powi(2);
            byte
        }));
        self.ids.push(id);
        self.bytes.resize(self.ids.len() * stride(self.dim), 0);
        self.scales.push([scale, left_out.sqrt()]);
        self.floats.extend_from_slice(floats);
    }

    pub fn view(&self) -> Rows<'_> {
        Rows {
            dim: self.dim,
            ids: &self.ids,
            scales: &self.scales,
            bytes: &self.bytes,
            floats: &self.floats,
        }
    }
}
