//! The members of a zip archive as `torch.save` writes it: stored, not compressed.
//!
//! Read here and not through the `zip` crate because that takes memory for as many members as the
//! archive claims. A compressed member is refused: PyTorch writes none, and only those can grow.

use super::input::{Input, shown};
use crate::error::ModelsError;
use std::collections::HashMap;

/// One storage is one member; the largest models have some thousands.
const MOST_MEMBERS: u64 = 1 << 16;
const MOST_DIRECTORY: u64 = 16 << 20;
const END: [u8; 4] = *b"PK\x05\x06";
const END_64: [u8; 4] = *b"PK\x06\x06";
const LOCATOR_64: [u8; 4] = *b"PK\x06\x07";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const LOCAL: [u8; 4] = *b"PK\x03\x04";
const END_BYTES: u64 = 22;
const LOCATOR_BYTES: u64 = 20;
const LOCAL_BYTES: u64 = 30;

/// Bytes of a member in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) at: u64,
    pub(crate) bytes: u64,
    pub(crate) crc: u32,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// The members by name. Names are only ever compared, never used as paths.
pub(crate) fn members(input: &mut Input) -> Result<HashMap<String, Member>, ModelsError> {
    let (count, size, at) = directory(input)?;
    if count > MOST_MEMBERS {
        return Err(input.refuse(format!("it has {count} members, more than {MOST_MEMBERS}")));
    }
    input.seek(at)?;
    let directory = input.bytes(size, MOST_DIRECTORY, "the archive's directory")?;
    let mut rest = directory.as_slice();
    let mut all = HashMap::new();
    for _ in 0..count {
        let broken = || input.refuse("the archive's directory is broken");
        if rest.get(..4) != Some(&CENTRAL[..]) {
            return Err(broken());
        }
        let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(u16_at(rest, at)));
        let (head, behind) =
            rest.split_at_checked(46 + name + extra + comment).ok_or_else(broken)?;
        let (flags, method) = (u16_at(head, 8), u16_at(head, 10));
        let crc = u32_at(head, 16);
        let (packed, bytes, start) = wide(head, &head[46 + name..46 + name + extra]);
        let Ok(name) = std::str::from_utf8(&head[46..46 + name]) else {
            return Err(input.refuse("the name of a member is not text"));
        };
        rest = behind;
        if method != 0 || packed != bytes {
            let name = shown(name);
            return Err(input.refuse(format!("its member {name} is compressed; PyTorch stores")));
        }
        if flags & 1 != 0 {
            return Err(input.refuse(format!("its member {} is encrypted", shown(name))));
        }
        if all.insert(name.to_string(), Member { at: start, bytes, crc }).is_some() {
            return Err(input.refuse(format!("two of its members are named {}", shown(name))));
        }
    }
    for (name, member) in &mut all {
        input.seek(member.at)?;
        let head: [u8; LOCAL_BYTES as usize] = input.array("the header of a member")?;
        if head[..4] != LOCAL {
            return Err(input.refuse(format!("its member {} is not there", shown(name))));
        }
        let skip = u64::from(u16_at(&head, 26)) + u64::from(u16_at(&head, 28));
        input.skip(skip, "the header of a member")?;
        member.at = input.at();
        input.skip(member.bytes, "a member")?;
    }
    Ok(all)
}

/// Packed size, size and place of a member, from its entry or the 64-bit field behind.
fn wide(head: &[u8], mut extra: &[u8]) -> (u64, u64, u64) {
    let mut values = [u32_at(head, 24), u32_at(head, 20), u32_at(head, 42)].map(u64::from);
    while extra.len() >= 4 {
        let size = usize::from(u16_at(extra, 2)).min(extra.len() - 4);
        let field = &extra[4..4 + size];
        if u16_at(extra, 0) == 1 {
            let mut at = 0;
            for value in &mut values {
                if *value == u64::from(u32::MAX) && at + 8 <= field.len() {
                    *value = u64_at(field, at);
                    at += 8;
                }
            }
        }
        extra = &extra[4 + size..];
    }
    (values[1], values[0], values[2])
}

/// How many members there are, and size and place of their directory.
fn directory(input: &mut Input) -> Result<(u64, u64, u64), ModelsError> {
    // The end record is last, but for a comment of at most 64 KiB.
    let tail = input.len().min(END_BYTES + (1 << 16));
    let from = input.len() - tail;
    input.seek(from)?;
    let bytes = input.bytes(tail, tail, "the end of the archive")?;
    let Some(at) = bytes.windows(END_BYTES as usize).rposition(|w| w[..4] == END) else {
        return Err(input.refuse("it is not a whole zip archive"));
    };
    let end = &bytes[at..];
    let plain = (u16_at(end, 10).into(), u32_at(end, 12).into(), u32_at(end, 16).into());
    let end_at = from + at as u64;
    if end_at < LOCATOR_BYTES {
        return Ok(plain);
    }
    input.seek(end_at - LOCATOR_BYTES)?;
    let locator: [u8; LOCATOR_BYTES as usize] = input.array("the end of the archive")?;
    if locator[..4] != LOCATOR_64 {
        return Ok(plain);
    }
    input.seek(u64_at(&locator, 8))?;
    let end: [u8; 56] = input.array("the end of the archive")?;
    if end[..4] != END_64 {
        return Err(input.refuse("it is not a whole zip archive"));
    }
    Ok((u64_at(&end, 32), u64_at(&end, 40), u64_at(&end, 48)))
}
