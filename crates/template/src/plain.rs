//! The text part of a mail, derived from its HTML in one pass.

/// HTML to readable text: blocks become lines, links keep their address, nothing hidden is printed.
pub fn from_html(html: &str) -> String {
    let mut out = Text { out: String::with_capacity(html.len() / 4), gap: 0, space: false };
    let mut rest = html;
    let mut skip: Option<&str> = None;
    let mut hidden = 0usize;
    let mut link: Option<(String, usize)> = None;
    while let Some(at) = rest.find('<') {
        if skip.is_none() && hidden == 0 {
            out.words(&rest[..at]);
        }
        let tail = &rest[at..];
        if tail.starts_with("<!--") {
            rest = tail.find("-->").map_or("", |e| &tail[e + 3..]);
            continue;
        }
        let Some(end) = tag_end(tail) else {
            rest = "";
            break;
        };
        let tag = &tail[1..end];
        rest = &tail[end + 1..];
        let closing = tag.starts_with('/');
        let name_text = tag.trim_start_matches('/');
        let len = name_text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name_text.len());
        let name = name_text[..len].to_ascii_lowercase();
        if let Some(until) = skip {
            if closing && name == until {
                skip = None;
            }
            continue;
        }
        if hidden > 0 {
            if name == "div" {
                hidden = if closing { hidden - 1 } else { hidden + 1 };
            }
            continue;
        }
        match name.as_str() {
            "head" | "style" | "script" | "title" if !closing => {
                skip = Some(match name.as_str() {
                    "head" => "head",
                    "style" => "style",
                    "script" => "script",
                    _ => "title",
                });
            }
            "div" if !closing && tag.contains("display:none") => hidden = 1,
            "br" => out.line(1),
            "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "table" | "ul" | "ol" | "blockquote" | "hr" => {
                out.line(2);
            }
            "div" | "tr" | "section" => out.line(1),
            "li" => {
                out.line(1);
                if !closing {
                    out.words("- ");
                }
            }
            "td" | "th" => out.space = true,
            "img" if !closing => {
                if let Some(alt) = crate::links::attribute(tag, "alt") {
                    out.words(&alt);
                }
            }
            "a" if !closing => {
                let href = crate::links::attribute(tag, "href").unwrap_or_default();
                link = Some((href.into_owned(), out.out.len()));
            }
            "a" => {
                if let Some((href, from)) = link.take() {
                    let href = crate::links::decode(&href).into_owned();
                    let label = out.out.get(from..).unwrap_or_default().trim();
                    let shown = href.strip_prefix("mailto:").unwrap_or(&href);
                    if !href.is_empty() && !href.starts_with('#') && label != shown {
                        let empty = label.is_empty();
                        out.raw(&if empty { href } else { format!(" ({href})") });
                    }
                }
            }
            _ => {}
        }
    }
    if skip.is_none() && hidden == 0 {
        out.words(rest);
    }
    let mut text = out.out.trim().to_owned();
    text.push('\n');
    text
}

pub(crate) fn tag_end(tag: &str) -> Option<usize> {
    let mut quote = 0u8;
    for (i, b) in tag.bytes().enumerate() {
        match b {
            b'"' | b'\'' if quote == 0 => quote = b,
            b if b == quote => quote = 0,
            b'>' if quote == 0 => return Some(i),
            _ => {}
        }
    }
    None
}

struct Text {
    out: String,
    gap: usize,
    space: bool,
}

impl Text {
    fn line(&mut self, n: usize) {
        self.gap = self.gap.max(n);
    }
    fn flush(&mut self) {
        if self.gap > 0 {
            if !self.out.is_empty() {
                let kept = self.out.trim_end_matches(' ').len();
                self.out.truncate(kept);
                self.out.extend(std::iter::repeat_n('\n', self.gap));
            }
            self.gap = 0;
            self.space = false;
        } else if self.space && !self.out.ends_with([' ', '\n']) && !self.out.is_empty() {
            self.out.push(' ');
        }
        self.space = false;
    }
    fn raw(&mut self, text: &str) {
        self.flush();
        self.out.push_str(text);
    }
    fn words(&mut self, text: &str) {
        let decoded = crate::links::decode(text);
        for c in decoded.chars() {
            match c {
                '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{feff}' | '\u{34f}' | '\u{ad}'
                    if c != '\u{200d}' => {}
                c if c.is_whitespace() => self.space = true,
                c => {
                    self.flush();
                    self.out.push(c);
                }
            }
        }
    }
}
