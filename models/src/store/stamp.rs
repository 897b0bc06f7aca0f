//! Hashing three gigabytes takes seconds, so a large file that was hashed is remembered by its size,
//! times and identity. A changed byte changes the times; whoever forges those can forge the stamp.

use crate::disk::{self, State, at, hex, is_absent};
use crate::error::ModelsError;
use sha2::{Digest, Sha256};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The folder of the stamps in a store.
const FOLDER: &str = ".checked";

/// A file that changed this recently may change again within one tick of its clock.
const SETTLED: Duration = Duration::from_secs(2);

/// Checks the file at `path` by its stamp in `store` where it has more than `always` bytes, else,
/// and where the stamp does not fit, by its digest.
pub(super) fn check(
    store: &Path,
    path: &Path,
    bytes: Option<u64>,
    sha256: &str,
    always: u64,
) -> Result<State, ModelsError> {
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(e) if is_absent(&e) => return Ok(State::Missing),
        Err(e) => return Err(at("open", path)(e)),
    };
    if about.len() <= always {
        return disk::check(path, bytes, sha256);
    }
    if disk::check_size(path, bytes)? == State::Damaged {
        return Ok(State::Damaged);
    }
    let (place, text) = (place(store, path), stamp(&about, sha256));
    if fs::read(&place).is_ok_and(|found| found == text.as_bytes()) {
        return Ok(State::Good);
    }
    let state = disk::check(path, bytes, sha256)?;
    let settled = about
        .modified()
        .is_ok_and(|m| SystemTime::now().duration_since(m).is_ok_and(|a| a > SETTLED));
    // The times from before the hashing: what was written meanwhile does not fit them.
    if state == State::Good && settled {
        // A store that cannot be written to is hashed each time.
        let _ = write(store, &place, &text);
    }
    Ok(state)
}

/// Forgets the file at `path`.
pub(super) fn forget(store: &Path, path: &Path) -> Result<(), ModelsError> {
    disk::remove(&place(store, path))
}

fn place(store: &Path, path: &Path) -> PathBuf {
    store.join(FOLDER).join(hex(&Sha256::digest(path.as_os_str().as_bytes())))
}

fn stamp(about: &Metadata, sha256: &str) -> String {
    format!(
        "{sha256} {} {}:{} {}.{:09} {}.{:09}\n",
        about.len(),
        about.dev(),
        about.ino(),
        about.mtime(),
        about.mtime_nsec(),
        about.ctime(),
        about.ctime_nsec(),
    )
}

fn write(store: &Path, place: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(store.join(FOLDER))?;
    let mut temp = tempfile::NamedTempFile::new_in(store.join(FOLDER))?;
    io::Write::write_all(&mut temp, text.as_bytes())?;
    temp.persist(place).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_spares_the_hashing_and_a_changed_byte_breaks_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model");
        fs::write(&path, b"weights").unwrap();
        let old = SystemTime::now() - Duration::from_secs(60);
        let set_old = || fs::File::options().write(true).open(&path).unwrap().set_modified(old);
        set_old().unwrap();
        let sha256 = hex(&Sha256::digest(b"weights"));
        let check = |always| check(dir.path(), &path, Some(7), &sha256, always).unwrap();
        assert_eq!(check(0), State::Good);
        let kept = place(dir.path(), &path);
        assert!(kept.exists());

        // The stamp is believed: here one that was made for other content.
        fs::write(&path, b"weIghts").unwrap();
        set_old().unwrap();
        assert_eq!(check(0), State::Damaged, "same size and mtime, another ctime");
        fs::write(&kept, stamp(&fs::metadata(&path).unwrap(), &sha256)).unwrap();
        assert_eq!(check(0), State::Good, "the stamp was not read");
        assert_eq!(check(7), State::Damaged, "small files are hashed each time");
        forget(dir.path(), &path).unwrap();
        assert_eq!(check(0), State::Damaged);
    }

    #[test]
    fn a_file_that_changed_just_now_gets_no_stamp() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model");
        fs::write(&path, b"weights").unwrap();
        let sha256 = hex(&Sha256::digest(b"weights"));
        assert_eq!(check(dir.path(), &path, None, &sha256, 0).unwrap(), State::Good);
        assert!(!place(dir.path(), &path).exists());
    }
}
