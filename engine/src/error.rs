//! The one error type of the library: what failed, at which stage, on which input, and what to do.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

/// `Result` with the library's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The class of a failure: what a caller decides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is missing, unreadable, damaged or not media.
    Input,
    /// The input is sound, but this build or version cannot handle it.
    Unsupported,
    /// A configured limit ([`crate::limits::Limits`]) or a safety rule refused the work.
    Limit,
    /// The machine ran out of memory, descriptors, disk or threads.
    Resource,
    /// A model or run-time library is missing or damaged.
    Model,
    /// An output or the library folder could not be written or read.
    Storage,
    /// The caller cancelled the work.
    Cancelled,
    /// A defect of this library.
    Internal,
}

impl ErrorKind {
    /// The lower-case word used in JSON output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Unsupported => "unsupported",
            Self::Limit => "limit",
            Self::Resource => "resource",
            Self::Model => "model",
            Self::Storage => "storage",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

/// Where in the way of the data the failure happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Opening the file and recognising its container.
    Open,
    /// Reading stream descriptions.
    Probe,
    /// Reading packets.
    Demux,
    /// Turning packets into frames and samples.
    Decode,
    /// Converting pictures or samples.
    Convert,
    /// Compressing pictures or samples.
    Encode,
    /// Writing packets into a container.
    Mux,
    /// Writing, syncing or publishing files.
    Write,
    /// Finding speech and turning it into text.
    Transcribe,
    /// Reading or writing subtitles.
    Subtitles,
    /// Reading text in pictures.
    Ocr,
    /// Turning texts and pictures into vectors.
    Embed,
    /// Answering a question from a library.
    Search,
    /// Composing pictures and mixing sound for a finished film.
    Render,
    /// Loading a model or its run-time library.
    Model,
    /// Planning or running several stages together.
    Process,
    /// Reading an edit spec and laying it out.
    Timeline,
    /// Finding out what a machine has, and working on a GPU.
    Device,
    /// Finding what matters in what is said and shown: dictionaries, rules, clips, scores.
    Insight,
    /// Finding trading rules, and testing them on prices.
    Strategy,
    /// Sharing out what is shown among variants.
    Variants,
    /// Keeping assets and finding them.
    Assets,
}

impl Stage {
    /// The lower-case word used in messages and JSON output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Probe => "probe",
            Self::Demux => "demux",
            Self::Decode => "decode",
            Self::Convert => "convert",
            Self::Encode => "encode",
            Self::Mux => "mux",
            Self::Write => "write",
            Self::Transcribe => "transcribe",
            Self::Subtitles => "subtitles",
            Self::Ocr => "ocr",
            Self::Embed => "embed",
            Self::Search => "search",
            Self::Render => "render",
            Self::Model => "model",
            Self::Process => "process",
            Self::Timeline => "timeline",
            Self::Device => "device",
            Self::Insight => "insight",
            Self::Strategy => "strategy",
            Self::Variants => "variants",
            Self::Assets => "assets",
        }
    }
}

/// A failure, with all that a person needs to act on it.
///
/// `Display` gives `INPUT: what is wrong (stage); what to do`.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    stage: Stage,
    message: Cow<'static, str>,
    input: Option<PathBuf>,
    hint: Option<Cow<'static, str>>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure of `kind` at `stage`; `message` says what is wrong, without the input's name.
    pub fn new(kind: ErrorKind, stage: Stage, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            stage,
            message: message.into(),
            input: None,
            hint: None,
            source: None,
        }))
    }

    /// The error of work that was cancelled.
    pub fn cancelled(stage: Stage) -> Self {
        Self::new(ErrorKind::Cancelled, stage, "cancelled")
    }

    /// An I/O failure while reading the input or writing an output, classed by its cause:
    /// no space, too many files and out of memory are [`ErrorKind::Resource`].
    pub fn io(stage: Stage, path: &Path, error: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::StorageFull | Io::QuotaExceeded | Io::OutOfMemory | Io::FileTooLarge => {
                ErrorKind::Resource
            }
            _ if matches!(error.raw_os_error(), Some(23 | 24)) => ErrorKind::Resource,
            _ if stage == Stage::Write => ErrorKind::Storage,
            _ => ErrorKind::Input,
        };
        let hint = match error.kind() {
            Io::NotFound if stage != Stage::Write => "check the path",
            Io::PermissionDenied => "check the permissions",
            Io::StorageFull | Io::QuotaExceeded => "free some space and run it again",
            _ if kind == ErrorKind::Resource => {
                "close other programs or raise the limit, then retry"
            }
            _ => "",
        };
        let message = error.to_string();
        let made = Self::new(kind, stage, message).input(path).source(error);
        if hint.is_empty() { made } else { made.hint(hint) }
    }

    /// Names the input (or output) that failed; the first name given stays.
    #[must_use]
    pub fn input(mut self, path: &Path) -> Self {
        self.0.input.get_or_insert_with(|| path.to_path_buf());
        self
    }

    /// Says what a person can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Attaches the underlying cause.
    #[must_use]
    pub fn source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// The class of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stage at which it failed.
    pub fn stage(&self) -> Stage {
        self.0.stage
    }

    /// What is wrong, without the input's name or the hint.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The input or output concerned.
    pub fn path(&self) -> Option<&Path> {
        self.0.input.as_deref()
    }

    /// What to do about it, if there is something.
    pub fn what_to_do(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Whether the same call may succeed later without a change of input or settings.
    pub fn is_retryable(&self) -> bool {
        self.0.kind == ErrorKind::Resource
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(input) = &self.0.input {
            write!(f, "{}: ", crate::text::plain(&input.to_string_lossy()))?;
        }
        write!(f, "{} ({})", crate::text::plain(&self.0.message), self.0.stage.as_str())?;
        if let Some(hint) = &self.0.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|s| s as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_input_stage_and_remedy() {
        let error = Error::new(ErrorKind::Input, Stage::Open, "no such file")
            .input(Path::new("a\u{1b}[31m.mp4"))
            .hint("check the path");
        assert_eq!(error.to_string(), "a\\u{1b}[31m.mp4: no such file (open); check the path");
        assert!(!error.is_retryable());
    }

    #[test]
    fn full_disk_is_retryable() {
        let io = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = Error::io(Stage::Write, Path::new("out"), io);
        assert_eq!(error.kind(), ErrorKind::Resource);
        assert!(error.is_retryable());
    }
}
