//! The texts of an edit: titles and captions, shaped before the first frame, so that a missing
//! glyph, font or file is told with its pointer and not met on the way.

use super::compose::ColourTags;
use super::subtitled::Subtitled;
use super::text::{
    Anchor, Backdrop, CaptionStyle, CaptionTrack, CaptionWord, FontSet, FontShelf, Ink, Rgba,
    SafeArea, Shadow, StyledTrack, TextAlign, TextBlock, TextStyle, TimedCaption, is_styled,
};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::speech::subtitles::{self, LineRules, SubtitleFormat};
use crate::time::{Span, Timestamp};
use crate::timeline::{
    Align, CaptionSpec, CaptionStyles, Clip, Faults, Layout, NORMAL_SPEED, Rate, Rgb, Safe, Shown,
    TextLook, Timeline,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The texts of an edit, ready to be laid on frames.
#[derive(Default)]
pub(super) struct Inks {
    /// By the clip's pointer; none where a title has no ink.
    titles: HashMap<String, Option<Arc<Ink>>>,
    tracks: Vec<Track>,
    /// Families that were taken from the shelf.
    fonts: Vec<&'static str>,
}

enum Track {
    /// Words and times in the edit's look.
    Plain { spec: Box<CaptionSpec>, captions: Vec<TimedCaption>, drawn: Box<CaptionTrack> },
    /// As the file has them.
    Styled(Box<Subtitled>),
}

impl Track {
    /// What there is of captions in the edit's look.
    fn plain(&self) -> Option<(&CaptionSpec, &[TimedCaption], &CaptionTrack)> {
        match self {
            Self::Plain { spec, captions, drawn } => Some((spec, captions, drawn)),
            Self::Styled(_) => None,
        }
    }
}

/// A caption file that was read.
enum File {
    Plain(Vec<TimedCaption>),
    Styled(subtitles::Captions),
}

/// Bytes of a caption file: a day's transcript with every token has some.
const MAX_BYTES: u64 = 256 << 20;

impl Inks {
    /// Reads and shapes everything.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(
        timeline: &Timeline,
        layout: &Layout,
        (folder, shelf): (&Path, &FontShelf),
        tags: ColourTags,
    ) -> std::result::Result<Self, Faults> {
        let mut faults = Faults::default();
        let mut inks = Self::default();
        let titles = || timeline.items().filter_map(|(at, item)| Some((at, item.title.as_ref()?)));
        if titles().next().is_none() && timeline.captions.is_empty() {
            return Ok(inks);
        }
        // Styled captions are shaped when they are shown.
        let shared = Arc::new(Mutex::new(FontSet::new().with_shelf(shelf.clone())));
        let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fonts = lock();
        for (i, file) in timeline.fonts.iter().enumerate() {
            if let Err(error) = fonts.add_file(&folder.join(file)) {
                faults.add(format!("/fonts/{i}"), error.to_string());
            }
        }
        let size = timeline.canvas.size;
        let canvas = (size.width, size.height);
        for (at, title) in titles() {
            let style = style(title.look.as_ref(), canvas);
            let anchor = Anchor(title.x.unwrap_or(0.5), title.y.unwrap_or(0.5));
            let block =
                TextBlock::new(&mut fonts, &title.text, &style, canvas, safe(title.safe), anchor);
            match block.and_then(|block| block.ink(tags)) {
                Ok(ink) => {
                    inks.titles.insert(at, ink.map(Arc::new));
                }
                Err(error) => faults.add(format!("{at}/title"), error.to_string()),
            }
        }
        drop(fonts);
        for (i, spec) in timeline.captions.iter().enumerate() {
            let at = format!("/captions/{i}");
            let rate = timeline.canvas.rate;
            match read(spec, &folder.join(&spec.file)) {
                Ok(File::Plain(captions)) => {
                    let captions = placed(captions, spec, layout, rate);
                    let anchor = Anchor(spec.x.unwrap_or(0.5), spec.y.unwrap_or(1.0));
                    let place = (safe(spec.safe), anchor);
                    let style = caption_style(spec, canvas);
                    let words = captions.clone();
                    match CaptionTrack::new(&mut lock(), words, style, canvas, place, tags) {
                        Ok(drawn) => {
                            let (spec, drawn) = (Box::new(spec.clone()), Box::new(drawn));
                            inks.tracks.push(Track::Plain { spec, captions, drawn });
                        }
                        Err(error) => faults.add(at, error.to_string()),
                    }
                }
                Ok(File::Styled(captions)) => {
                    let look = (&style(spec.look.as_ref(), canvas), safe(spec.safe));
                    match StyledTrack::new(Arc::clone(&shared), &captions, look, canvas, tags) {
                        Ok(track) => {
                            let own = Subtitled::new(track, spec.asset.as_ref(), layout, rate);
                            inks.tracks.push(Track::Styled(Box::new(own)));
                        }
                        Err(error) => faults.add(at, error.to_string()),
                    }
                }
                Err(error) => faults.add(format!("{at}/file"), error.to_string()),
            }
        }
        inks.fonts = lock().taken();
        faults.or(Some(inks))
    }

    /// The families of the catalogue that texts needed, in the order in which they did.
    pub fn fonts(&self) -> &[&'static str] {
        &self.fonts
    }

    /// A title's ink.
    pub fn title(&self, clip: &Clip) -> Option<Arc<Ink>> {
        self.titles.get(&clip.pointer).cloned().flatten()
    }

    /// The inks of the captions shown at `time`, in order.
    pub fn captions(&self, time: Timestamp) -> Result<Vec<Arc<Ink>>> {
        let mut made = Vec::new();
        for track in &self.tracks {
            match track {
                Track::Plain { drawn, .. } => made.extend(drawn.ink(time)?),
                Track::Styled(own) => made.extend(own.inks(time)?),
            }
        }
        Ok(made)
    }

    /// Whether any caption is shown at `time`.
    pub fn is_captioned(&self, time: Timestamp) -> bool {
        self.tracks.iter().any(|track| match track {
            Track::Plain { drawn, .. } => drawn.state(time).is_some(),
            Track::Styled(own) => own.is_shown(time),
        })
    }

    /// When captions hang over the canvas's edge, in order.
    pub fn cut_off(&self) -> Vec<Span> {
        let plain = self.tracks.iter().filter_map(Track::plain);
        let spans = plain.flat_map(|(_, _, drawn)| drawn.cut_off());
        let mut spans: Vec<Span> = spans.filter_map(|(start, end)| Span::new(start, end)).collect();
        spans.sort_by_key(|span| span.start);
        spans
    }

    /// When something is said in `asset` by the captions that belong to it or to the programme, on the
    /// canvas's clock: words where they have times, else captions. `None` without such captions.
    pub fn said(&self, asset: &str) -> Option<Vec<(Timestamp, Timestamp)>> {
        let plain = self.tracks.iter().filter_map(Track::plain);
        let own = plain.filter(|(spec, ..)| spec.asset.as_deref().is_none_or(|own| own == asset));
        let mut tracks = own.peekable();
        tracks.peek()?;
        let spans = tracks.flat_map(|(_, captions, _)| captions).flat_map(|caption| {
            let words: Vec<_> = caption.words.iter().filter_map(|word| word.span).collect();
            if words.is_empty() { vec![(caption.start, caption.end)] } else { words }
        });
        Some(spans.collect())
    }

    /// The nearer end of a caption that is shown at `time` and was before: where a cut through it
    /// would rather be, so that a change of the caption concerns one side only.
    pub fn better_seam(&self, time: Timestamp) -> Option<Timestamp> {
        let mut spans = self.tracks.iter().flat_map(|track| match track {
            Track::Plain { captions, .. } => captions.iter().map(|c| (c.start, c.end)).collect(),
            Track::Styled(own) => own.spans(time),
        });
        let (start, end) = spans.find(|(start, end)| *start < time && time < *end)?;
        let (before, behind) = (time.minus(start), end.minus(time));
        Some(if before <= behind { start } else { end })
    }

    /// What decides the captions from `start` to `end`, seen from `start`.
    pub fn key(&self, start: Timestamp, end: Timestamp) -> Value {
        let tracks = self.tracks.iter().map(|track| match track {
            Track::Plain { spec, captions, .. } => plain_key(spec, captions, (start, end)),
            Track::Styled(own) => own.key(start, end),
        });
        Value::Array(tracks.flatten().collect())
    }
}

fn plain_key(
    spec: &CaptionSpec,
    captions: &[TimedCaption],
    (start, end): (Timestamp, Timestamp),
) -> Option<Value> {
    let seen = captions.iter().filter(|c| c.start < end && c.end > start);
    let captions: Vec<_> = seen
        .map(|c| {
            let words: Vec<_> = c
                .words
                .iter()
                .map(|word| {
                    let span = word.span.map(|(a, b)| [a.minus(start), b.minus(start)]);
                    json!([word.text, span, word.breaks])
                })
                .collect();
            // What lies beyond the segment does not change it.
            json!([c.start.max(start).minus(start), c.end.min(end).minus(start), words])
        })
        .collect();
    (!captions.is_empty()).then(|| {
        let mut look = spec.clone();
        look.file = String::new();
        look.asset = None;
        json!([look, captions])
    })
}

fn rgba(colour: Rgb) -> Rgba {
    let [r, g, b] = colour.rgb;
    [r, g, b, colour.alpha]
}

fn safe(safe: Option<Safe>) -> SafeArea {
    match safe.unwrap_or_default() {
        Safe::Title => SafeArea::default(),
        Safe::Phone => SafeArea::PHONE,
        Safe::None => SafeArea { left: 0.0, right: 0.0, top: 0.0, bottom: 0.0 },
    }
}

fn style(look: Option<&TextLook>, (width, height): (u32, u32)) -> TextStyle {
    let shorter = f64::from(width.min(height));
    let size = look.and_then(|l| l.size).unwrap_or(0.06) * shorter;
    let share = |value: Option<f64>, usual: f64| value.unwrap_or(usual) * size;
    let black = |alpha| Rgb { rgb: [0; 3], alpha };
    let colour = |value: Option<Rgb>, usual: Rgb| rgba(value.unwrap_or(usual));
    TextStyle {
        family: look.and_then(|l| l.family.clone()),
        size,
        weight: look.and_then(|l| l.weight).map_or(700, |w| u16::try_from(w).unwrap_or(700)),
        italic: look.and_then(|l| l.italic).unwrap_or(false),
        colour: colour(look.and_then(|l| l.colour), Rgb { rgb: [255; 3], alpha: 255 }),
        outline: look
            .and_then(|l| l.outline.as_ref())
            .map(|o| (share(o.width, 0.06), colour(o.colour, black(255)))),
        shadow: look.and_then(|l| l.shadow.as_ref()).map(|s| Shadow {
            offset: (share(s.x, 0.05), share(s.y, 0.05)),
            blur: share(s.blur, 0.05),
            colour: colour(s.colour, black(128)),
        }),
        backdrop: look.and_then(|l| l.r#box.as_ref()).map(|b| Backdrop {
            padding: share(b.padding, 0.3),
            radius: share(b.radius, 0.2),
            colour: colour(b.colour, black(170)),
        }),
        align: match look.and_then(|l| l.align).unwrap_or_default() {
            Align::Left => TextAlign::Left,
            Align::Centre => TextAlign::Centre,
            Align::Right => TextAlign::Right,
        },
        line_height: look.and_then(|l| l.line_height).unwrap_or(1.2),
    }
}

fn caption_style(spec: &CaptionSpec, canvas: (u32, u32)) -> CaptionStyle {
    let text = style(spec.look.as_ref(), canvas);
    let colour = |value: Option<Rgb>| value.map_or(text.colour, rgba);
    CaptionStyle {
        upcoming: colour(spec.upcoming),
        active: colour(spec.active),
        active_scale: spec.active_scale.unwrap_or(1.0),
        said: colour(spec.said),
        text,
    }
}

/// Whether a file is shown as it is styled.
fn keeps_styles(spec: &CaptionSpec, captions: &subtitles::Captions) -> bool {
    let restyled = spec.look.is_some()
        || [spec.upcoming, spec.active, spec.said].iter().any(Option::is_some)
        || [spec.active_scale, spec.x, spec.y].iter().any(Option::is_some);
    match spec.styles {
        Some(styles) => styles == CaptionStyles::File,
        None => is_styled(captions) && !restyled,
    }
}

/// The captions of a file, in its own times.
fn read(spec: &CaptionSpec, path: &Path) -> Result<File> {
    let failed = |e: std::io::Error| Error::io(Stage::Open, path, e);
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(failed(std::io::ErrorKind::InvalidInput.into()));
    }
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) {
        if spec.styles == Some(CaptionStyles::File) {
            let what = "a transcript has no styles";
            return Err(Error::new(ErrorKind::Input, Stage::Render, what)
                .input(path)
                .hint("leave \"styles\" out, or give SRT, WebVTT or ASS"));
        }
        let transcript = subtitles::read_json(&bytes).map_err(|e| e.input(path))?;
        let mut rules = LineRules::for_language(&transcript.language);
        rules.max_chars_per_line = spec.columns.unwrap_or(rules.max_chars_per_line);
        rules.max_lines = spec.lines.unwrap_or(rules.max_lines);
        let cues = subtitles::cues(&transcript, &rules).cues;
        return Ok(File::Plain(cues.iter().map(of_cue).collect()));
    }
    let captions = subtitles::read(&bytes).map_err(|e| e.input(path))?;
    if keeps_styles(spec, &captions) {
        if captions.format == SubtitleFormat::Ass && spec.look.is_some() {
            let what = "an ASS file brings its own look, and the edit gives another";
            return Err(Error::new(ErrorKind::Input, Stage::Render, what)
                .input(path)
                .hint("leave \"look\" out, or say \"styles\": \"plain\""));
        }
        return Ok(File::Styled(captions));
    }
    let cues = captions.cues.iter().filter(|c| c.start < c.end);
    Ok(File::Plain(cues.map(of_caption).collect()))
}

fn plain_words(lines: &[String]) -> Vec<CaptionWord> {
    let mut words = Vec::new();
    for line in lines {
        let last = line.split_whitespace().count();
        words.extend(line.split_whitespace().enumerate().map(|(i, word)| CaptionWord {
            text: word.to_owned(),
            span: None,
            breaks: i + 1 == last,
        }));
    }
    words
}

fn of_cue(cue: &subtitles::Cue) -> TimedCaption {
    let timed: Vec<_> = cue
        .words
        .iter()
        .enumerate()
        .filter_map(|(i, word)| {
            let next = cue.words.get(i + 1);
            Some(CaptionWord {
                text: cue.lines.get(word.line)?.get(word.range.clone())?.to_owned(),
                span: Some((word.span.start, word.span.end)),
                breaks: next.is_some_and(|next| next.line != word.line),
            })
        })
        .collect();
    let words = if timed.is_empty() { plain_words(&cue.lines) } else { timed };
    TimedCaption { start: cue.span.start, end: cue.span.end, words }
}

fn of_caption(caption: &subtitles::Caption) -> TimedCaption {
    let timed = caption.timed();
    let pieces = || timed.iter().filter(|(_, text)| !text.trim().is_empty());
    let words = if pieces().next().is_none() {
        plain_words(&caption.text().lines().map(str::to_owned).collect::<Vec<_>>())
    } else {
        let ends: Vec<Timestamp> =
            pieces().skip(1).map(|(at, _)| *at).chain([caption.end]).collect();
        pieces()
            .zip(ends)
            .map(|((start, text), end)| CaptionWord {
                text: text.trim().to_owned(),
                span: (*start < end).then_some((*start, end)),
                breaks: text.trim_end_matches([' ', '\t']).ends_with('\n'),
            })
            .collect()
    };
    TimedCaption { start: caption.start, end: caption.end, words }
}

/// The captions where they are shown: as they are, or wherever the asset that they belong to is.
fn placed(
    captions: Vec<TimedCaption>,
    spec: &CaptionSpec,
    layout: &Layout,
    rate: Rate,
) -> Vec<TimedCaption> {
    let Some(asset) = &spec.asset else { return captions };
    let mut made = Vec::new();
    for clip in layout.video.iter().flatten() {
        if clip.shown != Shown::Asset(asset.clone()) || clip.speed == 0 || clip.reverse {
            continue;
        }
        let start = rate.time(clip.start);
        let on_canvas = |time: Timestamp| {
            start.plus(
                time.clamp(clip.from, clip.to).minus(clip.from).times(NORMAL_SPEED, clip.speed),
            )
        };
        for caption in captions.iter().filter(|c| c.start < clip.to && c.end > clip.from) {
            // Of a caption that the cut goes through, the words that are heard on this side.
            let heard = |word: &&CaptionWord| match word.span {
                Some((a, b)) => {
                    let middle = a.plus(b.minus(a).times(1, 2));
                    (clip.from..clip.to).contains(&middle)
                }
                None => true,
            };
            let words: Vec<_> = caption
                .words
                .iter()
                .filter(heard)
                .map(|word| CaptionWord {
                    span: word.span.map(|(a, b)| (on_canvas(a), on_canvas(b))),
                    ..word.clone()
                })
                .collect();
            let (start, end) = (on_canvas(caption.start), on_canvas(caption.end));
            if !words.is_empty() && start < end {
                made.push(TimedCaption { start, end, words });
            }
        }
    }
    made.sort_by_key(|caption| caption.start);
    made
}
