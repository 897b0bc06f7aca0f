//! All that is found in one film: terms, concepts, chapters, patterns.

use super::chapters::{ChapterRules, chapters};
use super::dictionary::{Dictionary, bundled};
use super::entities::{Entity, Patterns};
use super::matcher::{Found, FuzzyRules, Matcher};
use super::passage::{Passage, Source};
use super::phrases::{Phrase, phrases};
use super::rules::{Evidence, Pattern, Rule, find};
use super::sentences::{Sentence, sentences};
use super::stopwords::stopwords;
use super::title::{Titles, capital};
use super::topics::{Clusters, clusters};
use crate::control::Cancel;
use crate::error::Result;
use crate::library::catalogue::Catalogue;
use crate::library::catalogue::insight::{
    ChapterRow, ConceptRow, KeywordRow, PatternPart, PatternRow, SeenIn,
};
use crate::library::catalogue::rows::{Owner, RowRef, Stored};
use crate::time::{Span, Timestamp};
use std::collections::HashMap;
use std::path::Path;

/// What is looked for.
#[derive(Debug)]
pub struct Insight {
    matcher: Matcher,
    dictionaries: Vec<String>,
    rules: Vec<Rule>,
    chapters: ChapterRules,
    digest: String,
}

/// The folders in a library where a user's dictionaries and rules lie.
pub const DICTIONARIES: &str = "dictionaries";
/// As [`DICTIONARIES`], for rules.
pub const RULES: &str = "rules";

/// The most key phrases of a film that are kept.
const PHRASES: usize = 100;
/// The most places of one phrase that are kept.
const PLACES: usize = 200;
/// Phrases that name a topic.
const NAMES: usize = 3;

impl Insight {
    /// Looks for the terms of `dictionaries` and what `rules` say.
    ///
    /// # Errors
    /// As [`Matcher::new`].
    pub fn new(dictionaries: &[Dictionary], rules: Vec<Rule>) -> Result<Self> {
        let fuzzy = Some(FuzzyRules::default());
        let chapters = ChapterRules::default();
        let described =
            serde_json::to_vec(&(dictionaries, &rules, fuzzy, chapters)).unwrap_or_default();
        Ok(Self {
            matcher: Matcher::new(dictionaries, fuzzy)?,
            dictionaries: dictionaries.iter().map(|d| d.name.clone()).collect(),
            rules,
            chapters,
            digest: blake3::hash(&described).to_hex().to_string(),
        })
    }

    /// What comes with the engine, and what lies in `dictionaries/` and `rules/` of `library` (a folder).
    /// A user's dictionary or rule replaces a bundled one of the same name.
    ///
    /// # Errors
    /// As [`Dictionary::read`] and [`Rule::read`].
    pub fn of_library(library: &Path) -> Result<Self> {
        Self::with(library, &[], &[])
    }

    /// As [`Insight::of_library`], with further files.
    ///
    /// # Errors
    /// As [`Insight::of_library`].
    pub fn with(
        library: &Path,
        dictionaries: &[std::path::PathBuf],
        rules: &[std::path::PathBuf],
    ) -> Result<Self> {
        let mut own = Dictionary::read_folder(&library.join(DICTIONARIES))?;
        for file in dictionaries {
            own.push(Dictionary::read(file)?);
        }
        let mut all: Vec<Dictionary> = bundled()?;
        for dictionary in own {
            all.retain(|known| known.name != dictionary.name);
            all.push(dictionary);
        }
        let mut own = Rule::read_folder(&library.join(RULES))?;
        for file in rules {
            own.extend(Rule::read(file)?);
        }
        let mut every = Rule::bundled()?;
        for rule in own {
            every.retain(|known| known.name != rule.name);
            every.push(rule);
        }
        Self::new(&all, every)
    }

    /// What decides the findings, in short: dictionaries, rules and settings.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The names of the dictionaries.
    pub fn dictionaries(&self) -> &[String] {
        &self.dictionaries
    }

    /// The terms, their forms and categories.
    pub fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    /// Finds all there is in `heard`.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Cancelled`].
    pub fn find(&self, heard: &Heard, cancel: &Cancel) -> Result<Findings> {
        let passages = &heard.passages;
        let keywords: Vec<Vec<Found>> =
            passages.iter().map(|p| self.matcher.find(p, cancel)).collect::<Result<_>>()?;
        let patterns = Patterns::new()?;
        let entities: Vec<Vec<Entity>> = passages.iter().map(|p| patterns.find(p)).collect();
        let phrases = phrases(passages, stopwords);
        let sentences = sentences(passages, &heard.vectors, stopwords);
        let vectors: Vec<&[f32]> = sentences.iter().map(|s| s.vector.as_slice()).collect();
        let topics = clusters(&vectors);
        let chapters = chapters(&sentences, &self.chapters);
        let evidence = Evidence {
            passages,
            terms: self.matcher.terms(),
            keywords: &keywords,
            entities: &entities,
            sentences: &sentences,
        };
        let names: Vec<&str> = self.dictionaries.iter().map(String::as_str).collect();
        let patterns = find(&self.rules, &names, evidence, cancel)?;
        Ok(Findings { keywords, entities, phrases, sentences, topics, chapters, patterns })
    }

    /// What was found as rows of the catalogue.
    pub fn rows(&self, heard: &Heard, findings: &Findings) -> InsightRows {
        let mut rows = InsightRows {
            keywords: self.keyword_rows(heard, findings),
            concepts: concept_rows(heard, findings),
            ..InsightRows::default()
        };
        let titles = Titles::new(findings, self.matcher.terms());
        let mut used: Vec<String> = Vec::new();
        for (n, begin) in findings.chapters.iter().enumerate() {
            let end = findings.chapters.get(n + 1).copied().unwrap_or(findings.sentences.len());
            let within = *begin..end;
            let named = titles.of(&within, findings, &used);
            used.extend(named.first().cloned());
            let start =
                if n == 0 { Timestamp::ZERO } else { findings.sentences[*begin].span.start };
            let last = findings.sentences.get(end).map(|next| next.span.start);
            let spoken = findings.sentences[end - 1].span.end;
            let until =
                last.unwrap_or_else(|| heard.length.map_or(spoken, |length| length.max(spoken)));
            let title = match named.first() {
                Some(name) => capital(name),
                None => findings.sentences[*begin].text.chars().take(60).collect(),
            };
            let span = Span { start, end: until.max(start) };
            rows.chapters.push(ChapterRow { span, title, about: named.join(", ") });
        }
        for pattern in &findings.patterns {
            let part = |part: &super::rules::Part| PatternPart {
                span: part.span,
                text: part.text.clone(),
            };
            rows.patterns.push(PatternRow {
                rule: pattern.rule.clone(),
                kind: pattern.kind.to_owned(),
                span: pattern.span,
                parts: pattern.parts.iter().map(part).collect(),
            });
        }
        rows
    }

    fn keyword_rows(&self, heard: &Heard, findings: &Findings) -> Vec<KeywordRow> {
        let mut rows = Vec::new();
        for (passage, found) in heard.passages.iter().zip(&findings.keywords) {
            for one in found {
                let term = &self.matcher.terms()[one.term];
                rows.push(KeywordRow {
                    span: one.span,
                    seen: seen(passage, one.tokens.start),
                    term: term.term.clone(),
                    category: term.category.clone(),
                    dictionary: term.dictionary.clone(),
                    found: passage.text_of(&one.tokens).to_owned(),
                    how: one.how.as_str().to_owned(),
                    weight: one.weight,
                });
            }
        }
        rows.sort_by_key(|row| row.span.start);
        rows
    }
}

/// The row that a token of a passage is from.
fn seen(passage: &Passage, token: usize) -> SeenIn {
    let row = passage.tokens.get(token).map_or(0, |token| token.row);
    match passage.source {
        Source::Said => SeenIn::Segment(row),
        Source::Written => SeenIn::Text(row),
    }
}

fn concept_rows(heard: &Heard, findings: &Findings) -> Vec<ConceptRow> {
    let mut rows = Vec::new();
    for phrase in findings.phrases.iter().take(PHRASES) {
        for (passage, tokens, span) in phrase.places.iter().take(PLACES) {
            rows.push(ConceptRow {
                kind: "phrase".to_owned(),
                text: phrase.text.clone(),
                value: None,
                span: *span,
                score: phrase.score,
                seen: heard.passages.get(*passage).map(|p| seen(p, tokens.start)),
            });
        }
    }
    for (passage, found) in heard.passages.iter().zip(&findings.entities) {
        rows.extend(found.iter().map(|entity| ConceptRow {
            kind: entity.kind.as_str().to_owned(),
            text: entity.text.clone(),
            value: Some(entity.value.clone()),
            span: entity.span,
            score: 1.0,
            seen: Some(seen(passage, entity.tokens.start)),
        }));
    }
    rows.extend(topic_rows(findings));
    rows.sort_by(|a, b| a.span.start.cmp(&b.span.start).then(a.kind.cmp(&b.kind)));
    rows
}

/// A row for each run of sentences of one topic; its value is the topic's number, its score the share of
/// all that is said.
fn topic_rows(findings: &Findings) -> Vec<ConceptRow> {
    let names = super::title::topics(findings, NAMES);
    let total = findings.sentences.len().max(1) as f64;
    let mut rows: Vec<ConceptRow> = Vec::new();
    let mut last = None;
    for (sentence, topic) in findings.sentences.iter().zip(&findings.topics.of) {
        if last == Some(*topic) {
            if let Some(row) = rows.last_mut() {
                row.span.end = row.span.end.max(sentence.span.end);
            }
            continue;
        }
        last = Some(*topic);
        let count = findings.topics.of.iter().filter(|of| *of == topic).count();
        rows.push(ConceptRow {
            kind: "topic".to_owned(),
            text: names.get(*topic).cloned().unwrap_or_default(),
            value: Some(topic.to_string()),
            span: sentence.span,
            score: count as f64 / total,
            seen: Some(SeenIn::Segment(sentence.row)),
        });
    }
    rows
}

/// What is heard and read in a film.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// What is said, then what is written.
    pub passages: Vec<Passage>,
    /// Vectors of segments by their numbers.
    pub vectors: HashMap<i64, Vec<f32>>,
    /// How long the film is.
    pub length: Option<Timestamp>,
}

impl Heard {
    /// Out of a library; of each segment the first kind of text vector that it has.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn of(catalogue: &Catalogue, media: i64) -> Result<Self> {
        let segments = catalogue.segments_of(media)?;
        let mut passages = Passage::said(&segments);
        let language = catalogue.transcript_of(media)?.map_or_else(String::new, |t| t.row.language);
        let frames: HashMap<i64, Span> = catalogue
            .frames_of(media, None)?
            .into_iter()
            .map(|frame| {
                let point = Span { start: frame.row.time, end: frame.row.time };
                (frame.id, frame.row.span.unwrap_or(point))
            })
            .collect();
        let texts = catalogue.texts_of(media)?.into_iter().filter_map(|line| {
            let RowRef::Known(frame) = line.row.frame else { return None };
            let span = line.row.span.or_else(|| frames.get(&frame).copied())?;
            Some((line, span))
        });
        let texts: Vec<(Stored<_>, Span)> = texts.collect();
        passages.extend(Passage::written(&texts, &language));
        let mut vectors: HashMap<i64, Vec<f32>> = HashMap::new();
        let mut model: Option<String> = None;
        catalogue.each_embedding_of(media, |stored| {
            let row = stored.row;
            // Vectors of two models cannot be compared.
            let own = model.get_or_insert_with(|| row.model.clone());
            if let (Owner::Segment(RowRef::Known(id)), "text") = (row.owner, row.kind.as_str())
                && *own == row.model
            {
                vectors.entry(id).or_insert(row.vector);
            }
        })?;
        let length = catalogue.probe_of(media)?.and_then(|probe| probe.duration);
        Ok(Self { passages, vectors, length })
    }
}

/// What was found in a film.
#[derive(Clone, Debug)]
pub struct Findings {
    /// Terms of dictionaries, by passage.
    pub keywords: Vec<Vec<Found>>,
    /// Things known by their form, by passage.
    pub entities: Vec<Vec<Entity>>,
    /// Key phrases, the best first.
    pub phrases: Vec<Phrase>,
    /// What is said, sentence by sentence.
    pub sentences: Vec<Sentence>,
    /// Which sentences are about the same.
    pub topics: Clusters,
    /// The sentences that chapters begin with.
    pub chapters: Vec<usize>,
    /// What the rules found.
    pub patterns: Vec<Pattern>,
}

pub use crate::library::catalogue::insight::InsightRows;
