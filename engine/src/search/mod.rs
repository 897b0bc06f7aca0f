//! Questions to a library, answered with moments: where in which film, and why.
//!
//! Several ways lead to a moment ([`Reason`]): its words are said, or are to be read in the picture;
//! what is said means much the same; what is shown is called so. Each way gives a list, best first.
//! The lists are fused by rank ([`fuse`]), and what lies together in a film becomes one moment.

pub mod fuse;
pub mod index;
mod moment;
mod near;
mod page;
mod query;

pub use moment::{Hit, Reason};
pub use near::{Indexed, index_library};
pub use page::page;
pub use query::{Answer, Asked, SearchQuery, search};
