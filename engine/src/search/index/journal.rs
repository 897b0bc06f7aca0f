//! What was added and removed since the last freeze: batches, appended and synced one by one.
//!
//! The file begins with 64 bytes (`RUSHJRN1`, components u32, 4 zeros, digest of the model's name, digest
//! of these 32 bytes, zeros). A batch is a head of 48 bytes (kind u32, items u32, length of its body
//! u64, digest of its body, digest of these 32 bytes) and a body: item numbers u64, and for an
//! addition the vectors, f32. All little-endian; a digest is the first 16 bytes of BLAKE3.
//!
//! A batch is begun only after the one before was synced. So what a crash leaves behind is at most
//! one torn batch at the end, which nobody was told is safe: it is left out. Damage anywhere else
//! is an error.

use super::layout::digest;
use super::space::Space;
use crate::error::{Error, ErrorKind, Result, Stage};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

const MAGIC: &[u8; 8] = b"RUSHJRN1";
pub(super) const START: u64 = 64;
const HEAD: usize = 48;
/// The longest body of a batch; larger additions are cut into several.
pub(super) const MAX_BODY: usize = 64 << 20;

const ADDED: u32 = 1;
const REMOVED: u32 = 2;

/// One batch.
pub(super) enum Batch {
    /// Items, and their vectors one after the other.
    Added(Vec<u64>, Vec<f32>),
    Removed(Vec<u64>),
}

/// The first bytes of a journal.
pub(super) fn preamble(space: &Space) -> [u8; START as usize] {
    let mut bytes = [0u8; START as usize];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&(space.dim() as u32).to_le_bytes());
    bytes[16..32].copy_from_slice(&digest(space.model().as_bytes()));
    let seal = digest(&bytes[..32]);
    bytes[32..48].copy_from_slice(&seal);
    bytes
}

/// A batch's bytes. `vectors` is empty for a removal.
pub(super) fn encode(ids: &[u64], vectors: &[&[f32]]) -> Vec<u8> {
    let kind = if vectors.is_empty() { REMOVED } else { ADDED };
    let mut body: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    for vector in vectors {
        body.extend(vector.iter().flat_map(|x| x.to_le_bytes()));
    }
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    bytes.extend(kind.to_le_bytes());
    bytes.extend((ids.len() as u32).to_le_bytes());
    bytes.extend((body.len() as u64).to_le_bytes());
    bytes.extend(digest(&body));
    bytes.extend(digest(&bytes));
    bytes.extend(body);
    bytes
}

/// Checks the journal's first bytes.
///
/// # Errors
/// [`ErrorKind::Storage`] if they are damaged, [`ErrorKind::Model`] for another space's.
pub(super) fn check_preamble(file: &File, path: &Path, space: &Space) -> Result<()> {
    let mut bytes = [0u8; START as usize];
    file.read_exact_at(&mut bytes, 0).map_err(|e| Error::io(Stage::Search, path, e))?;
    if bytes[..8] != MAGIC[..] || digest(&bytes[..32])[..] != bytes[32..48] {
        return Err(damaged(path));
    }
    if bytes != preamble(space) {
        let message = "holds additions by another model";
        return Err(Error::new(ErrorKind::Model, Stage::Search, message).input(path));
    }
    Ok(())
}

fn damaged(path: &Path) -> Error {
    Error::new(ErrorKind::Storage, Stage::Search, "the journal of the index is damaged")
        .input(path)
        .hint("index again")
}

/// Reads batches from `from` on and gives back where the last whole one ends.
///
/// # Errors
/// [`ErrorKind::Storage`] for damage before the last batch; I/O failures.
pub(super) fn read(
    file: &File,
    path: &Path,
    dim: usize,
    from: u64,
    mut each: impl FnMut(Batch),
) -> Result<u64> {
    let failed = |e| Error::io(Stage::Search, path, e);
    let end = file.metadata().map_err(failed)?.len();
    let mut at = from;
    loop {
        let left = end.saturating_sub(at);
        if left < HEAD as u64 {
            return Ok(at);
        }
        let mut head = [0u8; HEAD];
        file.read_exact_at(&mut head, at).map_err(failed)?;
        if digest(&head[..32])[..] != head[32..] {
            // After a power cut the end of a file may be zeros, from where a block begins.
            let block = at.next_multiple_of(4096);
            let from = if block < at + HEAD as u64 { block } else { at };
            let torn = rest_is_zero(file, from, end).map_err(failed)?;
            return if torn { Ok(at) } else { Err(damaged(path)) };
        }
        let word = |i: usize| u32::from_le_bytes(std::array::from_fn(|j| head[i + j]));
        let (kind, count) = (word(0), word(4) as usize);
        let len = u64::from(word(8)) | u64::from(word(12)) << 32;
        let expected = match kind {
            ADDED => count as u64 * (8 + 4 * dim as u64),
            REMOVED => count as u64 * 8,
            _ => return Err(damaged(path)),
        };
        if len != expected || len > MAX_BODY as u64 {
            return Err(damaged(path));
        }
        if len > left - HEAD as u64 {
            return Ok(at);
        }
        let mut body = vec![0u8; len as usize];
        file.read_exact_at(&mut body, at + HEAD as u64).map_err(failed)?;
        let after = at + HEAD as u64 + len;
        if digest(&body)[..] != head[16..32] {
            return if after == end { Ok(at) } else { Err(damaged(path)) };
        }
        each(decode(kind, count, &body).ok_or_else(|| damaged(path))?);
        at = after;
    }
}

fn decode(kind: u32, count: usize, body: &[u8]) -> Option<Batch> {
    let (ids, vectors) = body.split_at_checked(count * 8)?;
    let ids = ids.as_chunks::<8>().0.iter().map(|&id| u64::from_le_bytes(id)).collect();
    if kind == REMOVED {
        return Some(Batch::Removed(ids));
    }
    let vectors: Vec<f32> =
        vectors.as_chunks::<4>().0.iter().map(|&x| f32::from_le_bytes(x)).collect();
    vectors.iter().all(|x| x.is_finite()).then_some(Batch::Added(ids, vectors))
}

fn rest_is_zero(file: &File, mut at: u64, end: u64) -> std::io::Result<bool> {
    let mut block = [0u8; 4096];
    while at < end {
        let part = &mut block[..(end - at).min(4096) as usize];
        file.read_exact_at(part, at)?;
        if part.iter().any(|&b| b != 0) {
            return Ok(false);
        }
        at += part.len() as u64;
    }
    Ok(true)
}
