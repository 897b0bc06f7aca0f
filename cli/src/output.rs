//! Where words go: data to stdout (text or NDJSON), messages to stderr; and exit codes.

use rushes::error::{Error, ErrorKind};
use rushes::media::Notice;
use rushes::text::plain;
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// How a run ended, as scripts see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    SomeFailed,
    Usage,
    Missing,
    Refused,
    Resource,
    Cancelled,
}

impl Status {
    pub fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Ok => 0,
            Self::SomeFailed => 1,
            Self::Usage => 2,
            Self::Missing => 3,
            Self::Refused => 4,
            Self::Resource => 5,
            Self::Cancelled => 130,
        })
    }

    fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Model => Self::Missing,
            ErrorKind::Limit => Self::Refused,
            ErrorKind::Resource => Self::Resource,
            ErrorKind::Cancelled => Self::Cancelled,
            _ => Self::SomeFailed,
        }
    }

    /// The status of a run that failed to give its data to whoever reads its output.
    pub fn of_output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Resource,
            _ => Self::SomeFailed,
        }
    }

    /// The status after one more success: whatever failed before, it was not everything.
    pub fn and_success(self) -> Self {
        match self {
            Self::Ok | Self::Cancelled => self,
            _ => Self::SomeFailed,
        }
    }

    /// The status after one more failure: its own code while all failures agree and nothing
    /// succeeded, else "some inputs failed"; a cancelled run is a cancelled run.
    pub fn and_failure(self, error: &Error, alone: bool) -> Self {
        let new = Self::of(error.kind());
        match (self, new) {
            (_, Self::Cancelled) | (Self::Cancelled, _) => Self::Cancelled,
            (Self::Ok, new) if alone => new,
            (old, new) if old == new => old,
            _ => Self::SomeFailed,
        }
    }
}

/// The two ways of speaking.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    pub json: bool,
    pub quiet: bool,
}

impl Output {
    /// One line of data: `text` for people, or `record` as a JSON line.
    pub fn data(self, text: &str, record: &impl Serialize) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            serde_json::to_writer(&mut out, record).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            writeln!(out, "{text}")?;
        }
        out.flush()?;
        Ok(())
    }

    /// Raw bytes of data (completions, manual).
    pub fn bytes(self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()?;
        Ok(())
    }

    /// A failed input.
    pub fn failure(self, error: &Error) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Record<'a> {
            r#type: &'static str,
            input: Option<String>,
            kind: &'static str,
            stage: &'static str,
            message: &'a str,
            hint: Option<&'a str>,
        }
        complain(&error.to_string());
        if !self.json {
            return Ok(());
        }
        self.data(
            "",
            &Record {
                r#type: "error",
                input: error.path().map(|p| p.to_string_lossy().into_owned()),
                kind: error.kind().as_str(),
                stage: error.stage().as_str(),
                message: error.message(),
                hint: error.what_to_do(),
            },
        )
    }

    /// What a person should know about an input that did not fail.
    pub fn notices(self, input: &Path, notices: &[Notice]) {
        if !self.quiet {
            for notice in notices {
                say(&format!("{}: {notice}", plain(&input.to_string_lossy())));
            }
        }
    }
}

/// A line to stderr; a closed stderr is nobody's concern.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// An error line to stderr.
pub fn complain(text: &str) {
    say(&format!("rushes: {text}"));
}

/// The I/O failure behind an error: outside the engine only writing to stdout has any.
pub fn output_failure(error: &anyhow::Error) -> Option<&io::Error> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rushes::error::Stage;

    #[test]
    fn codes_agree_or_say_some_failed() {
        let error = |kind| Error::new(kind, Stage::Open, "x");
        let (limit, input) = (error(ErrorKind::Limit), error(ErrorKind::Input));
        assert_eq!(Status::Ok.and_failure(&limit, true), Status::Refused);
        assert_eq!(Status::Ok.and_failure(&limit, false), Status::SomeFailed);
        assert_eq!(Status::Refused.and_failure(&input, true), Status::SomeFailed);
        assert_eq!(Status::Refused.and_success(), Status::SomeFailed);
        assert_eq!(Status::Ok.and_success(), Status::Ok);
        assert_eq!(
            Status::Refused.and_failure(&error(ErrorKind::Cancelled), true),
            Status::Cancelled
        );
    }
}
