//! `rushes probe`: a table for people, JSON for programs.

use super::{Session, Shown};
use crate::args::Probe;
use crate::output::Status;
use rushes::media::{
    AudioInfo, Cadence, MediaInfo, Scan, StreamInfo, StreamKind, VideoInfo, probe,
};
use rushes::text::plain;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write as _;

/// One line of `rushes probe --json`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "rushes probe")]
struct Record {
    /// Always `media`; failed inputs give lines of type `error`.
    r#type: &'static str,
    /// The input as it was named.
    input: String,
    #[serde(flatten)]
    media: MediaInfo,
}

pub fn run(session: &Session, args: &Probe) -> anyhow::Result<Status> {
    if args.schema {
        session.output.bytes(schema()?.as_bytes())?;
        return Ok(Status::Ok);
    }
    session.for_each(&args.inputs, |input, _, run| {
        let media = probe(input, &run.limits, &run.cancel)?;
        let name = input.to_string_lossy().into_owned();
        let text = table(&name, &media);
        Ok(Shown {
            text,
            record: Record { r#type: "media", input: name, media },
            notices: Vec::new(),
        })
    })
}

/// The published schema: `docs/schema/probe.schema.json`.
pub fn schema() -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&schemars::schema_for!(Record))? + "\n")
}

fn table(input: &str, media: &MediaInfo) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: String| {
        if !value.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "{}{label:<12} {}",
                if label == "file" { "" } else { "\n" },
                plain(&value)
            );
        }
    };
    line("file", input.to_owned());
    let size = media.bytes.map(|b| format!(", {b} bytes")).unwrap_or_default();
    let rate = media.bit_rate.map(|b| format!(", {} kb/s", b / 1000)).unwrap_or_default();
    line("container", format!("{}{size}{rate}", media.container));
    line("duration", media.duration.map_or("unknown".into(), |d| d.to_string()));
    if media.origin != rushes::Timestamp::ZERO {
        line("starts at", media.origin.to_string());
    }
    for stream in &media.streams {
        line(&format!("stream {}", stream.index), stream_text(stream));
    }
    for chapter in &media.chapters {
        line(
            "chapter",
            format!(
                "{} to {} {}",
                chapter.span.start,
                chapter.span.end,
                chapter.title.clone().unwrap_or_default()
            ),
        );
    }
    for (key, value) in &media.tags {
        line("tag", format!("{key}: {}", value.chars().take(200).collect::<String>()));
    }
    text
}

fn stream_text(stream: &StreamInfo) -> String {
    let mut parts = vec![match &stream.kind {
        StreamKind::Video(_) if stream.cover => "cover".to_owned(),
        StreamKind::Video(_) => "video".to_owned(),
        StreamKind::Audio(_) => "audio".to_owned(),
        StreamKind::Subtitle => "subtitle".to_owned(),
        StreamKind::Attachment { .. } => "attachment".to_owned(),
        StreamKind::Data => "data".to_owned(),
    }];
    parts.push(match &stream.profile {
        Some(profile) => format!("{} ({profile})", stream.codec),
        None => stream.codec.clone(),
    });
    match &stream.kind {
        StreamKind::Video(video) => video_text(video, &mut parts),
        StreamKind::Audio(audio) => audio_text(audio, &mut parts),
        StreamKind::Attachment { filename, mimetype } => {
            parts.extend(filename.clone());
            parts.extend(mimetype.clone());
        }
        StreamKind::Subtitle | StreamKind::Data => {}
    }
    parts.extend(stream.bit_rate.map(|b| format!("{} kb/s", b / 1000)));
    parts.extend(stream.language.clone());
    if let Some(start) = stream.start.filter(|s| *s != rushes::Timestamp::ZERO) {
        parts.push(format!("starts {start}"));
    }
    parts.extend(stream.duration.map(|d| format!("lasts {d}")));
    if !stream.edit_list.is_empty() {
        parts.push(format!("edit list of {}", stream.edit_list.len()));
    }
    for (flag, word) in [
        (stream.default, "default"),
        (stream.forced, "forced"),
        (
            !stream.decodable
                && !matches!(stream.kind, StreamKind::Data | StreamKind::Attachment { .. }),
            "NOT DECODABLE",
        ),
    ] {
        if flag {
            parts.push(word.to_owned());
        }
    }
    parts.join(", ")
}

fn video_text(video: &VideoInfo, parts: &mut Vec<String>) {
    parts.push(format!("{}x{}", video.width, video.height));
    if video.sample_aspect != "1:1" {
        parts.push(format!("SAR {} DAR {}", video.sample_aspect, video.display_aspect));
    }
    let turn = u32::from(video.rotation);
    if turn != 0 || video.mirrored {
        let mirror = if video.mirrored { ", mirrored" } else { "" };
        parts.push(format!(
            "turn {turn}°{mirror}, shown {}x{}",
            video.display_width, video.display_height
        ));
    }
    parts.extend(video.frame_rate.as_ref().map(|rate| format!("{rate} fps")));
    match video.cadence {
        Cadence::Variable => parts.push("variable rate".into()),
        Cadence::Constant | Cadence::Unknown => {}
    }
    parts.extend(video.pixel_format.clone());
    let colour = &video.colour;
    let names = [&colour.primaries, &colour.transfer, &colour.matrix, &colour.range];
    let marked: Vec<_> = names.into_iter().flatten().cloned().collect();
    parts.push(if marked.is_empty() { "colour unmarked".into() } else { marked.join("/") });
    match video.scan {
        Scan::TopFirst => parts.push("interlaced, top first".into()),
        Scan::BottomFirst => parts.push("interlaced, bottom first".into()),
        Scan::Progressive | Scan::Unknown => {}
    }
    if video.hdr.is_some() {
        parts.push("HDR metadata".into());
    }
}

fn audio_text(audio: &AudioInfo, parts: &mut Vec<String>) {
    parts.push(format!("{} Hz", audio.sample_rate));
    parts.push(if audio.layout.is_empty() {
        format!("{} channels", audio.channels)
    } else {
        audio.layout.clone()
    });
    parts.extend(audio.bit_depth.map(|bits| format!("{bits} bit")));
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_published_schema_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema/probe.schema.json");
        let published = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(
            published,
            super::schema().unwrap(),
            "run: rushes probe --schema > docs/schema/probe.schema.json"
        );
    }
}
