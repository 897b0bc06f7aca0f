//! What tests of speech share: models that have been pulled, and speech to recognise.

use std::path::PathBuf;
use std::process::Command;

/// A file of the model store that tests share (`target/models`), if it has been pulled.
pub fn model(name: &str) -> Option<PathBuf> {
    let store = std::fs::read_dir(rushes_fixtures::workspace().join("target/models")).ok()?;
    store.flatten().map(|artefact| artefact.path().join(name)).find(|path| path.is_file())
}

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
