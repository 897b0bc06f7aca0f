//! A moment drawn: shadows below borders below letters, as libass lays them.

use super::geometry::{Polygon, View, cover, flatten, half, outlined, rectangle};
use super::layout::{Canvas, Figure, Laid, Placed};
use super::look::{BACK, Edge, Look, OUTLINE, PRIMARY, SECONDARY};
use super::moment::{Content, Moment, Run, Sung};
use super::place::Place;
use super::tags::Shape;
use crate::render::text::fonts::FontSet;
use crate::render::text::paint::Sheet;
use crate::render::text::shape::outlines;
use crate::render::text::stamp::Stamp;
use crate::render::text::{Backdrop, Rgba};
use std::collections::HashMap;
use swash::zeno::{self, Command, Join, Stroke, Transform};

/// Leaning of faces that do not lean themselves: FreeType's and libass's.
const SLANT: f32 = 0.34;
/// A border is no wider than this, in samples.
const WIDEST: f64 = 1000.0;
/// Softness has no more standard deviation than this, in samples.
const SOFTEST: f64 = 100.0;
/// `\be` softens no more often.
const SOFTENINGS: u32 = 127;

/// A glyph's outlines, with a colour where the font gives one.
type Layers = Vec<(Vec<Command>, Option<Rgba>)>;

/// Outlines of all glyphs, in the order of `laid`: the only part of drawing that needs the fonts.
pub(super) fn glyphs(fonts: &mut FontSet, laid: &Laid) -> Vec<Layers> {
    let mut known: HashMap<(cosmic_text::fontdb::ID, u16, u64), Layers> = HashMap::new();
    let mut made = Vec::with_capacity(laid.glyphs.len());
    for placed in &laid.glyphs {
        let Figure::Glyph { font, weight, glyph, em, .. } = placed.figure else {
            made.push(Vec::new());
            continue;
        };
        let key = (font, glyph, em.to_bits());
        let layers = known.entry(key).or_insert_with(|| {
            let found = fonts.system.get_font(font, weight);
            found.map_or_else(Vec::new, |font| {
                outlines(&mut fonts.scaler, font.as_swash(), glyph, em as f32)
            })
        });
        made.push(layers.clone());
    }
    made
}

/// One run's shapes, on the canvas before it is turned.
#[derive(Default)]
struct Shapes {
    fill: Vec<Command>,
    /// Pieces that have their own colours.
    coloured: Vec<(Vec<Command>, Rgba)>,
    /// Lines under and through.
    lines: Vec<Polygon>,
    boxes: Vec<Polygon>,
    embolden: f64,
}

/// Draws `moment`.
pub(super) fn draw(
    moment: &Moment,
    (laid, glyphs): (&Laid, &[Layers]),
    place: &Place,
    canvas: &Canvas,
    backdrop: Option<&Backdrop>,
) -> Sheet {
    let mut sheet = Sheet::default();
    let mut shapes: Vec<Shapes> = Vec::new();
    shapes.resize_with(moment.runs.len(), Shapes::default);
    for (placed, layers) in laid.glyphs.iter().zip(glyphs) {
        if let (Some(run), Some(own)) = (moment.runs.get(placed.run), shapes.get_mut(placed.run)) {
            own.take(placed, layers, (laid, run), place.offset, canvas);
        }
    }
    let cut = Cut::of(moment, canvas);
    let fade = |colour: Rgba| {
        let [r, g, b, a] = colour;
        [r, g, b, ((u16::from(a) * u16::from(moment.opacity) + 127) / 255) as u8]
    };
    if let Some(backdrop) = backdrop
        && laid.span.1 > laid.span.0
    {
        let (x, y) = (backdrop.padding * canvas.scale.0, backdrop.padding * canvas.scale.1);
        let (left, top) = (place.offset.0 + laid.span.0, place.offset.1 - laid.ascent);
        let width = laid.span.1 - laid.span.0;
        let edges = [left - x, top - y, left + width + x, top + laid.height + y];
        let radius = backdrop.radius * canvas.scale.1;
        let mut polygons = vec![rounded(edges, radius)];
        let angle = moment.runs.first().map_or([0.0; 3], |run| run.look.angle);
        View::new(angle, place.centre, canvas.soft).see(&mut polygons);
        let stamp = cover(&polygons, window(canvas, 0.0));
        sheet.add(stamp.map(|stamp| cut.cut(stamp)), fade(backdrop.colour));
    }
    let sung = syllables(moment, laid, place.offset.0);
    let mut shadows = Vec::new();
    let mut edges = Vec::new();
    let mut fills = Vec::new();
    for (run, shapes) in moment.runs.iter().zip(shapes) {
        let layers = shapes.layers(run, moment, &sung, place, canvas);
        shadows.extend(layers.shadow.map(|stamp| (stamp, run.look.colours[BACK])));
        edges.extend(layers.edge.map(|stamp| (stamp, run.look.colours[OUTLINE])));
        fills.extend(layers.fills);
    }
    for (stamp, colour) in shadows.into_iter().chain(edges).chain(fills) {
        sheet.add(Some(cut.cut(stamp)), fade(colour));
    }
    sheet
}

/// Left and right edges of the syllables that light up from the left.
fn syllables(moment: &Moment, laid: &Laid, left: f64) -> HashMap<usize, (f64, f64)> {
    let mut edges: HashMap<usize, (f64, f64)> = HashMap::new();
    for placed in &laid.glyphs {
        let Some(Run { sung: Sung::Part(number, _), .. }) = moment.runs.get(placed.run) else {
            continue;
        };
        let (from, to) = (left + placed.x, left + placed.x + placed.advance);
        let own = edges.entry(*number).or_insert((from, to));
        *own = (own.0.min(from), own.1.max(to));
    }
    edges
}

/// What of the canvas is drawn: all of it, and as much around as softness reaches in from.
fn window(canvas: &Canvas, reach: f64) -> [f64; 4] {
    [-reach, -reach, canvas.width + reach, canvas.height + reach]
}

/// A run's coverage.
struct Layered {
    shadow: Option<Stamp>,
    edge: Option<Stamp>,
    fills: Vec<(Stamp, Rgba)>,
}

impl Shapes {
    fn take(
        &mut self,
        placed: &Placed,
        layers: &Layers,
        (laid, run): (&Laid, &Run),
        offset: (f64, f64),
        canvas: &Canvas,
    ) {
        let look = &run.look;
        let left = laid.lefts.get(placed.line).copied().unwrap_or(0.0);
        // Slopes are the same whatever the letters are stretched by.
        let wide = look.scale.0 / look.scale.1.max(1e-6);
        let (lean, slope) = (look.shear.0 * wide, look.shear.1 / wide.max(1e-6));
        let (lean, slope) = (lean.clamp(-1e3, 1e3), slope.clamp(-1e3, 1e3));
        let (x, y) = (offset.0 + placed.x, offset.1 + placed.y + slope * (placed.x - left));
        let shear = Transform::new(
            1.0,
            slope as f32,
            lean as f32,
            1.0,
            (x + lean * placed.ascent) as f32,
            y as f32,
        );
        match (&placed.figure, &run.content) {
            (Figure::Glyph { slanted, embolden, offset, em, .. }, _) => {
                let mut to = Transform::IDENTITY;
                if *slanted {
                    to = Transform::new(1.0, 0.0, -SLANT, 1.0, 0.0, 0.0);
                }
                if *embolden {
                    // As FreeType does it: bolder to the right and up.
                    self.embolden = em / 128.0;
                    let by = (em / 128.0) as f32;
                    to = to.then(&Transform::translation(by, -by));
                }
                let stretch = ((look.scale.0 * canvas.aspect) as f32, look.scale.1 as f32);
                let to = to
                    .then(&Transform::scale(stretch.0, stretch.1))
                    .then(&Transform::translation(offset.0 as f32, offset.1 as f32))
                    .then(&shear);
                for (path, colour) in layers {
                    let path = path.iter().map(|command| command.transform(&to));
                    match colour {
                        Some(colour) => self.coloured.push((path.collect(), *colour)),
                        None => self.fill.extend(path),
                    }
                }
            }
            (Figure::Drawing, Content::Drawing(drawing)) => {
                let scale = (
                    drawing.scale * look.scale.0 * canvas.scale.0,
                    drawing.scale * look.scale.1 * canvas.scale.1,
                );
                // Drawings hang from the line's upper edge.
                let to = Transform::scale(scale.0 as f32, scale.1 as f32)
                    .then(&Transform::translation(0.0, -placed.ascent as f32))
                    .then(&shear);
                self.fill.extend(drawing.path.iter().map(|command| command.transform(&to)));
            }
            (Figure::Drawing, Content::Text(_)) => {}
        }
        if let Figure::Glyph { em, face, .. } = &placed.figure {
            let em = em * look.scale.1;
            for (on, (middle, thick)) in
                [(look.underline, face.underline), (look.strike, face.strike)]
            {
                if on {
                    let (y, thick) = (y + middle * em, (thick * em).max(1.0));
                    self.lines.push(rectangle([
                        x,
                        y - thick / 2.0,
                        x + placed.advance,
                        y + thick / 2.0,
                    ]));
                }
            }
        }
        if look.edge == Edge::Box {
            let (wide, high) = border(look, canvas);
            self.boxes.push(rectangle([
                x - wide,
                y - placed.ascent - high,
                x + placed.advance + wide,
                y + placed.descent + high,
            ]));
        }
    }

    /// What the run covers, softened and with its shadow.
    fn layers(
        self,
        run: &Run,
        moment: &Moment,
        sung: &HashMap<usize, (f64, f64)>,
        place: &Place,
        canvas: &Canvas,
    ) -> Layered {
        let look = &run.look;
        let sigma = (look.blur * BLUR * canvas.soft).min(SOFTEST);
        let softenings = (look.edge_blur.round() as u32).min(SOFTENINGS);
        let shift = (
            (look.shadow.0 * canvas.border.0).clamp(-1e5, 1e5),
            (look.shadow.1 * canvas.border.1).clamp(-1e5, 1e5),
        );
        let soft = (look.shadow_soft * canvas.scale.1).min(SOFTEST);
        let reach = 3.0 * (sigma + soft) + f64::from(softenings) + 4.0;
        let window = window(canvas, reach);
        // A shadow is seen of letters that are not.
        let window = [
            window[0] - shift.0.max(0.0).min(canvas.width),
            window[1] - shift.1.max(0.0).min(canvas.height),
            window[2] - shift.0.min(0.0).max(-canvas.width),
            window[3] - shift.1.min(0.0).max(-canvas.height),
        ];
        let view = View::new(look.angle, place.centre, canvas.soft);
        let seen = |mut polygons: Vec<Polygon>| {
            view.see(&mut polygons);
            cover(&polygons, window)
        };
        let (wide, high) = border(look, canvas);
        let borderless = matches!(run.sung, Sung::Not { borderless: true });
        let bordered = look.edge == Edge::Border && wide.max(high) > 0.0 && !borderless;

        let shape = flatten(&self.fill);
        let bolder =
            (self.embolden > 0.0).then(|| widened(&self.fill, self.embolden, self.embolden));
        let bolder = bolder.map(|path| flatten(&path));
        // Shapes that may wind either way are laid over each other as coverage.
        let whole = |side: &dyn Fn(&[Polygon]) -> Vec<Polygon>| {
            let fill = Stamp::united(seen(side(&shape)), seen(side(&self.lines)));
            Stamp::united(fill, bolder.as_ref().and_then(|bolder| seen(side(bolder))))
        };
        let full = whole(&|polygons| polygons.to_vec());
        let coloured: Vec<(Stamp, Rgba)> = self
            .coloured
            .iter()
            .filter_map(|(path, colour)| Some((seen(flatten(path))?, *colour)))
            .collect();
        let colours: Vec<Stamp> = coloured.iter().map(|(stamp, _)| stamp.clone()).collect();
        let inner = Stamp::united(full.clone(), Stamp::joined(&colours));

        let mut edge = if look.edge == Edge::Box {
            seen(self.boxes.clone())
        } else if bordered {
            let mut path = widened(&self.fill, wide + self.embolden, high + self.embolden);
            for (own, _) in &self.coloured {
                path.extend(widened(own, wide, high));
            }
            path.extend(widened(&outlined(&self.lines), wide, high));
            Stamp::united(inner.clone(), seen(flatten(&path)))
        } else {
            None
        };

        let mut fills: Vec<(Stamp, Rgba)> = match run.sung {
            Sung::Part(number, share) => {
                let (from, to) = sung.get(&number).copied().unwrap_or((0.0, 0.0));
                let at = from + (to - from) * share;
                let left = whole(&|polygons| half(polygons, 0, at, true));
                let right = whole(&|polygons| half(polygons, 0, at, false));
                let left = left.map(|stamp| (stamp, look.colours[PRIMARY]));
                left.into_iter()
                    .chain(right.map(|stamp| (stamp, look.colours[SECONDARY])))
                    .collect()
            }
            Sung::Not { .. } => {
                full.clone().map(|s| (s, look.colours[SECONDARY])).into_iter().collect()
            }
            Sung::Whole => full.clone().map(|s| (s, look.colours[PRIMARY])).into_iter().collect(),
        };
        fills.extend(coloured.into_iter().map(|(stamp, [r, g, b, a])| {
            let share = u16::from(look.colours[PRIMARY][3]);
            (stamp, [r, g, b, ((u16::from(a) * share + 127) / 255) as u8])
        }));

        let soften = |stamp: Stamp| {
            let stamp = if softenings > 0 { stamp.edge_softened(softenings) } else { stamp };
            if sigma > 0.0 { stamp.softened(sigma, (0, 0)) } else { stamp }
        };
        let mut inner = inner;
        if !bordered {
            // A border is softened in the letters' place.
            fills = fills.into_iter().map(|(stamp, colour)| (soften(stamp), colour)).collect();
            inner = inner.map(soften);
        }
        edge = edge.map(soften);

        // Which parts lie under letters that are seen through (libass's ass_composite_construct).
        let opaque = look.colours[PRIMARY][3] == 255
            && look.colours[SECONDARY][3] == 255
            && moment.opacity == 255;
        let fill_edge = (bordered && opaque) || look.edge == Edge::Box;
        let swept = matches!(run.sung, Sung::Part(..) | Sung::Not { borderless: true });
        let fill_shadow = swept || look.colours[PRIMARY][3] > 0 || look.edge == Edge::Box;
        let hollow = |stamp: Option<Stamp>| match (stamp, &inner) {
            (Some(stamp), Some(inner)) => Some(stamp.around(inner)),
            (stamp, _) => stamp,
        };
        let mut shadow = None;
        if shift != (0.0, 0.0) && (bordered || fill_shadow) {
            shadow = if edge.is_some() { edge.clone() } else { inner.clone() };
            if bordered && !fill_shadow {
                shadow = hollow(shadow);
            }
            shadow = shadow.map(|stamp| stamp.softened(soft, (0, 0)).moved(shift.0, shift.1));
        }
        if !fill_edge {
            edge = hollow(edge);
        }
        Layered { shadow, edge, fills }
    }
}

/// libass's blur is counted so that this is its standard deviation.
const BLUR: f64 = 0.849_321_800_288_019_1;

fn border(look: &Look, canvas: &Canvas) -> (f64, f64) {
    let width = |border: f64, scale: f64| (border * scale).clamp(0.0, WIDEST);
    (width(look.border.0, canvas.border.0), width(look.border.1, canvas.border.1))
}

/// The band along `path`, so wide to each side of it, across and down.
fn widened(path: &[Command], wide: f64, high: f64) -> Vec<Command> {
    let (wide, high) = (wide.max(1e-2), high.max(1e-2));
    let mut pen = Stroke::new(2.0 * wide as f32);
    pen.join(Join::Round);
    let mut made: Vec<Command> = Vec::new();
    if wide == high {
        zeno::apply(path, pen, None, &mut made);
        return made;
    }
    let ratio = (wide / high) as f32;
    let tall = Transform::scale(1.0, ratio);
    let stretched: Vec<Command> = path.iter().map(|command| command.transform(&tall)).collect();
    zeno::apply(&stretched, pen, None, &mut made);
    let back = Transform::scale(1.0, 1.0 / ratio);
    made.iter().map(|command| command.transform(&back)).collect()
}

/// A rectangle with round corners.
fn rounded(edges: [f64; 4], radius: f64) -> Polygon {
    let [left, top, right, bottom] = edges;
    let radius = radius.min((right - left) / 2.0).min((bottom - top) / 2.0);
    if radius <= 0.0 {
        return rectangle(edges);
    }
    let mut made = Vec::new();
    let corners = [
        (right - radius, top + radius, -90.0),
        (right - radius, bottom - radius, 0.0),
        (left + radius, bottom - radius, 90.0),
        (left + radius, top + radius, 180.0),
    ];
    for (x, y, from) in corners {
        for i in 0..=24 {
            let (sin, cos) = f64::to_radians(from + f64::from(i) * 90.0 / 24.0).sin_cos();
            made.push([x + radius * cos, y + radius * sin]);
        }
    }
    made
}

/// What a clip leaves.
enum Cut {
    All,
    Rect([i32; 4], bool),
    Shape(Option<Stamp>, bool),
}

impl Cut {
    fn of(moment: &Moment, canvas: &Canvas) -> Self {
        match &moment.clip {
            None => Self::All,
            Some((Shape::Rect([x1, y1, x2, y2]), inverse)) => {
                let x = [x1.min(*x2), x1.max(*x2)].map(|x| (x * canvas.scale.0).round() as i32);
                let y = [y1.min(*y2), y1.max(*y2)].map(|y| (y * canvas.scale.1).round() as i32);
                Self::Rect([x[0], y[0], x[1], y[1]], *inverse)
            }
            Some((Shape::Drawing(drawing), inverse)) => {
                let scale = [canvas.scale.0, canvas.scale.1].map(|s| (s * drawing.scale) as f32);
                let to = Transform::scale(scale[0], scale[1]);
                let path: Vec<Command> = drawing.path.iter().map(|c| c.transform(&to)).collect();
                Self::Shape(cover(&flatten(&path), window(canvas, 0.0)), *inverse)
            }
        }
    }

    fn cut(&self, stamp: Stamp) -> Stamp {
        match self {
            Self::All => stamp,
            Self::Rect([left, top, right, bottom], inverse) => stamp.times(|x, y| {
                let inside = (*left..*right).contains(&x) && (*top..*bottom).contains(&y);
                if inside == *inverse { 0 } else { 255 }
            }),
            Self::Shape(shape, inverse) => stamp.times(|x, y| {
                let inside = shape.as_ref().map_or(0, |shape| shape.at(x, y));
                if *inverse { 255 - inside } else { inside }
            }),
        }
    }
}
