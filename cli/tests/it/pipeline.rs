//! `rushes pipeline run`: the whole chain on a lesson, with the models if they are on this disk.

use crate::support::{folder, rushes};
use rushes_fixtures::{lesson, workspace};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const MODELS: [&str; 6] =
    ["whisper-tiny", "silero-vad", "onnxruntime", "all-minilm-l6-v2", "pp-ocr-det", "pp-ocr-rec"];

/// Where the tests' models are, if all of them are there: the chain needs them, and nothing is fetched
/// for it.
fn models() -> Option<PathBuf> {
    let folder = workspace().join("target/models");
    let has = |name: &&str| {
        let words = ["models", "verify", name, "--models-dir"];
        let ran = Command::new(env!("CARGO_BIN_EXE_rushes")).args(words).arg(&folder).output();
        ran.unwrap().status.success()
    };
    if let Some(missing) = MODELS.iter().find(|name| !has(name)) {
        eprintln!("{missing} is not in target/models: the pipeline is not run on the lesson");
        return None;
    }
    Some(folder)
}

/// Minutes on a busy machine: no test of time, so without the others' patience.
fn run(film: &Path, library: &Path, models: &Path) -> Value {
    let ran = Command::new(env!("CARGO_BIN_EXE_rushes"))
        .args(["pipeline", "run", "--recipe", "trading", "--json", "-q", "--models-dir"])
        .arg(models)
        .arg("--library")
        .arg(library)
        .arg(film)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}

fn states(record: &Value) -> Vec<&str> {
    record["steps"].as_array().unwrap().iter().map(|s| s["state"].as_str().unwrap()).collect()
}

#[test]
fn a_lesson_goes_through_all_ten_steps_and_a_second_run_makes_none() {
    let (Some(film), Some(models)) = (lesson(), models()) else { return };
    let dir = folder();
    let library = dir.path().join("library");
    let record = run(&film, &library, &models);
    assert_eq!(states(&record), ["ran"; 10], "{record}");
    assert_eq!(record["complete"], true);
    // Winners are a person's word; nothing else in a library is empty.
    for step in record["steps"].as_array().unwrap() {
        for (table, rows) in step["rows"].as_object().unwrap() {
            assert!(rows.as_u64().unwrap() > 0, "{table} has no rows: {record}");
        }
    }
    let own = PathBuf::from(record["output"].as_str().unwrap());
    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(own.join(name)).unwrap()).unwrap()
    };
    let rules = read("strategies/rules.json");
    let names: Vec<&str> = rules["strategies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["long-rsi-14-crosses-above-35", "short-sma-20-crosses-below-sma-50"]);
    let said = &rules["strategies"][0]["entry"][0]["said"];
    assert!(said["text"].as_str().unwrap().to_lowercase().contains("strength index"), "{said}");
    let page = std::fs::read_to_string(own.join("promoted/decisions.html")).unwrap();
    assert!(page.contains("promoted") && page.contains("no advice"));
    assert!(own.join(format!("equity/{}.svg", names[0])).is_file());
    assert!(read("promoted/rules.json")["strategies"].is_array());

    assert_eq!(states(&run(&film, &library, &models)), ["current"; 10]);
}

#[test]
fn recipes_are_listed_and_unknown_ones_refused() {
    let listed = rushes(["pipeline", "recipes", "--json"]).ok().json_line();
    assert_eq!(listed["steps"].as_array().unwrap().len(), 10);
    let ran = rushes(["pipeline", "run", "x.mp4", "--recipe", "cooking"]).exits(1);
    assert!(ran.err.contains("trading"), "{}", ran.err);
    let ran = rushes(["pipeline", "run", "x.mp4", "--prices", "none.csv"]).exits(1);
    assert!(ran.err.contains("none.csv"), "{}", ran.err);
}
