//! Random traces.

use super::world::{Owed, World};
use crate::sched::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Submit(Vec<Ask>),
    Cancel(u64),
    Answer(usize, Outcome),
    Lose(u32),
    Back(u32),
    Foreign(u32, u64),
    Wait(u64),
    Progress(usize),
    Settle(usize),
    Stale(u64),
}

#[derive(Clone, Debug)]
struct Ask {
    tenant: u32,
    priority: Priority,
    ways: Vec<Alternative>,
}

fn way() -> impl Strategy<Value = Alternative> {
    let need = (0u64..12, 0u64..6, 0u32..1100, 0u32..3, 0u32..2, 0u64..6, 0u32..900, 0u64..5);
    let model = prop::option::of(0u32..4);
    (any::<bool>(), need, model, 1u32..5, 1u64..400, prop::option::of(0u32..3)).prop_map(
        |(gpu, need, model, batch, estimate, shape)| {
            let (steady, more, compute, decode, encode, host_memory, host_compute, disk) = need;
            let place = if gpu { Place::Gpu } else { Place::Host };
            let sessions = |n| if gpu { n } else { 0 };
            Alternative {
                need: Need {
                    memory_steady: steady,
                    memory_peak: steady + more,
                    compute,
                    decode: sessions(decode),
                    encode: sessions(encode),
                    host_memory,
                    host_compute,
                    disk,
                },
                // A model's size depends on nothing but the model.
                model: model.map(|id| ModelNeed {
                    id: ModelId(id),
                    bytes: 2 + 3 * u64::from(id),
                    load: 20,
                }),
                batch,
                batch_bytes: 1,
                estimate,
                shape,
                ..Alternative::new("way", place, Need::default(), 1)
            }
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let priority = prop_oneof![Just(Priority::Low), Just(Priority::Normal), Just(Priority::High)];
    let ask = (0u32..3, priority, prop::collection::vec(way(), 1..4));
    let ask = ask.prop_map(|(tenant, priority, ways)| Ask { tenant, priority, ways });
    let outcome = prop_oneof![
        6 => prop::option::of(0u64..18).prop_map(|peak| Outcome::Done { peak }),
        1 => Just(Outcome::Failed),
        2 => Just(Outcome::OutOfMemory),
        1 => Just(Outcome::WorkerDied),
    ];
    prop_oneof![
        4 => prop::collection::vec(ask, 1..5).prop_map(Op::Submit),
        1 => (0u64..40).prop_map(Op::Cancel),
        9 => (any::<usize>(), outcome).prop_map(|(at, outcome)| Op::Answer(at, outcome)),
        1 => (1u32..4).prop_map(Op::Lose),
        1 => (1u32..4).prop_map(Op::Back),
        1 => (0u32..4, 0u64..30).prop_map(|(at, bytes)| Op::Foreign(at, bytes)),
        3 => (1u64..300).prop_map(Op::Wait),
        1 => any::<usize>().prop_map(Op::Progress),
        2 => any::<usize>().prop_map(Op::Settle),
        1 => (0u64..60).prop_map(Op::Stale),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    (any::<bool>(), any::<bool>(), any::<bool>(), 2usize..40, 4usize..40).prop_map(
        |(backfill, largest_first, share_devices, window, queue)| Policy {
            backfill,
            largest_first,
            share_devices,
            window,
            queue,
            queue_per_tenant: queue / 2,
            ageing: 500,
            stay: 50,
            silence: 1000,
            grace: 100,
            ..Policy::default()
        },
    )
}

fn devices() -> Vec<DeviceSpec> {
    let gpu = |id, memory, sessions| DeviceSpec {
        reserve: 2,
        decode: sessions,
        encode: sessions / 2,
        speed: 500 * id,
        ..DeviceSpec::gpu(id, memory)
    };
    let host = DeviceSpec { disk: 12, ..DeviceSpec::host(2, 24) };
    vec![host, gpu(1, 16, 2), gpu(2, 16, 3), gpu(3, 32, 4)]
}

fn play(policy: &Policy, ops: &[Op]) -> World {
    let mut world = World::new(policy.clone(), &devices());
    let mut next = 0;
    for op in ops {
        match op {
            Op::Submit(asks) => {
                let jobs = asks.iter().map(|ask| {
                    next += 1;
                    JobSpec {
                        id: JobId(next - 1),
                        tenant: TenantId(ask.tenant),
                        priority: ask.priority,
                        alternatives: ask.ways.clone(),
                    }
                });
                let jobs = jobs.collect();
                world.submit(jobs);
            }
            Op::Cancel(job) => {
                world.tell(What::Cancel(JobId(*job)));
            }
            Op::Answer(at, outcome) => world.answer(*at, *outcome),
            Op::Lose(at) => {
                world.tell(What::Lost(DeviceId(*at)));
            }
            Op::Back(at) => {
                world.tell(What::Back(DeviceId(*at)));
            }
            Op::Foreign(at, bytes) => {
                world.tell(What::Foreign(DeviceId(*at), *bytes));
            }
            Op::Wait(time) => {
                let until = world.now + time;
                while let Some(wake) = world.state.next_wake().filter(|wake| *wake <= until) {
                    world.now = world.now.max(wake);
                    world.tell(What::Tick);
                }
                world.now = until;
            }
            Op::Progress(at) | Op::Settle(at) => {
                let runs: Vec<LeaseId> = world.runs.keys().copied().collect();
                if let Some(lease) = runs.get(at % runs.len().max(1)).copied() {
                    let settle = matches!(op, Op::Settle(_));
                    world.tell(if settle { What::Settled(lease) } else { What::Progress(lease) });
                }
            }
            Op::Stale(lease) => {
                let lease = LeaseId(*lease);
                if !world.owed.contains(&Owed::Run(lease)) {
                    let effects = world.tell(What::Ended(lease, Outcome::Done { peak: None }));
                    assert!(effects.contains(&Effect::Stale(lease)), "{effects:?}");
                }
            }
        }
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// The world checks at each effect: memory, sessions, evictions, loads, leases, one end for each
    /// job. In the end everything has come to its end, and all was given back.
    #[test]
    fn nothing_is_ever_overdrawn_lost_or_done_twice(
        policy in policy(),
        ops in prop::collection::vec(op(), 1..120),
    ) {
        play(&policy, &ops).drain();
    }

    #[test]
    fn the_same_trace_gives_the_same_decisions(
        policy in policy(),
        ops in prop::collection::vec(op(), 1..60),
    ) {
        prop_assert_eq!(play(&policy, &ops).log, play(&policy, &ops).log);
    }

    /// No device has room for a waiting job but where it is kept for another.
    #[test]
    fn no_room_is_left_that_a_waiting_job_could_use(
        asks in prop::collection::vec((0u64..20, 1u32..1000, 0u32..3, 1u64..100), 1..40),
        answers in prop::collection::vec(any::<usize>(), 0..40),
    ) {
        let mut world = World::new(Policy::default(), &devices());
        let jobs = asks.iter().zip(0..).map(|((memory, compute, decode, estimate), id)| {
            let need = Need {
                memory_peak: *memory,
                memory_steady: *memory,
                compute: *compute,
                decode: *decode,
                ..Need::default()
            };
            JobSpec {
                id: JobId(id),
                tenant: TenantId(0),
                priority: Priority::Normal,
                alternatives: vec![Alternative::new("way", Place::Gpu, need, *estimate)],
            }
        }).collect();
        world.submit(jobs);
        for answer in answers {
            world.now += 7;
            world.answer(answer, Outcome::Done { peak: None });
            let kept = world.state.next_in_line();
            let waits: Vec<&JobSpec> = world.jobs.values().filter(|job| {
                !world.ends.contains_key(&job.id)
                    && !world.refused.contains_key(&job.id)
                    && !world.runs.values().any(|run| run.job == job.id)
            }).collect();
            for spec in devices().iter().skip(1) {
                let runs: Vec<_> = world.runs.values().filter(|run| run.device == spec.id).collect();
                let sum = |of: fn(&Need) -> u64| -> u64 {
                    runs.iter().map(|run| of(&world.alternative(run).need)).sum()
                };
                let fits = |need: &Need| {
                    need.memory_peak + sum(|n| n.memory_peak) <= spec.memory - spec.reserve
                        && u64::from(need.compute) + sum(|n| n.compute.into()) <= 1000
                        && u64::from(need.decode) + sum(|n| n.decode.into()) <= spec.decode.into()
                };
                for job in &waits {
                    let way = &job.alternatives[0];
                    let kept_for_another = kept.is_some_and(|(head, device, at)| {
                        device == spec.id
                            && head != job.id
                            && world.now + (way.estimate * 1000 / u64::from(spec.speed)).max(1) > at
                    });
                    prop_assert!(
                        kept_for_another || !fits(&way.need),
                        "{:?} could run on {:?}", job.id, spec.id
                    );
                }
            }
        }
    }
}
