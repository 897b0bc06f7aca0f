//! Text made comparable before errors are counted.

pub mod english;
mod numbers;
