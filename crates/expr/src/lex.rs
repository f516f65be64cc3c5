//! Words, texts, numbers, dates and signs of the text form, each with its place.

use crate::Error;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Word(String),
    /// A name in backticks: never a keyword.
    Name(String),
    Text(String),
    Number(f64),
    Date(String),
    Pattern(String),
    Sign(&'static str),
    End,
}

impl Token {
    pub(crate) fn shown(&self) -> String {
        match self {
            Token::Word(word) => format!("'{word}'"),
            Token::Name(name) => format!("`{name}`"),
            Token::Text(text) => format!("the text \"{text}\""),
            Token::Number(number) => format!("the number {number}"),
            Token::Date(date) => format!("the date {date}"),
            Token::Pattern(pattern) => format!("the pattern /{pattern}/"),
            Token::Sign(sign) => format!("'{sign}'"),
            Token::End => "the end".to_owned(),
        }
    }
}

pub(crate) struct Placed {
    pub token: Token,
    pub offset: usize,
}

const SIGNS: [&str; 17] =
    ["!=", "<=", ">=", "==", "<>", "=", "<", ">", "(", ")", ",", ".", "%", "≥", "≤", "*", "+"];

pub(crate) fn lex(text: &str) -> Result<Vec<Placed>, Error> {
    if text.len() > crate::TEXT_BYTES_MAX {
        return Err(Error::at(
            text,
            0,
            format!("the condition is longer than {} bytes", crate::TEXT_BYTES_MAX),
        ));
    }
    let mut out: Vec<Placed> = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (token, length) = if first == '"' || first == '\u{201c}' {
            let (value, length) = quoted(text, at, if first == '"' { '"' } else { '\u{201d}' })?;
            (Token::Text(value), length)
        } else if first == '`' {
            let (value, length) = quoted(text, at, '`')?;
            if value.is_empty() {
                return Err(Error::at(text, at, "a name in backticks is empty"));
            }
            (Token::Name(value), length)
        } else if first == '/'
            && matches!(out.last(), Some(Placed { token: Token::Word(word), .. }) if word.eq_ignore_ascii_case("matches"))
        {
            let (value, length) = pattern(text, at)?;
            (Token::Pattern(value), length)
        } else if first.is_ascii_digit()
            || (first == '-' && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
        {
            number(text, at)?
        } else if first.is_alphabetic() || first == '_' || first == '$' {
            let length = rest
                .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '$')))
                .unwrap_or(rest.len());
            (Token::Word(rest[..length].to_owned()), length)
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            let meant = match *sign {
                "==" => "=",
                "<>" => "!=",
                "≥" => ">=",
                "≤" => "<=",
                sign => sign,
            };
            (Token::Sign(meant), sign.len())
        } else {
            let hint = if first == '\'' { ": texts stand in double quotes" } else { "" };
            return Err(Error::at(text, at, format!("'{}' has no meaning here{hint}", first.escape_debug())));
        };
        out.push(Placed { token, offset: at });
        at += length;
    }
    out.push(Placed { token: Token::End, offset: text.len() });
    Ok(out)
}

fn quoted(text: &str, at: usize, end: char) -> Result<(String, usize), Error> {
    let mut value = String::new();
    let mut chars = text[at..].char_indices().skip(1);
    while let Some((offset, c)) = chars.next() {
        if c == end {
            return Ok((value, offset + c.len_utf8()));
        }
        if c != '\\' {
            value.push(c);
            continue;
        }
        match chars.next() {
            Some((_, 'n')) => value.push('\n'),
            Some((_, 't')) => value.push('\t'),
            Some((_, 'r')) => value.push('\r'),
            Some((_, c @ ('"' | '\\' | '`' | '\u{201d}'))) => value.push(c),
            _ => {
                let message = "after a backslash stands a quote, a backslash, n, r or t";
                return Err(Error::at(text, at + offset, message));
            }
        }
    }
    Err(Error::at(text, at, format!("the closing {end} is missing")))
}

fn pattern(text: &str, at: usize) -> Result<(String, usize), Error> {
    let mut value = String::new();
    let mut escaped = false;
    for (offset, c) in text[at..].char_indices().skip(1) {
        match c {
            '/' if escaped => {
                value.push('/');
                escaped = false;
            }
            '/' => return Ok((value, offset + 1)),
            c => {
                if escaped {
                    value.push('\\');
                }
                escaped = c == '\\' && !escaped;
                if !escaped {
                    value.push(c);
                }
            }
        }
    }
    Err(Error::at(text, at, "the closing / of the pattern is missing"))
}

fn number(text: &str, at: usize) -> Result<(Token, usize), Error> {
    let rest = &text[at..];
    let bytes = rest.as_bytes();
    let dated = bytes.len() >= 10
        && bytes[..10]
            .iter()
            .enumerate()
            .all(|(n, b)| if n == 4 || n == 7 { *b == b'-' } else { b.is_ascii_digit() });
    if dated {
        let length = rest
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | '+' | 'T' | 'Z')))
            .unwrap_or(rest.len());
        return Ok((Token::Date(rest[..length].to_owned()), length));
    }
    let mut length = 1;
    while let Some(byte) = bytes.get(length) {
        let digit_follows = bytes.get(length + 1).is_some_and(u8::is_ascii_digit);
        let goes_on = byte.is_ascii_digit()
            || (*byte == b'.' && digit_follows)
            || (matches!(byte, b'e' | b'E')
                && (digit_follows || matches!(bytes.get(length + 1), Some(b'-' | b'+'))))
            || (matches!(byte, b'-' | b'+') && matches!(bytes[length - 1], b'e' | b'E'));
        if !goes_on {
            break;
        }
        length += 1;
    }
    let value = rest[..length].parse::<f64>().ok().filter(|value| value.is_finite());
    let value = value.ok_or_else(|| Error::at(text, at, format!("'{}' is not a number", &rest[..length])))?;
    // Minus zero prints as zero.
    Ok((Token::Number(if value == 0.0 { 0.0 } else { value }), length))
}
