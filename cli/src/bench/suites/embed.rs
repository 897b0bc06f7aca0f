//! Texts and pictures as vectors.

use super::{Bench, Found};
use crate::bench::turns::rate;
use crate::commands::embed;
use rushes::embed::Embedding;

/// Words to make sentences of, in which some go together and some do not.
const WORDS: [&str; 24] = [
    "a", "price", "rises", "over", "the", "river", "when", "rain", "falls", "on", "old", "stone",
    "and", "people", "walk", "home", "slowly", "before", "night", "comes", "to", "their", "quiet",
    "town",
];

pub fn run(bench: &Bench<'_>) -> anyhow::Result<Found> {
    let look = embed::LookArgs::default();
    let embed::Found { embedders, missing } =
        match embed::open(bench.session, bench.models, &look, None)? {
            Ok(found) => found,
            Err(error) => return Ok(Found::nothing(error.to_string())),
        };
    let text = match embedders.text() {
        Ok(text) => text,
        Err(error) => {
            let why = missing.first().map_or_else(|| error.to_string(), ToString::to_string);
            return Ok(Found::nothing(why));
        }
    };
    let cancel = &bench.session.run.cancel;
    let mut found = Found::default();
    let count = if bench.quick { 64 } else { 512 };
    for (name, lengths) in [("short texts", 6..=12), ("mixed texts", 4..=120)] {
        let texts: Vec<String> = (0..count).map(|n| sentence(n, lengths.clone())).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (times, made) = bench.turns.time(cancel, || Ok(text.embed_texts(&texts, cancel)?))?;
        let name = format!("{name}, {}", text.engine());
        found.measures.push(rate(&name, "texts/s", count as f64, &times));
        let tokens: usize = made.iter().map(|one| one.tokens).sum();
        found.measures.push(rate(&format!("{name}, tokens"), "tokens/s", tokens as f64, &times));
    }
    let near = |a: &str, b: &str| -> anyhow::Result<f32> {
        let made = text.embed_texts(&[a, b], cancel)?;
        let [a, b]: [Embedding; 2] = made
            .into_iter()
            .map(|one| one.embedding)
            .collect::<Vec<_>>()
            .try_into()
            .map_err(|_| anyhow::anyhow!("two texts gave another number of vectors"))?;
        Ok(a.cosine(&b)?)
    };
    let alike = near("a man rides a horse", "somebody is riding a horse")?;
    let unlike = near("a man rides a horse", "interest rates were raised again")?;
    found.check(
        "what means the same lies together",
        alike > 0.6 && unlike < 0.3,
        format!("{alike:.3} and {unlike:.3}"),
    );

    if let Ok(labeller) = embedders.labeller() {
        let pictures: Vec<image::RgbImage> = (0..if bench.quick { 8 } else { 32 })
            .map(|n| {
                image::RgbImage::from_fn(320, 180, |x, y| image::Rgb([x as u8, y as u8, n * 7]))
            })
            .collect();
        let pictures: Vec<&image::RgbImage> = pictures.iter().collect();
        let (times, made) = bench.turns.time(cancel, || Ok(labeller.see(&pictures, 5, cancel)?))?;
        let count = pictures.len() as f64;
        found.measures.push(rate(
            "pictures, EfficientNet-lite0 on the CPU",
            "images/s",
            count,
            &times,
        ));
        let probable = made.iter().all(|seen| {
            seen.labels.len() == 5
                && seen.labels.iter().all(|l| (0.0..=1.0).contains(&l.probability))
        });
        found.check("every picture has labels", probable, made.len());
    }
    Ok(found)
}

/// Sentence `n`, of as many words as `lengths` allows, always the same.
fn sentence(n: usize, lengths: std::ops::RangeInclusive<usize>) -> String {
    let (low, high) = (*lengths.start(), *lengths.end());
    let length = low + n * 7 % (high - low + 1);
    let word = |at: usize| WORDS[(n * 31 + at * at * 5 + at) % WORDS.len()];
    (0..length).map(word).collect::<Vec<_>>().join(" ")
}
