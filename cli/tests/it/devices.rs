//! Batches on a machine that is only described: leases, the ladder, losses and the watchdog are real, the
//! work is done on this machine's processors.

use crate::support::{Ran, finish, folder, rushes_in, signal, start, wait_until};
use rushes_fixtures::{Variant, numbered};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

fn films(dir: &Path, names: &[&str], variant: Variant) {
    let film = numbered(variant).path;
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

const FRAMES: [&str; 10] = [
    "batch",
    "in",
    "--action",
    "frames",
    "--output",
    "out",
    "--every=1s",
    "--json",
    "--devices",
    "sim.toml",
];

fn jobs(dir: &Path, words: &[&str]) -> Vec<Value> {
    let words = ["jobs", "--queue", "out/jobs.db", "--json"].iter().chain(words).copied();
    records(&rushes_in(dir, words.collect::<Vec<_>>()).exits(0))
}

#[test]
fn jobs_run_on_gpus_where_there_are_any_and_their_time_is_counted() {
    let dir = folder();
    films(dir.path(), &["a.mp4", "b.mp4", "c.mp4"], Variant::ClosedGop);
    let sim = "[host]\nthreads = 2\n[[gpu]]\nname = 'A10'\ncount = 2\nmemory = '24G'\n";
    std::fs::write(dir.path().join("sim.toml"), sim).unwrap();
    let words = FRAMES.into_iter().chain(["--report=page.html"]);
    let told = records(&rushes_in(dir.path(), words).exits(0));
    let done = of_type(&told, "job");
    assert_eq!(done.len(), 3);
    for job in done {
        assert_eq!(job["way"]["name"], "gpu", "{job}");
        assert!(job["way"]["device"].as_str().unwrap().starts_with("A10 SIM-"), "{job}");
        assert!(job["way"].get("because").is_none() && job["stages"][0]["stage"] == "frames");
        // A quarter of the GPU was promised.
        let (wall, gpu) = (job["wall_ms"].as_u64().unwrap(), job["gpu_ms"].as_u64().unwrap());
        assert_eq!(gpu, wall / 4, "{job}");
        // What it told through its pipes is nothing that it wrote.
        let written: u64 = std::fs::read_dir(dir.path().join("out/a")).unwrap().count() as u64;
        assert!(job["bytes_out"].as_u64().unwrap() > written);
    }
    let summary = of_type(&told, "summary")[0];
    assert!(
        summary["gpu_s"].as_f64().unwrap() > 0.0 && summary["fell_back"] == serde_json::json!({})
    );
    let page = std::fs::read_to_string(dir.path().join("page.html")).unwrap();
    assert!(page.contains("gpu on A10 SIM-0"), "{page}");
}

#[test]
fn who_finds_no_room_on_a_gpu_falls_back_and_says_why() {
    let dir = folder();
    films(dir.path(), &["a.mp4"], Variant::ClosedGop);
    std::fs::write(
        dir.path().join("rules.toml"),
        "[prices]\ncurrency = 'EUR'\ncpu_hour = 3600.0\n",
    )
    .unwrap();
    // Too small for anything.
    let sim = "[host]\nthreads = 2\n[[gpu]]\nname = 'tiny'\nmemory = '256M'\n";
    std::fs::write(dir.path().join("sim.toml"), sim).unwrap();
    let told = records(&rushes_in(dir.path(), FRAMES).exits(0));
    let job = of_type(&told, "job")[0];
    assert_eq!(job["way"]["name"], "cpu");
    let because = job["way"]["because"].as_str().unwrap();
    assert_eq!(because, "fell back from gpu: no device that works could take it");
    let fell_back = of_type(&told, "summary")[0]["fell_back"].as_object().unwrap();
    assert_eq!(fell_back[because], 1);
    let shown = jobs(dir.path(), &["show", "1"]).remove(0);
    assert_eq!(shown["way"]["because"], because);
    std::fs::rename(dir.path().join("rules.toml"), dir.path().join("out/rushes.toml")).unwrap();
    let shown = jobs(dir.path(), &["show", "1"]).remove(0);
    assert!(shown["money"].as_f64().unwrap() > 0.0 && shown["currency"] == "EUR", "{shown}");
    // On a GPU or not at all: nobody here can.
    let only = FRAMES.into_iter().chain(["--on=gpu", "--name=only"]);
    let told = records(&rushes_in(dir.path(), only).exits(1));
    assert_eq!(of_type(&told, "job")[0]["kind"], "limit", "{told:?}");
    let none = ["batch", "in", "--action=frames", "-oout", "--json", "--on=gpu", "--name=none"];
    let told = records(&rushes_in(dir.path(), none).exits(4));
    let why = of_type(&told, "summary")[0]["not_begun"].as_str().unwrap();
    assert!(why.contains("GPU"), "{why}");
}

/// The only GPU is lost while a job runs on it and comes back later: the job goes on elsewhere at once.
#[test]
fn a_lost_gpu_costs_a_job_nothing_but_time() {
    let dir = folder();
    films(dir.path(), &["a.mp4"], Variant::Long);
    let sim = "[host]\nthreads = 2\n[[gpu]]\nname = 'A10'\nmemory = '24G'\n\
               [[event]]\nat = 1.0\ngpu = 0\nwhat = 'lost'\n";
    std::fs::write(dir.path().join("sim.toml"), sim).unwrap();
    let words = ["--every=40ms", "--width=1000"];
    let words = FRAMES.into_iter().filter(|word| !word.starts_with("--every")).chain(words);
    let child = start(words, Some(dir.path()), &[]);
    let logged = |text: &str| {
        let words = ["jobs", "logs", "1", "--queue", "out/jobs.db", "--json"];
        let ran = rushes_in(dir.path(), words);
        ran.code == Some(0)
            && records(&ran).iter().any(|line| line["text"].as_str().unwrap().contains(text))
    };
    wait_until("the loss", || logged("the device was lost on A10 SIM-0; tried again"));
    // It would take minutes; that it runs on is enough.
    let begun = Instant::now();
    let runs = || jobs(dir.path(), &["show", "1"])[0]["state"] == "running";
    while begun.elapsed() < Duration::from_millis(500) {
        assert!(runs());
    }
    signal(&child, "INT");
    let told = records(&finish(child, &[]).exits(130));
    assert!(
        of_type(&told, "device")[0]["message"].as_str().unwrap().contains("is lost"),
        "{told:?}"
    );
    assert_eq!(of_type(&told, "moved").len(), 1);
    let job = of_type(&told, "job").pop().unwrap().clone();
    assert_eq!((&job["state"], &job["way"]["name"]), (&"put back".into(), &"cpu".into()));
}

/// The children of a process.
fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn stop(pid: u32) {
    let id = pid.to_string();
    assert!(std::process::Command::new("kill").args(["-STOP", &id]).status().unwrap().success());
}

/// A job's process that does nothing any more is ended and tried again; a second time it is set aside.
#[test]
fn a_silent_job_is_stopped_and_tried_again() {
    let dir = folder();
    films(dir.path(), &["a.mp4"], Variant::Long);
    let words = [
        "batch",
        "in",
        "--action=frames",
        "--output=out",
        "--every=40ms",
        "--width=1000",
        "--json",
        "--silence=2",
        "--threads=1",
    ];
    let child = start(words, Some(dir.path()), &[]);
    let only = |not: Option<u32>| {
        let mut found = None;
        wait_until("a process for the job", || {
            found = children(child.id()).into_iter().find(|pid| Some(*pid) != not);
            found.is_some()
        });
        // Not before it has become the program: what it is begun with may be looked at still.
        std::thread::sleep(Duration::from_millis(300));
        found.unwrap()
    };
    let first = only(None);
    stop(first);
    let second = only(Some(first));
    stop(second);
    let told = records(&finish(child, &[]).exits(1));
    let job = of_type(&told, "job")[0];
    assert_eq!((&job["state"], &job["kind"]), (&"stalled".into(), &"stalled".into()), "{job}");
    let logs = jobs(dir.path(), &["logs", "1"]);
    let text = |n: usize| logs[n]["text"].as_str().unwrap().to_owned();
    assert!(text(1).contains("did nothing for 2 s"), "{logs:?}");
    assert!(text(2).contains("tried again"), "{logs:?}");
    assert_eq!(jobs(dir.path(), &["show", "1"])[0]["state"], "dead");
}

/// With weights three to one, of the first jobs that are done three of four are the heavier tenant's.
#[test]
fn tenants_share_by_weight_whoever_came_first() {
    let dir = folder();
    films(dir.path(), &["a.mp4"], Variant::ClosedGop);
    std::fs::create_dir(dir.path().join("out")).unwrap();
    let rules = "[quota.anna]\nweight = 3\n[quota.'*']\nweight = 1\n";
    std::fs::write(dir.path().join("out/rushes.toml"), rules).unwrap();
    let line = |tenant: &str, n: u32| {
        format!(
            "{{\"media\":\"in/a.mp4\",\"tenant\":\"{tenant}\",\"key\":\"{tenant}{n}\",\"width\":{}}}\n",
            16 + n
        )
    };
    let many: String = (0..14).map(|n| line("bert", n)).collect();
    let few: String = (20..34).map(|n| line("anna", n)).collect();
    std::fs::write(dir.path().join("list.jsonl"), many + &few).unwrap();
    let words = ["batch", "list.jsonl", "--action=frames", "-oout", "--json", "--threads=1"];
    let told = records(&rushes_in(dir.path(), words).exits(0));
    let first: Vec<&str> = of_type(&told, "job")
        .iter()
        .take(12)
        .map(|job| {
            let id = job["id"].as_i64().unwrap();
            // Numbers are given in the order of the list.
            if id <= 14 { "bert" } else { "anna" }
        })
        .collect();
    let anna = first.iter().filter(|tenant| **tenant == "anna").count();
    assert!((7..=10).contains(&anna), "{first:?}");
}
