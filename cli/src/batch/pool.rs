//! The pool: claims jobs from a queue, has the scheduler decide what runs, and runs it.
//!
//! Claimed are a few jobs more than can run, so that there is something to decide on, and no more, so
//! that other workers find some. Every claim is kept alive until its job is over; one that is lost to
//! another worker has its process ended, and its result is refused by the queue.

use super::arguments::arguments;
use super::child::Attempt;
use super::{now, point, who};
use rushes::control::Cancel;
use rushes::device::Snapshot;
use rushes::jobs::{
    Action, By, Can, Claim, Cost, Finish, Held, JobRow, Queue, Rules, Standing, day_began,
};
use rushes::sched::{
    Alternative, DeviceId, DeviceSpec, Effect, Event, JobId, JobSpec, LeaseId, Millis, Need,
    Outcome, Place, Policy, Refusal, State, TenantId, What,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often rules are held against what was spent.
const CHECK: Duration = Duration::from_secs(1);
/// How often processes are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How often the queue is asked when there is nothing to do.
const IDLE: Duration = Duration::from_millis(500);

/// How a pool works.
pub struct PoolOptions {
    /// Which jobs it takes.
    pub can: Can,
    /// Whether it ends when no job is left that it could do.
    pub until_empty: bool,
    /// Where models lie.
    pub models_dir: Option<PathBuf>,
    /// Threads for each job.
    pub threads_each: u32,
    /// How long a claim lasts without a word; one is given six times as often.
    pub lease: Duration,
    /// What may be spent, and by whom.
    pub rules: Rules,
}

/// Why a pool ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// No job is left.
    NothingLeft,
    /// It was asked to.
    Cancelled,
    /// What is left may not begin, and why.
    NotAllowed(String),
}

/// What is told of a job.
pub enum Told<'a> {
    Begun(&'a JobRow, DeviceId),
    Over(&'a JobRow, &'a Finish, Cost),
    /// What the rules say of what was spent; told when it changes.
    Money(&'a str),
}

/// A job that this pool has claimed.
struct Taken {
    claim: Claim,
    lease: Option<LeaseId>,
    device: DeviceId,
    attempt: Option<Attempt>,
    /// Why it was asked to stop.
    stopped: Option<Finish>,
    lost: bool,
}

/// A pool at work.
pub struct Pool<'a> {
    queue: &'a dyn Queue,
    options: PoolOptions,
    me: String,
    state: State,
    since: Instant,
    held: BTreeMap<JobId, Taken>,
    tenants: BTreeMap<String, TenantId>,
    /// Jobs that run at once at most.
    lanes: usize,
    beat: Instant,
    checked: Option<Instant>,
    /// Why nothing may begin.
    spent: Option<String>,
    /// What was told last of money.
    told: String,
}

impl<'a> Pool<'a> {
    /// A pool on the machine in `seen`.
    pub fn new(queue: &'a dyn Queue, options: PoolOptions, seen: &Snapshot, threads: u32) -> Self {
        // A worker that only computes says nothing for long: whether it lives shows by its process.
        let policy = Policy { silence: Millis::MAX / 4, ..Policy::default() };
        let mut state = State::new(policy);
        let host = &seen.host;
        let reserve = host.memory - host.available.min(host.memory);
        let spec = DeviceSpec { reserve, ..DeviceSpec::host(threads, host.memory) };
        let _ = state.apply(Event { at: 0, what: What::Device(spec) });
        Self {
            queue,
            me: who::me(),
            state,
            since: Instant::now(),
            held: BTreeMap::new(),
            tenants: BTreeMap::new(),
            lanes: (threads / options.threads_each.max(1)).max(1) as usize,
            beat: Instant::now(),
            checked: None,
            spent: None,
            told: String::new(),
            options,
        }
    }

    /// Works until nothing is left or `cancel` is set; jobs that were not begun are put back then, and
    /// those that run are asked to stop. Tells what happens.
    pub fn run(
        &mut self,
        cancel: &Cancel,
        tell: &mut dyn FnMut(Told<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Ended> {
        self.bury_the_dead()?;
        point::at("buried");
        loop {
            let stopping = cancel.is_cancelled();
            if stopping {
                self.put_back()?;
            } else {
                self.check(tell)?;
                if self.spent.is_none() {
                    self.claim(tell)?;
                }
            }
            if self.held.is_empty() {
                if stopping {
                    return Ok(Ended::Cancelled);
                }
                self.queue.tidy(now())?;
                if self.options.until_empty
                    && let Some(ended) = self.ended()?
                {
                    return Ok(ended);
                }
                std::thread::sleep(IDLE);
                continue;
            }
            self.look(tell)?;
            if self.beat.elapsed() >= self.options.lease / 6 {
                self.beat = Instant::now();
                self.keep_alive(tell)?;
                point::at("beaten");
            }
            if self.state.next_wake().is_some_and(|wake| wake <= self.at()) {
                self.step(What::Tick, tell)?;
            }
            std::thread::sleep(LOOK);
        }
    }

    fn at(&self) -> Millis {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Frees the jobs of workers of this machine that were killed.
    fn bury_the_dead(&self) -> anyhow::Result<()> {
        let running = rushes::jobs::Which {
            states: vec![rushes::jobs::JobState::Running],
            ..rushes::jobs::Which::default()
        };
        let mut workers: Vec<String> =
            self.queue.list(&running)?.into_iter().filter_map(|job| job.worker).collect();
        workers.sort();
        workers.dedup();
        for worker in workers.iter().filter(|worker| who::is_dead(worker)) {
            self.queue.bury(worker, now())?;
        }
        Ok(())
    }

    /// Whether no job waits or runs that this pool could do, now or later, or none that may begin.
    fn ended(&self) -> anyhow::Result<Option<Ended>> {
        use rushes::jobs::JobState::{Ready, Running};
        let can = &self.options.can;
        let counted = self.queue.count(can.batch.as_deref())?;
        if [Ready, Running].iter().all(|state| !counted.contains_key(state)) {
            return Ok(Some(Ended::NothingLeft));
        }
        if let Some(spent) = &self.spent {
            return Ok(Some(Ended::NotAllowed(spent.clone())));
        }
        if can.without_tenants.is_empty() && can.without_batches.is_empty() {
            return Ok(None);
        }
        let left = self.queue.list(&rushes::jobs::Which {
            batch: can.batch.clone(),
            states: vec![Ready, Running],
            ..rushes::jobs::Which::default()
        })?;
        let shut_out = left.iter().all(|job| {
            can.without_tenants.contains(&job.message.tenant)
                || can.without_batches.contains(&job.batch)
        });
        Ok(shut_out.then(|| Ended::NotAllowed(self.told.clone())))
    }

    /// Holds what was spent against the rules: what runs is finished, what may not begin is left.
    fn check(
        &mut self,
        tell: &mut dyn FnMut(Told<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let rules = &self.options.rules;
        if *rules == Rules::default()
            || self.checked.is_some_and(|checked| checked.elapsed() < CHECK)
        {
            return Ok(());
        }
        self.checked = Some(Instant::now());
        let today = day_began(now());
        let all = self.queue.efforts(By::All, None, today)?;
        let all = all.first().map_or(Cost::default(), |effort| effort.cost);
        let batches = self.queue.efforts(By::Batch, self.options.can.batch.as_deref(), 0)?;
        let mut said = Vec::new();
        let mut spent = None;
        match rules.standing(&all, &Cost::default()) {
            Standing::Good => {}
            Standing::Warn(text) => said.push(text),
            Standing::Spent(text) => spent = Some(text),
        }
        let mut without_batches = Vec::new();
        for batch in batches {
            match rules.standing(&Cost::default(), &batch.cost) {
                Standing::Good => {}
                Standing::Warn(text) => said.push(format!("{}: {text}", batch.name)),
                Standing::Spent(text) => {
                    said.push(format!("{}: {text}", batch.name));
                    without_batches.push(batch.name);
                }
            }
        }
        let mut without_tenants = Vec::new();
        for (tenant, what) in rules.exhausted(&self.queue.efforts(By::Tenant, None, today)?) {
            said.push(format!("tenant `{tenant}` has had {what} of this day"));
            without_tenants.push(tenant);
        }
        said.extend(spent.clone());
        self.spent = spent;
        self.options.can.without_batches = without_batches;
        self.options.can.without_tenants = without_tenants;
        let said = said.join("; ");
        if said != self.told {
            if !said.is_empty() {
                tell(Told::Money(&said))?;
            }
            self.told = said;
        }
        self.put_back_shut_out(tell)
    }

    fn claim(
        &mut self,
        tell: &mut dyn FnMut(Told<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut jobs = Vec::new();
        // As many waiting as run: a choice for the scheduler.
        while self.held.len() < 2 * self.lanes {
            let (can, lease) = (&self.options.can, self.options.lease);
            let Some(claim) = self.queue.claim(&self.me, can, now(), lease)? else {
                break;
            };
            point::at("claimed");
            let id = JobId(claim.token.fence.unsigned_abs());
            jobs.push(self.spec(id, &claim));
            let held = Taken {
                claim,
                lease: None,
                device: rushes::sched::HOST,
                attempt: None,
                stopped: None,
                lost: false,
            };
            self.held.insert(id, held);
        }
        if jobs.is_empty() { Ok(()) } else { self.step(What::Submit(jobs), tell) }
    }

    fn spec(&mut self, id: JobId, claim: &Claim) -> JobSpec {
        let message = &claim.job.message;
        let next = TenantId(u32::try_from(self.tenants.len()).unwrap_or(u32::MAX));
        let tenant = *self.tenants.entry(message.tenant.clone()).or_insert(next);
        // Before anything was seen; peaks are learned from what was.
        let (shape, memory, per_megabyte) = match message.action {
            Action::Process(_) => (0, 900 << 20, 2000),
            Action::Transcribe(_) => (1, 900 << 20, 1000),
            Action::Frames(_) => (2, 300 << 20, 400),
            Action::Embed(_) => (3, 700 << 20, 1500),
            // A spec says little of how long its film is.
            Action::Render(_) => (4, 600 << 20, 30_000_000),
        };
        let bytes = std::fs::metadata(&message.media).map_or(0, |meta| meta.len());
        let need = Need {
            memory_steady: memory,
            memory_peak: memory,
            compute: self.options.threads_each.saturating_mul(1000),
            ..Need::default()
        };
        let estimate = 500 + (bytes >> 10) * per_megabyte / 1024;
        let way = Alternative {
            shape: Some(shape),
            ..Alternative::new("cpu", Place::Host, need, estimate)
        };
        JobSpec { id, tenant, priority: message.priority, alternatives: vec![way] }
    }

    /// Tells the scheduler and does what it wants.
    fn step(
        &mut self,
        what: What,
        tell: &mut dyn FnMut(Told<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut events = vec![what];
        while let Some(what) = events.pop() {
            let at = self.at();
            for effect in self.state.apply(Event { at, what }) {
                match effect {
                    Effect::Start { lease, job, device, .. } => {
                        if let Err(error) = self.start(job, lease, device, tell) {
                            let how = Finish::Failed {
                                kind: "resource".into(),
                                message: format!("{error:#}"),
                                retry: true,
                            };
                            self.over(job, how, Cost::default(), tell)?;
                            events.push(What::Ended(lease, Outcome::Failed));
                        }
                    }
                    Effect::Stop(lease, _) => self.with_lease(lease, Attempt::stop),
                    Effect::Kill(lease) => self.with_lease(lease, Attempt::kill),
                    Effect::Refused(job, why) => {
                        let (message, retry) = match why {
                            Refusal::NeverFits { resource, need, most } => {
                                (format!("needs {need} of {resource:?}, there are {most}"), false)
                            }
                            other => (format!("{other:?}"), true),
                        };
                        let how = Finish::Failed { kind: "limit".into(), message, retry };
                        self.over(job, how, Cost::default(), tell)?;
                    }
                    Effect::Cancelled(job) => {
                        self.over(job, Finish::Cancelled, Cost::default(), tell)?;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn with_lease(&self, lease: LeaseId, act: impl Fn(&Attempt)) {
        let held = self.held.values().find(|held| held.lease == Some(lease));
        held.and_then(|held| held.attempt.as_ref()).into_iter().for_each(act);
    }

    fn start(
        &mut self,
        job: JobId,
        lease: LeaseId,
        device: DeviceId,
        tell: &mut dyn FnMut(Told<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Some(held) = self.held.get_mut(&job) else { return Ok(()) };
        held.lease = Some(lease);
        held.device = device;
        point::at("granted");
        let message = &held.claim.job.message;
        let words =
            arguments(message, self.options.threads_each, self.options.models_dir.as_deref());
        let bytes = std::fs::metadata(&message.media).map_or(0, |meta| meta.len());
        held.attempt = Some(Attempt::begin(&words, bytes)?);
        point::at("begun");
        tell(Told::Begun(&held.claim.job, device))
    }

    /// Looks at the processes that run.
    fn look(&mut self, tell: &mut dyn FnMut(Told<'_>) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut ended = Vec::new();
        for (id, held) in &mut self.held {
            if let (Some(attempt), Some(lease)) = (&mut held.attempt, held.lease)
                && let Some((how, mut cost)) = attempt.look()?
            {
                if held.device != rushes::sched::HOST {
                    cost.gpu_ms = cost.wall_ms;
                }
                // What was done before the word to stop came is done.
                let stopped = held.stopped.take().filter(|_| how != Finish::Done);
                ended.push((*id, lease, stopped.unwrap_or(how), cost));
            }
        }
        for (id, lease, how, cost) in ended {
            point::at("ended");
            let outcome = match &how {
                Finish::Done => Outcome::Done { peak: Some(cost.peak_bytes) },
                // Whether it is tried again is the queue's business.
                _ => Outcome::Failed,
            };
            self.over(id, how, cost, tell)?;
            // Before the room it leaves is given to another.
            self.check(tell)?;
            self.step(What::Ended(lease, outcome), tell)?;
        }
        Ok(())
    }

    /// Tells the queue how a job ended; its answer decides whether that counts.
    fn over(
        &mut self,
        id: JobId,
        how: Finish,
        cost: Cost,
        tell: &mut dyn FnMut(Told<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Some(held) = self.held.remove(&id) else { return Ok(()) };
        if !held.lost && self.queue.finish(held.claim.token, &how, cost, now())? {
            point::at("told");
            // What it cost may have been the last that may be spent.
            self.checked = None;
            tell(Told::Over(&held.claim.job, &how, cost))?;
        }
        Ok(())
    }

    fn keep_alive(
        &mut self,
        tell: &mut dyn FnMut(Told<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut cancelled = Vec::new();
        for (id, held) in &mut self.held {
            match self.queue.beat(held.claim.token, now(), self.options.lease)? {
                Held::Yes => {}
                Held::CancelAsked => cancelled.push(*id),
                Held::Lost => {
                    held.lost = true;
                    cancelled.push(*id);
                }
            }
        }
        for id in cancelled {
            if let Some(held) = self.held.get_mut(&id) {
                held.stopped = Some(Finish::Cancelled);
            }
            self.step(What::Cancel(id), tell)?;
        }
        self.queue.tidy(now())?;
        Ok(())
    }

    /// Ends in good order: what runs is asked to stop, all goes back to the queue.
    fn put_back(&mut self) -> anyhow::Result<()> {
        for held in self.held.values_mut().filter(|held| held.stopped.is_none()) {
            if let Some(attempt) = &held.attempt {
                attempt.stop();
                held.stopped = Some(Finish::PutBack);
            }
        }
        self.put_back_waiting()
    }

    /// Gives back to the queue what was not begun, as the pool ends.
    fn put_back_waiting(&mut self) -> anyhow::Result<()> {
        for id in self.waiting(|_| true) {
            let at = self.at();
            let _ = self.state.apply(Event { at, what: What::Cancel(id) });
            if let Some(held) = self.held.remove(&id) {
                self.queue.finish(held.claim.token, &Finish::PutBack, Cost::default(), now())?;
            }
        }
        Ok(())
    }

    /// Gives back what was claimed before it became known that it may not begin.
    fn put_back_shut_out(
        &mut self,
        tell: &mut dyn FnMut(Told<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let can = &self.options.can;
        let shut_out = self.waiting(|job| {
            self.spent.is_some()
                || can.without_tenants.contains(&job.message.tenant)
                || can.without_batches.contains(&job.batch)
        });
        for id in &shut_out {
            if let Some(held) = self.held.remove(id) {
                self.queue.finish(held.claim.token, &Finish::PutBack, Cost::default(), now())?;
            }
        }
        // Only now: what they leave free goes to none of them.
        for id in shut_out {
            self.step(What::Cancel(id), tell)?;
        }
        Ok(())
    }

    /// The jobs that were not begun and are `meant`.
    fn waiting(&self, meant: impl Fn(&JobRow) -> bool) -> Vec<JobId> {
        let waiting = self.held.iter().filter(|(_, held)| {
            held.attempt.is_none() && held.stopped.is_none() && meant(&held.claim.job)
        });
        waiting.map(|(id, _)| *id).collect()
    }
}
