//! What every network in candle shares: how it is loaded, its threads, its errors.

use super::weights::{MOST_WEIGHT_BYTES, misfit, read};
use crate::error::{Error, ErrorKind, Result, Stage};
use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// The engine's name in reports.
pub(super) const ENGINE: &str = "candle";

/// Where a network lives and runs.
pub(super) struct Place {
    pub(super) device: Device,
    path: PathBuf,
    threads: rayon::ThreadPool,
}

impl Place {
    /// The weights at `path`, on the CPU with `threads` threads.
    pub(super) fn open(path: &Path, threads: NonZeroUsize) -> Result<(Self, VarBuilder<'static>)> {
        let device = Device::Cpu;
        let file = read(path, MOST_WEIGHT_BYTES)?;
        // Halves are computed with as floats: CPUs have no products of them.
        let weights = VarBuilder::from_buffered_safetensors(file, DType::F32, &device)
            .map_err(|error| misfit(path, format!("is no safetensors file: {error}")))?;
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.get())
            .thread_name(|at| format!("candle-{at}"))
            .build()
            .map_err(|error| {
                let message = format!("no threads for a model: {error}");
                Error::new(ErrorKind::Resource, Stage::Model, message).source(error)
            })?;
        Ok((Self { device, path: path.to_owned(), threads }, weights))
    }

    /// The error of weights that are not the network's.
    pub(super) fn refused(&self, error: &candle_core::Error) -> Error {
        misfit(&self.path, format!("does not fit its settings: {error}"))
    }

    /// Runs `work` on this network's own threads.
    pub(super) fn run<R: Send>(
        &self,
        work: impl FnOnce() -> candle_core::Result<R> + Send,
    ) -> Result<R> {
        self.threads.install(work).map_err(|error| {
            Error::new(ErrorKind::Model, Stage::Embed, format!("the model failed: {error}"))
                .input(&self.path)
        })
    }
}
