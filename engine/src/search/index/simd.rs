//! The inner loops: dot products. They are inlined into a caller that runs under
//! `pulp::Arch::dispatch`, which picks the widest instruction set that this machine has.

use pulp::Simd;

/// Components of the 8-bit rows come in blocks of this many; rows are padded with zeros.
pub(super) const BLOCK: usize = 32;

/// The dot product of two rows of floats; what one has beyond the other's end is ignored.
#[inline(always)]
pub(super) fn dot_floats<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    let (a, a_rest) = S::as_simd_f32s(&a[..n]);
    let (b, b_rest) = S::as_simd_f32s(&b[..n]);
    let mut sums = [simd.splat_f32s(0.0); 4];
    let (a_fours, a_ones) = pulp::as_arrays::<4, _>(a);
    let (b_fours, b_ones) = pulp::as_arrays::<4, _>(b);
    for (x, y) in a_fours.iter().zip(b_fours) {
        for i in 0..4 {
            sums[i] = simd.mul_add_e_f32s(x[i], y[i], sums[i]);
        }
    }
    for (&x, &y) in a_ones.iter().zip(b_ones) {
        sums[0] = simd.mul_add_e_f32s(x, y, sums[0]);
    }
    let pairs = [simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3])];
    let whole = simd.reduce_sum_f32s(simd.add_f32s(pairs[0], pairs[1]));
    a_rest.iter().zip(b_rest).fold(whole, |sum, (x, y)| sum + x * y)
}

/// The dot product of one 8-bit row with a 16-bit query, both padded to whole [`BLOCK`]s; what one
/// has beyond the other's end is ignored.
///
/// One plain loop: compilers turn this shape into widening multiply-adds (`vpmovsxbw`, `vpmaddwd`).
/// A loop over blocks inside would be added up across the register after each block.
#[inline(always)]
pub(super) fn dot_bytes(query: &[i16], row: &[i8]) -> i32 {
    query.iter().zip(row).fold(0, |sum, (&q, &r)| add_product(sum, q, r))
}

/// [`dot_bytes`] of four rows, one after the other: the processor begins to load the next while it
/// still adds up the last. (One loop over all four compiles to 32-bit products, which are slower.)
#[inline(always)]
pub(super) fn dot_bytes_4(query: &[i16], rows: [&[i8]; 4]) -> [i32; 4] {
    rows.map(|row| dot_bytes(query, row))
}

/// The dot product of two 8-bit rows.
#[inline(always)]
pub(super) fn dot_byte_rows(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).fold(0, |sum, (&a, &b)| add_product(sum, i16::from(a), b))
}

// Wrapping: with overflow checked the loop would stay scalar. Queries are scaled so that none is.
#[inline(always)]
fn add_product(sum: i32, a: i16, b: i8) -> i32 {
    sum.wrapping_add(i32::from(a).wrapping_mul(i32::from(b)))
}
