//! Values as a template sees them: borrowed from the data where possible, owned where computed.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;

use crate::error::Fault;
use crate::number;
use crate::supply::{Ask, Supplied};

/// Something with named parts, possibly lazy: nothing is computed before a template asks for it.
pub trait Object {
    /// The part called `key`, or nothing when there is no such name.
    fn get<'a>(&'a self, key: &str) -> Option<Val<'a>>;
    /// All parts in order, for loops and printing.
    fn entries(&self) -> Vec<(Cow<'_, str>, Val<'_>)> {
        Vec::new()
    }
    /// Answers a tag that asks the host (`recommend`, `catalog`, `feed`, `coupon`); only the root of the data is asked.
    fn supply(&self, ask: &Ask) -> Supplied<'_> {
        Supplied::Nothing(format!("There is no source for {ask} here."))
    }
}

impl Object for model::Value {
    fn get<'a>(&'a self, key: &str) -> Option<Val<'a>> {
        self.as_object()?.get(key).map(Val::from_json)
    }
    fn entries(&self) -> Vec<(Cow<'_, str>, Val<'_>)> {
        self.as_object().map(Object::entries).unwrap_or_default()
    }
}

impl Object for model::Map {
    fn get<'a>(&'a self, key: &str) -> Option<Val<'a>> {
        model::Map::get(self, key).map(Val::from_json)
    }
    fn entries(&self) -> Vec<(Cow<'_, str>, Val<'_>)> {
        self.iter().map(|(k, v)| (Cow::Borrowed(k.as_str()), Val::from_json(v))).collect()
    }
}

/// The state of a running loop, as `forloop` shows it.
#[derive(Debug, Default)]
pub struct Loop<'a> {
    pub(crate) name: &'a str,
    pub(crate) length: i64,
    pub(crate) index: std::cell::Cell<i64>,
    pub(crate) cols: Option<i64>,
    pub(crate) parent: Option<Rc<Loop<'a>>>,
}

impl<'a> Loop<'a> {
    fn get(self: &Rc<Self>, key: &str) -> Option<Val<'a>> {
        let i = self.index.get();
        if let Some(cols) = self.cols {
            let (row, col) = if cols > 0 { (i / cols, i % cols) } else { (0, i) };
            match key {
                "row" => return Some(Val::Int(row + 1)),
                "col" => return Some(Val::Int(col + 1)),
                "col0" => return Some(Val::Int(col)),
                "col_first" => return Some(Val::Bool(col == 0)),
                "col_last" => return Some(Val::Bool(col + 1 == cols)),
                "name" | "parentloop" => return None,
                _ => {}
            }
        }
        Some(match key {
            "name" => Val::Str(Cow::Borrowed(self.name)),
            "length" => Val::Int(self.length),
            "index" => Val::Int(i + 1),
            "index0" => Val::Int(i),
            "rindex" => Val::Int(self.length - i),
            "rindex0" => Val::Int(self.length - i - 1),
            "first" => Val::Bool(i == 0),
            "last" => Val::Bool(i + 1 == self.length),
            "parentloop" => self.parent.as_ref().map_or(Val::Nil, |p| Val::Loop(p.clone())),
            _ => return None,
        })
    }
}

/// A value.
#[derive(Clone)]
pub enum Val<'a> {
    /// Nothing.
    Nil,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A fraction.
    Float(f64),
    /// Text.
    Str(Cow<'a, str>),
    /// Text already escaped for HTML.
    Safe(Rc<str>),
    /// A list in the data.
    List(&'a [model::Value]),
    /// An object in the data.
    Map(&'a model::Map),
    /// A computed list.
    Array(Rc<[Val<'a>]>),
    /// A computed object.
    Record(Rc<[(Cow<'a, str>, Val<'a>)]>),
    /// A host object.
    Object(&'a dyn Object),
    /// Whole numbers from the first to the second, never materialised.
    Range(i64, i64),
    /// A running loop.
    Loop(Rc<Loop<'a>>),
    /// The variables of a frame (`self`).
    Scope(usize),
    /// The literal `empty`.
    Empty,
    /// The literal `blank`.
    Blank,
}

impl<'a> Val<'a> {
    /// Borrows JSON.
    pub fn from_json(value: &'a model::Value) -> Val<'a> {
        match value {
            model::Value::Null => Val::Nil,
            model::Value::Bool(b) => Val::Bool(*b),
            model::Value::Number(n) => {
                n.as_i64().map_or_else(|| Val::Float(n.as_f64().unwrap_or(0.0)), Val::Int)
            }
            model::Value::String(s) => Val::Str(Cow::Borrowed(s)),
            model::Value::Array(items) => Val::List(items),
            model::Value::Object(map) => Val::Map(map),
        }
    }

    /// Takes over JSON that a lazy object computed.
    pub fn from_owned(value: model::Value) -> Val<'static> {
        match value {
            model::Value::Null => Val::Nil,
            model::Value::Bool(b) => Val::Bool(b),
            model::Value::Number(n) => {
                n.as_i64().map_or_else(|| Val::Float(n.as_f64().unwrap_or(0.0)), Val::Int)
            }
            model::Value::String(s) => Val::Str(Cow::Owned(s)),
            model::Value::Array(items) => Val::Array(items.into_iter().map(Val::from_owned).collect()),
            model::Value::Object(map) => {
                Val::Record(map.into_iter().map(|(k, v)| (Cow::Owned(k), Val::from_owned(v))).collect())
            }
        }
    }

    /// Owned text.
    pub fn text(text: impl Into<String>) -> Val<'a> {
        Val::Str(Cow::Owned(text.into()))
    }

    /// Whether an `if` takes its branch.
    pub fn truthy(&self) -> bool {
        !matches!(self, Val::Nil | Val::Bool(false))
    }

    pub(crate) fn is_nil(&self) -> bool {
        matches!(self, Val::Nil)
    }

    /// The text, when it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Val::Str(s) => Some(s),
            Val::Safe(s) => Some(s),
            _ => None,
        }
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self, Val::List(_) | Val::Array(_) | Val::Range(..))
    }

    pub(crate) fn is_map(&self) -> bool {
        matches!(self, Val::Map(_) | Val::Record(_) | Val::Object(_))
    }

    /// Number of parts, for lists, objects and text.
    pub(crate) fn len(&self) -> Option<i64> {
        Some(match self {
            Val::Str(s) => s.chars().count() as i64,
            Val::Safe(s) => s.chars().count() as i64,
            Val::List(l) => l.len() as i64,
            Val::Array(l) => l.len() as i64,
            Val::Map(m) => m.len() as i64,
            Val::Record(m) => m.len() as i64,
            Val::Object(o) => o.entries().len() as i64,
            Val::Range(a, b) => {
                if b < a {
                    0
                } else {
                    b.checked_sub(*a).and_then(|n| n.checked_add(1)).unwrap_or(i64::MAX)
                }
            }
            _ => return None,
        })
    }

    /// The item at `index`; negative counts from the end.
    pub(crate) fn at(&self, index: i64) -> Option<Val<'a>> {
        let len = self.len()?;
        let i = if index < 0 { len.checked_add(index)? } else { index };
        if i < 0 || i >= len {
            return None;
        }
        match self {
            Val::List(l) => l.get(i as usize).map(Val::from_json),
            Val::Array(l) => l.get(i as usize).cloned(),
            Val::Range(a, _) => a.checked_add(i).map(Val::Int),
            Val::Map(m) => m.iter().nth(i as usize).map(|(k, v)| pair(Cow::Borrowed(k), Val::from_json(v))),
            Val::Record(m) => m.get(i as usize).map(|(k, v)| pair(k.clone(), v.clone())),
            Val::Object(o) => o.entries().into_iter().nth(i as usize).map(|(k, v)| pair(k, v)),
            _ => None,
        }
    }

    /// The part called `key`; `first`, `last` and `size` are answered for lists.
    pub(crate) fn part(&self, key: &str) -> Option<Val<'a>> {
        match self {
            Val::Map(m) => m.get(key).map(Val::from_json),
            Val::Record(m) => m.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone()),
            Val::Object(o) => o.get(key),
            Val::Loop(l) => l.get(key),
            _ => None,
        }
    }

    /// A part by name as written with a dot, including the commands `size`, `first`, `last`.
    pub(crate) fn dotted(&self, key: &str) -> Option<Val<'a>> {
        if let Some(found) = self.part(key) {
            return Some(found);
        }
        match key {
            "size" => self.len().map(Val::Int),
            "first" | "last" if self.as_str().is_some() => {
                let text = self.as_str().unwrap_or_default();
                let found = if key == "first" { text.chars().next() } else { text.chars().next_back() };
                Some(Val::text(found.map(String::from).unwrap_or_default()))
            }
            "first" if self.is_list() || self.is_map() => Some(self.at(0).unwrap_or(Val::Nil)),
            "last" if self.is_list() => Some(self.at(-1).unwrap_or(Val::Nil)),
            _ => None,
        }
    }

    /// A part by a computed name or position.
    pub(crate) fn indexed(&self, index: &Val<'a>) -> Option<Val<'a>> {
        if self.is_list() {
            return match index {
                Val::Int(i) => self.at(*i),
                Val::Float(f) if f.is_finite() => self.at(*f as i64),
                Val::Str(_) | Val::Safe(_) => None,
                _ => None,
            };
        }
        match index.as_str() {
            Some(key) => self.part(key),
            None if self.is_map() => match index {
                Val::Int(_) | Val::Float(_) | Val::Bool(_) => self.part(&index.to_text()),
                _ => None,
            },
            None => None,
        }
    }

    /// How it prints.
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Val::Str(s) => Cow::Borrowed(s),
            Val::Safe(s) => Cow::Borrowed(s),
            Val::Nil | Val::Empty | Val::Blank => Cow::Borrowed(""),
            Val::Bool(true) => Cow::Borrowed("true"),
            Val::Bool(false) => Cow::Borrowed("false"),
            _ => {
                let mut out = String::new();
                self.write(&mut out);
                Cow::Owned(out)
            }
        }
    }

    /// The text a filter works on: lists and objects in their written form.
    pub(crate) fn to_written(&self) -> Cow<'_, str> {
        match self {
            Val::List(_) | Val::Array(_) => {
                let mut out = String::new();
                self.inspect(&mut out);
                Cow::Owned(out)
            }
            _ => self.to_text(),
        }
    }

    /// Appends the printed form; lists print their items one after another.
    pub(crate) fn write(&self, out: &mut String) {
        use std::fmt::Write;
        match self {
            Val::Nil | Val::Empty | Val::Blank => {}
            Val::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Val::Int(i) => {
                let _ = write!(out, "{i}");
            }
            Val::Float(f) => out.push_str(&number::float_text(*f)),
            Val::Str(s) => out.push_str(s),
            Val::Safe(s) => out.push_str(s),
            Val::List(l) => l.iter().for_each(|v| Val::from_json(v).write(out)),
            Val::Array(l) => l.iter().for_each(|v| v.write(out)),
            Val::Range(a, b) => {
                let _ = write!(out, "{a}..{b}");
            }
            Val::Map(_) | Val::Record(_) | Val::Object(_) => self.inspect(out),
            Val::Loop(l) => {
                out.push_str(if l.cols.is_some() {
                    "Liquid::TablerowloopDrop"
                } else {
                    "Liquid::ForloopDrop"
                });
            }
            Val::Scope(_) => out.push_str("Liquid::SelfDrop"),
        }
    }

    fn inspect(&self, out: &mut String) {
        match self {
            Val::Nil => out.push_str("nil"),
            Val::Str(_) | Val::Safe(_) => {
                let text = self.as_str().unwrap_or_default();
                out.push('"');
                for c in text.chars() {
                    match c {
                        '"' => out.push_str("\\\""),
                        '\\' => out.push_str("\\\\"),
                        '\n' => out.push_str("\\n"),
                        '\r' => out.push_str("\\r"),
                        '\t' => out.push_str("\\t"),
                        c => out.push(c),
                    }
                }
                out.push('"');
            }
            Val::List(_) | Val::Array(_) => {
                out.push('[');
                for i in 0..self.len().unwrap_or(0) {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    if let Some(v) = self.at(i) {
                        v.inspect(out);
                    }
                }
                out.push(']');
            }
            Val::Map(_) | Val::Record(_) | Val::Object(_) => {
                out.push('{');
                for (i, (k, v)) in self.pairs().iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    Val::Str(Cow::Borrowed(k.as_ref())).inspect(out);
                    out.push_str("=>");
                    v.inspect(out);
                }
                out.push('}');
            }
            _ => self.write(out),
        }
    }

    pub(crate) fn pairs(&self) -> Vec<(Cow<'a, str>, Val<'a>)> {
        match self {
            Val::Map(m) => m.entries(),
            Val::Record(m) => m.to_vec(),
            Val::Object(o) => o.entries(),
            _ => Vec::new(),
        }
    }

    /// As JSON, to a bounded depth.
    pub fn to_json(&self) -> model::Value {
        match self {
            Val::Bool(b) => (*b).into(),
            Val::Int(i) => (*i).into(),
            Val::Float(f) => (*f).into(),
            Val::Str(_) | Val::Safe(_) | Val::Range(..) => self.to_text().into_owned().into(),
            Val::List(l) => model::Value::Array(l.to_vec()),
            Val::Map(m) => model::Value::Object((*m).clone()),
            Val::Array(l) => model::Value::Array(l.iter().map(Val::to_json).collect()),
            Val::Record(_) | Val::Object(_) => model::Value::Object(
                self.pairs().into_iter().map(|(k, v)| (k.into_owned(), v.to_json())).collect(),
            ),
            _ => model::Value::Null,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        !matches!(self, Val::Range(..)) && self.len() == Some(0)
    }

    pub(crate) fn is_blank(&self) -> bool {
        match self {
            Val::Nil | Val::Bool(false) | Val::Empty | Val::Blank => true,
            Val::Str(_) | Val::Safe(_) => self.as_str().is_some_and(|s| s.trim().is_empty()),
            _ => self.is_empty(),
        }
    }

    /// Equality as `==` sees it.
    pub(crate) fn equals(&self, other: &Val<'a>) -> bool {
        match (self, other) {
            (Val::Nil, Val::Nil) => true,
            (Val::Empty | Val::Blank, Val::Empty | Val::Blank) => false,
            (v, Val::Empty) | (Val::Empty, v) => v.is_empty(),
            (v, Val::Blank) | (Val::Blank, v) => v.is_blank(),
            (Val::Bool(a), Val::Bool(b)) => a == b,
            (Val::Int(a), Val::Int(b)) => a == b,
            (Val::Int(_) | Val::Float(_), Val::Int(_) | Val::Float(_)) => {
                self.number_cmp(other) == Some(Ordering::Equal)
            }
            (Val::Str(_) | Val::Safe(_), Val::Str(_) | Val::Safe(_)) => self.as_str() == other.as_str(),
            (Val::Range(a, b), Val::Range(c, d)) => a == c && b == d,
            (Val::List(_) | Val::Array(_), Val::List(_) | Val::Array(_)) => {
                self.len() == other.len()
                    && (0..self.len().unwrap_or(0)).all(|i| match (self.at(i), other.at(i)) {
                        (Some(a), Some(b)) => a.equals(&b),
                        _ => false,
                    })
            }
            (Val::Map(_) | Val::Record(_), Val::Map(_) | Val::Record(_)) => {
                let (a, b) = (self.pairs(), other.pairs());
                a.len() == b.len() && a.iter().all(|(k, v)| other.part(k).is_some_and(|w| v.equals(&w)))
            }
            (Val::Scope(a), Val::Scope(b)) => a == b,
            (Val::Loop(a), Val::Loop(b)) => Rc::ptr_eq(a, b),
            (Val::Object(a), Val::Object(b)) => std::ptr::addr_eq(*a, *b),
            _ => false,
        }
    }

    pub(crate) fn number_cmp(&self, other: &Val<'a>) -> Option<Ordering> {
        match (self, other) {
            (Val::Int(a), Val::Int(b)) => Some(a.cmp(b)),
            (Val::Int(a), Val::Float(b)) => (*a as f64).partial_cmp(b),
            (Val::Float(a), Val::Int(b)) => a.partial_cmp(&(*b as f64)),
            (Val::Float(a), Val::Float(b)) => a.partial_cmp(b),
            _ => None,
        }
    }

    /// Order as `<` and `sort` see it.
    pub(crate) fn order(&self, other: &Val<'a>) -> Result<Ordering, Fault> {
        if let Some(order) = self.number_cmp(other) {
            return Ok(order);
        }
        match (self.as_str(), other.as_str()) {
            (Some(a), Some(b)) => Ok(a.cmp(b)),
            _ => {
                let right = match other {
                    Val::Int(_) | Val::Float(_) | Val::Nil | Val::Bool(_) if !self.is_number() => {
                        let mut text = String::new();
                        other.inspect(&mut text);
                        text
                    }
                    _ => other.class().to_owned(),
                };
                Fault::value(format!("comparison of {} with {right} failed", self.class()))
            }
        }
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Val::Int(_) | Val::Float(_))
    }

    pub(crate) fn class(&self) -> &'static str {
        match self {
            Val::Nil => "NilClass",
            Val::Bool(true) => "TrueClass",
            Val::Bool(false) => "FalseClass",
            Val::Int(_) => "Integer",
            Val::Float(_) => "Float",
            Val::Str(_) | Val::Safe(_) => "String",
            Val::List(_) | Val::Array(_) => "Array",
            Val::Range(..) => "Range",
            _ => "Hash",
        }
    }
}

pub(crate) fn pair<'a>(key: Cow<'a, str>, value: Val<'a>) -> Val<'a> {
    Val::Array(Rc::from(vec![Val::Str(key), value]))
}

impl std::fmt::Debug for Val<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::new();
        self.inspect(&mut out);
        f.write_str(&out)
    }
}
