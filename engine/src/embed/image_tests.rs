//! Pictures and joint models against the reference implementations (`fixtures/golden/make_embed.py`).

use super::text_tests::{cosine, golden};
use super::*;
use crate::control::Cancel;
use crate::error::ErrorKind;
use crate::onnx::runtime::test_model;
use image::RgbImage;
use serde::Deserialize;
use std::path::PathBuf;

fn folder() -> PathBuf {
    rushes_fixtures::workspace().join("fixtures/golden/embed")
}

fn pictures(names: &[String]) -> Vec<RgbImage> {
    names
        .iter()
        .map(|name| image::open(folder().join(format!("{name}.png"))).unwrap().to_rgb8())
        .collect()
}

#[derive(Deserialize)]
struct Joint {
    texts: Vec<String>,
    text_vectors: Vec<Vec<f32>>,
    pictures: Vec<String>,
    picture_vectors: Vec<Vec<f32>>,
}

/// Checks the tiny model of this name on texts and pictures.
fn joint(name: &str, longest: usize, side: u32) {
    let file = |file: &str| folder().join(name).join(file);
    let model = JointModel {
        name: name.into(),
        digest: "0123456789abcdef".into(),
        weights: file("model.safetensors"),
        tokenizer: file("tokenizer.json"),
        config: file("config.json"),
    };
    let models = EmbedModels { joint: Some(model), ..Default::default() };
    let (text, image) = Embedders::new(models, EmbedOptions::default()).joint().unwrap();
    assert_eq!(text.model(), image.model());
    assert_eq!((text.max_tokens(), image.input_size()), (longest, (side, side)));
    let golden: Joint = golden(&format!("{name}/expected.json"));
    let texts: Vec<&str> = golden.texts.iter().map(String::as_str).collect();
    let made = text.embed_texts(&texts, &Cancel::new()).unwrap();
    for ((made, wanted), text) in made.iter().zip(&golden.text_vectors).zip(&texts) {
        let cosine = cosine(made.embedding.vector(), wanted);
        assert!(cosine >= 0.999_99, "{name}: {text:?}: {cosine}");
    }
    assert!(made[4].truncated && !made[0].truncated);
    let pictures = pictures(&golden.pictures);
    let pictures: Vec<&RgbImage> = pictures.iter().collect();
    let made = image.embed_images(&pictures, &Cancel::new()).unwrap();
    for ((made, wanted), picture) in made.iter().zip(&golden.picture_vectors).zip(&golden.pictures)
    {
        let cosine = cosine(made.vector(), wanted);
        assert!(cosine >= 0.999_9, "{name}: {picture}: {cosine}");
        eprintln!("{name} {picture}: {cosine:.7}");
    }
}

#[test]
fn clip_is_the_reference() {
    joint("clip", 40, 48);
}

#[test]
fn siglip_is_the_reference() {
    joint("siglip", 16, 32);
}

#[derive(Deserialize)]
struct Labelled {
    pictures: Vec<String>,
    vectors: Vec<Vec<f32>>,
    labels: Vec<Vec<(usize, f32)>>,
}

fn labeller(engine: EmbedEngine) -> Option<Embedders> {
    let weights = test_model("efficientnet-lite0.safetensors");
    let (Some(weights), Some(runtime)) = (weights, test_model("libonnxruntime.so")) else {
        eprintln!("skipped: efficientnet-lite0 or onnxruntime is not in target/models");
        return None;
    };
    let model =
        LabelModel { name: "efficientnet-lite0".into(), digest: "f46ec1c3cb68".into(), weights };
    let models = EmbedModels { runtime: Some(runtime), labels: Some(model), ..Default::default() };
    Some(Embedders::new(models, EmbedOptions { engine, ..Default::default() }))
}

fn labels_are_the_reference(engine: EmbedEngine) {
    let Some(embedders) = labeller(engine) else { return };
    let golden: Labelled = golden("efficientnet.json");
    let pictures: Vec<RgbImage> = pictures(&golden.pictures)
        .iter()
        .map(|picture| {
            let large = |x, y| *picture.get_pixel(x / 8, y / 8);
            RgbImage::from_fn(picture.width() * 8, picture.height() * 8, large)
        })
        .collect();
    let pictures: Vec<&RgbImage> = pictures.iter().collect();
    let seen = embedders.labeller().unwrap().see(&pictures, 5, &Cancel::new()).unwrap();
    for ((seen, wanted), labels) in seen.iter().zip(&golden.vectors).zip(&golden.labels) {
        let cosine = cosine(seen.embedding.vector(), wanted);
        eprintln!("{}: {cosine:.7} {:?}", engine.as_str(), seen.labels[0]);
        assert!(cosine >= 0.999_9, "{cosine}");
        for (label, &(index, probability)) in seen.labels.iter().zip(labels) {
            assert_eq!(label.index, index);
            assert!((label.probability - probability).abs() < 0.01, "{label:?} {probability}");
        }
    }
    let alone = embedders.image().unwrap().embed_images(&pictures[1..2], &Cancel::new()).unwrap();
    assert!(alone[0].cosine(&seen[1].embedding).unwrap() > 0.999_99);
}

#[test]
fn efficientnet_in_onnx_runtime_is_the_reference() {
    labels_are_the_reference(EmbedEngine::Onnx);
}

#[test]
fn efficientnet_in_candle_is_the_reference() {
    labels_are_the_reference(EmbedEngine::Candle);
}

#[test]
fn an_onnx_file_is_an_embedder_through_its_manifest() {
    let Some(runtime) = test_model("libonnxruntime.so") else {
        eprintln!("skipped: onnxruntime is not in target/models");
        return;
    };
    let shape = OnnxImageShape {
        input: "x".into(),
        output: "colour".into(),
        layout: Layout::ColourLast,
        dim: 3,
        preparation: Preparation {
            size: (16, 16),
            fit: Fit::Stretch,
            filter: Filter::Bilinear,
            mean: [0.0; 3],
            deviation: [1.0; 3],
        },
    };
    let open = |shape: &OnnxImageShape| {
        let image = OnnxImageModel {
            name: "colours".into(),
            digest: "0".into(),
            file: folder().join("colours.onnx"),
            shape: shape.clone(),
        };
        let models = EmbedModels {
            runtime: Some(runtime.clone()),
            image: Some(image),
            ..Default::default()
        };
        Embedders::new(models, EmbedOptions::default()).image()
    };
    let image = open(&shape).unwrap();
    let pictures = [[200, 100, 0], [0, 0, 50]].map(|c| RgbImage::from_pixel(40, 20, image::Rgb(c)));
    let made = image.embed_images(&[&pictures[0], &pictures[1]], &Cancel::new()).unwrap();
    assert!(cosine(made[0].vector(), &[2.0, 1.0, 0.0]) > 0.999_999);
    assert!(cosine(made[1].vector(), &[0.0, 0.0, 1.0]) > 0.999_999);
    let error = image.embed_images(&[&RgbImage::new(0, 0)], &Cancel::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    let other = OnnxImageShape { output: "other".into(), ..shape.clone() };
    assert_eq!(open(&other).err().unwrap().kind(), ErrorKind::Model);
    // Another length than the manifest says.
    let longer = OnnxImageShape { dim: 4, ..shape };
    let image = open(&longer).unwrap();
    assert!(image.embed_images(&[&pictures[0]], &Cancel::new()).is_err());
}
