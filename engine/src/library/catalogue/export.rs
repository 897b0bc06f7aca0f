//! The catalogue's rows for other programs: JSON lines and CSV.

use super::{Catalogue, failed};
use crate::error::{Error, ErrorKind, Result, Stage};
use rusqlite::types::ValueRef;
use serde_json::{Map, Value, json};
use std::io::Write;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// One JSON object a row, with the table's name as `type`.
    Ndjson,
    /// Comma-separated values (RFC 4180) with a line of names, one table.
    Csv,
}

/// The tables, in an order in which every row comes after those it refers to.
pub const TABLES: &[&str] = &[
    "media",
    "tags",
    "paths",
    "runs",
    "artefacts",
    "probes",
    "streams",
    "transcripts",
    "segments",
    "words",
    "shots",
    "frames",
    "frame_texts",
    "keywords",
    "concepts",
    "chapters",
    "patterns",
    "pattern_parts",
    "sounds",
    "clips",
    "clip_scores",
    "winners",
    "features",
    "embeddings",
    "strategies",
    "backtests",
    "promotions",
];

impl Catalogue {
    /// How many rows a table (one of [`TABLES`]) has.
    ///
    /// # Errors
    /// As [`Catalogue::open`]; [`ErrorKind::Internal`] for another name.
    pub fn count(&self, table: &str) -> Result<u64> {
        if !TABLES.contains(&table) {
            let what = format!("`{table}` is no table of a library");
            return Err(Error::new(ErrorKind::Internal, Stage::Process, what));
        }
        let sql = format!("SELECT count(*) FROM {table}");
        self.read(|db| db.query_row(&sql, [], |row| row.get(0)).map(i64::cast_unsigned))
    }

    /// Writes the rows of `tables` (names out of [`TABLES`]) to `out`, one after the other.
    ///
    /// Columns are those of the catalogue; times `X_ticks` and `X_base` are joined by `X`, exactly,
    /// as `NUM/DEN` seconds. Digests are in hexadecimal, vectors lists of numbers, paths text.
    ///
    /// # Errors
    /// As [`Catalogue::open`]; I/O failures of `out`.
    pub fn export(&self, tables: &[&str], format: ExportFormat, out: &mut dyn Write) -> Result<()> {
        for table in TABLES.iter().filter(|table| tables.contains(*table)) {
            self.export_table(table, format, out)?;
        }
        Ok(())
    }

    fn export_table(&self, table: &str, format: ExportFormat, out: &mut dyn Write) -> Result<()> {
        let sql = |e| failed(&self.file)(e);
        let io = |e| Error::io(Stage::Write, std::path::Path::new("export"), e);
        let db = self.db();
        let mut all = db.prepare(&format!("SELECT * FROM {table}")).map_err(sql)?;
        let names: Vec<String> = all.column_names().map(str::to_owned).collect();
        let fields = fields(&names);
        if format == ExportFormat::Csv {
            let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
            writeln!(out, "{}\r", names.join(",")).map_err(io)?;
        }
        let mut rows = all.query([]).map_err(sql)?;
        while let Some(row) = rows.next().map_err(sql)? {
            let mut object = Map::new();
            let mut line = Vec::with_capacity(fields.len());
            for (name, at) in &fields {
                let value = match at {
                    Column::Plain(at) => plain(name, row.get_ref(*at).map_err(sql)?),
                    Column::Time(ticks, base) => exact(
                        row.get(*ticks).map_err(sql)?,
                        row.get::<_, Option<i64>>(*base).map_err(sql)?,
                    ),
                };
                match format {
                    ExportFormat::Csv => line.push(cell(&value)),
                    ExportFormat::Ndjson => drop(object.insert(name.clone(), value)),
                }
            }
            match format {
                ExportFormat::Csv => writeln!(out, "{}\r", line.join(",")).map_err(io)?,
                ExportFormat::Ndjson => {
                    object.insert("type".to_owned(), json!(table));
                    writeln!(out, "{}", Value::Object(object)).map_err(io)?;
                }
            }
        }
        Ok(())
    }
}

enum Column {
    Plain(usize),
    Time(usize, usize),
}

/// The columns with those of a time joined.
fn fields(names: &[String]) -> Vec<(String, Column)> {
    let at = |name: &str| names.iter().position(|other| other == name);
    let mut fields = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let time = name.strip_suffix("_ticks").and_then(|stem| {
            let base = at(&format!("{stem}_base"))?;
            Some((stem.to_owned(), Column::Time(n, base)))
        });
        let joined =
            name.strip_suffix("_base").is_some_and(|s| at(&format!("{s}_ticks")).is_some());
        match time {
            Some(field) => fields.push(field),
            None if joined => {}
            None => fields.push((name.clone(), Column::Plain(n))),
        }
    }
    fields
}

fn exact(ticks: Option<i64>, base: Option<i64>) -> Value {
    let (Some(ticks), Some(base)) = (ticks, base) else { return Value::Null };
    let (num, den) = ((base as u64) >> 32, base as u32);
    json!(format!("{}/{den}", i128::from(ticks) * i128::from(num)))
}

fn plain(name: &str, value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => json!(number),
        ValueRef::Real(number) => json!(number),
        // JSON that is stored as text stays JSON.
        ValueRef::Text(text)
            if matches!(
                name,
                "parts" | "summary" | "info" | "reasons" | "rules" | "study" | "record"
            ) =>
        {
            serde_json::from_slice(text).unwrap_or(Value::Null)
        }
        ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => match name {
            "vector" | "windows" => {
                let (values, _) = bytes.as_chunks::<4>();
                json!(values.iter().map(|v| f32::from_le_bytes(*v)).collect::<Vec<_>>())
            }
            "path" => json!(String::from_utf8_lossy(bytes)),
            _ => json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        },
    }
}

/// A value as a cell of CSV. A text that a spreadsheet would run as a formula gets an apostrophe
/// in front (owasp.org, CSV injection); numbers stay numbers.
pub(crate) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => {
            // A time before 0 is a number.
            let number =
                text.trim_start_matches('-').chars().all(|c| c.is_ascii_digit() || c == '/');
            if number { text.clone() } else { format!("'{text}") }
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_harmless() {
        for (value, wanted) in [
            (json!(null), ""),
            (json!(-3), "-3"),
            (json!("a,b"), "\"a,b\""),
            (json!("say \"hi\"\n"), "\"say \"\"hi\"\"\n\""),
            (json!("=1+1"), "'=1+1"),
            (json!("-1001/30000"), "-1001/30000"),
            (json!([1.5, 2.0]), "\"[1.5,2.0]\""),
        ] {
            assert_eq!(cell(&value), wanted);
        }
    }
}
