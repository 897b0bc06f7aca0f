//! Tests of the `rushes` binary as people and scripts meet it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]
#![allow(missing_docs)]

mod again;
mod damage;
mod hostile;
mod library;
mod models;
mod names;
mod pipes;
mod runs;
mod search;
mod signals;
mod support;
mod transcribe;
mod verbs;
