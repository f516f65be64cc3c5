//! Layouts: MJML or HTML with a template language in it, to mail-safe HTML that is still a template.
//!
//! The language's spans are replaced by placeholders, the layout is compiled, styles are inlined, links numbered, and
//! the spans are put back. Runs once per template version.

use std::borrow::Cow;

use crate::engine::{self, Engine, Origin, Partials, Program};
use crate::error::{Error, Place, Result};

/// The components of MJML that are understood.
const COMPONENTS: &[&str] = &[
    "mjml",
    "mj-accordion",
    "mj-accordion-element",
    "mj-accordion-text",
    "mj-accordion-title",
    "mj-all",
    "mj-attributes",
    "mj-body",
    "mj-breakpoint",
    "mj-button",
    "mj-carousel",
    "mj-carousel-image",
    "mj-class",
    "mj-column",
    "mj-divider",
    "mj-font",
    "mj-group",
    "mj-head",
    "mj-hero",
    "mj-image",
    "mj-navbar",
    "mj-navbar-link",
    "mj-preview",
    "mj-raw",
    "mj-section",
    "mj-social",
    "mj-social-element",
    "mj-spacer",
    "mj-style",
    "mj-table",
    "mj-text",
    "mj-title",
    "mj-wrapper",
];

/// Attributes whose value the layout computes with: nothing of the template language may stand there.
const NUMERIC: &[&str] = &[
    "width",
    "height",
    "padding",
    "padding-left",
    "padding-right",
    "padding-top",
    "padding-bottom",
    "inner-padding",
    "border",
    "border-left",
    "border-right",
    "border-top",
    "border-bottom",
    "border-width",
    "background-width",
    "background-height",
    "icon-size",
    "icon-height",
    "icon-width",
    "gap",
    "full-width",
];

const DEPTH_MAX: usize = 100;
/// Unclosed or deeply nested HTML elements.
const HTML_DEPTH_MAX: usize = 200;
const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr", "p", "li", "dt", "dd", "option", "tr", "td", "th", "tbody", "thead",
];

#[derive(Clone, Copy, PartialEq)]
enum Where {
    Content,
    /// Text without markup: a title or preview.
    Words,
    Style,
    Script,
    Value,
    Tag,
}

struct Scan<'s> {
    source: &'s str,
    mjml: bool,
    open: Vec<&'s str>,
    /// The element and attribute one stands in.
    element: &'s str,
    attribute: &'s str,
    place: Where,
    quote: u8,
    in_comment: bool,
    name_from: usize,
    optional_depth: usize,
}

fn fail<T>(source: &str, at: usize, message: impl Into<String>) -> Result<T> {
    Err(Error::Layout { place: Place::of("", source, at), message: message.into() })
}

impl Scan<'_> {
    fn content_place(&self) -> Where {
        match self.open.last().copied().unwrap_or_default() {
            "style" | "mj-style" => Where::Style,
            "script" => Where::Script,
            "title" | "textarea" | "mj-title" | "mj-preview" => Where::Words,
            _ => Where::Content,
        }
    }

    /// Reads `source[from..to]`, which holds no Liquid, appending it to `out`.
    fn feed(&mut self, from: usize, to: usize, out: &mut String) -> Result<()> {
        let bytes = self.source.as_bytes();
        let mut i = from;
        let mut copied = from;
        while i < to {
            // Inside a tag bytes are read one by one.
            if !self.source.is_char_boundary(i) {
                i += 1;
                continue;
            }
            let rest = &self.source[i..to];
            if self.in_comment {
                match rest.find("-->") {
                    Some(end) => {
                        i += end + 3;
                        self.in_comment = false;
                    }
                    None => i = to,
                }
                continue;
            }
            match self.place {
                Where::Content | Where::Words | Where::Style | Where::Script => {
                    let next = rest.find('<').unwrap_or(rest.len());
                    if self.mjml && rest[..next].contains('>') {
                        if matches!(self.place, Where::Content | Where::Words) {
                            out.push_str(&self.source[copied..i]);
                            out.push_str(&rest[..next].replace('>', "&gt;"));
                            copied = i + next;
                        } else if cuts_a_letter(&rest[..next]) {
                            return fail(
                                self.source,
                                i,
                                "put a space before '>' after a letter that is not Latin",
                            );
                        }
                    }
                    i += next;
                    if i == to {
                        break;
                    }
                    let rest = &self.source[i..to];
                    let raw_text = matches!(self.place, Where::Style | Where::Script);
                    if rest.starts_with("<!--") && !raw_text {
                        self.in_comment = true;
                        i += 4;
                    } else if rest.starts_with("<![CDATA[") {
                        i += rest.find("]]>").map_or(rest.len(), |e| e + 3);
                    } else if rest.starts_with("<!") && !raw_text {
                        i += rest.find('>').map_or(rest.len(), |e| e + 1);
                    } else if let Some(name) = rest.strip_prefix("</") {
                        let len = name.find(|c: char| !is_name(c)).unwrap_or(name.len());
                        self.close(&name[..len]);
                        i += rest.find('>').map_or(rest.len(), |e| e + 1);
                    } else if rest.as_bytes().get(1).is_some_and(u8::is_ascii_alphabetic) && !raw_text {
                        let len = rest[1..].find(|c: char| !is_name(c)).unwrap_or(rest.len() - 1);
                        let name = &rest[1..=len];
                        if self.mjml && name.starts_with("mj") && !COMPONENTS.contains(&name) {
                            return fail(self.source, i, unknown(name));
                        }
                        self.element = name;
                        self.place = Where::Tag;
                        i += 1 + len;
                        self.name_from = i;
                    } else {
                        i += 1;
                    }
                }
                Where::Tag => {
                    let b = bytes[i];
                    match b {
                        b'>' => {
                            let selfclosing = i > 0 && bytes[i - 1] == b'/';
                            i += 1;
                            self.opened(i, selfclosing)?;
                        }
                        b'=' => {
                            let name = self.source[self.name_from..i].trim();
                            self.attribute = name.rsplit(char::is_whitespace).next().unwrap_or(name);
                            i += 1;
                            while i < to && bytes[i].is_ascii_whitespace() {
                                i += 1;
                            }
                            self.quote = match bytes.get(i) {
                                Some(q @ (b'"' | b'\'')) if i < to => {
                                    i += 1;
                                    *q
                                }
                                _ => 0,
                            };
                            self.place = Where::Value;
                        }
                        _ => i += 1,
                    }
                }
                Where::Value => {
                    let end = rest.bytes().position(|b| {
                        if self.quote == 0 { b.is_ascii_whitespace() || b == b'>' } else { b == self.quote }
                    });
                    let stop = end.map_or(to, |e| i + e);
                    if self.mjml {
                        out.push_str(&self.source[copied..i]);
                        encode_value(&self.source[i..stop], out);
                        copied = stop;
                    }
                    i = stop;
                    if end.is_some() {
                        if self.quote != 0 {
                            i += 1;
                        }
                        self.place = Where::Tag;
                        self.name_from = i;
                    }
                }
            }
        }
        out.push_str(&self.source[copied..to]);
        Ok(())
    }

    fn opened(&mut self, at: usize, selfclosing: bool) -> Result<()> {
        let name = self.element;
        if !selfclosing && !VOID.iter().any(|v| v.eq_ignore_ascii_case(name)) {
            self.open.push(name);
            let max = if self.mjml { DEPTH_MAX } else { HTML_DEPTH_MAX };
            if self.open.len() > max {
                return fail(self.source, at, format!("Nesting too deep: more than {max} open elements"));
            }
        } else if !selfclosing && matches!(name, "p" | "li" | "tr" | "td" | "th" | "tbody" | "dd") {
            self.optional_depth += 1;
            if self.optional_depth > 4 * HTML_DEPTH_MAX {
                return fail(self.source, at, "Nesting too deep: too many elements are never closed");
            }
        }
        self.place = self.content_place();
        Ok(())
    }

    fn close(&mut self, name: &str) {
        if VOID.iter().any(|v| v.eq_ignore_ascii_case(name)) {
            self.optional_depth = self.optional_depth.saturating_sub(1);
        }
        if let Some(at) = self.open.iter().rposition(|open| open.eq_ignore_ascii_case(name)) {
            self.open.truncate(at);
        }
        self.place = self.content_place();
    }
}

fn unknown(name: &str) -> String {
    match name {
        "mj-include" => {
            "mj-include reads files and is not allowed: use {% render 'name' %} with a block".into()
        }
        _ => format!("unknown component <{name}>: it would vanish without a trace"),
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':')
}

/// Writes what the layout compiler would print wrongly in attributes as entities.
fn encode_value(text: &str, out: &mut String) {
    use std::fmt::Write;
    for c in text.chars() {
        if c == '\\' || c.is_control() || !c.is_ascii() {
            let _ = write!(out, "&#{};", c as u32);
        } else {
            out.push(c);
        }
    }
}

struct Prepared {
    text: String,
    prefix: String,
    spans: Vec<(std::ops::Range<usize>, bool)>,
}

fn prepare(engine: Engine, source: &str, mjml: bool) -> Result<Prepared> {
    let spans = engine::spans(engine, source)?;
    let mut prefix = String::from("lqx");
    while source.contains(&prefix) {
        prefix.push('q');
    }
    let mut scan = Scan {
        source,
        mjml,
        open: Vec::new(),
        element: "",
        attribute: "",
        place: Where::Content,
        quote: 0,
        in_comment: false,
        name_from: 0,
        optional_depth: 0,
    };
    let mut text = String::with_capacity(source.len() + spans.len() * 16);
    let mut at = 0;
    for (n, (span, _)) in spans.iter().enumerate() {
        scan.feed(at, span.start, &mut text)?;
        at = span.end;
        let token = format!("{prefix}{n}x");
        let refuse = |what: &str| fail(source, span.start, what);
        if scan.in_comment {
            text.push_str(&token);
            continue;
        }
        match scan.place {
            Where::Content => text.push_str(&format!("<!--{token}-->")),
            Where::Words => text.push_str(&token),
            Where::Value if scan.mjml && NUMERIC.contains(&scan.attribute) => {
                return refuse(&format!(
                    "the layout computes with '{}': a variable cannot stand in it; choose between two elements with {{% if %}}",
                    scan.attribute
                ));
            }
            Where::Value => text.push_str(&token),
            Where::Style => {
                return refuse("template language in a style sheet is not allowed: use a style attribute");
            }
            Where::Script => return refuse("template language in a script is not allowed"),
            Where::Tag => {
                return refuse(
                    "template language may stand in an attribute's value or between elements, not inside a tag",
                );
            }
        }
    }
    scan.feed(at, source.len(), &mut text)?;
    Ok(Prepared { text, prefix, spans })
}

/// Compiles a layout to a program that prints HTML.
///
/// # Errors
/// Errors of the template language and of the layout, with the place in the author's source.
pub(crate) fn compile(engine: Engine, source: &str, mjml: bool, partials: &Partials) -> Result<Program> {
    // The author's own source first: its errors come with its places.
    Program::compile_as(engine, source, partials, true)?;
    let prepared = prepare(engine, source, mjml)?;
    let html = if mjml { from_mjml(source, &prepared.text)? } else { prepared.text.clone() };
    let html = with_page(&html, &prepared.prefix);
    let html = inline_styles(source, &with_bodies(&html, &prepared.prefix))?;
    let html = number_links(&html);
    let (restored, map) = restore(source, &prepared, &html)?;
    let origin = Origin { source: source.into(), map };
    match Program::compile_as(engine, &restored, partials, true) {
        Ok(mut program) => {
            program.origin = Some(origin);
            Ok(program)
        }
        Err(error) => {
            let line = error.place();
            let offset =
                restored.split_inclusive('\n').take(line.line.saturating_sub(1)).map(str::len).sum::<usize>()
                    + line.column.saturating_sub(1);
            Err(Error::Layout {
                place: origin.place(offset as u32),
                message: format!(
                    "{} (the layout moved this part: put the tags around whole elements)",
                    error.message()
                ),
            })
        }
    }
}

/// The first conditional comment whose end is not well formed: the parser would not survive it. Its count among all.
fn broken_conditional(text: &str) -> Option<usize> {
    let starts = text.match_indices("<!").map(|(at, _)| &text[at..]);
    let conditional = |rest: &&str| {
        ["<!--[if", "<![if", "<![endif", "<!--<![endif"].iter().any(|start| rest.starts_with(start))
    };
    starts.filter(conditional).position(|rest| {
        let ends = rest.find(']').is_some_and(|end| {
            let after = &rest[end + 1..];
            ["-->", ">"].iter().any(|close| after.starts_with(close))
        });
        !ends || rest.starts_with("<![endif") && !rest.starts_with("<![endif]")
    })
}

/// Whether the MJML parser, which looks for `]]>` two bytes before the first `>`, would look into a letter.
fn cuts_a_letter(text: &str) -> bool {
    text.find('>').is_some_and(|at| !text.is_char_boundary(at.saturating_sub(2)))
}

fn from_mjml(source: &str, text: &str) -> Result<String> {
    if let Some(count) = broken_conditional(text) {
        let at = source.match_indices("<!").map(|(at, _)| at).filter(|at| {
            let rest = source[*at..].trim_start_matches("<!--").trim_start_matches("<!");
            rest.starts_with("[if") || rest.starts_with("[endif")
        });
        let message = "a conditional comment is not well formed: <!--[if mso]> … <![endif]-->";
        return fail(source, at.into_iter().nth(count).unwrap_or(0), message);
    }
    let parsed = match mrml::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            return fail(source, 0, format!("the MJML cannot be read: {error}"));
        }
    };
    let options = mrml::prelude::render::RenderOptions::default();
    parsed
        .element
        .render(&options)
        .or_else(|error| fail(source, 0, format!("the MJML cannot be laid out: {error}")))
}

fn inline_styles(source: &str, html: &str) -> Result<String> {
    let inliner = css_inline::CSSInliner::options()
        .load_remote_stylesheets(false)
        .keep_style_tags(true)
        .keep_link_tags(true)
        .keep_at_rules(true)
        .remove_inlined_selectors(true)
        .build();
    inliner.inline(html).or_else(|error| fail(source, 0, format!("the styles cannot be inlined: {error}")))
}

/// Puts a page around HTML that begins with a placeholder and is no page itself: the HTML parser would begin the page
/// after the placeholder, inside a loop.
fn with_page<'h>(html: &'h str, prefix: &str) -> Cow<'h, str> {
    let begins = html.trim_start().strip_prefix("<!--").is_some_and(|rest| rest.starts_with(prefix));
    let lower = html.to_ascii_lowercase();
    if !begins || ["<html", "<head", "<body"].iter().any(|tag| lower.contains(tag)) {
        return Cow::Borrowed(html);
    }
    Cow::Owned(format!("<html><head></head><body>{html}</body></html>"))
}

/// Opens a table's body before a placeholder that stands before its first row: the HTML parser would open it
/// after the placeholder, inside the loop.
fn with_bodies(html: &str, prefix: &str) -> String {
    let mut out = String::with_capacity(html.len() + 64);
    let mut rest = html;
    let mark = format!("<!--{prefix}");
    while let Some(at) = rest.find("<table") {
        let Some(end) = crate::plain::tag_end(&rest[at..]) else { break };
        out.push_str(&rest[..=at + end]);
        rest = &rest[at + end + 1..];
        let mut ahead = rest.trim_start();
        let mut marked = false;
        while ahead.starts_with(&mark) {
            marked = true;
            ahead = ahead.find("-->").map_or("", |e| ahead[e + 3..].trim_start());
        }
        if marked && ahead.starts_with("<tr") {
            out.push_str("<tbody>");
        }
    }
    out.push_str(rest);
    out
}

/// Gives each link of the layout its number, by which reports know it.
fn number_links(html: &str) -> String {
    let mut out = String::with_capacity(html.len() + 256);
    let mut rest = html;
    let mut number = 1;
    while let Some(at) = rest.find("<a") {
        let (before, tail) = rest.split_at(at + 2);
        out.push_str(before);
        if tail.starts_with(|c: char| c.is_ascii_whitespace()) {
            out.push_str(&format!(" data-link=\"{number}\""));
            number += 1;
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// Puts Liquid back in place of its placeholders.
fn restore(source: &str, prepared: &Prepared, html: &str) -> Result<(String, Vec<(u32, u32)>)> {
    let mut out = String::with_capacity(html.len());
    let mut map = Vec::new();
    let mut seen = vec![false; prepared.spans.len()];
    let mut rest = html;
    while let Some(at) = rest.find(&prepared.prefix) {
        let after = &rest[at + prepared.prefix.len()..];
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let number = after[..digits].parse::<usize>().ok().filter(|n| *n < prepared.spans.len());
        let (Some(number), true) = (number, after[digits..].starts_with('x')) else {
            out.push_str(&rest[..at + prepared.prefix.len()]);
            rest = after;
            continue;
        };
        let mut before = &rest[..at];
        let mut tail = &after[digits + 1..];
        if let (Some(b), Some(t)) = (before.strip_suffix("<!--"), tail.strip_prefix("-->")) {
            (before, tail) = (b, t);
        }
        out.push_str(before);
        let span = &prepared.spans[number].0;
        map.push((out.len() as u32, span.start as u32));
        out.push_str(&source[span.clone()]);
        seen[number] = true;
        rest = tail;
    }
    out.push_str(rest);
    if let Some(lost) = seen.iter().position(|s| !s) {
        let (span, _) = &prepared.spans[lost];
        let text: Cow<'_, str> = source[span.clone()].chars().take(40).collect();
        return fail(source, span.start, format!("{text} cannot stand here: the layout drops it"));
    }
    Ok((out, map))
}
