//! The reading side: a frozen part and the journal since, searched as one.

use super::exact;
use super::frozen::Frozen;
use super::journal::{self, Batch};
use super::rows::{OwnedRows, Query};
use super::search::{self, Dead, Filter};
use super::space::{Hit, Space, Vector};
use super::top::Top;
use crate::error::{Error, ErrorKind, Result, Stage};
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Names the generation that counts.
pub(super) const CURRENT: &str = "current";
/// Candidates that a search keeps unless told otherwise.
const EF: usize = 64;

pub(super) fn frozen_path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("frozen-{generation}.rvx"))
}

pub(super) fn journal_path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("journal-{generation}.rvj"))
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreSize {
    /// Items that can be found.
    pub items: usize,
    /// Vectors in the frozen part, removed ones with them.
    pub frozen: usize,
    /// Vectors of the frozen part and of the tail that were removed or replaced.
    pub removed: usize,
    /// Vectors added since the freeze, removed ones with them.
    pub tail: usize,
}

/// A folder of vectors, to be searched. What a writer does later is seen after
/// [`Self::refresh`]; until then a store stays as it was, even if its files are replaced.
pub struct VectorStore {
    dir: PathBuf,
    space: Space,
    pub(super) generation: u64,
    pub(super) frozen: Frozen,
    journal: File,
    /// Up to where the journal was read.
    pub(super) read_to: u64,
    pub(super) dead: Dead,
    pub(super) tail: Tail,
}

/// What was added since the freeze.
pub(super) struct Tail {
    pub rows: OwnedRows,
    pub dead: Dead,
    /// The row of each item that is alive.
    pub at: HashMap<u64, usize>,
}

impl VectorStore {
    /// Whether a writer has ever been at work in `dir`.
    pub fn is_begun(dir: &Path) -> bool {
        dir.join(CURRENT).exists()
    }

    /// Opens the vectors of `space` in `dir`. Reads the headers and the journal; the frozen part is
    /// only mapped, and [`Self::verify`] checks it whole.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if they are of another space; [`ErrorKind::Storage`] for a damaged
    /// index; I/O failures.
    pub fn open(dir: &Path, space: &Space) -> Result<Self> {
        // A writer may replace the generation between reading its number and opening its files.
        const TRIES: usize = 8;
        let mut generation = current(dir)?;
        for _ in 1..TRIES {
            match Self::open_generation(dir, space, generation) {
                Ok(store) => return Ok(store),
                Err(error) => {
                    let now = current(dir)?;
                    if now == generation {
                        return Err(error);
                    }
                    generation = now;
                }
            }
        }
        Self::open_generation(dir, space, generation)
    }

    pub(super) fn open_generation(dir: &Path, space: &Space, generation: u64) -> Result<Self> {
        let frozen = Frozen::open(&frozen_path(dir, generation), space)?;
        let path = journal_path(dir, generation);
        let journal = File::open(&path).map_err(|e| Error::io(Stage::Search, &path, e))?;
        journal::check_preamble(&journal, &path, space)?;
        let tail =
            Tail { rows: OwnedRows::new(space.dim()), dead: Dead::default(), at: HashMap::new() };
        let mut store = Self {
            dir: dir.to_path_buf(),
            space: space.clone(),
            generation,
            frozen,
            journal,
            read_to: journal::START,
            dead: Dead::default(),
            tail,
        };
        store.read_on()?;
        Ok(store)
    }

    /// Takes in what a writer has done since; whether there was anything.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn refresh(&mut self) -> Result<bool> {
        if current(&self.dir)? != self.generation {
            *self = Self::open(&self.dir, &self.space)?;
            return Ok(true);
        }
        let before = self.read_to;
        self.read_on()?;
        Ok(self.read_to != before)
    }

    pub(super) fn read_on(&mut self) -> Result<()> {
        let path = journal_path(&self.dir, self.generation);
        let Self { frozen, dead, tail, .. } = self;
        let dim = self.space.dim();
        self.read_to =
            journal::read(&self.journal, &path, dim, self.read_to, |batch| match batch {
                Batch::Added(ids, vectors) => {
                    for (&id, vector) in ids.iter().zip(vectors.chunks_exact(dim)) {
                        remove(frozen, dead, tail, id);
                        tail.at.insert(id, tail.rows.view().len());
                        tail.rows.push(id, vector);
                    }
                }
                Batch::Removed(ids) => {
                    ids.iter().for_each(|&id| remove(frozen, dead, tail, id));
                }
            })?;
        Ok(())
    }

    /// The space of its vectors.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// How much it holds.
    pub fn size(&self) -> StoreSize {
        let (frozen, tail) = (self.frozen.len(), self.tail.rows.view().len());
        let removed = self.dead.len() + self.tail.dead.len();
        StoreSize { items: (frozen + tail).saturating_sub(removed), frozen, removed, tail }
    }

    /// The items that are there, in no order.
    pub fn ids(&self) -> impl Iterator<Item = u64> {
        let frozen = self.frozen.rows().ids.iter().enumerate();
        let frozen = frozen.filter(|(node, _)| !self.dead.contains(*node)).map(|(_, id)| *id);
        frozen.chain(self.tail.at.keys().copied())
    }

    /// Whether an item is there.
    pub fn contains(&self, id: u64) -> bool {
        self.tail.at.contains_key(&id)
            || self.frozen.node_of(id).is_some_and(|node| !self.dead.contains(node))
    }

    /// The `k` items nearest to `query` of those that pass, best first; fewer only if fewer pass.
    /// Small stores and narrow filters are searched exactly, the rest through a graph that finds
    /// nearly all of the true nearest.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if `query` is of another space.
    pub fn search(&self, query: &Vector, k: usize, filter: Filter<'_>) -> Result<Vec<Hit>> {
        self.search_wide(query, k, EF, filter)
    }

    /// [`Self::search`] with a choice of how many candidates (`ef`) a walk through the graph keeps,
    /// where `search` keeps 64 or `2 k`: more find more of the true nearest, and take longer. Fewer
    /// than `k` are taken for `k`.
    ///
    /// # Errors
    /// As [`Self::search`].
    pub fn search_wide(
        &self,
        query: &Vector,
        k: usize,
        ef: usize,
        filter: Filter<'_>,
    ) -> Result<Vec<Hit>> {
        self.space.expect(query.space()).map_err(|e| e.input(&self.dir))?;
        let k = k.min(self.size().items);
        if k == 0 {
            return Ok(Vec::new());
        }
        let query = Query::new(query.values());
        let mut top = Top::new(k);
        let rows = self.tail.rows.view();
        let in_tail = |row: usize| {
            !self.tail.dead.contains(row) && rows.ids.get(row).is_some_and(|&id| filter.passes(id))
        };
        search::search(&self.frozen, &self.dead, &query, k, ef.max(k), filter, &mut top);
        exact::scan(rows, &query, k, &in_tail, &mut top);
        Ok(top.into_hits())
    }

    /// Compares the frozen part with its checksums, which reads it whole.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] where it differs.
    pub fn verify(&self) -> Result<()> {
        self.frozen.verify()
    }
}

/// Makes an item unfindable, wherever it lies.
fn remove(frozen: &Frozen, dead: &mut Dead, tail: &mut Tail, id: u64) {
    if let Some(row) = tail.at.remove(&id) {
        tail.dead.mark(row);
    } else if let Some(node) = frozen.node_of(id) {
        dead.mark(node);
    }
}

/// The generation that counts.
pub(super) fn current(dir: &Path) -> Result<u64> {
    let path = dir.join(CURRENT);
    let text = fs::read(&path).map_err(|e| Error::io(Stage::Search, &path, e))?;
    let number = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| {
        Error::new(ErrorKind::Storage, Stage::Search, "does not name the index that counts")
            .input(&path)
            .hint("index again")
    })
}
