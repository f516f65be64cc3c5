//! Blocks, partials and what is printed, as the tree that Liquid has as well.

use super::inner::{Head, Inner, Parts, Wrong, field, invoke};
use super::lex::{Mark, Mustache, Token, tokens};
use super::{Block, Each, Partial, helper};
use crate::error::{Error, Place, Result};
use crate::escape::{Context, Scanner};
use crate::expression::{Chain, Expr, Symbols};
use crate::syntax::{Body, DEPTH_MAX, Kind, NODES_MAX, Node, SOURCE_BYTES_MAX};

/// Reads one source.
pub(crate) struct Reader<'s> {
    source: &'s str,
    tokens: std::vec::IntoIter<Token<'s>>,
    depth: usize,
    nodes: usize,
    symbols: &'s mut Symbols,
    scanner: Scanner,
    scope: Vec<Vec<(String, u32)>>,
    /// The tag that ended a chained block and closes the outer one.
    closing: Option<Mustache<'s>>,
    pub partials: Vec<String>,
    pub dynamic_partials: bool,
}

/// Why a body ended.
enum Stop<'s> {
    End,
    Else(Mustache<'s>),
    Close(Mustache<'s>),
}

impl<'s> Reader<'s> {
    pub fn new(source: &'s str, symbols: &'s mut Symbols, context: Context) -> Result<Reader<'s>> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(Error::Limit {
                place: Place::of("", source, 0),
                message: format!("the source is larger than {SOURCE_BYTES_MAX} bytes"),
            });
        }
        Ok(Reader {
            source,
            tokens: tokens(source)?.into_iter(),
            depth: 0,
            nodes: 0,
            symbols,
            scanner: Scanner::new(context),
            scope: Vec::new(),
            closing: None,
            partials: Vec::new(),
            dynamic_partials: false,
        })
    }

    pub fn parse(&mut self) -> Result<Body> {
        match self.body(0)? {
            (body, Stop::End) => Ok(body),
            (_, Stop::Else(m)) => self.error(m.at, "'else' stands in no block"),
            (_, Stop::Close(m)) => self.error(m.at, format!("'/{}' closes nothing", m.inner.trim())),
        }
    }

    fn error<T>(&self, at: usize, message: impl Into<String>) -> Result<T> {
        Err(Error::Syntax { place: Place::of("", self.source, at), message: message.into() })
    }

    fn lift<T>(&self, result: std::result::Result<T, Wrong>) -> Result<T> {
        result.or_else(|(at, message)| self.error(at, message))
    }

    fn limit<T>(&self, at: usize, message: String) -> Result<T> {
        Err(Error::Limit { place: Place::of("", self.source, at), message })
    }

    fn parts(&mut self, text: &str, at: usize) -> Result<Parts> {
        let result = Inner::new(text, at, &self.scope, self.symbols).parts();
        self.lift(result)
    }

    fn body(&mut self, at: usize) -> Result<(Body, Stop<'s>)> {
        if self.depth > DEPTH_MAX {
            return self.limit(at, format!("Nesting too deep: more than {DEPTH_MAX} levels"));
        }
        let mut body = Body::new();
        // Inline partials are known in the whole block in which they stand.
        let mut defined = 0;
        let stop = loop {
            let Some(token) = self.tokens.next() else { break Stop::End };
            let (kind, at) = match token {
                Token::Text { at, written, from, to } => {
                    let text = &written[from..to];
                    self.scanner.feed(text);
                    if text.is_empty() {
                        continue;
                    }
                    (Kind::Text(text.into()), at)
                }
                Token::Literal { at, text, .. } => {
                    self.scanner.feed(text);
                    (Kind::Text(text.into()), at)
                }
                Token::Mustache(m) => {
                    let at = m.at;
                    match m.mark {
                        Mark::Comment => continue,
                        Mark::Else => break Stop::Else(m),
                        Mark::Close => break Stop::Close(m),
                        Mark::Print | Mark::Raw => (self.print(&m)?, at),
                        Mark::Partial => (self.partial(&m, false)?, at),
                        Mark::OpenPartial => (self.partial(&m, true)?, at),
                        Mark::Open | Mark::OpenInverse => (self.block(&m)?, at),
                        Mark::OpenInline => {
                            let kind = self.inline(&m)?;
                            body.insert(defined, Node { at: at as u32, blank: false, kind });
                            defined += 1;
                            continue;
                        }
                    }
                }
            };
            self.nodes += 1;
            if self.nodes > NODES_MAX {
                return self.limit(at, format!("more than {NODES_MAX} parts in one template"));
            }
            body.push(Node { at: at as u32, blank: false, kind });
        };
        Ok((body, stop))
    }

    fn print(&mut self, m: &Mustache<'s>) -> Result<Kind> {
        let parts = self.parts(m.inner, m.inner_at)?;
        if !parts.params.is_empty() {
            return self.error(m.at, "Block parameters belong to a block");
        }
        if matches!(&parts.head, Head::Name(name) if name == "abort") && parts.args.len() == 1 {
            let value = parts.args.into_iter().next().unwrap_or(Expr::Nil);
            return Ok(Kind::Abort(Chain { value, filters: vec![] }));
        }
        let value = self.called(parts, m.at)?;
        let context = self.scanner.at_output();
        Ok(Kind::Block(Box::new(Block::Print { value, raw: m.mark == Mark::Raw, context })))
    }

    /// A field, or a call. A name alone is a field's, but for helpers that need no argument.
    fn called(&self, parts: Parts, at: usize) -> Result<Expr> {
        let bare = parts.args.is_empty() && parts.named.is_empty();
        match parts.head {
            Head::Name(name) if bare && !helper::stands_alone(&name) => Ok(field(&[&name], &name)),
            Head::Name(name) => self.lift(invoke(&name, parts.args, parts.named, at)),
            Head::Value(value) if bare => Ok(value),
            Head::Value(_) => self.error(at, format!("'{}' is not the name of a helper", parts.text)),
        }
    }

    fn inline(&mut self, m: &Mustache<'s>) -> Result<Kind> {
        let parts = self.parts(m.inner, m.inner_at)?;
        let (Head::Name(word), [Expr::Str(name)]) = (&parts.head, &parts.args[..]) else {
            return self.error(m.at, "Valid syntax: {{#*inline \"name\"}} … {{/inline}}");
        };
        if word != "inline" {
            return self.error(m.at, format!("'*{word}' is not known: only '*inline' is"));
        }
        let name = name.clone();
        let body = self.closed(m, "inline")?;
        Ok(Kind::Block(Box::new(Block::Define(name, body))))
    }

    /// A body without an `else`, to its closing tag.
    fn closed(&mut self, m: &Mustache<'s>, name: &str) -> Result<Body> {
        self.depth += 1;
        let (body, stop) = self.body(m.at)?;
        self.depth -= 1;
        match stop {
            Stop::Close(close) => self.closes(&close, m, name).map(|()| body),
            Stop::Else(other) => self.error(other.at, format!("'{name}' has no 'else'")),
            Stop::End => self.error(m.at, format!("'{name}' was never closed")),
        }
    }

    fn closes(&self, close: &Mustache<'s>, open: &Mustache<'s>, name: &str) -> Result<()> {
        if close.inner.trim() == name {
            return Ok(());
        }
        let line = Place::of("", self.source, open.at).line;
        self.error(close.at, format!("'/{}' does not close '{name}' of line {line}", close.inner.trim()))
    }

    fn partial(&mut self, m: &Mustache<'s>, with_block: bool) -> Result<Kind> {
        if m.inner.trim() == "@partial-block" {
            return Ok(Kind::Block(Box::new(Block::Content)));
        }
        let (text, at) = (m.inner, m.inner_at);
        let Parts { head, text: written, mut args, named, .. } = self.parts(text, at)?;
        // A name with dots or slashes is a name, not a path.
        let name = match head {
            Head::Value(Expr::Call(call)) => Expr::Call(call),
            _ => Expr::Str(written.trim_matches(['"', '\'', '[', ']']).into()),
        };
        match &name {
            Expr::Str(name) => self.partials.push(name.to_string()),
            _ => self.dynamic_partials = true,
        }
        if args.len() > 1 {
            return self.error(m.at, "A partial takes one context at most, and named arguments");
        }
        let context = args.pop();
        let block = if with_block { Some(self.closed(m, written.trim())?) } else { None };
        Ok(Kind::Block(Box::new(Block::Partial(Partial { name, context, named, block }))))
    }

    fn block(&mut self, m: &Mustache<'s>) -> Result<Kind> {
        let parts = self.parts(m.inner, m.inner_at)?;
        let name = parts.text.clone();
        self.opened(m, parts, Some(&name))
    }

    /// A block from its opening tag on; a chained one (`else if`) has no closing tag of its own.
    fn opened(&mut self, m: &Mustache<'s>, parts: Parts, closing: Option<&str>) -> Result<Kind> {
        let slots: Vec<(String, u32)> = parts
            .params
            .iter()
            .enumerate()
            .map(|(i, name)| (name.clone(), self.symbols.slot(&format!("{name} of {} at {}", i, m.at))))
            .collect();
        let slot = |i: usize| slots.get(i).map(|(_, slot)| *slot);
        let (item, key) = (slot(0), slot(1));
        let build = self.build(m, parts, item, key)?;
        self.scope.push(slots);
        self.depth += 1;
        let (body, stop) = self.body(m.at)?;
        self.depth -= 1;
        self.scope.pop();
        let (otherwise, stop) = match stop {
            Stop::Else(other) => {
                let word = other.inner.trim();
                let rest = word.strip_prefix("else").unwrap_or(word).trim();
                if rest.is_empty() {
                    self.depth += 1;
                    let (body, stop) = self.body(other.at)?;
                    self.depth -= 1;
                    (body, stop)
                } else {
                    let offset = other.inner.len() - other.inner.trim_start().len() + word.len() - rest.len();
                    let parts = self.parts(rest, other.inner_at + offset)?;
                    self.depth += 1;
                    if self.depth > DEPTH_MAX {
                        return self
                            .limit(other.at, format!("Nesting too deep: more than {DEPTH_MAX} levels"));
                    }
                    let kind = self.opened(&other, parts, None)?;
                    self.depth -= 1;
                    // The chained block has read up to the closing tag.
                    let stop = self.closing.take().map_or(Stop::End, Stop::Close);
                    (vec![Node { at: other.at as u32, blank: false, kind }], stop)
                }
            }
            stop => (Body::new(), stop),
        };
        match (stop, closing) {
            (Stop::Close(close), Some(name)) => self.closes(&close, m, name)?,
            (Stop::Close(close), None) => self.closing = Some(close),
            (Stop::Else(other), _) => return self.error(other.at, "A second 'else' in one block"),
            (Stop::End, _) => {
                let name = m.inner.trim();
                return self.error(m.at, format!("'{name}' was never closed"));
            }
        }
        Ok(build(body, otherwise))
    }

    /// What the block will be once its bodies are read.
    fn build(
        &self,
        m: &Mustache<'s>,
        parts: Parts,
        item: Option<u32>,
        key: Option<u32>,
    ) -> Result<Box<dyn FnOnce(Body, Body) -> Kind>> {
        let inverse = m.mark == Mark::OpenInverse;
        let wrap = |block: Block| Kind::Block(Box::new(block));
        let flip = move |a: Body, b: Body| if inverse { (b, a) } else { (a, b) };
        let Parts { head, text, mut args, mut named, .. } = parts;
        let one = |args: &mut Vec<Expr>| match args.len() {
            1 => args.pop().ok_or(()),
            _ => Err(()),
        };
        let name = match head {
            Head::Name(name) => name,
            Head::Value(over) if args.is_empty() && named.is_empty() => {
                return Ok(Box::new(move |body, otherwise| {
                    let (body, otherwise) = flip(body, otherwise);
                    wrap(Block::Section(Each { over, item, key, body, otherwise }))
                }));
            }
            Head::Value(_) => return self.error(m.at, format!("'{text}' is not the name of a helper")),
        };
        let takes_one = || self.error(m.at, format!("'{name}' takes one argument"));
        Ok(match name.as_str() {
            "if" | "unless" => {
                let zero = named.iter().position(|(k, _)| &**k == "includeZero").map(|i| named.remove(i).1);
                let Ok(test) = one(&mut args) else { return takes_one() };
                let negated = name == "unless";
                Box::new(move |body, otherwise| {
                    let (body, otherwise) = flip(body, otherwise);
                    wrap(Block::If { test, negated, zero, body, otherwise })
                })
            }
            "each" => {
                let Ok(over) = one(&mut args) else { return takes_one() };
                Box::new(move |body, otherwise| {
                    let (body, otherwise) = flip(body, otherwise);
                    wrap(Block::Each(Each { over, item, key, body, otherwise }))
                })
            }
            "with" => {
                let Ok(value) = one(&mut args) else { return takes_one() };
                let same =
                    matches!(&value, Expr::Here(h) if h.from == super::From::Up(0) && h.steps.is_empty());
                Box::new(move |body, otherwise| {
                    let (body, otherwise) = flip(body, otherwise);
                    wrap(Block::With { value, same, param: item, body, otherwise })
                })
            }
            "fallback" if args.is_empty() && named.is_empty() => Box::new(Kind::Fallback),
            "recommend" => {
                let over = self.lift(invoke(&name, args, named, m.at))?;
                Box::new(move |body, otherwise| wrap(Block::Each(Each { over, item, key, body, otherwise })))
            }
            "catalog" | "feed" => {
                let value = self.lift(invoke(&name, args, named, m.at))?;
                Box::new(move |body, otherwise| {
                    wrap(Block::With { value, same: false, param: item, body, otherwise })
                })
            }
            _ if args.is_empty() && named.is_empty() => {
                let over = field(&[&name], &name);
                Box::new(move |body, otherwise| {
                    let (body, otherwise) = flip(body, otherwise);
                    wrap(Block::Section(Each { over, item, key, body, otherwise }))
                })
            }
            // A helper as a block: its answer decides, as with `if`.
            _ => {
                let test = self.lift(invoke(&name, args, named, m.at))?;
                Box::new(move |body, otherwise| {
                    let (body, otherwise) = flip(body, otherwise);
                    wrap(Block::If { test, negated: false, zero: None, body, otherwise })
                })
            }
        })
    }
}
