//! Which contents a library holds, and which files hold them.

use super::Catalogue;
use crate::error::Result;
use crate::library::ContentId;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What the file system says of a file, by which a change is noticed without reading it.
///
/// Every write and every rename moves ctime, which no program can set back; so a file of the same
/// device, inode, size, mtime and ctime holds the same bytes, but for two cases: a write within
/// the clock tick of the one before (see [`FileStamp::trusted`]), and damage beneath the file
/// system, which only reading finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// Device.
    pub dev: u64,
    /// Inode.
    pub inode: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// When its content was last changed, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// When it or its content was last changed, by the kernel's own clock.
    pub ctime_ns: i64,
}

impl FileStamp {
    /// The stamp in `meta`.
    pub fn of(meta: &Metadata) -> Self {
        let nanos =
            |secs: i64, nanos: i64| secs.saturating_mul(1_000_000_000).saturating_add(nanos);
        Self {
            dev: meta.dev(),
            inode: meta.ino(),
            bytes: meta.len(),
            mtime_ns: nanos(meta.mtime(), meta.mtime_nsec()),
            ctime_ns: nanos(meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// Whether a reading that began at `read_ns` may be relied on later: the file was at rest for
    /// two seconds by then, more than the coarsest file system's clock ticks (FAT), so that a later
    /// write shows in its times.
    pub fn trusted(&self, read_ns: i64) -> bool {
        const REST: i64 = 2_000_000_000;
        self.mtime_ns.max(self.ctime_ns).saturating_add(REST) <= read_ns
    }
}

/// A content of the library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MediaRow {
    /// Its number: never used twice in one library.
    pub id: i64,
    /// BLAKE3 of its bytes.
    #[serde(serialize_with = "as_text")]
    pub content: ContentId,
    /// Its size.
    pub bytes: u64,
    /// The name of the file that it was first seen as.
    pub name: String,
    /// Its folder in the library.
    pub folder: String,
    /// When it was added, milliseconds since 1970.
    pub added_ms: i64,
}

fn as_text<S: serde::Serializer>(
    content: &ContentId,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(content)
}

/// A file that holds a content, as it was when it was last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenPath {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// What the file system said of it.
    pub stamp: FileStamp,
    /// When its reading began, nanoseconds since 1970.
    pub hashed_ns: i64,
}

/// Nanoseconds since 1970.
pub(crate) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

const MEDIA: &str = "id, content, bytes, name, folder, added_ms";

fn media(row: &Row<'_>) -> rusqlite::Result<MediaRow> {
    Ok(MediaRow {
        id: row.get(0)?,
        content: ContentId::from_bytes(super::values::digest(row, 1)?),
        bytes: row.get::<_, i64>(2)?.cast_unsigned(),
        name: row.get(3)?,
        folder: row.get(4)?,
        added_ms: row.get(5)?,
    })
}

impl Catalogue {
    /// Everything in the library, in order of adding.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn all_media(&self) -> Result<Vec<MediaRow>> {
        self.read(|db| {
            let mut all = db.prepare(&format!("SELECT {MEDIA} FROM media ORDER BY id"))?;
            all.query_map([], media)?.collect()
        })
    }

    /// The medium with these bytes.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn by_content(&self, content: &ContentId) -> Result<Option<MediaRow>> {
        self.read(|db| {
            db.prepare_cached(&format!("SELECT {MEDIA} FROM media WHERE content = ?1"))?
                .query_row([content.as_bytes()], media)
                .optional()
        })
    }

    /// The medium with this number.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn by_id(&self, id: i64) -> Result<Option<MediaRow>> {
        self.read(|db| {
            db.prepare_cached(&format!("SELECT {MEDIA} FROM media WHERE id = ?1"))?
                .query_row([id], media)
                .optional()
        })
    }

    /// The content of a file that is just as it was when it was read, without reading it.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn by_stamp(&self, stamp: &FileStamp) -> Result<Option<MediaRow>> {
        let found = self.read(|db| {
            let mut find = db.prepare_cached(
                "SELECT media_id, hashed_ns FROM paths WHERE dev = ?1 AND inode = ?2 \
                 AND bytes = ?3 AND mtime_ns = ?4 AND ctime_ns = ?5 \
                 ORDER BY hashed_ns DESC LIMIT 1",
            )?;
            let key = params![
                stamp.dev.cast_signed(),
                stamp.inode.cast_signed(),
                stamp.bytes.cast_signed(),
                stamp.mtime_ns,
                stamp.ctime_ns
            ];
            find.query_row(key, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).optional()
        })?;
        match found {
            Some((id, hashed_ns)) if stamp.trusted(hashed_ns) => self.by_id(id),
            _ => Ok(None),
        }
    }

    /// The medium that a path was last seen to hold, whatever it holds now.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn by_path(&self, path: &Path) -> Result<Option<MediaRow>> {
        let id = self.read(|db| {
            db.prepare_cached("SELECT media_id FROM paths WHERE path = ?1")?
                .query_row([path.as_os_str().as_bytes()], |row| row.get::<_, i64>(0))
                .optional()
        })?;
        id.map_or(Ok(None), |id| self.by_id(id))
    }

    /// The medium in this folder of the library.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn by_folder(&self, folder: &str) -> Result<Option<MediaRow>> {
        self.read(|db| {
            db.prepare_cached(&format!("SELECT {MEDIA} FROM media WHERE folder = ?1"))?
                .query_row([folder], media)
                .optional()
        })
    }

    /// The files that hold a medium, by path.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn paths_of(&self, media: i64) -> Result<Vec<SeenPath>> {
        self.read(|db| {
            let mut all = db.prepare_cached(
                "SELECT path, dev, inode, bytes, mtime_ns, ctime_ns, hashed_ns FROM paths \
                 WHERE media_id = ?1 ORDER BY path",
            )?;
            let rows = all.query_map([media], |row| {
                Ok(SeenPath {
                    path: PathBuf::from(OsStr::from_bytes(row.get_ref(0)?.as_blob()?)),
                    stamp: FileStamp {
                        dev: row.get::<_, i64>(1)?.cast_unsigned(),
                        inode: row.get::<_, i64>(2)?.cast_unsigned(),
                        bytes: row.get::<_, i64>(3)?.cast_unsigned(),
                        mtime_ns: row.get(4)?,
                        ctime_ns: row.get(5)?,
                    },
                    hashed_ns: row.get(6)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Notes that a file holds a medium.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn see(&self, media: i64, seen: &SeenPath) -> Result<()> {
        self.write(|db| see(db, media, seen))
    }

    /// Removes a medium and all that is known of it; the files in its folder are the caller's.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn remove_media(&self, media: i64) -> Result<()> {
        self.write(|db| db.execute("DELETE FROM media WHERE id = ?1", [media]).map(drop))
    }
}

pub(super) fn see(db: &Connection, media: i64, seen: &SeenPath) -> rusqlite::Result<()> {
    let SeenPath { path, stamp, hashed_ns } = seen;
    db.prepare_cached("INSERT OR REPLACE INTO paths VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            path.as_os_str().as_bytes(),
            media,
            stamp.dev.cast_signed(),
            stamp.inode.cast_signed(),
            stamp.bytes.cast_signed(),
            stamp.mtime_ns,
            stamp.ctime_ns,
            hashed_ns
        ])?;
    Ok(())
}

/// The medium with this content, added as `name` in `folder` if it is new.
pub(super) fn add(
    db: &Connection,
    content: &ContentId,
    bytes: u64,
    name: &str,
    folder: &str,
) -> rusqlite::Result<MediaRow> {
    let find = || {
        db.prepare_cached(&format!("SELECT {MEDIA} FROM media WHERE content = ?1"))?
            .query_row([content.as_bytes()], media)
    };
    if let Some(row) = find().optional()? {
        return Ok(row);
    }
    db.prepare_cached(
        "INSERT INTO media (content, bytes, name, folder, added_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        content.as_bytes(),
        bytes.cast_signed(),
        name,
        folder,
        now_ns() / 1_000_000
    ])?;
    find()
}
