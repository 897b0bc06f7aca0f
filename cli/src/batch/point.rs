//! Named points at which a test has a worker killed, as `kill -9` would.
//!
//! `RUSHES_KILL_AT=NAME:N` kills the worker when it, or a process of its, comes to the point NAME for
//! the Nth time. Builds without debug assertions know of no such thing.

/// The points, in the order in which a batch comes by them. `benches/kill.py` and the tests go
/// through all of them.
pub const POINTS: [&str; 11] = [
    "opened",
    "submitted",
    "buried",
    "claimed",
    "granted",
    "begun",
    "child-begun",
    "child-over",
    "beaten",
    "ended",
    "told",
];

/// The process is at `name`.
pub fn at(name: &'static str) {
    debug_assert!(POINTS.contains(&name));
    if cfg!(debug_assertions) {
        kill_if_wanted(name);
    }
}

fn kill_if_wanted(name: &'static str) {
    use rustix::process::{Pid, Signal, getpid, kill_process};
    use std::collections::BTreeMap;
    use std::sync::{Mutex, PoisonError};
    static SEEN: Mutex<BTreeMap<&str, u32>> = Mutex::new(BTreeMap::new());
    let Ok(wanted) = std::env::var("RUSHES_KILL_AT") else { return };
    let Some((point, count)) = wanted.split_once(':') else { return };
    if point != name {
        return;
    }
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let times = seen.entry(name).or_default();
    *times += 1;
    if count.parse() == Ok(*times) {
        // A child takes its worker with it, and dies of that itself.
        let worker = std::env::var(super::child::PARENT).ok();
        let worker = worker.and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
        let _ = kill_process(worker.unwrap_or_else(getpid), Signal::KILL);
        let _ = kill_process(getpid(), Signal::KILL);
    }
}
