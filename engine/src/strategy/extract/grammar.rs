//! What patterns are written in: words, `(one|another)`, `[perhaps]`, `*4` for up to four words of any
//! kind, and `{name:kind}` for what is to be found out.

use super::tokens::Token;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a `{}` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A number.
    Number,
    /// Anything that has a value at every bar.
    Operand,
    /// As [`Kind::Operand`], numbers left out.
    Indicator,
}

#[derive(Clone, Debug, PartialEq)]
enum Item {
    Word(String),
    Any { ways: Vec<Vec<Item>>, may_lack: bool },
    Slot { name: String, kind: Kind },
    Gap(usize),
}

/// A pattern, ready to be matched.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern(Vec<Item>);

/// What was found for each `{}`: its value, and how sure it is.
pub type Found = BTreeMap<String, (Value, f64)>;

/// A match.
#[derive(Clone, Debug)]
pub struct Match {
    /// The token behind it.
    pub end: usize,
    /// What was found.
    pub found: Found,
}

/// What can be at a token besides itself: where it ends, its value, how sure, and whether a number.
pub struct At {
    /// The token behind it.
    pub end: usize,
    /// The operand as JSON.
    pub value: Value,
    /// 0 to 1.
    pub certainty: f64,
    /// Whether it is a plain number.
    pub number: bool,
}

/// What patterns are matched with.
pub struct Text<'t> {
    /// The tokens.
    pub tokens: &'t [Token],
    /// The operands that begin at each token; empty while these are being found.
    pub operands: &'t [Vec<At>],
    /// Words over which `*` does not reach.
    pub breaks: &'t [String],
}

/// Ways that are followed at once; a pattern of more is a mistake.
const MOST_WAYS: usize = 256;
const MOST_DEPTH: usize = 8;
const MOST_LENGTH: usize = 4000;

impl Pattern {
    /// Reads a pattern; `<name>` stands for what `words` has under that name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str, words: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut whole = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('<') {
            let (name, after) = after.split_once('>').ok_or("`<` has no `>`")?;
            let of =
                words.get(name).ok_or_else(|| format!("there are no words called `{name}`"))?;
            whole.push_str(before);
            whole.push_str(of);
            rest = after;
        }
        whole.push_str(rest);
        if whole.len() > MOST_LENGTH {
            return Err(format!("is longer than {MOST_LENGTH} letters"));
        }
        let mut letters = whole.chars().peekable();
        let mut ways = ways(&mut letters, None, 0)?;
        match (ways.pop(), ways.is_empty()) {
            (Some(items), true) if !items.is_empty() => Ok(Self(items)),
            (_, true) => Err("is empty".to_owned()),
            _ => Err("`|` stands within ( ) or [ ]".to_owned()),
        }
    }

    /// The match that begins at token `start`: with as much as may be of what is optional, and with
    /// as few words as may be passed over.
    pub fn at(&self, text: &Text<'_>, start: usize) -> Option<Match> {
        let ways = follow(&self.0, text, vec![Match { end: start, found: Found::new() }]);
        ways.into_iter().find(|way| way.end > start)
    }
}

type Letters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Reads until `close`.
fn ways(
    letters: &mut Letters<'_>,
    close: Option<char>,
    depth: usize,
) -> Result<Vec<Vec<Item>>, String> {
    if depth > MOST_DEPTH {
        return Err(format!("has more than {MOST_DEPTH} brackets within each other"));
    }
    let mut ways = vec![Vec::new()];
    let push = |ways: &mut Vec<Vec<Item>>, item: Item| {
        if let Some(way) = ways.last_mut() {
            way.push(item);
        }
    };
    loop {
        let Some(c) = letters.next() else {
            return match close {
                None => Ok(ways),
                Some(close) => Err(format!("`{close}` is missing")),
            };
        };
        match c {
            c if Some(c) == close => return Ok(ways),
            c if c.is_whitespace() => {}
            '|' => ways.push(Vec::new()),
            '(' => {
                let inner = self::ways(letters, Some(')'), depth + 1)?;
                push(&mut ways, Item::Any { ways: inner, may_lack: false });
            }
            '[' => {
                let inner = self::ways(letters, Some(']'), depth + 1)?;
                push(&mut ways, Item::Any { ways: inner, may_lack: true });
            }
            '{' => {
                let slot: String = letters.by_ref().take_while(|c| *c != '}').collect();
                push(&mut ways, slot_of(&slot)?);
            }
            '*' => {
                let digits = taken(letters, |c| c.is_ascii_digit());
                let most = digits.parse().ok().filter(|n| (1..=20).contains(n));
                push(&mut ways, Item::Gap(most.ok_or("`*` has a number from 1 to 20 behind it")?));
            }
            c if c.is_alphanumeric() => {
                let word = format!("{c}{}", taken(letters, char::is_alphanumeric));
                push(&mut ways, Item::Word(word.to_lowercase()));
            }
            c => return Err(format!("`{c}` means nothing here")),
        }
    }
}

fn taken(letters: &mut Letters<'_>, wanted: impl Fn(char) -> bool) -> String {
    let mut out = String::new();
    while let Some(c) = letters.next_if(|c| wanted(*c)) {
        out.push(c);
    }
    out
}

fn slot_of(text: &str) -> Result<Item, String> {
    let (name, kind) = text.split_once(':').unwrap_or((text, "number"));
    let kind = match kind {
        "number" => Kind::Number,
        "operand" => Kind::Operand,
        "indicator" => Kind::Indicator,
        other => return Err(format!("`{other}` is no kind: number, operand, indicator")),
    };
    match name.is_empty() || !name.chars().all(char::is_alphanumeric) {
        true => Err(format!("`{{{text}}}` has no name")),
        false => Ok(Item::Slot { name: name.to_owned(), kind }),
    }
}

/// All ways on from each of `ways` through `items`.
fn follow(items: &[Item], text: &Text<'_>, mut ways: Vec<Match>) -> Vec<Match> {
    for item in items {
        let mut next = Vec::new();
        for way in ways {
            step(item, text, way, &mut next);
            if next.len() > MOST_WAYS {
                break;
            }
        }
        if next.is_empty() {
            return next;
        }
        ways = next;
    }
    ways
}

fn step(item: &Item, text: &Text<'_>, way: Match, next: &mut Vec<Match>) {
    let token = text.tokens.get(way.end);
    match item {
        Item::Word(word) => {
            if token.is_some_and(|token| token.text == *word) {
                next.push(Match { end: way.end + 1, ..way });
            }
        }
        Item::Any { ways, may_lack } => {
            for inner in ways {
                next.extend(follow(inner, text, vec![way.clone()]));
            }
            if *may_lack {
                next.push(way);
            }
        }
        Item::Slot { name, kind: Kind::Number } => {
            if let Some(number) = token.and_then(|token| token.number) {
                next.push(with(&way, way.end + 1, name, number_json(number), 1.0));
            }
        }
        Item::Slot { name, kind } => {
            for at in text.operands.get(way.end).into_iter().flatten() {
                if *kind == Kind::Operand || !at.number {
                    next.push(with(&way, at.end, name, at.value.clone(), at.certainty));
                }
            }
        }
        Item::Gap(most) => {
            let Some(first) = token else {
                next.push(way);
                return;
            };
            for end in way.end..=way.end + most {
                // Over the words passed so far.
                if end > way.end {
                    let Some(over) = text.tokens.get(end - 1) else { break };
                    if over.sentence != first.sentence || text.breaks.contains(&over.text) {
                        break;
                    }
                }
                next.push(Match { end, found: way.found.clone() });
            }
        }
    }
}

fn with(way: &Match, end: usize, name: &str, value: Value, certainty: f64) -> Match {
    let mut found = way.found.clone();
    found.insert(name.to_owned(), (value, certainty));
    Match { end, found }
}

/// A whole number as one, so that it can be a number of bars.
fn number_json(number: f64) -> Value {
    match number.fract() == 0.0 && (0.0..1e15).contains(&number) {
        true => json!(number as u64),
        false => json!(number),
    }
}

/// `means` with what was found put in: `"{n}"` by the value itself, `"{n}m"` within the text, and
/// `"{n|20}"` by 20 where nothing was found; and how sure what was put in is.
pub fn fill(means: &Value, found: &Found) -> Option<(Value, f64)> {
    Some(match means {
        Value::String(text) => {
            let Some((before, rest)) = text.split_once('{') else {
                return Some((means.clone(), 1.0));
            };
            let (slot, after) = rest.split_once('}')?;
            let (name, default) = match slot.split_once('|') {
                Some((name, default)) => (name, serde_json::from_str(default).ok()),
                None => (slot, None),
            };
            // What had to be assumed is less sure.
            let (value, sure) = found.get(name).cloned().or_else(|| Some((default?, 0.9)))?;
            match before.is_empty() && after.is_empty() {
                true => (value, sure),
                false => (Value::String(format!("{before}{value}{after}")), sure),
            }
        }
        Value::Array(all) => {
            let all: Option<Vec<(Value, f64)>> = all.iter().map(|one| fill(one, found)).collect();
            let (values, sure): (Vec<Value>, Vec<f64>) = all?.into_iter().unzip();
            (Value::Array(values), sure.into_iter().product())
        }
        Value::Object(all) => {
            let mut out = serde_json::Map::new();
            let mut sure = 1.0;
            for (name, value) in all {
                let (value, certainty) = fill(value, found)?;
                sure *= certainty;
                out.insert(name.clone(), value);
            }
            (Value::Object(out), sure)
        }
        other => (other.clone(), 1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tokens::Heard;
    use super::*;
    use crate::library::catalogue::rows::SegmentRow;
    use crate::time::{Span, Timestamp};

    fn ends(pattern: &str, said: &str) -> Option<(usize, Found)> {
        let span = Span::new(Timestamp::ZERO, Timestamp::from_secs(1)).unwrap();
        let heard = Heard::of([&SegmentRow {
            span,
            text: said.to_owned(),
            language: String::new(),
            language_probability: None,
            avg_logprob: 0.0,
            no_speech_prob: 0.0,
            doubt: None,
            words: Vec::new(),
        }]);
        let breaks = ["target".to_owned()];
        let text = Text { tokens: &heard.tokens, operands: &[], breaks: &breaks };
        let words = BTreeMap::from([("bar".to_owned(), "(day|week)".to_owned())]);
        let found = Pattern::read(pattern, &words).unwrap().at(&text, 0)?;
        Some((found.end, found.found))
    }

    #[test]
    fn patterns_take_what_they_should() {
        for (pattern, said, end) in [
            ("the {n} <bar> average", "The 50-day average is", Some(4)),
            ("the [simple] average", "the average", Some(2)),
            ("the [simple] average", "the simple average", Some(3)),
            ("(go|get) (long|in)", "get in now", Some(2)),
            ("stop *3 {n} percent", "stop is set at 2 percent", Some(6)),
            ("stop *3 {n} percent", "stop is not set right at 2 percent", None),
            ("stop *4 {n} percent", "stop below, target 2 percent", None),
            ("stop *4 {n} percent", "stop there. Then 2 percent", None),
            ("{n}", "fifty two", Some(1)),
            ("a", "b", None),
        ] {
            assert_eq!(ends(pattern, said).map(|found| found.0), end, "{pattern}: {said}");
        }
    }

    #[test]
    fn bad_patterns_are_told() {
        for (pattern, told) in [
            ("", "is empty"),
            ("(a|b", "`)` is missing"),
            ("a | b", "`|` stands within"),
            ("a {n:colour}", "`colour` is no kind"),
            ("a *", "`*` has a number"),
            ("<nothing>", "there are no words called `nothing`"),
            ("a > b", "`>` means nothing here"),
            ("((((((((((a))))))))))", "more than 8 brackets"),
        ] {
            let error = Pattern::read(pattern, &BTreeMap::new()).unwrap_err();
            assert!(error.contains(told), "{pattern}: {error}");
        }
    }

    #[test]
    fn what_was_found_is_put_in() {
        let (_, found) = ends("{n} <bar>", "14 day").unwrap();
        let means = json!({ "sma": { "period": "{n}" }, "a": ["{n}m", "{p|20}", 3] });
        let (value, sure) = fill(&means, &found).unwrap();
        assert_eq!(value, json!({ "sma": { "period": 14 }, "a": ["14m", 20, 3] }));
        assert!((sure - 0.9).abs() < 1e-12);
        assert!(fill(&json!("{q}"), &found).is_none());
    }
}
