//! One at a time: who works on a medium keeps others from working on the same.

use super::ContentId;
use super::publish::{MadeFolders, PREFIX, failed};
use crate::control::Cancel;
use crate::error::{Error, Result, Stage};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The right to make the results of one content in a library. Copies of a film have one content, and a
/// batch may well give them to two workers at once. Ends when dropped, or with the process.
pub struct Claim {
    path: PathBuf,
    /// Holds the lock.
    _handle: File,
    // The last: only an empty folder can go.
    _folders: Option<MadeFolders>,
}

impl Claim {
    /// Waits until nobody else works on `content` in `library`, a folder that is made if it is missing.
    ///
    /// # Errors
    /// I/O failures; [`crate::error::ErrorKind::Cancelled`].
    pub fn wait(library: &Path, content: &ContentId, cancel: &Cancel) -> Result<Self> {
        /// How long until it is tried again.
        const PAUSE: Duration = Duration::from_millis(50);
        let mut folders = Some(MadeFolders::make(library)?);
        let path = library.join(format!("{PREFIX}{content}.lock"));
        loop {
            let mut options = OpenOptions::new();
            let handle = match options.create(true).truncate(false).write(true).open(&path) {
                Ok(handle) => handle,
                // Who made the folder had nothing to put into it, and took it away again.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    cancel.check(Stage::Process)?;
                    // First the old one, which would take away what the new one makes.
                    drop(folders.take());
                    folders = Some(MadeFolders::make(library)?);
                    continue;
                }
                Err(error) => return Err(failed(&path)(error)),
            };
            match flock(&handle, FlockOperation::NonBlockingLockExclusive) {
                // Who held it before removed it in the end: then this is no longer the file there.
                Ok(()) if is_at(&handle, &path) => {
                    return Ok(Self { path, _handle: handle, _folders: folders });
                }
                Ok(()) | Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    cancel.check(Stage::Process)?;
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(Error::io(Stage::Write, &path, error.into())),
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // While it is still held; what cannot be removed is removed by the library's `gc`.
        let _ = fs::remove_file(&self.path);
    }
}

fn is_at(handle: &File, path: &Path) -> bool {
    match (handle.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(there)) => held.dev() == there.dev() && held.ino() == there.ino(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn one_at_a_time_and_nothing_stays() {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("library");
        let content = ContentId::from_bytes([7; 32]);
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        let claim = Claim::wait(&library, &content, &Cancel::new()).unwrap();
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(1));
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(claim);
                    }
                });
            }
        });
        assert_eq!(most.into_inner(), 1);
        assert!(!library.exists());
    }

    #[test]
    fn another_content_and_a_cancel_do_not_wait() {
        let dir = tempfile::tempdir().unwrap();
        let [one, other] = [1, 2].map(|n| ContentId::from_bytes([n; 32]));
        let _held = Claim::wait(dir.path(), &one, &Cancel::new()).unwrap();
        let _beside = Claim::wait(dir.path(), &other, &Cancel::new()).unwrap();
        let cancel = Cancel::new();
        cancel.cancel();
        let refused = Claim::wait(dir.path(), &one, &cancel).err().unwrap();
        assert_eq!(refused.kind(), crate::error::ErrorKind::Cancelled);
    }
}
