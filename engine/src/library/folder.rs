//! A library: a folder with a catalogue, and in it a folder for each medium.
//!
//! A medium's folder is called for the film and its content, and its files have names that people
//! can read (`frames/`, `sheet.jpg`, `transcript.srt`): people open them. They are content-addressed
//! in effect: a content has one folder however many files hold it, and the catalogue knows the
//! digest of each file, by which damage is found and a copy elsewhere recognised.
//!
//! In each of these folders lies a `manifest.json` that lists the files that are ours. It is written
//! before they appear, so that a run that was killed in between finds them its own, and the library
//! can be filled again if the catalogue is lost.

use super::catalogue::{Catalogue, FileStamp, MediaRow, StageResult, StoredFile};
use super::publish::{failed, replace_in_steps, sync_dir, sync_tree, tree};
use super::record::Output;
use super::{CATALOGUE, ContentId, Identity, MANIFEST, Record, Staged, StagedFile};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use rayon::prelude::*;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A library folder. Nothing is made before something is stored.
#[derive(Clone, Debug)]
pub struct Library {
    folder: PathBuf,
    catalogue: Arc<Mutex<Option<Arc<Catalogue>>>>,
}

/// A stage's result and where its files were staged.
pub struct Made {
    /// The result.
    pub result: StageResult,
    /// Its files; `None` where there are none.
    pub staged: Option<Staged>,
}

impl Library {
    /// The library in `folder`, which need not be there.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), catalogue: Arc::default() }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its catalogue; `None` where nothing was stored yet.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn catalogue(&self) -> Result<Option<Arc<Catalogue>>> {
        let mut slot = self.catalogue.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() && self.folder.join(CATALOGUE).exists() {
            *slot = Some(Arc::new(Catalogue::open(&self.folder)?));
        }
        Ok(slot.clone())
    }

    /// Its catalogue, made if it is missing.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn make_catalogue(&self) -> Result<Arc<Catalogue>> {
        let mut slot = self.catalogue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(catalogue) = &*slot {
            return Ok(catalogue.clone());
        }
        fs::create_dir_all(&self.folder).map_err(failed(&self.folder))?;
        let made = Arc::new(Catalogue::open(&self.folder)?);
        *slot = Some(made.clone());
        Ok(made)
    }

    /// The name of the folder for a file that is new to the library: its stem, shortened, and the
    /// first digits of its content.
    pub fn folder_name(&self, input: &Path, content: &ContentId) -> Result<String> {
        let stem = input.file_stem().unwrap_or_default().to_string_lossy();
        // A name of at most 255 bytes, hash and temporary endings included; visible, and one part.
        let stem: String = stem.chars().filter(|c| !c.is_control() && *c != '/').take(48).collect();
        let stem = stem.trim_start_matches('.');
        let name = format!("{stem}-{}", content.short());
        let taken = match self.catalogue()? {
            Some(catalogue) => catalogue.by_folder(&name)?.is_some_and(|m| m.content != *content),
            None => false,
        };
        Ok(if taken { format!("{stem}-{content}") } else { name })
    }

    /// The place of a path out of the catalogue. A library may come from elsewhere: nothing outside
    /// it is ever named by it.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] for a path that leads out of the library.
    pub fn place(&self, path: &str) -> Result<PathBuf> {
        let relative = Path::new(path);
        let inside = !path.is_empty()
            && relative.components().all(|part| matches!(part, Component::Normal(_)));
        let place = self.folder.join(relative);
        let linked = relative
            .ancestors()
            .skip(1)
            .filter(|part| !part.as_os_str().is_empty())
            .any(|part| self.folder.join(part).is_symlink());
        if inside && !linked {
            return Ok(place);
        }
        Err(Error::new(ErrorKind::Storage, Stage::Process, "leads out of the library")
            .input(&place)
            .hint("`rushes library verify` looks for damage"))
    }

    /// Stores results on `identity`, whose folder is `folder` if the medium is new: first files,
    /// then rows, in one step as other processes see it. What was staged for them is used up.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] where a file that is not ours is in the way; as [`Catalogue::open`];
    /// I/O failures.
    pub fn store(
        &self,
        identity: &Identity,
        folder: &str,
        made: Vec<Made>,
        cancel: &Cancel,
    ) -> Result<MediaRow> {
        let mut files = Vec::new();
        for made in &made {
            files.push(match &made.staged {
                Some(staged) => {
                    sync_tree(&staged.folder)?;
                    digests(&staged.folder, cancel)?
                }
                None => Vec::new(),
            });
        }
        cancel.check(Stage::Write)?;
        let catalogue = self.make_catalogue()?;
        let name = identity.seen.path.file_name().unwrap_or_default().to_string_lossy();
        let (results, staged): (Vec<_>, Vec<_>) =
            made.into_iter().map(|made| (made.result, made.staged)).unzip();
        let seen = Some(&identity.seen).filter(|_| identity.was_read);
        let content = &identity.content;
        let changed = catalogue.store(content, &name, folder, seen, &results, |media, old| {
            self.publish(media, old, &staged, &files)
        })?;
        for path in &changed.orphans {
            self.discard(path)?;
        }
        Ok(changed.media)
    }

    /// Puts staged files in their place in the medium's folder.
    fn publish(
        &self,
        media: &MediaRow,
        old: &BTreeMap<String, ContentId>,
        staged: &[Option<Staged>],
        files: &[Vec<(String, ContentId)>],
    ) -> Result<Vec<Vec<StoredFile>>> {
        let folder = self.place(&media.folder)?;
        let manifest = folder.join(MANIFEST);
        let mut ours: BTreeMap<String, String> = Record::read(&manifest)
            .map(|record| record.outputs.into_iter().map(|o| (o.name, o.blake3)).collect())
            .unwrap_or_default();
        let prefix = format!("{}/", media.folder);
        let within = |path: &str| path.strip_prefix(&prefix).map(str::to_owned);
        ours.extend(old.iter().filter_map(|(p, id)| Some((within(p)?, id.to_string()))));

        let mut moves = Vec::new();
        for staged in staged.iter().flatten() {
            for entry in fs::read_dir(&staged.folder).map_err(failed(&staged.folder))? {
                let entry = entry.map_err(failed(&staged.folder))?;
                let target = folder.join(entry.file_name());
                refuse_foreign(&folder, &target, &ours)?;
                moves.push((entry.path(), target));
            }
        }
        if !moves.is_empty() {
            let new = !folder.exists();
            fs::create_dir_all(&folder).map_err(failed(&folder))?;
            for (name, id) in files.iter().flatten() {
                ours.insert(name.clone(), id.to_string());
            }
            let outputs = ours.into_iter().map(|(name, blake3)| Output { name, blake3 }).collect();
            let record = Record { key: media.content.to_string(), outputs };
            let mut file = StagedFile::new(&manifest)?;
            file.write(record.to_json().as_bytes())?;
            file.publish()?;
            for (from, target) in &moves {
                put(from, target)?;
            }
            sync_dir(&folder)?;
            if new {
                sync_dir(&self.folder)?;
            }
        }
        let stored = |(name, digest): &(String, ContentId)| {
            let path = folder.join(name);
            let meta = fs::symlink_metadata(&path).map_err(failed(&path))?;
            let path = format!("{prefix}{name}");
            Ok(StoredFile { path, digest: *digest, stamp: FileStamp::of(&meta) })
        };
        files.iter().map(|files| files.iter().map(stored).collect()).collect()
    }

    /// Removes a file of the library, and the folders that it leaves empty.
    pub(super) fn discard(&self, path: &str) -> Result<()> {
        let place = self.place(path)?;
        match fs::remove_file(&place) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(&place)(e)),
            _ => {}
        }
        for folder in Path::new(path).ancestors().skip(1).filter(|f| !f.as_os_str().is_empty()) {
            if fs::remove_dir(self.folder.join(folder)).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// The files below a folder with their digests, by their paths in it.
fn digests(folder: &Path, cancel: &Cancel) -> Result<Vec<(String, ContentId)>> {
    let (files, _) = tree(folder).map_err(failed(folder))?;
    let mut found = files
        .into_par_iter()
        .map(|path| {
            let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
            Ok((name, super::content_id(&path, cancel)?))
        })
        .collect::<Result<Vec<_>>>()?;
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// Refuses to replace a file, or a folder that holds a file, that is not ours.
fn refuse_foreign(folder: &Path, target: &Path, ours: &BTreeMap<String, String>) -> Result<()> {
    let files = match fs::symlink_metadata(target) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(target)(e)),
        Ok(meta) if meta.is_dir() => tree(target).map_err(failed(target))?.0,
        Ok(_) => vec![target.to_path_buf()],
    };
    let names = files.iter().map(|path| path.strip_prefix(folder).unwrap_or(path));
    match names.into_iter().find(|name| !name.to_str().is_some_and(|n| ours.contains_key(n))) {
        None => Ok(()),
        Some(name) => Err(Error::new(
            ErrorKind::Storage,
            Stage::Write,
            format!("exists and holds {}, which rushes did not write", name.display()),
        )
        .input(folder)
        .hint("move that file away, or choose another library folder")),
    }
}

/// Moves a staged file or folder to its place; what was there goes where it came from.
fn put(from: &Path, target: &Path) -> Result<()> {
    match fs::symlink_metadata(target) {
        // A file takes a file's place by itself.
        Ok(old) if old.is_dir() || from.is_dir() => {
            renameat_with(CWD, from, CWD, target, RenameFlags::EXCHANGE)
                .or_else(|_| replace_in_steps(from, target))
                .map_err(failed(target))
        }
        _ => fs::rename(from, target).map_err(failed(target)),
    }
}
