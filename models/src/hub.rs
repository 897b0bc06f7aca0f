//! The Hugging Face hub, and the cache that it shares with other tools:
//! `CACHE/models--OWNER--NAME/{refs/REVISION, blobs/ETAG, snapshots/COMMIT/FILE -> ../../blobs/ETAG}`.

use crate::catalogue::ArtefactFile;
use crate::client::Stop;
use crate::disk::{self, State, at};
use crate::error::{FetchCause, ModelsError};
use crate::http::{Address, Http, Token, Wanted};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How to reach the hub, and where its files are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hub {
    /// The folder of the cache; what other tools call `HF_HUB_CACHE`.
    pub cache: PathBuf,
    /// Where the hub is, without a slash at its end.
    pub endpoint: String,
    /// What shows the hub who asks; sent to the endpoint's host and no other.
    pub token: Option<Token>,
    /// Whether the hub is left alone, so that only what is in the cache is used.
    pub offline: bool,
}

impl Hub {
    /// The public hub, asked without a token.
    pub const ENDPOINT: &str = "https://huggingface.co";

    /// The public hub with its cache in the folder `cache`.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        let endpoint = Self::ENDPOINT.into();
        Self { cache: cache.into(), endpoint, token: None, offline: false }
    }

    /// Every place in the cache where the file may be, best first; what is there is not yet checked.
    pub(crate) fn places(&self, at: &Place<'_>) -> Vec<PathBuf> {
        let folder = self.repository(at.repo);
        let snapshots = folder.join("snapshots");
        let named = fs::read_to_string(folder.join("refs").join(at.revision)).unwrap_or_default();
        let named = Some(named.trim()).filter(|commit| is_mark(commit));
        let mut places: Vec<PathBuf> = [named, Some(at.revision)]
            .into_iter()
            .flatten()
            .map(|commit| snapshots.join(commit).join(at.file))
            .collect();
        // The same file under another commit is as good: its digest settles it.
        let mut others: Vec<PathBuf> = fs::read_dir(&snapshots)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path().join(at.file))
            .filter(|path| !places.contains(path))
            .collect();
        others.sort();
        places.append(&mut others);
        places.retain(|path| path.exists());
        places
    }

    /// The digest of the file at `path` in the cache, as the hub stated it: its blob's name.
    pub(crate) fn recorded(path: &Path) -> Option<String> {
        let blob = fs::read_link(path).ok()?;
        let name = blob.file_name()?.to_str()?;
        disk::is_sha256(name).then(|| name.to_owned())
    }

    /// Gets `file` into the cache and gives its path there.
    pub(crate) fn fetch(
        &self,
        http: &Http,
        file: &ArtefactFile,
        place: &Place<'_>,
        tell: &mut dyn FnMut(Step) -> Result<(), ModelsError>,
    ) -> Result<PathBuf, Stop> {
        if self.offline {
            return Err(FetchCause::Offline.into());
        }
        let address = Address {
            url: format!(
                "{}/{}/resolve/{}/{}",
                self.endpoint, place.repo, place.revision, place.file
            ),
            token: self.token.clone(),
        };
        let head = http.head(&address, &mut || tell(Step::Asking))?;
        let stated = head.etag.filter(|etag| is_mark(etag));
        let stated_digest = stated.clone().filter(|etag| disk::is_sha256(etag));
        // What the manifest pins comes first; then the hub's word, which must be there.
        let sha256 = match (&file.sha256, stated_digest) {
            (Some(pinned), Some(stated)) if *pinned != stated => {
                return Err(FetchCause::WrongDigest { got: stated }.into());
            }
            (Some(pinned), _) => pinned.clone(),
            (None, Some(stated)) => stated,
            (None, None) => {
                let message = "the hub states no sha256 of this file".into();
                return Err(FetchCause::Http { message }.into());
            }
        };
        if let (Some(pinned), Some(stated)) = (file.bytes, head.bytes)
            && pinned != stated
        {
            return Err(FetchCause::WrongSize { got: stated }.into());
        }
        let bytes = file.bytes.or(head.bytes);
        let etag = stated.unwrap_or_else(|| sha256.clone());
        let commit = head.commit.filter(|commit| is_mark(commit));

        let folder = self.repository(place.repo);
        let blobs = folder.join("blobs");
        disk::make_folder(&blobs).map_err(Stop::All)?;
        let _lock = self.lock(place, &etag, tell).map_err(Stop::All)?;
        let blob = blobs.join(&etag);
        if disk::check(&blob, bytes, &sha256).map_err(Stop::All)? != State::Good {
            let part = blobs.join(format!("{etag}.rushes-part"));
            let wanted = Wanted { bytes, sha256: Some(&sha256) };
            http.get(&address, &part, wanted, &mut |done, total| {
                tell(Step::Getting { done, total })
            })?;
            disk::settle(&part, &blob).map_err(Stop::All)?;
        }
        let commit = commit.unwrap_or_else(|| place.revision.to_owned());
        self.enter(&folder, place, &commit, &etag).map_err(Stop::All)
    }

    /// Enters the blob `etag` into the cache as the file of `commit`.
    fn enter(
        &self,
        folder: &Path,
        place: &Place<'_>,
        commit: &str,
        etag: &str,
    ) -> Result<PathBuf, ModelsError> {
        let path = folder.join("snapshots").join(commit).join(place.file);
        let parent = path.parent().unwrap_or(folder);
        disk::make_folder(parent)?;
        let climb = "../".repeat(2 + place.file.matches('/').count());
        // A new name and then a rename: whoever looks meets the old link or the new one.
        let passing = parent.join(format!("{}{}", disk::PASSING, std::process::id()));
        disk::remove(&passing)?;
        std::os::unix::fs::symlink(format!("{climb}blobs/{etag}"), &passing)
            .map_err(at("write", &passing))?;
        disk::settle(&passing, &path)?;
        if commit != place.revision {
            let refs = folder.join("refs");
            disk::make_folder(&refs)?;
            let passing = refs.join(format!("{}{}", disk::PASSING, std::process::id()));
            fs::write(&passing, commit).map_err(at("write", &passing))?;
            disk::settle(&passing, &refs.join(place.revision))?;
        }
        Ok(path)
    }

    /// Removes the file from the cache, and its content where no other name has it; gives the bytes
    /// that this freed.
    pub(crate) fn remove(
        &self,
        place: &Place<'_>,
        tell: &mut dyn FnMut(Step) -> Result<(), ModelsError>,
    ) -> Result<u64, ModelsError> {
        let folder = self.repository(place.repo);
        let mut freed = 0;
        for path in self.places(place) {
            let blob = match fs::read_link(&path) {
                Ok(link) => link.file_name().map(|name| folder.join("blobs").join(name)),
                // Some file systems have no links: then the file itself is here.
                Err(_) => None,
            };
            let Some(blob) = blob else {
                freed += fs::metadata(&path).map_or(0, |about| about.len());
                disk::remove(&path)?;
                continue;
            };
            let etag = blob.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let _lock = self.lock(place, &etag, tell)?;
            disk::remove(&path)?;
            if !is_linked(&folder.join("snapshots"), &etag) {
                freed += fs::metadata(&blob).map_or(0, |about| about.len());
                disk::remove(&blob)?;
            }
        }
        Ok(freed)
    }

    /// The lock that other tools take for the same blob.
    fn lock(
        &self,
        place: &Place<'_>,
        etag: &str,
        tell: &mut dyn FnMut(Step) -> Result<(), ModelsError>,
    ) -> Result<fs::File, ModelsError> {
        let locks = self.cache.join(".locks").join(folder_name(place.repo));
        disk::make_folder(&locks)?;
        disk::lock(&locks.join(format!("{etag}.lock")), &mut || tell(Step::Waiting))
    }

    fn repository(&self, repo: &str) -> PathBuf {
        self.cache.join(folder_name(repo))
    }
}

/// A file of the hub.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub repo: &'a str,
    pub revision: &'a str,
    pub file: &'a str,
}

/// What a fetch is at.
pub(crate) enum Step {
    Asking,
    Waiting,
    Getting { done: u64, total: Option<u64> },
}

fn folder_name(repo: &str) -> String {
    format!("models--{}", repo.replace('/', "--"))
}

/// Whether what a server or another tool wrote can be the name of one file here.
fn is_mark(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Whether any name below `folder` still stands for the blob.
fn is_linked(folder: &Path, etag: &str) -> bool {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return false,
        // Not known: keep it.
        Err(_) => return true,
    };
    entries.flatten().any(|entry| {
        let path = entry.path();
        match fs::read_link(&path) {
            Ok(link) => link.file_name().is_some_and(|name| name == etag),
            Err(_) => path.is_dir() && is_linked(&path, etag),
        }
    })
}
