//! What is seen: what frames look like ([`features`]), and which stand for a shot
//! ([`representatives`]); what is written in them ([`ocr`]); where shots begin and end ([`shots`]),
//! found by differences or by a network ([`transnet`]).

pub mod features;
pub mod ocr;
pub mod representatives;
pub mod shots;
pub mod transnet;
