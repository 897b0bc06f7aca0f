//! What holds for every recogniser, tried on each with Whisper's tiny weights.

use super::*;
use crate::onnx::OnnxRuntime;
use crate::onnx::runtime::test_model;
use crate::speech::guard::judge;
use crate::speech::onnx_whisper::OnnxWhisper;
use crate::speech::transcript::Doubt;
use crate::speech::whisper_cpp::{WhisperCpp, WhisperCppSettings};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) fn tiny() -> Option<PathBuf> {
    test_model("ggml-tiny-q8.bin")
}

/// Both recognisers, words aligned, loaded once; none where their files are not here. One test at a
/// time has them: a call waits for another's to end, whoever cancels it.
fn each() -> MutexGuard<'static, Vec<Box<dyn Recogniser>>> {
    static LOADED: Mutex<Vec<Box<dyn Recogniser>>> = Mutex::new(Vec::new());
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let (true, Some(weights), Some(library)) =
        (loaded.is_empty(), tiny(), test_model("libonnxruntime.so"))
    {
        let runtime = OnnxRuntime::load(&library).unwrap();
        let settings = WhisperCppSettings { align_words: true, ..WhisperCppSettings::default() };
        loaded.push(Box::new(WhisperCpp::open(&weights, "tiny", settings).unwrap()));
        let threads = NonZeroUsize::MIN;
        loaded.push(Box::new(OnnxWhisper::open(&runtime, &weights, "tiny", threads).unwrap()));
    }
    loaded
}

/// Sound of any kind at 16 kHz.
fn read(path: &Path) -> Vec<f32> {
    let out = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-ac", "1", "-ar", "16000", "-f", "f32le", "-"])
        .output()
        .unwrap();
    out.stdout.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Real speech: "And so my fellow Americans ...", 11 s.
pub(crate) fn speech() -> Option<Vec<f32>> {
    Some(read(&rushes_fixtures::shared("2-speech/jfk/jfk.flac")?))
}

pub(crate) fn wanted() -> Wanted {
    Wanted { language: Some("en".into()), ..Wanted::default() }
}

/// What came of `chunks`, in their order.
fn all(
    model: &dyn Recogniser,
    chunks: &[&[f32]],
    wanted: &Wanted,
    cancel: &Cancel,
) -> (Vec<Option<Recognised>>, Result<()>) {
    let mut found = vec![None; chunks.len()];
    let chunks: Vec<Chunk<'_>> = chunks.iter().map(|samples| Chunk { samples }).collect();
    let done = model.recognise(&chunks, wanted, cancel, &mut |at, recognised| {
        assert!(found[at].replace(recognised).is_none(), "chunk {at} twice");
    });
    (found, done)
}

pub(crate) fn one(model: &dyn Recogniser, samples: &[f32], wanted: &Wanted) -> Recognised {
    let (found, done) = all(model, &[samples], wanted, &Cancel::new());
    done.unwrap();
    let found = found.into_iter().next().flatten().unwrap();
    check(&found, samples.len() as u32);
    found
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

pub(crate) fn text(found: &Recognised) -> String {
    found.pieces.iter().map(|piece| piece.text.as_str()).collect::<String>().trim().to_owned()
}

pub(crate) const JFK: &str = "and so my fellow americans ask not what your country can do for you \
                              ask what you can do for your country";

pub(crate) fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric() || *c == ' ').collect::<String>().to_lowercase()
}

#[test]
fn speech_is_recognised() {
    let Some(speech) = speech() else { return };
    for model in each().iter() {
        let found = one(&**model, &speech, &wanted());
        assert_eq!(plain(&text(&found)), JFK, "{}", model.engine());
        assert_eq!((found.language.as_str(), found.language_probability), ("en", 1.0));
        assert_eq!(found.temperature, 0.0);
        assert!(found.no_speech_prob < 0.3 && found.compression_ratio > 1.0);
        assert!(found.pieces.iter().all(|p| p.avg_logprob < 0.0 && p.avg_logprob > -1.0));
        assert!(found.pieces.iter().all(|p| p.words.is_empty() && !p.silent));
    }
}

#[test]
fn the_language_is_found_or_gives_way() {
    let Some(speech) = speech() else { return };
    for model in each().iter() {
        let any = Wanted { language: None, ..Wanted::default() };
        let found = one(&**model, &speech, &any);
        assert_eq!(found.language, "en");
        assert!(found.language_probability > 0.8, "{}", found.language_probability);
        let doubting =
            Wanted { language_threshold: 1.1, fallback_language: Some("de".into()), ..any };
        let found = one(&**model, &speech, &doubting);
        assert_eq!(found.language, "de");
        assert!(found.language_probability < 0.2);
    }
}

#[test]
fn words_have_times() {
    let Some(speech) = speech() else { return };
    for model in each().iter() {
        let found = one(&**model, &speech, &Wanted { words: true, ..wanted() });
        let words: Vec<_> = found.pieces.iter().flat_map(|piece| &piece.words).collect();
        let all: String = words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(all.trim(), text(&found));
        assert_eq!(words.len(), 22);
        let at = |index: usize| words[index].samples.start as f32 / 16_000.0;
        // "And" and the second "ask", by ear.
        assert!((0.0..0.6).contains(&at(0)), "{}: {}", model.engine(), at(0));
        assert!((7.8..8.6).contains(&at(14)), "{}: {}", model.engine(), at(14));
    }
}

#[test]
fn any_length_of_anything_is_taken() {
    let Some(speech) = speech() else { return };
    for model in each().iter() {
        let words = Wanted { words: true, ..wanted() };
        one(&**model, &[], &words);
        for length in [1, 150, 1_600, 2_561, 16_000, 17_000] {
            one(&**model, &speech[20_000..20_000 + length], &words);
        }
        let mut broken = speech.clone();
        broken[1_000] = f32::NAN;
        broken[2_000] = f32::INFINITY;
        assert_eq!(plain(&text(&one(&**model, &broken, &words))), JFK, "{}", model.engine());
    }
}

#[test]
fn what_no_model_can_do_is_refused() {
    let Some(speech) = speech() else { return };
    for model in each().iter() {
        let kind = |samples: &[f32], wanted: Wanted| {
            let (found, done) = all(&**model, &[samples], &wanted, &Cancel::new());
            assert_eq!(found, [None]);
            done.unwrap_err().kind()
        };
        let too_long = vec![0.0; MAX_CHUNK_SAMPLES + 1];
        assert_eq!(kind(&too_long, wanted()), ErrorKind::Limit);
        let speech = &speech[..16_000];
        for language in ["xx", "", "e\0n", "日本"] {
            let wanted = Wanted { language: Some(language.into()), ..Wanted::default() };
            assert_eq!(kind(speech, wanted), ErrorKind::Unsupported, "{language:?}");
        }
        // Cantonese came with large-v3.
        let cantonese = Wanted { language: Some("yue".into()), ..Wanted::default() };
        assert_eq!(kind(speech, cantonese), ErrorKind::Model);
        for width in [0, 1, 9] {
            let wanted = Wanted { search: Search::Beam(width), ..wanted() };
            assert_eq!(kind(speech, wanted), ErrorKind::Unsupported);
        }
    }
}

#[test]
fn a_beam_and_a_long_prompt_are_taken() {
    let Some(speech) = speech() else { return };
    for model in each().iter() {
        let wanted = Wanted {
            search: Search::Beam(5),
            prompt: Some("A speech by the President.\0".repeat(200)),
            hotwords: vec!["Americans".into(), "\0".into()],
            ..wanted()
        };
        let found = one(&**model, &speech, &wanted);
        assert_eq!(plain(&text(&found)), JFK, "{}", model.engine());
    }
}

/// One name in two spellings: what is expected decides, however long the prompt beside it.
#[test]
fn expected_words_are_spelled_as_they_are_expected() {
    let Some(folder) = rushes_fixtures::shared("2-speech/ljspeech") else { return };
    let speech = read(&folder.join(HOT.0));
    for model in each().iter() {
        let said = |hotwords: &[&str], prompt: Option<String>| {
            let hotwords = hotwords.iter().map(|word| (*word).to_owned()).collect();
            text(&one(&**model, &speech, &Wanted { hotwords, prompt, ..wanted() }))
        };
        let long = "It was written in the year of our Lord, and then it was read. ".repeat(40);
        let engine = model.engine();
        assert!(!said(&[], None).contains(HOT.1), "{engine}");
        assert!(said(&[HOT.1], None).contains(HOT.1), "{engine}: {}", said(&[HOT.1], None));
        let both = said(&[HOT.1], Some(long));
        assert!(both.contains(HOT.1), "{engine}: {both}");
    }
}

/// A recording in which a word is spelled otherwise where nobody expects it, and that word.
const HOT: (&str, &str) = ("LJ001-0007.wav", "Guttenberg");

#[test]
fn speech_is_translated() {
    let Some(folder) = rushes_fixtures::shared("2-speech/leopard") else { return };
    let speech = read(&folder.join("test_de.wav"));
    for model in each().iter() {
        let wanted = Wanted { language: Some("de".into()), ..Wanted::default() };
        let said = text(&one(&**model, &speech, &wanted)).to_lowercase();
        let translated =
            text(&one(&**model, &speech, &Wanted { translate: true, ..wanted })).to_lowercase();
        let engine = model.engine();
        assert!(said.contains("raum") && said.contains(" der "), "{engine}: {said}");
        assert!(
            translated.contains("room") && !translated.contains(" der "),
            "{engine}: {translated}"
        );
    }
}

#[test]
fn a_higher_temperature_is_tried_and_leaves_no_trace() {
    let Some(speech) = speech() else { return };
    let speech = &speech[..64_000];
    for model in each().iter() {
        // Nothing is this probable: every temperature is tried, and the best is kept.
        let strict = Wanted {
            logprob_threshold: -0.001,
            no_speech_threshold: 1.0,
            temperatures: vec![0.0, 0.6, 1.0],
            ..wanted()
        };
        let first = one(&**model, speech, &strict);
        assert_eq!(one(&**model, speech, &strict), first);
        // Alone at a temperature: the same random numbers each time.
        let warm = Wanted { temperatures: vec![0.8], ..wanted() };
        let warmed = one(&**model, speech, &warm);
        assert_eq!(warmed.temperature, 0.8);
        assert_eq!(one(&**model, speech, &warm), warmed);
    }
}

/// What a recogniser takes for silence it still writes down, and the guard says why it goes.
#[test]
fn text_of_silence_is_told() {
    let Some(speech) = speech() else { return };
    for model in each().iter() {
        // By these, everything is silence.
        let strict =
            Wanted { no_speech_threshold: -1.0, logprob_threshold: 1.0, words: true, ..wanted() };
        let found = one(&**model, &speech, &strict);
        assert_eq!(plain(&text(&found)), JFK, "{}", model.engine());
        let (kept, cuts) = judge(found, &strict);
        assert!(kept.is_empty());
        assert!(!cuts.is_empty() && cuts.iter().all(|cut| cut.why == Doubt::NoSpeech));
    }
}

/// Their texts may differ a little from what each says alone (8-bit products share their scale).
#[test]
fn chunks_together_each_say_their_own() {
    let Some(speech) = speech() else { return };
    let parts: [&[f32]; 2] = [&speech, &speech[..56_000]];
    for model in each().iter() {
        let (found, done) = all(&**model, &parts, &wanted(), &Cancel::new());
        done.unwrap();
        let said: Vec<String> = found.into_iter().map(|f| plain(&text(&f.unwrap()))).collect();
        assert!(said[0].contains("your country"), "{}: {said:?}", model.engine());
        assert!(said[1].starts_with("and so my fellow americans"), "{}: {said:?}", model.engine());
        assert!(!said[1].contains("country"), "{}: {said:?}", model.engine());
    }
}

/// What is lost by a cancel or a kill is what is being worked on: of chunks decoded side by side,
/// those that were finished have been given out.
#[test]
fn what_is_done_is_given_out_before_the_rest_is() {
    let Some(speech) = speech() else { return };
    let long: Vec<f32> = speech.iter().chain(&speech).copied().collect();
    for model in each().iter() {
        let (cancel, wanted) = (Cancel::new(), wanted());
        let chunks = [&*long, &speech[..56_000], &*long].map(|samples| Chunk { samples });
        let mut found = Vec::new();
        let done = model.recognise(&chunks, &wanted, &cancel, &mut |at, recognised| {
            found.push((at, text(&recognised)));
            cancel.cancel();
        });
        assert_eq!(done.unwrap_err().kind(), ErrorKind::Cancelled, "{}", model.engine());
        // The short one where they are decoded side by side, the first where they are not.
        let expected = if model.batch().chunks > 1 { 1 } else { 0 };
        assert_eq!(found.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [expected]);
        assert!(plain(&found[0].1).starts_with("and so my fellow americans"), "{}", found[0].1);
    }
}

#[test]
fn a_cancel_stops_it_and_it_goes_on_afterwards() {
    let Some(speech) = speech() else { return };
    let long: Vec<f32> = speech.iter().chain(&speech).copied().collect();
    for model in each().iter() {
        let cancel = Cancel::new();
        let before = one(&**model, &speech, &wanted());
        std::thread::scope(|scope| {
            let work = scope.spawn(|| {
                let (found, done) = all(&**model, &[&*long; 50], &wanted(), &cancel);
                assert!(found.iter().any(Option::is_none));
                done.unwrap_err()
            });
            std::thread::sleep(Duration::from_millis(300));
            let asked = Instant::now();
            cancel.cancel();
            assert_eq!(work.join().unwrap().kind(), ErrorKind::Cancelled);
            // Far from what the rest would take; not a measure of speed.
            assert!(asked.elapsed() < Duration::from_secs(5), "{}", model.engine());
        });
        assert_eq!(one(&**model, &speech, &wanted()), before);
    }
}
