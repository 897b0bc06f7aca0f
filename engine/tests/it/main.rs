//! Tests of the library through its public face, on generated films, hostile bytes and, where
//! `../shared/data` is there, third-party media with known answers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

mod bounds;
mod captions;
mod conformance;
mod deliver;
mod exact_frames;
mod follow;
mod in_step;
mod probe;
mod render;
mod shapes;
mod shots;
mod sound;
mod speech_support;
mod support;
mod timelines;
mod vad;
mod whisper;
