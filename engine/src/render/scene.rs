//! One frame of an edit: which pictures are seen, fetched and laid over each other.

use super::assets::Sources;
use super::compose::fit::{self, Fitted, Turn};
use super::compose::{
    ChromaSite, ColourTags, Depth, Layer, Picture, Rect, Transfer, average, compose,
};
use super::effect::Effect;
use super::inks::Inks;
use super::looks::Looks;
use super::still;
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::limits::Limits;
use crate::media::{FilmCursor, PlanarConverter, PlanarSamples, Rotation, StreamKind, VideoFrame};
use crate::time::Timestamp;
use crate::timeline::{Animated, Clip, Fit, Layout, NORMAL_SPEED, Rate, Shown, Timeline, Wipe};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// What all threads that compose one edit share.
pub(super) struct Setting<'a> {
    pub timeline: &'a Timeline,
    pub layout: &'a Layout,
    pub sources: &'a Sources,
    pub inks: &'a Inks,
    pub looks: &'a Looks,
    pub limits: &'a Limits,
    pub cancel: &'a Cancel,
    pub depth: Depth,
    pub tags: ColourTags,
    /// How much smaller than written the canvas is.
    pub scale: f64,
    pub stills: Mutex<HashMap<String, Arc<Picture>>>,
}

/// How the canvas's code values are read.
pub(super) fn tags(timeline: &Timeline) -> ColourTags {
    let matrix = super::target::colour(&timeline.canvas).matrix();
    ColourTags { matrix, ..ColourTags::BT709 }
}

impl Setting<'_> {
    fn rate(&self) -> Rate {
        self.timeline.canvas.rate
    }

    fn still(&self, name: &str) -> Result<Arc<Picture>> {
        let mut stills = self.stills.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(picture) = stills.get(name) {
            return Ok(picture.clone());
        }
        let source = self.sources.get(name).ok_or_else(lost)?;
        let picture = Arc::new(still::read(&source.path, self.tags, self.limits)?);
        stills.insert(name.to_owned(), picture.clone());
        Ok(picture)
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Internal, Stage::Render, "an asset went away")
}

/// One thread's view of an edit: composes frames, best in rising order.
pub(super) struct Scene<'a> {
    setting: &'a Setting<'a>,
    /// By clip.
    films: HashMap<String, Film>,
    converter: PlanarConverter,
}

/// A film that a clip shows.
struct Film {
    cursor: FilmCursor,
    /// The pictures that were converted last.
    recent: VecDeque<Kept>,
    /// The frame at which it was last asked for.
    used: i64,
    aspect: f64,
    turn: Turn,
}

/// A picture of a film, shown from a tick up to another (up to the end if there is none).
#[derive(Clone)]
struct Kept {
    from: i64,
    until: Option<i64>,
    picture: Arc<Picture>,
}

impl Film {
    /// The picture shown at `tick`, of which `keep` are remembered.
    fn at(
        &mut self,
        time: Timestamp,
        keep: usize,
        converter: &mut PlanarConverter,
    ) -> Result<Kept> {
        let tick = self.cursor.tick(time);
        let shown = |kept: &&Kept| kept.from <= tick && kept.until.is_none_or(|until| tick < until);
        if let Some(kept) = self.recent.iter().find(shown) {
            return Ok(kept.clone());
        }
        let frame = self.cursor.frame_at(time)?;
        if let Some(kept) = self.recent.iter().find(|kept| kept.from == frame.pts()) {
            return Ok(kept.clone());
        }
        let picture = Arc::new(converted(converter, &frame)?);
        let made = Kept { from: frame.pts(), until: self.cursor.gives_way(), picture };
        self.recent.push_back(made.clone());
        while self.recent.len() > keep {
            self.recent.pop_front();
        }
        Ok(made)
    }

    /// Everything that is shown from `time` for `length`, each by its share: at speeds above 1 what
    /// a frame stands for, below 1 (where that is less than one picture) the next comes as this goes.
    fn blended(
        &mut self,
        (time, length, end): (Timestamp, Timestamp, Timestamp),
        converter: &mut PlanarConverter,
    ) -> Result<Arc<Picture>> {
        let start = self.cursor.tick(time);
        let first = self.at(time, 2, converter)?;
        let own = first.until.map_or(0, |until| until - first.from);
        let wanted = (self.cursor.tick(time.plus(length)) - start).max(own);
        let behind = (start.saturating_add(wanted)).min(self.cursor.tick(end).max(start + 1));
        let mut shares = vec![(first.clone(), first.until.unwrap_or(behind).min(behind) - start)];
        let mut next = first.until;
        while let Some(tick) = next.filter(|tick| *tick < behind) {
            let kept = self.at(self.cursor.time(tick), 2, converter)?;
            if kept.from < tick {
                break;
            }
            shares.push((kept.clone(), kept.until.unwrap_or(behind).min(behind) - tick));
            next = kept.until;
        }
        match shares.as_slice() {
            [(only, _)] => Ok(only.picture.clone()),
            many => {
                let many: Vec<_> =
                    many.iter().map(|(kept, ticks)| (&*kept.picture, *ticks)).collect();
                average(&many).map(Arc::new)
            }
        }
    }
}

/// A clip's picture with how it has to be shown.
pub(super) struct Seen {
    pub picture: Arc<Picture>,
    pub aspect: f64,
    pub turn: Turn,
}

impl<'a> Scene<'a> {
    pub fn new(setting: &'a Setting<'a>) -> Self {
        Self { setting, films: HashMap::new(), converter: PlanarConverter::default() }
    }

    /// Frame `n` of the edit.
    pub fn frame(&mut self, n: i64) -> Result<Arc<Picture>> {
        let mut below: Option<Arc<Picture>> = None;
        for track in &self.setting.layout.video {
            let at = track.partition_point(|clip| clip.start <= n);
            let Some(i) = at.checked_sub(1) else { continue };
            let clip = &track[i];
            if clip.end <= n {
                continue;
            }
            below = Some(self.over(below, track, i, n)?);
        }
        self.films.retain(|_, film| film.used + 2 > n && film.used <= n);
        let captions = self.setting.inks.captions(self.setting.rate().time(n))?;
        if captions.is_empty() {
            return self.or_background(below);
        }
        let mut out = self.canvas(below)?;
        for ink in captions {
            compose(&mut out, &[ink.layer()]);
        }
        Ok(Arc::new(out))
    }

    fn background(&self) -> Result<Picture> {
        let canvas = &self.setting.timeline.canvas;
        let (width, height) = (canvas.size.width, canvas.size.height);
        let mut made = Picture::new(width, height, self.setting.depth, self.setting.tags, false)?;
        if let Some(colour) = canvas.background.filter(|colour| colour.rgb != [0; 3]) {
            made.fill(colour.rgb);
        }
        Ok(made)
    }

    /// Clip `i` of `track` over what is below.
    fn over(
        &mut self,
        below: Option<Arc<Picture>>,
        track: &[Clip],
        i: usize,
        n: i64,
    ) -> Result<Arc<Picture>> {
        let clip = &track[i];
        let after = n - clip.start;
        let left = clip.end - 1 - n;
        if let Some(enter) = clip.enter.filter(|enter| after < enter.frames) {
            let last = i.checked_sub(1).and_then(|i| track.get(i));
            let from = match last.filter(|last| enter.joined && last.end > n) {
                Some(last) => self.draw(below.clone(), last, n)?,
                None => self.or_background(below.clone())?,
            };
            let to = self.draw(below, clip, n)?;
            // The first frame shows a little of what comes, the last not yet all of it.
            let progress = (after + 1) as f64 / (enter.frames + 1) as f64;
            return self.mixed(&from, &to, enter, progress);
        }
        if let Some(exit) = clip.exit.filter(|exit| left < exit.frames) {
            let from = self.draw(below.clone(), clip, n)?;
            let to = self.or_background(below)?;
            let progress = (exit.frames - left) as f64 / (exit.frames + 1) as f64;
            return self.mixed(&from, &to, exit, progress);
        }
        self.draw(below, clip, n)
    }

    fn or_background(&self, below: Option<Arc<Picture>>) -> Result<Arc<Picture>> {
        match below {
            Some(below) => Ok(below),
            None => self.background().map(Arc::new),
        }
    }

    fn mixed(
        &self,
        from: &Arc<Picture>,
        to: &Arc<Picture>,
        wipe: Wipe,
        progress: f64,
    ) -> Result<Arc<Picture>> {
        super::mix::mix(from, to, wipe.kind, progress).map(Arc::new)
    }

    fn draw(&mut self, below: Option<Arc<Picture>>, clip: &Clip, n: i64) -> Result<Arc<Picture>> {
        let rate = self.setting.rate();
        let time = rate.time(n - clip.start);
        let value = |value: &Option<Animated>, usual: f64| {
            value.as_ref().map_or(usual, |value| value.at(time, rate))
        };
        let canvas = &self.setting.timeline.canvas;
        let whole = Rect::of_size(canvas.size.width, canvas.size.height);
        let item = &clip.item;
        let opacity = value(&item.opacity, 1.0) as f32;
        let seen = match &clip.shown {
            Shown::Colour(colour) => {
                let mut made = Picture::new(16, 16, self.setting.depth, self.setting.tags, false)?;
                made.fill(colour.rgb);
                let opacity = opacity * f32::from(colour.alpha) / 255.0;
                let layer = Layer {
                    picture: &made,
                    crop: Rect::of_size(16, 16),
                    centre: (whole.width / 2.0, whole.height / 2.0),
                    size: (whole.width, whole.height),
                    rotation: 0.0,
                    opacity,
                    effects: &[],
                };
                let mut out = self.canvas(below)?;
                compose(&mut out, &[layer]);
                return Ok(Arc::new(out));
            }
            Shown::Title => {
                let Some(ink) = self.setting.inks.title(clip) else {
                    return self.or_background(below);
                };
                let mut layer = Layer { opacity, ..ink.layer() };
                if let Some(at) = &item.place {
                    let (x, y) = layer.centre;
                    layer.centre = (
                        value(&at.x, x / whole.width) * whole.width,
                        value(&at.y, y / whole.height) * whole.height,
                    );
                    let scale = value(&at.scale, 1.0);
                    layer.size = (layer.size.0 * scale, layer.size.1 * scale);
                    layer.rotation = value(&at.rotate, 0.0);
                }
                let mut out = self.canvas(below)?;
                compose(&mut out, &[layer]);
                return Ok(Arc::new(out));
            }
            Shown::Asset(name) => self.seen(name, clip, n)?,
        };
        let fits = (seen.picture.width(), seen.picture.height())
            == (canvas.size.width, canvas.size.height);
        let as_is = fits
            && seen.turn == Turn::None
            && seen.aspect == 1.0
            && item.crop.is_none()
            && item.place.is_none()
            && item.effects.is_empty()
            && opacity >= 1.0;
        if as_is
            && seen.picture.tags == self.setting.tags
            && seen.picture.depth() == self.setting.depth
            && !seen.picture.has_alpha()
        {
            return Ok(seen.picture);
        }
        let crop = cropped(&seen, item.crop.as_ref());
        let fitted = Fitted { crop, aspect: seen.aspect, turn: seen.turn };
        let focus = item
            .focus
            .as_ref()
            .map_or((0.5, 0.5), |focus| (focus.x.at(time, rate), focus.y.at(time, rate)));
        let wanted = item.fit.unwrap_or_default();
        let place = |fit: fit::Fit| fit::place(fit, fitted, whole, focus);
        let layer = |placement: fit::Placement, effects| Layer {
            picture: &seen.picture,
            crop: placement.crop,
            centre: placement.centre,
            size: placement.size,
            rotation: placement.rotation,
            opacity,
            effects,
        };
        let mut front = place(match wanted {
            Fit::Contain => fit::Fit::Contain,
            Fit::Cover => fit::Fit::Cover,
            Fit::Stretch => fit::Fit::Stretch,
            Fit::BlurFill => fit::Fit::BlurFill,
        });
        let still = self.setting.sources.get(asset(clip)).is_some_and(|s| s.info.is_none());
        if still && item.fit.is_none() {
            // A logo keeps its own size unless told otherwise.
            front.size = (crop.width * self.setting.scale, crop.height * self.setting.scale);
        }
        if let Some(at) = &item.place {
            front.centre = (value(&at.x, 0.5) * whole.width, value(&at.y, 0.5) * whole.height);
            let scale = value(&at.scale, 1.0);
            front.size = (front.size.0 * scale, front.size.1 * scale);
            front.rotation += value(&at.rotate, 0.0);
        }
        let mut out = self.canvas(below)?;
        let blur = [Effect::Blur { sigma: fit::blur_behind(whole) }];
        if wanted == Fit::BlurFill {
            compose(&mut out, &[layer(place(fit::Fit::Cover), &blur)]);
        }
        let effects = self.setting.looks.of(clip, whole.width.min(whole.height));
        compose(&mut out, &[layer(front, &effects)]);
        Ok(Arc::new(out))
    }

    /// Something to draw on: what is below, or the background.
    fn canvas(&self, below: Option<Arc<Picture>>) -> Result<Picture> {
        match below {
            Some(below)
                if below.tags == self.setting.tags && below.depth() == self.setting.depth =>
            {
                Ok(Arc::unwrap_or_clone(below))
            }
            Some(below) => {
                let mut made = self.background()?;
                compose(&mut made, &[Layer::at(&below, 0.0, 0.0)]);
                Ok(made)
            }
            None => self.background(),
        }
    }

    /// The picture of an asset that `clip` shows at frame `n`.
    fn seen(&mut self, name: &str, clip: &Clip, n: i64) -> Result<Seen> {
        let source = self.setting.sources.get(name).ok_or_else(lost)?;
        if source.info.is_none() {
            let picture = self.setting.still(name)?;
            return Ok(Seen { picture, aspect: 1.0, turn: Turn::None });
        }
        let film = match self.films.entry(clip.pointer.clone()) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let cursor =
                    FilmCursor::open(&source.path, self.setting.limits, self.setting.cancel)?;
                let (aspect, turn) = turned(&cursor);
                entry.insert(Film { cursor, recent: VecDeque::new(), used: n, aspect, turn })
            }
        };
        film.used = n;
        let time =
            if clip.speed == 0 { clip.from } else { clip.source_time(n, self.setting.rate()) };
        let time = time.max(Timestamp::ZERO);
        let picture = if clip.item.blend == Some(true) && clip.speed != 0 {
            let length = self.setting.rate().time(1).times(clip.speed, NORMAL_SPEED);
            film.blended((time, length, clip.to), &mut self.converter)?
        } else {
            film.at(time, 1, &mut self.converter)?.picture
        };
        Ok(Seen { picture, aspect: film.aspect, turn: film.turn })
    }
}

fn asset(clip: &Clip) -> &str {
    match &clip.shown {
        Shown::Asset(name) => name,
        Shown::Colour(_) | Shown::Title => "",
    }
}

/// How the pictures of a film have to be shown: the shape of a sample, and the turn.
pub(super) fn turned(cursor: &FilmCursor) -> (f64, Turn) {
    let Some(StreamKind::Video(video)) = cursor.info().video().map(|stream| &stream.kind) else {
        return (1.0, Turn::None);
    };
    let aspect = video
        .sample_aspect
        .split_once(':')
        .and_then(|(n, d)| Some(n.parse::<f64>().ok()? / d.parse::<f64>().ok()?))
        .filter(|aspect| aspect.is_finite() && (0.01..100.0).contains(aspect));
    let turn = match video.rotation {
        Rotation::None => Turn::None,
        Rotation::Quarter => Turn::Quarter,
        Rotation::Half => Turn::Half,
        Rotation::ThreeQuarters => Turn::ThreeQuarters,
    };
    (aspect.unwrap_or(1.0), turn)
}

/// A decoded picture as one to compose with.
pub(super) fn converted(converter: &mut PlanarConverter, frame: &VideoFrame) -> Result<Picture> {
    let made = converter.convert(frame)?;
    let tags = ColourTags {
        matrix: made.colour.matrix,
        full_range: made.colour.full_range,
        transfer: match frame.hdr_transfer() {
            Some(true) => Transfer::Pq,
            Some(false) => Transfer::Hlg,
            None => Transfer::Sdr,
        },
        site: ChromaSite::Left,
    };
    let picture = match made.samples {
        PlanarSamples::Eight(planes) => {
            Picture::from_planes8(made.width, made.height, tags, planes)
        }
        PlanarSamples::Ten(planes) => Picture::from_planes10(made.width, made.height, tags, planes),
    }?;
    // Before the turn, as the display matrix was read: whoever looks at it sees it unmirrored.
    Ok(if frame.is_mirrored() { picture.mirrored() } else { picture })
}

/// The part of a picture that is used, in its stored samples; the shares that are cut off are of
/// the picture as it is shown.
pub(super) fn cropped(seen: &Seen, crop: Option<&crate::timeline::Crop>) -> Rect {
    let (w, h) = (f64::from(seen.picture.width()), f64::from(seen.picture.height()));
    let Some(crop) = crop else { return Rect { x: 0.0, y: 0.0, width: w, height: h } };
    let share = |value: Option<f64>| value.unwrap_or(0.0);
    let shown = [share(crop.left), share(crop.top), share(crop.right), share(crop.bottom)];
    let [left, top, right, bottom] = match seen.turn {
        Turn::None => shown,
        // What is shown at the top is stored at the left, and so on round.
        Turn::Quarter => [shown[1], shown[2], shown[3], shown[0]],
        Turn::Half => [shown[2], shown[3], shown[0], shown[1]],
        Turn::ThreeQuarters => [shown[3], shown[0], shown[1], shown[2]],
    };
    Rect {
        x: left * w,
        y: top * h,
        width: (1.0 - left - right) * w,
        height: (1.0 - top - bottom) * h,
    }
}
