//! What can go wrong in the lake.

/// An error of the lake.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The query is not one we answer.
    #[error("{0}")]
    Invalid(String),
    /// A limit was reached.
    #[error("{0}")]
    Limited(String),
    /// Files cannot be read or written.
    #[error("the lake cannot be reached: {0}")]
    Unavailable(String),
    /// A file is not what was written.
    #[error("damaged lake: {0}")]
    Corrupt(String),
}

impl Error {
    /// What it asks of the caller.
    pub fn kind(&self) -> model::Kind {
        match self {
            Error::Invalid(_) => model::Kind::Invalid,
            Error::Limited(_) => model::Kind::Limited,
            Error::Unavailable(_) => model::Kind::Unavailable,
            Error::Corrupt(_) => model::Kind::Corrupt,
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error::Unavailable(error.to_string())
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Error {
        Error::Corrupt(error.to_string())
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(error: parquet::errors::ParquetError) -> Error {
        Error::Corrupt(error.to_string())
    }
}
