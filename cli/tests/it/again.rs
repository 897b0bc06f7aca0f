//! A second run: nothing is done twice, nothing stale is kept, nothing of others is lost.

use crate::support::{
    Ran, copy, decodes, files, folder, is_catalogue, nothing_half_made, rushes, tree,
};
use rushes_fixtures::{film, video_only, wav};
use std::path::{Path, PathBuf};

/// The verbs that write, each with settings that it may be given instead.
const WRITERS: &[(&[&str], &str, &[&str])] = &[
    (&["frames"], "-o", &["--every", "2s"]),
    (&["sheet"], "-o", &["--columns", "2"]),
    (&["sheet", "--as", "sprites"], "-o", &["--tile-width", "64"]),
    (&["sheet", "--as", "preview"], "-o", &["--count", "3"]),
    (&["audio"], "-o", &["--mono"]),
    (&["process"], "--library", &["--width", "120"]),
];

fn write(verb: &[&str], input: &Path, flag: &str, out: &Path, more: &[&str]) -> Ran {
    let (input, out) = (input.to_str().unwrap(), out.to_str().unwrap());
    let all = verb.iter().copied().chain([input, flag, out]).chain(more.iter().copied());
    rushes(all.collect::<Vec<_>>())
}

#[test]
fn a_second_run_finds_it_done_and_changes_nothing() {
    for (verb, flag, _) in WRITERS {
        let dir = folder();
        let input = copy(&film(), dir.path().join("a.mp4"));
        let out = dir.path().join("out");
        write(verb, &input, flag, &out, &[]).ok();
        let before = tree(&out);
        assert!(!before.is_empty());
        let again = write(verb, &input, flag, &out, &[]).ok();
        assert!(again.text().contains("up to date"), "{verb:?}: {}", again.text());
        assert_eq!(tree(&out), before, "{verb:?}");
        let told = write(verb, &input, flag, &out, &["--json"]).ok().json_line();
        assert_eq!(told["current"], true, "{told}");
        // A film under another date is the same film.
        copy(&film(), &input);
        write(verb, &input, flag, &out, &[]).ok();
        assert_eq!(tree(&out), before, "{verb:?}");
    }
}

#[test]
fn other_settings_other_content_harm_or_force_do_it_again() {
    for (verb, flag, other) in WRITERS {
        let dir = folder();
        let input = copy(&film(), dir.path().join("a.mp4"));
        let out = dir.path().join("out");
        write(verb, &input, flag, &out, &[]).ok();
        let mut last = tree(&out);
        let mut changed = |why: &str, more: &[&str]| {
            let ran = write(verb, &input, flag, &out, more).ok();
            assert!(!ran.text().contains("up to date"), "{verb:?} {why}");
            let now = tree(&out);
            assert_ne!(now, last, "{verb:?} {why}");
            last = now;
            nothing_half_made(&out);
        };
        changed("other settings", other);
        changed("the settings from before", &[]);
        changed("force", &["--force"]);
        for victim in victims(&out) {
            let good = std::fs::read(&victim).unwrap();
            std::fs::write(&victim, b"harmed").unwrap();
            changed("harm", &[]);
            assert_eq!(std::fs::read(&victim).unwrap(), good, "{}", victim.display());
            std::fs::remove_file(&victim).unwrap();
            changed("loss", &[]);
            assert!(victim.exists(), "{}", victim.display());
        }
        if verb[0] != "audio" {
            copy(&video_only(), &input);
            changed("other content", &[]);
        }
    }
}

/// One output of each kind: pictures, sound, reports; not the record itself.
fn victims(out: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for file in files(out) {
        let name = file.file_name().unwrap().to_string_lossy();
        let record = name == "manifest.json" || name.ends_with(".rushes.json");
        let record = record || is_catalogue(&file);
        if !record && !found.iter().any(|f| f.extension() == file.extension()) {
            found.push(file);
        }
    }
    found.into_iter().map(|f| out.join(f)).collect()
}

#[test]
fn a_harmed_record_is_no_proof() {
    for (verb, flag, _) in WRITERS.iter().filter(|(verb, ..)| verb[0] != "sheet") {
        let dir = folder();
        let out = dir.path().join("out");
        write(verb, &film(), flag, &out, &[]).ok();
        let record = files(&out).into_iter().find(|f| {
            let name = f.file_name().unwrap().to_string_lossy();
            name == "manifest.json" || name.ends_with(".rushes.json")
        });
        std::fs::write(out.join(record.unwrap()), "{\"record\":{\"key\":\"").unwrap();
        let ran = write(verb, &film(), flag, &out, &[]);
        // Without its record a folder's files are nobody's: refused. A single file is redone, and
        // a library has its catalogue.
        assert_eq!(ran.code, Some(i32::from(verb[0] == "frames")), "{}", ran.err);
    }
}

#[test]
fn a_library_that_lost_its_catalogue_or_its_lists_is_filled_again_but_not_both() {
    let dir = folder();
    let out = dir.path().join("out");
    let run = || write(&["process"], &film(), "--library", &out, &[]);
    run().ok();
    let own = std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().path()).find(|p| p.is_dir());
    let manifest = own.unwrap().join("manifest.json");
    let before = files(&out);
    std::fs::remove_file(out.join("library.db")).unwrap();
    assert!(!run().ok().text().contains("up to date"));
    assert_eq!(files(&out), before);
    std::fs::remove_file(&manifest).unwrap();
    assert!(run().ok().text().contains("up to date"));
    std::fs::remove_file(out.join("library.db")).unwrap();
    let ran = run().exits(1);
    assert!(ran.err.contains("which rushes did not write"), "{}", ran.err);
}

#[test]
fn what_rushes_did_not_write_is_never_deleted() {
    for (verb, flag, other) in WRITERS {
        let dir = folder();
        let out = dir.path().join("out");
        write(verb, &film(), flag, &out, &[]).ok();
        // A diary in every folder that there is, below the outputs too.
        let mut diaries = vec![out.join("diary.txt")];
        for file in files(&out) {
            diaries.push(out.join(file.parent().unwrap()).join("diary.txt"));
        }
        diaries.sort();
        diaries.dedup();
        for diary in &diaries {
            std::fs::write(diary, "mine").unwrap();
            let ran = write(verb, &film(), flag, &out, other);
            assert!(matches!(ran.code, Some(0 | 1)), "{verb:?}: {}", ran.err);
            if ran.code == Some(1) {
                assert!(ran.err.contains("diary.txt") && ran.err.contains("; "), "{}", ran.err);
            }
            assert_eq!(std::fs::read(diary).unwrap(), b"mine", "{verb:?}: {}", diary.display());
            nothing_half_made(dir.path());
            std::fs::remove_file(diary).unwrap();
            write(verb, &film(), flag, &out, &[]).ok();
        }
    }
}

#[test]
fn a_folder_with_a_diary_but_no_record_is_refused() {
    let dir = folder();
    let own = dir.path().join("out/a");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("diary.txt"), "mine").unwrap();
    let input = copy(&film(), dir.path().join("a.mp4"));
    let ran = write(&["frames"], &input, "-o", &dir.path().join("out"), &[]).exits(1);
    assert!(ran.err.contains("diary.txt"), "{}", ran.err);
    assert_eq!(files(&dir.path().join("out")), [PathBuf::from("a/diary.txt")]);
}

/// Runs a verb whose output is its input and asserts that it is refused and the file unharmed.
#[track_caller]
fn refused(verb: &[&str], input: &Path, output: &Path) {
    let before = std::fs::read(input).unwrap();
    let ran = write(verb, input, "-o", output, &[]).exits(4);
    assert!(ran.err.contains("is the input"), "{}", ran.err);
    assert!(ran.err.contains("choose another output"), "{}", ran.err);
    assert_eq!(std::fs::read(input).unwrap(), before);
    assert_eq!(std::fs::read(output).unwrap(), before);
    nothing_half_made(input.parent().unwrap());
}

#[test]
fn the_input_is_never_the_output() {
    let dir = folder();
    let sound = copy(&wav(), dir.path().join("a.wav"));
    let film = copy(&film(), dir.path().join("a.mp4"));
    let at = |name: &str| dir.path().join(name);
    std::os::unix::fs::symlink(&sound, at("soft.wav")).unwrap();
    std::fs::hard_link(&sound, at("hard.wav")).unwrap();
    std::os::unix::fs::symlink(dir.path(), at("loop")).unwrap();
    for output in ["a.wav", "soft.wav", "hard.wav", "./loop/a.wav"] {
        refused(&["audio"], &sound, &at(output));
        refused(&["audio", "--force"], &sound, &at(output));
    }
    refused(&["audio"], &at("soft.wav"), &sound);
    let tune = sound.to_str().unwrap();
    refused(&["mux", "--audio", tune], &film, &film);
    // The other source is protected as well.
    std::fs::hard_link(&sound, at("track.mkv")).unwrap();
    write(
        &["mux", "--audio", at("track.mkv").to_str().unwrap()],
        &film,
        "-o",
        &at("track.mkv"),
        &[],
    )
    .exits(4);
    assert_eq!(std::fs::read(at("track.mkv")).unwrap(), std::fs::read(&sound).unwrap());
}

#[test]
fn a_file_without_extension_is_not_replaced_by_its_own_folder() {
    // `-o .` would make a folder called as the film is.
    let dir = folder();
    let input = copy(&film(), dir.path().join("film"));
    let ran = write(&["frames"], &input, "-o", dir.path(), &[]).exits(4);
    assert!(ran.err.contains("is the input"), "{}", ran.err);
    let ran = write(&["sheet", "--as", "sprites"], &input, "-o", &input, &[]).exits(4);
    assert!(ran.err.contains("is the input"), "{}", ran.err);
    assert_eq!(files(dir.path()), [PathBuf::from("film")]);
    decodes(&input);
}

#[test]
fn a_folder_read_twice_does_not_read_its_own_outputs() {
    let dir = folder();
    copy(&film(), dir.path().join("a.mp4"));
    for verb in [vec!["process", ".", "--library", "library"], vec!["audio", ".", "-o", "sound"]] {
        crate::support::rushes_in(dir.path(), &verb).ok();
        let before = tree(dir.path());
        let ran = crate::support::rushes_in(dir.path(), &verb).ok();
        assert_eq!(ran.text().lines().count(), 1, "{}", ran.text());
        assert_eq!(tree(dir.path()), before, "{verb:?}");
    }
}
