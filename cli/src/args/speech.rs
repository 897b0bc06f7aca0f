//! What the verbs of speech take.

use super::moment;
use clap::{Args, ValueEnum};
use rushes::time::Timestamp;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct Transcribe {
    /// Files, folders, globs, or - for standard input
    #[arg(required_unless_present = "schema")]
    pub inputs: Vec<PathBuf>,
    /// Print the JSON schema of transcripts (--format json) instead
    #[arg(long)]
    pub schema: bool,
    /// Folder to write into, a file of each format for each input [default: standard output]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Formats [default: srt; txt on standard output]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FORMATS")]
    pub format: Vec<TranscriptFormat>,
    #[command(flatten)]
    pub lines: LineArgs,
    #[command(flatten)]
    pub speech: SpeechArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TranscriptFormat {
    Srt,
    Vtt,
    Ass,
    Txt,
    Tsv,
    Json,
}

/// How speech is recognised.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Speech")]
pub struct SpeechArgs {
    /// Whisper model: tiny, base, small, medium, large-v3, large-v3-turbo, or a name from
    /// `rushes models list`
    #[arg(long, default_value = "tiny", value_name = "NAME")]
    pub model: String,
    /// Language of the speech: a code or name, or auto to find it chunk by chunk
    #[arg(long, default_value = "auto", value_name = "LANG", value_parser = language)]
    pub language: LanguageChoice,
    /// Write down what is said, or its translation into English
    #[arg(long, value_enum, default_value = "transcribe")]
    pub task: SpeechTask,
    /// Take the language of a stretch that is less sure than this (0 to 1) from the text before it
    #[arg(long, value_name = "P", value_parser = probability)]
    pub language_threshold: Option<f32>,
    /// Find when each word is said
    #[arg(long)]
    pub words: bool,
    /// Look for speech first and recognise only that (the default)
    #[arg(long, conflicts_with = "no_vad")]
    pub vad: bool,
    /// Recognise everything, silence and music included
    #[arg(long)]
    pub no_vad: bool,
    /// Text in the style and spelling that is expected
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// Words and names to expect, e.g. Rushes,FFmpeg
    #[arg(long, value_delimiter = ',', value_name = "WORDS")]
    pub hotwords: Vec<String>,
    /// Follow this many hypotheses, 2 to 8 [default: only the best]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..=8))]
    pub beam: Option<u8>,
    /// What runs the model
    #[arg(long, value_enum, default_value = "auto")]
    pub engine: EngineChoice,
    /// Folder that holds the models [default: as for `rushes models`]
    #[arg(long, value_name = "DIR")]
    pub models_dir: Option<PathBuf>,
}

fn probability(text: &str) -> Result<f32, String> {
    let value = text.parse().ok().filter(|value| (0.0..=1.0).contains(value));
    value.ok_or_else(|| "a probability lies between 0 and 1".to_owned())
}

/// How text is put on lines in SRT, WebVTT and ASS.
#[derive(Args, Debug)]
#[command(next_help_heading = "Lines")]
pub struct LineArgs {
    /// Characters of a line; wide ones (Chinese, Japanese, Korean) count as two
    /// [default: 42; zh 32, ja 26, ko 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub line_chars: Option<u32>,
    /// Lines of a caption [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub lines: Option<u32>,
    /// Characters a second that can be read [default: 17; zh 18, ja 8, ko 24]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub reading_speed: Option<u32>,
    /// Time between two captions, e.g. 40ms [default: 84ms]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub min_gap: Option<Timestamp>,
}

/// A language, or none to find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanguageChoice(Option<&'static str>);

impl LanguageChoice {
    pub fn code(self) -> Option<&'static str> {
        self.0
    }
}

fn language(text: &str) -> Result<LanguageChoice, String> {
    use rushes::speech::languages::{LANGUAGES, code};
    if text.eq_ignore_ascii_case("auto") {
        return Ok(LanguageChoice(None));
    }
    match code(text) {
        Some(code) => Ok(LanguageChoice(Some(code))),
        None => {
            let some: Vec<String> =
                LANGUAGES.iter().take(12).map(|(code, name)| format!("{code} ({name})")).collect();
            Err(format!(
                "no model knows this language; give auto, or one of {} such as {}",
                LANGUAGES.len(),
                some.join(", ")
            ))
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SpeechTask {
    Transcribe,
    Translate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineChoice {
    Auto,
    #[value(name = "whisper.cpp")]
    WhisperCpp,
    #[value(name = "onnxruntime")]
    OnnxRuntime,
}
