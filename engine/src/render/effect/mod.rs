//! Looks: what is done to a layer's samples at its size on the canvas.

mod blur;
mod grade;
mod key;
#[cfg(test)]
mod tests;
mod vignette;

pub(crate) use blur::{blur, small_enough};

pub use grade::Grade;
pub use key::ChromaKey;
pub use vignette::Vignette;

use crate::render::compose::convert::{Codes, to_rgb, to_ycc};
use crate::render::compose::{ChromaSite, ColourTags, Sample, Yuv, each_colour};
use crate::render::lut::CubeLut;
use std::sync::Arc;

/// A look.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Gaussian blur.
    Blur {
        /// Standard deviation in samples of the canvas.
        sigma: f64,
    },
    /// Edges brought out: luma's difference to a blurred copy, added.
    Sharpen {
        /// Share of the difference that is added; 0 does nothing, 1 is strong.
        amount: f64,
        /// Standard deviation of the blur in samples of the canvas.
        sigma: f64,
    },
    /// Exposure, contrast, saturation, temperature.
    Grade(Grade),
    /// A colour table, on R′G′B′.
    Lut(Arc<CubeLut>),
    /// Darker towards the corners.
    Vignette(Vignette),
    /// One colour made transparent.
    ChromaKey(ChromaKey),
}

/// What an effect may know of the layer whose visible part it is given.
pub(crate) struct View {
    /// How the samples are to be read.
    pub tags: ColourTags,
    /// Zero and span of the code values.
    pub codes: Codes,
    /// Width and height of the whole layer.
    pub layer: (f64, f64),
    /// Where the part begins in it.
    pub origin: (f64, f64),
}

/// Changes `yuv`, the visible part of a layer, in place; chroma lies at `site`.
pub(crate) fn apply<T: Sample>(effect: &Effect, yuv: &mut Yuv<T>, view: &View, site: ChromaSite) {
    match effect {
        Effect::Blur { sigma } => blur::planes(yuv, *sigma),
        Effect::Sharpen { amount, sigma } => blur::sharpen(yuv, *amount, *sigma),
        Effect::Grade(grade) => {
            let affine = grade.affine(view.tags.matrix);
            each_rgb(yuv, view, site, |rgb| affine.at(rgb));
        }
        Effect::Lut(lut) => each_rgb(yuv, view, site, |rgb| lut.at(rgb)),
        Effect::Vignette(vignette) => vignette.apply(yuv, view),
        Effect::ChromaKey(key) => key.apply(yuv, view, site),
    }
}

/// Changes each colour as R′G′B′ (0 to 1). What comes out is cut to 0 to 1.
fn each_rgb<T: Sample>(
    yuv: &mut Yuv<T>,
    view: &View,
    site: ChromaSite,
    change: impl Fn([f32; 3]) -> [f32; 3] + Sync,
) {
    let matrix = view.tags.matrix;
    let columns = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let narrow = |v: f64| v as f32;
    // Columns of both matrices; turned to rows below.
    let (back, there) = (
        columns.map(|unit| to_rgb(unit, matrix).map(narrow)),
        columns.map(|unit| to_ycc(unit, matrix).map(narrow)),
    );
    let times = |m: &[[f32; 3]; 3], v: [f32; 3]| {
        [0, 1, 2].map(|i| m[0][i] * v[0] + m[1][i] * v[1] + m[2][i] * v[2])
    };
    let pairs = [view.codes.luma, view.codes.chroma, view.codes.chroma];
    let pairs = pairs.map(|(zero, span)| (zero as f32, span as f32));
    each_colour(yuv, site, &|codes: [f32; 3]| {
        let ycc = [0, 1, 2].map(|i| (codes[i] - pairs[i].0) / pairs[i].1);
        let rgb = times(&back, ycc).map(|v| v.clamp(0.0, 1.0));
        let ycc = times(&there, change(rgb).map(|v| v.clamp(0.0, 1.0)));
        [0, 1, 2].map(|i| pairs[i].0 + pairs[i].1 * ycc[i])
    });
}
