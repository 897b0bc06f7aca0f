//! One search over a frozen part: through the graph or through everything, whichever is less work.

use super::exact;
use super::frozen::Frozen;
use super::rows::Query;
use super::top::Top;
use super::walk;
use pulp::{Arch, Simd, WithSimd};

/// Which items may be found.
#[derive(Clone, Copy)]
pub enum Filter<'a> {
    /// All.
    All,
    /// Those whose number passes. As long as `k` items pass, `k` are found. It is asked once per
    /// item and search at most a few times, so it should be quick: a look into a set or bitmap.
    Only(&'a dyn Fn(u64) -> bool),
}

impl Filter<'_> {
    pub(super) fn passes(&self, id: u64) -> bool {
        match self {
            Self::All => true,
            Self::Only(passes) => passes(id),
        }
    }
}

/// Nodes that were removed since the freeze.
#[derive(Clone, Default)]
pub(super) struct Dead {
    bits: Vec<u64>,
    count: usize,
}

impl Dead {
    /// Marks a node; whether it was alive.
    pub fn mark(&mut self, node: usize) -> bool {
        if self.bits.len() <= node / 64 {
            self.bits.resize(node / 64 + 1, 0);
        }
        let bit = 1 << (node % 64);
        let alive = self.bits[node / 64] & bit == 0;
        self.bits[node / 64] |= bit;
        self.count += usize::from(alive);
        alive
    }

    pub fn contains(&self, node: usize) -> bool {
        self.bits.get(node / 64).is_some_and(|word| word & 1 << (node % 64) != 0)
    }

    pub fn len(&self) -> usize {
        self.count
    }
}

/// Items asked to learn how many pass a filter.
const SAMPLE: usize = 256;
/// What following one node costs in the rows that a scan looks at: its neighbours not yet seen, from
/// all over memory.
const FOLLOW: f64 = 24.0;
/// What asking the filter costs in the same unit.
const ASK: f64 = 0.3;

/// Adds to `top` the `k` nearest items of `frozen` that are alive and pass. `ef` is how many
/// candidates a walk keeps: more find more of the true nearest.
pub(super) fn search(
    frozen: &Frozen,
    dead: &Dead,
    query: &Query<'_>,
    k: usize,
    ef: usize,
    filter: Filter<'_>,
    top: &mut Top,
) {
    let rows = frozen.rows();
    let passes = |node: usize| {
        !dead.contains(node) && rows.ids.get(node).is_some_and(|&id| filter.passes(id))
    };
    if let Some(graph) = frozen.graph() {
        let share = share(rows.len(), dead, filter, &passes);
        // So many candidates are kept that `ef` of them can be expected to pass.
        let kept = ef as f64 / share.max(1e-9);
        let asked = if matches!(filter, Filter::All) { 0.0 } else { ASK };
        let scanned = rows.len() as f64 * (share + asked);
        if kept * FOLLOW < scanned {
            let near = walk::walk(rows, &graph, query, kept as usize);
            // The bytes know the order nearly: the true best `k` are among the first few more.
            let enough = (2 * k).max(k + 16);
            let best: Vec<u32> =
                near.into_iter().filter(|&node| passes(node as usize)).take(enough).collect();
            if best.len() >= k {
                let sink = |score, node: u32| {
                    if let Some(&id) = rows.ids.get(node as usize) {
                        top.push(score, id);
                    }
                };
                Arch::new().dispatch(Rescore { rows, query, best: &best, sink });
                return;
            }
        }
    }
    exact::scan(rows, query, k, &passes, top);
}

/// Which share of the nodes passes, about.
fn share(count: usize, dead: &Dead, filter: Filter<'_>, passes: &dyn Fn(usize) -> bool) -> f64 {
    if matches!(filter, Filter::All) {
        return count.saturating_sub(dead.len()) as f64 / count.max(1) as f64;
    }
    let sample = SAMPLE.min(count);
    let passing = (0..sample).filter(|i| passes(i * count / sample)).count();
    passing as f64 / sample.max(1) as f64
}

struct Rescore<'a, 'q, F> {
    rows: super::rows::Rows<'a>,
    query: &'a Query<'q>,
    best: &'a [u32],
    sink: F,
}

impl<F: FnMut(f32, u32)> WithSimd for Rescore<'_, '_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for &node in self.best {
            (self.sink)(self.rows.exact(simd, self.query, node as usize), node);
        }
    }
}
