//! A transcript as JSON: OpenAI's `verbose_json`, with what more is known, and back.
//!
//! Times are written twice: as seconds for every reader of `verbose_json`, and exactly, as
//! fractions. [`read_json`] takes the exact ones. `docs/schema/transcript.schema.json` is
//! generated from the types here, and a test holds it to them.

use super::clean::ascii_controls;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::speech::transcript::{Coverage, Doubt, Dropped, Segment, Transcript, Word, WordTimes};
use crate::time::{Span, TimeBase, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A transcript, as `verbose_json` of OpenAI's speech-to-text with further fields.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(title = "rushes transcript")]
struct Document {
    /// `transcribe`, or `translate` where the text is a translation into English.
    task: Task,
    /// The language of most of the speech (ISO 639).
    language: String,
    /// Length of the sound in seconds.
    duration: f64,
    /// All text.
    text: String,
    /// Stretches of text, about a sentence each, in order of time.
    segments: Vec<SegmentJson>,
    /// The words of all segments; empty where none were asked for.
    words: Vec<WordJson>,
    /// The same as `duration`, exactly.
    duration_exact: Exact,
    /// How sure the language is, 0 to 1; 1 where it was given.
    language_probability: Option<f32>,
    /// The model's name in the catalogue; ends in `-q8` for weights that went through int8.
    model: String,
    /// The recogniser that ran it.
    engine: String,
    /// How the times of words were found.
    word_times: WordTimesJson,
    /// What was recognised and then taken out, and why.
    dropped: Vec<DroppedJson>,
    /// How much of the detected speech has text.
    coverage: CoverageJson,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Task")]
enum Task {
    Transcribe,
    Translate,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Segment")]
struct SegmentJson {
    /// Its number, from 0.
    id: usize,
    /// Where its chunk starts, in hundredths of a second.
    seek: i64,
    /// When it begins, in seconds.
    start: f64,
    /// When it ends, in seconds.
    end: f64,
    /// Its text.
    text: String,
    /// The model's tokens, timestamp tokens included.
    tokens: Vec<u32>,
    /// The sampling temperature that gave it.
    temperature: Option<f32>,
    /// Mean natural-log probability of its tokens.
    avg_logprob: Option<f32>,
    /// Length of its chunk's text over its zlib-compressed length.
    compression_ratio: Option<f32>,
    /// Probability that there is no speech in its chunk.
    no_speech_prob: Option<f32>,
    /// Its language (ISO 639).
    language: String,
    /// How sure that is, 0 to 1; 1 where it was given.
    language_probability: Option<f32>,
    /// Why not to rely on it.
    doubt: Option<DoubtJson>,
    /// `start` and `end`, exactly.
    exact: [Exact; 2],
    /// The same as `seek`, exactly.
    seek_exact: Exact,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Word")]
struct WordJson {
    /// The word with its punctuation.
    word: String,
    /// When it begins, in seconds.
    start: f64,
    /// When it ends, in seconds.
    end: f64,
    /// The model's probability for it, 0 to 1.
    probability: Option<f32>,
    /// The `id` of its segment.
    segment: usize,
    /// Whether a space separates it from the word before.
    spaced: bool,
    /// `start` and `end`, exactly.
    exact: [Exact; 2],
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Dropped")]
struct DroppedJson {
    /// Where it was said to begin, in seconds.
    start: f64,
    /// Where it was said to end, in seconds.
    end: f64,
    /// The text.
    text: String,
    /// The reason.
    why: DoubtJson,
    /// `start` and `end`, exactly.
    exact: [Exact; 2],
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Coverage")]
struct CoverageJson {
    /// Seconds in which a voice was detected.
    speech: f64,
    /// Seconds of them that have text.
    with_text: f64,
    /// The share of detected speech that has text, 0 to 1; 1 where there is no speech.
    share: f64,
    /// `speech` and `with_text`, exactly.
    exact: [Exact; 2],
}

/// Why text is doubtful, or was dropped.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Doubt")]
struct DoubtJson(#[schemars(schema_with = "doubts")] Doubt);

/// How the times of words were found.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "WordTimes")]
struct WordTimesJson(#[schemars(schema_with = "ways")] WordTimes);

fn doubts(_: &mut SchemaGenerator) -> Schema {
    use Doubt::{Duplicate, Loop, LowProbability, NoSpeech};
    json_schema!({ "enum": [NoSpeech, LowProbability, Loop, Duplicate] })
}

fn ways(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": [WordTimes::None, WordTimes::Dtw, WordTimes::Tokens] })
}

/// Seconds as a fraction, `NUM/DEN`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Exact")]
struct Exact(String);

impl Exact {
    fn of(time: Timestamp) -> Self {
        // The same reduced fraction as Timestamp's own JSON.
        let base = time.base();
        let (num, den) =
            (i128::from(time.ticks()) * i128::from(base.num()), i128::from(base.den()));
        let divisor = gcd(num.unsigned_abs(), den.unsigned_abs()).max(1);
        Self(format!("{}/{}", num / divisor as i128, den / divisor as i128))
    }

    fn time(&self) -> Result<Timestamp> {
        let read = || {
            let (num, den) = self.0.split_once('/')?;
            let den: u32 = den.parse().ok().filter(|den| *den > 0)?;
            Some(Timestamp::new(num.parse().ok()?, TimeBase::per_second(den)))
        };
        read().ok_or_else(|| {
            let seen: String = self.0.chars().take(40).collect();
            damaged(format!("`{seen}` is no exact time, which is written NUM/DEN"))
        })
    }
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn damaged(what: String) -> Error {
    Error::new(ErrorKind::Input, Stage::Subtitles, format!("not a transcript of ours: {what}"))
}

fn exact(span: Span) -> [Exact; 2] {
    [Exact::of(span.start), Exact::of(span.end)]
}

fn span([start, end]: &[Exact; 2]) -> Result<Span> {
    Span::new(start.time()?, end.time()?)
        .ok_or_else(|| damaged(format!("{} lies before {}", end.0, start.0)))
}

/// JSON has no NaN and no infinities: they become null, and null becomes NaN.
fn finite(value: f32) -> Option<f32> {
    Some(value).filter(|v| v.is_finite())
}

/// All text of a transcript: segments are joined by a space where the language has spaces.
fn whole_text(transcript: &Transcript) -> String {
    let mut text = String::new();
    for segment in &transcript.segments {
        let spaced = match segment.words.first() {
            Some(word) => word.spaced || !unspaced(&segment.language),
            None => !unspaced(&segment.language),
        };
        if spaced && !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&segment.text);
    }
    text
}

fn unspaced(language: &str) -> bool {
    matches!(
        language.split('-').next().unwrap_or(""),
        "zh" | "ja" | "yue" | "th" | "lo" | "my" | "km" | "bo"
    )
}

/// `transcript` as JSON.
pub(super) fn write(transcript: &Transcript) -> Result<String> {
    let segments = transcript.segments.iter().enumerate().map(|(id, segment)| SegmentJson {
        id,
        seek: segment.seek.rescale(TimeBase::per_second(100), crate::time::Rounding::Floor).ticks(),
        start: segment.span.start.as_secs_f64(),
        end: segment.span.end.as_secs_f64(),
        text: segment.text.clone(),
        tokens: segment.tokens.clone(),
        temperature: finite(segment.temperature),
        avg_logprob: finite(segment.avg_logprob),
        compression_ratio: finite(segment.compression_ratio),
        no_speech_prob: finite(segment.no_speech_prob),
        language: segment.language.clone(),
        language_probability: finite(segment.language_probability),
        doubt: segment.doubt.map(DoubtJson),
        exact: exact(segment.span),
        seek_exact: Exact::of(segment.seek),
    });
    let words = transcript.segments.iter().enumerate().flat_map(|(id, segment)| {
        segment.words.iter().map(move |word| WordJson {
            word: word.text.clone(),
            start: word.span.start.as_secs_f64(),
            end: word.span.end.as_secs_f64(),
            probability: finite(word.probability),
            segment: id,
            spaced: word.spaced,
            exact: exact(word.span),
        })
    });
    let dropped = transcript.dropped.iter().map(|dropped| DroppedJson {
        start: dropped.span.start.as_secs_f64(),
        end: dropped.span.end.as_secs_f64(),
        text: dropped.text.clone(),
        why: DoubtJson(dropped.why),
        exact: exact(dropped.span),
    });
    let coverage = &transcript.coverage;
    let document = Document {
        task: if transcript.translated { Task::Translate } else { Task::Transcribe },
        language: transcript.language.clone(),
        duration: transcript.duration.as_secs_f64(),
        text: whole_text(transcript),
        segments: segments.collect(),
        words: words.collect(),
        duration_exact: Exact::of(transcript.duration),
        language_probability: finite(transcript.language_probability),
        model: transcript.model.clone(),
        engine: transcript.engine.clone(),
        word_times: WordTimesJson(transcript.word_times),
        dropped: dropped.collect(),
        coverage: CoverageJson {
            speech: coverage.speech.as_secs_f64(),
            with_text: coverage.with_text.as_secs_f64(),
            share: coverage.share(),
            exact: [Exact::of(coverage.speech), Exact::of(coverage.with_text)],
        },
    };
    let json = serde_json::to_string(&document).map_err(|error| {
        Error::new(ErrorKind::Internal, Stage::Subtitles, "a transcript cannot be made JSON")
            .source(error)
    })?;
    Ok(ascii_controls(&json) + "\n")
}

/// Reads the JSON that [`super::write`] made back into the same transcript. (Numbers that are not
/// finite come back as NaN.)
///
/// # Errors
/// [`ErrorKind::Input`] where it is not that JSON; `verbose_json` of others lacks fields.
pub fn read_json(bytes: &[u8]) -> Result<Transcript> {
    let document: Document =
        serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()).source(error))?;
    let number = |value: Option<f32>| value.unwrap_or(f32::NAN);
    let mut segments = Vec::with_capacity(document.segments.len());
    for segment in document.segments {
        segments.push(Segment {
            span: span(&segment.exact)?,
            text: segment.text,
            language: segment.language,
            language_probability: number(segment.language_probability),
            words: Vec::new(),
            tokens: segment.tokens,
            avg_logprob: number(segment.avg_logprob),
            no_speech_prob: number(segment.no_speech_prob),
            compression_ratio: number(segment.compression_ratio),
            temperature: number(segment.temperature),
            seek: segment.seek_exact.time()?,
            doubt: segment.doubt.map(|doubt| doubt.0),
        });
    }
    for word in document.words {
        let Some(segment) = segments.get_mut(word.segment) else {
            return Err(damaged(format!("a word of segment {}, which is not there", word.segment)));
        };
        segment.words.push(Word {
            span: span(&word.exact)?,
            text: word.word,
            probability: number(word.probability),
            spaced: word.spaced,
        });
    }
    let dropped = document.dropped.into_iter().map(|dropped| {
        Ok(Dropped { span: span(&dropped.exact)?, text: dropped.text, why: dropped.why.0 })
    });
    let [speech, with_text] = &document.coverage.exact;
    Ok(Transcript {
        language: document.language,
        language_probability: number(document.language_probability),
        translated: matches!(document.task, Task::Translate),
        duration: document.duration_exact.time()?,
        model: document.model,
        engine: document.engine,
        word_times: document.word_times.0,
        segments,
        dropped: dropped.collect::<Result<_>>()?,
        coverage: Coverage { speech: speech.time()?, with_text: with_text.time()? },
    })
}

/// The JSON schema of transcripts: `docs/schema/transcript.schema.json`.
///
/// # Errors
/// [`ErrorKind::Internal`] where it cannot be made JSON, which would be a defect.
pub fn transcript_schema() -> Result<String> {
    let schema = schemars::schema_for!(Document);
    let json = serde_json::to_string_pretty(&schema).map_err(|error| {
        Error::new(ErrorKind::Internal, Stage::Subtitles, "the schema cannot be made JSON")
            .source(error)
    })?;
    Ok(json + "\n")
}
