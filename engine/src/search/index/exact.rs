//! The exact search: every row is looked at.
//!
//! It reads the bytes of all rows and the floats of only those that may be among the best, given how
//! far their bytes can mislead: the result is that of comparing all floats, for a quarter of the
//! memory traffic.

use super::rows::{Query, Rows};
use super::top::Top;
use pulp::{Arch, Simd, WithSimd};

/// Adds to `top` the `k` rows nearest to `query` of those that pass.
pub(super) fn scan(
    rows: Rows<'_>,
    query: &Query<'_>,
    k: usize,
    passes: &dyn Fn(usize) -> bool,
    top: &mut Top,
) {
    Arch::new().dispatch(Scan { rows, query, k, passes, top });
}

struct Scan<'a, 'q> {
    rows: Rows<'a>,
    query: &'a Query<'q>,
    k: usize,
    passes: &'a dyn Fn(usize) -> bool,
    top: &'a mut Top,
}

impl WithSimd for Scan<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, query, k, passes, top } = self;
        let mut surely = Top::new(k.max(1));
        let mut perhaps: Vec<(f32, usize)> = Vec::new();
        for row in 0..rows.len() {
            if !passes(row) {
                continue;
            }
            let near = rows.near(query, row);
            let doubt = rows.doubt(query, row);
            let most = near + doubt;
            // Not "<", so that a damaged file's NaN is kept rather than compared.
            if most < surely.bar() {
                continue;
            }
            perhaps.push((most, row));
            surely.push(near - doubt, row as u64);
        }
        for (most, row) in perhaps {
            if most < surely.bar() {
                continue;
            }
            if let Some(&id) = rows.ids.get(row) {
                top.push(rows.exact(simd, query, row), id);
            }
        }
    }
}
