//! Every feature against a value that is known.

use super::super::features::FEATURES;
use super::super::film::{FilmData, Line, ShotLook};
use super::*;
use crate::insight::passage::Passage;
use crate::insight::sentences::sentences;
use crate::library::catalogue::insight::{
    ChapterRow, ConceptRow, InsightRows, KeywordRow, PatternPart, PatternRow,
};
use std::collections::HashMap;

fn ms(n: i64) -> Timestamp {
    Timestamp::from_millis(n)
}

fn span(a: i64, b: i64) -> Span {
    Span::new(ms(a), ms(b)).unwrap()
}

/// A window with nothing special.
const PLAIN: Window = Window {
    rms: -20.0,
    peak: -10.0,
    loudness: -23.0,
    pitch: 0.0,
    periodicity: 0.0,
    centroid: 1000.0,
    flatness: 0.5,
    modulation: 10.0,
};

/// A film of 20 s. From 10 s on: ten words, each 400 ms every 500 ms, in two sentences, with a pause of 2 s
/// between them.
fn film() -> FilmData {
    let mut passage = Passage::new(Source::Said, "en");
    let early = ["Something", "else", "entirely."];
    for (n, word) in early.iter().enumerate() {
        let at = n as i64 * 500;
        passage.push(word, span(at, at + 400), 0.5, 1, true);
    }
    let words = ["Um", "do", "you", "love", "it?", "I", "hate", "every", "bad", "table!"];
    for (n, word) in words.iter().enumerate() {
        let at = 10_500 + n as i64 * 500 + if n >= 5 { 1900 } else { 0 };
        let row = if n < 5 { 2 } else { 3 };
        passage.push(word, span(at, at + 400), if n == 4 { 0.4 } else { 0.9 }, row, true);
    }
    let passages = vec![passage];
    let vectors = HashMap::from([
        (1, vec![1.0, 0.0, 0.0]),
        (2, vec![0.0, 1.0, 0.0]),
        (3, vec![0.0, 0.6, 0.8]),
    ]);
    let sentences = sentences(&passages, &vectors, stopwords);
    assert_eq!(sentences.len(), 3);
    let keyword = |seen, category: &str, weight| KeywordRow {
        span: span(11_000, 11_400),
        seen,
        term: "t".into(),
        category: category.into(),
        dictionary: "d".into(),
        found: "t".into(),
        how: "exact".into(),
        weight,
    };
    let concept = |kind: &str| ConceptRow {
        kind: kind.into(),
        text: "x".into(),
        value: None,
        span: span(12_000, 12_100),
        score: 1.0,
        seen: None,
    };
    let pattern = |rule: &str, kind: &str, at: i64, parts: &[i64]| PatternRow {
        rule: rule.into(),
        kind: kind.into(),
        span: span(at, at + 100),
        parts: parts
            .iter()
            .map(|at| PatternPart { span: span(*at, at + 100), text: "x".into() })
            .collect(),
    };
    let insight = InsightRows {
        keywords: vec![
            keyword(SeenIn::Segment(2), "risk", 1.5),
            keyword(SeenIn::Segment(2), "order-types", 0.5),
            keyword(SeenIn::Text(1), "risk", 9.0),
        ],
        concepts: vec![concept("money"), concept("phrase"), concept("phrase"), concept("topic")],
        chapters: vec![
            ChapterRow { span: span(0, 12_000), title: "a".into(), about: String::new() },
            ChapterRow { span: span(12_000, 20_000), title: "b".into(), about: String::new() },
        ],
        patterns: vec![
            pattern("call-to-action", "mention", 12_000, &[12_000]),
            pattern("question-and-answer", "answer", 11_000, &[11_000, 15_000]),
            pattern("repeated-claim", "repeat", 100, &[100, 15_000]),
        ],
    };
    let look = |values: &[(&str, f64)]| values.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect();
    let shots = vec![
        ShotLook {
            span: span(0, 12_500),
            values: look(&[
                ("motion", 0.1),
                ("brightness", 0.2),
                ("contrast", 0.3),
                ("colourfulness", 10.0),
                ("sharpness", 100.0),
            ]),
        },
        ShotLook {
            span: span(12_500, 20_000),
            values: look(&[
                ("motion", 0.5),
                ("brightness", 0.6),
                ("contrast", 0.7),
                ("colourfulness", 50.0),
                ("sharpness", 500.0),
            ]),
        },
    ];
    let lines = vec![
        Line { span: span(15_000, 30_000), text: "0123456789".into(), area: 0.1 },
        Line { span: span(0, 5000), text: "unseen".into(), area: 1.0 },
    ];
    // 10 to 15 s: a voice of 100 Hz; then music at 200 Hz, 3 dB lower; two windows of silence at the end.
    let mut sound = vec![Window { loudness: -33.0, ..PLAIN }; 40];
    sound.extend([Window { pitch: 100.0, periodicity: 0.9, ..PLAIN }; 20]);
    let music = Window {
        rms: -23.0,
        loudness: -26.0,
        pitch: 200.0,
        periodicity: 0.9,
        flatness: 0.1,
        modulation: 2.0,
        centroid: 3000.0,
        peak: -5.0,
    };
    sound.extend([music; 18]);
    sound.extend([Window { rms: -100.0, loudness: -100.0, peak: -100.0, ..PLAIN }; 2]);
    FilmData { length: ms(20_000), passages, sentences, insight, shots, lines, sound }
}

fn near(values: &BTreeMap<String, f64>, name: &str, wanted: f64) {
    let value = values.get(name).unwrap_or_else(|| panic!("no {name}"));
    assert!((value - wanted).abs() < 1e-3 * wanted.abs().max(1.0), "{name}: {value}, not {wanted}");
}

#[test]
fn every_feature_has_the_value_that_is_known() {
    let film = film();
    let meter = Meter::new(&film).unwrap();
    let made = meter.measure(span(10_000, 20_000));
    let db = |power: f64| 10.0 * power.log10();
    // Powers of 20 windows at -23 and 18 at -26 LUFS.
    let loudness = db((20.0 * 10_f64.powf(-2.3) + 18.0 * 10_f64.powf(-2.6)) / 38.0);
    let whole =
        db((40.0 * 10_f64.powf(-3.3) + 20.0 * 10_f64.powf(-2.3) + 18.0 * 10_f64.powf(-2.6)) / 78.0);
    let level = db((20.0 * 10_f64.powf(-2.0) + 18.0 * 10_f64.powf(-2.3)) / 40.0);
    // love 2; hate -2 and bad -1.5, without degree or negation.
    let press = |sum: f64| sum / (sum * sum + 15.0).sqrt();
    let third = (0.0_f64, 1.6_f64, 0.8_f64);
    let length = (third.1 * third.1 + third.2 * third.2).sqrt();
    let own = [0.0, third.1 / length, third.2 / length];
    let all = (1.0_f64 + 1.6 * 1.6 + 0.8 * 0.8).sqrt();
    let known = [
        ("duration", 10.0),
        ("position", 0.75),
        ("starts_sentence", 1.0),
        ("ends_sentence", 1.0),
        ("starts_chapter", 1.0),
        ("words", 10.0),
        ("speech_rate", 60.0),
        ("articulation_rate", 150.0),
        ("speech_share", 0.4),
        ("pauses", 1.0),
        ("longest_pause", 2.0),
        ("mean_pause", 2.0),
        ("first_word", 0.5),
        ("sentences", 2.0),
        ("sentence_words", 5.0),
        ("different_words", 1.0),
        // um do you love it i hate every bad table
        ("word_letters", 3.1),
        // um do you it i every
        ("stop_words", 0.6),
        ("fillers", 0.1),
        ("confidence", 0.85),
        ("confidence_least", 0.4),
        ("questions", 0.5),
        ("exclamations", 0.5),
        ("you", 0.1),
        ("i", 0.1),
        ("numbers", 10.0),
        ("sentiment", press(-1.5)),
        ("sentiment_strength", 5.5 / 30.0),
        ("sentiment_change", press(-3.5) - press(2.0)),
        ("loudness", loudness),
        ("loudness_range", 3.0),
        ("loudness_relative", loudness - whole),
        ("peak", -5.0),
        ("crest", -5.0 - level),
        ("energy_change", db(18.0 * 10_f64.powf(-2.3) / 20.0) + 20.0),
        ("opening_loudness", -23.0 - loudness),
        ("silence_share", 0.05),
        ("pitch", 100.0),
        ("pitch_range", 12.0),
        ("voiced_share", 0.95),
        ("tone", (20.0 * 1000.0 + 18.0 * 3000.0) / 38.0),
        ("noisiness", (20.0 * 0.5 + 18.0 * 0.1) / 38.0),
        ("modulation", (20.0 * 10.0 + 18.0 * 2.0) / 38.0),
        // From 17.3 s on nobody speaks: windows 70 to 77.
        ("music_share", 8.0 / 40.0),
        ("keywords", 20.0),
        ("keyword_categories", 2.0),
        ("keywords_written", 1.0),
        ("keywords:risk", 15.0),
        ("keywords:order-types", 5.0),
        ("key_phrases", 20.0),
        ("patterns", 2.0),
        ("calls_to_action", 1.0),
        ("answers", 1.0),
        ("repeated_claims", 1.0),
        ("novelty", 1.0),
        ("centrality", (own[1] * 1.6 + own[2] * 0.8) / all),
        ("coherence", 0.6),
        ("shots", 2.0),
        ("shot_rate", 6.0),
        ("longest_shot", 7.5),
        ("motion", 0.1 * 0.25 + 0.5 * 0.75),
        ("brightness", 0.2 * 0.25 + 0.6 * 0.75),
        ("contrast", 0.3 * 0.25 + 0.7 * 0.75),
        ("colourfulness", 10.0 * 0.25 + 50.0 * 0.75),
        ("sharpness", 100.0 * 0.25 + 500.0 * 0.75),
        ("text_lines", 1.0),
        ("text_letters", 1.0),
        ("text_area", 0.05),
    ];
    for (name, wanted) in known {
        near(&made.values, name, wanted);
    }
    // No feature without a test, and none without an entry in the list.
    let tested: BTreeSet<&str> = known.iter().map(|(name, _)| *name).collect();
    for feature in FEATURES {
        assert!(tested.contains(feature.name), "{} is not tested", feature.name);
    }
    for name in made.values.keys().filter(|name| !name.starts_with("keywords:")) {
        assert!(FEATURES.iter().any(|f| f.name == name), "{name} is not in the list");
    }
    assert_eq!(made.text, "Um do you love it? I hate every bad table!");
}

#[test]
fn what_cannot_be_told_is_not_there() {
    let silent = FilmData {
        length: ms(5000),
        passages: Vec::new(),
        sentences: Vec::new(),
        insight: InsightRows::default(),
        shots: Vec::new(),
        lines: Vec::new(),
        sound: Vec::new(),
    };
    let meter = Meter::new(&silent).unwrap();
    let values = meter.measure(span(0, 5000)).values;
    for name in ["speech_rate", "loudness", "centrality", "shots", "keywords", "confidence"] {
        assert!(!values.contains_key(name), "{name}");
    }
    near(&values, "duration", 5.0);
    assert!(meter.measure(span(5, 5)).values.is_empty());
    // Beyond the film.
    let full = film();
    let beyond = Meter::new(&full).unwrap().measure(span(50_000, 60_000)).values;
    assert!(!beyond.contains_key("loudness") && beyond["words"] == 0.0);
}
