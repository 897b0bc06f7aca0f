//! `render`, `cut`, `concat` and `verify`: whole or not at all, and nothing twice.

use crate::support::{
    Ran, copy, decodes, files, finish, folder, nothing_half_made, nothing_in, rushes, rushes_in,
    signal, start, stream, tree, wait_until,
};
use rushes_fixtures::{Variant, film, numbered, read_number, video_only, wav};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A spec of `items` of asset `a`, at 25 frames a second, encoded quickly.
fn spec(dir: &Path, film: &Path, items: &str, more: &str) -> PathBuf {
    let path = dir.join("edit.json5");
    let text = format!(
        "{{ rushes: 1, canvas: {{ size: '320x180', rate: 25, colour: 'bt601' }},
            assets: {{ a: {{ file: '{}' }} }}, video: [{{ items: [{items}] }}],
            outputs: [{{ copy: false, video: {{ preset: 'ultrafast' }} }}], {more} }}",
        film.display()
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// Captions of three seconds from the start on.
fn captions(path: &Path, count: u32, word: impl Fn(u32) -> String) {
    let mut text = String::new();
    for n in 0..count {
        let at = |t: u32| format!("00:{:02}:{:02},000", t / 60, t % 60);
        write!(text, "{}\n{} --> {}\n{}\n\n", n + 1, at(n * 3), at(n * 3 + 3), word(n)).unwrap();
    }
    std::fs::write(path, text).unwrap();
}

fn render(spec: &Path, out: &Path, more: &[&str]) -> Ran {
    let args = ["render", spec.to_str().unwrap(), "-o", out.to_str().unwrap()];
    rushes(args.iter().chain(more))
}

/// What a rendered file's manifest says.
fn manifest(out: &Path) -> Value {
    let name = format!(".{}.render.json", out.file_name().unwrap().to_string_lossy());
    serde_json::from_slice(&std::fs::read(out.with_file_name(name)).unwrap()).unwrap()
}

/// The digests of a file's segments, of their pictures before and after they were encoded.
fn digests(out: &Path) -> Vec<(Value, Value)> {
    let made = manifest(out);
    let pieces = made["segments"].as_array().unwrap();
    pieces.iter().map(|p| (p["pictures"].clone(), p["coded"].clone())).collect()
}

/// The numbers that a file's pictures carry, as ffmpeg decodes them.
fn numbers(file: &Path) -> Vec<u32> {
    let args = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"];
    let mut command = Command::new("ffmpeg");
    let done = command.args(["-v", "error", "-i"]).arg(file).args(args).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done.stdout.chunks_exact(320 * 180 * 3).map(|rgb| read_number(rgb, 320, 180)).collect()
}

#[test]
fn a_second_render_finds_it_done_and_changes_nothing() {
    let dir = folder();
    let input = copy(&film(), dir.path().join("a.mp4"));
    captions(&dir.path().join("a.srt"), 2, |n| format!("Words {n}"));
    let more = "captions: [{ file: 'a.srt' }], sound: { loudness: -20 }";
    let spec = spec(dir.path(), &input, "{ asset: 'a', to: '2s' }, { asset: 'a', to: '1s' }", more);
    let out = dir.path().join("made/out.mp4");
    let told = render(&spec, &out, &["--json"]).ok().json_line();
    assert_eq!((&told["current"], &told["frames"]), (&false.into(), &75.into()));
    decodes(&out);
    rushes(["verify", out.to_str().unwrap()]).ok();
    let made = out.parent().unwrap();
    let before = tree(made);
    assert_eq!(before.len(), 2, "the film and its manifest: {before:?}");

    let again = render(&spec, &out, &[]).ok();
    assert!(again.text().contains("up to date"), "{}", again.text());
    assert_eq!(render(&spec, &out, &["--json"]).ok().json_line()["current"], true);
    assert_eq!(tree(made), before);

    // Whatever could give another film does it again; what stays the same is taken over.
    let good = std::fs::read(&out).unwrap();
    let mut last = before;
    let mut changed = |why: &str, more: &[&str]| {
        let told = render(&spec, &out, &[more, &["--json"]].concat()).ok().json_line();
        assert_eq!(told["current"], false, "{why}");
        let now = tree(made);
        assert_ne!(now, last, "{why}");
        last = now;
        nothing_half_made(made);
        told
    };
    let told = changed("force", &["--force"]);
    assert_eq!((&told["cached"], &told["encoded"]), (&0.into(), &75.into()));
    assert_eq!(std::fs::read(&out).unwrap(), good, "the same bytes as the first time");
    let mut harmed = good.clone();
    let middle = harmed.len() / 2;
    harmed[middle] ^= 0xff;
    std::fs::write(&out, &harmed).unwrap();
    changed("harm", &[]);
    assert_eq!(std::fs::read(&out).unwrap(), good);
    std::fs::remove_file(&out).unwrap();
    changed("loss", &[]);
    captions(&dir.path().join("a.srt"), 2, |n| format!("Other words {n}"));
    let told = changed("captions", &[]);
    assert_eq!(told["cached"], 0);
    copy(&video_only(), &input);
    changed("another film", &[]);
}

#[test]
fn a_copy_of_an_output_is_known_by_its_content() {
    let dir = folder();
    let spec = spec(dir.path(), &film(), "{ asset: 'a', to: '1s' }", "");
    let out = dir.path().join("out.mp4");
    render(&spec, &out, &[]).ok();
    let touched = std::fs::read(&out).unwrap();
    std::fs::remove_file(&out).unwrap();
    std::fs::write(&out, touched).unwrap();
    let told = render(&spec, &out, &["--json"]).ok().json_line();
    assert_eq!(told["current"], true, "{told}");
}

#[test]
fn an_edited_caption_costs_its_own_segment() {
    let dir = folder();
    let film = numbered(Variant::Long).path;
    let srt = dir.path().join("words.srt");
    captions(&srt, 20, |n| format!("Caption {n}"));
    let spec = spec(dir.path(), &film, "{ asset: 'a' }", "captions: [{ file: 'words.srt' }]");
    let (out, fresh) = (dir.path().join("out.mp4"), dir.path().join("fresh.mp4"));
    let told = render(&spec, &out, &["--json"]).ok().json_line();
    assert_eq!((&told["frames"], &told["encoded"]), (&1500.into(), &1500.into()));
    captions(&srt, 20, |n| if n == 9 { "Edited".into() } else { format!("Caption {n}") });
    let planned = render(&spec, &out, &["--plan", "--json"]).ok().json_line();
    assert_eq!(planned["encoded"], 75, "{planned}");
    let told = render(&spec, &out, &["--json"]).ok().json_line();
    assert_eq!((&told["cached"], &told["encoded"]), (&1425.into(), &75.into()));
    // What was put together anew is what a render from nothing gives.
    render(&spec, &fresh, &["--jobs", "1"]).ok();
    assert_eq!(digests(&out), digests(&fresh));
    assert_eq!(std::fs::read(&out).unwrap(), std::fs::read(&fresh).unwrap());
    rushes(["verify", "--quick", out.to_str().unwrap()]).ok();
}

#[test]
fn variants_share_what_they_have_in_common() {
    let dir = folder();
    let film = numbered(Variant::Long).path;
    let text = format!(
        "{{ rushes: 1, variables: {{ s: {{ type: 'time', default: '1s' }} }},
            matrix: {{ s: ['30s', '40s', '50s'] }}, canvas: {{ size: '320x180', rate: 25 }},
            assets: {{ a: {{ file: '{}' }} }},
            video: [{{ items: [{{ asset: 'a', to: '9s' }},
                {{ asset: 'a', from: {{ $var: 's' }}, length: '3s' }}] }}],
            outputs: [{{ copy: false, video: {{ preset: 'ultrafast' }} }}] }}",
        film.display()
    );
    let spec = dir.path().join("edit.json5");
    std::fs::write(&spec, text).unwrap();
    let out = dir.path().join("made");
    let told = render(&spec, &out, &["--matrix", "--json"]).ok().json();
    let encoded: Vec<_> = told.iter().map(|line| line["encoded"].as_i64().unwrap()).collect();
    assert_eq!(encoded, [300, 75, 75]);
    assert_eq!(files(&out).len(), 6, "films and manifests: {:?}", files(&out));
    let told = render(&spec, &out, &["--matrix", "--json"]).ok().json();
    assert!(told.iter().all(|line| line["current"] == true));
}

/// Seconds of work: time enough to be stopped in.
fn long(dir: &Path) -> PathBuf {
    let film = numbered(Variant::Long).path;
    let path = spec(dir, &film, "{ asset: 'a', to: '30s' }", "");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("'ultrafast'", "'fast'")).unwrap();
    path
}

fn parts(dir: &Path) -> usize {
    files(dir).iter().filter(|f| f.extension().is_some_and(|e| e == "part")).count()
}

#[test]
fn a_killed_render_goes_on_where_it_was() {
    let dir = folder();
    let spec = long(dir.path());
    let made = dir.path().join("made");
    let out = made.join("out.mp4");
    let words = ["render", spec.to_str().unwrap(), "-o", out.to_str().unwrap(), "--jobs", "1"];
    let mut child = start(words, None, &[]);
    wait_until("two segments", || parts(&made) >= 2);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!out.exists());
    let told = render(&spec, &out, &["--json"]).ok().json_line();
    let (found, encoded) = (told["cached"].as_i64().unwrap(), told["encoded"].as_i64().unwrap());
    assert!(found >= 150 && encoded > 0 && found + encoded == 750, "{told}");
    let whole = dir.path().join("whole.mp4");
    render(&spec, &whole, &[]).ok();
    assert_eq!(digests(&out), digests(&whole));
    assert_eq!(std::fs::read(&out).unwrap(), std::fs::read(&whole).unwrap());
    assert_eq!(files(&made).len(), 2, "nothing of the killed one is left: {:?}", files(&made));
}

#[test]
fn a_stopped_render_leaves_nothing_half_written() {
    for by in ["INT", "TERM"] {
        let dir = folder();
        let spec = long(dir.path());
        let made = dir.path().join("made");
        let out = made.join("out.mp4");
        let words = ["render", spec.to_str().unwrap(), "-o", out.to_str().unwrap()];
        let child = start(words, None, &[]);
        wait_until("a segment", || parts(&made) >= 1);
        signal(&child, by);
        let ran = finish(child, &[]).exits(130);
        assert!(ran.out.is_empty(), "{}", ran.text());
        assert!(!out.exists());
        // Whole segments stay for the next run, and nothing else.
        assert!(parts(&made) >= 1);
        assert_eq!(files(&made).len(), parts(&made), "{:?}", files(&made));
        let told = render(&spec, &out, &["--json"]).ok().json_line();
        assert!(told["cached"].as_i64().unwrap() >= 1, "{told}");
        assert_eq!(files(&made).len(), 2, "{:?}", files(&made));
    }
}

#[test]
fn all_that_is_wrong_with_a_spec_is_told_together() {
    let dir = folder();
    let spec = dir.path().join("bad.json5");
    std::fs::write(
        &spec,
        "{ rushes: 1, canvas: { size: '320x181', rate: 25 }, assets: { a: { file: 'no.mp4' } },
           video: [{ items: [{ asset: 'b', from: 3, too: '4s' }, { colour: 'red', length: '1s' }] }] }",
    )
    .unwrap();
    let out = dir.path().join("made/out.mp4");
    let ran = render(&spec, &out, &["--json"]).exits(2).calm();
    let told: Vec<_> =
        ran.json().iter().map(|line| line["pointer"].as_str().unwrap().to_owned()).collect();
    let item = "/video/0/items/0";
    // Its shape, its meaning and its files.
    let wanted = [
        "/canvas/size",
        &format!("{item}/from"),
        &format!("{item}/too"),
        "/video/0/items/1/colour",
        &format!("{item}/asset"),
        "/assets/a",
    ];
    assert_eq!(told, wanted);
    for pointer in wanted {
        assert!(ran.err.contains(pointer), "{pointer} in {}", ran.err);
    }
    assert!(!out.parent().unwrap().exists());

    // What only the files can tell comes together as well, before the first frame.
    let items = "{ asset: 'a', to: '1h' }, { asset: 'gone' }, { asset: 'noise' }";
    let more = "captions: [{ file: 'none.srt' }]";
    let spec = self::spec(dir.path(), &film(), items, more);
    let text = std::fs::read_to_string(&spec).unwrap();
    let assets = "assets: { gone: { file: 'gone.mp4' }, noise: { file: 'noise.mp4' }, ";
    std::fs::write(&spec, text.replace("assets: {", assets)).unwrap();
    std::fs::write(dir.path().join("noise.mp4"), [7; 5000]).unwrap();
    let ran = render(&spec, &out, &[]).exits(1).calm();
    for pointer in ["/video/0/items/0", "/assets/gone", "/assets/noise"] {
        assert!(ran.err.contains(pointer), "{pointer} in {}", ran.err);
    }
    assert!(!out.parent().unwrap().exists());
}

#[test]
fn a_film_that_breaks_off_in_the_last_of_fifty_clips_is_told_by_name() {
    let dir = folder();
    let good = film();
    let mut bytes = std::fs::read(numbered(Variant::Fragmented).path).unwrap();
    let size = bytes.len();
    // The index says that everything is there; half of the pictures are noise.
    bytes[size / 2..size - 100].fill(0x5a);
    let broken = dir.path().join("broken.mp4");
    std::fs::write(&broken, bytes).unwrap();
    let mut items = "{ asset: 'a', from: '1s', length: '2f' },".repeat(49);
    items += "{ asset: 'broken', from: '0s', to: '4s' }";
    let spec = spec(dir.path(), &good, &items, "");
    let text = std::fs::read_to_string(&spec).unwrap();
    std::fs::write(&spec, text.replace("assets: {", "assets: { broken: { file: 'broken.mp4' },"))
        .unwrap();
    let out = dir.path().join("made/out.mp4");
    let ran = render(&spec, &out, &[]).exits(1).calm();
    assert!(ran.err.contains("broken"), "{}", ran.err);
    assert!(!out.exists());
    nothing_half_made(dir.path());
}

#[test]
fn an_output_that_is_an_input_is_refused() {
    let dir = folder();
    let input = copy(&film(), dir.path().join("a.mp4"));
    let bytes = std::fs::read(&input).unwrap();
    let link = dir.path().join("link.mp4");
    std::os::unix::fs::symlink(&input, &link).unwrap();
    let hard = dir.path().join("hard.mp4");
    std::fs::hard_link(&input, &hard).unwrap();
    let spec = spec(dir.path(), &input, "{ asset: 'a', to: '1s' }", "");
    let (a, spec) = (input.to_str().unwrap(), spec.to_str().unwrap());
    for out in [&input, &link, &hard] {
        let out = out.to_str().unwrap();
        for words in [
            vec!["render", spec, "-o", out],
            vec!["cut", a, "--to", "1s", "-o", out],
            vec!["concat", a, a, "-o", out],
        ] {
            let ran = rushes(&words).exits(4).calm();
            assert!(ran.err.contains("is the input"), "{words:?}: {}", ran.err);
        }
    }
    assert_eq!(std::fs::read(&input).unwrap(), bytes);
    let export = rushes(["render", spec, "--export", "json", "-o", spec]);
    assert!(export.exits(4).err.contains("is the input"));
    assert_eq!(files(dir.path()).len(), 4, "{:?}", files(dir.path()));
}

/// A small disk, taken away again whatever happens.
struct Small(PathBuf);

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_half_written() {
    let dir = folder();
    let small = dir.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=60k", "none"]).arg(&small).output();
    if !mount.is_ok_and(|done| done.status.success()) {
        eprintln!("no right to mount a small tmpfs here: not tested");
        return;
    }
    let mounted = Small(small.clone());
    let spec = long(dir.path());
    let out = small.join("out.mp4");
    let ran = render(&spec, &out, &[]);
    let left = files(&small);
    drop(mounted);
    let ran = ran.exits(5).calm();
    assert!(ran.err.contains("out.mp4") || ran.err.contains("small"), "{}", ran.err);
    assert!(ran.err.to_lowercase().contains("space"), "{}", ran.err);
    assert!(left.iter().all(|file| file.extension().is_some_and(|e| e == "part")), "{left:?}");
}

#[test]
fn a_file_too_large_for_its_place_is_told() {
    let dir = folder();
    let film = numbered(Variant::Long).path;
    let out = dir.path().join("made/out.mp4");
    // The shell's bound on the size of files; the signal ignored, writing fails.
    let script = "trap '' XFSZ; ulimit -f 100; exec \"$@\"";
    let done = Command::new("sh")
        .args(["-c", script, "sh", env!("CARGO_BIN_EXE_rushes"), "cut"])
        .arg(&film)
        .args(["--from", "1s", "--to", "50s", "-o"])
        .arg(&out)
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&done.stderr);
    assert!(matches!(done.status.code(), Some(1 | 5)), "{:?}: {err}", done.status);
    assert!(err.contains("out.mp4") && !err.contains("panicked"), "{err}");
    nothing_half_made(dir.path());
    assert!(!out.exists());
}

#[test]
fn cuts_and_joins_show_every_picture_once_and_copy_what_they_can() {
    let dir = folder();
    let film = numbered(Variant::Long).path;
    let film = film.to_str().unwrap();
    let cut = |words: &[&str]| rushes_in(dir.path(), [&["cut", film], words].concat());
    let planned = cut(&["--from", "1s", "--to", "9s", "-o", "a.mp4", "--plan", "--json"]);
    let planned = planned.ok().json_line();
    assert_eq!((&planned["frames"], &planned["copied"]), (&200.into(), &200.into()));
    nothing_in(dir.path());
    cut(&["--from", "1s", "--to", "9s", "-o", "a.mp4"]).ok();
    let told = cut(&["--from", "20.2s", "--length", "3s", "-o", "b.mp4", "--json"]).ok();
    let told = told.json_line();
    assert_eq!((&told["copied"], &told["encoded"]), (&50.into(), &25.into()), "{told}");
    let both = rushes_in(dir.path(), ["concat", "a.mp4", "b.mp4", "-o", "both.mp4", "--json"]);
    assert_eq!(both.ok().json_line()["frames"], 275);
    let expected: Vec<u32> = (25..225).chain(505..580).collect();
    assert_eq!(numbers(&dir.path().join("both.mp4")), expected);
    assert_eq!(
        stream(&dir.path().join("both.mp4"), "v", "codec_name,width,height"),
        "h264,320,180"
    );
    rushes_in(dir.path(), ["verify", "--quick", "a.mp4", "b.mp4", "both.mp4"]).ok();
    let again = rushes_in(dir.path(), ["concat", "a.mp4", "b.mp4", "-o", "both.mp4"]).ok();
    assert!(again.text().contains("up to date"), "{}", again.text());
}

#[test]
fn what_cannot_be_cut_or_joined_is_told() {
    let dir = folder();
    let film = film();
    let (film, sound) = (film.to_str().unwrap(), wav());
    for (words, code, told) in [
        (vec!["cut", film, "--from", "3s", "--to", "2s", "-o", "x.mp4"], 2, "--to"),
        (vec!["cut", film, "--from", "9h", "-o", "x.mp4"], 1, "past"),
        (vec!["cut", "none.mp4", "-o", "x.mp4"], 1, "none.mp4"),
        (vec!["cut", film, "--to", "1s", "-o", "x.txt"], 1, "mp4, mov, mkv"),
        (vec!["concat", film, "none.mp4", "-o", "x.mp4"], 1, "none.mp4"),
        (vec!["concat", sound.to_str().unwrap(), "-o", "x.mp4"], 1, "no moving pictures"),
    ] {
        let ran = rushes_in(dir.path(), &words).exits(code).calm();
        assert!(ran.err.contains(told), "{words:?}: {}", ran.err);
        nothing_in(dir.path());
    }
}

#[test]
fn verify_finds_damage_and_what_was_never_rendered() {
    let dir = folder();
    let film = numbered(Variant::Long).path;
    let out = dir.path().join("out.mp4");
    let file = out.to_str().unwrap();
    rushes(["cut", film.to_str().unwrap(), "--to", "8s", "-o", file]).ok();
    rushes(["verify", file]).ok();
    let good = std::fs::read(&out).unwrap();
    let mut bytes = good.clone();
    let at = bytes.len() - 2000;
    bytes[at] ^= 0x10;
    std::fs::write(&out, &bytes).unwrap();
    let ran = rushes(["verify", "--quick", file]).exits(1);
    assert!(ran.err.contains("not what was written"), "{}", ran.err);
    std::fs::write(&out, &good[..good.len() / 2]).unwrap();
    rushes(["verify", file]).exits(1).calm();
    let ran = rushes(["verify", film.to_str().unwrap()]).exits(1);
    assert!(ran.err.contains("only what rushes rendered has a manifest"), "{}", ran.err);
}

#[test]
fn a_destination_and_a_limit_of_memory_are_words_of_the_command() {
    let dir = folder();
    let film = numbered(Variant::ClosedGop).path;
    let spec = spec(dir.path(), &film, "{ asset: 'a', to: '4f', fit: 'cover' }", "");
    let text = std::fs::read_to_string(&spec).unwrap().replace("copy: false, video", "video");
    std::fs::write(&spec, text).unwrap();
    let out = dir.path().join("out.mp4");
    let more = ["--preset", "square", "--mem", "400M", "--jobs", "16"];
    let planned =
        render(&spec, &out, &[&more[..], &["--plan", "--json"]].concat()).ok().json_line();
    let jobs = planned["jobs"].as_u64().unwrap();
    assert!((1..16).contains(&jobs) && planned["cpu_seconds"].as_f64().unwrap() > 0.0, "{planned}");
    assert_eq!(planned["pace"]["measured"], false);
    render(&spec, &out, &more).ok();
    assert_eq!(stream(&out, "v", "width,height"), "1080,1080");
    for (wrong, told) in [("round", "vertical-short"), ("", "vertical-short")] {
        let ran = render(&spec, &out, &["--preset", wrong]).exits(2);
        assert!(ran.err.contains(told), "{}", ran.err);
    }
    assert!(render(&spec, &out, &["--mem", "much"]).exits(2).err.contains("800M"));
    // An animation by its name alone.
    let gif = dir.path().join("out.gif");
    let told = rushes([
        "render",
        "--json",
        "-o",
        gif.to_str().unwrap(),
        "--preview",
        plain_spec(dir.path(), &film).to_str().unwrap(),
    ]);
    assert_eq!(told.ok().json_line()["frames"], 4);
    rushes(["verify", gif.to_str().unwrap()]).ok();
}

/// A spec that says nothing of outputs.
fn plain_spec(dir: &Path, film: &Path) -> PathBuf {
    let path = dir.join("plain.json5");
    let text = format!(
        "{{ rushes: 1, canvas: {{ size: '320x180', rate: 25 }}, assets: {{ a: {{ file: '{}' }} }},
            video: [{{ items: [{{ asset: 'a', to: '4f' }}] }}] }}",
        film.display()
    );
    std::fs::write(&path, text).unwrap();
    path
}
