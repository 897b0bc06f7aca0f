//! The life of a lease: granted, begun, over; and of a waiting job.

use super::event::{Effect, Failure, StopReason};
use super::job::{DeviceId, HOST, JobId, LeaseId, Millis, ModelId, Place};
use super::ledger::{Amount, Stay};
use super::place::Placement;
use super::queue::Weight;
use super::state::{Lease, Phase, State};

impl State {
    /// Has a job wait for room.
    pub(super) fn enqueue(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        if !self.feasible(&job.spec.alternatives[job.floor..], &self.working) {
            if self.feasible(&job.spec.alternatives[job.floor..], &self.known) {
                self.parked.insert(id);
            } else {
                self.fail(id, Failure::NeverFits);
            }
            return;
        }
        let (tenant, key, weight) = (job.spec.tenant, job.key, self.weight_of(id));
        self.queue.add(tenant, key, weight);
        self.fresh.insert(id);
    }

    /// Takes a job out of where it waits.
    pub(super) fn dequeue(&mut self, id: JobId) {
        self.fresh.remove(&id);
        if self.reserved.is_some_and(|r| r.job == id) {
            self.reserved = None;
            // What was kept for it is free for others.
            self.everything_is_dirty();
        }
        if self.parked.remove(&id) {
            return;
        }
        if let Some(job) = self.jobs.get(&id) {
            let (tenant, key, weight) = (job.spec.tenant, job.key, self.weight_of(id));
            self.queue.remove(tenant, &key, weight);
        }
    }

    fn weight_of(&self, id: JobId) -> Weight {
        let alternatives = self.jobs.get(&id).map_or(&[][..], |job| &job.spec.alternatives);
        let least = alternatives.iter().map(|a| a.need.memory_steady.min(a.peak(a.batch_min)));
        let work = alternatives.first().map_or(0, |first| {
            let thousandths = u64::from(first.need.compute.min(1000));
            first.estimate.saturating_mul(thousandths) / 1000
        });
        Weight {
            least_memory: least.min().unwrap_or(0),
            least_compute: alternatives.iter().map(|a| a.need.compute).min().unwrap_or(0),
            work,
        }
    }

    /// Forgets a job that is over.
    pub(super) fn forget(&mut self, id: JobId) {
        self.jobs.remove(&id);
        self.queue.tidy();
    }

    pub(super) fn fail(&mut self, id: JobId, why: Failure) {
        self.forget(id);
        self.out.push(Effect::Failed(id, why));
    }

    /// Has a job that was running wait again.
    pub(super) fn requeue(&mut self, id: JobId, why: StopReason) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.lease = None;
            self.out.push(Effect::Requeued(id, why));
            self.enqueue(id);
        }
    }

    /// Promises room to a waiting job.
    pub(super) fn grant(&mut self, id: JobId, placement: Placement) {
        self.dequeue_granted(id);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let lease_id = LeaseId(self.next_lease);
        self.next_lease += 1;
        job.lease = Some(lease_id);
        let alternative = &job.spec.alternatives[placement.alternative];
        let (tenant, model) = (job.spec.tenant, alternative.model);
        let steady = alternative.need.memory_steady;
        let steady = match alternative.place {
            Place::Gpu => steady,
            Place::Host => steady.saturating_add(alternative.need.host_memory),
        };
        let Some(device) = self.devices.get_mut(&placement.device) else { return };
        for evicted in &placement.evict {
            device.evict(*evicted);
            self.out.push(Effect::Evict(placement.device, *evicted));
        }
        device.promised = device.promised.plus(&placement.on_device);
        if let Some(model) = &model {
            device.use_model(model, self.now);
        }
        device.leases.push(lease_id);
        // The dominant share of the device, in thousandths.
        let part = |amount: u64, of: u64| amount.saturating_mul(1000) / of.max(1);
        let share = part(placement.on_device.compute, u64::from(device.spec.compute))
            .max(part(placement.on_device.memory, device.spec.memory))
            .clamp(1, 1000);
        if !placement.on_host.is_nothing()
            && let Some(host) = self.devices.get_mut(&HOST)
        {
            for evicted in &placement.evict_host {
                host.evict(*evicted);
                self.out.push(Effect::Evict(HOST, *evicted));
            }
            host.promised = host.promised.plus(&placement.on_host);
        }
        let lease = Lease {
            job: id,
            tenant,
            device: placement.device,
            alternative: placement.alternative,
            choice: placement.choice,
            batch: placement.batch,
            on_device: placement.on_device,
            on_host: placement.on_host,
            steady: steady.min(placement.on_device.memory),
            model: model.map(|m| m.id),
            phase: Phase::Waiting,
            began: self.now,
            ends: placement.ends,
            deadline: None,
            orphan: false,
            share,
        };
        if holds_host(&lease) {
            self.host_ends.insert((lease.ends, lease_id));
        }
        if lease.device != HOST {
            self.gpu_ends.insert((lease.ends, lease_id));
        }
        self.index(placement.device);
        self.charge(&lease, lease.ends - self.now, false);
        self.leases.insert(lease_id, lease);
        self.waiting.insert(lease_id);
        self.watch_until(lease_id, self.now.saturating_add(self.policy.silence));
        self.grants += 1;
        self.advance(placement.device);
    }

    fn dequeue_granted(&mut self, id: JobId) {
        if let Some(reserved) = self.reserved.filter(|r| r.job == id) {
            self.reserved = None;
            // What was kept for it and is not taken is free for others.
            self.dirty.insert(reserved.device);
            if self.host_short || !self.policy.backfill {
                self.everything_is_dirty();
            }
        }
        if let Some(job) = self.jobs.get(&id) {
            self.queue.serve(job.spec.tenant);
        }
        self.dequeue(id);
    }

    fn charge(&mut self, lease: &Lease, time: Millis, back: bool) {
        let cost = time.saturating_mul(lease.share) / self.policy.weight(lease.tenant);
        let cost = i64::try_from(cost).unwrap_or(i64::MAX);
        self.queue.charge(lease.tenant, if back { -cost } else { cost });
    }

    /// Begins what can begin on `device`; on the host, whatever waits for the host.
    pub(super) fn advance(&mut self, device: DeviceId) {
        let waiting: Vec<LeaseId> = self.waiting.iter().copied().collect();
        for id in waiting {
            let Some(lease) = self.leases.get(&id) else { continue };
            if lease.device == device || (device == HOST && lease.on_host.memory > 0) {
                self.begin(id);
            }
        }
    }

    /// Begins a lease, or its model's loading, if what it needs is really free.
    fn begin(&mut self, id: LeaseId) {
        let Some(lease) = self.leases.get(&id) else { return };
        let (on_host, memory, model) = (lease.on_host.memory, lease.on_device.memory, lease.model);
        let host_free =
            self.devices.get(&HOST).map_or(0, |host| host.memory().saturating_sub(host.here));
        if lease.orphan {
            return;
        }
        let Some(device) = self.devices.get(&lease.device) else { return };
        let free = device.memory().saturating_sub(device.here);
        let resident = model.and_then(|model| device.resident(model).copied());
        let (load, phase) = match resident {
            Some(r) if r.stay == Stay::Wanted => {
                // One at a time, and not while the same model is still leaving.
                if device.is_loading() || device.is_leaving(r.model) {
                    return;
                }
                (r.bytes, Phase::Loading)
            }
            Some(r) if r.stay == Stay::Loading => (0, Phase::Loading),
            _ => (0, Phase::Running),
        };
        if memory.saturating_add(load) > free || on_host > host_free {
            return;
        }
        self.waiting.remove(&id);
        if on_host > 0
            && let Some(host) = self.devices.get_mut(&HOST)
        {
            host.here += on_host;
        }
        let at = lease_device(&self.leases, id);
        if let Some(device) = at.and_then(|at| self.devices.get_mut(&at)) {
            device.here = device.here.saturating_add(memory).saturating_add(load);
            if load > 0 || resident.is_some_and(|r| r.stay == Stay::Wanted) {
                let at = device.spec.id;
                if let Some(resident) = model.and_then(|model| device.resident_mut(model)) {
                    resident.stay = Stay::Loading;
                    self.out.push(Effect::Load(at, resident.model));
                }
            }
        }
        if phase == Phase::Running {
            self.start(id);
        } else if let Some(lease) = self.leases.get_mut(&id) {
            lease.phase = Phase::Loading;
        }
    }

    fn start(&mut self, id: LeaseId) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        lease.phase = Phase::Running;
        self.out.push(Effect::Start {
            lease: id,
            job: lease.job,
            device: lease.device,
            alternative: u32::try_from(lease.alternative).unwrap_or(u32::MAX),
            choice: lease.choice,
            batch: lease.batch,
            memory: lease.on_device.memory,
        });
        self.watch_until(id, self.now.saturating_add(self.policy.silence));
    }

    pub(super) fn watch_until(&mut self, id: LeaseId, at: Millis) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        if let Some(before) = lease.deadline.replace(at) {
            self.watch.remove(&(before, id));
        }
        self.watch.insert((at, id));
    }

    /// Asks the worker of a running lease to stop.
    pub(super) fn stop(&mut self, id: LeaseId, why: StopReason) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.phase = Phase::Stopping(why);
            self.out.push(Effect::Stop(id, why));
            self.watch_until(id, self.now.saturating_add(self.policy.grace));
        }
    }

    /// Ends a lease and gives back all that it holds.
    pub(super) fn release(&mut self, id: LeaseId) {
        let Some(lease) = self.leases.remove(&id) else { return };
        let begun = !self.waiting.remove(&id);
        if let Some(at) = lease.deadline {
            self.watch.remove(&(at, id));
        }
        self.host_ends.remove(&(lease.ends, id));
        self.gpu_ends.remove(&(lease.ends, id));
        if !lease.orphan
            && let Some(device) = self.devices.get_mut(&lease.device)
        {
            device.leases.retain(|other| *other != id);
            device.promised = device.promised.minus(&lease.on_device);
            if begun {
                device.here = device.here.saturating_sub(lease.on_device.memory);
            }
            if let Some(model) = lease.model {
                device.leave_model(model, self.now);
            }
            self.dirty.insert(lease.device);
        }
        self.index(lease.device);
        if !lease.on_host.is_nothing()
            && let Some(host) = self.devices.get_mut(&HOST)
        {
            host.promised = host.promised.minus(&lease.on_host);
            if begun {
                host.here = host.here.saturating_sub(lease.on_host.memory);
            }
            self.dirty.insert(HOST);
        }
        if holds_host(&lease) && self.host_short {
            self.host_short = false;
            self.everything_is_dirty();
        }
        if let Some(job) = self.jobs.get_mut(&lease.job)
            && job.lease == Some(id)
        {
            job.lease = None;
        }
        // What it really took, not what was thought.
        let (thought, real) = (lease.ends - lease.began, self.now - lease.began);
        if real > thought {
            self.charge(&lease, real - thought, false);
        } else {
            self.charge(&lease, thought - real, true);
        }
        self.out.push(Effect::Released(id));
        self.advance(lease.device);
        if lease.on_host.memory > 0 {
            self.advance(HOST);
        }
    }

    /// The worker of `id` will not need its peak again.
    pub(super) fn settled(&mut self, id: LeaseId) {
        let Some(lease) = self.leases.get_mut(&id) else {
            self.out.push(Effect::Stale(id));
            return;
        };
        if lease.orphan || !matches!(lease.phase, Phase::Running | Phase::Stopping(_)) {
            return;
        }
        let less = lease.on_device.memory.saturating_sub(lease.steady);
        lease.on_device.memory -= less;
        let at = lease.device;
        if let Some(device) = self.devices.get_mut(&at).filter(|_| less > 0) {
            device.promised.memory = device.promised.memory.saturating_sub(less);
            device.here = device.here.saturating_sub(less);
            self.dirty.insert(at);
            self.advance(at);
        }
    }

    pub(super) fn loaded(&mut self, at: DeviceId, model: ModelId) {
        let stay = self.policy.stay;
        let Some(device) = self.devices.get_mut(&at) else { return };
        let Some(resident) = device.resident_mut(model).filter(|r| r.stay == Stay::Loading) else {
            return;
        };
        resident.stay = Stay::Ready;
        resident.loaded = self.now;
        resident.used = self.now;
        self.stays.insert((self.now.saturating_add(stay), at));
        for id in self.waiting_for(at, model) {
            self.start(id);
        }
        self.dirty.insert(at);
        self.advance(at);
    }

    /// The leases that wait until `model` is loaded.
    fn waiting_for(&self, at: DeviceId, model: ModelId) -> Vec<LeaseId> {
        let leases = self.devices.get(&at).map_or(&[][..], |device| &device.leases);
        let waits = |id: &&LeaseId| {
            self.leases.get(id).is_some_and(|l| l.phase == Phase::Loading && l.model == Some(model))
        };
        leases.iter().filter(waits).copied().collect()
    }

    pub(super) fn load_failed(&mut self, at: DeviceId, model: ModelId, out_of_memory: bool) {
        let Some(device) = self.devices.get(&at) else { return };
        if !device.resident(model).is_some_and(|r| r.stay == Stay::Loading) {
            return;
        }
        let failed: Vec<(LeaseId, Lease)> = device
            .leases
            .iter()
            .filter_map(|id| self.leases.get(id).map(|lease| (*id, lease.clone())))
            .filter(|(_, lease)| {
                lease.model == Some(model) && matches!(lease.phase, Phase::Loading | Phase::Waiting)
            })
            .collect();
        for (id, _) in &failed {
            self.release(*id);
        }
        if let Some(device) = self.devices.get_mut(&at)
            && let Some(place) =
                device.models.iter().position(|r| r.model == model && r.stay == Stay::Loading)
        {
            let gone = device.models.remove(place);
            device.promised.memory = device.promised.memory.saturating_sub(gone.bytes);
            device.here = device.here.saturating_sub(gone.bytes);
        }
        self.dirty.insert(at);
        self.advance(at);
        for (_, lease) in failed {
            if out_of_memory {
                self.out_of_memory(&lease);
            } else {
                self.elsewhere_or_next(&lease, StopReason::LoadFailed, Failure::LoadFailed);
            }
        }
    }

    pub(super) fn unloaded(&mut self, at: DeviceId, model: ModelId) {
        let Some(device) = self.devices.get_mut(&at) else { return };
        let leaving = |r: &super::ledger::Resident| r.model == model && r.stay == Stay::Evicting;
        if let Some(place) = device.models.iter().position(leaving) {
            let gone = device.models.remove(place);
            device.here = device.here.saturating_sub(gone.bytes);
            self.advance(at);
        }
    }

    /// Everything is to be offered anew.
    pub(super) fn everything_is_dirty(&mut self) {
        self.dirty.extend(self.devices.values().filter(|d| d.is_usable()).map(|d| d.spec.id));
    }
}

fn lease_device(
    leases: &std::collections::BTreeMap<LeaseId, Lease>,
    id: LeaseId,
) -> Option<DeviceId> {
    leases.get(&id).map(|lease| lease.device)
}

/// Whether it holds some of the host.
pub(super) fn holds_host(lease: &Lease) -> bool {
    lease.device == HOST || lease.on_host != Amount::default()
}
