//! From a library to an edit: moments that answer a question, a film's shots, or stretches that
//! somebody names become clips that begin and end where words and shots do. Why each is there, and why its edges are where they are, stands in
//! the spec and in the report.

mod assets;
mod compose;

pub use crate::search::snap::Edge;
pub use assets::{needs_library, resolve};
pub use compose::{Choice, LeftOut, Order, Remix, Rules, Why, Wish, remix};
