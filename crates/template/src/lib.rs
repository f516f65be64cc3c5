//! Turns a template and a person's data into the mail they get: Liquid, MJML, links, text part.
//!
//! Compiled once per version, rendered once per recipient; pure, within hard limits, escaping by context.

pub mod contract;
pub mod engine;
pub mod error;
pub mod escape;
mod expression;
mod filter;
pub mod finding;
mod handlebars;
mod layout;
pub mod links;
pub mod message;
mod number;
pub mod plain;
pub mod reference;
mod render;
pub mod scenario;
pub mod supply;
mod syntax;
pub mod value;

pub use engine::{Engine, Limits, Missing, OnError, Options, Partials, Program, Trace, Way};
pub use error::{Error, Place, Result};
pub use finding::{Finding, Severity};
pub use links::{Dressing, Link, Rewrite};
pub use message::{Body, Rendered, Source, Template, one_line, render_document, render_document_as};
pub use supply::{Ask, Supplied};
pub use value::{Object, Val};
