//! This machine.

use super::nvml::Nvidia;
use super::{Inventory, Snapshot, Visible, host};
use crate::error::Result;
use std::path::PathBuf;
use std::time::Duration;

/// How this machine is looked at.
#[derive(Clone, Debug, Default)]
pub struct MachineOptions {
    /// Which GPUs may be used.
    pub visible: Visible,
    /// NVIDIA's management library; by default the loader looks for `libnvidia-ml.so.1`.
    pub nvml: Option<PathBuf>,
}

/// The [`Inventory`] of the machine that this runs on.
pub struct Machine {
    visible: Visible,
    nvidia: Nvidia,
}

impl Machine {
    /// Loads the driver's library, if there is one; without it there are no GPUs.
    pub fn open(options: MachineOptions) -> Self {
        Self { visible: options.visible, nvidia: Nvidia::load(options.nvml.as_deref()) }
    }
}

impl Inventory for Machine {
    fn look(&mut self, _: Duration) -> Result<Snapshot> {
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        let (host, mut facts) =
            host::look("/".as_ref(), u32::try_from(threads).unwrap_or(u32::MAX));
        let (gpus, found) = self.nvidia.look();
        facts.extend(found);
        let (gpus, odd) = self.visible.choose(gpus);
        facts.extend(odd);
        Ok(Snapshot { host, gpus, facts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_driver_is_whole() {
        let nvml = Some(PathBuf::from("/nonexistent/libnvidia-ml.so"));
        let mut machine = Machine::open(MachineOptions { nvml, ..MachineOptions::default() });
        let seen = machine.look(Duration::ZERO).unwrap();
        assert!(seen.host.threads > 0 && seen.host.memory > 0);
        assert!(seen.host.available <= seen.host.memory);
        assert_eq!(seen.gpus, []);
        assert!(seen.fact("no-driver").is_some(), "{:?}", seen.facts);
    }

    #[test]
    fn a_library_that_is_something_else_is_a_fact_too() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("libnvidia-ml.so.1");
        std::fs::write(&file, "not a library").unwrap();
        let options = MachineOptions { nvml: Some(file), ..MachineOptions::default() };
        let seen = Machine::open(options).look(Duration::ZERO).unwrap();
        assert!(seen.fact("no-driver").is_some(), "{:?}", seen.facts);
    }
}
