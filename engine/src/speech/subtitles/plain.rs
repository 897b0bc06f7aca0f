//! Plain text and tab-separated values, one segment a line, as OpenAI's whisper writes them.

use super::clean::clean;
use crate::speech::transcript::Transcript;
use crate::time::{Rounding, TimeBase};
use std::fmt::Write as _;

/// The text, one segment a line.
pub(super) fn txt(transcript: &Transcript) -> String {
    let mut out = String::new();
    for text in transcript.segments.iter().map(|s| clean(&s.text)).filter(|t| !t.is_empty()) {
        out.push_str(&text);
        out.push('\n');
    }
    out
}

/// A head line, then start and end in whole milliseconds, and text.
pub(super) fn tsv(transcript: &Transcript) -> String {
    let millis = TimeBase::per_second(1000);
    let mut out = String::from("start\tend\ttext\n");
    for segment in &transcript.segments {
        let text = clean(&segment.text);
        if text.is_empty() {
            continue;
        }
        let [start, end] = [segment.span.start, segment.span.end]
            .map(|time| time.rescale(millis, Rounding::Nearest).ticks());
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{start}\t{end}\t{text}");
    }
    out
}
