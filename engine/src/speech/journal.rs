//! What was recognised of an input that is not finished: a [`crate::journal::Journal`] of chunks.

use super::recogniser::Recognised;
use serde::{Deserialize, Serialize};

/// The journal of one input and one set of settings.
pub type Journal = crate::journal::Journal<ChunkKey, Recognised>;

/// A chunk's identity: its samples, and what it is decoded as where it is unsure.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChunkKey(String);

impl ChunkKey {
    /// The key of `samples`, with the language to fall back to.
    pub fn new(samples: &[f32], fallback: Option<&str>) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut bytes = [0; 4096];
        for part in samples.chunks(bytes.len() / 4) {
            for (sample, place) in part.iter().zip(bytes.chunks_exact_mut(4)) {
                place.copy_from_slice(&sample.to_le_bytes());
            }
            hasher.update(&bytes[..part.len() * 4]);
        }
        if let Some(language) = fallback {
            hasher.update(b"|");
            hasher.update(language.as_bytes());
        }
        Self(hasher.finalize().to_hex().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::recogniser::{Piece, PieceWord};
    use super::*;

    #[test]
    fn what_was_recognised_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".rushes-a.journal");
        let found = Recognised {
            language: "en".into(),
            language_probability: 0.971_234_5,
            no_speech_prob: 0.012_345_678,
            temperature: 0.2,
            compression_ratio: 1.37,
            pieces: vec![Piece {
                samples: 3..16_000,
                text: " One x\u{e9}.".into(),
                tokens: vec![50_364, 1],
                avg_logprob: -0.314_159_27,
                silent: false,
                words: vec![PieceWord { samples: 3..16_000, text: "One".into(), probability: 0.1 }],
            }],
        };
        let key = ChunkKey::new(&[0.1, 0.2], None);
        Journal::open(&path, "k").unwrap().append(&key, &found);
        assert_eq!(Journal::open(&path, "k").unwrap().find(&key), Some(&found));
    }

    #[test]
    fn keys_tell_samples_and_fallback_apart() {
        let key = |samples: &[f32], fallback| ChunkKey::new(samples, fallback);
        let long = vec![0.5; 5000];
        let mut other = long.clone();
        other[4999] = 0.25;
        assert_eq!(key(&long, None), key(&long, None));
        assert_ne!(key(&long, None), key(&other, None));
        assert_ne!(key(&long, None), key(&long[..4999], None));
        assert_ne!(key(&long, Some("de")), key(&long, Some("en")));
    }
}
