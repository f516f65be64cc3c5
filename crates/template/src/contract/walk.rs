//! The walk over all ways through a program: variables, what has been proved of values, uses and doubts.

mod chain;
mod condition;

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Facts, Worth};
use super::{Guard, How, Schema, Spot, Use};
use crate::engine::Program;
use crate::error::Place;
use crate::expression::{Expr, Path, Step};
use crate::syntax::{Body, Include, Kind, Node, When};

/// Nodes walked of one part, walks of loops counted as often as they are walked.
const NODES_MAX: usize = 200_000;
/// Levels of blocks and partials; a render refuses more.
const DEPTH_MAX: usize = 160;
/// Partials in partials that are walked.
const PARTIAL_DEPTH_MAX: usize = 12;
/// Loops in loops whose variables are followed from turn to turn; deeper, every assigned one may be nothing.
const LOOP_DEPTH_MAX: usize = 3;
/// Turns of a loop until its variables are settled.
const TURNS_MAX: usize = 6;

/// What deserves a finding.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Doubt {
    /// A value that may be missing, and nothing stands in.
    Missing { path: String, how: How },
    /// Words of greeting before what may print nothing, and a mark after.
    Greeting { path: String, before: String, after: String },
    /// A value that is used as something else than it is.
    Type { path: String, kind: &'static str, declared: bool, message: String },
    /// A filter that does not exist.
    Filter(String),
    /// A variable that nobody reads.
    Unread(String),
    /// The walk was given up.
    Intricate,
}

/// What was met in one part.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub uses: Vec<Use>,
    pub doubts: Vec<(Spot, Doubt)>,
}

/// Variables of one page or isolated partial.
#[derive(Clone, Debug, Default, PartialEq)]
struct Frame {
    globals: BTreeMap<u32, Worth>,
    locals: BTreeMap<u32, Worth>,
}

/// Where one stands: variables and what has been proved.
#[derive(Clone, Debug, Default)]
struct State {
    frame: Frame,
    facts: Facts,
}

/// What a body does at its end, and whether something is surely printed by then.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ends {
    goes_on: bool,
    prints: bool,
}

const PRINTS: Ends = Ends { goes_on: true, prints: true };
const SILENT: Ends = Ends { goes_on: true, prints: false };

struct Walk<'p> {
    program: &'p Program,
    part: &'p str,
    schema: &'p Schema,
    out: Walked,
    state: State,
    /// The partial one is in.
    source: Option<(&'p str, &'p str)>,
    partials: usize,
    /// For each open loop, the states in which it was left or begun anew.
    loops: Vec<Vec<State>>,
    fresh: usize,
    nodes: usize,
    depth: usize,
    /// Only looks; notes nothing.
    quiet: usize,
    read: BTreeSet<u32>,
    assigned: BTreeMap<u32, Spot>,
}

pub(super) fn walk(part: &str, program: &Program, schema: &Schema) -> Walked {
    let mut walk = Walk {
        program,
        part,
        schema,
        out: Walked::default(),
        state: State::default(),
        source: None,
        partials: 0,
        loops: Vec::new(),
        fresh: 0,
        nodes: 0,
        depth: 0,
        quiet: 0,
        read: BTreeSet::new(),
        assigned: BTreeMap::new(),
    };
    walk.body(&program.body);
    if walk.nodes > NODES_MAX {
        walk.out.doubts.push((Spot { part: part.to_owned(), line: 0, column: 0 }, Doubt::Intricate));
    }
    let unread: Vec<_> = walk.assigned.iter().filter(|(slot, _)| !walk.read.contains(slot)).collect();
    for (slot, spot) in unread {
        let name = program.symbols.names[*slot as usize].to_string();
        walk.out.doubts.push((spot.clone(), Doubt::Unread(name)));
    }
    walk.out
}

/// The words that greet before `text` ends, and whether they end with a space.
fn greets(text: &str) -> Option<&str> {
    let trimmed = text.trim_end();
    if trimmed.len() == text.len() {
        return None;
    }
    let start = trimmed
        .rfind(|c: char| !(c.is_alphabetic() || c == ' '))
        .map_or(0, |at| at + trimmed[at..].chars().next().map_or(1, char::len_utf8));
    let words = trimmed[start..].trim();
    let last = words.rsplit(' ').next().unwrap_or(words).to_lowercase();
    const GREETINGS: &[&str] = &[
        "hi",
        "hello",
        "hey",
        "dear",
        "welcome",
        "thanks",
        "morning",
        "afternoon",
        "evening",
        "congratulations",
        "hallo",
        "liebe",
        "lieber",
        "moin",
        "bonjour",
        "salut",
        "hola",
        "ciao",
        "olá",
        "hej",
        "hoi",
        "beste",
    ];
    GREETINGS.contains(&last.as_str()).then_some(words)
}

fn mark(text: &str) -> Option<char> {
    text.chars().next().filter(|c| matches!(c, ',' | '!' | '.' | ':' | ';' | '?' | '，' | '！'))
}

impl<'p> Walk<'p> {
    fn id(&mut self) -> String {
        self.fresh += 1;
        format!("#{}", self.fresh)
    }

    fn spot(&self, at: u32) -> Spot {
        let place = match (self.source, &self.program.origin) {
            (Some((name, source)), _) => Place::of(name, source, at as usize),
            (None, Some(origin)) => origin.place(at),
            (None, None) => Place::of("", &self.program.source, at as usize),
        };
        let part = if place.file.is_empty() { self.part.to_owned() } else { place.file };
        Spot { part, line: place.line, column: place.column }
    }

    fn doubt(&mut self, at: u32, doubt: Doubt) {
        if self.quiet == 0 {
            let spot = self.spot(at);
            self.out.doubts.push((spot, doubt));
        }
    }

    /// Notes that a value is used.
    fn note(&mut self, worth: &Worth, how: How, at: u32) {
        if self.quiet > 0 {
            return;
        }
        let spot = self.spot(at);
        for path in &worth.sources {
            self.out.uses.push(Use { path: path.clone(), spot: spot.clone(), how, guard: worth.guard });
        }
    }

    fn known(&self, worth: Worth) -> Worth {
        worth.under(&self.state.facts)
    }

    fn body(&mut self, body: &'p Body) -> Ends {
        if self.depth >= DEPTH_MAX {
            // The render stops with a limit here.
            return Ends { goes_on: false, prints: false };
        }
        self.depth += 1;
        let ends = self.nodes_of(body);
        self.depth -= 1;
        ends
    }

    fn nodes_of(&mut self, body: &'p Body) -> Ends {
        let mut ends = SILENT;
        for (n, node) in body.iter().enumerate() {
            self.nodes += 1;
            if self.nodes > NODES_MAX {
                return Ends { goes_on: false, prints: ends.prints };
            }
            let first_use = self.out.uses.len();
            let done = self.node(node);
            if !done.prints && done.goes_on {
                self.greeting(body, n, first_use);
            }
            ends.prints |= done.prints;
            if !done.goes_on {
                return Ends { goes_on: false, prints: ends.prints };
            }
        }
        ends
    }

    /// What may print nothing stands between a greeting and a mark.
    fn greeting(&mut self, body: &'p Body, n: usize, first_use: usize) {
        let text = |node: Option<&'p Node>| match node.map(|node| &node.kind) {
            Some(Kind::Text(text)) => Some(&**text),
            _ => None,
        };
        if matches!(body[n].kind, Kind::Text(_) | Kind::Assign(..) | Kind::Capture(..)) {
            return;
        }
        let before = n.checked_sub(1).and_then(|n| text(body.get(n))).and_then(greets);
        let after = text(body.get(n + 1)).and_then(mark);
        if let (Some(before), Some(after)) = (before, after) {
            let path = self.out.uses.get(first_use).map(|each| each.path.clone()).unwrap_or_default();
            let doubt = Doubt::Greeting { path, before: before.to_owned(), after: after.to_string() };
            self.doubt(body[n].at, doubt);
        }
    }

    fn node(&mut self, node: &'p Node) -> Ends {
        let at = node.at;
        match &node.kind {
            Kind::Text(text) => Ends { goes_on: true, prints: !text.trim().is_empty() },
            Kind::Output(chain, _) => {
                let worth = self.chain(chain, at);
                self.printed(&worth, at)
            }
            Kind::Assign(slot, chain) => {
                let worth = self.chain(chain, at);
                self.note(&worth, How::Argument, at);
                self.assign(*slot, worth, at);
                SILENT
            }
            Kind::Capture(slot, body) => {
                let from = self.out.uses.len();
                let done = self.body(body);
                let mut worth = Worth::sure(self.id());
                worth.kind = Some(("text", false));
                worth.blank = !done.prints;
                worth.hollow = true;
                let read: BTreeSet<String> =
                    self.out.uses.iter().skip(from).map(|u| u.path.clone()).collect();
                worth.sources = read.into_iter().collect();
                self.assign(*slot, worth, at);
                Ends { goes_on: done.goes_on, prints: false }
            }
            Kind::If(branches, otherwise) => {
                let mut facts = Vec::new();
                for (condition, negated, _) in branches {
                    let (holds, fails) = self.condition(condition, at);
                    facts.push(if *negated { (fails, holds) } else { (holds, fails) });
                }
                let mut ways: Vec<(Facts, Option<&'p Body>)> = Vec::new();
                let mut so_far = Facts::default();
                for ((_, _, body), (holds, fails)) in branches.iter().zip(&facts) {
                    ways.push((so_far.and(holds), Some(body)));
                    so_far = so_far.and(fails);
                }
                ways.push((so_far, Some(otherwise)));
                self.ways(ways)
            }
            Kind::Case(subject, whens) => self.case(subject, whens, at),
            Kind::For(each) => {
                for bound in [&each.limit, &each.offset].into_iter().flatten() {
                    self.argument(bound, at);
                }
                self.repeat(
                    &each.over,
                    each.slot,
                    self.program.forloop,
                    &each.body,
                    Some(&each.otherwise),
                    at,
                )
            }
            Kind::TableRow(row) => {
                for bound in [&row.limit, &row.offset, &row.cols].into_iter().flatten() {
                    self.argument(bound, at);
                }
                self.repeat(&row.over, row.slot, self.program.tablerowloop, &row.body, None, at)
            }
            Kind::Cycle { key, values } => {
                if let Err(key) = key {
                    self.argument(key, at);
                }
                let mut prints = !values.is_empty();
                for value in values {
                    let worth = self.value(value);
                    prints &= self.printed(&worth, at).prints;
                }
                Ends { goes_on: true, prints }
            }
            Kind::Increment(slot, _) => {
                self.read.insert(*slot);
                PRINTS
            }
            Kind::Include(include) => self.include(include, at),
            Kind::IfChanged(body) => {
                let before = self.state.clone();
                let done = self.body(body);
                if done.goes_on {
                    let after = self.state.clone();
                    self.join(vec![before, after]);
                } else {
                    self.state = before;
                }
                SILENT
            }
            Kind::Break | Kind::Continue => {
                let state = self.state.clone();
                if let Some(left) = self.loops.last_mut() {
                    left.push(state);
                }
                Ends { goes_on: false, prints: false }
            }
            Kind::Abort(chain) => {
                let worth = self.chain(chain, at);
                self.note(&worth, How::Argument, at);
                Ends { goes_on: false, prints: false }
            }
            Kind::Inline(body) => self.body(body),
        }
    }

    fn assign(&mut self, slot: u32, worth: Worth, at: u32) {
        let spot = self.spot(at);
        self.assigned.entry(slot).or_insert(spot);
        self.state.frame.globals.insert(slot, worth);
    }

    fn printed(&mut self, worth: &Worth, at: u32) -> Ends {
        let mut worth = worth.clone();
        if worth.kind.is_some_and(|(kind, _)| kind == "list") && !self.is_filled(&worth) {
            (worth.maybe, worth.guard) = (true, Guard::None);
        }
        self.note(&worth, How::Printed, at);
        if worth.maybe {
            for path in &worth.sources {
                self.doubt(at, Doubt::Missing { path: path.clone(), how: How::Printed });
            }
        }
        Ends { goes_on: true, prints: !worth.maybe && !worth.blank }
    }

    fn argument(&mut self, expr: &'p Expr, at: u32) -> Worth {
        let worth = self.value(expr);
        self.note(&worth, How::Argument, at);
        worth
    }

    /// Goes each way under its facts, and joins those that come out.
    fn ways(&mut self, ways: Vec<(Facts, Option<&'p Body>)>) -> Ends {
        let before = self.state.clone();
        let (mut out, mut prints) = (Vec::new(), true);
        for (facts, body) in ways {
            let facts = before.facts.and(&facts);
            if facts.impossible() {
                continue;
            }
            self.state = State { frame: before.frame.clone(), facts };
            let done = body.map_or(SILENT, |body| self.body(body));
            if done.goes_on {
                prints &= done.prints;
                out.push(self.state.clone());
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

    /// One of these states is reached.
    fn join(&mut self, states: Vec<State>) {
        let mut states = states.into_iter();
        let Some(mut joined) = states.next() else { return };
        for other in states {
            let facts = joined.facts.or(&other.facts);
            let frame = self.join_frames(&joined, &other);
            joined = State { frame, facts };
        }
        self.state = joined;
    }

    fn join_frames(&mut self, a: &State, b: &State) -> Frame {
        let mut frame = Frame { globals: BTreeMap::new(), locals: a.frame.locals.clone() };
        let slots: BTreeSet<u32> = a.frame.globals.keys().chain(b.frame.globals.keys()).copied().collect();
        for slot in slots {
            let of = |state: &State| match state.frame.globals.get(&slot) {
                Some(worth) => worth.clone(),
                None => self.root(slot),
            };
            let (x, y) = (of(a).under(&a.facts), of(b).under(&b.facts));
            let joined = if x == y { x } else { x.or(&y, || self.id()) };
            frame.globals.insert(slot, joined);
        }
        frame
    }

    fn case(&mut self, subject: &'p Expr, whens: &'p [When], at: u32) -> Ends {
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
                        let (one, not) = self.equal(&worth, subject, &other, value);
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

    fn repeat(
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
    fn turn(
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

    fn include(&mut self, include: &'p Include, at: u32) -> Ends {
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
            let saved = std::mem::replace(&mut self.source, Some((key, source)));
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

    /// The value of a name.
    fn lookup(&mut self, slot: u32) -> Worth {
        self.read.insert(slot);
        let frame = &self.state.frame;
        let found = frame.locals.get(&slot).or_else(|| frame.globals.get(&slot)).cloned();
        let worth = found.unwrap_or_else(|| self.root(slot));
        self.known(worth)
    }

    /// A name that no tag has given a value.
    fn root(&self, slot: u32) -> Worth {
        let name = self.program.symbols.names[slot as usize].to_string();
        self.of_path(name.clone(), name, false)
    }

    fn of_path(&self, id: String, path: String, whole_maybe: bool) -> Worth {
        let known = self.schema.paths.get(&path);
        let always = known.is_some_and(|known| known.always);
        let kind = known.and_then(|known| known.value_type.map(|kind| (kind, known.declared)));
        let maybe = whole_maybe || !always;
        Worth {
            id,
            items: Some(format!("{path}[]")),
            sources: vec![path.clone()],
            path: Some(path),
            maybe,
            hollow: false,
            blank: false,
            guard: if maybe { Guard::None } else { Guard::Always },
            kind,
        }
    }

    fn element(&mut self, list: &Worth) -> Worth {
        let turn = self.id();
        match &list.items {
            Some(items) => {
                let mut item = self.of_path(format!("{}[{turn}]", list.id), items.clone(), false);
                // What a list holds is there; what its elements have is another question.
                item.maybe = false;
                item.guard = Guard::If;
                item
            }
            None => Worth { guard: Guard::If, sources: list.sources.clone(), ..Worth::sure(turn) },
        }
    }

    fn element_or_self(&mut self, worth: &Worth) -> Worth {
        if worth.kind.is_some_and(|(kind, _)| kind == "list") { self.element(worth) } else { worth.clone() }
    }

    fn value(&mut self, expr: &'p Expr) -> Worth {
        let kind = |kind| Some((kind, true));
        match expr {
            Expr::Nil | Expr::Empty | Expr::Blank => Worth::nil(self.id()),
            Expr::Bool(_) => Worth { kind: kind("bool"), ..Worth::sure(self.id()) },
            Expr::Int(_) | Expr::Float(_) => Worth { kind: kind("number"), ..Worth::sure(self.id()) },
            Expr::Str(text) => {
                Worth { kind: kind("text"), blank: text.trim().is_empty(), ..Worth::sure(self.id()) }
            }
            Expr::Range(_) => Worth { kind: kind("list"), ..Worth::sure(self.id()) },
            Expr::Var(path) => self.path(path),
        }
    }

    fn path(&mut self, path: &'p Path) -> Worth {
        let mut steps = path.steps.as_slice();
        let mut worth = match (&*self.program.symbols.names[path.slot as usize], steps.first()) {
            ("self", Some(Step::Dot(key) | Step::Index(Expr::Str(key)))) => {
                steps = &steps[1..];
                match self.program.symbols.find(key) {
                    Some(slot) => self.lookup(slot),
                    None => self.of_path(key.to_string(), key.to_string(), false),
                }
            }
            _ => self.lookup(path.slot),
        };
        for step in steps {
            worth = match step {
                Step::Dot(key) => self.part(&worth, key, true),
                Step::Index(Expr::Str(key)) => self.part(&worth, key, false),
                Step::Index(index) => self.indexed(&worth, index),
            };
        }
        if worth.maybe && worth.sources.is_empty() {
            worth.sources.push(path.text.to_string());
        }
        worth
    }

    fn part(&mut self, whole: &Worth, key: &str, dotted: bool) -> Worth {
        let mut id = format!("{}.{key}", whole.id);
        if let Some(path) = &whole.path {
            let part = format!("{path}.{key}");
            let is_command =
                dotted && matches!(key, "size" | "first" | "last") && !self.schema.paths.contains_key(&part);
            if !is_command {
                let worth = self.of_path(id, part, whole.maybe);
                return self.known(worth);
            }
        }
        match key {
            "first" => id = format!("{}[0]", whole.id),
            "last" => id = format!("{}[-1]", whole.id),
            _ => {}
        }
        let from_loop = whole.sources.is_empty() && whole.items.is_none() && !whole.maybe;
        let mut worth = match key {
            "size" => {
                Worth { kind: Some(("number", true)), sources: whole.sources.clone(), ..Worth::sure(id) }
            }
            "first" | "last" => match &whole.items {
                Some(items) => self.of_path(id, items.clone(), true),
                None => Worth { sources: whole.sources.clone(), ..Worth::nil(id) },
            },
            // `forloop.index` and its like.
            _ if from_loop && LOOP_PARTS.contains(&key) => Worth::sure(id),
            _ => Worth { sources: whole.sources.clone(), ..Worth::nil(id) },
        };
        if key == "size" && whole.maybe {
            worth.maybe = true;
            worth.guard = Guard::None;
        }
        self.known(worth)
    }

    fn indexed(&mut self, whole: &Worth, index: &'p Expr) -> Worth {
        let named = match index {
            Expr::Int(n) => n.to_string(),
            other => {
                let index = self.value(other);
                format!("<{}>", index.id)
            }
        };
        let id = format!("{}[{named}]", whole.id);
        let worth = match &whole.items {
            Some(items) => {
                let mut worth = self.of_path(id, items.clone(), whole.maybe);
                // A position may lie behind the end; a part by name is as its schema says.
                worth.maybe |= matches!(index, Expr::Int(_));
                worth.guard = if worth.maybe { Guard::None } else { worth.guard };
                worth
            }
            None => Worth { sources: whole.sources.clone(), ..Worth::nil(id) },
        };
        self.known(worth)
    }
}

const LOOP_PARTS: &[&str] = &[
    "name",
    "length",
    "index",
    "index0",
    "rindex",
    "rindex0",
    "first",
    "last",
    "parentloop",
    "row",
    "col",
    "col0",
    "col_first",
    "col_last",
];

/// Equal but for the numbers of values.
fn same_variables(a: &Frame, b: &Frame) -> bool {
    a.globals.len() == b.globals.len()
        && a.globals.iter().all(|(slot, x)| {
            b.globals.get(slot).is_some_and(|y| {
                (x.maybe, x.hollow, x.blank, &x.path, &x.items, x.guard, x.sources.len())
                    == (y.maybe, y.hollow, y.blank, &y.path, &y.items, y.guard, y.sources.len())
            })
        })
}

/// The variables that a body gives values, partials left out: those see their own or are walked with it.
fn assigned_in(body: &Body, out: &mut BTreeSet<u32>) {
    for node in body {
        match &node.kind {
            Kind::Assign(slot, _) => {
                out.insert(*slot);
            }
            Kind::Capture(slot, body) => {
                out.insert(*slot);
                assigned_in(body, out);
            }
            Kind::If(branches, otherwise) => {
                branches.iter().for_each(|(_, _, body)| assigned_in(body, out));
                assigned_in(otherwise, out);
            }
            Kind::Case(_, whens) => {
                for when in whens {
                    match when {
                        When::Values(_, body) | When::Else(body) => assigned_in(body, out),
                    }
                }
            }
            Kind::For(each) => {
                assigned_in(&each.body, out);
                assigned_in(&each.otherwise, out);
            }
            Kind::TableRow(row) => assigned_in(&row.body, out),
            Kind::IfChanged(body) | Kind::Inline(body) => assigned_in(body, out),
            _ => {}
        }
    }
}
