//! Edit lists of MP4/MOV files. libav applies them but does not show them, so they are read here
//! from the boxes (ISO/IEC 14496-12: `moov/trak/tkhd`, `edts/elst`, `mdia/mdhd`).

use super::info::Edit;
use crate::time::{TimeBase, Timestamp};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Boxes looked at before giving up, and bytes of `moov` read at most: enough for any real file.
const MAX_BOXES: u32 = 100_000;
const MAX_MOOV: u64 = 256 << 20;
const MAX_EDITS: usize = 10_000;

/// Edit lists by track id. Empty when the file is no MP4 or cannot be read: probing goes on.
pub(super) fn read(path: &Path) -> BTreeMap<i64, Vec<Edit>> {
    moov(path).map(|moov| parse(&moov)).unwrap_or_default()
}

/// Finds and reads the payload of the top-level `moov` box.
fn moov(path: &Path) -> Option<Vec<u8>> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut at = 0u64;
    for _ in 0..MAX_BOXES {
        file.seek(SeekFrom::Start(at)).ok()?;
        let mut head = [0u8; 16];
        file.read_exact(&mut head[..8]).ok()?;
        let short = u64::from(u32_at(&head, 0)?);
        let (header, size) = match short {
            0 => (8, length - at),
            1 => {
                file.read_exact(&mut head[8..]).ok()?;
                (16, u64_at(&head, 8)?)
            }
            size => (8, size),
        };
        if size < header || at.checked_add(size)? > length {
            return None;
        }
        if &head[4..8] == b"moov" {
            let payload = size - header;
            if payload > MAX_MOOV {
                return None;
            }
            let mut bytes = Vec::new();
            file.take(payload).read_to_end(&mut bytes).ok()?;
            return Some(bytes);
        }
        at += size;
    }
    None
}

fn parse(moov: &[u8]) -> BTreeMap<i64, Vec<Edit>> {
    let movie = child(moov, b"mvhd").and_then(timescale);
    let mut lists = BTreeMap::new();
    for track in boxes(moov).filter(|(name, _)| name == b"trak").map(|(_, body)| body) {
        let id = child(track, b"tkhd").and_then(|tkhd| match tkhd.first()? {
            1 => u32_at(tkhd, 20),
            _ => u32_at(tkhd, 12),
        });
        let media = child(track, b"mdia").and_then(|m| child(m, b"mdhd")).and_then(timescale);
        let elst = child(track, b"edts").and_then(|e| child(e, b"elst"));
        if let (Some(id), Some(movie), Some(media), Some(elst)) = (id, movie, media, elst) {
            lists.insert(i64::from(id), edits(elst, movie, media));
        }
    }
    lists
}

fn edits(elst: &[u8], movie: TimeBase, media: TimeBase) -> Vec<Edit> {
    let wide = elst.first() == Some(&1);
    let count = u32_at(elst, 4).unwrap_or(0) as usize;
    let size = if wide { 20 } else { 12 };
    elst.get(8..)
        .unwrap_or_default()
        .chunks_exact(size)
        .take(count.min(MAX_EDITS))
        .filter_map(|entry| {
            let (duration, start, rate) = if wide {
                (u64_at(entry, 0)?, u64_at(entry, 8)?.cast_signed(), u32_at(entry, 16)?)
            } else {
                (
                    u32_at(entry, 0)?.into(),
                    u32_at(entry, 4)?.cast_signed().into(),
                    u32_at(entry, 8)?,
                )
            };
            Some(Edit {
                duration: Timestamp::new(i64::try_from(duration).unwrap_or(i64::MAX), movie),
                media_start: (start >= 0).then(|| Timestamp::new(start, media)),
                rate: rate.cast_signed(),
            })
        })
        .collect()
}

/// The time base in `mvhd` or `mdhd`, which share their first fields.
fn timescale(header: &[u8]) -> Option<TimeBase> {
    let scale = match header.first()? {
        1 => u32_at(header, 20)?,
        _ => u32_at(header, 12)?,
    };
    TimeBase::new(1, i32::try_from(scale).ok()?)
}

/// The direct children of a box's payload; stops at the first malformed one.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut left = MAX_BOXES;
    std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        let size = u32_at(bytes, 0)? as usize;
        let name: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
        let body = bytes.get(8..size)?;
        bytes = &bytes[size..];
        Some((name, body))
    })
}

fn child<'a>(bytes: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes).find(|(found, _)| found == name).map(|(_, body)| body)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn atom(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap();
        [&size.to_be_bytes(), name.as_slice(), body].concat()
    }

    fn track(id: u32, elst: &[u8]) -> Vec<u8> {
        let tkhd = [&[0; 12], id.to_be_bytes().as_slice()].concat();
        let mdhd = [&[0; 12], 48_000u32.to_be_bytes().as_slice()].concat();
        atom(
            b"trak",
            &[
                atom(b"tkhd", &tkhd),
                atom(b"edts", &atom(b"elst", elst)),
                atom(b"mdia", &atom(b"mdhd", &mdhd)),
            ]
            .concat(),
        )
    }

    #[test]
    fn empty_edit_and_preroll() {
        let mut elst = vec![0, 0, 0, 0, 0, 0, 0, 2];
        for (duration, start) in [(500u32, -1i32), (1000, 2048)] {
            elst.extend(duration.to_be_bytes());
            elst.extend(start.to_be_bytes());
            elst.extend(65536u32.to_be_bytes());
        }
        let mvhd = [&[0; 12], 1000u32.to_be_bytes().as_slice()].concat();
        let lists = parse(&[atom(b"mvhd", &mvhd), track(7, &elst)].concat());
        let edits = &lists[&7];
        assert_eq!(edits[0].duration, Timestamp::from_millis(500));
        assert_eq!(edits[0].media_start, None);
        assert_eq!(edits[1].media_start, Some(Timestamp::new(2048, TimeBase::per_second(48_000))));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
            let _ = edits(&bytes, TimeBase::MICROS, TimeBase::MICROS);
        }
    }
}
