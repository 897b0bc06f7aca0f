//! How long it takes to find a large dictionary's terms in a long transcript.
//!
//!     cargo run --release -p rushes-benches --bin rushes-terms [TERMS] [HOURS]
//!
//! Terms of one to three words are made of 20,000 made-up words, and the transcript of the same ones by
//! Zipf's law at 150 words a minute. The automaton's making is told apart from the finding.

#![allow(clippy::print_stdout)]

use anyhow::Result;
use rushes::control::Cancel;
use rushes::insight::dictionary::Dictionary;
use rushes::insight::matcher::{FuzzyRules, Matcher};
use rushes::insight::passage::{Passage, Source};
use rushes::time::{Span, Timestamp};
use std::fmt::Write;
use std::time::Instant;

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

fn word(n: usize) -> String {
    const SYLLABLES: [&str; 28] = [
        "ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu",
        "va", "we", "xi", "yo", "za", "bre", "cla", "dro", "fli", "gru", "pla", "sti", "tro",
    ];
    let mut word = String::new();
    let mut n = n + 28;
    while n > 0 {
        word.push_str(SYLLABLES[n % 28]);
        n /= 28;
    }
    word
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let terms: usize = arguments.next().map_or(Ok(10_000), |n| n.parse())?;
    let hours: usize = arguments.next().map_or(Ok(10), |n| n.parse())?;
    let mut dice = Dice(1);
    let mut csv = String::from("term,category\n");
    let mut made = std::collections::BTreeSet::new();
    while made.len() < terms {
        let count = 1 + dice.below(3);
        let words: Vec<String> = (0..count).map(|_| word(dice.below(20_000))).collect();
        made.insert(words.join(" "));
    }
    for (n, term) in made.iter().enumerate() {
        writeln!(csv, "{term},c{}", n % 12)?;
    }
    let mut passage = Passage::new(Source::Said, "en");
    for n in 0..hours * 60 * 150 {
        // By Zipf's law: half of all words are among the most frequent few.
        let rank = 20_000_f64.powf(dice.below(1 << 20) as f64 / f64::from(1 << 20)) as usize;
        let at = |n: usize| Timestamp::from_millis(n as i64 * 400);
        let text = if n % 12 == 11 { word(rank) + "." } else { word(rank) };
        passage.push(&text, Span { start: at(n), end: at(n + 1) }, 0.9, (n / 12) as i64, true);
    }
    let begun = Instant::now();
    let dictionary = Dictionary::from_csv("bench", &csv)?;
    let read = begun.elapsed();
    let begun = Instant::now();
    let matcher = Matcher::new(&[dictionary], Some(FuzzyRules::default()))?;
    let built = begun.elapsed();
    let begun = Instant::now();
    let found = matcher.find(&passage, &Cancel::new())?;
    let took = begun.elapsed();
    println!(
        "{terms} terms, {} words ({hours} h): read {:.3} s, built {:.3} s, found {} mentions in {:.3} s",
        passage.tokens.len(),
        read.as_secs_f64(),
        built.as_secs_f64(),
        found.len(),
        took.as_secs_f64()
    );
    Ok(())
}
