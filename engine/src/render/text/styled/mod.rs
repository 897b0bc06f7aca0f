//! Subtitles as their files style them: ASS and SSA with their tags, SRT and WebVTT with their marks and
//! places.
//!
//! ```text
//! file ─► Captions ─┬─ ass ────┬─► Script ─► moment ─► layout ─► place ─► draw ─► Ink
//!         (speech)  └─ marked ─┘   styles,    tags at    glyphs,   margins,  per event,
//!                                  events     a time     lines     stacking  kept while it stays
//! ```
//!
//! Where the format leaves things open, libass is followed: the notes name the function of it that a rule
//! is from.

mod ass;
mod draw;
mod drawing;
mod faces;
mod geometry;
mod layout;
mod look;
mod marked;
mod moment;
mod place;
mod script;
mod tags;
#[cfg(test)]
mod tests;

use super::block::SafeArea;
use super::fonts::FontSet;
use super::paint::{Ink, Sheet};
use super::{Backdrop, TextStyle};
use crate::error::{Error, Result, Stage};
use crate::limits::Limits;
use crate::render::compose::ColourTags;
use crate::speech::subtitles::{Captions, SubtitleFormat};
use crate::time::Timestamp;
use layout::Canvas;
use look::Along;
use moment::Moment;
use place::Taken;
use script::Script;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// More captions than this at once are refused: each is a picture of its own.
const MOST_AT_ONCE: usize = 4096;
/// Samples of inks that are kept.
const KEPT: usize = 16 << 20;

/// A subtitle file, ready to be drawn as it is styled.
pub struct StyledTrack {
    script: Script,
    /// By start, then in the file's order.
    shown: Vec<Shown>,
    fonts: Arc<Mutex<FontSet>>,
    size: (u32, u32),
    canvas: Canvas,
    tags: ColourTags,
    /// What all events share, as a digest.
    head: blake3::Hash,
    /// The ink of each event as it was last drawn.
    kept: Mutex<Kept>,
}

/// An event with its place among the others.
#[derive(Clone, Copy, Debug)]
struct Shown {
    event: usize,
    start: Timestamp,
    end: Timestamp,
    /// How far it was moved down to keep clear of others, in samples.
    shift: f64,
    /// The latest end of this and all before.
    latest: Timestamp,
}

#[derive(Default)]
struct Kept {
    inks: HashMap<usize, (Moment, Option<Arc<Ink>>)>,
    samples: usize,
}

impl std::fmt::Debug for StyledTrack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StyledTrack").field("events", &self.shown.len()).finish_non_exhaustive()
    }
}

/// Whether a file has styles of its own: ASS has, SRT and WebVTT where anything is marked or placed.
pub fn is_styled(captions: &Captions) -> bool {
    captions.format == SubtitleFormat::Ass || marked::is_marked(captions)
}

impl StyledTrack {
    /// Lays everything out once, so that what is wrong is told before the first frame. `style` and
    /// `safe` are for SRT and WebVTT; ASS brings its own.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Input`] for characters that no font has, [`crate::error::ErrorKind::Limit`] for more than 4096
    /// captions at once, captions longer than 20,000 bytes and drawings of more than 200,000 points.
    pub fn new(
        fonts: Arc<Mutex<FontSet>>,
        captions: &Captions,
        (style, safe): (&TextStyle, SafeArea),
        size: (u32, u32),
        tags: ColourTags,
    ) -> Result<Self> {
        let script = if captions.format == SubtitleFormat::Ass {
            let (script, overdrawn) = ass::script(captions);
            if let Some(cue) = overdrawn.and_then(|i| captions.cues.get(i)) {
                return Err(Limits::exceeded(
                    Stage::Render,
                    format!("a drawing in the caption at {}", cue.start),
                    format!("{} points", drawing::MOST_POINTS),
                ));
            }
            script
        } else {
            marked::script(captions, style, safe, size)
        };
        let mut order: Vec<usize> = (0..script.events.len())
            .filter(|i| script.events[*i].start < script.events[*i].end)
            .collect();
        order.sort_by_key(|i| script.events[*i].start);
        at_once(&script, &order)?;
        let canvas = Canvas::new(&script, size);
        let shown = {
            let mut fonts = fonts.lock().unwrap_or_else(PoisonError::into_inner);
            shown(&script, &order, &canvas, &mut fonts)?
        };
        let head = format!(
            "{:?}",
            (
                (script.size, script.layout, script.scaled_borders, script.wrap),
                (script.breaks, script.kerning, &script.styles),
            )
        );
        let head = blake3::hash(head.as_bytes());
        Ok(Self { script, shown, fonts, size, canvas, tags, head, kept: Mutex::default() })
    }

    /// The events shown at `time`, by number in `shown`, in the file's order within layers.
    fn at(&self, time: Timestamp) -> Vec<usize> {
        let mut found = Vec::new();
        let before = self.shown.partition_point(|shown| shown.start <= time);
        for i in (0..before).rev() {
            if self.shown[i].latest <= time {
                break;
            }
            if self.shown[i].end > time {
                found.push(i);
            }
        }
        found.sort_by_key(|i| {
            let event = self.shown[*i].event;
            (self.script.events[event].layer, event)
        });
        found
    }

    /// When those that are shown at `time` begin and end.
    pub fn spans(&self, time: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        self.at(time).into_iter().map(|i| (self.shown[i].start, self.shown[i].end)).collect()
    }

    /// Whether anything is shown at `time`.
    pub fn is_shown(&self, time: Timestamp) -> bool {
        !self.at(time).is_empty()
    }

    /// What decides the captions between `from` and `to`: for each its digest, and when it begins and
    /// ends, seen from `from`. What does not change with time counts only within.
    pub fn key(&self, from: Timestamp, to: Timestamp) -> Vec<(String, Timestamp, Timestamp)> {
        let before = self.shown.partition_point(|shown| shown.start < to);
        let mut made = Vec::new();
        for i in (0..before).rev() {
            let own = self.shown[i];
            if own.latest <= from {
                break;
            }
            if own.end <= from {
                continue;
            }
            let event = &self.script.events[own.event];
            let (mut start, mut end) = (own.start, own.end);
            if !event.pieces.iter().any(moves) {
                (start, end) = (start.max(from), end.min(to));
            }
            let said = format!(
                "{:?}",
                (
                    &self.head,
                    (event.layer, event.style, event.margins, event.upright, event.align),
                    (&event.pieces, own.shift.to_bits(), self.size),
                )
            );
            let digest = blake3::hash(said.as_bytes()).to_hex().to_string();
            made.push((digest, start.minus(from), end.minus(from)));
        }
        made.reverse();
        made
    }

    /// The inks at `time`, the lowest first.
    ///
    /// # Errors
    /// Where the picture cannot be made, which would be a defect.
    pub fn inks(&self, time: Timestamp) -> Result<Vec<Arc<Ink>>> {
        let mut made = Vec::new();
        for i in self.at(time) {
            made.extend(self.ink(i, time)?);
        }
        Ok(made)
    }

    fn ink(&self, i: usize, time: Timestamp) -> Result<Option<Arc<Ink>>> {
        let shown = &self.shown[i];
        let event = &self.script.events[shown.event];
        let now = time.minus(shown.start).as_secs_f64() * 1000.0;
        let moment = moment::moment(&self.script, event, now);
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((own, ink)) = kept().inks.get(&i)
            && *own == moment
        {
            return Ok(ink.clone());
        }
        let sheet = self.drawn(&moment, shown.shift)?;
        let ink = sheet.ink(self.size, self.tags)?.map(Arc::new);
        let mut kept = kept();
        kept.samples += 256
            + ink
                .as_ref()
                .map_or(0, |ink| ink.picture.width() as usize * ink.picture.height() as usize);
        if kept.samples > KEPT {
            *kept = Kept::default();
        }
        kept.inks.insert(i, (moment, ink.clone()));
        Ok(ink)
    }

    fn drawn(&self, moment: &Moment, shift: f64) -> Result<Sheet> {
        if moment.opacity == 0 {
            return Ok(Sheet::default());
        }
        // Drawing itself, most of the work, needs no fonts and is done by many threads.
        let (laid, glyphs) = {
            let mut fonts = self.fonts.lock().unwrap_or_else(PoisonError::into_inner);
            let laid = layout::lay(&mut fonts, moment, &self.script, &self.canvas)?;
            let glyphs = draw::glyphs(&mut fonts, &laid);
            (laid, glyphs)
        };
        let place = place::place(moment, &laid, &self.canvas, shift);
        let style = self.script.styles.get(moment.style);
        let backdrop: Option<&Backdrop> = style.and_then(|style| style.backdrop.as_ref());
        Ok(draw::draw(moment, (&laid, &glyphs), &place, &self.canvas, backdrop))
    }
}

/// Whether a piece makes an event change with time.
fn moves(piece: &tags::Piece) -> bool {
    use tags::Override as O;
    matches!(
        piece,
        tags::Piece::Set(
            O::Animate { .. } | O::Move(..) | O::Fade(..) | O::FadeInOut(..) | O::Karaoke(..)
        )
    )
}

/// Refuses more events at once than can be drawn.
fn at_once(script: &Script, order: &[usize]) -> Result<()> {
    let mut ends: BinaryHeap<Reverse<Timestamp>> = BinaryHeap::new();
    for i in order {
        let event = &script.events[*i];
        while ends.peek().is_some_and(|Reverse(end)| *end <= event.start) {
            ends.pop();
        }
        ends.push(Reverse(event.end));
        if ends.len() > MOST_AT_ONCE {
            return Err(Limits::exceeded(
                Stage::Render,
                format!("the captions shown at {}", event.start),
                format!("{MOST_AT_ONCE} at once"),
            ));
        }
    }
    Ok(())
}

/// Lays every event out as it begins: what is missing is found, and where those without a place go is
/// settled for as long as they are shown (libass's fix_collisions, played from the start).
fn shown(
    script: &Script,
    order: &[usize],
    canvas: &Canvas,
    fonts: &mut FontSet,
) -> Result<Vec<Shown>> {
    let mut made: Vec<Shown> = Vec::with_capacity(order.len());
    let mut taken: Vec<Taken> = Vec::new();
    let mut known: HashSet<blake3::Hash> = HashSet::new();
    for &i in order {
        let event = &script.events[i];
        let moment = moment::moment(script, event, 0.0);
        let told = |error: Error| {
            let what = format!("the caption at {}: {}", event.start, error.message());
            let told = Error::new(error.kind(), Stage::Render, what);
            match error.what_to_do() {
                Some(hint) => told.hint(hint.to_owned()),
                None => told,
            }
        };
        let mut shift = 0.0;
        if moment.position.is_some() {
            // Where it stands is known; what it needs is looked at once for all that need the same.
            let needs: Vec<_> = moment
                .runs
                .iter()
                .filter_map(|run| match &run.content {
                    moment::Content::Text(text) => Some((&run.look.family, run.look.weight, text)),
                    moment::Content::Drawing(_) => None,
                })
                .collect();
            let needs = blake3::hash(format!("{needs:?}").as_bytes());
            if !known.contains(&needs) {
                layout::lay(fonts, &moment, script, canvas).map_err(told)?;
                known.insert(needs);
            }
        } else {
            let laid = layout::lay(fonts, &moment, script, canvas).map_err(told)?;
            let place = place::place(&moment, &laid, canvas, 0.0);
            let mut own = Taken::of(&laid, &place, event.layer, event.end);
            own.widen(&moment, canvas);
            taken.retain(|taken| taken.end > event.start);
            let down = moment
                .upright
                .map_or(moment.align.down() == Along::Start, script::Upright::is_high);
            shift = place::clear(&own, &taken, down);
            own.top += shift;
            own.bottom += shift;
            taken.push(own);
        }
        let latest = made.last().map_or(event.end, |last| last.latest.max(event.end));
        made.push(Shown { event: i, start: event.start, end: event.end, shift, latest });
    }
    Ok(made)
}
