//! What goes in and what comes out.

use super::job::{DeviceId, DeviceSpec, JobId, JobSpec, LeaseId, Millis, ModelId, TenantId};
use serde::{Deserialize, Serialize};

/// Something that happened, and when. Times never run backwards: an earlier one than the last is
/// taken for that one, so a clock that jumps harms nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Millis,
    /// What.
    pub what: What,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// Jobs are wanted. What comes together is decided on together.
    Submit(Vec<JobSpec>),
    /// A job is no longer wanted.
    Cancel(JobId),
    /// There is a device, or it is otherwise than was thought.
    Device(DeviceSpec),
    /// A device fails; it may come back.
    Lost(DeviceId),
    /// A device that was lost works again, with nothing on it.
    Back(DeviceId),
    /// A device is gone for good.
    Removed(DeviceId),
    /// A tenant's weight is so much from now on, 0 taken for 1.
    Weight(TenantId, u32),
    /// So many bytes of a device are held by programs that are not ours.
    Foreign(DeviceId, u64),
    /// A model lies on its device.
    Loaded(DeviceId, ModelId),
    /// It does not, for want of memory or another reason.
    LoadFailed {
        /// Where.
        device: DeviceId,
        /// Which.
        model: ModelId,
        /// Whether memory ran out.
        out_of_memory: bool,
    },
    /// A model's memory was given back.
    Unloaded(DeviceId, ModelId),
    /// The worker of a lease is alive and gets on.
    Progress(LeaseId),
    /// The worker of a lease has passed its peak.
    Settled(LeaseId),
    /// The attempt is over and holds nothing any more.
    Ended(LeaseId, Outcome),
    /// Time has passed.
    Tick,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is done; the most bytes that were seen on the device, where somebody looked.
    Done {
        /// Without the model's.
        peak: Option<u64>,
    },
    /// It failed by itself: trying again is not the scheduler's business.
    Failed,
    /// The device's memory ran out.
    OutOfMemory,
    /// The worker died without a word. The job is tried again, elsewhere if there is such a place.
    WorkerDied,
    /// It was stopped as asked.
    Stopped,
}

/// Something that is to be done, or is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// A job is taken on.
    Accepted(JobId),
    /// A job is not taken on.
    Refused(JobId, Refusal),
    /// Load a model; other leases go on meanwhile.
    Load(DeviceId, ModelId),
    /// Unload a model that nobody uses.
    Evict(DeviceId, ModelId),
    /// Have a worker begin.
    Start {
        /// The lease, which every word of the worker must carry.
        lease: LeaseId,
        /// The job.
        job: JobId,
        /// The device.
        device: DeviceId,
        /// Which of the job's alternatives, from 0.
        alternative: u32,
        /// Why that one.
        choice: Choice,
        /// Items to work on at once.
        batch: u32,
        /// Bytes on the device that it may take, the model's not counted.
        memory: u64,
    },
    /// Ask the worker of a lease to stop.
    Stop(LeaseId, StopReason),
    /// It did not: end it.
    Kill(LeaseId),
    /// The lease is over and its room is given back. Told once for each.
    Released(LeaseId),
    /// The job waits again.
    Requeued(JobId, StopReason),
    /// The job is done.
    Done(JobId),
    /// The job has failed for good.
    Failed(JobId, Failure),
    /// The job was cancelled.
    Cancelled(JobId),
    /// Word came from a lease that is over: its result must not be used.
    Stale(LeaseId),
}

/// Why this alternative was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// It is the first.
    First,
    /// It is done sooner than waiting for a better one would be.
    Sooner,
    /// No device that works could take a better one.
    OnlyOne,
    /// A better one ran out of memory.
    AfterOutOfMemory,
}

/// Why work is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The job was cancelled.
    Cancelled,
    /// The worker has been silent for too long.
    Stalled,
    /// The device was lost.
    DeviceLost,
    /// Memory ran out.
    OutOfMemory,
    /// The worker died.
    WorkerDied,
    /// The model could not be loaded.
    LoadFailed,
}

/// Why a job is not taken on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// A job of this id waits or runs already.
    Known,
    /// It lists no way to do it.
    NoAlternative,
    /// The queue is full; when there may be room.
    Full {
        /// Milliseconds from now.
        retry_after: Millis,
    },
    /// No device could ever take it, even empty: what is short in the alternative that is nearest.
    NeverFits {
        /// The resource.
        resource: Resource,
        /// How much is needed.
        need: u64,
        /// The most that any device has.
        most: u64,
    },
}

/// What can be short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// There is no device of that kind.
    Device,
    /// Bytes on the device.
    Memory,
    /// Thousandths of the device.
    Compute,
    /// Decoding sessions.
    Decode,
    /// Encoding sessions.
    Encode,
    /// Bytes of main memory.
    HostMemory,
    /// Thousandths of the host's threads.
    HostCompute,
    /// Bytes of disk.
    Disk,
}

/// Why a job has failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The work failed by itself.
    Work,
    /// Memory ran out on every device with every alternative.
    OutOfMemory,
    /// Two workers died or fell silent over it: it is not tried again.
    Quarantined,
    /// The device under it was lost a second time.
    DeviceLost,
    /// Its model cannot be loaded.
    LoadFailed,
    /// Devices went away, and none that is left could take it.
    NeverFits,
}
