//! Files that last: content identity, atomic publication, and records of what was made from what;
//! and the library, a folder whose [`catalogue`] knows all that was made of many media.

pub mod catalogue;
mod claim;
mod content;
mod folder;
mod identity;
mod keep;
mod key;
mod publish;
mod record;
mod staging;
pub mod table;

pub use catalogue::{CATALOGUE, Catalogue, MediaRow, refuse_network};
pub use claim::Claim;
pub use content::{ContentId, content_id};
pub use folder::{Library, Made};
pub use identity::{Identity, Trust};
pub use keep::{Collected, Found, Removed, Verified};
pub use key::{KeyParts, StageKey};
pub use publish::{StagedDir, StagedFile, refuse_same_file};
pub use record::{MANIFEST, Recipe, Record, sidecar};
pub use staging::{Staged, Staging, sweep};
