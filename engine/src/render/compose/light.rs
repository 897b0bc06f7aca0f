//! Conversions that go through light, for whole pictures. Into standard range every step is a curve
//! read from a table or a matrix, so that cutting off stays exact; other ways are smooth and read
//! from a cube.

use super::colours::{RUN, each_colour, runs_of_colours};
use super::convert::{Codes, to_rgb, to_ycc, wide};
use super::hdr::{
    BT2020_TO_709, GAMMA, LUMA_2020, SOURCE_PEAK, WHITE, hlg_to_scene, pq_to_light, tone,
};
use super::picture::{ChromaSite, ColourTags, Depth, Transfer, Yuv};
use super::sample::Sample;
use super::table::Table;
use crate::media::Matrix;
use std::sync::{Arc, Mutex, PoisonError};

/// A conversion through light.
pub(super) enum Light {
    Down(Box<Down>),
    Cube(Table),
}

/// A kind of picture.
pub(super) type Kind = (ColourTags, Depth);

/// The conversion between two kinds of pictures; made once for a program.
pub(super) fn light(from: Kind, to: Kind, depth: Depth) -> Arc<Light> {
    type Made = ((Kind, Kind, Depth), Arc<Light>);
    static MADE: Mutex<Vec<Made>> = Mutex::new(Vec::new());
    let key = (from, to, depth);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, light)) = made.iter().find(|(k, _)| *k == key) {
        return Arc::clone(light);
    }
    let light = Arc::new(if to.0.transfer == Transfer::Sdr {
        Light::Down(Box::new(Down::new(from, to, depth)))
    } else {
        Light::Cube(Table::new(from, to, depth))
    });
    // A program meets a handful of kinds; more would be an attack on memory.
    if made.len() >= 8 {
        made.remove(0);
    }
    made.push((key, Arc::clone(&light)));
    light
}

/// A curve over 0 to 1, linear between its points.
struct Curve(Box<[[f32; 2]]>);

impl Curve {
    const POINTS: usize = 4096;

    fn new(f: impl Fn(f64) -> f64) -> Self {
        let at = |i: usize| f(i as f64 / Self::POINTS as f64);
        // A value and its change up to the next: one look-up gives both.
        let points = (0..=Self::POINTS).map(|i| {
            let (here, next) = (at(i), at((i + 1).min(Self::POINTS)));
            [here as f32, (next - here) as f32]
        });
        Self(points.collect())
    }

    /// The same for many.
    #[inline(always)]
    fn run(&self, values: &mut [f32; RUN]) {
        let Some(points) = self.0.first_chunk::<{ Self::POINTS + 1 }>() else { return };
        let mut cells = [0usize; RUN];
        for (value, cell) in values.iter_mut().zip(&mut cells) {
            let place = value.clamp(0.0, 1.0) * Self::POINTS as f32;
            let whole = place as i32;
            *cell = (whole as usize).min(Self::POINTS);
            *value = place - whole as f32;
        }
        for (value, cell) in values.iter_mut().zip(cells) {
            let [here, rise] = points[cell];
            *value = here + rise * *value;
        }
    }

    #[cfg(test)]
    fn at(&self, x: f32) -> f32 {
        let place = x.clamp(0.0, 1.0) * Self::POINTS as f32;
        let cell = (place as usize).min(Self::POINTS);
        let [value, rise] = self.0.get(cell).copied().unwrap_or_default();
        value + rise * (place - cell as f32)
    }
}

/// From PQ or HLG to standard range; see [`super::hdr`] for the steps.
pub(super) struct Down {
    hlg: bool,
    /// Code values to R′G′B′: gains and shifts.
    to_rgb: [[f32; 4]; 3],
    /// R′G′B′ to code values.
    to_codes: [[f32; 4]; 3],
    /// Code to light as a share of [`SOURCE_PEAK`] (PQ), or to scene light (HLG).
    own: Curve,
    /// Square root of light as a share of [`SOURCE_PEAK`] to the gain of the tone curve.
    tone: Curve,
    /// Square root of light shown to code.
    code: Curve,
    primaries: [[f32; 3]; 3],
}

impl Down {
    fn new(from: Kind, to: Kind, depth: Depth) -> Self {
        let source = Codes::moved(from.0.full_range, from.1, depth);
        let target = Codes::moved(to.0.full_range, to.1, depth);
        let (from, to) = (from.0, to.0);
        let mut rows = [[0.0; 4]; 3];
        let mut codes = [[0.0; 4]; 3];
        let spans = [source.luma, source.chroma, source.chroma];
        let out = [target.luma, target.chroma, target.chroma];
        for k in 0..3 {
            let mut unit = [0.0; 3];
            unit[k] = 1.0;
            let (rgb, ycc) = (to_rgb(unit, from.matrix), to_ycc(unit, to.matrix));
            for i in 0..3 {
                rows[i][k] = rgb[i] / spans[k].1;
                rows[i][3] -= rows[i][k] * spans[k].0;
                codes[i][k] = ycc[i] * out[i].1;
            }
        }
        for (row, (zero, _)) in codes.iter_mut().zip(out) {
            row[3] = zero;
        }
        let narrow = |rows: [[f64; 4]; 3]| rows.map(|row| row.map(|v| v as f32));
        let hlg = from.transfer == Transfer::Hlg;
        let identity = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let primaries = if to.matrix == Matrix::Bt2020 { identity } else { BT2020_TO_709 };
        Self {
            hlg,
            to_rgb: narrow(rows),
            to_codes: narrow(codes),
            own: Curve::new(
                |code| {
                    if hlg { hlg_to_scene(code) } else { pq_to_light(code) / SOURCE_PEAK }
                },
            ),
            tone: Curve::new(|root| {
                // The least light that counts: below the knee the gain is the same anyway.
                let light = (root * root * SOURCE_PEAK).max(1e-3);
                tone(light) / light * SOURCE_PEAK / WHITE
            }),
            code: Curve::new(|root| root.powf(2.0 / GAMMA)),
            primaries: primaries.map(|row| row.map(|v| v as f32)),
        }
    }

    /// Many colours, in code values: the steps one after the other over all of them, so that what is
    /// arithmetic is done to several at once and only the look-ups are not.
    #[inline(always)]
    fn run(&self, codes: &mut [[f32; RUN]; 3]) {
        let mut rgb = [[0.0f32; RUN]; 3];
        for (to, row) in rgb.iter_mut().zip(&self.to_rgb) {
            for (i, to) in to.iter_mut().enumerate() {
                *to = row[0] * codes[0][i] + row[1] * codes[1][i] + row[2] * codes[2][i] + row[3];
            }
            self.own.run(to);
        }
        if self.hlg {
            let weights = LUMA_2020.map(|w| w as f32);
            for i in 0..RUN {
                let bright =
                    weights[0] * rgb[0][i] + weights[1] * rgb[1][i] + weights[2] * rgb[2][i];
                let gain = bright.max(0.0).powf(0.2);
                for plane in &mut rgb {
                    plane[i] *= gain;
                }
            }
        }
        let mut most = [0.0f32; RUN];
        let mut gain = [0.0f32; RUN];
        for i in 0..RUN {
            most[i] = rgb[0][i].max(rgb[1][i]).max(rgb[2][i]);
            // Beyond the peak all is as bright as the peak.
            gain[i] = most[i].min(1.0).sqrt();
        }
        self.tone.run(&mut gain);
        for (gain, most) in gain.iter_mut().zip(&most) {
            *gain /= most.max(1.0);
        }
        let mut shown = [[0.0f32; RUN]; 3];
        for (to, [x, y, z]) in shown.iter_mut().zip(&self.primaries) {
            for (i, to) in to.iter_mut().enumerate() {
                let light = (x * rgb[0][i] + y * rgb[1][i] + z * rgb[2][i]) * gain[i];
                *to = light.clamp(0.0, 1.0).sqrt();
            }
            self.code.run(to);
        }
        for (to, row) in codes.iter_mut().zip(&self.to_codes) {
            for (i, to) in to.iter_mut().enumerate() {
                *to = row[0] * shown[0][i] + row[1] * shown[1][i] + row[2] * shown[2][i] + row[3];
            }
        }
    }

    /// One colour, in code values.
    #[cfg(test)]
    fn at(&self, codes: [f32; 3]) -> [f32; 3] {
        let times =
            |row: &[f32; 4], v: [f32; 3]| row[0] * v[0] + row[1] * v[1] + row[2] * v[2] + row[3];
        let rgb = [0, 1, 2].map(|i| self.own.at(times(&self.to_rgb[i], codes)));
        let [r, g, b] = if self.hlg {
            let weights = LUMA_2020.map(|w| w as f32);
            let bright = weights[0] * rgb[0] + weights[1] * rgb[1] + weights[2] * rgb[2];
            let gain = bright.max(0.0).powf(0.2);
            rgb.map(|v| v * gain)
        } else {
            rgb
        };
        let most = r.max(g).max(b);
        // Beyond the peak all is as bright as the peak.
        let gain = if most > 1.0 { self.tone.at(1.0) / most } else { self.tone.at(most.sqrt()) };
        let shown = self.primaries.map(|[x, y, z]| {
            let light = (x * r + y * g + z * b) * gain;
            self.code.at(light.clamp(0.0, 1.0).sqrt())
        });
        [0, 1, 2].map(|i| times(&self.to_codes[i], shown))
    }
}

#[cfg(any(test, feature = "cuda-kernels"))]
impl Light {
    /// What the kernels read: for the way down the matrices to R′G′B′ and to codes, that of the
    /// primaries, whether it is HLG, two zeros, and the curves (own, tone, code); or the cube.
    pub(super) fn device_table(&self) -> Vec<f32> {
        let down = match self {
            Self::Down(down) => down,
            Self::Cube(table) => return table.points().as_flattened().to_vec(),
        };
        let mut made = [down.to_rgb.as_flattened(), down.to_codes.as_flattened()].concat();
        made.extend(down.primaries.as_flattened());
        made.extend([f32::from(u8::from(down.hlg)), 0.0, 0.0]);
        for curve in [&down.own, &down.tone, &down.code] {
            made.extend(curve.0.as_flattened());
        }
        made
    }
}

struct Run<'a>(&'a Down, &'a mut [[f32; RUN]; 3]);

impl pulp::WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        self.0.run(self.1);
    }
}

impl Light {
    /// Changes `yuv` in place.
    pub(super) fn apply<T: Sample>(&self, yuv: &mut Yuv<T>, site: ChromaSite) {
        match self {
            Self::Down(down) => runs_of_colours(yuv, site, &|codes| wide(Run(down, codes))),
            Self::Cube(table) => each_colour(yuv, site, &|codes| table.at(codes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_hold_to_the_curves() {
        let from =
            ColourTags { matrix: Matrix::Bt2020, transfer: Transfer::Pq, ..ColourTags::BT709 };
        for transfer in [Transfer::Pq, Transfer::Hlg] {
            let from = ColourTags { transfer, ..from };
            let to = ColourTags::BT709;
            let down = Down::new((from, Depth::Ten), (to, Depth::Ten), Depth::Ten);
            let (own, target) = (Codes::of(false, Depth::Ten), Codes::of(false, Depth::Ten));
            for i in 0..20_000u32 {
                let part = |n: u32| i.wrapping_mul(n) >> 16 & 1023;
                let codes = [40_503, 30_011, 52_387].map(|n| f64::from(part(n)));
                let wanted = super::super::hdr::exact(codes, (from, own), (to, target));
                let made = down.at(codes.map(|v| v as f32));
                // Many at once are as one by one.
                let mut run = codes.map(|v| [v as f32; RUN]);
                wide(Run(&down, &mut run));
                for (a, b) in made.iter().zip(&run) {
                    assert!((a - b[0]).abs() < 1e-3 && b.iter().all(|v| *v == b[0]), "{codes:?}");
                }
                for (a, b) in made.iter().zip(wanted) {
                    assert!((f64::from(*a) - b).abs() < 0.25, "{codes:?}: {made:?} {wanted:?}");
                }
            }
        }
    }
}
