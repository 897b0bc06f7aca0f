//! Runs to glyphs with places: shaped by cosmic-text, broken into lines and aligned as libass does it.

use super::faces::{self, Face};
use super::look::{Along, Measure, Wrap};
use super::moment::{Content, Moment};
use super::script::{Breaks, Script};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::render::text::fonts::FontSet;
use crate::render::text::shape::{breakable, missing_is_fine, missing_named, runs};
use crate::render::text::shelf::Ideographs;
use cosmic_text::{
    Attrs, AttrsList, CacheKeyFlags, Family, FeatureTag, FontFeatures, ShapeLine, Shaping, Style,
    Weight, fontdb,
};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

/// No event that is drawn has more text, in bytes.
const LONGEST: usize = 20_000;

/// How a script's units become samples of the canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Canvas {
    pub width: f64,
    pub height: f64,
    /// Places.
    pub scale: (f64, f64),
    /// How much wider letters are than they are high.
    pub aspect: f64,
    /// Borders and shadows.
    pub border: (f64, f64),
    /// Softness, and the distance that turned text is seen from.
    pub soft: f64,
}

impl Canvas {
    pub fn new(script: &Script, (width, height): (u32, u32)) -> Self {
        let (width, height) = (f64::from(width), f64::from(height));
        let scale = (width / script.size.0, height / script.size.1);
        let aspect = script.layout.map_or(1.0, |(x, y)| width / height * y / x);
        let layout = script.layout.map_or(1.0, |(_, y)| height / y);
        Self {
            width,
            height,
            scale,
            aspect,
            border: if script.scaled_borders { scale } else { (layout, layout) },
            soft: if script.scaled_borders { scale.1 } else { layout },
        }
    }
}

/// A glyph or a drawing with its place: from the left edge of the room, and from the first baseline.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub figure: Figure,
    pub run: usize,
    pub line: usize,
    pub x: f64,
    /// Of its baseline.
    pub y: f64,
    pub advance: f64,
    pub ascent: f64,
    pub descent: f64,
}

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Figure {
    /// A glyph, with the size of its em in samples.
    Glyph {
        font: fontdb::ID,
        weight: Weight,
        glyph: u16,
        em: f64,
        slanted: bool,
        /// Whether the face is to be made bolder.
        embolden: bool,
        /// Further off the baseline than its place, in samples: right and down.
        offset: (f64, f64),
        face: Face,
    },
    /// The run's drawing.
    Drawing,
}

/// An event laid out.
#[derive(Clone, Debug, Default)]
pub(super) struct Laid {
    pub glyphs: Vec<Placed>,
    /// The left edge of each line.
    pub lefts: Vec<f64>,
    /// From the first baseline up to the text's upper edge.
    pub ascent: f64,
    pub height: f64,
    /// Height of the first line.
    pub line_height: f64,
    /// Left and right edge of all of it.
    pub span: (f64, f64),
}

/// What belongs together: a letter with its marks, a space, a drawing.
struct Cluster {
    glyphs: Vec<(Figure, f64)>,
    run: usize,
    level: u8,
    advance: f64,
    ascent: f64,
    descent: f64,
    space: bool,
    /// Whether a line may begin here.
    breaks: bool,
}

/// A family for each of a moment's runs, and faces already read.
struct Shaper<'a> {
    fonts: &'a mut FontSet,
    moment: &'a Moment,
    canvas: &'a Canvas,
    breaks: Breaks,
    kerning: bool,
    families: Vec<String>,
    faces: HashMap<(fontdb::ID, u16), Option<Face>>,
    missing: Vec<char>,
}

fn refuse(kind: ErrorKind, what: String) -> Error {
    Error::new(kind, Stage::Render, what)
}

/// Lays out `moment` in the room between its margins.
///
/// # Errors
/// [`ErrorKind::Input`] for characters that no font has, [`ErrorKind::Limit`] for too much text.
pub(super) fn lay(
    fonts: &mut FontSet,
    moment: &Moment,
    script: &Script,
    canvas: &Canvas,
) -> Result<Laid> {
    let breaks = script.breaks;
    let texts: Vec<&str> = moment.runs.iter().filter_map(text).collect();
    if texts.iter().map(|text| text.len()).sum::<usize>() > LONGEST {
        let what = format!("a caption of more than {LONGEST} bytes cannot be drawn");
        return Err(refuse(ErrorKind::Limit, what));
    }
    let ideographs = Ideographs::of(&texts);
    let mut families = Vec::with_capacity(moment.runs.len());
    for run in &moment.runs {
        families.push(faces::family(fonts, &run.look.family)?);
    }
    let mut shaper = Shaper {
        fonts,
        moment,
        canvas,
        breaks,
        kerning: script.kerning,
        families,
        faces: HashMap::new(),
        missing: Vec::new(),
    };
    let mut lines: Vec<Vec<Cluster>> = Vec::new();
    let mut heights: Vec<(f64, f64)> = Vec::new();
    let room = canvas.width - (moment.margins[0] + moment.margins[1]) * canvas.scale.0;
    for (parts, last) in hard_lines(moment) {
        let clusters = shaper.line(&parts, ideographs)?;
        if clusters.is_empty() {
            // An empty line is half as high as one with text.
            let (up, down) = shaper.cell(last)?;
            heights.push((up / 2.0, down / 2.0));
            lines.push(Vec::new());
            continue;
        }
        for line in wrapped(clusters, room, moment.wrap, breaks) {
            let most = |of: fn(&Cluster) -> f64| line.iter().map(of).fold(0.0, f64::max);
            heights.push((most(|c| c.ascent), most(|c| c.descent)));
            lines.push(line);
        }
    }
    if !shaper.missing.is_empty() {
        return Err(missing_named(&mut shaper.missing, ideographs));
    }
    Ok(placed(lines, &heights, room, moment))
}

fn text(run: &super::moment::Run) -> Option<&str> {
    match &run.content {
        Content::Text(text) => Some(text),
        Content::Drawing(_) => None,
    }
}

/// A part of a line: a run, and the piece of its text.
type Part<'a> = (usize, &'a str);

/// The lines that the text itself breaks, each with the last run before its end.
fn hard_lines(moment: &Moment) -> Vec<(Vec<Part<'_>>, usize)> {
    let mut lines = vec![(Vec::new(), 0)];
    for (i, run) in moment.runs.iter().enumerate() {
        match &run.content {
            Content::Drawing(_) => {
                if let Some((parts, last)) = lines.last_mut() {
                    parts.push((i, "x"));
                    *last = i;
                }
            }
            Content::Text(text) => {
                for (n, piece) in text.split('\n').enumerate() {
                    if n > 0 {
                        lines.push((Vec::new(), i));
                    }
                    if let Some((parts, last)) = lines.last_mut() {
                        if !piece.is_empty() {
                            parts.push((i, piece));
                        }
                        *last = i;
                    }
                }
            }
        }
    }
    lines
}

impl Shaper<'_> {
    fn face(&mut self, font: fontdb::ID, weight: Weight) -> Option<Face> {
        let fonts = &mut *self.fonts;
        *self.faces.entry((font, weight.0)).or_insert_with(|| faces::face(fonts, font, weight))
    }

    /// The size of the em and how far the cell reaches up and down, in samples.
    fn measure(&self, run: usize, face: &Face) -> (f64, f64, f64) {
        let look = &self.moment.runs[run].look;
        let size = look.size * self.canvas.scale.1;
        let (em, up, down) = match look.measure {
            Measure::Cell => {
                let em = size / (face.ascent + face.descent).max(0.01);
                (em, em * face.ascent, em * face.descent)
            }
            Measure::Em(height) => {
                let (up, down) = (size * face.line_ascent, size * face.line_descent);
                let rest = (size * height - up - down) / 2.0;
                (size, up + rest, down + rest)
            }
        };
        // Larger letters than any picture has are not drawn larger.
        let em = em.clamp(0.0, 16_384.0);
        (em, up * look.scale.1, down * look.scale.1)
    }

    /// The cell of a line without letters.
    fn cell(&mut self, run: usize) -> Result<(f64, f64)> {
        let Some(own) = self.moment.runs.get(run) else { return Ok((0.0, 0.0)) };
        let family = &self.families[run];
        let weight = self.fonts.nearest_weight(family, own.look.weight);
        let fits = |face: &&fontdb::FaceInfo| {
            face.weight.0 == weight
                && face.families.iter().any(|(name, _)| name.eq_ignore_ascii_case(family))
        };
        let id = self.fonts.system.db().faces().find(fits).map(|face| face.id);
        let face = id.and_then(|id| self.face(id, Weight(weight)));
        Ok(face.map_or((0.0, 0.0), |face| {
            let (_, up, down) = self.measure(run, &face);
            (up, down)
        }))
    }

    /// A line that the text ends itself, in logical order.
    fn line(&mut self, parts: &[Part<'_>], ideographs: Ideographs) -> Result<Vec<Cluster>> {
        // (bytes of the line, run, family, weight)
        let mut spans: Vec<(Range<usize>, usize, String, Weight)> = Vec::new();
        let mut line = String::new();
        for (run, piece) in parts {
            // What ends a paragraph for the bidi algorithm would end the shaper's.
            let piece: String = piece
                .chars()
                .map(|c| {
                    if matches!(c, '\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2029}') {
                        ' '
                    } else {
                        c
                    }
                })
                .collect();
            let piece = match self.breaks {
                Breaks::Unicode => breakable(&piece).into_owned(),
                Breaks::Spaces => piece,
            };
            let family = self.families[*run].clone();
            let wanted = self.moment.runs[*run].look.weight;
            let words = [Cow::Borrowed(piece.as_str())];
            let found = runs(self.fonts, &words, &family, ideographs)?;
            let found: Vec<_> =
                found.iter().map(|found| (found.text.len(), found.family.to_owned())).collect();
            let mut at = line.len();
            for (length, family) in found {
                let weight = Weight(self.fonts.nearest_weight(&family, wanted));
                spans.push((at..at + length, *run, family, weight));
                at += length;
            }
            line.push_str(&piece);
        }
        if line.is_empty() {
            return Ok(Vec::new());
        }
        let mut list = AttrsList::new(&Attrs::new());
        for (range, run, family, weight) in &spans {
            let look = &self.moment.runs[*run].look;
            let style = if look.italic { Style::Italic } else { Style::Normal };
            let mut features = FontFeatures::new();
            if !self.kerning {
                features.disable(FeatureTag::KERNING);
            }
            if look.spacing != 0.0 {
                features.disable(FeatureTag::STANDARD_LIGATURES);
            }
            let attrs = Attrs::new()
                .family(Family::Name(family))
                .weight(*weight)
                .style(style)
                .font_features(features)
                .metadata(*run);
            list.add_span(range.clone(), &attrs);
        }
        let shaped = ShapeLine::new(&mut self.fonts.system, &line, &list, Shaping::Advanced, 8);
        let mut clusters: Vec<(usize, Cluster)> = Vec::new();
        for span in &shaped.spans {
            for word in &span.words {
                let first = word.glyphs.iter().map(|glyph| glyph.start).min();
                let mut glyphs: Vec<_> = word.glyphs.iter().collect();
                if shaped.rtl {
                    // Such lines come in logical order; a cluster's glyphs are wanted from left to right.
                    glyphs.reverse();
                }
                for glyph in glyphs {
                    let breaks = first == Some(glyph.start);
                    self.glyph(glyph, &line, span.level.number(), breaks, &mut clusters);
                }
            }
        }
        clusters.sort_by_key(|(start, _)| *start);
        let mut before_is_space = false;
        let mut made = Vec::with_capacity(clusters.len());
        for (_, mut cluster) in clusters {
            cluster.breaks = match self.breaks {
                Breaks::Spaces => before_is_space,
                Breaks::Unicode => cluster.breaks,
            } && !cluster.space;
            before_is_space = cluster.space;
            made.push(cluster);
        }
        Ok(made)
    }

    fn glyph(
        &mut self,
        glyph: &cosmic_text::ShapeGlyph,
        line: &str,
        level: u8,
        breaks: bool,
        clusters: &mut Vec<(usize, Cluster)>,
    ) {
        let run = glyph.metadata.min(self.moment.runs.len().saturating_sub(1));
        let look = &self.moment.runs[run].look;
        if let Content::Drawing(drawing) = &self.moment.runs[run].content {
            let (x, y) = (
                look.scale.0 * drawing.scale * self.canvas.scale.0,
                look.scale.1 * drawing.scale * self.canvas.scale.1,
            );
            let [left, top, right, bottom] = drawing.bounds;
            let below = look.drawing_offset * look.scale.1 * self.canvas.scale.1;
            let cluster = Cluster {
                glyphs: vec![(Figure::Drawing, 0.0)],
                run,
                level,
                advance: (right - left) * x,
                ascent: (bottom - top) * y - below,
                descent: below,
                space: false,
                breaks,
            };
            clusters.push((glyph.start, cluster));
            return;
        }
        let text = line.get(glyph.start..glyph.end).unwrap_or_default();
        if glyph.glyph_id == 0 {
            let needed = text.chars().filter(|c| !c.is_control() && !missing_is_fine(*c));
            let before = self.missing.len();
            self.missing.extend(needed);
            // Joiners and the like have no ink.
            if before == self.missing.len() {
                return;
            }
        }
        let Some(face) = self.face(glyph.font_id, glyph.font_weight) else { return };
        let (em, ascent, descent) = self.measure(run, &face);
        let wide = look.scale.0 * self.canvas.aspect;
        let advance = f64::from(glyph.x_advance) * em * wide;
        let figure = Figure::Glyph {
            font: glyph.font_id,
            weight: glyph.font_weight,
            glyph: glyph.glyph_id,
            em,
            slanted: glyph.cache_key_flags.contains(CacheKeyFlags::FAKE_ITALIC),
            embolden: look.weight >= 600 && !face.bold,
            offset: (
                f64::from(glyph.x_offset) * em * wide,
                -f64::from(glyph.y_offset) * em * look.scale.1,
            ),
            face,
        };
        if let Some((start, cluster)) = clusters.last_mut()
            && *start == glyph.start
            && cluster.run == run
        {
            cluster.glyphs.push((figure, cluster.advance));
            cluster.advance += advance;
            return;
        }
        let spacing = look.spacing * self.canvas.scale.1 * wide;
        let cluster = Cluster {
            glyphs: vec![(figure, 0.0)],
            run,
            level,
            advance: advance + spacing,
            ascent,
            descent,
            space: text == " " || text == "\t",
            breaks,
        };
        clusters.push((glyph.start, cluster));
    }
}

/// Breaks a line where it is too long, then evens it out.
fn wrapped(line: Vec<Cluster>, room: f64, wrap: Wrap, breaks: Breaks) -> Vec<Vec<Cluster>> {
    if wrap == Wrap::Never {
        return vec![line];
    }
    // Where lines begin.
    let mut starts = vec![0usize];
    let mut place = Vec::with_capacity(line.len());
    let mut at = 0.0;
    for cluster in &line {
        place.push(at);
        at += cluster.advance;
    }
    let end = |i: usize| place[i] + line[i].advance;
    let mut chance: Option<usize> = None;
    let mut i = 0;
    while i < line.len() {
        let start = starts[starts.len() - 1];
        if line[i].breaks && i > start {
            chance = Some(i);
        }
        if end(i) - place[start] > room && !line[i].space && i > start {
            match chance.filter(|chance| *chance > start) {
                Some(chance) => starts.push(chance),
                None if breaks == Breaks::Unicode => starts.push(i),
                None => {}
            }
            chance = None;
        }
        i += 1;
    }
    if wrap == Wrap::Even {
        even_out(&line, &place, &mut starts);
    }
    let mut made = Vec::with_capacity(starts.len());
    let mut rest = line;
    for start in starts.into_iter().skip(1).rev() {
        made.push(rest.split_off(start.min(rest.len())));
    }
    made.push(rest);
    made.reverse();
    made
}

/// Moves the last word of a line to the next one while that makes the two more alike, as libass does.
fn even_out(line: &[Cluster], place: &[f64], starts: &mut [usize]) {
    let width = |from: usize, to: usize| {
        // Without the spaces at its end.
        let mut to = to;
        while to > from + 1 && line[to - 1].space {
            to -= 1;
        }
        place[to - 1] + line[to - 1].advance - place[from]
    };
    // Each move makes a first line shorter, so this ends; hostile lines end it sooner.
    for _ in 0..1000 {
        let mut moved = false;
        for n in 1..starts.len() {
            let (first, second) = (starts[n - 1], starts[n]);
            let end = starts.get(n + 1).copied().unwrap_or(line.len());
            let Some(start) = (first + 1..second).rev().find(|i| line[*i].breaks) else { continue };
            let apart = (width(first, second) - width(second, end)).abs();
            let then = (width(first, start) - width(start, end)).abs();
            if then < apart {
                starts[n] = start;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
}

/// Puts lines below each other, each aligned in the room, its runs in the order in which they are seen.
fn placed(lines: Vec<Vec<Cluster>>, heights: &[(f64, f64)], room: f64, moment: &Moment) -> Laid {
    let mut laid = Laid {
        ascent: heights.first().map_or(0.0, |h| h.0),
        height: heights.iter().map(|h| h.0 + h.1).sum(),
        line_height: heights.first().map_or(0.0, |h| h.0 + h.1),
        span: (f64::INFINITY, f64::NEG_INFINITY),
        ..Laid::default()
    };
    let mut top = -laid.ascent;
    for (number, (mut line, (ascent, descent))) in lines.into_iter().zip(heights).enumerate() {
        let baseline = top + ascent;
        top += ascent + descent;
        while line.last().is_some_and(|cluster| cluster.space) {
            line.pop();
        }
        let spaces = line.iter().take_while(|cluster| cluster.space).count();
        line.drain(..spaces);
        let width: f64 = line.iter().map(|cluster| cluster.advance).sum();
        let left = match moment.align.across() {
            Along::Start => 0.0,
            Along::Middle => (room - width) / 2.0,
            Along::End => room - width,
        };
        laid.lefts.push(left);
        if !line.is_empty() {
            laid.span = (laid.span.0.min(left), laid.span.1.max(left + width));
        }
        let mut x = left;
        for i in visual(&line) {
            let cluster = &line[i];
            for (figure, along) in &cluster.glyphs {
                laid.glyphs.push(Placed {
                    figure: *figure,
                    run: cluster.run,
                    line: number,
                    x: x + along,
                    y: baseline,
                    advance: cluster.advance,
                    ascent: cluster.ascent,
                    descent: cluster.descent,
                });
            }
            x += cluster.advance;
        }
    }
    if laid.span.0 > laid.span.1 {
        laid.span = (0.0, 0.0);
    }
    laid
}

/// The order from left to right (rule L2 of the bidi algorithm).
fn visual(line: &[Cluster]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..line.len()).collect();
    let highest = line.iter().map(|c| c.level).max().unwrap_or(0);
    let lowest_odd = line.iter().map(|c| c.level).filter(|l| l % 2 == 1).min();
    let Some(lowest_odd) = lowest_odd else { return order };
    for level in (lowest_odd..=highest).rev() {
        let mut i = 0;
        while i < order.len() {
            let from = i;
            while i < order.len() && line[order[i]].level >= level {
                i += 1;
            }
            order[from..i].reverse();
            i = i.max(from + 1);
        }
    }
    order
}
