//! Names of frame files from a template. A parsed type, not a format string: what a file's name
//! or metadata holds can never become part of a path.

use crate::time::Timestamp;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A template such as `{n}_{time}`: `{n}` number (six digits, `{n:4}` four), `{time}`
/// `HH-MM-SS.mmm`, `{ms}` milliseconds, `{pts}` the stream's own timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTemplate(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Number(usize),
    Time,
    Millis,
    Pts,
}

/// Why a text is not a name template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError(String);

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: use {{n}}, {{n:4}}, {{time}}, {{ms}} and {{pts}} between plain characters",
            self.0
        )
    }
}

impl std::error::Error for TemplateError {}

impl NameTemplate {
    /// The name, without extension, of frame `n` shown at `time`.
    pub fn name(&self, n: u64, time: Timestamp, pts: i64) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Number(width) => format!("{n:0width$}"),
            Piece::Time => time.to_string().replace(':', "-"),
            Piece::Millis => time.as_millis().to_string(),
            Piece::Pts => pts.to_string(),
        });
        pieces.collect()
    }
}

impl Default for NameTemplate {
    fn default() -> Self {
        Self(vec![Piece::Number(6), Piece::Text("_".into()), Piece::Time])
    }
}

impl FromStr for NameTemplate {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let wrong = |what: &str| Err(TemplateError(what.to_owned()));
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(tail) = rest.strip_prefix('{') {
                let Some((field, tail)) = tail.split_once('}') else {
                    return wrong("a { without }");
                };
                pieces.push(match field.split_once(':') {
                    Some(("n", width)) => match width.parse() {
                        Ok(width @ 1..=18) => Piece::Number(width),
                        _ => return wrong("a number has 1 to 18 digits"),
                    },
                    None if field == "n" => Piece::Number(6),
                    None if field == "time" => Piece::Time,
                    None if field == "ms" => Piece::Millis,
                    None if field == "pts" => Piece::Pts,
                    _ => return Err(TemplateError(format!("{{{field}}} is not known"))),
                });
                rest = tail;
            } else {
                let end = rest.find('{').unwrap_or(rest.len());
                let (plain, tail) = rest.split_at(end);
                if plain.chars().any(|c| c == '/' || c == '\\' || c.is_control()) {
                    return wrong("a name holds no slash and no control character");
                }
                pieces.push(Piece::Text(plain.to_owned()));
                rest = tail;
            }
        }
        if !pieces.iter().any(|p| matches!(p, Piece::Number(_) | Piece::Pts)) {
            return wrong("every frame needs a name of its own, from {n} or {pts}");
        }
        if matches!(pieces.first(), Some(Piece::Text(text)) if text.starts_with('.'))
            || text.len() > 150
        {
            return wrong("too long, or starts with a dot");
        }
        Ok(Self(pieces))
    }
}

impl Serialize for NameTemplate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:?}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let time = Timestamp::from_millis(62_500);
        assert_eq!(NameTemplate::default().name(7, time, 0), "000007_00-01-02.500");
        let template: NameTemplate = "shot-{n:3}-{ms}-{pts}".parse().unwrap();
        assert_eq!(template.name(12, time, -9), "shot-012-62500--9");
        for bad in
            ["", "x", "{time}", "{n", "{n:0}", "{title}{n}", "../{n}", ".{n}", "a/{n}", "{n}\n"]
        {
            assert!(bad.parse::<NameTemplate>().is_err(), "{bad}");
        }
    }
}
