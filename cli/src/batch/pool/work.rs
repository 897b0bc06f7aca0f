//! Carrying out what the scheduler wants, and telling it what came of it.

use super::super::child::{Attempt, Look, is_out_of_memory};
use super::super::machine::device_word;
use super::super::{arguments::arguments, now, point, ways};
use super::{LOOK, Orphan, Pool, Taken, Tell, Told};
use rushes::jobs::{Account, Finish, MOST_KILLS, Way};
use rushes::library::sweep;
use rushes::sched::{
    Choice, DeviceId, Effect, Event, Failure, HOST, JobId, LeaseId, Outcome, Refusal, StopReason,
    What,
};

/// A lease that begins.
struct Begins {
    lease: LeaseId,
    device: DeviceId,
    alternative: usize,
    choice: Choice,
    memory: u64,
}

impl Pool<'_> {
    /// Tells the scheduler and does what it wants.
    pub(super) fn step(&mut self, what: What, tell: Tell<'_>) -> anyhow::Result<()> {
        let mut events = vec![what];
        while let Some(what) = events.pop() {
            let at = self.at();
            for effect in self.state.apply(Event { at, what }) {
                match effect {
                    Effect::Start { lease, job, device, alternative, choice, memory, .. } => {
                        let alternative = alternative as usize;
                        let begins = Begins { lease, device, alternative, choice, memory };
                        if let Err(how) = self.start(job, &begins, tell)? {
                            self.over(job, how, Account::default(), tell)?;
                            events.push(What::Ended(lease, Outcome::Failed));
                        }
                    }
                    Effect::Stop(lease, why) => self.stop(lease, why),
                    Effect::Kill(lease) => {
                        let held = self.held.values().find(|held| held.lease == Some(lease));
                        if let Some(attempt) = held.and_then(|held| held.attempt.as_ref()) {
                            attempt.kill();
                        }
                    }
                    // A model lies in the process of the job that uses it and goes with it: it is
                    // part of the job's memory, so there is nothing to do and none is ever asked for.
                    Effect::Load(device, model) => events.push(What::Loaded(device, model)),
                    Effect::Evict(device, model) => events.push(What::Unloaded(device, model)),
                    Effect::Refused(job, why) => {
                        self.over(job, refused(&why), Account::default(), tell)?;
                    }
                    Effect::Cancelled(job) => {
                        self.over(job, Finish::Cancelled, Account::default(), tell)?;
                    }
                    Effect::Requeued(job, why) => self.moved(job, why, tell)?,
                    Effect::Failed(job, why) => self.failed(job, why, tell)?,
                    Effect::Accepted(_)
                    | Effect::Released(_)
                    | Effect::Done(_)
                    // Its job has gone on, or is over: what it said is not used.
                    | Effect::Stale(_) => {}
                }
            }
        }
        Ok(())
    }

    /// Begins an attempt; or how the job ends instead.
    fn start(
        &mut self,
        id: JobId,
        begins: &Begins,
        tell: Tell<'_>,
    ) -> anyhow::Result<Result<(), Finish>> {
        let Some(held) = self.held.get_mut(&id) else { return Ok(Ok(())) };
        let job = &held.claim.job;
        let message = &job.message;
        // Where links lead may have changed since it was submitted.
        if let Err(error) = self.options.rules.isolated(message) {
            let (kind, message) = (error.kind().as_str().to_owned(), error.to_string());
            return Ok(Err(Finish::Failed { kind, message, retry: false }));
        }
        let Some(way) = held.ways.get(begins.alternative) else { return Ok(Ok(())) };
        held.lease = Some(begins.lease);
        held.at = (begins.device, way.need.compute, begins.memory);
        held.way = Some(Way {
            name: way.name.to_string(),
            device: self.machine.label(begins.device),
            because: ways::because(&held.ways, begins.alternative, begins.choice),
        });
        point::at("granted");
        if job.attempts > 1 || job.kills + job.losses > 0 {
            // What an attempt left that was killed; where that fails it is only untidy.
            let _ = message.action.folder().map(sweep);
        }
        let models = self.options.models_dir.as_deref();
        let mut words = arguments(message, self.options.threads_each, models);
        let env = self.machine.env(begins.device);
        let on_gpu = begins.device != HOST && !env.1.is_empty();
        words.extend(device_word(on_gpu).map(Into::into));
        // Options come before the input, which stands behind `--`.
        if device_word(on_gpu).is_some()
            && let Some(last) = words.pop()
        {
            words.insert(1, last);
        }
        let bytes = std::fs::metadata(&message.media).map_or(0, |meta| meta.len());
        match Attempt::begin(&words, &[env], message.action.name(), bytes, &self.wake.0) {
            Ok(attempt) => held.attempt = Some(attempt),
            Err(error) => {
                let (kind, message) = ("resource".to_owned(), format!("{error:#}"));
                return Ok(Err(Finish::Failed { kind, message, retry: true }));
            }
        }
        point::at("begun");
        if let Some(way) = &held.way {
            tell(Told::Begun(&held.claim.job, way))?;
        }
        Ok(Ok(()))
    }

    fn stop(&mut self, lease: LeaseId, why: StopReason) {
        let Some((id, held)) = self.held.iter_mut().find(|(_, held)| held.lease == Some(lease))
        else {
            return;
        };
        if why == StopReason::DeviceLost {
            // Its job begins anew elsewhere, any moment: two of them must not write at once.
            if let Some(attempt) = held.attempt.take() {
                attempt.kill();
                self.orphans.push(Orphan { lease, job: *id, attempt });
            }
            return;
        }
        let Some(attempt) = &held.attempt else { return };
        attempt.stop();
        if why == StopReason::Stalled {
            let silence = self.options.silence.as_secs();
            held.stopped = Some(Finish::Stalled(format!("did nothing for {silence} s")));
        }
    }

    /// Looks at the processes that run.
    pub(super) fn look(&mut self, tell: Tell<'_>) -> anyhow::Result<()> {
        let every = LOOK.min(self.options.silence / 4);
        let mut alive = Vec::new();
        let mut ended = Vec::new();
        for (id, held) in &mut self.held {
            let (Some(attempt), Some(lease)) = (&mut held.attempt, held.lease) else { continue };
            match attempt.look(every)? {
                Look::Runs { got_on: true } => alive.push(lease),
                Look::Runs { got_on: false } => {}
                Look::Over(how, account) => {
                    let gpu_peak = attempt.gpu_peak;
                    held.attempt = None;
                    ended.push((*id, lease, how, *account, gpu_peak));
                }
            }
        }
        let mut gone = Vec::new();
        let mut at = 0;
        while let Some(orphan) = self.orphans.get_mut(at) {
            match orphan.attempt.look(every)? {
                Look::Runs { .. } => at += 1,
                Look::Over(_, account) => {
                    let orphan = self.orphans.swap_remove(at);
                    if let Some(held) = self.held.get_mut(&orphan.job) {
                        held.spent.cost = held.spent.cost.plus(&account.cost);
                    }
                    gone.push(orphan.lease);
                }
            }
        }
        for lease in alive {
            self.step(What::Progress(lease), tell)?;
        }
        for lease in gone {
            self.step(What::Ended(lease, Outcome::Stopped), tell)?;
        }
        for (id, lease, how, account, gpu_peak) in ended {
            self.end(id, lease, how, account, gpu_peak, tell)?;
        }
        Ok(())
    }

    /// An attempt is over.
    fn end(
        &mut self,
        id: JobId,
        lease: LeaseId,
        how: Finish,
        mut account: Account,
        gpu_peak: Option<u64>,
        tell: Tell<'_>,
    ) -> anyhow::Result<()> {
        point::at("ended");
        let Some(held) = self.held.get_mut(&id) else { return Ok(()) };
        let cost = &mut account.cost;
        if held.at.0 != HOST {
            cost.gpu_ms = cost.wall_ms.saturating_mul(u64::from(held.at.1)) / 1000;
        }
        // What was done before the word to stop came is done.
        let how = held.stopped.take().filter(|_| how != Finish::Done).unwrap_or(how);
        let died = match &how {
            Finish::WorkerDied(text) | Finish::Stalled(text) => Some(text.clone()),
            _ => None,
        };
        let mut outcome = Outcome::Failed;
        if how == Finish::Done {
            self.known.saw(held.claim.job.message.action.name(), cost);
            let on_host = held.at.0 == HOST;
            let peak = if on_host { Some(cost.peak_bytes) } else { gpu_peak };
            outcome = Outcome::Done { peak };
        } else if is_out_of_memory(&how) {
            outcome = Outcome::OutOfMemory;
        } else if let Some(text) = &died
            && held.claim.job.kills + 1 < MOST_KILLS
        {
            // Noted before it is tried again: whoever has the job next knows of it.
            let text = format!("a process died over it: {text}");
            if let Some(kills) = self.queue.note(held.claim.token, &text, true, now())? {
                held.claim.job.kills = kills;
                outcome = Outcome::WorkerDied;
            }
        }
        if matches!(outcome, Outcome::OutOfMemory | Outcome::WorkerDied) {
            // The scheduler says where it is tried next, or that there is no such place.
            hold_on(held, account, &how);
        } else {
            self.over(id, how, account, tell)?;
            // Before the room it leaves is given to another.
            self.check(tell)?;
        }
        self.step(What::Ended(lease, outcome), tell)
    }

    /// A job that ran waits again.
    fn moved(&mut self, id: JobId, why: StopReason, tell: Tell<'_>) -> anyhow::Result<()> {
        let Some(held) = self.held.get_mut(&id) else { return Ok(()) };
        held.lease = None;
        let was = held.way.as_ref().map_or("", |way| way.device.as_str());
        let why = match why {
            StopReason::DeviceLost => "the device was lost",
            StopReason::OutOfMemory => "memory ran out",
            StopReason::Stalled => "it did nothing any more",
            StopReason::WorkerDied => "its process died",
            StopReason::LoadFailed => "its model could not be loaded",
            StopReason::Cancelled => "it was stopped",
        };
        let text = format!("{why} on {was}; tried again");
        self.queue.note(held.claim.token, &text, false, now())?;
        tell(Told::Moved(&held.claim.job, &text))
    }

    /// The scheduler has no further place for a job.
    fn failed(&mut self, id: JobId, why: Failure, tell: Tell<'_>) -> anyhow::Result<()> {
        let failed = |kind: &str, message: &str| Finish::Failed {
            kind: kind.into(),
            message: message.into(),
            retry: true,
        };
        let how = match why {
            // Told when it ended.
            Failure::Work => return Ok(()),
            Failure::OutOfMemory => {
                failed("resource", "memory ran out on every device, in every way to do it")
            }
            Failure::Quarantined => Finish::WorkerDied("two processes died over it".into()),
            Failure::DeviceLost => failed("device", "the device under it was lost, twice"),
            Failure::LoadFailed => failed("model", "its model cannot be loaded on any device"),
            Failure::NeverFits => {
                failed("limit", "devices went away; none that is left has the room")
            }
        };
        self.over(id, how, Account::default(), tell)
    }

    /// Tells the queue how a job ended; its answer decides whether that counts.
    pub(super) fn over(
        &mut self,
        id: JobId,
        how: Finish,
        account: Account,
        tell: Tell<'_>,
    ) -> anyhow::Result<()> {
        let Some(held) = self.held.remove(&id) else { return Ok(()) };
        let Account { cost, stages, said, .. } = account;
        let mut all = held.spent;
        all.cost = all.cost.plus(&cost);
        all.stages.extend(stages);
        all.said.push_str(&said);
        all.way = held.way;
        if !held.lost && self.queue.finish(held.claim.token, &how, &all, now())? {
            point::at("told");
            // What it cost may have been the last that may be spent.
            self.checked = None;
            tell(Told::Over(&held.claim.job, &how, &all))?;
        }
        Ok(())
    }
}

/// Keeps what an attempt took that did not end its job, and what was said of it.
fn hold_on(held: &mut Taken, account: Account, how: &Finish) {
    held.spent.cost = held.spent.cost.plus(&account.cost);
    held.spent.said.push_str(&account.said);
    if let Finish::Failed { message, .. } = how {
        held.spent.said.push_str(&format!("{message}\n"));
    }
    held.lease = None;
}

fn refused(why: &Refusal) -> Finish {
    let (message, retry) = match why {
        Refusal::NeverFits { resource, need, most } => {
            (format!("needs {need} of {resource:?}, there are {most}"), false)
        }
        Refusal::Full { retry_after } => (
            format!("too many jobs wait; there may be room in {} s", retry_after.div_ceil(1000)),
            true,
        ),
        Refusal::Known | Refusal::NoAlternative => (format!("{why:?}"), true),
    };
    Finish::Failed { kind: "limit".into(), message, retry }
}
