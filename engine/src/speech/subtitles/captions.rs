//! What subtitle files hold, whatever their format.

use super::SubtitleFormat;
use crate::time::Timestamp;

/// A subtitle file that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Captions {
    /// The format it was read as: SRT, WebVTT or ASS.
    pub format: SubtitleFormat,
    /// The encoding it was in, as the Encoding Standard names it.
    pub encoding: &'static str,
    /// The language that the file names, if it does.
    pub language: Option<String>,
    /// The captions in the order of the file.
    pub cues: Vec<Caption>,
    /// The regions of a WebVTT file.
    pub regions: Vec<Region>,
    /// The style sheets of a WebVTT file, unparsed.
    pub stylesheets: Vec<String>,
    /// The styles of an ASS or SSA file.
    pub styles: Vec<Style>,
    /// Comments.
    pub notes: Vec<String>,
    /// `Key: value` lines of the head: WebVTT's header, ASS's `[Script Info]`.
    pub info: Vec<(String, String)>,
    /// How many blocks or lines looked like captions and could not be read.
    pub skipped: usize,
}

/// One caption.
#[derive(Clone, Debug, PartialEq)]
pub struct Caption {
    /// Its number or name in the file; empty where it has none.
    pub id: String,
    /// When it appears.
    pub start: Timestamp,
    /// When it goes. A file may put it before `start`; such a caption is never shown.
    pub end: Timestamp,
    /// The text as it stands in the file, markup included.
    pub source: String,
    /// The text as a tree.
    pub nodes: Vec<Node>,
    /// Where it is shown, in WebVTT's terms.
    pub settings: CueSettings,
    /// The name of its style (ASS).
    pub style: Option<String>,
    /// Who says it (ASS's Name field; in WebVTT see [`Tag::Voice`]).
    pub actor: Option<String>,
    /// The layer it is drawn in (ASS).
    pub layer: i32,
    /// Its own left, right and vertical margins (ASS); 0 for its style's.
    pub margins: [i32; 3],
}

impl Caption {
    /// The text without markup; lines are separated by `\n`.
    pub fn text(&self) -> String {
        let mut out = String::new();
        collect(&self.nodes, &mut out);
        out
    }

    /// The points of time inside the text (karaoke, WebVTT timestamps), each with the text that
    /// follows it up to the next.
    pub fn timed(&self) -> Vec<(Timestamp, String)> {
        let mut out = Vec::new();
        collect_timed(&self.nodes, &mut out);
        out
    }
}

// The depth of a tree is bounded where it is built, so these may recurse.
fn collect(nodes: &[Node], out: &mut String) {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Time(_) => {}
            Node::Element(element) => collect(&element.children, out),
        }
    }
}

fn collect_timed(nodes: &[Node], out: &mut Vec<(Timestamp, String)>) {
    for node in nodes {
        match node {
            Node::Time(time) => out.push((*time, String::new())),
            Node::Text(text) => {
                if let Some((_, said)) = out.last_mut() {
                    said.push_str(text);
                }
            }
            Node::Element(element) => collect_timed(&element.children, out),
        }
    }
}

/// A piece of a caption's text.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Text.
    Text(String),
    /// From here on, the text is said (or lights up) at this time.
    Time(Timestamp),
    /// A styled piece.
    Element(Element),
}

/// A styled piece of a caption's text.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// What it is.
    pub tag: Tag,
    /// Its classes.
    pub classes: Vec<String>,
    /// What it holds.
    pub children: Vec<Node>,
}

/// What a styled piece is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tag {
    /// A span with classes only (`c`).
    Class,
    /// Italics.
    Italic,
    /// Bold.
    Bold,
    /// Underlined.
    Underline,
    /// Struck through (SRT's `s`).
    Strike,
    /// In another colour, size or family (SRT's `font`).
    Font(Font),
    /// Text with a reading aid.
    Ruby,
    /// The reading aid.
    RubyText,
    /// Said by this person.
    Voice(String),
    /// In this language.
    Lang(String),
}

/// What SRT's `<font>` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Font {
    /// R′G′B′ of 8 bit.
    pub colour: Option<[u8; 3]>,
    /// The family.
    pub face: Option<String>,
}

/// Where a WebVTT cue is shown (or what `{\an8}` in SRT says, in the same terms). Percentages are 0 to 100.
#[derive(Clone, Debug, PartialEq)]
pub struct CueSettings {
    /// The region's name, one of [`Captions::regions`].
    pub region: Option<String>,
    /// Writing direction, if not horizontal.
    pub vertical: Option<Vertical>,
    /// The line, if not automatic.
    pub line: Option<LinePosition>,
    /// Which edge of the cue is at the line.
    pub line_align: LineAlign,
    /// The position across, if not automatic.
    pub position: Option<f64>,
    /// Which edge of the cue is at the position.
    pub position_align: PositionAlign,
    /// Its size, in percent of the picture.
    pub size: f64,
    /// How the text is aligned.
    pub align: Align,
}

impl Default for CueSettings {
    fn default() -> Self {
        Self {
            region: None,
            vertical: None,
            line: None,
            line_align: LineAlign::Start,
            position: None,
            position_align: PositionAlign::Auto,
            size: 100.0,
            align: Align::Center,
        }
    }
}

/// A vertical writing direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vertical {
    /// Lines follow each other to the left.
    GrowingLeft,
    /// Lines follow each other to the right.
    GrowingRight,
}

/// The line of a cue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LinePosition {
    /// The number of the line, from the top, or if negative from the bottom.
    Number(f64),
    /// In percent of the picture.
    Percent(f64),
}

/// Which edge of a cue is at its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineAlign {
    /// The first.
    Start,
    /// The middle.
    Center,
    /// The last.
    End,
}

/// Which edge of a cue is at its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PositionAlign {
    /// As the text is aligned.
    Auto,
    /// The left (or upper).
    LineLeft,
    /// The middle.
    Center,
    /// The right (or lower).
    LineRight,
}

/// How the text of a cue is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Where lines start in the text's direction.
    Start,
    /// Centred.
    Center,
    /// Where lines end in the text's direction.
    End,
    /// On the left.
    Left,
    /// On the right.
    Right,
}

/// A part of the picture that WebVTT cues are shown in. Percentages are 0 to 100.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// Its name.
    pub id: String,
    /// Its width, in percent of the picture.
    pub width: f64,
    /// How many lines it shows. A number without bounds, as in the standard.
    pub lines: f64,
    /// The point of the region that is put at `viewport_anchor`: across, down.
    pub region_anchor: (f64, f64),
    /// The point of the picture that it is put at: across, down.
    pub viewport_anchor: (f64, f64),
    /// Whether new lines push older ones up.
    pub scroll_up: bool,
}

impl Default for Region {
    fn default() -> Self {
        Self {
            id: String::new(),
            width: 100.0,
            lines: 3.0,
            region_anchor: (0.0, 100.0),
            viewport_anchor: (0.0, 100.0),
            scroll_up: false,
        }
    }
}

/// A style of an ASS or SSA file: its name and its fields, as the file names and writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Style {
    /// Its name.
    pub name: String,
    /// The other fields in the file's order.
    pub fields: Vec<(String, String)>,
}
