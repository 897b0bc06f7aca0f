//! Running the binary under a guard, and looking at what it left.

use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use walkdir::WalkDir;

/// A run that takes longer hangs. The longest recognise 264 s of sound with one thread: whisper.cpp took
/// 131 s for 396 s on a day when the host was slow.
const PATIENCE: Duration = Duration::from_secs(600);
/// What a run may map. Far above the engine's own budgets, far below what the bombs ask for.
const MEMORY_KIB: u64 = 3 << 20;

/// What came of a run.
pub struct Ran {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub out: Vec<u8>,
    pub err: String,
    what: String,
}

/// `rushes ARGS`, with nothing on standard input.
#[track_caller]
pub fn rushes<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    finish(start(args, None, &[]), &[])
}

/// As [`rushes`], run in a folder.
#[track_caller]
pub fn rushes_in<S: AsRef<OsStr>>(folder: &Path, args: impl IntoIterator<Item = S>) -> Ran {
    finish(start(args, Some(folder), &[]), &[])
}

/// As [`rushes`], with `input` on standard input.
#[track_caller]
pub fn rushes_fed<S: AsRef<OsStr>>(input: &[u8], args: impl IntoIterator<Item = S>) -> Ran {
    finish(start(args, None, &[]), input)
}

/// A run under way, its three streams piped. The shell sets the bound on memory and becomes the
/// program, so the child's id is the program's.
pub fn start<S: AsRef<OsStr>>(
    args: impl IntoIterator<Item = S>,
    folder: Option<&Path>,
    env: &[(&str, &str)],
) -> Child {
    let mut command = Command::new("sh");
    let script = format!("ulimit -v {MEMORY_KIB}; exec \"$@\"");
    command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_rushes")]).args(args);
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    // No models but those that a test names: `process` would use what the machine has.
    command.env("XDG_CACHE_HOME", "/nonexistent").env("HF_HUB_CACHE", "/nonexistent");
    command.envs(env.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Feeds a run, waits for its end, and kills it if that does not come.
#[track_caller]
pub fn finish(mut child: Child, input: &[u8]) -> Ran {
    let what = format!("process {}", child.id());
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let started = Instant::now();
    std::thread::scope(|scope| {
        // A program that ends early breaks the pipe, as it may.
        scope.spawn(move || drop(stdin.write_all(input)));
        let out = scope.spawn(move || all(&mut stdout));
        let err = scope.spawn(move || all(&mut stderr));
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > PATIENCE {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("hangs; so far: {}", String::from_utf8_lossy(&err.join().unwrap()));
            }
            std::thread::sleep(Duration::from_millis(3));
        };
        Ran {
            code: status.code(),
            signal: status.signal(),
            out: out.join().unwrap(),
            err: String::from_utf8_lossy(&err.join().unwrap()).into_owned(),
            what,
        }
    })
}

fn all(from: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    bytes
}

impl Ran {
    /// Asserts how it ended.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        let Self { signal, out, err, what, .. } = &self;
        let out = String::from_utf8_lossy(out);
        assert!(
            self.code == Some(code),
            "{what}: exit {code} wanted, got {:?} (signal {signal:?})\n--- out\n{out}\n--- err\n{err}",
            self.code
        );
        self
    }

    /// Asserts that it ended well and said nothing that a terminal would interpret.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0).calm()
    }

    /// Asserts that nothing was said that a terminal would interpret: no `\r`, no escape, no
    /// change of direction.
    #[track_caller]
    pub fn calm(self) -> Self {
        for text in [self.text(), self.err.clone()] {
            let active =
                |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
            assert!(!text.contains(active), "{text:?}");
        }
        self
    }

    /// Standard output as text.
    #[track_caller]
    pub fn text(&self) -> String {
        String::from_utf8(self.out.clone()).unwrap()
    }

    /// Standard output as NDJSON: every line an object with a `type`.
    #[track_caller]
    pub fn json(&self) -> Vec<Value> {
        let text = self.text();
        assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect();
        for line in &lines {
            assert!(line["type"].is_string(), "{line}");
        }
        lines
    }

    /// The only line of NDJSON.
    #[track_caller]
    pub fn json_line(&self) -> Value {
        let mut lines = self.json();
        assert_eq!(lines.len(), 1, "{}", self.text());
        lines.remove(0)
    }

    /// Asserts that neither a panic nor a signal nor an abort ended it.
    #[track_caller]
    pub fn sane(self) -> Self {
        let Self { code, signal, err, what, .. } = &self;
        let told = format!("{what}: code {code:?}, signal {signal:?}\n{err}");
        assert!(signal.is_none() && matches!(code, Some(0 | 1 | 4)), "{told}");
        assert!(!err.contains("panicked") && !err.contains("overflow"), "{told}");
        self
    }
}

/// A folder that vanishes with the test.
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("rushes-it-").tempdir().unwrap()
}

/// Everything below a folder: path within it, and what changes when a file is written again. A
/// library's catalogue is left out: it notes where a film was seen last.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    files(root)
        .into_iter()
        .filter(|path| !is_catalogue(path))
        .map(|path| {
            let meta = std::fs::metadata(root.join(&path)).unwrap();
            (path, (meta.ino(), meta.mtime(), meta.mtime_nsec()))
        })
        .collect()
}

/// Whether a file is a library's catalogue or its log.
pub fn is_catalogue(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("library.db"))
}

/// The files below a folder, hidden ones too, by path within it.
pub fn files(root: &Path) -> Vec<PathBuf> {
    WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| !entry.file_type().is_dir())
        .map(|entry| entry.path().strip_prefix(root).unwrap().to_path_buf())
        .collect()
}

/// Asserts that a folder holds no file at all and nothing half made.
#[track_caller]
pub fn nothing_in(root: &Path) {
    assert_eq!(files(root), Vec::<PathBuf>::new(), "in {}", root.display());
    nothing_half_made(root);
}

/// Asserts that no staged file or folder is left.
#[track_caller]
pub fn nothing_half_made(root: &Path) {
    for entry in WalkDir::new(root).into_iter().filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy();
        assert!(!name.starts_with(".rushes-"), "left behind: {}", entry.path().display());
    }
}

/// Runs a program of ffmpeg's family on a file and asserts that it finds nothing to complain of.
#[track_caller]
pub fn media_tool(program: &str, before: &[&str], path: &Path, after: &[&str]) -> String {
    let Output { status, stdout, stderr } = Command::new(program)
        .args(["-v", "error"])
        .args(before)
        .arg(path)
        .args(after)
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&stderr);
    assert!(status.success() && complaint.is_empty(), "{}: {complaint}", path.display());
    String::from_utf8(stdout).unwrap().trim().to_owned()
}

/// Asserts that a file decodes to its end.
#[track_caller]
pub fn decodes(path: &Path) {
    media_tool("ffmpeg", &["-i"], path, &["-f", "null", "-"]);
}

/// What ffprobe says of a file's first stream of a kind, comma-separated.
#[track_caller]
pub fn stream(path: &Path, kind: &str, fields: &str) -> String {
    let entries = format!("stream={fields}");
    media_tool(
        "ffprobe",
        &["-select_streams", kind, "-show_entries", &entries, "-of", "csv=p=0"],
        path,
        &[],
    )
}

/// Sends a signal by name.
pub fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
}

/// Waits until `ready`; panics if that does not come.
#[track_caller]
pub fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let started = Instant::now();
    while !ready() {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A copy of a fixture under another name.
pub fn copy(from: &Path, to: impl AsRef<Path>) -> PathBuf {
    std::fs::copy(from, to.as_ref()).unwrap();
    to.as_ref().to_path_buf()
}
