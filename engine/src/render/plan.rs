//! Which stretches of an edit are copied as they were coded, and which are encoded.
//!
//! Pure but for [`crate::media::survey`], which reads packets and decodes nothing. Segments begin
//! and end where clips and transitions do, and long ones are divided evenly, so that a change
//! somewhere moves no seam elsewhere and threads have enough to share.

use super::assets::{Source, Sources};
use super::inks::Inks;
use super::target::Target;
use super::twice::Share;
use crate::control::Cancel;
use crate::error::Result;
use crate::limits::Limits;
use crate::media::{FilmCodec, FilmColour, FitH264, Matrix, ParameterSets, Scan, Survey, survey};
use crate::time::{Rounding, Span};
use crate::timeline::{Clip, Layout, Rate, Shown, Timeline};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// About the longest segment that is encoded at once, in seconds: what an edited caption costs.
/// Two thirds more where a seam gives way to a caption.
const SEGMENT_SECONDS: u32 = 3;

/// A stretch of the output.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Segment {
    /// Its first frame.
    pub start: i64,
    /// The first frame behind it.
    pub end: i64,
    /// What is done for it.
    pub how: How,
}

/// What is done for a segment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum How {
    /// Its packets are taken from an asset.
    Copied {
        /// The asset.
        asset: String,
        /// Tick of the keyframe it starts at.
        from: i64,
        /// Tick of the keyframe it ends before; absent for the film's end.
        to: Option<i64>,
    },
    /// It is composed and encoded, unless a part of this key is kept.
    Encoded {
        /// Stands for everything that decides its bytes.
        key: String,
        /// Why it is not copied.
        why: &'static str,
    },
}

/// What is done for each stretch of an edit.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// In order, without gaps.
    pub segments: Vec<Segment>,
    /// The target, its encoder made to fit what is copied.
    pub target: Target,
    /// The parameter sets of what is copied.
    pub sets: Option<ParameterSets>,
    /// The parameter sets of each copied segment, by its start.
    pub own_sets: BTreeMap<i64, ParameterSets>,
    /// Whether every stretch brings its parameter sets along in front of its first picture: sources
    /// have different ones under the same numbers.
    pub in_band: bool,
    /// The ticks of what is copied, in order of showing, by segment's start.
    pub ticks: BTreeMap<i64, Vec<i64>>,
    /// Pictures that a decoder of what is copied holds back.
    pub reorder: usize,
    /// What segments are given of the bits, by key, once they were divided.
    pub shares: HashMap<String, Share>,
}

impl Plan {
    /// The keys of what is encoded.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match &segment.how {
            How::Encoded { key, .. } => Some(key.as_str()),
            How::Copied { .. } => None,
        })
    }
}

/// What the planner looks at.
pub(super) struct Planning<'a> {
    pub timeline: &'a Timeline,
    pub layout: &'a Layout,
    pub sources: &'a Sources,
    pub inks: &'a Inks,
    pub limits: &'a Limits,
    pub cancel: &'a Cancel,
}

/// A stretch of frames on which the same clips are seen throughout.
struct Stretch<'a> {
    start: i64,
    end: i64,
    /// The one clip that is seen, if nothing is done to it.
    plain: Option<&'a Clip>,
    why: &'static str,
}

impl<'a> Planning<'a> {
    pub fn plan(&self, target: &Target, key: &dyn Fn(&Target, i64, i64) -> String) -> Result<Plan> {
        let rate = self.timeline.canvas.rate;
        let mut plan = Plan {
            segments: Vec::new(),
            target: target.clone(),
            sets: None,
            own_sets: BTreeMap::new(),
            in_band: false,
            ticks: BTreeMap::new(),
            reorder: 0,
            shares: HashMap::new(),
        };
        let stretches = self.stretches();
        let mut runs = Vec::new();
        if target.copy && target.film.codec == FilmCodec::H264 && target.film.depth == 8 {
            for stretch in &stretches {
                if let Some(clip) = stretch.plain {
                    runs.extend(self.runs(stretch, clip, rate, &mut plan)?);
                }
            }
        }
        if let Some(sets) = &plan.sets {
            let free = sets.free_number().filter(|_| !plan.in_band);
            plan.in_band = free.is_none();
            // The encoder beside them keeps to the highest profile and level of all.
            let all = || plan.own_sets.values().map(ParameterSets::profile);
            let highest = all().map(|[profile, ..]| profile).max();
            let level = all().map(|[.., level]| level).max().unwrap_or(40);
            if let Some(profile) = highest.and_then(profile) {
                let number = free.unwrap_or(0);
                plan.target.film.fit = Some(FitH264 { profile, level, number });
            }
        }
        let longest = i64::from((rate.num() * SEGMENT_SECONDS).div_ceil(rate.den())).max(1);
        for stretch in &stretches {
            let mut at = stretch.start;
            let inside = runs
                .iter()
                .filter(|run: &&Segment| (stretch.start..stretch.end).contains(&run.start));
            for run in inside {
                self.encode(&mut plan, (at, run.start), longest, stretch.why, key);
                at = run.end;
                plan.segments.push(run.clone());
            }
            self.encode(&mut plan, (at, stretch.end), longest, stretch.why, key);
        }
        Ok(plan)
    }

    /// Divides what is encoded: evenly, but rather between captions than through one.
    fn encode(
        &self,
        plan: &mut Plan,
        (start, end): (i64, i64),
        longest: i64,
        why: &'static str,
        key: &dyn Fn(&Target, i64, i64) -> String,
    ) {
        let rate = self.timeline.canvas.rate;
        let length = end - start;
        let pieces = (length + longest - 1) / longest;
        let seam = |i: i64| {
            let even = start + length * i / pieces;
            if i == 0 || i == pieces {
                return even;
            }
            let better = self.inks.better_seam(rate.time(even)).map(|time| {
                // The first frame that shows it, or that does not show it any more.
                time.rescale(rate.frame(), Rounding::Ceil).ticks()
            });
            // A third of the way to the next seam at most: so they stay in order.
            better.filter(|n| (n - even).abs() * 3 <= length / pieces).unwrap_or(even)
        };
        for i in 0..pieces {
            let (start, end) = (seam(i), seam(i + 1));
            let how = How::Encoded { key: key(&plan.target, start, end), why };
            plan.segments.push(Segment { start, end, how });
        }
    }

    /// The edit divided where what is seen changes.
    fn stretches(&self) -> Vec<Stretch<'a>> {
        let clips = || self.layout.video.iter().flatten();
        let mut seams = BTreeSet::from([0, self.layout.frames]);
        for clip in clips() {
            seams.extend([clip.start, clip.end]);
            seams.extend(clip.enter.map(|enter| clip.start + enter.frames));
            seams.extend(clip.exit.map(|exit| clip.end - exit.frames));
        }
        let seams: Vec<i64> =
            seams.into_iter().filter(|n| (0..=self.layout.frames).contains(n)).collect();
        seams.windows(2).map(|pair| self.stretch(pair[0], pair[1])).collect()
    }

    fn stretch(&self, start: i64, end: i64) -> Stretch<'a> {
        let seen: Vec<&Clip> = self
            .layout
            .video
            .iter()
            .flatten()
            .filter(|clip| clip.start < end && clip.end > start)
            .collect();
        let (plain, why) = match seen.as_slice() {
            [] => (None, "only the background is seen"),
            [clip] if changes(clip, start, end) => (None, "a transition"),
            [clip] if !clip.is_plain() => (None, "something is done to the picture"),
            [clip] => match self.unfit(clip) {
                Some(why) => (None, why),
                None => (Some(*clip), "between keyframes"),
            },
            _ => (None, "several pictures at once"),
        };
        Stretch { start, end, plain, why }
    }

    /// Why the pictures of a plain clip cannot stand in the output as they are coded.
    fn unfit(&self, clip: &Clip) -> Option<&'static str> {
        let Shown::Asset(name) = &clip.shown else { return Some("a colour or a title") };
        let Some(source) = self.sources.get(name) else { return Some("a picture") };
        let Some(video) = source.video() else { return Some("a picture") };
        let canvas = &self.timeline.canvas;
        if source.codec() != Some(FilmCodec::H264) {
            return Some("the source has another codec");
        }
        if (video.width, video.height) != (canvas.size.width, canvas.size.height) {
            return Some("the source has another size");
        }
        if !source.is_straight() {
            return Some("the source is turned or has oblong pixels");
        }
        if video.pixel_format.as_deref() != Some("yuv420p")
            || !matches!(video.scan, Scan::Progressive | Scan::Unknown)
        {
            return Some("the source is interlaced or has another pixel format");
        }
        (!same_colour(source, super::target::colour(canvas)))
            .then_some("the source has another colour space")
    }

    /// The stretches of a plain clip that whole groups of pictures make up, frame for frame.
    fn runs(
        &self,
        stretch: &Stretch<'_>,
        clip: &Clip,
        rate: Rate,
        plan: &mut Plan,
    ) -> Result<Vec<Segment>> {
        let Shown::Asset(name) = &clip.shown else { return Ok(Vec::new()) };
        let Some(source) = self.sources.get(name) else { return Ok(Vec::new()) };
        let at = |n: i64| clip.source_time(n, rate);
        let Some(span) = Span::new(at(stretch.start), at(stretch.end)) else {
            return Ok(Vec::new());
        };
        let Some(found) = survey(&source.path, span, self.limits, self.cancel)? else {
            return Ok(Vec::new());
        };
        let Some(own) = &found.sets else { return Ok(Vec::new()) };
        // Profiles that an encoder beside them could not keep to.
        if profile(own.profile()[0]).is_none() {
            return Ok(Vec::new());
        }
        let captioned = |n| self.inks.is_captioned(rate.time(n));
        let runs = whole_groups(&found, stretch, clip, rate, &captioned);
        if runs.is_empty() {
            return Ok(Vec::new());
        }
        plan.sets = match plan.sets.take() {
            None => Some(own.clone()),
            Some(sets) => match sets.with(own) {
                Some(both) => Some(both),
                None => {
                    plan.in_band = true;
                    Some(sets)
                }
            },
        };
        plan.reorder = plan.reorder.max(found.reorder as usize);
        let mut made = Vec::new();
        for (start, first, last) in runs {
            let ticks: Vec<i64> = found.pictures[first..last].iter().map(|p| p.tick).collect();
            let end = start + ticks.len() as i64;
            let how = How::Copied {
                asset: name.clone(),
                from: ticks[0],
                to: found.pictures.get(last).map(|picture| picture.tick),
            };
            plan.ticks.insert(start, ticks);
            plan.own_sets.insert(start, own.clone());
            made.push(Segment { start, end, how });
        }
        Ok(made)
    }
}

/// Runs of groups of which every picture is shown for exactly one frame: the first frame, and the
/// numbers of the first picture and the one behind the last.
fn whole_groups(
    found: &Survey,
    stretch: &Stretch<'_>,
    clip: &Clip,
    rate: Rate,
    captioned: &dyn Fn(i64) -> bool,
) -> Vec<(i64, usize, usize)> {
    let pictures = &found.pictures;
    // For each picture the first frame that shows it, and how many do.
    let mut shown: BTreeMap<usize, (i64, u32)> = BTreeMap::new();
    for n in stretch.start..stretch.end {
        let tick = found.tick(clip.source_time(n, rate));
        let behind = pictures.partition_point(|picture| picture.tick <= tick);
        let Some(at) = behind.checked_sub(1) else { continue };
        // What is written on cannot be copied.
        shown.entry(at).or_insert((n, 0)).1 += if captioned(n) { 2 } else { 1 };
    }
    let mut seams: Vec<usize> = (0..pictures.len()).filter(|i| pictures[*i].clean).collect();
    if found.whole_end {
        seams.push(pictures.len());
    }
    let mut runs: Vec<(i64, usize, usize)> = Vec::new();
    for pair in seams.windows(2) {
        let (first, last) = (pair[0], pair[1]);
        let Some((start, _)) = shown.get(&first).copied() else { continue };
        let whole = (first..last).all(|i| shown.get(&i) == Some(&(start + (i - first) as i64, 1)));
        if !whole {
            continue;
        }
        match runs.last_mut() {
            Some(run) if run.2 == first => run.2 = last,
            _ => runs.push((start, first, last)),
        }
    }
    runs
}

/// Whether a transition of `clip` is seen from frame `start` to `end`.
fn changes(clip: &Clip, start: i64, end: i64) -> bool {
    clip.enter.is_some_and(|enter| start < clip.start + enter.frames)
        || clip.exit.is_some_and(|exit| end > clip.end - exit.frames)
}

/// libav's name of a profile, if it is one that x264 keeps to. Of these, the one of the higher number
/// covers the others.
fn profile(number: u8) -> Option<&'static str> {
    match number {
        66 => Some("baseline"),
        77 => Some("main"),
        100 => Some("high"),
        _ => None,
    }
}

fn same_colour(source: &Source, wanted: FilmColour) -> bool {
    let Some(video) = source.video() else { return false };
    let colour = &video.colour;
    let one_of = |value: &Option<String>, names: &[&str]| {
        value.as_deref().is_none_or(|value| names.contains(&value))
    };
    let (matrix, rest): (&[&str], &[&str]) = match wanted {
        FilmColour::Bt709 => (&["bt709"], &["bt709"]),
        FilmColour::Bt601 => (&["smpte170m", "bt470bg"], &["smpte170m", "bt470bg", "bt709"]),
        FilmColour::Bt2020 => (&["bt2020nc"], &["bt2020", "bt2020-10", "bt709"]),
    };
    // What is unmarked is taken by the same rule as when it is decoded.
    let guessed =
        if video.height >= 720 || video.width >= 1280 { Matrix::Bt709 } else { Matrix::Bt601 };
    let matrix_fits = match &colour.matrix {
        Some(_) => one_of(&colour.matrix, matrix),
        None => guessed == wanted.matrix(),
    };
    matrix_fits
        && colour.range.as_deref() != Some("pc")
        && one_of(&colour.primaries, rest)
        && one_of(&colour.transfer, rest)
}
