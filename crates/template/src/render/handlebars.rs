//! Handlebars at run time: contexts, turns of loops, sections, partials.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use super::{Eval, Flow, PARTIAL_DEPTH_MAX, Run};
use crate::error::{Error, Fault, Result};
use crate::escape::Context;
use crate::expression::Expr;
use crate::filter::Args;
use crate::handlebars::helper::Code;
use crate::handlebars::{Block, Each, From, Here, Invoke, Partial, Turn};
use crate::syntax::{Body, Kind};
use crate::value::{Object, Val};

/// Named arguments of a partial, seen before its context.
type Extra<'a> = Rc<[(&'a str, Val<'a>)]>;

/// A body with the source it was written in.
type Written<'a> = (&'a Body, (&'a str, &'a str));

/// One turn of a loop.
struct Turned<'a> {
    index: i64,
    key: Val<'a>,
    first: bool,
    last: bool,
}

/// What a Handlebars template stands in.
pub(super) struct Contexts<'a> {
    stack: Vec<(Val<'a>, Option<Extra<'a>>)>,
    turns: Vec<Turned<'a>>,
    defined: HashMap<&'a str, Written<'a>>,
    blocks: Vec<Option<Written<'a>>>,
}

impl<'a> Contexts<'a> {
    pub fn new(data: &'a dyn Object) -> Contexts<'a> {
        Contexts {
            stack: vec![(Val::Object(data), None)],
            turns: Vec::new(),
            defined: HashMap::new(),
            blocks: Vec::new(),
        }
    }

    fn at(&self, up: u32) -> Option<&(Val<'a>, Option<Extra<'a>>)> {
        self.stack.len().checked_sub(1 + up as usize).and_then(|at| self.stack.get(at))
    }
}

/// A part as Handlebars sees it: `length` of lists and text, positions by number.
pub(crate) fn part_of<'a>(value: &Val<'a>, key: &str) -> Option<Val<'a>> {
    if value.is_list() {
        return match key.parse::<i64>() {
            Ok(at) if at >= 0 => value.at(at),
            _ if key == "length" => value.len().map(Val::Int),
            _ => None,
        };
    }
    match value {
        Val::Str(_) | Val::Safe(_) if key == "length" => value.len().map(Val::Int),
        _ => value.part(key),
    }
}

/// Whether a condition holds: 0, empty text and empty lists do not.
pub(crate) fn holds(value: &Val<'_>) -> bool {
    match value {
        Val::Nil | Val::Bool(false) | Val::Empty | Val::Blank | Val::Int(0) => false,
        Val::Float(f) => *f != 0.0 && !f.is_nan(),
        Val::Str(_) | Val::Safe(_) => !value.is_empty(),
        value if value.is_list() => !value.is_empty(),
        _ => true,
    }
}

impl<'a> Run<'a, '_> {
    pub(super) fn here(&self, here: &'a Here) -> Val<'a> {
        let mut steps = here.steps.iter();
        let start = match here.from {
            From::Up(up) => {
                let Some((value, extra)) = self.contexts.at(up) else { return Val::Nil };
                let named = here.steps.first().and_then(|first| {
                    let found = extra.as_ref()?.iter().find(|(name, _)| *name == &**first)?;
                    Some(found.1.clone())
                });
                match named {
                    Some(found) => {
                        steps.next();
                        found
                    }
                    None => value.clone(),
                }
            }
            From::Root => Val::Object(self.data),
            From::Slot(slot) => self.frames[self.frame].locals[slot as usize].clone().unwrap_or(Val::Nil),
            From::Turn(up, what) => {
                let turns = &self.contexts.turns;
                let Some(turn) = turns.len().checked_sub(1 + up as usize).and_then(|at| turns.get(at)) else {
                    return Val::Nil;
                };
                match what {
                    Turn::Index => Val::Int(turn.index),
                    Turn::Key => turn.key.clone(),
                    Turn::First => Val::Bool(turn.first),
                    Turn::Last => Val::Bool(turn.last),
                }
            }
        };
        let mut value = start;
        for step in steps {
            match part_of(&value, step) {
                Some(next) => value = next,
                None => return Val::Nil,
            }
        }
        value
    }

    pub(super) fn invoke(&mut self, call: &'a Invoke) -> Eval<Val<'a>> {
        self.step(1)?;
        let mut args = Args { positional: Vec::with_capacity(call.args.len()), named: Vec::new() };
        for arg in &call.args {
            args.positional.push(self.eval(arg)?);
        }
        for (key, arg) in &call.named {
            args.named.push((key, self.eval(arg)?));
        }
        self.now_at = call.at;
        match call.code {
            Code::Helper(run) => run(self, &args),
            Code::Filter(run) => {
                if args.positional.is_empty() {
                    return Fault::value(format!("'{}' needs a value", call.name));
                }
                let value = args.positional.remove(0);
                if matches!(&*call.name, "default" | "defaultIfEmpty") && value.is_blank() {
                    let name = match call.args.first() {
                        Some(Expr::Here(here)) => here.text.to_string(),
                        _ => "value".into(),
                    };
                    self.note_fallback(name, call.at);
                }
                run(self, value, &args)
            }
        }
    }

    pub(super) fn block(&mut self, at: u32, block: &'a Block) -> Result<Flow> {
        match block {
            Block::Print { value, raw, context } => {
                let found = self.value(at, value)?;
                if found.is_nil()
                    && let Expr::Here(here) = value
                {
                    self.note_gap(here.text.to_string(), at);
                }
                self.print_value(at, *context, found, *raw)?;
            }
            Block::If { test, negated, zero, body, otherwise } => {
                let value = self.value(at, test)?;
                let zero = match zero {
                    Some(zero) => holds(&self.value(at, zero)?),
                    None => false,
                };
                let is_zero = matches!(value, Val::Int(0)) || matches!(value, Val::Float(f) if f == 0.0);
                let yes = holds(&value) || zero && is_zero;
                return self.body(if yes == *negated { otherwise } else { body });
            }
            Block::Each(each) => {
                let value = self.value(at, &each.over)?;
                if value.is_nil()
                    && let Expr::Here(here) = &each.over
                {
                    self.note_gap(here.text.to_string(), at);
                }
                return self.turns(at, each, value);
            }
            Block::Section(each) => {
                let value = self.value(at, &each.over)?;
                return match value {
                    Val::Nil | Val::Bool(false) => self.body(&each.otherwise),
                    Val::Bool(true) => self.body(&each.body),
                    value if value.is_list() => self.turns(at, each, value),
                    value => self.within(Some(value), None, |run| run.body(&each.body)),
                };
            }
            Block::With { value, same, param, body, otherwise } => {
                let value = self.value(at, value)?;
                if !holds(&value) && !matches!(value, Val::Int(0)) {
                    return self.body(otherwise);
                }
                let saved = param.map(|slot| self.set(slot, value.clone()));
                let result = self.within((!same).then_some(value), None, |run| run.body(body));
                if let (Some(slot), Some(saved)) = (param, saved) {
                    self.frames[self.frame].locals[*slot as usize] = saved;
                }
                return result;
            }
            Block::Partial(partial) => return self.call_partial(at, partial),
            Block::Define(name, body) => {
                self.contexts.defined.insert(name, (body, self.source));
            }
            Block::Content => {
                let Some(Some(written)) = self.contexts.blocks.last().copied() else { return Ok(Flow::Next) };
                // What the block itself calls its content is the caller's.
                let own = self.contexts.blocks.pop();
                let result = self.called(at, written);
                self.contexts.blocks.extend(own);
                return result;
            }
        }
        Ok(Flow::Next)
    }

    fn set(&mut self, slot: u32, value: Val<'a>) -> Option<Val<'a>> {
        self.frames[self.frame].locals[slot as usize].replace(value)
    }

    /// Runs with another context, or the same.
    fn within(
        &mut self,
        value: Option<Val<'a>>,
        extra: Option<Extra<'a>>,
        run: impl FnOnce(&mut Self) -> Result<Flow>,
    ) -> Result<Flow> {
        let pushed = value.is_some() || extra.is_some();
        if pushed {
            let value = value.or_else(|| self.contexts.at(0).map(|c| c.0.clone())).unwrap_or(Val::Nil);
            self.contexts.stack.push((value, extra));
        }
        let depth = self.contexts.stack.len();
        let result = run(self);
        self.contexts.stack.truncate(if pushed { depth - 1 } else { depth });
        result
    }

    fn print_value(&mut self, at: u32, context: Context, value: Val<'a>, raw: bool) -> Result<()> {
        let value = match value {
            Val::Float(f) if f.fract() == 0.0 && f.abs() < 1e15 => Val::Int(f as i64),
            Val::List(_) | Val::Array(_) => {
                let charged = self.charge(&value, 0);
                self.lift(at, charged)?;
                let mut out = String::new();
                joined(&value, &mut out);
                Val::text(out)
            }
            Val::Map(_) | Val::Record(_) | Val::Object(_) => {
                return self.lift(at, Fault::value("an object cannot be printed: name one of its parts"));
            }
            value => value,
        };
        let value = match value {
            Val::Str(text) if raw => {
                if !self.options.raw {
                    let message = "'{{{ }}}' is not permitted here: the value is not printed";
                    return self.lift(at, Fault::value(message));
                }
                Val::Safe(Rc::from(&*text))
            }
            value => value,
        };
        self.print(at, context, &value)
    }

    fn turns(&mut self, at: u32, each: &'a Each, value: Val<'a>) -> Result<Flow> {
        let count = if value.is_list() || value.is_map() { value.len().unwrap_or(0) } else { 0 };
        if count == 0 {
            return self.body(&each.otherwise);
        }
        let pairs: Option<Vec<(Cow<'a, str>, Val<'a>)>> = value.is_map().then(|| value.pairs());
        let saved = [each.item, each.key]
            .map(|slot| slot.map(|s| (s, self.frames[self.frame].locals[s as usize].clone())));
        let mut result = Ok(Flow::Next);
        for i in 0..count {
            if let Err(fault) = self.step(1) {
                result = self.lift(at, Err(fault));
                break;
            }
            let (key, item) = match &pairs {
                Some(pairs) => match pairs.get(i as usize) {
                    Some((key, item)) => (Val::Str(key.clone()), item.clone()),
                    None => break,
                },
                None => (Val::Int(i), value.at(i).unwrap_or(Val::Nil)),
            };
            if let Some(slot) = each.item {
                self.set(slot, item.clone());
            }
            if let Some(slot) = each.key {
                self.set(slot, key.clone());
            }
            let depth = self.contexts.turns.len();
            self.contexts.turns.push(Turned { index: i, key, first: i == 0, last: i + 1 == count });
            let done = self.within(Some(item), None, |run| run.body(&each.body));
            self.contexts.turns.truncate(depth);
            if let Err(error) = done {
                result = Err(error);
                break;
            }
        }
        for (slot, value) in saved.into_iter().flatten() {
            self.frames[self.frame].locals[slot as usize] = value;
        }
        result
    }

    fn call_partial(&mut self, at: u32, partial: &'a Partial) -> Result<Flow> {
        let name = self.value(at, &partial.name)?;
        let Some(name) = name.as_str().map(str::to_owned) else {
            return self.lift(at, Fault::value("the name of a partial must be text"));
        };
        let program = self.program;
        for node in partial.block.iter().flatten() {
            if let Kind::Block(block) = &node.kind
                && let Block::Define(name, body) = &**block
            {
                self.contexts.defined.insert(name, (body, self.source));
            }
        }
        let written = match self.contexts.defined.get(name.as_str()) {
            Some(written) => *written,
            None => match (program.partial(&name), &partial.block) {
                (Some((key, found)), _) => match &found.body {
                    Ok(body) => (body, (key, &*found.source)),
                    Err(error) => return Err(error.clone()),
                },
                (None, Some(block)) => (block, self.source),
                (None, None) => {
                    return self.lift(at, Fault::value(format!("Could not find partial '{name}'")));
                }
            },
        };
        let context = match &partial.context {
            Some(expr) => Some(self.value(at, expr)?),
            None => None,
        };
        let mut extra = Vec::with_capacity(partial.named.len());
        for (name, expr) in &partial.named {
            extra.push((&**name, self.value(at, expr)?));
        }
        if !extra.is_empty()
            && context.is_none()
            && let Some((_, Some(outer))) = self.contexts.at(0)
        {
            let known: Vec<_> =
                outer.iter().filter(|(n, _)| !extra.iter().any(|(e, _)| e == n)).cloned().collect();
            extra.extend(known);
        }
        let extra: Option<Extra<'a>> = (!extra.is_empty()).then(|| Rc::from(extra));
        let block = partial.block.as_ref().map(|block| (block, self.source));
        let depth = self.contexts.blocks.len();
        self.contexts.blocks.push(block);
        let result = self.within(context, extra, |run| run.called(at, written));
        self.contexts.blocks.truncate(depth);
        result
    }

    fn called(&mut self, at: u32, (body, source): Written<'a>) -> Result<Flow> {
        if self.partial_depth >= PARTIAL_DEPTH_MAX {
            return self.limit(at, "Nesting too deep: partials call each other without end");
        }
        let saved = std::mem::replace(&mut self.source, source);
        self.partial_depth += 1;
        let result: std::result::Result<Flow, Error> = self.body(body);
        self.partial_depth -= 1;
        self.source = saved;
        result
    }
}

/// A list as text: by commas, nothing for nothing.
fn joined(value: &Val<'_>, out: &mut String) {
    for i in 0..value.len().unwrap_or(0) {
        if i > 0 {
            out.push(',');
        }
        match value.at(i) {
            Some(Val::Float(f)) if f.fract() == 0.0 && f.abs() < 1e15 => Val::Int(f as i64).write(out),
            Some(item @ (Val::List(_) | Val::Array(_))) => joined(&item, out),
            Some(item) if item.is_map() => out.push_str("[object]"),
            Some(item) => item.write(out),
            None => {}
        }
    }
}
