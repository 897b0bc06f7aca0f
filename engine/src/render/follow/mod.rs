//! A cut that follows the subject: `"focus": { "x": 0.5, "y": 0.5, "follow": true }` becomes a path of
//! keyframes before the first frame is made, by looking at the clip in small.

mod gaze;
mod path;
#[cfg(test)]
mod tests;

use super::assets::Sources;
use super::compose::fit::{self, Fitted, Turn};
use super::compose::{ColourTags, Depth, Layer, Picture, Planes, Rect, compose};
use super::scene::{Seen, converted, cropped, turned};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::limits::Limits;
use crate::media::{FilmCursor, PlanarConverter};
use crate::time::Timestamp;
use crate::timeline::{
    Animated, Clip, Ease, Fit, Focus, Keyframe, Layout, Rate, Shown, Time, Timeline,
};
use gaze::Small;
use path::{Bounds, Sight};
use std::path::Path;
use std::sync::Arc;

/// Seconds between the pictures that are looked at, about.
const STEP: f64 = 0.125;
/// Luma samples of the longer side of what is looked at.
const SIDE: f64 = 192.0;

/// How the cut may move. Two fifths of the picture a second cross a 16:9 picture in as long as a
/// slow pan does.
const BOUNDS: Bounds = Bounds { still: 0.045, speed: 0.4, acceleration: 0.8 };

/// Gives every clip of `layout` that asks for it the path that follows its subject. Only films that
/// cover the canvas are cut, so only those are looked at; the others keep the point that was stated.
///
/// # Errors
/// Where a film cannot be read, or when cancelled.
pub(super) fn settle(
    layout: &mut Layout,
    timeline: &Timeline,
    sources: &Sources,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<()> {
    let rate = timeline.canvas.rate;
    let size = timeline.canvas.size;
    let frame = Rect::of_size(size.width, size.height);
    for clip in layout.video.iter_mut().flatten() {
        let follows = clip.item.focus.as_ref().is_some_and(|focus| focus.follow == Some(true));
        let Shown::Asset(name) = &clip.shown else { continue };
        let film = sources.get(name).filter(|source| source.info.is_some());
        let (true, Some(Fit::Cover), Some(source)) = (follows, clip.item.fit, film) else {
            continue;
        };
        let focus = followed(clip, &source.path, (frame, rate), limits, cancel)
            .map_err(|e| e.input(&source.path))?;
        clip.item.focus = Some(focus);
    }
    Ok(())
}

/// The focus of `clip` as a path.
fn followed(
    clip: &Clip,
    film: &Path,
    (frame, rate): (Rect, Rate),
    limits: &Limits,
    cancel: &Cancel,
) -> Result<Focus> {
    let stated = |value: Option<&Animated>| value.map_or(0.5, |v| v.at(Timestamp::ZERO, rate));
    let focus = clip.item.focus.as_ref();
    let otherwise = (stated(focus.map(|f| &f.x)), stated(focus.map(|f| &f.y)));
    let mut watching = Watching {
        cursor: FilmCursor::open(film, limits, cancel)?,
        converter: PlanarConverter::default(),
        clip,
        frame,
        rate,
    };
    let second = 1.0 / rate.time(1).as_secs_f64().max(1e-6);
    let stride = ((STEP * second).round() as i64).max(1);
    let count = if clip.speed == 0 { 1 } else { (clip.end - clip.start + stride - 1) / stride };
    // In the order of the film, so that nothing is decoded twice; what moved is the same from behind.
    let numbers: Vec<i64> = (0..count).map(|k| clip.start + k * stride).collect();
    let mut seen = Vec::with_capacity(numbers.len());
    let mut before: Option<Small> = None;
    let mut window = (1.0, 1.0);
    let inward: Box<dyn Iterator<Item = &i64>> =
        if clip.reverse { Box::new(numbers.iter().rev()) } else { Box::new(numbers.iter()) };
    for n in inward {
        cancel.check(Stage::Render)?;
        let (small, share) = watching.small(*n)?;
        window = share;
        seen.push(gaze::look(before.as_ref(), &small, share));
        before = Some(small);
    }
    if clip.reverse {
        // A cut is marked on its later picture, which is the other one now.
        seen.reverse();
        let cuts: Vec<bool> =
            std::iter::once(false).chain(seen.iter().map(|s| s.cut)).take(seen.len()).collect();
        for (seen, cut) in seen.iter_mut().zip(cuts) {
            seen.cut = cut;
        }
    }
    let step = stride as f64 / second;
    let (x, y) = ways(&seen, otherwise, window, step);
    let mut cuts = Vec::new();
    for (k, _) in seen.iter().enumerate().filter(|(k, seen)| *k > 0 && seen.cut) {
        let behind = numbers[k];
        cuts.push((k, watching.cut_between(behind - stride, behind, window)? - clip.start));
    }
    let keyed = |values: &[f64]| keyframes(values, stride, &cuts);
    Ok(Focus { x: keyed(&x), y: keyed(&y), follow: None })
}

/// The ways of the cut's middle across and down, each shot for itself. Where the window is as wide as
/// the picture there is nothing to choose.
fn ways(
    seen: &[gaze::Seen],
    otherwise: (f64, f64),
    window: (f64, f64),
    step: f64,
) -> (Vec<f64>, Vec<f64>) {
    let mut made = (Vec::with_capacity(seen.len()), Vec::with_capacity(seen.len()));
    let mut shot = 0;
    while shot < seen.len() {
        let end = seen[shot + 1..].iter().position(|s| s.cut).map_or(seen.len(), |n| shot + 1 + n);
        let way = |of: fn(&gaze::Seen) -> Sight, otherwise: f64, window: f64| {
            if window >= 1.0 {
                return vec![otherwise; end - shot];
            }
            let sights: Vec<Sight> = seen[shot..end].iter().map(of).collect();
            path::path(&sights, step, otherwise, &BOUNDS)
        };
        made.0.extend(way(|s| s.x, otherwise.0, window.0));
        made.1.extend(way(|s| s.y, otherwise.1, window.1));
        shot = end;
    }
    made
}

/// Keyframes for values `stride` frames apart, without those that lie on the line between others.
/// `cuts` are the values that begin a shot, each with the frame at which it does.
fn keyframes(values: &[f64], stride: i64, cuts: &[(usize, i64)]) -> Animated {
    let key = |frame: i64, value: f64, ease| Keyframe {
        at: Time::Frames(frame),
        value: (value.clamp(0.0, 1.0) * 1e5).round() / 1e5,
        ease,
    };
    let mut keys: Vec<Keyframe> = Vec::new();
    for (k, value) in values.iter().enumerate() {
        let frame = k as i64 * stride;
        if let Some((_, at)) = cuts.iter().find(|(own, _)| *own == k) {
            if let Some(last) = keys.last_mut() {
                last.ease = Some(Ease::Hold);
            }
            keys.push(key(*at, *value, None));
            if *at >= frame {
                continue;
            }
        }
        let inner = k > 0 && !cuts.iter().any(|(own, _)| *own == k || *own == k + 1);
        let line = values.get(k + 1).map(|next| (values[k.saturating_sub(1)] + next) / 2.0);
        if inner && line.is_some_and(|line| (line - value).abs() < 1e-9) {
            continue;
        }
        keys.push(key(frame, *value, None));
    }
    match keys.as_slice() {
        [first, rest @ ..] if rest.iter().all(|key| key.value == first.value) => {
            Animated::Still(first.value)
        }
        [] => Animated::Still(0.5),
        _ => Animated::Moving(keys),
    }
}

struct Watching<'a> {
    cursor: FilmCursor,
    converter: PlanarConverter,
    clip: &'a Clip,
    frame: Rect,
    rate: Rate,
}

impl Watching<'_> {
    /// What frame `n` of the canvas shows of the clip, small and upright, and the share of it that
    /// the canvas has room for.
    fn small(&mut self, n: i64) -> Result<(Small, (f64, f64))> {
        let clip = self.clip;
        let time = if clip.speed == 0 { clip.from } else { clip.source_time(n, self.rate) };
        let frame = self.cursor.frame_at(time.max(Timestamp::ZERO))?;
        let (aspect, turn) = turned(&self.cursor);
        let picture = Arc::new(converted(&mut self.converter, &frame)?);
        let seen = Seen { picture, aspect, turn };
        let crop = cropped(&seen, clip.item.crop.as_ref());
        let window = fit::window(Fitted { crop, aspect, turn }, self.frame);
        let stored = (crop.width * aspect, crop.height);
        let by = SIDE / stored.0.max(stored.1).max(1.0);
        let even = |v: f64| ((v * by / 4.0).round() * 4.0).max(8.0);
        let own = (even(stored.0), even(stored.1));
        let shown =
            if turn == Turn::Quarter || turn == Turn::ThreeQuarters { (own.1, own.0) } else { own };
        let mut made =
            Picture::new(shown.0 as u32, shown.1 as u32, Depth::Eight, ColourTags::BT709, false)?;
        let layer = Layer {
            picture: &seen.picture,
            crop,
            centre: (shown.0 / 2.0, shown.1 / 2.0),
            size: own,
            rotation: turn.degrees(),
            opacity: 1.0,
            effects: &[],
        };
        compose(&mut made, &[layer]);
        Ok((halved(&made)?, window))
    }

    /// The first frame of `first + 1..=last` that belongs to another shot than the one before it;
    /// `last` where none stands out alone.
    fn cut_between(&mut self, first: i64, last: i64, window: (f64, f64)) -> Result<i64> {
        let mut before: Option<Small> = None;
        for n in first..=last {
            let (small, _) = self.small(n)?;
            if n > first && gaze::look(before.as_ref(), &small, window).cut {
                return Ok(n);
            }
            before = Some(small);
        }
        Ok(last)
    }
}

/// Luma at the size of chroma.
fn halved(picture: &Picture) -> Result<Small> {
    let Planes::Eight(yuv) = &picture.planes else {
        return Err(Error::new(
            ErrorKind::Internal,
            Stage::Render,
            "a small picture of another depth",
        ));
    };
    let [luma, cb, cr] = &yuv.planes;
    let (width, height) = (cb.width, cb.height);
    let four = |x: usize, y: usize| {
        let row = |y: usize| {
            let row = luma.row(y);
            u16::from(row[2 * x]) + u16::from(row[2 * x + 1])
        };
        ((row(2 * y) + row(2 * y + 1) + 2) / 4) as u8
    };
    let small = (0..width * height).map(|i| four(i % width, i / width)).collect();
    Ok(Small { width, height, planes: [small, cb.data.clone(), cr.data.clone()] })
}
