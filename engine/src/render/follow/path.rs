//! From where the subject seems to be to where the picture is cut: one direction at a time.
//!
//! All of a clip is known before its first frame, so every step looks ahead as far as back and none
//! lags: a median over what was seen, a dead zone run in both directions, a limit on speed, and an
//! average over time, which limits acceleration.

/// How the cut may move, in shares of the picture's width (or height).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounds {
    /// The subject may wander so far without the cut following.
    pub still: f64,
    /// The fastest, a second.
    pub speed: f64,
    /// The most by which the speed changes, a second.
    pub acceleration: f64,
}

/// Something seen: where, and how sure it is, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sight {
    pub place: f64,
    pub sure: f64,
}

/// Sights less sure than this say nothing.
const LEAST: f64 = 0.15;
/// Seconds over which the median is taken.
const STEADY: f64 = 0.75;

/// The way of the cut's middle, one place for each sight, `step` seconds apart. Its speed and
/// acceleration (differences of one and two steps) keep to `bounds`; where nothing was seen at all it
/// is `otherwise`, and where nothing is seen for a while it stays where it was.
pub(super) fn path(sights: &[Sight], step: f64, otherwise: f64, bounds: &Bounds) -> Vec<f64> {
    let seen = filled(sights, otherwise);
    let steady = median(&seen, (STEADY / step / 2.0).round() as usize);
    // The dead zone trails the subject by its width; run backwards it leads by as much.
    let (ahead, behind) = (slack(steady.iter(), bounds.still), {
        let mut made = slack(steady.iter().rev(), bounds.still);
        made.reverse();
        made
    });
    let middle: Vec<f64> = ahead.iter().zip(&behind).map(|(a, b)| (a + b) / 2.0).collect();
    let slow = limited(&middle, bounds.speed * step);
    // The average over `T` of something no faster than `v` does not change speed by more than `2v / T`.
    let reach = (bounds.speed / bounds.acceleration / step).ceil() as usize;
    average(&slow, reach)
}

/// What was not seen: as before it, or as behind it at the start.
fn filled(sights: &[Sight], otherwise: f64) -> Vec<f64> {
    let sure = |sight: &&Sight| sight.sure >= LEAST && sight.place.is_finite();
    let mut last = sights.iter().find(sure).map_or(otherwise, |sight| sight.place);
    sights
        .iter()
        .map(|sight| {
            if sure(&sight) {
                last = sight.place;
            }
            last
        })
        .collect()
}

/// The median over `reach` values on either side: what is seen for an instant is no subject.
fn median(values: &[f64], reach: usize) -> Vec<f64> {
    let around = |i: usize| {
        // As many on both sides, so that the ends do not lean inwards.
        let reach = reach.min(i).min(values.len() - 1 - i);
        let mut near = values[i - reach..=i + reach].to_vec();
        near.sort_unstable_by(f64::total_cmp);
        near[reach]
    };
    (0..values.len()).map(around).collect()
}

/// Stays until the value is `still` away, then keeps that distance. It begins in the middle of what the
/// first values span, as long as that is no more than it would stay in anyway.
fn slack<'a>(values: impl Iterator<Item = &'a f64> + Clone, still: f64) -> Vec<f64> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.clone() {
        let (lower, higher) = (low.min(*value), high.max(*value));
        if higher - lower > 2.0 * still {
            break;
        }
        (low, high) = (lower, higher);
    }
    let mut at = (low + high) / 2.0;
    values
        .map(|value| {
            at = at.clamp(value - still, value + still);
            at
        })
        .collect()
}

/// The middle between the lowest and the highest curves that are no steeper than `most` a step and
/// lie on either side of `values`: as steep at most, and no new turns.
fn limited(values: &[f64], most: f64) -> Vec<f64> {
    let bound = |better: fn(f64, f64) -> f64, by: f64| {
        let mut made = values.to_vec();
        for i in 1..made.len() {
            made[i] = better(made[i], made[i - 1] + by);
        }
        for i in (1..made.len()).rev() {
            made[i - 1] = better(made[i - 1], made[i] + by);
        }
        made
    };
    let (low, high) = (bound(f64::min, most), bound(f64::max, -most));
    low.iter().zip(&high).map(|(a, b)| (a + b) / 2.0).collect()
}

/// The mean over `reach` values on either side; beyond the ends they go on as they are there.
fn average(values: &[f64], reach: usize) -> Vec<f64> {
    let Some(last) = values.len().checked_sub(1) else { return Vec::new() };
    let width = (2 * reach + 1) as f64;
    let at = |i: i64| values[i.clamp(0, last as i64) as usize];
    let reach = reach as i64;
    (0..=last as i64).map(|i| (i - reach..=i + reach).map(at).sum::<f64>() / width).collect()
}
