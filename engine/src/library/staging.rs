//! Where the results of one medium are made before they are put into the library.

use super::MANIFEST;
use super::publish::{MadeFolders, PREFIX, failed};
use crate::error::{Error, Result, Stage};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::{Builder, TempDir};

/// A hidden folder in the library, removed when dropped. It is locked while it is in use, so that
/// one whose process was killed can be told from one that is being filled.
pub struct Staging {
    temp: TempDir,
    /// Holds the lock.
    _handle: File,
    // After `temp`: fields are dropped in this order, and only an empty folder can go.
    _folders: MadeFolders,
}

/// What one stage staged: everything in `folder` goes into the medium's folder.
#[derive(Clone, Debug)]
pub struct Staged {
    /// A folder below [`Staging::path`].
    pub folder: PathBuf,
}

impl Staging {
    /// A new one in `library`, which is made if it is missing.
    ///
    /// # Errors
    /// I/O failures.
    pub fn new(library: &Path) -> Result<Self> {
        let folders = MadeFolders::make(library)?;
        let temp = Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o777))
            .tempdir_in(library)
            .map_err(failed(library))?;
        let handle = File::open(temp.path()).map_err(failed(temp.path()))?;
        flock(&handle, FlockOperation::NonBlockingLockExclusive)
            .map_err(|e| Error::io(Stage::Write, temp.path(), e.into()))?;
        Ok(Self { temp, _handle: handle, _folders: folders })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.temp.path()
    }

    /// A folder for the outputs of `stage`, made if it is missing.
    ///
    /// # Errors
    /// I/O failures.
    pub fn stage(&self, stage: &str) -> Result<Staged> {
        let folder = self.temp.path().join(stage);
        fs::create_dir_all(&folder).map_err(failed(&folder))?;
        Ok(Staged { folder })
    }
}

/// Removes what killed processes left in `library`: folders that nobody holds, and staged files
/// beside the outputs. Gives the number of them.
pub(super) fn remove_stale(library: &Path, dry_run: bool) -> Result<usize> {
    let mut removed = 0;
    for path in children(library)? {
        if is_staged(&path) {
            removed += usize::from(remove_if_left(&path, dry_run)?);
        } else if path.join(MANIFEST).is_file() {
            for path in children(&path)?.into_iter().filter(|path| is_staged(path)) {
                removed += usize::from(remove_if_left(&path, dry_run)?);
            }
        }
    }
    Ok(removed)
}

/// Removes what killed processes left directly in `folder`, where outputs are staged beside their
/// places; gives the number. What was made within the last two seconds is left: its maker may be about
/// to lock it.
///
/// # Errors
/// I/O failures; none if `folder` is not there.
pub fn sweep(folder: &Path) -> Result<usize> {
    const YOUNG: Duration = Duration::from_secs(2);
    if !folder.is_dir() {
        return Ok(0);
    }
    let is_old = |path: &PathBuf| {
        let changed = path.metadata().and_then(|meta| meta.modified());
        changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age >= YOUNG))
    };
    let mut removed = 0;
    for path in children(folder)?.into_iter().filter(|path| is_staged(path) && is_old(path)) {
        removed += usize::from(remove_if_left(&path, false)?);
    }
    Ok(removed)
}

fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(failed(folder))?;
    let real = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| !kind.is_symlink());
    Ok(entries.filter_map(std::result::Result::ok).filter(real).map(|entry| entry.path()).collect())
}

fn is_staged(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()))
}

/// Removes a staged folder or file that no process holds; whether there was one.
fn remove_if_left(path: &Path, dry_run: bool) -> Result<bool> {
    let Ok(handle) = File::open(path) else { return Ok(false) };
    if flock(&handle, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(false);
    }
    if !dry_run {
        let remove = if path.is_dir() { fs::remove_dir_all } else { fs::remove_file };
        remove(path).map_err(failed(path))?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::StagedFile;

    #[test]
    fn sweeping_takes_what_was_left_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let old = std::time::SystemTime::now() - Duration::from_secs(60);
        let age = |path: &Path| File::open(path).unwrap().set_modified(old).unwrap();
        let make = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("x"), "x").unwrap();
            path
        };
        let (left, young, other) = (make(".rushes-left"), make(".rushes-new"), make("film"));
        let used = crate::library::StagedDir::new(&dir.path().join("out")).unwrap();
        [&*left, &*other, used.path()].iter().for_each(|path| age(path));
        assert_eq!(sweep(dir.path()).unwrap(), 1);
        assert!(!left.exists() && young.exists() && other.exists() && used.path().exists());
        assert_eq!(sweep(&dir.path().join("nowhere")).unwrap(), 0);
    }

    #[test]
    fn only_what_nobody_holds_is_stale() {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("library");
        let held = Staging::new(&library).unwrap();
        let left = library.join(".rushes-left");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("x"), "x").unwrap();
        // In a film's folder a file that is being written, and one whose writer was killed.
        let film = library.join("film-12345678");
        fs::create_dir(&film).unwrap();
        fs::write(film.join(MANIFEST), "{}").unwrap();
        fs::write(film.join(".rushes-half"), "x").unwrap();
        let writing = StagedFile::new(&film.join("report.json")).unwrap();
        assert_eq!(remove_stale(&library, true).unwrap(), 2);
        assert_eq!(remove_stale(&library, false).unwrap(), 2);
        assert!(held.path().exists() && !left.exists());
        assert_eq!(fs::read_dir(&film).unwrap().count(), 2);
        drop((held, writing));
        assert_eq!(fs::read_dir(&library).unwrap().count(), 1);
    }
}
