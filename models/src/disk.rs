//! What the store and the hub's cache share: digests, locks, names that last.

use crate::client::TICK;
use crate::error::ModelsError;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Begins the names of things that belong to a pull under way; what is found under the lock was
/// left by a pull that was killed.
pub(crate) const PASSING: &str = ".pull-";

/// How a file on disk stands to what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Good,
    Missing,
    Damaged,
}

/// Checks kind and size of the file at `path` without reading it.
pub(crate) fn check_size(path: &Path, bytes: Option<u64>) -> Result<State, ModelsError> {
    match fs::metadata(path) {
        Ok(about) if about.is_file() && bytes.is_none_or(|b| b == about.len()) => Ok(State::Good),
        Ok(_) => Ok(State::Damaged),
        Err(e) if is_absent(&e) => Ok(State::Missing),
        Err(e) => Err(at("open", path)(e)),
    }
}

/// Checks size and digest of the file at `path`.
pub(crate) fn check(path: &Path, bytes: Option<u64>, sha256: &str) -> Result<State, ModelsError> {
    // The size first: it settles most cases without reading.
    match check_size(path, bytes)? {
        State::Good => {}
        settled => return Ok(settled),
    }
    let good = digest(path)? == sha256;
    Ok(if good { State::Good } else { State::Damaged })
}

/// The sha256 of the file at `path`, in hex.
pub(crate) fn digest(path: &Path) -> Result<String, ModelsError> {
    let mut file = File::open(path).map_err(at("open", path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hex(&hash.finalize())),
            Ok(n) => hash.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(at("read", path)(e)),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether `text` is a sha256 in lower-case hex.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Takes the lock at `path`, which the system lets go of when the file is closed, even by a process
/// that dies. Polling keeps the caller able to stop.
pub(crate) fn lock(
    path: &Path,
    waiting: &mut dyn FnMut() -> Result<(), ModelsError>,
) -> Result<File, ModelsError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(at("open", path))?;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                waiting()?;
                std::thread::sleep(TICK);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(at("lock", path)(e.into())),
        }
    }
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(folder: &Path) -> Result<(), ModelsError> {
    fs::create_dir_all(folder).map_err(at("create", folder))
}

/// Gives the finished file at `from` the name `to`, on the same disk, for good.
pub(crate) fn settle(from: &Path, to: &Path) -> Result<(), ModelsError> {
    fs::rename(from, to).map_err(at("write", to))?;
    sync_folder(to.parent().unwrap_or(Path::new(".")))
}

/// A new name is durable only when its folder is on the disk.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), ModelsError> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(at("sync", folder))
}

/// Removes a file; that it is not there is as good.
pub(crate) fn remove(path: &Path) -> Result<(), ModelsError> {
    match fs::remove_file(path) {
        Err(e) if !is_absent(&e) => Err(at("remove", path)(e)),
        _ => Ok(()),
    }
}

pub(crate) fn at<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> ModelsError + 'a {
    move |source| ModelsError::Io { doing, path: path.into(), source }
}
