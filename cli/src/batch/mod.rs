//! Batches: from manifests and folders to jobs, and workers that do them.

pub mod arguments;
pub mod child;
pub mod machine;
pub mod manifest;
pub mod point;
pub mod pool;
pub mod report;
pub mod submit;
pub mod table;
pub mod ways;
pub mod who;

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub fn now() -> rushes::jobs::UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
