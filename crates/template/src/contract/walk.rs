//! The walk over all ways through a program: variables, what has been proved of values, uses and doubts.

mod chain;
mod condition;
mod host;
mod value;
mod ways;

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Facts, Worth};
use super::{Guard, How, Schema, Spot, Use};
use crate::engine::Program;
use crate::error::Place;
use crate::expression::Expr;
use crate::syntax::{Body, Include, Kind, Node, Then, When};

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
    /// Written in a language that the walk does not follow.
    Unfollowed,
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
            Kind::Supply(supply) => self.supply(supply, at),
            Kind::Fallback(first, other) => self.fallback(first, other),
            Kind::Variant(variant) => self.variant(variant, at),
            Kind::Block(_) => {
                if !self.out.doubts.iter().any(|(_, doubt)| *doubt == Doubt::Unfollowed) {
                    self.doubt(at, Doubt::Unfollowed);
                }
                SILENT
            }
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
}

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
                for (_, _, body) in branches {
                    assigned_in(body, out);
                }
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
            Kind::Supply(supply) => {
                if let Then::Assign(slot) = supply.then {
                    out.insert(slot);
                }
            }
            Kind::Fallback(first, other) => {
                assigned_in(first, out);
                assigned_in(other, out);
            }
            Kind::Variant(variant) => {
                let bodies = variant.arms.iter().map(|(_, body)| body).chain(&variant.otherwise);
                bodies.for_each(|body| assigned_in(body, out));
            }
            _ => {}
        }
    }
}
