//! Colour tables: `.cube` files (Adobe's Cube LUT Specification 1.0, and Resolve's with a curve in
//! front of a cube), looked up linearly in a curve and by tetrahedra in a cube.

mod cube;
#[cfg(test)]
mod tests;

pub use cube::CubeLut;

/// Tetrahedral interpolation in a cube of `side` points a side: the cell is divided into six
/// tetrahedra by the order of the three parts, and the four corners of the one that holds the
/// point are weighted (Kasson, Plouffe, Nin: "A tetrahedral interpolation technique for color
/// space conversion", 1993). `points` has the first axis slowest; `cell` is the lower corner, at
/// most `side − 2`; `part` is the place in the cell, 0 to 1.
#[inline(always)]
pub(crate) fn tetrahedral(
    points: &[[f32; 3]],
    side: usize,
    cell: [usize; 3],
    part: [f32; 3],
) -> [f32; 3] {
    let strides = [side * side, side, 1];
    let base = cell[0] * strides[0] + cell[1] * strides[1] + cell[2];
    let [a, b, c] = part;
    // The axes from the largest part to the smallest.
    let order = match (a >= b, b >= c, a >= c) {
        (true, true, _) => [0, 1, 2],
        (true, false, true) => [0, 2, 1],
        (true, false, false) => [2, 0, 1],
        (false, true, true) => [1, 0, 2],
        (false, true, false) => [1, 2, 0],
        (false, false, _) => [2, 1, 0],
    };
    let [p, q, r] = order.map(|axis| part[axis]);
    let first = base + strides[order[0]];
    let second = first + strides[order[1]];
    let last = base + strides[0] + strides[1] + 1;
    let corners = [base, first, second, last].map(|at| points.get(at).copied().unwrap_or_default());
    let weights = [1.0 - p, p - q, q - r, r];
    [0, 1, 2].map(|i| {
        corners[0][i] * weights[0]
            + corners[1][i] * weights[1]
            + corners[2][i] * weights[2]
            + corners[3][i] * weights[3]
    })
}
