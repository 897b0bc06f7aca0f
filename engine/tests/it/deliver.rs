//! What comes out of a render besides the right pictures: destinations, animations, rates of bits,
//! memory, colour, sound, and what a check finds.

use crate::support::{arg, output};
use rushes::Timestamp;
use rushes::control::Cancel;
use rushes::limits::Limits;
use rushes::render::{Edit, Manifest, Oddity, Target, VerifyReport, verify};
use rushes::timeline::{Template, Timeline, Values};
use rushes_fixtures::{self as fixtures, Variant, numbered, read_number};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

fn spec(film: &Path, items: &str, more: &str) -> String {
    format!(
        "{{ rushes: 1, canvas: {{ size: '320x180', rate: 25, colour: 'bt601' }},
            assets: {{ a: {{ file: '{}' }} }}, video: [{{ items: [{items}] }}], {more} }}",
        film.display()
    )
}

fn open(spec: &str) -> Edit {
    let timeline = Timeline::parse(spec).unwrap_or_else(|faults| panic!("{faults}\n{spec}"));
    Edit::open(timeline, Path::new("/"), &Limits::default(), &Cancel::new())
        .unwrap_or_else(|e| panic!("{e}"))
}

fn target(edit: &Edit, file: &Path) -> Target {
    Target::new(&edit.timeline().canvas, edit.timeline().outputs.first(), file).unwrap()
}

fn render(spec: &str, file: &Path) -> Edit {
    let edit = open(spec);
    edit.render(&target(&edit, file), file).unwrap_or_else(|e| panic!("{e}"));
    edit
}

fn checked(file: &Path) -> VerifyReport {
    verify(file, true, &Limits::default(), &Cancel::new()).unwrap()
}

fn probed(file: &Path, entries: &str) -> String {
    let args = ["-v", "error", "-select_streams", "v", "-show_entries", entries, "-of"];
    let said = output("ffprobe", &[&args[..], &["default=nw=1:nk=1", arg(file)]].concat());
    String::from_utf8(said).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A film of grey frames, frame n of luma 16 + 4 n.
fn ramp(dir: &Path) -> PathBuf {
    let path = dir.join("ramp.mp4");
    let source = "color=black:s=320x180:r=25:d=2,geq=lum='16+4*N':cb=128:cr=128";
    let coding = ["-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p", "-colorspace", "smpte170m"];
    let args = ["-v", "error", "-f", "lavfi", "-i", source];
    output("ffmpeg", &[&args[..], &coding, &["-y", arg(&path)]].concat());
    path
}

#[test]
fn a_frame_at_another_speed_blends_what_it_stands_for() {
    let dir = tempfile::tempdir().unwrap();
    let film = ramp(dir.path());
    // As shown: (luma - 16) * 255 / 219.
    let shown = |edit: &Edit, n: i64| {
        let picture = edit.frame(Timestamp::from_millis(n * 40 + 1)).unwrap();
        f64::from(picture.get_pixel(160, 90).0[0]) * 219.0 / 255.0 / 4.0
    };
    let at = |item: &str| {
        let edit = open(&spec(&film, &format!("{{ asset: 'a', {item} }}"), ""));
        (0..8).map(|n| shown(&edit, n)).collect::<Vec<_>>()
    };
    let near = |found: &[f64], wanted: &[f64], what: &str| {
        let far = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(far < 0.3, "{what}: {found:?} {wanted:?}");
    };
    let course =
        |first: f64, step: f64| (0..8).map(|n| first + step * n as f64).collect::<Vec<_>>();
    near(&at("from: '4f', speed: 2"), &course(4.0, 2.0), "twice as fast");
    // Frames 4 and 5, then 6 and 7, are halfway between them.
    near(&at("from: '4f', speed: 2, blend: true"), &course(4.5, 2.0), "twice as fast, blended");
    near(&at("from: '4f', speed: 3, blend: true"), &course(5.0, 3.0), "three times, blended");
    near(&at("from: '4f', to: '24f', speed: 0.5, blend: true"), &course(4.0, 0.5), "half, blended");
    near(&at("from: '4f', speed: 1, blend: true"), &course(4.0, 1.0), "as it is");
    // The last picture of all stays alone.
    let edit = open(&spec(&film, "{ asset: 'a', from: '40f', speed: 4, blend: true }", ""));
    assert_eq!(edit.layout().frames, 3);
    let wanted: Vec<f64> = vec![41.5, 45.5, 48.5];
    near(&(0..3).map(|n| shown(&edit, n)).collect::<Vec<_>>(), &wanted, "up to the end");
}

#[test]
fn blended_pictures_do_not_depend_on_threads() {
    let film = numbered(Variant::Long);
    let dir = tempfile::tempdir().unwrap();
    let items = "{ asset: 'a', from: '3f', to: '600f', speed: 2.3, blend: true },
                 { asset: 'a', from: '100f', to: '200f', speed: 0.37, blend: true, mute: true }";
    let more = "outputs: [{ video: { preset: 'ultrafast' } }]";
    let made = [1, 3].map(|jobs| {
        let file = dir.path().join(format!("{jobs}.mp4"));
        let edit = open(&spec(&film.path, items, more)).jobs(NonZeroUsize::new(jobs).unwrap());
        edit.render(&target(&edit, &file), &file).unwrap();
        Manifest::of(&file).unwrap().segments
    });
    assert_eq!(made[0], made[1]);
}

#[test]
fn interlaced_films_are_made_whole_the_same_way_from_anywhere() {
    let film = fixtures::interlaced();
    let dir = tempfile::tempdir().unwrap();
    let spec = |items: &str| {
        spec(&film, items, "outputs: [{ video: { preset: 'ultrafast' } }]")
            .replace("320x180", "352x288")
    };
    // As a reading that is asked for it gives them.
    let whole = |deinterlace: bool| {
        crate::support::frames_of(
            &film,
            |reading| reading.deinterlace(deinterlace),
            rushes::FramePolicy::All,
            rushes::Precision::Exact,
            crate::support::native,
        )
        .unwrap()
        .0
    };
    let (mended, torn) = (whole(true), whole(false));
    let edit = open(&spec("{ asset: 'a' }"));
    for n in [0, 7, 8, 30, 31, 12, mended.len() - 1] {
        let made = edit.frame(Timestamp::from_millis(n as i64 * 40)).unwrap();
        let far = |other: &image::RgbImage| {
            crate::support::difference(&grey(made.as_raw()), &grey(other.as_raw())).mean
        };
        let (ours, theirs) = (far(&mended[n]), far(&torn[n]));
        // Two ways to RGB are no closer than this.
        assert!(
            ours < 3.0 && theirs > 1.5 * ours,
            "{n}: {ours} from whole ones, {theirs} from torn"
        );
    }
    // Threads come to a frame by reading on or by seeking.
    let made = [1, 2, 8].map(|jobs| {
        let file = dir.path().join(format!("{jobs}.mp4"));
        let items = "{ asset: 'a', from: '1f' }, { asset: 'a', from: '9f', reverse: true },
                     { asset: 'a', from: '40f' }, { asset: 'a', from: '13f', to: '60f', speed: 0.5 }";
        let edit = open(&spec(items)).jobs(NonZeroUsize::new(jobs).unwrap());
        edit.render(&target(&edit, &file), &file).unwrap();
        let segments = Manifest::of(&file).unwrap().segments;
        segments.into_iter().map(|piece| piece.pictures).collect::<Vec<_>>()
    });
    assert!(made[0].len() > 2);
    assert_eq!(made[0], made[1]);
    assert_eq!(made[0], made[2]);
}

#[test]
fn animations_show_every_frame_and_are_known_again() {
    let film = numbered(Variant::Long);
    let dir = tempfile::tempdir().unwrap();
    for ending in ["gif", "webp"] {
        let file = dir.path().join(format!("short.{ending}"));
        let edit = render(&spec(&film.path, "{ asset: 'a', from: '40f', to: '70f' }", ""), &file);
        assert_eq!(checked(&file).faults, Vec::<String>::new());
        let again = edit.render(&target(&edit, &file), &file).unwrap();
        assert!(again.current && again.frames == 30, "{again:?}");
        let bytes = std::fs::read(&file).unwrap();
        if ending == "webp" {
            // Frames that look like the one before are one frame.
            let frames = bytes.windows(4).filter(|w| w == b"ANMF").count();
            assert_eq!(frames, 30);
            continue;
        }
        let args = ["-v", "error", "-i", arg(&file), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"];
        let rgb = output("ffmpeg", &args);
        let numbers: Vec<_> =
            rgb.chunks_exact(320 * 180 * 3).map(|rgb| read_number(rgb, 320, 180)).collect();
        assert_eq!(numbers, (40..70).collect::<Vec<_>>());
        assert_eq!(probed(&file, "stream=r_frame_rate"), "25/1");
        // One byte in it.
        let mut harmed = bytes.clone();
        harmed[bytes.len() / 2] ^= 1;
        std::fs::write(&file, harmed).unwrap();
        assert_eq!(checked(&file).faults.len(), 1);
    }
    let fast = spec(&film.path, "{ asset: 'a' }", "outputs: [{ file: 'x.gif' }]");
    let told = Timeline::parse(&fast.replace("rate: 25", "rate: 60")).unwrap_err();
    assert!(told.to_string().contains("50 frames a second"), "{told}");
}

#[test]
fn a_destination_says_size_coding_and_loudness() {
    let film = numbered(Variant::ClosedGop);
    let dir = tempfile::tempdir().unwrap();
    let text = spec(&film.path, "{ asset: 'a', to: '10f', fit: 'cover' }", "");
    let mut template = Template::parse(&text).unwrap();
    template.preset("square").unwrap();
    let timeline = template.fill(&Values::new()).unwrap();
    let edit = Edit::open(timeline, Path::new("/"), &Limits::default(), &Cancel::new()).unwrap();
    let file = dir.path().join("made");
    let target = target(&edit, &file);
    edit.render(&target, &file).unwrap();
    assert_eq!(probed(&file, "stream=codec_name,width,height"), "h264 1080 1080");
    assert_eq!(target.film.limit.unwrap().most, 10_000_000);
    assert!(template.preset("round").unwrap_err().to_string().contains("vertical-short"));
}

/// Half of it noise, half of it still.
fn uneven(dir: &Path) -> PathBuf {
    let path = dir.join("uneven.mp4");
    let graph = "color=0x406080:s=320x180:r=25:d=6[a];nullsrc=s=320x180:r=25:d=6,\
                 geq=lum='random(1)*200+20':cb=128:cr=128[b];[a][b]concat=n=2";
    let coding = ["-c:v", "libx264", "-preset", "ultrafast", "-qp", "12", "-pix_fmt", "yuv420p"];
    let args = ["-v", "error", "-filter_complex", graph];
    output("ffmpeg", &[&args[..], &coding, &["-y", arg(&path)]].concat());
    path
}

fn bits(file: &Path) -> f64 {
    let sizes = probed(file, "packet=size");
    8.0 * sizes.split(' ').map(|size| size.parse::<f64>().unwrap()).sum::<f64>()
}

#[test]
fn two_passes_divide_the_bits_by_what_needs_them() {
    let dir = tempfile::tempdir().unwrap();
    let film = uneven(dir.path());
    let made = |jobs: usize, passes: u32| {
        let file = dir.path().join(format!("{jobs}-{passes}.mp4"));
        let more = format!(
            "outputs: [{{ copy: false, video: {{ bitrate: 1000000, passes: {passes}, preset: 'veryfast' }} }}]"
        );
        let edit = open(&spec(&film, "{ asset: 'a' }", &more));
        let edit = edit.jobs(NonZeroUsize::new(jobs).unwrap());
        edit.render(&target(&edit, &file), &file).unwrap();
        assert_eq!(checked(&file).faults, Vec::<String>::new());
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().collect();
        assert!(
            left.iter().all(|e| !e.file_name().to_string_lossy().contains("parts")),
            "{left:?}"
        );
        file
    };
    let (one, two, again) = (made(1, 1), made(1, 2), made(3, 2));
    assert_eq!(std::fs::read(&two).unwrap(), std::fs::read(&again).unwrap());
    let wanted = 12.0 * 1e6;
    let (single, double) = (bits(&one), bits(&two));
    eprintln!("{single} bits in one pass, {double} in two, of {wanted}");
    assert!((double / wanted - 1.0).abs() < 0.1, "{double} of {wanted}");
    // The still half leaves its bits to the noise.
    let sizes: Vec<f64> =
        probed(&two, "packet=size").split(' ').map(|size| size.parse().unwrap()).collect();
    let (still, noise) = sizes.split_at(150);
    let (still, noise) = (still.iter().sum::<f64>(), noise.iter().sum::<f64>());
    assert!(noise > 8.0 * still, "{still} and {noise} bytes");
}

#[test]
fn a_rate_is_not_passed() {
    let dir = tempfile::tempdir().unwrap();
    let film = uneven(dir.path());
    let made = |limit: &str| {
        let file = dir.path().join("limited.mp4");
        let more = format!(
            "outputs: [{{ copy: false, video: {{ crf: 20, preset: 'veryfast' {limit} }} }}]"
        );
        render(&spec(&film, "{ asset: 'a', from: '6s' }", &more), &file);
        bits(&file) / 6.0
    };
    let (free, held) = (made(""), made(", maxrate: 1500000, bufsize: 1500000"));
    // Every stretch of 3 s begins with a buffer that is nearly full.
    assert!(free > 2.5e6 && held < 1.5e6 * (1.0 + 1.0 / 3.0), "{free} {held}");
}

#[test]
fn a_check_finds_clicks_and_pictures_that_hardly_change() {
    let dir = tempfile::tempdir().unwrap();
    let film = dir.path().join("tone.mkv");
    // A picture with faint noise, and a tone.
    let args = [
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=320x180:r=25:d=1,loop=150:1:0,noise=alls=1",
        "-f",
        "lavfi",
        "-i",
        "sine=f=331:r=48000:d=6,volume=4",
        "-t",
        "6",
        "-c:v",
        "libx264",
        "-crf",
        "12",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "flac",
        "-y",
        arg(&film),
    ];
    output("ffmpeg", &args);
    let found = |items: &str, what: Oddity| {
        let file = dir.path().join("out.mp4");
        let more = "outputs: [{ video: { preset: 'ultrafast', crf: 23 } }]";
        render(&spec(&film, items, more), &file);
        let report = checked(&file);
        assert_eq!(report.faults, Vec::<String>::new());
        let of = |s: &&rushes::render::Suspicion| s.what == what;
        report.suspicions.iter().filter(of).map(|s| s.span).collect::<Vec<_>>()
    };
    // From the end of a period to a quarter of one.
    let cut = "{ asset: 'a', to: '1s' }, { asset: 'a', from: '2.00075s', to: '4s' }";
    let clicks = found(cut, Oddity::Click);
    assert_eq!(clicks.len(), 1, "{clicks:?}");
    assert!((clicks[0].start.as_secs_f64() - 1.0).abs() < 0.03, "{clicks:?}");
    let faded = "{ asset: 'a', to: '1s' },
                 { asset: 'a', from: '2.00075s', to: '4s', enter: { kind: 'dissolve', length: '2f' } }";
    assert_eq!(found(faded, Oddity::Click), []);
    // Each segment begins with a keyframe that the next pictures still mend.
    assert!(!found("{ asset: 'a', to: '6s' }", Oddity::Freeze).is_empty());
}

#[test]
fn tags_are_told_when_they_are_others() {
    let film = numbered(Variant::ClosedGop);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.mkv");
    render(&spec(&film.path, "{ asset: 'a', to: '30f' }", "outputs: [{ copy: false }]"), &file);
    // The same pictures coded anew with other tags, under the old manifest.
    let other = dir.path().join("b.mkv");
    let tags = ["-color_primaries", "bt2020", "-color_trc", "smpte2084", "-color_range", "pc"];
    let args = ["-v", "error", "-i", arg(&file), "-c:v", "libx264", "-preset", "ultrafast"];
    output("ffmpeg", &[&args[..], &tags, &["-y", arg(&other)]].concat());
    std::fs::rename(&other, &file).unwrap();
    let told = verify(&file, false, &Limits::default(), &Cancel::new()).unwrap().faults.join("; ");
    for wanted in ["the range is pc", "primaries is bt2020", "the transfer is smpte2084"] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
}

/// Luma of packed RGB (BT.601).
fn grey(rgb: &[u8]) -> Vec<u8> {
    let luma = |p: &[u8]| 77 * u32::from(p[0]) + 150 * u32::from(p[1]) + 29 * u32::from(p[2]);
    rgb.chunks_exact(3).map(|p| (luma(p) >> 8) as u8).collect()
}

#[test]
fn light_beyond_standard_and_ten_bits() {
    if !fixtures::have_encoder("libx265") {
        eprintln!("no libx265 here: not compared");
        return;
    }
    let film = fixtures::hdr10();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sdr.mp4");
    let more = "outputs: [{ video: { preset: 'ultrafast', crf: 10 } }]";
    let edit = render(&spec(&film, "{ asset: 'a', to: '20f' }", more), &file);
    assert_eq!(probed(&file, "stream=pix_fmt,color_transfer"), "yuv420p smpte170m");
    // Code values of PQ shown as they are would be far too bright or dark: ours lie between black and
    // white, and what is encoded is what was composed.
    let picture = edit.frame(Timestamp::from_millis(400)).unwrap();
    let args = ["-v", "error", "-ss", "0.4", "-i", arg(&file), "-frames:v", "1"];
    let rgb =
        output("ffmpeg", &[&args[..], &["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]].concat());
    // Of the luma: colours on edges come back as each converter has them.
    let far = crate::support::difference(&grey(picture.as_raw()), &grey(&rgb));
    assert!(far.mean < 3.0, "{far:?}");
    let mean = rgb.iter().map(|v| f64::from(*v)).sum::<f64>() / rgb.len() as f64;
    assert!((20.0..235.0).contains(&mean), "{mean}");

    // Ten bits stay ten bits, of films of eight and of ten.
    for source in [fixtures::ten_bit(), numbered(Variant::ClosedGop).path] {
        for (codec, format) in [("hevc", "yuv420p10le"), ("h264", "yuv420p10le")] {
            let file = dir.path().join(format!("{codec}.mp4"));
            let more = format!(
                "outputs: [{{ video: {{ codec: '{codec}', depth: 10, preset: 'ultrafast' }} }}]"
            );
            render(&spec(&source, "{ asset: 'a', to: '10f' }", &more), &file);
            assert_eq!(probed(&file, "stream=pix_fmt"), format, "{codec}");
            assert_eq!(checked(&file).faults, Vec::<String>::new());
        }
    }
}

#[test]
fn oblong_pixels_become_square() {
    let film = fixtures::anamorphic();
    // 352 x 288 at 16:11 is shown as 512 x 288; on 320 x 180 it fills everything.
    let edit = open(&spec(&film, "{ asset: 'a' }", ""));
    let picture = edit.frame(Timestamp::ZERO).unwrap();
    let args = [
        "-v",
        "error",
        "-i",
        arg(&film),
        "-frames:v",
        "1",
        "-vf",
        "scale=320:180:flags=bicubic,setsar=1",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ];
    let theirs = output("ffmpeg", &args);
    let far = crate::support::difference(&grey(picture.as_raw()), &grey(&theirs));
    assert!(far.mean < 4.0, "{far:?}");
    let file = tempfile::tempdir().unwrap();
    let file = file.path().join("square.mp4");
    render(&spec(&film, "{ asset: 'a', to: '10f' }", ""), &file);
    assert_eq!(probed(&file, "stream=width,height,sample_aspect_ratio"), "320 180 1:1");
}

#[test]
fn sound_in_opus_lies_where_it_should() {
    let film = fixtures::film();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.webm");
    let more = "outputs: [{ video: { codec: 'vp9', preset: '8' }, audio: { codec: 'opus' } }]";
    let edit = render(&spec(&film, "{ asset: 'a', from: '0.3s', to: '2.8s' }", more), &file);
    let format = rushes::media::SoundFormat {
        rate: std::num::NonZeroU32::new(48_000),
        channels: rushes::media::Channels::Mono,
    };
    let (made, _) = crate::support::sound(&file, format);
    let (source, _) = crate::support::sound(&film, format);
    let samples = edit.layout().samples as usize;
    assert!(made.samples.len().abs_diff(samples) < 1000, "{} of {samples}", made.samples.len());
    // The shift at which both are most alike.
    let from = 14_400;
    let alike = |shift: isize| -> f64 {
        (4800..100_000)
            .step_by(3)
            .map(|i| {
                let at = usize::try_from(i as isize + shift).unwrap();
                -f64::from((made.samples[at] - source.samples[from + i]).abs())
            })
            .sum()
    };
    let best = (-960..960).max_by(|a, b| alike(*a).total_cmp(&alike(*b))).unwrap();
    // Half a packet. 336 were seen: see the findings.
    assert!(best.abs() <= 480, "{best} samples off");
    assert_eq!(checked(&file).faults, Vec::<String>::new());
}

#[test]
fn memory_limits_how_much_is_done_at_once() {
    let film = numbered(Variant::ClosedGop);
    let eight = NonZeroUsize::new(8).unwrap();
    let text = spec(&film.path, "{ asset: 'a' }", "").replace("320x180", "1920x1080");
    let file = Path::new("/nowhere/out.mp4");
    let plan = |memory: Option<u64>| {
        let mut edit = open(&text).jobs(eight);
        if let Some(bytes) = memory {
            edit = edit.memory(bytes);
        }
        edit.plan(&target(&edit, file), file).unwrap()
    };
    let free = plan(None);
    assert_eq!(free.jobs, eight);
    assert!(free.cpu_seconds > 0.0 && !free.pace.measured && free.seconds < free.cpu_seconds);
    let room = free.memory.base + 3 * free.memory.each;
    assert_eq!(plan(Some(room)).jobs.get(), 3);
    assert_eq!(plan(Some(room - 1)).jobs.get(), 2);
    assert_eq!(plan(Some(1)).jobs.get(), 1);
}

/// `numbers` of the numbered film, coded by x264 with these words, with a tone in AAC.
fn coded(dir: &Path, name: &str, numbers: std::ops::Range<u32>, words: &str) -> PathBuf {
    let (raw, path) = (dir.join("raw.yuv"), dir.join(name));
    let seconds = f64::from(numbers.end - numbers.start) / 25.0;
    std::fs::write(&raw, fixtures::numbered_frames(numbers)).unwrap();
    let tone = format!("sine=f=440:r=48000:d={seconds},volume=3");
    let source =
        ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "320x180", "-r", "25", "-i", arg(&raw)];
    let sound = ["-f", "lavfi", "-i", &tone, "-c:a", "aac", "-b:a", "96k"];
    let colour = ["-pix_fmt", "yuv420p", "-colorspace", "smpte170m", "-c:v", "libx264"];
    let all = [&["-v", "error", "-y"][..], &source, &sound, &colour].concat();
    let all: Vec<&str> = all.into_iter().chain(words.split(' ')).chain([arg(&path)]).collect();
    output("ffmpeg", &all);
    path
}

#[test]
fn sources_whose_parameter_sets_differ_are_copied_into_one_film() {
    let dir = tempfile::tempdir().unwrap();
    let gop = "-x264-params keyint=25:min-keyint=25:scenecut=0:open-gop=0";
    let a = coded(dir.path(), "a.mp4", 0..100, &format!("-preset fast -crf 22 {gop}:bframes=2"));
    let b = coded(dir.path(), "b.mp4", 100..200, &format!("-preset slow -crf 20 {gop}:ref=5"));
    let c =
        coded(dir.path(), "c.mp4", 200..300, &format!("-profile:v main -qp 20 {gop}:bframes=0"));
    for ending in ["mp4", "mov", "mkv"] {
        let file = dir.path().join(format!("joined.{ending}"));
        let text = format!(
            "{{ rushes: 1, canvas: {{ size: '320x180', rate: 25, colour: 'bt601' }},
                assets: {{ a: {{ file: '{}' }}, b: {{ file: '{}' }}, c: {{ file: '{}' }} }},
                video: [{{ items: [{{ asset: 'a', from: '10f' }}, {{ asset: 'b', from: '0f' }},
                    {{ asset: 'c', to: '60f' }}, {{ asset: 'a', to: '50f' }}] }}],
                outputs: [{{ video: {{ preset: 'fast' }} }}] }}",
            a.display(),
            b.display(),
            c.display()
        );
        let edit = open(&text);
        let report = edit.render(&target(&edit, &file), &file).unwrap();
        assert_eq!((report.copied, report.encoded), (75 + 100 + 50 + 50, 15 + 10), "{ending}");
        let expected: Vec<u32> = (10..260).chain(0..50).collect();
        let (found, _) = crate::support::every_frame(&file, |picked, converter| {
            let picture = crate::support::native(picked, converter)?;
            Ok(read_number(picture.as_raw(), picture.width(), picture.height()))
        });
        assert_eq!(found, expected, "{ending}");
        // Matroska begins at the sound's priming: frames as they are, not one for each 1/25 s.
        let args = ["-v", "error", "-i", arg(&file), "-fps_mode", "passthrough", "-f", "rawvideo"];
        let rgb = output("ffmpeg", &[&args[..], &["-pix_fmt", "rgb24", "-"]].concat());
        let by_ffmpeg: Vec<u32> =
            rgb.chunks_exact(320 * 180 * 3).map(|rgb| read_number(rgb, 320, 180)).collect();
        assert_eq!(by_ffmpeg, expected, "{ending}");
        assert_eq!(checked(&file).faults, Vec::<String>::new());
        if ending != "mkv" {
            assert_eq!(probed(&file, "stream=codec_tag_string"), "avc3");
        }
    }
}

#[test]
fn sound_that_nothing_is_done_to_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    let film = coded(dir.path(), "a.mp4", 0..150, "-preset ultrafast -g 25");
    let packets = |file: &Path| {
        let args = [
            "-v",
            "error",
            "-select_streams",
            "a",
            "-show_data_hash",
            "md5",
            "-show_entries",
            "packet=data_hash",
            "-of",
            "csv=p=0",
            arg(file),
        ];
        let said = String::from_utf8(output("ffprobe", &args)).unwrap();
        // Side data adds a comma to a packet's line.
        let words = said.split(|c: char| c.is_whitespace() || c == ',');
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let format = rushes::media::SoundFormat {
        rate: std::num::NonZeroU32::new(48_000),
        channels: rushes::media::Channels::Mono,
    };
    let all = packets(&film);
    let (source, _) = crate::support::sound(&film, format);
    for (item, from) in [
        ("asset: 'a', from: '1.3s', to: '4.52s'", 62_400),
        ("asset: 'a', to: '3s'", 0),
        ("asset: 'a', from: '20f'", 38_400),
    ] {
        let file = dir.path().join("cut.mp4");
        let more = "outputs: [{ video: { preset: 'ultrafast' } }]";
        let edit = render(&spec(&film, &format!("{{ {item} }}"), more), &file);
        let cut = packets(&file);
        let at = all.iter().position(|one| *one == cut[0]).unwrap();
        assert_eq!(cut, all[at..at + cut.len()], "{item}");
        let (made, _) = crate::support::sound(&file, format);
        let samples = edit.layout().samples as usize;
        assert!(made.samples.len() >= samples - 1100, "{} of {samples}", made.samples.len());
        // To the sample, once the decoder has found its feet.
        let pairs = made.samples.iter().zip(&source.samples[from..]).take(samples).skip(1024);
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 0.01, "{item}: {worst}");
        assert_eq!(checked(&file).faults, Vec::<String>::new());
        // Whatever is done to it has it encoded.
        let louder = spec(&film, &format!("{{ {item}, gain_db: 1 }}"), more);
        let louder = {
            render(&louder, &file);
            packets(&file)
        };
        assert!(louder.iter().all(|one| !all.contains(one)));
    }
}

#[test]
fn music_steps_back_where_captions_say_that_somebody_speaks() {
    let dir = tempfile::tempdir().unwrap();
    let film = coded(dir.path(), "a.mp4", 0..250, "-preset ultrafast -g 25");
    let words = dir.path().join("a.srt");
    std::fs::write(&words, "1\n00:00:03,000 --> 00:00:05,000\nhere\n").unwrap();
    let music = dir.path().join("music.flac");
    let args = ["-v", "error", "-f", "lavfi", "-i", "sine=f=2000:r=48000:d=10", "-y", arg(&music)];
    output("ffmpeg", &args);
    let level = |captions: &str| {
        let file = dir.path().join("out.mkv");
        let text = format!(
            "{{ rushes: 1, canvas: {{ size: '320x180', rate: 25, colour: 'bt601' }},
                assets: {{ a: {{ file: '{}' }}, m: {{ file: '{}' }} }}, {captions}
                video: [{{ items: [{{ asset: 'a', gain_db: -100 }}] }}],
                audio: [{{ duck: {{ by_db: 20 }}, items: [{{ asset: 'm', to: '10s' }}] }}],
                outputs: [{{ audio: {{ codec: 'flac' }}, video: {{ preset: 'ultrafast' }} }}] }}",
            film.display(),
            music.display()
        );
        render(&text, &file);
        let format = rushes::media::SoundFormat {
            rate: std::num::NonZeroU32::new(48_000),
            channels: rushes::media::Channels::Mono,
        };
        let (heard, _) = crate::support::sound(&file, format);
        move |second: f32| {
            let at = (second * 48_000.0) as usize;
            heard.samples[at..at + 4800].iter().fold(0.0, |most: f32, s| most.max(s.abs()))
        }
    };
    let whole = level("");
    let spoken = level(&format!("captions: [{{ file: '{}', asset: 'a' }}],", words.display()));
    // Without captions it is down all the time; with them only under the words.
    assert!(whole(1.0) < 0.02 && whole(4.0) < 0.02 && whole(8.0) < 0.02);
    assert!(spoken(1.0) > 0.05 && spoken(4.0) < 0.02 && spoken(8.0) > 0.05);
}
