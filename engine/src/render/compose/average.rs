//! Pictures of one shape averaged, for frames that stand for several.

use super::picture::{Picture, Plane, Planes, Yuv};
use super::sample::Sample;
use crate::error::{Error, ErrorKind, Result, Stage};

/// Weights add up to this: a code value times it stays inside 32 bits.
const WHOLE: i64 = 1 << 16;

/// The mean of opaque pictures of one shape, each by its share (any positive unit). Code values are
/// averaged as they are, as ffmpeg's `minterpolate` and `tmix` do, and rounded once.
///
/// # Errors
/// [`ErrorKind::Internal`] for pictures of different shapes, and where there are none.
pub fn average(pictures: &[(&Picture, i64)]) -> Result<Picture> {
    let weights = weights(pictures.iter().map(|(_, share)| *share));
    let [(first, _), ..] = pictures else { return Err(unlike()) };
    let like = |other: &Picture| {
        (other.width(), other.height(), other.tags, other.depth())
            == (first.width(), first.height(), first.tags, first.depth())
            && !other.has_alpha()
    };
    if !pictures.iter().all(|(picture, _)| like(picture)) {
        return Err(unlike());
    }
    let mut made = (*first).clone();
    match &mut made.planes {
        Planes::Eight(to) => mean(
            to,
            &weights,
            pictures.iter().map(|(p, _)| match &p.planes {
                Planes::Eight(yuv) => Some(yuv),
                Planes::Ten(_) => None,
            }),
        ),
        Planes::Ten(to) => mean(
            to,
            &weights,
            pictures.iter().map(|(p, _)| match &p.planes {
                Planes::Ten(yuv) => Some(yuv),
                Planes::Eight(_) => None,
            }),
        ),
    }
    Ok(made)
}

fn unlike() -> Error {
    Error::new(
        ErrorKind::Internal,
        Stage::Render,
        "pictures of different shapes cannot be averaged",
    )
}

/// Shares as weights that add up to [`WHOLE`]; what rounding leaves goes to the largest.
fn weights(shares: impl Iterator<Item = i64>) -> Vec<u32> {
    let shares: Vec<i128> = shares.map(|share| i128::from(share.max(0))).collect();
    let total = shares.iter().sum::<i128>().max(1);
    let mut made: Vec<i64> =
        shares.iter().map(|share| (share * i128::from(WHOLE) / total) as i64).collect();
    let rest = WHOLE - made.iter().sum::<i64>();
    if let Some(most) = made.iter_mut().max_by_key(|weight| **weight) {
        *most += rest;
    }
    made.into_iter().map(|weight| u32::try_from(weight).unwrap_or(0)).collect()
}

fn mean<'a, T: Sample>(
    to: &mut Yuv<T>,
    weights: &[u32],
    pictures: impl Iterator<Item = Option<&'a Yuv<T>>>,
) {
    let pictures: Vec<&Yuv<T>> = pictures.flatten().collect();
    for (i, plane) in to.planes.iter_mut().enumerate() {
        // A strip at a time, so that sums stay in the cache.
        const STRIP: usize = 4096;
        let mut sums = [0u32; STRIP];
        let Plane { data, .. } = plane;
        for (n, strip) in data.chunks_mut(STRIP).enumerate() {
            let sums = &mut sums[..strip.len()];
            sums.fill(1 << 15);
            for (picture, weight) in pictures.iter().zip(weights) {
                let from = &picture.planes[i].data[n * STRIP..][..strip.len()];
                for (sum, sample) in sums.iter_mut().zip(from) {
                    *sum += sample.to_i32().unsigned_abs() * weight;
                }
            }
            for (sample, sum) in strip.iter_mut().zip(sums.iter()) {
                *sample = T::from_i32((*sum >> 16).cast_signed());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ColourTags, Depth};
    use super::*;

    fn grey(depth: Depth, luma: i32) -> Picture {
        let mut made = Picture::new(6, 4, depth, ColourTags::BT709, false).unwrap();
        match &mut made.planes {
            Planes::Eight(yuv) => yuv.planes[0].data.fill(luma as u8),
            Planes::Ten(yuv) => yuv.planes[0].data.fill(luma as u16),
        }
        made
    }

    fn luma(picture: &Picture) -> i32 {
        match &picture.planes {
            Planes::Eight(yuv) => i32::from(yuv.planes[0].data[5]),
            Planes::Ten(yuv) => i32::from(yuv.planes[0].data[5]),
        }
    }

    #[test]
    fn means_are_exact_and_rounded_once() {
        for depth in [Depth::Eight, Depth::Ten] {
            let [a, b, c] = [16, 101, 235].map(|luma| grey(depth, luma));
            for shares in [[1, 1, 1], [3, 0, 1], [0, 7, 0], [1, 2, 3], [512, 511, 1]] {
                let wanted = [16.0, 101.0, 235.0].iter().zip(shares).map(|(v, s)| v * s as f64);
                let wanted = wanted.sum::<f64>() / shares.iter().sum::<i64>() as f64;
                let [x, y, z] = shares;
                let made = average(&[(&a, x), (&b, y), (&c, z)]).unwrap();
                assert!((f64::from(luma(&made)) - wanted).abs() <= 0.51, "{shares:?}");
            }
            assert_eq!(average(&[(&a, 1), (&a, 2), (&a, 5)]).unwrap(), a);
        }
        assert!(average(&[]).is_err());
        assert!(average(&[(&grey(Depth::Eight, 3), 1), (&grey(Depth::Ten, 3), 1)]).is_err());
    }
}
