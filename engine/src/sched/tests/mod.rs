//! What must always hold, on random traces; and each rule alone.

mod rules;
mod traces;
mod world;
