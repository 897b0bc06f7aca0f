//! What is seen: where shots begin and end ([`shots`]).

pub mod shots;
