//! A transcript as subtitles, and subtitles read back.
//!
//! [`cues`] cuts a [`Transcript`] into lines that people can read in time; [`write`] puts them in a
//! [`SubtitleFormat`]. [`read`] takes SRT, WebVTT and ASS as found in the world.
//!
//! Text from outside cannot leave its place: each writer escapes what its format would take for
//! markup, and spells out controls that a terminal would obey.

mod ass;
mod captions;
mod clean;
mod cues;
mod json;
mod lines;
mod plain;
mod read;
mod srt;
#[cfg(test)]
mod tests;
mod webvtt;

pub use captions::{
    Align, Caption, Captions, CueSettings, Element, Font, LineAlign, LinePosition, Node,
    PositionAlign, Region, Style, Tag, Vertical,
};
pub use cues::{Cue, CueReport, CueWord, Cues, cues};
pub use json::{read_json, transcript_schema};
pub use lines::{LineRules, LineWishes};
pub use read::{CaptionLimits, read, read_with};

use super::Transcript;
use crate::error::Result;

/// The formats that a transcript is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubtitleFormat {
    /// SubRip: numbers, times, text.
    Srt,
    /// WebVTT, with a timestamp before each word where word times are known.
    WebVtt,
    /// Advanced SubStation Alpha, with karaoke where word times are known.
    Ass,
    /// One segment a line, no times.
    Txt,
    /// Start and end in milliseconds and text, one segment a line.
    Tsv,
    /// OpenAI's `verbose_json`, with what more is known; see [`transcript_schema`].
    Json,
}

impl SubtitleFormat {
    /// Every format.
    pub const ALL: [Self; 6] =
        [Self::Srt, Self::WebVtt, Self::Ass, Self::Txt, Self::Tsv, Self::Json];

    /// The lower-case word for it in settings and messages: its usual file extension.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Srt => "srt",
            Self::WebVtt => "vtt",
            Self::Ass => "ass",
            Self::Txt => "txt",
            Self::Tsv => "tsv",
            Self::Json => "json",
        }
    }

    /// Whether text is put on lines by [`LineRules`] in it; the others keep the transcript's segments.
    pub fn has_lines(self) -> bool {
        matches!(self, Self::Srt | Self::WebVtt | Self::Ass)
    }

    /// The usual file extension, without the dot.
    pub fn extension(self) -> &'static str {
        self.as_str()
    }
}

/// `transcript` in `format`. TXT, TSV and JSON keep its segments; the others are cut by `rules`.
///
/// # Errors
/// [`crate::error::ErrorKind::Internal`] where JSON cannot be made, which would be a defect.
pub fn write(transcript: &Transcript, format: SubtitleFormat, rules: &LineRules) -> Result<String> {
    Ok(match format {
        SubtitleFormat::Srt => srt::write(&cues(transcript, rules).cues),
        SubtitleFormat::WebVtt => {
            webvtt::write(&cues(transcript, rules).cues, &transcript.language)
        }
        SubtitleFormat::Ass => ass::write(&cues(transcript, rules).cues, &transcript.language),
        SubtitleFormat::Txt => plain::txt(transcript),
        SubtitleFormat::Tsv => plain::tsv(transcript),
        SubtitleFormat::Json => json::write(transcript)?,
    })
}
