//! From text to tree: a recursive descent with bounded depth, whose errors say what could have stood there.

mod figure;
mod leaf;
mod test;

pub use figure::parse_figure;

use crate::ast::*;
use crate::calendar::{Span, Unit, When};
use crate::check::nearest;
use crate::lex::{Placed, Token, lex};
use crate::{DEPTH_MAX, Error, NODES_MAX};

/// Reads a condition.
///
/// # Errors
/// The first thing that cannot be read, with its place and what could have stood there.
pub fn parse(text: &str) -> Result<Condition, Error> {
    let mut parser = Parser::new(text)?;
    let condition = parser.condition()?;
    parser.finish(&["'and'", "'or'", "the end"])?;
    Ok(condition)
}

/// Reads a test of the properties of one event or row: what stands after `where`.
///
/// # Errors
/// The first thing that cannot be read, with its place and what could have stood there.
pub fn parse_filter(text: &str) -> Result<Filter, Error> {
    let mut parser = Parser::new(text)?;
    let filter = parser.filter()?;
    parser.finish(&["'and'", "'or'", "the end"])?;
    Ok(filter)
}

pub(crate) fn parse_path(text: &str) -> Result<Path, Error> {
    let mut parser = Parser::new(text)?;
    let path = parser.path()?;
    parser.finish(&["'.'", "the end"])?;
    Ok(path)
}

/// Words that begin a condition other than an attribute's, or join conditions.
pub(crate) const RESERVED: [&str; 28] = [
    "and",
    "or",
    "not",
    "did",
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "distinct",
    "top",
    "first",
    "last",
    "hours",
    "days",
    "weeks",
    "months",
    "time",
    "in",
    "consents",
    "subscribed",
    "any",
    "all",
    "none",
    "where",
    "of",
    "then",
    "is",
];

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Placed>,
    at: usize,
    depth: usize,
    nodes: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Parser<'a>, Error> {
        Ok(Parser { text, tokens: lex(text)?, at: 0, depth: 0, nodes: 0 })
    }

    fn peek(&self) -> &Token {
        self.ahead(0)
    }

    fn ahead(&self, by: usize) -> &Token {
        &self.tokens[(self.at + by).min(self.tokens.len() - 1)].token
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn fail(&self, message: impl Into<String>) -> Error {
        Error::at(self.text, self.tokens[self.at].offset, message)
    }

    fn expected<T>(&self, expected: &[&str]) -> Result<T, Error> {
        let mut error = self.fail(format!("{} does not fit here", self.peek().shown()));
        error.expected = expected.iter().map(|each| (*each).to_owned()).collect();
        if let Token::Word(word) = self.peek() {
            let words = expected.iter().flat_map(|each| each.split(' ')).map(|each| each.trim_matches('\''));
            error.nearest = nearest(word, words.filter(|each| each.len() > 1));
        }
        Err(error)
    }

    fn is_word(&self, by: usize, word: &str) -> bool {
        matches!(self.ahead(by), Token::Word(there) if there.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let there = self.is_word(0, word);
        if there {
            self.next();
        }
        there
    }

    fn word(&mut self, word: &str) -> Result<(), Error> {
        if self.take_word(word) { Ok(()) } else { self.expected(&[&format!("'{word}'")]) }
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let there = matches!(self.peek(), Token::Sign(there) if *there == sign);
        if there {
            self.next();
        }
        there
    }

    fn sign(&mut self, sign: &str) -> Result<(), Error> {
        if self.take_sign(sign) { Ok(()) } else { self.expected(&[&format!("'{sign}'")]) }
    }

    /// Whether no leaf goes on here.
    fn ends_here(&self) -> bool {
        matches!(self.peek(), Token::End | Token::Sign(")"))
            || self.is_word(0, "and")
            || self.is_word(0, "or")
    }

    fn finish(&self, expected: &[&str]) -> Result<(), Error> {
        if *self.peek() == Token::End { Ok(()) } else { self.expected(expected) }
    }

    fn enter(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(
                self.fail(format!("groups nest deeper than {DEPTH_MAX}: give a part a name as a segment"))
            );
        }
        Ok(())
    }

    fn node(&mut self) -> Result<(), Error> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(self.fail(format!("more than {NODES_MAX} parts: give some a name as a segment")));
        }
        Ok(())
    }

    fn text(&mut self, what: &str) -> Result<String, Error> {
        match self.peek() {
            Token::Text(_) => match self.next() {
                Token::Text(text) => Ok(text),
                _ => self.expected(&[what]),
            },
            _ => self.expected(&[what]),
        }
    }

    // Groups.

    fn condition(&mut self) -> Result<Condition, Error> {
        self.enter()?;
        let first = self.conjunction()?;
        let mut parts = vec![first];
        while self.take_word("or") {
            parts.push(self.conjunction()?);
        }
        self.depth -= 1;
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Or { any: parts } })
    }

    fn conjunction(&mut self) -> Result<Condition, Error> {
        let mut parts = vec![self.unary()?];
        while self.take_word("and") {
            parts.push(self.unary()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::And { all: parts } })
    }

    fn unary(&mut self) -> Result<Condition, Error> {
        self.node()?;
        if self.take_word("not") {
            self.enter()?;
            let condition = Box::new(self.unary()?);
            self.depth -= 1;
            return Ok(Condition::Not { condition });
        }
        if self.take_sign("(") {
            let inner = self.condition()?;
            self.sign(")")?;
            return Ok(inner);
        }
        self.leaf()
    }

    fn leaf(&mut self) -> Result<Condition, Error> {
        let Token::Word(word) = self.peek().clone() else {
            return match self.peek() {
                Token::Name(_) => self.attribute(),
                Token::Text(_) => self.sequence(),
                _ => self.expected(&[
                    "an attribute",
                    "'did'",
                    "'count'",
                    "an event in double quotes",
                    "'in segment'",
                    "'not'",
                    "'('",
                ]),
            };
        };
        let follows_text = matches!(self.ahead(1), Token::Text(_));
        let follows_group = matches!(self.ahead(1), Token::Sign("("));
        if let Some(special) = self.special(&word.to_ascii_lowercase()) {
            return special;
        }
        match word.to_ascii_lowercase().as_str() {
            "did" => self.did(),
            "any" | "all" | "none" => {
                let Some((quantifier, path)) = self.quantifier()? else { return self.expected(&["'any'"]) };
                let filter = self.filter()?;
                self.sign(")")?;
                Ok(Condition::Elements { quantifier, path, filter })
            }
            "count" => {
                self.next();
                let event = self.event()?;
                let window = self.window()?;
                Ok(Condition::Count { event, window, test: self.number_test()? })
            }
            "in" => {
                self.next();
                if self.take_word("random") {
                    return self.random();
                }
                if !self.take_word("segment") {
                    return self.expected(&["'segment'", "'random'"]);
                }
                Ok(Condition::InSegment { segment: self.text("the segment's name in double quotes")? })
            }
            "time" if self.is_word(1, "since") => {
                self.at += 2;
                let Occasion { which, event } = self.occasion()?;
                let signs = ["'>'", "'>='", "'<'", "'<='"];
                let Token::Sign(sign) = *self.peek() else { return self.expected(&signs) };
                let Some(op) = op(sign).filter(|op| !matches!(op, Op::Equal | Op::NotEqual)) else {
                    return self.expected(&signs);
                };
                self.next();
                Ok(Condition::Since { which, event, op, span: self.span()? })
            }
            "first" | "last" if follows_text => {
                let left = self.occasion()?;
                let comparison = match self.peek() {
                    Token::Word(word) => Comparison::from_word(word),
                    _ => None,
                };
                let Some(comparison) = comparison else { return self.expected(&["'after'", "'before'"]) };
                self.next();
                Ok(Condition::Order { left, comparison, right: self.occasion()? })
            }
            "hours" | "days" | "weeks" | "months" if self.is_word(1, "with") => {
                let Some(period) = Period::from_word(&word) else { return self.expected(&["'weeks'"]) };
                self.at += 2;
                let event = self.event()?;
                let window = self.window()?;
                Ok(Condition::Periods { period, event, window, test: self.number_test()? })
            }
            _ if follows_group && Aggregate::from_word(&word).is_some() => {
                let Some(function) = Aggregate::from_word(&word) else { return self.expected(&["'sum'"]) };
                self.next();
                self.sign("(")?;
                let property = self.path()?;
                self.sign(")")?;
                self.word("of")?;
                let event = self.event()?;
                let before = self.at;
                let mut window = self.window()?;
                if window.is_some() && self.ends_here() {
                    // `last(renewal) of "Order Completed" before 2026-01-01`: what looks like a window is the test.
                    (self.at, window) = (before, None);
                }
                let numeric = !matches!(function, Aggregate::Top | Aggregate::First | Aggregate::Last);
                let test = if numeric { self.number_test()? } else { self.event_test()? };
                Ok(Condition::Aggregate { function, property, event, window, test })
            }
            _ if follows_text && !RESERVED.contains(&word.to_ascii_lowercase().as_str()) => {
                let starts = [
                    "did",
                    "count",
                    "in segment",
                    "last",
                    "first",
                    "weeks with",
                    "stopped",
                    "resumed",
                    "regularly",
                    "not",
                ];
                let mut error = self.fail(format!("'{word}' does not begin a condition"));
                error.expected = starts.iter().map(|each| format!("'{each}'")).collect();
                error.nearest = nearest(&word, starts.into_iter());
                Err(error)
            }
            _ => self.attribute(),
        }
    }

    fn path(&mut self) -> Result<Path, Error> {
        let mut names = Vec::new();
        loop {
            match self.peek().clone() {
                Token::Word(word) => {
                    if names.is_empty() && RESERVED.contains(&word.to_ascii_lowercase().as_str()) {
                        let mut error = self.fail(format!("'{word}' is a word of the language"));
                        error.expected = vec![format!(
                            "a name; an attribute of this name is written `{word}` in backticks"
                        )];
                        return Err(error);
                    }
                    names.push(word);
                }
                Token::Name(name) => names.push(name),
                _ => return self.expected(&["a name"]),
            }
            self.next();
            if names.len() > 16 {
                return Err(self.fail("a path has at most 16 names"));
            }
            if !self.take_sign(".") {
                break;
            }
        }
        Path::new(names).ok_or_else(|| self.fail("a name is empty"))
    }

    // Events.

    fn occasion(&mut self) -> Result<Occasion, Error> {
        let which = match self.peek() {
            Token::Word(word) => Which::from_word(word),
            _ => None,
        };
        let Some(which) = which else { return self.expected(&["'last'", "'first'"]) };
        self.next();
        Ok(Occasion { which, event: self.event()? })
    }

    fn event(&mut self) -> Result<EventPattern, Error> {
        let name = self.text("an event's name in double quotes")?;
        if name.is_empty() {
            return Err(self.fail("an event's name is empty"));
        }
        let filter = if self.take_word("where") { Some(self.filter_unary()?) } else { None };
        Ok(EventPattern { name, filter })
    }

    fn filter(&mut self) -> Result<Filter, Error> {
        self.enter()?;
        let mut parts = vec![self.filter_conjunction()?];
        while self.take_word("or") {
            parts.push(self.filter_conjunction()?);
        }
        self.depth -= 1;
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::Or { any: parts } })
    }

    fn filter_conjunction(&mut self) -> Result<Filter, Error> {
        let mut parts = vec![self.filter_unary()?];
        while self.take_word("and") {
            parts.push(self.filter_unary()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::And { all: parts } })
    }

    fn filter_unary(&mut self) -> Result<Filter, Error> {
        self.node()?;
        if self.take_word("not") {
            self.enter()?;
            let filter = Box::new(self.filter_unary()?);
            self.depth -= 1;
            return Ok(Filter::Not { filter });
        }
        if self.take_sign("(") {
            let inner = self.filter()?;
            self.sign(")")?;
            return Ok(inner);
        }
        if let Some((quantifier, path)) = self.quantifier()? {
            let filter = Box::new(self.filter()?);
            self.sign(")")?;
            return Ok(Filter::Elements { quantifier, path, filter });
        }
        let path = self.path()?;
        Ok(Filter::Property { path, test: self.event_test()? })
    }

    // Windows and spans.

    fn window(&mut self) -> Result<Option<Window>, Error> {
        let dated = matches!(self.ahead(1), Token::Date(_));
        if self.is_word(0, "in") && self.is_word(1, "last") {
            self.at += 2;
            return Ok(Some(Window::InLast { span: self.span()? }));
        }
        if self.is_word(0, "in") && self.is_word(1, "next") {
            return Err(self.fail("events lie in the past: a window reads 'in last 30 days'"));
        }
        if self.is_ago() {
            return Ok(Some(self.ago()?));
        }
        if self.is_word(0, "before") && self.is_word(1, "last") {
            self.at += 2;
            return Ok(Some(Window::BeforeLast { span: self.span()? }));
        }
        if self.is_word(0, "since") {
            self.next();
            return Ok(Some(Window::Since { when: self.when()? }));
        }
        if self.is_word(0, "before") {
            self.next();
            return Ok(Some(Window::Before { when: self.when()? }));
        }
        if self.is_word(0, "between") && dated {
            self.next();
            let from = self.when()?;
            self.word("and")?;
            return Ok(Some(Window::Between { from, to: self.when()? }));
        }
        if self.take_word("today") {
            return Ok(Some(Window::Today));
        }
        Ok(None)
    }

    fn span(&mut self) -> Result<Span, Error> {
        let Token::Number(number) = *self.peek() else {
            return self.expected(&["a whole number, as in '30 days'"]);
        };
        if number.fract() != 0.0 || number < 1.0 || number > f64::from(Span::AMOUNT_MAX) {
            return Err(self.fail(format!("a span counts in whole numbers from 1 to {}", Span::AMOUNT_MAX)));
        }
        self.next();
        let unit = match self.peek() {
            Token::Word(word) => Unit::from_word(word),
            _ => None,
        };
        let Some(unit) = unit else {
            return self.expected(&["seconds", "minutes", "hours", "days", "weeks", "months", "years"]);
        };
        let longest = Span { amount: 1, unit }.micros_max() as f64 * number;
        if longest > 200.0 * 366.0 * model::time::DAY as f64 {
            return Err(self.fail("a span is at most 200 years"));
        }
        self.next();
        Ok(Span { amount: number as u32, unit })
    }

    fn when(&mut self) -> Result<When, Error> {
        let Token::Date(date) = self.peek() else { return self.expected(&["a date such as 2027-01-01"]) };
        let Some(when) = When::parse(date) else {
            return Err(self
                .fail(format!("'{date}' is not a date (2027-01-01) or an instant (2027-01-01T10:00:00Z)")));
        };
        self.next();
        Ok(when)
    }
}

fn op(sign: &str) -> Option<Op> {
    [Op::Equal, Op::NotEqual, Op::Less, Op::LessOrEqual, Op::Greater, Op::GreaterOrEqual]
        .into_iter()
        .find(|op| op.sign() == sign)
}
