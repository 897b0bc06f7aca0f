//! Models that look at pictures, from elsewhere, through their manifests: a joint one of pictures and
//! texts, and an ONNX file.

use crate::support::{files, folder, rushes, rushes_in};
use rushes_fixtures::{slides, workspace};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn golden(name: &str) -> PathBuf {
    workspace().join("fixtures/golden/embed").join(name)
}

fn sha256(path: &Path) -> String {
    let out = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(out.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

/// A manifest of files that are on this machine.
fn manifest(folder: &Path, name: &str, head: &str, files: &[PathBuf]) -> PathBuf {
    let mut text = format!(
        "name = \"{name}\"\nabout = \"for a test\"\nlicence = \"MIT\"\ncredit = \"us\"\n{head}\n"
    );
    for file in files {
        let (name, bytes) =
            (file.file_name().unwrap().to_str().unwrap(), file.metadata().unwrap().len());
        text.push_str(&format!(
            "[[files]]\nname = \"{name}\"\nbytes = {bytes}\nsha256 = \"{}\"\n\
             [[files.sources]]\nkind = \"local\"\npath = {:?}\n",
            sha256(file),
            file.display().to_string()
        ));
    }
    let path = folder.join(format!("{name}.toml"));
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_joint_model_finds_what_is_shown() {
    let dir = folder();
    let dir = dir.path();
    let film = slides("joint", &[(&["GREENLAND"], 4), (&["RESILIENT GARDEN"], 4)]);
    let file = |name: &str| golden("clip").join(name);
    let parts = ["model.safetensors", "tokenizer.json", "config.json"].map(file);
    let clip = manifest(dir, "tiny-clip", "task = \"image-text-embedding\"\ndims = 24", &parts);
    let (film, clip) = (film.to_str().unwrap(), clip.to_str().unwrap());
    let process = |words: &[&str]| {
        let all = ["process", film, "--json", "-q", "--models-dir", "models"].into_iter();
        rushes_in(dir, all.chain(words.iter().copied()))
    };
    // It has to be here first.
    assert!(process(&["--joint", clip]).exits(3).err.contains("tiny-clip"));
    rushes_in(dir, ["models", "pull", clip, "--models-dir", "models", "-q"]).ok();
    let ran = process(&["--joint", clip]).ok().json_line()["ran"].clone();
    let all = [
        "probe", "frames", "sheet", "audio", "sound", "shots", "features", "joint", "insight",
        "clips", "report",
    ];
    assert_eq!(ran, json!(all));
    // The second time nothing runs; without the model it stays as it was made.
    assert_eq!(process(&["--joint", clip]).ok().json_line()["ran"], json!([]));
    let search = |words: &[&str]| -> Vec<Value> {
        let all = ["search", "--json", "-q", "--models-dir", "models", "--joint", clip].into_iter();
        rushes_in(dir, all.chain(words.iter().copied())).ok().json()
    };
    let hits = search(&["a slide with letters"]);
    // Both slides, which follow each other: one moment, or two.
    let why = hits.iter().flat_map(|hit| hit["why"].as_array().unwrap());
    assert_eq!(why.filter(|why| why["how"] == "looks").count(), 2, "{hits:?}");
    let library = dir.join("library");
    let shots: Vec<_> =
        files(&library).into_iter().filter(|f| f.to_string_lossy().contains("/shots/")).collect();
    for shot in &shots {
        let hits = search(&["--image", library.join(shot).to_str().unwrap()]);
        let best = &hits[0]["why"][0];
        assert!(best["likeness"].as_f64().unwrap() > 0.999, "{best}");
        assert_eq!(best["picture"].as_str().unwrap(), shot.to_str().unwrap());
    }
    assert_eq!(shots.len(), 2);
    // What is no joint model is refused.
    let other =
        manifest(dir, "half-clip", "task = \"image-text-embedding\"\ndims = 24", &parts[1..]);
    let other = other.to_str().unwrap();
    rushes_in(dir, ["models", "pull", other, "--models-dir", "models", "-q"]).ok();
    assert!(process(&["--joint", other]).exits(2).err.contains("no joint model"));
    assert!(process(&["--joint", "nothing.toml"]).exits(2).err.contains("nothing.toml"));
}

#[test]
fn an_onnx_file_looks_at_pictures_through_its_manifest() {
    let dir = folder();
    let dir = dir.path();
    let models = workspace().join("target/models");
    let models = models.to_str().unwrap();
    rushes(["models", "pull", "onnxruntime", "--models-dir", models, "-q"]).ok();
    let head = "task = \"image-embedding\"\ndims = 3\n[pictures]\ninput = \"x\"\noutput = \"colour\"\n\
                size = [16, 16]\nlayout = \"colour-last\"\nfilter = \"bilinear\"\n\
                mean = [0.0, 0.0, 0.0]\ndeviation = [1.0, 1.0, 1.0]";
    let net = manifest(dir, "colours-for-a-test", head, &[golden("colours.onnx")]);
    let net = net.to_str().unwrap();
    rushes(["models", "pull", net, "--models-dir", models, "-q"]).ok();
    let film = slides("joint", &[(&["GREENLAND"], 4), (&["RESILIENT GARDEN"], 4)]);
    let words = ["process", film.to_str().unwrap(), "--json", "-q", "--models-dir", models];
    let words = words.into_iter().chain(["--stages", "features,embed", "--image-model", net]);
    let ran = rushes_in(dir, words).code;
    // Other models may be missing; what was asked for by name is not.
    assert!(matches!(ran, Some(0 | 3)), "{ran:?}");
    let words = ["process", film.to_str().unwrap(), "--json", "-q", "--models-dir", models];
    rushes_in(dir, words.into_iter().chain(["--image-model", net])).ok();
    let library = dir.join("library");
    let shot =
        files(&library).into_iter().find(|f| f.to_string_lossy().contains("/shots/")).unwrap();
    let shot = library.join(shot);
    let words = ["search", "--json", "-q", "--models-dir", models, "--image-model", net, "--image"];
    let hits = rushes_in(dir, words.into_iter().chain([shot.to_str().unwrap()])).ok().json();
    let looks = hits[0]["why"].as_array().unwrap().iter().filter(|why| why["how"] == "looks");
    assert!(looks.count() >= 1, "{hits:?}");
    let export = rushes_in(dir, ["library", "export", "--table", "embeddings"]).ok().json();
    let by = |row: &&Value| row["model"].as_str().unwrap().starts_with("colours-for-a-test#");
    assert!(export.iter().filter(by).count() == 2, "{export:?}");
}
