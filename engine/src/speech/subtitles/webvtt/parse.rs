//! The file: signature, header, blocks.

use super::{Cursor, is_space, settings, tree};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::speech::subtitles::captions::Caption;
use crate::speech::subtitles::read::{Budget, Parsed};

/// The WebVTT parser algorithm. Beyond the standard, comments and header lines are kept, blocks
/// whose times cannot be read are counted, and the depth of cue text is bounded.
pub(in crate::speech::subtitles) fn parse(text: &str, budget: &mut Budget) -> Result<Parsed> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}");
    let rest = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let rest =
        rest.strip_prefix("WEBVTT").filter(|r| r.is_empty() || r.starts_with([' ', '\t', '\n']));
    let Some(rest) = rest else {
        return Err(Error::new(
            ErrorKind::Input,
            Stage::Subtitles,
            "not WebVTT: it does not start with the line WEBVTT",
        ));
    };
    let mut parsed = Parsed::default();
    let Some((_, rest)) = rest.split_once('\n') else { return Ok(parsed) };
    let mut parser = Parser { rest, seen_cue: false };
    match parser.rest.strip_prefix('\n') {
        Some(rest) => parser.rest = rest,
        None => {
            let header = parser.block(true, &mut parsed, budget)?;
            keep_header(&header, &mut parsed);
        }
    }
    parser.rest = parser.rest.trim_start_matches('\n');
    while !parser.rest.is_empty() {
        let note = parser.block(false, &mut parsed, budget)?;
        if let Some(note) = note.strip_prefix("NOTE")
            && (note.is_empty() || note.starts_with([' ', '\t', '\n']))
        {
            budget.cue()?;
            let note = note.trim();
            if let Some(code) = note.strip_prefix("Language:") {
                parsed.language.get_or_insert_with(|| code.trim().to_owned());
            }
            parsed.notes.push(note.to_owned());
        }
        parser.rest = parser.rest.trim_start_matches('\n');
    }
    Ok(parsed)
}

fn keep_header(header: &str, parsed: &mut Parsed) {
    for (key, value) in header.lines().filter_map(|line| line.split_once(':')) {
        let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
        if key.eq_ignore_ascii_case("language") {
            parsed.language.get_or_insert_with(|| value.clone());
        }
        parsed.info.push((key, value));
    }
}

struct Parser<'a> {
    rest: &'a str,
    seen_cue: bool,
}

enum Block {
    Other,
    Cue(Box<Caption>),
    Stylesheet,
    Region,
}

impl Parser<'_> {
    /// "Collect a WebVTT block". What it makes goes into `parsed`; the text of a block that is
    /// none of cue, style sheet and region is given back.
    fn block(
        &mut self,
        in_header: bool,
        parsed: &mut Parsed,
        budget: &mut Budget,
    ) -> Result<String> {
        let mut buffer = String::new();
        let mut block = Block::Other;
        let mut seen_arrow = false;
        for line_count in 1_u64.. {
            if self.rest.is_empty() {
                break;
            }
            let (line, after) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            if line.contains("-->") {
                if in_header || !(line_count == 1 || (line_count == 2 && !seen_arrow)) {
                    break;
                }
                seen_arrow = true;
                match cue(line, std::mem::take(&mut buffer), parsed) {
                    Ok(made) => {
                        budget.cue()?;
                        block = Block::Cue(Box::new(made));
                        self.seen_cue = true;
                    }
                    Err(id) => {
                        parsed.skipped += 1;
                        buffer = id;
                    }
                }
                self.rest = after;
                continue;
            }
            self.rest = after;
            if line.is_empty() {
                break;
            }
            if !in_header && line_count == 2 && !self.seen_cue && matches!(block, Block::Other) {
                if is_only(&buffer, "STYLE") {
                    block = Block::Stylesheet;
                    buffer.clear();
                } else if is_only(&buffer, "REGION") {
                    block = Block::Region;
                    buffer.clear();
                }
            }
            if !buffer.is_empty() {
                buffer.push('\n');
            }
            buffer.push_str(line);
        }
        match block {
            Block::Other => return Ok(buffer),
            Block::Cue(mut cue) => {
                cue.nodes = tree::nodes(&buffer);
                cue.source = buffer;
                parsed.cues.push(*cue);
            }
            Block::Stylesheet => {
                budget.cue()?;
                parsed.stylesheets.push(buffer);
            }
            Block::Region => {
                budget.cue()?;
                parsed.regions.push(settings::region(&buffer));
            }
        }
        Ok(String::new())
    }
}

fn is_only(buffer: &str, word: &str) -> bool {
    buffer.strip_prefix(word).is_some_and(|rest| rest.chars().all(is_space))
}

/// "Collect WebVTT cue timings and settings"; gives the identifier back where that fails.
fn cue(line: &str, id: String, parsed: &Parsed) -> Result<Caption, String> {
    let times = |mut cursor: Cursor<'_>| {
        cursor.skip_space();
        let start = cursor.timestamp()?;
        cursor.skip_space();
        cursor.take("-->")?;
        cursor.skip_space();
        let end = cursor.timestamp()?;
        Some((start, end, settings::cue(cursor.rest, &parsed.regions)))
    };
    let Some((start, end, settings)) = times(Cursor { rest: line }) else { return Err(id) };
    Ok(Caption {
        id,
        start,
        end,
        source: String::new(),
        nodes: Vec::new(),
        settings,
        style: None,
        actor: None,
        layer: 0,
        margins: [0; 3],
    })
}
