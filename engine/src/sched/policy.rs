//! What can be chosen.

use super::job::{Millis, TenantId};
use std::collections::BTreeMap;

/// The scheduler's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Weights of tenants; 1 for those not listed, and for a weight of 0.
    pub weights: BTreeMap<TenantId, u32>,
    /// Jobs that may wait, in all.
    pub queue: usize,
    /// Jobs that one tenant may have waiting.
    pub queue_per_tenant: usize,
    /// Waiting so long raises a job by one priority.
    pub ageing: Millis,
    /// A model stays for at least so long once it is loaded.
    pub stay: Millis,
    /// A worker that is silent for so long is stopped.
    pub silence: Millis,
    /// A worker that was asked to stop and has not after so long is killed.
    pub grace: Millis,
    /// Workers that a job may cost before it is set aside.
    pub kills: u32,
    /// Jobs that are looked at for each decision once one has found no room. Within this window no
    /// device is left idle that one of them could use.
    pub window: usize,
    /// Whether jobs may pass one that waits for room.
    pub backfill: bool,
    /// Whether the largest of equally urgent jobs comes first, by time and what it takes of a device
    /// meanwhile; otherwise the first submitted.
    pub largest_first: bool,
    /// Whether jobs share devices; otherwise each takes a whole one.
    pub share_devices: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            weights: BTreeMap::new(),
            queue: 1_000_000,
            queue_per_tenant: 1_000_000,
            ageing: 10 * 60_000,
            stay: 10_000,
            silence: 120_000,
            grace: 10_000,
            kills: 2,
            window: 64,
            backfill: true,
            largest_first: true,
            share_devices: true,
        }
    }
}

impl Policy {
    pub(super) fn weight(&self, tenant: TenantId) -> u64 {
        u64::from(self.weights.get(&tenant).copied().unwrap_or(1).max(1))
    }
}
