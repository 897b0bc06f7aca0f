//! Which waiting job goes where.

use super::event::Choice;
use super::job::{Alternative, DeviceId, HOST, JobId, LeaseId, Millis, ModelId, Place};
use super::ledger::{Amount, Device, Stay};
use super::queue::Key;
use super::state::{Job, Reserved, State};
use std::collections::{BTreeMap, BTreeSet};

/// Devices of which all are looked at for each decision. Of more that are alike only so many are: what the
/// others could offer is hardly better, and a decision's cost does not grow with the machine.
const MANY: usize = 64;

/// A place for a job.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    pub device: DeviceId,
    pub alternative: usize,
    pub choice: Choice,
    pub batch: u32,
    /// The model's bytes not counted.
    pub on_device: Amount,
    pub on_host: Amount,
    pub evict: Vec<ModelId>,
    /// On the host, for what is needed of it besides.
    pub evict_host: Vec<ModelId>,
    /// When it is over, by the estimates.
    pub ends: Millis,
}

/// The devices that are offered.
#[derive(Clone, Copy)]
enum Offer<'a> {
    All,
    These(&'a [DeviceId]),
}

impl State {
    /// Offers what may be free to those who wait, until nobody can take more.
    pub(super) fn dispatch(&mut self) {
        if self.queue.len() == 0 {
            self.dirty.clear();
            self.fresh.clear();
            return;
        }
        while !(self.dirty.is_empty() && self.fresh.is_empty()) {
            if self.host_short && self.dirty.contains(&HOST) {
                self.everything_is_dirty();
            }
            let mut fresh = std::mem::take(&mut self.fresh);
            let many = fresh.len() > self.policy.window;
            if self.grants >= self.passed_by.len().max(self.policy.window / 2) {
                // The window has moved on: others may want what was passed by. Not sooner than there
                // are devices to offer, so that each grant pays for one.
                self.grants = 0;
                self.dirty.append(&mut self.passed_by);
            }
            let mut offered: Vec<DeviceId> = if many {
                fresh.clear();
                self.devices.values().filter(|d| d.is_usable()).map(|d| d.spec.id).collect()
            } else {
                std::mem::take(&mut self.dirty).into_iter().collect()
            };
            self.dirty.clear();
            self.drop_full(&mut offered);
            self.serve_reserved(&offered);
            if !offered.is_empty() {
                self.offer(&mut offered, &mut fresh);
                if self.queue.len() > self.policy.window {
                    self.passed_by.extend(offered);
                }
            }
            self.offer_to_fresh(fresh);
        }
    }

    /// Offers `offered` to waiting jobs in the fair order; to those in `fresh`, every device.
    fn offer(
        &mut self,
        offered: &mut Vec<DeviceId>,
        fresh: &mut std::collections::BTreeSet<JobId>,
    ) {
        let mut reached: BTreeMap<super::job::TenantId, Key> = BTreeMap::new();
        let mut misses = 0;
        'serve: while misses < self.policy.window && !(offered.is_empty() && fresh.is_empty()) {
            let tenants: Vec<_> = self.queue.tenants().take(self.policy.window).collect();
            for tenant in tenants {
                let mut missed_here = 0;
                while let Some((key, id)) = self.queue.next(tenant, reached.get(&tenant).copied()) {
                    let offer = if fresh.remove(&id) { Offer::All } else { Offer::These(offered) };
                    if let Some(placement) = self.find(id, offer) {
                        let device = placement.device;
                        self.grant(id, placement);
                        self.drop_full_one(offered, device);
                        // Whoever was given least may be another now.
                        continue 'serve;
                    }
                    reached.insert(tenant, key);
                    self.reserve(id);
                    misses += 1;
                    missed_here += 1;
                    if misses >= self.policy.window || !self.policy.backfill {
                        break 'serve;
                    }
                    // Others get to see it before all of one tenant's jobs were tried.
                    if missed_here >= self.policy.window / 4 {
                        break;
                    }
                }
            }
            if self
                .queue
                .tenants()
                .all(|tenant| self.queue.next(tenant, reached.get(&tenant).copied()).is_none())
            {
                break;
            }
        }
    }

    fn offer_to_fresh(&mut self, fresh: std::collections::BTreeSet<JobId>) {
        let mut order: Vec<(Key, JobId)> =
            fresh.into_iter().filter_map(|id| Some((self.jobs.get(&id)?.key, id))).collect();
        order.sort_unstable();
        for (_, id) in order {
            if !self.policy.backfill && self.reserved.is_some_and(|r| r.job != id) {
                return;
            }
            match self.find(id, Offer::All) {
                Some(placement) if self.reserved.is_some() => self.grant(id, placement),
                Some(_) => {
                    // Not before those who have waited: the first of them has its place kept first.
                    self.reserve_first();
                    if let Some(placement) = self.find(id, Offer::All) {
                        self.grant(id, placement);
                    }
                }
                None => self.reserve(id),
            }
        }
    }

    /// Drops the devices that have room for nobody.
    fn drop_full(&self, offered: &mut Vec<DeviceId>) {
        let least = self.queue.least();
        offered.retain(|id| self.has_room(*id, least));
    }

    fn drop_full_one(&self, offered: &mut Vec<DeviceId>, id: DeviceId) {
        let least = self.queue.least();
        if !self.has_room(id, least) {
            offered.retain(|other| *other != id);
        }
    }

    fn has_room(&self, id: DeviceId, (memory, compute): (u64, u64)) -> bool {
        let Some(device) = self.devices.get(&id).filter(|d| d.is_usable()) else { return false };
        let room = device.room();
        room.memory.saturating_add(device.idle_bytes(None)) >= memory
            && room.compute >= compute
            && (self.policy.share_devices || device.leases.is_empty())
    }

    /// The reserved job comes first; its promise is kept up to date.
    fn serve_reserved(&mut self, offered: &[DeviceId]) {
        let Some(reserved) = self.reserved else { return };
        if self.jobs.get(&reserved.job).is_none_or(|job| job.lease.is_some()) {
            self.reserved = None;
            return;
        }
        if let Some(placement) = self.find(reserved.job, Offer::These(offered)) {
            self.grant(reserved.job, placement);
            return;
        }
        let stale = reserved.at <= self.now || offered.contains(&reserved.device);
        if stale {
            self.reserved = None;
            let around: Vec<DeviceId> = offered.iter().copied().chain([reserved.device]).collect();
            self.reserve_among(reserved.job, Offer::These(&around));
            if self.reserved.is_none() {
                self.reserve_among(reserved.job, Offer::All);
            }
            // Later or elsewhere: what was kept until now may be free for others.
            if self.reserved != Some(reserved) && !offered.contains(&reserved.device) {
                self.dirty.insert(reserved.device);
            }
        }
    }

    /// Keeps a device for a job that found no room, unless one is kept for another.
    fn reserve(&mut self, id: JobId) {
        if self.reserved.is_none() {
            self.reserve_among(id, Offer::All);
        }
    }

    /// As [`State::reserve`], for whoever is first in line.
    fn reserve_first(&mut self) {
        let first = self.queue.tenants().next().and_then(|tenant| self.queue.next(tenant, None));
        if let Some((_, id)) = first {
            self.reserve(id);
        }
    }

    fn reserve_among(&mut self, id: JobId, offer: Offer<'_>) {
        let Some(job) = self.jobs.get(&id) else { return };
        // In a whole order, so that two devices that are as good cannot take turns.
        let mut best: Option<((Millis, usize, DeviceId), Reserved)> = None;
        for (index, alternative) in job.spec.alternatives.iter().enumerate().skip(job.floor) {
            self.each_soon(offer, alternative, |device| {
                let Some(at) = self.free_at(job, alternative, device) else { return false };
                let ends = at.saturating_add(device.spec.takes(alternative.estimate));
                let device = device.spec.id;
                let score = (ends, index, device);
                if best.as_ref().is_none_or(|(least, _)| score < *least) {
                    best = Some((score, Reserved { job: id, alternative: index, device, at }));
                }
                true
            });
        }
        self.reserved = best.map(|(_, reserved)| reserved);
    }

    /// Calls `f` with each offered device that works and is of the kind.
    fn each<'s>(&'s self, offer: Offer<'_>, place: Place, mut f: impl FnMut(&'s Device)) {
        match (offer, place) {
            (Offer::All, Place::Host) => {
                self.devices.get(&HOST).filter(|d| d.is_usable()).into_iter().for_each(f);
            }
            (Offer::All, Place::Gpu) => {
                let gpus = self
                    .devices
                    .range((std::ops::Bound::Excluded(HOST), std::ops::Bound::Unbounded));
                gpus.map(|(_, d)| d).filter(|d| d.is_usable()).for_each(f);
            }
            (Offer::These(ids), _) => {
                for id in ids {
                    let device = self.devices.get(id);
                    if let Some(d) = device.filter(|d| d.is_usable() && d.spec.place() == place) {
                        f(d);
                    }
                }
            }
        }
    }

    /// Whether, of many devices that are alike, only the likeliest need be looked at for `alternative`: not
    /// where a model may lie on one of the others, or one of them is quicker.
    fn are_many_alike(&self, offer: Offer<'_>, alternative: &Alternative) -> bool {
        matches!(offer, Offer::All)
            && alternative.place == Place::Gpu
            && alternative.model.is_none()
            && self.alike
            && self.rooms.len() > MANY
    }

    /// As [`State::each`], for somebody who looks for room now: of many devices that are alike those come
    /// first that have little more of the processors left than is asked for, and no more are looked at
    /// once `f` has found [`MANY`] with room.
    fn each_with_room<'s>(
        &'s self,
        offer: Offer<'_>,
        alternative: &Alternative,
        mut f: impl FnMut(&'s Device) -> bool,
    ) {
        if !self.are_many_alike(offer, alternative) {
            self.each(offer, alternative.place, |device| {
                f(device);
            });
            return;
        }
        let mut found = 0;
        for (_, id) in self.rooms.range((u64::from(alternative.need.compute), HOST)..) {
            let Some(device) = self.devices.get(id) else { continue };
            found += usize::from(f(device));
            if found >= MANY {
                return;
            }
        }
    }

    /// As [`State::each`], for somebody who looks for the device that is free first: of many that are alike
    /// those with the most left and those where somebody ends soonest. `f` tells whether one is possible.
    fn each_soon<'s>(
        &'s self,
        offer: Offer<'_>,
        alternative: &Alternative,
        mut f: impl FnMut(&'s Device) -> bool,
    ) {
        if self.are_many_alike(offer, alternative) {
            let most = self.rooms.iter().rev().map(|(_, id)| *id).take(MANY / 2);
            let ending = self.gpu_ends.iter().take(MANY).filter_map(|(_, id)| self.leases.get(id));
            let likely: BTreeSet<DeviceId> = most.chain(ending.map(|lease| lease.device)).collect();
            let mut any = false;
            for device in likely.iter().filter_map(|id| self.devices.get(id)) {
                any |= device.is_usable() && f(device);
            }
            if any {
                return;
            }
        }
        self.each(offer, alternative.place, |device| {
            f(device);
        });
    }

    /// The best place for a job among those offered.
    fn find(&mut self, id: JobId, offer: Offer<'_>) -> Option<Placement> {
        let job = self.jobs.get(&id)?;
        // Better alternatives that have no room now.
        let mut better: Vec<&Alternative> = Vec::new();
        let mut host_short = false;
        let mut found = None;
        for (index, alternative) in job.spec.alternatives.iter().enumerate().skip(job.floor) {
            let here = self.best_device(job, index, alternative, offer, &mut host_short);
            if let Some(mut placement) = here {
                let waiting =
                    better.iter().filter_map(|better| self.expected_end(job, better)).min();
                if waiting.is_none_or(|waiting| placement.ends <= waiting) {
                    placement.choice = match (index, waiting) {
                        (0, _) => Choice::First,
                        (_, Some(_)) => Choice::Sooner,
                        (_, None) if index == job.floor => Choice::AfterOutOfMemory,
                        (_, None) => Choice::OnlyOne,
                    };
                    found = Some(placement);
                    break;
                }
            }
            better.push(alternative);
        }
        self.host_short |= host_short;
        found
    }

    /// When the job would be done if it waited for this alternative; `None` if no device that works
    /// could ever take it.
    fn expected_end(&self, job: &Job, alternative: &Alternative) -> Option<Millis> {
        let mut soonest: Option<Millis> = None;
        self.each_soon(Offer::All, alternative, |device| {
            let Some(at) = self.free_at(job, alternative, device) else { return false };
            let ends = at.saturating_add(device.spec.takes(alternative.estimate));
            soonest = Some(soonest.map_or(ends, |known| known.min(ends)));
            true
        });
        // The others that wait come before it or after it; on average half of them.
        let ahead = match alternative.place {
            Place::Gpu => self.queue.work() / 2 / self.gpus.max(1),
            Place::Host => 0,
        };
        soonest.map(|ends| ends.saturating_add(ahead))
    }

    fn batch_for(&self, job: &Job, index: usize, device: &Device) -> u32 {
        let alternative = &job.spec.alternatives[index];
        let whole = Device::whole(&device.spec).memory;
        let mut batch = match job.batch {
            Some(batch) if index == job.floor => batch,
            _ => alternative.batch.max(1),
        };
        let least = alternative.batch_min.max(1);
        while batch > least && self.amounts(alternative, batch, Some(&device.spec)).0.memory > whole
        {
            batch = (batch / 2).max(least);
        }
        batch
    }

    fn best_device(
        &self,
        job: &Job,
        index: usize,
        alternative: &Alternative,
        offer: Offer<'_>,
        host_short: &mut bool,
    ) -> Option<Placement> {
        let mut best: Option<((Millis, usize, u64, DeviceId), Placement)> = None;
        self.each_with_room(offer, alternative, |device| {
            if job.avoid.contains(&device.spec.id) {
                return false;
            }
            // The cheapest reason to pass by.
            let room = device.room();
            if u64::from(alternative.need.compute) > room.compute
                || (!self.policy.share_devices && !device.leases.is_empty())
            {
                return false;
            }
            let batch = self.batch_for(job, index, device);
            let (with_model, on_host) = self.amounts(alternative, batch, Some(&device.spec));
            let resident = alternative.model.and_then(|model| device.resident(model.id));
            let model_bytes = alternative.model.map_or(0, |model| model.bytes);
            let on_device =
                Amount { memory: with_model.memory.saturating_sub(model_bytes), ..with_model };
            let asked = if resident.is_some() { on_device } else { with_model };
            if !(Amount { memory: 0, ..asked }).fits(&room) {
                return false;
            }
            let at_host = !on_host.is_nothing() || device.spec.id == HOST;
            *host_short |= at_host;
            let (now, stay) = (self.now, if job.alone { 0 } else { self.policy.stay });
            let mut evict_host = Vec::new();
            if !on_host.is_nothing() {
                let Some(host) = self.devices.get(&HOST) else { return false };
                if !(Amount { memory: 0, ..on_host }).fits(&host.room()) {
                    return false;
                }
                // Models that nobody uses must not keep out for ever who needs plain memory.
                let Some(evict) = host.evictions(on_host.memory, None, now, stay) else {
                    return false;
                };
                evict_host = evict;
            }
            let keep = alternative.model.map(|model| model.id);
            let Some(mut evict) = device.evictions(asked.memory, keep, now, stay) else {
                return false;
            };
            if job.alone {
                let idle = device
                    .models
                    .iter()
                    .filter(|r| r.stay == Stay::Ready && r.users == 0 && Some(r.model) != keep);
                evict = idle.map(|r| r.model).collect();
            }
            let load = match (alternative.model, resident) {
                (Some(model), None) => model.load,
                (Some(model), Some(r)) if r.stay != Stay::Ready => model.load,
                _ => 0,
            };
            let time = device.spec.takes(alternative.estimate);
            let ends = now.saturating_add(load).saturating_add(time);
            if !self.may_pass(job, device.spec.id, &asked, &on_host, ends) {
                return false;
            }
            // What is left should be of use: not much of one thing and nothing of the other.
            let left = (part(room.memory, asked.memory, device.memory())).abs_diff(part(
                room.compute,
                asked.compute,
                u64::from(device.spec.compute),
            ));
            let score = (ends, evict.len(), left, device.spec.id);
            if best.as_ref().is_none_or(|(least, _)| score < *least) {
                let placement = Placement {
                    device: device.spec.id,
                    alternative: index,
                    choice: Choice::First,
                    batch,
                    on_device,
                    on_host,
                    evict,
                    evict_host,
                    ends,
                };
                best = Some((score, placement));
            }
            true
        });
        best.map(|(_, placement)| placement)
    }

    /// Whether a job may be placed before the one that a device is kept for: by the estimates, that one
    /// must find its room as early as without.
    fn may_pass(
        &self,
        job: &Job,
        at: DeviceId,
        on_device: &Amount,
        on_host: &Amount,
        ends: Millis,
    ) -> bool {
        let Some(reserved) = self.reserved.filter(|r| r.job != job.spec.id) else { return true };
        if !self.policy.backfill {
            return false;
        }
        if ends <= reserved.at {
            return true;
        }
        let (Some(head), Some(kept)) =
            (self.jobs.get(&reserved.job), self.devices.get(&reserved.device))
        else {
            return true;
        };
        let alternative = &head.spec.alternatives[reserved.alternative];
        let batch = self.batch_for(head, reserved.alternative, kept);
        let (head_device, head_host) = self.amounts(alternative, batch, Some(&kept.spec));
        let leaves = |device: &Device, head: &Amount, takes: &Amount| {
            head.plus(takes).fits(&self.room_at(device, reserved.at))
        };
        if at == reserved.device
            && !(self.policy.share_devices && leaves(kept, &head_device, on_device))
        {
            return false;
        }
        // What either takes of the host, whether it runs there or not.
        let head = if reserved.device == HOST { &head_device } else { &head_host };
        let takes = if at == HOST { on_device } else { on_host };
        (at == HOST && reserved.device == HOST)
            || head.is_nothing()
            || takes.is_nothing()
            || self.devices.get(&HOST).is_some_and(|host| leaves(host, head, takes))
    }

    /// What is free on `device` at `at` by the estimates, if nothing else is placed. Models that nobody
    /// will be using by then count as free.
    fn room_at(&self, device: &Device, at: Millis) -> Amount {
        let mut room = device.room();
        let mut over = |id: &LeaseId| {
            let Some(lease) = self.leases.get(id).filter(|lease| lease.ends <= at) else {
                return;
            };
            let part = if lease.device == device.spec.id { lease.on_device } else { lease.on_host };
            room = room.plus(&part);
        };
        if device.spec.id == HOST {
            self.host_ends.range(..=(at, LeaseId(u64::MAX))).for_each(|(_, id)| over(id));
        } else {
            device.leases.iter().for_each(over);
        }
        for resident in &device.models {
            let kept = resident.stay == Stay::Evicting
                || device.leases.iter().any(|id| {
                    self.leases
                        .get(id)
                        .is_some_and(|l| l.model == Some(resident.model) && l.ends > at)
                })
                || (resident.stay == Stay::Ready
                    && resident.loaded.saturating_add(self.policy.stay) > at);
            if !kept {
                room.memory = room.memory.saturating_add(resident.bytes);
            }
        }
        room
    }

    /// When there will be room for the job on `device`, by the estimates; `None` for never.
    fn free_at(&self, job: &Job, alternative: &Alternative, device: &Device) -> Option<Millis> {
        if job.avoid.contains(&device.spec.id) {
            return None;
        }
        let index = job.spec.alternatives.iter().position(|a| std::ptr::eq(a, alternative))?;
        let batch = self.batch_for(job, index, device);
        let (on_device, on_host) = self.amounts(alternative, batch, Some(&device.spec));
        if !on_device.fits(&Device::whole(&device.spec)) {
            return None;
        }
        let mut times: Vec<Millis> = vec![self.now];
        times.extend(device.leases.iter().filter_map(|id| Some(self.leases.get(id)?.ends)));
        let stays = device.models.iter().filter(|r| r.stay == Stay::Ready);
        times.extend(stays.map(|r| r.loaded.saturating_add(self.policy.stay)));
        let host = (!on_host.is_nothing()).then(|| self.devices.get(&HOST)).flatten();
        if host.is_some() || device.spec.id == HOST {
            times.extend(self.host_ends.iter().map(|(at, _)| *at));
        }
        times.sort_unstable();
        times.dedup();
        // Rooms only grow with time, so the first moment can be searched for by halves.
        let fits = |at: Millis| {
            let whole = self.policy.share_devices
                || device.leases.iter().all(|id| self.leases.get(id).is_none_or(|l| l.ends <= at));
            whole
                && on_device.fits(&self.room_at(device, at))
                && host.is_none_or(|host| on_host.fits(&self.room_at(host, at)))
        };
        let first = times.partition_point(|at| !fits(*at));
        // Leases that were to have ended by now end any moment.
        times.get(first).map(|at| (*at).max(self.now))
    }
}

/// What is left of `room` once `asked` is taken, in millionths of the `whole`.
fn part(room: u64, asked: u64, whole: u64) -> u64 {
    let left = u128::from(room.saturating_sub(asked)) * 1_000_000 / u128::from(whole.max(1));
    u64::try_from(left).unwrap_or(u64::MAX)
}
