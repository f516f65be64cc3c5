//! Whatever people and templates put into a mail, it parses back to exactly what was planned.

#![expect(clippy::unwrap_used, reason = "a test harness")]

use mail::{Draft, Mailbox, compose};
use mail_parser::{Address, HeaderValue, Message, MessageParser};
use model::Timestamp;
use proptest::prelude::*;

const PLANNED: [&str; 11] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-ID",
    "Feedback-ID",
    "MIME-Version",
];

fn draft() -> Draft {
    Draft {
        from: Mailbox { name: "The Shop".to_owned(), address: "hello@shop.example".to_owned() },
        reply_to: Some(Mailbox { name: "Help".to_owned(), address: "help@shop.example".to_owned() }),
        to: "person@inbox.example".to_owned(),
        subject: "Your cart".to_owned(),
        html: "<p>Hello</p>".to_owned(),
        text: "Hello".to_owned(),
        message_id: "abc@shop.example".to_owned(),
        date: Timestamp::from_secs(1_795_000_000),
        unsubscribe_url: Some("https://mail.shop.example/u/AAA".to_owned()),
        list_id: Some("workspace-1.shop.example".to_owned()),
        feedback_id: Some("abc:1:rapport".to_owned()),
    }
}

/// What is planned for a header: one line without characters that could end or hide one.
fn planned(text: &str, chars_max: usize) -> String {
    let hides = text.find("=?").is_some_and(|at| text[at + 2..].contains("?="));
    let text = if hides { text.replace("=?", "= ?") } else { text.to_owned() };
    let hostile = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    let line: String = text.chars().map(|c| if hostile(c) { ' ' } else { c }).take(chars_max).collect();
    line.trim().to_owned()
}

fn mailbox<'a>(address: Option<&'a Address<'a>>) -> (String, String) {
    let one = address.and_then(|address| address.first()).expect("an address");
    (one.name().unwrap_or_default().to_owned(), one.address().unwrap_or_default().to_owned())
}

fn text_header(message: &Message<'_>, name: &str) -> String {
    match message.header(name) {
        Some(HeaderValue::Text(text)) => text.to_string(),
        Some(HeaderValue::Address(address)) => {
            address.first().and_then(|a| a.address()).unwrap_or_default().to_owned()
        }
        other => panic!("{name}: {other:?}"),
    }
}

fn check_lines(raw: &[u8]) {
    assert!(raw.is_ascii(), "a mail has seven bits");
    assert!(raw.ends_with(b"\r\n"));
    let text = std::str::from_utf8(raw).unwrap();
    for line in text.split("\r\n") {
        assert!(line.len() <= 998, "a line of {} octets", line.len());
        let stray = line.find(|c: char| c.is_control() && c != '\t');
        assert_eq!(stray, None, "a control character in {line:?}");
    }
}

/// Builds, and compares all that was planned with all that is parsed.
fn check(draft: &Draft) -> Vec<u8> {
    let raw = compose(draft).unwrap();
    check_lines(&raw);
    let message = MessageParser::default().parse(&raw).unwrap();
    let names: Vec<String> = message.headers().iter().map(|header| header.name().to_lowercase()).collect();
    let mut expected: Vec<String> = PLANNED.iter().map(|name| name.to_lowercase()).collect();
    expected.push("content-type".to_owned());
    assert_eq!(names, expected);
    let name = |mailbox: &Mailbox| (planned(&mailbox.name, 200), mailbox.address.clone());
    assert_eq!(mailbox(message.from()), name(&draft.from));
    assert_eq!(mailbox(message.reply_to()), name(draft.reply_to.as_ref().unwrap()));
    assert_eq!(mailbox(message.to()), (String::new(), draft.to.clone()));
    assert_eq!(message.subject().unwrap_or_default(), planned(&draft.subject, 8_000));
    assert_eq!(message.date().unwrap().to_timestamp(), draft.date.micros() / 1_000_000);
    assert_eq!(message.message_id(), Some(draft.message_id.as_str()));
    assert_eq!(text_header(&message, "List-Unsubscribe"), draft.unsubscribe_url.clone().unwrap());
    assert_eq!(text_header(&message, "List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    assert_eq!(text_header(&message, "List-ID"), draft.list_id.clone().unwrap());
    assert_eq!(text_header(&message, "Feedback-ID"), draft.feedback_id.clone().unwrap());
    assert_eq!(message.parts.len(), 3, "text and HTML within one alternative");
    let kind = |part: usize| {
        message.parts[part]
            .headers
            .iter()
            .find_map(|header| header.value().as_content_type())
            .and_then(|kind| kind.subtype())
            .map(str::to_owned)
    };
    assert_eq!((kind(1).as_deref(), kind(2).as_deref()), (Some("plain"), Some("html")));
    assert_eq!(lines(&message.body_html(0).unwrap()), lines(&draft.html));
    let text = message.body_text(0).unwrap();
    assert!(!text.trim().is_empty());
    if !lines(&draft.text).trim().is_empty() {
        assert_eq!(lines(&text), lines(&draft.text));
    }
    drop(message);
    raw
}

/// A body as people see it: one kind of line end, no control characters, no line ends after the last line.
fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect::<String>()
        .trim_end_matches('\n')
        .to_owned()
}

#[test]
fn hostile_subjects_and_names_add_no_header_and_lose_no_letter() {
    let long = "x".repeat(5_000);
    let words = "A word, and again. ".repeat(260);
    for hostile in [
        "a\r\nBcc: x@y.example",
        "a\nBcc: x@y.example\n\nbody",
        "a\rBcc: x",
        "a\0b",
        "a\u{2028}Bcc: x",
        "a\u{2029}\u{feff}\u{85}\u{0b}\u{0c}b",
        "=?utf-8?Q?=0D=0ABcc:_x@y.example?=",
        "what is 2+2=?",
        "\"quoted\", <x@y.example>; (comment) \\",
        "emoji 👩‍👩‍👧 and 🇩🇪",
        "שלום, مرحبا \u{202e}gnp.exe",
        "   spaces   within   ",
        "",
        &long,
        &words,
    ] {
        let mut draft = draft();
        draft.subject = hostile.to_owned();
        check(&draft);
        draft.from.name = hostile.chars().take(150).collect();
        draft.reply_to.as_mut().unwrap().name = hostile.chars().take(150).collect();
        check(&draft);
    }
}

#[test]
fn hostile_bodies_keep_their_lines_and_their_letters() {
    for body in [
        ".\n..\n.\r\n...\n.",
        "a\rb\nc\r\nd\n\n\n",
        "From here\nFrom there\n=3D = =\n--\n",
        "trailing \nspaces\t\n \n",
        "\u{2028}\u{2029}\u{a0}é👩‍👩‍👧שלום",
        "nul \0 bell \u{7} escape \u{1b}[0m",
        "--boundary\nContent-Type: text/html\n\n",
        "",
    ] {
        let mut draft = draft();
        draft.html = format!("<p>{body}</p>");
        draft.text = body.to_owned();
        check(&draft);
    }
    let mut draft = draft();
    draft.html = format!("<p>{}</p>\n.\n", "y".repeat(2 << 20));
    draft.text = "é".repeat(1 << 20);
    check(&draft);
}

#[test]
fn html_is_quoted_printable_in_every_language_and_dots_never_begin_a_line() {
    for html in ["<p>plain</p>", "<p>שלום עולם</p>", "<p>日本語のメール</p>", ".\n.\nFrom x"] {
        let draft = Draft { html: html.repeat(40), ..draft() };
        let raw = String::from_utf8(compose(&draft).unwrap()).unwrap();
        let part = raw.split("text/html").nth(1).unwrap();
        assert!(part.contains("Content-Transfer-Encoding: quoted-printable\r\n"), "{part}");
        assert!(part.lines().all(|line| line.len() <= 76 && !line.starts_with(['.', 'F'])), "{part}");
    }
}

#[test]
fn an_empty_text_part_says_that_there_is_none() {
    let raw = compose(&Draft { text: " \n\t\n".to_owned(), ..draft() }).unwrap();
    let message = MessageParser::default().parse(&raw).unwrap();
    assert_eq!(message.body_text(0).unwrap().trim(), "This mail has no text part.");
}

#[test]
fn what_could_leave_its_header_is_refused() {
    for hostile in [
        "a\r\nBcc: x@y.example",
        "a\nb@c.example",
        "a\0@b.example",
        "a@b.example>\r\n",
        "a@b.example\u{2028}",
        "a@b.example, c@d.example",
        "\"a\r\nb\"@c.example",
        "<a@b.example>",
    ] {
        let whole = draft();
        let hostile = hostile.to_owned();
        let mailbox = Mailbox { name: String::new(), address: hostile.clone() };
        for broken in [
            Draft { to: hostile.clone(), ..whole.clone() },
            Draft { from: mailbox.clone(), ..whole.clone() },
            Draft { reply_to: Some(mailbox), ..whole.clone() },
            Draft { message_id: format!("{hostile}>\r\n"), ..whole.clone() },
            Draft { list_id: Some(format!("{hostile} ")), ..whole.clone() },
            Draft { feedback_id: Some(format!("{hostile}\r\n")), ..whole.clone() },
            Draft { unsubscribe_url: Some(format!("https://x.example/{hostile}>")), ..whole },
        ] {
            assert!(compose(&broken).is_err(), "{broken:?}");
        }
    }
}

#[test]
fn a_domain_beyond_ascii_is_written_in_ascii() {
    let raw = compose(&Draft { to: "person@bücher.example".to_owned(), ..draft() }).unwrap();
    check_lines(&raw);
    assert!(String::from_utf8(raw).unwrap().contains("To: <person@xn--bcher-kva.example>\r\n"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_mail_parses_back_to_what_was_planned(
        subject in "(\\PC|[\\r\\n\\t\\x00 \u{2028}=?]){0,200}",
        name in "(\\PC|[\\r\\n\\t\\x00 \u{2028}\",<>()=?]){0,60}",
        html in "(\\PC|[\\r\\n\\t .=<>F]){0,400}",
        text in "(\\PC|[\\r\\n\\t .=<>F]){0,400}",
    ) {
        let mut draft = draft();
        draft.subject = subject;
        draft.from.name = name.clone();
        draft.reply_to.as_mut().unwrap().name = name;
        draft.html = html;
        draft.text = text;
        check(&draft);
    }
}
