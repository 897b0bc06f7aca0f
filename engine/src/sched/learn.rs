//! Peaks of memory, learned from what jobs of the same model and shape used on the same kind of device.

use super::job::{Alternative, DeviceSpec, ModelId};
use std::collections::BTreeMap;

/// Peaks seen before what was declared is no longer believed.
const ENOUGH: u32 = 3;
/// What is added to the largest peak seen, in hundredths.
const MARGIN: u64 = 10;

type Key = (Option<ModelId>, u32, u64);

#[derive(Clone, Copy, Debug)]
struct Peak {
    largest: u64,
    seen: u32,
}

/// What was learned.
#[derive(Clone, Debug, Default)]
pub(super) struct Learned(BTreeMap<Key, Peak>);

/// Devices of one memory size are taken for one kind.
fn key(alternative: &Alternative, device: &DeviceSpec, batch: u32) -> Option<Key> {
    // A smaller batch uses less: it must not teach what the whole one needs.
    let whole = batch == alternative.batch;
    let shape = alternative.shape.filter(|_| whole)?;
    Some((alternative.model.map(|m| m.id), shape, device.memory))
}

impl Learned {
    /// An attempt with `batch` used `peak` bytes.
    pub fn saw(&mut self, alternative: &Alternative, device: &DeviceSpec, batch: u32, peak: u64) {
        let Some(key) = key(alternative, device, batch) else { return };
        let known = self.0.entry(key).or_insert(Peak { largest: 0, seen: 0 });
        known.largest = known.largest.max(peak);
        known.seen = known.seen.saturating_add(1);
    }

    /// Bytes to promise for the peak.
    pub fn peak(&self, alternative: &Alternative, device: &DeviceSpec, batch: u32) -> u64 {
        let declared = alternative.peak(batch);
        let Some(known) = key(alternative, device, batch).and_then(|key| self.0.get(&key)) else {
            return declared;
        };
        let learned = known.largest.saturating_add(known.largest.saturating_mul(MARGIN) / 100);
        if known.seen >= ENOUGH { learned } else { learned.max(declared) }
    }
}
