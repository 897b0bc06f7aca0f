//! The features of clips, measured.

use super::super::passage::Source;
use super::super::rules::is_question;
use super::super::sentences::{Sentence, centre, cosine};
use super::super::sentiment::Lexicon;
use super::super::sound::{STEP, Window};
use super::super::stopwords::stopwords;
use super::super::words::Stems;
use super::film::FilmData;
use crate::error::Result;
use crate::library::catalogue::insight::SeenIn;
use crate::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// A gap between words that is a pause.
const PAUSE: Timestamp = Timestamp::from_millis(300);
/// What is silent, in LUFS.
const QUIET: f32 = -50.0;
/// What is music is steadier (dB) and less noisy than this.
const STEADY: f32 = 6.0;
const TONAL: f32 = 0.2;
/// The opening of a clip.
const OPENING: Timestamp = Timestamp::from_secs(3);

const FILLERS: [&str; 9] =
    ["um", "uh", "er", "hmm", "basically", "literally", "actually", "anyway", "okay"];
const YOU: [&str; 6] = ["you", "your", "yours", "yourself", "you're", "you'll"];
const I: [&str; 8] = ["i", "me", "my", "mine", "myself", "i'm", "i've", "i'll"];

/// What was measured of a clip.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Features by name; one that cannot be told (no sound, nothing said) is not there.
    pub values: BTreeMap<String, f64>,
    /// What is said.
    pub text: String,
    /// What it means, of length 1; empty where nothing is said.
    pub vector: Vec<f32>,
}

/// A word of a film.
struct Word {
    passage: usize,
    token: usize,
    span: Span,
}

/// Measures clips of one film.
pub struct Meter<'f> {
    film: &'f FilmData,
    words: Vec<Word>,
    lexicon: Option<Lexicon>,
    stop: HashSet<String>,
    language: String,
    centre: Vec<f32>,
    /// Sums of the vectors of all sentences before each.
    before: Vec<Vec<f32>>,
    loudness: Option<f64>,
}

impl<'f> Meter<'f> {
    /// A meter for `film`.
    ///
    /// # Errors
    /// None that a sound build has.
    pub fn new(film: &'f FilmData) -> Result<Self> {
        let said = film.passages.iter().enumerate().filter(|(_, p)| p.source == Source::Said);
        let mut words: Vec<Word> = said
            .clone()
            .flat_map(|(passage, p)| {
                p.tokens.iter().enumerate().map(move |(token, t)| Word {
                    passage,
                    token,
                    span: t.span,
                })
            })
            .collect();
        words.sort_by_key(|word| word.span.start);
        let language = said
            .max_by_key(|(_, p)| p.tokens.len())
            .map_or_else(String::new, |(_, p)| p.language.clone());
        let mut sum: Vec<f32> = Vec::new();
        let before = film.sentences.iter().map(|sentence| {
            let now = sum.clone();
            sum.resize(sentence.vector.len().max(sum.len()), 0.0);
            sum.iter_mut().zip(&sentence.vector).for_each(|(sum, value)| *sum += value);
            now
        });
        Ok(Self {
            before: before.collect(),
            lexicon: Lexicon::bundled(&language)?,
            stop: stopwords(&language),
            centre: centre(film.sentences.iter().map(|s| &s.vector)),
            loudness: mean_loudness(&film.sound),
            film,
            words,
            language,
        })
    }

    /// The features of a stretch.
    pub fn measure(&self, span: Span) -> Measured {
        let mut made = Measured::default();
        let length = span.duration().as_secs_f64();
        if length <= 0.0 {
            return made;
        }
        self.place(&mut made.values, span);
        self.said(&mut made, span);
        self.sound(&mut made.values, span);
        self.matter(&mut made.values, span);
        self.meaning(&mut made, span);
        self.look(&mut made.values, span);
        made.values.retain(|_, value| value.is_finite());
        made
    }

    fn place(&self, values: &mut BTreeMap<String, f64>, span: Span) {
        let mut put = |name: &str, value: f64| {
            values.insert(name.to_owned(), value);
        };
        let film = self.film.length.as_secs_f64();
        let middle = span.start.plus(span.duration().times(1, 2)).as_secs_f64();
        put("duration", span.duration().as_secs_f64());
        put("position", if film > 0.0 { (middle / film).clamp(0.0, 1.0) } else { f64::NAN });
        let near = |at: Timestamp| {
            let off = if at > span.start { at.minus(span.start) } else { span.start.minus(at) };
            off <= Timestamp::from_secs(3)
        };
        let chapters = &self.film.insight.chapters;
        if !chapters.is_empty() {
            put("starts_chapter", flag(chapters.iter().any(|c| near(c.span.start))));
        }
    }

    /// The words whose middle lies in `span`.
    fn words_in(&self, span: Span) -> Vec<&Word> {
        let from = self
            .words
            .partition_point(|w| w.span.start < span.start.minus(Timestamp::from_secs(10)));
        let near = self.words[from..].iter().take_while(|w| w.span.start < span.end);
        near.filter(|w| span.contains(w.span.start.plus(w.span.duration().times(1, 2)))).collect()
    }

    fn sentences_in(&self, span: Span) -> Vec<(usize, &Sentence)> {
        let all = self.film.sentences.iter().enumerate();
        all.filter(|(_, s)| span.contains(s.span.start.plus(s.span.duration().times(1, 2))))
            .collect()
    }

    fn said(&self, made: &mut Measured, span: Span) {
        if self.words.is_empty() {
            return;
        }
        let words = self.words_in(span);
        let length = span.duration().as_secs_f64();
        let values = &mut made.values;
        let mut put = |name: &str, value: f64| {
            values.insert(name.to_owned(), value);
        };
        let count = words.len() as f64;
        put("words", count);
        put("speech_rate", count * 60.0 / length);
        let (Some(first), Some(last)) = (words.first(), words.last()) else {
            put("speech_share", 0.0);
            return;
        };
        let token = |word: &Word| &self.film.passages[word.passage].tokens[word.token];
        let spoken: f64 = words.iter().map(|w| w.span.duration().as_secs_f64()).sum();
        put("articulation_rate", if spoken > 0.0 { count * 60.0 / spoken } else { f64::NAN });
        put("speech_share", (spoken / length).min(1.0));
        let gaps = words.windows(2).map(|w| w[1].span.start.minus(w[0].span.end));
        let pauses: Vec<f64> =
            gaps.filter(|gap| *gap >= PAUSE).map(Timestamp::as_secs_f64).collect();
        put("pauses", pauses.len() as f64);
        put("longest_pause", pauses.iter().copied().fold(0.0, f64::max));
        put("mean_pause", if pauses.is_empty() { 0.0 } else { mean(&pauses) });
        put("first_word", first.span.start.minus(span.start).as_secs_f64().max(0.0));
        put("starts_sentence", flag(token(first).begins));
        let passage = &self.film.passages[last.passage];
        let next = passage.tokens.get(last.token + 1);
        put("ends_sentence", flag(next.is_none_or(|next| next.begins)));
        let folded: Vec<&str> = words.iter().map(|w| &*token(w).folded).collect();
        let share =
            |list: &[&str]| folded.iter().filter(|w| list.contains(w)).count() as f64 / count;
        put("fillers", share(&FILLERS));
        put("you", share(&YOU));
        put("i", share(&I));
        put("stop_words", folded.iter().filter(|w| self.stop.contains(**w)).count() as f64 / count);
        put("word_letters", folded.iter().map(|w| w.chars().count()).sum::<usize>() as f64 / count);
        let mut stems = Stems::of(&self.language);
        let different: HashSet<String> = folded.iter().map(|w| stems.stem(w).to_owned()).collect();
        put("different_words", different.len() as f64 / count);
        let sure: Vec<f64> = words.iter().map(|w| f64::from(token(w).probability)).collect();
        put("confidence", mean(&sure));
        put("confidence_least", sure.iter().copied().fold(1.0, f64::min));
        let sentences = self.sentences_in(span);
        let asked = sentences.iter().filter(|(_, s)| is_question(&s.text)).count() as f64;
        let called =
            sentences.iter().filter(|(_, s)| s.text.trim_end().ends_with('!')).count() as f64;
        let many = sentences.len() as f64;
        put("sentences", many);
        put("sentence_words", if many > 0.0 { count / many } else { f64::NAN });
        put("questions", if many > 0.0 { asked / many } else { 0.0 });
        put("exclamations", if many > 0.0 { called / many } else { 0.0 });
        if let Some(lexicon) = &self.lexicon {
            let tokens: Vec<_> = words.iter().map(|w| token(w).clone()).collect();
            let half = span.start.plus(span.duration().times(1, 2));
            let at = words.partition_point(|w| w.span.start < half);
            let feeling = lexicon.feeling(&tokens);
            put("sentiment", feeling.score());
            put("sentiment_strength", feeling.strength / (3.0 * count));
            let (early, late) = (lexicon.feeling(&tokens[..at]), lexicon.feeling(&tokens[at..]));
            put("sentiment_change", late.score() - early.score());
        }
        let mut text = String::new();
        for run in words.chunk_by(|a, b| a.passage == b.passage && a.token + 1 == b.token) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let passage = &self.film.passages[first.passage];
            let next =
                passage.tokens.get(last.token + 1).map_or(passage.text.len(), |t| t.at.start);
            let piece = passage.text.get(token(first).at.start..next).unwrap_or("").trim_end();
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(piece);
        }
        made.text = text;
    }

    /// The windows that lie in `span`, at least half of each.
    fn windows(&self, span: Span) -> &[Window] {
        let step = STEP.as_millis().max(1);
        let at = |time: Timestamp| ((time.as_millis() + step / 2) / step).max(0) as usize;
        let to = at(span.end).min(self.film.sound.len());
        &self.film.sound[at(span.start).min(to)..to]
    }

    fn sound(&self, values: &mut BTreeMap<String, f64>, span: Span) {
        let windows = self.windows(span);
        if windows.is_empty() {
            return;
        }
        let mut put = |name: &str, value: f64| {
            values.insert(name.to_owned(), value);
        };
        let count = windows.len() as f64;
        let share =
            |is: &dyn Fn(&Window) -> bool| windows.iter().filter(|w| is(w)).count() as f64 / count;
        put("silence_share", share(&|w| w.loudness < QUIET));
        let loudness = mean_loudness(windows);
        let level = level(windows);
        let peak = windows.iter().map(|w| f64::from(w.peak)).fold(f64::MIN, f64::max);
        put("peak", peak);
        put("crest", level.map_or(f64::NAN, |level| peak - level));
        if let Some(loudness) = loudness {
            put("loudness", loudness);
            let heard = sorted(windows.iter().filter(|w| w.loudness >= QUIET).map(|w| w.loudness));
            put("loudness_range", percentile(&heard, 0.95) - percentile(&heard, 0.10));
            put("loudness_relative", self.loudness.map_or(f64::NAN, |film| loudness - film));
            let opening = Span { start: span.start, end: span.start.plus(OPENING).min(span.end) };
            let opening = mean_loudness(self.windows(opening));
            put("opening_loudness", opening.map_or(f64::NAN, |opening| opening - loudness));
        }
        let (early, late) = windows.split_at(windows.len() / 2);
        if let (Some(early), Some(late)) = (self::level(early), self::level(late)) {
            put("energy_change", late - early);
        }
        let pitches = sorted(windows.iter().filter(|w| w.pitch > 0.0).map(|w| w.pitch));
        put("voiced_share", pitches.len() as f64 / count);
        if !pitches.is_empty() {
            put("pitch", percentile(&pitches, 0.5));
            let (low, high) = (percentile(&pitches, 0.1), percentile(&pitches, 0.9));
            put("pitch_range", 12.0 * (high / low).log2());
        }
        let heard: Vec<&Window> = windows.iter().filter(|w| w.loudness >= QUIET).collect();
        if !heard.is_empty() {
            let mean_of = |of: &dyn Fn(&Window) -> f32| {
                heard.iter().map(|w| f64::from(of(w))).sum::<f64>() / heard.len() as f64
            };
            put("tone", mean_of(&|w| w.centroid));
            put("noisiness", mean_of(&|w| w.flatness));
            put("modulation", mean_of(&|w| w.modulation));
        }
        let step = STEP.as_millis().max(1);
        let first = (span.start.as_millis() + step / 2) / step;
        let spoken = |n: usize| {
            let n = i64::try_from(n).unwrap_or(0) + first;
            let (from, to) =
                (Timestamp::from_millis(n * step), Timestamp::from_millis((n + 1) * step));
            let at = self.words.partition_point(|w| w.span.start < to);
            self.words[at.saturating_sub(20)..at].iter().any(|w| w.span.end > from)
        };
        let music = windows.iter().enumerate().filter(|(n, w)| {
            w.loudness >= QUIET && w.flatness < TONAL && w.modulation < STEADY && !spoken(*n)
        });
        put("music_share", music.count() as f64 / count);
    }

    fn matter(&self, values: &mut BTreeMap<String, f64>, span: Span) {
        let words = values.get("words").copied().unwrap_or(0.0);
        let mut put = |name: &str, value: f64| {
            values.insert(name.to_owned(), value);
        };
        let insight = &self.film.insight;
        let per_100 = |value: f64| if words > 0.0 { value * 100.0 / words } else { f64::NAN };
        let mut categories: BTreeMap<&str, f64> = BTreeMap::new();
        let mut written = 0.0;
        for row in insight.keywords.iter().filter(|row| overlap(row.span, span)) {
            match row.seen {
                SeenIn::Segment(_) => *categories.entry(&row.category).or_default() += row.weight,
                SeenIn::Text(_) => written += 1.0,
            }
        }
        put("keywords", per_100(categories.values().sum()));
        put("keyword_categories", categories.len() as f64);
        put("keywords_written", written);
        for (category, weight) in categories {
            put(&format!("keywords:{category}"), per_100(weight));
        }
        let said = |kind: &str| !matches!(kind, "topic" | "phrase");
        let concepts = || insight.concepts.iter().filter(|row| span.contains(row.span.start));
        put("numbers", per_100(concepts().filter(|row| said(&row.kind)).count() as f64));
        put("key_phrases", per_100(concepts().filter(|row| row.kind == "phrase").count() as f64));
        let patterns = || insight.patterns.iter().filter(|row| span.contains(row.span.start));
        put("patterns", patterns().count() as f64);
        let of = |is: &dyn Fn(&str, &str) -> bool| {
            patterns().filter(|row| is(&row.rule, &row.kind)).count() as f64
        };
        put("calls_to_action", of(&|rule, _| rule == "call-to-action"));
        put("answers", of(&|_, kind| kind == "answer"));
        let repeated = insight.patterns.iter().filter(|row| row.kind == "repeat");
        let times =
            repeated.flat_map(|row| &row.parts).filter(|part| span.contains(part.span.start));
        put("repeated_claims", times.count() as f64);
    }

    fn meaning(&self, made: &mut Measured, span: Span) {
        let sentences = self.sentences_in(span);
        let Some((first, _)) = sentences.first() else { return };
        let own = centre(sentences.iter().map(|(_, s)| &s.vector));
        let mut put = |name: &str, value: f32| {
            made.values.insert(name.to_owned(), f64::from(value));
        };
        put("centrality", cosine(&own, &self.centre));
        let mut before = self.before[*first].clone();
        super::super::sentences::unit(&mut before);
        // At the beginning everything is new.
        put("novelty", if before.is_empty() { 1.0 } else { 1.0 - cosine(&own, &before) });
        let near: Vec<f64> = sentences
            .windows(2)
            .map(|two| f64::from(cosine(&two[0].1.vector, &two[1].1.vector)))
            .collect();
        if !near.is_empty() {
            put("coherence", mean(&near) as f32);
        }
        made.vector = own;
    }

    fn look(&self, values: &mut BTreeMap<String, f64>, span: Span) {
        let length = span.duration().as_secs_f64();
        let mut put = |name: &str, value: f64| {
            values.insert(name.to_owned(), value);
        };
        let shots: Vec<(f64, &super::film::ShotLook)> = self
            .film
            .shots
            .iter()
            .map(|shot| (shared(shot.span, span), shot))
            .filter(|(time, _)| *time > 0.0)
            .collect();
        if !shots.is_empty() {
            put("shots", shots.len() as f64);
            put("shot_rate", (shots.len() - 1) as f64 * 60.0 / length);
            put("longest_shot", shots.iter().map(|(time, _)| *time).fold(0.0, f64::max));
        }
        for name in ["motion", "brightness", "contrast", "colourfulness", "sharpness"] {
            let known =
                shots.iter().filter_map(|(time, shot)| Some((time, shot.values.get(name)?)));
            let (sum, time) = known
                .fold((0.0, 0.0), |(sum, all), (time, value)| (sum + time * value, all + time));
            if time > 0.0 {
                put(name, sum / time);
            }
        }
        let lines: Vec<_> =
            self.film.lines.iter().filter(|line| overlap(line.span, span)).collect();
        let different: BTreeSet<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        put("text_lines", different.len() as f64);
        let letters: usize = different.iter().map(|text| text.chars().count()).sum();
        put("text_letters", letters as f64 / length);
        let area: f64 = lines.iter().map(|line| line.area * shared(line.span, span)).sum();
        put("text_area", (area / length).min(1.0));
    }
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn overlap(a: Span, b: Span) -> bool {
    a.start < b.end && b.start < a.end
}

/// How long two spans run together, in seconds.
fn shared(a: Span, b: Span) -> f64 {
    a.end.min(b.end).minus(a.start.max(b.start)).as_secs_f64().max(0.0)
}

/// The mean of powers, in decibels; `None` where all is silent.
fn power_mean(decibels: impl Iterator<Item = f32>) -> Option<f64> {
    let powers: Vec<f64> = decibels.map(|db| 10_f64.powf(f64::from(db) / 10.0)).collect();
    (!powers.is_empty()).then(|| 10.0 * mean(&powers).log10())
}

fn mean_loudness(windows: &[Window]) -> Option<f64> {
    power_mean(windows.iter().map(|w| w.loudness).filter(|l| *l >= QUIET))
}

fn level(windows: &[Window]) -> Option<f64> {
    power_mean(windows.iter().map(|w| w.rms))
}

fn sorted(values: impl Iterator<Item = f32>) -> Vec<f64> {
    let mut values: Vec<f64> = values.map(f64::from).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Of sorted values, with the nearest rank.
fn percentile(values: &[f64], share: f64) -> f64 {
    let at = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len().max(1)) - 1;
    values.get(at).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
#[path = "measure_tests.rs"]
mod tests;
