//! What `rushes doctor` finds of a GPU beside its memory: which codecs its video coders take, and whether
//! CUDA's libraries are there.

use rushes::device::{CodecCache, CodecFact, Gpu};
use rushes::media::{Coding, try_hardware};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Libraries of CUDA that models and kernels load at run time, and what for.
const LIBRARIES: [(&str, &str); 6] = [
    ("libcuda.so.1", "the driver's"),
    ("libcudart.so", "kernels"),
    ("libcublas.so", "matrix products"),
    ("libcudnn.so", "networks in ONNX Runtime"),
    ("libnvrtc.so", "kernels made at run time"),
    ("libnvidia-encode.so.1", "encoding"),
];

/// Where what was found of codecs is kept: `rushes/codecs.json` in the cache folder.
pub fn cache_file() -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = var("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| var("HOME").map(|home| PathBuf::from(home).join(".cache")));
    Some(cache?.join("rushes/codecs.json"))
}

/// What `gpu`'s coders take under `driver`: as kept in `cache`, or tried now and kept.
pub fn codecs(gpu: &Gpu, place: u32, driver: &str, cache: Option<&Path>) -> Vec<CodecFact> {
    let mut known = cache.map(CodecCache::read).unwrap_or_default();
    if let Some(facts) = known.get(&gpu.id, driver) {
        return facts.to_vec();
    }
    let facts = tried(place);
    known.put(&gpu.id, driver, facts.clone());
    // A cache that cannot be kept is tried anew the next time.
    let _ = cache.map(|file| known.write(file));
    facts
}

fn tried(place: u32) -> Vec<CodecFact> {
    let mut facts: Vec<CodecFact> = Vec::new();
    for session in try_hardware(place) {
        if facts.last().is_none_or(|fact| fact.codec != session.codec) {
            facts.push(CodecFact { codec: session.codec.to_owned(), ..CodecFact::default() });
        }
        let Some(fact) = facts.last_mut() else { continue };
        let came = session.fault.map_or(Ok(()), Err);
        match session.coding {
            Coding::Decode => fact.decode = Some(came),
            Coding::Encode => fact.encode = Some(came),
        }
    }
    facts
}

/// The codecs that can be decoded and encoded, in words, and the first reason for one that cannot.
pub fn in_words(facts: &[CodecFact]) -> (String, Option<String>) {
    let able = |of: fn(&CodecFact) -> Option<&Result<(), String>>| {
        let able = facts.iter().filter(|fact| matches!(of(fact), Some(Ok(()))));
        let names: Vec<&str> = able.map(|fact| fact.codec.as_str()).collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    };
    let (decode, encode) = (able(|f| f.decode.as_ref()), able(|f| f.encode.as_ref()));
    let faults = facts.iter().flat_map(|fact| [&fact.decode, &fact.encode]);
    let fault = faults.flatten().find_map(|came| came.as_ref().err().cloned());
    (format!("decodes {decode}; encodes {encode}"), fault)
}

/// The libraries that are there and those that are missing, each with what it is for.
pub fn libraries() -> (Vec<&'static str>, Vec<String>) {
    let known = known_libraries();
    let there = |name: &str| known.iter().any(|known| known.starts_with(name));
    let found = LIBRARIES.iter().filter(|(name, _)| there(name)).map(|(name, _)| *name).collect();
    let missing = LIBRARIES.iter().filter(|(name, _)| !there(name));
    (found, missing.map(|(name, what)| format!("{name} ({what})")).collect())
}

/// Names of the libraries that the loader would find: in its cache, and in LD_LIBRARY_PATH.
fn known_libraries() -> Vec<String> {
    let mut names = Vec::new();
    for program in ["ldconfig", "/sbin/ldconfig"] {
        let Ok(listed) = Command::new(program).arg("-p").output() else { continue };
        let listed = String::from_utf8_lossy(&listed.stdout);
        let lines = listed.lines().filter_map(|line| line.split_whitespace().next());
        names.extend(lines.map(str::to_owned));
        break;
    }
    let path = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    for folder in std::env::split_paths(&path) {
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        names.extend(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_tried_is_told_in_a_line() {
        let fact = |codec: &str, decode: Result<(), String>, encode| CodecFact {
            codec: codec.into(),
            decode: Some(decode),
            encode,
        };
        let facts = [
            fact("h264", Ok(()), Some(Ok(()))),
            fact("av1", Err("no session".into()), Some(Err("x".into()))),
            fact("vp9", Ok(()), None),
        ];
        let (text, fault) = in_words(&facts);
        assert_eq!(text, "decodes h264, vp9; encodes h264");
        assert_eq!(fault.as_deref(), Some("no session"));
        assert!(in_words(&[]).0.contains("decodes nothing"));
    }
}
