//! Runs a compiled template against data, within limits.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use crate::engine::{OnError, Options, Program, Trace};
use crate::error::{Error, Fault, Place, Result};
use crate::escape::{self, Context};
use crate::expression::{Chain, Compare, Condition, Expr, Join, Path, Step};
use crate::filter::Args;
use crate::number;
use crate::syntax::{Body, For, Include, Kind, Node, TableRow, When};
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
                Err(error) => self.recover(error)?,
            }
        }
        self.depth -= 1;
        if self.out.len() > self.options.limits.output_bytes {
            return self
                .limit(0, format!("the output is larger than {} bytes", self.options.limits.output_bytes));
        }
        Ok(flow)
    }

    fn recover(&mut self, error: Error) -> Result<()> {
        match (&error, self.options.on_error) {
            (Error::Limit { .. } | Error::Abort { .. }, _) | (_, OnError::Raise) => return Err(error),
            (_, OnError::Record) => {}
            (_, OnError::Inline) => {
                let place = error.place();
                let file = if place.file.is_empty() { String::new() } else { format!("{} ", place.file) };
                let kind = if matches!(error, Error::Syntax { .. }) { "syntax error" } else { "error" };
                let line = place.line;
                self.out.push_str(&format!("Liquid {kind} ({file}line {line}): {}", error.message()));
            }
        }
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
                if value.is_nil() && chain.filters.is_empty() {
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
                for (condition, negated, body) in branches {
                    let holds = self.condition(condition);
                    if self.lift(at, holds)? != *negated {
                        return self.body(body);
                    }
                }
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
        for when in whens {
            match when {
                When::Values(values, body) => {
                    for expr in values {
                        let candidate = self.eval(expr);
                        if value.equals(&self.lift(at, candidate)?) {
                            matched = true;
                            let flow = self.body(body)?;
                            if flow != Flow::Next {
                                return Ok(flow);
                            }
                        }
                    }
                }
                When::Else(body) if !matched => {
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

    /// The collection, its first position and how many items are taken.
    fn segment(value: Val<'a>, from: i64, limit: Option<i64>) -> (Val<'a>, i64, i64) {
        let value = match value {
            Val::Str(_) | Val::Safe(_) if value.is_empty() => Val::Nil,
            Val::Str(_) | Val::Safe(_) => {
                return Self::segment(Val::Array(Rc::from(vec![value])), from, limit);
            }
            other => other,
        };
        let length = if value.is_list() || value.is_map() { value.len().unwrap_or(0) } else { 0 };
        let from = from.max(0);
        let mut count = length.saturating_sub(from).max(0);
        if let Some(limit) = limit {
            count = count.min(limit.max(0));
        }
        (value, from, count)
    }

    fn for_loop(&mut self, at: u32, node: &'a For) -> Result<Flow> {
        let limit = self.bound(at, node.limit.as_ref())?;
        let from = if node.resume {
            self.resumes.get(&*node.name).copied().unwrap_or(0)
        } else {
            self.bound(at, node.offset.as_ref())?.unwrap_or(0)
        };
        let value = self.eval(&node.over);
        let value = self.lift(at, value)?;
        if value.is_nil() {
            self.note_missing(&node.over, at);
        }
        let (value, from, count) = Self::segment(value, from, limit);
        self.resumes.insert(&node.name, from.saturating_add(count));
        if count == 0 {
            return self.body(&node.otherwise);
        }
        let state = Rc::new(Loop {
            name: &node.name,
            length: count,
            index: Default::default(),
            cols: None,
            parent: self.loops.last().cloned(),
        });
        self.loops.push(state.clone());
        let (slot, loop_slot) = (node.slot as usize, self.program.forloop as usize);
        let frame = self.frame;
        let saved_loop = self.frames[frame].locals[loop_slot].replace(Val::Loop(state.clone()));
        let saved = self.frames[frame].locals[slot].take();
        let items = materialised(&value);
        let mut result = Ok(Flow::Next);
        for i in 0..count {
            if let Err(fault) = self.step(1) {
                result = self.lift(at, Err(fault));
                break;
            }
            let index = from + if node.reversed { count - 1 - i } else { i };
            let item = match &items {
                Some(items) => items.get(index as usize).cloned(),
                None => value.at(index),
            };
            state.index.set(i);
            self.frames[frame].locals[slot] = Some(item.unwrap_or(Val::Nil));
            match self.body(&node.body) {
                Ok(Flow::Break) => break,
                Ok(_) => {}
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.frames[frame].locals[slot] = saved;
        self.frames[frame].locals[loop_slot] = saved_loop;
        self.loops.pop();
        result
    }

    fn table_row(&mut self, at: u32, node: &'a TableRow) -> Result<Flow> {
        let value = self.eval(&node.over);
        let value = self.lift(at, value)?;
        if !value.truthy() {
            return Ok(Flow::Next);
        }
        let from = self.bound(at, node.offset.as_ref())?.unwrap_or(0);
        let limit = self.bound(at, node.limit.as_ref())?;
        let limit = if node.limit.is_some() && limit.is_none() { Some(0) } else { limit };
        let (value, from, count) = Self::segment(value, from, limit);
        let cols = self.bound(at, node.cols.as_ref())?.unwrap_or(if node.cols.is_some() { 0 } else { count });
        let state = Rc::new(Loop {
            name: "",
            length: count,
            index: Default::default(),
            cols: Some(cols),
            parent: None,
        });
        let (slot, loop_slot) = (node.slot as usize, self.program.tablerowloop as usize);
        let frame = self.frame;
        let saved_loop = self.frames[frame].locals[loop_slot].replace(Val::Loop(state.clone()));
        let saved = self.frames[frame].locals[slot].take();
        let items = materialised(&value);
        self.out.push_str("<tr class=\"row1\">\n");
        let mut result = Ok(Flow::Next);
        for i in 0..count {
            if let Err(fault) = self.step(1) {
                result = self.lift(at, Err(fault));
                break;
            }
            state.index.set(i);
            let item = match &items {
                Some(items) => items.get((from + i) as usize).cloned(),
                None => value.at(from + i),
            };
            self.frames[frame].locals[slot] = Some(item.unwrap_or(Val::Nil));
            let (row, col) = if cols > 0 { (i / cols, i % cols) } else { (0, i) };
            self.out.push_str(&format!("<td class=\"col{}\">", col + 1));
            match self.body(&node.body) {
                Ok(flow) => {
                    self.out.push_str("</td>");
                    if flow == Flow::Break {
                        break;
                    }
                }
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
            if col + 1 == cols && i + 1 != count {
                self.out.push_str(&format!("</tr>\n<tr class=\"row{}\">", row + 2));
            }
        }
        self.frames[frame].locals[slot] = saved;
        self.frames[frame].locals[loop_slot] = saved_loop;
        if result.is_ok() {
            self.out.push_str("</tr>\n");
        }
        result
    }

    fn include(&mut self, at: u32, node: &'a Include) -> Result<Flow> {
        if !node.isolated && self.frame != 0 {
            return self.lift(at, Fault::value("include usage is not allowed in this context"));
        }
        let name = self.eval(&node.name);
        let name = self.lift(at, name)?;
        let Some(name) = name.as_str().map(str::to_owned) else {
            return self.lift(at, Fault::value("Argument error in tag 'include' - Illegal template name"));
        };
        let program = self.program;
        let Some((key, partial)) = program.partial(&name) else {
            return self.lift(at, Fault::value(format!("Could not find partial '{name}'")));
        };
        let body = match &partial.body {
            Ok(body) => body,
            Err(error) => return Err(error.clone()),
        };
        if self.partial_depth >= PARTIAL_DEPTH_MAX {
            return self.limit(at, "Nesting too deep: partials call each other without end");
        }
        let alias = node.alias.or_else(|| program.symbols.find(name.rsplit('/').next().unwrap_or(&name)));
        let with = match &node.with {
            Some(expr) => Some(self.eval(expr)),
            None if node.isolated => None,
            None => alias.map(|slot| Ok(self.lookup(slot).unwrap_or(Val::Nil))),
        };
        let with = with.map(|v| self.lift(at, v)).transpose()?;
        let mut args = Vec::with_capacity(node.args.len());
        for (slot, expr) in &node.args {
            let value = self.eval(expr);
            args.push((*slot as usize, self.lift(at, value)?));
        }
        let saved_source = std::mem::replace(&mut self.source, (key, &partial.source));
        self.partial_depth += 1;
        let result = if node.isolated {
            self.isolated(at, node, body, alias, with, args)
        } else {
            self.shared(at, body, alias, with, args)
        };
        self.partial_depth -= 1;
        self.source = saved_source;
        result
    }

    fn shared(
        &mut self,
        at: u32,
        body: &'a Body,
        alias: Option<u32>,
        with: Option<Val<'a>>,
        args: Vec<(usize, Val<'a>)>,
    ) -> Result<Flow> {
        let frame = self.frame;
        let mut saved = Vec::new();
        for (slot, value) in args {
            saved.push((slot, self.frames[frame].locals[slot].replace(value)));
        }
        let mut result = Ok(Flow::Next);
        if let Some(slot) = alias.map(|s| s as usize) {
            let value = with.unwrap_or(Val::Nil);
            saved.push((slot, self.frames[frame].locals[slot].clone()));
            if value.is_list() && !matches!(value, Val::Range(..)) {
                for i in 0..value.len().unwrap_or(0) {
                    if let Err(fault) = self.step(1) {
                        result = self.lift(at, Err(fault));
                        break;
                    }
                    self.frames[frame].locals[slot] = Some(value.at(i).unwrap_or(Val::Nil));
                    match self.body(body) {
                        Ok(Flow::Next) => {}
                        other => {
                            result = other;
                            break;
                        }
                    }
                }
            } else {
                self.frames[frame].locals[slot] = Some(value);
                result = self.body(body);
            }
        } else {
            result = self.body(body);
        }
        for (slot, value) in saved.into_iter().rev() {
            self.frames[frame].locals[slot] = value;
        }
        result
    }

    fn isolated(
        &mut self,
        at: u32,
        node: &'a Include,
        body: &'a Body,
        alias: Option<u32>,
        with: Option<Val<'a>>,
        args: Vec<(usize, Val<'a>)>,
    ) -> Result<Flow> {
        let outer = self.frame;
        let saved_loops = std::mem::take(&mut self.loops);
        let saved_cycles = std::mem::take(&mut self.cycles);
        let saved_resumes = std::mem::take(&mut self.resumes);
        let mut result = Ok(());
        let (values, looped, count) = match with {
            Some(v) if node.each && (v.is_list() || v.is_map()) => {
                let count = v.len().unwrap_or(0);
                (v, true, count)
            }
            Some(v) => (v, false, 1),
            None => (Val::Nil, false, 1),
        };
        let state =
            Rc::new(Loop { name: "", length: count, index: Default::default(), cols: None, parent: None });
        for i in 0..count {
            if let Err(fault) = self.step(1) {
                result = self.lift(at, Err(fault));
                break;
            }
            let mut frame = Frame::new(self.program.symbols.names.len(), self.options.partials_see_data);
            let item = if looped { values.at(i).unwrap_or(Val::Nil) } else { values.clone() };
            if looped {
                state.index.set(i);
                frame.globals[self.program.forloop as usize] = Some(Val::Loop(state.clone()));
            }
            for (slot, value) in &args {
                frame.globals[*slot] = Some(value.clone());
            }
            if let (Some(slot), false) = (alias, item.is_nil()) {
                frame.globals[slot as usize] = Some(item);
            }
            self.frames.push(frame);
            self.frame = self.frames.len() - 1;
            let done = self.body(body);
            self.frames.pop();
            if let Err(error) = done {
                result = Err(error);
                break;
            }
        }
        self.frame = outer;
        self.loops = saved_loops;
        self.cycles = saved_cycles;
        self.resumes = saved_resumes;
        result.map(|()| Flow::Next)
    }

    fn note_missing(&mut self, expr: &'a Expr, at: u32) {
        let Expr::Var(path) = expr else { return };
        if self.trace.missing.len() < TRACE_MAX && !self.trace.missing.iter().any(|m| m.name == *path.text) {
            let place = self.place(at);
            self.trace.missing.push(crate::engine::Missing { name: path.text.to_string(), place });
        }
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
        })
    }

    pub fn chain(&mut self, chain: &'a Chain, at: u32) -> Eval<Val<'a>> {
        let mut value = self.eval(&chain.value)?;
        for call in &chain.filters {
            let Some(run) = call.run else {
                let name = format!("filter {}", call.name);
                if self.trace.missing.len() < TRACE_MAX && !self.trace.missing.iter().any(|m| m.name == name)
                {
                    let place = self.place(at);
                    self.trace.missing.push(crate::engine::Missing { name, place });
                }
                continue;
            };
            let mut args = Args { positional: Vec::with_capacity(call.args.len()), named: Vec::new() };
            for arg in &call.args {
                args.positional.push(self.eval(arg)?);
            }
            for (key, arg) in &call.named {
                args.named.push((key, self.eval(arg)?));
            }
            if &*call.name == "default" && value.is_blank() && self.trace.fallbacks.len() < TRACE_MAX {
                let name = match &chain.value {
                    Expr::Var(path) => path.text.to_string(),
                    _ => "value".into(),
                };
                let place = self.place(at);
                self.trace.fallbacks.push(crate::engine::Missing { name, place });
            }
            value = run(self, value, &args)?;
        }
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
            if !comparable(left) || right.is_nil() || matches!(right, Val::Bool(_)) && !left.is_number() {
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
    if left.is_nil() || right.is_nil() {
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
