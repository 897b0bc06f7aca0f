//! A machine that a TOML file describes: many GPUs of chosen sizes, and what befalls them over time.
//!
//! ```toml
//! [host]
//! threads = 32
//! memory = "128G"
//!
//! [[gpu]]
//! name = "A10"
//! count = 4             # 1
//! memory = "24G"
//! compute = "8.6"
//! speed = 1.0           # beside the others
//! decode_sessions = 4   # unknown
//! encode_sessions = 3   # unknown
//!
//! [[event]]
//! at = 10.0             # seconds from the start
//! gpu = 2
//! what = "lost"         # or "back", "taken" and "given" with bytes = "4G"
//! ```

use super::{
    Coders, Fact, Gpu, GpuMemory, Health, Holder, Host, Inventory, Mig, Snapshot, parse_bytes,
};
use crate::error::{Error, ErrorKind, Result, Stage};
use serde::Deserialize;
use std::path::Path;
use std::time::Duration;

/// GPUs that a file may describe.
const MOST_GPUS: usize = 100_000;
/// Bytes of a file that is read.
const MOST_BYTES: u64 = 16 << 20;

/// The [`Inventory`] of a machine that is only described.
#[derive(Clone, Debug)]
pub struct Simulated {
    host: Host,
    gpus: Vec<Gpu>,
    events: Vec<Happening>,
}

#[derive(Clone, Debug)]
struct Happening {
    at: Duration,
    gpu: usize,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Lost,
    Back,
    Taken(u64),
    Given(u64),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    host: HostPart,
    #[serde(default, rename = "gpu")]
    gpus: Vec<GpuPart>,
    #[serde(default, rename = "event")]
    events: Vec<EventPart>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostPart {
    #[serde(default = "one")]
    threads: u32,
    #[serde(default = "sixteen")]
    memory: Size,
}

impl Default for HostPart {
    fn default() -> Self {
        Self { threads: one(), memory: sixteen() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GpuPart {
    name: String,
    #[serde(default = "one")]
    count: u32,
    memory: Size,
    compute: Option<String>,
    #[serde(default = "usual")]
    speed: f64,
    decode_sessions: Option<u32>,
    encode_sessions: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventPart {
    at: f64,
    gpu: usize,
    what: String,
    bytes: Option<Size>,
}

/// A size as people write it.
#[derive(Clone, Copy)]
struct Size(u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        parse_bytes(&text)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no size such as \"24G\"")))
    }
}

fn one() -> u32 {
    1
}

fn usual() -> f64 {
    1.0
}

fn sixteen() -> Size {
    Size(16 << 30)
}

impl Simulated {
    /// The machine in `file`.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if it cannot be read or is no such description.
    pub fn read(file: &Path) -> Result<Self> {
        let meta = std::fs::metadata(file).map_err(|e| Error::io(Stage::Open, file, e))?;
        if meta.len() > MOST_BYTES {
            return Err(wrong("is too long for a description of a machine").input(file));
        }
        let text = std::fs::read_to_string(file).map_err(|e| Error::io(Stage::Open, file, e))?;
        Self::parse(&text).map_err(|e| e.input(file))
    }

    /// The machine that `text` describes.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] with the place in the text.
    pub fn parse(text: &str) -> Result<Self> {
        let file: File = toml::from_str(text).map_err(|e| {
            wrong(format!("is no description of a machine: {}", e.to_string().trim_end()))
        })?;
        let mut gpus = Vec::new();
        for part in &file.gpus {
            if part.speed.is_nan() || part.speed <= 0.0 || part.speed > 1e6 {
                return Err(wrong(format!("{}: a speed is a number above 0", part.name)));
            }
            if gpus.len() + part.count as usize > MOST_GPUS {
                return Err(wrong(format!("describes more than {MOST_GPUS} GPUs")));
            }
            let compute = part.compute.as_deref().map(|text| {
                let (major, minor) = text.split_once('.')?;
                Some((major.parse().ok()?, minor.parse().ok()?))
            });
            if compute == Some(None) {
                return Err(wrong(format!("{}: compute is written as \"8.6\"", part.name)));
            }
            for _ in 0..part.count {
                let index = gpus.len() as u32;
                gpus.push(Gpu {
                    id: format!("SIM-{index}"),
                    index,
                    name: part.name.clone(),
                    memory: GpuMemory {
                        total: part.memory.0,
                        free: part.memory.0,
                        holders: Vec::new(),
                    },
                    compute: compute.flatten(),
                    coders: Coders {
                        decode_sessions: part.decode_sessions,
                        encode_sessions: part.encode_sessions,
                        encode_open: part.encode_sessions.map(|_| 0),
                    },
                    mig: Mig::No,
                    busy_percent: None,
                    temperature: None,
                    power: None,
                    energy: None,
                    health: Health::Good,
                    speed: part.speed,
                });
            }
        }
        let mut events = Vec::new();
        for part in &file.events {
            if part.gpu >= gpus.len() {
                return Err(wrong(format!("an event names GPU {}, which is not there", part.gpu)));
            }
            let at = Duration::try_from_secs_f64(part.at)
                .map_err(|_| wrong(format!("{} is no time in seconds", part.at)))?;
            let what = match (part.what.as_str(), part.bytes) {
                ("lost", None) => What::Lost,
                ("back", None) => What::Back,
                ("taken", Some(Size(bytes))) => What::Taken(bytes),
                ("given", Some(Size(bytes))) => What::Given(bytes),
                (word, _) => {
                    return Err(wrong(format!(
                        "`{word}` is not \"lost\", \"back\", or \"taken\" or \"given\" with bytes"
                    )));
                }
            };
            events.push(Happening { at, gpu: part.gpu, what });
        }
        events.sort_by_key(|event| event.at);
        let host = Host {
            processor: None,
            threads: file.host.threads.max(1),
            memory: file.host.memory.0,
            available: file.host.memory.0,
            group_limit: None,
        };
        Ok(Self { host, gpus, events })
    }

    /// The moments at which something happens, in order.
    pub fn moments(&self) -> impl Iterator<Item = Duration> + '_ {
        self.events.iter().map(|event| event.at)
    }
}

impl Inventory for Simulated {
    fn look(&mut self, since_start: Duration) -> Result<Snapshot> {
        let mut gpus = self.gpus.clone();
        let mut taken = vec![0u64; gpus.len()];
        for event in self.events.iter().take_while(|event| event.at <= since_start) {
            match event.what {
                What::Lost => gpus[event.gpu].health = Health::Lost("simulated loss".into()),
                What::Back => gpus[event.gpu].health = Health::Good,
                What::Taken(bytes) => taken[event.gpu] = taken[event.gpu].saturating_add(bytes),
                What::Given(bytes) => taken[event.gpu] = taken[event.gpu].saturating_sub(bytes),
            }
        }
        for (gpu, taken) in gpus.iter_mut().zip(taken).filter(|(_, taken)| *taken > 0) {
            let bytes = taken.min(gpu.memory.total);
            gpu.memory.free = gpu.memory.total - bytes;
            gpu.memory.holders =
                vec![Holder { pid: 1, name: Some("simulated".into()), bytes: Some(bytes) }];
        }
        let facts = vec![Fact::new("simulated", "a simulated machine")];
        Ok(Snapshot { host: self.host.clone(), gpus, facts })
    }
}

fn wrong(what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Input, Stage::Open, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [host]
        threads = 8
        memory = "32G"
        [[gpu]]
        name = "A10"
        count = 2
        memory = "24G"
        compute = "8.6"
        encode_sessions = 3
        [[gpu]]
        name = "H100"
        memory = "80G"
        speed = 4.0
        [[event]]
        at = 30.5
        gpu = 1
        what = "back"
        [[event]]
        at = 10.0
        gpu = 1
        what = "lost"
        [[event]]
        at = 20.0
        gpu = 2
        what = "taken"
        bytes = "90G"
    "#;

    #[test]
    fn what_is_written_happens_in_its_time() {
        let mut machine = Simulated::parse(FILE).unwrap();
        let mut at = |secs: f64| machine.look(Duration::from_secs_f64(secs)).unwrap();
        let start = at(0.0);
        assert_eq!(start.gpus.len(), 3);
        assert_eq!(start.gpus[1].compute, Some((8, 6)));
        assert_eq!((start.gpus[2].memory.total, start.gpus[2].speed), (80 << 30, 4.0));
        assert!(start.gpus.iter().all(|gpu| gpu.health == Health::Good));
        assert_ne!(at(10.0).gpus[1].health, Health::Good);
        assert_eq!(at(9.9), start);
        let late = at(30.5);
        assert_eq!(late.gpus[1].health, Health::Good);
        // More was taken than there is.
        assert_eq!((late.gpus[2].memory.free, late.gpus[2].memory.holders.len()), (0, 1));
    }

    #[test]
    fn descriptions_with_mistakes_are_refused() {
        for (wrong, says) in [
            ("[[gpu]]\nname = 'x'", "memory"),
            ("[[gpu]]\nname = 'x'\nmemory = '24Q'", "no size"),
            ("[[gpu]]\nname = 'x'\nmemory = '2G'\nspeed = 0.0", "speed"),
            ("[[gpu]]\nname = 'x'\nmemory = '2G'\ncount = 4000000000", "more than"),
            ("[[gpu]]\nname = 'x'\nmemory = '2G'\ncompute = '8'", "compute"),
            ("[[event]]\nat = 1.0\ngpu = 0\nwhat = 'lost'", "not there"),
            (
                "[[gpu]]\nname='x'\nmemory='2G'\n[[event]]\nat = -1.0\ngpu = 0\nwhat = 'lost'",
                "time",
            ),
            (
                "[[gpu]]\nname='x'\nmemory='2G'\n[[event]]\nat = 1.0\ngpu = 0\nwhat = 'taken'",
                "bytes",
            ),
            ("gpus = 3", "unknown field"),
        ] {
            let error = Simulated::parse(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Input);
            assert!(error.to_string().contains(says), "{wrong}: {error}");
        }
    }
}
