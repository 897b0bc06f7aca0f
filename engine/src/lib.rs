//! Rushes: raw footage goes in; frames, contact sheets, sound, transcripts, shots and a library to
//! search come out. One decode feeds them all.
//!
//! ```no_run
//! use rushes::{Engine, FramePolicy, Precision, Timestamp};
//!
//! let engine = Engine::open("library")?;
//! let made = engine
//!     .process("talk.mp4")
//!     .frames(FramePolicy::Every(Timestamp::from_secs(2)), Precision::Exact)
//!     .on_progress(|p| eprintln!("{p}"))
//!     .run()?;
//! println!("{}", made.output.display());
//! # Ok::<(), rushes::Error>(())
//! ```
//!
//! The floors, from the ground up (a module uses only floors below its own): `error` `time`
//! `limits` `control` `text`; `device` `journal` `media` `onnx` `timeline`; `sched` `speech` `vision` `embed`
//! `library` `stills`; `search` `render` `insight` `strategy` `variants`
//! `assets`; `remix` `jobs`; `pipeline`; `engine`.

pub mod assets;
pub mod control;
pub mod device;
pub mod embed;
pub mod engine;
pub mod error;
pub mod insight;
pub mod jobs;
mod journal;
pub mod library;
pub mod limits;
pub mod media;
pub mod onnx;
pub mod pipeline;
pub mod remix;
pub mod render;
pub mod sched;
pub mod search;
pub mod speech;
pub mod stills;
pub mod strategy;
pub mod text;
pub mod time;
pub mod timeline;
pub mod variants;
pub mod vision;

pub use control::{Cancel, Progress};
pub use engine::Engine;
pub use error::{Error, ErrorKind, Result};
pub use limits::Limits;
pub use media::{FramePolicy, Precision};
pub use time::{Span, Timestamp};
