//! Handlebars: a second way to write templates, lowered onto the same tree, limits, escaping and trace.
//!
//! Shape: tokens (`lex`), the inside of `{{ }}` (`inner`), blocks (`parse`), helpers (`helper`).

pub(crate) mod helper;
mod inner;
mod lex;
mod parse;

use crate::escape::Context;
use crate::expression::Expr;
use crate::syntax::Body;

pub(crate) use lex::spans;
pub(crate) use parse::Reader;

/// A value of a context.
#[derive(Debug)]
pub(crate) struct Here {
    pub from: From,
    pub steps: Vec<Box<str>>,
    pub text: Box<str>,
}

/// Where a path begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum From {
    /// The context so many above this one.
    Up(u32),
    /// The whole data.
    Root,
    /// A block parameter.
    Slot(u32),
    /// The turn of the loop so many above the innermost.
    Turn(u32, Turn),
}

/// What a turn of a loop is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Turn {
    Index,
    Key,
    First,
    Last,
}

/// A call of a helper.
#[derive(Debug)]
pub(crate) struct Invoke {
    pub name: Box<str>,
    pub code: helper::Code,
    pub args: Vec<Expr>,
    pub named: Vec<(Box<str>, Expr)>,
    pub at: u32,
}

/// A part of a template that only Handlebars has.
#[derive(Debug)]
pub(crate) enum Block {
    Print { value: Expr, raw: bool, context: Context },
    If { test: Expr, negated: bool, zero: Option<Expr>, body: Body, otherwise: Body },
    Each(Each),
    With { value: Expr, same: bool, param: Option<u32>, body: Body, otherwise: Body },
    Section(Each),
    Partial(Partial),
    Define(Box<str>, Body),
    Content,
}

/// A loop, or a section that may be one.
#[derive(Debug)]
pub(crate) struct Each {
    pub over: Expr,
    pub item: Option<u32>,
    pub key: Option<u32>,
    pub body: Body,
    pub otherwise: Body,
}

/// A call of a partial, perhaps with a block that stands in for it or that it prints.
#[derive(Debug)]
pub(crate) struct Partial {
    pub name: Expr,
    pub context: Option<Expr>,
    pub named: Vec<(Box<str>, Expr)>,
    pub block: Option<Body>,
}
