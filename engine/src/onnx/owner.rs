//! One thread that owns a model: it loads it, runs it for whoever asks, and drops it.
//!
//! ONNX Runtime's sessions take one run at a time, and runs from several threads were reported to
//! leak (onnxruntime#29351). So callers hand work over and wait.

use crate::error::{Error, ErrorKind, Result, Stage};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// A value of type `S` that lives in a thread of its own.
pub(crate) struct Owner<S> {
    jobs: Option<Sender<Job<S>>>,
    thread: Option<JoinHandle<()>>,
}

impl<S> std::fmt::Debug for Owner<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Owner").finish_non_exhaustive()
    }
}

impl<S: 'static> Owner<S> {
    /// Starts the thread and waits until `make` has made the value there.
    pub(crate) fn start(make: impl FnOnce() -> Result<S> + Send + 'static) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel::<Job<S>>();
        let (made, is_made) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("model".into())
            .spawn(move || {
                let mut value = match make() {
                    Ok(value) => {
                        let _ = made.send(Ok(()));
                        value
                    }
                    Err(error) => {
                        let _ = made.send(Err(error));
                        return;
                    }
                };
                while let Ok(job) = waiting.recv() {
                    job(&mut value);
                }
            })
            .map_err(|error| {
                let message = format!("no thread for a model: {error}");
                Error::new(ErrorKind::Resource, Stage::Model, message).source(error)
            })?;
        is_made.recv().unwrap_or_else(|_| Err(ended()))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Has `work` done by the thread and waits for what it gives.
    pub(crate) fn ask<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut S) -> R + Send + 'static,
    ) -> Result<R> {
        let (give, given) = mpsc::channel();
        let job: Job<S> = Box::new(move |value| {
            let _ = give.send(work(value));
        });
        self.jobs.as_ref().ok_or_else(ended)?.send(job).map_err(|_| ended())?;
        given.recv().map_err(|_| ended())
    }
}

impl<S> Drop for Owner<S> {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Internal, Stage::Model, "the model's thread has ended")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_by_one_thread() {
        let owner = Owner::start(|| Ok((std::thread::current().id(), 0_u32))).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let same = owner.ask(|(id, count)| {
                        *count += 1;
                        *id == std::thread::current().id()
                    });
                    assert!(same.unwrap());
                });
            }
        });
        assert_eq!(owner.ask(|(_, count)| *count).unwrap(), 8);
    }

    #[test]
    fn what_fails_to_load_and_what_breaks_is_an_error() {
        let made = Owner::<()>::start(|| Err(Error::cancelled(Stage::Model)));
        assert_eq!(made.err().unwrap().kind(), ErrorKind::Cancelled);
        let owner = Owner::start(|| Ok(())).unwrap();
        let broken = owner.ask(|()| assert!(std::hint::black_box(false)));
        assert_eq!(broken.unwrap_err().kind(), ErrorKind::Internal);
        assert_eq!(owner.ask(|()| ()).unwrap_err().kind(), ErrorKind::Internal);
    }
}
