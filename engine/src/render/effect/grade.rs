//! Exposure, contrast, saturation, temperature: together one affine function of R′G′B′.

use crate::media::Matrix;
use crate::render::compose::convert::to_ycc;

/// A simple grade. The default changes nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grade {
    /// In stops of light: 1 doubles it.
    pub exposure: f64,
    /// Slope about middle grey (18 % of light); 1 changes nothing.
    pub contrast: f64,
    /// 0 is grey, 1 changes nothing.
    pub saturation: f64,
    /// Colour of the light that the picture shall seem to be lit by, in kelvin: below 6504 warmer,
    /// above colder. 1667 to 25 000.
    pub temperature: f64,
}

impl Default for Grade {
    fn default() -> Self {
        Self { exposure: 0.0, contrast: 1.0, saturation: 1.0, temperature: NEUTRAL }
    }
}

/// The white of BT.709.
const NEUTRAL: f64 = 6504.0;
/// Exponent of a standard display.
const GAMMA: f64 = 2.4;

/// `out = gain · in + shift`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    gain: [[f32; 3]; 3],
    shift: [f32; 3],
}

impl Affine {
    #[inline]
    pub(super) fn at(&self, [r, g, b]: [f32; 3]) -> [f32; 3] {
        [0, 1, 2].map(|i| {
            let [x, y, z] = self.gain[i];
            x * r + y * g + z * b + self.shift[i]
        })
    }
}

impl Grade {
    /// The gains, row by row, and the shifts, as the kernels read them.
    #[cfg(any(test, feature = "cuda-kernels"))]
    pub(crate) fn device_factors(&self, matrix: Matrix) -> [f32; 12] {
        let affine = self.affine(matrix);
        let mut made = [0.0; 12];
        made[..9].copy_from_slice(affine.gain.as_flattened());
        made[9..].copy_from_slice(&affine.shift);
        made
    }

    /// Exposure and temperature are gains of light; with a display's power law they are gains of
    /// code values too. Then contrast, then saturation about luma.
    pub(super) fn affine(&self, matrix: Matrix) -> Affine {
        let sane = |v: f64, low: f64, high: f64, or: f64| {
            if v.is_finite() { v.clamp(low, high) } else { or }
        };
        let exposure = sane(self.exposure, -10.0, 10.0, 0.0).exp2();
        let contrast = sane(self.contrast, 0.0, 10.0, 1.0);
        let saturation = sane(self.saturation, 0.0, 10.0, 1.0);
        let light = white_gains(sane(self.temperature, 1667.0, 25_000.0, NEUTRAL));
        let gains = light.map(|gain| (gain * exposure).powf(1.0 / GAMMA) * contrast);
        let middle = 0.18f64.powf(1.0 / GAMMA);
        let shift = middle * (1.0 - contrast);
        let luma =
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]].map(|unit| to_ycc(unit, matrix)[0]);
        let mut gain = [[0.0; 3]; 3];
        for (i, row) in gain.iter_mut().enumerate() {
            for (k, cell) in row.iter_mut().enumerate() {
                let own = if i == k { saturation } else { 0.0 };
                *cell = ((own + (1.0 - saturation) * luma[k]) * gains[k]) as f32;
            }
        }
        // Grey stays grey under saturation, and the shift is grey.
        Affine { gain, shift: [shift as f32; 3] }
    }
}

/// Gains of linear R, G, B that turn the white of [`NEUTRAL`] into that of `kelvin`, luminance kept.
/// Chromaticity of a black body by Kim et al. (US patent 7024034, the usual cubic fit).
fn white_gains(kelvin: f64) -> [f64; 3] {
    let rgb = |kelvin: f64| {
        let t = 1000.0 / kelvin;
        let (t2, t3) = (t * t, t * t * t);
        let x = if kelvin <= 4000.0 {
            -0.266_123_9 * t3 - 0.234_358_9 * t2 + 0.877_695_6 * t + 0.179_910
        } else {
            -3.025_846_9 * t3 + 2.107_037_9 * t2 + 0.222_634_7 * t + 0.240_390
        };
        let (x2, x3) = (x * x, x * x * x);
        let y = if kelvin <= 2222.0 {
            -1.106_381_4 * x3 - 1.348_110_2 * x2 + 2.185_558_32 * x - 0.202_196_83
        } else if kelvin <= 4000.0 {
            -0.954_947_6 * x3 - 1.374_185_93 * x2 + 2.091_370_15 * x - 0.167_488_67
        } else {
            3.081_758 * x3 - 5.873_386_7 * x2 + 3.751_129_97 * x - 0.370_014_83
        };
        let (cx, cz) = (x / y, (1.0 - x - y) / y);
        // CIE XYZ (Y = 1) to linear BT.709.
        [
            3.240_454_2 * cx - 1.537_138_5 - 0.498_531_4 * cz,
            -0.969_266 * cx + 1.876_010_8 + 0.041_556 * cz,
            0.055_643_4 * cx - 0.204_025_9 + 1.057_225_2 * cz,
        ]
        .map(|v: f64| v.max(0.01))
    };
    let (own, neutral) = (rgb(kelvin), rgb(NEUTRAL));
    let gains = [0, 1, 2].map(|i| own[i] / neutral[i]);
    let bright = 0.2126 * gains[0] + 0.7152 * gains[1] + 0.0722 * gains[2];
    gains.map(|gain| gain / bright)
}
