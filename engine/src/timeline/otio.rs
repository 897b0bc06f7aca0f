//! OpenTimelineIO: an edit out, with the whole spec under `metadata.rushes`; and back in, from us
//! or from other programs.
//!
//! A file whose tracks are as we wrote them comes back as the very spec. One that another program
//! changed is read from its tracks; canvas, outputs and sound stay those of the spec.

use super::fault::Faults;
use super::layout::{Clip, Layout, NORMAL_SPEED, Shown};
use super::spec::*;
use super::value::{Rate, Rgb, Size};
use crate::time::{Rounding, TimeBase, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Our place among the metadata.
const OURS: &str = "rushes";

/// The edit as OpenTimelineIO.
pub fn write_otio(timeline: &Timeline, layout: &Layout) -> Value {
    let rate = timeline.canvas.rate;
    let maker = Writer { timeline, rate };
    let mut tracks: Vec<Value> = Vec::new();
    for (track, clips) in timeline.video.iter().zip(&layout.video) {
        tracks.push(maker.track(track.name.as_deref(), "Video", maker.children(clips)));
    }
    for (t, track) in timeline.audio.iter().enumerate() {
        let clips: Vec<_> = layout.sound.iter().filter(|clip| clip.track == Some(t)).collect();
        let mut children = Vec::new();
        let mut at = 0;
        let samples = |n: u64| {
            let time =
                Timestamp::new(n.cast_signed(), TimeBase::per_second(super::layout::SAMPLES));
            time.rescale(rate.frame(), Rounding::Nearest).ticks()
        };
        for clip in clips {
            let (start, end) = (samples(clip.start), samples(clip.end));
            if start > at {
                children.push(maker.gap(start - at));
            }
            let from = clip.from.rescale(rate.frame(), Rounding::Nearest).ticks();
            children.push(maker.clip(&clip.asset, from, end - start, Vec::new()));
            at = end;
        }
        tracks.push(maker.track(track.name.as_deref(), "Audio", children));
    }
    json!({
        "OTIO_SCHEMA": "Timeline.1",
        "name": timeline.name.clone().unwrap_or_default(),
        "global_start_time": null,
        "metadata": { OURS: timeline.to_json() },
        "tracks": {
            "OTIO_SCHEMA": "Stack.1",
            "name": "tracks",
            "children": tracks,
            "effects": [], "markers": [], "metadata": {}, "enabled": true, "source_range": null,
        },
    })
}

struct Writer<'a> {
    timeline: &'a Timeline,
    rate: Rate,
}

impl Writer<'_> {
    fn time(&self, frames: i64) -> Value {
        let rate = f64::from(self.rate.num()) / f64::from(self.rate.den());
        json!({ "OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": frames as f64 })
    }

    fn range(&self, start: i64, length: i64) -> Value {
        json!({
            "OTIO_SCHEMA": "TimeRange.1",
            "start_time": self.time(start),
            "duration": self.time(length),
        })
    }

    fn track(&self, name: Option<&str>, kind: &str, children: Vec<Value>) -> Value {
        json!({
            "OTIO_SCHEMA": "Track.1", "name": name.unwrap_or(kind), "kind": kind,
            "children": children, "effects": [], "markers": [], "metadata": {}, "enabled": true,
            "source_range": null,
        })
    }

    fn gap(&self, length: i64) -> Value {
        json!({
            "OTIO_SCHEMA": "Gap.1", "name": "", "source_range": self.range(0, length),
            "effects": [], "markers": [], "metadata": {}, "enabled": true,
        })
    }

    /// The clips of a track with gaps and transitions between them. OTIO's clips meet within a
    /// transition, ours overlap by it: the cut is put into its middle.
    fn children(&self, clips: &[Clip]) -> Vec<Value> {
        let mut children = Vec::new();
        let mut at = 0;
        for (i, clip) in clips.iter().enumerate() {
            let before = clip.enter.filter(|w| w.joined).map_or(0, |w| w.frames / 2);
            let behind = clips
                .get(i + 1)
                .and_then(|next| next.enter)
                .filter(|w| w.joined)
                .map_or(0, |w| w.frames - w.frames / 2);
            let (start, end) = (clip.start + before, clip.end - behind);
            if start > at {
                children.push(self.gap(start - at));
            }
            if let Some(enter) = clip.enter {
                // Before the cut the last clip goes on, behind it the next has begun.
                let (before, behind) =
                    if enter.joined { (before, enter.frames - before) } else { (0, enter.frames) };
                children.push(self.transition(enter.kind, before, behind));
            }
            let name = match &clip.shown {
                Shown::Asset(name) => name.as_str(),
                Shown::Colour(_) => "",
                Shown::Title => clip.item.title.as_ref().map_or("", |title| title.text.as_str()),
            };
            let from = clip.from.rescale(self.rate.frame(), Rounding::Nearest).ticks();
            let run = self.rate.time(before).times(clip.speed, NORMAL_SPEED);
            let from = from + run.rescale(self.rate.frame(), Rounding::Nearest).ticks();
            let mut effects = Vec::new();
            let speed = f64::from(clip.speed) / f64::from(NORMAL_SPEED);
            if clip.item.freeze == Some(true) {
                effects.push(json!({
                    "OTIO_SCHEMA": "FreezeFrame.1", "name": "", "effect_name": "FreezeFrame",
                    "time_scalar": 0.0, "metadata": {},
                }));
            } else if matches!(clip.shown, Shown::Asset(_))
                && clip.speed != 0
                && (speed != 1.0 || clip.reverse)
            {
                let speed = if clip.reverse { -speed } else { speed };
                effects.push(json!({
                    "OTIO_SCHEMA": "LinearTimeWarp.1", "name": "", "effect_name": "LinearTimeWarp",
                    "time_scalar": speed, "metadata": {},
                }));
            }
            let mut made = self.clip(name, from, end - start, effects);
            let generator = match clip.shown {
                Shown::Colour(colour) => Some(("SolidColor", json!({ "colour": colour }))),
                Shown::Title => Some(("Title", json!({ OURS: clip.item.title }))),
                Shown::Asset(_) => None,
            };
            if let Some((kind, parameters)) = generator {
                made["media_references"]["DEFAULT_MEDIA"] = json!({
                    "OTIO_SCHEMA": "GeneratorReference.1", "name": "", "generator_kind": kind,
                    "parameters": parameters, "metadata": {}, "available_range": null,
                });
            }
            children.push(made);
            at = end;
            if let Some(exit) = clip.exit {
                children.push(self.transition(exit.kind, exit.frames, 0));
            }
        }
        children
    }

    fn transition(&self, kind: TransitionKind, before: i64, behind: i64) -> Value {
        let known =
            if kind == TransitionKind::Dissolve { "SMPTE_Dissolve" } else { "Custom_Transition" };
        json!({
            "OTIO_SCHEMA": "Transition.1", "name": kind.as_str(), "transition_type": known,
            "in_offset": self.time(before), "out_offset": self.time(behind),
            "metadata": { OURS: { "kind": kind } },
        })
    }

    fn clip(&self, asset: &str, from: i64, length: i64, effects: Vec<Value>) -> Value {
        let file = self
            .timeline
            .assets
            .get(asset)
            .and_then(|asset| asset.file.as_ref().or(asset.image.as_ref()))
            .cloned()
            .unwrap_or_default();
        json!({
            "OTIO_SCHEMA": "Clip.2", "name": asset, "source_range": self.range(from, length),
            "effects": effects, "markers": [], "metadata": {}, "enabled": true,
            "active_media_reference_key": "DEFAULT_MEDIA",
            "media_references": { "DEFAULT_MEDIA": {
                "OTIO_SCHEMA": "ExternalReference.1", "name": "", "target_url": file,
                "available_range": null, "metadata": {},
            } },
        })
    }
}

/// Reads OpenTimelineIO: the edit, and what of it has no place in a spec (notes, at pointers into
/// the file).
///
/// # Errors
/// What is no timeline, or cannot be read as one.
pub fn read_otio(text: &str) -> Result<(Timeline, Faults), Faults> {
    let tree = super::tree::parse(text)?;
    let mut reader = Reader::default();
    let spec = tree.pointer(&format!("/metadata/{OURS}")).cloned();
    let own =
        spec.and_then(|spec| super::Template::from_tree(spec).ok()?.fill(&BTreeMap::new()).ok());
    let canvas = own.as_ref().map(|own| own.canvas.clone());
    let read = reader.timeline(&tree, canvas);
    let Some(mut timeline) = read else { return Err(reader.faults) };
    if let Some(own) = own {
        if as_written(&own, &timeline) {
            return Ok((own, Faults::default()));
        }
        reader.notes.add("/metadata/rushes", "the tracks were changed since: what they say counts");
        timeline.outputs = own.outputs;
        timeline.sound = own.sound;
        timeline.captions = own.captions;
        timeline.fonts = own.fonts;
    }
    let mut faults = Faults::default();
    timeline.check(&mut faults);
    if faults.is_empty() { Ok((timeline, reader.notes)) } else { Err(faults) }
}

/// Whether `read` holds the tracks that `own` is written with.
fn as_written(own: &Timeline, read: &Timeline) -> bool {
    // The files need not be there: their lengths decide only what no span is given for.
    let long = Timestamp::from_secs(48 * 3600);
    let facts = own.assets.iter().map(|(name, asset)| {
        let facts = super::AssetFacts {
            pictures: asset.image.is_none().then_some(long),
            sound: asset.image.is_none().then_some(long),
            still: asset.image.is_some(),
            broken: None,
        };
        (name.clone(), facts)
    });
    let Ok(layout) = own.layout(&facts.collect()) else { return false };
    let again = write_otio(own, &layout);
    let mut reader = Reader::default();
    let again = reader.timeline(&again, Some(own.canvas.clone()));
    // Lengths that the spec leaves to the files differ by what the files are: compared are places.
    let brief = |timeline: &Timeline| -> Vec<Value> {
        let items = timeline.video.iter().flat_map(|track| &track.items);
        items
            .map(|item| json!([item.asset, item.from, item.speed, item.enter, item.exit]))
            .collect()
    };
    let explicit = own
        .video
        .iter()
        .flat_map(|track| &track.items)
        .all(|item| item.to.is_some() || item.length.is_some())
        && own
            .audio
            .iter()
            .flat_map(|track| &track.items)
            .all(|item| item.to.is_some() || item.length.is_some());
    again.is_some_and(|again| {
        if explicit {
            again.video == read.video && again.audio == read.audio
        } else {
            brief(&again) == brief(read)
        }
    })
}

#[derive(Default)]
struct Reader {
    faults: Faults,
    notes: Faults,
    assets: BTreeMap<String, Asset>,
    rate: Option<Rate>,
}

/// A stretch as OTIO has it.
struct Range {
    start: Timestamp,
    length: Timestamp,
}

fn schema(value: &Value) -> &str {
    let name = value.get("OTIO_SCHEMA").and_then(Value::as_str).unwrap_or_default();
    name.split_once('.').map_or(name, |(name, _)| name)
}

/// Frames a second that a float stands for.
fn rate_of(rate: f64) -> Option<Rate> {
    let whole = rate.round();
    if !(0.001..=1000.0).contains(&rate) {
        return None;
    }
    if (rate - whole).abs() < 1e-4 {
        return Rate::new(whole as u32, 1);
    }
    let ntsc = (rate * 1.001).round();
    if (rate - ntsc / 1.001).abs() < 5e-3 {
        return Rate::new(ntsc as u32 * 1000, 1001);
    }
    Rate::new((rate * 1000.0).round() as u32, 1000)
}

fn time_of(value: Option<&Value>) -> Option<Timestamp> {
    let value = value?;
    let number = value.get("value")?.as_f64().filter(|v| v.abs() < 1e15)?;
    let per_second = value.get("rate")?.as_f64().filter(|r| r.is_finite() && *r > 0.0)?;
    match rate_of(per_second) {
        Some(rate) if number.fract() == 0.0 => Some(Timestamp::new(number as i64, rate.frame())),
        // Sample counts and fractions of frames.
        _ => Some(Timestamp::new((number / per_second * 1e9).round() as i64, TimeBase::NANOS)),
    }
}

fn range_of(value: Option<&Value>) -> Option<Range> {
    let value = value.filter(|value| value.is_object())?;
    Some(Range {
        start: time_of(value.get("start_time"))?,
        length: time_of(value.get("duration"))?,
    })
}

impl Reader {
    fn timeline(&mut self, tree: &Value, canvas: Option<Canvas>) -> Option<Timeline> {
        let (stack, at) = match schema(tree) {
            "Timeline" => (tree.get("tracks")?, "/tracks"),
            other => {
                self.faults.add("", format!("is no OpenTimelineIO timeline but \"{other}\""));
                return None;
            }
        };
        let (mut video, mut audio) = (Vec::new(), Vec::new());
        let children = stack.get("children").and_then(Value::as_array).map(Vec::as_slice);
        for (i, track) in children.unwrap_or_default().iter().enumerate() {
            let at = format!("{at}/children/{i}");
            let name = track.get("name").and_then(Value::as_str).map(str::to_owned);
            match (schema(track), track.get("kind").and_then(Value::as_str)) {
                ("Track" | "Sequence", Some("Audio")) => {
                    let items =
                        self.items(track, &at).into_iter().filter_map(|item| self.sound(item));
                    let items = items.collect();
                    audio.push(AudioTrack { name, items, gain_db: None, duck: None });
                }
                ("Track" | "Sequence", _) => {
                    let items = self.items(track, &at).into_iter().map(|item| item.item).collect();
                    video.push(VideoTrack { name, items });
                }
                (other, _) => self.notes.add(at, format!("\"{other}\" is not read")),
            }
        }
        let canvas = canvas.unwrap_or_else(|| Canvas {
            size: Size { width: 1920, height: 1080 },
            rate: self.rate.unwrap_or(Rate::FILM),
            background: None,
            colour: None,
        });
        Some(Timeline {
            rushes: VERSION,
            name: tree
                .get("name")
                .and_then(Value::as_str)
                .filter(|n| !n.is_empty())
                .map(str::to_owned),
            variables: BTreeMap::new(),
            matrix: BTreeMap::new(),
            canvas,
            assets: std::mem::take(&mut self.assets),
            video,
            audio,
            sound: None,
            captions: Vec::new(),
            fonts: Vec::new(),
            outputs: Vec::new(),
        })
    }

    fn items(&mut self, track: &Value, at: &str) -> Vec<Placed> {
        let mut items: Vec<Placed> = Vec::new();
        let mut clock = Timestamp::ZERO;
        let mut pending: Option<(TransitionKind, Timestamp, Timestamp)> = None;
        let children = track.get("children").and_then(Value::as_array).map(Vec::as_slice);
        for (i, child) in children.unwrap_or_default().iter().enumerate() {
            let at = format!("{at}/children/{i}");
            match schema(child) {
                "Gap" | "Filler" => {
                    if let Some(range) = range_of(child.get("source_range")) {
                        clock = clock.plus(range.length);
                    }
                    pending = None;
                }
                "Transition" => {
                    let (Some(before), Some(behind)) =
                        (time_of(child.get("in_offset")), time_of(child.get("out_offset")))
                    else {
                        self.notes.add(at, "a transition without length");
                        continue;
                    };
                    pending = Some((self.kind(child, &at), before, behind));
                    // One that nothing follows leads to nothing.
                    if let Some(last) = items.last_mut().filter(|last| last.end == clock) {
                        last.behind = Some((self.kind(child, &at), before, behind));
                    }
                }
                "Clip" => {
                    let enabled = child.get("enabled").and_then(Value::as_bool).unwrap_or(true);
                    let Some((item, length)) = self.clip(child, &at) else { continue };
                    let start = clock;
                    clock = clock.plus(length);
                    if !enabled {
                        pending = None;
                        continue;
                    }
                    let mut made = Placed { item, start, end: clock, behind: None };
                    if let Some((kind, before, behind)) = pending.take() {
                        join(items.last_mut(), &mut made, (kind, before, behind));
                    }
                    items.push(made);
                }
                other => {
                    self.notes.add(
                        &at,
                        format!("\"{other}\" within a track is not read; a gap stands for it"),
                    );
                    if let Some(range) = range_of(child.get("source_range")) {
                        clock = clock.plus(range.length);
                    }
                    pending = None;
                }
            }
        }
        for item in &mut items {
            if let Some((kind, before, behind)) = item.behind.take() {
                let length = before.plus(behind);
                if length > Timestamp::ZERO {
                    item.item.exit = Some(Transition { kind, length: length.into() });
                }
            }
            item.item.at = Some(item.start.into());
        }
        items
    }

    fn kind(&mut self, child: &Value, at: &str) -> TransitionKind {
        let ours = child.pointer(&format!("/metadata/{OURS}/kind")).and_then(Value::as_str);
        let ours = ours.and_then(|word| TransitionKind::ALL.iter().find(|(w, _)| *w == word));
        if let Some((_, kind)) = ours {
            return *kind;
        }
        if child.get("transition_type").and_then(Value::as_str) != Some("SMPTE_Dissolve") {
            self.notes.add(at, "a transition of another program's own is read as a dissolve");
        }
        TransitionKind::Dissolve
    }

    fn clip(&mut self, child: &Value, at: &str) -> Option<(VideoItem, Timestamp)> {
        let name = child.get("name").and_then(Value::as_str).unwrap_or_default();
        let reference = match child.get("media_references").and_then(Value::as_object) {
            Some(all) => {
                let key = child.get("active_media_reference_key").and_then(Value::as_str);
                all.get(key.unwrap_or("DEFAULT_MEDIA"))
            }
            None => child.get("media_reference"),
        };
        let available = reference.and_then(|r| range_of(r.get("available_range")));
        let Some(range) = range_of(child.get("source_range")).or_else(|| {
            let range = available.as_ref()?;
            Some(Range { start: range.start, length: range.length })
        }) else {
            self.notes.add(at, "a clip without length is left out");
            return None;
        };
        if range.length <= Timestamp::ZERO {
            self.notes.add(at, "a clip without length is left out");
            return None;
        }
        if self.rate.is_none() {
            let rate = child.pointer("/source_range/duration/rate").and_then(Value::as_f64);
            self.rate = rate.and_then(rate_of).filter(|rate| rate.num() <= 240 * rate.den());
        }
        // Media may start at a timecode of its own; ours start at 0.
        let zero = available.map_or(Timestamp::ZERO, |range| range.start);
        let from = range.start.minus(zero).max(Timestamp::ZERO);
        let mut item = VideoItem::blank();
        let kind = reference.map(schema).unwrap_or_default();
        if kind == "GeneratorReference" {
            let title =
                reference.and_then(|r| r.pointer(&format!("/parameters/{OURS}/text"))?.as_str());
            if let Some(text) = title {
                item.title =
                    Some(Title { text: text.to_owned(), look: None, x: None, y: None, safe: None });
                item.length = Some(range.length.into());
                return Some((item, range.length));
            }
            let colour = reference.and_then(|r| r.pointer("/parameters/colour")?.as_str());
            item.colour = Some(colour.and_then(Rgb::parse).unwrap_or(Rgb::BLACK));
            if colour.is_none() {
                self.notes.add(at, "a generator of another program's own is read as black");
            }
            item.length = Some(range.length.into());
            return Some((item, range.length));
        }
        let url = reference.and_then(|r| r.get("target_url")?.as_str());
        if url.is_none() {
            self.notes.add(at, format!("\"{name}\" says no file"));
        }
        let file = url.map_or_else(|| name.to_owned(), path_of);
        item.asset = Some(self.asset(name, &file));
        let still = is_picture(&file);
        let mut length = range.length;
        for (i, effect) in
            child.get("effects").and_then(Value::as_array).into_iter().flatten().enumerate()
        {
            match (schema(effect), effect.get("time_scalar").and_then(Value::as_f64)) {
                ("FreezeFrame", _) | ("LinearTimeWarp", Some(0.0)) => item.freeze = Some(true),
                ("LinearTimeWarp", Some(speed)) if (0.01..=100.0).contains(&speed.abs()) => {
                    item.speed = Some(speed.abs());
                    item.reverse = (speed < 0.0).then_some(true);
                    length = range.length;
                }
                (other, _) => {
                    self.notes.add(format!("{at}/effects/{i}"), format!("\"{other}\" is not read"));
                }
            }
        }
        if !still {
            item.from = Some(from.into());
        }
        item.length = Some(length.into());
        Some((item, length))
    }

    /// The name of the asset for a file.
    fn asset(&mut self, name: &str, file: &str) -> String {
        let asset = if is_picture(file) {
            Asset { image: Some(file.to_owned()), ..Asset::default() }
        } else {
            Asset { file: Some(file.to_owned()), ..Asset::default() }
        };
        if let Some((known, _)) = self.assets.iter().find(|(_, known)| **known == asset) {
            return known.clone();
        }
        let base = if name.is_empty() { "asset" } else { name };
        let mut unique = base.to_owned();
        let mut n = 2;
        while self.assets.contains_key(&unique) {
            unique = format!("{base} {n}");
            n += 1;
        }
        self.assets.insert(unique.clone(), asset);
        unique
    }

    fn sound(&mut self, placed: Placed) -> Option<AudioItem> {
        let item = placed.item;
        Some(AudioItem {
            asset: item.asset?,
            from: item.from,
            to: None,
            length: item.length,
            at: item.at,
            after: None,
            gain_db: None,
            fade_in: item.enter.map(|w| w.length),
            fade_out: item.exit.map(|w| w.length),
            pan: None,
            note: None,
        })
    }
}

/// An item with its place on the track.
struct Placed {
    item: VideoItem,
    start: Timestamp,
    end: Timestamp,
    /// The transition behind it, until something follows.
    behind: Option<(TransitionKind, Timestamp, Timestamp)>,
}

/// Has `next` enter by a transition: `before` the cut and `behind` it.
fn join(
    last: Option<&mut Placed>,
    next: &mut Placed,
    (kind, before, behind): (TransitionKind, Timestamp, Timestamp),
) {
    let length = |item: &VideoItem| item.length.map(|length| length.resolve(DUMMY));
    let shared = last.filter(|last| last.end == next.start && last.behind.is_some());
    match shared {
        Some(last) => {
            last.behind = None;
            // The last clip goes on behind the cut, the next begins before it.
            last.end = last.end.plus(behind);
            last.item.length = length(&last.item).map(|l| l.plus(behind).into());
            let run = match next.item.speed {
                Some(speed) => before.times((speed * f64::from(NORMAL_SPEED)) as u32, NORMAL_SPEED),
                None => before,
            };
            if let Some(from) = next.item.from.map(|from| from.resolve(DUMMY)) {
                next.item.from = Some(from.minus(run).max(Timestamp::ZERO).into());
            }
            next.start = next.start.minus(before);
            next.item.length = length(&next.item).map(|l| l.plus(before).into());
            let whole = before.plus(behind);
            if whole > Timestamp::ZERO {
                next.item.enter = Some(Transition { kind, length: whole.into() });
            }
        }
        None if behind > Timestamp::ZERO => {
            next.item.enter = Some(Transition { kind, length: behind.into() });
        }
        None => {}
    }
}

/// Times read here are all seconds: no rate is asked.
const DUMMY: Rate = Rate::FILM;

/// The path in a `file://` URL, or what it says.
fn path_of(url: &str) -> String {
    let Some(rest) = url.strip_prefix("file://") else { return url.to_owned() };
    let rest = rest.strip_prefix("localhost").unwrap_or(rest);
    let mut bytes = Vec::with_capacity(rest.len());
    let mut at = rest.bytes();
    while let Some(byte) = at.next() {
        if byte == b'%' {
            let digits: Vec<u8> = at.clone().take(2).collect();
            let code =
                std::str::from_utf8(&digits).ok().and_then(|d| u8::from_str_radix(d, 16).ok());
            if let Some(code) = code.filter(|_| digits.len() == 2) {
                bytes.push(code);
                at.nth(1);
                continue;
            }
        }
        bytes.push(byte);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn is_picture(file: &str) -> bool {
    let ending = file.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    matches!(ending.as_deref(), Some("png" | "gif"))
}

impl VideoItem {
    /// An item that says nothing.
    pub fn blank() -> Self {
        Self {
            asset: None,
            colour: None,
            title: None,
            from: None,
            to: None,
            length: None,
            at: None,
            after: None,
            speed: None,
            reverse: None,
            blend: None,
            freeze: None,
            fit: None,
            focus: None,
            crop: None,
            place: None,
            opacity: None,
            effects: Vec::new(),
            enter: None,
            exit: None,
            mute: None,
            gain_db: None,
            note: None,
        }
    }
}
