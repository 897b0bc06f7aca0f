//! The tables.

use crate::bounds;
use crate::chance::Chance;
use crate::simulate::{POLICIES, Work, run};
use rushes::sched::{Millis, Policy};
use serde_json::{Value, json};

const GIB: u64 = 1 << 30;
const MEMORY: u64 = 24 * GIB;
/// Orders that are tried by the search that policies are held against.
const TRIALS: u32 = 1000;

pub struct Table {
    pub title: String,
    pub about: String,
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let cells = self.columns.iter().zip(row);
                cells.map(|(column, cell)| ((*column).to_owned(), json!(cell))).collect()
            })
            .collect();
        json!({ "title": self.title, "about": self.about, "rows": rows })
    }
}

/// Jobs of one kind of work.
#[derive(Clone, Copy)]
enum Kind {
    /// Each takes a whole device.
    Whole,
    /// Each takes some memory and some of the processors.
    Shared,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole devices",
            Self::Shared => "shared devices",
        }
    }

    fn job(self, chance: &mut Chance, sigma: f64) -> Work {
        let time = chance.log_between(5_000.0, 120_000.0);
        let (memory, compute) = match self {
            Self::Whole => (chance.between(2.0, 20.0), 1000),
            Self::Shared => (chance.between(1.0, 12.0), chance.between(100.0, 500.0) as u32),
        };
        let error = (sigma * chance.normal() - sigma * sigma / 2.0).exp();
        Work {
            tenant: 0,
            arrives: 0,
            time: time as Millis,
            estimate: ((time * error) as Millis).max(1),
            memory: (memory * GIB as f64) as u64,
            compute,
            model: None,
        }
    }
}

fn mean_and_p99(mut ratios: Vec<f64>) -> (f64, f64, f64) {
    ratios.sort_unstable_by(f64::total_cmp);
    let mean = ratios.iter().sum::<f64>() / ratios.len().max(1) as f64;
    (mean, quantile(&ratios, 0.99), ratios.last().copied().unwrap_or(0.0))
}

fn quantile<T: Copy + Default>(sorted: &[T], q: f64) -> T {
    let at = ((sorted.len() as f64 * q).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(at).copied().unwrap_or_default()
}

pub fn makespan(instances: u64) -> Table {
    let mut rows = Vec::new();
    for kind in [Kind::Whole, Kind::Shared] {
        for sigma in [0.0, 0.3] {
            for (name, policy) in POLICIES {
                let ratios = (0..instances).map(|instance| {
                    let mut chance = Chance::new(instance);
                    let work: Vec<Work> = (0..60).map(|_| kind.job(&mut chance, sigma)).collect();
                    let made = run(policy(), 4, MEMORY, &work, false);
                    made.makespan as f64 / bounds::lower(&work, 4, MEMORY)
                });
                let (mean, p99, worst) = mean_and_p99(ratios.collect());
                rows.push(vec![
                    kind.name().to_owned(),
                    format!("{sigma}"),
                    name.to_owned(),
                    format!("{mean:.3}"),
                    format!("{p99:.3}"),
                    format!("{worst:.3}"),
                ]);
            }
        }
        // How near to the bound anything comes.
        let ratios = (0..instances).map(|instance| {
            let mut chance = Chance::new(instance);
            let work: Vec<Work> = (0..60).map(|_| kind.job(&mut chance, 0.0)).collect();
            let made = bounds::searched(&work, 4, MEMORY, TRIALS);
            made as f64 / bounds::lower(&work, 4, MEMORY)
        });
        let (mean, p99, worst) = mean_and_p99(ratios.collect());
        rows.push(vec![
            kind.name().to_owned(),
            "0".to_owned(),
            format!("best of {TRIALS} orders"),
            format!("{mean:.3}"),
            format!("{p99:.3}"),
            format!("{worst:.3}"),
        ]);
    }
    Table {
        title: "Makespan over the lower bound".into(),
        about: format!(
            "4 devices of 24 GiB, 60 jobs at once, {instances} instances; times spread evenly over the \
             orders of magnitude from 5 to 120 s. Whole devices: 2 to 20 GiB and all of the processors. \
             Shared: 1 to 12 GiB and 10 to 50 % of the processors. Sigma: the spread of the logarithm of \
             estimates around the real time. Lower bound: the largest of the areas, the longest job, the \
             jobs of which no two fit one device, and the shortest pair of those that must share one. Best \
             of {TRIALS} orders: no policy, but the shortest that a search by somebody who knows all real \
             times comes to; the shortest there is lies between the bound and that."
        ),
        columns: vec!["work", "sigma", "policy", "mean", "p99", "worst"],
        rows,
    }
}

pub fn exact(instances: u64) -> Table {
    let mut rows = Vec::new();
    for (kind, devices) in
        [(Kind::Whole, 2), (Kind::Whole, 3), (Kind::Whole, 4), (Kind::Shared, 1), (Kind::Shared, 2)]
    {
        let works: Vec<(Vec<Work>, u64)> = (0..instances)
            .map(|instance| {
                let mut chance = Chance::new(instance);
                let work: Vec<Work> = (0..7).map(|_| kind.job(&mut chance, 0.0)).collect();
                let best = bounds::exact(&work, devices as usize, MEMORY);
                (work, best)
            })
            .collect();
        for (name, policy) in [POLICIES[0], POLICIES[1], POLICIES[2]] {
            let mut optimal = 0;
            let ratios = works.iter().map(|(work, best)| {
                let made = run(policy(), devices, MEMORY, work, false).makespan;
                optimal += u64::from(made == *best);
                made as f64 / *best as f64
            });
            let (mean, p99, worst) = mean_and_p99(ratios.collect());
            rows.push(vec![
                kind.name().to_owned(),
                devices.to_string(),
                name.to_owned(),
                format!("{mean:.3}"),
                format!("{p99:.3}"),
                format!("{worst:.3}"),
                format!("{:.0} %", 100.0 * optimal as f64 / instances.max(1) as f64),
            ]);
        }
    }
    Table {
        title: "Makespan over the best there is".into(),
        about: format!(
            "7 jobs, {instances} instances, against the shortest schedule (by trying everything)."
        ),
        columns: vec!["work", "devices", "policy", "mean", "p99", "worst", "best found"],
        rows,
    }
}

/// Jain's index (Jain, Chiu, Hawe 1984): 1 where all get the same.
fn jain(given: &[f64]) -> f64 {
    let sum: f64 = given.iter().sum();
    let squares: f64 = given.iter().map(|x| x * x).sum();
    sum * sum / (given.len() as f64 * squares)
}

pub fn sharing() -> Table {
    // Five tenants who all have more than enough to do; one asks for ten times as much, another for
    // jobs ten times as long.
    let mut chance = Chance::new(7);
    let mut contended = Vec::new();
    for tenant in 0..5u32 {
        let count = if tenant == 0 { 4000 } else { 400 };
        for _ in 0..count {
            let mut job = Kind::Shared.job(&mut chance, 0.3);
            job.tenant = tenant;
            if tenant == 1 {
                job.time *= 10;
                job.estimate *= 10;
            }
            contended.push((chance.next(), job));
        }
    }
    // In any order.
    contended.sort_by_key(|(at, _)| *at);
    let contended: Vec<Work> = contended.into_iter().map(|(_, job)| job).collect();
    // Jobs that come one by one, 85 % of what the devices can do, for six models that do not all fit.
    let mut chance = Chance::new(8);
    let mut coming = Vec::new();
    let mut at = 0.0;
    for _ in 0..5000 {
        let mut job = Kind::Shared.job(&mut chance, 0.3);
        let model = chance.below(6) as u32;
        job.model = Some((model, (3 + u64::from(model)) * GIB, 4000 + 1000 * u64::from(model)));
        job.memory /= 4;
        job.tenant = chance.below(5) as u32;
        // 37 s on 30 % of a device on average.
        at += chance.wait(4.0 * 0.85 / (36_200.0 * 0.30));
        job.arrives = at as Millis;
        coming.push(job);
    }
    let until = 5_000_000;
    let rows = POLICIES.map(|(name, policy)| {
        let blind = |work: &[Work]| -> Vec<Work> {
            // Only ours knows of tenants.
            let tenant = |w: &Work| if name == POLICIES[0].0 { w.tenant } else { 0 };
            work.iter().map(|w| Work { tenant: tenant(w), ..w.clone() }).collect()
        };
        let made = run(policy(), 4, MEMORY, &blind(&contended), false);
        let mut given = [0.0; 5];
        for (job, began) in made.began {
            let job = &contended[job as usize];
            let inside = until.min(began + job.time).saturating_sub(began);
            let share = f64::from(job.compute).max(job.memory as f64 / MEMORY as f64 * 1000.0);
            given[job.tenant as usize] += inside as f64 * share;
        }
        let jain = jain(&given);
        let mut open = run(policy(), 4, MEMORY, &blind(&coming), false);
        open.waits.sort_unstable();
        let seconds = |q| quantile(&open.waits, q) as f64 / 1e3;
        vec![
            name.to_owned(),
            format!("{jain:.3}"),
            format!("{:.1}", seconds(0.5)),
            format!("{:.1}", seconds(0.99)),
            format!("{:.1}", seconds(1.0)),
            open.loads.to_string(),
            format!("{:.0}", open.makespan as f64 / 1e3),
        ]
    });
    Table {
        title: "Fairness, waits, loads of models".into(),
        about: "4 devices of 24 GiB, sigma 0.3. Jain's index of what five tenants were given (time by \
                the larger of memory and processors) in the first 5000 s, while all have work waiting: one \
                submitted ten times as many jobs, another jobs ten times as long. Waits and loads: 5000 \
                jobs that come one by one, as fast as 85 % of the processors could do, for six models of 3 \
                to 8 GiB that take 4 to 9 s to load."
            .into(),
        columns: vec![
            "policy", "Jain", "wait p50 s", "wait p99 s", "longest s", "loads", "makespan s",
        ],
        rows: rows.into(),
    }
}

pub fn scale(gpus: u32, jobs: u64) -> Table {
    let mut rows = Vec::new();
    for (kind, name, at_once) in [
        (Kind::Whole, "whole devices, all at once", true),
        (Kind::Shared, "shared devices, all at once", true),
        (Kind::Shared, "shared devices, one by one", false),
    ] {
        let mut chance = Chance::new(9);
        let mut at = 0.0;
        let work: Vec<Work> = (0..jobs)
            .map(|_| {
                let mut job = kind.job(&mut chance, 0.3);
                job.tenant = chance.below(50) as u32;
                if !at_once {
                    at += chance.wait(f64::from(gpus) * 0.9 / (36_200.0 * 0.30));
                    job.arrives = at as Millis;
                }
                job
            })
            .collect();
        let policy =
            Policy { queue: usize::MAX, queue_per_tenant: usize::MAX, ..(POLICIES[0].1)() };
        let made = run(policy, gpus, MEMORY, &work, true);
        let bound = bounds::lower(&work, u64::from(gpus), MEMORY);
        rows.push(vec![
            name.to_owned(),
            made.events.to_string(),
            made.most_waiting.to_string(),
            format!("{:.1}", made.deciding.as_secs_f64() * 1e6 / jobs as f64),
            format!("{:.1}", made.deciding.as_secs_f64() * 1e6 / made.events as f64),
            format!("{:.0}", made.slowest.as_secs_f64() * 1e3),
            if at_once { format!("{:.3}", made.makespan as f64 / bound) } else { "-".into() },
        ]);
    }
    Table {
        title: format!("{gpus} devices, {jobs} jobs"),
        about: "50 tenants, sigma 0.3. Processor time of the decisions (the slowest is the one that takes all \
                jobs at once). One by one: as fast as 90 % of the processors could do."
            .into(),
        columns: vec![
            "work", "events", "most waiting", "µs a job", "µs an event", "slowest ms",
            "makespan over bound",
        ],
        rows,
    }
}
