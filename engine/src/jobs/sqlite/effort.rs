//! Effort, kept and added up.

use super::{SqliteQueue, int};
use crate::error::Result;
use crate::jobs::{By, Cost, Effort, UnixMillis};
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// Keeps what an attempt at `job` cost.
pub(super) fn keep(db: &Connection, job: i64, cost: &Cost, at: UnixMillis) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO efforts (at, job, batch, tenant, action, wall_ms, cpu_ms, gpu_ms, peak_bytes,
           bytes_in, bytes_out, energy_mj)
         SELECT ?2, id, batch, tenant, action, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM jobs WHERE id = ?1",
    )?
    .execute(params![
        job,
        at,
        int(cost.wall_ms),
        int(cost.cpu_ms),
        int(cost.gpu_ms),
        int(cost.peak_bytes),
        int(cost.bytes_in),
        int(cost.bytes_out),
        int(cost.energy_mj),
    ])
    .map(|_| ())
}

impl SqliteQueue {
    pub(super) fn sum(
        &self,
        by: By,
        batch: Option<&str>,
        since: UnixMillis,
    ) -> Result<Vec<Effort>> {
        let name = match by {
            By::Batch => "batch",
            By::Tenant => "tenant",
            By::Day => "strftime('%Y-%m-%d', at / 1000, 'unixepoch')",
            By::Action => "action",
            By::All => "''",
            By::Stage => "stage",
        };
        let (from, sums) = match by {
            By::Stage => ("stage_efforts", "0, 0, 0, 0, 0, 0"),
            _ => (
                "efforts",
                "sum(cpu_ms), sum(gpu_ms), max(peak_bytes), sum(bytes_in), sum(bytes_out), sum(energy_mj)",
            ),
        };
        let sql = format!(
            "SELECT {name} AS name, count(*), sum(wall_ms), {sums}
             FROM {from} WHERE at >= ?1 AND (?2 IS NULL OR batch = ?2)
             GROUP BY name ORDER BY name"
        );
        self.read(|db| {
            let number = |row: &rusqlite::Row<'_>, at| row.get::<_, i64>(at).map(i64::unsigned_abs);
            db.prepare_cached(&sql)?
                .query_map(params![since, batch], |row| {
                    Ok(Effort {
                        name: row.get(0)?,
                        attempts: number(row, 1)?,
                        cost: Cost {
                            wall_ms: number(row, 2)?,
                            cpu_ms: number(row, 3)?,
                            gpu_ms: number(row, 4)?,
                            peak_bytes: number(row, 5)?,
                            bytes_in: number(row, 6)?,
                            bytes_out: number(row, 7)?,
                            energy_mj: number(row, 8)?,
                        },
                    })
                })?
                .collect()
        })
    }

    pub(super) fn waiting_by_tenant(&self) -> Result<BTreeMap<String, u64>> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT tenant, count(*) FROM jobs WHERE state IN ('ready', 'running') GROUP BY tenant",
            )?
            .query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?
            .collect()
        })
    }
}
