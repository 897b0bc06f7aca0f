//! WebVTT: written with the times of words, read by the parser of the W3C's standard
//! (<https://www.w3.org/TR/webvtt1/#file-parsing>).

mod parse;
mod settings;
mod tree;

pub(super) use parse::parse;

use super::clean::language;
use super::cues::{Cue, on_grid};
use crate::time::{Rounding, TimeBase, Timestamp};
use std::fmt::Write as _;

/// `cues` as WebVTT. The language stands in a note: the standard has no header for it.
pub(super) fn write(cues: &[Cue], code: &str) -> String {
    let mut out = String::from("WEBVTT\n\n");
    let code = language(code);
    if !code.is_empty() {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "NOTE Language: {code}\n");
    }
    for (cue, (start, end)) in cues.iter().zip(on_grid(cues, 1000)) {
        let clock = |millis| Timestamp::from_millis(millis).to_string();
        let _ = writeln!(out, "{} --> {}", clock(start), clock(end));
        // A timestamp must lie inside the cue and after the one before it.
        let mut said = start;
        for (n, line) in cue.lines.iter().enumerate() {
            let mut from = 0;
            for word in cue.words.iter().filter(|word| word.line == n) {
                let millis = TimeBase::per_second(1000);
                let at = word.span.start.rescale(millis, Rounding::Nearest).ticks();
                if at > said && at < end {
                    escape(&line[from..word.range.start], &mut out);
                    let _ = write!(out, "<{}>", clock(at));
                    from = word.range.start;
                    said = at;
                }
            }
            escape(&line[from..], &mut out);
            out.push('\n');
        }
        out.push('\n');
    }
    out
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
}

/// Reads text from the front.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches(is_space);
    }

    fn take(&mut self, wanted: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(wanted)?;
        Some(())
    }

    fn digits(&mut self) -> &'a str {
        let end = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits
    }

    /// Exactly two digits.
    fn pair(&mut self) -> Option<i64> {
        let digits = self.digits();
        if digits.len() == 2 { digits.parse().ok() } else { None }
    }

    /// "Collect a WebVTT timestamp". Hours beyond what time can count are refused.
    fn timestamp(&mut self) -> Option<Timestamp> {
        let first = self.digits();
        let value: i64 = if first.len() <= 10 { first.parse().ok()? } else { return None };
        self.take(":")?;
        let second = self.pair()?;
        let (hours, minutes, secs) = if first.len() != 2 || value > 59 || self.rest.starts_with(':')
        {
            self.take(":")?;
            (value, second, self.pair()?)
        } else {
            (0, value, second)
        };
        self.take(".")?;
        let fraction = self.digits();
        if minutes > 59 || secs > 59 || fraction.len() != 3 {
            return None;
        }
        let millis: i64 = fraction.parse().ok()?;
        Some(Timestamp::from_millis(((hours * 60 + minutes) * 60 + secs) * 1000 + millis))
    }
}

/// ASCII white space, as the standard has it.
fn is_space(c: char) -> bool {
    c.is_ascii_whitespace()
}
