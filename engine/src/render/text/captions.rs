//! Captions whose words light up as they are said.

use super::block::{Anchor, SafeArea, TextBlock};
use super::fonts::FontSet;
use super::paint::{Ink, WordLook, draw};
use super::{Rgba, TextStyle};
use crate::error::Result;
use crate::render::compose::ColourTags;
use crate::time::Timestamp;
use std::sync::{Arc, Mutex, PoisonError};

/// A word with its time.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionWord {
    /// The word with the punctuation that belongs to it, without white space around.
    pub text: String,
    /// When it is said, half-open; `None` where nobody knows.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Whether a new line begins behind it.
    pub breaks: bool,
}

/// What is shown together.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedCaption {
    /// First time at which it is shown.
    pub start: Timestamp,
    /// First time at which it is not.
    pub end: Timestamp,
    /// Its words, in order.
    pub words: Vec<CaptionWord>,
}

/// How captions look.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionStyle {
    /// All but the colour of the letters.
    pub text: TextStyle,
    /// Words that are to come.
    pub upcoming: Rgba,
    /// The word that is being said.
    pub active: Rgba,
    /// How much larger it is.
    pub active_scale: f64,
    /// Words that were said.
    pub said: Rgba,
}

impl Default for CaptionStyle {
    /// White, the active word yellow and a tenth larger.
    fn default() -> Self {
        Self {
            text: TextStyle::default(),
            upcoming: [255; 4],
            active: [255, 222, 0, 255],
            active_scale: 1.1,
            said: [255; 4],
        }
    }
}

/// Captions of a film, shaped and ready to draw.
#[derive(Debug)]
pub struct CaptionTrack {
    captions: Vec<(TimedCaption, TextBlock)>,
    style: CaptionStyle,
    tags: ColourTags,
    /// What was drawn last, by caption and state: frames follow each other.
    kept: Mutex<Vec<(State, Option<Arc<Ink>>)>>,
}

/// Which caption is seen, and how far it is: words said, and whether the next is being said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Number of the caption.
    pub caption: usize,
    /// Words that were said.
    pub said: usize,
    /// The word that is being said.
    pub active: Option<usize>,
}

/// Inks kept: a segment's threads are at a few captions at once.
const KEPT: usize = 16;

impl CaptionTrack {
    /// Shapes all captions for a canvas.
    ///
    /// # Errors
    /// As [`TextBlock::new`], for the first caption that has a fault.
    pub fn new(
        fonts: &mut FontSet,
        captions: Vec<TimedCaption>,
        style: CaptionStyle,
        canvas: (u32, u32),
        (safe, anchor): (SafeArea, Anchor),
        tags: ColourTags,
    ) -> Result<Self> {
        let mut made = Vec::with_capacity(captions.len());
        for caption in captions {
            let last = caption.words.len().saturating_sub(1);
            let texts: Vec<String> = caption
                .words
                .iter()
                .enumerate()
                .map(|(i, word)| {
                    let behind = match word.breaks {
                        _ if i == last => "",
                        true => "\n",
                        false => " ",
                    };
                    format!("{}{behind}", word.text.trim())
                })
                .collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let block = TextBlock::of_words(fonts, &texts, &style.text, canvas, safe, anchor)?;
            made.push((caption, block));
        }
        Ok(Self { captions: made, style, tags, kept: Mutex::default() })
    }

    /// When a word, enlarged while it is said, hangs over the edge of the canvas and is cut off there.
    pub fn cut_off(&self) -> Vec<(Timestamp, Timestamp)> {
        let scale = self.style.active_scale;
        let size = self.style.text.size;
        let border = self.style.text.outline.map_or(0.0, |(width, _)| width);
        // Half a line's height about the point that words grow from, from ascenders to descenders.
        let half_height = size * 0.65 * scale + border;
        let over = |block: &TextBlock, word: usize| {
            let Some(place) = block.laid.words.get(word).copied().flatten() else { return false };
            let (left, right) = (f64::from(place.left), f64::from(place.right));
            let x = block.corner.0 + (left + right) / 2.0;
            let y = block.corner.1 + f64::from(place.baseline) - size * 0.35;
            let half_width = (right - left) / 2.0 * scale + border;
            let (w, h) = (f64::from(block.canvas.0), f64::from(block.canvas.1));
            x - half_width < -0.5
                || x + half_width > w + 0.5
                || y - half_height < -0.5
                || y + half_height > h + 0.5
        };
        let mut spans = Vec::new();
        for (caption, block) in self.captions.iter().filter(|_| scale > 1.0) {
            for (i, word) in caption.words.iter().enumerate() {
                spans.extend(word.span.filter(|_| over(block, i)));
            }
        }
        spans
    }

    /// What is seen at `time`: equal states look alike, so a frame need not be drawn again while
    /// the state stays.
    pub fn state(&self, time: Timestamp) -> Option<State> {
        // The last that began counts where two overlap.
        let caption = self.captions.iter().rposition(|(c, _)| c.start <= time && time < c.end)?;
        let words = &self.captions[caption].0.words;
        let spans = || words.iter().enumerate().filter_map(|(i, w)| w.span.map(|s| (i, s)));
        let active = spans().rfind(|(_, (from, to))| *from <= time && time < *to).map(|(i, _)| i);
        let said = match active {
            Some(active) => active,
            None => {
                spans().filter(|(_, (_, to))| *to <= time).map(|(i, _)| i + 1).max().unwrap_or(0)
            }
        };
        Some(State { caption, said, active })
    }

    /// The ink at `time`; `None` where no caption is shown.
    ///
    /// # Errors
    /// Where the picture cannot be made, which would be a defect.
    pub fn ink(&self, time: Timestamp) -> Result<Option<Arc<Ink>>> {
        let Some(state) = self.state(time) else { return Ok(None) };
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, ink)) = lock().iter().find(|(own, _)| *own == state) {
            return Ok(ink.clone());
        }
        let (caption, block) = &self.captions[state.caption];
        let style = &self.style;
        let timed = caption.words.iter().any(|w| w.span.is_some());
        let look = |word: usize| {
            if !timed {
                WordLook { colour: style.text.colour, scale: 1.0 }
            } else if state.active == Some(word) {
                WordLook { colour: style.active, scale: style.active_scale as f32 }
            } else if word < state.said {
                WordLook { colour: style.said, scale: 1.0 }
            } else {
                WordLook { colour: style.upcoming, scale: 1.0 }
            }
        };
        let sheet = draw(&block.laid, &block.style, block.corner, look);
        let ink = sheet.ink(block.canvas, self.tags)?.map(Arc::new);
        let mut kept = lock();
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((state, ink.clone()));
        Ok(ink)
    }
}
