//! Texts embedded by the engine, for `benches/embed.py`.
//!
//!     rushes-embed ENGINE THREADS ROUNDS MODELS TEXTS VECTORS
//!
//! ENGINE is `onnx`, `onnx-int8` or `candle`; MODELS a store with all-minilm-l6-v2 and onnxruntime; a
//! line of TEXTS is a text. Writes the vectors as little-endian floats and prints one JSON object:
//! seconds of loading, and of the best round its wall time and seconds of CPU.
#![allow(clippy::print_stdout)]

use anyhow::{Context, Result, bail, ensure};
use cpu_time::ProcessTime;
use rushes::control::Cancel;
use rushes::embed::{EmbedEngine, EmbedModels, EmbedOptions, Embedders, TextModel};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    ensure!(words.len() == 6, "ENGINE THREADS ROUNDS MODELS TEXTS VECTORS");
    let engine = match words[0].as_str() {
        "onnx" => EmbedEngine::Onnx,
        "onnx-int8" => EmbedEngine::OnnxInt8,
        "candle" => EmbedEngine::Candle,
        other => bail!("{other} is no engine"),
    };
    let threads = words[1].parse().context("THREADS")?;
    let rounds: usize = words[2].parse().context("ROUNDS")?;
    let store = Path::new(&words[3]);
    let file = |name: &str| store.join("all-minilm-l6-v2").join(name);
    let text = TextModel {
        name: "all-minilm-l6-v2".into(),
        digest: String::new(),
        weights: file("model.safetensors"),
        tokenizer: file("tokenizer.json"),
        config: file("config.json"),
    };
    let runtime = Some(store.join("onnxruntime/libonnxruntime.so"));
    let models = EmbedModels { runtime, text: Some(text), ..EmbedModels::default() };
    let text = std::fs::read_to_string(&words[4]).with_context(|| words[4].clone())?;
    let texts: Vec<&str> = text.lines().collect();

    let cancel = Cancel::new();
    let began = Instant::now();
    let embedder =
        Embedders::new(models, EmbedOptions { engine, threads, ..EmbedOptions::default() })
            .text()?;
    embedder.embed_texts(&["the first run sets things up"], &cancel)?;
    let load = began.elapsed().as_secs_f64();
    let (mut wall, mut cpu) = (f64::INFINITY, f64::INFINITY);
    let mut made = Vec::new();
    for _ in 0..rounds.max(1) {
        let (began, worked) = (Instant::now(), ProcessTime::now());
        made = embedder.embed_texts(&texts, &cancel)?;
        wall = wall.min(began.elapsed().as_secs_f64());
        cpu = cpu.min(worked.elapsed().as_secs_f64());
    }
    let values = made.iter().flat_map(|made| made.embedding.vector());
    let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(&words[5], bytes).with_context(|| words[5].clone())?;
    println!("{}", json!({ "load": load, "wall": wall, "cpu": cpu }));
    Ok(())
}
