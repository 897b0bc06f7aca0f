//! Pictures laid over each other, in planar Y′CbCr 4:2:0 from end to end.
//!
//! A [`Layer`] is a picture with a place; [`compose`] lays layers on a canvas, each scaled, cropped,
//! turned, converted to the canvas's matrix, range and curve, and blended. Only what changes is
//! worked on: a layer that matches its place to the sample is copied, an opaque one is scaled straight
//! into the canvas, and where a layer's coverage is nothing, nothing is done.
//!
//! Chroma stays where it belongs: its place among the luma samples ([`ChromaSite`]) is counted in
//! whenever a picture is moved or scaled.
//!
//! [`reference`](self) (in the tests) does the same in floating point, sample by sample, and is the
//! oracle: no sample may differ from it by more than 2 code values.

mod average;
mod axis;
mod blend;
mod colours;
pub(crate) mod convert;
#[cfg(any(test, feature = "cuda-kernels"))]
pub mod cuda;
pub mod fit;
mod geometry;
mod hdr;
mod kernel;
mod layer;
mod light;
mod picture;
#[cfg(test)]
mod reference;
mod rotate;
mod sample;
mod scale;
mod table;
#[cfg(test)]
mod tests;
mod turn;

pub use average::average;
pub use layer::{Layer, Rect, compose};
pub use picture::{
    Alpha, ChromaSite, ColourTags, Depth, MAX_SIDE, Picture, Plane, Planes, Transfer, Yuv,
};
pub use sample::Sample;

pub(crate) use colours::each_colour;
pub(crate) use convert::chroma_line;
pub(crate) use scale::smooth;
