//! Sound files cut off and with bits flipped, and the malformed files of other projects.

use crate::support::{finish, folder, is_catalogue, nothing_half_made, start};
use rushes_fixtures::{
    Film, Variant, film, flac, flipped, mpeg2_ts, mpeg4_avi, numbered, shared, truncated, vfr,
    vp9_webm,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Runs a verb on all inputs in one process, and asserts what has to hold however bad they are:
/// the process lives to tell of each, and just what it says it made is there.
fn all_told(verb: &[&str], inputs: &[PathBuf]) -> Vec<Value> {
    let dir = folder();
    let out = dir.path().join("out");
    let mut words: Vec<&str> = verb.to_vec();
    // None of the films is longer than a minute. A bit in a rate makes months of it, and what is
    // within the limit is done: a picture for every second of them.
    words.extend(["--json", "--quiet", "--allow", "duration=10m"]);
    words.extend(inputs.iter().map(|p| p.to_str().unwrap()));
    match verb[0] {
        "probe" => {}
        "process" => words.extend(["--library", out.to_str().unwrap()]),
        _ => words.extend(["-o", out.to_str().unwrap()]),
    }
    let ran = finish(start(&words, None, &[]), &[]);
    let lines = ran.json();
    let told = || format!("{verb:?}: {} of {} inputs", lines.len(), inputs.len());
    let ran = ran.sane().calm();
    assert_eq!(lines.len(), inputs.len(), "{}\n{}", told(), ran.err);
    for (line, input) in lines.iter().zip(inputs) {
        let error = line["type"] == "error";
        assert_eq!(line["input"], input.to_str().unwrap(), "{line}");
        if error {
            assert!(
                line["kind"] == "input" || line["kind"] == "limit" || line["kind"] == "unsupported",
                "{line}"
            );
            assert!(line["hint"].is_string(), "{line}");
        }
    }
    let made = lines.iter().filter_map(|l| l["output"].as_str()).map(PathBuf::from);
    let made: BTreeSet<PathBuf> = made.collect();
    let found: BTreeSet<PathBuf> = std::fs::read_dir(&out)
        .map(|entries| {
            entries
                .map(|e| e.unwrap().path())
                // The page of the run is about all of them.
                .filter(|p| !is_record(p) && !is_catalogue(p) && !p.ends_with("report.html"))
                .collect()
        })
        .unwrap_or_default();
    assert_eq!(found, made, "{}", told());
    nothing_half_made(&out);
    lines
}

fn is_record(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".rushes.json")
}

/// The versions of a file, written side by side.
fn written(folder: &Path, name: &str, extension: &str, versions: Vec<Vec<u8>>) -> Vec<PathBuf> {
    let write = |(i, bytes)| {
        let path = folder.join(format!("{name}-{i:03}.{extension}"));
        std::fs::write(&path, bytes).unwrap();
        path
    };
    versions.into_iter().enumerate().map(write).collect()
}

/// A film whose index lies in front, as for the web.
fn fast_start() -> PathBuf {
    Film { name: "fast-start", extra: "-movflags +faststart", ..Film::default() }.make()
}

const CUTS: usize = 64;

fn cut_everywhere(name: &str, whole: &Path) -> Vec<Value> {
    let dir = folder();
    let extension = whole.extension().unwrap().to_str().unwrap();
    let versions = truncated(&std::fs::read(whole).unwrap(), CUTS);
    let inputs = written(dir.path(), name, extension, versions);
    all_told(&["probe"], &inputs);
    all_told(&["frames", "--every", "1s", "--width", "64"], &inputs);
    all_told(&["process", "--every", "1s", "--width", "64"], &inputs)
}

fn served(lines: &[Value]) -> usize {
    lines.iter().filter(|l| l["type"] == "process").count()
}

#[test]
fn an_mp4_cut_anywhere() {
    let lines = cut_everywhere("cut", &fast_start());
    assert!(served(&lines) > CUTS / 2, "{} served", served(&lines));
    flagged(&lines);
    // With the index at the end there is nothing without the end.
    let lines = cut_everywhere("cut", &numbered(Variant::ClosedGop).path);
    assert_eq!(served(&lines), 0);
}

#[test]
fn a_fragmented_mp4_cut_anywhere() {
    let lines = cut_everywhere("cut", &numbered(Variant::Fragmented).path);
    assert!(served(&lines) > CUTS / 2, "{} served", served(&lines));
}

#[test]
fn a_matroska_cut_anywhere() {
    let lines = cut_everywhere("cut", &vfr());
    assert!(served(&lines) > CUTS / 2, "{} served", served(&lines));
    flagged(&lines);
}

#[test]
fn a_transport_stream_cut_anywhere() {
    let lines = cut_everywhere("cut", &mpeg2_ts());
    // It states no length, so nothing tells that an end is missing.
    assert!(served(&lines) > CUTS * 3 / 4, "{} served", served(&lines));
}

/// A part that passes for the whole would be worse than none: where the container states a length,
/// what is cut in the middle is told as such.
fn flagged(lines: &[Value]) {
    for (i, line) in lines.iter().enumerate().filter(|(i, _)| *i < CUTS / 2) {
        if line["type"] == "process" {
            let notices = line["notices"].as_array().unwrap();
            assert!(!notices.is_empty(), "cut at {i}/{CUTS}: {line}");
        }
    }
}

/// Flips bits at each rate, by several seeds, and has everything read; gives how many versions
/// there were and how many came to something.
fn flip(whole: &Path) -> (usize, usize) {
    let dir = folder();
    let bytes = std::fs::read(whole).unwrap();
    let mut versions = Vec::new();
    for (i, rate) in [1e-6, 1e-5, 1e-4, 1e-3].into_iter().enumerate() {
        versions.extend((0..4).map(|seed| flipped(&bytes, rate, seed * 10 + i as u64)));
    }
    let inputs =
        written(dir.path(), "flip", whole.extension().unwrap().to_str().unwrap(), versions);
    all_told(&["probe"], &inputs);
    all_told(&["frames", "--snap", "--every", "500ms", "--width", "64"], &inputs);
    let lines = all_told(&["process", "--every", "1s", "--width", "64"], &inputs);
    (inputs.len(), served(&lines))
}

#[test]
fn bits_flipped_in_common_containers() {
    for whole in [film(), fast_start(), vfr()] {
        let (count, served) = flip(&whole);
        assert!(served > count / 2, "{}: {served} of {count}", whole.display());
    }
}

#[test]
fn bits_flipped_in_streams_of_no_stated_length() {
    for whole in [mpeg2_ts(), vp9_webm()] {
        let (count, served) = flip(&whole);
        assert!(served > count / 2, "{}: {served} of {count}", whole.display());
    }
}

#[test]
fn bits_flipped_in_other_containers() {
    let variants = [Variant::Fragmented, Variant::Raw264, Variant::Hevc].map(|v| numbered(v).path);
    for whole in [mpeg4_avi(), flac()].into_iter().chain(variants) {
        let (count, served) = flip(&whole);
        assert!(served > count / 4, "{}: {served} of {count}", whole.display());
    }
}

#[test]
fn the_malformed_files_of_others() {
    let Some(root) = shared("7-malformed") else { return };
    let inputs: Vec<PathBuf> =
        crate::support::files(&root).into_iter().map(|f| root.join(f)).collect();
    assert!(inputs.len() > 80, "{}", inputs.len());
    let lines = all_told(&["probe"], &inputs);
    assert!(
        lines.iter().any(|l| l["type"] == "error") && lines.iter().any(|l| l["type"] == "media")
    );
    let lines = all_told(&["process", "--every", "1s", "--width", "64"], &inputs);
    let ok = |name: &str| {
        let line = lines.iter().find(|l| l["input"].as_str().unwrap().ends_with(name)).unwrap();
        assert_eq!(line["type"], "process", "{line}");
    };
    // Players play these.
    for name in [
        "sample_mdat_too_long.mp4",
        "sample_without_stss.mp4",
        "sample_with_invalid_nalu.mp4",
        "sample_unrecognized_hevc_sei.mp4",
        "sample-with-large-length.avi",
        "sample_empty_track.mp4",
        "unordered.mov",
        "riff_extra_zero.wav",
    ] {
        ok(name);
    }
    all_told(&["frames", "--every", "1s", "--width", "64"], &inputs);
    all_told(&["sheet"], &inputs);
    all_told(&["audio"], &inputs);
}
