//! SRT and WebVTT as a [`Script`]: the look that the edit asks for, changed by what the file marks.

use super::look::{Along, BACK, Edge, Keypad, Look, Measure, OUTLINE, PRIMARY, SECONDARY, Wrap};
use super::script::{Breaks, Event, Named, Script, Upright};
use super::tags::{Override, Piece};
use crate::render::text::block::SafeArea;
use crate::render::text::fonts::DEFAULT_FAMILY;
use crate::render::text::{Rgba, TextAlign, TextStyle};
use crate::speech::subtitles::{
    Align, Caption, Captions, CueSettings, Element, LineAlign, LinePosition, Node, PositionAlign,
    Region, Tag,
};
use std::sync::Arc;

/// WebVTT's own classes for colours.
const CLASSES: [(&str, [u8; 3]); 8] = [
    ("white", [255; 3]),
    ("lime", [0, 255, 0]),
    ("cyan", [0, 255, 255]),
    ("red", [255, 0, 0]),
    ("yellow", [255, 255, 0]),
    ("magenta", [255, 0, 255]),
    ("blue", [0, 0, 255]),
    ("black", [0; 3]),
];

/// Whether captions have marks or places that a plain text would lose.
pub(super) fn is_marked(captions: &Captions) -> bool {
    let placed = |settings: &CueSettings| *settings != CueSettings::default();
    captions.cues.iter().any(|cue| placed(&cue.settings) || any_marks(&cue.nodes))
}

fn any_marks(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| match node {
        Node::Element(Element { tag, classes, children }) => {
            let own = match tag {
                Tag::Italic | Tag::Bold | Tag::Underline | Tag::Strike => true,
                Tag::Font(font) => font.colour.is_some() || font.face.is_some(),
                _ => classes.iter().any(|class| coloured(class).is_some()),
            };
            own || any_marks(children)
        }
        Node::Text(_) | Node::Time(_) => false,
    })
}

/// A class's colour, and whether it is for what is behind the letters.
fn coloured(class: &str) -> Option<([u8; 3], bool)> {
    let (name, behind) = match class.strip_prefix("bg_") {
        Some(name) => (name, true),
        None => (class, false),
    };
    CLASSES.iter().find(|(own, _)| *own == name).map(|(_, rgb)| (*rgb, behind))
}

/// A script on a picture of `canvas` samples.
pub(super) fn script(
    captions: &Captions,
    style: &TextStyle,
    safe: SafeArea,
    canvas: (u32, u32),
) -> Script {
    let (width, height) = (f64::from(canvas.0), f64::from(canvas.1));
    let room = Room {
        left: safe.left * width,
        right: safe.right * width,
        top: safe.top * height,
        bottom: (1.0 - safe.bottom) * height,
        size: (width, height),
        line: style.size * style.line_height,
    };
    let align = match style.align {
        TextAlign::Left => Along::Start,
        TextAlign::Centre => Along::Middle,
        TextAlign::Right => Along::End,
    };
    let align = Keypad::of(align, Along::End);
    let named = Named {
        name: "Default".to_owned(),
        look: look(style),
        align,
        margins: [room.left, room.right, 0.0],
        backdrop: style.backdrop,
    };
    let events = captions.cues.iter().map(|cue| event(cue, &captions.regions, &room, align, style));
    Script {
        size: (width, height),
        layout: None,
        scaled_borders: true,
        wrap: Wrap::Even,
        breaks: Breaks::Unicode,
        kerning: true,
        events: events.collect(),
        styles: vec![named],
    }
}

fn look(style: &TextStyle) -> Look {
    let mut look = Look {
        family: Arc::from(style.family.as_deref().unwrap_or(DEFAULT_FAMILY)),
        size: style.size,
        measure: Measure::Em(style.line_height),
        weight: style.weight,
        italic: style.italic,
        border: (0.0, 0.0),
        shadow: (0.0, 0.0),
        edge: Edge::Border,
        ..Look::default()
    };
    look.colours[PRIMARY] = style.colour;
    look.colours[SECONDARY] = style.colour;
    if let Some((width, colour)) = style.outline {
        look.border = (width, width);
        look.colours[OUTLINE] = colour;
    }
    if let Some(shadow) = &style.shadow {
        look.shadow = shadow.offset;
        look.shadow_soft = shadow.blur;
        look.colours[BACK] = shadow.colour;
    }
    look
}

/// What text keeps to, in samples.
struct Room {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    size: (f64, f64),
    /// From one line to the next.
    line: f64,
}

fn event(
    cue: &Caption,
    regions: &[Region],
    room: &Room,
    align: Keypad,
    style: &TextStyle,
) -> Event {
    let settings = &cue.settings;
    let region = settings.region.as_ref();
    let region = region.and_then(|name| regions.iter().rev().find(|region| region.id == *name));
    let (margins, upright) = match region {
        Some(region) => in_region(region, room),
        None => placed(settings, room),
    };
    let is_plain = settings.align == Align::Center;
    let across = match settings.align {
        // The edit's own alignment is only changed where the file says so.
        Align::Center if is_plain && settings.position.is_none() => align.across(),
        Align::Center => Along::Middle,
        Align::Start | Align::Left => Along::Start,
        Align::End | Align::Right => Along::End,
    };
    let mut pieces = Vec::new();
    let base = Marks {
        weight: style.weight,
        italic: style.italic,
        underline: false,
        strike: false,
        colour: None,
        behind: None,
        face: None,
    };
    write(&cue.nodes, &base, &mut pieces);
    Event {
        start: cue.start,
        end: cue.end,
        layer: 0,
        style: 0,
        margins,
        upright: Some(upright),
        align: Some(Keypad::of(across, Along::End)),
        pieces,
    }
}

/// Left and right margin and the place of a cue, as WebVTT's rendering computes them, kept to the safe
/// area. Vertical cues are shown like others.
fn placed(settings: &CueSettings, room: &Room) -> ([f64; 3], Upright) {
    use PositionAlign as P;
    let position = settings.position.unwrap_or(match settings.align {
        Align::Start | Align::Left => 0.0,
        Align::End | Align::Right => 100.0,
        Align::Center => 50.0,
    });
    let side = match (settings.position_align, settings.align) {
        (P::LineLeft, _) | (P::Auto, Align::Start | Align::Left) => Along::Start,
        (P::LineRight, _) | (P::Auto, Align::End | Align::Right) => Along::End,
        (P::Center, _) | (P::Auto, Align::Center) => Along::Middle,
    };
    let most = match side {
        Along::Start => 100.0 - position,
        Along::End => position,
        Along::Middle => 2.0 * position.min(100.0 - position),
    };
    let size = settings.size.min(most);
    let left = match side {
        Along::Start => position,
        Along::Middle => position - size / 2.0,
        Along::End => position - size,
    };
    let width = room.size.0 / 100.0;
    let left_margin = (left * width).max(room.left);
    let right_margin = ((100.0 - left - size) * width).max(room.right);
    // A box without width is not worth breaking a text to pieces for.
    let margins = if left_margin + right_margin < room.size.0 * 0.95 {
        [left_margin, right_margin, 0.0]
    } else {
        [room.left, room.right, 0.0]
    };
    let (top, bottom) = (room.top, room.bottom);
    let upright = match settings.line {
        None => Upright::Within { top, bottom, share: 1.0 },
        Some(LinePosition::Number(line)) => Upright::Line { top, bottom, line },
        Some(LinePosition::Percent(percent)) => {
            let along = match settings.line_align {
                LineAlign::Start => Along::Start,
                LineAlign::Center => Along::Middle,
                LineAlign::End => Along::End,
            };
            Upright::At(along, percent / 100.0 * room.size.1)
        }
    };
    (margins, upright)
}

/// Cues of a region stand at its lower edge and push each other up.
fn in_region(region: &Region, room: &Room) -> ([f64; 3], Upright) {
    let (width, height) = room.size;
    let wide = region.width / 100.0 * width;
    let high = (region.lines * room.line).min(height);
    let left = region.viewport_anchor.0 / 100.0 * width - region.region_anchor.0 / 100.0 * wide;
    let top = region.viewport_anchor.1 / 100.0 * height - region.region_anchor.1 / 100.0 * high;
    let top = top.clamp(room.top, room.bottom);
    let bottom = (top + high).min(room.bottom);
    let margins = [left.max(room.left), (width - left - wide).max(room.right), 0.0];
    (margins, Upright::Within { top, bottom, share: 1.0 })
}

/// What is marked where one is in the tree.
#[derive(Clone)]
struct Marks {
    weight: u16,
    italic: bool,
    underline: bool,
    strike: bool,
    colour: Option<[u8; 3]>,
    behind: Option<[u8; 3]>,
    face: Option<String>,
}

// The depth of a tree is bounded where it is built, so this may recurse.
fn write(nodes: &[Node], marks: &Marks, pieces: &mut Vec<Piece>) {
    for node in nodes {
        match node {
            Node::Time(_) => {}
            Node::Text(text) => {
                marks.write(pieces);
                pieces.push(Piece::Text(text.clone()));
            }
            Node::Element(Element { tag, classes, children }) => {
                let mut own = marks.clone();
                match tag {
                    Tag::Bold => own.weight = own.weight.max(700),
                    Tag::Italic => own.italic = true,
                    Tag::Underline => own.underline = true,
                    Tag::Strike => own.strike = true,
                    Tag::Font(font) => {
                        own.colour = font.colour.or(own.colour);
                        own.face = font.face.clone().or(own.face);
                    }
                    Tag::Class | Tag::Ruby | Tag::RubyText | Tag::Voice(_) | Tag::Lang(_) => {}
                }
                for (rgb, behind) in classes.iter().filter_map(|class| coloured(class)) {
                    *(if behind { &mut own.behind } else { &mut own.colour }) = Some(rgb);
                }
                write(children, &own, pieces);
            }
        }
    }
}

impl Marks {
    /// Everything anew: what a tag ends, the outer one goes on with.
    fn write(&self, pieces: &mut Vec<Piece>) {
        let tags = [
            Override::Reset(None),
            Override::Weight(Some(self.weight)),
            Override::Italic(Some(self.italic)),
            Override::Underline(Some(self.underline)),
            Override::Strike(Some(self.strike)),
            Override::Colour(PRIMARY, self.colour),
            Override::Family(self.face.clone()),
        ];
        pieces.extend(tags.map(Piece::Set));
        if let Some([r, g, b]) = self.behind {
            let backing: Rgba = [r, g, b, 255];
            pieces.push(Piece::Set(Override::Backing(backing)));
        }
    }
}
