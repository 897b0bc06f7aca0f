//! What no schedule can beat, the best schedule of a few jobs, and a good one of many.

use crate::chance::Chance;
use crate::simulate::Work;

/// The least time in which `devices` GPUs can do `jobs`: by their areas, by the longest, and by those
/// of which no two fit one device at a time.
pub fn lower(jobs: &[Work], devices: u64, memory: u64) -> f64 {
    let area = |of: fn(&Work) -> u64, whole: u64| {
        let sum: f64 = jobs.iter().map(|job| job.time as f64 * of(job) as f64).sum();
        sum / (devices * whole) as f64
    };
    let longest = jobs.iter().map(|job| job.time).max().unwrap_or(0) as f64;
    // Jobs that take more than half of anything are alone on their device among themselves.
    let alone = |job: &&Work| job.memory * 2 > memory || job.compute * 2 > 1000;
    let mut big: Vec<u64> = jobs.iter().filter(alone).map(|job| job.time).collect();
    big.sort_unstable_by(|a, b| b.cmp(a));
    let spread = big.iter().sum::<u64>() as f64 / devices as f64;
    // The first `devices + 1` of them: two share a device, at best the two shortest.
    let pair = match big.get(devices as usize - 1..=devices as usize) {
        Some([a, b]) => (a + b) as f64,
        _ => 0.0,
    };
    [area(|j| j.memory, memory), area(|j| u64::from(j.compute), 1000), longest, spread, pair]
        .into_iter()
        .fold(0.0, f64::max)
}

/// A device with the jobs that run on it: when each ends, and what it takes.
#[derive(Clone, Default)]
struct Busy(Vec<(u64, u64, u32)>);

impl Busy {
    /// What is taken by those that run after `at`.
    fn taken(&self, at: u64) -> (u64, u32) {
        self.0
            .iter()
            .filter(|(end, ..)| *end > at)
            .fold((0, 0), |sum, (_, memory, compute)| (sum.0 + memory, sum.1 + compute))
    }

    /// The first moment from `from` on at which `job` fits, if nothing is added.
    fn fits_at(&self, job: &Work, from: u64, memory: u64) -> u64 {
        let later = self.0.iter().map(|(end, ..)| *end).filter(|end| *end > from);
        let mut times: Vec<u64> = std::iter::once(from).chain(later).collect();
        times.sort_unstable();
        let fits = |at: &u64| {
            let (m, c) = self.taken(*at);
            m + job.memory <= memory && c + job.compute <= 1000
        };
        times.into_iter().find(fits).unwrap_or(u64::MAX)
    }
}

/// The shortest makespan of a few jobs that share `devices`, by trying everything that is not obviously
/// the same or worse. Sorted by their starts, the jobs of some best schedule each begin as early as those
/// before them allow; so all orders and devices are tried, with starts that never run backwards.
pub fn exact(jobs: &[Work], devices: usize, memory: u64) -> u64 {
    let mut left: Vec<&Work> = jobs.iter().collect();
    left.sort_unstable_by_key(|job| std::cmp::Reverse(job.time));
    let mut best = jobs.iter().map(|job| job.time).sum();
    let least = lower(jobs, devices as u64, memory).ceil() as u64;
    extend(&mut left, &mut vec![Busy::default(); devices], (0, 0), memory, least, &mut best);
    best
}

/// `at`: the last start, and the last end.
fn extend(
    left: &mut Vec<&Work>,
    devices: &mut [Busy],
    at: (u64, u64),
    memory: u64,
    least: u64,
    best: &mut u64,
) {
    if left.is_empty() {
        *best = (*best).min(at.1);
        return;
    }
    // What is left, and what runs on, must be done by then even if it could be cut at will.
    let mut areas = (0u128, 0u128);
    for job in left.iter() {
        areas.0 += u128::from(job.time) * u128::from(job.memory);
        areas.1 += u128::from(job.time) * u128::from(job.compute);
    }
    for (end, m, c) in devices.iter().flat_map(|device| &device.0) {
        areas.0 += u128::from(end.saturating_sub(at.0)) * u128::from(*m);
        areas.1 += u128::from(end.saturating_sub(at.0)) * u128::from(*c);
    }
    let whole = devices.len() as u128;
    let area = (areas.0 / (whole * u128::from(memory))).max(areas.1 / (whole * 1000));
    if *best <= least || u128::from(at.0) + area >= u128::from(*best) {
        return;
    }
    for index in 0..left.len() {
        let job = left.remove(index);
        for place in 0..devices.len() {
            // Devices on which the same runs are alike.
            if devices[..place].iter().any(|other| other.0 == devices[place].0) {
                continue;
            }
            let start = devices[place].fits_at(job, at.0, memory);
            if start.saturating_add(job.time) < *best {
                let end = start + job.time;
                devices[place].0.push((end, job.memory, job.compute));
                extend(left, devices, (start, at.1.max(end)), memory, least, best);
                devices[place].0.pop();
            }
        }
        left.insert(index, job);
    }
}

/// The makespan that the best of `trials` orders gives to somebody who knows all real times: jobs placed
/// in order wherever they fit, the order changed by one job at a time and kept if it is no worse. Not
/// the shortest there is, but the shortest is no longer than this.
pub fn searched(jobs: &[Work], devices: usize, memory: u64, trials: u32) -> u64 {
    let size = |at: &usize| {
        let job = &jobs[*at];
        let (m, c) = (job.memory as f64 / memory as f64, f64::from(job.compute) / 1000.0);
        job.time as f64 * m.hypot(c)
    };
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by(|a, b| size(b).total_cmp(&size(a)));
    let mut best = listed(jobs, &order, devices, memory);
    let mut chance = Chance::new(jobs.len() as u64);
    for _ in 0..trials {
        let mut other = order.clone();
        let moved = other.remove(chance.below(jobs.len() as u64) as usize);
        other.insert(chance.below(jobs.len() as u64) as usize, moved);
        let made = listed(jobs, &other, devices, memory);
        if made <= best {
            (best, order) = (made, other);
        }
    }
    best
}

/// The makespan of jobs that are placed in `order`, each as soon as it fits somewhere.
fn listed(jobs: &[Work], order: &[usize], devices: usize, memory: u64) -> u64 {
    let mut free = vec![(memory, 1000u32); devices];
    let mut running: Vec<(u64, usize, usize)> = Vec::new();
    let mut waiting = order.to_vec();
    let (mut now, mut last) = (0, 0);
    while !waiting.is_empty() {
        waiting.retain(|at| {
            let job = &jobs[*at];
            let left = |(m, c): (u64, u32)| {
                let part = (m - job.memory) as f64 / memory as f64;
                (part - f64::from(c - job.compute) / 1000.0).abs()
            };
            let fitting =
                free.iter().enumerate().filter(|(_, f)| job.memory <= f.0 && job.compute <= f.1);
            let Some((place, _)) = fitting.min_by(|a, b| left(*a.1).total_cmp(&left(*b.1))) else {
                return true;
            };
            free[place].0 -= job.memory;
            free[place].1 -= job.compute;
            running.push((now + job.time, place, *at));
            last = last.max(now + job.time);
            false
        });
        now = running.iter().map(|(end, ..)| *end).min().unwrap_or(now);
        running.retain(|(end, place, at)| {
            let over = *end <= now;
            if over {
                free[*place].0 += jobs[*at].memory;
                free[*place].1 += jobs[*at].compute;
            }
            !over
        });
    }
    last
}
