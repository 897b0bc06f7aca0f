use super::super::recogniser::tests::{one, speech, text, tiny, wanted};
use super::*;

fn open(align_words: bool, states: usize) -> Option<WhisperCpp> {
    let settings = WhisperCppSettings {
        align_words,
        states: NonZeroUsize::new(states).unwrap(),
        ..WhisperCppSettings::default()
    };
    Some(WhisperCpp::open(&tiny()?, "whisper-tiny-q8", settings).unwrap())
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
fn words_are_timed_without_alignment_too() {
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
