//! Keeping a library in order: finding damage and mending it, removing, collecting what is left.

use super::catalogue::{ArtefactRow, Catalogue, FileStamp, MediaRow};
use super::publish::{failed, tree};
use super::{Library, MANIFEST, Record, StagedFile, Trust, content_id, staging};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// A file that is not as it was stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Its path in the library.
    pub path: String,
    /// The stage that it is a result of.
    pub stage: String,
    /// What is wrong, e.g. `missing`.
    pub what: String,
    /// Whether it was restored from a copy elsewhere in the library; otherwise the stage runs again
    /// when the film is processed next.
    pub restored: bool,
}

/// What [`Library::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Media looked at.
    pub media: usize,
    /// Files looked at.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files that are missing or changed.
    pub damaged: Vec<Found>,
    /// What is wrong with the catalogue itself.
    pub catalogue: Vec<String>,
}

/// What [`Library::collect`] removed, or would remove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// Files that belonged to nothing.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Unfinished work of processes that were killed.
    pub stale: usize,
    /// Bytes by which the catalogue shrank.
    pub compacted: u64,
}

/// What [`Library::remove`] removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The medium.
    pub media: MediaRow,
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Library {
    /// The files of a medium's results that are not as they were stored. Those that look untouched
    /// are believed, unless nothing is to be trusted.
    ///
    /// # Errors
    /// As [`Catalogue::open`]; cancelled.
    pub fn damaged(
        &self,
        catalogue: &Catalogue,
        media: i64,
        trust: Trust,
        cancel: &Cancel,
    ) -> Result<Vec<(ArtefactRow, String)>> {
        let rows = catalogue.artefacts_of(media)?;
        let look = |row: ArtefactRow| -> Result<(ArtefactRow, Look)> {
            let look = self.look(&row, trust, cancel)?;
            Ok((row, look))
        };
        let looked: Vec<_> = rows.into_par_iter().map(look).collect::<Result<_>>()?;
        let (mut damaged, mut touched) = (Vec::new(), Vec::new());
        for (row, look) in looked {
            match look {
                Look::Untouched => {}
                Look::Sound(stamp) if row.is_untouched(&stamp) => {}
                Look::Sound(stamp) => touched.push((row.id, stamp)),
                Look::Wrong(what) => damaged.push((row, what)),
            }
        }
        catalogue.touch_artefacts(&touched)?;
        Ok(damaged)
    }

    fn look(&self, row: &ArtefactRow, trust: Trust, cancel: &Cancel) -> Result<Look> {
        let place = match self.place(&row.path) {
            Ok(place) => place,
            Err(error) => return Ok(Look::Wrong(error.message().to_owned())),
        };
        let stamp = match fs::symlink_metadata(&place) {
            Ok(meta) if meta.is_file() => FileStamp::of(&meta),
            Ok(_) => return Ok(Look::Wrong("is no file".to_owned())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Look::Wrong("missing".to_owned()));
            }
            Err(e) => return Ok(Look::Wrong(e.to_string())),
        };
        if trust == Trust::Stamp && row.is_untouched(&stamp) {
            return Ok(Look::Untouched);
        }
        match content_id(&place, cancel) {
            Ok(content) if content == row.digest => Ok(Look::Sound(stamp)),
            Ok(_) => Ok(Look::Wrong("changed".to_owned())),
            Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
            Err(error) => Ok(Look::Wrong(error.message().to_owned())),
        }
    }

    /// Reads every file again and the catalogue too. A damaged file is restored where the library
    /// holds the same bytes elsewhere; otherwise its stage is marked to run again.
    ///
    /// # Errors
    /// As [`Catalogue::open`]; [`ErrorKind::Storage`] where there is no library; cancelled.
    pub fn verify(&self, cancel: &Cancel) -> Result<Verified> {
        let catalogue = self.existing()?;
        let mut found = Verified { catalogue: catalogue.check()?, ..Verified::default() };
        for media in catalogue.all_media()? {
            cancel.check(Stage::Process)?;
            found.media += 1;
            let rows = catalogue.artefacts_of(media.id)?;
            found.files += rows.len();
            found.bytes += rows.iter().map(|row| row.bytes).sum::<u64>();
            let stages: BTreeMap<i64, String> =
                catalogue.runs_of(media.id)?.into_iter().map(|r| (r.id, r.parts.stage)).collect();
            let mut marks: BTreeMap<i64, Vec<String>> = BTreeMap::new();
            for (row, what) in self.damaged(&catalogue, media.id, Trust::Nothing, cancel)? {
                let restored = self.restore(&catalogue, &row, cancel)?;
                if !restored {
                    marks.entry(row.run).or_default().push(format!("{} {what}", row.path));
                }
                let stage = stages.get(&row.run).cloned().unwrap_or_default();
                found.damaged.push(Found { path: row.path, stage, what, restored });
            }
            for (run, marks) in marks {
                let more = marks.len().saturating_sub(3);
                let mut text = marks.into_iter().take(3).collect::<Vec<_>>().join(", ");
                if more > 0 {
                    text.push_str(&format!(" and {more} more"));
                }
                catalogue.mark_damage(run, Some(&text))?;
            }
        }
        Ok(found)
    }

    /// Copies the bytes of a damaged file from wherever else they are.
    fn restore(&self, catalogue: &Catalogue, row: &ArtefactRow, cancel: &Cancel) -> Result<bool> {
        let Ok(target) = self.place(&row.path) else { return Ok(false) };
        for other in catalogue.artefacts_with(&row.digest)? {
            let Ok(source) = self.place(&other.path) else { continue };
            if other.id == row.id || target.is_dir() {
                continue;
            }
            if !content_id(&source, cancel).is_ok_and(|id| id == row.digest) {
                cancel.check(Stage::Process)?;
                continue;
            }
            let file = StagedFile::new(&target)?;
            let mut copy = file.handle()?;
            fs::File::open(&source)
                .and_then(|mut source| std::io::copy(&mut source, &mut copy))
                .map_err(failed(&target))?;
            file.publish()?;
            let meta = fs::symlink_metadata(&target).map_err(failed(&target))?;
            catalogue.touch_artefacts(&[(row.id, FileStamp::of(&meta))])?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Removes a medium: what is known of it, and its files. What we did not write stays.
    ///
    /// # Errors
    /// As [`Catalogue::open`]; I/O failures.
    pub fn remove(&self, media: &MediaRow) -> Result<Removed> {
        let catalogue = self.existing()?;
        let files = catalogue.artefacts_of(media.id)?;
        // First the rows: what is killed in between leaves files, which are collected.
        catalogue.remove_media(media.id)?;
        for file in &files {
            self.discard(&file.path)?;
        }
        self.discard(&format!("{}/{MANIFEST}", media.folder))?;
        let bytes = files.iter().map(|file| file.bytes).sum();
        Ok(Removed { media: media.clone(), files: files.len(), bytes })
    }

    /// Removes what belongs to nothing: files of ours that no result refers to, and what killed
    /// processes left. A file counts as ours if its folder's manifest lists it and its bytes are
    /// those that we wrote.
    ///
    /// # Errors
    /// As [`Library::verify`]; I/O failures.
    pub fn collect(&self, dry_run: bool, cancel: &Cancel) -> Result<Collected> {
        let catalogue = self.existing()?;
        let stale = staging::remove_stale(self.folder(), dry_run)?;
        let mut collected = Collected { stale, ..Collected::default() };
        let mut live = BTreeSet::new();
        let mut folders = BTreeSet::new();
        for media in catalogue.all_media()? {
            live.extend(catalogue.artefacts_of(media.id)?.into_iter().map(|row| row.path));
            folders.insert(media.folder);
        }
        let entries = fs::read_dir(self.folder()).map_err(failed(self.folder()))?;
        for entry in entries.filter_map(std::result::Result::ok) {
            cancel.check(Stage::Process)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let path = entry.path();
            let manifest = path.join(MANIFEST);
            let Some(record) = Record::read(&manifest) else { continue };
            let listed: BTreeMap<&str, &str> =
                record.outputs.iter().map(|o| (o.name.as_str(), o.blake3.as_str())).collect();
            let (files, _) = tree(&path).map_err(failed(&path))?;
            for file in files {
                let within = file.strip_prefix(&path).unwrap_or(&file).to_string_lossy();
                let full = format!("{name}/{within}");
                let Some(digest) = listed.get(&*within).filter(|_| !live.contains(&full)) else {
                    continue;
                };
                if content_id(&file, cancel).is_ok_and(|id| id.to_string() == **digest) {
                    collected.files += 1;
                    collected.bytes += fs::metadata(&file).map_or(0, |meta| meta.len());
                    if !dry_run {
                        self.discard(&full)?;
                    }
                }
            }
            if !folders.contains(&name) && !dry_run {
                let (rest, _) = tree(&path).map_err(failed(&path))?;
                if rest == [manifest] {
                    self.discard(&format!("{name}/{MANIFEST}"))?;
                }
            }
        }
        if !dry_run {
            collected.compacted = catalogue.compact()?;
        }
        Ok(collected)
    }

    /// Finds a medium by what a person may call it: a path, its folder in the library, the
    /// beginning of its digest, or its name.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] where there is none, or more than one; as [`Catalogue::open`].
    pub fn find(&self, what: &Path) -> Result<MediaRow> {
        let catalogue = self.existing()?;
        let full = what.canonicalize().unwrap_or_else(|_| what.to_path_buf());
        if let Some(media) = catalogue.by_path(&full)? {
            return Ok(media);
        }
        let text = what.to_string_lossy();
        let text = text.trim_end_matches('/');
        let folder = what.file_name().unwrap_or_default().to_string_lossy();
        let all = catalogue.all_media()?;
        let hex = text.len() >= 4 && text.chars().all(|c| c.is_ascii_hexdigit());
        let called = |media: &&MediaRow| {
            media.folder == text
                || media.folder == folder
                || media.name == text
                || (hex && media.content.to_string().starts_with(&text.to_ascii_lowercase()))
        };
        let mut found = all.iter().filter(called);
        match (found.next(), found.next()) {
            (Some(media), None) => Ok(media.clone()),
            (None, _) => Err(Error::new(ErrorKind::Input, Stage::Process, "is not in the library")
                .input(what)
                .hint("`rushes library ls` lists what is")),
            (Some(_), Some(_)) => {
                let what = Error::new(
                    ErrorKind::Input,
                    Stage::Process,
                    "stands for several media of the library",
                )
                .input(what);
                Err(what.hint("give the folder's name, as `rushes library ls` shows it"))
            }
        }
    }

    /// The catalogue, which must be there.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] where there is no library; as [`Catalogue::open`].
    pub fn existing(&self) -> Result<Arc<Catalogue>> {
        self.catalogue()?.ok_or_else(|| {
            Error::new(ErrorKind::Storage, Stage::Process, "holds no library")
                .input(self.folder())
                .hint("give its folder with --library, or fill one with `rushes process`")
        })
    }
}

/// What became of a file.
enum Look {
    Untouched,
    Sound(FileStamp),
    Wrong(String),
}
