//! Which frames stand for a shot.
//!
//! A shot is divided into stretches: a picture that stands still for two samples or more (a slide)
//! is one, whatever its length; what moves is divided in about four, but not finer than every
//! 1.5 s nor coarser than every 10 s. Of each stretch the
//! sharpest well-exposed sample stands for it ([`super::features::FrameFeatures::worth`]). One that
//! looks like another that was taken before is not looked at twice: it refers to that one.

use super::features::Sample;
use crate::time::{Span, Timestamp};

/// The shortest and the longest stretch of what moves.
const SHORTEST: Timestamp = Timestamp::from_millis(1500);
const LONGEST: Timestamp = Timestamp::from_secs(10);

/// What begins a shot stands for it only where nothing else does: a picture is sharpest before
/// what it is about has entered it.
const ENTRY: Timestamp = Timestamp::from_millis(400);

/// A frame that stands for a stretch of a shot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Representative {
    /// Its place among the samples.
    pub sample: usize,
    /// The place of its shot.
    pub shot: usize,
    /// What it stands for; all that its shot shows, with its other representatives.
    pub span: Span,
    /// The sample whose picture serves for it, itself unless it looks like an earlier one.
    pub picture: usize,
}

/// The frames that stand for `shots`, by `samples`; both in order of time. A stretch of black has
/// none, and neither has a shot without samples.
pub fn representatives(shots: &[Span], samples: &[Sample]) -> Vec<Representative> {
    let mut chosen: Vec<Representative> = Vec::new();
    let mut pictures: Vec<usize> = Vec::new();
    for (n, shot) in shots.iter().enumerate() {
        let from = samples.partition_point(|sample| sample.time < shot.start);
        let to = samples.partition_point(|sample| sample.time < shot.end).max(from);
        let length = shot.duration().times(1, 4).clamp(SHORTEST, LONGEST);
        let stretches = divide(&samples[from..to], length);
        for (i, stretch) in stretches.iter().enumerate() {
            let start = if i == 0 { shot.start } else { samples[from + stretch.start].time };
            let end = stretches.get(i + 1).map_or(shot.end, |next| samples[from + next.start].time);
            let (first, last) = (from + stretch.start, from + stretch.end);
            let inside = samples.partition_point(|sample| sample.time < shot.start.plus(ENTRY));
            let first = if inside < last { first.max(inside) } else { first };
            let Some(sample) = best(samples, first..last) else { continue };
            let Some(span) = Span::new(start, end) else { continue };
            let like = pictures.iter().find(|seen| samples[**seen].is_like(&samples[sample]));
            let picture = like.copied().unwrap_or(sample);
            if picture == sample {
                pictures.push(sample);
            }
            chosen.push(Representative { sample, shot: n, span, picture });
        }
    }
    chosen
}

/// The first of the worthiest; `None` where all are black.
fn best(samples: &[Sample], range: std::ops::Range<usize>) -> Option<usize> {
    let seen = range.filter(|i| !samples[*i].features.black);
    let worth = |i: usize| samples[i].features.worth();
    seen.reduce(|best, i| if worth(i) > worth(best) { i } else { best })
}

/// Divides the samples of one shot; what moves into stretches of this length.
fn divide(samples: &[Sample], length: Timestamp) -> Vec<std::ops::Range<usize>> {
    let mut stretches: Vec<std::ops::Range<usize>> = Vec::new();
    let mut still_before = true;
    let mut i = 0;
    while i < samples.len() {
        let like = samples[i + 1..].iter().take_while(|next| next.is_like(&samples[i])).count();
        let still = like > 0;
        match stretches.last_mut() {
            Some(open)
                if !still
                    && !still_before
                    && samples[i].time < samples[open.start].time.plus(length) =>
            {
                open.end = i + 1;
            }
            _ => stretches.push(i..i + 1 + like),
        }
        still_before = still;
        i += 1 + like;
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::SmallPicture;
    use image::{Rgb, RgbImage, imageops};

    /// Chequers of `cell` pixels between two greys.
    fn sample(secs: i64, cell: u32, dark: u8, light: u8) -> Sample {
        let picture = RgbImage::from_fn(320, 180, |x, y| {
            Rgb([if (x / cell + y / cell).is_multiple_of(2) { dark } else { light }; 3])
        });
        let small = SmallPicture::from_rgb(imageops::thumbnail(&picture, 48, 27).as_raw());
        Sample::new(Timestamp::from_secs(secs), &picture, &small)
    }

    fn span(from: i64, to: i64) -> Span {
        Span::new(Timestamp::from_secs(from), Timestamp::from_secs(to)).unwrap()
    }

    #[test]
    fn the_sharpest_frame_stands_for_its_shot_and_its_picture_is_kept_once() {
        let samples = [
            sample(0, 40, 0, 0),
            sample(1, 40, 100, 140),
            sample(2, 40, 40, 220),
            sample(12, 40, 40, 220),
            sample(16, 40, 0, 0),
        ];
        let shots = [span(0, 12), span(12, 16), span(16, 20), span(20, 24)];
        let chosen = representatives(&shots, &samples);
        let expected = [(2, 0, 2), (3, 1, 2)];
        let chosen: Vec<_> = chosen.iter().map(|r| (r.sample, r.shot, r.picture)).collect();
        assert_eq!(chosen, expected);
    }

    #[test]
    fn a_slide_is_one_stretch_and_what_moves_is_divided() {
        let mut samples: Vec<Sample> = (0..30).map(|i| sample(i, 40, 20, 230)).collect();
        samples.extend((30..55).map(|i| sample(i, 8 + i as u32, 20, 230)));
        let chosen = representatives(&[span(0, 55)], &samples);
        let spans: Vec<Span> = chosen.iter().map(|r| r.span).collect();
        assert_eq!(spans, [span(0, 30), span(30, 40), span(40, 50), span(50, 55)]);
        // A short shot is divided more finely.
        let chosen = representatives(&[span(30, 38)], &samples);
        let spans: Vec<Span> = chosen.iter().map(|r| r.span).collect();
        assert_eq!(spans, [span(30, 32), span(32, 34), span(34, 36), span(36, 38)]);
    }

    #[test]
    fn a_picture_seen_before_stands_for_the_later_stretch_too() {
        let of = |i: i64| sample(i, if (10..20).contains(&i) { 20 } else { 40 }, 20, 230);
        let samples: Vec<Sample> = (0..30).map(of).collect();
        let chosen = representatives(&[span(0, 30)], &samples);
        let found: Vec<_> = chosen.iter().map(|r| (r.span, r.picture)).collect();
        assert_eq!(found, [(span(0, 10), 1), (span(10, 20), 10), (span(20, 30), 1)]);
    }
}
