//! Terms against transcripts that were labelled by hand (`fixtures/golden/insight`), and the examples of
//! `docs/insight.md`.

use super::clips::Purpose;
use super::dictionary::{Dictionary, bundled};
use super::matcher::{FuzzyRules, Matcher};
use super::passage::untimed;
use super::rules::Rule;
use crate::control::Cancel;
use std::collections::BTreeSet;

const LABELLED: [(&str, &str); 6] = [
    ("lesson", include_str!("../../../fixtures/golden/insight/lesson.txt")),
    ("indicators", include_str!("../../../fixtures/golden/insight/indicators.txt")),
    ("psychology", include_str!("../../../fixtures/golden/insight/psychology.txt")),
    ("commentary", include_str!("../../../fixtures/golden/insight/commentary.txt")),
    ("orders", include_str!("../../../fixtures/golden/insight/orders.txt")),
    ("plain", include_str!("../../../fixtures/golden/insight/plain.txt")),
];

/// A mention: where it begins in the text, and the term.
type Mentions = BTreeSet<(usize, String)>;

/// The text without its labels, and what they say.
fn unlabelled(text: &str) -> (String, Mentions) {
    let body: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let (mut plain, mut mentions) = (String::new(), Mentions::new());
    let body = body.join("\n");
    let mut rest = body.as_str();
    while let Some((before, after)) = rest.split_once("[[") {
        let (label, after) = after.split_once("]]").unwrap();
        let (said, term) = label.split_once('|').unwrap_or((label, label));
        plain.push_str(before);
        mentions.insert((plain.len(), term.to_lowercase()));
        plain.push_str(said);
        rest = after;
    }
    plain.push_str(rest);
    (plain, mentions)
}

#[test]
fn terms_are_found_as_a_person_finds_them() {
    let matcher = Matcher::new(&bundled().unwrap(), Some(FuzzyRules::default())).unwrap();
    let (mut right, mut found_all, mut wanted_all) = (0, 0, 0);
    let mut told = Vec::new();
    for (name, text) in LABELLED {
        let (plain, wanted) = unlabelled(text);
        let passage = untimed(&plain, "en", 50);
        let found = matcher.find(&passage, &Cancel::new()).unwrap();
        let found: Mentions = found
            .iter()
            .map(|one| {
                let at = passage.tokens[one.tokens.start].at.start;
                (at, matcher.terms()[one.term].term.to_lowercase())
            })
            .collect();
        let missed: Vec<_> = wanted.difference(&found).collect();
        let wrong: Vec<_> = found.difference(&wanted).collect();
        if !missed.is_empty() || !wrong.is_empty() {
            told.push(format!("{name}: missed {missed:?}, wrong {wrong:?}"));
        }
        right += wanted.intersection(&found).count();
        found_all += found.len();
        wanted_all += wanted.len();
    }
    let precision = right as f64 / found_all as f64;
    let recall = right as f64 / wanted_all as f64;
    let told = told.join("\n");
    assert!(wanted_all >= 80, "{wanted_all}");
    assert!(precision >= 0.95 && recall >= 0.95, "precision {precision}, recall {recall}\n{told}");
    println!("precision {precision:.3}, recall {recall:.3} of {wanted_all}\n{told}");
}

#[test]
fn the_examples_of_the_docs_are_read() {
    let docs = include_str!("../../../docs/insight.md");
    let blocks = |kind: &str| -> Vec<&str> {
        let fence = format!("```{kind}\n");
        docs.split(fence.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
    };
    let toml = blocks("toml");
    assert_eq!(toml.len(), 3);
    let dictionary = Dictionary::from_toml(toml[0]).unwrap();
    let csv = Dictionary::from_csv("options", blocks("csv")[0]).unwrap();
    for (a, b) in dictionary.terms.iter().zip(&csv.terms) {
        assert_eq!((&a.term, &a.forms, a.weight), (&b.term, &b.forms, b.weight));
    }
    assert_eq!(Rule::from_toml(toml[1]).unwrap().len(), 5);
    assert_eq!(Purpose::from_toml(toml[2]).unwrap()[0].parts.len(), 3);
    let counts = bundled().unwrap();
    for dictionary in counts {
        let line = format!("`{}` ({} terms", dictionary.name, dictionary.terms.len());
        assert!(docs.contains(&line), "{line}");
    }
}
