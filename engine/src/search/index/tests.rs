//! The index seen through its public interface, beside a plain comparison of everything with
//! everything; and its files, cut and damaged.

use super::frozen::GRAPH_FROM;
use super::{Filter, Hit, Space, Vector, VectorStore, VectorWriter};
use crate::control::Cancel;
use crate::error::ErrorKind;
use proptest::prelude::*;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Random numbers that are the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Near enough to a normal distribution.
    fn normal(&mut self) -> f32 {
        (0..4).map(|_| (self.next() >> 40) as f32 / (1 << 24) as f32 - 0.5).sum::<f32>() * 1.7
    }
}

/// Vectors around centres that lie in few dimensions, as those of texts and pictures do.
fn clustered(space: &Space, count: usize, seed: u64) -> Vec<Vector> {
    const INNER: usize = 12;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let spread: Vec<f32> = (0..INNER * space.dim()).map(|_| random.normal()).collect();
    let centres: Vec<f32> = (0..INNER * 40).map(|_| random.normal()).collect();
    let mut random = Random(seed);
    (0..count)
        .map(|_| {
            let centre = (random.next() % 40) as usize * INNER;
            let inner: Vec<f32> =
                (0..INNER).map(|i| centres[centre + i] + 0.4 * random.normal()).collect();
            let outer: Vec<f32> = (0..space.dim())
                .map(|d| {
                    let sum: f32 = (0..INNER).map(|i| inner[i] * spread[i * space.dim() + d]).sum();
                    sum + 0.1 * random.normal()
                })
                .collect();
            space.vector(&outer).unwrap()
        })
        .collect()
}

fn space() -> Space {
    Space::new("test-model", 48).unwrap()
}

fn numbered(vectors: &[Vector]) -> Vec<(u64, Vector)> {
    vectors.iter().cloned().enumerate().map(|(i, v)| (i as u64 * 3, v)).collect()
}

/// The best `k` by comparing with all.
fn plain(
    items: &[(u64, Vector)],
    query: &Vector,
    k: usize,
    pass: impl Fn(u64) -> bool,
) -> Vec<Hit> {
    let dot = |v: &Vector| v.values().iter().zip(query.values()).map(|(a, b)| a * b).sum();
    let mut hits: Vec<Hit> = items
        .iter()
        .filter(|(id, _)| pass(*id))
        .map(|(id, v)| Hit { id: *id, score: dot(v) })
        .collect();
    hits.sort_by(|a, b| b.score.total_cmp(&a.score));
    hits.truncate(k);
    hits
}

fn recall(store: &VectorStore, items: &[(u64, Vector)], pass: &dyn Fn(u64) -> bool) -> f64 {
    let queries = clustered(store.space(), 100, 77);
    let mut found = 0;
    for query in &queries {
        let hits = store.search(query, 10, Filter::Only(pass)).unwrap();
        assert_eq!(hits.len(), 10);
        let best: HashSet<u64> = plain(items, query, 10, pass).iter().map(|h| h.id).collect();
        found += hits.iter().filter(|h| best.contains(&h.id)).count();
    }
    found as f64 / (queries.len() * 10) as f64
}

/// A store with a graph over `GRAPH_FROM + extra` items.
fn with_graph(extra: usize) -> (TempDir, VectorWriter, Vec<(u64, Vector)>) {
    let folder = TempDir::new().unwrap();
    let items = numbered(&clustered(&space(), GRAPH_FROM + extra, 5));
    let mut writer = VectorWriter::open(folder.path(), &space()).unwrap();
    writer.add(&items).unwrap();
    writer.rebuild(&Cancel::new()).unwrap();
    assert!(writer.store().frozen.graph().is_some());
    (folder, writer, items)
}

#[test]
fn a_graph_finds_the_nearest_filtered_halved_and_grown() {
    let (folder, mut writer, mut items) = with_graph(2000);
    assert!(recall(writer.store(), &items, &|_| true) >= 0.98);
    for query in &clustered(&space(), 20, 99) {
        let hits = writer.store().search(query, 10, Filter::All).unwrap();
        assert_eq!(hits.len(), 10);
        assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
    }
    // One in a hundred passes, and one in two.
    assert_eq!(recall(writer.store(), &items, &|id| id / 3 % 100 == 7), 1.0);
    assert!(recall(writer.store(), &items, &|id| id / 3 % 2 == 0) >= 0.98);
    // Fewer than `k` pass: all of them come.
    let few = |id: u64| id < 9;
    let query = &clustered(&space(), 1, 1)[0];
    assert_eq!(writer.store().search(query, 10, Filter::Only(&few)).unwrap().len(), 3);

    // Half of it goes.
    let gone: Vec<u64> = items.iter().map(|(id, _)| *id).filter(|id| id % 2 == 1).collect();
    writer.remove(&gone).unwrap();
    items.retain(|(id, _)| id % 2 == 0);
    assert!(recall(writer.store(), &items, &|_| true) >= 0.98);
    assert!(writer.is_due());

    // What is new is found at once, and what is replaced is found as what it is now.
    let new = space().vector(&[0.5; 48]).unwrap();
    writer.add(&[(1_000_001, new.clone()), (0, new.clone())]).unwrap();
    let hits = writer.store().search(&new, 2, Filter::All).unwrap();
    assert_eq!(hits.iter().map(|h| h.id).collect::<Vec<_>>(), [0, 1_000_001]);
    assert!((hits[0].score - 1.0).abs() < 1e-5);

    // The same from disk, and frozen anew.
    let size = writer.store().size();
    drop(writer);
    assert_eq!(VectorStore::open(folder.path(), &space()).unwrap().size(), size);
    let mut reader = VectorStore::open(folder.path(), &space()).unwrap();
    let mut writer = VectorWriter::open(folder.path(), &space()).unwrap();
    items.retain(|(id, _)| *id != 0);
    items.extend([(0, new.clone()), (1_000_001, new.clone())]);
    writer.add(&items[..2000]).unwrap();
    assert!(writer.rebuild_if_due(&Cancel::new()).unwrap());
    assert_eq!(writer.store().size().removed, 0);
    assert_eq!(writer.store().size().items, items.len());
    // A reader keeps what it had until it is told.
    assert_eq!(reader.search(&new, 2, Filter::All).unwrap(), hits);
    assert!(reader.refresh().unwrap());
    assert!(!reader.refresh().unwrap());
    assert_eq!(reader.size(), writer.store().size());
    assert!(recall(&reader, &items, &|_| true) >= 0.98);
}

#[test]
fn many_equal_vectors_are_all_found() {
    let folder = TempDir::new().unwrap();
    let mut items = numbered(&clustered(&space(), GRAPH_FROM, 5));
    let same = items[0].1.clone();
    for (_, vector) in items.iter_mut().skip(1000).take(500) {
        *vector = same.clone();
    }
    let mut writer = VectorWriter::open(folder.path(), &space()).unwrap();
    writer.add(&items).unwrap();
    writer.rebuild(&Cancel::new()).unwrap();
    let hits = writer.store().search(&same, 400, Filter::All).unwrap();
    assert_eq!(hits.len(), 400);
    assert!(hits.iter().all(|hit| hit.score > 0.9999), "{:?}", hits.last());
}

#[test]
fn another_model_or_length_is_refused() {
    let folder = TempDir::new().unwrap();
    let mut writer = VectorWriter::open(folder.path(), &space()).unwrap();
    writer.add(&numbered(&clustered(&space(), 5, 5))).unwrap();
    for other in [Space::new("other", 48).unwrap(), Space::new("test-model", 47).unwrap()] {
        let vector = other.vector(&vec![1.0; other.dim()]).unwrap();
        let error = writer.store().search(&vector, 1, Filter::All).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model, "{error}");
        assert_eq!(writer.add(&[(1, vector)]).unwrap_err().kind(), ErrorKind::Model);
        let error = VectorStore::open(folder.path(), &other).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Model, "{error}");
    }
    assert_eq!(space().vector(&[1.0; 47]).unwrap_err().kind(), ErrorKind::Input);
    assert_eq!(space().vector(&[0.0; 48]).unwrap_err().kind(), ErrorKind::Input);
    assert_eq!(space().vector(&[f32::NAN; 48]).unwrap_err().kind(), ErrorKind::Input);
    assert_eq!(Space::new("", 48).unwrap_err().kind(), ErrorKind::Limit);
    assert_eq!(Space::new("m", 0).unwrap_err().kind(), ErrorKind::Limit);
}

#[test]
fn one_writes_at_a_time_and_a_cancelled_rebuild_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let mut writer = VectorWriter::open(folder.path(), &space()).unwrap();
    let error = VectorWriter::open(folder.path(), &space()).err().unwrap();
    assert!(error.is_retryable(), "{error}");
    writer.add(&numbered(&clustered(&space(), GRAPH_FROM, 5))).unwrap();
    let before = writer.store().size();
    let cancel = Cancel::new();
    cancel.cancel();
    assert_eq!(writer.rebuild(&cancel).unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(writer.store().size(), before);
    drop(writer);
    // A writer that was killed left these; the next one clears them away.
    for name in ["frozen-9.rvx", "journal-9.rvj", ".rushes-abc"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let writer = VectorWriter::open(folder.path(), &space()).unwrap();
    assert_eq!(writer.store().size(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
}

fn file(dir: &Path, start: &str) -> PathBuf {
    let paths = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut found: Vec<PathBuf> =
        paths.filter(|p| p.file_name().unwrap().to_string_lossy().starts_with(start)).collect();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

#[test]
fn a_journal_cut_anywhere_keeps_whole_batches() {
    let folder = TempDir::new().unwrap();
    let items = numbered(&clustered(&space(), 6, 5));
    let mut writer = VectorWriter::open(folder.path(), &space()).unwrap();
    let path = file(folder.path(), "journal-");
    let mut ends = vec![fs::metadata(&path).unwrap().len()];
    for two in items.chunks(2) {
        writer.add(two).unwrap();
        ends.push(fs::metadata(&path).unwrap().len());
    }
    drop(writer);
    let whole = fs::read(&path).unwrap();
    for cut in ends[0]..=whole.len() as u64 {
        let kept = ends.iter().filter(|&&end| end <= cut).count() - 1;
        fs::write(&path, &whole[..cut as usize]).unwrap();
        let store = VectorStore::open(folder.path(), &space()).unwrap();
        assert_eq!(store.size().items, kept * 2, "cut at {cut}");
        // After a power cut, blocks that were not written may be zeros.
        let mut zeros = whole[..cut as usize].to_vec();
        zeros.resize(whole.len(), 0);
        fs::write(&path, &zeros).unwrap();
        if cut - ends[kept] == 0 {
            let store = VectorStore::open(folder.path(), &space()).unwrap();
            assert_eq!(store.size().items, kept * 2, "zeros from {cut}");
        }
    }
    // A writer goes on behind the last whole batch.
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let mut writer = VectorWriter::open(folder.path(), &space()).unwrap();
    writer.add(&items[5..]).unwrap();
    drop(writer);
    assert_eq!(VectorStore::open(folder.path(), &space()).unwrap().size().items, 5);
    // Damage before the last batch is not taken for a crash.
    let mut damaged = whole.clone();
    damaged[ends[0] as usize + 60] ^= 1;
    fs::write(&path, &damaged).unwrap();
    let error = VectorStore::open(folder.path(), &space()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Storage);
}

#[test]
fn a_frozen_file_cut_or_damaged_is_refused_or_answers() {
    let (folder, writer, _) = with_graph(0);
    drop(writer);
    let path = file(folder.path(), "frozen-");
    let whole = fs::read(&path).unwrap();
    let query = &clustered(&space(), 1, 3)[0];
    for cut in [0, 1, 7, 8, 1023, 1024, 1025, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..cut]).unwrap();
        let error = VectorStore::open(folder.path(), &space()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Storage, "cut at {cut}: {error}");
    }
    // Each bit of the header matters.
    let mut damaged = whole.clone();
    for bit in 0..1024 * 8 {
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(super::layout::Layout::parse(&damaged).is_err(), "bit {bit}");
        damaged[bit / 8] ^= 1 << (bit % 8);
    }
    // Beyond it, damage is found by looking for it; and whatever is there, searches end.
    let mut random = Random(8);
    let pass = |id: u64| id.is_multiple_of(2);
    for round in 0..60 {
        let mut damaged = whole.clone();
        let content = (whole.len() - 1024) as u64;
        match round % 3 {
            0 => damaged[1024 + (random.next() % content) as usize] ^= 1 << (random.next() % 8),
            1 => damaged[1024..].fill_with(|| random.next() as u8),
            _ => damaged[1024..].fill([0, 0xff, 0x7f][round / 3 % 3]),
        }
        fs::write(&path, &damaged).unwrap();
        let mut writer = VectorWriter::open(folder.path(), &space()).unwrap();
        let store = writer.store();
        for filter in [Filter::All, Filter::Only(&pass)] {
            let hits = store.search(query, 10, filter).unwrap();
            assert!(hits.iter().all(|hit| hit.score.is_finite()));
        }
        // A flip may fall between two sections, where nothing is.
        if round % 3 > 0 {
            assert_eq!(store.verify().unwrap_err().kind(), ErrorKind::Storage);
            assert_eq!(writer.rebuild(&Cancel::new()).unwrap_err().kind(), ErrorKind::Storage);
        }
        writer.remove(&[0, 3, 6]).unwrap();
    }
    fs::write(folder.path().join("current"), "what").unwrap();
    assert!(VectorStore::open(folder.path(), &space()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever was added, replaced, removed and frozen: a small store answers exactly.
    #[test]
    fn a_small_store_answers_as_a_plain_comparison(
        steps in prop::collection::vec((0u64..40, 0u8..4, 1u64..u64::MAX), 1..60),
        k in 1usize..20,
        dim in 1usize..70,
    ) {
        let space = Space::new("p", dim).unwrap();
        let folder = TempDir::new().unwrap();
        let mut writer = VectorWriter::open(folder.path(), &space).unwrap();
        let mut items: Vec<(u64, Vector)> = Vec::new();
        for (id, what, seed) in steps {
            if what == 0 {
                writer.remove(&[id]).unwrap();
                items.retain(|(other, _)| *other != id);
            } else {
                let vector = clustered(&space, 1, seed).remove(0);
                writer.add(&[(id, vector.clone())]).unwrap();
                items.retain(|(other, _)| *other != id);
                items.push((id, vector));
            }
            if seed % 16 == 0 {
                writer.rebuild(&Cancel::new()).unwrap();
            }
        }
        let query = clustered(&space, 1, 12345).remove(0);
        let pass = |id: u64| !id.is_multiple_of(3);
        let hits = writer.store().search(&query, k, Filter::Only(&pass)).unwrap();
        let best = plain(&items, &query, k, pass);
        prop_assert_eq!(hits.len(), best.len());
        for (hit, best) in hits.iter().zip(&best) {
            // Equal to rounding: items that are equally near may change places.
            prop_assert!((hit.score - best.score).abs() < 1e-5, "{:?} {:?}", hits, best);
        }
        let found: HashSet<u64> = hits.iter().map(|h| h.id).collect();
        prop_assert_eq!(found.len(), hits.len());
        prop_assert!(found.iter().all(|id| writer.store().contains(*id)));
    }
}
