//! What is known of an asset.

use crate::error::{Error, ErrorKind, Result, Stage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// How a timeline says that a file is an asset: `asset:NAME`.
pub const SCHEME: &str = "asset:";

/// The version of a record's form.
pub(super) const VERSION: u32 = 1;

/// What an asset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AssetKind {
    /// A film.
    Video,
    /// A sound.
    Audio,
    /// A picture.
    Image,
    /// A font.
    Font,
    /// A colour table.
    Lut,
    /// An edit spec.
    Template,
}

impl AssetKind {
    /// What a file with this name is likely to be.
    pub fn of_name(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_string_lossy().to_lowercase();
        Some(match ending.as_str() {
            "mp4" | "mov" | "mkv" | "webm" | "avi" | "m4v" | "ts" | "mpg" | "mxf" | "gif" => {
                Self::Video
            }
            "wav" | "flac" | "mp3" | "m4a" | "aac" | "ogg" | "opus" => Self::Audio,
            "jpg" | "jpeg" | "png" | "webp" | "bmp" | "tif" | "tiff" => Self::Image,
            "ttf" | "otf" | "ttc" => Self::Font,
            "cube" => Self::Lut,
            "json" | "json5" | "otio" => Self::Template,
            _ => return None,
        })
    }
}

/// An asset: `records/NAME.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetRecord {
    /// The version of this form: 1.
    pub asset: u32,
    /// Its name, once in a store.
    pub name: String,
    /// What it is.
    pub kind: AssetKind,
    /// What it is for, e.g. `intro`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Words to find it by.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// Under which licence it may be used, e.g. an SPDX identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// BLAKE3 of its bytes, in hexadecimal.
    pub content: String,
    /// Its size.
    pub bytes: u64,
    /// The ending of its file's name, without the point; may be empty.
    pub extension: String,
    /// When it was added, milliseconds since 1970.
    pub added_ms: i64,
    /// What it is made of: lengths, sizes, codecs, families.
    pub facts: Value,
}

/// What a person says of a file that is added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewAsset {
    /// Its name; the file's without.
    pub name: Option<String>,
    /// What it is; by the file's name without.
    pub kind: Option<AssetKind>,
    /// As in the record.
    pub category: Option<String>,
    /// As in the record.
    pub tags: BTreeSet<String>,
    /// As in the record.
    pub licence: Option<String>,
    /// As in the record.
    pub source: Option<String>,
    /// Whether an asset of that name may be replaced.
    pub replace: bool,
}

/// What is looked for. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AssetQuery {
    /// Each of these words is in the name, category, tags, licence, source or facts.
    pub words: Vec<String>,
    /// It is this.
    pub kind: Option<AssetKind>,
    /// It is for this.
    pub category: Option<String>,
    /// It has all of these tags.
    pub tags: BTreeSet<String>,
    /// It is under this licence.
    pub licence: Option<String>,
}

impl AssetQuery {
    /// Whether `record` is what is looked for.
    pub fn fits(&self, record: &AssetRecord) -> bool {
        let same = |wanted: &Option<String>, found: &Option<String>| {
            let equal = |found: &String, w: &String| found.eq_ignore_ascii_case(w);
            wanted.as_ref().is_none_or(|w| found.as_ref().is_some_and(|found| equal(found, w)))
        };
        let text = || {
            let mut all = vec![record.name.clone(), record.facts.to_string()];
            all.extend(record.tags.iter().cloned());
            all.extend(
                [&record.category, &record.licence, &record.source].into_iter().flatten().cloned(),
            );
            all.join("\n").to_lowercase()
        };
        self.kind.is_none_or(|kind| kind == record.kind)
            && same(&self.category, &record.category)
            && same(&self.licence, &record.licence)
            && self.tags.is_subset(&record.tags)
            && (self.words.is_empty() || {
                let text = text();
                self.words.iter().all(|word| text.contains(&word.to_lowercase()))
            })
    }
}

impl AssetRecord {
    /// Where its file lies in a store.
    pub(super) fn blob(&self) -> String {
        match self.extension.is_empty() {
            true => format!("blobs/{}", self.content),
            false => format!("blobs/{}.{}", self.content, self.extension),
        }
    }

    /// Refuses a record that came from elsewhere and would lead out of the store.
    pub(super) fn check(&self) -> Result<()> {
        let hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let ending =
            |text: &str| text.len() <= 16 && text.bytes().all(|b| b.is_ascii_alphanumeric());
        let wrong = |what: String| Error::new(ErrorKind::Storage, Stage::Assets, what);
        check_name(&self.name)?;
        match () {
            () if self.asset != VERSION => Err(wrong(format!(
                "{}: version {}; this program knows {VERSION}",
                self.name, self.asset
            ))),
            () if !hex(&self.content) || !ending(&self.extension) => {
                Err(wrong(format!("{}: its record is damaged", self.name)))
            }
            () => Ok(()),
        }
    }
}

/// A name: what can be a file's and a word in a spec everywhere.
pub(super) fn check_name(name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fits = (1..=100).contains(&name.len()) && name.chars().all(good);
    match fits && name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        true => Ok(()),
        false => {
            let what = format!("`{name}` is no name for an asset");
            let error = Error::new(ErrorKind::Input, Stage::Assets, what);
            Err(error.hint("up to 100 letters, digits, -, _ and ., the first a letter or a digit"))
        }
    }
}
