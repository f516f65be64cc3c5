//! MIME: the bytes of a mail, with exactly the headers that were planned.

use mail_builder::MessageBuilder;
use mail_builder::headers::HeaderType;
use mail_builder::headers::raw::Raw;
use model::Timestamp;

use crate::Error;
use crate::address::{Mailbox, is_hostile, normalise_address};

/// Characters of a subject; more is cut.
const SUBJECT_CHARS_MAX: usize = 500;

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

fn header_text(text: &str, chars_max: usize) -> String {
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

/// Builds the mail. CRLF only, no line over 998 octets, text part first.
///
/// # Errors
/// `Invalid` when an address, id or URL could leave its header.
pub fn compose(draft: &Draft) -> Result<Vec<u8>, Error> {
    let to = normalise_address(&draft.to)?;
    let from_name = header_text(&draft.from.name, 200);
    let text = if draft.text.trim().is_empty() { "This mail has no text part." } else { draft.text.as_str() };
    let mut builder = MessageBuilder::new()
        .from((from_name, normalise_address(&draft.from.address)?))
        .to(to)
        .subject(header_text(&draft.subject, SUBJECT_CHARS_MAX))
        .date(draft.date.micros().div_euclid(1_000_000))
        .message_id(token(&draft.message_id)?.to_owned())
        .text_body(text.to_owned())
        .html_body(draft.html.clone());
    if let Some(reply_to) = &draft.reply_to {
        builder = builder.reply_to((header_text(&reply_to.name, 200), normalise_address(&reply_to.address)?));
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
    builder.write_to_vec().map_err(|error| Error::Bug(error.to_string()))
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

    fn names(raw: &[u8]) -> Vec<String> {
        let message = mail_parser::MessageParser::default().parse(raw).unwrap();
        message.headers().iter().map(|header| header.name().to_lowercase()).collect()
    }

    #[test]
    fn hostile_subjects_and_names_add_no_header_and_no_long_line() {
        let plain = names(&compose(&draft()).unwrap());
        for hostile in
            ["a\r\nBcc: x@y.example", "a\0b", "a\u{2028}Bcc: x", "emoji 👩‍👩‍👧 and עברית", &"x".repeat(5_000)]
        {
            let mut draft = draft();
            draft.subject = hostile.to_owned();
            draft.from.name = hostile.to_owned();
            draft.html = format!("<p>{}</p>\n.\n.\r\n", "y".repeat(2_000_000));
            let raw = compose(&draft).unwrap();
            assert_eq!(names(&raw), plain, "{}", hostile.escape_debug().take(40).collect::<String>());
            for line in raw.split(|byte| *byte == b'\n') {
                assert!(line.len() <= 999, "a line of {} octets", line.len());
            }
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
