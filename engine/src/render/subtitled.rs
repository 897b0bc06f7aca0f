//! A styled subtitle file on the programme's clock: as it is, or wherever the asset that it belongs to is.

use super::text::{Ink, StyledTrack};
use crate::error::Result;
use crate::time::Timestamp;
use crate::timeline::{Layout, NORMAL_SPEED, Rate, Shown};
use serde_json::{Value, json};
use std::sync::Arc;

/// A file's captions with the stretches of the programme that show them.
pub(super) struct Subtitled {
    track: StyledTrack,
    windows: Vec<Window>,
}

/// A stretch of the programme, half-open, that runs through the file's times.
#[derive(Clone, Copy)]
struct Window {
    start: Timestamp,
    /// `None` for the end of all.
    end: Option<Timestamp>,
    /// The file's time at `start`.
    from: Timestamp,
    /// In parts of [`NORMAL_SPEED`].
    speed: u32,
}

impl Window {
    fn holds(&self, time: Timestamp) -> bool {
        self.start <= time && self.end.is_none_or(|end| time < end)
    }

    fn in_file(&self, time: Timestamp) -> Timestamp {
        self.from.plus(time.minus(self.start).times(self.speed, NORMAL_SPEED))
    }

    fn in_programme(&self, time: Timestamp) -> Timestamp {
        let time = self.start.plus(time.minus(self.from).times(NORMAL_SPEED, self.speed));
        let time = time.max(self.start);
        self.end.map_or(time, |end| time.min(end))
    }
}

impl Subtitled {
    /// `track` where `asset` is shown forwards, or everywhere.
    pub fn new(track: StyledTrack, asset: Option<&String>, layout: &Layout, rate: Rate) -> Self {
        let everywhere = Window {
            start: Timestamp::ZERO,
            end: None,
            from: Timestamp::ZERO,
            speed: NORMAL_SPEED,
        };
        let Some(asset) = asset else { return Self { track, windows: vec![everywhere] } };
        let clips = layout.video.iter().flatten().filter(|clip| {
            clip.shown == Shown::Asset(asset.clone()) && clip.speed != 0 && !clip.reverse
        });
        let windows = clips.map(|clip| {
            let start = rate.time(clip.start);
            let length = clip.to.minus(clip.from).times(NORMAL_SPEED, clip.speed);
            Window { start, end: Some(start.plus(length)), from: clip.from, speed: clip.speed }
        });
        Self { track, windows: windows.collect() }
    }

    fn windows(&self, time: Timestamp) -> impl Iterator<Item = &Window> {
        self.windows.iter().filter(move |window| window.holds(time))
    }

    /// The inks at `time`, the lowest first.
    pub fn inks(&self, time: Timestamp) -> Result<Vec<Arc<Ink>>> {
        let mut made = Vec::new();
        for window in self.windows(time) {
            made.extend(self.track.inks(window.in_file(time))?);
        }
        Ok(made)
    }

    /// Whether anything is shown at `time`.
    pub fn is_shown(&self, time: Timestamp) -> bool {
        self.windows(time).any(|window| self.track.is_shown(window.in_file(time)))
    }

    /// When those that are shown at `time` begin and end.
    pub fn spans(&self, time: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let mut made = Vec::new();
        for window in self.windows(time) {
            let spans = self.track.spans(window.in_file(time)).into_iter();
            made.extend(spans.map(|(a, b)| (window.in_programme(a), window.in_programme(b))));
        }
        made
    }

    /// What decides the captions from `start` to `end`, seen from `start`; `None` where there are none.
    pub fn key(&self, start: Timestamp, end: Timestamp) -> Option<Value> {
        let mut made = Vec::new();
        for window in &self.windows {
            let from = window.start.max(start);
            let to = window.end.map_or(end, |own| own.min(end));
            if from >= to {
                continue;
            }
            let captions = self.track.key(window.in_file(from), window.in_file(to));
            if !captions.is_empty() {
                let bounds = [from.minus(start), to.minus(start)];
                made.push(json!([bounds, window.speed, captions]));
            }
        }
        (!made.is_empty()).then(|| json!({ "styled": made }))
    }
}
