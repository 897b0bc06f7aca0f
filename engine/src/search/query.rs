//! From a question to moments.

use super::fuse::{Place, fuse};
use super::moment::{Hit, Reason};
use super::near::{Among, name_likeness, nearest};
use crate::control::Cancel;
use crate::embed::{Embedders, Embedding, ModelId};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::Catalogue;
use crate::library::catalogue::rows::{FrameRow, Owner, RowRef, Stored};
use crate::library::catalogue::{TextHitKind, TextQuery};
use crate::time::{Span, Timestamp};
use image::RgbImage;
use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;

/// Entries of each list that are looked at.
const LIST: usize = 200;

/// Meanings further apart than this have nothing to do with each other. (MiniLM: unrelated
/// sentences lie around 0, paraphrases above 0.5.)
const LEAST_LIKENESS: f32 = 0.25;

/// A name says less than a sentence: chance likeness is higher (`rabbit` and `peacock`: 0.41).
const LEAST_LABEL_LIKENESS: f32 = 0.45;

/// Less likely labels are not believed: twenty times chance, and the name has to fit besides. (What is
/// drawn is a guess: a grey bird is `king penguin` with 0.51 in one picture, `fox squirrel` with
/// 0.11 in another.)
const LEAST_PROBABILITY: f64 = 0.02;

/// Pictures less alike than this show different things. (EfficientNet-lite0: the same object seen
/// twice 0.89, others 0.21.)
const LEAST_LOOKS: f32 = 0.4;

/// Where neither shots nor neighbouring frames tell how long a picture is shown.
const SHOWN_FOR: Timestamp = Timestamp::from_secs(5);

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Words, as a person types them; nothing in them is syntax.
    Text(String),
    /// What looks like this picture.
    Picture(RgbImage),
    /// What looks like, or means, what is shown and said at a time of a film of the library.
    Moment {
        /// The film.
        media: i64,
        /// The time in it.
        time: Timestamp,
    },
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchQuery {
    /// What is looked for.
    pub asked: Asked,
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
        Self::of(Asked::Text(text.into()))
    }

    /// The ten best moments for `asked` in the whole library.
    pub fn of(asked: Asked) -> Self {
        let limit = NonZeroUsize::new(10).unwrap_or(NonZeroUsize::MIN);
        Self { asked, limit, media: Vec::new(), language: None }
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
/// [`ErrorKind::Input`] for a question without a word, or about a moment that holds nothing; as
/// [`Catalogue::open`](crate::library::Catalogue::open); [`ErrorKind::Model`] where a model that is
/// needed is missing or damaged.
pub fn search(
    catalogue: &Catalogue,
    embedders: Option<&Embedders>,
    query: &SearchQuery,
    cancel: &Cancel,
) -> Result<Answer> {
    let mut films = Films { catalogue, query, known: HashMap::new() };
    let mut notes = Vec::new();
    let lists = match &query.asked {
        Asked::Text(text) => by_text(&mut films, text, embedders, &mut notes, cancel)?,
        Asked::Picture(picture) => vec![(1.0, by_picture(&mut films, picture, embedders, cancel)?)],
        Asked::Moment { media, time } => by_moment(&mut films, *media, *time)?,
    };
    let mut hits = Vec::new();
    for moment in fuse(lists) {
        // What is asked about is no answer.
        if matches!(query.asked, Asked::Moment { media, time }
            if media == moment.media && moment.span.contains(time))
        {
            continue;
        }
        if hits.len() == query.limit.get() {
            break;
        }
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
    /// For how long a frame's picture is shown: what it stands for, its shot, or until the next
    /// frame.
    fn shown(&self, frame: &FrameRow) -> Span {
        if let Some(span) = frame.span {
            return span;
        }
        let time = frame.time;
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

    fn among(&self) -> Among<'_> {
        Among { media: &self.query.media, language: self.query.language.as_deref() }
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

    /// When a frame is shown, and its picture's path in the library if it was kept.
    fn shown(&mut self, media: i64, frame: i64) -> Result<Option<(Span, Option<String>)>> {
        let film = self.film(media)?;
        let Some(frame) = film.frames.iter().find(|one| one.id == frame) else { return Ok(None) };
        let picture = frame.row.file.as_ref().map(|file| format!("{}/{file}", film.folder));
        Ok(Some((film.shown(&frame.row), picture)))
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

/// Lists and what they weigh.
type Lists = Vec<(f64, List)>;

/// All ways that lead from words to moments.
fn by_text(
    films: &mut Films<'_>,
    text: &str,
    embedders: Option<&Embedders>,
    notes: &mut Vec<String>,
    cancel: &Cancel,
) -> Result<Lists> {
    if !text.contains(char::is_alphanumeric) {
        return Err(Error::new(ErrorKind::Input, Stage::Search, "the question holds no word")
            .hint("give words that are said, written or shown"));
    }
    let [said, written] = by_words(films, text)?;
    let mut lists = vec![(1.0, said), (0.8, written)];
    let Some(embedders) = embedders else { return Ok(lists) };
    if embedders.models().text.is_some() {
        let embedder = embedders.text()?;
        if let Some(asked) = embedder.embed_texts(&[text], cancel)?.pop() {
            let asked = asked.embedding;
            lists.push((1.0, by_meaning(films, &asked, LEAST_LIKENESS)?));
            lists.push((0.8, by_labels(films, &*embedder, &asked, cancel)?));
        }
    } else {
        notes.push(
            "only words were looked for: `rushes models pull all-minilm-l6-v2` finds meanings too"
                .to_owned(),
        );
    }
    if embedders.models().joint.is_some() {
        let (embedder, _) = embedders.joint()?;
        if let Some(asked) = embedder.embed_texts(&[text], cancel)?.pop() {
            // Texts and pictures lie far apart in these models: only their order tells.
            lists.push((1.0, by_looks(films, &asked.embedding, -1.0)?));
        }
    }
    Ok(lists)
}

/// What looks like a picture.
fn by_picture(
    films: &mut Films<'_>,
    picture: &RgbImage,
    embedders: Option<&Embedders>,
    cancel: &Cancel,
) -> Result<List> {
    let missing = || {
        Error::new(
            ErrorKind::Model,
            Stage::Search,
            "a picture is looked for by a model of pictures",
        )
        .hint("run `rushes models pull efficientnet-lite0`")
    };
    let embedders = embedders.ok_or_else(missing)?;
    let seen = embedders.labeller()?.see(&[picture], 1, cancel)?.pop().ok_or_else(missing)?;
    by_looks(films, &seen.embedding, LEAST_LOOKS)
}

/// What is like the moment of a film: what it shows, and what is said in it.
fn by_moment(films: &mut Films<'_>, media: i64, time: Timestamp) -> Result<Lists> {
    let catalogue = films.catalogue;
    let frames = &films.film(media)?.frames;
    let frame = frames.iter().rfind(|frame| frame.row.time <= time);
    let frame = frame.or(frames.first()).map(|frame| frame.id);
    let segments = catalogue.segments_of(media)?;
    let segment = segments.iter().find(|segment| segment.row.span.contains(time));
    let segment = segment.map(|segment| segment.id);
    let mut asked = Vec::new();
    for (model, ..) in catalogue.embedding_models()? {
        let ids = catalogue.embeddings_by(&model, &[media], None)?;
        catalogue.embeddings(&ids, |_, stored| {
            let is_text = match stored.row.owner {
                Owner::Frame(RowRef::Known(id)) if Some(id) == frame => false,
                Owner::Segment(RowRef::Known(id)) if Some(id) == segment => true,
                _ => return,
            };
            asked.push((is_text, model.clone(), stored.row.vector));
        })?;
    }
    if asked.is_empty() {
        let message = "nothing is known of what is shown or said there";
        return Err(Error::new(ErrorKind::Input, Stage::Search, message)
            .hint("`rushes process --stages frames,transcribe,embed` looks at it"));
    }
    let mut lists = Vec::new();
    for (is_text, model, vector) in asked {
        let asked = Embedding::new(ModelId::from(model), vector)?;
        lists.push(if is_text {
            (1.0, by_meaning(films, &asked, LEAST_LIKENESS)?)
        } else {
            (1.0, by_looks(films, &asked, LEAST_LOOKS)?)
        });
    }
    Ok(lists)
}

/// What is said, and what is written in pictures.
fn by_words(films: &mut Films<'_>, text: &str) -> Result<[List; 2]> {
    let limit = u32::try_from(LIST).ok().and_then(std::num::NonZeroU32::new);
    let default = TextQuery::any(text);
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
                let Some((shown, _)) = films.shown(hit.media, frame)? else { continue };
                let span = hit.span.unwrap_or(shown);
                let reason = Reason::Written { words: hit.matched, text: hit.text };
                written.push(Place { media: hit.media, span, reason });
            }
            (TextHitKind::FrameText, None) => {}
        }
    }
    Ok([said, written])
}

/// What is said and means much the same.
fn by_meaning(films: &mut Films<'_>, asked: &Embedding, least: f32) -> Result<List> {
    let mut list = Vec::new();
    for near in nearest(films.catalogue, asked, LIST, films.among())? {
        let Owner::Segment(RowRef::Known(segment)) = near.owner else { continue };
        if near.likeness < least {
            break;
        }
        if let Some((media, span, text)) = films.segment(segment)? {
            let likeness = near.likeness;
            list.push(Place { media, span, reason: Reason::Meant { likeness, text } });
        }
    }
    Ok(list)
}

/// What looks much the same.
fn by_looks(films: &mut Films<'_>, asked: &Embedding, least: f32) -> Result<List> {
    let among = Among { media: &films.query.media, language: None };
    let mut list = Vec::new();
    for near in nearest(films.catalogue, asked, LIST, among)? {
        let Owner::Frame(RowRef::Known(frame)) = near.owner else { continue };
        if near.likeness < least {
            break;
        }
        let likeness = near.likeness;
        if let Some((span, picture)) = films.shown(near.media, frame)? {
            let reason = Reason::Looks { likeness, picture };
            list.push(Place { media: near.media, span, reason });
        }
    }
    Ok(list)
}

/// What is shown, by the names that a network gave it.
fn by_labels(
    films: &mut Films<'_>,
    text: &dyn crate::embed::TextEmbedder,
    asked: &Embedding,
    cancel: &Cancel,
) -> Result<List> {
    let mut seen = films.catalogue.labels(LEAST_PROBABILITY)?;
    seen.retain(|(media, ..)| films.wanted(*media));
    let names: BTreeSet<&str> = seen.iter().map(|(.., name, _)| name.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let likeness = name_likeness(films.catalogue, text, asked, &names, cancel)?;
    let likeness: HashMap<&str, f32> = names.into_iter().zip(likeness).collect();
    let mut best = Vec::new();
    for (media, frame, name, probability) in &seen {
        let likeness = likeness.get(name.as_str()).copied().unwrap_or(0.0);
        if likeness >= LEAST_LABEL_LIKENESS {
            // What it is called counts for more than how sure the network is: of a thousand names
            // several fit a picture in part.
            let score = f64::from(likeness).powi(2) * probability.sqrt();
            best.push((score, *media, *frame, name, *probability, likeness));
        }
    }
    best.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut list = Vec::new();
    for (_, media, frame, name, probability, likeness) in best.into_iter().take(LIST) {
        if let Some((span, picture)) = films.shown(media, frame)? {
            let label = name.clone();
            let reason = Reason::Shown { label, probability, likeness, picture };
            list.push(Place { media, span, reason });
        }
    }
    Ok(list)
}
