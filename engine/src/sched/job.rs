//! What is asked for: jobs with their alternatives; and what there is: devices.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Milliseconds since the scheduler's start, as the events tell.
pub type Millis = u64;

/// A job, named by whoever submits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub u64);

/// Somebody whose jobs share with others'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TenantId(pub u32);

/// A device; [`HOST`] is the machine's processors and main memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceId(pub u32);

/// The machine's processors and main memory.
pub const HOST: DeviceId = DeviceId(0);

/// A model that can lie in a device's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ModelId(pub u32);

/// One promise of room to one attempt at a job. Numbers only grow, so a lease is also the fencing
/// token of its attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeaseId(pub u64);

/// How urgent a job is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// When there is nothing else to do; waiting raises it.
    Low,
    /// The usual.
    #[default]
    Normal,
    /// Before the others of its tenant.
    High,
}

/// On which kind of device an alternative runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The processors.
    Host,
    /// Any GPU.
    Gpu,
}

/// What an alternative takes while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// Bytes on the device once it has settled ([`super::What::Settled`]).
    pub memory_steady: u64,
    /// The most bytes on the device at any time, the model's own not counted.
    pub memory_peak: u64,
    /// Thousandths of a GPU, or of a processor's thread on the host.
    pub compute: u32,
    /// Sessions of the GPU's video decoders.
    pub decode: u32,
    /// Sessions of its encoders.
    pub encode: u32,
    /// Bytes of main memory besides.
    pub host_memory: u64,
    /// Thousandths of a processor's thread besides.
    pub host_compute: u32,
    /// Bytes of disk for what lies there meanwhile.
    pub disk: u64,
}

/// A model that an alternative needs on its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelNeed {
    /// Which one.
    pub id: ModelId,
    /// Its bytes on the device.
    pub bytes: u64,
    /// How long loading takes.
    pub load: Millis,
}

/// One way to do a job. A job lists those that it accepts, the best first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternative {
    /// What results call it: `gpu f16`.
    pub name: Cow<'static, str>,
    /// Where it runs.
    pub place: Place,
    /// What it takes with the whole batch.
    pub need: Need,
    /// The model that it needs.
    pub model: Option<ModelNeed>,
    /// Items that it works on at once; 1 if there is no such thing.
    pub batch: u32,
    /// The fewest that it can.
    pub batch_min: u32,
    /// Bytes of the peak that each item of the batch accounts for.
    pub batch_bytes: u64,
    /// How long it takes on a device of speed 1.
    pub estimate: Millis,
    /// How good the result is: larger is better. Results tell it.
    pub quality: u8,
    /// What peaks are learned by, besides model and device: jobs of one shape use much the same memory.
    pub shape: Option<u32>,
}

impl Alternative {
    /// The least that there is: `name` at `place`, which takes `need` for `estimate`.
    pub fn new(name: &'static str, place: Place, need: Need, estimate: Millis) -> Self {
        Self {
            name: name.into(),
            place,
            need,
            model: None,
            batch: 1,
            batch_min: 1,
            batch_bytes: 0,
            estimate,
            quality: 0,
            shape: None,
        }
    }

    /// The most bytes it takes with a batch of `batch`.
    pub(super) fn peak(&self, batch: u32) -> u64 {
        let fewer = u64::from(self.batch.saturating_sub(batch)) * self.batch_bytes;
        self.need
            .memory_peak
            .saturating_sub(fewer)
            .max(self.need.memory_steady.min(self.need.memory_peak))
    }
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Its name; one that is known already is refused.
    pub id: JobId,
    /// Whose it is.
    pub tenant: TenantId,
    /// How urgent it is.
    pub priority: Priority,
    /// The ways to do it, the best first; at least one.
    pub alternatives: Vec<Alternative>,
}

/// A device and what of it may be given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSpec {
    /// [`HOST`], or any other number for a GPU.
    pub id: DeviceId,
    /// Bytes built in.
    pub memory: u64,
    /// Bytes that are never given out: the worker's context, and some for what is not foreseen.
    pub reserve: u64,
    /// Thousandths: 1000 for a GPU, 1000 for each of the host's threads.
    pub compute: u32,
    /// Sessions of its decoders.
    pub decode: u32,
    /// Sessions of its encoders.
    pub encode: u32,
    /// Bytes of disk (host only).
    pub disk: u64,
    /// Speed in thousandths of the usual.
    pub speed: u32,
}

impl DeviceSpec {
    /// A GPU of `memory` bytes and usual speed, all of which may be given out.
    pub fn gpu(id: u32, memory: u64) -> Self {
        Self {
            id: DeviceId(id),
            memory,
            reserve: 0,
            compute: 1000,
            decode: u32::MAX,
            encode: u32::MAX,
            disk: 0,
            speed: 1000,
        }
    }

    /// A host of `threads` processors and `memory` bytes.
    pub fn host(threads: u32, memory: u64) -> Self {
        let compute = threads.saturating_mul(1000);
        Self { compute, disk: u64::MAX, ..Self::gpu(HOST.0, memory) }
    }

    /// What kind it is.
    pub fn place(&self) -> Place {
        if self.id == HOST { Place::Host } else { Place::Gpu }
    }

    /// How long `estimate` takes on it.
    pub(super) fn takes(&self, estimate: Millis) -> Millis {
        (estimate.saturating_mul(1000) / u64::from(self.speed.max(1))).max(1)
    }
}
