//! A world in which time is a number: carries out what the scheduler wants.

use cpu_time::ThreadTime;
use rushes::sched::{
    Alternative, DeviceId, DeviceSpec, Effect, Event, JobId, JobSpec, LeaseId, Millis, ModelId,
    ModelNeed, Need, Outcome, Place, Policy, Priority, State, TenantId, What,
};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

/// A job as it really is.
#[derive(Clone, Debug)]
pub struct Work {
    pub tenant: u32,
    pub arrives: Millis,
    /// How long it really takes.
    pub time: Millis,
    /// How long it is thought to take.
    pub estimate: Millis,
    pub memory: u64,
    pub compute: u32,
    pub model: Option<(u32, u64, Millis)>,
}

/// What came of a simulation.
#[derive(Default)]
pub struct Result {
    pub makespan: Millis,
    /// How long each job waited for its start.
    pub waits: Vec<Millis>,
    pub loads: u64,
    /// When each job began, by its number.
    pub began: BTreeMap<u64, Millis>,
    pub events: u64,
    pub effects: u64,
    /// Processor time spent deciding.
    pub deciding: Duration,
    pub slowest: Duration,
    pub most_waiting: usize,
}

/// A policy with its name in the tables.
type Named = (&'static str, fn() -> Policy);

/// Which policies are compared.
pub const POLICIES: [Named; 4] = [
    ("rushes", rushes),
    ("FIFO", || Policy { backfill: false, largest_first: false, ..rushes() }),
    ("FIFO, backfill", || Policy { largest_first: false, ..rushes() }),
    ("one at a time", || Policy {
        backfill: false,
        largest_first: false,
        share_devices: false,
        ..rushes()
    }),
];

fn rushes() -> Policy {
    // Simulated workers do not tell that they live.
    Policy { silence: Millis::MAX / 4, ..Policy::default() }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Arrive(usize),
    End(LeaseId),
    Loaded(DeviceId, ModelId),
    Unloaded(DeviceId, ModelId),
}

/// Does `work` (in order of arrival) on `gpus` devices of `memory` bytes. Jobs that arrive at one
/// moment are submitted together.
pub fn run(policy: Policy, gpus: u32, memory: u64, work: &[Work], timed: bool) -> Result {
    let mut state = State::new(policy);
    let mut result = Result { waits: Vec::with_capacity(work.len()), ..Result::default() };
    for id in 1..=gpus {
        let spec = DeviceSpec::gpu(id, memory);
        let effects = state.apply(Event { at: 0, what: What::Device(spec) });
        debug_assert!(effects.is_empty());
    }
    let loads: BTreeMap<u32, Millis> =
        work.iter().filter_map(|w| w.model.map(|(id, _, load)| (id, load))).collect();
    let mut soon: BinaryHeap<Reverse<(Millis, Happens)>> = BinaryHeap::new();
    let mut began: Vec<Option<Millis>> = vec![None; work.len()];
    if let Some(first) = work.first() {
        soon.push(Reverse((first.arrives, Happens::Arrive(0))));
    }
    loop {
        let next = soon.peek().map(|Reverse((at, _))| *at);
        // Nothing but time may be what is waited for.
        let wake = state.next_wake().filter(|wake| next.is_none_or(|next| *wake < next));
        let (now, what) = match (wake, next) {
            (Some(wake), _) => (wake, What::Tick),
            (None, Some(_)) => {
                let Some(Reverse((now, happens))) = soon.pop() else { break };
                let what = match happens {
                    Happens::Arrive(from) => {
                        let count = work[from..].iter().take_while(|w| w.arrives == now).count();
                        if let Some(later) = work.get(from + count) {
                            soon.push(Reverse((later.arrives, Happens::Arrive(from + count))));
                        }
                        let jobs = from..from + count;
                        What::Submit(jobs.map(|i| spec(i as u64, &work[i])).collect())
                    }
                    Happens::End(lease) => What::Ended(lease, Outcome::Done { peak: None }),
                    Happens::Loaded(device, model) => What::Loaded(device, model),
                    Happens::Unloaded(device, model) => What::Unloaded(device, model),
                };
                (now, what)
            }
            (None, None) => break,
        };
        let since = timed.then(ThreadTime::now);
        let effects = state.apply(Event { at: now, what });
        if let Some(since) = since {
            let took = since.elapsed();
            result.deciding += took;
            result.slowest = result.slowest.max(took);
        }
        result.events += 1;
        result.effects += effects.len() as u64;
        result.most_waiting = result.most_waiting.max(state.waiting_jobs());
        for effect in effects {
            match effect {
                Effect::Start { lease, job, .. } => {
                    let w = &work[job.0 as usize];
                    began[job.0 as usize] = Some(now);
                    result.waits.push(now - w.arrives);
                    soon.push(Reverse((now + w.time, Happens::End(lease))));
                }
                Effect::Load(device, model) => {
                    result.loads += 1;
                    let time = loads.get(&model.0).copied().unwrap_or(0);
                    soon.push(Reverse((now + time, Happens::Loaded(device, model))));
                }
                Effect::Evict(device, model) => {
                    soon.push(Reverse((now + 200, Happens::Unloaded(device, model))));
                }
                Effect::Done(_) => result.makespan = now,
                Effect::Accepted(_) | Effect::Released(_) => {}
                other => unreachable!("{other:?}"),
            }
        }
    }
    assert_eq!(result.waits.len(), work.len(), "every job runs");
    result.began = (0..).zip(began).filter_map(|(id, at)| Some((id, at?))).collect();
    result
}

fn spec(id: u64, work: &Work) -> JobSpec {
    let need = Need {
        memory_steady: work.memory,
        memory_peak: work.memory,
        compute: work.compute,
        ..Need::default()
    };
    let model = work.model.map(|(id, bytes, load)| ModelNeed { id: ModelId(id), bytes, load });
    JobSpec {
        id: JobId(id),
        tenant: TenantId(work.tenant),
        priority: Priority::Normal,
        alternatives: vec![Alternative {
            model,
            ..Alternative::new("gpu", Place::Gpu, need, work.estimate)
        }],
    }
}
