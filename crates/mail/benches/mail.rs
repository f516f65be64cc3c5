//! What one mail of 24 KB costs before it reaches the wire: MIME, and each signature.
//!
//! `cargo bench -p mail`

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use mail::{Draft, Mailbox, Signer, compose};
use model::Timestamp;

fn main() {
    divan::main();
}

fn draft() -> Draft {
    let row = "<tr><td style=\"padding:8px\"><a href=\"https://mail.shop.example/t/c/AAAA\">Trail shoe, grün</a></td></tr>\n";
    Draft {
        from: Mailbox { name: "The Shop".to_owned(), address: "hello@shop.example".to_owned() },
        reply_to: None,
        to: "person@inbox.example".to_owned(),
        subject: "Grüße: your cart is waiting".to_owned(),
        html: format!("<html><body><table>\n{}</table></body></html>", row.repeat(180)),
        text: "Trail shoe, grün\nhttps://mail.shop.example/t/c/AAAA\n".repeat(60),
        message_id: "0123456789abcdef0123456789abcdef@shop.example".to_owned(),
        date: Timestamp::from_secs(1_795_000_000),
        unsubscribe_url: Some("https://mail.shop.example/u/AAAA".to_owned()),
        list_id: Some("workspace-1.shop.example".to_owned()),
        feedback_id: Some("0123456789abcdef0123456789abcdef:1:rapport".to_owned()),
    }
}

#[divan::bench]
fn mime(bencher: Bencher<'_, '_>) {
    let draft = draft();
    bencher.counter(ItemsCount::new(1_usize)).bench(|| compose(black_box(&draft)));
}

fn sign(bencher: Bencher<'_, '_>, keys: &[fn() -> Result<String, mail::Error>]) {
    let make = |(number, key): (usize, &fn() -> Result<String, mail::Error>)| {
        Some((format!("s{number}"), key().ok()?))
    };
    let keys: Vec<(String, String)> = keys.iter().enumerate().filter_map(make).collect();
    let (Ok(signer), Ok(raw)) = (Signer::new("shop.example", &keys), compose(&draft())) else { return };
    bencher.counter(ItemsCount::new(1_usize)).bench(|| signer.sign(black_box(&raw)));
}

#[divan::bench]
fn dkim_rsa(bencher: Bencher<'_, '_>) {
    sign(bencher, &[Signer::generate_rsa]);
}

#[divan::bench]
fn dkim_ed25519(bencher: Bencher<'_, '_>) {
    sign(bencher, &[Signer::generate_ed25519]);
}

#[divan::bench]
fn dkim_both(bencher: Bencher<'_, '_>) {
    sign(bencher, &[Signer::generate_rsa, Signer::generate_ed25519]);
}
