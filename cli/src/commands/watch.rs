//! `rushes watch`: a hot folder. Files that come in become jobs once they are whole, and a pool does
//! them until somebody stops it.

use super::Session;
use super::batch::{WhatArgs, name_output, told};
use super::worker::{PoolArgs, open, rules, work};
use crate::batch::manifest::Item;
use crate::batch::point;
use crate::batch::pool::Ended;
use crate::batch::submit::{absolute, admit, jobs, submit};
use crate::inputs;
use crate::output::Status;
use clap::Args;
use rushes::control::Cancel;
use rushes::error::{Error, ErrorKind, Stage};
use rushes::jobs::{Action, Can, Queue, Rules};
use rushes::text::plain;
use serde_json::json;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

#[derive(Args, Debug)]
pub struct WatchArgs {
    /// Folders, with all that is in them
    #[arg(required = true)]
    pub folders: Vec<PathBuf>,
    /// Seconds for which a file must not change before it is taken for whole
    #[arg(long, default_value = "5", value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub settle: u64,
    #[command(flatten)]
    pub what: WhatArgs,
    #[command(flatten)]
    pub pool: PoolArgs,
}

/// How often folders are looked through.
const LOOK: Duration = Duration::from_millis(500);

/// What changes when a file is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    changed: SystemTime,
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let meta = std::fs::metadata(path).ok()?;
        Some(Self { size: meta.len(), changed: meta.modified().ok()?, inode: meta.ino() })
    }
}

/// Which files are whole.
struct Settling {
    settle: Duration,
    /// How each file was seen last, since when it is so, and whether it was given out.
    seen: BTreeMap<PathBuf, (Stamp, Instant, bool)>,
}

impl Settling {
    /// Of `there`, the files that have become whole. A file is so when it has not changed for `settle`:
    /// either that was watched, or its own time says so, as of one that was renamed into the folder.
    fn whole(&mut self, there: &[(PathBuf, Stamp)], at: Instant, now: SystemTime) -> Vec<PathBuf> {
        let mut whole = Vec::new();
        self.seen.retain(|path, _| there.iter().any(|(other, _)| other == path));
        for (path, stamp) in there {
            let entry = self.seen.entry(path.clone()).or_insert((*stamp, at, false));
            if entry.0 != *stamp {
                *entry = (*stamp, at, false);
            }
            let watched = at.duration_since(entry.1) >= self.settle;
            let old = now.duration_since(stamp.changed).is_ok_and(|age| age >= self.settle);
            if !entry.2 && stamp.size > 0 && (watched || old) {
                entry.2 = true;
                whole.push(path.clone());
            }
        }
        whole
    }
}

pub fn run(session: &Session, args: &WatchArgs) -> anyhow::Result<Status> {
    args.what.check()?;
    told(session, || {
        for folder in &args.folders {
            if !folder.is_dir() {
                let error = Error::new(ErrorKind::Input, Stage::Open, "no such folder");
                return Err(error.input(folder).into());
            }
        }
        let file = args.what.queue_file();
        let rules = rules(&file, args.pool.rules.as_deref())?;
        let queue = open(&file)?;
        let batch = args.what.batch(&args.folders);
        let can =
            Can { actions: Action::NAMES.to_vec(), batch: Some(batch.clone()), ..Can::default() };
        // Both end when either does.
        let cancel = &session.run.cancel;
        std::thread::scope(|scope| -> anyhow::Result<Status> {
            let finder = scope.spawn(|| {
                let found = find(session, args, &queue, &batch, &rules);
                cancel.cancel();
                found
            });
            let ended = {
                let _ends = EndsOther(cancel);
                work(session, &queue, can, false, &args.pool, None)
            };
            let found = finder.join().map_err(|_| anyhow::anyhow!("looking for files failed"))?;
            found?;
            Ok(match ended? {
                Ended::NothingLeft | Ended::Cancelled => Status::Cancelled,
                Ended::NotAllowed(_) => Status::Refused,
            })
        })
    })
}

/// Stops the other thread however this one ends.
struct EndsOther<'a>(&'a Cancel);

impl Drop for EndsOther<'_> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Looks for whole files and submits them, until it is stopped.
fn find(
    session: &Session,
    args: &WatchArgs,
    queue: &dyn Queue,
    batch: &str,
    rules: &Rules,
) -> anyhow::Result<()> {
    let settle = Duration::from_secs(args.settle);
    let mut settling = Settling { settle, seen: BTreeMap::new() };
    while !session.run.cancel.is_cancelled() {
        // A folder may be empty, or gone for a moment: that is no reason to end.
        let files = inputs::resolve(&args.folders).into_iter().filter_map(Result::ok);
        let there: Vec<(PathBuf, Stamp)> =
            files.filter_map(|path| Some((absolute(&path), Stamp::of(&path)?))).collect();
        let whole = settling.whole(&there, Instant::now(), SystemTime::now());
        if !whole.is_empty() {
            // Two that share a name, whichever came first, are told apart as in a batch.
            let all: Vec<_> = there.into_iter().map(|(path, _)| Ok(path)).collect();
            let names: BTreeMap<_, _> =
                all.iter().flatten().zip(inputs::output_names(&all)).collect();
            for media in whole {
                let name = names.get(&media).cloned().unwrap_or_default();
                let mut item = args.what.item(media)?;
                name_output(&mut item, name);
                take(session, args, queue, batch, rules, item)?;
            }
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Makes a job of a file that is whole; one that the rules refuse is told and left.
fn take(
    session: &Session,
    args: &WatchArgs,
    queue: &dyn Queue,
    batch: &str,
    rules: &Rules,
    item: Item,
) -> anyhow::Result<()> {
    let name = item.media.to_string_lossy().into_owned();
    let jobs = jobs(&args.what.common(session, batch), vec![item])?;
    let made = admit(queue, batch, &jobs, rules).and_then(|()| submit(queue, jobs));
    match made {
        Ok(ids) => {
            point::at("submitted");
            let record = json!({"type": "found", "media": name, "jobs": ids});
            if session.output.json || !session.output.quiet {
                session.output.data(&plain(&format!("found {name}")), &record)?;
            }
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::Limit => session.output.failure(&error),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_when_it_has_not_changed_for_long_enough() {
        let settle = Duration::from_secs(5);
        let mut settling = Settling { settle, seen: BTreeMap::new() };
        let (start, day) = (Instant::now(), SystemTime::now());
        let mut look = |secs: u64, files: &[(&str, u64, i64)]| -> Vec<String> {
            let there: Vec<_> = files
                .iter()
                .map(|(name, size, changed)| {
                    let back = Duration::from_secs(changed.unsigned_abs());
                    let changed = if *changed < 0 { day - back } else { day + back };
                    (PathBuf::from(name), Stamp { size: *size, changed, inode: 1 })
                })
                .collect();
            let passed = Duration::from_secs(secs);
            let whole = settling.whole(&there, start + passed, day + passed);
            whole.iter().map(|path| path.to_string_lossy().into_owned()).collect()
        };
        // Written before it was renamed into the folder: at once, and once only.
        assert_eq!(look(0, &[("moved", 9, -60), ("grows", 1, 0)]), ["moved"]);
        assert_eq!(look(4, &[("moved", 9, -60), ("grows", 2, 3)]), [""; 0]);
        // By a clock that runs ahead its time never gets old: that it stays the same is seen.
        assert_eq!(look(7, &[("grows", 2, 3), ("ahead", 5, 9999)]), [""; 0]);
        assert_eq!(look(9, &[("grows", 2, 3), ("ahead", 5, 9999), ("empty", 0, -60)]), ["grows"]);
        assert_eq!(look(12, &[("grows", 2, 3), ("ahead", 5, 9999), ("empty", 0, -60)]), ["ahead"]);
        // Written again, it is another file.
        assert_eq!(look(20, &[("grows", 7, 18)]), [""; 0]);
        assert_eq!(look(23, &[("grows", 7, 18)]), ["grows"]);
    }
}
