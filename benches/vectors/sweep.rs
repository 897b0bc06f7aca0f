//! From how many vectors on a graph pays: the exact scan and the walk over the same rows.

use crate::{K, rate};
use anyhow::Result;
use rushes::control::Cancel;
use rushes::search::index::{Filter, Hit, Space, Vector, VectorStore, VectorWriter};
use serde_json::{Value, json};
use std::time::Instant;

/// Queries of each size.
const QUERIES: usize = 200;

/// One JSON object for each of `sizes`, of clustered vectors of `dim` components.
pub fn sweep(dim: usize, sizes: &[usize]) -> Result<Vec<Value>> {
    let space = Space::new("bench", dim)?;
    let most = sizes.iter().copied().max().unwrap_or(0);
    let all = clustered(&space, most + QUERIES)?;
    let (queries, base) = all.split_at(QUERIES);
    sizes.iter().map(|size| one(&space, &base[..*size], queries)).collect()
}

fn one(space: &Space, base: &[Vector], queries: &[Vector]) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let dir = folder.path().join("vectors");
    let items: Vec<(u64, Vector)> = (0..).zip(base.iter().cloned()).collect();
    let mut writer = VectorWriter::open(&dir, space)?;
    writer.add(&items)?;
    let nearest = |store: &VectorStore, query: &Vector| store.search(query, K, Filter::All);
    writer.rebuild_with(usize::MAX, &Cancel::new())?;
    let store = VectorStore::open(&dir, space)?;
    let truth: Vec<[u32; K]> = queries
        .iter()
        .map(|query| {
            let hits: Vec<Hit> = nearest(&store, query)?;
            let mut ids = [u32::MAX; K];
            ids.iter_mut().zip(hits).for_each(|(id, hit)| *id = hit.id as u32);
            Ok(ids)
        })
        .collect::<Result<_>>()?;
    let scan = rate(queries, &truth, |query| nearest(&store, query))?;
    let began = Instant::now();
    writer.rebuild_with(0, &Cancel::new())?;
    let build = began.elapsed().as_secs_f64();
    let store = VectorStore::open(&dir, space)?;
    let graph = rate(queries, &truth, |query| nearest(&store, query))?;
    let count = base.len();
    Ok(
        json!({ "vectors": count, "dim": space.dim(), "scan": scan, "graph": graph, "build_s": build }),
    )
}

/// Points around 500 centres, the same ones each time.
fn clustered(space: &Space, count: usize) -> Result<Vec<Vector>> {
    let mut state = 1_u64;
    // Sums of four uniform numbers: about normal.
    let mut normal = move || {
        (0..4).fold(0.0_f32, |sum, _| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            sum + (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
        })
    };
    let dim = space.dim();
    let centres: Vec<f32> = (0..500 * dim).map(|_| normal()).collect();
    (0..count)
        .map(|n| {
            let centre = n * 7919 % 500;
            let centre = &centres[centre * dim..][..dim];
            let point: Vec<f32> = centre.iter().map(|c| c + 0.7 * normal()).collect();
            Ok(space.vector(&point)?)
        })
        .collect()
}
