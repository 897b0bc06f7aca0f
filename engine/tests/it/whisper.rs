//! From sound to words on the file's clock: voice detection, chunks, whisper.cpp.

use crate::speech_support::{jfk, model};
use rushes::Cancel;
use rushes::onnx::OnnxRuntime;
use rushes::speech::chunks::{ChunkOptions, Chunker};
use rushes::speech::recogniser::{Chunk, Recogniser, Wanted};
use rushes::speech::regions::RegionOptions;
use rushes::speech::vad::Vad;
use rushes::speech::whisper_cpp::{WhisperCpp, WhisperCppSettings};

#[test]
fn words_are_found_where_they_are_in_the_file() {
    let (Some(library), Some(graph), Some(weights), Some(speech)) = (
        model("libonnxruntime.so"),
        model("silero_vad_16k_sequence.onnx"),
        model("ggml-tiny-q8.bin"),
        jfk(),
    ) else {
        return;
    };
    let runtime = OnnxRuntime::load(&library).unwrap();
    // The same speech three times: after 20 s of silence, 3 s behind the first, and 60 s later.
    let starts = [20.0, 34.0, 105.0];
    let mut sound = Vec::new();
    for start in starts {
        sound.resize((start * 16_000.0) as usize, 0.0);
        sound.extend_from_slice(&speech);
    }
    sound.resize(sound.len() + 5 * 16_000, 0.0);
    let vad = Vad::open(&runtime, &graph).unwrap();
    let mut chunker = Chunker::new(vad, RegionOptions::default(), ChunkOptions::default());
    let mut chunks = chunker.push(&sound).unwrap();
    chunks.extend(chunker.finish().unwrap());
    assert_eq!(chunks.len(), 2, "the first two share a chunk");

    let settings = WhisperCppSettings { align_words: true, ..WhisperCppSettings::default() };
    let whisper = WhisperCpp::open(&weights, "whisper-tiny-q8", settings).unwrap();
    let whisper: &dyn Recogniser = &whisper;
    let wanted = Wanted { language: Some("en".into()), words: true, ..Wanted::default() };
    let mut found_at = Vec::new();
    for chunk in &chunks {
        let batch = [Chunk { samples: &chunk.samples }];
        let mut found = Vec::new();
        let mut give = |_, recognised| found.push(recognised);
        whisper.recognise(&batch, &wanted, &Cancel::new(), &mut give).unwrap();
        for word in found.iter().flat_map(|f| &f.pieces).flat_map(|p| &p.words) {
            let samples = chunk.clock.range(u64::from(word.samples.start)..word.samples.end.into());
            if word.text.contains("Americans") {
                found_at.push(samples.start as f64 / 16_000.0);
            }
        }
    }
    // By ear, "Americans" begins 1.7 s into the speech.
    let wanted = starts.map(|start| start + 1.7);
    assert_eq!(found_at.len(), wanted.len(), "{found_at:?}");
    for (found, wanted) in found_at.iter().zip(&wanted) {
        assert!((found - wanted).abs() < 0.4, "{found_at:?}");
    }
}
