//! The vector index measured from outside, for `benches/index.py`.
//!
//!     rushes-vectors BASE QUERIES DIM TRUTH TRUTH-HALF TRUTH-FILTERED EF[,EF...]
//!     rushes-vectors --sweep DIM SIZE[,SIZE...]
//!
//! BASE and QUERIES are rows of DIM little-endian floats; the truths are rows of ten item numbers
//! (u32): the nearest of all, of those with even numbers, and of those with `number % 100 == 7`.
//! Prints one JSON object. With `--sweep`, one a line: for so many made vectors the exact scan beside
//! the graph.
#![allow(clippy::print_stdout)]

use anyhow::{Context, Result, ensure};
use cpu_time::{ProcessTime, ThreadTime};
use rushes::control::Cancel;
use rushes::search::index::{Filter, Hit, Space, Vector, VectorStore, VectorWriter};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

mod sweep;

const K: usize = 10;
/// Each measurement goes on for at least this long.
const AT_LEAST: Duration = Duration::from_millis(600);

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [first, dim, sizes] = words.as_slice()
        && first == "--sweep"
    {
        let sizes = sizes.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>();
        for row in sweep::sweep(dim.parse().context("DIM")?, &sizes.context("SIZE")?)? {
            println!("{row}");
        }
        return Ok(());
    }
    ensure!(words.len() == 7, "BASE QUERIES DIM TRUTH TRUTH-HALF TRUTH-FILTERED EF[,EF...]");
    let dim: usize = words[2].parse().context("DIM")?;
    let space = Space::new("bench", dim)?;
    let base = vectors(&words[0], &space)?;
    let queries = vectors(&words[1], &space)?;
    let [all, half, narrow] = [truth(&words[3])?, truth(&words[4])?, truth(&words[5])?];
    let widths: Vec<usize> =
        words[6].split(',').map(str::parse).collect::<Result<_, _>>().context("EF")?;

    let folder = tempfile::tempdir()?;
    let dir = folder.path().join("vectors");
    let items: Vec<(u64, Vector)> = (0..).zip(base).collect();
    let mut writer = VectorWriter::open(&dir, &space)?;
    let began = Instant::now();
    writer.add(&items)?;
    let added = began.elapsed();

    // All of it still lies in the tail, which is searched exactly.
    let exact = rate(&queries[..queries.len().min(100)], &all, |query| {
        writer.store().search(query, K, Filter::All)
    })?;

    let (began, worked) = (Instant::now(), ProcessTime::now());
    writer.rebuild(&Cancel::new())?;
    let (built, built_cpu) = (began.elapsed(), worked.elapsed());
    drop(items);

    let began = Instant::now();
    let store = VectorStore::open(&dir, &space)?;
    let opened = began.elapsed();
    store.search(&queries[0], K, Filter::All)?;
    let first = began.elapsed();
    let began = Instant::now();
    store.verify()?;
    let verified = began.elapsed();

    let mut graph = Vec::new();
    for &ef in &widths {
        let mut row = rate(&queries, &all, |query| store.search_wide(query, K, ef, Filter::All))?;
        row["ef"] = json!(ef);
        graph.push(row);
    }
    let usual = rate(&queries, &all, |query| store.search(query, K, Filter::All))?;
    let pass = |id: u64| id % 100 == 7;
    let filtered = rate(&queries, &narrow, |query| store.search(query, K, Filter::Only(&pass)))?;
    let odd: Vec<u64> = (0..store.size().items as u64).filter(|id| id % 2 == 1).collect();
    writer.remove(&odd)?;
    let halved = rate(&queries, &half, |query| writer.store().search(query, K, Filter::All))?;
    let bytes: u64 =
        fs::read_dir(&dir)?.flatten().filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum();

    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{}",
        json!({
            "add_s": added.as_secs_f64(),
            "build_s": built.as_secs_f64(),
            "build_cpu_s": built_cpu.as_secs_f64(),
            "open_ms": ms(opened),
            "first_answer_ms": ms(first),
            "verify_ms": ms(verified),
            "bytes": bytes,
            "exact": exact,
            "graph": graph,
            "usual": usual,
            "filtered": filtered,
            "halved": halved,
        })
    );
    Ok(())
}

/// Queries per second and per CPU-second on this thread, recall at ten, and the fewest items that came back.
fn rate(
    queries: &[Vector],
    truth: &[[u32; K]],
    search: impl Fn(&Vector) -> rushes::Result<Vec<Hit>>,
) -> Result<Value> {
    let mut found = 0;
    let mut fewest = usize::MAX;
    for (query, truth) in queries.iter().zip(truth) {
        let hits = search(query)?;
        fewest = fewest.min(hits.len());
        found += hits.iter().filter(|hit| truth.iter().any(|&t| u64::from(t) == hit.id)).count();
    }
    let (began, worked) = (Instant::now(), ThreadTime::now());
    let mut rounds = 0;
    while worked.elapsed() < AT_LEAST {
        for query in queries {
            search(query)?;
        }
        rounds += 1;
    }
    let done = (rounds * queries.len()) as f64;
    Ok(json!({
        "qps": done / began.elapsed().as_secs_f64(),
        "qps_cpu": done / worked.elapsed().as_secs_f64(),
        "recall": found as f64 / (queries.len() * K) as f64,
        "fewest": fewest,
    }))
}

fn vectors(path: &str, space: &Space) -> Result<Vec<Vector>> {
    let bytes = fs::read(path).with_context(|| path.to_owned())?;
    let floats: Vec<f32> =
        bytes.as_chunks::<4>().0.iter().map(|&x| f32::from_le_bytes(x)).collect();
    floats.chunks_exact(space.dim()).map(|row| Ok(space.vector(row)?)).collect()
}

fn truth(path: &str) -> Result<Vec<[u32; K]>> {
    let bytes = fs::read(path).with_context(|| path.to_owned())?;
    let ids: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(|&x| u32::from_le_bytes(x)).collect();
    Ok(ids.as_chunks::<K>().0.to_vec())
}
