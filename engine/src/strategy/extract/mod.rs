//! Rules out of speech.
//!
//! Patterns ([`Patterns`], data) find conditions, stops, targets and timeframes in what was heard, and
//! the words that say what they are for: `buy when`, `exit when`, `never`. A condition belongs to such
//! words before it in its sentence, else behind it in its sentence, else before it within reach. What is
//! said so together becomes a strategy; what nothing was said of is left out and told.

mod grammar;
mod patterns;
mod tokens;

pub use patterns::Patterns;

use super::Moment;
use super::rules::{Condition, Direction, Stop, Strategy, Target, Told};
use crate::library::catalogue::rows::SegmentRow;
use crate::timeline::Faults;
use grammar::{At, Text, fill};
use patterns::{Part, Saying};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokens::Heard;

/// Each part that was not said takes this from the confidence.
const LACKING: f64 = 0.93;

/// What was found in a film.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Extraction {
    /// The strategies, in the order in which they were said.
    pub strategies: Vec<Strategy>,
    /// Conditions that became part of none, and why.
    pub ignored: Vec<Ignored>,
}

/// A condition that was heard and left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ignored {
    /// The moment.
    pub said: Moment,
    /// Why.
    pub why: &'static str,
}

/// A pattern that fits.
struct Hit<'p> {
    saying: &'p Saying,
    from: usize,
    /// The last token.
    to: usize,
    value: Value,
    certainty: f64,
}

/// Finds the rules in what was heard of `film` (`content`: BLAKE3 of its bytes, where it is known).
pub fn extract<'a>(
    film: &str,
    content: Option<&str>,
    segments: impl IntoIterator<Item = &'a SegmentRow>,
    patterns: &Patterns,
) -> Extraction {
    let heard = Heard::of(segments);
    let hits = hits(&heard, patterns);
    let mut maker = Maker {
        film,
        content,
        heard: &heard,
        patterns,
        made: Extraction::default(),
        draft: Draft::default(),
    };
    // A condition comes after the words that say what it is for, which may follow it.
    let mut order: Vec<(usize, usize, Option<&Hit<'_>>)> = Vec::new();
    for (n, hit) in hits.iter().enumerate() {
        let cue = match hit.saying.part {
            Part::Condition => cue_of(hit, &hits, &heard, patterns.reach),
            _ => None,
        };
        order.push((cue.map_or(hit.from, |cue| hit.from.max(cue.from)), n, cue));
    }
    // Stable: what stands at one place stays in the order in which it was said.
    order.sort_by_key(|(at, n, cue)| (*at, cue.is_some(), *n));
    for (_, n, cue) in order {
        maker.take(&hits[n], cue);
    }
    maker.finish();
    maker.made
}

/// All patterns that fit, none over another: the longest from the left.
fn hits<'p>(heard: &Heard, patterns: &'p Patterns) -> Vec<Hit<'p>> {
    let tokens = &heard.tokens;
    let plain = Text { tokens, operands: &[], breaks: &patterns.breaks };
    let operands: Vec<Vec<At>> =
        (0..tokens.len()).map(|at| operands(&plain, at, patterns)).collect();
    let text = Text { operands: &operands, ..plain };
    let mut hits = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let fits = patterns.sayings.iter().filter_map(|saying| {
            let found = saying.say.at(&text, at)?;
            let (value, sure) = fill(&saying.means, &found.found)?;
            // A value that is no such part, such as an average of half a day, was not meant.
            is_part(saying.part, &value).then_some(())?;
            let from_found: f64 = match saying.means.is_string() {
                true => 1.0,
                false => sure,
            };
            let to = found.end - 1;
            Some(Hit { saying, from: at, to, value, certainty: saying.certainty * from_found })
        });
        // The first of the longest.
        let best = fits.reduce(|best, next| if next.to > best.to { next } else { best });
        match best {
            Some(hit) => {
                at = hit.to + 1;
                hits.push(hit);
            }
            None => at += 1,
        }
    }
    hits
}

/// The values that begin at a token, the longest first.
fn operands(text: &Text<'_>, at: usize, patterns: &Patterns) -> Vec<At> {
    let mut all: Vec<At> = Vec::new();
    for saying in &patterns.operands {
        let Some(found) = saying.say.at(text, at) else { continue };
        let Some((value, sure)) = fill(&saying.means, &found.found) else { continue };
        if all.iter().any(|other| other.end == found.end) {
            continue;
        }
        let number = value.get("number").is_some();
        all.push(At { end: found.end, value, certainty: saying.certainty * sure, number });
    }
    all.sort_by_key(|at| std::cmp::Reverse(at.end));
    all
}

/// The conditions that a value is: one, or several that must hold together (`between 30 and 50`).
fn all_of(value: &Value) -> &[Value] {
    match value {
        Value::Array(all) => all,
        one => std::slice::from_ref(one),
    }
}

fn is_part(part: Part, value: &Value) -> bool {
    fn reads<T: DeserializeOwned>(value: &Value) -> bool {
        serde_json::from_value::<T>(value.clone()).is_ok()
    }
    match part {
        Part::Condition if all_of(value).is_empty() => false,
        Part::Condition => all_of(value).iter().all(|one| {
            serde_json::from_value::<Condition>(one.clone()).is_ok_and(|condition| {
                let mut faults = Faults::default();
                condition.faults("", &mut faults);
                faults.is_empty()
            })
        }),
        Part::Stop => reads::<Stop>(value),
        Part::Target => reads::<Target>(value),
        Part::Timeframe => reads::<super::Timeframe>(value),
        Part::Enter | Part::Leave | Part::Ignore | Part::Begin => true,
    }
}

/// The words that say what a condition is for.
fn cue_of<'h, 'p>(
    condition: &Hit<'p>,
    hits: &'h [Hit<'p>],
    heard: &Heard,
    reach: usize,
) -> Option<&'h Hit<'p>> {
    let sentence = |hit: &Hit<'_>| heard.tokens[hit.from].sentence;
    let cues = || {
        let is_cue = |part| matches!(part, Part::Enter | Part::Leave | Part::Ignore);
        hits.iter().filter(move |hit| is_cue(hit.saying.part))
    };
    let before = || cues().filter(|cue| cue.from < condition.from);
    let same = |cue: &&Hit<'_>| sentence(cue) == sentence(condition);
    let behind = || cues().find(|cue| cue.from > condition.from && same(cue));
    let near = |cue: &&Hit<'_>| condition.from - cue.to <= reach;
    before().rfind(same).or_else(behind).or_else(|| before().rfind(near))
}

/// A strategy that is being put together.
#[derive(Default)]
struct Draft {
    direction: Option<Told<Direction>>,
    strategy: Option<Strategy>,
    /// When something was last said of it, in seconds.
    last_s: f64,
}

struct Maker<'a> {
    film: &'a str,
    content: Option<&'a str>,
    heard: &'a Heard,
    patterns: &'a Patterns,
    made: Extraction,
    draft: Draft,
}

impl Maker<'_> {
    fn moment(&self, hit: &Hit<'_>) -> Option<Moment> {
        let sure = self.heard.sure(hit.from, hit.to) * hit.certainty;
        Some(Moment {
            film: self.film.to_owned(),
            content: self.content.map(str::to_owned),
            span: self.heard.span(hit.from, hit.to)?,
            text: self.heard.text(hit.from, hit.to),
            pattern: hit.saying.name.clone(),
            confidence: (sure * 1000.0).round() / 1000.0,
        })
    }

    fn told<T: DeserializeOwned>(&self, hit: &Hit<'_>) -> Option<Told<T>> {
        let value = serde_json::from_value(hit.value.clone()).ok()?;
        Some(Told { value, said: self.moment(hit) })
    }

    fn strategy(&mut self) -> &mut Strategy {
        self.draft.strategy.get_or_insert_with(|| Strategy {
            name: String::new(),
            direction: Told::written(Direction::Long),
            timeframe: None,
            entry: Vec::new(),
            exit: Vec::new(),
            stop: None,
            target: None,
            confidence: 0.0,
            missing: Vec::new(),
        })
    }

    fn take(&mut self, hit: &Hit<'_>, cue: Option<&Hit<'_>>) {
        let now = self.heard.at(hit.from).as_secs_f64();
        match hit.saying.part {
            Part::Begin => self.finish(),
            Part::Enter => self.enter(hit, now),
            Part::Leave | Part::Ignore => {}
            Part::Condition => {
                let said = self.moment(hit);
                let all = all_of(&hit.value).iter().filter_map(|one| {
                    let value = serde_json::from_value(one.clone()).ok()?;
                    Some(Told { value, said: said.clone() })
                });
                let all: Vec<Told<Condition>> = all.collect();
                let why = match cue.map(|cue| cue.saying.part) {
                    Some(Part::Enter) => {
                        all.into_iter().for_each(|told| add(&mut self.strategy().entry, told));
                        None
                    }
                    // Any of the conditions to get out is enough, so none can be told in two.
                    Some(Part::Leave) if all.len() > 1 => Some("a range is no way out"),
                    Some(Part::Leave) => {
                        all.into_iter().for_each(|told| add(&mut self.strategy().exit, told));
                        None
                    }
                    Some(_) => Some("it is said what not to do"),
                    None => Some("it is not said what it is for"),
                };
                if let (Some(why), Some(said)) = (why, self.moment(hit)) {
                    self.made.ignored.push(Ignored { said, why });
                }
            }
            // What is said again later is not taken for a change.
            Part::Stop => {
                let told = self.told::<Stop>(hit);
                let strategy = self.strategy();
                strategy.stop = strategy.stop.take().or(told);
            }
            Part::Target => {
                let told = self.told::<Target>(hit);
                let strategy = self.strategy();
                strategy.target = strategy.target.take().or(told);
            }
            Part::Timeframe => {
                let told = self.told(hit);
                let strategy = self.strategy();
                strategy.timeframe = strategy.timeframe.take().or(told);
            }
        }
        self.draft.last_s = now;
    }

    /// Somebody gets in: with what there is so far, or with something new.
    fn enter(&mut self, hit: &Hit<'_>, now: f64) {
        let told = self.told::<Direction>(hit);
        if let Some(strategy) = &self.draft.strategy {
            let other = match (&told, &self.draft.direction) {
                (Some(told), Some(before)) => told.value != before.value,
                _ => false,
            };
            let whole = !strategy.exit.is_empty() || strategy.stop.is_some();
            let late = now - self.draft.last_s > self.patterns.apart_s;
            if !strategy.entry.is_empty() && (other || (whole && late)) {
                self.finish();
            }
        }
        self.draft.direction = self.draft.direction.take().or(told);
    }

    /// Puts away what there is; what says neither when to get in nor when to get out is nothing.
    fn finish(&mut self) {
        let Draft { direction, strategy, .. } = std::mem::take(&mut self.draft);
        let Some(mut strategy) = strategy else { return };
        if strategy.entry.is_empty() && strategy.exit.is_empty() {
            return;
        }
        if let Some(direction) = direction {
            strategy.direction = direction;
        }
        // A file with faults could not be read again: what makes no sense was not heard well.
        let mut faults = Faults::default();
        strategy.part_faults("", &mut faults);
        if faults.0.iter().any(|fault| fault.pointer.starts_with("/target")) {
            strategy.target = None;
        }
        if faults.0.iter().any(|fault| fault.pointer.starts_with("/stop")) {
            strategy.stop = None;
            strategy.target =
                strategy.target.filter(|told| matches!(told.value, Target::Percent(_)));
        }
        strategy.missing = strategy.what_is_missing();
        let sure: Vec<f64> = strategy.moments().map(|moment| moment.confidence).collect();
        let mean = sure.iter().sum::<f64>() / sure.len().max(1) as f64;
        let confidence = mean * LACKING.powi(strategy.missing.len() as i32);
        strategy.confidence = (confidence * 1000.0).round() / 1000.0;
        strategy.name = self.name(&strategy);
        self.made.strategies.push(strategy);
    }

    /// A name that tells what it is about.
    fn name(&self, strategy: &Strategy) -> String {
        let side = match strategy.direction.value {
            Direction::Long => "long",
            Direction::Short => "short",
        };
        let first = strategy.entry.first().or(strategy.exit.first());
        let what = first.map(|told| told.value.to_string()).unwrap_or_default();
        let mut name = String::new();
        for c in format!("{side} {what}").to_lowercase().chars() {
            match c {
                c if c.is_ascii_alphanumeric() => name.push(c),
                _ if name.ends_with('-') => {}
                _ => name.push('-'),
            }
        }
        name.truncate(70);
        let name = name.trim_matches('-').to_owned();
        let taken = |name: &str| self.made.strategies.iter().any(|other| other.name == name);
        let mut free = name.clone();
        let mut n = 2;
        while taken(&free) {
            free = format!("{name}-{n}");
            n += 1;
        }
        free
    }
}

/// Adds a condition unless it is there.
fn add(conditions: &mut Vec<Told<Condition>>, told: Told<Condition>) {
    if !conditions.iter().any(|other| other.value == told.value) {
        conditions.push(told);
    }
}

#[cfg(test)]
mod tests;
