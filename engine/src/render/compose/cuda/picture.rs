//! Pictures in device memory.

use super::machine::{Keeper, Machine, Memory};
use super::params;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::render::compose::picture::check_size;
use crate::render::compose::{
    Alpha, ColourTags, Depth, Picture, Plane, Planes, Sample, Yuv, convert,
};

/// How the chroma of a picture lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Three planes; 10-bit code values in the low bits of words (`yuv420p`, `yuv420p10le`).
    Planar,
    /// Cb and Cr beside each other; 10-bit code values in the high bits of words (NV12, P010): what
    /// decoders and encoders on GPUs use.
    SemiPlanar,
}

/// A 4:2:0 picture of even size in device memory.
#[derive(Clone, Debug)]
pub struct DevicePicture {
    width: u32,
    height: u32,
    depth: Depth,
    layout: Layout,
    /// How its code values are to be read.
    pub tags: ColourTags,
    /// Luma, Cb, Cr, coverage for luma and for chroma (base 0 where it is opaque).
    pub(super) planes: [params::Plane; 5],
    /// Its memory, unless it is somebody else's.
    pub(super) memory: Option<Memory>,
    /// Who keeps what is somebody else's.
    pub(super) keeper: Option<Kept>,
}

/// [`Keeper`] that can be shown.
#[derive(Clone)]
pub(super) struct Kept(pub Keeper);

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept")
    }
}

/// Where a picture of somebody else lies: the two planes of an NV12 or P010 surface, as a decoder's
/// `AV_PIX_FMT_CUDA` frame gives them in `data[0]`, `data[1]` and `linesize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignPlanes {
    /// Device address of luma.
    pub luma: u64,
    /// Bytes from one row of luma to the next.
    pub luma_pitch: u32,
    /// Device address of Cb and Cr, pair by pair.
    pub chroma: u64,
    /// Bytes from one row of chroma to the next.
    pub chroma_pitch: u32,
}

/// Rows begin at multiples of this: a memory transaction of any GPU.
const PITCH: usize = 256;

fn refuse(what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Input, Stage::Render, what)
}

impl DevicePicture {
    /// A picture whose samples are not defined; with coverage if `alpha`.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] unless both sides are even and within [`super::super::MAX_SIDE`];
    /// [`ErrorKind::Resource`] when there is not enough memory.
    pub fn new(
        machine: &dyn Machine,
        (width, height): (u32, u32),
        depth: Depth,
        tags: ColourTags,
        layout: Layout,
        alpha: bool,
    ) -> Result<Self> {
        check_size(width, height)?;
        let bytes = if depth == Depth::Ten { 2 } else { 1 };
        let semi = layout == Layout::SemiPlanar;
        let (w, h) = (width as usize, height as usize);
        let full = (w * bytes).next_multiple_of(PITCH);
        let half = (w / 2 * bytes).next_multiple_of(PITCH);
        let chroma = if semi { full } else { half };
        // Where each plane begins, how its rows follow, and how its samples do.
        let mut places = [(0, 0, 0); 5];
        let mut end = 0;
        let mut put =
            |place: &mut (usize, usize, usize), pitch: usize, rows: usize, step: usize| {
                *place = (end, pitch, step);
                end += pitch * rows;
            };
        put(&mut places[0], full, h, bytes);
        if semi {
            put(&mut places[1], chroma, h / 2, 2 * bytes);
            places[2] = (places[1].0 + bytes, chroma, 2 * bytes);
        } else {
            put(&mut places[1], chroma, h / 2, bytes);
            put(&mut places[2], chroma, h / 2, bytes);
        }
        if alpha {
            put(&mut places[3], full, h, bytes);
            put(&mut places[4], half, h / 2, bytes);
        }
        let memory = machine.allocate(end)?;
        let base = memory.address;
        let shift = if semi && depth == Depth::Ten { 6 } else { 0 };
        let mut planes = [params::Plane::default(); 5];
        for (i, (plane, (at, pitch, step))) in planes.iter_mut().zip(places).enumerate() {
            if i > 2 && !alpha {
                continue;
            }
            let halved = usize::from(matches!(i, 1 | 2 | 4));
            *plane = params::Plane {
                base: base + at as u64,
                sy: pitch as i64,
                sx: step as i32,
                width: (w >> halved) as i32,
                height: (h >> halved) as i32,
                wide: i32::from(bytes == 2),
                shift: if i < 3 { shift } else { 0 },
                pad: 0,
            };
        }
        Ok(Self { width, height, depth, layout, tags, planes, memory: Some(memory), keeper: None })
    }

    /// A surface of somebody else, used where it lies. `keeper` is let go of when the last copy of the
    /// picture is gone and, after it was composed with, when that is done ([`Machine::hold`]).
    ///
    /// # Errors
    /// [`ErrorKind::Input`] for odd or too large sides, and for pitches shorter than a row.
    ///
    /// # Safety
    /// The planes must be readable device memory of this size, as long as `keeper` lives, on the device
    /// of every machine that the picture is used with, and written before the work of that machine.
    #[allow(unsafe_code)]
    pub unsafe fn foreign(
        (width, height): (u32, u32),
        depth: Depth,
        tags: ColourTags,
        at: ForeignPlanes,
        keeper: Keeper,
    ) -> Result<Self> {
        check_size(width, height)?;
        let bytes = if depth == Depth::Ten { 2 } else { 1 };
        let short = at.luma_pitch.min(at.chroma_pitch) < width * bytes;
        if short || at.luma == 0 || at.chroma == 0 {
            return Err(refuse("the surface's rows are shorter than its pictures"));
        }
        let plane = |base: u64, pitch: u32, step: u32, half: u32| params::Plane {
            base,
            sy: i64::from(pitch),
            sx: step as i32,
            width: (width >> half) as i32,
            height: (height >> half) as i32,
            wide: i32::from(bytes == 2),
            shift: if bytes == 2 { 6 } else { 0 },
            pad: 0,
        };
        let none = params::Plane::default();
        let planes = [
            plane(at.luma, at.luma_pitch, bytes, 0),
            plane(at.chroma, at.chroma_pitch, 2 * bytes, 1),
            plane(at.chroma + u64::from(bytes), at.chroma_pitch, 2 * bytes, 1),
            none,
            none,
        ];
        let (memory, keeper) = (None, Some(Kept(keeper)));
        Ok(Self { width, height, depth, layout: Layout::SemiPlanar, tags, planes, memory, keeper })
    }

    /// Samples a row.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Bits of its code values.
    pub fn depth(&self) -> Depth {
        self.depth
    }

    /// How its chroma lies.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether it has coverage.
    pub fn has_alpha(&self) -> bool {
        self.planes[3].base != 0
    }

    pub(super) fn same_shape(&self, other: &Self) -> bool {
        (self.width, self.height, self.depth, self.has_alpha())
            == (other.width, other.height, other.depth, other.has_alpha())
    }

    /// The code values of black, or nothing with coverage: how [`Picture::new`] begins.
    pub(super) fn ground(&self) -> [i32; 3] {
        if self.has_alpha() {
            return [0; 3];
        }
        convert::codes_of([0.0; 3], self.tags, self.depth).map(i32::from)
    }

    /// A copy of `picture` on the device.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] when there is not enough memory; the device's failures.
    pub fn upload(machine: &dyn Machine, picture: &Picture, layout: Layout) -> Result<Self> {
        let (size, alpha) = ((picture.width(), picture.height()), picture.has_alpha());
        let made = Self::new(machine, size, picture.depth(), picture.tags, layout, alpha)?;
        let Some(memory) = &made.memory else { return Ok(made) };
        let mut bytes = vec![0; memory.bytes];
        match &picture.planes {
            Planes::Eight(yuv) => {
                made.each_plane(yuv, |to, plane| pack(to, plane, &mut bytes, memory))
            }
            Planes::Ten(yuv) => {
                made.each_plane(yuv, |to, plane| pack(to, plane, &mut bytes, memory))
            }
        }
        machine.write(memory, &bytes)?;
        Ok(made)
    }

    fn each_plane<T: Sample>(&self, yuv: &Yuv<T>, mut take: impl FnMut(&params::Plane, &Plane<T>)) {
        for (to, from) in self.planes.iter().zip(&yuv.planes) {
            take(to, from);
        }
        if let Some(alpha) = &yuv.alpha {
            take(&self.planes[3], &alpha.luma);
            take(&self.planes[4], &alpha.chroma);
        }
    }

    /// A copy of it in the host's memory, once the work before this is done.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] for a picture of somebody else; the device's failures.
    pub fn download(&self, machine: &dyn Machine) -> Result<Picture> {
        let Some(memory) = &self.memory else {
            return Err(refuse("a decoder's surface is not copied to the host: compose it first"));
        };
        let bytes = machine.read(memory)?;
        self.unpacked(&bytes)
    }

    /// The picture in a copy of its memory.
    pub(super) fn unpacked(&self, bytes: &[u8]) -> Result<Picture> {
        let Some(memory) = &self.memory else { return Err(refuse("no memory of its own")) };
        let mut made =
            Picture::new(self.width, self.height, self.depth, self.tags, self.has_alpha())?;
        match &mut made.planes {
            Planes::Eight(yuv) => self.unpack(yuv, bytes, memory),
            Planes::Ten(yuv) => self.unpack(yuv, bytes, memory),
        }
        Ok(made)
    }

    fn unpack<T: Sample>(&self, yuv: &mut Yuv<T>, bytes: &[u8], memory: &Memory) {
        let Yuv { planes: [y, u, v], alpha } = yuv;
        let mut all = vec![y, u, v];
        if let Some(Alpha { luma, chroma }) = alpha {
            all.extend([luma, chroma]);
        }
        for (from, to) in self.planes.iter().zip(all) {
            let width = to.width.max(1);
            for (y, row) in to.data.chunks_mut(width).enumerate() {
                for (x, sample) in row.iter_mut().enumerate() {
                    let at = offset(from, x, y, memory);
                    let low = bytes.get(at).copied().unwrap_or(0);
                    let value = if from.wide != 0 {
                        let high = bytes.get(at + 1).copied().unwrap_or(0);
                        u16::from_le_bytes([low, high]) >> from.shift
                    } else {
                        u16::from(low)
                    };
                    *sample = T::from_i32(i32::from(value));
                }
            }
        }
    }
}

/// Where a sample lies in its picture's memory.
fn offset(plane: &params::Plane, x: usize, y: usize, memory: &Memory) -> usize {
    (plane.base - memory.address) as usize + y * plane.sy as usize + x * plane.sx as usize
}

fn pack<T: Sample>(to: &params::Plane, plane: &Plane<T>, bytes: &mut [u8], memory: &Memory) {
    for y in 0..plane.height {
        for (x, sample) in plane.row(y).iter().enumerate() {
            let at = offset(to, x, y, memory);
            let code = (sample.to_i32() as u16) << to.shift;
            let count = if to.wide != 0 { 2 } else { 1 };
            if let Some(to) = bytes.get_mut(at..at + count) {
                to.copy_from_slice(&code.to_le_bytes()[..count]);
            }
        }
    }
}
