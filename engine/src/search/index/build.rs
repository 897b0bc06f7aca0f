//! The making of a graph: hnsw_rs links the rows, and what it linked is laid out flat.

use super::rows::Rows;
use super::simd;
use super::walk::{MAX_LEVELS, NOBODY};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use hnsw_rs::prelude::{Distance, Hnsw};
use pulp::{Arch, Simd, WithSimd};
use std::collections::VecDeque;

/// Neighbours per node above the lowest layer.
pub(super) const M: usize = 16;
/// Candidates looked at when a node is linked.
const EF_CONSTRUCTION: usize = 128;
/// Rows linked by one thread before several begin: threads that start on an empty graph would
/// not find each other's nodes.
const ALONE: usize = 256;
/// Rows linked between two looks at the switch.
const STEP: usize = 4096;

/// A graph laid out, and in which order its nodes' rows have to lie.
pub(super) struct Built {
    /// For each node the row that it was.
    pub order: Vec<u32>,
    pub levels: [u32; MAX_LEVELS],
    pub lowest: Vec<u32>,
    pub upper: Vec<u32>,
    pub strays: Vec<u32>,
}

/// Links all rows.
///
/// # Errors
/// [`ErrorKind::Cancelled`]; [`ErrorKind::Limit`] for more rows than 32 bits can number.
pub(super) fn build(rows: Rows<'_>, cancel: &Cancel) -> Result<Built> {
    if rows.len() >= NOBODY as usize {
        return Err(Error::new(ErrorKind::Limit, Stage::Search, "too many vectors for one index"));
    }
    let hnsw = link(rows, cancel)?;
    let links = read_links(&hnsw, rows.len());
    drop(hnsw);
    cancel.check(Stage::Search)?;
    Ok(lay_out(links))
}

/// Distance of rows of bytes, each with its scale in its last four.
struct BytesApart(Arch);

impl Distance<i8> for BytesApart {
    fn eval(&self, a: &[i8], b: &[i8]) -> f32 {
        let (Some((a, a_scale)), Some((b, b_scale))) = (a.split_last_chunk(), b.split_last_chunk())
        else {
            return 0.0;
        };
        let dot = self.0.dispatch(Dot(a, b));
        // hnsw_rs insists on distances that are not negative.
        (1.0 - dot as f32 * scale(a_scale) * scale(b_scale)).max(0.0)
    }
}

/// A struct and not a closure: a closure is not inlined into what pulp dispatches to, and stays
/// at SSE2.
struct Dot<'a>(&'a [i8], &'a [i8]);

impl WithSimd for Dot<'_> {
    type Output = i32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> i32 {
        simd::dot_byte_rows(self.0, self.1)
    }
}

fn scale(bytes: &[i8; 4]) -> f32 {
    f32::from_le_bytes(bytes.map(i8::cast_unsigned))
}

fn link(rows: Rows<'_>, cancel: &Cancel) -> Result<Hnsw<'static, i8, BytesApart>> {
    let hnsw = Hnsw::new(M, rows.len(), MAX_LEVELS, EF_CONSTRUCTION, BytesApart(Arch::new()));
    let scaled = |row: usize| {
        let mut bytes = rows.bytes(row).to_vec();
        let scale = rows.scales.get(row).map_or(0.0, |s| s[0]);
        bytes.extend(scale.to_le_bytes().map(u8::cast_signed));
        bytes
    };
    let alone = rows.len().min(ALONE);
    for row in 0..alone {
        hnsw.insert((&scaled(row), row));
    }
    for start in (alone..rows.len()).step_by(STEP) {
        cancel.check(Stage::Search)?;
        let step: Vec<Vec<i8>> = (start..rows.len().min(start + STEP)).map(scaled).collect();
        let numbered: Vec<(&Vec<i8>, usize)> = step.iter().zip(start..).collect();
        hnsw.parallel_insert(&numbered);
    }
    Ok(hnsw)
}

/// Per row its layers, from the lowest, each with its neighbours, nearest first.
type Links = Vec<Vec<Vec<u32>>>;

fn read_links(hnsw: &Hnsw<'_, i8, BytesApart>, count: usize) -> Links {
    let mut links: Links = vec![Vec::new(); count];
    for level in 0..MAX_LEVELS {
        for point in hnsw.get_point_indexation().get_layer_iterator(level) {
            let Some(own) = links.get_mut(point.get_origin_id()) else { continue };
            // Lists of layers that the point is not on hold what hnsw_rs passed on its way down.
            *own = point
                .get_neighborhood_id()
                .into_iter()
                .take(level + 1)
                .map(|layer| layer.iter().map(|n| n.d_id as u32).collect())
                .collect();
        }
    }
    links
}

fn lay_out(mut links: Links) -> Built {
    let order = order(&links);
    let mut node_of = vec![NOBODY; links.len()];
    for (node, &row) in order.iter().enumerate() {
        node_of[row as usize] = node as u32;
    }
    let strays = gather_strays(&mut links, order.first().copied());
    let strays = strays.into_iter().map(|row| node_of[row as usize]).collect();

    let mut levels = [0u32; MAX_LEVELS];
    let mut upper = Vec::new();
    for (level, nodes) in (1..).zip(&mut levels) {
        let on = order.iter().take_while(|&&row| links[row as usize].len() > level);
        for &row in on {
            *nodes += 1;
            let others = links[row as usize][level].iter();
            // The neighbours that hnsw_rs names need not be on this layer themselves.
            let others = others.filter(|&&other| links[other as usize].len() > level);
            append(&mut upper, others.map(|&other| node_of[other as usize]), M);
        }
    }
    let mut lowest = Vec::with_capacity(links.len() * 2 * M);
    for &row in &order {
        let others = links[row as usize].first().into_iter().flatten();
        append(&mut lowest, others.map(|&other| node_of[other as usize]), 2 * M);
    }
    Built { order, levels, lowest, upper, strays }
}

fn append(list: &mut Vec<u32>, others: impl Iterator<Item = u32>, room: usize) {
    let end = list.len() + room;
    list.extend(others.take(room));
    list.resize(end, NOBODY);
}

/// Rows with many layers first, and within a layer as a walk from the first would meet them:
/// what is looked at together then lies together.
fn order(links: &Links) -> Vec<u32> {
    let mut met = vec![false; links.len()];
    let mut order: Vec<u32> = Vec::with_capacity(links.len());
    let mut by_height: Vec<u32> = (0..links.len() as u32).collect();
    by_height.sort_by_key(|&row| std::cmp::Reverse(links[row as usize].len()));
    let mut queue = VecDeque::new();
    for first in by_height {
        queue.push_back(first);
        while let Some(row) = queue.pop_front() {
            if std::mem::replace(&mut met[row as usize], true) {
                continue;
            }
            order.push(row);
            queue.extend(links[row as usize].first().into_iter().flatten());
        }
    }
    // Stable: within a height the order of meeting stays.
    order.sort_by_key(|&row| std::cmp::Reverse(links[row as usize].len()));
    order
}

/// Links rows that cannot be reached on the lowest layer from `entry` to neighbours that can and have
/// room; gives back those for which there is none. (Equal vectors leave many: a list of
/// neighbours takes no two that are nearer to each other.)
fn gather_strays(links: &mut Links, entry: Option<u32>) -> Vec<u32> {
    let mut reached = vec![false; links.len()];
    let mut strays = Vec::new();
    let mut queue: Vec<u32> = entry.into_iter().collect();
    let mut unseen = 0;
    loop {
        while let Some(row) = queue.pop() {
            if !std::mem::replace(&mut reached[row as usize], true) {
                queue.extend(links[row as usize].first().into_iter().flatten());
            }
        }
        let Some(row) = (unseen..links.len()).find(|&row| !reached[row]) else {
            return strays;
        };
        unseen = row;
        let row = row as u32;
        let own: Vec<u32> = links[row as usize].first().into_iter().flatten().copied().collect();
        let host = own.into_iter().find(|&other| {
            reached[other as usize]
                && links[other as usize].first().is_some_and(|layer| layer.len() < 2 * M)
        });
        match host.and_then(|host| links[host as usize].first_mut()) {
            Some(layer) => layer.push(row),
            None => strays.push(row),
        }
        queue.push(row);
    }
}
