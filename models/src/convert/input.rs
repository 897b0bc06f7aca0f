//! Reading a file that is hostile until shown otherwise.

use crate::error::ModelsError;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A regular file, its size known, its lengths checked before memory is taken for them.
pub(crate) struct Input {
    reader: BufReader<File>,
    path: PathBuf,
    kind: &'static str,
    len: u64,
    at: u64,
}

impl Input {
    /// Opens `path`, which should hold `kind` ("a ggml model").
    pub(crate) fn open(path: &Path, kind: &'static str) -> Result<Self, ModelsError> {
        let failed = |source| ModelsError::Io { doing: "open", path: path.into(), source };
        // Asked before opening: a pipe would block.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(refused(path, kind, "it is not a regular file"));
        }
        let file = File::open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        Ok(Self { reader: BufReader::new(file), path: path.into(), kind, len, at: 0 })
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    pub(crate) fn left(&self) -> u64 {
        self.len - self.at
    }

    /// The error that says what is wrong with this file.
    pub(crate) fn refuse(&self, message: impl Into<String>) -> ModelsError {
        refused(&self.path, self.kind, message)
    }

    /// Gives up the reader, for those who read at offsets.
    pub(crate) fn into_file(self) -> File {
        self.reader.into_inner()
    }

    fn failed(&self, source: io::Error) -> ModelsError {
        if source.kind() == io::ErrorKind::UnexpectedEof {
            return self.refuse("it became shorter while it was read");
        }
        ModelsError::Io { doing: "read", path: self.path.clone(), source }
    }

    pub(crate) fn fill(&mut self, buffer: &mut [u8], what: &str) -> Result<(), ModelsError> {
        let n = buffer.len() as u64;
        self.has(n, what)?;
        self.reader.read_exact(buffer).map_err(|e| self.failed(e))?;
        self.at += n;
        Ok(())
    }

    pub(crate) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], ModelsError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    pub(crate) fn byte(&mut self, what: &str) -> Result<u8, ModelsError> {
        Ok(self.array::<1>(what)?[0])
    }

    pub(crate) fn i32(&mut self, what: &str) -> Result<i32, ModelsError> {
        Ok(i32::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn u64(&mut self, what: &str) -> Result<u64, ModelsError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// `n` bytes, which must be in the file and at most `cap`.
    pub(crate) fn bytes(&mut self, n: u64, cap: u64, what: &str) -> Result<Vec<u8>, ModelsError> {
        self.has(n, what)?;
        if n > cap {
            return Err(self.refuse(format!("{what} of {n} bytes; at most {cap} are taken")));
        }
        // In range: at most `cap`, which callers keep small, and at most the file.
        let mut bytes = vec![0; n as usize];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    pub(crate) fn skip(&mut self, n: u64, what: &str) -> Result<(), ModelsError> {
        self.has(n, what)?;
        self.seek(self.at + n)
    }

    /// Goes to `at`, which must be in the file or at its end.
    pub(crate) fn seek(&mut self, at: u64) -> Result<(), ModelsError> {
        if at > self.len {
            return Err(self.refuse(format!("it ends before byte {at}")));
        }
        // What is in the buffer stays there: headers are many small hops.
        let moved = match i64::try_from(i128::from(at) - i128::from(self.at)) {
            Ok(hop) => self.reader.seek_relative(hop),
            Err(_) => self.reader.seek(SeekFrom::Start(at)).map(|_| ()),
        };
        moved.map_err(|e| self.failed(e))?;
        self.at = at;
        Ok(())
    }

    /// Hands `n` bytes to `each` in pieces as they come.
    pub(crate) fn pieces<E: From<ModelsError>>(
        &mut self,
        n: u64,
        what: &str,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.has(n, what)?;
        let end = self.at + n;
        while self.at < end {
            let piece = match self.reader.fill_buf() {
                Ok([]) => return Err(self.failed(io::ErrorKind::UnexpectedEof.into()).into()),
                Ok(piece) => piece,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.failed(e).into()),
            };
            let take = piece.len().min(usize::try_from(end - self.at).unwrap_or(usize::MAX));
            let settled = each(&piece[..take]);
            self.reader.consume(take);
            self.at += take as u64;
            settled?;
        }
        Ok(())
    }

    fn has(&self, n: u64, what: &str) -> Result<(), ModelsError> {
        if n <= self.left() {
            return Ok(());
        }
        Err(self.refuse(format!(
            "{what} needs {n} bytes at byte {}, and the file ends after {}",
            self.at, self.len
        )))
    }
}

/// The error that says why the file at `path` is not taken for `kind`.
pub(crate) fn refused(path: &Path, kind: &'static str, message: impl Into<String>) -> ModelsError {
    ModelsError::Format { path: path.into(), kind, message: message.into() }
}

/// A name out of a file, short and safe to print.
pub(crate) fn shown(name: &str) -> String {
    const MOST: usize = 80;
    let mut text: String = name.chars().take(MOST).flat_map(char::escape_debug).collect();
    if name.chars().nth(MOST).is_some() {
        text.push('…');
    }
    text
}
