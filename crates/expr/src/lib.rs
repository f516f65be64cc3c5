//! The one condition language: parsed, checked, printed, described and, leaf by leaf, evaluated here.
//!
//! Segments, journeys, campaigns, content variants and import mappings ask "who" and "when" in this language.
//! The text form and the JSON tree carry the same tree without loss. This crate knows no event history: counting
//! and windows over time are the feature engine's (`segment`); calendars and single comparisons are ours.
//!
//! ```
//! let text = r#"country = "BD" and did "Product Added" in last 48 hours"#;
//! let condition = expr::parse(text).unwrap();
//! assert_eq!(condition.to_string(), text);
//! let json = serde_json::to_string(&condition).unwrap();
//! assert_eq!(serde_json::from_str::<expr::Condition>(&json).unwrap(), condition);
//! ```

mod assist;
mod ast;
mod calendar;
mod check;
mod describe;
mod error;
mod eval;
mod figure;
mod forms;
mod lex;
mod name;
mod parse;
mod print;
pub mod sql;

pub use assist::{Completion, Hint, complete, hint};
pub use ast::{
    Aggregate, Comparison, Condition, EventPattern, Filter, Literal, Month, Occasion, Op, Passage, Path,
    Pattern, Period, Quantifier, Says, Test, Then, Weekday, Which, Window,
};
pub use calendar::{Span, Unit, When, bucket, day_of, instant_of, next_midnight};
pub use check::{Checked, Problem, Schema, check, check_text, nearest};
pub use describe::{describe, describe_filter};
pub use error::Error;
pub use eval::{
    Attributes, Consented, Leaf, NoAttributes, draw, elements_pass, evaluate_attribute, lookup, test_value,
};
pub use figure::{
    CheckedFigure, FIGURES, Figure, TERMS_MAX, Term, check_figure, check_figure_text, describe_figure,
};
pub use forms::{FORMS, Form};
pub use parse::{parse, parse_figure, parse_filter};

/// Depth of nested groups and negations.
pub const DEPTH_MAX: usize = 50;
/// Leaves and groups in one condition.
pub const NODES_MAX: usize = 2_000;
/// Bytes of a condition's text.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one regular expression.
pub const PATTERN_BYTES_MAX: usize = 1_000;
