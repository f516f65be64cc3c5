//! Text and mustaches with their places; white space around tags is settled here.

use crate::error::{Error, Place, Result};

/// What a mustache is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mark {
    Comment,
    Print,
    Raw,
    Open,
    OpenInverse,
    Else,
    Close,
    Partial,
    OpenPartial,
    OpenInline,
}

impl Mark {
    /// Whether the line it stands alone on vanishes.
    fn may_stand_alone(self) -> bool {
        !matches!(self, Mark::Print | Mark::Raw)
    }
}

#[derive(Debug)]
pub(super) struct Mustache<'s> {
    pub mark: Mark,
    /// The whole of it in the source.
    pub at: usize,
    pub end: usize,
    pub inner: &'s str,
    pub inner_at: usize,
    before: bool,
    after: bool,
}

#[derive(Debug)]
pub(super) enum Token<'s> {
    /// Text: its place, as written, and what is kept of it.
    Text {
        at: usize,
        written: &'s str,
        from: usize,
        to: usize,
    },
    /// Text that only looks like a mustache: its span in the source, and what is printed.
    Literal {
        at: usize,
        end: usize,
        text: &'s str,
    },
    Mustache(Mustache<'s>),
}

/// Tokens of one source.
const TOKENS_MAX: usize = 200_000;

fn fail<T>(source: &str, at: usize, message: impl Into<String>) -> Result<T> {
    Err(Error::Syntax { place: Place::of("", source, at), message: message.into() })
}

/// The end of a mustache's inside, where strings and bracketed names may hold anything.
fn inside_end(text: &str, close: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            quote @ (b'"' | b'\'') => {
                i += 1;
                while i < bytes.len() && bytes[i] != quote {
                    i += if bytes[i] == b'\\' { 2 } else { 1 };
                }
            }
            b'[' => i += text[i..].find(']')?,
            b'}' if text[i..].starts_with(close) => return Some(i),
            _ => {}
        }
        i += 1;
    }
    None
}

fn mustache(source: &str, at: usize) -> Result<Mustache<'_>> {
    let rest = &source[at..];
    let unclosed = || fail(source, at, "'{{' was not properly terminated with '}}'");
    let triple = rest.starts_with("{{{") && !rest.starts_with("{{{{");
    let mut begin = if triple { 3 } else { 2 };
    let before = rest[begin..].starts_with('~');
    begin += usize::from(before);
    let body = &rest[begin..];
    if body.starts_with('!') && !triple {
        let dashed = body.starts_with("!--");
        let end = if dashed {
            [body[3..].find("--}}").map(|e| e + 7), body[3..].find("--~}}").map(|e| e + 8)]
                .into_iter()
                .flatten()
                .min()
        } else {
            body.find("}}").map(|e| e + 2)
        };
        let Some(end) = end else { return unclosed() };
        let after = body[..end - 2].ends_with('~');
        let end = at + begin + end;
        return Ok(Mustache { mark: Mark::Comment, at, end, inner: "", inner_at: at, before, after });
    }
    let close = if triple { "}}}" } else { "}}" };
    let (mark, sign) = if triple {
        (Mark::Raw, 0)
    } else {
        match body.as_bytes() {
            [b'#', b'>', ..] => (Mark::OpenPartial, 2),
            [b'#', b'*', ..] => (Mark::OpenInline, 2),
            [b'#', ..] => (Mark::Open, 1),
            [b'^', ..] => (Mark::OpenInverse, 1),
            [b'/', ..] => (Mark::Close, 1),
            [b'>', ..] => (Mark::Partial, 1),
            [b'&', ..] => (Mark::Raw, 1),
            [b'*', ..] => return fail(source, at, "decorators other than {{#*inline}} are not known"),
            _ => (Mark::Print, 0),
        }
    };
    let Some(length) = inside_end(&body[sign..], close) else { return unclosed() };
    let mut inner = &body[sign..sign + length];
    let after = inner.ends_with('~');
    if after {
        inner = &inner[..inner.len() - 1];
    }
    let word = inner.trim();
    let mark = match mark {
        Mark::OpenInverse if word.is_empty() => Mark::Else,
        Mark::Print if word == "else" || word.starts_with("else ") || word.starts_with("else\n") => {
            Mark::Else
        }
        mark => mark,
    };
    let inner_at = at + begin + sign;
    let end = inner_at + length + close.len();
    Ok(Mustache { mark, at, end, inner, inner_at, before, after })
}

/// Splits a source into text and mustaches, with the white space settled.
pub(super) fn tokens<'s>(source: &'s str) -> Result<Vec<Token<'s>>> {
    let mut out: Vec<Token<'s>> = Vec::new();
    let text = |out: &mut Vec<Token<'s>>, from: usize, to: usize| {
        if from < to {
            let written = &source[from..to];
            out.push(Token::Text { at: from, written, from: 0, to: written.len() });
        }
    };
    let (mut at, mut from) = (0, 0);
    while let Some(found) = source[at..].find("{{") {
        let open = at + found;
        if out.len() > TOKENS_MAX {
            let message = format!("more than {TOKENS_MAX} parts in one template");
            return Err(Error::Limit { place: Place::of("", source, open), message });
        }
        let before = &source[from..open];
        if before.ends_with('\\') && !before.ends_with("\\\\") {
            text(&mut out, from, open - 1);
            out.push(Token::Literal { at: open - 1, end: open + 2, text: "{{" });
            (at, from) = (open + 2, open + 2);
            continue;
        }
        text(&mut out, from, open - usize::from(before.ends_with("\\\\")));
        if source[open..].starts_with("{{{{") {
            let (end, inside) = verbatim(source, open)?;
            out.push(Token::Literal { at: open, end, text: inside });
            (at, from) = (end, end);
            continue;
        }
        let mustache = mustache(source, open)?;
        (at, from) = (mustache.end, mustache.end);
        out.push(Token::Mustache(mustache));
    }
    text(&mut out, from, source.len());
    settle(&mut out);
    Ok(out)
}

/// `{{{{raw}}}} … {{{{/raw}}}}`: printed as it is.
fn verbatim(source: &str, open: usize) -> Result<(usize, &str)> {
    let rest = &source[open + 4..];
    let Some(close) = rest.find("}}}}") else {
        return fail(source, open, "'{{{{' was not properly terminated with '}}}}'");
    };
    let name = rest[..close].trim();
    if name != "raw" {
        return fail(source, open, format!("'{name}' is no block that prints its text: only 'raw' is"));
    }
    let inside = &rest[close + 4..];
    let end = "{{{{/raw}}}}";
    match inside.find(end) {
        Some(length) => Ok((open + 4 + close + 4 + length + end.len(), &inside[..length])),
        None => fail(source, open, "'{{{{raw}}}}' was never closed"),
    }
}

fn blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

fn settle(tokens: &mut [Token<'_>]) {
    let last = tokens.len().saturating_sub(1);
    for i in 0..tokens.len() {
        let Token::Mustache(mustache) = &tokens[i] else { continue };
        let (mark, before, after) = (mustache.mark, mustache.before, mustache.after);
        let line_before = match i.checked_sub(1).map(|i| &tokens[i]) {
            None => true,
            Some(Token::Text { written, .. }) => match written.rfind('\n') {
                Some(end) => blank(&written[end + 1..]),
                None => i == 1 && blank(written),
            },
            Some(_) => false,
        };
        let line_after = match tokens.get(i + 1) {
            None => true,
            Some(Token::Text { written, .. }) => match written.find('\n') {
                Some(end) => blank(&written[..end]),
                None => i + 1 == last && blank(written),
            },
            Some(_) => false,
        };
        let alone = mark.may_stand_alone() && line_before && line_after;
        if let Some(Token::Text { written, from, to, .. }) = i.checked_sub(1).and_then(|i| tokens.get_mut(i))
        {
            let kept = &written[..*to];
            let kept = if before {
                kept.trim_end()
            } else if alone {
                kept.trim_end_matches([' ', '\t'])
            } else {
                kept
            };
            *to = kept.len().max(*from);
        }
        if let Some(Token::Text { written, from, to, .. }) = tokens.get_mut(i + 1) {
            let length = written.len();
            let kept = if after {
                written.trim_start()
            } else if alone {
                let rest = written.trim_start_matches([' ', '\t']);
                let rest = rest.strip_prefix('\r').filter(|r| r.starts_with('\n')).unwrap_or(rest);
                rest.strip_prefix('\n').unwrap_or(rest)
            } else {
                written
            };
            *from = (length - kept.len()).min(*to);
        }
    }
}

/// The byte ranges of all that is not text, in order; whether each prints.
pub(crate) fn spans(source: &str) -> Result<Vec<(std::ops::Range<usize>, bool)>> {
    let spans = tokens(source)?.into_iter().filter_map(|token| match token {
        Token::Text { .. } => None,
        Token::Literal { at, end, .. } => Some((at..end, true)),
        Token::Mustache(m) => Some((m.at..m.end, matches!(m.mark, Mark::Print | Mark::Raw))),
    });
    Ok(spans.collect())
}
