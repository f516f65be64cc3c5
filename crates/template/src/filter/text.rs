//! Filters on text.

use std::rc::Rc;

use super::{Args, Out};
use crate::error::Fault;
use crate::number;
use crate::render::Run;
use crate::value::Val;

fn space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' | '\0')
}

macro_rules! plain {
    ($($name:ident($max:literal) |$s:ident, $args:ident| $body:expr;)*) => {$(
        pub(super) fn $name<'a>(run: &mut Run<'a, '_>, value: Val<'a>, $args: &Args<'a>) -> Out<'a> {
            $args.most($max)?;
            let text = value.to_written();
            let $s: &str = &text;
            let out: String = $body;
            run.reserve(out.len())?;
            Ok(Val::text(out))
        }
    )*};
}

plain! {
    upcase(0) |s, args| s.to_uppercase();
    downcase(0) |s, args| s.to_lowercase();
    strip(0) |s, args| s.trim_matches(space).to_owned();
    lstrip(0) |s, args| s.trim_start_matches(space).to_owned();
    rstrip(0) |s, args| s.trim_end_matches(space).to_owned();
    squish(0) |s, args| s.split(|c: char| c.is_whitespace()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
    strip_newlines(0) |s, args| s.replace("\r\n", "").replace('\n', "");
    capitalize(0) |s, args| {
        let mut chars = s.chars();
        chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars.as_str().to_lowercase().chars()).collect())
    };
    strip_html(0) |s, args| without_tags(s);
    url_encode(0) |s, args| {
        let mut out = String::with_capacity(s.len());
        for b in s.bytes() {
            match b {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'~' if b != b'*' => out.push(b as char),
                b' ' => out.push('+'),
                b => out.push_str(&format!("%{b:02X}")),
            }
        }
        out
    };
    url_escape(0) |s, args| percent(s, b"-_.!~*'();/?:@&=+$,#[]");
    url_param_escape(0) |s, args| percent(s, b"-_.!~*'()");
    base64_encode(0) |s, args| encode64(s.as_bytes(), b"+/", true);
    base64_url_safe_encode(0) |s, args| encode64(s.as_bytes(), b"-_", true);
}

/// Writes all bytes as `%XX` but letters, digits and `keep`.
fn percent(text: &str, keep: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || keep.contains(&b) {
            out.push(b as char);
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

pub(super) fn append<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    let (a, b) = (value.to_text(), args.need(0)?.to_text());
    run.reserve(a.len() + b.len())?;
    Ok(Val::text(format!("{a}{b}")))
}

pub(super) fn prepend<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    let (a, b) = (value.to_text(), args.need(0)?.to_text());
    run.reserve(a.len() + b.len())?;
    Ok(Val::text(format!("{b}{a}")))
}

pub(super) fn escape<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(0)?;
    if value.is_nil() || matches!(value, Val::Safe(_)) && run.options.escape {
        return Ok(value);
    }
    let text = value.to_written();
    run.reserve(text.len() * 2)?;
    let mut out = String::with_capacity(text.len() + 16);
    crate::escape::html(&text, &mut out);
    Ok(Val::Safe(out.into()))
}

pub(super) fn raw<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(0)?;
    if !run.options.raw {
        return Fault::value("'raw' is not permitted here: the value is not printed");
    }
    Ok(match value {
        Val::Str(s) => Val::Safe(Rc::from(&*s)),
        other => other,
    })
}

pub(super) fn escape_once<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(0)?;
    let text = value.to_written();
    run.reserve(text.len() * 2)?;
    let mut out = String::with_capacity(text.len() + 16);
    for (i, c) in text.char_indices() {
        match c {
            '&' if is_entity(&text[i..]) => out.push('&'),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    Ok(Val::Safe(out.into()))
}

fn is_entity(text: &str) -> bool {
    let Some(end) = text.bytes().take(32).position(|b| b == b';') else { return false };
    let name = &text[1..end];
    match name.strip_prefix('#') {
        Some(n) => n.strip_prefix(['x', 'X']).map_or_else(
            || !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()),
            |h| !h.is_empty() && h.bytes().all(|b| b.is_ascii_hexdigit()),
        ),
        None => !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric()),
    }
}

pub(super) fn newline_to_br<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(0)?;
    let text = value.to_text();
    run.reserve(text.len().saturating_mul(7))?;
    if !run.options.escape {
        return Ok(Val::text(text.replace("\r\n", "\n").replace('\n', "<br />\n")));
    }
    let mut out = String::new();
    if matches!(value, Val::Safe(_)) {
        out.push_str(&text);
    } else {
        crate::escape::html(&text, &mut out);
    }
    Ok(Val::Safe(out.replace("\r\n", "\n").replace('\n', "<br />\n").into()))
}

fn replaced<'a>(run: &mut Run<'a, '_>, value: &Val<'a>, from: &str, to: &str) -> Out<'a> {
    let text = value.to_text();
    let count = if from.is_empty() { text.chars().count() + 1 } else { text.matches(from).count() };
    run.step(count as u64)?;
    run.reserve(text.len().saturating_add(count.saturating_mul(to.len())))?;
    Ok(Val::text(text.replace(from, to)))
}

pub(super) fn replace<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(2)?;
    let (from, to) = (args.text(0)?, args.get(1).map_or(String::new(), |v| v.to_text().into_owned()));
    replaced(run, &value, &from, &to)
}

pub(super) fn remove<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    replaced(run, &value, &args.text(0)?, "")
}

fn spliced<'a>(run: &mut Run<'a, '_>, value: &Val<'a>, from: &str, to: &str, last: bool) -> Out<'a> {
    let text = value.to_text();
    let found = if last { text.rfind(from) } else { text.find(from) };
    run.reserve(text.len() + to.len())?;
    Ok(Val::text(match found {
        Some(at) => format!("{}{to}{}", &text[..at], &text[at + from.len()..]),
        None => text.into_owned(),
    }))
}

pub(super) fn replace_first<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(2)?;
    let to = args.get(1).map_or(String::new(), |v| v.to_text().into_owned());
    spliced(run, &value, &args.text(0)?, &to, false)
}

pub(super) fn replace_last<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(2)?;
    spliced(run, &value, &args.text(0)?, &args.text(1)?, true)
}

pub(super) fn remove_first<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    spliced(run, &value, &args.text(0)?, "", false)
}

pub(super) fn remove_last<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    spliced(run, &value, &args.text(0)?, "", true)
}

pub(super) fn truncate<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(2)?;
    if value.is_nil() {
        return Ok(Val::Nil);
    }
    let text = value.to_text();
    let length = args.integer(0, 50)?;
    let dots = args.get(1).map_or("...".into(), |v| v.to_text().into_owned());
    let keep = length.saturating_sub(dots.chars().count() as i64).max(0);
    if text.chars().count() as i64 <= length {
        return Ok(Val::text(text));
    }
    run.reserve(text.len() + dots.len())?;
    let kept: String = text.chars().take(keep as usize).collect();
    Ok(Val::text(kept + &dots))
}

pub(super) fn truncatewords<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(2)?;
    if value.is_nil() {
        return Ok(Val::Nil);
    }
    let text = value.to_text();
    let words = args.integer(0, 15)?.max(1) as usize;
    let dots = args.get(1).map_or("...".into(), |v| v.to_text().into_owned());
    let mut list: Vec<&str> = Vec::new();
    let mut rest = text.trim_start_matches(space);
    while list.len() < words && !rest.is_empty() {
        let (word, after) = rest.split_at(rest.find(space).unwrap_or(rest.len()));
        list.push(word);
        rest = if list.len() < words { after.trim_start_matches(space) } else { after };
    }
    if rest.is_empty() {
        return Ok(Val::text(text));
    }
    run.reserve(text.len() + dots.len())?;
    Ok(Val::text(list.join(" ") + &dots))
}

pub(super) fn slice<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(2)?;
    let offset = number::integer(args.need(0)?)?;
    let length = match args.get(1) {
        Some(v) if !v.is_nil() => number::integer(v)?,
        _ => 1,
    };
    let total = value.len().filter(|_| value.is_list() || value.as_str().is_some());
    let text = if total.is_none() { value.to_text().into_owned() } else { String::new() };
    let total = total.unwrap_or(text.chars().count() as i64);
    let start = if offset < 0 { total.saturating_add(offset) } else { offset };
    let outside = start < 0 || start > total || length < 0;
    if value.is_list() {
        if outside {
            return Ok(Val::Array(Rc::from(vec![])));
        }
        let end = start.saturating_add(length).min(total);
        run.step((end - start) as u64)?;
        run.reserve((end - start) as usize * 32)?;
        return Ok(Val::Array((start..end).filter_map(|i| value.at(i)).collect()));
    }
    if outside {
        return Ok(Val::text(""));
    }
    let text = value.to_text();
    Ok(Val::text(text.chars().skip(start as usize).take(length as usize).collect::<String>()))
}

pub(super) fn split<'a>(run: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(1)?;
    let text = value.to_text();
    let by = args.text(0)?;
    run.step(text.len() as u64 / 8)?;
    run.reserve(text.len())?;
    let mut parts: Vec<String> = if by == " " {
        text.split(space).filter(|p| !p.is_empty()).map(str::to_owned).collect()
    } else if by.is_empty() {
        text.chars().map(String::from).collect()
    } else {
        text.split(by.as_str()).map(str::to_owned).collect()
    };
    while parts.last().is_some_and(String::is_empty) {
        parts.pop();
    }
    run.step(parts.len() as u64)?;
    run.reserve(parts.len() * 16)?;
    Ok(Val::Array(parts.into_iter().map(Val::text).collect()))
}

/// Text without tags, comments, scripts and style sheets.
pub(crate) fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut unclosed = [false; 3];
    'outer: while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        for (i, (open, close)) in
            [("<script", "</script>"), ("<!--", "-->"), ("<style", "</style>")].iter().enumerate()
        {
            if tail.get(..open.len()).is_some_and(|s| s == *open) && !unclosed[i] {
                if let Some(end) = tail.find(close) {
                    rest = &tail[end + close.len()..];
                    continue 'outer;
                }
                unclosed[i] = true;
            }
        }
        match tail.find('>') {
            Some(end) => rest = &tail[end + 1..],
            None => {
                rest = tail;
                break;
            }
        }
    }
    out.push_str(rest);
    out
}

pub(super) fn url_decode<'a>(_: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(0)?;
    if value.is_nil() {
        return Ok(Val::Nil);
    }
    let text = value.to_text().replace('+', " ");
    let bytes: Vec<u8> = percent_encoding::percent_decode_str(&text).collect();
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Val::text(text)),
        Err(_) => Fault::value("invalid byte sequence in UTF-8"),
    }
}

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn encode64(bytes: &[u8], last: &[u8; 2], pad: bool) -> String {
    let digit = |i: u32| match i {
        62 | 63 => last[(i - 62) as usize] as char,
        i => ALPHABET[i as usize] as char,
    };
    let mut out = String::with_capacity(bytes.len() * 4 / 3 + 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().enumerate().fold(0u32, |w, (i, b)| w | (*b as u32) << (16 - 8 * i));
        for i in 0..4 {
            if i <= chunk.len() {
                out.push(digit(word >> (18 - 6 * i) & 63));
            } else if pad {
                out.push('=');
            }
        }
    }
    out
}

fn decode64(text: &str, last: &[u8; 2]) -> Option<String> {
    let trimmed = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) && last[0] == b'+' {
        return None;
    }
    let mut out = Vec::with_capacity(trimmed.len());
    let (mut word, mut bits) = (0u32, 0);
    for b in trimmed.bytes() {
        let digit = match b {
            b if b == last[0] => 62,
            b if b == last[1] => 63,
            b => ALPHABET.iter().position(|a| *a == b)? as u32,
        };
        word = (word << 6 | digit) & 0xff_ffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits) as u8);
        }
    }
    String::from_utf8(out).ok()
}

pub(super) fn base64_decode<'a>(_: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(0)?;
    match decode64(&value.to_text(), b"+/") {
        Some(text) => Ok(Val::text(text)),
        None => Fault::value("invalid base64 provided to base64_decode"),
    }
}

pub(super) fn base64_url_safe_decode<'a>(_: &mut Run<'a, '_>, value: Val<'a>, args: &Args<'a>) -> Out<'a> {
    args.most(0)?;
    match decode64(&value.to_text(), b"-_") {
        Some(text) => Ok(Val::text(text)),
        None => Fault::value("invalid base64 provided to base64_url_safe_decode"),
    }
}
