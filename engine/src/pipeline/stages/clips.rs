//! Clips: candidates out of what is said and shown, snapped to words and shots, measured and scored. The
//! best for each purpose are kept.

use super::settings;
use crate::error::Result;
use crate::insight::clips::{
    Bounds, Candidate, FilmData, Measured, Meter, Purpose, Scored, candidates,
};
use crate::library::catalogue::rows::{ClipRow, FeatureRow, Owner, RowRef, Rows};
use crate::library::catalogue::winners::ClipScoreRow;
use crate::pipeline::stage::{Begun, Film, FilmStage, Finished, ReadBy, StageInputs, StageWork};
use crate::search::snap::{Marks, Said, snap};
use crate::time::Span;
use serde_json::{Value, json};

/// The name of the stage.
pub(in crate::pipeline) const NAME: &str = "clips";

/// The most clips that are kept for a purpose.
const KEPT: usize = 40;

/// See the module.
pub(in crate::pipeline) struct Clips<'p>(pub &'p [Purpose]);

impl FilmStage for Clips<'_> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Value {
        json!({ "bounds": settings(&Bounds::default()), "kept": KEPT, "purposes": settings(&self.0) })
    }

    fn inputs(&self) -> StageInputs {
        StageInputs::Of(&["transcript", "meaning", "ocr", "shots", "features", "sound", "insight"])
    }

    fn begin<'a>(&'a self, _: &Film<'a>) -> Result<Begun<'a>> {
        Ok(Begun::Work(Box::new(Work(self.0))))
    }
}

struct Work<'p>(&'p [Purpose]);

/// A clip with all that is known of it.
struct Clip {
    candidate: Candidate,
    measured: Measured,
    scores: Vec<Scored>,
}

impl StageWork for Work<'_> {
    fn finish(self: Box<Self>, film: &Film<'_>, _: &ReadBy<'_>) -> Result<Finished> {
        let data = FilmData::of(&*film.catalogue()?, film.media()?)?;
        let clips = measured(&data, self.0, film)?;
        let kept = best(&clips, self.0.len());
        let mut rows = Rows::default();
        for (n, clip) in kept.iter().map(|at| &clips[*at]).enumerate() {
            rows.clips.push(ClipRow {
                span: clip.candidate.span,
                title: title(&data, clip),
                score: clip.scores.first().map(|scored| scored.score),
                kind: Some(clip.candidate.kind.as_str().to_owned()),
                text: Some(clip.measured.text.clone()).filter(|text| !text.is_empty()),
            });
            let feature = |(name, value): (&String, &f64)| FeatureRow {
                owner: Owner::Clip(RowRef::New(n)),
                name: name.clone(),
                value: *value,
            };
            rows.features.extend(clip.measured.values.iter().map(feature));
            for (purpose, scored) in self.0.iter().zip(&clip.scores) {
                rows.clip_scores.push(ClipScoreRow {
                    clip: n as i64,
                    purpose: purpose.name.clone(),
                    score: scored.score,
                    reasons: serde_json::to_string(&scored.reasons).unwrap_or_default(),
                });
            }
        }
        let summary = json!({ "candidates": clips.len(), "clips": rows.clips.len() });
        let note = clips.is_empty().then(|| "nothing is long enough for a clip".to_owned());
        Ok(Finished { rows, summary, note, ..Finished::default() })
    }
}

fn measured(data: &FilmData, purposes: &[Purpose], film: &Film<'_>) -> Result<Vec<Clip>> {
    let bounds = Bounds::default();
    let shots: Vec<Span> = data.shots.iter().map(|shot| shot.span).collect();
    let chapters: Vec<Span> = data.insight.chapters.iter().map(|c| c.span).collect();
    let marks = marks(data, &shots);
    let meter = Meter::new(data)?;
    let mut clips: Vec<Clip> = Vec::new();
    for candidate in candidates(&data.sentences, &shots, &chapters, &bounds) {
        if film.run.cancel.is_cancelled() {
            return Err(crate::error::Error::cancelled(crate::error::Stage::Insight));
        }
        let Some(snapped) = snap(candidate.span, &marks, bounds.longest) else { continue };
        if clips.iter().rev().take(50).any(|known| known.candidate.span == snapped.span) {
            continue;
        }
        let measured = meter.measure(snapped.span);
        let scores = purposes.iter().map(|purpose| purpose.score(&measured.values)).collect();
        let candidate = Candidate { span: snapped.span, ..candidate };
        clips.push(Clip { candidate, measured, scores });
    }
    Ok(clips)
}

/// What the film says and shows, for snapping: room around words, edges of shots.
fn marks(data: &FilmData, shots: &[Span]) -> Marks {
    let said = data.sentences.iter().map(|sentence| {
        let passage = &data.passages[sentence.passage];
        let words = passage.tokens[sentence.tokens.clone()].iter();
        let words = words.map(|t| (t.span, passage.text[t.at.clone()].to_owned()));
        Said { span: sentence.span, words: words.collect() }
    });
    Marks { said: said.collect(), shots: shots.to_vec(), length: Some(data.length) }
}

/// The best for each of `purposes`, in order of time; of two that share more than half of the shorter
/// one, the better.
fn best(clips: &[Clip], purposes: usize) -> Vec<usize> {
    let mut kept: Vec<usize> = Vec::new();
    for purpose in 0..purposes {
        let score = |at: usize| clips[at].scores.get(purpose).map_or(0.0, |scored| scored.score);
        let mut order: Vec<usize> = (0..clips.len()).collect();
        order.sort_by(|a, b| score(*b).total_cmp(&score(*a)).then(a.cmp(b)));
        let mut own: Vec<usize> = Vec::new();
        for at in order {
            let apart =
                |other: &usize| !much(clips[at].candidate.span, clips[*other].candidate.span);
            if own.len() < KEPT && own.iter().all(apart) {
                own.push(at);
            }
        }
        kept.extend(own);
    }
    kept.sort_unstable();
    kept.dedup();
    kept
}

fn much(a: Span, b: Span) -> bool {
    let shared = a.end.min(b.end).minus(a.start.max(b.start));
    let shorter = a.duration().min(b.duration());
    shared.plus(shared) > shorter
}

/// Its weightiest terms, or its first words.
fn title(data: &FilmData, clip: &Clip) -> String {
    let span = clip.candidate.span;
    let mut terms: Vec<(&str, f64)> = Vec::new();
    for row in data.insight.keywords.iter().filter(|row| span.contains(row.span.start)) {
        match terms.iter_mut().find(|(term, _)| *term == row.term) {
            Some((_, weight)) => *weight += row.weight,
            None => terms.push((&row.term, row.weight)),
        }
    }
    terms.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    if !terms.is_empty() {
        return terms.iter().take(2).map(|(term, _)| *term).collect::<Vec<_>>().join(", ");
    }
    let words: Vec<&str> = clip.measured.text.split_whitespace().take(8).collect();
    match words.is_empty() {
        true => format!("{} {}", clip.candidate.kind.as_str(), span.start),
        false => words.join(" "),
    }
}
