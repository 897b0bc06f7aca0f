//! Apache Parquet (github.com/apache/parquet-format): uncompressed, plain values, one row group. What
//! the crates for it bring (Arrow, codecs, thrift) is far more than a table of features needs.

use super::thrift::{Struct, varint};
use super::{Column, Table};

const MAGIC: &[u8; 4] = b"PAR1";
/// Physical types, and the encodings that are used.
const INT64: i32 = 2;
const DOUBLE: i32 = 5;
const BYTE_ARRAY: i32 = 6;
const OPTIONAL: i32 = 1;
const UTF8: i32 = 0;
const PLAIN: i32 = 0;
const RLE: i32 = 3;

/// The whole file.
pub(super) fn file(table: &Table) -> Vec<u8> {
    let rows = table.rows() as i64;
    let mut bytes = MAGIC.to_vec();
    let mut schema = vec![Struct::default().text(4, "table").i32(5, table.columns().len() as i32)];
    let mut chunks = Vec::new();
    let mut total = 0_i64;
    for (name, column) in table.columns() {
        let (kind, page) = page(column);
        let element = Struct::default().i32(1, kind).i32(3, OPTIONAL).text(4, name);
        schema.push(if kind == BYTE_ARRAY { element.i32(6, UTF8) } else { element });
        let header = Struct::default()
            .i32(1, 0)
            .i32(2, page.len() as i32)
            .i32(3, page.len() as i32)
            .inner(5, Struct::default().i32(1, rows as i32).i32(2, PLAIN).i32(3, RLE).i32(4, RLE))
            .end();
        let at = bytes.len() as i64;
        let size = (header.len() + page.len()) as i64;
        bytes.extend(header);
        bytes.extend(page);
        total += size;
        let meta = Struct::default()
            .i32(1, kind)
            .i32s(2, &[PLAIN, RLE])
            .texts(3, &[name])
            .i32(4, 0)
            .i64(5, rows)
            .i64(6, size)
            .i64(7, size)
            .i64(9, at);
        chunks.push(Struct::default().i64(2, at).inner(3, meta));
    }
    let group = Struct::default().structs(1, chunks).i64(2, total).i64(3, rows);
    let footer = Struct::default()
        .i32(1, 1)
        .structs(2, schema)
        .i64(3, rows)
        .structs(4, vec![group])
        .text(6, concat!("rushes ", env!("CARGO_PKG_VERSION")))
        .end();
    let length = footer.len() as u32;
    bytes.extend(footer);
    bytes.extend(length.to_le_bytes());
    bytes.extend(MAGIC);
    bytes
}

/// The physical type of a column and the body of its page: which values are there, then those.
fn page(column: &Column) -> (i32, Vec<u8>) {
    let mut values = Vec::new();
    let (kind, there): (i32, Vec<bool>) = match column {
        Column::Text(all) => {
            for text in all.iter().flatten() {
                values.extend((text.len() as u32).to_le_bytes());
                values.extend(text.as_bytes());
            }
            (BYTE_ARRAY, all.iter().map(Option::is_some).collect())
        }
        Column::Whole(all) => {
            values.extend(all.iter().flatten().flat_map(|value| value.to_le_bytes()));
            (INT64, all.iter().map(Option::is_some).collect())
        }
        Column::Number(all) => {
            let finite = |value: &Option<f64>| value.filter(|value| value.is_finite());
            values.extend(all.iter().filter_map(finite).flat_map(f64::to_le_bytes));
            (DOUBLE, all.iter().map(|value| finite(value).is_some()).collect())
        }
    };
    let levels = levels(&there);
    let mut page = (levels.len() as u32).to_le_bytes().to_vec();
    page.extend(levels);
    page.extend(values);
    (kind, page)
}

/// Definition levels as runs of equal ones (the RLE half of the hybrid encoding, one bit wide).
fn levels(there: &[bool]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for run in there.chunk_by(|a, b| a == b) {
        varint(&mut bytes, (run.len() as u64) << 1);
        bytes.push(u8::from(run[0]));
    }
    bytes
}
