//! Rendering from a timeline: the right pictures in the right places, told by their own numbers.

use crate::support::{every_frame, native, output};
use rushes::Timestamp;
use rushes::control::Cancel;
use rushes::limits::Limits;
use rushes::render::{Edit, Manifest, PlanReport, RenderReport, Target};
use rushes::timeline::Timeline;
use rushes_fixtures::{Variant, film, have_encoder, numbered, read_number};
use std::num::NonZeroUsize;
use std::path::Path;

/// Random numbers that are the same everywhere (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// An edit of numbered films at 25 frames a second, their names by asset.
fn spec(assets: &[(&str, &Path)], items: &[String], output: &str) -> String {
    let assets: Vec<_> = assets
        .iter()
        .map(|(name, path)| format!("{name}: {{ file: '{}' }}", path.display()))
        .collect();
    format!(
        "{{ rushes: 1, canvas: {{ size: '320x180', rate: 25, colour: 'bt601' }},
            assets: {{ {} }}, video: [{{ items: [{}] }}], outputs: [{output}] }}",
        assets.join(", "),
        items.join(", ")
    )
}

const QUICK: &str = "{ video: { preset: 'ultrafast', crf: 18 } }";

fn edit(spec: &str) -> Edit {
    let timeline = Timeline::parse(spec).unwrap_or_else(|faults| panic!("{faults}\n{spec}"));
    Edit::open(timeline, Path::new("/"), &Limits::default(), &Cancel::new())
        .unwrap_or_else(|e| panic!("{e}"))
}

fn target(edit: &Edit, file: &Path) -> Target {
    let timeline = edit.timeline();
    Target::new(&timeline.canvas, timeline.outputs.first(), file).unwrap()
}

fn render(edit: &Edit, file: &Path) -> RenderReport {
    edit.render(&target(edit, file), file).unwrap_or_else(|e| panic!("{e}"))
}

fn plan(edit: &Edit, file: &Path) -> PlanReport {
    edit.plan(&target(edit, file), file).unwrap()
}

fn numbers(file: &Path) -> Vec<u32> {
    let (found, _) = every_frame(file, |picked, converter| {
        let picture = native(picked, converter)?;
        Ok(read_number(picture.as_raw(), picture.width(), picture.height()))
    });
    found
}

/// The numbers as the ffmpeg program decodes them: a second opinion on what was written.
fn numbers_by_ffmpeg(file: &Path) -> Vec<u32> {
    let args =
        ["-v", "error", "-i", file.to_str().unwrap(), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"];
    let bytes = output("ffmpeg", &args);
    bytes.chunks_exact(320 * 180 * 3).map(|rgb| read_number(rgb, 320, 180)).collect()
}

fn random_cuts(dice: &mut Dice, cuts: u64, longest: u64, film: u32) -> (Vec<String>, Vec<u32>) {
    let (mut items, mut expected) = (Vec::new(), Vec::new());
    for _ in 0..cuts {
        let length = 1 + dice.roll(longest) as u32;
        let from = dice.roll(u64::from(film - length)) as u32;
        items.push(format!("{{ asset: 'a', from: '{from}f', to: '{}f' }}", from + length));
        expected.extend(from..from + length);
    }
    (items, expected)
}

#[test]
fn a_thousand_random_cuts() {
    let film = numbered(Variant::Long);
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(0x5eed);
    for (longest, cuts) in [(12, 800), (120, 200)] {
        let (items, expected) = random_cuts(&mut dice, cuts, longest, film.frames);
        let edit = edit(&spec(&[("a", &film.path)], &items, QUICK));
        let file = dir.path().join("cuts.mp4");
        let report = render(&edit, &file);
        assert_eq!(report.frames, expected.len() as i64);
        assert_eq!(report.copied > 0, longest > 25, "whole groups are copied, and only those");
        assert_eq!(numbers(&file), expected);
        assert_eq!(numbers_by_ffmpeg(&file), expected);
    }
}

#[test]
fn cuts_of_every_kind_of_film() {
    let dir = tempfile::tempdir().unwrap();
    for &variant in Variant::ALL {
        if !have_encoder(variant.encoder())
            || matches!(variant, Variant::Vfr | Variant::VfrMp4 | Variant::Raw264)
        {
            continue;
        }
        // Turned films are read lying; they have a test of their own.
        let name = format!("{variant:?}");
        if name.starts_with("Rotated") || name == "Mirrored" {
            continue;
        }
        let film = numbered(variant);
        let mut dice = Dice(variant as u64 + 77);
        let (items, expected) = random_cuts(&mut dice, 12, 40, film.frames);
        let edit = edit(&spec(&[("a", &film.path)], &items, QUICK));
        let file = dir.path().join("cuts.mkv");
        render(&edit, &file);
        let expected: Vec<u32> = expected.iter().map(|n| n + film.first).collect();
        assert_eq!(numbers(&file), expected, "{name}");
        assert_eq!(numbers_by_ffmpeg(&file), expected, "{name}");
    }
}

#[test]
fn pictures_do_not_depend_on_threads() {
    let film = numbered(Variant::Long);
    let dir = tempfile::tempdir().unwrap();
    let (items, _) = random_cuts(&mut Dice(3), 30, 60, film.frames);
    let output = "{ copy: false, video: { preset: 'ultrafast' } }";
    let made: Vec<_> = [1, 2, 8]
        .map(|jobs| {
            let file = dir.path().join(format!("{jobs}.mp4"));
            let edit = edit(&spec(&[("a", &film.path)], &items, output))
                .jobs(NonZeroUsize::new(jobs).unwrap());
            render(&edit, &file);
            let pictures: Vec<_> = Manifest::of(&file)
                .unwrap()
                .segments
                .into_iter()
                .map(|s| (s.pictures, s.coded))
                .collect();
            (pictures, std::fs::read(&file).unwrap())
        })
        .into_iter()
        .collect();
    assert!(made[0].0.iter().all(|(pictures, _)| pictures.is_some()));
    assert!(made.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn groups_that_nothing_changes_are_copied() {
    let film = numbered(Variant::Long);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cut.mp4");
    // 10 to 140: groups begin at every 25.
    let edit = edit(&spec(
        &[("a", &film.path)],
        &["{ asset: 'a', from: '10f', to: '140f' }".into()],
        QUICK,
    ));
    let planned = plan(&edit, &file);
    assert_eq!((planned.copied, planned.encoded, planned.cached), (100, 30, 0));
    let report = render(&edit, &file);
    assert_eq!((report.copied, report.encoded), (100, 30));
    assert_eq!(numbers(&file), (10..140).collect::<Vec<_>>());
    assert_eq!(numbers_by_ffmpeg(&file), (10..140).collect::<Vec<_>>());
}

#[test]
fn sources_of_many_kinds_in_one_edit() {
    // Six codecs, three clocks, another size: all brought to one canvas.
    let variants = [
        Variant::ClosedGop,
        Variant::Hevc,
        Variant::Vp9,
        Variant::Mpeg2,
        Variant::Mjpeg,
        Variant::Ffv1,
        Variant::TsWrap,
        Variant::EditList,
    ];
    let films: Vec<_> = variants
        .into_iter()
        .filter(|variant| have_encoder(variant.encoder()))
        .map(|variant| (format!("{variant:?}"), numbered(variant)))
        .collect();
    let assets: Vec<(&str, &Path)> =
        films.iter().map(|(name, film)| (name.as_str(), film.path.as_path())).collect();
    let (mut items, mut expected) = (Vec::new(), Vec::new());
    for (i, (name, film)) in films.iter().enumerate() {
        let (from, to) = (7 + i as u32, 31 + 2 * i as u32);
        items.push(format!("{{ asset: '{name}', from: '{from}f', to: '{to}f', fit: 'stretch' }}"));
        expected.extend(film.first + from..film.first + to);
    }
    let dir = tempfile::tempdir().unwrap();
    for (canvas, ending) in [("320x180", "mp4"), ("256x192", "mkv")] {
        let spec = spec(&assets, &items, QUICK).replace("320x180", canvas);
        let edit = edit(&spec);
        let file = dir.path().join(format!("mixed.{ending}"));
        render(&edit, &file);
        assert_eq!(numbers(&file), expected, "{canvas}");
    }
}

#[test]
fn a_varying_rate_becomes_an_even_one() {
    let film = numbered(Variant::VfrMp4);
    let dir = tempfile::tempdir().unwrap();
    let edit = edit(&spec(
        &[("a", &film.path)],
        &["{ asset: 'a', from: '20f', to: '80f' }".into()],
        QUICK,
    ));
    let file = dir.path().join("even.mp4");
    render(&edit, &file);
    let expected: Vec<u32> = (20..80).map(|n| film.number_at(n * 40)).collect();
    assert_eq!(numbers(&file), expected);
}

#[test]
fn speed_reverse_and_freeze_show_the_right_pictures() {
    let film = numbered(Variant::Long);
    let dir = tempfile::tempdir().unwrap();
    let items = [
        "{ asset: 'a', from: '100f', to: '140f', speed: 2 }",
        "{ asset: 'a', from: '200f', to: '210f', speed: 0.5 }",
        "{ asset: 'a', from: '300f', to: '330f', reverse: true }",
        "{ asset: 'a', from: '77f', freeze: true, length: '9f' }",
    ];
    let edit = edit(&spec(&[("a", &film.path)], &items.map(str::to_owned), QUICK));
    let file = dir.path().join("speeds.mp4");
    render(&edit, &file);
    let expected: Vec<u32> = (100..140)
        .step_by(2)
        .chain((200..210).flat_map(|n| [n, n]))
        .chain((300..330).rev())
        .chain([77; 9])
        .collect();
    assert_eq!(numbers(&file), expected);
}

#[test]
fn every_container_and_codec() {
    let film = numbered(Variant::ClosedGop);
    let dir = tempfile::tempdir().unwrap();
    let expected: Vec<u32> = (5..70).collect();
    for (codec, encoder, preset, endings) in [
        ("h264", "libx264", "ultrafast", &["mp4", "mov", "mkv"][..]),
        ("hevc", "libx265", "ultrafast", &["mp4", "mov", "mkv"]),
        ("vp9", "libvpx-vp9", "8", &["webm", "mkv", "mp4"]),
        ("av1", "libsvtav1", "12", &["mp4", "mkv", "webm"]),
        ("prores", "prores_ks", "", &["mov"]),
    ] {
        if !have_encoder(encoder) {
            continue;
        }
        let preset =
            if preset.is_empty() { String::new() } else { format!(", preset: '{preset}'") };
        let output = format!("{{ copy: false, video: {{ codec: '{codec}'{preset} }} }}");
        let edit = edit(&spec(
            &[("a", &film.path)],
            &["{ asset: 'a', from: '5f', to: '70f' }".into()],
            &output,
        ));
        for ending in endings {
            let file = dir.path().join(format!("{codec}.{ending}"));
            render(&edit, &file);
            assert_eq!(numbers(&file), expected, "{codec} in {ending}");
            assert_eq!(numbers_by_ffmpeg(&file), expected, "{codec} in {ending}");
            let verified =
                rushes::render::verify(&file, false, &Limits::default(), &Cancel::new()).unwrap();
            assert_eq!(verified.faults, Vec::<String>::new(), "{codec} in {ending}");
            let probed = output_of_probe(&file);
            assert!(probed.contains("color_space=smpte170m"), "{codec} in {ending}: {probed}");
            assert!(probed.contains("color_range=tv"), "{codec} in {ending}: {probed}");
            assert!(probed.contains("nb_read_packets=65"), "{codec} in {ending}: {probed}");
        }
    }
}

fn output_of_probe(file: &Path) -> String {
    let args = [
        "-v",
        "error",
        "-select_streams",
        "v",
        "-count_packets",
        "-show_entries",
        "stream=codec_name,width,height,color_space,color_range,r_frame_rate,duration,nb_read_packets,start_time",
        "-of",
        "default=nw=1",
        file.to_str().unwrap(),
    ];
    String::from_utf8(output("ffprobe", &args)).unwrap()
}

#[test]
fn a_killed_render_goes_on_and_an_edited_one_does_only_what_changed() {
    let film = numbered(Variant::Long);
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let output = "{ copy: false, video: { preset: 'ultrafast' } }";
    let make = |second: u32| {
        let items = [
            "{ asset: 'a', from: '0f', to: '400f' }".to_owned(),
            format!("{{ asset: 'a', from: '{second}f', to: '{}f' }}", second + 50),
            "{ asset: 'a', from: '600f', to: '900f' }".to_owned(),
        ];
        edit(&spec(&[("a", &film.path)], &items, output))
    };
    let whole = dir.path().join("whole.mp4");
    render(&make(500).jobs(NonZeroUsize::MIN), &whole);

    // Stopped on the way: what is finished stays, nothing appears under the output's name.
    let file = dir.path().join("stopped.mp4");
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let timeline = make(500).timeline().clone();
    let stopped = Edit::open(timeline, Path::new("/"), &Limits::default(), &cancel)
        .unwrap()
        .jobs(NonZeroUsize::MIN)
        .cache(&cache, u64::MAX)
        .on_progress(std::sync::Arc::new(move |progress| {
            if progress.frames > 300 {
                stop.cancel();
            }
        }));
    assert!(stopped.render(&target(&stopped, &file), &file).is_err());
    assert!(!file.exists());
    let report = render(&make(500).cache(&cache, u64::MAX), &file);
    assert!(report.cached >= 225 && report.cached < 750, "{report:?}");
    assert_eq!(std::fs::read(&file).unwrap(), std::fs::read(&whole).unwrap());

    // Another second item: the rest is found, though it stands elsewhere in the programme.
    let again = dir.path().join("again.mp4");
    let edited = make(550).cache(&cache, u64::MAX);
    assert_eq!(plan(&edited, &again).encoded, 50);
    let report = render(&edited, &again);
    assert_eq!((report.encoded, report.cached), (50, 700));
    let expected: Vec<u32> = (0..400).chain(550..600).chain(600..900).collect();
    assert_eq!(numbers(&again), expected);
    // A damaged part is made anew.
    let part = std::fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    render(&make(550).cache(&cache, u64::MAX), &again);
    assert_eq!(numbers(&again), expected);
}

#[test]
fn sound_stays_with_the_picture() {
    // A film with sound, cut at odd places: each stretch is where it is in the source.
    let film = film();
    let dir = tempfile::tempdir().unwrap();
    let spec = format!(
        "{{ rushes: 1, canvas: {{ size: '320x180', rate: '30000/1001' }}, assets: {{ a: {{ file: '{}' }} }},
            video: [{{ items: [{{ asset: 'a', from: '1001/1000', to: '1.7s' }},
                               {{ asset: 'a', from: '0.35s', to: '1.55s' }}] }}],
            outputs: [{{ audio: {{ codec: 'flac' }}, video: {{ preset: 'ultrafast' }} }}] }}",
        film.display()
    );
    let edit = edit(&spec);
    let file = dir.path().join("sound.mkv");
    render(&edit, &file);
    let (made, _) = crate::support::sound(&file, stereo());
    let (source, _) = crate::support::sound(&film, stereo());
    assert_eq!(made.samples.len() as u64, 2 * edit.layout().samples);
    let mut heard = false;
    for clip in &edit.layout().sound {
        let from = (clip.from.as_secs_f64() * 48_000.0).round() as usize;
        // Away from the seams, where resamplers and decoders start.
        let (a, b) = (clip.start as usize + 2400, clip.end as usize - 2400);
        let off = a - clip.start as usize;
        let made = &made.samples[2 * a..2 * b];
        let wanted = &source.samples[2 * (from + off)..][..made.len()];
        let worst = made.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 0.01, "{worst}");
        heard |= wanted.iter().any(|s| s.abs() > 0.05);
    }
    assert!(heard, "the film is not silent");
}

fn stereo() -> rushes::media::SoundFormat {
    rushes::media::SoundFormat {
        rate: std::num::NonZeroU32::new(48_000),
        channels: rushes::media::Channels::Stereo,
    }
}

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    let film = numbered(Variant::ClosedGop);
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("own.mp4");
    std::fs::copy(&film.path, &own).unwrap();
    let before = std::fs::read(&own).unwrap();
    let over = edit(&spec(&[("a", &own)], &["{ asset: 'a' }".into()], QUICK));
    let error = over.render(&target(&over, &own), &own).unwrap_err();
    assert_eq!(error.kind(), rushes::ErrorKind::Limit);
    assert_eq!(std::fs::read(&own).unwrap(), before);

    let open = |assets: &[(&str, &Path)], item: &str| {
        let timeline = Timeline::parse(&spec(assets, &[item.to_owned()], QUICK)).unwrap();
        Edit::open(timeline, Path::new("/"), &Limits::default(), &Cancel::new())
            .err()
            .unwrap()
            .to_string()
    };
    let broken = dir.path().join("broken.mp4");
    std::fs::write(&broken, b"no film").unwrap();
    let missing = dir.path().join("missing.mp4");
    let told =
        open(&[("a", &film.path), ("b", &broken), ("c", &missing)], "{ asset: 'a', to: '5s' }");
    for wanted in ["3 faults", "/assets/b", "/assets/c", "/video/0/items/0/to"] {
        assert!(told.contains(wanted), "{told}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn verify_tells_what_was_changed() {
    let film = numbered(Variant::ClosedGop);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cut.mp4");
    let items = [
        "{ asset: 'a', from: '10f', to: '90f' }".to_owned(),
        "{ colour: 'black', length: '2s' }".to_owned(),
    ];
    render(&edit(&spec(&[("a", &film.path)], &items, QUICK)), &file);
    let verify =
        || rushes::render::verify(&file, true, &Limits::default(), &Cancel::new()).unwrap();
    let report = verify();
    assert_eq!(report.faults, Vec::<String>::new());
    assert_eq!(report.suspicions.len(), 1, "{report:?}");
    assert_eq!(report.suspicions[0].span.start, Timestamp::from_millis(3200));
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(4).position(|w| w == b"mdat").unwrap() + 2000;
    bytes[at] ^= 0xff;
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(verify().faults.len(), 1);
    bytes.pop();
    std::fs::write(&file, &bytes).unwrap();
    assert!(verify().faults.len() >= 2);
}

#[test]
fn frames_and_previews() {
    let film = numbered(Variant::Long);
    let edit = edit(&spec(
        &[("a", &film.path)],
        &["{ asset: 'a', from: '500f', to: '600f' }".into()],
        QUICK,
    ));
    let picture = edit.frame(Timestamp::from_millis(1000)).unwrap();
    assert_eq!(read_number(picture.as_raw(), picture.width(), picture.height()), 525);
    assert!(edit.frame(Timestamp::from_secs(4)).is_err());
    let small = edit.preview(90).unwrap();
    let picture = small.frame(Timestamp::from_millis(1000)).unwrap();
    assert_eq!((picture.width(), picture.height()), (160, 90));
    assert_eq!(read_number(picture.as_raw(), picture.width(), picture.height()), 525);
}

#[test]
fn films_that_lie_or_are_mirrored_stand_upright() {
    let dir = tempfile::tempdir().unwrap();
    let lying = [Variant::Rotated90, Variant::Rotated180, Variant::Rotated270, Variant::Mirrored];
    for variant in lying {
        let film = numbered(variant);
        let edit = edit(&spec(
            &[("a", &film.path)],
            &["{ asset: 'a', from: '5f', to: '50f' }".into()],
            QUICK,
        ));
        let file = dir.path().join("turned.mp4");
        render(&edit, &file);
        assert_eq!(numbers(&file), (5..50).collect::<Vec<_>>(), "{variant:?}");
        assert_eq!(numbers_by_ffmpeg(&file), (5..50).collect::<Vec<_>>(), "{variant:?}");
    }
}

fn srt(captions: &[(u32, u32, &str)]) -> String {
    let time = |second: u32| format!("00:{:02}:{:02},000", second / 60, second % 60);
    let blocks = captions.iter().enumerate().map(|(i, (start, end, text))| {
        format!("{}\n{} --> {}\n{text}\n\n", i + 1, time(*start), time(*end))
    });
    blocks.collect()
}

#[test]
fn an_edited_caption_is_all_that_is_encoded_again() {
    let film = numbered(Variant::Long);
    let dir = tempfile::tempdir().unwrap();
    let (cache, captions) = (dir.path().join("cache"), dir.path().join("talk.srt"));
    let make = |text: &str| {
        let told: Vec<_> =
            (0..20).map(|n| (3 * n, 3 * n + 2, if n == 7 { text } else { "as ever" })).collect();
        std::fs::write(&captions, srt(&told)).unwrap();
        let spec = spec(&[("a", &film.path)], &["{ asset: 'a' }".into()], QUICK);
        let captions = format!("captions: [{{ file: '{}' }}], outputs", captions.display());
        edit(&spec.replace("outputs", &captions)).cache(&cache, u64::MAX)
    };
    let file = dir.path().join("talk.mp4");
    let report = render(&make("first"), &file);
    // The groups (of a second) that no caption is on are copied.
    assert_eq!(report.copied, 20 * 25);
    let planned = plan(&make("second"), &file);
    assert!((50..=150).contains(&planned.encoded), "{planned:?}");
    assert_eq!(plan(&make("first"), &file).encoded, 0);

    // What is written is seen, and only there.
    let (with, without) =
        (make("first"), edit(&spec(&[("a", &film.path)], &["{ asset: 'a' }".into()], QUICK)));
    for (millis, differs) in [(500, true), (2500, false), (22_000, true)] {
        let time = Timestamp::from_millis(millis);
        let (a, b) = (with.frame(time).unwrap(), without.frame(time).unwrap());
        assert_eq!(a != b, differs, "{millis}");
        let upper = (a.width() * a.height() / 2 * 3) as usize;
        assert_eq!(a.as_raw()[..upper], b.as_raw()[..upper]);
    }
}

#[test]
fn captions_follow_their_asset() {
    let film = numbered(Variant::Long);
    let dir = tempfile::tempdir().unwrap();
    let captions = dir.path().join("talk.srt");
    std::fs::write(&captions, srt(&[(10, 12, "here"), (40, 41, "there")])).unwrap();
    let items = [
        "{ asset: 'a', from: '39s', to: '42s' }".to_owned(),
        "{ asset: 'a', from: '11s', to: '15s' }".to_owned(),
    ];
    let plain = spec(&[("a", &film.path)], &items, QUICK);
    let captions = format!("captions: [{{ file: '{}', asset: 'a' }}], outputs", captions.display());
    let (with, without) = (edit(&plain.replace("outputs", &captions)), edit(&plain));
    let seen: Vec<bool> = (0..14)
        .map(|half| {
            let time = Timestamp::from_millis(half * 500 + 20);
            with.frame(time).unwrap() != without.frame(time).unwrap()
        })
        .collect();
    let expected: Vec<bool> = (0..14).map(|half| matches!(half, 2 | 3 | 6 | 7)).collect();
    assert_eq!(seen, expected);
}

#[test]
fn styled_captions_keep_their_look_unless_the_edit_gives_one() {
    let film = numbered(Variant::Long);
    let dir = tempfile::tempdir().unwrap();
    let captions = dir.path().join("signs.ass");
    let ass = "[Script Info]\nPlayResX: 100\nPlayResY: 100\n[V4+ Styles]\n\
        Format: Name, Fontname, Fontsize, PrimaryColour, Outline, Alignment\n\
        Style: Default,DejaVu Sans,30,&H000000FF,0,8\n[Events]\n\
        Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\move(50,0,50,60)}sign\n";
    std::fs::write(&captions, ass).unwrap();
    let plain = spec(&[("a", &film.path)], &["{ asset: 'a', from: '1s', to: '4s' }".into()], QUICK);
    let with = |more: &str| {
        let file = captions.display();
        plain.replace("outputs", &format!("captions: [{{ file: '{file}'{more} }}], outputs"))
    };
    let bare = edit(&plain);
    // Where a frame differs from the film: the first and last row, and whether anything red is there.
    let seen = |edit: &Edit, millis: i64| {
        let time = Timestamp::from_millis(millis);
        let (a, b) = (edit.frame(time).unwrap(), bare.frame(time).unwrap());
        let rows = a.enumerate_pixels().zip(b.pixels()).filter(|((_, _, p), q)| p != q);
        let rows: Vec<_> = rows.map(|((_, y, p), _)| (y, p.0)).collect();
        let red = rows.iter().any(|(_, [r, g, b])| *r > 200 && *g < 60 && *b < 60);
        (rows.first().map(|r| r.0), rows.last().map(|r| r.0), red)
    };
    let styled = edit(&with(""));
    let (top, early, red) = seen(&styled, 1040);
    assert!(red && top.is_some(), "{top:?}");
    let (_, late, _) = seen(&styled, 1900);
    assert!(late > early, "it moves down: {early:?} {late:?}");
    assert_eq!(seen(&styled, 2040), (None, None, false));
    // With the asset, the first second of the film is not shown.
    assert!(seen(&edit(&with(", asset: 'a'")), 40).2);
    // Words alone, in the edit's look.
    let words = edit(&with(", styles: 'plain'"));
    assert!(!seen(&words, 1040).2 && seen(&words, 1040).1.is_some());
    assert!(!seen(&edit(&with(", look: { size: 0.1 }")), 1040).2);
    // Two looks are one too many.
    let both = Timeline::parse(&with(", styles: 'file', look: { size: 0.1 }")).unwrap();
    let error = Edit::open(both, Path::new("/"), &Limits::default(), &Cancel::new());
    assert!(error.err().unwrap().to_string().contains("brings its own look"));
}

#[test]
fn a_missing_glyph_font_or_table_is_told_before_the_first_frame() {
    let film = numbered(Variant::ClosedGop);
    let items = [
        "{ asset: 'a', to: '2s', effects: [{ lut: 'no.cube' }] }".to_owned(),
        "{ title: { text: 'so \u{6f22} so' }, length: '1s' }".to_owned(),
    ];
    let text = spec(&[("a", &film.path)], &items, QUICK)
        .replace("outputs", "fonts: ['no.ttf'], captions: [{ file: 'no.srt' }], outputs");
    let timeline = Timeline::parse(&text).unwrap();
    let told =
        Edit::open(timeline, Path::new("/"), &Limits::default(), &Cancel::new()).err().unwrap();
    for wanted in [
        "/fonts/0",
        "/captions/0/file",
        "/video/0/items/1/title",
        "/video/0/items/0/effects/0/lut",
        "rushes models pull noto-sans-sc",
    ] {
        assert!(told.to_string().contains(wanted), "{wanted}: {told}");
    }
}

#[test]
fn transitions_lead_from_one_item_to_the_next() {
    let film = numbered(Variant::ClosedGop);
    let items = [
        "{ colour: 'black', length: '2s' }".to_owned(),
        "{ colour: 'white', length: '2s', enter: { kind: 'wipe-left', length: '1s' } }".to_owned(),
    ];
    let edit = edit(&spec(&[("a", &film.path)], &items, QUICK));
    assert_eq!(edit.layout().frames, 75);
    let pixel = |millis: i64, x: u32| {
        edit.frame(Timestamp::from_millis(millis)).unwrap().get_pixel(x, 90).0[0]
    };
    assert_eq!((pixel(960, 10), pixel(960, 310)), (0, 0));
    let (left, right) = (pixel(1480, 10), pixel(1480, 310));
    assert!(left < 5 && right > 250, "{left} {right}");
    assert_eq!((pixel(2000, 10), pixel(2000, 310)), (255, 255));
}

#[test]
fn loudness_is_what_was_asked_for() {
    let film = film();
    let dir = tempfile::tempdir().unwrap();
    let spec = format!(
        "{{ rushes: 1, canvas: {{ size: '320x180', rate: 25 }}, assets: {{ a: {{ file: '{}' }} }},
            video: [{{ items: [{{ asset: 'a' }}] }}], sound: {{ loudness: -21.5, true_peak: -1.5 }},
            outputs: [{{ audio: {{ codec: 'flac' }}, video: {{ preset: 'ultrafast' }} }}] }}",
        film.display()
    );
    let file = dir.path().join("loud.mkv");
    render(&edit(&spec), &file);
    let (heard, _) = crate::support::sound(&file, stereo());
    let whole = rushes::render::sound::Stereo::from_interleaved(&heard.samples, 2);
    let found = rushes::render::sound::measure(&whole).unwrap();
    assert!((found.integrated + 21.5).abs() < 0.5 && found.true_peak < -1.4, "{found:?}");
}
