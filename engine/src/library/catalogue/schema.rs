//! The catalogue's tables and how an older file gets them.
//!
//! `user_version` counts the steps of [`STEPS`] that a file has had. Before a step is made on a
//! file that holds something, the whole file is copied beside it.

use super::{failed, refused};
use crate::error::{Error, ErrorKind, Result, Stage};
use rusqlite::{Connection, TransactionBehavior};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Marks a file as ours, so that no other program's database is written to ("RUSH").
const APPLICATION: i32 = 0x5255_5348;

/// What each version adds to the one before. A step that was released is never changed.
pub(super) const STEPS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("schema-2.sql"),
    include_str!("schema-3.sql"),
    include_str!("schema-4.sql"),
    include_str!("schema-5.sql"),
    include_str!("schema-6.sql"),
    include_str!("schema-7.sql"),
];

/// Where the copy of a file of `version` goes before it is changed.
pub(super) fn backup_path(file: &Path, version: usize) -> PathBuf {
    let mut name = file.as_os_str().to_os_string();
    name.push(format!(".v{version}.backup"));
    PathBuf::from(name)
}

fn number(db: &Connection, file: &Path, pragma: &str) -> Result<i64> {
    db.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).map_err(failed(file))
}

/// Brings the tables in `file` up to the last of `steps`.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a file of a later version; [`ErrorKind::Storage`] for another
/// program's database, and where it cannot be written.
pub(super) fn migrate(db: &mut Connection, file: &Path, steps: &[&str]) -> Result<()> {
    let version = check(db, file, steps.len())?;
    if version == steps.len() {
        return Ok(());
    }
    if version > 0 {
        back_up(db, file, version)?;
    }
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate);
    let change = change.map_err(failed(file))?;
    // Another process may have been first.
    let version = check(&change, file, steps.len())?;
    for step in steps.iter().skip(version) {
        change.execute_batch(step).map_err(failed(file))?;
    }
    change.pragma_update(None, "user_version", steps.len() as i64).map_err(failed(file))?;
    change.pragma_update(None, "application_id", APPLICATION).map_err(failed(file))?;
    change.commit().map_err(failed(file))
}

/// The version of the file, if this build may touch it.
fn check(db: &Connection, file: &Path, known: usize) -> Result<usize> {
    let version = number(db, file, "user_version")?;
    let application = number(db, file, "application_id")?;
    let tables: i64 = db
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed(file))?;
    if tables > 0 && application != i64::from(APPLICATION) {
        return Err(
            refused(file, "is another program's database").hint("choose another library folder")
        );
    }
    match usize::try_from(version) {
        Ok(version) if version <= known => Ok(version),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            Stage::Process,
            format!("was written by a newer rushes (schema {version}, this one knows {known})"),
        )
        .input(file)
        .hint("use that version of rushes, or another library folder")),
    }
}

/// Copies the database, what lies in its log included.
fn back_up(db: &Connection, file: &Path, version: usize) -> Result<()> {
    let backup = backup_path(file, version);
    let mut part = backup.as_os_str().to_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let io = |e| Error::io(Stage::Write, &backup, e);
    match std::fs::remove_file(&part) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io(e)),
        _ => {}
    }
    let name = part.to_str().ok_or_else(|| {
        refused(file, "needs a copy before it is changed, and its path is not UTF-8")
            .hint("rename the folder")
    })?;
    db.execute("VACUUM INTO ?1", [name]).map_err(failed(file))?;
    File::open(&part).and_then(|copy| copy.sync_all()).map_err(io)?;
    std::fs::rename(&part, &backup).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(file: &Path) -> Connection {
        Connection::open(file).unwrap()
    }

    const OLD: &[&str] = &["CREATE TABLE a (x TEXT)"];
    const NEW: &[&str] = &["CREATE TABLE a (x TEXT)", "ALTER TABLE a ADD COLUMN y INTEGER"];

    #[test]
    fn an_older_file_is_copied_and_then_changed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("library.db");
        migrate(&mut open(&file), &file, OLD).unwrap();
        open(&file).execute("INSERT INTO a VALUES ('kept')", []).unwrap();
        migrate(&mut open(&file), &file, NEW).unwrap();
        let row = |file: &Path, sql: &str| -> String {
            open(file).query_row(sql, [], |row| row.get(0)).unwrap()
        };
        assert_eq!(row(&file, "SELECT x FROM a WHERE y IS NULL"), "kept");
        let backup = backup_path(&file, 1);
        assert_eq!(row(&backup, "SELECT x FROM a"), "kept");
        assert!(open(&backup).prepare("SELECT y FROM a").is_err());
        // The copy is itself a library of the older version.
        assert_eq!(number(&open(&backup), &backup, "user_version").unwrap(), 1);
        migrate(&mut open(&file), &file, NEW).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_library_of_version_1_keeps_its_frames_and_texts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("library.db");
        migrate(&mut open(&file), &file, &STEPS[..1]).unwrap();
        let old = "INSERT INTO media VALUES (1, zeroblob(32), 1, 'a', 'a', 1);
            INSERT INTO runs VALUES (1, 1, 'frames', 'done', zeroblob(32), '', 1, 1, '', '', NULL);
            INSERT INTO frames VALUES (1, 1, 1, NULL, 0, 5, 1, NULL, NULL, 5, 1, 64, 36, 'f.jpg');
            INSERT INTO frame_texts VALUES (1, 1, 1, 1, 'price list', 0.5, 0, 0, 1, 1);
            INSERT INTO transcripts VALUES (1, 1, 1, 'en', 0.5, 0, 'm', 'e', 1);
            INSERT INTO segments VALUES (1, 1, 1, 0, 0, 1, 1, 1, 'said', 'en', -0.5, 0.5, NULL)";
        open(&file).execute_batch(old).unwrap();
        migrate(&mut open(&file), &file, STEPS).unwrap();
        let db = open(&file);
        let count = |sql: &str| -> i64 { db.query_row(sql, [], |row| row.get(0)).unwrap() };
        assert_eq!(count("SELECT count(*) FROM frames WHERE pts = 5 AND from_ticks IS NULL"), 1);
        let spoken = "segments WHERE text = 'said' AND language_probability IS NULL";
        assert_eq!(count(&format!("SELECT count(*) FROM {spoken}")), 1);
        let found = "frame_texts_fts MATCH 'price' AND until_base IS NULL";
        let texts = "frame_texts t JOIN frame_texts_fts f ON f.rowid = t.id";
        assert_eq!(count(&format!("SELECT count(*) FROM {texts} WHERE {found}")), 1);
        db.execute("DELETE FROM media", []).unwrap();
        assert_eq!(count("SELECT count(*) FROM frame_texts_fts WHERE text MATCH 'price'"), 0);
        assert_eq!(number(&db, &file, "user_version").unwrap(), STEPS.len() as i64);
    }

    #[test]
    fn texts_of_version_2_are_found_by_single_characters_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("library.db");
        migrate(&mut open(&file), &file, &STEPS[..2]).unwrap();
        let old = "INSERT INTO media VALUES (1, zeroblob(32), 1, 'a', 'a', 1);
            INSERT INTO runs VALUES (1, 1, 'frames', 'done', zeroblob(32), '', 1, 1, '', '', NULL);
            INSERT INTO frames (id, run_id, media_id, n, time_ticks, time_base, pts, is_key, width, height)
                VALUES (1, 1, 1, 0, 5, 1, 5, 1, 64, 36);
            INSERT INTO frame_texts (run_id, media_id, frame_id, text, confidence, x, y, width, height)
                VALUES (1, 1, 1, '今天讨论机器学习', 0.5, 0, 0, 1, 1)";
        let db = open(&file);
        db.execute_batch(old).unwrap();
        let count = |db: &Connection| -> i64 {
            let sql =
                "SELECT count(*) FROM frame_texts_fts WHERE frame_texts_fts MATCH '\"机 器\"'";
            db.query_row(sql, [], |row| row.get(0)).unwrap()
        };
        assert_eq!(count(&db), 0);
        migrate(&mut open(&file), &file, STEPS).unwrap();
        assert_eq!(count(&db), 1);
        let whole =
            "INSERT INTO frame_texts_fts (frame_texts_fts, rank) VALUES ('integrity-check', 1)";
        db.execute(whole, []).unwrap();
        db.execute("DELETE FROM media", []).unwrap();
        assert_eq!(count(&db), 0);
        db.execute(whole, []).unwrap();
    }

    #[test]
    fn a_library_of_version_3_is_copied_and_can_be_tagged() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("library.db");
        migrate(&mut open(&file), &file, &STEPS[..3]).unwrap();
        let old = "INSERT INTO media VALUES (7, zeroblob(32), 1, 'a', 'a', 1)";
        open(&file).execute_batch(old).unwrap();
        migrate(&mut open(&file), &file, STEPS).unwrap();
        let db = open(&file);
        db.execute_batch("PRAGMA foreign_keys = ON; INSERT INTO tags VALUES (7, 'kept')").unwrap();
        let count = |db: &Connection, sql: &str| -> i64 {
            db.query_row(sql, [], |row| row.get(0)).unwrap()
        };
        assert_eq!(count(&db, "SELECT count(*) FROM tags JOIN media ON media_id = id"), 1);
        assert!(db.execute("INSERT INTO tags VALUES (8, 'nobody')", []).is_err());
        db.execute("DELETE FROM media", []).unwrap();
        assert_eq!(count(&db, "SELECT count(*) FROM tags"), 0);
        let backup = open(&backup_path(&file, 3));
        assert_eq!(count(&backup, "SELECT count(*) FROM media"), 1);
        assert!(backup.prepare("SELECT * FROM tags").is_err());
    }

    #[test]
    fn clips_of_version_3_stay_and_may_be_scored() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("library.db");
        migrate(&mut open(&file), &file, &STEPS[..3]).unwrap();
        let old = "INSERT INTO media VALUES (1, zeroblob(32), 1, 'a', 'a', 1);
            INSERT INTO runs VALUES (1, 1, 'x', 'done', zeroblob(32), '', 1, 1, '', '', NULL);
            INSERT INTO clips VALUES (1, 1, 1, 0, 5, 1, 5, 'old', 0.5)";
        open(&file).execute_batch(old).unwrap();
        migrate(&mut open(&file), &file, STEPS).unwrap();
        assert!(backup_path(&file, 3).is_file());
        let db = open(&file);
        let count = |sql: &str| -> i64 { db.query_row(sql, [], |row| row.get(0)).unwrap() };
        assert_eq!(count("SELECT count(*) FROM clips WHERE title = 'old' AND kind IS NULL"), 1);
        db.execute("INSERT INTO clip_scores VALUES (1, 'hook', 50, '[]')", []).unwrap();
        db.pragma_update(None, "foreign_keys", "ON").unwrap();
        db.execute("DELETE FROM media", []).unwrap();
        assert_eq!(count("SELECT count(*) FROM clip_scores"), 0);
    }

    #[test]
    fn a_failing_step_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("library.db");
        migrate(&mut open(&file), &file, OLD).unwrap();
        let bad = ["", "CREATE TABLE b (x TEXT); CREATE TABLE a (x TEXT)"];
        assert!(migrate(&mut open(&file), &file, &bad).is_err());
        assert_eq!(number(&open(&file), &file, "user_version").unwrap(), 1);
        assert!(open(&file).prepare("SELECT * FROM b").is_err());
    }

    #[test]
    fn newer_and_foreign_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("library.db");
        migrate(&mut open(&file), &file, NEW).unwrap();
        let before = std::fs::read(&file).unwrap();
        let error = migrate(&mut open(&file), &file, OLD).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("newer rushes"), "{error}");
        assert_eq!(std::fs::read(&file).unwrap(), before);

        let foreign = dir.path().join("foreign.db");
        open(&foreign).execute("CREATE TABLE diary (x)", []).unwrap();
        let error = migrate(&mut open(&foreign), &foreign, OLD).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage);
        let text = dir.path().join("text.db");
        std::fs::write(&text, "not a database, but long enough to be looked at".repeat(99))
            .unwrap();
        assert_eq!(migrate(&mut open(&text), &text, OLD).unwrap_err().kind(), ErrorKind::Storage);
    }
}
