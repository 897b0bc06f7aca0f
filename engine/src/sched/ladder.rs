//! What is done when something goes wrong: memory runs out, a worker dies, a device is lost.

use super::event::{Effect, Failure, StopReason};
use super::job::{DeviceId, HOST, JobId};
use super::ledger::{Amount, Device};
use super::state::{Job, Lease, Phase, State};

/// How often a job may lose its device.
const LOSSES: u32 = 1;

impl State {
    /// Memory ran out under `lease`, which is released: a smaller batch; a device without idle models;
    /// another device; the next alternative; failure. Each rung is stepped on once for each device or
    /// alternative, so there is an end.
    pub(super) fn out_of_memory(&mut self, lease: &Lease) {
        let Some(job) = self.jobs.get_mut(&lease.job) else { return };
        let alternative = &job.spec.alternatives[lease.alternative];
        job.floor = lease.alternative;
        if lease.batch > alternative.batch_min.max(1) {
            job.batch = Some((lease.batch / 2).max(alternative.batch_min).max(1));
            self.requeue(lease.job, StopReason::OutOfMemory);
            return;
        }
        if !job.alone {
            job.alone = true;
            self.requeue(lease.job, StopReason::OutOfMemory);
            return;
        }
        self.elsewhere_or_next(lease, StopReason::OutOfMemory, Failure::OutOfMemory);
    }

    /// Tries another device, then the next alternative, then gives up.
    pub(super) fn elsewhere_or_next(&mut self, lease: &Lease, why: StopReason, failure: Failure) {
        let Some(job) = self.jobs.get_mut(&lease.job) else { return };
        if !job.avoid.contains(&lease.device) {
            job.avoid.push(lease.device);
        }
        job.floor = lease.alternative;
        let Some(job) = self.jobs.get(&lease.job) else { return };
        if self.can_go_elsewhere(job) {
            self.requeue(lease.job, why);
            return;
        }
        let next = lease.alternative + 1;
        let rest = job.spec.alternatives.get(next..).unwrap_or_default();
        if rest.is_empty() || !self.feasible(rest, &self.known) {
            self.fail(lease.job, failure);
            return;
        }
        if let Some(job) = self.jobs.get_mut(&lease.job) {
            job.floor = next;
            job.batch = None;
            job.alone = false;
            job.avoid.clear();
        }
        self.requeue(lease.job, why);
    }

    /// Whether a device that works and was not tried could take the job's present alternative.
    fn can_go_elsewhere(&self, job: &Job) -> bool {
        self.can_take(job, job.floor)
    }

    fn can_take(&self, job: &Job, at: usize) -> bool {
        let alternative = &job.spec.alternatives[at];
        let batch = job.batch.filter(|_| at == job.floor).unwrap_or(alternative.batch_min);
        self.devices.values().any(|device| {
            device.is_usable()
                && device.spec.place() == alternative.place
                && !job.avoid.contains(&device.spec.id)
                && self
                    .amounts(alternative, batch, Some(&device.spec))
                    .0
                    .fits(&Device::whole(&device.spec))
        })
    }

    /// A worker died or was silent: once more, elsewhere if there is another place, since it may have
    /// been the device's fault; set aside when that happened too often.
    pub(super) fn worker_died(&mut self, lease: &Lease, why: StopReason) {
        let id = lease.job;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.kills += 1;
        if job.kills >= self.policy.kills {
            self.fail(id, Failure::Quarantined);
            return;
        }
        if !job.avoid.contains(&lease.device) {
            job.avoid.push(lease.device);
            let Some(job) = self.jobs.get(&id) else { return };
            if !self.has_a_place(job)
                && let Some(job) = self.jobs.get_mut(&id)
            {
                job.avoid.pop();
            }
        }
        self.requeue(id, why);
    }

    /// Whether a device that works and is not to be avoided could take any alternative that is left.
    fn has_a_place(&self, job: &Job) -> bool {
        (job.floor..job.spec.alternatives.len()).any(|at| self.can_take(job, at))
    }

    /// A device fails: what ran there waits again, once. Its workers still hold some of the host until
    /// they have ended.
    pub(super) fn lose(&mut self, id: DeviceId, for_good: bool) {
        let Some(device) = self.devices.get_mut(&id) else { return };
        device.up = false;
        device.removed |= for_good;
        device.promised = Amount::default();
        device.here = 0;
        device.models.clear();
        let leases = std::mem::take(&mut device.leases);
        self.dirty.remove(&id);
        self.index(id);
        self.kinds_changed();
        // It may have been the only place where a job was not to be avoided.
        for job in self.jobs.values_mut() {
            job.avoid.clear();
        }
        if self.reserved.is_some_and(|r| r.device == id) {
            self.reserved = None;
            self.everything_is_dirty();
        }
        // All of them before anything else is looked at: what one gives back must not start another.
        for lease_id in &leases {
            if let Some(lease) = self.leases.get_mut(lease_id) {
                lease.orphan = true;
            }
        }
        for lease_id in leases {
            let Some(lease) = self.leases.get(&lease_id) else { continue };
            let (job, phase) = (lease.job, lease.phase);
            match phase {
                Phase::Waiting | Phase::Loading => self.release(lease_id),
                Phase::Running => self.stop(lease_id, StopReason::DeviceLost),
                Phase::Stopping(_) => {}
            }
            let Some(job) = self.jobs.get_mut(&job) else { continue };
            job.lease = None;
            job.losses += 1;
            let (id, losses, cancelled) = (job.spec.id, job.losses, job.cancelled);
            if cancelled {
                self.forget(id);
                self.out.push(Effect::Cancelled(id));
            } else if losses > LOSSES {
                self.fail(id, Failure::DeviceLost);
            } else {
                self.requeue(id, StopReason::DeviceLost);
            }
        }
    }

    /// Devices came or went: whether jobs can still run somewhere is decided anew.
    pub(super) fn kinds_changed(&mut self) {
        let mut known = Vec::new();
        let mut working = Vec::new();
        self.gpus = 0;
        for device in self.devices.values().filter(|d| !d.removed) {
            let kind = (device.spec.place(), Device::whole(&device.spec));
            if !known.contains(&kind) {
                known.push(kind);
            }
            if device.up && !working.contains(&kind) {
                working.push(kind);
            }
            self.gpus += u64::from(device.up && device.spec.place() == super::job::Place::Gpu);
        }
        let (grew, shrank) = (
            working.iter().any(|kind| !self.working.contains(kind)),
            self.working.iter().any(|kind| !working.contains(kind))
                || self.known.iter().any(|kind| !known.contains(kind)),
        );
        let mut gpus = self.devices.values().filter(|d| d.is_usable() && d.spec.id != HOST);
        let speed = gpus.next().map(|device| device.spec.speed);
        self.alike = gpus.all(|device| Some(device.spec.speed) == speed);
        self.known = known;
        self.working = working;
        if grew {
            for id in std::mem::take(&mut self.parked) {
                self.enqueue(id);
            }
        }
        if shrank {
            let waiting: Vec<JobId> = self
                .jobs
                .iter()
                .filter(|(_, job)| job.lease.is_none())
                .map(|(id, _)| *id)
                .collect();
            for id in waiting {
                let Some(job) = self.jobs.get(&id) else { continue };
                let rest = &job.spec.alternatives[job.floor..];
                if !self.feasible(rest, &self.working) {
                    self.dequeue(id);
                    self.enqueue(id);
                }
            }
        }
    }
}
