//! The override tags of ASS: `{\b1\pos(10,20)}` between pieces of text.

use super::drawing::{self, Drawing};
use crate::render::text::Rgba;
use std::sync::Arc;

/// A part of an event's text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// Text; `\n` breaks the line.
    Text(String),
    /// A drawing.
    Drawing(Arc<Drawing>),
    /// What follows is different.
    Set(Override),
}

/// One of two directions, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    X,
    Y,
    Both,
}

/// What makes a karaoke syllable light up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Karaoke {
    /// At once.
    Whole,
    /// From left to right.
    Sweep,
    /// At once, its border with it.
    Border,
}

/// A cut: what is inside is shown, or what is outside.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Rect([f64; 4]),
    Drawing(Arc<Drawing>),
}

/// One tag. `None` takes the style's own value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Override {
    Weight(Option<u16>),
    Italic(Option<bool>),
    Underline(Option<bool>),
    Strike(Option<bool>),
    Border(Axis, Option<f64>),
    Shadow(Axis, Option<f64>),
    Blur(f64),
    EdgeBlur(f64),
    Family(Option<String>),
    Size(Option<f64>),
    /// Tenths more or less (`\fs+1`).
    SizeBy(f64),
    /// In per cent.
    Scale(Axis, Option<f64>),
    Spacing(Option<f64>),
    /// About x (0), y (1) or z (2).
    Angle(usize, Option<f64>),
    Shear(Axis, f64),
    Colour(usize, Option<[u8; 3]>),
    /// Of one colour, or of all four.
    Opacity(Option<usize>, Option<u8>),
    Align(u8),
    AlignSsa(u8),
    /// Hundredths of a second.
    Karaoke(Karaoke, f64),
    /// Hundredths of a second from the event's start, where the next syllable begins.
    KaraokeFrom(f64),
    Wrap(i64),
    Reset(Option<String>),
    Position(f64, f64),
    /// From, to, and from when to when (milliseconds; 0, 0 for all of the event).
    Move([f64; 4], [f64; 2]),
    Origin(f64, f64),
    /// Three opacities and four times: what `\fad` says is put into these terms when it is shown.
    Fade([u8; 3], [f64; 4]),
    /// Milliseconds in and out.
    FadeInOut(f64, f64),
    Clip {
        shape: Shape,
        inverse: bool,
    },
    DrawingOffset(f64),
    /// A box of this colour behind the letters instead of a border (WebVTT's `bg_…` classes).
    Backing(Rgba),
    /// From when to when (milliseconds; 0, 0 for all of the event), and the exponent of time.
    Animate {
        times: [f64; 2],
        power: f64,
        tags: Vec<Override>,
    },
}

/// Tags nested deeper than this in `\t` are left out.
const MAX_DEPTH: usize = 4;
/// Longer lists of arguments are no tag's.
const MAX_ARGUMENTS: usize = 8;

/// Cuts an event's text into pieces.
pub(super) struct Parser {
    pieces: Vec<Piece>,
    text: String,
    /// The power of the drawing that the text is, or 0.
    drawing: u32,
    /// Whether `\n` breaks lines.
    soft_breaks: bool,
    /// Whether there was a drawing with too many points.
    pub overdrawn: bool,
}

impl Parser {
    /// The pieces of `source`, and whether a drawing in it had too many points and was left out.
    pub fn parse(source: &str, soft_breaks: bool) -> (Vec<Piece>, bool) {
        let mut own = Self {
            pieces: Vec::new(),
            text: String::new(),
            drawing: 0,
            soft_breaks,
            overdrawn: false,
        };
        own.all(source);
        (own.pieces, own.overdrawn)
    }

    fn all(&mut self, source: &str) {
        let mut rest = source;
        let mut braces = true;
        while let Some(c) = rest.chars().next() {
            if c == '{' && braces {
                // Without its end it is no block, here and in all that follows.
                let Some(end) = rest.find('}') else {
                    braces = false;
                    continue;
                };
                self.block(&rest[1..end]);
                rest = &rest[end + 1..];
                continue;
            }
            let mut length = c.len_utf8();
            let mut shown = c;
            if c == '\\' {
                let next = rest[1..].chars().next();
                shown = match next {
                    Some('N') => '\n',
                    Some('n') if self.soft_breaks => '\n',
                    Some('n') => ' ',
                    Some('h') => '\u{a0}',
                    Some('{') => '{',
                    Some('}') => '}',
                    _ => '\\',
                };
                if shown != '\\' || next == Some('\u{2060}') {
                    length += next.map_or(0, char::len_utf8);
                }
            }
            self.text.push(shown);
            rest = &rest[length..];
        }
        self.flush();
    }

    fn flush(&mut self) {
        if self.text.is_empty() {
            return;
        }
        let text = std::mem::take(&mut self.text);
        if self.drawing == 0 {
            self.pieces.push(Piece::Text(text));
        } else {
            match drawing::parse(&text, self.drawing) {
                Some(made) => self.pieces.push(Piece::Drawing(Arc::new(made))),
                None => self.overdrawn = true,
            }
        }
    }

    fn block(&mut self, inside: &str) {
        let mut made = Vec::new();
        let mut drawing = self.drawing;
        overrides(inside, 0, &mut made, &mut drawing);
        if !made.is_empty() || drawing != self.drawing {
            self.flush();
        }
        self.drawing = drawing;
        self.pieces.extend(made.into_iter().map(Piece::Set));
    }
}

/// Reads the tags of a block, or of a `\t`.
fn overrides(inside: &str, depth: usize, made: &mut Vec<Override>, drawing: &mut u32) {
    let mut rest = inside;
    while let Some(at) = rest.find('\\') {
        rest = rest[at + 1..].trim_start();
        let end = rest.find(['\\', '(']).unwrap_or(rest.len());
        let name = &rest[..end];
        rest = &rest[end..];
        let mut arguments: Vec<&str> = Vec::new();
        if rest.starts_with('(') {
            let (list, after) = parenthesised(rest);
            arguments = list;
            rest = after;
        }
        tag(name.trim(), &arguments, depth, made, drawing);
    }
}

/// What stands in the parentheses that `rest` begins with, at its commas, and what follows them. Tags
/// inside are one argument, the last.
fn parenthesised(rest: &str) -> (Vec<&str>, &str) {
    let mut arguments = Vec::new();
    let (mut depth, mut from, mut tags) = (0usize, 1, false);
    for (at, c) in rest.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => {
                depth -= 1;
                if depth == 0 {
                    arguments.push(rest[from..at].trim());
                    return (arguments, &rest[at + 1..]);
                }
            }
            '\\' => tags = true,
            ',' if depth == 1 && !tags && arguments.len() < MAX_ARGUMENTS => {
                arguments.push(rest[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    arguments.push(rest[from..].trim());
    (arguments, "")
}

/// A number at the start of `text`, as C's `strtod` takes it, within what a picture can need.
fn number(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let end = text
        .char_indices()
        .find(|(i, c)| !(c.is_ascii_digit() || *c == '.' || (*i == 0 && matches!(c, '-' | '+'))))
        .map_or(text.len(), |(i, _)| i);
    text[..end].parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| n.clamp(-1e7, 1e7))
}

/// `&HBBGGRR&` or `&HAA&`: whatever digits are there.
pub(super) fn hexadecimal(text: &str) -> Option<u32> {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '&' | 'H' | 'h'));
    let end = text.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(text.len());
    let digits = text[..end].trim_start_matches('0');
    if end == 0 {
        return None;
    }
    u32::from_str_radix(&digits[digits.len().saturating_sub(8)..], 16).ok().or(Some(0))
}

fn colour(text: &str) -> Option<[u8; 3]> {
    let [_, b, g, r] = hexadecimal(text)?.to_be_bytes();
    Some([r, g, b])
}

/// ASS counts transparency.
fn opacity(text: &str) -> Option<u8> {
    Some(255 - hexadecimal(text)?.min(255) as u8)
}

fn flag(text: &str) -> Option<bool> {
    match number(text) {
        Some(0.0) => Some(false),
        Some(1.0) => Some(true),
        _ => None,
    }
}

fn tag(name: &str, arguments: &[&str], depth: usize, made: &mut Vec<Override>, drawing: &mut u32) {
    use Override as O;
    let numbers: Vec<Option<f64>> = arguments.iter().map(|a| number(a)).collect();
    // Times are whole milliseconds, and a missing number is 0, as C reads them.
    let at = |i: usize| numbers.get(i).copied().flatten().unwrap_or(0.0);
    match (name, arguments.len()) {
        ("pos", 2) => made.push(O::Position(at(0), at(1))),
        ("move", 4) => made.push(O::Move([at(0), at(1), at(2), at(3)], [0.0; 2])),
        ("move", 6) => {
            let (from, to) = (at(4).min(at(5)), at(4).max(at(5)));
            made.push(O::Move([at(0), at(1), at(2), at(3)], [from, to]));
        }
        ("org", 2) => made.push(O::Origin(at(0), at(1))),
        ("fad" | "fade", 2) => made.push(O::FadeInOut(at(0), at(1))),
        ("fad" | "fade", 7) => {
            let opacity = |i| 255 - at(i).clamp(0.0, 255.0) as u8;
            made.push(O::Fade([opacity(0), opacity(1), opacity(2)], [at(3), at(4), at(5), at(6)]));
        }
        ("clip" | "iclip", count) if count > 0 => {
            let inverse = name == "iclip";
            let shape = match count {
                4 => Some(Shape::Rect([at(0), at(1), at(2), at(3)])),
                1 => drawing::parse(arguments[0], 1).map(|d| Shape::Drawing(Arc::new(d))),
                2 => {
                    let power = at(0).clamp(1.0, 30.0) as u32;
                    drawing::parse(arguments[1], power).map(|d| Shape::Drawing(Arc::new(d)))
                }
                _ => None,
            };
            made.extend(shape.map(|shape| O::Clip { shape, inverse }));
        }
        ("t", 1..=4) if depth < MAX_DEPTH => {
            let count = arguments.len();
            let (times, power) = match count {
                1 => ([0.0; 2], 1.0),
                2 => ([0.0; 2], at(0)),
                3 => ([at(0), at(1)], 1.0),
                _ => ([at(0), at(1)], at(2)),
            };
            let mut tags = Vec::new();
            overrides(arguments[count - 1], depth + 1, &mut tags, &mut 0);
            made.push(O::Animate { times, power: power.max(0.0), tags });
        }
        _ => simple(name, arguments, made, drawing),
    }
}

/// Tags with one value, which some write in parentheses.
fn simple(name: &str, arguments: &[&str], made: &mut Vec<Override>, drawing: &mut u32) {
    use Override as O;
    let value = |tag: &str| {
        let rest = name.strip_prefix(tag)?;
        Some(if rest.is_empty() { arguments.first().copied().unwrap_or("") } else { rest })
    };
    let index = |digit: u8| usize::from(digit - b'1');
    let first = name.as_bytes();
    // Longer names first: `\bord` is not `\b`.
    let found = None
        .or_else(|| value("xbord").map(|v| O::Border(Axis::X, number(v))))
        .or_else(|| value("ybord").map(|v| O::Border(Axis::Y, number(v))))
        .or_else(|| value("bord").map(|v| O::Border(Axis::Both, number(v))))
        .or_else(|| value("xshad").map(|v| O::Shadow(Axis::X, number(v))))
        .or_else(|| value("yshad").map(|v| O::Shadow(Axis::Y, number(v))))
        .or_else(|| value("shad").map(|v| O::Shadow(Axis::Both, number(v))))
        .or_else(|| value("blur").map(|v| O::Blur(number(v).unwrap_or(0.0).max(0.0))))
        .or_else(|| value("be").map(|v| O::EdgeBlur(number(v).unwrap_or(0.0).max(0.0))))
        .or_else(|| value("fax").map(|v| O::Shear(Axis::X, number(v).unwrap_or(0.0))))
        .or_else(|| value("fay").map(|v| O::Shear(Axis::Y, number(v).unwrap_or(0.0))))
        .or_else(|| value("fscx").map(|v| O::Scale(Axis::X, number(v))))
        .or_else(|| value("fscy").map(|v| O::Scale(Axis::Y, number(v))))
        .or_else(|| value("fsc").map(|_| O::Scale(Axis::Both, None)))
        .or_else(|| value("fsp").map(|v| O::Spacing(number(v))))
        .or_else(|| {
            let v = value("fs")?;
            Some(match number(v) {
                Some(n) if v.starts_with(['+', '-']) => O::SizeBy(n),
                n => O::Size(n.filter(|n| *n > 0.0)),
            })
        })
        .or_else(|| value("frx").map(|v| O::Angle(0, number(v))))
        .or_else(|| value("fry").map(|v| O::Angle(1, number(v))))
        .or_else(|| value("frz").map(|v| O::Angle(2, number(v))))
        .or_else(|| value("fr").map(|v| O::Angle(2, number(v))))
        .or_else(|| {
            let family = value("fn")?.trim();
            let named = !family.is_empty() && family != "0";
            Some(O::Family(named.then(|| family.trim_start_matches('@').to_owned())))
        })
        .or_else(|| value("alpha").map(|v| O::Opacity(None, opacity(v))))
        .or_else(|| {
            let n = number(value("an")?)?;
            Some(O::Align(n.clamp(0.0, 255.0) as u8))
        })
        .or_else(|| match first {
            [n @ b'1'..=b'4', b'c', ..] => {
                Some(O::Colour(index(*n), colour(value(&name[..2]).unwrap_or(""))))
            }
            [n @ b'1'..=b'4', b'a', ..] => {
                Some(O::Opacity(Some(index(*n)), opacity(value(&name[..2]).unwrap_or(""))))
            }
            _ => None,
        })
        .or_else(|| value("c").map(|v| O::Colour(0, colour(v))))
        .or_else(|| {
            let n = number(value("a")?)?;
            Some(O::AlignSsa(n.clamp(0.0, 255.0) as u8))
        })
        .or_else(|| {
            let v = value("b")?;
            Some(O::Weight(match number(v) {
                Some(0.0) => Some(400),
                Some(1.0) => Some(700),
                Some(n) if (100.0..=900.0).contains(&n) => Some(n as u16),
                _ => None,
            }))
        })
        .or_else(|| value("i").map(|v| O::Italic(flag(v))))
        .or_else(|| value("kt").map(|v| O::KaraokeFrom(number(v).unwrap_or(0.0).max(0.0))))
        .or_else(|| value("kf").map(|v| karaoke(Karaoke::Sweep, v)))
        .or_else(|| value("K").map(|v| karaoke(Karaoke::Sweep, v)))
        .or_else(|| value("ko").map(|v| karaoke(Karaoke::Border, v)))
        .or_else(|| value("k").map(|v| karaoke(Karaoke::Whole, v)))
        .or_else(|| value("pbo").map(|v| O::DrawingOffset(number(v).unwrap_or(0.0))))
        .or_else(|| {
            *drawing = number(value("p")?).unwrap_or(0.0).clamp(0.0, 30.0) as u32;
            None
        })
        .or_else(|| value("q").map(|v| O::Wrap(number(v).unwrap_or(-1.0) as i64)))
        .or_else(|| {
            let style = value("r")?;
            Some(O::Reset((!style.is_empty()).then(|| style.to_owned())))
        })
        .or_else(|| value("s").map(|v| O::Strike(flag(v))))
        .or_else(|| value("u").map(|v| O::Underline(flag(v))));
    made.extend(found);
}

fn karaoke(kind: Karaoke, value: &str) -> Override {
    Override::Karaoke(kind, number(value).unwrap_or(100.0).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Override as O;
    use proptest::prelude::*;

    fn set(source: &str) -> Vec<Override> {
        let pieces = Parser::parse(source, false).0.into_iter();
        pieces
            .filter_map(|piece| match piece {
                Piece::Set(tag) => Some(tag),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn simple_tags() {
        assert_eq!(
            set("{\\b1\\i1\\u0\\s1\\b700\\b\\bord2.5\\xbord1\\shad3\\blur2\\be1}"),
            [
                O::Weight(Some(700)),
                O::Italic(Some(true)),
                O::Underline(Some(false)),
                O::Strike(Some(true)),
                O::Weight(Some(700)),
                O::Weight(None),
                O::Border(Axis::Both, Some(2.5)),
                O::Border(Axis::X, Some(1.0)),
                O::Shadow(Axis::Both, Some(3.0)),
                O::Blur(2.0),
                O::EdgeBlur(1.0),
            ]
        );
        assert_eq!(
            set("{\\c&H0000FF&\\1a&H80&\\3c&HFF0000&\\alpha&HFF&\\c\\4a}"),
            [
                O::Colour(0, Some([255, 0, 0])),
                O::Opacity(Some(0), Some(127)),
                O::Colour(2, Some([0, 0, 255])),
                O::Opacity(None, Some(0)),
                O::Colour(0, None),
                O::Opacity(Some(3), None),
            ]
        );
        assert_eq!(
            set(
                "{\\fnNoto Sans\\fs20\\fs+2\\fscx50\\fsp-1\\frz45\\fr(30)\\fax0.5\\an8\\a6\\q2\\r\\rAlt}"
            ),
            [
                O::Family(Some("Noto Sans".into())),
                O::Size(Some(20.0)),
                O::SizeBy(2.0),
                O::Scale(Axis::X, Some(50.0)),
                O::Spacing(Some(-1.0)),
                O::Angle(2, Some(45.0)),
                O::Angle(2, Some(30.0)),
                O::Shear(Axis::X, 0.5),
                O::Align(8),
                O::AlignSsa(6),
                O::Wrap(2),
                O::Reset(None),
                O::Reset(Some("Alt".into())),
            ]
        );
        assert_eq!(
            set("{\\k20}a{\\kf30}b{\\K5}c{\\ko7}d"),
            [
                O::Karaoke(Karaoke::Whole, 20.0),
                O::Karaoke(Karaoke::Sweep, 30.0),
                O::Karaoke(Karaoke::Sweep, 5.0),
                O::Karaoke(Karaoke::Border, 7.0),
            ]
        );
    }

    #[test]
    fn tags_with_lists() {
        assert_eq!(
            set(
                "{\\pos( 10 , -2.5)\\move(1,2,3,4)\\move(1,2,3,4,500,100)\\org(7,8)\\fad(100,200)}"
            ),
            [
                O::Position(10.0, -2.5),
                O::Move([1.0, 2.0, 3.0, 4.0], [0.0, 0.0]),
                O::Move([1.0, 2.0, 3.0, 4.0], [100.0, 500.0]),
                O::Origin(7.0, 8.0),
                O::FadeInOut(100.0, 200.0),
            ]
        );
        assert_eq!(
            set("{\\t(0,500,2,\\fs40\\clip(1,2,3,4))\\t(\\frz+180)\\iclip(1,2,3,4)\\b1}"),
            [
                O::Animate {
                    times: [0.0, 500.0],
                    power: 2.0,
                    tags: vec![
                        O::Size(Some(40.0)),
                        O::Clip { shape: Shape::Rect([1.0, 2.0, 3.0, 4.0]), inverse: false },
                    ],
                },
                O::Animate { times: [0.0; 2], power: 1.0, tags: vec![O::Angle(2, Some(180.0))] },
                O::Clip { shape: Shape::Rect([1.0, 2.0, 3.0, 4.0]), inverse: true },
                O::Weight(Some(700)),
            ]
        );
    }

    #[test]
    fn text_drawings_and_notes() {
        let (pieces, over) =
            Parser::parse("a{note}\\Nb\\hc{\\p1}m 0 0 l 1 0 1 1{\\p0}\\{d\\}", false);
        assert!(!over);
        let [Piece::Text(before), Piece::Drawing(drawing), Piece::Text(after)] = &pieces[..] else {
            panic!("{pieces:?}")
        };
        assert_eq!((before.as_str(), after.as_str()), ("a\nb\u{a0}c", "{d}"));
        assert_eq!(drawing.bounds, [0.0, 0.0, 1.0, 1.0]);
        let (pieces, _) = Parser::parse("a\\nb{", true);
        assert_eq!(pieces, [Piece::Text("a\nb{".into())]);
        let (_, over) =
            Parser::parse(&format!("{{\\p1}}{}", "m 0 0 l 1 1 ".repeat(500_000)), false);
        assert!(over);
    }

    proptest! {
        #[test]
        fn nothing_panics(source in "[{}\\\\()&Hbcikfprtsadomvgnalper0-9,.\\- é]{0,200}", soft: bool) {
            Parser::parse(&source, soft);
        }

        /// Text outside of tag blocks is all kept.
        #[test]
        fn text_is_kept(text in "[a-z ]{1,40}", tag in "[a-z0-9]{0,8}") {
            prop_assume!(!tag.starts_with('p'));
            let (pieces, _) = Parser::parse(&format!("{{\\{tag}}}{text}"), false);
            let all: String = pieces.iter().map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                _ => "",
            }).collect();
            prop_assert_eq!(all, text);
        }
    }
}
