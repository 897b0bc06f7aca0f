//! Who gets which device when: pure decisions.
//!
//! [`State::step`] takes an [`Event`] and gives [`Effect`]s. It reads no clock (events carry the time),
//! does no I/O and knows no chance, so that production and the simulator run the same code, and a trace
//! that went wrong can be run again. Whoever carries out the effects keeps to this:
//!
//! * every [`Effect::Start`] is answered by one [`What::Ended`], after the worker has given everything
//!   back; [`Effect::Stop`] and [`Effect::Kill`] only hasten it;
//! * every [`Effect::Load`] by [`What::Loaded`] or [`What::LoadFailed`], every [`Effect::Evict`] by
//!   [`What::Unloaded`];
//! * a result that comes with a lease that is over ([`Effect::Stale`]) is thrown away;
//! * [`What::Tick`] is sent at [`State::next_wake`].
//!
//! **Memory** is counted in bytes, twice: what was promised, and what may lie on a device at this
//! moment, because a model that is being unloaded still holds its bytes. Work is promised only what fits
//! the first count and begins only when it fits the second.
//!
//! **Order.** Between tenants: start-time fair queueing (Goyal, Vin, Cheng 1996) over the dominant share
//! (Ghodsi et al. 2011) of what a job takes, by weight. Inside one: priority raised by waiting, then the
//! largest first, by time (Graham 1969) and what is taken meanwhile. The first job that finds no room
//! has a device kept for it (EASY backfilling, Lifka 1995): others may pass it only where, by the
//! estimates, it starts no later for that. Orders are not searched for ahead: with estimates that are off
//! by 30 % the best of many orders came out worse than this one (`benches/results/sched-*.md`).

mod event;
mod job;
mod ladder;
mod learn;
mod ledger;
mod lifecycle;
mod place;
mod policy;
mod queue;
mod state;
#[cfg(test)]
mod tests;

pub use event::{Choice, Effect, Event, Failure, Outcome, Refusal, Resource, StopReason, What};
pub use job::{
    Alternative, DeviceId, DeviceSpec, HOST, JobId, JobSpec, LeaseId, Millis, ModelId, ModelNeed,
    Need, Place, Priority, TenantId,
};
pub use policy::Policy;
pub use state::{DeviceView, State};
