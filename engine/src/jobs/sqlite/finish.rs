//! How an attempt ends.

use super::{SqliteQueue, effort, int, log, shares, until};
use crate::error::Result;
use crate::jobs::{Account, Finish, JobState, MOST_KILLS, MOST_SAID, Token, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

impl SqliteQueue {
    pub(super) fn end(
        &self,
        token: Token,
        how: &Finish,
        account: &Account,
        now: UnixMillis,
    ) -> Result<bool> {
        self.write(|db| {
            let held = db
                .prepare_cached(
                    "SELECT attempts, attempts_most, kills, cancel FROM jobs
                     WHERE id = ?1 AND fence = ?2 AND state = 'running'",
                )?
                .query_row([token.id, token.fence], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })
                .optional()?;
            let Some((attempts, most, kills, cancel)): Option<(u32, u32, u32, bool)> = held else {
                return Ok(false);
            };
            let died = matches!(how, Finish::WorkerDied(_) | Finish::Stalled(_));
            let kills = kills + u32::from(died);
            let (state, ready_at) = match how {
                Finish::Done => (JobState::Done, now),
                Finish::Cancelled => (JobState::Cancelled, now),
                _ if cancel => (JobState::Cancelled, now),
                Finish::PutBack => (JobState::Ready, now),
                _ if died && kills >= MOST_KILLS => (JobState::Dead, now),
                Finish::Failed { retry: false, .. } => (JobState::Failed, now),
                _ if attempts >= most => (JobState::Dead, now),
                _ => {
                    let wait = self.backoff.after(attempts, token.id.unsigned_abs());
                    (JobState::Ready, until(now, wait))
                }
            };
            let (kind, error) = match how {
                Finish::Failed { kind, message, .. } => {
                    (Some(kind.as_str()), Some(message.as_str()))
                }
                Finish::WorkerDied(message) => (Some("worker"), Some(message.as_str())),
                Finish::Stalled(message) => (Some("stalled"), Some(message.as_str())),
                _ => (None, None),
            };
            let put_back = matches!(how, Finish::PutBack);
            let cost = &account.cost;
            db.prepare_cached(
                "UPDATE jobs SET state = ?2, ready_at = ?3, finished_at = ?4, kills = ?5,
                   error_kind = ?6, error = ?7, attempts = attempts - ?8, worker = NULL,
                   lease_until = NULL, cancel = 0,
                   wall_ms = wall_ms + ?9, cpu_ms = cpu_ms + ?10,
                   peak_bytes = max(peak_bytes, ?11), bytes_in = bytes_in + ?12,
                   gpu_ms = gpu_ms + ?13, bytes_out = bytes_out + ?14, energy_mj = energy_mj + ?15
                 WHERE id = ?1",
            )?
            .execute(params![
                token.id,
                state.as_str(),
                ready_at,
                state.is_over().then_some(now),
                kills,
                kind,
                error,
                i64::from(put_back),
                int(cost.wall_ms),
                int(cost.cpu_ms),
                int(cost.peak_bytes),
                int(cost.bytes_in),
                int(cost.gpu_ms),
                int(cost.bytes_out),
                int(cost.energy_mj),
            ])?;
            shares::settle(db, token.id, cost)?;
            keep(db, token.id, account, now)?;
            let said = match error {
                Some(error) => format!("{}: {error}", state.as_str()),
                None if put_back => "put back".to_owned(),
                None => state.as_str().to_owned(),
            };
            log(db, token.id, now, &said)?;
            Ok(true)
        })
    }

    pub(super) fn note_of(
        &self,
        token: Token,
        text: &str,
        died: bool,
        now: UnixMillis,
    ) -> Result<Option<u32>> {
        self.write(|db| {
            let kills: Option<u32> = db
                .prepare_cached(
                    "UPDATE jobs SET kills = kills + ?3
                     WHERE id = ?1 AND fence = ?2 AND state = 'running' RETURNING kills",
                )?
                .query_row(params![token.id, token.fence, died], |row| row.get(0))
                .optional()?;
            if kills.is_some() {
                log(db, token.id, now, text)?;
            }
            Ok(kills)
        })
    }
}

/// Keeps what is told of an attempt beside what it cost.
fn keep(db: &Connection, job: i64, account: &Account, now: UnixMillis) -> rusqlite::Result<()> {
    if account.cost != Default::default() {
        effort::keep(db, job, &account.cost, now)?;
    }
    if let Some(way) = &account.way {
        db.prepare_cached("UPDATE jobs SET way = ?2 WHERE id = ?1")?
            .execute(params![job, serde_json::to_string(way).unwrap_or_default()])?;
    }
    if !account.stages.is_empty() {
        db.prepare_cached("UPDATE jobs SET stages = ?2 WHERE id = ?1")?
            .execute(params![job, serde_json::to_string(&account.stages).unwrap_or_default()])?;
        let mut add = db.prepare_cached(
            "INSERT INTO stage_efforts (at, batch, stage, wall_ms)
             SELECT ?2, batch, ?3, ?4 FROM jobs WHERE id = ?1",
        )?;
        for stage in &account.stages {
            add.execute(params![job, now, stage.stage, int(stage.wall_ms)])?;
        }
    }
    let said = tail(&account.said);
    if !said.is_empty() {
        db.prepare_cached("INSERT INTO logs (job, at, text, said) VALUES (?1, ?2, ?3, 1)")?
            .execute(params![job, now, said])?;
    }
    Ok(())
}

/// The last [`MOST_SAID`] bytes, from the beginning of a line where there is one.
fn tail(said: &str) -> &str {
    let said = said.trim_end();
    if said.len() <= MOST_SAID {
        return said;
    }
    let mut from = said.len() - MOST_SAID;
    while !said.is_char_boundary(from) {
        from += 1;
    }
    let cut = &said[from..];
    cut.split_once('\n').map_or(cut, |(_, whole)| whole)
}
