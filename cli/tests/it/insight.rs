//! `rushes insight`, `keywords`, `clips` and `winners` on a film whose transcript is put into the library by hand.

use crate::support::{folder, rushes};
use rushes::library::catalogue::StageResult;
use rushes::library::catalogue::rows::{Rows, SegmentRow, TranscriptRow, WordRow};
use rushes::library::{KeyParts, Library};
use rushes::time::{Span, Timestamp};
use rushes_fixtures::make;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is said, a sentence every 4.5 s from 1 s on: both halves are long enough for a chapter.
const SAID: [&str; 10] = [
    "What is a breakout?",
    "A breakout is a close above the resistance level with high volume.",
    "We buy it on the retest of the support level.",
    "The stop loss goes below the swing low, and the risk per trade is two percent of the account.",
    "We take profit at twice that distance.",
    "Now something different, my garden behind the house.",
    "The roses there are lovely, and the bees come every summer.",
    "My neighbours give us great honey from their bees.",
    "You should subscribe if you love gardens and honey!",
    "Sign up today and you get a discount.",
];

/// A film of 47 s with pictures and a tone, processed, with a transcript.
fn lesson(dir: &Path) -> (PathBuf, PathBuf) {
    let film = make(
        "insight-lesson",
        "mp4",
        &[
            "-f",
            "lavfi",
            "-i",
            "testsrc2=s=320x180:r=25:d=47",
            "-f",
            "lavfi",
            "-i",
            "sine=f=220:d=47",
            "-g",
            "50",
            "-pix_fmt",
            "yuv420p",
            "-c:a",
            "aac",
            "-shortest",
        ],
    );
    let library = dir.join("library");
    process(&film, &library, "shots,features");
    let opened = Library::at(&library);
    let catalogue = opened.existing().unwrap();
    let media = opened.find(&film).unwrap();
    let segments = SAID.iter().zip(0..).map(|(text, n): (&&str, i64)| {
        let start = 1000 + n * 4500;
        let ms = Timestamp::from_millis;
        let words: Vec<&str> = text.split(' ').collect();
        let each = 3000 / words.len() as i64;
        let words = words.into_iter().zip(0..).map(|(word, i)| WordRow {
            span: Span::new(ms(start + i * each), ms(start + (i + 1) * each - 20)).unwrap(),
            text: word.to_owned(),
            probability: 0.95,
            spaced: i > 0,
        });
        SegmentRow {
            span: Span::new(ms(start), ms(start + 3000)).unwrap(),
            text: (*text).to_owned(),
            language: "en".into(),
            language_probability: None,
            avg_logprob: -0.1,
            no_speech_prob: 0.0,
            doubt: None,
            words: words.collect(),
        }
    });
    let transcript = TranscriptRow {
        language: "en".into(),
        language_probability: 1.0,
        translated: false,
        model: "by hand".into(),
        engine: "none".into(),
        coverage: 1.0,
        segments: segments.collect(),
    };
    let result = StageResult {
        parts: KeyParts::new("transcript", 1, &media.content, Value::Null),
        started_ms: 0,
        wall: Duration::ZERO,
        note: None,
        summary: Value::Null,
        rows: Rows { transcript: Some(transcript), ..Rows::default() },
        replace: false,
    };
    catalogue
        .store(&media.content, &media.name, &media.folder, None, &[result], |_, _| {
            Ok(vec![Vec::new()])
        })
        .unwrap();
    (film, library)
}

fn process(film: &Path, library: &Path, stages: &str) {
    let [film, library] = [film, library].map(|path| path.to_str().unwrap());
    rushes(["process", film, "-q", "--library", library, "--stages", stages]).ok();
}

fn run(library: &Path, words: &[&str]) -> crate::support::Ran {
    let library = ["--library", library.to_str().unwrap()];
    rushes(words.iter().copied().chain(library))
}

#[test]
fn a_lesson_becomes_terms_chapters_clips_and_winners() {
    let dir = folder();
    let (film, library) = lesson(dir.path());
    let film = film.to_str().unwrap();

    let all = run(&library, &["insight", film, "--json"]).ok().json();
    let of = |kind: &str| all.iter().filter(|row| row["type"] == kind).collect::<Vec<_>>();
    let terms: Vec<&str> = of("keyword").iter().map(|row| row["term"].as_str().unwrap()).collect();
    for term in
        ["breakout", "resistance level", "stop loss", "take profit", "subscribe", "discount"]
    {
        assert!(terms.contains(&term), "{term}: {terms:?}");
    }
    // At the time of its word: the fourth of the first sentence's four.
    let first = of("keyword")[0];
    assert_eq!(
        (&first["term"], &first["span"]["start"]["seconds"]),
        (&"breakout".into(), &3.25.into())
    );
    assert_eq!(of("chapter").len(), 2, "{:?}", of("chapter"));
    let rules: Vec<&str> = of("pattern").iter().map(|row| row["rule"].as_str().unwrap()).collect();
    for rule in ["question-and-answer", "breakout-with-stop", "risk-stated", "call-to-action"] {
        assert!(rules.contains(&rule), "{rule}: {rules:?}");
    }
    let percent = of("concept").into_iter().find(|row| row["kind"] == "percent").unwrap();
    assert_eq!(percent["value"], "2 %");

    let text = run(&library, &["insight", film]).ok().text();
    assert!(text.contains("Chapters") && text.contains("Patterns"), "{text}");
    // Lines of CSV end as RFC 4180 has them, which `ok` would take for something else.
    let words = ["keywords", film, "--category", "chart-patterns", "--csv"];
    let csv = run(&library, &words).exits(0).text();
    assert!(
        csv.starts_with("film,start_s,end_s,term,") && csv.contains(",breakout,chart-patterns,"),
        "{csv}"
    );
    assert!(!csv.contains("stop loss"), "{csv}");

    let clips = run(&library, &["clips", film, "--purpose", "lesson", "--json"]).ok().json();
    assert!(clips.len() >= 2 && clips[0]["score"].as_f64() >= clips[1]["score"].as_f64());
    assert!(clips[0]["text"].as_str().unwrap().contains("stop loss"), "{}", clips[0]["text"]);
    let features = clips[0]["features"].as_object().unwrap();
    // A tone: loud, with a pitch, in pictures that move.
    assert!((features["pitch"].as_f64().unwrap() - 220.0).abs() < 2.0, "{features:?}");
    assert!(features.len() > 40 && features["motion"].as_f64().is_some(), "{features:?}");
    let ad =
        run(&library, &["clips", film, "--purpose", "ad", "--limit", "1", "--json"]).ok().json();
    assert!(ad[0]["text"].as_str().unwrap().contains("subscribe"), "{}", ad[0]["text"]);

    let table = dir.path().join("clips.parquet");
    run(&library, &["clips", film, "--export", "parquet", "-o", table.to_str().unwrap()]).ok();
    let bytes = std::fs::read(&table).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    let csv = run(&library, &["clips", film, "--export", "csv"]).exits(0).text();
    assert!(
        csv.lines().next().unwrap().contains("score:hook") && csv.contains("speech_rate"),
        "{csv}"
    );

    let cuts = dir.path().join("cuts");
    let words = ["clips", film, "--limit", "1", "--cut", "-o", cuts.to_str().unwrap(), "--json"];
    let cut = run(&library, &words).ok().json();
    let probed = rushes(["probe", "--json", cut[0]["output"].as_str().unwrap()]).ok().json();
    let length = |value: &Value| value["seconds"].as_f64().unwrap();
    let span = length(&cut[0]["span"]["end"]) - length(&cut[0]["span"]["start"]);
    assert!((length(&probed[0]["duration"]) - span).abs() < 0.2, "{span}");

    let list = dir.path().join("clips.txt");
    std::fs::write(&list, format!("# two\n{film}@1s-20s\n{film}@33s-41s\n")).unwrap();
    let scores =
        run(&library, &["clips", "score", list.to_str().unwrap(), "--length", "27s", "--json"])
            .ok()
            .json();
    let names: Vec<&str> = scores.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["hook", "pace", "clarity", "variety", "length", "captions"]);
    assert_eq!(scores[4]["score"], 100.0);
    assert!(scores.iter().all(|row| !row["why"].as_array().unwrap().is_empty()));

    let at = |span: &str| format!("{film}@{span}");
    let added =
        run(&library, &["winners", "add", &at("1s-20s"), "--list", "shorts", "--json"]).ok().json();
    run(&library, &["winners", "add", &at("30s-41s"), "--list", "shorts"]).ok();
    let near = run(&library, &["winners", "near", &at("2s-20s"), "--list", "shorts", "--json"])
        .ok()
        .json();
    assert_eq!((near.len(), &near[0]["id"]), (2, &added[0]["id"]));
    assert!(near[0]["similarity"].as_f64() > near[1]["similarity"].as_f64());
    let stats = run(&library, &["winners", "stats", "--list", "shorts", "--json"]).ok().json();
    let length = stats.iter().find(|row| row["feature"] == "duration").unwrap();
    assert_eq!((&length["mean"], &length["count"]), (&15.0.into(), &2.into()));
    let id = added[0]["id"].to_string();
    run(&library, &["winners", "rm", &id]).ok();
    run(&library, &["winners", "rm", &id]).exits(1);
    assert_eq!(run(&library, &["winners", "list", "--json"]).ok().json().len(), 1);
}

#[test]
fn a_users_dictionaries_and_rules_are_followed_and_their_mistakes_told() {
    let dir = folder();
    let (film, library) = lesson(dir.path());
    let film = film.to_str().unwrap();
    std::fs::create_dir(library.join("dictionaries")).unwrap();
    let own = library.join("dictionaries/garden.csv");
    std::fs::write(&own, "term,category\nrose,plants\nhoney,food\n").unwrap();
    std::fs::create_dir(library.join("rules")).unwrap();
    let rules = library.join("rules/garden.toml");
    let rule = "[[rule]]\nname = \"roses-then-honey\"\nkind = \"sequence\"\n\
                steps = [\"category:plants\", \"term:honey\"]\nwithin = \"20s\"\n";
    std::fs::write(&rules, rule).unwrap();
    let all = run(&library, &["insight", film, "--json"]).ok().json();
    let terms = |name: &str| all.iter().filter(|row| row["term"] == name).count();
    assert_eq!((terms("rose"), terms("honey")), (1, 2));
    assert!(all.iter().any(|row| row["rule"] == "roses-then-honey"));
    // For this time only.
    let more = dir.path().join("more.toml");
    std::fs::write(&more, "name = \"m\"\n[categories.m]\nterms = [{ term = \"neighbour\" }]\n")
        .unwrap();
    let words =
        ["keywords", film, "--term", "neighbour", "--json", "--dictionary", more.to_str().unwrap()];
    assert_eq!(run(&library, &words).ok().json().len(), 1);
    assert!(
        run(&library, &["keywords", film, "--term", "neighbour", "--json"]).ok().json().is_empty()
    );

    std::fs::write(&own, "term,category\nrose,plants\nrose\n").unwrap();
    let failed = run(&library, &["insight", film]).exits(1);
    assert!(failed.err.contains("garden.csv: line 3:"), "{}", failed.err);
    std::fs::write(&own, "term,category\nrose,plants\n").unwrap();
    std::fs::write(&rules, rule.replace("20s", "soon")).unwrap();
    let failed = run(&library, &["insight", film]).exits(1);
    assert!(failed.err.contains("garden.toml: line 5:"), "{}", failed.err);
    std::fs::remove_file(&rules).unwrap();
    std::fs::write(library.join("scores.toml"), "[[purpose]]\nname = \"x\"\nparts = [\n{ feature = \"loud\", weight = 1, from = 0, to = 1 },\n]\n").unwrap();
    let failed = run(&library, &["clips", film]).exits(1);
    assert!(failed.err.contains("scores.toml: line 4:"), "{}", failed.err);
}
