//! Files that last: content identity, atomic publication, and records of what was made from what.

mod content;
mod publish;
mod record;

pub use content::{ContentId, content_id};
pub use publish::{StagedDir, StagedFile, refuse_same_file};
pub use record::{MANIFEST, Recipe, Record, sidecar};
