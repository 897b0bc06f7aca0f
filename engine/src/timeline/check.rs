//! What is wrong with a spec whatever its assets are: values out of range, things that exclude each
//! other, names of nothing.

use super::fault::{Faults, step};
use super::layout::MAX_SECONDS;
use super::preset::Preset;
use super::spec::*;
use super::value::{Animated, Rate, Time};
use crate::time::Timestamp;
use std::collections::BTreeMap;

impl Timeline {
    /// What is wrong with it whatever its assets are.
    pub(super) fn check(&self, faults: &mut Faults) {
        if self.rushes != VERSION {
            faults.add(
                "/rushes",
                format!("is version {}; this engine reads version {VERSION}", self.rushes),
            );
        }
        for (name, asset) in &self.assets {
            let at = step("/assets", name);
            let given = [asset.file.is_some(), asset.image.is_some(), asset.library.is_some()];
            if given.into_iter().filter(|given| *given).count() != 1 {
                faults.add(
                    at.clone(),
                    "must have exactly one of \"file\", \"image\" and \"library\"",
                );
            }
            if let Some(asset) = &asset.library {
                asset.check(&format!("{at}/library"), faults);
            }
        }
        if self.video.iter().all(|track| track.items.is_empty()) {
            faults.add("/video", "shows nothing: at least one track needs an item");
        }
        let mut files = BTreeMap::new();
        for (i, output) in self.outputs.iter().enumerate() {
            let at = format!("/outputs/{i}");
            output.check(&at, &self.canvas, faults);
            if let Some(file) = &output.file
                && let Some(other) = files.insert(file, i)
            {
                faults.add(format!("{at}/file"), format!("is the file of /outputs/{other} too"));
            }
        }
        if let Some(sound) = &self.sound {
            range("/sound/loudness", sound.loudness, -70.0, -5.0, faults);
            range("/sound/true_peak", sound.true_peak, -20.0, 0.0, faults);
        }
        for (i, captions) in self.captions.iter().enumerate() {
            let at = format!("/captions/{i}");
            if let Some(asset) = &captions.asset {
                known_asset(&format!("{at}/asset"), asset, self, faults);
            }
            range(&format!("{at}/x"), captions.x, 0.0, 1.0, faults);
            range(&format!("{at}/y"), captions.y, 0.0, 1.0, faults);
            range(&format!("{at}/active_scale"), captions.active_scale, 0.5, 2.0, faults);
            if captions.styles == Some(CaptionStyles::File) {
                let words = [
                    ("upcoming", captions.upcoming.is_some()),
                    ("active", captions.active.is_some()),
                    ("active_scale", captions.active_scale.is_some()),
                    ("said", captions.said.is_some()),
                    ("x", captions.x.is_some()),
                    ("y", captions.y.is_some()),
                ];
                for (name, _) in words.iter().filter(|(_, given)| *given) {
                    let what = "is for captions of style \"plain\": the file says it here";
                    faults.add(format!("{at}/{name}"), what);
                }
            }
            for (name, value) in [("columns", captions.columns), ("lines", captions.lines)] {
                if value.is_some_and(|n| !(1..=200).contains(&n)) {
                    faults.add(format!("{at}/{name}"), "must be from 1 to 200");
                }
            }
            if let Some(look) = &captions.look {
                look.check(&format!("{at}/look"), faults);
            }
        }
        for (t, track) in self.video.iter().enumerate() {
            for (i, item) in track.items.iter().enumerate() {
                item.check(&format!("/video/{t}/items/{i}"), self, faults);
            }
        }
        for (t, track) in self.audio.iter().enumerate() {
            let at = format!("/audio/{t}");
            range(&format!("{at}/gain_db"), track.gain_db, -100.0, 40.0, faults);
            if let Some(duck) = &track.duck {
                range(&format!("{at}/duck/by_db"), duck.by_db, 0.0, 100.0, faults);
            }
            for (i, item) in track.items.iter().enumerate() {
                item.check(&format!("{at}/items/{i}"), self, faults);
            }
        }
    }
}

fn range(pointer: &str, value: Option<f64>, low: f64, high: f64, faults: &mut Faults) {
    if value.is_some_and(|value| !(low..=high).contains(&value)) {
        faults.add(pointer, format!("must be from {low} to {high}"));
    }
}

fn moving(
    pointer: &str,
    value: Option<&Animated>,
    (low, high): (f64, f64),
    rate: Rate,
    faults: &mut Faults,
) {
    let Some(value) = value else { return };
    if value.values().any(|value| !(low..=high).contains(&value)) {
        faults.add(pointer, format!("must be from {low} to {high}"));
    }
    if let Animated::Moving(frames) = value {
        for (i, pair) in frames.windows(2).enumerate() {
            if pair[0].at.resolve(rate) >= pair[1].at.resolve(rate) {
                faults.add(
                    format!("{pointer}/{}/at", i + 1),
                    "must be later than the keyframe before it",
                );
            }
        }
    }
}

fn positive(pointer: String, time: Option<Time>, rate: Rate, faults: &mut Faults) {
    if time.is_some_and(|time| time.resolve(rate) <= Timestamp::ZERO) {
        faults.add(pointer, "must be longer than nothing");
    }
}

fn not_negative(pointer: String, time: Option<Time>, rate: Rate, faults: &mut Faults) {
    let Some(time) = time.map(|time| time.resolve(rate)) else { return };
    if time.is_negative() {
        faults.add(pointer, "must not lie before 0");
    } else if time > Timestamp::from_secs(MAX_SECONDS) {
        faults.add(pointer, format!("must not lie behind {} h", MAX_SECONDS / 3600));
    }
}

impl Output {
    fn check(&self, at: &str, canvas: &Canvas, faults: &mut Faults) {
        if let Some(name) = &self.preset {
            let at = format!("{at}/preset");
            match Preset::named(name, &at) {
                Ok(preset) if preset.size != canvas.size => faults.add(
                    at,
                    format!(
                        "is for a canvas of {}, this one has {}: change its size, or use --preset",
                        preset.size, canvas.size
                    ),
                ),
                Ok(_) => {}
                Err(unknown) => faults.0.extend(unknown.0),
            }
        }
        let all = self.settled();
        let named = self.file.as_deref().map(Container::of_file);
        if all.container.is_none() && named == Some(None) {
            faults.add(
                format!("{at}/file"),
                "needs an ending that says its container (mp4, mov, mkv, webm, gif, webp), or \"container\"",
            );
        }
        let container = all.container.or(named.flatten());
        if let Some(container) = container.filter(|container| container.is_animation()) {
            for (name, given) in [
                ("audio", self.audio.is_some()),
                ("video", self.video.is_some()),
                ("copy", self.copy.is_some()),
                ("preset", self.preset.is_some()),
            ] {
                if given {
                    let what = container.as_str();
                    faults.add(format!("{at}/{name}"), format!("means nothing for {what}"));
                }
            }
            if container == Container::Gif && canvas.rate.num() > 50 * canvas.rate.den() {
                let what =
                    "cannot be: a GIF has at most 50 frames a second; lower the canvas's \"rate\"";
                faults.add(at, what);
            }
        }
        let Some(video) = &self.video else { return };
        let within = |name: &str, value: Option<u32>, faults: &mut Faults| {
            if value.is_some_and(|rate| !(10_000..=1_000_000_000).contains(&rate)) {
                faults.add(format!("{at}/video/{name}"), "must be from 10000 to 1000000000");
            }
        };
        if video.crf.is_some() && video.bitrate.is_some() {
            faults.add(format!("{at}/video"), "\"crf\" and \"bitrate\" exclude each other");
        }
        range(&format!("{at}/video/crf"), video.crf, 0.0, 63.0, faults);
        within("bitrate", video.bitrate, faults);
        within("maxrate", video.maxrate, faults);
        within("bufsize", video.bufsize, faults);
        let settled = all.video.unwrap_or_default();
        if settled.bufsize.is_some() && settled.maxrate.is_none() {
            faults.add(format!("{at}/video/bufsize"), "means nothing without \"maxrate\"");
        }
        if settled.maxrate.zip(settled.bitrate).is_some_and(|(most, mean)| most < mean) {
            faults.add(format!("{at}/video/maxrate"), "must not be under \"bitrate\"");
        }
        if matches!(settled.codec, Some(VideoCodec::Av1 | VideoCodec::Prores))
            && settled.maxrate.is_some()
        {
            faults.add(format!("{at}/video/maxrate"), "is for h264, hevc and vp9 only");
        }
        match video.passes {
            None | Some(1) => {}
            Some(2) if settled.bitrate.is_none() => {
                faults.add(
                    format!("{at}/video/passes"),
                    "2 needs \"bitrate\": what is to be divided",
                );
            }
            Some(2) => {
                let h264 = settled.codec.is_none() && container != Some(Container::Webm)
                    || settled.codec == Some(VideoCodec::H264);
                if !h264 {
                    faults.add(format!("{at}/video/passes"), "2 is for h264 only");
                }
            }
            Some(_) => faults.add(format!("{at}/video/passes"), "must be 1 or 2"),
        }
        if video.gop.is_some_and(|gop| !(1..=10_000).contains(&gop)) {
            faults.add(format!("{at}/video/gop"), "must be from 1 to 10000");
        }
        if video.depth.is_some_and(|depth| !matches!(depth, 8 | 10)) {
            faults.add(format!("{at}/video/depth"), "must be 8 or 10");
        }
    }
}

impl LibraryAsset {
    fn check(&self, at: &str, faults: &mut Faults) {
        let ways = [self.shot.is_some(), self.segment.is_some(), self.search.is_some()];
        let count = ways.into_iter().filter(|way| *way).count();
        if count > 1 {
            faults.add(at, "\"shot\", \"segment\" and \"search\" exclude each other");
        }
        if self.media.is_none() && (count == 0 || self.shot.is_some()) {
            faults.add(at, "needs \"media\": a part of the film's name");
        }
        if self.hit.is_some() && self.search.is_none() {
            faults.add(format!("{at}/hit"), "means nothing without \"search\"");
        }
        for (name, value) in [("shot", self.shot), ("hit", self.hit)] {
            if value == Some(0) {
                faults.add(format!("{at}/{name}"), "counts from 1");
            }
        }
    }
}

impl Container {
    /// The container that a file's ending asks for.
    pub fn of_file(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "mp4" | "m4v" => Some(Self::Mp4),
            "mov" => Some(Self::Mov),
            "mkv" => Some(Self::Mkv),
            "webm" => Some(Self::Webm),
            "gif" => Some(Self::Gif),
            "webp" => Some(Self::Webp),
            _ => None,
        }
    }

    /// Whether it holds pictures in quick succession and nothing else.
    pub fn is_animation(self) -> bool {
        matches!(self, Self::Gif | Self::Webp)
    }
}

impl VideoItem {
    fn check(&self, at: &str, timeline: &Timeline, faults: &mut Faults) {
        let rate = timeline.canvas.rate;
        let others = [self.colour.is_some(), self.title.is_some()];
        match (&self.asset, others) {
            (Some(name), [false, false]) => {
                known_asset(&format!("{at}/asset"), name, timeline, faults)
            }
            (None, [true, false] | [false, true]) => {
                for (name, given) in [
                    ("from", self.from.is_some()),
                    ("to", self.to.is_some()),
                    ("speed", self.speed.is_some()),
                    ("reverse", self.reverse.is_some()),
                    ("blend", self.blend.is_some()),
                    ("freeze", self.freeze.is_some()),
                ] {
                    if given {
                        faults.add(format!("{at}/{name}"), "means nothing for a colour or a title");
                    }
                }
                if self.length.is_none() {
                    faults.add(at, "a colour or a title needs \"length\"");
                }
            }
            _ => faults.add(at, "must have exactly one of \"asset\", \"colour\" and \"title\""),
        }
        if let Some(title) = &self.title {
            let at = format!("{at}/title");
            if title.text.trim().is_empty() {
                faults.add(format!("{at}/text"), "is empty");
            }
            range(&format!("{at}/x"), title.x, 0.0, 1.0, faults);
            range(&format!("{at}/y"), title.y, 0.0, 1.0, faults);
            if let Some(look) = &title.look {
                look.check(&format!("{at}/look"), faults);
            }
        }
        placed(at, self.at, self.after, self.to, self.length, rate, faults);
        not_negative(format!("{at}/from"), self.from, rate, faults);
        if self.speed.is_some_and(|speed| !(0.01..=100.0).contains(&speed)) {
            faults.add(format!("{at}/speed"), "must be from 0.01 to 100");
        }
        if self.freeze == Some(true) {
            if self.length.is_none() {
                faults.add(at, "a still frame (\"freeze\") needs \"length\"");
            }
            if self.to.is_some() || self.speed.is_some() || self.reverse == Some(true) {
                faults
                    .add(at, "a still frame (\"freeze\") has no \"to\", \"speed\" or \"reverse\"");
            }
        }
        moving(&format!("{at}/opacity"), self.opacity.as_ref(), (0.0, 1.0), rate, faults);
        moving(&format!("{at}/gain_db"), self.gain_db.as_ref(), (-100.0, 40.0), rate, faults);
        if let Some(place) = &self.place {
            for (name, value, bounds) in [
                ("x", &place.x, (-10.0, 10.0)),
                ("y", &place.y, (-10.0, 10.0)),
                ("scale", &place.scale, (0.001, 100.0)),
                ("rotate", &place.rotate, (-36_000.0, 36_000.0)),
            ] {
                moving(&format!("{at}/place/{name}"), value.as_ref(), bounds, rate, faults);
            }
        }
        if let Some(focus) = &self.focus {
            moving(&format!("{at}/focus/x"), Some(&focus.x), (0.0, 1.0), rate, faults);
            moving(&format!("{at}/focus/y"), Some(&focus.y), (0.0, 1.0), rate, faults);
        }
        if let Some(crop) = &self.crop {
            for (name, value) in [
                ("left", crop.left),
                ("top", crop.top),
                ("right", crop.right),
                ("bottom", crop.bottom),
            ] {
                range(&format!("{at}/crop/{name}"), value, 0.0, 0.99, faults);
            }
            let left = |a: Option<f64>, b: Option<f64>| a.unwrap_or(0.0) + b.unwrap_or(0.0) <= 0.99;
            if !left(crop.left, crop.right) || !left(crop.top, crop.bottom) {
                faults.add(format!("{at}/crop"), "leaves nothing");
            }
        }
        for (i, effect) in self.effects.iter().enumerate() {
            effect.check(&format!("{at}/effects/{i}"), faults);
        }
        if !self.effects.is_empty() && self.asset.is_none() {
            faults.add(format!("{at}/effects"), "are for assets only");
        }
        for (name, wipe) in [("enter", &self.enter), ("exit", &self.exit)] {
            if let Some(wipe) = wipe {
                positive(format!("{at}/{name}/length"), Some(wipe.length), rate, faults);
            }
        }
    }
}

impl EffectSpec {
    fn check(&self, at: &str, faults: &mut Faults) {
        let given = [
            self.blur.is_some(),
            self.sharpen.is_some(),
            self.grade.is_some(),
            self.lut.is_some(),
            self.vignette.is_some(),
            self.chroma_key.is_some(),
        ];
        if given.into_iter().filter(|given| *given).count() != 1 {
            faults.add(at, "must have exactly one of \"blur\", \"sharpen\", \"grade\", \"lut\", \"vignette\" and \"chroma_key\"");
        }
        range(&format!("{at}/blur"), self.blur, 0.0, 1.0, faults);
        range(&format!("{at}/sharpen"), self.sharpen, 0.0, 10.0, faults);
        if let Some(grade) = &self.grade {
            range(&format!("{at}/grade/exposure"), grade.exposure, -10.0, 10.0, faults);
            range(&format!("{at}/grade/contrast"), grade.contrast, 0.0, 10.0, faults);
            range(&format!("{at}/grade/saturation"), grade.saturation, 0.0, 10.0, faults);
            range(&format!("{at}/grade/temperature"), grade.temperature, 1667.0, 25_000.0, faults);
        }
        if let Some(vignette) = &self.vignette {
            range(&format!("{at}/vignette/amount"), vignette.amount, 0.0, 1.0, faults);
            range(&format!("{at}/vignette/radius"), vignette.radius, 0.0, 1.0, faults);
        }
        if let Some(key) = &self.chroma_key {
            range(&format!("{at}/chroma_key/tolerance"), key.tolerance, 0.0, 1.0, faults);
            range(&format!("{at}/chroma_key/softness"), key.softness, 0.0, 1.0, faults);
            range(&format!("{at}/chroma_key/despill"), key.despill, 0.0, 1.0, faults);
        }
    }
}

impl TextLook {
    fn check(&self, at: &str, faults: &mut Faults) {
        range(&format!("{at}/size"), self.size, 0.005, 1.0, faults);
        range(&format!("{at}/line_height"), self.line_height, 0.5, 4.0, faults);
        if self.weight.is_some_and(|weight| !(100..=900).contains(&weight)) {
            faults.add(format!("{at}/weight"), "must be from 100 to 900");
        }
        let shares = [
            ("outline/width", self.outline.as_ref().and_then(|o| o.width)),
            ("shadow/blur", self.shadow.as_ref().and_then(|s| s.blur)),
            ("box/padding", self.r#box.as_ref().and_then(|b| b.padding)),
            ("box/radius", self.r#box.as_ref().and_then(|b| b.radius)),
        ];
        for (name, value) in shares {
            range(&format!("{at}/{name}"), value, 0.0, 4.0, faults);
        }
        for (name, value) in [
            ("x", self.shadow.as_ref().and_then(|s| s.x)),
            ("y", self.shadow.as_ref().and_then(|s| s.y)),
        ] {
            range(&format!("{at}/shadow/{name}"), value, -4.0, 4.0, faults);
        }
    }
}

impl AudioItem {
    fn check(&self, at: &str, timeline: &Timeline, faults: &mut Faults) {
        let rate = timeline.canvas.rate;
        known_asset(&format!("{at}/asset"), &self.asset, timeline, faults);
        placed(at, self.at, self.after, self.to, self.length, rate, faults);
        not_negative(format!("{at}/from"), self.from, rate, faults);
        not_negative(format!("{at}/fade_in"), self.fade_in, rate, faults);
        not_negative(format!("{at}/fade_out"), self.fade_out, rate, faults);
        range(&format!("{at}/pan"), self.pan, -1.0, 1.0, faults);
        moving(&format!("{at}/gain_db"), self.gain_db.as_ref(), (-100.0, 40.0), rate, faults);
    }
}

fn known_asset(at: &str, name: &str, timeline: &Timeline, faults: &mut Faults) {
    if !timeline.assets.contains_key(name) {
        let known: Vec<_> = timeline.assets.keys().map(String::as_str).collect();
        faults.add(at, format!("no asset is called \"{name}\" (there are: {})", known.join(", ")));
    }
}

fn placed(
    at: &str,
    when: Option<Time>,
    after: Option<Time>,
    to: Option<Time>,
    length: Option<Time>,
    rate: Rate,
    faults: &mut Faults,
) {
    if when.is_some() && after.is_some() {
        faults.add(at, "\"at\" and \"after\" exclude each other");
    }
    if to.is_some() && length.is_some() {
        faults.add(at, "\"to\" and \"length\" exclude each other");
    }
    not_negative(format!("{at}/at"), when, rate, faults);
    not_negative(format!("{at}/after"), after, rate, faults);
    not_negative(format!("{at}/to"), to, rate, faults);
    not_negative(format!("{at}/length"), length, rate, faults);
    positive(format!("{at}/length"), length, rate, faults);
}
