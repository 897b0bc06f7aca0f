//! How a frozen file is laid out.
//!
//! A header of 1024 bytes, closed by its own BLAKE3; then the sections, each beginning at a multiple
//! of 64 bytes. All numbers are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `RUSHVEC1` |
//! | 8..12, 12..16 | components, neighbours per node (0: no graph) |
//! | 16..24 | nodes |
//! | 24..88 | nodes on each layer above the lowest |
//! | 88..92 | length of the model's name |
//! | 96..384 | sections: offset, length, first 16 bytes of BLAKE3, in the order of [`Section`] |
//! | 512..768 | the model's name |
//! | 992..1024 | BLAKE3 of what comes before |

use super::rows;
use super::space::{MAX_MODEL, Space};
use super::walk::MAX_LEVELS;
use crate::error::{Error, ErrorKind, Result, Stage};

pub(super) const HEADER: usize = 1024;
pub(super) const ALIGNMENT: u64 = 64;
const MAGIC: &[u8; 8] = b"RUSHVEC1";
const SECTIONS_AT: usize = 96;
const ENTRY: usize = 32;
const MODEL_AT: usize = 512;
const SEAL_AT: usize = HEADER - 32;

/// The parts of a frozen file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// Item numbers by node, u64.
    Ids,
    /// Nodes by item number, ascending, u32.
    ById,
    /// Scale and doubt by node, 2 × f32.
    Scales,
    /// 8-bit rows by node.
    Bytes,
    /// Rows by node, f32.
    Floats,
    /// Neighbours on the lowest layer, u32.
    Lowest,
    /// Neighbours on the layers above, u32.
    Upper,
    /// Nodes that no walk reaches, u32.
    Strays,
}

impl Section {
    pub const ALL: [Self; 8] = [
        Self::Ids,
        Self::ById,
        Self::Scales,
        Self::Bytes,
        Self::Floats,
        Self::Lowest,
        Self::Upper,
        Self::Strays,
    ];
}

/// Where a section lies, and what it should contain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub offset: u64,
    pub len: u64,
    pub digest: [u8; 16],
}

/// The first 16 bytes of the BLAKE3 of `bytes`.
pub(super) fn digest(bytes: &[u8]) -> [u8; 16] {
    let hash = blake3::hash(bytes);
    std::array::from_fn(|i| hash.as_bytes()[i])
}

/// What a header says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    pub space: Space,
    pub m: usize,
    pub count: u64,
    pub levels: [u32; MAX_LEVELS],
    pub places: [Place; Section::ALL.len()],
}

impl Layout {
    pub fn place(&self, section: Section) -> Place {
        self.places[section as usize]
    }

    /// The header's bytes.
    pub fn to_bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0u8; HEADER];
        let mut put = |at: usize, what: &[u8]| bytes[at..at + what.len()].copy_from_slice(what);
        put(0, MAGIC);
        put(8, &(self.space.dim() as u32).to_le_bytes());
        put(12, &(self.m as u32).to_le_bytes());
        put(16, &self.count.to_le_bytes());
        for (i, nodes) in self.levels.iter().enumerate() {
            put(24 + 4 * i, &nodes.to_le_bytes());
        }
        let model = self.space.model().as_bytes();
        put(88, &(model.len() as u32).to_le_bytes());
        for (i, place) in self.places.iter().enumerate() {
            put(SECTIONS_AT + ENTRY * i, &place.offset.to_le_bytes());
            put(SECTIONS_AT + ENTRY * i + 8, &place.len.to_le_bytes());
            put(SECTIONS_AT + ENTRY * i + 16, &place.digest);
        }
        put(MODEL_AT, model);
        let seal = blake3::hash(&bytes[..SEAL_AT]);
        bytes[SEAL_AT..].copy_from_slice(seal.as_bytes());
        bytes
    }

    /// Reads the header of a file of `bytes` and checks everything in it against the file's length.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] for a file that is no frozen index, cut short, or damaged in its
    /// header; [`ErrorKind::Unsupported`] for one of another version.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let damaged = |what: &'static str| Error::new(ErrorKind::Storage, Stage::Search, what);
        let Some(header) = bytes.first_chunk::<HEADER>() else {
            return Err(damaged("the index is cut short"));
        };
        if header[..7] != MAGIC[..7] {
            return Err(damaged("is no vector index"));
        }
        if header[7] != MAGIC[7] {
            return Err(Error::new(
                ErrorKind::Unsupported,
                Stage::Search,
                "is a vector index of another version",
            ));
        }
        if blake3::hash(&header[..SEAL_AT]).as_bytes()[..] != header[SEAL_AT..] {
            return Err(damaged("the index's header is damaged"));
        }
        let count = u64_at(header, 16);
        let model_len = u32_at(header, 88) as usize;
        let model = std::str::from_utf8(&header[MODEL_AT..MODEL_AT + model_len.min(MAX_MODEL)])
            .map_err(|_| damaged("the index names no model"))?;
        let layout = Self {
            space: Space::new(model, u32_at(header, 8) as usize)?,
            m: u32_at(header, 12) as usize,
            count,
            levels: std::array::from_fn(|i| u32_at(header, 24 + 4 * i)),
            places: std::array::from_fn(|i| Place {
                offset: u64_at(header, SECTIONS_AT + ENTRY * i),
                len: u64_at(header, SECTIONS_AT + ENTRY * i + 8),
                digest: std::array::from_fn(|j| header[SECTIONS_AT + ENTRY * i + 16 + j]),
            }),
        };
        if layout.m > 256 || count >= u64::from(u32::MAX) || !layout.fits(bytes.len() as u64) {
            return Err(damaged("the index's parts do not fit together"));
        }
        Ok(layout)
    }

    /// Whether every section lies within the file, is aligned, and is as long as the counts say.
    fn fits(&self, file: u64) -> bool {
        Section::ALL.iter().all(|&section| {
            let Place { offset, len, .. } = self.place(section);
            let inside = offset.checked_add(len).is_some_and(|end| end <= file);
            inside
                && offset.is_multiple_of(ALIGNMENT)
                && self.expected(section).is_none_or(|e| e == len)
        }) && self.place(Section::Strays).len.is_multiple_of(4)
    }

    /// The length that a section must have.
    fn expected(&self, section: Section) -> Option<u64> {
        // None of these products overflows: `count` and each of `levels` have 32 bits, the rest less.
        let dim = self.space.dim();
        let graph = if self.m > 0 { self.count } else { 0 };
        Some(match section {
            Section::Ids | Section::Scales => self.count * 8,
            Section::ById => self.count * 4,
            Section::Bytes => self.count * rows::stride(dim) as u64,
            Section::Floats => self.count * dim as u64 * 4,
            Section::Lowest => graph * 2 * self.m as u64 * 4,
            Section::Upper => {
                self.levels.iter().map(|&n| u64::from(n)).sum::<u64>() * self.m as u64 * 4
            }
            Section::Strays => return None,
        })
    }
}

fn u32_at(bytes: &[u8; HEADER], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u64_at(bytes: &[u8; HEADER], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}
