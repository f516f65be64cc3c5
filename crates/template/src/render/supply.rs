//! Asking the host, sections with a fallback, and variants at run time.

use super::{Flow, Run, TRACE_MAX};
use crate::engine::{Missing, Trace};
use crate::error::{Error, Fault, Result};
use crate::number;
use crate::supply::{Ask, Supplied};
use crate::syntax::{Asked, Body, Supply, Then, Variant};
use crate::value::Val;

/// Recommendations when a tag names no number.
const RECOMMENDED: usize = 4;
const RECOMMENDED_MAX: i64 = 100;
/// Steps that one ask counts: a host answers from memory, but not for nothing.
const ASK_STEPS: u64 = 50;

impl<'a> Run<'a, '_> {
    pub(super) fn supply(&mut self, at: u32, node: &'a Supply) -> Result<Flow> {
        let ask = match &node.asked {
            Asked::Recommend(limit) => {
                let limit = match limit {
                    Some(expr) => self.value(at, expr)?,
                    None => Val::Nil,
                };
                let limit = self.lift(at, recommended(&limit))?;
                let arguments = self.arguments(at, node)?;
                Ask::Recommend { limit, arguments }
            }
            Asked::Item(catalog, id) => {
                let catalog = self.named_thing(at, catalog, "catalogue")?;
                let id = self.value(at, id)?;
                if id.is_nil() {
                    let answer = Supplied::Nothing(format!("no id was given for an item of '{catalog}'"));
                    return self.supplied(at, node, &format!("an item of '{catalog}'"), answer);
                }
                Ask::Item { catalog, id: id.to_text().into_owned() }
            }
            Asked::Feed(name) => {
                let name = self.named_thing(at, name, "feed")?;
                let arguments = self.arguments(at, node)?;
                Ask::Feed { name, arguments }
            }
            Asked::Coupon(pool) => Ask::Coupon { pool: self.named_thing(at, pool, "pool of coupons")? },
        };
        let answer = self.ask(&ask);
        let answer = self.lift(at, answer)?;
        if matches!(answer, Supplied::Pending) {
            self.pending(ask);
            if let Then::Assign(slot) = node.then {
                self.frames[self.frame].globals[slot as usize] = Some(Val::Nil);
            }
            return Ok(Flow::Next);
        }
        self.supplied(at, node, &ask.to_string(), answer)
    }

    fn supplied(&mut self, at: u32, node: &'a Supply, what: &str, answer: Supplied<'a>) -> Result<Flow> {
        let value = match answer {
            Supplied::Ready(value) if value.is_list() && value.is_empty() => Err("there are none".to_owned()),
            Supplied::Ready(value) => Ok(value),
            Supplied::Nothing(why) => Err(why),
            Supplied::Refused(reason) => return Err(Error::Abort { place: self.place(at), reason }),
            Supplied::Pending => return Ok(Flow::Next),
        };
        let value = match (value, &node.fallback) {
            (Ok(value), _) => value,
            (Err(why), Some(fallback)) => {
                self.note_fallback(format!("{what}: {why}"), at);
                self.value(at, fallback)?
            }
            (Err(why), None) => {
                self.note_gap(format!("{what}: {why}"), at);
                Val::Nil
            }
        };
        match node.then {
            Then::Print(context) => self.print(at, context, &value)?,
            Then::Assign(slot) => self.frames[self.frame].globals[slot as usize] = Some(value),
        }
        Ok(Flow::Next)
    }

    /// Asks the host, counting the work.
    pub(crate) fn ask(&mut self, ask: &Ask) -> std::result::Result<Supplied<'a>, Fault> {
        self.step(ASK_STEPS)?;
        Ok(self.data.supply(ask))
    }

    /// Keeps what has to be fetched. As many as asks can be paid for in steps.
    pub(crate) fn pending(&mut self, ask: Ask) {
        if !self.trace.pending.contains(&ask) {
            self.trace.pending.push(ask);
        }
    }

    pub(super) fn value(&mut self, at: u32, expr: &'a crate::expression::Expr) -> Result<Val<'a>> {
        let value = self.eval(expr);
        self.lift(at, value)
    }

    fn named_thing(&mut self, at: u32, expr: &'a crate::expression::Expr, what: &str) -> Result<String> {
        match self.value(at, expr)?.as_str() {
            Some(name) if !name.is_empty() => Ok(name.to_owned()),
            _ => self.lift(at, Fault::value(format!("the name of a {what} must be text: put it in quotes"))),
        }
    }

    fn arguments(&mut self, at: u32, node: &'a Supply) -> Result<Vec<(String, String)>> {
        let mut out = Vec::with_capacity(node.arguments.len());
        for (name, expr) in &node.arguments {
            let value = self.value(at, expr)?;
            let text = self.argument(&value);
            if let Some(text) = self.lift(at, text)? {
                out.push((name.to_string(), text));
            }
        }
        out.sort();
        Ok(out)
    }

    /// An argument as text: lists by commas, nothing when there is no value.
    pub(crate) fn argument(&mut self, value: &Val<'a>) -> std::result::Result<Option<String>, Fault> {
        if value.is_nil() {
            return Ok(None);
        }
        self.charge(value, 0)?;
        Ok(Some(if value.is_list() && !matches!(value, Val::Range(..)) {
            let items: Vec<String> = (0..value.len().unwrap_or(0))
                .filter_map(|i| value.at(i))
                .map(|item| item.to_text().into_owned())
                .collect();
            items.join(",")
        } else {
            value.to_text().into_owned()
        }))
    }

    /// A part of the root of the data.
    pub(crate) fn root(&self, name: &str) -> Option<Val<'a>> {
        self.data.get(name)
    }

    /// The place of what is being evaluated.
    pub(crate) fn now_at(&self) -> u32 {
        self.now_at
    }

    /// Records a text without a translation, at the tag that is being printed.
    pub(crate) fn missing_text(&mut self, key: &str) {
        self.note_gap(format!("translation '{key}'"), self.now_at);
    }

    /// Records that a fallback took effect.
    pub(crate) fn note_fallback(&mut self, name: String, at: u32) {
        if self.trace.fallbacks.len() < TRACE_MAX {
            let place = self.place(at);
            self.trace.fallbacks.push(Missing { name, place });
        }
    }

    /// Records that something is missing, once for each name.
    pub(crate) fn note_gap(&mut self, name: String, at: u32) {
        self.gaps += 1;
        if self.trace.missing.len() < TRACE_MAX && !self.trace.missing.iter().any(|m| m.name == name) {
            let place = self.place(at);
            self.trace.missing.push(Missing { name, place });
        }
    }

    /// Prints the first part when nothing in it is missing or errs, else the other.
    pub(super) fn fallback(&mut self, at: u32, first: &'a Body, other: &'a Body) -> Result<Flow> {
        let (length, gaps, depth) = (self.out.len(), self.gaps, self.depth);
        let before = std::mem::take(&mut self.trace);
        let result = self.body(first);
        let found = std::mem::replace(&mut self.trace, before);
        let failed = match &result {
            Ok(_) if self.gaps == gaps => None,
            Ok(_) => Some(reason(&found)),
            Err(Error::Limit { .. } | Error::Abort { .. }) => {
                self.keep(found);
                return result;
            }
            Err(error) => Some(error.to_string()),
        };
        // What is pending is fetched either way: it may be all that is missing.
        let Some(why) = failed else {
            self.keep(found);
            return result;
        };
        for ask in found.pending {
            self.pending(ask);
        }
        self.out.truncate(length);
        self.depth = depth;
        self.gaps = gaps;
        self.note_fallback(format!("section: {why}"), at);
        self.body(other)
    }

    fn keep(&mut self, found: Trace) {
        let room = |have: usize| TRACE_MAX.saturating_sub(have);
        for missing in found.missing {
            if self.trace.missing.len() < TRACE_MAX
                && !self.trace.missing.iter().any(|m| m.name == missing.name)
            {
                self.trace.missing.push(missing);
            }
        }
        let (fallbacks, errors) = (room(self.trace.fallbacks.len()), room(self.trace.errors.len()));
        self.trace.fallbacks.extend(found.fallbacks.into_iter().take(fallbacks));
        self.trace.errors.extend(found.errors.into_iter().take(errors));
        for ask in found.pending {
            self.pending(ask);
        }
    }

    pub(super) fn variant(&mut self, at: u32, node: &'a Variant) -> Result<Flow> {
        let chosen = self.value(at, &node.chosen)?;
        for (names, body) in &node.arms {
            for name in names {
                let name = self.value(at, name)?;
                if !chosen.is_nil() && chosen.equals(&name) {
                    return self.body(body);
                }
            }
        }
        match (&node.otherwise, node.arms.first()) {
            (Some(body), _) | (None, Some((_, body))) => self.body(body),
            (None, None) => Ok(Flow::Next),
        }
    }
}

fn reason(found: &Trace) -> String {
    match (found.missing.first(), found.errors.first()) {
        (Some(missing), _) => format!("{} is missing", missing.name),
        (None, Some(error)) => error.clone(),
        (None, None) => "something is missing".into(),
    }
}

/// The number of recommendations asked for.
pub(crate) fn recommended(limit: &Val<'_>) -> std::result::Result<usize, Fault> {
    if limit.is_nil() {
        return Ok(RECOMMENDED);
    }
    match number::integer(limit)? {
        n if (0..=RECOMMENDED_MAX).contains(&n) => Ok(n as usize),
        n => Fault::value(format!("{n} recommendations: from 0 to {RECOMMENDED_MAX} can be asked for")),
    }
}
