//! The compositor on NVIDIA GPUs, and the other kernels that frames meet there.
//!
//! A picture that a decoder left in device memory ([`DevicePicture::foreign`]) is composed, mixed, made
//! into a tensor or measured where it lies. [`compose_on_device`] means what
//! [`compose`](super::compose) means: places, weights, rounding and order are the same, down to the
//! whole numbers of a resize, so that a frame looks the same whoever made it.
//!
//! `kernels/` is the one source of all kernels. [`Gpu`](driver::Gpu) (feature `cuda`) compiles it with
//! NVRTC at first use, once for each set of features; neither a toolkit nor a driver is needed to
//! build. In the tests the same source is CPU code (`emulated.rs`), compared with the CPU's compositor.
//!
//! A [`Machine`] is a queue on a device: work is done in the order in which it was asked for, and memory
//! that is let go of is free again behind the work that was asked for before.

#[cfg(feature = "cuda-kernels")]
pub mod driver;
#[cfg(test)]
mod emulated;
mod layers;
mod look;
mod machine;
mod mask;
mod mix;
mod params;
mod pass;
mod picture;
mod tables;
#[cfg(test)]
mod tests;

pub use layers::{DeviceLayer, Ground, compose_on_device};
pub use look::{
    Numbers, TensorForm, luma_histogram, read_floats, small_difference, small_planes, tensor,
};
pub use machine::{Keeper, Launch, Machine, Memory};
pub use mix::mix_on_device;
pub use picture::{DevicePicture, ForeignPlanes, Layout};
pub use tables::Tables;
