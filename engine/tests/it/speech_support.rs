//! What tests of speech share: models that have been pulled, and speech to recognise.

use std::process::Command;

pub use rushes_fixtures::model;

/// "And so my fellow Americans ...", 11 s at 16 kHz.
pub fn jfk() -> Option<Vec<f32>> {
    let path = rushes_fixtures::shared("2-speech/jfk/jfk.flac")?;
    let out = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-ac", "1", "-ar", "16000", "-f", "f32le", "-"])
        .output()
        .unwrap();
    Some(out.stdout.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect())
}
