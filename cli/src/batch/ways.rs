//! In which ways a job can be done, the best first, and what each takes: as declared here until jobs of
//! its action were seen.

use rushes::jobs::{Action, By, Cost, Message, On, Queue};
use rushes::sched::{Alternative, Choice, Millis, Need, Place};
use std::collections::BTreeMap;

/// Attempts after which what was seen is believed.
const ENOUGH: u64 = 3;
/// What is added to the largest peak that was seen, in hundredths.
const MARGIN: u64 = 25;
/// Thousandths of a thread that a job takes beside its GPU: packets are read and results written.
const BESIDE_GPU: u32 = 500;

/// Quality classes: 16-bit floats are exact enough to be the reference; 8-bit weights cost a little.
const F16: u8 = 3;
const INT8: u8 = 2;

/// What is declared of an action.
struct Declared {
    /// Peaks are learned by it.
    shape: u32,
    /// Bytes of main memory on the processors.
    memory: u64,
    /// Milliseconds of one thread for each MiB of input.
    per_mebibyte: u64,
    gpu: OnGpu,
}

/// What is declared of an action on a GPU: decoding is done there too.
struct OnGpu {
    /// Bytes with 16-bit weights.
    f16: u64,
    /// With 8-bit weights, where there are models whose weights could be.
    int8: Option<u64>,
    /// Thousandths of the GPU.
    compute: u32,
    encode: u32,
    /// How many times as quick as one thread.
    speed: u64,
}

const MIB: u64 = 1 << 20;

fn declared(action: &Action) -> Declared {
    let gpu = OnGpu { f16: 1024 * MIB, int8: None, compute: 250, encode: 0, speed: 4 };
    match action {
        Action::Process(_) | Action::Pipeline(_) => Declared {
            shape: 0,
            memory: 900 * MIB,
            per_mebibyte: 2000,
            gpu: OnGpu { f16: 3072 * MIB, int8: Some(1792 * MIB), compute: 400, ..gpu },
        },
        Action::Transcribe(_) => Declared {
            shape: 1,
            memory: 900 * MIB,
            per_mebibyte: 1000,
            gpu: OnGpu { f16: 2048 * MIB, int8: Some(1024 * MIB), compute: 500, speed: 10, ..gpu },
        },
        Action::Frames(_) => Declared { shape: 2, memory: 300 * MIB, per_mebibyte: 400, gpu },
        Action::Embed(_) => Declared {
            shape: 3,
            memory: 700 * MIB,
            per_mebibyte: 1500,
            gpu: OnGpu { f16: 2048 * MIB, int8: Some(1280 * MIB), compute: 400, speed: 8, ..gpu },
        },
        // A spec says little of how long its film is.
        Action::Render(_) => Declared {
            shape: 4,
            memory: 600 * MIB,
            per_mebibyte: 30_000_000,
            gpu: OnGpu { f16: 1536 * MIB, encode: 1, ..gpu },
        },
    }
}

/// Main memory that a worker must have to do it.
pub fn least_memory(action: &Action) -> u64 {
    match action {
        Action::Pipeline(pipeline) => {
            let steps = pipeline.steps.iter().filter_map(|step| step.read().ok());
            steps.map(|action| least_memory(&action)).max().unwrap_or(0)
        }
        action => declared(action).memory,
    }
}

/// What jobs of each action took so far, in this queue: it outlives workers.
#[derive(Debug, Default)]
pub struct Known(BTreeMap<String, (u64, Cost)>);

impl Known {
    /// What `queue` knows.
    pub fn of(queue: &dyn Queue) -> rushes::Result<Self> {
        let efforts = queue.efforts(By::Action, None, 0)?;
        Ok(Self(efforts.into_iter().map(|e| (e.name, (e.attempts, e.cost))).collect()))
    }

    /// One more was done.
    pub fn saw(&mut self, action: &str, cost: &Cost) {
        let known = self.0.entry(action.to_owned()).or_default();
        *known = (known.0 + 1, known.1.plus(cost));
    }

    /// What is known of an action, once that is enough.
    pub fn cost(&self, action: &str) -> Option<&Cost> {
        self.0.get(action).filter(|(attempts, _)| *attempts >= ENOUGH).map(|(_, cost)| cost)
    }
}

/// The ways to do a job with `bytes` of input: on a GPU, if there are any, and on the processors.
pub fn ways(
    message: &Message,
    bytes: u64,
    threads: u32,
    gpus: bool,
    known: &Known,
) -> Vec<Alternative> {
    let declared = declared(&message.action);
    let seen = known.cost(message.action.name());
    let on_host = seen.filter(|cost| cost.gpu_ms == 0);
    // Of a job that once ran on a GPU the time says nothing of how long the processors take.
    let estimate: Millis = match on_host.filter(|cost| cost.bytes_in > 0) {
        Some(cost) => {
            let scaled = u128::from(cost.wall_ms) * u128::from(bytes) / u128::from(cost.bytes_in);
            u64::try_from(scaled).unwrap_or(Millis::MAX).max(50)
        }
        None => 500 + (bytes >> 10) * declared.per_mebibyte / 1024,
    };
    let memory = on_host.map_or(declared.memory, |cost| {
        cost.peak_bytes.saturating_add(cost.peak_bytes / 100 * MARGIN)
    });
    let mut ways = Vec::new();
    if message.on != On::Cpu && (gpus || message.on == On::Gpu) {
        let gpu = &declared.gpu;
        let mut add = |name, memory, quality| {
            let need = Need {
                memory_steady: memory,
                memory_peak: memory,
                compute: gpu.compute,
                decode: 1,
                encode: gpu.encode,
                host_memory: declared.memory / 2,
                host_compute: BESIDE_GPU,
                disk: 0,
            };
            let estimate = (estimate / gpu.speed).max(1);
            let shape = Some(declared.shape);
            ways.push(Alternative {
                quality,
                shape,
                ..Alternative::new(name, Place::Gpu, need, estimate)
            });
        };
        match gpu.int8 {
            Some(int8) => {
                add("gpu f16", gpu.f16, F16);
                add("gpu int8", int8, INT8);
            }
            None => add("gpu", gpu.f16, F16),
        }
    }
    if message.on != On::Gpu {
        let need = Need {
            memory_steady: memory,
            memory_peak: memory,
            compute: threads.saturating_mul(1000),
            ..Need::default()
        };
        let shape = Some(declared.shape);
        let way = Alternative::new("cpu", Place::Host, need, estimate);
        ways.push(Alternative { quality: INT8, shape, ..way });
    }
    ways
}

/// Why `ways[taken]` was taken and none before it; `None` for the first.
pub fn because(ways: &[Alternative], taken: usize, choice: Choice) -> Option<String> {
    let better = &ways.get(taken.checked_sub(1)?)?.name;
    let first = &ways.first()?.name;
    let why = match choice {
        Choice::First => return None,
        Choice::Sooner => format!("{first}: done sooner than waiting for it"),
        Choice::OnlyOne => format!("{first}: no device that works could take it"),
        Choice::AfterOutOfMemory => format!("{better}: memory ran out with it"),
    };
    Some(format!("fell back from {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rushes::jobs::{Priority, Transcribe};

    fn message(on: On) -> Message {
        Message {
            id: String::new(),
            media: "/a".into(),
            action: Action::Transcribe(Transcribe { output: "/o".into(), ..Transcribe::default() }),
            priority: Priority::Normal,
            tenant: String::new(),
            timestamp: 0,
            on,
            force: false,
            allow: Vec::new(),
        }
    }

    #[test]
    fn ways_are_ordered_by_quality_and_wishes_are_heeded() {
        let names = |on, gpus| -> Vec<String> {
            let ways = ways(&message(on), 1 << 20, 1, gpus, &Known::default());
            assert!(ways.is_sorted_by_key(|way| std::cmp::Reverse(way.quality)));
            ways.iter().map(|way| way.name.to_string()).collect()
        };
        assert_eq!(names(On::Any, true), ["gpu f16", "gpu int8", "cpu"]);
        assert_eq!(names(On::Any, false), ["cpu"]);
        assert_eq!(names(On::Cpu, true), ["cpu"]);
        // Without a GPU it is refused, with that as the reason, or waits for one.
        assert_eq!(names(On::Gpu, false), ["gpu f16", "gpu int8"]);
    }

    #[test]
    fn what_was_seen_replaces_what_is_declared() {
        let mut known = Known::default();
        let way = |known: &Known| ways(&message(On::Any), 4 << 20, 1, false, known).remove(0);
        let before = way(&known);
        let cost =
            Cost { wall_ms: 100, bytes_in: 1 << 20, peak_bytes: 64 << 20, ..Cost::default() };
        for _ in 0..ENOUGH {
            known.saw("transcribe", &cost);
        }
        let after = way(&known);
        assert_eq!((before.estimate, after.estimate), (500 + 4000, 400));
        assert!(after.need.memory_peak < 128 << 20 && before.need.memory_peak == 900 << 20);
    }

    #[test]
    fn falling_back_is_told_with_its_reason() {
        let ways = ways(&message(On::Any), 1, 1, true, &Known::default());
        assert_eq!(because(&ways, 0, Choice::First), None);
        let told = because(&ways, 1, Choice::AfterOutOfMemory).unwrap();
        assert_eq!(told, "fell back from gpu f16: memory ran out with it");
        assert!(because(&ways, 2, Choice::OnlyOne).unwrap().starts_with("fell back from gpu f16"));
    }
}
