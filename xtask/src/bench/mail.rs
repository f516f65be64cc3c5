//! Event to mail handed over: a journey that sends at once, an SMTP sink, instants taken at both ends.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::figure::{Round, Timer, round, show, show_latencies};
use super::server::{Server, rest, write_key};
use super::sink::Sink;
use super::{ROUNDS, load};

/// Mails of one round.
const MAILS: usize = 2_000;
/// Mails a second while latency is taken.
const PACED_MAILS: u32 = 100;
/// How long latency is taken. Units: seconds.
const PACED_SECONDS: u32 = 20;

/// An order mail of some 12 KB.
pub fn template() -> Value {
    let mut body =
        String::from("<html><body><h1>Thanks, {{ customer.first_name | default: 'friend' }}</h1><table>");
    body.push_str(
        "{% for line in event.lines %}<tr><td><a href=\"https://shop.example/p/{{ line.id }}\">{{ line.name }}</a></td>\
         <td>{{ line.quantity }}</td><td>{{ line.price | money }}</td></tr>{% endfor %}</table>",
    );
    for paragraph in 0..90 {
        body.push_str(&format!(
            "<p style=\"margin:0 0 16px;font:16px/24px sans-serif\">Constant words of the shop, number {paragraph}, as mails have them.</p>\n"
        ));
    }
    body.push_str("<p><a href=\"https://shop.example/sale\">Sale</a> <a href=\"{{ links.unsubscribe }}\">Unsubscribe</a></p></body></html>");
    json!({
        "id": "order", "name": "Order", "engine": "liquid", "format": "html", "subject": "Order {{ event.order_id }}",
        "preheader": "", "body": body,
    })
}

fn set_up(server: &Server) -> Result<()> {
    server.segments()?;
    server.create("/api/templates", &template())?;
    server.create(
        "/api/journeys",
        &json!({"id": "order", "name": "Order", "definition": {
            "trigger": {"event": "Order Completed", "key": "order_id"}, "start": "send",
            "nodes": {
                "send": {"type": "send", "template": "order", "kind": "transactional", "topic": "orders", "next": "end"},
                "end": {"type": "exit"},
            },
        }}),
    )
}

fn address(name: &str, number: usize) -> String {
    format!("{name}-{number}@inbox.example")
}

/// One order, by somebody of their own who is identified in the same request.
pub fn order(name: &str, number: usize) -> Value {
    let who = format!("{name}-{number}");
    let lines: Vec<Value> = (0..5)
        .map(|line| json!({"id": format!("p-{line}"), "name": format!("Article {line}"), "quantity": 1, "price": 9.95}))
        .collect();
    json!([
        {"type": "identify", "userId": who, "messageId": format!("i-{who}"), "traits": {"email": address(name, number), "firstName": "Test"}},
        {"type": "track", "event": "Order Completed", "userId": who, "messageId": format!("o-{who}"),
         "properties": {"order_id": format!("o-{who}"), "revenue": 49.75, "lines": lines}},
    ])
}

fn body(name: &str, numbers: std::ops::Range<usize>) -> String {
    let batch: Vec<Value> =
        numbers.flat_map(|number| order(name, number).as_array().cloned().unwrap_or_default()).collect();
    json!({"writeKey": write_key(), "batch": batch}).to_string()
}

fn wait_for(sink: &Sink, many: usize) -> Result<()> {
    for _ in 0..12_000 {
        if sink.taken().len() >= many {
            return Ok(());
        }
        rest(10);
    }
    bail!("{} of {many} mails came within two minutes", sink.taken().len())
}

/// The scenario.
pub fn run() -> Result<()> {
    let timer = Timer::start();
    let sink = Sink::start(timer)?;
    let server = Server::start(Some(&sink.address))?;
    set_up(&server)?;
    let mut rounds: Vec<Round> = Vec::new();
    for number in 0..ROUNDS {
        let name = format!("r{number}");
        let bodies: Vec<String> =
            (0..MAILS / 200).map(|request| body(&name, request * 200..(request + 1) * 200)).collect();
        rounds.push(round(&server.process, || {
            load::flood(&server.process.address, "/v1/batch", &bodies)?;
            wait_for(&sink, (number + 1) * MAILS)?;
            Ok(MAILS)
        })?);
    }
    show("event to mail at the sink, all at once", &rounds);
    super::parts::run()?;

    let many = (PACED_MAILS * PACED_SECONDS) as usize;
    let bodies: Vec<String> = (0..many).map(|number| body("paced", number..number + 1)).collect();
    let each = Duration::from_secs(1) / PACED_MAILS;
    let start = timer.elapsed();
    let mut paced = None;
    let paced_round = round(&server.process, || {
        paced = Some(load::paced(&server.process.address, "/v1/batch", &bodies, each)?);
        wait_for(&sink, ROUNDS * MAILS + many)?;
        Ok(many)
    })?;
    let taken = sink.taken();
    let seconds: Vec<f64> = (0..many)
        .map(|number| {
            let at = taken.get(&address("paced", number)).context("a mail did not come")?;
            Ok((*at).saturating_sub(start + each * number as u32).as_secs_f64())
        })
        .collect::<Result<_>>()?;
    println!("  at {PACED_MAILS} orders a second, each by a new person:");
    show_latencies("  intended instant to durable answer", paced.unwrap_or_default());
    show_latencies("  intended instant to mail at the sink", seconds);
    show("  the same load", &[paced_round]);
    println!("  peak memory of the server {} MB", server.process.peak_mb()?);
    Ok(())
}

/// A server with one delivered mail in its inbox, and that mail's HTML.
pub fn delivered() -> Result<(Server, String)> {
    let server = Server::start(None)?;
    set_up(&server)?;
    load::flood(&server.process.address, "/v1/batch", &[body("page", 0..1)])?;
    for _ in 0..1_000 {
        let found = server.get("/api/messages?state=accepted")?;
        if let Some(id) = found["items"][0]["id"].as_str() {
            let message = server.get(&format!("/api/messages/{id}"))?;
            let html = message["html"].as_str().context("the message has no html")?.to_owned();
            server.wait_idle()?;
            return Ok((server, html));
        }
        rest(10);
    }
    bail!("no mail was delivered within ten seconds")
}
