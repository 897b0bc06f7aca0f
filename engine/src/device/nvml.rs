//! NVIDIA's management library (NVML), loaded at run time. Each question is asked alone: a driver
//! that does not answer one of them leaves that field empty and nothing else.

use super::{Coders, Fact, Gpu, GpuMemory, Health, Holder, Mig};
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enum_wrappers::device::{EncoderType, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::{Device, Nvml};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The driver, or why there is none.
pub(super) enum Nvidia {
    Loaded(Loaded),
    Absent(Fact),
}

pub(super) struct Loaded {
    nvml: Arc<Nvml>,
    /// Critical events by the id of their GPU.
    lost: Arc<Mutex<BTreeMap<String, String>>>,
    stop: Arc<AtomicBool>,
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Nvidia {
    /// Loads the library at `path`, or where the loader finds it.
    pub(super) fn load(path: Option<&Path>) -> Self {
        let mut builder = Nvml::builder();
        if let Some(path) = path {
            builder.lib_path(path.as_os_str());
        } else {
            builder.lib_path("libnvidia-ml.so.1".as_ref());
        }
        match builder.init() {
            Ok(nvml) => {
                let loaded =
                    Loaded { nvml: Arc::new(nvml), lost: Arc::default(), stop: Arc::default() };
                loaded.watch();
                Self::Loaded(loaded)
            }
            Err(error) => Self::Absent(absent(&error)),
        }
    }

    /// The GPUs, and what is worth saying.
    pub(super) fn look(&self) -> (Vec<Gpu>, Vec<Fact>) {
        match self {
            Self::Absent(fact) => (Vec::new(), vec![fact.clone()]),
            Self::Loaded(loaded) => loaded.look(),
        }
    }
}

/// Why there is no driver.
fn absent(error: &NvmlError) -> Fact {
    match error {
        NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound => {
            Fact::new("no-driver", "no NVIDIA driver: libnvidia-ml.so.1 cannot be loaded")
        }
        NvmlError::DriverNotLoaded => Fact::new(
            "driver-not-loaded",
            "the NVIDIA library is here, but its kernel driver is not loaded",
        ),
        NvmlError::NoPermission => Fact::new(
            "no-permission",
            "the NVIDIA driver may not be asked: check the rights on /dev/nvidia*",
        ),
        other => Fact::new("driver-failed", format!("the NVIDIA driver does not answer: {other}")),
    }
}

impl Loaded {
    fn look(&self) -> (Vec<Gpu>, Vec<Fact>) {
        let mut facts = Vec::new();
        if let Ok(version) = self.nvml.sys_driver_version() {
            let cuda = self.nvml.sys_cuda_driver_version().ok();
            let cuda =
                cuda.map_or(String::new(), |v| format!(", CUDA {}.{}", v / 1000, v % 1000 / 10));
            facts.push(Fact::new("driver", format!("NVIDIA driver {version}{cuda}")));
        }
        let count = match self.nvml.device_count() {
            Ok(count) => count,
            Err(error) => {
                facts.push(Fact::new("driver-failed", format!("GPUs cannot be counted: {error}")));
                return (Vec::new(), facts);
            }
        };
        let mut gpus = Vec::new();
        for index in 0..count {
            match self.nvml.device_by_index(index) {
                Ok(device) => self.describe(&device, index, &mut gpus),
                Err(error) => facts
                    .push(Fact::new("gpu-failed", format!("GPU {index} does not answer: {error}"))),
            }
        }
        (gpus, facts)
    }

    /// Adds the GPU, and its instances if it is divided.
    fn describe(&self, device: &Device<'_>, index: u32, gpus: &mut Vec<Gpu>) {
        let mut gpu = self.one(device, index);
        if !device.mig_mode().is_ok_and(|mode| mode.current > 0) {
            gpus.push(gpu);
            return;
        }
        gpu.mig = Mig::Divided;
        let parent = gpu.id.clone();
        gpus.push(gpu);
        for at in 0..device.mig_device_count().unwrap_or(0) {
            // Places without an instance give an error.
            if let Ok(instance) = device.mig_device_by_index(at) {
                let mut part = self.one(&instance, index);
                part.mig = Mig::PartOf(parent.clone());
                part.compute = part.compute.or_else(|| compute(device));
                gpus.push(part);
            }
        }
    }

    fn one(&self, device: &Device<'_>, index: u32) -> Gpu {
        let id = device.uuid().unwrap_or_else(|_| format!("GPU-{index}"));
        let memory = device.memory_info();
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let health = match (&memory, lost) {
            (_, Some(why)) => Health::Lost(why),
            (Err(NvmlError::GpuLost), None) => Health::Lost("it has fallen off the bus".into()),
            _ => Health::Good,
        };
        Gpu {
            name: device.name().unwrap_or_else(|_| "NVIDIA GPU".into()),
            memory: GpuMemory {
                // What the driver keeps for itself is not to be had.
                total: memory.as_ref().map_or(0, |m| m.total.saturating_sub(m.reserved)),
                free: memory.as_ref().map_or(0, |m| m.free),
                holders: self.holders(device),
            },
            compute: compute(device),
            coders: coders(device),
            mig: Mig::No,
            busy_percent: device.utilization_rates().ok().map(|u| u.gpu),
            temperature: device.temperature(TemperatureSensor::Gpu).ok(),
            power: device.power_usage().ok().map(|mw| f64::from(mw) / 1e3),
            energy: device.total_energy_consumption().ok().map(|mj| mj as f64 / 1e3),
            health,
            speed: 1.0,
            id,
            index,
        }
    }

    fn holders(&self, device: &Device<'_>) -> Vec<Holder> {
        let mut by_pid: BTreeMap<u32, Option<u64>> = BTreeMap::new();
        let both = [device.running_compute_processes(), device.running_graphics_processes()];
        for ProcessInfo { pid, used_gpu_memory, .. } in both.into_iter().flatten().flatten() {
            let bytes = match used_gpu_memory {
                UsedGpuMemory::Used(bytes) => Some(bytes),
                UsedGpuMemory::Unavailable => None,
            };
            // A process that both computes and draws is told twice, with the same bytes.
            let known = by_pid.entry(pid).or_default();
            *known = (*known).max(bytes);
        }
        let name = |pid| self.nvml.sys_process_name(pid, 256).ok().filter(|name| !name.is_empty());
        by_pid.into_iter().map(|(pid, bytes)| Holder { pid, name: name(pid), bytes }).collect()
    }

    /// Has a thread wait for critical events. A GPU that had one gets no more work: after a sticky
    /// error only a new process helps, after most Xids only a reset.
    fn watch(&self) {
        let (nvml, lost, stop) = (self.nvml.clone(), self.lost.clone(), self.stop.clone());
        let work = move || {
            let Ok(mut set) = nvml.create_event_set() else { return };
            let wanted = EventTypes::CRITICAL_XID_ERROR | EventTypes::DOUBLE_BIT_ECC_ERROR;
            for index in 0..nvml.device_count().unwrap_or(0) {
                let Ok(device) = nvml.device_by_index(index) else { continue };
                let Ok(known) = device.supported_event_types() else { continue };
                match device.register_events(known & wanted, set) {
                    Ok(kept) => set = kept,
                    // The set is lost with the failure: begin anew without this one is not worth it.
                    Err(_) => return,
                }
            }
            while !stop.load(Ordering::Relaxed) {
                let event = match set.wait(500) {
                    Ok(event) => event,
                    Err(NvmlError::Timeout) => continue,
                    Err(_) => return,
                };
                let why = match event.event_data {
                    Some(XidError::Value(xid)) if is_harmless(xid) => continue,
                    Some(XidError::Value(xid)) => format!("Xid {xid}"),
                    _ => "uncorrectable memory errors".to_owned(),
                };
                if let Ok(id) = event.device.uuid() {
                    lost.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_insert(why);
                }
            }
        };
        // Without the thread, losses show when the GPU no longer answers.
        let _ = std::thread::Builder::new().name("gpu-events".into()).spawn(work);
    }
}

/// Xids that a faulty program causes and that end only that program (NVIDIA, "XID Errors": 13, 31,
/// 43, 45, 68, 137).
fn is_harmless(xid: u64) -> bool {
    matches!(xid, 13 | 31 | 43 | 45 | 68 | 137)
}

fn compute(device: &Device<'_>) -> Option<(u32, u32)> {
    let found = device.cuda_compute_capability().ok()?;
    Some((u32::try_from(found.major).ok()?, u32::try_from(found.minor).ok()?))
}

fn coders(device: &Device<'_>) -> Coders {
    // "Not supported" where there is no encoder (H100 and its like). How many sessions there may be
    // the driver does not tell: only opening them does.
    let encode_sessions = match device.encoder_capacity(EncoderType::H264) {
        Err(NvmlError::NotSupported) => Some(0),
        _ => None,
    };
    let open = device.encoder_stats().ok().map(|stats| stats.session_count);
    Coders { decode_sessions: None, encode_sessions, encode_open: open }
}
