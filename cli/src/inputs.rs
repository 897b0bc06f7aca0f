//! From what was typed to a list of files: files, folders, globs, `-`; and a distinct output name
//! for each.

use rushes::error::{Error, ErrorKind, Stage};
use rushes::library::{MANIFEST, Record, sidecar};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Extensions that are taken from folders; a file named outright may have any.
const EXTENSIONS: &[&str] = &[
    "mp4", "m4v", "mov", "mkv", "webm", "avi", "ts", "mts", "m2ts", "mpg", "mpeg", "flv", "wmv",
    "asf", "mxf", "ogv", "3gp", "gif", "264", "h264", "265", "hevc", "ivf", "y4m", "wav", "flac",
    "mp3", "m4a", "aac", "ogg", "opus", "oga", "aiff", "aif", "caf", "wma", "amr", "ac3", "eac3",
    "mka",
];

/// One input: a file to read, or why there is none.
pub type Input = Result<PathBuf, Error>;

/// Resolves what was typed, in order; a folder gives its media files sorted by name, all levels.
pub fn resolve(typed: &[PathBuf]) -> Vec<Input> {
    typed.iter().flat_map(|path| resolve_one(path)).collect()
}

fn resolve_one(path: &Path) -> Vec<Input> {
    if path == Path::new("-") {
        return vec![Ok(PathBuf::from("/dev/stdin"))];
    }
    if path.is_dir() {
        return walk(path);
    }
    // A name that exists is a name, whatever characters it has.
    if std::fs::symlink_metadata(path).is_err()
        && let Some(pattern) = path.to_str().filter(|p| p.contains(['*', '?', '[']))
    {
        return match glob::glob(pattern) {
            Ok(found) => {
                let found: Vec<Input> =
                    found.filter_map(Result::ok).filter(|p| p.is_file()).map(Ok).collect();
                if found.is_empty() { vec![nothing(path, "matches no file")] } else { found }
            }
            Err(e) => vec![Err(Error::new(
                ErrorKind::Input,
                Stage::Open,
                format!("is not a pattern: {e}"),
            )
            .input(path))],
        };
    }
    vec![Ok(path.to_path_buf())]
}

fn walk(folder: &Path) -> Vec<Input> {
    let entries = walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        // Hidden folders hold other programs' business, our own unfinished outputs included.
        .filter_entry(|e| {
            e.depth() == 0 || !(is_hidden(e.file_name()) || is_output_folder(e.path()))
        });
    let found: Vec<Input> = entries
        .filter_map(|entry| match entry {
            Ok(entry)
                if entry.file_type().is_file()
                    && is_media(entry.path())
                    && !is_output(entry.path()) =>
            {
                Some(Ok(entry.into_path()))
            }
            Ok(_) => None,
            Err(e) => {
                let path = e.path().unwrap_or(folder).to_path_buf();
                Some(Err(Error::new(ErrorKind::Input, Stage::Open, e.to_string()).input(&path)))
            }
        })
        .collect();
    if found.is_empty() { vec![nothing(folder, "holds no media files")] } else { found }
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// Whether a folder is an output of ours. Where outputs lie among inputs, the next run on the same
/// folder would otherwise take the sound it made for one more input, and so on for ever.
fn is_output_folder(path: &Path) -> bool {
    path.is_dir() && Record::read(&path.join(MANIFEST)).is_some()
}

/// As [`is_output_folder`], for a single file.
fn is_output(path: &Path) -> bool {
    Record::read(&sidecar(path)).is_some()
}

fn nothing(path: &Path, what: &'static str) -> Input {
    Err(Error::new(ErrorKind::Input, Stage::Open, what).input(path).hint("name the files"))
}

fn is_media(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str()))
}

/// A distinct name for each input's outputs: its stem; its whole name where two share a stem; and
/// a number where that is not enough.
pub fn output_names(inputs: &[Input]) -> Vec<OsString> {
    let mut stems: BTreeMap<OsString, u32> = BTreeMap::new();
    for path in inputs.iter().flatten() {
        *stems.entry(stem(path)).or_default() += 1;
    }
    let mut used: BTreeSet<OsString> = BTreeSet::new();
    inputs
        .iter()
        .map(|input| {
            let Ok(path) = input else { return OsString::new() };
            let mut name = stem(path);
            if stems.get(&name).is_some_and(|count| *count > 1) {
                name = short(path.file_name().unwrap_or(&name));
            }
            let numbered = (2..).map(|n| {
                let mut numbered = name.clone();
                numbered.push(format!("-{n}"));
                numbered
            });
            let mut free =
                std::iter::once(name.clone()).chain(numbered).filter(|name| !used.contains(name));
            let free = free.next().unwrap_or_default();
            used.insert(free.clone());
            free
        })
        .collect()
}

/// The stem of a path, fit for the name of an output. That of `...` is `..`, which as a name would
/// be another folder.
fn stem(path: &Path) -> OsString {
    let name = path.file_name().unwrap_or(OsStr::new("input"));
    match path.file_stem() {
        Some(stem) if stem != "." && stem != ".." => short(stem),
        _ => short(name),
    }
}

/// A name with room for endings: what is long loses its end to a checksum of the whole.
fn short(name: &OsStr) -> OsString {
    const LONGEST: usize = 200;
    let bytes = name.as_bytes();
    if bytes.len() <= LONGEST {
        return name.to_os_string();
    }
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325, fnv);
    let end = match name.to_str() {
        Some(text) => (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0),
        None => LONGEST,
    };
    let mut out = OsStr::from_bytes(&bytes[..end]).to_os_string();
    out.push(format!("-{sum:016x}"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct() {
        let inputs: Vec<Input> =
            ["a/x.mp4", "b/x.mp4", "x.mkv", "y.mp4"].map(|p| Ok(PathBuf::from(p))).into();
        assert_eq!(output_names(&inputs), ["x.mp4", "x.mp4-2", "x.mkv", "y"]);
        // Names that look like the numbered ones of others.
        let inputs: Vec<Input> =
            ["x-2.mp4", "a/x", "b/x", "x-2.mkv.mkv"].map(|p| Ok(PathBuf::from(p))).into();
        assert_eq!(output_names(&inputs), ["x-2", "x", "x-3", "x-2.mkv"]);
    }

    #[test]
    fn names_stay_in_their_folder_and_within_its_limits() {
        let name = |path: String| output_names(&[Ok(PathBuf::from(path))]).remove(0);
        assert_eq!(name("...".into()), "...");
        assert_eq!(name("a/..mp4".into()), "..mp4");
        assert_eq!(name(".mp4".into()), ".mp4");
        let (a, b) = (name("日".repeat(84) + "a.mp4"), name("日".repeat(84) + "b.mp4"));
        assert!(a != b && a.len() < 220 && a.to_str().is_some_and(|a| a.starts_with('日')));
    }

    #[test]
    fn folders_globs_and_odd_names() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.mp4", "a.MKV", "notes.txt", "-i.mp4", "x[1].mp4"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        std::fs::create_dir(dir.path().join(".hidden")).unwrap();
        std::fs::write(dir.path().join(".hidden/c.mp4"), "x").unwrap();
        let names = |typed: PathBuf| -> Vec<String> {
            let found = resolve(&[typed]).into_iter().flatten();
            found.map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names(dir.path().into()), ["-i.mp4", "a.MKV", "b.mp4", "x[1].mp4"]);
        assert_eq!(names(dir.path().join("b*")), ["b.mp4"]);
        assert_eq!(names(dir.path().join("x[1].mp4")), ["x[1].mp4"]);
        assert!(resolve(&[dir.path().join("*.avi")])[0].is_err());
    }
}
