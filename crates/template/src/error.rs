//! What can go wrong with a template, with the place in the author's source.

use model::Kind;

/// A place in the author's source.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// The part or partial, empty for the main source.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Place {
    /// The place of byte `offset` of `source`.
    pub fn of(file: &str, source: &str, offset: usize) -> Place {
        let mut end = offset.min(source.len());
        while !source.is_char_boundary(end) {
            end -= 1;
        }
        let before = &source[..end];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Place {
            file: file.to_owned(),
            line: before.bytes().filter(|b| *b == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.file.is_empty() {
            write!(f, "{}:{}", self.line, self.column)
        } else {
            write!(f, "{}:{}:{}", self.file, self.line, self.column)
        }
    }
}

/// A template that cannot be compiled or rendered.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The source does not follow the language.
    #[error("{place}: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// What is wrong and what to do.
        message: String,
    },
    /// Rendering stopped at a value that cannot be used so.
    #[error("{place}: {message}")]
    Render {
        /// Where.
        place: Place,
        /// What is wrong.
        message: String,
    },
    /// A limit was reached.
    #[error("{place}: {message}")]
    Limit {
        /// Where.
        place: Place,
        /// Which limit.
        message: String,
    },
    /// The author's `abort` tag: no mail for this person.
    #[error("{place}: aborted: {reason}")]
    Abort {
        /// Where.
        place: Place,
        /// The author's reason.
        reason: String,
    },
    /// The layout (MJML, HTML, CSS) cannot be compiled.
    #[error("{place}: {message}")]
    Layout {
        /// Where.
        place: Place,
        /// What is wrong and what to do.
        message: String,
    },
}

impl Error {
    /// What the error asks of its caller.
    pub fn kind(&self) -> Kind {
        match self {
            Error::Limit { .. } => Kind::Limited,
            _ => Kind::Invalid,
        }
    }

    /// Where it happened.
    pub fn place(&self) -> &Place {
        match self {
            Error::Syntax { place, .. }
            | Error::Render { place, .. }
            | Error::Limit { place, .. }
            | Error::Abort { place, .. }
            | Error::Layout { place, .. } => place,
        }
    }

    /// The message without the place.
    pub fn message(&self) -> &str {
        match self {
            Error::Syntax { message, .. }
            | Error::Render { message, .. }
            | Error::Limit { message, .. }
            | Error::Layout { message, .. } => message,
            Error::Abort { reason, .. } => reason,
        }
    }

    pub(crate) fn in_file(mut self, name: &str) -> Error {
        match &mut self {
            Error::Syntax { place, .. }
            | Error::Render { place, .. }
            | Error::Limit { place, .. }
            | Error::Abort { place, .. }
            | Error::Layout { place, .. } => {
                if place.file.is_empty() {
                    name.clone_into(&mut place.file);
                }
            }
        }
        self
    }
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure inside an evaluation, before its place is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A value that cannot be used so.
    Value(String),
    /// A limit.
    Limit(String),
    /// The host refuses: no mail for this person.
    Refused(String),
}

impl Fault {
    pub(crate) fn value<T>(message: impl Into<String>) -> std::result::Result<T, Fault> {
        Err(Fault::Value(message.into()))
    }
    pub(crate) fn limit<T>(message: impl Into<String>) -> std::result::Result<T, Fault> {
        Err(Fault::Limit(message.into()))
    }
}
