//! What a machine can do, measured by the engine's own work on fixed inputs.
//!
//! Each suite runs in a process of its own for each device, so that its processor time, its peak memory
//! and a GPU's memory are its own: [`suites`] runs one suite, [`report`] is what is written down,
//! [`compare`] sets two of these side by side, [`page`] draws one. Every suite checks its result in the
//! same run: a wrong answer that comes quickly is no result.

pub mod ceiling;
pub mod compare;
pub mod film;
pub mod page;
pub mod report;
pub mod suites;
pub mod turns;
