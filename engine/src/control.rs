//! How a caller follows and stops work: [`Cancel`] and [`Progress`].

use crate::error::{Error, Stage};
use crate::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A switch shared between the caller and the work; once set it stays set.
///
/// Every loop of the engine looks at it at least a few times a second, blocking reads included.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A switch that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the work to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the work was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An error once the work was asked to stop.
    pub fn check(&self, stage: Stage) -> Result<(), Error> {
        if self.is_cancelled() { Err(Error::cancelled(stage)) } else { Ok(()) }
    }
}

/// How far one input's processing has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The media time reached.
    pub at: Timestamp,
    /// The length of the programme, where it is known.
    pub total: Option<Timestamp>,
    /// Frames delivered to consumers so far.
    pub frames: u64,
    /// Bytes of output made so far, where that is known.
    pub bytes: u64,
}

impl Progress {
    /// The share done, 0 to 1, where the length is known.
    pub fn fraction(&self) -> Option<f64> {
        let total = self.total?.as_secs_f64();
        (total > 0.0).then(|| (self.at.as_secs_f64() / total).clamp(0.0, 1.0))
    }
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.at)?;
        if let Some(total) = self.total {
            write!(f, " of {total}")?;
        }
        if self.frames > 0 {
            write!(f, ", {} frames", self.frames)?;
        }
        if self.bytes > 0 {
            write!(f, ", {:.1} MB", self.bytes as f64 / 1e6)?;
        }
        Ok(())
    }
}

/// Receives [`Progress`] from the working threads.
pub type OnProgress = Arc<dyn Fn(Progress) + Send + Sync>;
