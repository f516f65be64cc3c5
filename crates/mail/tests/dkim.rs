//! What we sign, others can verify: with mail-auth's verifier here, with dkimpy from `.ci/dkim`.

#![expect(clippy::unwrap_used, reason = "a test harness")]

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use mail::{Draft, Mailbox, Signer, compose};
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt};
use model::Timestamp;

/// Answers for the names that were published; nothing is asked of the network.
#[derive(Default)]
struct Zone(Mutex<HashMap<Box<str>, Txt>>);

impl ResolverCache<Box<str>, Txt> for Zone {
    fn get<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        self.0.lock().unwrap().get(name).cloned()
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: std::time::Instant) {}
}

fn publish(signer: &Signer) -> Zone {
    let zone = Zone::default();
    for record in signer.dns_records() {
        let key = DomainKey::parse(record.value.as_bytes()).unwrap();
        let name = format!("{}.", record.name).into_boxed_str();
        zone.0.lock().unwrap().insert(name, Txt::DomainKey(Arc::new(key)));
    }
    zone
}

fn verdicts(raw: &[u8], zone: &Zone) -> Vec<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let message = AuthenticatedMessage::parse(raw).unwrap();
        let verifier = MessageAuthenticator::new_cloudflare().unwrap();
        let parameters = Parameters::new(&message).with_txt_cache(zone);
        let outputs = verifier.verify_dkim(parameters).await;
        outputs.iter().map(|output| *output.result() == DkimResult::Pass).collect()
    })
}

fn draft() -> Draft {
    Draft {
        from: Mailbox::parse("Shop <hello@shop.example>").unwrap(),
        reply_to: None,
        to: "person@inbox.example".to_owned(),
        subject: "Grüße  an   alle".to_owned(),
        html: "<p>Hello,</p>\n.\n<p>goodbye.</p>".to_owned(),
        text: "Hello,\n.\n\ngoodbye.  \n\n".to_owned(),
        message_id: "abc@shop.example".to_owned(),
        date: Timestamp::from_secs(1_795_000_000),
        unsubscribe_url: Some("https://mail.shop.example/u/AAA".to_owned()),
        list_id: Some("workspace-1.shop.example".to_owned()),
        feedback_id: Some("abc:1:rapport".to_owned()),
    }
}

fn both() -> Signer {
    let keys = [
        ("rsa".to_owned(), Signer::generate_rsa().unwrap()),
        ("ed".to_owned(), Signer::generate_ed25519().unwrap()),
    ];
    Signer::new("shop.example", &keys).unwrap()
}

/// The names in `h=` of each signature.
fn signed(raw: &[u8]) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(raw);
    let head = text.split("\r\n\r\n").next().unwrap().replace("\r\n\t", "").replace("\r\n ", "");
    let names = |line: &str| {
        let list = line.split(';').find_map(|tag| tag.trim().strip_prefix("h=")).unwrap();
        list.split(':').map(|name| name.trim().to_lowercase()).collect()
    };
    head.lines().filter(|line| line.starts_with("DKIM-Signature:")).map(names).collect()
}

#[test]
fn both_keys_sign_and_both_signatures_verify() {
    let signer = both();
    let raw = signer.sign(&compose(&draft()).unwrap()).unwrap();
    assert_eq!(verdicts(&raw, &publish(&signer)), [true, true]);
    let algorithms: Vec<_> = signer.dns_records().iter().map(|record| record.algorithm).collect();
    assert_eq!(algorithms, ["rsa", "ed25519"]);
    assert_eq!(signer.dns_records()[0].name, "rsa._domainkey.shop.example");
}

#[test]
fn one_key_alone_signs_once() {
    for text in [Signer::generate_rsa().unwrap(), Signer::generate_ed25519().unwrap()] {
        let signer = Signer::new("shop.example", &[("one".to_owned(), text)]).unwrap();
        let raw = signer.sign(&compose(&draft()).unwrap()).unwrap();
        assert_eq!(verdicts(&raw, &publish(&signer)), [true]);
    }
}

#[test]
fn another_key_under_the_name_verifies_nothing() {
    let raw = both().sign(&compose(&draft()).unwrap()).unwrap();
    assert_eq!(verdicts(&raw, &publish(&both())), [false, false]);
}

#[test]
fn exactly_the_promised_headers_cannot_be_added_a_second_time() {
    let signer = both();
    let zone = publish(&signer);
    let raw = signer.sign(&compose(&draft()).unwrap()).unwrap();
    let oversigned = ["from", "subject", "to", "date", "list-unsubscribe", "list-unsubscribe-post"];
    for names in signed(&raw) {
        let twice: Vec<&str> = oversigned
            .iter()
            .copied()
            .filter(|name| names.iter().filter(|n| n == name).count() == 2)
            .collect();
        assert_eq!(twice, oversigned);
        let once = ["message-id", "mime-version", "content-type", "list-id", "feedback-id"];
        for name in &names {
            let times = names.iter().filter(|n| *n == name).count();
            assert!(if oversigned.contains(&name.as_str()) { times == 2 } else { times == 1 }, "{name}");
            assert!(oversigned.contains(&name.as_str()) || once.contains(&name.as_str()), "{name}");
        }
    }
    for name in oversigned {
        let mut forged = format!("{name}: something else\r\n").into_bytes();
        forged.extend_from_slice(&raw);
        assert!(!verdicts(&forged, &zone).contains(&true), "a second {name} went unnoticed");
    }
    let mut harmless = b"Received: from a by b; Mon, 2 Nov 2026 10:00:00 +0000\r\n".to_vec();
    harmless.extend_from_slice(&raw);
    assert_eq!(verdicts(&harmless, &zone), [true, true]);
}

#[test]
fn a_changed_byte_of_body_or_header_breaks_both_signatures() {
    let signer = both();
    let zone = publish(&signer);
    let raw = signer.sign(&compose(&draft()).unwrap()).unwrap();
    let text = String::from_utf8(raw).unwrap();
    for (old, new) in [("goodbye", "g00dbye"), ("/u/AAA", "/u/AAB"), ("person@inbox", "persom@inbox")] {
        let changed = text.replacen(old, new, 1);
        assert_ne!(changed, text);
        assert_eq!(verdicts(changed.as_bytes(), &zone), [false, false], "{old}");
    }
}

#[test]
fn a_mail_without_list_headers_is_signed_too_and_nobody_can_add_them() {
    let signer = both();
    let zone = publish(&signer);
    let plain = Draft { unsubscribe_url: None, list_id: None, feedback_id: None, ..draft() };
    let raw = signer.sign(&compose(&plain).unwrap()).unwrap();
    assert_eq!(verdicts(&raw, &zone), [true, true]);
    let mut forged = b"List-Unsubscribe: <https://evil.example/>\r\n".to_vec();
    forged.extend_from_slice(&raw);
    assert_eq!(verdicts(&forged, &zone), [false, false]);
}

#[test]
fn a_key_that_cannot_be_used_is_named_by_its_selector_and_not_shown() {
    let cut = Signer::generate_rsa().unwrap().replace("MII", "AAA");
    for (selector, text) in [("a", "no key".to_owned()), ("a", cut), ("a b", Signer::generate_rsa().unwrap())]
    {
        let Err(error) = Signer::new("shop.example", &[(selector.to_owned(), text)]) else {
            panic!("{selector} was taken")
        };
        assert!(error.to_string().contains(&format!("'{selector}'")), "{error}");
        assert!(!error.to_string().contains("PRIVATE"), "{error}");
    }
    assert!(Signer::new("shop.example", &[]).is_err());
}

/// Writes signed mails and their records for an independent verifier.
#[test]
fn signed_mails_are_written_where_they_are_asked_for() {
    #[expect(clippy::disallowed_methods, reason = "the harness says where")]
    let Ok(dir) = std::env::var("RAPPORT_DKIM_OUT") else {
        eprintln!("skipped: RAPPORT_DKIM_OUT names no directory; .ci/dkim sets it");
        return;
    };
    let dir = std::path::PathBuf::from(dir);
    let signer = both();
    let records: serde_json::Map<_, _> = signer
        .dns_records()
        .into_iter()
        .map(|record| (format!("{}.", record.name), record.value.into()))
        .collect();
    std::fs::write(dir.join("records.json"), serde_json::to_vec(&records).unwrap()).unwrap();
    let long = "x".repeat(5_000);
    for (number, subject) in ["Hello", "Grüße  an   alle", "שלום 👩‍👩‍👧", &long].into_iter().enumerate()
    {
        let draft = Draft { subject: subject.to_owned(), ..draft() };
        let raw = signer.sign(&compose(&draft).unwrap()).unwrap();
        std::fs::write(dir.join(format!("{number}.eml")), raw).unwrap();
    }
}
