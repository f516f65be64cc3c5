//! What can be wrong with a condition, with its place, so that an editor can point at it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a condition was refused, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub struct Error {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// From 0, in bytes of the text.
    pub offset: usize,
    /// What happened and what to do.
    pub message: String,
    /// What could have stood there.
    pub expected: Vec<String>,
    /// A known word or name that resembles what stood there.
    pub nearest: Option<String>,
}

impl Error {
    /// Names the remedy: correct the text.
    pub fn kind(&self) -> model::Kind {
        model::Kind::Invalid
    }

    pub(crate) fn at(text: &str, offset: usize, message: impl Into<String>) -> Error {
        let (line, column) = position(text, offset);
        Error { line, column, offset, message: message.into(), expected: Vec::new(), nearest: None }
    }
}

/// The line and column, from 1, of a byte offset.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)?;
        if !self.expected.is_empty() {
            write!(f, "; expected {}", self.expected.join(", "))?;
        }
        if let Some(nearest) = &self.nearest {
            write!(f, "; did you mean '{nearest}'?")?;
        }
        Ok(())
    }
}
