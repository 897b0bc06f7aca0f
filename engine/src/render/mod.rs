//! From pictures and sounds in memory to those of a finished film: composing, transitions, text,
//! looks and mixing, none of which decodes or encodes; and the edit as a whole: planned, worked on
//! in segments by several threads, joined without encoding again, and checked.

mod again;
mod assets;
pub mod compose;
mod edit;
pub mod effect;
mod follow;
mod heard;
mod inks;
mod join;
mod key;
mod looks;
pub mod lut;
mod manifest;
mod measured;
mod memory;
mod mix;
#[cfg(test)]
mod outside;
mod pace;
mod parts;
mod plan;
mod quick;
mod scene;
pub mod sound;
mod still;
mod subtitled;
mod target;
pub mod text;
pub mod transition;
mod twice;
mod verify;
mod work;

pub use edit::{Edit, PlanReport, Planned, RenderReport};
pub use manifest::{Manifest, Piece, SoundLeft, Spent, Stamp, manifest_path};
pub use memory::Memory;
pub use pace::Pace;
pub use plan::{How, Segment};
pub use quick::{Stretch, sequence};
pub use target::{OutputFormat, Target};
pub use verify::{Oddity, Suspicion, VerifyReport, verify};
