//! What may begin by the rules, when there is nothing left to do, and what is given back then.

use super::super::now;
use super::{Ended, JobId, JobRow, JobState, Pool, Tell, Told, Which};
use rushes::jobs::{Account, By, Cost, Finish, Rules, Standing, day_began};
use rushes::sched::{Event, What};
use std::time::{Duration, Instant};

/// How often rules are held against what was spent.
const CHECK: Duration = Duration::from_secs(1);

impl Pool<'_> {
    /// Whether no job waits or runs that this pool could do, now or later, or none that may begin.
    pub(super) fn ended(&self) -> anyhow::Result<Option<Ended>> {
        let can = &self.options.can;
        if self.queue.left(can)? == 0 {
            return Ok(Some(Ended::NothingLeft));
        }
        if let Some(spent) = &self.spent {
            return Ok(Some(Ended::NotAllowed(spent.clone())));
        }
        if can.without_tenants.is_empty() && can.without_batches.is_empty() {
            return Ok(None);
        }
        let left = self.queue.list(&Which {
            batch: can.batch.clone(),
            states: vec![JobState::Ready, JobState::Running],
            ..Which::default()
        })?;
        let shut_out = left.iter().all(|job| {
            can.without_tenants.contains(&job.message.tenant)
                || can.without_batches.contains(&job.batch)
        });
        Ok(shut_out.then(|| Ended::NotAllowed(self.told.clone())))
    }

    /// Holds what was spent against the rules: what runs is finished, what may not begin is left.
    pub(super) fn check(&mut self, tell: Tell<'_>) -> anyhow::Result<()> {
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

    /// Ends in good order: what runs is asked to stop, all goes back to the queue.
    pub(super) fn put_back(&mut self) -> anyhow::Result<()> {
        for held in self.held.values_mut().filter(|held| held.stopped.is_none()) {
            if let Some(attempt) = &held.attempt {
                attempt.stop();
                held.stopped = Some(Finish::PutBack);
            }
        }
        for id in self.waiting(|_| true) {
            let at = self.at();
            let _ = self.state.apply(Event { at, what: What::Cancel(id) });
            self.give_back(id)?;
        }
        Ok(())
    }

    /// Gives back what was claimed before it became known that it may not begin.
    fn put_back_shut_out(&mut self, tell: Tell<'_>) -> anyhow::Result<()> {
        let can = &self.options.can;
        let shut_out = self.waiting(|job| {
            self.spent.is_some()
                || can.without_tenants.contains(&job.message.tenant)
                || can.without_batches.contains(&job.batch)
        });
        for id in &shut_out {
            self.give_back(*id)?;
        }
        // Only now: what they leave free goes to none of them.
        for id in shut_out {
            self.step(What::Cancel(id), tell)?;
        }
        Ok(())
    }

    /// Gives a job that does not run back to the queue, with what earlier attempts at it took.
    fn give_back(&mut self, id: JobId) -> anyhow::Result<()> {
        if let Some(held) = self.held.remove(&id) {
            let account = Account { cost: held.spent.cost, ..Account::default() };
            self.queue.finish(held.claim.token, &Finish::PutBack, &account, now())?;
        }
        Ok(())
    }

    /// The jobs that do not run and are `meant`.
    fn waiting(&self, meant: impl Fn(&JobRow) -> bool) -> Vec<JobId> {
        let waiting = self.held.iter().filter(|(_, held)| {
            held.attempt.is_none() && held.stopped.is_none() && meant(&held.claim.job)
        });
        waiting.map(|(id, _)| *id).collect()
    }
}
