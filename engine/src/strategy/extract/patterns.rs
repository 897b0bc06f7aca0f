//! Patterns as data: how they are written down, and what is wrong with a file of them.

use super::grammar::Pattern;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::strategy::prices::read_text;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use toml::Spanned;

const VERSION: u32 = 1;
const MOST: usize = 2000;
const MOST_BYTES: u64 = 4 << 20;

/// What a pattern finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Part {
    Condition,
    Stop,
    Target,
    Timeframe,
    /// What is said of conditions: that they are for getting in,
    Enter,
    /// for getting out,
    Leave,
    /// or for neither.
    Ignore,
    /// Another strategy.
    Begin,
}

/// A pattern and what it means.
#[derive(Clone, Debug)]
pub(super) struct Saying {
    pub name: String,
    pub part: Part,
    pub say: Pattern,
    pub means: Value,
    pub certainty: f64,
}

/// How rules are said.
#[derive(Clone, Debug)]
pub struct Patterns {
    pub(super) apart_s: f64,
    pub(super) reach: usize,
    pub(super) breaks: Vec<String>,
    /// The values; their `part` means nothing.
    pub(super) operands: Vec<Saying>,
    pub(super) sayings: Vec<Saying>,
    digest: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    apart_s: f64,
    reach: usize,
    #[serde(default)]
    breaks: Vec<String>,
    #[serde(default)]
    words: BTreeMap<String, String>,
    #[serde(default)]
    operand: Vec<OperandEntry>,
    #[serde(default)]
    pattern: Vec<PatternEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OperandEntry {
    say: Spanned<String>,
    means: Value,
    #[serde(default = "sure")]
    certainty: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PatternEntry {
    name: String,
    part: Part,
    say: Spanned<String>,
    means: Value,
    #[serde(default = "sure")]
    certainty: f64,
}

fn sure() -> f64 {
    1.0
}

impl Patterns {
    /// Those that come along, for English.
    ///
    /// # Errors
    /// None, unless the build is damaged.
    pub fn bundled() -> Result<Self> {
        Self::parse(include_str!("patterns.toml"))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] that names the line; [`ErrorKind::Limit`] above 4 MiB; I/O failures.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&read_text(path, MOST_BYTES)?).map_err(|error| error.input(path))
    }

    /// Reads a file's text (TOML).
    ///
    /// # Errors
    /// As [`Patterns::read`].
    pub fn parse(text: &str) -> Result<Self> {
        let line = |at: usize| 1 + text.get(..at).unwrap_or_default().matches('\n').count();
        let wrong = |at: usize, what: &str| {
            let what = format!("line {}: {what}", line(at));
            Error::new(ErrorKind::Input, Stage::Strategy, what)
                .hint("the patterns that come along show how they are written")
        };
        let file: File = toml::from_str(text)
            .map_err(|e| wrong(e.span().map_or(0, |span| span.start), e.message()))?;
        if file.version != VERSION {
            let what = format!("version {}; this program knows {VERSION}", file.version);
            return Err(wrong(0, &what));
        }
        if file.operand.len() + file.pattern.len() > MOST {
            return Err(wrong(0, &format!("more than {MOST} patterns")));
        }
        if !(file.apart_s > 0.0 && file.apart_s.is_finite()) {
            return Err(wrong(0, "apart_s is above 0"));
        }
        let read = |name: &str, part, say: Spanned<String>, means, certainty: f64| {
            let at = say.span().start;
            if !(certainty > 0.0 && certainty <= 1.0) {
                return Err(wrong(
                    at,
                    &format!("pattern {name:?}: certainty is above 0 and at most 1"),
                ));
            }
            let say = Pattern::read(say.get_ref(), &file.words)
                .map_err(|what| wrong(at, &format!("pattern {name:?}: {what}")))?;
            Ok(Saying { name: name.to_owned(), part, say, means, certainty })
        };
        let operands = file.operand.into_iter();
        let operands =
            operands.map(|o| read("operand", Part::Condition, o.say, o.means, o.certainty));
        let operands = operands.collect::<Result<Vec<_>>>()?;
        let sayings = file.pattern.into_iter();
        let sayings = sayings.map(|p| read(&p.name, p.part, p.say, p.means, p.certainty));
        Ok(Self {
            apart_s: file.apart_s,
            reach: file.reach,
            breaks: file.breaks,
            operands,
            sayings: sayings.collect::<Result<_>>()?,
            digest: blake3::hash(text.as_bytes()).to_hex().to_string(),
        })
    }

    /// BLAKE3 of the file, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_files_name_their_line() {
        const HEAD: &str = "version = 1\napart_s = 60\nreach = 40\n";
        for (tail, told) in [
            (
                "[[pattern]]\nname='a'\npart='stop'\nsay='(x'\nmeans=''",
                "line 7: pattern \"a\": `)` is missing",
            ),
            (
                "[[pattern]]\nname='a'\npart='halt'\nsay='x'\nmeans=''",
                "line 6: unknown variant `halt`",
            ),
            (
                "[[operand]]\nsay='x'\nmeans=''\ncertainty=2.0",
                "line 5: pattern \"operand\": certainty",
            ),
            ("color = 1", "line 4: unknown field `color`"),
            ("x", "line 4: "),
        ] {
            let error = Patterns::parse(&format!("{HEAD}{tail}")).unwrap_err();
            assert!(error.message().starts_with(told), "{told}: {error}");
        }
        assert!(Patterns::parse("version = 2\napart_s = 60\nreach = 4").is_err());
    }
}
