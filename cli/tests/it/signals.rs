//! Stopped in the middle: nothing half made is left, and the exit code says so.

use crate::support::{files, finish, folder, nothing_in, signal, start, wait_until};
use rushes_fixtures::{Variant, mpeg2_ts, numbered};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use walkdir::WalkDir;

/// Whether work on an output has begun below a folder: a staged file or folder that holds bytes.
fn under_way(root: &Path) -> bool {
    WalkDir::new(root).into_iter().filter_map(Result::ok).any(|entry| {
        entry.path().to_string_lossy().contains("/.rushes-")
            && entry.metadata().is_ok_and(|m| m.is_file() && m.len() > 0)
    })
}

/// Starts a job that would go on for long, stops it once it writes, and looks at what is left.
#[track_caller]
fn stopped(words: &[&str], by: &str) {
    let dir = folder();
    let child = start(words, Some(dir.path()), &[]);
    wait_until("the job to write", || under_way(dir.path()));
    signal(&child, by);
    let asked = Instant::now();
    let ran = finish(child, &[]).exits(130);
    assert!(asked.elapsed() < Duration::from_secs(5), "took {:?} to stop", asked.elapsed());
    assert!(ran.out.is_empty(), "{}", ran.text());
    nothing_in(dir.path());
}

/// Many large pictures of the longest film: minutes of work, were it not stopped.
fn long(words: &[&'static str], by: &str) {
    let film = numbered(Variant::Long).path;
    let mut words = words.to_vec();
    words.push(film.to_str().unwrap());
    stopped(&words, by);
}

#[test]
fn interrupted_frames_leave_nothing() {
    for by in ["INT", "TERM"] {
        long(&["frames", "--all", "--format", "png", "--width", "2000", "-o", "out"], by);
    }
}

#[test]
fn an_interrupted_main_job_leaves_nothing() {
    for by in ["INT", "TERM"] {
        long(&["process", "--every", "40ms", "--width", "2000", "--library", "out"], by);
    }
}

#[test]
fn what_was_finished_before_stays() {
    let dir = folder();
    let film = numbered(Variant::Long).path;
    let short = numbered(Variant::ClosedGop).path;
    let words = ["frames", "--all", "--width", "1000", "-o", "out"];
    let words = words.iter().copied().chain([short.to_str().unwrap(), film.to_str().unwrap()]);
    let child = start(words, Some(dir.path()), &[]);
    let out = dir.path().join("out");
    let first = out.join(short.file_stem().unwrap());
    wait_until("the second film", || first.exists() && under_way(&out));
    signal(&child, "INT");
    finish(child, &[]).exits(130);
    assert_eq!(
        std::fs::read_dir(&out).unwrap().count(),
        1,
        "{:?}",
        std::fs::read_dir(&out).unwrap().collect::<Vec<_>>()
    );
    assert_eq!(files(&first).len(), 101);
}

/// Somebody's standard input, for a child whose own was closed early.
fn spare() -> std::process::ChildStdin {
    let mut child =
        std::process::Command::new("true").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    child.wait().unwrap();
    stdin
}

#[test]
fn a_job_that_waits_for_a_pipe_stops_as_well() {
    for by in ["INT", "TERM"] {
        for words in [["frames", "-", "-o", "out"].as_slice(), &["audio", "-", "-o", "out/a.flac"]]
        {
            let dir = folder();
            let mut child = start(words, Some(dir.path()), &[]);
            // A good beginning and then silence, with the pipe held open.
            let mut pipe = child.stdin.take().unwrap();
            pipe.write_all(&std::fs::read(mpeg2_ts()).unwrap()).unwrap();
            child.stdin = Some(spare());
            wait_until("the job to begin", || dir.path().join("out").exists());
            std::thread::sleep(Duration::from_millis(300));
            signal(&child, by);
            let asked = Instant::now();
            finish(child, &[]).exits(130);
            assert!(asked.elapsed() < Duration::from_secs(2), "took {:?}", asked.elapsed());
            nothing_in(dir.path());
            drop(pipe);
        }
    }
}
