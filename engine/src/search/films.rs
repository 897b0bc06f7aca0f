//! The films of a search, read as they are needed.

use super::marks::marks;
use super::snap::Marks;
use crate::error::Result;
use crate::library::catalogue::Scope;
use crate::library::catalogue::rows::{FrameRow, Stored};
use crate::library::{Catalogue, Library};
use crate::time::{Span, Timestamp};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Where neither shots nor neighbouring frames tell how long a picture is shown.
const SHOWN_FOR: Timestamp = Timestamp::from_secs(5);

/// What is known of one film.
#[derive(Default)]
pub(super) struct Film {
    /// What is said, and its shots.
    pub marks: Marks,
    /// Its frames in order of time.
    pub frames: Vec<Stored<FrameRow>>,
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
        let shot = self.marks.shots.iter().find(|span| span.contains(time));
        let next = self.frames.iter().map(|frame| frame.row.time).find(|next| *next > time);
        let until = next.unwrap_or_else(|| time.plus(SHOWN_FOR)).min(time.plus(SHOWN_FOR));
        // A long shot is not one moment: from the picture on is enough.
        shot.filter(|shot| shot.duration() <= SHOWN_FOR.times(4, 1))
            .copied()
            .or_else(|| Span::new(time, until))
            .unwrap_or(Span { start: time, end: time })
    }

    /// The picture's path in the library, if it was kept.
    fn picture(&self, frame: &FrameRow) -> Option<String> {
        frame.file.as_ref().map(|file| format!("{}/{file}", self.folder))
    }

    /// The picture that is shown in the middle of `span`, by its path in the library.
    pub fn picture_at(&self, span: Span) -> Option<String> {
        let middle = span.start.plus(span.duration().times(1, 2));
        let kept = || self.frames.iter().filter(|frame| frame.row.file.is_some());
        let of_shot = kept().find(|frame| frame.row.span.is_some_and(|s| s.contains(middle)));
        let before = || kept().rfind(|frame| span.contains(frame.row.time));
        of_shot.or_else(before).and_then(|frame| self.picture(&frame.row))
    }
}

/// The films of a search, and which part of them is asked about.
pub(super) struct Films<'a> {
    pub catalogue: &'a Catalogue,
    pub scope: &'a Scope,
    known: HashMap<i64, Film>,
}

impl<'a> Films<'a> {
    pub fn new(catalogue: &'a Catalogue, scope: &'a Scope) -> Self {
        Self { catalogue, scope, known: HashMap::new() }
    }

    pub fn film(&mut self, media: i64) -> Result<&Film> {
        if !self.known.contains_key(&media) {
            let folder = self.catalogue.by_id(media)?.map(|row| row.folder).unwrap_or_default();
            let mut frames = self.catalogue.frames_of(media, None)?;
            frames.sort_by_key(|frame| frame.row.time);
            let marks = marks(self.catalogue, media)?;
            self.known.insert(media, Film { marks, frames, folder });
        }
        Ok(self.known.entry(media).or_default())
    }

    /// When a frame is shown within the part that is asked about, and its picture's path in the
    /// library. A picture that stands for several frames is shown with the first of them that is
    /// inside.
    pub fn shown(&mut self, media: i64, frame: i64) -> Result<Option<(Span, Option<String>)>> {
        let scope = self.scope;
        let film = self.film(media)?;
        let Some(own) = film.frames.iter().find(|one| one.id == frame) else { return Ok(None) };
        let same = |one: &&Stored<FrameRow>| one.row.file.is_some() && one.row.file == own.row.file;
        let all = std::iter::once(own).chain(film.frames.iter().filter(same));
        let mut inside = all.filter(|one| scope.holds(film.shown(&one.row)));
        Ok(inside.next().map(|one| (scope.cut(film.shown(&one.row)), film.picture(&one.row))))
    }

    /// The place and text of a segment.
    pub fn segment(&self, id: i64) -> Result<Option<(i64, Span, String)>> {
        let Some((media, segment)) = self.catalogue.segment(id)? else { return Ok(None) };
        let span = segment.row.span;
        Ok(Some((media, span, segment.row.text.trim().to_owned())))
    }

    /// Where a path within the library lies.
    pub fn place(&self, path: &str) -> Result<PathBuf> {
        Library::at(self.catalogue.file().parent().unwrap_or(Path::new(""))).place(path)
    }
}
