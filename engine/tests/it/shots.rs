//! Shots: known boundaries, and the same ones whether groups of pictures are left out or not.

use rushes::media::{FrameSink, Picked, PictureConverter};
use rushes::pipeline::{FindShots, Run, ShotSettings};
use rushes::vision::shots::{Shot, ShotFormat, ShotList, Transition};
use rushes::{FramePolicy, Precision, Result, Timestamp};
use rushes_fixtures::{make, shared};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

fn find(path: &Path, skip: bool) -> ShotList {
    let default = ShotSettings::default();
    let settings = ShotSettings { skip: default.skip.filter(|_| skip), ..default };
    let job = FindShots { settings, formats: Vec::new() };
    job.shots(path, None, &Run::default()).unwrap_or_else(|e| panic!("{e}")).0
}

/// Numbers of the frames that shots start at, and how; the same with groups left out.
fn starts(path: &Path) -> Vec<(i64, Transition)> {
    let (full, skipped) = (find(path, false), find(path, true));
    let of = |list: &ShotList| -> Vec<(i64, Transition)> {
        let rate = f64::from(list.rate.0) / f64::from(list.rate.1);
        let frame = |time: Timestamp| (time.as_secs_f64() * rate).round() as i64;
        list.shots.iter().map(|shot| (frame(shot.start), shot.entered_by)).collect()
    };
    assert_eq!(of(&full), of(&skipped), "{}", path.display());
    assert!(skipped.work.frames_seen <= full.work.frames_seen);
    of(&full)
}

/// Scenes of one film: 320 x 180 at 25 frames a second, a keyframe every `gop` frames.
fn film(name: &'static str, inputs: &[&str], graph: &str, gop: &str) -> PathBuf {
    let mut args: Vec<String> = Vec::new();
    for input in inputs {
        args.extend(["-f", "lavfi", "-i", input].map(str::to_owned));
    }
    args.extend(["-threads", "1", "-filter_complex", graph, "-c:v", "libx264"].map(str::to_owned));
    args.extend(
        ["-preset", "veryfast", "-pix_fmt", "yuv420p", "-sc_threshold", "0"].map(str::to_owned),
    );
    args.extend(["-g", gop, "-fflags", "+bitexact", "-flags:v", "+bitexact"].map(str::to_owned));
    make(name, "mp4", &args)
}

const BARS: &str = "smptehdbars=size=320x180:rate=25:duration=3";
const TEST: &str = "testsrc2=size=320x180:rate=25:duration=5.2";
const SET: &str = "mandelbrot=size=320x180:rate=25:start_scale=0.5:end_scale=0.1,trim=duration=4";
const RAMP: &str =
    "gradients=size=320x180:rate=25:c0=navy:c1=orange:c2=white:n=3:seed=7:speed=0.002:duration=4";

#[test]
fn cuts_within_groups_are_exact() {
    let graph = "[0][1][2][3][4]concat=n=5,format=yuv420p";
    let path = film("shots-cuts", &[BARS, TEST, SET, RAMP, BARS], graph, "50");
    let found = starts(&path);
    let cuts = [75, 205, 305, 405].map(|frame| (frame, Transition::Cut));
    assert_eq!(found[0], (0, Transition::Start));
    assert_eq!(found[1..], cuts);
}

#[test]
fn an_insert_between_keyframes_that_look_alike_is_found() {
    // 300 frames of bars, with 20 frames of something else from 110 on: keyframes at 100 and 150.
    let graph = "[0]loop=3:75,trim=end_frame=300[a];[1]trim=start_frame=10:end_frame=30,\
                 setpts=PTS-STARTPTS+4.4/TB[b];[a][b]overlay=eof_action=pass,format=yuv420p";
    let path = film("shots-insert", &[BARS, TEST], graph, "50");
    let found: Vec<i64> = starts(&path).into_iter().map(|(frame, _)| frame).collect();
    assert_eq!(found, [0, 110, 130]);
}

#[test]
fn a_dissolve_is_divided_in_its_middle() {
    let graph = "[0][1]xfade=transition=fade:duration=1:offset=2,format=yuv420p";
    let path = film("shots-dissolve", &[BARS, TEST], graph, "50");
    let found = starts(&path);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[1].1, Transition::Dissolve);
    assert!((61..=64).contains(&found[1].0), "{found:?}");
}

#[test]
fn a_fade_through_black_is_divided_in_its_middle() {
    let graph = "[0]fade=out:st=2:d=1[a];[1]fade=in:st=0:d=1[b];[a][b]concat=n=2,format=yuv420p";
    let path = film("shots-fade", &[BARS, TEST], graph, "50");
    let found = starts(&path);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[1].1, Transition::Black);
    assert!((73..=77).contains(&found[1].0), "{found:?}");
}

#[test]
fn flashes_and_strobes_are_no_shots() {
    let white = "drawbox=c=white:t=fill:enable='lt(mod(n,8),2)*between(n,30,90)',format=yuv420p";
    let path = film("shots-strobe", &[TEST], &format!("[0]{white}"), "50");
    assert_eq!(starts(&path), [(0, Transition::Start)]);
}

#[test]
fn third_party_boundaries_are_exact() {
    let Some(folder) = shared("3-frames-shots/pyscenedetect") else { return };
    let table = std::fs::read_to_string(folder.join("boundaries.tsv")).unwrap();
    for line in table.lines().skip(1) {
        let (file, frames) = line.split_once('\t').unwrap();
        let expected: Vec<i64> = frames.split(',').map(|n| n.parse().unwrap()).collect();
        let found = starts(&folder.join(file));
        // The table holds fades only; testvideo.mp4 also has a dissolve.
        let (dissolves, others): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|(_, kind)| *kind == Transition::Dissolve);
        assert_eq!(others.iter().map(|(n, _)| *n).collect::<Vec<_>>(), expected, "{file}");
        let seen: Vec<i64> = dissolves.into_iter().map(|(n, _)| n).collect();
        assert_eq!(seen, if file == "testvideo.mp4" { vec![543] } else { vec![] }, "{file}");
    }
}

/// Clips that no threshold was chosen on: below shared/data, first second, frames.
const HELD_OUT: [(&str, &str, i64); 9] = [
    ("1-video/carphone_pristine.mp4", "0", 71),
    ("1-video/bigbuckbunny.mp4", "0", 97),
    ("1-video/A4.webm", "0", 53),
    ("1-video/hdr10-av1.mp4", "0", 89),
    ("3-frames-shots/torchcodec/nasa_13013.mp4", "8", 91),
    ("1-video/bt601.mov", "0", 24),
    ("1-video/carphone_distorted.mp4", "1", 62),
    ("1-video/sample_h265.ts", "0", 24),
    ("1-video/movie_300.mp4", "20", 110),
];

#[test]
fn cuts_between_clips_that_nothing_was_tuned_on_are_exact() {
    for (name, threshold) in [("shots-held-out", "40"), ("shots-held-out-fixed", "0")] {
        let mut args: Vec<String> = vec!["-threads".into(), "1".into()];
        let (mut graph, mut joined) = (String::new(), String::new());
        let (mut expected, mut at) = (Vec::new(), 0);
        for (n, (file, from, frames)) in HELD_OUT.into_iter().enumerate() {
            let Some(file) = shared(file) else { return };
            args.extend(["-ss", from, "-i"].map(str::to_owned));
            args.push(file.to_string_lossy().into_owned());
            graph += &format!(
                "[{n}:v:0]fps=25,scale=320:180:force_original_aspect_ratio=increase,crop=320:180,\
                 setsar=1,format=yuv420p,tpad=stop=-1:stop_mode=clone,trim=end_frame={frames},\
                 setpts=N/25/TB[v{n}];"
            );
            joined += &format!("[v{n}]");
            expected.push(at);
            at += frames;
        }
        graph += &format!("{joined}concat=n={}", HELD_OUT.len());
        let coding = ["-filter_complex", &graph, "-c:v", "libx264", "-preset", "veryfast"];
        args.extend(coding.map(str::to_owned));
        args.extend(["-g", "50", "-sc_threshold", threshold].map(str::to_owned));
        args.extend(["-fflags", "+bitexact", "-flags:v", "+bitexact"].map(str::to_owned));
        let path = make(name, "mp4", &args);
        let found: Vec<i64> = starts(&path).into_iter().map(|(frame, _)| frame).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_still_film_is_left_out() {
    let path = film(
        "shots-still",
        &["smptehdbars=size=320x180:rate=25:duration=20"],
        "[0]format=yuv420p",
        "50",
    );
    let list = find(&path, true);
    assert_eq!(list.shots.len(), 1);
    assert_eq!(list.shots[0].end, Timestamp::from_secs(20));
    assert!(list.work.groups_left_out >= 8, "{:?}", list.work);
    assert!(list.work.frames_seen < 100, "{:?}", list.work);
}

struct Count(AtomicU64);

impl FrameSink for Count {
    fn frame(&self, _: Picked<'_>, _: &mut PictureConverter) -> Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn one_reading_gives_frames_and_shots() {
    let graph = "[0][1][2][3][4]concat=n=5,format=yuv420p";
    let path = film("shots-cuts", &[BARS, TEST, SET, RAMP, BARS], graph, "50");
    let alone = find(&path, true);
    for policy in [FramePolicy::Every(Timestamp::from_secs(1)), FramePolicy::All] {
        let settings = ShotSettings::default();
        let (finder, count) = (settings.finder(None).unwrap(), Count(AtomicU64::new(0)));
        let reading = super::support::open(&path);
        let info = reading.info().clone();
        let expected = if policy == FramePolicy::All { 480 } else { 20 };
        let report = reading.frames(policy, Precision::Exact, &count).judge(&finder).run().unwrap();
        let list = settings.list(finder, "film", &info).unwrap();
        assert_eq!(count.0.into_inner(), expected);
        // What only the judge looks at is decoded without the loop filter: it may be a little less
        // or more sure.
        assert_eq!(list.shots.len(), alone.shots.len());
        for (shot, alone) in list.shots.iter().zip(&alone.shots) {
            assert!((shot.confidence - alone.confidence).abs() < 0.005, "{shot:?} {alone:?}");
            let confidence = alone.confidence;
            assert_eq!(Shot { confidence, ..*shot }, *alone);
        }
        assert!(report.frames_decoded <= 480 + 40, "{}", report.frames_decoded);
    }
}

#[test]
fn lists_in_every_format() {
    let graph = "[0][1][2][3][4]concat=n=5,format=yuv420p";
    let path = film("shots-cuts", &[BARS, TEST, SET, RAMP, BARS], graph, "50");
    let list = find(&path, true);
    let csv = list.write(ShotFormat::Csv).unwrap();
    assert_eq!(
        csv.lines().nth(2).unwrap().split(',').take(6).collect::<Vec<_>>().join(","),
        "2,3.000000,8.200000,5.200000,75,205"
    );
    let edl = list.write(ShotFormat::Edl).unwrap();
    assert!(
        edl.contains(
            "002  AX       V     C        00:00:03:00 00:00:08:05 00:00:03:00 00:00:08:05"
        ),
        "{edl}"
    );
    let otio: serde_json::Value =
        serde_json::from_str(&list.write(ShotFormat::Otio).unwrap()).unwrap();
    let clip = &otio["tracks"]["children"][0]["children"][0];
    assert_eq!(clip["markers"].as_array().unwrap().len(), 5);
    assert_eq!(clip["markers"][1]["marked_range"]["start_time"]["value"], 75.0);
}
