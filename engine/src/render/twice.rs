//! Two passes over segments that are encoded apart. The first encodes each at one quality and writes
//! down what every picture took (x264's statistics). The bits of the whole are then divided between the
//! segments by what they took, and inside each by x264's own second pass. So a quiet segment leaves
//! its bits to a busy one, and the same edit still gives the same bytes whatever the number of jobs.

use super::parts::{Footer, Store};
use super::plan::{How, Plan};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::media::{FilmEncoder, FilmEncoding, FilmPacket, Pass, Quality};
use std::path::Path;
use tempfile::TempDir;

/// The quality at which segments are compared.
const COMPARED_AT: f64 = 23.0;

/// The least bits a second that a segment is given: x264 makes nothing of less.
const LEAST: f64 = 20_000.0;

/// What a segment is given.
#[derive(Clone, Debug)]
pub(super) struct Share {
    /// Bits a second.
    rate: u32,
    /// The part that holds what the first pass wrote.
    first: String,
}

/// The key of what the first pass over a segment found, by the segment's own.
pub(super) fn first_key(key: &str) -> String {
    format!("{key}-first")
}

const NAME: &str = "stats";
const TREE: &str = "stats.mbtree";

fn folder(store: &Store) -> Result<(TempDir, std::path::PathBuf)> {
    let folder = store.folder()?;
    let stats = folder.path().join(NAME);
    if stats.to_str().is_none() {
        let what = "two passes need a folder whose name is Unicode";
        return Err(Error::new(ErrorKind::Input, Stage::Encode, what).input(folder.path()));
    }
    Ok((folder, stats))
}

/// What pushes pictures into an encoder and hands its packets on.
pub(super) type Give<'a> =
    dyn FnMut(&mut FilmEncoder, &mut dyn FnMut(FilmPacket) -> Result<()>) -> Result<()> + 'a;

/// The first pass over a segment, whose pictures `give` pushes into an encoder: what it found becomes
/// a part of the key `part`. Its first packet's time is the bits that it took.
pub(super) fn look(
    film: &FilmEncoding,
    store: &Store,
    part: &str,
    give: &mut Give<'_>,
) -> Result<()> {
    let (folder, stats) = folder(store)?;
    let film = FilmEncoding {
        quality: Quality::Crf(COMPARED_AT),
        limit: None,
        pass: Some(Pass::First(stats.clone())),
        ..film.clone()
    };
    let mut encoder = FilmEncoder::open(&film)?;
    let mut bits = 0;
    let mut take = |packet: FilmPacket| {
        bits += packet.data.len() as i64 * 8;
        Ok(())
    };
    give(&mut encoder, &mut take)?;
    // x264 writes its statistics out when it is closed.
    encoder.finish(&mut take)?;
    let read = |path: &Path| std::fs::read(path).map_err(|e| Error::io(Stage::Encode, path, e));
    let mut writer = store.write(part)?;
    writer.packet(bits, 0, true, &read(&stats)?)?;
    let tree = folder.path().join(TREE);
    if tree.is_file() {
        writer.packet(0, 0, true, &read(&tree)?)?;
    }
    writer.finish(Footer::default()).map(drop)
}

/// Divides the bits of a plan between its segments, whose keys change by what they are given.
pub(super) fn divide(plan: &mut Plan, store: &Store) -> Result<()> {
    let Quality::Bitrate(mean) = plan.target.film.quality else { return Ok(()) };
    let (rate, per) = plan.target.film.rate;
    let missing = || Error::new(ErrorKind::Internal, Stage::Encode, "a first pass is missing");
    // Frames and bits of each segment that is encoded, in order.
    let mut took = Vec::new();
    for segment in &plan.segments {
        let How::Encoded { key, .. } = &segment.how else { continue };
        let part = store.find(&first_key(key)).ok_or_else(missing)?;
        let bits = part.packets()?.next()?.ok_or_else(missing)?.pts;
        took.push((segment.end - segment.start, bits.max(1)));
    }
    let (frames, bits) = took.iter().fold((0, 0), |(f, b), (frames, bits)| (f + frames, b + bits));
    let mut took = took.into_iter();
    for segment in &mut plan.segments {
        let How::Encoded { key, .. } = &mut segment.how else { continue };
        let Some((own_frames, own_bits)) = took.next() else { break };
        let share = own_bits as f64 / bits as f64 * frames as f64 / own_frames.max(1) as f64;
        let given = (f64::from(mean) * share).clamp(LEAST, f64::from(u32::MAX)).round() as u32;
        let first = first_key(key);
        let own = format!("{key} {given} {rate}/{per}");
        *key = blake3::hash(own.as_bytes()).to_hex().to_string();
        plan.shares.insert(key.clone(), Share { rate: given, first });
    }
    Ok(())
}

/// How a segment with this share is encoded, and the folder of its statistics, which is gone when it
/// is dropped.
pub(super) fn settle(
    film: &FilmEncoding,
    share: Option<&Share>,
    store: &Store,
) -> Result<(FilmEncoding, Option<TempDir>)> {
    let Some(Share { rate, first }) = share else { return Ok((film.clone(), None)) };
    let missing = || Error::new(ErrorKind::Internal, Stage::Encode, "a first pass is missing");
    let (folder, stats) = folder(store)?;
    let mut packets = store.find(first).ok_or_else(missing)?.packets()?;
    for path in [stats.clone(), folder.path().join(TREE)] {
        if let Some(packet) = packets.next()? {
            std::fs::write(&path, packet.data).map_err(|e| Error::io(Stage::Encode, &path, e))?;
        }
    }
    let film = FilmEncoding {
        quality: Quality::Bitrate(*rate),
        pass: Some(Pass::Second(stats)),
        ..film.clone()
    };
    Ok((film, Some(folder)))
}
