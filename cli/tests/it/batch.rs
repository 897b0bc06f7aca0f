//! Batches: what is broken stops nobody, what was killed goes on, what is done is not done again.

use crate::support::{Ran, finish, folder, rushes_in, signal, start, wait_until};
use rushes_fixtures::{Variant, numbered};
use serde_json::Value;
use std::path::Path;

/// Films in a folder, under several names.
fn films(dir: &Path, names: &[&str]) {
    let film = numbered(Variant::ClosedGop).path;
    std::fs::create_dir_all(dir.join("in")).unwrap();
    for name in names {
        std::fs::copy(&film, dir.join("in").join(name)).unwrap();
    }
}

fn records(ran: &Ran) -> Vec<Value> {
    let lines = String::from_utf8(ran.out.clone()).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_type<'a>(records: &'a [Value], name: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["type"] == name).collect()
}

const BATCH: [&str; 8] =
    ["batch", "in", "--action", "frames", "--output", "out", "--every=1s", "--json"];

#[test]
fn the_good_ones_are_done_and_the_broken_told() {
    let dir = folder();
    films(dir.path(), &["a.mp4", "b.mp4", "c.mp4"]);
    std::fs::write(dir.path().join("in/broken.mp4"), "this is no film").unwrap();
    let dry = rushes_in(dir.path(), BATCH.into_iter().chain(["--dry-run"])).exits(0);
    assert_eq!(of_type(&records(&dry), "planned").len(), 4);
    assert!(!dir.path().join("out").exists());

    let with_page = BATCH.into_iter().chain(["--report=page.html"]);
    let first = records(&rushes_in(dir.path(), with_page).exits(1));
    let page = std::fs::read_to_string(dir.path().join("page.html")).unwrap();
    assert!(page.contains("3 done") && page.contains("1 failed") && page.contains("broken.mp4"));
    let jobs = of_type(&first, "job");
    assert_eq!(jobs.len(), 4, "{first:?}");
    let failed: Vec<_> = jobs.iter().filter(|job| job["state"] == "failed").collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0]["media"].as_str().unwrap().ends_with("broken.mp4"));
    assert_eq!(failed[0]["kind"], "input");
    let summary = of_type(&first, "summary")[0];
    assert_eq!((&summary["done_now"], &summary["states"]["done"]), (&3.into(), &3.into()));
    assert_eq!(summary["states"]["failed"], 1);
    for name in ["a", "b", "c"] {
        assert!(dir.path().join("out").join(name).join("manifest.json").exists(), "{name}");
    }
    // Again: nothing is left to do, and what failed still counts.
    let again = records(&rushes_in(dir.path(), BATCH).exits(1));
    assert_eq!(of_type(&again, "job").len(), 0);
    assert_eq!(of_type(&again, "summary")[0]["done_now"], 0);
    // Once it is mended it is another job.
    films(dir.path(), &["broken.mp4"]);
    let mended = records(&rushes_in(dir.path(), BATCH).exits(0));
    assert_eq!(of_type(&mended, "job").len(), 1);
    let words = ["jobs", "list", "--queue", "out/jobs.db", "--state", "failed", "--json"];
    let listed = records(&rushes_in(dir.path(), words).exits(0));
    assert_eq!(listed.len(), 1);
}

#[test]
fn copies_of_a_film_that_come_at_once_are_one_medium() {
    let dir = folder();
    films(dir.path(), &["0.mp4", "1.mp4", "2.mp4", "3.mp4", "4.mp4", "5.mp4"]);
    let words = ["batch", "in", "--library", "library", "--json", "-q"];
    let ran = records(&rushes_in(dir.path(), words).exits(0));
    assert_eq!(of_type(&ran, "summary")[0]["states"]["done"], 6, "{ran:?}");
    let words = ["library", "ls", "--library", "library", "--json"];
    assert_eq!(records(&rushes_in(dir.path(), words).exits(0)).len(), 1);
}

#[test]
fn what_was_killed_goes_on_and_does_only_the_rest() {
    let dir = folder();
    let names: Vec<String> = (0..8).map(|n| format!("{n}.mp4")).collect();
    films(dir.path(), &names.iter().map(String::as_str).collect::<Vec<_>>());
    let child = start(BATCH, Some(dir.path()), &[]);
    let done =
        || (0..8).filter(|n| dir.path().join(format!("out/{n}/manifest.json")).exists()).count();
    wait_until("some to be done", || done() >= 4);
    signal(&child, "KILL");
    finish(child, &[]);
    let rest = records(&rushes_in(dir.path(), BATCH).exits(0));
    let summary = of_type(&rest, "summary")[0];
    assert_eq!(summary["states"]["done"], 8);
    // Two run at a time: of four that are done two have said so. The others are done again, in vain.
    let now = summary["done_now"].as_u64().unwrap();
    assert!((1..=7).contains(&now), "{now}");
    assert_eq!(done(), 8);
    let words = ["jobs", "list", "--queue", "out/jobs.db", "--json"];
    for job in records(&rushes_in(dir.path(), words).exits(0)) {
        assert!(job["attempts"].as_u64().unwrap() <= 2, "{job}");
    }
}

#[test]
fn workers_share_a_queue_and_jobs_can_be_held_and_cancelled() {
    let dir = folder();
    films(dir.path(), &["a.mp4", "b.mp4", "c.mp4", "d.mp4", "e.mp4", "f.mp4"]);
    let submitted = rushes_in(dir.path(), BATCH.into_iter().chain(["--submit"])).exits(0);
    let ids = records(&submitted)[0]["jobs"].as_array().unwrap().clone();
    assert_eq!(ids.len(), 6);
    let jobs = |words: &[&str]| {
        let words = ["jobs", "--queue", "out/jobs.db", "--json"].iter().chain(words).copied();
        records(&rushes_in(dir.path(), words.collect::<Vec<_>>()).exits(0))
    };
    let first = ids[0].to_string();
    assert_eq!(jobs(&["cancel", &first])[0]["jobs"], 1);
    let words = ["worker", "--queue", "out/jobs.db", "--until-empty", "--json"];
    let workers = [0, 1].map(|_| start(words, Some(dir.path()), &[]));
    let told: Vec<Value> =
        workers.into_iter().flat_map(|w| records(&finish(w, &[]).exits(0))).collect();
    assert_eq!(told.len(), 5);
    assert!(told.iter().all(|job| job["state"] == "done"), "{told:?}");
    for id in &ids[1..] {
        let logs = jobs(&["logs", &id.to_string()]);
        let begun = logs.iter().filter(|l| l["text"].as_str().unwrap().starts_with("begun"));
        assert_eq!(begun.count(), 1, "{logs:?}");
    }
    assert_eq!(jobs(&["retry"])[0]["jobs"], 1);
    jobs(&["pause"]);
    assert_eq!(jobs(&["show", &first])[0]["state"], "ready");
    jobs(&["pause", "--off"]);
    rushes_in(dir.path(), words).exits(0);
    assert_eq!(jobs(&["clear"])[0]["jobs"], 6);
    let words = ["jobs", "show", "99", "--queue", "out/jobs.db"];
    rushes_in(dir.path(), words).exits(1);
}

/// The lines that say that a job was done: one, whatever happened.
fn times_done(dir: &Path, queue: &str) -> Vec<usize> {
    let listed = records(&rushes_in(dir, ["jobs", "list", "--queue", queue, "--json"]).exits(0));
    listed
        .iter()
        .map(|job| {
            let id = job["id"].to_string();
            let words = ["jobs", "logs", &id, "--queue", queue, "--json"];
            let logs = records(&rushes_in(dir, words).exits(0));
            logs.iter().filter(|line| line["text"] == "done").count()
        })
        .collect()
}

/// `benches/kill.py` does this a thousand times, at any moment too.
#[test]
fn killed_at_every_point_nothing_is_lost_or_done_twice() {
    // Those of `cli/src/batch/point.rs`.
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/batch/point.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let points: Vec<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("    \"")?.strip_suffix("\","))
        .collect();
    assert_eq!(points.len(), 11);
    for point in points {
        let dir = folder();
        films(dir.path(), &["a.mp4", "b.mp4", "c.mp4"]);
        let words = BATCH.into_iter().chain(["--lease=2"]);
        let at = format!("{point}:1");
        let killed = finish(start(words, Some(dir.path()), &[("RUSHES_KILL_AT", &at)]), &[]);
        // Jobs may be over before the first beat; every other point is come by.
        assert!(killed.signal == Some(9) || point == "beaten", "{point}: {:?}", killed.code);
        let rest = records(&rushes_in(dir.path(), BATCH).exits(0));
        assert_eq!(of_type(&rest, "summary")[0]["states"]["done"], 3, "{point}");
        assert_eq!(times_done(dir.path(), "out/jobs.db"), [1, 1, 1], "{point}");
    }
}

/// A worker that is stopped for longer than its lease loses its jobs to another; when it goes on, what
/// it has to say is not heard.
#[test]
fn a_worker_that_slept_past_its_lease_is_fenced() {
    let dir = folder();
    films(dir.path(), &["a.mp4", "b.mp4"]);
    rushes_in(dir.path(), BATCH.into_iter().chain(["--submit"])).exits(0);
    let words = ["worker", "--queue=out/jobs.db", "--until-empty", "--json", "--lease=2"];
    let list = || {
        let words = ["jobs", "list", "--queue", "out/jobs.db", "--json", "--state=running"];
        records(&rushes_in(dir.path(), words).exits(0)).len()
    };
    let sleeper = start(words, Some(dir.path()), &[]);
    wait_until("both to be claimed", || list() == 2 || dir.path().join("out/b").exists());
    signal(&sleeper, "STOP");
    let taken = list();
    let other = records(&rushes_in(dir.path(), words).exits(0));
    assert_eq!(other.len(), taken, "what the sleeper held");
    signal(&sleeper, "CONT");
    let late = records(&finish(sleeper, &[]).exits(0));
    assert_eq!(late.len() + other.len(), 2, "{late:?} {other:?}");
    assert_eq!(times_done(dir.path(), "out/jobs.db"), [1, 1]);
}

#[test]
fn what_is_not_there_makes_nothing_and_nothing_is_cancelled_by_mistake() {
    let dir = folder();
    let wrong = rushes_in(dir.path(), ["batch", "nowhere", "--json"]).exits(1);
    assert_eq!(records(&wrong)[0]["kind"], "input");
    assert!(!dir.path().join("library").exists());
    films(dir.path(), &["a.mp4", "b.mp4"]);
    rushes_in(dir.path(), BATCH.into_iter().chain(["--submit"])).exits(0);
    let cancel = |more: &[&'static str]| {
        let words = ["jobs", "cancel", "--queue=out/jobs.db", "--json"].into_iter();
        rushes_in(dir.path(), words.chain(more.iter().copied()))
    };
    cancel(&[]).exits(2);
    cancel(&["--all", "--state=ready"]).exits(2);
    assert_eq!(cancel(&["--all"]).exits(0).json_line()["jobs"], 2);
}

#[test]
fn budgets_and_quotas_stop_new_work_and_say_so() {
    let dir = folder();
    films(dir.path(), &["a.mp4", "b.mp4", "c.mp4", "d.mp4", "e.mp4", "f.mp4"]);
    let rules = |text: &str| {
        std::fs::create_dir_all(dir.path().join("out")).unwrap();
        std::fs::write(dir.path().join("out/rushes.toml"), text).unwrap();
    };
    rules("[quota.anna]\nwaiting = 5\n");
    let as_anna = || BATCH.into_iter().chain(["--tenant=anna"]);
    let refused = records(&rushes_in(dir.path(), as_anna()).exits(4));
    assert_eq!(refused[0]["kind"], "limit");
    // A byte read is beyond it: what runs is finished, nothing else begins.
    rules("[prices]\ngb_in = 1.0\n[budget]\nbatch = 0.000000001\n");
    let stopped = records(&rushes_in(dir.path(), as_anna().chain(["--threads=1"])).exits(4));
    let summary = of_type(&stopped, "summary")[0];
    assert!(summary["not_begun"].as_str().unwrap().contains("spent"), "{summary}");
    assert_eq!((&summary["states"]["done"], &summary["states"]["ready"]), (&1.into(), &5.into()));
    assert_eq!(of_type(&stopped, "budget").len(), 1);
    // The same for a tenant's day; another's jobs go on.
    rules("[quota.anna]\nbytes = '1'\n");
    let stopped = records(&rushes_in(dir.path(), as_anna()).exits(4));
    let summary = of_type(&stopped, "summary")[0];
    assert!(summary["not_begun"].as_str().unwrap().contains("anna"), "{summary}");
    rules("[prices]\ncurrency = 'EUR'\ncpu_hour = 3600.0\n[budget]\nbatch = 1000.0\n");
    rushes_in(dir.path(), as_anna()).exits(0);
    let words = ["costs", "--queue=out/jobs.db", "--by=tenant", "--json"];
    let costs = records(&rushes_in(dir.path(), words).exits(0));
    let (anna, all) = (of_type(&costs, "cost")[0], of_type(&costs, "total")[0]);
    assert_eq!((&anna["name"], &anna["attempts"]), (&"anna".into(), &6.into()));
    assert_eq!(anna["cpu_ms"], all["cpu_ms"]);
    let money = anna["money"].as_f64().unwrap();
    assert!((money - anna["cpu_ms"].as_f64().unwrap() / 1000.0).abs() < 1e-6);
    rules("[prices]\ncpu_hour = -1.0\n");
    rushes_in(dir.path(), words).exits(1);
}

/// On a disk of its own that is full, and on one that may only be read. Only where this process may
/// mount; says so where it may not.
#[test]
fn full_and_read_only_disks_are_told_and_got_over() {
    let dir = folder();
    films(dir.path(), &["a.mp4", "b.mp4"]);
    let disk = dir.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    // In a space of its own, which ends with the shell.
    let script = r#"mount -t tmpfs -o size=400k none disk || exit 77
        batch() { "$0" batch in --action frames --output disk/out --every=1s --json; }
        head -c 330k /dev/zero > disk/filler; batch > full; echo $? >> codes
        rm disk/filler; mount -o remount,size=9m disk
        "$0" jobs retry --queue disk/out/jobs.db; batch > rest; echo $? >> codes
        mount -o remount,ro disk; "$0" batch in --action frames --output disk/other --json > ro; echo $? >> codes"#;
    let ran = std::process::Command::new("unshare")
        .args(["-rm", "sh", "-c", script, env!("CARGO_BIN_EXE_rushes")])
        .current_dir(dir.path())
        .output();
    if !ran.as_ref().is_ok_and(|ran| ran.status.success()) {
        eprintln!("skipped: this process may not mount ({ran:?})");
        return;
    }
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let codes = read("codes");
    let codes: Vec<&str> = codes.lines().collect();
    assert!(
        matches!(codes[..], ["1" | "5", "0", "1"]),
        "{codes:?} {} {}",
        read("full"),
        read("ro")
    );
    let kinds = |text: &str| -> Vec<String> {
        let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.filter_map(|r| Some(r["kind"].as_str()?.to_owned())).collect()
    };
    assert!(kinds(&read("full")).iter().all(|kind| kind == "resource"), "{}", read("full"));
    assert_eq!(kinds(&read("ro")), ["storage"], "{}", read("ro"));
}

#[test]
fn lists_order_their_jobs_by_need() {
    let dir = folder();
    films(dir.path(), &["a.mp4"]);
    std::fs::write(
        dir.path().join("list.jsonl"),
        "{\"media\":\"in/none.mp4\",\"key\":\"x\"}\n\
         {\"media\":\"in/a.mp4\",\"key\":\"y\",\"needs\":[\"x\"]}\n\
         {\"media\":\"in/a.mp4\",\"width\":64,\"output\":\"small\"}\n",
    )
    .unwrap();
    let words = ["batch", "list.jsonl", "--action=frames", "-oout", "--json"];
    let made = records(&rushes_in(dir.path(), words).exits(1));
    let summary = of_type(&made, "summary")[0];
    assert_eq!((&summary["states"]["failed"], &summary["states"]["done"]), (&2.into(), &1.into()));
    let wrong = ["batch", "list.jsonl", "--action=frames", "-oout", "--every=soon"];
    rushes_in(dir.path(), wrong).exits(2);
}

#[test]
fn devices_and_doctor_say_what_there_is() {
    let dir = folder();
    let sim = "[host]\nthreads = 3\n[[gpu]]\nname = 'A10'\ncount = 2\nmemory = '24G'\n";
    std::fs::write(dir.path().join("sim.toml"), sim).unwrap();
    let words = ["devices", "--devices", "sim.toml", "--json"];
    let seen = records(&rushes_in(dir.path(), words).exits(0));
    assert_eq!(of_type(&seen, "gpu").len(), 2);
    assert_eq!(of_type(&seen, "host")[0]["threads"], 3);
    let seen = records(&rushes_in(dir.path(), ["devices", "--json"]).exits(0));
    assert!(of_type(&seen, "host")[0]["memory"].as_u64().unwrap() > 0);
    let words = ["devices", "--devices", "none.toml"];
    rushes_in(dir.path(), words).exits(1);
    // No models: that is what is missing, and what to do is said.
    let found = records(&rushes_in(dir.path(), ["doctor", "--models-dir=none", "--json"]).exits(3));
    let missing: Vec<_> = found.iter().filter(|f| f["level"] == "missing").collect();
    assert!(!missing.is_empty());
    assert!(missing.iter().all(|f| f["what"] == "model" && f["hint"].is_string()), "{missing:?}");
}
