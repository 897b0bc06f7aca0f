//! One attempt at a job: a process of its own, watched. It tells on standard output how it gets on, what
//! came of it and what it used, a JSON object a line; what it says to people is kept for the job's log.

use super::{point, who};
use anyhow::Context;
use rushes::jobs::{Account, Cost, Finish, MOST_SAID, StageCost};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Set for processes that do a job: the number of the process that waits for them.
pub const PARENT: &str = "RUSHES_WORKER";

/// A longer line is data of its own (a transcript, say), not word for the worker.
const LONGEST_LINE: usize = 64 << 10;

/// What a job's process tells its worker.
#[derive(Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Word {
    /// How far it has come.
    Progress {
        #[serde(default)]
        share: Option<f64>,
        #[serde(default)]
        text: String,
    },
    /// What is wrong.
    Error {
        kind: String,
        message: String,
        #[serde(default)]
        hint: Option<String>,
    },
    /// What `process` did, stage by stage.
    Process {
        #[serde(default)]
        took: Vec<Took>,
    },
    /// What it used, told last.
    Used { cpu_ms: u64, peak_bytes: u64, written: u64 },
}

/// What a stage took.
#[derive(Deserialize, Serialize)]
struct Took {
    stage: String,
    seconds: f64,
}

/// What was heard so far.
#[derive(Default)]
struct Heard {
    share: Option<f64>,
    text: String,
    error: Option<(String, String)>,
    stages: Vec<StageCost>,
    used: Option<(u64, u64, u64)>,
    /// Words for the worker, to see whether there are new ones.
    words: u64,
    /// Bytes that came through its pipes.
    piped: u64,
    /// The last of what it said to people.
    said: Vec<u8>,
    /// It says no more.
    silent: bool,
}

/// A running attempt.
pub struct Attempt {
    child: Child,
    began: Instant,
    heard: Arc<Mutex<Heard>>,
    ears: Vec<JoinHandle<()>>,
    used: who::Usage,
    looked: Instant,
    words: u64,
    bytes_in: u64,
    action: &'static str,
    /// The most bytes that it was seen to hold on a GPU.
    pub gpu_peak: Option<u64>,
}

/// How an attempt stands.
pub enum Look {
    /// It runs, and whether it got on since it was last looked at closely.
    Runs { got_on: bool },
    /// It is over.
    Over(Finish, Box<Account>),
}

/// How far an attempt has come.
pub struct Progress {
    /// 0 to 1, where that is known.
    pub share: Option<f64>,
    /// What it says of it.
    pub text: String,
    /// How long it has run.
    pub ran: Duration,
}

/// Whether this process does a job for a worker.
pub fn for_worker() -> bool {
    static SET: OnceLock<bool> = OnceLock::new();
    *SET.get_or_init(|| std::env::var_os(PARENT).is_some())
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
    point::at("child-begun");
    true
}

/// Tells the worker how far this process has come.
pub fn tell_progress(share: Option<f64>, text: String) {
    tell(&Word::Progress { share, text });
}

/// Tells the worker what this process used; the last thing that it does.
pub fn tell_used() {
    if let Some(used) = who::usage(std::process::id()) {
        let who::Usage { cpu_ms, peak_bytes, written, .. } = used;
        tell(&Word::Used { cpu_ms, peak_bytes, written });
    }
}

/// A worker that listens no more is about to end this process.
fn tell(word: &Word) {
    if let Ok(mut line) = serde_json::to_vec(word) {
        line.push(b'\n');
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(&line).and_then(|()| out.flush());
    }
}

impl Attempt {
    /// Begins. Must be called from a thread that lives as long as the worker. `wake` is told when
    /// there is something to look at.
    pub fn begin(
        words: &[OsString],
        env: &[(&'static str, String)],
        action: &'static str,
        bytes_in: u64,
        wake: &Sender<()>,
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program's own path is not known")?;
        let mut child = Command::new(program)
            .args(words)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .env(PARENT, std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("a process for the job cannot be begun")?;
        let heard: Arc<Mutex<Heard>> = Arc::default();
        let mut ears = Vec::new();
        if let Some(out) = child.stdout.take() {
            let (heard, wake) = (heard.clone(), wake.clone());
            ears.push(std::thread::spawn(move || {
                listen(out, &heard);
                lock(&heard).silent = true;
                // Nobody to be woken: the pool is gone.
                let _ = wake.send(());
            }));
        }
        if let Some(err) = child.stderr.take() {
            let heard = heard.clone();
            ears.push(std::thread::spawn(move || overhear(err, &heard)));
        }
        let now = Instant::now();
        Ok(Self {
            child,
            began: now,
            heard,
            ears,
            used: who::Usage::default(),
            looked: now,
            words: 0,
            bytes_in,
            action,
            gpu_peak: None,
        })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Main memory that it holds, as it was last seen.
    pub fn bytes(&self) -> u64 {
        self.used.bytes
    }

    /// Whether it has said its last and is about to end.
    pub fn is_ending(&self) -> bool {
        lock(&self.heard).silent
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        let heard = lock(&self.heard);
        Progress { share: heard.share, text: heard.text.clone(), ran: self.began.elapsed() }
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

    /// How it stands. What it uses is looked at only `every` so often.
    pub fn look(&mut self, every: Duration) -> anyhow::Result<Look> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(Look::Runs {
                got_on: self.looked.elapsed() >= every && self.look_closely(),
            });
        };
        for ear in self.ears.drain(..) {
            let _ = ear.join();
        }
        let heard = lock(&self.heard);
        let said = String::from_utf8_lossy(&heard.said).into_owned();
        // Who was killed told nothing: what was seen last must do.
        let seen = (self.used.cpu_ms, self.used.peak_bytes, self.used.written);
        let (cpu_ms, peak_bytes, written) = heard.used.unwrap_or(seen);
        let cost = Cost {
            wall_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            cpu_ms,
            peak_bytes,
            bytes_in: self.bytes_in,
            bytes_out: written.saturating_sub(heard.piped),
            ..Cost::default()
        };
        let mut stages = heard.stages.clone();
        if stages.is_empty() && self.action != "process" {
            stages.push(StageCost { stage: self.action.to_owned(), wall_ms: cost.wall_ms });
        }
        let how = finish(status, heard.error.as_ref(), &said);
        Ok(Look::Over(how, Box::new(Account { cost, stages, way: None, said })))
    }

    /// Whether it did anything since the last time: said something, computed, read or wrote.
    fn look_closely(&mut self) -> bool {
        self.looked = Instant::now();
        let words = lock(&self.heard).words;
        let used = who::usage(self.child.id()).unwrap_or(self.used);
        let before = std::mem::replace(&mut self.used, used);
        let (cpu_ms, read, written) = (used.cpu_ms, used.read, used.written);
        std::mem::replace(&mut self.words, words) != words
            || (cpu_ms, read, written) != (before.cpu_ms, before.read, before.written)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.ears.is_empty() {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

fn lock(heard: &Mutex<Heard>) -> std::sync::MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes in what is told on standard output.
fn listen(out: ChildStdout, heard: &Mutex<Heard>) {
    let mut out = BufReader::with_capacity(LONGEST_LINE, out);
    let (mut line, mut long) = (Vec::new(), false);
    loop {
        let chunk = match out.fill_buf() {
            Ok([]) | Err(_) => return,
            Ok(chunk) => chunk,
        };
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(chunk.len(), |end| end + 1);
        long |= line.len() + taken > LONGEST_LINE;
        if !long {
            line.extend_from_slice(&chunk[..taken]);
        }
        out.consume(taken);
        let mut heard = lock(heard);
        heard.piped += taken as u64;
        if end.is_some() {
            if !std::mem::take(&mut long) {
                hear(&line, &mut heard);
            }
            line.clear();
        }
    }
}

fn hear(line: &[u8], heard: &mut Heard) {
    heard.words += 1;
    // Other records are data for people who run the verb themselves.
    let Ok(word) = serde_json::from_slice::<Word>(line) else { return };
    match word {
        Word::Progress { share, text } => (heard.share, heard.text) = (share, text),
        Word::Error { kind, message, hint } => {
            let message = hint.map_or(message.clone(), |hint| format!("{message}; {hint}"));
            heard.error = Some((kind, message));
        }
        Word::Process { took } => {
            heard.stages.extend(took.into_iter().map(|took| StageCost {
                stage: took.stage,
                wall_ms: (took.seconds.max(0.0) * 1000.0) as u64,
            }));
        }
        Word::Used { cpu_ms, peak_bytes, written } => {
            heard.used = Some((cpu_ms, peak_bytes, written));
        }
    }
}

/// Keeps the end of what is said to people.
fn overhear(mut err: ChildStderr, heard: &Mutex<Heard>) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = err.read(&mut buffer) {
        let mut heard = lock(heard);
        heard.piped += n as u64;
        heard.words += 1;
        heard.said.extend_from_slice(&buffer[..n]);
        if heard.said.len() > 4 * MOST_SAID {
            let cut = heard.said.len() - 2 * MOST_SAID;
            heard.said.drain(..cut);
        }
    }
}

/// What an exit code and the last words mean.
fn finish(status: ExitStatus, error: Option<&(String, String)>, err: &str) -> Finish {
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
    let said = err.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    let message = error.map_or_else(
        || said.trim_start_matches("rushes: ").to_owned(),
        |(_, message)| message.clone(),
    );
    let kind = error.map(|(kind, _)| kind.clone()).unwrap_or_else(|| {
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

/// Whether an attempt failed for want of memory, of the machine or a GPU.
pub fn is_out_of_memory(how: &Finish) -> bool {
    let Finish::Failed { kind, message, .. } = how else { return false };
    kind == "resource" && message.to_ascii_lowercase().contains("memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn codes_and_last_words_are_understood() {
        let exit = |code: i32| ExitStatus::from_raw(code << 8);
        assert_eq!(finish(exit(0), None, ""), Finish::Done);
        assert_eq!(finish(exit(130), None, ""), Finish::Cancelled);
        assert!(matches!(finish(ExitStatus::from_raw(9), None, ""), Finish::WorkerDied(_)));
        assert!(matches!(finish(exit(101), None, "thread panicked"), Finish::WorkerDied(_)));
        let failed = |kind: &str, message: &str, retry| Finish::Failed {
            kind: kind.into(),
            message: message.into(),
            retry,
        };
        let mut heard = Heard::default();
        for line in [
            "{\"type\":\"x\"}",
            "no JSON",
            "{\"type\":\"error\",\"input\":null,\"kind\":\"input\",\"message\":\"bad\",\"hint\":\"h\"}",
            "{\"type\":\"process\",\"input\":\"a\",\"took\":[{\"stage\":\"frames\",\"seconds\":1.5}]}",
            "{\"type\":\"used\",\"cpu_ms\":1,\"peak_bytes\":2,\"written\":3}",
        ] {
            hear(line.as_bytes(), &mut heard);
        }
        assert_eq!((heard.words, heard.used), (5, Some((1, 2, 3))));
        assert_eq!(heard.stages, [StageCost { stage: "frames".into(), wall_ms: 1500 }]);
        let error = heard.error.as_ref();
        assert_eq!(finish(exit(1), error, "rushes: a"), failed("input", "bad; h", false));
        assert_eq!(finish(exit(5), None, "rushes: disk\n\n"), failed("resource", "disk", true));
        assert_eq!(finish(exit(3), None, ""), failed("model", "no reason given", false));
        assert!(is_out_of_memory(&failed("resource", "Cannot allocate memory", true)));
        assert!(!is_out_of_memory(&failed("resource", "No space left on device", true)));
    }
}
