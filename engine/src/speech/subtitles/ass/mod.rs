//! Advanced SubStation Alpha (and SSA v4, read only).
//!
//! ASS has no way to write `{`, `}` and `\` as text that every renderer knows. libass takes `\{`
//! and `\}`; after `\` a word joiner (U+2060, of no width) keeps what follows from being a tag, as
//! ffmpeg does it. A renderer that takes `\{` for the start of a tag block hides what is in the
//! braces, but finds no tag in it.

mod parse;

pub(super) use parse::{is_head, parse};

use super::clean::language;
use super::cues::{Cue, CueWord, on_grid};
use crate::time::{Rounding, TimeBase};
use std::fmt::Write as _;

const JOINER: char = '\u{2060}';

/// White text on a black outline at the bottom; words light up from grey to white. Sizes are for
/// the picture of 1920x1080 that the head names, and renderers scale them.
const STYLES: &str = "[V4+ Styles]\n\
    Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, \
    Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, \
    Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\n\
    Style: Default,Arial,64,&H00FFFFFF,&H00999999,&H00000000,&H80000000,0,0,0,0,100,100,0,0,1,3,1,\
    2,96,96,54,1\n\n\
    [Events]\n\
    Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n";

/// `cues` as ASS, with `\k` before each word whose time is known.
pub(super) fn write(cues: &[Cue], code: &str) -> String {
    let mut out = String::from(
        "[Script Info]\nScriptType: v4.00+\nWrapStyle: 0\nScaledBorderAndShadow: yes\n\
         PlayResX: 1920\nPlayResY: 1080\n",
    );
    let code = language(code);
    if !code.is_empty() {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "Language: {code}");
    }
    out.push('\n');
    out.push_str(STYLES);
    for (cue, (start, end)) in cues.iter().zip(on_grid(cues, 100)) {
        let _ = write!(out, "Dialogue: 0,{},{},Default,,0,0,0,,", clock(start), clock(end));
        let mut karaoke = Karaoke { at: start, end };
        for (n, line) in cue.lines.iter().enumerate() {
            if n > 0 {
                out.push_str("\\N");
            }
            let mut from = 0;
            for word in cue.words.iter().filter(|word| word.line == n) {
                escape(&line[from..word.range.start], &mut out);
                karaoke.word(word, &mut out);
                escape(&line[word.range.clone()], &mut out);
                from = word.range.end;
            }
            escape(&line[from..], &mut out);
        }
        out.push('\n');
    }
    out
}

/// Where karaoke has come to, in centiseconds. Each length is the difference of two rounded points
/// of time, so rounding never adds up.
struct Karaoke {
    at: i64,
    end: i64,
}

impl Karaoke {
    fn word(&mut self, word: &CueWord, out: &mut String) {
        let base = TimeBase::per_second(100);
        let start = word.span.start.rescale(base, Rounding::Nearest).ticks();
        let end = word.span.end.rescale(base, Rounding::Nearest).ticks();
        let start = start.clamp(self.at, self.end);
        let end = end.clamp(start, self.end);
        if start > self.at {
            let _ = write!(out, "{{\\k{}}}", start - self.at);
        }
        let _ = write!(out, "{{\\k{}}}", end - start);
        self.at = end;
    }
}

fn clock(centis: i64) -> String {
    let secs = centis / 100;
    format!("{}:{:02}:{:02}.{:02}", secs / 3600, secs / 60 % 60, secs % 60, centis % 100)
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '{' | '}' => out.extend(['\\', c]),
            '\\' => out.extend(['\\', JOINER]),
            '\u{a0}' => out.push_str("\\h"),
            c => out.push(c),
        }
    }
}
