//! Compiling a source once and rendering it many times.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::error::{Error, Place, Result};
use crate::escape::Context;
use crate::expression::Symbols;
use crate::render::Run;
use crate::supply::Ask;
use crate::syntax::{Body, Syntax};
use crate::value::Object;

/// What a render may use up. Units: as named; all are hard.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Nodes and loop turns.
    pub steps: u64,
    /// Bytes printed.
    pub output_bytes: usize,
    /// Bytes of one computed value.
    pub value_bytes: usize,
    /// Bytes of all computed values.
    pub total_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { steps: 300_000, output_bytes: 2 << 20, value_bytes: 1 << 20, total_bytes: 8 << 20 }
    }
}

/// What happens to a value that cannot be used as written (limits always end the render).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// Prints nothing in its place and records it.
    #[default]
    Record,
    /// Prints the message in its place.
    Inline,
    /// Ends the render.
    Raise,
}

/// How to render.
#[derive(Clone, Debug)]
pub struct Options {
    /// Escape by context; decided at compile, must agree with it.
    pub escape: bool,
    /// The present instant for `now` and `today`.
    pub now: model::Timestamp,
    /// What errors in values do.
    pub on_error: OnError,
    /// Whether partials called with `render` see the data (not the variables) of the page.
    pub partials_see_data: bool,
    /// The zone of dates without one, an IANA name.
    pub zone: String,
    /// The currency of `money`, an ISO 4217 code.
    pub currency: String,
    /// What may be used up.
    pub limits: Limits,
    /// Keep the ways that were taken, for whoever looks for people who take others.
    pub keep_ways: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            escape: true,
            now: model::Timestamp::default(),
            on_error: OnError::Record,
            partials_see_data: true,
            zone: "UTC".into(),
            currency: "USD".into(),
            limits: Limits::default(),
            keep_ways: false,
        }
    }
}

/// A way taken at a tag that chooses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Way {
    /// The part or partial.
    pub file: String,
    /// The tag, by its byte in the compiled source.
    pub tag: u32,
    /// Which of its ways; a loop's is how often it turned: not, once, more often.
    pub way: u32,
}

/// A name that led to nothing, with its place.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Missing {
    /// The path as written.
    pub name: String,
    /// Where it stands.
    pub place: Place,
}

/// What a render met on its way.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Trace {
    /// Names that led to nothing and printed nothing.
    pub missing: Vec<Missing>,
    /// `default` filters that took effect.
    pub fallbacks: Vec<Missing>,
    /// Values that could not be used as written.
    pub errors: Vec<String>,
    /// What has to be fetched before the render is complete: render again with it.
    pub pending: Vec<Ask>,
    /// The ways taken, with `Options::keep_ways`.
    #[serde(skip)]
    pub ways: BTreeSet<Way>,
}

impl Trace {
    pub(crate) fn merge(&mut self, other: Trace, part: &str) {
        let named = |mut m: Missing| {
            if m.place.file.is_empty() {
                part.clone_into(&mut m.place.file);
            }
            m
        };
        self.missing.extend(other.missing.into_iter().map(named));
        self.fallbacks.extend(other.fallbacks.into_iter().map(named));
        self.errors.extend(other.errors);
        self.pending.extend(other.pending);
        self.ways
            .extend(other.ways.into_iter().map(|way| Way { file: format!("{part}/{}", way.file), ..way }));
    }
}

/// A registered partial, or why it cannot be used.
#[derive(Debug)]
pub(crate) struct Partial {
    pub source: Box<str>,
    pub body: Result<Body>,
}

/// Where the parts of a compiled layout stand in the author's source.
#[derive(Debug)]
pub(crate) struct Origin {
    pub source: Box<str>,
    /// Compiled offset to source offset, ascending.
    pub map: Vec<(u32, u32)>,
}

impl Origin {
    pub fn place(&self, at: u32) -> Place {
        let i = self.map.partition_point(|(compiled, _)| *compiled <= at);
        let offset = i.checked_sub(1).and_then(|i| self.map.get(i)).map_or(0, |(_, source)| *source);
        Place::of("", &self.source, offset as usize)
    }
}

/// A compiled source with its partials. Immutable; shared between threads.
#[derive(Debug)]
pub struct Program {
    pub(crate) symbols: Symbols,
    pub(crate) source: Box<str>,
    pub(crate) body: Body,
    /// The author's source and, for each part of the compiled one, where it came from.
    pub(crate) origin: Option<Origin>,
    partials: HashMap<String, Partial>,
    pub(crate) forloop: u32,
    pub(crate) tablerowloop: u32,
}

/// The registered partials: name to source. Nothing else can be included.
pub type Partials = BTreeMap<String, String>;

fn registered<'p>(partials: &'p Partials, name: &str) -> Option<(&'p str, &'p str)> {
    let lower = name.to_lowercase();
    let found = partials
        .get_key_value(name)
        .or_else(|| partials.get_key_value(&format!("{name}.liquid")))
        .or_else(|| partials.get_key_value(&lower))
        .or_else(|| partials.get_key_value(&format!("{lower}.liquid")));
    found.map(|(k, v)| (k.as_str(), v.as_str()))
}

impl Program {
    /// Compiles `source`; `escape` chooses escaping by HTML context.
    ///
    /// # Errors
    /// Syntax errors and limits, with line and column.
    pub fn compile(source: &str, partials: &Partials, escape: bool) -> Result<Program> {
        let context = if escape { Context::Text } else { Context::Plain };
        Program::compile_in(source, partials, context)
    }

    fn compile_in(source: &str, partials: &Partials, context: Context) -> Result<Program> {
        let mut symbols = Symbols::default();
        let (forloop, tablerowloop) = (symbols.slot("forloop"), symbols.slot("tablerowloop"));
        let mut syntax = Syntax::new(source, &mut symbols, context);
        let body = syntax.parse()?;
        let mut wanted = std::mem::take(&mut syntax.partials);
        let mut dynamic = syntax.dynamic_partials;
        let mut compiled: HashMap<String, Partial> = HashMap::new();
        loop {
            if dynamic {
                wanted.extend(partials.keys().cloned());
                dynamic = false;
            }
            let Some(name) = wanted.pop() else { break };
            let Some((key, text)) = registered(partials, &name) else { continue };
            if compiled.contains_key(key) {
                continue;
            }
            symbols.slot(key.rsplit('/').next().unwrap_or(key));
            let mut syntax = Syntax::new(text, &mut symbols, context);
            let body = syntax.parse().map_err(|e| e.in_file(key));
            wanted.append(&mut syntax.partials);
            dynamic = syntax.dynamic_partials && compiled.len() < partials.len();
            compiled.insert(key.to_owned(), Partial { source: text.into(), body });
        }
        Ok(Program {
            symbols,
            source: source.into(),
            origin: None,
            body,
            partials: compiled,
            forloop,
            tablerowloop,
        })
    }

    /// The partials that a call may reach, with source and tree: the named one, or all when the name is computed.
    pub(crate) fn partials_called<'p>(
        &'p self,
        name: Option<&str>,
    ) -> impl Iterator<Item = (&'p str, &'p str, &'p Body)> + use<'p> {
        let named = name.map(|name| self.partial(name));
        let all = self
            .partials
            .iter()
            .filter(move |_| named.is_none())
            .map(|(key, partial)| (key.as_str(), partial));
        let one = named.flatten();
        one.into_iter()
            .chain(all)
            .filter_map(|(key, partial)| Some((key, &*partial.source, partial.body.as_ref().ok()?)))
    }

    pub(crate) fn partial(&self, name: &str) -> Option<(&str, &Partial)> {
        let found = self
            .partials
            .get_key_value(name)
            .or_else(|| self.partials.get_key_value(&format!("{name}.liquid")))
            .or_else(|| self.partials.get_key_value(&name.to_lowercase()))
            .or_else(|| self.partials.get_key_value(&format!("{}.liquid", name.to_lowercase())));
        found.map(|(k, v)| (k.as_str(), v))
    }

    /// Errors in the partials the source can reach.
    pub fn problems(&self) -> Vec<&Error> {
        self.partials.values().filter_map(|p| p.body.as_ref().err()).collect()
    }

    /// Renders to text.
    ///
    /// # Errors
    /// Limits and `abort` always; values that cannot be used only with `OnError::Raise`.
    pub fn render(&self, data: &dyn Object, options: &Options) -> Result<(String, Trace)> {
        let mut run = Run::new(self, data, options);
        run.run()?;
        Ok((run.out, run.trace))
    }
}
