//! Hot folders, raw messages, pipelines, and whose library is whose.

use crate::support::{Ran, finish, folder, rushes_fed, rushes_in, signal, start, wait_until};
use rushes_fixtures::{Variant, numbered};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

fn records(ran: &Ran) -> Vec<Value> {
    let lines = String::from_utf8(ran.out.clone()).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_type<'a>(records: &'a [Value], name: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["type"] == name).collect()
}

fn is_done(dir: &Path, name: &str) -> bool {
    dir.join("out").join(name).join("manifest.json").exists()
}

#[test]
fn what_comes_in_is_done_once_it_is_whole() {
    let dir = folder();
    let film = numbered(Variant::ClosedGop).path;
    std::fs::create_dir(dir.path().join("in")).unwrap();
    let words =
        ["watch", "in", "--action=frames", "--output=out", "--every=1s", "--settle=4", "--json"];
    let child = start(words, Some(dir.path()), &[]);
    wait_until("the queue", || dir.path().join("out/jobs.db").exists());
    // Written slowly: half of it is there for a while.
    let bytes = std::fs::read(&film).unwrap();
    let mut slow = std::fs::File::create(dir.path().join("in/slow.mp4")).unwrap();
    for part in bytes.chunks(bytes.len() / 6 + 1) {
        slow.write_all(part).unwrap();
        slow.sync_all().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(600));
        assert!(!is_done(dir.path(), "slow"), "before it was whole");
    }
    drop(slow);
    // Written elsewhere and renamed into the folder.
    let aside = dir.path().join("aside.mp4");
    std::fs::copy(&film, &aside).unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    std::fs::File::options().write(true).open(&aside).unwrap().set_modified(old).unwrap();
    std::fs::rename(&aside, dir.path().join("in/moved.mp4")).unwrap();
    wait_until("both", || is_done(dir.path(), "slow") && is_done(dir.path(), "moved"));
    let over = || {
        let words = ["jobs", "list", "--queue=out/jobs.db", "--state=done", "--json"];
        records(&rushes_in(dir.path(), words)).len()
    };
    wait_until("both to be told", || over() == 2);
    signal(&child, "INT");
    let told = records(&finish(child, &[]).exits(130));
    assert_eq!((of_type(&told, "found").len(), of_type(&told, "job").len()), (2, 2), "{told:?}");
    // Begun again, it does nothing anew.
    let child = start(words, Some(dir.path()), &[]);
    std::thread::sleep(std::time::Duration::from_secs(6));
    signal(&child, "TERM");
    let told = records(&finish(child, &[]).exits(130));
    assert_eq!(of_type(&told, "job").len(), 0, "{told:?}");
    rushes_in(dir.path(), ["watch", "nowhere", "--json"]).exits(1);
}

#[test]
fn raw_messages_become_jobs_and_pipelines_their_steps() {
    let dir = folder();
    let film = numbered(Variant::ClosedGop).path;
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let queue = format!("--queue={}", at("jobs.db"));
    let message = |id: &str, action: &str, params: Value| {
        json!({"version": 1, "id": id, "media": film, "action": action, "params": params,
               "timestamp": 1})
    };
    let frames = json!({"output": at("out"), "every": "1s"});
    let steps = json!([
        {"action": "frames", "params": {"output": at("one")}},
        {"action": "frames", "params": {"output": at("two"), "width": 64}},
    ]);
    let text = format!(
        "{}\n\n{}\n",
        message("a", "frames", frames),
        message("p", "pipeline", json!({"steps": steps}))
    );
    let words = ["jobs", "submit", "-", "--batch=b", "--json", &queue];
    let made = rushes_fed(text.as_bytes(), words).exits(0).json_line();
    assert_eq!(made["jobs"].as_array().unwrap().len(), 3, "{made}");
    let again = rushes_fed(text.as_bytes(), words).exits(0).json_line();
    assert_eq!(again["jobs"], made["jobs"], "the same ids are the same jobs");
    let wrong = text.replacen("\"version\":1", "\"version\":9", 1);
    let told = rushes_fed(wrong.as_bytes(), words).exits(1).json_line();
    assert!(told["message"].as_str().unwrap().starts_with("line 1"), "{told}");
    let worker = ["worker", "--until-empty", "--json", &queue];
    let told = records(&rushes_in(dir.path(), worker).exits(0));
    assert!(told.len() == 3 && told.iter().all(|job| job["state"] == "done"), "{told:?}");
    let name = film.file_stem().unwrap();
    for folder in ["out", "one", "two"] {
        assert!(dir.path().join(folder).join(name).join("manifest.json").exists(), "{folder}");
    }
    let schema = rushes_in(dir.path(), ["jobs", "submit", "--schema"]).exits(0).text();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(schema["oneOf"].as_array().unwrap().len(), 6);
}

#[test]
fn a_worker_for_some_actions_ends_while_others_wait() {
    let dir = folder();
    std::fs::create_dir(dir.path().join("in")).unwrap();
    std::fs::copy(numbered(Variant::ClosedGop).path, dir.path().join("in/a.mp4")).unwrap();
    let submit = ["batch", "in", "--action=frames", "-oout", "--submit"];
    rushes_in(dir.path(), submit).exits(0);
    let worker = ["worker", "--queue=out/jobs.db", "--only=embed", "--until-empty", "--json"];
    assert_eq!(records(&rushes_in(dir.path(), worker).exits(0)).len(), 0);
    let worker = ["worker", "--queue=out/jobs.db", "--only=frames", "--until-empty", "--json"];
    assert_eq!(records(&rushes_in(dir.path(), worker).exits(0)).len(), 1);
}

#[test]
fn force_and_changed_limits_reach_the_jobs() {
    let dir = folder();
    std::fs::create_dir(dir.path().join("in")).unwrap();
    std::fs::copy(numbered(Variant::ClosedGop).path, dir.path().join("in/a.mp4")).unwrap();
    let batch = |more: &[&'static str]| {
        let words = ["batch", "in", "--action=frames", "-oout", "--every=1s", "--json"].into_iter();
        rushes_in(dir.path(), words.chain(more.iter().copied()))
    };
    let frame = dir.path().join("out/a/manifest.json");
    batch(&[]).exits(0);
    let inode = || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&frame).unwrap());
    let before = inode();
    let told = records(&batch(&[]).exits(0));
    assert_eq!((of_type(&told, "job").len(), inode()), (0, before));
    let told = records(&batch(&["--force"]).exits(0));
    assert_eq!(of_type(&told, "job").len(), 1);
    assert_ne!(inode(), before, "done anew");
    // One frame is fewer than there are.
    let told = records(&batch(&["--force", "--allow=frames=1"]).exits(1));
    assert_eq!(of_type(&told, "job")[0]["kind"], "limit", "{told:?}");
    let id = of_type(&told, "job")[0]["id"].to_string();
    let logs = ["jobs", "logs", &id, "--queue=out/jobs.db", "--json"];
    let logs = records(&rushes_in(dir.path(), logs).exits(0));
    let said = logs.iter().find(|line| line["said"] == true).unwrap();
    assert!(said["text"].as_str().unwrap().starts_with("rushes: "), "{said}");
}

#[test]
fn a_library_is_its_tenants_alone() {
    let dir = folder();
    std::fs::create_dir_all(dir.path().join("in")).unwrap();
    std::fs::copy(numbered(Variant::ClosedGop).path, dir.path().join("in/a.mp4")).unwrap();
    std::fs::write(dir.path().join("rules.toml"), "[tenant.anna]\nlibrary = 'annas'\n").unwrap();
    let batch = |library: &str, tenant: &str, more: &[&str]| {
        let (library, tenant) = (format!("--library={library}"), format!("--tenant={tenant}"));
        let words =
            ["batch", "in", "--stages=sheet", "--json", "--queue=jobs.db", &library, &tenant];
        rushes_in(dir.path(), words.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
    };
    let ruled = &["--rules=rules.toml"];
    let refused = batch("annas", "bert", ruled).exits(4).json_line();
    assert!(refused["message"].as_str().unwrap().contains("tenant `anna`"), "{refused}");
    batch("elsewhere", "anna", ruled).exits(4);
    batch("annas", "anna", ruled).exits(0);
    // Submitted where no rules were: refused before it starts.
    batch("annas", "bert", &["--submit", "--name=late"]).exits(0);
    let worker = ["worker", "--queue=jobs.db", "--until-empty", "--json", "--rules=rules.toml"];
    let told = records(&rushes_in(dir.path(), worker).exits(0));
    assert_eq!((&told[0]["state"], &told[0]["kind"]), (&"failed".into(), &"limit".into()));
}
