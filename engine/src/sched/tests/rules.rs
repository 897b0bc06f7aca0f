//! Each rule alone.

use super::world::{End, Owed, World};
use crate::sched::*;

fn gpu_need(memory: u64, compute: u32) -> Need {
    Need { memory_steady: memory, memory_peak: memory, compute, ..Need::default() }
}

fn job(id: u64, tenant: u32, ways: Vec<Alternative>) -> JobSpec {
    JobSpec {
        id: JobId(id),
        tenant: TenantId(tenant),
        priority: Priority::Normal,
        alternatives: ways,
    }
}

fn on_gpu(id: u64, memory: u64, compute: u32, estimate: Millis) -> JobSpec {
    job(id, 0, vec![Alternative::new("gpu", Place::Gpu, gpu_need(memory, compute), estimate)])
}

fn world(policy: Policy, gpus: &[u64]) -> World {
    let mut specs = vec![DeviceSpec::host(4, 64)];
    specs.extend(gpus.iter().zip(1..).map(|(memory, id)| DeviceSpec::gpu(id, *memory)));
    World::new(policy, &specs)
}

/// Runs every lease for exactly its estimate, until `until` or until nothing is left.
fn run_exactly(world: &mut World, until: Millis) {
    loop {
        let next = world
            .runs
            .iter()
            .map(|(lease, run)| (run.began + world.alternative(run).estimate, *lease))
            .min();
        let Some((at, lease)) = next.filter(|(at, _)| *at <= until) else { return };
        world.now = at;
        let index = world.owed.iter().position(|owed| *owed == Owed::Run(lease)).unwrap();
        world.answer(index, Outcome::Done { peak: None });
    }
}

fn started(effects: &[Effect]) -> Vec<(u64, u32, u32, Choice)> {
    let start = |effect: &Effect| match effect {
        Effect::Start { job, device, alternative, choice, .. } => {
            Some((job.0, device.0, *alternative, *choice))
        }
        _ => None,
    };
    effects.iter().filter_map(start).collect()
}

fn lease_of(world: &World, job: u64) -> LeaseId {
    *world.runs.iter().find(|(_, run)| run.job == JobId(job) && !run.off).unwrap().0
}

#[test]
fn the_longest_comes_first_and_priority_before() {
    let mut world = world(Policy::default(), &[10]);
    let mut urgent = on_gpu(3, 1, 1000, 1);
    urgent.priority = Priority::High;
    world.submit(vec![on_gpu(1, 1, 1000, 5), on_gpu(2, 1, 1000, 9), urgent]);
    run_exactly(&mut world, 100);
    assert_eq!(started(&world.log).iter().map(|s| s.0).collect::<Vec<_>>(), [3, 2, 1]);
}

/// Of two jobs the shorter comes first where it takes so much more of the device that it is larger.
#[test]
fn size_is_time_by_what_is_taken() {
    let mut world = world(Policy::default(), &[10]);
    // 10 x 1000 fills the device; 12 x 300 (compute) and 1/10 of memory is less than 9 x 900.
    world.submit(vec![on_gpu(1, 1, 1000, 10), on_gpu(2, 1, 300, 12), on_gpu(3, 1, 900, 9)]);
    run_exactly(&mut world, 100);
    assert_eq!(started(&world.log).iter().map(|s| s.0).collect::<Vec<_>>(), [1, 3, 2]);
}

/// 1, 2 and 4 shares: what each gets while all have work is within 3 % of that.
#[test]
fn shares_follow_weights() {
    let weights = [(TenantId(0), 1), (TenantId(1), 2), (TenantId(2), 4)].into();
    let mut world = world(Policy { weights, ..Policy::default() }, &[10, 10]);
    let jobs = (0..3000).map(|id| {
        // Jobs of one tenant are longer, of another shorter: time counts, not jobs.
        let tenant = id % 3;
        let estimate = [10, 25, 40][tenant as usize];
        JobSpec { tenant: TenantId(tenant as u32), ..on_gpu(id, 1, 1000, estimate) }
    });
    world.submit(jobs.collect());
    run_exactly(&mut world, 10_000);
    let mut given = [0.0; 3];
    for job in world.starts.keys() {
        given[(job.0 % 3) as usize] += [10.0, 25.0, 40.0][(job.0 % 3) as usize];
    }
    let all: f64 = given.iter().sum();
    for (given, weight) in given.iter().zip([1.0, 2.0, 4.0]) {
        let ratio = given / all / (weight / 7.0);
        assert!((ratio - 1.0).abs() < 0.03, "{ratio}");
    }
}

/// A tenant that was idle for long does not get all of the machine for having saved up.
#[test]
fn idling_saves_nothing() {
    let mut world = world(Policy::default(), &[10]);
    world.submit(
        (0..100).map(|id| JobSpec { tenant: TenantId(0), ..on_gpu(id, 1, 1000, 10) }).collect(),
    );
    run_exactly(&mut world, 500);
    world.submit(
        (100..200).map(|id| JobSpec { tenant: TenantId(1), ..on_gpu(id, 1, 1000, 10) }).collect(),
    );
    run_exactly(&mut world, 700);
    let late = world.starts.keys().filter(|job| job.0 >= 100).count();
    assert!((9..=11).contains(&late), "{late}");
}

/// Urgent jobs come in faster than they can be done. A job of low priority waits until they no longer
/// rank before it, and then for those that do: the bound is the work submitted until two periods of
/// ageing later (and the period it is counted in), and one job besides.
#[test]
fn nobody_starves() {
    let policy = Policy { ageing: 1000, ..Policy::default() };
    let ageing = policy.ageing;
    let mut world = world(policy, &[10]);
    let came = 500;
    let mut work_before = 0;
    for (id, round) in (1..).zip(0..600) {
        let at = round * 10;
        run_exactly(&mut world, at);
        world.now = world.now.max(at);
        // 12 ms of work every 10 ms.
        let urgent = JobSpec { priority: Priority::High, ..on_gpu(id, 1, 1000, 12) };
        world.submit(vec![urgent]);
        if at < (came / ageing + 3) * ageing {
            work_before += 12;
        }
        if at == came {
            let low = JobSpec { priority: Priority::Low, ..on_gpu(0, 1, 1000, 1) };
            world.submit(vec![low]);
        }
    }
    run_exactly(&mut world, 100_000);
    let start = world.starts[&JobId(0)];
    assert!(start <= work_before + 12, "{start} > {work_before}");
    // And it did wait: otherwise this shows nothing.
    assert!(start > came + ageing);
}

/// With exact estimates, whoever is promised room has it no later than promised, whatever passes it.
#[test]
fn backfill_does_not_delay_the_one_in_line() {
    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;
    let job = (1u64..=10, 1u32..=1000, 1u64..60);
    let batches = prop::collection::vec((prop::collection::vec(job, 1..8), 0u64..40), 1..12);
    let passed = std::cell::Cell::new(0);
    TestRunner::default()
        .run(&batches, |batches| {
            let mut world = world(Policy::default(), &[10, 10]);
            let mut promised: std::collections::BTreeMap<JobId, Millis> = Default::default();
            let mut id = 0;
            let mut note = |world: &World| {
                if let Some((job, _, at)) = world.state.next_in_line() {
                    promised.entry(job).or_insert(at);
                }
            };
            for (jobs, wait) in batches {
                let jobs = jobs.into_iter().map(|(memory, compute, estimate)| {
                    id += 1;
                    on_gpu(id, memory, compute, estimate)
                });
                let jobs = jobs.collect();
                world.submit(jobs);
                note(&world);
                let until = world.now + wait;
                while world.runs.values().any(|r| r.began + world.alternative(r).estimate <= until)
                {
                    let next = world.runs.values().map(|r| r.began + world.alternative(r).estimate);
                    let at = next.min().unwrap();
                    run_exactly(&mut world, at);
                    note(&world);
                }
                world.now = until;
            }
            while !world.runs.is_empty() {
                let next = world.runs.values().map(|r| r.began + world.alternative(r).estimate);
                let at = next.min().unwrap();
                run_exactly(&mut world, at);
                note(&world);
            }
            for (job, at) in &promised {
                prop_assert!(world.starts[job] <= *at, "{job:?} {} > {at}", world.starts[job]);
            }
            passed.set(passed.get() + promised.len());
            Ok(())
        })
        .unwrap();
    assert!(passed.get() > 100, "hardly anybody waited");
}

#[test]
fn without_backfill_nobody_passes() {
    let mut world =
        world(Policy { backfill: false, largest_first: false, ..Policy::default() }, &[10]);
    world.submit(vec![on_gpu(1, 6, 100, 10), on_gpu(2, 6, 100, 10), on_gpu(3, 1, 100, 1)]);
    assert_eq!(started(&world.log).len(), 1);
    world.submit(vec![on_gpu(4, 1, 100, 1)]);
    assert_eq!(started(&world.log).len(), 1);
    run_exactly(&mut world, 10);
    assert_eq!(started(&world.log).len(), 4);
}

fn with_model(id: u64, model: u32, memory: u64) -> JobSpec {
    let mut spec = on_gpu(id, memory, 100, 10);
    spec.alternatives[0].model = Some(ModelNeed { id: ModelId(model), bytes: 5, load: 3 });
    spec
}

#[test]
fn models_stay_where_they_are_hot_and_only_idle_ones_go() {
    let mut world = world(Policy { stay: 50, ..Policy::default() }, &[10, 10]);
    world.submit(vec![with_model(1, 1, 1)]);
    assert_eq!(world.owed, [Owed::Load(DeviceId(1), ModelId(1))]);
    world.answer(0, Outcome::Done { peak: None });
    // The same model: no load, the same device. Another: the other device, since it is free.
    world.submit(vec![with_model(2, 1, 1), with_model(3, 2, 1)]);
    assert_eq!(world.state.devices().map(|d| d.models).collect::<Vec<_>>(), [0, 1, 1]);
    let load = world.owed.iter().position(|o| matches!(o, Owed::Load(..))).unwrap();
    world.answer(load, Outcome::Done { peak: None });
    // A third finds no room beside 5 + 1 + 1, nor beside the second before its stay is over.
    world.now = 20;
    world.submit(vec![with_model(4, 3, 4)]);
    run_exactly(&mut world, 30);
    assert!(!world.log.iter().any(|e| matches!(e, Effect::Evict(..))));
    let wake = world.state.next_wake().unwrap();
    world.now = wake;
    assert!(world.now <= 50, "{wake}");
    let effects = world.tell(What::Tick);
    let evicted = effects.iter().filter(|e| matches!(e, Effect::Evict(..))).count();
    assert_eq!(evicted, 1, "{effects:?}");
    // The load waits until the room is really there, and so does nobody else.
    assert!(!effects.iter().any(|e| matches!(e, Effect::Load(..))));
    let effects = world.tell(What::Submit(vec![]));
    assert_eq!(effects, []);
    world.answer(0, Outcome::Done { peak: None });
    assert!(matches!(world.log.last(), Some(Effect::Load(_, ModelId(3)))));
    world.drain();
}

#[test]
fn a_load_blocks_nobody_and_none_is_begun_for_the_cancelled() {
    let mut world = world(Policy::default(), &[20]);
    world.submit(vec![with_model(1, 1, 1), with_model(2, 2, 1), on_gpu(3, 1, 100, 10)]);
    // One load at a time; the job without a model runs meanwhile.
    assert_eq!(world.owed.iter().filter(|o| matches!(o, Owed::Load(..))).count(), 1);
    assert_eq!(started(&world.log).len(), 1);
    let second = if world.owed.contains(&Owed::Load(DeviceId(1), ModelId(1))) { 2 } else { 1 };
    world.tell(What::Cancel(JobId(second)));
    let load = world.owed.iter().position(|o| matches!(o, Owed::Load(..))).unwrap();
    world.answer(load, Outcome::Done { peak: None });
    assert_eq!(world.log.iter().filter(|e| matches!(e, Effect::Load(..))).count(), 1);
    assert_eq!(world.ends[&JobId(second)], End::Cancelled);
    world.drain();
}

#[test]
fn a_worse_way_is_taken_only_where_it_is_sooner_and_is_told() {
    let ways = |cpu| {
        vec![
            Alternative::new("gpu", Place::Gpu, gpu_need(1, 1000), 100),
            Alternative::new("cpu", Place::Host, gpu_need(1, 1000), cpu),
        ]
    };
    let mut world = world(Policy::default(), &[10]);
    world.submit(vec![job(1, 0, ways(150)), job(2, 0, ways(150)), job(3, 0, ways(1000))]);
    let starts = started(&world.log);
    assert_eq!(starts[0], (1, 1, 0, Choice::First));
    assert_eq!(starts[1], (2, 0, 1, Choice::Sooner));
    assert_eq!(starts.len(), 2, "1000 on the processor is later than waiting for the GPU");
    // Where no GPU works, the processor is the only one.
    world.tell(What::Lost(DeviceId(1)));
    let starts = started(&world.log);
    assert!(starts.contains(&(3, 0, 1, Choice::OnlyOne)), "{starts:?}");
    world.drain();
}

#[test]
fn out_of_memory_goes_down_the_ladder() {
    let mut world = world(Policy::default(), &[10, 10]);
    let mut big = Alternative::new("gpu", Place::Gpu, gpu_need(1, 100), 10);
    big.need.memory_peak = 9;
    big.need.memory_steady = 1;
    (big.batch, big.batch_min, big.batch_bytes) = (4, 2, 2);
    let small = Alternative::new("int8", Place::Gpu, gpu_need(1, 100), 10);
    world.submit(vec![job(1, 0, vec![big, small])]);
    let mut seen = Vec::new();
    while !world.owed.is_empty() {
        if let Some(Effect::Start { device, alternative, batch, memory, choice, .. }) =
            world.log.iter().rev().find(|e| matches!(e, Effect::Start { .. }))
        {
            seen.push((*alternative, *batch, *memory, *choice, device.0));
        }
        world.answer(0, Outcome::OutOfMemory);
    }
    use Choice::{AfterOutOfMemory as After, First};
    let steps: Vec<_> = seen.iter().map(|s| (s.0, s.1, s.2, s.3)).collect();
    assert_eq!(
        steps,
        [
            (0, 4, 9, First),
            (0, 2, 5, First),
            (0, 2, 5, First), // alone
            (0, 2, 5, First), // elsewhere
            (1, 1, 1, After),
            (1, 1, 1, After), // alone
            (1, 1, 1, After), // elsewhere
        ]
    );
    assert_ne!(seen[2].4, seen[3].4);
    assert_ne!(seen[5].4, seen[6].4);
    assert_eq!(world.ends[&JobId(1)], End::Failed(Failure::OutOfMemory));
}

#[test]
fn a_lost_device_requeues_once_and_its_late_word_is_stale() {
    let mut world = world(Policy::default(), &[10, 10]);
    world.submit(vec![on_gpu(1, 1, 1000, 10)]);
    let first = lease_of(&world, 1);
    let at = world.runs[&first].device;
    let effects = world.tell(What::Lost(at));
    assert!(effects.contains(&Effect::Stop(first, StopReason::DeviceLost)));
    assert!(effects.contains(&Effect::Requeued(JobId(1), StopReason::DeviceLost)));
    let second = lease_of(&world, 1);
    assert!(second > first && world.runs[&second].device != at);
    // The old attempt ends well, too late.
    let effects = world.tell(What::Ended(first, Outcome::Done { peak: None }));
    assert_eq!(effects, [Effect::Released(first), Effect::Stale(first)]);
    world.owed.retain(|owed| *owed != Owed::Run(first));
    world.tell(What::Lost(world.runs[&second].device));
    assert_eq!(world.ends[&JobId(1)], End::Failed(Failure::DeviceLost));
    world.drain();
}

#[test]
fn two_workers_are_enough() {
    let mut world = world(Policy::default(), &[10]);
    world.submit(vec![on_gpu(1, 1, 1000, 10)]);
    world.answer(0, Outcome::WorkerDied);
    assert!(!world.ends.contains_key(&JobId(1)));
    world.answer(0, Outcome::WorkerDied);
    assert_eq!(world.ends[&JobId(1)], End::Failed(Failure::Quarantined));
}

/// It may have been the device's fault: another GPU, else the next alternative, else the same again.
#[test]
fn after_a_death_it_goes_elsewhere() {
    let gpu = || Alternative::new("gpu", Place::Gpu, gpu_need(1, 1000), 100);
    let cpu = Alternative::new("cpu", Place::Host, gpu_need(1, 1000), 100_000);
    for (gpus, ways, wanted) in [
        (&[10, 10][..], vec![gpu(), cpu.clone()], Some((0, true))),
        (&[10], vec![gpu(), cpu], Some((1, true))),
        (&[10], vec![gpu()], Some((0, false))),
    ] {
        let mut world = world(Policy::default(), gpus);
        world.submit(vec![job(1, 0, ways)]);
        let first = started(&world.log)[0];
        world.answer(0, Outcome::WorkerDied);
        let second = started(&world.log).get(1).copied();
        assert_eq!(second.map(|s| (s.2, s.1 != first.1)), wanted, "{gpus:?}");
    }
}

/// Of many devices that are alike not all are looked at for each decision: all get work all the same, and
/// who waits has the one kept that is free first.
#[test]
fn many_devices_are_all_used() {
    for one_by_one in [false, true] {
        let mut world = world(Policy::default(), &[10; 200]);
        let jobs: Vec<JobSpec> = (0..200).map(|id| on_gpu(id, 6, 600, 20 + id % 7)).collect();
        if one_by_one {
            jobs.into_iter().for_each(|job| drop(world.submit(vec![job])));
        } else {
            world.submit(jobs);
        }
        assert_eq!(started(&world.log).len(), 200);
        // One ends sooner than the rest, and it is none of those with most left.
        world.answer(150, Outcome::Done { peak: None });
        world.submit(vec![on_gpu(500, 6, 600, 10), on_gpu(501, 6, 600, 30)]);
        assert_eq!(started(&world.log).len(), 201);
        let (job, _, at) = world.state.next_in_line().unwrap();
        assert_eq!((started(&world.log)[200].0, job, at), (501, JobId(500), 20));
        // What is small fits beside what runs, wherever that is.
        world.submit(vec![on_gpu(502, 4, 400, 5)]);
        assert_eq!(started(&world.log).len(), 202);
        run_exactly(&mut world, 1000);
        assert!(world.ends.len() == 203 && world.starts[&JobId(500)] == 20);
    }
}

#[test]
fn weights_can_be_told_later() {
    let mut world = world(Policy::default(), &[10]);
    world.tell(What::Weight(TenantId(1), 3));
    let of = |tenant, from| {
        (from..from + 100)
            .map(move |id| JobSpec { tenant: TenantId(tenant), ..on_gpu(id, 1, 1000, 10) })
    };
    world.submit(of(0, 0).chain(of(1, 100)).collect());
    run_exactly(&mut world, 790);
    let heavy = world.starts.keys().filter(|job| job.0 >= 100).count();
    assert!((58..=62).contains(&heavy), "{heavy} of 80");
}

#[test]
fn the_silent_are_stopped_then_killed() {
    let policy = Policy { silence: 100, grace: 10, ..Policy::default() };
    let mut world = world(policy, &[10]);
    world.submit(vec![on_gpu(1, 1, 1000, 10_000)]);
    let lease = lease_of(&world, 1);
    world.now = 90;
    world.tell(What::Progress(lease));
    world.now = 189;
    assert_eq!(world.tell(What::Tick), []);
    assert_eq!(world.state.next_wake(), Some(190));
    world.now = 190;
    assert_eq!(world.tell(What::Tick), [Effect::Stop(lease, StopReason::Stalled)]);
    world.now = 200;
    assert_eq!(world.tell(What::Tick), [Effect::Kill(lease)]);
    // The room is not given back before the worker is really gone.
    assert_eq!(world.state.running_leases(), 1);
    let effects = world.tell(What::Ended(lease, Outcome::WorkerDied));
    assert_eq!(
        effects[..2],
        [Effect::Released(lease), Effect::Requeued(JobId(1), StopReason::Stalled)]
    );
}

#[test]
fn what_cannot_be_is_refused_at_once_with_the_reason() {
    let policy = Policy { queue: 3, queue_per_tenant: 2, ..Policy::default() };
    let mut world = world(policy, &[10, 12]);
    let refused = |effects: Vec<Effect>| match effects.first() {
        Some(Effect::Refused(_, refusal)) => refusal.clone(),
        other => panic!("{other:?}"),
    };
    let never = |resource, need, most| Refusal::NeverFits { resource, need, most };
    let effects = world.submit(vec![on_gpu(101, 13, 1, 1)]);
    assert_eq!(refused(effects), never(Resource::Memory, 13, 12));
    let mut disk = on_gpu(102, 1, 1, 1);
    disk.alternatives[0].need.host_memory = 65;
    assert_eq!(refused(world.submit(vec![disk])), never(Resource::HostMemory, 65, 64));
    let effects = world.submit(vec![job(103, 0, vec![])]);
    assert_eq!(refused(effects), Refusal::NoAlternative);

    let jobs = (1..=8).map(|id| JobSpec { tenant: TenantId(1), ..on_gpu(id, 10, 1000, 5000) });
    let effects = world.submit(jobs.collect());
    let full = effects.iter().filter(
        |e| matches!(e, Effect::Refused(_, Refusal::Full { retry_after }) if *retry_after >= 5000),
    );
    // Nobody is given a device before all that came together were looked at.
    assert_eq!(full.count(), 6);
    let effects = world.submit(vec![on_gpu(1, 1, 1, 1)]);
    assert_eq!(refused(effects), Refusal::Known);
}

#[test]
fn peaks_are_learned() {
    let mut world = world(Policy::default(), &[100]);
    let shaped = |id| {
        let mut spec = on_gpu(id, 60, 10, 10);
        spec.alternatives[0].shape = Some(1);
        spec
    };
    for id in 0..3 {
        world.submit(vec![shaped(id)]);
        world.answer(0, Outcome::Done { peak: Some(20) });
    }
    world.submit((3..8).map(shaped).collect());
    // 22 each instead of 60.
    assert_eq!(world.runs.len(), 4);
    assert!(world.runs.values().all(|run| run.memory == 22));
}

#[test]
fn jobs_that_no_working_device_can_take_wait_aside_or_fail() {
    let mut world = world(Policy { window: 4, ..Policy::default() }, &[10, 100]);
    world.tell(What::Lost(DeviceId(2)));
    world.submit((0..20).map(|id| on_gpu(id, 50, 1000, 10)).collect());
    world.submit(vec![on_gpu(20, 5, 1000, 1)]);
    assert_eq!(started(&world.log).len(), 1, "those aside are in nobody's way");
    world.tell(What::Back(DeviceId(2)));
    assert_eq!(started(&world.log).len(), 2);
    world.tell(What::Removed(DeviceId(2)));
    assert_eq!(world.ends.values().filter(|e| **e == End::Failed(Failure::NeverFits)).count(), 20);
}

#[test]
fn a_settled_worker_makes_room_and_a_clock_that_jumps_back_does_nothing() {
    let mut world = world(Policy::default(), &[10]);
    let peaky = |id| {
        let mut spec = on_gpu(id, 2, 100, 10);
        spec.alternatives[0].need.memory_peak = 8;
        spec
    };
    world.now = 1000;
    world.submit(vec![peaky(1), peaky(2)]);
    assert_eq!(world.runs.len(), 1);
    world.now = 5;
    let lease = *world.runs.keys().next().unwrap();
    world.tell(What::Settled(lease));
    assert_eq!(world.runs.len(), 2);
    world.now = 2000;
    world.drain();
}

/// The margin on a peak that filled the device must not shut its kind out for ever.
#[test]
fn a_peak_that_fills_the_device_still_fits() {
    let mut world = world(Policy::default(), &[100]);
    let shaped = |id| {
        let mut spec = on_gpu(id, 60, 10, 10);
        spec.alternatives[0].shape = Some(1);
        spec
    };
    for id in 0..5 {
        world.submit(vec![shaped(id)]);
        assert_eq!(world.runs.len(), 1, "{id}");
        world.answer(0, Outcome::Done { peak: Some(98) });
    }
}

/// Models that lie idle in main memory make room for work on a GPU that needs some of it.
#[test]
fn idle_models_of_the_host_make_room_for_others() {
    let mut world = world(Policy { stay: 5, ..Policy::default() }, &[10]);
    let mut first = with_model(1, 1, 1);
    first.alternatives[0].place = Place::Host;
    first.alternatives[0].model = Some(ModelNeed { id: ModelId(1), bytes: 60, load: 1 });
    world.submit(vec![first]);
    world.answer(0, Outcome::Done { peak: None });
    world.answer(0, Outcome::Done { peak: None });
    let mut second = on_gpu(2, 1, 100, 10);
    second.alternatives[0].need.host_memory = 10;
    world.submit(vec![second]);
    assert_eq!(world.runs.len(), 0);
    world.now = 5;
    world.tell(What::Tick);
    assert_eq!(world.owed, [Owed::Unload(HOST, ModelId(1))]);
    world.answer(0, Outcome::Done { peak: None });
    assert_eq!(world.runs.len(), 1);
    world.drain();
}
