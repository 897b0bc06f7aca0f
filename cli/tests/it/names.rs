//! Names that have broken programs before.

use crate::support::{copy, files, folder, rushes_in};
use rushes_fixtures::{film, wav};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// File names, each tempting in its own way.
fn names() -> Vec<OsString> {
    let mut names: Vec<OsString> = [
        "-i.mp4",
        "--help.mp4",
        "a:b.mp4",
        "file:a.mp4",
        "http:a.mp4",
        "pipe:0.mp4",
        "concat:a|b.mp4",
        "line\nbreak.mp4",
        "tab\tstop.mp4",
        "100%d.mp4",
        "%s%n.mp4",
        "{n}.mp4",
        "{time}_{pts}.mp4",
        "x[1-2].mp4",
        "what?.mp4",
        "*.mp4",
        "a,b;c'd\"e`f$g\\h.mp4",
        " space .mp4",
        "\u{202e}4pm.mp4",
        "\u{1b}[31mred.mp4",
        "Füße 日本.mp4",
        "..mp4",
        "...",
        "no-extension",
        ".hidden.mp4",
    ]
    .map(OsString::from)
    .into();
    names.push(OsString::from_vec(b"latin\xe9.mp4".to_vec()));
    names.push(OsString::from_vec(b"\xff\xfe\x80.mp4".to_vec()));
    for filler in ["a", "ä", "日"] {
        let mut long = filler.repeat(251 / filler.len());
        long.push_str(&"x".repeat(251 - long.len()));
        names.push(format!("{long}.mp4").into());
    }
    assert!(names.iter().any(|n| n.len() == 255));
    names
}

/// Names with a dash in front are given as `./-i.mp4`, as everywhere, or behind `--`.
fn typed(name: &OsStr) -> OsString {
    if name.as_bytes().starts_with(b"-") {
        PathBuf::from(".").join(name).into_os_string()
    } else {
        name.to_owned()
    }
}

#[test]
fn every_verb_takes_every_name() {
    for name in names() {
        let dir = folder();
        copy(&film(), dir.path().join(&name));
        let before = files(dir.path());
        let run = |words: &[&str], more: &[&str]| {
            let mut all: Vec<OsString> = words.iter().map(OsString::from).collect();
            all.push(typed(&name));
            all.extend(more.iter().map(OsString::from));
            rushes_in(dir.path(), &all).ok()
        };
        run(&["probe"], &[]);
        assert_eq!(files(dir.path()), before, "{name:?}");
        // Twice: the record has to be found again under that name.
        for again in [false, true] {
            for ran in [
                run(&["frames", "--at", "1s", "--width", "64"], &["-o", "f"]),
                run(
                    &["sheet", "--columns", "1", "--rows", "1", "--tile-width", "64"],
                    &["-o", "s"],
                ),
                run(&["audio", "--rate", "8k", "--mono"], &["-o", "a"]),
                run(&["process", "--width", "64"], &["--library", "l"]),
            ] {
                assert_eq!(ran.text().contains("up to date"), again, "{name:?}: {}", ran.text());
                assert_eq!(ran.text().lines().count(), 1, "{}", ran.text());
            }
        }
        let made = |sub: &str| files(&dir.path().join(sub)).len();
        assert_eq!(
            (made("f"), made("s"), made("a")),
            (2, 2, 2),
            "{name:?}: {:?}",
            files(dir.path())
        );
        assert!(made("l") >= 4, "{name:?}");
        for file in files(dir.path()) {
            assert!(
                file.components().count() > 1 || before.contains(&file),
                "{name:?} made {file:?}"
            );
        }
    }
}

#[test]
fn names_behind_a_double_dash_may_begin_with_dashes() {
    let dir = folder();
    copy(&film(), dir.path().join("-i.mp4"));
    rushes_in(dir.path(), ["probe", "--", "-i.mp4"]).ok();
    rushes_in(dir.path(), ["frames", "-o", "out", "--", "-i.mp4"]).ok();
    rushes_in(dir.path(), ["probe", "-i.mp4"]).exits(2);
}

#[test]
fn outputs_may_have_any_name_too() {
    for name in ["-o.flac", "line\nbreak.flac", "%d{n}.flac", "\u{202e}cal.flac", "a:b.flac"] {
        let dir = folder();
        let input = copy(&wav(), dir.path().join("a.wav"));
        let output = format!("--output={name}");
        for _ in 0..2 {
            rushes_in(dir.path(), ["audio", input.to_str().unwrap(), &output]).ok();
        }
        assert!(dir.path().join(name).is_file(), "{name:?}: {:?}", files(dir.path()));
    }
    for bytes in [b"\xff.flac".to_vec(), [vec![b'x'; 250], b".flac".to_vec()].concat()] {
        let dir = folder();
        let input = copy(&wav(), dir.path().join("a.wav"));
        let name = OsString::from_vec(bytes);
        let words = || [OsStr::new("audio"), input.as_os_str(), OsStr::new("-o"), &name];
        rushes_in(dir.path(), words()).ok();
        let again = rushes_in(dir.path(), words()).ok();
        assert!(again.text().contains("up to date"), "{}", again.text());
        assert!(dir.path().join(&name).is_file());
    }
}

#[test]
fn names_that_differ_only_in_their_broken_bytes_stay_apart() {
    let dir = folder();
    let inputs = [b"\xfe.wav".to_vec(), b"\xff.wav".to_vec()].map(OsString::from_vec);
    for name in &inputs {
        copy(&wav(), dir.path().join(name));
    }
    let words = [OsStr::new("audio"), &inputs[0], &inputs[1], OsStr::new("-o"), OsStr::new("out")];
    rushes_in(dir.path(), words).ok();
    assert_eq!(files(&dir.path().join("out")).len(), 4);
    // The library names by content as well; as JSON the names are readable at least.
    let lines =
        rushes_in(dir.path(), [OsStr::new("probe"), OsStr::new("--json"), &inputs[0]]).ok().json();
    assert_eq!(lines[0]["input"], "\u{fffd}.wav");
}
