//! The library over several runs: what is made again and why, what is found, mended and removed.

use crate::support::{
    Ran, copy, files, finish, folder, nothing_half_made, rushes, rushes_in, signal, start, tree,
    wait_until,
};
use rushes_fixtures::{Variant, film, numbered, video_only, wav};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// `rushes process a.mp4` in a folder, as JSON.
fn process(dir: &Path, words: &[&str]) -> Value {
    let all = ["process", "--json", "--quiet"].iter().chain(words);
    rushes_in(dir, all).ok().json_line()
}

fn ran(record: &Value) -> Vec<&str> {
    record["ran"].as_array().unwrap().iter().map(|stage| stage.as_str().unwrap()).collect()
}

fn library(dir: &Path, words: &[&str]) -> Ran {
    rushes_in(dir, ["library"].iter().chain(words))
}

/// A folder with one film, processed.
fn processed() -> (tempfile::TempDir, PathBuf) {
    let dir = folder();
    copy(&film(), dir.path().join("a.mp4"));
    let record = process(dir.path(), &["a.mp4"]);
    assert_eq!(
        ran(&record),
        [
            "probe", "frames", "sheet", "audio", "sound", "shots", "features", "insight", "clips",
            "report"
        ]
    );
    let own = dir.path().join(record["output"].as_str().unwrap());
    (dir, own)
}

#[test]
fn only_what_a_change_touches_runs_again() {
    let (dir, own) = processed();
    let dir = dir.path();
    assert!(ran(&process(dir, &["a.mp4"])).is_empty());
    let sound = std::fs::metadata(own.join("audio.flac")).unwrap().modified().unwrap();
    assert_eq!(ran(&process(dir, &["a.mp4", "--width", "100"])), ["frames", "report"]);
    assert!(ran(&process(dir, &["a.mp4", "--width", "100"])).is_empty());
    // What is not asked for stays as it was made.
    assert!(ran(&process(dir, &["a.mp4", "--stages", "audio"])).is_empty());
    assert_eq!(
        ran(&process(dir, &["a.mp4", "--every", "1s", "--stages", "frames"])),
        ["frames", "report"]
    );
    assert_eq!(files(&own.join("frames")).len(), 3);
    assert_eq!(std::fs::metadata(own.join("audio.flac")).unwrap().modified().unwrap(), sound);
    let all = [
        "probe", "frames", "sheet", "audio", "sound", "shots", "features", "insight", "clips",
        "report",
    ];
    assert_eq!(ran(&process(dir, &["a.mp4", "--force"])), all);
    assert!(ran(&process(dir, &["a.mp4", "--verify"])).is_empty());
}

#[test]
fn why_tells_what_would_run_and_because_of_what() {
    let (dir, own) = processed();
    let dir = dir.path();
    let before = tree(dir);
    let why = |words: &[&str]| {
        let all = ["why", "--json", "--quiet", "a.mp4"].iter().chain(words);
        let record = rushes_in(dir, all).ok().json_line();
        let stages = record["stages"].as_array().unwrap().clone();
        stages.into_iter().filter(|stage| stage["runs"] == true).collect::<Vec<_>>()
    };
    assert!(why(&[]).is_empty());
    let stages = why(&["--width", "100"]);
    assert_eq!((stages[0]["stage"].as_str(), stages.len()), (Some("frames"), 2));
    assert!(stages[0]["changes"][0].as_str().unwrap().contains("640"), "{stages:?}");
    assert!(stages[1]["changes"][0].as_str().unwrap().starts_with("input frames"), "{stages:?}");
    assert_eq!(tree(dir), before);
    std::fs::write(own.join("sheet.jpg"), "harmed").unwrap();
    std::fs::remove_file(own.join("audio.flac")).unwrap();
    let stages = why(&[]);
    assert!(stages[0]["damage"][0].as_str().unwrap().ends_with("sheet.jpg changed"), "{stages:?}");
    assert!(stages[1]["damage"][0].as_str().unwrap().ends_with("audio.flac missing"), "{stages:?}");
    let text = rushes_in(dir, ["why", "a.mp4"]).ok().text();
    assert!(text.contains("runs  sheet       damaged: "), "{text}");
    assert_eq!(ran(&process(dir, &["a.mp4"])), ["sheet", "audio"]);
    copy(&video_only(), dir.join("a.mp4"));
    assert!(why(&[]).iter().all(|stage| stage["why"] == "new"));
}

#[test]
fn moved_and_copied_films_are_recognised_and_changed_ones_made_anew() {
    let (dir, own) = processed();
    let dir = dir.path();
    std::fs::rename(dir.join("a.mp4"), dir.join("b.mp4")).unwrap();
    copy(&dir.join("b.mp4"), dir.join("c.mkv"));
    for name in ["b.mp4", "c.mkv"] {
        let record = process(dir, &[name]);
        assert!(ran(&record).is_empty(), "{record}");
        assert_eq!(dir.join(record["output"].as_str().unwrap()), own);
    }
    let record = library(dir, &["show", "c.mkv", "--json"]).ok().json_line();
    assert_eq!(record["paths"].as_array().unwrap().len(), 3, "{record}");
    // Another film under the same name is another film.
    copy(&video_only(), dir.join("b.mp4"));
    let record = process(dir, &["b.mp4"]);
    assert_eq!(ran(&record).len(), 10, "{record}");
    assert_ne!(dir.join(record["output"].as_str().unwrap()), own);
    assert_eq!(library(dir, &["ls", "--json"]).ok().json().len(), 2);
    let record = library(dir, &["show", "b.mp4", "--json"]).ok().json_line();
    assert_eq!(record["name"], "b.mp4", "{record}");
}

#[test]
fn a_flipped_byte_is_found_and_mended() {
    let (dir, own) = processed();
    let dir = dir.path();
    library(dir, &["verify"]).ok();
    let victim = own.join("audio.flac");
    let good = std::fs::read(&victim).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    // As a failing disk would: the file's size and time are as they were.
    let time = std::fs::metadata(&victim).unwrap().modified().unwrap();
    std::fs::write(&victim, &bad).unwrap();
    std::fs::File::options().write(true).open(&victim).unwrap().set_modified(time).unwrap();
    let record = library(dir, &["verify", "--json", "--quiet"]).exits(1).json_line();
    assert_eq!(record["damaged"][0]["stage"], "audio", "{record}");
    assert_eq!(record["damaged"][0]["restored"], false, "{record}");
    assert!(library(dir, &["ls"]).ok().text().contains("audio damaged"));
    assert_eq!(ran(&process(dir, &["a.mp4"])), ["audio"]);
    assert_eq!(std::fs::read(&victim).unwrap(), good);
    library(dir, &["verify"]).ok();
}

#[test]
fn what_lies_elsewhere_too_is_restored() {
    let dir = folder();
    let dir = dir.path();
    // Two files of other bytes whose pictures are the same.
    copy(&film(), dir.join("a.mp4"));
    copy(&film(), dir.join("b.mp4"));
    let mut file = std::fs::File::options().append(true).open(dir.join("b.mp4")).unwrap();
    std::io::Write::write_all(&mut file, b"\0\0\0\x08free").unwrap();
    let own = dir.join(process(dir, &["a.mp4"])["output"].as_str().unwrap());
    process(dir, &["b.mp4"]);
    let victim = own.join("sheet.jpg");
    let good = std::fs::read(&victim).unwrap();
    std::fs::write(&victim, "harmed").unwrap();
    let record = library(dir, &["verify", "--json", "--quiet"]).ok().json_line();
    assert_eq!(record["damaged"][0]["restored"], true, "{record}");
    assert_eq!(std::fs::read(&victim).unwrap(), good);
    assert!(ran(&process(dir, &["a.mp4"])).is_empty());
}

#[test]
fn removing_takes_rows_and_files_and_nothing_else() {
    let (dir, own) = processed();
    let dir = dir.path();
    copy(&wav(), dir.join("w.wav"));
    process(dir, &["w.wav"]);
    std::fs::write(own.join("diary.txt"), "mine").unwrap();
    let ran = library(dir, &["rm", "nothing.mp4"]).exits(1);
    assert!(ran.err.contains("is not in the library"), "{}", ran.err);
    library(dir, &["rm", "a.mp4"]).ok();
    assert_eq!(files(&own), [PathBuf::from("diary.txt")]);
    assert!(dir.join("a.mp4").exists());
    let rows = library(dir, &["export"]).ok().json();
    assert!(rows.iter().all(|row| row["media_id"] != 1), "{rows:?}");
    assert_eq!(library(dir, &["ls"]).ok().text().lines().count(), 1);
    library(dir, &["verify"]).ok();
    // It can come back.
    assert_eq!(process(dir, &["a.mp4"])["frames"], 1);
}

#[test]
fn collecting_removes_what_belongs_to_nothing() {
    let (dir, own) = processed();
    let dir = dir.path();
    let before = tree(dir);
    library(dir, &["gc"]).ok();
    assert_eq!(tree(dir), before);
    // What a killed run leaves: a folder nobody holds.
    let stale = dir.join("library/.rushes-killed/frames");
    std::fs::create_dir_all(&stale).unwrap();
    std::fs::write(stale.join("0.jpg"), "half").unwrap();
    // Files that were removed from the catalogue before they were from the disk.
    let kept = dir.join("kept");
    std::fs::create_dir(&kept).unwrap();
    for file in files(&own) {
        let to = kept.join(&file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        copy(&own.join(&file), to);
    }
    library(dir, &["rm", "a.mp4"]).ok();
    std::fs::rename(&kept, &own).unwrap();
    std::fs::write(own.join("diary.txt"), "mine").unwrap();
    let record = library(dir, &["gc", "--dry-run", "--json"]).ok().json_line();
    assert_eq!(
        (record["files"].as_u64(), record["stale"].as_u64()),
        (Some(7), Some(1)),
        "{record}"
    );
    assert!(own.join("sheet.jpg").exists());
    library(dir, &["gc"]).ok();
    nothing_half_made(dir);
    assert!(!own.join("sheet.jpg").exists() && own.join("diary.txt").exists());
}

#[test]
fn a_killed_run_loses_nothing_that_was_stored() {
    let dir = folder();
    let dir = dir.path();
    let long = numbered(Variant::Long).path;
    copy(&film(), dir.join("a.mp4"));
    let long = long.to_str().unwrap();
    let settings = ["--every", "40ms", "--width", "1000"];
    process(dir, &[&["a.mp4"], settings.as_slice()].concat());
    let words = [&["process", "a.mp4", long], settings.as_slice()].concat();
    for _ in 0..3 {
        let child = start(&words, Some(dir), &[]);
        wait_until("the second film", || {
            let staged = std::fs::read_dir(dir.join("library")).into_iter().flatten().flatten();
            staged.filter(|e| e.file_name().to_string_lossy().starts_with(".rushes-")).any(|e| {
                std::fs::read_dir(e.path().join("frames/frames")).is_ok_and(|d| d.count() > 20)
            })
        });
        signal(&child, "KILL");
        assert_eq!(finish(child, &[]).signal, Some(9));
        library(dir, &["gc"]).ok();
        nothing_half_made(dir);
        library(dir, &["verify"]).ok();
    }
    let rows = library(dir, &["ls", "--json"]).ok().json();
    assert!(rows.len() == 1 && rows[0]["name"] == "a.mp4", "{rows:?}");
    let record = process(dir, &[&["a.mp4"], settings.as_slice()].concat());
    assert!(ran(&record).is_empty(), "{record}");
}

#[test]
fn a_run_killed_at_any_point_is_made_good_by_the_next() {
    let dir = folder();
    let dir = dir.path();
    copy(&film(), dir.join("a.mp4"));
    // Steps that are finer than the work between two of its syncs.
    for n in 0..24 {
        let width = (100 + n).to_string();
        let words = ["process", "a.mp4", "--width", width.as_str()];
        let child = start(words, Some(dir), &[]);
        std::thread::sleep(std::time::Duration::from_millis(n * 12));
        signal(&child, "KILL");
        finish(child, &[]);
        let record = process(dir, &words[1..]);
        let own = dir.join(record["output"].as_str().unwrap());
        assert!(own.join("sheet.jpg").exists() && own.join("audio.flac").exists());
        assert_eq!(files(&own.join("frames")).len(), 1);
        library(dir, &["verify"]).ok();
        assert!(ran(&process(dir, &words[1..])).is_empty());
    }
    library(dir, &["gc"]).ok();
    nothing_half_made(dir);
}

#[test]
fn rows_go_out_whole() {
    let (dir, _) = processed();
    let dir = dir.path();
    library(dir, &["export", "-o", "all.ndjson"]).ok();
    let text = std::fs::read_to_string(dir.join("all.ndjson")).unwrap();
    assert_eq!(text, library(dir, &["export"]).ok().text());
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |table: &str| rows.iter().filter(|row| row["type"] == table).count();
    assert_eq!((count("media"), count("runs"), count("streams"), count("frames")), (1, 10, 2, 3));
    let frame = rows.iter().find(|row| row["type"] == "frames").unwrap();
    assert!(frame["time"].as_str().unwrap().starts_with("0/"), "{frame}");
    for table in ["media", "streams", "frames", "artefacts"] {
        let csv = library(dir, &["export", "--format", "csv", "--table", table]).exits(0).text();
        assert_eq!(csv.matches("\r\n").count(), count(table) + 1, "{csv}");
    }
    library(dir, &["export", "--format", "csv"]).exits(2);
    library(dir, &["export", "--table", "secrets"]).exits(2);
}

#[test]
fn where_there_is_no_library_none_is_made() {
    let dir = folder();
    for words in [vec!["ls"], vec!["show", "x"], vec!["verify"], vec!["gc"], vec!["export"]] {
        let ran = library(dir.path(), &words).exits(1);
        assert!(ran.err.contains("holds no library"), "{}", ran.err);
    }
    copy(&film(), dir.path().join("a.mp4"));
    rushes_in(dir.path(), ["why", "a.mp4"]).ok();
    assert_eq!(files(dir.path()), [PathBuf::from("a.mp4")]);
}

#[test]
fn what_is_no_library_is_refused() {
    let dir = folder();
    let path = dir.path().join("library");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("library.db"), "my notes on libraries ".repeat(100)).unwrap();
    let film = film();
    let words = ["process", film.to_str().unwrap(), "--library", path.to_str().unwrap()];
    let ran = rushes(words).exits(1);
    assert!(ran.err.contains("library.db") && ran.err.contains("damaged"), "{}", ran.err);
    assert_eq!(files(&path), ["library.db", "report.html"].map(PathBuf::from));
}

#[test]
fn the_report_is_one_page_and_no_name_becomes_markup() {
    let dir = folder();
    let dir = dir.path();
    let name = "<img src=x onerror=alert(1)>&\"'{{body}}.mp4";
    copy(&film(), dir.join(name));
    let record = process(dir, &[name, "--every", "1s"]);
    let own = dir.join(record["output"].as_str().unwrap());
    let page = std::fs::read_to_string(own.join("report.html")).unwrap();
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;&amp;&quot;&#39;{{body}}.mp4"));
    assert!(!page.contains("<img src=x") && !page.contains("http:") && !page.contains("https:"));
    // The pictures that stand for its shots.
    let shots = files(&own.join("shots")).len();
    assert_eq!(page.matches("src=\"data:image/jpeg;base64,").count(), shots);
    assert!(shots > 0 && page.contains("data-at=\"0.000\"") && page.contains("<td>sheet</td>"));
    // What there is nothing of is told.
    copy(&wav(), dir.join("w.wav"));
    let record = process(dir, &["w.wav"]);
    let own = dir.join(record["output"].as_str().unwrap());
    let page = std::fs::read_to_string(own.join("report.html")).unwrap();
    assert!(page.contains("<td>no pictures</td>"), "{page}");
}

#[test]
fn films_are_tagged_and_found_by_it() {
    let (dir, own) = processed();
    let dir = dir.path();
    let name = own.file_name().unwrap().to_str().unwrap();
    let tags = |words: &[&str]| -> Value {
        let all = [&["--json", "tag"], words].concat();
        library(dir, &all).ok().json_line()["tags"].clone()
    };
    assert_eq!(tags(&["a.mp4"]), serde_json::json!([]));
    assert_eq!(
        tags(&["a.mp4", "+Interview", "+day-2", "+day-2"]),
        serde_json::json!(["day-2", "interview"])
    );
    assert_eq!(tags(&[name, "-day-2", "-never", "+b"]), serde_json::json!(["b", "interview"]));
    assert!(library(dir, &["ls"]).ok().text().contains("[b, interview]"));
    assert!(library(dir, &["show", "a.mp4"]).ok().text().contains("tags     b, interview"));
    let record = library(dir, &["ls", "--json"]).ok().json_line();
    assert_eq!(record["tags"], serde_json::json!(["b", "interview"]));
    for wrong in [&["tag", "a.mp4", "b"][..], &["tag", "a.mp4", "+"]] {
        let ran = library(dir, wrong);
        assert_eq!(ran.code, Some(1), "{wrong:?}: {}", ran.err);
    }
    library(dir, &["tag", "nobody.mp4", "+a"]).exits(1);
    // Processing leaves them; they go with the film.
    process(dir, &["a.mp4", "--force"]);
    assert_eq!(tags(&["a.mp4"]), serde_json::json!(["b", "interview"]));
    let exported = library(dir, &["export", "--table", "tags"]).ok();
    assert_eq!(exported.json().len(), 2);
    library(dir, &["rm", "a.mp4"]).ok();
    assert!(library(dir, &["export", "--table", "tags"]).ok().text().is_empty());
}

#[test]
fn a_run_over_many_films_is_told_on_one_page() {
    let dir = folder();
    let dir = dir.path();
    copy(&film(), dir.join("a<b>.mp4"));
    copy(&wav(), dir.join("sound.wav"));
    std::fs::write(dir.join("broken.mp4"), "no film").unwrap();
    let words = ["process", "-q", "a<b>.mp4", "sound.wav", "broken.mp4"];
    rushes_in(dir, words).exits(1);
    let page = dir.join("library/report.html");
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(
        html.contains("3 films in") && html.contains("2 made, 0 up to date, 1 failed"),
        "{html}"
    );
    assert!(html.contains("a&lt;b&gt;.mp4") && !html.contains("a<b>"));
    // What was left out and why: nothing is here that could write down what is said.
    assert!(html.contains("<td>transcript</td>") && html.contains("not asked for"), "{html}");
    let links = html.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let link = links.into_iter().find(|link| link.starts_with("sound")).unwrap();
    let own = std::fs::read_to_string(dir.join("library").join(link)).unwrap();
    assert!(own.contains("reading the film") && own.contains("What was left out"), "{own}");
    // A run with nothing to do leaves it, unless it is told to tell.
    rushes_in(dir, ["process", "-q", "sound.wav"]).ok();
    assert_eq!(std::fs::read_to_string(&page).unwrap(), html);
    rushes_in(dir, ["process", "-q", "sound.wav", "--report", "run.html"]).ok();
    assert!(std::fs::read_to_string(dir.join("run.html")).unwrap().contains("1 up to date"));
}
