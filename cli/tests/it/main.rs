//! Tests of the `rushes` binary as people and scripts meet it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]
#![allow(missing_docs)]

mod again;
mod assets;
mod batch;
mod damage;
mod devices;
mod ghosts;
mod hostile;
mod insight;
mod joint;
mod library;
mod models;
mod names;
mod pipeline;
mod pipes;
mod render;
mod runs;
mod search;
mod signals;
mod slides;
mod strategy;
mod support;
mod transcribe;
mod verbs;
mod watch;
