//! Pictures on the device for those who look at them: embedders and shot detectors.

use super::layers::matrices;
use super::machine::{Launch, Machine, Memory};
use super::mask::{Kernel, Mask};
use super::params::{self, Params};
use super::pass::up;
use super::picture::DevicePicture;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::media::{SMALL_HEIGHT, SMALL_WIDTH};
use crate::render::compose::axis::{Filter, Grid};
use crate::render::compose::convert::Codes;
use crate::render::compose::{Depth, Rect};

/// Numbers of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// 32-bit floats.
    Single,
    /// 16-bit floats (IEEE 754 binary16).
    Half,
}

/// How a picture becomes an embedder's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorForm {
    /// The part of the picture, in its luma samples; it must lie within it.
    pub crop: Rect,
    /// Width and height of the tensor; each 1 to 4096.
    pub size: (u32, u32),
    /// Subtracted from R′, G′, B′ (0 to 1).
    pub mean: [f32; 3],
    /// By which the difference is divided.
    pub deviation: [f32; 3],
    /// What numbers it holds.
    pub numbers: Numbers,
}

fn refuse(what: &'static str) -> Error {
    Error::new(ErrorKind::Input, Stage::Embed, what)
}

fn mask_of(picture: &DevicePicture) -> Mask {
    if picture.depth() == Depth::Ten { Mask::WIDE } else { Mask::default() }
}

fn three(picture: &DevicePicture) -> [params::Plane; 3] {
    let [y, u, v, ..] = picture.planes;
    [y, u, v]
}

/// Hands `picture`'s keeper to the machine, if it has one.
fn hold(machine: &dyn Machine, picture: &DevicePicture) -> Result<()> {
    picture.keeper.as_ref().map_or(Ok(()), |keeper| machine.hold(keeper.0.clone()))
}

/// R′G′B′ of a part of `picture`, resized with the compositor's cubic (widened where it shrinks, so that
/// every sample counts) and normalised: colour by colour, row by row (`[1, 3, height, width]`). Queued,
/// not waited for.
///
/// # Errors
/// [`ErrorKind::Input`] for a part that is not on the picture, and for no size; the device's failures.
pub fn tensor(machine: &dyn Machine, picture: &DevicePicture, form: &TensorForm) -> Result<Memory> {
    let (w, h) = form.size;
    let Rect { x, y, width, height } = form.crop;
    let on = x >= 0.0
        && y >= 0.0
        && width >= 1.0
        && height >= 1.0
        && x + width <= f64::from(picture.width())
        && y + height <= f64::from(picture.height());
    if !on || !(1..=4096).contains(&w) || !(1..=4096).contains(&h) {
        return Err(refuse("the tensor's part is not on the picture, or its size is none"));
    }
    let bytes = if form.numbers == Numbers::Half { 2 } else { 4 };
    let out = machine.allocate(3 * w as usize * h as usize * bytes)?;
    let site = picture.tags.site.offset();
    // Chroma is sampled at luma's places.
    let grid = |begin: f64, length: f64, count: u32, half: bool, site: f64| {
        let step = length / f64::from(count);
        let place = begin + 0.5 * step;
        let (low, high) = (begin.floor() as usize, (begin + length).ceil() as usize);
        let (first, step, low, high) = if half {
            ((place - site) / 2.0, step / 2.0, low / 2, high.div_ceil(2))
        } else {
            (place - 0.5, step, low, high)
        };
        Grid { first, step, count: count as usize, low, high, filter: Filter::Cubic }
    };
    let grids = [
        grid(x, width, w, false, 0.0),
        grid(y, height, h, false, 0.0),
        grid(x, width, w, true, site.0),
        grid(y, height, h, true, site.1),
    ];
    let mut axis = [params::Axis::default(); 4];
    // Until the launch is queued.
    let mut kept = Vec::new();
    for (i, (axis, grid)) in axis.iter_mut().zip(&grids).enumerate() {
        let plane = picture.planes[i / 2];
        let length = if i % 2 == 0 { plane.width } else { plane.height };
        let made = machine.tables().axis(machine, grid, length as usize)?;
        kept.extend(made.0);
        *axis = made.1;
    }
    let codes = Codes::of(picture.tags.full_range, picture.depth());
    let narrow = |(a, b): (f64, f64)| [a as f32, b as f32];
    let params = Params::Tensor(Box::new(params::Tensor {
        plane: three(picture),
        axis,
        out: out.address,
        width: w as i32,
        height: h as i32,
        up: up(picture.depth()),
        half: i32::from(form.numbers == Numbers::Half),
        luma: narrow(codes.luma),
        chroma: narrow(codes.chroma),
        back: matrices(picture.tags.matrix).0,
        mean: form.mean,
        scale: form.deviation.map(|v| 1.0 / v),
        pad: 0,
    }));
    let grid = [(w * h).div_ceil(Kernel::Tensor.threads()), 1];
    let mask = mask_of(picture);
    machine.launch(Launch { kernel: Kernel::Tensor, mask, grid, params: &params })?;
    hold(machine, picture)?;
    Ok(out)
}

/// Reads a tensor of 32-bit floats, or anything else that holds some.
///
/// # Errors
/// The device's failures.
pub fn read_floats(machine: &dyn Machine, memory: &Memory) -> Result<Vec<f32>> {
    let bytes = machine.read(memory)?;
    let four = bytes.chunks_exact(4);
    Ok(four.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

fn look(
    machine: &dyn Machine,
    picture: &DevicePicture,
    kernel: Kernel,
    blocks: u32,
    out: &Memory,
) -> Result<()> {
    let params = Params::Look(params::Look {
        plane: three(picture),
        out: out.address,
        other: 0,
        full_range: i32::from(picture.tags.full_range),
        pad: 0,
    });
    let mask = mask_of(picture);
    machine.launch(Launch { kernel, mask, grid: [blocks, 1], params: &params })?;
    hold(machine, picture)
}

/// How often each of 256 shades of luma occurs (of 10 bit, four code values are one shade). Waits.
///
/// # Errors
/// The device's failures.
pub fn luma_histogram(machine: &dyn Machine, picture: &DevicePicture) -> Result<[u32; 256]> {
    let out = machine.allocate(1024)?;
    machine.write(&out, &[0; 1024])?;
    // As many blocks as fill a large GPU: each adds its bins up before it writes them.
    let blocks = (picture.width() * picture.height()).div_ceil(256 * 16).min(1024);
    look(machine, picture, Kernel::Histogram, blocks, &out)?;
    let mut made = [0; 256];
    for (to, b) in made.iter_mut().zip(machine.read(&out)?.chunks_exact(4)) {
        *to = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    }
    Ok(made)
}

/// Bytes of a small picture: luma, then both colour differences.
const SMALL_BYTES: usize = 3 * SMALL_WIDTH * SMALL_HEIGHT;

/// The planes of a [`SmallPicture`](crate::media::SmallPicture) (48 × 27), on the device. Queued, not
/// waited for.
///
/// # Errors
/// The device's failures.
pub fn small_planes(machine: &dyn Machine, picture: &DevicePicture) -> Result<Memory> {
    let out = machine.allocate(SMALL_BYTES)?;
    look(machine, picture, Kernel::Small, SMALL_BYTES as u32, &out)?;
    Ok(out)
}

/// Mean absolute differences between two of [`small_planes`], plane by plane, in code values. Waits.
///
/// # Errors
/// [`ErrorKind::Input`] for memory of another size; the device's failures.
pub fn small_difference(machine: &dyn Machine, a: &Memory, b: &Memory) -> Result<[f32; 3]> {
    if a.bytes != SMALL_BYTES || b.bytes != SMALL_BYTES {
        return Err(refuse("not the planes of small pictures"));
    }
    let out = machine.allocate(12)?;
    let mut params =
        params::Look { out: out.address, other: b.address, full_range: 1, ..Default::default() };
    params.plane[0].base = a.address;
    let params = Params::Look(params);
    let (kernel, mask) = (Kernel::Difference, Mask::default());
    machine.launch(Launch { kernel, mask, grid: [1, 1], params: &params })?;
    let mut made = [0.0; 3];
    for (to, b) in made.iter_mut().zip(machine.read(&out)?.chunks_exact(4)) {
        let sum = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        *to = sum as f32 / (SMALL_WIDTH * SMALL_HEIGHT) as f32;
    }
    Ok(made)
}
