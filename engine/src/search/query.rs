//! From a question to moments.

use super::films::Films;
use super::fuse::{Moment, fuse};
use super::moment::{Also, Hit, Reason, Way};
use super::same::Look;
use super::snap::snap;
use super::ways::Question;
use crate::control::Cancel;
use crate::embed::Embedders;
use crate::error::Result;
use crate::library::Catalogue;
use crate::library::catalogue::{Scope, Tag};
use crate::time::{Span, Timestamp};
use image::RgbImage;
use std::num::NonZeroUsize;

/// Entries of each list that are looked at first; more where that gives too few moments.
const LIST: usize = 200;
/// So many entries are looked at in the end at most.
const LONGEST_LIST: usize = 1 << 20;

/// A hit may grow to this length where words and shots want it, whatever was found.
const ROOM: Timestamp = Timestamp::from_secs(8);

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
    /// The most moments. As many are given as long as there are as many.
    pub limit: NonZeroUsize,
    /// In which part of the library.
    pub scope: Scope,
    /// Only in films that have all of these tags.
    pub tags: Vec<Tag>,
    /// Only on these ways; on all of them if empty.
    pub ways: Vec<Way>,
}

impl SearchQuery {
    /// The ten best moments for `text` in the whole library.
    pub fn new(text: impl Into<String>) -> Self {
        Self::of(Asked::Text(text.into()))
    }

    /// The ten best moments for `asked` in the whole library.
    pub fn of(asked: Asked) -> Self {
        let limit = NonZeroUsize::new(10).unwrap_or(NonZeroUsize::MIN);
        Self { asked, limit, scope: Scope::default(), tags: Vec::new(), ways: Vec::new() }
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
/// [`ErrorKind::Input`](crate::error::ErrorKind::Input) for a question without a word, or about a
/// moment that holds nothing; as [`Catalogue::open`](crate::library::Catalogue::open);
/// [`ErrorKind::Model`](crate::error::ErrorKind::Model) where a model that is needed is missing or
/// damaged.
pub fn search(
    catalogue: &Catalogue,
    embedders: Option<&Embedders>,
    query: &SearchQuery,
    cancel: &Cancel,
) -> Result<Answer> {
    let scope = scope(catalogue, query)?;
    let mut films = Films::new(catalogue, &scope);
    let mut notes = Vec::new();
    let question = Question::new(&mut films, query, embedders, &mut notes, cancel)?;
    let mut longest = LIST.max(query.limit.get().saturating_mul(4)).min(LONGEST_LIST);
    loop {
        cancel.check(crate::error::Stage::Search)?;
        let lists = question.lists(&mut films, longest)?;
        let more = lists.iter().any(|(_, list)| list.more);
        let moments = fuse(lists.into_iter().map(|(weight, list)| (weight, list.places)).collect());
        let hits = hits(&mut films, moments, query)?;
        // Places of a list may all belong to few moments: then there may be more behind them.
        if hits.len() == query.limit.get() || !more || longest == LONGEST_LIST {
            return Ok(Answer { hits, notes });
        }
        longest = longest.saturating_mul(4).min(LONGEST_LIST);
    }
}

/// The part of the library that is asked about, tags looked up.
fn scope(catalogue: &Catalogue, query: &SearchQuery) -> Result<Scope> {
    let mut scope = query.scope.clone();
    if !query.tags.is_empty() {
        let mut tagged = catalogue.tagged(&query.tags)?;
        tagged.retain(|media| scope.media.as_ref().is_none_or(|wanted| wanted.contains(media)));
        scope.media = Some(tagged);
    }
    Ok(scope)
}

/// The best of `moments`, snapped to words and shots, each once.
fn hits(
    films: &mut Films<'_>,
    moments: Vec<Moment<Reason>>,
    query: &SearchQuery,
) -> Result<Vec<Hit>> {
    let mut hits: Vec<Hit> = Vec::new();
    let mut looks: Vec<Look> = Vec::new();
    // Nothing has to be compared where all is of one film.
    let several = moments.windows(2).any(|two| two[0].media != two[1].media);
    for moment in moments {
        // What is asked about is no answer.
        if matches!(query.asked, Asked::Moment { media, time }
            if media == moment.media && moment.span.contains(time))
        {
            continue;
        }
        let longest = moment.span.duration().max(ROOM);
        let snapped = snap(moment.span, &films.film(moment.media)?.marks, longest);
        let span = snapped.map_or(moment.span, |snapped| snapped.span);
        let overlaps = |hit: &&mut Hit| hit.media == moment.media && mostly(hit.span, span);
        if let Some(hit) = hits.iter_mut().find(overlaps) {
            hit.why.extend(moment.reasons);
            continue;
        }
        let Some(media) = films.catalogue.by_id(moment.media)? else { continue };
        let look = if several { Look::of(films, moment.media, span)? } else { Look::default() };
        let twice = |n: &usize| hits[*n].media != moment.media && looks[*n].is_same(&look);
        let known = (0..hits.len()).find(twice);
        if known.is_none() && hits.len() == query.limit.get() {
            break;
        }
        let path = films.catalogue.paths_of(moment.media)?.pop();
        let path = path.map_or_else(String::new, |seen| seen.path.to_string_lossy().into_owned());
        let (media, name, folder) = (moment.media, media.name, media.folder);
        match known {
            Some(n) => hits[n].also.push(Also { media, name, path, span }),
            None => {
                looks.push(look);
                let (score, why) = (moment.score, moment.reasons);
                hits.push(Hit { media, name, path, folder, span, score, why, also: Vec::new() });
            }
        }
    }
    Ok(hits)
}

/// Whether most of the shorter one lies in the other.
fn mostly(a: Span, b: Span) -> bool {
    let common = Span::new(a.start.max(b.start), a.end.min(b.end));
    let shorter = a.duration().min(b.duration());
    common.is_some_and(|common| {
        common.duration() > Timestamp::ZERO && common.duration().times(2, 1) >= shorter
    })
}

#[cfg(test)]
mod tests;
