//! The files that an edit uses: what they are, and what tells them apart.

use super::manifest::Stamp;
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::limits::Limits;
use crate::media::{FilmCodec, MediaInfo, Rotation, StreamKind, VideoInfo, probe};
use crate::time::Timestamp;
use crate::timeline::{AssetFacts, Facts, Timeline};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file that an edit uses.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Stands for its content: changes whenever the file is written to.
    pub identity: String,
    /// What it is made of; absent for a picture.
    pub info: Option<MediaInfo>,
}

impl Source {
    /// Its pictures.
    pub fn video(&self) -> Option<&VideoInfo> {
        match &self.info.as_ref()?.video()?.kind {
            StreamKind::Video(video) => Some(video),
            _ => None,
        }
    }

    /// The codec of its pictures, where it is one that can be written.
    pub fn codec(&self) -> Option<FilmCodec> {
        FilmCodec::of_name(&self.info.as_ref()?.video()?.codec)
    }

    /// Whether its pictures are stored as they are shown: upright, with square pixels.
    pub fn is_straight(&self) -> bool {
        self.video().is_some_and(|video| {
            video.rotation == Rotation::None && !video.mirrored && video.sample_aspect == "1:1"
        })
    }
}

/// All files of an edit, by the names of its assets.
pub(super) type Sources = BTreeMap<String, Source>;

/// Looks at every asset; what cannot be used is said in the facts.
pub(super) fn look(
    timeline: &Timeline,
    folder: &Path,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<(Sources, Facts)> {
    let (mut sources, mut facts) = (Sources::new(), Facts::new());
    for (name, asset) in &timeline.assets {
        let fact = match look_at(asset, folder, limits, cancel) {
            Ok((source, fact)) => {
                sources.insert(name.clone(), source);
                fact
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
            Err(error) => AssetFacts { broken: Some(error.to_string()), ..AssetFacts::default() },
        };
        facts.insert(name.clone(), fact);
    }
    Ok((sources, facts))
}

fn look_at(
    asset: &crate::timeline::Asset,
    folder: &Path,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<(Source, AssetFacts)> {
    if asset.library.is_some() {
        let what = "comes from a library, and nobody said which";
        return Err(Error::new(ErrorKind::Input, Stage::Open, what).hint("give --library DIR"));
    }
    let still = asset.image.is_some();
    let name = asset.file.as_ref().or(asset.image.as_ref()).map(String::as_str).unwrap_or_default();
    let path = folder.join(name);
    let identity = identity(&path)?;
    if still {
        super::still::check(&path, limits)?;
        let facts = AssetFacts { still: true, ..AssetFacts::default() };
        return Ok((Source { path, identity, info: None }, facts));
    }
    let info = probe(&path, limits, cancel)?;
    if info.is_elementary() {
        let what = "is a raw stream without times: nobody knows how long it is";
        return Err(Error::new(ErrorKind::Unsupported, Stage::Open, what)
            .input(&path)
            .hint("put it into MP4 or Matroska first"));
    }
    // Where the container does not say how long a stream is, the whole file's length counts.
    let length = |stream: Option<&crate::media::StreamInfo>| {
        let stream = stream.filter(|stream| stream.decodable)?;
        let start = stream.start.unwrap_or(Timestamp::ZERO);
        let own = stream.duration.filter(|d| *d > Timestamp::ZERO).map(|d| start.plus(d));
        Some(own.or(info.duration).unwrap_or(Timestamp::ZERO))
    };
    let facts = AssetFacts {
        pictures: length(info.video()),
        sound: length(info.audio()),
        still: false,
        broken: None,
    };
    Ok((Source { path, identity, info: Some(info) }, facts))
}

/// What changes whenever a file's content does: every write moves ctime, and no program can set
/// it back.
pub(super) fn identity(path: &Path) -> Result<String> {
    let stamp = Stamp::of(path).map_err(|e| Error::io(Stage::Open, path, e))?;
    let mut digest = blake3::Hasher::new();
    for number in stamp.file.map(u64::cast_signed).into_iter().chain(stamp.times) {
        digest.update(&number.to_le_bytes());
    }
    Ok(digest.finalize().to_hex()[..32].to_owned())
}
