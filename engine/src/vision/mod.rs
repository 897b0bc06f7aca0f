//! What is seen: where shots begin and end ([`shots`]), found by differences or by a network
//! ([`transnet`]).

pub mod shots;
pub mod transnet;
