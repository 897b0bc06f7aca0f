//! What came of the pieces of a work that is not finished, so that a run that was killed goes on where
//! it was.
//!
//! A file of JSON lines: a head with the key of the settings, then a line for each piece (a chunk of
//! sound, a picture), found again by its digest. So it holds for the same piece whatever file it comes
//! from, and a line never serves another one. A line that a crash cut off is left out.

use rustix::fs::{FlockOperation, flock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::Hash;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the disk is made to keep what was written. A kill of the process loses nothing that
/// was written; only a loss of power does.
const SYNC: Duration = Duration::from_secs(1);

/// A longer journal is not believed.
const MAX_BYTES: u64 = 1 << 30;

#[derive(Serialize, Deserialize)]
struct Head {
    journal: u32,
    key: String,
}

#[derive(Serialize, Deserialize)]
struct Line<K, T> {
    piece: K,
    found: T,
}

/// The journal of one input and one set of settings: what was found (`T`) of pieces (`K`, a digest).
pub struct Journal<K, T> {
    path: PathBuf,
    known: HashMap<K, T>,
    /// `None` once it cannot be written: the work goes on without.
    file: Mutex<Option<Writer>>,
}

struct Writer {
    file: File,
    synced: Instant,
    /// Whether a piece was written.
    used: bool,
}

/// The version of the file.
const VERSION: u32 = 2;

impl<K, T> Journal<K, T>
where
    K: Serialize + DeserializeOwned + Eq + Hash,
    T: Serialize + DeserializeOwned,
{
    /// Opens the journal at `path` for settings with `key`; what is there for others is emptied.
    /// `None` where it cannot be kept: it cannot be written, or another process holds it.
    pub fn open(path: &Path, key: &str) -> Option<Self> {
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(path).ok()?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
        let meta = file.metadata().ok()?;
        let (known, good) = if meta.is_file() && meta.len() <= MAX_BYTES {
            read(&file, key).unwrap_or_default()
        } else {
            Default::default()
        };
        file.set_len(good).ok()?;
        file.seek(SeekFrom::Start(good)).ok()?;
        if good == 0 {
            let head = Head { journal: VERSION, key: key.to_owned() };
            let mut line = serde_json::to_string(&head).ok()?;
            line.push('\n');
            file.write_all(line.as_bytes()).ok()?;
        }
        let writer = Writer { file, synced: Instant::now(), used: false };
        Some(Self { path: path.to_path_buf(), known, file: Mutex::new(Some(writer)) })
    }

    /// What was found of a piece.
    pub fn find(&self, key: &K) -> Option<&T> {
        self.known.get(key)
    }

    /// Keeps what was found of a piece.
    pub fn append(&self, key: &K, found: &T) {
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = slot.as_mut() else { return };
        if writer.append(key, found).is_err() {
            // No room, most likely: the output itself will say so.
            *slot = None;
        }
    }

    /// Removes it, once the output is there.
    pub fn remove(&self) {
        // While the lock is held nobody else has begun to use it.
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = fs::remove_file(&self.path);
        *slot = None;
    }
}

impl Writer {
    fn append(&mut self, piece: &impl Serialize, found: &impl Serialize) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(&Line { piece, found })?;
        line.push(b'\n');
        // One write, so that a kill leaves whole lines.
        self.file.write_all(&line)?;
        self.used = true;
        if self.synced.elapsed() >= SYNC {
            self.file.sync_data()?;
            self.synced = Instant::now();
        }
        Ok(())
    }
}

impl<K, T> Drop for Journal<K, T> {
    /// One that holds nothing is of no use to anybody.
    fn drop(&mut self) {
        let slot = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        if self.known.is_empty() && slot.as_ref().is_some_and(|writer| !writer.used) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The pieces of a journal, and the length of it that is whole.
fn read<K, T>(file: &File, key: &str) -> Option<(HashMap<K, T>, u64)>
where
    K: DeserializeOwned + Eq + Hash,
    T: DeserializeOwned,
{
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    let mut good = 0;
    let mut known = HashMap::new();
    loop {
        line.clear();
        let length = lines.read_until(b'\n', &mut line).ok()?;
        if line.pop() != Some(b'\n') {
            return (good > 0).then_some((known, good));
        }
        if good == 0 {
            let head: Head = serde_json::from_slice(&line).ok()?;
            if head.journal != VERSION || head.key != key {
                return None;
            }
        } else if let Ok(entry) = serde_json::from_slice::<Line<K, T>>(&line) {
            known.insert(entry.piece, entry.found);
        }
        good += length as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Lines = Journal<String, (f32, String)>;

    fn found(text: &str) -> (f32, String) {
        (-0.314_159_27, text.to_owned())
    }

    #[test]
    fn what_was_written_is_found_again_for_the_same_settings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".rushes-a.journal");
        let (a, b) = ("a".to_owned(), "b".to_owned());
        let journal = Lines::open(&path, "k").unwrap();
        assert!(Lines::open(&path, "k").is_none(), "it is held");
        journal.append(&a, &found(" One."));
        drop(journal);
        let journal = Lines::open(&path, "k").unwrap();
        assert_eq!(journal.find(&a), Some(&found(" One.")));
        assert_eq!(journal.find(&b), None);
        journal.append(&b, &found(" Two."));
        drop(journal);
        assert_eq!(Lines::open(&path, "k").unwrap().known.len(), 2);
        assert_eq!(Lines::open(&path, "other").unwrap().known.len(), 0);
        let journal = Lines::open(&path, "k").unwrap();
        assert_eq!(journal.known.len(), 0);
        journal.remove();
        assert!(!path.exists());
    }

    #[test]
    fn a_journal_cut_off_anywhere_gives_what_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let keys: Vec<_> = (0..3).map(|n| n.to_string()).collect();
        let journal = Lines::open(&path, "k").unwrap();
        for key in &keys {
            journal.append(key, &found("x\u{e9}"));
        }
        drop(journal);
        let whole = fs::read(&path).unwrap();
        let ends: Vec<usize> =
            whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1).collect();
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let journal = Lines::open(&path, "k").unwrap();
            let expected = ends.iter().filter(|end| **end <= length).count().saturating_sub(1);
            assert_eq!(journal.known.len(), expected, "{length}");
            journal.append(&keys[2], &found("again"));
            drop(journal);
            let journal = Lines::open(&path, "k").unwrap();
            assert_eq!(journal.find(&keys[2]), Some(&found("again")));
        }
    }
}
