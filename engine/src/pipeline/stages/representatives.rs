//! The pictures that stand for shots, for the stages that look at them: read from the library, not
//! from the film, so that another model needs no decoding.

use super::features::NAME as FEATURES;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::journal::Journal;
use crate::library::catalogue::rows::{FrameRow, Stored};
use crate::pipeline::stage::{Film, FilmStage};
use crate::pipeline::transcribe::journal_path;
use image::{ImageFormat, RgbImage};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::ffi::OsString;

/// What a stage found in the pictures of a film.
pub(super) struct Looked<T> {
    /// In order of time.
    pub pictures: Vec<Picture<T>>,
    /// To be done once it is stored.
    pub then: Option<Box<dyn FnOnce()>>,
}

/// A picture.
pub(super) struct Picture<T> {
    /// The frames that it is of, in order of time, at least one; the others look like the first.
    pub frames: Vec<Stored<FrameRow>>,
    /// What was found in it.
    pub found: T,
}

/// Has `look` look at the pictures of `film`, at most `batch` at once, in the `finish` of a `stage`
/// that has the features among its inputs.
///
/// What it finds is kept in a journal, a line each picture, until it is stored: a run that is killed
/// loses one batch.
///
/// # Errors
/// Those of `look`; [`ErrorKind::Storage`] for a picture that is damaged.
pub(super) fn look_at<T, L>(
    film: &Film<'_>,
    stage: &dyn FilmStage,
    batch: usize,
    mut look: L,
) -> Result<Looked<T>>
where
    T: Serialize + DeserializeOwned + Clone + 'static,
    L: FnMut(Vec<RgbImage>) -> Result<Vec<T>>,
{
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut files: Vec<(String, Vec<Stored<FrameRow>>)> = Vec::new();
    for frame in film.catalogue()?.frames_of(film.media()?, Some(FEATURES))? {
        let Some(file) = frame.row.file.clone() else { continue };
        let at = *places.entry(file.clone()).or_insert(files.len());
        if at == files.len() {
            files.push((file, Vec::new()));
        }
        files[at].1.push(frame);
    }
    let mut name = OsString::from(film.folder);
    name.push(format!(".{}", stage.name()));
    let path = journal_path(film.library.folder(), &name);
    let key = format!("{} {} {:?}", stage.version(), stage.parameters(), stage.models());
    let journal: Option<Journal<String, T>> =
        if files.is_empty() { None } else { Journal::open(&path, &key) };
    let mut pictures = Vec::with_capacity(files.len());
    let mut files = files.into_iter().peekable();
    while files.peek().is_some() {
        let mut some = Vec::new();
        let mut opened = Vec::new();
        for (file, frames) in files.by_ref().take(batch.max(1)) {
            let path = film.library.place(&format!("{}/{file}", film.folder))?;
            let bytes = std::fs::read(&path).map_err(|e| Error::io(Stage::Open, &path, e))?;
            let digest = blake3::hash(&bytes).to_hex().to_string();
            let known = journal.as_ref().and_then(|journal| journal.find(&digest)).cloned();
            if known.is_none() {
                opened.push(
                    image::load_from_memory_with_format(&bytes, ImageFormat::Jpeg).map_err(
                        |e| {
                            let what = format!("is no picture: {e}");
                            Error::new(ErrorKind::Storage, Stage::Decode, what)
                                .input(&path)
                                .hint("`rushes library verify` looks for damage")
                        },
                    )?,
                );
            }
            some.push((frames, digest, known));
        }
        let opened: Vec<RgbImage> = opened.into_iter().map(|opened| opened.into_rgb8()).collect();
        let count = opened.len();
        let made = if opened.is_empty() { Vec::new() } else { look(opened)? };
        if made.len() != count {
            let what = "a stage found another number of things than there are pictures";
            return Err(Error::new(ErrorKind::Internal, Stage::Process, what));
        }
        let mut made = made.into_iter();
        for (frames, digest, known) in some {
            let fresh = if known.is_none() { made.next() } else { None };
            if let (Some(journal), Some(fresh)) = (&journal, &fresh) {
                journal.append(&digest, fresh);
            }
            pictures.extend(known.or(fresh).map(|found| Picture { frames, found }));
        }
    }
    let then = journal.map(|journal| -> Box<dyn FnOnce()> { Box::new(move || journal.remove()) });
    Ok(Looked { pictures, then })
}
