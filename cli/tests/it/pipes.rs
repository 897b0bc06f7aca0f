//! Pipes that never end, never speak, or never were.

use crate::support::{Ran, folder, nothing_in, rushes};
use rushes_fixtures::mpeg2_ts;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

fn fifo(folder: &Path) -> PathBuf {
    let path = folder.join("pipe.ts");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

/// Runs a verb on a pipe into which another thread writes `bytes` over and over, until the reader
/// has gone.
fn fed_for_ever(bytes: Vec<u8>, verb: &[&str], limit: &str) -> (Ran, tempfile::TempDir) {
    let dir = folder();
    let path = fifo(dir.path());
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    // Held open for writing by us as well: the writer thread then never waits for a reader, and
    // no reader ever sees an end.
    let held = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    let writer = std::thread::spawn({
        let path = path.clone();
        move || {
            let mut pipe = std::fs::File::options().write(true).open(path).unwrap();
            while pipe.write_all(&bytes).is_ok() {}
        }
    });
    let mut words: Vec<&str> = verb.to_vec();
    words.extend([path.to_str().unwrap(), "--allow", limit]);
    let out_name = out.join("o.flac");
    match verb[0] {
        "probe" => {}
        "audio" => words.extend(["-o", out_name.to_str().unwrap()]),
        "process" => words.extend(["--library", out.to_str().unwrap()]),
        _ => words.extend(["-o", out.to_str().unwrap()]),
    }
    let ran = rushes(&words);
    // The last reader goes: the writer, blocked in a full pipe, gets an error and ends.
    drop(held);
    writer.join().unwrap();
    (ran, dir)
}

#[test]
fn an_endless_film_is_read_up_to_the_limit() {
    let ts = std::fs::read(mpeg2_ts()).unwrap();
    for verb in [["frames", "--every", "1s"].as_slice(), &["audio"], &["sheet", "--as", "sprites"]]
    {
        let (ran, dir) = fed_for_ever(ts.clone(), verb, "pipe-bytes=8M");
        let ran = ran.exits(4).calm();
        assert!(
            ran.err.contains("pipe.ts: what the pipe gave is over the limit of 8388608 bytes"),
            "{}",
            ran.err
        );
        assert!(ran.err.contains("raise the limit"), "{}", ran.err);
        nothing_in(&dir.path().join("out"));
    }
    // A look at the beginning needs no end.
    let (ran, _dir) = fed_for_ever(ts, &["probe", "--json"], "pipe-bytes=8M");
    assert_eq!(ran.sane().json_line()["type"], "media");
}

#[test]
fn endless_zeros_are_refused() {
    for verb in [["probe"].as_slice(), &["frames"], &["audio"]] {
        let (ran, dir) = fed_for_ever(vec![0; 65_536], verb, "pipe-bytes=8M");
        let ran = ran.sane();
        assert_ne!(ran.code, Some(0));
        assert!(ran.err.contains("pipe.ts: ") && ran.err.contains("; "), "{}", ran.err);
        nothing_in(&dir.path().join("out"));
    }
}

#[test]
fn a_silent_pipe_is_given_up() {
    for verb in ["probe", "frames", "audio"] {
        let dir = folder();
        let path = fifo(dir.path());
        let out = dir.path().join("out");
        // A writer that says nothing; without it the pipe is one that nobody writes to.
        for writer in [true, false] {
            let held = writer
                .then(|| std::fs::File::options().read(true).write(true).open(&path).unwrap());
            let mut words = vec![verb, path.to_str().unwrap(), "--allow", "pipe-silence=1s"];
            if verb != "probe" {
                words.extend(["-o", out.to_str().unwrap()]);
            }
            let ran = rushes(&words).exits(4).calm();
            assert!(ran.err.contains("pipe.ts: the pipe was silent for 1 s"), "{}", ran.err);
            drop(held);
            nothing_in(&out);
        }
    }
}

#[test]
fn what_has_no_identity_cannot_enter_the_library() {
    let dir = folder();
    let path = fifo(dir.path());
    let library = dir.path().join("library");
    let words = ["process", path.to_str().unwrap(), "--library", library.to_str().unwrap()];
    let ran = rushes(words).exits(1);
    assert!(
        ran.err.contains("pipe.ts: is not a regular file") && ran.err.contains("save it"),
        "{}",
        ran.err
    );
    assert!(!library.exists());
}

#[test]
fn devices_and_folders_are_not_media() {
    for path in ["/dev/zero", "/dev/null", "/dev/urandom"] {
        for verb in ["probe", "process"] {
            let dir = folder();
            let mut words = vec![verb, path];
            let library = dir.path().join("library");
            if verb == "process" {
                words.extend(["--library", library.to_str().unwrap()]);
            }
            let ran = rushes(words).exits(1);
            assert!(ran.err.contains(path) && ran.err.contains("; "), "{}", ran.err);
        }
    }
}
