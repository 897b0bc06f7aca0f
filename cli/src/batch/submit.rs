//! From items to jobs in a queue: keys, needs, and what the rules refuse.

use super::manifest::Item;
use super::{now, ways};
use rushes::jobs::{JobState, Message, NewJob, Queue, Rules, Which};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What all jobs of a submission have in common.
pub struct Common<'a> {
    /// The batch that they belong to.
    pub batch: &'a str,
    /// How often each is tried.
    pub attempts: u32,
    /// Whether they are done even if their outputs are current.
    pub force: bool,
    /// Limits that are changed for them.
    pub allow: &'a [String],
}

/// The jobs, in an order in which each comes after those that it needs; `needs` are places in the list.
pub struct Planning {
    pub job: NewJob,
    pub needs: Vec<usize>,
}

/// A digest of several texts.
pub fn digest(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// A path that means the same in another folder.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// The jobs of `items`.
pub fn jobs(common: &Common<'_>, items: Vec<Item>) -> anyhow::Result<Vec<Planning>> {
    let mut by_key = BTreeMap::new();
    let mut jobs = Vec::with_capacity(items.len());
    // Done anew by every run that says so: never the same job as before.
    let forced = if common.force { now().to_string() } else { String::new() };
    for (at, item) in items.into_iter().enumerate() {
        let needs = item.needs.iter().map(|need| {
            by_key.get(need).copied().ok_or_else(|| {
                anyhow::anyhow!(
                    "`{need}` is needed by {}, but no item before has that key",
                    item.media.display()
                )
            })
        });
        let needs = needs.collect::<anyhow::Result<Vec<usize>>>()?;
        if let Some(key) = item.key.clone()
            && by_key.insert(key.clone(), at).is_some()
        {
            anyhow::bail!("two items have the key `{key}`");
        }
        let media = absolute(&item.media);
        let meta = std::fs::metadata(&media).ok();
        let changed = meta.as_ref().and_then(|meta| meta.modified().ok());
        let bytes = meta.map_or(0, |meta| meta.len());
        // A file that has changed since is another job.
        let key = digest(&[
            common.batch,
            item.action.name(),
            &item.action.params().to_string(),
            &blake3::hash(media.as_os_str().as_bytes()).to_hex(),
            &format!("{bytes} {changed:?}"),
            &common.allow.join(" "),
            &forced,
        ]);
        let message = Message {
            id: item.key.unwrap_or_else(|| key[..12].to_owned()),
            media,
            action: item.action,
            priority: item.priority,
            tenant: item.tenant,
            timestamp: now(),
            on: item.on,
            force: common.force,
            allow: common.allow.to_vec(),
        };
        jobs.push(Planning { job: job(common, message, key, bytes), needs });
    }
    Ok(jobs)
}

/// A job of one message.
pub fn job(common: &Common<'_>, message: Message, key: String, bytes: u64) -> NewJob {
    let memory = ways::least_memory(&message.action);
    let (batch, attempts) = (common.batch.to_owned(), common.attempts);
    NewJob { message, key, batch, bytes, needs: Vec::new(), attempts, memory }
}

/// Refuses jobs that would reach into a tenant's library that is not theirs, and more jobs than their
/// tenants may have waiting; those that are there already are not counted twice.
pub fn admit(
    queue: &dyn Queue,
    batch: &str,
    jobs: &[Planning],
    rules: &Rules,
) -> rushes::Result<()> {
    for Planning { job, .. } in jobs {
        rules.isolated(&job.message)?;
    }
    if rules.quota.is_empty() {
        return Ok(());
    }
    let known = queue.list(&Which { batch: Some(batch.to_owned()), ..Which::default() })?;
    let known: BTreeSet<(String, PathBuf)> =
        known.into_iter().map(|row| (row.message.id, row.message.media)).collect();
    let mut more: BTreeMap<String, u64> = BTreeMap::new();
    for Planning { job, .. } in jobs {
        if !known.contains(&(job.message.id.clone(), job.message.media.clone())) {
            *more.entry(job.message.tenant.clone()).or_default() += 1;
        }
    }
    rules.admit(&queue.waiting()?, &more)
}

/// Puts the jobs into the queue, in parts; gives their numbers, those of a pipeline's steps too.
pub fn submit(queue: &dyn Queue, jobs: Vec<Planning>) -> rushes::Result<Vec<i64>> {
    const PART: usize = 500;
    // By place: the job that is done last.
    let mut last: Vec<i64> = Vec::with_capacity(jobs.len());
    let mut all = Vec::with_capacity(jobs.len());
    let mut part: Vec<NewJob> = Vec::new();
    let mut flush = |part: &mut Vec<NewJob>, last: &mut Vec<i64>| -> rushes::Result<()> {
        for made in queue.submit(&std::mem::take(part), now())? {
            last.push(made.id);
            all.extend(made.steps);
        }
        Ok(())
    };
    for Planning { mut job, needs } in jobs {
        // What is needed must have its number.
        if part.len() >= PART || needs.iter().any(|need| *need >= last.len()) {
            flush(&mut part, &mut last)?;
        }
        job.needs = needs.iter().filter_map(|need| last.get(*need).copied()).collect();
        part.push(job);
    }
    flush(&mut part, &mut last)?;
    Ok(all)
}

/// Whether a job in this state failed.
pub fn is_bad(state: JobState) -> bool {
    matches!(state, JobState::Failed | JobState::Dead | JobState::Cancelled)
}
