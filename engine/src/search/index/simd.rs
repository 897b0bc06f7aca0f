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

/// The dot product of one 8-bit row with a 16-bit query, both padded to whole [`BLOCK`]s.
///
/// Plain loops: compilers turn this shape into widening multiply-adds (`vpmovsxbw`, `vpmaddwd`).
#[inline(always)]
pub(super) fn dot_bytes(query: &[[i16; BLOCK]], row: &[i8]) -> i32 {
    let (row, _) = row.as_chunks::<BLOCK>();
    let mut sum = 0i32;
    for (q, r) in query.iter().zip(row) {
        sum = sum.wrapping_add(dot_block(q, r));
    }
    sum
}

/// [`dot_bytes`] of four rows at once: their loads do not wait for one another, which is what a
/// walk over a graph in memory spends its time on.
#[inline(always)]
pub(super) fn dot_bytes_4(query: &[[i16; BLOCK]], rows: [&[i8]; 4]) -> [i32; 4] {
    let [a, b, c, d] = rows.map(|row| row.as_chunks::<BLOCK>().0);
    let mut sums = [0i32; 4];
    for ((((q, a), b), c), d) in query.iter().zip(a).zip(b).zip(c).zip(d) {
        sums[0] = sums[0].wrapping_add(dot_block(q, a));
        sums[1] = sums[1].wrapping_add(dot_block(q, b));
        sums[2] = sums[2].wrapping_add(dot_block(q, c));
        sums[3] = sums[3].wrapping_add(dot_block(q, d));
    }
    sums
}

#[inline(always)]
fn dot_block(q: &[i16; BLOCK], r: &[i8; BLOCK]) -> i32 {
    let mut sum = 0i32;
    for i in 0..BLOCK {
        sum = sum.wrapping_add(i32::from(q[i]) * i32::from(r[i]));
    }
    sum
}

/// The dot product of two 8-bit blocks.
#[inline(always)]
pub(super) fn dot_block_bytes(a: &[i8; BLOCK], b: &[i8; BLOCK]) -> i32 {
    let mut sum = 0i32;
    for i in 0..BLOCK {
        sum += i32::from(a[i]) * i32::from(b[i]);
    }
    sum
}
