//! Scripts and emoji, with the fonts of the shelf where they were pulled.

use super::shape::{Laid, lay};
use super::*;
use crate::render::compose::{ColourTags, Depth, Picture, compose};
use std::path::{Path, PathBuf};

const T: ColourTags = ColourTags::BT709;

/// The pulled families, where tests find models; says so and gives none where one is missing.
fn shelf() -> Option<FontShelf> {
    let folder = std::env::var_os("RUSHES_MODELS_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/models"),
        PathBuf::from,
    );
    let mut shelf = FontShelf::default();
    for name in [
        "noto-emoji",
        "noto-sans-jp",
        "noto-sans-kr",
        "noto-sans-sc",
        "noto-sans",
        "noto-sans-arabic",
        "noto-sans-hebrew",
        "noto-sans-devanagari",
        "noto-sans-thai",
    ] {
        let files: Vec<PathBuf> = std::fs::read_dir(folder.join(name))
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|e| e == "ttf"))
            .collect();
        if files.is_empty() {
            eprintln!("{name} was not pulled into {}: not tested", folder.display());
            return None;
        }
        let mut files = files;
        files.sort();
        assert!(shelf.put(name, files));
    }
    Some(shelf)
}

fn style() -> TextStyle {
    TextStyle { size: 80.0, ..TextStyle::default() }
}

fn line(fonts: &mut FontSet, text: &str) -> Laid {
    lay(fonts, &[text], &style(), 9000.0).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// The lines' baselines, from the top.
fn lines(laid: &Laid) -> usize {
    let mut all: Vec<i64> = laid.glyphs.iter().map(|g| (g.pen.1 / 20.0).round() as i64).collect();
    all.sort_unstable();
    all.dedup();
    all.len()
}

#[test]
fn what_is_missing_names_the_font_to_pull() {
    let mut fonts = FontSet::new();
    for (text, names) in [
        ("漢字", "noto-sans-sc"),
        ("漢字かな", "noto-sans-jp"),
        ("한글", "noto-sans-kr"),
        ("नमस्ते", "noto-sans-devanagari"),
        ("สวัสดี", "noto-sans-thai"),
        ("🚀", "noto-emoji"),
        ("नमस्ते 🚀", "noto-emoji noto-sans-devanagari"),
    ] {
        let error = lay(&mut fonts, &[text], &style(), 9000.0).unwrap_err();
        let hint = error.what_to_do().unwrap_or_default();
        assert!(hint.contains(&format!("rushes models pull {names},")), "{text}: {hint}");
    }
    // What nobody has: no font is promised.
    let error = lay(&mut fonts, &["\u{10a00}"], &style(), 9000.0).unwrap_err();
    assert!(!error.what_to_do().unwrap_or_default().contains("pull"));
}

#[test]
fn unknown_names_are_not_put_on_the_shelf() {
    assert!(!FontShelf::default().put("whisper-tiny", vec!["x".into()]));
    // A file that is gone is an error when a text needs it, and only then.
    let mut shelf = FontShelf::default();
    assert!(shelf.put("noto-sans-thai", vec!["/nowhere/at/all.ttf".into()]));
    let mut fonts = FontSet::new().with_shelf(shelf);
    assert!(lay(&mut fonts, &["plain"], &style(), 9000.0).is_ok());
    assert!(lay(&mut fonts, &["สวัสดี"], &style(), 9000.0).is_err());
}

#[test]
fn italics_lean_without_a_face_for_them() {
    let mut fonts = FontSet::new();
    let upright = line(&mut fonts, "HHH");
    let leaning =
        lay(&mut fonts, &["HHH"], &TextStyle { italic: true, ..style() }, 9000.0).unwrap();
    assert_eq!(upright.glyphs.len(), leaning.glyphs.len());
    assert_ne!(
        format!("{:?}", upright.glyphs[0].layers),
        format!("{:?}", leaning.glyphs[0].layers)
    );
}

#[test]
fn pulling_changes_nothing_that_could_be_drawn_before() {
    let Some(shelf) = shelf() else { return };
    let text = "Füße, Ελληνικά, Кириллица שלום مرحبا ☺ ♥";
    let before = line(&mut FontSet::new(), text);
    let mut fonts = FontSet::new().with_shelf(shelf);
    // Not even once others were read for another text.
    line(&mut fonts, "漢字 नमस्ते");
    let after = line(&mut fonts, text);
    assert_eq!(format!("{before:?}"), format!("{after:?}"));
    assert_eq!(fonts.taken(), ["noto-sans-sc", "noto-sans-devanagari"]);
}

#[test]
fn devanagari_joins() {
    let Some(shelf) = shelf() else { return };
    let mut fonts = FontSet::new().with_shelf(shelf);
    // क + virama + ष is one conjunct; with a non-joiner its parts stand apart.
    let joined = line(&mut fonts, "क्ष");
    let apart = line(&mut fonts, "क्\u{200c}ष");
    assert_eq!(joined.glyphs.len(), 1);
    assert!(joined.width < apart.width * 0.8, "{} {}", joined.width, apart.width);
    // The vowel sign i is written before the consonant that it follows.
    let ka = line(&mut fonts, "क").glyphs[0].layers.clone();
    let ki = line(&mut fonts, "कि");
    let last = ki.glyphs.iter().max_by(|a, b| a.pen.0.total_cmp(&b.pen.0)).unwrap();
    assert_eq!(format!("{:?}", last.layers), format!("{ka:?}"));
}

#[test]
fn arabic_and_hebrew_by_their_own_family() {
    let Some(shelf) = shelf() else { return };
    for (family, word, other) in
        [("Noto Sans Arabic", "مرحبا", "بالعالم"), ("Noto Sans Hebrew", "שלום", "עולם")]
    {
        let mut fonts = FontSet::new().with_shelf(shelf.clone());
        let style = TextStyle { family: Some(family.into()), ..style() };
        let first = format!("{word} ");
        let laid = lay(&mut fonts, &[&first, other], &style, 9000.0).unwrap();
        let [a, b] = [0, 1].map(|i| laid.words[i].unwrap());
        assert!(a.left >= b.right - 1.0, "{family}: {a:?} {b:?}");
        // Latin within goes the other way, and its order stays.
        let mixed = lay(&mut fonts, &[&first, "one ", "two ", other], &style, 9000.0).unwrap();
        let x: Vec<f32> = mixed.words.iter().map(|w| w.unwrap().left).collect();
        assert!(x[0] > x[1] && x[1] < x[2] && x[3] < x[1], "{family}: {x:?}");
    }
}

#[test]
fn thai_breaks_between_words() {
    let Some(shelf) = shelf() else { return };
    let mut fonts = FontSet::new().with_shelf(shelf);
    // "Hello world, this is the Thai language": สวัสดี|ชาว|โลก|นี่|คือ|ภาษา|ไทย
    let text = "สวัสดีชาวโลกนี่คือภาษาไทย";
    let one = line(&mut fonts, text);
    assert_eq!(lines(&one).max(1), lines(&one));
    // Whatever the width, a line holds whole words: its width is that of a run of words.
    let words = ["สวัสดี", "ชาว", "โลก", "นี่", "คือ", "ภาษา", "ไทย"];
    let mut sums = Vec::new();
    for from in 0..words.len() {
        for to in from..words.len() {
            sums.push(line(&mut fonts, &words[from..=to].concat()).width);
        }
    }
    let longest = words.iter().map(|w| line(&mut fonts, w).width).fold(0.0f32, f32::max);
    for share in [0.4, 0.5, 0.6, 0.75] {
        let room = (one.width * share).max(longest + 2.0);
        let many = lay(&mut fonts, &[text], &style(), f64::from(room)).unwrap();
        assert!(many.height > one.height * 1.5, "{share}");
        assert!(
            sums.iter().any(|sum| (sum - many.width).abs() < 3.0),
            "{share}: {} is no run of words: {sums:?}",
            many.width
        );
    }
}

#[test]
fn ideographs_wrap_anywhere_but_before_a_full_stop() {
    let Some(shelf) = shelf() else { return };
    let mut fonts = FontSet::new().with_shelf(shelf);
    let text = "吾輩は猫である。名前はまだ無い。";
    let one = line(&mut fonts, text);
    let em = one.width / 16.0;
    let stop = one.glyphs.iter().max_by(|a, b| a.pen.0.total_cmp(&b.pen.0)).unwrap();
    let stop = format!("{:?}", stop.layers);
    let mut met = 0;
    for n in 4..15 {
        let room = em * (n as f32 + 0.5);
        let many = lay(&mut fonts, &[text], &style(), f64::from(room)).unwrap();
        assert!(many.width <= room && many.height > one.height * 1.5, "{n}");
        // No line begins with a full stop: its glyph is not the leftmost of its line.
        for glyph in many.glyphs.iter().filter(|g| format!("{:?}", g.layers) == stop) {
            met += 1;
            let first = many.glyphs.iter().filter(|g| (g.pen.1 - glyph.pen.1).abs() < 1.0);
            let left = first.map(|g| g.pen.0).fold(f32::INFINITY, f32::min);
            assert!(glyph.pen.0 > left + em / 2.0, "{n}");
        }
    }
    assert_eq!((met, fonts.taken()), (22, vec!["noto-sans-jp"]));
    // Korean breaks at its spaces as well, Chinese comes from its own family.
    line(&mut fonts, "한국어 자막");
    line(&mut fonts, "中文字幕");
    assert_eq!(fonts.taken(), ["noto-sans-jp", "noto-sans-kr", "noto-sans-sc"]);
}

#[test]
fn emoji_sequences_are_one_sign() {
    let Some(shelf) = shelf() else { return };
    let mut fonts = FontSet::new().with_shelf(shelf);
    let single = line(&mut fonts, "😀").width;
    for sequence in [
        "👨\u{200d}👩\u{200d}👧",
        "👍🏽",
        "🇺🇦",
        "❤\u{fe0f}",
        "🏳\u{fe0f}\u{200d}🌈",
        "1\u{fe0f}\u{20e3}",
    ] {
        let laid = line(&mut fonts, sequence);
        assert!(laid.width < single * 1.5, "{sequence}: {} and not {single}", laid.width);
    }
    // Two of them are two.
    assert!(line(&mut fonts, "🚀🚀").width > single * 1.8);
    // All from the same font, though the default one has some.
    assert_eq!(fonts.taken(), ["noto-emoji"]);
    let ours = format!("{:?}", line(&mut FontSet::new(), "😀").glyphs);
    assert_ne!(ours, format!("{:?}", line(&mut fonts, "😀").glyphs));
}

#[test]
fn weights_find_the_nearest_face() {
    let Some(shelf) = shelf() else { return };
    let mut fonts = FontSet::new().with_shelf(shelf);
    let drawn = |fonts: &mut FontSet, weight| {
        let style = TextStyle { weight, family: Some("Noto Sans".into()), ..style() };
        format!("{:?}", lay(fonts, &["Text"], &style, 9000.0).unwrap().glyphs)
    };
    let [regular, bold] = [400, 700].map(|w| drawn(&mut fonts, w));
    assert_ne!(regular, bold);
    assert_eq!(drawn(&mut fonts, 300), regular);
    assert_eq!(drawn(&mut fonts, 600), bold);
    assert_eq!(drawn(&mut fonts, 900), bold);
}

/// For eyes: `RUSHES_LOOK=folder cargo test look_at_scripts` writes a picture.
#[test]
fn look_at_scripts() {
    let Some(shelf) = shelf() else { return };
    let mut fonts = FontSet::new().with_shelf(shelf);
    let mut canvas = Picture::new(960, 720, Depth::Eight, T, false).unwrap();
    canvas.fill([60, 110, 140]);
    let style = TextStyle { size: 52.0, ..TextStyle::default() };
    let text = "नमस्ते दुनिया · क्षत्रिय\nสวัสดีชาวโลก\n吾輩は猫である。\n你好，世界 · 中文字幕\n\
                한국어 자막\nمرحبا بالعالم · שלום עולם\n👨\u{200d}👩\u{200d}👧 🚀 👍🏽 🇺🇦 ❤\u{fe0f} 😀 🏳\u{fe0f}\u{200d}🌈";
    let safe = SafeArea::default();
    let block = TextBlock::new(&mut fonts, text, &style, (960, 720), safe, Anchor::MIDDLE).unwrap();
    let ink = block.ink(T).unwrap().unwrap();
    let lean = TextStyle { italic: true, size: 40.0, ..style };
    let foot = TextBlock::new(&mut fonts, "italics lean", &lean, (960, 720), safe, Anchor::BOTTOM);
    let foot = foot.unwrap().ink(T).unwrap().unwrap();
    compose(&mut canvas, &[ink.layer(), foot.layer()]);
    let crate::render::compose::Planes::Eight(yuv) = &canvas.planes else { panic!("8 bit") };
    assert!(yuv.planes[0].data.iter().filter(|v| **v > 220).count() > 20_000);
    if let Some(folder) = std::env::var_os("RUSHES_LOOK") {
        crate::render::outside::png(&canvas, &Path::new(&folder).join("scripts.png"));
    }
}
