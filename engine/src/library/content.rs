//! A file's identity is its content: moved or copied files are the same, changed ones are not.

use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use rustix::fs::{Mode, OFlags};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// BLAKE3 of a file's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentId(blake3::Hash);

impl ContentId {
    /// The identity that a digest stands for.
    pub fn from_bytes(digest: [u8; 32]) -> Self {
        Self(blake3::Hash::from_bytes(digest))
    }

    /// The digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The identity of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes))
    }

    /// The first eight hexadecimal digits: enough to tell the files of one folder apart by eye.
    pub fn short(&self) -> String {
        self.0.to_hex()[..8].to_owned()
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentId({self})")
    }
}

/// Reads all of `path` and gives its identity. Read, not mapped: a file that shrinks while it is
/// mapped kills the process.
///
/// # Errors
/// I/O failures; [`ErrorKind::Unsupported`] for what is no regular file.
pub fn content_id(path: &Path, cancel: &Cancel) -> Result<ContentId> {
    let failed = |e: std::io::Error| Error::io(Stage::Open, path, e);
    // Non-blocking, because opening a pipe that nobody writes to would wait for ever.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
    let mut file = File::from(file);
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            Stage::Open,
            "is not a regular file, so it has no identity",
        )
        .input(path)
        .hint("save it to a file first"));
    }
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        cancel.check(Stage::Open).map_err(|e| e.input(path))?;
        match file.read(&mut buffer) {
            Ok(0) => return Ok(ContentId(hasher.finalize())),
            Ok(n) => {
                hasher.update(&buffer[..n]);
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(failed(e)),
        }
    }
}
