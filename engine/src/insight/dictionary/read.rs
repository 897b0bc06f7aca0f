//! Dictionaries in TOML, and what holds for terms in any form.

use super::super::words::split;
use super::{Dictionary, Form, MAX_FORMS, MAX_WORDS, Matching, Term, line_of, toml_error, wrong};
use crate::error::{ErrorKind, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::collections::HashMap;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileToml {
    name: String,
    #[serde(default)]
    language: Option<String>,
    #[serde(default, rename = "about")]
    _about: Option<String>,
    categories: BTreeMap<String, CategoryToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CategoryToml {
    #[serde(default)]
    weight: Option<Spanned<f64>>,
    terms: Vec<Spanned<TermToml>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TermToml {
    term: String,
    #[serde(default)]
    variants: Vec<String>,
    #[serde(default)]
    inflections: Vec<String>,
    #[serde(default)]
    weight: Option<f64>,
    #[serde(default)]
    language: Option<String>,
    #[serde(default, rename = "match")]
    matching: Option<Matching>,
}

/// A term as a file has it, before it is checked.
pub(super) struct Raw {
    pub line: usize,
    pub term: String,
    pub category: String,
    pub variants: Vec<String>,
    pub inflections: Vec<String>,
    pub weight: f64,
    pub language: Option<String>,
    pub matching: Matching,
}

impl Dictionary {
    /// Reads a dictionary in TOML.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] that names the line.
    pub fn from_toml(text: &str) -> Result<Self> {
        let file: FileToml = toml::from_str(text).map_err(|e| toml_error(text, &e))?;
        let mut raws = Vec::new();
        for (category, CategoryToml { weight, terms }) in file.categories {
            let usual = weight.map_or(1.0, |weight| *weight.get_ref());
            for term in terms {
                let line = line_of(text, term.span().start);
                let term = term.into_inner();
                raws.push(Raw {
                    line,
                    term: term.term,
                    category: category.clone(),
                    variants: term.variants,
                    inflections: term.inflections,
                    weight: term.weight.unwrap_or(usual),
                    language: term.language.or_else(|| file.language.clone()),
                    matching: term.matching.unwrap_or(Matching::Stem),
                });
            }
        }
        raws.sort_by_key(|raw| raw.line);
        build(&file.name, raws)
    }
}

/// Checks the terms of a dictionary and makes it.
pub(super) fn build(name: &str, raws: Vec<Raw>) -> Result<Dictionary> {
    if name.trim().is_empty() {
        return Err(wrong(1, "a dictionary needs a name"));
    }
    let mut seen: HashMap<(Option<String>, String), usize> = HashMap::new();
    let mut terms = Vec::with_capacity(raws.len());
    let mut count = 0_usize;
    for raw in raws {
        let line = raw.line;
        if !(raw.weight > 0.0 && raw.weight <= 100.0) {
            let what = format!(
                "the weight of `{}` is {}, not above 0 and up to 100",
                raw.term, raw.weight
            );
            return Err(wrong(line, what));
        }
        if raw.category.trim().is_empty() {
            return Err(wrong(line, format!("`{}` has no category", raw.term)));
        }
        let language = match raw.language.as_deref() {
            None | Some("" | "*") => None,
            Some(code) if is_code(code) => Some(code.to_owned()),
            Some(code) => {
                return Err(wrong(
                    line,
                    format!("`{code}` is no language: two letters such as en, or *"),
                ));
            }
        };
        let mut forms = Vec::new();
        let usual = raw.matching;
        let named = std::iter::once((raw.term.clone(), usual));
        let variants = raw.variants.into_iter().map(|variant| (variant, usual));
        let inflections =
            raw.inflections.into_iter().map(|form| (form, usual.max(Matching::Exact)));
        for (form, matching) in named.chain(variants).chain(inflections) {
            let form = form.trim().to_owned();
            let words = split(&form);
            if words.is_empty() || words.len() > MAX_WORDS {
                let what =
                    format!("`{form}` has {} words; 1 to {MAX_WORDS} can be found", words.len());
                return Err(wrong(line, what));
            }
            // Abbreviations have no inflections that a stemmer knows.
            let matching = match matching {
                Matching::Stem if form.chars().all(|c| !c.is_lowercase()) => Matching::Exact,
                matching => matching,
            };
            let spelt = match matching {
                Matching::Case => form.clone(),
                _ => words
                    .iter()
                    .map(|at| super::super::words::fold(&form[at.clone()]))
                    .collect::<Vec<_>>()
                    .join(" "),
            };
            if let Some(before) = seen.insert((language.clone(), spelt), line) {
                let what = match before == line {
                    true => format!("`{form}` stands twice in `{}`", raw.term),
                    false => format!("`{form}` is on line {before} already"),
                };
                return Err(wrong(line, what));
            }
            forms.push(Form { text: form, matching });
        }
        count += forms.len();
        if count > MAX_FORMS {
            let error = wrong(line, format!("more than {MAX_FORMS} forms"));
            return Err(crate::error::Error::new(
                ErrorKind::Limit,
                error.stage(),
                error.message().to_owned(),
            ));
        }
        terms.push(Term {
            term: raw.term.trim().to_owned(),
            category: raw.category,
            dictionary: name.to_owned(),
            language,
            weight: raw.weight,
            forms,
            line,
        });
    }
    if terms.is_empty() {
        return Err(wrong(1, "no terms"));
    }
    Ok(Dictionary { name: name.to_owned(), terms })
}

fn is_code(code: &str) -> bool {
    matches!(code.len(), 2 | 3) && code.bytes().all(|b| b.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"name = "test"
language = "en"

[categories.risk]
weight = 2
terms = [
    { term = "stop loss", variants = ["protective stop"], inflections = ["stopped out"] },
    { term = "DAX", weight = 0.5, language = "*", match = "case" },
]
"#;

    #[test]
    fn a_dictionary_is_read_with_its_lines() {
        let made = Dictionary::from_toml(GOOD).unwrap();
        assert_eq!((made.name.as_str(), made.terms.len()), ("test", 2));
        let stop = &made.terms[0];
        assert_eq!((stop.weight, stop.line, stop.language.as_deref()), (2.0, 7, Some("en")));
        let forms: Vec<_> = stop.forms.iter().map(|f| (f.text.as_str(), f.matching)).collect();
        assert_eq!(
            forms,
            [
                ("stop loss", Matching::Stem),
                ("protective stop", Matching::Stem),
                ("stopped out", Matching::Exact)
            ]
        );
        assert_eq!((made.terms[1].weight, &made.terms[1].language), (0.5, &None));
        assert_eq!(made.terms[1].forms[0].matching, Matching::Case);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let cases = [
            (GOOD.replace("weight = 2", "weight = -2"), 7, "weight"),
            (GOOD.replace("weight = 2", "weight = nan"), 7, "weight"),
            (GOOD.replace("weight = 2", "wieght = 2"), 5, "wieght"),
            (GOOD.replace("protective stop", " - "), 7, "0 words"),
            (GOOD.replace("protective stop", "Stop-Loss"), 7, "stands twice"),
            (
                GOOD.replace("\"DAX\"", "\"protective stop\"")
                    .replace("\"*\", match = \"case\"", "\"en\""),
                8,
                "line 7 already",
            ),
            (GOOD.replace("\"*\"", "\"English\""), 8, "no language"),
            (GOOD.replace("\"case\"", "\"near\""), 8, "near"),
            (GOOD.replace("name = \"test\"", "name = \"\""), 1, "name"),
            (GOOD.replace("terms = [", "terms = [ { term = 7 },"), 6, "string"),
        ];
        for (text, line, what) in cases {
            let error = Dictionary::from_toml(&text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Input, "{error}");
            let told = error.to_string();
            assert!(
                told.contains(&format!("line {line}:")) && told.contains(what),
                "{told}\n{text}"
            );
        }
    }
}
