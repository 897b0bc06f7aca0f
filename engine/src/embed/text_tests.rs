//! MiniLM with its real weights against sentence-transformers (`fixtures/golden/make_embed.py`).

use super::*;
use crate::control::Cancel;
use crate::error::ErrorKind;
use crate::onnx::runtime::test_model;
use serde::Deserialize;
use std::num::NonZeroUsize;
use std::path::PathBuf;

#[derive(Deserialize)]
pub(super) struct Golden {
    sentences: Vec<String>,
    vectors: Vec<Vec<f32>>,
}

pub(super) fn golden<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let path = rushes_fixtures::workspace().join("fixtures/golden/embed").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn minilm() -> Option<TextModel> {
    // Of several models' files of this name, those beside a tokenizer of its size.
    let folder = rushes_fixtures::workspace().join("target/models/all-minilm-l6-v2");
    let file = |name: &str| -> Option<PathBuf> {
        let path = folder.join(name);
        path.is_file().then_some(path)
    };
    Some(TextModel {
        name: "all-minilm-l6-v2".into(),
        digest: "53aa51172d142c89".into(),
        weights: file("model.safetensors")?,
        tokenizer: file("tokenizer.json")?,
        config: file("config.json")?,
    })
}

fn embedders(engine: EmbedEngine) -> Option<Embedders> {
    let (Some(text), Some(runtime)) = (minilm(), test_model("libonnxruntime.so")) else {
        eprintln!("skipped: all-minilm-l6-v2 or onnxruntime is not in target/models");
        return None;
    };
    let models = EmbedModels { runtime: Some(runtime), text: Some(text), ..Default::default() };
    Some(Embedders::new(
        models,
        EmbedOptions { engine, threads: NonZeroUsize::new(2).unwrap(), ..EmbedOptions::default() },
    ))
}

pub(super) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// The lowest cosine to the reference's vectors, the empty text's (the fifth) apart.
fn lowest(engine: EmbedEngine) -> Option<(f64, f64)> {
    let embedders = embedders(engine)?;
    let golden: Golden = golden("minilm.json");
    let texts: Vec<&str> = golden.sentences.iter().map(String::as_str).collect();
    let text = embedders.text().unwrap();
    assert_eq!((text.dim(), text.max_tokens(), text.engine()), (384, 256, engine.as_str()));
    let made = text.embed_texts(&texts, &Cancel::new()).unwrap();
    assert_eq!(made.len(), texts.len());
    // The last is 400 words.
    assert!(made[..made.len() - 1].iter().all(|made| !made.truncated));
    assert!(made[made.len() - 1].truncated);
    assert_eq!(made[made.len() - 1].tokens, 256);
    // An empty text is its two marks.
    assert_eq!(made[4].tokens, 2);
    assert_eq!(made[0].embedding.model(), &embedders.text_id().unwrap());
    let mut cosines: Vec<f64> = made
        .iter()
        .zip(&golden.vectors)
        .map(|(made, wanted)| cosine(made.embedding.vector(), wanted))
        .collect();
    eprintln!("{}: {cosines:.6?}", engine.as_str());
    let empty = cosines.remove(4);
    Some((cosines.into_iter().fold(1.0, f64::min), empty))
}

#[test]
fn floats_in_onnx_runtime_are_the_reference() {
    let Some((lowest, empty)) = lowest(EmbedEngine::Onnx) else { return };
    assert!(lowest.min(empty) >= 0.999_99, "{lowest} {empty}");
}

#[test]
fn candle_is_the_reference() {
    let Some((lowest, empty)) = lowest(EmbedEngine::Candle) else { return };
    assert!(lowest.min(empty) >= 0.999_99, "{lowest} {empty}");
}

#[test]
fn bytes_are_near_the_reference() {
    let Some((lowest, empty)) = lowest(EmbedEngine::OnnxInt8) else { return };
    // Two marks with nothing between them say nothing that could be kept.
    assert!(lowest >= 0.99 && empty >= 0.98, "{lowest} {empty}");
}

#[test]
fn meaning_decides_and_order_is_kept() {
    let Some(embedders) = embedders(EmbedEngine::Onnx) else { return };
    let text = embedders.text().unwrap();
    let texts = [
        "The price was announced on stage.",
        "A dog runs along the beach.",
        "They told everybody what it would cost.",
    ];
    let made = text.embed_texts(&texts, &Cancel::new()).unwrap();
    let cosine = |a: usize, b: usize| made[a].embedding.cosine(&made[b].embedding).unwrap();
    assert!(cosine(0, 2) > cosine(0, 1) + 0.2, "{} {}", cosine(0, 2), cosine(0, 1));
    // A text's vector does not depend on its neighbours, so it tells whose place it has.
    for (at, one) in texts.iter().enumerate() {
        let alone = text.embed_texts(&[one], &Cancel::new()).unwrap();
        assert!(alone[0].embedding.cosine(&made[at].embedding).unwrap() > 0.999_99);
    }
    assert!(text.embed_texts(&[], &Cancel::new()).unwrap().is_empty());
}

#[test]
fn cancelled_work_ends() {
    let Some(embedders) = embedders(EmbedEngine::Onnx) else { return };
    let cancel = Cancel::new();
    cancel.cancel();
    let error = embedders.text().unwrap().embed_texts(&["a"], &cancel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let none = Embedders::new(EmbedModels::default(), EmbedOptions::default());
    let error = none.text().err().unwrap();
    assert!(error.to_string().contains("rushes models pull all-minilm-l6-v2"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let text = TextModel {
        name: "m".into(),
        digest: "0".into(),
        weights: file("model.safetensors", "no weights"),
        tokenizer: file(
            "tokenizer.json",
            r#"{"model":{"type":"WordLevel","vocab":{},"unk_token":""}}"#,
        ),
        config: file("config.json", r#"{"hidden_size":0}"#),
    };
    for engine in [EmbedEngine::Candle, EmbedEngine::Onnx] {
        let models = EmbedModels { text: Some(text.clone()), ..Default::default() };
        let options = EmbedOptions { engine, ..Default::default() };
        let error = Embedders::new(models, options).text().err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Model, "{error}");
    }
}
