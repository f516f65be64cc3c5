//! The one error of the workers and of what they offer: a kind, a code, and where in the input it lies.

use model::Kind;
use serde::Serialize;

/// A fault in something a person wrote: a condition, a template, a definition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where in the document, such as `/where`.
    pub path: String,
    /// Line from 1; 0 when it does not apply.
    pub line: u32,
    /// Column from 1; 0 when it does not apply.
    pub column: u32,
    /// Byte offset.
    pub offset: u32,
    /// What is wrong and what to do.
    pub message: String,
    /// What was expected there.
    pub expected: Vec<String>,
    /// The nearest known name.
    pub nearest: Option<String>,
}

/// What can go wrong in the flow.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is wrong, with each fault.
    #[error("{detail}")]
    Invalid {
        /// Stable code.
        code: &'static str,
        /// All of it in a sentence.
        detail: String,
        /// Each fault.
        problems: Vec<Problem>,
    },
    /// No such thing.
    #[error("{0}")]
    Missing(String),
    /// Collides with the present state.
    #[error("{0}")]
    Conflict(String),
    /// Too much at once.
    #[error("{detail}")]
    Limited {
        /// What is full.
        detail: String,
        /// When to try again.
        retry_after_s: u32,
    },
    /// Try again later.
    #[error("{0}")]
    Unavailable(String),
    /// Stored data is damaged.
    #[error("damaged data: {0}")]
    Corrupt(String),
    /// A fault of ours.
    #[error("internal fault: {0}")]
    Bug(String),
    /// The store or the log.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The lake or SQL.
    #[error(transparent)]
    Lake(#[from] lake::Error),
}

impl Error {
    /// One wrong input with one fault.
    pub fn invalid(code: &'static str, path: &str, message: impl Into<String>) -> Error {
        let message = message.into();
        let problem = Problem { path: path.to_owned(), message: message.clone(), ..Problem::default() };
        Error::Invalid { code, detail: message, problems: vec![problem] }
    }

    /// What it asks of the caller.
    pub fn kind(&self) -> Kind {
        match self {
            Error::Invalid { .. } => Kind::Invalid,
            Error::Missing(_) => Kind::Missing,
            Error::Conflict(_) => Kind::Conflict,
            Error::Limited { .. } => Kind::Limited,
            Error::Unavailable(_) => Kind::Unavailable,
            Error::Corrupt(_) => Kind::Corrupt,
            Error::Bug(_) => Kind::Bug,
            Error::Store(error) => error.kind(),
            Error::Lake(error) => error.kind(),
        }
    }

    /// The stable code of the documentation page.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Invalid { code, .. } => code,
            _ => match self.kind() {
                Kind::Invalid => "invalid",
                Kind::Denied => "denied",
                Kind::Missing => "missing",
                Kind::Conflict => "conflict",
                Kind::Limited => "limited",
                Kind::Unavailable => "unavailable",
                Kind::Corrupt => "corrupt",
                Kind::Bug => "bug",
            },
        }
    }

    /// Each fault of the input.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Error::Invalid { problems, .. } => problems,
            _ => &[],
        }
    }
}
