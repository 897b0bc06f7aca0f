//! What every queue owes, as tests. A further implementation adds its constructor to [`suite`]'s calls.

use super::*;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

const LEASE: Duration = Duration::from_secs(30);
const ALL: Can = Can {
    actions: Vec::new(),
    batch: None,
    without_tenants: Vec::new(),
    without_batches: Vec::new(),
    memory: None,
    gpu: false,
    weights: std::collections::BTreeMap::new(),
};

fn can() -> Can {
    Can { actions: Action::NAMES.to_vec(), ..ALL }
}

fn job(key: &str) -> NewJob {
    NewJob {
        message: Message {
            id: key.into(),
            media: format!("/films/{key}").into(),
            action: Action::Frames(Frames { output: "/out".into(), ..Frames::default() }),
            priority: Priority::Normal,
            tenant: String::new(),
            timestamp: 1,
            on: On::Any,
            force: false,
            allow: Vec::new(),
        },
        key: key.into(),
        batch: "b".into(),
        bytes: 1,
        needs: Vec::new(),
        attempts: 3,
        memory: 0,
    }
}

fn add(queue: &dyn Queue, jobs: &[NewJob]) -> Vec<i64> {
    queue.submit(jobs, 0).unwrap().into_iter().map(|made| made.id).collect()
}

fn claim(queue: &dyn Queue, now: UnixMillis) -> Option<Claim> {
    queue.claim("w", &can(), now, LEASE).unwrap()
}

fn state(queue: &dyn Queue, id: i64) -> JobRow {
    queue.list(&Which { ids: vec![id], ..Which::default() }).unwrap().remove(0)
}

fn fail(retry: bool) -> Finish {
    Finish::Failed { kind: "input".into(), message: "broken".into(), retry }
}

/// All of it, on queues that `make` makes: each call an empty one.
fn suite(make: &dyn Fn() -> Arc<dyn Queue>) {
    let tests: [fn(&dyn Queue); 20] = [
        the_same_key_is_the_same_job,
        urgent_then_large_then_first,
        only_what_a_worker_can_do,
        late_words_are_refused,
        failures_are_tried_again_later_and_not_for_ever,
        two_dead_processes_are_enough,
        lost_workers_cost_no_attempt,
        cancelled_while_waiting_and_while_running,
        needs_come_first_and_fall_together,
        pause_retry_clear,
        checkpoints_and_costs_last,
        put_back_counts_for_nothing,
        effort_is_added_up_and_outlives_jobs,
        clocks_that_jump_lose_nothing,
        tenants_get_shares_by_weight_whoever_asks_for_more,
        idling_saves_no_share,
        what_a_worker_lacks_is_not_for_it,
        a_pipeline_is_its_steps_in_turn,
        what_was_said_and_where_it_ran_is_kept,
        deaths_that_were_noted_count,
    ];
    for test in tests {
        test(&*make());
    }
    many_workers_never_share_a_job(make());
}

fn the_same_key_is_the_same_job(q: &dyn Queue) {
    let first = q.submit(&[job("a"), job("b"), job("a")], 0).unwrap();
    assert_eq!(first.iter().map(|s| s.known).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(first[0].id, first[2].id);
    let taken = claim(q, 0).unwrap();
    assert!(q.finish(taken.token, &Finish::Done, &Account::default(), 1).unwrap());
    assert!(q.submit(&[job("a")], 2).unwrap()[0].known);
    assert_eq!(state(q, first[0].id).state, JobState::Done);
}

fn urgent_then_large_then_first(q: &dyn Queue) {
    let with = |key: &str, priority, bytes| {
        let mut job = job(key);
        (job.message.priority, job.bytes) = (priority, bytes);
        job
    };
    add(
        q,
        &[
            with("low", Priority::Low, 9),
            with("small", Priority::Normal, 1),
            with("large", Priority::Normal, 5),
            with("also large", Priority::Normal, 5),
            with("urgent", Priority::High, 1),
        ],
    );
    // Ten minutes raise one priority: what comes then, urgent, is equal to what is here and normal.
    q.submit(
        &[with("later", Priority::Normal, 1), with("later urgent", Priority::High, 3)],
        600_000,
    )
    .unwrap();
    let order: Vec<String> =
        std::iter::from_fn(|| claim(q, 700_000)).map(|c| c.job.message.id).collect();
    let wanted = ["urgent", "large", "also large", "later urgent", "small", "low", "later"];
    assert_eq!(order, wanted);
}

fn only_what_a_worker_can_do(q: &dyn Queue) {
    add(q, &[job("a")]);
    let cannot = Can { actions: vec!["process"], ..ALL };
    assert!(q.claim("w", &cannot, 0, LEASE).unwrap().is_none());
    let other = Can { batch: Some("other".into()), ..can() };
    assert!(q.claim("w", &other, 0, LEASE).unwrap().is_none());
    assert!(q.claim("w", &Can { batch: Some("b".into()), ..can() }, 0, LEASE).unwrap().is_some());
    assert!(q.claim("w", &ALL, 0, LEASE).unwrap().is_none());
}

fn late_words_are_refused(q: &dyn Queue) {
    add(q, &[job("a")]);
    let first = claim(q, 0).unwrap();
    assert_eq!(q.beat(first.token, 20_000, LEASE).unwrap(), Held::Yes);
    // Not yet: it was heard of at 20 s.
    assert_eq!(q.tidy(45_000).unwrap(), 0);
    assert_eq!(q.tidy(50_001).unwrap(), 1);
    assert_eq!(q.beat(first.token, 50_002, LEASE).unwrap(), Held::Lost);
    let second = claim(q, 50_003).unwrap();
    assert!(second.token.fence > first.token.fence);
    assert!(!q.finish(first.token, &Finish::Done, &Account::default(), 50_004).unwrap());
    assert!(!q.checkpoint(first.token, b"late").unwrap());
    assert_eq!(state(q, first.token.id).state, JobState::Running);
    assert!(q.finish(second.token, &Finish::Done, &Account::default(), 50_005).unwrap());
    assert!(!q.finish(second.token, &fail(true), &Account::default(), 50_006).unwrap());
    assert_eq!(state(q, first.token.id).state, JobState::Done);
}

fn failures_are_tried_again_later_and_not_for_ever(q: &dyn Queue) {
    let [a, b] = add(q, &[job("a"), job("b")])[..] else { panic!() };
    let mut now = 0;
    for attempt in 1..=3 {
        let taken = q
            .claim("w", &can(), now, LEASE)
            .unwrap()
            .filter(|c| c.job.id == a)
            .unwrap_or_else(|| panic!("attempt {attempt}"));
        assert_eq!(taken.job.attempts, attempt);
        assert!(q.finish(taken.token, &fail(true), &Account::default(), now).unwrap());
        let row = state(q, a);
        if attempt < 3 {
            assert_eq!(row.state, JobState::Ready);
            assert!(row.ready_at > now);
            now = row.ready_at;
        }
    }
    let row = state(q, a);
    assert_eq!((row.state, row.error.as_deref()), (JobState::Dead, Some("broken")));
    assert_eq!(q.logs(a).unwrap().len(), 6);
    let taken = claim(q, now).unwrap();
    q.finish(taken.token, &fail(false), &Account::default(), now).unwrap();
    assert_eq!(state(q, b).state, JobState::Failed);
}

fn two_dead_processes_are_enough(q: &dyn Queue) {
    let id = add(q, &[NewJob { attempts: 10, ..job("a") }])[0];
    for state_after in [JobState::Ready, JobState::Dead] {
        let taken = claim(q, state(q, id).ready_at).unwrap();
        let died = Finish::WorkerDied("signal 9".into());
        q.finish(taken.token, &died, &Account::default(), 1).unwrap();
        assert_eq!(state(q, id).state, state_after);
    }
    assert_eq!(state(q, id).kills, 2);
}

/// Being lost with a worker is not the job's fault, but not without end.
fn lost_workers_cost_no_attempt(q: &dyn Queue) {
    let id = add(q, &[NewJob { attempts: 1, ..job("a") }])[0];
    for loss in 1..=MOST_LOSSES {
        claim(q, 1).unwrap_or_else(|| panic!("loss {loss}"));
        assert_eq!(q.bury("somebody else", 1).unwrap(), 0);
        assert_eq!(q.bury("w", 1).unwrap(), 1);
        let row = state(q, id);
        assert_eq!((row.attempts, row.kills), (0, 0));
        assert_eq!(row.state == JobState::Dead, loss == MOST_LOSSES);
    }
}

fn cancelled_while_waiting_and_while_running(q: &dyn Queue) {
    let [a, b, c] = add(q, &[job("a"), job("b"), job("c")])[..] else { panic!() };
    let (first, second) = (claim(q, 0).unwrap(), claim(q, 0).unwrap());
    let every = Which { batch: Some("b".into()), ..Which::default() };
    assert_eq!(q.cancel(&every, 1).unwrap(), 3);
    assert_eq!(state(q, c).state, JobState::Cancelled);
    assert_eq!(q.beat(first.token, 2, LEASE).unwrap(), Held::CancelAsked);
    q.finish(first.token, &Finish::Cancelled, &Account::default(), 3).unwrap();
    // A worker that dies of it, or fails, has cancelled it too; one that was done is done.
    q.finish(second.token, &fail(true), &Account::default(), 3).unwrap();
    assert_eq!([a, b, c].map(|id| state(q, id).state), [JobState::Cancelled; 3]);
}

fn needs_come_first_and_fall_together(q: &dyn Queue) {
    let [a, b] = add(q, &[job("a"), job("b")])[..] else { panic!() };
    let [c] = add(q, &[NewJob { needs: vec![a], bytes: 99, ..job("c") }])[..] else { panic!() };
    let [d] = add(q, &[NewJob { needs: vec![b], ..job("d") }])[..] else { panic!() };
    let [e] = add(q, &[NewJob { needs: vec![d], ..job("e") }])[..] else { panic!() };
    let (first, second) = (claim(q, 0).unwrap(), claim(q, 0).unwrap());
    assert!(claim(q, 0).is_none());
    q.finish(first.token, &Finish::Done, &Account::default(), 1).unwrap();
    q.finish(second.token, &fail(false), &Account::default(), 1).unwrap();
    assert_eq!(q.tidy(2).unwrap(), 2);
    assert_eq!([d, e].map(|id| state(q, id).state), [JobState::Failed; 2]);
    assert_eq!(claim(q, 2).unwrap().job.id, c);
}

fn pause_retry_clear(q: &dyn Queue) {
    let [a, b] = add(q, &[job("a"), job("b")])[..] else { panic!() };
    q.pause(true).unwrap();
    assert!(q.is_paused().unwrap() && claim(q, 0).is_none());
    q.pause(false).unwrap();
    let taken = claim(q, 0).unwrap();
    q.finish(taken.token, &fail(false), &Account::default(), 1).unwrap();
    let every = Which::default();
    assert_eq!(q.retry(&every, 2).unwrap(), 1);
    assert_eq!((state(q, a).state, state(q, a).attempts), (JobState::Ready, 0));
    let taken = claim(q, 2).unwrap();
    q.finish(taken.token, &Finish::Done, &Account::default(), 3).unwrap();
    assert_eq!(q.retry(&every, 4).unwrap(), 0);
    let counted = q.count(Some("b")).unwrap();
    assert_eq!(counted, [(JobState::Ready, 1), (JobState::Done, 1)].into());
    assert_eq!(q.clear(&every).unwrap(), 1);
    assert_eq!(q.list(&every).unwrap().iter().map(|r| r.id).collect::<Vec<_>>(), [b]);
    assert_eq!(q.logs(a).unwrap(), []);
}

fn checkpoints_and_costs_last(q: &dyn Queue) {
    let id = add(q, &[job("a")])[0];
    let first = claim(q, 0).unwrap();
    assert_eq!(first.checkpoint, None);
    assert!(q.checkpoint(first.token, b"half").unwrap());
    let cost = Cost {
        wall_ms: 5,
        cpu_ms: 4,
        peak_bytes: 30,
        bytes_in: 2,
        gpu_ms: 3,
        bytes_out: 1,
        energy_mj: 5,
    };
    q.finish(first.token, &fail(true), &cost.into(), 1).unwrap();
    let second = claim(q, state(q, id).ready_at).unwrap();
    assert_eq!(second.checkpoint.as_deref(), Some(&b"half"[..]));
    let cost = Cost {
        wall_ms: 1,
        cpu_ms: 1,
        peak_bytes: 20,
        bytes_in: 2,
        gpu_ms: 1,
        bytes_out: 6,
        energy_mj: 0,
    };
    q.finish(second.token, &Finish::Done, &cost.into(), 99).unwrap();
    let all = Cost {
        wall_ms: 6,
        cpu_ms: 5,
        peak_bytes: 30,
        bytes_in: 4,
        gpu_ms: 4,
        bytes_out: 7,
        energy_mj: 5,
    };
    assert_eq!(state(q, id).cost, all);
}

fn put_back_counts_for_nothing(q: &dyn Queue) {
    let id = add(q, &[NewJob { attempts: 1, ..job("a") }])[0];
    for _ in 0..3 {
        let taken = claim(q, 0).unwrap();
        q.finish(taken.token, &Finish::PutBack, &Account::default(), 0).unwrap();
    }
    assert_eq!((state(q, id).state, state(q, id).attempts), (JobState::Ready, 0));
}

fn effort_is_added_up_and_outlives_jobs(q: &dyn Queue) {
    const DAY: i64 = 86_400_000;
    let of = |key: &str, tenant: &str, batch: &str| {
        let mut job = job(key);
        (job.message.tenant, job.batch) = (tenant.into(), batch.into());
        job
    };
    add(q, &[of("a", "x", "b1"), of("b", "y", "b1"), of("c", "x", "b2")]);
    assert_eq!(q.waiting().unwrap(), [("x".into(), 2), ("y".into(), 1)].into());
    // Of tenant x nothing is to be begun.
    let without = Can { without_tenants: vec!["x".into()], ..can() };
    let none = Can { without_batches: vec!["b1".into(), "b2".into()], ..can() };
    assert!(q.claim("w", &none, 0, LEASE).unwrap().is_none());
    let taken = q.claim("w", &without, 0, LEASE).unwrap().unwrap();
    assert_eq!(taken.job.message.tenant, "y");
    assert!(q.claim("w", &without, 0, LEASE).unwrap().is_none());
    let cost = Cost { wall_ms: 10, cpu_ms: 7, peak_bytes: 5, bytes_in: 3, ..Cost::default() };
    q.finish(taken.token, &Finish::Done, &cost.into(), DAY - 1).unwrap();
    for (at, peak_bytes) in [(DAY, 9), (DAY + 1, 2)] {
        let taken = claim(q, at).unwrap();
        q.finish(taken.token, &fail(false), &Cost { peak_bytes, ..cost }.into(), at).unwrap();
    }
    q.clear(&Which::default()).unwrap();
    assert_eq!(q.waiting().unwrap(), [].into());
    let sums = |by, batch, since| -> Vec<(String, u64, u64, u64)> {
        let sums = q.efforts(by, batch, since).unwrap();
        sums.into_iter().map(|e| (e.name, e.attempts, e.cost.cpu_ms, e.cost.peak_bytes)).collect()
    };
    let row = |name: &str, attempts, cpu, peak| (name.to_owned(), attempts, cpu, peak);
    assert_eq!(sums(By::Tenant, None, 0), [row("x", 2, 14, 9), row("y", 1, 7, 5)]);
    assert_eq!(sums(By::Batch, None, 0), [row("b1", 2, 14, 9), row("b2", 1, 7, 2)]);
    assert_eq!(sums(By::Day, None, 0), [row("1970-01-01", 1, 7, 5), row("1970-01-02", 2, 14, 9)]);
    assert_eq!(sums(By::All, None, DAY), [row("", 2, 14, 9)]);
    assert_eq!(sums(By::Action, Some("b2"), 0), [row("frames", 1, 7, 2)]);
}

/// Three tenants of weight 1, 2 and 4, one with ten times as many jobs, one with longer ones: what each
/// is given while all wait is within 5 % of its share.
fn tenants_get_shares_by_weight_whoever_asks_for_more(q: &dyn Queue) {
    let weights = [("b".to_owned(), 2), ("*".to_owned(), 1), ("c".to_owned(), 4)].into();
    let can = Can { weights, ..can() };
    let took = |tenant: &str| match tenant {
        "a" => 1000,
        "b" => 3000,
        _ => 500,
    };
    let mut jobs = Vec::new();
    for (tenant, count) in [("a", 1000), ("b", 100), ("c", 1000)] {
        jobs.extend((0..count).map(|n| {
            let mut job = job(&format!("{tenant}{n}"));
            job.message.tenant = tenant.into();
            // The largest first would be all of one tenant's.
            job.bytes = if tenant == "a" { 1000 } else { 1 };
            job
        }));
    }
    add(q, &jobs);
    let mut given: std::collections::BTreeMap<String, u64> = Default::default();
    let mut now = 0;
    while given.values().sum::<u64>() < 300_000 {
        now += 1;
        // As a pool does: several at once, ahead of what runs.
        let claims = q.claim_some("w", &can, now, LEASE, 4).unwrap();
        assert_eq!(claims.len(), 4);
        for claim in claims {
            let tenant = claim.job.message.tenant;
            let cost = Cost { cpu_ms: took(&tenant), wall_ms: 1, ..Cost::default() };
            q.finish(claim.token, &Finish::Done, &cost.into(), now).unwrap();
            *given.entry(tenant).or_default() += cost.cpu_ms;
        }
    }
    let all: u64 = given.values().sum();
    for (tenant, weight) in [("a", 1.0), ("b", 2.0), ("c", 4.0)] {
        let ratio = given[tenant] as f64 / all as f64 / (weight / 7.0);
        assert!((ratio - 1.0).abs() < 0.05, "{tenant}: {ratio} of its share, {given:?}");
    }
}

/// A tenant that had nothing to do does not get everything when it comes back.
fn idling_saves_no_share(q: &dyn Queue) {
    let of = |tenant: &str, from: u32, count: u32| -> Vec<NewJob> {
        let jobs = (from..from + count).map(|n| {
            let mut job = job(&format!("{tenant}{n}"));
            job.message.tenant = tenant.into();
            job
        });
        jobs.collect()
    };
    add(q, &of("late", 0, 1));
    add(q, &of("busy", 0, 100));
    let work = |count: usize| -> usize {
        let done = (0..count).map(|_| {
            let claim = claim(q, 1).unwrap();
            let cost = Cost { cpu_ms: 1000, ..Cost::default() };
            q.finish(claim.token, &Finish::Done, &cost.into(), 1).unwrap();
            usize::from(claim.job.message.tenant == "late")
        });
        done.sum()
    };
    assert_eq!(work(50), 1);
    add(q, &of("late", 1, 100));
    let late = work(20);
    assert!((9..=11).contains(&late), "{late}");
}

fn what_a_worker_lacks_is_not_for_it(q: &dyn Queue) {
    let mut on_gpu = job("gpu");
    on_gpu.message.on = On::Gpu;
    let large = NewJob { memory: 1 << 30, ..job("large") };
    add(q, &[on_gpu, large]);
    let with = |memory, gpu| {
        let can = Can { memory: Some(memory), gpu, ..can() };
        q.claim("w", &can, 0, LEASE).unwrap().map(|claim| claim.job.message.id)
    };
    assert_eq!(with((1 << 30) - 1, false), None);
    assert_eq!(with(1 << 30, false).as_deref(), Some("large"));
    assert_eq!(with(0, false), None);
    assert_eq!(with(0, true).as_deref(), Some("gpu"));
    // What is left for whom: both run; what needs a job that waits and is not for a worker is not either.
    let embed = |key: &str, needs| {
        let mut job = NewJob { needs, ..job(key) };
        job.message.action = Action::Embed(Embed { library: "/l".into() });
        job
    };
    let first = add(q, &[embed("first", vec![])])[0];
    let [next] = add(q, &[NewJob { needs: vec![first], ..job("next") }])[..] else { panic!() };
    add(q, &[embed("last", vec![next])]);
    let left =
        |actions, memory, gpu| q.left(&Can { actions, memory: Some(memory), gpu, ..ALL }).unwrap();
    assert_eq!(left(vec!["frames", "embed"], 1 << 30, true), 5);
    assert_eq!(left(vec!["frames"], 1 << 30, true), 2);
    assert_eq!(left(vec!["frames"], 1, false), 0);
    assert_eq!(left(vec!["embed"], 1, false), 1);
}

fn a_pipeline_is_its_steps_in_turn(q: &dyn Queue) {
    let step = |media: Option<&str>, action: &Action| Step {
        media: media.map(Into::into),
        action: action.name().into(),
        params: action.params(),
    };
    let frames = job("x").message.action;
    let embed = Action::Embed(Embed { library: "/l".into() });
    let mut pipeline = job("p");
    pipeline.message.action = Action::Pipeline(Pipeline {
        steps: vec![step(None, &frames), step(Some("/other"), &embed)],
    });
    let made = q.submit(&[pipeline.clone()], 0).unwrap().remove(0);
    assert_eq!((made.steps.len(), made.steps.last()), (2, Some(&made.id)));
    let after = add(q, &[NewJob { needs: vec![made.id], ..job("after") }])[0];
    for (id, name, media) in [
        (made.steps[0], "frames", "/films/p"),
        (made.steps[1], "embed", "/other"),
        (after, "frames", "/films/after"),
    ] {
        let taken = claim(q, 0).unwrap();
        assert!(claim(q, 0).is_none(), "each waits for the one before");
        let message = &taken.job.message;
        assert_eq!((taken.job.id, message.action.name()), (id, name));
        assert_eq!(message.media, Path::new(media));
        q.finish(taken.token, &Finish::Done, &Account::default(), 1).unwrap();
    }
    let again = q.submit(&[pipeline], 0).unwrap().remove(0);
    assert!(again.known && again.steps == made.steps);
}

fn what_was_said_and_where_it_ran_is_kept(q: &dyn Queue) {
    let id = add(q, &[job("a")])[0];
    let taken = claim(q, 0).unwrap();
    let stage = |stage: &str, wall_ms| StageCost { stage: stage.into(), wall_ms };
    let account = Account {
        cost: Cost { wall_ms: 3, energy_mj: 9, ..Cost::default() },
        stages: vec![stage("frames", 2), stage("sheet", 1)],
        way: Some(Way { name: "cpu".into(), device: "cpu".into(), because: Some("none".into()) }),
        said: format!("{}\nlast words\n", "x".repeat(2 * MOST_SAID)),
    };
    assert!(q.finish(taken.token, &Finish::Done, &account, 5).unwrap());
    let row = state(q, id);
    assert_eq!((&row.stages, &row.way), (&account.stages, &account.way));
    let said: Vec<String> =
        q.logs(id).unwrap().into_iter().filter(|line| line.said).map(|line| line.text).collect();
    assert_eq!(said, ["last words"], "the end of it, from the beginning of a line");
    let by_stage = q.efforts(By::Stage, Some("b"), 0).unwrap();
    let by_stage: Vec<_> = by_stage.iter().map(|e| (e.name.as_str(), e.cost.wall_ms)).collect();
    assert_eq!(by_stage, [("frames", 2), ("sheet", 1)]);
}

fn deaths_that_were_noted_count(q: &dyn Queue) {
    let id = add(q, &[NewJob { attempts: 10, ..job("a") }])[0];
    let taken = claim(q, 0).unwrap();
    assert_eq!(q.note(taken.token, "moved", false, 1).unwrap(), Some(0));
    assert_eq!(q.note(taken.token, "died", true, 1).unwrap(), Some(1));
    let stalled = Finish::Stalled("silent".into());
    q.finish(taken.token, &stalled, &Account::default(), 2).unwrap();
    let row = state(q, id);
    assert_eq!((row.state, row.error_kind.as_deref()), (JobState::Dead, Some("stalled")));
    assert_eq!(q.note(taken.token, "late", true, 3).unwrap(), None);
}

fn clocks_that_jump_lose_nothing(q: &dyn Queue) {
    const HOUR: i64 = 3_600_000;
    let ids = add(q, &[job("a"), job("b")]);
    let taken = claim(q, 10 * HOUR).unwrap();
    // Back by nine hours: the worker goes on, says that it lives, and keeps its job.
    assert_eq!(q.tidy(HOUR).unwrap(), 0);
    assert_eq!(q.beat(taken.token, HOUR, LEASE).unwrap(), Held::Yes);
    assert_eq!(q.tidy(HOUR + 20_000).unwrap(), 0);
    // A failure is tried again by the clock of the day, however it was set meanwhile.
    q.finish(taken.token, &fail(true), &Account::default(), 10 * HOUR).unwrap();
    q.tidy(HOUR).unwrap();
    let ready = state(q, ids[0]).ready_at;
    assert!(ready <= 2 * HOUR, "{ready}");
    // Forth by a day: whoever was silent for so long has lost the job, and its word with it.
    let first = claim(q, 2 * HOUR).unwrap();
    assert_eq!(q.tidy(26 * HOUR).unwrap(), 1);
    let second = claim(q, 26 * HOUR).unwrap();
    assert_eq!(second.job.id, first.job.id);
    assert!(!q.finish(first.token, &Finish::Done, &Account::default(), 26 * HOUR).unwrap());
    // A worker that died while the clock was wrong does not keep its job for ever.
    q.tidy(HOUR).unwrap();
    assert_eq!(q.tidy(2 * HOUR + 1).unwrap(), 1);
    assert_eq!(state(q, second.job.id).state, JobState::Ready);
}

fn many_workers_never_share_a_job(q: Arc<dyn Queue>) {
    let jobs: Vec<NewJob> = (0..60).map(|n| job(&n.to_string())).collect();
    add(&*q, &jobs);
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let q = q.clone();
            std::thread::spawn(move || {
                let mut mine = Vec::new();
                while let Some(c) = q.claim(&format!("w{n}"), &can(), 0, LEASE).unwrap() {
                    assert!(q.finish(c.token, &Finish::Done, &Account::default(), 1).unwrap());
                    mine.push(c.job.id);
                }
                mine
            })
        })
        .collect();
    let all: Vec<i64> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
    assert_eq!(all.len(), 60);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 60);
}

#[test]
fn sqlite_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::cell::Cell::new(0);
    suite(&|| {
        made.set(made.get() + 1);
        let file = folder.path().join(format!("{}.db", made.get()));
        Arc::new(SqliteQueue::open(&file, Backoff::default()).unwrap())
    });
}

#[test]
fn a_file_is_shared_by_processes_and_foreign_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = |file: &Path| SqliteQueue::open(file, Backoff::default());
    let file = folder.path().join(QUEUE);
    let (one, other) = (open(&file).unwrap(), open(&file).unwrap());
    add(&one, &[job("a")]);
    assert!(claim(&other, 0).is_some() && claim(&one, 0).is_none());
    let text = folder.path().join("text");
    std::fs::write(&text, "no database at all, but long enough to be one".repeat(50)).unwrap();
    assert_eq!(open(&text).unwrap_err().kind(), crate::error::ErrorKind::Storage);
    let foreign = folder.path().join("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute("CREATE TABLE x (y)", []).unwrap();
    let before = std::fs::read(&foreign).unwrap();
    assert_eq!(open(&foreign).unwrap_err().kind(), crate::error::ErrorKind::Storage);
    assert_eq!(std::fs::read(&foreign).unwrap(), before);
    let nowhere = open(&folder.path().join("no/such/jobs.db")).unwrap_err();
    assert_eq!(nowhere.kind(), crate::error::ErrorKind::Storage);
}

/// Each failure has its class and leaves the queue as it was; once the cause is gone it works again.
#[test]
fn full_disks_locks_and_damage_are_told_apart_and_got_over() {
    use crate::error::ErrorKind;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(QUEUE);
    let open = || SqliteQueue::open(&file, Backoff::default()).unwrap();
    let queue = open().patience(Duration::from_millis(10)).unwrap();
    add(&queue, &[job("a")]);
    // Another process writes for longer than is waited.
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let locked = queue.claim("w", &can(), 0, LEASE).unwrap_err();
    assert_eq!(locked.kind(), ErrorKind::Resource, "{locked}");
    assert_eq!(queue.list(&Which::default()).unwrap().len(), 1, "reading goes on");
    other.execute_batch("ROLLBACK").unwrap();
    let taken = claim(&queue, 0).unwrap();
    // No page more: as when the disk is full.
    let pages: i64 = queue.db().query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    queue.db().pragma_update(None, "max_page_count", pages).unwrap();
    let many: Vec<NewJob> = (0..500).map(|n| job(&format!("n{n}"))).collect();
    let full = queue.submit(&many, 1).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Resource, "{full}");
    assert_eq!(queue.list(&Which::default()).unwrap().len(), 1, "all or none");
    let large = vec![0; 1 << 20];
    assert_eq!(queue.checkpoint(taken.token, &large).unwrap_err().kind(), ErrorKind::Resource);
    queue.db().pragma_update(None, "max_page_count", 1 << 30).unwrap();
    assert!(queue.checkpoint(taken.token, &large).unwrap());
    assert!(queue.finish(taken.token, &Finish::Done, &Account::default(), 2).unwrap());
    assert_eq!(queue.submit(&many, 3).unwrap().len(), 500);
    // Pages of rubbish in the middle.
    drop((queue, other));
    let mut bytes = std::fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[4096..end.min(40 * 4096)].fill(0xaa);
    std::fs::write(&file, bytes).unwrap();
    let damaged = SqliteQueue::open(&file, Backoff::default())
        .and_then(|queue| queue.list(&Which::default()))
        .unwrap_err();
    assert_eq!(damaged.kind(), ErrorKind::Storage, "{damaged}");
}

/// A queue of the first version is brought up to date with all that it knows.
#[test]
fn queues_of_the_first_version_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(QUEUE);
    let db = rusqlite::Connection::open(&file).unwrap();
    db.execute_batch(include_str!("sqlite/schema_1.sql")).unwrap();
    db.pragma_update(None, "application_id", 0x5255_534A).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    let mut old = job("a");
    old.message.tenant = "anna".into();
    let message = serde_json::to_string(&old.message).unwrap();
    db.execute(
        "INSERT INTO jobs (key, batch, message, action, rank, bytes, state, attempts_most, ready_at,
           created_at, wall_ms, cpu_ms) VALUES ('a', 'b', ?1, 'frames', 0, 1, 'done', 3, 0, 5, 9, 8)",
        [message],
    )
    .unwrap();
    drop(db);
    let queue = SqliteQueue::open(&file, Backoff::default()).unwrap();
    assert!(queue.submit(&[job("a")], 0).unwrap()[0].known);
    let sums = queue.efforts(By::Tenant, None, 0).unwrap();
    assert_eq!((sums[0].name.as_str(), sums[0].cost.cpu_ms), ("anna", 8));
    let newer = rusqlite::Connection::open(&file).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    let refused = SqliteQueue::open(&file, Backoff::default()).unwrap_err();
    assert_eq!(refused.kind(), crate::error::ErrorKind::Unsupported);
}
