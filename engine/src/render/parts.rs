//! Finished stretches on disk: the packets of a segment or of the whole sound under the name of
//! their key, so that a killed render goes on after them and the next one finds them again.
//!
//! A part is a list of packets (size, pts, duration, key flag, bytes), then a footer in JSON, its
//! length, and BLAKE3 of all that. It takes its name only when it is complete.

use crate::error::{Error, Result, Stage};
use crate::media::{FilmHeader, SoundHeader};
use blake3::Hasher;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tempfile::{Builder, NamedTempFile};

/// What stands at a part's end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Footer {
    /// For pictures.
    pub film: Option<FilmHeader>,
    /// For sound.
    pub sound: Option<SoundHeader>,
    /// How many packets there are.
    pub packets: u64,
    /// BLAKE3 over the pictures before they were encoded.
    pub pictures: Option<String>,
    /// BLAKE3 over the packets' bytes, in order of decoding.
    pub coded: String,
    /// How many pictures a decoder has to hold back.
    pub reorder: usize,
}

/// A packet of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Coded {
    pub pts: i64,
    pub duration: i64,
    pub key: bool,
    pub data: Vec<u8>,
}

/// Where parts are kept.
#[derive(Clone, Debug)]
pub(super) struct Store {
    folder: PathBuf,
}

const ENDING: &str = "part";
const PREFIX: &str = ".unfinished-";

impl Store {
    /// In `folder`, which is made if it is missing.
    pub fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|e| Error::io(Stage::Write, folder, e))?;
        Ok(Self { folder: folder.to_path_buf() })
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.{ENDING}"))
    }

    /// The part of this key, if it is there and whole.
    pub fn find(&self, key: &str) -> Option<Part> {
        let part = Part::open(&self.path(key)).ok();
        let whole = part.filter(|part| part.is_whole().unwrap_or(false));
        match &whole {
            // What was used last goes last when room is made.
            Some(part) => {
                let now = std::time::SystemTime::now();
                let _ = File::open(&part.path).and_then(|file| file.set_modified(now));
            }
            None => drop(fs::remove_file(self.path(key))),
        }
        whole
    }

    /// Whether a part of this key is there, as far as its name tells.
    pub fn has(&self, key: &str) -> bool {
        self.path(key).is_file()
    }

    /// A file without a name that is gone when it is closed, and the folder it lies in.
    pub fn scratch(&self) -> Result<(File, PathBuf)> {
        let file = tempfile::tempfile_in(&self.folder);
        let file = file.map_err(|e| Error::io(Stage::Write, &self.folder, e))?;
        Ok((file, self.folder.clone()))
    }

    /// A folder for files that others have to open by name; gone when it is dropped.
    pub fn folder(&self) -> Result<tempfile::TempDir> {
        let folder = Builder::new().prefix(PREFIX).tempdir_in(&self.folder);
        folder.map_err(|e| Error::io(Stage::Write, &self.folder, e))
    }

    /// A part to be written.
    pub fn write(&self, key: &str) -> Result<Writer> {
        let temp = Builder::new()
            .prefix(PREFIX)
            .tempfile_in(&self.folder)
            .map_err(|e| Error::io(Stage::Write, &self.folder, e))?;
        Ok(Writer {
            target: self.path(key),
            file: BufWriter::with_capacity(256 << 10, temp),
            all: Hasher::new(),
            coded: Hasher::new(),
            times: Vec::new(),
        })
    }

    /// Removes the parts that were not used for longest until the rest is at most `bytes`, and what
    /// killed renders left unfinished. Parts named in `keep` stay.
    pub fn trim(&self, bytes: u64, keep: &dyn Fn(&str) -> bool) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut parts = Vec::new();
        for entry in entries.flatten() {
            let (path, Ok(meta)) = (entry.path(), entry.metadata()) else { continue };
            let name = entry.file_name().to_string_lossy().into_owned();
            let age = meta.modified().ok().and_then(|at| at.elapsed().ok());
            match name.strip_suffix(&format!(".{ENDING}")) {
                Some(key) => parts.push((meta.modified().ok(), meta.len(), keep(key), path)),
                // An hour: what another process writes meanwhile is younger.
                None if name.starts_with(PREFIX) && age.is_some_and(|age| age.as_secs() > 3600) => {
                    let _ = if meta.is_dir() {
                        fs::remove_dir_all(path)
                    } else {
                        fs::remove_file(path)
                    };
                }
                None => {}
            }
        }
        parts.sort();
        let mut total: u64 = parts.iter().map(|(_, size, ..)| size).sum();
        for (_, size, kept, path) in parts {
            if total <= bytes {
                break;
            }
            if !kept && fs::remove_file(path).is_ok() {
                total -= size;
            }
        }
    }
}

/// A part being written; dropped unfinished it leaves nothing.
pub(super) struct Writer {
    target: PathBuf,
    file: BufWriter<NamedTempFile>,
    all: Hasher,
    coded: Hasher,
    times: Vec<i64>,
}

impl Writer {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.all.update(bytes);
        self.file.write_all(bytes).map_err(|e| Error::io(Stage::Write, &self.target, e))
    }

    /// Adds a packet.
    pub fn packet(&mut self, pts: i64, duration: i64, key: bool, data: &[u8]) -> Result<()> {
        let size = u32::try_from(data.len()).map_err(|_| {
            Error::new(crate::error::ErrorKind::Limit, Stage::Write, "a packet of over 4 GiB")
        })?;
        self.put(&size.to_le_bytes())?;
        self.put(&pts.to_le_bytes())?;
        self.put(&duration.to_le_bytes())?;
        self.put(&[u8::from(key)])?;
        self.coded.update(data);
        self.times.push(pts);
        self.put(data)
    }

    /// Writes the footer and gives the part its name.
    pub fn finish(mut self, mut footer: Footer) -> Result<Part> {
        footer.packets = self.times.len() as u64;
        footer.coded = self.coded.finalize().to_hex().to_string();
        footer.reorder = reorder(&self.times);
        let text = serde_json::to_vec(&footer).map_err(|e| {
            Error::new(crate::error::ErrorKind::Internal, Stage::Write, e.to_string())
        })?;
        self.put(&text)?;
        self.put(&(text.len() as u64).to_le_bytes())?;
        let digest = *self.all.finalize().as_bytes();
        let failed = |e: std::io::Error| Error::io(Stage::Write, &self.target, e);
        self.file.write_all(&digest).map_err(failed)?;
        let temp = self.file.into_inner().map_err(|e| failed(e.into_error()))?;
        temp.persist(&self.target).map_err(|e| failed(e.error))?;
        Part::open(&self.target)
    }
}

/// How many pictures have to be held back so that each is shown in turn, given their times of
/// showing in order of decoding: decode time i is the i-th time of showing, moved back so far
/// that none lies behind its own.
fn reorder(times: &[i64]) -> usize {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let late = times
        .iter()
        .enumerate()
        .map(|(i, time)| i.saturating_sub(sorted.partition_point(|t| t < time)));
    late.max().unwrap_or(0)
}

/// A finished part.
#[derive(Clone, Debug)]
pub(super) struct Part {
    path: PathBuf,
    pub footer: Footer,
    /// Bytes of packets.
    body: u64,
}

impl Part {
    /// Bytes of its packets.
    pub fn bytes(&self) -> u64 {
        self.body
    }

    fn open(path: &Path) -> Result<Self> {
        let failed = |e: std::io::Error| Error::io(Stage::Open, path, e);
        let damaged = || failed(std::io::ErrorKind::InvalidData.into());
        let mut file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let tail = length.checked_sub(40).ok_or_else(damaged)?;
        file.seek(SeekFrom::Start(tail)).map_err(failed)?;
        let mut size = [0; 8];
        file.read_exact(&mut size).map_err(failed)?;
        let size = u64::from_le_bytes(size);
        let body = tail.checked_sub(size).filter(|_| size < 1 << 20).ok_or_else(damaged)?;
        file.seek(SeekFrom::Start(body)).map_err(failed)?;
        let mut text = Vec::new();
        file.take(size).read_to_end(&mut text).map_err(failed)?;
        let footer = serde_json::from_slice(&text).map_err(|_| damaged())?;
        Ok(Self { path: path.to_path_buf(), footer, body })
    }

    /// Whether every byte is as it was written.
    fn is_whole(&self) -> std::io::Result<bool> {
        let mut file = File::open(&self.path)?;
        let length = file.metadata()?.len().saturating_sub(32);
        let mut digest = Hasher::new();
        std::io::copy(&mut Read::by_ref(&mut file).take(length), &mut digest)?;
        let mut written = [0; 32];
        file.read_exact(&mut written)?;
        Ok(*digest.finalize().as_bytes() == written)
    }

    /// Its packets, one after the other.
    pub fn packets(&self) -> Result<Packets> {
        let file = File::open(&self.path).map_err(|e| Error::io(Stage::Open, &self.path, e))?;
        Ok(Packets {
            path: self.path.clone(),
            file: BufReader::with_capacity(256 << 10, file),
            left: self.body,
        })
    }
}

/// The packets of a part.
pub(super) struct Packets {
    path: PathBuf,
    file: BufReader<File>,
    left: u64,
}

impl Packets {
    /// The next one.
    pub fn next(&mut self) -> Result<Option<Coded>> {
        if self.left == 0 {
            return Ok(None);
        }
        let failed = |e: std::io::Error| Error::io(Stage::Open, &self.path, e);
        let mut head = [0; 21];
        self.file.read_exact(&mut head).map_err(failed)?;
        let number =
            |at: usize| i64::from_le_bytes(head[at..at + 8].try_into().unwrap_or_default());
        let size = u32::from_le_bytes(head[..4].try_into().unwrap_or_default());
        let whole = 21 + u64::from(size);
        if whole > self.left {
            return Err(failed(std::io::ErrorKind::InvalidData.into()));
        }
        self.left -= whole;
        let mut data = vec![0; size as usize];
        self.file.read_exact(&mut data).map_err(failed)?;
        Ok(Some(Coded { pts: number(4), duration: number(12), key: head[20] != 0, data }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn footer() -> Footer {
        Footer {
            film: None,
            sound: None,
            packets: 0,
            pictures: None,
            coded: String::new(),
            reorder: 0,
        }
    }

    #[test]
    fn a_part_comes_back_and_a_damaged_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut writer = store.write("a").unwrap();
        for (pts, data) in [(0, &b"key"[..]), (3, b"p"), (1, b""), (2, b"b")] {
            writer.packet(pts, 1, pts == 0, data).unwrap();
        }
        assert!(!store.has("a"));
        writer.finish(footer()).unwrap();
        let part = store.find("a").unwrap();
        assert_eq!((part.footer.packets, part.footer.reorder), (4, 1));
        let mut packets = part.packets().unwrap();
        let mut times = Vec::new();
        while let Some(packet) = packets.next().unwrap() {
            times.push((packet.pts, packet.key, packet.data.len()));
        }
        assert_eq!(times, [(0, true, 3), (3, false, 1), (1, false, 0), (2, false, 1)]);

        let path = dir.path().join("a.part");
        let mut bytes = fs::read(&path).unwrap();
        bytes[22] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(store.find("a").is_none());
        for cut in [0, 10, 39, bytes.len() - 1] {
            fs::write(&path, &bytes[..cut]).unwrap();
            assert!(store.find("a").is_none(), "{cut}");
        }
        drop(store.write("b").unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_least_used_go_first() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for (i, key) in ["a", "b", "c"].into_iter().enumerate() {
            let mut writer = store.write(key).unwrap();
            writer.packet(0, 1, true, &[0; 1000]).unwrap();
            writer.finish(footer()).unwrap();
            let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(i as u64);
            File::options().write(true).open(store.path(key)).unwrap().set_modified(at).unwrap();
        }
        store.find("a").unwrap();
        store.trim(2500, &|_| false);
        assert!(store.has("a") && !store.has("b") && store.has("c"));
        store.trim(0, &|key| key == "c");
        assert!(!store.has("a") && store.has("c"));
    }

    #[test]
    fn held_back_pictures() {
        assert_eq!(reorder(&[0, 1, 2]), 0);
        assert_eq!(reorder(&[0, 4, 2, 1, 3]), 2);
        assert_eq!(reorder(&[]), 0);
    }
}
