//! Random pictures, the same for a seed.

use anyhow::Result;
use rushes::media::Matrix;
use rushes::render::compose::{ChromaSite, ColourTags, Depth, Picture, Transfer};

/// Numbers by a linear congruence (Numerical Recipes); what is used is the upper byte.
pub struct Chance(u32);

impl Chance {
    pub fn new(seed: u32) -> Self {
        Self(seed.wrapping_mul(2_654_435_761).wrapping_add(12_345))
    }

    pub fn byte(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 24
    }

    /// Between `low` and `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        let part = f64::from(self.byte() << 8 | self.byte()) / 65_535.0;
        low + (high - low) * part
    }
}

pub fn tags(matrix: Matrix, full_range: bool, site: ChromaSite, transfer: Transfer) -> ColourTags {
    ColourTags { matrix, full_range, transfer, site }
}

/// Ramps, edges and noise over legal code values.
pub fn picture(size: (u32, u32), depth: Depth, tags: ColourTags, seed: u32) -> Result<Picture> {
    let mut chance = Chance::new(seed);
    let by = if depth == Depth::Ten { 4 } else { 1 };
    let mut plane = |w: u32, h: u32, low: u32, high: u32| -> Vec<u16> {
        let value = |i: u32| {
            let (x, y) = (i % w, i / w);
            let ramp = (high - low) * x / w;
            let v = match (x / 13 + y / 9) % 4 {
                0 => ramp,
                1 => high - low - ramp,
                2 => chance.byte() * (high - low) / 255,
                _ => (x + y) % 2 * (high - low),
            };
            ((low + v) * by) as u16
        };
        (0..w * h).map(value).collect()
    };
    let (w, h) = size;
    let planes = [plane(w, h, 16, 235), plane(w / 2, h / 2, 80, 180), plane(w / 2, h / 2, 70, 190)];
    Ok(if depth == Depth::Ten {
        Picture::from_planes10(w, h, tags, planes)?
    } else {
        let bytes = planes.map(|plane| plane.into_iter().map(|v| v as u8).collect());
        Picture::from_planes8(w, h, tags, bytes)?
    })
}

/// Blobs of ink with coverage.
pub fn ink(w: u32, h: u32, tags: ColourTags) -> Result<Picture> {
    let pixel = |i: u32| {
        let (x, y) = (i % w, i / w);
        let a = if (x / 17 + y / 11) % 3 == 0 { (x * 9).min(255) as u8 } else { 0 };
        [(x * 5) as u8, (y * 8) as u8, 200, a]
    };
    let rgba: Vec<u8> = (0..w * h).flat_map(pixel).collect();
    Ok(Picture::from_rgba(w, h, &rgba, tags)?)
}

/// A colour table of 33 points a side.
pub fn table() -> Result<std::sync::Arc<rushes::render::lut::CubeLut>> {
    let mut text = String::from("LUT_3D_SIZE 33\n");
    for i in 0..33 * 33 * 33 {
        let [r, g, b] = [i % 33, i / 33 % 33, i / 1089].map(|v| f64::from(v) / 32.0);
        text += &format!("{} {} {}\n", r.powf(0.9), 0.1 + 0.7 * g + 0.2 * r * b, 1.0 - 0.9 * b);
    }
    Ok(std::sync::Arc::new(rushes::render::lut::CubeLut::parse(&text)?))
}
