//! The catalogue: one SQLite file, `library.db`, that knows every medium of a library, what each
//! stage made of it and where that lies.
//!
//! Written ahead (WAL) and synced at every commit (`synchronous=FULL`), so that a result that was
//! told survives a loss of power. What a stage makes of a medium is written in one transaction.
//! No SQL leaves this module: rows go in and out as the structs of [`rows`].

mod export;
pub mod insight;
mod media;
mod place;
pub mod read;
pub mod rows;
mod runs;
mod schema;
mod scope;
mod tags;
pub mod taught;
mod text;
mod values;
pub mod winners;
mod write;

pub(crate) use export::cell as csv_cell;
pub use export::{ExportFormat, TABLES};
pub(crate) use media::now_ns;
pub use media::{FileStamp, MediaRow, SeenPath};
pub use place::refuse_network;
pub use runs::{ArtefactRow, RunRow, StageResult, StoredFile};
pub use scope::Scope;
pub use tags::Tag;
pub use text::{TextHit, TextHitKind, TextMatch, TextQuery};

use crate::error::{Error, ErrorKind, Result, Stage};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The catalogue's name in the library folder.
pub const CATALOGUE: &str = "library.db";

/// How long to wait for another process that writes.
const PATIENCE: Duration = Duration::from_secs(20);

/// An opened catalogue. Threads may share it; they take turns.
pub struct Catalogue {
    file: PathBuf,
    db: Mutex<Connection>,
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalogue").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Catalogue {
    /// Opens the catalogue in `folder`, which must be there; made if it is missing.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] on a network file system; [`ErrorKind::Unsupported`] if a newer rushes
    /// wrote it; [`ErrorKind::Storage`] if it is damaged, another program's, or cannot be written;
    /// [`ErrorKind::Resource`] if the disk is full or another process holds it for too long.
    pub fn open(folder: &Path) -> Result<Self> {
        refuse_network(folder)?;
        let file = folder.join(CATALOGUE);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(&file, flags).map_err(failed(&file))?;
        db.busy_timeout(PATIENCE).map_err(failed(&file))?;
        // Before the journal's mode is changed, which would write to another program's file.
        schema::migrate(&mut db, &file, schema::STEPS)?;
        let set =
            |name: &str, value: &str| db.pragma_update(None, name, value).map_err(failed(&file));
        set("journal_mode", "WAL")?;
        set("synchronous", "FULL")?;
        set("foreign_keys", "ON")?;
        // A library may come from elsewhere: its schema is not trusted with our functions.
        set("trusted_schema", "OFF")?;
        set("cell_size_check", "ON")?;
        db.set_prepared_statement_cache_capacity(64);
        Ok(Self { file, db: Mutex::new(db) })
    }

    /// Where it lies.
    pub fn file(&self) -> &Path {
        &self.file
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads, with failures told as those of this file.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        work(&self.db()).map_err(failed(&self.file))
    }

    /// Writes in one transaction: all of it or nothing.
    fn write<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.change(|db| work(db).map_err(failed(&self.file)))
    }

    /// As [`Catalogue::write`], for work that may fail in other ways too.
    fn change<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut db = self.db();
        let change = db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed(&self.file))?;
        let done = work(&change)?;
        change.commit().map_err(failed(&self.file))?;
        Ok(done)
    }

    /// Looks for damage within the file; gives what was found, nothing if it is sound. An index of
    /// the full text that is not in step is made anew.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn check(&self) -> Result<Vec<String>> {
        let mut found = self.read(|db| {
            let mut found = Vec::new();
            let mut rows = db.prepare("PRAGMA integrity_check(20)")?;
            for row in rows.query_map([], |row| row.get::<_, String>(0))? {
                found.extend(Some(row?).filter(|text| text != "ok"));
            }
            let mut rows = db.prepare("PRAGMA foreign_key_check")?;
            for row in rows.query_map([], |row| row.get::<_, String>(0))? {
                found.push(format!("a row of {} refers to nothing", row?));
            }
            Ok(found)
        })?;
        for index in ["segments_fts", "frame_texts_fts"] {
            let tell = |what: &str, rank: &str| {
                self.write(|db| {
                    let sql = match rank {
                        "" => format!("INSERT INTO {index} ({index}) VALUES ('{what}')"),
                        rank => {
                            format!("INSERT INTO {index} ({index}, rank) VALUES ('{what}', {rank})")
                        }
                    };
                    db.execute_batch(&sql)
                })
            };
            if tell("integrity-check", "1").is_err() {
                tell("rebuild", "")?;
                found.push(format!("{index} was out of step and was made anew"));
            }
        }
        Ok(found)
    }

    /// Gives back the room of what was removed; the number of bytes that the file shrank by.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn compact(&self) -> Result<u64> {
        let size = || std::fs::metadata(&self.file).map_or(0, |meta| meta.len());
        self.read(|db| db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"))?;
        let before = size();
        self.read(|db| db.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)"))?;
        Ok(before.saturating_sub(size()))
    }
}

/// A failure of SQLite on `file`.
fn failed(file: &Path) -> impl Fn(rusqlite::Error) -> Error + '_ {
    move |error| {
        let (kind, hint) = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => (ErrorKind::Resource, "free some space and run it again"),
            Some(ErrorCode::OutOfMemory) => {
                (ErrorKind::Resource, "close other programs, then retry")
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                (ErrorKind::Resource, "another program is writing to it; run it again")
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (
                ErrorKind::Storage,
                "it is damaged: put back a copy, or move it away and process the films again",
            ),
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                (ErrorKind::Storage, "check the permissions of the library folder")
            }
            _ => (ErrorKind::Storage, "`rushes library verify` looks for damage"),
        };
        let message = format!("catalogue: {error}");
        Error::new(kind, Stage::Write, message).input(file).hint(hint).source(error)
    }
}

/// A file that is no catalogue of ours.
fn refused(file: &Path, what: &'static str) -> Error {
    Error::new(ErrorKind::Storage, Stage::Write, what).input(file)
}

#[cfg(test)]
mod tests;
