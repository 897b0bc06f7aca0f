//! From words to outlines with places: bidi, shaping, fallback and wrapping by cosmic-text, outlines
//! by swash.

use super::fonts::{DEFAULT_FAMILY, FontSet};
use super::shelf::{Ideographs, advice, for_char, for_emoji, is_emoji, known};
use super::{Rgba, TextAlign, TextStyle};
use crate::error::{Error, ErrorKind, Result, Stage};
use cosmic_text::{
    Align, Attrs, Buffer, CacheKeyFlags, Family, Metrics, Shaping, Style, Weight, Wrap,
};
use icu_segmenter::options::LineBreakOptions;
use icu_segmenter::{GraphemeClusterSegmenter, LineSegmenter};
use std::borrow::Cow;
use std::collections::HashMap;
use swash::zeno::{Command, PathData, Transform};

/// No text that is drawn is longer, in bytes.
const LONGEST: usize = 10_000;

/// One glyph.
#[derive(Clone, Debug)]
pub(super) struct Glyph {
    /// Outlines, y downward, from the pen on the baseline; a colour where the font gives one.
    pub layers: Vec<(Vec<Command>, Option<Rgba>)>,
    /// The pen, from the text's upper left corner.
    pub pen: (f32, f32),
    /// The word it belongs to.
    pub word: usize,
}

/// A word's box, from the text's upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct WordBox {
    pub left: f32,
    pub right: f32,
    pub baseline: f32,
}

/// A text laid out.
#[derive(Clone, Debug)]
pub(super) struct Laid {
    pub glyphs: Vec<Glyph>,
    /// One for each word given; `None` for those without ink.
    pub words: Vec<Option<WordBox>>,
    /// Of the lines: the widest, and all.
    pub width: f32,
    pub height: f32,
}

fn refuse(what: String) -> Error {
    Error::new(ErrorKind::Input, Stage::Render, what)
}

/// Lays `words` (texts with the white space between them) out in lines of at most `width`.
pub(super) fn lay(
    fonts: &mut FontSet,
    words: &[&str],
    style: &TextStyle,
    width: f64,
) -> Result<Laid> {
    if words.iter().map(|w| w.len()).sum::<usize>() > LONGEST {
        return Err(refuse(format!("a text of more than {LONGEST} bytes cannot be drawn")));
    }
    if !(style.size >= 1.0 && style.size <= 4096.0 && style.line_height > 0.0) {
        return Err(refuse(format!("a text size of {} cannot be drawn", style.size)));
    }
    if let Some(name) = &style.family {
        fonts.fetch_named(name)?;
    }
    if let Some(name) = &style.family
        && !fonts.has_family(name)
    {
        let have = fonts.families().join(", ");
        return Err(refuse(format!("there is no font family {name:?}"))
            .hint(format!("add its file, or use one of: {have}")));
    }
    let base = style.family.as_deref().unwrap_or(DEFAULT_FAMILY);
    let breakable: Vec<Cow<'_, str>> = words.iter().map(|word| breakable(word)).collect();
    let ideographs = Ideographs::of(words);
    let runs = runs(fonts, &breakable, base, ideographs)?;
    let runs: Vec<_> = runs
        .into_iter()
        .map(|run| (run.text, run.word, run.family, fonts.nearest_weight(run.family, style.weight)))
        .collect();
    let size = style.size as f32;
    let metrics = Metrics::new(size, size * style.line_height as f32);
    let mut buffer = Buffer::new(&mut fonts.system, metrics);
    buffer.set_wrap(Wrap::WordOrGlyph);
    buffer.set_size(Some(width as f32), None);
    let attrs = Attrs::new()
        .family(Family::Name(base))
        .weight(Weight(style.weight))
        .style(if style.italic { Style::Italic } else { Style::Normal });
    let spans = runs.iter().map(|(text, word, family, weight)| {
        let attrs = attrs.clone().family(Family::Name(family)).weight(Weight(*weight));
        (*text, attrs.metadata(*word))
    });
    let align = match style.align {
        TextAlign::Left => Align::Left,
        TextAlign::Centre => Align::Center,
        TextAlign::Right => Align::Right,
    };
    buffer.set_rich_text(spans, &attrs, Shaping::Advanced, Some(align));
    buffer.shape_until_scroll(&mut fonts.system, false);

    let mut laid =
        Laid { glyphs: Vec::new(), words: vec![None; words.len()], width: 0.0, height: 0.0 };
    let mut missing: Vec<char> = Vec::new();
    let mut edges = (f32::INFINITY, f32::NEG_INFINITY);
    for run in buffer.layout_runs() {
        laid.height = laid.height.max(run.line_top + run.line_height);
        for glyph in run.glyphs {
            let text = run.text.get(glyph.start..glyph.end).unwrap_or_default();
            if glyph.glyph_id == 0 {
                missing.extend(text.chars().filter(|c| !c.is_control() && !missing_is_fine(*c)));
                continue;
            }
            let font = fonts.system.get_font(glyph.font_id, glyph.font_weight);
            let Some(font) = font else { continue };
            let mut layers =
                outlines(&mut fonts.scaler, font.as_swash(), glyph.glyph_id, glyph.font_size);
            if glyph.cache_key_flags.contains(CacheKeyFlags::FAKE_ITALIC) {
                slant(&mut layers);
            }
            edges = (edges.0.min(glyph.x), edges.1.max(glyph.x + glyph.w));
            let pen = (
                glyph.x + glyph.x_offset * glyph.font_size,
                run.line_y + glyph.y - glyph.y_offset * glyph.font_size,
            );
            if layers.is_empty() {
                continue;
            }
            let (left, right) = (glyph.x, glyph.x + glyph.w);
            if let Some(word) = laid.words.get_mut(glyph.metadata) {
                // A word that is broken over lines is as wide as its first part.
                let word = word.get_or_insert(WordBox { left, right, baseline: run.line_y });
                if word.baseline == run.line_y {
                    word.left = word.left.min(left);
                    word.right = word.right.max(right);
                }
            }
            laid.glyphs.push(Glyph { layers, pen, word: glyph.metadata });
        }
    }
    if !missing.is_empty() {
        return Err(missing_named(&mut missing, ideographs));
    }
    if edges.0 > edges.1 {
        return Ok(laid);
    }
    // The text begins at its own left edge, not at that of the room it had.
    laid.width = edges.1 - edges.0;
    for glyph in &mut laid.glyphs {
        glyph.pen.0 -= edges.0;
    }
    for word in laid.words.iter_mut().flatten() {
        word.left -= edges.0;
        word.right -= edges.0;
    }
    Ok(laid)
}

/// The fault that no font has `missing`.
pub(super) fn missing_named(missing: &mut Vec<char>, ideographs: Ideographs) -> Error {
    missing.sort_unstable();
    missing.dedup();
    let names: Vec<String> = missing
        .iter()
        .take(8)
        .map(|c| format!("{} (U+{:04X})", crate::text::plain(&c.to_string()), u32::from(*c)))
        .collect();
    refuse(format!("no font has {}", names.join(", "))).hint(advice(missing, ideographs))
}

/// A piece of a word that one family draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run<'a> {
    pub text: &'a str,
    pub word: usize,
    pub family: &'a str,
}

/// Cuts `words` where the family changes. A cluster stays with `base`, or with whatever font was given,
/// where those have it; the fonts of the shelf come in where nothing else does, so that having pulled
/// one does not change how a text looks that could be drawn before. Emoji are the exception: half of
/// them from one font and half from another would be worse.
pub(super) fn runs<'a>(
    fonts: &mut FontSet,
    words: &'a [Cow<'_, str>],
    base: &'a str,
    ideographs: Ideographs,
) -> Result<Vec<Run<'a>>> {
    let mut made: Vec<Run<'a>> = Vec::new();
    // Latin texts are most of all texts: what was found for a cluster is kept.
    let mut known: HashMap<&'a str, Option<&'a str>> = HashMap::new();
    for (word, text) in words.iter().enumerate() {
        let mut from = 0;
        let mut run: Option<(usize, &'a str)> = None;
        for end in GraphemeClusterSegmenter::new().segment_str(text).skip(1) {
            let Some(cluster) = text.get(from..end) else { continue };
            let family = match known.get(cluster) {
                Some(family) => *family,
                None => {
                    let family = family_of(fonts, cluster, base, ideographs)?;
                    known.insert(cluster, family);
                    family
                }
            };
            let (start, own) = run.unwrap_or((from, family.unwrap_or(base)));
            // What has no ink goes with what stands before it.
            let family = family.unwrap_or(own);
            if family == own {
                run = Some((start, own));
            } else {
                made.extend(text.get(start..from).map(|text| Run { text, word, family: own }));
                run = Some((from, family));
            }
            from = end;
        }
        if let Some((start, family)) = run {
            made.extend(text.get(start..).map(|text| Run { text, word, family }));
        }
    }
    Ok(made)
}

/// The family for a cluster; `None` where any will do.
fn family_of<'a>(
    fonts: &mut FontSet,
    cluster: &str,
    base: &'a str,
    ideographs: Ideographs,
) -> Result<Option<&'a str>> {
    let needed = |c: &char| !c.is_control() && !missing_is_fine(*c);
    let Some(first) = cluster.chars().find(needed) else { return Ok(None) };
    if base != DEFAULT_FAMILY && cluster.chars().filter(needed).all(|c| fonts.has(base, c)) {
        return Ok(Some(base));
    }
    let whole = |fonts: &mut FontSet, family: &str| {
        cluster.chars().filter(needed).all(|c| fonts.has(family, c))
    };
    if is_emoji(cluster)
        && let Some(family) = fonts.fetch(for_emoji())?
        && whole(fonts, family)
    {
        return Ok(Some(family));
    }
    if fonts.families().iter().any(|family| !is_taken(fonts, family) && whole(fonts, family)) {
        return Ok(Some(base));
    }
    for i in for_char(first, ideographs) {
        if let Some(family) = fonts.fetch(i)?
            && whole(fonts, family)
        {
            return Ok(Some(family));
        }
    }
    Ok(Some(base))
}

fn is_taken(fonts: &FontSet, family: &str) -> bool {
    fonts.taken.iter().filter_map(|i| known(*i)).any(|known| known.family == family)
}

/// `text` with a break (U+200B, no width) at each end of a word of the scripts that write none:
/// UAX #14 leaves Thai, Lao, Khmer and Burmese to who knows the words.
pub(super) fn breakable(text: &str) -> Cow<'_, str> {
    let complex = |c: char| matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}');
    if !text.contains(complex) {
        return Cow::Borrowed(text);
    }
    let mut made = String::with_capacity(text.len() * 2);
    let mut from = 0;
    for end in LineSegmenter::new_lstm(LineBreakOptions::default()).segment_str(text) {
        let Some(part) = text.get(from..end) else { continue };
        if from > 0 && made.ends_with(complex) && part.starts_with(complex) {
            made.push('\u{200b}');
        }
        made.push_str(part);
        from = end;
    }
    Cow::Owned(made)
}

/// Leans outlines by 14°, as faces that are made for it do.
fn slant(layers: &mut [(Vec<Command>, Option<Rgba>)]) {
    // y is downward here: what is above the baseline goes right.
    let lean = Transform::new(1.0, 0.0, -0.25, 1.0, 0.0, 0.0);
    for command in layers.iter_mut().flat_map(|(commands, _)| commands) {
        *command = command.transform(&lean);
    }
}

/// Characters that stand for no ink of their own: joiners and variation selectors.
pub(super) fn missing_is_fine(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ad}')
}

/// The outlines of a glyph: coloured layers where the font has them, else its shape.
pub(crate) fn outlines(
    context: &mut swash::scale::ScaleContext,
    font: swash::FontRef<'_>,
    glyph: u16,
    size: f32,
) -> Vec<(Vec<Command>, Option<Rgba>)> {
    let mut scaler = context.builder(font).size(size).hint(false).build();
    let flip = Transform::scale(1.0, -1.0);
    let commands = |path: &mut dyn Iterator<Item = Command>| -> Vec<Command> {
        path.map(|c| c.transform(&flip)).collect()
    };
    if let Some(outline) = scaler.scale_color_outline(glyph) {
        let palette = font.color_palettes().next();
        let layer = |i: usize| {
            let layer = outline.get(i)?;
            let colour = layer
                .color_index()
                .and_then(|index| palette.as_ref().map(|palette| palette.get(index)));
            Some((commands(&mut layer.path().commands()), colour))
        };
        return (0..outline.len()).filter_map(layer).collect();
    }
    match scaler.scale_outline(glyph) {
        Some(outline) if !outline.is_empty() && !outline.points().is_empty() => {
            vec![(commands(&mut outline.path().commands()), None)]
        }
        _ => Vec::new(),
    }
}
