//! Rows of an uploaded table as objects, as they come in: CSV with a header, or one JSON object a line.

use csv_core::{ReadRecordResult, Reader};
use model::{Map, Value};

use crate::{Error, UploadFormat};

/// Bytes of one row.
const ROW_BYTES_MAX: usize = 128 * 1024;
/// Columns of one row.
const COLUMNS_MAX: usize = 500;

/// A row's object, or why there is none.
pub type Row = Result<Value, String>;

/// Reads a table piece by piece. Holds one row.
pub struct Table {
    format: UploadFormat,
    csv: Reader,
    line: Vec<u8>,
    ends: Vec<usize>,
    filled: (usize, usize),
    columns: Vec<String>,
}

impl Table {
    /// A table of a format.
    pub fn new(format: UploadFormat) -> Table {
        let (line, ends) = match format {
            UploadFormat::Csv => (vec![0; ROW_BYTES_MAX], vec![0; COLUMNS_MAX]),
            UploadFormat::Ndjson => (Vec::new(), Vec::new()),
        };
        Table { format, csv: Reader::new(), line, ends, filled: (0, 0), columns: Vec::new() }
    }

    /// Reads the next piece; an empty one is the end.
    ///
    /// # Errors
    /// `Invalid` when a row is too long: nothing after it can be told apart.
    pub fn read(&mut self, piece: &[u8]) -> Result<Vec<Row>, Error> {
        match self.format {
            UploadFormat::Csv => self.csv(piece),
            UploadFormat::Ndjson => self.lines(piece),
        }
    }

    fn csv(&mut self, piece: &[u8]) -> Result<Vec<Row>, Error> {
        let mut out = Vec::new();
        let mut rest = piece;
        loop {
            let (bytes, ends) = self.filled;
            let (result, used, wrote, ended) =
                self.csv.read_record(rest, &mut self.line[bytes..], &mut self.ends[ends..]);
            rest = &rest[used..];
            self.filled = (bytes + wrote, ends + ended);
            match result {
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return Ok(out),
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => return Err(too_long()),
                ReadRecordResult::Record => {
                    let mut from = 0;
                    let cells: Vec<String> = self.ends[..self.filled.1]
                        .iter()
                        .map(|to| {
                            let cell = String::from_utf8_lossy(&self.line[from..*to]).into_owned();
                            from = *to;
                            cell
                        })
                        .collect();
                    self.filled = (0, 0);
                    if self.columns.is_empty() {
                        let named = |cell: &String| cell.trim_start_matches('\u{feff}').trim().to_owned();
                        self.columns = cells.iter().map(named).collect();
                        continue;
                    }
                    let row: Map = self
                        .columns
                        .iter()
                        .zip(cells)
                        .filter(|(name, cell)| !name.is_empty() && !cell.is_empty())
                        .map(|(name, cell)| (name.clone(), Value::String(cell)))
                        .collect();
                    out.push(Ok(Value::Object(row)));
                }
            }
        }
    }

    fn lines(&mut self, piece: &[u8]) -> Result<Vec<Row>, Error> {
        let mut out = Vec::new();
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            self.line_done(&mut out)?;
        }
        self.line.extend_from_slice(rest);
        if piece.is_empty() {
            self.line_done(&mut out)?;
        }
        if self.line.len() > ROW_BYTES_MAX {
            return Err(too_long());
        }
        Ok(out)
    }

    fn line_done(&mut self, out: &mut Vec<Row>) -> Result<(), Error> {
        if self.line.len() > ROW_BYTES_MAX {
            return Err(too_long());
        }
        let line = std::mem::take(&mut self.line);
        if !line.trim_ascii().is_empty() {
            out.push(serde_json::from_slice(&line).map_err(|error| format!("the line is no JSON: {error}")));
        }
        Ok(())
    }
}

fn too_long() -> Error {
    let message = format!("A row has more than {ROW_BYTES_MAX} bytes: is it closed?");
    Error::invalid("row_too_long", "", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(format: UploadFormat, text: &str) -> Vec<Row> {
        let mut table = Table::new(format);
        // In small pieces, as a network gives them.
        let mut out: Vec<Row> =
            text.as_bytes().chunks(3).flat_map(|piece| table.read(piece).unwrap()).collect();
        out.extend(table.read(&[]).unwrap());
        out
    }

    #[test]
    fn rows_are_objects_whatever_pieces_they_come_in() {
        let csv = read(UploadFormat::Csv, "\u{feff}id,name,price\na,\"Tea, green\",1.5\nb,,2\n");
        let expected = [
            Ok(json!({"id": "a", "name": "Tea, green", "price": "1.5"})),
            Ok(json!({"id": "b", "price": "2"})),
        ];
        assert_eq!(csv, expected);
        let lines = read(UploadFormat::Ndjson, "{\"id\": 1}\n\nnonsense\n{\"id\": 2}");
        assert_eq!((lines.len(), &lines[0], &lines[2]), (3, &Ok(json!({"id": 1})), &Ok(json!({"id": 2}))));
        assert!(lines[1].as_ref().unwrap_err().contains("no JSON"));
    }

    #[test]
    fn a_row_without_an_end_is_refused_before_memory_fills() {
        let mut table = Table::new(UploadFormat::Ndjson);
        let endless = vec![b'a'; ROW_BYTES_MAX + 1];
        assert!(table.read(&endless).is_err());
        let mut table = Table::new(UploadFormat::Csv);
        table.read(b"id\n\"").unwrap();
        assert!(table.read(&endless).is_err());
    }
}
