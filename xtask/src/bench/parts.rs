//! The parts of a mail by themselves, in this process: what composing and signing cost without log, step and store.

use anyhow::{Context, Result, anyhow};
use model::{Clock, Map};
use serde_json::json;

use super::figure::Timer;
use super::mail::{order, template};
use super::server::driver_cpu_s;

/// How often each part is done.
const TURNS: usize = 4_000;

fn part<T>(what: &str, mut work: impl FnMut() -> Result<T>) -> Result<f64> {
    let (cpu, timer) = (driver_cpu_s()?, Timer::start());
    for _ in 0..TURNS {
        work()?;
    }
    let micros = (driver_cpu_s()? - cpu) * 1e6 / TURNS as f64;
    println!(
        "    {what:36} CPU {micros:.1} µs each ({:.1} by the wall)",
        timer.elapsed().as_secs_f64() * 1e6 / TURNS as f64
    );
    Ok(micros)
}

/// Renders, builds and signs the mail of the scenario.
pub fn run() -> Result<()> {
    println!("  its parts by themselves, {TURNS} times each:");
    let body = template();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let source = template::Source {
        engine: template::Engine::Liquid,
        subject: text("subject"),
        preheader: String::new(),
        body: template::Body::Html(text("body")),
        text: None,
    };
    let compiled = template::Template::compile(&source).map_err(|error| anyhow!("{error}"))?;
    let mut data = Map::new();
    data.insert("event".to_owned(), order("parts", 1)[1]["properties"].clone());
    data.insert("customer".to_owned(), json!({"first_name": "Test"}));
    data.insert("links".to_owned(), json!({"unsubscribe": "https://mail.shop.example/u/token"}));
    let now = Clock::system().now();
    let options = template::Options { now, ..template::Options::default() };
    let dressing = template::Dressing::default();
    let tokens = mail::Tokens::new(b"a secret of this bench alone");
    let render = || {
        let mut seal = |link: &template::Link| {
            let token = tokens.seal(mail::TokenKind::Click, model::WorkspaceId(1), "m", link.number);
            format!("https://mail.shop.example/t/c/{token}")
        };
        compiled.render(&data, &options, &dressing, &mut seal).map_err(|error| anyhow!("{error}"))
    };
    let rendered = render()?;
    let mut sum = part("render, with sealed links", render)?;

    let draft = mail::Draft {
        from: mail::Mailbox::parse("Bench <bench@sender.example>").map_err(|error| anyhow!("{error}"))?,
        reply_to: None,
        to: "somebody@inbox.example".to_owned(),
        subject: rendered.subject.clone(),
        html: rendered.html.clone(),
        text: rendered.text.clone(),
        message_id: "m@sender.example".to_owned(),
        date: now,
        unsubscribe_url: Some("https://mail.shop.example/u/token".to_owned()),
        list_id: None,
        feedback_id: None,
    };
    let raw = mail::compose(&draft).map_err(|error| anyhow!("{error}"))?;
    sum += part("MIME", || mail::compose(&draft).map_err(|error| anyhow!("{error}")))?;

    let rsa = mail::Signer::generate_rsa().map_err(|error| anyhow!("{error}"))?;
    let ed25519 = mail::Signer::generate_ed25519().map_err(|error| anyhow!("{error}"))?;
    let signer = |keys: &[(String, String)]| {
        mail::Signer::new("sender.example", keys).map_err(|error| anyhow!("{error}"))
    };
    let (rsa, ed25519) = (("rsa".to_owned(), rsa), ("ed".to_owned(), ed25519));
    let one = signer(std::slice::from_ref(&ed25519)).context("the Ed25519 key")?;
    part("DKIM, Ed25519 alone", || one.sign(&raw).map_err(|error| anyhow!("{error}")))?;
    let both = signer(&[rsa, ed25519]).context("both keys")?;
    sum += part("DKIM, RSA-2048 and Ed25519", || both.sign(&raw).map_err(|error| anyhow!("{error}")))?;
    println!("    {:36} CPU {sum:.1} µs", "their sum");
    Ok(())
}
