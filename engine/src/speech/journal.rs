//! What was recognised of an input that is not finished, so that a run that was killed goes on
//! where it was.
//!
//! A file of JSON lines: a head with the key of the settings, then a line for each chunk, found
//! again by the digest of its samples. So it holds for the same sound whatever file it comes from,
//! and a line never serves another sound. A line that a crash cut off is left out.

use super::recogniser::Recognised;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the disk is made to keep what was written. A kill of the process loses nothing that
/// was written; only a loss of power does.
const SYNC: Duration = Duration::from_secs(1);

/// A longer journal is not believed.
const MAX_BYTES: u64 = 1 << 30;

/// A chunk's identity: its samples, and what it is decoded as where it is unsure.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChunkKey(String);

impl ChunkKey {
    /// The key of `samples`, with the language to fall back to.
    pub fn new(samples: &[f32], fallback: Option<&str>) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut bytes = [0; 4096];
        for part in samples.chunks(bytes.len() / 4) {
            for (sample, place) in part.iter().zip(bytes.chunks_exact_mut(4)) {
                place.copy_from_slice(&sample.to_le_bytes());
            }
            hasher.update(&bytes[..part.len() * 4]);
        }
        if let Some(language) = fallback {
            hasher.update(b"|");
            hasher.update(language.as_bytes());
        }
        Self(hasher.finalize().to_hex().to_string())
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    journal: u32,
    key: String,
}

#[derive(Serialize, Deserialize)]
struct Line<T> {
    chunk: ChunkKey,
    found: T,
}

/// The journal of one input and one set of settings.
pub struct Journal {
    path: PathBuf,
    known: HashMap<ChunkKey, Recognised>,
    /// `None` once it cannot be written: the work goes on without.
    file: Mutex<Option<Writer>>,
}

struct Writer {
    file: File,
    synced: Instant,
    /// Whether a chunk was written.
    used: bool,
}

impl Journal {
    const VERSION: u32 = 2;

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
            let head = Head { journal: Self::VERSION, key: key.to_owned() };
            let mut line = serde_json::to_string(&head).ok()?;
            line.push('\n');
            file.write_all(line.as_bytes()).ok()?;
        }
        let writer = Writer { file, synced: Instant::now(), used: false };
        Some(Self { path: path.to_path_buf(), known, file: Mutex::new(Some(writer)) })
    }

    /// What was recognised of a chunk.
    pub fn find(&self, key: &ChunkKey) -> Option<&Recognised> {
        self.known.get(key)
    }

    /// Keeps what was recognised of a chunk.
    pub fn append(&self, key: &ChunkKey, found: &Recognised) {
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
    fn append(&mut self, key: &ChunkKey, found: &Recognised) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(&Line { chunk: key.clone(), found })?;
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

impl Drop for Journal {
    /// One that holds nothing is of no use to anybody.
    fn drop(&mut self) {
        let slot = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        if self.known.is_empty() && slot.as_ref().is_some_and(|writer| !writer.used) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The chunks of a journal, and the length of it that is whole.
fn read(file: &File, key: &str) -> Option<(HashMap<ChunkKey, Recognised>, u64)> {
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
            if head.journal != Journal::VERSION || head.key != key {
                return None;
            }
        } else if let Ok(entry) = serde_json::from_slice::<Line<Recognised>>(&line) {
            known.insert(entry.chunk, entry.found);
        }
        good += length as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::super::recogniser::{Piece, PieceWord};
    use super::*;

    pub(crate) fn found(text: &str) -> Recognised {
        Recognised {
            language: "en".into(),
            language_probability: 0.971_234_5,
            no_speech_prob: 0.012_345_678,
            temperature: 0.2,
            compression_ratio: 1.37,
            pieces: vec![Piece {
                samples: 3..16_000,
                text: text.into(),
                tokens: vec![50_364, 1],
                avg_logprob: -0.314_159_27,
                silent: false,
                words: vec![PieceWord { samples: 3..16_000, text: text.into(), probability: 0.1 }],
            }],
        }
    }

    #[test]
    fn what_was_written_is_found_again_for_the_same_settings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".rushes-a.journal");
        let (a, b) = (ChunkKey::new(&[0.1, 0.2], None), ChunkKey::new(&[0.1, 0.3], None));
        let journal = Journal::open(&path, "k").unwrap();
        assert!(Journal::open(&path, "k").is_none(), "it is held");
        journal.append(&a, &found(" One."));
        drop(journal);
        let journal = Journal::open(&path, "k").unwrap();
        assert_eq!(journal.find(&a), Some(&found(" One.")));
        assert_eq!(journal.find(&b), None);
        journal.append(&b, &found(" Two."));
        drop(journal);
        assert_eq!(Journal::open(&path, "k").unwrap().known.len(), 2);
        assert_eq!(Journal::open(&path, "other").unwrap().known.len(), 0);
        let journal = Journal::open(&path, "k").unwrap();
        assert_eq!(journal.known.len(), 0);
        journal.remove();
        assert!(!path.exists());
    }

    #[test]
    fn a_journal_cut_off_anywhere_gives_what_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let keys: Vec<_> = (0..3).map(|n| ChunkKey::new(&[n as f32], Some("de"))).collect();
        let journal = Journal::open(&path, "k").unwrap();
        for key in &keys {
            journal.append(key, &found("x\u{e9}"));
        }
        drop(journal);
        let whole = fs::read(&path).unwrap();
        let ends: Vec<usize> =
            whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1).collect();
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let journal = Journal::open(&path, "k").unwrap();
            let expected = ends.iter().filter(|end| **end <= length).count().saturating_sub(1);
            assert_eq!(journal.known.len(), expected, "{length}");
            journal.append(&keys[2], &found("again"));
            drop(journal);
            let journal = Journal::open(&path, "k").unwrap();
            assert_eq!(journal.find(&keys[2]), Some(&found("again")));
        }
    }

    #[test]
    fn keys_tell_samples_and_fallback_apart() {
        let key = |samples: &[f32], fallback| ChunkKey::new(samples, fallback);
        let long = vec![0.5; 5000];
        let mut other = long.clone();
        other[4999] = 0.25;
        assert_eq!(key(&long, None), key(&long, None));
        assert_ne!(key(&long, None), key(&other, None));
        assert_ne!(key(&long, None), key(&long[..4999], None));
        assert_ne!(key(&long, Some("de")), key(&long, Some("en")));
    }
}
