//! Reads whom an uploaded list names, as it comes in: CSV with a header, or one JSON value a line.

use csv_core::{ReadRecordResult, Reader};
use model::{IdentifierKind, Value, limit};

use crate::Error;

/// Bytes of one row.
const ROW_BYTES_MAX: usize = 64 * 1024;
/// Columns of one row.
const COLUMNS_MAX: usize = 500;
/// Characters of a value that an answer repeats.
const SHOWN_CHARS: usize = 80;

/// Whom a row names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A profile by its number.
    Profile(i64),
    /// A profile by an identifier, normalised.
    Identifier(IdentifierKind, String),
}

type Refusal = (String, String);

impl Named {
    /// Reads the cell of a column.
    ///
    /// # Errors
    /// The value and why it names nobody.
    pub fn of(column: &str, cell: &Value) -> Result<Named, Refusal> {
        let text = match cell {
            Value::String(text) => text.trim().to_owned(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let refuse = |why: &str| Err((text.chars().take(SHOWN_CHARS).collect(), why.to_owned()));
        if text.is_empty() {
            return refuse("The row is empty.");
        }
        if text.len() > limit::IDENTIFIER_BYTES_MAX {
            return refuse("It is too long for an identifier.");
        }
        match column {
            "profile_id" => match text.parse() {
                Ok(id) => Ok(Named::Profile(id)),
                Err(_) => refuse("A profile_id is a whole number."),
            },
            "email" => match profile::identity::email(&text) {
                Some(address) => Ok(Named::Identifier(IdentifierKind::Email, address)),
                None => refuse("It is no e-mail address."),
            },
            _ => Ok(Named::Identifier(IdentifierKind::UserId, text)),
        }
    }

    /// Reads an item of a JSON list: an object with one of the columns, a user id or an address as text, a profile's
    /// number.
    ///
    /// # Errors
    /// The value and why it names nobody.
    pub fn of_json(value: &Value) -> Result<Named, Refusal> {
        match value {
            Value::Object(fields) => {
                let known = ["profile_id", "user_id", "email"];
                let found = known.iter().find_map(|name| Some((*name, fields.get(*name)?)));
                match found {
                    Some((name, cell)) => Named::of(name, cell),
                    None => Err((shown(value), "It has no profile_id, user_id or email.".to_owned())),
                }
            }
            Value::Number(_) => Named::of("profile_id", value),
            Value::String(text) if text.contains('@') => Named::of("email", value),
            Value::String(_) => Named::of("user_id", value),
            _ => Err((shown(value), "It names nobody.".to_owned())),
        }
    }
}

fn shown(value: &Value) -> String {
    value.to_string().chars().take(SHOWN_CHARS).collect()
}

/// A row and whom it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// From 1, a header not counted.
    pub row: u64,
    /// Whom it names, or the value and why it names nobody.
    pub named: Result<Named, Refusal>,
}

/// How an upload is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated, with a header.
    Csv,
    /// One JSON value a line.
    Ndjson,
}

/// Reads an upload piece by piece. Holds one row.
pub struct Upload {
    format: Format,
    csv: Reader,
    line: Vec<u8>,
    ends: Vec<usize>,
    filled: (usize, usize),
    column: Option<(String, usize)>,
    row: u64,
}

impl Upload {
    /// An upload of a format.
    pub fn new(format: Format) -> Upload {
        let (line, ends) = match format {
            Format::Csv => (vec![0; ROW_BYTES_MAX], vec![0; COLUMNS_MAX]),
            Format::Ndjson => (Vec::new(), Vec::new()),
        };
        Upload { format, csv: Reader::new(), line, ends, filled: (0, 0), column: None, row: 0 }
    }

    /// Reads the next piece; an empty one is the end.
    ///
    /// # Errors
    /// `Invalid` when the whole cannot be read on: no column names profiles, or a row is too long.
    pub fn read(&mut self, piece: &[u8]) -> Result<Vec<Item>, Error> {
        match self.format {
            Format::Csv => self.read_csv(piece),
            Format::Ndjson => self.read_lines(piece),
        }
    }

    fn too_long(&self) -> Error {
        let message = format!("Row {} has more than {ROW_BYTES_MAX} bytes: is it closed?", self.row + 1);
        Error::invalid("row_too_long", "", message)
    }

    fn read_csv(&mut self, piece: &[u8]) -> Result<Vec<Item>, Error> {
        let mut out = Vec::new();
        let mut rest = piece;
        loop {
            let (bytes, ends) = self.filled;
            let (result, used, wrote, ended) =
                self.csv.read_record(rest, &mut self.line[bytes..], &mut self.ends[ends..]);
            rest = &rest[used..];
            self.filled = (bytes + wrote, ends + ended);
            match result {
                ReadRecordResult::InputEmpty => return Ok(out),
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return Err(self.too_long());
                }
                ReadRecordResult::End => return Ok(out),
                ReadRecordResult::Record => {
                    let columns = self.ends[..self.filled.1].iter().scan(0, |from, to| {
                        let cell = String::from_utf8_lossy(&self.line[*from..*to]).into_owned();
                        *from = *to;
                        Some(cell)
                    });
                    let cells: Vec<String> = columns.collect();
                    self.filled = (0, 0);
                    out.extend(self.record(&cells)?);
                }
            }
        }
    }

    fn record(&mut self, cells: &[String]) -> Result<Option<Item>, Error> {
        let Some((name, place)) = &self.column else {
            let names: Vec<String> =
                cells.iter().map(|cell| cell.trim_start_matches('\u{feff}').trim().to_lowercase()).collect();
            let found = ["profile_id", "user_id", "email"].iter().find_map(|wanted| {
                names.iter().position(|name| name == wanted).map(|place| ((*wanted).to_owned(), place))
            });
            self.column = Some(found.ok_or_else(|| {
                let message = "The first row names the columns: one of them is profile_id, user_id or email.";
                Error::invalid("no_column", "", message)
            })?);
            return Ok(None);
        };
        self.row += 1;
        let cell = cells.get(*place).map_or(Value::Null, |cell| Value::String(cell.clone()));
        Ok(Some(Item { row: self.row, named: Named::of(name, &cell) }))
    }

    fn read_lines(&mut self, piece: &[u8]) -> Result<Vec<Item>, Error> {
        let mut out = Vec::new();
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            if self.line.len() > ROW_BYTES_MAX {
                return Err(self.too_long());
            }
            out.extend(self.line_done());
        }
        self.line.extend_from_slice(rest);
        if self.line.len() > ROW_BYTES_MAX {
            return Err(self.too_long());
        }
        if piece.is_empty() {
            out.extend(self.line_done());
        }
        Ok(out)
    }

    fn line_done(&mut self) -> Option<Item> {
        let line = std::mem::take(&mut self.line);
        let text = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line).trim_ascii();
        if text.is_empty() {
            return None;
        }
        self.row += 1;
        let named = match serde_json::from_slice::<Value>(text) {
            Ok(value) => Named::of_json(&value),
            Err(_) => {
                let shown = String::from_utf8_lossy(text).chars().take(SHOWN_CHARS).collect();
                Err((shown, "The line is no JSON.".to_owned()))
            }
        };
        Some(Item { row: self.row, named })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: Format, text: &str, piece: usize) -> Result<Vec<Item>, Error> {
        let mut upload = Upload::new(format);
        let mut out = Vec::new();
        for some in text.as_bytes().chunks(piece) {
            out.extend(upload.read(some)?);
        }
        out.extend(upload.read(&[])?);
        Ok(out)
    }

    fn user(id: &str) -> Named {
        Named::Identifier(IdentifierKind::UserId, id.to_owned())
    }

    #[test]
    fn an_upload_is_the_same_however_it_is_cut_up() {
        let csv = "\u{feff}name,user_id\r\n\"A, \"\"B\"\"\",u1\nC,u2\nD\n";
        let lines = "{\"user_id\":\"u1\"}\n\n\"u2\"\n7\n{\"email\":\"A@Shop.example\"}\nnonsense";
        for piece in [1, 2, 3, 7, 1_000] {
            let items = read(Format::Csv, csv, piece).unwrap();
            let named: Vec<_> = items.iter().map(|item| (item.row, item.named.clone().ok())).collect();
            assert_eq!(named, [(1, Some(user("u1"))), (2, Some(user("u2"))), (3, None)]);
            let items = read(Format::Ndjson, lines, piece).unwrap();
            let named: Vec<_> = items.iter().map(|item| item.named.clone().ok()).collect();
            let address = Named::Identifier(IdentifierKind::Email, "a@shop.example".to_owned());
            assert_eq!(
                named,
                [Some(user("u1")), Some(user("u2")), Some(Named::Profile(7)), Some(address), None]
            );
        }
    }

    #[test]
    fn what_cannot_be_read_on_is_refused_at_once() {
        assert!(read(Format::Csv, "name,phone\nA,1\n", 100).is_err());
        assert!(read(Format::Csv, &format!("user_id\n\"{}", "x".repeat(2 * ROW_BYTES_MAX)), 1_000).is_err());
        assert!(read(Format::Ndjson, &"x".repeat(2 * ROW_BYTES_MAX), 1_000).is_err());
    }
}
