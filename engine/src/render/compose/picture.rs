//! A picture to compose with: planar Y′CbCr 4:2:0 in memory, its colour, and how it is made.

use super::sample::Sample;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::media::Matrix;

/// The longest side of a picture. Filter tables and row offsets stay far inside 32 bits.
pub const MAX_SIDE: u32 = 16_384;

/// Bits of a code value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Depth {
    /// 0 to 255, in bytes.
    Eight,
    /// 0 to 1023, in 16-bit words.
    Ten,
}

impl Depth {
    /// Bits a sample.
    pub fn bits(self) -> u32 {
        match self {
            Self::Eight => 8,
            Self::Ten => 10,
        }
    }
}

/// The curve between code values and light (ITU-T H.273 TransferCharacteristics), as far as
/// composing tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transfer {
    /// Any of the curves for standard displays (BT.601, BT.709, BT.2020, sRGB): taken for equal.
    Sdr,
    /// SMPTE ST 2084: absolute light up to 10 000 cd/m².
    Pq,
    /// ARIB STD-B67, hybrid log-gamma.
    Hlg,
}

/// Where a chroma sample lies among the four luma samples that share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChromaSite {
    /// On the left column, between the rows: MPEG-2, H.264, HEVC unless marked.
    Left,
    /// In the middle: MPEG-1, JPEG.
    Centre,
    /// On the upper left sample: UHD Blu-ray, BT.2100.
    TopLeft,
    /// On the right column, between the rows: a mirrored picture whose chroma lay on the left.
    Right,
    /// On the upper right sample: a mirrored picture whose chroma lay on the upper left one.
    TopRight,
}

impl ChromaSite {
    /// Position of the first chroma sample, in luma samples from the picture's upper left corner.
    pub(super) fn offset(self) -> (f64, f64) {
        match self {
            Self::Left => (0.5, 1.0),
            Self::Centre => (1.0, 1.0),
            Self::TopLeft => (0.5, 0.5),
            Self::Right => (1.5, 1.0),
            Self::TopRight => (1.5, 0.5),
        }
    }

    /// Where it lies once the picture is mirrored left to right.
    fn mirrored(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Centre => Self::Centre,
            Self::TopLeft => Self::TopRight,
            Self::Right => Self::Left,
            Self::TopRight => Self::TopLeft,
        }
    }
}

/// How code values are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ColourTags {
    /// The matrix between Y′CbCr and R′G′B′.
    pub matrix: Matrix,
    /// Whether code values fill the whole range, or leave head- and footroom.
    pub full_range: bool,
    /// The curve.
    pub transfer: Transfer,
    /// Where chroma lies.
    pub site: ChromaSite,
}

impl ColourTags {
    /// BT.709, limited range, standard curve, chroma on the left: what films are unless they say
    /// otherwise.
    pub const BT709: Self = Self {
        matrix: Matrix::Bt709,
        full_range: false,
        transfer: Transfer::Sdr,
        site: ChromaSite::Left,
    };
}

/// One plane; rows packed tightly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plane<T> {
    /// Samples a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width × height` samples.
    pub data: Vec<T>,
}

impl<T: Sample> Plane<T> {
    /// A plane of one value.
    pub fn new(width: usize, height: usize, value: T) -> Self {
        Self { width, height, data: vec![value; width * height] }
    }

    /// Row `y`; empty beyond the last.
    pub fn row(&self, y: usize) -> &[T] {
        self.data.get(y * self.width..(y + 1) * self.width).unwrap_or(&[])
    }

    /// Row `y` to write; empty beyond the last.
    pub fn row_mut(&mut self, y: usize) -> &mut [T] {
        self.data.get_mut(y * self.width..(y + 1) * self.width).unwrap_or(&mut [])
    }
}

/// How much of each sample is there, on both grids: 0 for nothing, the largest code value for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alpha<T> {
    /// For luma.
    pub luma: Plane<T>,
    /// For chroma: what lies around each chroma sample, averaged as the chroma was.
    pub chroma: Plane<T>,
}

/// The planes of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Yuv<T> {
    /// Luma, Cb, Cr.
    pub planes: [Plane<T>; 3],
    /// Coverage; `None` for an opaque picture. Planes are premultiplied with it: each holds its
    /// code value times its coverage.
    pub alpha: Option<Alpha<T>>,
}

/// Planes of either depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Planes {
    /// 8 bit.
    Eight(Yuv<u8>),
    /// 10 bit.
    Ten(Yuv<u16>),
}

/// A planar 4:2:0 picture of even size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    /// How its code values are to be read.
    pub tags: ColourTags,
    /// Its samples.
    pub planes: Planes,
}

fn refuse(what: String) -> Error {
    Error::new(ErrorKind::Input, Stage::Render, what)
}

pub(super) fn check_size(width: u32, height: u32) -> Result<()> {
    let odd = !width.is_multiple_of(2) || !height.is_multiple_of(2);
    if odd || width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
        let what = format!(
            "a picture of {width}×{height} cannot be composed: sides must be even, up to {MAX_SIDE}"
        );
        return Err(refuse(what));
    }
    Ok(())
}

impl<T: Sample> Yuv<T> {
    /// Planes of one colour.
    pub(crate) fn solid(width: u32, height: u32, values: [T; 3], alpha: bool) -> Self {
        let (w, h) = (width as usize, height as usize);
        let [y, u, v] = values;
        let whole =
            || Alpha { luma: Plane::new(w, h, T::ZERO), chroma: Plane::new(w / 2, h / 2, T::ZERO) };
        Self {
            planes: [Plane::new(w, h, y), Plane::new(w / 2, h / 2, u), Plane::new(w / 2, h / 2, v)],
            alpha: alpha.then(whole),
        }
    }

    fn mirror(&mut self) {
        let alpha = self.alpha.iter_mut().flat_map(|a| [&mut a.luma, &mut a.chroma]);
        for plane in self.planes.iter_mut().chain(alpha) {
            let width = plane.width.max(1);
            plane.data.chunks_mut(width).for_each(<[T]>::reverse);
        }
    }

    fn from_data(width: u32, height: u32, data: [Vec<T>; 3]) -> Result<Self> {
        let (w, h) = (width as usize, height as usize);
        let sizes = [(w, h), (w / 2, h / 2), (w / 2, h / 2)];
        if data.iter().zip(sizes).any(|(data, (w, h))| data.len() != w * h) {
            return Err(refuse(format!("the planes do not hold {width}×{height} samples")));
        }
        let [y, u, v] = data;
        let plane = |data: Vec<T>, i: usize| Plane { width: sizes[i].0, height: sizes[i].1, data };
        Ok(Self { planes: [plane(y, 0), plane(u, 1), plane(v, 2)], alpha: None })
    }
}

impl Picture {
    /// A black picture; with coverage (of nothing) if `alpha`.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] unless both sides are even and within [`MAX_SIDE`].
    pub fn new(
        width: u32,
        height: u32,
        depth: Depth,
        tags: ColourTags,
        alpha: bool,
    ) -> Result<Self> {
        check_size(width, height)?;
        let zero = !alpha;
        let black = |depth: Depth| {
            let code = super::convert::codes_of([0.0; 3], tags, depth);
            code.map(|c| if zero { c } else { 0 })
        };
        let planes = match depth {
            Depth::Eight => {
                let values = black(depth).map(|c| u8::try_from(c).unwrap_or(u8::MAX));
                Planes::Eight(Yuv::solid(width, height, values, alpha))
            }
            Depth::Ten => Planes::Ten(Yuv::solid(width, height, black(depth), alpha)),
        };
        Ok(Self { width, height, tags, planes })
    }

    /// An opaque picture of 8-bit planes (luma, Cb, Cr), rows packed tightly.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] for odd or too large sides, and for planes of another size.
    pub fn from_planes8(
        width: u32,
        height: u32,
        tags: ColourTags,
        planes: [Vec<u8>; 3],
    ) -> Result<Self> {
        check_size(width, height)?;
        let planes = Planes::Eight(Yuv::from_data(width, height, planes)?);
        Ok(Self { width, height, tags, planes })
    }

    /// An opaque picture of 10-bit planes in 16-bit words; what is above 1023 is taken for 1023.
    ///
    /// # Errors
    /// As [`Picture::from_planes8`].
    pub fn from_planes10(
        width: u32,
        height: u32,
        tags: ColourTags,
        mut planes: [Vec<u16>; 3],
    ) -> Result<Self> {
        check_size(width, height)?;
        for value in planes.iter_mut().flatten() {
            *value = (*value).min(1023);
        }
        let planes = Planes::Ten(Yuv::from_data(width, height, planes)?);
        Ok(Self { width, height, tags, planes })
    }

    /// The picture mirrored left to right: the same samples, chroma at the other side of its cell.
    #[must_use]
    pub fn mirrored(mut self) -> Self {
        match &mut self.planes {
            Planes::Eight(yuv) => yuv.mirror(),
            Planes::Ten(yuv) => yuv.mirror(),
        }
        self.tags.site = self.tags.site.mirrored();
        self
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
        match self.planes {
            Planes::Eight(_) => Depth::Eight,
            Planes::Ten(_) => Depth::Ten,
        }
    }

    /// Whether it has coverage.
    pub fn has_alpha(&self) -> bool {
        match &self.planes {
            Planes::Eight(yuv) => yuv.alpha.is_some(),
            Planes::Ten(yuv) => yuv.alpha.is_some(),
        }
    }

    /// Whether `other` has the same size, depth and coverage.
    pub fn same_shape(&self, other: &Self) -> bool {
        (self.width, self.height, self.depth(), self.has_alpha())
            == (other.width, other.height, other.depth(), other.has_alpha())
    }

    /// Makes all of it one opaque colour, given as 8-bit R′G′B′.
    pub fn fill(&mut self, rgb: [u8; 3]) {
        let rgb = rgb.map(|c| f64::from(c) / 255.0);
        let values = super::convert::codes_of(rgb, self.tags, self.depth());
        match &mut self.planes {
            Planes::Eight(yuv) => yuv.fill(values.map(|v| u8::try_from(v).unwrap_or(u8::MAX))),
            Planes::Ten(yuv) => yuv.fill(values),
        }
    }

    /// Gives an opaque picture coverage from a straight (not premultiplied) alpha plane of the
    /// luma's size, as decoders deliver it.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if the plane has another size or depth.
    pub fn with_alpha8(mut self, alpha: Vec<u8>) -> Result<Self> {
        let (w, h) = (self.width as usize, self.height as usize);
        match &mut self.planes {
            Planes::Eight(yuv) if alpha.len() == w * h && yuv.alpha.is_none() => {
                let luma = Plane { width: w, height: h, data: alpha };
                yuv.premultiply(luma, self.tags.site);
                Ok(self)
            }
            _ => Err(refuse(format!("the alpha plane does not belong to {w}×{h} in 8 bit"))),
        }
    }
}

impl<T: Sample> Yuv<T> {
    fn fill(&mut self, values: [T; 3]) {
        for (plane, value) in self.planes.iter_mut().zip(values) {
            plane.data.fill(value);
        }
        if let Some(alpha) = &mut self.alpha {
            alpha.luma.data.fill(T::from_i32(T::MAX));
            alpha.chroma.data.fill(T::from_i32(T::MAX));
        }
    }

    /// Multiplies straight samples with `alpha` and keeps it.
    pub(crate) fn premultiply(&mut self, luma: Plane<T>, site: ChromaSite) {
        let chroma = chroma_alpha(&luma, site);
        let times = |plane: &mut Plane<T>, alpha: &Plane<T>| {
            for (value, a) in plane.data.iter_mut().zip(&alpha.data) {
                let product = value.to_i32() * a.to_i32();
                *value = T::from_i32((product + T::MAX / 2) / T::MAX);
            }
        };
        let [y, u, v] = &mut self.planes;
        times(y, &luma);
        times(u, &chroma);
        times(v, &chroma);
        self.alpha = Some(Alpha { luma, chroma });
    }
}

/// Coverage around each chroma sample, weighted as chroma of this site is made from luma's grid:
/// ¼ ½ ¼ across where it lies on a column, ½ ½ where it lies between two.
pub(crate) fn chroma_alpha<T: Sample>(luma: &Plane<T>, site: ChromaSite) -> Plane<T> {
    let (w, h) = (luma.width / 2, luma.height / 2);
    let mut data = Vec::with_capacity(w * h);
    for y in 0..h {
        for x in 0..w {
            let sum: i32 = site_taps(site, x, y, luma.width)
                .map(|(x, y, weight)| luma.data[y * luma.width + x].to_i32() * weight)
                .sum();
            data.push(T::from_i32((sum + 8) >> 4));
        }
    }
    Plane { width: w, height: h, data }
}

/// The luma samples around chroma sample `(x, y)` with their weights, in sixteenths.
pub(crate) fn site_taps(
    site: ChromaSite,
    x: usize,
    y: usize,
    luma_width: usize,
) -> impl Iterator<Item = (usize, usize, i32)> {
    let (cx, cy) = (2 * x, 2 * y);
    let on = |at: usize| [(at.saturating_sub(1), 1), (at, 2), (at + 1, 1)];
    let between = |at: usize| [(at, 2), (at + 1, 2), (at, 0)];
    let columns = if site == ChromaSite::Centre { between(cx) } else { on(cx) };
    let rows = if site == ChromaSite::TopLeft { on(cy) } else { between(cy) };
    let last = luma_width - 1;
    rows.into_iter()
        .flat_map(move |(y, wy)| columns.into_iter().map(move |(x, wx)| (x.min(last), y, wx * wy)))
}

impl Picture {
    /// From straight RGBA (8 bit, R′G′B′ and coverage, rows packed tightly), as PNG holds it.
    /// Odd sizes get a column or row of nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] for buffers of another size and for pictures past [`MAX_SIDE`].
    pub fn from_rgba(width: u32, height: u32, rgba: &[u8], tags: ColourTags) -> Result<Self> {
        let (even_w, even_h) =
            (width.saturating_add(width % 2).max(2), height.saturating_add(height % 2).max(2));
        check_size(even_w, even_h)?;
        let (w, h, ew, eh) = (width as usize, height as usize, even_w as usize, even_h as usize);
        if rgba.len() != w * h * 4 {
            return Err(refuse(format!("the pixels are not {width}×{height} of RGBA")));
        }
        let mut pixels = vec![[0.0f32; 4]; ew * eh];
        for (to, from) in pixels.chunks_mut(ew).zip(rgba.chunks_exact((w * 4).max(1))) {
            for (to, from) in to.iter_mut().zip(from.chunks_exact(4)) {
                let [r, g, b, a] =
                    [from[0], from[1], from[2], from[3]].map(|v| f32::from(v) / 255.0);
                *to = [r * a, g * a, b * a, a];
            }
        }
        Self::from_premultiplied(even_w, even_h, &pixels, tags)
    }

    /// From premultiplied R′G′B′ and coverage (0 to 1) of even size.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] for odd or too large sides, and for another number of pixels.
    pub fn from_premultiplied(
        width: u32,
        height: u32,
        pixels: &[[f32; 4]],
        tags: ColourTags,
    ) -> Result<Self> {
        check_size(width, height)?;
        let (ew, eh) = (width as usize, height as usize);
        if pixels.len() != ew * eh {
            return Err(refuse(format!("the pixels are not {width}×{height}")));
        }
        let to = super::convert::RgbToYuv::new(tags);
        let mut yuv = Yuv::<u8>::solid(width, height, [0; 3], true);
        let opaque = pixels.iter().all(|p| p[3] >= 1.0);
        let [py, pu, pv] = &mut yuv.planes;
        let mut alpha =
            Alpha { luma: Plane::new(ew, eh, 0u8), chroma: Plane::new(ew / 2, eh / 2, 0u8) };
        let code = |v: f32| (v + 0.5).clamp(0.0, 255.0) as u8;
        for y in 0..eh {
            for x in 0..ew {
                let [r, g, b, a] = pixels[y * ew + x];
                py.data[y * ew + x] = code(to.luma([r, g, b], a));
                alpha.luma.data[y * ew + x] = code(a * 255.0);
            }
        }
        for y in 0..eh / 2 {
            for x in 0..ew / 2 {
                let mut sum = [0.0f32; 4];
                for (sx, sy, weight) in site_taps(tags.site, x, y, ew) {
                    for (total, part) in sum.iter_mut().zip(pixels[sy * ew + sx]) {
                        *total += part * weight as f32 / 16.0;
                    }
                }
                let [r, g, b, a] = sum;
                let [cb, cr] = to.chroma([r, g, b], a);
                let at = y * (ew / 2) + x;
                pu.data[at] = code(cb);
                pv.data[at] = code(cr);
                alpha.chroma.data[at] = code(a * 255.0);
            }
        }
        yuv.alpha = (!opaque).then_some(alpha);
        Ok(Self { width, height, tags, planes: Planes::Eight(yuv) })
    }
}
