use super::*;
use crate::media::SoundShape;
use crate::speech::desk::Desk;
use crate::speech::recogniser::{Batch, Chunk, Piece, Recogniser};
use std::sync::Mutex;

/// Says of each chunk what the test put there for it, in turn.
struct Script {
    lines: Mutex<VecDeque<Recognised>>,
    asked: Mutex<Vec<Option<String>>>,
}

impl Recogniser for Script {
    fn model(&self) -> &str {
        "script"
    }

    fn engine(&self) -> &'static str {
        "test"
    }

    fn batch(&self) -> Batch {
        Batch::ONE
    }

    fn callers(&self) -> usize {
        1
    }

    fn recognise(
        &self,
        chunks: &[Chunk<'_>],
        wanted: &Wanted,
        _: &Cancel,
        give: &mut dyn FnMut(usize, Recognised),
    ) -> Result<()> {
        self.asked.lock().unwrap().push(wanted.fallback_language.clone());
        let mut lines = self.lines.lock().unwrap();
        (0..chunks.len()).for_each(|at| give(at, lines.pop_front().unwrap()));
        Ok(())
    }
}

fn said(language: &str, sure: f32, texts: &[(&str, Range<u32>)]) -> Recognised {
    let piece = |(text, samples): &(&str, Range<u32>)| Piece {
        samples: samples.clone(),
        text: (*text).to_owned(),
        tokens: vec![1],
        avg_logprob: -0.2,
        silent: false,
        words: Vec::new(),
    };
    Recognised {
        language: language.to_owned(),
        language_probability: sure,
        no_speech_prob: 0.0,
        temperature: 0.0,
        compression_ratio: 1.2,
        pieces: texts.iter().map(piece).collect(),
    }
}

/// Transcribes `seconds` of hum without voice detection, in chunks of 10 s.
fn run(
    seconds: usize,
    lines: Vec<Recognised>,
    words: bool,
) -> (Transcript, TranscribeCounts, Vec<Option<String>>) {
    let script = Arc::new(Script { lines: Mutex::new(lines.into()), asked: Mutex::default() });
    let desk = Desk::new(script.clone()).unwrap();
    let wanted = Wanted { words, ..Wanted::default() };
    let chunks = ChunkOptions { max_ms: 10_000, ..ChunkOptions::default() };
    let mut sink = Transcriber {
        text: Text::new(&wanted, "script", "test", WordTimes::Tokens),
        wanted: Arc::new(wanted),
        chunker: Chunker::without_vad(chunks),
        seat: desk.seat(None, &Cancel::new()),
        journal: None,
        slots: VecDeque::new(),
        heard: 0,
        counts: TranscribeCounts::default(),
        on_place: None,
    };
    let shape = SoundShape { rate: 16_000, channels: 1 };
    let second = vec![0.1; 16_000];
    for n in 0..seconds as u64 {
        sink.chunk(AudioChunk { start: n * 16_000, samples: &second, shape }).unwrap();
    }
    let (transcript, counts) = sink.finish().unwrap();
    let asked = script.asked.lock().unwrap().clone();
    (transcript, counts, asked)
}

fn texts(transcript: &Transcript) -> Vec<&str> {
    transcript.segments.iter().map(|segment| segment.text.as_str()).collect()
}

#[test]
fn chunks_become_segments_in_order_inside_the_file() {
    let lines = vec![
        said("en", 0.9, &[(" One.", 0..80_000), (" Two.", 60_000..900_000)]),
        said("en", 0.9, &[(" Three.", 0..0)]),
        said("en", 0.9, &[(" Four costs $5.", 5..50_000)]),
    ];
    let (transcript, counts, _) = run(25, lines, true);
    assert_eq!(texts(&transcript), ["One.", "Two.", "Three.", "Four costs $5."]);
    assert_eq!(counts, TranscribeCounts { chunks: 3, reused: 0, repeated: 0 });
    assert_eq!(transcript.duration, Timestamp::from_secs(25));
    assert_eq!(transcript.language, "en");
    let mut from = Timestamp::ZERO;
    for segment in &transcript.segments {
        assert!(segment.span.start >= from && segment.span.end > segment.span.start);
        from = segment.span.end;
        let mut at = segment.span.start;
        for word in &segment.words {
            assert!(word.span.start >= at && word.span.end > word.span.start);
            at = word.span.end;
        }
        assert!(at <= segment.span.end);
        let said: Vec<_> = segment.words.iter().map(|w| w.text.as_str()).collect();
        assert_eq!(said.join(" "), segment.text);
    }
    assert!(from <= transcript.duration);
}

#[test]
fn an_unsure_language_gives_way_to_that_of_most_text() {
    let lines = vec![
        said("de", 0.95, &[(" Guten Tag, meine Damen und Herren.", 0..80_000)]),
        said("nn", 0.2, &[(" Ja?", 0..8_000)]),
        said("de", 0.1, &[(" Ja.", 0..8_000)]),
        said("fr", 0.8, &[(" Bonjour.", 0..8_000)]),
    ];
    let (transcript, counts, asked) = run(25, lines, false);
    assert_eq!(counts.repeated, 1);
    assert_eq!(asked.iter().flatten().collect::<Vec<_>>(), ["de"]);
    let languages: Vec<_> = transcript.segments.iter().map(|s| s.language.as_str()).collect();
    assert!(languages.starts_with(&["de"]) && languages.contains(&"fr"), "{languages:?}");
    assert!(!languages.contains(&"nn"));
    assert_eq!(transcript.language, "de");
    assert!(transcript.language_probability > 0.5);
}

#[test]
fn what_is_taken_out_is_told() {
    let mut silent = said("en", 0.9, &[(" Thank you.", 0..8_000)]);
    silent.no_speech_prob = 0.95;
    silent.pieces[0].avg_logprob = -1.4;
    let lines =
        vec![said("en", 0.9, &[(" I see.", 0..80_000), (" I see.", 80_000..80_800)]), silent];
    let (transcript, ..) = run(15, lines, false);
    assert_eq!(texts(&transcript), ["I see."]);
    let why: Vec<_> = transcript.dropped.iter().map(|dropped| dropped.why).collect();
    assert_eq!(why, [Doubt::Duplicate, Doubt::NoSpeech]);
    assert!(transcript.coverage.share() < 0.5);
}

#[test]
fn nothing_heard_is_no_language() {
    let (transcript, counts, _) = run(0, Vec::new(), false);
    assert_eq!((transcript.language.as_str(), counts.chunks), ("und", 0));
    assert!((transcript.coverage.share() - 1.0).abs() < 1e-9);
}
