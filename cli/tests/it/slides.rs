//! Slides: what they look like, which frames stand for them, and what is written on them.

use crate::support::{files, folder, rushes, rushes_in};
use rushes_fixtures::{slide, slides, workspace};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const FIRST: &[&str] = &["GREENLAND", "SOLAR LANTERNS"];
const SECOND: &[&str] = &["RESILIENT GARDEN"];

/// Two slides and the first again: 8, 6 and 4 seconds.
fn film() -> PathBuf {
    slides("slides", &[(FIRST, 8), (SECOND, 6), (FIRST, 4)])
}

fn models() -> &'static str {
    static MODELS: OnceLock<String> = OnceLock::new();
    MODELS.get_or_init(|| {
        let folder = workspace().join("target/models");
        let ran = Command::new(env!("CARGO_BIN_EXE_rushes"))
            .args(["models", "pull", "onnxruntime", "pp-ocr-det", "pp-ocr-rec", "--models-dir"])
            .arg(&folder)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        folder.to_str().unwrap().to_owned()
    })
}

fn process(dir: &Path, stages: &str) -> Value {
    let film = film();
    let words = ["process", film.to_str().unwrap(), "--json", "-q", "--models-dir", models()];
    rushes_in(dir, words.into_iter().chain(["--stages", stages])).ok().json_line()
}

fn show(dir: &Path) -> Value {
    let film = film();
    rushes_in(dir, ["library", "show", film.to_str().unwrap(), "--json"]).ok().json_line()
}

/// The frames that stand for the film's shots.
fn frames(record: &Value) -> Vec<Value> {
    let shots = record["shots"].as_array().unwrap();
    shots.iter().flat_map(|shot| shot["frames"].as_array().unwrap().clone()).collect()
}

fn seconds(span: &Value) -> (f64, f64) {
    let of = |end: &str| span[end]["seconds"].as_f64().unwrap();
    (of("start"), of("end"))
}

#[test]
fn slides_have_the_features_of_their_pictures_and_one_picture_each() {
    let dir = folder();
    let record = process(dir.path(), "features");
    assert_eq!(record["ran"], serde_json::json!(["probe", "shots", "features", "report"]));
    let record = show(dir.path());
    let frames = frames(&record);
    // A picture that stands still is shown by one frame, however long it stays.
    let spans: Vec<_> = frames.iter().map(|frame| seconds(&frame["span"])).collect();
    assert_eq!(spans, [(0.0, 8.0), (8.0, 14.0), (14.0, 18.0)]);
    for (frame, lines) in frames.iter().zip([FIRST, SECOND, FIRST]) {
        let features = &frame["features"];
        let of = |name: &str| features[name].as_f64().unwrap();
        let rgb = slide(lines, 640, 360);
        let count = rgb.len() as f64;
        let mean = rgb.iter().map(|v| f64::from(*v)).sum::<f64>() / count / 255.0;
        let square = rgb.iter().map(|v| (f64::from(*v) / 255.0 - mean).powi(2)).sum::<f64>();
        let spread = (square / count).sqrt();
        assert!((of("brightness") - mean).abs() < 0.005, "{features} {mean}");
        assert!((of("contrast") - spread).abs() < 0.01, "{features} {spread}");
        assert!(of("colourfulness") < 1.0 && of("sharpness") > 1000.0, "{features}");
        assert_eq!((of("black"), of("letterbox"), of("pillarbox")), (0.0, 0.0, 0.0));
        assert_eq!(of("frozen"), 1.0, "{features}");
    }
    let first = &record["shots"][0];
    assert_eq!(seconds(&first["span"]), (0.0, 8.0));
    assert_eq!(first["features"]["frozen"], 1.0);
    assert!(first["features"]["motion"].as_f64().unwrap() < 0.001, "{first}");
    // The first slide's picture serves for its second time as well.
    assert_eq!(frames[0]["file"], frames[2]["file"]);
    assert_ne!(frames[0]["file"], frames[1]["file"]);
    let own = dir.path().join("library").join(record["folder"].as_str().unwrap());
    assert_eq!(files(&own.join("shots")).len(), 2);
    assert_eq!(image_size(&own.join(frames[0]["file"].as_str().unwrap())), (640, 360));
    assert_eq!(process(dir.path(), "features")["ran"], serde_json::json!([]));
}

/// Width and height of a JPEG, by its frame header.
fn image_size(path: &Path) -> (u16, u16) {
    let bytes = std::fs::read(path).unwrap();
    let at = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let side = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    (side(at + 7), side(at + 5))
}

#[test]
fn a_slide_is_found_by_a_word_on_it() {
    let dir = folder();
    process(dir.path(), "features");
    // Reading needs no decoding: the pictures are there.
    let ran = process(dir.path(), "ocr");
    assert_eq!(ran["ran"], serde_json::json!(["ocr", "report"]));
    let search = |words: &str| -> Vec<Value> {
        rushes_in(dir.path(), ["search", "--json", "-q", "--words", words]).ok().json()
    };
    let hits = search("garden");
    assert_eq!(hits.len(), 1, "{hits:?}");
    assert_eq!(seconds(&hits[0]["span"]), (8.0, 14.0), "{hits:?}");
    let why = &hits[0]["why"][0];
    assert_eq!(why["how"], "written");
    assert!(why["text"].as_str().unwrap().contains("GARDEN"), "{why}");
    // Both times that the first slide is shown.
    let mut spans: Vec<_> = search("lanterns").iter().map(|hit| seconds(&hit["span"])).collect();
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert_eq!(spans, [(0.0, 8.0), (14.0, 18.0)]);
    assert!(search("zyzzyva").is_empty());
    let texts = ["library", "export", "--table", "frame_texts", "--format", "ndjson"];
    let rows = rushes_in(dir.path(), texts).ok().json();
    let texts: Vec<_> = rows.iter().map(|row| row["text"].as_str().unwrap()).collect();
    // A wide space may divide a line.
    let all = [FIRST, SECOND, FIRST].concat().join(" ");
    assert_eq!(texts.join(" "), all);
    assert!(rows.iter().all(|row| row["confidence"].as_f64().unwrap() > 0.9), "{rows:?}");
    let report = show(dir.path())["folder"].as_str().unwrap().to_owned();
    let page = dir.path().join("library").join(report).join("report.html");
    assert!(std::fs::read_to_string(page).unwrap().contains("RESILIENT"));
    assert_eq!(process(dir.path(), "ocr,features")["ran"], serde_json::json!([]));
}

#[test]
fn reading_without_models_is_refused_before_anything_is_made() {
    let dir = folder();
    let film = film();
    let words = ["process", film.to_str().unwrap(), "--stages", "ocr", "--models-dir", "none"];
    let ran = rushes_in(dir.path(), words).exits(3);
    assert!(ran.err.contains("rushes models pull"), "{}", ran.err);
    assert!(!dir.path().join("library").exists());
    let help = rushes(["process", "--help"]).ok().text();
    assert!(help.contains("ocr"), "{help}");
}
