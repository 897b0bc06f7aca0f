//! The state, and what each event does to it.

use super::event::{Effect, Event, Failure, Outcome, Refusal, Resource, StopReason, What};
use super::job::{
    Alternative, DeviceId, DeviceSpec, JobId, JobSpec, LeaseId, Millis, ModelId, Place, TenantId,
};
use super::learn::Learned;
use super::ledger::{Amount, Device};
use super::policy::Policy;
use super::queue::{Key, Queue};
use std::collections::{BTreeMap, BTreeSet};

/// All that the scheduler knows. See the module for what callers must keep to.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) policy: Policy,
    pub(super) now: Millis,
    pub(super) devices: BTreeMap<DeviceId, Device>,
    pub(super) jobs: BTreeMap<JobId, Job>,
    pub(super) leases: BTreeMap<LeaseId, Lease>,
    pub(super) queue: Queue,
    /// Jobs that no device which works could take, but one that is known.
    pub(super) parked: BTreeSet<JobId>,
    /// The job that waits for room, and where and when it will have it.
    pub(super) reserved: Option<Reserved>,
    /// Devices where there may be room that nobody was offered.
    pub(super) dirty: BTreeSet<DeviceId>,
    /// Waiting jobs that were offered nothing yet.
    pub(super) fresh: BTreeSet<JobId>,
    /// GPUs that work by what of their processors is not promised, and whether all are equally quick.
    pub(super) rooms: BTreeSet<(u64, DeviceId)>,
    pub(super) alike: bool,
    /// Leases on GPUs, by the end that is expected.
    pub(super) gpu_ends: BTreeSet<(Millis, LeaseId)>,
    /// Leases that hold some of the host, by the end that is expected.
    pub(super) host_ends: BTreeSet<(Millis, LeaseId)>,
    /// Whether somebody found no room for want of the host.
    pub(super) host_short: bool,
    /// When to look at a worker next.
    pub(super) watch: BTreeSet<(Millis, LeaseId)>,
    /// When a model's minimum stay is over.
    pub(super) stays: BTreeSet<(Millis, DeviceId)>,
    /// Leases that were granted and have not begun.
    pub(super) waiting: BTreeSet<LeaseId>,
    /// The kinds of devices that are known, and of those that work.
    pub(super) known: Vec<(Place, Amount)>,
    pub(super) working: Vec<(Place, Amount)>,
    pub(super) gpus: u64,
    pub(super) learned: Learned,
    pub(super) next_lease: u64,
    /// Devices with room that nobody within the window could use, and the grants since.
    pub(super) passed_by: BTreeSet<DeviceId>,
    pub(super) grants: usize,
    pub(super) out: Vec<Effect>,
}

#[derive(Clone, Debug)]
pub(super) struct Job {
    pub spec: JobSpec,
    pub key: Key,
    pub lease: Option<LeaseId>,
    pub cancelled: bool,
    /// Alternatives before this one are out of the question.
    pub floor: usize,
    /// The batch, once it was made smaller.
    pub batch: Option<u32>,
    /// Wants a device without idle models.
    pub alone: bool,
    /// Devices where memory ran out.
    pub avoid: Vec<DeviceId>,
    pub losses: u32,
    pub kills: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub job: JobId,
    pub tenant: TenantId,
    pub device: DeviceId,
    pub alternative: usize,
    pub choice: super::event::Choice,
    pub batch: u32,
    pub on_device: Amount,
    pub on_host: Amount,
    /// Bytes on the device after the peak.
    pub steady: u64,
    pub model: Option<ModelId>,
    pub phase: Phase,
    pub began: Millis,
    pub ends: Millis,
    /// The next entry in [`State::watch`].
    pub deadline: Option<Millis>,
    /// Its device is gone, and with it what it held there; its job has moved on.
    pub orphan: bool,
    /// What each millisecond costs its tenant.
    pub share: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waits until what is being unloaded is gone, or for its turn to load.
    Waiting,
    /// Waits for its model.
    Loading,
    Running,
    Stopping(StopReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reserved {
    pub job: JobId,
    pub alternative: usize,
    pub device: DeviceId,
    pub at: Millis,
}

/// A device as others may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceView {
    /// Which.
    pub id: DeviceId,
    /// Whether work may be given to it.
    pub works: bool,
    /// Bytes that are promised.
    pub promised: u64,
    /// Bytes that may lie there now.
    pub here: u64,
    /// Bytes that may be given out.
    pub memory: u64,
    /// Leases on it.
    pub leases: usize,
    /// Models on it, those included that come and go.
    pub models: usize,
}

impl State {
    /// A scheduler that knows of no device yet.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            now: 0,
            devices: BTreeMap::new(),
            jobs: BTreeMap::new(),
            leases: BTreeMap::new(),
            queue: Queue::default(),
            parked: BTreeSet::new(),
            reserved: None,
            dirty: BTreeSet::new(),
            fresh: BTreeSet::new(),
            rooms: BTreeSet::new(),
            alike: true,
            gpu_ends: BTreeSet::new(),
            host_ends: BTreeSet::new(),
            host_short: false,
            watch: BTreeSet::new(),
            stays: BTreeSet::new(),
            waiting: BTreeSet::new(),
            known: Vec::new(),
            working: Vec::new(),
            gpus: 0,
            learned: Learned::default(),
            next_lease: 1,
            passed_by: BTreeSet::new(),
            grants: 0,
            out: Vec::new(),
        }
    }

    /// What `event` leads to.
    #[must_use]
    pub fn step(mut self, event: Event) -> (Self, Vec<Effect>) {
        let effects = self.apply(event);
        (self, effects)
    }

    /// As [`State::step`], in place.
    pub fn apply(&mut self, event: Event) -> Vec<Effect> {
        self.now = self.now.max(event.at);
        self.pass_time();
        match event.what {
            What::Submit(jobs) => jobs.into_iter().for_each(|job| self.submit(job)),
            What::Cancel(job) => self.cancel(job),
            What::Device(spec) => self.device(spec),
            What::Lost(device) => self.lose(device, false),
            What::Removed(device) => self.lose(device, true),
            What::Back(device) => self.back(device),
            What::Weight(tenant, weight) => {
                self.policy.weights.insert(tenant, weight);
            }
            What::Foreign(device, bytes) => self.foreign(device, bytes),
            What::Loaded(device, model) => self.loaded(device, model),
            What::LoadFailed { device, model, out_of_memory } => {
                self.load_failed(device, model, out_of_memory);
            }
            What::Unloaded(device, model) => self.unloaded(device, model),
            What::Progress(lease) => self.progress(lease),
            What::Settled(lease) => self.settled(lease),
            What::Ended(lease, outcome) => self.ended(lease, outcome),
            What::Tick => {
                if self.queue.len() > 0 {
                    self.everything_is_dirty();
                }
            }
        }
        self.dispatch();
        std::mem::take(&mut self.out)
    }

    /// When [`What::Tick`] should come at the latest; `None` if nothing waits for time to pass.
    pub fn next_wake(&self) -> Option<Millis> {
        let watch = self.watch.first().map(|(at, _)| *at);
        let stays = self.stays.first().map(|(at, _)| *at).filter(|_| self.queue.len() > 0);
        // Once: whoever is overdue ends any moment, and tells.
        let reserved = self.reserved.map(|r| r.at).filter(|at| *at > self.now);
        [watch, stays, reserved].into_iter().flatten().min()
    }

    /// Jobs that wait.
    pub fn waiting_jobs(&self) -> usize {
        self.queue.len() + self.parked.len()
    }

    /// Leases that are not over.
    pub fn running_leases(&self) -> usize {
        self.leases.len()
    }

    /// The job that waits for room, with where and when it will have it by the estimates.
    pub fn next_in_line(&self) -> Option<(JobId, DeviceId, Millis)> {
        self.reserved.map(|r| (r.job, r.device, r.at))
    }

    /// The devices.
    pub fn devices(&self) -> impl Iterator<Item = DeviceView> + '_ {
        self.devices.values().map(|d| DeviceView {
            id: d.spec.id,
            works: d.is_usable(),
            promised: d.promised.memory,
            here: d.here,
            memory: d.memory(),
            leases: d.leases.len(),
            models: d.models.len(),
        })
    }

    fn submit(&mut self, spec: JobSpec) {
        let id = spec.id;
        let refusal = if self.jobs.contains_key(&id) {
            Some(Refusal::Known)
        } else if spec.alternatives.is_empty() {
            Some(Refusal::NoAlternative)
        } else if !self.feasible(&spec.alternatives, &self.known) {
            Some(self.never_fits(&spec))
        } else if self.waiting_jobs() >= self.policy.queue
            || self.queue.len_of(spec.tenant) >= self.policy.queue_per_tenant
        {
            let retry_after = (self.queue.work() / self.gpus.max(1)).clamp(1_000, 3_600_000);
            Some(Refusal::Full { retry_after })
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.out.push(Effect::Refused(id, refusal));
            return;
        }
        self.out.push(Effect::Accepted(id));
        let key = Key::new(&spec, self.size(&spec), self.now, &self.policy);
        let job = Job {
            spec,
            key,
            lease: None,
            cancelled: false,
            floor: 0,
            batch: None,
            alone: false,
            avoid: Vec::new(),
            losses: 0,
            kills: 0,
        };
        self.jobs.insert(id, job);
        self.enqueue(id);
    }

    /// How large a job is for the order of the queue: its time by the length of the vector of what it
    /// takes of a device, in thousandths of the largest there is, at most a whole one. Where jobs share
    /// devices, one that takes much is as hard to place late as one that is long.
    fn size(&self, spec: &JobSpec) -> u64 {
        let Some(first) = spec.alternatives.first() else { return 0 };
        let takes = self.amounts(first, first.batch, None).0;
        let of_place = || self.known.iter().filter(|(place, _)| *place == first.place);
        let part = |of: fn(&Amount) -> u64| {
            let most = of_place().map(|(_, whole)| of(whole)).max().unwrap_or(0);
            let part = u128::from(of(&takes)) * 1000 / u128::from(most.max(1));
            u64::try_from(part).unwrap_or(1000).min(1000)
        };
        let parts =
            [part(|a| a.memory), part(|a| a.compute), part(|a| a.decode), part(|a| a.encode)];
        let length = parts.iter().map(|part| part * part).sum::<u64>().isqrt();
        first.estimate.saturating_mul(length.clamp(1, 1000))
    }

    /// What is short for `spec` in the alternative that comes nearest to fitting.
    fn never_fits(&self, spec: &JobSpec) -> Refusal {
        let host =
            self.known.iter().find(|(place, _)| *place == Place::Host).map(|(_, whole)| *whole);
        let mut nearest: Option<(f64, Refusal)> = None;
        let mut note = |resource, need: u64, most: u64| {
            let ratio = need as f64 / (most.max(1)) as f64;
            if nearest.as_ref().is_none_or(|(least, _)| ratio < *least) {
                nearest = Some((ratio, Refusal::NeverFits { resource, need, most }));
            }
        };
        for alternative in &spec.alternatives {
            let (on_device, on_host) = self.amounts(alternative, alternative.batch_min, None);
            let most = |of: fn(&Amount) -> u64| {
                let places = self.known.iter().filter(|(place, _)| *place == alternative.place);
                places.map(|(_, whole)| of(whole)).max()
            };
            if most(|a| a.memory).is_none() {
                note(Resource::Device, 1, 0);
                continue;
            }
            type Part = (Resource, fn(&Amount) -> u64);
            let parts: [Part; 5] = [
                (Resource::Memory, |a| a.memory),
                (Resource::Compute, |a| a.compute),
                (Resource::Decode, |a| a.decode),
                (Resource::Encode, |a| a.encode),
                (Resource::Disk, |a| a.disk),
            ];
            for (resource, of) in parts {
                let most = most(of).unwrap_or(0);
                if of(&on_device) > most {
                    note(resource, of(&on_device), most);
                }
            }
            let host = host.unwrap_or_default();
            let parts: [Part; 3] = [
                (Resource::HostMemory, |a| a.memory),
                (Resource::HostCompute, |a| a.compute),
                (Resource::Disk, |a| a.disk),
            ];
            for (resource, of) in parts {
                if of(&on_host) > of(&host) {
                    note(resource, of(&on_host), of(&host));
                }
            }
        }
        let fallback = Refusal::NeverFits { resource: Resource::Device, need: 1, most: 0 };
        nearest.map_or(fallback, |(_, refusal)| refusal)
    }

    /// Whether any of `alternatives` fits an empty device of `kinds`, with its smallest batch.
    pub(super) fn feasible(&self, alternatives: &[Alternative], kinds: &[(Place, Amount)]) -> bool {
        let host = kinds.iter().find(|(place, _)| *place == Place::Host).map(|(_, whole)| *whole);
        alternatives.iter().any(|alternative| {
            let (on_device, on_host) = self.amounts(alternative, alternative.batch_min, None);
            (on_host.is_nothing() || host.is_some_and(|host| on_host.fits(&host)))
                && kinds
                    .iter()
                    .any(|(place, whole)| *place == alternative.place && on_device.fits(whole))
        })
    }

    /// What an alternative takes of its device (its model included) and of the host besides; by what
    /// was learned, where the device is given.
    pub(super) fn amounts(
        &self,
        alternative: &Alternative,
        batch: u32,
        device: Option<&DeviceSpec>,
    ) -> (Amount, Amount) {
        let need = &alternative.need;
        let peak = match device {
            Some(device) => {
                // What was seen ran there: the margin on it must not say that it does not fit.
                let model = alternative.model.map_or(0, |model| model.bytes);
                let besides = match alternative.place {
                    Place::Host => model.saturating_add(need.host_memory),
                    Place::Gpu => model,
                };
                let most = Device::whole(device).memory.saturating_sub(besides);
                let declared = alternative.peak(batch);
                self.learned.peak(alternative, device, batch).min(most.max(declared))
            }
            None => alternative.peak(batch),
        };
        let on_device = Amount {
            memory: peak.saturating_add(alternative.model.map_or(0, |model| model.bytes)),
            compute: u64::from(need.compute),
            decode: u64::from(need.decode),
            encode: u64::from(need.encode),
            disk: 0,
        };
        let on_host = Amount {
            memory: need.host_memory,
            compute: u64::from(need.host_compute),
            disk: need.disk,
            ..Amount::default()
        };
        match alternative.place {
            Place::Gpu => (on_device, on_host),
            Place::Host => (on_device.plus(&on_host), Amount::default()),
        }
    }

    fn cancel(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.cancelled {
            return;
        }
        job.cancelled = true;
        let Some(lease) = job.lease else {
            self.dequeue(id);
            self.forget(id);
            self.out.push(Effect::Cancelled(id));
            return;
        };
        match self.leases.get(&lease).map(|l| l.phase) {
            Some(Phase::Running) => self.stop(lease, StopReason::Cancelled),
            Some(Phase::Stopping(_)) | None => {}
            // Nothing was begun for it: no worker has to be asked.
            Some(Phase::Waiting | Phase::Loading) => {
                self.release(lease);
                self.forget(id);
                self.out.push(Effect::Cancelled(id));
            }
        }
    }

    fn device(&mut self, spec: DeviceSpec) {
        match self.devices.get_mut(&spec.id) {
            Some(device) => {
                device.spec = spec;
                device.removed = false;
            }
            None => {
                self.devices.insert(spec.id, Device::new(spec));
            }
        }
        self.dirty.insert(spec.id);
        self.index(spec.id);
        self.kinds_changed();
    }

    /// Brings [`State::rooms`] up to date with a device whose processors were promised or given back.
    pub(super) fn index(&mut self, id: DeviceId) {
        let Some(device) = self.devices.get_mut(&id).filter(|d| d.spec.place() == Place::Gpu)
        else {
            return;
        };
        let room = device.is_usable().then(|| device.room().compute);
        let before = std::mem::replace(&mut device.indexed, room);
        if before != room {
            before.into_iter().for_each(|room| {
                self.rooms.remove(&(room, id));
            });
            self.rooms.extend(room.map(|room| (room, id)));
        }
    }

    fn back(&mut self, id: DeviceId) {
        if let Some(device) = self.devices.get_mut(&id) {
            device.up = true;
            self.dirty.insert(id);
            self.index(id);
            self.kinds_changed();
        }
    }

    fn foreign(&mut self, id: DeviceId, bytes: u64) {
        if let Some(device) = self.devices.get_mut(&id) {
            let less = bytes < device.foreign;
            device.foreign = bytes;
            if less {
                self.dirty.insert(id);
                if self.host_short {
                    self.everything_is_dirty();
                }
                self.advance(id);
            }
        }
    }

    fn progress(&mut self, id: LeaseId) {
        let silence = self.policy.silence;
        match self.leases.get(&id) {
            Some(lease) if lease.phase == Phase::Running => {
                self.watch_until(id, self.now.saturating_add(silence));
            }
            Some(_) => {}
            None => self.out.push(Effect::Stale(id)),
        }
    }

    fn ended(&mut self, id: LeaseId, outcome: Outcome) {
        let Some(lease) = self.leases.get(&id) else {
            self.out.push(Effect::Stale(id));
            return;
        };
        if matches!(lease.phase, Phase::Waiting | Phase::Loading) {
            // Nobody was told to begin.
            self.out.push(Effect::Stale(id));
            return;
        }
        let lease = lease.clone();
        self.release(id);
        if lease.orphan {
            self.out.push(Effect::Stale(id));
            return;
        }
        let Some(job) = self.jobs.get(&lease.job) else { return };
        if job.cancelled {
            self.forget(lease.job);
            self.out.push(Effect::Cancelled(lease.job));
            return;
        }
        match outcome {
            Outcome::Done { peak } => {
                if let (Some(peak), Some(device)) = (peak, self.devices.get(&lease.device)) {
                    let alternative = &job.spec.alternatives[lease.alternative];
                    self.learned.saw(alternative, &device.spec, lease.batch, peak);
                }
                self.forget(lease.job);
                self.out.push(Effect::Done(lease.job));
            }
            Outcome::Failed => self.fail(lease.job, Failure::Work),
            Outcome::OutOfMemory => self.out_of_memory(&lease),
            Outcome::WorkerDied | Outcome::Stopped => {
                let stalled = lease.phase == Phase::Stopping(StopReason::Stalled);
                let why = if stalled { StopReason::Stalled } else { StopReason::WorkerDied };
                self.worker_died(&lease, why);
            }
        }
    }

    /// Time passes: silent workers, models that have stayed long enough.
    fn pass_time(&mut self) {
        while let Some((at, id)) = self.watch.first().copied().filter(|(at, _)| *at <= self.now) {
            self.watch.remove(&(at, id));
            let Some(lease) = self.leases.get_mut(&id) else { continue };
            lease.deadline = None;
            match lease.phase {
                Phase::Running => self.stop(id, StopReason::Stalled),
                Phase::Stopping(_) => self.out.push(Effect::Kill(id)),
                // Somebody else took the memory that was to become free.
                Phase::Waiting => {
                    let lease = lease.clone();
                    self.release(id);
                    self.elsewhere_or_next(&lease, StopReason::OutOfMemory, Failure::OutOfMemory);
                }
                Phase::Loading => {}
            }
        }
        while let Some((at, device)) = self.stays.first().copied().filter(|(at, _)| *at <= self.now)
        {
            self.stays.remove(&(at, device));
            self.dirty.insert(device);
        }
    }
}
