//! Compiling a source once and rendering it many times.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::error::{Error, Place, Result};
use crate::escape::Context;
use crate::expression::Symbols;
use crate::handlebars::Reader;
use crate::render::Run;
use crate::supply::Ask;
use crate::syntax::{Body, Syntax};
use crate::value::Object;

/// The language a template is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Liquid.
    #[default]
    Liquid,
    /// Handlebars.
    Handlebars,
}

impl std::str::FromStr for Engine {
    type Err = String;
    fn from_str(name: &str) -> std::result::Result<Engine, String> {
        match name {
            "liquid" => Ok(Engine::Liquid),
            "handlebars" => Ok(Engine::Handlebars),
            other => Err(format!("there is no template language '{other}': use 'liquid' or 'handlebars'")),
        }
    }
}

/// The byte ranges of all that belongs to the language and not to the text, in order; whether each prints.
pub(crate) fn spans(engine: Engine, source: &str) -> Result<Vec<(std::ops::Range<usize>, bool)>> {
    match engine {
        Engine::Liquid => crate::syntax::spans(source),
        Engine::Handlebars => crate::handlebars::spans(source),
    }
}

/// A source as a tree, with the partials it names.
struct Parsed {
    body: Body,
    partials: Vec<String>,
    dynamic: bool,
}

fn parse(engine: Engine, source: &str, symbols: &mut Symbols, context: Context) -> Result<Parsed> {
    match engine {
        Engine::Liquid => {
            let mut syntax = Syntax::new(source, symbols, context);
            let body = syntax.parse()?;
            Ok(Parsed { body, partials: syntax.partials, dynamic: syntax.dynamic_partials })
        }
        Engine::Handlebars => {
            let mut reader = Reader::new(source, symbols, context)?;
            let body = reader.parse()?;
            Ok(Parsed { body, partials: reader.partials, dynamic: reader.dynamic_partials })
        }
    }
}

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
    /// The language of dates and numbers, and which translations are taken: `en`, `de-AT`.
    pub locale: String,
    /// What `t` reads: texts by key, or by language and key. Without it, `translations` of the data.
    pub translations: Option<Arc<model::Map>>,
    /// Whether `raw` and `{{{ }}}` may print values as they are.
    pub raw: bool,
    /// What may be used up.
    pub limits: Limits,
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
            locale: "en".into(),
            translations: None,
            raw: true,
            limits: Limits::default(),
        }
    }
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
    /// `default` filters, `fallback:` arguments and `fallback` sections that took effect.
    pub fallbacks: Vec<Missing>,
    /// Values that could not be used as written.
    pub errors: Vec<String>,
    /// What has to be fetched before the render is complete: render again with it.
    pub pending: Vec<Ask>,
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
        for ask in other.pending {
            if !self.pending.contains(&ask) {
                self.pending.push(ask);
            }
        }
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
    /// Compiles Liquid; `escape` chooses escaping by HTML context.
    ///
    /// # Errors
    /// Syntax errors and limits, with line and column.
    pub fn compile(source: &str, partials: &Partials, escape: bool) -> Result<Program> {
        Program::compile_as(Engine::Liquid, source, partials, escape)
    }

    /// Compiles `source`, and the partials it can reach, in the language `engine`.
    ///
    /// # Errors
    /// As `compile`.
    pub fn compile_as(engine: Engine, source: &str, partials: &Partials, escape: bool) -> Result<Program> {
        let context = if escape { Context::Text } else { Context::Plain };
        let mut symbols = Symbols::default();
        let (forloop, tablerowloop) = (symbols.slot("forloop"), symbols.slot("tablerowloop"));
        let Parsed { body, partials: mut wanted, mut dynamic } =
            parse(engine, source, &mut symbols, context)?;
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
            let body = match parse(engine, text, &mut symbols, context) {
                Ok(mut parsed) => {
                    wanted.append(&mut parsed.partials);
                    dynamic = parsed.dynamic && compiled.len() < partials.len();
                    Ok(parsed.body)
                }
                Err(error) => Err(error.in_file(key)),
            };
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
    /// Limits and `abort` always; values that cannot be used only with `OnError::Raise`. While something is pending
    /// only limits: the render is not complete then.
    pub fn render(&self, data: &dyn Object, options: &Options) -> Result<(String, Trace)> {
        let mut run = Run::new(self, data, options);
        match run.run() {
            // Without what is pending nothing else is certain: the host fetches it and renders again.
            Err(error) if run.trace.pending.is_empty() || matches!(error, Error::Limit { .. }) => Err(error),
            _ => Ok((run.out, run.trace)),
        }
    }
}
