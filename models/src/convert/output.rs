//! Writing a file that has its name only when it is whole and on the disk.

use crate::error::ModelsError;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// As the store's own, so that a later pull into the same folder clears what a kill leaves here.
const PASSING: &str = ".pull-";

pub(crate) struct Output {
    writer: BufWriter<NamedTempFile>,
    path: PathBuf,
    folder: PathBuf,
}

impl Output {
    /// Begins the file that will be at `path`, in the same folder, which must exist.
    pub(crate) fn create(path: &Path) -> Result<Self, ModelsError> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(PASSING);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // Models are no secrets: what the umask allows, not the owner alone.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let temp = builder.tempfile_in(folder).map_err(failed("write", path))?;
        Ok(Self {
            writer: BufWriter::with_capacity(1 << 16, temp),
            path: path.into(),
            folder: folder.into(),
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), ModelsError> {
        self.writer.write_all(bytes).map_err(failed("write", &self.path))
    }

    /// Gives the file its name, after `check` had a look at what was written.
    pub(crate) fn publish(
        self,
        check: impl FnOnce(&Path) -> Result<(), ModelsError>,
    ) -> Result<(), ModelsError> {
        let Self { writer, path, folder } = self;
        let temp = writer.into_inner().map_err(|e| failed("write", &path)(e.into_error()))?;
        check(temp.path())?;
        temp.as_file().sync_all().map_err(failed("write", &path))?;
        temp.persist(&path).map_err(|e| failed("write", &path)(e.error))?;
        // A new name is durable only when its folder is on the disk.
        File::open(&folder).and_then(|f| f.sync_all()).map_err(failed("sync", &folder))
    }
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> ModelsError + 'a {
    move |source| ModelsError::Io { doing, path: path.into(), source }
}
