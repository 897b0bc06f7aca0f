//! From a question to moments.

use super::fuse::{Place, fuse};
use super::moment::{Hit, Reason};
use crate::control::Cancel;
use crate::embed::{Embedders, Embedding};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::Catalogue;
use crate::library::catalogue::rows::{FrameRow, Owner, RowRef, Stored};
use crate::library::catalogue::{TextHitKind, TextQuery};
use crate::time::{Span, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;

/// Entries of each list that are looked at.
const LIST: usize = 200;

/// Meanings further apart than this have nothing to do with each other. (MiniLM: unrelated
/// sentences lie around 0, paraphrases above 0.5.)
const LEAST_LIKENESS: f32 = 0.25;

/// A name says less than a sentence: chance likeness is higher (`rabbit` and `peacock`: 0.41).
const LEAST_LABEL_LIKENESS: f32 = 0.45;

/// Less likely labels are not believed.
const LEAST_PROBABILITY: f64 = 0.05;

/// Where neither shots nor neighbouring frames tell how long a picture is shown.
const SHOWN_FOR: Timestamp = Timestamp::from_secs(5);

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchQuery {
    /// What is looked for, as a person types it; nothing in it is syntax.
    pub text: String,
    /// The most moments.
    pub limit: NonZeroUsize,
    /// Only in these films; in all if empty.
    pub media: Vec<i64>,
    /// Only where this language is spoken (ISO 639); what is shown has none.
    pub language: Option<String>,
}

impl SearchQuery {
    /// The ten best moments for `text` in the whole library.
    pub fn new(text: impl Into<String>) -> Self {
        let limit = NonZeroUsize::new(10).unwrap_or(NonZeroUsize::MIN);
        Self { text: text.into(), limit, media: Vec::new(), language: None }
    }
}

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The moments, best first.
    pub hits: Vec<Hit>,
    /// Ways that were not open, and why: without models only words are looked for.
    pub notes: Vec<String>,
}

/// Searches the library of `catalogue`. Without `embedders` only words are looked for.
///
/// # Errors
/// [`ErrorKind::Input`] for a question without a word; as
/// [`Catalogue::open`](crate::library::Catalogue::open); [`ErrorKind::Model`] where a model that is
/// given is damaged.
pub fn search(
    catalogue: &Catalogue,
    embedders: Option<&Embedders>,
    query: &SearchQuery,
    cancel: &Cancel,
) -> Result<Answer> {
    if !query.text.contains(char::is_alphanumeric) {
        return Err(Error::new(ErrorKind::Input, Stage::Search, "the question holds no word")
            .hint("give words that are said, written or shown"));
    }
    let mut films = Films { catalogue, query, known: HashMap::new() };
    let mut notes = Vec::new();
    let [said, written] = by_words(&mut films)?;
    let mut lists = vec![(1.0, said), (0.8, written)];
    match embedders.filter(|embedders| embedders.models().text.is_some()) {
        Some(embedders) => {
            let text = embedders.text()?;
            let asked = text.embed_texts(&[&query.text], cancel)?.pop();
            if let Some(asked) = asked {
                lists.push((1.0, by_meaning(&mut films, &asked.embedding)?));
                lists.push((0.8, by_labels(&mut films, &*text, &asked.embedding, cancel)?));
            }
        }
        None => notes.push(
            "only words were looked for: `rushes models pull all-minilm-l6-v2` finds meanings too"
                .to_owned(),
        ),
    }
    let mut hits = Vec::new();
    for moment in fuse(lists).into_iter().take(query.limit.get()) {
        let Some(media) = catalogue.by_id(moment.media)? else { continue };
        let path = catalogue.paths_of(moment.media)?.pop();
        hits.push(Hit {
            media: moment.media,
            name: media.name,
            path: path.map_or_else(String::new, |seen| seen.path.to_string_lossy().into_owned()),
            folder: media.folder,
            span: moment.span,
            score: moment.score,
            why: moment.reasons,
        });
    }
    Ok(Answer { hits, notes })
}

/// What is shown in one film, and when.
#[derive(Default)]
struct Film {
    shots: Vec<Span>,
    frames: Vec<Stored<FrameRow>>,
    folder: String,
}

impl Film {
    /// For how long the picture of `time` is shown: its shot, or until the next frame.
    fn shown(&self, time: Timestamp) -> Span {
        let shot = self.shots.iter().find(|span| span.contains(time));
        let next = self.frames.iter().map(|frame| frame.row.time).find(|next| *next > time);
        let until = next.unwrap_or_else(|| time.plus(SHOWN_FOR)).min(time.plus(SHOWN_FOR));
        // A long shot is not one moment: from the picture on is enough.
        shot.filter(|shot| shot.duration() <= SHOWN_FOR.times(4, 1))
            .copied()
            .or_else(|| Span::new(time, until))
            .unwrap_or(Span { start: time, end: time })
    }
}

/// The films of a search, read as they are needed.
struct Films<'a> {
    catalogue: &'a Catalogue,
    query: &'a SearchQuery,
    known: HashMap<i64, Film>,
}

impl Films<'_> {
    fn wanted(&self, media: i64) -> bool {
        self.query.media.is_empty() || self.query.media.contains(&media)
    }

    fn film(&mut self, media: i64) -> Result<&Film> {
        if !self.known.contains_key(&media) {
            let shots = self.catalogue.shots_of(media)?;
            let folder = self.catalogue.by_id(media)?.map(|row| row.folder).unwrap_or_default();
            let mut frames = self.catalogue.frames_of(media, None)?;
            frames.sort_by_key(|frame| frame.row.time);
            let shots = shots.into_iter().map(|shot| shot.row.span).collect();
            self.known.insert(media, Film { shots, frames, folder });
        }
        Ok(self.known.entry(media).or_default())
    }

    /// The place and text of a segment, if it is one of those that are wanted.
    fn segment(&self, id: i64) -> Result<Option<(i64, Span, String)>> {
        let Some((media, segment)) = self.catalogue.segment(id)? else { return Ok(None) };
        let language = self.query.language.as_deref();
        let wanted = self.wanted(media) && language.is_none_or(|l| l == segment.row.language);
        let span = segment.row.span;
        Ok(wanted.then(|| (media, span, segment.row.text.trim().to_owned())))
    }
}

type List = Vec<Place<Reason>>;

/// What is said, and what is written in pictures.
fn by_words(films: &mut Films<'_>) -> Result<[List; 2]> {
    let limit = u32::try_from(LIST).ok().and_then(std::num::NonZeroU32::new);
    let default = TextQuery::any(films.query.text.clone());
    let query = TextQuery {
        media: films.query.media.clone(),
        limit: limit.unwrap_or(default.limit),
        ..default
    };
    let (mut said, mut written) = (Vec::new(), Vec::new());
    for hit in films.catalogue.search_text(&query)? {
        match (hit.kind, hit.frame) {
            (TextHitKind::Segment, _) => {
                if let Some((media, span, text)) = films.segment(hit.id)? {
                    let reason = Reason::Said { words: hit.matched, text };
                    said.push(Place { media, span, reason });
                }
            }
            (TextHitKind::FrameText, Some(frame)) => {
                let film = films.film(hit.media)?;
                let Some(frame) = film.frames.iter().find(|one| one.id == frame) else { continue };
                let span = film.shown(frame.row.time);
                let reason = Reason::Written { words: hit.matched, text: hit.text };
                written.push(Place { media: hit.media, span, reason });
            }
            (TextHitKind::FrameText, None) => {}
        }
    }
    Ok([said, written])
}

/// What is said and means much the same.
fn by_meaning(films: &mut Films<'_>, asked: &Embedding) -> Result<List> {
    let mut best: Vec<(f32, i64)> = Vec::new();
    films.catalogue.each_embedding(Some(asked.model().as_str()), |_, stored| {
        let Owner::Segment(RowRef::Known(segment)) = stored.row.owner else { return };
        if stored.row.vector.len() != asked.dim() {
            return;
        }
        let likeness: f32 = stored.row.vector.iter().zip(asked.vector()).map(|(a, b)| a * b).sum();
        if likeness >= LEAST_LIKENESS {
            best.push((likeness, segment));
        }
    })?;
    best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut list = Vec::new();
    for (likeness, segment) in best {
        if list.len() == LIST {
            break;
        }
        if let Some((media, span, text)) = films.segment(segment)? {
            list.push(Place { media, span, reason: Reason::Meant { likeness, text } });
        }
    }
    Ok(list)
}

/// What a network called a frame.
struct Named {
    media: i64,
    frame: i64,
    label: String,
    probability: f64,
}

/// What is shown, by the names that a network gave it.
fn by_labels(
    films: &mut Films<'_>,
    text: &dyn crate::embed::TextEmbedder,
    asked: &Embedding,
    cancel: &Cancel,
) -> Result<List> {
    let mut seen: Vec<Named> = Vec::new();
    for media in films.catalogue.all_media()? {
        if !films.wanted(media.id) {
            continue;
        }
        for feature in films.catalogue.features_of(media.id)? {
            let Some(label) = feature.name.strip_prefix("label:") else { continue };
            let Owner::Frame(RowRef::Known(frame)) = feature.owner else { continue };
            if feature.value >= LEAST_PROBABILITY {
                let (label, probability) = (label.to_owned(), feature.value);
                seen.push(Named { media: media.id, frame, label, probability });
            }
        }
    }
    // Each name once, in a fixed order: only those that were seen have to be understood.
    let mut names: BTreeMap<&str, f32> =
        seen.iter().map(|named| (named.label.as_str(), 0.0)).collect();
    let order: Vec<&str> = names.keys().copied().collect();
    for (name, made) in order.iter().zip(text.embed_texts(&order, cancel)?) {
        names.insert(name, made.embedding.cosine(asked)?);
    }
    let mut best: Vec<(f64, &Named, f32)> = seen
        .iter()
        .filter_map(|named| {
            let likeness = names.get(named.label.as_str()).copied().unwrap_or(0.0);
            // What it is called counts for more than how sure the network is: of a thousand names
            // several fit a picture in part.
            let score = f64::from(likeness).powi(2) * named.probability.sqrt();
            (likeness >= LEAST_LABEL_LIKENESS).then_some((score, named, likeness))
        })
        .collect();
    let place = |named: &Named| (named.media, named.frame);
    best.sort_by(|a, b| b.0.total_cmp(&a.0).then(place(a.1).cmp(&place(b.1))));
    let mut list = Vec::new();
    for (_, named, likeness) in best.into_iter().take(LIST) {
        let Named { media, probability, .. } = *named;
        let film = films.film(media)?;
        let Some(frame) = film.frames.iter().find(|one| one.id == named.frame) else { continue };
        let file = frame.row.file.as_ref();
        let picture = file.map(|file| format!("{}/{file}", film.folder));
        let span = film.shown(frame.row.time);
        let label = named.label.clone();
        let reason = Reason::Shown { label, probability, likeness, picture };
        list.push(Place { media, span, reason });
    }
    Ok(list)
}
