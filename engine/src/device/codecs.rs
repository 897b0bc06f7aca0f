//! What GPUs' video coders were found to do, kept: trying them takes a second and the driver's memory.
//! Who tries them is `media`; here is only what came of it.

use crate::error::{Error, Result, Stage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// Bytes of a cache that is read.
const MOST_BYTES: u64 = 1 << 20;

/// What came of one codec's sessions; what was not tried is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodecFact {
    /// The codec: `h264`, `hevc`, `av1`, `vp9`.
    pub codec: String,
    /// Whether there is such a decoder in this build, and why its session did not open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode: Option<Tried>,
    /// As `decode`, of the encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encode: Option<Tried>,
}

/// What came of opening a session: nothing wrong, or what is.
pub type Tried = std::result::Result<(), String>;

/// Facts about codecs by GPU and driver: another driver may do otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodecCache(BTreeMap<String, Vec<CodecFact>>);

impl CodecCache {
    /// The cache in `file`; an empty one if it is missing or not understood.
    pub fn read(file: &Path) -> Self {
        let short = std::fs::metadata(file).is_ok_and(|meta| meta.len() <= MOST_BYTES);
        let text = short.then(|| std::fs::read_to_string(file).ok()).flatten();
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// What is known of the GPU `id` with `driver`.
    pub fn get(&self, id: &str, driver: &str) -> Option<&[CodecFact]> {
        self.0.get(&key(id, driver)).map(Vec::as_slice)
    }

    /// Keeps `facts`, in place of what another driver did on the same GPU.
    pub fn put(&mut self, id: &str, driver: &str, facts: Vec<CodecFact>) {
        let of_gpu = format!("{id} ");
        self.0.retain(|known, _| !known.starts_with(&of_gpu));
        self.0.insert(key(id, driver), facts);
    }

    /// Writes the cache to `file`, whole or not at all; its folder is made if it is missing.
    ///
    /// # Errors
    /// I/O failures.
    pub fn write(&self, file: &Path) -> Result<()> {
        let failed = |e| Error::io(Stage::Write, file, e);
        let folder = file.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(".".as_ref());
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut temp = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        let text = serde_json::to_vec_pretty(self).map_err(|e| failed(e.into()))?;
        temp.write_all(&text).map_err(failed)?;
        temp.persist(file).map(|_| ()).map_err(|e| failed(e.error))
    }
}

fn key(id: &str, driver: &str) -> String {
    format!("{id} {driver}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_known_until_the_driver_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cache/codecs.json");
        assert_eq!(CodecCache::read(&file), CodecCache::default());
        let fact = CodecFact {
            codec: "h264".into(),
            decode: Some(Ok(())),
            encode: Some(Err("no NVENC".into())),
        };
        let mut cache = CodecCache::default();
        cache.put("GPU-1", "driver 550", vec![fact.clone()]);
        cache.put("GPU-12", "driver 550", Vec::new());
        cache.write(&file).unwrap();
        let mut read = CodecCache::read(&file);
        assert_eq!(read.get("GPU-1", "driver 550"), Some(&[fact][..]));
        assert_eq!(read.get("GPU-1", "driver 560"), None);
        read.put("GPU-1", "driver 560", Vec::new());
        assert_eq!(read.get("GPU-1", "driver 550"), None);
        assert!(read.get("GPU-12", "driver 550").is_some());
        std::fs::write(&file, "not JSON").unwrap();
        assert_eq!(CodecCache::read(&file), CodecCache::default());
    }
}
