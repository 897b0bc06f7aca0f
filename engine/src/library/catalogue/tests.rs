use super::rows::*;
use super::*;
use crate::library::{ContentId, KeyParts};
use crate::time::{Span, TimeBase, Timestamp};
use serde_json::json;
use std::num::NonZeroU32;
use std::time::Duration;

fn at(ticks: i64) -> Timestamp {
    Timestamp::new(ticks, TimeBase::new(1001, 30_000).unwrap())
}

fn span(start: i64, end: i64) -> Span {
    Span::new(at(start), at(end)).unwrap()
}

fn catalogue() -> (tempfile::TempDir, Catalogue) {
    let dir = tempfile::tempdir().unwrap();
    let catalogue = Catalogue::open(dir.path()).unwrap();
    (dir, catalogue)
}

fn result(stage: &str, inputs: &[&str], setting: i32, rows: Rows) -> StageResult {
    let mut parts = KeyParts::new(stage, 1, &ContentId::of(b"film"), json!(setting));
    parts.inputs = inputs.iter().map(|name| ((*name).to_owned(), "key".to_owned())).collect();
    StageResult {
        parts,
        started_ms: 5,
        wall: Duration::from_micros(7),
        note: None,
        summary: json!({"n": 1}),
        rows,
        replace: false,
    }
}

fn store(catalogue: &Catalogue, film: &str, results: Vec<StageResult>) -> runs::Changed {
    let files = |n: usize, stage: &str| StoredFile {
        path: format!("{film}/{stage}-{n}"),
        digest: ContentId::of(stage.as_bytes()),
        stamp: FileStamp { dev: 1, inode: 2, bytes: 3, mtime_ns: 4, ctime_ns: 5 },
    };
    let content = ContentId::of(film.as_bytes());
    let made: Vec<_> = results.iter().map(|r| vec![files(0, &r.parts.stage)]).collect();
    catalogue.store(&content, "a.mp4", film, None, &results, |_, _| Ok(made)).unwrap()
}

fn segment(n: i64, text: &str) -> SegmentRow {
    SegmentRow {
        span: span(n, n + 1),
        text: text.into(),
        language: "en".into(),
        language_probability: Some(0.75),
        avg_logprob: -0.25,
        no_speech_prob: 0.125,
        doubt: None,
        words: text
            .split(' ')
            .map(|word| WordRow {
                span: span(n, n + 1),
                text: word.into(),
                probability: 0.5,
                spaced: true,
            })
            .collect(),
    }
}

fn spoken(texts: &[&str]) -> Rows {
    let segments = texts.iter().zip(0..).map(|(text, n)| segment(n, text)).collect();
    let transcript = TranscriptRow {
        language: "en".into(),
        language_probability: 1.0,
        translated: false,
        model: "tiny".into(),
        engine: "none".into(),
        coverage: 0.75,
        segments,
    };
    Rows { transcript: Some(transcript), ..Rows::default() }
}

fn pictures() -> Rows {
    let frame = |n: i64, shot| FrameRow {
        time: at(n),
        wanted: Some(at(n)),
        pts: n,
        key: n == 0,
        width: 640,
        height: 360,
        file: Some(format!("frames/{n}.jpg")),
        shot: Some(RowRef::New(shot)),
        span: (n > 0).then(|| span(n, n + 2)),
    };
    let shot = |a, b| ShotRow { span: span(a, b), transition: "cut".into(), confidence: 0.5 };
    Rows {
        shots: vec![shot(0, 10), shot(10, 20)],
        frames: vec![frame(0, 0), frame(15, 1)],
        texts: vec![FrameTextRow {
            frame: RowRef::New(1),
            text: "Café: PRICE 30 €".into(),
            confidence: 0.5,
            bounds: [0.0, 0.25, 0.5, 1.0],
            span: Some(span(15, 18)),
        }],
        clips: vec![ClipRow {
            span: span(1, 2),
            title: "start".into(),
            score: None,
            kind: None,
            text: None,
        }],
        features: vec![
            FeatureRow {
                owner: Owner::Frame(RowRef::New(0)),
                name: "sharpness".into(),
                value: 2.5,
            },
            FeatureRow {
                owner: Owner::Shot(RowRef::New(1)),
                name: "motion".into(),
                value: f64::NAN,
            },
            FeatureRow { owner: Owner::Media, name: "length".into(), value: 1.0 },
        ],
        embeddings: vec![EmbeddingRow {
            owner: Owner::Clip(RowRef::New(0)),
            model: "clip".into(),
            kind: "image".into(),
            vector: vec![1.0, -2.5, f32::MIN_POSITIVE],
        }],
        ..Rows::default()
    }
}

#[test]
fn rows_come_out_as_they_went_in() {
    let (_dir, catalogue) = catalogue();
    let rows = spoken(&["it was the best", "of times"]);
    let wanted = rows.transcript.clone().unwrap();
    let media = store(
        &catalogue,
        "f",
        vec![result("transcript", &[], 1, rows), result("shots", &[], 1, pictures())],
    )
    .media;
    assert_eq!(catalogue.transcript_of(media.id).unwrap().unwrap().row, wanted);
    let segments = catalogue.segments_of(media.id).unwrap();
    assert_eq!(segments[1].row, wanted.segments[1]);
    let (of, one) = catalogue.segment(segments[1].id).unwrap().unwrap();
    assert_eq!((of, &one), (media.id, &segments[1]));
    // Ticks and base too, not only the value.
    let start = segments[1].row.span.start;
    assert_eq!((start.ticks(), start.base().num(), start.base().den()), (1, 1001, 30_000));

    let put = pictures();
    let shots = catalogue.shots_of(media.id).unwrap();
    assert_eq!(shots.iter().map(|s| s.row.clone()).collect::<Vec<_>>(), put.shots);
    let frames = catalogue.frames_of(media.id, Some("shots")).unwrap();
    assert!(catalogue.frames_of(media.id, Some("frames")).unwrap().is_empty());
    assert_eq!(frames[1].row.shot, Some(RowRef::Known(shots[1].id)));
    assert_eq!((frames[1].row.time, &frames[1].row.file), (at(15), &put.frames[1].file));
    let texts = catalogue.texts_of(media.id).unwrap();
    assert_eq!(texts[0].row.frame, RowRef::Known(frames[1].id));
    assert_eq!(texts[0].row.bounds, put.texts[0].bounds);
    let clips = catalogue.clips_of(media.id).unwrap();
    assert_eq!(clips[0].row, put.clips[0]);
    let features = catalogue.features_of(media.id).unwrap();
    assert_eq!(features.len(), 2);
    assert_eq!(features[0].owner, Owner::Frame(RowRef::Known(frames[0].id)));
    assert_eq!(features[1].owner, Owner::Media);
    let mut vectors = Vec::new();
    catalogue.each_embedding(Some("clip"), |of, row| vectors.push((of, row.row))).unwrap();
    let [(of, row)] = vectors.as_slice() else { panic!("{vectors:?}") };
    assert_eq!((*of, &row.vector), (media.id, &put.embeddings[0].vector));
    assert_eq!(row.owner, Owner::Clip(RowRef::Known(clips[0].id)));
    catalogue.each_embedding(Some("other"), |_, _| panic!("no such model")).unwrap();
    assert_eq!(catalogue.check().unwrap(), Vec::<String>::new());

    let runs = catalogue.runs_of(media.id).unwrap();
    assert_eq!(runs[0].key, runs[0].parts.key());
    assert_eq!((runs[0].wall, runs[0].started_ms), (Duration::from_micros(7), 5));
}

#[test]
fn a_replaced_result_takes_with_it_what_was_made_from_it() {
    let (_dir, catalogue) = catalogue();
    let media = store(&catalogue, "f", vec![result("shots", &[], 1, pictures())]).media.id;
    let frame = catalogue.frames_of(media, None).unwrap()[0].id;
    let embedding = EmbeddingRow {
        owner: Owner::Frame(RowRef::Known(frame)),
        model: "m".into(),
        kind: "image".into(),
        vector: vec![1.0],
    };
    let rows = Rows { embeddings: vec![embedding], ..Rows::default() };
    store(
        &catalogue,
        "f",
        vec![
            result("embed", &["shots"], 1, rows),
            result("index", &["embed"], 1, Rows::default()),
            result("audio", &[], 1, Rows::default()),
        ],
    );
    let stages = || -> Vec<String> {
        catalogue.runs_of(media).unwrap().into_iter().map(|run| run.parts.stage).collect()
    };
    let count = || {
        let mut count = 0;
        catalogue.each_embedding(Some("m"), |_, _| count += 1).unwrap();
        count
    };
    assert_eq!((stages().len(), count()), (4, 1));
    // The same key again: a repair of files. Rows stay, and what refers to them.
    let changed = store(&catalogue, "f", vec![result("shots", &[], 1, Rows::default())]);
    assert!(changed.orphans.is_empty());
    assert_eq!((stages().len(), count()), (4, 1));
    assert_eq!(catalogue.frames_of(media, None).unwrap()[0].id, frame);
    // Another key: gone are the vectors, and their own dependents.
    let changed = store(&catalogue, "f", vec![result("shots", &[], 2, pictures())]);
    assert_eq!(stages(), ["audio", "shots"]);
    assert_eq!(count(), 0);
    assert_eq!(changed.orphans, ["f/embed-0", "f/index-0"]);
    // No number is ever used again.
    assert!(catalogue.frames_of(media, None).unwrap().iter().all(|row| row.id > frame + 1));
    assert_eq!(catalogue.check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_failed_store_changes_nothing() {
    let (_dir, catalogue) = catalogue();
    let content = ContentId::of(b"f");
    let error = || Error::new(ErrorKind::Storage, Stage::Write, "no");
    let results = [result("shots", &[], 1, pictures())];
    catalogue.store(&content, "a", "f", None, &results, |_, _| Err(error())).unwrap_err();
    assert!(catalogue.all_media().unwrap().is_empty());
    // A stage that refers to a row that it did not give.
    let feature = FeatureRow { owner: Owner::Shot(RowRef::New(7)), name: "x".into(), value: 0.0 };
    let results = [result("x", &[], 1, Rows { features: vec![feature], ..Rows::default() })];
    catalogue.store(&content, "a", "f", None, &results, |_, _| Ok(vec![vec![]])).unwrap_err();
    assert!(catalogue.all_media().unwrap().is_empty());
}

#[test]
fn a_failure_is_kept_until_the_stage_succeeds() {
    let (_dir, catalogue) = catalogue();
    let media = store(&catalogue, "f", vec![result("audio", &[], 1, Rows::default())]).media.id;
    let parts = result("audio", &[], 2, Rows::default()).parts;
    for why in ["once", "twice"] {
        catalogue.store_failure(media, &parts, why).unwrap();
    }
    let runs = catalogue.runs_of(media).unwrap();
    assert_eq!(runs.len(), 2);
    assert_eq!((runs[1].done, runs[1].note.as_deref()), (false, Some("twice")));
    store(&catalogue, "f", vec![result("audio", &[], 2, Rows::default())]);
    let runs = catalogue.runs_of(media).unwrap();
    assert!(runs.len() == 1 && runs[0].done);
}

fn found(catalogue: &Catalogue, query: TextQuery) -> Vec<(String, Vec<String>)> {
    let hits = catalogue.search_text(&query).unwrap();
    hits.into_iter().map(|hit| (hit.text, hit.matched)).collect()
}

#[test]
fn words_are_found_and_told() {
    let (_dir, catalogue) = catalogue();
    let texts = ["The Café is open", "a cafe, two cafés", "résumé of the price", "nothing here"];
    store(
        &catalogue,
        "f",
        vec![result("transcript", &[], 1, spoken(&texts)), result("shots", &[], 1, pictures())],
    );
    let other = store(&catalogue, "g", vec![result("transcript", &[], 1, spoken(&["the café"]))]);
    let any = |text: &str| found(&catalogue, TextQuery::any(text));
    let hits = any("CAFÉ open");
    assert_eq!(hits[0], ("The Café is open".into(), vec!["Café".into(), "open".into()]));
    assert_eq!(hits.len(), 4, "{hits:?}");
    assert_eq!(any("resume")[0].1, ["résumé"]);
    let query = TextQuery { matching: TextMatch::All, ..TextQuery::any("café open") };
    assert_eq!(found(&catalogue, query).len(), 1);
    let phrase = |text: &str| {
        let query = TextQuery { matching: TextMatch::Phrase, ..TextQuery::any(text) };
        found(&catalogue, query).len()
    };
    assert_eq!((phrase("of the price"), phrase("price of the")), (1, 0));
    let query = TextQuery { prefix: true, ..TextQuery::any("noth") };
    assert_eq!(found(&catalogue, query)[0].1, ["nothing"]);
    let query = TextQuery { scope: Scope::films([other.media.id]), ..TextQuery::any("café") };
    assert_eq!(found(&catalogue, query), [("the café".into(), vec!["café".into()])]);
    let query = TextQuery { kinds: vec![TextHitKind::FrameText], ..TextQuery::any("price") };
    let hits = catalogue.search_text(&query).unwrap();
    assert!(hits.len() == 1 && hits[0].frame.is_some() && hits[0].score > 0.0, "{hits:?}");
    let query = TextQuery { limit: NonZeroU32::MIN, ..TextQuery::any("the") };
    assert_eq!(found(&catalogue, query).len(), 1);
    // What is removed is not found.
    catalogue.remove_media(other.media.id).unwrap();
    assert_eq!(any("café").len(), 3);
    assert_eq!(catalogue.check().unwrap(), Vec::<String>::new());
}

#[test]
fn words_without_spaces_between_them_are_found() {
    let (_dir, catalogue) = catalogue();
    let texts =
        ["今天我们讨论机器学习的应用", "東京タワーに行きました", "학교에 갔습니다", "GPU加速 test"];
    store(&catalogue, "f", vec![result("transcript", &[], 1, spoken(&texts))]);
    let any = |text: &str| found(&catalogue, TextQuery::any(text));
    for (asked, text, word) in [
        ("机器", 0, "机器"),
        ("机器翻译", 0, "机器"),
        ("タワー", 1, "タワー"),
        ("京", 1, "京"),
        ("학교", 2, "학교"),
        ("加速", 3, "加速"),
        ("gpu", 3, "GPU"),
    ] {
        assert_eq!(any(asked), [(texts[text].into(), vec![word.into()])], "{asked}");
    }
    let matching = |matching, text: &str| {
        found(&catalogue, TextQuery { matching, ..TextQuery::any(text) }).len()
    };
    assert_eq!(matching(TextMatch::All, "学习 讨论"), 1);
    assert_eq!(matching(TextMatch::All, "学习 翻译"), 0);
    assert_eq!(matching(TextMatch::Phrase, "讨论机器学习"), 1);
    assert_eq!(matching(TextMatch::Phrase, "学习机器"), 0);
    assert!(any("器机").is_empty());
    assert_eq!(catalogue.check().unwrap(), Vec::<String>::new());
}

#[test]
fn nothing_that_is_typed_breaks_the_search() {
    let (_dir, catalogue) = catalogue();
    store(&catalogue, "f", vec![result("transcript", &[], 1, spoken(&["near and not or text"]))]);
    let long = "x".repeat(10_000);
    let many = "near \" ".repeat(5_000);
    let hostile = [
        "\"",
        "\"\"",
        "*",
        "a*",
        "NEAR(",
        "NEAR(a b, 2)",
        "AND",
        "OR NOT",
        "near AND",
        "text:near",
        "{text}: near",
        "-near",
        "^near",
        "near + text",
        "(near",
        "near)",
        "🎬",
        "🎬 near",
        "\0",
        "ne\0ar",
        "' OR 1=1 --",
        "\u{202e}near",
        "%",
        "_",
        "near\"; DROP TABLE media; --",
        "",
        "\u{feff}",
        "a\u{301}",
        "机\"器*",
        "\u{2063}学",
        long.as_str(),
        many.as_str(),
    ];
    for text in hostile {
        for matching in [TextMatch::Any, TextMatch::All, TextMatch::Phrase] {
            for prefix in [false, true] {
                let query = TextQuery { matching, prefix, ..TextQuery::any(text) };
                catalogue.search_text(&query).unwrap_or_else(|e| panic!("{text:?}: {e}"));
            }
        }
    }
    for text in ["🎬 near", "NEAR(", "\"near", "near*", "-near", many.as_str()] {
        assert_eq!(found(&catalogue, TextQuery::any(text)).len(), 1, "{text:?}");
    }
}

#[test]
fn an_index_out_of_step_is_made_anew() {
    let (_dir, catalogue) = catalogue();
    store(&catalogue, "f", vec![result("transcript", &[], 1, spoken(&["best of times"]))]);
    let harm = "INSERT INTO segments_fts (segments_fts) VALUES ('delete-all')";
    catalogue.write(|db| db.execute_batch(harm)).unwrap();
    assert!(found(&catalogue, TextQuery::any("times")).is_empty());
    assert_eq!(catalogue.check().unwrap().len(), 1);
    assert_eq!(found(&catalogue, TextQuery::any("times")).len(), 1);
    assert!(catalogue.check().unwrap().is_empty());
}

#[test]
fn a_file_is_believed_only_where_a_change_would_show() {
    let (_dir, catalogue) = catalogue();
    let media = store(&catalogue, "f", vec![result("audio", &[], 1, Rows::default())]).media;
    let second = 1_000_000_000;
    let stamp =
        FileStamp { dev: u64::MAX, inode: 7, bytes: 9, mtime_ns: -5, ctime_ns: 100 * second };
    let mut seen = SeenPath { path: "/x/a.mp4".into(), stamp, hashed_ns: 101 * second };
    catalogue.see(media.id, &seen).unwrap();
    assert!(catalogue.by_stamp(&stamp).unwrap().is_none(), "it had just been written");
    seen.hashed_ns = 103 * second;
    catalogue.see(media.id, &seen).unwrap();
    assert_eq!(catalogue.by_stamp(&stamp).unwrap().as_ref(), Some(&media));
    assert_eq!(catalogue.paths_of(media.id).unwrap(), [seen]);
    for other in [
        FileStamp { dev: 1, ..stamp },
        FileStamp { inode: 8, ..stamp },
        FileStamp { bytes: 8, ..stamp },
        FileStamp { mtime_ns: -6, ..stamp },
        FileStamp { ctime_ns: 100 * second + 1, ..stamp },
    ] {
        assert!(catalogue.by_stamp(&other).unwrap().is_none());
    }
}

#[test]
fn two_processes_take_turns() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Catalogue::open(dir.path()).unwrap();
    let (a, b) = (open(), open());
    std::thread::scope(|scope| {
        for (catalogue, film) in [(&a, "f"), (&b, "g")] {
            scope.spawn(move || {
                for n in 0..20 {
                    store(catalogue, film, vec![result("shots", &[], n, pictures())]);
                }
            });
        }
    });
    assert_eq!(a.all_media().unwrap().len(), 2);
    assert_eq!(b.check().unwrap(), Vec::<String>::new());
}
