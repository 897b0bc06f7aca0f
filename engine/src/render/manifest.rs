//! What an output was made of, beside it: segments with the digests of their pictures and packets,
//! so that it can be checked later without making it again.

use super::target::Target;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::media::{FilmCodec, FilmHeader, SoundHeader};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The format's version.
pub(super) const VERSION: u32 = 1;

/// What an output was made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format's version.
    pub version: u32,
    /// The output's name.
    pub file: String,
    /// Stands for everything that the output was made from and how.
    #[serde(default)]
    pub key: String,
    /// The output as it was left.
    #[serde(default)]
    pub stamp: Option<Stamp>,
    /// Its size in bytes.
    pub bytes: u64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames a second, as a fraction.
    pub rate: String,
    /// How many frames it has.
    pub frames: i64,
    /// Samples at 48 kHz of its sound, absent if it has none.
    pub samples: Option<u64>,
    /// The video codec.
    pub codec: String,
    /// The matrix it is tagged with, by libav's name.
    pub matrix: String,
    /// BLAKE3 over the sound's packets.
    pub sound: Option<String>,
    /// Its segments in order.
    pub segments: Vec<Piece>,
    /// What a decoder of the encoded segments has to know, for taking them over into another edit.
    #[serde(default)]
    pub film: Option<FilmHeader>,
    /// How the sound's packets lie, likewise.
    #[serde(default)]
    pub heard: Option<SoundLeft>,
    /// Where one sound gives way to another without a fade: samples at 48 kHz.
    #[serde(default)]
    pub seams: Vec<u64>,
    /// When captions hang over the picture's edge, as `[start, end]`, to the millisecond.
    #[serde(default)]
    pub cut_off: Vec<[String; 2]>,
    /// What encoding it took.
    #[serde(default)]
    pub pace: Option<Spent>,
    /// BLAKE3 over the whole file, for what has no packets (GIF, WebP).
    #[serde(default)]
    pub whole: Option<String>,
}

/// What composing and encoding took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// The codec.
    pub codec: FilmCodec,
    /// Its preset, if one was named.
    pub preset: Option<String>,
    /// Millions of pixels that were encoded.
    pub megapixels: f64,
    /// Seconds of processors.
    pub cpu_seconds: f64,
}

impl Spent {
    /// What `frames` of `target` took; nothing where there was too little to tell.
    pub(super) fn of(target: &Target, frames: u64, cpu_seconds: f64) -> Option<Self> {
        let film = &target.film;
        let pixels = frames as f64 * f64::from(film.width) * f64::from(film.height);
        (cpu_seconds > 0.5).then(|| Self {
            codec: film.codec,
            preset: film.preset.clone(),
            megapixels: (pixels / 1e6).round(),
            cpu_seconds: (cpu_seconds * 100.0).round() / 100.0,
        })
    }
}

/// A file as it was left: every write moves ctime, and no program can set it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Device, inode, size in bytes.
    pub file: [u64; 3],
    /// mtime and ctime, seconds and nanoseconds.
    pub times: [i64; 4],
}

impl Stamp {
    /// That of `path`.
    ///
    /// # Errors
    /// What the file system says.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        let meta = std::fs::metadata(path)?;
        Ok(Self {
            file: [meta.dev(), meta.ino(), meta.size()],
            times: [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()],
        })
    }
}

/// Sound that another edit may take over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SoundLeft {
    /// Stands for everything that decides its bytes.
    pub key: String,
    /// What a decoder has to know.
    pub header: SoundHeader,
    /// When the first packet is heard, in samples.
    pub first: i64,
    /// How many packets in a row last how many samples: `[samples, packets]`, without gaps.
    pub packets: Vec<[i64; 2]>,
}

/// A segment of an output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Piece {
    /// Its first frame.
    pub start: i64,
    /// The first frame behind it.
    pub end: i64,
    /// Whether its packets were copied from an asset.
    pub copied: bool,
    /// Stands for everything that decides its bytes, where they can be taken over into another
    /// edit: not for what was copied, nor where the container lays packets out anew.
    #[serde(default)]
    pub key: Option<String>,
    /// BLAKE3 over its pictures before they were encoded; absent for what was copied.
    pub pictures: Option<String>,
    /// BLAKE3 over its packets, in order of decoding.
    pub coded: String,
}

/// Where the manifest of `output` is kept.
pub fn manifest_path(output: &Path) -> PathBuf {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    output.with_file_name(format!(".{name}.render.json"))
}

impl Manifest {
    /// The manifest of `output`.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if there is none, or it cannot be read.
    pub fn of(output: &Path) -> Result<Self> {
        let path = manifest_path(output);
        let text = std::fs::read(&path).map_err(|e| {
            Error::io(Stage::Open, &path, e).hint("only what rushes rendered has a manifest")
        })?;
        let read: Self = serde_json::from_slice(&text).map_err(|e| {
            Error::new(ErrorKind::Input, Stage::Open, format!("is no manifest: {e}")).input(&path)
        })?;
        if read.version != VERSION {
            let what = format!("is a manifest of version {}", read.version);
            return Err(Error::new(ErrorKind::Unsupported, Stage::Open, what).input(&path));
        }
        Ok(read)
    }
}
