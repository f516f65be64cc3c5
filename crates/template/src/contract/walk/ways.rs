//! Choices, loops and partials.

use std::collections::BTreeSet;

use super::*;

impl<'p> Walk<'p> {
    pub(super) fn case(&mut self, subject: &'p Expr, whens: &'p [When], at: u32) -> Ends {
        let worth = self.value(subject);
        self.note(&worth, How::Compared, at);
        let before = self.state.clone();
        let (mut out, mut prints, mut has_else) = (Vec::new(), true, false);
        let mut fails = Facts::default();
        for when in whens {
            let (facts, body) = match when {
                When::Values(values, body) => {
                    let mut holds: Option<Facts> = None;
                    for value in values {
                        let other = self.value(value);
                        self.note(&other, How::Compared, at);
                        let (one, not) = Self::equal(&worth, subject, &other, value);
                        holds = Some(holds.map_or(one.clone(), |all| all.or(&one)));
                        fails = fails.and(&not);
                    }
                    (holds.unwrap_or_default(), body)
                }
                When::Else(body) => {
                    has_else = true;
                    (fails.clone(), body)
                }
            };
            let facts = before.facts.and(&facts);
            if facts.impossible() {
                continue;
            }
            // More than one `when` may match: a later one may find what an earlier one has left.
            let mut reached = vec![before.clone()];
            reached.extend(out.iter().cloned());
            self.join(reached);
            if matches!(when, When::Else(_)) {
                self.state = before.clone();
            }
            self.state.facts = facts;
            let done = self.body(body);
            if done.goes_on {
                prints &= done.prints;
                out.push(self.state.clone());
            }
        }
        if !has_else {
            prints = false;
            let facts = before.facts.and(&fails);
            if !facts.impossible() {
                out.push(State { frame: before.frame.clone(), facts });
            }
        }
        let goes_on = !out.is_empty();
        if goes_on {
            self.join(out);
        } else {
            self.state = before;
        }
        Ends { goes_on, prints: goes_on && prints }
    }

    pub(super) fn repeat(
        &mut self,
        over: &'p Expr,
        slot: u32,
        loop_slot: u32,
        body: &'p Body,
        otherwise: Option<&'p Body>,
        at: u32,
    ) -> Ends {
        let list = self.value(over);
        let mut shown = list.clone();
        // An empty loop prints nothing of its own: that is a guard.
        shown.guard = shown.guard.max(Guard::If);
        self.note(&shown, How::Looped, at);
        self.kind_is_list(&list, at);
        let before = self.state.clone();
        let mut entry = before.clone();
        if self.loops.len() >= LOOP_DEPTH_MAX {
            let mut written = BTreeSet::new();
            assigned_in(body, &mut written);
            for slot in written {
                let or_nil = Worth { sources: self.lookup(slot).sources, ..Worth::nil(self.id()) };
                entry.frame.globals.insert(slot, or_nil);
            }
        } else {
            for _ in 0..TURNS_MAX {
                self.quiet += 1;
                let (mut ways, _) = self.turn(&entry, &list, slot, loop_slot, body);
                self.quiet -= 1;
                ways.insert(0, entry.clone());
                self.join(ways);
                let settled = same_variables(&self.state.frame, &entry.frame);
                entry.frame = self.state.frame.clone();
                if settled {
                    break;
                }
            }
        }
        let (mut out, done) = self.turn(&entry, &list, slot, loop_slot, body);
        let mut prints = done.prints;
        self.state = before.clone();
        let other = otherwise.map_or(SILENT, |body| self.body(body));
        if other.goes_on {
            prints &= other.prints;
            out.push(self.state.clone());
        }
        for state in &mut out {
            state.facts = before.facts.clone();
            state.frame.locals = before.frame.locals.clone();
        }
        let goes_on = !out.is_empty();
        if goes_on {
            self.join(out);
        } else {
            self.state = before;
        }
        Ends { goes_on, prints: goes_on && prints }
    }

    /// One turn of a loop: the states in which it is left.
    pub(super) fn turn(
        &mut self,
        entry: &State,
        list: &Worth,
        slot: u32,
        loop_slot: u32,
        body: &'p Body,
    ) -> (Vec<State>, Ends) {
        self.state = entry.clone();
        // Where a loop turns, its list is there and has something in it.
        let facts = std::mem::take(&mut self.state.facts);
        self.state.facts = condition::has_some(facts.present(&list.id), &list.id);
        let item = self.element(list);
        self.state.frame.locals.insert(slot, item);
        let turn = self.id();
        self.state.frame.locals.insert(loop_slot, Worth::sure(turn));
        self.loops.push(Vec::new());
        let done = self.body(body);
        let mut left = self.loops.pop().unwrap_or_default();
        let whole = done.goes_on && left.is_empty();
        if done.goes_on {
            left.push(self.state.clone());
        }
        for state in &mut left {
            state.frame.locals = entry.frame.locals.clone();
        }
        (left, Ends { goes_on: true, prints: whole && done.prints })
    }

    pub(super) fn include(&mut self, include: &'p Include, at: u32) -> Ends {
        let name = match &include.name {
            Expr::Str(name) => Some(&**name),
            other => {
                self.argument(other, at);
                None
            }
        };
        let with = include.with.as_ref().map(|expr| self.argument(expr, at));
        let mut args = Vec::new();
        for (slot, expr) in &include.args {
            let worth = self.argument(expr, at);
            args.push((*slot, worth));
        }
        let program = self.program;
        let bodies: Vec<_> = program.partials_called(name).collect();
        if bodies.is_empty() || self.partials >= PARTIAL_DEPTH_MAX {
            return SILENT;
        }
        let before = self.state.clone();
        let (mut out, mut prints) = (Vec::new(), true);
        for (key, source, body) in bodies {
            self.state = before.clone();
            if include.isolated {
                self.state.frame = Frame::default();
            }
            let alias = include.alias.or_else(|| program.symbols.find(key.rsplit('/').next().unwrap_or(key)));
            let given = match (&with, include.isolated) {
                (Some(with), true) if include.each => Some(self.element_or_self(with)),
                (Some(with), true) => Some(with.clone()),
                (Some(with), false) => Some(self.element_or_self(with)),
                (None, true) => None,
                (None, false) => alias.map(|slot| self.lookup(slot)),
            };
            let vars = &mut self.state.frame;
            for (slot, worth) in &args {
                let of = if include.isolated { &mut vars.globals } else { &mut vars.locals };
                of.insert(*slot, worth.clone());
            }
            if let (Some(slot), Some(given)) = (alias, given) {
                let of = if include.isolated { &mut vars.globals } else { &mut vars.locals };
                of.insert(slot, given);
            }
            let saved = self.source.replace((key, source));
            self.partials += 1;
            let done = self.body(body);
            self.partials -= 1;
            self.source = saved;
            prints &= done.prints;
            if done.goes_on {
                if include.isolated {
                    self.state.frame = before.frame.clone();
                }
                self.state.frame.locals = before.frame.locals.clone();
                out.push(self.state.clone());
            }
        }
        let goes_on = !out.is_empty();
        if goes_on {
            self.join(out);
        } else {
            self.state = before;
        }
        // A partial that is called for each of a list may be called for none.
        Ends { goes_on, prints: goes_on && prints && include.with.is_none() }
    }
}
