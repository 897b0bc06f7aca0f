//! Which medium a file is: by its content, which is read only where it may have changed.

use super::catalogue::{Catalogue, FileStamp, MediaRow, SeenPath};
use super::{ContentId, content_id};
use crate::control::Cancel;
use crate::error::Result;
use std::path::Path;
use std::sync::Arc;

/// How far the file system is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// A file of the same device, inode, size, mtime and ctime is the same file: see [`FileStamp`].
    #[default]
    Stamp,
    /// Every byte is read again.
    Nothing,
}

/// A file and its content.
#[derive(Clone, Debug)]
pub struct Identity {
    /// BLAKE3 of its bytes.
    pub content: ContentId,
    /// The file as it is now.
    pub seen: SeenPath,
    /// The medium, if the library holds it.
    pub media: Option<MediaRow>,
    /// Whether the file had to be read.
    pub was_read: bool,
}

impl Identity {
    /// Finds out what `path` holds; `catalogue` is that of the library, if there is one.
    ///
    /// # Errors
    /// As [`content_id`] and [`Catalogue::open`].
    pub fn find(
        path: &Path,
        catalogue: Option<&Arc<Catalogue>>,
        trust: Trust,
        cancel: &Cancel,
    ) -> Result<Self> {
        let stamp = |path: &Path| std::fs::metadata(path).ok().map(|meta| FileStamp::of(&meta));
        let is_file = std::fs::metadata(path).is_ok_and(|meta| meta.is_file());
        let full = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        if let (Some(catalogue), Some(stamp), Trust::Stamp, true) =
            (catalogue, stamp(path), trust, is_file)
            && let Some(media) = catalogue.by_stamp(&stamp)?
        {
            let seen = SeenPath { path: full, stamp, hashed_ns: i64::MAX };
            return Ok(Self { content: media.content, seen, media: Some(media), was_read: false });
        }
        let before = stamp(path);
        let hashed_ns = super::catalogue::now_ns();
        let content = content_id(path, cancel)?;
        let after = stamp(path);
        // What changes while it is read is read again the next time.
        let hashed_ns = if before == after { hashed_ns } else { 0 };
        let none = FileStamp { dev: 0, inode: 0, bytes: 0, mtime_ns: 0, ctime_ns: 0 };
        let seen = SeenPath { path: full, stamp: after.unwrap_or(none), hashed_ns };
        let media = match catalogue {
            Some(catalogue) => catalogue.by_content(&content)?,
            None => None,
        };
        Ok(Self { content, seen, media, was_read: true })
    }
}
