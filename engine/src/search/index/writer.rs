//! The writing side: one at a time, every change safe on disk before it is told.

use super::frozen::{self, GRAPH_FROM};
use super::journal;
use super::rows::OwnedRows;
use super::space::{Space, Vector};
use super::store::{CURRENT, VectorStore, frozen_path, journal_path};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::StagedFile;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const LOCK: &str = "lock";
/// A rebuild is due when tail and removed ones pass this share of the frozen part, ...
const DUE: f64 = 0.2;
/// ... but not for fewer than this: they are searched in no time.
const DUE_AT_LEAST: usize = 1024;

/// The one writer of a folder of vectors. Others can open the folder for reading meanwhile.
pub struct VectorWriter {
    dir: PathBuf,
    store: VectorStore,
    journal: File,
    // Held until the writer goes.
    _lock: File,
}

impl VectorWriter {
    /// Opens the vectors of `space` in `dir` for writing, and makes the folder if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] while another writer is at work; otherwise as
    /// [`VectorStore::open`].
    pub fn open(dir: &Path, space: &Space) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|e| Error::io(Stage::Write, dir, e))?;
        let lock = lock(dir)?;
        if !dir.join(CURRENT).exists() {
            begin(dir, space, 0, &OwnedRows::new(space.dim()), GRAPH_FROM, &Cancel::new())?;
        }
        let store = VectorStore::open(dir, space)?;
        let journal = open_journal(dir, &store)?;
        let writer = Self { dir: dir.to_path_buf(), store, journal, _lock: lock };
        writer.sweep();
        Ok(writer)
    }

    /// What is written so far, to be searched.
    pub fn store(&self) -> &VectorStore {
        &self.store
    }

    /// Adds items, which can be found at once and survive a crash from when this returns. An item
    /// whose number is there already replaces it.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] for a vector of another space (nothing is added then); I/O failures.
    pub fn add(&mut self, items: &[(u64, Vector)]) -> Result<()> {
        for (_, vector) in items {
            self.store.space().expect(vector.space()).map_err(|e| e.input(&self.dir))?;
        }
        let per_item = 8 + 4 * self.store.space().dim();
        for part in items.chunks((journal::MAX_BODY / per_item).max(1)) {
            let ids: Vec<u64> = part.iter().map(|(id, _)| *id).collect();
            let vectors: Vec<&[f32]> = part.iter().map(|(_, v)| v.values()).collect();
            self.append(&journal::encode(&ids, &vectors))?;
        }
        Ok(())
    }

    /// Removes items; numbers that are not there are passed over.
    ///
    /// # Errors
    /// I/O failures.
    pub fn remove(&mut self, ids: &[u64]) -> Result<()> {
        let ids: Vec<u64> = ids.iter().copied().filter(|&id| self.store.contains(id)).collect();
        for part in ids.chunks(journal::MAX_BODY / 8) {
            self.append(&journal::encode(part, &[]))?;
        }
        Ok(())
    }

    fn append(&mut self, batch: &[u8]) -> Result<()> {
        let path = journal_path(&self.dir, self.store.generation);
        let at = self.store.read_to;
        let written = self.journal.write_all_at(batch, at).and_then(|()| self.journal.sync_data());
        if let Err(error) = written {
            // What got through must not be taken for a batch later.
            let _ = self.journal.set_len(at);
            return Err(Error::io(Stage::Write, &path, error));
        }
        self.store.read_on()
    }

    /// Whether what has changed since the last freeze slows searches down.
    pub fn is_due(&self) -> bool {
        let size = self.store.size();
        let changed = size.tail + size.removed;
        changed >= DUE_AT_LEAST && changed as f64 > DUE * size.frozen as f64
    }

    /// [`Self::rebuild`] if [`Self::is_due`]; whether it was.
    ///
    /// # Errors
    /// As [`Self::rebuild`].
    pub fn rebuild_if_due(&mut self, cancel: &Cancel) -> Result<bool> {
        let due = self.is_due();
        if due {
            self.rebuild(cancel)?;
        }
        Ok(due)
    }

    /// Freezes all items that are there into a new frozen part, which takes the old one's place in
    /// one step. Takes minutes for hundreds of thousands of items, on all cores.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] if the frozen part is damaged; [`ErrorKind::Cancelled`]; I/O
    /// failures. The store is then as it was.
    pub fn rebuild(&mut self, cancel: &Cancel) -> Result<()> {
        self.rebuild_with(GRAPH_FROM, cancel)
    }

    /// [`Self::rebuild`] with a graph from so many items on, where `rebuild` takes what was measured
    /// to pay: for measuring that.
    ///
    /// # Errors
    /// As [`Self::rebuild`].
    pub fn rebuild_with(&mut self, graph_from: usize, cancel: &Cancel) -> Result<()> {
        let store = &self.store;
        store.verify()?;
        let mut alive = OwnedRows::new(store.space().dim());
        let parts =
            [(store.frozen.rows(), &store.dead), (store.tail.rows.view(), &store.tail.dead)];
        for (rows, dead) in parts {
            for (row, &id) in rows.ids.iter().enumerate().filter(|(row, _)| !dead.contains(*row)) {
                alive.push(id, rows.floats(row));
            }
        }
        let next = store.generation + 1;
        begin(&self.dir, store.space(), next, &alive, graph_from, cancel)?;
        drop(alive);
        let store = VectorStore::open(&self.dir, self.store.space())?;
        self.journal = open_journal(&self.dir, &store)?;
        self.store = store;
        self.sweep();
        Ok(())
    }

    /// Removes files of other generations and what a killed writer left half written. What cannot
    /// be removed does no harm.
    fn sweep(&self) {
        let (dir, generation) = (&self.dir, self.store.generation);
        let keep = [
            dir.join(CURRENT),
            dir.join(LOCK),
            frozen_path(dir, generation),
            journal_path(dir, generation),
        ];
        let Ok(entries) = fs::read_dir(dir) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let ours = ["frozen-", "journal-", ".rushes-"].iter().any(|p| name.starts_with(p));
            if ours && !keep.contains(&path) {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

/// Writes a generation and makes it the one that counts.
fn begin(
    dir: &Path,
    space: &Space,
    generation: u64,
    rows: &OwnedRows,
    graph_from: usize,
    cancel: &Cancel,
) -> Result<()> {
    frozen::write(&frozen_path(dir, generation), space, rows, graph_from, cancel)?;
    publish(&journal_path(dir, generation), &journal::preamble(space))?;
    publish(&dir.join(CURRENT), format!("{generation}\n").as_bytes())
}

fn publish(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut staged = StagedFile::new(path)?;
    staged.write(bytes)?;
    staged.publish()
}

/// The journal, ready to be appended to: a torn batch at its end is cut off.
fn open_journal(dir: &Path, store: &VectorStore) -> Result<File> {
    let path = journal_path(dir, store.generation);
    let failed = |e| Error::io(Stage::Write, &path, e);
    let journal = File::options().write(true).open(&path).map_err(failed)?;
    if journal.metadata().map_err(failed)?.len() != store.read_to {
        journal.set_len(store.read_to).and_then(|()| journal.sync_all()).map_err(failed)?;
    }
    Ok(journal)
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| Error::io(Stage::Write, &path, e))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|e| {
        if e == rustix::io::Errno::WOULDBLOCK {
            Error::new(ErrorKind::Resource, Stage::Write, "is being written by another process")
                .input(dir)
                .hint("wait until it has ended")
        } else {
            Error::io(Stage::Write, &path, e.into())
        }
    })?;
    Ok(file)
}
