//! Whether a group of pictures must be decoded to know its shots: judged by the keyframes at its
//! ends and by how many bytes each picture between them took.
//!
//! A picture that cannot be predicted from those around it is coded almost like a keyframe, so a
//! cut shows as a spike in the sizes, and a gradual change as a rise.

use super::difference::{difference, moved_difference, palette_distance};
use super::fade::blank;
use crate::media::SmallPicture;
use serde::Serialize;

/// What leads to leaving a group out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SkipSettings {
    /// A picture this many times as large as most of its group is a spike, if it is also
    /// `spike_of_key` of the smaller keyframe.
    pub spike: f32,
    /// See `spike`.
    pub spike_of_key: f32,
    /// Sizes that rise by this factor over some pictures are a rise.
    pub rise: f32,
    /// Keyframes this near are alike, in code values of very small pictures.
    pub alike: f32,
    /// Keyframes whose palettes differ by less may show one scene in motion.
    pub palette: f32,
    /// ... if their blocks are found again with less than this left, in code values.
    pub moved: f32,
}

impl Default for SkipSettings {
    fn default() -> Self {
        Self { spike: 2.5, spike_of_key: 0.25, rise: 1.8, alike: 4.0, palette: 0.25, moved: 9.0 }
    }
}

/// What is known of a group without decoding it.
pub(super) struct Survey<'a> {
    /// The keyframes at its ends.
    pub ends: (&'a SmallPicture, &'a SmallPicture),
    /// Bytes of the smaller keyframe.
    pub key_bytes: u64,
    /// Bytes of the pictures behind the keyframe, in order of time.
    pub sizes: &'a [u64],
    /// Pictures in the longest group so far.
    pub longest: usize,
}

/// What is to be done with a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing changes in it.
    Still,
    /// Nothing changes in it, and the next one begins with a new shot.
    StillThenCut,
    /// It must be decoded.
    Open,
}

pub(super) fn judge(survey: &Survey<'_>, settings: &SkipSettings) -> Verdict {
    let (first, next) = survey.ends;
    if survey.sizes.is_empty() {
        return Verdict::Open;
    }
    if blank(first) != blank(next) {
        return Verdict::Open;
    }
    let unrest = unrest(survey, settings);
    if unrest.spike {
        return Verdict::Open;
    }
    let apart = difference(first, next);
    if apart < settings.alike {
        return Verdict::Still;
    }
    if unrest.rise {
        return Verdict::Open;
    }
    let (palette, moved) = (palette_distance(first, next), moved_difference(first, next));
    if palette < settings.palette && moved < settings.moved {
        return Verdict::Still;
    }
    // The encoder set the next keyframe before it had to, and all was calm until then.
    let early = survey.sizes.len() + 1 < survey.longest;
    if early && (palette > 2.0 * settings.palette || moved > 2.0 * settings.moved) {
        return Verdict::StillThenCut;
    }
    Verdict::Open
}

struct Unrest {
    spike: bool,
    rise: bool,
}

/// Looks for spikes and rises in the sizes.
fn unrest(survey: &Survey<'_>, settings: &SkipSettings) -> Unrest {
    let mut sorted = survey.sizes.to_vec();
    sorted.sort_unstable();
    let at = |share: usize| sorted[(sorted.len() - 1) * share / 100] as f32;
    let (most, key) = (at(75).max(1.0), survey.key_bytes as f32);
    let largest = at(100);
    let spike = largest > settings.spike * most && largest > settings.spike_of_key * key;
    // Means over a mini-group or two, so that references and what lies between them level out.
    const WIDE: usize = 8;
    let means: Vec<f32> =
        survey.sizes.windows(WIDE).map(|w| w.iter().sum::<u64>() as f32 / WIDE as f32).collect();
    let mean = survey.sizes.iter().sum::<u64>() as f32 / survey.sizes.len() as f32;
    let peak = means.iter().copied().fold(0.0, f32::max);
    // Where most pictures are coded like keyframes, sizes tell nothing.
    let rise = means.is_empty() || peak > settings.rise * mean || most > 0.6 * key;
    Unrest { spike, rise }
}
