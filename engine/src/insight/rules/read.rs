//! Rules in TOML.

use super::super::dictionary::{line_of, toml_error, wrong};
use super::super::entities::EntityKind;
use super::super::words::{fold, split};
use super::{Rule, RuleKind, Step};
use crate::error::{Error, Result};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use toml::Spanned;

/// What a step of a rule looks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "by", content = "what", rename_all = "lowercase")]
pub enum Selector {
    /// A term of a dictionary, by its name: `term:stop loss`.
    Term(String),
    /// Any term of a category: `category:risk`.
    Category(String),
    /// A thing of a kind: `entity:money`.
    Entity(EntityKind),
    /// These words, by their stems: `words:sign up`. Folded.
    Words(Vec<String>),
    /// A question: `question`.
    Question,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileToml {
    #[serde(default)]
    dictionary: Option<String>,
    #[serde(default, rename = "about")]
    _about: Option<String>,
    rule: Vec<Spanned<RuleToml>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleToml {
    name: String,
    kind: Spanned<String>,
    #[serde(default)]
    of: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    steps: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    any: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    within: Option<Spanned<String>>,
    #[serde(default)]
    apart: Option<Spanned<String>>,
    #[serde(default)]
    likeness: Option<Spanned<f64>>,
    #[serde(default)]
    least: Option<Spanned<i64>>,
}

/// The most rules of a file, and steps of a rule.
const MOST: usize = 1000;
const STEPS: usize = 8;

impl Rule {
    /// Reads rules in TOML.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Input`] that names the line.
    pub fn from_toml(text: &str) -> Result<Vec<Self>> {
        let file: FileToml = toml::from_str(text).map_err(|e| toml_error(text, &e))?;
        if file.rule.len() > MOST {
            return Err(wrong(1, format!("more than {MOST} rules")));
        }
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        let mut rules = Vec::new();
        for rule in file.rule {
            let line = line_of(text, rule.span().start);
            let raw = rule.into_inner();
            if raw.name.trim().is_empty() {
                return Err(wrong(line, "a rule needs a name"));
            }
            if let Some(before) = names.insert(raw.name.clone(), line) {
                return Err(wrong(
                    line,
                    format!("the rule `{}` is on line {before} already", raw.name),
                ));
            }
            let reader = Reader { text, line, name: &raw.name };
            let kind = reader.kind(&raw)?;
            rules.push(Self { name: raw.name, dictionary: file.dictionary.clone(), kind, line });
        }
        Ok(rules)
    }
}

/// Reads the fields of one rule.
struct Reader<'t> {
    text: &'t str,
    line: usize,
    name: &'t str,
}

impl Reader<'_> {
    fn line<T>(&self, at: &Spanned<T>) -> usize {
        line_of(self.text, at.span().start)
    }

    fn kind(&self, raw: &RuleToml) -> Result<RuleKind> {
        let has = [
            ("of", raw.of.is_some()),
            ("steps", raw.steps.is_some()),
            ("any", raw.any.is_some()),
            ("within", raw.within.is_some()),
            ("apart", raw.apart.is_some()),
            ("likeness", raw.likeness.is_some()),
            ("least", raw.least.is_some()),
        ];
        let takes: &[&str] = match raw.kind.get_ref().as_str() {
            "together" => &["of", "within"],
            "sequence" => &["steps", "within"],
            "repeat" => &["likeness", "least", "apart"],
            "answer" => &["within"],
            "mention" => &["any"],
            other => {
                let what = format!(
                    "`{other}` is no kind of rule; there are together, sequence, repeat, answer and mention"
                );
                return Err(wrong(self.line(&raw.kind), what));
            }
        };
        if let Some((field, _)) = has.iter().find(|(field, is)| *is && !takes.contains(field)) {
            let what = format!("a rule of kind {} has no `{field}`", raw.kind.get_ref());
            return Err(wrong(self.line, what));
        }
        Ok(match raw.kind.get_ref().as_str() {
            "together" => RuleKind::Together {
                of: self.steps("of", raw.of.as_ref(), 2)?,
                within: self.time("within", raw.within.as_ref())?,
            },
            "sequence" => RuleKind::Sequence {
                steps: self.steps("steps", raw.steps.as_ref(), 2)?,
                within: self.time("within", raw.within.as_ref())?,
            },
            "repeat" => RuleKind::Repeat {
                likeness: self.likeness(raw.likeness.as_ref())?,
                least: self.least(raw.least.as_ref())?,
                apart: self.time("apart", raw.apart.as_ref())?,
            },
            "answer" => RuleKind::Answer { within: self.time("within", raw.within.as_ref())? },
            _ => RuleKind::Mention {
                any: self.steps("any", raw.any.as_ref(), 1)?.into_iter().flatten().collect(),
            },
        })
    }

    fn missing(&self, field: &str) -> Error {
        wrong(self.line, format!("the rule `{}` needs `{field}`", self.name))
    }

    fn steps(
        &self,
        field: &str,
        list: Option<&Spanned<Vec<Spanned<String>>>>,
        least: usize,
    ) -> Result<Vec<Step>> {
        let list = list.ok_or_else(|| self.missing(field))?;
        let most = if field == "any" { MOST } else { STEPS };
        let count = list.get_ref().len();
        if count < least || count > most {
            let what = format!("`{field}` has {count} entries, not {least} to {most}");
            return Err(wrong(self.line(list), what));
        }
        let steps = list.get_ref().iter().map(|step| {
            let line = self.line(step);
            step.get_ref().split('|').map(|one| selector(one.trim(), line)).collect()
        });
        steps.collect()
    }

    fn time(&self, field: &str, text: Option<&Spanned<String>>) -> Result<Timestamp> {
        let text = text.ok_or_else(|| self.missing(field))?;
        let time: Timestamp = text
            .get_ref()
            .parse()
            .map_err(|e| wrong(self.line(text), format!("`{field}`: {e}")))?;
        if time.is_negative() {
            return Err(wrong(self.line(text), format!("`{field}` is negative")));
        }
        Ok(time)
    }

    fn likeness(&self, value: Option<&Spanned<f64>>) -> Result<f32> {
        let Some(value) = value else { return Ok(0.85) };
        if !(0.0..=1.0).contains(value.get_ref()) {
            return Err(wrong(self.line(value), "`likeness` is not from 0 to 1"));
        }
        Ok(*value.get_ref() as f32)
    }

    fn least(&self, value: Option<&Spanned<i64>>) -> Result<usize> {
        let Some(value) = value else { return Ok(2) };
        let least = usize::try_from(*value.get_ref()).ok().filter(|n| (2..=1000).contains(n));
        least.ok_or_else(|| wrong(self.line(value), "`least` is not from 2 to 1000"))
    }
}

fn selector(text: &str, line: usize) -> Result<Selector> {
    if text == "question" {
        return Ok(Selector::Question);
    }
    let unknown = || {
        let what = format!(
            "`{text}` selects nothing: write term:NAME, category:NAME, entity:KIND, words:WORDS or question"
        );
        wrong(line, what)
    };
    let (by, what) = text.split_once(':').ok_or_else(unknown)?;
    let what = what.trim();
    if what.is_empty() {
        return Err(unknown());
    }
    Ok(match by.trim() {
        "term" => Selector::Term(what.to_owned()),
        "category" => Selector::Category(what.to_owned()),
        "entity" => Selector::Entity(EntityKind::parse(what).ok_or_else(|| {
            wrong(line, format!("`{what}` is no kind of entity: url, ticker, money, percent, date, duration, number"))
        })?),
        "words" => {
            let words: Vec<String> = split(what).into_iter().map(|at| fold(&what[at])).collect();
            if words.is_empty() {
                return Err(unknown());
            }
            Selector::Words(words)
        }
        _ => return Err(unknown()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"dictionary = "trading"

[[rule]]
name = "a"
kind = "sequence"
steps = ["term:breakout", "category:risk | words:Stop it"]
within = "60s"

[[rule]]
name = "b"
kind = "repeat"
apart = "10s"
"#;

    #[test]
    fn rules_are_read_with_their_lines() {
        let rules = Rule::from_toml(GOOD).unwrap();
        assert_eq!((rules.len(), rules[0].line, rules[1].line), (2, 3, 9));
        assert_eq!(rules[0].dictionary.as_deref(), Some("trading"));
        let RuleKind::Sequence { steps, within } = &rules[0].kind else { panic!() };
        assert_eq!(*within, Timestamp::from_secs(60));
        assert_eq!(steps[1][1], Selector::Words(vec!["stop".into(), "it".into()]));
        assert_eq!(
            rules[1].kind,
            RuleKind::Repeat { likeness: 0.85, least: 2, apart: Timestamp::from_secs(10) }
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let cases = [
            (GOOD.replace("\"sequence\"", "\"order\""), 5, "order"),
            (GOOD.replace("within = \"60s\"", ""), 3, "needs `within`"),
            (GOOD.replace("60s", "soon"), 7, "not a time"),
            (GOOD.replace("60s", "-60s"), 7, "negative"),
            (GOOD.replace("\"term:breakout\", ", ""), 6, "1 entries"),
            (GOOD.replace("term:breakout", "breakout"), 6, "selects nothing"),
            (GOOD.replace("term:breakout", "entity:colour"), 6, "colour"),
            (GOOD.replace("apart = \"10s\"", "apart = \"10s\"\nlikeness = 2.0"), 13, "likeness"),
            (GOOD.replace("apart = \"10s\"", "apart = \"10s\"\nleast = 1"), 13, "least"),
            (
                GOOD.replace("apart = \"10s\"", "apart = \"10s\"\nany = [\"question\"]"),
                9,
                "no `any`",
            ),
            (GOOD.replace("name = \"b\"", "name = \"a\""), 9, "line 3 already"),
            (GOOD.replace("apart", "aparts"), 12, "aparts"),
        ];
        for (text, line, what) in cases {
            let told = Rule::from_toml(&text).unwrap_err().to_string();
            assert!(
                told.contains(&format!("line {line}:")) && told.contains(what),
                "{told}\n{text}"
            );
        }
    }

    #[test]
    fn the_bundled_rules_are_sound() {
        assert!(Rule::bundled().unwrap().len() >= 10);
    }
}
