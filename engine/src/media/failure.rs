//! How the threads of one reading stop together.

use crate::control::Cancel;
use crate::error::{Error, Result, Stage};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The first error of any thread, cancelling and running out of time included; the others stop
/// when they see it.
pub(super) struct Failure {
    failed: AtomicBool,
    error: Mutex<Option<Error>>,
    cancel: Cancel,
    deadline: Instant,
}

impl Failure {
    pub(super) fn new(cancel: &Cancel, deadline: Instant) -> Self {
        Self {
            failed: AtomicBool::new(false),
            error: Mutex::new(None),
            cancel: cancel.clone(),
            deadline,
        }
    }

    /// Runs a thread's work and keeps its error.
    pub(super) fn catch<T>(&self, work: impl FnOnce() -> Result<T>) -> Option<T> {
        match work() {
            Ok(value) => Some(value),
            Err(error) => {
                let mut slot = self.error.lock().unwrap_or_else(PoisonError::into_inner);
                if !self.failed.swap(true, Ordering::SeqCst) {
                    *slot = Some(error);
                }
                None
            }
        }
    }

    /// An error once any thread has failed (never the one reported) or the work must stop.
    pub(super) fn check(&self) -> Result<()> {
        if self.failed.load(Ordering::Relaxed) {
            return Err(Error::cancelled(Stage::Process));
        }
        self.cancel.check(Stage::Process)?;
        if Instant::now() > self.deadline {
            return Err(super::source::wall_time_over());
        }
        Ok(())
    }

    /// The error of the first thread that failed.
    pub(super) fn into_result(self) -> Result<()> {
        match self.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
