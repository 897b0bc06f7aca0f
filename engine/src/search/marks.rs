//! What a library knows of a film that decides where a clip of it may begin and end.

use super::snap::{Marks, Said};
use crate::error::Result;
use crate::library::Catalogue;
use crate::library::catalogue::rows::SegmentRow;
use crate::time::Timestamp;
use serde_json::Value;

/// The marks of a film: its words, its shots, its length.
///
/// # Errors
/// As [`Catalogue::open`].
pub fn marks(catalogue: &Catalogue, media: i64) -> Result<Marks> {
    let probe = catalogue.probe_of(media)?;
    let segments = catalogue.segments_of(media)?;
    let shots = catalogue.shots_of(media)?;
    Ok(Marks {
        said: segments.into_iter().map(|segment| said(segment.row)).collect(),
        shots: shots.into_iter().map(|shot| shot.row.span).collect(),
        length: probe.and_then(|probe| length(&probe.info).or(probe.duration)),
    })
}

/// How long a film's pictures last, by what was probed: sound may go on a little behind them.
fn length(info: &Value) -> Option<Timestamp> {
    let mut streams = info["streams"].as_array()?.iter();
    let video = streams.find(|stream| stream["kind"] == "video" && stream["cover"] != true)?;
    let time = |name: &str| video[name]["exact"].as_str()?.parse::<Timestamp>().ok();
    Some(time("start").unwrap_or(Timestamp::ZERO).plus(time("duration")?))
}

fn said(segment: SegmentRow) -> Said {
    let words: Vec<_> = segment.words.into_iter().map(|word| (word.span, word.text)).collect();
    let words = if words.is_empty() { vec![(segment.span, segment.text)] } else { words };
    Said { span: segment.span, words }
}
