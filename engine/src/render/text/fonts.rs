//! The fonts that may be used: those given, and a default that is part of the program.

use super::shelf::FontShelf;
use crate::error::{Error, ErrorKind, Result, Stage};
use cosmic_text::{Fallback, FontSystem, fontdb};
use std::path::Path;

/// Fonts in memory. Knows nothing of the system's.
pub struct FontSet {
    pub(super) system: FontSystem,
    pub(super) scaler: swash::scale::ScaleContext,
    pub(super) shelf: FontShelf,
    /// Numbers of the families that were taken from the shelf, in that order.
    pub(super) taken: Vec<usize>,
}

/// Fonts are asked in the order in which they were added: no list of names that a machine may have.
struct AsAdded;

impl Fallback for AsAdded {
    fn common_fallback(&self) -> &[&'static str] {
        &[DEFAULT_FAMILY]
    }

    fn forbidden_fallback(&self) -> &[&'static str] {
        &[]
    }

    fn script_fallback(&self, _: unicode_script::Script, _: &str) -> &[&'static str] {
        &[]
    }
}

/// The family that is always there.
pub(super) const DEFAULT_FAMILY: &str = "DejaVu Sans";

impl FontSet {
    /// DejaVu Sans, regular and bold: Latin, Greek, Cyrillic, Hebrew, Arabic, Armenian, Georgian, and
    /// signs. Further scripts and emoji come by [`FontSet::add`].
    pub fn new() -> Self {
        let mut db = fontdb::Database::new();
        db.load_font_data(dejavu::sans::regular().to_vec());
        db.load_font_data(dejavu::sans::bold().to_vec());
        db.set_sans_serif_family(DEFAULT_FAMILY);
        db.set_serif_family(DEFAULT_FAMILY);
        db.set_monospace_family(DEFAULT_FAMILY);
        // The locale only orders fallbacks; taken from the machine it would make results differ.
        let system = FontSystem::new_with_locale_and_db_and_fallback("en".into(), db, AsAdded);
        Self {
            system,
            scaler: swash::scale::ScaleContext::new(),
            shelf: FontShelf::default(),
            taken: Vec::new(),
        }
    }

    /// Whether a face of `family` has a glyph for `c`.
    pub(super) fn has(&mut self, family: &str, c: char) -> bool {
        let ids: Vec<_> = self
            .system
            .db()
            .faces()
            .filter(|f| f.families.iter().any(|(own, _)| own.eq_ignore_ascii_case(family)))
            .map(|f| (f.id, f.weight))
            .collect();
        ids.into_iter().any(|(id, weight)| {
            let font = self.system.get_font(id, weight);
            font.is_some_and(|font| font.as_swash().charmap().map(c) != 0)
        })
    }

    /// The weight of `family` that is nearest to the one wanted: only faces of the exact weight are
    /// found by the family's name.
    pub(super) fn nearest_weight(&self, family: &str, wanted: u16) -> u16 {
        let of = self
            .system
            .db()
            .faces()
            .filter(|f| f.families.iter().any(|(own, _)| own.eq_ignore_ascii_case(family)));
        // The heavier one of two that are as near.
        of.map(|f| f.weight.0).min_by_key(|w| (w.abs_diff(wanted), u16::MAX - w)).unwrap_or(wanted)
    }

    /// Adds the fonts of a TrueType or OpenType file and says their families.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if there is none in it.
    pub fn add(&mut self, data: Vec<u8>) -> Result<Vec<String>> {
        let db = self.system.db_mut();
        let source = fontdb::Source::Binary(std::sync::Arc::new(data));
        let ids = db.load_font_source(source);
        let families: Vec<String> = ids
            .iter()
            .filter_map(|id| db.face(*id))
            .filter_map(|face| face.families.first().map(|(name, _)| name.clone()))
            .collect();
        if families.is_empty() {
            let what = "there is no font in this file";
            return Err(Error::new(ErrorKind::Input, Stage::Render, what)
                .hint("give a .ttf, .otf or .ttc file"));
        }
        Ok(families)
    }

    /// Adds the fonts of a file.
    ///
    /// # Errors
    /// As [`FontSet::add`], and where the file cannot be read or is larger than 64 MiB.
    pub fn add_file(&mut self, path: &Path) -> Result<Vec<String>> {
        use std::io::Read;
        const MOST: u64 = 64 << 20;
        let failed = |e| Error::io(Stage::Render, path, e);
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut data = Vec::new();
        let read = file.take(MOST + 1).read_to_end(&mut data).map_err(failed)?;
        if read as u64 > MOST {
            let what = "a font of more than 64 MiB";
            return Err(Error::new(ErrorKind::Limit, Stage::Render, what).input(path));
        }
        self.add(data).map_err(|e| e.input(path))
    }

    /// Every family, in order.
    pub fn families(&self) -> Vec<String> {
        let faces = self.system.db().faces();
        let mut all: Vec<String> =
            faces.filter_map(|f| f.families.first().map(|(name, _)| name.clone())).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Whether a family of this name is there.
    pub fn has_family(&self, name: &str) -> bool {
        let mut faces = self.system.db().faces();
        faces.any(|f| f.families.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)))
    }
}

impl Default for FontSet {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for FontSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FontSet").field("families", &self.families()).finish()
    }
}
