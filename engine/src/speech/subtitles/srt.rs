//! SubRip, which has no standard: written strictly, read as players and pysubs2 read it.
//!
//! There is no way to write `<`, `{`, `\` or `-->` as text. Where they would be taken for markup, a
//! word joiner (U+2060, of no width) is put in, and the reader takes it out again.

use super::captions::{
    Align, Caption, CueSettings, Element, Font, LineAlign, LinePosition, Node, Tag,
};
use super::cues::Cue;
use super::read::{Budget, Parsed};
use crate::error::Result;
use crate::time::Timestamp;
use std::fmt::Write as _;

const JOINER: char = '\u{2060}';
const MAX_DEPTH: usize = 32;

/// `cues` as SRT.
pub(super) fn write(cues: &[Cue]) -> String {
    let mut out = String::new();
    for (n, (cue, (start, end))) in cues.iter().zip(super::cues::on_grid(cues, 1000)).enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}\n{} --> {}", n + 1, clock(start), clock(end));
        for line in &cue.lines {
            escape(line, &mut out);
            out.push('\n');
        }
        out.push('\n');
    }
    out
}

fn clock(millis: i64) -> String {
    Timestamp::from_millis(millis).to_string().replace('.', ",")
}

/// Whether `c` must be kept from making markup with what comes after it.
fn makes_markup(before: &str, c: char, after: &str) -> bool {
    let Some(next) = after.chars().next() else { return false };
    match c {
        '<' => next.is_ascii_alphabetic() || next == '/' || next == JOINER,
        '{' => next == '\\' || next == JOINER,
        // Players that turn SRT into ASS let `\N` through.
        '\\' => next.is_ascii_alphabetic() || next == JOINER,
        '-' => before.ends_with('-') && (next == '>' || next == JOINER),
        '&' => {
            let end = after.bytes().take(12).position(|b| b == b';').map_or(0, |at| at + 1);
            next == JOINER || entity(&after[..end]).is_some()
        }
        _ => false,
    }
}

fn escape(line: &str, out: &mut String) {
    for (at, c) in line.char_indices() {
        out.push(c);
        if makes_markup(&line[..at], c, &line[at + c.len_utf8()..]) {
            out.push(JOINER);
        }
    }
}

/// Reads SRT. Numbers may be missing, hours may have any number of digits, a dot may stand for
/// the comma, and captions may hold empty lines.
pub(super) fn parse(text: &str, budget: &mut Budget) -> Result<Parsed> {
    let mut parsed = Parsed::default();
    let mut open: Option<Open> = None;
    // The lines since the last timing line.
    let mut body: Vec<&str> = Vec::new();
    let mut damaged = false;
    let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    for line in lines.flat_map(|line| line.split('\r')) {
        let Some(timing) = timing(line) else {
            body.push(line);
            continue;
        };
        // The number above belongs to what comes now.
        let mut id = "";
        if let Some(number) = body.last().filter(|l| is_number(l)) {
            id = number.trim();
            body.pop();
        }
        if let Some(done) = open.take() {
            parsed.finish_srt(done, &body);
        } else if !damaged && body.iter().any(|line| !line.trim_ascii().is_empty()) {
            parsed.skipped += 1;
        }
        body.clear();
        budget.cue()?;
        damaged = timing.is_none();
        match timing {
            Some((start, end)) => open = Some(Open { id: id.to_owned(), start, end }),
            None => parsed.skipped += 1,
        }
    }
    if let Some(done) = open {
        parsed.finish_srt(done, &body);
    }
    Ok(parsed)
}

struct Open {
    id: String,
    start: Timestamp,
    end: Timestamp,
}

impl Parsed {
    fn finish_srt(&mut self, open: Open, body: &[&str]) {
        let body = self.without_untimed(&open.id, body);
        let end =
            body.iter().rposition(|line| !line.trim_ascii().is_empty()).map_or(0, |at| at + 1);
        let source = body[..end].join("\n");
        let (nodes, settings) = (nodes(&source), settings(&source));
        self.cues.push(Caption {
            id: open.id,
            start: open.start,
            end: open.end,
            nodes,
            source,
            settings,
            style: None,
            actor: None,
            layer: 0,
            margins: [0; 3],
        });
    }

    /// Cuts off a caption without times at the end of `body`: an empty line, then the number that
    /// follows `id`. Any other empty line belongs to the text.
    fn without_untimed<'a, 'b>(&mut self, id: &str, body: &'a [&'b str]) -> &'a [&'b str] {
        let Some(next) = id.parse::<u64>().ok().and_then(|n| n.checked_add(1)) else {
            return body;
        };
        let found = body.windows(2).position(|pair| {
            pair[0].trim_ascii().is_empty() && pair[1].trim().parse::<u64>() == Ok(next)
        });
        match found {
            Some(at) => {
                self.skipped += 1;
                &body[..at]
            }
            None => body,
        }
    }
}

fn is_number(line: &str) -> bool {
    let line = line.trim().trim_start_matches('\u{feff}');
    !line.is_empty() && line.bytes().all(|b| b.is_ascii_digit())
}

/// `None`: not a timing line. `Some(None)`: one that cannot be read.
fn timing(line: &str) -> Option<Option<(Timestamp, Timestamp)>> {
    let (start, rest) = line.split_once("-->")?;
    let start_text = start.trim();
    if !start_text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return None;
    }
    // Coordinates (X1:…) may follow.
    let end_text = rest.split_ascii_whitespace().next().unwrap_or("");
    match (clock_time(start_text), clock_time(end_text)) {
        (Some(start), Some(end)) => Some(Some((start, end))),
        // A sentence that begins with a digit and holds an arrow is text.
        _ if !start_text.bytes().all(|b| b"0123456789:,.- ".contains(&b)) => None,
        _ => Some(None),
    }
}

/// `H:MM:SS,mmm` or `MM:SS,mmm`, with `,` or `.` and one to nine digits after it, or none.
fn clock_time(text: &str) -> Option<Timestamp> {
    let (whole, part) = text.split_once([',', '.']).unwrap_or((text, ""));
    if part.len() > 9 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut millis = 0;
    let mut weight = 100;
    for digit in part.bytes().take(3) {
        millis += i64::from(digit - b'0') * weight;
        weight /= 10;
    }
    let fields: Vec<&str> = whole.split(':').map(str::trim).collect();
    if !(2..=3).contains(&fields.len()) {
        return None;
    }
    let mut secs: i64 = 0;
    for field in fields {
        if field.is_empty() || field.len() > 9 || !field.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        secs = secs * 60 + field.parse::<i64>().ok()?;
    }
    Some(Timestamp::from_millis(secs * 1000 + millis))
}

/// Where `{\an8}` (numbers as on the keypad) puts a caption, in WebVTT's terms. The first one counts.
fn settings(source: &str) -> CueSettings {
    let mut settings = CueSettings::default();
    let number = source.find("{\\an").and_then(|at| {
        let block = source[at + 4..].split(['\\', '}']).next()?;
        block.trim().parse::<u8>().ok()
    });
    let Some(number) = number.filter(|n| (1..=9).contains(n)) else { return settings };
    settings.align = match number % 3 {
        1 => Align::Left,
        2 => Align::Center,
        _ => Align::Right,
    };
    match number {
        7.. => settings.line = Some(LinePosition::Number(0.0)),
        4.. => {
            settings.line = Some(LinePosition::Percent(50.0));
            settings.line_align = LineAlign::Center;
        }
        _ => {}
    }
    settings
}

/// The text with `<i>`, `<b>`, `<u>`, `<s>` and `<font>` as elements; other tags and `{\…}` are
/// taken out, entities are read, and what only looks like markup stays.
pub(super) fn nodes(source: &str) -> Vec<Node> {
    let mut stack: Vec<(Tag, Vec<Node>)> = vec![(Tag::Class, Vec::new())];
    let mut text = String::new();
    let mut rest = source;
    let mut braces = true;
    while let Some(c) = rest.chars().next() {
        let next = rest[c.len_utf8()..].chars().next();
        let after_joiner = next == Some(JOINER);
        if after_joiner
            && (matches!(c, '<' | '{' | '&' | '\\') || (c == '-' && text.ends_with('-')))
        {
            text.push(c);
            rest = &rest[c.len_utf8() + JOINER.len_utf8()..];
            continue;
        }
        if c == '{' && next == Some('\\') && braces {
            match rest.find('}') {
                Some(end) => {
                    rest = &rest[end + 1..];
                    continue;
                }
                None => braces = false,
            }
        }
        if c == '<'
            && let Some((name, closing, length)) = tag(rest)
        {
            flush(&mut text, &mut stack);
            style(&name, closing, &rest[..length], &mut stack);
            rest = &rest[length..];
            continue;
        }
        if c == '&' {
            let end = rest.bytes().take(12).position(|b| b == b';').map_or(1, |at| at + 1);
            if let Some(meant) = entity(&rest[1..end]) {
                text.push_str(meant);
                rest = &rest[end..];
                continue;
            }
        }
        text.push(c);
        rest = &rest[c.len_utf8()..];
    }
    flush(&mut text, &mut stack);
    while stack.len() > 1 {
        close(&mut stack);
    }
    stack.pop().map(|(_, nodes)| nodes).unwrap_or_default()
}

fn entity(name: &str) -> Option<&'static str> {
    Some(match name {
        "lt;" => "<",
        "gt;" => ">",
        "amp;" => "&",
        "nbsp;" => "\u{a0}",
        "quot;" => "\"",
        _ => return None,
    })
}

/// The lower-case name of the tag that `rest` starts with, whether it closes, and its length.
fn tag(rest: &str) -> Option<(String, bool, usize)> {
    // A tag is short: looking further for every `<` would make hostile text slow.
    let end = rest.bytes().skip(1).take(256).position(|b| matches!(b, b'<' | b'>'))? + 1;
    let inside = rest[1..].get(..end - 1).filter(|_| rest.as_bytes()[end] == b'>')?;
    let (closing, inside) = match inside.strip_prefix('/') {
        Some(inside) => (true, inside),
        None => (false, inside),
    };
    let name: String = inside.chars().take_while(char::is_ascii_alphanumeric).collect();
    let name = name.to_ascii_lowercase();
    let known = matches!(name.as_str(), "i" | "b" | "u" | "s" | "font" | "br" | "span" | "em")
        && inside[name.len()..].chars().next().is_none_or(|c| c.is_whitespace() || c == '/');
    known.then(|| (name, closing, inside.len() + 2 + usize::from(closing)))
}

/// `whole` is the tag as it stands.
fn style(name: &str, closing: bool, whole: &str, stack: &mut Vec<(Tag, Vec<Node>)>) {
    let tag = match name {
        "i" | "em" => Tag::Italic,
        "b" => Tag::Bold,
        "u" => Tag::Underline,
        "s" => Tag::Strike,
        "font" => Tag::Font(font(whole)),
        "br" => {
            if let Some((_, nodes)) = stack.last_mut() {
                nodes.push(Node::Text("\n".into()));
            }
            return;
        }
        _ => return,
    };
    if !closing {
        if stack.len() < MAX_DEPTH {
            stack.push((tag, Vec::new()));
        }
    } else if stack[1..].iter().any(|(open, _)| open.ends_with(&tag)) {
        while stack.len() > 1 {
            let found = stack.last().is_some_and(|(open, _)| open.ends_with(&tag));
            close(stack);
            if found {
                break;
            }
        }
    }
}

impl Tag {
    /// Whether the end tag of `other` ends this.
    fn ends_with(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Font(_), Self::Font(_))) || self == other
    }
}

/// The attributes of `<font color="#f00" face=…>`.
fn font(whole: &str) -> Font {
    let mut made = Font::default();
    let mut rest = whole;
    while let Some((before, after)) = rest.split_once('=') {
        let key = before.rsplit(|c: char| c.is_whitespace()).find(|word| !word.is_empty());
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, left) = match quote {
            Some(quote) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
            None => {
                let end = after.find(|c: char| c.is_whitespace() || c == '>');
                after.split_at(end.unwrap_or(after.len()))
            }
        };
        rest = left;
        match key.map(str::to_ascii_lowercase).as_deref() {
            Some("color") => made.colour = colour(value.trim()),
            Some("face") if !value.trim().is_empty() => made.face = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    made
}

/// `#rgb`, `#rrggbb` (`#` may be missing), or one of HTML's sixteen names.
fn colour(text: &str) -> Option<[u8; 3]> {
    let named = [
        ("black", [0; 3]),
        ("silver", [192; 3]),
        ("gray", [128; 3]),
        ("grey", [128; 3]),
        ("white", [255; 3]),
        ("maroon", [128, 0, 0]),
        ("red", [255, 0, 0]),
        ("purple", [128, 0, 128]),
        ("fuchsia", [255, 0, 255]),
        ("magenta", [255, 0, 255]),
        ("green", [0, 128, 0]),
        ("lime", [0, 255, 0]),
        ("olive", [128, 128, 0]),
        ("yellow", [255, 255, 0]),
        ("navy", [0, 0, 128]),
        ("blue", [0, 0, 255]),
        ("teal", [0, 128, 128]),
        ("aqua", [0, 255, 255]),
        ("cyan", [0, 255, 255]),
        ("orange", [255, 165, 0]),
    ];
    if let Some((_, rgb)) = named.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        return Some(*rgb);
    }
    let digits = text.trim_start_matches('#');
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let value = u32::from_str_radix(digits, 16).ok()?;
    match digits.len() {
        3 => Some([8, 4, 0].map(|by| ((value >> by & 15) * 17) as u8)),
        // Some put a transparency in front.
        6 | 8 => Some([16, 8, 0].map(|by| (value >> by) as u8)),
        _ => None,
    }
}

fn flush(text: &mut String, stack: &mut [(Tag, Vec<Node>)]) {
    if !text.is_empty()
        && let Some((_, nodes)) = stack.last_mut()
    {
        nodes.push(Node::Text(std::mem::take(text)));
    }
}

fn close(stack: &mut Vec<(Tag, Vec<Node>)>) {
    if let Some((tag, children)) = stack.pop()
        && let Some((_, nodes)) = stack.last_mut()
    {
        nodes.push(Node::Element(Element { tag, classes: Vec::new(), children }));
    }
}

/// Whether this is a timing line that can be read.
pub(super) fn is_timing(line: &str) -> bool {
    matches!(timing(line), Some(Some(_)))
}

#[cfg(test)]
mod tests {
    use super::super::read::read_with;
    use super::super::{CaptionLimits, Captions, SubtitleFormat};
    use super::*;

    fn read(text: &str) -> Captions {
        read_with(text.as_bytes(), Some(SubtitleFormat::Srt), &CaptionLimits::default()).unwrap()
    }

    fn rows(text: &str) -> Vec<(i64, i64, String)> {
        let row = |c: &Caption| (c.start.as_millis(), c.end.as_millis(), c.text());
        read(text).cues.iter().map(row).collect()
    }

    #[test]
    fn lenient_like_players() {
        // No numbers, dots, short fields, blank lines in the text, coordinates, old Mac ends.
        let text = "0:00:01.5 --> 0:00:02.25 X1:1 X2:2\none\n\nstill one\n\n\
                    00:03 --> 00:00:04,1234\r\ntwo\r\n\r\n7\r00:00:05,000-->00:00:06,000\r42\r\r";
        assert_eq!(
            rows(text),
            [
                (1500, 2250, "one\n\nstill one".into()),
                (3000, 4123, "two".into()),
                (5000, 6000, "42".into()),
            ]
        );
        assert_eq!(read(text).cues[2].id, "7");
    }

    #[test]
    fn damaged_captions_are_skipped_and_counted() {
        let text = "1\n00:00:00,500 --> 00:00:07,000\nA\n\n2\n00:00:07,000 --> 00:00:11:890\nB\n\n\
                    3\n00:00:11,890 --> 00:00:16,320\nC\n\n4\nno time\n\n5\n\
                    00:00:17,000 --> 00:00:18,000\nD\n";
        let captions = read(text);
        let said: Vec<String> = captions.cues.iter().map(Caption::text).collect();
        assert_eq!(said, ["A", "C", "D"]);
        assert_eq!(captions.skipped, 2);
    }

    #[test]
    fn tags() {
        let italic =
            |children| Node::Element(Element { tag: Tag::Italic, classes: Vec::new(), children });
        let text = |t: &str| Node::Text(t.into());
        let font = |rgb, child| {
            Node::Element(Element {
                tag: Tag::Font(Font { colour: Some(rgb), face: None }),
                classes: Vec::new(),
                children: vec![child],
            })
        };
        assert_eq!(
            nodes("{\\an8}a <I>b</I> <font color=\"#fff\">c</font> 2 &lt; 3 < 4 <x> {y}"),
            [
                text("a "),
                italic(vec![text("b")]),
                text(" "),
                font([255; 3], text("c")),
                text(" 2 < 3 < 4 <x> {y}")
            ]
        );
        assert_eq!(
            nodes("<font size=2 color=Red>a<s>b</font>c"),
            [
                Node::Element(Element {
                    tag: Tag::Font(Font { colour: Some([255, 0, 0]), face: None }),
                    classes: Vec::new(),
                    children: vec![
                        text("a"),
                        Node::Element(Element {
                            tag: Tag::Strike,
                            classes: Vec::new(),
                            children: vec![text("b")]
                        })
                    ]
                }),
                text("c")
            ]
        );
        assert_eq!(nodes("<i>open"), [italic(vec![text("open")])]);
        assert_eq!(nodes("</i>a"), [text("a")]);
        // Nesting is bounded, so that nothing that walks the tree runs out of stack.
        assert_eq!(nodes(&"<b>".repeat(100_000)).len(), 1);
        let _ = nodes(&"{\\".repeat(1_000_000));
        let _ = nodes(&"<i".repeat(1_000_000));
    }

    #[test]
    fn places() {
        let at = |text: &str| {
            let settings = settings(text);
            (settings.line, settings.line_align, settings.align)
        };
        assert_eq!(at("a"), (None, LineAlign::Start, Align::Center));
        assert_eq!(
            at("{\\an7}a"),
            (Some(LinePosition::Number(0.0)), LineAlign::Start, Align::Left)
        );
        assert_eq!(
            at("<i>{\\an6\\i1}a{\\an8}"),
            (Some(LinePosition::Percent(50.0)), LineAlign::Center, Align::Right)
        );
        assert_eq!(at("{\\an12}a"), at("a"));
    }

    #[test]
    fn what_looks_like_markup_is_kept_as_text() {
        for text in [
            "<i>x</i>",
            "{\\an8}x",
            "a --> b",
            "00:00:01,000 --> 00:00:02,000",
            "&lt; & AT&T &lt",
            "<\u{2060}i>",
            "--\u{2060}>",
            "a ---> b",
            "{\u{2060}\\",
            "a\\N \\\u{2060}",
        ] {
            let mut out = String::new();
            escape(text, &mut out);
            assert!(!is_timing(&out), "{out:?}");
            assert_eq!(nodes(&out), [Node::Text(text.into())], "{out:?}");
        }
    }
}
