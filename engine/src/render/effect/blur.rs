//! Gaussian blur, as a resize to the same size with a wider filter.

use crate::render::compose::{Plane, Planes, Sample, Yuv, smooth};

/// From this standard deviation on a blur is done on a smaller picture.
const WIDE: f64 = 8.0;

/// By how much a picture may shrink before it is blurred so; `None` where it should not.
pub(crate) fn small_enough(sigma: f64) -> Option<f64> {
    // A standard deviation of 4 is left: the cubic that enlarges again is as good as exact then.
    (sigma >= WIDE).then_some(sigma / 4.0)
}

/// Blurs all planes; coverage too.
pub(crate) fn blur(planes: &mut Planes, sigma: f64) {
    match planes {
        Planes::Eight(yuv) => self::planes(yuv, sigma),
        Planes::Ten(yuv) => self::planes(yuv, sigma),
    }
}

/// Blurs `yuv` by a standard deviation of `sigma` luma samples; chroma by half as many of its own.
pub(crate) fn planes<T: Sample>(yuv: &mut Yuv<T>, sigma: f64) {
    if sigma.is_nan() || sigma <= 0.05 {
        return;
    }
    let sigma = sigma.min(100.0);
    let [y, u, v] = &mut yuv.planes;
    let mut all: Vec<(&mut Plane<T>, f64)> = vec![(y, sigma), (u, sigma / 2.0), (v, sigma / 2.0)];
    if let Some(alpha) = &mut yuv.alpha {
        all.push((&mut alpha.luma, sigma));
        all.push((&mut alpha.chroma, sigma / 2.0));
    }
    for (plane, sigma) in all {
        *plane = smooth(plane, sigma);
    }
}

/// Adds `amount` of luma's difference to itself blurred.
pub(crate) fn sharpen<T: Sample>(yuv: &mut Yuv<T>, amount: f64, sigma: f64) {
    if !(amount.is_finite() && sigma > 0.05) {
        return;
    }
    let luma = &mut yuv.planes[0];
    let soft = smooth(luma, sigma.min(100.0));
    // Premultiplied luma may not pass its coverage; where all is covered that is the code's end.
    let amount = (amount.clamp(-1.0, 10.0) * 256.0).round() as i32;
    for (value, soft) in luma.data.iter_mut().zip(&soft.data) {
        let own = value.to_i32();
        *value = T::from_i32(own + (((own - soft.to_i32()) * amount + 128) >> 8));
    }
}
