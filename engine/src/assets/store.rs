//! The store: adding, finding, fetching, removing.

use super::record::{VERSION, check_name};
use super::remote::{Remote, failure, told};
use super::upload::upload;
use super::{AssetKind, AssetQuery, AssetRecord, NewAsset, SCHEME, facts_of};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::{StagedFile, content_id};
use crate::limits::Limits;
use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A record is small; what is larger is none.
const MOST_RECORD: u64 = 1 << 20;
/// How much of a file is held at once while it is copied.
const PIECE: usize = 8 << 20;

/// The asset library.
pub struct Assets {
    folder: PathBuf,
    local: LocalFileSystem,
    remote: Option<Remote>,
    runtime: tokio::runtime::Runtime,
}

/// What adding did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Added {
    /// The asset.
    #[serde(flatten)]
    pub record: AssetRecord,
    /// Whether its file was in the store already, under whatever name.
    pub known: bool,
    /// Whether it is in the bucket as well.
    pub remote: bool,
}

/// What sending did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pushed {
    /// The asset.
    pub name: String,
    /// Parts of its file that were sent now; none where the bucket had it.
    pub parts: usize,
    /// Parts that an earlier try had sent.
    pub known_parts: usize,
}

/// What removing did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The asset.
    pub name: String,
    /// Bytes that became free here: none where another asset has the same file.
    pub freed: u64,
}

impl std::fmt::Debug for Assets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assets")
            .field("folder", &self.folder)
            .field("remote", &self.remote)
            .finish()
    }
}

impl Assets {
    /// Opens the store in `folder`, made if it is missing, with a bucket beside it or without.
    ///
    /// # Errors
    /// I/O failures.
    pub fn open(folder: &Path, remote: Option<Remote>) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(Stage::Write, folder, e))?;
        let local = LocalFileSystem::new_with_prefix(folder)
            .map_err(|error| failure(&folder.to_string_lossy(), error))?
            .with_fsync(true);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Error::io(Stage::Assets, folder, e))?;
        Ok(Self { folder: folder.to_path_buf(), local, remote, runtime })
    }

    fn here(&self) -> impl Fn(object_store::Error) -> Error + '_ {
        |error| failure(&self.folder.to_string_lossy(), error)
    }

    /// Adds a file, and sends it to the bucket if there is one.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] where the file is not what it is called, or the name is taken; I/O failures. A
    /// failure of the bucket comes after all is kept here: [`Assets::push`] goes on.
    pub fn add(
        &self,
        file: &Path,
        new: &NewAsset,
        limits: &Limits,
        cancel: &Cancel,
    ) -> Result<Added> {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let name = new.name.clone().unwrap_or_else(|| plain_name(&stem));
        check_name(&name)?;
        let kind = new.kind.or_else(|| AssetKind::of_name(file)).ok_or_else(|| {
            Error::new(ErrorKind::Input, Stage::Assets, "does not tell by its name what it is")
                .input(file)
                .hint("say it: --kind video, audio, image, font, lut or template")
        })?;
        let facts = facts_of(file, kind, limits, cancel)?;
        let content = content_id(file, cancel)?;
        let ending = file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let sound = ending.len() <= 16 && ending.bytes().all(|b| b.is_ascii_alphanumeric());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let record = AssetRecord {
            asset: VERSION,
            name,
            kind,
            category: new.category.clone(),
            tags: new.tags.clone(),
            licence: new.licence.clone(),
            source: new.source.clone(),
            content: content.to_string(),
            bytes: std::fs::metadata(file).map_err(|e| Error::io(Stage::Assets, file, e))?.len(),
            extension: if sound { ending } else { String::new() },
            added_ms: i64::try_from(now).unwrap_or(i64::MAX),
            facts,
        };
        let blob = self.folder.join(record.blob());
        let known = blob.metadata().is_ok_and(|meta| meta.len() == record.bytes);
        if !known {
            self.runtime.block_on(self.copy_in(file, &record, cancel))?;
            // What changed while it was read is not what was looked at.
            if content_id(&blob, cancel)? != content {
                let _ = std::fs::remove_file(&blob);
                return Err(Error::new(
                    ErrorKind::Input,
                    Stage::Assets,
                    "changed while it was read",
                )
                .input(file));
            }
        }
        let mode = if new.replace { PutMode::Overwrite } else { PutMode::Create };
        self.runtime.block_on(self.write_record(&record, mode))?;
        let remote = match &self.remote {
            None => false,
            Some(remote) => {
                self.send(remote, &record, cancel)?;
                true
            }
        };
        Ok(Added { record, known, remote })
    }

    async fn copy_in(&self, file: &Path, record: &AssetRecord, cancel: &Cancel) -> Result<()> {
        let failed = |e| Error::io(Stage::Assets, file, e);
        let mut from = File::open(file).map_err(failed)?;
        let place = ObjectPath::from(record.blob());
        let mut upload = self.local.put_multipart(&place).await.map_err(self.here())?;
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            (&mut from).take(PIECE as u64).read_to_end(&mut piece).map_err(failed)?;
            if piece.is_empty() {
                break;
            }
            let stopped = cancel.check(Stage::Assets).err();
            let sent = match stopped {
                Some(error) => Err(error),
                None => upload.put_part(piece.into()).await.map_err(self.here()),
            };
            if let Err(error) = sent {
                let _ = upload.abort().await;
                return Err(error);
            }
        }
        upload.complete().await.map_err(self.here())?;
        Ok(())
    }

    async fn write_record(&self, record: &AssetRecord, mode: PutMode) -> Result<()> {
        let text = serde_json::to_vec_pretty(record).unwrap_or_default();
        let place = ObjectPath::from(record_path(&record.name));
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.local.put_opts(&place, text.into(), options).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => {
                let what = format!("there is an asset called `{}`", record.name);
                Err(Error::new(ErrorKind::Input, Stage::Assets, what)
                    .hint("give it another name with --name, or replace it with --replace"))
            }
            Err(error) => Err(self.here()(error)),
        }
    }

    /// All assets, in order of their names. Those of a bucket that are not known here come too, and
    /// their records stay.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] where a record is damaged; failures of the stores.
    pub fn list(&self, query: &AssetQuery) -> Result<Vec<AssetRecord>> {
        let mut all = self.runtime.block_on(self.records(&self.local, "", &self.here()))?;
        if let Some(remote) = &self.remote {
            let there = self.runtime.block_on(self.records(
                &*remote.objects,
                &remote.prefix,
                &told(remote),
            ))?;
            for (name, record) in there {
                if let std::collections::btree_map::Entry::Vacant(free) = all.entry(name) {
                    self.runtime.block_on(self.write_record(&record, PutMode::Overwrite))?;
                    free.insert(record);
                }
            }
        }
        Ok(all.into_values().filter(|record| query.fits(record)).collect())
    }

    async fn records(
        &self,
        store: &dyn ObjectStore,
        prefix: &str,
        failed: &dyn Fn(object_store::Error) -> Error,
    ) -> Result<BTreeMap<String, AssetRecord>> {
        let folder = match prefix.is_empty() {
            true => ObjectPath::from("records"),
            false => ObjectPath::from(format!("{prefix}/records")),
        };
        let found: Vec<_> = store.list(Some(&folder)).try_collect().await.map_err(failed)?;
        let mut all = BTreeMap::new();
        for object in found {
            if object.size > MOST_RECORD || !object.location.as_ref().ends_with(".json") {
                continue;
            }
            let data =
                store.get(&object.location).await.map_err(failed)?.bytes().await.map_err(failed)?;
            let record = read_record(&data, object.location.as_ref())?;
            all.insert(record.name.clone(), record);
        }
        Ok(all)
    }

    /// The asset called `name`.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] where there is none; as [`Assets::list`].
    pub fn get(&self, name: &str) -> Result<AssetRecord> {
        check_name(name)?;
        let path = record_path(name);
        let here = self.folder.join(&path);
        match std::fs::read(&here) {
            Ok(data) => return read_record(&data, &path),
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(Stage::Assets, &here, e));
            }
            Err(_) => {}
        }
        let there =
            self.list(&AssetQuery::default())?.into_iter().find(|record| record.name == name);
        there.ok_or_else(|| {
            let what = format!("there is no asset called `{name}`");
            let hint = "`rushes assets list` tells what there is";
            Error::new(ErrorKind::Input, Stage::Assets, what).hint(hint)
        })
    }

    /// The file of the asset called `name`, fetched from the bucket if it is not here.
    ///
    /// # Errors
    /// As [`Assets::get`]; [`ErrorKind::Storage`] where it is nowhere, or the bucket's is damaged.
    pub fn path_of(&self, name: &str, cancel: &Cancel) -> Result<PathBuf> {
        let record = self.get(name)?;
        let blob = self.folder.join(record.blob());
        if blob.metadata().is_ok_and(|meta| meta.len() == record.bytes) {
            return Ok(blob);
        }
        let Some(remote) = &self.remote else {
            let what = format!("the file of asset `{name}` is not here");
            return Err(Error::new(ErrorKind::Storage, Stage::Assets, what).input(&blob).hint(
                "add it again with --replace, or name the bucket that has it with --remote",
            ));
        };
        self.runtime.block_on(self.fetch(remote, &record, &blob, cancel))?;
        Ok(blob)
    }

    async fn fetch(
        &self,
        remote: &Remote,
        record: &AssetRecord,
        blob: &Path,
        cancel: &Cancel,
    ) -> Result<()> {
        let place = ObjectPath::from(remote.at(&record.blob()));
        let mut stream = remote.objects.get(&place).await.map_err(told(remote))?.into_stream();
        let mut file = StagedFile::new(blob)?;
        let mut digest = blake3::Hasher::new();
        let mut left = record.bytes;
        while let Some(piece) = stream.try_next().await.map_err(told(remote))? {
            cancel.check(Stage::Assets)?;
            left = left.checked_sub(piece.len() as u64).ok_or_else(|| damaged(remote, record))?;
            digest.update(&piece);
            file.write(&piece)?;
        }
        if left != 0 || digest.finalize().to_hex().as_str() != record.content {
            return Err(damaged(remote, record));
        }
        file.publish()
    }

    /// Sends to the bucket what it lacks; nothing without one.
    ///
    /// # Errors
    /// Failures of the stores; what was sent is not sent again.
    pub fn push(&self, cancel: &Cancel) -> Result<Vec<Pushed>> {
        let Some(remote) = &self.remote else { return Ok(Vec::new()) };
        let all = self.runtime.block_on(self.records(&self.local, "", &self.here()))?;
        all.values().map(|record| self.send(remote, record, cancel)).collect()
    }

    fn send(&self, remote: &Remote, record: &AssetRecord, cancel: &Cancel) -> Result<Pushed> {
        let object = remote.at(&record.blob());
        let note = self.folder.join("uploads").join(format!("{}.json", record.content));
        let mut pushed = Pushed { name: record.name.clone(), parts: 0, known_parts: 0 };
        self.runtime.block_on(async {
            let there = match remote.objects.head(&ObjectPath::from(object.as_str())).await {
                Ok(meta) => meta.size == record.bytes,
                Err(object_store::Error::NotFound { .. }) => false,
                Err(error) => return Err(told(remote)(error)),
            };
            if !there {
                let file = self.folder.join(record.blob());
                let done = upload(remote, &file, &object, &note, cancel).await?;
                (pushed.parts, pushed.known_parts) = (done.sent, done.known);
            }
            // The record last: whoever sees it finds the file.
            let text = serde_json::to_vec_pretty(record).unwrap_or_default();
            let place = ObjectPath::from(remote.at(&record_path(&record.name)));
            remote.objects.put(&place, text.into()).await.map_err(told(remote))?;
            Ok(pushed)
        })
    }

    /// Removes an asset, here and in the bucket; its file too, unless another asset has the same.
    ///
    /// # Errors
    /// As [`Assets::get`]; failures of the stores.
    pub fn remove(&self, name: &str) -> Result<Removed> {
        let record = self.get(name)?;
        let others = self.list(&AssetQuery::default())?;
        let shared = others.iter().any(|one| one.name != name && one.blob() == record.blob());
        self.runtime.block_on(async {
            let gone = |done: object_store::Result<()>| match done {
                Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
                Err(error) => Err(error),
            };
            if let Some(remote) = &self.remote {
                // The bucket first: its record would come back otherwise.
                let record_at = ObjectPath::from(remote.at(&record_path(name)));
                gone(remote.objects.delete(&record_at).await).map_err(told(remote))?;
                if !shared {
                    let blob = ObjectPath::from(remote.at(&record.blob()));
                    gone(remote.objects.delete(&blob).await).map_err(told(remote))?;
                }
            }
            let record_at = ObjectPath::from(record_path(name));
            gone(self.local.delete(&record_at).await).map_err(self.here())?;
            let mut freed = 0;
            if !shared {
                let blob = ObjectPath::from(record.blob());
                freed = self.local.head(&blob).await.map_or(0, |meta| meta.size);
                gone(self.local.delete(&blob).await).map_err(self.here())?;
            }
            Ok(Removed { name: name.to_owned(), freed })
        })
    }

    /// The text of an edit spec with every string `asset:NAME` replaced by the path of that asset's file.
    ///
    /// # Errors
    /// As [`Assets::path_of`].
    pub fn in_text(&self, text: &str, cancel: &Cancel) -> Result<String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(SCHEME) {
            let (before, after) = rest.split_at(at);
            let name_and_rest = &after[SCHEME.len()..];
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let end = name_and_rest.find(|c| !good(c)).unwrap_or(name_and_rest.len());
            let (name, behind) = name_and_rest.split_at(end);
            let quote = before.chars().next_back().filter(|c| matches!(c, '"' | '\''));
            match quote.filter(|quote| !name.is_empty() && behind.starts_with(*quote)) {
                Some(quote) => {
                    let path = self.path_of(name, cancel)?;
                    let path = std::path::absolute(&path)
                        .map_err(|e| Error::io(Stage::Assets, &path, e))?;
                    let path = path.to_str().ok_or_else(|| {
                        let what = "lies where a spec cannot say: the path is no Unicode";
                        Error::new(ErrorKind::Storage, Stage::Assets, what).input(&path)
                    })?;
                    // A JSON string in double quotes is one in JSON5 too, whatever was there.
                    out.push_str(&before[..before.len() - quote.len_utf8()]);
                    out.push_str(&serde_json::Value::from(path).to_string());
                    rest = &behind[quote.len_utf8()..];
                }
                None => {
                    out.push_str(before);
                    out.push_str(SCHEME);
                    rest = name_and_rest;
                }
            }
        }
        out.push_str(rest);
        Ok(out)
    }
}

fn record_path(name: &str) -> String {
    format!("records/{name}.json")
}

/// A name that a file's stem can be: what no name has becomes `-`.
fn plain_name(stem: &str) -> String {
    let good =
        |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let name: String = stem.chars().map(good).take(100).collect();
    name.trim_matches(['-', '_', '.']).to_owned()
}

fn read_record(data: &[u8], path: &str) -> Result<AssetRecord> {
    let record: AssetRecord = serde_json::from_slice(data).map_err(|e| {
        let what = format!("is no record of an asset: {e}");
        Error::new(ErrorKind::Storage, Stage::Assets, what).input(Path::new(path))
    })?;
    record.check()?;
    match record_path(&record.name).as_str() == path
        || path.ends_with(&format!("/{}.json", record.name))
    {
        true => Ok(record),
        false => {
            let what = "is the record of another asset";
            Err(Error::new(ErrorKind::Storage, Stage::Assets, what).input(Path::new(path)))
        }
    }
}

fn damaged(remote: &Remote, record: &AssetRecord) -> Error {
    let what = format!("the file of asset `{}` is damaged", record.name);
    Error::new(ErrorKind::Storage, Stage::Assets, what).input(Path::new(&remote.name))
}
