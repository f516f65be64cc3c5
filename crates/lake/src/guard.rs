//! What a query's text must be before it is planned: the parser and the planner recurse, so depth is bounded here.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast::{Expr, Query, Select, Statement as Sql, TableFactor, Visit, Visitor};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::Error;

/// Stack of a thread that reads, plans or runs a query: all recurse as deep as the limits below let a query be.
pub const STACK_BYTES: usize = 64 << 20;
/// Bytes of a query's text.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Open parentheses within each other.
const NESTING_MAX: usize = 100;
/// Words and signs without a comma between them, those around open parentheses included: no chain of operators is
/// longer.
const CHAIN_MAX: usize = 400;
/// SELECTs, and what links them.
const ARMS_MAX: usize = 100;
/// Tables and subqueries, each counted as often as the names in WITH repeat it.
const SOURCES_MAX: u64 = 64;
/// Expressions within each other, through all subqueries.
const DEPTH_MAX: u64 = 250;
/// Copies of a column, through all subqueries.
const COPIES_MAX: u64 = 10_000;

fn tokens(sql: &str) -> Result<(), Error> {
    if sql.len() > TEXT_BYTES_MAX {
        return Err(Error::Limited(format!(
            "The query has {} bytes; at most {TEXT_BYTES_MAX} are read.",
            sql.len()
        )));
    }
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize()
        .map_err(|error| Error::Invalid(format!("The SQL is not understood: {error}")))?;
    // Per open parenthesis: what has been read there since the last comma.
    let mut open = vec![0_usize];
    let (mut chain, mut arms) = (0, 0);
    for token in &tokens {
        match token {
            Token::Whitespace(_) => continue,
            Token::Comma => chain -= open.last_mut().map_or(0, std::mem::take),
            Token::LParen | Token::LBracket | Token::LBrace => {
                step(&mut open, &mut chain);
                open.push(0);
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                if open.len() > 1 {
                    chain -= open.pop().unwrap_or(0);
                }
            }
            _ => step(&mut open, &mut chain),
        }
        arms += usize::from(match token {
            Token::VerticalBarRightAngleBracket => true,
            Token::Word(word) => matches!(
                word.keyword,
                Keyword::SELECT | Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS
            ),
            _ => false,
        });
        if open.len() > NESTING_MAX + 1 {
            return Err(Error::Limited(format!(
                "The query opens more than {NESTING_MAX} parentheses within each other: nest less."
            )));
        }
        if chain > CHAIN_MAX {
            return Err(Error::Limited(format!(
                "The query has an expression of more than {CHAIN_MAX} words and signs: write it shorter, many \
                 values as IN (…)."
            )));
        }
        if arms > ARMS_MAX {
            return Err(Error::Limited(format!(
                "The query links more than {} SELECTs: use fewer.",
                ARMS_MAX / 2
            )));
        }
    }
    Ok(())
}

fn step(open: &mut [usize], chain: &mut usize) {
    if let Some(last) = open.last_mut() {
        *last += 1;
        *chain += 1;
    }
}

/// What the planner makes of a query once every name in WITH is replaced by what it stands for.
#[derive(Clone, Copy)]
struct Size {
    /// Tables and subqueries.
    sources: u64,
    /// Expressions within each other, when conditions are pushed down to the tables.
    depth: u64,
    /// How often a column may then be repeated.
    copies: u64,
}

impl Size {
    const NONE: Size = Size { sources: 0, depth: 0, copies: 1 };
    const TABLE: Size = Size { sources: 1, ..Size::NONE };
}

struct Open {
    /// Of all that is read.
    read: Size,
    /// Expressions open now, and the most so far.
    depth: u64,
    deepest: u64,
    /// How often the most frequent name occurs in the columns of a SELECT.
    repeats: u64,
}

#[derive(Default)]
struct Sizes {
    open: Vec<Open>,
    /// Where the queries in WITH stand, and their names.
    named: HashMap<usize, String>,
    /// What a name in WITH stands for; the largest of several.
    known: HashMap<String, Size>,
    total: Option<Size>,
}

impl Sizes {
    fn read(&mut self, size: Size) {
        match self.open.last_mut() {
            Some(open) => {
                open.read.sources = open.read.sources.saturating_add(size.sources);
                open.read.depth = open.read.depth.max(size.depth);
                open.read.copies = open.read.copies.max(size.copies);
            }
            None => self.total = Some(size),
        }
    }
}

impl Visitor for Sizes {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            let at = std::ptr::from_ref::<Query>(&table.query).addr();
            self.named.insert(at, table.alias.name.value.to_lowercase());
        }
        self.open.push(Open { read: Size::TABLE, depth: 0, deepest: 0, repeats: 1 });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let Some(open) = self.open.pop() else { return ControlFlow::Continue(()) };
        let size = Size {
            sources: open.read.sources,
            depth: open.read.depth.saturating_add(open.deepest),
            copies: open.read.copies.saturating_mul(open.repeats),
        };
        match self.named.remove(&std::ptr::from_ref(query).addr()) {
            Some(name) => {
                let known = self.known.entry(name).or_insert(Size::NONE);
                known.sources = known.sources.max(size.sources);
                known.depth = known.depth.max(size.depth);
                known.copies = known.copies.max(size.copies);
            }
            None => self.read(size),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let mut names = Names::default();
        let _ = select.projection.visit(&mut names);
        if let Some(open) = self.open.last_mut() {
            open.repeats = names.0.into_values().fold(open.repeats, u64::max);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let known = match factor {
            TableFactor::Table { name, .. } => {
                self.known.get(&name.to_string().replace('"', "").to_lowercase())
            }
            _ => None,
        };
        self.read(known.copied().unwrap_or(Size::TABLE));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        if let Some(open) = self.open.last_mut() {
            open.depth += 1;
            open.deepest = open.deepest.max(open.depth);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        if let Some(open) = self.open.last_mut() {
            open.depth = open.depth.saturating_sub(1);
        }
        ControlFlow::Continue(())
    }
}

/// How often each name of a column occurs.
#[derive(Default)]
struct Names(HashMap<String, u64>);

impl Visitor for Names {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let name = match expr {
            Expr::Identifier(name) => Some(name),
            Expr::CompoundIdentifier(names) => names.last(),
            _ => None,
        };
        if let Some(name) = name {
            *self.0.entry(name.value.to_lowercase()).or_default() += 1;
        }
        ControlFlow::Continue(())
    }
}

/// One SELECT, neither too long nor too deep.
pub fn parse(sql: &str) -> Result<Statement, Error> {
    tokens(sql)?;
    with_stack(|| statement(sql))
}

/// Runs what recurses on a thread whose stack is known to do, whoever calls.
pub fn with_stack<T: Send>(read: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, read)?;
        thread.join().unwrap_or_else(|_| Err(Error::Invalid("The SQL cannot be read.".to_owned())))
    })
}

fn statement(sql: &str) -> Result<Statement, Error> {
    let mut statements = DFParser::parse_sql(sql).map_err(|error| {
        let text = error.strip_backtrace();
        if text.contains("RecursionLimitExceeded") || text.contains("recursion limit") {
            return Error::Limited("The query nests too deeply to be read: nest less.".to_owned());
        }
        Error::Invalid(format!("The SQL is not understood: {text}"))
    })?;
    let statement = match (statements.pop_front(), statements.is_empty()) {
        (Some(Statement::Statement(statement)), true) if matches!(*statement, Sql::Query(_)) => statement,
        (None, _) => return Err(Error::Invalid("The query is empty: write a SELECT.".to_owned())),
        _ => {
            return Err(Error::Invalid(
                "Only one SELECT is answered; nothing can be changed here.".to_owned(),
            ));
        }
    };
    let mut sizes = Sizes::default();
    let _ = statement.visit(&mut sizes);
    let size = sizes.total.unwrap_or(Size::NONE);
    if size.sources > SOURCES_MAX {
        return Err(Error::Limited(format!(
            "The query reads {} tables and subqueries, names in WITH counted each time; at most {SOURCES_MAX} are \
             joined.",
            size.sources
        )));
    }
    if size.depth > DEPTH_MAX || size.copies > COPIES_MAX {
        return Err(Error::Limited(
            "The query's subqueries compute too much from each other's columns: use fewer steps.".to_owned(),
        ));
    }
    Ok(Statement::Statement(statement))
}
