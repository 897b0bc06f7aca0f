//! What stages made of media: results with their keys, and the files that belong to them.

use super::media::{FileStamp, MediaRow, SeenPath};
use super::rows::Rows;
use super::{Catalogue, failed, media, write};
use crate::error::Result;
use crate::library::ContentId;
use crate::library::key::{KeyParts, StageKey};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a stage gives to be stored.
#[derive(Clone, Debug)]
pub struct StageResult {
    /// What decided it.
    pub parts: KeyParts,
    /// When the work began, milliseconds since 1970.
    pub started_ms: i64,
    /// How long it took, the reading that it shares with other stages included.
    pub wall: Duration,
    /// Why there is less than one might expect, e.g. `no sound`.
    pub note: Option<String>,
    /// Its result in short, for reports.
    pub summary: Value,
    /// Its rows.
    pub rows: Rows,
    /// Whether an earlier result under the same key goes. Otherwise its rows stay, and with them
    /// what other stages made of them, and only its files are renewed.
    pub replace: bool,
}

/// A file in the library that belongs to a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// Its path in the library folder, parts joined by `/`.
    pub path: String,
    /// BLAKE3 of its bytes.
    pub digest: ContentId,
    /// What the file system says of it.
    pub stamp: FileStamp,
}

/// A result, or a failure, as it is stored.
#[derive(Clone, Debug)]
pub struct RunRow {
    /// Its number.
    pub id: i64,
    /// Whether there is a result; otherwise `note` tells why it failed.
    pub done: bool,
    /// Its key.
    pub key: StageKey,
    /// What decided it.
    pub parts: KeyParts,
    /// When the work began, milliseconds since 1970.
    pub started_ms: i64,
    /// How long it took.
    pub wall: Duration,
    /// As [`StageResult::note`].
    pub note: Option<String>,
    /// As [`StageResult::summary`].
    pub summary: Value,
    /// Which of its files were found damaged and could not be restored.
    pub damage: Option<String>,
}

/// A file of a result, as it was when it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtefactRow {
    /// Its number.
    pub id: i64,
    /// The result that it belongs to.
    pub run: i64,
    /// Its path in the library folder, parts joined by `/`.
    pub path: String,
    /// BLAKE3 of its bytes.
    pub digest: ContentId,
    /// Its size.
    pub bytes: u64,
    inode: u64,
    mtime_ns: i64,
    ctime_ns: i64,
}

impl ArtefactRow {
    /// Whether the file was not touched since it was stored. The device is left out: it changes
    /// when a disk is plugged in elsewhere.
    pub fn is_untouched(&self, stamp: &FileStamp) -> bool {
        (self.bytes, self.inode, self.mtime_ns, self.ctime_ns)
            == (stamp.bytes, stamp.inode, stamp.mtime_ns, stamp.ctime_ns)
    }
}

const RUN: &str = "id, outcome, key, parts, started_ms, wall_us, note, summary, damage";

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, at: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(at)?.as_str()?;
    serde_json::from_str(text).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(e))
    })
}

fn run(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        id: row.get(0)?,
        done: row.get_ref(1)?.as_str()? == "done",
        key: StageKey(super::values::digest(row, 2)?),
        parts: json(row, 3)?,
        started_ms: row.get(4)?,
        wall: Duration::from_micros(row.get::<_, i64>(5)?.cast_unsigned()),
        note: row.get(6)?,
        summary: json(row, 7).unwrap_or(Value::Null),
        damage: row.get(8)?,
    })
}

const ARTEFACT: &str = "id, run_id, path, digest, bytes, inode, mtime_ns, ctime_ns";

fn artefact(row: &Row<'_>) -> rusqlite::Result<ArtefactRow> {
    Ok(ArtefactRow {
        id: row.get(0)?,
        run: row.get(1)?,
        path: row.get(2)?,
        digest: ContentId::from_bytes(super::values::digest(row, 3)?),
        bytes: row.get::<_, i64>(4)?.cast_unsigned(),
        inode: row.get::<_, i64>(5)?.cast_unsigned(),
        mtime_ns: row.get(6)?,
        ctime_ns: row.get(7)?,
    })
}

/// What a store of results changed, beside the rows.
#[derive(Debug)]
pub struct Changed {
    /// The medium.
    pub media: MediaRow,
    /// Files of replaced results that belong to nothing any more.
    pub orphans: Vec<String>,
}

impl Catalogue {
    /// The results of a medium and its last failures, in the order they were stored.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn runs_of(&self, media: i64) -> Result<Vec<RunRow>> {
        self.read(|db| {
            let sql = format!("SELECT {RUN} FROM runs WHERE media_id = ?1 ORDER BY id");
            let mut all = db.prepare_cached(&sql)?;
            all.query_map([media], run)?.collect()
        })
    }

    /// The files of a medium's results.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn artefacts_of(&self, media: i64) -> Result<Vec<ArtefactRow>> {
        self.read(|db| {
            let sql = format!("SELECT {ARTEFACT} FROM artefacts WHERE media_id = ?1 ORDER BY path");
            let mut all = db.prepare_cached(&sql)?;
            all.query_map([media], artefact)?.collect()
        })
    }

    /// All files with these bytes, wherever they belong.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn artefacts_with(&self, digest: &ContentId) -> Result<Vec<ArtefactRow>> {
        self.read(|db| {
            let sql = format!("SELECT {ARTEFACT} FROM artefacts WHERE digest = ?1 ORDER BY id");
            let mut all = db.prepare_cached(&sql)?;
            all.query_map([digest.as_bytes()], artefact)?.collect()
        })
    }

    /// Notes what the file system says of a file whose bytes were found to be right.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn touch_artefacts(&self, found: &[(i64, FileStamp)]) -> Result<()> {
        if found.is_empty() {
            return Ok(());
        }
        self.write(|db| {
            let mut update = db.prepare_cached(
                "UPDATE artefacts SET inode = ?2, mtime_ns = ?3, ctime_ns = ?4 WHERE id = ?1",
            )?;
            found.iter().try_for_each(|(id, stamp)| {
                let inode = stamp.inode.cast_signed();
                update.execute(params![id, inode, stamp.mtime_ns, stamp.ctime_ns]).map(drop)
            })
        })
    }

    /// Notes that a result's files are damaged, so that its stage runs again; `None` takes it back.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn mark_damage(&self, run: i64, damage: Option<&str>) -> Result<()> {
        self.write(|db| {
            db.execute("UPDATE runs SET damage = ?2 WHERE id = ?1", params![run, damage]).map(drop)
        })
    }

    /// Stores results of stages on one medium, all or none. `publish` is told which files belong to
    /// the medium so far; it puts those of each result in their place, while no other process can
    /// store, and gives what lies there then.
    ///
    /// # Errors
    /// As [`Catalogue::open`], and those of `publish`.
    pub fn store(
        &self,
        content: &ContentId,
        name: &str,
        folder: &str,
        seen: Option<&SeenPath>,
        results: &[StageResult],
        publish: impl FnOnce(&MediaRow, &BTreeMap<String, ContentId>) -> Result<Vec<Vec<StoredFile>>>,
    ) -> Result<Changed> {
        self.change(|db| {
            let sql = |e| failed(&self.file)(e);
            let bytes = seen.map_or(0, |seen| seen.stamp.bytes);
            let row = media::add(db, content, bytes, name, folder).map_err(sql)?;
            if let Some(seen) = seen {
                media::see(db, row.id, seen).map_err(sql)?;
            }
            let before = paths(db, row.id).map_err(sql)?;
            let files = publish(&row, &before)?;
            for (result, files) in results.iter().zip(&files) {
                store(db, row.id, result, files).map_err(sql)?;
            }
            let after = paths(db, row.id).map_err(sql)?;
            let orphans = before.into_keys().filter(|path| !after.contains_key(path)).collect();
            Ok(Changed { media: row, orphans })
        })
    }

    /// Notes that a stage failed; an earlier result stays.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn store_failure(&self, media: i64, parts: &KeyParts, why: &str) -> Result<()> {
        self.write(|db| {
            db.execute(
                "DELETE FROM runs WHERE media_id = ?1 AND stage = ?2 AND outcome = 'failed'",
                params![media, parts.stage],
            )?;
            let now = media::now_ns() / 1_000_000;
            insert(db, media, "failed", parts, now, Duration::ZERO, Some(why), &Value::Null)
                .map(drop)
        })
    }
}

fn paths(db: &Connection, media: i64) -> rusqlite::Result<BTreeMap<String, ContentId>> {
    let mut all = db.prepare_cached("SELECT path, digest FROM artefacts WHERE media_id = ?1")?;
    let rows = all.query_map([media], |row| {
        Ok((row.get(0)?, ContentId::from_bytes(super::values::digest(row, 1)?)))
    })?;
    rows.collect()
}

#[allow(clippy::too_many_arguments)]
fn insert(
    db: &Connection,
    media: i64,
    outcome: &str,
    parts: &KeyParts,
    started_ms: i64,
    wall: Duration,
    note: Option<&str>,
    summary: &Value,
) -> rusqlite::Result<i64> {
    let wall = i64::try_from(wall.as_micros()).unwrap_or(i64::MAX);
    let text = serde_json::to_string(parts).unwrap_or_default();
    db.prepare_cached("INSERT INTO runs VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NULL)")?
        .insert(params![
            media,
            parts.stage,
            outcome,
            parts.key().0,
            text,
            started_ms,
            wall,
            note,
            summary.to_string()
        ])
}

fn store(
    db: &Connection,
    media: i64,
    result: &StageResult,
    files: &[StoredFile],
) -> rusqlite::Result<()> {
    let stage = &result.parts.stage;
    let old: Option<(i64, [u8; 32])> = db
        .prepare_cached(
            "SELECT id, key FROM runs WHERE media_id = ?1 AND stage = ?2 AND outcome = 'done'",
        )?
        .query_row(params![media, stage], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let same = old.filter(|(_, key)| *key == result.parts.key().0 && !result.replace);
    let run = match same {
        Some((run, _)) => {
            db.prepare_cached("DELETE FROM artefacts WHERE run_id = ?1")?.execute([run])?;
            db.prepare_cached("UPDATE runs SET damage = NULL WHERE id = ?1")?.execute([run])?;
            db.prepare_cached(
                "DELETE FROM runs WHERE media_id = ?1 AND stage = ?2 AND outcome = 'failed'",
            )?
            .execute(params![media, stage])?;
            run
        }
        None => {
            if let Some((run, _)) = old {
                remove_with_dependents(db, run)?;
            }
            db.prepare_cached("DELETE FROM runs WHERE media_id = ?1 AND stage = ?2")?
                .execute(params![media, stage])?;
            let run = insert(
                db,
                media,
                "done",
                &result.parts,
                result.started_ms,
                result.wall,
                result.note.as_deref(),
                &result.summary,
            )?;
            let mut input = db.prepare_cached(
                "INSERT INTO run_inputs SELECT ?1, id FROM runs \
                 WHERE media_id = ?2 AND stage = ?3 AND outcome = 'done'",
            )?;
            for stage in result.parts.inputs.keys() {
                input.execute(params![run, media, stage])?;
            }
            write::write(db, media, run, &result.rows)?;
            run
        }
    };
    // A path has one owner: where two stages ever shared a name, the last one has it.
    let mut insert = db.prepare_cached(
        "INSERT OR REPLACE INTO artefacts VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    files.iter().try_for_each(|file| {
        let stamp = &file.stamp;
        insert.execute(params![
            run,
            media,
            file.path,
            file.digest.as_bytes(),
            stamp.bytes.cast_signed(),
            stamp.inode.cast_signed(),
            stamp.mtime_ns,
            stamp.ctime_ns
        ])?;
        Ok(())
    })
}

/// Removes a result and, before it, whatever was made from it.
fn remove_with_dependents(db: &Connection, run: i64) -> rusqlite::Result<()> {
    db.prepare_cached(
        "WITH RECURSIVE gone (id) AS (
             SELECT ?1 UNION SELECT run_id FROM run_inputs JOIN gone ON input_id = gone.id
         ) DELETE FROM runs WHERE id IN (SELECT id FROM gone)",
    )?
    .execute([run])?;
    Ok(())
}
