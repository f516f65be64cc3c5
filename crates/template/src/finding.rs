//! What a check found: a fault of a template, with its place in the author's source.

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Some readers will see it.
    Warning,
    /// The mail should not go out like this.
    Error,
}

/// One fault, with its place.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Finding {
    /// Its kind, a name for settings and documentation.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, why it matters, what to do.
    pub message: String,
    /// `subject`, `preheader`, `body` or `text`.
    pub part: String,
    /// Line of the author's source, from 1; 0 when it concerns the whole part.
    pub line: usize,
    /// Column in characters, from 1; 0 when it concerns the whole part.
    pub column: usize,
    /// The mail clients it concerns; empty when all.
    pub clients: Vec<String>,
}
