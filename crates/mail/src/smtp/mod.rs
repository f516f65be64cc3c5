//! The wire: SMTP to one server, with TLS, and an answer that says exactly how far a mail got.
//!
//! Source: RFC 5321, RFC 2920 (pipelining), RFC 3207 (STARTTLS), RFC 4954 (AUTH), RFC 6531 (SMTPUTF8). A failure before
//! the final dot means certainly not accepted; after it without an answer, nobody knows.

mod url;
mod wire;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::address::wire_address;
use crate::delivery::{Delivery, Envelope};
pub use wire::Timeouts;
use wire::{Answer, Connection, Stream, deferred};

/// Messages of one connection.
const MESSAGES_PER_CONNECTION: u32 = 100;
/// How long an idle connection is used again; servers end them after minutes.
const IDLE_MAX: Duration = Duration::from_mins(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    Upgrade,
    Implicit,
    None,
}

/// An SMTP server and the connections kept to it.
pub struct Smtp {
    host: String,
    port: u16,
    tls: Tls,
    login: Option<(String, String)>,
    hello: Option<String>,
    own_return_path: bool,
    connections: usize,
    timeouts: Timeouts,
    config: Arc<rustls::ClientConfig>,
    free: Semaphore,
    kept: Mutex<Vec<(Connection, Instant)>>,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Smtp({}:{}, {:?})", self.host, self.port, self.tls)
    }
}

/// How an attempt over one connection ended.
enum Attempt {
    Done(Delivery),
    /// The kept connection was dead before it said a word: nothing was handed over.
    Stale,
}

impl Smtp {
    /// Connections that may be open at once.
    pub fn connections_max(&self) -> usize {
        self.connections
    }

    /// Whether each message has a return path of its own.
    pub fn has_own_return_path(&self) -> bool {
        self.own_return_path
    }

    /// The same server with other limits of time.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Smtp {
        self.timeouts = timeouts;
        self
    }

    fn take(&self) -> Option<Connection> {
        let now = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(_, since)| now - *since < IDLE_MAX);
        kept.pop().map(|(connection, _)| connection)
    }

    fn keep(&self, connection: Connection) {
        if !connection.closing && connection.sent < MESSAGES_PER_CONNECTION {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).push((connection, Instant::now()));
        }
    }

    /// Hands over a mail; waits for a free connection.
    pub async fn send(&self, envelope: &Envelope, raw: &[u8]) -> Delivery {
        let Ok(_free) = self.free.acquire().await else {
            return deferred("the transport was closed");
        };
        let (from, to) = match (wire_address(&envelope.from), wire_address(&envelope.to)) {
            (Ok(from), Ok(to)) => (from, to),
            (Err(error), _) | (_, Err(error)) => {
                return Delivery::Rejected { code: 0, answer: error.to_string() };
            }
        };
        let envelope = Envelope { from, to };
        while let Some(kept) = self.take() {
            if let Attempt::Done(delivery) = self.send_over(kept, &envelope, raw, true).await {
                return delivery;
            }
        }
        match self.connect().await {
            Ok(connection) => match self.send_over(connection, &envelope, raw, false).await {
                Attempt::Done(delivery) => delivery,
                Attempt::Stale => deferred("the server ended the connection"),
            },
            Err(delivery) => delivery,
        }
    }

    /// Connects, says hello, begins TLS and signs in; with an envelope, asks whether the server would take such a mail.
    /// No mail is sent.
    ///
    /// # Errors
    /// What the server said, or what went wrong.
    pub async fn probe(&self, envelope: Option<&Envelope>) -> Result<(), String> {
        let failed = |delivery: Delivery| match delivery {
            Delivery::Accepted { answer }
            | Delivery::Deferred { answer, .. }
            | Delivery::Rejected { answer, .. }
            | Delivery::InDoubt { answer } => answer,
        };
        let mut connection = self.connect().await.map_err(failed)?;
        if let Some(envelope) = envelope {
            let from = wire_address(&envelope.from).map_err(|error| error.to_string())?;
            let to = wire_address(&envelope.to).map_err(|error| error.to_string())?;
            for command in [format!("MAIL FROM:<{from}>\r\n"), format!("RCPT TO:<{to}>\r\n")] {
                let answer = connection.command(&command).await?;
                if !(200..300).contains(&answer.code) {
                    return Err(answer.text);
                }
            }
        }
        // Whatever it says to that, all that was asked is answered.
        let _ = connection.command("QUIT\r\n").await;
        Ok(())
    }

    async fn connect(&self) -> Result<Connection, Delivery> {
        let address = (self.host.trim_matches(['[', ']']), self.port);
        let tcp = tokio::time::timeout(self.timeouts.connect, TcpStream::connect(address))
            .await
            .map_err(|_| deferred("the server did not answer in time"))?
            .map_err(|error| deferred(format!("no connection to {}:{}: {error}", self.host, self.port)))?;
        // Small commands must not wait for each other.
        let _ = tcp.set_nodelay(true);
        let hello = match (&self.hello, tcp.local_addr().map(|address| address.ip())) {
            (Some(name), _) => name.clone(),
            (None, Ok(std::net::IpAddr::V4(ip))) => format!("[{ip}]"),
            (None, Ok(std::net::IpAddr::V6(ip))) => format!("[IPv6:{ip}]"),
            (None, Err(_)) => "localhost".to_owned(),
        };
        let mut connection = match self.tls {
            Tls::Implicit => Connection::new(self.secure(tcp).await?, self.timeouts),
            Tls::Upgrade | Tls::None => Connection::new(tcp, self.timeouts),
        };
        connection.greet().await?;
        connection.hello(&hello).await?;
        if self.tls == Tls::Upgrade {
            connection = self.upgrade(connection).await?;
            connection.hello(&hello).await?;
        }
        self.login(&mut connection).await?;
        Ok(connection)
    }

    async fn upgrade(&self, mut plain: Connection) -> Result<Connection, Delivery> {
        if !plain.offers.start_tls {
            return Err(deferred("the server offers no TLS, and nothing is sent without"));
        }
        let answer = plain.command("STARTTLS\r\n").await.map_err(deferred)?;
        if answer.code != 220 {
            return Err(answer.unready("the server offers no TLS, and nothing is sent without"));
        }
        Ok(Connection::new(self.secure(plain.into_stream()?).await?, self.timeouts))
    }

    async fn secure<S: Stream + 'static>(
        &self,
        stream: S,
    ) -> Result<tokio_rustls::client::TlsStream<S>, Delivery> {
        let name = ServerName::try_from(self.host.trim_matches(['[', ']']).to_owned())
            .map_err(|error| deferred(format!("no name for TLS: {error}")))?;
        let connector = TlsConnector::from(self.config.clone());
        tokio::time::timeout(self.timeouts.connect, connector.connect(name, stream))
            .await
            .map_err(|_| deferred("TLS was not agreed upon in time"))?
            .map_err(|error| deferred(format!("TLS failed, and nothing is sent without: {error}")))
    }

    async fn login(&self, connection: &mut Connection) -> Result<(), Delivery> {
        let Some((user, password)) = &self.login else { return Ok(()) };
        if self.tls == Tls::None && !url::is_loopback(&self.host) {
            return Err(deferred("no password is sent without TLS"));
        }
        let encode = |text: &str| STANDARD.encode(text);
        let answer = if connection.offers.plain || !connection.offers.login {
            let secret = encode(&format!("\0{user}\0{password}"));
            connection.command(&format!("AUTH PLAIN {secret}\r\n")).await.map_err(deferred)?
        } else {
            let mut answer = connection.command("AUTH LOGIN\r\n").await.map_err(deferred)?;
            for secret in [user, password] {
                if answer.code != 334 {
                    break;
                }
                answer = connection.command(&format!("{}\r\n", encode(secret))).await.map_err(deferred)?;
            }
            answer
        };
        if answer.code == 235 { Ok(()) } else { Err(answer.unready("the server refused the login")) }
    }

    async fn send_over(
        &self,
        mut connection: Connection,
        envelope: &Envelope,
        raw: &[u8],
        kept: bool,
    ) -> Attempt {
        let commands = match commands(&connection, envelope, raw) {
            Ok(commands) => commands,
            Err(delivery) => {
                self.keep(connection);
                return Attempt::Done(delivery);
            }
        };
        match begin(&mut connection, &commands, kept).await {
            Ok(Begun::Go) => {}
            Ok(Begun::Refused(answer)) => {
                self.keep(connection);
                return Attempt::Done(answer.failed());
            }
            Ok(Begun::Stale) => return Attempt::Stale,
            Err(error) => return Attempt::Done(deferred(error)),
        }
        Attempt::Done(self.hand_over(connection, raw).await)
    }

    /// The body, after the server said that it wants it.
    async fn hand_over(&self, mut connection: Connection, raw: &[u8]) -> Delivery {
        let (body, end) = stuffed(raw);
        // Everything but the end: a failure here means that the server has no mail.
        if let Err(error) = connection.write_body(&body).await {
            return deferred(error);
        }
        if connection.is_interrupted().await {
            return match connection.answer(connection.timeouts.command).await {
                Ok(answer) if answer.code >= 400 => answer.failed(),
                Ok(answer) => answer.unready("the server spoke out of turn"),
                Err(error) => deferred(error),
            };
        }
        if let Err(error) = connection.write(end, connection.timeouts.block).await {
            return Delivery::InDoubt { answer: error };
        }
        match connection.answer(connection.timeouts.dot).await {
            Ok(answer) if (200..300).contains(&answer.code) => {
                connection.sent += 1;
                connection.dirty = false;
                self.keep(connection);
                Delivery::Accepted { answer: answer.text }
            }
            Ok(answer) if answer.code >= 400 => {
                connection.dirty = false;
                self.keep(connection);
                answer.failed()
            }
            Ok(answer) => Delivery::InDoubt { answer: answer.text },
            Err(error) => Delivery::InDoubt { answer: error },
        }
    }
}

/// The commands before the body.
struct Commands {
    mail: String,
    rcpt: String,
}

/// How the commands before the body were answered.
enum Begun {
    /// The server waits for the body.
    Go,
    /// One of them was refused.
    Refused(Answer),
    /// A kept connection had died.
    Stale,
}

/// Builds the commands, or says why this server cannot take this mail.
fn commands(connection: &Connection, envelope: &Envelope, raw: &[u8]) -> Result<Commands, Delivery> {
    let offers = connection.offers;
    let rejected = |code, answer: String| Err(Delivery::Rejected { code, answer });
    let mut mail = format!("MAIL FROM:<{}>", envelope.from);
    if !envelope.from.is_ascii() || !envelope.to.is_ascii() {
        if !offers.utf8 {
            return rejected(
                550,
                format!("550 5.6.7 the server takes no address like {}: it offers no SMTPUTF8", envelope.to),
            );
        }
        mail.push_str(" SMTPUTF8");
    }
    if !raw.is_ascii() {
        if !offers.eight_bit {
            return rejected(554, "554 5.6.3 the server takes no mail of 8 bits".to_owned());
        }
        mail.push_str(" BODY=8BITMIME");
    }
    if let Some(limit) = offers.size {
        if limit > 0 && raw.len() as u64 > limit {
            return rejected(
                552,
                format!("552 5.3.4 the server takes mails of at most {limit} bytes; this has {}", raw.len()),
            );
        }
        mail.push_str(&format!(" SIZE={}", raw.len()));
    }
    mail.push_str("\r\n");
    Ok(Commands { mail, rcpt: format!("RCPT TO:<{}>\r\n", envelope.to) })
}

/// Sends what comes before the body: in one piece where the server offers pipelining.
async fn begin(connection: &mut Connection, commands: &Commands, kept: bool) -> Result<Begun, String> {
    let reset = std::mem::replace(&mut connection.dirty, true);
    let mut lines = vec![("MAIL", commands.mail.as_str()), ("RCPT", &commands.rcpt), ("DATA", "DATA\r\n")];
    if reset {
        lines.insert(0, ("RSET", "RSET\r\n"));
    }
    let piped = connection.offers.pipelining;
    if piped {
        let all: String = lines.iter().map(|(_, line)| *line).collect();
        if let Err(error) = connection.write(all.as_bytes(), connection.timeouts.command).await {
            return if kept { Ok(Begun::Stale) } else { Err(error) };
        }
    }
    let mut refused: Option<Answer> = None;
    for (number, (verb, line)) in lines.iter().enumerate() {
        let limit = if *verb == "DATA" { connection.timeouts.data } else { connection.timeouts.command };
        let written = if piped { Ok(()) } else { connection.write(line.as_bytes(), limit).await };
        let answer = match written {
            Ok(()) => connection.answer(limit).await,
            Err(error) => Err(error),
        };
        let answer = match (answer, refused.take()) {
            (Ok(answer), None) => answer,
            // What was refused stays refused, whatever the answers to the rest.
            (Ok(answer), Some(first)) => {
                if *verb == "DATA" && answer.code == 354 {
                    end_unwanted(connection).await?;
                }
                refused = Some(first);
                continue;
            }
            (Err(_), Some(first)) => return Ok(Begun::Refused(first)),
            (Err(_), None) if kept && number == 0 => return Ok(Begun::Stale),
            (Err(error), None) => return Err(error),
        };
        let wanted = match *verb {
            "DATA" => answer.code == 354,
            _ => (250..260).contains(&answer.code),
        };
        if wanted {
            continue;
        }
        // A server says goodbye to an idle connection with 421: that is no word on this mail.
        if kept && number == 0 && connection.closing {
            return Ok(Begun::Stale);
        }
        if !piped || connection.closing {
            return Ok(Begun::Refused(answer));
        }
        refused = Some(answer);
    }
    Ok(refused.map_or(Begun::Go, Begun::Refused))
}

/// A server that wants a body though it refused the recipient gets an empty one. Source: RFC 2920, 3.1.
async fn end_unwanted(connection: &mut Connection) -> Result<(), String> {
    connection.write(b".\r\n", connection.timeouts.block).await?;
    connection.answer(connection.timeouts.dot).await?;
    Ok(())
}

/// The body with its dots doubled, and the end that is sent last.
fn stuffed(raw: &[u8]) -> (Vec<u8>, &'static [u8]) {
    let mut out = Vec::with_capacity(raw.len() + 64);
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    (out, b".\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_at_the_start_of_a_line_are_doubled() {
        let (body, end) = stuffed(b"a\r\n.\r\n..b\r\nc");
        assert_eq!(body, b"a\r\n..\r\n...b\r\nc\r\n");
        assert_eq!(end, b".\r\n");
    }
}
