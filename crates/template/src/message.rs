//! A message template: subject, preheader, body and text part, compiled once and rendered per recipient.

use crate::engine::{Engine, Options, Partials, Program, Trace};
use crate::error::{Error, Result};
use crate::links::{self, Dressing, Link, Rewrite};
use crate::value::{Object, Val};
use crate::{layout, plain};

/// The layout language of a body.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// MJML.
    Mjml(String),
    /// HTML with a style sheet.
    Html(String),
}

impl Default for Body {
    fn default() -> Body {
        Body::Html(String::new())
    }
}

/// What an author writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Source {
    /// The subject line.
    pub subject: String,
    /// The words shown after the subject in a list of mails.
    #[serde(default)]
    pub preheader: String,
    /// The body.
    pub body: Body,
    /// The text part; derived from the HTML when absent.
    #[serde(default)]
    pub text: Option<String>,
    /// The language all parts are written in.
    #[serde(default)]
    pub engine: Engine,
}

/// A mail's contents for one person.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Rendered {
    /// The subject: one line.
    pub subject: String,
    /// The preheader, escaped.
    pub preheader: String,
    /// The HTML part.
    pub html: String,
    /// The text part.
    pub text: String,
    /// Links in the order they stand in the HTML.
    pub links: Vec<Link>,
    /// Missing names, fallbacks taken, errors in values.
    pub trace: Trace,
    /// What was changed for safety.
    pub warnings: Vec<String>,
}

/// A compiled message template. Immutable; shared between threads.
#[derive(Debug)]
pub struct Template {
    subject: Program,
    preheader: Program,
    body: Program,
    text: Option<Program>,
}

impl Template {
    /// Compiles without partials.
    ///
    /// # Errors
    /// As `compile_with`.
    pub fn compile(source: &Source) -> Result<Template> {
        Template::compile_with(source, &Partials::new())
    }

    /// Compiles with the registered partials. Cost: 1-3 ms for an MJML body.
    ///
    /// # Errors
    /// Syntax, layout and limit errors; the place's file names the part (`subject`, `preheader`, `body`, `text`)
    /// or the partial.
    pub fn compile_with(source: &Source, partials: &Partials) -> Result<Template> {
        let part = |name: &'static str| move |e: Error| e.in_file(name);
        let (body, mjml) = match &source.body {
            Body::Mjml(text) => (text, true),
            Body::Html(text) => (text, false),
        };
        let engine = source.engine;
        let compile = |text: &str, escape, name| {
            Program::compile_as(engine, text, partials, escape).map_err(part(name))
        };
        let template = Template {
            subject: compile(&source.subject, false, "subject")?,
            preheader: compile(&source.preheader, true, "preheader")?,
            body: layout::compile(engine, body, mjml, partials).map_err(part("body"))?,
            text: source.text.as_ref().map(|text| compile(text, false, "text")).transpose()?,
        };
        let programs = [
            Some(&template.subject),
            Some(&template.preheader),
            Some(&template.body),
            template.text.as_ref(),
        ];
        if let Some(problem) = programs.into_iter().flatten().flat_map(Program::problems).next() {
            return Err(problem.clone());
        }
        Ok(template)
    }

    /// The parts by name.
    pub(crate) fn programs(&self) -> impl Iterator<Item = (&'static str, &Program)> {
        let parts = [("subject", &self.subject), ("preheader", &self.preheader), ("body", &self.body)];
        parts.into_iter().chain(self.text.as_ref().map(|text| ("text", text)))
    }

    /// Renders for one person; `rewrite` is asked for the address of each tracked link. Links found under
    /// `links` in the data (unsubscribe, preferences, view in browser) are never tracked.
    ///
    /// # Errors
    /// Limits and `abort`; with `OnError::Raise` also values that cannot be used as written.
    pub fn render(
        &self,
        data: &dyn Object,
        options: &Options,
        dressing: &Dressing,
        rewrite: Rewrite<'_>,
    ) -> Result<Rendered> {
        let plain_options = Options { escape: false, ..options.clone() };
        let html_options = Options { escape: true, ..options.clone() };
        let mut trace = Trace::default();
        let mut warnings = Vec::new();
        let mut run = |program: &Program, options: &Options, part: &'static str| {
            let (text, found) = program.render(data, options).map_err(|e| e.in_file(part))?;
            trace.merge(found, part);
            Ok::<String, Error>(text)
        };
        let subject = one_line(&run(&self.subject, &plain_options, "subject")?);
        let preheader = run(&self.preheader, &html_options, "preheader")?;
        let body = run(&self.body, &html_options, "body")?;
        let text = match &self.text {
            Some(program) => Some(run(program, &plain_options, "text")?),
            None => None,
        };
        let mut dressing = dressing.clone();
        for name in ["unsubscribe", "preferences", "view_in_browser"] {
            let address = data.get("links").and_then(|l| l.part(name));
            if let Some(address) = address.as_ref().and_then(Val::as_str) {
                dressing.untracked.push(address.to_owned());
            }
        }
        let (html, links) = links::dress(&body, &preheader, &dressing, rewrite, &mut warnings);
        let text = text.unwrap_or_else(|| plain::from_html(&html));
        Ok(Rendered { subject, preheader, html, text, links, trace, warnings })
    }
}

/// Text for a header: no line breaks or control characters, single spaces.
pub fn one_line(text: &str) -> String {
    let words =
        text.split(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
    words.filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Renders one document of Liquid, as `rapport render` does; the error's place is in `source`.
///
/// # Errors
/// Any error of compiling or rendering.
pub fn render_document(
    source: &str,
    mjml: bool,
    data: &model::Value,
    options: &Options,
) -> Result<(String, Trace)> {
    render_document_as(Engine::Liquid, source, mjml, data, options)
}

/// Renders one document in the language `engine`.
///
/// # Errors
/// Any error of compiling or rendering.
pub fn render_document_as(
    engine: Engine,
    source: &str,
    mjml: bool,
    data: &model::Value,
    options: &Options,
) -> Result<(String, Trace)> {
    let partials = Partials::new();
    let program = if mjml {
        layout::compile(engine, source, true, &partials)?
    } else {
        Program::compile_as(engine, source, &partials, options.escape)?
    };
    let options = Options { escape: options.escape || mjml, ..options.clone() };
    let (html, trace) = program.render(data, &options)?;
    if !mjml {
        return Ok((html, trace));
    }
    let mut url = |link: &Link| link.url.clone();
    let (html, _) = links::dress(&html, "", &Dressing::default(), &mut url, &mut Vec::new());
    Ok((html, trace))
}
