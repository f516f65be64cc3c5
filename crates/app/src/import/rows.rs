//! Rows of a file as JSON objects, streamed: CSV and NDJSON, plain or gzip. Memory stays bounded by one row, whatever
//! the file holds: a row that is too long, or whose quotes do not balance, costs itself and not its neighbours.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use csv_core::ReadRecordResult;
use model::{Map, Value};

/// Bytes of one row. More than an imported event may have.
pub const ROW_BYTES_MAX: usize = 256 << 10;
/// Columns of a file.
const COLUMNS_MAX: usize = 2_000;

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

/// Why there is no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This row cannot be read; the next one may.
    Row(String),
    /// Nothing more can be read of the file.
    File(String),
}

/// A row, or why there is none.
pub type Row = Result<Map, Fault>;

/// Rows with their line numbers.
pub type Rows = Box<dyn Iterator<Item = (u64, Row)>>;

/// An opened file: its columns, where the format names them ahead, and its rows.
pub struct Opened {
    /// The header's names; `None` for NDJSON.
    pub columns: Option<Vec<String>>,
    /// The rows.
    pub rows: Rows,
}

/// Counts the bytes read from the file itself, for the progress bar.
struct Counted<R> {
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

/// Opens a file of lines; gzip is known by its first bytes.
///
/// # Errors
/// When the file cannot be opened, is empty, is UTF-16, or its header cannot be read.
pub fn open(
    path: &Path,
    format: Format,
    delimiter: u8,
    on_read: impl FnMut(u64) + 'static,
) -> Result<Opened, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut file = BufReader::with_capacity(64 << 10, Counted { inner: file, on_read: Box::new(on_read) });
    let gzip = file.fill_buf().map_err(|error| error.to_string())?.starts_with(&[0x1f, 0x8b]);
    let mut reader: Box<dyn BufRead> = if gzip {
        Box::new(BufReader::with_capacity(64 << 10, flate2::bufread::MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    };
    let head = reader.fill_buf().map_err(|error| error.to_string())?;
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        return Err("the file is UTF-16: save it as UTF-8".to_owned());
    }
    if head.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    if format == Format::Ndjson {
        return Ok(Opened { columns: None, rows: Box::new(Lines { reader, number: 0, ended: false }) });
    }
    let mut csv = Csv::new(reader, delimiter);
    match csv.record() {
        None => Err("the file is empty: a header line is needed".to_owned()),
        Some((_, Err(Fault::Row(reason) | Fault::File(reason)))) => {
            Err(format!("the header line cannot be read: {reason}"))
        }
        Some((_, Ok(()))) => {
            csv.columns = (0..csv.fields).map(|n| text(csv.cell(n)).trim().to_owned()).collect();
            Ok(Opened { columns: Some(csv.columns.clone()), rows: Box::new(csv) })
        }
    }
}

struct Csv<R> {
    reader: R,
    delimiter: u8,
    core: csv_core::Reader,
    /// Bytes that are read again because the record they were taken for was none.
    again: Vec<u8>,
    again_at: usize,
    raw: Vec<u8>,
    cells: Vec<u8>,
    ends: Vec<usize>,
    fields: usize,
    columns: Vec<String>,
    /// Line ends so far.
    lines: u64,
    ended: bool,
}

impl<R: BufRead> Csv<R> {
    fn new(reader: R, delimiter: u8) -> Csv<R> {
        Csv {
            reader,
            delimiter,
            core: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            again: Vec::new(),
            again_at: 0,
            raw: Vec::new(),
            cells: vec![0; ROW_BYTES_MAX + 1],
            ends: vec![0; COLUMNS_MAX],
            fields: 0,
            columns: Vec::new(),
            lines: 0,
            ended: false,
        }
    }

    fn cell(&self, number: usize) -> &[u8] {
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        &self.cells[start..self.ends[number]]
    }

    /// Reads one record into `cells`. Yields the line it begins at.
    fn record(&mut self) -> Option<(u64, Result<(), Fault>)> {
        if self.ended {
            return None;
        }
        self.raw.clear();
        let (mut cells, mut fields) = (0, 0);
        loop {
            let again = self.again_at < self.again.len();
            let input = if again {
                &self.again[self.again_at..]
            } else {
                match self.reader.fill_buf() {
                    Ok(input) => input,
                    Err(error) => {
                        self.ended = true;
                        return Some((self.lines + 1, Err(Fault::File(error.to_string()))));
                    }
                }
            };
            let input = &input[..input.len().min(ROW_BYTES_MAX + 1 - self.raw.len())];
            let (result, read, wrote, ends) =
                self.core.read_record(input, &mut self.cells[cells..], &mut self.ends[fields..]);
            self.raw.extend_from_slice(&input[..read]);
            if again {
                self.again_at += read;
            } else {
                self.reader.consume(read);
            }
            cells += wrote;
            fields += ends;
            match result {
                ReadRecordResult::End => {
                    self.ended = true;
                    return None;
                }
                ReadRecordResult::Record => {
                    self.fields = fields;
                    return Some(self.finish());
                }
                ReadRecordResult::InputEmpty if self.raw.len() <= ROW_BYTES_MAX => {}
                _ => return Some(self.too_long(fields)),
            }
        }
    }

    /// Where in `raw` the record begins: line ends of the one before, and empty lines, may stand ahead of it.
    fn start(&self) -> usize {
        self.raw.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(self.raw.len())
    }

    fn finish(&mut self) -> (u64, Result<(), Fault>) {
        let start = self.start();
        let line = self.lines + 1 + line_ends(&self.raw[..start]);
        let body = &self.raw[start..];
        let first_end = body.iter().position(|byte| *byte == b'\n').map_or(body.len(), |at| at + 1);
        let one_line = first_end == body.len();
        let whole = one_line || quotes_close(body, self.delimiter);
        if whole && (self.columns.is_empty() || self.fields == self.columns.len()) {
            self.lines += line_ends(&self.raw);
            return (line, Ok(()));
        }
        if one_line {
            let reason = format!("the row has {} cells, the header has {}", self.fields, self.columns.len());
            self.lines += line_ends(&self.raw);
            return (line, Err(Fault::Row(reason)));
        }
        // A quote that does not close swallows the lines after it: they are read again by themselves.
        self.give_back(start + first_end);
        (line, Err(Fault::Row("a quote opens and does not close on this line".to_owned())))
    }

    fn too_long(&mut self, fields: usize) -> (u64, Result<(), Fault>) {
        let start = self.start();
        let line = self.lines + 1 + line_ends(&self.raw[..start]);
        if fields >= COLUMNS_MAX {
            self.skip_line();
            return (line, Err(Fault::Row(format!("the row has more than {COLUMNS_MAX} cells"))));
        }
        if let Some(at) = self.raw[start..].iter().position(|byte| *byte == b'\n') {
            self.give_back(start + at + 1);
            let reason = format!("a quote opens and does not close within {ROW_BYTES_MAX} bytes");
            return (line, Err(Fault::Row(reason)));
        }
        self.skip_line();
        (line, Err(Fault::Row(format!("the row is longer than {ROW_BYTES_MAX} bytes"))))
    }

    fn give_back(&mut self, from: usize) {
        self.lines += line_ends(&self.raw[..from]);
        let mut again = self.raw[from..].to_vec();
        again.extend_from_slice(&self.again[self.again_at..]);
        (self.again, self.again_at) = (again, 0);
        self.core.reset();
    }

    fn skip_line(&mut self) {
        self.lines += line_ends(&self.raw);
        if !self.raw.ends_with(b"\n") {
            let rest = &self.again[self.again_at..];
            if let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                self.again_at += at + 1;
                self.lines += 1;
            } else {
                self.again_at = self.again.len();
                self.lines += u64::from(skip_line(&mut self.reader));
            }
        }
        self.core.reset();
    }

    fn row(&self) -> Map {
        let mut map = Map::new();
        for (number, name) in self.columns.iter().enumerate() {
            let text = text(self.cell(number));
            if !text.is_empty() {
                map.insert(name.clone(), Value::String(text));
            }
        }
        map
    }
}

impl<R: BufRead> Iterator for Csv<R> {
    type Item = (u64, Row);

    fn next(&mut self) -> Option<(u64, Row)> {
        let (line, read) = self.record()?;
        Some((line, read.map(|()| self.row())))
    }
}

/// Whether each quoted cell of a record ends where its quote closes. One that goes on behind it was never meant to
/// span the lines that it does.
fn quotes_close(record: &[u8], delimiter: u8) -> bool {
    let (mut quoted, mut at_start) = (false, true);
    let mut at = 0;
    while let Some(byte) = record.get(at) {
        let next = record.get(at + 1);
        match byte {
            b'"' if quoted && next == Some(&b'"') => at += 1,
            b'"' if quoted => {
                if next.is_some_and(|next| *next != delimiter && !matches!(next, b'\r' | b'\n')) {
                    return false;
                }
                quoted = false;
            }
            b'"' if at_start => quoted = true,
            _ => {}
        }
        at_start = !quoted && *byte == delimiter;
        at += 1;
    }
    !quoted
}

fn line_ends(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').count() as u64 - 1
}

/// Windows-1252 between 0x80 and 0x9F. Source: WHATWG Encoding Standard, index windows-1252.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Files in the wild mix encodings: a cell that is not UTF-8 is read as Windows-1252. NUL is left out.
fn text(cell: &[u8]) -> String {
    let mut text = match std::str::from_utf8(cell) {
        Ok(text) => text.to_owned(),
        Err(_) => cell
            .iter()
            .map(|byte| match byte {
                0x80..=0x9f => WINDOWS_1252[usize::from(*byte - 0x80)],
                _ => char::from(*byte),
            })
            .collect(),
    };
    text.retain(|c| c != '\0');
    text
}

struct Lines<R> {
    reader: R,
    number: u64,
    ended: bool,
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = (u64, Row);

    fn next(&mut self) -> Option<(u64, Row)> {
        while !self.ended {
            let mut line = Vec::new();
            self.number += 1;
            let limit = (ROW_BYTES_MAX + 1) as u64;
            match self.reader.by_ref().take(limit).read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) if line.len() > ROW_BYTES_MAX => {
                    skip_line(&mut self.reader);
                    let reason = format!("the line is longer than {ROW_BYTES_MAX} bytes");
                    return Some((self.number, Err(Fault::Row(reason))));
                }
                Ok(_) if line.iter().all(u8::is_ascii_whitespace) => {}
                Ok(_) => return Some((self.number, parse_line(&line))),
                Err(error) => {
                    self.ended = true;
                    return Some((self.number, Err(Fault::File(error.to_string()))));
                }
            }
        }
        None
    }
}

/// Reads on behind the next line end. True when there was one.
fn skip_line(reader: &mut impl BufRead) -> bool {
    while let Ok(buffer) = reader.fill_buf() {
        if buffer.is_empty() {
            return false;
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        reader.consume(used);
        if end.is_some() {
            return true;
        }
    }
    false
}

fn parse_line(line: &[u8]) -> Row {
    match serde_json::from_slice::<Value>(line) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Fault::Row("the line is JSON but not an object".to_owned())),
        Err(error) => Err(Fault::Row(format!("the line is not JSON: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn opened(name: &str, content: &[u8], delimiter: u8) -> Result<Vec<(u64, Row)>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        File::create(&path).unwrap().write_all(content).unwrap();
        Ok(open(&path, Format::of(&path).unwrap(), delimiter, |_| ())?.rows.collect())
    }

    fn read(name: &str, content: &[u8]) -> Vec<(u64, Row)> {
        opened(name, content, b',').unwrap()
    }

    fn reason(row: &Row) -> &str {
        match row {
            Err(Fault::Row(reason) | Fault::File(reason)) => reason,
            Ok(map) => panic!("a row was read: {map:?}"),
        }
    }

    #[test]
    fn a_byte_order_mark_a_nul_and_mixed_encodings_are_read_and_a_short_row_is_reported() {
        let rows = read("a.csv", b"\xef\xbb\xbfid,name\n1,Caf\xe9\0\n2\n3,\x93x\x94\n4,Caf\xc3\xa9\n");
        assert_eq!(rows[0].1.as_ref().unwrap()["id"], "1");
        assert_eq!(rows[0].1.as_ref().unwrap()["name"], "Café");
        assert_eq!(rows[1].0, 3);
        assert_eq!(reason(&rows[1].1), "the row has 1 cells, the header has 2");
        assert_eq!(rows[2].1.as_ref().unwrap()["name"], "“x”");
        assert_eq!(rows[3].1.as_ref().unwrap()["name"], "Café");
    }

    #[test]
    fn line_ends_may_mix_and_a_quoted_cell_may_hold_them() {
        let rows = read("a.csv", b"id,name\r\n1,a\n2,\"b\r\nc\"\r\n\r\n3,\"say \"\"hi\"\"\"\n");
        let names: Vec<_> = rows.iter().map(|(_, row)| row.as_ref().unwrap()["name"].clone()).collect();
        assert_eq!(names, ["a", "b\r\nc", "say \"hi\""]);
        assert_eq!(rows.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 6]);
    }

    #[test]
    fn a_quote_that_does_not_close_costs_its_own_line_alone() {
        let rows = read("a.csv", b"id,name\n1,\"a\n2,b\n3,c \"5\n4,\"d\"\n");
        assert!(reason(&rows[0].1).contains("does not close"), "{rows:?}");
        let ids: Vec<_> =
            rows[1..].iter().map(|(line, row)| (*line, row.as_ref().unwrap()["id"].clone())).collect();
        assert_eq!(ids, [(3, "2".into()), (4, "3".into()), (5, "4".into())]);
    }

    #[test]
    fn a_quote_that_never_closes_is_given_up_after_the_longest_row() {
        let mut content = b"id,name\n1,\"a\n".to_vec();
        for number in 0..40_000 {
            content.extend_from_slice(format!("{number},value\n").as_bytes());
        }
        let rows = read("a.csv", &content);
        assert_eq!(rows.len(), 40_001);
        assert!(reason(&rows[0].1).contains("does not close"));
        assert!(rows[1..].iter().all(|(_, row)| row.is_ok()));
        assert_eq!(rows.last().unwrap().0, 40_002);
    }

    #[test]
    fn a_line_of_64_megabytes_is_one_error_and_the_next_line_is_read() {
        for (name, head, next) in [("a.csv", "id,name\n", "1,x\n"), ("a.ndjson", "", "{\"id\":\"1\"}\n")] {
            let mut content = head.as_bytes().to_vec();
            content.resize(content.len() + (64 << 20), b'x');
            content.push(b'\n');
            content.extend_from_slice(next.as_bytes());
            let rows = read(name, &content);
            assert_eq!(rows.len(), 2, "{name}");
            assert!(reason(&rows[0].1).contains("longer than"), "{name}");
            assert_eq!(rows[1].1.as_ref().unwrap()["id"], "1", "{name}");
        }
    }

    #[test]
    fn a_file_without_rows_has_none_and_an_empty_one_says_what_it_lacks() {
        assert!(read("a.csv", b"id,name\n").is_empty());
        assert!(read("a.ndjson", b"\n \n").is_empty());
        assert_eq!(opened("a.csv", b"", b',').unwrap_err(), "the file is empty: a header line is needed");
        assert!(opened("a.csv", b"\xff\xfei\0d\0", b',').unwrap_err().contains("UTF-16"));
    }

    #[test]
    fn gzip_is_known_by_its_bytes_and_one_that_ends_early_says_so_after_its_rows() {
        let mut content = b"id,name\n".to_vec();
        for number in 0..100_000 {
            content.extend_from_slice(format!("{number},{}\n", number * 7919 % 10_007).as_bytes());
        }
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&content).unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(read("whole.csv", &packed).len(), 100_000);
        let rows = read("cut.csv.gz", &packed[..packed.len() / 2]);
        let (last, before) = rows.split_last().unwrap();
        assert!(matches!(last.1, Err(Fault::File(_))), "{last:?}");
        assert!(before.len() > 10_000 && before.iter().all(|(_, row)| row.is_ok()));
    }

    #[test]
    fn a_packed_row_that_unfolds_a_thousandfold_is_one_error() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(b"{\"id\":1}\n{\"x\":\"").unwrap();
        encoder.write_all(&vec![b'a'; 32 << 20]).unwrap();
        encoder.write_all(b"\"}\n{\"id\":2}\n").unwrap();
        let packed = encoder.finish().unwrap();
        assert!(packed.len() < 100_000);
        let rows = read("bomb.ndjson.gz", &packed);
        assert_eq!(rows.len(), 3);
        assert!(reason(&rows[1].1).contains("longer than"));
        assert_eq!(rows[2].1.as_ref().unwrap()["id"], 2);
    }

    #[test]
    fn a_broken_line_of_ndjson_is_reported_with_its_number() {
        let rows = read("a.ndjson", b"{\"id\":1}\n\n{\"id\":\n[1]\n{\"id\":2}");
        assert_eq!(rows.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3, 4, 5]);
        assert!(reason(&rows[1].1).contains("not JSON"));
        assert!(reason(&rows[2].1).contains("not an object"));
        assert_eq!(rows[3].1.as_ref().unwrap()["id"], 2);
    }
}
