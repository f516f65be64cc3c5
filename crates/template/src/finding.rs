//! What a check found in a template: how grave, where, and what to do.

use serde::Serialize;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It must not be published so.
    Error,
    /// Somebody should look.
    Warning,
    /// Good to know.
    Note,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable code for programs.
    pub code: String,
    /// How grave.
    pub severity: Severity,
    /// What is wrong and what to do.
    pub message: String,
    /// subject, preheader, body or text; or the name of a partial.
    pub part: String,
    /// Line from 1; 0 when it is about the whole.
    pub line: usize,
    /// Column in characters from 1; 0 when it is about the whole.
    pub column: usize,
    /// The mail programs concerned; empty for all.
    pub clients: Vec<String>,
}
