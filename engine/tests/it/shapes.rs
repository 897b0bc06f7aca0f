//! Films that are not plain: edit lists, late and missing times, aspect, rotation and mirror,
//! interlacing, changes on the way, pixels in odd places.

use crate::support::{
    arg, difference, every_frame, frames_of, native, number, open, output, sound,
};
use rushes::media::{Cadence, Notice, Rotation, SoundFormat, SpliceKind, StreamKind, VideoInfo};
use rushes::{FramePolicy, Precision, Timestamp};
use rushes_fixtures::{self as fixtures, Codec, Film, Sound, Variant, numbered, shared};
use std::path::{Path, PathBuf};

fn video(path: &Path) -> VideoInfo {
    let reading = open(path);
    match &reading.info().video().unwrap().kind {
        StreamKind::Video(video) => VideoInfo::clone(video),
        _ => panic!("not video"),
    }
}

/// Times, seconds on the container's clock, and coded sizes of all frames by ffprobe.
fn probed_frames(path: &Path) -> Vec<(f64, u64, u64)> {
    let mut args = vec!["-v", "error", "-select_streams", "v:0", "-of", "json"];
    args.extend(["-show_entries", "frame=best_effort_timestamp_time,width,height", arg(path)]);
    let list = crate::support::json(&output("ffprobe", &args));
    let frame = |f: &serde_json::Value| {
        let time = number(&f["best_effort_timestamp_time"]).unwrap();
        (time, f["width"].as_u64().unwrap(), f["height"].as_u64().unwrap())
    };
    list["frames"].as_array().unwrap().iter().map(frame).collect()
}

fn same_frames_as_ffprobe(path: &Path) -> usize {
    let origin = open(path).info().origin.as_secs_f64();
    let (ours, _) = every_frame(path, |picked, _| {
        let frame = picked.frame;
        Ok((frame.time().as_secs_f64() + origin, frame.width().into(), frame.height().into()))
    });
    let theirs = probed_frames(path);
    assert_eq!(ours.len(), theirs.len(), "{}: number of frames", path.display());
    for (i, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        let same = (ours.0 - theirs.0).abs() < 1.1e-6 && (ours.1, ours.2) == (theirs.1, theirs.2);
        assert!(same, "{}: frame {i} is {ours:?}, not {theirs:?}", path.display());
    }
    ours.len()
}

#[test]
fn third_party_clips_have_the_frames_of_ffprobe() {
    let Some(clips) = shared("1-video") else { return };
    for (clip, frames) in [
        ("iibbibb_editlist_videoonly.mp4", None),
        ("sample_edit_list_only_preroll_sync_sample.mp4", None),
        ("bbb_800x640_768kbps_30fps_avc_2b_firstpts_10_sec.mp4", Some(120)),
        ("carphone_pristine.mp4", Some(120)),
        ("sample_portrait.mp4", Some(30)),
        ("sample_rotate_and_reflect.mp4", Some(30)),
        ("sample_fragmented.mp4", Some(30)),
        ("sample_with_srt.mkv", Some(30)),
        ("bbb_2500ms.ts", None),
        ("hdr10-av1.mp4", None),
        ("no_duration.webm", None),
        ("pigs_in_a_polka.gif", Some(30)),
        ("transparent.webm", None),
        ("sample.avi", None),
    ] {
        let found = same_frames_as_ffprobe(&clips.join(clip));
        assert!(frames.is_none_or(|frames| frames == found), "{clip}: {found} frames");
    }
}

#[test]
fn fixtures_have_the_frames_of_ffprobe() {
    for path in [fixtures::vfr(), fixtures::open_gop(), fixtures::mpeg2_ts(), fixtures::vp9_webm()]
    {
        same_frames_as_ffprobe(&path);
    }
}

#[test]
fn a_container_that_starts_late_starts_our_clock() {
    let Some(clips) = shared("1-video") else { return };
    let clip = clips.join("bbb_800x640_768kbps_30fps_avc_2b_firstpts_10_sec.mp4");
    let reading = open(&clip);
    assert_eq!(reading.info().origin, Timestamp::from_secs(10));
    assert_eq!(reading.info().duration, Some(Timestamp::from_secs(4)));
    let (times, _) = every_frame(&clip, |picked, _| Ok(picked.frame.time()));
    let base = rushes::time::TimeBase::new(1, 30).unwrap();
    assert!(times.iter().enumerate().all(|(i, time)| *time == Timestamp::new(i as i64, base)));
}

/// When the first sound that is decoded is heard, by ffprobe: priming samples may come before.
fn first_heard(path: &Path) -> f64 {
    let mut args = vec!["-v", "error", "-select_streams", "a:0", "-of", "json"];
    args.extend(["-show_entries", "frame=best_effort_timestamp_time", arg(path)]);
    let list = crate::support::json(&output("ffprobe", &args));
    number(&list["frames"][0]["best_effort_timestamp_time"]).unwrap()
}

#[test]
fn late_sound_of_third_party_clips() {
    let Some(clips) = shared("1-video") else { return };
    // clip, when sound starts by the container
    for (clip, start) in [
        ("sample_portrait.mp4", 0.042_993),
        ("sample_rotate_and_reflect.mp4", 0.043_991),
        ("sample_twos_pcm.mp4", 0.067_007),
        ("bt601.mov", 0.043_991),
    ] {
        let path = clips.join(clip);
        let stated = open(&path).info().audio().unwrap().start.unwrap().as_secs_f64();
        assert!((stated - start).abs() < 1e-6, "{clip}: {stated}");
        let (_, report) = sound(&path, SoundFormat::SOURCE);
        let splices = &report.sound[0].splices;
        assert_eq!(splices.len(), 1, "{clip}: {splices:?}");
        assert_eq!(splices[0].kind, SpliceKind::LateStart);
        let (silence, first) = (splices[0].samples as f64, first_heard(&path));
        assert!(first >= start && (silence - first * 44_100.0).abs() <= 1.0, "{clip}: {silence}");
    }
}

#[test]
fn sizes_as_shown() {
    let check = |path: &Path, shown: (u32, u32)| {
        let info = video(path);
        assert_eq!((info.display_width, info.display_height), shown, "{}", path.display());
        let wanted = FramePolicy::Every(Timestamp::from_secs(100));
        let (sizes, _) = frames_of(
            path,
            |r| r,
            wanted,
            Precision::Exact,
            |picked, converter| {
                Ok((picked.frame.display_size(), native(picked, converter)?.dimensions()))
            },
        )
        .unwrap();
        assert_eq!(sizes, [(shown, shown)], "{}", path.display());
    };
    check(&fixtures::anamorphic(), (512, 288));
    check(&fixtures::odd_size(), (322, 182));
    check(&fixtures::odd_pixels(), (321, 181));
    check(&fixtures::rotated(90), (180, 320));
    check(&fixtures::rotated(180), (320, 180));
    check(&fixtures::rotated(270), (180, 320));
    let Some(clips) = shared("1-video") else { return };
    check(&clips.join("carphone_pristine.mp4"), (193, 144));
    check(&clips.join("bbb_800x640_768kbps_30fps_avc_pyramid_3b.mp4"), (1138, 640));
    check(&clips.join("bbb_800x640_768kbps_30fps_avc_2b_firstpts_10_sec.mp4"), (1137, 640));
    check(&clips.join("sample_portrait.mp4"), (720, 1080));
}

/// The first picture as the ffmpeg program shows it, turned by the display matrix.
fn shown_by_ffmpeg(path: &Path) -> Vec<u8> {
    // Our rule for unmarked films, which ffmpeg takes for BT.601 whatever their size.
    let matrix = if video(path).height >= 720 { "bt709" } else { "bt601" };
    let scale = format!("scale=flags=bicubic:in_color_matrix={matrix}");
    let mut args = vec!["-v", "error", "-i", arg(path), "-map", "0:v:0", "-frames:v", "1"];
    args.extend(["-vf", &scale]);
    args.extend(["-pix_fmt", "rgb24", "-f", "rawvideo", "-"]);
    output("ffmpeg", &args)
}

#[test]
fn turned_and_mirrored_as_ffmpeg_does() {
    let mut paths: Vec<PathBuf> = [90, 180, 270].map(fixtures::rotated).to_vec();
    paths.push(numbered(Variant::Mirrored).path);
    paths.iter().for_each(|path| same_first_picture(path));
}

fn same_first_picture(path: &Path) {
    let (pictures, _) =
        frames_of(path, |r| r, FramePolicy::Keyframes, Precision::Exact, native).unwrap();
    let d = difference(pictures[0].as_raw(), &shown_by_ffmpeg(path));
    assert!(d.most <= 2, "{}: {d:?}", path.display());
}

#[test]
fn turned_and_mirrored_at_once() {
    let Some(clips) = shared("1-video") else { return };
    let clip = clips.join("sample_rotate_and_reflect.mp4");
    let info = video(&clip);
    // Turned by 90 degrees, then mirrored, in androidx's words: the same the other way round.
    assert_eq!((info.rotation, info.mirrored), (Rotation::ThreeQuarters, true));
    assert_eq!((info.display_width, info.display_height), (720, 1080));
    same_first_picture(&clip);
}

/// SIMD code works on 8 or 16 pixels at once: the last of a row and of the picture must be there
/// whatever the width.
#[test]
fn every_width_has_its_right_edge() {
    for width in (306..=338).step_by(2) {
        let film = Film { size: (width, 64), pix_fmt: "yuv420p", ..short() };
        same_first_picture(&film.make());
    }
}

/// How strongly rows differ from the mean of their neighbours: high where two fields of a moving
/// picture are woven into one.
fn combing(luma: &[u8], width: usize) -> f64 {
    let rows: Vec<&[u8]> = luma.chunks(width).collect();
    let at = |three: &[&[u8]], x: usize| {
        (2 * i32::from(three[1][x]) - i32::from(three[0][x]) - i32::from(three[2][x])).abs()
    };
    let sum = |three: &[&[u8]]| (0..width).map(|x| i64::from(at(three, x))).sum::<i64>();
    rows.windows(3).map(sum).sum::<i64>() as f64 / luma.len() as f64
}

fn lumas(path: &Path, deinterlace: bool) -> (Vec<(i64, Vec<u8>)>, Vec<Notice>) {
    let read = frames_of(
        path,
        |reading| reading.deinterlace(deinterlace),
        FramePolicy::All,
        Precision::Exact,
        |picked, _| {
            let mut planes = Vec::new();
            picked.frame.copy_planes(&mut planes)?;
            planes.truncate((picked.frame.width() * picked.frame.height()) as usize);
            Ok((picked.frame.time().as_millis(), planes))
        },
    );
    let (frames, report) = read.unwrap();
    (frames, report.notices)
}

#[test]
fn interlaced_pictures_are_made_whole_on_request() {
    let path = fixtures::interlaced();
    let (woven, notices) = lumas(&path, false);
    assert!(notices.contains(&Notice::Interlaced), "{notices:?}");
    let (whole, notices) = lumas(&path, true);
    assert!(!notices.contains(&Notice::Interlaced), "{notices:?}");
    let times = |frames: &[(i64, Vec<u8>)]| frames.iter().map(|f| f.0).collect::<Vec<_>>();
    assert_eq!(times(&woven), (0..75).map(|i| i * 40).collect::<Vec<_>>());
    assert_eq!(times(&whole), times(&woven));
    let mean = |frames: &[(i64, Vec<u8>)]| {
        frames.iter().map(|f| combing(&f.1, 352)).sum::<f64>() / frames.len() as f64
    };
    let (before, after) = (mean(&woven), mean(&whole));
    assert!(after < before * 0.7, "combing {before:.2} before, {after:.2} after");
}

#[test]
fn whole_pictures_pass_the_deinterlacer_unchanged() {
    let (plain, _) = lumas(&fixtures::film(), false);
    let (passed, _) = lumas(&fixtures::film(), true);
    assert!(plain == passed);
}

#[test]
fn a_change_of_size_is_followed_and_told() {
    let path = fixtures::size_change();
    for policy in [FramePolicy::All, FramePolicy::Every(Timestamp::from_millis(200))] {
        let (frames, report) = frames_of(
            &path,
            |r| r,
            policy.clone(),
            Precision::Exact,
            |picked, converter| {
                let picture = native(picked, converter)?;
                Ok((picked.frame.time().as_millis(), picture.dimensions()))
            },
        )
        .unwrap();
        let (small, large): (Vec<_>, Vec<_>) = frames.iter().partition(|(time, _)| *time < 2010);
        assert!(small.iter().all(|(_, size)| *size == (320, 180)), "{policy:?}: {frames:?}");
        assert!(large.iter().all(|(_, size)| *size == (480, 270)), "{policy:?}: {frames:?}");
        assert!(small.len() >= 10 && large.len() >= 9, "{policy:?}");
        let changes = report.notices.iter().filter_map(|notice| match notice {
            Notice::ShapeChanged { at, to } => Some((at.as_millis(), to.as_str())),
            _ => None,
        });
        let changes: Vec<_> = changes.collect();
        assert_eq!(changes, [(2010, "480x270 yuv420p")], "{policy:?}");
    }
}

#[test]
fn a_raw_stream_gets_times_by_its_rate() {
    let (times, _) =
        every_frame(&fixtures::raw_264(), |picked, _| Ok(picked.frame.time().as_millis()));
    assert_eq!(times, (0..75).map(|i| i * 40).collect::<Vec<_>>());
}

#[test]
fn uneven_steps_are_told_and_kept() {
    assert_eq!(video(&numbered(Variant::VfrMp4).path).cadence, Cadence::Variable);
    assert_eq!(video(&numbered(Variant::ClosedGop).path).cadence, Cadence::Constant);
    let path = fixtures::vfr();
    let (times, _) = every_frame(&path, |picked, _| Ok(picked.frame.time()));
    let steps: Vec<i64> = times.windows(2).map(|t| t[1].minus(t[0]).as_millis()).collect();
    assert!(steps.contains(&40) && steps.contains(&80), "{steps:?}");
    // A tick before each frame, the one before is still shown.
    let tick = Timestamp::from_millis(1);
    let before = times.iter().skip(1).map(|time| time.minus(tick)).collect();
    let (shown, _) = frames_of(
        &path,
        |r| r,
        FramePolicy::At(before),
        Precision::Exact,
        |picked, _| Ok(picked.frame.time()),
    )
    .unwrap();
    assert_eq!(shown, times[..times.len() - 1]);
}

/// An AVI of uncompressed pictures whose rows are stored from the bottom up: libav gives frames
/// with negative strides.
#[test]
fn rows_from_the_bottom_up() {
    let mut args = vec!["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=5:duration=1"];
    args.extend(["-c:v", "rawvideo", "-pix_fmt", "bgr24", "-fflags", "+bitexact"]);
    let top_down = fixtures::make("raw-rows", "avi", &args);
    let mut bytes = std::fs::read(&top_down).unwrap();
    // BITMAPINFOHEADER follows `strf` and its size; the height is its third field.
    let at = bytes.windows(4).position(|four| four == b"strf").unwrap() + 16;
    let height = i32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!(height, -48);
    bytes[at..at + 4].copy_from_slice(&(-height).to_le_bytes());
    let folder = tempfile::tempdir().unwrap();
    let bottom_up = folder.path().join("bottom-up.avi");
    std::fs::write(&bottom_up, bytes).unwrap();
    for policy in [FramePolicy::All, FramePolicy::Every(Timestamp::from_millis(200))] {
        let read = |path: &Path| {
            frames_of(path, |r| r, policy.clone(), Precision::Exact, native).unwrap().0
        };
        let (right, flipped) = (read(&top_down), read(&bottom_up));
        assert_eq!(right.len(), 5);
        for (right, mut flipped) in right.into_iter().zip(flipped) {
            image::imageops::flip_vertical_in_place(&mut flipped);
            assert!(right == flipped);
        }
    }
}

/// Code values are copied whatever the width and the padding of rows.
#[test]
fn planes_are_packed() {
    for (path, size, chroma) in [
        (fixtures::odd_size(), (322, 182), (161, 91)),
        (fixtures::odd_pixels(), (321, 181), (321, 181)),
    ] {
        let (planes, _) = every_frame(&path, |picked, _| {
            let mut planes = Vec::new();
            picked.frame.copy_planes(&mut planes)?;
            Ok(planes)
        });
        let mut args = vec!["-v", "error", "-i", arg(&path), "-map", "0:v", "-f", "rawvideo"];
        args.push("-");
        assert_eq!(planes[0].len(), size.0 * size.1 + 2 * chroma.0 * chroma.1);
        assert!(planes.concat() == output("ffmpeg", &args), "{}", path.display());
    }
    let deep =
        Film { codec: Codec::Ffv1, pix_fmt: "yuv420p10le", container: "mkv", ..short() }.make();
    let refused = frames_of(
        &deep,
        |r| r,
        FramePolicy::All,
        Precision::Exact,
        |picked, _| picked.frame.copy_planes(&mut Vec::new()),
    );
    assert_eq!(refused.map(drop).unwrap_err().kind(), rushes::ErrorKind::Unsupported);
}

fn short() -> Film {
    Film { name: "short", millis: 400, sound: Sound::None, ..Film::default() }
}
