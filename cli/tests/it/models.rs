//! `rushes models`: what is told, what is kept, and what a bad network or a damaged file leads to.
//! A server in the test plays the hub; the public one is never asked.

use crate::support::{Ran, files, finish, folder, signal, start, wait_until};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What `whisper-tiny` is pinned to.
const TINY: (&str, &str) =
    ("77691713", "be07e048e1e599ad46341c8d2a135645097a538221678b7acdd1b1919c6e1b21");

/// `rushes ARGS` in a folder, with a home of its own there and no way out.
#[track_caller]
fn at(folder: &Path, endpoint: &str, args: &[&str]) -> Ran {
    finish(begin(folder, endpoint, args), &[])
}

fn begin(folder: &Path, endpoint: &str, args: &[&str]) -> std::process::Child {
    let home = folder.to_str().unwrap();
    // Clients that say no, so that no registry is asked.
    let bin = folder.join("bin");
    if !bin.exists() {
        std::fs::create_dir(&bin).unwrap();
        for client in ["npm", "python3"] {
            let path = bin.join(client);
            std::fs::write(&path, "#!/bin/sh\necho 'error: no network here' >&2\nexit 1\n")
                .unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&path, mode).unwrap();
        }
    }
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let mut env = vec![("HOME", home), ("PATH", &path), ("HF_ENDPOINT", endpoint)];
    for unset in [
        "XDG_CACHE_HOME",
        "HF_HOME",
        "HF_HUB_CACHE",
        "HF_TOKEN",
        "HF_TOKEN_PATH",
        "HF_HUB_OFFLINE",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        env.push((unset, ""));
    }
    if endpoint == "offline" {
        env.push(("HF_HUB_OFFLINE", "1"));
    }
    start(args, Some(folder), &env)
}

/// A hub that states the right digest of every file, sends its first megabyte, and then nothing.
fn stalling_hub() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let notes = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let notes = notes.clone();
            std::thread::spawn(move || stall(stream.unwrap(), &notes));
        }
    });
    (url, asked)
}

fn stall(mut stream: TcpStream, notes: &Mutex<Vec<String>>) {
    let mut text = String::new();
    for line in BufReader::new(stream.try_clone().unwrap()).lines() {
        let line = line.unwrap_or_default();
        if line.is_empty() {
            break;
        }
        text += &line.to_ascii_lowercase();
        text.push('\n');
    }
    if text.is_empty() {
        return;
    }
    let head = text.starts_with("head ");
    let from = text
        .split("range: bytes=")
        .nth(1)
        .map_or(0, |range| range.split('-').next().unwrap().parse::<u64>().unwrap());
    notes.lock().unwrap().push(text);
    let total: u64 = TINY.0.parse().unwrap();
    let range = match from {
        0 => String::new(),
        from => format!("content-range: bytes {from}-{}/{total}\r\n", total - 1),
    };
    let answer = format!(
        "HTTP/1.1 {}\r\ncontent-length: {}\r\n{range}x-linked-etag: \"{}\"\r\nx-linked-size: {total}\r\n\
         x-repo-commit: 0123456789abcdef0123456789abcdef01234567\r\n\r\n",
        if from > 0 { "206 Partial Content" } else { "200 OK" },
        total - from,
        TINY.1,
    );
    let _ = stream.write_all(answer.as_bytes());
    if !head {
        let _ = stream.write_all(&vec![7; 1 << 20]);
        std::thread::sleep(std::time::Duration::from_secs(120));
    }
}

#[test]
fn the_list_states_licence_size_and_what_is_not_pinned() {
    let dir = folder();
    let listed = at(dir.path(), "offline", &["models", "list", "--json"]).ok().json();
    let of = |name: &str| listed.iter().find(|m| m["name"] == name).unwrap().clone();
    for name in ["whisper-tiny", "whisper-large-v3-turbo", "whisper-medium.en", "siglip-b-16"] {
        assert_eq!(
            (of(name)["type"].as_str(), of(name)["present"].as_bool()),
            (Some("model"), Some(false))
        );
        assert_eq!(of(name)["pinned"], true);
        assert!(of(name)["licence"].is_string() && of(name)["credit"].is_string());
        assert!(of(name)["memory_mb"]["cpu"].as_u64().unwrap() > 0);
    }
    assert_eq!(of("whisper-tiny")["bytes"], 77_691_713);
    assert_eq!(of("whisper-tiny")["fallback"], "whisper-tiny-q8");
    assert_eq!(of("clip-vit-b-32")["pinned"], false);
    assert_eq!(of("clip-vit-b-32")["dims"], 512);
    let text = at(dir.path(), "offline", &["models", "list"]).ok().text();
    let clip = text.lines().find(|l| l.starts_with("clip-vit-b-32")).unwrap();
    assert!(clip.ends_with("digest from the hub"), "{clip}");
}

#[test]
fn offline_with_nothing_here_names_the_file_and_the_command() {
    let dir = folder();
    let ran = at(dir.path(), "offline", &["models", "path", "tiny", "--json"]).exits(3).calm();
    let line = ran.json_line();
    assert_eq!((line["type"].as_str(), line["kind"].as_str()), (Some("error"), Some("model")));
    for text in [&ran.err, line["message"].as_str().unwrap()] {
        assert!(text.contains("ggml-tiny.bin"), "{text}");
        assert!(text.contains("rushes models pull whisper-tiny"), "{text}");
    }
    let ran = at(dir.path(), "offline", &["models", "pull", "tiny"]).exits(3).calm();
    for part in ["HF_HUB_OFFLINE", "taking whisper-tiny-q8 instead", "no network here", "sha256"] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    assert!(ran.out.is_empty());
}

#[test]
fn a_hub_that_cannot_be_reached_is_given_up_quickly() {
    let dir = folder();
    let begun = std::time::Instant::now();
    let ran = at(dir.path(), "http://127.0.0.1:9", &["models", "pull", "large-v3"]).exits(3);
    assert!(ran.err.contains("cannot be reached"), "{}", ran.err);
    assert!(begun.elapsed().as_secs() < 20);
}

#[test]
fn a_damaged_model_is_not_used() {
    let dir = folder();
    let vad = dir.path().join(".cache/rushes/silero-vad/silero_vad.onnx");
    std::fs::create_dir_all(vad.parent().unwrap()).unwrap();
    std::fs::write(&vad, vec![0; 2_327_524]).unwrap();
    let run = |args: &[&str]| at(dir.path(), "offline", args);
    for args in [
        &["models", "verify"][..],
        &["models", "verify", "silero-vad"],
        &["models", "path", "silero-vad"],
    ] {
        let ran = run(args).exits(3);
        assert!(
            ran.err.contains("rushes models pull silero-vad") && ran.out.is_empty(),
            "{}",
            ran.err
        );
    }
    // A failed pull leaves what is there; `rm` takes it away and says how much that was.
    run(&["models", "pull", "silero-vad"]).exits(3);
    let removed = run(&["models", "rm", "silero-vad", "--json"]).ok().json_line();
    assert_eq!(removed["type"], "model_removed");
    assert_eq!(removed["freed_bytes"], 2_327_524);
    assert!(!vad.exists());
    run(&["models", "rm", "silero-vad"]).ok();
    run(&["models", "rm", "no-such"]).exits(2);
    run(&["models", "path", "silero-vad", "no-such.bin"]).exits(3);
    // Now nothing is here, and to check nothing is a slip.
    run(&["models", "verify"]).exits(2);
}

fn part(dir: &Path) -> Option<PathBuf> {
    files(dir).into_iter().map(|f| dir.join(f)).find(|f| {
        f.to_string_lossy().ends_with(".rushes-part")
            && std::fs::metadata(f).is_ok_and(|m| m.len() >= 1 << 20)
    })
}

#[test]
fn a_pull_that_is_killed_is_never_used_and_the_next_goes_on() {
    let dir = folder();
    let (hub, asked) = stalling_hub();
    let pull = ["models", "pull", "whisper-tiny"];
    let mut child = begin(dir.path(), &hub, &pull);
    wait_until("the first megabyte", || part(dir.path()).is_some());
    child.kill().unwrap();
    child.wait().unwrap();
    at(dir.path(), "offline", &["models", "path", "whisper-tiny"]).exits(3);
    let have = std::fs::metadata(part(dir.path()).unwrap()).unwrap().len();

    let child = begin(dir.path(), &hub, &pull);
    let range = format!("range: bytes={have}-");
    wait_until("the rest to be asked for", || {
        asked.lock().unwrap().iter().any(|text| text.contains(&range))
    });
    // Ctrl-C ends it although the server says nothing any more.
    signal(&child, "INT");
    assert!(finish(child, &[]).exits(130).out.is_empty());
    assert!(part(dir.path()).unwrap().starts_with(dir.path().join(".cache/huggingface/hub")));
}

#[test]
fn one_folder_can_hold_everything_and_environment_places_the_cache() {
    let dir = folder();
    let (hub, _) = stalling_hub();
    let pull = ["models", "pull", "whisper-tiny", "--models-dir", "all"];
    let child = begin(dir.path(), &hub, &pull);
    wait_until("the first megabyte", || part(&dir.path().join("all/hub")).is_some());
    signal(&child, "TERM");
    finish(child, &[]).exits(130);
    assert!(!dir.path().join(".cache").exists());
}

#[test]
fn import_refuses_what_is_not_what_it_should_be() {
    let dir = folder();
    let run = |args: &[&str]| at(dir.path(), "offline", args);
    let marker = dir.path().join("ran");
    // The oldest trick: a pickle that runs a command when it is loaded.
    let command = format!("touch {}", marker.display());
    let mut pickle = b"\x80\x02cposix\nsystem\nX".to_vec();
    pickle.extend((command.len() as u32).to_le_bytes());
    pickle.extend(command.bytes());
    pickle.extend(b"\x85R.");
    std::fs::write(dir.path().join("evil.pth"), &pickle).unwrap();
    let import = ["models", "import", "--kind", "pth", "evil.pth", "-o"];
    let ran = run(&[&import[..], &["out.safetensors", "--json"]].concat()).exits(1);
    assert_eq!(ran.json_line()["kind"], "input");
    assert!(!marker.exists() && !dir.path().join("out.safetensors").exists());
    // Nothing is overwritten unasked, and never what is read.
    run(&[&import[..], &["evil.pth"]].concat()).exits(2);
    run(&[&import[..], &["evil.pth", "--force"]].concat()).exits(2);
    assert_eq!(std::fs::read(dir.path().join("evil.pth")).unwrap(), pickle);
    // A folder that is no model.
    let ran = run(&["models", "import", "--kind", "whisper-onnx", ".", "-o", "x.bin"]).exits(2);
    assert!(ran.err.contains("encoder_model_quantized.onnx"), "{}", ran.err);
}
