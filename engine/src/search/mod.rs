//! Questions to a library, answered with moments: where in which film, and why.
//!
//! Several ways lead to a moment ([`Reason`]): its words are said, or are to be read in the picture;
//! what is said means much the same; what is shown is called so. Each way gives a list, best first.
//! The lists are fused by rank ([`fuse`]), and what lies together in a film becomes one moment, which
//! begins and ends where words and shots do ([`snap`]). The same moment in another film is told with
//! it.

mod films;
pub mod fuse;
pub mod index;
mod marks;
mod moment;
mod near;
mod page;
mod query;
mod same;
pub mod snap;
mod ways;

pub use marks::marks;
pub use moment::{Also, Hit, Reason, Way};
pub use near::{DamagedIndex, Indexed, index_library, verify_library};
pub use page::page;
pub use query::{Answer, Asked, SearchQuery, search};
