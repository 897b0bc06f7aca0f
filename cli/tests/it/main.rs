//! Tests of the `rushes` binary as people and scripts meet it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod hostile;
mod verbs;
