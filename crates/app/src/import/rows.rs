//! Rows of a file as JSON objects, streamed: CSV and NDJSON, plain or gzip. Memory stays bounded by one row.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use model::{Map, Value};

/// Bytes of one row.
const ROW_BYTES_MAX: usize = 1 << 20;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Comma-separated values with a header line.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Columns.
    Parquet,
}

impl Format {
    /// The format a file's name tells of.
    pub fn of(path: &Path) -> Option<Format> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "csv" | "tsv" => Some(Format::Csv),
            "ndjson" | "jsonl" | "json" => Some(Format::Ndjson),
            "parquet" => Some(Format::Parquet),
            _ => None,
        }
    }
}

/// A row, or why it could not be read.
pub type Row = std::result::Result<Map, String>;

/// Counts the bytes read from the file itself, for the progress bar.
pub struct Counted<R> {
    inner: R,
    on_read: Box<dyn FnMut(u64)>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        (self.on_read)(n as u64);
        Ok(n)
    }
}

/// Opens `path` and yields its rows with their line numbers.
///
/// # Errors
/// When the file cannot be opened or its header cannot be read. Damaged rows are yielded as errors.
pub fn open(
    path: &Path,
    format: Format,
    delimiter: Option<char>,
    on_read: impl FnMut(u64) + 'static,
) -> Result<Box<dyn Iterator<Item = (u64, Row)>>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let counted = Counted { inner: file, on_read: Box::new(on_read) };
    let gzip = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"));
    let reader: Box<dyn Read> =
        if gzip { Box::new(flate2::read::MultiGzDecoder::new(counted)) } else { Box::new(counted) };
    match format {
        Format::Csv => csv_rows(reader, delimiter),
        Format::Ndjson => Ok(Box::new(Lines { reader: BufReader::new(reader), number: 0 })),
        Format::Parquet => bail!("Parquet is read as columns, not as a stream of rows"),
    }
}

fn csv_rows(reader: Box<dyn Read>, delimiter: Option<char>) -> Result<Box<dyn Iterator<Item = (u64, Row)>>> {
    let delimiter =
        delimiter.map_or(Ok(b','), u8::try_from).context("the delimiter must be one ASCII character")?;
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(false).from_reader(reader);
    let headers: Vec<String> = reader
        .byte_headers()
        .context("the header line cannot be read")?
        .iter()
        .map(|name| String::from_utf8_lossy(name).trim_start_matches('\u{feff}').trim().to_owned())
        .collect();
    let rows = reader.into_byte_records().map(move |record| match record {
        Ok(record) => {
            let line = record.position().map_or(0, csv::Position::line);
            (line, csv_row(&headers, &record))
        }
        Err(error) => (error.position().map_or(0, csv::Position::line), Err(error.to_string())),
    });
    Ok(Box::new(rows))
}

fn csv_row(headers: &[String], record: &csv::ByteRecord) -> Row {
    if record.as_slice().len() > ROW_BYTES_MAX {
        return Err(format!("the row is longer than {ROW_BYTES_MAX} bytes"));
    }
    let mut map = Map::new();
    for (name, cell) in headers.iter().zip(record) {
        // Files in the wild mix encodings: what is not UTF-8 is read as Latin-1.
        let text = match std::str::from_utf8(cell) {
            Ok(text) => text.to_owned(),
            Err(_) => cell.iter().map(|byte| char::from(*byte)).collect(),
        };
        if !text.is_empty() {
            map.insert(name.clone(), Value::String(text.replace('\0', "")));
        }
    }
    Ok(map)
}

struct Lines<R> {
    reader: BufReader<R>,
    number: u64,
}

impl<R: Read> Iterator for Lines<R> {
    type Item = (u64, Row);

    fn next(&mut self) -> Option<(u64, Row)> {
        loop {
            let mut line = Vec::new();
            self.number += 1;
            let limit = (ROW_BYTES_MAX + 1) as u64;
            match self.reader.by_ref().take(limit).read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) if line.len() > ROW_BYTES_MAX => {
                    skip_line(&mut self.reader);
                    return Some((
                        self.number,
                        Err(format!("the line is longer than {ROW_BYTES_MAX} bytes")),
                    ));
                }
                Ok(_) if line.iter().all(u8::is_ascii_whitespace) => continue,
                Ok(_) => return Some((self.number, parse_line(&line))),
                Err(error) => return Some((self.number, Err(error.to_string()))),
            }
        }
    }
}

fn skip_line(reader: &mut impl BufRead) {
    while let Ok(buffer) = reader.fill_buf() {
        if buffer.is_empty() {
            return;
        }
        let end = buffer.iter().position(|b| *b == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        reader.consume(used);
        if end.is_some() {
            return;
        }
    }
}

fn parse_line(line: &[u8]) -> Row {
    match serde_json::from_slice::<Value>(line) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err("the line is JSON but not an object".to_owned()),
        Err(error) => Err(format!("the line is not JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(name: &str, content: &[u8], format: Format) -> Vec<(u64, Row)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        File::create(&path).unwrap().write_all(content).unwrap();
        open(&path, format, None, |_| ()).unwrap().collect()
    }

    #[test]
    fn a_byte_order_mark_a_nul_and_latin_1_are_read_and_a_short_row_is_reported() {
        let rows = read("a.csv", b"\xef\xbb\xbfid,name\n1,Caf\xe9\0\n2\n3,x\n", Format::Csv);
        assert_eq!(rows[0].1.as_ref().unwrap()["id"], "1");
        assert_eq!(rows[0].1.as_ref().unwrap()["name"], "Café");
        assert!(rows[1].1.is_err());
        assert_eq!(rows[2].1.as_ref().unwrap()["id"], "3");
    }

    #[test]
    fn an_endless_line_is_one_error_and_the_next_line_is_read() {
        let mut content = vec![b'x'; ROW_BYTES_MAX + 10];
        content.extend_from_slice(b"\n{\"id\":1}\n\n[1]\n");
        let rows = read("a.ndjson", &content, Format::Ndjson);
        assert_eq!(rows.len(), 3);
        assert!(rows[0].1.is_err());
        assert_eq!(rows[1].1.as_ref().unwrap()["id"], 1);
        assert!(rows[2].1.is_err());
    }
}
