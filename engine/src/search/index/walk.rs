//! The walk through a frozen graph (Malkov and Yashunin, "Efficient and robust approximate nearest
//! neighbor search using Hierarchical Navigable Small World graphs", 2016, algorithms 2 and 5).

use super::rows::{Query, Rows};
use pulp::{Arch, Simd, WithSimd};
use std::cell::Cell;

/// The most layers a graph has above its lowest.
pub(super) const MAX_LEVELS: usize = 16;
/// Fills up a list of neighbours.
pub(super) const NOBODY: u32 = u32::MAX;

/// The neighbours of every node, mapped or held. Nodes are rows; those on layer `l` come before
/// those that are only on lower ones, so a layer is a number of nodes.
#[derive(Clone, Copy)]
pub(super) struct Graph<'a> {
    /// Neighbours per node on the layers above the lowest; twice as many on the lowest.
    pub m: usize,
    pub lowest: &'a [u32],
    /// The layers above the lowest, from below, one after the other.
    pub upper: &'a [u32],
    /// Nodes on each of them.
    pub levels: [u32; MAX_LEVELS],
    /// Nodes that no walk reaches.
    pub strays: &'a [u32],
}

impl<'a> Graph<'a> {
    #[inline(always)]
    fn near(&self, node: u32) -> &'a [u32] {
        let stride = 2 * self.m;
        let start = node as usize * stride;
        self.lowest.get(start..start + stride).unwrap_or_default()
    }
}

/// A node that the walk has seen.
#[derive(Clone, Copy)]
struct Seen {
    score: f32,
    node: u32,
    followed: bool,
}

/// What a walk needs to remember; kept for the thread's next one.
#[derive(Default)]
struct Scratch {
    visited: Vec<u64>,
    pool: Vec<Seen>,
    fresh: Vec<u32>,
}

thread_local! {
    // Taken out while in use: a search that starts another one gets a new one, not a panic.
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Nodes near `query` by their bytes, best first: at most `ef`, and all strays that belong there.
pub(super) fn walk(rows: Rows<'_>, graph: &Graph<'_>, query: &Query<'_>, ef: usize) -> Vec<u32> {
    let mut scratch = SCRATCH.take().unwrap_or_default();
    Arch::new().dispatch(Walk { rows, graph, query, ef: ef.max(1), scratch: &mut scratch });
    let found = scratch.pool.iter().map(|seen| seen.node).collect();
    SCRATCH.set(Some(scratch));
    found
}

struct Walk<'a, 'q> {
    rows: Rows<'a>,
    graph: &'a Graph<'a>,
    query: &'a Query<'q>,
    ef: usize,
    scratch: &'a mut Scratch,
}

impl WithSimd for Walk<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { rows, graph, query, ef, scratch } = self;
        let Scratch { visited, pool, fresh } = scratch;
        visited.clear();
        visited.resize(rows.len().div_ceil(64), 0);
        pool.clear();
        if rows.len() == 0 {
            return;
        }
        let entry = descend(rows, graph, query);
        visit(visited, entry.node);
        pool.push(entry);
        fresh.clear();
        fresh.extend(graph.strays.iter().copied().filter(|&node| visit(visited, node)));
        score(rows, query, fresh, |seen| {
            insert(pool, seen, ef);
        });
        let mut next = 0;
        while let Some(here) = pool.get_mut(next) {
            if here.followed {
                next += 1;
                continue;
            }
            here.followed = true;
            let node = here.node;
            fresh.clear();
            for &other in graph.near(node) {
                if other == NOBODY {
                    break;
                }
                if visit(visited, other) {
                    fresh.push(other);
                }
            }
            score(rows, query, fresh, |seen| {
                next = next.min(insert(pool, seen, ef));
            });
        }
    }
}

/// From the top to the second lowest layer, always to the nearest neighbour.
#[inline(always)]
fn descend(rows: Rows<'_>, graph: &Graph<'_>, query: &Query<'_>) -> Seen {
    let mut here = Seen { score: rows.near(query, 0), node: 0, followed: false };
    let mut end = graph.upper.len();
    for &nodes in graph.levels.iter().rev() {
        let start = end.saturating_sub(nodes as usize * graph.m);
        let layer = graph.upper.get(start..end).unwrap_or_default();
        end = start;
        loop {
            let at = here.node as usize * graph.m;
            let mut best = here;
            for &node in layer.get(at..at + graph.m).unwrap_or_default() {
                if node as usize >= rows.len() {
                    break;
                }
                let score = rows.near(query, node as usize);
                if score > best.score {
                    best = Seen { score, node, followed: false };
                }
            }
            if best.node == here.node {
                break;
            }
            here = best;
        }
    }
    here
}

/// Whether a node is seen for the first time; false as well for one that does not exist.
#[inline(always)]
fn visit(visited: &mut [u64], node: u32) -> bool {
    let Some(word) = visited.get_mut(node as usize / 64) else {
        return false;
    };
    let bit = 1 << (node % 64);
    let first = *word & bit == 0;
    *word |= bit;
    first
}

#[inline(always)]
fn score(rows: Rows<'_>, query: &Query<'_>, nodes: &[u32], mut each: impl FnMut(Seen)) {
    let (fours, ones) = nodes.as_chunks::<4>();
    for four in fours {
        let scores = rows.near_4(query, *four);
        for i in 0..4 {
            each(Seen { score: scores[i], node: four[i], followed: false });
        }
    }
    for &node in ones {
        each(Seen { score: rows.near(query, node as usize), node, followed: false });
    }
}

/// Puts a node in its place among the best `ef`, which are in order, and says where; `ef` if it is
/// none of them.
#[inline(always)]
fn insert(pool: &mut Vec<Seen>, seen: Seen, ef: usize) -> usize {
    if pool.len() >= ef {
        match pool.last() {
            Some(last) if seen.score > last.score => {
                pool.pop();
            }
            _ => return ef,
        }
    }
    let place = pool.partition_point(|other| other.score >= seen.score);
    pool.insert(place, seen);
    place
}
