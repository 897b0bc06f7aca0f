//! Tenants' shares: start-time fair queueing over what their jobs take of devices, kept in the file so
//! that it holds between workers and after they have ended.

use super::int;
use crate::jobs::{Cost, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

/// What a job is thought to take where nothing like it was done yet.
const UNKNOWN_MS: i64 = 1000;

/// Microseconds of devices over a weight.
fn virtual_time(ms: i64, weight: u32) -> i64 {
    ms.max(1).saturating_mul(1000) / i64::from(weight.max(1))
}

/// `tenant` is about to have jobs: if it had none, it begins where whoever was served last is. Who asked
/// for nothing has saved nothing.
pub(super) fn wake(db: &Connection, tenant: &str) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO shares SELECT ?1, clock FROM queue
         WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE tenant = ?1 AND state = 'ready')
           AND NOT EXISTS (SELECT 1 FROM jobs WHERE tenant = ?1 AND state = 'running')
         ON CONFLICT (tenant) DO UPDATE SET given = max(given, excluded.given)",
    )?
    .execute([tenant])
    .map(|_| ())
}

/// The tenants that have jobs waiting, those first that were given least.
pub(super) fn order(db: &Connection) -> rusqlite::Result<Vec<String>> {
    db.prepare_cached(
        "SELECT tenant FROM shares AS s
         WHERE EXISTS (SELECT 1 FROM jobs WHERE tenant = s.tenant AND state = 'ready')
         ORDER BY given, tenant",
    )?
    .query_map([], |row| row.get(0))?
    .collect()
}

/// `job` is claimed: its tenant is charged what its action took on average.
pub(super) fn charge(
    db: &Connection,
    job: i64,
    tenant: &str,
    action: &str,
    weight: u32,
) -> rusqlite::Result<()> {
    let usual: Option<f64> = db
        .prepare_cached(
            "SELECT avg(ms) FROM (SELECT cpu_ms + gpu_ms AS ms FROM efforts WHERE action = ?1
                                  ORDER BY id DESC LIMIT 32)",
        )?
        .query_row([action], |row| row.get(0))?;
    let charged = virtual_time(usual.map_or(UNKNOWN_MS, |ms| ms as i64), weight);
    db.prepare_cached("UPDATE jobs SET charged = ?2, weight = ?3 WHERE id = ?1")?
        .execute(params![job, charged, weight])?;
    db.prepare_cached(
        "UPDATE queue SET clock = max(clock, coalesce((SELECT given FROM shares WHERE tenant = ?1), 0))",
    )?
    .execute([tenant])?;
    db.prepare_cached(
        "INSERT INTO shares VALUES (?1, ?2)
         ON CONFLICT (tenant) DO UPDATE SET given = given + excluded.given",
    )?
    .execute(params![tenant, charged])
    .map(|_| ())
}

/// The attempt at `job` is over: its tenant is charged what it really took, which is nothing for an
/// attempt that does not count.
pub(super) fn settle(db: &Connection, job: i64, cost: &Cost) -> rusqlite::Result<()> {
    let charged: Option<(i64, u32)> = db
        .prepare_cached("SELECT charged, weight FROM jobs WHERE id = ?1")?
        .query_row([job], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((charged, weight)) = charged else { return Ok(()) };
    let took = int(cost.cpu_ms.saturating_add(cost.gpu_ms));
    let real = if took == 0 { 0 } else { virtual_time(took, weight) };
    db.prepare_cached(
        "UPDATE shares SET given = max(0, given + ?2) WHERE tenant = (SELECT tenant FROM jobs WHERE id = ?1)",
    )?
    .execute([job, real.saturating_sub(charged)])?;
    db.prepare_cached("UPDATE jobs SET charged = 0 WHERE id = ?1")?.execute([job]).map(|_| ())
}

/// Milliseconds until `more` jobs are likely to be done, by the last hour; `None` if nothing was.
pub(super) fn wait_for(
    db: &Connection,
    more: u64,
    now: UnixMillis,
) -> rusqlite::Result<Option<u64>> {
    const HOUR: i64 = 3_600_000;
    let (done, first): (i64, Option<i64>) = db.query_row(
        "SELECT count(*), min(at) FROM efforts WHERE at >= ?1",
        [now.saturating_sub(HOUR)],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let span = now.saturating_sub(first.unwrap_or(now)).clamp(1000, HOUR).unsigned_abs();
    Ok((done > 0).then(|| span.saturating_mul(more) / done.unsigned_abs().max(1)))
}
