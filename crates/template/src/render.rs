//! Runs a compiled template against data, within limits.

pub(crate) mod handlebars;
mod repeat;
mod supply;

pub(crate) use supply::recommended;

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use crate::engine::{OnError, Options, Program, Trace};
use crate::error::{Error, Fault, Place, Result};
use crate::escape::{self, Context};
use crate::expression::{Chain, Compare, Condition, Expr, Join, Path, Step};
use crate::filter::Args;
use crate::number;
use crate::syntax::{Body, Kind, Node, When};
use crate::value::{Loop, Object, Val};

/// Levels of blocks and partials at run time.
const RENDER_DEPTH_MAX: usize = 160;
const PARTIAL_DEPTH_MAX: usize = 100;
/// Entries of each list in a trace.
const TRACE_MAX: usize = 100;

type Eval<T> = std::result::Result<T, Fault>;

/// One set of variables: the page's, or an isolated partial's.
struct Frame<'a> {
    globals: Vec<Option<Val<'a>>>,
    locals: Vec<Option<Val<'a>>>,
    counters: Vec<Option<i64>>,
    sees_data: bool,
}

impl<'a> Frame<'a> {
    fn new(slots: usize, sees_data: bool) -> Frame<'a> {
        Frame {
            globals: vec![None; slots],
            locals: vec![None; slots],
            counters: vec![None; slots],
            sees_data,
        }
    }
}

#[derive(PartialEq, Clone, Copy)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// A run of one template; also what filters see.
pub(crate) struct Run<'a, 'o> {
    program: &'a Program,
    data: &'a dyn Object,
    pub options: &'o Options,
    frames: Vec<Frame<'a>>,
    frame: usize,
    pub out: String,
    pub trace: Trace,
    steps: u64,
    bytes: usize,
    depth: usize,
    partial_depth: usize,
    loops: Vec<Rc<Loop<'a>>>,
    cycles: HashMap<String, usize>,
    resumes: HashMap<&'a str, i64>,
    changed: Option<String>,
    source: (&'a str, &'a str),
    captures: usize,
    /// How often something was missing or could not be used.
    gaps: u64,
    /// Whether what the last chain began with was nothing.
    began_with_nil: bool,
    /// The place of the chain that is being evaluated.
    now_at: u32,
    contexts: handlebars::Contexts<'a>,
}

impl<'a, 'o> Run<'a, 'o> {
    pub fn new(program: &'a Program, data: &'a dyn Object, options: &'o Options) -> Run<'a, 'o> {
        Run {
            program,
            data,
            options,
            frames: vec![Frame::new(program.symbols.names.len(), true)],
            frame: 0,
            out: String::with_capacity(program.source.len() + program.source.len() / 4),
            trace: Trace::default(),
            steps: 0,
            bytes: 0,
            depth: 0,
            partial_depth: 0,
            loops: Vec::new(),
            cycles: HashMap::new(),
            resumes: HashMap::new(),
            changed: None,
            source: ("", &program.source),
            captures: 0,
            gaps: 0,
            began_with_nil: false,
            now_at: 0,
            contexts: handlebars::Contexts::new(data),
        }
    }

    pub fn run(&mut self) -> Result<()> {
        let program = self.program;
        self.body(&program.body)?;
        Ok(())
    }

    fn place(&self, at: u32) -> Place {
        match &self.program.origin {
            Some(origin) if self.source.0.is_empty() => origin.place(at),
            _ => Place::of(self.source.0, self.source.1, at as usize),
        }
    }

    fn limit<T>(&self, at: u32, message: impl Into<String>) -> Result<T> {
        Err(Error::Limit { place: self.place(at), message: message.into() })
    }

    /// Counts work; every loop inside a filter passes here as well.
    pub fn step(&mut self, n: u64) -> Eval<()> {
        self.steps = self.steps.saturating_add(n);
        if self.steps > self.options.limits.steps {
            return Fault::limit(format!("more than {} steps", self.options.limits.steps));
        }
        Ok(())
    }

    /// Counts memory before it is taken.
    pub fn reserve(&mut self, bytes: usize) -> Eval<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if bytes > self.options.limits.value_bytes || self.bytes > self.options.limits.total_bytes {
            return Fault::limit(format!("a value is larger than {} bytes", self.options.limits.value_bytes));
        }
        Ok(())
    }

    fn print(&mut self, at: u32, context: Context, value: &Val<'a>) -> Result<()> {
        match value {
            Val::Str(text) if context == Context::Plain => self.out.push_str(text),
            Val::Str(text) => escape::write(context, text, &mut self.out),
            Val::Nil => {}
            Val::Safe(text) => match context {
                Context::Plain | Context::Text | Context::Attribute => self.out.push_str(text),
                Context::UrlStart if !escape::url_is_safe(text) => self.out.push('#'),
                Context::Css | Context::Script => escape::write(context, text, &mut self.out),
                _ => self.out.push_str(&text.replace('"', "%22").replace('<', "%3C")),
            },
            Val::Int(_) | Val::Float(_) if context != Context::Script => value.write(&mut self.out),
            _ => {
                let charge = self.charge(value, 0);
                self.lift(at, charge)?;
                let text = value.to_text();
                escape::write(context, &text, &mut self.out);
            }
        }
        if self.out.len() > self.options.limits.output_bytes {
            return self
                .limit(at, format!("the output is larger than {} bytes", self.options.limits.output_bytes));
        }
        Ok(())
    }

    /// Refuses to print a nested value of a size that would exhaust memory.
    fn charge(&mut self, value: &Val<'a>, depth: usize) -> Eval<()> {
        self.step(1)?;
        if depth > 64 {
            return Fault::limit("Nesting too deep");
        }
        match value {
            Val::Str(s) => self.reserve(s.len()),
            Val::Safe(s) => self.reserve(s.len()),
            Val::Array(items) => items.iter().try_for_each(|v| self.charge(v, depth + 1)),
            Val::Record(items) => items.iter().try_for_each(|(_, v)| self.charge(v, depth + 1)),
            _ => Ok(()),
        }
    }

    fn lift<T>(&self, at: u32, result: Eval<T>) -> Result<T> {
        result.map_err(|fault| match fault {
            Fault::Value(message) => Error::Render { place: self.place(at), message },
            Fault::Limit(message) => Error::Limit { place: self.place(at), message },
            Fault::Refused(reason) => Error::Abort { place: self.place(at), reason },
        })
    }

    fn body(&mut self, body: &'a Body) -> Result<Flow> {
        self.depth += 1;
        if self.depth > RENDER_DEPTH_MAX {
            let at = body.first().map_or(0, |n| n.at);
            return self.limit(at, "Nesting too deep");
        }
        let mut flow = Flow::Next;
        for node in body {
            if let Kind::Text(text) = &node.kind {
                self.out.push_str(text);
                continue;
            }
            let counted = self.step(1);
            self.lift(node.at, counted)?;
            match self.node(node) {
                Ok(Flow::Next) => {}
                Ok(other) => {
                    flow = other;
                    break;
                }
                Err(error) => self.recover(error, node.blank)?,
            }
        }
        self.depth -= 1;
        if self.out.len() > self.options.limits.output_bytes {
            return self
                .limit(0, format!("the output is larger than {} bytes", self.options.limits.output_bytes));
        }
        Ok(flow)
    }

    fn recover(&mut self, error: Error, blank: bool) -> Result<()> {
        match (&error, self.options.on_error) {
            (Error::Limit { .. } | Error::Abort { .. }, _) | (_, OnError::Raise) => return Err(error),
            (_, OnError::Record) => {}
            (_, OnError::Inline) if blank => {}
            (_, OnError::Inline) => {
                let place = error.place();
                let file = if place.file.is_empty() { String::new() } else { format!("{} ", place.file) };
                let kind = if matches!(error, Error::Syntax { .. }) { "syntax error" } else { "error" };
                let line = place.line;
                self.out.push_str(&format!("Liquid {kind} ({file}line {line}): {}", error.message()));
            }
        }
        self.gaps += 1;
        if self.trace.errors.len() < TRACE_MAX {
            self.trace.errors.push(error.to_string());
        }
        Ok(())
    }

    fn node(&mut self, node: &'a Node) -> Result<Flow> {
        let at = node.at;
        match &node.kind {
            Kind::Text(text) => self.out.push_str(text),
            Kind::Output(chain, context) => {
                let value = self.chain(chain, at);
                let value = self.lift(at, value)?;
                // A filter must not hide that there was nothing to put it on.
                let hidden = std::mem::take(&mut self.began_with_nil) && !chain.stands_in();
                if hidden || value.is_nil() {
                    self.note_missing(&chain.value, at);
                }
                self.print(at, *context, &value)?;
            }
            Kind::Assign(slot, chain) => {
                let value = self.chain(chain, at);
                let value = self.lift(at, value)?;
                self.frames[self.frame].globals[*slot as usize] = Some(value);
            }
            Kind::Capture(slot, body) => {
                let (flow, text) = self.captured(body)?;
                let reserved = self.reserve(text.len());
                self.lift(at, reserved)?;
                let value = if self.options.escape { Val::Safe(text.into()) } else { Val::text(text) };
                self.frames[self.frame].globals[*slot as usize] = Some(value);
                return Ok(flow);
            }
            Kind::If(branches, otherwise) => {
                for (way, (condition, negated, body)) in branches.iter().enumerate() {
                    let holds = self.condition(condition);
                    if self.lift(at, holds)? != *negated {
                        self.took(at, way);
                        return self.body(body);
                    }
                }
                self.took(at, branches.len());
                return if otherwise.is_empty() { Ok(Flow::Next) } else { self.body(otherwise) };
            }
            Kind::Case(subject, whens) => return self.case(at, subject, whens),
            Kind::For(loop_) => return self.for_loop(at, loop_),
            Kind::TableRow(row) => return self.table_row(at, row),
            Kind::Cycle { key, values } => {
                let key = match key {
                    Ok(key) => key.to_string(),
                    Err(expr) => {
                        let value = self.eval(expr);
                        format!("n:{:?}", self.lift(at, value)?)
                    }
                };
                let position = self.cycles.get(&key).copied().unwrap_or(0);
                let value = match values.get(position) {
                    Some(expr) => self.eval(expr),
                    None => Ok(Val::Nil),
                };
                let value = self.lift(at, value)?;
                self.cycles.insert(key, if position + 1 >= values.len() { 0 } else { position + 1 });
                let context = if self.options.escape { Context::Text } else { Context::Plain };
                self.print(at, context, &value)?;
            }
            Kind::Increment(slot, by) => {
                let slot = *slot as usize;
                let before = match self.frames[self.frame].counters[slot] {
                    Some(n) => n,
                    None => match self.data.get(&self.program.symbols.names[slot]) {
                        Some(Val::Int(n)) if self.frames[self.frame].sees_data => n,
                        _ => 0,
                    },
                };
                let Some(after) = before.checked_add(*by) else {
                    return self.lift(at, Fault::value("number out of range"));
                };
                self.frames[self.frame].counters[slot] = Some(after);
                self.print(at, Context::Plain, &Val::Int(if *by > 0 { before } else { after }))?;
            }
            Kind::Include(include) => return self.include(at, include),
            Kind::IfChanged(body) => {
                let (flow, text) = self.captured(body)?;
                if self.changed.as_ref() != Some(&text) {
                    self.out.push_str(&text);
                    self.changed = Some(text);
                }
                return Ok(flow);
            }
            Kind::Break => return Ok(Flow::Break),
            Kind::Continue => return Ok(Flow::Continue),
            Kind::Abort(chain) => {
                let value = self.chain(chain, at);
                let reason = self.lift(at, value)?.to_text().into_owned();
                return Err(Error::Abort { place: self.place(at), reason });
            }
            Kind::Inline(body) => return self.body(body),
            Kind::Supply(supply) => return self.supply(at, supply),
            Kind::Fallback(first, other) => return self.fallback(at, first, other),
            Kind::Variant(variant) => return self.variant(at, variant),
            Kind::Block(block) => return self.block(at, block),
        }
        Ok(Flow::Next)
    }

    fn captured(&mut self, body: &'a Body) -> Result<(Flow, String)> {
        let outer = std::mem::take(&mut self.out);
        self.captures += 1;
        let flow = self.body(body);
        self.captures -= 1;
        let text = std::mem::replace(&mut self.out, outer);
        Ok((flow?, text))
    }

    fn case(&mut self, at: u32, subject: &'a Expr, whens: &'a [When]) -> Result<Flow> {
        let value = self.eval(subject);
        let value = self.lift(at, value)?;
        let mut matched = false;
        for (way, when) in whens.iter().enumerate() {
            match when {
                When::Values(values, body) => {
                    for expr in values {
                        let candidate = self.eval(expr);
                        if value.equals(&self.lift(at, candidate)?) {
                            matched = true;
                            self.took(at, way);
                            let flow = self.body(body)?;
                            if flow != Flow::Next {
                                return Ok(flow);
                            }
                        }
                    }
                }
                When::Else(body) if !matched => {
                    self.took(at, way);
                    let flow = self.body(body)?;
                    if flow != Flow::Next {
                        return Ok(flow);
                    }
                }
                When::Else(_) => {}
            }
        }
        Ok(Flow::Next)
    }

    fn bound(&mut self, at: u32, expr: Option<&'a Expr>) -> Result<Option<i64>> {
        let Some(expr) = expr else { return Ok(None) };
        let value = self.eval(expr);
        let value = self.lift(at, value)?;
        if value.is_nil() {
            return Ok(None);
        }
        self.lift(at, number::integer(&value)).map(Some)
    }

    fn took(&mut self, at: u32, way: usize) {
        if self.options.keep_ways {
            let file = self.source.0.to_owned();
            self.trace.ways.insert(crate::engine::Way { file, tag: at, way: way as u32 });
        }
    }

    fn note_missing(&mut self, expr: &'a Expr, at: u32) {
        let Expr::Var(path) = expr else { return };
        self.note_gap(path.text.to_string(), at);
    }

    fn lookup(&self, slot: u32) -> Option<Val<'a>> {
        self.lookup_in(self.frame, slot)
    }

    fn lookup_in(&self, frame: usize, slot: u32) -> Option<Val<'a>> {
        let at = slot as usize;
        let frame = self.frames.get(frame)?;
        if let Some(value) = &frame.locals[at] {
            return Some(value.clone());
        }
        if let Some(value) = &frame.globals[at] {
            return Some(value.clone());
        }
        if let Some(count) = frame.counters[at] {
            return Some(Val::Int(count));
        }
        if frame.sees_data { self.data.get(&self.program.symbols.names[at]) } else { None }
    }

    /// A part of a value, where `self` is the variables of a frame.
    pub fn part(&self, value: &Val<'a>, key: &str) -> Option<Val<'a>> {
        match value {
            Val::Scope(frame) => match self.program.symbols.find(key) {
                Some(slot) => self.lookup_in(*frame, slot),
                None if self.frames.get(*frame).is_some_and(|f| f.sees_data) => self.data.get(key),
                None => None,
            },
            _ => value.part(key),
        }
    }

    fn path(&mut self, path: &'a Path) -> Eval<Val<'a>> {
        let mut value = match self.lookup(path.slot) {
            Some(value) => value,
            None if &*self.program.symbols.names[path.slot as usize] == "self" => Val::Scope(self.frame),
            None => return Ok(Val::Nil),
        };
        for step in &path.steps {
            let next = match step {
                Step::Dot(key) if matches!(value, Val::Scope(_)) => self.part(&value, key),
                Step::Dot(key) => value.dotted(key),
                Step::Index(expr) => {
                    let index = self.eval(expr)?;
                    match (&value, index.as_str()) {
                        (Val::Scope(_), Some(key)) => self.part(&value, key),
                        _ => value.indexed(&index),
                    }
                }
            };
            match next {
                Some(next) => value = next,
                None => return Ok(Val::Nil),
            }
        }
        Ok(value)
    }

    pub fn eval(&mut self, expr: &'a Expr) -> Eval<Val<'a>> {
        Ok(match expr {
            Expr::Nil => Val::Nil,
            Expr::Empty => Val::Empty,
            Expr::Blank => Val::Blank,
            Expr::Bool(b) => Val::Bool(*b),
            Expr::Int(i) => Val::Int(*i),
            Expr::Float(f) => Val::Float(*f),
            Expr::Str(s) => Val::Str(Cow::Borrowed(s)),
            Expr::Range(ends) => {
                let first = self.eval(&ends.0)?;
                let last = self.eval(&ends.1)?;
                Val::Range(range_end(&first)?, range_end(&last)?)
            }
            Expr::Var(path) => self.path(path)?,
            Expr::Here(here) => self.here(here),
            Expr::Call(call) => self.invoke(call)?,
        })
    }

    pub fn chain(&mut self, chain: &'a Chain, at: u32) -> Eval<Val<'a>> {
        let mut value = self.eval(&chain.value)?;
        let began_with_nil = value.is_nil();
        for call in &chain.filters {
            let Some(run) = call.run else {
                self.note_gap(format!("filter {}", call.name), at);
                continue;
            };
            let mut args = Args { positional: Vec::with_capacity(call.args.len()), named: Vec::new() };
            for arg in &call.args {
                args.positional.push(self.eval(arg)?);
            }
            for (key, arg) in &call.named {
                args.named.push((key, self.eval(arg)?));
            }
            if &*call.name == "default" && value.is_blank() {
                let name = match &chain.value {
                    Expr::Var(path) => path.text.to_string(),
                    _ => "value".into(),
                };
                self.note_fallback(name, at);
            }
            self.now_at = at;
            value = run(self, value, &args)?;
        }
        self.began_with_nil = began_with_nil;
        Ok(value)
    }

    fn condition(&mut self, condition: &'a Condition) -> Eval<bool> {
        let terms = &condition.terms;
        let mut i = 0;
        loop {
            let (term, join) = &terms[i];
            let left = self.eval(&term.left)?;
            let holds = match &term.right {
                None => left.truthy(),
                Some((compare, right)) => {
                    let right = self.eval(right)?;
                    compare_values(*compare, &left, &right)?
                }
            };
            match (join, holds) {
                (Join::End, _) => return Ok(holds),
                (Join::And, false) => return Ok(false),
                (Join::Or, true) => return Ok(true),
                _ => i += 1,
            }
        }
    }
}

/// Objects are turned into pairs once, not at every step of a loop.
fn materialised<'a>(value: &Val<'a>) -> Option<Vec<Val<'a>>> {
    value.is_map().then(|| value.pairs().into_iter().map(|(k, v)| crate::value::pair(k, v)).collect())
}

fn range_end(value: &Val<'_>) -> Eval<i64> {
    match value {
        Val::Int(i) => Ok(*i),
        Val::Nil => Ok(0),
        Val::Float(_) => Fault::value("invalid integer"),
        Val::Str(_) | Val::Safe(_) => match number::number_of(value) {
            Val::Int(i) => Ok(i),
            Val::Float(f) => Ok(f as i64),
            _ => Ok(0),
        },
        _ => Fault::value("invalid integer"),
    }
}

pub(crate) fn compare_values<'a>(compare: Compare, left: &Val<'a>, right: &Val<'a>) -> Eval<bool> {
    use std::cmp::Ordering;
    Ok(match compare {
        Compare::Eq => left.equals(right),
        Compare::Ne => !left.equals(right),
        Compare::Contains => contains(left, right),
        _ => {
            let comparable = |v: &Val<'_>| v.is_number() || v.as_str().is_some();
            if !comparable(left) || !comparable(right) {
                return Ok(false);
            }
            if left.is_number() && right.is_number() && left.number_cmp(right).is_none() {
                return Ok(false);
            }
            let order = left.order(right)?;
            match compare {
                Compare::Lt => order == Ordering::Less,
                Compare::Gt => order == Ordering::Greater,
                Compare::Le => order != Ordering::Greater,
                _ => order != Ordering::Less,
            }
        }
    })
}

fn contains<'a>(left: &Val<'a>, right: &Val<'a>) -> bool {
    if left.is_nil() || !right.truthy() {
        return false;
    }
    match left {
        Val::Str(_) | Val::Safe(_) => left.as_str().is_some_and(|s| s.contains(&*right.to_text())),
        Val::List(items) => items.iter().any(|v| Val::from_json(v).equals(right)),
        Val::Array(items) => items.iter().any(|v| v.equals(right)),
        Val::Range(a, b) => match right {
            Val::Int(i) => a <= i && i <= b,
            _ => false,
        },
        Val::Map(_) | Val::Record(_) | Val::Object(_) => {
            right.as_str().is_some_and(|k| left.part(k).is_some())
        }
        _ => false,
    }
}
