//! What frames and shots look like, as numbers.

use crate::media::SmallPicture;
use crate::time::Timestamp;
use image::RgbImage;
use serde::Serialize;

/// Width that frames are judged at; sharpness is comparable only at one size.
const WIDTH: u32 = 320;
/// Mean luma below which a frame is black, of 255.
const BLACK: f32 = 12.0;
/// Motion below which a frame is the one before, in code values.
const FREEZE: f32 = 0.1;
/// Fingerprints nearer than this, in bits of 64, are of pictures that may look the same.
const SAME_BITS: u32 = 8;
/// Neighbouring cells of a fingerprint that differ by less, in code values, are of one brightness.
const FLAT: f32 = 2.0;
/// A cell of the small luma that moved by more than this is another.
const SAME_LUMA: u8 = 16;
/// So many cells of 1296 may be others. A line of text is about twenty.
const SAME_CELLS: usize = 4;

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
    /// Mean difference of the luma to the sample before, 0 to 1; none for the first. It grows with
    /// the time between them: compare it within a film.
    pub motion: Option<f32>,
    /// Whether it shows nothing but black.
    pub black: bool,
    /// Whether it is the sample before once more.
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

/// dHash (Krawetz 2013): whether each of 8 × 8 cells is brighter than its right neighbour, by more
/// than noise makes it in a flat picture.
fn fingerprint(luma: &[f32], width: usize, height: usize) -> u64 {
    let cell = |column: usize, row: usize| {
        let xs = column * width / 9..((column + 1) * width / 9).max(column * width / 9 + 1);
        let ys = row * height / 8..((row + 1) * height / 8).max(row * height / 8 + 1);
        let count = (xs.len() * ys.len()).max(1) as f32;
        let values = ys.flat_map(|y| xs.clone().map(move |x| y * width + x));
        values.filter_map(|i| luma.get(i)).sum::<f32>() / count
    };
    let bits = (0..64).map(|i| cell(i % 8, i / 8) > cell(i % 8 + 1, i / 8) + FLAT);
    bits.fold(0, |hash, bit| hash << 1 | u64::from(bit))
}

/// A sample, with what comparing it to others needs.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When it is shown.
    pub time: Timestamp,
    /// What it looks like.
    pub features: FrameFeatures,
    /// Its luma at 48 × 27 ([`SmallPicture::luma`]).
    pub(super) luma: Box<[u8]>,
}

impl Sample {
    /// A frame shown at `time`, as a picture of any size and as a small one.
    pub fn new(time: Timestamp, picture: &RgbImage, small: &SmallPicture) -> Self {
        let (width, height) = picture.dimensions();
        let features = if width > WIDTH {
            let high = (u64::from(height) * u64::from(WIDTH) / u64::from(width)).max(1) as u32;
            FrameFeatures::of(&image::imageops::thumbnail(picture, WIDTH, high))
        } else {
            FrameFeatures::of(picture)
        };
        Self { time, features, luma: small.luma().into() }
    }

    /// Whether it shows nearly the same as `other`: few bits of the fingerprint differ, and hardly
    /// a cell of the luma. The fingerprint alone takes two slides of one design for the same.
    pub fn is_like(&self, other: &Self) -> bool {
        let (bits, cells) = self.apart(other);
        bits < SAME_BITS && cells <= SAME_CELLS
    }

    /// How far both are apart: bits of 64 of the fingerprint, and cells of 1296 whose luma differs by
    /// more than noise does.
    pub fn apart(&self, other: &Self) -> (u32, usize) {
        let bits = (self.features.fingerprint ^ other.features.fingerprint).count_ones();
        let moved = |(a, b): &(&u8, &u8)| a.abs_diff(**b) > SAME_LUMA;
        (bits, self.luma.iter().zip(&other.luma).filter(moved).count())
    }
}

/// Compares each of `samples`, which come in order of time, with the one before: sets motion and
/// whether it is frozen.
pub fn compare(samples: &mut [Sample]) {
    for i in 1..samples.len() {
        let (before, now) = (&samples[i - 1].luma, &samples[i].luma);
        let apart: u32 = before.iter().zip(now).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        let motion = apart as f32 / now.len().max(1) as f32;
        samples[i].features.motion = Some(motion / 255.0);
        samples[i].features.frozen = motion < FREEZE;
    }
}

/// What the samples of a shot have in common.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ShotFeatures {
    /// Mean of the samples' brightness.
    pub brightness: f32,
    /// Mean of their contrast.
    pub contrast: f32,
    /// Mean of their colourfulness.
    pub colourfulness: f32,
    /// Sharpness of the sharpest.
    pub sharpness: f32,
    /// Mean motion between samples of the shot; none for one with a single sample.
    pub motion: Option<f32>,
    /// Share of its samples that are black.
    pub black: f32,
    /// Share of its samples, but the first, that are the sample before once more.
    pub frozen: f32,
    /// Bars that all samples have which are not black.
    pub bars: Bars,
}

impl ShotFeatures {
    /// Of the samples of one shot, in order of time and compared; `None` without any.
    pub fn of(samples: &[Sample]) -> Option<Self> {
        let features = || samples.iter().map(|sample| &sample.features);
        let count = samples.len() as f32;
        let mean = |of: fn(&FrameFeatures) -> f32| features().map(of).sum::<f32>() / count;
        let behind = samples.len().checked_sub(1)?;
        let moved: Vec<f32> = features().skip(1).filter_map(|f| f.motion).collect();
        let seen = || features().filter(|f| !f.black).map(|f| f.bars);
        let least = |of: fn(Bars) -> f32| seen().map(of).reduce(f32::min).unwrap_or(0.0);
        Some(Self {
            brightness: mean(|f| f.brightness),
            contrast: mean(|f| f.contrast),
            colourfulness: mean(|f| f.colourfulness),
            sharpness: features().map(|f| f.sharpness).fold(0.0, f32::max),
            motion: (!moved.is_empty()).then(|| moved.iter().sum::<f32>() / moved.len() as f32),
            black: features().filter(|f| f.black).count() as f32 / count,
            frozen: features().skip(1).filter(|f| f.frozen).count() as f32 / behind.max(1) as f32,
            bars: Bars {
                top: least(|b| b.top),
                bottom: least(|b| b.bottom),
                left: least(|b| b.left),
                right: least(|b| b.right),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn sample(secs: i64, picture: &RgbImage) -> Sample {
        let small = image::imageops::thumbnail(picture, 48, 27);
        let small = SmallPicture::from_rgb(small.as_raw());
        Sample::new(Timestamp::from_secs(secs), picture, &small)
    }

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
    fn motion_and_what_stands_still_are_measured() {
        let mut samples = [
            sample(0, &RgbImage::new(320, 180)),
            sample(1, &RgbImage::from_pixel(320, 180, Rgb([51, 51, 51]))),
            sample(2, &RgbImage::from_pixel(320, 180, Rgb([51, 51, 51]))),
            sample(3, &RgbImage::from_pixel(320, 180, Rgb([102, 102, 102]))),
        ];
        compare(&mut samples);
        let motion: Vec<_> = samples.iter().map(|s| s.features.motion).collect();
        assert_eq!(motion, [None, Some(0.2), Some(0.0), Some(0.2)]);
        let frozen: Vec<_> = samples.iter().map(|s| s.features.frozen).collect();
        assert_eq!(frozen, [false, false, true, false]);
        let shot = ShotFeatures::of(&samples).unwrap();
        assert!((shot.brightness - 0.2).abs() < 1e-4, "{shot:?}");
        assert!((shot.motion.unwrap() - 0.4 / 3.0).abs() < 1e-6, "{shot:?}");
        assert_eq!((shot.black, shot.frozen), (0.25, 1.0 / 3.0));
        assert!(ShotFeatures::of(&[]).is_none());
        assert_eq!(ShotFeatures::of(&samples[..1]).unwrap().motion, None);
    }

    #[test]
    fn a_shot_has_the_bars_that_all_its_samples_have() {
        let boxed = |rows: std::ops::Range<u32>| {
            RgbImage::from_fn(320, 180, |_, y| Rgb([if rows.contains(&y) { 99 } else { 0 }; 3]))
        };
        let samples = [sample(0, &boxed(18..162)), sample(1, &boxed(9..162))];
        let bars = ShotFeatures::of(&samples).unwrap().bars;
        assert_eq!((bars.top, bars.bottom), (0.05, 0.1));
    }

    #[test]
    fn a_line_of_text_makes_another_picture_and_noise_does_not() {
        // A slide of 320 × 180 with a bar for each line of text.
        let slide = |lines: u32, noise: u8| {
            RgbImage::from_fn(320, 180, |x, y| {
                let ink = (20..160).contains(&x) && y / 20 < lines && y % 20 > 12 && x % 3 == 0;
                let v = if ink { 40 } else { 230 };
                Rgb([v + if (x ^ y) % 2 == 0 { noise } else { 0 }; 3])
            })
        };
        let (two, three) = (sample(0, &slide(2, 0)), sample(1, &slide(3, 0)));
        assert!(two.is_like(&sample(2, &slide(2, 6))));
        assert!(!two.is_like(&three));
        let bits = two.features.fingerprint ^ three.features.fingerprint;
        assert!(bits.count_ones() < SAME_BITS, "the fingerprint alone would tell them apart");
    }

    #[test]
    fn tiny_pictures_are_looked_at_too() {
        for (width, height) in [(1, 1), (2, 1), (1, 3)] {
            FrameFeatures::of(&RgbImage::from_pixel(width, height, Rgb([200, 10, 10])));
        }
    }
}
