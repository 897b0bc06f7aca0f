//! An edit as a CMX 3600 decision list, for programs that read nothing else: the lowest video
//! track, with cuts, dissolves, wipes and speeds. Other tracks have no place in one.

use super::layout::{Clip, Layout, NORMAL_SPEED, Shown};
use super::spec::{Timeline, TransitionKind};
use super::value::Rate;
use crate::text::plain;
use crate::time::{Rounding, Timestamp};
use std::fmt::Write as _;

/// The decision list of the lowest video track. Timecode counts frames of the canvas (non-drop).
pub fn write_edl(timeline: &Timeline, layout: &Layout) -> String {
    let rate = timeline.canvas.rate;
    let mut out = format!(
        "TITLE: {}\nFCM: NON-DROP FRAME\n\n",
        line(timeline.name.as_deref().unwrap_or("rushes"))
    );
    let clips = layout.video.first().map(Vec::as_slice).unwrap_or_default();
    for (i, clip) in clips.iter().enumerate() {
        event(
            &mut out,
            timeline,
            rate,
            i,
            clip,
            i.checked_sub(1).and_then(|i| clips.get(i)),
            clips.get(i + 1),
        );
    }
    out
}

/// What would end a line must not be in one.
fn line(text: &str) -> String {
    plain(text).replace(['\r', '\n'], " ")
}

fn code(frame: i64, rate: Rate) -> String {
    let nominal = i64::from(rate.num().div_ceil(rate.den()));
    let frame = frame.max(0);
    let seconds = frame / nominal;
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{h:02}:{m:02}:{s:02}:{:02}", frame % nominal)
}

fn name(timeline: &Timeline, clip: &Clip) -> String {
    match &clip.shown {
        Shown::Colour(_) | Shown::Title => "BL".to_owned(),
        Shown::Asset(name) => {
            let asset = timeline.assets.get(name);
            let file = asset.and_then(|asset| asset.file.as_ref().or(asset.image.as_ref()));
            line(file.unwrap_or(name))
        }
    }
}

fn event(
    out: &mut String,
    timeline: &Timeline,
    rate: Rate,
    i: usize,
    clip: &Clip,
    last: Option<&Clip>,
    next: Option<&Clip>,
) {
    let frame = |time: Timestamp| time.rescale(rate.frame(), Rounding::Nearest).ticks();
    let reel = if !matches!(clip.shown, Shown::Asset(_)) { "BL" } else { "AX" };
    // What the next clip enters over belongs to its event.
    let end = next.map_or(clip.end, |next| next.start.min(clip.end)).max(clip.start);
    let length = end - clip.start;
    let run = Timestamp::new(length, rate.frame()).times(clip.speed, NORMAL_SPEED);
    let (source, behind) = (frame(clip.from), frame(clip.from.plus(run)));
    let number = i + 1;
    let enter = clip.enter.filter(|enter| enter.joined);
    let how = match enter {
        None => "C        ".to_owned(),
        Some(enter) => {
            let last = last.map_or(0, |last| frame(last.source_time(clip.start, rate)));
            let (source, record) = (code(last, rate), code(clip.start, rate));
            let _ = writeln!(
                out,
                "{number:03}  AX       V     C        {source} {source} {record} {record}"
            );
            let kind = if is_wipe(enter.kind) { "W001" } else { "D   " };
            format!("{kind} {:03} ", enter.frames.min(999))
        }
    };
    let _ = writeln!(
        out,
        "{number:03}  {reel:<8} V     {how}{} {} {} {}",
        code(source, rate),
        code(behind, rate),
        code(clip.start, rate),
        code(end, rate),
    );
    if clip.speed != NORMAL_SPEED && reel != "BL" {
        let frames = f64::from(rate.num()) / f64::from(rate.den()) * f64::from(clip.speed) / 1e6;
        let frames = if clip.reverse { -frames } else { frames };
        let _ = writeln!(out, "M2   AX       {frames:05.1}                {}", code(source, rate));
    }
    if let (Some(_), Some(last)) = (enter, last) {
        let _ = writeln!(out, "* FROM CLIP NAME: {}", name(timeline, last));
        let _ = writeln!(out, "* TO CLIP NAME: {}\n", name(timeline, clip));
    } else {
        let _ = writeln!(out, "* FROM CLIP NAME: {}\n", name(timeline, clip));
    }
}

fn is_wipe(kind: TransitionKind) -> bool {
    use TransitionKind as K;
    !matches!(kind, K::Dissolve | K::DipBlack | K::DipWhite)
}
