//! Assets that come from a library: films by name, stretches of them, answers to questions. They are
//! looked up before an edit is opened, so that timelines themselves know nothing of libraries.

use super::compose::Films;
use crate::control::Cancel;
use crate::embed::Embedders;
use crate::error::Result;
use crate::library::catalogue::Scope;
use crate::library::{Catalogue, Library};
use crate::search::snap::snap;
use crate::search::{Asked, SearchQuery, search};
use crate::time::{Span, Timestamp};
use crate::timeline::{Draft, Faults, LibraryAsset, Timeline};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;

/// The longest stretch that an answer is snapped to.
const LONGEST: Timestamp = Timestamp::from_secs(60);

/// Whether an edit has assets from a library, and whether any is the answer to a question.
pub fn needs_library(timeline: &Timeline) -> (bool, bool) {
    let wanted = || timeline.assets.values().filter_map(|asset| asset.library.as_ref());
    (wanted().next().is_some(), wanted().any(|asset| asset.search.is_some()))
}

/// `draft` with every asset that comes from the library made a file. Items that show such an asset and
/// say neither where it begins nor ends show its stretch. What is not found is a fault of the draft.
///
/// # Errors
/// As [`Catalogue::open`] and [`search`].
pub fn resolve(
    mut draft: Draft,
    library: &Library,
    catalogue: &Catalogue,
    embedders: Option<&Embedders>,
    cancel: &Cancel,
) -> Result<Draft> {
    let Some(timeline) = draft.timeline() else { return Ok(draft) };
    let mut looking =
        Looking { films: Films::new(library, catalogue), catalogue, embedders, cancel };
    let mut faults = Faults::default();
    let mut found: BTreeMap<String, (String, Option<Span>)> = BTreeMap::new();
    for (name, asset) in &timeline.assets {
        let Some(wanted) = &asset.library else { continue };
        match looking.look(wanted)? {
            Ok(place) => {
                found.insert(name.clone(), place);
            }
            Err(why) => {
                faults.add(format!("{}/library", crate::timeline::step("/assets", name)), why)
            }
        }
    }
    draft.add(faults);
    Ok(draft.map(|mut timeline| {
        for (name, (file, span)) in found {
            if let Some(asset) = timeline.assets.get_mut(&name) {
                asset.library = None;
                asset.file = Some(file);
            }
            let items = timeline.video.iter_mut().flat_map(|track| &mut track.items);
            for item in items.filter(|item| item.asset.as_ref() == Some(&name)) {
                let open = item.from.is_none() && item.to.is_none() && item.length.is_none();
                if let Some(span) = span.filter(|_| open) {
                    item.from = Some(span.start.into());
                    item.to = Some(span.end.into());
                }
            }
        }
        timeline
    }))
}

struct Looking<'a> {
    films: Films<'a>,
    catalogue: &'a Catalogue,
    embedders: Option<&'a Embedders>,
    cancel: &'a Cancel,
}

impl Looking<'_> {
    /// The file and the stretch of it; or why there is none.
    fn look(
        &mut self,
        wanted: &LibraryAsset,
    ) -> Result<std::result::Result<(String, Option<Span>), String>> {
        let of_name = |part: &str| -> Result<std::result::Result<i64, String>> {
            let all = self.catalogue.all_media()?;
            let mut named = all.iter().filter(|film| film.name.contains(part));
            Ok(match (named.next(), named.count()) {
                (None, _) => Err(format!("no film in the library has \"{part}\" in its name")),
                (Some(film), 0) => Ok(film.id),
                (Some(_), more) => {
                    Err(format!("{} films in the library have \"{part}\" in their names", more + 1))
                }
            })
        };
        let media = match wanted.media.as_deref().map(of_name).transpose()? {
            Some(Err(why)) => return Ok(Err(why)),
            Some(Ok(media)) => Some(media),
            None => None,
        };
        let (media, span) = match (media, &wanted.search, wanted.shot, wanted.segment) {
            (media, Some(question), ..) => match self.answer(question, wanted.hit, media)? {
                Some((media, span)) => (media, Some(span)),
                None => return Ok(Err(format!("nothing answers \"{question}\""))),
            },
            (Some(media), None, Some(number), _) => {
                let shots = self.catalogue.shots_of(media)?;
                let at = usize::try_from(number).unwrap_or(0).checked_sub(1);
                match at.and_then(|at| shots.get(at)) {
                    Some(shot) => (media, Some(shot.row.span)),
                    None => return Ok(Err(format!("the film has {} shots", shots.len()))),
                }
            }
            (media, None, _, Some(id)) => match self.catalogue.segment(i64::from(id))? {
                Some((film, segment)) if media.is_none_or(|media| media == film) => {
                    (film, Some(segment.row.span))
                }
                _ => return Ok(Err(format!("the library has no such segment {id}"))),
            },
            (Some(media), ..) => (media, None),
            (None, ..) => return Ok(Err("must say what: a film, or a question".into())),
        };
        let film = self.films.know(media)?;
        let Some(path) = &film.path else {
            return Ok(Err("none of the film's files is where it was".into()));
        };
        // As it would be put into an edit: no word cut through.
        let snapped = span.filter(|_| wanted.search.is_some());
        let span = snapped.and_then(|s| snap(s, &film.marks, LONGEST)).map(|s| s.span).or(span);
        Ok(super::compose::text(path).map(|file| (file, span)).map_err(|e| e.to_string()))
    }

    fn answer(
        &self,
        question: &str,
        hit: Option<u32>,
        media: Option<i64>,
    ) -> Result<Option<(i64, Span)>> {
        let rank = usize::try_from(hit.unwrap_or(1)).unwrap_or(1).max(1);
        let query = SearchQuery {
            limit: NonZeroUsize::new(rank).unwrap_or(NonZeroUsize::MIN),
            scope: Scope { media: media.map(|id| vec![id]), ..Scope::default() },
            ..SearchQuery::of(Asked::Text(question.to_owned()))
        };
        let answer = search(self.catalogue, self.embedders, &query, self.cancel)?;
        Ok(answer.hits.get(rank - 1).map(|hit| (hit.media, hit.span)))
    }
}
