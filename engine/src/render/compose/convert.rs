//! From one matrix, range and curve to another.
//!
//! Between two matrices luma and chroma are a linear function of luma and chroma; luma needs the
//! chroma at its own place, which is interpolated linearly. Coefficients are those of ITU-T H.273.

use super::light::{Light, light};
use super::picture::{ChromaSite, ColourTags, Depth, Yuv};
use super::sample::Sample;
use crate::media::Matrix;
use rayon::prelude::*;

/// The shares of red and blue in luma.
fn weights(matrix: Matrix) -> (f64, f64) {
    match matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
        Matrix::Bt2020 => (0.2627, 0.0593),
        Matrix::Fcc => (0.30, 0.11),
        Matrix::Smpte240m => (0.212, 0.087),
    }
}

/// Zero and one of luma, then zero of chroma and its span from −½ to ½, in code values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Codes {
    pub luma: (f64, f64),
    pub chroma: (f64, f64),
}

impl Codes {
    pub(super) fn of(full_range: bool, depth: Depth) -> Self {
        let unit = f64::from(1u32 << (depth.bits() - 8));
        if full_range {
            let top = 256.0 * unit - 1.0;
            Self { luma: (0.0, top), chroma: (128.0 * unit, top) }
        } else {
            Self { luma: (16.0 * unit, 219.0 * unit), chroma: (128.0 * unit, 224.0 * unit) }
        }
    }
}

impl Codes {
    /// Codes of pictures in `own` depth, as a shift moves them to `depth`: 8-bit full range spans
    /// 1020 of 1023 then.
    pub(super) fn moved(full_range: bool, own: Depth, depth: Depth) -> Self {
        let codes = Self::of(full_range, own);
        let unit = f64::from(1u32 << depth.bits()) / f64::from(1u32 << own.bits());
        let times = |(a, b): (f64, f64)| (a * unit, b * unit);
        Self { luma: times(codes.luma), chroma: times(codes.chroma) }
    }
}

/// R′G′B′ (0 to 1) to luma (0 to 1) and colour differences (−½ to ½).
pub(crate) fn to_ycc(rgb: [f64; 3], matrix: Matrix) -> [f64; 3] {
    let (kr, kb) = weights(matrix);
    let [r, g, b] = rgb;
    let y = kr * r + (1.0 - kr - kb) * g + kb * b;
    [y, (b - y) / (2.0 * (1.0 - kb)), (r - y) / (2.0 * (1.0 - kr))]
}

/// Luma and colour differences to R′G′B′.
pub(crate) fn to_rgb(ycc: [f64; 3], matrix: Matrix) -> [f64; 3] {
    let (kr, kb) = weights(matrix);
    let [y, cb, cr] = ycc;
    let (r, b) = (y + 2.0 * (1.0 - kr) * cr, y + 2.0 * (1.0 - kb) * cb);
    [r, (y - kr * r - kb * b) / (1.0 - kr - kb), b]
}

/// Code values of an R′G′B′ colour (0 to 1).
pub(crate) fn codes_of(rgb: [f64; 3], tags: ColourTags, depth: Depth) -> [u16; 3] {
    let codes = Codes::of(tags.full_range, depth);
    let [y, cb, cr] = to_ycc(rgb, tags.matrix);
    let top = f64::from((1u32 << depth.bits()) - 1);
    [
        codes.luma.0 + codes.luma.1 * y,
        codes.chroma.0 + codes.chroma.1 * cb,
        codes.chroma.0 + codes.chroma.1 * cr,
    ]
    .map(|v| v.round().clamp(0.0, top) as u16)
}

/// From premultiplied R′G′B′ and coverage to premultiplied 8-bit codes, not rounded.
pub(crate) struct RgbToYuv {
    rows: [[f32; 4]; 3],
}

impl RgbToYuv {
    /// For pictures of these tags.
    pub(crate) fn new(tags: ColourTags) -> Self {
        let codes = Codes::of(tags.full_range, Depth::Eight);
        let columns =
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]].map(|rgb| to_ycc(rgb, tags.matrix));
        let row = |i: usize, (zero, span): (f64, f64)| {
            let [r, g, b] = columns.map(|column| (column[i] * span) as f32);
            [r, g, b, zero as f32]
        };
        Self { rows: [row(0, codes.luma), row(1, codes.chroma), row(2, codes.chroma)] }
    }

    fn dot(&self, row: usize, [r, g, b]: [f32; 3], a: f32) -> f32 {
        let [kr, kg, kb, zero] = self.rows[row];
        kr * r + kg * g + kb * b + zero * a
    }

    /// Luma.
    pub(crate) fn luma(&self, rgb: [f32; 3], a: f32) -> f32 {
        self.dot(0, rgb, a)
    }

    /// Cb and Cr.
    pub(crate) fn chroma(&self, rgb: [f32; 3], a: f32) -> [f32; 2] {
        [self.dot(1, rgb, a), self.dot(2, rgb, a)]
    }
}

/// A change of matrix and range as a linear function of code values:
/// `out[i] = Σ gain[i][k] × in[k] + shift[i]`, the shift times coverage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Linear {
    pub gain: [[f64; 3]; 3],
    pub shift: [f64; 3],
}

impl Linear {
    /// From codes of `from` to codes of `to`; both are worked on in `depth`, to and from which they
    /// are moved by a shift from and to their own depths.
    pub(super) fn new(from: (ColourTags, Depth), to: (ColourTags, Depth), depth: Depth) -> Self {
        let source = Codes::moved(from.0.full_range, from.1, depth);
        let target = Codes::moved(to.0.full_range, to.1, depth);
        let (from, to) = (from.0, to.0);
        let spans = |codes: Codes| [codes.luma.1, codes.chroma.1, codes.chroma.1];
        let zeros = |codes: Codes| [codes.luma.0, codes.chroma.0, codes.chroma.0];
        let mut made = Self { gain: [[0.0; 3]; 3], shift: zeros(target) };
        for k in 0..3 {
            let mut unit = [0.0; 3];
            unit[k] = 1.0 / spans(source)[k];
            let column = if from.matrix == to.matrix {
                unit
            } else {
                to_ycc(to_rgb(unit, from.matrix), to.matrix)
            };
            for (i, share) in column.into_iter().enumerate() {
                // Chroma of grey is nothing in any matrix; what arithmetic leaves is no gain.
                let share = if share.abs() < 1e-15 { 0.0 } else { share };
                made.gain[i][k] = share * spans(target)[i];
                made.shift[i] -= made.gain[i][k] * zeros(source)[k];
            }
        }
        made
    }

    fn is_nothing(&self) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        (0..3).all(|i| {
            near(self.shift[i], 0.0)
                && (0..3).all(|k| near(self.gain[i][k], if i == k { 1.0 } else { 0.0 }))
        })
    }
}

/// What has to be done to code values of one picture before they can stand on another.
pub(super) enum Conversion {
    Nothing,
    Linear(Linear),
    /// Through light.
    Light(std::sync::Arc<Light>),
}

impl Conversion {
    /// As [`Linear::new`].
    pub(super) fn new(from: (ColourTags, Depth), to: (ColourTags, Depth), depth: Depth) -> Self {
        if from.0.transfer != to.0.transfer {
            return Self::Light(light(from, to, depth));
        }
        let linear = Linear::new(from, to, depth);
        if linear.is_nothing() { Self::Nothing } else { Self::Linear(linear) }
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// Changes `yuv` in place.
    pub(super) fn apply<T: Sample>(&self, yuv: &mut Yuv<T>, site: ChromaSite) {
        match self {
            Self::Nothing => {}
            Self::Linear(linear) => linear.apply(yuv, site),
            Self::Light(light) => light.apply(yuv, site),
        }
    }
}

impl Linear {
    fn apply<T: Sample>(&self, yuv: &mut Yuv<T>, site: ChromaSite) {
        let gain = self.gain.map(|row| row.map(|v| v as f32));
        let shift = self.shift.map(|v| v as f32);
        let [luma, cb, cr] = &mut yuv.planes;
        let (alpha_luma, alpha_chroma) = match &yuv.alpha {
            Some(alpha) => (Some(&alpha.luma), Some(&alpha.chroma)),
            None => (None, None),
        };
        let width = luma.width;
        let mixes = gain[0][1] != 0.0 || gain[0][2] != 0.0;
        let (cb_ref, cr_ref) = (&*cb, &*cr);
        let line = |kept: &mut [Vec<f32>; 2], (y, row): (usize, &mut [T])| {
            let alpha = alpha_luma.map(|a| a.row(y));
            let [mixed, tint] = kept;
            tint.resize(width, 0.0);
            if mixes {
                // What both chroma planes add is one plane: mixed where chroma lies, it is brought to
                // luma's places once.
                let at = Vertical::new(cb_ref.height, y, site);
                wide(Tint {
                    cb: at.rows.map(|row| cb_ref.row(row)),
                    cr: at.rows.map(|row| cr_ref.row(row)),
                    part: at.part,
                    gain: [gain[0][1], gain[0][2]],
                    quarter: site.offset().0 > 0.75,
                    mixed,
                    out: tint,
                });
            }
            wide(Affine {
                row,
                sides: [tint, tint],
                gain: [gain[0][0], 1.0, 0.0],
                shift: shift[0],
                alpha,
            });
        };
        let rows = luma.data.par_chunks_mut(width).enumerate().with_min_len(32);
        rows.for_each_init(Default::default, line);
        let half = cb.width;
        let lines = cb.data.par_chunks_mut(half).zip(cr.data.par_chunks_mut(half)).enumerate();
        let line = |kept: &mut [Vec<f32>; 2], (y, (u, v)): (usize, (&mut [T], &mut [T]))| {
            for (kept, row) in kept.iter_mut().zip([&*u, &*v]) {
                kept.clear();
                kept.extend(row.iter().map(|s| s.to_i32() as f32));
            }
            let alpha = alpha_chroma.map(|a| a.row(y));
            wide(Affine {
                row: u,
                sides: [&kept[0], &kept[1]],
                gain: [gain[1][1], 0.0, gain[1][2]],
                shift: shift[1],
                alpha,
            });
            wide(Affine {
                row: v,
                sides: [&kept[1], &kept[0]],
                gain: [gain[2][2], 0.0, gain[2][1]],
                shift: shift[2],
                alpha,
            });
        };
        lines.with_min_len(32).for_each_init(Default::default, line);
    }
}

/// One row: `row × gain[0] + sides · gain[1..] + shift × coverage`.
struct Affine<'a, T> {
    row: &'a mut [T],
    sides: [&'a [f32]; 2],
    gain: [f32; 3],
    shift: f32,
    alpha: Option<&'a [T]>,
}

impl<T: Sample> pulp::WithSimd for Affine<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { row, sides: [u, v], gain, shift, alpha } = self;
        let code = |s: T, u: f32, v: f32, zero: f32| {
            let value = s.to_i32() as f32 * gain[0] + u * gain[1] + v * gain[2] + zero;
            T::from_i32((value + 0.5).clamp(0.0, T::MAX as f32 + 0.5) as i32)
        };
        if let Some(alpha) = alpha {
            let unit = shift / T::MAX as f32;
            for (((s, u), v), a) in row.iter_mut().zip(u).zip(v).zip(alpha) {
                *s = code(*s, *u, *v, a.to_i32() as f32 * unit);
            }
        } else {
            for ((s, u), v) in row.iter_mut().zip(u).zip(v) {
                *s = code(*s, *u, *v, shift);
            }
        }
    }
}

/// Runs `op` with the widest instructions that this machine has.
pub(crate) fn wide<O: pulp::WithSimd>(op: O) -> O::Output {
    pulp::Arch::new().dispatch(op)
}

/// The two rows of chroma that a row of luma lies between.
struct Vertical {
    rows: [usize; 2],
    /// How much of the second one.
    part: f32,
}

impl Vertical {
    fn new(height: usize, y: usize, site: ChromaSite) -> Self {
        let last = height - 1;
        // Chroma row k lies at luma position 2k + cy.
        let at = (y as f64 + 0.5 - site.offset().1) / 2.0;
        let from = at.floor();
        let row = |row: f64| (row.max(0.0) as usize).min(last);
        Self { rows: [row(from), row(from + 1.0)], part: (at - from) as f32 }
    }
}

/// Both chroma planes times their gains, at the places of a row of luma: linear between the nearest
/// samples.
struct Tint<'a, T> {
    /// The row above and the one below.
    cb: [&'a [T]; 2],
    cr: [&'a [T]; 2],
    part: f32,
    gain: [f32; 2],
    /// Whether chroma lies in the middle of two columns, and not on the left one.
    quarter: bool,
    mixed: &'a mut Vec<f32>,
    out: &'a mut [f32],
}

impl<T: Sample> pulp::WithSimd for Tint<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { cb, cr, part, gain, quarter, mixed, out } = self;
        let half = cb[0].len();
        // With the edges repeated.
        mixed.resize(half + 2, 0.0);
        let (above, below) = (1.0 - part, part);
        let rows = cb[0].iter().zip(cb[1]).zip(cr[0].iter().zip(cr[1]));
        for (to, ((u0, u1), (v0, v1))) in mixed[1..=half].iter_mut().zip(rows) {
            let u = u0.to_i32() as f32 * above + u1.to_i32() as f32 * below;
            let v = v0.to_i32() as f32 * above + v1.to_i32() as f32 * below;
            *to = u * gain[0] + v * gain[1];
        }
        (mixed[0], mixed[half + 1]) = (mixed[1], mixed[half]);
        // Even luma samples have chroma's own and odd ones the mean of two; or all lie a quarter off.
        let pairs = out.chunks_exact_mut(2).zip(mixed[..half].iter());
        let pairs = pairs.zip(&mixed[1..=half]).zip(&mixed[2..half + 2]);
        if quarter {
            for (((pair, before), own), next) in pairs {
                pair[0] = own * 0.75 + before * 0.25;
                pair[1] = own * 0.75 + next * 0.25;
            }
        } else {
            for (((pair, _), own), next) in pairs {
                pair[0] = *own;
                pair[1] = (own + next) * 0.5;
            }
        }
    }
}

/// Chroma at the places of the luma samples of row `y`: linear between the nearest chroma samples.
pub(crate) fn chroma_line<T: Sample>(
    plane: &super::picture::Plane<T>,
    y: usize,
    width: usize,
    site: ChromaSite,
    out: &mut Vec<f32>,
) {
    let at = Vertical::new(plane.height, y, site);
    let (part, cx) = (at.part, site.offset().0);
    let [upper, lower] = at.rows.map(|row| plane.row(row));
    out.resize(width + 2, 0.0);
    let mixed = |k: usize| {
        let (a, b) = (upper[k].to_i32() as f32, lower[k].to_i32() as f32);
        a + (b - a) * part
    };
    let half = plane.width;
    // Columns: with chroma on the left, even luma samples have their own and odd ones the mean of
    // two; with chroma in the middle all lie a quarter off.
    let quarter = cx > 0.75;
    let mut before = mixed(0);
    for k in 0..half {
        let own = mixed(k);
        let next = mixed((k + 1).min(half - 1));
        if quarter {
            out[2 * k] = own + (before - own) * 0.25;
            out[2 * k + 1] = own + (next - own) * 0.25;
        } else {
            out[2 * k] = own;
            out[2 * k + 1] = (own + next) * 0.5;
        }
        before = own;
    }
}
