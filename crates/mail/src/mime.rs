//! MIME: the bytes of a mail, with exactly the headers that were planned.

use std::borrow::Cow;

use mail_builder::MessageBuilder;
use mail_builder::headers::HeaderType;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::{BodyPart, MimePart};
use model::Timestamp;

use crate::Error;
use crate::address::{Mailbox, is_hostile, wire_address};

/// Characters of a subject; more is cut.
const SUBJECT_CHARS_MAX: usize = 8_000;
/// Characters of a display name; more is cut.
const NAME_CHARS_MAX: usize = 200;
/// Columns of a quoted-printable line. Source: RFC 2045, 6.7.
const QUOTED_COLUMNS_MAX: usize = 76;

/// Bytes of HTML from which a mail is warned of.
pub const HTML_BYTES_WARN: usize = 80 << 10;
/// Bytes of HTML above which Gmail cuts a mail off, and its unsubscribe link with it.
pub const HTML_BYTES_MAX: usize = 102 << 10;

fn kilobytes(bytes: usize) -> String {
    format!("{} KB", bytes.div_ceil(1 << 10))
}

/// What is to be said of HTML of this size, if anything.
pub fn size_warning(html_bytes: usize) -> Option<String> {
    (html_bytes > HTML_BYTES_WARN).then(|| {
        let (has, most) = (kilobytes(html_bytes), kilobytes(HTML_BYTES_MAX));
        format!("the HTML has {has}; above {most} Gmail cuts a mail off, and its unsubscribe link with it")
    })
}

/// Why HTML of this size is not sent.
pub fn size_refusal(html_bytes: usize) -> String {
    let (has, most) = (kilobytes(html_bytes), kilobytes(HTML_BYTES_MAX));
    format!(
        "The HTML has {has}, and above {most} Gmail cuts a mail off, and its unsubscribe link with it. Shorten it, or \
         allow such mails with the workspace's setting 'large_mails'."
    )
}

/// A mail to be built.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The sender.
    pub from: Mailbox,
    /// Where answers go.
    pub reply_to: Option<Mailbox>,
    /// The recipient.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The HTML part.
    pub html: String,
    /// The text part.
    pub text: String,
    /// Without angle brackets.
    pub message_id: String,
    /// When it was written.
    pub date: Timestamp,
    /// One-click unsubscribe. Source: RFC 8058.
    pub unsubscribe_url: Option<String>,
    /// Source: RFC 2919.
    pub list_id: Option<String>,
    /// For feedback loops.
    pub feedback_id: Option<String>,
}

/// One line of text for a header. What looks like an encoded word (RFC 2047) is broken up: it would be written as it
/// is, and whoever decodes it would see line ends that were hidden in it.
fn header_text(text: &str, chars_max: usize) -> String {
    let hides = text.split_once("=?").is_some_and(|(_, rest)| rest.contains("?="));
    let text = if hides { Cow::Owned(text.replace("=?", "= ?")) } else { Cow::Borrowed(text) };
    text.chars()
        .map(|c| if is_hostile(c) { ' ' } else { c })
        .take(chars_max)
        .collect::<String>()
        .trim()
        .to_owned()
}

fn token(text: &str) -> Result<&str, Error> {
    let plain = !text.is_empty()
        && text.len() < 900
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte));
    if plain {
        Ok(text)
    } else {
        Err(Error::Invalid(format!("'{}' cannot stand in a header", text.escape_debug())))
    }
}

/// A body without characters that no mail has; line ends are CRLF.
fn body_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 32);
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '\n' if before == '\r' => {}
            '\r' | '\n' => out.push_str("\r\n"),
            '\t' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
        before = c;
    }
    out
}

/// Quoted-printable, whatever the text: the library below would choose base64 for some languages, which filters like
/// less and people cannot read in the source. Takes CRLF as line ends and nothing else. Source: RFC 2045, 6.7.
fn quoted_printable(text: &str) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 8);
    let mut column = 0;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
            (column, at) = (0, at + 2);
            continue;
        }
        let byte = bytes[at];
        let ends = matches!(bytes.get(at + 1), None | Some(b'\r'));
        let plain = match byte {
            b' ' | b'\t' => !ends,
            // A dot or a 'From' that begins a line is changed by some servers on the way.
            b'.' | b'F' => column > 0,
            b'=' => false,
            byte => byte.is_ascii_graphic(),
        };
        let width = if plain { 1 } else { 3 };
        // One column is left for the '=' of a soft break.
        if column + width > QUOTED_COLUMNS_MAX - usize::from(!ends) {
            out.extend_from_slice(b"=\r\n");
            column = 0;
            continue;
        }
        if plain {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'=', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        column += width;
        at += 1;
    }
    out
}

/// Builds the mail. CRLF only, no line over 998 octets, text part first, HTML as quoted-printable.
///
/// # Errors
/// `Invalid` when an address, id or URL could leave its header.
pub fn compose(draft: &Draft) -> Result<Vec<u8>, Error> {
    let mailbox = |mailbox: &Mailbox| {
        Ok::<_, Error>((header_text(&mailbox.name, NAME_CHARS_MAX), wire_address(&mailbox.address)?))
    };
    let mut text = body_text(&draft.text);
    if text.trim().is_empty() {
        text = "This mail has no text part.".to_owned();
    }
    let html = quoted_printable(&body_text(&draft.html));
    let html = MimePart::new("text/html; charset=\"utf-8\"", BodyPart::Binary(html.into()))
        .transfer_encoding("quoted-printable");
    let mut builder = MessageBuilder::new()
        .from(mailbox(&draft.from)?)
        .to(wire_address(&draft.to)?)
        .subject(header_text(&draft.subject, SUBJECT_CHARS_MAX))
        .date(draft.date.micros().div_euclid(1_000_000))
        .message_id(token(&draft.message_id)?.to_owned());
    if let Some(reply_to) = &draft.reply_to {
        builder = builder.reply_to(mailbox(reply_to)?);
    }
    let raw = |text: String| HeaderType::Raw(Raw::new(text));
    if let Some(url) = &draft.unsubscribe_url {
        builder = builder
            .header("List-Unsubscribe", raw(format!("<{}>", token(url)?)))
            .header("List-Unsubscribe-Post", raw("List-Unsubscribe=One-Click".to_owned()));
    }
    if let Some(id) = &draft.list_id {
        builder = builder.header("List-ID", raw(format!("<{}>", token(id)?)));
    }
    if let Some(id) = &draft.feedback_id {
        builder = builder.header("Feedback-ID", raw(token(id)?.to_owned()));
    }
    builder
        .body(MimePart::new("multipart/alternative", vec![MimePart::new("text/plain", text), html]))
        .write_to_vec()
        .map_err(|error| Error::Bug(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        Draft {
            from: Mailbox::parse("Shop <hello@shop.example>").unwrap(),
            reply_to: None,
            to: "person@inbox.example".to_owned(),
            subject: "Your cart".to_owned(),
            html: "<p>Hello</p>".to_owned(),
            text: "Hello".to_owned(),
            message_id: "abc@shop.example".to_owned(),
            date: Timestamp::from_secs(1_795_000_000),
            unsubscribe_url: Some("https://mail.shop.example/u/AAA".to_owned()),
            list_id: Some("workspace-1.shop.example".to_owned()),
            feedback_id: None,
        }
    }

    #[test]
    fn the_text_part_comes_first_and_one_click_is_offered() {
        let raw = compose(&draft()).unwrap();
        let text = String::from_utf8(raw.clone()).unwrap();
        assert!(text.find("text/plain").unwrap() < text.find("text/html").unwrap());
        assert!(text.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"), "{text}");
        assert!(text.contains("List-Unsubscribe: <https://mail.shop.example/u/AAA>\r\n"), "{text}");
        let parsed = mail_parser::MessageParser::default().parse(&raw).unwrap();
        assert_eq!(parsed.message_id(), Some("abc@shop.example"));
        assert_eq!(parsed.body_text(0).unwrap().trim(), "Hello");
    }

    #[test]
    fn a_url_that_would_leave_its_header_is_refused() {
        let mut draft = draft();
        draft.unsubscribe_url = Some("https://x.example/\r\nBcc: a@b.example".to_owned());
        assert!(compose(&draft).is_err());
    }
}
