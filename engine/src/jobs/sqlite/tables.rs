//! The tables: made, recognised, brought up to date.

use super::failed;
use crate::error::{Error, ErrorKind, Result, Stage};
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

/// Marks a file as ours ("RUSJ").
const APPLICATION: i32 = 0x5255_534A;
/// What leads from each version of the tables to the next; the first makes them.
const STEPS: [&str; 3] =
    [include_str!("schema_1.sql"), include_str!("schema_2.sql"), include_str!("schema_3.sql")];

/// The version that the last step leads to.
const SCHEMA: i64 = STEPS.len() as i64;

/// Makes the tables, or brings those of an earlier version up to date: all or nothing.
pub(super) fn make(db: &mut Connection, file: &Path) -> Result<()> {
    if version(db, file)? == STEPS.len() {
        return Ok(());
    }
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate);
    let change = change.map_err(failed(file))?;
    // Another process may have been first.
    for step in &STEPS[version(&change, file)?..] {
        change.execute_batch(step).map_err(failed(file))?;
    }
    change.pragma_update(None, "user_version", SCHEMA).map_err(failed(file))?;
    change.pragma_update(None, "application_id", APPLICATION).map_err(failed(file))?;
    change.commit().map_err(failed(file))
}

/// The version of the tables; 0 for an empty file.
fn version(db: &Connection, file: &Path) -> Result<usize> {
    let number = |what: &str| -> Result<i64> {
        db.query_row(what, [], |row| row.get(0)).map_err(failed(file))
    };
    let wrong = |kind, what| {
        Err(Error::new(kind, Stage::Process, what).input(file).hint("choose another --queue"))
    };
    if number("SELECT count(*) FROM sqlite_schema")? == 0 {
        return Ok(0);
    }
    if number("PRAGMA application_id")? != i64::from(APPLICATION) {
        return wrong(ErrorKind::Storage, "is another program's database");
    }
    match usize::try_from(number("PRAGMA user_version")?) {
        Ok(version @ 1..) if version <= STEPS.len() => Ok(version),
        _ => wrong(ErrorKind::Unsupported, "was written by a newer rushes"),
    }
}
