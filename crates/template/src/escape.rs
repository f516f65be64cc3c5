//! Escaping by the place in which a value is printed.

/// Where in the document an output stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Nothing is escaped.
    Plain,
    /// Between tags.
    Text,
    /// In an attribute's value, or bare in a tag.
    Attribute,
    /// At the beginning of a URL attribute: the scheme is checked.
    UrlStart,
    /// Inside the path of a URL attribute.
    Url,
    /// Inside the query of a URL attribute.
    UrlQuery,
    /// In a style sheet or style attribute.
    Css,
    /// In a script: nothing may be printed.
    Script,
}

/// Follows HTML text to know the context of each output. Cost: one pass over the bytes.
#[derive(Debug)]
pub(crate) struct Scanner {
    off: bool,
    state: State,
    name: String,
    attribute: String,
    value: ValueState,
    element: Element,
}

#[derive(Debug, PartialEq, Clone, Copy)]
enum State {
    Text,
    Comment,
    TagName,
    InTag,
    BeforeValue,
    Value(u8),
}

#[derive(Debug, PartialEq, Clone, Copy)]
enum ValueState {
    Start,
    Inside,
    Query,
}

#[derive(Debug, PartialEq, Clone, Copy)]
enum Element {
    Other,
    Style,
    Script,
}

impl Scanner {
    pub fn new(context: Context) -> Scanner {
        Scanner {
            off: context == Context::Plain,
            state: State::Text,
            name: String::new(),
            attribute: String::new(),
            value: ValueState::Start,
            element: Element::Other,
        }
    }

    pub fn feed(&mut self, text: &str) {
        if self.off {
            return;
        }
        let bytes = text.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            let b = bytes[i];
            match self.state {
                State::Text => {
                    if b == b'<' {
                        if self.element == Element::Other && text[i..].starts_with("<!--") {
                            self.state = State::Comment;
                        } else if self.element == Element::Other || text.as_bytes().get(i + 1) == Some(&b'/')
                        {
                            self.state = State::TagName;
                            self.name.clear();
                        }
                    }
                }
                State::Comment => {
                    // Conditional comments carry markup for Outlook: read it like the rest.
                    if b == b'>' {
                        self.state = State::Text;
                    }
                }
                State::TagName => match b {
                    b'>' => self.close_tag(),
                    b if b.is_ascii_whitespace() => {
                        self.state = State::InTag;
                        self.attribute.clear();
                    }
                    b => {
                        if self.name.len() < 32 {
                            self.name.push(b.to_ascii_lowercase() as char);
                        }
                    }
                },
                State::InTag => match b {
                    b'>' => self.close_tag(),
                    b'=' => self.state = State::BeforeValue,
                    b if b.is_ascii_whitespace() || b == b'/' => self.attribute.clear(),
                    b => {
                        if self.attribute.len() < 64 {
                            self.attribute.push(b.to_ascii_lowercase() as char);
                        }
                    }
                },
                State::BeforeValue => {
                    if b == b'"' || b == b'\'' {
                        self.state = State::Value(b);
                        self.value = ValueState::Start;
                    } else if b == b'>' {
                        self.close_tag();
                    } else if !b.is_ascii_whitespace() {
                        self.state = State::Value(0);
                        self.value = ValueState::Inside;
                    }
                }
                State::Value(quote) => {
                    if (quote != 0 && b == quote) || (quote == 0 && b.is_ascii_whitespace()) {
                        self.state = State::InTag;
                        self.attribute.clear();
                    } else if quote == 0 && b == b'>' {
                        self.close_tag();
                    } else if b == b'?' || self.value == ValueState::Query {
                        self.value = ValueState::Query;
                    } else if !b.is_ascii_whitespace() {
                        self.value = ValueState::Inside;
                    }
                }
            }
            i += 1;
        }
    }

    fn close_tag(&mut self) {
        self.state = State::Text;
        self.element = match self.name.as_str() {
            "style" => Element::Style,
            "script" => Element::Script,
            _ => Element::Other,
        };
    }

    /// The context of an output that stands here.
    pub fn at_output(&mut self) -> Context {
        if self.off {
            return Context::Plain;
        }
        match self.state {
            State::Text => match self.element {
                Element::Other => Context::Text,
                Element::Style => Context::Css,
                Element::Script => Context::Script,
            },
            State::Comment => Context::Text,
            State::TagName | State::InTag => Context::Attribute,
            State::BeforeValue => {
                self.state = State::Value(0);
                self.value = ValueState::Inside;
                if is_url(&self.attribute) { Context::UrlStart } else { Context::Attribute }
            }
            State::Value(_) => {
                if self.attribute == "style" {
                    return Context::Css;
                }
                if self.attribute.starts_with("on") {
                    return Context::Script;
                }
                if !is_url(&self.attribute) {
                    return Context::Attribute;
                }
                match self.value {
                    ValueState::Start => {
                        self.value = ValueState::Inside;
                        Context::UrlStart
                    }
                    ValueState::Inside => Context::Url,
                    ValueState::Query => Context::UrlQuery,
                }
            }
        }
    }
}

fn is_url(attribute: &str) -> bool {
    matches!(
        attribute,
        "href"
            | "src"
            | "action"
            | "background"
            | "cite"
            | "poster"
            | "formaction"
            | "background-url"
            | "xlink:href"
            | "srcset"
            | "longdesc"
            | "data"
    )
}

/// Escapes `text` for HTML text and attributes.
pub fn html(text: &str, out: &mut String) {
    let mut from = 0;
    for (i, b) in text.bytes().enumerate() {
        let entity = match b {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            b'\'' => "&#39;",
            _ => continue,
        };
        out.push_str(&text[from..i]);
        out.push_str(entity);
        from = i + 1;
    }
    out.push_str(&text[from..]);
}

/// Whether a URL may be followed from a mail: no script, no embedded data.
pub fn url_is_safe(url: &str) -> bool {
    let compact: String = url
        .chars()
        .filter(|c| !c.is_control() && !c.is_whitespace())
        .take(64)
        .collect::<String>()
        .to_ascii_lowercase();
    let Some(colon) = compact.find(':') else { return true };
    let scheme = &compact[..colon];
    if scheme.contains(['/', '?', '#']) {
        return true;
    }
    matches!(scheme, "http" | "https" | "mailto" | "tel" | "sms" | "cid" | "webcal" | "ftp")
}

fn url_part(text: &str, query: bool, out: &mut String) {
    use std::fmt::Write;
    let bytes = text.as_bytes();
    for (i, b) in bytes.iter().enumerate() {
        let keep = match b {
            b'%' => {
                bytes.get(i + 1).is_some_and(u8::is_ascii_hexdigit)
                    && bytes.get(i + 2).is_some_and(u8::is_ascii_hexdigit)
            }
            b'&' | b'=' | b'#' | b'+' | b'?' => !query,
            b'"' | b'\'' | b'<' | b'>' | b'`' | b'\\' | b'{' | b'}' | b'|' | b'^' => false,
            b => b.is_ascii_graphic(),
        };
        if !keep {
            let _ = write!(out, "%{b:02X}");
        } else if *b == b'&' {
            out.push_str("&amp;");
        } else {
            out.push(*b as char);
        }
    }
}

/// Appends `text` as it must be written in `context`.
pub(crate) fn write(context: Context, text: &str, out: &mut String) {
    match context {
        Context::Plain => out.push_str(text),
        Context::Text | Context::Attribute => html(text, out),
        Context::UrlStart => {
            if url_is_safe(text) {
                url_part(text.trim(), false, out);
            } else {
                out.push('#');
            }
        }
        Context::Url => url_part(text, false, out),
        Context::UrlQuery => url_part(text, true, out),
        Context::Css => {
            out.extend(
                text.chars()
                    .filter(|c| c.is_alphanumeric() || matches!(c, '#' | '%' | '.' | ',' | '-' | '_' | ' ')),
            );
        }
        Context::Script => {}
    }
}
