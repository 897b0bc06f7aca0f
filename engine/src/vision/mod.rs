//! What is seen: what frames look like ([`features`]); where shots begin and end ([`shots`]), found
//! by differences or by a network ([`transnet`]).

pub mod features;
pub mod shots;
pub mod transnet;
