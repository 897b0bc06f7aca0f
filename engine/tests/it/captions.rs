//! Subtitles of others: the W3C's and Mozilla's WebVTT suites, and files of pysubs2 and webvtt-py.
//!
//! Each file either gives what its suite expects, or stands in a list with the reason why not; a
//! file that is listed and equal fails too. Layout is left out throughout: a reader gives cues,
//! settings and trees, and where boxes, colours and style sheets put them is a renderer's work.

use crate::support::{arg, json, output};
use rushes::speech::subtitles::{
    Align, Caption, CaptionLimits, Captions, Element, LineAlign, LinePosition, LineRules, Node,
    PositionAlign, Region, SubtitleFormat, Tag, Vertical, read, read_with, write,
};
use rushes::speech::transcript::{Coverage, Segment, Transcript, Word, WordTimes};
use rushes::{Span, Timestamp};
use rushes_fixtures::shared;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What was compared.
#[derive(Default)]
struct Tally {
    equal: usize,
    listed: usize,
    problems: Vec<String>,
}

impl Tally {
    /// Counts a case that gave `result`: equal, or different by the text given.
    fn case(&mut self, name: &str, result: Result<(), String>, listed: &[(&str, &str)]) {
        let reason = listed.iter().find(|(listed, _)| *listed == name);
        match (result, reason) {
            (Ok(()), None) => self.equal += 1,
            (Err(_), Some(_)) => self.listed += 1,
            (Ok(()), Some(_)) => {
                self.problems.push(format!("{name}: is equal: take it off the list"))
            }
            (Err(why), None) => self.problems.push(format!("{name}: {why}")),
        }
    }

    fn expect(self, equal: usize, listed: usize) {
        assert!(self.problems.is_empty(), "{}", self.problems.join("\n"));
        assert_eq!((self.equal, self.listed), (equal, listed), "(equal, listed)");
    }
}

/// Every file under `folder` whose name ends in `end`, sorted, with its path from `folder`.
fn files(folder: &Path, end: &str) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(end) {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.push((name, path));
            }
        }
    }
    found.sort();
    found
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn vtt(bytes: &[u8]) -> rushes::Result<Captions> {
    read_with(bytes, Some(SubtitleFormat::WebVtt), &CaptionLimits::default())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, ours: T, theirs: T) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("{what}: {ours:?}, expected {theirs:?}")) }
}

fn millis(seconds: &Value) -> Timestamp {
    Timestamp::from_millis((seconds.as_f64().unwrap() * 1000.0).round() as i64)
}

// The W3C's webvtt.js, which holds the files of the web platform tests.

/// A tree as the web platform tests write it.
fn tree(nodes: &[Node], depth: usize, out: &mut String) {
    let bar = format!("| {}", "  ".repeat(depth));
    for node in nodes {
        match node {
            Node::Text(text) => writeln!(out, "{bar}\"{text}\"").unwrap(),
            Node::Time(time) => writeln!(out, "{bar}<?timestamp {time}>").unwrap(),
            Node::Element(element) => {
                let Element { tag, classes, children } = element;
                writeln!(out, "{bar}<{}>", dom_name(tag)).unwrap();
                let mut attribute = |name: &str, value: &str| {
                    writeln!(out, "{bar}  {name}=\"{value}\"").unwrap();
                };
                if !classes.is_empty() {
                    attribute("class", &classes.join(" "));
                }
                match tag {
                    Tag::Voice(who) => attribute("title", who),
                    Tag::Lang(code) => attribute("lang", code),
                    _ => {}
                }
                tree(children, depth + 1, out);
            }
        }
    }
}

fn dom_name(tag: &Tag) -> &'static str {
    match tag {
        Tag::Class | Tag::Voice(_) | Tag::Lang(_) | Tag::Strike | Tag::Font(_) => "span",
        Tag::Italic => "i",
        Tag::Bold => "b",
        Tag::Underline => "u",
        Tag::Ruby => "ruby",
        Tag::RubyText => "rt",
    }
}

#[test]
fn w3c_cue_text_gives_the_expected_trees() {
    let Some(folder) = shared("4-captions/w3c-webvtt.js/wpt-cue-parsing") else { return };
    let mut tally = Tally::default();
    let mut trees = 0;
    for (name, path) in files(&folder, ".vtt") {
        let cues = vtt(&bytes(&path)).unwrap().cues;
        let expected = json(&bytes(&path.with_extension("json")));
        let expected = expected.as_array().unwrap();
        let mut result = same("number of cues", cues.len(), expected.len());
        for (n, (cue, expected)) in cues.iter().zip(expected).enumerate() {
            let mut ours = String::new();
            tree(&cue.nodes, 0, &mut ours);
            trees += 1;
            result = result.and(same(
                &format!("cue {n}"),
                ours,
                expected["expectedTree"].as_str().unwrap().to_owned(),
            ));
        }
        tally.case(&name, result, &[]);
    }
    tally.expect(5, 0);
    assert_eq!(trees, 77);
}

/// What the assertions of the web platform tests say of each file, in our terms: the number of
/// cues, then what is asserted of each.
fn w3c_assertions(name: &str, captions: &Captions) -> Result<(), String> {
    let cues = &captions.cues;
    let count = |n| same("number of cues", cues.len(), n);
    let texts = |wanted: &[&str]| {
        same("texts", cues.iter().map(|c| c.source.as_str()).collect(), wanted.to_vec())
    };
    let ids = |wanted: &[&str]| {
        same("ids", cues.iter().map(|c| c.id.as_str()).collect(), wanted.to_vec())
    };
    let times = |wanted: &[(i64, i64)]| {
        let ours = cues.iter().map(|c| (c.start.as_millis(), c.end.as_millis())).collect();
        same("times", ours, wanted.to_vec())
    };
    let region = |cue: &Caption| -> Option<Region> {
        let id = cue.settings.region.as_ref()?;
        captions.regions.iter().rev().find(|region| region.id == *id).cloned()
    };
    let numbered = |n: usize| (0..n).map(|n| format!("text{n}")).collect::<Vec<_>>();
    let plain = |n: usize| {
        let wanted = numbered(n);
        texts(&wanted.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let anchors = |of: fn(&Region) -> (f64, f64)| {
        let mut wanted =
            vec![(0.0, 100.0), (0.0, 0.0), (1.0, 1.0), (100.0, 0.0), (0.0, 100.0), (100.0, 100.0)];
        wanted.resize(20, (0.0, 100.0));
        same("anchors", cues.iter().map(|c| of(&region(c).unwrap())).collect(), wanted)
    };
    match name.trim_end_matches(".vtt") {
        "arrows" => plain(6).and(ids(&[""; 6])),
        "header-garbage" | "header-space" | "header-tab" | "header-timings" => {
            texts(&["text"]).and(times(&[(0, 1000)]))
        }
        "ids" => ids(&[" leading space", "trailing space ", "-- >", "->", " "]),
        "newlines" => ids(&["cr", "lf", "crlf", "lfcr"]).and(plain(4)),
        "nulls" => {
            let aligned: Vec<Align> = cues.iter().skip(3).map(|c| c.settings.align).collect();
            let center = Align::Center;
            texts(&["text0", "text1", "\u{fffd}text\u{fffd}2", "text3", "text4", "text5", "text6"])
                .and(ids(&[
                    "",
                    "\u{fffd} (null in id)",
                    "\u{fffd} (null in cue data)",
                    "",
                    "",
                    "",
                    "",
                ]))
                .and(same("align", aligned, vec![center, center, center, Align::End]))
        }
        "regions-id" => {
            let lines: Vec<_> = cues.iter().map(|c| region(c).map(|r| r.lines)).collect();
            same("lines", lines, vec![Some(2.0), Some(1.0), Some(3.0), Some(4.0)])
        }
        "regions-lines" => {
            let lines: Vec<_> = cues.iter().map(|c| region(c).unwrap().lines).collect();
            let wanted = [0.0, 1.0, 100.0, 101.0, 65536.0, 4294967296.0, 18446744073709552000.0];
            let wanted = [&wanted[..], &[1e34, 2.0, 3.0, 3.0, 3.0, 3.0]].concat();
            same("lines", lines, wanted)
        }
        "regions-old" => {
            same("regions", cues.iter().map(region).collect(), vec![None, None]).and(plain(2))
        }
        "regions-regionanchor" => count(20).and(anchors(|r| r.region_anchor)),
        "regions-viewportanchor" => count(20).and(anchors(|r| r.viewport_anchor)),
        "regions-scroll" => {
            let scroll: Vec<_> = cues.iter().map(|c| region(c).unwrap().scroll_up).collect();
            same("scroll", scroll, vec![false, true, true, false, false, true])
        }
        "settings-align" => {
            use Align::{Center, End, Left, Right, Start};
            let wanted =
                vec![Center, Start, Center, End, Left, Right, End, End, End, End, End, End, Center];
            same("align", cues.iter().map(|c| c.settings.align).collect(), wanted)
        }
        "settings-line" => {
            let number = |n| Some(LinePosition::Number(n));
            let percent = |n| Some(LinePosition::Percent(n));
            let least = f64::from_bits(1);
            let valid = [
                -1.0,
                0.0,
                -0.0,
                1.0,
                100.0,
                101.0,
                65536.0,
                4294967296.0,
                18446744073709552000.0,
                1e34,
                1.5,
                f64::MAX,
                f64::MIN,
                least,
                0.0,
            ];
            let mut wanted: Vec<_> = valid.into_iter().map(number).collect();
            wanted.resize(38, None);
            wanted.extend([0.0, 0.0, 100.0, 100.0, 100.0, 100.0, least, 0.0].map(percent));
            let aligned: Vec<_> =
                cues.iter().skip(40).take(4).map(|c| c.settings.line_align).collect();
            let (start, center, end) = (LineAlign::Start, LineAlign::Center, LineAlign::End);
            same("line", cues.iter().map(|c| c.settings.line).collect(), wanted).and(same(
                "line align",
                aligned,
                vec![start, start, center, end],
            ))
        }
        "settings-multiple" => {
            let seen: Vec<_> = cues
                .iter()
                .map(|c| &c.settings)
                .map(|s| (s.align, s.line, s.vertical, s.size, s.position))
                .collect();
            let (left, right) = (Some(Vertical::GrowingLeft), Some(Vertical::GrowingRight));
            let wanted = vec![
                (Align::Start, Some(LinePosition::Percent(1.0)), right, 50.0, Some(25.0)),
                (Align::Center, Some(LinePosition::Number(1.0)), left, 0.0, Some(100.0)),
            ];
            ids(&["id0", "id1"]).and(plain(2)).and(same("settings", seen, wanted))
        }
        "settings-position" => {
            use PositionAlign::{Auto, Center, LineLeft, LineRight};
            let mut wanted = vec![
                (Some(1.0), Auto),
                (Some(100.0), Auto),
                (Some(1.0), Auto),
                (Some(1.5), Auto),
                (Some(1.0), LineLeft),
                (Some(1.0), Center),
                (Some(1.0), LineRight),
                (Some(1.0), Auto),
            ];
            wanted.resize(22, (None, Auto));
            let seen = cues.iter().map(|c| (c.settings.position, c.settings.position_align));
            same("position", seen.collect(), wanted)
        }
        "settings-region" => {
            let seen: Vec<_> = cues.iter().map(|c| c.settings.region.as_deref()).collect();
            let mut wanted = vec![Some("foo"), Some("bar"), Some("bar"), None, Some("foo")];
            wanted.resize(9, None);
            same("region", seen, wanted)
        }
        "settings-size" => {
            let mut wanted = vec![100.0, 2.0, 0.0, 0.0, 100.0, 50.0, 1.5];
            wanted.resize(16, 100.0);
            same("size", cues.iter().map(|c| c.settings.size).collect(), wanted)
        }
        "settings-vertical" => {
            let (left, right) = (Some(Vertical::GrowingLeft), Some(Vertical::GrowingRight));
            let wanted = vec![None, right, left, right, None, None, None, None];
            same("vertical", cues.iter().map(|c| c.settings.vertical).collect(), wanted)
        }
        "signature-timings" => count(0),
        name if name.starts_with("signature-") => count(0),
        // Styles are kept, unparsed; the suite can only check that none reaches the document.
        "stylesheets" => count(2)
            .and(ids(&["foo", "bar"]))
            .and(same("style sheets", captions.stylesheets.len(), 1))
            .and(same("its end", captions.stylesheets[0].ends_with("width: 19px;\n}"), true)),
        "timings-60" => {
            texts(&["text1", "text2"]).and(times(&[(0, 216_001_000), (216_000_000, 216_001_000)]))
        }
        "timings-eof" | "timings-garbage" => count(0),
        "timings-negative" => {
            plain(4).and(times(&[(0, 0), (1000, 999), (60_000, 59_999), (3_600_000, 3_599_999)]))
        }
        "timings-omitted-hours" => plain(3).and(times(&[(0, 1000); 3])),
        "timings-too-long" | "timings-too-short" => plain(2).and(times(&[(0, 1000); 2])),
        "whitespace-chars" => {
            texts(&["   text0", "text1", "text2"]).and(ids(&["spaces", "tabs", "form feed"]))
        }
        name => Err(format!("no expectation for {name}")),
    }
}

#[test]
fn w3c_files_meet_the_web_platform_assertions() {
    let Some(folder) = shared("4-captions/w3c-webvtt.js/wpt-file-parsing") else { return };
    let mut tally = Tally::default();
    for (name, path) in files(&folder, ".vtt") {
        let result = match vtt(&bytes(&path)) {
            Ok(captions) => w3c_assertions(&name, &captions),
            Err(error) => Err(error.to_string()),
        };
        tally.case(&name, result, &[]);
    }
    tally.expect(37, 0);
}

// Mozilla's vtt.js, which follows a draft of 2013.

/// The file with the expected parse of `name`: its own, or the one that vtt.js's tests share.
fn expectation(folder: &Path, name: &str) -> PathBuf {
    let own = folder.join(name).with_extension("json");
    if own.exists() {
        return own;
    }
    let (place, file) = name.rsplit_once('/').unwrap();
    let shared = match (place, file.trim_end_matches(".vtt")) {
        ("cue-times", "missing-separator") => "bad-data",
        ("cue-times", _) => "with-data",
        ("file-layout", file) if file.starts_with("webvtt-") => "with-data",
        ("file-layout", _) => "no-output",
        ("regions", "no-line-break" | "no-space-after-delimiter") => "good-region",
        ("regions", _) => "bad-region",
        ("regions/id", _) => "bad-id",
        ("cue-settings/line" | "regions/lines", _) => "bad-line",
        (place, _) => &format!("bad-{}", place.rsplit('/').next().unwrap()),
    };
    folder.join(place).join(shared).with_extension("json")
}

/// The draft had regions as header lines `Region: id=a width=1%`; the standard has blocks.
fn with_region_blocks(text: &str) -> String {
    if !text.contains("\nRegion:") {
        return text.to_owned();
    }
    let (head, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut out = String::new();
    let mut blocks = String::new();
    for line in head.lines() {
        match line.strip_prefix("Region:") {
            Some(settings) if !line.contains("-->") => {
                blocks.push_str("\nREGION\n");
                for setting in settings.split_whitespace() {
                    blocks.push_str(&setting.replacen('=', ":", 1));
                    blocks.push('\n');
                }
            }
            _ => writeln!(out, "{line}").unwrap(),
        }
    }
    format!("{out}{blocks}\n{rest}")
}

fn region_equals(ours: &Region, theirs: &Value) -> Result<(), String> {
    let number = |key: &str| theirs[key].as_f64().unwrap();
    same("width", ours.width, number("width"))?;
    same("lines", ours.lines, number("lines"))?;
    same("anchor", ours.region_anchor, (number("regionAnchorX"), number("regionAnchorY")))?;
    let viewport = (number("viewportAnchorX"), number("viewportAnchorY"));
    same("viewport anchor", ours.viewport_anchor, viewport)?;
    same("scroll", ours.scroll_up, theirs["scroll"] == "up")
}

fn cue_equals(ours: &Caption, theirs: &Value, regions: &[Region]) -> Result<(), String> {
    same("start", ours.start, millis(&theirs["startTime"]))?;
    same("end", ours.end, millis(&theirs["endTime"]))?;
    same("id", ours.id.as_str(), theirs["id"].as_str().unwrap())?;
    same("text", ours.source.as_str(), theirs["text"].as_str().unwrap())?;
    let settings = &ours.settings;
    let vertical = match settings.vertical {
        None => "",
        Some(Vertical::GrowingLeft) => "rl",
        Some(Vertical::GrowingRight) => "lr",
    };
    same("vertical", vertical, theirs["vertical"].as_str().unwrap())?;
    let (line, snaps) = match settings.line {
        None => (None, true),
        Some(LinePosition::Number(n)) => (Some(n), true),
        Some(LinePosition::Percent(n)) => (Some(n), false),
    };
    same("line", line, theirs["line"].as_f64())?;
    same("snap to lines", snaps, theirs["snapToLines"].as_bool().unwrap())?;
    let line_align = match settings.line_align {
        LineAlign::Start => "start",
        // The draft's name.
        LineAlign::Center => "middle",
        LineAlign::End => "end",
    };
    same("line align", line_align, theirs["lineAlign"].as_str().unwrap())?;
    same("position", settings.position, theirs["position"].as_f64())?;
    let align = match settings.align {
        Align::Start => "start",
        Align::Center => "middle",
        Align::End => "end",
        Align::Left => "left",
        Align::Right => "right",
    };
    same("align", align, theirs["align"].as_str().unwrap())?;
    // What "auto" comes to for text from left to right.
    let position_align = match (settings.position_align, settings.align) {
        (PositionAlign::LineLeft, _) | (PositionAlign::Auto, Align::Start | Align::Left) => "start",
        (PositionAlign::LineRight, _) | (PositionAlign::Auto, Align::End | Align::Right) => "end",
        (PositionAlign::Center, _) | (PositionAlign::Auto, Align::Center) => "middle",
    };
    same("position align", position_align, theirs["positionAlign"].as_str().unwrap())?;
    same("size", settings.size, theirs["size"].as_f64().unwrap())?;
    let region = settings.region.as_ref().and_then(|id| regions.iter().find(|r| r.id == *id));
    match (region, theirs["region"].is_object()) {
        (Some(region), true) => region_equals(region, &theirs["region"]),
        (region, theirs) => same("has region", region.is_some(), theirs),
    }
}

fn captions_equal(ours: &Captions, theirs: &Value) -> Result<(), String> {
    let cues = theirs["cues"].as_array().unwrap();
    same("number of cues", ours.cues.len(), cues.len())?;
    for (n, (ours_cue, cue)) in ours.cues.iter().zip(cues).enumerate() {
        cue_equals(ours_cue, cue, &ours.regions).map_err(|why| format!("cue {n}: {why}"))?;
    }
    let regions = theirs["regions"].as_array().unwrap();
    same("number of regions", ours.regions.len(), regions.len())?;
    ours.regions.iter().zip(regions).try_for_each(|(ours, theirs)| region_equals(ours, theirs))
}

const ALIGN_WORDS: &str = "the draft's words for aligning a line or position (or a setting whose second half is wrong): \
     the standard has others and leaves the whole setting out";
const HOURS: &str = "three digits are hours, and hours need minutes and seconds; a web platform \
     test (timings-too-long) says so too";
const NO_BREAK: &str =
    "a cue right below the signature counts; a web platform test (header-timings) says so";
const NO_ID: &str = "the draft dropped a region without a name; the standard keeps it, unused";

const VTT_JS_LISTED: &[(&str, &str)] = &[
    ("cue-settings/line/bad-line-align.vtt", ALIGN_WORDS),
    ("cue-settings/line/line-middle-align.vtt", ALIGN_WORDS),
    ("cue-settings/position/bad-position-align.vtt", ALIGN_WORDS),
    ("cue-settings/position/position-end-align.vtt", ALIGN_WORDS),
    ("cue-settings/position/position-start-align.vtt", ALIGN_WORDS),
    ("cue-settings/region/region-arrows.vtt", "no line of a region block may hold an arrow"),
    ("regions/id/arrows.vtt", "no line of a region block may hold an arrow"),
    ("cue-times/min-top-digits.vtt", HOURS),
    ("cue-times/minimum-spots-over-sixty.vtt", HOURS),
    ("file-layout/header-no-new-line.vtt", NO_BREAK),
    ("integration/id.vtt", "a cue after a line `-->` counts; a web platform test (arrows) says so"),
    ("regions/id/bad-delimiter.vtt", NO_ID),
    ("regions/id/no-value.vtt", NO_ID),
    ("regions/id/space-after-delimiter.vtt", NO_ID),
    ("regions/id/space-before-delimiter.vtt", NO_ID),
];

#[test]
fn mozilla_files_give_the_expected_cues_and_regions() {
    let Some(folder) = shared("4-captions/mozilla-vtt.js") else { return };
    let mut tally = Tally::default();
    for (name, path) in files(&folder, ".vtt") {
        let expected = json(&bytes(&expectation(&folder, &name)));
        let read = bytes(&path);
        let text = String::from_utf8_lossy(&read);
        let result = match vtt(with_region_blocks(&text).as_bytes()) {
            Ok(captions) => captions_equal(&captions, &expected),
            // vtt.js gives nothing for what is not WebVTT.
            Err(_) => same("number of cues", 0, expected["cues"].as_array().unwrap().len()),
        };
        tally.case(&name, result, VTT_JS_LISTED);
    }
    tally.expect(251, 15);
}

/// A DOM tree of vtt.js as the web platform tests write trees.
fn dom(node: &Value, depth: usize, out: &mut String) {
    for child in node["childNodes"].as_array().unwrap() {
        let bar = format!("| {}", "  ".repeat(depth));
        if let Some(text) = child["data"].as_str() {
            writeln!(out, "{bar}\"{text}\"").unwrap();
            continue;
        }
        writeln!(out, "{bar}<{}>", child["localName"].as_str().unwrap()).unwrap();
        for (name, key) in [("class", "className"), ("title", "title"), ("lang", "lang")] {
            let value = child[key].as_str().unwrap();
            if !value.is_empty() {
                writeln!(out, "{bar}  {name}=\"{value}\"").unwrap();
            }
        }
        dom(child, depth + 1, out);
    }
}

const NO_TREE: &str = "the suite gives no tree (`null`): vtt.js could not show timestamps";

const VTT_JS_TREES_LISTED: &[(&str, &str)] = &[
    ("cue-times/min-top-digits-proc.json", HOURS),
    ("cue-times/minimum-spots-over-sixty-proc.json", HOURS),
    (
        "cuetext/escape-characters/incorrect-proc.json",
        "HTML's references without a semicolon (`&nbsp`) count since the standard takes HTML's",
    ),
    ("cuetext/timestamp/basic-proc.json", NO_TREE),
    ("cuetext/timestamp/nested-proc.json", NO_TREE),
    ("cuetext/timestamp/no-end-gt-proc.json", NO_TREE),
    ("cuetext/timestamp/out-of-cue-range-proc.json", NO_TREE),
    ("cuetext/timestamp/space-before-gt-proc.json", NO_TREE),
    ("file-layout/blank-file-proc.json", "the suite's own file is not here"),
    ("file-layout/header-no-new-line-proc.json", NO_BREAK),
    ("integration/id-proc.json", "as integration/id.vtt"),
];

#[test]
fn mozilla_files_give_the_expected_trees() {
    let Some(folder) = shared("4-captions/mozilla-vtt.js") else { return };
    let mut tally = Tally::default();
    for (name, path) in files(&folder, "-proc.json") {
        let source = folder.join(name.replace("-proc.json", ".vtt"));
        let result = match json(&bytes(&path)) {
            Value::Array(expected) if source.exists() => {
                let cues = vtt(&bytes(&source)).map(|c| c.cues).unwrap_or_default();
                let mut result = same("number of cues", cues.len(), expected.len());
                for (n, (cue, expected)) in cues.iter().zip(&expected).enumerate() {
                    let (mut ours, mut theirs) = (String::new(), String::new());
                    tree(&cue.nodes, 0, &mut ours);
                    dom(&expected["childNodes"][0], 0, &mut theirs);
                    // A DOM cannot tell an empty attribute from none.
                    let given = |line: &&str| !line.ends_with("=\"\"");
                    let ours: String =
                        ours.split_inclusive('\n').filter(|l| given(&l.trim_end())).collect();
                    result = result.and(same(&format!("cue {n}"), ours, theirs));
                }
                result
            }
            _ => Err("no tree is given".into()),
        };
        tally.case(&name, result, VTT_JS_TREES_LISTED);
    }
    tally.expect(198, 11);
}

// webvtt-py and pysubs2.

/// What the standard (for WebVTT) and players (for SRT) make of a file: how many captions, which
/// one to look at, and its text. webvtt-py's own tests assert the same where they assert anything.
const WEBVTT_PY: &[(&str, usize, usize, &str)] = &[
    ("captions_with_bom.vtt", 4, 3, "Caption text #4"),
    ("comments.vtt", 3, 0, "- Ta en kopp varmt te.\n- Det är inte varmt."),
    ("cue_tags.vtt", 3, 1, "Like a big-a pizza pie"),
    ("invalid_timeframe.vtt", 6, 1, "Caption text #3"),
    ("invalid_timeframe_in_cue_text.vtt", 4, 1, ""),
    ("metadata_headers.vtt", 2, 1, "Caption text #2"),
    ("metadata_headers_multiline.vtt", 2, 1, "Caption text #2"),
    ("missing_caption_text.vtt", 5, 1, ""),
    ("missing_timeframe.vtt", 6, 1, "Caption text #3"),
    ("no_captions.vtt", 0, 0, ""),
    ("one_caption.vtt", 1, 0, "Caption text #1"),
    ("regions.vtt", 2, 1, "Hi, I’m Bill"),
    ("sample.vtt", 16, 15, "Caption text #16"),
    ("styles.vtt", 1, 0, "- Hello world."),
    ("styles_colours.vtt", 6, 2, "Some italic and normal coloured text. By the way, 2 < 3 !"),
    ("styles_with_comments.vtt", 1, 0, "- Hello world."),
    ("using_identifiers.vtt", 6, 3, "Caption text #4"),
    ("youtube_dl.vtt", 4, 2, "this will happen is I'm telling"),
    ("invalid_timeframe.srt", 4, 1, "Caption text #3"),
    ("missing_caption_text.srt", 5, 1, ""),
    ("missing_timeframe.srt", 4, 0, "Caption text #1"),
    ("one_caption.srt", 1, 0, "Caption text #1"),
    ("sample.srt", 5, 2, "Caption text #3"),
    ("styles_colours.srt", 6, 2, "Some italic and normal coloured text. By the way, 2 < 3 !"),
];

/// Files that must be refused.
const WEBVTT_PY_REFUSED: &[&str] =
    &["invalid.vtt", "invalid_format1.srt", "invalid_format2.srt", "invalid_format3.srt"];

const SBV: &str = "YouTube's SBV, a format that is not read";
const WEBVTT_PY_LISTED: &[(&str, &str)] = &[
    ("invalid_format.sbv", SBV),
    ("invalid_timeframe.sbv", SBV),
    ("missing_caption_text.sbv", SBV),
    ("missing_timeframe.sbv", SBV),
    ("sample.sbv", SBV),
    ("two_captions.sbv", SBV),
    ("non_padded_timestamps.vtt", "webvtt-py takes `0:0:3.5`; in the standard that is no time"),
    ("invalid_format4.srt", "webvtt-py refuses a file whose only caption is empty; this is kept"),
];

#[test]
fn webvtt_py_files_are_read() {
    let Some(folder) = shared("4-captions/webvtt-py") else { return };
    let mut tally = Tally::default();
    for (name, path) in files(&folder, "") {
        let format = match path.extension().and_then(|e| e.to_str()) {
            Some("vtt") => SubtitleFormat::WebVtt,
            _ => SubtitleFormat::Srt,
        };
        let bytes = bytes(&path);
        // As found, except that a broken WebVTT file is refused as such.
        let made = if name == "invalid.vtt" {
            read_with(&bytes, Some(format), &CaptionLimits::default())
        } else {
            read(&bytes)
        };
        let row = WEBVTT_PY.iter().find(|(file, ..)| *file == name);
        let result = match (made, row) {
            (Err(error), None) if WEBVTT_PY_REFUSED.contains(&name.as_str()) => {
                same("error", error.kind(), rushes::ErrorKind::Input)
            }
            (Ok(captions), Some((_, count, at, text))) => same("format", captions.format, format)
                .and(same("captions", captions.cues.len(), *count))
                .and(same(
                    "text",
                    captions.cues.get(*at).map(Caption::text).unwrap_or_default().as_str(),
                    *text,
                )),
            (Ok(captions), None) => Err(format!("is read: {} captions", captions.cues.len())),
            (Err(error), _) => Err(error.to_string()),
        };
        tally.case(&name, result, WEBVTT_PY_LISTED);
    }
    tally.expect(28, 8);
}

/// Start, end and text of the events of a file without override tags, read by hand.
fn events(text: &str) -> Vec<(Timestamp, Timestamp, String)> {
    let time = |text: &str| format!("0{text}0").parse::<Timestamp>().unwrap();
    let event = |line: &str| {
        let fields: Vec<&str> = line.strip_prefix("Dialogue: ")?.splitn(10, ',').collect();
        Some((time(fields[1]), time(fields[2]), fields[9].replace("\\N", "\n")))
    };
    text.lines().filter_map(event).collect()
}

#[test]
fn pysubs2_files_are_read() {
    let Some(folder) = shared("4-captions/pysubs2") else { return };
    let mut tally = Tally::default();
    let listed: Vec<(String, &str)> = files(&folder, ".ttml")
        .into_iter()
        .map(|(name, _)| (name, "TTML, a format that is not read"))
        .collect();
    let listed: Vec<(&str, &str)> =
        listed.iter().map(|(name, why)| (name.as_str(), *why)).collect();
    let mut seen = 0;
    for (name, path) in files(&folder, "") {
        let bytes = bytes(&path);
        let text = String::from_utf8_lossy(&bytes).replace('\r', "");
        let result = match read(&bytes) {
            Ok(captions) => {
                let ours: Vec<_> =
                    captions.cues.iter().map(|c| (c.start, c.end, c.text())).collect();
                seen += ours.len();
                same("format", captions.format, SubtitleFormat::Ass)
                    .and(same("skipped", captions.skipped, 0))
                    .and(same("style", captions.styles[0].name.as_str(), "Default"))
                    .and(same("events", ours, events(&text)))
            }
            Err(error) => Err(error.to_string()),
        };
        tally.case(&name, result, &listed);
    }
    tally.expect(8, 3);
    assert_eq!(seen, 63);
}

#[test]
fn libass_file_is_read() {
    let Some(file) = shared("4-captions/libass-compare/sub1.ass") else { return };
    let captions = read(&bytes(&file)).unwrap();
    assert_eq!(captions.skipped, 0);
    assert!(!captions.cues.is_empty());
    assert!(captions.cues.iter().all(|cue| !cue.text().contains("{\\")));
}

// ffmpeg as a second opinion on what is written.

/// Words of 400 ms with 100 ms between them.
fn said(text: &str) -> Transcript {
    let word = |(n, text): (usize, &str)| {
        let start = Timestamp::from_millis(500 + 500 * n as i64);
        let span = Span::new(start, start.plus(Timestamp::from_millis(400))).unwrap();
        Word { span, text: text.to_owned(), probability: 0.9, spaced: true }
    };
    let words: Vec<Word> = text.split(' ').enumerate().map(word).collect();
    let end = words.last().unwrap().span.end;
    let segment = Segment {
        span: Span::new(Timestamp::ZERO, end).unwrap(),
        text: text.to_owned(),
        language: "en".into(),
        language_probability: 1.0,
        words,
        tokens: Vec::new(),
        avg_logprob: -0.1,
        no_speech_prob: 0.0,
        compression_ratio: 1.0,
        temperature: 0.0,
        seek: Timestamp::ZERO,
        doubt: None,
    };
    Transcript {
        language: "en".into(),
        language_probability: 1.0,
        translated: false,
        duration: end,
        model: "whisper-tiny".into(),
        engine: "whisper.cpp".into(),
        word_times: WordTimes::Dtw,
        segments: vec![segment],
        dropped: Vec::new(),
        coverage: Coverage { speech: end, with_text: end },
    }
}

#[test]
fn ffmpeg_reads_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    for format in [SubtitleFormat::Srt, SubtitleFormat::WebVtt, SubtitleFormat::Ass] {
        // ffmpeg 5.1 takes ASS's tags for tags in WebVTT too, and does not know libass's `\{`.
        let words = match format {
            SubtitleFormat::Srt => {
                "Mind the {\\b1} gap & hold < tight, please. The next stop is \\N"
            }
            SubtitleFormat::WebVtt => "Mind the gap & hold < tight, please. The next stop is N",
            _ => "Mind the gap & hold < tight, please. The next stop is \\N",
        };
        let words = format!("{words} Füßen --> north.");
        let text = write(&said(&words), format, &LineRules::default()).unwrap();
        let file = folder.path().join(format!("said.{}", format.extension()));
        std::fs::write(&file, &text).unwrap();
        let args = ["-v", "error", "-i", arg(&file), "-f", "srt", "-"];
        let theirs = read(&output("ffmpeg", &args)).unwrap();
        let ours = read(text.as_bytes()).unwrap();
        let rows = |captions: &Captions| -> Vec<(Timestamp, Timestamp, String)> {
            let text = |cue: &Caption| cue.text().replace('\u{2060}', "");
            captions.cues.iter().map(|cue| (cue.start, cue.end, text(cue))).collect()
        };
        assert_eq!(rows(&theirs), rows(&ours), "{text}");
        let all: Vec<String> = rows(&ours).into_iter().map(|(_, _, text)| text).collect();
        assert_eq!(all.join(" ").replace('\n', " "), words);
    }
}
