//! What runs kernels: a GPU, or in tests the same source as CPU code.

use super::mask::{Kernel, Mask};
use super::params::Params;
use super::tables::Tables;
use crate::error::Result;
use std::any::Any;
use std::sync::Arc;

/// Something that must live as long as what is in device memory is used.
pub type Keeper = Arc<dyn Any + Send + Sync>;

/// A piece of device memory, given back when the last copy of this goes. Work that was queued before
/// that still sees it.
#[derive(Clone)]
pub struct Memory {
    pub(crate) address: u64,
    pub(crate) bytes: usize,
    /// The owner; only kept.
    pub(crate) _keeper: Keeper,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes at {:#x}", self.bytes, self.address)
    }
}

impl Memory {
    /// Its first byte's address on the device.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Its length.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A queue of work on a device: what is asked for is done in order, some time later.
pub trait Machine: Send + Sync {
    /// Memory of so many bytes; what it holds is not defined.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Resource`] when there is not enough.
    fn allocate(&self, bytes: usize) -> Result<Memory>;

    /// Copies `bytes` to the beginning of `to`; they may be changed as soon as this is back.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Internal`] when they do not fit; the device's own failures.
    fn write(&self, to: &Memory, bytes: &[u8]) -> Result<()>;

    /// What `from` holds once all work before this is done, for which it waits.
    ///
    /// # Errors
    /// The device's failures, also those of the work before.
    fn read(&self, from: &Memory) -> Result<Vec<u8>>;

    /// Keeps `keeper` until all work that was asked for so far is done.
    ///
    /// # Errors
    /// The device's failures.
    fn hold(&self, keeper: Keeper) -> Result<()>;

    /// Tables in this machine's memory.
    fn tables(&self) -> &Tables;

    /// Runs a kernel on `grid` blocks.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] when the kernel cannot be made for this device; the device's
    /// failures.
    #[doc(hidden)]
    fn launch(&self, launch: Launch<'_>) -> Result<()>;
}

/// A kernel with its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    pub(crate) kernel: Kernel,
    pub(crate) mask: Mask,
    pub(crate) grid: [u32; 2],
    pub(crate) params: &'a Params,
}

/// Memory that holds `bytes`.
pub(crate) fn stored(machine: &dyn Machine, bytes: &[u8]) -> Result<Memory> {
    let memory = machine.allocate(bytes.len().max(1))?;
    machine.write(&memory, bytes)?;
    Ok(memory)
}
