//! What is drawn, where it is drawn, and what is refused.

use super::*;
use crate::render::compose::{ColourTags, Depth, Picture, Planes, compose};
use crate::time::Timestamp;

const T: ColourTags = ColourTags::BT709;

/// Alpha of an ink as rows.
fn alpha(ink: &Ink) -> (usize, Vec<u8>) {
    match &ink.picture.planes {
        Planes::Eight(yuv) => {
            let alpha = yuv.alpha.as_ref().unwrap();
            (alpha.luma.width, alpha.luma.data.clone())
        }
        Planes::Ten(_) => panic!("8 bit"),
    }
}

fn block(text: &str, style: &TextStyle) -> crate::error::Result<TextBlock> {
    let mut fonts = FontSet::new();
    TextBlock::new(&mut fonts, text, style, (1080, 1920), SafeArea::default(), Anchor::BOTTOM)
}

#[test]
fn ink_is_only_where_the_text_is() {
    let ink = block("Hello", &TextStyle::default()).unwrap().ink(T).unwrap().unwrap();
    assert!(ink.picture.width() < 300 && ink.picture.height() < 100, "{:?}", ink.layer().size);
    // In the middle, above the bottom twentieth.
    let middle = f64::from(ink.x) + f64::from(ink.picture.width()) / 2.0;
    assert!((middle - 540.0).abs() < 4.0, "{middle}");
    assert!(ink.y + ink.picture.height() as i32 <= 1824 && ink.y > 1700, "{}", ink.y);
    let (width, alpha) = alpha(&ink);
    // The first and last columns that have ink are within two samples of the edges.
    let column = |x: usize| alpha.iter().skip(x).step_by(width).any(|a| *a > 0);
    assert!((0..3).any(column) && (width - 3..width).any(column));
    assert!(alpha.contains(&255) && alpha.contains(&0));
}

#[test]
fn scripts_bidi_and_wrapping() {
    let style = TextStyle { size: 80.0, ..TextStyle::default() };
    // Arabic joins: the word is narrower than its letters apart.
    let joined = block("بببب", &style).unwrap().laid.width;
    let apart = block("ب\u{200c}ب\u{200c}ب\u{200c}ب", &style).unwrap().laid.width;
    assert!(joined < apart * 0.9, "{joined} {apart}");
    // Right to left: the first word stands right of the second.
    let mut fonts = FontSet::new();
    let words = ["שלום ", "עולם"];
    let laid = super::shape::lay(&mut fonts, &words, &style, 2000.0).unwrap();
    let [first, second] = [0, 1].map(|i| laid.words[i].unwrap());
    assert!(first.left > second.right, "{first:?} {second:?}");
    let laid = super::shape::lay(&mut fonts, &["left ", "right"], &style, 2000.0).unwrap();
    assert!(laid.words[0].unwrap().right <= laid.words[1].unwrap().left + 1.0);
    // Wrapped text is no wider than its room and has more lines.
    let long = "one two three four five six seven eight nine ten";
    let one = super::shape::lay(&mut fonts, &[long], &style, 9000.0).unwrap();
    let many = super::shape::lay(&mut fonts, &[long], &style, 600.0).unwrap();
    assert!(
        many.width <= 600.0 && many.height >= 3.0 * one.height,
        "{} {}",
        many.width,
        many.height
    );
}

#[test]
fn what_is_refused() {
    let style = TextStyle::default();
    let error = block("ok 漢字", &style).unwrap_err();
    assert!(error.message().contains("U+6F22"), "{error}");
    assert!(block("ok\u{200d}\u{feff}", &style).is_ok());
    let none = TextStyle { family: Some("Nowhere".into()), ..style.clone() };
    assert!(block("x", &none).unwrap_err().message().contains("Nowhere"));
    let huge = TextStyle { size: 1500.0, ..style.clone() };
    assert!(block("WWWW", &huge).unwrap_err().message().contains("safe area"));
    assert!(block(&"long ".repeat(400), &style).is_err());
    for size in [f64::NAN, 0.0, 1e9] {
        assert!(block("x", &TextStyle { size, ..style.clone() }).is_err());
    }
    assert!(FontSet::new().add(vec![1, 2, 3]).is_err());
    assert!(block("   ", &style).unwrap().ink(T).unwrap().is_none());
    assert!(block("", &style).unwrap().ink(T).unwrap().is_none());
}

fn caption() -> TimedCaption {
    let at = Timestamp::from_millis;
    let word = |text: &str, from, to| CaptionWord {
        text: text.into(),
        span: Some((at(from), at(to))),
        breaks: false,
    };
    TimedCaption {
        start: at(1000),
        end: at(4000),
        words: vec![word("say", 1100, 1500), word("these", 1500, 2000), word("words", 2500, 3000)],
    }
}

#[test]
fn words_light_up() {
    let mut fonts = FontSet::new();
    let track = CaptionTrack::new(
        &mut fonts,
        vec![caption()],
        CaptionStyle { said: [0, 200, 0, 255], ..CaptionStyle::default() },
        (720, 1280),
        (SafeArea::PHONE, Anchor::BOTTOM),
        T,
    )
    .unwrap();
    let state = |ms| track.state(Timestamp::from_millis(ms)).map(|s| (s.said, s.active));
    assert_eq!(state(999), None);
    assert_eq!(state(1000), Some((0, None)));
    assert_eq!(state(1100), Some((0, Some(0))));
    assert_eq!(state(1500), Some((1, Some(1))));
    assert_eq!(state(2200), Some((2, None)));
    assert_eq!(state(2999), Some((2, Some(2))));
    assert_eq!(state(3999), Some((3, None)));
    assert_eq!(state(4000), None);
    let ink = |ms| track.ink(Timestamp::from_millis(ms)).unwrap().unwrap();
    // The same state is the same ink, not drawn again.
    assert!(std::sync::Arc::ptr_eq(&ink(1600), &ink(1999)));
    assert_ne!(*ink(1000), *ink(1600));
    // The active word is larger and yellow: more ink than before it was said, lower Cb.
    let covered = |ink: &Ink| alpha(ink).1.iter().map(|a| u64::from(*a)).sum::<u64>();
    assert!(covered(&ink(1600)) > covered(&ink(1000)));
    let least_cb = |ink: &Ink| match &ink.picture.planes {
        Planes::Eight(yuv) => {
            let alpha = &yuv.alpha.as_ref().unwrap().chroma.data;
            yuv.planes[1].data.iter().zip(alpha).filter(|(_, a)| **a == 255).map(|(c, _)| *c).min()
        }
        Planes::Ten(_) => panic!("8 bit"),
    };
    assert!(least_cb(&ink(1600)).unwrap() < 60 && least_cb(&ink(1000)).unwrap() > 110);
}

/// For eyes: `RUSHES_LOOK=folder cargo test look_at_text` writes pictures.
#[test]
fn look_at_text() {
    let mut canvas = Picture::new(720, 480, Depth::Eight, T, false).unwrap();
    canvas.fill([40, 90, 140]);
    let mut fonts = FontSet::new();
    let style = TextStyle {
        size: 44.0,
        shadow: Some(Shadow { offset: (4.0, 4.0), blur: 3.0, colour: [0, 0, 0, 180] }),
        ..TextStyle::default()
    };
    let boxed = TextStyle {
        size: 36.0,
        outline: None,
        backdrop: Some(Backdrop { padding: 12.0, radius: 10.0, colour: [0, 0, 0, 160] }),
        ..style.clone()
    };
    let blocks = [
        ("Füße, Ελληνικά, Кириллица\nשלום עולם · مرحبا بالعالم", style.clone(), Anchor::TOP),
        ("a box with round corners ☺ ♥", boxed, Anchor::MIDDLE),
    ];
    let safe = SafeArea::default();
    let inks: Vec<Ink> = blocks
        .iter()
        .map(|(text, style, anchor)| {
            let block = TextBlock::new(&mut fonts, text, style, (720, 480), safe, *anchor);
            block.unwrap().ink(T).unwrap().unwrap()
        })
        .collect();
    let caption_style =
        CaptionStyle { text: style, said: [160, 255, 160, 255], ..CaptionStyle::default() };
    let place = (safe, Anchor::BOTTOM);
    let track = CaptionTrack::new(&mut fonts, vec![caption()], caption_style, (720, 480), place, T)
        .unwrap();
    let words = track.ink(Timestamp::from_millis(1600)).unwrap().unwrap();
    let layers: Vec<_> = inks.iter().map(Ink::layer).chain([words.layer()]).collect();
    compose(&mut canvas, &layers);
    // Letters are light, the ground is not.
    let Planes::Eight(yuv) = &canvas.planes else { panic!("8 bit") };
    assert!(yuv.planes[0].data.iter().filter(|v| **v > 220).count() > 5000);
    if let Some(folder) = std::env::var_os("RUSHES_LOOK") {
        let path = std::path::Path::new(&folder).join("text.png");
        crate::render::outside::png(&canvas, &path);
    }
}
