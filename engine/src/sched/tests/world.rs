//! A world that carries out effects and keeps its own accounts, from the effects alone.

use crate::sched::*;
use std::collections::{BTreeMap, BTreeSet};

/// Something the world owes an answer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owed {
    Load(DeviceId, ModelId),
    Unload(DeviceId, ModelId),
    Run(LeaseId),
}

#[derive(Clone, Debug)]
pub struct Run {
    pub job: JobId,
    pub device: DeviceId,
    pub alternative: usize,
    pub memory: u64,
    pub began: Millis,
    pub stopped: bool,
    /// Its device was lost: it holds nothing there.
    pub off: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Done,
    Failed(Failure),
    Cancelled,
}

pub struct World {
    pub state: State,
    pub now: Millis,
    pub log: Vec<Effect>,
    pub owed: Vec<Owed>,
    pub runs: BTreeMap<LeaseId, Run>,
    pub jobs: BTreeMap<JobId, JobSpec>,
    pub ends: BTreeMap<JobId, End>,
    pub starts: BTreeMap<JobId, Millis>,
    pub refused: BTreeMap<JobId, Refusal>,
    pub devices: BTreeMap<DeviceId, (DeviceSpec, u64)>,
    /// Models that lie somewhere, and whether loading is over.
    pub models: BTreeMap<(DeviceId, ModelId), bool>,
    released: BTreeSet<LeaseId>,
    started: BTreeSet<LeaseId>,
}

impl World {
    pub fn new(policy: Policy, devices: &[DeviceSpec]) -> Self {
        let mut world = Self {
            state: State::new(policy),
            now: 0,
            log: Vec::new(),
            owed: Vec::new(),
            runs: BTreeMap::new(),
            jobs: BTreeMap::new(),
            ends: BTreeMap::new(),
            starts: BTreeMap::new(),
            refused: BTreeMap::new(),
            devices: BTreeMap::new(),
            models: BTreeMap::new(),
            released: BTreeSet::new(),
            started: BTreeSet::new(),
        };
        for spec in devices {
            world.devices.insert(spec.id, (*spec, 0));
            world.tell(What::Device(*spec));
        }
        world
    }

    pub fn submit(&mut self, jobs: Vec<JobSpec>) -> Vec<Effect> {
        for job in &jobs {
            self.jobs.entry(job.id).or_insert_with(|| job.clone());
        }
        self.tell(What::Submit(jobs))
    }

    pub fn alternative(&self, run: &Run) -> &Alternative {
        &self.jobs[&run.job].alternatives[run.alternative]
    }

    /// Tells the scheduler, carries out what it wants, and checks the accounts.
    pub fn tell(&mut self, what: What) -> Vec<Effect> {
        match &what {
            What::Lost(device) | What::Removed(device) => {
                self.models.retain(|(at, _), _| at != device);
                self.owed.retain(
                    |owed| !matches!(owed, Owed::Load(at, _) | Owed::Unload(at, _) if at == device),
                );
                for run in self.runs.values_mut().filter(|run| run.device == *device) {
                    run.off = true;
                }
            }
            What::Foreign(device, bytes) => {
                if let Some((_, foreign)) = self.devices.get_mut(device) {
                    *foreign = *bytes;
                }
            }
            What::Loaded(device, model) => {
                self.models.insert((*device, *model), true);
            }
            What::LoadFailed { device, model, .. } => {
                self.models.remove(&(*device, *model));
            }
            What::Unloaded(device, model) => {
                self.models.remove(&(*device, *model));
            }
            What::Settled(lease) => {
                if let Some(run) = self.runs.get(lease).cloned() {
                    let steady = self.alternative(&run).need.memory_steady;
                    let run = self.runs.get_mut(lease).unwrap();
                    run.memory = run.memory.min(steady);
                }
            }
            _ => {}
        }
        let effects = self.state.apply(Event { at: self.now, what });
        for effect in &effects {
            self.carry_out(effect);
        }
        self.log.extend(effects.iter().cloned());
        effects
    }

    fn carry_out(&mut self, effect: &Effect) {
        match effect {
            Effect::Load(device, model) => {
                let wanted = self.jobs.values().any(|job| {
                    !self.ends.contains_key(&job.id)
                        && job.alternatives.iter().any(|a| a.model.is_some_and(|m| m.id == *model))
                });
                assert!(wanted, "{model:?} is loaded for nobody");
                assert!(self.models.insert((*device, *model), false).is_none(), "loaded twice");
                self.owed.push(Owed::Load(*device, *model));
                self.check(*device);
            }
            Effect::Evict(device, model) => {
                assert_eq!(self.models.get(&(*device, *model)), Some(&true), "evicted, not there");
                let used = self.runs.values().any(|run| {
                    run.device == *device
                        && !run.off
                        && self.alternative(run).model.is_some_and(|m| m.id == *model)
                });
                assert!(!used, "{model:?} is evicted in use");
                self.owed.push(Owed::Unload(*device, *model));
            }
            Effect::Start { lease, job, device, alternative, memory, .. } => {
                assert!(self.started.insert(*lease), "started twice");
                assert!(!self.ends.contains_key(job), "{job:?} is over and starts");
                let running = self.runs.values().any(|run| run.job == *job && !run.off);
                assert!(!running, "{job:?} runs twice");
                let run = Run {
                    job: *job,
                    device: *device,
                    alternative: *alternative as usize,
                    memory: *memory,
                    began: self.now,
                    stopped: false,
                    off: false,
                };
                if let Some(model) = self.alternative(&run).model {
                    assert_eq!(self.models.get(&(*device, model.id)), Some(&true), "no model");
                }
                self.starts.entry(*job).or_insert(self.now);
                self.runs.insert(*lease, run);
                self.owed.push(Owed::Run(*lease));
                self.check(*device);
                self.check(HOST);
            }
            Effect::Stop(lease, _) | Effect::Kill(lease) => {
                self.runs.get_mut(lease).expect("stopped, not running").stopped = true;
            }
            Effect::Released(lease) => {
                assert!(self.released.insert(*lease), "released twice");
                self.runs.remove(lease);
            }
            Effect::Done(job) => self.end(*job, End::Done),
            Effect::Failed(job, why) => self.end(*job, End::Failed(*why)),
            Effect::Cancelled(job) => self.end(*job, End::Cancelled),
            Effect::Refused(job, why) => {
                if *why != Refusal::Known {
                    self.refused.insert(*job, why.clone());
                }
            }
            Effect::Accepted(_) | Effect::Requeued(..) | Effect::Stale(_) => {}
        }
    }

    fn end(&mut self, job: JobId, end: End) {
        assert!(self.ends.insert(job, end).is_none(), "{job:?} ends twice");
    }

    /// Never over memory, sessions or compute, by what was begun and is not over.
    fn check(&self, at: DeviceId) {
        let (spec, _) = self.devices[&at];
        let (mut memory, mut compute, mut decode, mut encode, mut disk) = (0, 0, 0, 0, 0u64);
        for run in self.runs.values() {
            let need = self.alternative(run).need;
            if run.device == at && !run.off {
                memory += run.memory;
                compute += need.compute;
                decode += need.decode;
                encode += need.encode;
            }
            if at == HOST && run.device != HOST {
                memory += need.host_memory;
                compute += need.host_compute;
                disk += need.disk;
            }
            if at == HOST && run.device == HOST {
                compute += need.host_compute;
                disk += need.disk;
            }
        }
        for (device, model) in self.models.keys().filter(|(device, _)| *device == at) {
            let bytes = |a: &Alternative| a.model.filter(|m| m.id == *model).map(|m| m.bytes);
            let bytes = self.jobs.values().flat_map(|job| &job.alternatives).find_map(bytes);
            memory += bytes.unwrap_or_else(|| panic!("{model:?} on {device:?} is nobody's"));
        }
        assert!(memory <= spec.memory - spec.reserve, "{at:?}: {memory} of {}", spec.memory);
        assert!(compute <= spec.compute, "{at:?}: compute {compute} of {}", spec.compute);
        assert!(decode <= spec.decode && encode <= spec.encode, "{at:?}: sessions");
        assert!(disk <= spec.disk, "{at:?}: disk");
    }

    /// Answers what is owed at `index`.
    pub fn answer(&mut self, index: usize, outcome: Outcome) {
        if self.owed.is_empty() {
            return;
        }
        let owed = self.owed.remove(index % self.owed.len());
        match owed {
            Owed::Load(device, model) => match outcome {
                Outcome::OutOfMemory | Outcome::Failed => {
                    let out_of_memory = outcome == Outcome::OutOfMemory;
                    self.tell(What::LoadFailed { device, model, out_of_memory });
                }
                _ => {
                    self.tell(What::Loaded(device, model));
                }
            },
            Owed::Unload(device, model) => {
                self.tell(What::Unloaded(device, model));
            }
            Owed::Run(lease) => {
                let stopped = self.runs.get(&lease).is_some_and(|run| run.stopped);
                self.tell(What::Ended(lease, if stopped { Outcome::Stopped } else { outcome }));
            }
        }
    }

    /// All works again and every answer is good: everything that was taken on must come to its end.
    pub fn drain(&mut self) {
        for device in self.devices.keys().copied().collect::<Vec<_>>() {
            self.tell(What::Foreign(device, 0));
            self.tell(What::Back(device));
        }
        for _ in 0..5_000 {
            if !self.owed.is_empty() {
                self.now += 1;
                self.answer(0, Outcome::Done { peak: None });
            } else if self.state.waiting_jobs() + self.state.running_leases() > 0 {
                let wake = self.state.next_wake().expect("jobs wait and nobody will wake them");
                self.now = self.now.max(wake);
                self.tell(What::Tick);
            } else {
                break;
            }
        }
        for job in self.jobs.keys().filter(|job| !self.refused.contains_key(job)) {
            assert!(self.ends.contains_key(job), "{job:?} never ends");
        }
        assert_eq!(self.started.difference(&self.released).count(), 0, "not released");
        for view in self.state.devices() {
            assert_eq!(view.leases, 0);
            let lies: u64 = self
                .models
                .keys()
                .filter(|(device, _)| *device == view.id)
                .map(|(_, model)| {
                    let models = self.jobs.values().flat_map(|job| &job.alternatives);
                    models.filter_map(|a| a.model).find(|m| m.id == *model).unwrap().bytes
                })
                .sum();
            assert_eq!((view.promised, view.here), (lies, lies), "{view:?}");
        }
    }
}
