//! Reading ASS v4+ and SSA v4: sections, lines with named fields, and the text of events.

use super::JOINER;
use crate::error::Result;
use crate::speech::subtitles::captions::{Caption, CueSettings, Node, Style};
use crate::speech::subtitles::read::{Budget, Parsed};
use crate::time::{TimeBase, Timestamp};

/// The fields of an event where the file does not name them.
const EVENT_FIELDS: [&str; 10] =
    ["Layer", "Start", "End", "Style", "Name", "MarginL", "MarginR", "MarginV", "Effect", "Text"];
/// A line with more fields than this is no style.
const MAX_FIELDS: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Info,
    Styles,
    Events,
    Other,
}

/// The section that a line opens. Attached files may hold lines in brackets too, but no
/// lower-case letters.
fn section(line: &str) -> Option<Section> {
    let line = line.trim().trim_start_matches('\u{feff}');
    let name = line.strip_prefix('[')?.strip_suffix(']')?;
    let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
    Some(if is("Script Info") {
        Section::Info
    } else if is("V4+ Styles") || is("V4 Styles") || is("V4 Styles+") {
        Section::Styles
    } else if is("Events") {
        Section::Events
    } else if name.bytes().any(|b| b.is_ascii_lowercase()) {
        Section::Other
    } else {
        return None;
    })
}

/// Whether a line opens a section that only ASS and SSA files have.
pub(in crate::speech::subtitles) fn is_head(line: &str) -> bool {
    section(line).is_some_and(|section| section != Section::Other)
}

/// Reads ASS or SSA. Events keep the file's order; those that cannot be read are counted.
pub(in crate::speech::subtitles) fn parse(text: &str, budget: &mut Budget) -> Result<Parsed> {
    let mut parsed = Parsed::default();
    let mut at = Section::Info;
    let mut style_fields: Vec<&str> = Vec::new();
    let mut event_fields: Vec<&str> = EVENT_FIELDS.to_vec();
    let mut wrap_style = 0;
    for line in text.split(['\n', '\r']) {
        if let Some(next) = section(line) {
            at = next;
            continue;
        }
        if let Some(note) = line.strip_prefix(';').filter(|_| at == Section::Info) {
            budget.cue()?;
            parsed.notes.push(note.trim().to_owned());
            continue;
        }
        let Some((key, value)) = line.split_once(':') else { continue };
        let (key, value) = (key.trim(), value.trim_start());
        let is = |wanted: &str| key.eq_ignore_ascii_case(wanted);
        match at {
            Section::Info => {
                budget.cue()?;
                let value = value.trim_end();
                if is("WrapStyle") {
                    wrap_style = value.parse().unwrap_or(0);
                } else if is("Language") {
                    parsed.language = Some(value.to_owned());
                }
                parsed.info.push((key.to_owned(), value.to_owned()));
            }
            Section::Styles if is("Format") => style_fields = names(value),
            Section::Styles if is("Style") => {
                budget.cue()?;
                parsed.styles.push(style(value, &style_fields));
            }
            Section::Events if is("Format") => event_fields = names(value),
            Section::Events if is("Dialogue") => {
                budget.cue()?;
                match event(value, &event_fields, wrap_style) {
                    Some(caption) => parsed.cues.push(caption),
                    None => parsed.skipped += 1,
                }
            }
            Section::Events if is("Comment") => {
                budget.cue()?;
                parsed.notes.push(value.to_owned());
            }
            _ => {}
        }
    }
    Ok(parsed)
}

fn names(value: &str) -> Vec<&str> {
    value.split(',').map(str::trim).take(MAX_FIELDS).collect()
}

fn style(value: &str, names: &[&str]) -> Style {
    let mut style = Style { name: String::new(), fields: Vec::new() };
    for (name, field) in names.iter().zip(value.split(',')) {
        if name.eq_ignore_ascii_case("Name") {
            field.trim().clone_into(&mut style.name);
        } else {
            style.fields.push(((*name).to_owned(), field.trim().to_owned()));
        }
    }
    style
}

fn event(value: &str, names: &[&str], wrap_style: u8) -> Option<Caption> {
    // The last field takes all that is left, commas included.
    let fields: Vec<&str> = value.splitn(names.len().max(1), ',').collect();
    let field = |wanted: &str| {
        let at = names.iter().position(|name| name.eq_ignore_ascii_case(wanted))?;
        fields.get(at).copied()
    };
    let start = clock(field("Start")?)?;
    let source = field("Text")?.to_owned();
    let named = |wanted| field(wanted).map(str::trim).filter(|v| !v.is_empty()).map(str::to_owned);
    Some(Caption {
        id: String::new(),
        start,
        end: clock(field("End")?)?,
        nodes: nodes(&source, start, wrap_style),
        source,
        settings: CueSettings::default(),
        style: named("Style"),
        actor: named("Name").or_else(|| named("Actor")),
        layer: field("Layer").and_then(|layer| layer.trim().parse().ok()).unwrap_or(0),
        margins: ["MarginL", "MarginR", "MarginV"]
            .map(|side| field(side).and_then(|n| n.trim().parse().ok()).unwrap_or(0)),
    })
}

/// `H:MM:SS.cc`; libass takes any number of digits before the dot, and so does this, up to nine.
fn clock(text: &str) -> Option<Timestamp> {
    let (whole, part) = text.trim().split_once(['.', ',']).unwrap_or((text.trim(), ""));
    if part.len() > 9 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut millis = 0;
    let mut weight = 100;
    for digit in part.bytes().take(3) {
        millis += i64::from(digit - b'0') * weight;
        weight /= 10;
    }
    let mut secs: i64 = 0;
    let mut fields = 0;
    for field in whole.split(':') {
        fields += 1;
        if field.is_empty() || field.len() > 9 || fields > 3 {
            return None;
        }
        let value = field.bytes().all(|b| b.is_ascii_digit()).then(|| field.parse::<i64>().ok());
        secs = secs * 60 + value.flatten()?;
    }
    (fields == 3).then(|| Timestamp::from_millis(secs * 1000 + millis))
}

/// The text without override tags; karaoke tags become points of time from `start` on.
fn nodes(source: &str, start: Timestamp, wrap_style: u8) -> Vec<Node> {
    let mut made = Made { nodes: Vec::new(), text: String::new(), drawing: false };
    let mut time = start;
    let mut rest = source;
    let mut braces = true;
    while let Some(c) = rest.chars().next() {
        if c == '{' && braces {
            // Without its end it is no tag block, here and in all that follows.
            let Some(end) = rest.find('}') else {
                braces = false;
                continue;
            };
            for tag in rest[1..end].split('\\').skip(1) {
                made.tag(tag, &mut time);
            }
            rest = &rest[end + 1..];
            continue;
        }
        let mut length = c.len_utf8();
        let mut shown = c;
        if c == '\\' {
            let next = rest[1..].chars().next();
            shown = match next {
                Some('N') => '\n',
                Some('n') if wrap_style == 2 => '\n',
                Some('n') => ' ',
                Some('h') => '\u{a0}',
                Some('{') => '{',
                Some('}') => '}',
                _ => '\\',
            };
            if shown != '\\' || next == Some(JOINER) {
                length += next.map_or(0, char::len_utf8);
            }
        }
        if !made.drawing {
            made.text.push(shown);
        }
        rest = &rest[length..];
    }
    made.flush();
    made.nodes
}

struct Made {
    nodes: Vec<Node>,
    text: String,
    /// Whether what follows are the lines of a drawing and not text.
    drawing: bool,
}

impl Made {
    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.nodes.push(Node::Text(std::mem::take(&mut self.text)));
        }
    }

    /// One override tag, without its backslash.
    fn tag(&mut self, tag: &str, time: &mut Timestamp) {
        let tag = tag.trim();
        let digits = |from: usize| tag.get(from..).filter(|d| !d.is_empty() && d.len() <= 9);
        if let Some(scale) = tag.strip_prefix('p').and_then(|p| p.trim().parse::<u32>().ok()) {
            self.drawing = scale > 0;
            return;
        }
        let centis = match tag.as_bytes() {
            [b'k', b'f' | b'o', ..] => digits(2),
            [b'k' | b'K', ..] => digits(1),
            _ => return,
        };
        let Some(centis) = centis.and_then(|d| d.trim().parse::<f64>().ok()) else { return };
        let centis = centis.clamp(0.0, 1e9).round() as i64;
        let length = Timestamp::new(centis, TimeBase::per_second(100));
        self.flush();
        self.nodes.push(Node::Time(*time));
        *time = time.plus(length);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{CaptionLimits, Captions, SubtitleFormat, read, read_with};
    use super::*;

    fn read_ass(text: &str) -> Captions {
        read_with(text.as_bytes(), Some(SubtitleFormat::Ass), &CaptionLimits::default()).unwrap()
    }

    fn shown(text: &str) -> String {
        read_ass(&format!("[Events]\nDialogue: 0,0:00:01.00,0:00:02.00,,,0,0,0,,{text}\n")).cues[0]
            .text()
    }

    #[test]
    fn ssa_with_its_own_fields() {
        let captions = read(
            b"[Script Info]\r\n; a note\r\nTitle: x\r\nScriptType: v4.00\r\n\r\n[V4 Styles]\r\n\
              Format: Name, Fontname\r\nStyle: One,Arial\r\n\r\n[Events]\r\n\
              Format: Marked, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\r\n\
              Dialogue: Marked=0,0:00:01.00,0:00:02.50,*One,Ann,0000,0000,0000,,Hi, {\\i1}you\r\n\
              Dialogue: Marked=0,0:00:0x.00,0:00:02.50,*One,Ann,0000,0000,0000,,lost\r\n\
              Comment: 0,0:00:01.00,0:00:02.50,,,0,0,0,,said aside\r\n",
        )
        .unwrap();
        assert_eq!(captions.format, SubtitleFormat::Ass);
        let cue = &captions.cues[0];
        assert_eq!((cue.start, cue.end), (Timestamp::from_secs(1), Timestamp::from_millis(2500)));
        assert_eq!(cue.text(), "Hi, you");
        assert_eq!((cue.style.as_deref(), cue.actor.as_deref()), (Some("*One"), Some("Ann")));
        assert_eq!(captions.styles[0].name, "One");
        assert_eq!(captions.styles[0].fields, [("Fontname".into(), "Arial".into())]);
        assert_eq!((captions.skipped, captions.notes.len()), (1, 2));
    }

    #[test]
    fn tags_are_taken_out_and_text_stays() {
        assert_eq!(shown("a{\\b1\\fs20}b{note}c\\Nd\\ne\\hf"), "abc\nd e\u{a0}f");
        assert_eq!(shown("{\\p1}m 0 0 l 1 1{\\p0}text{\\pos(1,2)}"), "text");
        assert_eq!(shown("open { brace"), "open { brace");
        assert_eq!(shown("\\{\\\u{2060}i1\\} \\x"), "{\\i1} \\x");
        let _ = shown(&"{\\k".repeat(100_000));
    }

    #[test]
    fn karaoke() {
        let captions = read_ass(
            "[Events]\nDialogue: 0,0:00:01.00,0:00:02.00,,,0,0,0,,{\\k20}{\\kf30}one {\\K10\\i1}two",
        );
        let times: Vec<(i64, String)> =
            captions.cues[0].timed().into_iter().map(|(t, s)| (t.as_millis(), s)).collect();
        assert_eq!(times, [(1000, "".into()), (1200, "one ".into()), (1500, "two".into())]);
    }

    #[test]
    fn attached_files_open_no_section() {
        let captions = read_ass(
            "[Script Info]\n[Fonts]\nfontname: x_0.ttf\n[ABC]\nDialogue: no\n[Events]\n\
             Dialogue: 0,0:00:01.00,0:00:02.00,,,0,0,0,,yes\n",
        );
        assert_eq!(captions.cues.len(), 1);
    }

    #[test]
    fn many_events_at_once_are_bounded() {
        let line = "Dialogue: 0,0:00:00.00,9:59:59.00,,,0,0,0,,all at once\n";
        let text = format!("[Events]\n{}", line.repeat(100_000));
        assert_eq!(read_ass(&text).cues.len(), 100_000);
        let limits = CaptionLimits { cues: 50_000, ..CaptionLimits::default() };
        let error = read_with(text.as_bytes(), None, &limits).unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::Limit);
    }
}
