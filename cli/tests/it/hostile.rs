//! Every hostile case through every verb that reads.

use crate::support::{Ran, copy, files, finish, folder, nothing_in, rushes, start};
use rushes_fixtures::hostile::{self, Expected, Hostile};
use rushes_fixtures::{Variant, numbered};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a verb on one input; what it writes goes below `out`.
fn run(verb: &str, input: &Path, out: &Path) -> Ran {
    let (input, folder) = (input.to_str().unwrap(), out.to_str().unwrap());
    let sheet = out.join("sheet.jpg");
    let tail = match verb {
        "probe" => vec!["--json"],
        "frames" => vec!["-o", folder, "--every", "1s"],
        "sheet" => vec!["-o", sheet.to_str().unwrap()],
        "audio" => vec!["-o", folder],
        _ => vec!["--library", folder],
    };
    // One thread: how much is mapped then does not depend on how many cores the machine has.
    rushes([verb, input, "--threads", "1"].iter().copied().chain(tail))
}

/// Whether this verb has to say no to this case; `None` where both are right.
fn wanted(case: &Hostile, verb: &str) -> Option<bool> {
    let pictures = matches!(verb, "frames" | "sheet");
    match case.expected {
        // What the container says is sound, only its pictures are not.
        Expected::Refused if verb == "probe" && case.name == "mkv-grows" => None,
        // libav drops a size that it finds absurd: nothing is told wrongly, nothing is decoded.
        Expected::Refused if verb == "probe" && case.name.ends_with("-huge") => None,
        // A probe tells what the header says, be it that there are no channels.
        Expected::Refused if verb == "probe" && case.extension == "wav" => None,
        Expected::Refused => Some(false),
        Expected::Either => None,
        // Sound has no pictures: that, too, is to be told.
        Expected::Accepted => Some(case.extension != "wav" || !pictures),
    }
}

/// Asserts what holds of every run on one input: it ends as a program should, and what it refuses
/// it names, explains, and leaves no trace of.
#[track_caller]
fn well_ended(ran: Ran, input: &Path, out: &Path) -> Ran {
    let ran = ran.sane().calm();
    if ran.code != Some(0) {
        let name = input.file_name().unwrap().to_str().unwrap();
        let line = ran.err.lines().last().unwrap_or_default();
        assert!(line.starts_with("rushes: ") && line.contains(name), "{name}: {}", ran.err);
        assert!(line.contains("); "), "{name}: no word on what to do: {line}");
        nothing_in(out);
    }
    ran
}

#[track_caller]
fn every_case(verb: &str) {
    let dir = folder();
    // A playlist that names it would find it.
    copy(&numbered(Variant::Ts).path, dir.path().join("beside.ts"));
    for case in hostile::all() {
        let input = case.write(dir.path());
        let out = dir.path().join("out");
        let ran = well_ended(run(verb, &input, &out), &input, &out);
        let accepted = ran.code == Some(0);
        let huge = accepted && ran.text().contains("\"width\":65535");
        assert!(!huge, "{}", ran.text());
        if let Some(wanted) = wanted(&case, verb) {
            assert_eq!(accepted, wanted, "{verb} {}: {}\n{}", case.name, case.what, ran.err);
        }
        if accepted && verb != "probe" {
            assert!(!files(&out).is_empty(), "{verb} {}", case.name);
            std::fs::remove_dir_all(&out).unwrap();
        }
        std::fs::remove_file(&input).unwrap();
    }
}

#[test]
fn probe_stands_every_case() {
    every_case("probe");
}

#[test]
fn frames_stands_every_case() {
    every_case("frames");
}

#[test]
fn sheet_stands_every_case() {
    every_case("sheet");
}

#[test]
fn audio_stands_every_case() {
    every_case("audio");
}

#[test]
fn process_stands_every_case() {
    every_case("process");
}

#[test]
fn the_same_files_without_their_lie_are_accepted() {
    let dir = folder();
    for (name, bytes) in hostile::honest() {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        // A single picture is no film, and its format is not on the list.
        let code = i32::from(name.ends_with("jpg"));
        run("probe", &path, dir.path()).exits(code);
        run("process", &path, &dir.path().join("out")).exits(code);
    }
}

#[test]
fn sound_of_impossible_samples_comes_out_finite() {
    let dir = folder();
    for case in hostile::all().iter().filter(|c| c.name.starts_with("wav-") && c.valid()) {
        let input = case.write(dir.path());
        let out = dir.path().join(format!("{}.flac", case.name));
        rushes(["audio", input.to_str().unwrap(), "-o", out.to_str().unwrap()]).exits(0);
        crate::support::decodes(&out);
        let raw = Command::new("ffmpeg")
            .args(["-v", "error", "-i", out.to_str().unwrap(), "-f", "f32le", "-"])
            .output()
            .unwrap()
            .stdout;
        assert!(!raw.is_empty(), "{}", case.name);
        let samples = raw.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        assert!(samples.into_iter().all(|s| s.is_finite() && s.abs() <= 1.0), "{}", case.name);
    }
}

/// The texts by which a file may try to reach another, in the formats that can.
fn references(target: &str) -> Vec<(String, String)> {
    let hls = |segment: &str| {
        format!(
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXTINF:4.0,\n{segment}\n#EXT-X-ENDLIST\n"
        )
    };
    let name = Path::new(target).file_name().unwrap().to_str().unwrap();
    vec![
        ("absolute.m3u8".into(), hls(target)),
        ("relative.m3u8".into(), hls(name)),
        ("url.m3u8".into(), hls(&format!("file://{target}"))),
        ("concat.m3u8".into(), hls(&format!("concat:{target}|{target}"))),
        ("subfile.m3u8".into(), hls(&format!("subfile,,start,0,end,0,,:{target}"))),
        ("called.ts".into(), hls(name)),
        ("called.mkv".into(), hls(name)),
        ("master.m3u8".into(), format!("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{name}\n")),
        (
            "key.m3u8".into(),
            hls("x.ts").replace(
                "#EXTINF",
                &format!("#EXT-X-KEY:METHOD=AES-128,URI=\"{target}\"\n#EXTINF"),
            ),
        ),
        ("plain.ffconcat".into(), format!("ffconcat version 1.0\nfile {name}\n")),
        ("absolute.ffconcat".into(), format!("ffconcat version 1.0\nfile '{target}'\n")),
        ("called.mp4".into(), format!("ffconcat version 1.0\nfile '{target}'\n")),
        ("reference.mov".into(), format!("rtsptextRTSP://{target}\r")),
        ("list.sdp".into(), format!("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\na=control:{target}\n")),
    ]
}

/// A file that is opened for reading is found out: a pipe without a writer holds the reader up,
/// and a writer gets through as soon as there is a reader.
#[test]
fn nothing_that_a_file_names_is_opened() {
    let dir = folder();
    let wire = dir.path().join("wire.ts");
    assert!(Command::new("mkfifo").arg(&wire).status().unwrap().success());
    let mut inputs: Vec<PathBuf> = Vec::new();
    for (name, text) in references(wire.to_str().unwrap()) {
        inputs.push(dir.path().join(name));
        std::fs::write(inputs.last().unwrap(), text).unwrap();
    }
    for case in hostile::all().iter().filter(|c| find(&c.bytes, b"/etc/passwd").is_some()) {
        inputs.push(pointed_at(case, &wire, dir.path()));
    }
    assert!(inputs.len() > 20);
    for input in inputs {
        for verb in ["probe", "process"] {
            let out = dir.path().join("out");
            let ran = well_ended(run(verb, &input, &out), &input, &out);
            let said = ran.text() + &ran.err;
            assert!(!said.contains("wire.ts"), "{said}");
            if out.exists() {
                std::fs::remove_dir_all(&out).unwrap();
            }
        }
    }
    let _ = std::fs::remove_file(stand_in());
}

/// A name as long as `/etc/passwd`.
fn stand_in() -> PathBuf {
    PathBuf::from(format!("/tmp/r{:05}", std::process::id() % 100_000))
}

/// The case with what it names replaced by `target`. Only text can be made longer: where lengths
/// are counted, a link of the same length stands in.
fn pointed_at(case: &Hostile, target: &Path, folder: &Path) -> PathBuf {
    let path = folder.join(format!("pointed-{}", case.file_name()));
    let old = b"/etc/passwd";
    let mut bytes = case.bytes.clone();
    let text = std::str::from_utf8(&bytes).is_ok();
    let link = stand_in();
    let new = if text {
        target.to_str().unwrap().as_bytes().to_vec()
    } else {
        // Somebody else's leftover would be a link into nowhere.
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(target, &link).unwrap();
        link.to_str().unwrap().as_bytes().to_vec()
    };
    assert!(text || new.len() == old.len());
    while let Some(at) = find(&bytes, old) {
        bytes.splice(at..at + old.len(), new.iter().copied());
    }
    std::fs::write(&path, bytes).unwrap();
    path
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

#[test]
fn no_content_of_another_file_comes_into_an_output() {
    // The same with a real film in the place that is named: were it read, there would be frames.
    let dir = folder();
    let target = copy(&numbered(Variant::Ts).path, dir.path().join("secret.ts"));
    for (name, text) in references(target.to_str().unwrap()) {
        let input = dir.path().join(name);
        std::fs::write(&input, text).unwrap();
        for verb in ["probe", "frames", "process"] {
            let out = dir.path().join("out");
            let ran = well_ended(run(verb, &input, &out), &input, &out);
            assert_ne!(ran.code, Some(0), "{verb} {}", input.display());
        }
    }
}

#[test]
fn no_address_that_a_file_names_is_called() {
    let dir = folder();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    for target in [
        format!("http://{address}/x.ts"),
        format!("tcp://{address}"),
        format!("rtmp://{address}/a"),
        format!("http://[::ffff:127.0.0.1]:{}/x.ts", address.port()),
    ] {
        for (name, text) in references(&target) {
            let input = dir.path().join(name);
            std::fs::write(&input, text).unwrap();
            let ran = run("process", &input, &dir.path().join("out"));
            assert_ne!(well_ended(ran, &input, &dir.path().join("out")).code, Some(0));
            assert!(listener.accept().is_err(), "{} {target}", input.display());
        }
        // An address instead of a file is a name like any other.
        let ran = rushes(["probe", &target]).exits(1);
        assert!(
            ran.err.contains("No such file") || ran.err.contains("matches no file"),
            "{}",
            ran.err
        );
        assert!(listener.accept().is_err(), "{target}");
    }
}

#[test]
fn a_bomb_is_refused_under_half_a_gibibyte() {
    // The guard of the other tests is wide; pictures of 256 megapixels need not even that.
    let dir = folder();
    for case in
        hostile::all().iter().filter(|c| c.name.ends_with("-wide") || c.name.ends_with("-huge"))
    {
        let input = case.write(dir.path());
        let script = "ulimit -v 1048576; exec \"$@\"";
        let done = Command::new("sh")
            .args(["-c", script, "sh", env!("CARGO_BIN_EXE_rushes"), "process", "--threads", "1"])
            .arg(&input)
            .arg("--library")
            .arg(dir.path().join("out"))
            .output()
            .unwrap();
        assert!(matches!(done.status.code(), Some(1 | 4)), "{}: {done:?}", case.name);
        nothing_in(&dir.path().join("out"));
    }
}

#[test]
fn a_run_on_all_of_them_at_once_serves_the_good_ones() {
    let dir = folder();
    let inputs = dir.path().join("in");
    std::fs::create_dir(&inputs).unwrap();
    let cases = hostile::all();
    let mut words = vec![
        "process".to_owned(),
        "--json".into(),
        "--library".into(),
        dir.path().join("out").to_str().unwrap().into(),
    ];
    words.extend(cases.iter().map(|c| c.write(&inputs).to_str().unwrap().to_owned()));
    words.push(rushes_fixtures::film().to_str().unwrap().to_owned());
    let ran = finish(start(&words, None, &[]), &[]).exits(1).sane();
    let lines = ran.json();
    assert_eq!(lines.len(), cases.len() + 1);
    let last = lines.last().unwrap();
    assert_eq!(
        (last["type"].as_str(), last["frames"].as_u64()),
        (Some("process"), Some(1)),
        "{last}"
    );
}
