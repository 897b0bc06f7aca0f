//! Clips: stretches of a film that may be worth something, what they are like in numbers, and what that is
//! worth for a purpose.

mod candidates;
mod features;
mod film;
mod measure;
mod ranked;
mod score;
pub mod storyboard;

pub use candidates::{Bounds, Candidate, CandidateKind, candidates};
pub use features::{FEATURES, Feature, feature};
pub use film::FilmData;
pub use measure::{Measured, Meter};
pub use ranked::{RankedClip, ranked, table};
pub use score::{Curve, Purpose, Reason, Scored};
