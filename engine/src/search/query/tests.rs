use super::*;
use crate::embed::{EmbedModels, EmbedOptions, JointModel};
use crate::error::ErrorKind;
use crate::library::catalogue::StageResult;
use crate::library::catalogue::rows::{
    EmbeddingRow, FrameRow, FrameTextRow, Owner, RowRef, Rows, SegmentRow, ShotRow, TranscriptRow,
    WordRow,
};
use crate::library::{ContentId, KeyParts, Library};
use serde_json::json;
use std::time::Duration;

fn ms(n: i64) -> Timestamp {
    Timestamp::from_millis(n)
}

fn span(a: i64, b: i64) -> Span {
    Span { start: ms(a), end: ms(b) }
}

/// A sentence from `at` on, a word every half second that lasts 400 ms.
fn segment(at: i64, text: &str, language: &str) -> SegmentRow {
    let words: Vec<WordRow> = text
        .split(' ')
        .zip(0..)
        .map(|(word, n)| WordRow {
            span: span(at + n * 500, at + n * 500 + 400),
            text: word.into(),
            probability: 1.0,
            spaced: true,
        })
        .collect();
    SegmentRow {
        span: Span { start: words[0].span.start, end: words[words.len() - 1].span.end },
        text: text.into(),
        language: language.into(),
        language_probability: None,
        avg_logprob: -0.2,
        no_speech_prob: 0.0,
        doubt: None,
        words,
    }
}

struct World {
    _dir: tempfile::TempDir,
    library: Library,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::at(dir.path());
        Self { _dir: dir, library }
    }

    fn store(&self, film: &str, stage: &str, rows: Rows) -> i64 {
        let catalogue = self.library.make_catalogue().unwrap();
        let content = ContentId::of(film.as_bytes());
        let result = StageResult {
            parts: KeyParts::new(stage, 1, &content, json!(null)),
            started_ms: 0,
            wall: Duration::ZERO,
            note: None,
            summary: json!(null),
            rows,
            replace: false,
        };
        catalogue.store(&content, film, film, None, &[result], |_, _| Ok(vec![vec![]])).unwrap();
        catalogue.by_content(&content).unwrap().unwrap().id
    }

    /// A film in which this is said, mostly in `language`.
    fn says(&self, film: &str, language: &str, segments: Vec<SegmentRow>) -> i64 {
        let transcript = TranscriptRow {
            language: language.into(),
            language_probability: 1.0,
            translated: false,
            model: "m".into(),
            engine: "none".into(),
            coverage: 1.0,
            segments,
        };
        self.store(film, "transcript", Rows { transcript: Some(transcript), ..Rows::default() })
    }

    fn ask(&self, query: &SearchQuery) -> Vec<Hit> {
        let catalogue = self.library.make_catalogue().unwrap();
        search(&catalogue, None, query, &Cancel::new()).unwrap().hits
    }
}

fn query(text: &str, limit: usize) -> SearchQuery {
    SearchQuery { limit: NonZeroUsize::new(limit).unwrap(), ..SearchQuery::new(text) }
}

/// A talk of 1200 sentences about the price, every 60th in German, ten seconds apart.
fn talk() -> Vec<SegmentRow> {
    let said = |n: i64| {
        let (text, language) = if n % 60 == 0 {
            ("der price betrug damals", "de")
        } else {
            ("the price was then", "en")
        };
        segment(n * 10_000, &format!("{text} {n}"), language)
    };
    (0..1200).map(said).collect()
}

#[test]
fn as_many_are_found_as_there_are_whatever_is_left_out() {
    let world = World::new();
    let long = world.says("long", "en", talk());
    let short = world.says("short", "de", vec![segment(0, "kein price mehr", "de")]);
    let language = |code: &str| Scope { language: Some(code.into()), ..Scope::default() };
    let late = Scope { from: Some(ms(11_390_000)), to: Some(ms(11_490_000)), ..Scope::default() };
    for (scope, limit, found) in [
        (Scope::default(), 300, 300),
        (language("de"), 30, 21),
        (language("fr"), 30, 0),
        (late.clone(), 30, 10),
        (Scope { language: Some("de".into()), ..late }, 30, 1),
        (Scope::films([short]), 30, 1),
        (Scope::films([]), 30, 0),
    ] {
        let hits = world.ask(&SearchQuery { scope: scope.clone(), ..query("price", limit) });
        assert_eq!(hits.len(), found, "{scope:?}");
        assert!(hits.is_sorted_by(|a, b| a.score >= b.score));
    }
    // Tags are films; those that nothing has, none.
    let catalogue = world.library.make_catalogue().unwrap();
    let tag = |text: &str| Tag::parse(text).unwrap();
    catalogue.change_tags(short, &[tag("draft"), tag("german")], &[]).unwrap();
    catalogue.change_tags(long, &[tag("draft")], &[]).unwrap();
    for (tags, scope, found) in [
        (vec![tag("german"), tag("draft")], Scope::default(), 1),
        (vec![tag("draft")], Scope::films([long]), 5),
        (vec![tag("german")], Scope::films([long]), 0),
        (vec![tag("nobody")], Scope::default(), 0),
    ] {
        let asked = SearchQuery { tags: tags.clone(), scope, ..query("price", 5) };
        assert_eq!(world.ask(&asked).len(), found, "{tags:?}");
    }
}

#[test]
fn hits_begin_and_end_at_words_and_shots() {
    let world = World::new();
    let said = vec![
        segment(1000, "It was the best of times.", "en"),
        segment(9000, "Nothing else is said here.", "en"),
    ];
    let film = world.says("film", "en", said);
    let shot = |a, b| ShotRow { span: span(a, b), transition: "cut".into(), confidence: 1.0 };
    world.store(
        "film",
        "shots",
        Rows { shots: vec![shot(0, 800), shot(800, 8000), shot(8000, 20_000)], ..Rows::default() },
    );
    let hits = world.ask(&query("best", 10));
    // The shot's edge before the first word, a breath behind the last.
    assert_eq!((hits.len(), hits[0].media), (1, film));
    assert_eq!(hits[0].span, span(800, 4050));
    // A time in the sentence: what is found is cut, and then made whole again.
    let scope = Scope { from: Some(ms(2000)), to: Some(ms(2300)), ..Scope::default() };
    let hits = world.ask(&SearchQuery { scope, ..query("best", 10) });
    assert_eq!(hits[0].span, span(800, 4050));
}

#[test]
fn the_same_in_two_films_is_one_hit() {
    let world = World::new();
    let (a, b) = ("We cut the price to thirty dollars a month.", "The price is what you pay.");
    let first = world.says("first", "en", vec![segment(5000, a, "en"), segment(60_000, b, "en")]);
    let copy = world.says("copy", "en", vec![segment(1000, a, "en")]);
    let other = world.says("other", "en", vec![segment(0, "Their price is another thing", "en")]);
    let hits = world.ask(&query("price", 10));
    let told: Vec<_> = hits.iter().map(|hit| (hit.media, hit.also.len())).collect();
    assert_eq!(hits.len(), 3, "{told:?}");
    let twice = hits.iter().find(|hit| !hit.also.is_empty()).unwrap();
    assert_eq!((twice.media, twice.also[0].media), (first, copy));
    assert_eq!((twice.also[0].name.as_str(), twice.also[0].span.start), ("copy", ms(850)));
    assert!(hits.iter().any(|hit| hit.media == other));
    // It takes no other's place.
    assert_eq!(world.ask(&query("price", 2)).len(), 2);
}

/// The tiny CLIP of `fixtures/golden/embed`: its weights are random, but they are weights.
fn clip() -> Embedders {
    let folder = rushes_fixtures::workspace().join("fixtures/golden/embed/clip");
    let joint = JointModel {
        name: "clip".into(),
        digest: "0123456789abcdef".into(),
        weights: folder.join("model.safetensors"),
        tokenizer: folder.join("tokenizer.json"),
        config: folder.join("config.json"),
    };
    let models = EmbedModels { joint: Some(joint), ..EmbedModels::default() };
    Embedders::new(models, EmbedOptions::default())
}

fn painted(n: u8) -> RgbImage {
    RgbImage::from_fn(64, 36, |x, y| image::Rgb([n * 40, (x * 3) as u8, (y as u8) * n]))
}

/// A film of five pictures, each shown for ten seconds of twenty, with something written in the third.
fn shows(world: &World, film: &str, embedders: &Embedders) -> i64 {
    let frame = |n: i64| FrameRow {
        time: ms(n * 20_000 + 5000),
        wanted: None,
        pts: n,
        key: true,
        width: 64,
        height: 36,
        file: Some(format!("shots/{n}.jpg")),
        shot: None,
        span: Some(span(n * 20_000, n * 20_000 + 10_000)),
    };
    let rows = Rows { frames: (0..5).map(frame).collect(), ..Rows::default() };
    let media = world.store(film, "features", rows);
    let catalogue = world.library.make_catalogue().unwrap();
    let frames = catalogue.frames_of(media, None).unwrap();
    let (_, image) = embedders.joint().unwrap();
    let pictures: Vec<RgbImage> = (0..5).map(painted).collect();
    let pictures: Vec<&RgbImage> = pictures.iter().collect();
    let made = image.embed_images(&pictures, &Cancel::new()).unwrap();
    let embeddings = frames.iter().zip(made).map(|(frame, made)| EmbeddingRow {
        owner: Owner::Frame(RowRef::Known(frame.id)),
        model: made.model().as_str().into(),
        kind: "joint".into(),
        vector: made.into_vector(),
    });
    let rows = Rows { embeddings: embeddings.collect(), ..Rows::default() };
    world.store(film, "joint", rows);
    let text = FrameTextRow {
        frame: RowRef::Known(frames[2].id),
        text: "PRICE LIST".into(),
        confidence: 0.9,
        bounds: [0.0; 4],
        span: None,
    };
    world.store(film, "ocr", Rows { texts: vec![text], ..Rows::default() });
    media
}

#[test]
fn pictures_are_found_by_words_and_by_pictures_of_a_joint_model() {
    let (world, embedders) = (World::new(), clip());
    let film = shows(&world, "film", &embedders);
    let catalogue = world.library.make_catalogue().unwrap();
    let ask = |query: &SearchQuery| search(&catalogue, Some(&embedders), query, &Cancel::new());
    let answer = ask(&query("a red thing", 10)).unwrap();
    assert_eq!(answer.hits.len(), 5);
    assert!(answer.hits.iter().all(|hit| matches!(hit.why[..], [Reason::Looks { .. }])));
    // In the order of the model itself.
    let (text, image) = embedders.joint().unwrap();
    let asked = text.embed_texts(&["a red thing"], &Cancel::new()).unwrap().remove(0).embedding;
    let likeness = |n: u8| {
        let made = image.embed_images(&[&painted(n)], &Cancel::new()).unwrap().remove(0);
        made.cosine(&asked).unwrap()
    };
    let best = (0..5).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).unwrap();
    assert_eq!(answer.hits[0].span.start, ms(i64::from(best) * 20_000));

    let answer = ask(&SearchQuery::of(Asked::Picture(painted(3)))).unwrap();
    assert_eq!(answer.hits[0].span, span(60_000, 70_000));
    assert!(matches!(answer.hits[0].why[0], Reason::Looks { likeness, .. } if likeness > 0.999));
    let like = SearchQuery::of(Asked::Moment { media: film, time: ms(65_000) });
    let answer = ask(&like).unwrap();
    assert!(answer.hits.len() == 4 && answer.hits.iter().all(|hit| hit.span.start != ms(60_000)));

    // What is written, and what is shown in a part of the film.
    let ways = |ways: &[Way]| SearchQuery { ways: ways.to_vec(), ..query("price", 10) };
    let written = ask(&ways(&[Way::Written])).unwrap().hits;
    assert_eq!((written.len(), written[0].span), (1, span(40_000, 50_000)));
    assert!(ask(&ways(&[Way::Said, Way::Meant])).unwrap().hits.is_empty());
    assert_eq!(ask(&ways(&[Way::Shown])).unwrap().hits.len(), 5);
    let scope = Scope { from: Some(ms(35_000)), to: Some(ms(45_000)), ..Scope::default() };
    let inside = ask(&SearchQuery { scope, ..ways(&[Way::Shown, Way::Written]) }).unwrap().hits;
    assert_eq!((inside.len(), inside[0].why.len()), (1, 2), "{inside:?}");
    assert_eq!(inside[0].span, span(40_000, 45_000));
    // Nobody speaks in it: it is in no language.
    let scope = Scope { language: Some("en".into()), ..Scope::default() };
    assert!(ask(&SearchQuery { scope, ..query("price", 10) }).unwrap().hits.is_empty());
}

#[test]
fn a_model_that_has_not_looked_says_so() {
    let (world, embedders) = (World::new(), clip());
    world.says("film", "en", vec![segment(0, "the price", "en")]);
    let catalogue = world.library.make_catalogue().unwrap();
    let ask = |query: &SearchQuery| search(&catalogue, Some(&embedders), query, &Cancel::new());
    let answer = ask(&query("price", 10)).unwrap();
    assert_eq!(answer.hits.len(), 1);
    assert!(answer.notes.iter().any(|note| note.contains("clip has not looked")), "{answer:?}");
    let answer = ask(&SearchQuery::of(Asked::Picture(painted(1)))).unwrap();
    assert!(answer.hits.is_empty() && answer.notes.len() == 1, "{answer:?}");
    let none =
        search(&catalogue, None, &SearchQuery::of(Asked::Picture(painted(1))), &Cancel::new());
    assert_eq!(none.unwrap_err().kind(), ErrorKind::Model);
    assert_eq!(ask(&query("?!", 10)).unwrap_err().kind(), ErrorKind::Input);
}
