//! A transcript cut into captions: where they begin and end, what stands on which line, and for
//! how long.

use super::clean::clean;
use super::lines::{self, Atom, Ending, Fill, LineRules};
use crate::speech::transcript::{Segment, Transcript};
use crate::time::{Rounding, Span, TimeBase, Timestamp};
use std::ops::Range;

/// No caption is made of more pieces than this, however narrow they are.
const MAX_ATOMS: usize = 200;
/// A silence after which a new caption is better.
const PAUSE: Timestamp = Timestamp::from_millis(300);
/// A silence that a caption should not hide.
const LONG_PAUSE: Timestamp = Timestamp::from_secs(1);

/// A caption to be written: lines of clean text, shown for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Cue {
    /// When it is shown.
    pub span: Span,
    /// Its lines, none of them empty.
    pub lines: Vec<String>,
    /// Its words in order, where their times are known.
    pub words: Vec<CueWord>,
    /// The segment of the transcript that it comes from.
    pub segment: usize,
}

/// A word of a [`Cue`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CueWord {
    /// When it is heard.
    pub span: Span,
    /// The line it stands on.
    pub line: usize,
    /// Its bytes in that line.
    pub range: Range<usize>,
}

/// The captions of a transcript, and where they break the rules because the speech does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cues {
    /// The captions: in order, without overlap, inside the input, with all of its text.
    pub cues: Vec<Cue>,
    /// Which of them could not keep to the rules.
    pub report: CueReport,
}

/// Which captions (by their place in [`Cues::cues`]) could not keep to the rules: the text is kept
/// all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CueReport {
    /// To be read faster than allowed, because the next follows at once.
    pub too_fast: Vec<usize>,
    /// Shown for less than the least time.
    pub too_short: Vec<usize>,
    /// Shown for more than the longest time: one word that lasts.
    pub too_long: Vec<usize>,
    /// With a line that is too wide: one word without a place to break.
    pub too_wide: Vec<usize>,
    /// With less than the least gap to the next.
    pub too_close: Vec<usize>,
}

/// Cuts `transcript` into captions by `rules`.
///
/// Captions begin and end with segments, and inside them at ends of sentences, at pauses, at other
/// punctuation, or else where the lines come out even; never inside a word. Where words have no
/// times, a segment's time is shared out by columns. A caption stays on into a following silence
/// until it can be read.
pub fn cues(transcript: &Transcript, rules: &LineRules) -> Cues {
    let mut cues = Vec::new();
    for (segment, said) in transcript.segments.iter().enumerate() {
        let (atoms, timed) = atoms_of(said);
        for range in divide(&atoms, rules) {
            cues.push(lay_out(&atoms[range], timed, segment, rules));
        }
    }
    settle(cues, transcript.duration, rules)
}

/// The pieces of a segment, and whether they are words with times of their own.
fn atoms_of(segment: &Segment) -> (Vec<Atom>, bool) {
    let text = clean(&segment.text);
    let without_spaces = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect();
    let wanted: String = without_spaces(&text);
    let words: Vec<(String, &crate::speech::transcript::Word)> = segment
        .words
        .iter()
        .map(|word| (clean(&word.text), word))
        .filter(|(text, _)| !text.is_empty())
        .collect();
    let said: String = words.iter().map(|(text, _)| without_spaces(text)).collect::<String>();
    if words.is_empty() || said != wanted {
        return (shared_out(&text, segment.span), false);
    }
    let mut whole = String::with_capacity(text.len());
    let mut atoms = Vec::with_capacity(words.len());
    let mut starts = Vec::with_capacity(words.len());
    let mut last = segment.span.start;
    for (text, word) in words {
        if word.spaced && !whole.is_empty() {
            whole.push(' ');
        }
        starts.push(whole.len());
        whole.push_str(&text);
        let start = word.span.start.max(last);
        let end = word.span.end.max(start);
        last = end;
        atoms.push(Atom {
            width: lines::width(&text),
            text,
            spaced: word.spaced,
            may_break: false,
            start,
            end,
        });
    }
    let places = lines::opportunities(&whole);
    for (atom, start) in atoms.iter_mut().zip(starts) {
        atom.may_break = places.binary_search(&start).is_ok();
    }
    (atoms, true)
}

/// `text` in its smallest breakable pieces, with `span` shared out by their columns.
fn shared_out(text: &str, span: Span) -> Vec<Atom> {
    let total = lines::width(text).max(1) as u64;
    // u32 bounds what `times` takes; a text of so many columns is none.
    let part = |columns: u64| {
        let time = span.duration().times(
            u32::try_from(columns.min(total)).unwrap_or(u32::MAX),
            u32::try_from(total).unwrap_or(u32::MAX),
        );
        span.start.plus(time).rescale(TimeBase::MICROS, Rounding::Floor).clamp(span.start, span.end)
    };
    let mut atoms = Vec::new();
    let (mut from, mut columns, mut spaced) = (0, 0, false);
    for to in lines::opportunities(text) {
        let piece = &text[from..to];
        let shown = piece.trim_end_matches(' ');
        let width = lines::width(shown);
        if !shown.is_empty() {
            let start = part(columns);
            columns += width as u64;
            atoms.push(Atom {
                text: shown.to_owned(),
                width,
                spaced,
                may_break: true,
                start,
                end: part(columns),
            });
        }
        let spaces = piece.len() - shown.len();
        columns += spaces as u64;
        spaced = spaces > 0;
        from = to;
    }
    atoms
}

/// Where to cut `atoms` into captions: the cheapest way by [`cost`].
fn divide(atoms: &[Atom], rules: &LineRules) -> Vec<Range<usize>> {
    // best[k]: the cost of the best way to cut atoms[..k], and where its last caption begins.
    let mut best = vec![(u64::MAX, 0); atoms.len() + 1];
    best[0].0 = 0;
    for from in 0..atoms.len() {
        let before = best[from].0;
        let mut fill = Fill::new(rules.columns());
        let mut inside = 0;
        let mut sentences = 0;
        for to in from + 1..=atoms.len().min(from + MAX_ATOMS) {
            let atom = &atoms[to - 1];
            fill.push(atom);
            if to > from + 1 {
                if fill.lines > rules.lines() {
                    break;
                }
                let previous = &atoms[to - 2];
                if atom.start.minus(previous.end) >= LONG_PAUSE {
                    inside += 300;
                }
                if lines::ending(&previous.text) == Ending::Sentence {
                    sentences += 1;
                }
            }
            // Whole sentences may share a caption; one and a half should not.
            let whole = to == atoms.len() || lines::ending(&atom.text) == Ending::Sentence;
            let shared = sentences * if whole { 15 } else { 120 };
            let cost = before + inside + shared + cost(atoms, from, to, rules);
            if cost < best[to].0 {
                best[to] = (cost, from);
            }
        }
    }
    let mut ranges = Vec::new();
    let mut to = atoms.len();
    while to > 0 {
        let from = best[to].1;
        ranges.push(from..to);
        to = from;
    }
    ranges.reverse();
    ranges
}

/// How bad it is to make one caption of `atoms[from..to]`. The figures are weighed against each
/// other only: a caption more, 100; one that ends in mid-sentence, 120.
fn cost(atoms: &[Atom], from: usize, to: usize, rules: &LineRules) -> u64 {
    let last = &atoms[to - 1];
    let mut cost = 100;
    if let Some(next) = atoms.get(to) {
        cost += match lines::ending(&last.text) {
            _ if !next.may_break => 1000,
            Ending::Sentence => 0,
            _ if next.start.minus(last.end) >= PAUSE => 20,
            Ending::Clause => 30,
            Ending::Nothing => 120,
        };
    }
    let shown = last.end.minus(atoms[from].start);
    if shown > rules.max_duration && to > from + 1 {
        let excess = shown.minus(rules.max_duration).as_millis();
        cost += 500 + u64::try_from(excess / 5).unwrap_or(0);
    }
    if shown < rules.min_duration {
        cost += 40;
    }
    // A caption of one or two short words beside a full one.
    let columns: usize = atoms[from..to].iter().map(|a| a.width + usize::from(a.spaced)).sum();
    if columns * 4 < rules.columns() && to - from < atoms.len() {
        cost += 40;
    }
    cost
}

fn lay_out(atoms: &[Atom], timed: bool, segment: usize, rules: &LineRules) -> Cue {
    let breaks = lines::break_lines(atoms, rules.columns(), rules.lines());
    let mut made = vec![String::new()];
    let mut words = Vec::new();
    for (k, atom) in atoms.iter().enumerate() {
        if breaks.contains(&k) {
            made.push(String::new());
        }
        let line = made.len() - 1;
        let text = &mut made[line];
        if atom.spaced && !text.is_empty() {
            text.push(' ');
        }
        let start = text.len();
        text.push_str(&atom.text);
        if timed {
            let span = Span { start: atom.start, end: atom.end };
            words.push(CueWord { span, line, range: start..text.len() });
        }
    }
    let start = atoms.first().map_or(Timestamp::ZERO, |a| a.start);
    let mut end = atoms.last().map_or(start, |a| a.end);
    if !timed {
        // Its times are guesses anyway.
        end = end.min(start.plus(rules.max_duration));
    }
    Cue { span: Span { start, end: end.max(start) }, lines: made, words, segment }
}

/// Gives each caption its final time, and says which rules it breaks.
fn settle(mut cues: Vec<Cue>, duration: Timestamp, rules: &LineRules) -> Cues {
    let mut last = Timestamp::ZERO;
    for cue in &mut cues {
        cue.span.start = cue.span.start.max(last).min(duration.max(last));
        cue.span.end = cue.span.end.min(duration).max(cue.span.start);
        last = cue.span.end;
    }
    let mut report = CueReport::default();
    for n in 0..cues.len() {
        let next = cues.get(n + 1).map(|cue| cue.span.start);
        let cue = &mut cues[n];
        let columns: usize = cue.lines.iter().map(|line| lines::width(line)).sum();
        let (start, heard) = (cue.span.start, cue.span.end);
        let readable = Timestamp::from_secs(1)
            .times(u32::try_from(columns).unwrap_or(u32::MAX), rules.max_chars_per_second.max(1));
        let wanted = readable.max(rules.min_duration).min(rules.max_duration);
        let mut end = heard.max(start.plus(wanted)).min(duration.max(heard));
        if let Some(next) = next {
            let limit = next.minus(rules.min_gap);
            // A caption shorter than a gap is not cut for one.
            end = end.min(if limit > start.plus(rules.min_gap) { limit } else { next });
            if next.minus(end) < rules.min_gap {
                report.too_close.push(n);
            }
        }
        cue.span.end = end.max(start);
        let shown = cue.span.duration();
        if shown < readable {
            report.too_fast.push(n);
        }
        if shown < rules.min_duration {
            report.too_short.push(n);
        }
        if shown > rules.max_duration {
            report.too_long.push(n);
        }
        if cue.lines.iter().any(|line| lines::width(line) > rules.columns()) {
            report.too_wide.push(n);
        }
    }
    Cues { cues, report }
}

/// The times of `cues` in whole `1/rate` s: in order, without overlap, none of no length.
pub(super) fn on_grid(cues: &[Cue], rate: u32) -> Vec<(i64, i64)> {
    let base = TimeBase::per_second(rate);
    let mut last = 0;
    let mut out = Vec::with_capacity(cues.len());
    for cue in cues {
        let start = cue.span.start.rescale(base, Rounding::Nearest).ticks().max(last);
        let end = cue.span.end.rescale(base, Rounding::Nearest).ticks().max(start + 1);
        last = end;
        out.push((start, end));
    }
    out
}
