//! Taking exactly one regular file out of a package.
//!
//! Packages are hostile until shown otherwise. No name in one is ever used as a path: the one
//! member whose name equals the manifest's is read, and all else is skipped.

use crate::catalogue::Source;
use crate::error::FetchCause;
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// How much a whole .tgz may unpack to while the member is looked for.
const MAX_UNPACKED: u64 = 16 << 30;

fn broken(error: impl std::fmt::Display) -> FetchCause {
    FetchCause::Archive { message: format!("the package cannot be read: {error}") }
}

fn absent(path: &str) -> FetchCause {
    FetchCause::Archive { message: format!("the package has no regular file {path}") }
}

/// Hands the member of `source` in the package at `archive` to `consume`, with its stated size.
pub(crate) fn member<T, E: From<FetchCause>>(
    source: &Source,
    archive: &Path,
    consume: impl FnOnce(&mut dyn Read, u64) -> Result<T, E>,
) -> Result<T, E> {
    let file = File::open(archive).map_err(broken)?;
    match source {
        Source::Npm { path, .. } => {
            let plain = GzDecoder::new(BufReader::new(file)).take(MAX_UNPACKED);
            let mut tar = tar::Archive::new(plain);
            // Raw: extended headers are passed over, not read into memory, so a member's long
            // name or a made-up size cannot cost anything. The digest settles what was read.
            for entry in tar.entries().map_err(broken)?.raw(true) {
                let mut entry = entry.map_err(broken)?;
                if entry.header().path_bytes() == path.as_bytes() {
                    if entry.header().entry_type() != tar::EntryType::Regular {
                        return Err(absent(path).into());
                    }
                    let size = entry.size();
                    return consume(&mut entry, size);
                }
            }
            Err(absent(path).into())
        }
        Source::Pypi { path, .. } => {
            let mut zip = zip::ZipArchive::new(BufReader::new(file)).map_err(broken)?;
            let mut entry = match zip.by_name(path) {
                Ok(entry) => entry,
                Err(zip::result::ZipError::FileNotFound) => return Err(absent(path).into()),
                Err(e) => return Err(broken(e).into()),
            };
            // The upper bits of the Unix mode are the file's type; none is what Windows writes.
            let kind = entry.unix_mode().unwrap_or(0) & 0o170_000;
            if !entry.is_file() || !matches!(kind, 0 | 0o100_000) {
                return Err(absent(path).into());
            }
            let size = entry.size();
            consume(&mut entry, size)
        }
        _ => Err(absent("in it: it is none").into()),
    }
}
