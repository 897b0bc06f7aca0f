//! The inner loops of a resize, plain and with AVX2. Each pair does the same sums on whole numbers.
//!
//! Between the passes a sample is a signed word of 14 bits (8-bit values times 64, 10-bit ones
//! times 16), which leaves room for what a cubic overshoots.

use super::axis::{Axis, LANES};
use super::sample::Sample;
use pulp::bytemuck;

/// Bits of a word between the passes above a 10-bit code value's.
const WEIGHT_BITS: u32 = 14;

/// A row of another depth, or the same: limited-range code values of 10 bit are four times those
/// of 8 bit.
pub(super) fn copy<I: Sample, O: Sample>(from: &[I], to: &mut [O]) {
    if let (Some(from), Some(to)) = (I::as_bytes(from), O::as_bytes_mut(to)) {
        to.copy_from_slice(from);
    } else if let (Some(from), Some(to)) = (I::as_words(from), O::as_words_mut(to)) {
        to.copy_from_slice(from);
    } else {
        let round = (1 << O::UP) >> 1;
        for (from, to) in from.iter().zip(to) {
            *to = O::from_i32(((from.to_i32() << I::UP) + round) >> O::UP);
        }
    }
}

/// Sixteen words that one instruction takes: rows between the passes are kept in these.
#[cfg(target_arch = "x86_64")]
pub(super) type Sixteen = std::arch::x86_64::__m256i;
#[cfg(not(target_arch = "x86_64"))]
pub(super) type Sixteen = [i16; 16];

/// A row as words between the passes.
pub(super) fn lift<I: Sample>(row: &[I], out: &mut [i16]) {
    for (value, out) in row.iter().zip(out) {
        *out = (value.to_i32() << I::UP) as i16;
    }
}

/// A row resized across.
pub(super) fn across<I: Sample>(row: &[I], axis: &Axis, out: &mut [i16]) {
    #[cfg(target_arch = "x86_64")]
    if row.len() >= axis.taps
        && let Some(v3) = pulp::x86::V3::try_new()
    {
        return v3.vectorize(avx2::Across { v3, row, axis, out });
    }
    across_plain(row, axis, 0, out);
}

/// Output samples from `first` on.
#[inline(always)]
fn across_plain<I: Sample>(row: &[I], axis: &Axis, first: usize, out: &mut [i16]) {
    let down = WEIGHT_BITS - I::UP;
    let half = 1 << (down - 1);
    for (i, out) in out.iter_mut().enumerate().take(axis.start.len()).skip(first) {
        let start = axis.start[i] as usize;
        // A row shorter than the padded taps: the padding lies past its end.
        let samples = &row[start..row.len().min(start + axis.taps)];
        let sum: i32 =
            samples.iter().zip(axis.of(i)).map(|(s, w)| s.to_i32() * i32::from(*w)).sum();
        *out = ((sum + half) >> down).clamp(-32768, 32767) as i16;
    }
}

/// One output row from rows between the passes, `stride` sixteens apart, weighted.
pub(super) fn down<O: Sample>(rows: &[Sixteen], stride: usize, weights: &[i16], out: &mut [O]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(v3) = pulp::x86::V3::try_new() {
        return v3.vectorize(avx2::Down { v3, rows, stride, weights, out });
    }
    down_plain(bytemuck::cast_slice(rows), stride * 16, weights, out);
}

#[inline(always)]
fn down_plain<O: Sample>(rows: &[i16], stride: usize, weights: &[i16], out: &mut [O]) {
    let shift = WEIGHT_BITS + O::UP;
    let half = 1 << (shift - 1);
    for (x, out) in out.iter_mut().enumerate() {
        let sum: i32 = weights
            .iter()
            .enumerate()
            .map(|(k, w)| i32::from(rows[k * stride + x]) * i32::from(*w))
            .sum();
        *out = O::from_i32((sum + half) >> shift);
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Axis, LANES, Sample, Sixteen, WEIGHT_BITS};
    use pulp::NullaryFnOnce;
    use pulp::bytemuck;
    use pulp::x86::V3;
    use std::arch::x86_64::{__m128i, __m256i};

    /// See [`super::across`].
    pub(super) struct Across<'a, I> {
        pub v3: V3,
        pub row: &'a [I],
        pub axis: &'a Axis,
        pub out: &'a mut [i16],
    }

    impl<I: Sample> NullaryFnOnce for Across<'_, I> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Self { v3, row, axis, out } = self;
            let (sse2, ssse3) = (v3.sse2, v3.ssse3);
            let down = WEIGHT_BITS - I::UP;
            let half = sse2._mm_set1_epi32(1 << (down - 1));
            let eights = axis.taps / LANES;
            let n = axis.start.len().min(out.len());
            let starts = axis.start[..n].chunks_exact(4);
            let weights = axis.eights[..n * eights].chunks_exact(4 * eights);
            for ((start, weights), out) in starts.zip(weights).zip(out.chunks_exact_mut(4)) {
                let a = sum(v3, row, start[0], &weights[..eights]);
                let b = sum(v3, row, start[1], &weights[eights..2 * eights]);
                let c = sum(v3, row, start[2], &weights[2 * eights..3 * eights]);
                let d = sum(v3, row, start[3], &weights[3 * eights..]);
                let all =
                    ssse3._mm_hadd_epi32(ssse3._mm_hadd_epi32(a, b), ssse3._mm_hadd_epi32(c, d));
                let all = sse2._mm_add_epi32(all, half);
                let all = if down == 8 {
                    sse2._mm_srai_epi32::<8>(all)
                } else {
                    sse2._mm_srai_epi32::<10>(all)
                };
                let words: [i16; 8] = bytemuck::cast(sse2._mm_packs_epi32(all, all));
                out.copy_from_slice(&words[..4]);
            }
            super::across_plain(row, axis, n - n % 4, out);
        }
    }

    // Functions and not closures: a closure is not inlined into what has the instructions, and
    // then each of them is a call.

    /// Samples times weights from `start` on, in four parts.
    #[inline(always)]
    fn sum<I: Sample>(v3: V3, row: &[I], start: u32, weights: &[__m128i]) -> __m128i {
        let sse2 = v3.sse2;
        let row = &row[start as usize..start as usize + weights.len() * LANES];
        let mut sum = sse2._mm_setzero_si128();
        for (w, s) in weights.iter().zip(row.chunks_exact(LANES)) {
            sum = sse2._mm_add_epi32(sum, sse2._mm_madd_epi16(*w, words(v3, s)));
        }
        sum
    }

    /// Eight samples as words.
    #[inline(always)]
    fn words<I: Sample>(v3: V3, eight: &[I]) -> __m128i {
        if let Some(bytes) = I::as_bytes(eight) {
            let bytes: [u8; LANES] = bytes.try_into().unwrap_or_default();
            v3.sse4_1._mm_cvtepu8_epi16(v3.sse2._mm_set_epi64x(0, i64::from_le_bytes(bytes)))
        } else {
            let words = I::as_words(eight).and_then(|words| words.try_into().ok());
            let words: [u16; LANES] = words.unwrap_or_default();
            bytemuck::cast(words)
        }
    }

    /// Writes sixteen code values that are words, or as many as there is room for.
    #[inline(always)]
    fn store<O: Sample>(v3: V3, values: __m256i, out: &mut [O]) {
        if O::MAX == 255 {
            let packed = v3.avx2._mm256_packus_epi16(values, values);
            let packed = v3.avx2._mm256_permute4x64_epi64::<0b10_00>(packed);
            let bytes: [u8; 16] = bytemuck::cast(v3.avx._mm256_castsi256_si128(packed));
            if let Some(out) = O::as_bytes_mut(out) {
                // Two ways, so that the usual one is a single store.
                if let Ok(out) = <&mut [u8; 16]>::try_from(&mut *out) {
                    *out = bytes;
                } else {
                    out.copy_from_slice(&bytes[..out.len()]);
                }
            }
        } else if let Some(out) = O::as_words_mut(out) {
            let words: [u16; 16] = bytemuck::cast(values);
            if let Ok(out) = <&mut [u16; 16]>::try_from(&mut *out) {
                *out = words;
            } else {
                out.copy_from_slice(&words[..out.len()]);
            }
        }
    }

    #[inline(always)]
    fn shifted<O: Sample>(v3: V3, v: __m256i) -> __m256i {
        if O::UP == 6 {
            v3.avx2._mm256_srai_epi32::<20>(v)
        } else {
            v3.avx2._mm256_srai_epi32::<18>(v)
        }
    }

    /// See [`super::down`].
    pub(super) struct Down<'a, O> {
        pub v3: V3,
        pub rows: &'a [Sixteen],
        pub stride: usize,
        pub weights: &'a [i16],
        pub out: &'a mut [O],
    }

    impl<O: Sample> NullaryFnOnce for Down<'_, O> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Self { v3, rows, stride, weights, out } = self;
            let (avx, avx2) = (v3.avx, v3.avx2);
            let half = avx._mm256_set1_epi32(1 << (WEIGHT_BITS + O::UP - 1));
            let zero = avx._mm256_setzero_si256();
            let top = avx._mm256_set1_epi16(O::MAX as i16);
            for (n, out) in out.chunks_mut(16).enumerate() {
                let (mut low, mut high) = (half, half);
                for (k, w) in weights.chunks(2).enumerate() {
                    let a = rows.get(2 * k * stride + n).copied().unwrap_or(zero);
                    let (b, second) = match w.get(1) {
                        Some(w) => {
                            (rows.get((2 * k + 1) * stride + n).copied().unwrap_or(zero), *w)
                        }
                        None => (zero, 0),
                    };
                    let pair = (w[0] as u16 as u32 | (second as u16 as u32) << 16) as i32;
                    let pair = avx._mm256_set1_epi32(pair);
                    let (l, h) =
                        (avx2._mm256_unpacklo_epi16(a, b), avx2._mm256_unpackhi_epi16(a, b));
                    low = avx2._mm256_add_epi32(low, avx2._mm256_madd_epi16(l, pair));
                    high = avx2._mm256_add_epi32(high, avx2._mm256_madd_epi16(h, pair));
                }
                let words = avx2._mm256_packs_epi32(shifted::<O>(v3, low), shifted::<O>(v3, high));
                let words = avx2._mm256_min_epi16(avx2._mm256_max_epi16(words, zero), top);
                store(v3, words, out);
            }
        }
    }
}
