//! The frozen part: written once, mapped, never changed.

use super::build::{self, Built};
use super::layout::{ALIGNMENT, HEADER, Layout, Place, Section, digest};
use super::map::Map;
use super::rows::{OwnedRows, Rows};
use super::space::Space;
use super::walk::{Graph, MAX_LEVELS};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::library::StagedFile;
use pulp::bytemuck;
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// From this many vectors on there is a graph; below, looking at all of them is about as fast, and
/// exact.
pub(super) const GRAPH_FROM: usize = 8192;

/// A mapped index.
pub(super) struct Frozen {
    map: Map,
    layout: Layout,
    path: PathBuf,
}

impl Frozen {
    /// Opens a frozen file: looks at its header and length, not at its content.
    ///
    /// # Errors
    /// I/O failures, and those of [`Layout::parse`]; [`ErrorKind::Model`] for another space's.
    pub fn open(path: &Path, space: &Space) -> Result<Self> {
        if cfg!(target_endian = "big") {
            return Err(Error::new(
                ErrorKind::Unsupported,
                Stage::Search,
                "vector indexes are for little-endian machines",
            ));
        }
        let failed = |e| Error::io(Stage::Search, path, e);
        let file = File::open(path).map_err(failed)?;
        let map = Map::of(&file).map_err(failed)?;
        let layout = Layout::parse(map.as_ref()).map_err(|e| e.input(path).hint("index again"))?;
        layout.space.expect(space).map_err(|e| e.input(path))?;
        Ok(Self { map, layout, path: path.to_path_buf() })
    }

    pub fn len(&self) -> usize {
        self.layout.count as usize
    }

    /// Compares all content with its checksums.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] where it differs.
    pub fn verify(&self) -> Result<()> {
        for section in Section::ALL {
            if digest(self.section(section)) != self.layout.place(section).digest {
                return Err(Error::new(
                    ErrorKind::Storage,
                    Stage::Search,
                    format!("the index is damaged in its {section:?}"),
                )
                .input(&self.path)
                .hint("index again"));
            }
        }
        Ok(())
    }

    pub fn rows(&self) -> Rows<'_> {
        Rows {
            dim: self.layout.space.dim(),
            ids: self.numbers(Section::Ids),
            scales: self.numbers(Section::Scales),
            bytes: self.numbers(Section::Bytes),
            floats: self.numbers(Section::Floats),
        }
    }

    /// The graph, where there is one.
    pub fn graph(&self) -> Option<Graph<'_>> {
        (self.layout.m > 0).then(|| Graph {
            m: self.layout.m,
            lowest: self.numbers(Section::Lowest),
            upper: self.numbers(Section::Upper),
            levels: self.layout.levels,
            strays: self.numbers(Section::Strays),
        })
    }

    /// The node of an item.
    pub fn node_of(&self, id: u64) -> Option<usize> {
        let ids: &[u64] = self.numbers(Section::Ids);
        let by_id: &[u32] = self.numbers(Section::ById);
        let id_of = |node: &u32| ids.get(*node as usize).copied();
        let place = by_id.binary_search_by(|node| id_of(node).cmp(&Some(id))).ok()?;
        by_id.get(place).map(|&node| node as usize)
    }

    fn section(&self, section: Section) -> &[u8] {
        let Place { offset, len, .. } = self.layout.place(section);
        let bytes = self.map.as_ref();
        bytes.get(offset as usize..(offset + len) as usize).unwrap_or_default()
    }

    fn numbers<T: bytemuck::AnyBitPattern>(&self, section: Section) -> &[T] {
        // The layout keeps sections aligned, and a map begins at a page.
        bytemuck::try_cast_slice(self.section(section)).unwrap_or_default()
    }
}

/// Writes all of `rows` as a frozen file, with a graph if there are `graph_from` of them; it appears
/// whole, or not at all.
///
/// # Errors
/// [`ErrorKind::Cancelled`]; I/O failures.
pub(super) fn write(
    path: &Path,
    space: &Space,
    rows: &OwnedRows,
    graph_from: usize,
    cancel: &Cancel,
) -> Result<()> {
    let rows = rows.view();
    let built = if rows.len() >= graph_from { Some(build::build(rows, cancel)?) } else { None };
    let m = if built.is_some() { build::M } else { 0 };
    let Built { order, levels, lowest, upper, strays } = built.unwrap_or_else(|| Built {
        order: (0..rows.len() as u32).collect(),
        levels: [0; MAX_LEVELS],
        lowest: Vec::new(),
        upper: Vec::new(),
        strays: Vec::new(),
    });
    let mut by_id: Vec<u32> = (0..order.len() as u32).collect();
    by_id.sort_by_key(|&node| rows.ids[order[node as usize] as usize]);

    let staged = StagedFile::new(path)?;
    let mut out = Sections::new(staged.handle()?, path)?;
    let places = [
        out.write(order.iter().map(|&row| &rows.ids[row as usize..=row as usize]))?,
        out.write([by_id.as_slice()].into_iter())?,
        out.write(order.iter().map(|&row| rows.scales[row as usize].as_slice()))?,
        out.write(order.iter().map(|&row| rows.bytes(row as usize)))?,
        out.write(order.iter().map(|&row| rows.floats(row as usize)))?,
        out.write([lowest.as_slice()].into_iter())?,
        out.write([upper.as_slice()].into_iter())?,
        out.write([strays.as_slice()].into_iter())?,
    ];
    let layout = Layout { space: space.clone(), m, count: rows.len() as u64, levels, places };
    out.finish(&layout)?;
    cancel.check(Stage::Search)?;
    staged.publish()
}

/// Writes sections one after the other, then the header before them.
struct Sections<'a> {
    out: BufWriter<File>,
    at: u64,
    path: &'a Path,
}

impl<'a> Sections<'a> {
    fn new(file: File, path: &'a Path) -> Result<Self> {
        let mut sections = Self { out: BufWriter::with_capacity(1 << 20, file), at: 0, path };
        sections.put(&[0; HEADER])?;
        Ok(sections)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|e| Error::io(Stage::Write, self.path, e))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn write<'b, T: bytemuck::NoUninit>(
        &mut self,
        parts: impl Iterator<Item = &'b [T]>,
    ) -> Result<Place> {
        let gap = self.at.next_multiple_of(ALIGNMENT) - self.at;
        self.put(&[0; ALIGNMENT as usize][..gap as usize])?;
        let offset = self.at;
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            let bytes: &[u8] = bytemuck::cast_slice(part);
            hasher.update(bytes);
            self.put(bytes)?;
        }
        let hash = hasher.finalize();
        let digest = std::array::from_fn(|i| hash.as_bytes()[i]);
        Ok(Place { offset, len: self.at - offset, digest })
    }

    fn finish(mut self, layout: &Layout) -> Result<()> {
        self.out
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.out.write_all(&layout.to_bytes()))
            .and_then(|()| self.out.flush())
            .map_err(|e| Error::io(Stage::Write, self.path, e))
    }
}
