//! What faces say of themselves that styled text needs: how high their cells are, and where lines under
//! and through letters lie.

use crate::error::Result;
use crate::render::text::fonts::{DEFAULT_FAMILY, FontSet};
use cosmic_text::fontdb;
use swash::tag_from_bytes;

/// Of a face, in ems.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Face {
    /// From the baseline up and down to the cell's edges, as GDI and libass count them.
    pub ascent: f64,
    pub descent: f64,
    /// The same as the face's own line metrics.
    pub line_ascent: f64,
    pub line_descent: f64,
    /// Middle of a line below the baseline (downward) and its thickness.
    pub underline: (f64, f64),
    pub strike: (f64, f64),
    /// Whether the face is made to be bold.
    pub bold: bool,
}

/// Reads a face.
pub(super) fn face(fonts: &mut FontSet, id: fontdb::ID, weight: fontdb::Weight) -> Option<Face> {
    let bold = fonts.system.db().face(id).is_some_and(|face| face.weight.0 >= 550);
    let font = fonts.system.get_font(id, weight)?;
    let font = font.as_swash();
    let metrics = font.metrics(&[]);
    let em = f64::from(metrics.units_per_em.max(1));
    let of = |value: f32| f64::from(value) / em;
    let word = |table: &[u8], at: usize| -> Option<f64> {
        let bytes = table.get(at..at + 2)?;
        Some(f64::from(i16::from_be_bytes([bytes[0], bytes[1]])) / em)
    };
    let (line_ascent, line_descent) = (of(metrics.ascent), of(metrics.descent));
    // usWinAscent and usWinDescent; libass reads them as signed as well.
    let windows = font.table(tag_from_bytes(b"OS/2")).and_then(|table| {
        let (up, down) = (word(table, 74)?, word(table, 76)?);
        (up + down > 0.0).then_some((up, down))
    });
    let (ascent, descent) = windows.unwrap_or((line_ascent, line_descent));
    let strike = font
        .table(tag_from_bytes(b"OS/2"))
        .and_then(|table| Some((-word(table, 28)?, word(table, 26)?)));
    Some(Face {
        ascent,
        descent,
        line_ascent,
        line_descent,
        underline: (-of(metrics.underline_offset), of(metrics.stroke_size)),
        strike: strike.unwrap_or((-of(metrics.strikeout_offset), of(metrics.stroke_size))),
        bold,
    })
}

/// The family to take for one that a file names: its own where it is there or on the shelf, else the
/// one that always is.
///
/// # Errors
/// Where fonts of the shelf cannot be read.
pub(super) fn family(fonts: &mut FontSet, wanted: &str) -> Result<String> {
    fonts.fetch_named(wanted)?;
    if fonts.has_family(wanted) {
        return Ok(wanted.to_owned());
    }
    // Some name a face and not its family: "Aileron Bold", "Aileron-Bold".
    let db = fonts.system.db();
    let named = db.faces().find(|face| face.post_script_name.eq_ignore_ascii_case(wanted));
    let found = named.and_then(|face| face.families.first().map(|(name, _)| name.clone()));
    Ok(found.unwrap_or_else(|| DEFAULT_FAMILY.to_owned()))
}
