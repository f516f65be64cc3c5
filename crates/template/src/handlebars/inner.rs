//! The inside of a mustache: paths, literals, calls of helpers, named arguments, block parameters.

use super::{From, Here, Invoke, Turn, helper};
use crate::expression::{Expr, Symbols};

/// A message and the byte of the source it is about.
pub(super) type Wrong = (usize, String);

/// What the first word of a mustache is.
pub(super) enum Head {
    /// A name that may be a helper's or a field's.
    Name(String),
    /// Anything else.
    Value(Expr),
}

/// The parts of a mustache.
pub(super) struct Parts {
    pub head: Head,
    /// The first word as written.
    pub text: String,
    pub args: Vec<Expr>,
    pub named: Vec<(Box<str>, Expr)>,
    pub params: Vec<String>,
}

const DEPTH_MAX: usize = 50;

/// Reads the inside of one mustache.
pub(super) struct Inner<'p, 's> {
    text: &'s str,
    at: usize,
    base: usize,
    depth: usize,
    scope: &'p [Vec<(String, u32)>],
    symbols: &'p mut Symbols,
}

fn is_word(c: char) -> bool {
    !c.is_whitespace() && !"!\"#%&'()*+,./;<=>@[\\]^`{|}~".contains(c)
}

impl<'p, 's> Inner<'p, 's> {
    pub fn new(
        text: &'s str,
        base: usize,
        scope: &'p [Vec<(String, u32)>],
        symbols: &'p mut Symbols,
    ) -> Inner<'p, 's> {
        Inner { text, at: 0, base, depth: 0, scope, symbols }
    }

    fn rest(&self) -> &'s str {
        &self.text[self.at..]
    }

    fn skip(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn wrong<T>(&self, message: impl Into<String>) -> Result<T, Wrong> {
        Err((self.base + self.at, message.into()))
    }

    fn take(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        self.at += if found { prefix.len() } else { 0 };
        found
    }

    fn word(&mut self) -> &'s str {
        let rest = self.rest();
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// The whole inside: a head, arguments, and `as |a b|` where it is allowed.
    pub fn parts(&mut self) -> Result<Parts, Wrong> {
        let parts = self.call()?;
        if !self.rest().is_empty() {
            let found: String = self.rest().chars().take(20).collect();
            return self.wrong(format!("Unexpected '{found}'"));
        }
        Ok(parts)
    }

    fn call(&mut self) -> Result<Parts, Wrong> {
        self.skip();
        let start = self.at;
        if self.rest().is_empty() {
            return self.wrong("Nothing stands between '{{' and '}}'");
        }
        let value = self.value()?;
        let text = self.text[start..self.at].to_owned();
        let head = match value {
            Expr::Here(here)
                if here.from == From::Up(0) && here.steps.len() == 1 && *text == *here.steps[0] =>
            {
                Head::Name(text.clone())
            }
            Expr::Str(name) => Head::Value(field(&[&*name], &name)),
            Expr::Int(n) => Head::Value(field(&[&n.to_string()], &text)),
            value => Head::Value(value),
        };
        let mut parts = Parts { head, text, args: vec![], named: vec![], params: vec![] };
        loop {
            self.skip();
            let rest = self.rest();
            if rest.is_empty() || rest.starts_with(')') {
                return Ok(parts);
            }
            if let Some(after) = rest.strip_prefix("as").map(str::trim_start)
                && after.starts_with('|')
            {
                self.at = self.text.len() - after.len() + 1;
                loop {
                    self.skip();
                    if self.take("|") {
                        break;
                    }
                    let name = self.word();
                    if name.is_empty() {
                        return self.wrong("Block parameters are names between '|'");
                    }
                    parts.params.push(name.to_owned());
                }
                continue;
            }
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            if length > 0 && rest[length..].starts_with('=') {
                let key = &rest[..length];
                self.at += length + 1;
                self.skip();
                let value = self.value()?;
                parts.named.push((key.into(), value));
            } else if !parts.named.is_empty() {
                return self.wrong("An argument without a name stands after one with a name");
            } else {
                let value = self.value()?;
                parts.args.push(value);
            }
        }
    }

    fn value(&mut self) -> Result<Expr, Wrong> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.wrong("Nesting too deep");
        }
        let rest = self.rest();
        let value = match rest.bytes().next() {
            Some(b'(') => {
                let open = self.at;
                self.at += 1;
                let parts = self.call()?;
                if !self.take(")") {
                    return Err((self.base + open, "'(' is never closed".into()));
                }
                let at = self.base + open;
                match parts.head {
                    Head::Name(name) => invoke(&name, parts.args, parts.named, at)?,
                    Head::Value(value) if parts.args.is_empty() => value,
                    Head::Value(_) => {
                        return Err((at, format!("'{}' is not the name of a helper", parts.text)));
                    }
                }
            }
            Some(quote @ (b'"' | b'\'')) => self.string(quote)?,
            Some(_) => match self.number() {
                Some(number) => number,
                None => self.path()?,
            },
            None => return self.wrong("A value is missing"),
        };
        self.depth -= 1;
        Ok(value)
    }

    fn string(&mut self, quote: u8) -> Result<Expr, Wrong> {
        let rest = self.rest();
        let mut out = String::new();
        let mut chars = rest.char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            if c == quote as char {
                self.at += i + 1;
                return Ok(Expr::Str(out.into()));
            }
            if c == '\\' && rest[i + 1..].starts_with(quote as char) {
                out.push(quote as char);
                chars.next();
            } else {
                out.push(c);
            }
        }
        self.wrong("The text is not closed")
    }

    fn number(&mut self) -> Option<Expr> {
        let rest = self.rest();
        let length = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).unwrap_or(rest.len());
        let text = &rest[..length];
        let ends =
            rest[length..].chars().next().is_none_or(|c| c.is_whitespace() || matches!(c, ')' | '|' | '~'));
        if !ends || !text.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let value = match text.parse::<i64>() {
            Ok(n) => Expr::Int(n),
            Err(_) => Expr::Float(text.parse().ok()?),
        };
        self.at += length;
        Some(value)
    }

    fn segment(&mut self) -> Result<&'s str, Wrong> {
        if self.take("[") {
            let rest = self.rest();
            let Some(end) = rest.find(']') else { return self.wrong("'[' is never closed") };
            self.at += end + 1;
            return Ok(&rest[..end]);
        }
        let word = self.word();
        if word.is_empty() {
            let found = self.rest().chars().next().map_or("the end".into(), |c| format!("'{c}'"));
            return self.wrong(format!("Expected a name but found {found}"));
        }
        Ok(word)
    }

    fn path(&mut self) -> Result<Expr, Wrong> {
        let start = self.at;
        let data = self.take("@");
        let mut up = 0;
        let mut open = false;
        loop {
            if self.rest().starts_with("..") {
                self.at += 2;
                up += 1;
                open = self.take("/") || self.take(".");
                if !open {
                    break;
                }
            } else if self.rest().starts_with("./") {
                self.at += 2;
                open = true;
            } else {
                break;
            }
        }
        let mut steps: Vec<Box<str>> = Vec::new();
        let plain = up == 0 && self.at == start;
        let mut this = up > 0 && !open;
        if !this && self.rest().starts_with('.') && !self.rest()[1..].starts_with(is_word) {
            self.at += 1;
            this = true;
        }
        if !this {
            let bracketed = self.rest().starts_with('[');
            let first = self.segment()?;
            if first == "this" && !bracketed && !data {
                this = true;
            } else {
                steps.push(first.into());
            }
            while self.rest().starts_with(['.', '/']) && (self.rest().len() > 1) {
                self.at += 1;
                steps.push(self.segment()?.into());
            }
            if plain && !data && !this && !bracketed && steps.len() == 1 {
                match &*steps[0] {
                    "true" => return Ok(Expr::Bool(true)),
                    "false" => return Ok(Expr::Bool(false)),
                    "null" | "undefined" => return Ok(Expr::Nil),
                    _ => {}
                }
            }
        }
        let text: Box<str> = self.text[start..self.at].into();
        if data {
            return self.data(up, steps, text, start);
        }
        if plain && !this && !steps.is_empty() {
            let known = self.scope.iter().rev().flatten().find(|(name, _)| **name == *steps[0]);
            if let Some((_, slot)) = known {
                steps.remove(0);
                return Ok(Expr::Here(Box::new(Here { from: From::Slot(*slot), steps, text })));
            }
        }
        for step in &steps {
            self.symbols.slot(step);
        }
        Ok(Expr::Here(Box::new(Here { from: From::Up(up), steps, text })))
    }

    fn data(&self, up: u32, mut steps: Vec<Box<str>>, text: Box<str>, start: usize) -> Result<Expr, Wrong> {
        let from = match steps.first().map(|s| &**s) {
            Some("root") => From::Root,
            Some("index") => From::Turn(up, Turn::Index),
            Some("key") => From::Turn(up, Turn::Key),
            Some("first") => From::Turn(up, Turn::First),
            Some("last") => From::Turn(up, Turn::Last),
            _ => {
                let message = format!("'{text}' is not known: @root, @index, @key, @first and @last are");
                return Err((self.base + start, message));
            }
        };
        steps.remove(0);
        Ok(Expr::Here(Box::new(Here { from, steps, text })))
    }
}

/// A field of the present context.
pub(super) fn field(steps: &[&str], text: &str) -> Expr {
    let steps = steps.iter().map(|step| Box::from(*step)).collect();
    Expr::Here(Box::new(Here { from: From::Up(0), steps, text: text.into() }))
}

/// A call of the helper `name`.
pub(super) fn invoke(
    name: &str,
    args: Vec<Expr>,
    named: Vec<(Box<str>, Expr)>,
    at: usize,
) -> Result<Expr, Wrong> {
    match helper::find(name) {
        Some(code) => {
            Ok(Expr::Call(Box::new(Invoke { name: name.into(), code, args, named, at: at as u32 })))
        }
        None => Err((at, format!("Unknown helper '{name}'"))),
    }
}
