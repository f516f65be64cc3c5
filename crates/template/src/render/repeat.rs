//! Loops and partials at run time.

use std::rc::Rc;

use super::{Flow, Frame, PARTIAL_DEPTH_MAX, Run, materialised};
use crate::error::{Fault, Result};
use crate::syntax::{Body, For, Include, TableRow};
use crate::value::{Loop, Val};

/// A parameter: its slot, its value, and what the slot held before.
type Given<'a> = (usize, Val<'a>, Option<Val<'a>>);

impl<'a> Run<'a, '_> {
    /// As `bound`, but text that is no number counts as 0.
    fn lenient_bound(&mut self, at: u32, expr: Option<&'a crate::expression::Expr>) -> Result<Option<i64>> {
        let Some(expr) = expr else { return Ok(None) };
        let value = self.eval(expr);
        Ok(match crate::number::number_of(&self.lift(at, value)?) {
            Val::Int(i) => Some(i),
            Val::Float(f) => Some(f as i64),
            _ => None,
        })
    }

    /// The collection, its first position and how many items are taken.
    pub(super) fn segment(value: Val<'a>, from: i64, limit: Option<i64>) -> (Val<'a>, i64, i64) {
        let value = match value {
            Val::Str(_) | Val::Safe(_) if value.is_empty() => Val::Nil,
            Val::Str(_) | Val::Safe(_) => {
                return Self::segment(Val::Array(Rc::from(vec![value])), from, limit);
            }
            other => other,
        };
        let length = if value.is_list() || value.is_map() { value.len().unwrap_or(0) } else { 0 };
        // A negative offset begins before the first item: those turns count, but hold nothing.
        let end = limit.map_or(i64::MAX, |limit| from.saturating_add(limit.max(0))).min(length);
        let start = from.max(0);
        (value, start, end.saturating_sub(start).max(0))
    }

    pub(super) fn for_loop(&mut self, at: u32, node: &'a For) -> Result<Flow> {
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
        self.took(at, count.clamp(0, 2) as usize);
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
        state.index.set(state.index.get() + 1);
        self.frames[frame].locals[slot] = saved;
        self.frames[frame].locals[loop_slot] = saved_loop;
        self.loops.pop();
        result
    }

    pub(super) fn table_row(&mut self, at: u32, node: &'a TableRow) -> Result<Flow> {
        let value = self.eval(&node.over);
        let value = self.lift(at, value)?;
        if !value.truthy() {
            return Ok(Flow::Next);
        }
        let from = self.lenient_bound(at, node.offset.as_ref())?.unwrap_or(0);
        let limit = self.lenient_bound(at, node.limit.as_ref())?;
        let limit = if node.limit.is_some() && limit.is_none() { Some(0) } else { limit };
        let (value, from, count) = Self::segment(value, from, limit);
        let cols = self.lenient_bound(at, node.cols.as_ref())?.unwrap_or(if node.cols.is_some() {
            0
        } else {
            count
        });
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

    pub(super) fn include(&mut self, at: u32, node: &'a Include) -> Result<Flow> {
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
            let value = self.lift(at, value)?;
            // What `include` is given may use what was given before; `render` begins from nothing.
            let before = if node.isolated {
                None
            } else {
                self.frames[self.frame].locals[*slot as usize].replace(value.clone())
            };
            args.push((*slot as usize, value, before));
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

    pub(super) fn shared(
        &mut self,
        at: u32,
        body: &'a Body,
        alias: Option<u32>,
        with: Option<Val<'a>>,
        args: Vec<Given<'a>>,
    ) -> Result<Flow> {
        let frame = self.frame;
        let mut saved: Vec<_> = args.into_iter().map(|(slot, _, before)| (slot, before)).collect();
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

    pub(super) fn isolated(
        &mut self,
        at: u32,
        node: &'a Include,
        body: &'a Body,
        alias: Option<u32>,
        with: Option<Val<'a>>,
        args: Vec<Given<'a>>,
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
            for (slot, value, _) in &args {
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
}
