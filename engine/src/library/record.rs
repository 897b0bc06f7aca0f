//! What was made from what: the proof that lets a second run do nothing.

use super::content::ContentId;
use crate::control::Cancel;
use crate::error::{Error, Result, Stage};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The name of the file that lists an output folder's content and its record.
pub const MANIFEST: &str = "manifest.json";

/// How an output is made: everything that decides its bytes beside the input.
#[derive(Clone, Debug)]
pub struct Recipe {
    digest: blake3::Hasher,
}

impl Recipe {
    /// `stage` and its `version` (raised when its results change), and its settings.
    pub fn new(stage: &str, version: u32, settings: &impl Serialize) -> Self {
        let mut digest = blake3::Hasher::new();
        // Settings are plain structs, whose fields serialise in one order.
        let settings = serde_json::to_string(settings).unwrap_or_default();
        for part in [stage, &version.to_string(), &settings] {
            digest.update(&(part.len() as u64).to_le_bytes());
            digest.update(part.as_bytes());
        }
        Self { digest }
    }

    /// The key of this recipe applied to `content`.
    pub fn key(&self, content: &ContentId) -> String {
        let mut digest = self.digest.clone();
        digest.update(content.to_string().as_bytes());
        digest.finalize().to_hex().to_string()
    }
}

/// A record of outputs: the key they were made under, and their own content.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The key ([`Recipe::key`]).
    pub key: String,
    /// The outputs.
    pub outputs: Vec<Output>,
}

/// One output of a record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Output {
    /// Path relative to the record's folder, its parts joined by `/`.
    pub name: String,
    /// BLAKE3 of its bytes.
    pub blake3: String,
}

/// The form in which a manifest carries its record among other things.
#[derive(Deserialize)]
struct Holder {
    record: Record,
}

impl Record {
    /// Records one file under the name it is or will be published by.
    ///
    /// # Errors
    /// I/O failures while reading it.
    pub fn of_file(key: &str, file: &Path, name: &str) -> Result<Self> {
        let blake3 = super::content_id(file, &Cancel::new())?.to_string();
        Ok(Self { key: key.to_owned(), outputs: vec![Output { name: name.to_owned(), blake3 }] })
    }

    /// Records everything in `dir` (and the folders in it) but the manifest.
    ///
    /// # Errors
    /// I/O failures while reading.
    pub fn of_dir(key: &str, dir: &Path) -> Result<Self> {
        let mut files = Vec::new();
        let mut folders = vec![(dir.to_path_buf(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            let entries = fs::read_dir(&folder).map_err(|e| Error::io(Stage::Write, &folder, e))?;
            for entry in entries {
                let entry = entry.map_err(|e| Error::io(Stage::Write, &folder, e))?;
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                if entry.path().is_dir() {
                    folders.push((entry.path(), format!("{name}/")));
                } else if name != MANIFEST {
                    files.push((name, entry.path()));
                }
            }
        }
        let mut outputs = files
            .into_par_iter()
            .map(|(name, path)| {
                let blake3 = super::content_id(&path, &Cancel::new())?.to_string();
                Ok(Output { name, blake3 })
            })
            .collect::<Result<Vec<_>>>()?;
        outputs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { key: key.to_owned(), outputs })
    }

    /// As JSON, in the form that [`Record::read`] finds.
    pub fn to_json(&self) -> String {
        serde_json::json!({ "record": self }).to_string()
    }

    /// Reads a record; `None` if there is none that can be read.
    pub fn read(path: &Path) -> Option<Self> {
        const MAX_BYTES: u64 = 256 << 20;
        if fs::metadata(path).ok()?.len() > MAX_BYTES {
            return None;
        }
        let holder: Holder = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        Some(holder.record)
    }

    /// The outputs' paths within the folder, parts joined by `/`.
    pub(super) fn names(&self) -> HashSet<&str> {
        self.outputs.iter().map(|output| output.name.as_str()).collect()
    }

    /// As [`Record::is_current`], for the record of a single file. The file is found by the name
    /// that the caller knows it by, which unlike the recorded one need not be UTF-8.
    pub fn is_current_file(&self, key: &str, file: &Path) -> bool {
        self.key == key && matches!(self.outputs.as_slice(), [output] if is_unharmed(output, file))
    }

    /// Whether the outputs in `dir` are those that were recorded, unharmed, and made under `key`.
    pub fn is_current(&self, key: &str, dir: &Path) -> bool {
        self.key == key
            && !self.outputs.is_empty()
            && self.outputs.iter().all(|output| is_unharmed(output, &dir.join(&output.name)))
    }
}

fn is_unharmed(output: &Output, file: &Path) -> bool {
    super::content_id(file, &Cancel::new()).is_ok_and(|id| id.to_string() == output.blake3)
}

/// Where the record of a single output file lies: hidden, beside it. A name too long to be made
/// longer is replaced by its digest.
pub fn sidecar(output: &Path) -> PathBuf {
    const LONGEST: usize = 255 - ".".len() - ".rushes.json".len();
    let file = output.file_name().unwrap_or_default();
    let mut name = OsString::from(".");
    if file.len() > LONGEST {
        name.push(blake3::hash(file.as_encoded_bytes()).to_hex().as_str());
    } else {
        name.push(file);
    }
    name.push(".rushes.json");
    output.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_stage_version_settings_and_content_apart() {
        let dir = tempfile::tempdir().unwrap();
        let id = |text: &str| {
            fs::write(dir.path().join("f"), text).unwrap();
            crate::library::content_id(&dir.path().join("f"), &Cancel::new()).unwrap()
        };
        let (a, b) = (id("a"), id("b"));
        let keys = [
            Recipe::new("frames", 1, &1).key(&a),
            Recipe::new("frames", 1, &1).key(&b),
            Recipe::new("frames", 1, &2).key(&a),
            Recipe::new("frames", 2, &1).key(&a),
            Recipe::new("sheet", 1, &1).key(&a),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(keys[0], Recipe::new("frames", 1, &1).key(&a));
    }

    #[test]
    fn a_harmed_output_is_not_current() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("x"), "1").unwrap();
        let record = Record::of_dir("k", dir.path()).unwrap();
        assert!(record.is_current("k", dir.path()));
        assert!(!record.is_current("other", dir.path()));
        fs::write(dir.path().join("x"), "2").unwrap();
        assert!(!record.is_current("k", dir.path()));
    }

    #[test]
    fn a_sidecar_has_a_name_that_a_folder_takes() {
        assert_eq!(sidecar(Path::new("a/b.flac")), Path::new("a/.b.flac.rushes.json"));
        let long = |c: &str| sidecar(Path::new(&c.repeat(255))).file_name().unwrap().to_owned();
        assert!(long("x").len() < 255);
        assert_ne!(long("x"), long("y"));
    }
}
