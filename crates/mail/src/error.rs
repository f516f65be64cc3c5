//! What can go wrong with a mail before it is handed over.

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something given is wrong.
    #[error("{0}")]
    Invalid(String),
    /// A token that is not ours.
    #[error("{0}")]
    Missing(String),
    /// A fault of ours.
    #[error("internal fault: {0}")]
    Bug(String),
}

impl Error {
    /// What it asks of the caller.
    pub fn kind(&self) -> model::Kind {
        match self {
            Error::Invalid(_) => model::Kind::Invalid,
            Error::Missing(_) => model::Kind::Missing,
            Error::Bug(_) => model::Kind::Bug,
        }
    }
}
