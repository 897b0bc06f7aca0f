//! What a machine has to work with: processors, memory, GPUs and who holds them.
//!
//! One trait, [`Inventory`], and two who answer: [`Machine`] looks at this one (the kernel, and
//! NVIDIA's management library if a driver is there), [`Simulated`] at one that a file describes, for
//! tests, planning and the scheduler's simulator. What is missing is a stated [`Fact`], not an error: a
//! machine without a GPU is a whole machine.

mod bytes;
mod codecs;
mod compute;
#[cfg(feature = "cuda-kernels")]
pub(crate) mod cuda;
mod host;
mod machine;
mod nvml;
mod simulated;
mod visible;

pub use bytes::{parse_bytes, show_bytes};
pub use codecs::{CodecCache, CodecFact, Tried};
pub use compute::{Chosen, Compute, ComputeChoice};
pub use host::Host;
pub use machine::{Machine, MachineOptions};
pub use simulated::Simulated;
pub use visible::Visible;

use crate::error::Result;
use serde::Serialize;
use std::time::Duration;

/// Somebody who can say what there is.
pub trait Inventory: Send {
    /// What there is `since_start` after the first look. Only simulated machines care about the
    /// time: what happens to them is written down beforehand.
    ///
    /// # Errors
    /// Only where the machine itself cannot be read; a missing GPU or driver is a [`Fact`].
    fn look(&mut self, since_start: Duration) -> Result<Snapshot>;
}

/// A machine at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
    /// Processors and main memory.
    pub host: Host,
    /// GPUs, in the order of their bus addresses.
    pub gpus: Vec<Gpu>,
    /// What else is known, and what could not be found out.
    pub facts: Vec<Fact>,
}

impl Snapshot {
    /// The fact called `code`, if it was stated.
    pub fn fact(&self, code: &str) -> Option<&Fact> {
        self.facts.iter().find(|fact| fact.code == code)
    }
}

/// One GPU, or one instance of a GPU that is divided (MIG).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gpu {
    /// What names it for good: NVIDIA's UUID.
    pub id: String,
    /// Its place among the machine's GPUs, which may change when the machine is started anew.
    pub index: u32,
    /// The maker's name for it.
    pub name: String,
    /// Its memory.
    pub memory: GpuMemory,
    /// CUDA compute capability, major and minor.
    pub compute: Option<(u32, u32)>,
    /// Video coders that are in use, and how many it can run at once where that is known.
    pub coders: Coders,
    /// Whether the GPU is divided; an instance says which GPU it is part of.
    pub mig: Mig,
    /// How busy it was a moment ago, 0 to 100.
    pub busy_percent: Option<u32>,
    /// Degrees Celsius.
    pub temperature: Option<u32>,
    /// Watts.
    pub power: Option<f64>,
    /// Joules used since the driver was loaded.
    pub energy: Option<f64>,
    /// Whether work may be given to it.
    pub health: Health,
    /// How quick it is beside the others, 1 for the usual; only simulated machines say.
    pub speed: f64,
}

/// A GPU's memory in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GpuMemory {
    /// What is built in, less what the driver keeps for itself.
    pub total: u64,
    /// What nobody holds. It lags behind: what was reserved a moment ago may not show yet.
    pub free: u64,
    /// Who holds the rest, as far as the driver tells.
    pub holders: Vec<Holder>,
}

/// A process that holds memory of a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// Its program, where it can be seen (inside containers it often cannot).
    pub name: Option<String>,
    /// Bytes; `None` where the driver does not say.
    pub bytes: Option<u64>,
}

/// A GPU's video coders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coders {
    /// Decoding sessions that it can run at once; `None` if nobody knows.
    pub decode_sessions: Option<u32>,
    /// Encoding sessions that it can run at once; `Some(0)` for GPUs without an encoder.
    pub encode_sessions: Option<u32>,
    /// Encoding sessions that are open now, of all processes.
    pub encode_open: Option<u32>,
}

/// Whether a GPU is divided into instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mig {
    /// It is not.
    No,
    /// It is: work goes to the instances, not to it.
    Divided,
    /// An instance of the GPU with this id.
    PartOf(String),
}

/// Whether work may be given to a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It may.
    Good,
    /// It may not, for this reason (an Xid error, uncorrectable memory errors, fallen off the bus).
    Lost(String),
}

/// Something that was found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// A word for programs, such as `no-driver`.
    pub code: &'static str,
    /// What it is, for people.
    pub text: String,
}

impl Fact {
    pub(crate) fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}
