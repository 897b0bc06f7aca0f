//! Probing agrees with ffprobe, field by field, on every clip of `../shared/data/1-video`.

use crate::support::{arg, json, number, output};
use rushes::control::Cancel;
use rushes::limits::Limits;
use rushes::media::{MediaInfo, Scan, StreamInfo, StreamKind, VideoInfo, probe};
use rushes_fixtures::shared;
use serde_json::{Value, json as value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One field of one clip: its place, what we say, what ffprobe says.
type Row = (String, Value, Value);

/// Differences that are meant: clip, field, reason.
const MEANT: &[(&str, &str, &str)] = &[
    (
        "bbb_800x640_768kbps_30fps_avc_2b_firstpts_10_sec.mp4",
        "duration",
        "MP4 counts from 0, but the first frame is at 10 s, where our clock starts: 4 s, not 14",
    ),
    (
        "sample_audio_only.mp4",
        "duration",
        "likewise: its sound starts at 43 ms, where our clock starts",
    ),
    (
        "sample_rotate_and_reflect.mp4",
        "0.rotation",
        "ffprobe leaves the mirror out; mirrored first and then turned by 270 degrees is turned by 90 \
         degrees and then mirrored (`shapes` compares the pictures)",
    ),
];

#[test]
fn agrees_with_ffprobe() {
    let Some(folder) = shared("1-video") else { return };
    let mut clips: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    clips.sort();
    let (mut wrong, mut used, mut compared) = (Vec::new(), BTreeSet::new(), 0);
    for clip in &clips {
        let name = clip.file_name().unwrap().to_str().unwrap();
        for (field, ours, theirs) in rows(clip) {
            compared += 1;
            if same(&ours, &theirs) {
                continue;
            }
            match MEANT.iter().position(|(c, f, _)| *c == name && *f == field) {
                Some(meant) => drop(used.insert(meant)),
                None => wrong.push(format!("{name} {field}: {ours}, ffprobe says {theirs}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} fields differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(used.len(), MEANT.len(), "a difference that is meant is not there any more");
    assert!(clips.len() >= 40 && compared > 1500, "{compared} fields of {} clips", clips.len());
}

/// Equal; times may differ by the microsecond that ffprobe rounds to.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours.as_f64(), theirs.as_f64()) {
        (Some(ours), Some(theirs)) => (ours - theirs).abs() < 1.1e-6,
        _ => ours == theirs,
    }
}

fn rows(clip: &Path) -> Vec<Row> {
    let info = probe(clip, &Limits::default(), &Cancel::new())
        .unwrap_or_else(|e| panic!("{}: {e}", clip.display()));
    let show = ["-show_format", "-show_streams", "-show_chapters", "-of", "json"];
    let args: Vec<&str> = ["-v", "error"].into_iter().chain(show).chain([arg(clip)]).collect();
    let theirs = json(&output("ffprobe", &args));
    let mut rows = Vec::new();
    let mut row = |field: String, ours: Value, theirs: Value| rows.push((field, ours, theirs));
    let listed = theirs["streams"].as_array().unwrap();
    row("streams".into(), value!(info.streams.len()), value!(listed.len()));
    format_rows(&info, &theirs["format"], &mut row);
    for (stream, theirs) in info.streams.iter().zip(listed) {
        let mut row = |field: &str, ours: Value, theirs: Value| {
            row(format!("{}.{field}", stream.index), ours, theirs);
        };
        stream_rows(&info, stream, theirs, &mut row);
        match &stream.kind {
            StreamKind::Video(video) => video_rows(video, theirs, &mut row),
            StreamKind::Audio(audio) => {
                row("sample_rate", value!(audio.sample_rate), numeric(&theirs["sample_rate"]));
                row("channels", value!(audio.channels), theirs["channels"].clone());
                row("layout", value!(audio.layout), theirs["channel_layout"].clone());
                row("sample_format", value!(audio.sample_format), theirs["sample_fmt"].clone());
            }
            _ => {}
        }
    }
    chapter_rows(&info, &theirs["chapters"], &mut row);
    rows
}

fn format_rows(info: &MediaInfo, theirs: &Value, row: &mut dyn FnMut(String, Value, Value)) {
    let mut row = |field: &str, ours: Value, theirs: Value| row(field.to_owned(), ours, theirs);
    row("container", value!(info.container), theirs["format_name"].clone());
    row("bytes", value!(info.bytes), numeric(&theirs["size"]));
    row("origin", value!(info.origin.as_secs_f64()), numeric(&theirs["start_time"]));
    row("duration", seconds(info.duration), numeric(&theirs["duration"]));
    row("bit_rate", value!(info.bit_rate), numeric(&theirs["bit_rate"]));
    row("tags", value!(info.tags), tags(&theirs["tags"]));
}

fn stream_rows(
    info: &MediaInfo,
    stream: &StreamInfo,
    theirs: &Value,
    row: &mut dyn FnMut(&str, Value, Value),
) {
    let kind = match &stream.kind {
        StreamKind::Video(_) => "video",
        StreamKind::Audio(_) => "audio",
        StreamKind::Subtitle => "subtitle",
        StreamKind::Attachment { .. } => "attachment",
        StreamKind::Data => "data",
    };
    row("kind", value!(kind), theirs["codec_type"].clone());
    // ffprobe says nothing of a codec that libav does not know, and the bare number of a profile
    // that it has no name for.
    let codec = theirs["codec_name"].as_str().unwrap_or("unknown");
    row("codec", value!(stream.codec), value!(codec));
    let profile = theirs["profile"].as_str().filter(|name| name.parse::<i32>().is_err());
    row("profile", value!(stream.profile), value!(profile));
    row("time_base", value!(stream.time_base), theirs["time_base"].clone());
    // Shown only for containers where ids mean something.
    if let Some(id) = theirs["id"].as_str() {
        row("id", value!(stream.id), value!(i64::from_str_radix(&id[2..], 16).unwrap()));
    }
    let start = stream.start.map(|start| start.plus(info.origin));
    row("start", seconds(start), numeric(&theirs["start_time"]));
    row("duration", seconds(stream.duration), numeric(&theirs["duration"]));
    row("frames", value!(stream.frames), numeric(&theirs["nb_frames"]));
    row("bit_rate", value!(stream.bit_rate), numeric(&theirs["bit_rate"]));
    row("default", value!(u8::from(stream.default)), theirs["disposition"]["default"].clone());
    row("forced", value!(u8::from(stream.forced)), theirs["disposition"]["forced"].clone());
    row("cover", value!(u8::from(stream.cover)), theirs["disposition"]["attached_pic"].clone());
    row("tags", value!(stream.tags), tags(&theirs["tags"]));
}

fn video_rows(video: &VideoInfo, theirs: &Value, row: &mut dyn FnMut(&str, Value, Value)) {
    let marked = |field: &str| match theirs[field].as_str() {
        Some("unknown" | "unspecified" | "reserved") | None => Value::Null,
        Some(text) => value!(text),
    };
    row("width", value!(video.width), theirs["width"].clone());
    row("height", value!(video.height), theirs["height"].clone());
    row("pixel_format", value!(video.pixel_format), marked("pix_fmt"));
    row("primaries", value!(video.colour.primaries), marked("color_primaries"));
    row("transfer", value!(video.colour.transfer), marked("color_transfer"));
    row("matrix", value!(video.colour.matrix), marked("color_space"));
    row("range", value!(video.colour.range), marked("color_range"));
    row("chroma_location", value!(video.colour.chroma_location), marked("chroma_location"));
    row("reorder", value!(video.reorder), theirs["has_b_frames"].clone());
    // An unmarked sample aspect is square.
    let aspect = marked("sample_aspect_ratio");
    let square = if aspect.is_null() { value!("1:1") } else { aspect };
    row("sample_aspect", value!(video.sample_aspect), square);
    if let Some(shape) = theirs["display_aspect_ratio"].as_str() {
        row("display_aspect", value!(video.display_aspect), value!(shape));
    }
    let rate = marked("avg_frame_rate");
    let rate = if rate == "0/0" { marked("r_frame_rate") } else { rate };
    row("frame_rate", value!(video.frame_rate), rate);
    let scan = match video.scan {
        Scan::Progressive => value!("progressive"),
        Scan::TopFirst => value!("tt"),
        Scan::BottomFirst => value!("bb"),
        Scan::Unknown => Value::Null,
    };
    row("scan", scan, marked("field_order"));
    // Counter-clockwise there, clockwise here.
    let turns = theirs["side_data_list"].as_array();
    let turn = turns.and_then(|list| list.iter().find_map(|data| data["rotation"].as_i64()));
    row(
        "rotation",
        value!(u32::from(video.rotation)),
        value!((-turn.unwrap_or(0)).rem_euclid(360)),
    );
}

fn chapter_rows(info: &MediaInfo, theirs: &Value, row: &mut dyn FnMut(String, Value, Value)) {
    let theirs = theirs.as_array().unwrap();
    row("chapters".into(), value!(info.chapters.len()), value!(theirs.len()));
    for (i, (chapter, theirs)) in info.chapters.iter().zip(theirs).enumerate() {
        let mut row = |field: &str, ours, theirs| row(format!("chapter {i}.{field}"), ours, theirs);
        let at = |time: rushes::Timestamp| value!(time.plus(info.origin).as_secs_f64());
        row("start", at(chapter.span.start), numeric(&theirs["start_time"]));
        row("end", at(chapter.span.end), numeric(&theirs["end_time"]));
        row("title", value!(chapter.title), theirs["tags"]["title"].clone());
    }
}

fn seconds(time: Option<rushes::Timestamp>) -> Value {
    time.map_or(Value::Null, |time| value!(time.as_secs_f64()))
}

fn numeric(text: &Value) -> Value {
    number(text).map_or(Value::Null, |n| value!(n))
}

fn tags(theirs: &Value) -> Value {
    if theirs.is_null() { value!(BTreeMap::<String, String>::new()) } else { theirs.clone() }
}
