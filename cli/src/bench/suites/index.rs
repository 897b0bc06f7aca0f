//! The nearest of many vectors.

use super::{Bench, Found};
use crate::bench::report::Measure;
use crate::bench::turns::{rate, seconds};
use rushes::control::Cancel;
use rushes::search::index::{Filter, Hit, Space, Vector, VectorStore, VectorWriter};
use std::collections::HashSet;

/// As long as MiniLM's.
const DIM: usize = 384;
const K: usize = 10;
/// Vectors lie about this many centres: independent random vectors have no near neighbours, so recall
/// among them would mean nothing.
const CENTRES: u64 = 200;

pub fn run(bench: &Bench<'_>) -> anyhow::Result<Found> {
    let count = if bench.quick { 10_000 } else { 50_000 };
    let space = Space::new("bench", DIM)?;
    let items: Vec<(u64, Vector)> =
        (0..count).map(|n| Ok((n, vector(&space, n)?))).collect::<anyhow::Result<_>>()?;
    let queries: Vec<Vector> = (0..if bench.quick { 100 } else { 500 })
        .map(|n| vector(&space, 1_000_000_007 + n * 97))
        .collect::<anyhow::Result<_>>()?;
    let dir = bench.folder.join("vectors");
    let mut writer = VectorWriter::open(&dir, &space)?;
    writer.add(&items)?;

    // All of it still lies in the tail, which is searched exactly.
    let ask = |store: &VectorStore, query: &Vector| store.search(query, K, Filter::All);
    let some = queries.len().min(100);
    let mut truth = Vec::new();
    let cancel = &bench.session.run.cancel;
    let (times, exact) = bench.turns.time(cancel, || {
        let found = queries[..some].iter().map(|query| ask(writer.store(), query));
        Ok(found.collect::<rushes::Result<Vec<_>>>()?)
    })?;
    truth.extend(exact.iter().map(|hits| ids(hits)));
    let mut found = Found::default();
    found.measures.push(rate("exact scan", "queries/s", some as f64, &times));

    let began = std::time::Instant::now();
    writer.rebuild(&Cancel::new())?;
    found.measures.push(Measure {
        name: format!("building {count} × {DIM}"),
        unit: "s".into(),
        more_is_better: false,
        turns: vec![began.elapsed().as_secs_f64()],
        ceiling: None,
    });
    let (times, store) = bench.turns.time(cancel, || Ok(VectorStore::open(&dir, &space)?))?;
    found.measures.push(seconds("opening", &times));
    let (times, got) = bench.turns.time(cancel, || {
        let found = queries.iter().map(|query| ask(&store, query));
        Ok(found.collect::<rushes::Result<Vec<_>>>()?)
    })?;
    found.measures.push(rate("frozen graph", "queries/s", queries.len() as f64, &times));
    let hit: usize =
        got.iter().zip(&truth).map(|(got, wanted)| ids(got).intersection(wanted).count()).sum();
    let recall = hit as f64 / (some * K) as f64;
    found.check("recall at ten at least 0.98", recall >= 0.98, format!("{recall:.4}"));
    Ok(found)
}

fn ids(hits: &[Hit]) -> HashSet<u64> {
    hits.iter().map(|hit| hit.id).collect()
}

/// Vector `n`: near a centre, the same on every machine.
fn vector(space: &Space, n: u64) -> anyhow::Result<Vector> {
    let centre = mixed(n) % CENTRES;
    let values: Vec<f32> = (0..DIM as u64)
        .map(|at| noise(centre << 32 | at) + 0.7 * noise(mixed(n ^ 0xabcd) ^ at.rotate_left(17)))
        .collect();
    Ok(space.vector(&values)?)
}

/// A number from -1 to 1.
fn noise(seed: u64) -> f32 {
    (mixed(seed) >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
fn mixed(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
