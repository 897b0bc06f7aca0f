//! The pool: claims jobs from a queue, has the scheduler decide what runs where, and runs it.
//!
//! Claimed are a few jobs more than can run, so that there is something to decide on, and no more, so
//! that other workers find some. Every claim is kept alive until its job is over; one that is lost to
//! another worker has its process ended, and its result is refused by the queue.
//!
//! The scheduler's time is that in which this process runs: who was stopped for a while (a laptop that
//! slept, SIGSTOP) must not take its children for silent when it goes on.

mod money;
mod work;

use super::child::Attempt;
use super::machine::{Machine, Ours};
use super::ways::Known;
use super::{now, point, who};
use rushes::control::Cancel;
use rushes::device::Inventory;
use rushes::jobs::{Account, Can, Claim, Finish, Held, JobRow, JobState, Queue, Rules, Way, Which};
use rushes::sched::{
    Alternative, Event, HOST, JobId, JobSpec, LeaseId, Millis, Policy, State, TenantId, What,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How often what processes use is looked at, and how often people are told how things stand.
const LOOK: Duration = Duration::from_secs(1);
/// How often the queue is asked when it had nothing.
const IDLE: Duration = Duration::from_millis(500);
/// The longest that nothing is looked at: a signal to stop should not wait for more.
const NAP: Duration = Duration::from_millis(200);
/// After its last word a process is gone any moment.
const MOMENT: Duration = Duration::from_millis(3);
/// More than this between two looks at the clock means that this process was stopped.
const STOPPED: Duration = Duration::from_secs(5);
/// Jobs that a GPU is thought to run at once, for how many are claimed.
const LANES_OF_GPU: usize = 2;

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
    /// Threads of the machine that may be given out.
    pub threads: u32,
    /// How long a claim lasts without a word; one is given six times as often.
    pub lease: Duration,
    /// How long a job may do nothing at all before it is stopped.
    pub silence: Duration,
    /// What may be spent, and by whom.
    pub rules: Rules,
    /// Whether somebody looks on: [`Told::Now`] is told.
    pub watched: bool,
}

/// Why a pool ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// No job is left that it could do.
    NothingLeft,
    /// It was asked to.
    Cancelled,
    /// What is left may not begin, and why.
    NotAllowed(String),
}

/// What is told.
pub enum Told<'a> {
    Begun(&'a JobRow, &'a Way),
    /// It waits again, and why.
    Moved(&'a JobRow, &'a str),
    Over(&'a JobRow, &'a Finish, &'a Account),
    /// What the rules say of what was spent; told when it changes.
    Money(&'a str),
    /// A device came or went, or jobs wait for room that others hold.
    Machine(&'a str),
    /// How things stand.
    Now(&'a Standing<'a>),
}

/// How things stand.
pub struct Standing<'a> {
    pub running: Vec<Running<'a>>,
    pub devices: Vec<DeviceLine>,
    /// Claimed, and not begun.
    pub waiting: usize,
}

/// A job that runs.
pub struct Running<'a> {
    pub job: &'a JobRow,
    pub way: &'a Way,
    pub share: Option<f64>,
    pub text: String,
    pub ran: Duration,
    pub bytes: u64,
}

/// A device at this moment.
pub struct DeviceLine {
    pub label: String,
    pub works: bool,
    pub leases: usize,
    pub promised: u64,
    pub memory: u64,
}

/// Who hears what is told.
pub type Tell<'t> = &'t mut dyn FnMut(Told<'_>) -> anyhow::Result<()>;

/// A job that this pool has claimed.
struct Taken {
    claim: Claim,
    ways: Vec<Alternative>,
    lease: Option<LeaseId>,
    way: Option<Way>,
    /// Where it runs, thousandths of it, and bytes of it.
    at: (rushes::sched::DeviceId, u32, u64),
    attempt: Option<Attempt>,
    /// Why it was asked to stop.
    stopped: Option<Finish>,
    lost: bool,
    /// What attempts took that were over and did not end it, and energy so far.
    spent: Account,
}

/// A process whose device is gone; its job has moved on.
struct Orphan {
    lease: LeaseId,
    job: JobId,
    attempt: Attempt,
}

/// A pool at work.
pub struct Pool<'a> {
    queue: &'a dyn Queue,
    options: PoolOptions,
    me: String,
    state: State,
    machine: Machine,
    known: Known,
    /// The scheduler's time, and when it was looked at.
    clock: (Duration, Instant),
    held: BTreeMap<JobId, Taken>,
    orphans: Vec<Orphan>,
    tenants: BTreeMap<String, TenantId>,
    /// Jobs that run at once at most, about.
    lanes: usize,
    beat: Instant,
    /// When the queue had nothing.
    empty: Option<Instant>,
    /// When it was last tidied and asked whether all is over, while there was nothing to do.
    idle: Option<Instant>,
    told_now: Instant,
    /// Since when jobs wait and none runs; whether that was told.
    stuck: Option<(Instant, bool)>,
    checked: Option<Instant>,
    /// Why nothing may begin.
    spent: Option<String>,
    /// What was told last of money.
    told: String,
    wake: (Sender<()>, Receiver<()>),
}

impl<'a> Pool<'a> {
    /// A pool on the machine that `inventory` tells of.
    pub fn new(
        queue: &'a dyn Queue,
        mut options: PoolOptions,
        inventory: Box<dyn Inventory>,
    ) -> anyhow::Result<Self> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let silence = millis(options.silence);
        let grace = Policy::default().grace.min(silence);
        let mut state = State::new(Policy { silence, grace, ..Policy::default() });
        let (machine, events) = Machine::new(inventory, options.threads)?;
        for what in events {
            let _ = state.apply(Event { at: 0, what });
        }
        options.can.memory = Some(machine.memory().0).filter(|bytes| *bytes > 0);
        options.can.gpu = machine.has_gpus();
        options.can.weights = options.rules.weights();
        let now = Instant::now();
        Ok(Self {
            queue,
            me: who::me(),
            state,
            known: Known::of(queue)?,
            clock: (Duration::ZERO, now),
            held: BTreeMap::new(),
            orphans: Vec::new(),
            tenants: BTreeMap::new(),
            lanes: (options.threads / options.threads_each.max(1)).max(1) as usize
                + LANES_OF_GPU * machine.working_gpus(),
            beat: now,
            empty: None,
            idle: None,
            told_now: now,
            stuck: None,
            checked: None,
            spent: None,
            told: String::new(),
            wake: channel(),
            machine,
            options,
        })
    }

    /// Works until nothing is left or `cancel` is set; jobs that were not begun are put back then, and
    /// those that run are asked to stop. Tells what happens.
    pub fn run(&mut self, cancel: &Cancel, tell: Tell<'_>) -> anyhow::Result<Ended> {
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
            if self.held.is_empty() && self.orphans.is_empty() {
                if stopping {
                    return Ok(Ended::Cancelled);
                }
                if self.idle.is_none_or(|since| since.elapsed() >= IDLE) {
                    self.idle = Some(Instant::now());
                    self.queue.tidy(now())?;
                    if self.options.until_empty
                        && let Some(ended) = self.ended()?
                    {
                        return Ok(ended);
                    }
                }
            } else {
                self.idle = None;
            }
            // Before time is told to pass: who got on while this process was stopped is not silent.
            self.look(tell)?;
            self.look_at_machine(tell)?;
            if !self.held.is_empty() && self.beat.elapsed() >= self.options.lease / 6 {
                self.beat = Instant::now();
                self.keep_alive(tell)?;
                point::at("beaten");
            }
            if self.state.next_wake().is_some_and(|wake| wake <= self.at()) {
                self.step(What::Tick, tell)?;
            }
            self.tell_now(tell)?;
            self.wait();
        }
    }

    /// Waits until there is something to look at.
    fn wait(&mut self) {
        let ending = |attempt: &Attempt| attempt.is_ending();
        let mut attempts = self.held.values().filter_map(|held| held.attempt.as_ref());
        let moment = attempts.any(ending) || self.orphans.iter().any(|o| o.attempt.is_ending());
        let most = if moment { MOMENT } else { NAP };
        match self.wake.1.recv_timeout(most) {
            Ok(()) => while self.wake.1.try_recv().is_ok() {},
            // It cannot be: this pool has a sender itself.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(most),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }

    /// The scheduler's time.
    fn at(&mut self) -> Millis {
        let passed = self.clock.1.elapsed();
        self.clock = (self.clock.0 + passed.min(STOPPED), Instant::now());
        u64::try_from(self.clock.0.as_millis()).unwrap_or(u64::MAX)
    }

    /// Frees the jobs of workers of this machine that were killed.
    fn bury_the_dead(&self) -> anyhow::Result<()> {
        let running = Which { states: vec![JobState::Running], ..Which::default() };
        let mut workers: Vec<String> =
            self.queue.list(&running)?.into_iter().filter_map(|job| job.worker).collect();
        workers.sort();
        workers.dedup();
        for worker in workers.iter().filter(|worker| who::is_dead(worker)) {
            self.queue.bury(worker, now())?;
        }
        Ok(())
    }

    fn claim(&mut self, tell: Tell<'_>) -> anyhow::Result<()> {
        // As many waiting as run: a choice for the scheduler.
        let more = (2 * self.lanes).saturating_sub(self.held.len());
        if more == 0 || self.empty.is_some_and(|since| since.elapsed() < IDLE) {
            return Ok(());
        }
        let (can, lease) = (&self.options.can, self.options.lease);
        let claims = self.queue.claim_some(&self.me, can, now(), lease, more)?;
        self.empty = (claims.len() < more).then(Instant::now);
        let mut jobs = Vec::new();
        for claim in claims {
            point::at("claimed");
            let id = JobId(claim.token.fence.unsigned_abs());
            let message = &claim.job.message;
            let tenant = self.tenant(&message.tenant.clone());
            let bytes = std::fs::metadata(&message.media).map_or(0, |meta| meta.len());
            let gpus = self.machine.has_gpus();
            let ways =
                super::ways::ways(message, bytes, self.options.threads_each, gpus, &self.known);
            let priority = message.priority;
            jobs.push(JobSpec { id, tenant, priority, alternatives: ways.clone() });
            let held = Taken {
                claim,
                ways,
                lease: None,
                way: None,
                at: (HOST, 0, 0),
                attempt: None,
                stopped: None,
                lost: false,
                spent: Account::default(),
            };
            self.held.insert(id, held);
        }
        if jobs.is_empty() { Ok(()) } else { self.step(What::Submit(jobs), tell) }
    }

    /// The scheduler's number for a tenant; it learns the weight of those that are new.
    fn tenant(&mut self, name: &str) -> TenantId {
        if let Some(id) = self.tenants.get(name) {
            return *id;
        }
        let id = TenantId(u32::try_from(self.tenants.len()).unwrap_or(u32::MAX));
        self.tenants.insert(name.to_owned(), id);
        let what = What::Weight(id, self.options.can.weight(name));
        let at = self.at();
        // A weight alone has no effects.
        let _ = self.state.apply(Event { at, what });
        id
    }

    /// Looks at the machine, if it is time, and tells the scheduler what is otherwise than it was.
    fn look_at_machine(&mut self, tell: Tell<'_>) -> anyhow::Result<()> {
        if !self.machine.wait().is_zero() {
            return Ok(());
        }
        let mut ours = Ours::default();
        let orphans = self.orphans.iter().map(|orphan| &orphan.attempt);
        let running = self.held.values().filter_map(|held| held.attempt.as_ref());
        for attempt in running.chain(orphans) {
            ours.pids.insert(attempt.pid());
            ours.memory = ours.memory.saturating_add(attempt.bytes());
        }
        for held in self.held.values().filter(|held| held.attempt.is_some()) {
            let on = ours.promised.entry(held.at.0).or_default();
            *on = (on.0.saturating_add(held.at.2), on.1 + 1);
        }
        let seen = self.machine.look(&ours)?;
        for held in self.held.values_mut() {
            let Some(attempt) = &mut held.attempt else { continue };
            let energy = seen.energy.get(&held.at.0).copied().unwrap_or(0);
            held.spent.cost.energy_mj = held.spent.cost.energy_mj.saturating_add(energy);
            attempt.gpu_peak = attempt.gpu_peak.max(seen.held.get(&attempt.pid()).copied());
        }
        for text in &seen.told {
            tell(Told::Machine(text))?;
        }
        for what in seen.events {
            self.step(what, tell)?;
        }
        Ok(())
    }

    fn keep_alive(&mut self, tell: Tell<'_>) -> anyhow::Result<()> {
        let mut cancelled = Vec::new();
        let tokens: Vec<_> = self.held.values().map(|held| held.claim.token).collect();
        let answers = self.queue.beat_all(&tokens, now(), self.options.lease)?;
        for ((id, held), answer) in self.held.iter_mut().zip(answers) {
            match answer {
                Held::Yes => continue,
                Held::CancelAsked => {}
                Held::Lost => held.lost = true,
            }
            held.stopped = Some(Finish::Cancelled);
            cancelled.push(*id);
        }
        for id in cancelled {
            self.step(What::Cancel(id), tell)?;
        }
        self.queue.tidy(now())?;
        Ok(())
    }

    /// Tells how things stand, and if nothing can begin, why.
    fn tell_now(&mut self, tell: Tell<'_>) -> anyhow::Result<()> {
        const LONG: Duration = Duration::from_secs(10);
        let idle = !self.held.is_empty() && self.held.values().all(|held| held.attempt.is_none());
        self.stuck = if idle { self.stuck.or(Some((Instant::now(), false))) } else { None };
        if let Some((since, told)) = &mut self.stuck
            && !*told
            && since.elapsed() >= LONG
        {
            *told = true;
            let (memory, foreign) = self.machine.memory();
            let show = rushes::device::show_bytes;
            let text = format!(
                "{} jobs wait for room: other programs hold {} of {}",
                self.held.len(),
                show(foreign),
                show(memory)
            );
            tell(Told::Machine(&text))?;
        }
        if !self.options.watched || self.told_now.elapsed() < LOOK {
            return Ok(());
        }
        self.told_now = Instant::now();
        let running = self.held.values().filter_map(|held| {
            let (attempt, way) = (held.attempt.as_ref()?, held.way.as_ref()?);
            let progress = attempt.progress();
            Some(Running {
                job: &held.claim.job,
                way,
                share: progress.share,
                text: progress.text,
                ran: progress.ran,
                bytes: attempt.bytes(),
            })
        });
        let devices = self.state.devices().map(|device| DeviceLine {
            label: self.machine.label(device.id),
            works: device.works,
            leases: device.leases,
            promised: device.promised,
            memory: device.memory,
        });
        let running: Vec<Running<'_>> = running.collect();
        let waiting = self.held.len() - running.len();
        tell(Told::Now(&Standing { running, devices: devices.collect(), waiting }))
    }
}
