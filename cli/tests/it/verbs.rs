//! Every verb on good input: what it writes exists, decodes, and is what was asked for.

use crate::support::{decodes, files, folder, media_tool, rushes, stream};
use rushes_fixtures::{Variant, film, numbered, read_picture, rich, video_only, wav};
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

fn args(words: &[&str], paths: &[&Path]) -> Vec<OsString> {
    let words = words.iter().map(OsString::from);
    words.chain(paths.iter().map(|p| p.as_os_str().to_owned())).collect()
}

#[test]
fn probe_shows_a_table_without_anything_a_terminal_interprets() {
    let ran = rushes(args(&["probe"], &[&rich()])).ok();
    let table = ran.text();
    for line in [
        "container    matroska",
        "duration     ",
        "stream 0     video, h264",
        "deu",
        "subtitle, ",
        "attachment, ",
        "chapter      ",
        "ARTIST: Ann Onymous",
    ] {
        assert!(table.contains(line), "{line} is not in\n{table}");
    }
    // The title holds ESC and U+202E: shown, not done.
    assert!(table.contains(r"safe\u{1b}[31mred\u{202e}gpj.exe"), "{table}");
    assert_eq!(ran.err, "");
}

#[test]
fn probe_as_json_says_the_same() {
    let ran = rushes(args(&["probe", "--json"], &[&film(), &wav()])).ok();
    let [film, wav] = <[Value; 2]>::try_from(ran.json()).unwrap();
    assert_eq!((film["type"].as_str(), wav["type"].as_str()), (Some("media"), Some("media")));
    let video = &film["streams"][0];
    assert_eq!((&video["width"], &video["height"]), (&320.into(), &180.into()), "{film}");
    assert_eq!(film["streams"].as_array().unwrap().len(), 2);
    assert!((film["duration"]["seconds"].as_f64().unwrap() - 3.0).abs() < 0.1, "{film}");
    assert_eq!(wav["streams"][0]["sample_rate"], 48_000, "{wav}");
    assert_eq!(ran.err, "");
}

#[test]
fn probe_prints_its_schema_without_an_input() {
    let schema: Value = serde_json::from_slice(&rushes(["probe", "--schema"]).ok().out).unwrap();
    assert_eq!(schema["title"], "rushes probe");
}

/// Runs `frames` on the numbered film and gives the numbers on the pictures, in order of name.
#[track_caller]
fn frames(words: &[&str]) -> Vec<u32> {
    let out = folder();
    let film = numbered(Variant::ClosedGop);
    let mut all = vec!["frames", "--quiet"];
    all.extend(words);
    let mut all = args(&all, &[&film.path]);
    all.extend(["-o".into(), out.path().into()]);
    let ran = rushes(all).ok();
    assert_eq!(ran.err, "");
    pictures(out.path()).iter().map(|path| read_picture(path)).collect()
}

/// The pictures below a folder, sorted by name.
fn pictures(root: &Path) -> Vec<PathBuf> {
    let found = files(root).into_iter().filter(|p| !p.ends_with("manifest.json"));
    found.map(|p| root.join(p)).collect()
}

#[test]
fn frames_by_every_policy() {
    // 100 frames, 25 a second, a keyframe each second.
    assert_eq!(frames(&[]), [0, 25, 50, 75]);
    assert_eq!(frames(&["--every", "500ms"]), [0, 12, 25, 37, 50, 62, 75, 87]);
    assert_eq!(frames(&["--every", "1001/1000"]), [0, 25, 50, 75]);
    assert_eq!(frames(&["--count", "4"]), [12, 37, 62, 87]);
    assert_eq!(frames(&["--at", "0.04s,3.2s"]), [1, 80]);
    assert_eq!(frames(&["--keyframes"]), [0, 25, 50, 75]);
    assert_eq!(frames(&["--all"]), (0..100).collect::<Vec<_>>());
}

#[test]
fn snapping_gives_keyframes() {
    assert_eq!(frames(&["--at", "0.9s,3.2s", "--exact"]), [22, 80]);
    assert_eq!(frames(&["--at", "0.9s,3.2s", "--snap"]), [0, 75]);
    assert_eq!(frames(&["--every", "500ms", "--snap"]), [0, 25, 50, 75]);
}

#[test]
fn frames_in_each_format_and_size() {
    for (extension, codec) in [("jpg", "mjpeg"), ("png", "png"), ("webp", "webp")] {
        for (size, shape) in [
            (vec![], "320,180"),
            (vec!["--width", "160"], "160,90"),
            (vec!["--height", "60"], "107,60"),
            (vec!["--width", "100", "--height", "100"], "100,56"),
        ] {
            let out = folder();
            let mut words = vec!["frames", "--format", extension, "--at", "1s", "--quality", "70"];
            words.extend(&size);
            let mut words = args(&words, &[&film()]);
            words.extend(["-o".into(), out.path().into()]);
            rushes(words).ok();
            let [picture] = <[PathBuf; 1]>::try_from(pictures(out.path())).unwrap();
            assert_eq!(picture.extension().unwrap(), extension);
            assert_eq!(
                stream(&picture, "v", "codec_name,width,height"),
                format!("{codec},{shape}")
            );
            decodes(&picture);
        }
    }
}

#[test]
fn names_follow_the_template_and_the_manifest_lists_them() {
    let out = folder();
    let film = numbered(Variant::ClosedGop);
    let mut words = args(
        &["frames", "--json", "--name", "shot-{n:3}_{ms}_{time}", "--every", "2s"],
        &[&film.path],
    );
    words.extend(["-o".into(), out.path().into()]);
    let record = rushes(words).ok().json_line();
    let expected = ["shot-000_0_00-00-00.000.jpg", "shot-001_2000_00-00-02.000.jpg"];
    let names = |frames: &Value| -> Vec<String> {
        frames.as_array().unwrap().iter().map(|f| f["file"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(record["type"], "frames");
    assert_eq!(names(&record["frames"]), expected);
    let own = PathBuf::from(record["output"].as_str().unwrap());
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(own.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(names(&manifest["frames"]), expected);
    for name in expected {
        decodes(&own.join(name));
    }
}

#[test]
fn one_picture_wanted_twice_is_never_written_over() {
    // Both times show frame 25: with only the timestamp to name them they would be one file.
    let out = folder();
    let film = numbered(Variant::ClosedGop);
    let mut words =
        args(&["frames", "--json", "--name", "{pts}", "--at", "1s,1.01s"], &[&film.path]);
    words.extend(["-o".into(), out.path().into()]);
    let record = rushes(words).ok().json_line();
    assert_eq!(record["frames"].as_array().unwrap().len(), pictures(out.path()).len(), "{record}");
}

#[test]
fn contact_sheets() {
    let out = folder();
    for (name, codec) in [("s.jpg", "mjpeg"), ("s.png", "png"), ("s.webp", "webp")] {
        let path = out.path().join(name);
        let words = ["sheet", "--columns", "2", "--rows", "2", "--tile-width", "80", "--exact"];
        let mut words = args(&words, &[&film()]);
        words.extend(["-o".into(), path.clone().into()]);
        assert!(rushes(words).ok().text().contains("4 tiles"));
        assert_eq!(stream(&path, "v", "codec_name"), codec);
        let (width, height) = size_of(&path);
        assert!((160..240).contains(&width) && (90..180).contains(&height), "{width}x{height}");
        decodes(&path);
    }
}

fn size_of(path: &Path) -> (u32, u32) {
    let text = stream(path, "v", "width,height");
    let (width, height) = text.split_once(',').unwrap();
    (width.parse().unwrap(), height.parse().unwrap())
}

#[test]
fn sprites_cover_the_film_and_their_track_points_into_them() {
    let out = folder();
    let path = out.path().join("thumbs");
    let mut words = args(
        &["sheet", "--as", "sprites", "--every", "1s", "--exact", "--columns", "2", "--rows", "1"],
        &[&film()],
    );
    words.extend(["-o".into(), path.clone().into()]);
    rushes(words).ok();
    let track = std::fs::read_to_string(path.join("thumbnails.vtt")).unwrap();
    assert!(track.starts_with("WEBVTT\n"), "{track}");
    let cues: Vec<&str> = track.lines().filter(|line| line.contains("#xywh=")).collect();
    assert_eq!(cues.len(), 3, "{track}");
    for cue in cues {
        let (name, place) = cue.split_once("#xywh=").unwrap();
        let (width, height) = size_of(&path.join(name));
        let [x, y, w, h] =
            <[u32; 4]>::try_from(place.split(',').map(|n| n.parse().unwrap()).collect::<Vec<_>>())
                .unwrap();
        assert!(x + w <= width && y + h <= height, "{cue} in {width}x{height}");
    }
}

#[test]
fn previews_move() {
    let out = folder();
    let gif = out.path().join("p.gif");
    let webp = out.path().join("p.webp");
    for path in [&gif, &webp] {
        let mut words = args(
            &["sheet", "--as", "preview", "--count", "5", "--tile-width", "96", "--exact"],
            &[&film()],
        );
        words.extend(["-o".into(), path.into()]);
        rushes(words).ok();
    }
    let frames = media_tool(
        "ffprobe",
        &["-count_frames", "-show_entries", "stream=nb_read_frames,width,height", "-of", "csv=p=0"],
        &gif,
        &[],
    );
    assert_eq!(frames, "96,54,5");
    // FFmpeg 5.1 does not read animated WebP: its chunks are counted instead.
    let bytes = std::fs::read(&webp).unwrap();
    assert_eq!((&bytes[..4], &bytes[8..12]), (b"RIFF".as_slice(), b"WEBP".as_slice()));
    assert_eq!(bytes.windows(4).filter(|w| w == b"ANMF").count(), 5);
}

#[test]
fn sound_in_each_format() {
    let out = folder();
    for (name, codec) in [("s.wav", "pcm_"), ("s.flac", "flac"), ("s.m4a", "aac")] {
        let path = out.path().join(name);
        let mut words = args(&["audio"], &[&film()]);
        words.extend(["-o".into(), path.clone().into()]);
        rushes(words).ok();
        let told = stream(&path, "a", "codec_name,sample_rate,channels");
        assert!(told.starts_with(codec) && told.ends_with(",48000,2"), "{told}");
        let seconds: f64 = media_tool(
            "ffprobe",
            &["-show_entries", "format=duration", "-of", "csv=p=0"],
            &path,
            &[],
        )
        .parse()
        .unwrap();
        assert!((seconds - 3.0).abs() < 0.06, "{name}: {seconds} s");
        decodes(&path);
    }
}

#[test]
fn sound_at_a_rate_and_mixed() {
    let out = folder();
    for (words, shape) in [
        (vec!["--rate", "16k", "--mono", "--format", "wav"], "16000,1"),
        (vec!["--rate", "44100", "--stereo", "--format", "flac"], "44100,2"),
        (vec!["--mono", "--format", "m4a"], "48000,1"),
    ] {
        let target = out.path().join(words.join(""));
        let mut all = vec!["audio", "--json"];
        all.extend(&words);
        let mut all = args(&all, &[&film()]);
        all.extend(["-o".into(), target.into()]);
        let record = rushes(all).ok().json_line();
        let path = PathBuf::from(record["output"].as_str().unwrap());
        assert_eq!(stream(&path, "a", "sample_rate,channels"), shape);
        let rate: u64 = shape.split(',').next().unwrap().parse().unwrap();
        let samples = record["sound"]["samples"].as_u64().unwrap();
        assert!(samples.abs_diff(3 * rate) < rate / 20, "{record}");
        decodes(&path);
    }
}

#[test]
fn process_writes_a_folder_with_everything_in_it() {
    let out = folder();
    let library = out.path().join("library");
    let mut words = args(
        &["process", "--json", "--every", "1s", "--width", "160"],
        &[&film(), &video_only(), &wav()],
    );
    words.extend(["--library".into(), library.into()]);
    let ran = rushes(words).ok();
    let [full, silent, blind] = <[Value; 3]>::try_from(ran.json()).unwrap();
    for (record, frames, sound) in [(&full, 3, true), (&silent, 3, false), (&blind, 0, true)] {
        let own = PathBuf::from(record["output"].as_str().unwrap());
        assert_eq!(
            (record["frames"].as_u64(), record["audio"].as_bool()),
            (Some(frames), Some(sound)),
            "{record}"
        );
        assert_eq!(own.join("audio.flac").exists(), sound);
        assert_eq!(own.join("sheet.jpg").exists(), frames > 0);
        let report: Value =
            serde_json::from_slice(&std::fs::read(own.join("report.json")).unwrap()).unwrap();
        assert_eq!(report["frames"].as_array().unwrap().len() as u64, frames);
        let media = |f: &&PathBuf| !["json", "html"].iter().any(|e| f.extension().unwrap() == *e);
        for file in files(&own).iter().filter(media) {
            decodes(&own.join(file));
        }
        if frames > 0 {
            let first = report["frames"][0]["file"].as_str().unwrap();
            assert_eq!(stream(&own.join("frames").join(first), "v", "width,height"), "160,90");
        }
    }
}

#[test]
fn mux_keeps_the_pictures_and_takes_the_sound() {
    let out = folder();
    for name in ["m.mp4", "m.mkv"] {
        let path = out.path().join(name);
        let mut words = args(&["mux", "--json"], &[&video_only()]);
        words.extend(["--audio".into(), wav().into(), "-o".into(), path.clone().into()]);
        let record = rushes(words).ok().json_line();
        assert_eq!(
            (record["type"].as_str(), record["video_packets"].as_u64()),
            (Some("mux"), Some(75))
        );
        assert_eq!(stream(&path, "v", "codec_name,width,height"), "h264,320,180");
        assert_eq!(stream(&path, "a", "channels"), "2");
        decodes(&path);
    }
}

#[test]
fn completions_for_every_shell_and_a_manual() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = rushes(["completions", shell]).exits(0).text();
        assert!(script.contains("rushes") && script.contains("process"), "{shell}");
    }
    let page = rushes(["man"]).exits(0).text();
    assert!(page.starts_with(".ie") || page.contains(".TH"), "{page}");
    for verb in ["PROBE", "FRAMES", "SHEET", "AUDIO", "PROCESS", "MUX", "MODELS"] {
        assert!(page.contains(&format!("RUSHES {verb}")), "{verb}");
    }
}

#[test]
fn models_are_listed_and_missing_ones_told() {
    let store = folder();
    let at = ["--models-dir", store.path().to_str().unwrap()];
    let listed = rushes(["models", "list", "--json"].iter().chain(&at)).ok().json();
    assert!(listed.iter().all(|m| m["type"] == "model" && m["present"] == false), "{listed:?}");
    let name = listed[0]["name"].as_str().unwrap();
    assert!(rushes(["models", "list"].iter().chain(&at)).ok().text().contains(name));
    let missing = rushes(["models", "verify", name].iter().chain(&at)).exits(3);
    assert!(missing.err.contains(name) && missing.out.is_empty(), "{}", missing.err);
    rushes(["models", "verify", "no-such-thing"].iter().chain(&at)).exits(2);
    rushes(["models", "verify"].iter().chain(&at)).exits(2);
    assert_eq!(files(store.path()).len(), 0);
}

#[test]
fn every_json_line_has_a_type_and_quiet_means_silent() {
    let out = folder();
    let film = film();
    let film = film.to_str().unwrap();
    let at = |name: &str| out.path().join(name).to_str().unwrap().to_owned();
    let verbs: Vec<Vec<String>> = vec![
        vec!["probe".into(), film.into()],
        vec!["frames".into(), film.into(), "-o".into(), at("f")],
        vec!["sheet".into(), film.into(), "-o".into(), at("s.jpg")],
        vec!["sheet".into(), film.into(), "--as".into(), "sprites".into(), "-o".into(), at("t")],
        vec!["audio".into(), film.into(), "-o".into(), at("a.flac")],
        vec!["process".into(), film.into(), "--library".into(), at("l")],
    ];
    for verb in verbs {
        let ran = rushes(verb.iter().map(String::as_str).chain(["--json", "--quiet"])).ok();
        let record = ran.json_line();
        assert_eq!(record["input"], film, "{record}");
        assert_eq!(ran.err, "", "{verb:?}");
    }
}
