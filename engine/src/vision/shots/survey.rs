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
        Self { spike: 2.0, spike_of_key: 0.25, rise: 1.8, alike: 4.0, palette: 0.3, moved: 9.0 }
    }
}

/// What is known of a group without decoding it.
pub(super) struct Survey<'a> {
    /// The keyframes at its ends; behind the film's last group there is none.
    pub ends: (&'a SmallPicture, Option<&'a SmallPicture>),
    /// Bytes of the smaller keyframe.
    pub key_bytes: u64,
    /// Bytes of the pictures behind the keyframe, in order of time.
    pub sizes: &'a [u64],
    /// Pictures in the longest group so far.
    pub longest: usize,
}

/// What is to be done with a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing changes in it.
    Still,
    /// Nothing changes in it, and the next one begins with a new shot.
    StillThenCut,
    /// It must be decoded. From this picture on (in order of time, the keyframe counted) its sizes
    /// are calm: once a frame there looks like the next keyframe, the rest can be left out.
    Open { calm_from: usize, closely: Closely },
    /// Its sizes are calm throughout, but its ends are far apart: once a frame looks like both, it is
    /// one scene that moves on, and the rest can be left out.
    Drifts,
}

/// Which pictures of a group are to be seen; the others only where those after them build on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Closely {
    /// All.
    All,
    /// Those around these, in order of time: sizes tell that nothing sudden happens elsewhere.
    Around(Vec<usize>),
}

impl Closely {
    /// Whether the picture at `at` is to be seen.
    pub(super) fn sees(&self, at: usize) -> bool {
        match self {
            Self::All => true,
            Self::Around(places) => {
                places.iter().any(|place| at + BEFORE >= *place && at <= *place + BEHIND)
            }
        }
    }
}

/// Pictures behind a spike that are looked at all the same: enough to tell a flash from a cut.
const BEHIND: usize = 12;
/// Pictures before a spike that are looked at: the jumps that a cut has to stand out from.
const BEFORE: usize = 9;
/// Means of sizes are taken over a mini-group or two, so that references and what lies between
/// them level out.
const WIDE: usize = 8;

pub(super) fn judge(survey: &Survey<'_>, settings: &SkipSettings) -> Verdict {
    let (first, next) = survey.ends;
    let whole = |closely| Verdict::Open { calm_from: usize::MAX, closely };
    let one_blank = next.map_or(blank(first).is_some(), |next| blank(first) != blank(next));
    if survey.sizes.len() < WIDE || one_blank {
        return whole(Closely::All);
    }
    let unrest = unrest(survey, settings);
    if unrest.blind {
        return whole(Closely::All);
    }
    let closely = match unrest.rise {
        Some(_) => Closely::All,
        None => Closely::Around(unrest.spikes.clone()),
    };
    let Some(next) = next else { return whole(closely) };
    if let Some(last) = unrest.spikes.last() {
        return Verdict::Open { calm_from: last + BEHIND, closely };
    }
    if difference(first, next) < settings.alike {
        return Verdict::Still;
    }
    if let Some(last) = unrest.rise {
        return Verdict::Open { calm_from: last + 1 + BEHIND, closely };
    }
    let (palette, moved) = (palette_distance(first, next), moved_difference(first, next));
    // (Calm sizes are no reason to excuse more motion: one slide after another looks like that.)
    if one_scene(first, next, settings) {
        return Verdict::Still;
    }
    // The encoder set the next keyframe before it had to, and all was calm until then.
    let early = survey.sizes.len() + 1 < survey.longest;
    let unlike = palette > settings.palette || moved > 2.0 * settings.moved;
    if early && unlike { Verdict::StillThenCut } else { Verdict::Drifts }
}

/// Whether two pictures some time apart show one scene, in which things or the camera moved.
pub(super) fn one_scene(a: &SmallPicture, b: &SmallPicture, settings: &SkipSettings) -> bool {
    let apart = difference(a, b);
    if apart < settings.alike {
        return true;
    }
    let palette = palette_distance(a, b);
    if palette > settings.palette {
        return false;
    }
    let moved = moved_difference(a, b);
    // Found again elsewhere; or, with much the same colours, about as far apart as moving leaves.
    moved < settings.moved * 0.6
        || moved < (apart * 0.3).min(settings.moved * 1.5)
        || (palette < settings.palette * 0.5 && moved < settings.moved * 1.2)
}

struct Unrest {
    /// The pictures that are spikes, the keyframe counted.
    spikes: Vec<usize>,
    /// The last picture of a rise beside them.
    rise: Option<usize>,
    /// Most pictures are coded like keyframes: sizes tell nothing.
    blind: bool,
}

/// Looks for spikes and rises in the sizes.
fn unrest(survey: &Survey<'_>, settings: &SkipSettings) -> Unrest {
    let mut sorted = survey.sizes.to_vec();
    sorted.sort_unstable();
    // References are larger than what lies between them, and may be one in eight.
    let most = sorted[(sorted.len() - 1) * 9 / 10].max(1) as f32;
    let key = survey.key_bytes as f32;
    let is_spike = |size: f32| size > settings.spike * most && size > settings.spike_of_key * key;
    let spikes: Vec<usize> = (1..)
        .zip(survey.sizes)
        .filter(|(_, size)| is_spike(**size as f32))
        .map(|(at, _)| at)
        .collect();
    // A spike is no rise, however high.
    let sizes: Vec<f32> = survey.sizes.iter().map(|size| *size as f32).collect();
    let level: Vec<f32> =
        sizes.iter().map(|size| if is_spike(*size) { most } else { *size }).collect();
    let mean = level.iter().sum::<f32>() / level.len() as f32;
    let rise = level
        .windows(WIDE)
        .rposition(|w| w.iter().sum::<f32>() / WIDE as f32 > settings.rise * mean)
        .map(|at| at + WIDE - 1);
    Unrest { spikes, rise, blind: most > 0.6 * key }
}
