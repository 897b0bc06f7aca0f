//! A function of colour, done to every sample of a picture.

use super::convert::chroma_line;
use super::picture::{ChromaSite, Yuv};
use super::sample::Sample;
use rayon::prelude::*;

/// Changes every colour of `yuv`, as code values (not rounded). Luma is taken with the chroma at its
/// own place, chroma with the mean of the two nearest luma samples. Straight colours are changed:
/// coverage is divided out before and put back behind.
pub(crate) fn each_colour<T: Sample>(
    yuv: &mut Yuv<T>,
    site: ChromaSite,
    change: &(impl Fn([f32; 3]) -> [f32; 3] + Sync),
) {
    let [luma, cb, cr] = &mut yuv.planes;
    let (al, ac) = match &yuv.alpha {
        Some(alpha) => (Some(&alpha.luma), Some(&alpha.chroma)),
        None => (None, None),
    };
    let straight = |codes: [f32; 3], share: f32| {
        if share >= 1.0 {
            return change(codes);
        }
        change(codes.map(|c| c / share.max(1e-3))).map(|c| c * share)
    };
    let share =
        |alpha: Option<&[T]>, x: usize| alpha.map_or(1.0, |a| a[x].to_i32() as f32 / T::MAX as f32);
    let (width, half) = (luma.width, cb.width);
    // Chroma goes into rows of its own first: luma needs the old one.
    let made = (0..cb.height).into_par_iter().map(|y| {
        let (u, v, alpha) = (cb.row(y), cr.row(y), ac.map(|a| a.row(y)));
        let (upper, lower) = (luma.row(2 * y), luma.row(2 * y + 1));
        let mut out = [Vec::with_capacity(half), Vec::with_capacity(half)];
        for x in 0..half {
            let near = (upper[2 * x].to_i32() + lower[2 * x].to_i32()) as f32 * 0.5;
            let codes = [near, u[x].to_i32() as f32, v[x].to_i32() as f32];
            let made = straight(codes, share(alpha, x));
            out[0].push(T::from_i32((made[1] + 0.5) as i32));
            out[1].push(T::from_i32((made[2] + 0.5) as i32));
        }
        out
    });
    let made: Vec<[Vec<T>; 2]> = made.collect();
    let line = |kept: &mut [Vec<f32>; 2], (y, row): (usize, &mut [T])| {
        chroma_line(cb, y, width, site, &mut kept[0]);
        chroma_line(cr, y, width, site, &mut kept[1]);
        let alpha = al.map(|a| a.row(y));
        let sides = kept[0].iter().zip(&kept[1]);
        for (x, (value, (u, v))) in row.iter_mut().zip(sides).enumerate() {
            let made = straight([value.to_i32() as f32, *u, *v], share(alpha, x));
            *value = T::from_i32((made[0] + 0.5) as i32);
        }
    };
    let rows = luma.data.par_chunks_mut(width).enumerate().with_min_len(16);
    rows.for_each_init(Default::default, line);
    for (y, [u, v]) in made.into_iter().enumerate() {
        cb.row_mut(y).copy_from_slice(&u);
        cr.row_mut(y).copy_from_slice(&v);
    }
}

/// Colours that are changed at once by [`runs_of_colours`].
pub(super) const RUN: usize = 32;

/// As [`each_colour`], for changes that are made to many colours at once.
pub(super) fn runs_of_colours<T: Sample>(
    yuv: &mut Yuv<T>,
    site: ChromaSite,
    change: &(impl Fn(&mut [[f32; RUN]; 3]) + Sync),
) {
    let [luma, cb, cr] = &mut yuv.planes;
    let (al, ac) = match &yuv.alpha {
        Some(alpha) => (Some(&alpha.luma), Some(&alpha.chroma)),
        None => (None, None),
    };
    // Straight colours are changed, and covered again behind.
    let straight = |codes: &mut [[f32; RUN]; 3], alpha: Option<&[T]>| {
        let Some(alpha) = alpha else { return change(codes) };
        let share = |a: &T| a.to_i32() as f32 / T::MAX as f32;
        for plane in codes.iter_mut() {
            for (value, a) in plane.iter_mut().zip(alpha) {
                *value /= share(a).max(1e-3);
            }
        }
        change(codes);
        for plane in codes.iter_mut() {
            for (value, a) in plane.iter_mut().zip(alpha) {
                *value *= share(a);
            }
        }
    };
    let (width, half) = (luma.width, cb.width);
    // Chroma goes into rows of its own first: luma needs the old one.
    let made = (0..cb.height).into_par_iter().map(|y| {
        let (u, v, alpha) = (cb.row(y), cr.row(y), ac.map(|a| a.row(y)));
        let (upper, lower) = (luma.row(2 * y), luma.row(2 * y + 1));
        let mut out = [vec![T::ZERO; half], vec![T::ZERO; half]];
        let mut codes = [[0.0; RUN]; 3];
        for from in (0..half).step_by(RUN) {
            let count = RUN.min(half - from);
            let [middle, blue, red] = &mut codes;
            for (i, code) in middle[..count].iter_mut().enumerate() {
                let x = 2 * (from + i);
                *code = (upper[x].to_i32() + lower[x].to_i32()) as f32 * 0.5;
            }
            for (codes, plane) in [(blue, u), (red, v)] {
                for (code, value) in codes.iter_mut().zip(&plane[from..from + count]) {
                    *code = value.to_i32() as f32;
                }
            }
            straight(&mut codes, alpha.map(|a| &a[from..from + count]));
            for (out, codes) in out.iter_mut().zip(&codes[1..]) {
                for (to, code) in out[from..from + count].iter_mut().zip(codes) {
                    *to = T::from_i32((code + 0.5) as i32);
                }
            }
        }
        out
    });
    let made: Vec<[Vec<T>; 2]> = made.collect();
    let line = |kept: &mut [Vec<f32>; 2], (y, row): (usize, &mut [T])| {
        chroma_line(cb, y, width, site, &mut kept[0]);
        chroma_line(cr, y, width, site, &mut kept[1]);
        let alpha = al.map(|a| a.row(y));
        let mut codes = [[0.0; RUN]; 3];
        for (n, values) in row.chunks_mut(RUN).enumerate() {
            let from = n * RUN;
            let sides = kept[0][from..].iter().zip(&kept[1][from..]);
            for (i, (value, (u, v))) in values.iter().zip(sides).enumerate() {
                codes[0][i] = value.to_i32() as f32;
                codes[1][i] = *u;
                codes[2][i] = *v;
            }
            straight(&mut codes, alpha.map(|a| &a[from..from + values.len()]));
            for (to, code) in values.iter_mut().zip(&codes[0]) {
                *to = T::from_i32((code + 0.5) as i32);
            }
        }
    };
    let rows = luma.data.par_chunks_mut(width).enumerate().with_min_len(16);
    rows.for_each_init(Default::default, line);
    for (y, [u, v]) in made.into_iter().enumerate() {
        cb.row_mut(y).copy_from_slice(&u);
        cr.row_mut(y).copy_from_slice(&v);
    }
}
