//! Shots as files: JSON, CSV, an edit decision list, an OpenTimelineIO clip with markers.

use super::{FinderReport, Shot};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::text::plain;
use crate::time::Timestamp;
use serde::Serialize;
use serde_json::json;
use std::fmt::Write as _;

/// The formats that shots are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShotFormat {
    /// Everything that is known, times as seconds and as fractions.
    Json,
    /// A line a shot, times in seconds.
    Csv,
    /// CMX 3600 edit decision list: one event a shot. Timecode counts frames (non-drop).
    Edl,
    /// OpenTimelineIO: one clip, a marker for each shot.
    Otio,
}

impl ShotFormat {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Json, Self::Csv, Self::Edl, Self::Otio];

    /// Its word in settings and its file extension.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Edl => "edl",
            Self::Otio => "otio",
        }
    }
}

/// The shots of one film.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShotList {
    /// Name of the film, for people.
    pub name: String,
    /// Frames a second, as numerator and denominator; 25/1 where nobody knows.
    pub rate: (u32, u32),
    /// In order of time, without gaps.
    pub shots: Vec<Shot>,
    /// How much work it was to find them.
    pub work: FinderReport,
}

impl ShotList {
    /// The list as `format`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where JSON cannot be made, which would be a defect.
    pub fn write(&self, format: ShotFormat) -> Result<String> {
        match format {
            ShotFormat::Json => pretty(&self.as_json()),
            ShotFormat::Csv => Ok(self.csv()),
            ShotFormat::Edl => Ok(self.edl()),
            ShotFormat::Otio => pretty(&self.otio()),
        }
    }

    /// The number of the frame shown at `time`, at the stated rate.
    fn frame(&self, time: Timestamp) -> i64 {
        let (num, den) = (self.rate.0.max(1), self.rate.1.max(1));
        let base = crate::time::TimeBase::new(
            i32::try_from(den).unwrap_or(1),
            i32::try_from(num).unwrap_or(25),
        );
        let base = base.unwrap_or(crate::time::TimeBase::per_second(25));
        time.rescale(base, crate::time::Rounding::Nearest).ticks()
    }

    fn as_json(&self) -> serde_json::Value {
        let shots = self.shots.iter().enumerate().map(|(n, shot)| {
            json!({
                "n": n,
                "start": shot.start,
                "end": shot.end,
                "start_frame": self.frame(shot.start),
                "end_frame": self.frame(shot.end),
                "entered_by": shot.entered_by,
                "confidence": shot.confidence,
            })
        });
        let shots: Vec<_> = shots.collect();
        let rate = format!("{}/{}", self.rate.0, self.rate.1);
        json!({ "name": self.name, "frame_rate": rate, "shots": shots, "work": self.work })
    }

    fn csv(&self) -> String {
        let mut out =
            "shot,start,end,length,start_frame,end_frame,entered_by,confidence\n".to_owned();
        for (n, shot) in self.shots.iter().enumerate() {
            let (start, end) = (shot.start.as_secs_f64(), shot.end.as_secs_f64());
            let _ = writeln!(
                out,
                "{},{start:.6},{end:.6},{:.6},{},{},{},{:.3}",
                n + 1,
                shot.end.minus(shot.start).as_secs_f64(),
                self.frame(shot.start),
                self.frame(shot.end),
                shot.entered_by.as_str(),
                shot.confidence,
            );
        }
        out
    }

    fn edl(&self) -> String {
        // What would end a line must not be in one.
        let name = plain(&self.name).replace(['\r', '\n'], " ");
        let mut out = format!("TITLE: {name}\nFCM: NON-DROP FRAME\n\n");
        let code = |time: Timestamp| {
            let nominal = i64::from(self.rate.0.max(1).div_ceil(self.rate.1.max(1)));
            let frame = self.frame(time).max(0);
            let seconds = frame / nominal;
            let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            format!("{h:02}:{m:02}:{s:02}:{:02}", frame % nominal)
        };
        for (n, shot) in self.shots.iter().enumerate() {
            let (start, end) = (code(shot.start), code(shot.end));
            let _ = writeln!(
                out,
                "{:03}  AX       V     C        {start} {end} {start} {end}\n* FROM CLIP NAME: {name}\n",
                n + 1,
            );
        }
        out
    }

    fn otio(&self) -> serde_json::Value {
        let rate = f64::from(self.rate.0) / f64::from(self.rate.1.max(1));
        let time = |value: i64| json!({ "OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": value as f64 });
        let range = |start: Timestamp, end: Timestamp| {
            let (start, end) = (self.frame(start), self.frame(end));
            json!({
                "OTIO_SCHEMA": "TimeRange.1",
                "start_time": time(start),
                "duration": time(end - start),
            })
        };
        let whole = match (self.shots.first(), self.shots.last()) {
            (Some(first), Some(last)) => range(first.start, last.end),
            _ => range(Timestamp::ZERO, Timestamp::ZERO),
        };
        let markers = self.shots.iter().enumerate().map(|(n, shot)| {
            json!({
                "OTIO_SCHEMA": "Marker.2",
                "name": format!("shot {}", n + 1),
                "color": "GREEN",
                "marked_range": range(shot.start, shot.end),
                "metadata": { "rushes": {
                    "entered_by": shot.entered_by,
                    "confidence": shot.confidence,
                } },
            })
        });
        let clip = json!({
            "OTIO_SCHEMA": "Clip.1",
            "name": self.name,
            "source_range": whole,
            "media_reference": {
                "OTIO_SCHEMA": "ExternalReference.1",
                "target_url": self.name,
                "available_range": whole,
            },
            "markers": markers.collect::<Vec<_>>(),
            "effects": [],
            "metadata": {},
        });
        json!({
            "OTIO_SCHEMA": "Timeline.1",
            "name": self.name,
            "metadata": {},
            "tracks": {
                "OTIO_SCHEMA": "Stack.1",
                "name": "tracks",
                "children": [{
                    "OTIO_SCHEMA": "Track.1",
                    "name": "V1",
                    "kind": "Video",
                    "children": [clip],
                }],
            },
        })
    }
}

fn pretty(value: &serde_json::Value) -> Result<String> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::new(ErrorKind::Internal, Stage::Write, e.to_string()))?;
    text.push('\n');
    Ok(text)
}
