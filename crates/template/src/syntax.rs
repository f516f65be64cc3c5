//! Templates as trees: text, output and tags, with the place of each in the author's source.

mod supply;
mod tags;

use crate::error::{Error, Place, Result};
use crate::escape::{Context, Scanner};
use crate::expression::{Chain, Condition, Expr, Parser, Symbols, Wrong};
pub(crate) use supply::{Asked, Supply, Then, Variant};

/// A part of a template; `at` is a byte of the source.
#[derive(Debug)]
pub(crate) struct Node {
    pub at: u32,
    /// Whether it prints nothing but white space.
    pub blank: bool,
    pub kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Text(Box<str>),
    Output(Chain, Context),
    Assign(u32, Chain),
    Capture(u32, Body),
    If(Vec<(Condition, bool, Body)>, Body),
    Case(Expr, Vec<When>),
    For(Box<For>),
    TableRow(Box<TableRow>),
    Cycle {
        key: std::result::Result<Box<str>, Expr>,
        values: Vec<Expr>,
    },
    Increment(u32, i64),
    Include(Box<Include>),
    IfChanged(Body),
    Break,
    Continue,
    Abort(Chain),
    Inline(Body),
    Supply(Box<Supply>),
    Fallback(Body, Body),
    Variant(Box<Variant>),
    /// What only Handlebars has.
    Block(Box<crate::handlebars::Block>),
}

pub(crate) type Body = Vec<Node>;

#[derive(Debug)]
pub(crate) enum When {
    Values(Vec<Expr>, Body),
    Else(Body),
}

#[derive(Debug)]
pub(crate) struct For {
    pub slot: u32,
    pub name: Box<str>,
    pub over: Expr,
    pub reversed: bool,
    pub limit: Option<Expr>,
    pub offset: Option<Expr>,
    pub resume: bool,
    pub body: Body,
    pub otherwise: Body,
}

#[derive(Debug)]
pub(crate) struct TableRow {
    pub slot: u32,
    pub over: Expr,
    pub cols: Option<Expr>,
    pub limit: Option<Expr>,
    pub offset: Option<Expr>,
    pub body: Body,
}

#[derive(Debug)]
pub(crate) struct Include {
    pub isolated: bool,
    pub name: Expr,
    pub with: Option<Expr>,
    pub each: bool,
    pub alias: Option<u32>,
    pub args: Vec<(u32, Expr)>,
}

pub(crate) const DEPTH_MAX: usize = 100;
/// Bytes of one source.
pub(crate) const SOURCE_BYTES_MAX: usize = 1024 * 1024;
pub(crate) const NODES_MAX: usize = 100_000;

/// Parses one source.
pub(crate) struct Syntax<'s> {
    source: &'s str,
    at: usize,
    end: usize,
    lines: bool,
    trim: bool,
    depth: usize,
    nodes: usize,
    pub symbols: &'s mut Symbols,
    scanner: Scanner,
    pub partials: Vec<String>,
    pub dynamic_partials: bool,
}

struct Tag<'s> {
    name: &'s str,
    markup: &'s str,
    /// Byte of the source at which the markup begins.
    markup_at: usize,
    at: usize,
}

enum Piece<'s> {
    Text(&'s str, usize),
    Output(&'s str, usize, usize),
    Tag(Tag<'s>),
    End,
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' | '\0')
}

impl<'s> Syntax<'s> {
    pub fn new(source: &'s str, symbols: &'s mut Symbols, context: Context) -> Syntax<'s> {
        Syntax {
            source,
            at: 0,
            end: source.len(),
            lines: false,
            trim: false,
            depth: 0,
            nodes: 0,
            symbols,
            scanner: Scanner::new(context),
            partials: Vec::new(),
            dynamic_partials: false,
        }
    }

    pub fn parse(&mut self) -> Result<Body> {
        if self.source.len() > SOURCE_BYTES_MAX {
            return Err(Error::Limit {
                place: Place::of("", self.source, 0),
                message: format!("the source is larger than {SOURCE_BYTES_MAX} bytes"),
            });
        }
        let (body, _, stop) = self.body(&[], None)?;
        debug_assert!(stop.is_none());
        Ok(body)
    }

    fn error<T>(&self, at: usize, message: impl Into<String>) -> Result<T> {
        Err(Error::Syntax { place: Place::of("", self.source, at), message: message.into() })
    }

    fn lift<T>(&self, base: usize, result: std::result::Result<T, Wrong>) -> Result<T> {
        result.or_else(|(at, message)| self.error(base + at, message))
    }

    fn with<T>(
        &mut self,
        tag: &Tag<'s>,
        read: impl FnOnce(&mut Parser<'_>) -> std::result::Result<T, Wrong>,
    ) -> Result<T> {
        let result = Parser::new(tag.markup, self.symbols).and_then(|mut p| read(&mut p));
        self.lift(tag.markup_at, result)
    }

    fn next(&mut self) -> Result<Piece<'s>> {
        if self.lines {
            return self.next_line();
        }
        let source = self.source;
        if self.at >= self.end {
            return Ok(Piece::End);
        }
        let rest = &source[self.at..self.end];
        let bytes = rest.as_bytes();
        let mut open = None;
        let mut from = 0;
        while let Some(found) = rest[from..].find('{') {
            let i = from + found;
            if matches!(bytes.get(i + 1), Some(b'{' | b'%')) {
                open = Some(i);
                break;
            }
            from = i + 1;
        }
        let start = self.at;
        if open != Some(0) {
            let len = open.unwrap_or(rest.len());
            let mut text = &rest[..len];
            self.at += len;
            if std::mem::take(&mut self.trim) {
                text = text.trim_start_matches(is_space);
            }
            if open.is_some() && bytes.get(len + 2) == Some(&b'-') {
                text = text.trim_end_matches(is_space);
            }
            return Ok(Piece::Text(text, start));
        }
        self.trim = false;
        if bytes[1] == b'{' {
            let Some(close) = rest[2..].find("}}").map(|at| at + 2) else {
                return self.error(start, "Variable '{{' was not properly terminated with '}}'");
            };
            self.at += close + 2;
            let mut inner = &rest[2..close];
            let mut inner_at = start + 2;
            if let Some(cut) = inner.strip_prefix('-') {
                inner = cut;
                inner_at += 1;
            }
            if let Some(cut) = inner.strip_suffix('-') {
                inner = cut;
                self.trim = true;
            } else if rest[2..close] == *"-" {
                self.trim = true;
            }
            return Ok(Piece::Output(inner, inner_at, start));
        }
        let Some(close) = rest[2..].find("%}").map(|at| at + 2) else {
            return self.error(start, "Tag '{%' was not properly terminated with '%}'");
        };
        self.at += close + 2;
        let mut inner = &rest[2..close];
        let mut inner_at = start + 2;
        if let Some(cut) = inner.strip_prefix('-') {
            inner = cut;
            inner_at += 1;
        }
        if let Some(cut) = inner.strip_suffix('-') {
            inner = cut;
            self.trim = true;
        } else if rest[2..close] == *"-" {
            self.trim = true;
        }
        self.tag(inner, inner_at, start).map(Piece::Tag)
    }

    fn tag(&self, inner: &'s str, inner_at: usize, at: usize) -> Result<Tag<'s>> {
        let body = inner.trim_start_matches(is_space);
        let body_at = inner_at + inner.len() - body.len();
        let len = if body.starts_with('#') {
            1
        } else {
            body.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(body.len())
        };
        if len == 0 {
            return self.error(at, format!("Tag '{{%{inner}%}}' was not properly formed"));
        }
        Ok(Tag { name: &body[..len], markup: &body[len..], markup_at: body_at + len, at })
    }

    fn next_line(&mut self) -> Result<Piece<'s>> {
        let source = self.source;
        while self.at < self.end {
            let rest = &source[self.at..self.end];
            let len = rest.find('\n').unwrap_or(rest.len());
            let (line, line_at) = (&rest[..len], self.at);
            self.at = (self.at + len + 1).min(self.end);
            if line.trim_matches(is_space).is_empty() {
                continue;
            }
            return self.tag(line, line_at, line_at).map(Piece::Tag);
        }
        Ok(Piece::End)
    }

    /// Parses until one of `stops`; returns the nodes, whether they print nothing, and the tag that ended them.
    fn body(&mut self, stops: &[&str], opened: Option<&Tag<'s>>) -> Result<(Body, bool, Option<Tag<'s>>)> {
        if self.depth > DEPTH_MAX {
            return Err(Error::Limit {
                place: Place::of("", self.source, opened.map_or(self.at, |t| t.at)),
                message: format!("Nesting too deep: more than {DEPTH_MAX} levels"),
            });
        }
        let mut body = Vec::new();
        let mut blank = true;
        loop {
            let piece = self.next()?;
            let mut node_blank = false;
            let (kind, at) = match piece {
                Piece::End => {
                    if let Some(tag) = opened {
                        return self.error(tag.at, format!("'{}' tag was never closed", tag.name));
                    }
                    return Ok((body, blank, None));
                }
                Piece::Text(text, at) => {
                    blank &= text.chars().all(is_space);
                    self.scanner.feed(text);
                    if text.is_empty() {
                        continue;
                    }
                    (Kind::Text(text.into()), at)
                }
                Piece::Output(inner, inner_at, at) => {
                    blank = false;
                    let result = Parser::new(inner, self.symbols).and_then(|mut p| p.chain());
                    let chain = self.lift(inner_at, result)?;
                    (Kind::Output(chain, self.scanner.at_output()), at)
                }
                Piece::Tag(tag) => {
                    if stops.contains(&tag.name) {
                        return Ok((body, blank, Some(tag)));
                    }
                    let at = tag.at;
                    match self.statement(tag)? {
                        Some((kind, tag_blank)) => {
                            blank &= tag_blank;
                            node_blank = tag_blank;
                            (kind, at)
                        }
                        None => continue,
                    }
                }
            };
            self.nodes += 1;
            if self.nodes > NODES_MAX {
                return Err(Error::Limit {
                    place: Place::of("", self.source, at),
                    message: format!("more than {NODES_MAX} parts in one template"),
                });
            }
            body.push(Node { at: at as u32, blank: node_blank, kind });
        }
    }

    fn nested(&mut self, stops: &[&str], tag: &Tag<'s>) -> Result<(Body, bool, Tag<'s>)> {
        self.depth += 1;
        let result = self.body(stops, Some(tag));
        self.depth -= 1;
        match result? {
            (body, blank, Some(stop)) => Ok((body, blank, stop)),
            _ => self.error(tag.at, format!("'{}' tag was never closed", tag.name)),
        }
    }

    fn statement(&mut self, tag: Tag<'s>) -> Result<Option<(Kind, bool)>> {
        Ok(Some(match tag.name {
            "#" => {
                let bad = tag.markup.trim_matches(is_space).lines().skip(1).any(|line| {
                    let line = line.trim_matches(is_space);
                    !line.is_empty() && !line.starts_with('#')
                });
                if bad {
                    return self.error(
                        tag.at,
                        "Syntax error in tag '#' - Each line of comments must be prefixed by the '#' character",
                    );
                }
                return Ok(None);
            }
            "comment" => {
                self.skip_comment(&tag)?;
                return Ok(None);
            }
            "doc" => {
                self.skip_doc(&tag)?;
                return Ok(None);
            }
            "raw" => {
                let text = self.raw(&tag)?;
                self.scanner.feed(&text);
                let blank = text.is_empty();
                (Kind::Text(text.into()), blank)
            }
            "echo" => {
                let chain = self.with(&tag, |p| p.chain())?;
                (Kind::Output(chain, self.scanner.at_output()), false)
            }
            "abort" => (Kind::Abort(self.with(&tag, |p| p.chain())?), false),
            "assign" => {
                let Some(eq) = tag.markup.find('=') else {
                    return self
                        .error(tag.at, "Syntax Error in 'assign' - Valid syntax: assign [var] = [source]");
                };
                let (name, value) = (&tag.markup[..eq], &tag.markup[eq + 1..]);
                let target = Tag { name: tag.name, markup: name, markup_at: tag.markup_at, at: tag.at };
                let name = self.with(&target, |p| {
                    let id = p.id()?;
                    p.end()?;
                    Ok(id)
                })?;
                let source =
                    Tag { name: tag.name, markup: value, markup_at: tag.markup_at + eq + 1, at: tag.at };
                let chain = self.with(&source, |p| {
                    if p.is_end() {
                        return Err((0, "'assign' needs a value after '='".into()));
                    }
                    p.chain()
                })?;
                (Kind::Assign(self.symbols.slot(&name), chain), true)
            }
            "capture" => {
                let name = self.single_id(&tag)?;
                let (body, _, _) = self.nested(&["endcapture"], &tag)?;
                (Kind::Capture(self.symbols.slot(&name), body), true)
            }
            "increment" => (Kind::Increment(self.counter(&tag)?, 1), false),
            "decrement" => (Kind::Increment(self.counter(&tag)?, -1), false),
            "break" => (Kind::Break, false),
            "continue" => (Kind::Continue, false),
            "if" | "unless" => self.conditional(&tag)?,
            "case" => self.case(&tag)?,
            "for" => self.for_loop(&tag)?,
            "tablerow" => self.table_row(&tag)?,
            "cycle" => self.cycle(&tag)?,
            "include" | "render" => self.include(&tag)?,
            "ifchanged" => {
                let (body, blank, _) = self.nested(&["endifchanged"], &tag)?;
                (Kind::IfChanged(body), blank)
            }
            "liquid" => self.liquid(&tag)?,
            "recommend" | "catalog" | "feed" | "coupon" => self.supply(&tag)?,
            "fallback" => self.fallback(&tag)?,
            "variant" => self.variant(&tag)?,
            name => {
                let message =
                    if name.starts_with("end") || matches!(name, "else" | "elsif" | "when" | "otherwise") {
                        format!("Unexpected tag '{name}': it closes or continues nothing")
                    } else {
                        format!("Unknown tag '{name}'")
                    };
                return self.error(tag.at, message);
            }
        }))
    }

    fn single_id(&mut self, tag: &Tag<'s>) -> Result<String> {
        self.with(tag, |p| {
            let id = p.id()?;
            p.end()?;
            Ok(id)
        })
    }

    fn counter(&mut self, tag: &Tag<'s>) -> Result<u32> {
        let name = self.single_id(tag)?;
        Ok(self.symbols.slot(&name))
    }

    fn liquid(&mut self, tag: &Tag<'s>) -> Result<(Kind, bool)> {
        let saved = (self.at, self.end, self.lines, self.trim);
        self.at = tag.markup_at;
        self.end = tag.markup_at + tag.markup.len();
        self.lines = true;
        self.depth += 1;
        let result = self.body(&[], None);
        self.depth -= 1;
        (self.at, self.end, self.lines, self.trim) = saved;
        let (body, blank, _) = result?;
        Ok((Kind::Inline(body), blank))
    }

    fn raw(&mut self, tag: &Tag<'s>) -> Result<String> {
        if !tag.markup.trim_matches(is_space).is_empty() {
            return self.error(tag.at, "Syntax Error in 'raw' - Valid syntax: raw");
        }
        let start = self.at;
        let mut from = self.at;
        self.trim = false;
        let source = self.source;
        while let Some(found) = source[from..self.end].find("{%") {
            let open = from + found;
            let inner = source[open + 2..self.end].trim_start_matches('-').trim_start_matches(is_space);
            if let Some(rest) = inner.strip_prefix("endraw") {
                let rest = rest.trim_start_matches(is_space);
                let (rest, trim) = rest.strip_prefix('-').map_or((rest, false), |r| (r, true));
                if let Some(rest) = rest.strip_prefix("%}") {
                    self.at = self.end - rest.len();
                    self.trim = trim;
                    return Ok(source[start..open].to_owned());
                }
            }
            from = open + 2;
        }
        self.error(tag.at, "'raw' tag was never closed")
    }

    fn skip_comment(&mut self, tag: &Tag<'s>) -> Result<()> {
        let mut depth = 1usize;
        loop {
            let before = self.at;
            let piece = match self.next() {
                Ok(piece) => piece,
                Err(_) if self.skip_broken(before) => continue,
                Err(_) => return self.error(tag.at, "'comment' tag was never closed"),
            };
            match piece {
                Piece::End => return self.error(tag.at, "'comment' tag was never closed"),
                Piece::Tag(inner) if inner.name == "comment" => depth += 1,
                Piece::Tag(inner) if inner.name == "endcomment" => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                Piece::Tag(inner)
                    if inner.name == "raw"
                        && !self.lines
                        && inner.markup.trim_matches(is_space).is_empty() =>
                {
                    self.raw(&inner)?;
                }
                _ => {}
            }
        }
    }

    /// Steps over an opening that is not a tag or output; false at the end.
    fn skip_broken(&mut self, before: usize) -> bool {
        let rest = &self.source[self.at..self.end];
        if self.at == before && (rest.starts_with("{{") || rest.starts_with("{%")) {
            self.at += 2;
        }
        self.at < self.end
    }

    fn skip_doc(&mut self, tag: &Tag<'s>) -> Result<()> {
        if !tag.markup.trim_matches(is_space).is_empty() {
            return self.error(tag.at, "Syntax Error in 'doc' - Valid syntax: {% doc %}{% enddoc %}");
        }
        loop {
            let before = self.at;
            match self.next() {
                Ok(Piece::End) => return self.error(tag.at, "'doc' tag was never closed"),
                Ok(Piece::Tag(inner)) if inner.name == "enddoc" => return Ok(()),
                Ok(Piece::Tag(inner)) if inner.name == "doc" => {
                    return self.error(inner.at, "Syntax Error in 'doc' - Nested doc tags are not allowed");
                }
                Ok(_) => {}
                Err(_) if self.skip_broken(before) => {}
                Err(_) => return self.error(tag.at, "'doc' tag was never closed"),
            }
        }
    }
}

/// The byte ranges of all outputs and tags, in order; `raw`, `comment` and `doc` are one range with their content.
pub(crate) fn spans(source: &str) -> Result<Vec<(std::ops::Range<usize>, bool)>> {
    let mut symbols = Symbols::default();
    let mut syntax = Syntax::new(source, &mut symbols, Context::Plain);
    let mut out = Vec::new();
    loop {
        match syntax.next()? {
            Piece::End => return Ok(out),
            Piece::Text(..) => {}
            Piece::Output(_, _, at) => out.push((at..syntax.at, true)),
            Piece::Tag(tag) => {
                match tag.name {
                    "raw" => drop(syntax.raw(&tag)?),
                    "comment" => syntax.skip_comment(&tag)?,
                    "doc" => syntax.skip_doc(&tag)?,
                    _ => {}
                }
                out.push((tag.at..syntax.at, false));
            }
        }
    }
}

/// Removes white space from a body that prints nothing.
fn strip(body: &mut Body) {
    body.retain(|node| !matches!(&node.kind, Kind::Text(text) if text.chars().all(is_space)));
}
