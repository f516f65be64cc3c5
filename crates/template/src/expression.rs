//! The inside of tags: words, expressions, conditions and filter chains.

use crate::filter;

/// A literal or a path.
#[derive(Debug)]
pub(crate) enum Expr {
    Nil,
    Empty,
    Blank,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Box<str>),
    Range(Box<(Expr, Expr)>),
    Var(Box<Path>),
    /// Handlebars: a value of a context.
    Here(Box<crate::handlebars::Here>),
    /// Handlebars: a helper's answer.
    Call(Box<crate::handlebars::Invoke>),
}

/// A variable and the parts asked of it.
#[derive(Debug)]
pub(crate) struct Path {
    pub slot: u32,
    pub steps: Vec<Step>,
    pub text: Box<str>,
}

#[derive(Debug)]
pub(crate) enum Step {
    Dot(Box<str>),
    Index(Expr),
}

/// An expression with filters.
#[derive(Debug)]
pub(crate) struct Chain {
    pub value: Expr,
    pub filters: Vec<Call>,
}

impl Chain {
    /// Something of the author's is printed when the value is missing: a `default`, a size.
    pub fn stands_in(&self) -> bool {
        self.filters.iter().any(|call| matches!(&*call.name, "default" | "size" | "json" | "has"))
    }
}

#[derive(Debug)]
pub(crate) struct Call {
    pub name: Box<str>,
    pub run: Option<filter::Filter>,
    pub args: Vec<Expr>,
    pub named: Vec<(Box<str>, Expr)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Compare {
    Eq,
    Ne,
    Lt,
    Gt,
    Le,
    Ge,
    Contains,
}

/// A condition: a list of terms joined to the right.
#[derive(Debug)]
pub(crate) struct Condition {
    pub terms: Vec<(Term, Join)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Join {
    And,
    Or,
    End,
}

#[derive(Debug)]
pub(crate) struct Term {
    pub left: Expr,
    pub right: Option<(Compare, Expr)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Id(String),
    Str(String),
    Number(String),
    Compare(Compare, &'static str),
    Range,
    Sign(char),
    End,
}

impl Token {
    fn name(&self) -> &'static str {
        match self {
            Token::Id(_) => "id",
            Token::Str(_) => "string",
            Token::Number(_) => "number",
            Token::Compare(..) => "comparison",
            Token::Range => "dotdot",
            Token::Sign(c) => match c {
                '|' => "pipe",
                '.' => "dot",
                ':' => "colon",
                ',' => "comma",
                '[' => "open_square",
                ']' => "close_square",
                '(' => "open_round",
                ')' => "close_round",
                '?' => "question",
                _ => "dash",
            },
            Token::End => "end_of_string",
        }
    }
    fn shown(&self) -> String {
        match self {
            Token::Id(s) | Token::Number(s) | Token::Str(s) => s.clone(),
            Token::Compare(_, s) => (*s).to_owned(),
            Token::Range => "..".into(),
            Token::Sign(c) => c.to_string(),
            Token::End => "the end".into(),
        }
    }
}

/// A message and the byte in the markup it is about.
pub(crate) type Wrong = (usize, String);

fn wrong<T>(at: usize, message: impl Into<String>) -> Result<T, Wrong> {
    Err((at, message.into()))
}

pub(crate) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, Wrong> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut i = 0;
    while i < bytes.len() {
        let b = bytes[i];
        let start = i;
        let two = bytes.get(i + 1).copied();
        if b.is_ascii_whitespace() || b == 0x0b {
            i += 1;
            continue;
        }
        let token = match b {
            b'=' if two == Some(b'=') => {
                i += 2;
                Token::Compare(Compare::Eq, "==")
            }
            b'!' if two == Some(b'=') => {
                i += 2;
                Token::Compare(Compare::Ne, "!=")
            }
            b'<' | b'>' => {
                let (compare, shown) = match (b, two) {
                    (b'<', Some(b'=')) => (Compare::Le, "<="),
                    (b'<', Some(b'>')) => (Compare::Ne, "<>"),
                    (b'<', _) => (Compare::Lt, "<"),
                    (_, Some(b'=')) => (Compare::Ge, ">="),
                    _ => (Compare::Gt, ">"),
                };
                i += shown.len();
                Token::Compare(compare, shown)
            }
            b'\'' | b'"' => {
                let Some(end) = text[i + 1..].find(b as char) else {
                    return wrong(i, format!("Unexpected character {} (the text is not closed)", b as char));
                };
                let content = text[i + 1..i + 1 + end].to_owned();
                i += end + 2;
                Token::Str(content)
            }
            b'0'..=b'9' | b'-' if b != b'-' || two.is_some_and(|c| c.is_ascii_digit()) => {
                i += 1;
                while bytes.get(i).is_some_and(u8::is_ascii_digit) {
                    i += 1;
                }
                if bytes.get(i) == Some(&b'.') && bytes.get(i + 1).is_some_and(u8::is_ascii_digit) {
                    i += 1;
                    while bytes.get(i).is_some_and(u8::is_ascii_digit) {
                        i += 1;
                    }
                }
                Token::Number(text[start..i].to_owned())
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                while bytes.get(i).is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-')) {
                    i += 1;
                }
                if bytes.get(i) == Some(&b'?') {
                    i += 1;
                }
                let word = &text[start..i];
                let after_dot = matches!(out.last(), Some((Token::Sign('.'), _)));
                if word == "contains" && !after_dot {
                    Token::Compare(Compare::Contains, "contains")
                } else {
                    Token::Id(word.to_owned())
                }
            }
            b'.' if two == Some(b'.') => {
                i += 2;
                Token::Range
            }
            b'|' | b'.' | b':' | b',' | b'[' | b']' | b'(' | b')' | b'?' | b'-' => {
                i += 1;
                Token::Sign(b as char)
            }
            _ => {
                let c = text[i..].chars().next().unwrap_or(' ');
                return wrong(i, format!("Unexpected character {c}"));
            }
        };
        out.push((token, start));
    }
    out.push((Token::End, text.len()));
    Ok(out)
}

/// Names to slots.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    pub names: Vec<Box<str>>,
    index: std::collections::HashMap<Box<str>, u32>,
}

impl Symbols {
    pub fn slot(&mut self, name: &str) -> u32 {
        if let Some(slot) = self.index.get(name) {
            return *slot;
        }
        let slot = self.names.len() as u32;
        self.names.push(name.into());
        self.index.insert(name.into(), slot);
        slot
    }
    pub fn find(&self, name: &str) -> Option<u32> {
        self.index.get(name).copied()
    }
}

const DEPTH_MAX: usize = 50;

/// Reads the tokens of one tag.
pub(crate) struct Parser<'s> {
    text: &'s str,
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
    pub symbols: &'s mut Symbols,
}

impl<'s> Parser<'s> {
    pub fn new(text: &'s str, symbols: &'s mut Symbols) -> Result<Parser<'s>, Wrong> {
        Ok(Parser { text, tokens: tokens(text)?, at: 0, depth: 0, symbols })
    }
    pub fn peek(&self) -> &Token {
        self.ahead(0)
    }
    pub fn ahead(&self, n: usize) -> &Token {
        self.tokens.get(self.at + n).map_or(&Token::End, |t| &t.0)
    }
    pub fn offset(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.len(), |t| t.1)
    }
    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }
    pub fn sign(&mut self, c: char) -> bool {
        let found = matches!(self.peek(), Token::Sign(s) if *s == c);
        if found {
            self.at += 1;
        }
        found
    }
    pub fn look(&self, c: char) -> bool {
        matches!(self.peek(), Token::Sign(s) if *s == c)
    }
    pub fn expect_sign(&mut self, c: char) -> Result<(), Wrong> {
        if self.sign(c) { Ok(()) } else { self.unexpected(Token::Sign(c).name()) }
    }
    pub fn unexpected<T>(&self, expected: &str) -> Result<T, Wrong> {
        wrong(self.offset(), format!("Expected {expected} but found {}", self.peek().name()))
    }
    pub fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Id(id) if id == word);
        if found {
            self.at += 1;
        }
        found
    }
    pub fn id(&mut self) -> Result<String, Wrong> {
        if let Token::Id(id) = self.peek() {
            let id = id.clone();
            self.at += 1;
            return Ok(id);
        }
        self.unexpected("id")
    }
    pub fn string(&mut self) -> Result<String, Wrong> {
        if let Token::Str(text) = self.peek() {
            let text = text.clone();
            self.at += 1;
            return Ok(text);
        }
        wrong(self.offset(), format!("Syntax error: expected a string but found {}", self.peek().name()))
    }
    pub fn end(&self) -> Result<(), Wrong> {
        if *self.peek() == Token::End { Ok(()) } else { self.unexpected("end_of_string") }
    }
    pub fn is_end(&self) -> bool {
        *self.peek() == Token::End
    }

    pub fn expression(&mut self) -> Result<Expr, Wrong> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return wrong(self.offset(), "Nesting too deep");
        }
        let start = self.offset();
        let result = match self.peek() {
            Token::Id(_) => {
                let name = self.id()?;
                self.path(&name, start)
            }
            Token::Sign('[') => wrong(start, "Bare bracket access is not allowed. Use self['...'] instead"),
            Token::Str(_) => Ok(Expr::Str(self.string()?.into())),
            Token::Number(_) => {
                let token = self.advance();
                let text = token.shown();
                Ok(match text.parse::<i64>() {
                    Ok(i) => Expr::Int(i),
                    Err(_) => Expr::Float(text.parse().unwrap_or(0.0)),
                })
            }
            Token::Sign('(') => {
                self.at += 1;
                let first = self.expression()?;
                if *self.peek() != Token::Range {
                    return self.unexpected("dotdot");
                }
                self.at += 1;
                let last = self.expression()?;
                self.expect_sign(')')?;
                Ok(Expr::Range(Box::new((first, last))))
            }
            other => {
                wrong(start, format!("[:{}, \"{}\"] is not a valid expression", other.name(), other.shown()))
            }
        };
        self.depth -= 1;
        result
    }

    fn path(&mut self, name: &str, start: usize) -> Result<Expr, Wrong> {
        let mut steps = Vec::new();
        loop {
            if self.sign('[') {
                steps.push(Step::Index(self.expression()?));
                self.expect_sign(']')?;
            } else if self.sign('.') {
                steps.push(Step::Dot(self.id()?.into()));
            } else {
                break;
            }
        }
        if steps.is_empty() {
            match name {
                "nil" | "null" => return Ok(Expr::Nil),
                "true" => return Ok(Expr::Bool(true)),
                "false" => return Ok(Expr::Bool(false)),
                "empty" => return Ok(Expr::Empty),
                "blank" => return Ok(Expr::Blank),
                _ => {}
            }
        }
        let text = self.text[start..self.offset()].trim_end().into();
        Ok(Expr::Var(Box::new(Path { slot: self.symbols.slot(name), steps, text })))
    }

    pub fn chain(&mut self) -> Result<Chain, Wrong> {
        if self.is_end() {
            return Ok(Chain { value: Expr::Nil, filters: Vec::new() });
        }
        let value = self.expression()?;
        let mut filters = Vec::new();
        while self.sign('|') {
            let name = self.id()?;
            let mut call = Call { run: filter::find(&name), name: name.into(), args: vec![], named: vec![] };
            if self.sign(':') && !self.arguments_end() {
                self.argument(&mut call)?;
                while self.sign(',') && !self.arguments_end() {
                    self.argument(&mut call)?;
                }
            }
            filters.push(call);
        }
        self.end()?;
        Ok(Chain { value, filters })
    }

    fn arguments_end(&self) -> bool {
        matches!(self.peek(), Token::Sign('|') | Token::End)
    }

    fn argument(&mut self, call: &mut Call) -> Result<(), Wrong> {
        if matches!(self.peek(), Token::Id(_)) && *self.ahead(1) == Token::Sign(':') {
            let key = self.id()?;
            self.at += 1;
            let value = self.expression()?;
            call.named.push((key.into(), value));
        } else {
            let value = self.expression()?;
            call.args.push(value);
        }
        Ok(())
    }

    pub fn condition(&mut self) -> Result<Condition, Wrong> {
        let mut terms = Vec::new();
        loop {
            let left = self.expression()?;
            let right = if let Token::Compare(compare, _) = *self.peek() {
                self.at += 1;
                Some((compare, self.expression()?))
            } else {
                None
            };
            let join = if self.word("and") {
                Join::And
            } else if self.word("or") {
                Join::Or
            } else {
                Join::End
            };
            terms.push((Term { left, right }, join));
            if join == Join::End {
                break;
            }
        }
        self.end()?;
        Ok(Condition { terms })
    }

    /// `key: value` pairs, with or without commas.
    pub fn named(&mut self) -> Result<Vec<(Box<str>, Expr)>, Wrong> {
        let mut out = Vec::new();
        while matches!(self.peek(), Token::Id(_)) {
            let key = self.id()?;
            self.expect_sign(':')?;
            out.push((key.into(), self.expression()?));
            self.sign(',');
        }
        self.end()?;
        Ok(out)
    }
}
