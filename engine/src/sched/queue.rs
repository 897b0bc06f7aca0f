//! Who waits, in which order.

use super::job::{JobId, JobSpec, Millis, Priority, TenantId};
use super::policy::Policy;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// A job's place in its tenant's queue. It never changes, so ageing costs nothing: a job that came one
/// period of ageing earlier stands where one of the next higher priority stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// The period in which it came, less its priority.
    rank: i64,
    largest: Reverse<u64>,
    job: JobId,
}

impl Key {
    /// `size` is [`State::size`](super::State::size).
    pub fn new(spec: &JobSpec, size: u64, submitted: Millis, policy: &Policy) -> Self {
        let raise = match spec.priority {
            Priority::Low => 0,
            Priority::Normal => 1,
            Priority::High => 2,
        };
        let period = i64::try_from(submitted / policy.ageing.max(1)).unwrap_or(i64::MAX);
        let largest = Reverse(if policy.largest_first { size } else { 0 });
        Self { rank: period - raise, largest, job: spec.id }
    }
}

#[derive(Clone, Debug, Default)]
struct Tenant {
    /// Virtual time: what it was given, over its weight.
    given: u64,
    waiting: BTreeMap<Key, JobId>,
}

/// All queues.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    tenants: BTreeMap<TenantId, Tenant>,
    /// Tenants that have somebody waiting, those first that were given least.
    order: BTreeSet<(u64, TenantId)>,
    /// The virtual time of whoever was served last: a tenant that comes anew begins there.
    clock: u64,
    /// Waiting jobs by the least memory that they need anywhere.
    by_memory: BTreeSet<(u64, JobId)>,
    /// How many waiting jobs need so many thousandths at least.
    by_compute: BTreeMap<u32, usize>,
    len: usize,
    /// Waiting work: milliseconds of whole GPUs.
    work: u64,
}

/// What the queue counts of a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight {
    pub least_memory: u64,
    pub least_compute: u32,
    pub work: u64,
}

impl Queue {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn len_of(&self, tenant: TenantId) -> usize {
        self.tenants.get(&tenant).map_or(0, |t| t.waiting.len())
    }

    /// Milliseconds of whole GPUs that wait.
    pub fn work(&self) -> u64 {
        self.work
    }

    /// The least memory that any waiting job needs, and the least share of a processor.
    pub fn least(&self) -> (u64, u64) {
        let memory = self.by_memory.first().map_or(0, |(bytes, _)| *bytes);
        (memory, self.by_compute.first_key_value().map_or(0, |(share, _)| u64::from(*share)))
    }

    pub fn add(&mut self, tenant: TenantId, key: Key, weight: Weight) {
        let t = self.tenants.entry(tenant).or_default();
        if t.waiting.is_empty() {
            // Who asked for nothing has saved nothing.
            t.given = t.given.max(self.clock);
            self.order.insert((t.given, tenant));
        }
        if t.waiting.insert(key, key.job).is_none() {
            self.len += 1;
            self.work = self.work.saturating_add(weight.work);
            self.by_memory.insert((weight.least_memory, key.job));
            *self.by_compute.entry(weight.least_compute).or_default() += 1;
        }
    }

    pub fn remove(&mut self, tenant: TenantId, key: &Key, weight: Weight) {
        let Some(t) = self.tenants.get_mut(&tenant) else { return };
        if t.waiting.remove(key).is_some() {
            self.len -= 1;
            self.work = self.work.saturating_sub(weight.work);
            self.by_memory.remove(&(weight.least_memory, key.job));
            if let Some(count) = self.by_compute.get_mut(&weight.least_compute) {
                *count -= 1;
                if *count == 0 {
                    self.by_compute.remove(&weight.least_compute);
                }
            }
        }
        if t.waiting.is_empty() {
            self.order.remove(&(t.given, tenant));
        }
    }

    /// Tells that `tenant` is being served: virtual time has come so far.
    pub fn serve(&mut self, tenant: TenantId) {
        if let Some(t) = self.tenants.get(&tenant) {
            self.clock = self.clock.max(t.given);
        }
    }

    /// `tenant` was given so much more or less, over its weight.
    pub fn charge(&mut self, tenant: TenantId, more: i64) {
        let Some(t) = self.tenants.get_mut(&tenant) else { return };
        let given = t.given.saturating_add_signed(more);
        if !t.waiting.is_empty() {
            self.order.remove(&(t.given, tenant));
            self.order.insert((given, tenant));
        }
        t.given = given;
    }

    /// The tenants that wait, in the order in which they should be served.
    pub fn tenants(&self) -> impl Iterator<Item = TenantId> + '_ {
        self.order.iter().map(|(_, tenant)| *tenant)
    }

    /// The first job of `tenant` after `after`.
    pub fn next(&self, tenant: TenantId, after: Option<Key>) -> Option<(Key, JobId)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let t = self.tenants.get(&tenant)?;
        let from = after.map_or(Unbounded, Excluded);
        t.waiting.range((from, Unbounded)).next().map(|(key, job)| (*key, *job))
    }

    /// Forgets tenants that have nothing waiting and no advantage to lose.
    pub fn tidy(&mut self) {
        if self.tenants.len() < 2 * self.order.len() + 64 {
            return;
        }
        let clock = self.clock;
        self.tenants.retain(|_, t| !t.waiting.is_empty() || t.given > clock);
    }
}
