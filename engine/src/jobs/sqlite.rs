//! The queue as one SQLite file. Each operation is one transaction that takes the write lock at once,
//! so that two workers can never read the same job as free.

mod effort;
mod finish;
mod rows;
mod shares;
mod submit;
mod tables;

use super::{
    Account, Backoff, By, Can, Claim, Cost, Effort, Finish, Held, JobRow, JobState, LogLine,
    MOST_LOSSES, NewJob, Queue, Submitted, Token, UnixMillis, Which,
};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::catalogue::refuse_network;
use rows::{COLUMNS, condition, row};
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior, params,
    params_from_iter,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The queue's usual name.
pub const QUEUE: &str = "jobs.db";

/// How long to wait for another process that writes.
const PATIENCE: Duration = Duration::from_secs(20);
/// A claim lasts at most so long without a word.
const MOST_LEASE: Duration = Duration::from_secs(3600);
/// Jobs that may wait.
const MOST_WAITING: u64 = 1_000_000;
/// Waiting so long raises a job by one priority.
const AGEING: i64 = 600_000;

/// A queue in a file. Threads may share it; processes open it each.
pub struct SqliteQueue {
    file: PathBuf,
    db: Mutex<Connection>,
    backoff: Backoff,
}

impl std::fmt::Debug for SqliteQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteQueue").field("file", &self.file).finish_non_exhaustive()
    }
}

impl SqliteQueue {
    /// Opens the queue in `file`, made if it is missing; its folder must be there.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] on a network file system; [`ErrorKind::Unsupported`] if a newer rushes
    /// wrote it; [`ErrorKind::Storage`] if it is damaged, another program's, or cannot be written;
    /// [`ErrorKind::Resource`] if the disk is full or another process holds it for too long.
    pub fn open(file: &Path, backoff: Backoff) -> Result<Self> {
        let folder = file.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(".".as_ref());
        refuse_network(folder)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(file, flags).map_err(failed(file))?;
        db.busy_timeout(PATIENCE).map_err(failed(file))?;
        // Before the journal's mode is changed, which would write to another program's file.
        tables::make(&mut db, file)?;
        let set =
            |name: &str, value: &str| db.pragma_update(None, name, value).map_err(failed(file));
        set("journal_mode", "WAL")?;
        set("synchronous", "FULL")?;
        set("foreign_keys", "ON")?;
        set("trusted_schema", "OFF")?;
        set("cell_size_check", "ON")?;
        db.set_prepared_statement_cache_capacity(64);
        Ok(Self { file: file.to_path_buf(), db: Mutex::new(db), backoff })
    }

    /// Waits so long for other processes that write, instead of twenty seconds.
    ///
    /// # Errors
    /// Storage.
    pub fn patience(self, patience: Duration) -> Result<Self> {
        self.db().busy_timeout(patience).map_err(failed(&self.file))?;
        Ok(self)
    }

    /// Where it lies.
    pub fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        work(&self.db()).map_err(failed(&self.file))
    }

    fn write<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let mut db = self.db();
        let change = db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed(&self.file))?;
        let done = work(&change).map_err(failed(&self.file))?;
        change.commit().map_err(failed(&self.file))?;
        Ok(done)
    }
}

impl Queue for SqliteQueue {
    fn submit(&self, jobs: &[NewJob], now: UnixMillis) -> Result<Vec<Submitted>> {
        self.take_on(jobs, now)
    }

    fn room(&self) -> Result<u64> {
        let waiting: i64 = self.read(|db| {
            db.query_row("SELECT count(*) FROM jobs WHERE state = 'ready'", [], |row| row.get(0))
        })?;
        Ok(MOST_WAITING.saturating_sub(waiting.unsigned_abs()))
    }

    fn claim_some(
        &self,
        worker: &str,
        can: &Can,
        now: UnixMillis,
        lease: Duration,
        most: usize,
    ) -> Result<Vec<Claim>> {
        let find = format!(
            "SELECT id FROM jobs AS j
             WHERE state = 'ready' AND tenant = ?4 AND ready_at <= ?5 AND {}
               AND (?3 IS NULL OR batch = ?3)
               AND batch NOT IN (SELECT value FROM json_each(?6))
               AND NOT EXISTS (SELECT 1 FROM needs JOIN jobs AS n ON n.id = needs.needs
                               WHERE needs.job = j.id AND n.state <> 'done')
             ORDER BY rank, bytes DESC, id LIMIT 1",
            takes(can, "j")
        );
        let batches = serde_json::Value::from(can.without_batches.clone()).to_string();
        let memory = can.memory.map(int);
        self.write(|db| {
            if db.query_row("SELECT paused FROM queue", [], |row| row.get(0))? {
                return Ok(Vec::new());
            }
            let mut claims = Vec::new();
            'more: while claims.len() < most {
                for tenant in shares::order(db)? {
                    if can.without_tenants.contains(&tenant) {
                        continue;
                    }
                    let values = params![memory, can.gpu, can.batch, tenant, now, batches];
                    let mut find = db.prepare_cached(&find)?;
                    let found: Option<i64> = find.query_row(values, |row| row.get(0)).optional()?;
                    if let Some(id) = found {
                        let claim = claim(db, id, worker, now, lease)?;
                        let action = claim.job.message.action.name();
                        shares::charge(db, id, &tenant, action, can.weight(&tenant))?;
                        claims.push(claim);
                        // Whoever was given least may be another now.
                        continue 'more;
                    }
                }
                break;
            }
            Ok(claims)
        })
    }

    fn beat_all(&self, tokens: &[Token], now: UnixMillis, lease: Duration) -> Result<Vec<Held>> {
        self.write(|db| {
            let mut beat = db.prepare_cached(
                "UPDATE jobs SET lease_until = ?3 WHERE id = ?1 AND fence = ?2
                   AND state = 'running' RETURNING cancel",
            )?;
            let held = tokens.iter().map(|token| {
                let values = params![token.id, token.fence, until(now, lease)];
                let cancel = beat.query_row(values, |row| row.get(0)).optional()?;
                Ok(match cancel {
                    Some(true) => Held::CancelAsked,
                    Some(false) => Held::Yes,
                    None => Held::Lost,
                })
            });
            held.collect()
        })
    }

    fn note(&self, token: Token, text: &str, died: bool, now: UnixMillis) -> Result<Option<u32>> {
        self.note_of(token, text, died, now)
    }

    fn checkpoint(&self, token: Token, data: &[u8]) -> Result<bool> {
        let changed = self.write(|db| {
            db.execute(
                "UPDATE jobs SET checkpoint = ?3 WHERE id = ?1 AND fence = ?2 AND state = 'running'",
                params![token.id, token.fence, data],
            )
        })?;
        Ok(changed == 1)
    }

    fn finish(
        &self,
        token: Token,
        how: &Finish,
        account: &Account,
        now: UnixMillis,
    ) -> Result<bool> {
        self.end(token, how, account, now)
    }

    fn tidy(&self, now: UnixMillis) -> Result<u64> {
        self.write(|db| {
            // Nothing waits longer than it may: where it seems so, the clock was set back.
            let most = until(now, self.backoff.most);
            db.prepare_cached(
                "UPDATE jobs SET ready_at = ?1 WHERE state = 'ready' AND ready_at > ?1",
            )?
            .execute([most])?;
            db.prepare_cached(
                "UPDATE jobs SET lease_until = ?1 WHERE state = 'running' AND lease_until > ?1",
            )?
            .execute([until(now, MOST_LEASE)])?;
            let mut silent = db.prepare_cached(
                "SELECT id FROM jobs WHERE state = 'running' AND lease_until < ?1",
            )?;
            let silent: Vec<i64> =
                silent.query_map([now], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            for id in &silent {
                take_away(db, *id, now, "its worker fell silent")?;
            }
            // A chain of needs falls one link at a time.
            let mut fallen = 0;
            loop {
                let fell = db.execute(
                    "UPDATE jobs SET state = 'failed', finished_at = ?1, error_kind = 'needs',
                       error = 'a job that it needs was not done'
                     WHERE state = 'ready' AND id IN (
                       SELECT needs.job FROM needs JOIN jobs AS n ON n.id = needs.needs
                       WHERE n.state IN ('failed', 'dead', 'cancelled'))",
                    [now],
                )?;
                fallen += fell;
                if fell == 0 {
                    return Ok((silent.len() + fallen) as u64);
                }
            }
        })
    }

    fn bury(&self, worker: &str, now: UnixMillis) -> Result<u64> {
        self.write(|db| {
            let mut had =
                db.prepare_cached("SELECT id FROM jobs WHERE state = 'running' AND worker = ?1")?;
            let had: Vec<i64> =
                had.query_map([worker], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            for id in &had {
                take_away(db, *id, now, "its worker is dead")?;
            }
            Ok(had.len() as u64)
        })
    }

    fn list(&self, which: &Which) -> Result<Vec<JobRow>> {
        let (condition, values) = condition(which);
        let sql = format!("SELECT {COLUMNS} FROM jobs WHERE {condition} ORDER BY id");
        self.read(|db| db.prepare(&sql)?.query_map(params_from_iter(values), row)?.collect())
    }

    fn count(&self, batch: Option<&str>) -> Result<BTreeMap<JobState, u64>> {
        self.read(|db| {
            let mut count = db.prepare_cached(
                "SELECT state, count(*) FROM jobs WHERE ?1 IS NULL OR batch = ?1 GROUP BY state",
            )?;
            let rows = count.query_map([batch], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
            })?;
            let mut counted = BTreeMap::new();
            for found in rows {
                let (state, count) = found?;
                counted.extend(JobState::of(&state).map(|state| (state, count)));
            }
            Ok(counted)
        })
    }

    fn left(&self, can: &Can) -> Result<u64> {
        let count = format!(
            "SELECT count(*) FROM jobs AS j
             WHERE state IN ('ready', 'running') AND {} AND (?3 IS NULL OR batch = ?3)
               AND NOT EXISTS (SELECT 1 FROM needs JOIN jobs AS n ON n.id = needs.needs
                               WHERE needs.job = j.id AND n.state = 'ready' AND NOT ({}))",
            takes(can, "j"),
            takes(can, "n")
        );
        let left: i64 = self.read(|db| {
            let values = params![can.memory.map(int), can.gpu, can.batch];
            db.prepare_cached(&count)?.query_row(values, |row| row.get(0))
        })?;
        Ok(left.unsigned_abs())
    }

    fn efforts(&self, by: By, batch: Option<&str>, since: UnixMillis) -> Result<Vec<Effort>> {
        self.sum(by, batch, since)
    }

    fn waiting(&self) -> Result<BTreeMap<String, u64>> {
        self.waiting_by_tenant()
    }

    fn logs(&self, id: i64) -> Result<Vec<LogLine>> {
        self.read(|db| {
            db.prepare_cached("SELECT at, text, said FROM logs WHERE job = ?1 ORDER BY id")?
                .query_map([id], |row| {
                    Ok(LogLine { at: row.get(0)?, text: row.get(1)?, said: row.get(2)? })
                })?
                .collect()
        })
    }

    fn cancel(&self, which: &Which, now: UnixMillis) -> Result<u64> {
        let (condition, values) = condition(which);
        self.write(|db| {
            let mut values = values;
            let asked =
                format!("UPDATE jobs SET cancel = 1 WHERE state = 'running' AND {condition}");
            let asked = db.prepare(&asked)?.execute(params_from_iter(&values))?;
            values.push(now.into());
            let at_once = format!(
                "UPDATE jobs SET state = 'cancelled', finished_at = ?{} WHERE state = 'ready'
                 AND {condition}",
                values.len()
            );
            let at_once = db.prepare(&at_once)?.execute(params_from_iter(&values))?;
            Ok((asked + at_once) as u64)
        })
    }

    fn retry(&self, which: &Which, now: UnixMillis) -> Result<u64> {
        let (condition, mut values) = condition(which);
        values.push(now.into());
        let sql = format!(
            "UPDATE jobs SET state = 'ready', attempts = 0, kills = 0, losses = 0, ready_at = ?{},
               finished_at = NULL, error_kind = NULL, error = NULL, cancel = 0
             WHERE state IN ('failed', 'dead', 'cancelled') AND {condition}",
            values.len()
        );
        let tenants = format!(
            "SELECT DISTINCT tenant FROM jobs WHERE state IN ('failed', 'dead', 'cancelled')
             AND {condition}"
        );
        self.write(|db| {
            let named = &values[..values.len() - 1];
            let mut tenants = db.prepare(&tenants)?;
            let tenants = tenants.query_map(params_from_iter(named), |row| row.get(0))?;
            for tenant in tenants.collect::<rusqlite::Result<Vec<String>>>()? {
                shares::wake(db, &tenant)?;
            }
            Ok(db.prepare(&sql)?.execute(params_from_iter(&values))? as u64)
        })
    }

    fn clear(&self, which: &Which) -> Result<u64> {
        let (condition, values) = condition(which);
        let sql = format!(
            "DELETE FROM jobs WHERE state IN ('done', 'failed', 'dead', 'cancelled') AND {condition}
               AND NOT EXISTS (SELECT 1 FROM needs JOIN jobs AS w ON w.id = needs.job
                               WHERE needs.needs = jobs.id AND w.state IN ('ready', 'running'))"
        );
        self.write(|db| Ok(db.prepare(&sql)?.execute(params_from_iter(values))? as u64))
    }

    fn pause(&self, paused: bool) -> Result<()> {
        self.write(|db| db.execute("UPDATE queue SET paused = ?1", [paused]))?;
        Ok(())
    }

    fn is_paused(&self) -> Result<bool> {
        self.read(|db| db.query_row("SELECT paused FROM queue", [], |row| row.get(0)))
    }
}

/// The condition that a worker can do the job in `table`; ?1 is its memory, ?2 whether it has a GPU.
fn takes(can: &Can, table: &str) -> String {
    let actions = can.actions.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>();
    format!(
        "{table}.action IN ({}) AND (?1 IS NULL OR {table}.memory <= ?1) AND (?2 OR NOT {table}.gpu)",
        actions.join(", ")
    )
}

/// Gives a job to `worker`.
fn claim(
    db: &Connection,
    id: i64,
    worker: &str,
    now: UnixMillis,
    lease: Duration,
) -> rusqlite::Result<Claim> {
    let fence: i64 = db
        .prepare_cached("UPDATE queue SET fence = fence + 1 RETURNING fence")?
        .query_row([], |row| row.get(0))?;
    db.prepare_cached(
        "UPDATE jobs SET state = 'running', worker = ?2, fence = ?3, lease_until = ?4,
           attempts = attempts + 1, started_at = ?5, error_kind = NULL, error = NULL
         WHERE id = ?1",
    )?
    .execute(params![id, worker, fence, until(now, lease), now])?;
    log(db, id, now, &format!("begun by {worker}"))?;
    let sql = format!("SELECT {COLUMNS}, checkpoint FROM jobs WHERE id = ?1");
    let (job, checkpoint) = db
        .prepare_cached(&sql)?
        .query_row([id], |found| Ok((row(found)?, found.get("checkpoint")?)))?;
    Ok(Claim { token: Token { id, fence }, job, checkpoint })
}

/// Takes a running job from a worker that is no more.
fn take_away(db: &Connection, id: i64, now: UnixMillis, why: &str) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE jobs SET worker = NULL, lease_until = NULL, losses = losses + 1,
           attempts = attempts - 1, error_kind = 'worker', error = ?2, ready_at = ?3,
           state = CASE WHEN cancel THEN 'cancelled' WHEN losses + 1 >= ?4 THEN 'dead'
                        ELSE 'ready' END,
           finished_at = CASE WHEN cancel OR losses + 1 >= ?4 THEN ?3 END
         WHERE id = ?1",
    )?
    .execute(params![id, why, now, MOST_LOSSES])?;
    // What it took there nobody knows.
    shares::settle(db, id, &Cost::default())?;
    log(db, id, now, why)
}

fn log(db: &Connection, job: i64, at: UnixMillis, text: &str) -> rusqlite::Result<()> {
    let mut add = db.prepare_cached("INSERT INTO logs (job, at, text) VALUES (?1, ?2, ?3)")?;
    add.execute(params![job, at, text]).map(|_| ())
}

fn until(now: UnixMillis, lease: Duration) -> UnixMillis {
    let lease = lease.min(MOST_LEASE);
    now.saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX))
}

fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Whether the disk that `file` lies on has less room than a few changes take.
fn is_full(file: &Path) -> bool {
    const FEW: u64 = 256 << 10;
    let folder = file.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(".".as_ref());
    rustix::fs::statvfs(folder).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < FEW)
}

/// A failure of SQLite on `file`.
fn failed(file: &Path) -> impl Fn(rusqlite::Error) -> Error + '_ {
    move |error| {
        let (kind, hint) = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => (ErrorKind::Resource, "free some space and run it again"),
            // Memory shared through a file, for one, says no more than that it could not grow.
            Some(ErrorCode::SystemIoFailure) if is_full(file) => {
                (ErrorKind::Resource, "free some space and run it again")
            }
            Some(ErrorCode::OutOfMemory) => {
                (ErrorKind::Resource, "close other programs, then retry")
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                (ErrorKind::Resource, "another program is writing to it; run it again")
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                (ErrorKind::Storage, "it is damaged: move it away and submit the jobs again")
            }
            _ => (ErrorKind::Storage, "check the folder and its permissions"),
        };
        let message = format!("queue: {error}");
        Error::new(kind, Stage::Process, message).input(file).hint(hint).source(error)
    }
}
