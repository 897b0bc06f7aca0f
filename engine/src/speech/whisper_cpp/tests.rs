use super::*;
use crate::onnx::runtime::test_model;
use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

fn tiny() -> Option<PathBuf> {
    test_model("ggml-tiny-q8.bin")
}

fn open(align_words: bool, states: usize) -> Option<WhisperCpp> {
    let settings = WhisperCppSettings {
        align_words,
        states: NonZeroUsize::new(states).unwrap(),
        ..WhisperCppSettings::default()
    };
    Some(WhisperCpp::open(&tiny()?, "whisper-tiny-q8", settings).unwrap())
}

/// Real speech: "And so my fellow Americans ...", 11 s.
fn speech() -> Option<Vec<f32>> {
    let path = rushes_fixtures::shared("2-speech/jfk/jfk.flac")?;
    let out = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-ac", "1", "-ar", "16000", "-f", "f32le", "-"])
        .output()
        .unwrap();
    Some(out.stdout.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect())
}

fn wanted() -> Wanted {
    Wanted { language: Some("en".into()), ..Wanted::default() }
}

fn one(model: &WhisperCpp, samples: &[f32], wanted: &Wanted) -> Recognised {
    let mut found = model.recognise(&[Chunk { samples }], wanted, &Cancel::new()).unwrap();
    assert_eq!(found.len(), 1);
    check(&found[0], samples.len() as u32);
    found.remove(0)
}

/// Whatever was recognised, times are in order and inside the chunk.
fn check(found: &Recognised, length: u32) {
    let mut from = 0;
    let mut follows = |range: &Range<u32>| {
        assert!(range.start >= from && range.end <= length, "{range:?} after {from}");
        from = range.end;
    };
    for piece in &found.pieces {
        if piece.words.is_empty() {
            follows(&piece.samples);
        }
        for word in &piece.words {
            follows(&word.samples);
            assert!(word.samples.end > word.samples.start);
            assert!((0.0..=1.0).contains(&word.probability));
        }
    }
}

fn text(found: &Recognised) -> String {
    found.pieces.iter().map(|piece| piece.text.as_str()).collect::<String>().trim().to_owned()
}

const JFK: &str = "And so, my fellow Americans ask not what your country can do for you, ask what \
                   you can do for your country.";

fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric() || *c == ' ').collect::<String>().to_lowercase()
}

#[test]
fn recognises_speech() {
    let (Some(model), Some(speech)) = (open(false, 1), speech()) else { return };
    let found = one(&model, &speech, &wanted());
    assert_eq!(plain(&text(&found)), plain(JFK));
    assert_eq!((found.language.as_str(), found.language_probability), ("en", 1.0));
    assert_eq!(found.temperature, 0.0);
    assert!(found.no_speech_prob < 0.3 && found.compression_ratio > 1.0);
    assert!(found.pieces.iter().all(|p| p.avg_logprob < 0.0 && p.avg_logprob > -1.0));
    assert!(found.pieces.iter().all(|p| p.words.is_empty()));
    assert_eq!((model.engine(), model.batch(), model.callers()), ("whisper.cpp", Batch::ONE, 1));
}

#[test]
fn finds_the_language_whatever_was_guessed() {
    let (Some(model), Some(speech)) = (open(false, 1), speech()) else { return };
    let wanted = Wanted { language: None, ..Wanted::default() };
    let first = one(&model, &speech, &wanted);
    assert_eq!(first.language, "en");
    assert!(first.language_probability > 0.8, "{}", first.language_probability);
    model.guess.store(whisper_rs::get_lang_id("de").unwrap(), Ordering::Relaxed);
    assert_eq!(one(&model, &speech, &wanted), first);
    // What is not sure enough gives way.
    let doubting =
        Wanted { language_threshold: 1.1, fallback_language: Some("de".into()), ..wanted };
    let found = one(&model, &speech, &doubting);
    assert_eq!(found.language, "de");
    assert!(found.language_probability < 0.2);
}

#[test]
fn words_have_times() {
    let Some(speech) = speech() else { return };
    for align in [false, true] {
        let Some(model) = open(align, 1) else { return };
        let expected = if align { WordTimes::Dtw } else { WordTimes::Tokens };
        assert_eq!(model.word_times(), expected);
        let found = one(&model, &speech, &Wanted { words: true, ..wanted() });
        let words: Vec<_> = found.pieces.iter().flat_map(|piece| &piece.words).collect();
        let all: String = words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(all.trim(), text(&found));
        assert_eq!(words.len(), 22);
        let at = |index: usize| words[index].samples.start as f32 / 16_000.0;
        // "And" and the second "ask", by ear.
        assert!((0.0..0.6).contains(&at(0)), "{align}: {}", at(0));
        assert!((7.8..8.6).contains(&at(14)), "{align}: {} {}", words[14].text, at(14));
    }
}

#[test]
fn any_length_of_anything_is_taken() {
    let Some(speech) = speech() else { return };
    for align in [false, true] {
        let Some(model) = open(align, 1) else { return };
        let words = Wanted { words: true, ..wanted() };
        assert_eq!(one(&model, &[], &words).pieces, []);
        for length in [1, 150, 1_600, 2_561, 16_000, 17_000] {
            one(&model, &speech[20_000..20_000 + length], &words);
        }
        let mut broken = speech.clone();
        broken[1_000] = f32::NAN;
        broken[2_000] = f32::INFINITY;
        assert_eq!(plain(&text(&one(&model, &broken, &words))), plain(JFK));
    }
}

#[test]
fn a_chunk_longer_than_the_window_is_refused() {
    let Some(model) = open(false, 1) else { return };
    let samples = vec![0.0; MAX_CHUNK_SAMPLES + 1];
    let error =
        model.recognise(&[Chunk { samples: &samples }], &wanted(), &Cancel::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
}

#[test]
fn languages_and_beams_that_are_none_are_refused() {
    let (Some(model), Some(speech)) = (open(false, 1), speech()) else { return };
    let kind = |wanted: Wanted| {
        let chunk = Chunk { samples: &speech[..16_000] };
        model.recognise(&[chunk], &wanted, &Cancel::new()).unwrap_err().kind()
    };
    for language in ["xx", "", "e\0n", "日本"] {
        let wanted = Wanted { language: Some(language.into()), ..Wanted::default() };
        assert_eq!(kind(wanted), ErrorKind::Unsupported, "{language:?}");
    }
    // Cantonese came with large-v3.
    let wanted_yue = Wanted { language: Some("yue".into()), ..Wanted::default() };
    assert_eq!(kind(wanted_yue), ErrorKind::Model);
    assert_eq!(kind(Wanted { search: Search::Beam(9), ..wanted() }), ErrorKind::Unsupported);
}

#[test]
fn a_beam_and_a_prompt_are_taken() {
    let (Some(model), Some(speech)) = (open(false, 1), speech()) else { return };
    let wanted = Wanted {
        search: Search::Beam(5),
        prompt: Some("A speech by the President.\0".repeat(200)),
        hotwords: vec!["Americans".into(), "\0".into()],
        ..wanted()
    };
    assert_eq!(plain(&text(&one(&model, &speech, &wanted))), plain(JFK));
}

#[test]
fn a_higher_temperature_is_tried_and_leaves_no_trace() {
    let (Some(model), Some(speech)) = (open(false, 1), speech()) else { return };
    // Nothing is this probable: every temperature is tried, and the best is kept.
    let strict = Wanted {
        logprob_threshold: -0.001,
        no_speech_threshold: 1.0,
        temperatures: vec![0.0, 0.6, 1.0],
        ..wanted()
    };
    let first = one(&model, &speech, &strict);
    assert_eq!(one(&model, &speech, &strict), first);
    // Alone at a temperature: the same random numbers each time.
    let warm = Wanted { temperatures: vec![0.8], ..wanted() };
    let warmed = one(&model, &speech, &warm);
    assert_eq!(warmed.temperature, 0.8);
    assert_eq!(one(&model, &speech, &warm), warmed);
}

#[test]
fn several_threads_share_a_few_states() {
    let (Some(model), Some(speech)) = (open(false, 2), speech()) else { return };
    let wanted = wanted();
    let first = one(&model, &speech, &wanted);
    std::thread::scope(|scope| {
        let work = || scope.spawn(|| one(&model, &speech, &wanted));
        for found in [work(), work(), work()] {
            assert_eq!(found.join().unwrap(), first);
        }
    });
    assert!(model.pool.inside.lock().unwrap().made <= 2);
}

#[test]
fn stops_when_it_is_cancelled_and_goes_on_afterwards() {
    let (Some(model), Some(speech)) = (open(false, 1), speech()) else { return };
    let long: Vec<f32> = speech.iter().chain(&speech).copied().collect();
    let cancel = Cancel::new();
    let before = one(&model, &speech, &wanted());
    std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            let chunks = [Chunk { samples: &long }; 50];
            model.recognise(&chunks, &wanted(), &cancel).unwrap_err()
        });
        std::thread::sleep(Duration::from_millis(300));
        let asked = Instant::now();
        cancel.cancel();
        assert_eq!(work.join().unwrap().kind(), ErrorKind::Cancelled);
        // Far from what the rest would take; not a measure of speed.
        assert!(asked.elapsed() < Duration::from_secs(5));
    });
    assert_eq!(one(&model, &speech, &wanted()), before);
}

#[test]
fn a_damaged_model_is_an_error_and_not_the_end() {
    let Some(path) = tiny() else { return };
    let whole = std::fs::read(path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.bin");
    let kind = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = WhisperCpp::open(&path, "x", WhisperCppSettings::default()).unwrap_err();
        assert!(error.to_string().contains("ggml"), "{error}");
        error.kind()
    };
    // Within the magic, the shape, the filters, the vocabulary, behind it, in and between tensors.
    let (vocabulary, tensors) = (48 + 8 + 80 * 201 * 4, whole.len() / 2);
    for length in [0, 3, 4, 20, 48, 52, 5_000, vocabulary, vocabulary + 4, 300_000, tensors] {
        assert_eq!(kind(&whole[..length]), ErrorKind::Model, "{length}");
    }
    for length in [whole.len() - 1, whole.len() - 1_536 - 40] {
        assert_eq!(kind(&whole[..length]), ErrorKind::Model, "{length}");
    }
    let mut longer = whole.clone();
    longer.extend([0; 7]);
    assert_eq!(kind(&longer), ErrorKind::Model);
    // Each number of the header, the filters' shape and the vocabulary's length, made absurd.
    for at in (0..56).step_by(4).chain([vocabulary, vocabulary + 4]) {
        for value in [-1_i32, i32::MAX] {
            let mut bytes = whole.clone();
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            assert_eq!(kind(&bytes), ErrorKind::Model, "{value} at {at}");
        }
    }
    let missing = WhisperCpp::open(&folder.path().join("none"), "x", WhisperCppSettings::default());
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::Model);
}

#[test]
fn another_shape_than_the_header_says_is_an_error() {
    let Some(path) = tiny() else { return };
    let mut bytes = std::fs::read(path).unwrap();
    // Six layers are base's: whisper.cpp would look for tensors that are not there.
    bytes[4 + 16..4 + 20].copy_from_slice(&6_i32.to_le_bytes());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.bin");
    std::fs::write(&path, bytes).unwrap();
    let error = WhisperCpp::open(&path, "x", WhisperCppSettings::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Model);
}
