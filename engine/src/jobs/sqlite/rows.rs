//! Rows to structs, and which rows are meant.

use crate::jobs::{Cost, JobRow, JobState, Which};
use rusqlite::Row;
use rusqlite::types::{Type, Value};

pub(super) const COLUMNS: &str = "id, message, batch, state, attempts, attempts_most, kills, losses, worker, \
    ready_at, created_at, started_at, finished_at, error_kind, error, wall_ms, cpu_ms, peak_bytes, \
    bytes_in, gpu_ms, bytes_out, energy_mj, way, stages";

pub(super) fn row(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    let wrong = |e: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(1, Type::Text, e)
    };
    let message: String = row.get("message")?;
    let state: String = row.get("state")?;
    let text = |name: &str| row.get::<_, Option<String>>(name);
    let number = |name: &str| row.get::<_, i64>(name).map(i64::unsigned_abs);
    Ok(JobRow {
        id: row.get("id")?,
        message: serde_json::from_str(&message).map_err(|e| wrong(e.into()))?,
        batch: row.get("batch")?,
        state: JobState::of(&state).ok_or_else(|| wrong("no such state".into()))?,
        attempts: row.get("attempts")?,
        attempts_most: row.get("attempts_most")?,
        kills: row.get("kills")?,
        losses: row.get("losses")?,
        worker: row.get("worker")?,
        ready_at: row.get("ready_at")?,
        created_at: row.get("created_at")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
        error_kind: row.get("error_kind")?,
        error: row.get("error")?,
        cost: Cost {
            wall_ms: number("wall_ms")?,
            cpu_ms: number("cpu_ms")?,
            peak_bytes: number("peak_bytes")?,
            bytes_in: number("bytes_in")?,
            gpu_ms: number("gpu_ms")?,
            bytes_out: number("bytes_out")?,
            energy_mj: number("energy_mj")?,
        },
        // Only told to people: what a later version writes otherwise is left out.
        stages: text("stages")?.and_then(|t| serde_json::from_str(&t).ok()).unwrap_or_default(),
        way: text("way")?.and_then(|t| serde_json::from_str(&t).ok()),
    })
}

/// A condition on `jobs`, and the values of its parameters.
pub(super) fn condition(which: &Which) -> (String, Vec<Value>) {
    let mut parts = vec!["1".to_owned()];
    let mut values = Vec::new();
    let mut place = |value: Value| {
        values.push(value);
        format!("?{}", values.len())
    };
    if !which.ids.is_empty() {
        // Numbers cannot hold anything else, and there may be more than SQLite has parameters.
        let ids: Vec<String> = which.ids.iter().map(i64::to_string).collect();
        parts.push(format!("id IN ({})", ids.join(", ")));
    }
    if let Some(batch) = &which.batch {
        parts.push(format!("batch = {}", place(batch.clone().into())));
    }
    if !which.states.is_empty() {
        let states: Vec<String> =
            which.states.iter().map(|s| place(s.as_str().to_owned().into())).collect();
        parts.push(format!("state IN ({})", states.join(", ")));
    }
    (parts.join(" AND "), values)
}
