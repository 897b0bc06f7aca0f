//! What decides the bytes of a segment, as one digest: where it lies in the programme does not, so
//! that a segment that was moved, or that another variant shares, is found again.

use super::assets::Sources;
use super::inks::Inks;
use super::looks::Looks;
use super::target::Target;
use crate::timeline::{Animated, Clip, Layout, Rate, Shown, Timeline};
use serde_json::{Value, json};

/// What keys are made from.
pub(super) struct Keys<'a> {
    pub timeline: &'a Timeline,
    pub layout: &'a Layout,
    pub sources: &'a Sources,
    pub inks: &'a Inks,
    pub looks: &'a Looks,
    /// Version of the coders: others give other bytes.
    pub codecs: (u32, u32, u32),
    /// What tells the font files apart.
    pub fonts: &'a [String],
    /// How much smaller than written the canvas is.
    pub scale: f64,
    /// Raised when the same edit gives other pictures.
    pub version: u32,
}

impl Keys<'_> {
    /// The key of frames `start` to `end`.
    pub fn of_segment(&self, target: &Target, (start, end): (i64, i64)) -> String {
        let rate = self.timeline.canvas.rate;
        let tracks: Vec<Value> = self
            .layout
            .video
            .iter()
            .map(|track| {
                let seen = track.iter().filter(|clip| clip.start < end && clip.end > start);
                let seen =
                    seen.map(|clip| of_clip(clip, self.sources, self.looks, rate, (start, end)));
                Value::Array(seen.collect())
            })
            .filter(|track| track.as_array().is_some_and(|clips| !clips.is_empty()))
            .collect();
        let captions = self.inks.key(rate.time(start), rate.time(end));
        let has_text = captions.as_array().is_some_and(|tracks| !tracks.is_empty())
            || tracks.iter().any(|track| track.to_string().contains("\"title\""));
        let all = json!({
            "version": self.version,
            "scale": self.scale,
            "frames": end - start,
            "film": target.film,
            "rate": rate,
            "background": self.timeline.canvas.background,
            "tracks": tracks,
            "captions": captions,
            "fonts": has_text.then(|| json!([self.fonts, self.inks.fonts()])),
            "codecs": self.codecs,
        });
        digest(&all)
    }

    /// The key of the whole of an output, whose sound has the key `sound`.
    pub fn of_output(&self, target: &Target, sound: Option<&str>) -> String {
        let mut timeline = self.timeline.to_json();
        if let Some(fields) = timeline.as_object_mut() {
            // Of the outputs only the target counts; the rest are words for people, and rules that
            // were applied already.
            ["outputs", "name", "variables", "matrix"].iter().for_each(|name| {
                fields.remove(*name);
            });
        }
        let identities: Vec<_> =
            self.sources.iter().map(|(name, source)| (name, &source.identity)).collect();
        let looks: Vec<Value> =
            self.layout.video.iter().flatten().map(|clip| self.looks.key(clip)).collect();
        let end = self.timeline.canvas.rate.time(self.layout.frames);
        digest(&json!({
            "version": self.version,
            "scale": self.scale,
            "target": target,
            "timeline": timeline,
            "assets": identities,
            "looks": looks,
            "captions": self.inks.key(crate::time::Timestamp::ZERO, end),
            "fonts": [json!(self.fonts), json!(self.inks.fonts())],
            "sound": sound,
            "codecs": self.codecs,
        }))
    }
}

fn digest(all: &Value) -> String {
    blake3::hash(all.to_string().as_bytes()).to_hex().to_string()
}

fn of_clip(
    clip: &Clip,
    sources: &Sources,
    looks: &Looks,
    rate: Rate,
    (start, end): (i64, i64),
) -> Value {
    let item = &clip.item;
    // The part of the clip that the segment shows, from the segment's own start.
    let first = clip.start.max(start);
    let place = item.place.as_ref();
    let moves = |value: Option<&Animated>| matches!(value, Some(Animated::Moving(_)));
    let moving = moves(item.opacity.as_ref())
        || place
            .is_some_and(|p| [&p.x, &p.y, &p.scale, &p.rotate].iter().any(|v| moves(v.as_ref())))
        || item.focus.as_ref().is_some_and(|f| moves(Some(&f.x)) || moves(Some(&f.y)));
    let enters = clip.enter.filter(|enter| start < clip.start + enter.frames);
    let exits = clip.exit.filter(|exit| end > clip.end - exit.frames);
    let what = match &clip.shown {
        Shown::Colour(colour) => json!(colour),
        Shown::Title => json!({ "title": item.title }),
        Shown::Asset(name) => json!(sources.get(name).map(|source| &source.identity)),
    };
    let time = if clip.speed == 0 { clip.from } else { clip.source_time(first, rate) };
    json!({
        "what": what,
        "from": first - start,
        "to": clip.end.min(end) - start,
        "time": time,
        // Backwards, a clip does not go past its beginning.
        "least": clip.reverse.then_some(clip.from),
        "speed": clip.speed,
        "reverse": clip.reverse,
        "blend": item.blend,
        // What is blended does not reach past the clip's end.
        "most": item.blend.and(Some(clip.to)),
        "fit": item.fit, "focus": item.focus, "crop": item.crop, "place": place,
        "opacity": item.opacity,
        "effects": looks.key(clip),
        "since": moving.then_some(clip.start - start),
        "enter": enters.map(|w| (w.kind, w.frames, w.joined, clip.start - start)),
        "exit": exits.map(|w| (w.kind, w.frames, clip.end - start)),
    })
}
