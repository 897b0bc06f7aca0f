//! Between high dynamic range (PQ, HLG) and standard range, through light.
//!
//! Curves: SMPTE ST 2084 (PQ), ARIB STD-B67 (HLG) with the system gamma 1.2 of a 1000 cd/m² display
//! (ITU-R BT.2100). Brightness is brought down by the curve of ITU-R BT.2390 section 5.4 (a knee
//! with a Hermite spline, in PQ), applied to the largest of R, G and B, so that hue stays. 203 cd/m²
//! (BT.2408) is the white of standard range where that goes into HDR. Wide primaries come to BT.709
//! linearly; what lies outside is cut off.

use super::convert::{Codes, to_rgb, to_ycc};
use super::picture::{ColourTags, Transfer};
use crate::media::Matrix;

/// What HDR sources are taken to be mastered for, in cd/m².
pub(super) const SOURCE_PEAK: f64 = 1000.0;
/// White of standard range beside HDR, in cd/m² (BT.2408).
pub(super) const WHITE: f64 = 203.0;
/// Exponent of a standard display (BT.1886 without a black offset).
pub(super) const GAMMA: f64 = 2.4;

/// PQ: code (0 to 1) to light in cd/m².
pub(super) fn pq_to_light(code: f64) -> f64 {
    let (m1, m2) = (2610.0 / 16384.0, 2523.0 / 4096.0 * 128.0);
    let (c1, c2, c3) = (3424.0 / 4096.0, 2413.0 / 4096.0 * 32.0, 2392.0 / 4096.0 * 32.0);
    let e = code.clamp(0.0, 1.0).powf(1.0 / m2);
    10_000.0 * ((e - c1).max(0.0) / (c2 - c3 * e)).powf(1.0 / m1)
}

/// Light in cd/m² to PQ.
pub(super) fn light_to_pq(light: f64) -> f64 {
    let (m1, m2) = (2610.0 / 16384.0, 2523.0 / 4096.0 * 128.0);
    let (c1, c2, c3) = (3424.0 / 4096.0, 2413.0 / 4096.0 * 32.0, 2392.0 / 4096.0 * 32.0);
    let y = (light / 10_000.0).clamp(0.0, 1.0).powf(m1);
    ((c1 + c2 * y) / (1.0 + c3 * y)).powf(m2)
}

const HLG_A: f64 = 0.178_832_77;
const HLG_B: f64 = 1.0 - 4.0 * HLG_A;

fn hlg_c() -> f64 {
    0.5 - HLG_A * (4.0 * HLG_A).ln()
}

/// HLG: code (0 to 1) to scene light (0 to 1).
pub(super) fn hlg_to_scene(code: f64) -> f64 {
    let e = code.clamp(0.0, 1.0);
    if e <= 0.5 { e * e / 3.0 } else { (((e - hlg_c()) / HLG_A).exp() + HLG_B) / 12.0 }
}

fn scene_to_hlg(light: f64) -> f64 {
    let e = light.clamp(0.0, 1.0);
    if e <= 1.0 / 12.0 { (3.0 * e).sqrt() } else { HLG_A * (12.0 * e - HLG_B).ln() + hlg_c() }
}

pub(super) const LUMA_2020: [f64; 3] = [0.2627, 0.6780, 0.0593];

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// Code values R′G′B′ to light in cd/m² with BT.2020 primaries.
fn to_light(rgb: [f64; 3], tags: ColourTags) -> [f64; 3] {
    match tags.transfer {
        Transfer::Pq => rgb.map(pq_to_light),
        Transfer::Hlg => {
            let scene = rgb.map(hlg_to_scene);
            let gain = dot(LUMA_2020, scene).max(0.0).powf(0.2) * SOURCE_PEAK;
            scene.map(|v| v * gain)
        }
        Transfer::Sdr => {
            let light = rgb.map(|v| v.clamp(0.0, 1.0).powf(GAMMA) * WHITE);
            if tags.matrix == Matrix::Bt2020 { light } else { bt709_to_2020(light) }
        }
    }
}

/// Light in cd/m² with BT.2020 primaries to code values R′G′B′, tone-mapped where the target is
/// standard range.
fn from_light(light: [f64; 3], tags: ColourTags) -> [f64; 3] {
    match tags.transfer {
        Transfer::Pq => light.map(light_to_pq),
        Transfer::Hlg => {
            let scene = light.map(|v| (v / SOURCE_PEAK).clamp(0.0, 1.0));
            let bright = dot(LUMA_2020, scene);
            let gain = if bright > 0.0 { bright.powf(1.0 / 1.2 - 1.0) } else { 0.0 };
            scene.map(|v| scene_to_hlg(v * gain))
        }
        Transfer::Sdr => {
            let most = light.iter().fold(0.0f64, |a, b| a.max(*b));
            let gain = if most > 0.0 { tone(most) / most } else { 0.0 };
            let shown = light.map(|v| v * gain / WHITE);
            let shown = if tags.matrix == Matrix::Bt2020 { shown } else { bt2020_to_709(shown) };
            shown.map(|v| v.clamp(0.0, 1.0).powf(1.0 / GAMMA))
        }
    }
}

/// BT.2390's curve from a peak of [`SOURCE_PEAK`] to one of [`WHITE`], both in cd/m², black staying black.
pub(super) fn tone(light: f64) -> f64 {
    let source = light_to_pq(SOURCE_PEAK);
    let top = light_to_pq(WHITE) / source;
    let knee = 1.5 * top - 0.5;
    let e = (light_to_pq(light) / source).min(1.0);
    let mapped = if e < knee {
        e
    } else {
        let t = (e - knee) / (1.0 - knee);
        let (t2, t3) = (t * t, t * t * t);
        (2.0 * t3 - 3.0 * t2 + 1.0) * knee
            + (t3 - 2.0 * t2 + t) * (1.0 - knee)
            + (-2.0 * t3 + 3.0 * t2) * top
    };
    pq_to_light(mapped * source)
}

/// ITU-R BT.2407, linear light.
pub(super) const BT2020_TO_709: [[f64; 3]; 3] = [
    [1.660_491, -0.587_641, -0.072_850],
    [-0.124_550, 1.132_900, -0.008_349],
    [-0.018_151, -0.100_579, 1.118_730],
];

fn bt2020_to_709(rgb: [f64; 3]) -> [f64; 3] {
    BT2020_TO_709.map(|row| dot(row, rgb))
}

/// ITU-R BT.2087, linear light.
fn bt709_to_2020(rgb: [f64; 3]) -> [f64; 3] {
    [
        dot([0.627_404, 0.329_283, 0.043_313], rgb),
        dot([0.069_097, 0.919_540, 0.011_362], rgb),
        dot([0.016_391, 0.088_013, 0.895_595], rgb),
    ]
}

/// One colour in code values (not rounded), exactly: the reference that the quick ways are held to.
pub(super) fn exact(
    codes: [f64; 3],
    from: (ColourTags, Codes),
    to: (ColourTags, Codes),
) -> [f64; 3] {
    let read = |(zero, span): (f64, f64), v: f64| (v - zero) / span;
    let (source, target) = (from.1, to.1);
    let ycc =
        [read(source.luma, codes[0]), read(source.chroma, codes[1]), read(source.chroma, codes[2])];
    let rgb = to_rgb(ycc, from.0.matrix);
    let [y, cb, cr] = to_ycc(from_light(to_light(rgb, from.0), to.0), to.0.matrix);
    let write = |(zero, span): (f64, f64), v: f64| zero + span * v;
    [write(target.luma, y), write(target.chroma, cb), write(target.chroma, cr)]
}
