//! Which of a library's vectors are nearest to one.
//!
//! The catalogue holds every vector and is the truth. From [`INDEX_FROM`] vectors of a model on, an
//! index lies beside it, which [`index_library`] brings up to date. A search never depends on that:
//! what the index does not have yet is read from the catalogue, and what the catalogue does not have
//! any more is passed over.

use super::index::{Filter, Space, VectorStore, VectorWriter};
use crate::control::Cancel;
use crate::embed::{Embedding, TextEmbedder};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::catalogue::Scope;
use crate::library::catalogue::rows::Owner;
use crate::library::{Catalogue, Library};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Vectors of a model from which an index is kept. A guess: where it begins to pay is not measured yet.
const INDEX_FROM: usize = 2000;

/// The folder of the indexes in a library.
const FOLDER: &str = ".vectors";

/// The folder of what names mean, in that of the index of the model that understands them.
const NAMES: &str = "names";

/// Vectors handed to the index at once.
const BATCH: usize = 1024;

/// A vector near another.
pub(super) struct Near {
    /// The cosine between both, −1 to 1.
    pub likeness: f32,
    /// The film.
    pub media: i64,
    /// What the vector is of.
    pub owner: Owner,
}

/// The `count` vectors of `asked`'s model nearest to it, nearest first; fewer only if there are
/// fewer.
///
/// # Errors
/// As [`Catalogue::open`]. A damaged index is done without.
pub(super) fn nearest(
    catalogue: &Catalogue,
    asked: &Embedding,
    count: usize,
    scope: &Scope,
) -> Result<Vec<Near>> {
    let model = asked.model().as_str();
    let space = Space::new(model, asked.dim())?;
    let store = VectorStore::open(&folder(catalogue, &space), &space).ok();
    let mut found: Vec<(f32, i64)> = Vec::new();
    let scan = |found: &mut Vec<(f32, i64)>, id: i64, vector: &[f32]| {
        if vector.len() == asked.dim() {
            found.push((vector.iter().zip(asked.vector()).map(|(a, b)| a * b).sum(), id));
        }
    };
    match store {
        None if scope.is_all() => catalogue.each_embedding(Some(model), |_, stored| {
            scan(&mut found, stored.id, &stored.row.vector);
        })?,
        None => {
            let ids = catalogue.embeddings_by(model, scope)?;
            catalogue.embeddings(&ids, |_, stored| {
                scan(&mut found, stored.id, &stored.row.vector);
            })?;
        }
        Some(store) => {
            let ids = catalogue.embeddings_by(model, scope)?;
            let (known, new): (Vec<i64>, Vec<i64>) =
                ids.iter().partition(|id| store.contains(id.cast_unsigned()));
            let passes = |id: u64| known.binary_search(&id.cast_signed()).is_ok();
            let in_step = scope.is_all() && known.len() == store.size().items;
            let filter = if in_step { Filter::All } else { Filter::Only(&passes) };
            let asked = space.vector(asked.vector())?;
            let hits = store.search(&asked, count, filter)?;
            found.extend(hits.iter().map(|hit| (hit.score, hit.id.cast_signed())));
            catalogue.embeddings(&new, |_, stored| {
                scan(&mut found, stored.id, &stored.row.vector);
            })?;
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    found.truncate(count);
    let ids: Vec<i64> = found.iter().map(|(_, id)| *id).collect();
    let mut owners = BTreeMap::new();
    catalogue.embeddings(&ids, |media, stored| {
        owners.insert(stored.id, (media, stored.row.owner));
    })?;
    Ok(found
        .into_iter()
        .filter_map(|(likeness, id)| {
            let (media, owner) = owners.get(&id)?;
            Some(Near { likeness, media: *media, owner: *owner })
        })
        .collect())
}

/// What [`index_library`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indexed {
    /// Vectors that were added.
    pub added: usize,
    /// Vectors that were taken out.
    pub removed: usize,
    /// Graphs that were made anew.
    pub rebuilt: usize,
}

/// Brings the indexes of a library's vectors up to date with its catalogue. Call it after a batch:
/// searches are right without, but slower. An index that another process is writing is left to it,
/// one that is damaged is made anew.
///
/// # Errors
/// As [`Catalogue::open`]; [`ErrorKind::Cancelled`]; I/O failures.
pub fn index_library(library: &Library, cancel: &Cancel) -> Result<Indexed> {
    let mut done = Indexed::default();
    let Some(catalogue) = library.catalogue()? else { return Ok(done) };
    for (model, dim, count) in catalogue.embedding_models()? {
        if count < INDEX_FROM {
            continue;
        }
        let space = Space::new(&model, dim)?;
        let folder = folder(&catalogue, &space);
        let mut writer = match VectorWriter::open(&folder, &space) {
            Ok(writer) => writer,
            Err(error) if error.kind() == ErrorKind::Resource => continue,
            Err(error) if error.kind() == ErrorKind::Storage => {
                let _ = std::fs::remove_dir_all(&folder);
                VectorWriter::open(&folder, &space)?
            }
            Err(error) => return Err(error),
        };
        let ids = catalogue.embeddings_by(&model, &Scope::default())?;
        let gone: Vec<u64> = writer
            .store()
            .ids()
            .filter(|id| ids.binary_search(&id.cast_signed()).is_err())
            .collect();
        writer.remove(&gone)?;
        done.removed += gone.len();
        let new: Vec<i64> =
            ids.into_iter().filter(|id| !writer.store().contains(id.cast_unsigned())).collect();
        for ids in new.chunks(BATCH) {
            cancel.check(Stage::Search)?;
            let mut items = Vec::with_capacity(ids.len());
            catalogue.embeddings(ids, |_, stored| {
                // A vector without direction is near to nothing.
                if let Ok(vector) = space.vector(&stored.row.vector) {
                    items.push((stored.id.cast_unsigned(), vector));
                }
            })?;
            writer.add(&items)?;
            done.added += items.len();
        }
        done.rebuilt += usize::from(writer.rebuild_if_due(cancel)?);
    }
    Ok(done)
}

/// An index that was damaged, and has been made anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DamagedIndex {
    /// Its folder in the library.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
}

/// Reads the indexes of a library's vectors whole and makes those anew that are damaged: the catalogue
/// holds what they are made of.
///
/// # Errors
/// As [`index_library`]; [`ErrorKind::Resource`] while another process writes a damaged one.
pub fn verify_library(library: &Library, cancel: &Cancel) -> Result<Vec<DamagedIndex>> {
    let mut damaged = Vec::new();
    let Some(catalogue) = library.catalogue()? else { return Ok(damaged) };
    for (model, dim, _) in catalogue.embedding_models()? {
        let space = Space::new(&model, dim)?;
        let index = folder(&catalogue, &space);
        for folder in [index.join(NAMES), index] {
            cancel.check(Stage::Search)?;
            if !VectorStore::is_begun(&folder) {
                continue;
            }
            let Err(error) = VectorStore::open(&folder, &space).and_then(|store| store.verify())
            else {
                continue;
            };
            // Whoever writes it holds it; then it is not ours to throw away.
            if matches!(VectorWriter::open(&folder, &space), Err(e) if e.kind() == ErrorKind::Resource)
            {
                return Err(error);
            }
            std::fs::remove_dir_all(&folder).map_err(|e| Error::io(Stage::Search, &folder, e))?;
            let path = folder.strip_prefix(library.folder()).unwrap_or(&folder);
            let (path, what) = (path.to_string_lossy().into_owned(), error.message().to_owned());
            damaged.push(DamagedIndex { path, what });
        }
    }
    if !damaged.is_empty() {
        index_library(library, cancel)?;
    }
    Ok(damaged)
}

/// How near `names` are to `asked`, in their order. What each name means is kept in the library, if
/// that can be written: a network knows a thousand of them, and understanding them takes a second.
///
/// # Errors
/// As [`TextEmbedder::embed_texts`].
pub(super) fn name_likeness(
    catalogue: &Catalogue,
    text: &dyn TextEmbedder,
    asked: &Embedding,
    names: &[&str],
    cancel: &Cancel,
) -> Result<Vec<f32>> {
    let number = |name: &str| {
        let digest = *blake3::hash(name.as_bytes()).as_bytes();
        digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let space = Space::new(asked.model().as_str(), asked.dim())?;
    let folder = folder(catalogue, &space).join(NAMES);
    let mut likeness: BTreeMap<u64, f32> = BTreeMap::new();
    if let Ok(store) = VectorStore::open(&folder, &space) {
        let hits = store.search(&space.vector(asked.vector())?, store.size().items, Filter::All)?;
        likeness.extend(hits.iter().map(|hit| (hit.id, hit.score)));
    }
    let new: Vec<&str> =
        names.iter().copied().filter(|name| !likeness.contains_key(&number(name))).collect();
    let mut items = Vec::with_capacity(new.len());
    for (name, made) in new.iter().zip(text.embed_texts(&new, cancel)?) {
        likeness.insert(number(name), made.embedding.cosine(asked)?);
        if let Ok(vector) = space.vector(made.embedding.vector()) {
            items.push((number(name), vector));
        }
    }
    if !items.is_empty()
        && let Ok(mut writer) = VectorWriter::open(&folder, &space)
    {
        // To keep them is worth no failure: the library may be for reading only.
        let _ = writer.add(&items);
    }
    Ok(names.iter().map(|name| likeness.get(&number(name)).copied().unwrap_or(0.0)).collect())
}

/// Where the vectors of `space` are indexed in the library of `catalogue`.
fn folder(catalogue: &Catalogue, space: &Space) -> PathBuf {
    let library = catalogue.file().parent().unwrap_or(Path::new(""));
    let digest = blake3::hash(space.model().as_bytes()).to_hex();
    library.join(FOLDER).join(digest.get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::ModelId;
    use crate::library::catalogue::StageResult;
    use crate::library::catalogue::rows::{EmbeddingRow, Rows, SegmentRow, TranscriptRow};
    use crate::library::{ContentId, KeyParts};
    use crate::time::{Span, Timestamp};
    use std::time::Duration;

    const DIM: usize = 24;

    /// A vector that depends on `seed` alone, in one of forty bundles.
    fn vector(seed: u64) -> Vec<f32> {
        let mut state = seed;
        let uniform = |state: &mut u64| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (*state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
        };
        let mut bundle = seed % 40 + 1_000_000;
        let vector = (0..DIM).map(|_| uniform(&mut bundle) + 0.4 * uniform(&mut state)).collect();
        Embedding::new(ModelId::from("m"), vector).unwrap().into_vector()
    }

    /// A film of `count` segments, every tenth in German, each with a vector from `seed` on.
    fn film(library: &Library, name: &str, seed: u64, count: u64) {
        let time = |n: u64| Timestamp::from_secs(n as i64);
        let segments = (0..count).map(|n| SegmentRow {
            span: Span { start: time(n), end: time(n + 1) },
            text: format!("{name} {n}"),
            language: if n % 10 == 0 { "de" } else { "en" }.into(),
            language_probability: None,
            avg_logprob: -0.2,
            no_speech_prob: 0.0,
            doubt: None,
            words: Vec::new(),
        });
        let transcript = TranscriptRow {
            language: "en".into(),
            language_probability: 1.0,
            translated: false,
            model: "tiny".into(),
            engine: "none".into(),
            coverage: 1.0,
            segments: segments.collect(),
        };
        let catalogue = library.make_catalogue().unwrap();
        let content = ContentId::of(name.as_bytes());
        let store = |stage: &str, rows: Rows| {
            let result = StageResult {
                parts: KeyParts::new(stage, 1, &content, serde_json::Value::Null),
                started_ms: 0,
                wall: Duration::ZERO,
                note: None,
                summary: serde_json::Value::Null,
                rows,
                replace: false,
            };
            catalogue
                .store(&content, name, name, None, &[result], |_, _| Ok(vec![Vec::new()]))
                .unwrap();
        };
        store("transcript", Rows { transcript: Some(transcript), ..Rows::default() });
        let media = catalogue.by_content(&content).unwrap().unwrap().id;
        let segments = catalogue.segments_of(media).unwrap();
        let embeddings = segments.iter().zip(seed..).map(|(segment, seed)| EmbeddingRow {
            owner: Owner::Segment(crate::library::catalogue::rows::RowRef::Known(segment.id)),
            model: "m".into(),
            kind: "text".into(),
            vector: vector(seed),
        });
        store("meaning", Rows { embeddings: embeddings.collect(), ..Rows::default() });
    }

    fn owners(near: &[Near]) -> Vec<String> {
        near.iter().map(|near| format!("{:?} {:.4}", near.owner, near.likeness)).collect()
    }

    #[test]
    fn an_index_changes_nothing_but_the_time_it_takes() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::at(folder.path());
        film(&library, "a", 0, 1500);
        film(&library, "b", 5000, 900);
        let catalogue = library.make_catalogue().unwrap();
        let asked = Embedding::new(ModelId::from("m"), vector(77_777)).unwrap();
        let ways = |catalogue: &Catalogue| {
            let b = catalogue.by_content(&ContentId::of(b"b")).unwrap().unwrap().id;
            let german = Some("de".to_owned());
            [
                Scope::default(),
                Scope::films([b]),
                Scope { language: german.clone(), ..Scope::films([b]) },
                Scope { language: german, ..Scope::default() },
                Scope { from: Some(Timestamp::from_secs(700)), ..Scope::films([b]) },
            ]
            .map(|scope| owners(&nearest(catalogue, &asked, 20, &scope).unwrap()))
        };
        let scanned = ways(&catalogue);
        assert!(scanned.iter().all(|found| found.len() == 20));
        let done = index_library(&library, &Cancel::new()).unwrap();
        assert_eq!(done, Indexed { added: 2400, removed: 0, rebuilt: 1 });
        assert_eq!(ways(&catalogue), scanned);
        assert_eq!(index_library(&library, &Cancel::new()).unwrap(), Indexed::default());

        // What came later is found before it is indexed, what went is not found any more.
        film(&library, "c", 77_777, 1);
        let now = nearest(&catalogue, &asked, 1, &Scope::default()).unwrap();
        assert!((now[0].likeness - 1.0).abs() < 1e-5, "{:?}", owners(&now));
        let a = catalogue.by_content(&ContentId::of(b"a")).unwrap().unwrap().id;
        catalogue.remove_media(a).unwrap();
        let now = nearest(&catalogue, &asked, 901, &Scope::default()).unwrap();
        assert_eq!(now.len(), 901);
        assert!(now.iter().all(|near| near.media != a));
    }

    #[test]
    fn a_bit_that_turned_in_an_index_is_found_and_mended() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::at(folder.path());
        film(&library, "a", 0, INDEX_FROM as u64 + 100);
        let catalogue = library.make_catalogue().unwrap();
        index_library(&library, &Cancel::new()).unwrap();
        assert_eq!(verify_library(&library, &Cancel::new()).unwrap(), []);
        let space = Space::new("m", DIM).unwrap();
        let index = super::folder(&catalogue, &space);
        let files = std::fs::read_dir(&index).unwrap().map(|entry| entry.unwrap().path());
        let frozen = files.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
        let mut bytes = std::fs::read(&frozen).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&frozen, bytes).unwrap();
        let damaged = verify_library(&library, &Cancel::new()).unwrap();
        assert_eq!(damaged.len(), 1, "{damaged:?}");
        assert!(damaged[0].path.starts_with(".vectors/"), "{damaged:?}");
        assert_eq!(verify_library(&library, &Cancel::new()).unwrap(), []);
        let store = VectorStore::open(&index, &space).unwrap();
        assert_eq!(store.size().items, INDEX_FROM + 100);
        // Half of the index is gone, and what names mean beside it is noise.
        std::fs::write(index.join("current"), b"7").unwrap();
        std::fs::create_dir_all(index.join(NAMES)).unwrap();
        std::fs::write(index.join(NAMES).join("current"), b"noise").unwrap();
        assert_eq!(verify_library(&library, &Cancel::new()).unwrap().len(), 2);
        assert_eq!(VectorStore::open(&index, &space).unwrap().size().items, INDEX_FROM + 100);
    }

    #[test]
    fn a_damaged_index_is_done_without_and_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::at(folder.path());
        film(&library, "a", 0, 2100);
        let catalogue = library.make_catalogue().unwrap();
        index_library(&library, &Cancel::new()).unwrap();
        let asked = Embedding::new(ModelId::from("m"), vector(9)).unwrap();
        let before = owners(&nearest(&catalogue, &asked, 5, &Scope::default()).unwrap());
        let space = Space::new("m", DIM).unwrap();
        std::fs::write(super::folder(&catalogue, &space).join("current"), b"nonsense").unwrap();
        assert_eq!(owners(&nearest(&catalogue, &asked, 5, &Scope::default()).unwrap()), before);
        let done = index_library(&library, &Cancel::new()).unwrap();
        assert_eq!((done.added, done.rebuilt), (2100, 1));
        assert_eq!(owners(&nearest(&catalogue, &asked, 5, &Scope::default()).unwrap()), before);
    }
}
