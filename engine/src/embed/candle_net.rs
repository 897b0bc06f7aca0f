//! What every network in candle shares: how it is loaded, its threads, its errors.

use super::weights::{MOST_WEIGHT_BYTES, misfit, read};
use crate::device::Compute;
use crate::error::{Error, ErrorKind, Result, Stage};
use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// The engine's name in reports.
pub(super) const ENGINE: &str = "candle";

fn device(compute: Compute) -> Result<Device> {
    match compute {
        Compute::Cpu => Ok(Device::Cpu),
        Compute::Cuda(number) => Device::new_cuda(number as usize).map_err(|error| {
            let message = format!("GPU {number} cannot be used: {error}");
            Error::new(ErrorKind::Resource, Stage::Embed, message)
                .hint("`rushes doctor` tells more; --device cpu works everywhere")
        }),
    }
}

/// Where a network lives and runs.
pub(super) struct Place {
    pub(super) device: Device,
    /// What its weights are kept and its products computed in.
    pub(super) numbers: DType,
    path: PathBuf,
    threads: rayon::ThreadPool,
}

impl Place {
    /// The weights at `path`, on `compute`; on the CPU with `threads` threads. `on_gpu` is what a GPU
    /// computes with: halves take half the time and memory of floats, and CPUs have no products of
    /// them.
    pub(super) fn open(
        path: &Path,
        compute: Compute,
        on_gpu: DType,
        threads: NonZeroUsize,
    ) -> Result<(Self, VarBuilder<'static>)> {
        let device = device(compute)?;
        let numbers = if compute.is_gpu() { on_gpu } else { DType::F32 };
        let file = read(path, MOST_WEIGHT_BYTES)?;
        let weights = VarBuilder::from_buffered_safetensors(file, numbers, &device)
            .map_err(|error| misfit(path, format!("is no safetensors file: {error}")))?;
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.get())
            .thread_name(|at| format!("candle-{at}"))
            .build()
            .map_err(|error| {
                let message = format!("no threads for a model: {error}");
                Error::new(ErrorKind::Resource, Stage::Model, message).source(error)
            })?;
        Ok((Self { device, numbers, path: path.to_owned(), threads }, weights))
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
