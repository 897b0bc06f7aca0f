//! What holds for every transcript: nothing is lost, nothing overlaps, and what is written is read
//! back.

use super::clean::clean;
use super::cues::on_grid;
use super::*;
use crate::speech::transcript::{Coverage, Doubt, Dropped, Segment, Transcript, Word, WordTimes};
use crate::time::{Rounding, Span, TimeBase, Timestamp};
use proptest::prelude::*;

/// Samples at 16 kHz.
fn at(samples: i64) -> Timestamp {
    Timestamp::new(samples, TimeBase::per_second(16_000))
}

fn segment(span: Span, text: &str, language: &str, words: Vec<Word>) -> Segment {
    Segment {
        span,
        text: text.to_owned(),
        language: language.to_owned(),
        language_probability: 0.875,
        words,
        tokens: vec![50364, 11, 50400],
        avg_logprob: -0.25,
        no_speech_prob: 0.01,
        compression_ratio: 1.3,
        temperature: 0.0,
        seek: span.start,
        doubt: None,
    }
}

fn transcript(segments: Vec<Segment>) -> Transcript {
    let end = segments.last().map_or(Timestamp::ZERO, |s| s.span.end);
    Transcript {
        language: segments.first().map_or("en".into(), |s| s.language.clone()),
        language_probability: 0.98,
        translated: false,
        duration: end.plus(Timestamp::from_secs(1)),
        model: "whisper-tiny-q8".into(),
        engine: "onnxruntime".into(),
        word_times: WordTimes::Dtw,
        segments,
        dropped: Vec::new(),
        coverage: Coverage { speech: end, with_text: end },
    }
}

/// Words that follow each other: (milliseconds of silence before, of the word, the word).
fn spoken(language: &str, words: &[(i64, i64, &str)]) -> Segment {
    let spaced = !matches!(language, "ja" | "zh" | "th");
    let mut now = 0;
    let mut made = Vec::new();
    for (silence, length, text) in words {
        let start = now + silence;
        now = start + length;
        made.push(Word {
            span: Span { start: Timestamp::from_millis(start), end: Timestamp::from_millis(now) },
            text: (*text).to_owned(),
            probability: 0.9,
            spaced,
        });
    }
    let between = if spaced { " " } else { "" };
    let text = words.iter().map(|w| w.2).collect::<Vec<_>>().join(between);
    let span = Span { start: made[0].span.start, end: Timestamp::from_millis(now) };
    segment(span, &text, language, made)
}

/// `text` said at an even pace.
fn evenly(text: &str) -> Segment {
    let words: Vec<_> = text.split(' ').map(|word| (20, 230, word)).collect();
    spoken("en", &words)
}

fn shown(cues: &Cues) -> Vec<String> {
    cues.cues.iter().map(|cue| cue.lines.join("/")).collect()
}

#[test]
fn captions_end_with_sentences_then_clauses_then_evenly() {
    let rules = LineRules::default();
    let said = evenly(
        "We came home late that evening. When the storm had finally passed over the valley, my \
         father went out to look for the sheep and did not return before the morning.",
    );
    let cut = cues(&transcript(vec![said]), &rules);
    assert_eq!(
        shown(&cut),
        [
            "We came home late that evening.",
            "When the storm had finally/passed over the valley,",
            "my father went out to look for the sheep/and did not return before the morning.",
        ]
    );
}

#[test]
fn captions_end_at_pauses_and_stay_until_they_are_read() {
    let rules = LineRules::default();
    let said = spoken(
        "en",
        &[
            (500, 200, "Well"),
            (0, 100, "I"),
            (0, 200, "never"),
            (2000, 300, "said"),
            (0, 300, "so"),
        ],
    );
    let cut = cues(&transcript(vec![said]), &rules);
    assert_eq!(shown(&cut), ["Well I never", "said so"]);
    // 12 columns at 17 a second take 706 ms, less than the least duration.
    assert_eq!(cut.cues[0].span.start, Timestamp::from_millis(500));
    assert_eq!(cut.cues[0].span.end, Timestamp::from_millis(1333));
    assert_eq!(cut.report, CueReport::default());
    // Without room, the text stays and is reported.
    let quick = spoken("en", &[(0, 100, "Unintelligible."), (0, 100, "Gibberish.")]);
    let halves = vec![
        segment(quick.words[0].span, "Unintelligible.", "en", vec![quick.words[0].clone()]),
        segment(quick.words[1].span, "Gibberish.", "en", vec![quick.words[1].clone()]),
    ];
    let cut = cues(&transcript(halves), &rules);
    assert_eq!(shown(&cut), ["Unintelligible.", "Gibberish."]);
    assert_eq!(cut.report.too_fast, [0]);
    assert_eq!(cut.report.too_short, [0]);
    assert_eq!(cut.report.too_close, [0]);
    // The next begins when its first word does, and stays into the silence.
    assert_eq!(cut.cues[1].span.start, Timestamp::from_millis(100));
    assert_eq!(cut.cues[1].span.end, Timestamp::from_millis(933));
}

#[test]
fn unspaced_languages_break_where_they_may() {
    let rules = LineRules::for_language("ja");
    let span = Span { start: Timestamp::ZERO, end: Timestamp::from_secs(8) };
    let text = "昨日は雨が降っていたので、家で本を読んでいました。今日は晴れています。";
    let cut = cues(&transcript(vec![segment(span, text, "ja", Vec::new())]), &rules);
    assert_eq!(shown(&cut).concat().replace('/', ""), text);
    for line in cut.cues.iter().flat_map(|cue| &cue.lines) {
        assert!(!line.starts_with(['、', '。', 'っ', 'ょ']), "{line}");
    }
    assert!(cut.report.too_wide.is_empty());
    let thai = "ภาษาไทยเป็นภาษาที่ไม่มีการเว้นวรรคระหว่างคำดังนั้นการตัดบรรทัดจึงต้องใช้พจนานุกรม";
    let cut = cues(&transcript(vec![segment(span, thai, "th", Vec::new())]), &rules);
    assert_eq!(shown(&cut).concat().replace('/', ""), thai);
    assert!(cut.report.too_wide.is_empty(), "{:?}", shown(&cut));
}

#[test]
fn times_without_words_are_shared_out() {
    let span = Span { start: Timestamp::from_secs(10), end: Timestamp::from_secs(14) };
    let text = "aaaa aaaa aaaa aaaa. bbbb bbbb bbbb bbbb.";
    let rules = LineRules { max_chars_per_line: 20, max_lines: 1, ..LineRules::default() };
    let cut = cues(&transcript(vec![segment(span, text, "en", Vec::new())]), &rules);
    assert_eq!(shown(&cut), ["aaaa aaaa aaaa aaaa.", "bbbb bbbb bbbb bbbb."]);
    // 20 columns, a space, 20 columns.
    let after = |columns| {
        let time = Timestamp::from_secs(10).plus(Timestamp::from_secs(4).times(columns, 41));
        time.rescale(TimeBase::MICROS, Rounding::Floor)
    };
    assert_eq!(cut.cues[0].span.end, after(20));
    assert_eq!(cut.cues[1].span.start, after(21));
}

#[test]
fn srt() {
    let text = write(
        &transcript(vec![spoken("en", &[(1234, 400, "Hello"), (0, 600, "<i>there</i>")])]),
        SubtitleFormat::Srt,
        &LineRules::default(),
    )
    .unwrap();
    assert_eq!(text, "1\n00:00:01,234 --> 00:00:02,293\nHello <\u{2060}i>there<\u{2060}/i>\n\n");
}

#[test]
fn webvtt() {
    let text = write(
        &transcript(vec![spoken("en", &[(1000, 400, "Tom"), (0, 300, "&"), (0, 600, "<b>")])]),
        SubtitleFormat::WebVtt,
        &LineRules::default(),
    )
    .unwrap();
    assert_eq!(
        text,
        "WEBVTT\n\nNOTE Language: en\n\n00:00:01.000 --> 00:00:02.300\n\
         Tom <00:00:01.400>&amp; <00:00:01.700>&lt;b&gt;\n\n"
    );
    assert_eq!(read(text.as_bytes()).unwrap().language.as_deref(), Some("en"));
}

#[test]
fn ass_karaoke_does_not_drift() {
    // Words of 333.4 ms: rounded one by one they would come out 0.4 cs short each.
    let step = Timestamp::new(3334, TimeBase::per_second(10_000));
    let mut words = Vec::new();
    for n in 0..12 {
        let span = Span { start: step.times(n, 1), end: step.times(n + 1, 1) };
        let text = format!("w{n}{{\\b1}}");
        words.push(Word { span, text, probability: 1.0, spaced: true });
    }
    let text: Vec<&str> = words.iter().map(|w| w.text.as_str()).collect();
    let span = Span { start: Timestamp::ZERO, end: step.times(12, 1) };
    let said = transcript(vec![segment(span, &text.join(" "), "en", words.clone())]);
    let text =
        write(&said, SubtitleFormat::Ass, &LineRules { max_lines: 3, ..LineRules::default() });
    let text = text.unwrap();
    let captions = read(text.as_bytes()).unwrap();
    let timed: Vec<_> = captions.cues.iter().flat_map(Caption::timed).collect();
    assert_eq!(timed.len(), 12, "{text}");
    for ((time, said), word) in timed.iter().zip(&words) {
        assert_eq!(*time, word.span.start.rescale(TimeBase::per_second(100), Rounding::Nearest));
        assert_eq!(said.trim(), word.text);
    }
    let sum = |line: &str| {
        line.split("{\\k")
            .skip(1)
            .map(|k| k.split('}').next().unwrap().parse::<i64>().unwrap())
            .sum::<i64>()
    };
    assert_eq!(text.lines().map(sum).sum::<i64>(), 400);
}

#[test]
fn txt_and_tsv() {
    let span = |a, b| Span { start: at(a), end: at(b) };
    let said = transcript(vec![
        segment(span(0, 16_000), "One\tand\nhalf", "en", Vec::new()),
        segment(span(16_000, 16_000), " ", "en", Vec::new()),
        segment(span(16_008, 40_007), "two \u{1b}[31m", "en", Vec::new()),
    ]);
    let rules = LineRules::default();
    let txt = write(&said, SubtitleFormat::Txt, &rules).unwrap();
    assert_eq!(txt, "One and half\ntwo \\u{1b}[31m\n");
    let tsv = write(&said, SubtitleFormat::Tsv, &rules).unwrap();
    assert_eq!(tsv, "start\tend\ttext\n0\t1000\tOne and half\n1001\t2500\ttwo \\u{1b}[31m\n");
}

#[test]
fn json_has_the_shape_of_verbose_json() {
    let mut said = transcript(vec![spoken("en", &[(1000, 250, "Hi"), (0, 250, "you\u{202e}")])]);
    said.segments[0].doubt = Some(Doubt::LowProbability);
    said.dropped.push(Dropped {
        span: Span { start: at(1), end: at(3) },
        text: "Thank you.".into(),
        why: Doubt::NoSpeech,
    });
    let json = write(&said, SubtitleFormat::Json, &LineRules::default()).unwrap();
    assert!(json.contains("you\\u202e") && !json.contains('\u{202e}'));
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["task"], "transcribe");
    assert_eq!(value["text"], "Hi you\u{202e}");
    assert_eq!(value["segments"][0]["start"], 1.0);
    assert_eq!(value["segments"][0]["end"], 1.5);
    assert_eq!(value["segments"][0]["doubt"], "low-probability");
    assert_eq!(value["words"][1]["start"], 1.25);
    assert_eq!(value["words"][1]["exact"][0], "5/4");
    assert_eq!(value["dropped"][0]["why"], "no-speech");
    assert_eq!(value["word_times"], "dtw");
    assert_eq!(read_json(json.as_bytes()).unwrap(), said);
    for broken in
        [json.replace("\"5/4\"", "\"5/0\""), json.replace("\"segment\":0", "\"segment\":9")]
    {
        let error = read_json(broken.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::Input, "{error}");
    }
}

/// Run with `RUSHES_WRITE_SCHEMA=1` in the environment of the test to write it.
#[test]
fn the_published_schema_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema/transcript.schema.json");
    let schema = transcript_schema().unwrap();
    if std::env::var_os("RUSHES_WRITE_SCHEMA").is_some() {
        std::fs::write(path, &schema).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), schema, "set RUSHES_WRITE_SCHEMA=1");
}

// What follows holds for any transcript.

fn any_word() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-zA-Z]{1,9}[.,!?]?",
        1 => "[0-9]{1,4}",
        1 => "\\PC{1,6}",
        1 => "[日本語漢字かなカナ、。]{1,8}",
        1 => "[ก-ฮะาิีุูเแโ]{1,12}",
        1 => "[a-z]{40,60}",
        2 => prop::sample::select(vec![
            "-->", "--\u{2060}>", "<i>", "</i>", "<\u{2060}b>", "{\\an8}", "{", "}", "\\", "\\N",
            "\\\u{2060}", "\\h", "&lt;", "&amp", "&", "<", ">", "00:00:01,000", "00:00:02.000",
            "NOTE", "STYLE", "WEBVTT", "1", "2", "\u{1b}[31m", "\u{202e}", "\u{a0}", "👩\u{200d}🚀",
            "<00:00:01.000>", "[Events]", "Dialogue:", "{\\k10}", "\u{feff}", "\u{2028}", "\0",
        ]).prop_map(str::to_owned),
    ]
}

/// Samples of silence, samples of the word, the word, whether a space is before it.
type AnyWord = (i64, i64, String, bool);

fn any_segment() -> impl Strategy<Value = (bool, i64, Vec<AnyWord>)> {
    let word = (0..30_000_i64, 1..20_000_i64, any_word(), prop::bool::weighted(0.8));
    (any::<bool>(), 0..60_000_i64, prop::collection::vec(word, 0..30))
}

fn any_transcript() -> impl Strategy<Value = Transcript> {
    (prop::collection::vec(any_segment(), 0..8), 0..20_000_i64).prop_map(|(segments, rest)| {
        let mut now = 0;
        let mut made = Vec::new();
        for (timed, silence, words) in segments {
            now += silence;
            let start = now;
            let mut text = String::new();
            let mut list = Vec::new();
            for (silence, length, word, spaced) in words {
                if spaced && !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(&word);
                let from = now + silence / 10;
                now = from + length;
                let span = Span { start: at(from), end: at(now) };
                list.push(Word { span, text: word, probability: 0.5, spaced });
            }
            if !timed {
                list.clear();
            }
            made.push(segment(Span { start: at(start), end: at(now) }, &text, "en", list));
        }
        Transcript { duration: at(now + rest), ..transcript(made) }
    })
}

fn any_rules() -> impl Strategy<Value = LineRules> {
    (1..50_u32, 1..4_u32, 1..30_u32, 0..200_i64).prop_map(|(columns, lines, speed, gap)| {
        LineRules {
            max_chars_per_line: columns,
            max_lines: lines,
            max_chars_per_second: speed,
            min_gap: Timestamp::from_millis(gap),
            ..LineRules::default()
        }
    })
}

fn without_spaces(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_is_lost_and_nothing_overlaps(said in any_transcript(), rules in any_rules()) {
        let cut = cues(&said, &rules);
        let all: String = said.segments.iter().map(|s| without_spaces(&clean(&s.text))).collect();
        let kept: String = cut.cues.iter().flat_map(|c| &c.lines).map(|l| without_spaces(l)).collect();
        prop_assert_eq!(all, kept);
        let mut last = Timestamp::ZERO;
        for (n, cue) in cut.cues.iter().enumerate() {
            prop_assert!(cue.span.start >= last && cue.span.end >= cue.span.start);
            prop_assert!(cue.span.end <= said.duration);
            let next = cut.cues.get(n + 1).map(|next| next.span.start);
            if let Some(next) = next && !cut.report.too_close.contains(&n) {
                prop_assert!(next.minus(cue.span.end) >= rules.min_gap);
            }
            last = cue.span.end;
            prop_assert!(cue.lines.len() <= rules.max_lines as usize);
            let mut previous = (0, 0);
            for word in &cue.words {
                prop_assert!((word.line, word.range.start) >= previous);
                prop_assert!(cue.lines[word.line].get(word.range.clone()).is_some());
                previous = (word.line, word.range.end);
            }
            for (line, text) in cue.lines.iter().enumerate() {
                prop_assert!(!text.is_empty());
                if super::lines::width(text) > rules.max_chars_per_line as usize {
                    prop_assert!(cut.report.too_wide.contains(&n));
                    // Because of one word that cannot be broken, and nothing beside it.
                    let words = cue.words.iter().filter(|word| word.line == line);
                    let widths = words.map(|word| super::lines::width(&text[word.range.clone()]));
                    if let Some(widest) = widths.max() {
                        prop_assert_eq!(super::lines::width(text), widest);
                    }
                }
            }
            let shown = cue.span.duration();
            prop_assert_eq!(shown < rules.min_duration, cut.report.too_short.contains(&n));
            prop_assert_eq!(shown > rules.max_duration, cut.report.too_long.contains(&n));
            if cue.words.is_empty() {
                prop_assert!(shown <= rules.max_duration);
            }
        }
        // Every word with a time of its own keeps it.
        for (id, segment) in said.segments.iter().enumerate() {
            let kept: Vec<Span> = cut.cues.iter().filter(|c| c.segment == id)
                .flat_map(|c| c.words.iter().map(|w| w.span)).collect();
            let wanted: Vec<Span> = segment.words.iter()
                .filter(|w| !clean(&w.text).is_empty()).map(|w| w.span).collect();
            if !kept.is_empty() {
                prop_assert_eq!(kept, wanted);
            }
        }
    }

    #[test]
    fn subtitles_are_read_back(said in any_transcript(), rules in any_rules()) {
        let cut = cues(&said, &rules).cues;
        for (format, rate) in
            [(SubtitleFormat::Srt, 1000), (SubtitleFormat::WebVtt, 1000), (SubtitleFormat::Ass, 100)]
        {
            let text = write(&said, format, &rules).unwrap();
            prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
            let captions = if cut.is_empty() {
                read_with(text.as_bytes(), Some(format), &CaptionLimits::default())
            } else {
                read(text.as_bytes())
            };
            let captions = captions.unwrap();
            prop_assert_eq!((captions.format, captions.skipped), (format, 0));
            prop_assert_eq!(captions.cues.len(), cut.len(), "{}", text);
            for ((cue, caption), (start, end)) in
                cut.iter().zip(&captions.cues).zip(on_grid(&cut, rate))
            {
                let base = TimeBase::per_second(rate);
                prop_assert_eq!(caption.start, Timestamp::new(start, base));
                prop_assert_eq!(caption.end, Timestamp::new(end, base));
                prop_assert_eq!(caption.text(), cue.lines.join("\n"), "{}", text);
                for (time, _) in caption.timed() {
                    prop_assert!(caption.start <= time && time <= caption.end);
                    let known = cue.words.iter().any(|w| {
                        let word = w.span.start.rescale(base, Rounding::Nearest);
                        let end = w.span.end.rescale(base, Rounding::Nearest);
                        // The start of a word, or of a silence before one.
                        time == word || time == end || time == caption.start || time == caption.end
                    });
                    prop_assert!(known);
                }
            }
        }
    }

    #[test]
    fn json_is_read_back_exactly(mut said in any_transcript(), p: f32, q in -10.0..0.0_f32, seek: i64) {
        said.language_probability = if p.is_finite() { p } else { 0.5 };
        for segment in &mut said.segments {
            segment.avg_logprob = q;
            segment.seek = at(seek);
        }
        let json = write(&said, SubtitleFormat::Json, &LineRules::default()).unwrap();
        prop_assert_eq!(read_json(json.as_bytes()).unwrap(), said);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for format in [SubtitleFormat::Srt, SubtitleFormat::WebVtt, SubtitleFormat::Ass] {
            let _ = read_with(&bytes, Some(format), &CaptionLimits::default());
        }
        let _ = (read(&bytes), read_json(&bytes));
    }

    #[test]
    fn damaged_files_make_no_reader_panic(
        said in any_transcript(),
        cut: prop::sample::Index,
        at: prop::sample::Index,
        byte: u8,
    ) {
        for format in SubtitleFormat::ALL {
            let mut bytes = write(&said, format, &LineRules::default()).unwrap().into_bytes();
            bytes.push(b'\n');
            bytes.truncate(cut.index(bytes.len()) + 1);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = (read(&bytes), read_json(&bytes));
        }
    }
}
