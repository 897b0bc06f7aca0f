//! Runs as a whole: many inputs, exit codes, errors for people and for programs.

use crate::support::{
    copy, files, finish, folder, media_tool, nothing_in, rushes, rushes_in, start,
};
use rushes_fixtures::{film, rich, video_only, wav};
use std::path::Path;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder with two good films, a bad one, and things that are no media.
fn footage() -> tempfile::TempDir {
    let dir = folder();
    copy(&film(), dir.path().join("a.mp4"));
    copy(&video_only(), dir.path().join("c.MP4"));
    std::fs::write(dir.path().join("b.mp4"), "no film").unwrap();
    std::fs::write(dir.path().join("notes.txt"), "no film either").unwrap();
    std::fs::create_dir(dir.path().join("deep")).unwrap();
    copy(&film(), dir.path().join("deep/d.mkv"));
    dir
}

#[test]
fn one_bad_file_does_not_stop_the_others() {
    let dir = footage();
    let ran = rushes_in(dir.path(), ["process", "a.mp4", "b.mp4", "c.MP4", "--library", "lib"])
        .exits(1)
        .calm();
    assert_eq!(ran.text().lines().count(), 2, "{}", ran.text());
    let errors: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("rushes: ")).collect();
    assert!(
        matches!(errors[..], [line] if line.starts_with("rushes: b.mp4: is not media")),
        "{}",
        ran.err
    );
    let reports = files(&dir.path().join("lib")).into_iter().filter(|f| f.ends_with("report.json"));
    assert_eq!(reports.count(), 2);
}

#[test]
fn folders_and_globs_give_their_media_in_order() {
    let dir = footage();
    let inputs = |typed: &[&str]| -> Vec<String> {
        let words = ["probe", "--json"].iter().chain(typed);
        let lines = rushes_in(dir.path(), words).json();
        lines
            .iter()
            .map(|l| format!("{} {}", l["type"].as_str().unwrap(), l["input"].as_str().unwrap()))
            .collect()
    };
    let all = ["media ./a.mp4", "error ./b.mp4", "media ./c.MP4", "media ./deep/d.mkv"];
    assert_eq!(inputs(&["."]), all);
    assert_eq!(inputs(&["*.mp4"]), ["media a.mp4", "error b.mp4"]);
    assert_eq!(inputs(&["**/*.mkv", "a.*"]), ["media deep/d.mkv", "media a.mp4"]);
    assert_eq!(inputs(&["[ac].*"]), ["media a.mp4", "media c.MP4"]);
}

#[test]
fn nothing_found_is_an_error_that_names_what_was_typed() {
    let dir = footage();
    std::fs::create_dir(dir.path().join("bare")).unwrap();
    for (typed, what) in [
        ("*.avi", "matches no file"),
        ("bare", "holds no media"),
        ("gone.mp4", "No such file"),
        ("[", "pattern"),
    ] {
        let ran = rushes_in(dir.path(), ["frames", typed, "-o", "out"]).exits(1);
        assert!(ran.err.contains(typed) && ran.err.contains(what), "{}", ran.err);
        assert!(!dir.path().join("out").exists());
    }
    let ran = rushes_in(dir.path(), ["frames", "notes.txt", "-o", "out"]).exits(1);
    assert!(ran.err.contains("notes.txt: is not media"), "{}", ran.err);
    assert!(files(&dir.path().join("out")).is_empty());
}

#[test]
fn inputs_of_one_name_get_outputs_of_their_own() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    for sub in ["1", "2", "3"] {
        std::fs::create_dir(at(sub)).unwrap();
    }
    copy(&wav(), at("1/x.wav"));
    copy(&wav(), at("2/x.wav"));
    // Its stem is what the second would be called.
    copy(&wav(), at("3/x.wav-2.wav"));
    let ran = rushes_in(
        dir.path(),
        ["audio", "1/x.wav", "2/x.wav", "3/x.wav-2.wav", "-o", "out", "--json"],
    )
    .ok();
    let outputs: std::collections::BTreeSet<String> =
        ran.json().iter().map(|l| l["output"].as_str().unwrap().to_owned()).collect();
    assert_eq!(outputs.len(), 3, "{outputs:?}");
    assert!(outputs.iter().all(|o| at(o).is_file()), "{outputs:?}");
}

#[test]
fn error_lines_carry_kind_stage_message_and_hint() {
    let dir = footage();
    std::fs::write(dir.path().join("e.mp4"), "").unwrap();
    for (words, kind, stage) in [
        (vec!["probe", "b.mp4"], "input", "open"),
        (vec!["probe", "e.mp4"], "input", "open"),
        (vec!["probe", "gone.mp4"], "input", "open"),
        (vec!["probe", "a.mp4", "--allow", "duration=1s"], "limit", "open"),
        (vec!["audio", "c.MP4", "-o", "out"], "input", "decode"),
        (vec!["frames", "a.mp4", "-o", "out", "--at", "99s"], "input", "decode"),
        (vec!["frames", "a.mp4", "-o", "a.mp4/out"], "storage", "write"),
    ] {
        let ran = rushes_in(dir.path(), words.iter().copied().chain(["--json"])).calm();
        assert!(matches!(ran.code, Some(1 | 4)), "{words:?}: {:?}", ran.code);
        let line = ran.json_line();
        assert_eq!(line["type"], "error");
        assert_eq!(
            (line["kind"].as_str(), line["stage"].as_str()),
            (Some(kind), Some(stage)),
            "{line}"
        );
        for field in ["input", "message"] {
            assert!(!line[field].as_str().unwrap().is_empty(), "{line}");
        }
        if kind != "storage" {
            assert!(!line["hint"].as_str().unwrap().is_empty(), "{line}");
            assert!(ran.err.contains(line["hint"].as_str().unwrap()), "{}", ran.err);
        }
        assert!(ran.err.contains(line["message"].as_str().unwrap()), "{}", ran.err);
    }
}

#[test]
fn exit_codes_tell_scripts_what_happened() {
    let dir = footage();
    let code = |words: &[&str]| rushes_in(dir.path(), words).code.unwrap();
    let short = ["--allow", "duration=1s"];
    let probe = |inputs: &[&'static str]| code(&[["probe"].as_slice(), inputs, &short].concat());
    assert_eq!(code(&["probe", "a.mp4"]), 0);
    assert_eq!(code(&["probe", "b.mp4"]), 1);
    assert_eq!(probe(&["a.mp4"]), 4);
    // All refused is refused; otherwise some failed, in whatever order.
    assert_eq!(probe(&["a.mp4", "c.MP4"]), 4);
    assert_eq!(probe(&["a.mp4", "b.mp4"]), 1);
    assert_eq!(probe(&["b.mp4", "a.mp4"]), 1);
    let wide = ["--allow", "frame-pixels=10000"];
    copy(&wav(), dir.path().join("w.wav"));
    for inputs in [["a.mp4", "w.wav"], ["w.wav", "a.mp4"]] {
        assert_eq!(code(&[["probe"].as_slice(), &inputs, &wide].concat()), 1, "{inputs:?}");
    }
    assert_eq!(code(&["models", "verify", "no-such-model", "--models-dir", "m"]), 2);
}

#[test]
fn usage_errors_come_before_anything_is_written() {
    let dir = footage();
    let before = files(dir.path());
    for words in [
        vec!["frames", "a.mp4"],
        vec!["frames", "-o", "out"],
        vec!["frames", "a.mp4", "-o", "out", "--every", "soon"],
        vec!["frames", "a.mp4", "-o", "out", "--every", "0s"],
        vec!["frames", "a.mp4", "-o", "out", "--every=-1s"],
        vec!["frames", "a.mp4", "-o", "out", "--at=-1s"],
        vec!["frames", "a.mp4", "-o", "out", "--count", "0"],
        vec!["frames", "a.mp4", "-o", "out", "--all", "--count", "3"],
        vec!["frames", "a.mp4", "-o", "out", "--exact", "--snap"],
        vec!["frames", "a.mp4", "-o", "out", "--format", "bmp"],
        vec!["frames", "a.mp4", "-o", "out", "--width", "0"],
        vec!["frames", "a.mp4", "-o", "out", "--width", "70000"],
        vec!["frames", "a.mp4", "-o", "out", "--quality", "101"],
        vec!["frames", "a.mp4", "-o", "out", "--name", "same"],
        vec!["frames", "a.mp4", "-o", "out", "--name", "../{n}"],
        vec!["frames", "a.mp4", "-o", "out", "--name", "{title}"],
        vec!["frames", "a.mp4", "-o", "out", "--allow", "colour=3"],
        vec!["frames", "a.mp4", "-o", "out", "--threads", "0"],
        vec!["sheet", "a.mp4", "-o", "out", "--as", "poster"],
        vec!["sheet", "a.mp4", "-o", "out", "--as", "sprites", "--every", "0s"],
        vec!["process", "a.mp4", "--library", "out", "--every", "0s"],
        vec!["audio", "a.mp4", "-o", "out", "--rate", "7"],
        vec!["audio", "a.mp4", "-o", "out", "--mono", "--stereo"],
        vec!["mux", "a.mp4", "--audio", "b.mp4", "-o", "out.txt"],
        vec!["completions", "csh"],
        vec!["enhance", "a.mp4"],
        vec![],
    ] {
        let ran = rushes_in(dir.path(), &words).exits(2);
        assert!(!ran.err.is_empty() && ran.out.is_empty(), "{words:?}");
        assert_eq!(files(dir.path()), before, "{words:?}");
        assert!(!dir.path().join("out").exists(), "{words:?}");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let film = film();
    let mut words = vec!["probe"; 1];
    words.extend(std::iter::repeat_n(text(&film), 300));
    let mut child = start(&words, None, &[]);
    // The pipe holds 64 KiB; 300 tables are more.
    let mut first = [0; 16];
    let mut out = child.stdout.take().unwrap();
    std::io::Read::read_exact(&mut out, &mut first).unwrap();
    drop(out);
    child.stdout = Some(closed());
    let ran = finish(child, &[]).exits(0);
    assert_eq!(ran.err, "");
    for page in ["man", "completions bash"] {
        let script = format!("\"$0\" {page} | true");
        let done = std::process::Command::new("bash")
            .args(["-o", "pipefail", "-c", &script, env!("CARGO_BIN_EXE_rushes")])
            .output()
            .unwrap();
        assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
    }
}

/// A stream that has ended, in place of the one that was closed.
fn closed() -> std::process::ChildStdout {
    let mut child =
        std::process::Command::new("true").stdout(std::process::Stdio::piped()).spawn().unwrap();
    child.wait().unwrap();
    child.stdout.take().unwrap()
}

#[test]
fn a_full_disk_is_told_as_such() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_rushes"))
        .arg("probe")
        .arg(film())
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(5), "{done:?}");
    assert!(String::from_utf8_lossy(&done.stderr).contains("No space left"), "{done:?}");
}

#[test]
fn what_metadata_holds_never_reaches_the_terminal() {
    let dir = folder();
    let evil = "\u{1b}]0;owned\u{7}\u{202e}gpj.exe\r\nrushes: all is well\u{9b}31m";
    let path = dir.path().join("evil.mkv");
    let title = |key: &str| format!("{key}={evil}");
    let film = film();
    let made = std::process::Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-i",
            text(&film),
            "-c",
            "copy",
            "-metadata",
            &title("title"),
            "-metadata",
            &title("comment"),
        ])
        .args([
            "-metadata:s:v:0",
            &title("handler_name"),
            "-metadata:s:a:0",
            &title("language"),
            text(&path),
        ])
        .status()
        .unwrap();
    assert!(made.success());
    // `calm` looks at both streams; the table has one line for each tag all the same.
    let table = rushes(["probe", text(&path)]).ok().text();
    assert!(table.contains(r"\u{1b}]0;owned\u{7}\u{202e}gpj.exe\u{d}\u{a}rushes"), "{table}");
    let record = rushes(["probe", "--json", text(&path)]).exits(0).json_line();
    assert!(record.to_string().contains("owned"), "{record}");
    let out = dir.path().join("out");
    rushes(["process", text(&path), "--library", text(&out)]).ok();
    rushes(["frames", text(&rich()), "-o", text(&out)]).ok();
    // A file of that name, in an error.
    let name = dir.path().join(format!("{}.mp4", evil.replace('\n', "")));
    std::fs::write(&name, "no film").unwrap();
    let ran = rushes(["probe".as_ref(), name.as_os_str()]).exits(1).calm();
    assert!(ran.err.contains(r"\u{1b}]0;owned") && ran.err.lines().count() == 1, "{}", ran.err);
}

#[test]
fn an_attachment_is_never_written_by_its_name() {
    let dir = folder();
    let library = dir.path().join("a/b/library");
    rushes(["process", text(&rich()), "--library", text(&library)]).ok();
    assert!(
        files(dir.path()).iter().all(|f| !f.ends_with("climbs.txt")),
        "{:?}",
        files(dir.path())
    );
}

#[test]
fn standard_input_serves_for_streams_and_matroska() {
    let dir = folder();
    let ts = rushes_fixtures::mpeg2_ts();
    for path in [ts, rushes_fixtures::vfr()] {
        let bytes = std::fs::read(&path).unwrap();
        let record = crate::support::rushes_fed(&bytes, ["probe", "--json", "-"]).ok().json_line();
        assert_eq!(record["streams"][0]["width"], 320, "{record}");
        let out = dir.path().join("frames");
        crate::support::rushes_fed(&bytes, ["frames", "-", "--every", "1s", "-o", text(&out)]).ok();
        let count = files(&out.join("stdin")).len();
        assert!(count >= 4, "{:?}", files(&out));
        let sound = dir.path().join("s.wav");
        crate::support::rushes_fed(&bytes, ["audio", "-", "-o", text(&sound)]).ok();
        let seconds: f64 = media_tool(
            "ffprobe",
            &["-show_entries", "format=duration", "-of", "csv=p=0"],
            &sound,
            &[],
        )
        .parse()
        .unwrap();
        assert!((2.5..4.5).contains(&seconds), "{seconds} s");
        std::fs::remove_dir_all(&out).unwrap();
    }
    let ran =
        crate::support::rushes_fed(b"", ["frames", "-", "-o", text(&dir.path().join("none"))])
            .exits(1);
    assert!(ran.err.contains("stdin"), "{}", ran.err);
    nothing_in(&dir.path().join("none"));
}

#[test]
fn notices_go_to_people_and_into_the_record() {
    let dir = folder();
    let cut = dir.path().join("cut.mkv");
    let whole = std::fs::read(rushes_fixtures::vfr()).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let out = dir.path().join("out");
    let ran = rushes(["process", text(&cut), "--library", text(&out), "--json"]).exits(0);
    let record = ran.json_line();
    let notices = record["notices"].as_array().unwrap();
    assert!(!notices.is_empty(), "{record}");
    assert!(ran.err.contains("cut.mkv: "), "{}", ran.err);
    let quiet =
        rushes(["process", text(&cut), "--library", text(&out), "--force", "--quiet"]).exits(0);
    assert_eq!(quiet.err, "");
}
