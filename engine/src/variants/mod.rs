//! Which variant of a film to show how often next: results come back, a sampler shares out.
//!
//! Thompson sampling (Thompson 1933; Chapelle and Li 2011): what is believed of each variant is a
//! distribution; drawn from often enough, the share of draws that a variant wins is the chance that it is
//! the best, and that share of the audience is what it gets, within limits.

mod allocate;
mod results;
mod score;

pub use allocate::{Allocation, Share, allocate};
pub use results::{Account, Imported, Results, Window};
pub use score::{Blend, Policy, Ranked, rank};
