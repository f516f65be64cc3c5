//! Load: bodies of the collector's batches, sent as fast as they are taken or at a rate of their own.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Result, bail};

use super::figure::Timer;
use super::http::Connection;
use super::server::write_key;

/// Connections of the driver.
const SENDERS: usize = 4;

/// People who browse in a round.
pub const PEOPLE: usize = 20_000;

/// The body of one request: `events` product views, now and then an addition to a cart or an order.
///
/// `round` and `request` make the message ids unique; the same numbers make the same body.
pub fn batch(round: usize, request: usize, events: usize) -> String {
    let mut out = String::with_capacity(events * 260);
    let _ = write!(out, "{{\"writeKey\":\"{}\",\"batch\":[", write_key());
    for event in 0..events {
        let number = request * events + event;
        let person = number * 7_919 % PEOPLE;
        let name = match number % 40 {
            0 => "Order Completed",
            1..=3 => "Product Added",
            _ => "Product Viewed",
        };
        let _ = write!(
            out,
            "{}{{\"type\":\"track\",\"event\":\"{name}\",\"userId\":\"bench-{person}\",\
             \"messageId\":\"b-{round}-{request}-{event}\",\"properties\":{{\"product_id\":\"p-{}\",\
             \"category\":\"{}\",\"price\":{}.5,\"revenue\":{},\"url\":\"https://shop.example/p/{event}\"}}}}",
            if event > 0 { "," } else { "" },
            number % 240,
            ["Shoes", "Bags", "Hats", "Coats"][number % 4],
            number % 90,
            number % 200,
        );
    }
    out.push_str("]}");
    out
}

/// Posts every body once, over a few connections, as fast as it is taken.
pub fn flood(address: &str, path: &str, bodies: &[String]) -> Result<()> {
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                scope.spawn(move || -> Result<()> {
                    let mut connection = Connection::open(address)?;
                    for body in bodies.iter().skip(sender).step_by(SENDERS) {
                        taken(&mut connection, path, body)?;
                    }
                    Ok(())
                })
            })
            .collect();
        join(senders)
    })
}

/// Posts every body at its own instant, `each` apart, whether the former ones were answered in time or not. The
/// latencies are taken from the intended instant. Units: seconds.
pub fn paced(address: &str, path: &str, bodies: &[String], each: Duration) -> Result<Vec<f64>> {
    let timer = Timer::start();
    let mut out = Vec::with_capacity(bodies.len());
    std::thread::scope(|scope| -> Result<()> {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                scope.spawn(move || -> Result<Vec<f64>> {
                    let mut connection = Connection::open(address)?;
                    let mut seconds = Vec::new();
                    for (number, body) in bodies.iter().enumerate().skip(sender).step_by(SENDERS) {
                        let due = each * number as u32;
                        wait_until(timer, due);
                        taken(&mut connection, path, body)?;
                        seconds.push(timer.elapsed().saturating_sub(due).as_secs_f64());
                    }
                    Ok(seconds)
                })
            })
            .collect();
        for sender in senders {
            out.extend(sender.join().map_err(|_| anyhow::anyhow!("a sender died"))??);
        }
        Ok(())
    })?;
    Ok(out)
}

#[expect(clippy::disallowed_methods, reason = "an open-loop load has instants of its own")]
fn wait_until(timer: Timer, due: Duration) {
    std::thread::sleep(due.saturating_sub(timer.elapsed()));
}

fn taken(connection: &mut Connection, path: &str, body: &str) -> Result<()> {
    let status = connection.post(path, write_key(), body)?;
    if status != 200 {
        bail!("the collector answered {status}: {}", String::from_utf8_lossy(&connection.body));
    }
    Ok(())
}

fn join(senders: Vec<std::thread::ScopedJoinHandle<'_, Result<()>>>) -> Result<()> {
    for sender in senders {
        sender.join().map_err(|_| anyhow::anyhow!("a sender died"))??;
    }
    Ok(())
}
