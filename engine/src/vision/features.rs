//! What a frame looks like, as numbers; and which frame of a shot to show.
//!
//! [`FeatureSink`] is a consumer of frames: attach it with any policy, then choose with
//! [`representatives`].

use super::shots::Shot;
use crate::error::Result;
use crate::media::{FrameSink, Picked, PictureConverter, PictureSize, SmallPicture};
use crate::time::Timestamp;
use image::RgbImage;
use serde::Serialize;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

/// Width that frames are judged at; sharpness is comparable only at one size.
const WIDTH: NonZeroU32 = match NonZeroU32::new(320) {
    Some(width) => width,
    None => NonZeroU32::MIN,
};
/// Mean luma below which a frame is black, of 255.
const BLACK: f32 = 12.0;
/// Motion below which a frame is the one before, in code values.
const FREEZE: f32 = 0.1;
/// Fingerprints nearer than this, in bits of 64, are of pictures that look the same.
const SAME: u32 = 8;

/// What a frame looks like.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FrameFeatures {
    /// Mean luma, 0 to 1.
    pub brightness: f32,
    /// Standard deviation of the luma, 0 to 0.5.
    pub contrast: f32,
    /// Colourfulness after Hasler and Süsstrunk (2003): 0 for grey, about 100 for garish.
    pub colourfulness: f32,
    /// Variance of the luma's Laplacian (4 neighbours) at 320 pixels' width, in squared code values.
    pub sharpness: f32,
    /// Mean difference to the frame before among those asked for, 0 to 1; none for the first.
    pub motion: Option<f32>,
    /// Whether it shows nothing but black.
    pub black: bool,
    /// Whether it is the frame before once more.
    pub frozen: bool,
    /// Shares of the picture that are black bars.
    pub bars: Bars,
    /// Difference hash (dHash) of 64 bits: pictures that look the same differ in few.
    pub fingerprint: u64,
}

/// Black bars, as shares of height or width.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bars {
    /// Above the picture.
    pub top: f32,
    /// Below it.
    pub bottom: f32,
    /// To its left.
    pub left: f32,
    /// To its right.
    pub right: f32,
}

/// A frame that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// When it is shown.
    pub time: Timestamp,
    /// What it looks like.
    pub features: FrameFeatures,
}

impl FrameFeatures {
    /// What `picture` looks like by itself: no motion, not frozen.
    pub fn of(picture: &RgbImage) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let count = ((width * height) as f32).max(1.0);
        let luma: Vec<f32> = picture
            .pixels()
            .map(|p| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]))
            .collect();
        let (mean, deviation) = spread(luma.iter().copied());
        let opponents = |f: fn(f32, f32, f32) -> f32| {
            spread(picture.pixels().map(|p| f(p[0].into(), p[1].into(), p[2].into())))
        };
        let (red_mean, red_spread) = opponents(|r, g, _| r - g);
        let (blue_mean, blue_spread) = opponents(|r, g, b| 0.5 * (r + g) - b);
        let colourfulness = red_spread.hypot(blue_spread) + 0.3 * red_mean.hypot(blue_mean);
        let at = |x: usize, y: usize| luma.get(y * width + x).copied().unwrap_or(0.0);
        let inner = (1..height.saturating_sub(1))
            .flat_map(|y| (1..width.saturating_sub(1)).map(move |x| (x, y)));
        let edges = inner.map(|(x, y)| {
            at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1) - 4.0 * at(x, y)
        });
        let sharpness = spread(edges).1.powi(2);
        let black = mean < BLACK;
        Self {
            brightness: mean / 255.0,
            contrast: deviation / 255.0,
            colourfulness,
            sharpness,
            motion: None,
            black,
            frozen: false,
            bars: if black || count < 2.0 { Bars::default() } else { bars(&luma, width, height) },
            fingerprint: fingerprint(&luma, width, height),
        }
    }

    /// How well it would stand for its shot: sharp, neither dark nor burnt out. 0 and more.
    pub fn worth(&self) -> f32 {
        if self.black {
            return 0.0;
        }
        // Full marks from a quarter to three quarters of the range.
        let exposure = (self.brightness.min(1.0 - self.brightness) / 0.25).clamp(0.0, 1.0);
        self.sharpness.sqrt() * exposure * (0.2 + self.contrast)
    }
}

/// Mean and standard deviation.
fn spread(values: impl Iterator<Item = f32>) -> (f32, f32) {
    let (mut sum, mut squares, mut count) = (0.0_f64, 0.0_f64, 0.0_f64);
    for value in values {
        let value = f64::from(value);
        sum += value;
        squares += value * value;
        count += 1.0;
    }
    let mean = sum / count.max(1.0);
    (mean as f32, (squares / count.max(1.0) - mean * mean).max(0.0).sqrt() as f32)
}

/// Rows and columns at the edges of which no pixel but a few is more than nearly black.
fn bars(luma: &[f32], width: usize, height: usize) -> Bars {
    let dark = |values: &mut dyn Iterator<Item = f32>, count: usize| {
        values.filter(|v| *v > 20.0).count() * 50 <= count
    };
    let row = |y: usize| dark(&mut luma[y * width..(y + 1) * width].iter().copied(), width);
    let column = |x: usize| dark(&mut (0..height).map(|y| luma[y * width + x]), height);
    let share = |run: usize, of: usize| run as f32 / of.max(1) as f32;
    Bars {
        top: share((0..height).take_while(|y| row(*y)).count(), height),
        bottom: share((0..height).rev().take_while(|y| row(*y)).count(), height),
        left: share((0..width).take_while(|x| column(*x)).count(), width),
        right: share((0..width).rev().take_while(|x| column(*x)).count(), width),
    }
}

/// dHash (Krawetz 2013): whether each of 8 × 8 cells is brighter than its right neighbour.
fn fingerprint(luma: &[f32], width: usize, height: usize) -> u64 {
    let cell = |column: usize, row: usize| {
        let xs = column * width / 9..((column + 1) * width / 9).max(column * width / 9 + 1);
        let ys = row * height / 8..((row + 1) * height / 8).max(row * height / 8 + 1);
        let count = (xs.len() * ys.len()).max(1) as f32;
        let values = ys.flat_map(|y| xs.clone().map(move |x| y * width + x));
        values.filter_map(|i| luma.get(i)).sum::<f32>() / count
    };
    let bits = (0..64).map(|i| cell(i % 8, i / 8) > cell(i % 8 + 1, i / 8));
    bits.fold(0, |hash, bit| hash << 1 | u64::from(bit))
}

/// Looks at the frames of a request.
#[derive(Default)]
pub struct FeatureSink {
    samples: Mutex<BTreeMap<u64, Kept>>,
}

struct Kept {
    sample: Sample,
    /// Until the frame behind it has been compared with it.
    small: Option<SmallPicture>,
}

impl FeatureSink {
    /// The samples in order of time.
    pub fn into_samples(self) -> Vec<Sample> {
        let samples = self.samples.into_inner().unwrap_or_else(PoisonError::into_inner);
        samples.into_values().map(|kept| kept.sample).collect()
    }
}

impl FrameSink for FeatureSink {
    fn frame(&self, picked: Picked<'_>, converter: &mut PictureConverter) -> Result<()> {
        let picture = converter.convert(picked.frame, PictureSize::Width(WIDTH))?;
        let small = converter.small(picked.frame)?;
        let sample = Sample { time: picked.frame.time(), features: FrameFeatures::of(&picture) };
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.insert(picked.n, Kept { sample, small: Some(small) });
        // Frames come in no set order: each pair is compared when its second one is there.
        for n in [picked.n, picked.n + 1] {
            let Some(before) = n.checked_sub(1).and_then(|n| samples.get(&n)?.small.clone()) else {
                continue;
            };
            let Some(kept) = samples.get_mut(&n) else { continue };
            let Some(small) = &kept.small else { continue };
            let pairs = before.luma().iter().zip(small.luma());
            let apart: u32 = pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
            let motion = apart as f32 / small.luma().len() as f32;
            kept.sample.features.motion = Some(motion / 255.0);
            kept.sample.features.frozen = motion < FREEZE;
            // It has been compared with both its neighbours once the next one is there as well.
            let settled = n.checked_sub(1).is_some_and(|before| {
                before == 0
                    || samples.get(&before).is_some_and(|k| k.sample.features.motion.is_some())
            });
            if settled && let Some(kept) = n.checked_sub(1).and_then(|n| samples.get_mut(&n)) {
                kept.small = None;
            }
        }
        Ok(())
    }
}

/// For each shot the sample that shows it best, by its place in `samples` (in order of time): the
/// sharpest well-exposed one. `None` where a shot has no sample, none but black ones, or looks like
/// a shot before it.
pub fn representatives(shots: &[Shot], samples: &[Sample]) -> Vec<Option<usize>> {
    let mut shown: Vec<u64> = Vec::new();
    shots
        .iter()
        .map(|shot| {
            let from = samples.partition_point(|sample| sample.time < shot.start);
            let to = samples.partition_point(|sample| sample.time < shot.end);
            let worth = |i: &usize| samples[*i].features.worth();
            let best = (from..to.max(from)).max_by(|a, b| worth(a).total_cmp(&worth(b)))?;
            let features = &samples[best].features;
            let seen = shown.iter().any(|f| (f ^ features.fingerprint).count_ones() < SAME);
            if features.black || seen {
                return None;
            }
            shown.push(features.fingerprint);
            Some(best)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::shots::Transition;
    use image::Rgb;

    fn chequered(cell: u32, dark: u8, light: u8) -> RgbImage {
        RgbImage::from_fn(320, 180, |x, y| {
            let v = if (x / cell + y / cell).is_multiple_of(2) { dark } else { light };
            Rgb([v, v, v])
        })
    }

    #[test]
    fn known_pictures_have_known_features() {
        let grey = FrameFeatures::of(&RgbImage::from_pixel(320, 180, Rgb([51, 51, 51])));
        assert!((grey.brightness - 0.2).abs() < 1e-4);
        assert!(grey.contrast < 1e-3 && grey.colourfulness < 1e-2 && grey.sharpness < 1e-2);
        assert!(FrameFeatures::of(&RgbImage::new(320, 180)).black);
        let half = FrameFeatures::of(&chequered(10, 0, 255));
        assert!((half.contrast - 0.5).abs() < 1e-3, "{half:?}");
        // Red and blue halves: rg is ±255, yb is 127.5 and -255.
        let two =
            RgbImage::from_fn(
                320,
                180,
                |x, _| {
                    if x < 160 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) }
                },
            );
        let (rg, yb) = ((127.5_f32, 127.5_f32), (-63.75_f32, 191.25_f32));
        let expected = rg.1.hypot(yb.1) + 0.3 * rg.0.hypot(yb.0);
        assert!((FrameFeatures::of(&two).colourfulness - expected).abs() < 0.1);
    }

    #[test]
    fn bars_are_measured() {
        let boxed = RgbImage::from_fn(320, 180, |_, y| {
            if (18..162).contains(&y) { Rgb([120, 90, 60]) } else { Rgb([0, 0, 0]) }
        });
        let bars = FrameFeatures::of(&boxed).bars;
        assert_eq!((bars.top, bars.bottom, bars.left, bars.right), (0.1, 0.1, 0.0, 0.0));
    }

    #[test]
    fn the_sharpest_frame_stands_for_its_shot_and_is_shown_once() {
        let sample = |secs, picture: &RgbImage| Sample {
            time: Timestamp::from_secs(secs),
            features: FrameFeatures::of(picture),
        };
        let shot = |from, to| Shot {
            start: Timestamp::from_secs(from),
            end: Timestamp::from_secs(to),
            entered_by: Transition::Cut,
            confidence: 1.0,
        };
        let samples = [
            sample(0, &RgbImage::new(320, 180)),
            sample(1, &chequered(40, 100, 140)),
            sample(2, &chequered(40, 40, 220)),
            sample(3, &chequered(40, 40, 220)),
            sample(4, &RgbImage::new(320, 180)),
        ];
        let shots = [shot(0, 3), shot(3, 4), shot(4, 5), shot(5, 6)];
        assert_eq!(representatives(&shots, &samples), [Some(2), None, None, None]);
    }

    #[test]
    fn tiny_pictures_are_looked_at_too() {
        for (width, height) in [(1, 1), (2, 1), (1, 3)] {
            FrameFeatures::of(&RgbImage::from_pixel(width, height, Rgb([200, 10, 10])));
        }
    }
}
