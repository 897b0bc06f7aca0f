//! Tables for other programs: CSV, JSON lines, Parquet.

mod parquet;
mod thrift;

use super::catalogue::csv_cell;
use crate::error::{Error, Result, Stage};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::Path;

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Comma-separated values (RFC 4180) with a line of names.
    Csv,
    /// One JSON object a row.
    Ndjson,
    /// Apache Parquet, uncompressed, one row group.
    Parquet,
}

/// The values of a column; all columns of a table have as many.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Texts.
    Text(Vec<Option<String>>),
    /// Whole numbers.
    Whole(Vec<Option<i64>>),
    /// Numbers; none that is not finite is written.
    Number(Vec<Option<f64>>),
}

impl Column {
    /// How many values there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Whole(values) => values.len(),
            Self::Number(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn value(&self, row: usize) -> Value {
        match self {
            Self::Text(values) => json!(values.get(row).cloned().flatten()),
            Self::Whole(values) => json!(values.get(row).copied().flatten()),
            // JSON has no NaN: null.
            Self::Number(values) => json!(values.get(row).copied().flatten()),
        }
    }
}

/// A table, column by column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    columns: Vec<(String, Column)>,
}

impl Table {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column; one that has fewer values than the first is filled with nothing, what is more is cut off.
    pub fn column(&mut self, name: impl Into<String>, mut column: Column) {
        if let Some((_, first)) = self.columns.first() {
            let rows = first.len();
            match &mut column {
                Column::Text(values) => values.resize(rows, None),
                Column::Whole(values) => values.resize(rows, None),
                Column::Number(values) => values.resize(rows, None),
            }
        }
        self.columns.push((name.into(), column));
    }

    /// The columns with their names.
    pub fn columns(&self) -> &[(String, Column)] {
        &self.columns
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, column)| column.len())
    }

    /// Writes the table to `out`.
    ///
    /// # Errors
    /// I/O failures of `out`.
    pub fn write(&self, format: TableFormat, out: &mut dyn Write) -> Result<()> {
        let io = |e| Error::io(Stage::Write, Path::new("table"), e);
        match format {
            TableFormat::Parquet => out.write_all(&parquet::file(self)).map_err(io),
            TableFormat::Csv => {
                let names: Vec<String> =
                    self.columns.iter().map(|(name, _)| csv_cell(&json!(name))).collect();
                writeln!(out, "{}\r", names.join(",")).map_err(io)?;
                for row in 0..self.rows() {
                    let cells: Vec<String> = self
                        .columns
                        .iter()
                        .map(|(_, column)| csv_cell(&column.value(row)))
                        .collect();
                    writeln!(out, "{}\r", cells.join(",")).map_err(io)?;
                }
                Ok(())
            }
            TableFormat::Ndjson => {
                for row in 0..self.rows() {
                    let object: Map<String, Value> = self
                        .columns
                        .iter()
                        .map(|(name, column)| (name.clone(), column.value(row)))
                        .collect();
                    writeln!(out, "{}", Value::Object(object)).map_err(io)?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new();
        table.column("name", Column::Text(vec![Some("a,b".into()), None, Some("=1".into())]));
        table.column("n", Column::Whole(vec![Some(1), Some(-2), None]));
        table.column("x", Column::Number(vec![Some(0.5), Some(f64::NAN), Some(-1e9)]));
        table
    }

    fn written(format: TableFormat) -> Vec<u8> {
        let mut out = Vec::new();
        table().write(format, &mut out).unwrap();
        out
    }

    #[test]
    fn text_forms_quote_and_leave_out() {
        let csv = String::from_utf8(written(TableFormat::Csv)).unwrap();
        assert_eq!(csv, "name,n,x\r\n\"a,b\",1,0.5\r\n,-2,\r\n'=1,,-1000000000.0\r\n");
        let json = String::from_utf8(written(TableFormat::Ndjson)).unwrap();
        let rows: Vec<Value> =
            json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows[0], json!({ "name": "a,b", "n": 1, "x": 0.5 }));
        assert_eq!(rows[1], json!({ "name": null, "n": -2, "x": null }));
    }

    #[test]
    fn parquet_has_its_marks_and_its_footer() {
        let file = written(TableFormat::Parquet);
        assert_eq!((&file[..4], &file[file.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]));
        let footer = u32::from_le_bytes(file[file.len() - 8..][..4].try_into().unwrap()) as usize;
        assert!(footer + 12 < file.len());
    }

    #[test]
    fn columns_have_as_many_rows_as_the_first() {
        let mut table = table();
        table.column("short", Column::Whole(vec![Some(1)]));
        table.column("long", Column::Whole(vec![Some(1); 9]));
        assert!(table.columns().iter().all(|(_, column)| column.len() == 3));
        assert_eq!(Table::new().rows(), 0);
    }
}
