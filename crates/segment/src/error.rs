//! Why definitions do not build.

/// Why definitions do not build.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A definition refers to a segment that does not exist.
    #[error("'{key}' refers to the segment \"{segment}\", which does not exist")]
    Unknown {
        /// The definition.
        key: String,
        /// The segment it refers to.
        segment: String,
    },
    /// Segments refer to each other in a circle.
    #[error("segments refer to each other in a circle: {path}")]
    Circle {
        /// The keys along the circle.
        path: String,
    },
    /// Two definitions have one key.
    #[error("two definitions have the key '{key}'")]
    Twice {
        /// The key.
        key: String,
    },
    /// A count within a window is compared with too large a number.
    #[error("'{key}' counts beyond {max} within a window: use a smaller number or a sum", max = crate::COUNT_MAX)]
    Count {
        /// The definition.
        key: String,
    },
}

impl Error {
    /// What it asks of its caller.
    pub fn kind(&self) -> model::Kind {
        match self {
            Error::Unknown { .. } => model::Kind::Missing,
            Error::Circle { .. } | Error::Count { .. } => model::Kind::Invalid,
            Error::Twice { .. } => model::Kind::Conflict,
        }
    }
}
