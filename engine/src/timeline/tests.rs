//! Specs: the published schema and page, faults, layout, variables, and other programs' files.

use super::*;
use crate::time::Timestamp;
use proptest::prelude::*;
use serde_json::json;

fn facts() -> Facts {
    let film = AssetFacts {
        pictures: Some(Timestamp::from_secs(100)),
        sound: Some(Timestamp::from_secs(100)),
        ..AssetFacts::default()
    };
    let music = AssetFacts { sound: Some(Timestamp::from_secs(100)), ..AssetFacts::default() };
    let logo = AssetFacts { still: true, ..AssetFacts::default() };
    let films = ["talk", "a", "opening", "best"].map(|name| (name, film.clone()));
    let others = [("music", music), ("logo", logo)];
    films.into_iter().chain(others).map(|(name, facts)| (name.to_owned(), facts)).collect()
}

fn with_items(items: &str) -> String {
    format!(
        "{{ rushes: 1, canvas: {{ size: '320x180', rate: 25 }}, assets: {{ a: {{ file: 'a.mp4' }} }},
            video: [{{ items: [{items}] }}] }}"
    )
}

fn pointers(faults: &Faults) -> Vec<&str> {
    faults.0.iter().map(|fault| fault.pointer.as_str()).collect()
}

/// Run with `RUSHES_WRITE_SCHEMA=1` in the environment of the test to write it.
#[test]
fn the_published_schema_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema/timeline.schema.json");
    let schema = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("RUSHES_WRITE_SCHEMA").is_some() {
        std::fs::write(path, &schema).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), schema, "set RUSHES_WRITE_SCHEMA=1");
}

/// The fenced blocks of the page: what stands behind the three ticks, and the text.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let mut blocks = Vec::new();
    let mut rest = page;
    while let Some((_, behind)) = rest.split_once("\n```") {
        let (kind, behind) = behind.split_once('\n').unwrap();
        let (text, behind) = behind.split_once("\n```").unwrap();
        blocks.push((kind, text));
        rest = behind;
    }
    blocks
}

#[test]
fn the_page_is_right() {
    let page = include_str!("../../../docs/timeline.md");
    let blocks = blocks(page);
    let mut right = 0;
    let mut faults = String::new();
    for (kind, text) in blocks {
        match kind {
            "json5" => {
                let timeline = Timeline::parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
                timeline.layout(&facts()).unwrap_or_else(|e| panic!("{e}\n{text}"));
                right += 1;
            }
            "json5 wrong" => {
                let found = Timeline::parse(text).unwrap_err();
                faults = found.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            }
            "text" => assert_eq!(faults, text),
            other => panic!("a block of kind {other}"),
        }
    }
    assert!(right >= 5 && !faults.is_empty());
}

#[test]
fn all_faults_are_told_together() {
    let text = "{ rushes: 2, kanvas: 1, canvas: { size: '321x180', rate: 0 },
        assets: { x: {}, y: { file: 'y', image: 'y' } },
        video: [{ items: [{ asset: 1 }, { length: '1s' }, 5] }], outputs: [{ file: 'a.txt' }] }";
    let faults = Timeline::parse(text).unwrap_err();
    let told = pointers(&faults);
    for wanted in
        ["/kanvas", "/canvas/size", "/canvas/rate", "/video/0/items/0/asset", "/video/0/items/2"]
    {
        assert!(told.contains(&wanted), "{wanted} in {told:?}");
    }
    // With its shape right, what it means is looked at: again all at once.
    let text = "{ rushes: 2, canvas: { size: '320x180', rate: 25 },
        assets: { x: {}, y: { file: 'y', image: 'y' } },
        video: [{ items: [{ asset: 'z' }, { length: '1s' }, { colour: 'black', from: '1s' },
          { asset: 'y', at: '1s', after: '1s', to: '1s', length: '1s', speed: 0, opacity: 2,
            crop: { left: 0.6, right: 0.6 }, enter: { kind: 'dissolve', length: '0s' } }] }],
        outputs: [{ file: 'a.txt' }, { file: 'b.mp4', video: { crf: 70, bitrate: 1 } }, { file: 'b.mp4' }] }";
    let faults = Timeline::parse(text).unwrap_err();
    let told = pointers(&faults);
    for wanted in [
        "/rushes",
        "/assets/x",
        "/assets/y",
        "/video/0/items/0/asset",
        "/video/0/items/1",
        "/video/0/items/2",
        "/video/0/items/2/from",
        "/video/0/items/3",
        "/video/0/items/3/speed",
        "/video/0/items/3/opacity",
        "/video/0/items/3/crop",
        "/video/0/items/3/enter/length",
        "/outputs/0/file",
        "/outputs/1/video",
        "/outputs/1/video/crf",
        "/outputs/1/video/bitrate",
        "/outputs/2/file",
    ] {
        assert!(told.contains(&wanted), "{wanted} in {told:?}");
    }
}

#[test]
fn layout_is_exact() {
    let text = with_items(
        "{ asset: 'a', from: '10f', to: '20f' }, { asset: 'a', from: '1s', to: '2s', speed: 2 },
         { colour: 'black', length: '1s', after: '5f' },
         { asset: 'a', from: '2s', length: '2s', enter: { kind: 'dissolve', length: '10f' } },
         { asset: 'a', from: '3s', freeze: true, length: '3f' }",
    );
    let layout = Timeline::parse(&text).unwrap().layout(&facts()).unwrap();
    let spans: Vec<_> = layout.video[0].iter().map(|clip| (clip.start, clip.end)).collect();
    // 12.5 frames of the second are rounded where they end, not added up
    assert_eq!(spans, [(0, 10), (10, 23), (28, 53), (43, 93), (93, 96)]);
    assert_eq!((layout.frames, layout.samples), (96, 96 * 1920));
    let rate = Rate::PAL;
    let clip = &layout.video[0][1];
    assert_eq!(clip.source_time(11, rate), Timestamp::from_millis(1080));
    // The freeze is silent, the dissolve fades both sides.
    let sound: Vec<_> =
        layout.sound.iter().map(|s| (s.start / 1920, s.end / 1920, s.fade_in / 1920)).collect();
    assert_eq!(sound, [(0, 10, 0), (10, 23, 0), (43, 93, 10)]);
}

#[test]
fn what_does_not_fit_is_told() {
    let told = |items: &str| {
        let timeline = Timeline::parse(&with_items(items)).unwrap_or_else(|e| panic!("{e}"));
        let faults = timeline.layout(&facts()).unwrap_err();
        pointers(&faults).join(" ")
    };
    assert_eq!(told("{ asset: 'a', to: '101s' }"), "/video/0/items/0/to");
    assert_eq!(told("{ asset: 'a', from: '100s' }"), "/video/0/items/0/from");
    assert_eq!(told("{ asset: 'a', from: '99s', length: '2s' }"), "/video/0/items/0/length");
    assert_eq!(told("{ asset: 'a', from: '5s', to: '5s' }"), "/video/0/items/0/to");
    assert_eq!(
        told("{ asset: 'a', to: '1s' }, { asset: 'a', to: '1s', at: '500ms' }"),
        "/video/0/items/1"
    );
    assert_eq!(told("{ asset: 'a', to: '1ms' }"), "/video/0/items/0");
    assert_eq!(
        told(
            "{ asset: 'a', to: '1s' }, { asset: 'a', to: '4s', enter: { kind: 'dissolve', length: '2s' } }"
        ),
        "/video/0/items/1/enter/length"
    );
    // backwards and at its end
    let spec = with_items("{ asset: 'a', from: '1s', to: '2s', reverse: true }");
    let layout = Timeline::parse(&spec).unwrap().layout(&facts()).unwrap();
    let clip = &layout.video[0][0];
    assert_eq!(clip.source_time(0, Rate::PAL), Timestamp::from_millis(1960));
    assert_eq!(clip.source_time(24, Rate::PAL), Timestamp::from_millis(1000));
}

#[test]
fn variables_are_values_and_variants_are_named() {
    let text = "{ rushes: 1,
        variables: { size: { type: 'size', default: '320x180' }, t: { type: 'text' },
                     n: { type: 'number', default: 1, among: [1, 2] } },
        matrix: { size: ['320x180', '180x320'], t: ['a/../b', 'ü x', 'ü-x'] },
        canvas: { size: { $var: 'size' }, rate: 25 }, assets: { a: { file: { $var: 't' } } },
        video: [{ items: [{ asset: 'a', speed: { $var: 'n' } }] }] }";
    let template = Template::parse(text).unwrap();
    assert_eq!(pointers(&template.fill(&Values::new()).unwrap_err()), ["/variables/t"]);
    let set: Values = [("t".to_owned(), json!("{\"$var\": \"size\"}"))].into();
    let filled = template.fill(&set).unwrap();
    assert_eq!(filled.assets["a"].file.as_deref(), Some("{\"$var\": \"size\"}"));
    assert_eq!(template.value("n", "2").unwrap(), json!(2));
    for (name, value, at) in [
        ("n", json!(3), "/variables/n"),
        ("n", json!("x"), "/variables/n"),
        ("no", json!(1), "/variables"),
    ] {
        let set: Values = [("t".to_owned(), json!("x")), (name.to_owned(), value)].into();
        assert_eq!(pointers(&template.fill(&set).unwrap_err()), [at]);
    }
    let variants = template.variants(&Values::new()).unwrap();
    let names: Vec<_> = variants.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "320x180-a-..-b",
            "320x180-ü-x",
            "320x180-ü-x-3",
            "180x320-a-..-b",
            "180x320-ü-x",
            "180x320-ü-x-6"
        ]
    );
    for wrong in [
        "{ rushes: 1, variables: { a: { type: 'time', default: 'x' } } }",
        "{ rushes: 1, variables: { a: { type: 'tim' } } }",
        "{ rushes: 1, matrix: { a: [1] } }",
        "[]",
    ] {
        assert!(Template::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_spec_comes_back_from_its_own_otio() {
    for (kind, text) in blocks(include_str!("../../../docs/timeline.md")) {
        if kind != "json5" {
            continue;
        }
        let timeline = Timeline::parse(text).unwrap();
        // What comes from a library is looked up before an edit goes out.
        if timeline.assets.values().any(|asset| asset.library.is_some()) {
            continue;
        }
        let layout = timeline.layout(&facts()).unwrap();
        let written = write_otio(&timeline, &layout).to_string();
        let (read, notes) = read_otio(&written).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert!(notes.is_empty(), "{notes}\n{text}");
        // Variables are filled in.
        let filled = timeline.to_json();
        assert_eq!(read.to_json()["video"], filled["video"], "{text}");
        assert_eq!(read.to_json()["outputs"], filled["outputs"]);

        // What another program changes counts.
        let mut changed: serde_json::Value = serde_json::from_str(&written).unwrap();
        let range = &mut changed["tracks"]["children"][0]["children"][0]["source_range"];
        range["start_time"]["value"] = json!(3.0);
        let (read, notes) =
            read_otio(&changed.to_string()).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert!(!notes.is_empty());
        let from = read.video[0].items[0].from.unwrap().resolve(timeline.canvas.rate);
        assert_eq!(timeline.canvas.rate.nearest(from), 3);
    }
}

#[test]
fn tracks_alone_lay_out_the_same() {
    let text = with_items(
        "{ asset: 'a', from: '1s', to: '3s' },
         { asset: 'a', from: '5s', to: '8s', enter: { kind: 'wipe-left', length: '11f' } },
         { asset: 'a', from: '10s', to: '11s', speed: 0.5, at: '8s', exit: { kind: 'dissolve', length: '5f' } }",
    );
    let timeline = Timeline::parse(&text).unwrap();
    let layout = timeline.layout(&facts()).unwrap();
    let mut otio = write_otio(&timeline, &layout);
    otio["metadata"] = json!({});
    let (read, _) = read_otio(&otio.to_string()).unwrap();
    let again = read.layout(&facts()).unwrap_or_else(|e| panic!("{e}"));
    let places = |layout: &Layout| -> Vec<_> {
        layout.video[0].iter().map(|c| (c.start, c.end, c.from, c.speed, c.enter, c.exit)).collect()
    };
    // 25 frames a second is what the clips say.
    assert_eq!(read.canvas.rate, timeline.canvas.rate);
    assert_eq!(places(&again), places(&layout));
}

#[test]
fn edl_of_cuts_a_dissolve_and_a_speed() {
    let text = with_items(
        "{ asset: 'a', from: '1s', to: '3s' },
         { asset: 'a', from: '5s', to: '8s', enter: { kind: 'dissolve', length: '10f' } },
         { asset: 'a', from: '10s', to: '12s', speed: 2 }",
    );
    let timeline = Timeline::parse(&text).unwrap();
    let layout = timeline.layout(&facts()).unwrap();
    assert_eq!(
        write_edl(&timeline, &layout),
        "TITLE: rushes
FCM: NON-DROP FRAME

001  AX       V     C        00:00:01:00 00:00:02:15 00:00:00:00 00:00:01:15
* FROM CLIP NAME: a.mp4

002  AX       V     C        00:00:02:15 00:00:02:15 00:00:01:15 00:00:01:15
002  AX       V     D    010 00:00:05:00 00:00:08:00 00:00:01:15 00:00:04:15
* FROM CLIP NAME: a.mp4
* TO CLIP NAME: a.mp4

003  AX       V     C        00:00:10:00 00:00:12:00 00:00:04:15 00:00:05:15
M2   AX       050.0                00:00:10:00
* FROM CLIP NAME: a.mp4

"
    );
}

proptest! {
    #[test]
    fn any_tree_is_read_or_refused(
        place in 0usize..8,
        value in prop_oneof![
            Just(json!(null)), Just(json!(-1)), Just(json!(1e300)), Just(json!("")), Just(json!([])),
            Just(json!({})), Just(json!("99999999999f")), Just(json!("-5f")), Just(json!([{"at": "0s"}])),
            "[0-9]{1,12}(s|f|h)".prop_map(|s| json!(s)),
        ],
    ) {
        let key = ["from", "to", "length", "at", "speed", "opacity", "enter", "place"][place];
        let mut item = json!({ "asset": "a" });
        item[key] = value;
        let spec = json!({
            "rushes": 1, "canvas": { "size": "320x180", "rate": 25 },
            "assets": { "a": { "file": "a" } }, "video": [{ "items": [item, { "asset": "a" }] }],
        });
        if let Ok(timeline) = Timeline::parse(&spec.to_string()) {
            let _ = timeline.layout(&facts()).map(|layout| {
                (write_edl(&timeline, &layout), read_otio(&write_otio(&timeline, &layout).to_string()).is_ok())
            });
        }
    }
}
