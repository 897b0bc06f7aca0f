//! Taking on jobs.

use super::{AGEING, SqliteQueue, int, shares};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::jobs::{Action, Message, NewJob, On, Priority, Queue, Submitted, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};
use std::borrow::Cow;

impl SqliteQueue {
    pub(super) fn take_on(&self, jobs: &[NewJob], now: UnixMillis) -> Result<Vec<Submitted>> {
        let steps = jobs.iter().map(steps).collect::<Result<Vec<_>>>()?;
        let more = steps.iter().map(Vec::len).sum::<usize>() as u64;
        let room = self.room()?;
        if more > room {
            let wait = self.read(|db| shares::wait_for(db, more - room, now))?;
            let hint = wait.map_or("wait until some are done".to_owned(), |ms| {
                format!(
                    "by what was done in the last hour there is room in {} s",
                    ms.div_ceil(1000)
                )
            });
            let what = format!("{more} jobs are more than the {room} that the queue has room for");
            let error = Error::new(ErrorKind::Limit, Stage::Process, what);
            return Err(error.input(&self.file).hint(hint));
        }
        self.write(|db| {
            let mut made = Vec::with_capacity(jobs.len());
            for steps in &steps {
                let mut ids = Vec::with_capacity(steps.len());
                let mut known = true;
                for step in steps {
                    let needs = ids.last().copied();
                    let (id, was_there) = add(db, step, needs, now)?;
                    known &= was_there;
                    ids.push(id);
                }
                let Some(id) = ids.last().copied() else { continue };
                made.push(Submitted { id, known, steps: ids });
            }
            Ok(made)
        })
    }
}

/// The jobs that `job` is made of.
fn steps(job: &NewJob) -> Result<Vec<Cow<'_, NewJob>>> {
    let Action::Pipeline(pipeline) = &job.message.action else {
        return Ok(vec![Cow::Borrowed(job)]);
    };
    let made = pipeline.steps.iter().enumerate().map(|(at, step)| {
        let message = Message {
            id: format!("{}/{}", job.message.id, at + 1),
            media: step.media.clone().unwrap_or_else(|| job.message.media.clone()),
            action: step.read()?,
            ..job.message.clone()
        };
        let needs = if at == 0 { job.needs.clone() } else { Vec::new() };
        Ok(Cow::Owned(NewJob {
            message,
            key: format!("{}/{}", job.key, at + 1),
            needs,
            ..job.clone()
        }))
    });
    made.collect()
}

/// One job; its number, and whether it was there already.
fn add(
    db: &Connection,
    job: &NewJob,
    needs: Option<i64>,
    now: UnixMillis,
) -> rusqlite::Result<(i64, bool)> {
    let mut find = db.prepare_cached("SELECT id FROM jobs WHERE key = ?1")?;
    if let Some(id) = find.query_row([&job.key], |row| row.get(0)).optional()? {
        return Ok((id, true));
    }
    let message = serde_json::to_string(&job.message)
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
    let raise = match job.message.priority {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
    };
    shares::wake(db, &job.message.tenant)?;
    db.prepare_cached(
        "INSERT INTO jobs (key, batch, message, action, rank, bytes, state, attempts_most,
           ready_at, created_at, tenant, memory, gpu)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'ready', ?7, ?8, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        job.key,
        job.batch,
        message,
        job.message.action.name(),
        now / AGEING - raise,
        int(job.bytes),
        job.attempts.max(1),
        now,
        job.message.tenant,
        int(job.memory),
        job.message.on == On::Gpu,
    ])?;
    let id = db.last_insert_rowid();
    let mut need = db.prepare_cached("INSERT OR IGNORE INTO needs VALUES (?1, ?2)")?;
    for needs in job.needs.iter().copied().chain(needs) {
        need.execute([id, needs])?;
    }
    Ok((id, false))
}
