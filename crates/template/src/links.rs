//! Links of a rendered mail: found, checked, measured by UTM parameters, rewritten for tracking.

use std::borrow::Cow;

/// A link in a rendered mail.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Link {
    /// Its place in this mail, from 1.
    pub number: u32,
    /// Its place in the template, from 1; 0 for a link that came with the data or a block.
    pub id: u32,
    /// Where it leads, with UTM parameters, before tracking.
    pub url: String,
    /// The block it stands in (`data-block`).
    pub block: Option<String>,
    /// Whether it leads through the tracker.
    pub tracked: bool,
}

/// What is done to links and around the body.
#[derive(Clone, Debug, Default)]
pub struct Dressing {
    /// Parameters added to every tracked web link that does not have them.
    pub utm: Vec<(String, String)>,
    /// Addresses that are never rewritten (unsubscribe, preferences, view in browser).
    pub untracked: Vec<String>,
    /// The address of the open pixel.
    pub pixel_url: Option<String>,
}

/// Turns a link into its tracked address.
pub type Rewrite<'r> = &'r mut dyn FnMut(&Link) -> String;

/// Decodes the entities that stand in addresses and words.
pub fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        let end = tail.bytes().take(12).position(|b| b == b';');
        let decoded = end.and_then(|end| {
            let name = &tail[1..end];
            let c = match name {
                "amp" => Some('&'),
                "lt" => Some('<'),
                "gt" => Some('>'),
                "quot" => Some('"'),
                "apos" => Some('\''),
                "nbsp" => Some('\u{a0}'),
                "copy" => Some('©'),
                "reg" => Some('®'),
                "trade" => Some('™'),
                "hellip" => Some('…'),
                "ndash" => Some('–'),
                "mdash" => Some('—'),
                "euro" => Some('€'),
                "pound" => Some('£'),
                "zwnj" => Some('\u{200c}'),
                "shy" => Some('\u{ad}'),
                "rsquo" => Some('’'),
                "lsquo" => Some('‘'),
                "ldquo" => Some('“'),
                "rdquo" => Some('”'),
                "colon" => Some(':'),
                "Tab" | "NewLine" => Some(' '),
                _ => {
                    let number = name.strip_prefix('#')?;
                    let code = match number.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                        None => number.parse().ok()?,
                    };
                    char::from_u32(code)
                }
            };
            c.map(|c| (c, end + 1))
        });
        match decoded {
            Some((c, used)) => {
                out.push(c);
                rest = &tail[used..];
            }
            None => {
                out.push('&');
                rest = &tail[1..];
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The raw value of an attribute in the inside of a tag.
pub(crate) fn attribute<'t>(tag: &'t str, wanted: &str) -> Option<Cow<'t, str>> {
    attributes(tag).into_iter().find(|a| a.name.eq_ignore_ascii_case(wanted)).map(|a| Cow::Borrowed(a.value))
}

struct Attribute<'t> {
    name: &'t str,
    value: &'t str,
    whole: std::ops::Range<usize>,
}

fn attributes(tag: &str) -> Vec<Attribute<'_>> {
    let bytes = tag.as_bytes();
    let mut out = Vec::new();
    let mut i = bytes.iter().position(|b| b.is_ascii_whitespace() || *b == b'/').unwrap_or(bytes.len());
    while i < bytes.len() {
        let whole = i;
        while i < bytes.len() && (bytes[i].is_ascii_whitespace() || bytes[i] == b'/') {
            i += 1;
        }
        let from = i;
        while i < bytes.len() && !bytes[i].is_ascii_whitespace() && !matches!(bytes[i], b'=' | b'/') {
            i += 1;
        }
        let name = &tag[from..i];
        let mut j = i;
        while j < bytes.len() && bytes[j].is_ascii_whitespace() {
            j += 1;
        }
        let mut value = "";
        if bytes.get(j) == Some(&b'=') {
            j += 1;
            while j < bytes.len() && bytes[j].is_ascii_whitespace() {
                j += 1;
            }
            match bytes.get(j) {
                Some(q @ (b'"' | b'\'')) => {
                    let end = tag[j + 1..].bytes().position(|b| b == *q).map_or(tag.len(), |e| j + 1 + e);
                    value = &tag[j + 1..end];
                    i = (end + 1).min(tag.len());
                }
                _ => {
                    let end =
                        tag[j..].bytes().position(|b| b.is_ascii_whitespace()).map_or(tag.len(), |e| j + e);
                    value = &tag[j..end];
                    i = end;
                }
            }
        } else if name.is_empty() {
            i += 1;
        }
        if !name.is_empty() {
            out.push(Attribute { name, value, whole: whole..i });
        }
    }
    out
}

/// Dresses a rendered page: preheader, links, pixel. Cost: one pass.
pub(crate) fn dress(
    html: &str,
    preheader: &str,
    dressing: &Dressing,
    rewrite: Rewrite<'_>,
    warnings: &mut Vec<String>,
) -> (String, Vec<Link>) {
    let mut out = String::with_capacity(html.len() + html.len() / 8 + 512);
    let mut links = Vec::new();
    let mut rest = html;
    let mut pixel = dressing.pixel_url.as_deref().map(pixel_tag);
    let mut unended = false;
    let mut preheader = Some(preheader).filter(|p| !p.trim().is_empty());
    while let Some(at) = rest.find('<') {
        let tail = &rest[at..];
        let is = |name: &str| {
            tail.get(..name.len()).is_some_and(|t| t.eq_ignore_ascii_case(name))
                && tail[name.len()..].starts_with(|c: char| c.is_ascii_whitespace() || c == '>')
        };
        if is("<a") || is("<area") {
            let Some(end) = crate::plain::tag_end(tail) else { break };
            out.push_str(&rest[..at]);
            link(&tail[1..end], dressing, rewrite, &mut links, warnings, &mut out);
            rest = &tail[end + 1..];
        } else if preheader.is_some() && is("<body") {
            let Some(end) = crate::plain::tag_end(tail) else { break };
            out.push_str(&rest[..=(at + end)]);
            out.push_str("<div style=\"display:none;max-height:0;max-width:0;opacity:0;overflow:hidden;mso-hide:all\">");
            out.push_str(preheader.take().unwrap_or_default());
            out.push_str("</div>");
            rest = &tail[end + 1..];
        } else if pixel.is_some() && is("</body") {
            out.push_str(&rest[..at]);
            out.push_str(&pixel.take().unwrap_or_default());
            out.push_str("</body");
            rest = &tail[6..];
        } else if let Some(end) = Some(tail).filter(|_| !unended).and_then(other_tag_end) {
            let tag = &tail[1..end];
            out.push_str(&rest[..at]);
            if may_hide_a_script(tag) {
                without_scripts(tag, warnings, &mut out);
            } else {
                out.push_str(&tail[..=end]);
            }
            rest = &tail[end + 1..];
        } else {
            // A tag without an end has no tags after it either; looking for its end again and again costs the square.
            unended |= starts_a_tag(tail);
            out.push_str(&rest[..=at]);
            rest = &tail[1..];
        }
    }
    out.push_str(rest);
    if let Some(pixel) = pixel {
        out.push_str(&pixel);
    }
    (out, links)
}

/// Attributes that lead somewhere when somebody acts, and those that load something.
const LEADING: [&str; 4] = ["href", "xlink:href", "action", "formaction"];
const LOADING: [&str; 6] = ["src", "srcdoc", "background", "poster", "data", "lowsrc"];

/// Attributes of a link that are not copied as they stand.
const TAKEN_OUT: [&str; 5] = ["href", "xlink:href", "data-link", "data-block", "data-no-track"];

fn starts_a_tag(tail: &str) -> bool {
    tail[1..].starts_with(|c: char| c.is_ascii_alphabetic())
}

fn other_tag_end(tail: &str) -> Option<usize> {
    if starts_a_tag(tail) { crate::plain::tag_end(tail) } else { None }
}

/// Whether a tag could hold a script in an address, however it is written; most tags could not.
fn may_hide_a_script(tag: &str) -> bool {
    let bytes = tag.as_bytes();
    let names = |word: &[u8]| bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word));
    let hides = bytes.iter().any(|byte| *byte == b'&' || byte.is_ascii_control());
    hides || names(b"script:") || names(b"data:") || names(b"srcdoc")
}

/// Copies a tag without the addresses that run or embed something; images may be embedded.
fn without_scripts(tag: &str, warnings: &mut Vec<String>, out: &mut String) {
    let attributes = attributes(tag);
    let mut removed = Vec::new();
    for attribute in &attributes {
        let is = |names: &[&str]| names.iter().any(|name| attribute.name.eq_ignore_ascii_case(name));
        let url = decode(attribute.value);
        let image = url.trim_start().get(..11).is_some_and(|start| start.eq_ignore_ascii_case("data:image/"));
        let unsafe_url = !crate::escape::url_is_safe(&url);
        if (is(&LEADING) && unsafe_url) || (is(&LOADING) && unsafe_url && !image) || is(&["srcdoc"]) {
            let shown: String = url.chars().take(60).collect();
            warnings.push(format!("the {} '{shown}' was removed", attribute.name.to_ascii_lowercase()));
            removed.push(attribute.name);
        }
    }
    out.push('<');
    copy_without(tag, &attributes, &removed, out);
    out.push('>');
}

fn pixel_tag(url: &str) -> String {
    let mut out = String::from("<img src=\"");
    crate::escape::html(url, &mut out);
    out.push_str(
        "\" width=\"1\" height=\"1\" alt=\"\" style=\"display:block;width:1px;height:1px;border:0\">",
    );
    out
}

fn link(
    tag: &str,
    dressing: &Dressing,
    rewrite: Rewrite<'_>,
    links: &mut Vec<Link>,
    warnings: &mut Vec<String>,
    out: &mut String,
) {
    let attributes = attributes(tag);
    let find = |name: &str| attributes.iter().find(|a| a.name.eq_ignore_ascii_case(name));
    out.push('<');
    let Some(href) = find("href") else {
        copy_without(tag, &attributes, &["data-link", "xlink:href"], out);
        out.push('>');
        return;
    };
    let url = decode(href.value).trim().to_owned();
    if !crate::escape::url_is_safe(&url) {
        warnings.push(format!("a link to '{}' was removed", url.chars().take(60).collect::<String>()));
        copy_without(tag, &attributes, &TAKEN_OUT, out);
        out.push('>');
        return;
    }
    let web = url.get(..4).is_some_and(|s| s.eq_ignore_ascii_case("http"));
    let tracked = web && find("data-no-track").is_none() && !dressing.untracked.contains(&url);
    let number = links.len() as u32 + 1;
    let link = Link {
        number,
        id: find("data-link").and_then(|a| a.value.parse().ok()).unwrap_or(0),
        url: if tracked { with_utm(&url, &dressing.utm) } else { url },
        block: find("data-block").map(|a| decode(a.value).into_owned()),
        tracked,
    };
    let shown = if tracked { rewrite(&link) } else { link.url.clone() };
    copy_without(tag, &attributes, &TAKEN_OUT, out);
    out.push_str(" href=\"");
    crate::escape::html(&shown, out);
    out.push_str("\">");
    links.push(link);
}

fn copy_without(tag: &str, attributes: &[Attribute<'_>], names: &[&str], out: &mut String) {
    let mut at = 0;
    for a in attributes {
        if names.iter().any(|n| a.name.eq_ignore_ascii_case(n)) {
            out.push_str(&tag[at..a.whole.start]);
            at = a.whole.end;
        }
    }
    out.push_str(&tag[at..]);
}

const PARAMETER: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

fn with_utm(url: &str, utm: &[(String, String)]) -> String {
    if utm.is_empty() {
        return url.to_owned();
    }
    let (base, fragment) = url.split_once('#').map_or((url, None), |(b, f)| (b, Some(f)));
    let mut out = base.to_owned();
    let query = base.split_once('?').map_or("", |(_, q)| q).to_owned();
    let mut first = !base.contains('?');
    for (key, value) in utm {
        if query.split('&').any(|p| p.split('=').next() == Some(key)) {
            continue;
        }
        out.push(if std::mem::take(&mut first) { '?' } else { '&' });
        out.push_str(key);
        out.push('=');
        out.extend(percent_encoding::utf8_percent_encode(value, PARAMETER));
    }
    if let Some(fragment) = fragment {
        out.push('#');
        out.push_str(fragment);
    }
    out
}
