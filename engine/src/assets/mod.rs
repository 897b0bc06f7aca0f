//! The asset library: videos, sounds, pictures, fonts, colour tables and templates under names, with what
//! they are, what may be done with them, and where they lie.
//!
//! A store is a folder (or a bucket) of objects: `records/NAME.json` and `blobs/HASH.EXT`, named for their
//! content, so that the same file is kept once. The folder is always there and is the cache of a bucket
//! beside it, if there is one ([`Remote`], by feature): what is added goes to both, what is missing here
//! comes from there and is checked by its digest. A store can be filled here and sent later.
//!
//! Timelines refer to assets as `asset:NAME`: [`Assets::in_text`].

mod facts;
mod record;
mod remote;
mod store;
mod upload;

pub use facts::facts_of;
pub use record::{AssetKind, AssetQuery, AssetRecord, NewAsset, SCHEME};
pub use remote::{Remote, RemoteAt};
pub use store::{Added, Assets, Pushed, Removed};

#[cfg(test)]
mod tests;
