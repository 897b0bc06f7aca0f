//! A bucket beside the local store.

use crate::error::{Error, ErrorKind, Result, Stage};
use object_store::ObjectStore;
use object_store::multipart::MultipartStore;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A bucket that is open.
#[derive(Clone)]
pub struct Remote {
    /// Its address, for people.
    pub(super) name: String,
    /// Below which its objects lie.
    pub(super) prefix: String,
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) parts: Arc<dyn MultipartStore>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remote({})", self.name)
    }
}

/// What became of opening a bucket.
#[derive(Debug)]
pub enum RemoteAt {
    /// It is open. Nothing was asked of it yet.
    Open(Remote),
    /// Nobody said with what right: work goes on here. Holds what is missing.
    NoCredentials(String),
}

/// A failure of a store.
pub(super) fn told(remote: &Remote) -> impl Fn(object_store::Error) -> Error + '_ {
    |error| failure(&remote.name, error)
}

pub(super) fn failure(name: &str, error: object_store::Error) -> Error {
    use object_store::Error as Store;
    let (kind, hint) = match &error {
        Store::NotFound { .. } => (ErrorKind::Storage, "it is not there"),
        Store::Unauthenticated { .. } | Store::PermissionDenied { .. } => {
            (ErrorKind::Storage, "check the credentials")
        }
        // What a network does may be different next time; nothing was half written.
        _ => (ErrorKind::Resource, "run it again: what was sent is not sent twice"),
    };
    Error::new(kind, Stage::Assets, format!("{error}")).input(Path::new(name)).hint(hint)
}

impl Remote {
    /// Opens `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`. `settings` are the
    /// store's own, by the names of their environment variables (`AWS_ACCESS_KEY_ID`,
    /// `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME` and so on), as the caller found them.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where this build lacks the store; [`ErrorKind::Input`] where the address
    /// is none, or the settings make no sense.
    pub fn open(address: &str, settings: &BTreeMap<String, String>) -> Result<RemoteAt> {
        let wrong = |what: String| {
            Error::new(ErrorKind::Input, Stage::Assets, what).input(Path::new(address))
        };
        let (scheme, rest) = address.split_once("://").ok_or_else(|| {
            wrong("is no address".to_owned()).hint("write s3://BUCKET/PREFIX, gs:// or az://")
        })?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(wrong("names no bucket".to_owned()));
        }
        let needed: &[&[&str]] = match scheme {
            "s3" => &[
                &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
                &["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"],
                &["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"],
                &["AWS_CONTAINER_CREDENTIALS_FULL_URI"],
            ],
            "gs" => &[
                &["GOOGLE_SERVICE_ACCOUNT"],
                &["GOOGLE_SERVICE_ACCOUNT_KEY"],
                &["GOOGLE_APPLICATION_CREDENTIALS"],
            ],
            "az" => &[
                &["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY"],
                &["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_SAS_KEY"],
                &["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_CLIENT_ID"],
            ],
            _ => return Err(wrong(format!("`{scheme}` is no store: s3, gs or az"))),
        };
        let given = |names: &[&str]| {
            names.iter().all(|name| settings.get(*name).is_some_and(|v| !v.is_empty()))
        };
        if !needed.iter().any(|names| given(names)) {
            let first = needed.first().map(|names| names.join(" and ")).unwrap_or_default();
            return Ok(RemoteAt::NoCredentials(format!(
                "{address} needs credentials: set {first}"
            )));
        }
        let build = store(scheme, bucket, settings).map_err(|error| failure(address, error))?;
        let Some((objects, parts)) = build else {
            let feature = match scheme {
                "s3" => "s3",
                "gs" => "gcs",
                _ => "azure",
            };
            let what = "cannot be reached by this build";
            return Err(Error::new(ErrorKind::Unsupported, Stage::Assets, what)
                .input(Path::new(address))
                .hint(format!("build with --features {feature}")));
        };
        let prefix = prefix.trim_matches('/').to_owned();
        Ok(RemoteAt::Open(Self { name: address.to_owned(), prefix, objects, parts }))
    }

    /// A path below the prefix.
    pub(super) fn at(&self, path: &str) -> String {
        match self.prefix.is_empty() {
            true => path.to_owned(),
            false => format!("{}/{path}", self.prefix),
        }
    }
}

type Store = (Arc<dyn ObjectStore>, Arc<dyn MultipartStore>);

/// The store, if this build has it. Settings that are none of its own are passed over.
#[allow(unused_variables, clippy::unnecessary_wraps)] // a build without any store
fn store(
    scheme: &str,
    bucket: &str,
    settings: &BTreeMap<String, String>,
) -> object_store::Result<Option<Store>> {
    #[cfg(feature = "s3")]
    if scheme == "s3" {
        let mut builder = object_store::aws::AmazonS3Builder::new().with_bucket_name(bucket);
        for (name, value) in settings {
            if let Ok(key) = name.to_lowercase().parse() {
                builder = builder.with_config(key, value);
            }
        }
        let made = Arc::new(builder.build()?);
        return Ok(Some((made.clone(), made)));
    }
    #[cfg(feature = "gcs")]
    if scheme == "gs" {
        let mut builder =
            object_store::gcp::GoogleCloudStorageBuilder::new().with_bucket_name(bucket);
        for (name, value) in settings {
            if let Ok(key) = name.to_lowercase().parse() {
                builder = builder.with_config(key, value);
            }
        }
        let made = Arc::new(builder.build()?);
        return Ok(Some((made.clone(), made)));
    }
    #[cfg(feature = "azure")]
    if scheme == "az" {
        let mut builder =
            object_store::azure::MicrosoftAzureBuilder::new().with_container_name(bucket);
        for (name, value) in settings {
            if let Ok(key) = name.to_lowercase().parse() {
                builder = builder.with_config(key, value);
            }
        }
        let made = Arc::new(builder.build()?);
        return Ok(Some((made.clone(), made)));
    }
    Ok(None)
}
