//! Styled subtitles against libass: its own reference pictures, and what ffmpeg's `ass` filter draws; and
//! what hostile files may cost.

use super::*;
use crate::render::outside::ffmpeg;
use crate::speech::subtitles::read;
use std::path::Path;

/// An opaque R′G′B′ picture, 0 to 255.
#[derive(Clone)]
struct Rgb {
    width: usize,
    pixels: Vec<[f64; 3]>,
}

const GREY: f64 = 128.0;

impl Rgb {
    fn luma(&self) -> Vec<f64> {
        self.pixels.iter().map(|[r, g, b]| 0.2126 * r + 0.7152 * g + 0.0722 * b).collect()
    }

    /// For a person to look at, where `RUSHES_STYLED_OUT` says.
    fn show(&self, name: &str) {
        let Ok(folder) = std::env::var("RUSHES_STYLED_OUT") else { return };
        let height = self.pixels.len() / self.width;
        let bytes = self.pixels.iter().flatten().map(|v| v.round().clamp(0.0, 255.0) as u8);
        let made =
            image::RgbImage::from_raw(self.width as u32, height as u32, bytes.collect()).unwrap();
        made.save(Path::new(&folder).join(format!("{name}.png"))).unwrap();
    }
}

fn track_with(fonts: FontSet, text: &str, size: (u32, u32)) -> Result<StyledTrack> {
    let captions = read(text.as_bytes()).unwrap();
    let style = TextStyle { size: 32.0, ..TextStyle::default() };
    let look = (&style, SafeArea::default());
    StyledTrack::new(Arc::new(Mutex::new(fonts)), &captions, look, size, ColourTags::BT709)
}

fn track(text: &str, size: (u32, u32)) -> StyledTrack {
    track_with(FontSet::new(), text, size).unwrap()
}

impl StyledTrack {
    /// All events at `millis` over grey, and where there is ink (left, top, right, bottom).
    fn over_grey(&self, millis: i64) -> (Rgb, [usize; 4]) {
        let (w, h) = (self.size.0 as usize, self.size.1 as usize);
        let mut out = Rgb { width: w, pixels: vec![[GREY; 3]; w * h] };
        let mut edges = [w, h, 0, 0];
        let time = Timestamp::from_millis(millis);
        for i in self.at(time) {
            let shown = self.shown[i];
            let now = time.minus(shown.start).as_secs_f64() * 1000.0;
            let moment = moment::moment(&self.script, &self.script.events[shown.event], now);
            let sheet = self.drawn(&moment, shown.shift).unwrap();
            let Some(ink) = sheet.laid(self.size) else { continue };
            for (n, [r, g, b, a]) in ink.pixels.iter().enumerate() {
                let x = ink.left as usize + n % ink.width as usize;
                let y = ink.top as usize + n / ink.width as usize;
                if *a == 0.0 || x >= w || y >= h {
                    continue;
                }
                edges =
                    [edges[0].min(x), edges[1].min(y), edges[2].max(x + 1), edges[3].max(y + 1)];
                for (under, over) in out.pixels[y * w + x].iter_mut().zip([r, g, b]) {
                    *under = *under * (1.0 - f64::from(*a)) + f64::from(*over) * 255.0;
                }
            }
        }
        (out, edges)
    }
}

/// Structural similarity (Wang et al. 2004): luma, a bell of 11 × 11 with a deviation of 1.5, the mean over
/// the windows whose middle lies within `area` (left, top, right, bottom).
fn ssim(a: &Rgb, b: &Rgb, area: [usize; 4]) -> f64 {
    let (w, h) = (a.width, a.pixels.len() / a.width);
    let (x, y) = (a.luma(), b.luma());
    let weights: Vec<f64> = (-5..=5).map(|i: i32| (-f64::from(i * i) / 4.5).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let blurred = |of: &dyn Fn(usize) -> f64| -> Vec<f64> {
        let mut across = vec![0.0; w * h];
        let mut both = vec![0.0; w * h];
        for row in 0..h {
            for column in 0..w {
                for (k, weight) in weights.iter().enumerate() {
                    let at = (column + k).saturating_sub(5).min(w - 1);
                    across[row * w + column] += of(row * w + at) * weight / sum;
                }
            }
        }
        for row in 0..h {
            for (k, weight) in weights.iter().enumerate() {
                let at = (row + k).saturating_sub(5).min(h - 1);
                for column in 0..w {
                    both[row * w + column] += across[at * w + column] * weight / sum;
                }
            }
        }
        both
    };
    let (mx, my) = (blurred(&|i| x[i]), blurred(&|i| y[i]));
    let (xx, yy) = (blurred(&|i| x[i] * x[i]), blurred(&|i| y[i] * y[i]));
    let xy = blurred(&|i| x[i] * y[i]);
    let (c1, c2) = ((0.01f64 * 255.0).powi(2), (0.03f64 * 255.0).powi(2));
    let [left, top, right, bottom] = area;
    let (mut total, mut count) = (0.0, 0);
    for row in top..bottom.min(h) {
        for column in left..right.min(w) {
            let i = row * w + column;
            let (vx, vy) = (xx[i] - mx[i] * mx[i], yy[i] - my[i] * my[i]);
            let cov = xy[i] - mx[i] * my[i];
            total += (2.0 * mx[i] * my[i] + c1) * (2.0 * cov + c2)
                / ((mx[i] * mx[i] + my[i] * my[i] + c1) * (vx + vy + c2));
            count += 1;
        }
    }
    if count == 0 { 1.0 } else { total / f64::from(count) }
}

/// Where either differs from grey.
fn inked(a: &Rgb, b: &Rgb) -> [usize; 4] {
    let mut edges = [a.width, a.pixels.len(), 0, 0];
    for (i, (p, q)) in a.pixels.iter().zip(&b.pixels).enumerate() {
        if p.iter().chain(q).any(|v| (v - GREY).abs() > 2.0) {
            let (x, y) = (i % a.width, i / a.width);
            edges = [edges[0].min(x), edges[1].min(y), edges[2].max(x + 1), edges[3].max(y + 1)];
        }
    }
    edges
}

#[test]
fn similarity_is_that_of_the_paper() {
    let flat = |v: f64| Rgb { width: 32, pixels: vec![[v; 3]; 32 * 32] };
    let area = [0, 0, 32, 32];
    assert!((ssim(&flat(90.0), &flat(90.0), area) - 1.0).abs() < 1e-9);
    // Flat pictures differ by the first term alone.
    let c1 = (0.01f64 * 255.0).powi(2);
    let wanted = (2.0 * 100.0 * 150.0 + c1) / (100.0 * 100.0 + 150.0 * 150.0 + c1);
    assert!((ssim(&flat(100.0), &flat(150.0), area) - wanted).abs() < 1e-9);
    let mut checks = flat(0.0);
    for (i, p) in checks.pixels.iter_mut().enumerate() {
        *p = [if (i / 32 / 4 + i % 32 / 4) % 2 == 0 { 255.0 } else { 0.0 }; 3];
    }
    assert!(ssim(&checks, &flat(128.0), area) < 0.1);
}

/// `shared/data/4-captions/libass-compare`: pictures that libass's authors compare their own work with.
#[test]
fn as_libass_draws_its_own_references() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/4-captions/libass-compare");
    if !folder.exists() {
        eprintln!("no shared/data: libass's references are not compared");
        return;
    }
    for millis in [500, 1500, 2500] {
        let mut fonts = FontSet::new();
        for font in ["font1.ttf", "font2.otf"] {
            fonts.add_file(&folder.join(font)).unwrap();
        }
        let text = std::fs::read_to_string(folder.join("sub1.ass")).unwrap();
        let own = track_with(fonts, &text, (320, 240)).unwrap();
        let (own, _) = own.over_grey(millis);
        let path = folder.join(format!("sub1-{millis:04}.png"));
        let theirs = image::open(path).unwrap().to_rgba8();
        // Colours are laid over black there, with what shines through apart.
        let pixels = theirs.pixels().map(|p| {
            let through = 1.0 - f64::from(p.0[3]) / 255.0;
            [0, 1, 2].map(|i| f64::from(p.0[i]) + GREY * through)
        });
        let theirs = Rgb { width: 320, pixels: pixels.collect() };
        own.show(&format!("sub1-{millis:04}-own"));
        theirs.show(&format!("sub1-{millis:04}-libass"));
        let whole = ssim(&own, &theirs, [0, 0, 320, 240]);
        let ink = ssim(&own, &theirs, inked(&own, &theirs));
        eprintln!("sub1-{millis:04}: SSIM {whole:.4}, within the ink's box {ink:.4}");
        // Their one letter, turned, covers 8010 to 8218 samples in these pictures, so the tighter measure
        // cannot be near 1 for all.
        assert!(whole >= 0.985 && ink >= 0.94, "{millis}: {whole} {ink}");
    }
}

const HEAD: &str = "[Script Info]\nScriptType: v4.00+\nPlayResX: 640\nPlayResY: 360\n\
    ScaledBorderAndShadow: yes\n\n[V4+ Styles]\n\
    Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, \
    Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, \
    Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\n\
    Style: Default,DejaVu Sans,36,&H00FFFFFF,&H000000FF,&H00203040,&H80000000,0,0,0,0,100,100,0,0,1,\
    2,0,2,20,20,20,1\n\
    Style: Bold,DejaVu Sans,48,&H0000FFFF,&H000000FF,&H00000000,&H60000000,-1,0,0,0,100,100,0,0,1,3,\
    4,8,20,20,20,1\n\
    Style: Box,DejaVu Sans,36,&H00FFFFFF,&H000000FF,&H00800000,&H80000000,0,0,0,0,100,100,0,0,3,6,0,\
    5,20,20,20,1\n\n[Events]\n\
    Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n";

fn event(layer: i32, style: &str, text: &str) -> String {
    format!("Dialogue: {layer},0:00:01.00,0:00:05.00,{style},,0,0,0,,{text}\n")
}

/// What ffmpeg's libass draws over grey; `None` (said aloud) where there is no such ffmpeg.
fn libass(text: &str, millis: i64, (w, h): (u32, u32)) -> Option<Rgb> {
    let filters = ffmpeg(&["-hide_banner", "-filters"], &[])?;
    if !String::from_utf8_lossy(&filters).contains(" ass ") {
        eprintln!("ffmpeg has no libass here: not compared");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("a.ass"), text).unwrap();
    std::fs::write(at("DejaVuSans.ttf"), dejavu::sans::regular()).unwrap();
    std::fs::write(at("DejaVuSans-Bold.ttf"), dejavu::sans::bold()).unwrap();
    let source = format!("color=c=0x808080:s={w}x{h}:r=25,format=rgb24");
    let filter = format!(
        "setpts=PTS+{}/TB,ass=filename={}:fontsdir={}",
        millis as f64 / 1000.0,
        at("a.ass").display(),
        folder.path().display()
    );
    let args = ["-f", "lavfi", "-i", &source, "-vf", &filter, "-frames:v", "1"];
    let args = [&args[..], &["-pix_fmt", "rgb24", "-f", "rawvideo", "-"]].concat();
    let raw = ffmpeg(&args, &[])?;
    let pixels = raw.chunks_exact(3).map(|p| [0, 1, 2].map(|i| f64::from(p[i])));
    Some(Rgb { width: w as usize, pixels: pixels.collect() })
}

/// Name, text of the events, and when it is looked at.
fn scripts() -> Vec<(&'static str, String, i64)> {
    let d = |text: &str| event(0, "Default", text);
    vec![
        ("plain", d("Hello, World"), 2000),
        (
            "wrapped",
            d(
                "A rather long line of text that has to be broken somewhere, and then evened out a bit",
            ),
            2000,
        ),
        ("breaks", d("One\\NTwo\\N\\NFour\\hwide  spaces"), 2000),
        ("bold", event(0, "Bold", "Bold with a shadow"), 2000),
        // No italics: libass takes the system's own face for them, where there is one.
        ("marks", d("plain {\\u1}under{\\u0} {\\s1}struck{\\s0} {\\b1}bold"), 2000),
        ("box", event(0, "Box", "Behind a box"), 2000),
        (
            "sizes",
            d("small {\\fs60}LARGE {\\fs24}tiny {\\fscx200\\fscy50}wide{\\r} {\\fsp8}apart"),
            2000,
        ),
        ("placed", d("{\\an7\\pos(50,40)}top left{\\c&H0000FF&} red"), 2000),
        ("moving", d("{\\move(100,100,500,300,0,2000)}on its way"), 2000),
        ("fading", d("{\\fad(2000,500)}half here"), 2000),
        ("turned", d("{\\pos(320,180)\\an5\\frz30}turned by 30"), 2000),
        ("origin", d("{\\pos(320,180)\\an5\\org(100,100)\\frz-20}about a point"), 2000),
        ("leaning back", d("{\\pos(320,180)\\an5\\fs60\\frx50}perspective"), 2000),
        ("from the side", d("{\\pos(320,180)\\an5\\fs60\\fry-50\\frz10}perspective"), 2000),
        ("sheared", d("{\\pos(320,180)\\an5\\fs60\\fax-0.4}sheared"), 2000),
        ("sloping", d("{\\pos(320,180)\\an5\\fs60\\fay0.2}sloping"), 2000),
        ("soft", d("{\\fs80\\an5\\blur6}soft"), 2000),
        ("soft edges", d("{\\fs80\\an5\\be3\\bord0}edges"), 2000),
        ("thick", d("{\\fs80\\an5\\bord10\\3c&H00FF00&}thick"), 2000),
        ("uneven", d("{\\fs80\\an5\\xbord12\\ybord3\\xshad10\\yshad-10}uneven"), 2000),
        ("seen through", d("{\\fs80\\an5\\bord8\\1a&H80&\\3a&H40&}through"), 2000),
        ("hollow", d("{\\fs80\\an5\\bord4\\1a&HFF&\\shad6}hollow"), 2000),
        ("karaoke", d("{\\k50}one {\\k100}two {\\kf100}three {\\ko50}four"), 2000),
        ("sweeping", d("{\\fs80\\an5\\kf200}sweeping"), 2000),
        (
            "drawing",
            d("{\\an7\\pos(100,100)\\p1}m 0 0 l 200 0 200 100 b 150 150 50 150 0 100{\\p0}"),
            2000,
        ),
        (
            "half drawing",
            d("{\\an5\\pos(320,180)\\frz20\\p2}m 0 0 s 200 0 400 200 200 400 0 200 c"),
            2000,
        ),
        ("clipped", d("{\\fs80\\an5\\clip(200,100,420,190)}clipped away"), 2000),
        (
            "cut out",
            d("{\\fs80\\an5\\iclip(m 320 100 l 420 180 320 260 220 180)}cut out of it"),
            2000,
        ),
        (
            "stacked",
            d("first at the bottom")
                + &d("second above it")
                + &event(0, "Bold", "top")
                + &event(0, "Bold", "below the top"),
            2000,
        ),
        (
            "layers",
            event(1, "Default", "{\\fs90\\an5\\pos(340,200)\\c&H0000FF&}upper")
                + &event(0, "Default", "{\\fs90\\an5\\pos(320,180)}lower"),
            2000,
        ),
        ("animated", d("{\\an5\\t(0,2000,\\fs72\\c&HFF0000&\\bord8\\frz20)}growing"), 2000),
        ("accelerated", d("{\\an5\\t(0,2000,2,\\fscx200\\alpha&H80&)}pulled"), 2000),
        (
            "unwrapped",
            d("{\\q2}this line is not broken although it is far too long for its picture"),
            2000,
        ),
        ("other styles", d("plain {\\rBold}bold{\\r} plain"), 2000),
    ]
}

#[test]
fn as_ffmpeg_draws_with_libass() {
    let size = (640, 360);
    let mut low = Vec::new();
    for (name, events, millis) in scripts() {
        let text = format!("{HEAD}{events}");
        let Some(theirs) = libass(&text, millis, size) else { return };
        let (own, _) = track(&text, size).over_grey(millis);
        let file = name.replace(' ', "-");
        own.show(&format!("{file}-own"));
        theirs.show(&format!("{file}-libass"));
        let area = inked(&own, &theirs);
        assert!(area[0] < area[2], "{name}: nothing is drawn");
        let (whole, ink) = (ssim(&own, &theirs, [0, 0, 640, 360]), ssim(&own, &theirs, area));
        eprintln!("{name}: SSIM {whole:.4}, within the ink's box {ink:.4}");
        if ink < 0.97 {
            low.push((name, ink));
        }
    }
    assert!(low.is_empty(), "{low:?}");
}

#[test]
fn hostile_scripts_cost_no_more_than_the_canvas() {
    let size = (640, 360);
    let d = |text: &str| format!("{HEAD}{}", event(0, "Default", text));
    for text in [
        "{\\fs999999999}big",
        "{\\fs1e9\\fscx99999\\fscy99999}big",
        "{\\pos(1e9,-99999999)}far",
        "{\\fs200\\blur99999}soft",
        "{\\fs200\\be99999}soft",
        "{\\bord999999}wide",
        "{\\shad99999}{\\xshad-999999}shadow",
        "{\\fs80\\frx89.9\\fry89.9\\org(-99999,99999)}turned",
        "{\\fax9999999\\fay-999999}sheared",
        "{\\fsp99999999}spaced",
        "{\\fsp-99999999}spaced",
        "{\\p30}m 0 0 l 99999999 0 99999999 99999999",
        "{\\p1}m -9999999 -9999999 l 99999999 0 99999999 99999999 b 0 0 99999999 0 9 9",
        "{\\clip(m 0 0 l 99999999 0 99999999 99999999)}cut",
        "{\\t(0,0,0,\\fs-10)}{\\t(\\t(\\t(\\t(\\t(\\fs20)))))}nested",
        "{\\move(0,0,1,1,99999999,99999999)\\fad(99999999,99999999)}moved",
        "{\\k99999999}{\\kf99999999}sung",
        "\u{2029}a\u{85}\u{5d0}\u{1c}b\u{202e}c",
    ] {
        let track = track(&d(text), size);
        for time in [1000, 2500, 4999] {
            track.over_grey(time);
        }
    }
    // As many points as a drawing may have, and more.
    let points = "1 1 9 9 ".repeat(20_000);
    track(&d(&format!("{{\\p1}}m 0 0 l {points}")), size).over_grey(2000);
    let points = "1 1 9 9 ".repeat(500_000);
    let error = track_with(FontSet::new(), &d(&format!("{{\\p1}}m 0 0 l {points}")), size);
    assert_eq!(error.unwrap_err().kind(), crate::error::ErrorKind::Limit);
    // As many captions at once.
    let line = event(0, "Default", "{\\pos(10,10)}x");
    let error = track_with(FontSet::new(), &format!("{HEAD}{}", line.repeat(100_000)), size);
    assert_eq!(error.unwrap_err().kind(), crate::error::ErrorKind::Limit);
    // One caption with more text than can be read.
    let error = track_with(FontSet::new(), &d(&"word ".repeat(10_000)), size);
    assert_eq!(error.unwrap_err().kind(), crate::error::ErrorKind::Limit);
}

#[test]
fn what_is_missing_is_told_with_its_caption() {
    let text = format!("{HEAD}{}", event(0, "Default", "so {\\b1}\u{6f22}"));
    let error = track_with(FontSet::new(), &text, (640, 360)).unwrap_err().to_string();
    assert!(error.contains("the caption at 00:00:01.000") && error.contains("U+6F22"), "{error}");
}

/// Where the ink of `text` lies at two seconds, on 640 × 360.
fn lies(text: &str) -> [usize; 4] {
    track(text, (640, 360)).over_grey(2000).1
}

#[test]
fn webvtt_cues_stand_where_they_say() {
    let cue = |settings: &str, text: &str| {
        lies(&format!("WEBVTT\n\n00:01.000 --> 00:03.000 {settings}\n{text}\n"))
    };
    let middle = |[left, _, right, _]: [usize; 4]| (left + right) / 2;
    let usual = cue("", "<i>Hello</i>");
    assert!(middle(usual).abs_diff(320) < 8 && usual[3] > 320 && usual[1] > 280, "{usual:?}");
    let first = cue("line:0", "Hello");
    assert!(first[1] < 40 && first[3] < 80, "{first:?}");
    let second = cue("line:1", "Hello");
    assert!(second[1].abs_diff(first[1]).abs_diff(38) < 3, "{first:?} {second:?}");
    let last = cue("line:-1", "Hello");
    assert!(last[3].abs_diff(usual[3]) < 3, "{last:?} {usual:?}");
    let half = cue("line:50%,center", "Hello");
    assert!((half[1] + half[3]).abs_diff(360) < 16, "{half:?}");
    let left = cue("align:left", "Hello");
    assert!(left[0].abs_diff(32) < 6, "{left:?}");
    let right = cue("position:90% align:end", "Hello");
    assert!(right[2].abs_diff(576) < 8, "{right:?}");
    // A narrow box breaks the line.
    let narrow = cue("size:20%", "Hello hello hello");
    assert!(narrow[3] - narrow[1] > 2 * (usual[3] - usual[1]), "{narrow:?}");
    // Cues at the same time keep clear of each other.
    let both = lies("WEBVTT\n\n00:01.000 --> 00:03.000\none\n\n00:01.000 --> 00:03.000\ntwo\n");
    assert!(both[3] - both[1] > 60, "{both:?}");
}

#[test]
fn marks_of_srt_and_webvtt_are_seen() {
    let srt = |text: &str| {
        let text = format!("1\n00:00:01,000 --> 00:00:03,000\n{text}\n");
        track(&text, (640, 360)).over_grey(2000)
    };
    let has = |picture: &Rgb, wanted: [f64; 3]| {
        let near = |p: &[f64; 3]| p.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 8.0);
        picture.pixels.iter().any(near)
    };
    let (picture, _) = srt("<font color=\"#ff0000\">red</font> and <b>not</b>");
    assert!(has(&picture, [255.0, 0.0, 0.0]) && has(&picture, [255.0; 3]));
    let (picture, place) = srt("{\\an8}up");
    assert!(!has(&picture, [255.0, 0.0, 0.0]) && place[3] < 80, "{place:?}");
    let (plain, _) = srt("sssss");
    let (struck, _) = srt("<s>sssss</s>");
    let (under, place) = srt("<u>sssss</u>");
    struck.show("srt-struck");
    under.show("srt-under");
    assert!(plain.pixels != struck.pixels && plain.pixels != under.pixels && place[3] > 0);
    let vtt = "WEBVTT\n\n00:01.000 --> 00:03.000\n<c.lime>green</c> <c.bg_blue>on blue</c>\n";
    let (picture, _) = track(vtt, (640, 360)).over_grey(2000);
    picture.show("vtt-classes");
    assert!(has(&picture, [0.0, 255.0, 0.0]) && has(&picture, [0.0, 0.0, 255.0]));
    let styled = |text: &str| is_styled(&read(text.as_bytes()).unwrap());
    assert!(styled(vtt) && styled(HEAD));
    assert!(!styled("1\n00:00:01,000 --> 00:00:03,000\nplain\n"));
    assert!(styled("1\n00:00:01,000 --> 00:00:03,000\n{\\an8}up\n"));
}

#[test]
fn an_unchanged_caption_is_drawn_once_and_has_one_key() {
    let text = format!(
        "{HEAD}{}{}",
        event(0, "Default", "still"),
        event(0, "Default", "{\\an8\\t(\\fs60)}moving")
    );
    let track = track(&text, (640, 360));
    let inks = |millis| track.inks(Timestamp::from_millis(millis)).unwrap();
    let (a, b) = (inks(2000), inks(3000));
    assert_eq!((a.len(), b.len()), (2, 2));
    assert!(Arc::ptr_eq(&a[0], &b[0]) && !Arc::ptr_eq(&a[1], &b[1]));
    assert!(inks(500).is_empty() && inks(5000).is_empty());
    // The still one counts within the segment only, the moving one from where it begins.
    let at = Timestamp::from_millis;
    let key = track.key(at(2000), at(3000));
    assert_eq!((key[0].1, key[0].2), (at(0), at(1000)));
    assert_eq!((key[1].1, key[1].2), (at(-1000), at(3000)));
    assert!(track.key(at(5000), at(9000)).is_empty());
    assert_eq!(track.spans(at(2000)), [(at(1000), at(5000)); 2]);
}
