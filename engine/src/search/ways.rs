//! The ways from a question to places in films, each a list, best first.

use super::films::Films;
use super::fuse::Place;
use super::moment::{Reason, Way};
use super::near::{name_likeness, nearest};
use super::query::{Asked, SearchQuery};
use crate::control::Cancel;
use crate::embed::{Embedders, Embedding, ModelId, TextEmbedder};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::catalogue::rows::{Owner, RowRef};
use crate::library::catalogue::{Scope, TextHitKind, TextQuery};
use crate::time::Timestamp;
use image::RgbImage;
use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU32;

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

/// Of other models only the order tells: all pictures lie close together in them, and far from texts.
const ANY: f32 = -1.0;

/// Where places lie that one way leads to, and whether there are more behind them.
#[derive(Default)]
pub(super) struct List {
    pub places: Vec<Place<Reason>>,
    pub more: bool,
}

/// A frame that was given a name.
struct Named {
    media: i64,
    frame: i64,
    name: String,
    probability: f64,
    likeness: f32,
}

/// A question, understood as far as the models that are there go.
#[derive(Default)]
pub(super) struct Question<'q> {
    words: Option<&'q str>,
    meanings: Vec<Embedding>,
    /// Best first.
    named: Vec<Named>,
    /// With the least likeness that means something.
    looks: Vec<(Embedding, f32)>,
    ways: &'q [Way],
}

impl<'q> Question<'q> {
    pub fn new(
        films: &mut Films<'_>,
        query: &'q SearchQuery,
        embedders: Option<&Embedders>,
        notes: &mut Vec<String>,
        cancel: &Cancel,
    ) -> Result<Self> {
        let mut question = Self { ways: &query.ways, ..Self::default() };
        match &query.asked {
            Asked::Text(text) => {
                if !text.contains(char::is_alphanumeric) {
                    return Err(Error::new(
                        ErrorKind::Input,
                        Stage::Search,
                        "the question holds no word",
                    )
                    .hint("give words that are said, written or shown"));
                }
                question.words = Some(text);
                if let Some(embedders) = embedders {
                    question.understand(films, text, embedders, notes, cancel)?;
                }
            }
            Asked::Picture(picture) => {
                question.see(films, picture, embedders, notes, cancel)?;
            }
            Asked::Moment { media, time } => question.recall(films, *media, *time)?,
        }
        Ok(question)
    }

    fn goes(&self, way: Way) -> bool {
        self.ways.is_empty() || self.ways.contains(&way)
    }

    /// What words mean, and what pictures they may be of.
    fn understand(
        &mut self,
        films: &Films<'_>,
        text: &str,
        embedders: &Embedders,
        notes: &mut Vec<String>,
        cancel: &Cancel,
    ) -> Result<()> {
        if embedders.models().text.is_none() {
            notes.push(
                "meanings were not looked for: `rushes models pull all-minilm-l6-v2`".to_owned(),
            );
        } else if self.goes(Way::Meant) || self.goes(Way::Shown) {
            let embedder = embedders.text()?;
            if let Some(asked) = embedder.embed_texts(&[text], cancel)?.pop() {
                if self.goes(Way::Shown) {
                    self.named = named(films, &*embedder, &asked.embedding, cancel)?;
                }
                self.meanings.push(asked.embedding);
            }
        }
        if let Some(id) = embedders.joint_id().filter(|_| self.goes(Way::Shown)) {
            if holds(films, &id)? {
                let (embedder, _) = embedders.joint()?;
                let asked = embedder.embed_texts(&[text], cancel)?.pop();
                self.looks.extend(asked.map(|asked| (asked.embedding, ANY)));
            } else {
                notes.push(unseen(&id));
            }
        }
        Ok(())
    }

    /// What a picture looks like to each model that has looked at the library's.
    fn see(
        &mut self,
        films: &Films<'_>,
        picture: &RgbImage,
        embedders: Option<&Embedders>,
        notes: &mut Vec<String>,
        cancel: &Cancel,
    ) -> Result<()> {
        let missing = || {
            Error::new(
                ErrorKind::Model,
                Stage::Search,
                "a picture is looked for by a model of pictures",
            )
            .hint("run `rushes models pull efficientnet-lite0`")
        };
        let embedders = embedders.ok_or_else(missing)?;
        let ids = [embedders.joint_id(), embedders.image_id(), embedders.labels_id()];
        if ids.iter().all(Option::is_none) {
            return Err(missing());
        }
        for (which, id) in ids.into_iter().enumerate() {
            let Some(id) = id else { continue };
            if !holds(films, &id)? {
                notes.push(unseen(&id));
                continue;
            }
            let made = match which {
                0 => embedders.joint()?.1.embed_images(&[picture], cancel)?.pop(),
                1 => embedders.image()?.embed_images(&[picture], cancel)?.pop(),
                _ => embedders.labeller()?.see(&[picture], 1, cancel)?.pop().map(|s| s.embedding),
            };
            let least = if which == 2 { LEAST_LOOKS } else { ANY };
            self.looks.extend(made.map(|made| (made, least)));
        }
        Ok(())
    }

    /// What the library knows of a moment: what it shows, and what is said in it.
    fn recall(&mut self, films: &mut Films<'_>, media: i64, time: Timestamp) -> Result<()> {
        let catalogue = films.catalogue;
        let segments = catalogue.segments_of(media)?;
        let segment = segments.iter().find(|segment| segment.row.span.contains(time));
        let segment = segment.map(|segment| segment.id);
        // A picture has one vector for all frames that look like it; other frames have none.
        let frames = &films.film(media)?.frames;
        let files: HashMap<i64, &str> = frames
            .iter()
            .filter_map(|frame| Some((frame.id, frame.row.file.as_deref()?)))
            .collect();
        let of_span = frames.iter().find(|f| f.row.span.is_some_and(|span| span.contains(time)));
        let before = || frames.iter().rfind(|frame| frame.row.time <= time).or(frames.first());
        let frame = of_span.or_else(before);
        let file = frame.and_then(|frame| frame.row.file.as_deref());
        for (model, ..) in catalogue.embedding_models()? {
            let ids = catalogue.embeddings_by(&model, &Scope::films([media]))?;
            let mut found = Vec::new();
            catalogue.embeddings(&ids, |_, stored| match stored.row.owner {
                Owner::Frame(RowRef::Known(id))
                    if frame.is_some_and(|frame| frame.id == id)
                        || (file.is_some() && files.get(&id).copied() == file) =>
                {
                    let labels = stored.row.kind == "image";
                    found.push((Some(if labels { LEAST_LOOKS } else { ANY }), stored.row.vector));
                }
                Owner::Segment(RowRef::Known(id)) if Some(id) == segment => {
                    found.push((None, stored.row.vector));
                }
                _ => {}
            })?;
            for (least, vector) in found {
                let asked = Embedding::new(ModelId::from(model.clone()), vector)?;
                match least {
                    Some(least) => self.looks.push((asked, least)),
                    None => self.meanings.push(asked),
                }
            }
        }
        if self.looks.is_empty() && self.meanings.is_empty() {
            let message = "nothing is known of what is shown or said there";
            return Err(Error::new(ErrorKind::Input, Stage::Search, message)
                .hint("`rushes process --stages features,transcribe,embed` looks at it"));
        }
        Ok(())
    }

    /// The lists with their weights, each with at most `longest` entries.
    pub fn lists(&self, films: &mut Films<'_>, longest: usize) -> Result<Vec<(f64, List)>> {
        let mut lists = Vec::new();
        if let Some(text) = self.words {
            if self.goes(Way::Said) {
                lists.push((1.0, said(films, text, longest)?));
            }
            if self.goes(Way::Written) {
                lists.push((0.8, written(films, text, longest)?));
            }
        }
        for asked in self.meanings.iter().filter(|_| self.goes(Way::Meant)) {
            lists.push((1.0, meant(films, asked, longest)?));
        }
        if self.goes(Way::Shown) {
            if !self.named.is_empty() {
                lists.push((0.8, shown(films, &self.named, longest)?));
            }
            for (asked, least) in &self.looks {
                lists.push((1.0, looks(films, asked, *least, longest)?));
            }
        }
        Ok(lists)
    }
}

/// Whether anything in the library was embedded by a model.
fn holds(films: &Films<'_>, id: &ModelId) -> Result<bool> {
    Ok(films.catalogue.embedding_models()?.iter().any(|(model, ..)| model == id.as_str()))
}

fn unseen(id: &ModelId) -> String {
    let name = id.name();
    format!("{name} has not looked at this library: `rushes process` with it does")
}

fn texts(films: &Films<'_>, text: &str, kind: TextHitKind, longest: usize) -> TextQuery {
    let limit = u32::try_from(longest).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX);
    let default = TextQuery::any(text);
    TextQuery { kinds: vec![kind], scope: films.scope.clone(), limit, ..default }
}

fn said(films: &Films<'_>, text: &str, longest: usize) -> Result<List> {
    let found = films.catalogue.search_text(&texts(films, text, TextHitKind::Segment, longest))?;
    let mut list = List { more: found.len() >= longest, ..List::default() };
    for hit in found {
        let Some(span) = hit.span else { continue };
        let reason = Reason::Said { words: hit.matched, text: hit.text.trim().to_owned() };
        list.places.push(Place { media: hit.media, span: films.scope.cut(span), reason });
    }
    Ok(list)
}

fn written(films: &mut Films<'_>, text: &str, longest: usize) -> Result<List> {
    let found =
        films.catalogue.search_text(&texts(films, text, TextHitKind::FrameText, longest))?;
    let mut list = List { more: found.len() >= longest, ..List::default() };
    for hit in found {
        let span = match (hit.span, hit.frame) {
            (Some(span), _) => Some(films.scope.cut(span)),
            (None, Some(frame)) => films.shown(hit.media, frame)?.map(|(span, _)| span),
            (None, None) => None,
        };
        let reason = Reason::Written { words: hit.matched, text: hit.text };
        list.places.extend(span.map(|span| Place { media: hit.media, span, reason }));
    }
    Ok(list)
}

/// What is said and means much the same.
fn meant(films: &Films<'_>, asked: &Embedding, longest: usize) -> Result<List> {
    let found = nearest(films.catalogue, asked, longest, films.scope)?;
    let mut list = List { more: found.len() >= longest, ..List::default() };
    for near in found {
        let Owner::Segment(RowRef::Known(segment)) = near.owner else { continue };
        let likeness = near.likeness;
        if likeness < LEAST_LIKENESS {
            list.more = false;
            break;
        }
        if let Some((media, span, text)) = films.segment(segment)? {
            let (span, reason) = (films.scope.cut(span), Reason::Meant { likeness, text });
            list.places.push(Place { media, span, reason });
        }
    }
    Ok(list)
}

/// What looks much the same.
fn looks(films: &mut Films<'_>, asked: &Embedding, least: f32, longest: usize) -> Result<List> {
    let found = nearest(films.catalogue, asked, longest, films.scope)?;
    let mut list = List { more: found.len() >= longest, ..List::default() };
    for near in found {
        let Owner::Frame(RowRef::Known(frame)) = near.owner else { continue };
        let likeness = near.likeness;
        if likeness < least {
            list.more = false;
            break;
        }
        if let Some((span, picture)) = films.shown(near.media, frame)? {
            let reason = Reason::Looks { likeness, picture };
            list.places.push(Place { media: near.media, span, reason });
        }
    }
    Ok(list)
}

/// What is shown, by the names that a network gave it.
fn shown(films: &mut Films<'_>, named: &[Named], longest: usize) -> Result<List> {
    let mut list = List { more: named.len() > longest, ..List::default() };
    for one in named.iter().take(longest) {
        if let Some((span, picture)) = films.shown(one.media, one.frame)? {
            let reason = Reason::Shown {
                label: one.name.clone(),
                probability: one.probability,
                likeness: one.likeness,
                picture,
            };
            list.places.push(Place { media: one.media, span, reason });
        }
    }
    Ok(list)
}

/// The frames whose names mean much the same as `asked`, best first.
fn named(
    films: &Films<'_>,
    text: &dyn TextEmbedder,
    asked: &Embedding,
    cancel: &Cancel,
) -> Result<Vec<Named>> {
    let seen = films.catalogue.labels(LEAST_PROBABILITY, films.scope)?;
    let names: BTreeSet<&str> = seen.iter().map(|(.., name, _)| name.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let likeness = name_likeness(films.catalogue, text, asked, &names, cancel)?;
    let likeness: HashMap<String, f32> =
        names.into_iter().map(str::to_owned).zip(likeness).collect();
    let mut best: Vec<(f64, Named)> = Vec::new();
    for (media, frame, name, probability) in seen {
        let likeness = likeness.get(&name).copied().unwrap_or(0.0);
        if likeness >= LEAST_LABEL_LIKENESS {
            // What it is called counts for more than how sure the network is: of a thousand names
            // several fit a picture in part.
            let score = f64::from(likeness).powi(2) * probability.sqrt();
            best.push((score, Named { media, frame, name, probability, likeness }));
        }
    }
    let place = |named: &Named| (named.media, named.frame);
    best.sort_by(|a, b| b.0.total_cmp(&a.0).then(place(&a.1).cmp(&place(&b.1))));
    Ok(best.into_iter().map(|(_, named)| named).collect())
}
