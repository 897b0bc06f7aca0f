//! One attempt at a job: a process of its own, watched.

use super::who;
use anyhow::Context;
use rushes::jobs::{Cost, Finish};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::ffi::OsString;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Instant;

/// Set for processes that do a job: the number of the process that waits for them.
pub const PARENT: &str = "RUSHES_WORKER";

/// What is kept of a process's words: the last of them.
const KEPT: usize = 64 << 10;

/// A running attempt.
pub struct Attempt {
    child: Child,
    began: Instant,
    out: Option<JoinHandle<Vec<u8>>>,
    err: Option<JoinHandle<Vec<u8>>>,
    cost: Cost,
}

/// Ends this process when its worker dies, however it dies: a job must not go on that somebody else
/// may begin anew. Called first thing by every process; without [`PARENT`] it does nothing
/// and gives false.
pub fn die_with_worker() -> bool {
    let Some(parent) = std::env::var(PARENT).ok().and_then(|p| p.parse::<i32>().ok()) else {
        return false;
    };
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // It may have died before.
    if rustix::process::getppid().map(Pid::as_raw_nonzero).map(i32::from) != Some(parent) {
        std::process::exit(130);
    }
    super::point::at("child-begun");
    true
}

impl Attempt {
    /// Begins. Must be called from a thread that lives as long as the worker.
    pub fn begin(words: &[OsString], bytes_in: u64) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program's own path is not known")?;
        let mut child = Command::new(program)
            .args(words)
            .env(PARENT, std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("a process for the job cannot be begun")?;
        let out = child.stdout.take().map(listen);
        let err = child.stderr.take().map(listen);
        let cost = Cost { bytes_in, ..Cost::default() };
        Ok(Self { child, began: Instant::now(), out, err, cost })
    }

    /// Asks it to stop; it leaves nothing half done.
    pub fn stop(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends it at once.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }

    /// How it ended, and what it cost; `None` while it runs.
    pub fn look(&mut self) -> anyhow::Result<Option<(Finish, Cost)>> {
        if let Some(used) = who::usage(self.child.id()) {
            self.cost.cpu_ms = self.cost.cpu_ms.max(used.cpu_ms);
            self.cost.peak_bytes = self.cost.peak_bytes.max(used.peak_bytes);
            self.cost.bytes_out = self.cost.bytes_out.max(used.bytes_out);
        }
        let Some(status) = self.child.try_wait()? else { return Ok(None) };
        self.cost.wall_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let heard = |ear: Option<JoinHandle<Vec<u8>>>| -> String {
            let bytes = ear.and_then(|ear| ear.join().ok()).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (out, err) = (heard(self.out.take()), heard(self.err.take()));
        Ok(Some((finish(status, &out, &err), self.cost)))
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.out.is_some() {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

/// Keeps the end of what is said.
fn listen(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let mut buffer = [0; 8192];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            kept.extend_from_slice(&buffer[..n]);
            if kept.len() > 2 * KEPT {
                kept.drain(..kept.len() - KEPT);
            }
        }
        kept
    })
}

/// What an exit code and the last words mean.
fn finish(status: ExitStatus, out: &str, err: &str) -> Finish {
    let code = status.code();
    match code {
        Some(0) => return Finish::Done,
        Some(130) => return Finish::Cancelled,
        // 101: it panicked.
        None | Some(101) => {
            let last = err.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
            return Finish::WorkerDied(format!("{status}: {last}"));
        }
        _ => {}
    }
    let error = out
        .lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|record| record.get("type").and_then(Value::as_str) == Some("error"));
    let word = |name: &str| error.as_ref().and_then(|e| e.get(name)?.as_str()).map(str::to_owned);
    let said = err.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    let mut message =
        word("message").unwrap_or_else(|| said.trim_start_matches("rushes: ").to_owned());
    if let Some(hint) = word("hint") {
        message = format!("{message}; {hint}");
    }
    let kind = word("kind").unwrap_or_else(|| {
        match code {
            Some(2) => "usage",
            Some(3) => "model",
            Some(4) => "limit",
            Some(5) => "resource",
            _ => "input",
        }
        .to_owned()
    });
    // Out of memory, disk or descriptors: that may pass.
    let retry = code == Some(5) || kind == "resource";
    Finish::Failed { kind, message, retry }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn codes_and_last_words_are_understood() {
        let exit = |code: i32| ExitStatus::from_raw(code << 8);
        assert_eq!(finish(exit(0), "", ""), Finish::Done);
        assert_eq!(finish(exit(130), "", ""), Finish::Cancelled);
        assert!(matches!(finish(ExitStatus::from_raw(9), "", ""), Finish::WorkerDied(_)));
        assert!(matches!(finish(exit(101), "", "thread panicked"), Finish::WorkerDied(_)));
        let out = "{\"type\":\"x\"}\n{\"type\":\"error\",\"kind\":\"input\",\"message\":\"bad\",\"hint\":\"h\"}\n";
        let failed = |kind: &str, message: &str, retry| Finish::Failed {
            kind: kind.into(),
            message: message.into(),
            retry,
        };
        assert_eq!(finish(exit(1), out, "rushes: a"), failed("input", "bad; h", false));
        assert_eq!(finish(exit(5), "", "rushes: disk\n\n"), failed("resource", "disk", true));
        assert_eq!(finish(exit(3), "not json", ""), failed("model", "no reason given", false));
    }
}
