//! The machine that a pool works on, looked at again and again: what there is becomes the scheduler's
//! devices, and what changes its events.

use rushes::device::{Gpu, Health, Host, Inventory, Mig, Snapshot};
use rushes::sched::{DeviceId, DeviceSpec, HOST, What};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How often a machine is looked at; one that is only described, whose failures come at their times,
/// more often.
const LOOK: Duration = Duration::from_secs(3);
const LOOK_SIMULATED: Duration = Duration::from_millis(200);
/// What CUDA's context takes of a GPU, and some for what is not foreseen; of a small GPU a sixteenth.
const RESERVE: u64 = 512 << 20;
/// Sessions of a GPU that does not say how many it can run: what drivers of the last years allow.
const SESSIONS: u32 = 8;

/// What of the machine is held by ourselves.
#[derive(Debug, Default)]
pub struct Ours {
    /// Processes of jobs.
    pub pids: BTreeSet<u32>,
    /// Main memory that they hold.
    pub memory: u64,
    /// Bytes of each GPU that are promised to them, and how many there are on it.
    pub promised: BTreeMap<DeviceId, (u64, u32)>,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// For the scheduler.
    pub events: Vec<What>,
    /// For people: devices that came or went.
    pub told: Vec<String>,
    /// Millijoules for each job on a GPU, since the last time.
    pub energy: BTreeMap<DeviceId, u64>,
    /// Bytes of GPUs that our processes hold.
    pub held: BTreeMap<u32, u64>,
}

/// A GPU that is known.
#[derive(Debug)]
struct Known {
    id: DeviceId,
    name: String,
    works: bool,
    foreign: u64,
    energy: Option<f64>,
}

/// A machine.
pub struct Machine {
    inventory: Box<dyn Inventory>,
    simulated: bool,
    began: Instant,
    looked: Instant,
    host: Host,
    foreign: u64,
    /// By what names them for good.
    gpus: BTreeMap<String, Known>,
}

impl Machine {
    /// Looks for the first time; gives its devices. `threads` is how many of the processors' there are.
    pub fn new(
        mut inventory: Box<dyn Inventory>,
        threads: u32,
    ) -> rushes::Result<(Self, Vec<What>)> {
        let seen = inventory.look(Duration::ZERO)?;
        let now = Instant::now();
        let mut machine = Self {
            inventory,
            simulated: seen.fact("simulated").is_some(),
            began: now,
            looked: now,
            host: seen.host.clone(),
            foreign: 0,
            gpus: BTreeMap::new(),
        };
        // All of its memory: what others hold of it now they may give back.
        let mut events = vec![What::Device(DeviceSpec::host(threads, seen.host.memory))];
        events.extend(machine.compare(&seen, &Ours::default()).events);
        Ok((machine, events))
    }

    /// How long until it should be looked at again.
    pub fn wait(&self) -> Duration {
        let every = if self.simulated { LOOK_SIMULATED } else { LOOK };
        every.saturating_sub(self.looked.elapsed())
    }

    /// Looks again.
    pub fn look(&mut self, ours: &Ours) -> rushes::Result<Seen> {
        self.looked = Instant::now();
        let seen = self.inventory.look(self.began.elapsed())?;
        Ok(self.compare(&seen, ours))
    }

    /// Bytes of main memory, of which those that others hold.
    pub fn memory(&self) -> (u64, u64) {
        (self.host.memory, self.foreign)
    }

    /// Whether it has GPUs, working ones or not.
    pub fn has_gpus(&self) -> bool {
        !self.gpus.is_empty()
    }

    /// GPUs that work.
    pub fn working_gpus(&self) -> usize {
        self.gpus.values().filter(|gpu| gpu.works).count()
    }

    /// What people call a device.
    pub fn label(&self, id: DeviceId) -> String {
        let gpu = self.gpus.iter().find(|(_, gpu)| gpu.id == id);
        gpu.map_or_else(|| "cpu".to_owned(), |(uuid, gpu)| format!("{} {uuid}", gpu.name))
    }

    /// What a child's environment must say so that it uses this device and no other.
    pub fn env(&self, id: DeviceId) -> (&'static str, String) {
        let real = self.gpus.iter().find(|(_, gpu)| gpu.id == id && !self.simulated);
        ("CUDA_VISIBLE_DEVICES", real.map_or_else(String::new, |(uuid, _)| uuid.clone()))
    }

    fn compare(&mut self, seen: &Snapshot, ours: &Ours) -> Seen {
        let mut made = Seen::default();
        self.host = seen.host.clone();
        let held = seen.host.memory.saturating_sub(seen.host.available);
        let foreign = held.saturating_sub(ours.memory);
        if differs(foreign, self.foreign, seen.host.memory) {
            self.foreign = foreign;
            made.events.push(What::Foreign(HOST, foreign));
        }
        let mut there = BTreeSet::new();
        for gpu in seen.gpus.iter().filter(|gpu| gpu.mig != Mig::Divided) {
            there.insert(gpu.id.clone());
            self.one(gpu, ours, &mut made);
        }
        for (uuid, known) in &mut self.gpus {
            if known.works && !there.contains(uuid) {
                known.works = false;
                made.events.push(What::Lost(known.id));
                made.told.push(format!("{} {uuid} is gone", known.name));
            }
        }
        made
    }

    fn one(&mut self, gpu: &Gpu, ours: &Ours, made: &mut Seen) {
        let next = DeviceId(u32::try_from(self.gpus.len() + 1).unwrap_or(u32::MAX));
        let known = self.gpus.entry(gpu.id.clone()).or_insert_with(|| {
            made.events.push(What::Device(spec(gpu, next)));
            Known { id: next, name: gpu.name.clone(), works: true, foreign: 0, energy: None }
        });
        match (&gpu.health, known.works) {
            (Health::Lost(why), true) => {
                known.works = false;
                made.events.push(What::Lost(known.id));
                made.told.push(format!("{} {} is lost: {why}", gpu.name, gpu.id));
            }
            (Health::Good, false) => {
                known.works = true;
                made.events.push(What::Back(known.id));
                made.told.push(format!("{} {} is back", gpu.name, gpu.id));
            }
            _ => {}
        }
        let (promised, jobs) = ours.promised.get(&known.id).copied().unwrap_or((0, 0));
        let used = gpu.memory.total.saturating_sub(gpu.memory.free);
        let (mine, others): (Vec<_>, Vec<_>) =
            gpu.memory.holders.iter().partition(|holder| ours.pids.contains(&holder.pid));
        for holder in mine {
            *made.held.entry(holder.pid).or_default() += holder.bytes.unwrap_or(0);
        }
        let told: Option<u64> = others.iter().map(|holder| holder.bytes).sum();
        // Where the driver does not tell whose bytes they are, ours are what was promised at most.
        let foreign = told.unwrap_or_else(|| used.saturating_sub(promised));
        if differs(foreign, known.foreign, gpu.memory.total) {
            known.foreign = foreign;
            made.events.push(What::Foreign(known.id, foreign));
        }
        let before = std::mem::replace(&mut known.energy, gpu.energy);
        if let (Some(before), Some(now), true) = (before, gpu.energy, jobs > 0) {
            let millijoules = ((now - before).max(0.0) * 1000.0) as u64;
            made.energy.insert(known.id, millijoules / u64::from(jobs));
        }
    }
}

/// Whether a change is worth telling: more than a 256th of the whole, or back to nothing.
fn differs(now: u64, before: u64, whole: u64) -> bool {
    now.abs_diff(before) > whole / 256 || (now == 0 && before > 0)
}

fn spec(gpu: &Gpu, id: DeviceId) -> DeviceSpec {
    DeviceSpec {
        reserve: RESERVE.min(gpu.memory.total / 16),
        decode: gpu.coders.decode_sessions.unwrap_or(SESSIONS),
        encode: gpu.coders.encode_sessions.unwrap_or(SESSIONS),
        speed: (gpu.speed * 1000.0) as u32,
        ..DeviceSpec::gpu(id.0, gpu.memory.total)
    }
}

/// The word that gives a child its GPU, the only one that its environment shows it. Builds without CUDA
/// know of none.
pub fn device_word(on_gpu: bool) -> Option<&'static str> {
    cfg!(feature = "cuda").then_some(if on_gpu { "--device=cuda:0" } else { "--device=cpu" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rushes::device::Holder;

    fn gpu(id: &str, free: u64, energy: Option<f64>) -> Gpu {
        let text = "[[gpu]]\nname = 'A10'\nmemory = '8G'\nencode_sessions = 0\n";
        let mut machine = rushes::device::Simulated::parse(text).unwrap();
        let mut gpu = machine.look(Duration::ZERO).unwrap().gpus.remove(0);
        (gpu.id, gpu.memory.free, gpu.energy) = (id.into(), free << 30, energy);
        gpu
    }

    /// An inventory that says what it is told to.
    struct Told(std::sync::Arc<std::sync::Mutex<Snapshot>>);

    impl Inventory for Told {
        fn look(&mut self, _: Duration) -> rushes::Result<Snapshot> {
            Ok(self.0.lock().unwrap().clone())
        }
    }

    #[test]
    fn what_changes_becomes_events() {
        let host = Host { memory: 64 << 30, available: 60 << 30, threads: 4, ..Host::default() };
        let gpus = vec![gpu("a", 8, Some(10.0)), gpu("b", 8, None)];
        let snapshot = Snapshot { host, gpus, facts: Vec::new() };
        let shared = std::sync::Arc::new(std::sync::Mutex::new(snapshot));
        let (mut machine, events) = Machine::new(Box::new(Told(shared.clone())), 4).unwrap();
        let specs: Vec<DeviceSpec> = events
            .iter()
            .filter_map(|e| match e {
                What::Device(spec) => Some(*spec),
                _ => None,
            })
            .collect();
        // The whole memory is the host's, whatever is in use at the start.
        assert_eq!((specs[0].id, specs[0].memory, specs[0].reserve), (HOST, 64 << 30, 0));
        assert!(events.contains(&What::Foreign(HOST, 4 << 30)));
        assert_eq!((specs[1].id, specs[1].reserve, specs[1].encode), (DeviceId(1), 512 << 20, 0));
        assert_eq!(specs.len(), 3);
        let mut ours = Ours { memory: 3 << 30, ..Ours::default() };
        ours.promised.insert(DeviceId(1), (2 << 30, 2));
        ours.pids.insert(77);
        assert_eq!(machine.look(&Ours::default()).unwrap().events, []);
        {
            let mut now = shared.lock().unwrap();
            now.host.available = 40 << 30;
            now.gpus[0] = gpu("a", 3, Some(16.0));
            let holder = |pid, gib: u64| Holder { pid, name: None, bytes: Some(gib << 30) };
            now.gpus[0].memory.holders = vec![holder(77, 2), holder(9, 3)];
            now.gpus[1].health = Health::Lost("Xid 79".into());
        }
        let seen = machine.look(&ours).unwrap();
        assert_eq!(
            seen.events,
            [
                What::Foreign(HOST, 21 << 30),
                What::Foreign(DeviceId(1), 3 << 30),
                What::Lost(DeviceId(2))
            ]
        );
        assert_eq!(seen.energy, [(DeviceId(1), 3000)].into(), "6 J for two");
        assert_eq!(seen.held, [(77, 2 << 30)].into());
        assert!(seen.told[0].contains("Xid 79"));
        // In containers the driver does not say whose memory it is; a GPU that is gone is lost too.
        {
            let mut now = shared.lock().unwrap();
            now.gpus[0].memory.holders[1].bytes = None;
            now.gpus[1].health = Health::Good;
        }
        assert_eq!(machine.look(&ours).unwrap().events, [What::Back(DeviceId(2))]);
        shared.lock().unwrap().gpus.remove(0);
        assert_eq!(machine.look(&ours).unwrap().events, [What::Lost(DeviceId(1))]);
        assert_eq!((machine.working_gpus(), machine.env(HOST).1.as_str()), (1, ""));
        assert_eq!(machine.env(DeviceId(2)), ("CUDA_VISIBLE_DEVICES", "b".into()));
    }
}
