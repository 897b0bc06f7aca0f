//! Times, spans and vectors as the catalogue stores them, exactly.

use crate::time::{Span, TimeBase, Timestamp};
use rusqlite::Row;
use rusqlite::types::Type;

/// A time base as one number: numerator in the upper 32 bits, denominator in the lower.
fn pack(base: TimeBase) -> i64 {
    ((u64::from(base.num()) << 32) | u64::from(base.den())) as i64
}

/// The columns `ticks` and `base` of a time.
pub(super) fn columns(time: Timestamp) -> (i64, i64) {
    (time.ticks(), pack(time.base()))
}

fn unpack(ticks: i64, base: i64) -> Option<Timestamp> {
    let base = base as u64;
    let (num, den) = ((base >> 32) as u32, base as u32);
    Some(Timestamp::new(ticks, TimeBase::from_parts(num, den)?))
}

fn wrong(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, what.into())
}

/// The time in the columns `at` and `at + 1`.
pub(super) fn time(row: &Row<'_>, at: usize) -> rusqlite::Result<Timestamp> {
    unpack(row.get(at)?, row.get(at + 1)?).ok_or_else(|| wrong(at, "is no time"))
}

/// As [`time`], for columns that may be null.
pub(super) fn maybe_time(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Timestamp>> {
    match row.get::<_, Option<i64>>(at)? {
        Some(_) => time(row, at).map(Some),
        None => Ok(None),
    }
}

/// The span in the four columns from `at` on.
pub(super) fn span(row: &Row<'_>, at: usize) -> rusqlite::Result<Span> {
    Span::new(time(row, at)?, time(row, at + 2)?).ok_or_else(|| wrong(at, "is no span"))
}

/// As [`span`], for columns that may be null.
pub(super) fn maybe_span(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Span>> {
    match row.get::<_, Option<i64>>(at)? {
        Some(_) => span(row, at).map(Some),
        None => Ok(None),
    }
}

/// The digest in a column.
pub(super) fn digest(row: &Row<'_>, at: usize) -> rusqlite::Result<[u8; 32]> {
    row.get(at)
}

/// A vector as bytes, little-endian.
pub(super) fn vector_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The vector in a column.
pub(super) fn vector(row: &Row<'_>, at: usize) -> rusqlite::Result<Vec<f32>> {
    let bytes = row.get_ref(at)?.as_blob()?;
    let (values, _) = bytes.as_chunks::<4>();
    Ok(values.iter().map(|value| f32::from_le_bytes(*value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_in_the_same_ticks() {
        for base in [TimeBase::NANOS, TimeBase::MICROS, TimeBase::per_second(u32::MAX)] {
            for ticks in [i64::MIN, -1, 0, i64::MAX] {
                let time = Timestamp::new(ticks, base);
                let (a, b) = columns(time);
                let back = unpack(a, b).unwrap();
                assert_eq!((back.ticks(), back.base()), (ticks, base));
            }
        }
        assert!(unpack(1, 0).is_none() && unpack(1, 1 << 32).is_none());
    }
}
