//! A file mapped into memory: the one place of the index with `unsafe`.

use memmap2::Mmap;
use std::fs::File;
use std::io;

/// The bytes of a file that is never written to again.
pub(super) struct Map(Mmap);

impl Map {
    pub fn of(file: &File) -> io::Result<Self> {
        // SAFETY: what is mapped must not change under us. Frozen files are written under another
        // name, renamed once they are whole, and then only ever unlinked, all by our own writer
        // (which leaves a mapped file's content alive). No reference into the map is trusted:
        // offsets, counts and neighbours are checked at each use, all types in it are plain
        // numbers, so bytes that somebody else changes meanwhile give wrong neighbours. Somebody
        // who cuts the file short ends the process (SIGBUS), as for every program that maps files.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(file) }?;
        Ok(Self(map))
    }
}

impl AsRef<[u8]> for Map {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
