//! What an event looks like at one time: its tags carried out, its animations stopped.

use super::drawing::Drawing;
use super::look::{Edge, Keypad, Look, OUTLINE, Wrap};
use super::script::{Event, Script, Upright};
use super::tags::{Axis, Karaoke, Override, Piece, Shape};
use std::sync::Arc;

/// An event at one time. Equal moments look alike.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moment {
    pub runs: Vec<Run>,
    /// Number of the style that the box behind it is from.
    pub style: usize,
    pub align: Keypad,
    pub wrap: Wrap,
    /// Left, right and vertical, in script units.
    pub margins: [f64; 3],
    pub upright: Option<Upright>,
    /// Where `\pos` and `\move` put it, in script units.
    pub position: Option<(f64, f64)>,
    /// What it is turned about.
    pub origin: Option<(f64, f64)>,
    pub clip: Option<(Shape, bool)>,
    /// What fades leave of it: 0 to 255.
    pub opacity: u8,
}

/// A piece of an event with one look.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    pub content: Content,
    pub look: Look,
    pub sung: Sung,
}

/// What is written or drawn.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Text(String),
    Drawing(Arc<Drawing>),
}

/// How far karaoke has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sung {
    Whole,
    /// Not yet; and whether the border is not there yet either.
    Not {
        borderless: bool,
    },
    /// This share of the syllable of this number, from the left.
    Part(usize, f64),
}

struct State<'a> {
    script: &'a Script,
    /// Milliseconds since the event's start, and its length.
    now: f64,
    length: f64,
    look: Look,
    /// What tags without a value go back to.
    base: Look,
    style: usize,
    moment: Moment,
    aligned: bool,
    karaoke: Option<Syllable>,
    /// When the next syllable begins, in milliseconds.
    next_syllable: f64,
    syllables: usize,
    faded: bool,
}

#[derive(Clone, Copy)]
struct Syllable {
    kind: Karaoke,
    number: usize,
    start: f64,
    end: f64,
}

/// Carries out `event`'s tags at `now` milliseconds after its start.
pub(super) fn moment(script: &Script, event: &Event, now: f64) -> Moment {
    let style = &script.styles[event.style.min(script.styles.len() - 1)];
    let margins = [0, 1, 2].map(|i| {
        let own = event.margins[i];
        if own == 0.0 { style.margins[i] } else { own }
    });
    let mut state = State {
        script,
        now,
        length: event.end.minus(event.start).as_secs_f64() * 1000.0,
        look: style.look.clone(),
        base: style.look.clone(),
        style: event.style,
        moment: Moment {
            runs: Vec::new(),
            style: event.style,
            align: event.align.unwrap_or(style.align),
            wrap: script.wrap,
            margins,
            upright: event.upright,
            position: None,
            origin: None,
            clip: None,
            opacity: 255,
        },
        aligned: false,
        karaoke: None,
        next_syllable: 0.0,
        syllables: 0,
        faded: false,
    };
    for piece in &event.pieces {
        match piece {
            Piece::Text(text) => state.text(text),
            Piece::Drawing(drawing) => state.push(Content::Drawing(Arc::clone(drawing))),
            Piece::Set(tag) => state.apply(tag, 1.0),
        }
    }
    state.moment
}

impl State<'_> {
    fn text(&mut self, text: &str) {
        let sung = self.sung();
        if let Some(run) = self.moment.runs.last_mut()
            && let Content::Text(own) = &mut run.content
            && run.sung == sung
            && run.look == self.look
        {
            own.push_str(text);
            return;
        }
        self.push(Content::Text(text.to_owned()));
    }

    fn push(&mut self, content: Content) {
        let (look, sung) = (self.look.clone(), self.sung());
        self.moment.runs.push(Run { content, look, sung });
    }

    fn sung(&self) -> Sung {
        let Some(syllable) = self.karaoke else { return Sung::Whole };
        if self.now < syllable.start {
            return match syllable.kind {
                Karaoke::Sweep => Sung::Part(syllable.number, 0.0),
                kind => Sung::Not { borderless: kind == Karaoke::Border },
            };
        }
        match syllable.kind {
            Karaoke::Sweep if self.now < syllable.end => {
                let share = (self.now - syllable.start) / (syllable.end - syllable.start);
                Sung::Part(syllable.number, share)
            }
            _ => Sung::Whole,
        }
    }

    fn syllable(&mut self, kind: Karaoke, centis: f64) {
        let start = self.next_syllable;
        self.next_syllable = start + centis * 10.0;
        self.syllables += 1;
        let number = self.syllables;
        self.karaoke = Some(Syllable { kind, number, start, end: self.next_syllable });
    }

    /// How far an animation is, 0 to 1.
    fn progress(&self, [from, to]: [f64; 2], power: f64) -> f64 {
        let to = if to == 0.0 { self.length } else { to };
        if self.now < from {
            0.0
        } else if self.now >= to || to <= from {
            1.0
        } else {
            ((self.now - from) / (to - from)).powf(power)
        }
    }

    /// Carries out a tag; `by` is the share of the way from what was to what it says.
    fn apply(&mut self, tag: &Override, by: f64) {
        use Override as O;
        let mix = |old: f64, new: f64| old + (new - old) * by;
        let byte = |old: u8, new: u8| mix(f64::from(old), f64::from(new)).round() as u8;
        let (look, base) = (&mut self.look, &self.base);
        match tag {
            O::Weight(weight) => look.weight = weight.unwrap_or(base.weight),
            O::Italic(on) => look.italic = on.unwrap_or(base.italic),
            O::Underline(on) => look.underline = on.unwrap_or(base.underline),
            O::Strike(on) => look.strike = on.unwrap_or(base.strike),
            O::Border(axis, value) => {
                let to = value.map_or(base.border, |v| (v.max(0.0), v.max(0.0)));
                look.border = mixed(look.border, to, *axis, mix);
            }
            O::Shadow(axis, value) => {
                // Only the tags of one direction may be negative.
                let to = value.map(|v| if *axis == Axis::Both { v.max(0.0) } else { v });
                look.shadow = mixed(look.shadow, to.map_or(base.shadow, |v| (v, v)), *axis, mix);
            }
            O::Blur(value) => look.blur = mix(look.blur, *value),
            O::EdgeBlur(value) => look.edge_blur = mix(look.edge_blur, *value),
            O::Family(family) => {
                look.family =
                    family.as_ref().map_or_else(|| base.family.clone(), |f| f.as_str().into());
            }
            O::Size(size) => look.size = mix(look.size, size.unwrap_or(base.size)),
            O::SizeBy(tenths) => {
                let size = look.size * (1.0 + by * tenths / 10.0);
                look.size = if size > 0.0 { size } else { base.size };
            }
            O::Scale(axis, value) => {
                let to = value.map_or(base.scale, |v| (v.max(0.0) / 100.0, v.max(0.0) / 100.0));
                look.scale = mixed(look.scale, to, *axis, mix);
            }
            O::Spacing(value) => look.spacing = mix(look.spacing, value.unwrap_or(base.spacing)),
            O::Angle(axis, value) => {
                let to = value.unwrap_or(base.angle[*axis]);
                look.angle[*axis] = mix(look.angle[*axis], to);
            }
            O::Shear(axis, value) => look.shear = mixed(look.shear, (*value, *value), *axis, mix),
            O::Colour(number, rgb) => {
                let to = rgb.map_or(base.colours[*number], |[r, g, b]| [r, g, b, 0]);
                for (own, to) in look.colours[*number].iter_mut().zip(to).take(3) {
                    *own = byte(*own, to);
                }
            }
            O::Opacity(number, opacity) => {
                for i in 0..4 {
                    if number.is_none_or(|number| number == i) {
                        let to = opacity.unwrap_or(base.colours[i][3]);
                        look.colours[i][3] = byte(look.colours[i][3], to);
                    }
                }
            }
            O::Backing(colour) => {
                look.edge = Edge::Box;
                look.colours[OUTLINE] = *colour;
            }
            O::DrawingOffset(value) => look.drawing_offset = *value,
            O::Animate { times, power, tags } => {
                let by = self.progress(*times, *power) * by;
                for tag in tags {
                    self.apply(tag, by);
                }
            }
            O::Reset(name) => {
                let style = name.as_deref().and_then(|name| self.script.style(name));
                let style = style.unwrap_or(self.style);
                if let Some(named) = self.script.styles.get(style) {
                    self.look = named.look.clone();
                    self.base = named.look.clone();
                }
            }
            O::Karaoke(kind, centis) => self.syllable(*kind, *centis),
            O::KaraokeFrom(centis) => self.next_syllable = centis * 10.0,
            _ => self.place(tag, by),
        }
    }

    /// Tags that concern the whole event. Of most the first counts.
    fn place(&mut self, tag: &Override, by: f64) {
        use Override as O;
        let moment = &mut self.moment;
        match tag {
            O::Align(_) | O::AlignSsa(_) => {
                let align = match tag {
                    O::AlignSsa(n) => Keypad::of_ssa(*n),
                    O::Align(n) => Keypad::new(*n),
                    _ => None,
                };
                if let Some(align) = align
                    && !std::mem::replace(&mut self.aligned, true)
                {
                    moment.align = align;
                }
            }
            O::Wrap(number) => {
                moment.wrap = match number {
                    0..=3 => Wrap::of_ass(*number),
                    _ => self.script.wrap,
                };
            }
            O::Position(x, y) => {
                moment.position.get_or_insert((*x, *y));
            }
            O::Move([x1, y1, x2, y2], times) => {
                let [from, to] = if *times == [0.0; 2] { [0.0, self.length] } else { *times };
                let share = if self.now <= from {
                    0.0
                } else if self.now >= to {
                    1.0
                } else {
                    (self.now - from) / (to - from)
                };
                let at = (x1 + (x2 - x1) * share, y1 + (y2 - y1) * share);
                moment.position.get_or_insert(at);
            }
            O::Origin(x, y) => {
                moment.origin.get_or_insert((*x, *y));
            }
            O::Fade(..) | O::FadeInOut(..) if self.faded => {}
            O::Fade(opacities, times) => {
                moment.opacity = fade(*opacities, *times, self.now);
                self.faded = true;
            }
            O::FadeInOut(fade_in, fade_out) => {
                let times = [0.0, *fade_in, self.length - fade_out, self.length];
                moment.opacity = fade([0, 255, 0], times, self.now);
                self.faded = true;
            }
            O::Clip { shape, inverse } => match (&mut moment.clip, shape) {
                // Inside `\t` a rectangle is on its way to another.
                (Some((Shape::Rect(old), own)), Shape::Rect(new)) => {
                    for (old, new) in old.iter_mut().zip(new) {
                        *old += (new - *old) * by;
                    }
                    *own = *inverse;
                }
                (clip, shape) if by > 0.0 => *clip = Some((shape.clone(), *inverse)),
                _ => {}
            },
            _ => {}
        }
    }
}

/// `old` on its way to `new` in the directions of `axis`.
fn mixed(
    old: (f64, f64),
    new: (f64, f64),
    axis: Axis,
    mix: impl Fn(f64, f64) -> f64,
) -> (f64, f64) {
    match axis {
        Axis::X => (mix(old.0, new.0), old.1),
        Axis::Y => (old.0, mix(old.1, new.1)),
        Axis::Both => (mix(old.0, new.0), mix(old.1, new.1)),
    }
}

fn fade([a, b, c]: [u8; 3], [t1, t2, t3, t4]: [f64; 4], now: f64) -> u8 {
    let between = |from: u8, to: u8, start: f64, end: f64| {
        let share = (now - start) / (end - start);
        (f64::from(from) + (f64::from(to) - f64::from(from)) * share).round() as u8
    };
    if now < t1 {
        a
    } else if now < t2 {
        between(a, b, t1, t2)
    } else if now < t3 {
        b
    } else if now < t4 {
        between(b, c, t3, t4)
    } else {
        c
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::subtitles::read;

    /// The moment of a four-second event with `text`.
    fn at(text: &str, now: f64) -> Moment {
        let file = format!(
            "[Script Info]\nPlayResX: 100\nPlayResY: 100\n[V4+ Styles]\n\
             Format: Name, Fontname, Fontsize, PrimaryColour, Outline, Alignment\n\
             Style: Default,Arial,20,&H000000FF,2,2\nStyle: Alt,Arial,40,&H0000FF00,1,8\n[Events]\n\
             Dialogue: 0,0:00:01.00,0:00:05.00,Default,,0,0,0,,{text}\n"
        );
        let (script, _) = super::super::ass::script(&read(file.as_bytes()).unwrap());
        moment(&script, &script.events[0], now)
    }

    #[test]
    fn tags_change_what_follows() {
        let moment = at("a{\\b1}b{\\rAlt}c{\\r}d{\\an7\\an3\\pos(1,2)\\pos(3,4)}", 0.0);
        let looks: Vec<_> =
            moment.runs.iter().map(|run| (run.look.weight, run.look.size)).collect();
        assert_eq!(looks, [(400, 20.0), (700, 20.0), (400, 40.0), (400, 20.0)]);
        assert_eq!((moment.align, moment.position), (Keypad::new(7).unwrap(), Some((1.0, 2.0))));
        // Equal looks are one run, so that letters join across tags that change nothing.
        assert_eq!(at("a{\\b0}b{}c", 0.0).runs.len(), 1);
    }

    #[test]
    fn animations() {
        let size = |text: &str, now| at(text, now).runs[0].look.size;
        assert_eq!(size("{\\t(\\fs40)}a", 1000.0), 25.0);
        assert_eq!(size("{\\t(1000,2000,\\fs40)}a", 500.0), 20.0);
        assert_eq!(size("{\\t(1000,2000,\\fs40)}a", 1500.0), 30.0);
        assert_eq!(size("{\\t(1000,2000,2,\\fs40)}a", 1500.0), 25.0);
        assert_eq!(size("{\\t(1000,2000,\\fs40)}a", 3000.0), 40.0);
        let colour = at("{\\t(\\c&H00FF00&\\alpha&HFF&)}a", 2000.0).runs[0].look.colours[0];
        assert_eq!(colour, [128, 128, 0, 128]);
        assert_eq!(at("{\\move(0,0,10,20)}a", 2000.0).position, Some((5.0, 10.0)));
        assert_eq!(at("{\\move(0,0,10,20,0,1000)}a", 2000.0).position, Some((10.0, 20.0)));
        let clip = at("{\\clip(0,0,10,10)\\t(\\clip(0,0,20,20))}a", 2000.0).clip;
        assert_eq!(clip, Some((Shape::Rect([0.0, 0.0, 15.0, 15.0]), false)));
    }

    #[test]
    fn fades() {
        let opacity = |now| at("{\\fad(1000,500)}a", now).opacity;
        let seen: Vec<_> = [0.0, 500.0, 1000.0, 3500.0, 3750.0, 4000.0].map(opacity).into();
        assert_eq!(seen, [0, 128, 255, 255, 128, 0]);
        assert_eq!(at("{\\fade(255,0,128,0,100,200,300)}a", 250.0).opacity, 191);
    }

    #[test]
    fn karaoke() {
        let sung = |now| -> Vec<_> {
            at("{\\k100}a{\\kf100}b{\\ko50}c", now).runs.iter().map(|run| run.sung).collect()
        };
        let not = |borderless| Sung::Not { borderless };
        assert_eq!(sung(500.0), [Sung::Whole, Sung::Part(2, 0.0), not(true)]);
        assert_eq!(sung(1500.0), [Sung::Whole, Sung::Part(2, 0.5), not(true)]);
        // Equal states join.
        assert_eq!(sung(2000.0), [Sung::Whole]);
        assert_eq!(at("{\\k10}{\\k10}b", 50.0).runs[0].sung, not(false));
    }
}
